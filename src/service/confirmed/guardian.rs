//! The task that looks after one confirmed commit until its end: it owns the session that must live, takes orders one
//! at a time, and finds out by evidence what the device has done (conventions C2–C7).

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

use super::probe::{Finding, Known, Probe, Seen};
use super::record::{Answer, ConfirmedCommit};
use super::registry::Handle;
use super::script;
use super::state::{By, Reason, State};
use crate::device::{Device, Held, Occupant, Way};
use crate::error::{Error, ErrorCode, Outcome};
use crate::netconf::capability::Capabilities;
use crate::netconf::rpc::RequestError;
use crate::pool::Hold;
use crate::service::edit::differing::Differing;
use crate::service::edit::ground::{self, Dialect, Ground};
use crate::service::edit::request::Mode;
use crate::service::edit::script::Step;
use crate::service::edit::view::{ConfirmedCommitView, RpcErrorView};
use crate::service::evidence::{self, Running, Standing};
use crate::service::held::send;
use crate::service::{Gateway, failure, history, locks};
use crate::session::Status;
use crate::store::DeviceRecord;

/// So long before the device may undo it nothing is sent any more that counts on its not having done so (C4).
const MARGIN: Duration = Duration::from_secs(2);
/// Between looks at a device that undoes it: twice as long each time.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// How long the end of a session is waited for. It goes on by itself.
const GOODBYE: Duration = Duration::from_secs(10);
/// When the gateway ends: how soon after the session the device is looked at. Its rollback is over by then, or is left
/// to the next start.
const LAST_LOOKS: [Duration; 2] = [Duration::ZERO, Duration::from_secs(1)];

/// What callers want done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// `accept_candidate`: also what has come into the candidate since.
    Confirm {
        accept_candidate: bool,
    },
    Cancel,
    Extend {
        seconds: u64,
    },
}

/// A caller's order, and where the answer goes.
pub(super) struct Order {
    pub wanted: Wanted,
    /// The principal, for the device's comment.
    pub who: String,
    /// For what can be given up still.
    pub deadline: Instant,
    pub answer: oneshot::Sender<Result<ConfirmedCommitView, Error>>,
}

/// Looks after one confirmed commit.
pub(super) struct Guardian {
    gateway: Gateway,
    handle: Arc<Handle>,
    commit: ConfirmedCommit,
    held: Option<Held>,
    session: Option<watch::Receiver<Status>>,
    orders: mpsc::Receiver<Order>,
    probe: Probe,
    times: Times,
}

/// How long RPCs of the device may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    pub rpc: Duration,
    pub commit: Duration,
}

impl Times {
    pub fn of(record: &DeviceRecord) -> Self {
        let timeouts = &record.settings.timeouts;
        Self {
            rpc: Duration::from_secs(timeouts.rpc_seconds),
            commit: Duration::from_secs(timeouts.commit_seconds),
        }
    }
}

impl Guardian {
    /// `held`: the session that it was made in, if that lives.
    pub fn new(
        gateway: Gateway,
        handle: Arc<Handle>,
        commit: ConfirmedCommit,
        held: Option<Held>,
        orders: mpsc::Receiver<Order>,
        times: Times,
    ) -> Self {
        let session = held.as_ref().map(Held::watch);
        let probe = if held.is_some() {
            Probe::none()
        } else {
            Probe::now(Reason::SessionLost)
        };
        Self {
            gateway,
            handle,
            commit,
            held,
            session,
            orders,
            probe,
            times,
        }
    }

    /// Until the device has done what it does, or the gateway ends.
    pub async fn run(mut self) {
        let ending = self.gateway.inner.ending.clone();
        while self.is_open() {
            let look = self.next_look();
            tokio::select! {
                biased;
                () = ending.cancelled() => return self.leave().await,
                () = ended(&mut self.session) => self.session_ended().await,
                Some(order) = self.orders.recv() => self.serve(order).await,
                () = tokio::time::sleep_until(look) => self.look().await,
            }
        }
        self.give_back().await;
        self.gateway.inner.confirmed.remove(&self.commit.row.id);
        // Whoever has ordered something meanwhile is told how it ended.
        self.orders.close();
        while let Ok(order) = self.orders.try_recv() {
            let _ = order.answer.send(Err(self.not_pending()));
        }
    }

