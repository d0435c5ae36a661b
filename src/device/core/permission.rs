//! When a connect may be tried: what the device's breaker, its credential domain and its jump hosts say, and what they are
//! told of how it ended (Q4).

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tracing::warn;

use super::{Core, Loss, LossCause, Memory};
use crate::device::breaker::{self, Attempt, Held};
use crate::device::domain::Domain;
use crate::device::error::{ConnectError, Failure, error_chain};
use crate::device::jump::Probes;
use crate::device::refusals::Suspended;

impl Core {
    /// Why no connect would be tried now, if so.
    pub fn held(&self) -> Option<Failure> {
        let now = Instant::now();
        let domain = self.domain();
        let mut memory = self.memory();
        self.lift(&domain, &mut memory);
        let held = memory.breaker.held(now)?;
        held_back(held, memory.last_error.as_ref(), now)
    }

    /// Q4: once another device of the domain, or behind the jump host, was let in, refusals from before it do not count
    /// any more.
    fn lift(&self, domain: &Domain, memory: &mut Memory) {
        let Some((at, breaker::Failure::Credentials)) = memory.breaker.last_failure() else {
            return;
        };
        let refusing_jump = memory.last_error.as_ref().and_then(|error| error.refusing_jump());
        let accepted_since = match (&self.settings.credential_domain, refusing_jump) {
            (Some(_), _) => domain
                .refusals
                .accepted_at()
                .is_some_and(|accepted| accepted > at),
            (None, Some(jump)) => self.jumps.accepted_since(jump, at),
            (None, None) => false,
        };
        if accepted_since {
            memory.breaker.reset();
        }
    }

    pub(super) fn permit(self: &Arc<Self>, asked: bool) -> Result<Permission, Failure> {
        let now = Instant::now();
        let mut domain = self.domain();
        let mut memory = self.memory();
        self.lift(&domain, &mut memory);
        let attempt = if asked {
            memory.breaker.force(now)
        } else {
            match memory.breaker.admit(now) {
                Ok(attempt) => attempt,
                Err(held) => {
                    // Every failure is kept with its error, so there is always one to tell.
                    return Err(
                        held_back(held, memory.last_error.as_ref(), now).unwrap_or(Failure::DeadlineInQueue)
                    );
                }
            }
        };
        let shared = match asked {
            true => Ok((false, Probes::default())),
            false => self.admit_shared(&mut domain, now),
        };
        let (probe, jump_probes) = match shared {
            Ok(probes) => probes,
            Err(failure) => {
                memory.breaker.abandoned(attempt);
                return Err(failure);
            }
        };
        Ok(Permission {
            core: self.clone(),
            attempt: Some(attempt),
            probe,
            jump_probes,
        })
    }

    /// What the logins that the device shares with others say: whether this try is the probe for them.
    fn admit_shared(&self, domain: &mut Domain, now: Instant) -> Result<(bool, Probes), Failure> {
        let probe = match &self.settings.credential_domain {
            None => false,
            Some(name) => domain
                .refusals
                .admit(now)
                .map_err(|Suspended { until, refused }| Failure::DomainSuspended {
                    domain: name.clone(),
                    refused,
                    retry_after: until.saturating_duration_since(now),
                })?,
        };
        let jump_probes = self.jumps.admit(now).map_err(|(host, suspended)| {
            domain.refusals.abandoned(probe);
            Failure::JumpSuspended {
                host,
                refused: suspended.refused,
                retry_after: suspended.until.saturating_duration_since(now),
            }
        })?;
        Ok((probe, jump_probes))
    }
}

/// The right to try a connect. Without a result it counts as not tried.
pub(super) struct Permission {
    core: Arc<Core>,
    attempt: Option<Attempt>,
    /// For the credential domain.
    probe: bool,
    jump_probes: Probes,
}

impl Permission {
    pub(super) fn succeeded(mut self) {
        self.attempt = None;
        let now = Instant::now();
        self.core.domain().refusals.accepted(now);
        self.core.jumps.accepted(now);
        let mut memory = self.core.memory();
        memory.breaker.succeeded();
        memory.last_error = None;
    }

    /// Reports the failure; returns how long no connect will be tried.
    pub(super) fn failed(mut self, error: &Arc<ConnectError>) -> Option<Duration> {
        let attempt = self.attempt.take()?;
        let now = Instant::now();
        let core = self.core.clone();
        let kind = error.kind();
        {
            let mut domain = core.domain();
            match kind {
                // Devices without a domain share nothing but the pace.
                Some(breaker::Failure::Credentials) if core.settings.credential_domain.is_some() => {
                    domain
                        .refusals
                        .refused(core.name(), self.probe, core.settings.auth_retry, now);
                }
                Some(
                    breaker::Failure::Credentials | breaker::Failure::Connect | breaker::Failure::HostKey,
                )
                | None => domain.refusals.abandoned(self.probe),
            }
        }
        core.jumps.failed(
            core.name(),
            error,
            &self.jump_probes,
            core.settings.auth_retry,
            now,
        );
        let mut memory = core.memory();
        match kind {
            Some(kind) => {
                memory
                    .breaker
                    .failed(attempt, kind, now, |most| core.around.ids.jitter(most));
                memory.last_error = Some(error.clone());
                memory.last_loss = Some(Loss {
                    at: core.around.clock.wall(),
                    cause: LossCause::Connect(error.clone()),
                });
            }
            None => memory.breaker.abandoned(attempt),
        }
        let held = memory.breaker.held(now);
        drop(memory);
        warn!(
            device = core.name(),
            cause = error.label(),
            detail = error_chain(&**error),
            "connect failed"
        );
        held.and_then(until)
            .map(|until| until.saturating_duration_since(now))
    }
}

impl Drop for Permission {
    fn drop(&mut self) {
        if let Some(attempt) = self.attempt.take() {
            self.core.domain().refusals.abandoned(self.probe);
            self.core.jumps.abandoned(&self.jump_probes);
            self.core.memory().breaker.abandoned(attempt);
        }
    }
}

fn until(held: Held) -> Option<Instant> {
    match held {
        Held::Backoff { until } | Held::Open { until, .. } | Held::Credentials { until, .. } => Some(until),
        Held::HostKey => None,
    }
}

fn held_back(held: Held, last: Option<&Arc<ConnectError>>, now: Instant) -> Option<Failure> {
    let last = last?.clone();
    let retry_after = until(held).map(|until| until.saturating_duration_since(now));
    Some(match held {
        Held::Open { failures, .. } => Failure::CircuitOpen {
            failures,
            retry_after: retry_after.unwrap_or_default(),
            last,
        },
        Held::Backoff { .. } | Held::Credentials { .. } | Held::HostKey => Failure::Connect {
            error: last,
            retry_after,
        },
    })
}
