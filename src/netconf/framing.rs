//! Message framing of NETCONF over SSH: RFC 6242 sections 4.2 (chunked) and 4.3 (end-of-message).
//!
//! The decoder holds no message: it hands out the pieces of the caller's own buffer as they come, and keeps a few
//! bytes of state between reads. A marker or a chunk header may be cut anywhere. After an error nothing on the
//! stream can be trusted: the decoder answers with the same error for ever and the session must end.

use memchr::memmem::Finder;

/// The end-of-message marker of RFC 6242 section 4.3.
pub const MARKER: &[u8; 6] = b"]]>]]>";

/// How far a partial match of the marker still holds when the next byte does not fit: `FALLBACK[n]` bytes of
/// the `n` matched ones are themselves the beginning of a marker.
const FALLBACK: [usize; 6] = [0, 0, 1, 0, 1, 2];

/// RFC 6242 section 4.2: the largest chunk, in bytes.
const MAX_CHUNK: u64 = 4_294_967_295;

/// How messages are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// `]]>]]>` after each message. Both hellos, and everything when one side speaks only base:1.0.
    EndOfMessage,
    /// Chunks, as soon as both hellos carry base:1.1 (RFC 6242 section 4.1).
    Chunked,
}

/// What the decoder found next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frame<'a> {
    /// The next bytes of the message, never empty.
    Data(&'a [u8]),
    /// The message is complete. A message may have had no data at all.
    End,
}

/// What breaks a byte stream beyond repair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FramingError {
    #[error("a chunk must begin with a line feed, not with byte {found:#04x}")]
    ChunkStart { found: u8 },
    #[error("a chunk header must hold '#' after its line feed, not byte {found:#04x}")]
    ChunkHash { found: u8 },
    #[error("a chunk size must begin with a digit from 1 to 9, not with byte {found:#04x}")]
    ChunkSizeStart { found: u8 },
    #[error("a chunk size holds byte {found:#04x}")]
    ChunkSizeDigit { found: u8 },
    #[error("a chunk size is above 4294967295")]
    ChunkSizeOverflow,
    #[error("the end of chunks must close with a line feed, not with byte {found:#04x}")]
    EndOfChunks { found: u8 },
    #[error("a chunked message has no chunk")]
    NoChunk,
    #[error("the stream ended inside a message")]
    Truncated,
}

/// Where the decoder stands in the grammar of RFC 6242.
///
/// ```text
/// Marker ──(set_framing, at the next message)──> ChunkStart
///
/// ChunkStart ─LF─> ChunkHash ─#─> ChunkSizeFirst ─1..9─> ChunkSize ─LF─> ChunkData ─(size bytes)─┐
///     ^                               │                                                          │
///     │                               └─#─> EndOfChunks ─LF─> End of message                     │
///     └──────────────────────────────────────────────────────────────────────────────────────────┘
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// End-of-message framing: `matched` bytes of a marker have been seen and are held back.
    Marker {
        matched: usize,
    },
    ChunkStart,
    ChunkHash,
    ChunkSizeFirst,
    ChunkSize {
        size: u64,
    },
    ChunkData {
        left: u64,
    },
    EndOfChunks,
    Failed(FramingError),
}

