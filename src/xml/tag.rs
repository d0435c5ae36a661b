//! The grammar of tags: names, attributes and their values, over one slice that may end in the middle.

use std::ops::Range;

use super::chars::{
    NAME, NAME_COLON, NAME_END, NAME_REST, NAME_START, NAME_WIDE, PLAIN, Reference, VALUE, is_blank,
    is_noncharacter, reference,
};
use super::error::{Limits, XmlErrorKind};
use super::name::is_qname;
use super::namespace::NamespaceId;

/// An attribute of the tag that was read last; ranges are relative to the tag's `<`.
#[derive(Clone, Debug)]
pub(crate) struct RawAttribute {
    pub(crate) name: Range<usize>,
    pub(crate) prefix_len: usize,
    pub(crate) value: RawValue,
    /// Resolved once the element's own declarations are known.
    pub(crate) ns: NamespaceId,
}

/// A namespace declaration; an empty prefix is the default namespace.
#[derive(Clone, Debug)]
pub(crate) struct RawDeclaration {
    pub(crate) prefix: Range<usize>,
    pub(crate) value: RawValue,
}

/// Where a value lies.
#[derive(Clone, Debug)]
pub(crate) enum RawValue {
    /// In the tag, as it is.
    Verbatim(Range<usize>),
    /// In the buffer of decoded values.
    Decoded(Range<usize>),
}

/// Why a tag could not be read from the slice.
pub(crate) enum Stop {
    /// The slice ends inside the tag.
    Incomplete,
    /// It is wrong, at this byte of the slice.
    Bad(XmlErrorKind, usize),
}

/// What a start tag was made of.
pub(crate) struct Tag {
    pub(crate) name_len: usize,
    pub(crate) prefix_len: usize,
    pub(crate) self_closing: bool,
    /// Bytes of the whole tag.
    pub(crate) len: usize,
}

/// Reads tags, keeping its buffers from one to the next.
#[derive(Debug, Default)]
pub(crate) struct TagReader {
    pub(crate) attributes: Vec<RawAttribute>,
    pub(crate) declarations: Vec<RawDeclaration>,
    pub(crate) decoded: String,
}

impl TagReader {
    /// Reads the start tag at the beginning of `input`, whose first byte is `<`.
    pub(crate) fn start_tag(&mut self, input: &[u8], limits: &Limits) -> Result<Tag, Stop> {
        self.attributes.clear();
        self.declarations.clear();
        self.decoded.clear();
        let (name_end, prefix_len) = scan_name(input, 1, limits)?;
        let mut at = name_end;
        let done = |self_closing, len| Tag {
            name_len: name_end - 1,
            prefix_len,
            self_closing,
            len,
        };
        loop {
            let before = at;
            at = skip_blanks(input, at);
            match input.get(at) {
                None => return Err(Stop::Incomplete),
                Some(b'>') => return Ok(done(false, at + 1)),
                Some(b'/') => {
                    return match input.get(at + 1) {
                        None => Err(Stop::Incomplete),
                        Some(b'>') => Ok(done(true, at + 2)),
                        Some(_) => Err(Stop::Bad(XmlErrorKind::BadTag, at)),
                    };
                }
                Some(_) if before == at => return Err(Stop::Bad(XmlErrorKind::BadTag, at)),
                Some(_) => at = self.attribute(input, at, limits)?,
            }
        }
    }

    fn attribute(&mut self, input: &[u8], at: usize, limits: &Limits) -> Result<usize, Stop> {
        if self.attributes.len() + self.declarations.len() >= limits.attributes {
            return Err(Stop::Bad(XmlErrorKind::TooManyAttributes(limits.attributes), at));
        }
        let (name_end, prefix_len) = scan_name(input, at, limits)?;
        let name = at..name_end;
        let equals = skip_blanks(input, name_end);
        expect(input, equals, b"=")?;
        let open = skip_blanks(input, equals + 1);
        let quote = expect(input, open, b"\"'")?;
        let (value, close) = self.value(input, open + 1, quote)?;
        let bytes = &input[name.clone()];
        if self.is_written_twice(input, bytes) {
            let written = String::from_utf8_lossy(bytes).into_owned();
            return Err(Stop::Bad(XmlErrorKind::DuplicateAttribute(written), at));
        }
        if bytes == b"xmlns" {
            self.declarations.push(RawDeclaration { prefix: 0..0, value });
        } else if prefix_len == 5 && bytes.starts_with(b"xmlns") {
            self.declarations.push(RawDeclaration {
                prefix: at + 6..name_end,
                value,
            });
        } else {
            self.attributes.push(RawAttribute {
                name,
                prefix_len,
                value,
                ns: NamespaceId::NONE,
            });
        }
        Ok(close + 1)
    }

    fn is_written_twice(&self, input: &[u8], name: &[u8]) -> bool {
        if name.starts_with(b"xmlns") {
            let prefix = name.get(6..).unwrap_or_default();
            if name.len() == 5 || name[5] == b':' {
                return self
                    .declarations
                    .iter()
                    .any(|d| &input[d.prefix.clone()] == prefix);
            }
        }
        self.attributes.iter().any(|a| &input[a.name.clone()] == name)
    }

