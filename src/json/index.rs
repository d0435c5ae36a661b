//! The first pass: a flat, bounded index of what the second pass cannot see coming.
//!
//! A writer that keeps no tree has to know at a parent's first child whether that child will be repeated (N6), come
//! back after others (N9), or share its name with a sibling of another namespace (N2). The index holds only the
//! parents and groups where that is so; for everything else the document itself is enough.

use std::sync::Arc;

use super::ConvertError;
use super::options::Mapping;

/// How far the second pass looks ahead to tell a leaf from a container; where the answer lies further away, the
/// index has it.
pub(super) const LOOKAHEAD: u64 = 64 << 10;

/// Bytes of comments that are kept of all leaves longer than that, together.
pub(super) const MAX_COMMENT_BYTES: usize = 8 << 20;

/// Stands for a run of text among the children of mixed content.
pub(super) const TEXT: u32 = u32::MAX;
/// No further run.
pub(super) const NO_RUN: u32 = u32::MAX;

const NMDA_NS: &str = "urn:ietf:params:xml:ns:yang:ietf-netconf-nmda";
const XNM_NS: &str = "http://xml.juniper.net/xnm/1.1/xnm";

/// What part of a document becomes JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Selection {
    /// All of it, as one member named by the root (N1).
    Document,
    /// The payload of an rpc-reply: its children side by side in one object, or those of the `<data>` that `get`,
    /// `get-config` and `get-data` wrap around them. Left out is what an envelope tells: `ok`, errors and warnings at
    /// the top, the banner in `cli`, and with it a `cli` that holds no more. A document with another root is taken
    /// whole.
    ReplyPayload,
    /// As [`Self::ReplyPayload`], where the payload is a stored configuration: what Junos wraps around it
    /// (`rollback-information`, `rescue-information`, with the mark of success inside) is taken off, too.
    StoredConfiguration,
    /// What a Junos device shows of an rpc-reply (J8): all its children but the banner in `cli`. A document with another
    /// root is taken whole.
    JunosReply,
}

/// Where the members of the outermost object come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Top {
    /// The root is the only member.
    Root,
    /// The children of the root, except those that [`is_left_out`] names, and `cli` with nothing but a banner.
    RootChildren,
    /// The children of the `<data>` element, or of another wrapper, at this offset.
    Data(u64),
}

/// Consecutive children with the same key. There may be very many.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run {
    /// Offset of the first one's tag, or of the text.
    pub(super) start: u64,
    /// The next run with the same key.
    pub(super) next: u32,
    /// The next run with the same local name: the device's form knows no other keys (J1).
    pub(super) next_local: u32,
    /// The name of the elements, then the key they are written under.
    pub(super) key: u32,
    /// How many, and the two marks.
    packed: u32,
}

const _: () = assert!(
    size_of::<Run>() == 24,
    "the index of interleaved documents grows with it"
);

/// No run with this key comes before.
const FIRST: u32 = 1 << 31;
/// No run with this local name comes before.
const FIRST_LOCAL: u32 = 1 << 30;
const COUNT: u32 = FIRST_LOCAL - 1;

impl Run {
    /// One child, the first of its name as far as is known.
    pub(super) fn new(start: u64, key: u32) -> Run {
        Run {
            start,
            next: NO_RUN,
            next_local: NO_RUN,
            key,
            packed: FIRST | FIRST_LOCAL | 1,
        }
    }

    /// How many children.
    pub(super) fn count(&self) -> u32 {
        self.packed & COUNT
    }

    /// Takes in as many more; false: they would be too many for one run.
    pub(super) fn grow(&mut self, more: u32) -> bool {
        let fits = self.count() + more <= COUNT;
        if fits {
            self.packed += more;
        }
        fits
    }

    /// A run with the same key comes before.
    pub(super) fn set_not_first(&mut self) {
        self.packed &= !FIRST;
    }

    /// A run with the same local name comes before.
    pub(super) fn set_not_first_local(&mut self) {
        self.packed &= !FIRST_LOCAL;
    }

    pub(super) fn is_text(&self) -> bool {
        self.key == TEXT
    }

    /// The next run of the same member.
    pub(super) fn next(&self, mapping: Mapping) -> u32 {
        match mapping {
            Mapping::Ncj => self.next,
            Mapping::Junos => self.next_local,
        }
    }

    /// Whether a member begins with this run.
    pub(super) fn is_first(&self, mapping: Mapping) -> bool {
        let mark = match mapping {
            Mapping::Ncj => FIRST,
            Mapping::Junos => FIRST_LOCAL,
        };
        self.packed & mark != 0
    }
}

