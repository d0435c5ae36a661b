//! The commit of an edit session, in three parts: a look at what it would change (`looking`), its record, which says that it
//! may have been sent, and the commit itself (conventions E1, E2). Without a difference the second and the third are left
//! out.

use std::pin::pin;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::looking::{Look, Seen};
use super::sending::{Failed, Stopped};
use super::{Used, record};
use crate::device::{Held, Start};
use crate::error::{Error, ErrorCode, Outcome};
use crate::netconf::datastore::Datastore;
use crate::service::Gateway;
use crate::service::call::{CallContext, Role};
use crate::service::changes::{NewCommit, Recorded};
use crate::service::confirmed::{self, Announced, ConfirmedCommit, NewConfirmedCommit, Passage, Probe};
use crate::service::edit::differing;
use crate::service::edit::ground::{self, Confirm, Dialect, Ground, Verify, marker};
use crate::service::edit::reading::{self, Committed};
use crate::service::edit::request::{CommitOptions, CommitRequest, Mode};
use crate::service::edit::script::{Step, StepName, Tells};
use crate::service::edit::snapshot::Snapshot;
use crate::service::edit::view::{ChangeView, CommitView, EditSessionView, Planned, RpcErrorView};
use crate::service::evidence::{Evidence, Running};
use crate::service::operations::Ticket;
use crate::service::{failure, held};
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
        if request.options.confirm_others {
            ctx.principal.require(Role::Admin)?;
        }
        if let Some(seconds) = request.options.confirm_timeout_seconds {
            let least = self.least_confirm_timeout(device);
            confirmed::check_timeout(seconds, least, "/confirm_timeout_seconds")
                .map_err(|error| error.with_device(device))?;
        }
        let used = self.change_in(ctx, device, id, request.plan).await?;
        let confirms = request.options.confirm_timeout_seconds.is_some();
        let probe = request.probe.as_ref();
        let probe = probe.map(|probe| self.probe(&used.record, probe, confirms));
        let probe = probe.transpose().map_err(|error| used.on_device(error))?;
        let by = ctx.deadline.map(|_| self.deadline(ctx, &used.device));
        let mut ground = used.ground()?;
        if let Some(seconds) = request.options.confirm_timeout_seconds {
            let confirm = self.confirm(used.handle.capabilities(), seconds, "", request.plan);
            let confirm = confirm.map_err(|error| used.on_device(error))?;
            if let Some(probe) = &probe {
                self.check_probe_time(device, probe, confirm.timeout.rfc())
                    .map_err(|error| used.on_device(error))?;
            }
            ground.confirm = Some(confirm);
        }
        if !request.plan {
            self.nothing_is_open(&used.record)?;
            self.no_scheduled_commit(ctx, &used.record, &used.device).await?;
        }
        let commit_id = self.inner.store.new_id();
        let owner = ctx.principal.id();
        let marker = marker(&commit_id, owner);
        let steps = commit_steps(&used, &ground, &request.options, &marker)?;
        let look = Look::before_commit(&used, &ground)?;
        if request.plan {
            let looking = look.map_or_else(Vec::new, |look| look.steps());
            let mut plan = used.plan(looking.iter().chain(&steps));
            plan.rpcs.extend(probe.map(|probe| probe.rpc));
            return Ok(Planned::Plan(plan));
        }
        let record = self
            .record_commit(NewCommit {
                id: commit_id,
                device: &used.record,
                owner,
                request_id: &ctx.request_id,
                mode: ground.mode,
                instance: ground.instance.clone(),
                edit_session_id: id,
                session_id: used.handle.session_id(),
                marker,
                ticket: &ctx.ticket,
            })
            .await
            .map_err(|error| used.on_device(error))?;
        let record_of_device = used.record.clone();
        let commit = Commit {
            gateway: self.clone(),
            used,
            ground,
            options: request.options,
            probe,
            by,
            record,
            lost: None,
            passage: None,
        };
        let (answer, answered) = oneshot::channel();
        self.inner.tasks.spawn(commit.run(look, steps, answer));
        let committed = answered.await.unwrap_or_else(|_| {
            let detail = "the gateway ended before the commit did";
            Err(Error::new(ErrorCode::Internal, detail).with_outcome(Outcome::Unknown))
        })?;
        let Planned::Done(mut session) = committed else {
            return Ok(committed);
        };
        let pending = session.commit.as_ref();
        let pending = pending.and_then(|commit| commit.confirmed_commit.as_ref());
        if let Some(change) = self.probed(&record_of_device, pending, by).await? {
            session.commit = Some(commit_view(change));
        }
        Ok(Planned::Done(session))
    }
}