    /// Whether anything can come of it yet.
    fn is_open(&self) -> bool {
        self.commit.state.is_open() && !self.probe.is_over()
    }

    /// When the device is looked at next: when its time is up, unless something is to be found out before. Once it is
    /// up the pauses between the looks count alone: some servers undo nothing while they are asked.
    fn next_look(&self) -> Instant {
        let left = self.commit.runs_for(&self.gateway.inner.clock);
        let up = Instant::now() + left;
        match self.probe.next() {
            Some(at) if left.is_zero() => at,
            Some(at) => at.min(up),
            None => up,
        }
    }

    /// The gateway ends, and the session with it. What depends on the session is undone by that, which is seen to as
    /// far as time allows; anything else is taken up by the next start (D1).
    async fn leave(mut self) {
        if self.held.is_none() {
            return;
        }
        self.end_session().await;
        if !self.is_doomed() {
            return;
        }
        let (device, id) = (&self.commit.row.device, &self.commit.row.id);
        tracing::warn!(
            device,
            confirmed_commit = id,
            "the gateway ends, and a confirmed commit is undone by that"
        );
        self.see("the gateway ended, and with it the session that it depended on");
        self.probe = Probe::now(Reason::SessionLost);
        self.store().await;
        for pause in LAST_LOOKS {
            tokio::time::sleep(pause).await;
            self.look().await;
            if !self.is_open() {
                return;
            }
        }
    }

    /// Whether its session has ended, and the device undoes it because of that (C2).
    fn is_doomed(&self) -> bool {
        let document = &self.commit.document;
        self.held.is_none() && !document.junos && document.persist.is_none()
    }

    async fn session_ended(&mut self) {
        self.session = None;
        if let Some(held) = self.held.take() {
            drop(held);
        }
        self.commit.document.session_id = None;
        let reason = if self.handle.is_killed() {
            Reason::Killed
        } else {
            Reason::SessionLost
        };
        self.see("the session that it was made in has ended");
        self.probe = Probe::now(reason);
        self.store().await;
    }

    /// Looks at the device, and concludes what can be concluded.
    async fn look(&mut self) {
        let clock = self.gateway.inner.clock.clone();
        let overdue = self.commit.runs_for(&clock).is_zero();
        if overdue && self.commit.state == State::Pending {
            self.see("its time is up; what the device has done is being found out");
            self.conclude(State::Unknown, None, None).await;
        }
        let found = self.find().await;
        let known = self.known();
        match self.probe.judge(found, &known) {
            Finding::Wait(seen) => {
                if self.commit.document.seen.as_deref() != Some(&seen) {
                    self.see(&seen);
                    self.store().await;
                }
            }
            Finding::Pending(seen) => {
                self.see(&seen);
                if self.commit.document.answered.is_none() {
                    // It was made at some time since it was sent.
                    self.commit.armed(&clock);
                }
                self.commit.document.answer = None;
                self.conclude(State::Pending, None, None).await;
            }
            Finding::Confirmed(by, seen) => {
                self.see(&seen);
                self.conclude(State::Confirmed, Some(by), None).await;
            }
            Finding::Cancelled(seen) => {
                self.see(&seen);
                self.conclude(State::Cancelled, None, None).await;
            }
            Finding::RolledBack(reason, seen) => {
                self.see(&seen);
                self.conclude(State::RolledBack, None, Some(reason)).await;
            }
            Finding::Kept(seen) => {
                self.see(&seen);
                self.conclude(State::Kept, None, None).await;
            }
            Finding::Unknown(seen) => {
                self.see(&seen);
                self.commit.document.given_up = true;
                self.conclude(State::Unknown, None, None).await;
            }
            Finding::NeverMade(seen) => {
                self.see(&seen);
                self.never_made().await;
            }
        }
    }

