//! The inventory, and what a device says of itself (design section 4).

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::Value;

use super::body::{Input, Media};
use super::context::Context;
use super::device_schema::{Device, DeviceInput, DevicePage, DevicePatch};
use super::envelope::{self, Envelope};
use super::extract::{Condition, OfConnection, PathArgs, PlainJson};
use super::negotiate::{self, Answer};
use super::openapi::{BodyProblems, Problems};
use super::problem::{ApiError, Problem};
use super::query::Query;
use crate::api::App;
use crate::service::request::{ListRequest, OutputOptions};
use crate::service::view::{CapabilitiesView, CheckReport, DeviceView, SchemaList, SessionList};

const JSON: &str = "application/json";

/// Add a device.
#[utoipa::path(post, path = "/v1/devices", operation_id = "createDevice", tag = "devices",
    request_body(content((DeviceInput = "application/json"))),
    responses(
        (status = 201, description = "The device as it is stored", body = Device, headers(
            ("Location" = String, description = "Where it is"), ("ETag" = String, description = "Its version"),
        )),
        BodyProblems, Problems,
    ))]
pub async fn create(
    State(app): State<App>,
    Context(context): Context,
    _: PlainJson,
    headers: HeaderMap,
    input: Input,
) -> Result<Response, ApiError> {
    // `If-None-Match: *` asks for what adding always does: nothing is ever replaced (H9).
    Condition::if_none_match(&headers)?;
    let device = app.gateway.create_device(&context, input.json()?).await?;
    let mut response = with_etag(&device);
    *response.status_mut() = StatusCode::CREATED;
    let name = device
        .document
        .get("name")
        .and_then(Value::as_str)
        .unwrap_or_default();
    if let Ok(location) = HeaderValue::from_str(&format!("/v1/devices/{name}")) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

/// List devices.
#[utoipa::path(get, path = "/v1/devices", operation_id = "listDevices", tag = "devices",
    params(("page_size" = Option<u32>, Query, description = "At most this many", maximum = 1000),
        ("page_token" = Option<String>, Query, description = "Where the last page ended"),
        ("label" = Option<Vec<String>>, Query, explode = true,
            description = "`name=value`; only devices with all of these labels")),
    responses((status = 200, description = "A page, by name", body = DevicePage), Problems))]
pub async fn list(
    State(app): State<App>,
    Context(context): Context,
    mut query: Query,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    negotiate::only(&headers, JSON)?;
    let request = ListRequest {
        page_size: query.number("page_size")?.unwrap_or(0),
        // An empty one is what a form sends that has none yet; gRPC knows no other way to say so.
        page_token: query.value("page_token")?.filter(|token| !token.is_empty()),
        labels: query.pairs("label")?,
    };
    query.finish()?;
    Ok(envelope::json(
        &app.gateway.list_devices(&context, request).await?,
    ))
}

/// Look at a device.
#[utoipa::path(get, path = "/v1/devices/{device}", operation_id = "getDevice", tag = "devices",
    params(("device" = String, Path, description = "The name of the device", example = "mx1"),
        ("If-None-Match" = Option<String>, Header, description = "Answer 304 if the version is one of these")),
    responses(
        (status = 200, description = "The device", body = Device, headers(
            ("ETag" = String, description = "Its version"),
        )),
        (status = 304, description = "It has not changed"),
        Problems,
    ))]
pub async fn get(
    State(app): State<App>,
    Context(context): Context,
    PathArgs(device): PathArgs<String>,
    _: PlainJson,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let known = Condition::if_none_match(&headers)?;
    let device = app.gateway.get_device(&context, &device).await?;
    let mut response = with_etag(&device);
    if known.is_some_and(|known| known.matches_weakly(device.etag.trim_matches('"'))) {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        *response.body_mut() = axum::body::Body::empty();
        response.headers_mut().remove(header::CONTENT_TYPE);
        response.headers_mut().remove(header::CONTENT_LENGTH);
    }
    Ok(response)
}

/// Change a device.
///
/// A JSON merge patch (RFC 7396): what is named changes, `null` resets to the default.
#[utoipa::path(patch, path = "/v1/devices/{device}", operation_id = "updateDevice", tag = "devices",
    params(("device" = String, Path, description = "The name of the device", example = "mx1"),
        ("If-Match" = Option<String>, Header, description = "Fail with 412 unless the version is one of these")),
    request_body(content((DevicePatch = "application/merge-patch+json"))),
    responses(
        (status = 200, description = "The device as it is now", body = Device, headers(
            ("ETag" = String, description = "Its version"),
        )),
        (status = 412, description = "It has changed since it was read", body = Problem,
            content_type = "application/problem+json"),
        BodyProblems, Problems,
    ))]
pub async fn update(
    State(app): State<App>,
    Context(context): Context,
    PathArgs(device): PathArgs<String>,
    _: PlainJson,
    headers: HeaderMap,
    input: Input,
) -> Result<Response, ApiError> {
    let (_, patch) = input.text(&[Media::MergePatch])?;
    let if_match = Condition::if_match(&headers)?.map(Condition::strong);
    let device = app
        .gateway
        .update_device(&context, &device, patch, if_match)
        .await?;
    Ok(with_etag(&device))
}