/// Splits a byte stream into messages.
#[derive(Debug, Clone)]
pub struct Decoder {
    state: State,
    /// What the messages after the present one are framed with.
    next: Framing,
    /// Whether anything of the present message was seen.
    inside: bool,
    /// Whether the present message follows a change of framing: a line feed that a server wrote after the
    /// marker of its hello then stands before the first chunk.
    switched: bool,
    finder: Finder<'static>,
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Decoder {
    /// A decoder at the beginning of a session, where the hello is framed by the marker (RFC 6242 section 4.1).
    pub fn new() -> Self {
        Self {
            state: State::Marker { matched: 0 },
            next: Framing::EndOfMessage,
            inside: false,
            switched: false,
            finder: Finder::new(MARKER),
        }
    }

    /// Changes the framing of the messages that follow. In the middle of a message it takes effect at its end.
    pub fn set_framing(&mut self, framing: Framing) {
        self.switched |= self.next != framing;
        self.next = framing;
        if self.is_between_messages() {
            self.start_message();
        }
    }

    /// The framing of the next message.
    pub fn framing(&self) -> Framing {
        self.next
    }

    /// Takes from the front of `input` what it can. `None`: `input` is used up, more bytes are needed.
    ///
    /// # Errors
    /// Whatever is not RFC 6242; the same error again on every later call.
    pub fn decode<'a>(&mut self, input: &mut &'a [u8]) -> Result<Option<Frame<'a>>, FramingError> {
        let result = match self.state {
            State::Marker { .. } => Ok(self.decode_marker(input)),
            State::ChunkStart
            | State::ChunkHash
            | State::ChunkSizeFirst
            | State::ChunkSize { .. }
            | State::ChunkData { .. }
            | State::EndOfChunks => self.decode_chunked(input),
            State::Failed(error) => Err(error),
        };
        if let Err(error) = result {
            self.state = State::Failed(error);
        }
        result
    }

    /// Whether the stream may end here.
    ///
    /// # Errors
    /// `Truncated` inside a message; an earlier error again.
    pub fn finish(&self) -> Result<(), FramingError> {
        match self.state {
            State::Failed(error) => Err(error),
            _ if self.is_between_messages() => Ok(()),
            _ => Err(FramingError::Truncated),
        }
    }

    /// Whether nothing of a next message has been seen.
    pub fn is_between_messages(&self) -> bool {
        !self.inside && matches!(self.state, State::Marker { matched: 0 } | State::ChunkStart)
    }

    fn start_message(&mut self) {
        self.inside = false;
        self.state = match self.next {
            Framing::EndOfMessage => State::Marker { matched: 0 },
            Framing::Chunked => State::ChunkStart,
        };
    }

    fn end_message<'a>(&mut self) -> Option<Frame<'a>> {
        self.switched = false;
        self.start_message();
        Some(Frame::End)
    }

    fn decode_marker<'a>(&mut self, input: &mut &'a [u8]) -> Option<Frame<'a>> {
        if !self.inside {
            // Servers write a newline after the marker. It belongs to no message, and an XML declaration
            // may have nothing before it.
            let blanks = input.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
            *input = &input[blanks..];
        }
        let State::Marker { mut matched } = self.state else {
            return None;
        };
        self.inside |= !input.is_empty();
        while matched > 0 {
            let (&byte, rest) = input.split_first()?;
            if byte == MARKER[matched] {
                matched += 1;
                *input = rest;
                self.state = State::Marker { matched };
                if matched == MARKER.len() {
                    return self.end_message();
                }
                continue;
            }
            // Part of what was held back cannot belong to a marker any more. It is a prefix of the marker,
            // so it need not have been kept.
            let kept = FALLBACK[matched];
            self.state = State::Marker { matched: kept };
            return Some(Frame::Data(&MARKER[..matched - kept]));
        }
        match self.finder.find(input) {
            Some(0) => {
                *input = &input[MARKER.len()..];
                self.end_message()
            }
            Some(position) => Some(Frame::Data(take(input, position))),
            None => {
                let held = partial_marker(input);
                let data = take(input, input.len() - held);
                *input = &[];
                self.state = State::Marker { matched: held };
                if data.is_empty() {
                    None
                } else {
                    Some(Frame::Data(data))
                }
            }
        }
    }

    fn decode_chunked<'a>(&mut self, input: &mut &'a [u8]) -> Result<Option<Frame<'a>>, FramingError> {
        loop {
            if let State::ChunkData { left } = self.state {
                if left == 0 {
                    self.state = State::ChunkStart;
                } else if input.is_empty() {
                    return Ok(None);
                } else {
                    let length = usize::try_from(left).unwrap_or(usize::MAX).min(input.len());
                    self.state = State::ChunkData {
                        left: left - length as u64,
                    };
                    return Ok(Some(Frame::Data(take(input, length))));
                }
            }
            let Some((&byte, rest)) = input.split_first() else {
                return Ok(None);
            };
            if self.header_byte(byte)? {
                *input = rest;
                return if self.inside {
                    Ok(self.end_message())
                } else {
                    Err(FramingError::NoChunk)
                };
            }
            *input = rest;
        }
    }

    /// One byte outside chunk data. True: it completed the message.
    fn header_byte(&mut self, found: u8) -> Result<bool, FramingError> {
        self.state = match (self.state, found) {
            (State::ChunkStart, b'\n') => State::ChunkHash,
            (State::ChunkStart, found) => return Err(FramingError::ChunkStart { found }),
            (State::ChunkHash, b'#') => State::ChunkSizeFirst,
            (State::ChunkHash, b'\n') if self.switched && !self.inside => State::ChunkHash,
            (State::ChunkHash, found) => return Err(FramingError::ChunkHash { found }),
            (State::ChunkSizeFirst, b'#') => State::EndOfChunks,
            (State::ChunkSizeFirst, b'1'..=b'9') => State::ChunkSize {
                size: u64::from(found - b'0'),
            },
            (State::ChunkSizeFirst, found) => return Err(FramingError::ChunkSizeStart { found }),
            (State::ChunkSize { size }, b'0'..=b'9') => {
                let size = size * 10 + u64::from(found - b'0');
                if size > MAX_CHUNK {
                    return Err(FramingError::ChunkSizeOverflow);
                }
                State::ChunkSize { size }
            }
            (State::ChunkSize { size }, b'\n') => {
                self.inside = true;
                State::ChunkData { left: size }
            }
            (State::ChunkSize { .. }, found) => return Err(FramingError::ChunkSizeDigit { found }),
            (State::EndOfChunks, b'\n') => return Ok(true),
            (State::EndOfChunks, found) => return Err(FramingError::EndOfChunks { found }),
            (state @ (State::Marker { .. } | State::ChunkData { .. } | State::Failed(_)), _) => state,
        };
        Ok(false)
    }
}

/// Cuts `length` bytes off the front of `input`.
fn take<'a>(input: &mut &'a [u8], length: usize) -> &'a [u8] {
    let (front, rest) = input.split_at(length);
    *input = rest;
    front
}

/// How many bytes at the end of `input` may be the beginning of a marker. `input` holds no whole marker.
fn partial_marker(input: &[u8]) -> usize {
    (1..MARKER.len())
        .rev()
        .find(|&length| input.ends_with(&MARKER[..length]))
        .unwrap_or(0)
}

/// Appends `message` (bytes of one whole message, not empty) to `out`, framed.
///
/// In end-of-message framing the message must not hold the marker; the XML writer never lets `>` through
/// unescaped (X1, X2).
pub fn encode(framing: Framing, message: &str, out: &mut Vec<u8>) {
    match framing {
        Framing::EndOfMessage => {
            out.reserve(message.len() + MARKER.len());
            out.extend_from_slice(message.as_bytes());
            out.extend_from_slice(MARKER);
        }
        Framing::Chunked => {
            out.reserve(message.len() + 20);
            let largest = usize::try_from(MAX_CHUNK).unwrap_or(usize::MAX);
            for chunk in message.as_bytes().chunks(largest) {
                out.extend_from_slice(format!("\n#{}\n", chunk.len()).as_bytes());
                out.extend_from_slice(chunk);
            }
            out.extend_from_slice(b"\n##\n");
        }
    }
}

#[cfg(test)]
mod tests;
