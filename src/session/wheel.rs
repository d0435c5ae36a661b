//! Who moves a session along. Its own task owns it and watches it while nobody asks anything of it; a caller who
//! waits for a reply does it meanwhile, in the caller's own task. So a request needs no change of tasks between
//! caller and session, of which each may wake up another thread, twice for every request.
//!
//! The session is one future behind one lock. Everything that it waits for wakes the [`Wheel`], which passes that on
//! to the one at the wheel. A caller who was woken and has not come by the next time loses the wheel to the owner:
//! what a device sends is never left lying because of a caller.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;

use super::error::EndCause;

/// The life of a session.
type Life = Pin<Box<dyn Future<Output = EndCause> + Send>>;

/// How often the session is looked at again at once when something happened meanwhile; then others get their turn.
const ROUNDS: usize = 3;

enum Stage {
    /// Its owner has not begun.
    Unborn,
    /// Waits for something.
    Parked(Life),
    /// Somebody moves it along now.
    Moving,
    /// It came to its end, or broke down.
    Ended(thread::Result<EndCause>),
    /// The owner has its end, or gave it up.
    Gone,
}

struct Inner {
    stage: Stage,
    /// Something happened since it was last moved along.
    rung: bool,
    owner: Option<Waker>,
    /// The caller at the wheel.
    caller: Option<(u64, Waker)>,
    next_caller: u64,
}

/// Shared by a session's owner, its callers, and all that it waits for.
pub(super) struct Wheel {
    inner: Mutex<Inner>,
}

impl std::fmt::Debug for Wheel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Wheel")
    }
}

impl Wheel {
    pub(super) fn new() -> Arc<Self> {
        let inner = Inner {
            stage: Stage::Unborn,
            rung: false,
            owner: None,
            caller: None,
            next_caller: 0,
        };
        Arc::new(Self {
            inner: Mutex::new(inner),
        })
    }

    /// Begins the session's life; the future is its end. Dropping it ends the session at once.
    pub(super) fn own(self: &Arc<Self>, life: impl Future<Output = EndCause> + Send + 'static) -> Owner {
        let mut inner = self.lock();
        inner.stage = Stage::Parked(Box::pin(life));
        // It was never moved along.
        inner.rung = true;
        drop(inner);
        Owner { wheel: self.clone() }
    }

