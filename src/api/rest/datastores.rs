//! Whole configurations: copied, deleted, validated, kept for a rescue (S12 to S14).

use axum::extract::State;
use axum::response::Response;
use http::HeaderMap;
use utoipa::ToSchema;
use utoipa::openapi::schema::{AdditionalProperties, ObjectBuilder, OneOf, OneOfBuilder, Schema, Type};

use super::body::Input;
use super::context::Context;
use super::extract::{OfConnection, PathArgs};
use super::json::Object;
use super::negotiate::{self, Answer};
use super::openapi::{BodyProblems, Problems};
use super::output::OutputQuery;
use super::problem::{ApiError, Problem};
use super::query::Query;
use super::rpc::{self, RpcAnswer};
use super::rpc_input::body_switch;
use crate::api::App;
use crate::netconf::datastore::Datastore;
use crate::service::edit::request::{
    CopyConfigRequest, DeleteConfigRequest, Endpoint, SaveRescueRequest, ValidateConfigRequest,
};
use crate::service::request::{Content, OutputOptions};

const STORES: [Datastore; 3] = [Datastore::Candidate, Datastore::Running, Datastore::Startup];

/// A configuration becomes that of the target.
#[derive(ToSchema)]
#[schema(example = json!({"source": "running", "target": "startup"}))]
pub struct CopyInput {
    /// A datastore, `{"url": …}`, or `{"config": …}`: an object, or XML in a string.
    #[schema(schema_with = source, required)]
    pub source: String,
    /// A datastore or `{"url": …}`.
    #[schema(schema_with = target, required)]
    pub target: String,
    /// Also when others left something in the candidate that is to go. Default: 409 with the difference.
    pub discard_others: Option<bool>,
    /// Show the XML that would be sent, and send nothing.
    pub plan: Option<bool>,
}

/// A configuration goes.
#[derive(ToSchema)]
#[schema(example = json!({"target": "startup"}))]
pub struct DeleteInput {
    /// A datastore or `{"url": …}`.
    #[schema(schema_with = target, required)]
    pub target: String,
    /// Also when others left something in the candidate that is to go. Default: 409 with the difference.
    pub discard_others: Option<bool>,
    /// Show the XML that would be sent, and send nothing.
    pub plan: Option<bool>,
}

/// A configuration is checked by the device.
#[derive(ToSchema)]
#[schema(example = json!({"source": "candidate"}))]
pub struct ValidateInput {
    /// A datastore, `{"url": …}`, or `{"config": …}`: an object, or XML in a string. Default: `candidate`.
    #[schema(schema_with = source)]
    pub source: Option<String>,
    /// Also when somebody else's confirmed commit is pending, which a check may confirm; admins only.
    pub confirm_others: Option<bool>,
    /// Show the XML that would be sent, and send nothing.
    pub plan: Option<bool>,
}

/// The name of a datastore, or an object with one member.
fn target() -> Schema {
    Schema::OneOf(places())
}

fn places() -> OneOf {
    let names = STORES.map(Datastore::as_str);
    OneOfBuilder::new()
        .item(
            ObjectBuilder::new()
                .schema_type(Type::String)
                .enum_values(Some(names)),
        )
        .item(
            ObjectBuilder::new()
                .property("url", ObjectBuilder::new().schema_type(Type::String))
                .required("url")
                .additional_properties(Some(AdditionalProperties::FreeForm(false))),
        )
        .build()
}

fn source() -> Schema {
    let config = ObjectBuilder::new()
        .property(
            "config",
            OneOfBuilder::new()
                .item(ObjectBuilder::new().schema_type(Type::String))
                .item(ObjectBuilder::new().schema_type(Type::Object)),
        )
        .required("config")
        .additional_properties(Some(AdditionalProperties::FreeForm(false)));
    let mut choices = places();
    choices.items.push(Schema::Object(config.build()).into());
    Schema::OneOf(choices)
}

