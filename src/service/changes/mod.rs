//! Changes: the nine steps of one write in one call (design section 6, S31).
//!
//! `state` is pure; `record` is what is known of a change, `journal` its account while it runs; `steps` goes through the
//! script, `locking` waits for its locks, `sending` sends it, `procedure` brings it to its end, for which its caller waits in
//! `awaited`; `scheduled` knows commits that the device makes later; `resolve` finds out what became of a lost reply, and
//! `saving` does then what should have followed.

mod awaited;
mod instance;
mod journal;
mod leftovers;
mod locking;
mod operation;
mod patience;
mod procedure;
mod record;
mod recorded;
mod resolve;
mod resolving;
mod saving;
mod scheduled;
mod sending;
mod state;
mod steps;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use self::awaited::Awaited;
use self::patience::Patience;
use self::procedure::Procedure;
pub(super) use self::record::Running;
use self::record::{Change, Document};
pub(super) use self::recorded::{NewCommit, Recorded};
pub(super) use self::resolving::Resolving;
pub(super) use self::scheduled::Gone;
pub(super) use self::state::State;
use super::Gateway;
use super::call::{CallContext, Role};
use super::confirmed;
use super::edit::commit::marker;
use super::edit::ground::{Ground, Verify};
use super::edit::request::{ChangeRequest, EditBody, ListChanges, Mode};
use super::edit::script::{self, Script};
use super::edit::view::{ChangeList, ChangeView, Planned, RpcErrorView};
use super::time;
use super::view::Plan;
use super::{failure, prepare};
use crate::device::errand;
use crate::error::{Error, ErrorCode, Outcome, Resource};
use crate::netconf::capability::Capabilities;
use crate::store::{ChangeRecord, DeviceRecord, StoreError};

/// The longest wait for a lock.
const LONGEST_WAIT: u64 = 3600;
/// How long a change that has ended is kept.
const KEPT: ::time::Duration = ::time::Duration::days(7);
/// How often old ones are looked for.
const LOOK: Duration = Duration::from_secs(3600);
/// Rows looked at together when the gateway starts.
const SOME: u32 = 100;

