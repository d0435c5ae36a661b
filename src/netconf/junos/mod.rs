//! The Junos XML protocol and API beside NETCONF: what a device offers that names
//! `http://xml.juniper.net/netconf/junos/1.0`.

pub mod classify;
pub mod command;
pub mod commit_configuration;
pub mod commit_information;
pub mod commit_results;
pub mod get_configuration;
pub mod load_configuration;
pub mod lock_configuration;
pub mod open_configuration;
pub mod rescue;
pub mod schema;
pub mod software;
pub mod stored_configuration;
pub mod uptime;
pub mod version;

mod format;

pub use classify::{OperationClass, classify};
pub use command::Command;
pub use commit_configuration::{AtTime, ClearSystemCommit, CommitConfiguration};
pub use commit_information::{
    CommitEntry, CommitInformation, CommitRevision, GetCommitInformation, GetCommitRevision, ScheduledCommit,
};
pub use commit_results::{CommitMember, CommitResults, MemberResult, RevisionChange};
pub use format::{Format, with_format};
pub use get_configuration::GetConfiguration;
pub use load_configuration::{LoadAction, LoadConfiguration, LoadData};
pub use lock_configuration::{LockConfiguration, UnlockConfiguration};
pub use open_configuration::{CloseConfiguration, OpenConfiguration};
pub use rescue::SaveRescueConfiguration;
pub use schema::GetXnmInformation;
pub use software::{Software, SoftwareInformation};
pub use stored_configuration::{CompareRollbacks, GetRescue, GetRollback};
pub use version::{JunosVersion, VersionRange};

use super::capability::{Capabilities, Capability};
use super::rpc::{RequestError, Rpc};
use crate::xml::Writer;

/// The guard of every operation of this module.
fn require(capabilities: &Capabilities, operation: &str) -> Result<(), RequestError> {
    Ok(capabilities.require(Capability::JunosXml, operation, operation)?)
}

/// An operation without arguments.
fn empty_request(operation: &str, capabilities: &Capabilities) -> Result<Rpc, RequestError> {
    require(capabilities, operation)?;
    let mut writer = Writer::new();
    writer.empty(operation)?;
    Ok(Rpc::new(writer.finish()?))
}
