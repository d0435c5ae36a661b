//! Failures as `application/problem+json` (RFC 9457, conventions H2). A handler fails with an [`ApiError`]; the
//! outermost layer of the router, which knows the request, writes the body and the log line.

use std::sync::Arc;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, Method, header};
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::status;
use crate::error::{Error, ErrorCode};
use crate::service::edit::view::{LockHolderView, MemberView, RpcErrorView};

/// The media type of every 4xx and 5xx body.
pub const MEDIA_TYPE: &str = "application/problem+json";

/// A failed request, on its way to the layer that writes the answer.
#[derive(Debug, Clone)]
pub struct ApiError {
    pub error: Error,
    /// For 405: what the resource does take.
    allow: Option<Vec<Method>>,
}

impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        Self { error, allow: None }
    }
}

impl ApiError {
    pub fn new(code: ErrorCode, detail: impl Into<String>) -> Self {
        Error::new(code, detail).into()
    }

    /// A request that is wrong at `pointer`.
    pub fn invalid(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Error::invalid(pointer, detail).into()
    }

    /// A failure of 405 names the methods that work.
    pub fn with_allow(mut self, methods: &[Method]) -> Self {
        self.allow = Some(methods.to_vec());
        self
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = status::of(&self.error).http;
        if let Some(methods) = &self.allow {
            let names: Vec<&str> = methods.iter().map(Method::as_str).collect();
            if let Ok(value) = HeaderValue::from_str(&names.join(", ")) {
                response.headers_mut().insert(header::ALLOW, value);
            }
        }
        response.extensions_mut().insert(Arc::new(self.error));
        response
    }
}

/// The body of every failure. Members that say nothing are absent.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Problem {
    /// A page about the code, relative to the gateway: `/problems/{code}`.
    #[serde(rename = "type")]
    pub kind: String,
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What was tried and what was wrong.
    pub detail: String,
    /// The path of the request.
    pub instance: String,
    /// The code that programs should look at.
    pub code: String,
    pub request_id: String,
    /// Who can do something about it: `caller`, `gateway` or `device`.
    pub origin: String,
    /// Whether the same request may succeed later without anybody changing anything.
    pub retryable: bool,
    /// What the call did to the device: `not_sent`, `not_applied`, `applied` or `unknown`.
    pub outcome: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after_seconds: Option<u64>,
    /// What is wrong with the request, place by place.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldProblem>,
    /// Every error of the device's reply, in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rpc_errors: Vec<RpcErrorView>,
    /// How many errors the reply had; `rpc_errors` holds the first 1000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rpc_errors_total: Option<u64>,
    /// Whether errors were left out, or a text beyond 64 KiB was cut.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rpc_errors_truncated: Option<bool>,
    /// The change that failed: `GET …/changes/{id}` tells the rest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub change_id: Option<String>,
    /// The operation that tells what came of the call: `GET /v1/operations/{id}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation_id: Option<String>,
    /// Who holds the lock that was refused, as far as the device says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub holder: Option<LockHolderView>,
    /// Of a confirmed commit that is in the way: its id, if it is the gateway's own,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confirmed_commit_id: Option<String>,
    /// whose it is: `us` (the gateway's) or `other`,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// who made it,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// and until when it waits, as far as that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deadline: Option<String>,
    /// The uncommitted changes that are in the way, in the device's notation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub diff: Option<String>,
    /// SHA-256 of `diff`, hexadecimal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub diff_sha256: Option<String>,
    /// What each routing engine or cluster member said to a commit, where they differ.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub members: Vec<MemberView>,
}

/// One thing wrong with a request.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct FieldProblem {
    /// A JSON pointer into the body (RFC 6901), `?name` for a query option, `{name}` for a part of the
    /// path, or the name of a header.
    pub pointer: String,
    pub detail: String,
}

