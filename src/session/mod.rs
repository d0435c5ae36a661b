//! One task owns one NETCONF session, which has a connection to itself; callers hold a handle, and move the session
//! along while they wait for a reply (`wheel`).
//!
//! `state` is pure and decides, `actor` is the task and acts, `handle` is what others see. `open` exchanges the
//! hellos, `inbound` turns bytes into messages, `spool` keeps them. It knows no devices, no queue and no HTTP.

mod actor;
pub mod error;
#[cfg(test)]
pub(crate) mod fake;
mod first_pass;
mod handle;
mod inbound;
mod open;
#[cfg(test)]
pub(crate) mod quick;
pub mod spool;
pub mod state;
pub mod stream;
#[cfg(test)]
mod tests;
mod wheel;

pub use actor::Actor;
pub use error::{EndCause, SessionError};
pub use handle::{Call, RawReply, SessionHandle, Status};
pub use open::{Config, FirstRpc, open};
pub use state::Traces;
