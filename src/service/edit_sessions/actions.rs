//! What changes something in an edit session: edits, checks and discards. `service::edit::ground` knows the RPCs; they
//! run in the session one piece of work at a time.

use super::{Used, record};
use crate::device::{EditMode, Start};
use crate::error::{Error, ErrorCode, Outcome};
use crate::netconf::datastore::Datastore;
use crate::service::Gateway;
use crate::service::call::{CallContext, Role};
use crate::service::edit::ground::{Dialect, Ground};
use crate::service::edit::request::{DiscardRequest, Edit, EditBody, EditRequest, ErrorOption, Mode};
use crate::service::edit::script::{Step, StepName};
use crate::service::edit::view::{EditSessionView, Planned};
use crate::service::operations::Leaving;
use crate::service::view::Plan;
use crate::service::{evidence, failure, history};

/// Bytes of configuration from which on it is turned into XML beside the threads that serve everybody.
const LARGE: usize = 256 << 10;

impl Gateway {
    /// Changes what the edit session works on. Role `configure`; its owner or an admin.
    ///
    /// # Errors
    /// `invalid-argument` with a pointer into the edit; the device's refusal, after which a part of the edit may be there
    /// until it is discarded; `not-owner`, and the codes of an edit session that has ended.
    ///
    /// # Cancel safety
    /// Dropping the future while it waits for its turn keeps the edit from being sent.
    pub async fn apply_edit(
        &self,
        ctx: &CallContext,
        device: &str,
        id: &str,
        request: EditRequest,
    ) -> Result<Planned<EditSessionView>, Error> {
        let used = self.change_in(ctx, device, id, request.plan).await?;
        let ground = used.ground()?;
        let at_once = ground.target != Datastore::Candidate;
        let all_or_nothing = request.edit.error_option == Some(ErrorOption::RollbackOnError);
        let before = used.before_edits(&ground)?;
        let step = self.edit_step(&used, ground, request.edit).await?;
        let steps = if request.plan {
            before.into_iter().chain([step]).collect()
        } else {
            used.read_before_edits(self, ctx, before).await?;
            vec![step]
        };
        let planned = used.act(self, ctx, steps, request.plan).await;
        planned.map_err(|error| match error.outcome() {
            Outcome::NotApplied if at_once && !all_or_nothing => error
                .with_outcome(Outcome::Unknown)
                .with_hint("the edit acts at once, and the device may have done a part of it"),
            // The outcome is about what the device runs (H3), and that is as it was. The candidate need not be: the device
            // keeps the statements before the one that it refused (Junos), or those that it had done (RFC 6241 section
            // 7.2, `stop-on-error`). The answer tells that, and so does `uncommitted`.
            Outcome::NotApplied if !all_or_nothing && used.handle.status().uncommitted() => {
                let said = "statements before the refused one may stand in the candidate now (uncommitted is true); \
                            discard removes them, and what was edited before";
                let hint = match error.hint() {
                    Some(hint) => format!("{hint}; {said}"),
                    None => said.to_owned(),
                };
                error.with_hint(hint)
            }
            Outcome::NotSent | Outcome::NotApplied | Outcome::Applied | Outcome::Unknown => error,
        })
    }

    /// Has the device check what would be committed (S14). Role `configure`; its owner or an admin.
    ///
    /// # Errors
    /// `operation-failed` and others for what is wrong with it; as [`Self::apply_edit`].
    pub async fn validate_edit_session(
        &self,
        ctx: &CallContext,
        device: &str,
        id: &str,
        plan: bool,
    ) -> Result<Planned<EditSessionView>, Error> {
        let used = self.change_in(ctx, device, id, plan).await?;
        if !plan {
            // A check confirms on some devices.
            self.nothing_is_open(&used.record)?;
            ctx.ticket.came_to(Outcome::NotApplied);
        }
        let ground = used.ground()?;
        let built = ground.validate(used.handle.capabilities());
        let step = built.map_err(|error| used.on_device(failure::unbuildable(&error)))?;
        if step.is_some() && ground.dialect == Dialect::Junos && !plan {
            self.no_check_confirms(ctx, &used).await?;
        }
        if step.is_none() && !plan {
            let why = if ground.skip_validate {
                "the device's settings switch validation off"
            } else if ground.mode == EditMode::Ephemeral {
                "data of an ephemeral instance are not validated"
            } else {
                "the device validates nothing here"
            };
            used.handle
                .warn([record::warning(format!("nothing was checked: {why}"))]);
        }
        used.act(self, ctx, step.into_iter().collect(), plan).await
    }

