//! The steps of a change in its session: what must be so before each is sent, and what is kept of what its reply tells.
//! Sending is `sending`'s; undoing is not done here.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::journal::Journal;
use super::patience::Patience;
use super::sending::{enter_lane, together};
use super::state::State;
use crate::device::{Held, HoldError};
use crate::error::{Error, ErrorCode, Outcome};
use crate::netconf::datastore::Datastore;
use crate::netconf::junos::commit_information::CommitInformation;
use crate::pool::{Hold, Touch};
use crate::service::confirmed::{self, Announced, ConfirmedCommit, NewConfirmedCommit, Passage, Probe};
use crate::service::edit::ground::{Confirm, Dialect, Ground, Verify};
use crate::service::edit::reading;
use crate::service::edit::request::{ChangeRequest, Mode};
use crate::service::edit::script::{Step, StepName, Tells};
use crate::service::edit::snapshot::{self, Snapshot};
use crate::service::edit::verdict;
use crate::service::edit::view::{RpcErrorView, ScheduledView};
use crate::service::evidence::{self, Evidence, Moment, Newest};
use crate::service::{failure, history, locks};
use crate::session::RawReply;
use crate::store::DeviceRecord;

/// What a step that failed means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// Nothing counts yet: it is undone.
    Undo,
    /// The device did not do what it said: nothing counts, and nothing is to be undone but what is held.
    Ignored,
    /// It counts, and what should have followed did not.
    Applied,
    /// It may count.
    Unknown,
}

/// Where a change stopped, and why.
#[derive(Debug)]
pub(super) struct Stop {
    pub step: StepName,
    pub fate: Fate,
    pub error: Error,
}

/// A change at work in its session.
pub(super) struct Work {
    pub held: Held,
    pub ground: Ground,
    pub journal: Journal,
    pub patience: Patience,
    pub request: Arc<ChangeRequest>,
    pub record: Arc<DeviceRecord>,
    /// Whether anything has left for the device but a lock that it refused.
    pub sent: bool,
    /// The configuration before the edits, where it was read.
    pub before: Option<Snapshot>,
    after: Option<Snapshot>,
    /// The device said ok to the commit.
    pub committed: bool,
    /// What tells later whether it was committed (E2).
    evidence: Evidence,
    /// The device's history, as long as nobody has looked whether others committed.
    pub history: Option<CommitInformation>,
    /// Somebody has, and what was found is stored.
    pub noted: bool,
    /// The commit that has to be confirmed, once it was about to be sent.
    pub confirmed: Option<(ConfirmedCommit, Announced)>,
    /// What confirms or cancels that.
    pub probe: Option<Probe>,
    /// Of the step that is under way, where it could confirm.
    pub passage: Option<Passage>,
    /// The caller does not wait any more.
    pub left: CancellationToken,
}

impl Work {
    pub fn new(
        held: Held,
        ground: Ground,
        journal: Journal,
        patience: Patience,
        request: Arc<ChangeRequest>,
        record: Arc<DeviceRecord>,
        left: CancellationToken,
    ) -> Self {
        Self {
            held,
            ground,
            journal,
            patience,
            request,
            record,
            sent: false,
            before: None,
            after: None,
            committed: false,
            evidence: Evidence::default(),
            history: None,
            noted: false,
            confirmed: None,
            probe: None,
            passage: None,
            left,
        }
    }

    pub fn device(&self) -> &str {
        &self.journal.change().row.device
    }

    /// Whether the edits came to nothing.
    pub fn unchanged(&self) -> bool {
        self.journal.change().document.changed == Some(false)
    }

    /// All steps up to the commit and what follows from it. When there is nothing to commit, what remains is left out but
    /// for a save that was asked for in so many words (E7).
    pub async fn go(&mut self, steps: Vec<Step>) -> Result<(), Stop> {
        let steps = steps.into_iter().chain(self.save_unconfirmed());
        let gone = self.go_through(steps.collect()).await;
        // Nothing was sent any more that it could have been done beside.
        if let Some(noting) = self.noting() {
            self.noted = noting.await;
        }
        gone
    }

