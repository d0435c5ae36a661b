//! Why a call on a device failed, with everything that a caller is told: which step, what it did to the device, and
//! in which message of which session.

use std::sync::Arc;
use std::time::Duration;

use super::breaker;
use super::compat::Verdict;
use crate::netconf::rpc::{AttributeError, RequestError};
use crate::session::{EndCause, SessionError};
use crate::transport::TransportError;

/// What a failed call did to the device (H3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing of this call was sent.
    NotSent,
    /// Something was sent that cannot change the device.
    NotApplied,
    /// Something was sent that may have changed the device.
    Unknown,
}

/// How far the call came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Waiting for a turn.
    Queue,
    /// Opening a session.
    Connect,
    /// Building the request.
    Request,
    /// Sending it and waiting for the reply.
    Reply,
}

impl Step {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queue => "queue",
            Self::Connect => "connect",
            Self::Request => "request",
            Self::Reply => "reply",
        }
    }
}

/// Why no session could be opened.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// No connection, or no NETCONF on it.
    #[error("cannot connect")]
    Transport(#[source] TransportError),
    /// Connected, and no usable hello.
    #[error("the session could not be opened")]
    Hello(#[source] EndCause),
    /// The session ended or did not answer while the gateway asked for the software version.
    #[error("the device did not tell its software")]
    Software(#[source] SessionError),
    /// The device is not what its settings require (S7).
    #[error("the device does not meet what is required of it: {}", .0.missing.join(", "))]
    Incompatible(Verdict),
    /// All sessions that the device may have are taken, or the pace of connects leaves no time.
    #[error("no session may be opened within {} s", .0.as_secs_f32())]
    NoRoom(Duration),
}

impl ConnectError {
    /// What a failed connect means for the breaker; `None`: it says nothing about the device.
    pub(super) fn kind(&self) -> Option<breaker::Failure> {
        match self {
            Self::Transport(error) => match error.innermost() {
                TransportError::Auth { .. } => Some(breaker::Failure::Credentials),
                TransportError::HostKeyUnknown { .. } | TransportError::HostKeyChanged { .. } => {
                    Some(breaker::Failure::HostKey)
                }
                _ => Some(breaker::Failure::Connect),
            },
            Self::Hello(_) | Self::Software(_) | Self::Incompatible(_) => Some(breaker::Failure::Connect),
            Self::NoRoom(_) => None,
        }
    }

    /// The jump host that refused the credentials, counted from 0.
    pub(super) fn refusing_jump(&self) -> Option<usize> {
        match self {
            Self::Transport(error @ TransportError::Jump { index, .. }) => {
                matches!(error.innermost(), TransportError::Auth { .. }).then_some(*index)
            }
            Self::Transport(_)
            | Self::Hello(_)
            | Self::Software(_)
            | Self::Incompatible(_)
            | Self::NoRoom(_) => None,
        }
    }

    /// How many jump hosts had let us in when it failed; more than there are where it failed behind them all.
    pub(super) fn jumps_passed(&self) -> usize {
        match self {
            // Found before the first one was dialled.
            Self::Transport(error) if matches!(error.innermost(), TransportError::Prerequisite { .. }) => 0,
            Self::Transport(TransportError::Jump { index, .. }) => *index,
            Self::Transport(_) | Self::Hello(_) | Self::Software(_) | Self::Incompatible(_) => usize::MAX,
            Self::NoRoom(_) => 0,
        }
    }

    /// A short fixed word, for metrics and logs.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Transport(error) => match error.innermost() {
                TransportError::Prerequisite { .. } => "prerequisite",
                TransportError::KnownHosts { .. } => "known-hosts",
                TransportError::Resolve { .. } => "resolve",
                TransportError::AddressDenied { .. } => "address-not-allowed",
                TransportError::Refused { .. } => "connection-refused",
                TransportError::Timeout { .. } => "timeout",
                TransportError::Negotiation { .. } => "ssh-negotiation-failed",
                TransportError::HostKeyUnknown { .. } => "host-key-unknown",
                TransportError::HostKeyChanged { .. } => "host-key-mismatch",
                TransportError::Auth { .. } => "device-auth-failed",
                TransportError::NoSubsystem { .. } => "no-netconf-subsystem",
                _ => "device-unreachable",
            },
            Self::Hello(EndCause::HelloTimeout) => "hello-timeout",
            Self::Hello(_) => "bad-hello",
            Self::Software(_) => "software",
            Self::Incompatible(_) => "incompatible",
            Self::NoRoom(_) => "no-room",
        }
    }
}

