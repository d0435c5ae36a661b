//! `<validate>`: whether a configuration would be accepted (RFC 6241 section 8.6.4.1, S14).

use super::place::ConfigInput;
use crate::netconf::capability::{Capabilities, Capability};
use crate::netconf::rpc::{RequestError, Rpc};
use crate::xml::Writer;

/// `<validate>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Validate {
    pub source: ConfigInput,
}

impl Validate {
    /// The request.
    ///
    /// # Errors
    /// What the device does not offer; no configuration at all.
    pub fn rpc(&self, capabilities: &Capabilities) -> Result<Rpc, RequestError> {
        capabilities.require_any(
            &[Capability::Validate11, Capability::Validate10],
            "validate",
            "validate",
        )?;
        let mut writer = Writer::new();
        writer.open("validate")?;
        self.source.write(&mut writer, capabilities, "validate")?;
        writer.close()?;
        Ok(Rpc::new(writer.finish()?))
    }
}
