//! The answer to everything that a device replied to: one envelope (design section 4) around data that is converted
//! while it is sent. The status is right, because the reply was read whole before.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::Serialize;

use super::negotiate::Answer;
use super::problem::ApiError;
use crate::api::App;
pub use crate::api::envelope::{Envelope, Frame};
use crate::api::pace::{self, Chain, Pump};
use crate::api::server::Connection;
use crate::error::ErrorCode;
use crate::service::call::CallContext;
use crate::service::reply::{DataKind, Reply, ReplyData};

/// Bytes handed to the connection at a time.
const PIECE_BYTES: usize = 16 * 1024;
/// Data of a reply as the piece of JSON or XML that it is in the answer.
pub struct Encoded {
    data: ReplyData,
    /// Text becomes a JSON string.
    quote: bool,
    begun: bool,
    slice: Vec<u8>,
}

impl Encoded {
    pub fn new(data: ReplyData, answer: Answer) -> Self {
        let quote = match (answer, data.kind()) {
            (Answer::Xml, _) | (Answer::Json, DataKind::Json) => false,
            (Answer::Json, DataKind::Text | DataKind::Xml) => true,
        };
        Self {
            data,
            quote,
            begun: false,
            slice: Vec::new(),
        }
    }
}

impl pace::Source for Encoded {
    fn bytes(&self) -> u64 {
        self.data.stored_bytes()
    }

    fn fill(&mut self, out: &mut Vec<u8>) -> std::io::Result<bool> {
        if !self.quote {
            return self.data.fill(out);
        }
        if !self.begun {
            self.begun = true;
            out.push(b'"');
        }
        self.slice.clear();
        let more = self.data.fill(&mut self.slice)?;
        escape(&self.slice, out);
        if !more {
            out.push(b'"');
        }
        Ok(more)
    }
}

/// RFC 8259 section 7. Works on pieces of UTF-8 cut anywhere, because only ASCII is ever replaced.
fn escape(text: &[u8], out: &mut Vec<u8>) {
    let mut plain = 0;
    for (at, &byte) in text.iter().enumerate() {
        if byte >= 0x20 && byte != b'"' && byte != b'\\' {
            continue;
        }
        out.extend_from_slice(&text[plain..at]);
        plain = at + 1;
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            other => out.extend_from_slice(format!("\\u{other:04x}").as_bytes()),
        }
    }
    out.extend_from_slice(&text[plain..]);
}

/// Puts a reply inside its envelope, or as it is for XML.
pub fn chain(chain: &mut Chain<Encoded>, reply: Reply, answer: Answer, request_id: &str) {
    match answer {
        Answer::Xml => chain.data(Encoded::new(reply.data, answer)),
        Answer::Json => {
            let Frame { head, tail } = Frame::new(&reply, request_id);
            chain.text(head);
            chain.data(Encoded::new(reply.data, answer));
            chain.text(tail);
        }
    }
}

/// Answers with a reply.
///
/// # Errors
/// As [`stream`].
pub async fn respond(
    app: &App,
    context: &CallContext,
    connection: Option<&Connection>,
    answer: Answer,
    reply: Reply,
) -> Result<Response, ApiError> {
    let mut whole = Chain::default();
    chain(&mut whole, reply, answer, &context.request_id);
    stream(app, connection, answer, whole).await
}

/// Answers with data. What fits into one slice leaves in one piece with its length; more is converted while it is sent,
/// and a caller that takes next to nothing is cut (Q8).
///
/// # Errors
/// `internal` if the first slice of the data cannot be read back.
pub async fn stream(
    app: &App,
    connection: Option<&Connection>,
    answer: Answer,
    source: Chain<Encoded>,
) -> Result<Response, ApiError> {
    let (source, first, more) = pace::fill(source, Vec::new()).await.map_err(|error| {
        ApiError::new(
            ErrorCode::Internal,
            format!("the reply cannot be read back: {error}"),
        )
    })?;
    let body = if more {
        let pump = Pump {
            pace: app.settings.pace,
            piece: PIECE_BYTES,
            cut: connection.map(|connection| connection.cut.clone()),
        };
        Body::from_stream(pump.start(first, source, &app.tasks))
    } else {
        Body::from(first)
    };
    let content_type = match answer {
        Answer::Json => "application/json",
        Answer::Xml => "application/xml",
    };
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    no_store(headers);
    Ok(response)
}

/// Data of devices is kept by nobody on the way (H14), and depends on what the caller accepts.
pub fn no_store(headers: &mut HeaderMap) {
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.append(header::VARY, HeaderValue::from_static("accept"));
}

/// An answer in plain JSON about a device.
pub fn json<T: Serialize>(value: &T) -> Response {
    let mut response = axum::Json(value).into_response();
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Something was created: 201 with its place.
pub fn created<T: Serialize>(location: &str, value: &T) -> Response {
    let mut response = json(value);
    *response.status_mut() = StatusCode::CREATED;
    if let Ok(location) = HeaderValue::from_str(location) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Text of a device becomes a JSON string whatever the pieces are.
    #[test]
    fn escaping_is_the_same_for_any_cut() {
        let text = "a\"b\\c\nd\te\r\u{1}\u{1f}\u{7f}ü€😀".as_bytes();
        for cut in 0..=text.len() {
            let mut out = b"\"".to_vec();
            escape(&text[..cut], &mut out);
            escape(&text[cut..], &mut out);
            out.push(b'"');
            let read: String = serde_json::from_slice(&out).expect("a JSON string");
            assert_eq!(read.as_bytes(), text, "cut at {cut}");
        }
    }
}
