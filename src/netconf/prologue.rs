//! What comes before the server's hello: a banner or message of the day on a terminal, and the comments that Junos
//! writes (S3). All of it is skipped, line by line, until an XML declaration or a message begins. Where there is no
//! terminal, a whole element that begins a line is no noise: it is what the server sent in place of its hello (S4).

use memchr::{memchr, memmem, memrchr};

use super::hello::HelloError;
use super::root_watch::{Progress, RootWatch};
use crate::xml::{XmlError, XmlErrorKind};

/// The most that is skipped, in bytes.
const MAX_PROLOGUE: usize = 64 << 10;
/// How much of what came instead of a hello an error quotes, in characters.
const MAX_QUOTE: usize = 200;
/// No tag name that matters here is longer, prefix included.
const MAX_NAME: usize = 80;
/// How much is looked at: a message that begins within the limit is recognised by its name.
const MAX_LOOK: usize = MAX_PROLOGUE + MAX_NAME + 2;

/// Looks for the beginning of the first message.
#[derive(Debug)]
pub struct HelloPrologue {
    /// Everything so far.
    skipped: Vec<u8>,
    /// Where to look on.
    at: usize,
    /// Where the last comment ended.
    comment_end: usize,
    /// A terminal shows whatever it likes.
    terminal: bool,
    /// Follows an element that began a line.
    foreign: Option<Foreign>,
}

/// An element that may stand in place of the hello.
#[derive(Debug)]
struct Foreign {
    watch: RootWatch,
    /// Where it begins.
    start: usize,
    /// How far it has been read.
    read: usize,
}

/// What stands at a `<`.
enum Tag {
    /// The beginning of a message.
    Message,
    /// A comment of this many bytes.
    Comment(usize),
    /// What may be an element of another name.
    Element,
    /// A document type declaration, which no message may have (X3).
    Doctype,
    /// Something else.
    Other,
    /// Too little is known yet.
    Unfinished,
}

impl HelloPrologue {
    /// At the beginning of a stream on which nothing but the server writes.
    pub fn of_subsystem() -> Self {
        Self {
            skipped: Vec::new(),
            at: 0,
            comment_end: 0,
            terminal: false,
            foreign: None,
        }
    }

    /// At the beginning of what a pseudo-terminal shows, where elements before the hello are skipped, too.
    pub fn of_terminal() -> Self {
        Self {
            terminal: true,
            ..Self::of_subsystem()
        }
    }

    /// Takes from the front of `input` what comes before the first message. `None`: it has not begun, all of
    /// `input` is used up. Otherwise the message begins with the bytes returned, which were part of earlier input
    /// and less than one tag, and goes on with what is left of `input`.
    ///
    /// # Errors
    /// When 64 KiB hold no message, or, without a terminal, when another element or a document type declaration stands
    /// where the hello must.
    pub fn push(&mut self, input: &mut &[u8]) -> Result<Option<Vec<u8>>, HelloError> {
        let before = self.skipped.len();
        let room = (MAX_LOOK - before).min(input.len());
        self.skipped.extend_from_slice(&input[..room]);
        if let Some(start) = self.find()?.filter(|start| *start <= MAX_PROLOGUE) {
            *input = &input[start.saturating_sub(before)..];
            let held = self.skipped[start.min(before)..before].to_vec();
            self.skipped.clear();
            return Ok(Some(held));
        }
        if self.skipped.len() == MAX_LOOK {
            return Err(HelloError::NoHelloInSight {
                limit: MAX_PROLOGUE,
                seen: self.quote(),
            });
        }
        *input = &[];
        Ok(None)
    }

    /// The stream has ended before a message began.
    pub fn finish(&self) -> HelloError {
        HelloError::NoHello { seen: self.quote() }
    }

    fn quote(&self) -> String {
        String::from_utf8_lossy(&self.skipped)
            .trim()
            .chars()
            .take(MAX_QUOTE)
            .collect()
    }

