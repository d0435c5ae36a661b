//! `<cancel-commit>`: a pending confirmed commit is undone now (RFC 6241 section 8.4.4.1, S28).

use crate::netconf::capability::{Capabilities, Capability};
use crate::netconf::rpc::{RequestError, Rpc};
use crate::xml::Writer;

/// `<cancel-commit>`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CancelCommit {
    /// The token of a commit that outlives its session; without it the one of this session.
    pub persist_id: Option<String>,
}

impl CancelCommit {
    /// The request. Without a token it is self-closing, because some servers refuse the pair of tags.
    ///
    /// # Errors
    /// What the device does not offer; an empty token.
    pub fn rpc(&self, capabilities: &Capabilities) -> Result<Rpc, RequestError> {
        capabilities.require(Capability::ConfirmedCommit11, "cancel-commit", "cancel-commit")?;
        let mut writer = Writer::new();
        writer.open("cancel-commit")?;
        if let Some(token) = &self.persist_id {
            if token.trim().is_empty() {
                return Err(RequestError::invalid("persist-id", "the token is empty"));
            }
            writer.leaf("persist-id", token)?;
        }
        writer.close()?;
        Ok(Rpc::new(writer.finish()?))
    }
}
