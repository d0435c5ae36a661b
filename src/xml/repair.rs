//! The two repairs of what devices send. Nothing else is ever repaired.

use memchr::memmem;

use super::error::{Limits, XmlError};
use super::event::{Event, Handler};
use super::tokenizer::Tokenizer;

const REPLACEMENT: &[u8] = "\u{FFFD}".as_bytes();

/// Replaces bytes that are not UTF-8 and characters that XML 1.0 cannot hold by U+FFFD, as they come (X3): CLI text
/// with a stray escape character must not cost the session. Input may be cut anywhere.
#[derive(Clone, Debug, Default)]
pub struct Sanitizer {
    /// The beginning of a UTF-8 sequence that the last input ended with; at most three bytes.
    held: Vec<u8>,
    lossy: bool,
}

impl Sanitizer {
    /// For one message.
    pub fn new() -> Self {
        Sanitizer::default()
    }

    /// Whether `input` needs no repair and ends with a whole character: it may be used as it stands instead of being
    /// pushed.
    pub fn passes(&self, input: &[u8]) -> bool {
        let legal = || std::str::from_utf8(input).is_ok() && next_illegal(input, 0).is_none();
        // Most of what devices send is ASCII.
        self.held.is_empty() && (is_ascii_text(input) || legal())
    }

    /// Appends `input` to `out`, repaired.
    pub fn push(&mut self, input: &[u8], out: &mut Vec<u8>) {
        let mut rest = input;
        // Complete a sequence that was cut, one byte at a time, until it is whole or broken.
        while !self.held.is_empty() {
            let Some((first, tail)) = rest.split_first() else {
                return;
            };
            self.held.push(*first);
            rest = tail;
            let held = std::mem::take(&mut self.held);
            self.valid_or_replaced(&held, out);
        }
        self.valid_or_replaced(rest, out);
    }

    /// Ends the message: a sequence that was cut stays cut.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        if !self.held.is_empty() {
            self.held.clear();
            self.replace(out);
        }
    }

    /// Whether anything was replaced.
    pub fn lossy(&self) -> bool {
        self.lossy
    }

    fn valid_or_replaced(&mut self, mut rest: &[u8], out: &mut Vec<u8>) {
        loop {
            match std::str::from_utf8(rest) {
                Ok(_) => return self.legal_or_replaced(rest, out),
                Err(error) => {
                    let (valid, bad) = rest.split_at(error.valid_up_to());
                    self.legal_or_replaced(valid, out);
                    let Some(len) = error.error_len() else {
                        self.held.extend_from_slice(bad);
                        return;
                    };
                    self.replace(out);
                    rest = &bad[len..];
                }
            }
        }
    }

    /// `valid` is UTF-8.
    fn legal_or_replaced(&mut self, valid: &[u8], out: &mut Vec<u8>) {
        let mut plain = 0;
        while let Some((at, len)) = next_illegal(valid, plain) {
            out.extend_from_slice(&valid[plain..at]);
            self.replace(out);
            plain = at + len;
        }
        out.extend_from_slice(&valid[plain..]);
    }

    fn replace(&mut self, out: &mut Vec<u8>) {
        self.lossy = true;
        out.extend_from_slice(REPLACEMENT);
    }
}

/// Place and length of the next character from `at` on that XML 1.0 cannot hold. `valid` is UTF-8.
fn next_illegal(valid: &[u8], mut at: usize) -> Option<(usize, usize)> {
    let mut looked_at = at;
    while at < valid.len() {
        if at >= looked_at
            && let Some(stretch) = valid.get(at..at + STRETCH)
        {
            if is_plain(stretch) {
                at += STRETCH;
                continue;
            }
            looked_at = at + STRETCH;
        }
        match valid[at] {
            b'\t' | b'\n' | b'\r' => {}
            0..0x20 => return Some((at, 1)),
            0xEF if matches!(valid[at..], [_, 0xBF, 0xBE | 0xBF, ..]) => return Some((at, 3)),
            _ => {}
        }
        at += 1;
    }
    None
}

/// Bytes that are looked at together.
const STRETCH: usize = 64;

/// Whether no byte here needs a closer look. Without a branch, so that the compiler takes many bytes at once.
fn is_plain(stretch: &[u8]) -> bool {
    stretch.iter().fold(true, |plain, byte| {
        plain & ((*byte >= 0x20) & (*byte != 0xEF) | matches!(byte, b'\t' | b'\n' | b'\r'))
    })
}

