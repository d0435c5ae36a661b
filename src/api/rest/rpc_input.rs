//! The bodies of RPC calls: what the OpenAPI document says of them, and how they are read.

use std::collections::BTreeMap;

use utoipa::ToSchema;
use utoipa::openapi::schema::{AdditionalProperties, ObjectBuilder};

use super::json::Object;
use super::output::{FormatName, MappingName, NamespaceName, PartialName, TextName};
use super::problem::ApiError;
use super::query;
use crate::service::request::{
    BatchItem, BatchRequest, CliRequest, Content, OnError, OutputOptions, RpcBody, RpcRequest,
};

/// One RPC, or with `rpcs` a batch of RPCs that change nothing.
#[derive(ToSchema)]
#[schema(example = json!({"rpc": {"get-interface-information": {"terse": null}}}))]
pub struct RpcInput {
    /// One member: the request tag with its arguments. `null` and `true` are empty elements.
    #[schema(schema_with = operation)]
    pub rpc: Option<String>,
    /// Further attributes of `<rpc>`, which the device returns.
    pub attributes: Option<BTreeMap<String, String>>,
    /// Several of them, each with `rpc` and `attributes`.
    #[schema(min_items = 1)]
    pub rpcs: Option<Vec<RpcItem>>,
    /// What a batch does when one of its RPCs fails; `continue` also lets them be sent without waiting.
    pub on_error: Option<OnErrorName>,
    /// Show the XML that would be sent, and send nothing.
    pub plan: Option<bool>,
    pub format: Option<FormatName>,
    pub mapping: Option<MappingName>,
    pub arrays: Option<String>,
    pub text: Option<TextName>,
    pub ns: Option<NamespaceName>,
    pub hints: Option<String>,
    pub partial: Option<PartialName>,
}

/// One RPC of a batch.
#[derive(ToSchema)]
pub struct RpcItem {
    /// One member: the request tag with its arguments.
    #[schema(schema_with = operation, required)]
    pub rpc: String,
    /// Further attributes of `<rpc>`, which the device returns.
    pub attributes: Option<BTreeMap<String, String>>,
}

#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub enum OnErrorName {
    Stop,
    Continue,
}

/// A command of the device's CLI.
#[derive(ToSchema)]
#[schema(example = json!({"command": "show version", "format": "text"}))]
pub struct CliInput {
    pub command: String,
    /// Show the XML that would be sent, and send nothing.
    pub plan: Option<bool>,
    pub format: Option<FormatName>,
    pub mapping: Option<MappingName>,
    pub arrays: Option<String>,
    pub text: Option<TextName>,
    pub ns: Option<NamespaceName>,
    pub hints: Option<String>,
    pub partial: Option<PartialName>,
}

/// An object with one member.
fn operation() -> utoipa::openapi::schema::Object {
    ObjectBuilder::new()
        .additional_properties(Some(AdditionalProperties::FreeForm(true)))
        .min_properties(Some(1))
        .max_properties(Some(1))
        .build()
}

/// What a body of `POST …/rpc` asks for.
pub enum Body {
    One(RpcRequest),
    Batch(BatchRequest),
}

/// Reads the body of `POST …/rpc`. `output` and `plan` are what the query says.
///
/// # Errors
/// What is missing, unknown or of the wrong type, with its pointer.
pub fn read_body(text: &str, output: OutputOptions, plan: Option<bool>) -> Result<Body, ApiError> {
    let mut body = Object::parse(text)?;
    let output = body_output(&mut body, output)?;
    let plan = body_switch(&mut body, "plan", plan)?;
    let Some(items) = body.objects("rpcs")? else {
        let (rpc, attributes) = read_rpc(&mut body)?;
        body.finish()?;
        return Ok(Body::One(RpcRequest {
            rpc,
            attributes,
            output,
            safe_only: false,
            plan,
        }));
    };
    if plan {
        return Err(ApiError::invalid(
            "/plan",
            "a batch changes nothing, so there is nothing to plan",
        ));
    }
    if items.is_empty() {
        return Err(ApiError::invalid("/rpcs", "must hold at least one RPC"));
    }
    let on_error = match body.string("on_error")?.as_deref() {
        None | Some("stop") => OnError::Stop,
        Some("continue") => OnError::Continue,
        Some(_) => return Err(ApiError::invalid("/on_error", "must be stop or continue")),
    };
    body.finish()?;
    let rpcs = items
        .into_iter()
        .map(|mut item| {
            // An operation may stand there bare: nothing else of an item has its name.
            if let Some(operation) = item.lone_member(&["rpc", "attributes"]) {
                return Ok(BatchItem {
                    rpc: RpcBody::Whole(Content::Json(operation)),
                    attributes: Vec::new(),
                });
            }
            let (rpc, attributes) = read_rpc(&mut item)?;
            item.finish()?;
            Ok(BatchItem { rpc, attributes })
        })
        .collect::<Result<_, ApiError>>()?;
    Ok(Body::Batch(BatchRequest {
        rpcs,
        on_error,
        output,
    }))
}

fn read_rpc(body: &mut Object<'_>) -> Result<(RpcBody, Vec<(String, String)>), ApiError> {
    let pointer = body.pointer("rpc");
    let text = body
        .object_text("rpc")?
        .ok_or_else(|| ApiError::invalid(pointer, "is required"))?;
    Ok((
        RpcBody::Whole(Content::Json(text.to_owned())),
        body.strings("attributes")?,
    ))
}

