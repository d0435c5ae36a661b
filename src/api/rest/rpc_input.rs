//! The bodies of RPC calls: what the OpenAPI document says of them, and how they are read.

use std::collections::BTreeMap;

use utoipa::ToSchema;
use utoipa::openapi::schema::{AdditionalProperties, ObjectBuilder};

use super::json::Object;
use super::output::{FormatName, MappingName, NamespaceName, PartialName, TextName};
use super::places::Places;
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

/// What the query says.
#[derive(Clone, Default)]
pub struct Said {
    output: OutputOptions,
    plan: Option<bool>,
    /// Whether it names a format; without one there is a usual one.
    format: bool,
}

impl Said {
    /// `output` and `plan` as they were taken from the query, and what stood there.
    pub fn new(output: OutputOptions, plan: Option<bool>, places: &Places) -> Self {
        Self {
            output,
            plan,
            format: places.has_option("format"),
        }
    }
}

/// Reads the body of `POST …/rpc`.
///
/// # Errors
/// What is missing, unknown or of the wrong type, with its pointer.
pub fn read_body(text: &str, said: Said) -> Result<Body, ApiError> {
    let mut body = Object::parse(text)?;
    let plan_place = if said.plan.is_some() { "?plan" } else { "/plan" };
    let (output, plan) = (body_output(&mut body, &said)?, said.plan);
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
            plan_place,
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
                    bare: true,
                    attributes: Vec::new(),
                });
            }
            let (rpc, attributes) = read_rpc(&mut item)?;
            item.finish()?;
            Ok(BatchItem {
                rpc,
                bare: false,
                attributes,
            })
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
fn body_output(body: &mut Object<'_>, said: &Said) -> Result<OutputOptions, ApiError> {
    let mut output = said.output.clone();
    let twice = |name: &str| ApiError::invalid(format!("/{name}"), "stands in the query, too");
    if let Some(format) = body.string("format")? {
        if said.format {
            return Err(twice("format"));
        }
        output.format = query::parse_format("/format", &format)?;
    }
    if let Some(partial) = body.string("partial")? {
        if output.partial.is_some() {
            return Err(twice("partial"));
        }
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
                return Err(twice(name));
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

/// Reads the body of `POST …/cli`.
///
/// # Errors
/// What is missing, unknown or of the wrong type, with its pointer.
pub fn read_cli(text: &str, said: Said) -> Result<CliRequest, ApiError> {
    let mut body = Object::parse(text)?;
    let command = body
        .string("command")?
        .ok_or_else(|| ApiError::invalid("/command", "is required"))?;
    let output = body_output(&mut body, &said)?;
    let plan = body_switch(&mut body, "plan", said.plan)?;
    body.finish()?;
    Ok(CliRequest {
        command,
        output,
        plan,
    })
}

#[cfg(test)]
mod tests {
    use super::super::negotiate::Answer;
    use super::super::places;
    use super::super::query::Query;
    use super::*;
    use crate::service::request::Format;

    fn pointer<T>(result: Result<T, ApiError>) -> String {
        match result {
            Ok(_) => panic!("must be refused"),
            Err(error) => error.error.fields()[0].pointer.clone(),
        }
    }

    fn body(text: &str) -> Result<Body, ApiError> {
        read_body(text, Said::default())
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
        assert_eq!(pointer(read_cli("{}", Said::default())), "/command");
        assert_eq!(
            pointer(read_cli(r#"{"command": 1}"#, Said::default())),
            "/command"
        );
    }

    /// H1: nothing that stands in the query and in the body is chosen silently.
    #[test]
    fn no_option_stands_in_the_query_and_in_the_body() {
        let said = |query: &str| {
            let mut query = Query::parse(query).unwrap_or_default();
            let places = Places::of(&query, places::Body::Members);
            let output = query.output(Answer::Json).unwrap_or_default();
            Said::new(output, query.switch("plan").unwrap_or_default(), &places)
        };
        for (name, query, value) in [
            ("ns", "on", "\"off\""),
            ("format", "json", "\"text\""),
            ("partial", "keep", "\"discard\""),
            ("plan", "true", "true"),
        ] {
            let said = said(&format!("{name}={query}"));
            let one = format!(r#"{{"rpc": {{"a": 1}}, "{name}": {value}}}"#);
            assert_eq!(pointer(read_body(&one, said.clone())), format!("/{name}"));
            let command = format!(r#"{{"command": "show version", "{name}": {value}}}"#);
            assert_eq!(pointer(read_cli(&command, said)), format!("/{name}"));
        }
        let batch = r#"{"rpcs": [{"rpc": {"a": 1}}]}"#;
        assert_eq!(pointer(read_body(batch, said("plan=true"))), "?plan");
    }
}
