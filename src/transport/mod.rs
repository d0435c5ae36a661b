//! An authenticated byte stream to a NETCONF server over SSH (RFC 6242): dialling, host keys, authentication,
//! jump hosts, and the channel that runs the `netconf` subsystem or, with a pseudo-terminal, the `netconf`
//! command.
//!
//! Goes in: an [`SshTarget`] and a [`Dialer`]. Comes out: a [`Connected`] with a reader and a writer of bytes and
//! what was negotiated, or a [`TransportError`] that says which phase failed and why. It knows no XML and nothing
//! of NETCONF beyond the name of the subsystem. One NETCONF session has one SSH connection to itself: in russh a
//! stalled channel blocks its siblings.

mod algorithms;
mod auth;
mod channel;
mod connect;
mod dial;
mod error;
mod handler;
mod host_key;
mod link;
mod network;
mod target;
#[cfg(test)]
mod tests;

pub use algorithms::SshProfile;
pub use channel::{Ending, NetconfReader, NetconfWriter};
pub use connect::{Connected, Connection, Negotiated, Step, connect, connect_watched};
pub use dial::{BoxFuture, Dialed, Dialer, Resolve, Stream, SystemResolver, TcpDialer};
pub use error::{AuthAttempt, ChannelRequest, Loss, Phase, TransportError};
pub use host_key::{HostKey, HostKeyError, HostKeyPolicy};
pub use network::NetworkPolicy;
pub use target::{
    ChannelKind, Credentials, KeyError, KnownMethod, PromptAnswer, Secret, Settings, SshHost, SshTarget,
    Timeouts, UserKey,
};
