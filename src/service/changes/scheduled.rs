//! Commits that the device makes later (conventions E6): they keep other commits out, are called off on request, and
//! end by what the device's history says, which is looked at now and then.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::Instant;

use super::journal::store_later;
use super::read_row;
use super::record::Change;
use super::state::State;
use crate::device::{Device, Request};
use crate::error::{Error, ErrorCode, Outcome};
use crate::netconf::junos::commit_information::CommitInformation;
use crate::service::Gateway;
use crate::service::call::{CallContext, Role};
use crate::service::continuity;
use crate::service::edit::ground;
use crate::service::edit::view::{ChangeView, Planned};
use crate::service::failure::{self, Asked};
use crate::service::history;
use crate::service::operations::Leaving;
use crate::store::{ChangeRecord, DeviceRecord};

/// Between looks at the devices that are to commit later.
const LOOK: Duration = Duration::from_secs(60);
/// Rows looked at together; the others have their turn when these have ended.
const SOME: u32 = 100;
/// Devices asked at a time.
const AT_A_TIME: usize = 16;

/// Scheduled commits of one device that are looked at: there is one, and those that went by unseen.
const MOST_SCHEDULED: u32 = 10;

impl Gateway {
    /// Calls a scheduled commit off (conventions E6). Role `configure`; its owner or an admin. Gives the change, then
    /// in state `cancelled`.
    ///
    /// # Errors
    /// `not-found`, `not-owner`; `invalid-state` for a change that is not scheduled (any more); the device's refusal.
    pub async fn cancel_change(
        &self,
        ctx: &CallContext,
        device: &str,
        id: &str,
        plan: bool,
    ) -> Result<Planned<ChangeView>, Error> {
        ctx.principal.require(Role::Configure)?;
        let (record, live) = self.device(device).await?;
        let mut change = read_row(self.stored_change(&record, id).await?)?;
        if change.row.owner != ctx.principal.id() && ctx.principal.role() < Role::Admin {
            let detail = format!("the change belongs to {}", change.row.owner);
            return Err(Error::new(ErrorCode::NotOwner, detail)
                .with_device(device)
                .with_change_id(id));
        }
        if plan {
            let build = |caps: &_| ground::clear_scheduled(caps).map(|step| step.rpc);
            return self.plan(ctx, device, &live, build).await.map(Planned::Plan);
        }
        self.accepting()?;
        self.nothing_is_open(&record)?;
        if change.state == State::Scheduled {
            let history = self.commit_history(ctx, &record, &live).await?;
            self.settle_scheduled(&mut change, &history).await?;
        }
        if change.state != State::Scheduled {
            return Err(not_scheduled(&change));
        }
        self.begin(ctx, &record, Leaving::Finishes).await?;
        let request = Request {
            selection: None,
            ..Request::new(|caps| ground::clear_scheduled(caps).map(|step| step.rpc))
        };
        let raw = live
            .single_use(ctx.principal.id(), self.deadline(ctx, &live), request)
            .await
            .map_err(|error| failure::device(error).with_change_id(id))?;
        if raw.scan.is_error() {
            let error = failure::refused(device, raw.session_id, raw.scan.errors, Asked::Write);
            return Err(error
                .with_message(Some(raw.session_id), Some(raw.message_id))
                .with_change_id(id));
        }
        // Between the look before and this the device may have made it; then there was nothing to call off.
        let history = self.commit_history(ctx, &record, &live).await;
        let history = history.map_err(|error| {
            let words = format!(
                "whether the device had made it is not known yet: {}",
                error.detail()
            );
            Error::new(ErrorCode::OutcomeUnknown, words)
                .with_outcome(Outcome::Unknown)
                .with_device(device)
                .with_change_id(id)
        })?;
        self.settle_scheduled(&mut change, &history).await?;
        if change.state != State::Cancelled {
            return Err(not_scheduled(&change).with_outcome(Outcome::NotApplied));
        }
        Ok(Planned::Done(ctx.ticket.answers(change.view())))
    }

