//! Ending somebody else's NETCONF session (S26, conventions L5).
//!
//! What is known of a victim comes from the gateway itself, from the device's list of sessions (RFC 6022) and, when
//! somebody demands what neither of them tells, from the words with which the device refuses the candidate's lock.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::Gateway;
use super::call::{CallContext, Role};
use super::check::told_sessions;
use super::confirmed::{Handle, Passage};
use super::edit::ground::Ground;
use super::edit::reading;
use super::edit::request::{KillRequest, Mode};
use super::edit::view::{KilledView, LockHolderView, Planned, RpcErrorView};
use super::failure::{self, Asked};
use super::operations::Leaving;
use super::schemas::monitored;
use super::time::rfc3339;
use super::{history, locks};
use crate::device::{Device, Held, HoldError, Killing, Occupant, OpenSession, Request, Way};
use crate::error::{Error, ErrorCode, Outcome};
use crate::netconf::capability::{Capabilities, Capability};
use crate::netconf::lock_refusal::LockHolder;
use crate::netconf::operation::KillSession;
use crate::netconf::rpc::{RequestError, Rpc};
use crate::store::DeviceRecord;

/// How far the clocks of gateway and device may differ.
const CLOCKS: i64 = 60;

/// What is known of a session.
#[derive(Debug, Default)]
struct Facts {
    holder: LockHolder,
    /// How long nothing was heard from it.
    idle: Option<Duration>,
}

/// What is looked at when the session is there in which the victim is killed, just before that is sent: a change of ours may
/// have come to its confirmed commit meanwhile.
#[derive(Debug, Default)]
struct LastLook {
    /// Until the device has answered, no confirmed commit is sent in the victim.
    passage: OnceLock<Passage>,
    /// What waits in the victim.
    confirmed: OnceLock<Arc<Handle>>,
}

impl LastLook {
    /// # Errors
    /// A confirmed commit waits in the victim, and nobody insists.
    fn take(
        &self,
        gateway: &Gateway,
        device_id: &str,
        session_id: u64,
        force: bool,
    ) -> Result<(), RequestError> {
        // Counted first: whoever announces one from now on waits for this, or is seen.
        self.passage.get_or_init(|| gateway.under_way(device_id));
        let Some(commit) = gateway.confirmed_in(device_id, session_id) else {
            return Ok(());
        };
        let commit = self.confirmed.get_or_init(|| commit);
        if !force {
            let words = "a confirmed commit waits in it";
            return Err(RequestError::invalid("session-id", words.to_owned()));
        }
        commit.kill(true);
        Ok(())
    }
}

fn needs_force() -> Error {
    let detail = "the victim may hold a confirmed commit that waits for its confirmation, which is undone when the \
                  session is killed";
    Error::new(ErrorCode::PreconditionFailed, detail)
        .with_reason("confirmed_commit")
        .with_field("/force", "is needed")
}

