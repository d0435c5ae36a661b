//! `<lock>` and `<unlock>`: one datastore for this session alone (RFC 6241 sections 7.5 and 7.6, S21).

use crate::netconf::capability::Capabilities;
use crate::netconf::datastore::Datastore;
use crate::netconf::rpc::{RequestError, Rpc};
use crate::xml::Writer;

/// `<lock>`. On Junos the lock of the candidate is the same as `<lock-configuration/>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lock {
    pub target: Datastore,
}

/// `<unlock>`. Junos discards the uncommitted changes of a locked candidate with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unlock {
    pub target: Datastore,
}

impl Lock {
    /// The request.
    ///
    /// # Errors
    /// A datastore that the device does not offer.
    pub fn rpc(&self, capabilities: &Capabilities) -> Result<Rpc, RequestError> {
        request("lock", self.target, capabilities)
    }
}

impl Unlock {
    /// The request.
    ///
    /// # Errors
    /// A datastore that the device does not offer.
    pub fn rpc(&self, capabilities: &Capabilities) -> Result<Rpc, RequestError> {
        request("unlock", self.target, capabilities)
    }
}

fn request(operation: &str, target: Datastore, capabilities: &Capabilities) -> Result<Rpc, RequestError> {
    target.require(capabilities, operation, "target")?;
    let mut writer = Writer::new();
    writer
        .open(operation)?
        .open("target")?
        .empty(target.as_str())?
        .close()?
        .close()?;
    Ok(Rpc::new(writer.finish()?))
}
