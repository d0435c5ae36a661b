//! The second pass: a machine that writes JSON while it moves over the document, and can stop at any time.
//!
//! ```text
//!             child container              end tag
//!   frame n ------------------> frame n+1 ---------> frame n
//!      |  ^
//!      v  |   long text, metadata of an array, #text, #comment, #order: one task at a time, which may jump about in
//!     task    the document and goes back to where it was called from
//! ```
//!
//! A parent whose children come in the order of their keys is read straight through. One in the index as shuffled is
//! read run by run, with jumps. Memory is the frames, one window of the source, and the caller's slice.

mod comments;
mod element;
mod frame;
mod tag;
mod task;

use self::frame::{Frame, Kind};
use self::tag::Tag;
use self::task::Task;
use super::ConvertError;
use super::cursor::Cursor;
use super::index::{Index, Top, is_banner, is_left_out_of_wrapper};
use super::options::{Mapping, Options};
use super::text::Inside;
use crate::xml::namespace::{NamespaceId, Namespaces};
use crate::xml::tag::TagReader;
use crate::xml::{Limits, Source};

/// Bytes that one call of [`Converter::fill`] aims at.
const SLICE: usize = 256 << 10;
/// Bytes that are in view at each step, unless the document ends before: room for a tag and what tells a leaf from a
/// container.
const AHEAD: usize = 128 << 10;

/// Writes an indexed document as JSON, slice by slice.
#[derive(Debug)]
pub struct Converter {
    cursor: Cursor,
    machine: Machine,
}

impl Converter {
    /// Writes `source` as `options` say. `index` must have been made from the same bytes.
    pub fn new(source: Source, index: Index, options: Options) -> Self {
        Converter {
            cursor: Cursor::new(source),
            machine: Machine::new(index, options),
        }
    }

    /// Appends about 256 KiB to `out`. Whether there is more to come.
    ///
    /// # Errors
    /// When the source cannot be read, or is not what was indexed; the converter must not be used afterwards.
    pub fn fill(&mut self, out: &mut Vec<u8>) -> Result<bool, ConvertError> {
        let target = out.len() + SLICE;
        let mut ahead = AHEAD;
        loop {
            self.cursor.ensure(ahead)?;
            let input = Input {
                bytes: self.cursor.rest(),
                base: self.cursor.offset(),
                at_end: self.cursor.at_end(),
            };
            let (used, next) = self.machine.run(&input, target, out)?;
            let seen = input.bytes.len();
            self.cursor.advance(used);
            ahead = AHEAD;
            match next {
                Next::More => {}
                Next::Wider => ahead = seen * 2,
                Next::Seek(offset) => self.cursor.seek(offset),
                Next::Full => return Ok(true),
                Next::Done => return Ok(false),
            }
        }
    }
}

/// The part of the document in view.
struct Input<'a> {
    bytes: &'a [u8],
    /// Offset of the first byte.
    base: u64,
    /// Whether the document ends with the last byte.
    at_end: bool,
}

impl Input<'_> {
    fn offset(&self, at: usize) -> u64 {
        self.base + at as u64
    }

    fn changed(&self, at: usize) -> ConvertError {
        ConvertError::Changed {
            offset: self.offset(at),
        }
    }
}

/// Why the machine stopped.
enum Next {
    /// It needs the following bytes.
    More,
    /// It needs more bytes in view at one time.
    Wider,
    /// It goes on elsewhere.
    Seek(u64),
    /// The slice is full.
    Full,
    /// All is written.
    Done,
}

/// What one step came to.
enum Step {
    /// Go on at this byte of the input.
    To(usize),
    /// Go on at this offset of the document.
    Seek(u64),
    /// The step needs more input from this byte on.
    Wait(usize),
    /// All is written.
    Done,
}

#[derive(Debug)]
struct Machine {
    index: Index,
    options: Options,
    started: bool,
    /// Frames of the open containers, the outermost first.
    frames: Vec<Frame>,
    /// What is to be done before the innermost frame goes on.
    task: Option<Task>,
    namespaces: Namespaces,
    tags: TagReader,
    /// Keys of the open groups, one after the other.
    keys: String,
    inside: Inside,
    /// Decoded text of one leaf.
    scratch: Vec<u8>,
    /// Metadata of one element.
    metadata: Vec<u8>,
    /// Comments inside the leaf at hand, as JSON strings.
    comments_of_leaf: Vec<u8>,
    shuffled_hint: usize,
    repeated_hint: usize,
}

impl Machine {
    fn new(index: Index, options: Options) -> Self {
        let mut namespaces = Namespaces::new(usize::MAX);
        // The first pass decided what is acceptable.
        namespaces.set_lenient();
        Machine {
            index,
            options,
            started: false,
            frames: Vec::new(),
            task: None,
            namespaces,
            tags: TagReader::default(),
            keys: String::new(),
            inside: Inside::Text,
            scratch: Vec::new(),
            metadata: Vec::new(),
            comments_of_leaf: Vec::new(),
            shuffled_hint: 0,
            repeated_hint: 0,
        }
    }

