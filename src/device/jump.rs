//! Logins at the jump hosts of a device, which it shares with the others behind them: what a jump host refuses counts for
//! all that would offer it the same (Q4).

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::error::ConnectError;
use super::refusals::{Refusals, Suspended};

/// One jump host on the way to a device, as far as its logins are concerned.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct JumpHost {
    /// `user@address:port`
    pub name: String,
    /// The same for all devices that come to it by the same way with the same credentials. New credentials are another
    /// login, which was refused by nobody yet.
    pub login: u64,
}

/// The jump hosts of one device in the order of dialling, with what is known of their logins.
pub struct JumpLogins(Vec<(JumpHost, Arc<Mutex<Refusals>>)>);

/// Which of the jump hosts a try is the probe for.
#[derive(Debug, Default)]
pub struct Probes(Vec<bool>);

impl Probes {
    fn of(&self, index: usize) -> bool {
        self.0.get(index).copied().unwrap_or_default()
    }
}

impl JumpLogins {
    pub fn new(hosts: Vec<(JumpHost, Arc<Mutex<Refusals>>)>) -> Self {
        Self(hosts)
    }

    /// Whether the credentials may be offered to all of them now.
    ///
    /// # Errors
    /// The name of the first one that refused too many.
    pub fn admit(&self, now: Instant) -> Result<Probes, (String, Suspended)> {
        let mut probes = Probes::default();
        for (host, refusals) in &self.0 {
            let admitted = lock(refusals).admit(now);
            match admitted {
                Ok(probe) => probes.0.push(probe),
                Err(suspended) => {
                    self.abandoned(&probes);
                    return Err((host.name.clone(), suspended));
                }
            }
        }
        Ok(probes)
    }

    /// All of them let us in.
    pub fn accepted(&self, now: Instant) {
        for (_, refusals) in &self.0 {
            lock(refusals).accepted(now);
        }
    }

    /// A connect failed: at one of them, or behind them.
    pub fn failed(
        &self,
        device: &str,
        error: &ConnectError,
        probes: &Probes,
        auth_retry: Duration,
        now: Instant,
    ) {
        let passed = error.jumps_passed();
        for (index, (_, refusals)) in self.0.iter().enumerate() {
            let mut refusals = lock(refusals);
            if error.refusing_jump() == Some(index) {
                refusals.refused(device, probes.of(index), auth_retry, now);
            } else if index < passed {
                refusals.accepted(now);
            } else {
                refusals.abandoned(probes.of(index));
            }
        }
    }

    /// A try without a result.
    pub fn abandoned(&self, probes: &Probes) {
        for (index, (_, refusals)) in self.0.iter().enumerate() {
            lock(refusals).abandoned(probes.of(index));
        }
    }

    /// Whether the jump host with this index let any device in after this moment.
    pub fn accepted_since(&self, index: usize, at: Instant) -> bool {
        let host = self.0.get(index);
        let accepted = host.and_then(|(_, refusals)| lock(refusals).accepted_at());
        accepted.is_some_and(|accepted| accepted > at)
    }
}

fn lock(refusals: &Mutex<Refusals>) -> MutexGuard<'_, Refusals> {
    // Every change under the lock is complete in itself.
    refusals.lock().unwrap_or_else(PoisonError::into_inner)
}
