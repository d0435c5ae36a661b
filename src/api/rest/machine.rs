//! For orchestrators and monitoring (H13): alive, ready, metrics. None of them tells anything of devices.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, header};

use crate::api::App;
use super::negotiate;
use super::openapi::Problems;
use super::problem::ApiError;
use crate::error::ErrorCode;

const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Whether the process runs. Depends on nothing else.
#[utoipa::path(get, path = "/livez", operation_id = "getLiveness", tag = "machine", responses(
    (status = 200, description = "It does", content_type = "text/plain", body = String),
    Problems,
))]
pub async fn livez() -> Response {
    plain("ok\n")
}

/// Whether requests should be sent here: the database is up and the gateway is not shutting down. The state of devices
/// does not count.
#[utoipa::path(get, path = "/readyz", operation_id = "getReadiness", tag = "machine", responses(
    (status = 200, description = "They should", content_type = "text/plain", body = String),
    Problems,
))]
pub async fn readyz(State(app): State<App>) -> Result<Response, ApiError> {
    if app.draining() {
        return Err(ApiError::new(ErrorCode::Draining, "the gateway is shutting down"));
    }
    app.gateway.ready().await?;
    Ok(plain("ok\n"))
}

/// Counters and histograms as OpenMetrics text.
#[utoipa::path(get, path = "/metrics", operation_id = "getMetrics", tag = "machine", responses(
    (status = 200, description = "All metrics", content_type = "application/openmetrics-text", body = String),
    Problems,
))]
pub async fn metrics(State(app): State<App>, headers: HeaderMap) -> Result<Response, ApiError> {
    let produced = if negotiate::only(&headers, "application/openmetrics-text").is_ok() {
        OPENMETRICS
    } else {
        negotiate::only(&headers, "text/plain")?;
        "text/plain; version=0.0.4; charset=utf-8"
    };
    Ok(([(header::CONTENT_TYPE, produced), (header::CACHE_CONTROL, "no-store")], app.metrics.encode()).into_response())
}

fn plain(text: &'static str) -> Response {
    let headers = [(header::CONTENT_TYPE, "text/plain; charset=utf-8"), (header::CACHE_CONTROL, "no-store")];
    (headers, text).into_response()
}
