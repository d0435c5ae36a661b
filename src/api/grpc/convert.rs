//! Between the messages of `proto/` and the words of the service layer. Enum numbers that nobody knows are refused
//! (G1).

use super::proto;
use crate::error::Error;
use crate::netconf::rpc_error::RpcError;
use crate::service::request::{
    Arguments, BatchItem, CompareRequest, Content, Format, GetConfigRequest, JunosConfigOptions, OnError,
    OutputOptions, Partial, RpcBody,
};

/// A member of an enum, or the field that holds a number of none.
pub fn known<E: TryFrom<i32>>(field: &str, number: i32) -> Result<E, Error> {
    E::try_from(number)
        .map_err(|_| Error::invalid(field, format!("{number} is none of the values of this enum")))
}

/// An empty string of proto3 is an absent one.
pub fn some(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

/// The options of an answer; all of them have defaults.
pub fn output(options: Option<proto::OutputOptions>) -> Result<OutputOptions, Error> {
    output_or(options, Format::default())
}

/// As [`output`], where another format is the usual one.
fn output_or(options: Option<proto::OutputOptions>, usual: Format) -> Result<OutputOptions, Error> {
    let options = options.unwrap_or_default();
    let format = match known("output.format", options.format)? {
        proto::Format::Unspecified => usual,
        proto::Format::Json => Format::Json,
        proto::Format::Xml => Format::Xml,
        proto::Format::Text => Format::Text,
        proto::Format::Set => Format::Set,
        proto::Format::DeviceJson => Format::DeviceJson,
    };
    let mapping = match known("output.mapping", options.mapping)? {
        proto::Mapping::Unspecified => None,
        proto::Mapping::Ncj => Some("ncj"),
        proto::Mapping::Junos => Some("junos"),
    };
    let text = match known("output.text", options.text)? {
        proto::TextMode::Unspecified => None,
        proto::TextMode::Trimmed => Some("trimmed"),
        proto::TextMode::Exact => Some("exact"),
    };
    let ns = match known("output.ns", options.ns)? {
        proto::NamespaceMode::Unspecified => None,
        proto::NamespaceMode::Off => Some("off"),
        proto::NamespaceMode::On => Some("on"),
    };
    let partial = match known("output.partial", options.partial)? {
        proto::Partial::Unspecified => None,
        proto::Partial::Discard => Some(Partial::Discard),
        proto::Partial::Keep => Some(Partial::Keep),
    };
    Ok(OutputOptions {
        format,
        mapping: mapping.map(str::to_owned),
        arrays: some(options.arrays),
        text: text.map(str::to_owned),
        ns: ns.map(str::to_owned),
        hints: some(options.hints),
        partial,
        whole_reply: options.whole_reply,
    })
}

/// JSON or XML from a caller; absent if nothing is set.
pub fn content(field: &str, payload: Option<proto::Payload>) -> Result<Option<Content>, Error> {
    match payload.and_then(|payload| payload.content) {
        None => Ok(None),
        Some(proto::payload::Content::Json(text)) => Ok(Some(Content::Json(text))),
        Some(proto::payload::Content::Xml(text)) => Ok(Some(Content::Xml(text))),
        Some(proto::payload::Content::Text(_)) => Err(Error::invalid(field, "must be json or xml")),
    }
}

fn attributes(attributes: Vec<proto::Attribute>) -> Vec<(String, String)> {
    attributes
        .into_iter()
        .map(|attribute| (attribute.name, attribute.value))
        .collect()
}

/// One RPC as a caller wrote it, with its attributes. `field` is where it stands.
pub fn rpc(field: &str, rpc: Option<proto::Rpc>) -> Result<(RpcBody, Vec<(String, String)>), Error> {
    let rpc = rpc.ok_or_else(|| Error::invalid(field, "is required"))?;
    let body = format!("{field}.body");
    let content = content(&body, rpc.body)?.ok_or_else(|| Error::invalid(body, "is required"))?;
    Ok((RpcBody::Whole(content), attributes(rpc.attributes)))
}

/// One RPC by its name, with its attributes.
pub fn named_rpc(rpc: Option<proto::NamedRpc>) -> Result<(RpcBody, Vec<(String, String)>), Error> {
    let rpc = rpc.ok_or_else(|| Error::invalid("rpc", "is required"))?;
    let arguments = content("rpc.arguments", rpc.arguments)?.map_or(Arguments::None, Arguments::Content);
    Ok((
        RpcBody::Named {
            name: rpc.name,
            arguments,
        },
        attributes(rpc.attributes),
    ))
}

pub fn batch(rpcs: Vec<proto::Rpc>) -> Result<Vec<BatchItem>, Error> {
    rpcs.into_iter()
        .enumerate()
        .map(|(at, item)| {
            let (rpc, attributes) = rpc(&format!("rpcs[{at}]"), Some(item))?;
            Ok(BatchItem {
                rpc,
                bare: false,
                attributes,
            })
        })
        .collect()
}

pub fn on_error(number: i32) -> Result<OnError, Error> {
    Ok(match known("on_error", number)? {
        proto::OnError::Unspecified | proto::OnError::Stop => OnError::Stop,
        proto::OnError::Continue => OnError::Continue,
    })
}

pub fn get_config(
    query: Option<proto::ConfigQuery>,
    options: Option<proto::OutputOptions>,
) -> Result<GetConfigRequest, Error> {
    let query = query.unwrap_or_default();
    let with_defaults = match known("query.with_defaults", query.with_defaults)? {
        proto::WithDefaults::Unspecified => None,
        proto::WithDefaults::ReportAll => Some("report-all"),
        proto::WithDefaults::ReportAllTagged => Some("report-all-tagged"),
        proto::WithDefaults::Trim => Some("trim"),
        proto::WithDefaults::Explicit => Some("explicit"),
    };
    let protocol = match known("query.protocol", query.protocol)? {
        proto::ConfigProtocol::Unspecified => None,
        proto::ConfigProtocol::Junos => Some("junos"),
        proto::ConfigProtocol::Rfc => Some("rfc"),
    };
    let junos = query.junos.unwrap_or_default();
    Ok(GetConfigRequest {
        source: some(query.source),
        path: some(query.path),
        filter: content("query.filter", query.filter)?,
        xpath: some(query.xpath),
        xpath_namespaces: query
            .xpath_namespaces
            .into_iter()
            .map(|ns| (ns.prefix, ns.uri))
            .collect(),
        with_defaults: with_defaults.map(str::to_owned),
        protocol: protocol.map(str::to_owned),
        junos: JunosConfigOptions {
            inherit: junos.inherit,
            groups: junos.groups,
            interface_ranges: junos.interface_ranges,
            changed: junos.changed,
            commit_scripts: junos.commit_scripts,
            key: junos.key,
            recurse: junos.recurse,
            count: junos.count,
            start: junos.start,
            matching: junos.matching,
            schema: junos.schema,
        },
        output: output(options)?,
    })
}

pub fn compare(
    from: String,
    to: String,
    options: Option<proto::OutputOptions>,
) -> Result<CompareRequest, Error> {
    Ok(CompareRequest {
        from: some(from),
        to: some(to),
        output: output_or(options, Format::Text)?,
    })
}

/// Prefixes and what they stand for.
pub fn namespaces<'a>(pairs: impl IntoIterator<Item = &'a (String, String)>) -> Vec<proto::Namespace> {
    let namespace = |(prefix, uri): &(String, String)| proto::Namespace {
        prefix: prefix.clone(),
        uri: uri.clone(),
    };
    pairs.into_iter().map(namespace).collect()
}