    /// What a sight of the device is judged by.
    fn known(&self) -> Known {
        let clock = &self.gateway.inner.clock;
        let overdue = self.commit.runs_for(clock).is_zero();
        Known {
            overdue: overdue.then(|| self.commit.overdue_for(clock)),
            sent: self.commit.since_sent(clock),
            made: self.commit.document.answered.is_some(),
            answer: self.commit.document.answer.clone(),
            doomed: self.is_doomed(),
            commit_time: self.times.commit,
            slowest: self.gateway.inner.pace.slowest(&self.commit.row.device),
        }
    }

    /// Where the commit stands by the device's own records; an error in words when it cannot be asked.
    async fn find(&self) -> Result<Seen, String> {
        let name = &self.commit.row.device;
        let words = |error: Error| format!("{name} could not be asked: {}", error.detail());
        let (record, device) = self.device().await.map_err(words)?;
        let deadline = Instant::now() + self.times.rpc;
        let owner = &self.commit.row.owner;
        let document = &self.commit.document;
        if document.junos {
            let read = history::read(&record, &device, owner, deadline).await;
            let standing = evidence::standing(&read.map_err(words)?, &document.marker);
            return Ok(Seen::History(standing));
        }
        let read = history::running(&record, &device, owner, deadline).await;
        let running = document.evidence.running(&read.map_err(words)?.digest());
        Ok(Seen::Running(running))
    }

    async fn serve(&mut self, order: Order) {
        let Order {
            wanted,
            who,
            deadline,
            answer,
        } = order;
        if answer.is_closed() {
            return;
        }
        let result = match wanted {
            Wanted::Confirm { accept_candidate } => self.confirm(&who, deadline, accept_candidate).await,
            Wanted::Cancel => self.cancel(&who, deadline).await,
            Wanted::Extend { seconds } => self.extend(deadline, seconds).await,
        };
        // Whoever left is told by the record.
        let _ = answer.send(match result {
            Ok(()) => Ok(self.commit.view()),
            Err(error) => Err(self.about(error)),
        });
    }

    /// The confirming commit (C4, C7).
    async fn confirm(&mut self, who: &str, deadline: Instant, accept_candidate: bool) -> Result<(), Error> {
        self.in_time("confirmed")?;
        self.take_session(deadline).await?;
        self.stands(deadline).await?;
        self.candidate_is_clean(deadline, accept_candidate).await?;
        let marker = self.answer_marker(who);
        let step = self.build(|caps, commit| script::confirm(caps, commit, &marker))?;
        self.commit.document.answer = Some(Answer {
            marker,
            cancels: false,
        });
        self.commit.enter(State::Confirming)?;
        self.store_or_stop().await?;
        self.in_time("confirmed")?;
        match self.send_commit(step).await {
            Ok(()) => {}
            Err(error) if error.outcome() == Outcome::Unknown => {
                return Err(self.unanswered(error).await);
            }
            Err(error) => return Err(self.refused(error).await),
        }
        self.verify_confirmed(accept_candidate).await
    }

    /// After a rollback a commit is a new one that answers ok as well: what is running decides (C4).
    async fn verify_confirmed(&mut self, accepted_more: bool) -> Result<(), Error> {
        let wait = Instant::now() + self.times.commit;
        let undone = if self.commit.document.junos {
            self.standing(wait).await.map(|found| found == Standing::Undone)
        } else if accepted_more {
            Ok(false)
        } else {
            let running = self.running(wait).await;
            running.map(|found| found != Running::AsExpected)
        };
        match undone {
            Ok(false) => {
                self.save().await;
                self.conclude(State::Confirmed, Some(By::Us), None).await;
                Ok(())
            }
            Ok(true) => {
                self.see("the device said ok to the confirming commit, but had undone the commit before");
                self.conclude(State::RolledBack, None, Some(Reason::Timeout))
                    .await;
                Err(self.not_pending().with_outcome(Outcome::NotApplied))
            }
            Err(error) => Err(self.unanswered(error).await),
        }
    }

