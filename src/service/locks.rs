//! Who holds what on a device, and clearing what somebody forgot in the candidate.
//!
//! What the gateway holds is known exactly. Of others it is known what the device lists (RFC 6022), and what it said
//! when it refused a lock lately; no lock is tried to find out (L4).

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use ::time::{Duration, OffsetDateTime};

use super::Gateway;
use super::call::{CallContext, Role};
use super::check::told_sessions;
use super::edit::differing::Differing;
use super::edit::ground::{Dialect, Ground};
use super::edit::reading;
use super::edit::request::{DiscardCandidateRequest, Mode};
use super::edit::script::Step;
use super::edit::view::{DiscardedView, LockHolderView, LockList, LockView, Planned, RpcErrorView};
use super::failure;
use super::held::{look, send};
use super::operations::Leaving;
use super::schemas::monitored;
use super::time::rfc3339;
use super::view::Plan;
use crate::device::{Device, DeviceError, Failure, Held, HoldError, Holder, Occupant, OnError, Request, Way};
use crate::error::{Error, ErrorCode, Origin, Outcome};
use crate::netconf::capability::{Capabilities, Capability};
use crate::netconf::datastore::Datastore;
use crate::netconf::lock_refusal::LockHolder;
use crate::netconf::rpc::RequestError;
use crate::pool::{Hold, Touch};
use crate::session::RawReply;
use crate::store::DeviceRecord;
use crate::xml::Limits;
use crate::xml::tree::Element;

/// How long a refusal says something about now.
const LATELY: Duration = Duration::minutes(15);
/// Holders that a refusal names.
const MOST_NAMED: usize = 8;
/// At most this much of a list of locks is looked at, in bytes.
const MOST_LOCKS: u64 = 4 << 20;

/// Locks of others that devices told of when they refused one: the last refusal of each datastore.
#[derive(Debug, Default)]
pub(super) struct Seen(Mutex<HashMap<(String, Datastore), Sighting>>);

#[derive(Debug, Clone)]
struct Sighting {
    holder: LockHolder,
    at: OffsetDateTime,
}

impl Seen {
    pub fn note(&self, device: &str, datastore: Datastore, holder: &LockHolder, at: OffsetDateTime) {
        let mut seen = self.lock();
        seen.retain(|_, sighting| at - sighting.at < LATELY);
        let holder = holder.clone();
        seen.insert((device.to_owned(), datastore), Sighting { holder, at });
    }

    /// The lock was had: nobody else has it.
    pub fn forget(&self, device: &str, datastore: Datastore) {
        self.lock().remove(&(device.to_owned(), datastore));
    }

    /// The session has ended: it holds nothing any more.
    pub fn has_ended(&self, device: &str, session_id: u64) {
        let is_gone = |sighting: &Sighting| sighting.holder.killable_id() == Some(session_id);
        self.lock()
            .retain(|(of, _), sighting| of != device || !is_gone(sighting));
    }

