//! The changes of which it is being found out whether their commit was made.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Their ids, each with that of the device's row.
#[derive(Debug, Default)]
pub(in crate::service) struct Resolving(Mutex<BTreeMap<String, String>>);

impl Resolving {
    pub(super) fn put(&self, change_id: &str, device_id: &str) {
        self.lock().insert(change_id.to_owned(), device_id.to_owned());
    }

    pub(super) fn remove(&self, change_id: &str) {
        self.lock().remove(change_id);
    }

    /// Whether it is being found out about this change.
    pub(super) fn contains(&self, change_id: &str) -> bool {
        self.lock().contains_key(change_id)
    }

    /// One of this device.
    pub(super) fn of_device(&self, device_id: &str) -> Option<String> {
        let resolving = self.lock();
        let found = resolving.iter().find(|(_, device)| *device == device_id);
        found.map(|(change, _)| change.clone())
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        // Every change under the lock is complete in itself.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
