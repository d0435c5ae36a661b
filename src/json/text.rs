//! From raw XML content to the inside of a JSON string.
//!
//! The input was checked by the first pass, so nothing here refuses anything.

use memchr::memmem;

use crate::xml::chars::{Reference, reference};

/// Where in raw content the decoder stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Inside {
    /// Text.
    #[default]
    Text,
    /// A CDATA section.
    Cdata,
    /// A comment.
    Comment,
    /// A processing instruction.
    Instruction,
}

/// Decodes raw content: references, CDATA, line ends; comments and instructions are dropped. Stops in front of a tag. Returns the
/// bytes used, which is all of `raw` with `last`, and otherwise may be a few less.
pub(super) fn decode(raw: &[u8], inside: &mut Inside, last: bool, out: &mut Vec<u8>) -> usize {
    let mut at = 0;
    loop {
        let rest = &raw[at..];
        let used = match *inside {
            Inside::Comment => skip(rest, b"-->", inside, last),
            Inside::Instruction => skip(rest, b"?>", inside, last),
            Inside::Cdata => decode_cdata(rest, inside, last, out),
            Inside::Text => match rest.first() {
                Some(b'<') => match enter(rest, inside) {
                    Some(used) => used,
                    None => return at,
                },
                Some(_) | None => decode_text(rest, last, out),
            },
        };
        at += used;
        if used == 0 || at == raw.len() {
            return at;
        }
    }
}

/// What begins with `<`: enters CDATA, a comment or an instruction; `None` for a tag, or if too little is there to tell.
fn enter(rest: &[u8], inside: &mut Inside) -> Option<usize> {
    if rest.starts_with(b"<!--") {
        *inside = Inside::Comment;
        Some(4)
    } else if rest.starts_with(b"<![CDATA[") {
        *inside = Inside::Cdata;
        Some(9)
    } else if rest.starts_with(b"<?") {
        *inside = Inside::Instruction;
        Some(2)
    } else {
        None
    }
}

fn skip(rest: &[u8], end: &[u8], inside: &mut Inside, last: bool) -> usize {
    match memmem::find(rest, end) {
        Some(found) => {
            *inside = Inside::Text;
            found + end.len()
        }
        None if last => rest.len(),
        None => rest.len().saturating_sub(2),
    }
}

fn decode_cdata(rest: &[u8], inside: &mut Inside, last: bool, out: &mut Vec<u8>) -> usize {
    let found = memmem::find(rest, b"]]>");
    let end = match found {
        Some(found) => found,
        None if last => rest.len(),
        // The end may be cut, and so may CR LF.
        None => rest.len().saturating_sub(2),
    };
    let used = line_ends(&rest[..end], found.is_some() || last, out);
    match found {
        Some(found) => {
            *inside = Inside::Text;
            found + 3
        }
        None => used,
    }
}

/// Copies, with CR LF and CR turned into LF.
fn line_ends(raw: &[u8], last: bool, out: &mut Vec<u8>) -> usize {
    let mut at = 0;
    while let Some(found) = memchr::memchr(b'\r', &raw[at..]) {
        out.extend_from_slice(&raw[at..at + found]);
        at += found;
        match raw.get(at + 1) {
            None if !last => return at,
            Some(b'\n') => at += 2,
            None | Some(_) => at += 1,
        }
        out.push(b'\n');
    }
    out.extend_from_slice(&raw[at..]);
    raw.len()
}

fn decode_text(rest: &[u8], last: bool, out: &mut Vec<u8>) -> usize {
    let end = memchr::memchr(b'<', rest);
    let text = &rest[..end.unwrap_or(rest.len())];
    let last = last || end.is_some();
    let mut at = 0;
    while let Some(found) = memchr::memchr(b'&', &text[at..]) {
        at += line_ends(&text[at..at + found], true, out);
        match reference(&text[at..]) {
            Reference::Char(c, len) => {
                out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                at += len;
            }
            Reference::Incomplete | Reference::Bad => return at,
        }
    }
    at + line_ends(&text[at..], last, out)
}

/// Bytes that cannot stand in a JSON string as they are.
static ESCAPED: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 0x20 {
        table[byte] = true;
        byte += 1;
    }
    table[b'"' as usize] = true;
    table[b'\\' as usize] = true;
    table
};

/// Appends `text` as the inside of a JSON string.
pub(super) fn escape(text: &[u8], out: &mut Vec<u8>) {
    let mut plain = 0;
    for (at, byte) in text.iter().enumerate() {
        if ESCAPED[usize::from(*byte)] {
            out.extend_from_slice(&text[plain..at]);
            plain = at + 1;
            match byte {
                b'"' => out.extend_from_slice(b"\\\""),
                b'\\' => out.extend_from_slice(b"\\\\"),
                b'\n' => out.extend_from_slice(b"\\n"),
                b'\t' => out.extend_from_slice(b"\\t"),
                b'\r' => out.extend_from_slice(b"\\r"),
                other => out.extend_from_slice(format!("\\u{other:04x}").as_bytes()),
            }
        }
    }
    out.extend_from_slice(&text[plain..]);
}

