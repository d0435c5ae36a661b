//! Pages for people: the list of operations and a page per error code. Everything is served from the binary; nothing
//! is fetched from elsewhere, and no script or style stands inline.

use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};

use super::DOCUMENT;
use super::extract::PathArgs;
use super::negotiate;
use super::openapi::Problems;
use super::problem::ApiError;
use crate::api::status;
use crate::error::ErrorCode;

const PAGE_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
     img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The contract of this API as OpenAPI 3.1.
#[utoipa::path(get, path = "/openapi.json", operation_id = "getOpenApi", tag = "pages", responses(
    (status = 200, description = "The OpenAPI document", content_type = "application/json", body = Object),
    Problems,
))]
pub async fn openapi(headers: HeaderMap) -> Result<Response, ApiError> {
    negotiate::only(&headers, "application/json")?;
    Ok(asset("application/json", DOCUMENT.clone()))
}

/// The list of operations, for people.
#[utoipa::path(get, path = "/docs", operation_id = "getDocs", tag = "pages", responses(
    (status = 200, description = "A page", content_type = "text/html", body = String),
    Problems,
))]
pub async fn docs(headers: HeaderMap) -> Result<Response, ApiError> {
    negotiate::only(&headers, "text/html")?;
    Ok(page(include_str!("assets/docs.html")))
}

/// A part of the list of operations.
#[utoipa::path(get, path = "/docs/{file}", operation_id = "getDocsFile", tag = "pages",
    params(("file" = String, Path, description = "`docs.css` or `docs.js`", example = "docs.css")),
    responses(
        (status = 200, description = "A style sheet or a script", content(
            (String = "text/css"), (String = "text/javascript"),
        )),
        Problems,
    ))]
pub async fn docs_file(PathArgs(file): PathArgs<String>) -> Result<Response, ApiError> {
    match file.as_str() {
        "docs.css" => Ok(asset("text/css; charset=utf-8", include_str!("assets/docs.css"))),
        "docs.js" => Ok(asset("text/javascript; charset=utf-8", include_str!("assets/docs.js"))),
        _ => Err(ApiError::new(ErrorCode::NotFound, "there is no such file")),
    }
}

/// To the list of operations.
#[utoipa::path(get, path = "/", operation_id = "getRoot", tag = "pages", responses(
    (status = 307, description = "To `/docs`", headers(("Location" = String, description = "`/docs`"))),
    Problems,
))]
pub async fn root() -> Response {
    (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, "/docs")]).into_response()
}

/// What an error code means.
#[utoipa::path(get, path = "/problems/{code}", operation_id = "getProblem", tag = "pages",
    params(("code" = String, Path, description = "The `code` of a problem", example = "lock-denied")),
    responses(
        (status = 200, description = "A page", content_type = "text/html", body = String),
        Problems,
    ))]
pub async fn problem(headers: HeaderMap, PathArgs(code): PathArgs<String>) -> Result<Response, ApiError> {
    negotiate::only(&headers, "text/html")?;
    let code = ErrorCode::ALL
        .iter()
        .copied()
        .find(|known| known.as_str() == code)
        .ok_or_else(|| ApiError::new(ErrorCode::NotFound, "there is no such error code"))?;
    let row = status::row(code);
    // All of these are words of the gateway's own source, free of markup.
    Ok(page(format!(
        "<!doctype html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><title>{code}</title>\
         <link rel=\"stylesheet\" href=\"/docs/docs.css\"></head>\n<body><h1>{code}</h1>\n<p>{title}.</p>\n\
         <table><tr><th>HTTP status</th><td>{http}</td></tr><tr><th>gRPC status</th><td>{grpc:?}</td></tr>\
         <tr><th>Origin</th><td>{origin}</td></tr></table>\n<p><a href=\"/docs\">All operations</a></p></body>\n</html>\n",
        title = code.title(),
        http = row.http.as_u16(),
        grpc = row.grpc,
        origin = code.origin().as_str(),
    )))
}

fn page(html: impl Into<axum::body::Body>) -> Response {
    let mut response = asset("text/html; charset=utf-8", html);
    response
        .headers_mut()
        .insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(PAGE_POLICY));
    response
}

fn asset(content_type: &'static str, body: impl Into<axum::body::Body>) -> Response {
    let headers = [(header::CONTENT_TYPE, content_type), (header::CACHE_CONTROL, "no-cache")];
    (headers, body.into()).into_response()
}