    async fn go_through(&mut self, mut steps: VecDeque<Step>) -> Result<(), Stop> {
        while let Some(next) = steps.front() {
            if self.leaves_out(next.name) {
                steps.pop_front();
                continue;
            }
            // What goes along with an edit that fails is taken back with it, or it does not go along.
            let taken_back = self.journal.change().document.undo_guaranteed;
            let count = match taken_back && self.held.pipelines() {
                true => together(&self.ground, steps.make_contiguous()),
                false => 1,
            };
            let group: Vec<Step> = steps.drain(..count).collect();
            self.passage = None;
            if let Some(first) = group.first() {
                self.still_wanted(first.name)?;
            }
            for step in &group {
                self.prepare(step.name).await?;
            }
            let sent = match group.first().map(|step| step.touch) {
                Some(Touch::Acquires(Hold::Lock(datastore))) => self.lock(group, datastore).await?,
                Some(_) | None => self.ask(group, false).await,
            };
            for sent in sent {
                let (name, tells) = (sent.name, sent.tells);
                match self.judge(sent, false) {
                    Ok(raw) => match self.learn(name, tells, raw).await {
                        Err(stop) if tells == Tells::History && self.does_without(tells, &stop) => {}
                        learnt => learnt?,
                    },
                    Err(stop) if self.does_without(tells, &stop) => {}
                    // What was sent along with it is neither looked at nor told.
                    Err(stop) => return Err(stop),
                }
            }
        }
        Ok(())
    }

    /// A user who may not see the history, or an instance, may commit all the same: less is known then, if the reply is
    /// lost.
    fn does_without(&mut self, tells: Tells, refused: &Stop) -> bool {
        // What becomes of a confirmed commit, or of one that is made later, is told by nothing else.
        let wanted = self.request.if_revision.is_some()
            || self.request.commit.at.is_some()
            || self.ground.confirm.is_some();
        if tells == Tells::Committed && self.ground.verify == Verify::Moved {
            self.warn(format!(
                "the device said ok to the commit, and running could not be read after it: {}",
                refused.error.detail()
            ));
            return true;
        }
        let words = match (tells, self.ground.mode) {
            (Tells::History, _) if !wanted => evidence::HIDDEN,
            (Tells::Before | Tells::After, Mode::Ephemeral) => evidence::UNREAD,
            (
                Tells::Nothing
                | Tells::History
                | Tells::Before
                | Tells::Leftovers
                | Tells::After
                | Tells::Difference
                | Tells::Committed
                | Tells::Commit,
                _,
            ) => return false,
        };
        let hidden = evidence::is_hidden(&refused.error);
        if hidden {
            self.warn(format!("{words}: {}", refused.error.detail()));
        }
        hidden
    }

    /// What must be so before a step is sent.
    async fn prepare(&mut self, name: StepName) -> Result<(), Stop> {
        let stop = |error: Error| Stop {
            step: name,
            fate: Fate::Undo,
            error,
        };
        let state = self.journal.change().state;
        if self.ground.mode == Mode::Shared && state == State::Preparing {
            // Nothing locks it out, and while it waited for its turn a confirmed commit may have been made, which what it
            // edits would keep from being confirmed.
            self.gate().map_err(stop)?;
        }
        match name {
            StepName::Edit if state == State::Preparing => {
                self.journal.enter(State::Editing).map_err(stop)?;
                if self.ground.target != Datastore::Candidate {
                    // An edit acts at once.
                    self.journal_commit(name).await.map_err(stop)?;
                }
            }
            StepName::Commit => {
                if matches!(self.ground.mode, Mode::Private | Mode::Shared) {
                    self.enter_lane().await.map_err(stop)?;
                }
                self.in_time().map_err(stop)?;
                if self.ground.confirm.is_none() {
                    self.pass().map_err(stop)?;
                }
                self.journal_commit(name).await.map_err(stop)?;
            }
            StepName::Lock => self.gate().map_err(stop)?,
            StepName::Validate => self.pass().map_err(stop)?,
            // What may still be undone must not be saved.
            StepName::Save if self.unchanged() => self.gate().map_err(stop)?,
            StepName::Open
            | StepName::Check
            | StepName::Edit
            | StepName::Diff
            | StepName::Verify
            | StepName::Save
            | StepName::Discard
            | StepName::Unlock
            | StepName::Close => {}
        }
        Ok(())
    }