impl Gateway {
    /// Makes a change: session, lock or open, edits, validate, difference, commit, save, unlock or close. Role
    /// `configure`. Runs to its end, whether or not the caller waits; `Done` is the finished change (201 with `Location`), in
    /// state `committed`, `unchanged`, `scheduled`, or, after a dry run, `discarded`.
    ///
    /// # Errors
    /// What failed, with `change_id`, `step`, `outcome`, the device's rpc-errors and, for a refused lock, `reason`,
    /// `holder` and the difference that is in the way; whatever had been done is undone then, unless the outcome is
    /// `unknown`. `invalid-argument` with pointers into the body, and `capability-missing`, before anything is sent;
    /// these have no change.
    ///
    /// With a probe the answer waits for what that leads to: `confirmed`, `cancelled`, `rolled_back`; at the caller's
    /// deadline it is told as it is then.
    ///
    /// # Cancel safety
    /// A dropped call ends a change of which nothing is edited yet: what it has taken on the device is given back. Any other
    /// runs on, and its record tells what came of it.
    pub async fn create_change(
        &self,
        ctx: &CallContext,
        device: &str,
        request: ChangeRequest,
    ) -> Result<Planned<ChangeView>, Error> {
        ctx.principal.require(Role::Configure)?;
        let on_device = |error: Error| error.with_device(device);
        if request.wait_seconds > LONGEST_WAIT {
            let detail = format!("{} is more than {LONGEST_WAIT}", request.wait_seconds);
            return Err(on_device(Error::invalid("/wait_seconds", detail)));
        }
        let (record, live) = self.device(device).await?;
        if request.commit.confirm_others {
            ctx.principal.require(Role::Admin)?;
        }
        let confirms = request.commit.confirm_timeout_seconds;
        if let Some(seconds) = confirms {
            let least = self.least_confirm_timeout(device);
            confirmed::check_timeout(seconds, least, "/commit/confirm_timeout_seconds").map_err(on_device)?;
        }
        let probe = request.probe.as_ref();
        let probe = probe.map(|probe| self.probe(&record, probe, confirms.is_some()));
        let probe = probe.transpose().map_err(on_device)?;
        if !request.plan {
            self.accepting()?;
            self.nothing_is_open(&record)?;
        }
        let started = Instant::now();
        let shown = live
            .established(ctx.principal.id(), self.deadline(ctx, &live))
            .await
            .map_err(failure::device)?;
        let id = self.inner.store.new_id();
        let writer = Writer {
            gateway: self.clone(),
            request: Arc::new(request),
            quirks: (
                record.settings.quirks.validate,
                record.settings.quirks.verify_after_commit,
            ),
            marker: marker(&id, ctx.principal.id()),
        };
        let capabilities = live.offered(&shown);
        let script = writer.script(&capabilities).await.map_err(on_device)?;
        if let (Some(probe), Some(confirm)) = (&probe, &script.ground.confirm) {
            let checked = self.check_probe_time(device, probe, confirm.timeout.rfc());
            checked.map_err(on_device)?;
        }
        if writer.request.plan {
            let probed = probe.map(|probe| probe.rpc);
            return Ok(Planned::Plan(Plan {
                device: device.to_owned(),
                rpcs: script.plan().into_iter().chain(probed).collect(),
            }));
        }
        let patience = patience(ctx, &record, &writer.request, started);
        let change = new_change(id, ctx, &record, &script, &writer);
        let asked_of = record.clone();
        let mut answer = {
            let change_id = change.row.id.clone();
            let journal = self.open_unless_scheduled(ctx, &record, &live, change).await?;
            let (sender, receiver) = oneshot::channel();
            let procedure = Procedure {
                device: live,
                record,
                request: writer.request.clone(),
                probe,
                script,
                capabilities,
                again: Box::new(move |capabilities| writer.write(capabilities)),
                journal,
                patience,
            };
            let (tasks, job) = (self.inner.tasks.clone(), procedure.run(sender));
            Awaited {
                gateway: self.clone(),
                device: device.to_owned(),
                change_id,
                running: Box::pin(async move { errand::run(&tasks, job, receiver).await }),
            }
        };
        let change = answer.within(patience.deadline).await?;
        let probed = self
            .probed(&asked_of, change.confirmed_commit.as_ref(), patience.deadline)
            .await?;
        Ok(Planned::Done(probed.unwrap_or(change)))
    }

    /// The changes of a device, the newest first. Role `read`.
    ///
    /// # Errors
    /// `not-found` for the device; `invalid-argument` for a state that does not exist and for a page token of another
    /// list.
    pub async fn list_changes(
        &self,
        ctx: &CallContext,
        device: &str,
        request: ListChanges,
    ) -> Result<ChangeList, Error> {
        ctx.principal.require(Role::Read)?;
        let size = super::devices::page_size(request.page_size)?;
        let state = match &request.state {
            None => None,
            Some(text) => Some(State::parse(text).ok_or_else(|| {
                let words = State::ALL.map(State::as_str).join(", ");
                Error::invalid("?state", format!("{text:?} is none of {words}"))
            })?),
        };
        let record = self.record(device).await?;
        let page = self
            .inner
            .store
            .list_changes(
                &record.id,
                state.map(State::as_str),
                size,
                request.page_token.as_deref(),
            )
            .await
            .map_err(|error| self.store_error(error).with_device(device))?;
        let changes = page.items.into_iter().map(|row| self.change_view(row));
        Ok(ChangeList {
            changes: changes.collect::<Result<_, _>>()?,
            next_page_token: page.next_page_token,
        })
    }