    fn find(&mut self) -> Result<Option<usize>, HelloError> {
        while let Some(found) = memchr(b'<', &self.skipped[self.at..]) {
            let at = self.at + found;
            self.at = at;
            self.follow()?;
            let begins_line = self.begins_line(at);
            match tag(&self.skipped[at..], begins_line) {
                Tag::Message => return Ok(Some(at)),
                Tag::Unfinished => return Ok(None),
                Tag::Comment(length) => {
                    self.at = at + length;
                    self.comment_end = self.at;
                }
                Tag::Element => {
                    if begins_line && !self.terminal && self.foreign.is_none() {
                        self.foreign = Some(Foreign {
                            watch: RootWatch::new(),
                            start: at,
                            read: at,
                        });
                    }
                    self.at = at + 1;
                }
                Tag::Doctype if begins_line && !self.terminal => {
                    return Err(HelloError::Malformed(XmlError::new(
                        XmlErrorKind::Doctype,
                        at as u64,
                    )));
                }
                Tag::Doctype | Tag::Other => self.at = at + 1,
            }
        }
        self.at = self.skipped.len();
        self.follow()?;
        Ok(None)
    }

    /// Reads on, up to where the search is, in the element that may stand in place of the hello.
    fn follow(&mut self) -> Result<(), HelloError> {
        let Some(foreign) = &mut self.foreign else {
            return Ok(());
        };
        let progress = foreign.watch.push(&self.skipped[foreign.read..self.at]);
        foreign.read = self.at;
        match progress {
            Progress::Open => Ok(()),
            Progress::Nonsense => {
                self.foreign = None;
                Ok(())
            }
            Progress::Complete(outline) => {
                let message = &self.skipped[foreign.start..self.at];
                Err(HelloError::instead(message, outline))
            }
        }
    }

    /// Whether only blanks stand between here and the last line feed or comment.
    fn begins_line(&self, at: usize) -> bool {
        let line = memrchr(b'\n', &self.skipped[..at]).map_or(0, |end| end + 1);
        let from = line.max(self.comment_end);
        self.skipped[from..at].iter().all(u8::is_ascii_whitespace)
    }
}

