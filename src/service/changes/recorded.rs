//! Commits of edit sessions. Each has a record like that of a change, so that whoever loses the reply finds what is known
//! of it (conventions E2, Q7).

use super::journal::Journal;
use super::record::{Change, Document};
use super::state::State;
use crate::error::{Error, Outcome};
use crate::service::Gateway;
use crate::service::edit::reading::Committed;
use crate::service::edit::request::Mode;
use crate::service::edit::view::MemberView;
use crate::service::time;
use crate::store::{ChangeRecord, DeviceRecord};

/// A commit that is about to be sent.
pub(in crate::service) struct NewCommit<'a> {
    pub id: String,
    pub device: &'a DeviceRecord,
    /// The principal.
    pub owner: &'a str,
    pub mode: Mode,
    pub session_id: u64,
    /// What stands in its comment (E3).
    pub marker: String,
}

/// A commit that the store says may have been sent.
pub(in crate::service) struct Recorded(Journal);

impl Gateway {
    /// Stores that a commit may have been sent. No row, no send.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub(in crate::service) async fn record_commit(&self, commit: NewCommit<'_>) -> Result<Recorded, Error> {
        let change = Change {
            row: ChangeRecord {
                id: commit.id,
                device_id: commit.device.id.clone(),
                device: commit.device.name().to_owned(),
                owner: commit.owner.to_owned(),
                mode: commit.mode.as_str().to_owned(),
                state: State::Committing.as_str().to_owned(),
                outcome: None,
                created_at: time::EPOCH,
                updated_at: time::EPOCH,
                document: Vec::new(),
            },
            state: State::Committing,
            document: Document {
                undo_guaranteed: commit.mode != Mode::Shared,
                session_id: Some(commit.session_id),
                marker: commit.marker,
                ..Document::default()
            },
        };
        Journal::open(self.clone(), change).await.map(Recorded)
    }
}

impl Recorded {
    pub async fn committed(mut self, told: &Committed) {
        self.0.note(|change| {
            change.document.members = told.members.iter().map(MemberView::from).collect();
            change.document.revision.clone_from(&told.revision);
        });
        self.0.end(State::Committed, Outcome::Applied).await;
    }

    /// The error as its caller is told it, with the id under which it can be looked up.
    pub async fn failed(mut self, error: Error) -> Error {
        let outcome = error.outcome();
        let state = match outcome {
            Outcome::NotSent | Outcome::NotApplied => State::Failed,
            Outcome::Applied => State::Committed,
            Outcome::Unknown => State::Unknown,
        };
        let error = error.with_change_id(&self.0.change().row.id);
        self.0.note(|change| change.set_error(&error));
        self.0.end(state, outcome).await;
        error
    }
}
