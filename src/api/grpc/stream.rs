//! Replies as messages: whole up to a bound, or in chunks at the caller's speed.

use std::io;
use std::pin::Pin;

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use prost::Message;
use tonic::Status;

use super::{CHUNK_BYTES, MAX_UNARY_BYTES, convert, fields, proto, status};
use crate::api::App;
use crate::api::envelope::{self, Frame};
use crate::api::pace::{self, Pump, Source};
use crate::error::{Error, ErrorCode, Outcome};
use crate::service::call::CallContext;
use crate::service::reply::{DataKind, Reply, ReplyData};

/// Messages of a streamed answer.
pub type Messages<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// A message of a streamed answer: the start, or a chunk.
pub trait Part: Send + 'static {
    fn start(start: proto::ReplyStart) -> Self;
    fn chunk(chunk: Bytes) -> Self;
}

/// All streamed answers have the same two parts.
macro_rules! parts {
    ($($message:ident in $module:ident;)*) => {$(
        impl Part for proto::$message {
            fn start(start: proto::ReplyStart) -> Self {
                Self { part: Some(proto::$module::Part::Start(start)) }
            }

            fn chunk(chunk: Bytes) -> Self {
                Self { part: Some(proto::$module::Part::Chunk(chunk)) }
            }
        }
    )*};
}

parts! {
    StreamGetSchemaResponse in stream_get_schema_response;
    StreamCallRpcResponse in stream_call_rpc_response;
    StreamCallNamedRpcResponse in stream_call_named_rpc_response;
    StreamReadNamedRpcResponse in stream_read_named_rpc_response;
    StreamRunCliResponse in stream_run_cli_response;
    StreamGetConfigResponse in stream_get_config_response;
    StreamCompareConfigResponse in stream_compare_config_response;
    StreamCallEditSessionRpcResponse in stream_call_edit_session_rpc_response;
    StreamGetEditSessionConfigResponse in stream_get_edit_session_config_response;
}

/// Data of a reply as it is; a message says what it is.
struct Plain(ReplyData);

impl Source for Plain {
    fn fill(&mut self, out: &mut Vec<u8>) -> io::Result<bool> {
        self.0.fill(out)
    }

    fn bytes(&self) -> u64 {
        self.0.stored_bytes()
    }
}

/// A reply in one message.
///
/// # Errors
/// `response-too-large` beyond what one message may have.
pub async fn whole(reply: Reply, request_id: &str) -> Result<proto::Reply, Error> {
    let header = header(&reply, request_id);
    let kind = reply.data.kind();
    let outcome = reply.outcome.unwrap_or(Outcome::NotApplied);
    let (mut source, mut data, mut more) = (Plain(reply.data), Vec::new(), true);
    while more {
        (source, data, more) = pace::fill(source, data)
            .await
            .map_err(|error| unreadable(&error))?;
        if data.len() > MAX_UNARY_BYTES {
            let detail = format!("the data has more than {MAX_UNARY_BYTES} bytes");
            return Err(too_large(detail, header.device)
                .with_outcome(outcome)
                .with_message(Some(header.session_id), Some(header.message_id)));
        }
    }
    let text = String::from_utf8(data).map_err(|error| unreadable(&io::Error::other(error)))?;
    let content = match kind {
        DataKind::Json => proto::payload::Content::Json(text),
        DataKind::Xml => proto::payload::Content::Xml(text),
        DataKind::Text => proto::payload::Content::Text(text),
    };
    Ok(proto::Reply {
        header: Some(header),
        data: Some(proto::Payload {
            content: Some(content),
        }),
    })
}

/// The same for a call that can change a device: its operation is told what REST would answer.
///
/// # Errors
/// As [`whole`].
pub async fn answered(reply: Reply, ctx: &CallContext) -> Result<proto::Reply, Error> {
    let followed = ctx.ticket.operation_id().is_some();
    let frame = followed.then(|| Frame::new(&reply, &ctx.request_id));
    let kind = reply.data.kind();
    let message = whole(reply, &ctx.request_id).await?;
    if let Some(frame) = frame {
        use proto::payload::Content;
        let content = message.data.as_ref().and_then(|data| data.content.as_ref());
        if let Some(Content::Json(text) | Content::Xml(text) | Content::Text(text)) = content {
            ctx.ticket.note_response(envelope::whole(&frame, kind, text));
        }
    }
    Ok(message)
}

/// All results of a batch in one message.
///
/// # Errors
/// `response-too-large` if they have more bytes together than one message may have.
pub async fn whole_batch(
    results: Vec<Result<Reply, Error>>,
    request_id: &str,
) -> Result<proto::BatchRpcsResponse, Error> {
    use proto::batch_result::Result as Outcome;
    let mut answer = proto::BatchRpcsResponse::default();
    let mut bytes = 0;
    for result in results {
        let result = match result {
            Ok(reply) => {
                let device = reply.device.clone();
                let reply = whole(reply, request_id).await?;
                bytes += reply.encoded_len();
                if bytes > MAX_UNARY_BYTES {
                    let detail = format!("the results have more than {MAX_UNARY_BYTES} bytes together");
                    return Err(too_large(detail, device));
                }
                Outcome::Reply(reply)
            }
            Err(error) => Outcome::Problem(problem(&error)),
        };
        answer.results.push(proto::BatchResult { result: Some(result) });
    }
    Ok(answer)
}

