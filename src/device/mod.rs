//! One device: its lane and fair queue, its sessions, who holds one of them, what is known of it, and when it may be
//! dialled. Later its pending commits.
//!
//! A call waits for its turn (`lane`), then runs (`call`) on a session of the pool, to its end even if its caller
//! leaves (`errand`). Who needs a session for longer holds one (`hold`), and may bind it to a caller for a time
//! (`edit`). Sessions are opened in one place (`core`), under the rules of `breaker`, `domain` and `jump`, and judged by
//! `compat`. It knows no HTTP, no principals beyond a name to be fair by, and nothing of the database: `model` is only
//! the stored shape.

mod breaker;
mod call;
mod candidate;
mod compat;
mod connector;
mod core;
mod domain;
mod edit;
pub(crate) mod errand;
mod error;
mod fair_queue;
mod fresh;
mod hold;
mod holders;
mod jump;
mod lane;
mod login_gate;
pub mod model;
mod news;
mod refusals;
mod registry;
mod settings;
mod software;
mod stage;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

pub use self::call::{Admit, Answer, Build, Kept, OnError, Request};
pub use self::candidate::Occupant;
pub use self::compat::Verdict;
pub use self::connector::{Connector, Connectors, Learned, Link, LinkStep, Opened, OverSsh, SshConnector};
pub use self::core::{Established, Loss, LossCause, OpenSession, Surroundings};
pub use self::domain::ConnectRate;
pub use self::edit::{
    Counts, EditFacts, EditHandle, EditMode, EditReason, EditState, EditStatus, Edited, HandOver, Judge,
    Killing, Look, Release, RunError, Start, Terms, Work,
};
pub use self::error::{ConnectError, DeviceError, Failure, Outcome, Step};
pub use self::hold::{Asked, Held, HoldError, Way};
pub use self::holders::Holder;
pub use self::jump::JumpHost;
pub use self::news::{News, SessionNews};
pub use self::registry::Registry;
pub use self::settings::{Compatibility, Policy, Profile, Settings};
pub use self::software::{MemberSoftware, Software};
pub use self::stage::Stage;

use self::call::{CLOSE_GRACE, Reads, Sessions, SingleUse, check_attributes, interrupted};
use self::candidate::CandidateLane;
use self::core::{Core, Opener};
use self::domain::Domain;
use self::edit::EditSessions;
use self::holders::Holders;
use self::jump::JumpLogins;
use self::lane::{Lane, NoTurn, Purpose, Turn};
use self::news::Newsroom;
use crate::netconf::capability::Capabilities;
use crate::transport::TransportError;

/// How a device is doing, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectionState {
    /// No session, and nothing wrong.
    Idle,
    Connected,
    Unreachable,
    AuthFailed,
    HostKeyRejected,
    Incompatible,
    CircuitOpen,
}

impl ConnectionState {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Connected => "connected",
            Self::Unreachable => "unreachable",
            Self::AuthFailed => "auth_failed",
            Self::HostKeyRejected => "host_key_rejected",
            Self::Incompatible => "incompatible",
            Self::CircuitOpen => "circuit_open",
        }
    }
}

/// How a device is doing.
#[derive(Debug, Clone)]
pub struct DeviceStatus {
    pub state: ConnectionState,
    /// Those of the gateway.
    pub sessions: Vec<OpenSession>,
    /// Requests that wait for their turn.
    pub queued: usize,
    pub last_loss: Option<Loss>,
    /// How long no connect will be tried.
    pub retry_after: Option<Duration>,
    /// What the last session showed.
    pub established: Option<Arc<Established>>,
}

/// One device that can be talked to.
pub struct Device {
    core: Arc<Core>,
    lane: Lane,
    candidate: CandidateLane,
    sessions: Arc<Sessions>,
    shared: Shared,
    /// The same device with other settings. Set before this one is drained, so that who waits here goes on there.
    successor: OnceLock<Arc<Device>>,
}

/// What outlives a change of a device's settings, of all devices.
#[derive(Clone, Default)]
struct Shared {
    holders: Holders,
    edits: EditSessions,
    news: Newsroom,
}

impl Device {
    fn new(
        settings: Settings,
        connector: Arc<dyn Connector>,
        domain: Arc<Mutex<Domain>>,
        jumps: JumpLogins,
        around: Surroundings,
        shared: Shared,
    ) -> Self {
        let candidate = CandidateLane::new(settings.queue_length, around.metrics.clone());
        let lane = Lane::new(
            settings.max_sessions,
            settings.queue_length,
            around.metrics.clone(),
        );
        let max_sessions = settings.max_sessions;
        let core = Arc::new(Core::new(
            settings,
            connector,
            domain,
            jumps,
            around,
            shared.news.clone(),
        ));
        let sessions = Arc::new(Sessions::new(Opener(core.clone()), max_sessions));
        Self {
            core,
            lane,
            candidate,
            sessions,
            shared,
            successor: OnceLock::new(),
        }
    }

