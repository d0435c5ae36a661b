//! What is stored of an operation that is no change, beside its columns.

use serde::{Deserialize, Serialize};

use super::at_once::AtOnce;
use super::failure::Failure;
use super::view::{Operation, State};
use crate::error::{Error, ErrorCode, Outcome};
use crate::service::time;
use crate::store::OperationRecord;

/// What is not a column.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Document {
    /// Of the request that it was.
    pub request_id: String,
    pub failure: Option<Failure>,
    /// Of a response that is too large to be kept.
    pub omitted_bytes: Option<u64>,
    /// The path under which what the call is about can be looked at.
    pub resource: Option<String>,
    /// What it was ordered about, if that has a record of its own, which tells what came of it (`following`).
    pub about: Option<String>,
    /// What is running before it, if it changes that at once.
    pub at_once: Option<AtOnce>,
    /// Neither that record nor the device tells, and they will not.
    pub given_up: bool,
}

impl Document {
    /// As it was stored; a damaged one is empty.
    pub fn of(bytes: &[u8]) -> Self {
        serde_json::from_slice(bytes).unwrap_or_default()
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("strings, numbers and lists of them always serialise")
    }
}

/// An operation as it was stored. `lost`: nobody runs it. `followed`: what came of it is being found out.
///
/// # Errors
/// `internal`: the row is damaged.
pub(super) fn operation(
    row: OperationRecord,
    response: Option<Vec<u8>>,
    lost: bool,
    followed: bool,
) -> Result<Operation, Error> {
    let damaged = || {
        let detail = format!("the stored row of operation {} is damaged", row.id);
        Error::new(ErrorCode::Internal, detail)
    };
    let stored = State::parse(&row.state).ok_or_else(damaged)?;
    let document: Document = serde_json::from_slice(&row.document).map_err(|_| damaged())?;
    let response = response
        .map(String::from_utf8)
        .transpose()
        .map_err(|_| damaged())?;
    Ok(told(row, (stored, document), response, lost, followed))
}

/// One that has just begun.
pub(super) fn begun(row: &OperationRecord, document: Document) -> Operation {
    told(row.clone(), (State::Running, document), None, false, false)
}

fn told(
    row: OperationRecord,
    (stored, document): (State, Document),
    response: Option<String>,
    lost: bool,
    followed: bool,
) -> Operation {
    let (state, outcome) = match stored {
        State::Running if lost => (State::Unknown, Some(Outcome::Unknown.as_str().to_owned())),
        state => (state, row.outcome),
    };
    let failure = match (&document.failure, state) {
        (Some(failure), _) => Some(failure.error(&row.id)),
        (None, State::Unknown) => Some(interrupted(&row.id, &row.device)),
        (None, State::Running | State::Succeeded | State::Failed) => None,
    };
    Operation {
        id: row.id,
        kind: row.kind,
        device: row.device,
        owner: row.owner,
        state,
        done: match state {
            State::Running => false,
            State::Unknown => document.given_up || !followed,
            State::Succeeded | State::Failed => true,
        },
        outcome,
        create_time: time::rfc3339(row.created_at),
        update_time: time::rfc3339(row.updated_at),
        phase: state.as_str().to_owned(),
        progress: None,
        is_change: false,
        request_id: document.request_id,
        failure,
        response,
        omitted_bytes: document.omitted_bytes,
        resource: document.resource,
    }
}

/// The gateway ended before the operation did, or its end could not be stored.
fn interrupted(id: &str, device: &str) -> Error {
    Error::new(ErrorCode::OutcomeUnknown, "the gateway ended before the call did")
        .with_outcome(Outcome::Unknown)
        .with_reason("gateway_restarted")
        .with_device(device)
        .with_operation_id(id)
        .with_hint("look at the device; it is not sent again")
}
