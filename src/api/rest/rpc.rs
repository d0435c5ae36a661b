//! RPCs and CLI commands (design section 4, conventions H15).

use std::time::Instant;

use axum::extract::State;
use axum::response::Response;
use http::{HeaderMap, Method};
use serde::Serialize;
use utoipa::ToSchema;

use super::body::{Input, Media};
use super::context::Context;
use super::envelope::{self, Envelope};
use super::extract::{OfConnection, PathArgs};
use super::json::Object;
use super::negotiate::{self, Answer};
use super::openapi::{BodyProblems, Problems};
use super::output::OutputQuery;
use super::places::{self, Places};
use super::problem::{ApiError, Problem};
use super::query::Query;
use super::rpc_input::{Body, CliInput, RpcInput, Said, read_body, read_cli};
use crate::api::App;
use crate::api::edge;
use crate::api::pace::Chain;
use crate::api::server::Connection;
use crate::error::ErrorCode;
use crate::service::call::CallContext;
use crate::service::reply::{Reply, RpcAnswer as Outcome};
use crate::service::request::{Arguments, Content, RpcBody, RpcRequest};
use crate::service::view::{CliRpc, Plan};

/// The results of a batch: as many as were tried, in order.
#[derive(Serialize, ToSchema)]
pub struct BatchAnswer {
    pub results: Vec<BatchResult>,
}

/// One result of a batch.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub enum BatchResult {
    Envelope(Box<Envelope>),
    Problem(Box<Problem>),
}

/// The answer to a call that can also be planned.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub enum RpcAnswer {
    Envelope(Box<Envelope>),
    Batch(BatchAnswer),
    Plan(Plan),
}

/// Call an RPC, or several.
///
/// The body is JSON, or the XML of one operation element; with an XML body the options go into the query. Further
/// attributes of `<rpc>` are `attributes` of the JSON body, or query options `attr.<name>=<value>`.
#[utoipa::path(post, path = "/v1/devices/{device}/rpc", operation_id = "callRpc", tag = "rpc",
    params(("device" = String, Path, description = "The name of the device", example = "mx1"), OutputQuery,
        ("plan" = Option<bool>, Query, description = "Show the XML that would be sent, and send nothing")),
    request_body(description = "The RPC", content(
        (RpcInput = "application/json"), (String = "application/xml", example = "<get-system-uptime-information/>"),
    )),
    responses(
        (status = 200, description = "The reply, the results of a batch, or the plan", content(
            (RpcAnswer = "application/json"), (String = "application/xml"),
        )),
        BodyProblems, Problems,
    ))]
pub async fn call(
    State(app): State<App>,
    Context(context): Context,
    PathArgs(device): PathArgs<String>,
    OfConnection(connection): OfConnection,
    mut query: Query,
    headers: HeaderMap,
    input: Input,
) -> Result<Response, ApiError> {
    let answer = negotiate::answer(&headers)?;
    let places = Places::of(&query, places::Body::Members);
    let output = query.output(answer)?;
    let plan = query.switch("plan")?;
    let attributes = query.attributes()?;
    query.finish()?;
    let request = match input.text(&[Media::Json, Media::Xml])? {
        (Media::Xml, text) => RpcRequest {
            rpc: RpcBody::Whole(Content::Xml(text.to_owned())),
            attributes,
            output,
            safe_only: false,
            plan: plan.unwrap_or(false),
        },
        (Media::Json | Media::MergePatch | Media::Text, text) => {
            match read_body(text, Said::new(output, plan, &places))? {
                Body::One(mut request) => {
                    request.attributes.extend(attributes);
                    request
                }
                Body::Batch(batch) => {
                    if let Some((name, _)) = attributes.first() {
                        return Err(ApiError::invalid(
                            format!("?attr.{name}"),
                            "each RPC of a batch has attributes of its own",
                        ));
                    }
                    if answer == Answer::Xml {
                        return Err(ApiError::new(
                            ErrorCode::NotAcceptable,
                            "the results of a batch can be had as application/json",
                        ));
                    }
                    let started = Instant::now();
                    let results = app.gateway.batch_rpcs(&context, &device, batch).await;
                    let results = results.map_err(|error| places.tell(error))?;
                    edge::log_failures(&context.request_id, "batch_rpcs", started.elapsed(), &results);
                    return batch_answer(&app, &context, connection.as_ref(), &device, results).await;
                }
            }
        }
    };
    let outcome = app.gateway.call_rpc(&context, &device, request).await;
    let outcome = outcome.map_err(|error| places.tell(error))?;
    respond(&app, &context, connection.as_ref(), answer, outcome).await
}

