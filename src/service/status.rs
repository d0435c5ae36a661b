//! How the gateway is doing.

use std::collections::BTreeMap;

use super::Gateway;
use super::call::{CallContext, Role};
use super::view::{StatusView, VersionView};
use crate::error::Error;
use crate::json::HintTable;

impl Gateway {
    /// Counts of devices, sessions and waiting requests.
    ///
    /// # Errors
    /// None but a role that may not ask.
    pub async fn get_status(&self, ctx: &CallContext) -> Result<StatusView, Error> {
        ctx.principal.require(Role::Read)?;
        let (mut sessions, mut queued) = (0, 0);
        let mut device_states = BTreeMap::new();
        let devices = self.inner.devices.all();
        for device in &devices {
            let status = device.status();
            sessions += status.sessions.len() as u64;
            queued += status.queued as u64;
            *device_states.entry(status.state.as_str().to_owned()).or_insert(0) += 1;
        }
        let uptime = self.inner.clock.now().duration_since(self.inner.started);
        Ok(StatusView {
            version: version(),
            uptime_seconds: uptime.as_secs(),
            draining: self.draining(),
            devices: devices.len() as u64,
            sessions,
            queued,
            device_states,
        })
    }

    /// # Errors
    /// None but a role that may not ask.
    pub async fn get_version(&self, ctx: &CallContext) -> Result<VersionView, Error> {
        ctx.principal.require(Role::Read)?;
        Ok(version())
    }

    /// Whether the gateway can serve: the database answers, and it is not draining (conventions H13). The health of
    /// devices does not matter.
    ///
    /// # Errors
    /// `draining`, `store-unavailable`.
    pub async fn ready(&self) -> Result<(), Error> {
        self.accepting()?;
        self.inner.store.check_health().await.map_err(|error| self.store_error(error))
    }
}

fn version() -> VersionView {
    VersionView {
        name: env!("CARGO_PKG_NAME").to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        hints: HintTable::versions().iter().map(|version| (*version).to_owned()).collect(),
    }
}
