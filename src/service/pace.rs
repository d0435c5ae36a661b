//! How long commits take on each device: what is too short for a confirmed commit, and how long a rollback may take
//! (conventions C1, C5).

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// The slowest commit seen of each device, by name.
#[derive(Debug, Default)]
pub(super) struct Pace(Mutex<HashMap<String, Duration>>);

impl Pace {
    pub fn took(&self, device: &str, time: Duration) {
        // Every change under the lock is complete in itself.
        let mut slowest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match slowest.get_mut(device) {
            Some(known) => *known = time.max(*known),
            None => {
                slowest.insert(device.to_owned(), time);
            }
        }
    }

    /// Zero: none was seen.
    pub fn slowest(&self, device: &str) -> Duration {
        let slowest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        slowest.get(device).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// C1: the slowest commit counts, not the last one.
    #[test]
    fn the_slowest_counts() {
        let pace = Pace::default();
        assert_eq!(pace.slowest("mx1"), Duration::ZERO);
        for seconds in [2, 40, 3] {
            pace.took("mx1", Duration::from_secs(seconds));
        }
        assert_eq!(pace.slowest("mx1"), Duration::from_secs(40));
        assert_eq!(pace.slowest("mx2"), Duration::ZERO);
    }
}
