//! What changes something in an edit session: edits, checks and discards. `service::edit::ground` knows the RPCs; they
//! run in the session one piece of work at a time.

use std::sync::{Arc, OnceLock};

use super::sending::{Looking, Manner, Stopped};
use super::{Used, record};
use crate::device::{Answer, EditMode, Judge, Look, Start};
use crate::error::{Error, ErrorCode, Outcome};
use crate::netconf::datastore::Datastore;
use crate::service::Gateway;
use crate::service::call::{CallContext, Role};
use crate::service::edit::differing::Differing;
use crate::service::edit::ground::{Dialect, Ground};
use crate::service::edit::request::{
    DiscardRequest, Edit, EditBody, EditRequest, ErrorOption, Mode, ValidateRequest,
};
use crate::service::edit::script::{Step, StepName};
use crate::service::edit::view::{EditSessionView, Planned};
use crate::service::operations::Ticket;
use crate::service::view::Plan;
use crate::service::{evidence, failure, held, history, prepare};

impl Gateway {
    /// Changes what the edit session works on. Role `configure`; its owner or an admin.
    ///
    /// # Errors
    /// `invalid-argument` with a pointer into the edit; `lock-denied`, reason `candidate_modified`, when it would take the
    /// place of what others left in the shared candidate; the device's refusal, after which a part of the edit may be there
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
        let wipes = ground.mode == Mode::Shared
            && !at_once
            && request.edit.takes_the_place_of_all()
            && !request.edit.discard_others;
        let look = wipes.then(|| Differing::new(ground.dialect, used.handle.capabilities()));
        let look = look.transpose();
        let look = look.map_err(|error| used.on_device(failure::unbuildable(&error)))?;
        let step = self.edit_step(&used, ground, request.edit).await?;
        if request.plan {
            let looking = look.into_iter().flat_map(|look| look.steps);
            let steps: Vec<Step> = before.into_iter().chain(looking).chain([step]).collect();
            return Ok(Planned::Plan(used.plan(&steps)));
        }
        let running = used.read_before_edits(self, ctx, before).await?;
        let look = look.map(|look| used.nothing_of_others(look));
        self.begin_at_once(ctx, &used.record, running).await?;
        let planned = used.act(self, ctx, vec![step], look).await;
        planned.map_err(|error| match error.outcome() {
            Outcome::NotApplied if at_once && !all_or_nothing => error
                .with_outcome(Outcome::Unknown)
                .with_hint("the edit acts at once, and the device may have done a part of it"),
            // The outcome is about what the device runs (H3), and that is as it was. The candidate need not be: the device
            // keeps the statements before the one that it refused (Junos), or those that it had done (RFC 6241 section
            // 7.2, `stop-on-error`). The answer tells that, and so does `uncommitted`.
            Outcome::NotApplied
                if !all_or_nothing
                    && error.step() == Some(StepName::Edit.as_str())
                    && used.handle.status().uncommitted() =>
            {
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
    /// `operation-failed` and others for what is wrong with it; `confirmed-commit-pending` where it could confirm what
    /// somebody else waits for; as [`Self::apply_edit`].
    pub async fn validate_edit_session(
        &self,
        ctx: &CallContext,
        device: &str,
        id: &str,
        request: ValidateRequest,
    ) -> Result<Planned<EditSessionView>, Error> {
        let ValidateRequest { confirm_others, plan } = request;
        if confirm_others {
            ctx.principal.require(Role::Admin)?;
        }
        let used = self.change_in(ctx, device, id, plan).await?;
        if !plan {
            // A check confirms on some devices.
            self.nothing_is_open(&used.record)?;
            ctx.ticket.came_to(Outcome::NotApplied);
        }
        let ground = used.ground()?;
        let built = ground.validate(used.handle.capabilities());
        let step = built.map_err(|error| used.on_device(failure::unbuildable(&error)))?;
        let mut before = None;
        if step.is_some() && ground.dialect == Dialect::Junos && !confirm_others {
            let look = history::step(used.handle.capabilities(), false);
            let look = look.map_err(|error| used.on_device(failure::unbuildable(&error)))?;
            if plan {
                before = Some(look);
            } else {
                self.no_check_confirms(ctx, &used, look).await?;
            }
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
        let steps: Vec<Step> = before.into_iter().chain(step).collect();
        if plan {
            return Ok(Planned::Plan(used.plan(&steps)));
        }
        self.begin_at_once(ctx, &used.record, None).await?;
        used.act(self, ctx, steps, None).await
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
        if request.plan {
            return Ok(Planned::Plan(used.plan(&steps)));
        }
        self.begin_at_once(ctx, &used.record, None).await?;
        used.act(self, ctx, steps, None).await
    }

    /// On Junos a check confirms, also what somebody else waits for (E2).
    async fn no_check_confirms(&self, ctx: &CallContext, used: &Used, look: Step) -> Result<(), Error> {
        let by = ctx.deadline.map(|_| self.deadline(ctx, &used.device));
        let (start, ticket) = (Start::default(), Ticket::default());
        // A caller who leaves now takes the check back, so the call does not count as sent.
        let sent = used.send_by(by, vec![look], start, &ticket, Manner::default());
        let read = match sent.await {
            Ok(replies) => {
                let read = replies.iter().map(|raw| history::parse(used.record.name(), raw));
                read.collect::<Result<Vec<_>, Error>>()
            }
            Err(failed) => Err(failed.error),
        };
        match read {
            Ok(histories) => histories.iter().try_for_each(|history| {
                let checked = self.no_commit_of_others(history);
                checked.map_err(|error| used.on_device(error.with_outcome(Outcome::NotApplied)))
            }),
            // A user who may not see the history may check all the same.
            Err(error) if evidence::is_hidden(&error) => {
                used.warn_of(evidence::HIDDEN, &error);
                Ok(())
            }
            Err(error) => Err(error),
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
        let bytes = match &edit.body {
            EditBody::Config(text) => text.len(),
            EditBody::Url(_) | EditBody::Rollback(_) | EditBody::Rescue | EditBody::ReplacePattern { .. } => {
                0
            }
        };
        let (capabilities, gateway) = (used.handle.capabilities().clone(), self.clone());
        let build = move || ground.edit(&capabilities, &gateway.inner.urls, &edit, "");
        prepare::beside(bytes, build)
            .await
            .map_err(|error| used.on_device(error))
    }
}

impl Used {
    /// Sends steps, unless the look before them is against it. The answer is the edit session as it is then.
    async fn act(
        &self,
        gateway: &Gateway,
        ctx: &CallContext,
        steps: Vec<Step>,
        look: Option<Looking>,
    ) -> Result<Planned<EditSessionView>, Error> {
        if !steps.is_empty() {
            let checks = steps.iter().any(|step| step.name == StepName::Validate);
            // While it waits for the candidate of everybody a confirmed commit may be made, which what is edited then would
            // keep from being confirmed.
            let facts = self.handle.facts();
            let shares = facts.mode == EditMode::Shared && facts.datastore == Datastore::Candidate;
            // It lasts as long as the session is at work, and until it is known that the check was lost.
            let passing = (checks || shares).then(|| gateway.passing(&self.record));
            let by = ctx.deadline.map(|_| gateway.deadline(ctx, &self.device));
            let manner = Manner {
                hand_over: None,
                passing: passing.as_ref(),
                look,
            };
            let sent = self.send_by(by, steps, Start::default(), &ctx.ticket, manner);
            if let Err(failed) = sent.await {
                let lost = failed.step == StepName::Validate && failed.sent == Some(Stopped::Lost);
                if lost && self.handle.capabilities().is_junos() {
                    gateway.check_was_lost(&self.record);
                }
                return Err(failed.error);
            }
        }
        Ok(Planned::Done(ctx.ticket.answers(self.view())))
    }

    /// Others' uncommitted changes do not go unseen: they are looked for when the turn of the candidate has come, so that
    /// nobody edits it between the look and what follows.
    fn nothing_of_others(&self, differing: Differing) -> Looking {
        let steps = differing.steps.iter().cloned();
        let steps = steps.map(|step| held::asked(step).0).collect();
        let refused = Arc::new(OnceLock::new());
        let (used, why) = (self.clone(), refused.clone());
        let judge: Judge = Box::new(move |answers| {
            Box::pin(async move {
                let judged = used.judge_others(&differing, answers).await;
                if let Err(error) = judged {
                    // It is asked once, so nothing is there yet.
                    let _ = why.set(error);
                    return false;
                }
                true
            })
        });
        Looking {
            look: Look { steps, judge },
            refused,
        }
    }

    async fn judge_others(&self, differing: &Differing, answers: Vec<Answer>) -> Result<(), Error> {
        let name = self.record.name();
        let replies = answers.into_iter().map(|answer| held::judge(name, answer));
        let replies = replies.collect::<Result<Vec<_>, Error>>();
        let replies = replies.map_err(|error| error.with_step(StepName::Diff.as_str()))?;
        let diff = differing.read(name, replies).await?;
        if diff.is_empty() {
            return Ok(());
        }
        Err(self.on_device(failure::others_in_the_way(differing.dialect(), diff)))
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
