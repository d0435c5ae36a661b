//! Opening an edit session: a session of the device, its row, then the locks or the copy. It runs in a task of its own,
//! so that a caller who leaves in the middle leaves nothing behind.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::record::{self, warning};
use crate::device::{
    Device, DeviceError, EditFacts, EditHandle, EditReason, Held, HoldError, Occupant,
    Outcome as DeviceOutcome, Release, Request, Terms, Way,
};
use crate::error::{Error, ErrorCode, Outcome};
use crate::netconf::rpc_error::RpcError;
use crate::pool::{Hold, Touch};
use crate::service::edit::differing::{self, Differing};
use crate::service::edit::ground::Ground;
use crate::service::edit::request::Mode;
use crate::service::edit::script::{Step, Tells};
use crate::service::edit::snapshot::Snapshot;
use crate::service::{Gateway, failure, locks};
use crate::session::RawReply;
use crate::store::EditSessionRecord;

/// How often a lock is tried that somebody outside the gateway holds: up to so much later each time.
const LOCK_PAUSE: Duration = Duration::from_secs(1);

/// How much time before the deadline is left for one more try, at least.
const LEAST_FOR_A_LOCK: Duration = Duration::from_millis(100);

/// An edit session that is to be opened.
pub(super) struct Opening {
    pub gateway: Gateway,
    pub device: Arc<Device>,
    pub ground: Ground,
    pub facts: EditFacts,
    pub row: EditSessionRecord,
    /// For a lock that another holds.
    pub wait: Duration,
    pub deadline: Instant,
}

impl Opening {
    /// C3: never as a lock that is held.
    fn not_held(&self, error: HoldError) -> Error {
        let shared = match self.ground.mode {
            Mode::Exclusive | Mode::Shared => self.gateway.no_confirmed_commit(&self.row.device_id),
            // Copies and instances are nobody else's.
            Mode::Private | Mode::Ephemeral => Ok(()),
        };
        match shared {
            Err(pending) => pending,
            Ok(()) => locks::not_held(&self.device, error),
        }
    }

    /// D1: nothing is held, or what was taken is given back.
    fn not_begun(&self, ends: Error) -> Error {
        ends.with_device(&self.facts.device)
    }

    pub async fn run(mut self, mut answer: oneshot::Sender<Result<EditHandle, Error>>) {
        let (store, id) = (self.gateway.inner.store.clone(), self.row.id.clone());
        let taken = tokio::select! {
            taken = self.begin() => taken,
            // What was taken goes with the session, which is closed.
            () = answer.closed() => Err(Error::new(ErrorCode::Cancelled, "the caller left")),
        };
        let opened = match taken {
            // Once it is leased it is ended in its own way, and its row tells how, whoever has left.
            Ok((held, warnings)) => self.lease(held, warnings).await,
            Err(error) => {
                if let Err(error) = store.delete_edit_session(&id).await {
                    tracing::warn!(edit_session = id, error = %error, "a row of an edit session that was not opened stays");
                }
                Err(error)
            }
        };
        if let Err(Ok(handle)) = answer.send(opened) {
            // Nobody knows of it.
            handle.stop(EditReason::Released);
        }
    }

    /// A session that holds what is to be held, and has a row; and the warnings.
    ///
    /// # Cancel safety
    /// What was taken goes with the session, which is closed. The row stays.
    async fn begin(&mut self) -> Result<(Held, Vec<RpcError>), Error> {
        let until = Instant::now() + self.wait;
        let claim = Occupant {
            id: Some(self.facts.id.clone()),
            who: self.facts.who.clone(),
        };
        let way = match self.ground.mode {
            Mode::Exclusive => Way::Candidate,
            Mode::Private | Mode::Ephemeral | Mode::Shared => Way::Beside,
        };
        let holding = self.device.hold_as(claim, self.wait, self.deadline, way);
        let held = self.gateway.until_draining(holding).await;
        let held = held.map_err(|ends| self.not_begun(ends))?;
        let mut held = held.map_err(|error| self.not_held(error))?;
        self.row.session_id = held.session_id();
        let stored = self.gateway.inner.store.insert_edit_session(&self.row).await;
        stored.map_err(|error| self.gateway.store_error(error).with_device(&self.facts.device))?;
        let taken = self.take(&mut held, until).await;
        // It would be lost at once.
        let taken = taken.and_then(|warnings| match self.gateway.accepting() {
            Ok(()) => Ok(warnings),
            Err(ends) => Err(self.not_begun(ends)),
        });
        match taken {
            Ok(warnings) => Ok((held, warnings)),
            Err(error) => {
                held.finish().await;
                Err(error)
            }
        }
    }

