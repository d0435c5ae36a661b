//! The layer around every REST request: names it, says who calls and until when, writes the problem of a failed one,
//! counts and logs it, and sets the headers that every answer has.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{FromRequestParts, MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};

use super::problem::{ApiError, Problem};
use crate::api::edge::{self, Failure, REQUEST_ID};
use crate::api::{App, browsers};
use crate::error::{Error, ErrorCode};
use crate::service::LONGEST_DEADLINE;
use crate::service::call::CallContext;
use crate::service::calls::CALLS;

const REQUEST_TIMEOUT: &str = "request-timeout";
/// What metrics call a request that fits no route.
const UNMATCHED: &str = "unmatched";

/// The headers of every answer (H14). Pages that need more say so themselves.
const SECURITY: [(HeaderName, &str); 5] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; frame-ancestors 'none'",
    ),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    ),
];

/// The context of the call, for handlers.
pub struct Context(pub CallContext);

impl<S: Sync> FromRequestParts<S> for Context {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let context = parts.extensions.get::<CallContext>().cloned();
        context
            .map(Self)
            .ok_or_else(|| ApiError::new(ErrorCode::Internal, "the request came past its context"))
    }
}

/// Runs a request inside its context.
pub async fn layer(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let request_id = app.request_ids.of(request.headers());
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map(|route| route.as_str().to_owned());

    let response = match admit(&app, &request, &request_id) {
        Ok(context) => {
            request.extensions_mut().insert(context);
            next.run(request).await
        }
        Err(refused) => refused.into_response(),
    };

    let error = response.extensions().get::<Arc<Error>>().cloned();
    let mut response = match &error {
        Some(error) => {
            let operation = operation(&method, route.as_deref());
            edge::log_failure(&Failure {
                request_id: &request_id,
                operation: &operation,
                duration: started.elapsed(),
                error,
            });
            Problem::new(error, &request_id, &path).respond(response)
        }
        None => response,
    };
    finish(response.headers_mut(), &request_id);
    let status = response.status().as_u16();
    app.metrics.http_request(
        known(&method),
        route.as_deref().unwrap_or(UNMATCHED),
        status,
        started.elapsed(),
    );
    response
}

/// Who calls and until when, or why nothing is done for the request.
fn admit(app: &App, request: &Request, request_id: &str) -> Result<CallContext, ApiError> {
    let headers = request.headers();
    let path = request.uri().path();
    if app.draining() && !matches!(path, "/livez" | "/readyz" | "/metrics") {
        // D1: what is new is refused, so that what is in flight can end.
        return Err(ApiError::new(ErrorCode::Draining, "the gateway is shutting down"));
    }
    browsers::admit(request.method(), request.uri(), headers)?;
    Ok(CallContext {
        principal: edge::principal(headers),
        request_id: request_id.to_owned(),
        deadline: deadline(headers)?,
        traceparent: edge::traceparent(headers),
        ticket: crate::service::operations::Ticket::default(),
    })
}

/// `Request-Timeout: <seconds>` (H6).
fn deadline(headers: &HeaderMap) -> Result<Option<Duration>, ApiError> {
    let mut values = headers.get_all(REQUEST_TIMEOUT).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(ApiError::invalid("Request-Timeout", "stands more than once"));
    }
    let seconds = value
        .to_str()
        .ok()
        .filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))
        .and_then(|text| text.parse::<u64>().ok())
        .filter(|seconds| (1..=LONGEST_DEADLINE.as_secs()).contains(seconds));
    match seconds {
        Some(seconds) => Ok(Some(Duration::from_secs(seconds))),
        None => Err(ApiError::invalid(
            "Request-Timeout",
            format!("must be whole seconds from 1 to {}", LONGEST_DEADLINE.as_secs()),
        )),
    }
}

/// The service call behind a route, else the route itself.
fn operation(method: &Method, route: Option<&str>) -> String {
    let Some(route) = route else {
        return UNMATCHED.to_owned();
    };
    let method = if method == Method::HEAD {
        "GET"
    } else {
        method.as_str()
    };
    let rest = format!("{method} {route}");
    CALLS
        .iter()
        .find(|call| call.rest == rest)
        .map_or(rest, |call| call.name.to_owned())
}

/// Methods as metric labels: callers can invent any number of them.
fn known(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}

fn finish(headers: &mut HeaderMap, request_id: &str) {
    for (name, value) in SECURITY {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    if let Ok(value) = HeaderValue::from_str(request_id) {
        headers.insert(HeaderName::from_static(REQUEST_ID), value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect()
    }

    /// H6
    #[test]
    fn request_timeout_is_whole_seconds_in_range() {
        assert_eq!(deadline(&headers(&[])).ok(), Some(None));
        let found = deadline(&headers(&[("request-timeout", "5")])).ok().flatten();
        assert_eq!(found, Some(Duration::from_secs(5)));
        let twice = deadline(&headers(&[("request-timeout", "5"), ("request-timeout", "6")]));
        let twice = twice.expect_err("H1: none of them is chosen silently");
        assert_eq!(twice.error.fields()[0].pointer, "Request-Timeout");
        let longest = deadline(&headers(&[("request-timeout", "3600")])).ok().flatten();
        assert_eq!(longest, Some(LONGEST_DEADLINE));
        for bad in ["0", "-1", "1.5", "+5", "", "3601", "soon", "99999999999999999999"] {
            let refused = deadline(&headers(&[("request-timeout", bad)])).expect_err("is refused");
            assert_eq!(refused.error.fields()[0].pointer, "Request-Timeout", "{bad}");
        }
    }

    #[test]
    fn operation_is_the_service_call() {
        assert_eq!(
            operation(&Method::HEAD, Some("/v1/devices/{device}/config")),
            "get_config"
        );
        assert_eq!(
            operation(&Method::POST, Some("/v1/devices/{device}/check")),
            "check_device"
        );
        assert_eq!(operation(&Method::GET, Some("/livez")), "GET /livez");
        assert_eq!(operation(&Method::GET, None), "unmatched");
    }
}