    /// Undoes it now (C6).
    async fn cancel(&mut self, who: &str, deadline: Instant) -> Result<(), Error> {
        self.is_pending()?;
        self.take_session(deadline).await?;
        self.stands(deadline).await?;
        let marker = self.answer_marker(who);
        let steps = self.build(|caps, commit| script::cancel(caps, commit, &marker))?;
        if self.commit.document.junos {
            self.candidate_is_clean(deadline, false).await?;
        }
        self.commit.document.answer = Some(Answer {
            marker,
            cancels: true,
        });
        self.commit.enter(State::Cancelling)?;
        self.store_or_stop().await?;
        match steps {
            // Only the end of the session undoes it.
            None => self.end_session().await,
            Some(steps) => {
                for step in steps {
                    match self.send_commit(step).await {
                        Ok(()) => {}
                        Err(error) if error.outcome() == Outcome::Unknown => {
                            return Err(self.unanswered(error).await);
                        }
                        Err(error) => return Err(self.refused(error).await),
                    }
                }
            }
        }
        self.verify_cancelled().await
    }

    /// Undoing is a commit of the device's, and may take as long.
    async fn verify_cancelled(&mut self) -> Result<(), Error> {
        let until = Instant::now() + self.times.commit;
        let mut pause = FIRST_PAUSE;
        loop {
            let found = self.find().await;
            let known = self.known();
            match Probe::none().judge(found, &known) {
                Finding::Cancelled(seen) => {
                    self.see(&seen);
                    self.conclude(State::Cancelled, None, None).await;
                    return Ok(());
                }
                Finding::Wait(_) | Finding::Pending(_) if Instant::now() < until => {
                    tokio::time::sleep(pause).await;
                    pause = (2 * pause).min(LONGEST_PAUSE);
                }
                Finding::Confirmed(by, seen) => {
                    self.see(&seen);
                    self.conclude(State::Confirmed, Some(by), None).await;
                    return Err(self.not_pending());
                }
                Finding::Wait(seen)
                | Finding::Pending(seen)
                | Finding::RolledBack(_, seen)
                | Finding::Kept(seen)
                | Finding::NeverMade(seen)
                | Finding::Unknown(seen) => {
                    let words = format!("the device does not show that it is undone: {seen}");
                    return Err(self
                        .unanswered(Error::new(ErrorCode::OutcomeUnknown, words))
                        .await);
                }
            }
        }
    }

    /// A new deadline, counted from now (S28).
    async fn extend(&mut self, deadline: Instant, seconds: u64) -> Result<(), Error> {
        self.in_time("extended")?;
        let least = self.gateway.least_confirm_timeout(&self.commit.row.device);
        super::check_timeout(seconds, least, "/confirm_timeout_seconds")?;
        let timeout = script::effective(self.commit.document.junos, seconds)
            .map_err(|error| failure::unbuildable(&error))?
            .rfc();
        self.take_session(deadline).await?;
        self.stands(deadline).await?;
        self.candidate_is_clean(deadline, false).await?;
        let step = self.build(|caps, commit| script::extend(caps, commit, timeout))?;
        let (row, document) = (self.commit.row.clone(), self.commit.document.clone());
        self.commit.sending(&self.gateway.inner.clock, timeout);
        self.store_or_stop().await?;
        match self.send_commit(step).await {
            Ok(()) => {
                self.commit.armed(&self.gateway.inner.clock);
                self.store().await;
                Ok(())
            }
            Err(error) if error.outcome() == Outcome::Unknown => {
                // Of the two deadlines the earlier one counts for what must not come too late.
                self.commit.document.sent = document.sent;
                self.commit.row.deadline_earliest = row.deadline_earliest;
                Err(self.unanswered(error).await)
            }
            Err(error) => {
                self.commit.document = document;
                self.commit.row = row;
                Err(self.refused(error).await)
            }
        }
    }

