//! Confirmed commits: looked at, confirmed, cancelled and extended (design section 7).

use axum::extract::State;
use axum::response::Response;
use http::HeaderMap;
use serde::Serialize;
use utoipa::ToSchema;

use super::body::Input;
use super::context::Context;
use super::edit_input::{ConfirmInput, ExtendInput, read_confirm, read_extend};
use super::envelope;
use super::extract::PathArgs;
use super::negotiate;
use super::openapi::{BodyProblems, Problems};
use super::problem::ApiError;
use super::query::Query;
use crate::api::App;
use crate::service::edit::request::ListConfirmedCommits;
use crate::service::edit::view::{ConfirmedCommitList, ConfirmedCommitView, Planned};
use crate::service::view::Plan;

const JSON: &str = "application/json";

/// The confirmed commit as it is then, or the plan.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub enum ConfirmedCommitAnswer {
    ConfirmedCommit(Box<ConfirmedCommitView>),
    Plan(Plan),
}

impl From<Planned<ConfirmedCommitView>> for ConfirmedCommitAnswer {
    fn from(planned: Planned<ConfirmedCommitView>) -> Self {
        match planned {
            Planned::Done(commit) => Self::ConfirmedCommit(Box::new(commit)),
            Planned::Plan(plan) => Self::Plan(plan),
        }
    }
}

/// List confirmed commits.
///
/// Of all devices, pending ones and those that have ended lately.
#[utoipa::path(get, path = "/v1/confirmed-commits", operation_id = "listConfirmedCommits", tag = "confirmed-commits",
    params(("device" = Option<String>, Query, description = "Only those of this device", example = "mx1"),
        ("state" = Option<String>, Query, description = "Only those in this state", example = "pending"),
        ("page_size" = Option<u32>, Query, description = "At most this many", maximum = 1000),
        ("page_token" = Option<String>, Query, description = "Where the last page ended")),
    responses((status = 200, description = "A page, the newest first", body = ConfirmedCommitList), Problems))]
pub async fn list(
    State(app): State<App>,
    Context(context): Context,
    mut query: Query,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    negotiate::only(&headers, JSON)?;
    let request = ListConfirmedCommits {
        page_size: query.number("page_size")?.unwrap_or(0),
        page_token: query.value("page_token")?,
        device: query.value("device")?,
        state: query.value("state")?,
    };
    query.finish()?;
    let page = app.gateway.list_confirmed_commits(&context, request).await?;
    Ok(envelope::json(&page))
}

/// Look at a confirmed commit.
#[utoipa::path(get, path = "/v1/confirmed-commits/{id}", operation_id = "getConfirmedCommit",
    tag = "confirmed-commits",
    params(("id" = String, Path, description = "The confirmed commit")),
    responses((status = 200, description = "The confirmed commit", body = ConfirmedCommitView), Problems))]
pub async fn get(
    State(app): State<App>,
    Context(context): Context,
    PathArgs(id): PathArgs<String>,
    query: Query,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    negotiate::only(&headers, JSON)?;
    query.finish()?;
    Ok(envelope::json(
        &app.gateway.get_confirmed_commit(&context, &id).await?,
    ))
}

/// Confirm a confirmed commit.
///
/// What was committed stays. Refused when the device may undo it any moment, and when the candidate holds anything
/// else.
#[utoipa::path(post, path = "/v1/confirmed-commits/{id}/confirm", operation_id = "confirmConfirmedCommit",
    tag = "confirmed-commits",
    params(("id" = String, Path, description = "The confirmed commit"),
        ("plan" = Option<bool>, Query, description = "Show the XML that would be sent, and send nothing")),
    request_body(content((ConfirmInput = "application/json"))),
    responses((status = 200, description = "The confirmed commit, or the plan", body = ConfirmedCommitAnswer),
        BodyProblems, Problems))]
pub async fn confirm(
    State(app): State<App>,
    Context(context): Context,
    PathArgs(id): PathArgs<String>,
    mut query: Query,
    headers: HeaderMap,
    input: Input,
) -> Result<Response, ApiError> {
    negotiate::only(&headers, JSON)?;
    let plan = query.switch("plan")?;
    query.finish()?;
    let request = read_confirm(input.optional_json()?, plan)?;
    let planned = app
        .gateway
        .confirm_confirmed_commit(&context, &id, request)
        .await?;
    Ok(envelope::json(&ConfirmedCommitAnswer::from(planned)))
}

/// Cancel a confirmed commit.
///
/// The device undoes it now.
#[utoipa::path(post, path = "/v1/confirmed-commits/{id}/cancel", operation_id = "cancelConfirmedCommit",
    tag = "confirmed-commits",
    params(("id" = String, Path, description = "The confirmed commit"),
        ("plan" = Option<bool>, Query, description = "Show the XML that would be sent, and send nothing")),
    responses((status = 200, description = "The confirmed commit, or the plan", body = ConfirmedCommitAnswer),
        BodyProblems, Problems))]
pub async fn cancel(
    State(app): State<App>,
    Context(context): Context,
    PathArgs(id): PathArgs<String>,
    mut query: Query,
    headers: HeaderMap,
    input: Input,
) -> Result<Response, ApiError> {
    negotiate::only(&headers, JSON)?;
    let plan = query.switch("plan")?.unwrap_or(false);
    query.finish()?;
    input.nothing()?;
    let planned = app.gateway.cancel_confirmed_commit(&context, &id, plan).await?;
    Ok(envelope::json(&ConfirmedCommitAnswer::from(planned)))
}

/// Extend a confirmed commit.
///
/// It gets a new deadline, counted from now.
#[utoipa::path(post, path = "/v1/confirmed-commits/{id}/extend", operation_id = "extendConfirmedCommit",
    tag = "confirmed-commits",
    params(("id" = String, Path, description = "The confirmed commit"),
        ("plan" = Option<bool>, Query, description = "Show the XML that would be sent, and send nothing")),
    request_body(content((ExtendInput = "application/json"))),
    responses((status = 200, description = "The confirmed commit, or the plan", body = ConfirmedCommitAnswer),
        BodyProblems, Problems))]
pub async fn extend(
    State(app): State<App>,
    Context(context): Context,
    PathArgs(id): PathArgs<String>,
    mut query: Query,
    headers: HeaderMap,
    input: Input,
) -> Result<Response, ApiError> {
    negotiate::only(&headers, JSON)?;
    let plan = query.switch("plan")?;
    query.finish()?;
    let request = read_extend(input.json()?, plan)?;
    let planned = app
        .gateway
        .extend_confirmed_commit(&context, &id, request)
        .await?;
    Ok(envelope::json(&ConfirmedCommitAnswer::from(planned)))
}