/// A parent whose children have to be written in another order than they come.
#[derive(Clone, Debug)]
pub(super) struct Shuffled {
    pub(super) parent: u64,
    /// Where its end tag begins.
    pub(super) end: u64,
    pub(super) first: u32,
    pub(super) count: u32,
    /// Whether the order has to be told (N9).
    pub(super) tells_order: bool,
}

impl Shuffled {
    /// Indices of its runs, in document order.
    pub(super) fn runs(&self) -> std::ops::Range<u32> {
        self.first..self.first + self.count
    }
}

/// A child, by its place among the differently named children of a parent, that is repeated.
#[derive(Clone, Copy, Debug)]
pub(super) struct Repeated {
    pub(super) parent: u64,
    pub(super) group: u32,
}

/// An element whose kind shows only further than [`LOOKAHEAD`] behind its tag.
#[derive(Clone, Copy, Debug)]
pub(super) struct Distant {
    pub(super) element: u64,
    /// Where the end tag begins; the text of a leaf ends here.
    pub(super) end: u64,
    /// What it is.
    pub(super) kind: Content,
    /// The comments of a leaf, by their numbers; none if they were too many to keep.
    pub(super) comments: Option<(u32, u32)>,
}

/// What an element holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// Child elements.
    Container,
    /// Nothing, or blanks with a newline among them (N4).
    Null,
    /// Text.
    Text {
        /// Whether it begins and ends with a newline (N3).
        wrapped: bool,
    },
}

/// What the first pass found. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Index(Arc<Inner>);

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) top: Top,
    pub(super) selection: Selection,
    pub(super) repeated: Vec<Repeated>,
    pub(super) shuffled: Vec<Shuffled>,
    pub(super) runs: Vec<Run>,
    pub(super) distant: Vec<Distant>,
    /// Where the `<data>`, or another wrapper, begins that is not taken off because something stands beside it.
    pub(super) wrapper: Option<u64>,
    /// Where each `cli` of the envelope begins that holds more than a banner.
    pub(super) clis: Vec<u64>,
    /// Those of distant leaves.
    pub(super) comments: Vec<Box<str>>,
    /// Keys of runs among them.
    pub(super) names: Vec<Box<str>>,
}

impl Index {
    pub(super) fn new(inner: Inner) -> Index {
        Index(Arc::new(inner))
    }

    pub(super) fn top(&self) -> Top {
        self.0.top
    }

    pub(super) fn selection(&self) -> Selection {
        self.0.selection
    }

    /// Whether the member of the payload that begins at `offset` belongs to the envelope.
    pub(super) fn leaves_out(&self, offset: u64, local: &str, ns: Option<&str>) -> bool {
        let selection = self.selection();
        match self.top() {
            Top::Data(_) => is_left_out_of_wrapper(selection, local, ns),
            Top::Root | Top::RootChildren => {
                is_left_out(selection, local, ns)
                    || is_cli(selection, local, ns) && !self.is_cli_to_show(offset)
            }
        }
    }

    /// Whether the element that begins at `offset` is the wrapper of the payload, and not taken off.
    pub(super) fn is_wrapper_to_show(&self, offset: u64) -> bool {
        self.0.wrapper == Some(offset)
    }

    /// Whether the element that begins at `offset` is a `cli` that holds more than its banner.
    pub(super) fn is_cli_to_show(&self, offset: u64) -> bool {
        self.0.clis.binary_search(&offset).is_ok()
    }

    /// The key that a run is written under; `#text` for text.
    pub(super) fn key(&self, run: u32) -> &str {
        let key = self.0.runs[run as usize].key;
        self.0.names.get(key as usize).map_or("#text", |name| name)
    }

    pub(super) fn run(&self, run: u32) -> Run {
        self.0.runs[run as usize]
    }

    /// Whether any group of this parent is repeated without a hint.
    pub(super) fn has_repeated(&self, parent: u64, hint: &mut usize) -> bool {
        let at = seek(&self.0.repeated, hint, parent, |repeated| repeated.parent);
        self.0
            .repeated
            .get(at)
            .is_some_and(|repeated| repeated.parent == parent)
    }

    /// Whether this group of this parent is repeated; `hint` remembers where the last answer was found.
    pub(super) fn is_repeated(&self, parent: u64, group: u32, hint: &mut usize) -> bool {
        let all = &self.0.repeated;
        let key = (parent, group);
        let at = seek(all, hint, key, |repeated| (repeated.parent, repeated.group));
        all.get(at)
            .is_some_and(|repeated| (repeated.parent, repeated.group) == key)
    }