    /// Takes back what was not committed; in mode `shared` that of everybody, which must be asked for. Role `configure`;
    /// its owner or an admin.
    ///
    /// # Errors
    /// `invalid-argument` without `discard_others` in mode `shared`; `invalid-state` where edits act at once; as
    /// [`Self::apply_edit`].
    pub async fn discard_edit_session(
        &self,
        ctx: &CallContext,
        device: &str,
        id: &str,
        request: DiscardRequest,
    ) -> Result<Planned<EditSessionView>, Error> {
        let used = self.change_in(ctx, device, id, request.plan).await?;
        let ground = used.ground()?;
        if ground.mode == Mode::Shared && !request.discard_others {
            let detail = "the shared candidate is everybody's: its uncommitted changes go all together";
            return Err(used
                .on_device(Error::invalid("/discard_others", detail))
                .with_hint("discard_others: true discards the changes of others as well"));
        }
        let built = ground.discard(used.handle.capabilities());
        let steps = built.map_err(|error| used.on_device(failure::unbuildable(&error)))?;
        if steps.is_empty() {
            return Err(used.at_once("there is nothing to discard"));
        }
        used.act(self, ctx, steps, request.plan).await
    }

    /// On Junos a check confirms, also what somebody else waits for (E2).
    async fn no_check_confirms(&self, ctx: &CallContext, used: &Used) -> Result<(), Error> {
        let built = history::step(used.handle.capabilities(), false);
        let step = built.map_err(|error| used.on_device(failure::unbuildable(&error)))?;
        match used.send(self, ctx, vec![step]).await {
            Ok(replies) => {
                for raw in &replies {
                    let history = history::parse(used.record.name(), raw)?;
                    let checked = self.no_commit_of_others(&history);
                    checked.map_err(|error| used.on_device(error.with_outcome(Outcome::NotApplied)))?;
                }
                Ok(())
            }
            // A user who may not see the history may check all the same.
            Err(failed) if evidence::is_hidden(&failed.error) => {
                let words = format!("{}: {}", evidence::HIDDEN, failed.error.detail());
                used.handle.warn([record::warning(words)]);
                Ok(())
            }
            Err(failed) => Err(failed.error),
        }
    }

    /// An edit session that the caller may change something in.
    pub(super) async fn change_in(
        &self,
        ctx: &CallContext,
        device: &str,
        id: &str,
        plan: bool,
    ) -> Result<Used, Error> {
        ctx.principal.require(Role::Configure)?;
        let used = self.use_edit_session(ctx, device, id).await?;
        if !plan {
            self.accepting()?;
            // Copies and instances are nobody else's.
            if matches!(used.handle.facts().mode, EditMode::Exclusive | EditMode::Shared) {
                self.nothing_is_open(&used.record)?;
            }
        }
        Ok(used)
    }

    /// Builds the RPC of an edit, beside the threads that serve everybody if there is much to convert.
    async fn edit_step(&self, used: &Used, ground: Ground, edit: Edit) -> Result<Step, Error> {
        let large = matches!(&edit.body, EditBody::Config(text) if text.len() >= LARGE);
        let (capabilities, gateway) = (used.handle.capabilities().clone(), self.clone());
        let build = move || ground.edit(&capabilities, &gateway.inner.urls, &edit, "");
        let built = if large {
            let built = tokio::task::spawn_blocking(build).await;
            built.unwrap_or_else(|_| Err(Error::new(ErrorCode::Draining, "the gateway shuts down")))
        } else {
            build()
        };
        built.map_err(|error| used.on_device(error))
    }
}

impl Used {
    /// Sends steps, or shows them. The answer is the edit session as it is then.
    async fn act(
        &self,
        gateway: &Gateway,
        ctx: &CallContext,
        steps: Vec<Step>,
        plan: bool,
    ) -> Result<Planned<EditSessionView>, Error> {
        if plan {
            return Ok(Planned::Plan(self.plan(&steps)));
        }
        gateway.begin(ctx, &self.record, Leaving::UnlessSent).await?;
        if !steps.is_empty() {
            let checks = steps.iter().any(|step| step.name == StepName::Validate);
            let passage = checks.then(|| gateway.pass(&self.record)).transpose()?;
            let by = ctx.deadline.map(|_| gateway.deadline(ctx, &self.device));
            let sent = self.send_by(by, steps, Start::default(), None, &ctx.ticket, passage);
            sent.await.map_err(|failed| failed.error)?;
        }
        Ok(Planned::Done(ctx.ticket.answers(self.view())))
    }

    pub(super) fn plan<'a>(&self, steps: impl IntoIterator<Item = &'a Step>) -> Plan {
        let rpcs = steps.into_iter().map(|step| step.rpc.body.as_str().to_owned());
        Plan {
            device: self.record.name().to_owned(),
            rpcs: rpcs.collect(),
        }
    }

    /// Edits of running and startup act at once.
    pub(super) fn at_once(&self, what: &str) -> Error {
        let datastore = self.handle.facts().datastore.as_str();
        let detail = format!("edits of {datastore} act at once, so {what}");
        self.on_device(Error::new(ErrorCode::InvalidState, detail))
    }
}