    /// Finds out, now and then, what became of the commits that devices were to make later, until the gateway ends.
    pub(in crate::service) async fn look_after_scheduled_commits(self) {
        let gone = Gone::default();
        loop {
            tokio::select! {
                () = self.inner.ending.cancelled() => return,
                () = tokio::time::sleep(LOOK) => {}
            }
            tokio::select! {
                () = self.inner.ending.cancelled() => return,
                looked = self.look_at_scheduled_commits(&gone) => {
                    if let Err(error) = looked {
                        tracing::warn!(error = %error, "scheduled commits could not be looked at");
                    }
                }
            }
        }
    }

    async fn look_at_scheduled_commits(&self, gone: &Gone) -> Result<(), Error> {
        let rows = self
            .inner
            .store
            .changes_in(State::Scheduled.as_str(), "", SOME)
            .await;
        let rows = rows.map_err(|error| self.store_error(error))?;
        gone.keep(&rows);
        let mut of_devices: BTreeMap<String, Vec<ChangeRecord>> = BTreeMap::new();
        for row in rows {
            of_devices.entry(row.device.clone()).or_default().push(row);
        }
        let all: Vec<_> = of_devices.into_iter().collect();
        for some in all.chunks(AT_A_TIME) {
            let looks = some.iter().map(|(device, rows)| async move {
                if let Err(error) = self.look_at_scheduled_of(device, rows, gone).await {
                    tracing::debug!(device, error = %error, "what became of a scheduled commit is not known yet");
                }
            });
            join_all(looks).await;
        }
        Ok(())
    }

    async fn look_at_scheduled_of(
        &self,
        name: &str,
        rows: &[ChangeRecord],
        gone: &Gone,
    ) -> Result<(), Error> {
        let (record, live) = self.device(name).await?;
        let deadline = Instant::now() + live.settings().rpc_timeout;
        let Some(first) = rows.iter().find(|row| row.device_id == record.id) else {
            return Ok(());
        };
        let history = history::read(&record, &live, &first.owner, deadline).await?;
        let commit_time = Duration::from_secs(record.settings.timeouts.commit_seconds);
        for row in rows.iter().filter(|row| row.device_id == record.id) {
            // It may have been called off meanwhile.
            let mut change = read_row(self.stored_change(&record, &row.id).await?)?;
            if change.state == State::Scheduled
                && (is_made(&change, &history) || gone.for_long(&change, &history, commit_time))
            {
                self.settle_scheduled(&mut change, &history).await?;
            }
        }
        Ok(())
    }

    /// Refuses while a change of the device runs, or waits for its time there: without the device nobody could tell
    /// what became of it, or call it off.
    ///
    /// # Errors
    /// `invalid-state`.
    pub(in crate::service) async fn no_change_under_way(&self, record: &DeviceRecord) -> Result<(), Error> {
        const UNDER_WAY: [State; 6] = [
            State::Preparing,
            State::Editing,
            State::Validated,
            State::Committing,
            State::Scheduled,
            State::PendingConfirm,
        ];
        for state in UNDER_WAY {
            let found = self
                .inner
                .store
                .changes_of_in(&record.id, state.as_str(), 1)
                .await;
            let found = found.map_err(|error| self.store_error(error))?;
            // What runs is further than what is stored.
            let found = found.into_iter().find_map(|row| {
                let state = self
                    .inner
                    .changes
                    .get(&row.id)
                    .map_or(state, |change| change.state);
                UNDER_WAY.contains(&state).then_some((row.id, state))
            });
            if let Some((id, state)) = found {
                return Err(
                    under_way(record, &id, state).with_hint("wait for its end, or call it off with cancel")
                );
            }
        }
        Ok(())
    }

    /// Refuses while a change is at work on the device.
    ///
    /// # Errors
    /// `invalid-state`.
    pub(in crate::service) fn no_change_at_work(&self, record: &DeviceRecord) -> Result<(), Error> {
        match self.inner.changes.at_work(&record.id) {
            Some((id, state)) => Err(under_way(record, &id, state).with_hint("wait for its end")),
            None => Ok(()),
        }
    }