    /// Q7: who leaves before anything is edited takes the change back.
    fn still_wanted(&self, next: StepName) -> Result<(), Stop> {
        if self.left.is_cancelled() && self.journal.change().state == State::Preparing {
            return Err(self.not_wanted(next));
        }
        Ok(())
    }

    /// The turn of the candidate, if it has not come yet.
    async fn enter_lane(&mut self) -> Result<(), Error> {
        let own = Instant::now() + self.patience.rpc + self.patience.wait;
        let deadline = self.patience.deadline.map_or(own, |callers| callers.min(own));
        let entering = enter_lane(
            &mut self.held,
            self.journal.gateway().clone(),
            self.patience.wait,
            deadline,
        );
        let entered = self.journal.waiting(entering).await;
        entered.map_err(|error| self.no_lane(error))
    }

    /// C3, D1: nothing is sent that could confirm a pending commit by accident, or come between an earlier one and what
    /// is found out about it.
    fn gate(&self) -> Result<(), Error> {
        self.journal.gateway().nothing_is_open(&self.record)
    }

    /// The same, for what could confirm: who wants to send a confirmed commit waits for it.
    fn pass(&mut self) -> Result<(), Error> {
        self.passage = Some(self.journal.gateway().pass(&self.record)?);
        Ok(())
    }

    /// Stores that the commit is sent, with what tells later whether it was done. No row, no send.
    async fn journal_commit(&mut self, step: StepName) -> Result<(), Error> {
        // One that had ended before anything was sent in it was replaced.
        let session_id = self.held.session_id();
        self.journal
            .note(|change| change.document.session_id = Some(session_id));
        self.evidence.junos = self.ground.dialect == Dialect::Junos;
        self.evidence.at.clone_from(&self.request.commit.at);
        self.evidence.sent = Some(Moment::now(&self.journal.gateway().inner.clock));
        self.evidence.before = self.before.as_ref().map(Snapshot::digest);
        self.evidence.expected = self.after.as_ref().map(Snapshot::digest);
        self.evidence.saves = self.saves();
        let mut evidence = self.evidence.clone();
        let Some(Confirm { timeout, persist }) = self.ground.confirm.clone() else {
            self.journal.note(|change| change.document.evidence = evidence);
            return self.journal.committing(step, None).await;
        };
        let asked = self.request.commit.confirm_timeout_seconds;
        let rounded = asked.and_then(|asked| confirmed::rounded(asked, timeout.rfc()));
        let row = &self.journal.change().row;
        let gateway = self.journal.gateway().clone();
        let mut commit = gateway.new_confirmed_commit(NewConfirmedCommit {
            device_id: &row.device_id,
            device: &row.device,
            owner: &row.owner,
            change_id: &row.id,
            request_id: row.request_id.as_deref(),
            timeout: timeout.rfc(),
            document: confirmed::Document {
                junos: self.ground.dialect == Dialect::Junos,
                persist,
                marker: self.journal.change().document.marker.clone(),
                evidence: evidence.clone(),
                session_id: Some(self.held.session_id()),
                save: self.saves(),
                synchronize: self.request.commit.synchronize,
                probe: self.probe.take(),
                warnings: rounded.into_iter().map(RpcErrorView::warning).collect(),
                ..confirmed::Document::default()
            },
        });
        self.gate()?;
        let announced = gateway.announce(&commit);
        let longest = Instant::now() + self.patience.commit;
        let deadline = self
            .patience
            .deadline
            .map_or(longest, |callers| callers.min(longest));
        let mut session = self.held.watch();
        let cleared = tokio::select! {
            biased;
            cleared = gateway.clear_way(&self.record, deadline) => cleared,
            _ = session.wait_for(|status| status.ended.is_some()) => {
                let ended = Error::new(ErrorCode::SessionLost, "the session has ended");
                Err(ended.with_device(self.device()))
            }
        };
        cleared?;
        // That may have taken a while.
        let clock = &gateway.inner.clock;
        commit.sending(clock, timeout.rfc());
        evidence.sent = Some(Moment::now(clock));
        commit.document.evidence.sent.clone_from(&evidence.sent);
        let id = commit.row.id.clone();
        self.journal.note(|change| {
            change.document.evidence = evidence;
            change.document.confirmed_commit_id = Some(id);
        });
        self.journal.committing(step, Some(&mut commit)).await?;
        self.confirmed = Some((commit, announced));
        Ok(())
    }

