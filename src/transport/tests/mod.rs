//! The transport against a small SSH server of its own, over in-memory streams and loopback.

pub(super) mod server;
pub(super) mod support;

mod authentication;
mod channel;
mod dialling;
mod host_keys;
mod jump;
mod loss;
mod negotiation;
#[cfg(unix)]
mod openssh;
