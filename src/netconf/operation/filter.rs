//! What to select: `<filter>` of `<get>` and `<get-config>` (RFC 6241 sections 6 and 8.9).

use crate::netconf::capability::{Capabilities, Capability};
use crate::netconf::rpc::RequestError;
use crate::xml::{Fragment, Writer, name};

/// A selection.
#[derive(Debug, Clone, PartialEq)]
pub enum Filter {
    /// A subtree filter: the element or elements to select.
    Subtree(Fragment),
    /// An XPath expression, with the prefixes that it uses.
    XPath {
        select: String,
        namespaces: Vec<(String, String)>,
    },
}

impl Filter {
    pub(super) fn require(&self, capabilities: &Capabilities, operation: &str) -> Result<(), RequestError> {
        match self {
            Self::Subtree(_) => Ok(()),
            Self::XPath { select, namespaces } => {
                capabilities.require(Capability::Xpath, operation, "xpath")?;
                if select.trim().is_empty() {
                    return Err(RequestError::invalid("xpath", "the expression is empty"));
                }
                for (prefix, uri) in namespaces {
                    if !name::is_ncname(prefix) || prefix.starts_with("xml") || uri.is_empty() {
                        let detail = format!("{prefix:?} cannot be declared as a prefix for {uri:?}");
                        return Err(RequestError::invalid("xpath", detail));
                    }
                }
                Ok(())
            }
        }
    }

    pub(super) fn write(&self, writer: &mut Writer) -> Result<(), RequestError> {
        writer.open("filter")?;
        match self {
            Self::Subtree(fragment) => {
                writer.attr("type", "subtree")?.fragment(fragment)?;
            }
            Self::XPath { select, namespaces } => {
                writer.attr("type", "xpath")?.attr("select", select)?;
                for (prefix, uri) in namespaces {
                    writer.attr(&format!("xmlns:{prefix}"), uri)?;
                }
            }
        }
        writer.close()?;
        Ok(())
    }
}
