//! The way into a device: how many requests are served at once, and who waits for their turn (Q1).
//!
//! Of `max_sessions` one is kept for confirming and resolving commits, and of the rest one for reads. A request
//! holds a [`Turn`] from the moment its session is looked for until that session is free again, also when its
//! caller has long gone: the turn stands for the session, not for the caller.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use super::fair_queue::{FairQueue, Full, Key};
use crate::metrics::Metrics;

/// What a request needs its session for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// A read on a pooled session.
    Read,
    /// A session that is nobody else's afterwards either.
    Exclusive,
}

/// Why a request got no turn. Nothing was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoTurn {
    /// As many wait as may.
    Full { limit: usize },
    /// The deadline passed, or cannot be met with so many ahead.
    Deadline,
    /// The device is being removed, or the gateway shuts down.
    Draining,
}

/// How many requests are served at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Places {
    /// All of them together.
    all: usize,
    /// Those that are not reads.
    exclusive: usize,
}

impl Places {
    fn of(max_sessions: usize) -> Self {
        match max_sessions {
            // Too few to keep any apart.
            0 | 1 => Self { all: 1, exclusive: 1 },
            2 => Self { all: 2, exclusive: 1 },
            more => Self {
                all: more - 1,
                exclusive: more - 2,
            },
        }
    }
}

/// Whether the queue may refuse a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    New,
    /// It waited before, where it is waited for no more.
    LetIn,
}

struct Waiter {
    purpose: Purpose,
    turn: oneshot::Sender<Result<Turn, NoTurn>>,
}

struct Inner {
    queue: FairQueue<Waiter>,
    places: Places,
    busy: Places,
    draining: bool,
    /// How long a turn took lately, smoothed.
    pace: Option<Duration>,
}

impl Inner {
    fn admits(&self, purpose: Purpose) -> bool {
        let exclusive = purpose == Purpose::Exclusive;
        self.busy.all < self.places.all && (!exclusive || self.busy.exclusive < self.places.exclusive)
    }

    fn take(&mut self, purpose: Purpose) {
        self.busy.all += 1;
        self.busy.exclusive += usize::from(purpose == Purpose::Exclusive);
    }

    /// `took`: `None` where the turn says nothing about the next one.
    fn give_back(&mut self, purpose: Purpose, took: Option<Duration>) {
        self.busy.all -= 1;
        self.busy.exclusive -= usize::from(purpose == Purpose::Exclusive);
        if let Some(took) = took {
            self.pace = Some(self.pace.map_or(took, |pace| (pace * 7 + took) / 8));
        }
    }

    /// The next waiter that can be served now.
    fn next(&mut self) -> Option<Waiter> {
        let (all, exclusive) = (self.admits(Purpose::Read), self.admits(Purpose::Exclusive));
        self.queue.pop(|waiter| match waiter.purpose {
            Purpose::Read => all,
            Purpose::Exclusive => exclusive,
        })
    }

    /// How long a new request of `who` would wait at the present pace.
    fn wait_of(&self, who: &str) -> Duration {
        let rounds = self.queue.ahead_of(who) / self.places.all;
        self.pace.unwrap_or_default() * u32::try_from(rounds).unwrap_or(u32::MAX)
    }
}

/// The queue of one device. Cheap to clone.
#[derive(Clone)]
pub struct Lane {
    shared: Arc<Shared>,
}

struct Shared {
    inner: Mutex<Inner>,
    /// Told whenever the last turn that is out comes back.
    idle: Notify,
    metrics: Arc<Metrics>,
}