    fn is_pending(&self) -> Result<(), Error> {
        if self.commit.state == State::Pending {
            return Ok(());
        }
        Err(self.not_pending())
    }

    fn in_time(&self, done: &str) -> Result<(), Error> {
        if self.commit.state != State::Confirming {
            self.is_pending()?;
        }
        let left = self.commit.safe_for(&self.gateway.inner.clock);
        // With a token the device itself says whether it is too late.
        if self.commit.document.persist.is_some() || left > MARGIN {
            return Ok(());
        }
        let detail = format!(
            "it is too late for it to be {done}: the device undoes it at {}, or has done so",
            self.commit.view().deadline_earliest
        );
        Err(Error::new(ErrorCode::InvalidState, detail).with_reason("too_late"))
    }

    fn not_pending(&self) -> Error {
        let seen = self.commit.document.seen.as_deref();
        let seen = seen.map_or_else(String::new, |seen| format!(" ({seen})"));
        let detail = format!("the confirmed commit is {}{seen}", self.commit.state.as_str());
        Error::new(ErrorCode::InvalidState, detail)
    }

    /// A session with the lock of the candidate: the one that made the commit, or a new one where that is as good.
    async fn take_session(&mut self, deadline: Instant) -> Result<(), Error> {
        if self.held.is_some() {
            return Ok(());
        }
        if self.is_doomed() {
            let detail = "the session that could do this has ended; the device undoes the commit";
            return Err(Error::new(ErrorCode::InvalidState, detail).with_reason("session_lost"));
        }
        let (_, device) = self.device().await?;
        let claim = Occupant {
            id: Some(self.commit.row.id.clone()),
            who: self.commit.row.owner.clone(),
        };
        let wait = deadline.saturating_duration_since(Instant::now());
        let mut held = device
            .hold_as(claim, wait, deadline, Way::Candidate)
            .await
            .map_err(|error| locks::not_held(&device, error))?;
        let capabilities = held.capabilities();
        let open = self
            .ground(&capabilities)?
            .open(&capabilities)
            .map_err(|error| failure::unbuildable(&error))?;
        for step in open {
            let sent = send(step, &mut held, &self.commit.row.device, deadline).await;
            match sent {
                Ok(_) => {}
                // RFC 6241 (7.5) refuses the lock of running to other sessions while a confirmed commit is pending; there
                // are servers that refuse the candidate's too, though this session has the token, and nobody else gets
                // it either. Whether the candidate is clean is looked at in any case.
                Err(error) if error.code() == ErrorCode::InUse && self.commit.document.persist.is_some() => {}
                Err(error) => return Err(error),
            }
        }
        self.session = Some(held.watch());
        self.commit.document.session_id = Some(held.session_id());
        self.held = Some(held);
        Ok(())
    }

    /// That the device has neither undone it, nor anybody confirmed it.
    async fn stands(&mut self, deadline: Instant) -> Result<(), Error> {
        if !self.commit.document.junos {
            return Ok(());
        }
        match self.standing(deadline).await? {
            Standing::Newest { .. } => Ok(()),
            Standing::Absent | Standing::Undone | Standing::Followed(_) => {
                self.look().await;
                Err(self.not_pending())
            }
        }
    }

    /// A confirm is a commit of the whole candidate (C7).
    async fn candidate_is_clean(&mut self, deadline: Instant, accept: bool) -> Result<(), Error> {
        if accept {
            return Ok(());
        }
        let device = self.commit.row.device.clone();
        let left = self.commit.safe_for(&self.gateway.inner.clock).as_secs();
        let dialect = if self.commit.document.junos {
            Dialect::Junos
        } else {
            Dialect::Rfc
        };
        let held = self.held.as_mut().ok_or_else(no_session)?;
        let differing = Differing::new(dialect, &held.capabilities());
        let differing = differing.map_err(|error| failure::unbuildable(&error))?;
        let mut replies = Vec::new();
        for step in differing.steps.clone() {
            replies.push(send(step, held, &device, deadline).await?);
        }
        let diff = differing.read(&device, replies).await?;
        if diff.is_empty() {
            return Ok(());
        }
        let detail = format!(
            "the candidate holds changes that would be committed as well; {left} s are left before the device undoes \
             the confirmed commit"
        );
        Err(Error::new(ErrorCode::LockDenied, detail)
            .with_reason("candidate_modified")
            .with_hint("accept_candidate: true confirms together with them; admins only")
            .with_diff(diff))
    }

