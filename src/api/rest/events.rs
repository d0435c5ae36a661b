//! Events: a page of them, or as they come, as server-sent events (conventions H11; WHATWG HTML section 9.2).

use std::io;

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use futures_util::StreamExt;
use http::{HeaderMap, HeaderValue, header};
use serde_json::json;

use super::context::Context;
use super::envelope;
use super::negotiate;
use super::openapi::Problems;
use super::problem::ApiError;
use super::query::Query;
use crate::api::server::Connection;
use crate::api::{App, follow};
use crate::error::ErrorCode;
use crate::service::events::{EventList, FollowEvents, ListEvents, Told};

const JSON: &str = "application/json";
const STREAM: &str = "text/event-stream";
const LAST_EVENT_ID: &str = "last-event-id";
/// How long a browser waits before it comes again, in milliseconds.
const RETRY_MS: u32 = 2000;

/// Follow events, or list them.
///
/// As `text/event-stream`, unless the caller prefers `application/json`: then a page of the events that are kept, the
/// newest first. A stream begins with what came after `Last-Event-ID`, or now; its `event:` is the type, its `data:` the
/// event as JSON. If what came after that is not kept any more, an event `reset` comes first: look at everything anew. A
/// comment comes every 15 seconds while nothing happens. A caller for whom more than 1000 events wait is disconnected, and
/// goes on with `Last-Event-ID`.
#[utoipa::path(get, path = "/v1/events", operation_id = "listEvents", tag = "events",
    params(("device" = Option<String>, Query, description = "Only those of this device", example = "mx1"),
        ("type" = Option<String>, Query, description = "Only those of this type, or of the types that begin with these \
            words: `change` is all of `change.…`", example = "change"),
        ("last_event_id" = Option<String>, Query, description = "As the header, which counts more; streams only"),
        ("Last-Event-ID" = Option<String>, Header, description = "What was seen last; streams only"),
        ("page_size" = Option<u32>, Query, description = "At most this many; pages only", maximum = 1000),
        ("page_token" = Option<String>, Query, description = "Where the last page ended; pages only")),
    responses((status = 200, description = "A page, the newest first, or events as they come",
        content((EventList = "application/json"), (String = "text/event-stream"))), Problems))]
pub async fn list(
    State(app): State<App>,
    Context(context): Context,
    connection: Option<Extension<Connection>>,
    mut query: Query,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let streams = negotiate::prefers(&headers, STREAM, JSON)?;
    let (device, kind) = (query.value("device")?, query.value("type")?);
    if !streams {
        let request = ListEvents {
            device,
            kind,
            page_size: query.number("page_size")?.unwrap_or(0),
            page_token: query.value("page_token")?,
        };
        query.finish()?;
        return Ok(envelope::json(&app.gateway.list_events(&context, request).await?));
    }
    let first = query.value("last_event_id")?;
    query.finish()?;
    let request = FollowEvents {
        device,
        kind,
        last_event_id: last_event_id(&headers).or(first),
    };
    let following = app.gateway.follow_events(&context, request).await?;
    let head = head(&following.position());
    let cut = connection.map(|Extension(connection)| connection.cut);
    let blocks = follow::start(&app, following, head, block, cut);
    // Nothing follows a problem that comes in the middle; what a caller can do about the end is to come again.
    let body = blocks.filter_map(async |block| match block {
        Ok(block) => Some(Ok(block)),
        Err(error) if error.code() == ErrorCode::Draining => None,
        Err(error) => Some(Err(io::Error::other(error))),
    });
    let mut response = Response::new(Body::from_stream(body));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(STREAM));
    envelope::no_store(headers);
    // Proxies that gather answers before they pass them on are asked not to.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
}

fn last_event_id(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(LAST_EVENT_ID)?;
    // One that is no text is none of ours: it is gone.
    let text = value.to_str().unwrap_or("?").trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// What comes before the first event, at once: the caller learns where it stands.
fn head(id: &str) -> Bytes {
    Bytes::from(format!(": events of ncgate\nretry: {RETRY_MS}\nid: {id}\n\n"))
}

/// Data is JSON without line breaks, so one line holds it.
fn block(told: Told) -> Bytes {
    let text = match told {
        Told::Event(event) => {
            let data = serde_json::to_string(&event).unwrap_or_default();
            format!("id: {}\nevent: {}\ndata: {data}\n\n", event.id, event.kind)
        }
        Told::Reset { id } => {
            let data = json!({"id": &id, "type": "reset"});
            format!("id: {id}\nevent: reset\ndata: {data}\n\n")
        }
        // A block without data is no event, but its id counts: who follows few of the events does not fall behind.
        Told::Heartbeat { id } => format!(": heartbeat\nid: {id}\n\n"),
    };
    Bytes::from(text)
}
