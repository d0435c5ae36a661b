//! What stands around the data of every result of a device (design section 4).

use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::service::edit::view::RpcErrorView;
use crate::service::reply::{DataKind, Reply};

/// What stands in the envelope where the data goes.
const HOLE: &[u8] = b"\"data\":null";
const NULL: &[u8] = b"null";

/// What every result of a device looks like.
#[derive(Debug, Serialize, ToSchema)]
pub struct Envelope {
    pub device: String,
    /// The NETCONF session that carried the call.
    pub session_id: u64,
    pub message_id: String,
    /// The attributes of `<rpc-reply>`, message-id and namespaces apart: those of the request come back.
    #[schema(value_type = std::collections::BTreeMap<String, String>)]
    pub attributes: Map<String, Value>,
    /// What the device's CLI says beside the data, for example `{master}`.
    pub banner: Option<String>,
    /// The payload elements side by side; a string for text, XML and the device's own JSON.
    pub data: Value,
    /// Warnings do not fail a call. The first 1000 of the reply.
    pub warnings: Vec<RpcErrorView>,
    /// Only with `partial=keep`: why the data is not complete. The first 1000 of the reply.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<RpcErrorView>,
    /// Only where warnings or errors of the reply were left out, or a text beyond 64 KiB was cut: that it was so,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub errors_truncated: Option<bool>,
    /// how many errors the reply had,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub errors_total: Option<u64>,
    /// and how many warnings.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warnings_total: Option<u64>,
    pub complete: bool,
    /// Whether bytes that are no text were replaced by U+FFFD.
    pub lossy: bool,
    /// The rules behind `data` and the version of their list table, for example `ncj/1;hints=junos-24.4.1`.
    pub mapping: Option<String>,
    /// Prefixes of the reply and what they stand for.
    #[schema(value_type = std::collections::BTreeMap<String, String>)]
    pub namespaces: Map<String, Value>,
    pub request_id: String,
    /// For a call that may change the device: `applied` or `unknown`. Absent for reads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
}

/// The envelope around `data`, cut where the data goes.
pub struct Frame {
    pub head: Vec<u8>,
    pub tail: Vec<u8>,
}

impl Frame {
    pub fn new(reply: &Reply, request_id: &str) -> Self {
        let strings = |pairs: &[(String, String)]| {
            pairs
                .iter()
                .map(|(name, value)| (name.clone(), Value::String(value.clone())))
                .collect()
        };
        let envelope = Envelope {
            device: reply.device.clone(),
            session_id: reply.session_id,
            message_id: reply.message_id.clone(),
            attributes: strings(&reply.attributes),
            banner: reply.banner.clone(),
            data: Value::Null,
            warnings: reply.warnings.iter().map(RpcErrorView::from).collect(),
            errors: reply.errors.iter().map(RpcErrorView::from).collect(),
            errors_truncated: reply.totals_if_cut.map(|_| true),
            errors_total: reply.totals_if_cut.map(|totals| totals.errors),
            warnings_total: reply.totals_if_cut.map(|totals| totals.warnings),
            complete: reply.complete,
            lossy: reply.lossy,
            mapping: reply.mapping.clone(),
            namespaces: strings(&reply.namespaces),
            request_id: request_id.to_owned(),
            outcome: reply.outcome.map(|outcome| outcome.as_str().to_owned()),
        };
        let text = serde_json::to_vec(&envelope).unwrap_or_default();
        // Text inside JSON has its quotes escaped, and the members of members are strings, so this is the data.
        let (head, tail) = match memchr::memmem::find(&text, HOLE) {
            Some(at) => (&text[..at + HOLE.len() - NULL.len()], &text[at + HOLE.len()..]),
            None => (&text[..], &text[..0]),
        };
        Self {
            head: head.to_vec(),
            tail: tail.to_vec(),
        }
    }
}

/// A reply whose data was read whole, as REST answers it.
pub fn whole(frame: &Frame, kind: DataKind, data: &str) -> Vec<u8> {
    let mut json = frame.head.clone();
    match kind {
        DataKind::Json => json.extend_from_slice(data.as_bytes()),
        DataKind::Text | DataKind::Xml => json.extend_from_slice(Value::from(data).to_string().as_bytes()),
    }
    json.extend_from_slice(&frame.tail);
    json
}