impl Problem {
    /// `instance`: the path of the request, without its query, which may hold data.
    pub fn new(error: &Error, request_id: &str, instance: &str) -> Self {
        let code = error.code();
        let told = !error.rpc_errors().is_empty();
        Self {
            kind: format!("/problems/{code}"),
            title: code.title().to_owned(),
            status: status::of(error).http.as_u16(),
            detail: error.headline(str::to_owned).into_owned(),
            instance: instance.to_owned(),
            code: code.as_str().to_owned(),
            request_id: request_id.to_owned(),
            origin: error.origin().as_str().to_owned(),
            retryable: error.retryable(),
            outcome: error.outcome().as_str().to_owned(),
            device: error.device().map(str::to_owned),
            step: error.step().map(str::to_owned),
            reason: error.reason().map(str::to_owned),
            hint: error.hint().map(str::to_owned),
            retry_after_seconds: status::retry_after_seconds(error, request_id),
            errors: error
                .fields()
                .iter()
                .map(|field| FieldProblem {
                    pointer: field.pointer.clone(),
                    detail: field.detail.clone(),
                })
                .collect(),
            rpc_errors: error.rpc_errors().iter().map(RpcErrorView::from).collect(),
            rpc_errors_total: told.then_some(error.rpc_error_list().total),
            rpc_errors_truncated: told.then_some(error.rpc_error_list().truncated),
            change_id: error.change_id().map(str::to_owned),
            operation_id: error.operation_id().map(str::to_owned),
            holder: error.holder().map(LockHolderView::from),
            confirmed_commit_id: error.pending_commit().and_then(|commit| commit.id.clone()),
            by: error.pending_commit().map(|commit| commit.by.clone()),
            owner: error.pending_commit().and_then(|commit| commit.owner.clone()),
            deadline: error.pending_commit().and_then(|commit| commit.deadline.clone()),
            diff: error.diff().map(|diff| diff.text.clone()),
            diff_sha256: error.diff().map(|diff| diff.sha256.clone()),
            members: error.members().iter().map(MemberView::from).collect(),
        }
    }

    /// The answer: status, media type, `Retry-After` and body. Headers that the failed handler set are kept.
    pub fn respond(self, failed: Response) -> Response {
        let retry_after = self.retry_after_seconds;
        let body = serde_json::to_vec(&self).expect("strings, numbers and lists of them always serialise");
        let (mut parts, _) = failed.into_parts();
        parts
            .headers
            .insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        parts
            .headers
            .insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
        parts
            .headers
            .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(seconds) = retry_after {
            parts
                .headers
                .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        Response::from_parts(parts, Body::from(body))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Outcome;
    use crate::netconf::reply::ErrorList;
    use crate::netconf::rpc_error::RpcError;

    fn json(problem: &Problem) -> serde_json::Value {
        serde_json::to_value(problem).expect("a problem serialises")
    }

    /// H2: every member that the rules name, and no empty ones.
    #[test]
    fn problem_has_the_members_of_the_rules_and_no_empty_ones() {
        let bare = json(&Problem::new(
            &Error::new(ErrorCode::NotFound, "no device a"),
            "r1",
            "/v1/devices/a",
        ));
        assert_eq!(
            bare,
            serde_json::json!({
                "type": "/problems/not-found", "title": "There is no such thing", "status": 404,
                "detail": "no device a", "instance": "/v1/devices/a", "code": "not-found", "request_id": "r1",
                "origin": "caller", "retryable": false, "outcome": "not_sent"
            })
        );

        let device = RpcError {
            error_severity: Some("error".into()),
            error_message: Some("syntax error".into()),
            bad_element: Some("get-nothing".into()),
            ..RpcError::default()
        };
        let full = Error::new(ErrorCode::LockDenied, "lock candidate on mx1")
            .with_outcome(Outcome::NotApplied)
            .with_device("mx1")
            .with_step("lock")
            .with_reason("held")
            .with_hint("wait")
            .with_retry_after(5)
            .with_field("/edits/0", "bad")
            .with_rpc_errors(vec![device.clone(), device]);
        let full = json(&Problem::new(&full, "r2", "/x"));
        assert_eq!(full["reason"], "held");
        assert_eq!(full["step"], "lock");
        assert_eq!(full["hint"], "wait");
        assert_eq!(full["outcome"], "not_applied");
        assert!(full["retry_after_seconds"].as_u64().expect("a number") >= 5);
        assert_eq!(
            full["errors"],
            serde_json::json!([{"pointer": "/edits/0", "detail": "bad"}])
        );
        assert_eq!(full["rpc_errors"].as_array().expect("a list").len(), 2);
        assert_eq!(full["rpc_errors_total"], 2);
        assert_eq!(full["rpc_errors_truncated"], false);
        assert_eq!(
            full["rpc_errors"][1],
            serde_json::json!({
                "error_severity": "error", "error_message": "syntax error", "bad_element": "get-nothing"
            })
        );
    }

    /// S18: errors that were not kept, and texts that were cut, are told.
    #[test]
    fn what_is_left_out_of_the_errors_is_told() {
        let list = ErrorList {
            errors: vec![RpcError::default()],
            total: 1500,
            truncated: true,
        };
        let problem = json(&Problem::new(
            &Error::new(ErrorCode::DeviceError, "x").with_rpc_errors(list),
            "r",
            "/x",
        ));
        assert_eq!(problem["rpc_errors_total"], 1500);
        assert_eq!(problem["rpc_errors_truncated"], true);
    }
}
