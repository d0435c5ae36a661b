//! Who holds what on a device, and taking it away (S22, S26; conventions L4, L5).

use axum::extract::State;
use axum::response::Response;
use http::HeaderMap;
use serde::Serialize;
use utoipa::ToSchema;

use super::body::Input;
use super::context::Context;
use super::edit_input::{DiscardCandidateInput, KillInput, read_discard_candidate, read_kill};
use super::envelope;
use super::extract::PathArgs;
use super::negotiate;
use super::openapi::{BodyProblems, Problems};
use super::problem::{ApiError, Problem};
use super::query::Query;
use crate::api::App;
use crate::service::edit::view::{DiscardedView, KilledView, LockList, Planned};
use crate::service::view::Plan;

const JSON: &str = "application/json";

/// What killing a session did, or the plan.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub enum KillAnswer {
    Killed(KilledView),
    Plan(Plan),
}

/// What is gone, or the plan.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub enum DiscardCandidateAnswer {
    Discarded(DiscardedView),
    Plan(Plan),
}

/// List the locks of a device.
///
/// Ours exactly; those of others as far as the device tells. No lock is tried to find out.
#[utoipa::path(get, path = "/v1/devices/{device}/locks", operation_id = "listLocks", tag = "edit-sessions",
    params(("device" = String, Path, description = "The name of the device", example = "mx1")),
    responses((status = 200, description = "The locks", body = LockList), Problems))]
pub async fn list(
    State(app): State<App>,
    Context(context): Context,
    PathArgs(device): PathArgs<String>,
    query: Query,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    negotiate::only(&headers, JSON)?;
    query.finish()?;
    Ok(envelope::json(&app.gateway.list_locks(&context, &device).await?))
}

/// Discard forgotten changes.
///
/// Takes back what somebody left in the shared candidate, if it is still what the caller has looked at.
#[utoipa::path(post, path = "/v1/devices/{device}/candidate/discard", operation_id = "discardCandidate",
    tag = "edit-sessions",
    params(("device" = String, Path, description = "The name of the device", example = "mx1"),
        ("plan" = Option<bool>, Query, description = "Show the XML that would be sent, and send nothing")),
    request_body(content((DiscardCandidateInput = "application/json"))),
    responses((status = 200, description = "What is gone, or the plan", body = DiscardCandidateAnswer),
        (status = 412, description = "The candidate is not what the caller has looked at", body = Problem,
            content_type = "application/problem+json"),
        BodyProblems, Problems))]
pub async fn discard_candidate(
    State(app): State<App>,
    Context(context): Context,
    PathArgs(device): PathArgs<String>,
    mut query: Query,
    headers: HeaderMap,
    input: Input,
) -> Result<Response, ApiError> {
    negotiate::only(&headers, JSON)?;
    let plan = query.switch("plan")?;
    query.finish()?;
    let request = read_discard_candidate(input.json()?, plan)?;
    let planned = app.gateway.discard_candidate(&context, &device, request).await?;
    Ok(envelope::json(&match planned {
        Planned::Done(discarded) => DiscardCandidateAnswer::Discarded(discarded),
        Planned::Plan(plan) => DiscardCandidateAnswer::Plan(plan),
    }))
}

/// End a session of a device.
///
/// `<kill-session>`. What is known of the session is read again just before; a condition that does not hold is 412.
#[utoipa::path(post, path = "/v1/devices/{device}/sessions/{session_id}/kill", operation_id = "killSession",
    tag = "edit-sessions",
    params(("device" = String, Path, description = "The name of the device", example = "mx1"),
        ("session_id" = u64, Path, description = "The session-id; on Junos the process id", example = 4711),
        ("plan" = Option<bool>, Query, description = "Show the XML that would be sent, and send nothing")),
    request_body(content((KillInput = "application/json"))),
    responses((status = 200, description = "What it did, or the plan", body = KillAnswer),
        (status = 412, description = "A condition does not hold", body = Problem,
            content_type = "application/problem+json"),
        BodyProblems, Problems))]
pub async fn kill(
    State(app): State<App>,
    Context(context): Context,
    PathArgs((device, session_id)): PathArgs<(String, u64)>,
    mut query: Query,
    headers: HeaderMap,
    input: Input,
) -> Result<Response, ApiError> {
    negotiate::only(&headers, JSON)?;
    let plan = query.switch("plan")?;
    query.finish()?;
    let request = read_kill(input.optional_json()?, plan)?;
    let planned = app
        .gateway
        .kill_session(&context, &device, session_id, request)
        .await?;
    Ok(envelope::json(&match planned {
        Planned::Done(killed) => KillAnswer::Killed(killed),
        Planned::Plan(plan) => KillAnswer::Plan(plan),
    }))
}
