//! Who holds which session now, for people who wait for one.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use time::OffsetDateTime;

use crate::pool::Holds;

/// A session that is held now, for people.
#[derive(Debug, Clone)]
pub struct Holder {
    pub device: String,
    pub session_id: u64,
    /// Of the edit session or change, where there is one.
    pub id: Option<String>,
    /// The principal.
    pub who: String,
    pub holds: Holds,
    pub since: OffsetDateTime,
}

/// All sessions that are held, of all devices. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct Holders(Arc<Mutex<Book>>);

#[derive(Debug, Default)]
struct Book {
    next: u64,
    held: BTreeMap<u64, Holder>,
}

impl Holders {
    pub(super) fn of(&self, device: &str) -> Vec<Holder> {
        let book = self.lock();
        let held = book.held.values().filter(|holder| holder.device == device);
        held.cloned().collect()
    }

    pub(super) fn add(&self, holder: Holder) -> u64 {
        let mut book = self.lock();
        book.next += 1;
        let key = book.next;
        book.held.insert(key, holder);
        key
    }

    pub(super) fn update(&self, key: u64, session_id: u64, holds: Holds) {
        if let Some(holder) = self.lock().held.get_mut(&key) {
            holder.session_id = session_id;
            holder.holds = holds;
        }
    }

    pub(super) fn remove(&self, key: u64) {
        self.lock().held.remove(&key);
    }

    fn lock(&self) -> MutexGuard<'_, Book> {
        // Every change under the lock is complete in itself.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
