//! The task of an edit session: it owns the held session, sends what it is told, one piece of work at a time, and at the
//! end undoes what the session did and gives back what it holds (conventions L2).

use std::cmp::Ordering;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until};

use super::handle::{Command, Counts, Ending, Look, RunError, Shared, Work};
use super::lease::{Effect, Event};
use super::{EditReason, Release};
use crate::device::call::{Answer, Request};
use crate::device::error::{Failure, error_chain};
use crate::device::hold::Held;
use crate::pool::{Hold, Touch};
use crate::session::SessionError;

pub(super) struct Runtime {
    held: Held,
    shared: Arc<Shared>,
    commands: mpsc::Receiver<Command>,
    release: Release,
    /// For each RPC at the end.
    patience: Duration,
    /// Without one of these it is no edit session any more.
    needs: Vec<Hold>,
    /// It holds the candidate itself, and so its lane, for as long as it lives.
    keeps_lane: bool,
    ending: watch::Receiver<Ending>,
    /// Where the session goes in the end.
    hand_over: Option<oneshot::Sender<Held>>,
}

impl Runtime {
    pub(super) fn new(
        held: Held,
        shared: Arc<Shared>,
        commands: mpsc::Receiver<Command>,
        release: Release,
        patience: Duration,
    ) -> Self {
        let holds = held.holds();
        shared.note(holds);
        Self {
            needs: holds.iter().filter(|hold| *hold != Hold::Edits).collect(),
            keeps_lane: held.is_in_candidate(),
            ending: shared.ending(),
            held,
            shared,
            commands,
            release,
            patience,
            hand_over: None,
        }
    }

    pub(super) async fn run(mut self) {
        let _done = Done(self.shared.clone());
        let mut session = self.held.watch();
        let mut ending = self.shared.ending();
        let effect = loop {
            let tick = self.shared.next_tick();
            tokio::select! {
                biased;
                effect = due(&mut ending) => break effect,
                () = async {
                    // No sender: the session is gone as well.
                    let _ = session.wait_for(|status| status.ended.is_some()).await;
                } => self.shared.on(Event::SessionEnded),
                Some(command) = self.commands.recv() => self.serve(command).await,
                () = at(tick) => self.shared.on(Event::Tick),
            }
        };
        // What waits still is told that it has ended.
        self.commands.close();
        while let Ok(command) = self.commands.try_recv() {
            drop(command);
        }
        if let Some(to) = self.hand_over.take() {
            // Nobody there: it is wound down like any other.
            match to.send(self.held) {
                Ok(()) => return,
                Err(held) => self.held = held,
            }
        }
        match effect {
            Effect::WindDown => self.wind_down().await,
            Effect::GiveUp | Effect::Nothing => {}
        }
        self.held.finish().await;
    }

    async fn serve(&mut self, command: Command) {
        let Command {
            mut work,
            deadline,
            mut answer,
        } = command;
        if answer.is_closed() || !self.shared.begins() {
            return;
        }
        let result = match work.lane {
            None => Ok(()),
            Some(wait) => {
                let mut ending = self.ending.clone();
                tokio::select! {
                    biased;
                    _ = due(&mut ending) => return,
                    entered = self.held.enter_candidate(wait, deadline) => entered,
                    () = answer.closed() => {
                        self.shared.on(Event::Ends);
                        return;
                    }
                }
            }
        };
        let admitted = result.map_err(RunError::NotHeld);
        let mut admitted = admitted.and_then(|()| match work.admit.take() {
            None => Ok(None),
            Some(admit) => admit().map(Some).ok_or(RunError::NotAdmitted),
        });
        let mut late = false;
        if admitted.is_ok()
            && let Some(look) = work.look.take()
        {
            let goes_on;
            (goes_on, late) = self.look(look, deadline).await;
            if !goes_on {
                admitted = Err(RunError::NotAdmitted);
            }
        }
        if admitted.is_ok() && (answer.is_closed() || !work.start.begin()) {
            return self.rest(late).await;
        }
        let counts = work.counts.take();
        let (result, _kept) = match admitted {
            Ok(kept) => (Ok(self.send(work, counts.as_ref(), deadline).await), kept),
            Err(error) => (Err(error), None),
        };
        late |= result
            .as_ref()
            .is_ok_and(|answers| answers.iter().any(Result::is_err));
        if !late {
            self.rest(late).await;
        }
        let hand_over = counts.and_then(|counts| {
            let answers = result.as_ref().ok()?;
            let sent = answers.get(counts.step)?;
            let hand_over = counts.hand_over?;
            // A session that is lost is nobody's.
            ((hand_over.may_count)(sent) && !answers.iter().any(lost)).then_some(hand_over.to)
        });
        let leaves = hand_over.is_some();
        if leaves {
            self.hand_over = hand_over;
            self.shared.on(Event::Stop(EditReason::ConfirmedCommit));
        }
        // Nobody to tell is no harm.
        let _ = answer.send(result);
        // Whoever gets the session waits for what is late.
        if late && !leaves {
            self.rest(late).await;
        }
    }