    fn of(&self, device: &str, now: OffsetDateTime) -> Vec<(Datastore, Sighting)> {
        let seen = self.lock();
        let lately = seen
            .iter()
            .filter(|((of, _), sighting)| of == device && now - sighting.at < LATELY);
        lately
            .map(|((_, datastore), sighting)| (*datastore, sighting.clone()))
            .collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(String, Datastore), Sighting>> {
        // Every change under the lock is complete in itself.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why there is no session to hold, or no turn of the candidate. Nothing was sent.
pub(super) fn not_held(device: &Device, error: HoldError) -> Error {
    match error {
        HoldError::Device(error) => failure::device(error),
        HoldError::HeldHere(occupant) => {
            let shown = device.status().established;
            let dialect = match shown.is_some_and(|shown| shown.capabilities.is_junos()) {
                true => Dialect::Junos,
                false => Dialect::Rfc,
            };
            held_here(
                &device.settings().name,
                dialect,
                occupant.as_ref(),
                &device.holders(),
            )
        }
        HoldError::NoPlace(holders) => no_place(device, &holders),
    }
}

/// The same for a call that neither waits nor has another way to go.
pub(super) fn not_held_now(device: &Device, error: HoldError) -> Error {
    let waits = matches!(error, HoldError::HeldHere(_) | HoldError::NoPlace(_));
    let error = not_held(device, error);
    match waits {
        true => error.with_hint("try again when its holder is done"),
        false => error,
    }
}

/// The refusal of a session because others hold all that may be held: one of a device's sessions is kept for reads, and
/// one for resolving commits (Q1).
fn no_place(device: &Device, holders: &[Holder]) -> Error {
    let detail = format!(
        "the sessions of the device that edit sessions and changes may have are all held: by {}",
        named(device, holders)
    );
    Error::new(ErrorCode::SessionsHeld, detail)
        .with_device(&device.settings().name)
        .with_hint("wait_seconds waits for one; pool.max_sessions in the device's settings allows more")
}

/// Why what needs a session for itself was not sent, or not answered. Who waited in vain is told who holds sessions.
pub(super) fn not_served(device: &Device, error: DeviceError) -> Error {
    let in_vain = matches!(error.failure, Failure::DeadlineInQueue);
    let error = failure::device(error);
    let holders = device.holders();
    if !in_vain || holders.is_empty() {
        return error;
    }
    let names = named(device, &holders);
    error.with_hint(format!(
        "sessions of the device are held by {names}; pool.max_sessions in the device's settings allows more"
    ))
}

fn named(device: &Device, holders: &[Holder]) -> String {
    let named = |holder: &Holder| {
        let Some(id) = &holder.id else {
            return format!("a call of {}", holder.who);
        };
        match device.edit_session(id) {
            Some(handle) => {
                let until = rfc3339(handle.status().expires_at);
                format!("the edit session {id} of {} (expires at {until})", holder.who)
            }
            None => format!("{id} of {}, which is at work", holder.who),
        }
    };
    let mut names: Vec<String> = holders.iter().take(MOST_NAMED).map(named).collect();
    if holders.len() > MOST_NAMED {
        names.push(format!("{} more", holders.len() - MOST_NAMED));
    }
    names.join(", ")
}

/// The refusal of the candidate, or of what else only one may change at a time, because another edit session or change of
/// the gateway has it. `holders`: who holds sessions of the device, if that is known.
pub(super) fn held_here(
    device: &str,
    dialect: Dialect,
    occupant: Option<&Occupant>,
    holders: &[Holder],
) -> Error {
    let holding = occupant.and_then(|occupant| holders.iter().find(|holder| holder.id == occupant.id));
    let holder = LockHolder {
        session_id: holding.map(|holder| holder.session_id),
        user: occupant.map(|occupant| occupant.who.clone()),
        since: holding.map(|holder| rfc3339(holder.since)),
        ..LockHolder::default()
    };
    let who = occupant.map_or_else(
        || "another edit session or change of the gateway".to_owned(),
        |occupant| match &occupant.id {
            Some(id) => format!("{} of {}", id, occupant.who),
            None => occupant.who.clone(),
        },
    );
    let locked = [Datastore::Candidate, Datastore::Running, Datastore::Startup]
        .into_iter()
        .find(|datastore| holding.is_some_and(|holder| holder.holds.contains(Hold::Lock(*datastore))));
    let what = match locked {
        Some(Datastore::Running) => "running",
        Some(Datastore::Startup) => "startup",
        Some(Datastore::Candidate) | None => "the candidate",
    };
    let hint = match dialect {
        Dialect::Junos => "wait_seconds waits for it; mode private works beside it",
        Dialect::Rfc => "wait_seconds waits for it",
    };
    Error::new(ErrorCode::LockDenied, format!("{what} is in the hands of {who}"))
        .with_device(device)
        // No device was asked.
        .with_origin(Origin::Gateway)
        .with_reason("held")
        .with_holder(holder)
        .with_hint(hint)
}

/// A lock as the device lists it.
struct Told {
    datastore: Datastore,
    holder: LockHolder,
}

impl Gateway {
    /// Keeps who holds a lock, as its refusal told.
    pub(super) fn note_refusal(&self, device: &str, datastore: Datastore, error: &Error) {
        if error.reason() == Some("held")
            && let Some(holder) = error.holder()
        {
            self.inner
                .seen
                .note(device, datastore, holder, self.inner.clock.wall());
        }
    }

    /// The locks and private copies on a device: ours exactly, others' as far as the device told lately. Role `read`.
    /// Never tries a lock to find out (L4).
    ///
    /// # Errors
    /// `not-found`. A device that cannot be reached is no error: what is known without it is listed.
    pub async fn list_locks(&self, ctx: &CallContext, device: &str) -> Result<LockList, Error> {
        ctx.principal.require(Role::Read)?;
        let (record, live) = self.device(device).await?;
        // Before ours are listed: one of ours that is told must be known as ours.
        let told = self.told_locks(ctx, &record, &live).await;
        let ours = live.holders();
        let is_ours = |holder: &LockHolder| {
            let id = holder.killable_id();
            ours.iter().any(|held| Some(held.session_id) == id)
        };
        let mut locks: Vec<LockView> = ours
            .iter()
            .filter(|holder| holder.lives)
            .flat_map(|holder| our_locks(&record, &live, holder))
            .collect();
        let now = self.inner.clock.wall();
        let device_reports = told.is_some();
        let mut others: Vec<(Datastore, LockHolder, OffsetDateTime)> = Vec::new();
        for lock in told.into_iter().flatten() {
            others.push((lock.datastore, lock.holder, now));
        }
        if !device_reports {
            let seen = self.inner.seen.of(device, now);
            others.extend(
                seen.into_iter()
                    .map(|(datastore, sighting)| (datastore, sighting.holder, sighting.at)),
            );
        }
        others.retain(|(_, holder, _)| !is_ours(holder));
        locks.extend(others.into_iter().map(|(datastore, holder, at)| LockView {
            kind: "lock".to_owned(),
            datastore: datastore.as_str().to_owned(),
            ours: false,
            edit_session: None,
            owner: None,
            holder: LockHolderView::from(&holder),
            expires_at: None,
            seen_at: Some(rfc3339(at)),
        }));
        Ok(LockList {
            locks,
            device_reports,
        })
    }

    /// What the device lists. `None`: it lists none, or cannot be asked.
    async fn told_locks(
        &self,
        ctx: &CallContext,
        record: &DeviceRecord,
        device: &Device,
    ) -> Option<Vec<Told>> {
        let (who, deadline) = (ctx.principal.id(), self.deadline(ctx, device));
        let shown = device.established(who, deadline).await.ok()?;
        if !shown.capabilities.has(Capability::Monitoring) {
            return None;
        }
        let ask = |list: &'static str| Request {
            selection: None,
            ..Request::new(move |caps: &Capabilities| monitored(list, caps))
        };
        let requests = vec![ask("datastores"), ask("sessions")];
        let answers = device.batch(who, deadline, requests, OnError::Stop).await.ok()?;
        let [Ok(datastores), Ok(sessions)] = answers.as_slice() else {
            return None;
        };
        let sessions = told_sessions(record.name(), sessions).unwrap_or_default();
        let mut told = read_locks(datastores)?;
        for lock in &mut told {
            let session = sessions
                .iter()
                .find(|session| Some(session.session_id) == lock.holder.session_id);
            lock.holder.user = session.and_then(|session| session.username.clone());
        }
        Some(told)
    }

    /// Discards the uncommitted changes that somebody left in the shared candidate, if they are still what the caller
    /// looked at. Role `admin`.
    ///
    /// # Errors
    /// `precondition-failed`, reason `diff`, with the difference as it is now; `lock-denied` when somebody holds the
    /// lock; `capability-missing` without a candidate.
    pub async fn discard_candidate(
        &self,
        ctx: &CallContext,
        device: &str,
        request: DiscardCandidateRequest,
    ) -> Result<Planned<DiscardedView>, Error> {
        ctx.principal.require(Role::Admin)?;
        let on_device = |error: Error| error.with_device(device);
        if request.expect_diff_sha256.is_empty() {
            let detail = "names the difference that is to go, by its diff_sha256";
            return Err(on_device(Error::invalid("/expect_diff_sha256", detail)));
        }
        let (record, live) = self.device(device).await?;
        let deadline = self.deadline(ctx, &live);
        let shown = live
            .established(ctx.principal.id(), deadline)
            .await
            .map_err(failure::device)?;
        let steps = Clearing::new(&live.offered(&shown)).map_err(on_device)?;
        if request.plan {
            let rpcs = steps.all().map(|step| step.rpc.body.as_str().to_owned());
            return Ok(Planned::Plan(Plan {
                device: device.to_owned(),
                rpcs: rpcs.collect(),
            }));
        }
        self.accepting()?;
        self.nothing_is_open(&record)?;
        self.begin(ctx, &record, Leaving::Finishes).await?;
        let claim = Occupant {
            id: None,
            who: ctx.principal.id().to_owned(),
        };
        let held = live
            .hold_as(claim, std::time::Duration::ZERO, deadline, Way::Candidate)
            .await;
        // C3: never as a lock that is held, and a confirmed commit may have been made meanwhile.
        let mut held = match held {
            Ok(held) => held,
            Err(error) => {
                self.no_confirmed_commit(&record.id)?;
                return Err(not_held_now(&live, error));
            }
        };
        let cleared = match self.nothing_is_open(&record) {
            Ok(()) => {
                steps
                    .run(&mut held, device, deadline, &request.expect_diff_sha256)
                    .await
            }
            Err(pending) => Err(pending),
        };
        held.finish().await;
        cleared.map(|cleared| Planned::Done(ctx.ticket.answers(cleared)))
    }
}

/// Looking at the candidate, and discarding what is in it.
struct Clearing {
    look: Differing,
    discard: Vec<Step>,
}

impl Clearing {
    fn new(capabilities: &Capabilities) -> Result<Self, Error> {
        // Without a lock: no device gives one on a candidate that somebody has changed.
        let ground = Ground::new(capabilities, Mode::Shared, None)?;
        if ground.target != Datastore::Candidate {
            let missing = capabilities.require(Capability::Candidate, "discard-changes", "candidate");
            missing.map_err(|missing| failure::capability_missing(&missing))?;
        }
        let built = |error: RequestError| failure::unbuildable(&error);
        let look = Differing::new(ground.dialect, capabilities).map_err(built)?;
        let mut discard = ground.discard(capabilities).map_err(built)?;
        for step in &mut discard {
            // What goes is not what this session did.
            step.touch = Touch::Applies;
        }
        Ok(Self { look, discard })
    }

    fn all(&self) -> impl Iterator<Item = &Step> {
        self.look.steps.iter().chain(&self.discard)
    }

    async fn run(
        self,
        held: &mut Held,
        device: &str,
        deadline: tokio::time::Instant,
        expected: &str,
    ) -> Result<DiscardedView, Error> {
        let diff = look(&self.look, held, device, deadline).await?;
        let mut warnings = Vec::new();
        let discarded = !diff.is_empty();
        if discarded {
            if !diff.sha256.eq_ignore_ascii_case(expected) {
                let detail = "the candidate holds something else than what is to be discarded";
                return Err(Error::new(ErrorCode::PreconditionFailed, detail)
                    .with_device(device)
                    .with_outcome(Outcome::NotApplied)
                    .with_reason("diff")
                    .with_field(
                        "/expect_diff_sha256",
                        "is not that of the difference as it is now",
                    )
                    .with_diff(diff));
            }
            for step in self.discard {
                let raw = send(step, held, device, deadline).await?;
                reading::warn(&mut warnings, &raw.scan);
            }
            let left = look(&self.look, held, device, deadline).await?;
            if !left.is_empty() {
                warnings.push(RpcErrorView::warning(
                    "somebody has changed the candidate again since it was discarded",
                ));
            }
        }
        Ok(DiscardedView {
            device: device.to_owned(),
            discarded,
            diff: diff.text,
            diff_sha256: diff.sha256,
            warnings,
        })
    }
}

/// What one of our sessions holds.
fn our_locks(record: &DeviceRecord, live: &Device, holder: &Holder) -> Vec<LockView> {
    let edit_session = holder.id.as_deref().and_then(|id| live.edit_session(id));
    let expires_at = edit_session
        .as_ref()
        .map(|handle| rfc3339(handle.status().expires_at));
    let view = |kind: &str, datastore: Datastore| LockView {
        kind: kind.to_owned(),
        datastore: datastore.as_str().to_owned(),
        ours: true,
        edit_session: edit_session.as_ref().map(|handle| handle.id().to_owned()),
        owner: Some(holder.who.clone()),
        holder: LockHolderView {
            session_id: Some(holder.session_id),
            user: Some(record.settings.username.clone()),
            terminal: None,
            since: Some(rfc3339(holder.since)),
            idle: None,
        },
        expires_at: expires_at.clone(),
        seen_at: None,
    };
    let mut views: Vec<LockView> = holder
        .holds
        .iter()
        .filter_map(|hold| match hold {
            Hold::Lock(datastore) => Some(view("lock", datastore)),
            Hold::Private => Some(view("private", Datastore::Candidate)),
            Hold::Ephemeral => Some(view("ephemeral", Datastore::Candidate)),
            Hold::Edits | Hold::ConfirmedCommit => None,
        })
        .collect();
    if views.is_empty() && holder.holds.contains(Hold::Edits) {
        views.push(view("shared", Datastore::Candidate));
    }
    views
}

/// The global locks of `netconf-state/datastores` (RFC 6022 section 2.1.3).
fn read_locks(raw: &RawReply) -> Option<Vec<Told>> {
    if raw.scan.is_error() {
        return None;
    }
    let text = raw.source.read_to_string(MOST_LOCKS).ok()?;
    let reply = Element::parse(&text, &Limits::default()).ok()?;
    let datastores = reply.path(&["data", "netconf-state", "datastores"])?;
    let text_of = |lock: &Element, leaf: &str| {
        let found = lock.child(leaf).map(Element::text);
        found.filter(|text| !text.is_empty())
    };
    let locks = datastores.children_named("datastore").filter_map(|datastore| {
        let lock = datastore.path(&["locks", "global-lock"])?;
        Some(Told {
            datastore: Datastore::from_name(&text_of(datastore, "name")?)?,
            holder: LockHolder {
                session_id: text_of(lock, "locked-by-session").and_then(|id| id.parse().ok()),
                since: text_of(lock, "locked-time"),
                ..LockHolder::default()
            },
        })
    });
    Some(locks.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

    /// L4: what a refusal told is known for a while, and gone once the lock was had.
    #[test]
    fn refusals_are_remembered_for_a_while() {
        let seen = Seen::default();
        let holder = LockHolder {
            user: Some("alice".to_owned()),
            ..LockHolder::default()
        };
        seen.note("mx1", Datastore::Candidate, &holder, START);
        seen.note("mx2", Datastore::Running, &holder, START);
        let users = |device: &str, now: OffsetDateTime| -> Vec<Option<String>> {
            let found = seen.of(device, now);
            found
                .into_iter()
                .map(|(_, sighting)| sighting.holder.user)
                .collect()
        };
        assert_eq!(users("mx1", START), [Some("alice".to_owned())]);
        assert_eq!(users("mx1", START + LATELY), []);
        seen.forget("mx1", Datastore::Candidate);
        assert_eq!(users("mx1", START), []);
        assert_eq!(users("mx2", START), [Some("alice".to_owned())]);
    }
}