/// Read by the name of an RPC.
///
/// Arguments are query options: `?interface-name=ge-0/0/0&terse`. An argument that is named like an option of this
/// resource is written `arg.<name>`, a further attribute of `<rpc>` `attr.<name>=<value>`. Only for RPCs that are known to change nothing; others are 405.
#[utoipa::path(get, path = "/v1/devices/{device}/rpc/{name}", operation_id = "readNamedRpc", tag = "rpc",
    params(("device" = String, Path, description = "The name of the device", example = "mx1"),
        ("name" = String, Path, description = "The request tag", example = "get-interface-information"),
        OutputQuery,
        ("plan" = Option<bool>, Query, description = "Show the XML that would be sent, and send nothing"),
        ("arguments" = Option<BTreeMap<String, String>>, Query, style = Form, explode = true,
            description = "Arguments of the RPC; without a value an empty element")),
    responses(
        (status = 200, description = "The reply, or the plan", content(
            (RpcAnswer = "application/json"), (String = "application/xml"),
        )),
        (status = 405, description = "The RPC may change something: use POST", body = Problem,
            content_type = "application/problem+json"),
        Problems,
    ))]
pub async fn read_named(
    State(app): State<App>,
    Context(context): Context,
    PathArgs((device, name)): PathArgs<(String, String)>,
    OfConnection(connection): OfConnection,
    mut query: Query,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let answer = negotiate::answer(&headers)?;
    let places = Places::of(&query, places::Body::None);
    let request = RpcRequest {
        attributes: query.attributes()?,
        output: query.output(answer)?,
        plan: query.switch("plan")?.unwrap_or(false),
        rpc: RpcBody::Named {
            name,
            arguments: Arguments::Pairs(query.arguments()),
        },
        safe_only: true,
    };
    let outcome = app
        .gateway
        .call_rpc(&context, &device, request)
        .await
        .map_err(|error| {
            let code = error.code();
            let refused = places.tell(error);
            if code == ErrorCode::MethodNotAllowed {
                refused.with_allow(&[Method::POST])
            } else {
                refused
            }
        })?;
    respond(&app, &context, connection.as_ref(), answer, outcome).await
}

/// Call by the name of an RPC.
///
/// Arguments are the members of the JSON body, or query options as with GET, but not both. An XML body is the whole
/// operation element, or its arguments side by side.
#[utoipa::path(post, path = "/v1/devices/{device}/rpc/{name}", operation_id = "callNamedRpc", tag = "rpc",
    params(("device" = String, Path, description = "The name of the device", example = "mx1"),
        ("name" = String, Path, description = "The request tag", example = "get-interface-information"),
        OutputQuery,
        ("plan" = Option<bool>, Query, description = "Show the XML that would be sent, and send nothing"),
        ("arguments" = Option<BTreeMap<String, String>>, Query, style = Form, explode = true,
            description = "Arguments of the RPC; without a value an empty element")),
    request_body(description = "The arguments, or nothing",
        content((BTreeMap<String, serde_json::Value> = "application/json", example = json!({"terse": null})),
            (String = "application/xml", example = "<terse/>"))),
    responses(
        (status = 200, description = "The reply, or the plan", content(
            (RpcAnswer = "application/json"), (String = "application/xml"),
        )),
        BodyProblems, Problems,
    ))]
