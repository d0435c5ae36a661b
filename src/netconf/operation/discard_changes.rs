//! `<discard-changes/>`: the candidate becomes what running is (RFC 6241 section 8.3.4.2, S12, S13).

use crate::netconf::capability::{Capabilities, Capability};
use crate::netconf::rpc::{RequestError, Rpc};
use crate::xml::Writer;

/// `<discard-changes/>`. It discards everybody's changes, not only those of this session.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DiscardChanges;

impl DiscardChanges {
    /// The request.
    ///
    /// # Errors
    /// A device without a candidate.
    pub fn rpc(&self, capabilities: &Capabilities) -> Result<Rpc, RequestError> {
        capabilities.require(Capability::Candidate, "discard-changes", "discard-changes")?;
        let mut writer = Writer::new();
        writer.empty("discard-changes")?;
        Ok(Rpc::new(writer.finish()?))
    }
}