    pub fn settings(&self) -> &Settings {
        &self.core.settings
    }

    /// One read-only RPC on a pooled session. `who` is what the queue is fair by.
    ///
    /// # Errors
    /// Everything of [`DeviceError`]; an rpc-error of the device is not one: it is in the reply's scan.
    ///
    /// # Cancel safety
    /// Dropping the future is safe at any time: in the queue nothing is sent; later the reply is read and dropped,
    /// and the session goes back to the pool.
    pub async fn read(&self, who: &str, deadline: Instant, request: Request) -> Answer {
        let mut answers = self.batch(who, deadline, vec![request], OnError::Stop).await?;
        answers
            .pop()
            .unwrap_or_else(|| Err(interrupted(&self.core, false)))
    }

    /// Several read-only RPCs in one session, in order; with [`OnError::Continue`] pipelined, if the device's settings
    /// allow it. One result each, or up to the one that failed.
    ///
    /// # Errors
    /// When there was no session for them; nothing was sent then.
    ///
    /// # Cancel safety
    /// As [`Self::read`].
    pub async fn batch(
        &self,
        who: &str,
        deadline: Instant,
        requests: Vec<Request>,
        on_error: OnError,
    ) -> Result<Vec<Answer>, DeviceError> {
        for request in &requests {
            check_attributes(&self.core, request)?;
        }
        if requests.is_empty() {
            return Ok(Vec::new());
        }
        let (mut asks, mut requests) = (Asking::first(self), requests);
        loop {
            let (device, turn) = asks.turn(who, Purpose::Read, deadline).await?;
            let (answer, receiver) = oneshot::channel();
            let job = Reads {
                core: device.core.clone(),
                sessions: device.sessions.clone(),
                turn,
                deadline,
                requests,
                on_error,
                answer,
            };
            match errand::run(&self.core.around.tracker, job.run(), receiver).await {
                Some(Ok(answers)) => return Ok(answers),
                // After the first try there is nothing that could be asked again.
                Some(Err(unserved)) if unserved.requests.is_empty() => return Err(unserved.error),
                Some(Err(unserved)) => {
                    asks = device.asked_again(unserved.error)?;
                    requests = unserved.requests;
                }
                None => return Err(interrupted(&self.core, false)),
            }
        }
    }

    /// One operational RPC that is not on the read-only list, in a session that is closed afterwards (Q9). It is sent
    /// at most once.
    ///
    /// # Errors
    /// As [`Self::read`]; after sending the outcome is unknown.
    ///
    /// # Cancel safety
    /// Dropping the future before the RPC is sent keeps it from being sent; afterwards it runs to its end.
    pub async fn single_use(&self, who: &str, deadline: Instant, request: Request) -> Answer {
        self.single_use_if(who, deadline, request, None).await
    }

    /// As [`Self::single_use`], also in the place that is kept for reads: what takes something back must not wait for those
    /// who hold all sessions.
    ///
    /// # Errors
    /// As [`Self::single_use`].
    ///
    /// # Cancel safety
    /// As [`Self::single_use`].
    pub async fn single_use_past_holders(&self, who: &str, deadline: Instant, request: Request) -> Answer {
        self.single_use_in(Purpose::Read, who, deadline, request, None)
            .await
    }

    /// As [`Self::single_use`], if it is admitted when its turn has come.
    ///
    /// # Errors
    /// As [`Self::single_use`]; [`Failure::NotAdmitted`].
    ///
    /// # Cancel safety
    /// As [`Self::single_use`].
    pub async fn single_use_if(
        &self,
        who: &str,
        deadline: Instant,
        request: Request,
        admit: Option<Admit>,
    ) -> Answer {
        self.single_use_in(Purpose::Exclusive, who, deadline, request, admit)
            .await
    }

    async fn single_use_in(
        &self,
        purpose: Purpose,
        who: &str,
        deadline: Instant,
        request: Request,
        admit: Option<Admit>,
    ) -> Answer {
        check_attributes(&self.core, &request)?;
        let (mut asks, mut request) = (Asking::first(self), (request, admit));
        loop {
            let (device, turn) = asks.turn(who, purpose, deadline).await?;
            let (answer, receiver) = oneshot::channel();
            let job = SingleUse {
                core: device.core.clone(),
                sessions: device.sessions.clone(),
                turn,
                deadline,
                request,
                answer,
            };
            match errand::run(&self.core.around.tracker, job.run(), receiver).await {
                Some(Ok(answer)) => return answer,
                Some(Err(unserved)) => {
                    asks = device.asked_again(unserved.error)?;
                    request = unserved.requests;
                }
                None => return Err(interrupted(&self.core, true)),
            }
        }
    }