    /// A place for a caller who is going to wait for a reply.
    pub(super) fn seat(self: &Arc<Self>) -> Seat {
        let mut inner = self.lock();
        let id = inner.next_caller;
        inner.next_caller += 1;
        drop(inner);
        Seat {
            wheel: self.clone(),
            id,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Nothing that can panic runs under the lock.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Moves it along until it waits for something. `me` comes again if there is more to do than is done at once.
    fn advance(self: &Arc<Self>, mut life: Life, me: &Waker) {
        let waker = Waker::from(self.clone());
        let mut cx = Context::from_waker(&waker);
        for round in 1.. {
            let polled = catch_unwind(AssertUnwindSafe(|| life.as_mut().poll(&mut cx)));
            let mut inner = self.lock();
            if !matches!(inner.stage, Stage::Moving) {
                // The owner gave it up meanwhile; it is dropped when the lock is not held any more.
                drop(inner);
                return;
            }
            let end = match polled {
                Ok(Poll::Pending) => None,
                Ok(Poll::Ready(cause)) => Some(Ok(cause)),
                // Its owner hears of it, as if it had been there.
                Err(panic) => Some(Err(panic)),
            };
            if let Some(end) = end {
                inner.stage = Stage::Ended(end);
                let (owner, caller) = (inner.owner.take(), inner.caller.take());
                drop(inner);
                if let Some(owner) = owner {
                    owner.wake();
                }
                drop(caller);
                return;
            }
            if inner.rung && round < ROUNDS {
                inner.rung = false;
                continue;
            }
            inner.stage = Stage::Parked(life);
            let again = inner.rung;
            drop(inner);
            if again {
                me.wake_by_ref();
            }
            return;
        }
    }
}

impl Inner {
    /// Takes the session to move it along, if nobody does so now.
    fn take(&mut self) -> Option<Life> {
        match std::mem::replace(&mut self.stage, Stage::Moving) {
            Stage::Parked(life) => {
                self.rung = false;
                Some(life)
            }
            other => {
                self.stage = other;
                None
            }
        }
    }

    /// Whether it waits for something.
    fn is_parked(&self) -> bool {
        match self.stage {
            Stage::Parked(_) => true,
            Stage::Unborn | Stage::Moving | Stage::Ended(_) | Stage::Gone => false,
        }
    }

    /// Whom to wake; the second is a caller who did not come the last time, and is not at the wheel any more.
    fn ring(&mut self) -> (Option<Waker>, Option<(u64, Waker)>) {
        let late = std::mem::replace(&mut self.rung, true);
        match self.stage {
            // Who moves it looks again.
            Stage::Moving | Stage::Unborn | Stage::Ended(_) | Stage::Gone => (None, None),
            Stage::Parked(_) => match self.caller.take() {
                Some(caller) if late => (self.owner.clone(), Some(caller)),
                Some((id, waker)) => {
                    let woken = waker.clone();
                    self.caller = Some((id, waker));
                    (Some(woken), None)
                }
                None => (self.owner.clone(), None),
            },
        }
    }
}

impl Wake for Wheel {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let (woken, late) = self.lock().ring();
        if let Some(woken) = woken {
            woken.wake();
        }
        // Still waits for its reply, and now only for that.
        if let Some((_, late)) = late {
            late.wake();
        }
    }
}

/// The owner of a session: its end.
pub(super) struct Owner {
    wheel: Arc<Wheel>,
}

impl Future for Owner {
    type Output = EndCause;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<EndCause> {
        let wheel = &self.wheel;
        loop {
            let mut inner = wheel.lock();
            if matches!(inner.stage, Stage::Ended(_)) {
                let stage = std::mem::replace(&mut inner.stage, Stage::Gone);
                drop(inner);
                return match stage {
                    Stage::Ended(Ok(cause)) => Poll::Ready(cause),
                    Stage::Ended(Err(panic)) => resume_unwind(panic),
                    Stage::Unborn | Stage::Parked(_) | Stage::Moving | Stage::Gone => Poll::Pending,
                };
            }
            let old = match &inner.owner {
                Some(owner) if owner.will_wake(cx.waker()) => None,
                Some(_) | None => inner.owner.replace(cx.waker().clone()),
            };
            // A caller at the wheel has been woken, if there was anything to be woken for.
            let life = match inner.caller.is_none() && inner.rung {
                true => inner.take(),
                false => None,
            };
            drop(inner);
            drop(old);
            match life {
                Some(life) => wheel.advance(life, cx.waker()),
                None => return Poll::Pending,
            }
            if !matches!(wheel.lock().stage, Stage::Ended(_)) {
                return Poll::Pending;
            }
        }
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        let mut inner = self.wheel.lock();
        let stage = std::mem::replace(&mut inner.stage, Stage::Gone);
        let (owner, caller) = (inner.owner.take(), inner.caller.take());
        drop(inner);
        drop((stage, owner));
        // Who has the wheel is woken by nothing else.
        if let Some((_, caller)) = caller {
            caller.wake();
        }
    }
}

/// A caller's place. It is at the wheel from the moment it takes it until it is dropped, or until it was called and
/// did not come.
pub(super) struct Seat {
    wheel: Arc<Wheel>,
    id: u64,
}

impl Seat {
    /// Takes the wheel, does what is given, which may well ring, and moves the session along. `None`, and nothing is
    /// done, if somebody else has the wheel.
    pub(super) fn begin<T>(&self, cx: &Context<'_>, work: impl FnOnce() -> T) -> Option<T> {
        let life = self.claim(cx, true)?;
        let done = work();
        if let Some(life) = life {
            self.wheel.advance(life, cx.waker());
        }
        Some(done)
    }

