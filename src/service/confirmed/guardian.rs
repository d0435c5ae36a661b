//! The task that looks after one confirmed commit until its end: it owns the session that must live, takes orders one
//! at a time, and finds out by evidence what the device has done (conventions C2–C7).

mod orders;
mod probing;
mod session;
mod sight;
pub(super) mod turn;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

use self::probing::{Attempt, due, told};
use self::turn::{Ordered, Turn};
use super::looks::{Finding, Known, Looks, Seen};
use super::record::ConfirmedCommit;
use super::registry::Handle;
use super::state::{By, Reason, State};
use crate::device::{Device, Held};
use crate::error::{Error, ErrorCode};
use crate::service::Gateway;
use crate::service::attempts::Attempts;
use crate::service::edit::view::ConfirmedCommitView;
use crate::service::evidence::{Moment, Running};
use crate::service::operations::Ticket;
use crate::session::Status;
use crate::store::DeviceRecord;

/// When the gateway ends: the longest time between looks at a device that undoes it.
const LAST_PAUSE: Duration = Duration::from_secs(4);

/// By so much a device that counts whole seconds may be earlier.
const ROUNDED: Duration = Duration::from_secs(1);

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
    /// Of the call that orders it.
    pub ticket: Ticket,
    pub turn: Turn,
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
    /// The one that is being carried out.
    order: Option<Ordered>,
    looks: Looks,
    times: Times,
    /// Of its probe, under way.
    attempt: Option<Attempt>,
    /// When that is to be made, after the first one.
    next_attempt: Option<Instant>,
    /// Since when the server is at work is asked for once.
    asked_for_start: bool,
    /// The device was seen to have been started anew, and to have undone it because of that.
    restarted: bool,
    /// In how many entries the device's history was seen to hold it, where that was told.
    entries: Option<u8>,
    /// What the database has not taken yet.
    due: Due,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Due {
    Nothing,
    /// What is known of it.
    Row,
    /// That the device never made it.
    Removal,
    /// That the device is as it was before it.
    AsBefore,
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
        let looks = if held.is_some() && commit.state == State::Pending {
            Looks::none()
        } else {
            Looks::now(Reason::SessionLost)
        };
        Self {
            gateway,
            handle,
            commit,
            held,
            session,
            orders,
            order: None,
            looks,
            times,
            attempt: None,
            next_attempt: None,
            asked_for_start: false,
            restarted: false,
            entries: None,
            due: Due::Nothing,
        }
    }

    /// Until the device has done what it does, or the gateway ends.
    pub async fn run(mut self) {
        let ending = self.gateway.inner.ending.clone();
        self.keep_session().await;
        while self.is_open() {
            if let Some(order) = self.note_server_start().await {
                self.serve(order).await;
                continue;
            }
            let look = self.next_look();
            let probe = self.next_attempt();
            tokio::select! {
                biased;
                () = ending.cancelled() => return self.leave().await,
                () = ended(&mut self.session) => self.session_ended().await,
                Some(order) = self.orders.recv() => self.serve(order).await,
                () = tokio::time::sleep_until(look) => self.look().await,
                told = told(&mut self.attempt) => self.answered(told).await,
                () = due(probe) => self.ask().await,
            }
        }
        self.withdraw().await;
        // Whoever has ordered something meanwhile is told how it ended.
        self.orders.close();
        while let Ok(order) = self.orders.try_recv() {
            let _ = order.answer.send(Err(self.about(self.not_pending())));
        }
        self.store_due().await;
        self.gateway.inner.confirmed.remove(&self.commit.row.id);
    }

    /// It is over: gives back what is held. Who waits for that has it next, so nothing is in his way before; unless the end
    /// is not stored, as then it is told from here alone.
    async fn withdraw(&mut self) {
        if self.is_stored() {
            self.gateway.inner.confirmed.remove(&self.commit.row.id);
        }
        self.give_back().await;
        self.handle.settle();
    }

    /// Stores the end of it as soon as the database takes it. Until then those who look are told what is known here, and
    /// others are kept out.
    async fn store_due(&mut self) {
        let mut attempts = Attempts::new(&self.gateway);
        while self.due != Due::Nothing && attempts.again().await {
            match self.due {
                Due::Nothing => {}
                Due::Row => self.store().await,
                Due::Removal => self.never_made().await,
                Due::AsBefore => self.as_before().await,
            }
        }
    }

    /// Whether anything can come of it yet.
    fn is_open(&self) -> bool {
        self.commit.state.is_open() && !self.looks.is_over()
    }

    /// When the device is looked at next: when its time is up, unless something is to be found out before. Once it is
    /// up the pauses between the looks count alone: some servers undo nothing while they are asked.
    fn next_look(&self) -> Instant {
        let left = self.commit.stands_for(&self.gateway.inner.clock);
        let up = Instant::now() + left;
        match self.looks.next() {
            Some(at) if left.is_zero() => at,
            Some(at) => at.min(up),
            None => up,
        }
    }

    /// Until then something is waited for: while it is told as pending, not longer than it can be.
    fn while_it_waits(&self, deadline: Instant) -> Instant {
        match self.commit.state {
            State::Pending => {
                deadline.min(Instant::now() + self.commit.stands_for(&self.gateway.inner.clock))
            }
            State::Confirming
            | State::Cancelling
            | State::Confirmed
            | State::Cancelled
            | State::RolledBack
            | State::Kept
            | State::Unknown => deadline,
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
        self.looks = Looks::now(Reason::SessionLost);
        if self.commit.state == State::Pending {
            self.conclude(State::Unknown, None, None).await;
        } else {
            self.store().await;
        }
        let ended = self.gateway.inner.ended.clone();
        let mut pause = Duration::ZERO;
        while self.is_open() {
            tokio::select! {
                biased;
                // What it has not undone by now is left to the next start.
                () = ended.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
            self.look().await;
            pause = (2 * pause).clamp(Duration::from_secs(1), LAST_PAUSE);
        }
    }

    /// Whether the session has to live although a reply is missing in it: its end would undo the commit (C2, E4). A late
    /// reply is read and dropped (Q7).
    fn keeps_session(&self) -> bool {
        self.commit.needs_session() && self.held.as_ref().is_some_and(Held::is_open)
    }

    /// Whether its session has ended, and the device undoes it because of that (C2).
    fn is_doomed(&self) -> bool {
        self.held.is_none() && self.commit.needs_session()
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
        let was_its_time = self.is_overdue() && reason == Reason::SessionLost;
        self.looks = Looks::now(if was_its_time { Reason::Timeout } else { reason });
        let has_token = self.commit.document.persist.is_some();
        if self.commit.state == State::Pending && (self.is_doomed() || reason == Reason::Killed && !has_token)
        {
            // The device is undoing it; that it has is told when it is seen.
            self.conclude(State::Unknown, None, None).await;
        } else {
            self.store().await;
        }
    }

    /// Looks at the device, and concludes what can be concluded.
    async fn look(&mut self) {
        let clock = self.gateway.inner.clock.clone();
        let overdue = self.commit.runs_for(&clock).is_zero();
        if self.commit.state == State::Pending && self.commit.stands_for(&clock).is_zero() {
            self.see(if overdue {
                "its time is up; what the device has done is being found out"
            } else {
                "an extension that was not answered may have shortened its time; what the device has done is being found out"
            });
            self.conclude(State::Unknown, None, None).await;
        }
        let before = (self.commit.state, self.commit.document.clone());
        let asked = Moment::now(&clock);
        let found = self.find().await;
        let known = self.known();
        let (work, undoing) = (known.work(), known.undoing());
        if !self.commit.is_made() && found.as_ref().is_ok_and(Seen::shows_it) {
            self.commit.found(&clock, work);
        }
        if let Some(entries) = self.entries {
            self.commit.found_entries(&clock, entries, &asked, work);
        }
        if !overdue && matches!(found, Ok(Seen::Running(Running::AsExpected))) {
            self.commit.found_extended(&clock, work);
            self.commit.found_standing(&clock, &asked, work, undoing);
        }
        let known = self.known();
        // With a token it does not depend on the session whose end it is looked at for.
        let waits = found.is_ok() && self.commit.document.persist.is_some() && !known.perhaps_over;
        match self.looks.judge(found, &known) {
            Finding::Wait(seen) => {
                let is_news = self.commit.document.seen.as_deref() != Some(&seen);
                self.see(&seen);
                if self.commit.state == State::Pending && !waits {
                    // It may be over by now.
                    self.conclude(State::Unknown, None, None).await;
                } else if is_news {
                    self.store().await;
                }
            }
            Finding::Pending(seen) => {
                self.see(&seen);
                self.commit.set_answer_aside();
                if before != (State::Pending, self.commit.document.clone()) || !self.is_stored() {
                    self.conclude(State::Pending, None, None).await;
                }
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
            Finding::AsBefore(seen) => {
                self.see(&seen);
                self.as_before().await;
            }
        }
    }

    /// What a sight of the device is judged by.
    fn known(&self) -> Known {
        let clock = &self.gateway.inner.clock;
        let overdue = self.commit.runs_for(clock).is_zero();
        Known {
            overdue: overdue.then(|| self.commit.overdue_for(clock)),
            perhaps_over: self.commit.is_perhaps_over(clock),
            sent: self.commit.since_sent(clock),
            made: self.commit.is_made(),
            answer: self.commit.document.answer.clone(),
            earlier: self.commit.document.earlier.clone(),
            unanswered: self.commit.since_unanswered(clock),
            restarted: self.restarted,
            doomed: self.is_doomed(),
            unguarded: self.held.is_none() && self.commit.document.junos,
            due: self.commit.safe_for(clock) <= ROUNDED,
            perhaps_later: Duration::from_secs(self.commit.document.perhaps_later),
            commit_time: self.times.commit,
            slowest: self.gateway.inner.pace.slowest(&self.commit.row.device),
            now: self.gateway.now_seconds(),
        }
    }

    fn not_pending(&self) -> Error {
        let seen = self.commit.document.seen.as_deref();
        let seen = seen.map_or_else(String::new, |seen| format!(" ({seen})"));
        let detail = format!("the confirmed commit is {}{seen}", self.commit.state.as_str());
        Error::new(ErrorCode::InvalidState, detail)
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
        if !state.is_open() {
            self.commit.document.session_id = None;
            if let Some(entries) = self.entries {
                self.commit.ended_with(entries);
            }
            if let Some(probe) = &mut self.commit.document.probe {
                probe.close(state == State::Confirmed && by == Some(By::Us));
            }
        }
        self.store().await;
    }

    /// The device never made it: there is nothing to tell but by its change.
    async fn never_made(&mut self) {
        let result = self.gateway.forget_confirmed_commit(&self.commit).await;
        self.due = match result {
            Ok(()) => Due::Nothing,
            Err(error) => {
                let id = &self.commit.row.id;
                tracing::error!(confirmed_commit = id, error = %error, "what was never made is not forgotten");
                self.due_after(&error, Due::Removal)
            }
        };
    }

    /// Whether the device made it nobody will know: it stays `unknown`, and its change has left the device as it was.
    async fn as_before(&mut self) {
        self.commit.state = State::Unknown;
        self.commit.document.given_up = true;
        self.commit.document.session_id = None;
        self.stop_probe();
        let result = self.gateway.end_as_before(&mut self.commit).await;
        self.handle.show(&self.commit);
        self.gateway.inner.operations.following.look();
        self.due = match result {
            Ok(()) => Due::Nothing,
            Err(error) => {
                let id = &self.commit.row.id;
                tracing::error!(confirmed_commit = id, error = %error, "the end of a confirmed commit is not stored");
                self.due_after(&error, Due::AsBefore)
            }
        };
    }

    fn see(&mut self, seen: &str) {
        self.commit.document.seen = Some(seen.to_owned());
    }

    /// Whether the database says what is known here.
    fn is_stored(&self) -> bool {
        self.due == Due::Nothing
    }

    /// What cannot be stored now is stored with the next word, or in the end; the device's state does not depend on it.
    async fn store(&mut self) {
        self.due = match self.try_store().await {
            Ok(()) => Due::Nothing,
            Err(error) => {
                let (id, state) = (&self.commit.row.id, self.commit.state.as_str());
                tracing::error!(confirmed_commit = id, state, error = %error, "a confirmed commit is not stored");
                self.due_after(&error, Due::Row)
            }
        };
    }

    /// What is left to be done when it could not be: a row that is gone, or damaged, gets no better by another try.
    fn due_after(&self, error: &Error, what: Due) -> Due {
        if error.code() == ErrorCode::StoreUnavailable {
            what
        } else {
            Due::Nothing
        }
    }

    async fn try_store(&mut self) -> Result<(), Error> {
        // Shown when it is stored, and with it what it means for the change: who has seen the one finds the other.
        let stored = self.gateway.store_confirmed_commit(&mut self.commit).await;
        self.handle.show(&self.commit);
        self.gateway.inner.operations.following.look();
        stored
    }

    /// # Errors
    /// `not-found`: it was removed, and another device may have its name by now.
    fn device(&self) -> impl Future<Output = Result<(Arc<DeviceRecord>, Arc<Device>), Error>> + use<> {
        let gateway = self.gateway.clone();
        let (name, id) = (self.commit.row.device.clone(), self.commit.row.device_id.clone());
        async move {
            let (record, device) = gateway.device(&name).await?;
            if record.id != id {
                let words = "its device was removed, and another one has its name";
                return Err(Error::new(ErrorCode::NotFound, words));
            }
            Ok((record, device))
        }
    }
}

impl Drop for Guardian {
    fn drop(&mut self) {
        self.handle.settle();
    }
}

async fn ended(session: &mut Option<watch::Receiver<Status>>) {
    match session {
        // No sender: the session is gone as well.
        Some(session) => drop(session.wait_for(|status| status.ended.is_some()).await),
        None => std::future::pending().await,
    }
}