    /// The value from `from` to its closing quote, whose position is returned too.
    fn value(&mut self, input: &[u8], from: usize, quote: u8) -> Result<(RawValue, usize), Stop> {
        let mut at = from;
        let mut plain = from;
        let mut decoded: Option<usize> = None;
        loop {
            while input.get(at).is_some_and(|b| VALUE[usize::from(*b)] == PLAIN) {
                at += 1;
            }
            let Some(byte) = input.get(at) else {
                return Err(Stop::Incomplete);
            };
            let (replacement, len) = match *byte {
                b if b == quote => break,
                b'"' | b'\'' => {
                    at += 1;
                    continue;
                }
                b'<' => return Err(Stop::Bad(XmlErrorKind::BadTag, at)),
                b'&' => match reference(&input[at..]) {
                    Reference::Char(c, len) => (c, len),
                    Reference::Incomplete => return Err(Stop::Incomplete),
                    Reference::Bad => return Err(Stop::Bad(XmlErrorKind::BadReference, at)),
                },
                b'\t' | b'\n' => (' ', 1),
                b'\r' => match input.get(at + 1) {
                    None => return Err(Stop::Incomplete),
                    Some(b'\n') => (' ', 2),
                    Some(_) => (' ', 1),
                },
                0xEF => match is_noncharacter(&input[at..]) {
                    None => return Err(Stop::Incomplete),
                    Some(true) => return Err(Stop::Bad(XmlErrorKind::BadCharacter, at)),
                    Some(false) => {
                        at += 1;
                        continue;
                    }
                },
                _ => return Err(Stop::Bad(XmlErrorKind::BadCharacter, at)),
            };
            decoded.get_or_insert(self.decoded.len());
            self.append(&input[plain..at], plain)?;
            self.decoded.push(replacement);
            at += len;
            plain = at;
        }
        match decoded {
            None => Ok((RawValue::Verbatim(from..at), at)),
            Some(begin) => {
                self.append(&input[plain..at], plain)?;
                Ok((RawValue::Decoded(begin..self.decoded.len()), at))
            }
        }
    }

    fn append(&mut self, bytes: &[u8], offset: usize) -> Result<(), Stop> {
        match std::str::from_utf8(bytes) {
            Ok(text) => {
                self.decoded.push_str(text);
                Ok(())
            }
            Err(error) => Err(Stop::Bad(XmlErrorKind::InvalidUtf8, offset + error.valid_up_to())),
        }
    }
}

/// Reads the end tag at the beginning of `input`, whose first bytes are `</`. Returns the range of the name and the
/// length of the tag.
pub(crate) fn end_tag(input: &[u8], limits: &Limits) -> Result<(Range<usize>, usize), Stop> {
    let (name_end, _) = scan_name(input, 2, limits)?;
    let close = skip_blanks(input, name_end);
    expect(input, close, b">")?;
    Ok((2..name_end, close + 1))
}

/// Reads a QName from `from` on. Returns where it ends and the length of its prefix.
fn scan_name(input: &[u8], from: usize, limits: &Limits) -> Result<(usize, usize), Stop> {
    let mut at = from;
    let mut wide = false;
    let mut colon = None;
    // Whether the next byte has to be able to start a name.
    let mut start = true;
    while let Some(byte) = input.get(at) {
        match NAME[usize::from(*byte)] {
            NAME_START => start = false,
            NAME_REST if !start => {}
            NAME_COLON if !start && colon.is_none() => {
                colon = Some(at);
                start = true;
            }
            NAME_WIDE => {
                wide = true;
                start = false;
            }
            NAME_END if !start => {
                return finish_name(input, from, at, colon, wide);
            }
            _ => return Err(Stop::Bad(XmlErrorKind::BadName, at)),
        }
        at += 1;
        if at - from > limits.name_bytes {
            return Err(Stop::Bad(XmlErrorKind::NameTooLong(limits.name_bytes), from));
        }
    }
    Err(Stop::Incomplete)
}

fn finish_name(
    input: &[u8],
    from: usize,
    end: usize,
    colon: Option<usize>,
    wide: bool,
) -> Result<(usize, usize), Stop> {
    if wide {
        match std::str::from_utf8(&input[from..end]) {
            Ok(name) if is_qname(name) => {}
            Ok(_) => return Err(Stop::Bad(XmlErrorKind::BadName, from)),
            Err(error) => return Err(Stop::Bad(XmlErrorKind::InvalidUtf8, from + error.valid_up_to())),
        }
    }
    Ok((end, colon.map_or(0, |colon| colon - from)))
}

fn skip_blanks(input: &[u8], mut at: usize) -> usize {
    while input.get(at).is_some_and(|b| is_blank(*b)) {
        at += 1;
    }
    at
}

/// One of the bytes in `wanted` at `at`.
fn expect(input: &[u8], at: usize, wanted: &[u8]) -> Result<u8, Stop> {
    match input.get(at) {
        None => Err(Stop::Incomplete),
        Some(byte) if wanted.contains(byte) => Ok(*byte),
        Some(_) => Err(Stop::Bad(XmlErrorKind::BadTag, at)),
    }
}

/// Looks for the end of a tag across several slices, so that a tag which arrives byte by byte is not read again and
/// again.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct TagEnd {
    scanned: usize,
    quote: Option<u8>,
}

impl TagEnd {
    /// Bytes of the tag, after its end was found.
    pub(crate) fn len(&self) -> usize {
        self.scanned + 1
    }

    /// `input` begins with the tag's `<` and grows from call to call. Whether the closing `>` is in it.
    pub(crate) fn found(&mut self, input: &[u8]) -> bool {
        // Quotes mean nothing in an end tag.
        let quotes = input.get(1) != Some(&b'/');
        while let Some(byte) = input.get(self.scanned) {
            match self.quote {
                Some(quote) => {
                    if *byte == quote {
                        self.quote = None;
                    }
                }
                None => match byte {
                    b'>' => return true,
                    b'"' | b'\'' if quotes => self.quote = Some(*byte),
                    _ => {}
                },
            }
            self.scanned += 1;
        }
        false
    }
}
