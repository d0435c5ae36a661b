//! Failures as `google.rpc.Status` with details (conventions M4).

use std::collections::HashMap;

use prost::Message;
use prost_types::Any;
use tonic::metadata::MetadataMap;
use tonic::{Code, Status};
use tonic_types::pb;

use super::{convert, edit, fields, proto};
use crate::api::status;
use crate::error::{Error, ErrorCode, Resource};
use crate::netconf::reply::ErrorList;

/// Who gives the reasons of `ErrorInfo`.
const DOMAIN: &str = "ncgate";
/// All details travel in one header, and clients commonly refuse more than 8 KiB of them.
const MAX_RPC_ERRORS: usize = 16;
const MAX_RPC_ERRORS_BYTES: usize = 2500;
const MAX_TEXT_BYTES: usize = 400;
const MAX_FIELDS: usize = 16;
const MAX_DIFF_BYTES: usize = 2000;
const MAX_MEMBERS: usize = 8;

/// The status of a failed call.
pub fn of(error: &Error, request_id: &str) -> Status {
    let code = status::of(error).grpc;
    let details = pb::Status {
        code: i32::from(code),
        message: cut(&error.headline(fields::words), MAX_TEXT_BYTES),
        details: details(error, code, request_id),
    };
    let bytes = details.encode_to_vec();
    Status::with_details_and_metadata(code, details.message, bytes.into(), MetadataMap::new())
}

fn details(error: &Error, code: Code, request_id: &str) -> Vec<Any> {
    let reason = error.code().as_str().to_ascii_uppercase().replace('-', "_");
    let mut metadata: HashMap<String, String> = HashMap::from([
        ("request_id".to_owned(), request_id.to_owned()),
        ("outcome".to_owned(), error.outcome().as_str().to_owned()),
        ("origin".to_owned(), error.origin().as_str().to_owned()),
        ("retryable".to_owned(), error.retryable().to_string()),
    ]);
    let texts = [
        ("device", error.device()),
        ("step", error.step()),
        ("reason", error.reason()),
        ("hint", error.hint()),
        // A change is its own operation (H7).
        ("operation_id", error.operation_id().or(error.change_id())),
    ];
    for (name, text) in texts {
        if let Some(text) = text {
            metadata.insert(name.to_owned(), cut(text, MAX_TEXT_BYTES));
        }
    }
    let mut details = vec![any(
        "google.rpc.ErrorInfo",
        &pb::ErrorInfo {
            reason,
            domain: DOMAIN.to_owned(),
            metadata,
        },
    )];
    if code == Code::InvalidArgument || !error.fields().is_empty() {
        details.push(any("google.rpc.BadRequest", &bad_request(error)));
    }
    if code == Code::FailedPrecondition {
        let violation = pb::precondition_failure::Violation {
            r#type: error.code().as_str().to_owned(),
            subject: device_path(error),
            description: cut(error.detail(), MAX_TEXT_BYTES),
        };
        details.push(any(
            "google.rpc.PreconditionFailure",
            &pb::PreconditionFailure {
                violations: vec![violation],
            },
        ));
    }
    if let Some(seconds) = status::retry_after_seconds(error, request_id) {
        let delay = prost_types::Duration {
            seconds: i64::try_from(seconds).unwrap_or(i64::MAX),
            nanos: 0,
        };
        details.push(any(
            "google.rpc.RetryInfo",
            &pb::RetryInfo {
                retry_delay: Some(delay),
            },
        ));
    }
    if matches!(code, Code::NotFound | Code::AlreadyExists) {
        let (resource_type, resource_name) = resource(error);
        let resource = pb::ResourceInfo {
            resource_type: resource_type.to_owned(),
            resource_name,
            owner: String::new(),
            description: cut(error.detail(), MAX_TEXT_BYTES),
        };
        details.push(any("google.rpc.ResourceInfo", &resource));
    }
    if !error.rpc_errors().is_empty() {
        details.push(any("ncgate.v1.RpcErrors", &rpc_errors(error.rpc_error_list())));
    }
    if let Some(holder) = error.holder() {
        details.push(any("ncgate.v1.LockHolder", &edit::holder(holder.into())));
    }
    if let Some(commit) = error.pending_commit() {
        details.push(any("ncgate.v1.PendingCommit", &edit::pending_commit(commit)));
    }
    if let Some(diff) = error.diff() {
        let shown = cut(&diff.text, MAX_DIFF_BYTES);
        let changes = proto::UncommittedChanges {
            truncated: shown != diff.text,
            diff: shown,
            diff_sha256: diff.sha256.clone(),
        };
        details.push(any("ncgate.v1.UncommittedChanges", &changes));
    }
    if !error.members().is_empty() {
        let members = error.members().iter().take(MAX_MEMBERS);
        let members = proto::CommitMembers {
            members: members.map(|member| edit::member(member.into())).collect(),
        };
        details.push(any("ncgate.v1.CommitMembers", &members));
    }
    details
}