/// Appends the raw content of a comment as the inside of a JSON string; a line ends as XML 1.0 section 2.11 has it.
pub(super) fn comment(raw: &[u8], out: &mut Vec<u8>) {
    if memchr::memchr(b'\r', raw).is_none() {
        return escape(raw, out);
    }
    let mut lines = Vec::with_capacity(raw.len());
    line_ends(raw, true, &mut lines);
    escape(&lines, out);
}

/// Appends `text` as a JSON string.
pub(super) fn string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    escape(text.as_bytes(), out);
    out.push(b'"');
}

/// What becomes of the newlines at the ends of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Newlines {
    /// All stay.
    Keep,
    /// One goes at each end: the text is known to be wrapped in them (N3).
    Unwrap,
    /// All go (J7).
    Strip,
}

/// Newlines that are held back at most; more of them in a row count as text.
const MOST_HELD: u64 = 64 << 10;

/// Writes a string that comes in pieces.
#[derive(Debug)]
pub(super) struct Streamed {
    newlines: Newlines,
    begun: bool,
    /// Newlines at the end of what came so far, which may have to go.
    held: u64,
}

impl Streamed {
    pub(super) fn new(newlines: Newlines) -> Self {
        Streamed {
            newlines,
            begun: false,
            held: 0,
        }
    }

    /// Appends a decoded piece, escaped.
    pub(super) fn piece(&mut self, mut text: &[u8], out: &mut Vec<u8>) {
        if !self.begun && !text.is_empty() {
            match self.newlines {
                Newlines::Keep => self.begun = true,
                Newlines::Unwrap => {
                    text = &text[1..];
                    self.begun = true;
                }
                Newlines::Strip => {
                    let from = text.iter().position(|b| *b != b'\n').unwrap_or(text.len());
                    text = &text[from..];
                    self.begun = !text.is_empty();
                }
            }
        }
        let end = text.iter().rposition(|b| *b != b'\n').map_or(0, |last| last + 1);
        if end > 0 {
            self.release(self.held, out);
            escape(&text[..end], out);
            self.held = 0;
        }
        self.held += (text.len() - end) as u64;
        let most = match self.newlines {
            Newlines::Keep => 0,
            Newlines::Unwrap => 1,
            Newlines::Strip => MOST_HELD,
        };
        if self.held > most {
            self.release(self.held - most, out);
            self.held = most;
        }
    }

    /// Ends the string: what is held goes.
    pub(super) fn end(&mut self) {
        self.held = 0;
    }

    fn release(&self, count: u64, out: &mut Vec<u8>) {
        for _ in 0..count {
            out.extend_from_slice(b"\\n");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(raw: &str, step: usize) -> String {
        let mut out = Vec::new();
        let mut inside = Inside::Text;
        let bytes = raw.as_bytes();
        let (mut from, mut to) = (0, step.min(bytes.len()));
        loop {
            let last = to == bytes.len();
            from += decode(&bytes[from..to], &mut inside, last, &mut out);
            if last {
                assert_eq!(from, bytes.len());
                return String::from_utf8(out).unwrap();
            }
            to = (to + step).min(bytes.len());
        }
    }

    /// N3: CDATA and references are decoded, whatever the pieces.
    #[test]
    fn content_is_decoded_in_pieces_of_any_size() {
        let raw = "a&lt;b<![CDATA[<&amp;]]]]><![CDATA[>\r\n]]><!-- - x -->\r\n\r<?p ? >?>&#x20AC;é";
        for step in 1..=raw.len() {
            assert_eq!(decoded(raw, step), "a<b<&amp;]]>\n\n\n€é", "{step}");
        }
    }

    fn streamed(newlines: Newlines, pieces: &[&str]) -> String {
        let mut out = Vec::new();
        let mut string = Streamed::new(newlines);
        for piece in pieces {
            string.piece(piece.as_bytes(), &mut out);
        }
        string.end();
        String::from_utf8(out).unwrap()
    }

    /// N3, J7
    #[test]
    fn newlines_at_the_ends_go_or_stay() {
        for pieces in [&["\n\na\nb\n\n"][..], &["\n", "\n", "a", "\n", "b\n", "\n"]] {
            assert_eq!(streamed(Newlines::Keep, pieces), "\\n\\na\\nb\\n\\n");
            assert_eq!(streamed(Newlines::Unwrap, pieces), "\\na\\nb\\n");
            assert_eq!(streamed(Newlines::Strip, pieces), "a\\nb");
        }
    }

    #[test]
    fn strings_are_escaped() {
        let mut out = Vec::new();
        string("a\"\\\n\t\r/é\u{1}", &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), r#""a\"\\\n\t\r/é\u0001""#);
    }
}
