//! The probe of a confirmed commit: the device is asked over a new connection each time, until what it says is as expected
//! or the time for that is over (design section 6).
//!
//! Only a commit that is pending is probed. What follows from an attempt is an order like a person's. A person's own order
//! comes first: a confirm or a cancel ends the commit, and whoever extends it has taken the matter over.

use std::time::Duration;

use serde_json::Value;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::Guardian;
use crate::device::Step;
use crate::error::{Error, Outcome};
use crate::netconf::rpc::Rpc;
use crate::service::confirmed::probe::{Expectation, Probe, ProbeState, failure, judge};
use crate::service::confirmed::probe_request::SPARE;
use crate::service::confirmed::state::State;
use crate::service::edit::view::ProbeFailureView;
use crate::service::failure::{self, Asked};
use crate::service::output::Output;
use crate::service::reply::{Reply, ReplyData};
use crate::service::request::OutputOptions;
use crate::service::time::rfc3339;
use crate::service::{Gateway, devices, prepare};

/// Bytes of a reply that are looked into.
const MOST: u64 = 4 << 20;
/// From so many bytes on, a reply is looked into beside the threads that serve everybody.
const LARGE: u64 = 256 << 10;

/// Why an attempt was not enough.
pub(super) struct Miss {
    why: ProbeFailureView,
    /// A session could be opened.
    reached: bool,
}

/// What an attempt showed.
type Told = Result<(), Miss>;

/// An attempt under way, in a task of its own: looks at the device and orders may need what it is just doing, a login for
/// example.
pub(super) type Attempt = oneshot::Receiver<Told>;

/// Waits for the attempt that is under way, if one is.
pub(super) async fn told(attempt: &mut Option<Attempt>) -> Told {
    match attempt {
        Some(attempt) => attempt.await.unwrap_or_else(|_| {
            let why = failure("the attempt came to no end");
            Err(Miss { why, reached: false })
        }),
        None => std::future::pending().await,
    }
}