fn too_large(detail: String, device: String) -> Error {
    Error::new(ErrorCode::ResponseTooLarge, detail)
        .with_device(device)
        .with_outcome(Outcome::NotApplied)
        .with_hint("call the streaming twin of this method, or ask for less")
}

/// A reply in chunks.
pub fn chunks<T: Part>(app: &App, reply: Reply, request_id: &str) -> Messages<T> {
    let start = T::start(start(&reply, request_id));
    let request_id = request_id.to_owned();
    let data = pump(app, reply.data).map(move |piece| match piece {
        Ok(chunk) => Ok(T::chunk(chunk)),
        Err(error) => Err(status::of(&unreadable(&error), &request_id)),
    });
    Box::pin(stream::iter([Ok(start)]).chain(data))
}

/// The results of a batch, one after the other, each in chunks.
pub fn batch(
    app: &App,
    results: Vec<Result<Reply, Error>>,
    request_id: &str,
) -> Messages<proto::StreamBatchRpcsResponse> {
    use proto::stream_batch_rpcs_response::Part;
    let (app, request_id) = (app.clone(), request_id.to_owned());
    let numbered = results.into_iter().zip(0_u32..);
    Box::pin(stream::iter(numbered).flat_map(move |(result, index)| {
        let message = move |part| proto::StreamBatchRpcsResponse {
            index,
            part: Some(part),
        };
        let messages: Messages<_> = match result {
            Err(error) => Box::pin(stream::iter([Ok(message(Part::Problem(problem(&error))))])),
            Ok(reply) => {
                let start = Ok(message(Part::Start(start(&reply, &request_id))));
                let request_id = request_id.clone();
                let data = pump(&app, reply.data).map(move |piece| match piece {
                    Ok(chunk) => Ok(message(Part::Chunk(chunk))),
                    Err(error) => Err(status::of(&unreadable(&error), &request_id)),
                });
                Box::pin(stream::iter([start]).chain(data))
            }
        };
        messages
    }))
}

/// A failure inside a batch.
pub fn problem(error: &Error) -> proto::Problem {
    proto::Problem {
        status: i32::from(crate::api::status::of(error).grpc),
        code: error.code().as_str().to_owned(),
        title: error.code().title().to_owned(),
        detail: error.headline(fields::words).into_owned(),
        origin: error.origin().as_str().to_owned(),
        retryable: error.retryable(),
        outcome: error.outcome().as_str().to_owned(),
        reason: error.reason().map(str::to_owned),
        hint: error.hint().map(str::to_owned),
        rpc_errors: error.rpc_errors().iter().map(convert::rpc_error).collect(),
    }
}

/// HTTP/2 has flow control per call, so a slow caller is not cut off from its other calls: only this one ends.
fn pump(app: &App, data: ReplyData) -> pace::Pieces {
    let pump = Pump {
        pace: app.settings.pace,
        piece: CHUNK_BYTES,
        cut: None,
    };
    pump.start(Vec::new(), Plain(data), &app.tasks)
}

fn start(reply: &Reply, request_id: &str) -> proto::ReplyStart {
    let kind = match reply.data.kind() {
        DataKind::Json => proto::PayloadKind::Json,
        DataKind::Xml => proto::PayloadKind::Xml,
        DataKind::Text => proto::PayloadKind::Text,
    };
    proto::ReplyStart {
        header: Some(header(reply, request_id)),
        kind: kind.into(),
    }
}

fn header(reply: &Reply, request_id: &str) -> proto::ReplyHeader {
    let attribute = |(name, value): &(String, String)| proto::Attribute {
        name: name.clone(),
        value: value.clone(),
    };
    proto::ReplyHeader {
        device: reply.device.clone(),
        session_id: reply.session_id,
        message_id: reply.message_id.clone(),
        attributes: reply.attributes.iter().map(attribute).collect(),
        banner: reply.banner.clone(),
        warnings: reply.warnings.iter().map(convert::rpc_error).collect(),
        errors: reply.errors.iter().map(convert::rpc_error).collect(),
        errors_truncated: reply.totals_if_cut.map(|_| true),
        errors_total: reply.totals_if_cut.map(|totals| totals.errors),
        warnings_total: reply.totals_if_cut.map(|totals| totals.warnings),
        complete: reply.complete,
        lossy: reply.lossy,
        mapping: reply.mapping.clone(),
        namespaces: convert::namespaces(&reply.namespaces),
        request_id: request_id.to_owned(),
        outcome: reply.outcome.map(|outcome| outcome.as_str().to_owned()),
    }
}

fn unreadable(error: &io::Error) -> Error {
    Error::new(
        ErrorCode::Internal,
        format!("the reply cannot be read back: {error}"),
    )
    .with_outcome(Outcome::NotApplied)
}
