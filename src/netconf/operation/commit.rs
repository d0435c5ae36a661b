//! `<commit>`: the candidate becomes running (RFC 6241 sections 8.3.4.1 and 8.4.5.1, S27, S28).

use crate::netconf::capability::{Capabilities, Capability};
use crate::netconf::confirm_timeout::ConfirmTimeout;
use crate::netconf::rpc::{RequestError, Rpc};
use crate::xml::Writer;

/// A commit that the device undoes unless it is confirmed in time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confirmed {
    pub timeout: ConfirmTimeout,
    /// The token by which any session can confirm it later; without it only this one can. `:confirmed-commit:1.1`.
    pub persist: Option<String>,
}

/// `<commit>`. Without `confirmed` it also confirms a pending commit of this session, or the one of `persist_id`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Commit {
    pub confirmed: Option<Confirmed>,
    /// The token of the pending commit that is confirmed or, with `confirmed`, extended. `:confirmed-commit:1.1`.
    pub persist_id: Option<String>,
}

impl Commit {
    /// The request.
    ///
    /// # Errors
    /// What the device does not offer; empty tokens.
    pub fn rpc(&self, capabilities: &Capabilities) -> Result<Rpc, RequestError> {
        capabilities.require(Capability::Candidate, "commit", "commit")?;
        let mut writer = Writer::new();
        writer.open("commit")?;
        if let Some(confirmed) = &self.confirmed {
            capabilities.require_any(
                &[Capability::ConfirmedCommit11, Capability::ConfirmedCommit10],
                "commit",
                "confirmed",
            )?;
            writer
                .empty("confirmed")?
                .leaf("confirm-timeout", &confirmed.timeout.rfc_seconds().to_string())?;
            if let Some(token) = &confirmed.persist {
                write_token(&mut writer, capabilities, "persist", token)?;
            }
        }
        if let Some(token) = &self.persist_id {
            write_token(&mut writer, capabilities, "persist-id", token)?;
        }
        writer.close()?;
        Ok(Rpc::new(writer.finish()?))
    }
}

fn write_token(
    writer: &mut Writer,
    capabilities: &Capabilities,
    name: &'static str,
    token: &str,
) -> Result<(), RequestError> {
    capabilities.require(Capability::ConfirmedCommit11, "commit", name)?;
    if token.trim().is_empty() {
        return Err(RequestError::invalid(name, "the token is empty"));
    }
    writer.leaf(name, token)?;
    Ok(())
}