/// What went wrong.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error("{limit} requests wait already")]
    QueueFull { limit: usize },
    #[error("the deadline passed before the request could be sent")]
    DeadlineInQueue,
    /// A session was being opened for it; `phase` as in [`super::LinkStep::name`], or `room` or `pace` before the first.
    #[error("the deadline passed before a session was open: {phase} was under way")]
    DeadlineConnecting { phase: &'static str },
    #[error("the device is being removed, or the gateway shuts down")]
    Draining,
    /// Whoever wanted it sent took it back when its turn had come.
    #[error("the request was taken back when its turn came")]
    NotAdmitted,
    /// A connect failed: just now, or so recently that none was tried again yet. With `retry_after` it is left alone
    /// for that time.
    #[error("no session with the device{}", waiting(.retry_after))]
    Connect {
        #[source]
        error: Arc<ConnectError>,
        retry_after: Option<Duration>,
    },
    /// Connects failed so often that the device is left alone (Q4).
    #[error("{failures} connects failed in a row{}", waiting(&Some(*.retry_after)))]
    CircuitOpen {
        failures: u32,
        retry_after: Duration,
        /// The last failure.
        #[source]
        last: Arc<ConnectError>,
    },
    /// Other devices of the credential domain were refused: one of them tries for all (Q4).
    #[error("{refused} devices of credential domain {domain} refused their credentials{}", waiting(&Some(*.retry_after)))]
    DomainSuspended {
        domain: String,
        refused: usize,
        retry_after: Duration,
    },
    /// The jump host refused so many logins with these credentials that one device tries for all behind it (Q4).
    #[error("the jump host {host} refused {refused} logins{}", waiting(&Some(*.retry_after)))]
    JumpSuspended {
        /// `user@address:port`
        host: String,
        refused: usize,
        retry_after: Duration,
    },
    #[error("the request cannot be made")]
    Request(#[source] RequestError),
    #[error("an attribute cannot be sent")]
    Attribute(#[source] AttributeError),
    #[error("the request failed")]
    Session(#[source] SessionError),
    /// The task that served the call ended early.
    #[error("the request was interrupted")]
    Interrupted,
}

fn waiting(retry_after: &Option<Duration>) -> String {
    match retry_after {
        Some(wait) => format!(", next try in {} s", wait.as_secs_f32().ceil()),
        None => String::new(),
    }
}

/// A failed call.
#[derive(Debug, thiserror::Error)]
#[error("{failure} (device {device}, {})", .step.as_str())]
pub struct DeviceError {
    pub device: String,
    pub step: Step,
    pub outcome: Outcome,
    pub session_id: Option<u64>,
    pub message_id: Option<String>,
    #[source]
    pub failure: Failure,
}

impl DeviceError {
    /// A failure before anything was sent.
    pub(super) fn not_sent(device: &str, step: Step, failure: Failure) -> Self {
        Self {
            device: device.to_owned(),
            step,
            outcome: Outcome::NotSent,
            session_id: None,
            message_id: None,
            failure,
        }
    }

    /// The deadline passed while the call waited for its turn.
    pub(super) fn deadline_in_queue(device: &str) -> Self {
        Self::not_sent(device, Step::Queue, Failure::DeadlineInQueue)
    }

    /// A failure in a session. `mutates`: whether the RPC can change the device.
    pub(super) fn in_session(device: &str, session_id: u64, mutates: bool, error: SessionError) -> Self {
        let outcome = match (error.sent(), mutates) {
            (false, _) => Outcome::NotSent,
            (true, false) => Outcome::NotApplied,
            (true, true) => Outcome::Unknown,
        };
        Self {
            device: device.to_owned(),
            step: Step::Reply,
            outcome,
            session_id: Some(session_id),
            message_id: error.message_id().map(str::to_owned),
            failure: Failure::Session(error),
        }
    }

    /// The task of a call ended before it had an answer.
    pub(super) fn interrupted(device: &str, mutates: bool) -> Self {
        let outcome = if mutates {
            Outcome::Unknown
        } else {
            Outcome::NotApplied
        };
        Self {
            outcome,
            ..Self::not_sent(device, Step::Reply, Failure::Interrupted)
        }
    }

    /// When the same call may succeed, where that is known.
    pub fn retry_after(&self) -> Option<Duration> {
        self.failure.retry_after()
    }
}

impl Failure {
    /// When it may be over, where that is known.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Connect { retry_after, .. } => *retry_after,
            Self::CircuitOpen { retry_after, .. }
            | Self::DomainSuspended { retry_after, .. }
            | Self::JumpSuspended { retry_after, .. } => Some(*retry_after),
            Self::QueueFull { .. }
            | Self::DeadlineInQueue
            | Self::DeadlineConnecting { .. }
            | Self::Draining
            | Self::NotAdmitted
            | Self::Request(_)
            | Self::Attribute(_)
            | Self::Session(_)
            | Self::Interrupted => None,
        }
    }
}

/// An error with its causes, for the log.
pub(super) fn error_chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
