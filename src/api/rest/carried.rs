//! The layer around every call that can change a device: `Idempotency-Key`, `Prefer: respond-async`, and the end of its
//! operation (conventions H7, H8). It decides nothing; what a key stands for and what goes on is the service's business.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use http_body_util::BodyExt;
use serde::{Deserialize, Serialize};

use super::operations::OperationView;
use super::problem::{ApiError, Problem};
use super::{body, envelope};
use crate::api::edge::{self, Failure};
use crate::api::{App, kept};
use crate::error::{Error, ErrorCode, Outcome};
use crate::service::call::CallContext;
use crate::service::calls::{self, CALLS};
use crate::service::operations::{Admitted, Again, Carried, End, Key, Ticket};

const KEY: &str = "Idempotency-Key";
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
const PREFER: HeaderName = HeaderName::from_static("prefer");
const APPLIED: HeaderName = HeaderName::from_static("preference-applied");
const ASYNC: &str = "respond-async";
/// What an answer tells beside its body, for those who come again. The rest is said anew.
const TOLD: [HeaderName; 5] = [
    header::CONTENT_TYPE,
    header::LOCATION,
    header::CACHE_CONTROL,
    header::VARY,
    header::RETRY_AFTER,
];

/// The calls that can change a device, by method and route.
static MUTATING: LazyLock<HashMap<&'static str, &'static str>> = LazyLock::new(|| {
    let mutating = CALLS.iter().filter(|call| call.mutates);
    mutating.map(|call| (call.rest, call.name)).collect()
});

/// What is kept of an answer beside its body.
#[derive(Serialize, Deserialize)]
struct Head {
    status: u16,
    headers: Vec<(String, String)>,
    /// The body was too large.
    #[serde(default)]
    omitted: bool,
}

/// Runs a call that can change a device; others go by.
pub async fn layer(State(app): State<App>, request: Request, next: Next) -> Response {
    let Some(kind) = kind(&request) else {
        return next.run(request).await;
    };
    let carried = carry(app, kind, request, next).await;
    carried.unwrap_or_else(IntoResponse::into_response)
}

fn kind(request: &Request) -> Option<&'static str> {
    if matches!(*request.method(), Method::GET | Method::HEAD) {
        return None;
    }
    let route = request.extensions().get::<MatchedPath>()?;
    let rest = format!("{} {}", request.method(), route.as_str());
    MUTATING.get(rest.as_str()).copied()
}

/// Where what the request is about can be looked at.
fn looked_at(kind: &str, request: &Request) -> Option<String> {
    let route = request.extensions().get::<MatchedPath>()?;
    let segments = route.as_str().split('/').zip(request.uri().path().split('/'));
    let named = segments.filter(|(name, _)| name.starts_with('{'));
    let arguments: Vec<&str> = named.map(|(_, argument)| argument).collect();
    calls::looked_at(kind, &arguments)
}

async fn carry(app: App, kind: &'static str, request: Request, next: Next) -> Result<Response, ApiError> {
    let context = request.extensions().get::<CallContext>().cloned();
    let mut context =
        context.ok_or_else(|| ApiError::new(ErrorCode::Internal, "the request came past its context"))?;
    let respond_async = prefers_async(request.headers());
    let about = looked_at(kind, &request);
    let path = request.uri().path().to_owned();
    let (mut request, key) = keyed(&app, context.principal.id(), request).await?;
    let ticket = Ticket::new(kind, key, respond_async).about(about);
    context.ticket = ticket.clone();
    let entered = match app.gateway.admit(&context).await? {
        Admitted::Go(entered) => entered,
        Admitted::Again(again) => return Ok(replayed(again)),
    };
    let request_id = context.request_id.clone();
    request.extensions_mut().insert(context);
    let work = {
        let (gateway, ticket) = (app.gateway.clone(), ticket.clone());
        async move {
            let response = next.run(request).await;
            let Some(operation_id) = ticket.operation_id() else {
                return response;
            };
            let response = with_operation(response, &operation_id);
            if respond_async {
                log_failure(&response, kind, &request_id);
            }
            let whole = ticket.key().is_some();
            let (response, end) = ended(response, &request_id, &path, whole).await;
            gateway.end_operation(&ticket, end).await;
            response
        }
    };
    match app.gateway.carry_out(ticket, entered, Box::pin(work)).await? {
        Carried::Answer(response) => Ok(response),
        Carried::Accepted(operation) => {
            let location = format!("/v1/operations/{}", operation.id);
            let mut response = envelope::created(&location, &OperationView::from(*operation));
            *response.status_mut() = StatusCode::ACCEPTED;
            let headers = response.headers_mut();
            headers.insert(APPLIED, HeaderValue::from_static(ASYNC));
            Ok(response)
        }
    }
}