    /// Whether running is to be copied to startup in the end.
    fn saves(&self) -> bool {
        let capabilities = self.held.capabilities();
        let save = self.ground.save(&capabilities, self.request.commit.save);
        matches!(save, Ok(Some(_)))
    }

    /// E2: somebody else's confirmed commit in its window would be confirmed by a check, or by a commit.
    fn check_others(&self, step: StepName, history: &CommitInformation) -> Result<(), Stop> {
        if self.request.commit.confirm_others {
            return Ok(());
        }
        let checked = self.journal.gateway().no_commit_of_others(history);
        checked.map_err(|error| Stop {
            step,
            fate: Fate::Undo,
            error,
        })
    }

    /// H6: what counts is not begun for a caller whose deadline has passed; he is told that it was undone.
    fn in_time(&self) -> Result<(), Error> {
        match self.patience.deadline {
            Some(deadline) if Instant::now() >= deadline => Err(Error::new(
                ErrorCode::DeadlineInQueue,
                "the deadline passed before the commit could be sent",
            )),
            Some(_) | None => Ok(()),
        }
    }

    /// The candidate cannot be had for the commit. Not 503, because edits were sent (H3).
    fn no_lane(&self, error: HoldError) -> Error {
        // C3: never as a lock that is held.
        if let Err(pending) = self.gate() {
            return pending;
        }
        match error {
            HoldError::HeldHere(occupant) => {
                locks::held_here(self.device(), self.ground.dialect, occupant.as_ref(), &[])
            }
            HoldError::Device(error) => {
                let error = failure::device(error);
                Error::new(ErrorCode::InUse, error.detail().to_owned()).with_device(self.device())
            }
            // It has a session, so this is not said of it.
            error @ HoldError::NoPlace(_) => {
                Error::new(ErrorCode::SessionsHeld, error.to_string()).with_device(self.device())
            }
        }
    }

