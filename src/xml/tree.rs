//! A small tree, for hellos, rpc-errors, filters and the emulator's configuration; never for replies, whose size is
//! the device's choice.

use super::error::{Limits, XmlError};
use super::event::{Event, Handler, Start};
use super::tokenizer::Tokenizer;
use super::writer::{WriteError, Writer};

/// Bytes of a document that are read together when not all of it may be wanted.
const PIECE: usize = 1 << 10;

/// An element with all that is in it. Comments are not kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Element {
    /// The prefix as written.
    pub prefix: Option<String>,
    /// The name without its prefix.
    pub local: String,
    /// The namespace name.
    pub ns: Option<String>,
    /// Attributes in document order, declarations left out.
    pub attributes: Vec<Attribute>,
    /// Elements and text in document order.
    pub children: Vec<Node>,
    /// Whether it was written `<x/>`.
    pub self_closing: bool,
}

/// What an element holds. Neighbouring pieces of text are one node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    /// A child element.
    Element(Element),
    /// Text, decoded.
    Text(String),
}

/// An attribute, its value decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribute {
    /// The prefix as written.
    pub prefix: Option<String>,
    /// The name without its prefix.
    pub local: String,
    /// The namespace name; none without a prefix.
    pub ns: Option<String>,
    /// The value.
    pub value: String,
}

impl Element {
    /// An element without namespace, attributes and content.
    pub fn new(local: impl Into<String>) -> Self {
        Element {
            local: local.into(),
            ..Element::default()
        }
    }

    /// Parses a whole document, strictly.
    pub fn parse(text: &str, limits: &Limits) -> Result<Element, XmlError> {
        let mut builder = Builder::default();
        let mut tokenizer = Tokenizer::new(*limits);
        tokenizer.push(text.as_bytes(), &mut builder)?;
        tokenizer.finish(&mut builder)?;
        // The tokenizer insists on exactly one root, so it was closed and kept.
        Ok(builder.root.unwrap_or_default())
    }

    /// The beginning of a document that is known to be well-formed: `most` elements of this local name, and not much more.
    /// What is open there is closed.
    pub fn parse_beginning(
        text: &str,
        limits: &Limits,
        local: &str,
        most: usize,
    ) -> Result<Element, XmlError> {
        let mut builder = Builder {
            counted: Some(local.to_owned()),
            ..Builder::default()
        };
        let mut tokenizer = Tokenizer::new(*limits);
        for piece in text.as_bytes().chunks(PIECE) {
            tokenizer.push(piece, &mut builder)?;
            if builder.ended >= most {
                while builder.root.is_none() && !builder.open.is_empty() {
                    builder.end();
                }
                return Ok(builder.root.unwrap_or_default());
            }
        }
        tokenizer.finish(&mut builder)?;
        Ok(builder.root.unwrap_or_default())
    }

    /// The first child element with this local name.
    pub fn child(&self, local: &str) -> Option<&Element> {
        self.children().find(|child| child.local == local)
    }

    /// Child elements in document order.
    pub fn children(&self) -> impl Iterator<Item = &Element> {
        self.children.iter().filter_map(|node| match node {
            Node::Element(element) => Some(element),
            Node::Text(_) => None,
        })
    }

    /// Child elements with this local name.
    pub fn children_named<'a>(&'a self, local: &'a str) -> impl Iterator<Item = &'a Element> {
        self.children().filter(move |child| child.local == local)
    }

    /// The first element with this local name in document order: this one, or one of those below it.
    pub fn find(&self, local: &str) -> Option<&Element> {
        if self.local == local {
            return Some(self);
        }
        self.children().find_map(|child| child.find(local))
    }

    /// The value of the attribute with this local name, one without a prefix first.
    pub fn attribute(&self, local: &str) -> Option<&str> {
        let named = || self.attributes.iter().filter(|a| a.local == local);
        named()
            .find(|a| a.prefix.is_none())
            .or_else(|| named().next())
            .map(|a| a.value.as_str())
    }

    /// The element's own text, without that of its children, blanks at both ends taken off.
    pub fn text(&self) -> String {
        let own: String = self
            .children
            .iter()
            .filter_map(|node| match node {
                Node::Element(_) => None,
                Node::Text(text) => Some(text.as_str()),
            })
            .collect();
        own.trim().to_owned()
    }

    /// Follows local names downwards, taking the first match of each.
    pub fn path(&self, names: &[&str]) -> Option<&Element> {
        names.iter().try_fold(self, |element, name| element.child(name))
    }

    /// Writes the element, declaring namespaces where they change.
    pub fn write(&self, writer: &mut Writer) -> Result<(), WriteError> {
        self.write_in(writer, &mut Vec::new())
    }

    /// `scope` holds the bindings that were written so far, innermost last.
    fn write_in<'a>(
        &'a self,
        writer: &mut Writer,
        scope: &mut Vec<(Option<&'a str>, Option<&'a str>)>,
    ) -> Result<(), WriteError> {
        let outside = scope.len();
        writer.open(&joined(self.prefix.as_deref(), &self.local))?;
        declare(writer, scope, self.prefix.as_deref(), self.ns.as_deref())?;
        for attribute in &self.attributes {
            if attribute.prefix.is_some() {
                declare(
                    writer,
                    scope,
                    attribute.prefix.as_deref(),
                    attribute.ns.as_deref(),
                )?;
            }
        }
        for attribute in &self.attributes {
            writer.attr(
                &joined(attribute.prefix.as_deref(), &attribute.local),
                &attribute.value,
            )?;
        }
        for node in &self.children {
            match node {
                Node::Element(child) => child.write_in(writer, scope)?,
                Node::Text(text) => {
                    writer.text(text)?;
                }
            }
        }
        writer.close()?;
        scope.truncate(outside);
        Ok(())
    }
}