pub async fn call_named(
    State(app): State<App>,
    Context(context): Context,
    PathArgs((device, name)): PathArgs<(String, String)>,
    OfConnection(connection): OfConnection,
    mut query: Query,
    headers: HeaderMap,
    input: Input,
) -> Result<Response, ApiError> {
    let answer = negotiate::answer(&headers)?;
    let body = if input.is_empty() {
        places::Body::None
    } else {
        places::Body::Arguments
    };
    let places = Places::of(&query, body);
    let output = query.output(answer)?;
    let plan = query.switch("plan")?.unwrap_or(false);
    let attributes = query.attributes()?;
    let pairs = query.arguments();
    let arguments = match (input.is_empty(), pairs.first()) {
        (true, None) => Arguments::None,
        (true, Some(_)) => Arguments::Pairs(pairs),
        (false, None) => Arguments::Content(match input.text(&[Media::Json, Media::Xml])? {
            (Media::Xml, text) => Content::Xml(text.to_owned()),
            (Media::Json | Media::MergePatch | Media::Text, text) => {
                Object::parse(text)?;
                Content::Json(text.to_owned())
            }
        }),
        (false, Some((name, _))) => {
            return Err(ApiError::invalid(
                format!("?{name}"),
                "arguments stand in the body or in the query, not in both",
            ));
        }
    };
    let rpc = RpcBody::Named { name, arguments };
    let request = RpcRequest {
        rpc,
        attributes,
        output,
        safe_only: false,
        plan,
    };
    let outcome = app.gateway.call_rpc(&context, &device, request).await;
    let outcome = outcome.map_err(|error| places.tell(error))?;
    respond(&app, &context, connection.as_ref(), answer, outcome).await
}

/// Run a command of the CLI.
#[utoipa::path(post, path = "/v1/devices/{device}/cli", operation_id = "runCli", tag = "rpc",
    params(("device" = String, Path, description = "The name of the device", example = "mx1"), OutputQuery,
        ("plan" = Option<bool>, Query, description = "Show the XML that would be sent, and send nothing")),
    request_body(content((CliInput = "application/json"))),
    responses(
        (status = 200, description = "The reply, or the plan", content(
            (RpcAnswer = "application/json"), (String = "application/xml"),
        )),
        BodyProblems, Problems,
    ))]
pub async fn cli(
    State(app): State<App>,
    Context(context): Context,
    PathArgs(device): PathArgs<String>,
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
    let request = read_cli(input.json()?, Said::new(output, plan, &places))?;
    let outcome = app.gateway.run_cli(&context, &device, request).await;
    let outcome = outcome.map_err(|error| places.tell(error))?;
    respond(&app, &context, connection.as_ref(), answer, outcome).await
}

/// Which RPC a command of the CLI maps to.
#[utoipa::path(get, path = "/v1/devices/{device}/cli/rpc", operation_id = "getCliRpc", tag = "rpc",
    params(("device" = String, Path, description = "The name of the device", example = "mx1"),
        ("command" = String, Query, description = "The command", example = "show version")),
    responses((status = 200, description = "The RPC", body = CliRpc), Problems))]
pub async fn cli_rpc(
    State(app): State<App>,
    Context(context): Context,
    PathArgs(device): PathArgs<String>,
    mut query: Query,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    negotiate::only(&headers, "application/json")?;
    let places = Places::of(&query, places::Body::None);
    let command = query
        .value("command")?
        .ok_or_else(|| ApiError::invalid("?command", "is required"))?;
    query.finish()?;
    let found = app.gateway.get_cli_rpc(&context, &device, &command).await;
    Ok(envelope::json(&found.map_err(|error| places.tell(error))?))
}

/// Answers with a reply or a plan.
pub async fn respond(
    app: &App,
    context: &CallContext,
    connection: Option<&Connection>,
    answer: Answer,
    outcome: Outcome,
) -> Result<Response, ApiError> {
    match outcome {
        Outcome::Reply(reply) => envelope::respond(app, context, connection, answer, reply).await,
        Outcome::Plan(plan) => Ok(envelope::json(&plan)),
    }
}

async fn batch_answer(
    app: &App,
    context: &CallContext,
    connection: Option<&Connection>,
    device: &str,
    results: Vec<Result<Reply, crate::error::Error>>,
) -> Result<Response, ApiError> {
    let instance = format!("/v1/devices/{device}/rpc");
    let mut chain = Chain::default();
    chain.text("{\"results\":[");
    for (at, result) in results.into_iter().enumerate() {
        if at > 0 {
            chain.text(",");
        }
        match result {
            Ok(reply) => envelope::chain(&mut chain, reply, Answer::Json, &context.request_id),
            Err(error) => {
                let problem = Problem::new(&error, &context.request_id, &instance);
                chain.text(
                    serde_json::to_vec(&problem)
                        .expect("strings, numbers and lists of them always serialise"),
                );
            }
        }
    }
    chain.text("]}");
    envelope::stream(app, connection, Answer::Json, chain).await
}
