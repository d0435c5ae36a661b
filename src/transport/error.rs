//! Why there is no byte stream, or no longer: one variant per cause that somebody can act upon.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// The phases of a connect, in order; each has a time limit of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Name resolution.
    Resolve,
    /// The TCP connection, or the forwarded connection through a jump host.
    Tcp,
    /// SSH version exchange and key exchange.
    Kex,
    /// Host key check. It reads no network and so never times out; it appears in the list of steps.
    HostKey,
    /// User authentication.
    Auth,
    /// Opening the channel and starting the subsystem or command.
    Subsystem,
}

impl Phase {
    /// The name used in lists of steps and in messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Resolve => "resolve",
            Self::Tcp => "tcp",
            Self::Kex => "kex",
            Self::HostKey => "hostkey",
            Self::Auth => "auth",
            Self::Subsystem => "subsystem",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What was asked of the server on the session channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChannelRequest {
    /// The session channel itself.
    Open,
    /// A pseudo-terminal.
    Pty,
    /// The `netconf` command, on the pseudo-terminal.
    Exec,
    /// The `netconf` subsystem.
    Subsystem,
}

impl fmt::Display for ChannelRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Open => "a session channel",
            Self::Pty => "a pseudo-terminal",
            Self::Exec => "the netconf command",
            Self::Subsystem => "the netconf subsystem",
        })
    }
}

/// How a connection ended that was not closed by us in the polite way.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Loss {
    #[error("the server closed the connection")]
    Closed,
    /// SSH_MSG_DISCONNECT with its reason (RFC 4253 section 11.1); the text is the server's, bounded.
    #[error("the server disconnected: {reason}: {message}")]
    Disconnected { reason: String, message: String },
    #[error("the server did not answer keepalives")]
    Keepalive,
    #[error("{detail}")]
    Io { kind: io::ErrorKind, detail: String },
    #[error("ssh protocol error: {detail}")]
    Protocol { detail: String },
    /// The server listed no further authentication method.
    #[error("the server offers no authentication method")]
    NoAuthMethod,
    /// We cut it.
    #[error("the connection was dropped on this side")]
    Local,
}

impl Loss {
    /// Whether the other side ended the connection.
    pub(super) fn is_by_peer(&self) -> bool {
        match self {
            Self::Closed | Self::Disconnected { .. } | Self::NoAuthMethod => true,
            Self::Io { kind, .. } => {
                matches!(kind, io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe)
            }
            Self::Keepalive | Self::Protocol { .. } | Self::Local => false,
        }
    }
}

/// One authentication method that was tried or had to be left out; never contains a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthAttempt {
    /// RFC 4252 method name.
    pub method: &'static str,
    /// What came of it, in words.
    pub outcome: String,
}

impl fmt::Display for AuthAttempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.method, self.outcome)
    }
}

/// Why a connect failed or a connection ended.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// A prerequisite of SSH is missing or unusable (S1); `field` names the setting.
    #[error("{field}: {detail}")]
    Prerequisite { field: &'static str, detail: String },
    /// The gateway's own known_hosts file is not there, or cannot be read.
    #[error("{detail}")]
    KnownHosts { detail: String },
    #[error("cannot resolve {host}")]
    Resolve {
        host: String,
        #[source]
        source: io::Error,
    },
    /// X8: none of the addresses may be dialled; `addresses` are those the name stood for.
    #[error("address of {host} is not in the allowed networks: {} port {port}", list(.addresses))]
    AddressDenied {
        host: String,
        addresses: Vec<IpAddr>,
        port: u16,
    },
    #[error("connection refused by {address}")]
    Refused {
        address: SocketAddr,
        #[source]
        source: io::Error,
    },
    #[error("cannot reach {address}")]
    Unreachable {
        address: String,
        #[source]
        source: io::Error,
    },
    #[error("no answer within {} s ({phase})", .after.as_secs_f32())]
    Timeout { phase: Phase, after: Duration },
    /// The two sides have no algorithm in common. The lists are the complete ones of the kind that failed.
    #[error("no common {kind} algorithm: ours {}, theirs {}", .ours.join(","), .theirs.join(","))]
    Negotiation {
        kind: &'static str,
        ours: Vec<String>,
        theirs: Vec<String>,
    },
    /// The peer does not speak SSH, or breaks its rules before authentication.
    #[error("ssh handshake failed: {detail}")]
    Handshake { detail: String },
    /// X7: no key is known; nothing was sent beyond the key exchange.
    #[error("host key is not known: {algorithm} {fingerprint}")]
    HostKeyUnknown {
        fingerprint: String,
        algorithm: String,
        public_key: String,
    },
    /// X7: another key is known.
    #[error("host key changed: expected {}, got {algorithm} {actual}", .expected.join(" or "))]
    HostKeyChanged {
        expected: Vec<String>,
        actual: String,
        algorithm: String,
        public_key: String,
    },
    /// The server refused our credentials, or offers no method that we have credentials for.
    #[error(
        "authentication of {user} refused{}: offered {}, tried {}",
        if *.partial_success { " after partial success" } else { "" },
        list(.offered),
        list(.tried)
    )]
    Auth {
        user: String,
        offered: Vec<String>,
        tried: Vec<AuthAttempt>,
        partial_success: bool,
    },
    /// The server authenticated us but does not give us NETCONF. Texts are the server's, bounded.
    #[error(
        "server refuses {request}{}{}",
        .exit_status.map(|s| format!(" (exit status {s})")).unwrap_or_default(),
        if .message.is_empty() { String::new() } else { format!(": {}", .message) }
    )]
    NoSubsystem {
        request: ChannelRequest,
        exit_status: Option<u32>,
        message: String,
    },
    /// A jump host could not open the onward connection.
    #[error("jump host cannot connect to {host} port {port}: {reason}")]
    Forward { host: String, port: u16, reason: String },
    /// The connection ended before it was usable.
    #[error("connection closed during {phase}")]
    Closed {
        phase: Phase,
        #[source]
        loss: Loss,
    },
    /// The connection ended while it was in use.
    #[error("connection lost")]
    Lost(#[source] Loss),
    /// A jump host failed; `index` counts from 0 in the order of dialling.
    #[error("jump host {index} ({host})")]
    Jump {
        index: usize,
        host: String,
        #[source]
        source: Box<TransportError>,
    },
}

impl TransportError {
    /// The cause itself, jump hosts taken off.
    pub fn innermost(&self) -> &TransportError {
        match self {
            Self::Jump { source, .. } => source.innermost(),
            other => other,
        }
    }

    /// The same failure, told of the jump host on which it happened.
    pub(super) fn on_jump(self, hop: Option<(usize, &str)>) -> Self {
        match hop {
            Some((index, host)) => Self::Jump {
                index,
                host: host.to_owned(),
                source: Box::new(self),
            },
            None => self,
        }
    }
}

fn list<T: ToString>(items: &[T]) -> String {
    if items.is_empty() {
        return "nothing".to_owned();
    }
    items
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(", ")
}

/// The peer's own text for a message: control characters out, at most `max` bytes.
pub(super) fn peer_text(text: &str, max: usize) -> String {
    let mut clean = String::new();
    for c in text.trim().chars() {
        let c = if c.is_control() { ' ' } else { c };
        if clean.len() + c.len_utf8() > max {
            break;
        }
        clean.push(c);
    }
    clean
}
