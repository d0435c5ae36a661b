//! How many logins of one device may be under way at a time (Q4). Wrong credentials must not be offered more often than
//! the breaker allows, however many callers and sessions there are: one login alone until one has shown that they are
//! right, and then as many as may be refused before the breaker holds, for the credentials may become wrong any time.

use tokio::sync::{Semaphore, SemaphorePermit};

use super::breaker::REFUSALS;

/// A login under way. Others may start when it is dropped.
#[derive(Debug)]
pub struct Login<'a> {
    _places: SemaphorePermit<'a>,
}

/// The gate of one device.
#[derive(Debug)]
pub struct LoginGate {
    places: Semaphore,
}

impl Default for LoginGate {
    fn default() -> Self {
        Self {
            places: Semaphore::new(REFUSALS as usize),
        }
    }
}

impl LoginGate {
    /// Waits until a login may start; first come, first served. `proven` tells whether the credentials are known to
    /// be right now.
    ///
    /// # Cancel safety
    /// Safe; the place in the line is lost.
    pub async fn enter(&self, proven: impl Fn() -> bool) -> Login<'_> {
        loop {
            let alone = !proven();
            let wanted = if alone { REFUSALS } else { 1 };
            let places = self.places.acquire_many(wanted).await;
            let places = places.expect("the semaphore is never closed");
            // Those before may have shown that they are right, or wrong.
            if alone != proven() {
                return Login { _places: places };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Duration;

    use futures_util::FutureExt;

    use super::*;

    /// Whether a login has to wait.
    async fn waits(gate: &LoginGate, proven: &AtomicBool) -> bool {
        let login = gate.enter(|| proven.load(Ordering::Relaxed));
        tokio::time::timeout(Duration::from_secs(60), login)
            .await
            .is_err()
    }

    /// Q4: until the credentials are proven, logins follow each other.
    #[tokio::test(start_paused = true)]
    async fn unproven_credentials_are_tried_alone() {
        let (gate, proven) = (LoginGate::default(), AtomicBool::new(false));
        let first = gate.enter(|| false).await;
        assert!(waits(&gate, &proven).await);
        drop(first);
        assert!(!waits(&gate, &proven).await);
    }

    /// Q4: proven ones are tried at most as often at once as they may be refused, and alone again after a refusal.
    #[tokio::test(start_paused = true)]
    async fn proven_credentials_are_tried_a_few_times_at_once() {
        let (gate, proven) = (LoginGate::default(), AtomicBool::new(true));
        let mut under_way = Vec::new();
        for _ in 0..REFUSALS {
            under_way.push(gate.enter(|| proven.load(Ordering::Relaxed)).await);
        }
        assert!(waits(&gate, &proven).await);
        // One of them is refused while another one waits.
        let waiting = gate.enter(|| proven.load(Ordering::Relaxed));
        tokio::pin!(waiting);
        assert!(waiting.as_mut().now_or_never().is_none());
        proven.store(false, Ordering::Relaxed);
        under_way.pop();
        assert!(
            waiting.as_mut().now_or_never().is_none(),
            "now it wants to be alone"
        );
        under_way.clear();
        let alone = waiting.await;
        assert!(waits(&gate, &proven).await);
        drop(alone);
    }
}
