//! `<load-configuration>`: changes to the candidate, a private copy or an ephemeral instance (S12).

use super::Format;
use super::get_configuration::MAX_ROLLBACK;
use super::require;
use crate::netconf::capability::Capabilities;
use crate::netconf::rpc::{RequestError, Rpc};
use crate::xml::{Fragment, Writer};

/// What is done with the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LoadAction {
    /// Added to what is there; the device's default, which is not written.
    #[default]
    Merge,
    /// As merge, but elements marked `replace="replace"` (in text: `replace:`) take the place of what is there.
    Replace,
    /// The data are the whole configuration.
    Override,
    /// The data are the whole configuration, and only what differs is touched.
    Update,
    /// The data are commands of configuration mode.
    Set,
}

/// The data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoadData {
    /// The element `<configuration>`.
    Xml(Fragment),
    /// Statements with braces.
    Text(String),
    /// `set`, `delete` and other commands of configuration mode, one a line.
    Set(String),
    /// JSON in the device's own form.
    Json(String),
    /// A file or URL of the device, and what form its content has.
    Url { url: String, format: Format },
}

/// `<load-configuration>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoadConfiguration {
    Data {
        action: LoadAction,
        data: LoadData,
    },
    /// A stored configuration, 0 to 49, in place of all that is there.
    Rollback(u8),
    /// The rescue configuration in place of all that is there.
    Rescue,
}

impl LoadConfiguration {
    /// The request. Its reply may hold errors beside data that were loaded: the candidate is then half changed.
    ///
    /// # Errors
    /// No Junos device; an action that does not go with the form of the data; no data.
    pub fn rpc(&self, capabilities: &Capabilities) -> Result<Rpc, RequestError> {
        require(capabilities, "load-configuration")?;
        let mut writer = Writer::new();
        writer.open("load-configuration")?;
        match self {
            Self::Rollback(number) if *number > MAX_ROLLBACK => {
                return Err(RequestError::invalid(
                    "rollback",
                    format!("stored configurations are numbered from 0 to {MAX_ROLLBACK}"),
                ));
            }
            Self::Rollback(number) => {
                writer.attr("rollback", &number.to_string())?;
            }
            Self::Rescue => {
                writer.attr("rescue", "rescue")?;
            }
            Self::Data { action, data } => {
                action.check(data)?;
                data.write(*action, &mut writer)?;
            }
        }
        writer.close()?;
        Ok(Rpc::new(writer.finish()?))
    }
}

impl LoadAction {
    /// The name, on the wire and in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Merge => "merge",
            Self::Replace => "replace",
            Self::Override => "override",
            Self::Update => "update",
            Self::Set => "set",
        }
    }

    fn check(self, data: &LoadData) -> Result<(), RequestError> {
        let refused = |detail: &str| Err(RequestError::invalid("action", detail));
        match (self, data.format()) {
            (Self::Set, Format::Set) => Ok(()),
            (Self::Set, Format::Xml | Format::Text | Format::Json) => {
                refused("set goes with the format set only")
            }
            (Self::Merge | Self::Replace | Self::Override | Self::Update, Format::Set) => {
                refused("the format set goes with the action set only")
            }
            (Self::Replace, Format::Json) => {
                refused("the device cannot replace with its own json: delete and add, or use another format")
            }
            (Self::Merge | Self::Override | Self::Update, Format::Json)
            | (Self::Merge | Self::Replace | Self::Override | Self::Update, Format::Xml | Format::Text) => {
                Ok(())
            }
        }
    }
}

impl LoadData {
    fn format(&self) -> Format {
        match self {
            Self::Xml(_) => Format::Xml,
            Self::Text(_) => Format::Text,
            Self::Set(_) => Format::Set,
            Self::Json(_) => Format::Json,
            Self::Url { format, .. } => *format,
        }
    }

    fn write(&self, action: LoadAction, writer: &mut Writer) -> Result<(), RequestError> {
        if let Self::Url { url, .. } = self {
            if url.trim().is_empty() {
                return Err(RequestError::invalid("url", "the url is empty"));
            }
            writer.attr("url", url)?;
        }
        if action != LoadAction::Merge {
            writer.attr("action", action.as_str())?;
        }
        let (format, wrapper) = match self.format() {
            Format::Xml => ("xml", "configuration"),
            Format::Text => ("text", "configuration-text"),
            Format::Set => ("text", "configuration-set"),
            Format::Json => ("json", "configuration-json"),
        };
        writer.attr("format", format)?;
        match self {
            Self::Xml(configuration) if configuration.root_name() == wrapper => {
                writer.fragment(configuration)?;
            }
            Self::Xml(_) => {
                return Err(RequestError::invalid("config", "<configuration> was expected"));
            }
            Self::Text(text) | Self::Set(text) | Self::Json(text) => {
                if text.trim().is_empty() {
                    return Err(RequestError::invalid("config", "there is no configuration"));
                }
                writer.leaf(wrapper, text)?;
            }
            Self::Url { .. } => {}
        }
        Ok(())
    }
}