/// Waits until then, if ever.
pub(super) async fn due(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

impl Guardian {
    /// When the device is to be asked next; `None`: not as things are.
    pub(super) fn next_attempt(&self) -> Option<Instant> {
        let probe = self.probing().filter(|_| self.attempt.is_none())?;
        Some(self.next_attempt.unwrap_or_else(|| {
            // Counted from the commit, also after a restart.
            let passed = self.commit.since_armed(&self.gateway.inner.clock);
            Instant::now() + probe.delay().saturating_sub(passed)
        }))
    }

    /// The probe while it runs, and while there is something to confirm, or may be: of a device that cannot be asked nobody
    /// knows, and the probe is what asks.
    fn probing(&self) -> Option<&Probe> {
        let document = &self.commit.document;
        let probe = document.probe.as_ref()?;
        let waits = match self.commit.state {
            State::Pending => true,
            State::Unknown => self.commit.is_made() && document.answer.is_none() && !self.is_overdue(),
            State::Confirming
            | State::Cancelling
            | State::Confirmed
            | State::Cancelled
            | State::RolledBack
            | State::Kept => false,
        };
        (probe.is_running() && waits && !self.is_doomed()).then_some(probe)
    }

    /// Asks the device, unless it is too late.
    pub(super) async fn ask(&mut self) {
        let Some(probe) = self.probing() else { return };
        let left = self.time_left();
        if left.is_zero() {
            return self.end_probe(ProbeState::TooLate).await;
        }
        let deadline = Instant::now() + left.min(self.times.rpc);
        let asking = ask(
            self.gateway.clone(),
            self.commit.row.device.clone(),
            probe.rpc.clone(),
            probe.expect.clone(),
            deadline,
        );
        let (mut answer, told) = oneshot::channel();
        self.gateway.inner.tasks.spawn(async move {
            tokio::select! {
                // Nobody to tell is no harm.
                told = asking => drop(answer.send(told)),
                () = answer.closed() => {}
            }
        });
        self.attempt = Some(told);
    }

    /// An attempt has ended.
    pub(super) async fn answered(&mut self, told: Told) {
        self.attempt = None;
        if self.probing().is_none() {
            return;
        }
        let at = rfc3339(self.gateway.inner.clock.wall());
        let (reached, why) = match told {
            Ok(()) => (true, None),
            Err(Miss { why, reached }) => (reached, Some(why)),
        };
        let holds = why.is_none();
        if let Some(probe) = &mut self.commit.document.probe {
            probe.tried(at, why);
        }
        if holds && self.confirm_for_probe().await {
            return;
        }
        self.go_on(reached).await;
    }

    /// It holds. Tells whether that was the end of it: what keeps the commit from being confirmed may pass.
    async fn confirm_for_probe(&mut self) -> bool {
        let owner = self.commit.row.owner.clone();
        let deadline = self.while_it_waits(Instant::now() + self.times.rpc);
        let Err(error) = self.confirm(&owner, deadline, false).await else {
            return true;
        };
        self.log_refused("confirmed", &error);
        // Of one that nobody answered the device's records tell.
        if error.outcome() != Outcome::Unknown
            && let Some(probe) = &mut self.commit.document.probe
        {
            probe.held_in_vain(error.detail());
        }
        self.probing().is_none()
    }

    /// After an attempt that led to nothing: another one, or the end.
    async fn go_on(&mut self, reached: bool) {
        let Some(probe) = self.probing() else { return };
        let passed = self.commit.since_armed(&self.gateway.inner.clock);
        let left = probe.longest().saturating_sub(passed);
        if !left.is_zero() {
            // The last one is made when the time is over.
            self.next_attempt = Some(Instant::now() + probe.interval().min(left));
            return self.store().await;
        }
        if !reached {
            return self.end_probe(ProbeState::Unreachable).await;
        }
        if self.time_left().is_zero() {
            return self.end_probe(ProbeState::TooLate).await;
        }
        self.end_probe(ProbeState::GaveUp).await;
        let owner = self.commit.row.owner.clone();
        let deadline = self.while_it_waits(Instant::now() + self.times.rpc);
        if let Err(error) = self.cancel(&owner, deadline).await {
            self.log_refused("cancelled", &error);
            if self.commit.state == State::Pending {
                let words = format!(
                    "the probe gave up, and it could not be cancelled: {}",
                    error.detail()
                );
                self.see(&words);
                self.store().await;
            }
        }
    }

    async fn end_probe(&mut self, state: ProbeState) {
        if let Some(probe) = &mut self.commit.document.probe {
            probe.state = state;
        }
        self.store().await;
    }

    /// A person has taken over. Whoever waits for the probe is told once that is stored.
    pub(super) fn stop_probe(&mut self) {
        if let Some(probe) = &mut self.commit.document.probe {
            probe.close(false);
        }
        self.attempt = None;
    }

    /// For how long something can be sent that counts on the device not having undone the commit.
    fn time_left(&self) -> Duration {
        let safe = self.commit.safe_for(&self.gateway.inner.clock);
        safe.saturating_sub(SPARE)
    }

    fn log_refused(&self, what: &str, error: &Error) {
        let (device, id) = (&self.commit.row.device, &self.commit.row.id);
        tracing::warn!(
            device,
            confirmed_commit = id,
            error = %error,
            "what was probed could not be {what}"
        );
    }
}

/// One attempt: a session of its own, the RPC, and its data held against what is expected.
async fn ask(
    gateway: Gateway,
    device: String,
    rpc: String,
    expect: Vec<Expectation>,
    deadline: Instant,
) -> Told {
    let miss = |error: Error, reached| Miss {
        why: failure(error.detail()),
        reached,
    };
    let (record, live) = gateway
        .device(&device)
        .await
        .map_err(|error| miss(error, false))?;
    // As for a caller of the RPC who names no options.
    let output = Output::new(&OutputOptions::default(), record.settings.partial)
        .map_err(|error| miss(error, false))?;
    let body = prepare::from_xml(&rpc, "/probe/rpc").map_err(|error| miss(error, false))?;
    let request = output.request(move |_| Ok(Rpc::new(body)), Vec::new());
    let raw = live.read_afresh(deadline, request).await.map_err(|error| {
        let reached = error.step != Step::Connect;
        miss(failure::device(error), reached)
    })?;
    let reply = Reply::new(&device, raw, &output, Asked::Rpc, false).map_err(|error| miss(error, true))?;
    if let Some(error) = reply.errors.first() {
        let words = error.error_message.as_deref().unwrap_or("no words with it");
        let why = failure(format!(
            "the device reports an error beside its data: {}",
            words.trim()
        ));
        return Err(Miss { why, reached: true });
    }
    let data = if reply.data.stored_bytes() < LARGE {
        value(reply.data)
    } else {
        let read = devices::blocking(move || value(reply.data)).await;
        read.map_err(|error| miss(error, true))?
    };
    let told = data.map_err(failure).and_then(|data| judge(&expect, &data));
    told.map_err(|why| Miss { why, reached: true })
}

/// The data of a reply, whole.
///
/// # Errors
/// In words.
fn value(mut data: ReplyData) -> Result<Value, String> {
    let bytes = data.stored_bytes();
    if bytes > MOST {
        return Err(format!(
            "the reply has {bytes} bytes; {MOST} are looked into at most"
        ));
    }
    let mut text = Vec::new();
    loop {
        match data.fill(&mut text) {
            Ok(true) => {}
            Ok(false) => break,
            Err(error) => return Err(format!("the reply cannot be read: {error}")),
        }
    }
    serde_json::from_slice(&text).map_err(|error| format!("the reply cannot be looked into: {error}"))
}
