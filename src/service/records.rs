//! The stored devices that calls are made on, kept for a moment, so that not every call asks the database. Only calls
//! on devices look here; the inventory itself is always read.
//!
//! The store decides what exists. What this process changes counts at once, also against a read that began before the
//! change. What another process changes in a database that several share counts within the age that the operator
//! allows (`device_record_seconds`); that holds for everything in a record, its labels included, and the device that
//! calls are made on follows it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::store::DeviceRecord;

/// Records by the names of their devices: no more than there are devices to talk to.
pub(super) struct Records {
    /// How long a record is taken for current; zero: never.
    age: Duration,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    entries: HashMap<String, Entry>,
    /// Counts the changes, so that what was read before one does not count after it.
    changes: u64,
}

struct Entry {
    /// The device that calls are made on was made from it, or would be made from it just as it is.
    record: Arc<DeviceRecord>,
    /// When the read of it began; absent if it must be read anew.
    read_at: Option<Instant>,
}

/// A read of the store that began when so many changes were known.
#[derive(Clone, Copy)]
pub(super) struct Reading(u64);

/// What was read.
pub(super) struct Found {
    pub(super) record: Arc<DeviceRecord>,
    /// Another process changed the device: the one that calls are made on must be made anew.
    pub(super) changed: bool,
}

impl Records {
    pub(super) fn new(age: Duration) -> Self {
        Self {
            age,
            kept: Mutex::default(),
        }
    }

    /// The record, if it is current.
    ///
    /// # Errors
    /// Otherwise it must be read; what the store says goes to [`Self::found`] or [`Self::gone`].
    pub(super) fn get(&self, name: &str, now: Instant) -> Result<Arc<DeviceRecord>, Reading> {
        let kept = self.lock();
        match kept.entries.get(name) {
            Some(Entry {
                record,
                read_at: Some(read_at),
            }) if now.saturating_duration_since(*read_at) < self.age => Ok(record.clone()),
            Some(_) | None => Err(Reading(kept.changes)),
        }
    }

    /// Takes over what was read, unless something was changed meanwhile. `now` is when the read began;
    /// `same` tells whether two records make the same device.
    pub(super) fn found(
        &self,
        reading: Reading,
        record: DeviceRecord,
        now: Instant,
        same: impl FnOnce(&DeviceRecord, &DeviceRecord) -> bool,
    ) -> Found {
        let record = Arc::new(record);
        let mut kept = self.lock();
        if kept.changes != reading.0 {
            return Found {
                record,
                changed: false,
            };
        }
        let entry = Entry {
            record: record.clone(),
            read_at: Some(now),
        };
        let last = kept.entries.insert(record.name().to_owned(), entry);
        let changed = last.is_some_and(|last| last.record.id != record.id || !same(&last.record, &record));
        if changed {
            // A read that began before the change must not undo it when it ends only now.
            kept.changes += 1;
        }
        Found { record, changed }
    }

    /// The store does not answer at `now`: what was read of the device last counts for another while, unless something was
    /// changed meanwhile (conventions X12). Never with an age of zero.
    pub(super) fn last(&self, reading: Reading, name: &str, now: Instant) -> Option<Arc<DeviceRecord>> {
        let mut kept = self.lock();
        let counts = kept.changes == reading.0 && !self.age.is_zero();
        let entry = kept.entries.get_mut(name).filter(|_| counts)?;
        // What was changed since it was read must be read first.
        entry.read_at?;
        entry.read_at = Some(now);
        Some(entry.record.clone())
    }

    /// The store has no such device. `false`: something was changed meanwhile, and that counts instead.
    pub(super) fn gone(&self, reading: Reading, name: &str) -> bool {
        let mut kept = self.lock();
        let counts = kept.changes == reading.0;
        if counts && kept.entries.remove(name).is_some() {
            kept.changes += 1;
        }
        counts
    }

    /// The device that calls are made on is made from this record.
    pub(super) fn installed(&self, record: Arc<DeviceRecord>) {
        let mut kept = self.lock();
        kept.changes += 1;
        let entry = Entry {
            record,
            read_at: None,
        };
        kept.entries.insert(entry.record.name().to_owned(), entry);
    }

    /// There is no device of this name to make calls on any more.
    pub(super) fn removed(&self, name: &str) {
        let mut kept = self.lock();
        kept.changes += 1;
        kept.entries.remove(name);
    }

    /// The id of the device that calls are made on under this name.
    pub(super) fn id_of(&self, name: &str) -> Option<String> {
        let kept = self.lock();
        kept.entries.get(name).map(|entry| entry.record.id.clone())
    }

