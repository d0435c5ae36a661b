//! What a device says: a small tree of elements, and its XML and JSON forms.
//!
//! The tree is built by the operations and written by the session. It is no `xml::Element`: it holds what a device
//! *prints* (prefixes, `xmlns` attributes, the line feeds around values), not what that means.

use std::borrow::Cow;

use crate::xml::{escape_attribute, escape_text};

/// One element as printed.
#[derive(Clone, Debug, PartialEq)]
pub struct Tag {
    /// Name, with the prefix if the device prints one.
    pub name: Cow<'static, str>,
    /// Attributes in order, `xmlns` declarations among them.
    pub attributes: Vec<(Cow<'static, str>, String)>,
    /// What stands inside.
    pub content: Content,
}

/// What stands inside an element.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// Nothing: `<x/>`.
    Empty,
    /// Text, escaped when it is written.
    Text(String),
    /// Elements, each on a line of its own.
    Tags(Vec<Tag>),
    /// Text as it is to go out; whoever makes it answers for its being well-formed (or means it not to be).
    Raw(String),
}

impl Tag {
    /// `<name/>`
    pub fn empty(name: impl Into<Cow<'static, str>>) -> Self {
        Self {
            name: name.into(),
            attributes: Vec::new(),
            content: Content::Empty,
        }
    }

    /// `<name>text</name>`
    pub fn leaf(name: impl Into<Cow<'static, str>>, text: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            attributes: Vec::new(),
            content: Content::Text(text.into()),
        }
    }

    /// `<name>…</name>` around other elements.
    pub fn parent(name: impl Into<Cow<'static, str>>, tags: Vec<Tag>) -> Self {
        let content = if tags.is_empty() {
            Content::Empty
        } else {
            Content::Tags(tags)
        };
        Self {
            name: name.into(),
            attributes: Vec::new(),
            content,
        }
    }

    /// `<name>` with raw text inside.
    pub fn raw(name: impl Into<Cow<'static, str>>, text: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            attributes: Vec::new(),
            content: Content::Raw(text.into()),
        }
    }

    /// The same with one more attribute.
    #[must_use]
    pub fn with(mut self, name: impl Into<Cow<'static, str>>, value: impl Into<String>) -> Self {
        self.attributes.push((name.into(), value.into()));
        self
    }

    /// Puts an element at the end. Text that was there is given up.
    pub fn push(&mut self, tag: Tag) {
        match &mut self.content {
            Content::Tags(tags) => tags.push(tag),
            Content::Empty | Content::Text(_) | Content::Raw(_) => self.content = Content::Tags(vec![tag]),
        }
    }

    /// The elements inside.
    pub fn tags(&self) -> &[Tag] {
        match &self.content {
            Content::Tags(tags) => tags,
            Content::Empty | Content::Text(_) | Content::Raw(_) => &[],
        }
    }

    /// Name without prefix.
    pub fn local(&self) -> &str {
        self.name.rsplit_once(':').map_or(&self.name, |(_, local)| local)
    }

    /// The first element inside with this local name.
    pub fn child(&self, local: &str) -> Option<&Tag> {
        self.tags().iter().find(|tag| tag.local() == local)
    }

    /// The text inside, trimmed.
    pub fn text(&self) -> &str {
        match &self.content {
            Content::Text(text) | Content::Raw(text) => text.trim(),
            Content::Empty | Content::Tags(_) => "",
        }
    }

    /// Trimmed text of the child of this name, or nothing.
    pub fn child_text(&self, local: &str) -> &str {
        self.child(local).map_or("", Tag::text)
    }

    /// Puts a line feed before and after every value, as some operational replies have it.
    #[must_use]
    pub fn padded(mut self) -> Self {
        match &mut self.content {
            Content::Text(text) => *text = format!("\n{text}\n"),
            Content::Tags(tags) => {
                for tag in tags {
                    *tag = std::mem::replace(tag, Tag::empty("")).padded();
                }
            }
            Content::Empty | Content::Raw(_) => {}
        }
        self
    }

    /// Appends the element as XML.
    pub fn write(&self, out: &mut String) {
        out.push('<');
        out.push_str(&self.name);
        for (name, value) in &self.attributes {
            out.push(' ');
            out.push_str(name);
            out.push_str("=\"");
            escape_attribute(value, out);
            out.push('"');
        }
        match &self.content {
            Content::Empty => {
                out.push_str("/>");
                return;
            }
            Content::Text(text) => {
                out.push('>');
                escape_text(text, out);
            }
            Content::Raw(text) => {
                out.push('>');
                out.push_str(text);
            }
            Content::Tags(tags) => {
                out.push_str(">\n");
                for tag in tags {
                    tag.write(out);
                    out.push('\n');
                }
            }
        }
        out.push_str("</");
        out.push_str(&self.name);
        out.push('>');
    }

    /// The element as XML.
    pub fn to_xml(&self) -> String {
        let mut out = String::new();
        self.write(&mut out);
        out
    }
}

