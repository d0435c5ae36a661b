//! A change as the operation that it is (conventions H7). Nothing is stored for it: its record says everything.

use super::record::Change;
use super::state::State;
use crate::error::{Error, Outcome};
use crate::service::Gateway;
use crate::service::edit::view::ChangeView;
use crate::service::operations::{Failure, MOST_RESPONSE, Operation, Progress, State as OperationState};
use crate::service::time;
use crate::store::{ChangeRecord, StoreError};

impl Gateway {
    /// The operation of a change, as it is now.
    ///
    /// # Errors
    /// `internal`: the row is damaged; `store-unavailable`.
    pub(in crate::service) async fn operation_of_change(
        &self,
        row: ChangeRecord,
    ) -> Result<Operation, Error> {
        let id = row.id.clone();
        let operation = self.operation_of_row(row)?;
        if !operation.done || operation.state != OperationState::Unknown {
            return Ok(operation);
        }
        // Nobody looks any more: perhaps because it was found out, and stored, after the row was read.
        match self.inner.store.find_change(&id).await {
            Ok(row) => self.operation_of_row(row),
            Err(StoreError::NotFound) => Ok(operation),
            Err(error) => Err(self.store_error(error)),
        }
    }

    fn operation_of_row(&self, row: ChangeRecord) -> Result<Operation, Error> {
        let runs = self.inner.changes.get(&row.id).is_some();
        let change = self.known_change(row)?;
        let doing = Doing {
            looks: runs || self.is_looked_at(&change),
            probes: self.is_probed(&change),
        };
        Ok(operation(&change, doing))
    }

    /// A change as its caller was answered, and the edit session that it was a commit of.
    ///
    /// # Errors
    /// `internal`: the row is damaged.
    pub(in crate::service) fn change_for_its_caller(
        &self,
        row: ChangeRecord,
    ) -> Result<(ChangeView, Option<String>), Error> {
        let change = self.known_change(row)?;
        let edit_session = change.document.edit_session_id.clone();
        Ok((change.view(), edit_session))
    }

    /// Whether somebody finds out what became of it.
    fn is_looked_at(&self, change: &Change) -> bool {
        let guarded = change.document.confirmed_commit_id.as_deref();
        self.inner.resolving.contains(&change.row.id)
            || guarded.is_some_and(|id| self.inner.confirmed.contains(id))
    }

    /// Whether its commit is in the hands of a probe.
    fn is_probed(&self, change: &Change) -> bool {
        let guarded = change.document.confirmed_commit_id.as_deref();
        guarded.is_some_and(|id| self.inner.confirmed.is_probed(id))
    }
}

/// What somebody does about a change at this moment.
#[derive(Debug, Clone, Copy, Default)]
struct Doing {
    /// Finds out what became of it: more may be known later.
    looks: bool,
    /// Probes its commit, and will confirm or cancel it.
    probes: bool,
}

/// One that has just begun.
pub(super) fn begun(change: &Change) -> Operation {
    operation(change, Doing::default())
}

fn operation(change: &Change, doing: Doing) -> Operation {
    let (row, document) = (&change.row, &change.document);
    let state = match change.state {
        // The call that asked for the probe goes on.
        State::PendingConfirm if doing.probes => OperationState::Running,
        _ => state(change),
    };
    let done = match state {
        OperationState::Running => false,
        OperationState::Unknown => !doing.looks,
        OperationState::Succeeded | OperationState::Failed => true,
    };
    let outcome = row.outcome.as_deref().and_then(Outcome::parse);
    let failure = document
        .error
        .as_ref()
        .filter(|_| state != OperationState::Succeeded);
    let outcome_of_failure = outcome.unwrap_or(Outcome::Unknown);
    let failure = failure
        .map(|error| Failure::of_change(error, outcome_of_failure, &row.device, &row.id).error(&row.id));
    let ended = document.steps.iter().filter(|step| !step.is_begun()).count();
    let mut operation = Operation {
        id: row.id.clone(),
        kind: match document.edit_session_id {
            Some(_) => "commit_edit_session",
            None => "create_change",
        }
        .to_owned(),
        device: row.device.clone(),
        owner: row.owner.clone(),
        state,
        done,
        outcome: row.outcome.clone(),
        create_time: time::rfc3339(row.created_at),
        update_time: time::rfc3339(row.updated_at),
        phase: change.state.as_str().to_owned(),
        progress: Some(Progress {
            steps: ended as u64,
            step: document.steps.last().map(|step| step.name.clone()),
        }),
        is_change: true,
        request_id: row.request_id.clone().unwrap_or_default(),
        failure,
        response: None,
        omitted_bytes: None,
        resource: Some(format!("/v1/devices/{}/changes/{}", row.device, row.id)),
    };
    if state == OperationState::Succeeded {
        let json = serde_json::to_string(&change.view()).unwrap_or_default();
        match json.len() {
            bytes if bytes > MOST_RESPONSE => operation.omitted_bytes = Some(bytes as u64),
            _ => operation.response = Some(json),
        }
    }
    operation
}