    /// Makes an edit session of it.
    async fn lease(mut self, held: Held, warnings: Vec<RpcError>) -> Result<EditHandle, Error> {
        let ground = self.ground.clone();
        let release: Release = Arc::new(move |capabilities, held| {
            let steps = ground.release(capabilities, held)?;
            Ok(steps.into_iter().map(|step| (step.rpc, step.touch)).collect())
        });
        let terms = Terms {
            facts: self.facts,
            release,
        };
        let handle = self.device.lease(held, terms);
        handle.warn(warnings);
        record::update(&mut self.row, &handle);
        let gateway = self.gateway.clone();
        if let Err(error) = gateway.inner.store.update_edit_session(&self.row).await {
            // What runs is shown as it is; its end is stored later.
            tracing::error!(edit_session = self.row.id, error = %error, "an edit session was not stored as open");
        }
        let (name, device_id) = (handle.facts().device.clone(), self.row.device_id.clone());
        gateway.inner.tasks.spawn(record::keep_record(
            self.gateway,
            self.device,
            handle.clone(),
            self.row,
        ));
        // From here on it is seen by whoever removes the device; before, that was not in anybody's way.
        if gateway.is_device(&name, &device_id).await {
            return Ok(handle);
        }
        handle.stop(EditReason::DeviceRemoved);
        handle.finished().await;
        let words = "the device was removed while the edit session was being opened";
        let error = Error::new(ErrorCode::NotFound, words).with_outcome(Outcome::NotApplied);
        Err(error.with_device(name))
    }

    /// Takes the locks or the copy; a lock that another holds is tried again as long as there is time. Gives the
    /// warnings.
    async fn take(&self, held: &mut Held, until: Instant) -> Result<Vec<RpcError>, Error> {
        loop {
            let asked = Instant::now();
            let error = match self.try_to_take(held).await {
                Ok(warnings) => return Ok(warnings),
                Err(error) => error,
            };
            let leftovers = error.reason() == Some("candidate_modified") && error.diff().is_none();
            let error = match leftovers {
                true => self.with_leftovers(held, error).await,
                false => error,
            };
            // Whoever waits holds nothing.
            self.give_back(held).await;
            let now = Instant::now();
            // One that is not answered before the deadline would tell less than this refusal.
            let time = LEAST_FOR_A_LOCK.max(2 * (now - asked));
            let until = until.min(self.deadline.checked_sub(time).unwrap_or(now));
            if error.reason() != Some("held") || now >= until {
                return Err(error);
            }
            let pause = LOCK_PAUSE / 2 + self.gateway.inner.store.jitter(LOCK_PAUSE / 2);
            let pause = tokio::time::sleep(pause.min(until - now));
            let waited = self.gateway.until_draining(pause).await;
            waited.map_err(|ends| self.not_begun(ends))?;
        }
    }

    async fn try_to_take(&self, held: &mut Held) -> Result<Vec<RpcError>, Error> {
        let capabilities = held.capabilities();
        let on_device = |error: Error| error.with_device(&self.facts.device);
        let built = |error| on_device(failure::unbuildable(&error));
        let mut warnings = Vec::new();
        for step in self.ground.open(&capabilities).map_err(built)? {
            let touch = step.touch;
            let sent = self.send(held, step).await;
            self.note_holder(touch, &sent);
            warnings.extend(sent?.scan.warnings);
        }
        if self.ground.mode == Mode::Exclusive && held.holds().contains(Hold::Lock(self.ground.target)) {
            // Not every server refuses the lock of a candidate that somebody has changed.
            let mut before = None;
            for step in self.ground.before(&capabilities).map_err(built)? {
                let tells = step.tells;
                let raw = self.send(held, step).await?;
                let read = differing::snapshot(&self.facts.device, raw).await?;
                match (tells, &before) {
                    (Tells::Leftovers, Some(before)) => self.check_leftovers(before, &read)?,
                    _ => before = Some(read),
                }
            }
        }
        if self.ground.mode == Mode::Shared {
            warnings.push(warning(self.ground.unlocked()));
        }
        if self.ground.mode == Mode::Ephemeral {
            warnings.push(warning(
                "data of an ephemeral instance are not validated and do not survive a reboot",
            ));
        }
        Ok(warnings)
    }

