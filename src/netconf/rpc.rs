//! The `<rpc>` envelope (RFC 6241 section 4.1, S8).

use std::collections::{BTreeSet, HashSet};

use crate::xml::{Fragment, NETCONF_BASE_NS, WriteError, Writer, name};

use super::capability::MissingCapability;

/// A request without its envelope: which operation, and its element.
#[derive(Debug, Clone, PartialEq)]
pub struct Rpc {
    /// Local name of the operation, for logs and metrics.
    pub operation: String,
    /// The operation's element.
    pub body: Fragment,
    /// Whether the reply may hold the unclosed routing-engine that some devices send after a commit, a check or
    /// a validate, and nowhere else.
    pub commits: bool,
}

impl Rpc {
    /// A request from its element.
    pub fn new(body: Fragment) -> Self {
        let operation = body.root_name().to_owned();
        let commits = matches!(operation.as_str(), "commit" | "commit-configuration" | "validate");
        Self {
            operation,
            body,
            commits,
        }
    }
}

/// Why a request cannot be built. Nothing was sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    #[error(transparent)]
    MissingCapability(#[from] MissingCapability),
    /// A parameter has a value that the operation cannot take, or not together with another one.
    #[error("{parameter}: {detail}")]
    Invalid { parameter: &'static str, detail: String },
    /// Something in the request cannot be written as XML (X1).
    #[error("the request cannot be written as XML")]
    Write(#[from] WriteError),
}

impl RequestError {
    /// A parameter that cannot be sent.
    pub fn invalid(parameter: &'static str, detail: impl Into<String>) -> Self {
        Self::Invalid {
            parameter,
            detail: detail.into(),
        }
    }
}

/// Attributes that a caller may put on `<rpc>`, declarations included. Devices refuse far fewer than XML allows, and the
/// gateway adds its own.
pub const MAX_ATTRIBUTES: usize = 64;

/// Why a caller's attribute cannot stand on `<rpc>`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AttributeError {
    #[error("{0:?} is not an XML attribute name")]
    BadName(String),
    #[error("attribute {0} belongs to the gateway")]
    Reserved(String),
    #[error("attribute {0} is given twice")]
    Duplicate(String),
    #[error("attribute {0} needs a declaration of its prefix, xmlns:{1}")]
    UndeclaredPrefix(String, String),
    #[error("attribute {0} must name a namespace")]
    BadDeclaration(String),
    #[error("{0} attributes, where {MAX_ATTRIBUTES} are allowed")]
    TooMany(usize),
    #[error("attribute {name} holds U+{:04X}, which is not allowed in XML", u32::from(*.character))]
    BadCharacter { name: String, character: char },
}

impl AttributeError {
    /// The attribute that is refused, as the caller wrote it; none if it is not about one.
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::TooMany(_) => None,
            Self::BadName(name)
            | Self::Reserved(name)
            | Self::Duplicate(name)
            | Self::UndeclaredPrefix(name, _)
            | Self::BadDeclaration(name)
            | Self::BadCharacter { name, .. } => Some(name),
        }
    }
}

