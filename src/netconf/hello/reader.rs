//! Finds the server's hello in the stream (S3, S4).

use super::{HelloError, MAX_HELLO, ServerHello, refusal, sanitized};
use crate::netconf::framing::{Decoder, Frame, Framing};
use crate::netconf::prologue::HelloPrologue;
use crate::netconf::root_watch::{Progress, RootWatch};

/// Reads the server's hello from the stream, and leaves the framing decoder ready for what follows it.
#[derive(Debug)]
pub struct HelloReader {
    prologue: HelloPrologue,
    /// Whether the hello has begun.
    begun: bool,
    decoder: Decoder,
    message: Vec<u8>,
    /// Without a terminal: notices a message that is complete and no hello before its end marker comes, if ever.
    watch: Option<RootWatch>,
    /// Our own hello without blanks, which a terminal may send back to us before the server's comes.
    echo: Option<String>,
}

impl Default for HelloReader {
    fn default() -> Self {
        Self::new()
    }
}

impl HelloReader {
    /// For the subsystem, where nothing but the server writes.
    pub fn new() -> Self {
        Self {
            prologue: HelloPrologue::of_subsystem(),
            begun: false,
            decoder: Decoder::new(),
            message: Vec::new(),
            watch: Some(RootWatch::new()),
            echo: None,
        }
    }

    /// For a pseudo-terminal, which may echo `our_hello`.
    pub fn with_echo(our_hello: &str) -> Self {
        Self {
            prologue: HelloPrologue::of_terminal(),
            watch: None,
            echo: Some(without_blanks(our_hello)),
            ..Self::new()
        }
    }

    /// Takes from the front of `input` what belongs to the hello. `None`: `input` is used up, more is needed.
    ///
    /// # Errors
    /// As `ServerHello::parse`; a prologue or a hello that is too long; broken framing.
    pub fn push(&mut self, input: &mut &[u8]) -> Result<Option<ServerHello>, HelloError> {
        loop {
            if !self.begun {
                let Some(held) = self.prologue.push(input)? else {
                    return Ok(None);
                };
                self.begun = true;
                // The beginning of a tag: it cannot hold the end of the message.
                self.decode(&mut held.as_slice())?;
            }
            let Some(message) = self.decode(input)? else {
                return Ok(None);
            };
            if self
                .echo
                .take_if(|echo| *echo == without_blanks(&message))
                .is_none()
            {
                return ServerHello::parse(&message).map(Some);
            }
            self.begun = false;
            self.prologue = HelloPrologue::of_terminal();
        }
    }

    /// The stream has ended without a hello: why.
    pub fn finish(self) -> HelloError {
        if !self.begun {
            return self.prologue.finish();
        }
        // A device that refuses may close before it has ended its message.
        refusal(&sanitized(&self.message)).unwrap_or(HelloError::Truncated)
    }

    /// What reads the messages after the hello.
    pub fn into_decoder(mut self, framing: Framing) -> Decoder {
        self.decoder.set_framing(framing);
        self.decoder
    }

    fn decode(&mut self, input: &mut &[u8]) -> Result<Option<String>, HelloError> {
        while let Some(frame) = self.decoder.decode(input)? {
            match frame {
                Frame::Data(data) if self.message.len() + data.len() > MAX_HELLO => {
                    return Err(HelloError::TooLong);
                }
                Frame::Data(data) => {
                    self.message.extend_from_slice(data);
                    look(&mut self.watch, data, &self.message)?;
                }
                Frame::End => return Ok(Some(sanitized(&std::mem::take(&mut self.message)))),
            }
        }
        Ok(None)
    }
}

/// Ends the reading of a message whose root is complete and no hello.
fn look(watch: &mut Option<RootWatch>, data: &[u8], message: &[u8]) -> Result<(), HelloError> {
    let outline = match watch.as_mut().map(|watch| watch.push(data)) {
        None | Some(Progress::Open) => return Ok(()),
        Some(Progress::Complete(outline)) => Some(outline),
        // The end of the message shows what is wrong with it.
        Some(Progress::Nonsense) => None,
    };
    *watch = None;
    match outline {
        Some(outline) if outline.root != "hello" => Err(HelloError::instead(message, outline)),
        Some(_) | None => Ok(()),
    }
}

