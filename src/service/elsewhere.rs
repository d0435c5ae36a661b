//! Commits that were made past this gateway (conventions E7): noticed by the newest entry of a device's history, whenever
//! that is read for a commit, and after connecting. Junos only: other servers keep no history.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::Gateway;
use super::edit::commit::operation_in_marker;
use super::{evidence, history};
use crate::error::Error;
use crate::netconf::junos::commit_information::{CommitEntry, CommitInformation};
use crate::store::{EventFacts, NewEvent, NewestCommit, StoreError};

/// Devices that are looked at after connecting at a time.
const AT_A_TIME: usize = 16;
/// As whom the gateway queues for what it wants to know itself.
const WHO: &str = "ncgate";

/// What tells one commit of a history from another.
#[derive(Serialize)]
struct Identity<'a> {
    user: &'a Option<String>,
    client: &'a Option<String>,
    seconds: Option<i64>,
    date_time: &'a Option<String>,
    log: &'a Option<String>,
}

/// What tells the newest commit of a history from another: a digest of it and of the one before, because somebody can
/// commit twice within a second.
fn identity(history: &CommitInformation) -> String {
    let newest: Vec<Identity> = history
        .entries
        .iter()
        .take(2)
        .map(|entry| Identity {
            user: &entry.user,
            client: &entry.client,
            seconds: entry.seconds,
            date_time: &entry.date_time,
            log: &entry.log,
        })
        .collect();
    // Strings and numbers in a list are always JSON.
    let text = serde_json::to_vec(&newest).unwrap_or_default();
    let digest = Sha256::digest(&text);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// When each device was looked at last after connecting.
#[derive(Debug)]
pub(super) struct Looks {
    /// At most once in this time; zero: never.
    every: Duration,
    last: Mutex<HashMap<String, Instant>>,
    places: Arc<Semaphore>,
    /// The change that each device, by its id, committed last for this process, after the history had been compared.
    ours: Mutex<HashMap<String, String>>,
}

impl Looks {
    pub fn new(every: Duration) -> Self {
        Self {
            every,
            last: Mutex::default(),
            places: Arc::new(Semaphore::new(AT_A_TIME)),
            ours: Mutex::default(),
        }
    }

    /// Whether the device is to be looked at now.
    fn is_due(&self, device: &str, now: Instant) -> bool {
        if self.every.is_zero() {
            return false;
        }
        // Every change under the lock is complete in itself.
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.retain(|_, at| now.saturating_duration_since(*at) < self.every);
        let due = !last.contains_key(device);
        if due {
            last.insert(device.to_owned(), now);
        }
        due
    }
}

impl Looks {
    /// A device committed this change. What its history was before is known.
    pub fn committed(&self, device_id: &str, change_id: &str) {
        // Every change under the lock is complete in itself.
        let mut ours = self.ours.lock().unwrap_or_else(PoisonError::into_inner);
        match ours.get_mut(device_id) {
            Some(last) => change_id.clone_into(last),
            None => {
                ours.insert(device_id.to_owned(), change_id.to_owned());
            }
        }
    }

    /// Whether the newest commit of a history is that one. Then there is nothing to tell of, and nothing to store: what is
    /// stored may be an older one of ours.
    pub fn ends_with_ours(&self, device_id: &str, history: &CommitInformation) -> bool {
        let newest = history.newest().filter(|newest| !newest.is_by_device());
        let marked = newest
            .and_then(|newest| newest.log.as_deref())
            .and_then(operation_in_marker);
        let ours = self.ours.lock().unwrap_or_else(PoisonError::into_inner);
        marked.is_some_and(|id| ours.get(device_id).is_some_and(|last| last == id))
    }
}

impl Gateway {
    /// A session with the device was opened: somebody may have changed it meanwhile (E7). Returns at once.
    pub(super) fn look_after_connecting(&self, device: &str) {
        let inner = &self.inner;
        if self.draining() || !inner.looks.is_due(device, inner.clock.now()) {
            return;
        }
        // Where many connect at a time, those left out are looked at when they connect again.
        let Ok(place) = inner.looks.places.clone().try_acquire_owned() else {
            return;
        };
        let (gateway, device) = (self.clone(), device.to_owned());
        inner.tasks.spawn(async move {
            let _place = place;
            let looked = tokio::select! {
                () = gateway.inner.ending.cancelled() => return,
                looked = gateway.look_for_changes(&device) => looked,
            };
            if let Err(error) = looked {
                tracing::debug!(device, error = %error, "the history of a device was not looked at");
            }
        });
    }

    async fn look_for_changes(&self, name: &str) -> Result<(), Error> {
        let (record, device) = self.device(name).await?;
        let deadline = self.inner.clock.now() + device.settings().rpc_timeout;
        let shown = device.established(WHO, deadline).await;
        let shown = shown.map_err(super::failure::device)?;
        if !shown.capabilities.is_junos() {
            return Ok(());
        }
        let history = history::read(&record, &device, WHO, deadline).await?;
        self.note_history(&record.id, name, &history).await;
        // Releases before 20.4R1 do not know how.
        if let Some(revision) = history::revision(&record, &device, WHO, deadline).await? {
            self.note_revision(name, &revision);
        }
        Ok(())
    }

    /// Keeps the revision that a device told.
    pub(super) fn note_revision(&self, device: &str, revision: &str) {
        let inner = &self.inner;
        inner.revisions.note(device, revision, inner.clock.wall());
    }

    /// Compares the newest commit of a device with the one that was seen last; tells of one that was made elsewhere. Whether
    /// the newest one is stored now.
    pub(super) async fn note_history(
        &self,
        device_id: &str,
        device: &str,
        history: &CommitInformation,
    ) -> bool {
        match self.compare(device_id, device, history).await {
            Ok(()) => history.newest().is_some(),
            Err(error) => {
                tracing::warn!(device, error = %error, "the newest commit of a device was not stored");
                false
            }
        }
    }

    async fn compare(
        &self,
        device_id: &str,
        device: &str,
        history: &CommitInformation,
    ) -> Result<(), StoreError> {
        let Some(entry) = history.newest() else {
            return Ok(());
        };
        if let Some(revision) = &entry.revision {
            self.note_revision(device, revision);
        }
        let newest = NewestCommit {
            entry: identity(history),
            committed_at: entry.seconds,
        };
        let before = self.inner.store.newest_commit(device_id).await?;
        let late = before
            .as_ref()
            .and_then(|before| before.committed_at)
            .zip(entry.seconds)
            .is_some_and(|(before, now)| now < before);
        // What was read before something newer was seen says nothing.
        if late || before.as_ref().is_some_and(|before| before.entry == newest.entry) {
            return Ok(());
        }
        let mut events = Vec::new();
        if before.is_some() && !self.is_ours(device_id, history, entry).await? {
            events.push(NewEvent {
                kind: "config.changed_elsewhere".to_owned(),
                device_id: Some(device_id.to_owned()),
                device: Some(device.to_owned()),
                facts: EventFacts {
                    by: Some(evidence::who(entry)),
                    revision: entry.revision.clone(),
                    ..EventFacts::default()
                },
            });
        }
        self.inner
            .store
            .put_newest_commit(device_id, before.as_ref(), &newest, &events)
            .await
    }

    /// Whether a commit was made for this gateway, or by the device itself to undo one that was.
    async fn is_ours(
        &self,
        device_id: &str,
        history: &CommitInformation,
        entry: &CommitEntry,
    ) -> Result<bool, StoreError> {
        let made = if entry.is_by_device() {
            history.entries.iter().find(|other| !other.is_by_device())
        } else {
            Some(entry)
        };
        let Some(made) = made else { return Ok(false) };
        let Some(id) = made.log.as_deref().and_then(operation_in_marker) else {
            return Ok(false);
        };
        match self.inner.store.get_change(device_id, id).await {
            Ok(_) => return Ok(true),
            Err(StoreError::NotFound) => {}
            Err(error) => return Err(error),
        }
        // What confirms or cancels a confirmed commit is no change.
        match self.inner.store.get_operation(id).await {
            Ok((operation, _)) => Ok(operation.device_id == device_id),
            Err(StoreError::NotFound) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::edit::commit::marker;

    /// E7: a commit of ours is known again, and no other one is taken for it.
    #[test]
    fn our_last_commit_is_known() {
        let looks = Looks::new(Duration::ZERO);
        let history = |log: &str, user: &str, client: &str| CommitInformation {
            entries: vec![CommitEntry {
                sequence: Some(0),
                user: Some(user.to_owned()),
                client: Some(client.to_owned()),
                log: Some(log.to_owned()),
                ..CommitEntry::default()
            }],
            scheduled: None,
            shown: true,
        };
        let (first, second) = (marker("c1", "alice"), marker("c2", "alice"));
        let ours = |log: &str| looks.ends_with_ours("d1", &history(log, "gw", "netconf"));
        assert!(!ours(&first), "nothing was committed yet");
        looks.committed("d1", "c1");
        assert!(ours(&first));
        assert!(!looks.ends_with_ours("d2", &history(&first, "gw", "netconf")));
        assert!(!looks.ends_with_ours("d1", &history(&first, "root", "other")));
        assert!(!ours(&second));
        assert!(!ours("c1"));
        looks.committed("d1", "c2");
        assert_eq!((ours(&first), ours(&second)), (false, true));
    }

    /// E7: a device that connects again and again is not asked each time.
    #[test]
    fn a_device_is_looked_at_now_and_then() {
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let looks = Looks::new(Duration::from_secs(60));
        assert!(looks.is_due("mx1", start));
        assert!(!looks.is_due("mx1", after(59)));
        assert!(looks.is_due("mx2", after(59)));
        assert!(looks.is_due("mx1", after(60)));
        assert!(!Looks::new(Duration::ZERO).is_due("mx1", start));
    }
}
