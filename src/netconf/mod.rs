//! The NETCONF codec: framing, hello, capabilities, operations, replies. It does no I/O.

pub mod capability;
pub mod confirm_timeout;
pub mod datastore;
pub mod edit;
pub mod error_class;
pub mod framing;
pub mod hello;
pub mod junos;
pub mod lock_refusal;
pub mod operation;
pub mod path;
pub mod prologue;
pub mod reply;
mod root_watch;
pub mod rpc;
pub mod rpc_error;
pub mod urls;

pub use confirm_timeout::ConfirmTimeout;
pub use datastore::Datastore;

#[cfg(test)]
mod golden_tests;
