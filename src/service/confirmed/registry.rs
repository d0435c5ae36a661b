//! The confirmed commits that are looked after in this process, each as it is now.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::guardian::Order;
use super::record::ConfirmedCommit;
use super::state::State;
use crate::service::Gateway;

/// Orders that wait for one confirmed commit; whoever comes later is refused.
pub(super) const MOST_ORDERS: usize = 16;

/// One of them.
#[derive(Debug)]
pub(in crate::service) struct Handle {
    commit: Mutex<ConfirmedCommit>,
    orders: mpsc::Sender<Order>,
    killed: AtomicBool,
    /// The operation of the order that is being carried out.
    serving: Mutex<Option<String>>,
    settled: CancellationToken,
}

impl Handle {
    pub(super) fn new(commit: ConfirmedCommit, orders: mpsc::Sender<Order>) -> Self {
        Self {
            commit: Mutex::new(commit),
            orders,
            killed: AtomicBool::new(false),
            serving: Mutex::default(),
            settled: CancellationToken::new(),
        }
    }

    /// As it is now.
    pub fn commit(&self) -> ConfirmedCommit {
        self.lock().clone()
    }

    pub(super) fn show(&self, commit: &ConfirmedCommit) {
        *self.lock() = commit.clone();
    }

    pub(super) fn orders(&self) -> &mpsc::Sender<Order> {
        &self.orders
    }

    /// Its session is being killed, or was not after all.
    pub fn kill(&self, killed: bool) {
        self.killed.store(killed, Ordering::Release);
    }

    pub(super) fn is_killed(&self) -> bool {
        self.killed.load(Ordering::Acquire)
    }

    /// From now on this operation's order is carried out, or none.
    pub(super) fn serve(&self, operation_id: Option<String>) {
        // Every change under the lock is complete in itself.
        *self.serving.lock().unwrap_or_else(PoisonError::into_inner) = operation_id;
    }

    /// The operation whose order is being carried out.
    pub(super) fn serving(&self) -> Option<String> {
        let serving = self.serving.lock().unwrap_or_else(PoisonError::into_inner);
        serving.clone()
    }

    /// Nothing more is done of its own accord.
    pub(super) fn settle(&self) {
        self.settled.cancel();
    }

    /// Whether a probe decides about it still. One that runs when the gateway ends goes on at the next start.
    fn is_probed(&self) -> bool {
        let commit = self.lock();
        let probe = commit.document.probe.as_ref();
        probe.is_some_and(|probe| probe.is_running() || !self.settled.is_cancelled())
    }

    /// Waits until it has ended, or a person has taken over from its probe, and the device is free where it is.
    pub(super) async fn settled(&self) {
        self.settled.cancelled().await;
    }

    fn lock(&self) -> MutexGuard<'_, ConfirmedCommit> {
        // Every change under the lock is complete in itself.
        self.commit.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// All of them, by their ids.
#[derive(Debug, Default)]
pub(in crate::service) struct Registry(Mutex<BTreeMap<String, Arc<Handle>>>);

impl Registry {
    pub(super) fn put(&self, id: &str, handle: Arc<Handle>) {
        self.lock().insert(id.to_owned(), handle);
    }

    pub(super) fn get(&self, id: &str) -> Option<Arc<Handle>> {
        self.lock().get(id).cloned()
    }

    /// Whether this one is looked after.
    pub fn contains(&self, id: &str) -> bool {
        self.lock().contains_key(id)
    }

    /// What this one is, if it is looked after.
    pub fn state_of(&self, id: &str) -> Option<State> {
        self.get(id).map(|handle| handle.lock().state)
    }

    /// Whether this one is in the hands of a probe.
    pub fn is_probed(&self, id: &str) -> bool {
        let handle = self.get(id);
        handle.is_some_and(|handle| handle.is_probed())
    }

    pub(super) fn remove(&self, id: &str) {
        self.lock().remove(id);
    }

    /// The one of this device, by the id of its row: there is never more than one that counts.
    pub fn of_device(&self, device_id: &str) -> Option<Arc<Handle>> {
        let registry = self.lock();
        let found = registry
            .values()
            .find(|handle| handle.lock().row.device_id == device_id);
        found.cloned()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Handle>>> {
        // Every change under the lock is complete in itself.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A confirmed commit that is being sent. Dropping it says that the device did not make it.
pub(in crate::service) struct Announced {
    gateway: Gateway,
    parts: Option<(Arc<Handle>, mpsc::Receiver<Order>)>,
}

impl Announced {
    pub(super) fn new(gateway: Gateway, handle: Arc<Handle>, orders: mpsc::Receiver<Order>) -> Self {
        Self {
            gateway,
            parts: Some((handle, orders)),
        }
    }

    /// Nothing is done about it of its own accord.
    pub(super) fn settle(&self) {
        if let Some((handle, _)) = &self.parts {
            handle.settle();
        }
    }

    pub(super) fn take(mut self) -> (Arc<Handle>, mpsc::Receiver<Order>) {
        self.parts
            .take()
            .expect("the parts are there until this, which ends it")
    }
}

impl Drop for Announced {
    fn drop(&mut self) {
        if let Some((handle, _)) = self.parts.take() {
            self.gateway.inner.confirmed.remove(&handle.commit().row.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::probe::{Probe, ProbeState};
    use super::super::record::tests::commit;
    use super::*;

    /// H7, D1: the end of the gateway is none of a probe that runs, which goes on at the next start.
    #[test]
    fn a_probe_that_runs_is_not_over_with_the_gateway() {
        let probe = json!({
            "rpc": "<get-system-uptime-information/>", "expect": [], "delay_seconds": 0, "interval_seconds": 1,
            "give_up_seconds": 60, "state": "running", "attempts": 0, "last": null,
        });
        let mut probe: Probe = serde_json::from_value(probe).unwrap();
        let mut commit = commit();
        commit.document.probe = Some(probe.clone());
        let handle = Handle::new(commit.clone(), mpsc::channel(1).0);
        assert!(handle.is_probed());
        handle.settle();
        assert!(handle.is_probed());
        probe.state = ProbeState::Held;
        commit.document.probe = Some(probe);
        handle.show(&commit);
        assert!(!handle.is_probed());
    }
}