fn joined(prefix: Option<&str>, local: &str) -> String {
    prefix.map_or_else(|| local.to_owned(), |prefix| format!("{prefix}:{local}"))
}

fn declare<'a>(
    writer: &mut Writer,
    scope: &mut Vec<(Option<&'a str>, Option<&'a str>)>,
    prefix: Option<&'a str>,
    ns: Option<&'a str>,
) -> Result<(), WriteError> {
    let bound = scope
        .iter()
        .rev()
        .find(|(bound, _)| *bound == prefix)
        .and_then(|(_, ns)| *ns);
    if bound == ns || prefix == Some("xml") {
        return Ok(());
    }
    match (prefix, ns) {
        (None, _) => writer.attr("xmlns", ns.unwrap_or_default())?,
        (Some(prefix), Some(ns)) => writer.attr(&format!("xmlns:{prefix}"), ns)?,
        // A prefix in no namespace cannot be declared; it was set by hand and stays as it is.
        (Some(_), None) => return Ok(()),
    };
    scope.push((prefix, ns));
    Ok(())
}

/// Builds the tree from events.
#[derive(Default)]
struct Builder {
    open: Vec<Element>,
    root: Option<Element>,
    /// How many elements of this name have ended.
    counted: Option<String>,
    ended: usize,
}

impl Builder {
    /// The innermost element ends.
    fn end(&mut self) {
        if let Some(done) = self.open.pop() {
            self.ended += usize::from(self.counted.as_ref() == Some(&done.local));
            match self.open.last_mut() {
                Some(parent) => parent.children.push(Node::Element(done)),
                None => self.root = Some(done),
            }
        }
    }
}

impl Handler for Builder {
    type Error = XmlError;

    fn event(&mut self, event: Event<'_>) -> Result<(), XmlError> {
        match event {
            Event::Start(start) => self.open.push(element(&start)),
            Event::Text(text) => {
                if let Some(parent) = self.open.last_mut() {
                    match parent.children.last_mut() {
                        Some(Node::Text(before)) => before.push_str(text),
                        Some(Node::Element(_)) | None => parent.children.push(Node::Text(text.to_owned())),
                    }
                }
            }
            Event::End { .. } => self.end(),
            Event::Comment(_) => {}
        }
        Ok(())
    }
}

fn element(start: &Start<'_>) -> Element {
    Element {
        prefix: start.prefix().map(str::to_owned),
        local: start.local().to_owned(),
        ns: start.ns().map(str::to_owned),
        attributes: start
            .attributes()
            .map(|a| Attribute {
                prefix: a.prefix.map(str::to_owned),
                local: a.local.to_owned(),
                ns: a.ns.map(str::to_owned),
                value: a.value.to_owned(),
            })
            .collect(),
        children: Vec::new(),
        self_closing: start.self_closing(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str =
        "<a xmlns='urn:a' xmlns:p='urn:p' p:x='1' x='2'><b>one &amp; </b>t<p:c/><b>two</b><n xmlns=''/></a>";

    fn tree() -> Element {
        Element::parse(TEXT, &Limits::default()).unwrap()
    }

    #[test]
    fn children_attributes_and_text_are_found_by_local_name() {
        let a = tree();
        assert_eq!(a.ns.as_deref(), Some("urn:a"));
        assert_eq!(a.attribute("x"), Some("2"));
        assert_eq!(a.child("b").map(Element::text).as_deref(), Some("one &"));
        assert_eq!(a.children_named("b").count(), 2);
        assert_eq!(a.text(), "t");
        assert_eq!(a.child("c").unwrap().ns.as_deref(), Some("urn:p"));
        assert!(a.child("c").unwrap().self_closing);
        assert_eq!(a.path(&["b"]).map(Element::text).as_deref(), Some("one &"));
        assert!(a.path(&["b", "z"]).is_none());
    }

    #[test]
    fn a_beginning_ends_behind_what_is_wanted() {
        let item = format!("<i>{}<j/></i>", "x".repeat(PIECE));
        let text = format!("<a><b>{}</b><c/></a>", item.repeat(9));
        let begun = |most| {
            let begun = Element::parse_beginning(&text, &Limits::default(), "i", most).unwrap();
            let items = begun.path(&["b"]).map(|b| b.children_named("i").count());
            (items, begun.child("c").is_some())
        };
        assert_eq!(begun(1).0, Some(2));
        assert_eq!(begun(4).0, Some(5));
        assert_eq!(begun(10), (Some(9), true));
    }

    #[test]
    fn a_written_tree_reads_back_as_the_same_tree() {
        let mut writer = Writer::new();
        tree().write(&mut writer).unwrap();
        let text = writer.finish().unwrap();
        assert_eq!(Element::parse(text.as_str(), &Limits::default()).unwrap(), tree());
    }
}
