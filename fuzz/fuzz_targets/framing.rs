//! Any stream, cut in any way, gives the same messages and the same end; nothing panics, nothing is kept.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ncgate::netconf::framing::{Decoder, Frame, Framing, FramingError};

/// The messages of `stream`, read in pieces of `step` bytes, and how the stream ended. Chunked framing begins after
/// the first message when `switch` is set.
fn read(stream: &[u8], step: usize, framing: Framing, switch: bool) -> (Vec<Vec<u8>>, Result<(), FramingError>) {
    let mut decoder = Decoder::new();
    decoder.set_framing(framing);
    let (mut messages, mut current) = (Vec::new(), Vec::new());
    for mut piece in stream.chunks(step) {
        loop {
            match decoder.decode(&mut piece) {
                Ok(Some(Frame::Data(data))) => {
                    assert!(!data.is_empty());
                    current.extend_from_slice(data);
                }
                Ok(Some(Frame::End)) => {
                    messages.push(std::mem::take(&mut current));
                    if switch {
                        decoder.set_framing(Framing::Chunked);
                    }
                }
                Ok(None) => {
                    assert!(piece.is_empty());
                    break;
                }
                Err(error) => return (messages, Err(error)),
            }
        }
    }
    (messages, decoder.finish())
}

fuzz_target!(|data: &[u8]| {
    let Some((&choice, stream)) = data.split_first() else { return };
    let framing = if choice & 1 == 0 { Framing::EndOfMessage } else { Framing::Chunked };
    let switch = choice & 2 != 0;
    let whole = read(stream, stream.len().max(1), framing, switch);
    assert_eq!(whole, read(stream, 1, framing, switch));
    assert_eq!(whole, read(stream, usize::from(choice >> 2) + 1, framing, switch));
});
