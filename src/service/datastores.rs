//! Operations on whole configurations: copy, delete, validate, and the rescue configuration (S12–S14).

use std::time::Duration;

use tokio::time::Instant;

use super::call::{CallContext, Role};
use super::confirmed::Passing;
use super::edit::differing::Differing;
use super::edit::ground::Dialect;
use super::edit::request::{
    CopyConfigRequest, DeleteConfigRequest, Endpoint, SaveRescueRequest, ValidateConfigRequest,
};
use super::edit::script::Step;
use super::edit::view::RpcErrorView;
use super::failure::{self, Asked};
use super::history::{self, Records};
use super::operations::{self, AtOnce};
use super::output::Output;
use super::reply::{Reply, RpcAnswer};
use super::request::{Content, OutputOptions};
use super::view::Plan;
use super::{Gateway, LONGEST_DEADLINE, evidence, held, locks, prepare, url_policy};
use crate::device::{self, Device, Occupant, Way};
use crate::error::{Error, Outcome};
use crate::json::{Target, ToXmlOptions};
use crate::netconf::capability::Capabilities;
use crate::netconf::datastore::Datastore;
use crate::netconf::edit::{self, Action, Edit};
use crate::netconf::junos::SaveRescueConfiguration;
use crate::netconf::operation::{ConfigInput, ConfigTarget, CopyConfig, DeleteConfig, EditContent, Validate};
use crate::netconf::rpc::{RequestError, Rpc};
use crate::netconf::rpc_error::RpcError;
use crate::pool::Touch;
use crate::store::DeviceRecord;
use crate::xml::Limits;

/// What an operation touches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Touches {
    /// Nothing that anybody edits.
    Else,
    /// What is running, at once; `from`: what it becomes, if the device has that.
    Running { from: Option<Datastore> },
    /// The shared candidate, for which one waits in line (Q1). `looks`: nothing of others may be in it.
    Candidate { looks: bool },
}

impl Touches {
    fn of(source: Option<&Endpoint>, target: &Endpoint, discard_others: bool) -> Self {
        match target {
            Endpoint::Datastore(Datastore::Candidate) => Self::Candidate {
                looks: !discard_others,
            },
            Endpoint::Datastore(Datastore::Running) => Self::Running {
                from: match source {
                    Some(Endpoint::Datastore(datastore)) => Some(*datastore),
                    Some(Endpoint::Url(_) | Endpoint::Config(_)) | None => None,
                },
            },
            Endpoint::Datastore(Datastore::Startup) | Endpoint::Url(_) | Endpoint::Config(_) => Self::Else,
        }
    }
}

/// An operation that is ready to be sent or shown.
struct Operation {
    output: OutputOptions,
    plan: bool,
    touches: Touches,
    /// Whether the device is another one afterwards.
    changes: bool,
    /// Of the configuration that is sent along.
    bytes: usize,
    /// It was looked first whether it would confirm a commit (junos).
    confirms: bool,
}

impl Gateway {
    /// `<copy-config>`: one whole configuration over another. Role `configure`. What becomes of the candidate stays
    /// there uncommitted, for everybody: a warning says so. The answer is the device's reply, as of any RPC.
    ///
    /// # Errors
    /// `invalid-argument` (`/source`, `/target`), `capability-missing`, the device's refusal; `lock-denied`, reason
    /// `candidate_modified`, when others left something in a candidate that is to go and `discard_others` is not set.
    ///
    /// # Cancel safety
    /// Dropping the future before the RPC is sent keeps it from being sent; afterwards it runs to its end.
    pub async fn copy_config(
        &self,
        ctx: &CallContext,
        device: &str,
        request: CopyConfigRequest,
    ) -> Result<RpcAnswer, Error> {
        let CopyConfigRequest {
            source,
            target,
            discard_others,
            output,
            plan,
        } = request;
        let operation = Operation {
            output,
            plan,
            touches: Touches::of(Some(&source), &target, discard_others),
            changes: true,
            bytes: bytes(&source),
            confirms: false,
        };
        let gateway = self.clone();
        self.whole(ctx, device, operation, move |caps| {
            let copy = CopyConfig {
                target: gateway.target(&target)?,
                source: gateway.source(&source, caps)?,
            };
            copy.rpc(caps).map_err(|error| unbuildable(&error))
        })
        .await
    }