    /// Connects now, whatever went wrong before, and tells what the connection showed. Success ends all waiting after
    /// failures (Q4).
    ///
    /// # Errors
    /// As [`Self::read`]. A device that is not what is required of it is told by the verdict, not as an error.
    ///
    /// # Cancel safety
    /// Safe; the connection is ended politely by itself.
    pub async fn check(&self, who: &str, deadline: Instant) -> Result<Arc<Established>, DeviceError> {
        let mut asks = Asking {
            asked: true,
            ..Asking::first(self)
        };
        loop {
            let (device, turn) = asks.turn(who, Purpose::Read, deadline).await?;
            let (answer, receiver) = oneshot::channel();
            let (core, sessions) = (device.core.clone(), device.sessions.clone());
            self.core.around.tracker.spawn(async move {
                if !core.has_place() {
                    // One that lies idle makes room; the turn says that there is one, or a free place.
                    let mut left = 1;
                    drop(sessions.evict(|_| {
                        let keep = left == 0;
                        left = 0;
                        keep
                    }));
                }
                let opened = tokio::select! {
                    biased;
                    opened = core.open(true) => opened,
                    () = core.replaced() => Err(core.refuse(Failure::Draining)),
                };
                match opened {
                    Ok(fresh) => {
                        // Nobody to tell is no harm.
                        let _ = answer.send(Ok(fresh.established));
                        fresh.handle.close(CLOSE_GRACE).await;
                    }
                    Err(error) => {
                        let _ = answer.send(Err(error));
                    }
                }
                drop(turn);
            });
            match tokio::time::timeout_at(deadline, receiver).await {
                Ok(Ok(Ok(established))) => return Ok(established),
                Ok(Ok(Err(error))) => {
                    asks = Asking {
                        asked: true,
                        ..device.asked_again(error)?
                    };
                }
                Ok(Err(_)) => return Err(interrupted(&self.core, false)),
                Err(_) => return Err(self.core.late()),
            }
        }
    }

    /// What the last session showed: capabilities, software, verdict. Connects if there was none yet.
    ///
    /// # Errors
    /// As [`Self::read`].
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn established(&self, who: &str, deadline: Instant) -> Result<Arc<Established>, DeviceError> {
        if let Some(established) = self.core.established() {
            return Ok(established);
        }
        let mut asks = Asking::first(self);
        loop {
            let (device, turn) = asks.turn(who, Purpose::Read, deadline).await?;
            let (answer, receiver) = oneshot::channel();
            let (core, sessions) = (device.core.clone(), device.sessions.clone());
            self.core.around.tracker.spawn(async move {
                let lent = tokio::select! {
                    biased;
                    lent = sessions.checkout() => lent.map_err(|error| call::checkout_error(&core, error)),
                    () = core.replaced() => Err(core.refuse(Failure::Draining)),
                };
                // Nobody to tell is no harm; the session goes to the pool.
                let _ = answer.send(lent.map(|_lent| core.established()));
                drop(turn);
            });
            match tokio::time::timeout_at(deadline, receiver).await {
                Ok(Ok(Ok(Some(established)))) => return Ok(established),
                Ok(Ok(Err(error))) => asks = device.asked_again(error)?,
                Ok(Ok(Ok(None)) | Err(_)) => return Err(interrupted(&self.core, false)),
                Err(_) => return Err(self.core.late()),
            }
        }
    }

    /// What may be asked of a device that showed this: under the policy `ignore` everything (S7).
    pub fn offered(&self, shown: &Established) -> Arc<Capabilities> {
        call::offered(&self.core, &shown.capabilities)
    }

    /// How the device is doing, without asking it.
    pub fn status(&self) -> DeviceStatus {
        let held = self.core.held();
        let mut sessions = self.core.sessions();
        let holders = self.holders();
        for session in &mut sessions {
            // Held for somebody, however little it holds.
            let held = holders
                .iter()
                .any(|holder| holder.session_id == session.session_id);
            session.idle &= !held;
        }
        let established = self.core.established();
        let refused = established
            .as_ref()
            .is_some_and(|established| established.verdict.refuses());
        let state = match (&held, self.core.last_error()) {
            _ if !sessions.is_empty() && !refused => ConnectionState::Connected,
            (Some(Failure::CircuitOpen { .. }), _) => ConnectionState::CircuitOpen,
            (_, Some(error)) => state_after(&error),
            (_, None) if refused => ConnectionState::Incompatible,
            (_, None) => ConnectionState::Idle,
        };
        let retry_after = held.and_then(|failure| failure.retry_after());
        DeviceStatus {
            state,
            sessions,
            queued: self.lane.queued() + self.candidate.queued(),
            last_loss: self.core.last_loss(),
            retry_after,
            established,
        }
    }

