//! What devices of one credential domain share: how fast logins may follow each other, and their refusals (Q4). Pure:
//! `now` is an argument.

use std::time::Duration;

use tokio::time::Instant;

use super::refusals::{Count, Refusals};

/// How fast connects of one credential domain may follow each other. In no second do more than both together start: by
/// default a tenth of a fleet of 500 devices that were all lost at once, which are back within 13 s.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectRate {
    pub per_second: u32,
    /// How many may start at once after a quiet time.
    pub burst: u32,
}

impl Default for ConnectRate {
    fn default() -> Self {
        Self {
            per_second: 40,
            burst: 10,
        }
    }
}

/// One credential domain.
#[derive(Debug)]
pub struct Domain {
    interval: Duration,
    tolerance: Duration,
    /// When the next connect would start if they were evenly spaced.
    next: Option<Instant>,
    pub refusals: Refusals,
}

impl Domain {
    pub fn new(rate: ConnectRate) -> Self {
        let interval = Duration::from_secs(1) / rate.per_second.max(1);
        Self {
            interval,
            tolerance: interval * rate.burst.saturating_sub(1),
            next: None,
            refusals: Refusals::new(Count::Devices),
        }
    }

    /// When a connect may start, at the domain's pace. The place is taken unless it lies beyond `latest`.
    pub fn reserve(&mut self, now: Instant, latest: Instant) -> Option<Instant> {
        let even = self.next.unwrap_or(now).max(now);
        let start = even
            .checked_sub(self.tolerance)
            .map_or(now, |start| start.max(now));
        if start > latest {
            return None;
        }
        self.next = Some(even + self.interval);
        Some(start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Q4, quality row 32: connects of a domain are paced.
    #[test]
    fn connects_are_paced_after_a_burst() {
        let mut domain = Domain::new(ConnectRate {
            per_second: 10,
            burst: 3,
        });
        let now = Instant::now();
        let latest = now + Duration::from_secs(60);
        let starts: Vec<_> = (0..6)
            .map(|_| (domain.reserve(now, latest).unwrap() - now).as_millis())
            .collect();
        assert_eq!(starts, [0, 0, 0, 100, 200, 300]);
        assert_eq!(domain.reserve(now, now + Duration::from_millis(399)), None);
        assert_eq!(
            domain.reserve(now, now + Duration::from_millis(400)),
            Some(now + Duration::from_millis(400))
        );
        let quiet = now + Duration::from_secs(30);
        assert_eq!(domain.reserve(quiet, quiet), Some(quiet));
    }
}
