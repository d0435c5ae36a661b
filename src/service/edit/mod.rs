//! Writing configuration, as far as edit sessions and changes have it in common: what callers ask for, what they get to
//! see, and which RPCs a write is made of. It sends nothing itself.

pub(super) mod commit;
pub(super) mod differing;
pub mod ground;
mod load;
pub(super) mod reading;
pub mod request;
pub mod script;
pub(super) mod snapshot;
pub(super) mod verdict;
pub mod view;
