//! Tries to store what has happened, over and over while the database does not take it. What is stored so began with a
//! row of the same database, so there is never more of it than was under way when the database failed.

use std::time::Duration;

use super::Gateway;

/// Between two of them: twice as long each time.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

/// How often it is tried while somebody waits, and the time between.
const TRIES: usize = 3;
const PAUSE: Duration = Duration::from_millis(300);

/// The few attempts for which somebody waits; [`Attempts`] go on from there.
#[derive(Debug)]
pub(super) struct Few {
    left: usize,
}

impl Few {
    /// The first one is being made.
    pub fn new() -> Self {
        Self { left: TRIES - 1 }
    }

    /// Waits for the next one; `false`: those were all.
    pub async fn again(&mut self) -> bool {
        if self.left == 0 {
            return false;
        }
        self.left -= 1;
        tokio::time::sleep(PAUSE).await;
        true
    }
}

/// Attempts, one after the other, until one goes well or the gateway ends.
pub(super) struct Attempts {
    gateway: Gateway,
    pause: Duration,
}

impl Attempts {
    /// The first one failed just now.
    pub fn new(gateway: &Gateway) -> Self {
        Self {
            gateway: gateway.clone(),
            pause: FIRST_PAUSE,
        }
    }

    /// Waits for the next one; `false`: the gateway ends, and its next start settles what is stored (D1).
    pub async fn again(&mut self) -> bool {
        tokio::select! {
            biased;
            () = self.gateway.inner.ending.cancelled() => false,
            () = tokio::time::sleep(self.pause) => {
                self.pause = (2 * self.pause).min(LONGEST_PAUSE);
                true
            }
        }
    }
}
