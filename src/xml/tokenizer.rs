//! The push tokenizer: bytes in, cut anywhere; checked events out.
//!
//! ```text
//!            push            Start at depth 0            End to depth 0
//!   Prolog ---------> Prolog -----------------> Content ----------------> Epilog
//!                                               ^    |
//!                                          ]]>  |    v  <![CDATA[
//!                                              (in_cdata)
//! ```
//!
//! Only an incomplete tag, comment or reference is kept from one `push` to the next; text is handed out as it comes.

mod declaration;
mod text;

use super::error::{Limits, XmlError, XmlErrorKind};
use super::event::{Event, Handler, Start};
use super::namespace::{NamespaceId, Namespaces};
use super::source::Source;
use super::tag::{Stop, TagEnd, TagReader, end_tag};

/// Bytes read at a time from a [`Source::File`].
const WINDOW: usize = 256 << 10;
const BYTE_ORDER_MARK: &[u8] = "\u{FEFF}".as_bytes();
const CDATA: &[u8] = b"<![CDATA[";
const DOCTYPE: &[u8] = b"<!DOCTYPE";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Prolog,
    Content,
    Epilog,
}

#[derive(Debug)]
struct Open {
    /// Where its name begins in [`Tokenizer::names`].
    name: usize,
    /// Bindings in scope outside it.
    bindings: usize,
    /// The default namespace outside it.
    default_ns: NamespaceId,
}

/// How far the search for the end of an incomplete token has come.
#[derive(Clone, Copy, Debug)]
enum Pending {
    Nothing,
    Tag(TagEnd),
    /// Bytes of a comment or instruction that hold no end.
    Until(usize),
}

/// Reads one document, strictly and in bounded memory. See the [module](super) for what it checks.
#[derive(Debug)]
pub struct Tokenizer {
    limits: Limits,
    phase: Phase,
    in_cdata: bool,
    /// Input that is not used up: an incomplete token, or a few bytes of text that mean nothing yet.
    rest: Vec<u8>,
    /// Offset of `rest` in the document.
    offset: u64,
    /// Where the document begins, behind a byte order mark.
    start: u64,
    pending: Pending,
    open: Vec<Open>,
    /// Names of the open elements, one after the other.
    names: String,
    default_ns: NamespaceId,
    namespaces: Namespaces,
    tags: TagReader,
    refuse_instructions: bool,
    failed: Option<XmlError>,
}

impl Tokenizer {
    /// A tokenizer for one document.
    pub fn new(limits: Limits) -> Self {
        Tokenizer {
            limits,
            phase: Phase::Prolog,
            in_cdata: false,
            rest: Vec::new(),
            offset: 0,
            start: 0,
            pending: Pending::Nothing,
            open: Vec::new(),
            names: String::new(),
            default_ns: NamespaceId::NONE,
            namespaces: Namespaces::new(limits.namespaces),
            tags: TagReader::default(),
            refuse_instructions: false,
            failed: None,
        }
    }

    /// Accepts prefixes that nothing declares (N8): `junos` and `nc` mean what they usually mean, any other prefix
    /// NAME means `urn:ncgate:prefix:NAME`.
    pub fn lenient_prefixes(mut self) -> Self {
        self.namespaces.set_lenient();
        self
    }

    /// Refuses processing instructions, for XML that a caller wants passed on (X2). Those of a device are dropped
    /// (N10).
    pub fn refuse_instructions(mut self) -> Self {
        self.refuse_instructions = true;
        self
    }

    /// Open elements.
    pub fn depth(&self) -> usize {
        self.open.len()
    }

    /// Takes the next bytes of the document, and calls the handler for all that is complete.
    ///
    /// # Errors
    /// The first refusal is final: later calls repeat it.
    pub fn push<H: Handler + ?Sized>(&mut self, bytes: &[u8], handler: &mut H) -> Result<(), H::Error> {
        self.feed(bytes, false, handler)
    }

