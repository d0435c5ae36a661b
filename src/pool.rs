//! The sessions of one device and device user that hold nothing, ready for the next caller (Q2).
//!
//! A session is lent ([`Lent`]) and comes back when the loan is dropped, if it is clean; a session that is needed
//! for more than reading is pinned ([`Pinned`]): each of its RPCs is booked ([`Holds`]), and it has one way back,
//! [`Pinned::release`], which a session that holds something does not pass. What cannot come back is closed politely
//! by its own task.
//!
//! Checking out may open a session. deadpool drops what it is opening when the checkout is cancelled, so a
//! checkout must not be cancelled with a caller; `device` sees to that.

mod holds;
#[cfg(test)]
mod schedules;
#[cfg(test)]
mod truth;

use std::future::Future;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use deadpool::managed::{self, Metrics, Object, PoolError, RecycleError, RecycleResult};
use tokio::sync::watch;
use tokio::time::Instant;

pub use self::holds::{Hold, Holds, Touch};

use self::holds::Came;
use crate::netconf::capability::Capabilities;
use crate::session::{Call, EndCause, RawReply, SessionError, SessionHandle, Status, Traces};

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
        // Boxed, because every checkout is as large as this, and hardly any gets here.
        Box::pin(self.connect.connect()).await
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
    /// Not safe: a session that is being opened or looked at is lost.
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
        Pinned {
            endured: false,
            object: self.object.take(),
            holds: Holds::default(),
        }
    }
}

impl<C: Connect> Deref for Lent<C> {
    type Target = SessionHandle;