pub fn rpc_error(error: &RpcError) -> proto::RpcError {
    proto::RpcError {
        error_type: error.error_type.clone(),
        error_tag: error.error_tag.clone(),
        error_severity: error.error_severity.clone(),
        error_app_tag: error.error_app_tag.clone(),
        error_path: error.error_path.clone(),
        error_path_namespaces: namespaces(&error.error_path_namespaces),
        error_message: error.error_message.clone(),
        error_info: error.error_info.clone(),
        bad_element: error.bad_element.clone(),
        source_daemon: error.source_daemon.clone(),
        member: error.member.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// G1
    #[test]
    fn unknown_enum_numbers_are_refused_with_their_field() {
        let field = |change: fn(&mut proto::OutputOptions)| {
            let mut options = proto::OutputOptions::default();
            change(&mut options);
            output(Some(options)).expect_err("is refused").fields()[0]
                .pointer
                .clone()
        };
        assert_eq!(field(|options| options.format = 99), "output.format");
        assert_eq!(field(|options| options.mapping = -1), "output.mapping");
        assert_eq!(field(|options| options.text = 7), "output.text");
        assert_eq!(field(|options| options.ns = 7), "output.ns");
        assert_eq!(field(|options| options.partial = 7), "output.partial");
        assert_eq!(
            on_error(9).expect_err("is refused").fields()[0].pointer,
            "on_error"
        );
        let query = proto::ConfigQuery {
            protocol: 9,
            ..Default::default()
        };
        assert_eq!(
            get_config(Some(query), None).expect_err("is refused").fields()[0].pointer,
            "query.protocol"
        );
    }

    #[test]
    fn rpcs_need_a_body_of_json_or_xml() {
        let pointer = |found: Result<_, Error>| {
            let found: Result<(RpcBody, Vec<(String, String)>), Error> = found;
            found.expect_err("is refused").fields()[0].pointer.clone()
        };
        assert_eq!(pointer(rpc("rpc", None)), "rpc");
        assert_eq!(
            pointer(rpc("rpcs[3]", Some(proto::Rpc::default()))),
            "rpcs[3].body"
        );
        let text = proto::Payload {
            content: Some(proto::payload::Content::Text("show".into())),
        };
        let item = proto::Rpc {
            body: Some(text),
            attributes: vec![],
        };
        assert_eq!(pointer(rpc("rpc", Some(item))), "rpc.body");
        assert_eq!(pointer(named_rpc(None)), "rpc");
    }

    #[test]
    fn what_is_not_set_is_left_to_the_service() {
        let options = output(None).expect("all have defaults");
        assert!(options.mapping.is_none() && options.arrays.is_none() && options.partial.is_none());
        let request = get_config(None, None).expect("all have defaults");
        assert!(request.source.is_none() && request.path.is_none() && request.junos.recurse.is_none());
    }
}
