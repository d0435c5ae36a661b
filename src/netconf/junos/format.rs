//! In which form a device is asked to answer (S10, S11).

use crate::netconf::rpc::{RequestError, Rpc};
use crate::xml::tree::{Attribute, Element};
use crate::xml::{Limits, Writer};

/// The form of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    #[default]
    Xml,
    /// Formatted ASCII, as the CLI shows it.
    Text,
    /// `set` commands; configuration only.
    Set,
    /// The device's own JSON, which is passed through unread.
    Json,
}

impl Format {
    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Xml => "xml",
            Self::Text => "text",
            Self::Set => "set",
            Self::Json => "json",
        }
    }
}

/// Asks for the answer of any operational request in `format`. XML is the device's default and is not asked for.
///
/// # Errors
/// `set` is for configuration only.
pub fn with_format(rpc: Rpc, format: Format) -> Result<Rpc, RequestError> {
    match format {
        Format::Xml => return Ok(rpc),
        Format::Set => {
            return Err(RequestError::invalid(
                "format",
                "set is a format of configuration only",
            ));
        }
        Format::Text | Format::Json => {}
    }
    let mut root = Element::parse(rpc.body.as_str(), &Limits::default())
        .map_err(|error| RequestError::invalid("rpc", error.to_string()))?;
    root.attributes
        .retain(|attribute| attribute.prefix.is_some() || attribute.local != "format");
    root.attributes.push(Attribute {
        prefix: None,
        local: "format".to_owned(),
        ns: None,
        value: format.as_str().to_owned(),
    });
    let mut writer = Writer::new();
    root.write(&mut writer)?;
    Ok(Rpc {
        body: writer.finish()?,
        ..rpc
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::Fragment;

    /// S10: the format is an attribute of the request tag.
    #[test]
    fn format_goes_on_the_request_tag() {
        let rpc = |xml: &str| Rpc::new(Fragment::parse_one(xml, &Limits::default()).expect("well-formed"));
        let request =
            || rpc("<get-interface-information><terse/><x a=\"1\"> y </x></get-interface-information>");
        for (format, expected) in [
            (
                Format::Xml,
                "<get-interface-information><terse/><x a=\"1\"> y </x></get-interface-information>",
            ),
            (
                Format::Text,
                "<get-interface-information format=\"text\"><terse/><x a=\"1\"> y </x></get-interface-information>",
            ),
            (
                Format::Json,
                "<get-interface-information format=\"json\"><terse/><x a=\"1\"> y </x></get-interface-information>",
            ),
        ] {
            let asked = with_format(request(), format).expect("a format of operational requests");
            assert_eq!(asked.body.as_str(), expected);
            assert_eq!(asked.operation, "get-interface-information");
        }
        assert!(matches!(
            with_format(request(), Format::Set),
            Err(RequestError::Invalid { .. })
        ));
        let again = with_format(rpc("<a format=\"xml\"/>"), Format::Text).expect("a format");
        assert_eq!(again.body.as_str(), "<a format=\"text\"/>");
    }
}
