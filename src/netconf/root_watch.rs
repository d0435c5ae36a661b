//! Notices, while the bytes still come, that an element which stands where the hello must is complete: a server that
//! answers with something else need not end it with `]]>]]>` to be understood (S4).

use crate::xml::{Event, Handler, Limits, Sanitizer, Tokenizer, XmlError};

/// No longer name is told, in characters.
const MAX_NAME: usize = 80;
/// So many children are named.
const MAX_CHILDREN: usize = 4;

/// How far the element has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Progress {
    /// Its end is still to come.
    Open,
    /// It is no XML.
    Nonsense,
    /// The whole element is there.
    Complete(Outline),
}

/// What an element is, in names only: its content is nobody's business.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Outline {
    /// Local name, bounded.
    pub(super) root: String,
    /// Local names of its first children, each once.
    pub(super) children: Vec<String>,
}

#[derive(Debug, Default)]
struct Seen {
    depth: usize,
    outline: Outline,
    complete: bool,
}

impl Handler for Seen {
    type Error = XmlError;

    fn event(&mut self, event: Event<'_>) -> Result<(), XmlError> {
        match event {
            Event::Start(start) => {
                let name = || start.local().chars().take(MAX_NAME).collect::<String>();
                let children = &mut self.outline.children;
                match self.depth {
                    0 => self.outline.root = name(),
                    1 if children.len() < MAX_CHILDREN && !children.contains(&name()) => {
                        children.push(name());
                    }
                    _ => {}
                }
                self.depth += 1;
            }
            Event::End { .. } => {
                self.depth -= 1;
                self.complete |= self.depth == 0;
            }
            Event::Text(_) | Event::Comment(_) => {}
        }
        Ok(())
    }
}

/// Follows one element from its beginning. Bytes that are no characters do not stop it (X3).
#[derive(Debug)]
pub(super) struct RootWatch {
    sanitizer: Sanitizer,
    tokenizer: Tokenizer,
    seen: Seen,
}

impl RootWatch {
    /// At the beginning of an element or of a document.
    pub(super) fn new() -> Self {
        Self {
            sanitizer: Sanitizer::new(),
            tokenizer: Tokenizer::new(Limits::default()),
            seen: Seen::default(),
        }
    }

    /// Takes what comes next. Not to be asked again once the answer was another than `Open`.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Progress {
        let mut clean = Vec::with_capacity(bytes.len());
        self.sanitizer.push(bytes, &mut clean);
        let result = self.tokenizer.push(&clean, &mut self.seen);
        // What is behind the element may be anything.
        if self.seen.complete {
            Progress::Complete(std::mem::take(&mut self.seen.outline))
        } else if result.is_err() {
            Progress::Nonsense
        } else {
            Progress::Open
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outline(root: &str, children: &[&str]) -> Progress {
        Progress::Complete(Outline {
            root: root.to_owned(),
            children: children.iter().map(|name| (*name).to_owned()).collect(),
        })
    }

    /// S4: the end is found at once, whatever follows, and only names are kept.
    #[test]
    fn end_of_the_element_is_noticed() {
        for (text, expected) in [
            ("<foo/>", outline("foo", &[])),
            ("<foo/>]]>]]>", outline("foo", &[])),
            ("<a:foo xmlns:a='u'>secret</a:foo><b", outline("foo", &[])),
            ("<r><x>1</x><y><z/></y><x/></r>", outline("r", &["x", "y"])),
            ("<r><a/><b/><c/><d/><e/></r>", outline("r", &["a", "b", "c", "d"])),
            ("<?xml version='1.0'?>\n<r>\u{1}</r>", outline("r", &[])),
            ("<foo>", Progress::Open),
            ("<foo", Progress::Open),
            ("<foo bar baz>", Progress::Nonsense),
            ("<foo></bar>", Progress::Nonsense),
            ("<foo>]]>]]>", Progress::Nonsense),
        ] {
            assert_eq!(RootWatch::new().push(text.as_bytes()), expected, "{text}");
        }
        let long = format!("<{}/>", "n".repeat(500));
        assert_eq!(
            RootWatch::new().push(long.as_bytes()),
            outline(&"n".repeat(MAX_NAME), &[])
        );
    }
}