impl Gateway {
    /// `<kill-session>`. Role `admin`. What the caller demands of the victim is read again just before; an edit
    /// session of the gateway that is killed is `lost: killed` at once.
    ///
    /// # Errors
    /// `precondition-failed`, reason `user` or `idle`, when the victim is not as demanded or the device does not tell;
    /// reason `confirmed_commit` without `force`; `access-denied` with a hint at the permission that the device asks
    /// for; the device's other refusals.
    pub async fn kill_session(
        &self,
        ctx: &CallContext,
        device: &str,
        session_id: u64,
        request: KillRequest,
    ) -> Result<Planned<KilledView>, Error> {
        ctx.principal.require(Role::Admin)?;
        let on_device = |error: Error| error.with_device(device);
        let (record, live) = self.device(device).await?;
        let build = move |_: &Capabilities| -> Result<Rpc, RequestError> { KillSession { session_id }.rpc() };
        if request.plan {
            let waits = self.confirmed_in(&record.id, session_id).is_some();
            let build = |caps: &Capabilities| {
                let ours = of_ours(&live, session_id).is_some();
                let mut rpcs = looks(caps, ours, waits, &request)?;
                rpcs.push(build(caps)?);
                Ok(rpcs)
            };
            return self.plan(ctx, device, &live, build).await.map(Planned::Plan);
        }
        self.accepting()?;
        build(&Capabilities::default()).map_err(|error| on_device(failure::unbuildable(&error)))?;
        let facts = self.facts(ctx, &record, &live, session_id, &request).await?;
        check(&facts, &request).map_err(on_device)?;
        let mut effects = vec![
            "its locks are gone, and with them the uncommitted changes made under a lock or in a private copy"
                .to_owned(),
        ];
        let waits = self.confirmed_in(&record.id, session_id).is_some()
            || self.pending_confirmed(ctx, &record, &live, &facts).await;
        if waits && !request.force {
            return Err(on_device(needs_force()));
        }
        let last_look = Arc::new(LastLook::default());
        let kill = {
            let (gateway, device_id) = (self.clone(), record.id.clone());
            let (last_look, force) = (last_look.clone(), request.force);
            Request {
                selection: None,
                ..Request::new(move |caps: &Capabilities| {
                    last_look.take(&gateway, &device_id, session_id, force)?;
                    build(caps)
                })
            }
        };
        self.begin(ctx, &record, Leaving::Finishes).await?;
        let killing = live.killing(session_id);
        let sent = live
            .single_use_past_holders(ctx.principal.id(), self.deadline(ctx, &live), kill)
            .await;
        let done = sent.as_ref().is_ok_and(|raw| !raw.scan.is_error());
        let confirmed = last_look.confirmed.get();
        if let Some(commit) = confirmed.filter(|_| !done) {
            commit.kill(false);
        }
        if confirmed.is_some() && !request.force {
            return Err(on_device(needs_force()));
        }
        if waits || confirmed.is_some() {
            effects.push("a pending confirmed commit of its own is undone at once".to_owned());
        }
        let raw = sent.map_err(|error| locks::not_served(&live, error))?;
        if raw.scan.is_error() {
            let errors = raw.scan.into_errors();
            let error = failure::refused(device, raw.session_id, errors, Asked::Read)
                .with_message(Some(raw.session_id), Some(raw.message_id));
            return Err(if error.code() == ErrorCode::AccessDenied {
                error.with_hint(
                    "on Junos the login class of the gateway's user needs the permission maintenance",
                )
            } else {
                error
            });
        }
        self.inner.seen.has_ended(device, session_id);
        let edit_session = killing.map(Killing::done);
        if let Some(id) = &edit_session {
            effects.push(format!("the edit session {id} of the gateway is lost"));
        }
        tracing::info!(
            device,
            session_id,
            principal = ctx.principal.id(),
            reason = request.reason.as_deref().unwrap_or_default(),
            "a session was killed"
        );
        let mut warnings: Vec<RpcErrorView> = Vec::new();
        reading::warn(&mut warnings, &raw.scan);
        Ok(Planned::Done(ctx.ticket.answers(KilledView {
            device: device.to_owned(),
            session_id,
            victim: LockHolderView {
                session_id: Some(session_id),
                ..LockHolderView::from(&facts.holder)
            },
            edit_session,
            effects,
            warnings,
        })))
    }

    /// What is known of the victim now.
    async fn facts(
        &self,
        ctx: &CallContext,
        record: &DeviceRecord,
        device: &Device,
        session_id: u64,
        request: &KillRequest,
    ) -> Result<Facts, Error> {
        let shown = device
            .established(ctx.principal.id(), self.deadline(ctx, device))
            .await
            .map_err(failure::device)?;
        let mut facts = Facts::default();
        if let Some(session) = of_ours(device, session_id) {
            facts.holder.user = Some(record.settings.username.clone());
            facts.holder.since = Some(rfc3339(session.opened_at));
            facts.idle = Some(session.quiet);
        } else if shown.capabilities.has(Capability::Monitoring) {
            let ask = Request {
                selection: None,
                ..Request::new(|caps| monitored("sessions", caps))
            };
            let raw = device
                .read(ctx.principal.id(), self.deadline(ctx, device), ask)
                .await
                .map_err(failure::device)?;
            let told = told_sessions(record.name(), &raw)?;
            if let Some(session) = told.into_iter().find(|session| session.session_id == session_id) {
                facts.holder.user = session.username;
                facts.holder.since = session.login_time;
            }
        }
        let unknown = (request.if_user.is_some() && facts.holder.user.is_none())
            || (request.if_idle_seconds_at_least.is_some() && facts.idle.is_none());
        if unknown
            && let Some(holder) = self.lock_holder(ctx, record, device).await?
            && holder.killable_id() == Some(session_id)
        {
            facts.idle = holder.idle.as_deref().and_then(idle);
            facts.holder = LockHolder {
                user: holder.user.clone().or(facts.holder.user),
                since: holder.since.clone().or(facts.holder.since),
                ..holder
            };
        }
        Ok(facts)
    }

    /// Who has the candidate's lock, as its refusal says. Whoever could lock it gives it back at once.
    ///
    /// # Errors
    /// Why there is no session to ask in.
    async fn lock_holder(
        &self,
        ctx: &CallContext,
        record: &DeviceRecord,
        device: &Device,
    ) -> Result<Option<LockHolder>, Error> {
        let deadline = self.deadline(ctx, device);
        let claim = Occupant {
            id: None,
            who: ctx.principal.id().to_owned(),
        };
        // Without a wait: if one of ours has the candidate, there is nobody else to be found.
        let held = device
            .hold_as(claim, Duration::ZERO, deadline, Way::Candidate)
            .await;
        let mut held = match held {
            Ok(held) => held,
            Err(HoldError::HeldHere(_)) => return Ok(None),
            Err(error) => return Err(locks::not_held(device, error)),
        };
        let holder = refused_by(&mut held, record.name(), deadline).await;
        held.finish().await;
        Ok(holder)
    }

