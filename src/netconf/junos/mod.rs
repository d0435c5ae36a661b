//! The Junos XML protocol and API beside NETCONF: what a device offers that names
//! `http://xml.juniper.net/netconf/junos/1.0`.

pub mod classify;
pub mod command;
pub mod get_configuration;
pub mod schema;
pub mod software;
pub mod stored_configuration;
pub mod version;

mod format;

pub use classify::{OperationClass, classify};
pub use command::Command;
pub use format::{Format, with_format};
pub use get_configuration::GetConfiguration;
pub use schema::GetXnmInformation;
pub use software::{Software, SoftwareInformation};
pub use stored_configuration::{CompareRollbacks, GetRescue, GetRollback};
pub use version::{JunosVersion, VersionRange};