/// What a commit did, by its record.
fn commit_view(change: ChangeView) -> CommitView {
    CommitView {
        id: change.id,
        state: change.state,
        members: change.members,
        revision: change.revision,
        confirmed_commit: change.confirmed_commit,
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
    let verified = ground.verify == Verify::Whole && whole;
    let looked_after = ground.verify != Verify::Nothing && whole;
    let mut steps = Vec::new();
    let read =
        |datastore, tells| ground::read(capabilities, StepName::Verify, datastore, tells).map_err(built);
    if verified {
        steps.push(read(Datastore::Running, Tells::Before)?);
        steps.push(read(Datastore::Candidate, Tells::After)?);
    }
    steps.push(commit);
    if looked_after {
        steps.push(read(Datastore::Running, Tells::Committed)?);
    }
    if ground.confirm.is_none() {
        // Else when it is confirmed.
        steps.extend(ground.save(capabilities, options.save).map_err(built)?);
    }
    Ok(steps)
}

/// What came of a commit.
enum Done {
    Committed(Committed),
    /// There was nothing to commit.
    Unchanged,
    /// It has to be confirmed.
    Pending(Committed, Box<Pending>),
}

/// A confirmed commit, and the session that it was made in.
struct Pending {
    commit: ConfirmedCommit,
    announced: Announced,
    held: Option<Held>,
}

/// A commit under way.
pub(super) struct Commit {
    pub gateway: Gateway,
    pub used: Used,
    pub ground: Ground,
    pub options: CommitOptions,
    /// What confirms or cancels it.
    probe: Option<Probe>,
    /// When its caller wants it to be over.
    by: Option<Instant>,
    pub record: Recorded,
    /// What has to be confirmed, if it was made: no reply came.
    lost: Option<(ConfirmedCommit, Announced)>,
    /// Until it is known what came of it, or others see that this is being found out.
    passage: Option<Passage>,
}

impl Commit {
    /// Runs to the end of the commit. Whoever leaves before it is begun takes it back (Q7); the rest is recorded without
    /// him.
    async fn run(mut self, look: Option<Look>, steps: Vec<Step>, mut answer: oneshot::Sender<Answer>) {
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
        let Self {
            gateway,
            used,
            record,
            lost,
            passage: _passage,
            ..
        } = self;
        let result = match result {
            Ok(done) => {
                let change = match done {
                    Done::Committed(told) => record.committed(&told).await,
                    Done::Unchanged => record.unchanged().await,
                    Done::Pending(told, pending) => {
                        let Pending {
                            mut commit,
                            announced,
                            held,
                        } = *pending;
                        let mut change = record.pending(&told, &mut commit).await;
                        change.confirmed_commit = Some(commit.view());
                        gateway.guard(announced, commit, held, &used.record);
                        change
                    }
                };
                let mut session = used.view();
                session.commit = Some(commit_view(change));
                Ok(Planned::Done(session))
            }
            Err(error) => {
                let unknown = error.outcome() == Outcome::Unknown;
                let change_id = record.change_id().to_owned();
                let error = record.failed(used.on_device(error)).await;
                match lost {
                    Some((commit, announced)) => gateway.guard(announced, commit, None, &used.record),
                    None if unknown => gateway.resolve(used.record.clone(), change_id),
                    None => {}
                }
                Err(error)
            }
        };
        // A caller who left is told nothing; the record says it.
        let _ = answer.send(result);
    }

    /// Looks, records, sends.
    async fn work(
        &mut self,
        look: Option<Look>,
        steps: Vec<Step>,
        looked: &Start,
        begun: &Start,
    ) -> Result<Done, Error> {
        let Some(look) = look else {
            return self.commit(steps, begun).await;
        };
        let edited = self.used.handle.edited();
        if self.look(look, looked).await? == Seen::NoDifference {
            self.used.handle.came_to_nothing(edited);
            self.save_alone(steps, begun).await?;
            return Ok(Done::Unchanged);
        }
        match self.commit(steps, begun).await {
            Ok(done) => Ok(done),
            // Something was sent for this call, if only to look (H3).
            Err(error) if error.outcome() == Outcome::NotSent => Err(error.with_outcome(Outcome::NotApplied)),
            Err(error) => Err(error),
        }
    }

    /// Without a commit running is saved only if that was asked for in so many words (E7).
    async fn save_alone(&mut self, mut steps: Vec<Step>, start: &Start) -> Result<(), Error> {
        steps.retain(|step| step.name == StepName::Save && self.options.save == Some(true));
        if steps.is_empty() {
            return Ok(());
        }
        // What may still be undone must not be saved.
        self.gateway.nothing_is_open(&self.used.record)?;
        let sent = self.send(steps, start, None).await;
        sent.map(drop).map_err(|failed| {
            let error = failed.error.with_outcome(Outcome::NotApplied);
            error.with_hint(
                "there was nothing to commit; running was not saved to startup, or no reply says so",
            )
        })
    }

    /// What has to be confirmed, before it is sent. `None`: nothing has to be.
    fn confirmed(&mut self) -> Option<(ConfirmedCommit, Announced)> {
        let Confirm { timeout, persist } = self.ground.confirm.clone()?;
        let capabilities = self.used.handle.capabilities();
        let save = self.ground.save(capabilities, self.options.save);
        let asked = self.options.confirm_timeout_seconds;
        let rounded = asked.and_then(|asked| confirmed::rounded(asked, timeout.rfc()));
        self.used.handle.warn(rounded.clone().map(record::warning));
        let commit = self.gateway.new_confirmed_commit(NewConfirmedCommit {
            device_id: &self.used.record.id,
            device: self.used.record.name(),
            owner: self.used.handle.who(),
            change_id: self.record.change_id(),
            request_id: self.record.request_id(),
            timeout: timeout.rfc(),
            document: confirmed::Document {
                junos: self.ground.dialect == Dialect::Junos,
                persist,
                marker: self.record.marker().to_owned(),
                evidence: self.record.evidence().clone(),
                session_id: Some(self.used.handle.session_id()),
                save: matches!(save, Ok(Some(_))),
                synchronize: self.options.synchronize,
                probe: self.probe.take(),
                warnings: rounded.into_iter().map(RpcErrorView::warning).collect(),
                ..confirmed::Document::default()
            },
        });
        let announced = self.gateway.announce(&commit);
        Some((commit, announced))
    }

    /// Stores that the commit may have been sent, sends it, and reads what came of it.
    async fn commit(&mut self, steps: Vec<Step>, start: &Start) -> Result<Done, Error> {
        // It looked at the device meanwhile, and another's confirmed commit may have been sent.
        self.gateway.nothing_is_open(&self.used.record)?;
        let Some((mut commit, announced)) = self.confirmed() else {
            self.passage = Some(self.gateway.pass(&self.used.record)?);
            self.record.committing(None).await?;
            return self.send_commit(steps, start, None).await.map(Done::Committed);
        };
        let longest = Instant::now() + self.used.commit_time();
        let deadline = self.by.map_or(longest, |by| by.min(longest));
        self.gateway.clear_way(&self.used.record, deadline).await?;
        // That may have taken a while.
        let timeout = commit.timeout();
        commit.sending(&self.gateway.inner.clock, timeout);
        self.record.committing(Some(&mut commit)).await?;
        let (to, from) = oneshot::channel();
        match self.send_commit(steps, start, Some(to)).await {
            Ok(told) => {
                commit.armed(&self.gateway.inner.clock);
                commit.state = confirmed::State::Pending;
                // Without a session it is looked for by evidence.
                let held = from.await.ok();
                let pending = Pending {
                    commit,
                    announced,
                    held,
                };
                Ok(Done::Pending(told, Box::new(pending)))
            }
            Err(error) if error.outcome() == Outcome::Unknown => {
                commit.document.session_id = None;
                self.lost = Some((commit, announced));
                Err(error)
            }
            Err(error) => {
                match from.await {
                    // The device said ok to everything, and nothing came of it.
                    Ok(held) => self.disarm_in(&commit, held).await,
                    Err(_) => self.disarm(&commit, start).await,
                }
                self.record.never_made(&commit.row.id).await;
                Err(error)
            }
        }
    }

    /// There are servers on which one that failed waits all the same, and undoes in the end what was committed since.
    async fn disarm(&mut self, commit: &ConfirmedCommit, start: &Start) {
        let Some(persist) = commit.document.persist.as_deref() else {
            return;
        };
        if let Ok(step) = confirmed::disarm(self.used.handle.capabilities(), Some(persist)) {
            // Servers that do it right refuse it, because nothing waits under this token.
            let _ = self.send(vec![step], start, None).await;
        }
    }

    /// The same in the session that has left the edit session; it ends.
    async fn disarm_in(&self, commit: &ConfirmedCommit, mut held: Held) {
        let step = match commit.document.persist.as_deref() {
            Some(persist) => confirmed::disarm(&held.capabilities(), Some(persist)).ok(),
            None => None,
        };
        if let Some(step) = step {
            let deadline = Instant::now() + self.used.commit_time();
            let _ = held::send(step, &mut held, self.used.record.name(), deadline).await;
        }
        held.finish().await;
    }

    async fn send_commit(
        &mut self,
        steps: Vec<Step>,
        start: &Start,
        hand_over: Option<oneshot::Sender<Held>>,
    ) -> Result<Committed, Error> {
        let tells: Vec<Tells> = steps.iter().map(|step| step.tells).collect();
        let (replies, failed) = match self.send(steps, start, hand_over).await {
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
                    match self.ground.verify {
                        Verify::Nothing => {}
                        Verify::Moved => moved(self.record.evidence(), &running)?,
                        Verify::Whole => verify(before.as_ref(), after.as_ref(), &running)?,
                    }
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
            // It waits to be confirmed, which must not be lost sight of.
            (Some(told), Some((StepName::Verify, error)))
                if self.ground.verify == Verify::Moved && self.ground.confirm.is_some() =>
            {
                let words = format!("running could not be read after the commit: {}", error.detail());
                self.used.handle.warn([record::warning(words)]);
                Ok(told)
            }
            (Some(_), Some((_, error))) => Err(error
                .with_outcome(if self.ground.verify == Verify::Whole {
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
    pub async fn send(
        &mut self,
        steps: Vec<Step>,
        start: &Start,
        hand_over: Option<oneshot::Sender<Held>>,
    ) -> Result<Vec<RawReply>, Failed> {
        let names: Vec<StepName> = steps.iter().map(|step| step.name).collect();
        let sent = self
            .used
            .send_by(self.by, steps, start.clone(), hand_over, &Ticket::default(), None)
            .await;
        let replies = match &sent {
            Ok(replies) => replies,
            Err(failed) => &failed.before,
        };
        for (name, raw) in names.into_iter().zip(replies) {
            self.record.done(name, raw);
            if name == StepName::Commit {
                self.gateway.inner.pace.took(self.used.record.name(), raw.took());
            }
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

/// That something came of a commit by which running was to become another.
fn moved(evidence: &Evidence, running: &Snapshot) -> Result<(), Error> {
    let stays = evidence.running(&running.digest()) == Running::AsBefore;
    if !stays || evidence.before == evidence.expected {
        return Ok(());
    }
    let detail = "the device said ok to the commit, and running is as it was before";
    Err(Error::new(ErrorCode::OperationFailed, detail)
        .with_step(StepName::Verify.as_str())
        .with_outcome(Outcome::NotApplied))
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
