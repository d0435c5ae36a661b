//! What ends the connections of a device, whatever carries them.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

/// The connections of one device.
#[derive(Debug)]
pub(super) struct Lines {
    /// Ends everything for good.
    stop: CancellationToken,
    /// Ends the connections of now; those that come later have the next one.
    now: Mutex<CancellationToken>,
}

impl Default for Lines {
    fn default() -> Self {
        let stop = CancellationToken::new();
        Self {
            now: Mutex::new(stop.child_token()),
            stop,
        }
    }
}

impl Lines {
    /// What ends everything.
    pub(super) fn stop(&self) -> &CancellationToken {
        &self.stop
    }

    /// A token that ends with the connections that are open now.
    pub(super) fn connection(&self) -> CancellationToken {
        self.lock().child_token()
    }

    /// Ends the connections that are open now.
    pub(super) fn drop_all(&self) {
        let mut now = self.lock();
        now.cancel();
        *now = self.stop.child_token();
    }

    fn lock(&self) -> MutexGuard<'_, CancellationToken> {
        // The token is whole whenever the lock is free.
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
