//! Commits that the device makes later (conventions E6): they keep other commits out, are called off on request, and
//! end by what the device's history says, which is looked at now and then.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::Instant;

use super::journal::{Journal, store_later};
use super::read_row;
use super::record::Change;
use super::state::State;
use crate::device::{Device, Request};
use crate::error::{Error, ErrorCode, Outcome};
use crate::netconf::capability::Capabilities;
use crate::netconf::junos::commit_information::CommitInformation;
use crate::service::Gateway;
use crate::service::call::{CallContext, Role};
use crate::service::confirmed::Came;
use crate::service::continuity;
use crate::service::edit::ground;
use crate::service::edit::view::{ChangeView, Planned};
use crate::service::failure::{self, Asked};
use crate::service::history;
use crate::service::locks;
use crate::service::operations::Leaving;
use crate::session::RawReply;
use crate::store::{ChangeRecord, DeviceRecord, StoreError};

/// Between looks at the devices that are to commit later.
const LOOK: Duration = Duration::from_secs(60);
/// How much longer than a commit may take it is found out whether one was called off: a look is made now and then, and one
/// that the device neither has made nor is going to make counts only after the time of a commit.
const BEYOND: Duration = Duration::from_secs(300);
/// Rows looked at together; the others have their turn when these have ended.
const SOME: u32 = 100;
/// Devices asked at a time.
const AT_A_TIME: usize = 16;

