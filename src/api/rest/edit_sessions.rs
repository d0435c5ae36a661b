//! Edit sessions (design section 5).

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode};
use serde::Serialize;
use utoipa::ToSchema;

use super::body::{Input, Media};
use super::config::{ConfigParameters, read_get};
use super::context::Context;
use super::edit_input::{
    self, CommitInput, DiscardInput, EditInput, EditSessionInput, ValidateEditSessionInput, read_commit,
    read_discard, read_edit, read_open, read_validate,
};
use super::envelope::{self, Envelope};
use super::extract::{OfConnection, PathArgs};
use super::negotiate;
use super::openapi::{BodyProblems, Problems};
use super::output::OutputQuery;
use super::places::{self, Places};
use super::problem::{ApiError, Problem};
use super::query::Query;
use super::rpc::{self, RpcAnswer};
use super::rpc_input::{Body, RpcInput, Said, read_body};
use crate::api::App;
use crate::service::edit::request::EditRequest;
use crate::service::edit::view::{DiffView, EditSessionList, EditSessionView, Planned};
use crate::service::request::{Content, ListRequest, RpcBody, RpcRequest};
use crate::service::view::Plan;

const JSON: &str = "application/json";

/// The edit session as it is then, or the plan.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub enum EditSessionAnswer {
    EditSession(Box<EditSessionView>),
    Plan(Plan),
}

impl From<Planned<EditSessionView>> for EditSessionAnswer {
    fn from(planned: Planned<EditSessionView>) -> Self {
        match planned {
            Planned::Done(session) => Self::EditSession(Box::new(session)),
            Planned::Plan(plan) => Self::Plan(plan),
        }
    }
}

/// What every action of an edit session is called with.
type Target = PathArgs<(String, String)>;

/// Takes `?plan` out of a query that has nothing else.
fn plan_only(mut query: Query) -> Result<Option<bool>, ApiError> {
    let plan = query.switch("plan")?;
    query.finish()?;
    Ok(plan)
}

fn answer(planned: Planned<EditSessionView>) -> Response {
    envelope::json(&EditSessionAnswer::from(planned))
}

/// Open an edit session.
///
/// Locks the candidate, or opens a private copy or an ephemeral instance, and binds it to the caller.
#[utoipa::path(post, path = "/v1/devices/{device}/edit-sessions", operation_id = "createEditSession",
    tag = "edit-sessions",
    params(("device" = String, Path, description = "The name of the device", example = "mx1"),
        ("plan" = Option<bool>, Query, description = "Show the XML that would be sent, and send nothing")),
    request_body(content((EditSessionInput = "application/json"))),
    responses(
        (status = 201, description = "It is open", body = EditSessionView, headers(
            ("Location" = String, description = "Where it is"),
        )),
        (status = 200, description = "The plan", body = Plan),
        BodyProblems, Problems,
    ))]
pub async fn create(
    State(app): State<App>,
    Context(context): Context,
    PathArgs(device): PathArgs<String>,
    query: Query,
    headers: HeaderMap,
    input: Input,
) -> Result<Response, ApiError> {
    negotiate::only(&headers, JSON)?;
    let request = read_open(input.optional_json()?, plan_only(query)?)?;
    match app
        .gateway
        .create_edit_session(&context, &device, request)
        .await?
    {
        Planned::Plan(plan) => Ok(envelope::json(&plan)),
        Planned::Done(session) => {
            let location = format!("/v1/devices/{device}/edit-sessions/{}", session.id);
            Ok(envelope::created(&location, &session))
        }
    }
}

/// List the edit sessions of a device.
///
/// Those that have ended are listed for 24 hours.
#[utoipa::path(get, path = "/v1/devices/{device}/edit-sessions", operation_id = "listEditSessions",
    tag = "edit-sessions",
    params(("device" = String, Path, description = "The name of the device", example = "mx1"),
        ("page_size" = Option<u32>, Query, description = "At most this many", maximum = 1000),
        ("page_token" = Option<String>, Query, description = "Where the last page ended")),
    responses((status = 200, description = "A page", body = EditSessionList), Problems))]
pub async fn list(
    State(app): State<App>,
    Context(context): Context,
    PathArgs(device): PathArgs<String>,
    mut query: Query,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    negotiate::only(&headers, JSON)?;
    let request = ListRequest {
        page_size: query.number("page_size")?.unwrap_or(0),
        page_token: query.value("page_token")?,
        labels: Vec::new(),
    };
    query.finish()?;
    Ok(envelope::json(
        &app.gateway.list_edit_sessions(&context, &device, request).await?,
    ))
}

