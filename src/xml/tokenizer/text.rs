//! Text and CDATA: checked, decoded, handed out in pieces as they come.

use memchr::memmem;

use super::{Phase, Tokenizer};
use crate::xml::chars::{PLAIN, RAW, Reference, is_blank, is_noncharacter, reference, text_end};
use crate::xml::error::XmlErrorKind;
use crate::xml::event::{Event, Handler};

/// What became of a byte that is not plain text.
enum Special {
    /// It is part of the text after all.
    Skip,
    /// It was dealt with; text goes on here.
    Taken(usize),
    /// More input is needed.
    Wait,
}

impl Tokenizer {
    /// A run of text up to `<` or the end of the input. Returns where it stopped.
    pub(super) fn text<H: Handler + ?Sized>(
        &mut self,
        input: &[u8],
        from: usize,
        last: bool,
        handler: &mut H,
    ) -> Result<usize, H::Error> {
        let mut plain = from;
        let mut at = from;
        loop {
            at = text_end(input, at);
            if at == input.len() {
                return self.deliver(input, plain, at, !last, handler);
            }
            match input[at] {
                b'<' => return self.deliver(input, plain, at, false, handler),
                b'&' => {
                    self.deliver(input, plain, at, false, handler)?;
                    match reference(&input[at..]) {
                        Reference::Char(c, len) => {
                            if self.phase != Phase::Content {
                                return Err(self.fail_at(XmlErrorKind::TextOutsideRoot, at).into());
                            }
                            handler.event(Event::Text(c.encode_utf8(&mut [0; 4])))?;
                            at += len;
                        }
                        Reference::Incomplete => return Ok(at),
                        Reference::Bad => return Err(self.fail_at(XmlErrorKind::BadReference, at).into()),
                    }
                    plain = at;
                }
                b']' if self.phase == Phase::Content => {
                    let rest = &input[at..];
                    if rest.starts_with(b"]]>") {
                        self.deliver(input, plain, at, false, handler)?;
                        return Err(self.fail_at(XmlErrorKind::CdataEndInText, at).into());
                    }
                    if b"]]>".starts_with(rest) && !last {
                        return self.deliver(input, plain, at, false, handler);
                    }
                    at += 1;
                }
                b']' => at += 1,
                _ => match self.special(input, plain, at, last, handler)? {
                    Special::Skip => at += 1,
                    Special::Taken(next) => {
                        at = next;
                        plain = next;
                    }
                    Special::Wait => return Ok(at),
                },
            }
        }
    }

    /// A piece of a CDATA section. Returns where it stopped: behind `]]>`, or where more input is needed.
    pub(super) fn cdata<H: Handler + ?Sized>(
        &mut self,
        input: &[u8],
        from: usize,
        last: bool,
        handler: &mut H,
    ) -> Result<usize, H::Error> {
        let found = memmem::find(&input[from..], b"]]>").map(|found| from + found);
        // Two brackets at the end may belong to the `]]>` that comes next.
        let held = input[from..]
            .iter()
            .rev()
            .take(2)
            .take_while(|b| **b == b']')
            .count();
        let end = found.unwrap_or(input.len() - held);
        let mut plain = from;
        let mut at = from;
        loop {
            while at < end && RAW[usize::from(input[at])] == PLAIN {
                at += 1;
            }
            if at == end {
                let stopped = self.deliver(input, plain, end, found.is_none() && held == 0, handler)?;
                return Ok(match found {
                    None => stopped,
                    Some(end) => {
                        self.in_cdata = false;
                        end + 3
                    }
                });
            }
            match self.special(
                &input[..end],
                plain,
                at,
                found.is_some() || held > 0 || last,
                handler,
            )? {
                Special::Skip => at += 1,
                Special::Taken(next) => {
                    at = next;
                    plain = next;
                }
                Special::Wait => return Ok(at),
            }
        }
    }

    /// CR, 0xEF or a control character at `at`, in text or CDATA; `plain..at` is not delivered yet.
    fn special<H: Handler + ?Sized>(
        &mut self,
        input: &[u8],
        plain: usize,
        at: usize,
        last: bool,
        handler: &mut H,
    ) -> Result<Special, H::Error> {
        match input[at] {
            // XML 1.0 section 2.11: CR LF and CR are read as LF.
            b'\r' => {
                self.deliver(input, plain, at, false, handler)?;
                let len = match input.get(at + 1) {
                    None if !last => return Ok(Special::Wait),
                    Some(b'\n') => 2,
                    None | Some(_) => 1,
                };
                if self.phase == Phase::Content {
                    handler.event(Event::Text("\n"))?;
                }
                Ok(Special::Taken(at + len))
            }
            0xEF => match is_noncharacter(&input[at..]) {
                Some(false) => Ok(Special::Skip),
                Some(true) => {
                    self.deliver(input, plain, at, false, handler)?;
                    Err(self.fail_at(XmlErrorKind::BadCharacter, at).into())
                }
                // Cut inside the sequence: delivering up to here reports it if no more comes.
                None if last => Ok(Special::Skip),
                None => {
                    self.deliver(input, plain, at, false, handler)?;
                    Ok(Special::Wait)
                }
            },
            _ => {
                self.deliver(input, plain, at, false, handler)?;
                Err(self.fail_at(XmlErrorKind::BadCharacter, at).into())
            }
        }
    }

    /// Hands out `input[from..to]` as text, or checks that it is blank outside the root. With `open`, a UTF-8
    /// sequence cut off at the end is left for later. Returns how far it came.
    fn deliver<H: Handler + ?Sized>(
        &mut self,
        input: &[u8],
        from: usize,
        to: usize,
        open: bool,
        handler: &mut H,
    ) -> Result<usize, H::Error> {
        let bytes = &input[from..to];
        if self.phase != Phase::Content {
            return match bytes.iter().position(|b| !is_blank(*b)) {
                None => Ok(to),
                Some(found) => Err(self.fail_at(XmlErrorKind::TextOutsideRoot, from + found).into()),
            };
        }
        let (valid, bad) = match std::str::from_utf8(bytes) {
            Ok(text) => (text, None),
            Err(error) => {
                let valid = std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default();
                (valid, Some(error.error_len().is_none() && open))
            }
        };
        if !valid.is_empty() {
            handler.event(Event::Text(valid))?;
        }
        match bad {
            None | Some(true) => Ok(from + valid.len()),
            Some(false) => Err(self.fail_at(XmlErrorKind::InvalidUtf8, from + valid.len()).into()),
        }
    }
}
