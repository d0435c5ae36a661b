//! Waiting for what a probe leads to, for the caller who asked for it (conventions H6).

use std::time::Duration;

use tokio::time::Instant;

use super::guardian::Times;
use crate::error::{Error, ErrorCode, Outcome};
use crate::service::Gateway;
use crate::service::edit::view::{ChangeView, ConfirmedCommitView};
use crate::store::DeviceRecord;

/// So much before a caller's deadline it is told how far things are.
const BEFORE: Duration = Duration::from_millis(500);

impl Gateway {
    /// The change as it is when nothing more comes of its probe, or when its caller wants to know: its confirmed commit is
    /// `confirmed`, `cancelled`, `rolled_back` and so on, or still `pending`. `None`: it has no probe.
    ///
    /// # Errors
    /// `outcome-unknown`: what became of it is being found out.
    ///
    /// # Cancel safety
    /// Safe: the probe goes on.
    pub(in crate::service) async fn probed(
        &self,
        device: &DeviceRecord,
        commit: Option<&ConfirmedCommitView>,
        deadline: Option<Instant>,
    ) -> Result<Option<ChangeView>, Error> {
        let Some(commit) = commit.filter(|commit| commit.probe.is_some()) else {
            return Ok(None);
        };
        if let Some(handle) = self.inner.confirmed.get(&commit.id) {
            let Times { rpc, commit } = Times::of(device);
            // A rollback by the device's timer, which is the last that can come, is a commit and takes as long.
            let own = Instant::now() + handle.commit().runs_for(&self.inner.clock) + commit + 2 * rpc;
            let until = deadline.map_or(own, |deadline| {
                own.min(deadline.checked_sub(BEFORE).unwrap_or(deadline))
            });
            // In time or not, what is known then is told.
            let _ = tokio::time::timeout_at(until, handle.settled()).await;
        }
        let Ok((change, confirmed)) = self.now(device, commit).await else {
            // The store does not answer; the caller knows what was known last.
            return Ok(None);
        };
        if confirmed.state == "unknown" {
            let seen = confirmed.seen.unwrap_or_default();
            let detail = format!("what became of the confirmed commit is being found out: {seen}");
            return Err(Error::new(ErrorCode::OutcomeUnknown, detail)
                .with_device(device.name())
                .with_change_id(change.id)
                .with_outcome(Outcome::Unknown)
                .with_hint("the change, and its confirmed commit, tell what came of it"));
        }
        Ok(Some(ChangeView {
            confirmed_commit: Some(confirmed),
            ..change
        }))
    }

    async fn now(
        &self,
        device: &DeviceRecord,
        commit: &ConfirmedCommitView,
    ) -> Result<(ChangeView, ConfirmedCommitView), Error> {
        let confirmed = self.confirmed_view(self.confirmed_row(&commit.id).await?)?;
        let change = self.change_now(device, &commit.change_id).await?;
        Ok((change, confirmed))
    }
}
