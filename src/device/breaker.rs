//! When a device may be dialled: back-off after failures, an open circuit after several, rarer tries after refused
//! credentials, none at all after a changed host key until a person looks (Q4). Pure: `now` and the jitter are
//! arguments.

use std::time::Duration;

use tokio::time::Instant;

/// Connect failures in a row that open the circuit.
const OPEN_AFTER: u32 = 5;
/// Refusals of the credentials after which they are tried only every `auth_retry`.
pub const REFUSALS: u32 = 3;
const FIRST_BACKOFF: Duration = Duration::from_millis(500);
const LONGEST_BACKOFF: Duration = Duration::from_secs(60);

/// What kind of failure a connect ended in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The device or its NETCONF server cannot be reached or talked to.
    Connect,
    /// The device refuses the credentials.
    Credentials,
    /// The host key is unknown or has changed.
    HostKey,
}

/// Why a device is not dialled now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held {
    /// A connect failed a moment ago.
    Backoff { until: Instant },
    /// Too many failed in a row. While the one probe is under way, `until` is when it was let through.
    Open { until: Instant, failures: u32 },
    /// The credentials were refused too often.
    Credentials { until: Instant, refusals: u32 },
    /// A person must look at the host key.
    HostKey,
}

/// A permission to dial. The outcome must be reported with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempt {
    started: Instant,
    probe: bool,
}

/// The memory of failed connects to one device.
#[derive(Debug)]
pub struct Breaker {
    auth_retry: Duration,
    failures: u32,
    refusals: u32,
    last_failure: Option<(Instant, Failure)>,
    retry_at: Option<Instant>,
    probing: bool,
}

impl Breaker {
    pub fn new(auth_retry: Duration) -> Self {
        Self {
            auth_retry,
            failures: 0,
            refusals: 0,
            last_failure: None,
            retry_at: None,
            probing: false,
        }
    }

    /// Why no connect would be tried now, if so.
    pub fn held(&self, now: Instant) -> Option<Held> {
        let (_, failure) = self.last_failure?;
        let until = self.retry_at.unwrap_or(now);
        let (failures, refusals) = (self.failures, self.refusals);
        match failure {
            Failure::HostKey => Some(Held::HostKey),
            Failure::Credentials | Failure::Connect if until <= now && !self.probing => None,
            Failure::Credentials if refusals >= REFUSALS => Some(Held::Credentials { until, refusals }),
            Failure::Connect if failures >= OPEN_AFTER => Some(Held::Open { until, failures }),
            Failure::Credentials | Failure::Connect => Some(Held::Backoff { until }),
        }
    }

    /// Asks for permission to dial. After an open circuit or refused credentials one probe at a time gets it.
    ///
    /// # Errors
    /// Why not, and until when.
    pub fn admit(&mut self, now: Instant) -> Result<Attempt, Held> {
        if let Some(held) = self.held(now) {
            return Err(held);
        }
        let probe = self.failures >= OPEN_AFTER || self.refusals >= REFUSALS;
        self.probing |= probe;
        Ok(Attempt { started: now, probe })
    }

    /// Permission to dial whatever was: a person asked (`check`).
    pub fn force(&mut self, now: Instant) -> Attempt {
        Attempt {
            started: now,
            probe: false,
        }
    }

    pub fn succeeded(&mut self) {
        self.reset();
    }

    /// Reports a failed connect. `jitter` draws evenly between nothing and its argument.
    pub fn failed(
        &mut self,
        attempt: Attempt,
        failure: Failure,
        now: Instant,
        jitter: impl FnOnce(Duration) -> Duration,
    ) {
        if attempt.probe {
            self.probing = false;
        }
        // Attempts that were under way together fail for one reason: they count once. A refused login counts each time,
        // because the device counts it, too, before it locks the account.
        if failure != Failure::Credentials
            && self.last_failure.is_some_and(|(last, _)| attempt.started < last)
        {
            return;
        }
        self.last_failure = Some((now, failure));
        match failure {
            Failure::Connect => {
                // Says nothing about the credentials: refusals before it still count. Many a device bars who was
                // refused too often, and counts on when the bar is lifted.
                self.failures = self.failures.saturating_add(1);
                self.retry_at = Some(now + jitter(backoff(self.failures)));
            }
            Failure::Credentials => {
                // The device answers: the way to it is sound.
                self.failures = 0;
                self.refusals = self.refusals.saturating_add(1);
                let wait = if self.refusals >= REFUSALS {
                    self.auth_retry
                } else {
                    jitter(backoff(self.refusals))
                };
                self.retry_at = Some(now + wait);
            }
            Failure::HostKey => self.retry_at = None,
        }
    }

    /// An attempt that came to no result (its task ended early).
    pub fn abandoned(&mut self, attempt: Attempt) {
        if attempt.probe {
            self.probing = false;
        }
    }

    /// Whether the credentials were refused and not accepted since.
    pub fn is_refused(&self) -> bool {
        self.refusals > 0
    }

    /// When the last failure was, and of what kind.
    pub fn last_failure(&self) -> Option<(Instant, Failure)> {
        self.last_failure
    }

    /// Forgets everything: new credentials, or another device of the same domain was let in.
    pub fn reset(&mut self) {
        *self = Self::new(self.auth_retry);
    }
}

/// The longest wait after so many failures: 0.5 s, 1 s, 2 s … 60 s.
fn backoff(failures: u32) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    (FIRST_BACKOFF * 2_u32.pow(doublings)).min(LONGEST_BACKOFF)
}

#[cfg(test)]
mod tests {
    use super::*;

