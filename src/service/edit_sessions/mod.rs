//! Edit sessions: opened, looked at, renewed and ended (design section 5, conventions L1–L3). What is done in them is in
//! `actions`, `commits` and `reads`, and sent by `sending`; `looking` is what is looked at before a commit, `unconfirmed` one that has to be
//! confirmed; `opening` takes locks and copies; `record` is what is stored and shown.

mod actions;
mod commits;
mod looking;
mod opening;
mod reads;
mod record;
mod sending;
mod unconfirmed;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use self::opening::Opening;
use super::Gateway;
use super::call::{CallContext, Role};
use super::edit::ground::{Dialect, Ground, Verify};
use super::edit::request::{Mode, OpenEditSession};
use super::edit::view::{EditSessionList, EditSessionView, Planned};
use super::operations::Leaving;
use super::request::ListRequest;
use super::view::Plan;
use super::{failure, locks};
use crate::device::{Device, EditFacts, EditHandle, EditReason, EditState, RunError};
use crate::error::{Error, ErrorCode, Outcome, Resource};
use crate::netconf::capability::{Capabilities, Capability};
use crate::netconf::datastore::Datastore;
use crate::netconf::lock_refusal::LockHolder;
use crate::pool::Hold;
use crate::store::{DeviceRecord, EditSessionRecord, OPENING, StoreError};

/// The longest time to live, and the longest wait for a lock, in seconds.
const LONGEST: u64 = 3600;
/// How often edit sessions are looked for that ended long ago.
const LOOK: Duration = Duration::from_secs(600);

impl Gateway {
    /// Opens an edit session: a NETCONF session bound to the caller, with its lock or its copy. Role `configure`.
    ///
    /// # Errors
    /// `invalid-argument`, `capability-missing`; `lock-denied` with reason, holder and, for a candidate that somebody has
    /// changed, the difference; whatever keeps a session from being had.
    ///
    /// # Cancel safety
    /// Dropping the future leaves nothing behind.
    pub async fn create_edit_session(
        &self,
        ctx: &CallContext,
        device: &str,
        request: OpenEditSession,
    ) -> Result<Planned<EditSessionView>, Error> {
        ctx.principal.require(Role::Configure)?;
        let on_device = |error: Error| error.with_device(device);
        check_seconds(&request).map_err(on_device)?;
        let (record, live) = self.device(device).await?;
        if !request.plan {
            self.accepting()?;
            if matches!(request.mode, Mode::Exclusive | Mode::Shared) {
                self.nothing_is_open(&record)?;
            }
        }
        let wait = Duration::from_secs(request.wait_seconds);
        let deadline = self.deadline_beyond(ctx, &live, wait);
        let shown = live
            .established(ctx.principal.id(), deadline)
            .await
            .map_err(failure::device)?;
        let wanted = Wanted {
            mode: request.mode,
            datastore: request.datastore,
            instance: request.instance.as_deref(),
        };
        let capabilities = live.offered(&shown);
        let ground = wanted.ground(&capabilities, &record).map_err(on_device)?;
        let built = |error| on_device(failure::unbuildable(&error));
        let mut steps = ground.open(&capabilities).map_err(built)?;
        if request.mode == Mode::Exclusive {
            // What is looked at under the lock.
            steps.extend(ground.before(&capabilities).map_err(built)?);
        }
        if request.plan {
            return Ok(Planned::Plan(Plan {
                device: device.to_owned(),
                rpcs: steps
                    .iter()
                    .map(|step| step.rpc.body.as_str().to_owned())
                    .collect(),
            }));
        }
        let facts = EditFacts {
            id: self.inner.store.new_id(),
            device: device.to_owned(),
            who: ctx.principal.id().to_owned(),
            mode: request.mode,
            datastore: request.datastore,
            instance: request.instance,
            ttl: Duration::from_secs(request.ttl_seconds),
            created_at: self.inner.clock.wall(),
        };
        let row = new_row(ctx, &facts, &record);
        self.begin(ctx, &record, Leaving::TakenBack).await?;
        let (answer, receiver) = oneshot::channel();
        let opening = Opening {
            gateway: self.clone(),
            device: live,
            ground,
            facts,
            row: row.clone(),
            wait,
            deadline,
        };
        self.inner.tasks.spawn(opening.run(answer));
        let opened = receiver.await.unwrap_or_else(|_| {
            let words = "the gateway ended before the edit session was open";
            Err(on_device(Error::new(ErrorCode::Internal, words)).with_outcome(Outcome::NotApplied))
        });
        let handle = opened?;
        let session = record::view(row, Some(&handle));
        Ok(Planned::Done(ctx.ticket.answers(session)))
    }