    /// Moves the session along, if something happened. Whether this caller has the wheel: if not, what it waits for
    /// has to wake it up by itself.
    pub(super) fn attend(&self, cx: &Context<'_>) -> bool {
        match self.claim(cx, false) {
            Some(Some(life)) => self.wheel.advance(life, cx.waker()),
            Some(None) => {}
            None => return false,
        }
        true
    }

    /// Takes the wheel, and the session with it if `always` or if something happened. `None`: it is taken.
    fn claim(&self, cx: &Context<'_>, always: bool) -> Option<Option<Life>> {
        let mut inner = self.wheel.lock();
        if inner.caller.as_ref().is_some_and(|(id, _)| *id != self.id) || !inner.is_parked() {
            return None;
        }
        let life = match always || inner.rung {
            true => inner.take(),
            false => None,
        };
        let old = match &inner.caller {
            Some((_, waker)) if waker.will_wake(cx.waker()) => None,
            Some(_) | None => inner.caller.replace((self.id, cx.waker().clone())),
        };
        drop(inner);
        drop(old);
        Some(life)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut inner = self.wheel.lock();
        let mine = inner.caller.take_if(|(id, _)| *id == self.id);
        let owner = match &mine {
            Some(_) if inner.rung => inner.owner.clone(),
            Some(_) | None => None,
        };
        drop(inner);
        drop(mine);
        if let Some(owner) = owner {
            owner.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::{mpsc, oneshot};

    use super::*;

    /// Counts how often it was woken.
    #[derive(Default)]
    struct Sleeper(AtomicUsize);

    impl Wake for Sleeper {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    struct Person {
        sleeper: Arc<Sleeper>,
        waker: Waker,
    }

    impl Person {
        fn new() -> Self {
            let sleeper = Arc::<Sleeper>::default();
            Self {
                waker: Waker::from(sleeper.clone()),
                sleeper,
            }
        }

        fn cx(&self) -> Context<'_> {
            Context::from_waker(&self.waker)
        }

        fn woken(&self) -> usize {
            self.sleeper.0.load(Ordering::Relaxed)
        }
    }

    type Question = oneshot::Sender<&'static str>;

    /// A session that answers every question, and ends with the last asker.
    fn session() -> (Arc<Wheel>, Owner, mpsc::Sender<Question>) {
        let wheel = Wheel::new();
        let (sender, mut questions) = mpsc::channel::<Question>(8);
        let owner = wheel.own(async move {
            while let Some(question) = questions.recv().await {
                // Who left needs no answer.
                let _ = question.send("answer");
            }
            EndCause::Closed
        });
        (wheel, owner, sender)
    }

    fn poll(owner: &mut Owner, person: &Person) -> Poll<EndCause> {
        Pin::new(owner).poll(&mut person.cx())
    }

    /// A request is served in its caller's own task; the owner is not even woken.
    #[test]
    fn caller_moves_the_session_along() {
        let (wheel, mut owner, questions) = session();
        let (home, caller) = (Person::new(), Person::new());
        assert!(poll(&mut owner, &home).is_pending());
        let seat = wheel.seat();
        let (ask, mut answer) = oneshot::channel();
        let sent = seat.begin(&caller.cx(), || questions.try_send(ask).is_ok());
        assert_eq!(sent, Some(true));
        assert_eq!(answer.try_recv(), Ok("answer"));
        drop(seat);
        assert_eq!((home.woken(), caller.woken()), (0, 0));
        // Afterwards the owner watches again.
        let (ask, mut answer) = oneshot::channel();
        questions.try_send(ask).unwrap();
        assert_eq!(home.woken(), 1);
        assert!(poll(&mut owner, &home).is_pending());
        assert_eq!(answer.try_recv(), Ok("answer"));
    }

    /// While one caller has the wheel, another one waits beside it, and its request is seen.
    #[test]
    fn one_caller_has_the_wheel() {
        let (wheel, mut owner, questions) = session();
        let (home, first, second) = (Person::new(), Person::new(), Person::new());
        assert!(poll(&mut owner, &home).is_pending());
        let (one, other) = (wheel.seat(), wheel.seat());
        assert!(one.attend(&first.cx()));
        assert!(!other.attend(&second.cx()));
        assert_eq!(other.begin(&second.cx(), || ()), None);
        let (ask, mut answer) = oneshot::channel();
        questions.try_send(ask).unwrap();
        assert_eq!((home.woken(), first.woken(), second.woken()), (0, 1, 0));
        assert!(one.attend(&first.cx()));
        assert_eq!(answer.try_recv(), Ok("answer"));
        drop(one);
        assert!(other.attend(&second.cx()));
    }

    /// Invariant 2 of the architecture: a caller who does not come when it is called does not hold up the session.
    #[test]
    fn caller_who_does_not_come_loses_the_wheel() {
        let (wheel, mut owner, questions) = session();
        let (home, caller) = (Person::new(), Person::new());
        assert!(poll(&mut owner, &home).is_pending());
        let seat = wheel.seat();
        assert!(seat.attend(&caller.cx()));
        let (ask, mut answer) = oneshot::channel();
        questions.try_send(ask).unwrap();
        assert_eq!((home.woken(), caller.woken()), (0, 1));
        wheel.wake_by_ref();
        assert_eq!((home.woken(), caller.woken()), (1, 2));
        assert!(poll(&mut owner, &home).is_pending());
        assert_eq!(answer.try_recv(), Ok("answer"));
        assert!(seat.attend(&caller.cx()), "it may come back");
    }

    /// Q7: what happened for a caller who leaves is the owner's to look at.
    #[test]
    fn caller_who_leaves_hands_on_what_happened() {
        let (wheel, mut owner, questions) = session();
        let (home, caller) = (Person::new(), Person::new());
        assert!(poll(&mut owner, &home).is_pending());
        let seat = wheel.seat();
        assert!(seat.attend(&caller.cx()));
        let (ask, mut answer) = oneshot::channel();
        questions.try_send(ask).unwrap();
        drop(seat);
        assert_eq!(home.woken(), 1);
        assert!(poll(&mut owner, &home).is_pending());
        assert_eq!(answer.try_recv(), Ok("answer"));
    }

    /// The owner hears of an end that came while a caller had the wheel.
    #[test]
    fn owner_is_told_of_the_end() {
        let (wheel, mut owner, questions) = session();
        let (home, caller) = (Person::new(), Person::new());
        assert!(poll(&mut owner, &home).is_pending());
        let seat = wheel.seat();
        seat.begin(&caller.cx(), || drop(questions)).unwrap();
        assert_eq!(home.woken(), 1);
        assert!(matches!(poll(&mut owner, &home), Poll::Ready(EndCause::Closed)));
        assert!(!seat.attend(&caller.cx()));
    }

    /// Dropping the owner ends the session, and whoever waits hears that no answer comes.
    #[test]
    fn session_is_dropped_with_its_owner() {
        let wheel = Wheel::new();
        let (ask, mut answer) = oneshot::channel::<()>();
        let mut owner = wheel.own(async move {
            let _ask = ask;
            std::future::pending().await
        });
        assert!(poll(&mut owner, &Person::new()).is_pending());
        assert_eq!(answer.try_recv(), Err(oneshot::error::TryRecvError::Empty));
        let (seat, caller) = (wheel.seat(), Person::new());
        assert!(seat.attend(&caller.cx()));
        drop(owner);
        assert_eq!(caller.woken(), 1, "the one at the wheel waits for nothing else");
        assert!(!seat.attend(&caller.cx()));
        assert_eq!(answer.try_recv(), Err(oneshot::error::TryRecvError::Closed));
    }

    /// A fault in a session is the end of the session's task, not of the caller who happened to have the wheel.
    #[test]
    fn panic_is_the_owners() {
        let wheel = Wheel::new();
        let mut owner = wheel.own(async { panic!("on purpose") });
        let seat = wheel.seat();
        assert!(seat.attend(&Person::new().cx()));
        let home = Person::new();
        let polled = catch_unwind(AssertUnwindSafe(|| poll(&mut owner, &home)));
        assert!(polled.is_err());
        assert!(poll(&mut owner, &home).is_pending());
    }
}
