//! The account of one running change: what it is now for those who look, and what is stored of it. A commit is sent
//! only when the store says that one may have been (conventions E2).

use std::time::Duration;

use super::record::Change;
use super::state::State;
use crate::error::{Diff, Error, ErrorCode, Outcome};
use crate::service::Gateway;
use crate::service::edit::script::StepName;
use crate::service::edit::view::{ChangeStepView, ChangeView};

/// How often the end of a change is written to a database that does not answer, and the time between.
const TRIES: usize = 3;
const PAUSE: Duration = Duration::from_millis(300);

/// The account. Dropping it forgets what was not stored.
pub(super) struct Journal {
    gateway: Gateway,
    change: Change,
}

impl Journal {
    /// Opens the account: the change is in the store from now on.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn open(gateway: Gateway, mut change: Change) -> Result<Self, Error> {
        let mut row = change.to_row();
        gateway
            .inner
            .store
            .insert_change(&mut row)
            .await
            .map_err(|error| gateway.store_error(error))?;
        (change.row.created_at, change.row.updated_at) = (row.created_at, row.updated_at);
        gateway.inner.changes.put(&change);
        Ok(Self { gateway, change })
    }

    pub fn gateway(&self) -> &Gateway {
        &self.gateway
    }

    pub fn change(&self) -> &Change {
        &self.change
    }

    /// Changes what is known of it, for those who look now.
    pub fn note(&mut self, change: impl FnOnce(&mut Change)) {
        change(&mut self.change);
        self.gateway.inner.changes.put(&self.change);
    }

    /// What came of a step, which stands where its beginning stood.
    pub fn step(&mut self, step: ChangeStepView) {
        self.note(|change| {
            change.document.steps.pop_if(|last| last.is_begun());
            change.document.steps.push(step);
        });
    }

    /// What it changes.
    pub fn differs(&mut self, diff: Diff) {
        self.note(|change| {
            change.document.changed = Some(!diff.is_empty());
            change.document.diff = Some(diff.text);
            change.document.diff_sha256 = Some(diff.sha256);
        });
    }

    /// The next state, in memory only.
    ///
    /// # Errors
    /// `invalid-state`.
    pub fn enter(&mut self, next: State) -> Result<(), Error> {
        self.change.enter(next)?;
        self.gateway.inner.changes.put(&self.change);
        Ok(())
    }

    /// Stores that what is sent next counts, and which step that is. No row, no send.
    ///
    /// # Errors
    /// `internal` when it cannot be stored; then it must not be sent.
    pub async fn committing(&mut self, step: StepName) -> Result<(), Error> {
        self.change.enter(State::Committing)?;
        self.step(ChangeStepView::begun(step));
        self.store().await.map_err(|error| {
            // Not 503: something was sent for this change (H3).
            Error::new(ErrorCode::Internal, error.detail().to_owned()).with_reason("store")
        })
    }

    /// The end of the change, as its caller and the store are told.
    pub async fn end(&mut self, state: State, outcome: Outcome) -> ChangeView {
        self.change.set_outcome(outcome);
        self.change.end_begun(outcome);
        if let Err(error) = self.change.enter(state) {
            tracing::error!(change = self.change.row.id, error = %error, "a change ended in a way that it cannot");
        }
        self.gateway.inner.changes.put(&self.change);
        for attempt in 1..=TRIES {
            match self.store().await {
                Ok(()) => break,
                Err(error) if attempt == TRIES => {
                    let (id, state) = (&self.change.row.id, self.change.state.as_str());
                    tracing::error!(change = id, state, error = %error, "the end of a change could not be stored");
                }
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
        self.change.view()
    }

    async fn store(&mut self) -> Result<(), Error> {
        let mut row = self.change.to_row();
        self.gateway
            .inner
            .store
            .update_change(&mut row)
            .await
            .map_err(|error| self.gateway.store_error(error))?;
        self.change.row.updated_at = row.updated_at;
        Ok(())
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.gateway.inner.changes.remove(&self.change.row.id);
    }
}
