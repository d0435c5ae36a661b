//! A change as it is known: in memory while it runs, in the store from the beginning on. What is not a column there is
//! one sealed document.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use super::state::State;
use crate::error::{Error, ErrorCode, MemberResult, Outcome};
use crate::service::edit::view::{
    ChangeErrorView, ChangeStepView, ChangeView, LockHolderView, MemberView, RpcErrorView, ScheduledView,
};
use crate::service::evidence::Evidence;
use crate::service::time;
use crate::store::ChangeRecord;

/// What is not a column.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Document {
    pub dry_run: bool,
    pub changed: Option<bool>,
    pub diff: Option<String>,
    pub diff_sha256: Option<String>,
    pub steps: Vec<ChangeStepView>,
    pub warnings: Vec<RpcErrorView>,
    pub members: Vec<MemberView>,
    pub undo_guaranteed: bool,
    pub scheduled: Option<ScheduledView>,
    pub session_id: Option<u64>,
    pub revision: Option<String>,
    pub error: Option<ChangeErrorView>,
    /// What stands in the comment of its commit (E3).
    pub marker: String,
    /// What tells later whether it was committed (E2).
    pub evidence: Evidence,
    /// The ephemeral instance; absent: the default one, or another mode.
    pub instance: Option<String>,
    pub confirmed_commit_id: Option<String>,
    /// What it made was seen to wait for a confirm.
    pub waited: bool,
    /// A probe decides about it.
    pub probed: bool,
    /// That it is a commit of.
    pub edit_session_id: Option<String>,
    /// What was seen on the device when the reply to the commit was lost, in words.
    pub seen: Option<String>,
    /// Nobody looks any more.
    pub given_up: bool,
}

/// A change.
#[derive(Debug, Clone)]
pub(super) struct Change {
    pub row: ChangeRecord,
    pub state: State,
    pub document: Document,
}

impl Change {
    /// As it was stored. `None`: the row is damaged.
    pub fn of(row: ChangeRecord) -> Option<Self> {
        Some(Self {
            state: State::parse(&row.state)?,
            document: serde_json::from_slice(&row.document).ok()?,
            row,
        })
    }

    /// Brings it into the next state.
    ///
    /// # Errors
    /// `invalid-state`: the one does not lead to the other.
    pub fn enter(&mut self, next: State) -> Result<(), Error> {
        if !self.state.leads_to(next) {
            let detail = format!(
                "the change {} is {}, which does not lead to {}",
                self.row.id,
                self.state.as_str(),
                next.as_str()
            );
            return Err(Error::new(ErrorCode::InvalidState, detail).with_change_id(&self.row.id));
        }
        self.state = next;
        self.document.waited |= next == State::PendingConfirm;
        Ok(())
    }

    /// The row as it is to be stored.
    pub fn to_row(&self) -> ChangeRecord {
        let document = serde_json::to_vec(&self.document)
            .expect("a document has string keys and finite numbers only, so it is always JSON");
        ChangeRecord {
            state: self.state.as_str().to_owned(),
            reason: self.reason(),
            document,
            ..self.row.clone()
        }
    }

    /// Why it failed, or why it is not known what came of it: a word of a closed list.
    fn reason(&self) -> Option<String> {
        let error = self.document.error.as_ref()?;
        let told = matches!(self.state, State::Failed | State::Unknown);
        let word = match &error.reason {
            Some(reason) if error.code == ErrorCode::Internal.as_str() => reason,
            _ => &error.code,
        };
        told.then(|| word.clone())
    }

    pub fn set_outcome(&mut self, outcome: Outcome) {
        self.row.outcome = Some(outcome.as_str().to_owned());
    }

    /// What became of the step that had begun: it may have been sent, or it was not.
    pub fn end_begun(&mut self, outcome: Outcome) {
        if let Some(mut step) = self.document.steps.pop_if(|last| last.is_begun()) {
            match outcome {
                Outcome::NotSent | Outcome::NotApplied => {}
                Outcome::Applied | Outcome::Unknown => {
                    "unknown".clone_into(&mut step.result);
                    self.document.steps.push(step);
                }
            }
        }
    }

    pub fn set_members(&mut self, members: &[MemberResult]) {
        self.document.members = members.iter().map(MemberView::from).collect();
    }

    /// What the caller is told, for those who look later.
    pub fn set_error(&mut self, error: &Error) {
        self.document.error = Some(ChangeErrorView {
            code: error.code().as_str().to_owned(),
            detail: error.detail().to_owned(),
            step: error.step().map(str::to_owned),
            reason: error.reason().map(str::to_owned),
            holder: error.holder().map(LockHolderView::from),
            rpc_errors: error.rpc_errors().iter().map(RpcErrorView::from).collect(),
        });
    }

    pub fn view(&self) -> ChangeView {
        let Self { row, state, document } = self.clone();
        ChangeView {
            id: row.id,
            device: row.device,
            owner: row.owner,
            mode: row.mode,
            state: state.as_str().to_owned(),
            outcome: row.outcome,
            dry_run: document.dry_run,
            changed: document.changed,
            diff: document.diff,
            diff_sha256: document.diff_sha256,
            steps: document.steps,
            warnings: document.warnings,
            members: document.members,
            undo: (!document.undo_guaranteed).then(|| "not_guaranteed".to_owned()),
            scheduled: document.scheduled,
            confirmed_commit_id: document.confirmed_commit_id,
            confirmed_commit: None,
            session_id: document.session_id,
            revision: document.revision,
            error: document.error,
            seen: document.seen,
            create_time: time::rfc3339(row.created_at),
            update_time: time::rfc3339(row.updated_at),
        }
    }
}

/// The changes that run in this process, each as it is now.
#[derive(Debug, Default)]
pub(in crate::service) struct Running(Mutex<HashMap<String, Change>>);

impl Running {
    pub(super) fn put(&self, change: &Change) {
        self.lock().insert(change.row.id.clone(), change.clone());
    }

    pub(super) fn remove(&self, id: &str) {
        self.lock().remove(id);
    }

    pub(super) fn get(&self, id: &str) -> Option<Change> {
        self.lock().get(id).cloned()
    }

    /// One that is at work on this device, by the id of its row.
    pub(super) fn at_work(&self, device_id: &str) -> Option<(String, State)> {
        let running = self.lock();
        let is_at_work = |change: &&Change| change.row.device_id == device_id && change.state.is_running();
        let change = running.values().find(is_at_work)?;
        Some((change.row.id.clone(), change.state))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Change>> {
        // Every change under the lock is complete in itself.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
