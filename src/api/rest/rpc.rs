//! RPCs and CLI commands (design section 4, conventions H15).

use std::collections::BTreeMap;

use axum::extract::State;
use axum::response::Response;
use http::{HeaderMap, Method};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::schema::{AdditionalProperties, ObjectBuilder};

use crate::api::App;
use super::body::{Input, Media};
use super::context::Context;
use super::envelope::{self, Envelope};
use super::extract::{OfConnection, PathArgs};
use super::json::Object;
use super::negotiate::{self, Answer};
use super::openapi::{BodyProblems, Problems};
use super::output::OutputQuery;
use super::problem::{ApiError, Problem};
use super::query::{self, Query};
use crate::api::pace::Chain;
use crate::api::server::Connection;
use crate::error::ErrorCode;
use crate::service::reply::{Reply, RpcAnswer as Outcome};
use crate::service::call::CallContext;
use crate::service::request::{
    Arguments, BatchItem, BatchRequest, CliRequest, Content, OnError, OutputOptions, RpcBody, RpcRequest,
};
use crate::service::view::{CliRpc, Plan};

/// One RPC, or with `rpcs` a batch of RPCs that change nothing.
#[derive(ToSchema)]
#[schema(example = json!({"rpc": {"get-interface-information": {"terse": null}}}))]
pub struct RpcInput {
    /// One member: the request tag with its arguments. `null` and `true` are empty elements.
    #[schema(schema_with = operation)]
    pub rpc: Option<String>,
    /// Further attributes of `<rpc>`, which the device returns.
    pub attributes: Option<BTreeMap<String, String>>,
    /// Several of them, each with `rpc` and `attributes`.
    #[schema(min_items = 1)]
    pub rpcs: Option<Vec<RpcItem>>,
    /// What a batch does when one of its RPCs fails; `continue` also lets them be sent without waiting.
    pub on_error: Option<OnErrorName>,
    /// Show the XML that would be sent, and send nothing.
    pub plan: Option<bool>,
    pub format: Option<super::output::FormatName>,
    pub mapping: Option<super::output::MappingName>,
    pub arrays: Option<String>,
    pub text: Option<super::output::TextName>,
    pub ns: Option<super::output::NamespaceName>,
    pub hints: Option<String>,
    pub partial: Option<super::output::PartialName>,
}

/// One RPC of a batch.
#[derive(ToSchema)]
pub struct RpcItem {
    /// One member: the request tag with its arguments.
    #[schema(schema_with = operation, required)]
    pub rpc: String,
    /// Further attributes of `<rpc>`, which the device returns.
    pub attributes: Option<BTreeMap<String, String>>,
}

#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub enum OnErrorName {
    Stop,
    Continue,
}

/// A command of the device's CLI.
#[derive(ToSchema)]
#[schema(example = json!({"command": "show version", "format": "text"}))]
pub struct CliInput {
    pub command: String,
    /// Show the XML that would be sent, and send nothing.
    pub plan: Option<bool>,
    pub format: Option<super::output::FormatName>,
    pub mapping: Option<super::output::MappingName>,
    pub arrays: Option<String>,
    pub text: Option<super::output::TextName>,
    pub ns: Option<super::output::NamespaceName>,
    pub hints: Option<String>,
    pub partial: Option<super::output::PartialName>,
}

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
/// The body is JSON, or the XML of one operation element; with an XML body the options go into the query.
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
    let output = OutputOptions { whole_reply: answer == Answer::Xml, ..query.output()? };
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
        (Media::Json | Media::MergePatch, text) => match read_body(text, output, plan)? {
            Body::One(request) => request,
            Body::Batch(batch) => {
                if answer == Answer::Xml {
                    return Err(ApiError::new(
                        ErrorCode::NotAcceptable,
                        "the results of a batch can be had as application/json",
                    ));
                }
                let results = app.gateway.batch_rpcs(&context, &device, batch).await?;
                return batch_answer(&app, &context, connection.as_ref(), &device, results).await;
            }
        },
    };
    let outcome = app.gateway.call_rpc(&context, &device, request).await?;
    respond(&app, &context, connection.as_ref(), answer, outcome).await
}

/// Read by the name of an RPC.
///
/// Arguments are query options: `?interface-name=ge-0/0/0&terse`. An argument that is named like an option of this
/// resource is written `arg.<name>`. Only for RPCs that are known to change nothing; others are 405.
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
    let request = RpcRequest {
        output: OutputOptions { whole_reply: answer == Answer::Xml, ..query.output()? },
        plan: query.switch("plan")?.unwrap_or(false),
        rpc: RpcBody::Named { name, arguments: Arguments::Pairs(query.arguments()) },
        attributes: Vec::new(),
        safe_only: true,
    };
    let outcome = app.gateway.call_rpc(&context, &device, request).await.map_err(|error| {
        let code = error.code();
        let refused = ApiError::from(error);
        if code == ErrorCode::MethodNotAllowed { refused.with_allow(&[Method::POST]) } else { refused }
    })?;
    respond(&app, &context, connection.as_ref(), answer, outcome).await
}