    /// Keeps what a reply tells, and stops where it tells that the change must not go on.
    async fn learn(&mut self, step: StepName, tells: Tells, raw: RawReply) -> Result<(), Stop> {
        let (device, session_id, message_id) =
            (self.device().to_owned(), raw.session_id, raw.message_id.clone());
        let fate = self.fate(step, true);
        let unreadable = |detail: String| Stop {
            step,
            fate,
            error: crate::service::reply::unreadable(&device, session_id, &message_id, &detail),
        };
        match tells {
            Tells::Nothing => {}
            Tells::History => {
                let told =
                    history::parse_newest(&device, &raw).map_err(|error| Stop { step, fate, error })?;
                self.evidence.newest = told.newest().map(Newest::from);
                let revision = told.newest().and_then(|newest| newest.revision.clone());
                let others = self.check_others(step, &told);
                self.history = Some(told);
                if self.request.if_revision.is_some() {
                    self.check_revision(step, revision)?;
                }
                others?;
            }
            Tells::Before => self.before = Some(Snapshot::read(raw).await.map_err(unreadable)?),
            Tells::Leftovers => {
                if let Some(error) = self.others(raw).await.map_err(unreadable)? {
                    return Err(Stop { step, fate, error });
                }
            }
            Tells::After => {
                let after = Snapshot::read(raw).await.map_err(unreadable)?;
                if step == StepName::Diff
                    && let Some(diff) = self.before.as_ref().map(|before| before.difference(&after))
                {
                    self.journal.differs(diff);
                }
                self.after = Some(after);
            }
            Tells::Difference => {
                let diff = reading::difference(&raw).map_err(unreadable)?;
                self.journal.differs(diff);
            }
            Tells::Committed => {
                let running = Snapshot::read(raw).await.map_err(unreadable)?;
                self.verify(step, &running)?;
            }
            Tells::Commit => {
                if let Some((commit, _)) = &mut self.confirmed {
                    commit.armed(&self.journal.gateway().inner.clock);
                }
                self.note_commit(&raw);
            }
        }
        let checked = matches!(step, StepName::Validate | StepName::Diff);
        if checked && self.journal.change().state == State::Editing {
            let entered = self.journal.enter(State::Validated);
            entered.map_err(|error| Stop { step, fate, error })?;
        }
        Ok(())
    }

    /// `if_revision` (E7).
    fn check_revision(&self, step: StepName, found: Option<String>) -> Result<(), Stop> {
        let Some(wanted) = &self.request.if_revision else {
            return Ok(());
        };
        let detail = match found {
            Some(found) if found == *wanted => return Ok(()),
            Some(found) => format!("the configuration's revision is {found}, not {wanted}"),
            None => "the device does not tell the revision of its configuration".to_owned(),
        };
        Err(Stop {
            step,
            fate: Fate::Undo,
            error: Error::new(ErrorCode::PreconditionFailed, detail)
                .with_reason("revision")
                .with_field("/if_revision", "does not hold"),
        })
    }

    fn note_commit(&mut self, raw: &RawReply) {
        let told = reading::committed(raw);
        self.committed = true;
        if let Some(revision) = &told.revision {
            self.journal.gateway().note_revision(self.device(), revision);
        }
        if self.noted {
            let (gateway, id) = (self.journal.gateway(), &self.journal.change().row.id);
            gateway.inner.looks.committed(&self.record.id, id);
        }
        let at = self.request.commit.at.clone();
        self.journal.note(|change| {
            change.set_members(&told.members);
            change.document.revision = told.revision;
            change.document.scheduled = at.map(|at| ScheduledView {
                at,
                time_zone: told.time_zone,
            });
        });
    }

    /// Holds what is running against what was committed, and against what it was before.
    fn verify(&self, step: StepName, running: &Snapshot) -> Result<(), Stop> {
        let digest = |known: &Option<Snapshot>| known.as_ref().map(Snapshot::digest);
        let (before, after) = (digest(&self.before), digest(&self.after));
        let verified = verdict::after_commit(
            self.ground.verify,
            before.as_deref(),
            after.as_deref(),
            &running.digest(),
            || snapshot::shows(self.before.as_ref()?, self.after.as_ref()?, running),
        );
        verified.map_err(|error| Stop {
            step,
            fate: match error.outcome() {
                Outcome::NotApplied => Fate::Ignored,
                Outcome::NotSent | Outcome::Applied | Outcome::Unknown => Fate::Unknown,
            },
            error: match &self.after {
                Some(after) => error.with_diff(running.difference(after)),
                None => error,
            },
        })
    }

    /// A warning of the gateway's own.
    pub fn warn(&mut self, words: impl Into<String>) {
        let warning = RpcErrorView::warning(words);
        self.journal.note(|change| change.document.warnings.push(warning));
    }

    /// What nothing was sent for is as it was before anybody knew of it.
    pub fn nothing_done(&self) -> Outcome {
        if self.sent {
            Outcome::NotApplied
        } else {
            Outcome::NotSent
        }
    }
}