fn tag(text: &[u8], begins_line: bool) -> Tag {
    if begins_line && text.starts_with(b"<!--") {
        return match memmem::find(&text[4..], b"-->") {
            Some(end) => Tag::Comment(4 + end + 3),
            None => Tag::Unfinished,
        };
    }
    if (begins_line && b"<!--".starts_with(text)) || b"<?xml".starts_with(text) {
        return Tag::Unfinished;
    }
    if text.starts_with(b"<?xml") {
        return Tag::Message;
    }
    let name = &text[1..];
    let end = name
        .iter()
        .position(|byte| byte.is_ascii_whitespace() || matches!(byte, b'>' | b'/' | b'<'));
    let Some(end) = end else {
        return if name.len() < MAX_NAME {
            Tag::Unfinished
        } else {
            Tag::Other
        };
    };
    let name = &name[..end];
    let local = memrchr(b':', name).map_or(name, |colon| &name[colon + 1..]);
    if local == b"hello" || local == b"rpc-reply" {
        Tag::Message
    } else if name.eq_ignore_ascii_case(b"!DOCTYPE") {
        Tag::Doctype
    } else if name.is_empty() || name.len() >= MAX_NAME {
        Tag::Other
    } else {
        Tag::Element
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where the message begins, for every way of cutting the text in two.
    fn begins(text: &str) -> Option<usize> {
        let mut found = Vec::new();
        for cut in 0..=text.len() {
            let mut prologue = HelloPrologue::of_subsystem();
            let (mut first, mut second) = text.as_bytes().split_at(cut);
            let position = match prologue.push(&mut first).expect("short") {
                Some(held) => {
                    assert!(held.is_empty(), "nothing came before");
                    Some(cut - first.len())
                }
                None => prologue
                    .push(&mut second)
                    .expect("short")
                    .map(|held| text.len() - second.len() - held.len()),
            };
            found.push(position);
        }
        assert!(
            found.windows(2).all(|pair| pair[0] == pair[1]),
            "{text:?}: {found:?}"
        );
        found[0]
    }

    /// S3: what is skipped, and where the message begins.
    #[test]
    fn message_begins_at_its_first_tag() {
        for (before, message) in [
            ("", "<hello>"),
            ("", "<?xml version=\"1.0\"?><hello/>"),
            ("\r\n \t", "<nc:hello xmlns:nc=\"urn:a\">"),
            ("motd < 5 > 3 <b>\n", "<hello\nxmlns=\"\">"),
            ("no newline after this: ", "<hello/>"),
            (
                "<!-- a <hello> in a comment -->\n  <!-- two\nlines -->",
                "<rpc-reply>",
            ),
            ("a line with <!-- in it\n", "<hello>"),
            ("<helloworld> <h:ello> <rpc-replyx>\n", "<hello>"),
            ("<<<", "<hello>"),
        ] {
            assert_eq!(
                begins(&format!("{before}{message}")),
                Some(before.len()),
                "{before:?}"
            );
        }
        for text in ["", "no message\n", "<hel", "<!-- <hello> ", "<?xm", "<"] {
            assert_eq!(begins(text), None, "{text:?}");
        }
    }

    /// S4: without a terminal, a whole element at the beginning of a line stands in place of the hello, and is told
    /// by its names at once; what is no whole element, and all on a terminal, is noise.
    #[test]
    fn whole_element_in_place_of_the_hello_is_refused_at_once() {
        let refusal = |text: &str, step: usize, mut prologue: HelloPrologue| {
            for mut piece in text.as_bytes().chunks(step) {
                if let Err(error) = prologue.push(&mut piece) {
                    return Some(error.to_string());
                }
            }
            None
        };
        let foo = "<foo> came instead of a hello";
        for (text, expected) in [
            ("<foo/>", Some(foo)),
            ("motd\n <foo>secret</foo>\n<hello>", Some(foo)),
            ("<!-- a --> <!-- <hello> --> <foo/>", Some(foo)),
            ("<motd of=day yes>\n<foo/>", Some(foo)),
            (
                "<error xmlns=\"urn:x\"><code>7</code><text>secret</text></error>]]>]]>",
                Some("<error> with <code>, <text> came instead of a hello"),
            ),
            ("no newline: <foo/>", None),
            ("<foo>", None),
            ("<foo>]]>]]>\n", None),
            ("<foo>\n<hello>", None),
            ("< foo/>", None),
        ] {
            for step in 1..=text.len() {
                assert_eq!(
                    refusal(text, step, HelloPrologue::of_subsystem()).as_deref(),
                    expected,
                    "{text:?} in pieces of {step}"
                );
                assert_eq!(
                    refusal(text, step, HelloPrologue::of_terminal()),
                    None,
                    "{text:?}"
                );
            }
        }
    }

    /// X3: no document type declaration stands before a hello, or the message would be taken that it belongs to.
    #[test]
    fn doctype_before_the_hello_is_refused() {
        let pushed = |text: &str, step: usize, mut prologue: HelloPrologue| {
            text.as_bytes()
                .chunks(step)
                .map(|mut piece| prologue.push(&mut piece))
                .find(|pushed| !matches!(pushed, Ok(None)))
        };
        for (text, offset) in [
            ("<!DOCTYPE hello><hello>", Some(0)),
            ("motd\n <!doctype\nhello [<!ENTITY a 'b'>]><hello>", Some(6)),
            ("<!-- a --><!DOCTYPE hello><hello>", Some(10)),
            ("motd <!DOCTYPE hello>\n<hello>", None),
        ] {
            let refused =
                offset.map(|offset| HelloError::Malformed(XmlError::new(XmlErrorKind::Doctype, offset)));
            for step in 1..=text.len() {
                let found = pushed(text, step, HelloPrologue::of_subsystem()).and_then(Result::err);
                assert_eq!(found, refused, "{text:?} in pieces of {step}");
                let found = pushed(text, step, HelloPrologue::of_terminal());
                assert!(
                    matches!(found, Some(Ok(Some(_)))),
                    "a terminal shows anything: {text:?}"
                );
            }
        }
    }

    /// X3: the prologue is bounded, in one piece and in many.
    #[test]
    fn prologue_is_bounded() {
        let noise = "x".repeat(MAX_PROLOGUE + 1000);
        for step in [1000, noise.len()] {
            let mut prologue = HelloPrologue::of_subsystem();
            let mut result = Ok(None);
            for mut piece in noise.as_bytes().chunks(step) {
                result = prologue.push(&mut piece);
                if result.is_err() {
                    break;
                }
            }
            assert!(matches!(
                result,
                Err(HelloError::NoHelloInSight {
                    limit: MAX_PROLOGUE,
                    ..
                })
            ));
        }
        let mut input = "x".repeat(MAX_PROLOGUE - 100);
        input.push_str("<hello>");
        assert!(matches!(
            HelloPrologue::of_subsystem().push(&mut input.as_bytes()),
            Ok(Some(_))
        ));
    }
}