    /// One change as it is now, running or finished. Role `read`.
    ///
    /// # Errors
    /// `not-found`.
    pub async fn get_change(&self, ctx: &CallContext, device: &str, id: &str) -> Result<ChangeView, Error> {
        ctx.principal.require(Role::Read)?;
        let record = self.record(device).await?;
        self.change_now(&record, id).await
    }

    /// One change of this device as it is now.
    ///
    /// # Errors
    /// `not-found`.
    pub(super) async fn change_now(&self, device: &DeviceRecord, id: &str) -> Result<ChangeView, Error> {
        let row = self.stored_change(device, id).await?;
        self.change_view(row)
    }

    async fn stored_change(&self, device: &DeviceRecord, id: &str) -> Result<ChangeRecord, Error> {
        let found = self.inner.store.get_change(&device.id, id).await;
        found.map_err(|error| match error {
            StoreError::NotFound => Error::new(ErrorCode::NotFound, format!("there is no change {id:?}"))
                .with_resource(Resource::Change(id.to_owned()))
                .with_device(device.name()),
            other => self.store_error(other).with_device(device.name()),
        })
    }

    fn change_view(&self, row: ChangeRecord) -> Result<ChangeView, Error> {
        self.known_change(row).map(|change| change.view())
    }

    /// What runs is further than what is stored; so is what became of a commit that waited to be confirmed, where the
    /// database does not take it.
    fn known_change(&self, row: ChangeRecord) -> Result<Change, Error> {
        if let Some(running) = self.inner.changes.get(&row.id) {
            return Ok(running);
        }
        let mut change = read_row(row)?;
        let guarded = change.document.confirmed_commit_id.as_deref();
        let known = guarded.and_then(|id| self.inner.confirmed.state_of(id));
        let handed_over = matches!(change.state, State::PendingConfirm | State::Unknown);
        if let Some((state, outcome)) = known.and_then(after)
            && handed_over
            && state != State::PendingConfirm
            && change.state.leads_to(state)
        {
            change.enter(state)?;
            change.set_outcome(outcome);
        }
        Ok(change)
    }

    /// What an earlier process left behind, as it is told from now on (conventions D1): its sessions have ended, and
    /// with them what was not committed.
    ///
    /// # Errors
    /// When the store cannot be used.
    pub(super) async fn settle_changes(&self) -> Result<(), Error> {
        for state in State::ALL {
            let Some(then) = state.left_behind() else { continue };
            loop {
                let rows = self.inner.store.changes_in(state.as_str(), "", SOME).await;
                let rows = rows.map_err(|error| self.store_error(error))?;
                if rows.is_empty() {
                    break;
                }
                for row in rows {
                    self.settle_change(row, then).await?;
                }
            }
        }
        Ok(())
    }

    async fn settle_change(&self, row: ChangeRecord, then: State) -> Result<(), Error> {
        let outcome = match then {
            State::Unknown => Outcome::Unknown,
            _ => Outcome::NotApplied,
        };
        let words = "the gateway ended before the change did";
        let error = Error::new(ErrorCode::Internal, words).with_reason("gateway_restarted");
        let mut row = match Change::of(row.clone()) {
            Some(mut change) => {
                let begun = change.document.steps.last().filter(|last| last.is_begun());
                let error = match begun {
                    Some(step) => error.with_step(&step.name),
                    None => error,
                };
                change.enter(then)?;
                change.set_outcome(outcome);
                change.end_begun(outcome);
                change.set_error(&error);
                if change.row.mode == Mode::Shared.as_str() && outcome == Outcome::NotApplied {
                    let words = "what it had edited, if anything, stays in the shared candidate, for everybody to \
                                 commit or discard";
                    change.document.warnings.push(RpcErrorView::warning(words));
                }
                change.to_row()
            }
            // Nothing but its columns can be told.
            None => ChangeRecord {
                state: then.as_str().to_owned(),
                outcome: Some(outcome.as_str().to_owned()),
                ..row
            },
        };
        let stored = self.inner.store.update_change(&mut row).await;
        stored.map_err(|error| self.store_error(error))
    }

