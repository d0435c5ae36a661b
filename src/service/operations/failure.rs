//! What an operation failed with, as it is stored: enough to tell it again through either door.

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorCode, Outcome};
use crate::netconf::lock_refusal::LockHolder;
use crate::netconf::rpc_error::RpcError;
use crate::service::edit::view::{ChangeErrorView, LockHolderView, RpcErrorView};

/// All of them together; the answer to the caller had them all.
const MOST_BYTES: usize = 256 << 10;
/// Errors that are kept when all are too many.
const MOST_ERRORS: usize = 16;

/// A failure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(in crate::service) struct Failure {
    code: String,
    detail: String,
    outcome: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    device: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    step: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    change_id: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    fields: Vec<(String, String)>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    rpc_errors: Vec<RpcErrorView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    holder: Option<LockHolderView>,
}

impl From<&Error> for Failure {
    fn from(error: &Error) -> Self {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        let fields = error.fields().iter();
        let mut failure = Self {
            code: error.code().as_str().to_owned(),
            detail: error.detail().to_owned(),
            outcome: error.outcome().as_str().to_owned(),
            device: owned(error.device()),
            step: owned(error.step()),
            reason: owned(error.reason()),
            hint: owned(error.hint()),
            change_id: owned(error.change_id()),
            fields: fields
                .map(|field| (field.pointer.clone(), field.detail.clone()))
                .collect(),
            rpc_errors: error.rpc_errors().iter().map(RpcErrorView::from).collect(),
            holder: error.holder().map(LockHolderView::from),
        };
        let bytes = |failure: &Self| serde_json::to_vec(failure).map_or(0, |json| json.len());
        if bytes(&failure) > MOST_BYTES {
            failure.rpc_errors.truncate(MOST_ERRORS);
        }
        if bytes(&failure) > MOST_BYTES {
            failure.rpc_errors.clear();
        }
        failure
    }
}

impl Failure {
    /// What a change says of its failure. `outcome`: that of the change.
    pub fn of_change(error: &ChangeErrorView, outcome: Outcome, device: &str, change_id: &str) -> Self {
        Self {
            code: error.code.clone(),
            detail: error.detail.clone(),
            outcome: outcome.as_str().to_owned(),
            device: Some(device.to_owned()),
            step: error.step.clone(),
            reason: error.reason.clone(),
            hint: None,
            change_id: Some(change_id.to_owned()),
            fields: Vec::new(),
            rpc_errors: error.rpc_errors.clone(),
            holder: error.holder.clone(),
        }
    }

    /// The same, after it was found out what came of it.
    pub fn found(mut self, outcome: Outcome, seen: &str) -> Self {
        outcome.as_str().clone_into(&mut self.outcome);
        self.hint = Some(seen.to_owned());
        self
    }

    /// The failure as it was told first, the operation named.
    pub fn error(&self, operation_id: &str) -> Error {
        let code = ErrorCode::parse(&self.code).unwrap_or(ErrorCode::Internal);
        let outcome = Outcome::parse(&self.outcome).unwrap_or(Outcome::Unknown);
        let mut error = Error::new(code, self.detail.clone())
            .with_outcome(outcome)
            .with_operation_id(operation_id)
            .with_rpc_errors(self.rpc_errors.iter().map(RpcError::from).collect::<Vec<_>>());
        if let Some(device) = &self.device {
            error = error.with_device(device);
        }
        if let Some(step) = &self.step {
            error = error.with_step(step);
        }
        if let Some(reason) = &self.reason {
            error = error.with_reason(reason);
        }
        if let Some(hint) = &self.hint {
            error = error.with_hint(hint);
        }
        if let Some(id) = &self.change_id {
            error = error.with_change_id(id);
        }
        if let Some(holder) = &self.holder {
            error = error.with_holder(LockHolder {
                session_id: holder.session_id,
                user: holder.user.clone(),
                terminal: holder.terminal.clone(),
                since: holder.since.clone(),
                idle: holder.idle.clone(),
                ..LockHolder::default()
            });
        }
        for (pointer, detail) in &self.fields {
            error = error.with_field(pointer, detail);
        }
        error
    }
}

impl From<&RpcErrorView> for RpcError {
    fn from(view: &RpcErrorView) -> Self {
        Self {
            error_type: view.error_type.clone(),
            error_tag: view.error_tag.clone(),
            error_severity: view.error_severity.clone(),
            error_app_tag: view.error_app_tag.clone(),
            error_path: view.error_path.clone(),
            error_path_namespaces: view.error_path_namespaces.clone().into_iter().collect(),
            error_message: view.error_message.clone(),
            error_info: view.error_info.clone(),
            bad_element: view.bad_element.clone(),
            source_daemon: view.source_daemon.clone(),
            member: view.member.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// H7: what is told later is what was told first.
    #[test]
    fn a_failure_comes_back_as_it_was() {
        let refused = RpcError {
            error_message: Some("syntax error".to_owned()),
            ..RpcError::default()
        };
        let error = Error::invalid("/a", "is wrong")
            .with_outcome(Outcome::NotApplied)
            .with_device("mx1")
            .with_step("edit")
            .with_reason("held")
            .with_hint("wait")
            .with_change_id("c1")
            .with_rpc_errors(vec![refused]);
        let failure = Failure::from(&error);
        let told = failure.error("o1");
        assert_eq!(Failure::from(&told), failure);
        assert_eq!(told.operation_id(), Some("o1"));
        assert_eq!(told.outcome(), Outcome::NotApplied);
    }

    /// What is stored is bounded.
    #[test]
    fn many_errors_are_cut() {
        let long = |bytes: usize| RpcError {
            error_message: Some("x".repeat(bytes)),
            ..RpcError::default()
        };
        let many = Error::new(ErrorCode::DeviceError, "x").with_rpc_errors(vec![long(1000); 1000]);
        assert_eq!(Failure::from(&many).rpc_errors.len(), MOST_ERRORS);
        let large = Error::new(ErrorCode::DeviceError, "x").with_rpc_errors(vec![long(1 << 20)]);
        assert!(Failure::from(&large).rpc_errors.is_empty());
    }
}
