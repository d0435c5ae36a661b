//! Confirmed commits (design section 7, conventions C1–C7): each has a durable record and a task that looks after it.
//!
//! `state`, `looks` and `probe` are pure: how one goes on, what is concluded from looking at the device, and what a
//! caller's probe of it means; `script` knows the RPCs; `guardian` is the task, `guarding` how one comes into its hands;
//! `registry` those that run; `passage` what must be over before one is sent; `ordered` what came of orders that nobody
//! answered; `kept_out` what is refused meanwhile.

mod guardian;
mod guarding;
mod kept_out;
mod looks;
mod ordered;
mod passage;
mod probe;
mod probe_request;
mod probed;
mod record;
mod registry;
mod script;
mod state;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::oneshot;

use self::guardian::turn::{Turn, too_late};
use self::guardian::{Order, Times, Wanted};
pub(super) use self::ordered::{Aim, Came};
pub(super) use self::passage::{Passage, Passages, Passing};
pub(super) use self::probe::Probe;
use self::probe::ProbeState;
pub(super) use self::record::{ConfirmedCommit, Document};
use self::registry::MOST_ORDERS;
pub(super) use self::registry::{Announced, Handle, Registry};
pub(super) use self::script::{disarm, rounded, start};
pub(super) use self::state::State;
use super::Gateway;
use super::call::{CallContext, Role};
use super::edit::commit::marker;
use super::edit::ground::{Confirm, unbuildable};
use super::edit::request::{ConfirmRequest, ExtendRequest, ListConfirmedCommits};
use super::edit::view::{ChangeView, ConfirmedCommitList, ConfirmedCommitView, Planned};
use super::failure;
use super::operations::Leaving;
use super::time;
use super::view::Plan;
use crate::error::{Error, ErrorCode, Outcome, Resource};
use crate::netconf::capability::Capabilities;
use crate::store::{ChangeRecord, ConfirmedCommitFilter, ConfirmedCommitRecord, STARTING, StoreError};

/// How long one that has ended is kept.
const KEPT: ::time::Duration = ::time::Duration::days(7);
/// How often old ones are looked for.
const LOOK: Duration = Duration::from_secs(3600);
/// Rows looked at together when the gateway starts.
const SOME: u32 = 100;
/// In place of a token in a plan.
const NOT_SHOWN: &str = "(not shown)";
/// The states of rows that somebody must look after.
const OPEN: [&str; 5] = [STARTING, "pending", "confirming", "cancelling", "unknown"];

/// A confirmed commit that is about to be sent.
pub(super) struct NewConfirmedCommit<'a> {
    /// Of its row.
    pub device_id: &'a str,
    pub device: &'a str,
    /// The principal.
    pub owner: &'a str,
    pub change_id: &'a str,
    pub request_id: Option<&'a str>,
    /// What the device is asked to wait.
    pub timeout: Duration,
    pub document: Document,
}

impl Gateway {
    /// Confirmed commits of all devices, the newest first, those that have ended lately included. Role `read`.
    ///
    /// # Errors
    /// `invalid-argument` for a state that does not exist and for a page token of another list; `not-found` for the
    /// device.
    pub async fn list_confirmed_commits(
        &self,
        ctx: &CallContext,
        request: ListConfirmedCommits,
    ) -> Result<ConfirmedCommitList, Error> {
        ctx.principal.require(Role::Read)?;
        let size = super::devices::page_size(request.page_size)?;
        if let Some(text) = &request.state
            && State::parse(text).is_none()
        {
            let words = State::ALL.map(State::as_str).join(", ");
            return Err(Error::invalid("?state", format!("{text:?} is none of {words}")));
        }
        let device = match &request.device {
            None => None,
            Some(name) => Some(self.record(name).await?),
        };
        let filter = ConfirmedCommitFilter {
            device_id: device.as_ref().map(|record| record.id.as_str()),
            state: request.state.as_deref(),
        };
        let page = self
            .inner
            .store
            .list_confirmed_commits(&filter, size, request.page_token.as_deref())
            .await
            .map_err(|error| self.store_error(error))?;
        let views = page.items.into_iter().map(|row| self.confirmed_view(row));
        Ok(ConfirmedCommitList {
            confirmed_commits: views.collect::<Result<_, _>>()?,
            next_page_token: page.next_page_token,
        })
    }

