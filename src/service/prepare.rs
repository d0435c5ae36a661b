//! Turns what a caller wrote into the XML of one RPC. Nothing is sent here; whatever is wrong is the caller's to mend,
//! and told with the place where it stands.

use crate::error::Error;
use crate::json::{self, Target, ToXmlOptions};
use crate::netconf::capability::{Capabilities, Capability};
use crate::netconf::junos;
use crate::netconf::rpc::{RequestError, Rpc};
use crate::service::request::{Arguments, Content, Format, RpcBody};
use crate::xml::tree::{Element, Node};
use crate::xml::{self, Fragment, Limits, WriteError, Writer};

/// Elements of a message around what a caller writes, at most: `<rpc>`, the operation, and `<config>` or `<filter>`.
const LEVELS_AROUND: usize = 3;

/// One RPC, ready to be judged and sent.
#[derive(Debug, Clone)]
pub(super) struct Prepared {
    /// The local name of the operation element.
    pub operation: String,
    pub body: Fragment,
    /// Where the caller wrote which operation it is, and where what is in it.
    pub place: String,
    pub inside: String,
    format: junos::Format,
}

impl Prepared {
    /// The request for a device with these capabilities.
    pub fn build(self, capabilities: &Capabilities) -> Result<Rpc, RequestError> {
        let rpc = Rpc::new(self.body);
        if self.format == junos::Format::Xml {
            return Ok(rpc);
        }
        capabilities.require(Capability::JunosXml, &self.operation, "format")?;
        junos::with_format(rpc, self.format)
    }
}

/// Builds the XML of an RPC. `pointer` is where the caller wrote a whole one (`/rpc`, `/rpcs/0/rpc`); one that is named has
/// its name and its arguments in places of their own.
pub(super) fn rpc(body: &RpcBody, format: Format, pointer: &str) -> Result<Prepared, Error> {
    let fragment = match body {
        RpcBody::Whole(Content::Json(text)) => {
            from_json(text, Target::Rpc, pointer, &ToXmlOptions::default())?
        }
        RpcBody::Whole(Content::Xml(text)) => from_xml(text, pointer)?,
        RpcBody::Named { name, arguments } => named(name, arguments)?,
    };
    let operation = fragment.root_name().to_owned();
    let (place, inside) = match body {
        RpcBody::Whole(_) => (pointer, pointer),
        RpcBody::Named {
            arguments: Arguments::Pairs(_),
            ..
        } => ("/name", ""),
        RpcBody::Named { .. } => ("/name", "/arguments"),
    };
    if operation == "rpc" {
        return Err(
            Error::invalid(place, "the request is wrapped in <rpc>").with_hint(
                "send the operation element alone; extra attributes of <rpc> go into \"attributes\"",
            ),
        );
    }
    Ok(Prepared {
        operation,
        body: fragment,
        place: place.to_owned(),
        inside: inside.to_owned(),
        format: wire_format(format)?,
    })
}

/// What the device is asked for. Set lines exist for configuration only.
pub(super) fn wire_format(format: Format) -> Result<junos::Format, Error> {
    match format {
        Format::Json | Format::Xml => Ok(junos::Format::Xml),
        Format::Text => Ok(junos::Format::Text),
        Format::DeviceJson => Ok(junos::Format::Json),
        Format::Set => Err(Error::invalid("/format", "set is a format of configuration only")),
    }
}

fn named(name: &str, arguments: &Arguments) -> Result<Fragment, Error> {
    if !xml::name::is_ncname(name) {
        return Err(Error::invalid(
            "/name",
            format!("{name:?} is not the name of an RPC"),
        ));
    }
    let mut writer = Writer::new();
    writer.open(name).map_err(|error| unwritable("/name", &error))?;
    match arguments {
        Arguments::None => {}
        Arguments::Content(Content::Json(text)) => {
            if let Some(inner) = arguments_from_json(text)? {
                writer
                    .fragment(&inner)
                    .map_err(|error| unwritable("/arguments", &error))?;
            }
        }
        Arguments::Content(Content::Xml(text)) => {
            let inner = match arguments_from_xml(name, text)? {
                XmlArguments::Whole(operation) => return Ok(operation),
                XmlArguments::Inner(inner) => inner,
            };
            writer
                .fragment(&inner)
                .map_err(|error| unwritable("/arguments", &error))?;
        }
        Arguments::Pairs(pairs) => {
            for (key, value) in pairs {
                let place = format!("?{key}");
                if !xml::name::is_ncname(key) {
                    return Err(Error::invalid(
                        place,
                        format!("{key:?} is not the name of an element"),
                    ));
                }
                writer
                    .leaf(key, value.as_deref().unwrap_or_default())
                    .map_err(|error| unwritable(&place, &error))?;
            }
        }
    }
    writer.close().map_err(|error| unwritable("/name", &error))?;
    writer.finish().map_err(|error| unwritable("/name", &error))
}