/// The options of the body, each of which may stand in the query instead.
pub fn body_output(body: &mut Object<'_>, query: OutputOptions) -> Result<OutputOptions, ApiError> {
    let mut output = query;
    if let Some(format) = body.string("format")? {
        output.format = query::parse_format("/format", &format)?;
    }
    if let Some(partial) = body.string("partial")? {
        output.partial = Some(query::parse_partial("/partial", &partial)?);
    }
    for (name, option) in [
        ("mapping", &mut output.mapping),
        ("arrays", &mut output.arrays),
        ("text", &mut output.text),
        ("ns", &mut output.ns),
        ("hints", &mut output.hints),
    ] {
        if let Some(value) = body.string(name)? {
            if option.is_some() {
                return Err(ApiError::invalid(format!("/{name}"), "stands in the query, too"));
            }
            *option = Some(value);
        }
    }
    Ok(output)
}

/// A switch that stands in the body or in the query.
pub fn body_switch(body: &mut Object<'_>, name: &str, query: Option<bool>) -> Result<bool, ApiError> {
    match (body.boolean(name)?, query) {
        (Some(_), Some(_)) => Err(ApiError::invalid(format!("/{name}"), "stands in the query, too")),
        (body, query) => Ok(body.or(query).unwrap_or(false)),
    }
}

/// Reads the body of `POST …/cli`. `output` and `plan` are what the query says.
///
/// # Errors
/// What is missing, unknown or of the wrong type, with its pointer.
pub fn read_cli(text: &str, output: OutputOptions, plan: Option<bool>) -> Result<CliRequest, ApiError> {
    let mut body = Object::parse(text)?;
    let command = body
        .string("command")?
        .ok_or_else(|| ApiError::invalid("/command", "is required"))?;
    let output = body_output(&mut body, output)?;
    let plan = body_switch(&mut body, "plan", plan)?;
    body.finish()?;
    Ok(CliRequest {
        command,
        output,
        plan,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::request::Format;

    fn pointer<T>(result: Result<T, ApiError>) -> String {
        match result {
            Ok(_) => panic!("must be refused"),
            Err(error) => error.error.fields()[0].pointer.clone(),
        }
    }

    fn body(text: &str) -> Result<Body, ApiError> {
        read_body(text, OutputOptions::default(), None)
    }

    /// W1: what goes to the device is the text that the caller wrote.
    #[test]
    fn rpc_stays_text_and_options_are_read() {
        let text = r#"{"rpc": {"b": {"z": 1.0, "a": null}}, "attributes": {"k": "v"}, "format": "text", "partial": "keep"}"#;
        let Ok(Body::One(request)) = body(text) else {
            panic!("one RPC")
        };
        assert!(
            matches!(&request.rpc, RpcBody::Whole(Content::Json(text)) if text == r#"{"b": {"z": 1.0, "a": null}}"#)
        );
        assert_eq!(request.attributes, [("k".to_owned(), "v".to_owned())]);
        assert_eq!(request.output.format, Format::Text);
        assert!(!request.plan && !request.safe_only);

        let Ok(Body::Batch(batch)) =
            body(r#"{"rpcs": [{"rpc": {"a": 1}}, {"rpc": {"b": 1}}], "on_error": "continue"}"#)
        else {
            panic!("a batch")
        };
        assert_eq!((batch.rpcs.len(), batch.on_error), (2, OnError::Continue));
    }

    /// H1
    #[test]
    fn faults_are_pointed_at() {
        let Ok(Body::Batch(bare)) = body(r#"{"rpcs": [{"get-\u0061": {"b": 1.50}}]}"#) else {
            panic!("a bare operation is an item");
        };
        let RpcBody::Whole(Content::Json(text)) = &bare.rpcs[0].rpc else {
            panic!("it stays text");
        };
        assert_eq!(text, r#"{"get-a":{"b": 1.50}}"#);
        assert_eq!(pointer(body(r#"{"rpcs": []}"#)), "/rpcs");
        assert_eq!(
            pointer(body(r#"{"rpcs": [{"rpc": {"a": 1}}, {}]}"#)),
            "/rpcs/1/rpc"
        );
        assert_eq!(
            pointer(body(r#"{"rpcs": [{"rpc": {"a": 1}, "format": "xml"}]}"#)),
            "/rpcs/0/format"
        );
        assert_eq!(
            pointer(body(r#"{"rpcs": [{"rpc": {"a": 1}}], "on_error": "panic"}"#)),
            "/on_error"
        );
        assert_eq!(
            pointer(body(r#"{"rpcs": [{"rpc": {"a": 1}}], "rpc": {"a": 1}}"#)),
            "/rpc"
        );
        assert_eq!(
            pointer(body(r#"{"rpcs": [{"rpc": {"a": 1}}], "plan": true}"#)),
            "/plan"
        );
        assert_eq!(
            pointer(body(r#"{"rpc": {"a": 1}, "on_error": "stop"}"#)),
            "/on_error"
        );
        assert_eq!(pointer(body(r#"{"rpc": {"a": 1}, "format": "yaml"}"#)), "/format");
        let query = OutputOptions {
            ns: Some("on".into()),
            ..OutputOptions::default()
        };
        assert_eq!(
            pointer(read_body(r#"{"rpc": {"a": 1}, "ns": "off"}"#, query, None)),
            "/ns"
        );
        let plan = read_body(
            r#"{"rpc": {"a": 1}, "plan": true}"#,
            OutputOptions::default(),
            Some(true),
        );
        assert_eq!(pointer(plan), "/plan");
        assert_eq!(
            pointer(read_cli("{}", OutputOptions::default(), None)),
            "/command"
        );
        assert_eq!(
            pointer(read_cli(r#"{"command": 1}"#, OutputOptions::default(), None)),
            "/command"
        );
    }
}