/// Look at an edit session.
#[utoipa::path(get, path = "/v1/devices/{device}/edit-sessions/{id}", operation_id = "getEditSession",
    tag = "edit-sessions",
    params(("device" = String, Path, description = "The name of the device", example = "mx1"),
        ("id" = String, Path, description = "The edit session")),
    responses((status = 200, description = "The edit session", body = EditSessionView), Problems))]
pub async fn get(
    State(app): State<App>,
    Context(context): Context,
    PathArgs((device, id)): Target,
    query: Query,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    negotiate::only(&headers, JSON)?;
    query.finish()?;
    Ok(envelope::json(
        &app.gateway.get_edit_session(&context, &device, &id).await?,
    ))
}

/// End an edit session.
///
/// What was not committed is discarded and the lock released; in mode `shared` nothing is discarded.
#[utoipa::path(delete, path = "/v1/devices/{device}/edit-sessions/{id}", operation_id = "deleteEditSession",
    tag = "edit-sessions",
    params(("device" = String, Path, description = "The name of the device", example = "mx1"),
        ("id" = String, Path, description = "The edit session"),
        ("plan" = Option<bool>, Query, description = "Show the XML that would be sent, and send nothing")),
    responses(
        (status = 204, description = "It has ended"),
        (status = 200, description = "The plan", body = Plan),
        (status = 409, description = "It belongs to somebody else", body = Problem,
            content_type = "application/problem+json"),
        (status = 410, description = "It had ended before", body = Problem,
            content_type = "application/problem+json"),
        Problems,
    ))]
pub async fn delete(
    State(app): State<App>,
    Context(context): Context,
    PathArgs((device, id)): Target,
    query: Query,
) -> Result<Response, ApiError> {
    let plan = plan_only(query)?.unwrap_or(false);
    let ended = app.gateway.delete_edit_session(&context, &device, &id, plan);
    Ok(match ended.await? {
        Planned::Done(()) => StatusCode::NO_CONTENT.into_response(),
        Planned::Plan(plan) => envelope::json(&plan),
    })
}

/// Change the candidate.
///
/// `text/plain` is an edit of `set` lines.
#[utoipa::path(post, path = "/v1/devices/{device}/edit-sessions/{id}/edit", operation_id = "applyEdit",
    tag = "edit-sessions",
    params(("device" = String, Path, description = "The name of the device", example = "mx1"),
        ("id" = String, Path, description = "The edit session"),
        ("plan" = Option<bool>, Query, description = "Show the XML that would be sent, and send nothing")),
    request_body(content((EditInput = "application/json"),
        (String = "text/plain", example = "set system host-name mx1"))),
    responses((status = 200, description = "The edit session, or the plan", body = EditSessionAnswer),
        (status = 410, description = "The edit session has ended", body = Problem,
            content_type = "application/problem+json"),
        BodyProblems, Problems))]
pub async fn edit(
    State(app): State<App>,
    Context(context): Context,
    PathArgs((device, id)): Target,
    query: Query,
    headers: HeaderMap,
    input: Input,
) -> Result<Response, ApiError> {
    negotiate::only(&headers, JSON)?;
    let plan = plan_only(query)?;
    let request = match input.text(&[Media::Json, Media::Text])? {
        (Media::Text, text) => EditRequest {
            edit: edit_input::plain_edit(text),
            plan: plan.unwrap_or(false),
        },
        (Media::Json | Media::MergePatch | Media::Xml, text) => read_edit(text, plan)?,
    };
    let planned = app.gateway.apply_edit(&context, &device, &id, request).await?;
    Ok(answer(planned))
}

/// Have the device check the candidate.
#[utoipa::path(post, path = "/v1/devices/{device}/edit-sessions/{id}/validate",
    operation_id = "validateEditSession", tag = "edit-sessions",
    params(("device" = String, Path, description = "The name of the device", example = "mx1"),
        ("id" = String, Path, description = "The edit session"),
        ("plan" = Option<bool>, Query, description = "Show the XML that would be sent, and send nothing")),
    request_body(content((ValidateEditSessionInput = "application/json"))),
    responses((status = 200, description = "The edit session, or the plan", body = EditSessionAnswer),
        (status = 410, description = "The edit session has ended", body = Problem,
            content_type = "application/problem+json"),
        (status = 412, description = "The device refuses the candidate", body = Problem,
            content_type = "application/problem+json"),
        BodyProblems, Problems))]
