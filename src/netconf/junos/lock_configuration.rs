//! `<lock-configuration/>` and `<unlock-configuration/>`: the candidate for this session alone, where only the Junos
//! XML protocol is offered (S20, S21).

use super::empty_request;
use crate::netconf::capability::Capabilities;
use crate::netconf::rpc::{RequestError, Rpc};

/// `<lock-configuration/>`, the same as `configure exclusive`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LockConfiguration;

/// `<unlock-configuration/>`. Uncommitted changes are discarded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct UnlockConfiguration;

impl LockConfiguration {
    /// The request.
    ///
    /// # Errors
    /// No Junos device.
    pub fn rpc(&self, capabilities: &Capabilities) -> Result<Rpc, RequestError> {
        empty_request("lock-configuration", capabilities)
    }
}

impl UnlockConfiguration {
    /// The request.
    ///
    /// # Errors
    /// No Junos device.
    pub fn rpc(&self, capabilities: &Capabilities) -> Result<Rpc, RequestError> {
        empty_request("unlock-configuration", capabilities)
    }
}
