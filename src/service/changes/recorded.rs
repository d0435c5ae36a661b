//! Commits of edit sessions. Each has a record like that of a change, from before anything is sent for it, so that
//! whoever loses the reply finds what is known of it (conventions E2, Q7).

use std::time::Duration;

use super::journal::Journal;
use super::record::{Change, Document};
use super::state::State;
use crate::error::{Diff, Error, Outcome};
use crate::service::Gateway;
use crate::service::confirmed::ConfirmedCommit;
use crate::service::edit::reading::{self, Committed};
use crate::service::edit::request::Mode;
use crate::service::edit::script::StepName;
use crate::service::edit::view::{ChangeStepView, ChangeView};
use crate::service::evidence::{Evidence, Moment};
use crate::service::operations::Ticket;
use crate::service::time;
use crate::session::RawReply;
use crate::store::{ChangeRecord, DeviceRecord};

/// A commit that is asked for.
pub(in crate::service) struct NewCommit<'a> {
    pub id: String,
    pub device: &'a DeviceRecord,
    /// The principal.
    pub owner: &'a str,
    pub request_id: &'a str,
    pub mode: Mode,
    /// The ephemeral instance; absent: the default one, or another mode.
    pub instance: Option<String>,
    pub edit_session_id: &'a str,
    pub session_id: u64,
    /// What stands in its comment (E3).
    pub marker: String,
    pub ticket: &'a Ticket,
}

/// A commit on record.
pub(in crate::service) struct Recorded(Journal);

/// Its edits were made before, where they can be taken back.
const FIRST: State = State::Editing;

impl Gateway {
    /// Stores that a commit is asked for.
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
                state: FIRST.as_str().to_owned(),
                outcome: None,
                reason: None,
                request_id: Some(commit.request_id.to_owned()),
                created_at: time::EPOCH,
                updated_at: time::EPOCH,
                passed: Vec::new(),
                document: Vec::new(),
            },
            state: FIRST,
            document: Document {
                undo_guaranteed: commit.mode != Mode::Shared,
                session_id: Some(commit.session_id),
                marker: commit.marker,
                edit_session_id: Some(commit.edit_session_id.to_owned()),
                instance: commit.instance,
                ..Document::default()
            },
        };
        Journal::open(self.clone(), change, commit.ticket)
            .await
            .map(Recorded)
    }
}

impl Recorded {
    /// What the commit would change.
    ///
    /// # Errors
    /// `invalid-state`: it was sent already.
    pub fn looked(&mut self, diff: &Diff, evidence: Evidence) -> Result<(), Error> {
        self.0.differs(diff.clone());
        self.0.note(|change| change.document.evidence = evidence);
        self.0.enter(State::Validated)
    }

    /// What an ephemeral instance was, and is to become: it has no comparison (E5).
    pub fn keeps(&mut self, evidence: Evidence) {
        self.0.note(|change| change.document.evidence = evidence);
    }

    /// Stores that the commit may have been sent. No row, no send.
    ///
    /// # Errors
    /// `internal` when it cannot be stored; then it must not be sent.
    pub async fn committing(&mut self, confirmed: Option<&mut ConfirmedCommit>) -> Result<(), Error> {
        let sent = Moment::now(&self.0.gateway().inner.clock);
        self.0.note(|change| change.document.evidence.sent = Some(sent));
        if let Some(commit) = &confirmed {
            let id = commit.row.id.clone();
            self.0
                .note(|change| change.document.confirmed_commit_id = Some(id));
        }
        self.0.committing(StepName::Commit, confirmed).await
    }

    /// The change that stands for it.
    pub fn change_id(&self) -> &str {
        &self.0.change().row.id
    }

    /// The request that asks for it.
    pub fn request_id(&self) -> Option<&str> {
        self.0.change().row.request_id.as_deref()
    }

    /// What is known for later.
    pub fn evidence(&self) -> &Evidence {
        &self.0.change().document.evidence
    }

    /// What stands in its comment.
    pub fn marker(&self) -> &str {
        &self.0.change().document.marker
    }

    /// The device committed what has to be confirmed.
    pub async fn pending(mut self, told: &Committed, commit: &mut ConfirmedCommit) -> ChangeView {
        self.0.note(|change| {
            change.set_members(&told.members);
            change.document.revision.clone_from(&told.revision);
        });
        self.0
            .hand_over(State::PendingConfirm, Outcome::Applied, commit)
            .await
    }

    /// A step went well.
    pub fn done(&mut self, step: StepName, raw: &RawReply) {
        self.0.step(ChangeStepView::new(step, "done", raw.took()));
        self.0
            .note(|change| reading::warn(&mut change.document.warnings, &raw.scan));
        self.0.show();
    }

    /// The device said no to a step.
    pub fn refused(&mut self, step: StepName, took: Duration) {
        self.0.step(ChangeStepView::new(step, "failed", took));
    }

    /// A step was sent, and no reply came.
    pub fn lost(&mut self, step: StepName) {
        self.0.step(ChangeStepView::new(step, "unknown", Duration::ZERO));
    }

    /// The device committed.
    pub async fn committed(mut self, told: &Committed) -> ChangeView {
        self.0.note(|change| {
            change.set_members(&told.members);
            change.document.revision.clone_from(&told.revision);
        });
        self.0.end(State::Committed, Outcome::Applied).await
    }

    /// There was nothing to commit, and nothing was (E1).
    pub async fn unchanged(mut self) -> ChangeView {
        self.0.end(State::Unchanged, Outcome::NotApplied).await
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
        let row = &self.0.change().row;
        if state == State::Unknown && self.0.change().document.confirmed_commit_id.is_none() {
            // Before anybody can take it for the last word: it is found out next.
            self.0.gateway().inner.resolving.put(&row.id, &row.device_id);
        }
        self.0.note(|change| {
            change.set_members(error.members());
            change.set_error(&error);
        });
        self.0.end(state, outcome).await;
        error
    }
}