impl Lane {
    pub fn new(max_sessions: usize, queue_length: usize, metrics: Arc<Metrics>) -> Self {
        let inner = Inner {
            queue: FairQueue::new(queue_length),
            places: Places::of(max_sessions),
            busy: Places { all: 0, exclusive: 0 },
            draining: false,
            pace: None,
        };
        let shared = Shared {
            inner: Mutex::new(inner),
            idle: Notify::new(),
            metrics,
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// How many turns for something else than reads there are, taken ones included.
    pub fn exclusive_places(&self) -> usize {
        self.lock().places.exclusive
    }

    /// How many requests wait.
    pub fn queued(&self) -> usize {
        self.lock().queue.len()
    }

    /// Waits for a turn. Dropping the future gives the place in the queue up.
    ///
    /// # Errors
    /// At once when the queue is full, when the deadline cannot be met, or when the lane is drained; later when
    /// the deadline passes, the lane is drained, or another principal needs the place, who has fewer.
    pub async fn enter(&self, who: &str, purpose: Purpose, deadline: Instant) -> Result<Turn, NoTurn> {
        self.enter_as(Standing::New, who, purpose, deadline).await
    }

    /// As [`Self::enter`], for a caller that waited already, in the lane that this one takes the place of.
    ///
    /// # Errors
    /// As [`Self::enter`], but never that the queue is full.
    pub async fn enter_again(&self, who: &str, purpose: Purpose, deadline: Instant) -> Result<Turn, NoTurn> {
        self.enter_as(Standing::LetIn, who, purpose, deadline).await
    }

    async fn enter_as(
        &self,
        standing: Standing,
        who: &str,
        purpose: Purpose,
        deadline: Instant,
    ) -> Result<Turn, NoTurn> {
        let mut waiting = match self.ask(standing, who, purpose, deadline)? {
            Asked::Granted(turn) => return Ok(turn),
            Asked::Waiting(waiting) => waiting,
        };
        match tokio::time::timeout_at(deadline, &mut waiting.turn).await {
            Ok(Ok(result)) => result,
            // The sender is dropped only together with the queue.
            Ok(Err(_)) => Err(NoTurn::Draining),
            Err(_) => {
                self.shared.metrics.queue_rejected("deadline");
                Err(NoTurn::Deadline)
            }
        }
    }

    /// A turn if there is one now. Waiting turns are passed on as they come back, so nobody is overtaken who could
    /// have it.
    pub fn try_enter(&self, purpose: Purpose) -> Option<Turn> {
        let mut inner = self.lock();
        if inner.draining || !inner.admits(purpose) {
            return None;
        }
        inner.take(purpose);
        Some(self.turn(purpose))
    }

    /// What somebody is told who got no turn and does not wait for one.
    pub fn refuse(&self) -> NoTurn {
        if self.lock().draining {
            self.shared.metrics.queue_rejected("draining");
            NoTurn::Draining
        } else {
            self.shared.metrics.queue_rejected("deadline");
            NoTurn::Deadline
        }
    }

    fn ask(
        &self,
        standing: Standing,
        who: &str,
        purpose: Purpose,
        deadline: Instant,
    ) -> Result<Asked, NoTurn> {
        let now = Instant::now();
        let mut inner = self.lock();
        if inner.draining {
            self.shared.metrics.queue_rejected("draining");
            return Err(NoTurn::Draining);
        }
        if deadline <= now {
            self.shared.metrics.queue_rejected("deadline");
            return Err(NoTurn::Deadline);
        }
        // With places free nobody waits who could have one: turns are passed on as they come back.
        if inner.admits(purpose) {
            inner.take(purpose);
            return Ok(Asked::Granted(self.turn(purpose)));
        }
        if now + inner.wait_of(who) >= deadline {
            self.shared.metrics.queue_rejected("deadline");
            return Err(NoTurn::Deadline);
        }
        let (sender, receiver) = oneshot::channel();
        let waiter = Waiter {
            purpose,
            turn: sender,
        };
        let (key, displaced) = match standing {
            Standing::LetIn => (inner.queue.take_over(who, waiter), None),
            Standing::New => inner.queue.push(who, waiter).map_err(|Full(limit)| {
                self.shared.metrics.queue_rejected("full");
                NoTurn::Full { limit }
            })?,
        };
        let limit = inner.queue.len();
        drop(inner);
        self.shared.metrics.queued();
        if let Some(displaced) = displaced {
            self.shared.metrics.dequeued();
            self.shared.metrics.queue_rejected("full");
            // Who does not listen any more needs no answer.
            let _ = displaced.turn.send(Err(NoTurn::Full { limit }));
        }
        Ok(Asked::Waiting(Waiting {
            lane: self.clone(),
            who: who.to_owned(),
            key,
            turn: receiver,
        }))
    }

    /// Refuses everybody from now on, those that wait included. Turns that are out go on.
    pub fn drain(&self) {
        let mut refused = Vec::new();
        {
            let mut inner = self.lock();
            inner.draining = true;
            while let Some(waiter) = inner.queue.pop(|_| true) {
                refused.push(waiter);
            }
        }
        for waiter in refused {
            self.shared.metrics.dequeued();
            self.shared.metrics.queue_rejected("draining");
            // Who does not listen any more needs no answer.
            let _ = waiter.turn.send(Err(NoTurn::Draining));
        }
    }

    /// Waits until no turn is out.
    pub async fn idle(&self) {
        loop {
            // Hears of what happens from here on, also before it is polled.
            let idle = self.shared.idle.notified();
            if self.lock().busy.all == 0 {
                return;
            }
            idle.await;
        }
    }

    fn turn(&self, purpose: Purpose) -> Turn {
        Turn {
            lane: self.clone(),
            purpose,
            since: Instant::now(),
            paces: true,
        }
    }

    /// Takes a turn back and gives the free places to those who are next.
    fn give_back(&self, purpose: Purpose, took: Option<Duration>) {
        let mut next = Vec::new();
        {
            let mut inner = self.lock();
            inner.give_back(purpose, took);
            while let Some(waiter) = inner.next() {
                inner.take(waiter.purpose);
                next.push(waiter);
            }
            if inner.busy.all == 0 {
                self.shared.idle.notify_waiters();
            }
        }
        for waiter in next {
            self.shared.metrics.dequeued();
            // A waiter that left a moment ago drops its turn, which comes back here.
            let _ = waiter.turn.send(Ok(self.turn(waiter.purpose)));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Every change under the lock is complete in itself.
        self.shared.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

enum Asked {
    Granted(Turn),
    Waiting(Waiting),
}

/// A place in the queue, given up when dropped.
struct Waiting {
    lane: Lane,
    who: String,
    key: Key,
    turn: oneshot::Receiver<Result<Turn, NoTurn>>,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let removed = self.lane.lock().queue.remove(&self.who, self.key);
        if removed.is_some() {
            self.lane.shared.metrics.dequeued();
        }
    }
}

/// The right to use one session of the device.
pub struct Turn {
    lane: Lane,
    purpose: Purpose,
    since: Instant,
    /// Whether how long it takes says something about the turns after it.
    paces: bool,
}

impl Turn {
    /// Its holder keeps it as long as it likes, which says nothing about how long others wait.
    pub fn unpaced(mut self) -> Self {
        self.paces = false;
        self
    }
}

impl std::fmt::Debug for Turn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Turn")
            .field("purpose", &self.purpose)
            .finish_non_exhaustive()
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let took = self.paces.then(|| self.since.elapsed());
        self.lane.give_back(self.purpose, took);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lane(max_sessions: usize, queue_length: usize) -> Lane {
        Lane::new(max_sessions, queue_length, Arc::new(Metrics::new()))
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(30)
    }

    /// Q1: one session is kept for confirming and resolving, one for reads.
    #[test]
    fn places_are_kept_for_reads_and_for_resolving() {
        assert_eq!(Places::of(1), Places { all: 1, exclusive: 1 });
        assert_eq!(Places::of(2), Places { all: 2, exclusive: 1 });
        assert_eq!(Places::of(4), Places { all: 3, exclusive: 2 });
    }

    /// Q1: full, and refused at once; a place that becomes free is passed on.
    #[tokio::test(start_paused = true)]
    async fn queue_is_bounded_and_turns_are_passed_on() {
        let lane = lane(2, 1);
        let first = lane.enter("a", Purpose::Read, soon()).await.unwrap();
        let second = lane.enter("a", Purpose::Read, soon()).await.unwrap();
        let third = tokio::spawn({
            let lane = lane.clone();
            async move { lane.enter("a", Purpose::Read, soon()).await.map(drop) }
        });
        while lane.queued() == 0 {
            tokio::task::yield_now().await;
        }
        let refused = lane.enter("b", Purpose::Read, soon()).await.unwrap_err();
        assert_eq!(refused, NoTurn::Full { limit: 1 });
        drop(first);
        assert_eq!(third.await.unwrap(), Ok(()));
        drop(second);
        lane.idle().await;
        assert_eq!(lane.queued(), 0);
    }

    /// Q1: something else than reads never takes the last place.
    #[tokio::test(start_paused = true)]
    async fn reads_pass_exclusive_use_that_has_to_wait() {
        let lane = lane(3, 8);
        let _first = lane.enter("a", Purpose::Exclusive, soon()).await.unwrap();
        let late = Instant::now() + Duration::from_secs(1);
        let refused = lane.enter("a", Purpose::Exclusive, late).await.unwrap_err();
        assert_eq!(refused, NoTurn::Deadline);
        assert!(lane.enter("a", Purpose::Read, soon()).await.is_ok());
    }

    /// Q1, Q7: a deadline that cannot be met is refused at once; a caller who leaves frees its place.
    #[tokio::test(start_paused = true)]
    async fn hopeless_deadlines_are_refused_at_once() {
        let lane = lane(1, 8);
        let turn = lane.enter("a", Purpose::Read, soon()).await.unwrap();
        tokio::time::advance(Duration::from_secs(10)).await;
        drop(turn);
        let _turn = lane.enter("a", Purpose::Read, soon()).await.unwrap();
        let waiting = tokio::spawn({
            let lane = lane.clone();
            async move { lane.enter("a", Purpose::Read, soon()).await.map(drop) }
        });
        while lane.queued() == 0 {
            tokio::task::yield_now().await;
        }
        let started = Instant::now();
        let deadline = started + Duration::from_secs(5);
        assert_eq!(
            lane.enter("b", Purpose::Read, deadline).await.unwrap_err(),
            NoTurn::Deadline
        );
        assert_eq!(Instant::now(), started);
        waiting.abort();
        assert!(waiting.await.unwrap_err().is_cancelled());
        assert_eq!(lane.queued(), 0);
    }

    /// Q1: a turn that was kept for minutes does not make the next wait look hopeless.
    #[tokio::test(start_paused = true)]
    async fn kept_turn_says_nothing_about_the_pace() {
        let lane = lane(1, 8);
        let turn = lane
            .enter("a", Purpose::Exclusive, soon())
            .await
            .unwrap()
            .unpaced();
        tokio::time::sleep(Duration::from_secs(600)).await;
        drop(turn);
        let turn = lane.try_enter(Purpose::Read).unwrap();
        assert!(lane.try_enter(Purpose::Read).is_none());
        let (first, second) = tokio::join!(
            lane.enter("a", Purpose::Read, Instant::now() + Duration::from_secs(1)),
            lane.enter("b", Purpose::Read, Instant::now() + Duration::from_secs(1)),
        );
        assert_eq!(first.unwrap_err(), NoTurn::Deadline);
        assert_eq!(second.unwrap_err(), NoTurn::Deadline);
        assert_eq!(turn.since.elapsed(), Duration::from_secs(1));
    }

    /// D1: draining refuses those that wait and lets turns end.
    #[tokio::test(start_paused = true)]
    async fn draining_refuses_waiters_and_waits_for_turns() {
        let lane = lane(1, 8);
        let turn = lane.enter("a", Purpose::Read, soon()).await.unwrap();
        let waiting = tokio::spawn({
            let lane = lane.clone();
            async move { lane.enter("a", Purpose::Read, soon()).await.map(drop) }
        });
        while lane.queued() == 0 {
            tokio::task::yield_now().await;
        }
        lane.drain();
        assert_eq!(waiting.await.unwrap(), Err(NoTurn::Draining));
        assert_eq!(
            lane.enter("a", Purpose::Read, soon()).await.unwrap_err(),
            NoTurn::Draining
        );
        assert!(
            tokio::time::timeout(Duration::from_secs(1), lane.idle())
                .await
                .is_err()
        );
        drop(turn);
        lane.idle().await;
    }
}