/// The key of a request; its body is read whole to know it again.
async fn keyed(app: &App, principal: &str, request: Request) -> Result<(Request, Option<Key>), ApiError> {
    let (mut parts, read) = request.into_parts();
    let given: Vec<HeaderValue> = parts.headers.get_all(KEY).iter().cloned().collect();
    let value = match given.as_slice() {
        [] => return Ok((Request::from_parts(parts, read), None)),
        [value] => value,
        _ => return Err(ApiError::invalid(KEY, "stands more than once")),
    };
    let bytes = body::whole(&parts.headers, read, app).await?;
    // What is handed on is not packed any more.
    parts.headers.remove(header::CONTENT_ENCODING);
    parts
        .headers
        .insert(header::CONTENT_LENGTH, HeaderValue::from(bytes.len()));
    let query = parts.uri.query().unwrap_or_default();
    let key = Key::new(
        KEY,
        value.as_bytes(),
        principal,
        (parts.method.as_str(), parts.uri.path()),
        &[query.as_bytes(), &bytes],
    )?;
    Ok((Request::from_parts(parts, Body::from(bytes)), Some(key)))
}

/// RFC 7240: a list of preferences, of which one is ours.
fn prefers_async(headers: &HeaderMap) -> bool {
    let values = headers.get_all(PREFER);
    values
        .iter()
        .filter_map(|value| value.to_str().ok())
        .any(|value| {
            value.split(',').any(|preference| {
                let name = preference.split(';').next().unwrap_or_default();
                name.trim().eq_ignore_ascii_case(ASYNC)
            })
        })
}

/// A failure names its operation.
fn with_operation(mut response: Response, operation_id: &str) -> Response {
    let failed = response.extensions().get::<Arc<Error>>();
    if let Some(error) = failed.map(|error| (**error).clone()) {
        let error = error.with_operation_id(operation_id);
        response.extensions_mut().insert(Arc::new(error));
    }
    response
}

/// The answer of a call whose caller does not wait is logged by nobody else.
fn log_failure(response: &Response, kind: &str, request_id: &str) {
    if let Some(error) = response.extensions().get::<Arc<Error>>() {
        edge::log_failure(&Failure {
            request_id,
            operation: kind,
            duration: std::time::Duration::ZERO,
            error,
        });
    }
}

/// How the call ended, and the answer as it goes to the caller. `keep`: for those who come again.
async fn ended(response: Response, request_id: &str, path: &str, keep: bool) -> (Response, End) {
    let failed = response.extensions().get::<Arc<Error>>().cloned();
    if let Some(error) = failed {
        let answer = if keep {
            // As the layer that names the request will write it.
            let copy = Response::builder().status(response.status()).body(Body::empty());
            let written = Problem::new(&error, request_id, path).respond(copy.unwrap_or_default());
            let (parts, body) = written.into_parts();
            let bytes = body
                .collect()
                .await
                .map(|body| body.to_bytes())
                .unwrap_or_default();
            kept_answer(parts.status, &parts.headers, &bytes)
        } else {
            None
        };
        let end = End {
            failure: Some((*error).clone()),
            answer,
            ..End::default()
        };
        return (response, end);
    }
    let (parts, body) = response.into_parts();
    let (begun, body, size) = begin(body).await;
    let mut end = End::default();
    let is_json = parts
        .headers
        .get(header::CONTENT_TYPE)
        .is_some_and(|media| media.as_bytes().starts_with(b"application/json"));
    match size {
        Size::Whole if is_json => end.response = Some(begun.to_vec()),
        // A document of another kind is told as a string.
        Size::Whole if !begun.is_empty() => {
            end.response = serde_json::to_vec(&String::from_utf8_lossy(&begun)).ok();
        }
        Size::Whole => {}
        Size::More => end.omitted_bytes = Some(begun.len() as u64),
    }
    if keep {
        end.answer = match size {
            Size::Whole => kept_answer(parts.status, &parts.headers, &begun),
            Size::More => None,
        }
        .or_else(|| omitted(parts.status));
    }
    (Response::from_parts(parts, body), end)
}

