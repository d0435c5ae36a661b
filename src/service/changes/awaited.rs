//! The caller of a change, who waits for its end no longer than he said.

use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::time::Instant;

use super::procedure::Answer;
use super::state::State;
use crate::error::{Error, ErrorCode, Outcome};
use crate::service::Gateway;

/// How much longer than its deadline a caller waits for the undoing of what was done. The API's description names it.
const UNDOING: Duration = Duration::from_secs(15);

/// A change that runs, and its caller who waits. Dropped, it goes on in a task of its own.
pub(super) struct Awaited {
    pub gateway: Gateway,
    pub device: String,
    pub change_id: String,
    /// Nothing, if it ended without an answer.
    pub running: BoxFuture<'static, Option<Answer>>,
}

impl Awaited {
    /// The answer, waited for until the caller's deadline, and a little longer for the undoing of what was done.
    pub async fn within(&mut self, deadline: Option<Instant>) -> Answer {
        let ended = match deadline {
            None => (&mut self.running).await,
            Some(deadline) => match tokio::time::timeout_at(deadline, &mut self.running).await {
                Ok(ended) => ended,
                Err(_) if self.counts() => return Err(self.late()),
                Err(_) => match tokio::time::timeout(UNDOING, &mut self.running).await {
                    Ok(ended) => ended,
                    Err(_) => return Err(self.late()),
                },
            },
        };
        ended.unwrap_or_else(|| Err(self.late()))
    }

    /// Whether what is sent counts already.
    fn counts(&self) -> bool {
        let running = self.gateway.inner.changes.get(&self.change_id);
        running.is_some_and(|change| change.state == State::Committing)
    }

    /// H6: the deadline passed. What was sent may count; or it is still being undone, and then it never will, because
    /// nothing that counts is begun after the deadline.
    fn late(&self) -> Error {
        let running = self.gateway.inner.changes.get(&self.change_id);
        let (outcome, detail) = match running.map(|change| change.state) {
            Some(State::Preparing | State::Editing | State::Validated) => (
                Outcome::NotApplied,
                "the deadline passed before the change was over; what was done is still being undone",
            ),
            // One that is over has its answer elsewhere.
            Some(
                State::Committing
                | State::Committed
                | State::Unchanged
                | State::Scheduled
                | State::PendingConfirm
                | State::Confirmed
                | State::RolledBack
                | State::Kept
                | State::Cancelled
                | State::Discarded
                | State::Failed
                | State::Unknown,
            )
            | None => (
                Outcome::Unknown,
                "the deadline passed before the change was over; it runs on",
            ),
        };
        Error::new(ErrorCode::DeviceTimeout, detail)
            .with_device(&self.device)
            .with_change_id(&self.change_id)
            .with_outcome(outcome)
            .with_hint("the change tells what came of it, by its id")
    }
}
