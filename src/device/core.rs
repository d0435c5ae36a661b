//! What a device remembers between calls: its settings, its sessions, how the last connect ended, what it showed. How a
//! session is opened is told in `opening`, when that may be tried in `permission`.

mod opening;
mod permission;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use time::OffsetDateTime;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

pub use self::opening::Opener;

use super::breaker::Breaker;
use super::compat::Verdict;
use super::connector::{Connector, Link};
use super::domain::Domain;
use super::error::{ConnectError, DeviceError, Failure, Step, error_chain};
use super::jump::JumpLogins;
use super::login_gate::LoginGate;
use super::news::{Newsroom, SessionNews};
use super::settings::Settings;
use super::software::Software;
use super::stage::Stages;
use crate::clock::Clock;
use crate::ids::Ids;
use crate::metrics::Metrics;
use crate::netconf::capability::Capabilities;
use crate::netconf::framing::Framing;
use crate::session::spool::Spool;
use crate::session::{self, EndCause, SessionHandle};

/// What all devices share.
#[derive(Clone)]
pub struct Surroundings {
    pub spool: Arc<Spool>,
    pub metrics: Arc<Metrics>,
    pub clock: Clock,
    pub ids: Ids,
    /// Sessions and their housekeeping run in tasks of this tracker.
    pub tracker: TaskTracker,
    /// Cuts every session when it is cancelled.
    pub cut: CancellationToken,
}

/// What the last session showed, kept until the next one.
#[derive(Debug, Clone)]
pub struct Established {
    pub session_id: u64,
    pub capabilities: Arc<Capabilities>,
    pub framing: Framing,
    pub software: Software,
    pub verdict: Verdict,
    pub link: Link,
    pub seen_at: OffsetDateTime,
    software_at: Instant,
}

/// Why a session ended that was not meant to, or why none could be opened.
#[derive(Debug, Clone)]
pub enum LossCause {
    Session { session_id: u64, cause: EndCause },
    Connect(Arc<ConnectError>),
}

/// The last loss.
#[derive(Debug, Clone)]
pub struct Loss {
    pub at: OffsetDateTime,
    pub cause: LossCause,
}

/// One open session, for people.
#[derive(Debug, Clone)]
pub struct OpenSession {
    pub session_id: u64,
    pub opened_at: OffsetDateTime,
    /// RPCs in flight or waiting in it.
    pub outstanding: usize,
    /// Whether it waits in the pool for its next caller.
    pub idle: bool,
    /// How long nothing was asked of the device in it, and nothing answered.
    pub quiet: Duration,
}

struct Memory {
    breaker: Breaker,
    /// Why the last connect failed, until one succeeds.
    last_error: Option<Arc<ConnectError>>,
    established: Option<Arc<Established>>,
    last_loss: Option<Loss>,
    sessions: BTreeMap<u64, (SessionHandleWatch, OffsetDateTime)>,
    next_session: u64,
}

/// Watches a session without keeping it open.
type SessionHandleWatch = tokio::sync::watch::Receiver<session::Status>;

/// A device without its queue and pool.
pub struct Core {
    pub settings: Settings,
    pub around: Surroundings,
    connector: Arc<dyn Connector>,
    domain: Arc<Mutex<Domain>>,
    jumps: JumpLogins,
    news: Newsroom,
    memory: Mutex<Memory>,
    logins: LoginGate,
    stages: Stages,
    /// One permit for each session, pooled, pinned or closing (Q1).
    places: Arc<Semaphore>,
    /// Told whenever a session comes back to the pool or ends.
    pub freed: Notify,
    /// Other settings have taken the place of these.
    replaced: CancellationToken,
}

impl Core {
    pub fn new(
        settings: Settings,
        connector: Arc<dyn Connector>,
        domain: Arc<Mutex<Domain>>,
        jumps: JumpLogins,
        around: Surroundings,
        news: Newsroom,
    ) -> Self {
        let memory = Memory {
            breaker: Breaker::new(settings.auth_retry),
            last_error: None,
            established: None,
            last_loss: None,
            sessions: BTreeMap::new(),
            next_session: 0,
        };
        let places = Arc::new(Semaphore::new(settings.max_sessions.max(1)));
        Self {
            settings,
            around,
            connector,
            domain,
            jumps,
            news,
            memory: Mutex::new(memory),
            logins: LoginGate::default(),
            stages: Stages::default(),
            places,
            freed: Notify::new(),
            replaced: CancellationToken::new(),
        }
    }

    /// Other settings hold from now on: nobody should wait for a connect with these any longer.
    pub fn replace(&self) {
        self.replaced.cancel();
    }