    /// `<delete-config>`: a whole configuration goes. Role `configure`.
    ///
    /// # Errors
    /// As [`Self::copy_config`].
    ///
    /// # Cancel safety
    /// As [`Self::copy_config`].
    pub async fn delete_config(
        &self,
        ctx: &CallContext,
        device: &str,
        request: DeleteConfigRequest,
    ) -> Result<RpcAnswer, Error> {
        let DeleteConfigRequest {
            target,
            discard_others,
            output,
            plan,
        } = request;
        let operation = Operation {
            output,
            plan,
            touches: Touches::of(None, &target, discard_others),
            changes: true,
            bytes: 0,
            confirms: false,
        };
        let gateway = self.clone();
        self.whole(ctx, device, operation, move |caps| {
            let delete = DeleteConfig {
                target: gateway.target(&target)?,
            };
            delete.rpc(caps).map_err(|error| unbuildable(&error))
        })
        .await
    }

    /// `<validate>`: whether a configuration would be accepted. Role `configure`, because on some devices a check has
    /// effects (junos: it may confirm a pending commit).
    ///
    /// # Errors
    /// As [`Self::copy_config`]; what is wrong with the configuration is the device's refusal.
    ///
    /// # Cancel safety
    /// As [`Self::copy_config`].
    pub async fn validate_config(
        &self,
        ctx: &CallContext,
        device: &str,
        request: ValidateConfigRequest,
    ) -> Result<RpcAnswer, Error> {
        let ValidateConfigRequest {
            source,
            confirm_others,
            output,
            plan,
        } = request;
        if confirm_others {
            ctx.principal.require(Role::Admin)?;
        } else if !plan {
            self.no_check_of_others(ctx, device).await?;
        }
        let operation = Operation {
            output,
            plan,
            touches: Touches::Else,
            changes: false,
            bytes: bytes(&source),
            confirms: true,
        };
        let gateway = self.clone();
        self.whole(ctx, device, operation, move |caps| {
            let validate = Validate {
                source: gateway.source(&source, caps)?,
            };
            validate.rpc(caps).map_err(|error| unbuildable(&error))
        })
        .await
    }

    /// What is committed now becomes the rescue configuration; Junos only. Role `configure`.
    ///
    /// # Errors
    /// As [`Self::copy_config`].
    ///
    /// # Cancel safety
    /// As [`Self::copy_config`].
    pub async fn save_rescue_config(
        &self,
        ctx: &CallContext,
        device: &str,
        request: SaveRescueRequest,
    ) -> Result<RpcAnswer, Error> {
        let operation = Operation {
            output: request.output,
            plan: request.plan,
            touches: Touches::Else,
            changes: true,
            bytes: 0,
            confirms: false,
        };
        self.whole(ctx, device, operation, |caps| {
            let rpc = SaveRescueConfiguration.rpc(caps);
            rpc.map_err(|error| unbuildable(&error))
        })
        .await
    }

    /// Builds the operation for what the device offers, then shows or sends it.
    async fn whole(
        &self,
        ctx: &CallContext,
        name: &str,
        operation: Operation,
        build: impl FnOnce(&Capabilities) -> Result<Rpc, Error> + Send + 'static,
    ) -> Result<RpcAnswer, Error> {
        ctx.principal.require(Role::Configure)?;
        let on_device = |error: Error| error.with_device(name);
        let (record, live) = self.device(name).await?;
        let output = Output::new(&operation.output, record.settings.partial).map_err(on_device)?;
        let deadline = commit_deadline(ctx, &record);
        let shown = live
            .established(ctx.principal.id(), self.deadline(ctx, &live))
            .await
            .map_err(failure::device)?;
        let capabilities = live.offered(&shown);
        let before = Before::new(&operation, &capabilities);
        let before = before.map_err(|error| on_device(failure::unbuildable(&error)))?;
        let built = prepare::beside(operation.bytes, move || build(&capabilities));
        let rpc = built.await.map_err(on_device)?;
        if operation.plan {
            let looking = before.steps().map(|step| &step.rpc);
            let rpcs = looking.chain([&rpc]).map(|rpc| rpc.body.as_str().to_owned());
            return Ok(RpcAnswer::Plan(Plan {
                device: name.to_owned(),
                rpcs: rpcs.collect(),
            }));
        }
        self.accepting()?;
        self.nothing_is_open(&record)?;
        let (running, hidden) = match operation.touches {
            Touches::Running { from } => {
                let records = Records::Pooled {
                    record: &record,
                    device: &live,
                    who: ctx.principal.id(),
                };
                before_it_changes(records, from, deadline).await?
            }
            Touches::Else | Touches::Candidate { .. } => (None, None),
        };
        self.begin_at_once(ctx, &record, running).await?;
        if !operation.changes {
            ctx.ticket.came_to(Outcome::NotApplied);
        }
        let request = output.request(move |_| Ok(rpc), Vec::new());
        let request = operations::noting(&ctx.ticket, request);
        let who = ctx.principal.id();
        let passing = self.passing(&record);
        let raw = match operation.touches {
            Touches::Else | Touches::Running { .. } => {
                let admit = Some(passing.admit());
                let answer = live.single_use_if(who, deadline, request, admit).await;
                answer.map_err(|error| {
                    let sent = error.outcome != device::Outcome::NotSent;
                    if sent && !operation.changes && shown.capabilities.is_junos() {
                        self.check_was_lost(&record);
                    }
                    let in_the_way = passing.in_the_way().filter(|_| !sent);
                    in_the_way.unwrap_or_else(|| locks::not_served(&live, error))
                })?
            }
            Touches::Candidate { .. } => {
                in_candidate(&live, who, deadline, before.others, request, &passing).await?
            }
        };
        let mut reply = Reply::new(name, raw, &output, Asked::Write, operation.changes)?;
        reply.warnings.extend(hidden);
        if matches!(operation.touches, Touches::Candidate { .. }) {
            reply.warnings.push(uncommitted());
        }
        Ok(RpcAnswer::Reply(reply))
    }