    pub(super) fn shuffled(&self, parent: u64, hint: &mut usize) -> Option<&Shuffled> {
        let at = seek(&self.0.shuffled, hint, parent, |shuffled| shuffled.parent);
        self.0
            .shuffled
            .get(at)
            .filter(|shuffled| shuffled.parent == parent)
    }

    pub(super) fn distant(&self, element: u64) -> Option<Distant> {
        let at = self
            .0
            .distant
            .binary_search_by_key(&element, |distant| distant.element)
            .ok()?;
        Some(self.0.distant[at])
    }

    /// The comments in a leaf.
    ///
    /// # Errors
    /// When they were too many to keep.
    pub(super) fn comments(&self, leaf: &Distant) -> Result<&[Box<str>], ConvertError> {
        let (from, to) = leaf.comments.ok_or(ConvertError::CommentsTooLong {
            offset: leaf.element,
            limit: MAX_COMMENT_BYTES,
        })?;
        let range = from as usize..to as usize;
        let changed = ConvertError::Changed { offset: leaf.element };
        self.0.comments.get(range).ok_or(changed)
    }
}

/// The first entry whose key is not below `key`, looked for near the last one first, since the document is mostly read
/// forwards.
fn seek<T, K: Ord>(all: &[T], hint: &mut usize, key: K, key_of: impl Fn(&T) -> K) -> usize {
    let mut at = (*hint).min(all.len());
    let behind = at > 0 && key_of(&all[at - 1]) >= key;
    let near = (!behind)
        .then(|| (at..all.len().min(at + 4)).find(|n| key_of(&all[*n]) >= key))
        .flatten();
    at = match near {
        Some(near) => near,
        None if !behind && at + 4 >= all.len() => all.len(),
        None => all.partition_point(|entry| key_of(entry) < key),
    };
    *hint = at;
    at
}

pub(super) fn local(name: &str) -> &str {
    name.split_once(':').map_or(name, |(_, local)| local)
}

/// The namespaces of an envelope: NETCONF's own, and those of Junos, which puts all of its elements into one.
fn is_of_the_envelope(ns: Option<&str>) -> bool {
    ns.is_none_or(|ns| {
        ns == crate::xml::NETCONF_BASE_NS
            || ns.starts_with("http://xml.juniper.net/")
            || ns.starts_with("http://yang.juniper.net/")
    })
}

/// Whether a child of rpc-reply belongs to the envelope and not to the payload, whatever it holds.
pub(super) fn is_left_out(selection: Selection, local: &str, ns: Option<&str>) -> bool {
    match selection {
        Selection::Document | Selection::JunosReply => false,
        Selection::ReplyPayload | Selection::StoredConfiguration => match local {
            "ok" | "rpc-error" => is_of_the_envelope(ns),
            "error" | "warning" => ns == Some(XNM_NS),
            _ => false,
        },
    }
}

/// Whether a child of what is taken off the payload belongs to the envelope. What stands inside `<data>` is data
/// whatever its name; only an error is none.
pub(super) fn is_left_out_of_wrapper(selection: Selection, local: &str, ns: Option<&str>) -> bool {
    match selection {
        Selection::ReplyPayload => local == "rpc-error" && is_of_the_envelope(ns),
        Selection::Document | Selection::JunosReply | Selection::StoredConfiguration => {
            is_left_out(selection, local, ns)
        }
    }
}

/// Whether a child of rpc-reply is the `cli` that belongs to the envelope, but for what else it holds beside its banner:
/// the answer to `show cli directory` comes in it (J8, N1).
pub(super) fn is_cli(selection: Selection, local: &str, ns: Option<&str>) -> bool {
    local == "cli" && is_named_by_the_device(selection, ns)
}

/// Whether a child of such a `cli` is its banner.
pub(super) fn is_banner(selection: Selection, local: &str, ns: Option<&str>) -> bool {
    local == "banner" && is_named_by_the_device(selection, ns)
}

fn is_named_by_the_device(selection: Selection, ns: Option<&str>) -> bool {
    match selection {
        Selection::Document => false,
        Selection::JunosReply => true,
        Selection::ReplyPayload | Selection::StoredConfiguration => is_of_the_envelope(ns),
    }
}

/// Whether a child of rpc-reply is what is taken off its payload.
pub(super) fn is_payload_wrapper(selection: Selection, local: &str, ns: Option<&str>) -> bool {
    let data = || local == "data" && matches!(ns, None | Some(crate::xml::NETCONF_BASE_NS | NMDA_NS));
    match selection {
        Selection::Document | Selection::JunosReply => false,
        Selection::ReplyPayload => data(),
        Selection::StoredConfiguration => {
            data() || matches!(local, "rollback-information" | "rescue-information")
        }
    }
}