    /// One confirmed commit as it is now. Role `read`.
    ///
    /// # Errors
    /// `not-found`.
    pub async fn get_confirmed_commit(
        &self,
        ctx: &CallContext,
        id: &str,
    ) -> Result<ConfirmedCommitView, Error> {
        ctx.principal.require(Role::Read)?;
        self.confirmed_view(self.confirmed_row(id).await?)
    }

    /// Confirms: what was committed stays. Role `configure`; its owner or an admin.
    ///
    /// # Errors
    /// `not-found`, `not-owner`; `invalid-state` when it is not pending any more, or when the device may undo it any
    /// moment (reason `too_late`); `lock-denied` with reason `candidate_modified` when the candidate holds something else
    /// as well; `outcome-unknown` when no reply came.
    ///
    /// # Cancel safety
    /// An order that was taken runs to its end; the record tells what came of it.
    pub async fn confirm_confirmed_commit(
        &self,
        ctx: &CallContext,
        id: &str,
        request: ConfirmRequest,
    ) -> Result<Planned<ConfirmedCommitView>, Error> {
        if request.accept_candidate {
            ctx.principal.require(Role::Admin)?;
        }
        let wanted = Wanted::Confirm {
            accept_candidate: request.accept_candidate,
        };
        self.order(ctx, id, wanted, request.plan).await
    }

    /// Undoes it now. Role `configure`; its owner or an admin.
    ///
    /// # Errors
    /// As [`Self::confirm_confirmed_commit`].
    ///
    /// # Cancel safety
    /// As [`Self::confirm_confirmed_commit`].
    pub async fn cancel_confirmed_commit(
        &self,
        ctx: &CallContext,
        id: &str,
        plan: bool,
    ) -> Result<Planned<ConfirmedCommitView>, Error> {
        self.order(ctx, id, Wanted::Cancel, plan).await
    }

    /// Gives it a new deadline, counted from now. Role `configure`; its owner or an admin.
    ///
    /// # Errors
    /// `invalid-argument` for less than the device needs; as [`Self::confirm_confirmed_commit`].
    ///
    /// # Cancel safety
    /// As [`Self::confirm_confirmed_commit`].
    pub async fn extend_confirmed_commit(
        &self,
        ctx: &CallContext,
        id: &str,
        request: ExtendRequest,
    ) -> Result<Planned<ConfirmedCommitView>, Error> {
        let wanted = Wanted::Extend {
            seconds: request.confirm_timeout_seconds,
        };
        self.order(ctx, id, wanted, request.plan).await
    }

