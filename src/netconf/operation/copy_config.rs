//! `<copy-config>`: one whole configuration over another (RFC 6241 section 7.3, S12, S13).

use super::place::{ConfigInput, ConfigTarget};
use crate::netconf::capability::Capabilities;
use crate::netconf::rpc::{RequestError, Rpc};
use crate::xml::Writer;

/// `<copy-config>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyConfig {
    pub source: ConfigInput,
    pub target: ConfigTarget,
}

impl CopyConfig {
    /// The request.
    ///
    /// # Errors
    /// What the device does not offer, a configuration copied onto itself, no configuration at all.
    pub fn rpc(&self, capabilities: &Capabilities) -> Result<Rpc, RequestError> {
        let same = match (&self.source, &self.target) {
            (ConfigInput::Datastore(source), ConfigTarget::Datastore(target)) => source == target,
            (ConfigInput::Url(source), ConfigTarget::Url(target)) => source == target,
            (ConfigInput::Datastore(_), ConfigTarget::Url(_))
            | (ConfigInput::Url(_), ConfigTarget::Datastore(_))
            | (ConfigInput::Config(_), ConfigTarget::Datastore(_) | ConfigTarget::Url(_)) => false,
        };
        if same {
            return Err(RequestError::invalid("target", "is the same as the source"));
        }
        let mut writer = Writer::new();
        writer.open("copy-config")?;
        self.target.write(&mut writer, capabilities, "copy-config")?;
        self.source.write(&mut writer, capabilities, "copy-config")?;
        writer.close()?;
        Ok(Rpc::new(writer.finish()?))
    }
}