    const AUTH_RETRY: Duration = Duration::from_secs(900);

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    fn fail(breaker: &mut Breaker, failure: Failure, now: Instant) {
        let attempt = breaker.admit(now).unwrap();
        breaker.failed(attempt, failure, now, |most| most);
    }

    /// Q4: 0.5 s, doubled each time, never more than 60 s.
    #[test]
    fn waits_double_up_to_a_minute() {
        let waits: Vec<_> = (1..=9).map(|failures| backoff(failures).as_millis()).collect();
        assert_eq!(waits, [500, 1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000]);
        assert_eq!(backoff(u32::MAX), seconds(60));
    }

    /// Q4: the circuit opens after five failures in a row and half-opens with one probe.
    #[test]
    fn circuit_opens_after_five_failures_and_lets_one_probe_through() {
        let mut breaker = Breaker::new(AUTH_RETRY);
        let mut now = Instant::now();
        for _ in 0..4 {
            fail(&mut breaker, Failure::Connect, now);
            assert!(matches!(breaker.admit(now), Err(Held::Backoff { .. })));
            now += seconds(5);
        }
        fail(&mut breaker, Failure::Connect, now);
        let until = now + seconds(8);
        assert_eq!(breaker.admit(now), Err(Held::Open { until, failures: 5 }));
        now = until;
        let probe = breaker.admit(now).unwrap();
        assert_eq!(breaker.admit(now), Err(Held::Open { until, failures: 5 }));
        breaker.failed(probe, Failure::Connect, now, |most| most);
        assert_eq!(
            breaker.admit(now),
            Err(Held::Open {
                until: now + seconds(16),
                failures: 6
            })
        );
        now += seconds(16);
        breaker.admit(now).unwrap();
        breaker.succeeded();
        assert!(breaker.admit(now).is_ok());
        assert!(breaker.admit(now).is_ok());
    }

    /// Q4: a probe whose task ended early does not block the next one.
    #[test]
    fn abandoned_probe_makes_room() {
        let mut breaker = Breaker::new(AUTH_RETRY);
        let mut now = Instant::now();
        for _ in 0..5 {
            fail(&mut breaker, Failure::Connect, now);
            now += seconds(60);
        }
        let probe = breaker.admit(now).unwrap();
        assert!(breaker.admit(now).is_err());
        breaker.abandoned(probe);
        assert!(breaker.admit(now).is_ok());
    }

    /// Q4: attempts under way at the same time count as one failure.
    #[test]
    fn failures_of_one_moment_count_once() {
        let mut breaker = Breaker::new(AUTH_RETRY);
        let now = Instant::now();
        let attempts: Vec<_> = (0..6).map(|_| breaker.admit(now).unwrap()).collect();
        for attempt in attempts {
            breaker.failed(attempt, Failure::Connect, now + seconds(1), |most| most);
        }
        assert_eq!(
            breaker.held(now + seconds(1)),
            Some(Held::Backoff {
                until: now + Duration::from_millis(1500)
            })
        );
    }

    /// Q4: after three refusals, one try in fifteen minutes.
    #[test]
    fn refused_credentials_are_tried_rarely() {
        let mut breaker = Breaker::new(AUTH_RETRY);
        let mut now = Instant::now();
        for _ in 0..3 {
            fail(&mut breaker, Failure::Credentials, now);
            now += seconds(5);
        }
        let until = now - seconds(5) + AUTH_RETRY;
        assert_eq!(breaker.admit(now), Err(Held::Credentials { until, refusals: 3 }));
        assert!(breaker.admit(until).is_ok());
        assert_eq!(
            breaker.admit(until),
            Err(Held::Credentials { until, refusals: 3 })
        );
        breaker.reset();
        assert!(breaker.admit(now).is_ok());
    }

    /// Q4: a device that bars us after refused logins is not tried three times more when it lifts the bar.
    #[test]
    fn refusals_count_on_over_failed_connects() {
        let mut breaker = Breaker::new(AUTH_RETRY);
        let mut now = Instant::now();
        for failure in [
            Failure::Credentials,
            Failure::Credentials,
            Failure::Connect,
            Failure::Connect,
            Failure::Credentials,
        ] {
            fail(&mut breaker, failure, now);
            now += seconds(5);
        }
        let until = now - seconds(5) + AUTH_RETRY;
        assert_eq!(breaker.admit(now), Err(Held::Credentials { until, refusals: 3 }));
        // The rare try that does not get as far as the login is made up for, by one at a time.
        fail(&mut breaker, Failure::Connect, until);
        let soon = until + Duration::from_millis(500);
        assert_eq!(breaker.admit(until), Err(Held::Backoff { until: soon }));
        let probe = breaker.admit(soon).unwrap();
        assert_eq!(breaker.admit(soon), Err(Held::Backoff { until: soon }));
        breaker.failed(probe, Failure::Credentials, soon, |most| most);
        assert_eq!(
            breaker.admit(soon),
            Err(Held::Credentials {
                until: soon + AUTH_RETRY,
                refusals: 4
            })
        );
    }

    /// Q4: a host key that changed waits for a person, however long.
    #[test]
    fn host_key_waits_for_a_person() {
        let mut breaker = Breaker::new(AUTH_RETRY);
        let now = Instant::now();
        fail(&mut breaker, Failure::HostKey, now);
        assert_eq!(breaker.admit(now + seconds(1_000_000)), Err(Held::HostKey));
        let forced = breaker.force(now + seconds(1));
        breaker.failed(forced, Failure::HostKey, now + seconds(2), |most| most);
        assert_eq!(breaker.held(now + seconds(2)), Some(Held::HostKey));
        breaker.succeeded();
        assert_eq!(breaker.held(now + seconds(2)), None);
    }
}
