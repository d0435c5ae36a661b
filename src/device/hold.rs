//! A session for one holder: for a change, or an edit session. It has a turn of the lane, for work on the shared
//! candidate also the candidate's (Q1), and its books say what it holds (Q2).

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, sleep_until};

use super::call::{
    Answer, CLOSE_GRACE, Kept, RETRIES, Request, Sessions, check_attributes, checkout_error, interrupted,
    observe, offered, request_error,
};
use super::candidate::{CandidateLane, CandidateTurn, Occupant};
use super::core::{Core, Opener};
use super::errand;
use super::error::{DeviceError, Failure};
use super::holders::{Holder, Holders};
use super::lane::{NoTurn, Purpose, Turn};
use super::{Asking, Device, no_turn};
use crate::netconf::capability::Capabilities;
use crate::pool::{Holds, Pinned, Touch};
use crate::session::{self, Call, RawReply, SessionError, Traces};

/// How often who has waited long enough for a place looks whether its holders have names by now.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// An RPC that a holder wants sent.
pub struct Asked {
    /// When its reply must be there.
    pub deadline: Instant,
    pub request: Request,
    /// What it does to the session.
    pub touch: Touch,
}

/// What the holder is going to work on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// The shared candidate, or whatever else only one may change at a time.
    Candidate,
    /// Beside it: a private copy, an ephemeral instance, or the shared candidate without a lock.
    Beside,
}

/// Why there is no session to hold. Nothing was sent.
#[derive(Debug, thiserror::Error)]
pub enum HoldError {
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// Another edit session or change of this gateway has the candidate, and the wait is over.
    #[error("the candidate is in use by another edit session or change of the gateway")]
    HeldHere(Option<Occupant>),
    /// As many sessions as may be held are, by these, and the wait is over.
    #[error("every session of the device that may be held is held")]
    NoPlace(Vec<Holder>),
}

impl Device {
    /// A session for `who` alone, until it is finished. Waits for the candidate and for a session until `deadline`.
    ///
    /// # Errors
    /// As [`Device::read`]; nothing was sent.
    ///
    /// # Cancel safety
    /// Safe: a session that is being opened goes to the pool.
    pub async fn hold(&self, who: &str, deadline: Instant, way: Way) -> Result<Held, DeviceError> {
        let claim = Occupant {
            id: None,
            who: who.to_owned(),
        };
        let wait = deadline.saturating_duration_since(Instant::now());
        match self.hold_as(claim, wait, deadline, way).await {
            Ok(held) => Ok(held),
            Err(HoldError::Device(error)) => Err(error),
            Err(HoldError::HeldHere(_) | HoldError::NoPlace(_)) => {
                Err(no_turn(self.core.name(), NoTurn::Deadline))
            }
        }
    }

    /// As [`Device::hold`], for a holder with a name, that waits no longer than `wait` for what other holders have: the
    /// candidate, or all the sessions that may be held. Who waits while the device gets other settings waits on for the
    /// device that has these.
    ///
    /// # Errors
    /// [`HoldError`]; nothing was sent.
    ///
    /// # Cancel safety
    /// As [`Device::hold`].
    pub async fn hold_as(
        &self,
        claim: Occupant,
        wait: Duration,
        deadline: Instant,
        way: Way,
    ) -> Result<Held, HoldError> {
        let claim = Claim {
            occupant: claim,
            until: wait_until(wait, deadline),
            deadline,
            way,
        };
        let (mut device, mut waited) = (self, false);
        loop {
            let error = match device.hold_here(&claim, waited).await {
                Err(HoldError::Device(error)) => error,
                held => return held,
            };
            // What the old settings ended in says nothing of the new ones.
            let Some(successor) = device.successor.get() else {
                return Err(error.into());
            };
            device = successor;
            waited = true;
        }
    }

