//! Checks and commits that are under way on a device. A confirmed commit is sent when none is: one that the device comes
//! to after it would confirm it (conventions C3).

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::error::{Error, ErrorCode};
use crate::service::Gateway;
use crate::store::DeviceRecord;

/// How many are under way, by the ids of the devices' rows.
#[derive(Debug, Default)]
pub(in crate::service) struct Passages {
    counts: Mutex<BTreeMap<String, usize>>,
    left: Notify,
}

/// Something under way that could confirm, until this is dropped.
#[derive(Debug)]
pub(in crate::service) struct Passage {
    passages: Arc<Passages>,
    device_id: String,
}

impl Passages {
    fn enter(passages: &Arc<Self>, device_id: &str) -> Passage {
        *passages.lock().entry(device_id.to_owned()).or_default() += 1;
        Passage {
            passages: passages.clone(),
            device_id: device_id.to_owned(),
        }
    }

    /// Waits until nothing is under way on this device.
    async fn clear(&self, device_id: &str) {
        loop {
            let mut left = pin!(self.left.notified());
            left.as_mut().enable();
            if !self.lock().contains_key(device_id) {
                return;
            }
            left.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, usize>> {
        // Every change under the lock is complete in itself.
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Passage {
    fn drop(&mut self) {
        let mut counts = self.passages.lock();
        if let Some(count) = counts.get_mut(&self.device_id) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.device_id);
                self.passages.left.notify_waiters();
            }
        }
    }
}

impl Gateway {
    /// Lets a check or a commit go that could confirm; it counts until the passage is dropped, which must not be before
    /// the device is done with it.
    ///
    /// # Errors
    /// As [`Gateway::nothing_is_open`].
    pub(in crate::service) fn pass(&self, device: &DeviceRecord) -> Result<Passage, Error> {
        // Counted first: who announces a confirmed commit from now on waits for this one, or has been seen.
        let passage = Passages::enter(&self.inner.passages, &device.id);
        self.nothing_is_open(device)?;
        Ok(passage)
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
            let detail = "a check or a commit of another caller is under way, and the device might take it for the \
                          confirmation";
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
    use std::time::Duration;

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
}