enum Size {
    Whole,
    /// It goes on.
    More,
}

/// The first mebibyte of a body, and all of it again.
async fn begin(mut body: Body) -> (Bytes, Body, Size) {
    let mut begun = BytesMut::new();
    while begun.len() <= kept::MOST_BYTES {
        match body.frame().await {
            None => {
                let begun = begun.freeze();
                return (begun.clone(), Body::from(begun), Size::Whole);
            }
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data() {
                    begun.extend_from_slice(&data);
                }
            }
            // The caller sees the same end.
            Some(Err(error)) => {
                let begun = begun.freeze();
                let pieces = [Ok(begun.clone()), Err(error)];
                let body = Body::from_stream(futures_util::stream::iter(pieces));
                return (begun, body, Size::More);
            }
        }
    }
    let begun = begun.freeze();
    let first = futures_util::stream::iter([Ok(begun.clone())]);
    let rest = body.into_data_stream();
    let whole = Body::from_stream(futures_util::StreamExt::chain(first, rest));
    (begun, whole, Size::More)
}

fn kept_answer(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Option<Vec<u8>> {
    let told = headers.iter().filter(|(name, _)| TOLD.contains(name));
    let head = Head {
        status: status.as_u16(),
        headers: told
            .filter_map(|(name, value)| Some((name.to_string(), value.to_str().ok()?.to_owned())))
            .collect(),
        omitted: false,
    };
    kept::join(&head, body)
}

fn omitted(status: StatusCode) -> Option<Vec<u8>> {
    let head = Head {
        status: status.as_u16(),
        headers: Vec::new(),
        omitted: true,
    };
    kept::join(&head, &[])
}

/// The answer to a call that was made before.
fn replayed(again: Again) -> Response {
    let mut response = match again {
        Again::Answer { answer, operation_id } => rebuilt(&answer, &operation_id),
        Again::Change(change) => {
            let location = format!("/v1/devices/{}/changes/{}", change.device, change.id);
            envelope::created(&location, &change)
        }
        Again::EditSession(session) => envelope::json(&session),
        Again::ConfirmedCommit(commit) => envelope::json(&commit),
        Again::Cancelled(change) => envelope::json(&change),
        Again::Failed(error) => ApiError::from(error).into_response(),
    };
    response
        .headers_mut()
        .insert(REPLAYED, HeaderValue::from_static("true"));
    response
}

fn rebuilt(answer: &[u8], operation_id: &str) -> Response {
    let Some((head, body)) = kept::split::<Head>(answer) else {
        let error = Error::new(ErrorCode::Internal, "the kept answer is damaged")
            .with_outcome(Outcome::Unknown)
            .with_operation_id(operation_id);
        return ApiError::from(error).into_response();
    };
    if head.omitted {
        return ApiError::from(kept::omitted(operation_id)).into_response();
    }
    let mut response = Response::new(Body::from(body.to_vec()));
    *response.status_mut() = StatusCode::from_u16(head.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in head.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().append(name, value);
        }
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    /// H7, RFC 7240.
    #[test]
    fn preferences_are_a_list() {
        let headers = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(PREFER, HeaderValue::from_static(value));
            headers
        };
        for asked in ["respond-async", "wait=5, Respond-Async; x=y", " respond-async "] {
            assert!(prefers_async(&headers(asked)), "{asked}");
        }
        for other in ["", "wait=5", "respond-asynchronously"] {
            assert!(!prefers_async(&headers(other)), "{other}");
        }
    }

    /// H8: an answer is kept as it was, whatever its size.
    #[tokio::test]
    async fn a_long_answer_goes_on_and_is_not_kept() {
        let long = Bytes::from(vec![b'x'; kept::MOST_BYTES + 10]);
        let (response, end) = ended(Response::new(Body::from(long.clone())), "r", "/", true).await;
        let body = response.into_body().collect().await.expect("a body").to_bytes();
        assert_eq!(body, long);
        assert!(end.omitted_bytes.is_some() && end.response.is_none());
        let again = rebuilt(&end.answer.expect("a head"), "o1");
        assert_eq!(again.status(), StatusCode::BAD_REQUEST);
    }
}
