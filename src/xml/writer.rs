//! The escaping writer: nothing that is not well-formed comes out (X1).

use super::fragment::Fragment;
use super::name::{is_qname, is_xml_char};

/// What cannot be written as XML.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// An element or attribute name that is no QName.
    #[error("{0:?} is not an XML name")]
    BadName(String),
    /// A character that XML 1.0 cannot hold.
    #[error("U+{:04X} is not allowed in XML", *.0 as u32)]
    BadCharacter(char),
    /// Text that a comment cannot hold (XML 1.0 section 2.5).
    #[error("a comment cannot hold \"--\"")]
    BadComment,
    /// An attribute with no start tag before it, or written twice.
    #[error("attribute {0:?} is misplaced or written twice")]
    BadAttribute(String),
    /// Elements left open, closed too often, or no element at all.
    #[error("start and end tags do not match")]
    Unbalanced,
}

/// Writes elements, escaping what is put in. `>` is always escaped, so that the end-of-message marker `]]>]]>` of
/// NETCONF 1.0 framing cannot appear. Elements without content are written `<x/>`.
#[derive(Clone, Debug, Default)]
pub struct Writer {
    out: String,
    open: Vec<String>,
    /// The start tag of the innermost element still lacks its `>`.
    in_tag: bool,
    /// Where that tag's attributes begin.
    attributes: Vec<String>,
}

impl Writer {
    /// An empty writer.
    pub fn new() -> Self {
        Writer::default()
    }

    /// Opens an element.
    pub fn open(&mut self, name: &str) -> Result<&mut Self, WriteError> {
        check_name(name)?;
        self.end_tag();
        self.out.push('<');
        self.out.push_str(name);
        self.open.push(name.to_owned());
        self.in_tag = true;
        self.attributes.clear();
        Ok(self)
    }

    /// Adds an attribute to the element just opened; `xmlns` declarations are written the same way.
    pub fn attr(&mut self, name: &str, value: &str) -> Result<&mut Self, WriteError> {
        check_name(name)?;
        check_text(value)?;
        if !self.in_tag || self.attributes.iter().any(|other| other == name) {
            return Err(WriteError::BadAttribute(name.to_owned()));
        }
        self.attributes.push(name.to_owned());
        self.out.push(' ');
        self.out.push_str(name);
        self.out.push_str("=\"");
        escape_attribute(value, &mut self.out);
        self.out.push('"');
        Ok(self)
    }

    /// Adds text to the innermost element. Empty text leaves `<x/>` as it is.
    pub fn text(&mut self, text: &str) -> Result<&mut Self, WriteError> {
        check_text(text)?;
        if self.open.is_empty() {
            return Err(WriteError::Unbalanced);
        }
        if !text.is_empty() {
            self.end_tag();
            escape_text(text, &mut self.out);
        }
        Ok(self)
    }

    /// Adds a comment to the innermost element, a blank on either side of its text.
    pub fn comment(&mut self, text: &str) -> Result<&mut Self, WriteError> {
        check_text(text)?;
        if text.contains("--") {
            return Err(WriteError::BadComment);
        }
        if self.open.is_empty() {
            return Err(WriteError::Unbalanced);
        }
        self.end_tag();
        self.out.push_str("<!-- ");
        self.out.push_str(text);
        self.out.push_str(" -->");
        Ok(self)
    }

    /// Closes the innermost element.
    pub fn close(&mut self) -> Result<&mut Self, WriteError> {
        let name = self.open.pop().ok_or(WriteError::Unbalanced)?;
        if self.in_tag {
            self.out.push_str("/>");
            self.in_tag = false;
        } else {
            self.out.push_str("</");
            self.out.push_str(&name);
            self.out.push('>');
        }
        Ok(self)
    }

    /// Writes the innermost element as a pair of tags even if nothing comes: `<x></x>`.
    pub fn keep_open(&mut self) -> &mut Self {
        self.end_tag();
        self
    }

    /// Whether nothing was written.
    pub fn is_empty(&self) -> bool {
        self.out.is_empty()
    }

    /// `<name/>`
    pub fn empty(&mut self, name: &str) -> Result<&mut Self, WriteError> {
        self.open(name)?.close()
    }

    /// `<name>text</name>`
    pub fn leaf(&mut self, name: &str, text: &str) -> Result<&mut Self, WriteError> {
        self.open(name)?.text(text)?.close()
    }

    /// Puts XML in that is known to be well-formed.
    pub fn fragment(&mut self, fragment: &Fragment) -> Result<&mut Self, WriteError> {
        self.end_tag();
        self.out.push_str(fragment.as_str());
        Ok(self)
    }

    /// Open elements.
    pub fn depth(&self) -> usize {
        self.open.len()
    }

    /// What was written: one or more whole elements.
    pub fn finish(self) -> Result<Fragment, WriteError> {
        if !self.open.is_empty() || self.out.is_empty() {
            return Err(WriteError::Unbalanced);
        }
        Ok(Fragment::trusted(self.out))
    }

