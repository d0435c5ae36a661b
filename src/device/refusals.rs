//! Refused logins that several devices have in common, because one server judges them (a login server, a jump host):
//! when there are many, one device probes for all, so that an outage, or a password that became wrong, locks nobody out
//! (Q4). Pure: `now` is an argument.

use std::time::Duration;

use tokio::time::Instant;

/// Refusals that together mean the server, and not the device that was refused.
const MANY: usize = 3;

/// One device probes at `until` at the earliest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Suspended {
    pub until: Instant,
    /// How many refusals there were, counted as [`Count`] says.
    pub refused: usize,
}

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Count {
    /// Devices: each has its own account, and one that is refused again and again is no sign of more.
    Devices,
    /// Logins: it is one account, whichever device is behind it.
    Logins,
}

/// The refusals of one server.
#[derive(Debug)]
pub struct Refusals {
    count: Count,
    /// Those of the last `auth_retry`.
    refused: Vec<(String, Instant)>,
    suspended: Option<Instant>,
    probing: bool,
    accepted_at: Option<Instant>,
}

impl Refusals {
    pub fn new(count: Count) -> Self {
        Self {
            count,
            refused: Vec::new(),
            suspended: None,
            probing: false,
            accepted_at: None,
        }
    }

    /// Whether a device may try its credentials now. `Ok(true)`: as the probe for all.
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

    /// The credentials of a device were refused.
    pub fn refused(&mut self, device: &str, probe: bool, auth_retry: Duration, now: Instant) {
        if probe {
            self.probing = false;
        }
        self.refused
            .retain(|(_, at)| now.saturating_duration_since(*at) < auth_retry);
        if self.count == Count::Devices {
            self.refused.retain(|(other, _)| other != device);
        }
        self.refused.push((device.to_owned(), now));
        if probe || self.refused.len() >= MANY {
            self.suspended = Some(now + auth_retry);
        }
    }

    /// A device was let in: the others may try again at once.
    pub fn accepted(&mut self, now: Instant) {
        self.refused.clear();
        self.suspended = None;
        self.probing = false;
        self.accepted_at = Some(now);
    }

    /// A try that said nothing about the credentials, because it did not get that far.
    pub fn abandoned(&mut self, probe: bool) {
        if probe {
            self.probing = false;
        }
    }

    /// When a device was last let in.
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
    fn one_device_probes_for_all() {
        let mut refusals = Refusals::new(Count::Devices);
        let now = Instant::now();
        for device in ["a", "b"] {
            assert_eq!(refusals.admit(now), Ok(false));
            refusals.refused(device, false, AUTH_RETRY, now);
        }
        assert_eq!(refusals.admit(now), Ok(false));
        refusals.refused("c", false, AUTH_RETRY, now);
        let until = now + AUTH_RETRY;
        assert_eq!(refusals.admit(now), Err(Suspended { until, refused: 3 }));
        assert_eq!(refusals.admit(until), Ok(true));
        assert_eq!(refusals.admit(until), Err(Suspended { until, refused: 3 }));
        refusals.refused("d", true, AUTH_RETRY, until);
        assert!(refusals.admit(until + AUTH_RETRY / 2).is_err());
        assert_eq!(refusals.admit(until + AUTH_RETRY), Ok(true));
        refusals.accepted(until + AUTH_RETRY);
        assert_eq!(refusals.admit(until + AUTH_RETRY), Ok(false));
        assert_eq!(refusals.accepted_at(), Some(until + AUTH_RETRY));
    }

    /// Q4: devices refused long ago, and one device again and again, are not the fault of all.
    #[test]
    fn a_few_refusals_stay_with_their_devices() {
        let mut refusals = Refusals::new(Count::Devices);
        let now = Instant::now();
        for round in 0..5_u32 {
            refusals.refused("a", false, AUTH_RETRY, now + AUTH_RETRY / 4 * round);
        }
        refusals.refused("b", false, AUTH_RETRY, now + AUTH_RETRY * 2);
        refusals.refused("c", false, AUTH_RETRY, now + AUTH_RETRY * 4);
        assert_eq!(refusals.admit(now + AUTH_RETRY * 4), Ok(false));
    }

    /// Q4: where it is one account, each refusal counts.
    #[test]
    fn refusals_of_one_account_add_up() {
        let mut refusals = Refusals::new(Count::Logins);
        let now = Instant::now();
        for device in ["a", "a", "b"] {
            assert_eq!(refusals.admit(now), Ok(false));
            refusals.refused(device, false, AUTH_RETRY, now);
        }
        let until = now + AUTH_RETRY;
        assert_eq!(refusals.admit(now), Err(Suspended { until, refused: 3 }));
    }

    /// Q4: a probe that never reached the login does not block the next.
    #[test]
    fn abandoned_probe_makes_room() {
        let mut refusals = Refusals::new(Count::Devices);
        let now = Instant::now();
        for device in ["a", "b", "c"] {
            refusals.refused(device, false, AUTH_RETRY, now);
        }
        let later = now + AUTH_RETRY;
        assert_eq!(refusals.admit(later), Ok(true));
        refusals.abandoned(true);
        assert_eq!(refusals.admit(later), Ok(true));
    }
}
