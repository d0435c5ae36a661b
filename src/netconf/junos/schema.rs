//! `<get-xnm-information>`: the XML schema of the configuration hierarchy (S11).

use crate::netconf::capability::{Capabilities, Capability};
use crate::netconf::rpc::{RequestError, Rpc};
use crate::xml::Writer;

/// `<get-xnm-information>`. The answer is an XML schema of many megabytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct GetXnmInformation;

impl GetXnmInformation {
    /// The request.
    ///
    /// # Errors
    /// No Junos device.
    pub fn rpc(&self, capabilities: &Capabilities) -> Result<Rpc, RequestError> {
        capabilities.require(Capability::JunosXml, "get-xnm-information", "get-xnm-information")?;
        let mut writer = Writer::new();
        writer
            .open("get-xnm-information")?
            .leaf("type", "xml-schema")?
            .leaf("namespace", "junos-configuration")?
            .close()?;
        Ok(Rpc::new(writer.finish()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// S11
    #[test]
    fn request_is_byte_exact() {
        let junos = Capabilities::new([Capability::JunosXml.uri()]);
        assert_eq!(
            GetXnmInformation
                .rpc(&junos)
                .expect("it can be asked")
                .body
                .as_str(),
            "<get-xnm-information><type>xml-schema</type><namespace>junos-configuration</namespace></get-xnm-information>"
        );
        assert!(GetXnmInformation.rpc(&Capabilities::default()).is_err());
    }
}
