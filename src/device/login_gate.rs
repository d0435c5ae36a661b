//! One login at a time, until one has shown that the credentials are right (Q4): wrong ones must not be offered more
//! often than the breaker can count, however many callers and sessions there are.

use tokio::sync::{Mutex, MutexGuard};

/// The only login under way. The next one starts when it is dropped.
pub type OnlyLogin<'a> = MutexGuard<'a, ()>;

/// The gate of one device.
#[derive(Debug, Default)]
pub struct LoginGate {
    login: Mutex<()>,
}

impl LoginGate {
    /// Waits until a login may start; first come, first served. `proven` tells whether the credentials are known to
    /// be right now: then nobody waits, and nobody has to wait for this login.
    ///
    /// # Cancel safety
    /// Safe; the place in the line is lost.
    pub async fn enter(&self, proven: impl Fn() -> bool) -> Option<OnlyLogin<'_>> {
        if proven() {
            return None;
        }
        let login = self.login.lock().await;
        // The one before may have shown it.
        (!proven()).then_some(login)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Duration;

    use super::*;

    /// Q4: until the credentials are proven, logins follow each other; then they do not wait.
    #[tokio::test(start_paused = true)]
    async fn logins_follow_each_other_until_one_succeeds() {
        let gate = LoginGate::default();
        let right = AtomicBool::new(false);
        let proven = || right.load(Ordering::Relaxed);
        let first = gate.enter(proven).await;
        assert!(first.is_some());
        let second = tokio::time::timeout(Duration::from_secs(60), gate.enter(proven));
        assert!(second.await.is_err(), "it waits for the first");
        drop(first);
        let third = gate.enter(proven).await;
        assert!(third.is_some());
        right.store(true, Ordering::Relaxed);
        assert!(gate.enter(proven).await.is_none());
        drop(third);
        assert!(gate.enter(proven).await.is_none());
    }
}