/// How far the call that asked for the change has come. What was sent and found out counts more than what its caller was
/// told at first.
fn state(change: &Change) -> OperationState {
    let told = change.document.error.is_some();
    let found_out = change.document.seen.is_some();
    // Without a probe the call ends when the commit waits for its confirm.
    let ended = change.document.waited && !change.document.probed;
    match change.state {
        State::Preparing | State::Editing | State::Validated | State::Committing => OperationState::Running,
        // Only what follows a commit failed.
        State::Committed if told && !found_out => OperationState::Failed,
        State::Committed
        | State::Unchanged
        | State::Scheduled
        | State::PendingConfirm
        | State::Confirmed
        | State::Kept
        | State::Discarded => OperationState::Succeeded,
        State::RolledBack | State::Cancelled | State::Unknown if ended => OperationState::Succeeded,
        // Made and taken back; without a reply to its commit it was never told as made.
        State::RolledBack | State::Cancelled if told => OperationState::Failed,
        State::RolledBack | State::Cancelled => OperationState::Succeeded,
        State::Failed => OperationState::Failed,
        State::Unknown => OperationState::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::super::record::Document;
    use super::*;
    use crate::error::ErrorCode;

    fn change(state: State, told: bool, seen: bool) -> Change {
        let mut change = Change {
            row: ChangeRecord {
                id: "c1".to_owned(),
                device_id: "d1".to_owned(),
                device: "mx1".to_owned(),
                owner: "alice".to_owned(),
                mode: "exclusive".to_owned(),
                state: state.as_str().to_owned(),
                outcome: None,
                reason: None,
                request_id: None,
                created_at: time::EPOCH,
                updated_at: time::EPOCH,
                passed: Vec::new(),
                document: Vec::new(),
            },
            state,
            document: Document::default(),
        };
        if told {
            change.set_error(&Error::new(ErrorCode::OutcomeUnknown, "no reply came"));
        }
        change.document.seen = seen.then(|| "the history holds it".to_owned());
        change
    }

    /// H7, issue 4: the operation and the change end in the same state.
    #[test]
    fn the_state_is_that_of_the_change() {
        use OperationState as O;
        for (state, told, seen, expected, done) in [
            (State::Preparing, false, false, O::Running, false),
            (State::Editing, false, false, O::Running, false),
            (State::Validated, false, false, O::Running, false),
            (State::Committing, false, false, O::Running, false),
            (State::Committed, false, false, O::Succeeded, true),
            (State::Committed, true, false, O::Failed, true),
            (State::Committed, true, true, O::Succeeded, true),
            (State::Unchanged, false, false, O::Succeeded, true),
            (State::Scheduled, false, false, O::Succeeded, true),
            (State::PendingConfirm, true, false, O::Succeeded, true),
            (State::Confirmed, true, false, O::Succeeded, true),
            (State::RolledBack, false, false, O::Succeeded, true),
            (State::RolledBack, true, false, O::Failed, true),
            (State::Kept, true, false, O::Succeeded, true),
            (State::Cancelled, false, false, O::Succeeded, true),
            (State::Discarded, false, false, O::Succeeded, true),
            (State::Failed, true, true, O::Failed, true),
            (State::Unknown, true, false, O::Unknown, true),
        ] {
            let operation = operation(&change(state, told, seen), Doing::default());
            assert_eq!((operation.state, operation.done), (expected, done), "{state:?}");
            assert_eq!(operation.phase, state.as_str());
            assert_eq!(
                operation.response.is_some(),
                expected == O::Succeeded,
                "{state:?}"
            );
        }
        let looks = Doing {
            looks: true,
            probes: false,
        };
        assert!(!operation(&change(State::Unknown, true, false), looks).done);
    }

    /// H7: what becomes of a commit that waited for its confirm does not change how its call ended.
    #[test]
    fn what_follows_a_commit_that_waited_is_beside_its_operation() {
        for told in [false, true] {
            for end in [State::Unknown, State::RolledBack, State::Cancelled, State::Kept] {
                let mut made = change(State::Unknown, told, told);
                made.enter(State::PendingConfirm).expect("it was seen to wait");
                let waits = operation(&made, Doing::default());
                assert_eq!((waits.state, waits.done), (OperationState::Succeeded, true));
                made.enter(end).expect("what a confirmed commit may come to");
                let over = operation(&made, Doing::default());
                assert_eq!(
                    (over.state, over.done),
                    (OperationState::Succeeded, true),
                    "{end:?}"
                );
                assert_eq!(over.phase, end.as_str());
                // The call with a probe goes on until that has decided.
                made.document.probed = true;
                let probed = operation(&made, Doing::default());
                let unknown = probed.state == OperationState::Unknown;
                assert_eq!(unknown, end == State::Unknown, "{end:?}");
            }
        }
    }

    /// H7, S31: a change whose commit is being probed is not done.
    #[test]
    fn a_probe_is_part_of_the_operation() {
        let doing = |probes| Doing {
            looks: probes,
            probes,
        };
        let probed = operation(&change(State::PendingConfirm, false, false), doing(true));
        assert_eq!((probed.state, probed.done), (OperationState::Running, false));
        assert_eq!(probed.phase, "pending_confirm");
        let over = operation(&change(State::Confirmed, false, false), doing(true));
        assert_eq!((over.state, over.done), (OperationState::Succeeded, true));
    }
}
