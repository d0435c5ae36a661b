//! `<request-save-rescue-configuration/>`: the active configuration becomes the rescue configuration (S12).

use super::empty_request;
use crate::netconf::capability::Capabilities;
use crate::netconf::rpc::{RequestError, Rpc};

/// `<request-save-rescue-configuration/>`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SaveRescueConfiguration;

impl SaveRescueConfiguration {
    /// The request.
    ///
    /// # Errors
    /// No Junos device.
    pub fn rpc(&self, capabilities: &Capabilities) -> Result<Rpc, RequestError> {
        empty_request("request-save-rescue-configuration", capabilities)
    }
}
