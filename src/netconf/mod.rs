//! The NETCONF codec: framing, hello, capabilities, operations, replies. It does no I/O.

pub mod capability;
pub mod datastore;
pub mod error_class;
pub mod framing;
pub mod hello;
pub mod junos;
pub mod operation;
pub mod path;
pub mod prologue;
pub mod reply;
mod root_watch;
pub mod rpc;
pub mod rpc_error;
pub mod urls;

pub use datastore::Datastore;
