//! How long a change and each of its steps may take.

use std::time::Duration;

use tokio::time::Instant;

use crate::service::edit::script::StepName;

/// How long things may take (conventions H6).
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// The caller's. What may already count on the device has its own time.
    pub deadline: Option<Instant>,
    /// For reads, locks and what undoes.
    pub rpc: Duration,
    /// For edits, checks and commits.
    pub commit: Duration,
    /// For a lock that another holds.
    pub wait: Duration,
}

impl Patience {
    /// When this step must be over; `undo`: it takes back what was done.
    pub fn of(&self, name: StepName, undo: bool) -> Instant {
        let now = Instant::now();
        let (own, callers) = match name {
            StepName::Commit | StepName::Verify | StepName::Save => (self.commit, false),
            StepName::Edit | StepName::Validate => (self.commit, true),
            StepName::Lock | StepName::Open | StepName::Check | StepName::Diff => (self.rpc, true),
            StepName::Discard | StepName::Unlock | StepName::Close => (self.rpc, false),
        };
        let own = now + own;
        match self.deadline {
            Some(deadline) if callers && !undo => own.min(deadline),
            Some(_) | None => own,
        }
    }
}