pub async fn validate(
    State(app): State<App>,
    Context(context): Context,
    PathArgs((device, id)): Target,
    query: Query,
    headers: HeaderMap,
    input: Input,
) -> Result<Response, ApiError> {
    negotiate::only(&headers, JSON)?;
    let request = read_validate(input.optional_json()?, plan_only(query)?)?;
    let planned = app
        .gateway
        .validate_edit_session(&context, &device, &id, request)
        .await?;
    Ok(answer(planned))
}

/// Take back what was not committed.
#[utoipa::path(post, path = "/v1/devices/{device}/edit-sessions/{id}/discard",
    operation_id = "discardEditSession", tag = "edit-sessions",
    params(("device" = String, Path, description = "The name of the device", example = "mx1"),
        ("id" = String, Path, description = "The edit session"),
        ("plan" = Option<bool>, Query, description = "Show the XML that would be sent, and send nothing")),
    request_body(content((DiscardInput = "application/json"))),
    responses((status = 200, description = "The edit session, or the plan", body = EditSessionAnswer),
        (status = 410, description = "The edit session has ended", body = Problem,
            content_type = "application/problem+json"),
        BodyProblems, Problems))]
pub async fn discard(
    State(app): State<App>,
    Context(context): Context,
    PathArgs((device, id)): Target,
    query: Query,
    headers: HeaderMap,
    input: Input,
) -> Result<Response, ApiError> {
    negotiate::only(&headers, JSON)?;
    let request = read_discard(input.optional_json()?, plan_only(query)?)?;
    let planned = app
        .gateway
        .discard_edit_session(&context, &device, &id, request)
        .await?;
    Ok(answer(planned))
}

/// Commit the candidate.
///
/// The device is asked for the difference first. Without one nothing is committed, and `commit.state` is `unchanged`;
/// an ephemeral instance cannot be compared, and is committed in any case. With `probe` the answer waits for what that
/// leads to.
#[utoipa::path(post, path = "/v1/devices/{device}/edit-sessions/{id}/commit",
    operation_id = "commitEditSession", tag = "edit-sessions",
    params(("device" = String, Path, description = "The name of the device", example = "mx1"),
        ("id" = String, Path, description = "The edit session"),
        ("plan" = Option<bool>, Query, description = "Show the XML that would be sent, and send nothing")),
    request_body(content((CommitInput = "application/json"))),
    responses((status = 200, description = "The edit session, or the plan", body = EditSessionAnswer),
        (status = 410, description = "The edit session has ended", body = Problem,
            content_type = "application/problem+json"),
        (status = 412, description = "The device refuses the candidate", body = Problem,
            content_type = "application/problem+json"),
        BodyProblems, Problems))]
pub async fn commit(
    State(app): State<App>,
    Context(context): Context,
    PathArgs((device, id)): Target,
    query: Query,
    headers: HeaderMap,
    input: Input,
) -> Result<Response, ApiError> {
    negotiate::only(&headers, JSON)?;
    let request = read_commit(input.optional_json()?, plan_only(query)?)?;
    let planned = app
        .gateway
        .commit_edit_session(&context, &device, &id, request)
        .await?;
    Ok(answer(planned))
}

/// Push the expiry of an edit session.
#[utoipa::path(post, path = "/v1/devices/{device}/edit-sessions/{id}/renew",
    operation_id = "renewEditSession", tag = "edit-sessions",
    params(("device" = String, Path, description = "The name of the device", example = "mx1"),
        ("id" = String, Path, description = "The edit session")),
    responses((status = 200, description = "The edit session", body = EditSessionView),
        (status = 410, description = "The edit session has ended", body = Problem,
            content_type = "application/problem+json"),
        BodyProblems, Problems))]
pub async fn renew(
    State(app): State<App>,
    Context(context): Context,
    PathArgs((device, id)): Target,
    query: Query,
    headers: HeaderMap,
    input: Input,
) -> Result<Response, ApiError> {
    negotiate::only(&headers, JSON)?;
    query.finish()?;
    input.nothing()?;
    Ok(envelope::json(
        &app.gateway.renew_edit_session(&context, &device, &id).await?,
    ))
}