    /// `waited`: in the queue of a device that this one takes the place of.
    async fn hold_here(&self, claim: &Claim, waited: bool) -> Result<Held, HoldError> {
        let (candidate, turn) = self.turns(claim, waited).await?;
        let (answer, receiver) = oneshot::channel();
        let job = Opening {
            core: self.core.clone(),
            sessions: self.sessions.clone(),
            lane: self.candidate.clone(),
            holders: self.shared.holders.clone(),
            claim: claim.occupant.clone(),
            deadline: claim.deadline,
            turn: turn.unpaced(),
            candidate,
        };
        let opened = errand::run(&self.core.around.tracker, job.run(answer), receiver).await;
        Ok(opened.unwrap_or_else(|| Err(interrupted(&self.core, false)))?)
    }

    /// Who has the shared candidate of this device in the gateway now.
    pub fn candidate_occupant(&self) -> Option<Occupant> {
        self.candidate.occupant()
    }

    /// The sessions of this device that are held now.
    pub fn holders(&self) -> Vec<Holder> {
        self.shared.holders.of(self.core.name())
    }

    async fn turns(&self, claim: &Claim, waited: bool) -> Result<(Option<CandidateTurn>, Turn), HoldError> {
        match claim.way {
            Way::Beside => {}
            Way::Candidate => loop {
                let entered = self.candidate.enter(claim.occupant.clone(), claim.until).await;
                let candidate = entered.map_err(|none| self.held_here(none))?;
                tokio::select! {
                    biased;
                    turn = self.place(claim, waited) => return Ok((Some(candidate), turn?)),
                    () = self.candidate.wanted() => {}
                }
                drop(candidate);
                tokio::task::yield_now().await;
            },
        }
        let turn = self.place(claim, waited).await?;
        Ok((None, turn))
    }

    /// A turn for a session to hold. Holders keep theirs for as long as they like, so they are waited for until `until`
    /// only, and named then; single calls end by themselves, and are waited for until the deadline.
    async fn place(&self, claim: &Claim, waited: bool) -> Result<Turn, HoldError> {
        let asks = Asking {
            waited,
            ..Asking::first(self)
        };
        let mut turn = pin!(asks.turn_here(&claim.occupant.who, Purpose::Exclusive, claim.deadline));
        let mut look = claim.until.unwrap_or_else(Instant::now);
        loop {
            tokio::select! {
                // What is free is had without a wait.
                biased;
                turn = &mut turn => return Ok(turn?),
                () = sleep_until(look) => {}
            }
            let holders = self.holders();
            if holders.len() >= self.lane.exclusive_places() {
                self.core.around.metrics.queue_rejected("held");
                return Err(HoldError::NoPlace(holders));
            }
            look = Instant::now() + LOOK_AGAIN;
        }
    }

    fn held_here(&self, none: NoTurn) -> HoldError {
        held_here(self.core.name(), &self.candidate, none)
    }
}

fn held_here(device: &str, lane: &CandidateLane, none: NoTurn) -> HoldError {
    match none {
        NoTurn::Deadline => HoldError::HeldHere(lane.occupant()),
        NoTurn::Full { .. } | NoTurn::Draining => HoldError::Device(no_turn(device, none)),
    }
}

/// What somebody wants to hold.
struct Claim {
    occupant: Occupant,
    /// How long what other holders have is waited for; `None`: not at all.
    until: Option<Instant>,
    deadline: Instant,
    way: Way,
}

/// `None`: no wait at all.
fn wait_until(wait: Duration, deadline: Instant) -> Option<Instant> {
    let until = Instant::now()
        .checked_add(wait)
        .map_or(deadline, |at| at.min(deadline));
    (!wait.is_zero()).then_some(until)
}

/// Takes a session out of the pool, and is not cancelled with the caller.
struct Opening {
    core: Arc<Core>,
    sessions: Arc<Sessions>,
    lane: CandidateLane,
    holders: Holders,
    claim: Occupant,
    deadline: Instant,
    turn: Turn,
    candidate: Option<CandidateTurn>,
}