    /// The edit sessions of a device, the newest first: those that are open, and those that ended lately. Role `read`.
    ///
    /// # Errors
    /// `not-found` for the device; `invalid-argument` for a page token of another list.
    pub async fn list_edit_sessions(
        &self,
        ctx: &CallContext,
        device: &str,
        request: ListRequest,
    ) -> Result<EditSessionList, Error> {
        ctx.principal.require(Role::Read)?;
        let size = super::devices::page_size(request.page_size)?;
        let (record, live) = self.device(device).await?;
        let page = self
            .inner
            .store
            .list_edit_sessions(&record.id, size, request.page_token.as_deref())
            .await
            .map_err(|error| self.store_error(error).with_device(device))?;
        let views = page.items.into_iter().map(|row| {
            let handle = live.edit_session(&row.id);
            record::view(row, handle.as_ref())
        });
        Ok(EditSessionList {
            edit_sessions: views.collect(),
            next_page_token: page.next_page_token,
        })
    }

    /// One edit session as it is now. Role `read`.
    ///
    /// # Errors
    /// `not-found`.
    pub async fn get_edit_session(
        &self,
        ctx: &CallContext,
        device: &str,
        id: &str,
    ) -> Result<EditSessionView, Error> {
        ctx.principal.require(Role::Read)?;
        let (record, live) = self.device(device).await?;
        let handle = live.edit_session(id);
        let row = self.edit_session_row(&record, id, handle.as_ref()).await?;
        Ok(record::view(row, handle.as_ref()))
    }

    /// Ends an edit session: what it did and did not commit is discarded (not in mode `shared`), what it holds is given
    /// back; when this returns, the device holds nothing of it. Role `configure`; its owner or an admin.
    ///
    /// # Errors
    /// `not-found`, `not-owner`; `edit-session-closed`, `-expired` or `-lost` when it had ended before.
    ///
    /// # Cancel safety
    /// It ends all the same.
    pub async fn delete_edit_session(
        &self,
        ctx: &CallContext,
        device: &str,
        id: &str,
        plan: bool,
    ) -> Result<Planned<()>, Error> {
        ctx.principal.require(Role::Configure)?;
        let used = self.use_edit_session(ctx, device, id).await?;
        if plan {
            let holds: Vec<Hold> = used.handle.status().holds.iter().collect();
            let steps = used.ground()?.release(used.handle.capabilities(), &holds);
            let steps = steps.map_err(|error| used.on_device(failure::unbuildable(&error)))?;
            return Ok(Planned::Plan(used.plan(&steps)));
        }
        self.begin(ctx, &used.record, Leaving::Finishes).await?;
        used.handle.stop(EditReason::Released);
        let status = used.handle.status();
        if status.reason != Some(EditReason::Released) {
            return Err(used.ended(RunError::Ended(Box::new(status))));
        }
        // An RPC of it may still run, for as long as a commit may.
        let deadline = self.deadline_beyond(ctx, &used.device, used.commit_time());
        let finished = tokio::time::timeout_at(deadline, used.handle.finished()).await;
        finished.map(Planned::Done).map_err(|_| {
            let words = "the edit session is closed, but has not given back yet what it holds";
            Error::new(ErrorCode::DeviceTimeout, words)
                .with_device(device)
                .with_outcome(Outcome::Unknown)
        })
    }

    /// Pushes the expiry. Role `configure`; its owner or an admin.
    ///
    /// # Errors
    /// As [`Self::delete_edit_session`].
    pub async fn renew_edit_session(
        &self,
        ctx: &CallContext,
        device: &str,
        id: &str,
    ) -> Result<EditSessionView, Error> {
        ctx.principal.require(Role::Configure)?;
        let used = self.use_edit_session(ctx, device, id).await?;
        used.handle.renew().map_err(|error| used.ended(error))?;
        Ok(used.view())
    }

    /// What an earlier process left behind is lost, whatever it was (L3).
    ///
    /// # Errors
    /// When the store cannot be used.
    pub(super) async fn settle_edit_sessions(&self) -> Result<(), Error> {
        let reason = EditReason::GatewayRestarted.as_str();
        let lost = self
            .inner
            .store
            .lose_edit_sessions(reason, record::warn_of_lost)
            .await;
        let lost = lost.map_err(|error| self.store_error(error))?;
        if lost > 0 {
            tracing::warn!(lost, "edit sessions were lost when the gateway ended");
        }
        Ok(())
    }