    fn deref(&self) -> &SessionHandle {
        self.object
            .as_deref()
            .expect("a loan holds its session until it is dropped")
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

/// A session that may hold something: a lock, a private copy, changes. Dropping it closes the session. There is no
/// way to its handle, so that no RPC passes the books.
pub struct Pinned<C: Connect> {
    /// Taken out only when the pin ends.
    object: Option<Object<Manager<C>>>,
    holds: Holds,
    /// It was to be kept whatever reply is late in it: nobody else is to have such a session.
    endured: bool,
}

impl<C: Connect> Pinned<C> {
    /// Sends an RPC and keeps the books: `touch` says what it does to the session, and decides over the call's own
    /// `traces`.
    ///
    /// # Errors
    /// As [`SessionHandle::call`].
    ///
    /// # Cancel safety
    /// As [`SessionHandle::call`]; an RPC that nobody waits for any more counts as never answered.
    pub async fn call(&mut self, call: Call, touch: Touch) -> Result<RawReply, SessionError> {
        let booking = self.holds.book(touch);
        let call = Call {
            traces: traces(touch),
            ..call
        };
        let result = self.session().call(call).await;
        self.holds.settle(booking, came(&result));
        result
    }

    /// As [`Self::call`], for several RPCs that are sent without waiting for replies in between; each has its own result.
    ///
    /// # Errors
    /// As [`SessionHandle::call_all`]: nothing was sent.
    ///
    /// # Cancel safety
    /// As [`Self::call`].
    pub async fn call_all(
        &mut self,
        calls: impl IntoIterator<Item = (Call, Touch)>,
    ) -> Result<Vec<Result<RawReply, SessionError>>, SessionError> {
        let (calls, bookings): (Vec<Call>, Vec<_>) = calls
            .into_iter()
            .map(|(call, touch)| {
                let traces = traces(touch);
                (Call { traces, ..call }, self.holds.book(touch))
            })
            .unzip();
        let results = self.session().call_all(calls).await;
        match &results {
            Ok(results) => {
                // What one of them would have done may be another's doing.
                let any_sent = results.iter().any(|result| came(result) != Came::NotSent);
                for (booking, result) in bookings.into_iter().zip(results) {
                    let came = match came(result) {
                        Came::NotSent if any_sent => Came::Nothing,
                        came @ (Came::NotSent | Came::Ok | Came::Refused | Came::Nothing) => came,
                    };
                    self.holds.settle(booking, came);
                }
            }
            Err(_) => {
                for booking in bookings {
                    self.holds.settle(booking, Came::NotSent);
                }
            }
        }
        results
    }

    /// What the session holds.
    pub fn holds(&self) -> Holds {
        self.holds
    }

    /// The session-id of the server's hello.
    pub fn session_id(&self) -> u64 {
        self.session().session_id()
    }

    /// What the device offers in this session.
    pub fn capabilities(&self) -> &Arc<Capabilities> {
        self.session().capabilities()
    }

    /// Watches the session without keeping it open.
    pub fn watch(&self) -> watch::Receiver<Status> {
        self.session().watch()
    }

    /// Waits until no RPC is outstanding any more, or the session has ended.
    pub async fn idle(&self) {
        self.session().idle().await;
    }

    /// As [`SessionHandle::endure`]. The session does not go back to the pool any more.
    pub async fn endure(&mut self, until: Instant) {
        self.endured = true;
        self.session().endure(until).await;
    }

    /// Whether it was made to.
    pub fn endures(&self) -> bool {
        self.endured
    }

    /// Ends the session politely, as [`SessionHandle::close`].
    pub async fn close(self, grace: Duration) -> EndCause {
        self.session().close(grace).await
    }

    /// Gives the session back to the pool, if it holds nothing.
    ///
    /// # Errors
    /// The pin itself, if it does.
    pub fn release(mut self) -> Result<Lent<C>, Self> {
        if self.holds.is_empty() && self.session().is_clean() && !self.endured {
            Ok(Lent {
                object: self.object.take(),
            })
        } else {
            Err(self)
        }
    }

    fn session(&self) -> &SessionHandle {
        self.object
            .as_deref()
            .expect("a pin holds its session until it is dropped")
    }
}

/// What an RPC may leave behind that the books do not know.
fn traces(touch: Touch) -> Traces {
    match touch {
        // The books know what these leave behind, and nothing leaves the pin before they are even.
        Touch::Nothing
        | Touch::Acquires(_)
        | Touch::Releases(_)
        | Touch::Edits
        | Touch::CommitsConfirmed
        | Touch::Applies => Traces::None,
        Touch::Unknown => Traces::Possible,
    }
}

fn came(result: &Result<RawReply, SessionError>) -> Came {
    match result {
        Ok(reply) if reply.scan.is_error() => Came::Refused,
        Ok(_) => Came::Ok,
        Err(error) if error.sent() => Came::Nothing,
        Err(_) => Came::NotSent,
    }
}

impl<C: Connect> Drop for Pinned<C> {
    fn drop(&mut self) {
        if let Some(object) = self.object.take() {
            drop(Object::take(object));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;
    use crate::netconf::datastore::Datastore;
    use crate::session::fake::{BASE10, FakeDevice, React, call};

    const LOCK: Touch = Touch::Acquires(Hold::Lock(Datastore::Candidate));
    const UNLOCK: Touch = Touch::Releases(Hold::Lock(Datastore::Candidate));

    struct Fake(FakeDevice);

    impl Connect for Fake {
        type Error = Infallible;

        async fn connect(&self) -> Result<SessionHandle, Infallible> {
            Ok(self.0.session().await)
        }
    }

    fn device() -> FakeDevice {
        FakeDevice::new(&[BASE10], |rpc| match rpc.operation.as_str() {
            "close-session" => Vec::new(),
            _ => vec![React::Reply("<ok/>".to_owned())],
        })
    }

    fn mutating() -> Call {
        Call {
            traces: Traces::Possible,
            ..call("lock")
        }
    }

    /// Q2: what holds nothing comes back and is lent again; what may hold something is closed instead.
    #[tokio::test(start_paused = true)]
    async fn only_clean_sessions_come_back() {
        let device = device();
        let pool = Pool::new(Fake(device.clone()), 1);
        let lent = pool.checkout().await.unwrap();
        let opened_at = lent.opened_at();
        lent.call(call("get")).await.unwrap();
        drop(lent);
        let lent = pool.checkout().await.unwrap();
        assert_eq!(lent.opened_at(), opened_at);
        lent.call(mutating()).await.unwrap();
        let mut watch = lent.watch();
        drop(lent);
        watch.wait_for(|status| status.ended.is_some()).await.unwrap();
        assert!(pool.checkout().await.unwrap().is_clean());
        assert_eq!(device.operations(), ["get", "lock", "close-session"]);
    }

    /// Q2: a pin has one way back, and a session that may hold something does not pass it.
    #[tokio::test(start_paused = true)]
    async fn pin_is_released_only_when_clean() {
        let device = device();
        let pool = Pool::new(Fake(device.clone()), 1);
        let mut pinned = pool.checkout().await.unwrap().pin();
        pinned.call(call("get"), Touch::Nothing).await.unwrap();
        let lent = pinned.release().ok().unwrap();
        let mut pinned = lent.pin();
        pinned.call(call("lock"), LOCK).await.unwrap();
        assert_eq!(
            pinned.holds().iter().collect::<Vec<_>>(),
            [Hold::Lock(Datastore::Candidate)]
        );
        let mut pinned = pinned.release().err().unwrap();
        pinned.call(call("unlock"), UNLOCK).await.unwrap();
        let mut pinned = pinned.release().ok().unwrap().pin();
        pinned.call(call("request-x"), Touch::Unknown).await.unwrap();
        let pinned = pinned.release().err().unwrap();
        let mut watch = pinned.watch();
        drop(pinned);
        watch.wait_for(|status| status.ended.is_some()).await.unwrap();
        assert_eq!(
            device.operations(),
            ["get", "lock", "unlock", "request-x", "close-session"]
        );
    }

    /// Q2: a session that died while it lay idle is not lent; an evicted one ends politely.
    #[tokio::test(start_paused = true)]
    async fn dead_and_evicted_sessions_are_not_lent() {
        let device = device();
        let pool = Pool::new(Fake(device.clone()), 2);
        let lent = pool.checkout().await.unwrap();
        let session = SessionHandle::clone(&lent);
        drop(lent);
        session.close(std::time::Duration::from_secs(5)).await;
        let lent = pool.checkout().await.unwrap();
        assert!(lent.is_clean());
        drop(lent);
        let mut evicted = pool.evict(|_| false);
        assert_eq!(evicted.len(), 1);
        let watch = evicted.pop().unwrap().watch();
        assert!(watch.borrow().ended.is_none());
        pool.close();
        assert!(matches!(pool.checkout().await, Err(CheckoutError::Closed)));
    }
}
