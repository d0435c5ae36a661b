//! What `ncgate convert` does with a file or standard input: one document in, the other form out.

use std::io::Write;

use super::ConvertError;
use super::index::{Indexer, Selection};
use super::machine::Converter;
use super::options::{Mapping, Options};
use super::to_xml::{Target, ToXmlError, ToXmlOptions, to_xml};
use crate::xml::tokenizer::feed_source;
use crate::xml::{Limits, Source, Tokenizer};

/// Writes the XML document in `source` as JSON, in slices; prefixes need no declaration (N8). A document that is
/// followed by anything, the end-of-message marker too, is refused before the first byte is written.
///
/// With [`Mapping::Junos`] an rpc-reply is taken off, as a device does it (J8).
pub fn convert_to_json(source: &Source, options: &Options, out: &mut impl Write) -> Result<(), ConvertError> {
    let selection = match options.mapping {
        Mapping::Ncj => Selection::Document,
        Mapping::Junos => Selection::JunosReply,
    };
    let mut indexer = Indexer::new(selection);
    feed_source(
        source,
        Tokenizer::new(Limits::default()).lenient_prefixes(),
        &mut indexer,
    )?;
    let mut converter = Converter::new(source.clone(), indexer.finish(), options.clone());
    let mut slice = Vec::new();
    loop {
        let more = converter.fill(&mut slice)?;
        out.write_all(&slice).map_err(ConvertError::Write)?;
        slice.clear();
        if !more {
            return Ok(());
        }
    }
}

/// The XML document that `json` stands for: the inverse of [`convert_to_json`].
pub fn convert_to_xml(json: &str, options: &ToXmlOptions) -> Result<String, ToXmlError> {
    to_xml(json, Target::Document, options).map(|fragment| fragment.as_str().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::XmlErrorKind;

    fn json(xml: &str, options: &Options) -> Result<String, ConvertError> {
        let mut out = Vec::new();
        convert_to_json(&Source::from(xml.to_owned()), options, &mut out)?;
        Ok(String::from_utf8(out).unwrap())
    }

    /// N8: undeclared prefixes are accepted both ways.
    #[test]
    fn undeclared_prefixes_pass_both_ways() {
        let xml = r#"<a junos:style="x" foo:b="y"><nc:c/></a>"#;
        let there = json(xml, &Options::convert_default()).unwrap();
        assert_eq!(
            there,
            r#"{"a":{"@":{"junos:style":"x","foo:b":"y"},"c":null,"@c":{"xmlns":"urn:ietf:params:xml:ns:netconf:base:1.0"}}}"#
        );
        let back = convert_to_xml(&there, &ToXmlOptions::default()).unwrap();
        assert_eq!(
            back,
            "<a xmlns:junos=\"http://xml.juniper.net/junos/*/junos\" xmlns:foo=\"urn:ncgate:prefix:foo\" \
             junos:style=\"x\" foo:b=\"y\"><c xmlns=\"urn:ietf:params:xml:ns:netconf:base:1.0\"/></a>"
        );
        assert_eq!(json(&back, &Options::convert_default()).unwrap(), there);
    }

    /// A message with its end-of-message marker is text outside the root.
    #[test]
    fn an_end_of_message_marker_is_refused() {
        let error = json("<a/>\n]]>]]>", &Options::convert_default()).unwrap_err();
        assert!(matches!(error, ConvertError::Xml(error) if error.kind == XmlErrorKind::TextOutsideRoot));
    }

    /// J8
    #[test]
    fn the_device_takes_the_reply_off() {
        let options = Options {
            mapping: Mapping::Junos,
            ..Options::convert_default()
        };
        assert_eq!(
            json("<rpc-reply><a>1</a><cli><banner/></cli></rpc-reply>", &options).unwrap(),
            r#"{"a":[{"data":"1"}]}"#
        );
    }

    /// A reader that is gone ends the conversion.
    #[test]
    fn a_failed_write_is_reported() {
        struct Closed;
        impl Write for Closed {
            fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
                Err(std::io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let error = convert_to_json(
            &Source::from("<a/>".to_owned()),
            &Options::convert_default(),
            &mut Closed,
        );
        assert!(matches!(error, Err(ConvertError::Write(_))));
    }
}
