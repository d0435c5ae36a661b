//! `<open-configuration>` and `<close-configuration/>`: a private copy of the candidate, or an instance of the
//! ephemeral database (S24, S25).

use super::{empty_request, require};
use crate::netconf::capability::Capabilities;
use crate::netconf::rpc::{RequestError, Rpc};
use crate::xml::Writer;

/// `<open-configuration>`: what the edits of this session go to from now on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OpenConfiguration {
    /// A private copy of the candidate.
    Private,
    /// The default instance of the ephemeral database.
    Ephemeral,
    /// A named instance, which the configuration declares.
    EphemeralInstance(String),
}

/// `<close-configuration/>`. What was not committed is discarded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CloseConfiguration;

impl OpenConfiguration {
    /// The request.
    ///
    /// # Errors
    /// No Junos device; a name that no instance can have.
    pub fn rpc(&self, capabilities: &Capabilities) -> Result<Rpc, RequestError> {
        require(capabilities, "open-configuration")?;
        let mut writer = Writer::new();
        writer.open("open-configuration")?;
        match self {
            Self::Private => writer.empty("private")?,
            Self::Ephemeral => writer.empty("ephemeral")?,
            Self::EphemeralInstance(name) => writer.leaf("ephemeral-instance", instance_name(name)?)?,
        };
        writer.close()?;
        Ok(Rpc::new(writer.finish()?))
    }
}

impl CloseConfiguration {
    /// The request.
    ///
    /// # Errors
    /// No Junos device.
    pub fn rpc(&self, capabilities: &Capabilities) -> Result<Rpc, RequestError> {
        empty_request("close-configuration", capabilities)
    }
}

/// Instances are named with letters, digits, hyphens and underscores; `default` is another word for none.
fn instance_name(name: &str) -> Result<&str, RequestError> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if name.is_empty() || !name.bytes().all(allowed) {
        let detail = format!("{name:?} cannot be the name of an ephemeral instance");
        return Err(RequestError::invalid("instance", detail));
    }
    if name == "default" {
        return Err(RequestError::invalid(
            "instance",
            "the default instance is opened without a name",
        ));
    }
    Ok(name)
}