/// Whether all of it is ASCII that XML 1.0 can hold. Without a branch in a stretch, as above.
fn is_ascii_text(input: &[u8]) -> bool {
    let (stretches, rest) = input.as_chunks::<STRETCH>();
    let is_text = |bytes: &[u8]| {
        bytes.iter().fold(true, |text, byte| {
            text & ((*byte >= 0x20) & (*byte < 0x80) | matches!(byte, b'\t' | b'\n' | b'\r'))
        })
    };
    stretches.iter().all(|stretch| is_text(stretch)) && is_text(rest)
}

/// Closes `<routing-engine>` elements that a cluster left open in its answer to a commit or validate. `None` if
/// nothing was to be closed, or if the result is still not well-formed: then the reply is broken in some other way.
/// Only for such answers, and only after the strict parse failed.
pub fn close_routing_engine(text: &str) -> Option<String> {
    closed(text, Tokenizer::new(Limits::default()), |_, _| true)
}

/// [`close_routing_engine`] for a document that answers nobody knows what: it has to show by itself that it answers a
/// commit or validate. The element stands in `<commit-results>`, or straight in the reply and tells of success or an
/// error. Prefixes need no declaration (N8).
pub fn close_routing_engine_of_commit(text: &str) -> Option<String> {
    let tokenizer = Tokenizer::new(Limits::default()).lenient_prefixes();
    closed(text, tokenizer, |parent, told| match parent {
        "commit-results" => true,
        "rpc-reply" => told,
        _ => false,
    })
}

/// Closes what was left open where `may` says so, from the name of the element around it and whether a result stands
/// straight in it, and has `tokenizer` read what comes out.
fn closed(text: &str, mut tokenizer: Tokenizer, may: impl Fn(&str, bool) -> bool) -> Option<String> {
    let mut told = false;
    let mut out = String::with_capacity(text.len() + 64);
    let mut open: Vec<&str> = Vec::new();
    let mut copied = 0;
    let mut at = 0;
    while let Some(found) = text[at..].find('<') {
        let from = at + found;
        let tag = &text[from..];
        at = from + markup_len(tag)?;
        if tag.starts_with("<!") || tag.starts_with("<?") {
            continue;
        }
        let name = name_of(tag);
        let is_end = tag.starts_with("</");
        let closes_early = match open.last() {
            Some(top) if local(top) == "routing-engine" => {
                if is_end {
                    *top != name
                } else {
                    matches!(local(name), "routing-engine" | "ok")
                }
            }
            Some(_) | None => false,
        };
        if closes_early {
            let parent = open.iter().rev().nth(1).map_or("", |parent| local(parent));
            if !may(parent, told) {
                return None;
            }
            out.push_str(&text[copied..from]);
            copied = from;
            out.push_str("</");
            out.push_str(open.pop()?);
            out.push('>');
        }
        if is_end {
            if open.pop()? != name {
                return None;
            }
        } else {
            let inside = open.last().is_some_and(|top| local(top) == "routing-engine");
            told |= inside
                && matches!(
                    local(name),
                    "commit-success" | "commit-check-success" | "rpc-error"
                );
            if !text[from..at].ends_with("/>") {
                told &= local(name) != "routing-engine";
                open.push(name);
            }
        }
    }
    if copied == 0 {
        return None;
    }
    out.push_str(&text[copied..]);
    tokenizer.push(out.as_bytes(), &mut Ignore).ok()?;
    tokenizer.finish(&mut Ignore).ok()?;
    Some(out)
}

/// Bytes of the markup at the beginning of `text`.
fn markup_len(text: &str) -> Option<usize> {
    let (end, len) = match text {
        _ if text.starts_with("<!--") => ("-->", 3),
        _ if text.starts_with("<![CDATA[") => ("]]>", 3),
        _ => (">", 1),
    };
    memmem::find(text.as_bytes(), end.as_bytes()).map(|found| found + len)
}

fn name_of(tag: &str) -> &str {
    let name = tag.trim_start_matches(['<', '/']);
    &name[..name
        .find(|c: char| c.is_ascii_whitespace() || matches!(c, '/' | '>'))
        .unwrap_or(name.len())]
}

fn local(name: &str) -> &str {
    name.split_once(':').map_or(name, |(_, local)| local)
}

struct Ignore;

impl Handler for Ignore {
    type Error = XmlError;

    fn event(&mut self, _: Event<'_>) -> Result<(), XmlError> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sanitized(pieces: &[&[u8]]) -> (String, bool) {
        let mut sanitizer = Sanitizer::new();
        let mut out = Vec::new();
        for piece in pieces {
            sanitizer.push(piece, &mut out);
        }
        sanitizer.finish(&mut out);
        let whole = pieces.concat();
        let untouched = out == whole && !sanitizer.lossy();
        assert_eq!(Sanitizer::new().passes(&whole), untouched, "{whole:?}");
        (String::from_utf8(out).unwrap(), sanitizer.lossy())
    }

