//! The commit of an edit session, in three parts: a look at what it would change, its record, which says that it may have
//! been sent, and the commit itself (conventions E1, E2). Without a difference the second and the third are left out.

use std::pin::pin;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::Used;
use super::sending::{Failed, Stopped};
use crate::device::Start;
use crate::error::{Diff, Error, ErrorCode, Outcome};
use crate::netconf::datastore::Datastore;
use crate::service::Gateway;
use crate::service::call::CallContext;
use crate::service::changes::{NewCommit, Recorded};
use crate::service::edit::differing::{self, Differing};
use crate::service::edit::ground::{self, Ground, marker};
use crate::service::edit::reading::{self, Committed};
use crate::service::edit::request::{CommitOptions, CommitRequest, Mode};
use crate::service::edit::script::{Step, StepName, Tells};
use crate::service::edit::snapshot::Snapshot;
use crate::service::edit::view::{CommitView, EditSessionView, Planned};
use crate::service::failure;
use crate::session::RawReply;

/// What the caller of a commit gets.
type Answer = Result<Planned<EditSessionView>, Error>;

impl Gateway {
    /// Commits what differs; the answer tells what each member of the device said and the new revision. What differs in
    /// nothing is not committed, and the answer says `unchanged`; ephemeral instances cannot be compared, and are
    /// committed in any case (E5). Role `configure`; its owner or an admin.
    ///
    /// # Errors
    /// `operation-failed` with everything that the device says is wrong; `partial-operation` and others with outcome
    /// `unknown` when a member committed nevertheless, or no reply came; as [`Self::apply_edit`].
    ///
    /// # Cancel safety
    /// Dropping the future before the commit is begun keeps it from being sent; afterwards it runs to its end. Its record,
    /// a change of the same id, tells what came of it.
    pub async fn commit_edit_session(
        &self,
        ctx: &CallContext,
        device: &str,
        id: &str,
        request: CommitRequest,
    ) -> Answer {
        if request.options.at.is_some() {
            // What the device does later must be found again, and called off, when the edit session is long over.
            let detail = "an edit session cannot schedule a commit, a change can";
            return Err(Error::invalid("/at", detail).with_device(device));
        }
        let used = self.change_in(ctx, device, id, request.plan).await?;
        let by = ctx.deadline.map(|_| self.deadline(ctx, &used.device));
        let ground = used.ground()?;
        if !request.plan {
            self.no_scheduled_commit(ctx, &used.record, &used.device).await?;
        }
        let commit_id = self.inner.store.new_id();
        let owner = ctx.principal.id();
        let marker = marker(&commit_id, owner);
        let steps = commit_steps(&used, &ground, &request.options, &marker)?;
        let look = look(&used, &ground)?;
        if request.plan {
            let looking = look.map_or_else(Vec::new, |look| look.steps);
            return Ok(Planned::Plan(used.plan(looking.iter().chain(&steps))));
        }
        let record = self
            .record_commit(NewCommit {
                id: commit_id,
                device: &used.record,
                owner,
                mode: ground.mode,
                session_id: used.handle.session_id(),
                marker,
            })
            .await
            .map_err(|error| used.on_device(error))?;
        let commit = Commit {
            used,
            ground,
            by,
            record,
        };
        let (answer, answered) = oneshot::channel();
        self.inner.tasks.spawn(commit.run(look, steps, answer));
        answered.await.unwrap_or_else(|_| {
            let detail = "the gateway ended before the commit did";
            Err(Error::new(ErrorCode::Internal, detail).with_outcome(Outcome::Unknown))
        })
    }
}

