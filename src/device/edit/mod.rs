//! Edit sessions: a held session bound to a caller for a time (conventions L1–L3).
//!
//! `lease` is pure and says when one ends and why; `session` is the task that owns the [`super::Held`] and serves one
//! command at a time; `handle` is what others see. Which RPCs open a session, and which give back what it holds, is the
//! caller's knowledge: it comes in [`Terms`].

mod handle;
mod lease;
mod session;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use time::OffsetDateTime;
use tokio::sync::mpsc;

pub use self::handle::{
    Counts, EditHandle, EditStatus, Edited, HandOver, Judge, Look, RunError, Start, Work,
};
pub use self::lease::{EditReason, EditState};

use self::handle::Shared;
use self::lease::Lease;
use self::session::Runtime;
use super::Device;
use super::hold::Held;
use crate::netconf::capability::Capabilities;
use crate::netconf::datastore::Datastore;
use crate::netconf::rpc::{RequestError, Rpc};
use crate::pool::{Hold, Touch};

/// Commands that wait in one edit session; those beyond wait with their callers.
const MOST_COMMANDS: usize = 16;

/// How a caller gets at the configuration (S20).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EditMode {
    /// Under a lock.
    Exclusive,
    /// In a copy of one's own; Junos only.
    Private,
    /// An ephemeral instance; Junos only.
    Ephemeral,
    /// The candidate that everybody edits, without a lock.
    Shared,
}

impl EditMode {
    pub const ALL: &'static [EditMode] = &[Self::Exclusive, Self::Private, Self::Ephemeral, Self::Shared];

    /// The word of the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Exclusive => "exclusive",
            Self::Private => "private",
            Self::Ephemeral => "ephemeral",
            Self::Shared => "shared",
        }
    }

    /// `None`: no such word.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|mode| mode.as_str() == text)
    }
}

/// What is fixed about an edit session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EditFacts {
    pub id: String,
    pub device: String,
    /// The principal.
    pub who: String,
    pub mode: EditMode,
    pub datastore: Datastore,
    /// The ephemeral instance; absent: the default one, or another mode.
    pub instance: Option<String>,
    pub ttl: Duration,
    pub created_at: OffsetDateTime,
}

/// The RPCs that give back what is held, last taken first.
pub type Release =
    Arc<dyn Fn(&Capabilities, &[Hold]) -> Result<Vec<(Rpc, Touch)>, RequestError> + Send + Sync>;

/// Under which terms a held session becomes an edit session.
pub struct Terms {
    pub facts: EditFacts,
    pub release: Release,
}

/// The edit sessions of all devices, open ones and those whose end was not recorded yet. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct EditSessions(Arc<Mutex<Book>>);

#[derive(Default)]
struct Book {
    sessions: BTreeMap<String, EditHandle>,
    /// Why whatever is opened from now on ends at once.
    ending: Option<EditReason>,
}

impl EditSessions {
    fn add(&self, handle: EditHandle) {
        let mut book = self.lock();
        let ending = book.ending;
        book.sessions.insert(handle.id().to_owned(), handle.clone());
        drop(book);
        if let Some(reason) = ending {
            handle.stop(reason);
        }
    }

    fn find(&self, wanted: impl Fn(&EditFacts) -> bool) -> Vec<EditHandle> {
        let book = self.lock();
        let found = book.sessions.values().filter(|handle| wanted(handle.facts()));
        found.cloned().collect()
    }

    /// Ends those of one device, each after the RPC that it runs.
    pub(super) fn stop_of(&self, device: &str, reason: EditReason) {
        for handle in self.find(|facts| facts.device == device) {
            handle.stop(reason);
        }
    }

    /// Ends all of them, each after the RPC that it runs, and those that are being opened.
    pub(super) fn stop_all(&self, reason: EditReason) {
        self.lock().ending = Some(reason);
        for handle in self.find(|_| true) {
            handle.stop(reason);
        }
    }

    /// Waits until all that have ended hold nothing any more.
    pub(super) async fn finished(&self) {
        for handle in self.find(|_| true) {
            handle.finished().await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Book> {
        // Every change under the lock is complete in itself.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Device {
    /// Makes an edit session of a held session that has what it needs: its locks, its copy. It lives until it is
    /// stopped, expires, or loses the session or what the session held; then what it did is undone and what it holds is
    /// given back. It stays listed until [`Device::forget_edit_session`].
    pub fn lease(&self, mut held: Held, terms: Terms) -> EditHandle {
        held.keep();
        let Terms { facts, release } = terms;
        let around = &self.core.around;
        let shared = Arc::new(Shared::new(
            facts,
            held.session_id(),
            held.capabilities(),
            around.clock.clone(),
        ));
        let (commands, incoming) = mpsc::channel(MOST_COMMANDS);
        let handle = EditHandle::new(shared.clone(), commands);
        self.shared.edits.add(handle.clone());
        let runtime = Runtime::new(held, shared, incoming, release, self.core.settings.rpc_timeout);
        around.tracker.spawn(runtime.run());
        handle
    }

    /// An edit session of this device, open or just ended.
    pub fn edit_session(&self, id: &str) -> Option<EditHandle> {
        let mut found = self
            .shared
            .edits
            .find(|facts| facts.id == id && facts.device == self.core.name());
        found.pop()
    }

    /// The edit sessions of this device that are open.
    pub fn edit_sessions(&self) -> Vec<EditHandle> {
        let mut found = self.shared.edits.find(|facts| facts.device == self.core.name());
        found.retain(|handle| handle.status().state == EditState::Open);
        found
    }

    /// Takes an edit session that has ended off the list: its end is recorded elsewhere.
    pub fn forget_edit_session(&self, id: &str) {
        self.shared.edits.lock().sessions.remove(id);
    }

    /// A NETCONF session of this device is about to be killed. Gives the edit session in it, if there is one, which from
    /// now on counts as killed should it end.
    pub fn killing(&self, session_id: u64) -> Option<Killing> {
        let victim = self
            .edit_sessions()
            .into_iter()
            .find(|handle| handle.session_id() == session_id)?;
        victim.doom(true);
        Some(Killing(victim))
    }
}

/// An edit session whose NETCONF session is being killed. Dropping it says that the device did not do it.
#[derive(Debug)]
pub struct Killing(EditHandle);

impl Killing {
    /// It was done: the edit session is lost from now on. Returns its id.
    pub fn done(self) -> String {
        self.0.stop(EditReason::Killed);
        self.0.id().to_owned()
    }
}

impl Drop for Killing {
    fn drop(&mut self) {
        self.0.doom(false);
    }
}