    async fn standing(&mut self, deadline: Instant) -> Result<Standing, Error> {
        let device = self.commit.row.device.clone();
        let held = self.held.as_mut().ok_or_else(no_session)?;
        let history = history::in_session(held, &device, deadline).await?;
        Ok(evidence::standing(&history, &self.commit.document.marker))
    }

    async fn running(&mut self, deadline: Instant) -> Result<Running, Error> {
        let device = self.commit.row.device.clone();
        let held = self.held.as_mut().ok_or_else(no_session)?;
        let running = history::running_in_session(held, &device, deadline).await?;
        Ok(self.commit.document.evidence.running(&running.digest()))
    }

    async fn send_commit(&mut self, step: Step) -> Result<(), Error> {
        let device = self.commit.row.device.clone();
        let deadline = Instant::now() + self.times.commit;
        let held = self.held.as_mut().ok_or_else(no_session)?;
        let began = Instant::now();
        let raw = send(step, held, &device, deadline).await?;
        self.gateway.inner.pace.took(&device, began.elapsed());
        for warning in &raw.scan.warnings {
            self.commit.document.warnings.push(RpcErrorView::from(warning));
        }
        Ok(())
    }

    /// The device said no: it is as pending as before, unless it is over.
    async fn refused(&mut self, error: Error) -> Error {
        if self.commit.state != State::Pending {
            self.conclude(State::Pending, None, None).await;
        } else {
            self.store().await;
        }
        self.commit.document.answer = None;
        self.probe = Probe::now(Reason::Timeout);
        error.with_outcome(Outcome::NotApplied)
    }

    /// No reply: evidence decides.
    async fn unanswered(&mut self, error: Error) -> Error {
        self.see("no reply came; what the device has done is being found out");
        self.conclude(State::Unknown, None, None).await;
        self.session = None;
        self.held = None;
        self.commit.document.session_id = None;
        self.probe = Probe::now(Reason::SessionLost);
        Error::new(ErrorCode::OutcomeUnknown, error.detail().to_owned())
            .with_message(error.session_id(), error.message_id().map(str::to_owned))
            .with_outcome(Outcome::Unknown)
            .with_hint("its record tells what came of it; it is not sent again")
    }

    /// Running to startup, after the confirm (E7). What fails is a warning: the commit is confirmed.
    async fn save(&mut self) {
        if !self.commit.document.save {
            return;
        }
        let built = self.build(|caps, _| {
            let ground = Ground::new(caps, Mode::Exclusive, None);
            Ok(ground.map(|ground| ground.save(caps, Some(true))))
        });
        let result = match built {
            Ok(Ok(Ok(Some(step)))) => self.send_commit(step).await,
            Ok(Ok(Ok(None))) => Ok(()),
            Ok(Ok(Err(error))) => Err(failure::unbuildable(&error)),
            Ok(Err(error)) | Err(error) => Err(error),
        };
        if let Err(error) = result {
            let words = format!("running was not saved to startup: {}", error.detail());
            self.commit.document.warnings.push(RpcErrorView::warning(words));
        }
    }

