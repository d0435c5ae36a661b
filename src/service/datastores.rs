//! Operations on whole configurations: copy, delete, validate, and the rescue configuration (S12–S14).

use std::time::Duration;

use tokio::time::Instant;

use super::call::{CallContext, Role};
use super::edit::request::{
    CopyConfigRequest, DeleteConfigRequest, Endpoint, SaveRescueRequest, ValidateConfigRequest,
};
use super::failure::{self, Asked};
use super::operations::{self, Leaving};
use super::output::Output;
use super::reply::{Reply, RpcAnswer};
use super::request::{Content, OutputOptions};
use super::view::Plan;
use super::{Gateway, LONGEST_DEADLINE, locks, prepare, url_policy};
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
    /// The shared candidate, for which one waits in line (Q1).
    Candidate,
}

impl Touches {
    fn of(target: &Endpoint) -> Self {
        match target {
            Endpoint::Datastore(Datastore::Candidate) => Self::Candidate,
            Endpoint::Datastore(Datastore::Running | Datastore::Startup)
            | Endpoint::Url(_)
            | Endpoint::Config(_) => Self::Else,
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
}

impl Gateway {
    /// `<copy-config>`: one whole configuration over another. Role `configure`. What becomes of the candidate stays
    /// there uncommitted, for everybody: a warning says so. The answer is the device's reply, as of any RPC.
    ///
    /// # Errors
    /// `invalid-argument` (`/source`, `/target`), `capability-missing`, the device's refusal.
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
            output,
            plan,
        } = request;
        let operation = Operation {
            output,
            plan,
            touches: Touches::of(&target),
            changes: true,
        };
        self.whole(ctx, device, operation, |caps| {
            let copy = CopyConfig {
                target: self.target(&target)?,
                source: self.source(&source, caps)?,
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
        let DeleteConfigRequest { target, output, plan } = request;
        let operation = Operation {
            output,
            plan,
            touches: Touches::of(&target),
            changes: true,
        };
        self.whole(ctx, device, operation, |caps| {
            let delete = DeleteConfig {
                target: self.target(&target)?,
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
        let ValidateConfigRequest { source, output, plan } = request;
        if !plan {
            self.no_check_of_others(ctx, device).await?;
        }
        let operation = Operation {
            output,
            plan,
            touches: Touches::Else,
            changes: false,
        };
        self.whole(ctx, device, operation, |caps| {
            let validate = Validate {
                source: self.source(&source, caps)?,
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
        build: impl FnOnce(&Capabilities) -> Result<Rpc, Error>,
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
        let rpc = build(&live.offered(&shown)).map_err(on_device)?;
        if operation.plan {
            return Ok(RpcAnswer::Plan(Plan {
                device: name.to_owned(),
                rpcs: vec![rpc.body.as_str().to_owned()],
            }));
        }
        self.accepting()?;
        let _passage = self.pass(&record)?;
        self.begin(ctx, &record, Leaving::UnlessSent).await?;
        if !operation.changes {
            ctx.ticket.came_to(Outcome::NotApplied);
        }
        let request = output.request(move |_| Ok(rpc), Vec::new());
        let request = operations::noting(&ctx.ticket, request);
        let who = ctx.principal.id();
        let raw = match operation.touches {
            Touches::Else => live
                .single_use(who, deadline, request)
                .await
                .map_err(failure::device)?,
            Touches::Candidate => in_candidate(&live, who, deadline, request).await?,
        };
        let mut reply = Reply::new(name, raw, &output, Asked::Write, operation.changes)?;
        if operation.touches == Touches::Candidate {
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

/// With a turn of the candidate: one change or edit session at a time (Q1). The session is not lent again.
async fn in_candidate(
    device: &Device,
    who: &str,
    deadline: Instant,
    request: device::Request,
) -> Result<crate::session::RawReply, Error> {
    let claim = Occupant {
        id: None,
        who: who.to_owned(),
    };
    let held = device
        .hold_as(claim, Duration::ZERO, deadline, Way::Candidate)
        .await;
    let mut held = held.map_err(|error| locks::not_held_now(device, error))?;
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
    RpcError {
        error_type: Some("application".to_owned()),
        error_severity: Some("warning".to_owned()),
        error_app_tag: Some("ncgate".to_owned()),
        error_message: Some(
            "the candidate has changed and nothing is committed: it stays so, for everybody to commit or discard"
                .to_owned(),
        ),
        ..RpcError::default()
    }
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