    /// Ends sessions that were idle for too long, and forgets those that are dead.
    fn reap(&self) {
        let limit = self.core.settings.idle_timeout;
        drop(
            self.sessions
                .evict(|session| session.is_clean() && session.idle_for() < limit),
        );
    }

    /// Refuses new calls, waits for those under way, and closes all sessions politely.
    async fn drain(&self) {
        self.lane.drain();
        self.lane.idle().await;
        // Edit sessions that were open may still have committed: now nobody is left who could.
        self.candidate.drain();
        self.sessions.close();
        self.core.all_ended().await;
    }

    /// From now on the other one serves, also those who wait here.
    fn succeed(&self, successor: Arc<Device>) {
        // A device leaves the registry once, so there is no other one.
        let _ = self.successor.set(successor);
        self.core.replace();
    }

    /// After a call got no session here: another try on the device that took this one's place, if one did.
    ///
    /// # Errors
    /// The error of the call, where there is no such device.
    fn asked_again(&self, error: DeviceError) -> Result<Asking<'_>, DeviceError> {
        match self.successor.get() {
            Some(successor) => Ok(Asking {
                waited: true,
                ..Asking::first(successor)
            }),
            None => Err(error),
        }
    }

    /// A turn for a call that needs a session: refused at once while none can be had.
    async fn enter(&self, who: &str, purpose: Purpose, deadline: Instant) -> Result<Turn, DeviceError> {
        if let Some(failure) = self.core.held()
            && !self.core.has_sessions()
        {
            self.core.around.metrics.queue_rejected("circuit_open");
            return Err(DeviceError::not_sent(self.core.name(), Step::Connect, failure));
        }
        self.turn(who, purpose, deadline).await
    }

    async fn turn(&self, who: &str, purpose: Purpose, deadline: Instant) -> Result<Turn, DeviceError> {
        self.lane
            .enter(who, purpose, deadline)
            .await
            .map_err(|none| no_turn(self.core.name(), none))
    }
}

/// A caller that wants a turn.
struct Asking<'a> {
    device: &'a Device,
    /// By a person who wants to know now, whatever went wrong before.
    asked: bool,
    /// On a device that another one has taken the place of: who was let in there is let in again.
    waited: bool,
}

impl<'a> Asking<'a> {
    fn first(device: &'a Device) -> Self {
        Self {
            device,
            asked: false,
            waited: false,
        }
    }

    /// A turn on the device, or on the one that took its place before the turn came.
    async fn turn(
        mut self,
        who: &str,
        purpose: Purpose,
        deadline: Instant,
    ) -> Result<(&'a Device, Turn), DeviceError> {
        loop {
            let device = self.device;
            let turn = self.turn_here(who, purpose, deadline).await;
            match (turn, device.successor.get()) {
                (
                    Err(DeviceError {
                        failure: Failure::Draining,
                        ..
                    }),
                    Some(successor),
                ) => {
                    self.device = successor;
                    self.waited = true;
                }
                (turn, _) => return turn.map(|turn| (device, turn)),
            }
        }
    }

    /// A turn on this device and no other.
    async fn turn_here(&self, who: &str, purpose: Purpose, deadline: Instant) -> Result<Turn, DeviceError> {
        let device = self.device;
        match (self.asked, self.waited) {
            (false, false) => device.enter(who, purpose, deadline).await,
            (true, false) => device.turn(who, purpose, deadline).await,
            (_, true) => device
                .lane
                .enter_again(who, purpose, deadline)
                .await
                .map_err(|none| no_turn(device.core.name(), none)),
        }
    }
}

fn no_turn(device: &str, none: NoTurn) -> DeviceError {
    let failure = match none {
        NoTurn::Full { limit } => Failure::QueueFull { limit },
        NoTurn::Deadline => Failure::DeadlineInQueue,
        NoTurn::Draining => Failure::Draining,
    };
    DeviceError::not_sent(device, Step::Queue, failure)
}

fn state_after(error: &ConnectError) -> ConnectionState {
    match error {
        ConnectError::Transport(error) => match error.innermost() {
            TransportError::Auth { .. } => ConnectionState::AuthFailed,
            TransportError::HostKeyUnknown { .. } | TransportError::HostKeyChanged { .. } => {
                ConnectionState::HostKeyRejected
            }
            _ => ConnectionState::Unreachable,
        },
        ConnectError::Incompatible(_) => ConnectionState::Incompatible,
        ConnectError::Hello(_) | ConnectError::Software(_) | ConnectError::NoRoom(_) => {
            ConnectionState::Unreachable
        }
    }
}