    /// Gives the locks back and ends the session.
    async fn give_back(&mut self) {
        let Some(mut held) = self.held.take() else { return };
        self.session = None;
        let capabilities = held.capabilities();
        let holds: Vec<Hold> = held.holds().iter().collect();
        let steps = self
            .ground(&capabilities)
            .ok()
            .and_then(|ground| ground.release(&capabilities, &holds).ok());
        for step in steps.unwrap_or_default() {
            let deadline = Instant::now() + self.times.rpc;
            if send(step, &mut held, &self.commit.row.device, deadline)
                .await
                .is_err()
            {
                // The end of the session gives back the rest.
                break;
            }
        }
        let _ = tokio::time::timeout(GOODBYE, held.finish()).await;
    }

    /// Closes the session although it holds something: that is how RFC servers undo a commit without a token.
    async fn end_session(&mut self) {
        self.session = None;
        self.commit.document.session_id = None;
        if let Some(held) = self.held.take() {
            let _ = tokio::time::timeout(GOODBYE, held.finish()).await;
        }
    }

    /// Enters a state and stores it, together with what it means for the change.
    async fn conclude(&mut self, state: State, by: Option<By>, reason: Option<Reason>) {
        if self.commit.state != state
            && let Err(error) = self.commit.enter(state)
        {
            tracing::error!(confirmed_commit = self.commit.row.id, error = %error, "a step that cannot be");
            return;
        }
        self.commit.ended(by, reason);
        self.store().await;
    }

    /// The device never made it: there is nothing to tell but by its change.
    async fn never_made(&mut self) {
        let result = self.gateway.forget_confirmed_commit(&self.commit).await;
        if let Err(error) = result {
            let id = &self.commit.row.id;
            tracing::error!(confirmed_commit = id, error = %error, "what was never made could not be forgotten");
        }
    }

    fn see(&mut self, seen: &str) {
        self.commit.document.seen = Some(seen.to_owned());
    }

    /// What cannot be stored now is stored with the next word; the device's state does not depend on it.
    async fn store(&mut self) {
        if let Err(error) = self.try_store().await {
            let (id, state) = (&self.commit.row.id, self.commit.state.as_str());
            tracing::error!(confirmed_commit = id, state, error = %error, "a confirmed commit could not be stored");
        }
    }

    /// Stores it before something is sent that counts: no row, no send.
    async fn store_or_stop(&mut self) -> Result<(), Error> {
        let stored = self.try_store().await;
        if stored.is_err() && matches!(self.commit.state, State::Confirming | State::Cancelling) {
            self.commit.state = State::Pending;
            self.handle.show(&self.commit);
        }
        stored
    }

    async fn try_store(&mut self) -> Result<(), Error> {
        // Shown when it is stored, and with it what it means for the change: who has seen the one finds the other.
        let stored = self.gateway.store_confirmed_commit(&mut self.commit).await;
        self.handle.show(&self.commit);
        stored
    }

    fn answer_marker(&self, who: &str) -> String {
        ground::marker(&self.gateway.inner.store.new_id(), who)
    }

    fn build<T>(
        &self,
        build: impl FnOnce(&Capabilities, &ConfirmedCommit) -> Result<T, RequestError>,
    ) -> Result<T, Error> {
        let held = self.held.as_ref().ok_or_else(no_session)?;
        build(&held.capabilities(), &self.commit).map_err(|error| failure::unbuildable(&error))
    }

    fn ground(&self, capabilities: &Capabilities) -> Result<Ground, Error> {
        Ground::new(capabilities, Mode::Exclusive, None)
    }

    async fn device(&self) -> Result<(Arc<DeviceRecord>, Arc<Device>), Error> {
        self.gateway.device(&self.commit.row.device).await
    }

    fn about(&self, error: Error) -> Error {
        error
            .with_device(&self.commit.row.device)
            .with_change_id(&self.commit.row.change_id)
    }
}

fn no_session() -> Error {
    Error::new(ErrorCode::SessionLost, "the session has ended").with_outcome(Outcome::NotSent)
}

async fn ended(session: &mut Option<watch::Receiver<Status>>) {
    match session {
        // No sender: the session is gone as well.
        Some(session) => drop(session.wait_for(|status| status.ended.is_some()).await),
        None => std::future::pending().await,
    }
}
