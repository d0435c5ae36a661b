//! Checks and commits that are under way on a device. A confirmed commit is sent when none is: one that the device comes
//! to after it would confirm it (conventions C3). What became of a commit that nobody answered is found out elsewhere; a
//! check leaves no trace, so one that nobody answered counts for as long as a device may take to come to it.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::device::{Admit, Kept};
use crate::error::{Error, ErrorCode};
use crate::service::Gateway;
use crate::store::DeviceRecord;

/// What is under way, by the ids of the devices' rows.
#[derive(Debug, Default)]
pub(in crate::service) struct Passages {
    under_way: Mutex<BTreeMap<String, UnderWay>>,
    left: Notify,
}

/// On one device.
#[derive(Debug, Default)]
struct UnderWay {
    count: usize,
    /// The device may come to a check that nobody answered until then.
    until: Option<Instant>,
}

impl UnderWay {
    fn is_over(&self, now: Instant) -> bool {
        self.count == 0 && self.until.is_none_or(|until| until <= now)
    }
}

/// Something under way that a confirmed commit must not cross, until this is dropped.
#[derive(Debug)]
pub(in crate::service) struct Passage {
    passages: Arc<Passages>,
    device_id: String,
}

impl Passages {
    fn enter(passages: &Arc<Self>, device_id: &str) -> Passage {
        passages.lock().entry(device_id.to_owned()).or_default().count += 1;
        Passage {
            passages: passages.clone(),
            device_id: device_id.to_owned(),
        }
    }

    /// A check on this device was lost: it counts for so long.
    fn lost(&self, device_id: &str, time: Duration) {
        let until = Instant::now() + time;
        let mut all = self.lock();
        let under_way = all.entry(device_id.to_owned()).or_default();
        under_way.until = under_way.until.max(Some(until));
    }

