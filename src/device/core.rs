//! What a device remembers between calls, and the one place where its sessions are opened: breaker and credential
//! domain before, compatibility check after, a task for each session, and what is known since.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use time::OffsetDateTime;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use super::breaker::{self, Attempt, Breaker, Held};
use super::compat::{self, Verdict};
use super::connector::{Connector, Link, LinkStep, Opened};
use super::domain::{Domain, Suspended};
use super::error::{ConnectError, DeviceError, Failure, Step, error_chain};
use super::login_gate::{Login, LoginGate};
use super::settings::{Policy, Profile, Settings};
use super::software::{self, Software};
use crate::clock::Clock;
use crate::ids::Ids;
use crate::metrics::Metrics;
use crate::netconf::capability::Capabilities;
use crate::netconf::framing::Framing;
use crate::pool;
use crate::session::spool::Spool;
use crate::session::{self, EndCause, FirstRpc, SessionHandle};

/// How long a server may take to send its hello.
const HELLO_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a connect waits for a session to end that takes the last place of the device.
const ROOM_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a connect waits for its turn in the pace of its credential domain.
const PACE_TIMEOUT: Duration = Duration::from_secs(30);
/// Software that was told longer ago is asked for again with the next session.
const SOFTWARE_AGE: Duration = Duration::from_secs(3600);

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
    memory: Mutex<Memory>,
    logins: LoginGate,
    /// One permit for each session, pooled, pinned or closing (Q1).
    places: Arc<Semaphore>,
    /// Told whenever a session comes back to the pool or ends.
    pub freed: Notify,
}

/// What to do while all places of the device are taken.
#[derive(Clone, Copy)]
enum Room {
    Wait,
    Now,
}

/// A fresh session, judged.
pub struct Fresh {
    pub handle: SessionHandle,
    pub established: Arc<Established>,
}

