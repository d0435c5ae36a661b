//! The NETCONF codec: framing, hello, capabilities, operations, replies. It does no I/O.

pub mod capability;
pub mod framing;
pub mod rpc_error;