/// Type and name of what is missing or there already: something of the device's configuration, or of the gateway.
fn resource(error: &Error) -> (&'static str, String) {
    let device = device_path(error);
    match (error.resource(), error.code()) {
        (Some(Resource::EditSession(id)), _) => {
            ("ncgate.v1.EditSession", format!("{device}/edit-sessions/{id}"))
        }
        (Some(Resource::Change(id)), _) => ("ncgate.v1.Change", format!("{device}/changes/{id}")),
        (Some(Resource::ConfirmedCommit(id)), _) => {
            ("ncgate.v1.ConfirmedCommit", format!("confirmed-commits/{id}"))
        }
        (Some(Resource::Operation(id)), _) => ("ncgate.v1.Operation", format!("operations/{id}")),
        (None, ErrorCode::DataMissing | ErrorCode::DataExists) => ("configuration", device),
        (None, _) => ("ncgate.v1.Device", device),
    }
}

/// The name of the device, as resources are named; empty without one.
fn device_path(error: &Error) -> String {
    error
        .device()
        .map(|device| format!("devices/{device}"))
        .unwrap_or_default()
}

fn bad_request(error: &Error) -> pb::BadRequest {
    let field_violations = error
        .fields()
        .iter()
        .take(MAX_FIELDS)
        .map(|violation| {
            let (field, inside) = fields::split(&violation.pointer);
            let inside = inside.map(|pointer| format!("{pointer}: ")).unwrap_or_default();
            pb::bad_request::FieldViolation {
                field: cut(field, MAX_TEXT_BYTES),
                description: cut(&format!("{inside}{}", violation.detail), MAX_TEXT_BYTES),
                ..Default::default()
            }
        })
        .collect();
    pb::BadRequest { field_violations }
}

/// As many errors as fit, the first ones first.
fn rpc_errors(list: &ErrorList) -> proto::RpcErrors {
    let all = &list.errors;
    let mut bounded = proto::RpcErrors {
        errors: Vec::new(),
        total: u32::try_from(list.total).unwrap_or(u32::MAX),
        truncated: list.truncated,
    };
    for error in all.iter().take(MAX_RPC_ERRORS) {
        let whole = convert::rpc_error(error);
        let short = shortened(&whole);
        bounded.truncated |= short != whole;
        bounded.errors.push(short);
        if bounded.encoded_len() > MAX_RPC_ERRORS_BYTES && bounded.errors.len() > 1 {
            bounded.errors.pop();
            break;
        }
    }
    bounded.truncated |= bounded.errors.len() < all.len();
    bounded
}

fn shortened(error: &proto::RpcError) -> proto::RpcError {
    let short = |text: &Option<String>| text.as_deref().map(|text| cut(text, MAX_TEXT_BYTES));
    proto::RpcError {
        error_type: short(&error.error_type),
        error_tag: short(&error.error_tag),
        error_severity: short(&error.error_severity),
        error_app_tag: short(&error.error_app_tag),
        error_path: short(&error.error_path),
        error_path_namespaces: namespaces_within(&error.error_path_namespaces, MAX_TEXT_BYTES),
        error_message: short(&error.error_message),
        error_info: short(&error.error_info),
        bad_element: short(&error.bad_element),
        source_daemon: short(&error.source_daemon),
        member: short(&error.member),
    }
}

/// The first of them, of at most `most` bytes together: half a namespace is another one.
fn namespaces_within(all: &[proto::Namespace], most: usize) -> Vec<proto::Namespace> {
    let mut bytes = 0;
    let fits = |namespace: &&proto::Namespace| {
        bytes += namespace.prefix.len() + namespace.uri.len();
        bytes <= most
    };
    all.iter().take_while(fits).cloned().collect()
}

/// At most `most` bytes, cut between characters.
fn cut(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    let end = (0..=most)
        .rev()
        .find(|&at| text.is_char_boundary(at))
        .unwrap_or(0);
    format!("{}…", &text[..end])
}