    /// The change that made a confirmed commit, as it is when that is in this state. `None`: it says so already, or is
    /// not there any more. `taken_over`: its probe decides nothing about it any more.
    ///
    /// # Errors
    /// When the store cannot be used.
    pub(super) async fn change_of_confirmed(
        &self,
        device_id: &str,
        id: &str,
        state: confirmed::State,
        taken_over: bool,
    ) -> Result<Option<ChangeRecord>, Error> {
        let row = match self.inner.store.get_change(device_id, id).await {
            Ok(row) => row,
            Err(StoreError::NotFound) => return Ok(None),
            Err(error) => return Err(self.store_error(error)),
        };
        let mut change = read_row(row)?;
        let (state, outcome) = match after(state) {
            Some(after) => after,
            // An order is being sent, so it waits.
            None if change.state.is_running() => (State::PendingConfirm, Outcome::Applied),
            None => return Ok(None),
        };
        if change.state == state {
            return Ok(None);
        }
        if change.state == State::PendingConfirm && taken_over {
            // The call that asked for it has been told as ended (H7).
            change.document.probed = false;
        }
        let mut passed = Vec::new();
        // That it was made is not stored yet, and whoever sees to that finds it done.
        if change.state.is_running() && state != State::Unknown {
            change.enter(State::PendingConfirm)?;
            if state != State::PendingConfirm {
                passed.push(State::PendingConfirm.as_str().to_owned());
            }
        }
        if change.state != state && !change.state.leads_to(state) {
            let (was, now) = (change.state.as_str(), state.as_str());
            tracing::error!(
                change = id,
                was,
                now,
                "a change has ended otherwise than its confirmed commit"
            );
            return Ok(None);
        }
        if change.state != state {
            change.enter(state)?;
        }
        change.set_outcome(outcome);
        Ok(Some(ChangeRecord {
            passed,
            ..change.to_row()
        }))
    }

    /// A change whose commit the device never made, or has undone, as it is then; with its confirmed commit, if there is a
    /// record of one. `None`: it has ended already, or is not there any more.
    ///
    /// # Errors
    /// When the store cannot be used.
    pub(super) async fn change_not_there(
        &self,
        device_id: &str,
        id: &str,
        confirmed_commit_id: Option<String>,
    ) -> Result<Option<ChangeRecord>, Error> {
        let row = match self.inner.store.get_change(device_id, id).await {
            Ok(row) => row,
            Err(StoreError::NotFound) => return Ok(None),
            Err(error) => return Err(self.store_error(error)),
        };
        let mut change = read_row(row)?;
        if !change.state.leads_to(State::Failed) {
            return Ok(None);
        }
        change.enter(State::Failed)?;
        change.set_outcome(Outcome::NotApplied);
        change.document.confirmed_commit_id = confirmed_commit_id;
        Ok(Some(change.to_row()))
    }