    /// Waits until other settings have taken the place of these.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn replaced(&self) {
        self.replaced.cancelled().await;
    }

    pub fn name(&self) -> &str {
        &self.settings.name
    }

    /// The error of a call that got no session; nothing was sent.
    pub fn refuse(&self, failure: Failure) -> DeviceError {
        DeviceError::not_sent(self.name(), Step::Connect, failure)
    }

    /// The error of a call whose deadline passed before it had a session; nothing was sent.
    pub fn late(&self) -> DeviceError {
        self.refuse(match self.stages.longest() {
            Some(phase) => Failure::DeadlineConnecting { phase },
            None => Failure::DeadlineInQueue,
        })
    }

    /// Whether another session may be opened at once.
    pub fn has_place(&self) -> bool {
        self.places.available_permits() > 0
    }

    /// Waits until no session is open any more, closing ones included.
    pub async fn all_ended(&self) {
        let all = u32::try_from(self.settings.max_sessions.max(1)).unwrap_or(u32::MAX);
        // The semaphore is never closed.
        let _ = self.places.acquire_many(all).await;
    }

    /// Runs the session in a task of its own until it ends, and keeps the books.
    fn start(
        self: &Arc<Self>,
        handle: &SessionHandle,
        run: crate::transport::BoxFuture<'static, EndCause>,
        place: OwnedSemaphorePermit,
    ) {
        let session_id = handle.session_id();
        let key = {
            let mut memory = self.memory();
            let key = memory.next_session;
            memory.next_session += 1;
            memory
                .sessions
                .insert(key, (handle.watch(), self.around.clock.wall()));
            key
        };
        self.around.metrics.session_opened();
        self.tell(SessionNews::Up { session_id });
        info!(device = self.name(), session_id, "session opened");
        let core = self.clone();
        self.around.tracker.spawn(async move {
            let cut = core.around.cut.clone();
            let cause = tokio::select! {
                cause = run => Some(cause),
                () = cut.cancelled() => None,
            };
            core.ended(key, session_id, cause);
            drop(place);
            core.freed.notify_waiters();
        });
    }

    fn ended(&self, key: u64, session_id: u64, cause: Option<EndCause>) {
        self.around.metrics.session_closed();
        let word = cause.as_ref().map_or("cut", EndCause::label);
        self.tell(SessionNews::Down {
            session_id,
            cause: word,
        });
        let mut memory = self.memory();
        let status = memory.sessions.remove(&key);
        match cause {
            Some(cause) if !cause.is_wanted() => {
                let outstanding = status.map_or(0, |(status, _)| status.borrow().outstanding);
                memory.last_loss = Some(Loss {
                    at: self.around.clock.wall(),
                    cause: LossCause::Session {
                        session_id,
                        cause: cause.clone(),
                    },
                });
                drop(memory);
                self.around.metrics.session_lost(cause.label());
                let detail = error_chain(&cause);
                warn!(
                    device = self.name(),
                    session_id,
                    cause = cause.label(),
                    outstanding,
                    detail,
                    "session lost"
                );
            }
            Some(_) => info!(device = self.name(), session_id, "session closed"),
            None => warn!(
                device = self.name(),
                session_id, "session cut, because the time to close it was over"
            ),
        }
    }

    fn tell(&self, news: SessionNews) {
        self.news.tell(&self.around.metrics, self.name(), news);
    }

    /// What the last session showed.
    pub fn established(&self) -> Option<Arc<Established>> {
        self.memory().established.clone()
    }

    /// The last loss of a session, or failed connect.
    pub fn last_loss(&self) -> Option<Loss> {
        self.memory().last_loss.clone()
    }

    /// Why the last connect failed; `None` once one has succeeded.
    pub fn last_error(&self) -> Option<Arc<ConnectError>> {
        self.memory().last_error.clone()
    }

    /// Whether any session is open.
    pub fn has_sessions(&self) -> bool {
        !self.memory().sessions.is_empty()
    }

    /// Whether the credentials are known to be right: there are sessions, and no login was refused since.
    fn is_proven(&self) -> bool {
        let memory = self.memory();
        !memory.sessions.is_empty() && !memory.breaker.is_refused()
    }

    /// The sessions that are open now.
    pub fn sessions(&self) -> Vec<OpenSession> {
        let memory = self.memory();
        memory
            .sessions
            .values()
            .map(|(watch, opened_at)| {
                let status = watch.borrow();
                OpenSession {
                    session_id: status.session_id,
                    opened_at: *opened_at,
                    outstanding: status.outstanding,
                    idle: status.clean,
                    quiet: match status.outstanding {
                        0 => status.since.elapsed(),
                        _ => Duration::ZERO,
                    },
                }
            })
            .collect()
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        // Every change under the lock is complete in itself.
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn domain(&self) -> MutexGuard<'_, Domain> {
        // As above.
        self.domain.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
