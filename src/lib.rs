//! A REST and gRPC gateway in front of NETCONF devices.
//!
//! The layers, and what each may know, are described in `ARCHITECTURE.md`. `xml`, `netconf` and `json` are the
//! codec: they do no I/O and build alone (`--no-default-features`).

// They panic where a stream cannot be written; `cli::stdio` does not.
#![cfg_attr(not(test), deny(clippy::print_stdout, clippy::print_stderr))]

pub mod json;
pub mod netconf;
pub mod xml;

#[cfg(feature = "server")]
pub mod api;
#[cfg(feature = "server")]
pub mod app;
#[cfg(feature = "server")]
pub mod cli;
#[cfg(feature = "server")]
pub mod clock;
#[cfg(feature = "server")]
pub mod config;
#[cfg(feature = "server")]
pub mod device;
#[cfg(feature = "emulator")]
pub mod emulator;
#[cfg(feature = "server")]
pub mod error;
#[cfg(feature = "server")]
pub mod ids;
#[cfg(feature = "server")]
pub mod metrics;
#[cfg(feature = "server")]
pub mod pool;
#[cfg(feature = "server")]
pub mod service;
#[cfg(feature = "server")]
pub mod session;
#[cfg(feature = "server")]
pub mod store;
#[cfg(feature = "server")]
pub mod suggest;
#[cfg(feature = "server")]
pub mod transport;
