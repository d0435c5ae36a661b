//! What is under way in this process: operations, keys in use, and how many there may be.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use super::following::Following;
use super::ticket::Ticket;

/// How much of it there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Calls at a time whose callers do not wait (`Prefer: respond-async`).
    pub asynchronous: u32,
    /// How long a key is kept.
    pub keys_kept: Duration,
    /// Keys that are stored.
    pub keys: u64,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            asynchronous: 256,
            keys_kept: Duration::from_secs(86_400),
            keys: 100_000,
        }
    }
}

/// See the module.
#[derive(Debug)]
pub(in crate::service) struct Operations {
    pub bounds: Bounds,
    /// Calls that go on without their callers.
    pub tasks: TaskTracker,
    pub(super) asynchronous: Arc<Semaphore>,
    /// Operations that wait for what a record tells of them.
    pub following: Following,
    /// Stored keys, more or less: what has expired counts until it is deleted.
    keys: AtomicU64,
    /// Ids of operations that are no changes.
    running: Mutex<BTreeSet<String>>,
    /// Calls under way that have a key, by its scope.
    keyed: Mutex<HashMap<String, Ticket>>,
}

impl Operations {
    pub fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            tasks: TaskTracker::new(),
            asynchronous: Arc::new(Semaphore::new(bounds.asynchronous as usize)),
            following: Following::default(),
            keys: AtomicU64::new(0),
            running: Mutex::default(),
            keyed: Mutex::default(),
        }
    }

    /// An operation that is no change has begun.
    pub(super) fn begun(&self, id: &str, with_key: bool) {
        locked(&self.running).insert(id.to_owned());
        if with_key {
            self.key_stored();
        }
    }

    pub(super) fn ended(&self, id: &str) {
        locked(&self.running).remove(id);
    }

    pub(super) fn runs(&self, id: &str) -> bool {
        locked(&self.running).contains(id)
    }

    /// One more key is stored.
    pub fn key_stored(&self) {
        self.keys.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn set_keys(&self, count: u64) {
        self.keys.store(count, Ordering::Relaxed);
    }

    pub(super) fn keys(&self) -> u64 {
        self.keys.load(Ordering::Relaxed)
    }

    /// Takes the key of a call for the time that it is under way; the call that has it otherwise.
    pub(super) fn enter(&self, scope: &str, ticket: &Ticket) -> Result<(), Ticket> {
        let mut keyed = locked(&self.keyed);
        if let Some(other) = keyed.get(scope) {
            return Err(other.clone());
        }
        keyed.insert(scope.to_owned(), ticket.clone());
        Ok(())
    }

    pub(super) fn leave(&self, scope: &str) {
        locked(&self.keyed).remove(scope);
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Every change under the lock is complete in itself.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