    /// X3
    #[test]
    fn bad_bytes_and_control_characters_are_replaced() {
        assert_eq!(sanitized(&[b"a\tb\r\n\x7f"]), ("a\tb\r\n\x7f".to_owned(), false));
        assert_eq!(
            sanitized(&[b"a\x1b[0m\x00"]),
            ("a\u{FFFD}[0m\u{FFFD}".to_owned(), true)
        );
        assert_eq!(sanitized(&[b"caf\xe9 z"]), ("caf\u{FFFD} z".to_owned(), true));
        assert_eq!(
            sanitized(&["\u{FFFF}x".as_bytes()]),
            ("\u{FFFD}x".to_owned(), true)
        );
        assert_eq!(sanitized(&[b"\xe2\x82"]), ("\u{FFFD}".to_owned(), true));
    }

    /// X3: wherever in a long text they stand.
    #[test]
    fn what_is_replaced_is_found_at_every_place_of_a_long_text() {
        for at in 0..200 {
            for (bad, good) in [
                ("\u{1b}", "\u{FFFD}"),
                ("\u{FFFE}", "\u{FFFD}"),
                ("\u{FF5E}", "\u{FF5E}"),
            ] {
                let text = |middle: &str| format!("{}{middle}{}", "x\n".repeat(at), "y".repeat(200 - at));
                let expected = (text(good), bad != good);
                assert_eq!(sanitized(&[text(bad).as_bytes()]), expected, "{bad:?} at {at}");
            }
        }
    }

    /// X3: the answer does not depend on how the bytes were cut.
    #[test]
    fn cuts_change_nothing() {
        let input = b"\xe2\x82\xac\xe2\x82x\xf0\x9f\x98\x80\xff\xc3\xa9\xef\xbf\xbf\x01end\xf0\x9f";
        let whole = sanitized(&[input]);
        for cut in 0..=input.len() {
            for second in cut..=input.len() {
                assert_eq!(
                    sanitized(&[&input[..cut], &input[cut..second], &input[second..]]),
                    whole
                );
            }
        }
        assert_eq!(
            whole.0,
            String::from_utf8_lossy(input).replace(['\u{1}', '\u{FFFF}'], "\u{FFFD}")
        );
    }

    #[test]
    fn an_open_routing_engine_is_closed() {
        let one = "<r><commit-results><routing-engine><name>re0</name><commit-check-success/></commit-results><ok/></r>";
        assert_eq!(
            close_routing_engine(one).as_deref(),
            Some(
                "<r><commit-results><routing-engine><name>re0</name><commit-check-success/></routing-engine></commit-results><ok/></r>"
            )
        );
        let two = "<r><routing-engine><name>a</name>\n<routing-engine><name>b</name>\n<ok/></r>";
        assert_eq!(
            close_routing_engine(two).as_deref(),
            Some(
                "<r><routing-engine><name>a</name>\n</routing-engine><routing-engine><name>b</name>\n</routing-engine><ok/></r>"
            )
        );
    }

    /// A document of which nobody knows the request has to look like the answer to a commit.
    #[test]
    fn without_the_request_only_results_of_a_commit_are_closed() {
        for text in [
            "<rpc-reply><routing-engine junos:style='x'><name>a</name><commit-check-success/><ok/></rpc-reply>",
            "<nc:rpc-reply><routing-engine><commit-success/><routing-engine><commit-success/><nc:ok/></nc:rpc-reply>",
            "<rpc-reply><commit-results><routing-engine><name>a</name></commit-results></rpc-reply>",
            "<rpc-reply><routing-engine><rpc-error><a/></rpc-error></rpc-reply>",
        ] {
            assert!(close_routing_engine_of_commit(text).is_some(), "{text}");
        }
        for text in [
            "<rpc-reply><software><routing-engine><name>a</name></software></rpc-reply>",
            "<rpc-reply><routing-engine><name>a</name><ok/></rpc-reply>",
            "<rpc-reply><routing-engine><commit-success/><routing-engine><name>a</name><ok/></rpc-reply>",
            "<rpc-reply><a><routing-engine><commit-success/></a></rpc-reply>",
        ] {
            assert_eq!(close_routing_engine_of_commit(text), None, "{text}");
        }
    }

    #[test]
    fn nothing_else_is_repaired() {
        for text in [
            "<r><routing-engine/></r>",
            "<r><a></r>",
            "<r><routing-engine><a></r>",
            "<r><routing-engine>",
            "<r><routing-engine></r><r/>",
            "no xml",
        ] {
            assert_eq!(close_routing_engine(text), None, "{text}");
        }
    }
}