/// The JSON that a device makes of elements side by side: every element an array, text under `data`, attributes
/// under `attributes`.
pub fn device_json(tags: &[Tag]) -> String {
    let mut out = String::new();
    object(tags, 0, &mut out);
    out.push('\n');
    out
}

fn object(tags: &[Tag], level: usize, out: &mut String) {
    out.push_str("{\n");
    members(tags, level + 1, out);
    indent(level, out);
    out.push('}');
}

/// One member per name; elements of one name share its array, wherever they stand.
fn members(tags: &[Tag], level: usize, out: &mut String) {
    let mut names: Vec<&str> = Vec::new();
    for tag in tags {
        if !names.contains(&&*tag.name) {
            names.push(&tag.name);
        }
    }
    for (at, name) in names.iter().enumerate() {
        indent(level, out);
        string(name, out);
        out.push_str(" : [\n");
        let mut first = true;
        for tag in tags.iter().filter(|tag| tag.name == *name) {
            if !std::mem::take(&mut first) {
                out.push_str(",\n");
            }
            indent(level, out);
            value(tag, level, out);
        }
        out.push('\n');
        indent(level, out);
        out.push_str(if at + 1 < names.len() { "],\n" } else { "]\n" });
    }
}

fn value(tag: &Tag, level: usize, out: &mut String) {
    out.push_str("{\n");
    let mut separator = "";
    if !tag.attributes.is_empty() {
        indent(level + 1, out);
        out.push_str("\"attributes\" : {");
        for (at, (name, value)) in tag.attributes.iter().enumerate() {
            out.push_str(if at > 0 { ", " } else { "" });
            string(name, out);
            out.push_str(" : ");
            string(value, out);
        }
        out.push('}');
        separator = ",\n";
    }
    match &tag.content {
        Content::Empty => out.push_str(if separator.is_empty() { "" } else { "\n" }),
        Content::Text(text) | Content::Raw(text) => {
            out.push_str(separator);
            indent(level + 1, out);
            out.push_str("\"data\" : ");
            string(text.trim(), out);
            out.push('\n');
        }
        Content::Tags(tags) => {
            out.push_str(separator);
            members(tags, level + 1, out);
        }
    }
    indent(level, out);
    out.push('}');
}

fn indent(level: usize, out: &mut String) {
    out.extend(std::iter::repeat_n("    ", level));
}

/// Appends a JSON string.
pub fn string(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Tag {
        Tag::parent(
            "software-information",
            vec![
                Tag::leaf("host-name", "mx<1>"),
                Tag::parent("package", vec![Tag::leaf("name", "os")]),
                Tag::parent("package", vec![Tag::empty("hidden")]),
            ],
        )
        .with("junos:style", "a\"b")
    }

    #[test]
    fn markup_is_escaped_and_each_element_stands_on_its_line() {
        assert_eq!(
            sample().to_xml(),
            "<software-information junos:style=\"a&quot;b\">\n<host-name>mx&lt;1&gt;</host-name>\n\
             <package>\n<name>os</name>\n</package>\n<package>\n<hidden/>\n</package>\n</software-information>"
        );
    }

    /// S10: the device's own JSON: arrays everywhere, `data` and `attributes`.
    #[test]
    fn device_json_puts_every_element_into_an_array() {
        let json: serde_json::Value = serde_json::from_str(&device_json(&[sample()])).unwrap();
        assert_eq!(
            json,
            serde_json::json!({"software-information": [{
                "attributes": {"junos:style": "a\"b"},
                "host-name": [{"data": "mx<1>"}],
                "package": [{"name": [{"data": "os"}]}, {"hidden": [{}]}],
            }]})
        );
    }

    #[test]
    fn padded_values_have_line_feeds_around_them() {
        assert_eq!(
            Tag::parent("a", vec![Tag::leaf("b", "c")]).padded().to_xml(),
            "<a>\n<b>\nc\n</b>\n</a>"
        );
    }
}