    /// Waits until nothing is under way on this device.
    async fn clear(&self, device_id: &str) {
        loop {
            let mut left = pin!(self.left.notified());
            left.as_mut().enable();
            let now = Instant::now();
            let (counted, until) = {
                let mut all = self.lock();
                all.retain(|_, under_way| !under_way.is_over(now));
                match all.get(device_id) {
                    Some(under_way) => (under_way.count > 0, under_way.until),
                    None => return,
                }
            };
            match until.filter(|_| !counted) {
                // Another check may be lost meanwhile.
                Some(until) => tokio::time::sleep_until(until).await,
                None => left.await,
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, UnderWay>> {
        // Every change under the lock is complete in itself.
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Passage {
    fn drop(&mut self) {
        let mut all = self.passages.lock();
        if let Some(under_way) = all.get_mut(&self.device_id) {
            under_way.count -= 1;
            if under_way.count == 0 {
                if under_way.is_over(Instant::now()) {
                    all.remove(&self.device_id);
                }
                self.passages.left.notify_waiters();
            }
        }
    }
}

/// A check or a commit that waits for its turn, and passes when that has come: not before, as whoever has the turn may be
/// about to send a confirmed commit, and waits for all that has passed. Clones are the same one; its passage lasts until
/// the last of them is dropped.
#[derive(Clone)]
pub(in crate::service) struct Passing(Arc<Waiting>);

struct Waiting {
    gateway: Gateway,
    device: Arc<DeviceRecord>,
    /// Set when its turn has come.
    passed: OnceLock<Result<Passage, Error>>,
}

impl Passing {
    /// Its turn has come.
    ///
    /// # Errors
    /// As [`Gateway::pass`].
    pub fn pass(&self) -> Result<(), Error> {
        let Waiting {
            gateway,
            device,
            passed,
        } = &*self.0;
        let passed = passed.get_or_init(|| gateway.pass(device));
        passed.as_ref().map(|_| ()).map_err(Error::clone)
    }

    /// The same, asked by the session that sends it, which keeps the passage until it is idle.
    pub fn admit(&self) -> Admit {
        let passing = self.clone();
        Box::new(move || {
            let passed = passing.pass();
            passed.ok().map(|()| Box::new(passing) as Kept)
        })
    }

    /// Why it did not pass, or why its turn did not come: never as a lock that is held (C3).
    pub fn in_the_way(&self) -> Option<Error> {
        match self.0.passed.get() {
            Some(Err(error)) => Some(error.clone()),
            Some(Ok(_)) | None => {
                let pending = self.0.gateway.no_confirmed_commit(&self.0.device.id);
                pending.err()
            }
        }
    }
}

impl Gateway {
    /// Something that may have to wait for its turn, and passes then.
    pub(in crate::service) fn passing(&self, device: &Arc<DeviceRecord>) -> Passing {
        Passing(Arc::new(Waiting {
            gateway: self.clone(),
            device: device.clone(),
            passed: OnceLock::new(),
        }))
    }

    /// Something else is about to be sent that a confirmed commit must not cross: it counts until this is dropped.
    pub(in crate::service) fn under_way(&self, device_id: &str) -> Passage {
        Passages::enter(&self.inner.passages, device_id)
    }

    /// Lets a check or a commit go that could confirm; it counts until the passage is dropped, which must not be before
    /// the device is done with it.
    ///
    /// # Errors
    /// As [`Gateway::nothing_is_open`].
    pub(in crate::service) fn pass(&self, device: &DeviceRecord) -> Result<Passage, Error> {
        // Counted first: who announces a confirmed commit from now on waits for this one, or has been seen.
        let passage = self.under_way(&device.id);
        self.nothing_is_open(device)?;
        Ok(passage)
    }

    /// A check on a Junos device was sent, and no reply came: the device may come to it for as long as a commit may take,
    /// also when its session is gone. To be told before its passage is dropped.
    pub(in crate::service) fn check_was_lost(&self, device: &DeviceRecord) {
        let time = Duration::from_secs(device.settings.timeouts.commit_seconds);
        self.inner.passages.lost(&device.id, time);
    }

    /// Waits, once a confirmed commit is announced, until what passed before is over.
    ///
    /// # Errors
    /// `in-use`, reason `under_way`, when it is not over in time; `invalid-state`, reason `resolving`.
    pub(in crate::service) async fn clear_way(
        &self,
        device: &DeviceRecord,
        deadline: Instant,
    ) -> Result<(), Error> {
        let cleared = tokio::time::timeout_at(deadline, self.inner.passages.clear(&device.id)).await;
        if cleared.is_err() {
            let detail = "a check, a commit or a kill of another caller is under way, or a check was lost a short while \
                          ago, which the device might take for the confirmation";
            return Err(Error::new(ErrorCode::InUse, detail)
                .with_device(device.name())
                .with_reason("under_way")
                .with_hint("try again when it is over"));
        }
        // What was under way may have been lost.
        self.nothing_to_resolve(&device.id)
            .map_err(|error| error.with_device(device.name()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// C3: everything that passed before is waited for, on this device and on no other.
    #[tokio::test(start_paused = true)]
    async fn the_way_is_clear_when_all_have_left() {
        let passages = Arc::new(Passages::default());
        let (one, other) = (Passages::enter(&passages, "a"), Passages::enter(&passages, "a"));
        let soon = Duration::from_secs(1);
        assert!(tokio::time::timeout(soon, passages.clear("b")).await.is_ok());
        assert!(tokio::time::timeout(soon, passages.clear("a")).await.is_err());
        drop(one);
        assert!(tokio::time::timeout(soon, passages.clear("a")).await.is_err());
        let waits = passages.clone();
        let waiting = tokio::spawn(async move { waits.clear("a").await });
        tokio::task::yield_now().await;
        drop(other);
        assert!(tokio::time::timeout(soon, waiting).await.is_ok());
        assert!(passages.lock().is_empty());
    }

    /// C3: a check that was lost counts for its time, and is forgotten then.
    #[tokio::test(start_paused = true)]
    async fn a_lost_check_counts_for_its_time() {
        let passages = Arc::new(Passages::default());
        let begun = Instant::now();
        let passage = Passages::enter(&passages, "a");
        passages.lost("a", Duration::from_secs(300));
        passages.lost("a", Duration::from_secs(200));
        drop(passage);
        passages.clear("b").await;
        assert_eq!(begun.elapsed(), Duration::ZERO);
        passages.clear("a").await;
        assert!(
            begun.elapsed() >= Duration::from_secs(300),
            "{:?}",
            begun.elapsed()
        );
        assert!(passages.lock().is_empty());
    }
}