    /// Forgets changes that ended long ago, now and then, until the gateway ends.
    pub(super) async fn forget_old_changes(self) {
        loop {
            let before = self.inner.clock.wall() - KEPT;
            let kept = [State::Scheduled.as_str(), State::PendingConfirm.as_str()];
            match self.inner.store.delete_changes_before(before, &kept).await {
                Ok(0) => {}
                Ok(forgotten) => tracing::info!(forgotten, "old changes are forgotten"),
                Err(error) => tracing::warn!(error = %error, "old changes could not be forgotten"),
            }
            tokio::select! {
                () = self.inner.ending.cancelled() => return,
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }
}

/// What the state of a confirmed commit means for the change that made it. `None`: an order is being sent.
fn after(state: confirmed::State) -> Option<(State, Outcome)> {
    match state {
        confirmed::State::Confirming | confirmed::State::Cancelling => None,
        confirmed::State::Pending => Some((State::PendingConfirm, Outcome::Applied)),
        confirmed::State::Confirmed => Some((State::Confirmed, Outcome::Applied)),
        confirmed::State::Cancelled => Some((State::Cancelled, Outcome::NotApplied)),
        confirmed::State::RolledBack => Some((State::RolledBack, Outcome::NotApplied)),
        confirmed::State::Kept => Some((State::Kept, Outcome::Applied)),
        confirmed::State::Unknown => Some((State::Unknown, Outcome::Unknown)),
    }
}

fn read_row(row: ChangeRecord) -> Result<Change, Error> {
    let id = row.id.clone();
    Change::of(row).ok_or_else(|| {
        Error::new(
            ErrorCode::Internal,
            format!("the stored row of change {id} is damaged"),
        )
    })
}

/// Turns a request into RPCs.
#[derive(Clone)]
struct Writer {
    gateway: Gateway,
    request: Arc<ChangeRequest>,
    /// `validate` and `verify_after_commit`.
    quirks: (bool, bool),
    marker: String,
}

impl Writer {
    fn write(&self, capabilities: &Capabilities) -> Result<Script, Error> {
        let mode = script::mode_of(capabilities, &self.request);
        let mut ground = Ground::new(capabilities, mode, self.request.instance.as_deref())?;
        let (validate, verify) = self.quirks;
        ground.skip_validate = !validate;
        if verify {
            ground.verify = Verify::Whole;
        }
        if let Some(seconds) = self.request.commit.confirm_timeout_seconds {
            ground.confirm =
                Some(
                    self.gateway
                        .confirm(capabilities, seconds, "/commit", self.request.plan)?,
                );
        }
        script::change(
            ground,
            capabilities,
            &self.gateway.inner.urls,
            &self.request,
            &self.marker,
        )
    }

    /// As [`Self::write`], beside the threads that serve everybody if there is much to convert.
    async fn script(&self, capabilities: &Arc<Capabilities>) -> Result<Script, Error> {
        let length = |body: &EditBody| match body {
            EditBody::Config(text) => text.len(),
            EditBody::Url(_) | EditBody::Rollback(_) | EditBody::Rescue | EditBody::ReplacePattern { .. } => {
                0
            }
        };
        let bytes: usize = self.request.edits.iter().map(|edit| length(&edit.body)).sum();
        let (writer, capabilities) = (self.clone(), capabilities.clone());
        prepare::beside(bytes, move || writer.write(&capabilities)).await
    }
}

fn patience(ctx: &CallContext, record: &DeviceRecord, request: &ChangeRequest, started: Instant) -> Patience {
    let timeouts = &record.settings.timeouts;
    Patience {
        deadline: ctx
            .deadline
            .map(|wanted| started + wanted.min(super::LONGEST_DEADLINE)),
        rpc: Duration::from_secs(timeouts.rpc_seconds),
        commit: Duration::from_secs(timeouts.commit_seconds),
        wait: Duration::from_secs(request.wait_seconds),
    }
}

fn new_change(
    id: String,
    ctx: &CallContext,
    record: &DeviceRecord,
    script: &Script,
    writer: &Writer,
) -> Change {
    let warnings = script.warnings.iter().map(RpcErrorView::warning);
    Change {
        row: ChangeRecord {
            id,
            device_id: record.id.clone(),
            device: record.name().to_owned(),
            owner: ctx.principal.id().to_owned(),
            mode: script.ground.mode.as_str().to_owned(),
            state: State::Preparing.as_str().to_owned(),
            outcome: None,
            reason: None,
            request_id: Some(ctx.request_id.clone()),
            created_at: time::EPOCH,
            updated_at: time::EPOCH,
            passed: Vec::new(),
            document: Vec::new(),
        },
        state: State::Preparing,
        document: Document {
            dry_run: writer.request.dry_run,
            undo_guaranteed: script.undo_guaranteed,
            warnings: warnings.collect(),
            marker: writer.marker.clone(),
            instance: script.ground.instance.clone(),
            ..Document::default()
        },
    }
}
