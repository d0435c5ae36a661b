//! What devices of one credential domain share: how fast logins may follow each other, and that one of them probes
//! for all when many are refused together, so that an outage of the login server does not lock thousands of
//! devices out (Q4). Pure: `now` is an argument.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

/// Refused devices of one domain that together mean the domain and not the device.
const MANY: usize = 3;

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

/// Another device of the domain probes at `until` at the earliest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Suspended {
    pub until: Instant,
    /// How many devices were refused.
    pub refused: usize,
}

/// One credential domain.
#[derive(Debug)]
pub struct Domain {
    interval: Duration,
    tolerance: Duration,
    /// When the next connect would start if they were evenly spaced.
    next: Option<Instant>,
    refused: HashMap<String, Instant>,
    suspended: Option<Instant>,
    probing: bool,
    accepted_at: Option<Instant>,
}

impl Domain {
    pub fn new(rate: ConnectRate) -> Self {
        let interval = Duration::from_secs(1) / rate.per_second.max(1);
        Self {
            interval,
            tolerance: interval * rate.burst.saturating_sub(1),
            next: None,
            refused: HashMap::new(),
            suspended: None,
            probing: false,
            accepted_at: None,
        }
    }

    /// Whether the domain lets a device try its credentials now. `Ok(true)`: as the probe for all.
    ///
    /// # Errors
    /// When another device probes, or it is too early for that.
    pub fn admit(&mut self, now: Instant) -> Result<bool, Suspended> {
        match self.suspended {
            None => Ok(false),
            Some(until) if until > now || self.probing => Err(Suspended {
                until,
                refused: self.refused.len(),
            }),
            Some(_) => {
                self.probing = true;
                Ok(true)
            }
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

    /// A device of the domain refused the credentials.
    pub fn refused(&mut self, device: &str, probe: bool, auth_retry: Duration, now: Instant) {
        if probe {
            self.probing = false;
        }
        self.refused
            .retain(|_, at| now.saturating_duration_since(*at) < auth_retry);
        self.refused.insert(device.to_owned(), now);
        if probe || self.refused.len() >= MANY {
            self.suspended = Some(now + auth_retry);
        }
    }

    /// A device of the domain let us in: the others may try again at once.
    pub fn accepted(&mut self, now: Instant) {
        self.refused.clear();
        self.suspended = None;
        self.probing = false;
        self.accepted_at = Some(now);
    }

    /// A probe that said nothing about the credentials, because it did not get that far.
    pub fn abandoned(&mut self, probe: bool) {
        if probe {
            self.probing = false;
        }
    }

    /// When a device of the domain last let us in.
    pub fn accepted_at(&self) -> Option<Instant> {
        self.accepted_at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AUTH_RETRY: Duration = Duration::from_secs(900);

    /// Q4: of many devices refused together, one probes for all.
    #[test]
    fn one_device_probes_for_the_domain() {
        let mut domain = Domain::new(ConnectRate::default());
        let now = Instant::now();
        for device in ["a", "b"] {
            assert_eq!(domain.admit(now), Ok(false));
            domain.refused(device, false, AUTH_RETRY, now);
        }
        assert_eq!(domain.admit(now), Ok(false));
        domain.refused("c", false, AUTH_RETRY, now);
        let until = now + AUTH_RETRY;
        assert_eq!(domain.admit(now), Err(Suspended { until, refused: 3 }));
        assert_eq!(domain.admit(until), Ok(true));
        assert_eq!(domain.admit(until), Err(Suspended { until, refused: 3 }));
        domain.refused("d", true, AUTH_RETRY, until);
        assert!(domain.admit(until + AUTH_RETRY / 2).is_err());
        assert_eq!(domain.admit(until + AUTH_RETRY), Ok(true));
        domain.accepted(until + AUTH_RETRY);
        assert_eq!(domain.admit(until + AUTH_RETRY), Ok(false));
        assert_eq!(domain.accepted_at(), Some(until + AUTH_RETRY));
    }

    /// Q4: devices refused long ago, and one device again and again, are not the domain's fault.
    #[test]
    fn a_few_refusals_stay_with_their_devices() {
        let mut domain = Domain::new(ConnectRate::default());
        let now = Instant::now();
        for round in 0..5_u32 {
            domain.refused("a", false, AUTH_RETRY, now + AUTH_RETRY / 4 * round);
        }
        domain.refused("b", false, AUTH_RETRY, now + AUTH_RETRY * 2);
        domain.refused("c", false, AUTH_RETRY, now + AUTH_RETRY * 4);
        assert_eq!(domain.admit(now + AUTH_RETRY * 4), Ok(false));
    }

    /// Q4: a probe that never reached the login does not block the next.
    #[test]
    fn abandoned_probe_makes_room() {
        let mut domain = Domain::new(ConnectRate::default());
        let now = Instant::now();
        for device in ["a", "b", "c"] {
            domain.refused(device, false, AUTH_RETRY, now);
        }
        let later = now + AUTH_RETRY;
        assert_eq!(domain.admit(later), Ok(true));
        domain.abandoned(true);
        assert_eq!(domain.admit(later), Ok(true));
    }

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
