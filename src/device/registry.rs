//! All devices that can be talked to, and the housekeeping that they share.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use futures_util::future::join_all;

use super::connector::Connector;
use super::core::Surroundings;
use super::domain::{ConnectRate, Domain};
use super::edit::EditReason;
use super::jump::{JumpHost, JumpLogins};
use super::refusals::{Count, Refusals};
use super::settings::Settings;
use super::{Device, News, Shared};

/// How often idle sessions are looked at.
const REAP_INTERVAL: Duration = Duration::from_secs(5);

/// The devices by name.
pub struct Registry {
    devices: RwLock<HashMap<String, Arc<Device>>>,
    /// By name; devices without a domain share the nameless one's pace, nothing else.
    domains: Mutex<HashMap<String, Arc<Mutex<Domain>>>>,
    jumps: Mutex<HashMap<JumpHost, Arc<Mutex<Refusals>>>>,
    rate: ConnectRate,
    around: Surroundings,
    shared: Shared,
}

impl Registry {
    /// An empty registry. Starts its housekeeping in the tracker; it ends with the registry.
    pub fn new(around: Surroundings, rate: ConnectRate) -> Arc<Self> {
        let registry = Arc::new(Self {
            devices: RwLock::default(),
            domains: Mutex::default(),
            jumps: Mutex::default(),
            rate,
            around: around.clone(),
            shared: Shared::default(),
        });
        let weak = Arc::downgrade(&registry);
        around.tracker.spawn(async move {
            loop {
                tokio::select! {
                    () = around.cut.cancelled() => break,
                    () = tokio::time::sleep(REAP_INTERVAL) => {}
                }
                let Some(registry) = weak.upgrade() else { break };
                for device in registry.all() {
                    device.reap();
                }
            }
        });
        registry
    }

    pub fn get(&self, name: &str) -> Option<Arc<Device>> {
        self.devices
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(name)
            .cloned()
    }

    /// Every device, in no order.
    pub fn all(&self) -> Vec<Arc<Device>> {
        self.devices
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .values()
            .cloned()
            .collect()
    }

    /// What happens to the sessions of all devices; `None`: somebody has it.
    pub fn news(&self) -> Option<tokio::sync::mpsc::Receiver<News>> {
        self.shared.news.take()
    }

    /// Adds a device or replaces one of the same name. What ran with the old settings ends in its own time: its calls
    /// finish, its sessions are closed, and waiting after failures is forgotten (Q4). Who waits for a turn or a connect
    /// waits on for the new one.
    pub fn upsert(&self, settings: Settings, connector: Arc<dyn Connector>) -> Arc<Device> {
        let name = settings.name.clone();
        let domain = self.domain(settings.credential_domain.as_deref().unwrap_or_default());
        let jumps = self.jump_logins(&settings);
        let device = Arc::new(Device::new(
            settings,
            connector,
            domain,
            jumps,
            self.around.clone(),
            self.shared.clone(),
        ));
        let old = self
            .devices
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(name, device.clone());
        if let Some(old) = old {
            old.succeed(device.clone());
            self.retire(old);
        }
        device
    }

    /// Takes a device out; `false` if there is none of this name. Its edit sessions are lost.
    pub fn remove(&self, name: &str) -> bool {
        let old = self
            .devices
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(name);
        let found = old.is_some();
        self.shared.edits.stop_of(name, EditReason::DeviceRemoved);
        if let Some(old) = old {
            self.retire(old);
        }
        found
    }

    /// Ends everything politely (D1, S30): new calls are refused, those under way finish, sessions are closed with
    /// `<close-session>`; what is not done within `grace` is cut. Returns whether all of it was done.
    pub async fn shutdown(&self, grace: Duration) -> bool {
        self.stop_edit_sessions();
        let devices = self.all();
        let draining = async {
            // Some may be of devices that were replaced meanwhile.
            self.shared.edits.finished().await;
            join_all(devices.iter().map(|device| device.drain())).await;
        };
        let polite = tokio::time::timeout(grace, draining).await.is_ok();
        self.around.cut.cancel();
        polite
    }

    /// Ends all edit sessions politely because the gateway does, each after the RPC that it runs; returns at once. None
    /// is opened any more.
    pub fn stop_edit_sessions(&self) {
        self.shared.edits.stop_all(EditReason::GatewayRestarted);
    }

    fn retire(&self, device: Arc<Device>) {
        self.around.tracker.spawn(async move { device.drain().await });
    }

    fn domain(&self, name: &str) -> Arc<Mutex<Domain>> {
        let mut domains = self.domains();
        // Only devices hold on to their domain.
        domains.retain(|other, domain| other == name || Arc::strong_count(domain) > 1);
        let made = domains
            .entry(name.to_owned())
            .or_insert_with(|| Arc::new(Mutex::new(Domain::new(self.rate))));
        made.clone()
    }

    /// What is known of the logins at the device's jump hosts; nothing that is its own in a credential domain, which
    /// counts them itself.
    fn jump_logins(&self, settings: &Settings) -> JumpLogins {
        // Every change under the lock is complete in itself.
        let mut jumps = self.jumps.lock().unwrap_or_else(PoisonError::into_inner);
        // Only devices hold on to them.
        jumps.retain(|_, refusals| Arc::strong_count(refusals) > 1);
        let hosts = match settings.credential_domain {
            Some(_) => &[][..],
            None => &settings.jump_hosts[..],
        };
        let mut shared = Vec::new();
        for host in hosts {
            let made = jumps
                .entry(host.clone())
                .or_insert_with(|| Arc::new(Mutex::new(Refusals::new(Count::Logins))));
            shared.push((host.clone(), made.clone()));
        }
        JumpLogins::new(shared)
    }

    fn domains(&self) -> MutexGuard<'_, HashMap<String, Arc<Mutex<Domain>>>> {
        // Every change under the lock is complete in itself.
        self.domains.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
