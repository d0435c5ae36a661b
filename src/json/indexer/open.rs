//! What is known of an element while it is open.

use crate::json::index::{Content, Run};
use crate::xml::NamespaceId;

/// An open element.
#[derive(Debug, Default)]
pub(super) struct Open {
    pub(super) name: u32,
    pub(super) ns: Option<NamespaceId>,
    pub(super) offset: u64,
    /// Behind the start tag.
    pub(super) content: u64,
    /// Number of this element, for the stamps of its children.
    pub(super) serial: u32,
    pub(super) runs: Vec<Run>,
    /// Namespaces of the runs, where runs are elements.
    pub(super) run_ns: Vec<NamespaceId>,
    /// A key came back after another one, or a name came with two namespaces.
    pub(super) unusual: bool,
    /// There are elements in it, be they part of what is converted or not.
    pub(super) has_children: bool,
    pub(super) part: Part,
    pub(super) text: TextSeen,
    /// Where the text since the last child begins.
    pub(super) text_from: u64,
    /// Where the first child begins.
    pub(super) first_child: u64,
    pub(super) mixed: bool,
    /// Comments, as long as it may be a leaf.
    pub(super) comments: Vec<Box<str>>,
    /// Not all of them were kept.
    pub(super) comments_lost: bool,
}

/// Whether an element is part of what is converted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Part {
    #[default]
    Kept,
    LeftOut,
    /// The `cli` of a reply, in which nothing but banners was seen so far: left out, unless more comes.
    BareCli,
    /// One that holds more. Its banners are left out.
    Cli,
    /// What is taken off the payload, unless something stands beside it. Errors in it are left out either way.
    Wrapper,
}

/// What is known of a run of text.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct TextSeen {
    pub(super) any: bool,
    pub(super) not_blank: bool,
    pub(super) newline: bool,
    pub(super) starts_with_newline: bool,
    pub(super) ends_with_newline: bool,
    pub(super) longer_than_one: bool,
}

impl TextSeen {
    pub(super) fn add(&mut self, text: &str) {
        let bytes = text.as_bytes();
        if !self.any {
            self.any = true;
            self.starts_with_newline = bytes.first() == Some(&b'\n');
            self.longer_than_one = bytes.len() > 1;
        } else {
            self.longer_than_one = true;
        }
        self.ends_with_newline = bytes.last() == Some(&b'\n');
        if !self.not_blank {
            for byte in bytes {
                match byte {
                    b'\n' => self.newline = true,
                    b' ' | b'\t' | b'\r' => {}
                    _ => {
                        self.not_blank = true;
                        break;
                    }
                }
            }
        }
    }

    pub(super) fn content(&self) -> Content {
        if !self.any || (!self.not_blank && self.newline) {
            return Content::Null;
        }
        let wrapped = self.starts_with_newline && self.ends_with_newline && self.longer_than_one;
        Content::Text { wrapped }
    }
}