    /// Ends the document.
    ///
    /// # Errors
    /// When it is not complete: elements open, no root, the input cut inside a token.
    pub fn finish<H: Handler + ?Sized>(&mut self, handler: &mut H) -> Result<(), H::Error> {
        self.feed(&[], true, handler)?;
        let kind = match self.phase {
            Phase::Epilog => return Ok(()),
            Phase::Prolog => XmlErrorKind::NoRoot,
            Phase::Content => XmlErrorKind::Unclosed(self.innermost().to_owned()),
        };
        Err(self.fail(kind, self.offset).into())
    }

    fn feed<H: Handler + ?Sized>(
        &mut self,
        bytes: &[u8],
        last: bool,
        handler: &mut H,
    ) -> Result<(), H::Error> {
        if let Some(error) = &self.failed {
            return Err(error.clone().into());
        }
        if self.rest.is_empty() {
            // The usual case: nothing was left over, so the caller's bytes are read in place.
            let used = self.run(bytes, last, handler)?;
            self.rest.extend_from_slice(&bytes[used..]);
            self.offset += used as u64;
        } else {
            let mut rest = std::mem::take(&mut self.rest);
            rest.extend_from_slice(bytes);
            let used = self.run(&rest, last, handler)?;
            rest.drain(..used);
            self.rest = rest;
            self.offset += used as u64;
        }
        if self.rest.len() > self.limits.token_bytes {
            return Err(self
                .fail(XmlErrorKind::TokenTooLong(self.limits.token_bytes), self.offset)
                .into());
        }
        Ok(())
    }

    /// Reads what is complete in `input`, which begins at `self.offset`, and returns how many bytes that were.
    fn run<H: Handler + ?Sized>(
        &mut self,
        input: &[u8],
        last: bool,
        handler: &mut H,
    ) -> Result<usize, H::Error> {
        let mut at = 0;
        if self.offset == 0 && !input.is_empty() {
            if input.starts_with(BYTE_ORDER_MARK) {
                at = BYTE_ORDER_MARK.len();
                self.start = at as u64;
            } else if BYTE_ORDER_MARK.starts_with(input) && !last {
                return Ok(0);
            }
        }
        while at < input.len() {
            let next = if self.in_cdata {
                self.cdata(input, at, last, handler)?
            } else if input[at] == b'<' {
                self.markup(input, at, last, handler)?
            } else {
                self.text(input, at, last, handler)?
            };
            if next == at {
                break;
            }
            at = next;
        }
        if last && (at < input.len() || self.in_cdata) {
            return Err(self.fail_at(XmlErrorKind::UnexpectedEnd, input.len()).into());
        }
        Ok(at)
    }

    /// The markup at `at`. Returns where it ends, or `at` if more input is needed.
    fn markup<H: Handler + ?Sized>(
        &mut self,
        input: &[u8],
        at: usize,
        last: bool,
        handler: &mut H,
    ) -> Result<usize, H::Error> {
        let rest = &input[at..];
        match rest.get(1) {
            None => Ok(at),
            Some(b'!') => self.declaration(input, at, handler),
            Some(b'?') => Ok(self.instruction(input, at)?),
            Some(second) => {
                if let Pending::Tag(mut end) = self.pending
                    && !last
                    && !end.found(rest)
                {
                    self.pending = Pending::Tag(end);
                    return Ok(at);
                }
                let read = if *second == b'/' {
                    self.end(input, at, handler)
                } else {
                    self.start(input, at, handler)
                };
                match read {
                    Ok(next) => {
                        self.pending = Pending::Nothing;
                        Ok(next)
                    }
                    Err(Refusal::Incomplete) => {
                        let mut end = TagEnd::default();
                        end.found(rest);
                        self.pending = Pending::Tag(end);
                        Ok(at)
                    }
                    Err(Refusal::Bad(kind, offset)) => Err(self.fail_at(kind, offset).into()),
                    Err(Refusal::Handler(error)) => Err(error),
                }
            }
        }
    }

