//! Writing XML again from its events, with other attributes where they are wanted.

use super::error::{Limits, XmlError};
use super::event::{Event, Handler, Start};
use super::fragment::Fragment;
use super::tokenizer::Tokenizer;
use super::writer::{escape_attribute, escape_text};

/// Attributes and declarations of an element, in order, names as written.
pub type AttributeList = Vec<(String, String)>;

/// Decides what becomes of the elements of a fragment, in document order.
pub trait Change {
    /// What stops it; must be able to carry the reader's own refusals.
    type Error: From<XmlError>;

    /// The attributes and declarations that an element gets, in order, names as written; `None` leaves it as it is.
    /// `depth` is 1 for an outermost element.
    #[allow(clippy::type_complexity)]
    fn start(
        &mut self,
        start: &Start<'_>,
        depth: usize,
    ) -> Result<Option<Vec<(String, String)>>, Self::Error>;

    /// The innermost open element ends.
    fn end(&mut self) -> Result<(), Self::Error>;
}

/// Writes the events of a document again, with nothing but elements, attributes and text.
#[derive(Default)]
pub(super) struct Rewriter {
    out: String,
    open: Vec<String>,
    in_tag: bool,
}

impl Rewriter {
    pub(super) fn finish(self) -> String {
        self.out
    }

    fn start(&mut self, start: &Start<'_>) {
        self.open_tag(start.name());
        for declaration in start.declarations() {
            match declaration.prefix {
                None => self.attribute("xmlns", None, declaration.uri),
                Some(prefix) => self.attribute("xmlns", Some(prefix), declaration.uri),
            }
        }
        for attr in start.attributes() {
            match attr.prefix {
                None => self.attribute(attr.local, None, attr.value),
                Some(prefix) => self.attribute(prefix, Some(attr.local), attr.value),
            }
        }
    }

    fn open_tag(&mut self, name: &str) {
        self.end_tag();
        self.out.push('<');
        self.out.push_str(name);
        self.open.push(name.to_owned());
        self.in_tag = true;
    }

    fn attribute(&mut self, first: &str, second: Option<&str>, value: &str) {
        self.out.push(' ');
        self.out.push_str(first);
        if let Some(second) = second {
            self.out.push(':');
            self.out.push_str(second);
        }
        self.out.push_str("=\"");
        escape_attribute(value, &mut self.out);
        self.out.push('"');
    }

    fn text(&mut self, text: &str) {
        self.end_tag();
        escape_text(text, &mut self.out);
    }

    fn end(&mut self) {
        let name = self.open.pop().unwrap_or_default();
        if self.in_tag {
            self.out.push_str("/>");
            self.in_tag = false;
        } else {
            self.out.push_str("</");
            self.out.push_str(&name);
            self.out.push('>');
        }
    }

    fn end_tag(&mut self) {
        if self.in_tag {
            self.out.push('>');
            self.in_tag = false;
        }
    }
}

impl Handler for Rewriter {
    type Error = XmlError;

    fn event(&mut self, event: Event<'_>) -> Result<(), XmlError> {
        match event {
            Event::Start(start) => self.start(&start),
            Event::Text(text) => self.text(text),
            Event::End { .. } => self.end(),
            Event::Comment(_) => {}
        }
        Ok(())
    }
}

/// The element around a fragment that makes a document of it.
const AROUND: &str = "_";

impl Fragment {
    /// Reads the elements of a fragment. The handler sees them inside one more element: outermost ones have depth 2.
    ///
    /// # Errors
    /// A fragment that is over the limits; what the handler says.
    pub fn read<H: Handler>(&self, limits: &Limits, handler: &mut H) -> Result<(), H::Error> {
        let limits = Limits {
            depth: limits.depth + 1,
            ..*limits
        };
        let mut tokenizer = Tokenizer::new(limits);
        tokenizer.push(format!("<{AROUND}>").as_bytes(), handler)?;
        tokenizer.push(self.as_str().as_bytes(), handler)?;
        tokenizer.push(format!("</{AROUND}>").as_bytes(), handler)?;
        tokenizer.finish(handler)
    }

    /// The same elements with other attributes.
    ///
    /// # Errors
    /// A fragment that is over the limits; what `change` says.
    pub fn rewritten<C: Change>(&self, limits: &Limits, change: &mut C) -> Result<Fragment, C::Error> {
        let mut changing = Changing {
            rewriter: Rewriter::default(),
            change,
            depth: 0,
        };
        self.read(limits, &mut changing)?;
        Ok(Fragment::trusted(changing.rewriter.finish()))
    }

    /// One element around all of them.
    pub fn inside(&self, name: &str) -> Fragment {
        let mut rewriter = Rewriter::default();
        rewriter.open_tag(name);
        rewriter.end_tag();
        rewriter.out.push_str(self.as_str());
        rewriter.end();
        Fragment::trusted(rewriter.finish())
    }
}

struct Changing<'c, C> {
    rewriter: Rewriter,
    change: &'c mut C,
    /// Open elements, the one around the fragment included.
    depth: usize,
}

impl<C: Change> Handler for Changing<'_, C> {
    type Error = C::Error;

    fn event(&mut self, event: Event<'_>) -> Result<(), C::Error> {
        match event {
            Event::Start(start) => {
                self.depth += 1;
                if self.depth > 1 {
                    match self.change.start(&start, self.depth - 1)? {
                        None => self.rewriter.start(&start),
                        Some(attributes) => {
                            self.rewriter.open_tag(start.name());
                            for (name, value) in &attributes {
                                self.rewriter.attribute(name, None, value);
                            }
                        }
                    }
                }
            }
            // Text beside outermost elements is no part of a fragment.
            Event::Text(text) if self.depth > 1 => self.rewriter.text(text),
            Event::Text(_) | Event::Comment(_) => {}
            Event::End { .. } => {
                if self.depth > 1 {
                    self.rewriter.end();
                    self.change.end()?;
                }
                self.depth -= 1;
            }
        }
        Ok(())
    }
}