    fn end_tag(&mut self) {
        if self.in_tag {
            self.out.push('>');
            self.in_tag = false;
        }
    }
}

fn check_name(name: &str) -> Result<(), WriteError> {
    if is_qname(name) {
        Ok(())
    } else {
        Err(WriteError::BadName(name.to_owned()))
    }
}

fn check_text(text: &str) -> Result<(), WriteError> {
    match text.chars().find(|c| !is_xml_char(*c)) {
        None => Ok(()),
        Some(c) => Err(WriteError::BadCharacter(c)),
    }
}

/// Appends `text` as XML text. CR is written as a reference, because a reader would turn it into LF.
pub fn escape_text(text: &str, out: &mut String) {
    escape(text, out, |byte| match byte {
        b'<' => Some("&lt;"),
        b'>' => Some("&gt;"),
        b'&' => Some("&amp;"),
        b'\r' => Some("&#13;"),
        _ => None,
    });
}

/// Appends `value` as an attribute value for double quotes. White space other than the blank is written as a
/// reference, because a reader would turn it into blanks.
pub fn escape_attribute(value: &str, out: &mut String) {
    escape(value, out, |byte| match byte {
        b'<' => Some("&lt;"),
        b'>' => Some("&gt;"),
        b'&' => Some("&amp;"),
        b'"' => Some("&quot;"),
        b'\t' => Some("&#9;"),
        b'\n' => Some("&#10;"),
        b'\r' => Some("&#13;"),
        _ => None,
    });
}

fn escape(text: &str, out: &mut String, replacement: impl Fn(u8) -> Option<&'static str>) {
    let mut plain = 0;
    for (at, byte) in text.bytes().enumerate() {
        if let Some(replacement) = replacement(byte) {
            out.push_str(&text[plain..at]);
            out.push_str(replacement);
            plain = at + 1;
        }
    }
    out.push_str(&text[plain..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Writer) -> Result<(), WriteError>) -> Result<String, WriteError> {
        let mut writer = Writer::new();
        write(&mut writer)?;
        Ok(writer.finish()?.as_str().to_owned())
    }

    #[test]
    fn elements_nest_and_empty_ones_close_themselves() {
        let xml = written(|w| {
            w.open("a")?
                .attr("x", "1")?
                .leaf("b", "t")?
                .empty("c")?
                .leaf("d", "")?
                .close()?;
            Ok(())
        });
        assert_eq!(xml.unwrap(), r#"<a x="1"><b>t</b><c/><d/></a>"#);
    }

    /// X1: the end-of-message marker cannot be produced, wherever it is put in.
    #[test]
    fn markup_in_text_and_attributes_is_escaped() {
        let xml = written(|w| {
            w.open("a")?
                .attr("x", "]]>]]>\"<&\t\n\r")?
                .text("]]>]]><&\r\n")?
                .close()?;
            Ok(())
        })
        .unwrap();
        assert_eq!(
            xml,
            "<a x=\"]]&gt;]]&gt;&quot;&lt;&amp;&#9;&#10;&#13;\">]]&gt;]]&gt;&lt;&amp;&#13;\n</a>"
        );
    }

    /// X1
    #[test]
    fn illegal_names_and_characters_are_refused() {
        assert_eq!(
            written(|w| w.empty("a b").map(drop)),
            Err(WriteError::BadName("a b".into()))
        );
        assert_eq!(
            written(|w| w.leaf("a", "\u{1}").map(drop)),
            Err(WriteError::BadCharacter('\u{1}'))
        );
        let twice = written(|w| w.open("a")?.attr("x", "")?.attr("x", "").map(drop));
        assert_eq!(twice, Err(WriteError::BadAttribute("x".into())));
        assert_eq!(
            written(|w| w.open("a")?.attr("x", "\u{FFFF}").map(drop)),
            Err(WriteError::BadCharacter('\u{FFFF}'))
        );
    }

    /// J6: what a comment cannot hold is not written.
    #[test]
    fn comments_are_written_or_refused() {
        let xml = written(|w| w.open("a")?.comment("keep-alive <&>")?.close().map(drop));
        assert_eq!(xml.unwrap(), "<a><!-- keep-alive <&> --></a>");
        for (text, expected) in [
            ("a--b", WriteError::BadComment),
            ("a-->", WriteError::BadComment),
            ("\u{1}", WriteError::BadCharacter('\u{1}')),
        ] {
            assert_eq!(
                written(|w| w.open("a")?.comment(text).map(drop)),
                Err(expected),
                "{text}"
            );
        }
        assert_eq!(
            written(|w| w.comment("outside").map(drop)),
            Err(WriteError::Unbalanced)
        );
    }

    #[test]
    fn unbalanced_writing_is_refused() {
        assert_eq!(written(|_| Ok(())), Err(WriteError::Unbalanced));
        assert_eq!(written(|w| w.open("a").map(drop)), Err(WriteError::Unbalanced));
        assert_eq!(written(|w| w.close().map(drop)), Err(WriteError::Unbalanced));
        assert_eq!(written(|w| w.text("x").map(drop)), Err(WriteError::Unbalanced));
    }
}
