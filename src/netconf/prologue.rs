//! What comes before the server's hello: a banner or message of the day on a terminal, and the comments that Junos
//! writes (S3). All of it is skipped, line by line, until an XML declaration or a message begins.

use memchr::{memchr, memmem, memrchr};

use super::hello::HelloError;

/// The most that is skipped, in bytes.
const MAX_PROLOGUE: usize = 64 << 10;
/// How much of what came instead of a hello an error quotes, in characters.
const MAX_QUOTE: usize = 200;
/// No tag name that matters here is longer, prefix included.
const MAX_NAME: usize = 80;
/// How much is looked at: a message that begins within the limit is recognised by its name.
const MAX_LOOK: usize = MAX_PROLOGUE + MAX_NAME + 2;

/// Looks for the beginning of the first message.
#[derive(Debug, Default)]
pub struct HelloPrologue {
    /// Everything so far.
    skipped: Vec<u8>,
    /// Where to look on.
    at: usize,
}

/// What stands at a `<`.
enum Tag {
    /// The beginning of a message.
    Message,
    /// Something else, this many bytes long as far as that matters.
    Other(usize),
    /// Too little is known yet.
    Unfinished,
}

impl HelloPrologue {
    /// At the beginning of the stream.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes from the front of `input` what comes before the first message. `None`: it has not begun, all of
    /// `input` is used up. Otherwise the message begins with the bytes returned, which were part of earlier input
    /// and less than one tag, and goes on with what is left of `input`.
    ///
    /// # Errors
    /// When 64 KiB hold no message.
    pub fn push(&mut self, input: &mut &[u8]) -> Result<Option<Vec<u8>>, HelloError> {
        let before = self.skipped.len();
        let room = (MAX_LOOK - before).min(input.len());
        self.skipped.extend_from_slice(&input[..room]);
        if let Some(start) = self.find().filter(|start| *start <= MAX_PROLOGUE) {
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

    fn find(&mut self) -> Option<usize> {
        while let Some(found) = memchr(b'<', &self.skipped[self.at..]) {
            let at = self.at + found;
            self.at = at;
            match tag(&self.skipped[at..], begins_line(&self.skipped[..at])) {
                Tag::Message => return Some(at),
                Tag::Other(length) => self.at = at + length,
                Tag::Unfinished => return None,
            }
        }
        self.at = self.skipped.len();
        None
    }
}

/// Whether only blanks stand between the last line feed and here.
fn begins_line(before: &[u8]) -> bool {
    let line = memrchr(b'\n', before).map_or(0, |end| end + 1);
    before[line..].iter().all(u8::is_ascii_whitespace)
}

fn tag(text: &[u8], begins_line: bool) -> Tag {
    if begins_line && text.starts_with(b"<!--") {
        return match memmem::find(&text[4..], b"-->") {
            Some(end) => Tag::Other(4 + end + 3),
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
            Tag::Other(1)
        };
    };
    let name = &name[..end];
    let local = memrchr(b':', name).map_or(name, |colon| &name[colon + 1..]);
    if local == b"hello" || local == b"rpc-reply" {
        Tag::Message
    } else {
        Tag::Other(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where the message begins, for every way of cutting the text in two.
    fn begins(text: &str) -> Option<usize> {
        let mut found = Vec::new();
        for cut in 0..=text.len() {
            let mut prologue = HelloPrologue::new();
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

    /// X3: the prologue is bounded, in one piece and in many.
    #[test]
    fn prologue_is_bounded() {
        let noise = "x".repeat(MAX_PROLOGUE + 1000);
        for step in [1000, noise.len()] {
            let mut prologue = HelloPrologue::new();
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
            HelloPrologue::new().push(&mut input.as_bytes()),
            Ok(Some(_))
        ));
    }
}