impl Opening {
    async fn run(self, mut answer: oneshot::Sender<Result<Held, DeviceError>>) {
        let pinned = tokio::select! {
            // A session that is ready is had.
            biased;
            pinned = checkout(&self.core, &self.sessions, self.deadline) => pinned,
            () = answer.closed() => return,
            // The session that is being opened is of use to nobody any more.
            () = self.core.replaced() => Err(self.core.refuse(Failure::Draining)),
        };
        let result = pinned.map(|pinned| {
            let holder = Holder {
                device: self.core.name().to_owned(),
                session_id: pinned.session_id(),
                id: self.claim.id.clone(),
                who: self.claim.who.clone(),
                holds: pinned.holds(),
                since: self.core.around.clock.wall(),
                lives: true,
            };
            let key = self.holders.add(holder, pinned.watch());
            Held(Some(Grip {
                core: self.core,
                sessions: self.sessions,
                lane: self.lane,
                holders: self.holders,
                key,
                claim: self.claim,
                pinned,
                untouched: true,
                turn: self.turn,
                candidate: self.candidate,
                kept: None,
            }))
        });
        // What nobody takes any more goes back to the pool when it is dropped.
        let _ = answer.send(result);
    }
}

/// A session from the pool, pinned. What is being opened when the deadline passes goes to the pool.
async fn checkout(
    core: &Arc<Core>,
    sessions: &Arc<Sessions>,
    deadline: Instant,
) -> Result<Pinned<Opener>, DeviceError> {
    let (answer, receiver) = oneshot::channel();
    let job = {
        let (core, sessions) = (core.clone(), sessions.clone());
        async move {
            let lent = sessions.checkout().await;
            // Unsent, the session goes back to the pool.
            let _ = answer.send(lent.map_err(|error| checkout_error(&core, error)));
            core.freed.notify_waiters();
        }
    };
    tokio::select! {
        // A session that is ready needs no timer.
        biased;
        lent = errand::run(&core.around.tracker, job, receiver) => {
            let lent = lent.unwrap_or_else(|| Err(interrupted(core, false)))?;
            Ok(lent.pin())
        }
        () = sleep_until(deadline) => {
            Err(core.late())
        }
    }
}

/// A session for one holder until [`Held::finish`]. Dropping it gives a clean session back and closes any other, both in
/// the background.
pub struct Held(Option<Grip>);

struct Grip {
    core: Arc<Core>,
    sessions: Arc<Sessions>,
    lane: CandidateLane,
    holders: Holders,
    key: u64,
    claim: Occupant,
    pinned: Pinned<Opener>,
    /// Nothing was sent yet, so another session will do as well.
    untouched: bool,
    turn: Turn,
    candidate: Option<CandidateTurn>,
    kept: Option<Kept>,
}

impl Held {
    /// The session-id of the server's hello.
    pub fn session_id(&self) -> u64 {
        self.grip().pinned.session_id()
    }

    /// What may be asked of the device in this session.
    pub fn capabilities(&self) -> Arc<Capabilities> {
        let grip = self.grip();
        offered(&grip.core, grip.pinned.capabilities())
    }

    /// Watches the session without keeping it open.
    pub fn watch(&self) -> watch::Receiver<session::Status> {
        self.grip().pinned.watch()
    }

    /// Whether the session lives.
    pub fn is_open(&self) -> bool {
        self.watch().borrow().ended.is_none()
    }

    /// Whether the session lives, and the device owes no reply in it.
    pub fn is_idle(&self) -> bool {
        let watch = self.watch();
        let status = watch.borrow();
        status.ended.is_none() && status.outstanding == 0
    }

    /// What the session holds.
    pub fn holds(&self) -> Holds {
        self.grip().pinned.holds()
    }

    /// From now on this session and no other: what died in the pool is not replaced any more.
    pub(super) fn keep(&mut self) {
        self.grip_mut().untouched = false;
    }

    /// Keeps this, in place of what was kept before, until the hold is over and the device owes no reply any more.
    pub fn keep_until_over(&mut self, kept: Kept) {
        self.grip_mut().kept = Some(kept);
    }