/// Call by the name of an RPC.
///
/// Arguments are the members of the JSON body, or query options as with GET, but not both.
#[utoipa::path(post, path = "/v1/devices/{device}/rpc/{name}", operation_id = "callNamedRpc", tag = "rpc",
    params(("device" = String, Path, description = "The name of the device", example = "mx1"),
        ("name" = String, Path, description = "The request tag", example = "get-interface-information"),
        OutputQuery,
        ("plan" = Option<bool>, Query, description = "Show the XML that would be sent, and send nothing"),
        ("arguments" = Option<BTreeMap<String, String>>, Query, style = Form, explode = true,
            description = "Arguments of the RPC; without a value an empty element")),
    request_body(description = "The arguments, or nothing",
        content((BTreeMap<String, serde_json::Value> = "application/json", example = json!({"terse": null})))),
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
    let output = OutputOptions { whole_reply: answer == Answer::Xml, ..query.output()? };
    let plan = query.switch("plan")?.unwrap_or(false);
    let pairs = query.arguments();
    let arguments = match (input.is_empty(), pairs.first()) {
        (true, None) => Arguments::None,
        (true, Some(_)) => Arguments::Pairs(pairs),
        (false, None) => {
            let text = input.json()?;
            Object::parse(text)?;
            Arguments::Content(Content::Json(text.to_owned()))
        }
        (false, Some((name, _))) => {
            return Err(ApiError::invalid(format!("?{name}"), "arguments stand in the body or in the query, not in both"));
        }
    };
    let rpc = RpcBody::Named { name, arguments };
    let request = RpcRequest { rpc, attributes: Vec::new(), output, safe_only: false, plan };
    let outcome = app.gateway.call_rpc(&context, &device, request).await?;
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
    let output = OutputOptions { whole_reply: answer == Answer::Xml, ..query.output()? };
    let plan = query.switch("plan")?;
    query.finish()?;
    let mut body = Object::parse(input.json()?)?;
    let command = body.string("command")?.ok_or_else(|| ApiError::invalid("/command", "is required"))?;
    let output = body_output(&mut body, output)?;
    let plan = body_switch(&mut body, "plan", plan)?;
    body.finish()?;
    let outcome = app.gateway.run_cli(&context, &device, CliRequest { command, output, plan }).await?;
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
    let command = query.value("command")?.ok_or_else(|| ApiError::invalid("?command", "is required"))?;
    query.finish()?;
    Ok(envelope::json(&app.gateway.get_cli_rpc(&context, &device, &command).await?))
}

/// An object with one member.
fn operation() -> utoipa::openapi::schema::Object {
    ObjectBuilder::new()
        .additional_properties(Some(AdditionalProperties::FreeForm(true)))
        .min_properties(Some(1))
        .max_properties(Some(1))
        .build()
}

enum Body {
    One(RpcRequest),
    Batch(BatchRequest),
}

fn read_body(text: &str, output: OutputOptions, plan: Option<bool>) -> Result<Body, ApiError> {
    let mut body = Object::parse(text)?;
    let output = body_output(&mut body, output)?;
    let plan = body_switch(&mut body, "plan", plan)?;
    let Some(items) = body.objects("rpcs")? else {
        let (rpc, attributes) = read_rpc(&mut body)?;
        body.finish()?;
        return Ok(Body::One(RpcRequest { rpc, attributes, output, safe_only: false, plan }));
    };
    if plan {
        return Err(ApiError::invalid("/plan", "a batch changes nothing, so there is nothing to plan"));
    }
    if items.is_empty() {
        return Err(ApiError::invalid("/rpcs", "must hold at least one RPC"));
    }
    let on_error = match body.string("on_error")?.as_deref() {
        None | Some("stop") => OnError::Stop,
        Some("continue") => OnError::Continue,
        Some(_) => return Err(ApiError::invalid("/on_error", "must be stop or continue")),
    };
    body.finish()?;
    let rpcs = items
        .into_iter()
        .map(|mut item| {
            let (rpc, attributes) = read_rpc(&mut item)?;
            item.finish()?;
            Ok(BatchItem { rpc, attributes })
        })
        .collect::<Result<_, ApiError>>()?;
    Ok(Body::Batch(BatchRequest { rpcs, on_error, output }))
}

fn read_rpc(body: &mut Object<'_>) -> Result<(RpcBody, Vec<(String, String)>), ApiError> {
    let pointer = body.pointer("rpc");
    let text = body.object_text("rpc")?.ok_or_else(|| ApiError::invalid(pointer, "is required"))?;
    Ok((RpcBody::Whole(Content::Json(text.to_owned())), body.strings("attributes")?))
}

/// The options of the body, each of which may stand in the query instead.
fn body_output(body: &mut Object<'_>, query: OutputOptions) -> Result<OutputOptions, ApiError> {
    let mut output = query;
    if let Some(format) = body.string("format")? {
        output.format = query::parse_format("/format", &format)?;
    }
    if let Some(partial) = body.string("partial")? {
        output.partial = Some(query::parse_partial("/partial", &partial)?);
    }
    for (name, option) in [
        ("mapping", &mut output.mapping),
        ("arrays", &mut output.arrays),
        ("text", &mut output.text),
        ("ns", &mut output.ns),
        ("hints", &mut output.hints),
    ] {
        if let Some(value) = body.string(name)? {
            if option.is_some() {
                return Err(ApiError::invalid(format!("/{name}"), "stands in the query, too"));
            }
            *option = Some(value);
        }
    }
    Ok(output)
}

fn body_switch(body: &mut Object<'_>, name: &str, query: Option<bool>) -> Result<bool, ApiError> {
    match (body.boolean(name)?, query) {
        (Some(_), Some(_)) => Err(ApiError::invalid(format!("/{name}"), "stands in the query, too")),
        (body, query) => Ok(body.or(query).unwrap_or(false)),
    }
}

async fn respond(
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
                chain.text(serde_json::to_vec(&problem).expect("strings, numbers and lists of them always serialise"));
            }
        }
    }
    chain.text("]}");
    envelope::stream(app, connection, Answer::Json, chain).await
}