/// What tells whether there is anything to commit. `None`: nothing does (E5).
fn look(used: &Used, ground: &Ground) -> Result<Option<Differing>, Error> {
    match ground.mode {
        Mode::Ephemeral => Ok(None),
        Mode::Exclusive | Mode::Private | Mode::Shared => {
            Differing::new(ground.dialect, used.handle.capabilities())
                .map(Some)
                .map_err(|error| used.on_device(failure::unbuildable(&error)))
        }
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

/// A commit under way.
struct Commit {
    used: Used,
    ground: Ground,
    /// When its caller wants it to be over.
    by: Option<Instant>,
    record: Recorded,
}

impl Commit {
    /// Runs to the end of the commit. Whoever leaves before it is begun takes it back (Q7); the rest is recorded without
    /// him.
    async fn run(mut self, look: Option<Differing>, steps: Vec<Step>, mut answer: oneshot::Sender<Answer>) {
        let (looked, begun) = (Start::default(), Start::default());
        let result = {
            let mut work = pin!(self.work(look, steps, &looked, &begun));
            tokio::select! {
                result = &mut work => result,
                () = answer.closed() => if begun.take_back() {
                    let detail = "the caller left before the commit had its turn";
                    let outcome = if looked.take_back() { Outcome::NotSent } else { Outcome::NotApplied };
                    Err(Error::new(ErrorCode::Cancelled, detail).with_outcome(outcome))
                } else {
                    work.await
                },
            }
        };
        let Self { used, record, .. } = self;
        let result = match result {
            Ok(told) => {
                let change = match told {
                    Some(told) => record.committed(&told).await,
                    None => record.unchanged().await,
                };
                let mut session = used.view();
                session.commit = Some(CommitView {
                    id: change.id,
                    state: change.state,
                    members: change.members,
                    revision: change.revision,
                });
                Ok(Planned::Done(session))
            }
            Err(error) => Err(record.failed(used.on_device(error)).await),
        };
        // A caller who left is told nothing; the record says it.
        let _ = answer.send(result);
    }

    /// Looks, records, sends. `None`: there was nothing to commit.
    async fn work(
        &mut self,
        look: Option<Differing>,
        steps: Vec<Step>,
        looked: &Start,
        begun: &Start,
    ) -> Result<Option<Committed>, Error> {
        let Some(look) = look else {
            return self.commit(steps, begun).await.map(Some);
        };
        let edited = self.used.handle.edited();
        let diff = self.look(look, looked).await?;
        if diff.is_empty() {
            self.used.handle.came_to_nothing(edited);
            return Ok(None);
        }
        match self.commit(steps, begun).await {
            Ok(told) => Ok(Some(told)),
            // Something was sent for this call, if only to look (H3).
            Err(error) if error.outcome() == Outcome::NotSent => Err(error.with_outcome(Outcome::NotApplied)),
            Err(error) => Err(error),
        }
    }

    /// What the commit would change, now.
    async fn look(&mut self, look: Differing, start: &Start) -> Result<Diff, Error> {
        let sent = self.send(look.steps.clone(), start).await;
        let replies = sent.map_err(|failed| failed.error)?;
        let diff = look.read(self.used.record.name(), replies).await?;
        self.record.looked(&diff)?;
        Ok(diff)
    }

    /// Stores that the commit may have been sent, sends it, and reads what came of it.
    async fn commit(&mut self, steps: Vec<Step>, start: &Start) -> Result<Committed, Error> {
        self.record.committing().await?;
        let tells: Vec<Tells> = steps.iter().map(|step| step.tells).collect();
        let (replies, failed) = match self.send(steps, start).await {
            Ok(replies) => (replies, None),
            Err(failed) => (failed.before, Some((failed.step, failed.error))),
        };
        let name = self.used.record.name();
        let mut told = None;
        let (mut before, mut after) = (None, None);
        for (tells, raw) in tells.into_iter().zip(replies) {
            match tells {
                Tells::Commit => told = Some(reading::committed(&raw)),
                Tells::Before => before = Some(differing::snapshot(name, raw).await?),
                Tells::After => after = Some(differing::snapshot(name, raw).await?),
                Tells::Committed => {
                    let running = differing::snapshot(name, raw).await;
                    // What was sent may count by now.
                    let running = running.map_err(|error| error.with_outcome(Outcome::Unknown))?;
                    verify(before.as_ref(), after.as_ref(), &running)?;
                }
                Tells::Nothing | Tells::Revision | Tells::Leftovers | Tells::Difference => {}
            }
        }
        match (told, failed) {
            (Some(told), None) => Ok(told),
            // The commit counts; what should have followed did not.
            (Some(_), Some((StepName::Save, error))) => Err(error
                .with_outcome(Outcome::Applied)
                .with_hint("the commit is made; only running was not saved to startup")),
            (Some(_), Some((_, error))) => Err(error
                .with_outcome(if self.ground.verify {
                    Outcome::Unknown
                } else {
                    Outcome::Applied
                })
                .with_hint("the device said ok to the commit; it was not verified")),
            (None, Some((_, error))) => Err(error),
            (None, None) => Err(Error::new(ErrorCode::Internal, "nothing was sent")),
        }
    }

    /// Sends steps, and keeps on record what came of each.
    async fn send(&mut self, steps: Vec<Step>, start: &Start) -> Result<Vec<RawReply>, Failed> {
        let names: Vec<StepName> = steps.iter().map(|step| step.name).collect();
        let sent = self.used.send_by(self.by, steps, start.clone()).await;
        let replies = match &sent {
            Ok(replies) => replies,
            Err(failed) => &failed.before,
        };
        for (name, raw) in names.into_iter().zip(replies) {
            self.record.done(name, raw);
        }
        if let Err(failed) = &sent {
            match failed.sent {
                Some(Stopped::Refused(took)) => self.record.refused(failed.step, took),
                Some(Stopped::Lost) => self.record.lost(failed.step),
                None => {}
            }
        }
        sent
    }
}

/// Holds what is running against what the candidate was (`verify_after_commit`).
fn verify(before: Option<&Snapshot>, after: Option<&Snapshot>, running: &Snapshot) -> Result<(), Error> {
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
    Err(Error::new(code, detail)
        .with_step(StepName::Verify.as_str())
        .with_outcome(outcome)
        .with_diff(running.difference(after)))
}