/// Bytes that a device may take to say what it called off.
const MOST_WORDS: u64 = 64 << 10;
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
            // Around it the device is asked whether it made the commit.
            let scheduled = change.state == State::Scheduled;
            let build = |caps: &Capabilities| {
                let look = || history::step(caps, false).map(|step| step.rpc);
                let mut rpcs = Vec::new();
                if scheduled {
                    rpcs.push(look()?);
                }
                rpcs.push(ground::clear_scheduled(caps)?.rpc);
                rpcs.push(look()?);
                Ok(rpcs)
            };
            return self.plan(ctx, device, &live, build).await.map(Planned::Plan);
        }
        self.accepting()?;
        self.nothing_is_open(&record)?;
        if change.state == State::Scheduled {
            let history = self.commit_history(ctx, &record, &live).await?;
            self.settle_scheduled(&record, &mut change, &history).await?;
        }
        if change.state != State::Scheduled {
            return Err(not_scheduled(&change));
        }
        self.begin_about(ctx, &record, id, Leaving::Finishes).await?;
        let request = Request {
            selection: None,
            ..Request::new(|caps| ground::clear_scheduled(caps).map(|step| step.rpc))
        };
        let raw = live
            .single_use_past_holders(ctx.principal.id(), self.deadline(ctx, &live), request)
            .await
            .map_err(|error| locks::not_served(&live, error).with_change_id(id))?;
        if raw.scan.is_error() {
            let error = failure::refused(device, raw.session_id, raw.scan.into_errors(), Asked::Write);
            return Err(error
                .with_message(Some(raw.session_id), Some(raw.message_id))
                .with_change_id(id));
        }
        let unknown = |why: &str| {
            let words = format!("whether the device had made it is not known yet: {why}");
            Error::new(ErrorCode::OutcomeUnknown, words)
                .with_outcome(Outcome::Unknown)
                .with_device(device)
                .with_change_id(id)
                .with_hint("the record of the change tells when it is known")
        };
        // Between the look before and this the device may have made it; then there was nothing to call off.
        let history = self.commit_history(ctx, &record, &live).await;
        let history = history.map_err(|error| unknown(error.detail()))?;
        if was_called_off(&raw) && !is_made(&change, &history) {
            self.end_scheduled(&mut change, State::Cancelled, Outcome::NotApplied)
                .await?;
        } else {
            self.settle_scheduled(&record, &mut change, &history).await?;
        }
        if change.state == State::Scheduled {
            return Err(unknown("it had nothing to call off, and may be making it"));
        }
        if change.state != State::Cancelled {
            return Err(not_scheduled(&change).with_outcome(Outcome::NotApplied));
        }
        Ok(Planned::Done(ctx.ticket.answers(change.view())))
    }

    /// What came of an order to call a scheduled commit off, by the record of its change. `stays`: the device was seen to
    /// be going to make it after all; `since`: how long ago the order was over for its caller.
    ///
    /// # Errors
    /// When the store cannot be used.
    pub(in crate::service) async fn came_of_cancelling(
        &self,
        change_id: &str,
        stays: bool,
        since: Duration,
    ) -> Result<Came<Box<ChangeView>>, Error> {
        // What is known here is further than what is stored.
        let change = match self.inner.changes.get(change_id) {
            Some(change) => change,
            None => match self.inner.store.find_change(change_id).await {
                Ok(row) => read_row(row)?,
                Err(StoreError::NotFound) => {
                    return Ok(Came::Untold("the change is not on record any more".to_owned()));
                }
                Err(error) => return Err(self.store_error(error)),
            },
        };
        let is = format!("the change is {}", change.state.as_str());
        let commit_time = match self.device(&change.row.device).await {
            Ok((record, _)) => Duration::from_secs(record.settings.timeouts.commit_seconds),
            Err(_) => Duration::ZERO,
        };
        Ok(match change.state {
            State::Cancelled => Came::Done(Box::new(change.view())),
            State::Scheduled if stays => Came::Not(format!("{is}, and the device is going to make it")),
            State::Scheduled if since < commit_time + BEYOND => Came::Wait,
            State::Scheduled | State::Unknown => Came::Untold(is),
            State::Preparing
            | State::Editing
            | State::Validated
            | State::Committing
            | State::Committed
            | State::Unchanged
            | State::PendingConfirm
            | State::Confirmed
            | State::RolledBack
            | State::Kept
            | State::Discarded
            | State::Failed => Came::Not(is),
        })
    }

    /// Finds out, now and then, what became of the commits that devices were to make later, until the gateway ends.
    pub(in crate::service) async fn look_after_scheduled_commits(self) {
        loop {
            tokio::select! {
                () = self.inner.ending.cancelled() => return,
                () = tokio::time::sleep(LOOK) => {}
            }
            tokio::select! {
                () = self.inner.ending.cancelled() => return,
                looked = self.look_at_scheduled_commits() => {
                    if let Err(error) = looked {
                        tracing::warn!(error = %error, "scheduled commits could not be looked at");
                    }
                }
            }
        }
    }

    async fn look_at_scheduled_commits(&self) -> Result<(), Error> {
        let (mut after, mut waiting) = (String::new(), HashSet::new());
        loop {
            let state = State::Scheduled.as_str();
            let rows = self.inner.store.changes_in(state, &after, SOME).await;
            let rows = rows.map_err(|error| self.store_error(error))?;
            let Some(last) = rows.last() else { break };
            after.clone_from(&last.id);
            let mut of_devices: BTreeMap<String, Vec<ChangeRecord>> = BTreeMap::new();
            for row in rows {
                waiting.insert(row.id.clone());
                of_devices.entry(row.device.clone()).or_default().push(row);
            }
            let all: Vec<_> = of_devices.into_iter().collect();
            for some in all.chunks(AT_A_TIME) {
                let looks = some.iter().map(|(device, rows)| async move {
                    if let Err(error) = self.look_at_scheduled_of(device, rows).await {
                        tracing::debug!(device, error = %error, "what became of a scheduled commit is not known yet");
                    }
                });
                join_all(looks).await;
            }
        }
        let resolving = &self.inner.resolving;
        self.inner
            .gone
            .keep(|id| waiting.contains(id) || resolving.contains(id));
        Ok(())
    }

    async fn look_at_scheduled_of(&self, name: &str, rows: &[ChangeRecord]) -> Result<(), Error> {
        let (record, live) = self.device(name).await?;
        let deadline = Instant::now() + live.settings().rpc_timeout;
        let Some(first) = rows.iter().find(|row| row.device_id == record.id) else {
            return Ok(());
        };
        let history = history::read(&record, &live, &first.owner, deadline).await?;
        for row in rows.iter().filter(|row| row.device_id == record.id) {
            // It may have been called off meanwhile.
            let mut change = read_row(self.stored_change(&record, &row.id).await?)?;
            if change.state != State::Scheduled {
                continue;
            }
            self.settle_scheduled(&record, &mut change, &history).await?;
            if change.state == State::Scheduled && history.scheduled.is_some() {
                let following = &self.inner.operations.following;
                following.stays(
                    &change.row.id,
                    Duration::from_secs(record.settings.timeouts.commit_seconds),
                );
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
            self.settle_scheduled(record, &mut change, &history).await?;
            if change.state == State::Scheduled {
                let at = change
                    .document
                    .scheduled
                    .map_or_else(String::new, |scheduled| format!(" at {}", scheduled.at));
                let id = &change.row.id;
                let detail = match history.scheduled {
                    Some(_) => format!("the device will commit the change {id}{at} first"),
                    None => format!("whether the device commits the change {id}{at} is being found out"),
                };
                return Err(Error::new(ErrorCode::CommitScheduled, detail)
                    .with_device(record.name())
                    .with_hint("its owner or an admin calls it off with cancel"));
            }
        }
        Ok(())
    }

    /// Opens the account of a change, unless the device is to make another commit first. Whether one is scheduled is looked
    /// for where the change is stored, so that it takes no time of its own.
    ///
    /// # Errors
    /// As [`Self::no_scheduled_commit`] and [`Journal::open`].
    pub(super) async fn open_unless_scheduled(
        &self,
        ctx: &CallContext,
        record: &DeviceRecord,
        device: &Device,
        change: Change,
    ) -> Result<Journal, Error> {
        let on_device = |error: Error| error.with_device(record.name());
        let opened = Journal::open_unless_scheduled(self.clone(), change, &ctx.ticket).await;
        let change = match opened.map_err(on_device)? {
            Ok(journal) => return Ok(journal),
            Err(change) => change,
        };
        // What became of that one may be known by now. Of this change nothing is sent before it has a record.
        let looked = Box::pin(self.no_scheduled_commit(ctx, record, device)).await;
        looked.map_err(|error| error.with_outcome(Outcome::NotSent))?;
        let opened = Journal::open(self.clone(), *change, &ctx.ticket).await;
        opened.map_err(on_device)
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
    /// neither made it nor is going to for as long as a commit may take; unknown, when that is another device, or its
    /// history is too short. Until that is known it stays scheduled.
    async fn settle_scheduled(
        &self,
        record: &DeviceRecord,
        change: &mut Change,
        history: &CommitInformation,
    ) -> Result<(), Error> {
        if is_made(change, history) {
            return self
                .end_scheduled(change, State::Committed, Outcome::Applied)
                .await;
        }
        if history.scheduled.is_some() {
            self.inner.gone.forget(&change.row.id);
            return Ok(());
        }
        if !continuity::goes_on(history, change.document.evidence.newest.as_ref()) {
            change.document.seen = Some(continuity::ANOTHER.to_owned());
            change.document.given_up = true;
            return self.end_scheduled(change, State::Unknown, Outcome::Unknown).await;
        }
        let commit_time = Duration::from_secs(record.settings.timeouts.commit_seconds);
        if self.inner.gone.time(&change.row.id) < commit_time {
            return Ok(());
        }
        self.end_scheduled(change, State::Cancelled, Outcome::NotApplied)
            .await
    }

    async fn end_scheduled(&self, change: &mut Change, state: State, outcome: Outcome) -> Result<(), Error> {
        change.enter(state)?;
        change.set_outcome(outcome);
        let mut row = change.to_row();
        match self.inner.store.update_change(&mut row).await {
            Ok(()) => {
                change.row.updated_at = row.updated_at;
                self.inner.operations.following.look();
            }
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

/// Whether the device says that it called a commit off, and not that there was none.
fn was_called_off(raw: &RawReply) -> bool {
    let text = raw.source.read_to_string(MOST_WORDS);
    text.is_ok_and(|text| text.contains("cleared"))
}

/// Since when devices neither have made a commit nor are going to: while they make it, they may say neither. One for all
/// who look, so that none of them concludes early.
#[derive(Debug, Default)]
pub(in crate::service) struct Gone(Mutex<HashMap<String, Instant>>);

impl Gone {
    /// It is so now; for how long, as far as anybody has looked.
    pub(super) fn time(&self, change_id: &str) -> Duration {
        let now = Instant::now();
        let begin = *self.since().entry(change_id.to_owned()).or_insert(now);
        now.saturating_duration_since(begin)
    }

    /// It is not so.
    fn forget(&self, change_id: &str) {
        self.since().remove(change_id);
    }

    /// Forgets all others.
    fn keep(&self, is_kept: impl Fn(&str) -> bool) {
        self.since().retain(|id, _| is_kept(id));
    }

    fn since(&self) -> MutexGuard<'_, HashMap<String, Instant>> {
        // Every change under the lock is complete in itself.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn not_scheduled(change: &Change) -> Error {
    let detail = format!("the change is {}", change.state.as_str());
    Error::new(ErrorCode::InvalidState, detail)
        .with_device(&change.row.device)
        .with_change_id(&change.row.id)
}