    /// Whether killing the victim undoes a confirmed commit, as far as anybody can tell: one is pending, and it may be
    /// the victim's.
    async fn pending_confirmed(
        &self,
        ctx: &CallContext,
        record: &DeviceRecord,
        device: &Device,
        facts: &Facts,
    ) -> bool {
        let is_junos = device
            .status()
            .established
            .is_some_and(|shown| shown.capabilities.is_junos());
        if !is_junos {
            return false;
        }
        // A device that does not show its history has said nothing about it.
        let Ok(history) = self.commit_history(ctx, record, device).await else {
            return false;
        };
        let Some(entry) = history.pending_confirmed() else {
            return false;
        };
        let others = matches!((&entry.user, &facts.holder.user), (Some(of), Some(victim)) if of != victim);
        let over = entry
            .seconds
            .zip(entry.rollback_in())
            .is_some_and(|(since, after)| {
                let until = since + i64::try_from(after.as_secs()).unwrap_or(i64::MAX / 2);
                self.inner.clock.wall().unix_timestamp() > until + CLOCKS
            });
        !others && !over
    }
}

/// The session of this gateway with this id.
fn of_ours(device: &Device, session_id: u64) -> Option<OpenSession> {
    let mut ours = device.status().sessions.into_iter();
    ours.find(|session| session.session_id == session_id)
}

/// What is looked at before a session is killed, as far as that is known before: the device's list of sessions; the lock, for
/// what the list does not tell, given back if it was had; on Junos the history, for a confirmed commit. `ours`: the gateway
/// knows the session itself; `waits`: and that a confirmed commit waits in it.
fn looks(
    capabilities: &Capabilities,
    ours: bool,
    waits: bool,
    request: &KillRequest,
) -> Result<Vec<Rpc>, RequestError> {
    let mut rpcs = Vec::new();
    let listed = capabilities.has(Capability::Monitoring);
    if !ours && listed {
        rpcs.push(monitored("sessions", capabilities)?);
    }
    let unlisted = request.if_user.is_some() && !listed;
    if !ours
        && (unlisted || request.if_idle_seconds_at_least.is_some())
        && let Ok(ground) = Ground::new(capabilities, Mode::Exclusive, None)
    {
        let held = ground.held_after_open(capabilities, false);
        let steps = ground
            .open(capabilities)?
            .into_iter()
            .chain(ground.release(capabilities, &held)?);
        rpcs.extend(steps.map(|step| step.rpc));
    }
    if !waits && capabilities.is_junos() {
        rpcs.push(history::step(capabilities, false)?.rpc);
    }
    Ok(rpcs)
}

/// Tries the lock, and gives it back if it was had.
async fn refused_by(held: &mut Held, device: &str, deadline: tokio::time::Instant) -> Option<LockHolder> {
    let capabilities = held.capabilities();
    let ground = Ground::new(&capabilities, Mode::Exclusive, None).ok()?;
    let mut holder = None;
    for step in ground.open(&capabilities).ok()? {
        let (rpc, touch) = (step.rpc, step.touch);
        let raw = held.call(deadline, request(rpc), touch).await.ok()?;
        if raw.scan.is_error() {
            let error = failure::lock_refused(device, ground.dialect, raw.session_id, raw.scan.into_errors());
            holder = error.holder().cloned();
            break;
        }
    }
    let held_now: Vec<_> = held.holds().iter().collect();
    for step in ground.release(&capabilities, &held_now).ok()? {
        let (rpc, touch) = (step.rpc, step.touch);
        held.call(deadline, request(rpc), touch).await.ok()?;
    }
    holder
}

fn request(rpc: Rpc) -> Request {
    Request {
        build: Box::new(move |_| Ok(rpc)),
        attributes: Vec::new(),
        selection: None,
    }
}

fn check(facts: &Facts, request: &KillRequest) -> Result<(), Error> {
    let failed = |reason: &str, field: &str, detail: String| {
        Err(Error::new(ErrorCode::PreconditionFailed, detail)
            .with_outcome(Outcome::NotSent)
            .with_reason(reason)
            .with_field(field, "does not hold"))
    };
    match (&request.if_user, &facts.holder.user) {
        (None, _) => {}
        (Some(wanted), Some(user)) if wanted == user => {}
        (Some(wanted), Some(user)) => {
            return failed(
                "user",
                "/if_user",
                format!("the session is that of {user}, not of {wanted}"),
            );
        }
        (Some(_), None) => {
            return failed(
                "user",
                "/if_user",
                "the device does not tell whose session it is".to_owned(),
            );
        }
    }
    match (request.if_idle_seconds_at_least, facts.idle) {
        (None, _) => Ok(()),
        (Some(least), Some(idle)) if idle.as_secs() >= least => Ok(()),
        (Some(least), Some(idle)) => failed(
            "idle",
            "/if_idle_seconds_at_least",
            format!("the session was idle for {} s, not for {least}", idle.as_secs()),
        ),
        (Some(_), None) => failed(
            "idle",
            "/if_idle_seconds_at_least",
            "the device does not tell how long the session was idle".to_owned(),
        ),
    }
}

