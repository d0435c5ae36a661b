//! What is stored of an operation that is no change, beside its columns.

use serde::{Deserialize, Serialize};

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
}

impl Document {
    /// Of a stored document.
    pub fn request_id_of(bytes: &[u8]) -> String {
        serde_json::from_slice::<Self>(bytes)
            .unwrap_or_default()
            .request_id
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("strings, numbers and lists of them always serialise")
    }
}

/// An operation as it was stored. `lost`: nobody runs it.
///
/// # Errors
/// `internal`: the row is damaged.
pub(super) fn operation(
    row: OperationRecord,
    response: Option<Vec<u8>>,
    lost: bool,
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
    let (state, outcome) = match stored {
        State::Running if lost => (State::Unknown, Some(Outcome::Unknown.as_str().to_owned())),
        state => (state, row.outcome),
    };
    let failure = match (&document.failure, state) {
        (Some(failure), _) => Some(failure.error(&row.id)),
        (None, State::Unknown) => Some(interrupted(&row.id, &row.device)),
        (None, State::Running | State::Succeeded | State::Failed) => None,
    };
    Ok(Operation {
        id: row.id,
        kind: row.kind,
        device: row.device,
        owner: row.owner,
        state,
        done: state != State::Running,
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
    })
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