/// Remove a device.
#[utoipa::path(delete, path = "/v1/devices/{device}", operation_id = "deleteDevice", tag = "devices",
    params(("device" = String, Path, description = "The name of the device", example = "mx9"),
        ("If-Match" = Option<String>, Header, description = "Fail with 412 unless the version is one of these")),
    responses(
        (status = 204, description = "It is gone, and so are its credentials"),
        (status = 409, description = "It still holds something", body = Problem,
            content_type = "application/problem+json"),
        (status = 412, description = "It has changed since it was read", body = Problem,
            content_type = "application/problem+json"),
        Problems,
    ))]
pub async fn delete(
    State(app): State<App>,
    Context(context): Context,
    PathArgs(device): PathArgs<String>,
    query: Query,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    query.finish()?;
    let if_match = Condition::if_match(&headers)?.map(Condition::strong);
    app.gateway.delete_device(&context, &device, if_match).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Connect now and tell what was seen.
///
/// Ends any waiting after refused credentials.
#[utoipa::path(post, path = "/v1/devices/{device}/check", operation_id = "checkDevice", tag = "devices",
    params(("device" = String, Path, description = "The name of the device", example = "mx1")),
    responses((status = 200, description = "What the connect showed", body = CheckReport), BodyProblems, Problems))]
pub async fn check(
    State(app): State<App>,
    Context(context): Context,
    PathArgs(device): PathArgs<String>,
    _: PlainJson,
    input: Input,
) -> Result<Response, ApiError> {
    input.nothing()?;
    Ok(envelope::json(
        &app.gateway.check_device(&context, &device).await?,
    ))
}

/// List capabilities.
#[utoipa::path(get, path = "/v1/devices/{device}/capabilities", operation_id = "getCapabilities", tag = "devices",
    params(("device" = String, Path, description = "The name of the device", example = "mx1")),
    responses((status = 200, description = "Of the device's hello", body = CapabilitiesView), Problems))]
pub async fn capabilities(
    State(app): State<App>,
    Context(context): Context,
    PathArgs(device): PathArgs<String>,
    _: PlainJson,
) -> Result<Response, ApiError> {
    Ok(envelope::json(
        &app.gateway.get_capabilities(&context, &device).await?,
    ))
}

/// List schemas.
#[utoipa::path(get, path = "/v1/devices/{device}/schemas", operation_id = "listSchemas", tag = "devices",
    params(("device" = String, Path, description = "The name of the device", example = "mx1")),
    responses((status = 200, description = "The schemas that the device has", body = SchemaList), Problems))]
pub async fn schemas(
    State(app): State<App>,
    Context(context): Context,
    PathArgs(device): PathArgs<String>,
    _: PlainJson,
) -> Result<Response, ApiError> {
    Ok(envelope::json(
        &app.gateway.list_schemas(&context, &device).await?,
    ))
}

/// Fetch a schema.
#[utoipa::path(get, path = "/v1/devices/{device}/schemas/{name}", operation_id = "getSchema", tag = "devices",
    params(("device" = String, Path, description = "The name of the device", example = "mx1"),
        ("name" = String, Path, description = "The identifier of the schema", example = "ietf-interfaces"),
        ("version" = Option<String>, Query, description = "Its revision"),
        ("format" = Option<String>, Query, description = "`yang` (default), `yin`, `xsd` or `rng`")),
    responses(
        (status = 200, description = "The schema is the text in `data`", content(
            (Envelope = "application/json"), (String = "application/xml"),
        )),
        Problems,
    ))]
pub async fn schema(
    State(app): State<App>,
    Context(context): Context,
    PathArgs((device, name)): PathArgs<(String, String)>,
    OfConnection(connection): OfConnection,
    mut query: Query,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let answer = negotiate::answer(&headers)?;
    let (version, format) = (query.value("version")?, query.value("format")?);
    query.finish()?;
    let output = OutputOptions {
        whole_reply: answer == Answer::Xml,
        ..OutputOptions::default()
    };
    let reply = app
        .gateway
        .get_schema(
            &context,
            &device,
            &name,
            version.as_deref(),
            format.as_deref(),
            output,
        )
        .await?;
    envelope::respond(&app, &context, connection.as_ref(), answer, reply).await
}

/// List NETCONF sessions.
#[utoipa::path(get, path = "/v1/devices/{device}/sessions", operation_id = "listSessions", tag = "devices",
    params(("device" = String, Path, description = "The name of the device", example = "mx1")),
    responses(
        (status = 200, description = "Ours and, where the device tells, others'", body = SessionList),
        Problems,
    ))]
pub async fn sessions(
    State(app): State<App>,
    Context(context): Context,
    PathArgs(device): PathArgs<String>,
    _: PlainJson,
) -> Result<Response, ApiError> {
    Ok(envelope::json(
        &app.gateway.list_sessions(&context, &device).await?,
    ))
}

fn with_etag(device: &DeviceView) -> Response {
    let mut response = envelope::json(device);
    if let Ok(etag) = HeaderValue::from_str(&device.etag) {
        response.headers_mut().insert(header::ETAG, etag);
    }
    response
}