    fn target(&self, target: &Endpoint) -> Result<ConfigTarget, Error> {
        match target {
            Endpoint::Datastore(datastore) => Ok(ConfigTarget::Datastore(*datastore)),
            Endpoint::Url(url) => {
                self.allowed(url, "/target/url")?;
                Ok(ConfigTarget::Url(url.clone()))
            }
            Endpoint::Config(_) => Err(Error::invalid("/target/config", "can be a source only")),
        }
    }

    fn source(&self, source: &Endpoint, capabilities: &Capabilities) -> Result<ConfigInput, Error> {
        match source {
            Endpoint::Datastore(datastore) => Ok(ConfigInput::Datastore(*datastore)),
            Endpoint::Url(url) => {
                self.allowed(url, "/source/url")?;
                Ok(ConfigInput::Url(url.clone()))
            }
            Endpoint::Config(content) => configuration(content, capabilities),
        }
    }

    fn allowed(&self, url: &str, pointer: &str) -> Result<(), Error> {
        if self.inner.urls.allows(url) {
            return Ok(());
        }
        Err(url_policy::refusal(pointer, url))
    }
}

/// A configuration as `<config>` holds it: with the device's own root around it where it has one.
fn configuration(content: &Content, capabilities: &Capabilities) -> Result<ConfigInput, Error> {
    const POINTER: &str = "/source/config";
    let limits = Limits::default();
    let wrong = |detail: String| Error::invalid(POINTER, detail);
    let elements = match content {
        Content::Json(text) => {
            let options = ToXmlOptions {
                modules: capabilities.namespaces(),
                junos: capabilities.is_junos(),
                ..ToXmlOptions::default()
            };
            let target = Target::Config(edit::Protocol::Rfc.dialect());
            prepare::from_json(text, target, POINTER, &options)?
        }
        Content::Xml(text) => edit::configuration(text, &limits).map_err(|error| wrong(error.to_string()))?,
    };
    let edit = Edit::new(Action::Merge, edit::Content::Elements(elements));
    let config = edit
        .edit_config(Datastore::Candidate, capabilities.is_junos(), &limits)
        .map_err(|error| wrong(error.to_string()))?;
    match config.content {
        EditContent::Config(fragment) => Ok(ConfigInput::Config(fragment)),
        EditContent::Url(url) => Ok(ConfigInput::Url(url)),
    }
}

/// What is looked at before the operation.
struct Before {
    /// Whether a check would confirm a commit.
    history: Option<Step>,
    /// What others left in the candidate.
    others: Option<Differing>,
    /// What tells later whether running was changed.
    running: Vec<Step>,
}

impl Before {
    fn new(operation: &Operation, capabilities: &Capabilities) -> Result<Self, RequestError> {
        let junos = capabilities.is_junos();
        let dialect = if junos { Dialect::Junos } else { Dialect::Rfc };
        let looks = operation.touches == Touches::Candidate { looks: true };
        let history = (operation.confirms && junos).then(|| history::step(capabilities, false));
        let others = looks.then(|| Differing::new(dialect, capabilities));
        let running = match operation.touches {
            Touches::Running { from } => evidence_of(from)
                .map(|datastore| history::whole(capabilities, datastore))
                .collect::<Result<_, _>>()?,
            Touches::Else | Touches::Candidate { .. } => Vec::new(),
        };
        Ok(Self {
            history: history.transpose()?,
            others: others.transpose()?,
            running,
        })
    }