    /// Refuses while the device is to make another commit (E6).
    ///
    /// # Errors
    /// `commit-scheduled`; why the device's history cannot be read, if a commit was scheduled.
    pub(in crate::service) async fn no_scheduled_commit(
        &self,
        ctx: &CallContext,
        record: &DeviceRecord,
        device: &Device,
    ) -> Result<(), Error> {
        let state = State::Scheduled.as_str();
        let scheduled = self
            .inner
            .store
            .changes_of_in(&record.id, state, MOST_SCHEDULED)
            .await
            .map_err(|error| self.store_error(error))?;
        if scheduled.is_empty() {
            return Ok(());
        }
        let history = self.commit_history(ctx, record, device).await?;
        for row in scheduled {
            let mut change = read_row(row)?;
            self.settle_scheduled(&mut change, &history).await?;
            if change.state == State::Scheduled {
                let at = change
                    .document
                    .scheduled
                    .map_or_else(String::new, |scheduled| format!(" at {}", scheduled.at));
                let detail = format!("the device will commit the change {}{at} first", change.row.id);
                return Err(Error::new(ErrorCode::CommitScheduled, detail)
                    .with_device(record.name())
                    .with_hint("its owner or an admin calls it off with cancel"));
            }
        }
        Ok(())
    }

    pub(in crate::service) async fn commit_history(
        &self,
        ctx: &CallContext,
        record: &DeviceRecord,
        device: &Device,
    ) -> Result<CommitInformation, Error> {
        history::read(record, device, ctx.principal.id(), self.deadline(ctx, device)).await
    }

    /// What has become of a scheduled commit: made, when the history has it; called off elsewhere, when the device
    /// neither made it nor is going to; unknown, when that is another device, or its history is too short.
    async fn settle_scheduled(&self, change: &mut Change, history: &CommitInformation) -> Result<(), Error> {
        if is_made(change, history) {
            return self
                .end_scheduled(change, State::Committed, Outcome::Applied)
                .await;
        }
        if history.scheduled.is_some() {
            return Ok(());
        }
        if !continuity::goes_on(history, change.document.evidence.newest.as_ref()) {
            change.document.seen = Some(continuity::ANOTHER.to_owned());
            change.document.given_up = true;
            return self.end_scheduled(change, State::Unknown, Outcome::Unknown).await;
        }
        self.end_scheduled(change, State::Cancelled, Outcome::NotApplied)
            .await
    }

    async fn end_scheduled(&self, change: &mut Change, state: State, outcome: Outcome) -> Result<(), Error> {
        change.enter(state)?;
        change.set_outcome(outcome);
        let mut row = change.to_row();
        match self.inner.store.update_change(&mut row).await {
            Ok(()) => change.row.updated_at = row.updated_at,
            Err(error) => {
                let id = &change.row.id;
                tracing::error!(change = id, error = %error, "the end of a scheduled commit is not stored yet");
                // Whoever asked has been told by the device. One task is enough for each.
                if self.inner.changes.get(id).is_none() {
                    store_later(self, change, change.to_row(), |stored| stored == State::Scheduled);
                }
            }
        }
        Ok(())
    }
}

fn under_way(record: &DeviceRecord, change_id: &str, state: State) -> Error {
    let detail = format!("the change {change_id} is {}", state.as_str());
    Error::new(ErrorCode::InvalidState, detail)
        .with_device(record.name())
        .with_change_id(change_id)
}

fn is_made(change: &Change, history: &CommitInformation) -> bool {
    let marker = &change.document.marker;
    history.entries.iter().any(|entry| entry.mentions(marker))
}

/// Since when devices neither have made a commit nor are going to: while they make it, they may say neither.
#[derive(Debug, Default)]
struct Gone(Mutex<HashMap<String, Instant>>);

impl Gone {
    /// Whether that was so for as long as a commit may take.
    fn for_long(&self, change: &Change, history: &CommitInformation, commit_time: Duration) -> bool {
        // Every change under the lock is complete in itself.
        let mut since = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if history.scheduled.is_some() {
            since.remove(&change.row.id);
            return false;
        }
        let now = Instant::now();
        let begin = *since.entry(change.row.id.clone()).or_insert(now);
        let long = now.saturating_duration_since(begin) >= commit_time;
        if long {
            since.remove(&change.row.id);
        }
        long
    }

    /// Forgets all but these.
    fn keep(&self, rows: &[ChangeRecord]) {
        let mut since = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        since.retain(|id, _| rows.iter().any(|row| row.id == *id));
    }
}

fn not_scheduled(change: &Change) -> Error {
    let detail = format!("the change is {}", change.state.as_str());
    Error::new(ErrorCode::InvalidState, detail)
        .with_device(&change.row.device)
        .with_change_id(&change.row.id)
}
