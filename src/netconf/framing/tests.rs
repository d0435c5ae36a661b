//! Framing, held against byte literals.

use super::*;
use proptest::prelude::*;

/// All whole messages in `reads`, and how the stream ended.
fn messages(framing: Framing, reads: &[&[u8]]) -> (Vec<Vec<u8>>, Result<(), FramingError>) {
    let mut decoder = Decoder::new();
    decoder.set_framing(framing);
    run(&mut decoder, reads)
}

fn run(decoder: &mut Decoder, reads: &[&[u8]]) -> (Vec<Vec<u8>>, Result<(), FramingError>) {
    let (mut whole, mut current) = (Vec::new(), Vec::new());
    for read in reads {
        let mut input = *read;
        loop {
            match decoder.decode(&mut input) {
                Ok(Some(Frame::Data(data))) => {
                    assert!(!data.is_empty());
                    current.extend_from_slice(data);
                }
                Ok(Some(Frame::End)) => whole.push(std::mem::take(&mut current)),
                Ok(None) => {
                    assert!(input.is_empty());
                    break;
                }
                Err(error) => {
                    assert_eq!(decoder.decode(&mut input), Err(error), "an error stays");
                    return (whole, Err(error));
                }
            }
        }
    }
    (whole, decoder.finish())
}

fn bytewise(stream: &[u8]) -> Vec<&[u8]> {
    stream.chunks(1).collect()
}

fn chunked_error(stream: &[u8]) -> FramingError {
    let whole = messages(Framing::Chunked, &[stream]).1;
    assert_eq!(messages(Framing::Chunked, &bytewise(stream)).1, whole);
    whole.expect_err("the stream is not RFC 6242")
}

/// S6: the example of RFC 6242 section 4.2, whole and byte by byte.
#[test]
fn chunks_are_joined_wherever_they_are_cut() {
    let stream = b"\n#4\n<rpc\n#18\n message-id=\"102\"\n\n#79\n     xmlns=\"urn:ietf:params:xml:ns:netconf:base:1.0\">\n  <close-session/>\n</rpc>\n##\n";
    let text = "<rpc message-id=\"102\"\n     xmlns=\"urn:ietf:params:xml:ns:netconf:base:1.0\">\n  <close-session/>\n</rpc>";
    for reads in [vec![&stream[..]], bytewise(stream)] {
        assert_eq!(
            messages(Framing::Chunked, &reads),
            (vec![text.as_bytes().to_vec()], Ok(()))
        );
    }
}

/// S6: several messages in one read, and the newline that servers write after the marker.
#[test]
fn one_read_may_hold_several_messages() {
    let stream = b"<a/>]]>]]>\n<b/>]]>]]>\n\n<c/>]]>]]>\n";
    let expected = vec![b"<a/>".to_vec(), b"<b/>".to_vec(), b"<c/>".to_vec()];
    assert_eq!(
        messages(Framing::EndOfMessage, &[stream]),
        (expected.clone(), Ok(()))
    );
    assert_eq!(
        messages(Framing::EndOfMessage, &bytewise(stream)),
        (expected, Ok(()))
    );
    let stream = b"\n#4\n<a/>\n##\n\n#2\n<b\n#2\n/>\n##\n";
    assert_eq!(
        messages(Framing::Chunked, &[stream]),
        (vec![b"<a/>".to_vec(), b"<b/>".to_vec()], Ok(()))
    );
}

/// S6: the marker inside a chunk is data.
#[test]
fn marker_in_a_chunk_is_no_boundary() {
    let stream = b"\n#13\n<a>]]>]]>\n##\n\n##\n";
    assert_eq!(
        messages(Framing::Chunked, &[stream]).0,
        vec![b"<a>]]>]]>\n##\n".to_vec()]
    );
    assert_eq!(
        messages(Framing::Chunked, &bytewise(stream)).0,
        vec![b"<a>]]>]]>\n##\n".to_vec()]
    );
}

