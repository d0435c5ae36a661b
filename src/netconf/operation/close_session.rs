//! `<close-session/>`: the polite end (RFC 6241 section 7.8, S30).

use crate::netconf::rpc::{RequestError, Rpc};
use crate::xml::Writer;

/// `<close-session/>`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CloseSession;

impl CloseSession {
    /// The request. Every server has it.
    ///
    /// # Errors
    /// None in practice: there is nothing in it that could not be written.
    pub fn rpc(&self) -> Result<Rpc, RequestError> {
        let mut writer = Writer::new();
        writer.empty("close-session")?;
        Ok(Rpc::new(writer.finish()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// S30: self-closing, because Junos tells `<x/>` and `<x></x>` apart.
    #[test]
    fn request_is_byte_exact() {
        assert_eq!(
            CloseSession.rpc().expect("it can be written").body.as_str(),
            "<close-session/>"
        );
    }
}
