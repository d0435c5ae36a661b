//! The locks of a change: tried again while another holds them, gone without where the device has none.

use std::time::Duration;

use tokio::time::Instant;

use super::sending::Sent;
use super::steps::{Fate, Stop, Work};
use crate::error::{Error, ErrorCode};
use crate::netconf::datastore::Datastore;
use crate::service::edit::script::{Step, StepName};

/// How often a lock is tried that somebody outside the gateway holds: up to so much later each time.
const LOCK_PAUSE: Duration = Duration::from_secs(1);

/// How much time before the deadline is left for one more try, at least.
const LEAST_FOR_A_LOCK: Duration = Duration::from_millis(100);

impl Work {
    /// A lock, with what is sent along with it, tried again while another holds it, there is time, and somebody waits for
    /// it. Gives what came of the rest.
    pub(super) async fn lock(&mut self, group: Vec<Step>, datastore: Datastore) -> Result<Vec<Sent>, Stop> {
        let until = Instant::now() + self.patience.wait;
        let device = self.device().to_owned();
        loop {
            let asked = Instant::now();
            let mut sent = self.ask(group.clone(), false).await.into_iter();
            let Some(lock) = sent.next() else {
                return Ok(Vec::new());
            };
            let stop = match self.judge(lock, false) {
                Ok(_) => {
                    self.journal.gateway().inner.seen.forget(&device, datastore);
                    return Ok(sent.collect());
                }
                Err(stop) => stop,
            };
            let now = Instant::now();
            // One that is not answered before the deadline would tell less than this refusal.
            let time = LEAST_FOR_A_LOCK.max(2 * (now - asked));
            let last = self
                .patience
                .deadline
                .and_then(|deadline| deadline.checked_sub(time));
            let until = last.map_or(until, |last| last.min(until));
            let held = stop.error.reason() == Some("held");
            let gateway = self.journal.gateway();
            gateway.note_refusal(&device, datastore, &stop.error);
            if held && now < until {
                let pause = LOCK_PAUSE / 2 + gateway.inner.store.jitter(LOCK_PAUSE / 2);
                let pause = tokio::time::sleep(pause.min(until - now));
                let left = self.left.clone();
                let waited = gateway.until_draining(async {
                    tokio::select! {
                        () = pause => true,
                        () = left.cancelled() => false,
                    }
                });
                match waited.await {
                    Ok(true) => continue,
                    Ok(false) => {
                        self.sent &= !self.held.holds().is_empty();
                        return Err(self.not_wanted(stop.step));
                    }
                    Err(ends) => return Err(self.not_begun(stop, ends)),
                }
            }
            if self.goes_unlocked(datastore, &stop) {
                return Ok(sent.collect());
            }
            if stop.error.reason() == Some("candidate_modified")
                && let Some(diff) = Box::pin(self.leftovers()).await
            {
                let error = stop.error.with_diff(diff);
                return Err(Stop { error, ..stop });
            }
            return Err(stop);
        }
    }

    /// D1: the gateway ends before the lock was had. Where no other is held, nothing has begun.
    fn not_begun(&mut self, stop: Stop, ends: Error) -> Stop {
        if !self.held.holds().is_empty() {
            return stop;
        }
        self.sent = false;
        let error = ends.with_device(self.device());
        Stop { error, ..stop }
    }

    /// S20: a device that locks nothing is written all the same. Others may do so meanwhile, which the answer says; a dry
    /// run could not be taken back.
    fn goes_unlocked(&mut self, datastore: Datastore, refused: &Stop) -> bool {
        let is_target = datastore == self.ground.target;
        if refused.error.code() != ErrorCode::OperationNotSupported || (is_target && self.request.dry_run) {
            return false;
        }
        self.warn(format!(
            "the device cannot lock {}, so others may change it meanwhile",
            datastore.as_str()
        ));
        if is_target {
            self.journal
                .note(|change| change.document.undo_guaranteed = false);
        }
        true
    }

    /// Nobody waits for it any more.
    pub(super) fn not_wanted(&self, step: StepName) -> Stop {
        let words = "the caller left before anything was edited";
        Stop {
            step,
            fate: Fate::Undo,
            error: Error::new(ErrorCode::Cancelled, words).with_device(self.device()),
        }
    }
}
