//! A NETCONF-over-SSH device that behaves like Junos: for `ncgate demo`, for `ncgate emulator`, for our tests and for
//! those of anybody who writes a NETCONF client.
//!
//! ```text
//! server ─> ssh ─> carrier ─> session ─> operations ─> config
//!  tasks    logins  bytes      messages   requests      statements
//!                                         console ────────┘
//! ```
//!
//! What stands right knows nothing of what stands left: the configuration knows no NETCONF, the session no socket.
//! A [`Console`] is somebody at the device's CLI, who configures beside the NETCONF sessions. All of it uses the
//! gateway's codec (`xml`, `netconf`), and nothing else of the gateway.
//!
//! A test drives a device in five ways: [`Faults`] say what goes wrong between a request and its reply, a [`Gate`]
//! among them when it goes on; a [`Quirk`] says in what the device differs from its protocol; a [`Console`] gets in the
//! way; [`device::Device::power_off`] and [`device::Device::power_on`] take it down and bring it up; and
//! [`device::Device::deeds`] tells what it did in truth, whatever it said. A device needs no socket:
//! [`Emulator::serve_ssh`] and [`Emulator::serve_netconf`] take any stream. All its time is tokio's and that of the
//! clock it was given, to the second; what falls due is done when somebody looks, as of the moment it fell due.

mod builder;
mod carrier;
pub mod command;
pub mod config;
pub mod console;
mod demo;
pub mod device;
mod device_error;
pub mod faults;
mod gate;
mod huge;
mod lines;
mod markup;
mod operations;
mod power;
mod profile;
mod pty;
mod quirk;
mod server;
mod session;
mod ssh;
mod stats;
mod subtree;
mod when;

pub use builder::{BuildError, Builder};
pub use console::Console;
pub use demo::demo_devices;
pub use device::Member;
pub use device_error::{DeviceError, Severity};
pub use faults::{Fault, Faults, Rule, RuleId};
pub use gate::{Gate, Until};
pub use profile::Profile;
pub use quirk::Quirk;
pub use server::{Emulator, RunningEmulator};
pub use ssh::Prompt;
pub use stats::Snapshot;
pub use when::DeviceTime;
