//! Proof that a string is well-formed XML which may be put inside an `<rpc>`.

use memchr::memmem;

use super::error::{Limits, XmlError, XmlErrorKind};
use super::event::{Event, Handler};
use super::rewrite::Rewriter;
use super::tokenizer::Tokenizer;

/// Well-formed content: sibling elements without DOCTYPE or processing instructions, in which the end-of-message marker
/// cannot occur. Comments are only in what is converted to a whole document (J6). The default is no element at all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fragment(String);

impl Fragment {
    /// Takes a caller's raw XML (X2, W10): exactly one root, the literal `]]>]]>` refused wherever it stands, written
    /// anew so that only what was understood is passed on. Comments are left out.
    pub fn parse_one(text: &str, limits: &Limits) -> Result<Fragment, XmlError> {
        if let Some(found) = memmem::find(text.as_bytes(), b"]]>]]>") {
            return Err(XmlError::new(XmlErrorKind::EndOfMessageMarker, found as u64));
        }
        let mut rewriter = Rewriter::default();
        let mut tokenizer = Tokenizer::new(*limits).refuse_instructions();
        tokenizer.push(text.as_bytes(), &mut rewriter)?;
        tokenizer.finish(&mut rewriter)?;
        Ok(Fragment(rewriter.finish()))
    }

    /// For what the writer made.
    pub(super) fn trusted(text: String) -> Fragment {
        Fragment(text)
    }

    /// The XML text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether there is no element at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Local name of the first element; empty if there is none.
    pub fn root_name(&self) -> &str {
        let name = self.0.strip_prefix('<').unwrap_or_default();
        let name = &name[..name.find([' ', '/', '>']).unwrap_or(name.len())];
        name.split_once(':').map_or(name, |(_, local)| local)
    }

    /// Namespace of the first element, as far as it is declared there.
    ///
    /// # Errors
    /// A start tag that cannot be read: its namespace must not be guessed.
    pub fn root_namespace(&self) -> Result<Option<String>, XmlError> {
        // In values `>` is escaped, so the first one ends the first tag.
        let end = self.0.find('>').map_or(self.0.len(), |at| at + 1);
        let mut root = RootNamespace::default();
        Tokenizer::new(Limits::default()).push(&self.0.as_bytes()[..end], &mut root)?;
        Ok(root.0)
    }
}

/// Notes the namespace of the first element.
#[derive(Default)]
struct RootNamespace(Option<String>);

impl Handler for RootNamespace {
    type Error = XmlError;

    fn event(&mut self, event: Event<'_>) -> Result<(), XmlError> {
        if let Event::Start(start) = event {
            self.0 = start.ns().map(str::to_owned);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<String, XmlErrorKind> {
        match Fragment::parse_one(text, &Limits::default()) {
            Ok(fragment) => Ok(fragment.as_str().to_owned()),
            Err(error) => Err(error.kind),
        }
    }

    /// X2: what goes on is what was understood.
    #[test]
    fn raw_xml_is_written_anew() {
        assert_eq!(
            parsed(
                "<?xml version='1.0'?>\n<a  x = 'it\"s' xmlns:p='urn:p'><!-- c --><p:b></p:b><![CDATA[<&]]></a>\n"
            ),
            Ok(r#"<a xmlns:p="urn:p" x="it&quot;s"><p:b/>&lt;&amp;</a>"#.to_owned())
        );
    }

    #[test]
    fn namespace_of_the_root_is_that_of_its_prefix() {
        for (xml, expected) in [
            ("<a b=\"c>d\"/>", None),
            ("<a xmlns='urn:a'><b xmlns='urn:b'/></a>", Some("urn:a")),
            ("<p:a xmlns='urn:a' xmlns:p='urn:p'>x</p:a>", Some("urn:p")),
            ("<a xmlns:p='urn:p'/>", None),
        ] {
            let fragment = Fragment::parse_one(xml, &Limits::default()).expect("well-formed");
            assert_eq!(
                fragment.root_namespace(),
                Ok(expected.map(str::to_owned)),
                "{xml}"
            );
        }
        assert_eq!(Fragment::default().root_namespace(), Ok(None));
    }

    /// X2, and the EOM and DTD rows of the threat table.
    #[test]
    fn what_could_break_out_is_refused() {
        assert_eq!(parsed("<a>]]>]]></a>"), Err(XmlErrorKind::EndOfMessageMarker));
        assert_eq!(parsed("<a x=']]>]]>'/>"), Err(XmlErrorKind::EndOfMessageMarker));
        assert_eq!(
            parsed("<a><!-- ]]>]]> --></a>"),
            Err(XmlErrorKind::EndOfMessageMarker)
        );
        assert_eq!(
            parsed("<a><![CDATA[]]>]]></a>"),
            Err(XmlErrorKind::EndOfMessageMarker)
        );
        assert_eq!(
            parsed("<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>"),
            Err(XmlErrorKind::Doctype)
        );
        assert_eq!(parsed("<a>&b;</a>"), Err(XmlErrorKind::BadReference));
        assert_eq!(
            parsed("<a><?php x?></a>"),
            Err(XmlErrorKind::ProcessingInstruction)
        );
        for declaration in [
            "version='1.1'",
            "version='1.0' encoding='UTF-16'",
            "version='1.0' encoding='iso-8859-1'",
        ] {
            assert_eq!(
                parsed(&format!("<?xml {declaration}?><a/>")),
                Err(XmlErrorKind::OtherXml),
                "{declaration}"
            );
        }
        assert!(parsed("<?xml version='1.0' encoding='US-ASCII'?><a/>").is_ok());
        assert!(parsed("<?xml version='1.0' encoding='utf-8' standalone='yes'?><a/>").is_ok());
        assert_eq!(parsed("<a/><b/>"), Err(XmlErrorKind::SecondRoot));
        assert_eq!(
            parsed("</rpc><rpc>"),
            Err(XmlErrorKind::UnopenedEnd("rpc".into()))
        );
    }

    #[test]
    fn the_first_element_names_the_fragment() {
        for (text, name) in [
            ("<a/>", "a"),
            ("<nc:get x='1'/>", "get"),
            ("<get-config><x/></get-config>", "get-config"),
        ] {
            let text = text.replace("<nc:get", "<nc:get xmlns:nc='urn:x'");
            assert_eq!(
                Fragment::parse_one(&text, &Limits::default())
                    .unwrap()
                    .root_name(),
                name
            );
        }
        assert_eq!(Fragment::default().root_name(), "");
    }
}