    /// Waits until the device owes no reply any more, or the session has ended.
    pub async fn idle(&self) {
        self.grip().pinned.idle().await;
    }

    /// Until then the session is not given up because a reply is late in it.
    pub async fn endure(&mut self, until: Instant) {
        self.grip_mut().pinned.endure(until).await;
    }

    /// Whether the device takes RPCs of one holder without waiting for replies in between (Q2).
    pub fn pipelines(&self) -> bool {
        self.grip().core.settings.pipelining
    }

    /// Sends one RPC, at most once; `touch` says what it does to the session. A session that died in the pool is
    /// replaced as long as nothing was sent in it.
    ///
    /// # Errors
    /// As [`Device::read`]; when it was sent, may change something and was not answered, the outcome is unknown.
    ///
    /// # Cancel safety
    /// Dropping the future loses the reply: what the RPC acquires counts as held.
    pub async fn call(&mut self, deadline: Instant, request: Request, touch: Touch) -> Answer {
        let asked = Asked {
            deadline,
            request,
            touch,
        };
        let answer = self.call_all(vec![asked]).await?.pop();
        // There is one for each.
        answer.unwrap_or_else(|| Err(interrupted(&self.grip().core, touch.mutates())))
    }

    /// As [`Self::call`], for several RPCs, which are sent in this order without waiting for replies in between. There is
    /// an answer for each.
    ///
    /// # Errors
    /// As [`Self::call`], for all of them: nothing was sent.
    ///
    /// # Cancel safety
    /// As [`Self::call`].
    pub async fn call_all(&mut self, asked: Vec<Asked>) -> Result<Vec<Answer>, DeviceError> {
        let grip = self.grip_mut();
        let capabilities = offered(&grip.core, grip.pinned.capabilities());
        let mut calls = Vec::with_capacity(asked.len());
        for Asked {
            deadline,
            request,
            touch,
        } in asked
        {
            check_attributes(&grip.core, &request)?;
            // Pins decide on traces themselves.
            let call = request
                .into_call(&capabilities, deadline, Traces::None)
                .map_err(|error| request_error(&grip.core, error))?;
            calls.push((call, touch));
        }
        let mut tries = 0;
        let results = loop {
            let results = grip.send(&calls).await;
            let died_before = grip.untouched && all_not_open(&results);
            if !died_before || tries == RETRIES {
                break results;
            }
            tries += 1;
            let deadline = calls.first().map_or_else(Instant::now, |(call, _)| call.deadline);
            grip.pinned = checkout(&grip.core, &grip.sessions, deadline).await?;
        };
        let sent =
            |result: &Result<_, SessionError>| result.as_ref().map_or_else(SessionError::sent, |_| true);
        if results.as_ref().is_ok_and(|results| results.iter().any(sent)) {
            grip.untouched = false;
        }
        grip.note();
        let session_id = grip.pinned.session_id();
        let core = &grip.core;
        let error =
            |touch: Touch, error| DeviceError::in_session(core.name(), session_id, touch.mutates(), error);
        let results = results.map_err(|none| error(Touch::Nothing, none))?;
        let answered = results.into_iter().zip(&calls).map(|(result, (_, touch))| {
            observe(core, "held", &result);
            result.map_err(|failed| error(*touch, failed))
        });
        Ok(answered.collect())
    }