    /// The stored device is to be read anew once the guard is dropped, whatever became of the change by then.
    pub(super) fn changing<'a>(&'a self, name: &'a str) -> Changing<'a> {
        Changing { records: self, name }
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        // Every change under the lock is complete in itself.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A change to a stored device that is under way.
pub(super) struct Changing<'a> {
    records: &'a Records,
    name: &'a str,
}

impl Drop for Changing<'_> {
    fn drop(&mut self) {
        let mut kept = self.records.lock();
        kept.changes += 1;
        if let Some(entry) = kept.entries.get_mut(self.name) {
            entry.read_at = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::device::model;
    use crate::service::time::EPOCH;

    const AGE: Duration = Duration::from_secs(1);

    fn record(version: i64) -> DeviceRecord {
        let document = serde_json::json!({
            "name": "mx1",
            "address": "192.0.2.1",
            "username": "netops",
            "auth": {"password": "secret"},
            "host_key": {"policy": "tofu"},
        });
        let (settings, secrets) = model::read_device(&document).unwrap();
        DeviceRecord {
            id: "01".to_owned(),
            version,
            created_at: EPOCH,
            updated_at: EPOCH,
            settings,
            secrets,
            learned_host_keys: BTreeMap::new(),
        }
    }

    fn reading(records: &Records, now: Instant) -> Reading {
        match records.get("mx1", now) {
            Ok(record) => panic!("version {} is taken for current", record.version),
            Err(reading) => reading,
        }
    }

    fn current(records: &Records, now: Instant) -> Option<i64> {
        records.get("mx1", now).ok().map(|record| record.version)
    }

    /// For these tests, every version makes another device.
    fn found(records: &Records, reading: Reading, record: DeviceRecord, now: Instant) -> bool {
        let same = |one: &DeviceRecord, other: &DeviceRecord| one.version == other.version;
        records.found(reading, record, now, same).changed
    }

    /// What another process changes is seen in time, and the device follows it once.
    #[test]
    fn a_record_is_current_until_it_has_its_age() {
        let records = Records::new(AGE);
        let now = Instant::now();
        records.installed(Arc::new(record(1)));
        assert!(!found(&records, reading(&records, now), record(1), now));
        assert_eq!(current(&records, now + AGE - Duration::from_millis(1)), Some(1));
        let later = now + AGE;
        let (one, other) = (reading(&records, later), reading(&records, later));
        assert!(found(&records, one, record(2), later));
        assert!(
            !found(&records, other, record(1), later),
            "an older read undoes nothing"
        );
        drop(records.changing("mx1"));
        assert!(
            !found(&records, reading(&records, later), record(2), later),
            "once is enough"
        );
        assert_eq!(current(&records, later), Some(2));
    }

    /// A device of the same name that another process made anew is another device.
    #[test]
    fn a_device_made_anew_is_another_one() {
        let records = Records::new(AGE);
        let now = Instant::now();
        records.installed(Arc::new(record(1)));
        let anew = DeviceRecord {
            id: "02".to_owned(),
            ..record(1)
        };
        assert!(found(&records, reading(&records, now), anew, now));
    }

    /// What this process changes is seen at once, also by a read that began before the change.
    #[test]
    fn a_change_counts_at_once() {
        let records = Records::new(AGE);
        let now = Instant::now();
        records.installed(Arc::new(record(1)));
        found(&records, reading(&records, now), record(1), now);
        let change = records.changing("mx1");
        assert_eq!(current(&records, now), Some(1), "nothing is changed yet");
        drop(change);
        let before = reading(&records, now);
        drop(records.changing("mx1"));
        assert!(!found(&records, before, record(1), now));
        assert_eq!(
            current(&records, now),
            None,
            "read before the change, so not kept"
        );
        found(&records, reading(&records, now), record(2), now);
        assert_eq!(current(&records, now), Some(2));
        records.removed("mx1");
        assert_eq!(current(&records, now), None);
    }

    /// What is gone is gone, unless it was made anew while it was looked for.
    #[test]
    fn a_missing_device_is_forgotten_unless_it_was_just_made() {
        let records = Records::new(AGE);
        let now = Instant::now();
        records.installed(Arc::new(record(1)));
        let before = reading(&records, now);
        records.installed(Arc::new(record(1)));
        assert!(!records.gone(before, "mx1"));
        assert!(records.gone(reading(&records, now), "mx1"));
        assert!(!found(&records, reading(&records, now), record(1), now));
    }

    /// X12: without the store, what was read last counts, and is not asked for again at once.
    #[test]
    fn without_the_store_the_last_word_counts() {
        let records = Records::new(AGE);
        let now = Instant::now();
        let last = |reading, now| records.last(reading, "mx1", now).map(|record| record.version);
        assert_eq!(last(reading(&records, now), now), None, "nothing was read");
        found(&records, reading(&records, now), record(1), now);
        let later = now + 5 * AGE;
        assert_eq!(last(reading(&records, later), later), Some(1));
        assert_eq!(current(&records, later), Some(1));
        let much_later = later + AGE;
        let before = reading(&records, much_later);
        drop(records.changing("mx1"));
        assert_eq!(last(before, much_later), None, "it was changed meanwhile");
        assert_eq!(last(reading(&records, much_later), much_later), None);
    }

    /// Without an age every call reads.
    #[test]
    fn without_an_age_nothing_is_current() {
        let records = Records::new(Duration::ZERO);
        let now = Instant::now();
        found(&records, reading(&records, now), record(1), now);
        assert_eq!(current(&records, now), None);
        let last = records.last(reading(&records, now), "mx1", now);
        assert!(last.is_none(), "not even the last word");
    }
}