/// What can be wrong with an envelope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    #[error(transparent)]
    Attribute(#[from] AttributeError),
    #[error("the rpc cannot be written as XML")]
    Write(#[from] WriteError),
}

/// Checks the attributes that a caller wants on `<rpc>`, before anything is queued.
///
/// # Errors
/// More than [`MAX_ATTRIBUTES`], names that are no QNames, prefixes without a declaration beside them, what the gateway writes itself
/// (`message-id`, the default namespace), duplicates, characters that XML cannot hold.
pub fn check_attributes(attributes: &[(String, String)]) -> Result<(), AttributeError> {
    if attributes.len() > MAX_ATTRIBUTES {
        return Err(AttributeError::TooMany(attributes.len()));
    }
    let declared: HashSet<&str> = attributes
        .iter()
        .filter_map(|(name, _)| name.strip_prefix("xmlns:"))
        .collect();
    let mut seen = BTreeSet::new();
    for (attribute, value) in attributes {
        if !name::is_qname(attribute) {
            return Err(AttributeError::BadName(attribute.clone()));
        }
        if attribute == "message-id" || attribute == "xmlns" {
            return Err(AttributeError::Reserved(attribute.clone()));
        }
        if !seen.insert(attribute.as_str()) {
            return Err(AttributeError::Duplicate(attribute.clone()));
        }
        if let Some(character) = value.chars().find(|c| !name::is_xml_char(*c)) {
            return Err(AttributeError::BadCharacter {
                name: attribute.clone(),
                character,
            });
        }
        check_prefix(attribute, value, &declared)?;
    }
    Ok(())
}

fn check_prefix(attribute: &str, value: &str, declared: &HashSet<&str>) -> Result<(), AttributeError> {
    match attribute.split_once(':') {
        None | Some(("xml", _)) => Ok(()),
        // Namespaces in XML, section 3: these two cannot be bound again, and a prefix cannot be unbound.
        Some(("xmlns", "xml" | "xmlns")) => Err(AttributeError::BadDeclaration(attribute.to_owned())),
        Some(("xmlns", _)) if value.is_empty() => Err(AttributeError::BadDeclaration(attribute.to_owned())),
        Some(("xmlns", _)) => Ok(()),
        Some((prefix, _)) if declared.contains(prefix) => Ok(()),
        Some((prefix, _)) => Err(AttributeError::UndeclaredPrefix(
            attribute.to_owned(),
            prefix.to_owned(),
        )),
    }
}

/// One whole message: `<rpc>` with its message-id, the caller's attributes and the operation. Framing excluded.
///
/// # Errors
/// Attributes that `check_attributes` refuses; a message-id that XML cannot hold.
pub fn envelope(
    message_id: &str,
    attributes: &[(String, String)],
    rpc: &Rpc,
) -> Result<String, EnvelopeError> {
    check_attributes(attributes)?;
    let mut writer = Writer::new();
    writer
        .open("rpc")?
        .attr("xmlns", NETCONF_BASE_NS)?
        .attr("message-id", message_id)?;
    for (name, value) in attributes {
        writer.attr(name, value)?;
    }
    writer.fragment(&rpc.body)?.close()?;
    Ok(writer.finish()?.as_str().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::{Limits, tree::Element};

    fn rpc(xml: &str) -> Rpc {
        Rpc::new(Fragment::parse_one(xml, &Limits::default()).expect("a well-formed fragment"))
    }

    fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
        list.iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    /// S8: message-id, the caller's attributes, the base namespace, self-closing tags.
    #[test]
    fn envelope_is_byte_exact() {
        let attributes = pairs(&[
            ("tag", "a<b"),
            ("x:y", "1"),
            ("xmlns:x", "urn:x"),
            ("xml:lang", "en"),
        ]);
        let message =
            envelope("7", &attributes, &rpc("<get-x><terse></terse></get-x>")).expect("it can be written");
        assert_eq!(
            message,
            "<rpc xmlns=\"urn:ietf:params:xml:ns:netconf:base:1.0\" message-id=\"7\" tag=\"a&lt;b\" x:y=\"1\" \
             xmlns:x=\"urn:x\" xml:lang=\"en\"><get-x><terse/></get-x></rpc>"
        );
        assert!(Element::parse(&message, &Limits::default()).is_ok());
    }

    /// S8, X1: attributes that cannot be written, or are not the caller's to write.
    #[test]
    fn bad_attributes_are_refused() {
        let refused = |list| check_attributes(&pairs(list)).expect_err("the attribute is bad");
        assert_eq!(refused(&[("a b", "")]), AttributeError::BadName("a b".into()));
        assert_eq!(
            refused(&[("a=\"1\" b", "")]),
            AttributeError::BadName("a=\"1\" b".into())
        );
        assert_eq!(
            refused(&[("message-id", "1")]),
            AttributeError::Reserved("message-id".into())
        );
        assert_eq!(
            refused(&[("xmlns", "urn:a")]),
            AttributeError::Reserved("xmlns".into())
        );
        assert_eq!(
            refused(&[("a", "1"), ("a", "2")]),
            AttributeError::Duplicate("a".into())
        );
        assert_eq!(
            refused(&[("p:a", "1")]),
            AttributeError::UndeclaredPrefix("p:a".into(), "p".into())
        );
        assert_eq!(
            refused(&[("xmlns:p", "")]),
            AttributeError::BadDeclaration("xmlns:p".into())
        );
        assert_eq!(
            refused(&[("xmlns:xml", "urn:a")]),
            AttributeError::BadDeclaration("xmlns:xml".into())
        );
        let control = refused(&[("a", "\u{1}")]);
        assert_eq!(
            control.to_string(),
            "attribute a holds U+0001, which is not allowed in XML"
        );
        assert_eq!(control.name(), Some("a"));
        assert!(check_attributes(&pairs(&[("p:a", "1"), ("xmlns:p", "urn:p")])).is_ok());
    }

    /// S8: what XML would hold is still bounded, before anything is looked at one by one.
    #[test]
    fn attributes_are_counted() {
        let many = |count: usize| -> Vec<(String, String)> {
            (0..count).map(|n| (format!("a{n}"), String::new())).collect()
        };
        assert_eq!(check_attributes(&many(MAX_ATTRIBUTES)), Ok(()));
        let refused = check_attributes(&many(MAX_ATTRIBUTES + 1)).expect_err("one too many");
        assert_eq!(refused, AttributeError::TooMany(65));
        assert_eq!(refused.name(), None);
        assert_eq!(refused.to_string(), "65 attributes, where 64 are allowed");
    }

    /// The repair of an unclosed routing-engine is for these replies only.
    #[test]
    fn only_commits_and_validations_are_repaired() {
        for (xml, commits) in [
            ("<commit/>", true),
            ("<commit-configuration><check/></commit-configuration>", true),
            ("<validate><source><candidate/></source></validate>", true),
            ("<get-commit-information/>", false),
        ] {
            assert_eq!(rpc(xml).commits, commits, "{xml}");
        }
        assert_eq!(rpc("<nc:commit xmlns:nc=\"urn:a\"/>").operation, "commit");
    }
}
