//! Who holds which datastore.

use super::engine::{Actor, Engine, Store, Working};
use crate::emulator::device_error::DeviceError;
use crate::emulator::when::{date_time, idle};

impl Engine {
    /// Locks a datastore for this session (RFC 6241 section 7.5).
    ///
    /// # Errors
    /// It is locked already, the candidate holds what nobody committed, or a commit of another session waits to be
    /// confirmed.
    pub fn lock(&mut self, store: Store, actor: &Actor, now: i64) -> Result<(), DeviceError> {
        if let Some((holder, _)) = self.locks.get(&store) {
            return Err(if holder.session == actor.session {
                already_open().held_by(holder.session)
            } else {
                locked_by(holder, now)
            });
        }
        if self.working(actor.session) != Working::Shared {
            return Err(already_open());
        }
        if store == Store::Running {
            self.may_lock_running(actor)?;
        }
        if store == Store::Candidate && self.is_modified() && !self.conduct.candidate_stays {
            return Err(DeviceError::new("configuration database modified").held_by(0));
        }
        self.locks.insert(store, (actor.clone(), now));
        Ok(())
    }

    /// Unlocks a datastore. What was edited under the lock and not committed is gone.
    ///
    /// # Errors
    /// This session does not hold the lock.
    pub fn unlock(&mut self, store: Store, actor: &Actor, now: i64) -> Result<(), DeviceError> {
        match self.locks.get(&store) {
            Some((holder, _)) if holder.session == actor.session => {
                self.release(store);
                Ok(())
            }
            Some((holder, _)) => Err(locked_by(holder, now)),
            None => Err(DeviceError::new("Configuration database is not open")),
        }
    }

    /// Takes a lock away. A lock is given on a clean candidate alone, so all that differs was done under it.
    pub(super) fn release(&mut self, store: Store) {
        self.locks.remove(&store);
        if store == Store::Candidate && !self.conduct.candidate_stays {
            self.candidate = self.running().tree.clone();
        }
    }

    /// Takes away a lock that nobody gives back, as somebody at the device would; tells whether there was one.
    pub fn clear_lock(&mut self, store: Store) -> bool {
        let held = self.locks.contains_key(&store);
        if held {
            self.release(store);
        }
        held
    }

    /// Who holds this datastore, and since when.
    pub fn held(&self, store: Store) -> Option<(&Actor, i64)> {
        self.locks.get(&store).map(|(holder, since)| (holder, *since))
    }

    /// Fails where somebody else has locked the datastore.
    pub(super) fn may_write(&self, store: Store, actor: &Actor, now: i64) -> Result<(), DeviceError> {
        match self.locks.get(&store) {
            Some((holder, _)) if holder.session != actor.session => Err(locked_by(holder, now)),
            Some(_) | None => Ok(()),
        }
    }
}

/// What Junos says to a session that holds the database already.
pub(super) fn already_open() -> DeviceError {
    DeviceError::new("Configuration database is already open")
}

/// What Junos says about a lock of somebody else. Servers that print tags add `lock-denied` and the session.
fn locked_by(holder: &Actor, now: i64) -> DeviceError {
    let terminal = holder
        .terminal
        .as_ref()
        .map(|name| format!(" terminal {name}"))
        .unwrap_or_default();
    DeviceError::new(format!(
        "configuration database locked by:\n  {}{terminal} (pid {}) on since {}, idle {}\n      exclusive [edit]",
        holder.user,
        holder.session,
        date_time(holder.since),
        idle(now - holder.since),
    ))
    .held_by(holder.session)
}
