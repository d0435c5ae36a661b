//! What the tokenizer hands out.

use super::error::XmlError;
use super::namespace::{NamespaceId, Namespaces};
use super::tag::{RawAttribute, RawDeclaration, RawValue};

/// Takes the events of a document in order.
pub trait Handler {
    /// What stops the parse; must be able to carry the tokenizer's own refusals.
    type Error: From<XmlError>;

    /// One event. An error ends the parse; the tokenizer must not be used afterwards.
    fn event(&mut self, event: Event<'_>) -> Result<(), Self::Error>;
}

/// One event of a document. Every `Start` is followed by its `End`, also for `<x/>`.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// A start tag or an empty-element tag.
    Start(Start<'a>),
    /// The end of the innermost open element.
    End {
        /// Where the end tag begins; equal to `offset` after `<x/>`.
        start: u64,
        /// Just behind the end tag.
        offset: u64,
    },
    /// A piece of text inside the root, decoded; a run of text may come in several pieces, none of them empty.
    Text(&'a str),
    /// A comment's content, anywhere in the document.
    Comment(&'a str),
}

/// A start tag.
#[derive(Clone, Copy, Debug)]
pub struct Start<'a> {
    pub(super) name: &'a str,
    /// Bytes of the prefix, the colon excluded; 0 for none.
    pub(super) prefix_len: usize,
    pub(super) ns: NamespaceId,
    pub(super) self_closing: bool,
    pub(super) attributes: &'a [RawAttribute],
    pub(super) declarations: &'a [RawDeclaration],
    /// The tag as written, from `<` to `>`.
    pub(super) tag: &'a str,
    /// Attribute values that had to be decoded.
    pub(super) decoded: &'a str,
    pub(super) namespaces: &'a Namespaces,
    pub(super) offset: u64,
    pub(super) depth: usize,
}

impl<'a> Start<'a> {
    /// The name as written, prefix included.
    pub fn name(&self) -> &'a str {
        self.name
    }

    /// The name without its prefix.
    pub fn local(&self) -> &'a str {
        if self.prefix_len == 0 {
            self.name
        } else {
            &self.name[self.prefix_len + 1..]
        }
    }

    /// The prefix as written.
    pub fn prefix(&self) -> Option<&'a str> {
        (self.prefix_len > 0).then(|| &self.name[..self.prefix_len])
    }

    /// The namespace name.
    pub fn ns(&self) -> Option<&'a str> {
        self.namespaces.name(self.ns)
    }

    /// The namespace as a number that is the same for all elements of this document in that namespace.
    pub fn ns_id(&self) -> NamespaceId {
        self.ns
    }

    /// Whether it was written `<x/>`.
    pub fn self_closing(&self) -> bool {
        self.self_closing
    }

    /// Whether there are neither attributes nor declarations.
    pub fn is_bare(&self) -> bool {
        self.attributes.is_empty() && self.declarations.is_empty()
    }

    /// Attributes in document order, without namespace declarations.
    pub fn attributes(&self) -> Attributes<'a> {
        Attributes {
            start: *self,
            next: 0,
        }
    }

    /// The value of the attribute with this local name in no namespace, or else in any.
    pub fn attribute(&self, local: &str) -> Option<&'a str> {
        self.attributes()
            .find(|a| a.prefix.is_none() && a.local == local)
            .or_else(|| self.attributes().find(|a| a.local == local))
            .map(|a| a.value)
    }

    /// Namespace declarations in document order.
    pub fn declarations(&self) -> impl Iterator<Item = Declaration<'a>> {
        let start = *self;
        self.declarations.iter().map(move |raw| Declaration {
            prefix: (!raw.prefix.is_empty()).then(|| &start.tag[raw.prefix.clone()]),
            uri: start.value(&raw.value),
        })
    }

    /// The prefixes that may be used here and what they stand for, in no order.
    pub fn prefixes(&self) -> impl ExactSizeIterator<Item = (&'a str, &'a str)> {
        self.namespaces.bound()
    }

    /// Where the tag begins, in bytes from the start of the document.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Just behind the tag.
    pub fn end_offset(&self) -> u64 {
        self.offset + self.tag.len() as u64
    }

    /// Open elements with this one: 1 for the root.
    pub fn depth(&self) -> usize {
        self.depth
    }

    fn value(&self, value: &RawValue) -> &'a str {
        match value {
            RawValue::Verbatim(range) => &self.tag[range.clone()],
            RawValue::Decoded(range) => &self.decoded[range.clone()],
        }
    }
}

/// One attribute, its value decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attr<'a> {
    /// The prefix as written.
    pub prefix: Option<&'a str>,
    /// The name without its prefix.
    pub local: &'a str,
    /// The namespace name; an attribute without a prefix is in none.
    pub ns: Option<&'a str>,
    /// The value, references decoded and white space normalised (XML 1.0 section 3.3.3).
    pub value: &'a str,
}

/// The attributes of a start tag.
#[derive(Clone, Debug)]
pub struct Attributes<'a> {
    start: Start<'a>,
    next: usize,
}

impl<'a> Iterator for Attributes<'a> {
    type Item = Attr<'a>;

    fn next(&mut self) -> Option<Attr<'a>> {
        let raw = self.start.attributes.get(self.next)?;
        self.next += 1;
        let name = &self.start.tag[raw.name.clone()];
        let (prefix, local) = match raw.prefix_len {
            0 => (None, name),
            len => (Some(&name[..len]), &name[len + 1..]),
        };
        Some(Attr {
            prefix,
            local,
            ns: self.start.namespaces.name(raw.ns),
            value: self.start.value(&raw.value),
        })
    }
}

/// One `xmlns` or `xmlns:prefix` attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Declaration<'a> {
    /// `None` declares the default namespace.
    pub prefix: Option<&'a str>,
    /// The namespace name; empty takes the default namespace back.
    pub uri: &'a str,
}