/// Reads a source or target; `None` if it is not there.
fn endpoint(body: &mut Object<'_>, name: &str) -> Result<Option<Endpoint>, ApiError> {
    let pointer = body.pointer(name);
    let wrong = || {
        let stores = STORES.map(Datastore::as_str).join(", ");
        ApiError::invalid(
            &pointer,
            format!("must be one of {stores}, or an object with url or config"),
        )
    };
    if body.peek(name).is_some_and(|text| text.starts_with('{')) {
        let Some(mut place) = body.object(name)? else {
            return Ok(None);
        };
        let config = match place.raw("config") {
            Some(text) if text.starts_with('{') => Some(Content::Json(text.to_owned())),
            Some(text) => Some(Content::Xml(serde_json::from_str(text).map_err(|_| wrong())?)),
            None => None,
        };
        let found = match (place.string("url")?, config) {
            (Some(url), None) => Endpoint::Url(url),
            (None, Some(config)) => Endpoint::Config(config),
            (Some(_), Some(_)) | (None, None) => return Err(wrong()),
        };
        place.finish()?;
        return Ok(Some(found));
    }
    let Some(word) = body.string(name)? else {
        return Ok(None);
    };
    let store = STORES.into_iter().find(|store| store.as_str() == word);
    Ok(Some(Endpoint::Datastore(store.ok_or_else(wrong)?)))
}

fn required(endpoint: Option<Endpoint>, name: &str) -> Result<Endpoint, ApiError> {
    endpoint.ok_or_else(|| ApiError::invalid(format!("/{name}"), "is required"))
}

/// What the query of these calls holds, and how they are answered.
fn options(mut query: Query, headers: &HeaderMap) -> Result<(Answer, OutputOptions, Option<bool>), ApiError> {
    let answer = negotiate::answer(headers)?;
    let output = query.output(answer)?;
    let plan = query.switch("plan")?;
    query.finish()?;
    Ok((answer, output, plan))
}

/// Copy a configuration.
///
/// `<copy-config>`: the configuration of the target is replaced as a whole.
#[utoipa::path(post, path = "/v1/devices/{device}/config/copy", operation_id = "copyConfig", tag = "config",
    params(("device" = String, Path, description = "The name of the device", example = "mx1"), OutputQuery,
        ("plan" = Option<bool>, Query, description = "Show the XML that would be sent, and send nothing")),
    request_body(content((CopyInput = "application/json"))),
    responses((status = 200, description = "The reply, or the plan", content(
            (RpcAnswer = "application/json"), (String = "application/xml"))),
        (status = 412, description = "The device refuses it", body = Problem,
            content_type = "application/problem+json"),
        BodyProblems, Problems))]
pub async fn copy(
    State(app): State<App>,
    Context(context): Context,
    PathArgs(device): PathArgs<String>,
    OfConnection(connection): OfConnection,
    query: Query,
    headers: HeaderMap,
    input: Input,
) -> Result<Response, ApiError> {
    let (answer, output, plan) = options(query, &headers)?;
    let mut body = Object::parse(input.json()?)?;
    let request = CopyConfigRequest {
        source: required(endpoint(&mut body, "source")?, "source")?,
        target: required(endpoint(&mut body, "target")?, "target")?,
        discard_others: body.boolean("discard_others")?.unwrap_or(false),
        plan: body_switch(&mut body, "plan", plan)?,
        output,
    };
    body.finish()?;
    let outcome = app.gateway.copy_config(&context, &device, request).await?;
    rpc::respond(&app, &context, connection.as_ref(), answer, outcome).await
}

/// Delete a configuration.
///
/// `<delete-config>`. Running cannot be deleted.
#[utoipa::path(post, path = "/v1/devices/{device}/config/delete", operation_id = "deleteConfig", tag = "config",
    params(("device" = String, Path, description = "The name of the device", example = "mx1"), OutputQuery,
        ("plan" = Option<bool>, Query, description = "Show the XML that would be sent, and send nothing")),
    request_body(content((DeleteInput = "application/json"))),
    responses((status = 200, description = "The reply, or the plan", content(
            (RpcAnswer = "application/json"), (String = "application/xml"))),
        (status = 412, description = "The device refuses it", body = Problem,
            content_type = "application/problem+json"),
        BodyProblems, Problems))]
pub async fn delete(
    State(app): State<App>,
    Context(context): Context,
    PathArgs(device): PathArgs<String>,
    OfConnection(connection): OfConnection,
    query: Query,
    headers: HeaderMap,
    input: Input,
) -> Result<Response, ApiError> {
    let (answer, output, plan) = options(query, &headers)?;
    let mut body = Object::parse(input.json()?)?;
    let request = DeleteConfigRequest {
        target: required(endpoint(&mut body, "target")?, "target")?,
        discard_others: body.boolean("discard_others")?.unwrap_or(false),
        plan: body_switch(&mut body, "plan", plan)?,
        output,
    };
    body.finish()?;
    let outcome = app.gateway.delete_config(&context, &device, request).await?;
    rpc::respond(&app, &context, connection.as_ref(), answer, outcome).await
}

