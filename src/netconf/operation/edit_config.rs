//! `<edit-config>`: changes to one datastore (RFC 6241 section 7.2, S12, S13).

use super::place::{write_config, write_target, write_url};
use crate::netconf::capability::{Capabilities, Capability};
use crate::netconf::datastore::Datastore;
use crate::netconf::rpc::{RequestError, Rpc};
use crate::xml::{Fragment, Writer};

/// What happens to elements that carry no operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DefaultOperation {
    Merge,
    /// They replace the whole datastore.
    Replace,
    /// Nothing.
    None,
}

impl DefaultOperation {
    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Merge => "merge",
            Self::Replace => "replace",
            Self::None => "none",
        }
    }
}

/// Whether the edit is validated before it is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TestOption {
    TestThenSet,
    Set,
    /// Validated only; `:validate:1.1`.
    TestOnly,
}

impl TestOption {
    /// All of them.
    pub const ALL: &[Self] = &[Self::TestThenSet, Self::Set, Self::TestOnly];

    /// The name, on the wire and in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TestThenSet => "test-then-set",
            Self::Set => "set",
            Self::TestOnly => "test-only",
        }
    }

    /// The option of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|option| option.as_str() == name)
    }

    fn require(self, capabilities: &Capabilities) -> Result<(), RequestError> {
        let parameter = format!("test_option {}", self.as_str());
        match self {
            Self::TestThenSet | Self::Set => capabilities.require_any(
                &[Capability::Validate11, Capability::Validate10],
                "edit-config",
                &parameter,
            )?,
            Self::TestOnly => capabilities.require(Capability::Validate11, "edit-config", &parameter)?,
        }
        Ok(())
    }
}

/// What the device does when part of the edit fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorOption {
    StopOnError,
    ContinueOnError,
    RollbackOnError,
}

impl ErrorOption {
    /// All of them.
    pub const ALL: &[Self] = &[Self::StopOnError, Self::ContinueOnError, Self::RollbackOnError];

    /// The name, on the wire and in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::StopOnError => "stop-on-error",
            Self::ContinueOnError => "continue-on-error",
            Self::RollbackOnError => "rollback-on-error",
        }
    }

    /// The option of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|option| option.as_str() == name)
    }

    fn require(self, capabilities: &Capabilities) -> Result<(), RequestError> {
        match self {
            Self::StopOnError | Self::ContinueOnError => Ok(()),
            Self::RollbackOnError => Ok(capabilities.require(
                Capability::RollbackOnError,
                "edit-config",
                "error_option rollback-on-error",
            )?),
        }
    }
}

/// The changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EditContent {
    /// The content of `<config>`: one or more elements, those that change otherwise than by the default operation
    /// marked with `nc:operation`.
    Config(Fragment),
    /// A file or URL of the device (RFC 6241 section 8.8).
    Url(String),
}

/// `<edit-config>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EditConfig {
    /// Candidate or running.
    pub target: Datastore,
    /// `merge` when absent.
    pub default_operation: Option<DefaultOperation>,
    /// The device's choice when absent.
    pub test_option: Option<TestOption>,
    /// `stop-on-error` when absent.
    pub error_option: Option<ErrorOption>,
    pub content: EditContent,
}

impl EditConfig {
    /// The request.
    ///
    /// # Errors
    /// What the device does not offer, startup as the target, nothing to change.
    pub fn rpc(&self, capabilities: &Capabilities) -> Result<Rpc, RequestError> {
        if self.target == Datastore::Startup {
            return Err(RequestError::invalid(
                "target",
                "startup cannot be edited, only copied to",
            ));
        }
        let mut writer = Writer::new();
        writer.open("edit-config")?;
        write_target(&mut writer, capabilities, "edit-config", self.target)?;
        if let Some(operation) = self.default_operation {
            writer.leaf("default-operation", operation.as_str())?;
        }
        if let Some(option) = self.test_option {
            option.require(capabilities)?;
            writer.leaf("test-option", option.as_str())?;
        }
        if let Some(option) = self.error_option {
            option.require(capabilities)?;
            writer.leaf("error-option", option.as_str())?;
        }
        match &self.content {
            EditContent::Config(config) => write_config(&mut writer, "config", config)?,
            EditContent::Url(url) => write_url(&mut writer, capabilities, "edit-config", "url", url)?,
        }
        writer.close()?;
        Ok(Rpc::new(writer.finish()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// S12: names that callers write.
    #[test]
    fn options_are_found_by_their_names() {
        for &option in TestOption::ALL {
            assert_eq!(TestOption::from_name(option.as_str()), Some(option));
        }
        for &option in ErrorOption::ALL {
            assert_eq!(ErrorOption::from_name(option.as_str()), Some(option));
        }
        assert_eq!(TestOption::from_name("Set"), None);
        assert_eq!(ErrorOption::from_name(""), None);
    }
}