    /// A work is over. `late`: the device may owe a reply still, and works on it, so the clock stands until it is here.
    async fn rest(&mut self, late: bool) {
        if late {
            self.held.idle().await;
        }
        self.leave_candidate();
        self.shared.on(Event::Ends);
    }

    /// Looks at something. Whether the work behind it is sent, and whether the device may owe a reply.
    async fn look(&mut self, look: Look, deadline: Instant) -> (bool, bool) {
        let mut answers = Vec::with_capacity(look.steps.len());
        for request in look.steps {
            let answer = self.held.call(deadline, request, Touch::Nothing).await;
            let failed = failed(&answer);
            answers.push(answer);
            if failed {
                break;
            }
        }
        let late = answers.iter().any(Result::is_err);
        ((look.judge)(answers).await, late)
    }

    fn leave_candidate(&mut self) {
        if !self.keeps_lane {
            self.held.leave_candidate();
        }
    }

    /// Sends RPCs up to the first that fails, and keeps account of what is held. A session that lost what it needs, or
    /// may have, ends.
    async fn send(&mut self, work: Work, counts: Option<&Counts>, deadline: Instant) -> Vec<Answer> {
        let mut answers = Vec::with_capacity(work.steps.len());
        let mut given_up = false;
        for (number, (request, touch)) in work.steps.into_iter().enumerate() {
            let now = Instant::now();
            let own = counts.filter(|counts| match number.cmp(&counts.step) {
                Ordering::Less => false,
                Ordering::Equal => now < deadline,
                Ordering::Greater => true,
            });
            let deadline = own.map_or(deadline, |counts| now + counts.each);
            // What acts at once leaves nothing to be committed.
            if !matches!(touch, Touch::Nothing | Touch::Applies) {
                self.shared.edits(touch);
            }
            let answer = self.held.call(deadline, request, touch).await;
            let failed = failed(&answer);
            if let (Touch::Releases(hold), Err(error)) = (touch, &answer) {
                let maybe_sent = error.outcome != crate::device::Outcome::NotSent;
                given_up |= maybe_sent && self.needs.contains(&hold);
            }
            answers.push(answer);
            if failed {
                break;
            }
        }
        let holds = self.held.holds();
        self.shared.note(holds);
        if given_up || self.needs.iter().any(|hold| !holds.contains(*hold)) {
            self.shared.on(Event::Stop(EditReason::SessionLost));
        }
        answers
    }

    /// Undoes what the session did and gives back what it holds. What fails is left to the end of the session, which has
    /// the same effect on the device.
    async fn wind_down(&mut self) {
        let held: Vec<Hold> = self.held.holds().iter().collect();
        let capabilities = self.held.capabilities();
        let steps = match (self.release)(&capabilities, &held) {
            Ok(steps) => steps,
            Err(error) => return self.could_not_release(&error_chain(&error)),
        };
        for (rpc, touch) in steps {
            let deadline = Instant::now() + self.patience;
            let request = Request::new(move |_| Ok(rpc));
            match self.held.call(deadline, request, touch).await {
                Ok(reply) if reply.scan.is_error() => {
                    return self.could_not_release("the device refuses it");
                }
                Ok(_) => {}
                Err(error) => return self.could_not_release(&error_chain(&error)),
            }
        }
    }

    fn could_not_release(&self, detail: &str) {
        tracing::warn!(
            edit_session = self.shared.facts.id,
            device = self.shared.facts.device,
            detail,
            "an edit session could not give back what it holds; its NETCONF session is closed"
        );
    }
}

/// Tells that nothing is left of an edit session, however its task ended.
struct Done(Arc<Shared>);

impl Drop for Done {
    fn drop(&mut self) {
        self.0.on(Event::SessionEnded);
        self.0.done();
    }
}

/// Waits for the end of an edit session; what is to be done about it.
async fn due(ending: &mut watch::Receiver<Ending>) -> Effect {
    loop {
        match *ending.borrow_and_update() {
            Ending::No => {}
            Ending::Due(effect) => return effect,
            Ending::Done => return Effect::Nothing,
        }
        if ending.changed().await.is_err() {
            return Effect::GiveUp;
        }
    }
}

async fn at(tick: Option<Instant>) {
    match tick {
        Some(tick) => sleep_until(tick).await,
        None => std::future::pending().await,
    }
}

/// Whether the session was lost before this answer came.
fn lost(answer: &Answer) -> bool {
    let failure = answer.as_ref().err().map(|error| &error.failure);
    matches!(
        failure,
        Some(Failure::Session(
            SessionError::Lost { .. } | SessionError::NotOpen { .. }
        ))
    )
}

fn failed(answer: &Answer) -> bool {
    answer.as_ref().map_or(true, |reply| reply.scan.is_error())
}
