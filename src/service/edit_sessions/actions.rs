//! What changes something in an edit session: edits, checks, discards and commits. `service::edit::ground` knows the
//! RPCs; they run in the session one piece of work at a time.

use std::pin::pin;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::{Used, record};
use crate::device::{self, DeviceError, EditMode, Request, RunError, Start, Work};
use crate::error::{Error, ErrorCode, Outcome};
use crate::netconf::datastore::Datastore;
use crate::netconf::rpc_error::RpcError;
use crate::pool::Touch;
use crate::service::Gateway;
use crate::service::call::{CallContext, Role};
use crate::service::changes::NewCommit;
use crate::service::edit::differing;
use crate::service::edit::ground::{self, Ground, marker};
use crate::service::edit::reading::{self, Committed};
use crate::service::edit::request::{
    CommitOptions, CommitRequest, DiscardRequest, Edit, EditBody, EditRequest, ErrorOption, Mode,
};
use crate::service::edit::script::{Step, StepName, Tells};
use crate::service::edit::snapshot::Snapshot;
use crate::service::edit::view::{CommitView, EditSessionView, MemberView, Planned};
use crate::service::failure::{self, Asked};
use crate::service::view::Plan;
use crate::session::RawReply;

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
        let step = self.edit_step(&used, ground, request.edit).await?;
        let planned = used.act(self, ctx, vec![step], request.plan).await;
        planned.map_err(|error| match error.outcome() {
            Outcome::NotApplied if at_once && !all_or_nothing => error
                .with_outcome(Outcome::Unknown)
                .with_hint("the edit acts at once, and the device may have done a part of it"),
            Outcome::NotApplied if used.handle.status().uncommitted() => {
                error.with_hint("what the device understood of it stays until it is discarded")
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
        let ground = used.ground()?;
        let built = ground.validate(used.handle.capabilities());
        let step = built.map_err(|error| used.on_device(failure::unbuildable(&error)))?;
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

    /// Commits. The answer tells what each member of the device said and the new revision. Role `configure`; its owner or
    /// an admin.
    ///
    /// # Errors
    /// `operation-failed` with everything that the device says is wrong; `partial-operation` and others with outcome
    /// `unknown` when a member committed nevertheless, or no reply came; as [`Self::apply_edit`].
    ///
    /// # Cancel safety
    /// Dropping the future while it waits for its turn keeps the commit from being sent; afterwards it runs to its end,
    /// and its record, a change of the same id, tells what came of it.
    pub async fn commit_edit_session(
        &self,
        ctx: &CallContext,
        device: &str,
        id: &str,
        request: CommitRequest,
    ) -> Result<Planned<EditSessionView>, Error> {
        if request.options.at.is_some() {
            // What the device does later must be found again, and called off, when the edit session is long over.
            let detail = "an edit session cannot schedule a commit, a change can";
            return Err(Error::invalid("/at", detail).with_device(device));
        }
        let used = self.change_in(ctx, device, id, request.plan).await?;
        let ground = used.ground()?;
        if !request.plan {
            self.no_scheduled_commit(ctx, &used.record, &used.device).await?;
        }
        let commit_id = self.inner.store.new_id();
        let owner = ctx.principal.id();
        let marker = marker(&commit_id, owner);
        let steps = commit_steps(&used, &ground, &request.options, &marker)?;
        if request.plan {
            return Ok(Planned::Plan(used.plan(&steps)));
        }
        let recorded = self
            .record_commit(NewCommit {
                id: commit_id.clone(),
                device: &used.record,
                owner,
                mode: ground.mode,
                session_id: used.handle.session_id(),
                marker,
            })
            .await
            .map_err(|error| used.on_device(error))?;
        let (gateway, ctx) = (self.clone(), ctx.clone());
        let (mut answer, answered) = oneshot::channel();
        // Whoever leaves takes back what was not begun (Q7); the rest is recorded without him.
        self.inner.tasks.spawn(async move {
            let start = Start::default();
            let mut commit = pin!(used.commit(&gateway, &ctx, &ground, steps, start.clone()));
            let result = tokio::select! {
                result = &mut commit => result,
                () = answer.closed() => if start.take_back() {
                    let detail = "the caller left before the commit had its turn";
                    Err(used.on_device(Error::new(ErrorCode::Cancelled, detail)))
                } else {
                    commit.await
                },
            };
            let result = match result {
                Ok(told) => {
                    recorded.committed(&told).await;
                    let mut session = used.view();
                    session.commit = Some(CommitView {
                        id: commit_id,
                        members: told.members.iter().map(MemberView::from).collect(),
                        revision: told.revision,
                    });
                    Ok(Planned::Done(session))
                }
                Err(error) => Err(recorded.failed(error).await),
            };
            // A caller who left is told nothing; the record says it.
            let _ = answer.send(result);
        });
        answered.await.unwrap_or_else(|_| {
            let detail = "the gateway ended before the commit did";
            Err(Error::new(ErrorCode::Internal, detail).with_outcome(Outcome::Unknown))
        })
    }

    /// An edit session that the caller may change something in.
    async fn change_in(&self, ctx: &CallContext, device: &str, id: &str, plan: bool) -> Result<Used, Error> {
        ctx.principal.require(Role::Configure)?;
        let used = self.use_edit_session(ctx, device, id).await?;
        if !plan {
            self.accepting()?;
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

/// The commit, what saves it, and around it, where the device is known to say ok for nothing, what tells whether it was
/// done.
fn commit_steps(
    used: &Used,
    ground: &Ground,
    options: &CommitOptions,
    marker: &str,
) -> Result<Vec<Step>, Error> {
    let capabilities = used.handle.capabilities();
    let built = |error| used.on_device(failure::unbuildable(&error));
    let commit = ground
        .commit(capabilities, options, marker, "")
        .map_err(|error| used.on_device(error))?;
    let Some(commit) = commit else {
        return Err(used.at_once("there is nothing to commit"));
    };
    // What a copy or an instance becomes in running depends on others.
    let whole = matches!(ground.mode, Mode::Exclusive | Mode::Shared);
    let verified = ground.verify && whole;
    let mut steps = Vec::new();
    let read =
        |datastore, tells| ground::read(capabilities, StepName::Verify, datastore, tells).map_err(built);
    if verified {
        steps.push(read(Datastore::Running, Tells::Before)?);
        steps.push(read(Datastore::Candidate, Tells::After)?);
    }
    steps.push(commit);
    if verified {
        steps.push(read(Datastore::Running, Tells::Committed)?);
    }
    steps.extend(ground.save(capabilities, options.save).map_err(built)?);
    Ok(steps)
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
        if !steps.is_empty() {
            self.send(gateway, ctx, steps)
                .await
                .map_err(|failed| failed.error)?;
        }
        Ok(Planned::Done(self.view()))
    }

    fn plan(&self, steps: &[Step]) -> Plan {
        Plan {
            device: self.record.name().to_owned(),
            rpcs: steps
                .iter()
                .map(|step| step.rpc.body.as_str().to_owned())
                .collect(),
        }
    }

    /// Edits of running and startup act at once.
    pub(super) fn at_once(&self, what: &str) -> Error {
        let datastore = self.handle.facts().datastore.as_str();
        let detail = format!("edits of {datastore} act at once, so {what}");
        self.on_device(Error::new(ErrorCode::InvalidState, detail))
    }

    /// Sends the steps of a commit, and reads what came of it.
    async fn commit(
        &self,
        gateway: &Gateway,
        ctx: &CallContext,
        ground: &Ground,
        steps: Vec<Step>,
        start: Start,
    ) -> Result<Committed, Error> {
        let tells: Vec<Tells> = steps.iter().map(|step| step.tells).collect();
        let (replies, failed) = match self.send_unless(gateway, ctx, steps, start).await {
            Ok(replies) => (replies, None),
            Err(failed) => (failed.before, Some((failed.step, failed.error))),
        };
        let mut told = None;
        let (mut before, mut after) = (None, None);
        for (tells, raw) in tells.into_iter().zip(replies) {
            match tells {
                Tells::Commit => told = Some(reading::committed(&raw)),
                Tells::Before => before = Some(differing::snapshot(self.record.name(), raw).await?),
                Tells::After => after = Some(differing::snapshot(self.record.name(), raw).await?),
                Tells::Committed => {
                    let running = differing::snapshot(self.record.name(), raw).await;
                    // What was sent may count by now.
                    let running = running.map_err(|error| error.with_outcome(Outcome::Unknown))?;
                    self.verify(before.as_ref(), after.as_ref(), &running)?;
                }
                Tells::Nothing | Tells::History | Tells::Leftovers | Tells::Difference => {}
            }
        }
        match (told, failed) {
            (Some(told), None) => Ok(told),
            // The commit counts; what should have followed did not.
            (Some(_), Some((StepName::Save, error))) => Err(error
                .with_outcome(Outcome::Applied)
                .with_hint("the commit is made; only running was not saved to startup")),
            (Some(_), Some((_, error))) => Err(error
                .with_outcome(if ground.verify {
                    Outcome::Unknown
                } else {
                    Outcome::Applied
                })
                .with_hint("the device said ok to the commit; it was not verified")),
            (None, Some((_, error))) => Err(error),
            (None, None) => Err(self.on_device(Error::new(ErrorCode::Internal, "nothing was sent"))),
        }
    }

    /// Holds what is running against what the candidate was (`verify_after_commit`).
    fn verify(
        &self,
        before: Option<&Snapshot>,
        after: Option<&Snapshot>,
        running: &Snapshot,
    ) -> Result<(), Error> {
        let Some(after) = after.filter(|after| !after.same(running)) else {
            return Ok(());
        };
        let untouched = before.is_some_and(|before| before.same(running));
        let (code, outcome, detail) = if untouched {
            (
                ErrorCode::OperationFailed,
                Outcome::NotApplied,
                "the device said ok to the commit, and running is as it was before",
            )
        } else {
            (
                ErrorCode::PartialOperation,
                Outcome::Unknown,
                "the device said ok to the commit, and running is not what was committed",
            )
        };
        Err(self
            .on_device(Error::new(code, detail))
            .with_step(StepName::Verify.as_str())
            .with_outcome(outcome)
            .with_diff(running.difference(after)))
    }

    /// Sends steps in the session, as one piece of work. All replies, none of them an error; their warnings stay with the
    /// edit session.
    pub(super) async fn send(
        &self,
        gateway: &Gateway,
        ctx: &CallContext,
        steps: Vec<Step>,
    ) -> Result<Vec<RawReply>, Failed> {
        self.send_unless(gateway, ctx, steps, Start::default()).await
    }

    /// As [`Self::send`], unless it is taken back before.
    async fn send_unless(
        &self,
        gateway: &Gateway,
        ctx: &CallContext,
        steps: Vec<Step>,
        start: Start,
    ) -> Result<Vec<RawReply>, Failed> {
        let names: Vec<(StepName, Touch)> = steps.iter().map(|step| (step.name, step.touch)).collect();
        let commits = names.iter().any(|(name, _)| *name == StepName::Commit);
        let reads = names.iter().all(|(_, touch)| *touch == Touch::Nothing);
        let facts = self.handle.facts();
        let now = gateway.inner.clock.now();
        let deadline = match ctx.deadline {
            None if !reads || names.iter().any(|(name, _)| *name == StepName::Validate) => {
                now + self.commit_time()
            }
            Some(_) | None => gateway.deadline(ctx, &self.device),
        };
        // Commits of private copies, and whatever is done to the candidate without its lock, take its lane.
        let in_lane = match facts.mode {
            EditMode::Exclusive | EditMode::Ephemeral => false,
            EditMode::Private => commits,
            EditMode::Shared => !reads && facts.datastore == Datastore::Candidate,
        };
        let requests = steps.into_iter().map(|step| {
            let Step { rpc, touch, .. } = step;
            let request = Request {
                build: Box::new(move |_| Ok(rpc)),
                attributes: Vec::new(),
                selection: None,
            };
            (request, touch)
        });
        let work = Work {
            steps: requests.collect(),
            lane: in_lane.then(|| self.patience(deadline)),
            start,
        };
        let answers = match self.handle.run(deadline, work).await {
            Ok(answers) => answers,
            Err(RunError::Device(error)) => return Err(Failed::first(&names, failure::device(error))),
            Err(error) => return Err(Failed::first(&names, self.ended(&error))),
        };
        let mut replies = Vec::with_capacity(answers.len());
        for (answer, (step, _)) in answers.into_iter().zip(names) {
            let raw = match answer {
                Ok(raw) => raw,
                Err(error) => {
                    return Err(Failed {
                        step,
                        error: lost(step, error),
                        before: replies,
                    });
                }
            };
            self.handle.warn(raw.scan.warnings.iter().cloned());
            if raw.scan.is_error() {
                return Err(Failed {
                    step,
                    error: self.refused(step, raw),
                    before: replies,
                });
            }
            replies.push(raw);
        }
        Ok(replies)
    }

    /// How long to wait for the candidate: not at all for an edit session that has it, which may keep it for an hour.
    fn patience(&self, deadline: Instant) -> Duration {
        let occupant = self.device.candidate_occupant().and_then(|occupant| occupant.id);
        match occupant.and_then(|id| self.device.edit_session(&id)) {
            Some(_) => Duration::ZERO,
            None => deadline.saturating_duration_since(Instant::now()),
        }
    }

    /// The device said no.
    fn refused(&self, step: StepName, raw: RawReply) -> Error {
        let (session_id, message_id) = (raw.session_id, raw.message_id);
        let members = reading::members(&raw.scan);
        let asked = match step {
            StepName::Edit | StepName::Validate | StepName::Commit | StepName::Save => Asked::Write,
            StepName::Lock
            | StepName::Open
            | StepName::Check
            | StepName::Diff
            | StepName::Verify
            | StepName::Discard
            | StepName::Unlock
            | StepName::Close => Asked::Read,
        };
        let errors: Vec<RpcError> = raw.scan.errors;
        let error = failure::refused(self.record.name(), session_id, errors, asked)
            .with_step(step.as_str())
            .with_message(Some(session_id), Some(message_id));
        if step != StepName::Commit {
            return error;
        }
        // M1: with one member's success it is not as it was.
        let error = if members.iter().any(|member| member.succeeded) {
            error.with_outcome(Outcome::Unknown)
        } else {
            error
        };
        error.with_members(members)
    }
}

/// Where a piece of work stopped.
pub(super) struct Failed {
    step: StepName,
    pub(super) error: Error,
    /// The replies to the steps before.
    before: Vec<RawReply>,
}

impl Failed {
    /// Nothing was sent.
    fn first(steps: &[(StepName, Touch)], error: Error) -> Self {
        Self {
            step: steps.first().map_or(StepName::Check, |(name, _)| *name),
            error,
            before: Vec::new(),
        }
    }
}

/// No reply.
fn lost(step: StepName, error: DeviceError) -> Error {
    let unknown = error.outcome == device::Outcome::Unknown;
    let error = failure::device(error).with_step(step.as_str());
    if step == StepName::Commit && unknown && error.code() == ErrorCode::SessionLost {
        return Error::new(ErrorCode::OutcomeUnknown, error.detail().to_owned())
            .with_device(error.device().unwrap_or_default())
            .with_step(step.as_str())
            .with_outcome(Outcome::Unknown)
            .with_message(error.session_id(), error.message_id().map(str::to_owned));
    }
    error
}