    /// Keeps what a lock tells of its holder, for the list of locks.
    fn note_holder(&self, touch: Touch, sent: &Result<RawReply, Error>) {
        let Touch::Acquires(Hold::Lock(datastore)) = touch else {
            return;
        };
        let inner = &self.gateway.inner;
        match sent {
            Ok(_) => inner.seen.forget(&self.facts.device, datastore),
            Err(error) => {
                if let Some(holder) = error.holder().filter(|_| error.reason() == Some("held")) {
                    inner
                        .seen
                        .note(&self.facts.device, datastore, holder, inner.clock.wall());
                }
            }
        }
    }

    fn check_leftovers(&self, running: &Snapshot, candidate: &Snapshot) -> Result<(), Error> {
        let diff = running.difference(candidate);
        if diff.is_empty() {
            return Ok(());
        }
        Err(failure::candidate_modified(self.ground.dialect, diff)
            .with_device(&self.facts.device)
            .with_step("lock"))
    }

    /// What somebody left in the candidate, if the device tells.
    async fn with_leftovers(&self, held: &mut Held, error: Error) -> Error {
        let capabilities = held.capabilities();
        let Ok(differing) = Differing::new(self.ground.dialect, &capabilities) else {
            return error;
        };
        let mut replies = Vec::new();
        for step in differing.steps.clone() {
            match self.send(held, step).await {
                Ok(raw) => replies.push(raw),
                Err(_) => return error,
            }
        }
        match differing.read(&self.facts.device, replies).await {
            Ok(diff) => error.with_diff(diff),
            Err(_) => error,
        }
    }

    async fn give_back(&self, held: &mut Held) {
        let holds: Vec<Hold> = held.holds().iter().collect();
        let capabilities = held.capabilities();
        for step in self.ground.release(&capabilities, &holds).unwrap_or_default() {
            if self.send(held, step).await.is_err() {
                // The session's end gives back what this did not.
                return;
            }
        }
    }

    async fn send(&self, held: &mut Held, step: Step) -> Result<RawReply, Error> {
        let Step { name, rpc, touch, .. } = step;
        let request = Request {
            build: Box::new(move |_| Ok(rpc)),
            attributes: Vec::new(),
            selection: None,
        };
        // What undoes has its own time.
        let own = Instant::now() + self.device.settings().rpc_timeout;
        let raw = match held
            .call(own.min(self.deadline.max(Instant::now())), request, touch)
            .await
        {
            Ok(raw) => raw,
            Err(error) => return Err(unanswered(error).with_step(name.as_str())),
        };
        let lock = match touch {
            Touch::Acquires(Hold::Lock(datastore)) => Some(datastore),
            _ => None,
        };
        if !raw.scan.is_error() {
            if let Some(datastore) = lock {
                self.gateway.inner.seen.forget(&self.facts.device, datastore);
            }
            return Ok(raw);
        }
        let error = failure::lock_refused(
            &self.facts.device,
            self.ground.dialect,
            raw.session_id,
            raw.scan.into_errors(),
        );
        if let Some(datastore) = lock {
            self.gateway.note_refusal(&self.facts.device, datastore, &error);
        }
        Err(error
            .with_step(name.as_str())
            .with_message(Some(raw.session_id), Some(raw.message_id)))
    }
}

/// A lock or a copy that the device did not answer for goes with the session, which is closed.
fn unanswered(error: DeviceError) -> Error {
    let sent = error.outcome != DeviceOutcome::NotSent;
    let error = failure::device(error);
    if sent {
        error.with_outcome(Outcome::NotApplied)
    } else {
        error
    }
}
