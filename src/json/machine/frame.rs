//! An open container, and the group of children in it that is being written.

use std::ops::Range;

use crate::json::hints::ListChildren;
use crate::json::index::{NO_RUN, Shuffled};
use crate::xml::namespace::NamespaceId;

/// What a frame stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The object around the root.
    Document,
    /// The rpc-reply or `<data>` whose children are the payload.
    Payload,
    /// A `cli` among them, of which the banner is left out.
    Cli,
    /// A `<data>` among them, of which errors are left out.
    Wrapper,
    /// An element.
    Element,
}

/// How far the members behind the children have come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tail {
    /// Children are still to come.
    Children,
    /// `#text` comes next.
    Texts,
    /// `#comment` comes next.
    Comments,
    /// `#order` comes next.
    Order,
    /// Only the brace is missing.
    Brace,
}

/// Members with the same key.
#[derive(Clone, Debug)]
pub(super) struct Group {
    /// The key's place among the keys.
    pub(super) key: Range<usize>,
    pub(super) array: bool,
    pub(super) members: u64,
    /// Offset of the first member.
    pub(super) start: u64,
    /// Whether a leaf among the members has metadata.
    pub(super) metadata: bool,
    /// The first run, in a shuffled parent.
    pub(super) run: u32,
}

#[derive(Debug)]
pub(super) struct Frame {
    pub(super) kind: Kind,
    /// Offset of the start tag.
    pub(super) offset: u64,
    /// Offset behind the start tag.
    pub(super) content: u64,
    pub(super) self_closing: bool,
    pub(super) ns: NamespaceId,
    pub(super) default_ns: NamespaceId,
    /// Bindings outside.
    pub(super) bindings: usize,
    /// Where the keys of this frame begin.
    pub(super) keys: usize,
    pub(super) hints: Option<&'static ListChildren>,
    /// Whether a member was written, so that a comma is needed.
    pub(super) wrote: bool,
    /// Groups begun.
    pub(super) groups: u32,
    /// Whether the index knows of repeated groups.
    pub(super) repeats: bool,
    pub(super) group: Option<Group>,
    pub(super) shuffled: Option<Shuffled>,
    /// The run being read, how many of it are left, and where to look for the next group.
    pub(super) run: u32,
    pub(super) run_left: u32,
    pub(super) next_run: u32,
    pub(super) tail: Tail,
    /// Whether a comment was seen between the children.
    pub(super) comments: bool,
    /// Whether attributes were written, and the names that children have taken, of those with a meaning of their own
    /// in the device's form.
    pub(super) has_attributes: bool,
    pub(super) data_child: bool,
    pub(super) comment_child: bool,
}

impl Frame {
    /// The object around the root.
    pub(super) fn document() -> Frame {
        Frame {
            kind: Kind::Document,
            offset: 0,
            content: 0,
            self_closing: false,
            ns: NamespaceId::NONE,
            default_ns: NamespaceId::NONE,
            bindings: 0,
            keys: 0,
            hints: None,
            wrote: false,
            groups: 0,
            repeats: false,
            group: None,
            shuffled: None,
            run: NO_RUN,
            run_left: 0,
            next_run: 0,
            tail: Tail::Children,
            comments: false,
            has_attributes: false,
            data_child: false,
            comment_child: false,
        }
    }
}
