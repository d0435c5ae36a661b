//! Changes: the nine steps in one call (design section 6).

use axum::extract::State;
use axum::response::Response;
use http::HeaderMap;
use serde::Serialize;
use utoipa::ToSchema;

use super::body::{Input, Media};
use super::context::Context;
use super::edit_input::{self, ChangeInput, read_change};
use super::envelope;
use super::extract::PathArgs;
use super::negotiate;
use super::openapi::{BodyProblems, Problems};
use super::problem::{ApiError, Problem};
use super::query::Query;
use crate::api::App;
use crate::service::edit::request::{ChangeRequest, ListChanges};
use crate::service::edit::view::{ChangeList, ChangeView, Planned};
use crate::service::view::Plan;

const JSON: &str = "application/json";

/// The change as it is then, or the plan.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub enum ChangeAnswer {
    Change(Box<ChangeView>),
    Plan(Plan),
}

/// Change a device.
///
/// Session, lock or copy, edits, validation, difference, commit, unlock or close, in one call. A step that fails undoes
/// what was done, in reverse; the problem then names `step`, `outcome` and the device's errors. `text/plain` is an edit
/// of `set` lines.
///
/// No commit is begun after the deadline (`Request-Timeout`). What was done by then is undone, which is waited for up to
/// 15 seconds longer; if it takes longer still, the 504 says so, and the change, by its id, what came of it.
///
/// With `probe` the answer waits for what that leads to, `confirmed`, `cancelled` or `rolled_back`. At the deadline it is
/// told as it is then.
#[utoipa::path(post, path = "/v1/devices/{device}/changes", operation_id = "createChange", tag = "changes",
    params(("device" = String, Path, description = "The name of the device", example = "mx1"),
        ("plan" = Option<bool>, Query, description = "Show the XML that would be sent, and send nothing")),
    request_body(content((ChangeInput = "application/json"),
        (String = "text/plain", example = "set system host-name mx1"))),
    responses(
        (status = 201, description = "The finished change", body = ChangeView, headers(
            ("Location" = String, description = "Where it is"),
        )),
        (status = 200, description = "The plan", body = Plan),
        (status = 412, description = "The device refuses the change, or a condition does not hold", body = Problem,
            content_type = "application/problem+json"),
        BodyProblems, Problems,
    ))]
pub async fn create(
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
    let request = match input.text(&[Media::Json, Media::Text])? {
        (Media::Text, text) => ChangeRequest {
            edits: vec![edit_input::plain_edit(text)],
            plan: plan.unwrap_or(false),
            ..ChangeRequest::default()
        },
        (Media::Json | Media::MergePatch | Media::Xml, text) => read_change(text, plan)?,
    };
    match app.gateway.create_change(&context, &device, request).await? {
        Planned::Plan(plan) => Ok(envelope::json(&plan)),
        Planned::Done(change) => {
            let location = format!("/v1/devices/{device}/changes/{}", change.id);
            Ok(envelope::created(&location, &change))
        }
    }
}

/// List the changes of a device.
#[utoipa::path(get, path = "/v1/devices/{device}/changes", operation_id = "listChanges", tag = "changes",
    params(("device" = String, Path, description = "The name of the device", example = "mx1"),
        ("page_size" = Option<u32>, Query, description = "At most this many", maximum = 1000),
        ("page_token" = Option<String>, Query, description = "Where the last page ended"),
        ("state" = Option<String>, Query, description = "Only changes in this state")),
    responses((status = 200, description = "A page, the newest first", body = ChangeList), Problems))]
pub async fn list(
    State(app): State<App>,
    Context(context): Context,
    PathArgs(device): PathArgs<String>,
    mut query: Query,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    negotiate::only(&headers, JSON)?;
    let request = ListChanges {
        page_size: query.number("page_size")?.unwrap_or(0),
        page_token: query.value("page_token")?,
        state: query.value("state")?,
    };
    query.finish()?;
    Ok(envelope::json(
        &app.gateway.list_changes(&context, &device, request).await?,
    ))
}

/// Look at a change.
#[utoipa::path(get, path = "/v1/devices/{device}/changes/{id}", operation_id = "getChange", tag = "changes",
    params(("device" = String, Path, description = "The name of the device", example = "mx1"),
        ("id" = String, Path, description = "The change")),
    responses((status = 200, description = "The change", body = ChangeView), Problems))]
pub async fn get(
    State(app): State<App>,
    Context(context): Context,
    PathArgs((device, id)): PathArgs<(String, String)>,
    query: Query,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    negotiate::only(&headers, JSON)?;
    query.finish()?;
    Ok(envelope::json(
        &app.gateway.get_change(&context, &device, &id).await?,
    ))
}

/// Cancel a change.
///
/// Clears the commit that the device would make later.
#[utoipa::path(post, path = "/v1/devices/{device}/changes/{id}/cancel", operation_id = "cancelChange",
    tag = "changes",
    params(("device" = String, Path, description = "The name of the device", example = "mx1"),
        ("id" = String, Path, description = "The change"),
        ("plan" = Option<bool>, Query, description = "Show the XML that would be sent, and send nothing")),
    responses((status = 200, description = "The change, or the plan", body = ChangeAnswer),
        BodyProblems, Problems))]
pub async fn cancel(
    State(app): State<App>,
    Context(context): Context,
    PathArgs((device, id)): PathArgs<(String, String)>,
    mut query: Query,
    headers: HeaderMap,
    input: Input,
) -> Result<Response, ApiError> {
    negotiate::only(&headers, JSON)?;
    let plan = query.switch("plan")?.unwrap_or(false);
    query.finish()?;
    input.nothing()?;
    let planned = app.gateway.cancel_change(&context, &device, &id, plan).await?;
    Ok(envelope::json(&match planned {
        Planned::Done(change) => ChangeAnswer::Change(Box::new(change)),
        Planned::Plan(plan) => ChangeAnswer::Plan(plan),
    }))
}
