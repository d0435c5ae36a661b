//! What is refused while a confirmed commit is pending, ours or somebody else's, because it could confirm that by accident or
//! come between (conventions C3, E2).

use crate::error::{Error, ErrorCode, Origin, PendingCommit};
use crate::netconf::junos::commit_information::CommitInformation;
use crate::service::call::{CallContext, Role};
use crate::service::time::rfc3339;
use crate::service::{Gateway, evidence, failure, history};
use crate::store::DeviceRecord;

/// By how much the clock of a device may be wrong, in seconds.
const CLOCK_DOUBT: i64 = 60;

impl Gateway {
    /// Refuses what could confirm a commit by accident, or come between (C3).
    ///
    /// # Errors
    /// `confirmed-commit-pending`, with who may confirm it and until when.
    pub(in crate::service) fn no_confirmed_commit(&self, device_id: &str) -> Result<(), Error> {
        let Some(handle) = self.inner.confirmed.of_device(device_id) else {
            return Ok(());
        };
        let commit = handle.commit();
        let (owner, state) = (&commit.row.owner, commit.state.as_str());
        let (detail, hint) = if commit.state.is_open() {
            (
                format!(
                    "a confirmed commit of {owner} is {state} until {}",
                    rfc3339(commit.row.deadline)
                ),
                "its owner or an admin confirms, extends or cancels it",
            )
        } else {
            (
                format!("a confirmed commit of {owner} is {state}, which is not stored yet"),
                "try again when the database takes it",
            )
        };
        Err(Error::new(ErrorCode::ConfirmedCommitPending, detail)
            .with_device(&commit.row.device)
            .with_origin(Origin::Gateway)
            .with_pending_commit(PendingCommit {
                id: Some(commit.row.id),
                by: "us".to_owned(),
                owner: Some(commit.row.owner),
                deadline: Some(rfc3339(commit.row.deadline)),
            })
            .with_hint(hint))
    }

    /// Refuses what changes a device while a confirmed commit is pending on it, or while it is not known what became of
    /// an earlier commit (C3, D1).
    ///
    /// # Errors
    /// `confirmed-commit-pending`; `invalid-state`, reason `resolving`.
    pub(in crate::service) fn nothing_is_open(&self, device: &DeviceRecord) -> Result<(), Error> {
        self.no_confirmed_commit(&device.id)?;
        self.nothing_to_resolve(&device.id)
            .map_err(|error| error.with_device(device.name()))
    }

    /// Refuses while somebody else's confirmed commit may be in its window, which a check or a commit would confirm (E2).
    ///
    /// # Errors
    /// `confirmed-commit-pending`.
    pub(in crate::service) fn no_commit_of_others(&self, history: &CommitInformation) -> Result<(), Error> {
        let Some(entry) = evidence::pending_of_another(history, self.now_seconds(), CLOCK_DOUBT) else {
            return Ok(());
        };
        let detail = format!(
            "{} made a confirmed commit that is pending still, and that this would confirm",
            evidence::who(entry)
        );
        Err(Error::new(ErrorCode::ConfirmedCommitPending, detail)
            .with_pending_commit(PendingCommit {
                id: None,
                by: "other".to_owned(),
                owner: entry.user.clone(),
                deadline: evidence::deadline(entry),
            })
            .with_hint("wait until it is confirmed or undone; confirm_others: true goes on, for admins"))
    }

    /// As [`Self::no_commit_of_others`], for a check past edit sessions and changes. A user who may not see the history may
    /// check all the same.
    ///
    /// # Errors
    /// `confirmed-commit-pending`; why there is no session.
    pub(in crate::service) async fn no_check_of_others(
        &self,
        ctx: &CallContext,
        device: &str,
    ) -> Result<(), Error> {
        ctx.principal.require(Role::Configure)?;
        let (record, live) = self.device(device).await?;
        let (who, deadline) = (ctx.principal.id(), self.deadline(ctx, &live));
        let shown = live.established(who, deadline).await.map_err(failure::device)?;
        if !shown.capabilities.is_junos() {
            return Ok(());
        }
        match history::read(&record, &live, who, deadline).await {
            Ok(history) => self
                .no_commit_of_others(&history)
                .map_err(|error| error.with_device(device)),
            Err(error) if evidence::is_hidden(&error) => Ok(()),
            Err(error) => Err(error),
        }
    }
}
