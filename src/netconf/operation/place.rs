//! Where configuration comes from and goes to: the content of `<source>` and `<target>`.

use crate::netconf::capability::{Capabilities, Capability};
use crate::netconf::datastore::Datastore;
use crate::netconf::rpc::RequestError;
use crate::xml::{Fragment, Writer};

/// What copy-config writes to, or delete-config deletes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfigTarget {
    Datastore(Datastore),
    /// A file or URL of the device (RFC 6241 section 8.8).
    Url(String),
}

/// What copy-config copies, or validate validates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfigInput {
    Datastore(Datastore),
    /// A file or URL of the device (RFC 6241 section 8.8).
    Url(String),
    /// The content of `<config>`: one or more elements.
    Config(Fragment),
}

impl ConfigTarget {
    pub(super) fn write(
        &self,
        writer: &mut Writer,
        capabilities: &Capabilities,
        operation: &str,
    ) -> Result<(), RequestError> {
        match self {
            Self::Datastore(datastore) => {
                write_target(writer, capabilities, operation, *datastore)?;
            }
            Self::Url(url) => {
                writer.open("target")?;
                write_url(writer, capabilities, operation, "target url", url)?;
                writer.close()?;
            }
        }
        Ok(())
    }
}

impl ConfigInput {
    pub(super) fn write(
        &self,
        writer: &mut Writer,
        capabilities: &Capabilities,
        operation: &str,
    ) -> Result<(), RequestError> {
        writer.open("source")?;
        match self {
            Self::Datastore(datastore) => {
                datastore.require(capabilities, operation, "source")?;
                writer.empty(datastore.as_str())?;
            }
            Self::Url(url) => write_url(writer, capabilities, operation, "source url", url)?,
            Self::Config(config) => write_config(writer, "source", config)?,
        }
        writer.close()?;
        Ok(())
    }
}

/// `<target>` with a datastore that is going to be written.
pub(super) fn write_target(
    writer: &mut Writer,
    capabilities: &Capabilities,
    operation: &str,
    datastore: Datastore,
) -> Result<(), RequestError> {
    if datastore == Datastore::Running {
        // RFC 6241 section 8.2: only this capability makes running a target.
        capabilities.require(Capability::WritableRunning, operation, "target running")?;
    }
    datastore.require(capabilities, operation, "target")?;
    writer.open("target")?.empty(datastore.as_str())?.close()?;
    Ok(())
}

/// `<url>`, if the device knows URLs and the scheme of this one.
pub(super) fn write_url(
    writer: &mut Writer,
    capabilities: &Capabilities,
    operation: &str,
    parameter: &'static str,
    url: &str,
) -> Result<(), RequestError> {
    if url.trim().is_empty() {
        return Err(RequestError::invalid(parameter, "the url is empty"));
    }
    capabilities.require_url(url, operation, parameter)?;
    writer.leaf("url", url)?;
    Ok(())
}

/// `<config>` with something in it.
pub(super) fn write_config(
    writer: &mut Writer,
    parameter: &'static str,
    config: &Fragment,
) -> Result<(), RequestError> {
    if config.is_empty() {
        return Err(RequestError::invalid(parameter, "there is no configuration"));
    }
    writer.open("config")?.fragment(config)?.close()?;
    Ok(())
}