impl Core {
    pub fn new(
        settings: Settings,
        connector: Arc<dyn Connector>,
        domain: Arc<Mutex<Domain>>,
        around: Surroundings,
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
            memory: Mutex::new(memory),
            logins: LoginGate::default(),
            places,
            freed: Notify::new(),
        }
    }

    pub fn name(&self) -> &str {
        &self.settings.name
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

    /// Opens a session. `asked`: by a person who wants to know now; then failures of the past do not count, and the
    /// software is asked for in any case.
    pub async fn open(self: &Arc<Self>, asked: bool) -> Result<Fresh, DeviceError> {
        self.open_in(Room::Wait, asked).await
    }

    /// Opens a session if the device may have one more now, so that none has to leave the pool for it.
    pub async fn open_beside(self: &Arc<Self>) -> Option<Result<Fresh, DeviceError>> {
        if !self.has_place() {
            return None;
        }
        match self.open_in(Room::Now, false).await {
            // Somebody else was quicker.
            Err(DeviceError {
                failure: Failure::Connect { error, .. },
                ..
            }) if matches!(*error, ConnectError::NoRoom(_)) => None,
            result => Some(result),
        }
    }

    async fn open_in(self: &Arc<Self>, room: Room, asked: bool) -> Result<Fresh, DeviceError> {
        let login = self.logins.enter(|| self.is_proven()).await;
        let permission = self.permit(asked).map_err(|failure| self.refuse(failure))?;
        let mut login = Some(login);
        let result = self.open_permitted(room, asked, &mut login).await;
        // A failed login is held until its failure is in the books.
        match result {
            Ok(fresh) => {
                permission.succeeded();
                self.around.metrics.connect("ok");
                Ok(fresh)
            }
            Err(error) => {
                let error = Arc::new(error);
                let retry_after = permission.failed(&error);
                self.around.metrics.connect(error.label());
                Err(self.refuse(Failure::Connect { error, retry_after }))
            }
        }
    }

    fn refuse(&self, failure: Failure) -> DeviceError {
        DeviceError::not_sent(self.name(), Step::Connect, failure)
    }

    /// Why no connect would be tried now, if so.
    pub fn held(&self) -> Option<Failure> {
        let now = Instant::now();
        let domain = self.domain();
        let mut memory = self.memory();
        self.lift(&domain, &mut memory);
        let held = memory.breaker.held(now)?;
        held_back(held, memory.last_error.as_ref(), now)
    }

    /// Q4: once another device of the domain was let in, refusals from before it do not count any more.
    fn lift(&self, domain: &Domain, memory: &mut Memory) {
        let Some((at, kind)) = memory.breaker.last_failure() else {
            return;
        };
        let accepted_since = domain.accepted_at().is_some_and(|accepted| accepted > at);
        let shared = self.settings.credential_domain.is_some();
        if shared && accepted_since && kind == breaker::Failure::Credentials {
            memory.breaker.reset();
        }
    }

    fn permit(self: &Arc<Self>, asked: bool) -> Result<Permission, Failure> {
        let now = Instant::now();
        let mut domain = self.domain();
        let mut memory = self.memory();
        self.lift(&domain, &mut memory);
        let attempt = if asked {
            memory.breaker.force(now)
        } else {
            match memory.breaker.admit(now) {
                Ok(attempt) => attempt,
                Err(held) => {
                    // Every failure is kept with its error, so there is always one to tell.
                    return Err(
                        held_back(held, memory.last_error.as_ref(), now).unwrap_or(Failure::DeadlineInQueue)
                    );
                }
            }
        };
        let probe = if asked || self.settings.credential_domain.is_none() {
            false
        } else {
            match domain.admit(now) {
                Ok(probe) => probe,
                Err(Suspended { until, refused }) => {
                    memory.breaker.abandoned(attempt);
                    return Err(Failure::DomainSuspended {
                        domain: self.settings.credential_domain.clone().unwrap_or_default(),
                        refused,
                        retry_after: until.saturating_duration_since(now),
                    });
                }
            }
        };
        Ok(Permission {
            core: self.clone(),
            attempt: Some(attempt),
            probe,
        })
    }

    async fn open_permitted(
        self: &Arc<Self>,
        room: Room,
        asked: bool,
        login: &mut Option<Login<'_>>,
    ) -> Result<Fresh, ConnectError> {
        let place = match room {
            Room::Wait => self.place().await?,
            Room::Now => match self.places.clone().try_acquire_owned() {
                Ok(place) => place,
                Err(_) => return Err(ConnectError::NoRoom(Duration::ZERO)),
            },
        };
        self.wait_for_pace().await?;
        let config = session::Config {
            spool: self.around.spool.clone(),
            metrics: self.around.metrics.clone(),
            hello_timeout: HELLO_TIMEOUT,
            first_rpc: match self.settings.profile {
                Profile::Auto => FirstRpc::Auto,
                Profile::Junos => FirstRpc::AtOnce,
                Profile::Rfc => FirstRpc::AfterPause,
            },
            echo: false,
        };
        let Opened {
            handle,
            run,
            mut link,
        } = self.connector.connect(config).await?;
        self.start(&handle, run, place);
        *login = None;
        let software = match self.known_software(&handle, asked) {
            Some(software) => software,
            None => {
                let start = Instant::now();
                let deadline = start + self.settings.rpc_timeout;
                let software = software::ask(&handle, deadline)
                    .await
                    .map_err(ConnectError::Software)?;
                if software != Software::NotAsked {
                    link.steps.push(LinkStep {
                        name: "software",
                        jump: None,
                        duration: start.elapsed(),
                    });
                }
                (software, start)
            }
        };
        self.judge(handle, software, link, asked)
    }

    /// One of the device's places for sessions; a session that is just closing may have to leave it first.
    async fn place(&self) -> Result<OwnedSemaphorePermit, ConnectError> {
        match tokio::time::timeout(ROOM_TIMEOUT, self.places.clone().acquire_owned()).await {
            Ok(Ok(place)) => Ok(place),
            Ok(Err(_)) | Err(_) => Err(ConnectError::NoRoom(ROOM_TIMEOUT)),
        }
    }

    async fn wait_for_pace(&self) -> Result<(), ConnectError> {
        let now = Instant::now();
        let start = self.domain().reserve(now, now + PACE_TIMEOUT);
        match start {
            Some(start) if start <= now => Ok(()),
            Some(start) => {
                tokio::time::sleep_until(start).await;
                Ok(())
            }
            None => Err(ConnectError::NoRoom(PACE_TIMEOUT)),
        }
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

    /// What the device told before, if it need not be asked again.
    fn known_software(&self, handle: &SessionHandle, asked: bool) -> Option<(Software, Instant)> {
        let known = self.memory().established.clone()?;
        let same = *known.capabilities == **handle.capabilities();
        let fresh = known.software_at.elapsed() < SOFTWARE_AGE;
        let strict = self.settings.compatibility.policy == Policy::Refuse;
        (same && fresh && !strict && !asked).then(|| (known.software.clone(), known.software_at))
    }

    fn judge(
        &self,
        handle: SessionHandle,
        (software, software_at): (Software, Instant),
        link: Link,
        asked: bool,
    ) -> Result<Fresh, ConnectError> {
        let versions = software.versions();
        let verdict = compat::judge(&self.settings.compatibility, handle.capabilities(), &versions);
        let established = Arc::new(Established {
            session_id: handle.session_id(),
            capabilities: handle.capabilities().clone(),
            framing: handle.framing(),
            software,
            verdict: verdict.clone(),
            link,
            seen_at: self.around.clock.wall(),
            software_at,
        });
        self.memory().established = Some(established.clone());
        // Who asks is told by the verdict itself.
        if verdict.refuses() && !asked {
            // Dropping the last handle ends the session politely.
            return Err(ConnectError::Incompatible(verdict));
        }
        Ok(Fresh { handle, established })
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

/// The pool's way to open sessions.
pub struct Opener(pub Arc<Core>);

impl pool::Connect for Opener {
    type Error = DeviceError;

    async fn connect(&self) -> Result<SessionHandle, DeviceError> {
        self.0.open(false).await.map(|fresh| fresh.handle)
    }
}

/// The right to try a connect. Without a result it counts as not tried.
struct Permission {
    core: Arc<Core>,
    attempt: Option<Attempt>,
    probe: bool,
}

impl Permission {
    fn succeeded(mut self) {
        self.attempt = None;
        self.core.domain().accepted(Instant::now());
        let mut memory = self.core.memory();
        memory.breaker.succeeded();
        memory.last_error = None;
    }

    /// Reports the failure; returns how long no connect will be tried.
    fn failed(mut self, error: &Arc<ConnectError>) -> Option<Duration> {
        let attempt = self.attempt.take()?;
        let now = Instant::now();
        let core = self.core.clone();
        let kind = error.kind();
        {
            let mut domain = core.domain();
            match kind {
                // Devices without a domain share nothing but the pace.
                Some(breaker::Failure::Credentials) if core.settings.credential_domain.is_some() => {
                    domain.refused(core.name(), self.probe, core.settings.auth_retry, now);
                }
                Some(
                    breaker::Failure::Credentials | breaker::Failure::Connect | breaker::Failure::HostKey,
                )
                | None => domain.abandoned(self.probe),
            }
        }
        let mut memory = core.memory();
        match kind {
            Some(kind) => {
                memory
                    .breaker
                    .failed(attempt, kind, now, |most| core.around.ids.jitter(most));
                memory.last_error = Some(error.clone());
                memory.last_loss = Some(Loss {
                    at: core.around.clock.wall(),
                    cause: LossCause::Connect(error.clone()),
                });
            }
            None => memory.breaker.abandoned(attempt),
        }
        let held = memory.breaker.held(now);
        drop(memory);
        warn!(
            device = core.name(),
            cause = error.label(),
            detail = error_chain(&**error),
            "connect failed"
        );
        held.and_then(until)
            .map(|until| until.saturating_duration_since(now))
    }
}

impl Drop for Permission {
    fn drop(&mut self) {
        if let Some(attempt) = self.attempt.take() {
            self.core.domain().abandoned(self.probe);
            self.core.memory().breaker.abandoned(attempt);
        }
    }
}

fn until(held: Held) -> Option<Instant> {
    match held {
        Held::Backoff { until } | Held::Open { until, .. } | Held::Credentials { until, .. } => Some(until),
        Held::HostKey => None,
    }
}

fn held_back(held: Held, last: Option<&Arc<ConnectError>>, now: Instant) -> Option<Failure> {
    let last = last?.clone();
    let retry_after = until(held).map(|until| until.saturating_duration_since(now));
    Some(match held {
        Held::Open { failures, .. } => Failure::CircuitOpen {
            failures,
            retry_after: retry_after.unwrap_or_default(),
            last,
        },
        Held::Backoff { .. } | Held::Credentials { .. } | Held::HostKey => Failure::Connect {
            error: last,
            retry_after,
        },
    })
}
