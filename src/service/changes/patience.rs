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
    /// How long this step may take.
    pub fn of(&self, name: StepName) -> Duration {
        match name {
            StepName::Commit | StepName::Verify | StepName::Save | StepName::Edit | StepName::Validate => {
                self.commit
            }
            StepName::Lock
            | StepName::Open
            | StepName::Check
            | StepName::Diff
            | StepName::Discard
            | StepName::Unlock
            | StepName::Close => self.rpc,
        }
    }

    /// When this step must be over if it may take until `own`; `undo`: it takes back what was done.
    pub fn by(&self, name: StepName, undo: bool, own: Instant) -> Instant {
        let callers = match name {
            StepName::Lock
            | StepName::Open
            | StepName::Check
            | StepName::Edit
            | StepName::Validate
            | StepName::Diff => true,
            // What may already count, and what gives back.
            StepName::Commit
            | StepName::Verify
            | StepName::Save
            | StepName::Discard
            | StepName::Unlock
            | StepName::Close => false,
        };
        match self.deadline {
            Some(deadline) if callers && !undo => own.min(deadline),
            Some(_) | None => own,
        }
    }
}