/// S6: bytes that only look like the beginning of a marker are kept.
#[test]
fn partial_markers_are_data() {
    for text in [
        "]",
        "]]",
        "]]]",
        "]]>]",
        "]]>]]",
        "]]>]]]",
        "]]]>]]",
        "]]>]]x]]>]",
        "a]]>]x]]>]]y",
        "]]>]>]]>]",
    ] {
        let stream = [text.as_bytes(), b" ", MARKER].concat();
        let expected = format!("{text} ").into_bytes();
        assert_eq!(
            messages(Framing::EndOfMessage, &[&stream]).0,
            vec![expected.clone()],
            "{text}"
        );
        assert_eq!(
            messages(Framing::EndOfMessage, &bytewise(&stream)).0,
            vec![expected],
            "{text}"
        );
    }
    let doubled = b"]]>]]]>]]>";
    assert_eq!(
        messages(Framing::EndOfMessage, &bytewise(doubled)).0,
        vec![b"]]>]".to_vec()]
    );
}

/// S6: the framing changes after the hello, in the middle of a read.
#[test]
fn framing_switches_in_the_middle_of_a_read() {
    for newline in ["", "\n", "\n\n"] {
        let stream = format!("<hello/>]]>]]>{newline}\n#4\n<a/>\n##\n\n#4\n<b/>\n##\n");
        for step in [1, 3, stream.len()] {
            let mut decoder = Decoder::new();
            let mut found: Vec<String> = vec![String::new()];
            for mut input in stream.as_bytes().chunks(step) {
                while let Some(frame) = decoder.decode(&mut input).expect("the stream is RFC 6242") {
                    match frame {
                        Frame::Data(data) => {
                            found
                                .last_mut()
                                .expect("never empty")
                                .push_str(&String::from_utf8_lossy(data));
                        }
                        Frame::End => {
                            decoder.set_framing(Framing::Chunked);
                            found.push(String::new());
                        }
                    }
                }
            }
            assert_eq!(found, ["<hello/>", "<a/>", "<b/>", ""], "step {step}");
        }
    }
    let late = b"\n#4\n<a/>\n##\n\n\n#4\n<b/>\n##\n";
    assert_eq!(
        chunked_error(late),
        FramingError::ChunkHash { found: b'\n' },
        "only after the hello"
    );
}

/// X3, threat 14: chunk headers that are not RFC 6242 end the session with a typed error.
#[test]
fn bad_chunk_headers_are_refused() {
    assert_eq!(
        chunked_error(b"\n#0\n"),
        FramingError::ChunkSizeStart { found: b'0' }
    );
    assert_eq!(
        chunked_error(b"\n#01\na\n##\n"),
        FramingError::ChunkSizeStart { found: b'0' }
    );
    assert_eq!(
        chunked_error(b"\n#-1\n"),
        FramingError::ChunkSizeStart { found: b'-' }
    );
    assert_eq!(
        chunked_error(b"\n#+1\n"),
        FramingError::ChunkSizeStart { found: b'+' }
    );
    assert_eq!(
        chunked_error(b"\n# 1\n"),
        FramingError::ChunkSizeStart { found: b' ' }
    );
    assert_eq!(
        chunked_error(b"\n#\n"),
        FramingError::ChunkSizeStart { found: b'\n' }
    );
    assert_eq!(
        chunked_error(b"\n#1x\n"),
        FramingError::ChunkSizeDigit { found: b'x' }
    );
    assert_eq!(
        chunked_error(b"\n#1\r\n"),
        FramingError::ChunkSizeDigit { found: b'\r' }
    );
    assert_eq!(chunked_error(b"\n#4294967296\n"), FramingError::ChunkSizeOverflow);
    assert_eq!(
        chunked_error(b"\n#99999999999999999999999999\n"),
        FramingError::ChunkSizeOverflow
    );
    assert_eq!(
        chunked_error(b"#4\n<a/>\n##\n"),
        FramingError::ChunkStart { found: b'#' }
    );
    assert_eq!(
        chunked_error(b"\n4\n<a/>\n##\n"),
        FramingError::ChunkHash { found: b'4' }
    );
    assert_eq!(
        chunked_error(b"\n#4\n<a/>##\n"),
        FramingError::ChunkStart { found: b'#' }
    );
    assert_eq!(
        chunked_error(b"\n#4\n<a/>\n###"),
        FramingError::EndOfChunks { found: b'#' }
    );
    assert_eq!(chunked_error(b"\n##\n"), FramingError::NoChunk);
    assert_eq!(
        chunked_error(b"<a/>]]>]]>"),
        FramingError::ChunkStart { found: b'<' }
    );
}