    fn start<H: Handler + ?Sized>(
        &mut self,
        input: &[u8],
        at: usize,
        handler: &mut H,
    ) -> Result<usize, Refusal<H::Error>> {
        let rest = &input[at..];
        let tag = self
            .tags
            .start_tag(rest, &self.limits)
            .map_err(|stop| Refusal::from_stop(stop, at))?;
        let bad = |kind| Refusal::Bad(kind, at);
        if tag.len > self.limits.token_bytes {
            return Err(bad(XmlErrorKind::TokenTooLong(self.limits.token_bytes)));
        }
        let text = std::str::from_utf8(&rest[..tag.len])
            .map_err(|error| Refusal::Bad(XmlErrorKind::InvalidUtf8, at + error.valid_up_to()))?;
        match self.phase {
            Phase::Prolog => self.phase = Phase::Content,
            Phase::Content => {}
            Phase::Epilog => return Err(bad(XmlErrorKind::SecondRoot)),
        }
        if self.open.len() >= self.limits.depth {
            return Err(bad(XmlErrorKind::TooDeep(self.limits.depth)));
        }
        let outside = Open {
            name: self.names.len(),
            bindings: self.namespaces.mark(),
            default_ns: self.default_ns,
        };
        let name = &text[1..1 + tag.name_len];
        let ns = self.bind(text, name, tag.prefix_len).map_err(bad)?;
        let start = Start {
            name,
            prefix_len: tag.prefix_len,
            ns,
            self_closing: tag.self_closing,
            attributes: &self.tags.attributes,
            declarations: &self.tags.declarations,
            tag: text,
            decoded: &self.tags.decoded,
            namespaces: &self.namespaces,
            offset: self.offset + at as u64,
            depth: self.open.len() + 1,
        };
        handler.event(Event::Start(start)).map_err(Refusal::Handler)?;
        let next = at + tag.len;
        self.open.push(outside);
        if tag.self_closing {
            let offset = self.offset + next as u64;
            self.close(offset, offset, handler).map_err(Refusal::Handler)?;
        } else {
            self.names.push_str(name);
        }
        Ok(next)
    }

    /// Takes in the declarations of the tag just read, and resolves its names. Returns the element's namespace.
    fn bind(&mut self, tag: &str, name: &str, prefix_len: usize) -> Result<NamespaceId, XmlErrorKind> {
        for declaration in &self.tags.declarations {
            let value = match &declaration.value {
                super::tag::RawValue::Verbatim(range) => &tag[range.clone()],
                super::tag::RawValue::Decoded(range) => &self.tags.decoded[range.clone()],
            };
            let id = self.namespaces.declare(&tag[declaration.prefix.clone()], value)?;
            if declaration.prefix.is_empty() {
                self.default_ns = id;
            }
        }
        let mut prefixed = 0;
        for attribute in &mut self.tags.attributes {
            if attribute.prefix_len > 0 {
                let prefix = &tag[attribute.name.start..attribute.name.start + attribute.prefix_len];
                attribute.ns = self.namespaces.resolve(prefix)?;
                prefixed += 1;
            }
        }
        if prefixed > 1 {
            self.refuse_same_expanded_name(tag)?;
        }
        if prefix_len == 0 {
            Ok(self.default_ns)
        } else {
            self.namespaces.resolve(&name[..prefix_len])
        }
    }

    fn refuse_same_expanded_name(&self, tag: &str) -> Result<(), XmlErrorKind> {
        let local = |a: &super::tag::RawAttribute| &tag[a.name.start + a.prefix_len + 1..a.name.end];
        let prefixed: Vec<_> = self.tags.attributes.iter().filter(|a| a.prefix_len > 0).collect();
        for (index, one) in prefixed.iter().enumerate() {
            if prefixed[..index]
                .iter()
                .any(|other| other.ns == one.ns && local(other) == local(one))
            {
                return Err(XmlErrorKind::DuplicateAttribute(tag[one.name.clone()].to_owned()));
            }
        }
        Ok(())
    }

