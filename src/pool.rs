//! The sessions of one device and device user that hold nothing, ready for the next caller (Q2).
//!
//! A session is lent ([`Lent`]) and comes back when the loan is dropped, if it is clean; a session that is needed
//! for more than reading is pinned ([`Pinned`]): it has one way back, [`Pinned::release`], which a session that
//! holds something does not pass. What cannot come back is closed politely by its own task.
//!
//! Checking out may open a session. deadpool drops what it is opening when the checkout is cancelled, so a
//! checkout belongs into a task that is not cancelled with a caller; `device` does that.

use std::future::Future;
use std::ops::Deref;

use deadpool::managed::{self, Metrics, Object, PoolError, RecycleError, RecycleResult};

use crate::session::SessionHandle;

/// Opens sessions for a pool: dial, hello and compatibility check.
pub trait Connect: Send + Sync + 'static {
    type Error: Send + 'static;

    /// One new session.
    fn connect(&self) -> impl Future<Output = Result<SessionHandle, Self::Error>> + Send;
}

/// Why nothing could be checked out.
#[derive(Debug, thiserror::Error)]
pub enum CheckoutError<E> {
    #[error("the pool is closed")]
    Closed,
    #[error("no session could be opened")]
    Connect(E),
}

struct Manager<C> {
    connect: C,
}

impl<C: Connect> managed::Manager for Manager<C> {
    type Type = SessionHandle;
    type Error = C::Error;

    async fn create(&self) -> Result<SessionHandle, C::Error> {
        self.connect.connect().await
    }

    async fn recycle(&self, session: &mut SessionHandle, _: &Metrics) -> RecycleResult<C::Error> {
        if session.is_clean() {
            Ok(())
        } else {
            Err(RecycleError::message("the session has ended or holds something"))
        }
    }
}

/// The clean sessions of one device and device user.
pub struct Pool<C: Connect> {
    inner: managed::Pool<Manager<C>>,
}

impl<C: Connect> Pool<C> {
    /// A pool without sessions; `max_sessions` counts the lent ones, too.
    pub fn new(connect: C, max_sessions: usize) -> Self {
        // The session used last is the one most likely to be alive.
        let inner = managed::Pool::builder(Manager { connect })
            .max_size(max_sessions.max(1))
            .queue_mode(managed::QueueMode::Lifo)
            .build()
            .expect("a pool without timeouts needs no runtime");
        Self { inner }
    }

    /// A clean session, opened if there is none.
    ///
    /// # Errors
    /// When the pool is closed, or no session can be opened.
    ///
    /// # Cancel safety
    /// Not safe: a session that is being opened or looked at is lost. Run it in a task of its own.
    pub async fn checkout(&self) -> Result<Lent<C>, CheckoutError<C::Error>> {
        match self.inner.get().await {
            Ok(object) => Ok(Lent { object: Some(object) }),
            Err(PoolError::Backend(error)) => Err(CheckoutError::Connect(error)),
            // Neither timeouts nor hooks are configured.
            Err(
                PoolError::Closed
                | PoolError::Timeout(_)
                | PoolError::NoRuntimeSpecified
                | PoolError::PostCreateHook(_),
            ) => Err(CheckoutError::Closed),
        }
    }

    /// Takes idle sessions out that are not to be kept; they close politely when dropped.
    pub fn evict(&self, mut keep: impl FnMut(&SessionHandle) -> bool) -> Vec<SessionHandle> {
        self.inner.retain(|session, _| keep(session)).removed
    }

    /// Lends nothing any more. Idle sessions are closed now, lent ones when they come back.
    pub fn close(&self) {
        self.inner.close();
    }
}

/// A session on loan.
pub struct Lent<C: Connect> {
    /// Taken out only when the loan ends.
    object: Option<Object<Manager<C>>>,
}

impl<C: Connect> Lent<C> {
    /// Keeps the session for more than reading.
    pub fn pin(mut self) -> Pinned<C> {
        Pinned { object: self.object.take() }
    }
}

impl<C: Connect> Deref for Lent<C> {
    type Target = SessionHandle;

    fn deref(&self) -> &SessionHandle {
        self.object.as_deref().expect("a loan holds its session until it is dropped")
    }
}

impl<C: Connect> Drop for Lent<C> {
    fn drop(&mut self) {
        if let Some(object) = self.object.take()
            && !object.is_clean()
        {
            // Dropping the last handle makes the session close itself.
            drop(Object::take(object));
        }
    }
}

/// A session that may hold something: a lock, a private copy, changes. Dropping it closes the session.
pub struct Pinned<C: Connect> {
    object: Option<Object<Manager<C>>>,
}

impl<C: Connect> Pinned<C> {
    /// Gives the session back to the pool, if it holds nothing.
    ///
    /// # Errors
    /// The pin itself, if it does.
    pub fn release(mut self) -> Result<Lent<C>, Self> {
        if self.is_clean() { Ok(Lent { object: self.object.take() }) } else { Err(self) }
    }
}

impl<C: Connect> Deref for Pinned<C> {
    type Target = SessionHandle;

    fn deref(&self) -> &SessionHandle {
        self.object.as_deref().expect("a pin holds its session until it is dropped")
    }
}

impl<C: Connect> Drop for Pinned<C> {
    fn drop(&mut self) {
        if let Some(object) = self.object.take() {
            drop(Object::take(object));
        }
    }
}
