//! The commit of an edit session, in three parts: a look at what it would change (`looking`), its record, which says that it
//! may have been sent, and the commit itself (conventions E1, E2). Without a difference the second and the third are left
//! out.

use std::pin::pin;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::looking::{Look, Seen};
use super::sending::{Failed, Manner, Stopped};
use super::unconfirmed::Unconfirmed;
use super::{Used, record};
use crate::device::{Held, Start};
use crate::error::{Error, ErrorCode, Outcome};
use crate::netconf::datastore::Datastore;
use crate::service::Gateway;
use crate::service::call::{CallContext, Role};
use crate::service::changes::{NewCommit, Recorded};
use crate::service::confirmed::{self, Passing, Probe};
use crate::service::edit::commit::marker;
use crate::service::edit::differing;
use crate::service::edit::ground::{self, Ground, Verify};
use crate::service::edit::reading::{self, Committed};
use crate::service::edit::request::{CommitOptions, CommitRequest, Mode};
use crate::service::edit::script::{Step, StepName, Tells};
use crate::service::edit::snapshot::{self, Snapshot};
use crate::service::edit::verdict;
use crate::service::edit::view::{EditSessionView, Planned};
use crate::service::failure;
use crate::service::operations::Ticket;
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
            let looked = self.no_scheduled_commit(ctx, &used.record, &used.device).await;
            // Of this commit nothing is sent before it has a record.
            looked.map_err(|error| error.with_outcome(Outcome::NotSent))?;
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
            compared: None,
            answered: None,
            lost: None,
            passing: None,
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
            session.commit = Some(change.into());
        }
        Ok(Planned::Done(session))
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
    let save = ground.save(capabilities, options.save).map_err(built)?;
    // Else when it is confirmed.
    steps.extend(save.filter(|_| ground.confirm.is_none()));
    Ok(steps)
}

/// What came of a commit.
pub(super) enum Done {
    Committed(Committed),
    /// There was nothing to commit.
    Unchanged,
    /// It has to be confirmed.
    Pending(Committed, Box<Unconfirmed>),
}