/// Validate a configuration.
///
/// `<validate>`: the device checks it, and nothing changes.
#[utoipa::path(post, path = "/v1/devices/{device}/config/validate", operation_id = "validateConfig",
    tag = "config",
    params(("device" = String, Path, description = "The name of the device", example = "mx1"), OutputQuery,
        ("plan" = Option<bool>, Query, description = "Show the XML that would be sent, and send nothing")),
    request_body(content((ValidateInput = "application/json"))),
    responses((status = 200, description = "The reply, or the plan", content(
            (RpcAnswer = "application/json"), (String = "application/xml"))),
        (status = 412, description = "The configuration is not valid", body = Problem,
            content_type = "application/problem+json"),
        BodyProblems, Problems))]
pub async fn validate(
    State(app): State<App>,
    Context(context): Context,
    PathArgs(device): PathArgs<String>,
    OfConnection(connection): OfConnection,
    query: Query,
    headers: HeaderMap,
    input: Input,
) -> Result<Response, ApiError> {
    let (answer, output, plan) = options(query, &headers)?;
    let mut body = Object::parse_or_empty(input.optional_json()?)?;
    let request = ValidateConfigRequest {
        source: endpoint(&mut body, "source")?.unwrap_or(Endpoint::Datastore(Datastore::Candidate)),
        confirm_others: body.boolean("confirm_others")?.unwrap_or(false),
        plan: body_switch(&mut body, "plan", plan)?,
        output,
    };
    body.finish()?;
    let outcome = app.gateway.validate_config(&context, &device, request).await?;
    rpc::respond(&app, &context, connection.as_ref(), answer, outcome).await
}

/// Keep the committed configuration for a rescue (Junos).
#[utoipa::path(post, path = "/v1/devices/{device}/config/rescue", operation_id = "saveRescueConfig",
    tag = "config",
    params(("device" = String, Path, description = "The name of the device", example = "mx1"), OutputQuery,
        ("plan" = Option<bool>, Query, description = "Show the XML that would be sent, and send nothing")),
    responses((status = 200, description = "The reply, or the plan", content(
            (RpcAnswer = "application/json"), (String = "application/xml"))),
        BodyProblems, Problems))]
pub async fn rescue(
    State(app): State<App>,
    Context(context): Context,
    PathArgs(device): PathArgs<String>,
    OfConnection(connection): OfConnection,
    query: Query,
    headers: HeaderMap,
    input: Input,
) -> Result<Response, ApiError> {
    let (answer, output, plan) = options(query, &headers)?;
    input.nothing()?;
    let request = SaveRescueRequest {
        output,
        plan: plan.unwrap_or(false),
    };
    let outcome = app.gateway.save_rescue_config(&context, &device, request).await?;
    rpc::respond(&app, &context, connection.as_ref(), answer, outcome).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Option<Endpoint>, ApiError> {
        let mut body = Object::parse(text)?;
        let found = endpoint(&mut body, "source")?;
        body.finish()?;
        Ok(found)
    }

    /// S13
    #[test]
    fn endpoints_are_datastores_urls_or_configurations() {
        let is = |text: &str, expected: fn(&Endpoint) -> bool| {
            assert!(
                read(text).ok().flatten().is_some_and(|found| expected(&found)),
                "{text}"
            );
        };
        is(r#"{"source": "startup"}"#, |found| {
            matches!(found, Endpoint::Datastore(Datastore::Startup))
        });
        is(
            r#"{"source": {"url": "ftp://a/b"}}"#,
            |found| matches!(found, Endpoint::Url(url) if url == "ftp://a/b"),
        );
        is(
            r#"{"source": {"config": {"b": 1.0}}}"#,
            |found| matches!(found, Endpoint::Config(Content::Json(text)) if text == r#"{"b": 1.0}"#),
        );
        is(
            r#"{"source": {"config": "<a/>"}}"#,
            |found| matches!(found, Endpoint::Config(Content::Xml(text)) if text == "<a/>"),
        );
        assert!(matches!(read("{}"), Ok(None)));
        for wrong in [
            r#"{"source": "attic"}"#,
            r#"{"source": {}}"#,
            r#"{"source": {"url": "a", "config": {}}}"#,
            r#"{"source": {"config": 3}}"#,
            r#"{"source": 3}"#,
        ] {
            let error = read(wrong).expect_err(wrong);
            assert_eq!(error.error.fields()[0].pointer, "/source", "{wrong}");
        }
        let error = read(r#"{"source": {"url": "a", "b": 1}}"#).expect_err("unknown member");
        assert_eq!(error.error.fields()[0].pointer, "/source/b");
    }
}
