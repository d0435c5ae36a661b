//! `<delete-config>`: a whole configuration goes (RFC 6241 section 7.4, S12, S13).

use super::place::ConfigTarget;
use crate::netconf::capability::Capabilities;
use crate::netconf::datastore::Datastore;
use crate::netconf::rpc::{RequestError, Rpc};
use crate::xml::Writer;

/// `<delete-config>`. Junos takes the candidate, too, and refuses to commit it when it is empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeleteConfig {
    pub target: ConfigTarget,
}

impl DeleteConfig {
    /// The request.
    ///
    /// # Errors
    /// What the device does not offer; running, which cannot be deleted.
    pub fn rpc(&self, capabilities: &Capabilities) -> Result<Rpc, RequestError> {
        if self.target == ConfigTarget::Datastore(Datastore::Running) {
            return Err(RequestError::invalid("target", "running cannot be deleted"));
        }
        let mut writer = Writer::new();
        writer.open("delete-config")?;
        self.target.write(&mut writer, capabilities, "delete-config")?;
        writer.close()?;
        Ok(Rpc::new(writer.finish()?))
    }
}
