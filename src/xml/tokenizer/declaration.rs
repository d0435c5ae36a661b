//! Comments, processing instructions, and what begins with `<!` or `<?` otherwise.

use memchr::memmem;

use super::{CDATA, DOCTYPE, Pending, Phase, Tokenizer};
use crate::xml::chars::{PLAIN, RAW, is_blank, is_noncharacter};
use crate::xml::error::{XmlError, XmlErrorKind};
use crate::xml::event::{Event, Handler};
use crate::xml::name::is_ncname;

/// The version and the encoding that `text`, from `xml` to before `?>`, declares; `None`: it is no XML declaration (XML 1.0
/// section 2.8), which has the version, maybe the encoding, maybe whether the document stands alone, in this order and
/// nothing else.
fn xml_declaration(text: &str) -> Option<(&str, Option<&str>)> {
    let (version, mut rest) = pseudo_attribute(text.strip_prefix("xml")?, "version")?;
    let digits = version.strip_prefix("1.").unwrap_or_default();
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let mut declared = None;
    if let Some((encoding, behind)) = pseudo_attribute(rest, "encoding") {
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        if !encoding.starts_with(|c: char| c.is_ascii_alphabetic()) || !encoding.bytes().all(is_name) {
            return None;
        }
        declared = Some(encoding);
        rest = behind;
    }
    if let Some((standalone, behind)) = pseudo_attribute(rest, "standalone") {
        if !matches!(standalone, "yes" | "no") {
            return None;
        }
        rest = behind;
    }
    rest.bytes().all(is_blank).then_some((version, declared))
}

/// Whether what is read is what is declared: XML 1.0 in UTF-8, of which ASCII is a part.
fn is_as_read((version, encoding): (&str, Option<&str>)) -> bool {
    let known = |encoding: &str| {
        ["utf-8", "us-ascii"]
            .iter()
            .any(|name| encoding.eq_ignore_ascii_case(name))
    };
    version == "1.0" && encoding.is_none_or(known)
}

/// The value of `name = "value"` with blanks before it, and what comes behind. `None`: something else stands there.
fn pseudo_attribute<'a>(text: &'a str, name: &str) -> Option<(&'a str, &'a str)> {
    let blank = |c: char| c.is_ascii() && is_blank(c as u8);
    let begun = text.strip_prefix(blank)?.trim_start_matches(blank);
    let value = begun
        .strip_prefix(name)?
        .trim_start_matches(blank)
        .strip_prefix('=')?
        .trim_start_matches(blank);
    let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    value[1..].split_once(quote)
}

impl Tokenizer {
    /// Comment, CDATA, or what begins with `<!` and is refused.
    pub(super) fn declaration<H: Handler + ?Sized>(
        &mut self,
        input: &[u8],
        at: usize,
        handler: &mut H,
    ) -> Result<usize, H::Error> {
        let rest = &input[at..];
        if rest.starts_with(b"<!--") {
            return self.comment(input, at, handler);
        }
        if rest.starts_with(CDATA) {
            if self.phase != Phase::Content {
                return Err(self.fail_at(XmlErrorKind::TextOutsideRoot, at).into());
            }
            self.in_cdata = true;
            return Ok(at + CDATA.len());
        }
        if b"<!--".starts_with(rest) || CDATA.starts_with(rest) {
            return Ok(at);
        }
        let seen = &rest[..rest.len().min(DOCTYPE.len())];
        let kind = match DOCTYPE.starts_with(seen) {
            true if seen.len() < DOCTYPE.len() => return Ok(at),
            true => XmlErrorKind::Doctype,
            false => XmlErrorKind::BadComment,
        };
        Err(self.fail_at(kind, at).into())
    }

    fn comment<H: Handler + ?Sized>(
        &mut self,
        input: &[u8],
        at: usize,
        handler: &mut H,
    ) -> Result<usize, H::Error> {
        let body = at + 4;
        let end = self.search(input, at, body, b"--");
        let Some((end, after)) = end.and_then(|end| Some((end, *input.get(end + 2)?))) else {
            // One hyphen at the end may be the first of two, and two may be the end.
            self.pending = Pending::Until(input.len().saturating_sub(2).max(body) - at);
            return Ok(at);
        };
        let text = self.checked(input, at, body, end)?;
        if after != b'>' {
            return Err(self.fail_at(XmlErrorKind::BadComment, end).into());
        }
        if text.contains('\r') {
            handler.event(Event::Comment(&text.replace("\r\n", "\n").replace('\r', "\n")))?;
        } else {
            handler.event(Event::Comment(text))?;
        }
        Ok(end + 3)
    }

    /// The XML declaration, which may only stand at the very start, or an instruction, which is dropped (N10) or
    /// refused (X2).
    pub(super) fn instruction(&mut self, input: &[u8], at: usize) -> Result<usize, XmlError> {
        let at_start = self.offset + at as u64 == self.start;
        if self.refuse_instructions && !at_start {
            return Err(self.fail_at(XmlErrorKind::ProcessingInstruction, at));
        }
        let body = at + 2;
        let Some(end) = self.search(input, at, body, b"?>") else {
            self.pending = Pending::Until(input.len().saturating_sub(1).max(body) - at);
            return Ok(at);
        };
        let text = self.checked(input, at, body, end)?;
        let target = text
            .split(|c: char| c.is_ascii() && is_blank(c as u8))
            .next()
            .unwrap_or_default();
        let declared = xml_declaration(text).filter(|_| at_start);
        let legal = if target == "xml" {
            declared.is_some()
        } else {
            !self.refuse_instructions && is_ncname(target) && !target.eq_ignore_ascii_case("xml")
        };
        if !legal {
            return Err(self.fail_at(XmlErrorKind::ProcessingInstruction, at));
        }
        // Devices declare what they like; what a caller writes is read as it means it, or not at all.
        if self.refuse_instructions && !declared.is_none_or(is_as_read) {
            return Err(self.fail_at(XmlErrorKind::OtherXml, at));
        }
        Ok(end + 2)
    }

    /// Looks for the end of the token at `at`, from where the last search stopped.
    fn search(&mut self, input: &[u8], at: usize, body: usize, end: &[u8]) -> Option<usize> {
        let from = match std::mem::replace(&mut self.pending, Pending::Nothing) {
            Pending::Until(searched) => at + searched,
            Pending::Nothing | Pending::Tag(_) => body,
        };
        memmem::find(input.get(from..)?, end).map(|found| from + found)
    }

    /// The content of a comment or instruction, as text that XML can hold.
    fn checked<'a>(
        &mut self,
        input: &'a [u8],
        at: usize,
        body: usize,
        end: usize,
    ) -> Result<&'a str, XmlError> {
        if end + 3 - at > self.limits.token_bytes {
            return Err(self.fail_at(XmlErrorKind::TokenTooLong(self.limits.token_bytes), at));
        }
        let content = &input[body..end];
        for (index, byte) in content.iter().enumerate() {
            let refused = match *byte {
                b'\r' => false,
                0xEF => is_noncharacter(&content[index..]) == Some(true),
                other => RAW[usize::from(other)] != PLAIN,
            };
            if refused {
                return Err(self.fail_at(XmlErrorKind::BadCharacter, body + index));
            }
        }
        std::str::from_utf8(content)
            .map_err(|error| self.fail_at(XmlErrorKind::InvalidUtf8, body + error.valid_up_to()))
    }
}