    /// Forgets edit sessions that ended long ago, now and then, until the gateway ends.
    pub(super) async fn forget_old_edit_sessions(self) {
        let kept = ::time::Duration::try_from(self.inner.edit_sessions_kept).unwrap_or(::time::Duration::MAX);
        loop {
            let now = self.inner.clock.wall();
            if let Some(before) = now.checked_sub(kept) {
                match self.inner.store.forget_edit_sessions(before).await {
                    Ok(0) => {}
                    Ok(forgotten) => tracing::info!(forgotten, "old edit sessions are forgotten"),
                    Err(error) => {
                        tracing::warn!(error = %error, "old edit sessions could not be forgotten");
                    }
                }
            }
            tokio::select! {
                () = self.inner.ending.cancelled() => return,
                () = tokio::time::sleep(LOOK.min(self.inner.edit_sessions_kept)) => {}
            }
        }
    }

    /// An open edit session that the caller may use (L1).
    async fn use_edit_session(&self, ctx: &CallContext, device: &str, id: &str) -> Result<Used, Error> {
        let (record, live) = self.device(device).await?;
        let handle = live.edit_session(id);
        let row = self.edit_session_row(&record, id, handle.as_ref()).await?;
        if row.owner != ctx.principal.id() && ctx.principal.role() < Role::Admin {
            return Err(not_owner(&record::view(row, handle.as_ref())));
        }
        match handle.filter(|handle| handle.status().state == EditState::Open) {
            Some(handle) => Ok(Used {
                device: live,
                record,
                row,
                handle,
            }),
            None => {
                // Its end may be younger than what was read.
                let handle = live.edit_session(id);
                let row = self.edit_session_row(&record, id, handle.as_ref()).await?;
                Err(gone(&record::view(row, handle.as_ref())))
            }
        }
    }

    /// What is stored of an edit session. One that is being opened is nobody's yet.
    async fn edit_session_row(
        &self,
        device: &DeviceRecord,
        id: &str,
        live: Option<&EditHandle>,
    ) -> Result<EditSessionRecord, Error> {
        let unknown = || {
            Error::new(ErrorCode::NotFound, format!("there is no edit session {id:?}"))
                .with_resource(Resource::EditSession(id.to_owned()))
                .with_device(device.name())
        };
        match self.inner.store.get_edit_session(&device.id, id).await {
            Ok(row) if row.state == OPENING && live.is_none() => Err(unknown()),
            Ok(row) => Ok(row),
            Err(StoreError::NotFound) => Err(unknown()),
            Err(error) => Err(self.store_error(error).with_device(device.name())),
        }
    }

    /// As [`Gateway::deadline`], for a call that takes so much longer than a read when its caller does not say.
    fn deadline_beyond(&self, ctx: &CallContext, device: &Device, longer: Duration) -> Instant {
        match ctx.deadline {
            Some(_) => self.deadline(ctx, device),
            None => self.deadline(ctx, device) + longer,
        }
    }
}

/// An edit session in use by a caller.
#[derive(Clone)]
struct Used {
    device: Arc<Device>,
    record: Arc<DeviceRecord>,
    row: EditSessionRecord,
    handle: EditHandle,
}

impl Used {
    fn view(&self) -> EditSessionView {
        record::view(self.row.clone(), Some(&self.handle))
    }

    fn on_device(&self, error: Error) -> Error {
        error.with_device(self.record.name())
    }

    fn commit_time(&self) -> Duration {
        Duration::from_secs(self.record.settings.timeouts.commit_seconds)
    }

    /// What its RPCs work on.
    fn ground(&self) -> Result<Ground, Error> {
        let facts = self.handle.facts();
        let wanted = Wanted {
            mode: facts.mode,
            datastore: facts.datastore,
            instance: facts.instance.as_deref(),
        };
        wanted
            .ground(self.handle.capabilities(), &self.record)
            .map_err(|error| self.on_device(error))
    }

    /// Why nothing was sent in it.
    fn ended(&self, error: RunError) -> Error {
        match error {
            RunError::Ended(_) => gone(&self.view()),
            RunError::NotHeld(error) => locks::not_held_now(&self.device, error),
            RunError::NotAdmitted => {
                let detail = "the call was taken back when its turn came";
                self.on_device(Error::new(ErrorCode::InvalidState, detail))
            }
        }
    }
}

