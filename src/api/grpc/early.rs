//! Calls that end before their method is reached. The library answers them with statuses of its own, which say nothing
//! but a sentence; callers get those of our table, with their details (M4).

use http::{HeaderMap, HeaderValue, Response};
use tonic::{Code, Status};

use super::{context, plain_status};
use crate::api::App;
use crate::api::edge::REQUEST_ID;
use crate::error::{Error, ErrorCode, Outcome};

type Body = axum::body::Body;

/// Says which packings are understood; the library sets it beside its refusal of another one.
const ACCEPTED: &str = "grpc-accept-encoding";

/// Marks the answer to a call whose method panicked.
#[derive(Debug, Clone, Copy)]
pub struct Panicked;

/// The answer as it is if a method made it, else one that says why there was none. `request_id`: the header of the
/// request.
pub fn told(app: &App, request_id: Option<HeaderValue>, response: Response<Body>) -> Response<Body> {
    let Some(error) = error(&response, app.settings.max_body_bytes) else {
        return response;
    };
    let mut headers = HeaderMap::new();
    if let Some(request_id) = request_id {
        headers.insert(REQUEST_ID, request_id);
    }
    let mut told = plain_status(&context::refused(app, &headers, &error));
    if let Some(accepted) = response.headers().get(ACCEPTED) {
        told.headers_mut().insert(ACCEPTED, accepted.clone());
    }
    told
}

/// What went wrong, if no method has told. `most`: the bytes that a message may have.
fn error(response: &Response<Body>, most: usize) -> Option<Error> {
    if response.extensions().get::<Panicked>().is_some() {
        let words = "the gateway made a mistake; its log names it under this request_id";
        // Nobody knows how far the method had come.
        return Some(Error::new(ErrorCode::Internal, words).with_outcome(Outcome::Unknown));
    }
    let status = Status::from_header_map(response.headers())?;
    if !status.details().is_empty() {
        return None;
    }
    match status.code() {
        // Of our own, only panics are INTERNAL without details.
        Code::Internal => {
            let words = format!("the message cannot be decoded: {}", status.message());
            Some(
                Error::new(ErrorCode::InvalidArgument, words)
                    .with_field(field(status.message()), "is malformed"),
            )
        }
        Code::OutOfRange | Code::ResourceExhausted => {
            let words = format!("a message may have {most} bytes, unpacked");
            // It is the message as a whole that is too large.
            Some(Error::new(ErrorCode::PayloadTooLarge, words.clone()).with_field("", words))
        }
        Code::Unimplemented if response.headers().contains_key(ACCEPTED) => Some(Error::new(
            ErrorCode::MethodNotAllowed,
            "the message is packed in a way that is not understood",
        )),
        Code::Unimplemented => Some(unknown_method()),
        _ => None,
    }
}

/// There is nothing of this name.
pub fn unknown_method() -> Error {
    Error::new(ErrorCode::MethodNotAllowed, "there is no such method")
        .with_hint("the reflection service lists the methods")
}

/// The field that a decoder stopped at, if it says, from within: `…: Rpc.body: CallRpcRequest.rpc: invalid wire type`.
fn field(words: &str) -> String {
    let fields = words.split(": ").filter_map(|part| {
        let (message, field) = part.split_once('.')?;
        let is_name = |text: &str| {
            text.bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        };
        (is_name(message) && is_name(field) && !field.is_empty()).then_some(field)
    });
    let mut fields: Vec<&str> = fields.collect();
    fields.reverse();
    fields.join(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(status: &Status) -> Response<Body> {
        plain_status(status)
    }

    fn code(response: &Response<Body>) -> Option<ErrorCode> {
        error(response, 4).map(|error| error.code())
    }

    /// M4: what the library says by itself is a row of our table; what has details, and what is no failure, stays.
    #[test]
    fn statuses_of_the_library_have_codes() {
        let plain = |code: Code| answered(&Status::new(code, "x"));
        assert_eq!(code(&plain(Code::Internal)), Some(ErrorCode::InvalidArgument));
        assert_eq!(code(&plain(Code::OutOfRange)), Some(ErrorCode::PayloadTooLarge));
        assert_eq!(
            code(&plain(Code::ResourceExhausted)),
            Some(ErrorCode::PayloadTooLarge)
        );
        assert_eq!(
            code(&plain(Code::Unimplemented)),
            Some(ErrorCode::MethodNotAllowed)
        );
        assert_eq!(code(&plain(Code::NotFound)), None);
        assert_eq!(code(&Response::new(Body::empty())), None);
        let ours = Error::new(ErrorCode::Internal, "x");
        assert_eq!(code(&answered(&super::super::status_of(&ours, "r"))), None);
        let mut panicked = plain(Code::Internal);
        panicked.extensions_mut().insert(Panicked);
        let error = error(&panicked, 4).expect("a fault");
        assert_eq!(
            (error.code(), error.outcome()),
            (ErrorCode::Internal, Outcome::Unknown)
        );
    }

    /// M4: the place is told where the decoder tells it.
    #[test]
    fn the_field_is_that_of_the_decoder() {
        let words =
            "failed to decode Protobuf message: Rpc.body: CallRpcRequest.rpc: invalid wire type: Varint";
        assert_eq!(field(words), "rpc.body");
        assert_eq!(field("Unexpected EOF decoding stream."), "");
        assert_eq!(field(""), "");
    }
}