    /// Waits for the lane of the shared candidate, no longer than `wait`: for the commit of a private copy, or of
    /// changes made without a lock.
    ///
    /// # Errors
    /// [`HoldError`]; nothing was sent. What was done in a session that ends meanwhile has ended with it.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn enter_candidate(&mut self, wait: Duration, deadline: Instant) -> Result<(), HoldError> {
        let grip = self.grip_mut();
        if grip.candidate.is_none() {
            let until = wait_until(wait, deadline);
            let mut session = grip.pinned.watch();
            let ended = async {
                if grip.untouched {
                    // Another one will do.
                    std::future::pending::<()>().await;
                }
                // No sender: the session is gone as well.
                drop(session.wait_for(|status| status.ended.is_some()).await);
            };
            let entered = tokio::select! {
                biased;
                () = ended => return Err(HoldError::Device(grip.session_lost())),
                entered = grip.lane.enter_with_session(grip.claim.clone(), until) => entered,
            };
            let turn = entered.map_err(|none| held_here(grip.core.name(), &grip.lane, none))?;
            grip.candidate = Some(turn);
        }
        Ok(())
    }

    /// Whether it has the lane of the candidate.
    pub(super) fn is_in_candidate(&self) -> bool {
        self.grip().candidate.is_some()
    }

    /// Gives the lane of the candidate to the next.
    pub fn leave_candidate(&mut self) {
        self.grip_mut().candidate = None;
    }

    /// Ends the hold: a clean session goes back to the pool, any other is closed politely.
    ///
    /// # Cancel safety
    /// Safe: it runs to its end, in a task of its own if need be.
    pub async fn finish(self) {
        self.over(false).await;
    }

    /// Ends the session, although the device may owe a reply in it.
    ///
    /// # Cancel safety
    /// As [`Self::finish`].
    pub async fn end(self) {
        self.over(true).await;
    }

    async fn over(mut self, at_once: bool) {
        if let Some(grip) = self.0.take() {
            let tracker = grip.core.around.tracker.clone();
            let (done, told) = oneshot::channel();
            let job = async move {
                grip.finish(at_once).await;
                // Nobody to tell is no harm.
                let _ = done.send(());
            };
            errand::run(&tracker, job, told).await;
        }
    }

    fn grip(&self) -> &Grip {
        self.0
            .as_ref()
            .expect("the grip is taken only when the hold ends")
    }

    fn grip_mut(&mut self) -> &mut Grip {
        self.0
            .as_mut()
            .expect("the grip is taken only when the hold ends")
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // Without a runtime the grip is dropped here, which ends the session as well.
        if let Some(grip) = self.0.take()
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            let tracker = grip.core.around.tracker.clone();
            tracker.spawn_on(grip.finish(false), &runtime);
        }
    }
}

/// Whether the session had ended before any of them could be sent.
fn all_not_open(results: &Result<Vec<Result<RawReply, SessionError>>, SessionError>) -> bool {
    match results {
        Ok(results) => results
            .iter()
            .all(|result| matches!(result, Err(SessionError::NotOpen { .. }))),
        Err(error) => matches!(error, SessionError::NotOpen { .. }),
    }
}

impl Grip {
    /// The session waits for a single reply in a simpler way than for several.
    async fn send(
        &mut self,
        calls: &[(Call, Touch)],
    ) -> Result<Vec<Result<RawReply, SessionError>>, SessionError> {
        match calls {
            [(call, touch)] => Ok(vec![self.pinned.call(call.clone(), *touch).await]),
            _ => self.pinned.call_all(calls.iter().cloned()).await,
        }
    }

    fn session_lost(&self) -> DeviceError {
        let cause = self.pinned.watch().borrow().ended.clone();
        let (device, session_id) = (self.core.name(), self.pinned.session_id());
        DeviceError::in_session(device, session_id, false, SessionError::NotOpen { cause })
    }

    fn note(&self) {
        let (session_id, holds) = (self.pinned.session_id(), self.pinned.holds());
        self.holders
            .update(self.key, self.pinned.watch(), (session_id, holds));
    }

    /// The turns go last: who is next must find the device free.
    async fn finish(self, at_once: bool) {
        if !at_once && !self.pinned.endures() {
            // A reply may still be on its way to a caller who left.
            self.pinned.idle().await;
        }
        match self.pinned.release() {
            Ok(lent) => drop(lent),
            Err(pinned) => {
                pinned.close(CLOSE_GRACE).await;
            }
        }
        self.holders.remove(self.key);
        self.core.freed.notify_waiters();
        drop((self.kept, self.candidate, self.turn));
    }
}