fn without_blanks(text: &str) -> String {
    text.chars().filter(|c| !c.is_ascii_whitespace()).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::netconf::hello::client_hello;

    fn server() -> String {
        "<hello xmlns=\"urn:ietf:params:xml:ns:netconf:base:1.0\"><capabilities><capability>\n \
         urn:ietf:params:netconf:base:1.0 </capability><capability>urn:a?module=a&amp;revision=1</capability>\
         </capabilities><session-id> 27700\n</session-id></hello>"
            .to_owned()
    }

    /// What a reader makes of a stream, cut into pieces of `step` bytes, and how many bytes it leaves.
    fn read(mut reader: HelloReader, stream: &[u8], step: usize) -> (Result<ServerHello, HelloError>, usize) {
        let mut used = 0;
        for mut piece in stream.chunks(step) {
            let length = piece.len();
            match reader.push(&mut piece) {
                Ok(Some(hello)) => return (Ok(hello), stream.len() - used - (length - piece.len())),
                Ok(None) => assert!(piece.is_empty()),
                Err(error) => return (Err(error), 0),
            }
            used += length;
        }
        (Err(reader.finish()), 0)
    }

    /// S4: without a terminal, what stands in place of the hello is told as soon as it is whole, however it is ended.
    #[test]
    fn foreign_message_is_refused_before_its_end_marker() {
        let reply = "<rpc-reply><ok/></rpc-reply>";
        for text in [
            reply.to_owned(),
            format!("<?xml version=\"1.0\"?>\n{reply}\n{}", server()),
        ] {
            for step in [1, 7, text.len()] {
                let refused = read(HelloReader::new(), text.as_bytes(), step).0;
                assert_eq!(
                    refused.map_err(|error| error.to_string()),
                    Err("<rpc-reply> with <ok> came instead of a hello".to_owned()),
                    "{text} in pieces of {step}"
                );
            }
        }
        let error = "<rpc-reply><rpc-error><error-message>no</error-message></rpc-error></rpc-reply>";
        let refused = read(HelloReader::new(), error.as_bytes(), 7).0;
        assert!(matches!(refused, Err(HelloError::Refused(_))), "{refused:?}");
        let error = "banner\n<xnm:error xmlns:xnm=\"http://xml.juniper.net/xnm/1.1/xnm\"><xnm:message>max\
                     </xnm:message></xnm:error>]]>]]>";
        for (text, step) in [(error, 1), (error, 7), (error, error.len())] {
            let refused = read(HelloReader::new(), text.as_bytes(), step).0;
            assert_eq!(
                refused.map_err(|error| error.to_string()),
                Err("the device refused the session: max".to_owned()),
                "{text} in pieces of {step}"
            );
        }
        let ours = client_hello().expect("it can be written");
        let stream = format!("<foo/>\r\n{}]]>]]>", server());
        let (hello, _) = read(HelloReader::with_echo(&ours), stream.as_bytes(), 5);
        assert_eq!(hello.expect("a terminal shows anything").session_id, 27700);
    }

    /// S3, S6: the reader takes the hello and leaves what follows, however the stream is cut.
    #[test]
    fn reader_takes_the_hello_only() {
        let stream = format!("<?xml version=\"1.0\"?>\n{}]]>]]>\n#3\nabc", server());
        for step in 1..stream.len() {
            let (hello, left) = read(HelloReader::new(), stream.as_bytes(), step);
            assert_eq!(hello.expect("a usable hello").session_id, 27700);
            assert_eq!(left, 7, "step {step}");
        }
        let mut reader = HelloReader::new();
        let mut input = stream.as_bytes();
        reader
            .push(&mut input)
            .expect("no error")
            .expect("a usable hello");
        let mut decoder = reader.into_decoder(Framing::Chunked);
        assert_eq!(decoder.decode(&mut input), Ok(Some(Frame::Data(b"abc"))));
    }

    /// S3: banner, message of the day and our own echo come before the hello on a terminal.
    #[test]
    fn terminal_noise_is_skipped() {
        let ours = client_hello().expect("it can be written");
        let noise = "Welcome to <r1>\r\nlast login: today\r\n<!-- No zombies\nwere killed -->\r\n";
        let echo = format!("{}]]>]]>\r\n", ours.replace("><", ">\r\n<"));
        for prefix in [
            noise.to_owned(),
            format!("{noise}{echo}"),
            format!("{echo}{noise}"),
        ] {
            let stream = format!("{prefix}{}\r\n]]>]]>", server());
            for step in [1, 2, 5, 17, stream.len()] {
                let (hello, left) = read(HelloReader::with_echo(&ours), stream.as_bytes(), step);
                assert_eq!(
                    (hello.expect("a usable hello").session_id, left),
                    (27700, 0),
                    "{prefix}"
                );
            }
        }
        let (hello, _) = read(HelloReader::new(), format!("{ours}]]>]]>").as_bytes(), 9);
        assert_eq!(
            hello,
            Err(HelloError::NoSessionId),
            "without a terminal nothing is an echo"
        );
    }

    /// S4: the end of the stream, before and in the hello; a hello without end.
    #[test]
    fn missing_hellos_are_told_apart() {
        let end = |stream: &str| {
            read(HelloReader::new(), stream.as_bytes(), 10)
                .0
                .expect_err("no hello")
        };
        assert_eq!(end(""), HelloError::NoHello { seen: String::new() });
        assert_eq!(
            end("bash: netconf: not found\n").to_string(),
            "the stream ended before a hello, only \"bash: netconf: not found\""
        );
        assert_eq!(end("<hello><capabil"), HelloError::Truncated);
        assert_eq!(end(&server()), HelloError::Truncated);
        assert_eq!(
            end(&format!("<hello>{}", "x".repeat(MAX_HELLO))),
            HelloError::TooLong
        );
        assert!(matches!(
            end(&"motd\n".repeat(20_000)),
            HelloError::NoHelloInSight { .. }
        ));
    }

    /// X3: a stray byte in a capability costs a character.
    #[test]
    fn bad_bytes_are_replaced() {
        let stream = [server().replace("urn:a?", "urn:\u{1}a?").as_bytes(), b"]]>]]>"].concat();
        let hello = read(HelloReader::new(), &stream, 64).0.expect("a usable hello");
        assert_eq!(
            hello.capabilities.uris().nth(1),
            Some("urn:\u{FFFD}a?module=a&revision=1")
        );
    }

    proptest! {
        /// S3: whatever comes before the hello, and however the stream is cut, the outcome is the same.
        #[test]
        fn any_split_gives_the_same_hello(
            noise in proptest::collection::vec(
                proptest::sample::select(vec![
                    "motd", "\r\n", " ", "<", ">", "<!--", "-->", "<b", "]]>]]>", "<?xm", "<hel", "<x:hello>",
                    "<rpc-reply>", "&", "\u{1}", "é",
                ]),
                0..12,
            ),
            step in 1usize..40,
        ) {
            let ours = client_hello().expect("it can be written");
            let stream = format!("{}\n{ours}]]>]]>{}]]>]]>", noise.concat(), server());
            for reader in [HelloReader::new, || HelloReader::with_echo(&client_hello().expect("as above"))] {
                let (whole, left) = read(reader(), stream.as_bytes(), stream.len());
                let (pieces, left_of_pieces) = read(reader(), stream.as_bytes(), step);
                prop_assert_eq!(whole, pieces);
                prop_assert_eq!(left, left_of_pieces);
            }
        }
    }
}
