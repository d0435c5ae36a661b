//! A device's reply on its way to a caller: what the envelope says, and the data as a machine to pull from.

use std::io;

use super::failure::{self, Asked};
use super::output::Output;
use super::request::Format;
use super::view::Plan;
use crate::error::{Error, ErrorCode, Outcome};
use crate::json::{self, Converter};
use crate::netconf::reply::{TextReader, Totals};
use crate::netconf::rpc_error::RpcError;
use crate::session::RawReply;
use crate::xml::{Limits, Source};

/// What a call that may have been planned only gives.
#[derive(Debug)]
pub enum RpcAnswer {
    Reply(Reply),
    Plan(Plan),
}

/// A reply that holds no error, or whose errors the caller wants beside its data.
#[derive(Debug)]
pub struct Reply {
    pub device: String,
    pub session_id: u64,
    pub message_id: String,
    /// What the device returned on `<rpc-reply>` beside the message-id (S8).
    pub attributes: Vec<(String, String)>,
    /// What `<cli><banner>` said.
    pub banner: Option<String>,
    /// Prefixes that names in the data may carry, and their namespaces.
    pub namespaces: Vec<(String, String)>,
    pub warnings: Vec<RpcError>,
    /// Only with `partial=keep`; then `complete` is false.
    pub errors: Vec<RpcError>,
    /// How many warnings and errors the reply had, if not all of them are here and whole (S18).
    pub totals_if_cut: Option<Totals>,
    pub complete: bool,
    /// Characters that XML cannot hold were replaced by U+FFFD.
    pub lossy: bool,
    /// How the JSON came about, where the data is JSON.
    pub mapping: Option<String>,
    /// For a call that may change the device.
    pub outcome: Option<Outcome>,
    pub data: ReplyData,
}

/// What [`ReplyData::fill`] gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DataKind {
    /// A JSON value.
    Json,
    /// Plain text, UTF-8.
    Text,
    /// The whole `<rpc-reply>`.
    Xml,
}

/// The data of a reply: pulled slice by slice at the caller's speed, never whole in memory.
#[derive(Debug)]
pub struct ReplyData {
    bytes: u64,
    inner: Data,
    /// Keeps the stored reply, and the account of its disk space, as long as it is read.
    _reply: crate::session::spool::Stored,
}

#[derive(Debug)]
enum Data {
    Json(Box<Converter>),
    Text(Box<TextReader>),
    NoText,
    Xml { source: Source, at: u64 },
}

/// Bytes of XML given at a time.
const SLICE: usize = 256 << 10;

impl ReplyData {
    pub fn kind(&self) -> DataKind {
        match self.inner {
            Data::Json(_) => DataKind::Json,
            Data::Text(_) | Data::NoText => DataKind::Text,
            Data::Xml { .. } => DataKind::Xml,
        }
    }

    /// Length of the stored reply in bytes: what a caller gets is of the same order.
    pub fn stored_bytes(&self) -> u64 {
        self.bytes
    }

    /// Appends the next slice, at most some 256 KiB; false: that was all. Computes, and may read from disk, so it
    /// belongs beside the threads that serve everybody unless the reply is small.
    ///
    /// # Errors
    /// When the stored reply cannot be read back, or has a text or an index that is too large.
    pub fn fill(&mut self, out: &mut Vec<u8>) -> io::Result<bool> {
        match &mut self.inner {
            Data::Json(converter) => converter.fill(out).map_err(io::Error::other),
            Data::Text(reader) => reader.fill(out).map_err(io::Error::other),
            Data::NoText => Ok(false),
            Data::Xml { source, at } => {
                let start = out.len();
                out.resize(start + SLICE, 0);
                let read = source.read_at(*at, &mut out[start..])?;
                out.truncate(start + read);
                *at += read as u64;
                Ok(*at < source.len() && read > 0)
            }
        }
    }
}

impl Reply {
    /// Judges a reply (M1) and prepares its data. `mutates`: the RPC could change the device.
    ///
    /// # Errors
    /// The device's rpc-errors, unless there is data beside them and the caller wants to keep it.
    pub(super) fn new(
        device: &str,
        raw: RawReply,
        output: &Output,
        asked: Asked,
        mutates: bool,
    ) -> Result<Self, Error> {
        let RawReply {
            message_id,
            session_id,
            source,
            scan,
            index,
            lossy,
            bytes,
            stored,
            ..
        } = raw;
        if scan.more_errors > 0 || scan.more_warnings > 0 {
            let (more_errors, more_warnings) = (scan.more_errors, scan.more_warnings);
            tracing::warn!(
                device,
                session_id,
                message_id,
                more_errors,
                more_warnings,
                "a reply has more errors than are kept"
            );
        }
        if !scan.warnings.is_empty() {
            // S19: warnings are logged, as well as returned; their texts may quote configuration.
            let count = scan.warnings.len();
            tracing::info!(device, session_id, message_id, count, "the device warns");
        }
        let keep = scan.is_partial() && output.keep_partial;
        if scan.is_error() && !keep {
            return Err(failure::refused(device, session_id, scan.into_errors(), asked)
                .with_message(Some(session_id), Some(message_id)));
        }
        let inner = match (output.format, scan.sole_text()) {
            _ if output.whole_reply => Data::Xml { source, at: 0 },
            (Format::Xml, _) => Data::Xml { source, at: 0 },
            (Format::Text | Format::Set | Format::DeviceJson, Some(text)) => {
                Data::Text(Box::new(TextReader::new(source, text, Limits::default())))
            }
            (Format::Text | Format::Set | Format::DeviceJson, None) if !scan.has_payload => Data::NoText,
            // Text of several members, or with something beside it, is an object that says what is what.
            (Format::Json, _) | (Format::Text | Format::Set | Format::DeviceJson, None) => {
                let index = match index {
                    Some(index) => index,
                    None => json::index(&source, json::Selection::ReplyPayload),
                };
                let index = index.map_err(|error| {
                    Error::new(
                        ErrorCode::ReplyTooLarge,
                        format!("the reply cannot become JSON: {error}"),
                    )
                    .with_device(device)
                    .with_outcome(if mutates {
                        Outcome::Applied
                    } else {
                        Outcome::NotApplied
                    })
                    .with_message(Some(session_id), Some(message_id.clone()))
                    .with_hint("ask for format=xml, or for a part of it")
                })?;
                Data::Json(Box::new(Converter::new(source, index, output.json.clone())))
            }
        };
        let totals_if_cut = scan.totals_if_cut();
        let mapping = matches!(inner, Data::Json(_)).then(|| output.json.label());
        Ok(Self {
            device: device.to_owned(),
            session_id,
            message_id,
            attributes: scan.attributes,
            banner: scan.banner,
            namespaces: scan.namespaces,
            warnings: scan.warnings,
            complete: scan.errors.is_empty(),
            outcome: mutates.then_some(if scan.errors.is_empty() {
                Outcome::Applied
            } else {
                Outcome::Unknown
            }),
            errors: scan.errors,
            totals_if_cut,
            lossy,
            mapping,
            data: ReplyData {
                bytes,
                inner,
                _reply: stored,
            },
        })
    }
}

/// A stored reply that cannot be read back, or is not what the operation replies.
pub(super) fn unreadable(device: &str, session_id: u64, message_id: &str, detail: &str) -> Error {
    Error::new(
        ErrorCode::DeviceProtocolError,
        format!("the reply cannot be read: {detail}"),
    )
    .with_device(device)
    .with_outcome(Outcome::NotApplied)
    .with_message(Some(session_id), Some(message_id.to_owned()))
}
