//! Text payloads, read out of a stored reply as text: references decoded, piece by piece.

use std::io;

use crate::xml::{Event, Handler, Limits, Source, Tokenizer, XmlError};

use super::TextPart;

/// Bytes read from the source at a time.
const WINDOW: usize = 64 << 10;

/// Why a text payload cannot be read back.
#[derive(Debug, thiserror::Error)]
pub enum TextError {
    #[error("the stored reply cannot be read")]
    Read(#[from] io::Error),
    #[error("the stored reply is not well-formed")]
    Xml(#[from] XmlError),
}

/// A pull machine over one text payload: each call appends a slice, so that no thread waits for a slow reader.
#[derive(Debug)]
pub struct TextReader {
    source: Source,
    tokenizer: Tokenizer,
    picker: Picker,
    at: u64,
}

/// Keeps the text that stands straight in one element.
#[derive(Debug)]
struct Picker {
    /// Where the element's start tag begins.
    offset: u64,
    /// Depth of the element, once it has begun.
    inside: Option<usize>,
    depth: usize,
    done: bool,
    wrapped: bool,
    /// The first byte is still to come.
    first: bool,
    /// A newline that is only written when more text follows.
    held: bool,
    out: Vec<u8>,
}

impl TextReader {
    /// Reads `part` of the reply that `source` holds.
    pub fn new(source: Source, part: &TextPart, limits: Limits) -> Self {
        Self {
            source,
            tokenizer: Tokenizer::new(limits),
            picker: Picker {
                offset: part.offset,
                inside: None,
                depth: 0,
                done: false,
                wrapped: part.wrapped,
                first: true,
                held: false,
                out: Vec::new(),
            },
            at: 0,
        }
    }

    /// Appends the next piece to `out`, UTF-8, cut at character boundaries. False: that was all.
    ///
    /// # Errors
    /// When the source cannot be read, or is not the document that was scanned.
    pub fn fill(&mut self, out: &mut Vec<u8>) -> Result<bool, TextError> {
        let before = out.len();
        let mut window = Vec::new();
        while !self.picker.done && out.len() == before {
            let length = match self.source.as_memory() {
                // No copy where the reply lies in memory.
                Some(bytes) => {
                    let from = usize::try_from(self.at).unwrap_or(usize::MAX).min(bytes.len());
                    let piece = bytes.slice(from..bytes.len().min(from + WINDOW));
                    self.tokenizer.push(&piece, &mut self.picker)?;
                    piece.len()
                }
                None => {
                    window.resize(WINDOW, 0);
                    let length = self.source.read_at(self.at, &mut window)?;
                    self.tokenizer.push(&window[..length], &mut self.picker)?;
                    length
                }
            };
            self.at += length as u64;
            out.append(&mut self.picker.out);
            if length == 0 {
                self.tokenizer.finish(&mut self.picker)?;
                self.picker.done = true;
            }
        }
        Ok(!self.picker.done)
    }
}

impl Picker {
    fn text(&mut self, mut text: &str) {
        if self.wrapped {
            if self.first {
                text = text.strip_prefix('\n').unwrap_or(text);
                self.first = false;
            }
            if self.held && !text.is_empty() {
                self.out.push(b'\n');
                self.held = false;
            }
            if let Some(rest) = text.strip_suffix('\n') {
                self.held = true;
                text = rest;
            }
        }
        self.out.extend_from_slice(text.as_bytes());
    }
}

impl Handler for Picker {
    type Error = XmlError;

    fn event(&mut self, event: Event<'_>) -> Result<(), XmlError> {
        match event {
            Event::Start(start) => {
                self.depth = start.depth();
                if start.offset() == self.offset {
                    self.inside = Some(self.depth);
                }
            }
            Event::Text(text) if !self.done && self.inside == Some(self.depth) => self.text(text),
            Event::End { .. } => {
                self.done |= self.inside == Some(self.depth);
                self.depth = self.depth.saturating_sub(1);
            }
            Event::Text(_) | Event::Comment(_) => {}
        }
        Ok(())
    }
}