    async fn order(
        &self,
        ctx: &CallContext,
        id: &str,
        wanted: Wanted,
        plan: bool,
    ) -> Result<Planned<ConfirmedCommitView>, Error> {
        ctx.principal.require(Role::Configure)?;
        let row = self.confirmed_row(id).await?;
        let about = |error: Error| error.with_device(&row.device).with_change_id(&row.change_id);
        if row.owner != ctx.principal.id() && ctx.principal.role() < Role::Admin {
            let detail = format!("the confirmed commit belongs to {}", row.owner);
            return Err(about(Error::new(ErrorCode::NotOwner, detail)));
        }
        if plan {
            let plan = self.plan_order(ctx, row.clone(), wanted).await;
            return plan.map(Planned::Plan).map_err(about);
        }
        self.accepting()?;
        let over = || {
            let detail = format!("the confirmed commit is {}", row.state);
            about(Error::new(ErrorCode::InvalidState, detail))
        };
        let handle = self.inner.confirmed.get(id).ok_or_else(over)?;
        let (record, live) = self.device(&row.device).await?;
        self.begin_about(ctx, &record, id, Leaving::UnlessSent).await?;
        let (answer, mut answered) = oneshot::channel();
        let deadline = self.deadline(ctx, &live);
        let turn = Turn::new();
        let order = Order {
            wanted,
            who: ctx.principal.id().to_owned(),
            ticket: ctx.ticket.clone(),
            turn: turn.clone(),
            deadline,
            answer,
        };
        let _waiting = turn.waiting();
        match handle.orders().try_send(order) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => {
                let detail = format!("{MOST_ORDERS} orders wait for this confirmed commit already");
                return Err(about(
                    Error::new(ErrorCode::QueueFull, detail).with_reason("orders"),
                ));
            }
            Err(TrySendError::Closed(_)) => {
                let detail = "the confirmed commit has just ended";
                return Err(about(Error::new(ErrorCode::InvalidState, detail)));
            }
        }
        // What counts has its own time; a caller's deadline is for what comes before.
        let most = Times::of(&record);
        let longest = deadline + 3 * most.commit + 3 * most.rpc;
        let answer = match tokio::time::timeout_at(deadline, &mut answered).await {
            Err(_) if turn.give_up() => return Err(about(too_late())),
            Err(_) => tokio::time::timeout_at(longest, answered).await,
            answer @ Ok(_) => answer,
        };
        match answer {
            Ok(Ok(result)) => result.map(|commit| Planned::Done(ctx.ticket.answers(commit))),
            Ok(Err(_)) => match self.confirmed_row(id).await {
                Ok(row) if row.state == State::Pending.as_str() => {
                    let detail = "the gateway ended before the order was taken";
                    Err(about(Error::new(ErrorCode::InvalidState, detail)))
                }
                Ok(row) => Err(about(Error::new(
                    ErrorCode::InvalidState,
                    format!("the confirmed commit is {}", row.state),
                ))),
                Err(error) => Err(error),
            },
            Err(_) => {
                let detail = "the order is not answered yet; the record tells what comes of it";
                Err(about(
                    Error::new(ErrorCode::DeviceTimeout, detail).with_outcome(Outcome::Unknown),
                ))
            }
        }
    }

    /// The RPCs of an order. The token by which any session could confirm is not shown.
    async fn plan_order(
        &self,
        ctx: &CallContext,
        row: ConfirmedCommitRecord,
        wanted: Wanted,
    ) -> Result<Plan, Error> {
        let device = row.device.clone();
        let (_, live) = self.device(&device).await?;
        let shown = live
            .established(ctx.principal.id(), self.deadline(ctx, &live))
            .await
            .map_err(failure::device)?;
        let capabilities = live.offered(&shown);
        let mut commit = ConfirmedCommit::of(row)?;
        if commit.document.persist.is_some() {
            commit.document.persist = Some(NOT_SHOWN.to_owned());
        }
        let marker = marker(&self.inner.store.new_id(), ctx.principal.id());
        let steps = match wanted {
            Wanted::Confirm { .. } => script::confirm(&capabilities, &commit, &marker).map(|step| vec![step]),
            Wanted::Cancel => {
                // Each extension is a commit of its own.
                let entries = commit.document.extensions.saturating_add(1);
                script::cancel(&capabilities, &commit, &marker, entries).map(Option::unwrap_or_default)
            }
            Wanted::Extend { seconds } => script::effective(commit.document.junos, seconds)
                .and_then(|timeout| script::extend(&capabilities, &commit, timeout.rfc()))
                .map(|step| vec![step]),
        };
        let steps = steps.map_err(|error| failure::unbuildable(&error))?;
        let rpcs = steps.iter().map(|step| step.rpc.body.as_str().to_owned());
        Ok(Plan {
            device,
            rpcs: rpcs.collect(),
        })
    }

    async fn confirmed_row(&self, id: &str) -> Result<ConfirmedCommitRecord, Error> {
        let found = self.inner.store.get_confirmed_commit(id).await;
        let row = found.map_err(|error| match error {
            StoreError::NotFound => no_such(id),
            other => self.store_error(other),
        })?;
        if row.state == STARTING {
            return Err(no_such(id));
        }
        Ok(row)
    }

    /// What is looked after is further than what is stored.
    fn confirmed_view(&self, row: ConfirmedCommitRecord) -> Result<ConfirmedCommitView, Error> {
        match self.inner.confirmed.get(&row.id) {
            Some(handle) => Ok(handle.commit().view()),
            None => Ok(ConfirmedCommit::of(row)?.view()),
        }
    }

    /// The confirmed commit that a change made, as it is now. `None`: it made none, or that is on record no more.
    ///
    /// # Errors
    /// When the store cannot be used.
    pub(super) async fn confirmed_of(
        &self,
        change: &ChangeView,
    ) -> Result<Option<ConfirmedCommitView>, Error> {
        let Some(id) = &change.confirmed_commit_id else {
            return Ok(None);
        };
        match self.confirmed_row(id).await {
            Ok(row) => self.confirmed_view(row).map(Some),
            Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The least that may be asked for on a device: enough for two of its slowest commits (C1).
    pub(super) fn least_confirm_timeout(&self, device: &str) -> Duration {
        let slowest = self.inner.pace.slowest(device);
        self.inner.least_confirm_timeout.max(2 * slowest)
    }

    /// A confirmed commit that is about to be sent. It is stored together with the journal of its change.
    pub(super) fn new_confirmed_commit(&self, new: NewConfirmedCommit<'_>) -> ConfirmedCommit {
        let mut commit = ConfirmedCommit {
            row: ConfirmedCommitRecord {
                id: self.inner.store.new_id(),
                device_id: new.device_id.to_owned(),
                device: new.device.to_owned(),
                owner: new.owner.to_owned(),
                change_id: new.change_id.to_owned(),
                state: STARTING.to_owned(),
                by: None,
                reason: None,
                request_id: new.request_id.map(str::to_owned),
                timeout_seconds: new.timeout.as_secs(),
                deadline_earliest: time::EPOCH,
                deadline: time::EPOCH,
                created_at: time::EPOCH,
                updated_at: time::EPOCH,
                document: Vec::new(),
            },
            state: State::Unknown,
            document: new.document,
        };
        commit.sending(&self.inner.clock, new.timeout);
        commit
    }

    /// How a commit is to be confirmed on a device with these capabilities. `at`: where the options stand.
    ///
    /// # Errors
    /// `invalid-argument`: more than the device can count.
    pub(super) fn confirm(
        &self,
        capabilities: &Capabilities,
        seconds: u64,
        at: &str,
        plan: bool,
    ) -> Result<Confirm, Error> {
        let timeout = script::effective(capabilities.is_junos(), seconds);
        Ok(Confirm {
            timeout: timeout.map_err(|error| unbuildable(&error, at))?,
            persist: script::persists(capabilities).then(|| match plan {
                true => NOT_SHOWN.to_owned(),
                false => self.new_persist_id(),
            }),
        })
    }

    /// A token that nobody can guess (C2).
    fn new_persist_id(&self) -> String {
        format!("ncgate-{}", self.inner.store.new_token())
    }

    /// Stores what has become of one, and what that means for the change that made it.
    pub(super) async fn store_confirmed_commit(&self, commit: &mut ConfirmedCommit) -> Result<(), Error> {
        let change = self.change_after(commit).await?;
        self.store_with_change(commit, change).await
    }

    /// The device never made it: its row goes, and its change has failed.
    pub(super) async fn forget_confirmed_commit(&self, commit: &ConfirmedCommit) -> Result<(), Error> {
        let row = &commit.row;
        let mut change = self
            .change_not_there(&row.device_id, &row.change_id, None)
            .await?;
        self.inner
            .store
            .delete_confirmed_commit(&row.id, change.as_mut())
            .await
            .map_err(|error| self.store_error(error))
    }

    /// The device is as it was before it, and whether it ever made it nobody knows: its row says so, and its change has
    /// failed.
    pub(super) async fn end_as_before(&self, commit: &mut ConfirmedCommit) -> Result<(), Error> {
        let row = &commit.row;
        let id = Some(row.id.clone());
        let change = self.change_not_there(&row.device_id, &row.change_id, id).await?;
        self.store_with_change(commit, change).await
    }

    async fn store_with_change(
        &self,
        commit: &mut ConfirmedCommit,
        mut change: Option<ChangeRecord>,
    ) -> Result<(), Error> {
        let mut row = commit.to_row();
        self.inner
            .store
            .update_confirmed_commit(&mut row, change.as_mut())
            .await
            .map_err(|error| self.store_error(error))?;
        commit.row.updated_at = row.updated_at;
        Ok(())
    }

    async fn change_after(&self, commit: &ConfirmedCommit) -> Result<Option<ChangeRecord>, Error> {
        let row = &commit.row;
        // One that ends with the commit decides about it until that is stored.
        let over = probe_of(commit).is_some_and(|probe| probe != ProbeState::Running);
        let taken_over = over && !self.inner.confirmed.is_probed(&row.id);
        self.change_of_confirmed(&row.device_id, &row.change_id, commit.state, taken_over)
            .await
    }

    /// The confirmed commit that this session of a device holds.
    pub(super) fn confirmed_in(&self, device_id: &str, session_id: u64) -> Option<Arc<Handle>> {
        let handle = self.inner.confirmed.of_device(device_id)?;
        (handle.commit().document.session_id == Some(session_id)).then_some(handle)
    }

    /// Takes up those that an earlier process left behind (conventions D1, C5).
    ///
    /// # Errors
    /// When the store cannot be used.
    pub(super) async fn take_up_confirmed_commits(&self) -> Result<(), Error> {
        let mut after = String::new();
        loop {
            let found = self.inner.store.confirmed_commits_in(&OPEN, &after, SOME).await;
            let rows = found.map_err(|error| self.store_error(error))?;
            let Some(last) = rows.last() else { return Ok(()) };
            after.clone_from(&last.id);
            for row in rows {
                let id = row.id.clone();
                if let Err(error) = self.take_up(row).await {
                    // One that cannot be read must not keep the others from being looked after.
                    tracing::error!(confirmed_commit = id, error = %error, "a confirmed commit cannot be taken up");
                }
            }
        }
    }

    async fn take_up(&self, row: ConfirmedCommitRecord) -> Result<(), Error> {
        let mut commit = ConfirmedCommit::of(row)?;
        if commit.is_settled() {
            return Ok(());
        }
        commit.document.session_id = None;
        let record = match self.record(&commit.row.device).await {
            Ok(record) if record.id == commit.row.device_id => record,
            Err(error) if error.code() != ErrorCode::NotFound => return Err(error),
            Ok(_) | Err(_) => {
                commit.state = State::Unknown;
                commit.document.given_up = true;
                commit.document.seen = Some("its device was removed".to_owned());
                return self.store_confirmed_commit(&mut commit).await;
            }
        };
        let told = commit.row.state != STARTING && commit.state != State::Unknown;
        if commit.state != State::Unknown {
            commit.state = State::Unknown;
            commit.document.seen = Some("the gateway was restarted; the device was not asked yet".to_owned());
        }
        let announced = self.announce(&commit);
        let probe = probe_of(&commit);
        if probe == Some(ProbeState::Stopped) {
            // A person had taken over from it, and its call has been told as ended.
            announced.settle();
        }
        if told && let Err(error) = self.store_confirmed_commit(&mut commit).await {
            // It is stored with what is seen first.
            tracing::error!(confirmed_commit = commit.row.id, error = %error, "it is not stored that it is unknown");
        }
        if probe.is_some_and(|probe| probe != ProbeState::Running) {
            // One that had come to its end in another way decides nothing from now on.
            announced.settle();
        }
        self.guard(announced, commit, None, &record);
        Ok(())
    }

    /// Forgets confirmed commits that ended long ago, now and then, until the gateway ends.
    pub(super) async fn forget_old_confirmed_commits(self) {
        loop {
            let before = self.inner.clock.wall() - KEPT;
            match self
                .inner
                .store
                .delete_confirmed_commits_before(before, &OPEN[..4])
                .await
            {
                Ok(0) => {}
                Ok(forgotten) => tracing::info!(forgotten, "old confirmed commits are forgotten"),
                Err(error) => tracing::warn!(error = %error, "old confirmed commits could not be forgotten"),
            }
            tokio::select! {
                () = self.inner.ending.cancelled() => return,
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }
}

/// C1
///
/// # Errors
/// `invalid-argument` with the least that will do.
pub(super) fn check_timeout(seconds: u64, least: Duration, at: &str) -> Result<(), Error> {
    let least = least.as_secs() + u64::from(least.subsec_nanos() > 0);
    if seconds >= least {
        return Ok(());
    }
    let detail = format!("{seconds} s are too short for this device: at least {least} are needed");
    Err(Error::invalid(at, detail))
}

/// How far its probe came, if it has one.
fn probe_of(commit: &ConfirmedCommit) -> Option<ProbeState> {
    commit.document.probe.as_ref().map(|probe| probe.state)
}

fn no_such(id: &str) -> Error {
    Error::new(
        ErrorCode::NotFound,
        format!("there is no confirmed commit {id:?}"),
    )
    .with_resource(Resource::ConfirmedCommit(id.to_owned()))
}
