//! `<kill-session>`: the end of somebody else's session (RFC 6241 section 7.9, S26).

use crate::netconf::rpc::{RequestError, Rpc};
use crate::xml::Writer;

/// `<kill-session>`. Every server has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KillSession {
    /// The victim; on Junos the process id of its server.
    pub session_id: u64,
}

impl KillSession {
    /// The request.
    ///
    /// # Errors
    /// Session 0, which stands for what is no NETCONF session.
    pub fn rpc(&self) -> Result<Rpc, RequestError> {
        if self.session_id == 0 {
            return Err(RequestError::invalid("session_id", "0 is no NETCONF session"));
        }
        let mut writer = Writer::new();
        writer
            .open("kill-session")?
            .leaf("session-id", &self.session_id.to_string())?
            .close()?;
        Ok(Rpc::new(writer.finish()?))
    }
}
