//! The OpenAPI 3.1 document: what the operations have in common. The operations themselves are described where they
//! are written, and the router is built from the same descriptions, so the two cannot differ.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::security::SecurityRequirement;
use utoipa::openapi::{
    ContentBuilder, InfoBuilder, LicenseBuilder, ObjectBuilder, OpenApi, OpenApiBuilder, Ref, RefOr,
    Response, ResponseBuilder, ServerBuilder, Type, tag::TagBuilder,
};
use utoipa::{IntoResponses, PartialSchema, ToSchema};

use super::problem::{MEDIA_TYPE, Problem};
use super::statuses::{Reach, meaning};
use crate::service::calls::CALLS;

/// The statuses that any operation may fail with; those that depend on what it does are added by [`text`]. Which failure
/// it is stands under `code` in the body.
pub struct Problems;

impl IntoResponses for Problems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        problems(&[400, 403, 406, 500, 503])
    }
}

/// The further statuses of operations that take a body.
pub struct BodyProblems;

impl IntoResponses for BodyProblems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        problems(&[408, 409, 413, 415])
    }
}

fn problems(statuses: &[u16]) -> BTreeMap<String, RefOr<Response>> {
    let described = statuses
        .iter()
        .map(|status| (status.to_string(), meaning(*status)));
    described
        .map(|(status, description)| {
            let response = problem(&status, description);
            (status, RefOr::T(response))
        })
        .collect()
}

fn problem(status: &str, description: &str) -> Response {
    let content = ContentBuilder::new()
        .schema(Some(Ref::from_schema_name(Problem::name().into_owned())))
        .build();
    let mut response = ResponseBuilder::new()
        .description(description)
        .content(MEDIA_TYPE, content);
    if status == "503" {
        let seconds = ObjectBuilder::new().schema_type(Type::Integer).build();
        let header = HeaderBuilder::new()
            .schema(Some(seconds))
            .description(Some("Seconds to wait before the next try"))
            .build();
        response = response.header("Retry-After", header);
    }
    response.build()
}

/// What callers send: members that are not listed are refused (H1), and null is no value.
const INPUTS: &[&str] = &[
    "RpcInput",
    "RpcItem",
    "CliInput",
    "DeviceInput",
    "AuthInput",
    "PromptAnswerInput",
    "JumpInput",
    "EditInput",
    "ReplacePatternInput",
    "CommitInput",
    "ProbeInput",
    "ExpectInput",
    "ChangeInput",
    "EditSessionInput",
    "DiscardInput",
    "DiscardCandidateInput",
    "KillInput",
    "CopyInput",
    "DeleteInput",
    "ValidateEditSessionInput",
    "ValidateInput",
];
/// The same, but null removes a member.
const PATCHES: &[&str] = &["DevicePatch"];
/// Shapes that others extend, so they cannot refuse further members themselves.
const EXTENDED: &[&str] = &["DeviceSettings"];

/// Operations that do without a body: it holds nothing but options.
const BODY_OPTIONAL: &[&str] = &[
    "createEditSession",
    "commitEditSession",
    "discardEditSession",
    "validateEditSession",
    "validateConfig",
    "confirmConfirmedCommit",
    "killSession",
];

/// The text of a document, with what the descriptions of Rust types cannot say.
pub fn text(api: &OpenApi) -> String {
    let mut document =
        serde_json::to_value(api).expect("a document consists of strings and maps with string keys");
    let schemas = &mut document["components"]["schemas"];
    for name in INPUTS.iter().chain(PATCHES) {
        schemas[*name]["additionalProperties"] = Value::Bool(false);
    }
    for name in INPUTS {
        if let Some(members) = schemas[*name]["properties"].as_object_mut() {
            members.values_mut().for_each(without_null);
        }
    }
    for name in EXTENDED {
        if let Some(schema) = schemas[*name].as_object_mut() {
            schema.remove("additionalProperties");
        }
    }
    let paths = document["paths"].as_object_mut();
    let operations = paths.into_iter().flatten().flat_map(|(path, item)| {
        let methods = item.as_object_mut().into_iter().flatten();
        methods.map(move |(method, operation)| (path, method, operation))
    });
    for (path, method, operation) in operations {
        let id = operation["operationId"].as_str().unwrap_or_default().to_owned();
        if BODY_OPTIONAL.contains(&id.as_str()) {
            operation["requestBody"]["required"] = Value::Bool(false);
        }
        let can_mutate = can_mutate(&id);
        if can_mutate {
            followed(operation);
        }
        let reach = Reach::of(method, path, &id, can_mutate);
        fails(operation, &reach.statuses());
        let parameters = operation.get_mut("parameters").and_then(Value::as_array_mut);
        for parameter in parameters.into_iter().flatten() {
            // `?plan` is `?plan=true` (H15).
            if parameter["in"] == "query" && parameter["schema"]["type"] == "boolean" {
                parameter["allowEmptyValue"] = Value::Bool(true);
            }
        }
    }
    format!("{document:#}\n")
}