    fn steps(&self) -> impl Iterator<Item = &Step> {
        let looks = self.others.iter().flat_map(|others| &others.steps);
        self.history.iter().chain(looks).chain(&self.running)
    }
}

/// What is read before running is changed at once: that, and what it is to become.
fn evidence_of(from: Option<Datastore>) -> impl Iterator<Item = Datastore> {
    [Datastore::Running].into_iter().chain(from)
}

/// Reads it. Where the device does not show it there is a warning instead: it is changed all the same.
///
/// # Errors
/// As a read; nothing is changed yet.
async fn before_it_changes(
    mut records: Records<'_>,
    from: Option<Datastore>,
    deadline: Instant,
) -> Result<(Option<AtOnce>, Option<RpcError>), Error> {
    let mut digests = Vec::new();
    for datastore in evidence_of(from) {
        match records.datastore(datastore, deadline).await {
            Ok(read) => digests.push(read.digest()),
            Err(error) if evidence::is_hidden(&error) => {
                let words = format!("{}: {}", evidence::UNSEEN, error.detail());
                return Ok((None, Some(RpcError::from(&RpcErrorView::warning(words)))));
            }
            Err(error) => return Err(error.with_outcome(Outcome::NotSent)),
        }
    }
    let mut digests = digests.into_iter();
    let before = digests.next();
    let at_once = before.map(|before| AtOnce::new(before, digests.next()));
    Ok((at_once, None))
}

/// Bytes of the configuration that is sent along.
fn bytes(source: &Endpoint) -> usize {
    match source {
        Endpoint::Datastore(_) | Endpoint::Url(_) => 0,
        Endpoint::Config(Content::Json(text) | Content::Xml(text)) => text.len(),
    }
}

/// With a turn of the candidate: one change or edit session at a time (Q1). The session is not lent again.
async fn in_candidate(
    device: &Device,
    who: &str,
    deadline: Instant,
    others: Option<Differing>,
    request: device::Request,
    passing: &Passing,
) -> Result<crate::session::RawReply, Error> {
    let claim = Occupant {
        id: None,
        who: who.to_owned(),
    };
    let held = device
        .hold_as(claim, Duration::ZERO, deadline, Way::Candidate)
        .await;
    let mut held = held.map_err(|error| {
        let in_the_way = passing.in_the_way();
        in_the_way.unwrap_or_else(|| locks::not_held_now(device, error))
    })?;
    if let Err(error) = passing.pass() {
        held.finish().await;
        return Err(error);
    }
    held.keep_until_over(Box::new(passing.clone()));
    if let Some(others) = others {
        let name = &device.settings().name;
        let refused = match held::look(&others, &mut held, name, deadline).await {
            Ok(diff) if diff.is_empty() => None,
            Ok(diff) => Some(failure::others_in_the_way(others.dialect(), diff).with_device(name)),
            Err(error) => Some(error),
        };
        if let Some(error) = refused {
            held.finish().await;
            return Err(error);
        }
    }
    let answer = held.call(deadline, request, Touch::Edits).await;
    // It is closed, as a candidate that somebody has changed says nothing about whose it is: before the answer, so that the
    // caller's next call finds the turn free. What was not answered may take its time.
    match &answer {
        Ok(_) => held.finish().await,
        Err(_) => drop(held),
    }
    answer.map_err(failure::device)
}

/// H6: what writes has the time of a commit.
fn commit_deadline(ctx: &CallContext, record: &DeviceRecord) -> Instant {
    let own = Duration::from_secs(record.settings.timeouts.commit_seconds);
    Instant::now() + ctx.deadline.unwrap_or(own).min(LONGEST_DEADLINE)
}

fn uncommitted() -> RpcError {
    let words =
        "the candidate has changed and nothing is committed: it stays so, for everybody to commit or discard";
    RpcError::from(&RpcErrorView::warning(words))
}

/// What could not be built, by the member of the request.
fn unbuildable(error: &RequestError) -> Error {
    match error {
        RequestError::Invalid { parameter, detail } => {
            let member = parameter.split(' ').next().unwrap_or(parameter);
            Error::invalid(format!("/{member}"), detail.clone())
        }
        RequestError::MissingCapability(_) | RequestError::Write(_) => failure::unbuildable(error),
    }
}