fn any(name: &str, message: &impl Message) -> Any {
    Any {
        type_url: format!("type.googleapis.com/{name}"),
        value: message.encode_to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use tonic_types::StatusExt;

    use super::*;
    use crate::error::Outcome;
    use crate::netconf::rpc_error::RpcError;

    fn detail<M: Message + Default>(status: &Status, name: &str) -> Option<M> {
        let whole = pb::Status::decode(status.details()).expect("details are a google.rpc.Status");
        let any = whole
            .details
            .into_iter()
            .find(|any| any.type_url.ends_with(&format!("/{name}")))?;
        Some(M::decode(&*any.value).expect("the detail is what its type says"))
    }

    /// M4
    #[test]
    fn every_failure_says_why_in_error_info() {
        for &code in ErrorCode::ALL {
            let error = Error::new(code, "x")
                .with_device("mx1")
                .with_outcome(Outcome::NotSent);
            let status = of(&error, "r1");
            assert_eq!(status.code(), status::row(code).grpc, "{code}");
            let info = status.get_details_error_info().expect("always there");
            assert_eq!(info.reason, code.as_str().to_ascii_uppercase().replace('-', "_"));
            assert_eq!(info.domain, "ncgate");
            assert_eq!(info.metadata["request_id"], "r1");
            assert_eq!(info.metadata["device"], "mx1");
            assert_eq!(info.metadata["outcome"], "not_sent");
            let retry = status.get_details_retry_info().is_some();
            assert_eq!(retry, status::row(code).retry_after, "{code}");
            let resource = status.get_details_resource_info().is_some();
            assert_eq!(
                resource,
                matches!(status.code(), Code::NotFound | Code::AlreadyExists),
                "{code}"
            );
            let bad = status.get_details_bad_request().is_some();
            assert_eq!(bad, status.code() == Code::InvalidArgument, "{code}");
            let precondition = status.get_details_precondition_failure().is_some();
            assert_eq!(precondition, status.code() == Code::FailedPrecondition, "{code}");
        }
    }

    /// M4
    #[test]
    fn fields_are_named_as_protobuf_names_them() {
        let error = Error::invalid("/proxy_jump/1/address", "must be an address")
            .with_field("/name", "is required")
            .with_field("/labels/a b", "is no name");
        let error = fields::told("DeviceService/CreateDevice", error);
        assert_eq!(
            of(&error, "r").message(),
            "device.proxy_jump[1].address: must be an address (and 2 more)"
        );
        let bad = of(&error, "r").get_details_bad_request().expect("a 400");
        let violations: Vec<(&str, &str)> = bad
            .field_violations
            .iter()
            .map(|violation| (violation.field.as_str(), violation.description.as_str()))
            .collect();
        assert_eq!(
            violations,
            [
                ("device.proxy_jump[1].address", "must be an address"),
                ("device.name", "is required"),
                ("device.labels", "/a b: is no name"),
            ]
        );
    }

    /// M4: what is not there is named, be it the device, something of it, or of its configuration.
    #[test]
    fn what_is_missing_is_named() {
        let named = |error: Error| {
            let status = of(&error.with_device("mx1"), "r");
            let info = status.get_details_resource_info().expect("a NOT_FOUND");
            (info.resource_type, info.resource_name)
        };
        let pair = |kind: &str, name: &str| (kind.to_owned(), name.to_owned());
        let missing = || Error::new(ErrorCode::NotFound, "x");
        assert_eq!(named(missing()), pair("ncgate.v1.Device", "devices/mx1"));
        assert_eq!(
            named(missing().with_resource(Resource::EditSession("es1".to_owned()))),
            pair("ncgate.v1.EditSession", "devices/mx1/edit-sessions/es1")
        );
        assert_eq!(
            named(missing().with_resource(Resource::Change("chg1".to_owned()))),
            pair("ncgate.v1.Change", "devices/mx1/changes/chg1")
        );
        assert_eq!(
            named(Error::new(ErrorCode::DataMissing, "x")),
            pair("configuration", "devices/mx1")
        );
    }

    /// M4: bounded, because it travels in a header; S18: in order.
    #[test]
    fn rpc_errors_are_listed_in_order_and_bounded() {
        let numbered = |n: usize, text: &str| RpcError {
            error_message: Some(format!("{n} {text}")),
            ..RpcError::default()
        };
        let few: Vec<RpcError> = (0..3).map(|n| numbered(n, "syntax error")).collect();
        let status = of(&Error::new(ErrorCode::DeviceError, "x").with_rpc_errors(few), "r");
        let listed: proto::RpcErrors = detail(&status, "ncgate.v1.RpcErrors").expect("is there");
        let messages: Vec<_> = listed
            .errors
            .iter()
            .filter_map(|error| error.error_message.as_deref())
            .collect();
        assert_eq!(messages, ["0 syntax error", "1 syntax error", "2 syntax error"]);
        assert!(!listed.truncated);

        let many: Vec<RpcError> = (0..1000).map(|n| numbered(n, &"ä".repeat(10_000))).collect();
        let status = of(
            &Error::new(ErrorCode::DeviceError, "y".repeat(100_000)).with_rpc_errors(many),
            "r",
        );
        let listed: proto::RpcErrors = detail(&status, "ncgate.v1.RpcErrors").expect("is there");
        assert!(listed.truncated && listed.total == 1000 && !listed.errors.is_empty());
        assert!(status.details().len() < 5000, "{} bytes", status.details().len());
        assert!(status.message().len() < 500);
    }
}
