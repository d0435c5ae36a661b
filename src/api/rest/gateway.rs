//! The gateway itself.

use axum::extract::State;
use axum::response::Response;
use http::HeaderMap;

use crate::api::App;
use super::context::Context;
use super::openapi::Problems;
use super::problem::ApiError;
use super::query::Query;
use super::{envelope, negotiate};
use crate::service::view::{StatusView, VersionView};

/// How the gateway is doing.
#[utoipa::path(get, path = "/v1/status", operation_id = "getStatus", tag = "gateway",
    responses((status = 200, description = "Counts of devices, sessions and waiting requests", body = StatusView),
        Problems))]
pub async fn status(
    State(app): State<App>,
    Context(context): Context,
    query: Query,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    negotiate::only(&headers, "application/json")?;
    query.finish()?;
    Ok(envelope::json(&app.gateway.get_status(&context).await?))
}

/// Which gateway this is.
#[utoipa::path(get, path = "/v1/version", operation_id = "getVersion", tag = "gateway",
    responses((status = 200, description = "Its version and the list tables that it knows", body = VersionView),
        Problems))]
pub async fn version(
    State(app): State<App>,
    Context(context): Context,
    query: Query,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    negotiate::only(&headers, "application/json")?;
    query.finish()?;
    Ok(envelope::json(&app.gateway.get_version(&context).await?))
}
