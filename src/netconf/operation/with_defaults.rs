//! `<with-defaults>` (RFC 6243).

use crate::netconf::capability::Capabilities;
use crate::netconf::rpc::RequestError;
use crate::xml::Writer;

const NAMESPACE: &str = "urn:ietf:params:xml:ns:yang:ietf-netconf-with-defaults";

/// How default values are to be reported (RFC 6243 section 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WithDefaults {
    ReportAll,
    Trim,
    Explicit,
    ReportAllTagged,
}

impl WithDefaults {
    /// The name, on the wire and in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ReportAll => "report-all",
            Self::Trim => "trim",
            Self::Explicit => "explicit",
            Self::ReportAllTagged => "report-all-tagged",
        }
    }

    /// The mode of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::ReportAll, Self::Trim, Self::Explicit, Self::ReportAllTagged]
            .into_iter()
            .find(|mode| mode.as_str() == name)
    }

    pub(super) fn require(self, capabilities: &Capabilities, operation: &str) -> Result<(), RequestError> {
        Ok(capabilities.require_with_defaults(self.as_str(), operation, "with_defaults")?)
    }

    pub(super) fn write(self, writer: &mut Writer) -> Result<(), RequestError> {
        writer
            .open("with-defaults")?
            .attr("xmlns", NAMESPACE)?
            .text(self.as_str())?
            .close()?;
        Ok(())
    }
}