    fn run(
        &mut self,
        input: &Input<'_>,
        target: usize,
        out: &mut Vec<u8>,
    ) -> Result<(usize, Next), ConvertError> {
        let mut at = 0;
        loop {
            if out.len() >= target {
                return Ok((at, Next::Full));
            }
            if !input.at_end && input.bytes.len() - at < AHEAD {
                return Ok((at, Next::More));
            }
            let step = if !self.started {
                self.begin(input, at, out)?
            } else if self.task.is_some() {
                self.task_step(input, at, out)?
            } else {
                self.frame_step(input, at, target, out)?
            };
            match step {
                Step::To(next) => at = next,
                Step::Seek(offset) => return Ok((at, Next::Seek(offset))),
                Step::Wait(_) if input.at_end => return Err(input.changed(at)),
                Step::Wait(next) if next > at => at = next,
                Step::Wait(_) => return Ok((at, Next::Wider)),
                Step::Done => return Ok((at, Next::Done)),
            }
        }
    }

    /// Opens the outermost object.
    fn begin(&mut self, input: &Input<'_>, at: usize, out: &mut Vec<u8>) -> Result<Step, ConvertError> {
        match self.index.top() {
            Top::Root => {
                out.push(b'{');
                self.frames.push(Frame::document());
                self.started = true;
                Ok(Step::To(at))
            }
            Top::RootChildren => self.enter_with(input, at, NamespaceId::NONE, out),
            Top::Data(offset) if !self.frames.is_empty() => {
                // The root was read for its namespaces; its frame gives way to that of `<data>`.
                let root = self.frames.pop().map(|frame| (frame.default_ns, frame.ns));
                debug_assert!(input.offset(at) == offset);
                self.enter_with(
                    input,
                    at,
                    root.map_or(NamespaceId::NONE, |(default_ns, _)| default_ns),
                    out,
                )
            }
            Top::Data(offset) => match self.read_payload_tag(input, at, NamespaceId::NONE)? {
                Some((frame, _)) => {
                    self.frames.push(frame);
                    Ok(Step::Seek(offset))
                }
                None => Ok(Step::Wait(at)),
            },
        }
    }

    fn enter_with(
        &mut self,
        input: &Input<'_>,
        at: usize,
        default_ns: NamespaceId,
        out: &mut Vec<u8>,
    ) -> Result<Step, ConvertError> {
        let Some((frame, next)) = self.read_payload_tag(input, at, default_ns)? else {
            return Ok(Step::Wait(at));
        };
        self.started = true;
        let self_closing = frame.self_closing;
        let has_metadata = !self.metadata.is_empty() && self.index.top() != Top::RootChildren;
        self.frames.push(frame);
        self.open_object(has_metadata, out);
        if self_closing {
            out.push(b'}');
            return Ok(Step::Done);
        }
        Ok(Step::To(next))
    }

    /// Whether single children and repeated ones look the same because everything is an array.
    fn all_arrays(&self) -> bool {
        match self.options.mapping {
            Mapping::Junos => true,
            Mapping::Ncj => matches!(self.options.arrays, super::options::Arrays::All),
        }
    }

    fn limits() -> Limits {
        // The first pass held the document against the limits that count.
        Limits {
            depth: usize::MAX,
            attributes: usize::MAX,
            name_bytes: usize::MAX,
            token_bytes: usize::MAX,
            namespaces: usize::MAX,
        }
    }

    fn top(&mut self) -> Result<&mut Frame, ConvertError> {
        // There is a frame from `begin` to `Done`.
        self.frames.last_mut().ok_or(ConvertError::Changed { offset: 0 })
    }

    /// Whether the child of the innermost frame that begins at `offset` belongs to the envelope.
    fn leaves_out(&self, tag: &Tag<'_>, offset: u64) -> bool {
        let Some(frame) = self.frames.last() else {
            return false;
        };
        let (selection, local) = (self.index.selection(), tag.local());
        let ns = || self.namespaces.name(tag.ns);
        match frame.kind {
            Kind::Payload => self.index.leaves_out(offset, local, ns()),
            Kind::Cli => is_banner(selection, local, ns()),
            Kind::Wrapper => is_left_out_of_wrapper(selection, local, ns()),
            Kind::Document | Kind::Element => false,
        }
    }

    /// What the element that begins at `offset` is, when it holds others.
    fn kind_at(&self, offset: u64) -> Kind {
        if self.index.is_cli_to_show(offset) {
            Kind::Cli
        } else if self.index.is_wrapper_to_show(offset) {
            Kind::Wrapper
        } else {
            Kind::Element
        }
    }
}
