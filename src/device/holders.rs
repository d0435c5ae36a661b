//! Who holds which session now, for people who wait for one.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use time::OffsetDateTime;
use tokio::sync::watch;

use crate::pool::Holds;
use crate::session::Status;

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
    /// Whether the session is there still: with one that has ended, what it held is gone.
    pub lives: bool,
}

#[derive(Debug)]
struct Held {
    holder: Holder,
    session: watch::Receiver<Status>,
}

/// All sessions that are held, of all devices. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct Holders(Arc<Mutex<Book>>);

#[derive(Debug, Default)]
struct Book {
    next: u64,
    held: BTreeMap<u64, Held>,
}

impl Holders {
    pub(super) fn of(&self, device: &str) -> Vec<Holder> {
        let book = self.lock();
        let held = book.held.values().filter(|held| held.holder.device == device);
        let as_it_is = |held: &Held| Holder {
            lives: held.session.borrow().ended.is_none(),
            ..held.holder.clone()
        };
        held.map(as_it_is).collect()
    }

    pub(super) fn add(&self, holder: Holder, session: watch::Receiver<Status>) -> u64 {
        let mut book = self.lock();
        book.next += 1;
        let key = book.next;
        book.held.insert(key, Held { holder, session });
        key
    }

    pub(super) fn update(
        &self,
        key: u64,
        session: watch::Receiver<Status>,
        (session_id, holds): (u64, Holds),
    ) {
        if let Some(held) = self.lock().held.get_mut(&key) {
            held.holder.session_id = session_id;
            held.holder.holds = holds;
            held.session = session;
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