    fn end<H: Handler + ?Sized>(
        &mut self,
        input: &[u8],
        at: usize,
        handler: &mut H,
    ) -> Result<usize, Refusal<H::Error>> {
        let rest = &input[at..];
        let expected = self.innermost().as_bytes();
        let name_end = 2 + expected.len();
        let len =
            if rest.get(2..name_end) == Some(expected) && rest.get(name_end) == Some(&b'>') && name_end > 2 {
                name_end + 1
            } else {
                let (name, len) = end_tag(rest, &self.limits).map_err(|stop| Refusal::from_stop(stop, at))?;
                if self.open.is_empty() || &rest[name.clone()] != expected {
                    let found = String::from_utf8_lossy(&rest[name]).into_owned();
                    let kind = match self.open.is_empty() {
                        true => XmlErrorKind::UnopenedEnd(found),
                        false => XmlErrorKind::MismatchedEnd {
                            expected: self.innermost().to_owned(),
                            found,
                        },
                    };
                    return Err(Refusal::Bad(kind, at));
                }
                len
            };
        let start = self.offset + at as u64;
        self.close(start, start + len as u64, handler)
            .map_err(Refusal::Handler)?;
        Ok(at + len)
    }

    fn close<H: Handler + ?Sized>(
        &mut self,
        start: u64,
        offset: u64,
        handler: &mut H,
    ) -> Result<(), H::Error> {
        if let Some(open) = self.open.pop() {
            self.names.truncate(open.name);
            self.namespaces.truncate(open.bindings);
            self.default_ns = open.default_ns;
        }
        if self.open.is_empty() {
            self.phase = Phase::Epilog;
        }
        handler.event(Event::End { start, offset })
    }

    fn innermost(&self) -> &str {
        self.open.last().map_or("", |open| &self.names[open.name..])
    }

    /// `at` counts from `self.offset`.
    fn fail_at(&mut self, kind: XmlErrorKind, at: usize) -> XmlError {
        self.fail(kind, self.offset + at as u64)
    }

    fn fail(&mut self, kind: XmlErrorKind, offset: u64) -> XmlError {
        let error = XmlError::new(kind, offset);
        self.failed = Some(error.clone());
        error
    }
}

/// Why a tag was not taken.
enum Refusal<E> {
    Incomplete,
    Bad(XmlErrorKind, usize),
    Handler(E),
}

impl<E> Refusal<E> {
    /// Positions in `stop` count from the tag, which begins at `at`.
    fn from_stop(stop: Stop, at: usize) -> Self {
        match stop {
            Stop::Incomplete => Refusal::Incomplete,
            Stop::Bad(kind, offset) => Refusal::Bad(kind, at + offset),
        }
    }
}

/// Reads a whole stored document.
///
/// # Errors
/// What [`Tokenizer`] refuses, and [`XmlErrorKind::Unreadable`] when the source cannot be read back.
pub fn parse_source<H: Handler + ?Sized>(
    source: &Source,
    limits: Limits,
    handler: &mut H,
) -> Result<(), H::Error> {
    feed_source(source, Tokenizer::new(limits), handler)
}

/// [`parse_source`] with a tokenizer that is set up already.
pub(crate) fn feed_source<H: Handler + ?Sized>(
    source: &Source,
    mut tokenizer: Tokenizer,
    handler: &mut H,
) -> Result<(), H::Error> {
    if let Some(bytes) = source.as_memory() {
        tokenizer.push(bytes, handler)?;
        return tokenizer.finish(handler);
    }
    let mut window = vec![0; WINDOW];
    let mut offset = 0;
    loop {
        let count = source
            .read_at(offset, &mut window)
            .map_err(|error| XmlError::new(XmlErrorKind::Unreadable(error.kind()), offset))?;
        if count == 0 {
            return tokenizer.finish(handler);
        }
        tokenizer.push(&window[..count], handler)?;
        offset += count as u64;
    }
}

#[cfg(test)]
mod tests;
