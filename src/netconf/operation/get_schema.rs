//! `<get-schema>`: a YANG module's text (RFC 6022 section 3.1).

use crate::netconf::capability::{Capabilities, Capability};
use crate::netconf::rpc::{RequestError, Rpc};
use crate::xml::Writer;

const NAMESPACE: &str = "urn:ietf:params:xml:ns:yang:ietf-netconf-monitoring";

/// `<get-schema>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GetSchema {
    /// The module's or submodule's name.
    pub identifier: String,
    /// The revision; without it the device must have one only.
    pub version: Option<String>,
    /// `yang` when absent.
    pub format: Option<String>,
}

impl GetSchema {
    /// The request.
    ///
    /// # Errors
    /// What the device does not offer, or cannot be written.
    pub fn rpc(&self, capabilities: &Capabilities) -> Result<Rpc, RequestError> {
        capabilities.require(Capability::Monitoring, "get-schema", "identifier")?;
        if self.identifier.trim().is_empty() {
            return Err(RequestError::invalid(
                "identifier",
                "the name of the schema is empty",
            ));
        }
        let mut writer = Writer::new();
        writer
            .open("get-schema")?
            .attr("xmlns", NAMESPACE)?
            .leaf("identifier", &self.identifier)?;
        if let Some(version) = &self.version {
            writer.leaf("version", version)?;
        }
        if let Some(format) = &self.format {
            writer.leaf("format", format)?;
        }
        writer.close()?;
        Ok(Rpc::new(writer.finish()?))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::everything;
    use super::*;

    /// RFC 6022 section 3.1
    #[test]
    fn requests_are_byte_exact() {
        let schema = GetSchema {
            identifier: "ietf-interfaces".into(),
            version: Some("2018-02-20".into()),
            format: Some("yang".into()),
        };
        let rpc = schema.rpc(&everything()).expect("the device offers it");
        assert_eq!(
            rpc.body.as_str(),
            "<get-schema xmlns=\"urn:ietf:params:xml:ns:yang:ietf-netconf-monitoring\">\
             <identifier>ietf-interfaces</identifier><version>2018-02-20</version><format>yang</format></get-schema>"
        );
        assert_eq!(rpc.operation, "get-schema");
        assert!(matches!(
            schema.rpc(&Capabilities::default()),
            Err(RequestError::MissingCapability(_))
        ));
        let empty = GetSchema {
            identifier: " ".into(),
            ..schema
        };
        assert!(matches!(
            empty.rpc(&everything()),
            Err(RequestError::Invalid { .. })
        ));
    }
}
