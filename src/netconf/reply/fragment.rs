//! Elements of a reply written as XML again, so that they can be read by themselves.

use crate::xml::{Start, escape_attribute, escape_text};

use super::MAX_FIELD;
use super::scanner::is_known_namespace;

/// Writes events as XML, as long as it is not too long: half an element is of no use. What a prefix stands for is
/// declared where it is used, if it was declared outside, and so is a default namespace that is no envelope's.
#[derive(Debug, Default)]
pub(super) struct BoundedXml {
    out: String,
    open: Vec<Open>,
    /// Prefixes declared in what is written, and how many elements were open outside.
    declared: Vec<(String, usize)>,
    /// The last start tag lacks its `>`.
    in_tag: bool,
    overflown: bool,
}

#[derive(Debug)]
struct Open {
    name: String,
    /// Whether a default namespace is declared here or further out.
    has_default: bool,
}

impl BoundedXml {
    /// What was written, nothing if that would have been too long, and whether that is all.
    pub(super) fn finish(self) -> (String, bool) {
        (self.out, !self.overflown)
    }

    pub(super) fn start(&mut self, start: &Start<'_>) {
        if self.overflown {
            return;
        }
        self.end_tag();
        self.out.push('<');
        self.out.push_str(start.name());
        let mut has_default = self.open.last().is_some_and(|open| open.has_default);
        for declaration in start.declarations() {
            match declaration.prefix {
                None => {
                    has_default = true;
                    self.attribute("xmlns", None, declaration.uri);
                }
                Some(prefix) => self.declare(prefix, declaration.uri),
            }
        }
        match (start.prefix(), start.ns()) {
            (Some(prefix), Some(ns)) => self.declare_inherited(prefix, ns),
            (None, Some(ns)) if !has_default && !is_known_namespace(Some(ns)) => {
                has_default = true;
                self.attribute("xmlns", None, ns);
            }
            (Some(_) | None, _) => {}
        }
        for attr in start.attributes() {
            if let (Some(prefix), Some(ns)) = (attr.prefix, attr.ns) {
                self.declare_inherited(prefix, ns);
            }
        }
        for attr in start.attributes() {
            self.attribute(attr.local, attr.prefix, attr.value);
        }
        self.in_tag = true;
        self.open.push(Open {
            name: start.name().to_owned(),
            has_default,
        });
        self.bound();
    }

    pub(super) fn text(&mut self, text: &str) {
        if self.overflown {
            return;
        }
        self.end_tag();
        escape_text(text, &mut self.out);
        self.bound();
    }

    pub(super) fn end(&mut self) {
        let Some(open) = self.open.pop() else { return };
        if self.in_tag {
            self.out.push_str("/>");
        } else {
            self.out.push_str("</");
            self.out.push_str(&open.name);
            self.out.push('>');
        }
        self.in_tag = false;
        let outside = self.open.len();
        self.declared.retain(|(_, level)| *level < outside);
        self.bound();
    }

    fn declare_inherited(&mut self, prefix: &str, ns: &str) {
        if prefix != "xml" && !self.declared.iter().any(|(known, _)| known == prefix) {
            self.declare(prefix, ns);
        }
    }

    fn declare(&mut self, prefix: &str, uri: &str) {
        self.attribute(prefix, Some("xmlns"), uri);
        self.declared.push((prefix.to_owned(), self.open.len()));
    }

    fn attribute(&mut self, local: &str, prefix: Option<&str>, value: &str) {
        self.out.push(' ');
        if let Some(prefix) = prefix {
            self.out.push_str(prefix);
            self.out.push(':');
        }
        self.out.push_str(local);
        self.out.push_str("=\"");
        escape_attribute(value, &mut self.out);
        self.out.push('"');
    }

    fn end_tag(&mut self) {
        if self.in_tag {
            self.out.push('>');
            self.in_tag = false;
        }
    }

    /// Too long: nothing is kept, and what comes is not looked at.
    fn bound(&mut self) {
        if self.out.len() > MAX_FIELD {
            *self = Self {
                overflown: true,
                ..Self::default()
            };
        }
    }
}
