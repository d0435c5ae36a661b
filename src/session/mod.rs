//! One task owns one NETCONF session; callers hold a handle.

//pub mod spool;
pub mod stream;