/// A commit under way.
pub(super) struct Commit {
    pub gateway: Gateway,
    pub used: Used,
    pub ground: Ground,
    pub options: CommitOptions,
    /// What confirms or cancels it.
    pub probe: Option<Probe>,
    /// When its caller wants it to be over. What counts, and what follows from it, has its own time.
    pub by: Option<Instant>,
    pub record: Recorded,
    /// What running was before it, and what it is to become, where the gateway compared them.
    pub compared: Option<(Snapshot, Snapshot)>,
    /// When the device said ok to it.
    pub answered: Option<Instant>,
    /// What has to be confirmed, if it was made: no reply came, or another one than was to come.
    pub lost: Option<Unconfirmed>,
    /// Until it is known what came of it, or others see that this is being found out.
    passing: Option<Passing>,
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
            passing: _passing,
            ..
        } = self;
        let result = match result {
            Ok(done) => {
                let change = match done {
                    Done::Committed(told) => record.committed(&told).await,
                    Done::Unchanged => record.unchanged().await,
                    Done::Pending(told, pending) => {
                        let Unconfirmed {
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
                session.commit = Some(change.into());
                Ok(Planned::Done(session))
            }
            Err(error) => {
                let unknown = error.outcome() == Outcome::Unknown;
                let change_id = record.change_id().to_owned();
                if !unknown {
                    // Also when its caller took it back.
                    used.handle.commit_is_over(&change_id);
                }
                let error = record.failed(used.on_device(error)).await;
                match lost {
                    Some(Unconfirmed {
                        commit,
                        announced,
                        held,
                    }) => gateway.guard_unanswered(announced, commit, held, &used.record),
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
            return self.commit_edits(steps, begun).await;
        };
        let edited = self.used.handle.edited();
        if self.look(look, looked).await? == Seen::NoDifference {
            self.used.handle.came_to_nothing(edited);
            self.save_alone(begun).await?;
            return Ok(Done::Unchanged);
        }
        match self.commit_edits(steps, begun).await {
            Ok(done) => Ok(done),
            // Something was sent for this call, if only to look (H3).
            Err(error) if error.outcome() == Outcome::NotSent => Err(error.with_outcome(Outcome::NotApplied)),
            Err(error) => Err(error),
        }
    }

    /// Until the device has said no, nobody says that what was edited is not committed.
    async fn commit_edits(&mut self, steps: Vec<Step>, start: &Start) -> Result<Done, Error> {
        self.used.handle.committing(self.record.change_id());
        let done = self.commit(steps, start).await;
        let is_unknown = done
            .as_ref()
            .is_err_and(|error| error.outcome() == Outcome::Unknown);
        match is_unknown {
            true => self.used.handle.commit_is_unanswered(self.record.change_id()),
            false => self.used.handle.commit_is_over(self.record.change_id()),
        }
        done
    }

    /// Without a commit running is saved only if that was asked for in so many words (E7); then there is nothing to wait
    /// for that would have to be confirmed first.
    async fn save_alone(&mut self, start: &Start) -> Result<(), Error> {
        let wanted = self.options.save.filter(|save| *save);
        let save = wanted.map(|_| self.ground.save(self.used.handle.capabilities(), wanted));
        let save = save.transpose().map_err(|error| failure::unbuildable(&error))?;
        let steps = Vec::from_iter(save.flatten());
        if steps.is_empty() {
            return Ok(());
        }
        // What may still be undone must not be saved.
        self.gateway.nothing_is_open(&self.used.record)?;
        let sent = self.send(steps, start, None).await;
        sent.map(drop).map_err(|failed| {
            let unsaved = reading::unsaved(failed.error.outcome());
            let error = failed.error.with_outcome(Outcome::NotApplied);
            error.with_hint(format!("there was nothing to commit; {unsaved}"))
        })
    }

    /// Stores that the commit may have been sent, sends it, and reads what came of it.
    async fn commit(&mut self, steps: Vec<Step>, start: &Start) -> Result<Done, Error> {
        // It looked at the device meanwhile, and another's confirmed commit may have been sent.
        self.gateway.nothing_is_open(&self.used.record)?;
        if let Some((commit, announced)) = self.confirmed() {
            return self.commit_confirmed(commit, announced, steps, start).await;
        }
        self.passing = Some(self.gateway.passing(&self.used.record));
        self.record.committing(None).await?;
        self.send_commit(steps, start, None).await.map(Done::Committed)
    }

    /// Sends it, and what tells whether it was done. `hand_over`: where the session goes if it may count.
    pub async fn send_commit(
        &mut self,
        steps: Vec<Step>,
        start: &Start,
        hand_over: Option<oneshot::Sender<Held>>,
    ) -> Result<Committed, Error> {
        // Saved is what is known to be committed.
        let mut steps = steps;
        let save = steps.pop_if(|last| last.name == StepName::Save);
        let tells: Vec<Tells> = steps.iter().map(|step| step.tells).collect();
        let (replies, failed) = match self.send(steps, start, hand_over).await {
            Ok(replies) => (replies, None),
            Err(failed) => (failed.before, Some((failed.step, failed.error))),
        };
        self.by = None;
        let name = self.used.record.name();
        let mut told = None;
        let (mut before, mut after) = (None, None);
        for (tells, raw) in tells.into_iter().zip(replies) {
            match tells {
                Tells::Commit => {
                    self.answered = Some(raw.completed_at);
                    let committed = reading::committed(&raw);
                    if let Some(revision) = &committed.revision {
                        self.gateway.note_revision(name, revision);
                    }
                    told = Some(committed);
                }
                Tells::Before => before = Some(differing::snapshot(name, raw).await?),
                Tells::After => after = Some(differing::snapshot(name, raw).await?),
                Tells::Committed => {
                    let running = differing::snapshot(name, raw).await;
                    // What was sent may count by now.
                    let running = running.map_err(|error| error.with_outcome(Outcome::Unknown))?;
                    if let Err(error) = self.verify(before.as_ref(), after.as_ref(), &running) {
                        return Err(self.discard_ignored(error, start).await);
                    }
                }
                Tells::Nothing | Tells::History | Tells::Leftovers | Tells::Difference => {}
            }
        }
        let told = match (told, failed) {
            (Some(told), None) => told,
            // As in a change: what should follow does so.
            (Some(told), Some((StepName::Verify, error))) if self.ground.verify == Verify::Moved => {
                let words = format!("running could not be read after the commit: {}", error.detail());
                self.used.handle.warn([record::warning(words)]);
                told
            }
            (Some(_), Some((_, error))) => {
                return Err(error
                    .with_outcome(Outcome::Unknown)
                    .with_hint("the device said ok to the commit; it was not verified"));
            }
            (None, Some((_, error))) => return Err(error),
            (None, None) => return Err(Error::new(ErrorCode::Internal, "nothing was sent")),
        };
        if let Some(save) = save {
            let saved = self.send(vec![save], start, None).await;
            // The commit counts; what should have followed did not.
            saved.map_err(|failed| {
                let hint = format!("the commit is made; {}", reading::unsaved(failed.error.outcome()));
                failed.error.with_outcome(Outcome::Applied).with_hint(hint)
            })?;
        }
        Ok(told)
    }

    /// Holds what is running against what was committed, and against what it was before.
    fn verify(
        &self,
        before: Option<&Snapshot>,
        after: Option<&Snapshot>,
        running: &Snapshot,
    ) -> Result<(), Error> {
        let compared = self.compared.as_ref();
        let before = before.or(compared.map(|(before, _)| before));
        let after = after.or(compared.map(|(_, after)| after));
        let digest = |snapshot: Option<&Snapshot>| snapshot.map(Snapshot::digest);
        let verified = verdict::after_commit(
            self.ground.verify,
            digest(before).as_deref(),
            digest(after).as_deref(),
            &running.digest(),
            || snapshot::shows(before?, after?, running),
        );
        verified.map_err(|error| match after {
            Some(after) => error.with_diff(running.difference(after)),
            None => error,
        })
    }

    /// What was edited is in the candidate still, though by the books it was committed, if that came to nothing. What had
    /// to be confirmed has left with its session.
    async fn discard_ignored(&mut self, error: Error, start: &Start) -> Error {
        let capabilities = self.used.handle.capabilities();
        let held = self.ground.held_after_open(capabilities, false);
        let discard = self.ground.discard_ignored(capabilities, &held);
        let discard = discard.unwrap_or_default();
        if error.outcome() != Outcome::NotApplied || self.ground.confirm.is_some() || discard.is_empty() {
            return error;
        }
        match self.send(discard, start, None).await {
            Ok(_) => error.with_hint("what was edited is discarded"),
            Err(failed) => {
                let detail = failed.error.detail();
                error.with_hint(format!("what was edited is in the candidate still: {detail}"))
            }
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
        let commits = names.contains(&StepName::Commit);
        let manner = Manner {
            hand_over,
            passing: self.passing.as_ref().filter(|_| commits),
            look: None,
        };
        let sent = self
            .used
            .send_by(self.by, steps, start.clone(), &Ticket::default(), manner)
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