/// Call an RPC in the session of an edit session.
///
/// What edits, locks or commits has its own actions. What changes something outside the configuration needs the role
/// `configure`.
#[utoipa::path(post, path = "/v1/devices/{device}/edit-sessions/{id}/rpc",
    operation_id = "callEditSessionRpc", tag = "edit-sessions",
    params(("device" = String, Path, description = "The name of the device", example = "mx1"),
        ("id" = String, Path, description = "The edit session"), OutputQuery,
        ("plan" = Option<bool>, Query, description = "Show the XML that would be sent, and send nothing")),
    request_body(description = "The RPC", content(
        (RpcInput = "application/json"), (String = "application/xml", example = "<get-system-uptime-information/>"),
    )),
    responses(
        (status = 200, description = "The reply, or the plan", content((RpcAnswer = "application/json"), (String = "application/xml"))),
        (status = 410, description = "The edit session has ended", body = Problem,
            content_type = "application/problem+json"),
        BodyProblems, Problems,
    ))]
pub async fn call_rpc(
    State(app): State<App>,
    Context(context): Context,
    PathArgs((device, id)): Target,
    OfConnection(connection): OfConnection,
    mut query: Query,
    headers: HeaderMap,
    input: Input,
) -> Result<Response, ApiError> {
    let answer = negotiate::answer(&headers)?;
    let places = Places::of(&query, places::Body::Members);
    let output = query.output(answer)?;
    let plan = query.switch("plan")?;
    query.finish()?;
    let request = match input.text(&[Media::Json, Media::Xml])? {
        (Media::Xml, text) => RpcRequest {
            rpc: RpcBody::Whole(Content::Xml(text.to_owned())),
            attributes: Vec::new(),
            output,
            safe_only: false,
            plan: plan.unwrap_or(false),
        },
        (Media::Json | Media::MergePatch | Media::Text, text) => {
            match read_body(text, Said::new(output, plan, &places))? {
                Body::One(request) => request,
                Body::Batch(_) => {
                    return Err(ApiError::invalid(
                        "/rpcs",
                        "an edit session takes one RPC at a time",
                    ));
                }
            }
        }
    };
    let outcome = app
        .gateway
        .call_edit_session_rpc(&context, &device, &id, request)
        .await
        .map_err(|error| places.tell(error))?;
    rpc::respond(&app, &context, connection.as_ref(), answer, outcome).await
}

/// Read configuration as the edit session sees it.
///
/// The options are those of `GET …/config`; without `source` it is what the edit session edits.
#[utoipa::path(get, path = "/v1/devices/{device}/edit-sessions/{id}/config",
    operation_id = "getEditSessionConfig", tag = "edit-sessions",
    params(("device" = String, Path, description = "The name of the device", example = "mx1"),
        ("id" = String, Path, description = "The edit session"),
        ("source" = Option<String>, Query, example = "candidate",
            description = "`running`, `candidate`, `startup`, `rollback:N`, `rescue` or `url:…`; default: what the edit session edits"),
        ConfigParameters, OutputQuery),
    responses(
        (status = 200, description = "The configuration stands under `data`", content(
            (Envelope = "application/json"), (String = "application/xml"),
        )),
        (status = 410, description = "The edit session has ended", body = Problem,
            content_type = "application/problem+json"),
        Problems,
    ))]
pub async fn config(
    State(app): State<App>,
    Context(context): Context,
    PathArgs((device, id)): Target,
    OfConnection(connection): OfConnection,
    query: Query,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let answer = negotiate::answer(&headers)?;
    let places = Places::of(&query, places::Body::None);
    let request = read_get(query, answer)?;
    let reply = app
        .gateway
        .get_edit_session_config(&context, &device, &id, request)
        .await
        .map_err(|error| places.tell(error))?;
    envelope::respond(&app, &context, connection.as_ref(), answer, reply).await
}

/// Show what a commit would change.
#[utoipa::path(get, path = "/v1/devices/{device}/edit-sessions/{id}/diff", operation_id = "diffEditSession",
    tag = "edit-sessions",
    params(("device" = String, Path, description = "The name of the device", example = "mx1"),
        ("id" = String, Path, description = "The edit session")),
    responses((status = 200, description = "The difference", body = DiffView),
        (status = 410, description = "The edit session has ended", body = Problem,
            content_type = "application/problem+json"),
        Problems))]
pub async fn diff(
    State(app): State<App>,
    Context(context): Context,
    PathArgs((device, id)): Target,
    query: Query,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    negotiate::only(&headers, JSON)?;
    query.finish()?;
    Ok(envelope::json(
        &app.gateway.diff_edit_session(&context, &device, &id).await?,
    ))
}
