//! The two doors: every scenario is told once and runs through REST and through gRPC. What either answers is brought
//! into the shape of REST, so that the same assertions hold for both. `asking` has the reads, `write` and others the rest.

use ncgate::api::grpc::proto;
use ncgate::api::status;
use ncgate::error::{Error, ErrorCode, Outcome};
use reqwest::{RequestBuilder, StatusCode};
use serde_json::Value;
use tonic::Status;
use tonic::transport::{Channel, Endpoint};

use super::grpc;
use super::{TestGateway, answer};

/// A way to call the gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    Rest,
    Grpc,
}

pub const DOORS: [Door; 2] = [Door::Rest, Door::Grpc];

/// What comes with a request beside its body.
#[derive(Debug, Clone, Copy, Default)]
pub struct With<'a> {
    /// Options of design section 4, named as in the query.
    pub options: &'a [(&'a str, &'a str)],
    /// Further attributes of `<rpc>`.
    pub attributes: &'a [(&'a str, &'a str)],
    pub plan: bool,
}

impl With<'_> {
    /// The path of REST with all of it that goes into the query.
    pub fn query(&self, path: &str) -> String {
        let plan: &[(&str, &str)] = if self.plan { &[("plan", "true")] } else { &[] };
        with_query(path, &[self.options, plan].concat())
    }
}

impl With<'_> {
    /// As [`Self::query`], with the attributes, for a body that cannot hold them.
    pub fn query_with_attributes(&self, path: &str) -> String {
        let attributes: Vec<(String, &str)> = self
            .attributes
            .iter()
            .map(|(name, value)| (format!("attr.{name}"), *value))
            .collect();
        let attributes: Vec<(&str, &str)> = attributes
            .iter()
            .map(|(name, value)| (name.as_str(), *value))
            .collect();
        let options = [self.options, &attributes].concat();
        With {
            options: &options,
            ..*self
        }
        .query(path)
    }
}

/// A path with a query.
pub fn with_query(path: &str, pairs: &[(&str, &str)]) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(pairs);
    format!("{path}?{}", query.finish())
}

/// Only options.
pub fn options<'a>(options: &'a [(&'a str, &'a str)]) -> With<'a> {
    With {
        options,
        ..With::default()
    }
}

/// Nothing beside the body.
pub fn plain() -> With<'static> {
    With::default()
}

/// A failed call. That the status belongs to the code by the one table (M3) has been seen to.
#[derive(Debug)]
pub struct Refusal {
    pub code: String,
    pub detail: String,
    pub outcome: String,
    pub origin: String,
    pub reason: Option<String>,
    pub hint: Option<String>,
    /// Every error of the device, in order, as REST writes them.
    pub rpc_errors: Vec<Value>,
    /// Where the request is wrong, without the notation of the door: `/rpc/x` and `?x` are `rpc.x` and `x`.
    pub fields: Vec<String>,
    pub retry_after_seconds: Option<u64>,
    pub step: Option<String>,
    /// The change that failed.
    pub change_id: Option<String>,
    /// Who holds the lock that was refused.
    pub holder: Option<Value>,
    /// The uncommitted changes in the way, and what names them.
    pub diff: Option<String>,
    pub diff_sha256: Option<String>,
    /// What each member said to a commit.
    pub members: Vec<Value>,
}

impl Refusal {
    /// From a problem and the status it came with.
    pub fn of_problem(http: StatusCode, problem: &Value) -> Self {
        let text = |name: &str| problem[name].as_str().map(str::to_owned);
        let refusal = Self {
            code: text("code").unwrap_or_else(|| panic!("no problem: {problem}")),
            detail: text("detail").unwrap_or_default(),
            outcome: text("outcome").unwrap_or_default(),
            origin: text("origin").unwrap_or_default(),
            reason: text("reason"),
            hint: text("hint"),
            rpc_errors: problem["rpc_errors"].as_array().cloned().unwrap_or_default(),
            fields: problem["errors"]
                .as_array()
                .into_iter()
                .flatten()
                .map(|field| plain_field(field["pointer"].as_str().unwrap_or_default()))
                .collect(),
            retry_after_seconds: problem["retry_after_seconds"].as_u64(),
            step: text("step"),
            change_id: text("change_id"),
            holder: problem.get("holder").cloned(),
            diff: text("diff"),
            diff_sha256: text("diff_sha256"),
            members: problem["members"].as_array().cloned().unwrap_or_default(),
        };
        assert_eq!(problem["status"], http.as_u16(), "{problem}");
        assert_eq!(refusal.row().http, http, "{problem}");
        refusal
    }

    /// From a status with its details.
    pub fn of_status(status: &Status) -> Self {
        let refusal = grpc::refusal(status);
        assert_eq!(refusal.row().grpc, status.code(), "{status:?}");
        refusal
    }

    /// From a failed item of a batch.
    pub fn of_batch_problem(problem: proto::Problem) -> Self {
        let refusal = Self {
            code: problem.code,
            detail: problem.detail,
            outcome: problem.outcome,
            origin: problem.origin,
            reason: problem.reason,
            hint: problem.hint,
            rpc_errors: problem.rpc_errors.into_iter().map(grpc::rpc_error).collect(),
            fields: Vec::new(),
            retry_after_seconds: None,
            step: None,
            change_id: None,
            holder: None,
            diff: None,
            diff_sha256: None,
            members: Vec::new(),
        };
        assert_eq!(i32::from(refusal.row().grpc), problem.status);
        refusal
    }

    fn row(&self) -> status::Statuses {
        let code = ErrorCode::ALL.iter().find(|code| code.as_str() == self.code);
        let outcome = match self.outcome.as_str() {
            "not_sent" => Outcome::NotSent,
            "not_applied" => Outcome::NotApplied,
            "applied" => Outcome::Applied,
            "unknown" => Outcome::Unknown,
            other => panic!("no outcome: {other:?}"),
        };
        status::of(&Error::new(*code.expect("a code of the table"), "").with_outcome(outcome))
    }

    /// Code and outcome, which most tests look at first.
    pub fn verdict(&self) -> (&str, &str) {
        (&self.code, &self.outcome)
    }
}

/// `/rpcs/0/rpc` and `rpcs[0].rpc` alike as `rpcs.0.rpc`.
pub fn plain_field(pointer: &str) -> String {
    pointer
        .trim_start_matches(['/', '?'])
        .replace(['/', '['], ".")
        .replace(']', "")
}

pub type Answered = Result<Value, Refusal>;

/// What a call that must succeed answered.
#[track_caller]
pub fn good(door: Door, answered: Answered) -> Value {
    answered.unwrap_or_else(|refusal| panic!("{door:?}: {refusal:?}"))
}

/// What a call that must fail was refused with.
#[track_caller]
pub fn bad<T: std::fmt::Debug>(door: Door, answered: Result<T, Refusal>) -> Refusal {
    match answered {
        Ok(value) => panic!("{door:?}: {value:?}"),
        Err(refusal) => refusal,
    }
}

/// The way in.
impl TestGateway {
    pub fn channel(&self) -> Channel {
        Endpoint::from_shared(self.url(""))
            .expect("the address of the gateway")
            .connect_lazy()
    }

    pub async fn rest(&self, request: RequestBuilder) -> Answered {
        let (status, body) = answer(request).await;
        if status.is_success() {
            Ok(body)
        } else {
            Err(Refusal::of_problem(status, &body))
        }
    }
}

pub(super) fn refused(status: Status) -> Refusal {
    Refusal::of_status(&status)
}