/// How a caller wants to get at the configuration.
struct Wanted<'a> {
    mode: Mode,
    datastore: Datastore,
    instance: Option<&'a str>,
}

impl Wanted<'_> {
    fn ground(&self, capabilities: &Capabilities, record: &DeviceRecord) -> Result<Ground, Error> {
        let missing = |missing| failure::capability_missing(&missing);
        let copy = matches!(self.mode, Mode::Private | Mode::Ephemeral);
        if copy && self.datastore != Datastore::Candidate {
            return Err(Error::invalid(
                "/datastore",
                format!("the mode {} works beside the candidate only", self.mode.as_str()),
            ));
        }
        let ground = match self.datastore {
            Datastore::Candidate => {
                let ground = Ground::new(capabilities, self.mode, self.instance)?;
                if ground.target != Datastore::Candidate {
                    capabilities
                        .require(Capability::Candidate, "lock", "candidate")
                        .map_err(|error| missing(error).with_hint("the datastore running can be edited"))?;
                }
                ground
            }
            Datastore::Running | Datastore::Startup => {
                if self.instance.is_some() {
                    return Err(Error::invalid("/instance", "goes with the mode ephemeral only"));
                }
                self.datastore
                    .require(capabilities, "lock", "target")
                    .map_err(missing)?;
                Ground {
                    dialect: Dialect::Rfc,
                    mode: self.mode,
                    target: self.datastore,
                    instance: None,
                    skip_validate: false,
                    verify: Verify::Nothing,
                    confirm: None,
                }
            }
        };
        Ok(Ground {
            skip_validate: !record.settings.quirks.validate,
            verify: match record.settings.quirks.verify_after_commit {
                true => Verify::Whole,
                false => ground.verify,
            },
            ..ground
        })
    }
}

fn check_seconds(request: &OpenEditSession) -> Result<(), Error> {
    if request.ttl_seconds == 0 || request.ttl_seconds > LONGEST {
        let detail = format!("{} is not within 1 to {LONGEST}", request.ttl_seconds);
        return Err(Error::invalid("/ttl_seconds", detail));
    }
    if request.wait_seconds > LONGEST {
        let detail = format!("{} is more than {LONGEST}", request.wait_seconds);
        return Err(Error::invalid("/wait_seconds", detail));
    }
    Ok(())
}

fn new_row(ctx: &CallContext, facts: &EditFacts, record: &DeviceRecord) -> EditSessionRecord {
    EditSessionRecord {
        id: facts.id.clone(),
        device_id: record.id.clone(),
        device: facts.device.clone(),
        owner: facts.who.clone(),
        mode: facts.mode.as_str().to_owned(),
        datastore: facts.datastore.as_str().to_owned(),
        instance: facts.instance.clone(),
        session_id: 0,
        ttl_seconds: facts.ttl.as_secs(),
        state: OPENING.to_owned(),
        reason: None,
        request_id: Some(ctx.request_id.clone()),
        created_at: facts.created_at,
        expires_at: facts.created_at + facts.ttl,
        ended_at: None,
        warnings: "[]".to_owned(),
    }
}

/// L1: it is somebody else's.
fn not_owner(session: &EditSessionView) -> Error {
    let holder = LockHolder {
        session_id: Some(session.session_id),
        user: Some(session.owner.clone()),
        since: Some(session.create_time.clone()),
        ..LockHolder::default()
    };
    let detail = format!(
        "the edit session {} belongs to {} until {}",
        session.id, session.owner, session.expires_at
    );
    Error::new(ErrorCode::NotOwner, detail)
        .with_device(&session.device)
        .with_holder(holder)
}

/// It has ended.
fn gone(session: &EditSessionView) -> Error {
    let code = match EditState::from_name(&session.state) {
        Some(EditState::Expired) => ErrorCode::EditSessionExpired,
        Some(EditState::Lost) => ErrorCode::EditSessionLost,
        Some(EditState::Closed | EditState::Open) | None => ErrorCode::EditSessionClosed,
    };
    let when = session.end_time.as_deref().unwrap_or("lately");
    let detail = format!("the edit session {} ended {when}: {}", session.id, session.state);
    let error = Error::new(code, detail)
        .with_device(&session.device)
        .with_hint("open another one; what was not committed has to be edited again");
    match &session.reason {
        Some(reason) => error.with_reason(reason),
        None => error,
    }
}