/// Reads `00:03:10`, `3:10`, `1w2d 00:03` and `2 days, 00:03:10`. Of two parts the first are hours: seconds are what
/// Junos leaves out of a long time.
fn idle(text: &str) -> Option<Duration> {
    let mut seconds: u64 = 0;
    let mut number: Option<u64> = None;
    let mut known = false;
    for word in text.split([' ', ',']).filter(|word| !word.is_empty()) {
        if let Some(counted) = number.take() {
            let unit = match word.trim_end_matches('s') {
                "day" => 86_400,
                "week" => 604_800,
                _ => return None,
            };
            seconds = seconds.checked_add(counted.checked_mul(unit)?)?;
        } else if word.contains(':') {
            let parts = word.split(':').map(str::parse::<u64>);
            let clock = parts.collect::<Result<Vec<_>, _>>().ok()?;
            let part = match clock.as_slice() {
                [hours, minutes, rest] => hours
                    .checked_mul(3600)?
                    .checked_add(minutes.checked_mul(60)?)?
                    .checked_add(*rest)?,
                [hours, minutes] => hours.checked_mul(3600)?.checked_add(minutes.checked_mul(60)?)?,
                _ => return None,
            };
            seconds = seconds.checked_add(part)?;
        } else if let Ok(counted) = word.parse() {
            number = Some(counted);
            continue;
        } else {
            seconds = seconds.checked_add(compact(word)?)?;
        }
        known = true;
    }
    (known && number.is_none()).then(|| Duration::from_secs(seconds))
}

/// `1w2d3h`
fn compact(word: &str) -> Option<u64> {
    let mut seconds: u64 = 0;
    let mut rest = word;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let count: u64 = rest[..digits].parse().ok()?;
        let unit = match rest[digits..].chars().next()? {
            'w' => 604_800,
            'd' => 86_400,
            'h' => 3600,
            'm' => 60,
            's' => 1,
            _ => return None,
        };
        seconds = seconds.checked_add(count.checked_mul(unit)?)?;
        rest = &rest[digits + 1..];
    }
    Some(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// L5: what devices write about idle time.
    #[test]
    fn idle_times_are_read() {
        for (text, seconds) in [
            ("00:03:10", 190),
            ("3:10", 11_400),
            ("00:07", 420),
            ("129w0d 16:28", 78_078_480),
            ("1d 00:00:05", 86_405),
            ("1w2d 00:01:00", 777_660),
            ("2 days, 01:00:00", 176_400),
            ("5m", 300),
        ] {
            assert_eq!(idle(text), Some(Duration::from_secs(seconds)), "{text}");
        }
        let most = format!("0:0:{}", u64::MAX);
        assert_eq!(idle(&most), Some(Duration::from_secs(u64::MAX)));
        for text in [
            "",
            "never",
            "5",
            "1:2:3:4",
            "99999999999999999999:00",
            "0:1:18446744073709551615",
            "é",
        ] {
            assert_eq!(idle(text), None, "{text}");
        }
    }

    /// L5: what is demanded must be known and hold.
    #[test]
    fn demands_must_hold() {
        let facts = |user: Option<&str>, idle: Option<u64>| Facts {
            holder: LockHolder {
                user: user.map(str::to_owned),
                ..LockHolder::default()
            },
            idle: idle.map(Duration::from_secs),
        };
        let demand = KillRequest {
            if_user: Some("alice".to_owned()),
            if_idle_seconds_at_least: Some(60),
            ..KillRequest::default()
        };
        let reason = |facts: Facts| {
            let checked = check(&facts, &demand);
            checked.err().and_then(|error| error.reason().map(str::to_owned))
        };
        assert_eq!(reason(facts(Some("alice"), Some(60))), None);
        assert_eq!(reason(facts(Some("bob"), Some(60))).as_deref(), Some("user"));
        assert_eq!(reason(facts(None, Some(60))).as_deref(), Some("user"));
        assert_eq!(reason(facts(Some("alice"), Some(59))).as_deref(), Some("idle"));
        assert_eq!(reason(facts(Some("alice"), None)).as_deref(), Some("idle"));
        assert!(check(&facts(None, None), &KillRequest::default()).is_ok());
    }
}
