//! The REST front end: routes, extraction, envelopes, problems. It decides nothing; every handler is one call of the
//! service layer.

mod body;
mod carried;
pub mod changes;
pub mod config;
pub mod confirmed_commits;
mod context;
pub mod datastores;
pub mod device_schema;
mod devices;
mod docs;
pub mod edit_input;
pub mod edit_sessions;
pub mod envelope;
pub mod events;
mod extract;
mod gateway;
mod json;
pub mod locks;
mod machine;
mod negotiate;
mod openapi;
pub mod operations;
pub mod output;
mod places;
mod probe_input;
pub mod problem;
mod query;
pub mod rpc;
pub mod rpc_input;
mod statuses;

use std::any::Any;
use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderMap, StatusCode, Version, header};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::{CompressionLayer, Predicate, predicate::SizeAbove};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;
use crate::error::{Error, ErrorCode, Outcome};
use crate::metrics::Metrics;
use problem::ApiError;

/// Answers of at most this size are not compressed (H14).
const COMPRESS_ABOVE: u64 = 1024;

/// As it is served. Made once.
static DOCUMENT: LazyLock<Bytes> = LazyLock::new(|| Bytes::from(document()));

/// The OpenAPI document of all routes, as `openapi/ncgate.json` holds it.
pub fn document() -> String {
    let (_, api) = routes().split_for_parts();
    openapi::text(&api)
}

/// Every route with its description.
fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::with_openapi(openapi::base())
        .routes(routes!(devices::create, devices::list))
        .routes(routes!(devices::get, devices::update, devices::delete))
        .routes(routes!(devices::check))
        .routes(routes!(devices::capabilities))
        .routes(routes!(devices::schemas))
        .routes(routes!(devices::schema))
        .routes(routes!(devices::sessions))
        .routes(routes!(rpc::call))
        .routes(routes!(rpc::read_named, rpc::call_named))
        .routes(routes!(rpc::cli))
        .routes(routes!(rpc::cli_rpc))
        .routes(routes!(config::get))
        .routes(routes!(config::compare))
        .routes(routes!(datastores::copy))
        .routes(routes!(datastores::delete))
        .routes(routes!(datastores::validate))
        .routes(routes!(datastores::rescue))
        .routes(routes!(edit_sessions::create, edit_sessions::list))
        .routes(routes!(edit_sessions::get, edit_sessions::delete))
        .routes(routes!(edit_sessions::edit))
        .routes(routes!(edit_sessions::validate))
        .routes(routes!(edit_sessions::discard))
        .routes(routes!(edit_sessions::commit))
        .routes(routes!(edit_sessions::renew))
        .routes(routes!(edit_sessions::call_rpc))
        .routes(routes!(edit_sessions::config))
        .routes(routes!(edit_sessions::diff))
        .routes(routes!(changes::create, changes::list))
        .routes(routes!(changes::get))
        .routes(routes!(changes::cancel))
        .routes(routes!(confirmed_commits::list))
        .routes(routes!(confirmed_commits::get))
        .routes(routes!(confirmed_commits::confirm))
        .routes(routes!(confirmed_commits::cancel))
        .routes(routes!(confirmed_commits::extend))
        .routes(routes!(operations::list))
        .routes(routes!(operations::get))
        .routes(routes!(events::list))
        .routes(routes!(locks::list))
        .routes(routes!(locks::kill))
        .routes(routes!(locks::discard_candidate))
        .routes(routes!(gateway::status))
        .routes(routes!(gateway::version))
        .routes(routes!(machine::livez))
        .routes(routes!(machine::readyz))
        .routes(routes!(machine::metrics))
        .routes(routes!(docs::openapi))
        .routes(routes!(docs::docs))
        .routes(routes!(docs::docs_file))
        .routes(routes!(docs::problem))
        .routes(routes!(docs::root))
}

/// The router of all routes, with everything around them.
pub fn router(app: App) -> Router {
    let (routes, _) = routes().split_for_parts();
    around(routes, app)
}

/// What stands around every handler: problems for what goes wrong, the request's context, compression.
pub(super) fn around(routes: Router<App>, app: App) -> Router {
    let metrics = Arc::clone(&app.metrics);
    routes
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(CatchPanicLayer::custom(
            move |panic: Box<dyn Any + Send + 'static>| caught(&metrics, &*panic),
        ))
        .layer(axum::middleware::from_fn_with_state(app.clone(), carried::layer))
        .layer(axum::middleware::from_fn_with_state(app.clone(), context::layer))
        .layer(CompressionLayer::new().compress_when(SizeAbove::new(COMPRESS_ABOVE).and(is_compressible)))
        .with_state(app)
}

async fn not_found() -> ApiError {
    ApiError::new(ErrorCode::NotFound, "there is no resource at this path")
}

async fn method_not_allowed() -> ApiError {
    ApiError::new(
        ErrorCode::MethodNotAllowed,
        "the resource does not take this method",
    )
}

/// A panic is a fault of ours and ends one request only.
fn caught(metrics: &Metrics, panic: &(dyn Any + Send)) -> Response {
    metrics.panicked();
    let words = panic
        .downcast_ref::<&str>()
        .map(|words| (*words).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_default();
    tracing::error!(panic = %words, "a request handler panicked");
    let words = "the gateway made a mistake; its log names it under this request_id";
    // Nobody knows how far the handler had come.
    let error = Error::new(ErrorCode::Internal, words).with_outcome(Outcome::Unknown);
    ApiError::from(error).into_response()
}

fn is_compressible(_: StatusCode, _: Version, headers: &HeaderMap, _: &http::Extensions) -> bool {
    let content_type = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    content_type.is_some_and(|content_type| !content_type.starts_with("text/event-stream"))
}

#[cfg(test)]
mod tests;