/// What the XML of arguments may be.
enum XmlArguments {
    /// The operation element itself, with them inside.
    Whole(Fragment),
    Inner(Fragment),
}

/// Arguments in XML: the operation element with them inside, or they alone, one or several side by side.
fn arguments_from_xml(name: &str, text: &str) -> Result<XmlArguments, Error> {
    match from_xml(text, "/arguments") {
        Ok(one) if one.root_name() == name => Ok(XmlArguments::Whole(one)),
        Ok(one) => Ok(XmlArguments::Inner(one)),
        // A document has one root; several are whole inside of the operation, or not at all.
        Err(not_one) => match from_xml(&format!("<{name}>{text}</{name}>"), "/arguments") {
            Ok(operation) if holds_elements_only(&operation) => Ok(XmlArguments::Whole(operation)),
            Ok(_) | Err(_) => Err(not_one),
        },
    }
}

/// Whether no text stands between the arguments: it would be nobody's value.
fn holds_elements_only(operation: &Fragment) -> bool {
    Element::parse(operation.as_str(), &Limits::default()).is_ok_and(|operation| {
        operation.children.iter().all(|child| match child {
            Node::Element(_) => true,
            Node::Text(text) => text.trim().is_empty(),
        })
    })
}

/// `{}` stands for no arguments at all.
fn arguments_from_json(text: &str) -> Result<Option<Fragment>, Error> {
    if text
        .trim_matches(|c: char| c.is_ascii_whitespace() || c == '{' || c == '}')
        .is_empty()
    {
        let empty: Result<serde_json::Map<String, serde_json::Value>, _> = serde_json::from_str(text);
        if empty.is_ok_and(|members| members.is_empty()) {
            return Ok(None);
        }
    }
    from_json(text, Target::Arguments, "/arguments", &ToXmlOptions::default()).map(Some)
}

/// JSON to XML by the rules W1–W10, with `pointer` before the pointers of what is wrong.
pub(super) fn from_json(
    text: &str,
    target: Target,
    pointer: &str,
    options: &ToXmlOptions,
) -> Result<Fragment, Error> {
    let options = ToXmlOptions {
        limits: limits(),
        ..options.clone()
    };
    json::to_xml(text, target, &options)
        .map_err(|error| Error::invalid(format!("{pointer}{}", error.pointer), error.detail))
}

/// JSON in the device's own form, which is sent as it is, with `pointer` before the pointer of what is wrong.
///
/// # Errors
/// `invalid-argument`.
pub(super) fn check_device_json(text: &str, pointer: &str) -> Result<(), Error> {
    json::check_device_json(text, &limits())
        .map_err(|error| Error::invalid(format!("{pointer}{}", error.pointer), error.detail))
}

/// Bytes of configuration from which on it is turned into XML beside the threads that serve everybody.
const LARGE: usize = 256 << 10;

/// Does what turns so many bytes of configuration into XML: at once, or beside the threads that serve everybody if they
/// are many.
pub(super) async fn beside<T: Send + 'static>(
    bytes: usize,
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    if bytes < LARGE {
        return work();
    }
    super::devices::blocking(work).await?
}

/// The bounds of what a caller writes (N11): the message around it counts as well, so that a device reads nothing deeper
/// than the gateway would read itself.
pub(super) fn limits() -> Limits {
    let whole = Limits::default();
    Limits {
        depth: whole.depth - LEVELS_AROUND,
        ..whole
    }
}

/// Strictly parsed and written again (conventions X2).
pub(super) fn from_xml(text: &str, pointer: &str) -> Result<Fragment, Error> {
    Fragment::parse_one(text, &limits())
        .map_err(|error| Error::invalid(pointer, format!("the XML cannot be sent: {error}")))
}

fn unwritable(pointer: &str, error: &WriteError) -> Error {
    Error::invalid(pointer, error.to_string())
}
