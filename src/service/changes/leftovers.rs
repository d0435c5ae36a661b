//! What somebody else left in the candidate, which a change must not commit, and not wipe out.

use super::steps::Work;
use crate::error::{Diff, Error};
use crate::service::edit::differing::Differing;
use crate::service::edit::ground::Dialect;
use crate::service::edit::reading;
use crate::service::edit::request::Mode;
use crate::service::edit::snapshot::Snapshot;
use crate::service::failure;
use crate::session::RawReply;

impl Work {
    /// What the candidate differs in from running, if the device tells.
    pub(super) async fn leftovers(&mut self) -> Option<Diff> {
        let differing = Differing::new(self.ground.dialect, &self.held.capabilities()).ok()?;
        let mut replies = Vec::new();
        for step in differing.steps.clone() {
            replies.push(self.send(step, false).await.ok()?);
        }
        differing.read(self.device(), replies).await.ok()
    }

    /// The refusal that follows from the reply to a look before the edits; `None`: nobody left anything.
    ///
    /// # Errors
    /// Why the reply cannot be read.
    pub(super) async fn others(&self, raw: RawReply) -> Result<Option<Error>, String> {
        let dialect = self.ground.dialect;
        let diff = match (dialect, &self.before) {
            (Dialect::Junos, _) => reading::difference(&raw)?,
            (Dialect::Rfc, Some(before)) => before.difference(&Snapshot::read(raw).await?),
            (Dialect::Rfc, None) => return Ok(None),
        };
        if diff.is_empty() {
            return Ok(None);
        }
        Ok(Some(match self.ground.mode {
            Mode::Shared => failure::others_in_the_way(dialect, diff),
            Mode::Exclusive | Mode::Private | Mode::Ephemeral => failure::candidate_modified(dialect, diff),
        }))
    }
}
