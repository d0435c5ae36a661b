//! How a session can end, and how a call in it can fail. Every failure tells whether the RPC left for the device,
//! because that alone decides what may be said about its outcome (H3) and whether it may be tried again (Q3).

use std::sync::Arc;

use crate::netconf::framing::FramingError;
use crate::netconf::hello::HelloError;
use crate::netconf::rpc::EnvelopeError;
use crate::transport::Loss;
use crate::xml::XmlError;

use super::spool::SpoolError;

/// Why a session is at its end. Kept with the device, so that callers and metrics see it.
#[derive(Debug, Clone, thiserror::Error)]
pub enum EndCause {
    /// We ended it, and the device agreed.
    #[error("closed by the gateway")]
    Closed,
    #[error("closed by the gateway, close-session was not answered in time")]
    CloseUnanswered,
    /// What the server said of it, on standard error or by its exit status, is in `told`, which may be empty.
    #[error("the device ended the session{}{told}", if .told.is_empty() { "" } else { ": " })]
    EndOfStream { told: String },
    #[error("the connection broke")]
    Transport(#[source] Loss),
    #[error("the device sent no hello in time")]
    HelloTimeout,
    #[error("the hello is not usable")]
    Hello(#[source] Arc<HelloError>),
    #[error("the message framing is broken")]
    Framing(#[source] FramingError),
    #[error("a reply is not well-formed XML")]
    Xml(#[source] Arc<XmlError>),
    #[error("a message came that nobody asked for")]
    Unsolicited,
    #[error("a <{root}> came instead of a reply")]
    UnexpectedMessage { root: String },
    #[error("a reply has a message-id that is not outstanding")]
    UnknownMessageId { got: String },
    #[error("a reply without message-id came while several were outstanding")]
    MissingMessageId,
    #[error("the reply to message {message_id} did not come within twice its time")]
    ReplyOverdue { message_id: String },
}

impl EndCause {
    /// Whether the gateway meant the session to end.
    pub fn is_wanted(&self) -> bool {
        match self {
            Self::Closed | Self::CloseUnanswered => true,
            Self::EndOfStream { .. }
            | Self::Transport(_)
            | Self::HelloTimeout
            | Self::Hello(_)
            | Self::Framing(_)
            | Self::Xml(_)
            | Self::Unsolicited
            | Self::UnexpectedMessage { .. }
            | Self::UnknownMessageId { .. }
            | Self::MissingMessageId
            | Self::ReplyOverdue { .. } => false,
        }
    }

    /// Whether the device broke the protocol, in contrast to a connection that went away.
    pub fn is_protocol_error(&self) -> bool {
        match self {
            Self::Hello(_)
            | Self::Framing(_)
            | Self::Xml(_)
            | Self::Unsolicited
            | Self::UnexpectedMessage { .. }
            | Self::UnknownMessageId { .. }
            | Self::MissingMessageId => true,
            Self::Closed
            | Self::CloseUnanswered
            | Self::EndOfStream { .. }
            | Self::Transport(_)
            | Self::HelloTimeout
            | Self::ReplyOverdue { .. } => false,
        }
    }

    /// A short fixed word, for metrics and logs.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::CloseUnanswered => "close_unanswered",
            Self::EndOfStream { .. } => "end_of_stream",
            Self::Transport(_) => "transport",
            Self::HelloTimeout => "hello_timeout",
            Self::Hello(_) => "bad_hello",
            Self::Framing(_) => "framing",
            Self::Xml(_) => "xml",
            Self::Unsolicited => "unsolicited",
            Self::UnexpectedMessage { .. } => "unexpected_message",
            Self::UnknownMessageId { .. } => "unknown_message_id",
            Self::MissingMessageId => "missing_message_id",
            Self::ReplyOverdue { .. } => "reply_overdue",
        }
    }
}

/// Why a call in a session failed.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The session had ended before the RPC could be sent.
    #[error("the session is not open any more")]
    NotOpen {
        /// Why, where it is known.
        #[source]
        cause: Option<EndCause>,
    },
    #[error("too many requests wait in this session")]
    LineFull,
    #[error("the request cannot be written as XML")]
    Write(#[source] EnvelopeError),
    /// The deadline passed while other RPCs of the session were being answered.
    #[error("the deadline passed before the request was sent")]
    DeadlineBeforeSending,
    #[error("no reply to message {message_id} within the deadline")]
    Timeout { message_id: String },
    #[error("the session ended before the reply to message {message_id} was complete")]
    Lost {
        message_id: String,
        #[source]
        cause: EndCause,
        /// Whether a byte of the reply had come.
        reply_begun: bool,
    },
    /// It is larger than allowed, or there is no room for it. The session goes on.
    #[error("the reply to message {message_id} cannot be kept")]
    Storage {
        message_id: String,
        #[source]
        source: SpoolError,
    },
}

impl SessionError {
    /// Whether the RPC left for the device, or may have.
    pub fn sent(&self) -> bool {
        match self {
            Self::NotOpen { .. } | Self::LineFull | Self::Write(_) | Self::DeadlineBeforeSending => false,
            Self::Timeout { .. } | Self::Lost { .. } | Self::Storage { .. } => true,
        }
    }

    pub fn message_id(&self) -> Option<&str> {
        match self {
            Self::NotOpen { .. } | Self::LineFull | Self::Write(_) | Self::DeadlineBeforeSending => None,
            Self::Timeout { message_id }
            | Self::Lost { message_id, .. }
            | Self::Storage { message_id, .. } => Some(message_id),
        }
    }

    /// Whether a read-only RPC may be tried again on a new session (Q3): the session went away, and no byte of
    /// the reply had come.
    pub fn allows_another_try(&self) -> bool {
        match self {
            Self::NotOpen { .. } => true,
            Self::Lost {
                cause, reply_begun, ..
            } => !reply_begun && !cause.is_protocol_error(),
            Self::LineFull
            | Self::Write(_)
            | Self::DeadlineBeforeSending
            | Self::Timeout { .. }
            | Self::Storage { .. } => false,
        }
    }
}