/// Whether the call behind an operation can change a device.
fn can_mutate(operation_id: &str) -> bool {
    let same = |name: &str| name.replace('_', "").eq_ignore_ascii_case(operation_id);
    CALLS.iter().any(|call| call.mutates && same(call.name))
}

/// What every call that can change a device takes and answers beside what is its own (conventions H7, H8).
fn followed(operation: &mut Value) {
    let header = |name: &str, description: &str, schema: Value| {
        serde_json::json!({
            "in": "header", "name": name, "required": false, "description": description, "schema": schema
        })
    };
    let key = header(
        "Idempotency-Key",
        "The same request with the same key is carried out once, and gets the same answer again",
        serde_json::json!({"type": "string", "minLength": 1, "maxLength": 255}),
    );
    let prefer = header(
        "Prefer",
        "`respond-async` answers with the operation, as soon as there is one",
        serde_json::json!({"type": "string"}),
    );
    if let Some(parameters) = operation["parameters"].as_array_mut() {
        parameters.extend([key, prefer]);
    }
    operation["responses"]["202"] = serde_json::json!({
        "description": "It goes on (`Prefer: respond-async`)",
        "headers": {
            "Location": {"description": "Its operation", "schema": {"type": "string"}},
            "Preference-Applied": {"schema": {"type": "string"}},
        },
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/OperationView"}}},
    });
}

/// The statuses that an operation can fail with, where it has no words of its own for them.
fn fails(operation: &mut Value, statuses: &BTreeSet<u16>) {
    let Some(responses) = operation["responses"].as_object_mut() else {
        return;
    };
    for status in statuses {
        let response = || {
            serde_json::to_value(problem(&status.to_string(), meaning(*status)))
                .expect("a response consists of strings and maps with string keys")
        };
        responses.entry(status.to_string()).or_insert_with(response);
    }
}

/// Takes null out of the types of a member that need not be there.
fn without_null(member: &mut Value) {
    if let Some(types) = member["type"].as_array() {
        let mut types = types.iter().filter(|name| *name != "null");
        if let (Some(only), None) = (types.next().cloned(), types.next()) {
            member["type"] = only;
        }
    }
    let null = serde_json::json!({"type": "null"});
    if let Some(choices) = member["oneOf"].as_array() {
        let mut choices = choices.iter().filter(|choice| **choice != null);
        if let (Some(only), None) = (choices.next().cloned(), choices.next()) {
            *member = only;
        }
    }
}

/// The document without its paths.
pub fn base() -> OpenApi {
    let tags = [
        ("devices", "The inventory, and what a device says of itself"),
        ("rpc", "Operational RPCs and CLI commands"),
        ("config", "Configuration, read, and whole configurations"),
        ("changes", "Changes in one call"),
        (
            "confirmed-commits",
            "Commits that a device undoes unless they are confirmed",
        ),
        ("operations", "What became of every call that can change a device"),
        ("edit-sessions", "Changes step by step, and who holds what"),
        ("events", "What happens, as it comes and afterwards"),
        ("gateway", "The gateway itself"),
        ("machine", "For orchestrators and monitoring"),
        ("pages", "For people"),
    ];
    let mut api = OpenApiBuilder::new()
        .info(
            InfoBuilder::new()
                .title("ncgate")
                .version(env!("CARGO_PKG_VERSION"))
                .description(Some(include_str!("assets/description.md")))
                .license(Some(
                    LicenseBuilder::new()
                        .name("Apache-2.0")
                        .identifier(Some("Apache-2.0"))
                        .build(),
                ))
                .build(),
        )
        .servers(Some([ServerBuilder::new()
            .url("/")
            .description(Some("This gateway"))
            .build()]))
        // Until access control lands, nobody is asked who they are.
        .security(Some([SecurityRequirement::default()]))
        .tags(Some(tags.map(|(name, description)| {
            TagBuilder::new()
                .name(name)
                .description(Some(description))
                .build()
        })))
        .build();
    let mut schemas = vec![(Problem::name().into_owned(), Problem::schema())];
    Problem::schemas(&mut schemas);
    api.components.get_or_insert_default().schemas.extend(schemas);
    api
}