/// X3: the largest legal chunk is announced, and nothing is allocated for it.
#[test]
fn largest_chunk_is_accepted() {
    let (whole, end) = messages(Framing::Chunked, &[b"\n#4294967295\nabc"]);
    assert_eq!((whole.len(), end), (0, Err(FramingError::Truncated)));
}

/// X3: a million chunks of one byte.
#[test]
fn tiny_chunks_are_cheap() {
    let stream = [b"\n#1\na".repeat(1_000_000), b"\n##\n".to_vec()].concat();
    let (whole, end) = messages(Framing::Chunked, &[&stream]);
    assert_eq!((whole.len(), whole[0].len(), end), (1, 1_000_000, Ok(())));
}

/// S4: the end of the stream inside a message is told from one between messages.
#[test]
fn end_inside_a_message_is_truncation() {
    for cut in ["\n#", "\n#4", "\n#4\n<a", "\n#4\n<a/>", "\n#4\n<a/>\n#"] {
        assert_eq!(
            messages(Framing::Chunked, &[cut.as_bytes()]).1,
            Err(FramingError::Truncated),
            "{cut:?}"
        );
    }
    for cut in ["<a/>", "<a/>]]>]]", "]"] {
        assert_eq!(
            messages(Framing::EndOfMessage, &[cut.as_bytes()]).1,
            Err(FramingError::Truncated),
            "{cut:?}"
        );
    }
    assert_eq!(messages(Framing::EndOfMessage, &[b"\n \r\n"]).1, Ok(()));
}

#[test]
fn encoding_is_byte_exact() {
    let mut out = Vec::new();
    encode(Framing::EndOfMessage, "<a/>", &mut out);
    encode(Framing::Chunked, "<b>ü</b>", &mut out);
    assert_eq!(out, "<a/>]]>]]>\n#9\n<b>ü</b>\n##\n".as_bytes());
}

/// Cuts `stream` at the given places (taken modulo what is left).
fn cut<'a>(mut stream: &'a [u8], cuts: &[usize]) -> Vec<&'a [u8]> {
    let mut reads = Vec::new();
    for &at in cuts {
        let (front, rest) = stream.split_at(at % (stream.len() + 1));
        reads.push(front);
        stream = rest;
    }
    reads.push(stream);
    reads
}

proptest! {
    /// S6: any split of any stream gives the same messages and the same end.
    #[test]
    fn any_split_gives_the_same_messages(
        stream in proptest::collection::vec(proptest::sample::select(b"]]>]]>\n##12<a/> ".to_vec()), 0..200),
        cuts in proptest::collection::vec(0usize..40, 0..20),
    ) {
        for framing in [Framing::EndOfMessage, Framing::Chunked] {
            prop_assert_eq!(messages(framing, &cut(&stream, &cuts)), messages(framing, &[&stream]));
        }
    }

    /// S6: what was encoded is decoded, in both framings, however it is cut.
    #[test]
    fn decoding_undoes_encoding(
        texts in proptest::collection::vec("<[\\]> #\n0-9a-zü]{1,40}", 1..5),
        cuts in proptest::collection::vec(0usize..40, 0..20),
    ) {
        for framing in [Framing::EndOfMessage, Framing::Chunked] {
            let mut stream = Vec::new();
            for text in &texts {
                let text = if framing == Framing::EndOfMessage { text.replace('>', "&gt;") } else { text.clone() };
                encode(framing, &text, &mut stream);
            }
            let (found, end) = messages(framing, &cut(&stream, &cuts));
            let expected: Vec<Vec<u8>> = texts
                .iter()
                .map(|text| match framing {
                    Framing::EndOfMessage => text.replace('>', "&gt;").into_bytes(),
                    Framing::Chunked => text.clone().into_bytes(),
                })
                .collect();
            prop_assert_eq!((found, end), (expected, Ok(())));
        }
    }
}
