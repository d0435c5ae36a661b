//! The hellos (RFC 6241 section 8.1, S3, S4): ours, the server's, and what a terminal puts before it.

use crate::xml::tree::Element;
use crate::xml::{Limits, NETCONF_BASE_NS, Sanitizer, Tokenizer, WriteError, Writer, XmlError};

use super::capability::{Capabilities, Capability};
use super::framing::{Decoder, Frame, Framing, FramingError};
use super::prologue::HelloPrologue;
use super::reply::{ReplyScanner, Root};
use super::rpc_error::RpcError;

/// X3: the largest hello, in bytes.
pub const MAX_HELLO: usize = 1 << 20;

/// Why there is no session.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HelloError {
    /// The stream ended without a hello. What came instead, if anything, is quoted.
    #[error("the stream ended before a hello{}", quoted(.seen))]
    NoHello { seen: String },
    /// More than 64 KiB came that was no hello.
    #[error("no hello within the first {limit} bytes{}", quoted(.seen))]
    NoHelloInSight { limit: usize, seen: String },
    /// The stream ended in the middle of the hello.
    #[error("the stream ended inside the hello")]
    Truncated,
    #[error("the hello is longer than {MAX_HELLO} bytes")]
    TooLong,
    #[error("the hello is not well-formed")]
    Malformed(#[source] XmlError),
    /// Another element where the hello must stand.
    #[error("<{root}> came instead of a hello")]
    NotHello { root: String },
    /// The device refuses the session in so many words.
    #[error("the device refused the session{}", first_message(.0))]
    Refused(Vec<RpcError>),
    #[error("the hello has no session-id")]
    NoSessionId,
    #[error("the hello has session-id {0:?}, which is not a number from 1 to 4294967295")]
    BadSessionId(String),
    #[error("the hello holds <{0}> more than once")]
    Repeated(&'static str),
    #[error("the hello has no capabilities")]
    NoCapabilities,
    /// Neither base:1.0 nor base:1.1.
    #[error("the hello offers no base version of the protocol that is known here")]
    NoCommonBase,
    #[error("the framing is broken")]
    Framing(#[from] FramingError),
}

fn quoted(seen: &str) -> String {
    if seen.is_empty() {
        String::new()
    } else {
        format!(", only {seen:?}")
    }
}

fn first_message(errors: &[RpcError]) -> String {
    let message = errors.iter().find_map(|error| error.error_message.as_deref());
    message.map_or_else(String::new, |message| format!(": {message}"))
}

/// Our hello, framing excluded: both base versions, unprefixed tags, no session-id.
///
/// # Errors
/// None in practice: there is nothing in it that could not be written.
pub fn client_hello() -> Result<String, WriteError> {
    let mut writer = Writer::new();
    writer
        .open("hello")?
        .attr("xmlns", NETCONF_BASE_NS)?
        .open("capabilities")?;
    for base in [Capability::Base10, Capability::Base11] {
        writer.leaf("capability", base.uri())?;
    }
    writer.close()?.close()?;
    Ok(writer.finish()?.as_str().to_owned())
}

/// What a server says first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerHello {
    /// 1 to 4294967295 (RFC 6241 section 8.1).
    pub session_id: u64,
    pub capabilities: Capabilities,
}

impl ServerHello {
    /// Reads a server's hello: one whole message, framing excluded. Comments may stand before it.
    ///
    /// # Errors
    /// Everything that is not exactly one well-formed hello with a session-id and a base version that is known
    /// here; a reply with errors before it or in its place is the device's refusal.
    pub fn parse(text: &str) -> Result<Self, HelloError> {
        if text.len() > MAX_HELLO {
            return Err(HelloError::TooLong);
        }
        let root = match Element::parse(text, &Limits::default()) {
            Ok(root) => root,
            Err(error) => return Err(refusal(text).unwrap_or(HelloError::Malformed(error))),
        };
        if root.local != "hello" || root.ns.as_deref().is_some_and(|ns| ns != NETCONF_BASE_NS) {
            return Err(refusal(text).unwrap_or(HelloError::NotHello { root: root.local }));
        }
        Ok(Self {
            session_id: session_id(&root)?,
            capabilities: capabilities(&root)?,
        })
    }

    /// The framing of everything after the hellos: chunks as soon as both sides said base:1.1 (RFC 6242 section
    /// 4.1); ours does.
    pub fn framing(&self) -> Framing {
        if self.capabilities.has(Capability::Base11) {
            Framing::Chunked
        } else {
            Framing::EndOfMessage
        }
    }
}

/// The errors of a reply that stands where the hello must, even if something follows it.
fn refusal(text: &str) -> Option<HelloError> {
    let mut scanner = ReplyScanner::new();
    let mut tokenizer = Tokenizer::new(Limits::default());
    // A second root ends the scan, and is expected here; the errors before it are what counts.
    let _ = tokenizer.push(text.as_bytes(), &mut scanner);
    let scan = scanner.finish();
    (scan.root == Root::RpcReply && scan.is_error()).then_some(HelloError::Refused(scan.errors))
}

/// The one child of this name.
fn only<'a>(root: &'a Element, name: &'static str) -> Result<Option<&'a Element>, HelloError> {
    let mut found = root.children_named(name);
    let first = found.next();
    if found.next().is_some() {
        Err(HelloError::Repeated(name))
    } else {
        Ok(first)
    }
}

fn session_id(root: &Element) -> Result<u64, HelloError> {
    let text = only(root, "session-id")?.ok_or(HelloError::NoSessionId)?.text();
    if text.is_empty() {
        return Err(HelloError::NoSessionId);
    }
    // An unsigned number in decimal digits; `parse` alone would take a sign.
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse::<u32>() {
        Ok(id) if digits && id != 0 => Ok(u64::from(id)),
        _ => Err(HelloError::BadSessionId(text.chars().take(40).collect())),
    }
}

fn capabilities(root: &Element) -> Result<Capabilities, HelloError> {
    let list = only(root, "capabilities")?.ok_or(HelloError::NoCapabilities)?;
    let capabilities = Capabilities::new(list.children_named("capability").map(Element::text));
    if capabilities.uris().next().is_none() {
        return Err(HelloError::NoCapabilities);
    }
    if capabilities.has(Capability::Base10) || capabilities.has(Capability::Base11) {
        Ok(capabilities)
    } else {
        Err(HelloError::NoCommonBase)
    }
}

/// Reads the server's hello from the stream, and leaves the framing decoder ready for what follows it.
#[derive(Debug)]
pub struct HelloReader {
    prologue: HelloPrologue,
    /// Whether the hello has begun.
    begun: bool,
    decoder: Decoder,
    message: Vec<u8>,
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
            prologue: HelloPrologue::new(),
            begun: false,
            decoder: Decoder::new(),
            message: Vec::new(),
            echo: None,
        }
    }

    /// For a pseudo-terminal, which may echo `our_hello`.
    pub fn with_echo(our_hello: &str) -> Self {
        Self {
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
            self.prologue = HelloPrologue::new();
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
                Frame::Data(data) => self.message.extend_from_slice(data),
                Frame::End => return Ok(Some(sanitized(&std::mem::take(&mut self.message)))),
            }
        }
        Ok(None)
    }
}

fn without_blanks(text: &str) -> String {
    text.chars().filter(|c| !c.is_ascii_whitespace()).collect()
}

/// X3: bytes that are not UTF-8 cost a character, not the session.
fn sanitized(bytes: &[u8]) -> String {
    let mut sanitizer = Sanitizer::new();
    let mut out = Vec::with_capacity(bytes.len());
    sanitizer.push(bytes, &mut out);
    sanitizer.finish(&mut out);
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn hello(content: &str) -> String {
        format!("<hello xmlns=\"urn:ietf:params:xml:ns:netconf:base:1.0\">{content}</hello>")
    }

    fn server() -> String {
        hello(
            "<capabilities><capability>\n urn:ietf:params:netconf:base:1.0 </capability>\
             <capability>urn:a?module=a&amp;revision=1</capability></capabilities><session-id> 27700\n</session-id>",
        )
    }

    fn refused(text: &str) -> HelloError {
        ServerHello::parse(text).expect_err("no usable hello")
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

    /// S4: no session-id, unprefixed tags, both versions.
    #[test]
    fn our_hello_is_byte_exact() {
        assert_eq!(
            client_hello().expect("it can be written"),
            "<hello xmlns=\"urn:ietf:params:xml:ns:netconf:base:1.0\"><capabilities>\
             <capability>urn:ietf:params:netconf:base:1.0</capability>\
             <capability>urn:ietf:params:netconf:base:1.1</capability></capabilities></hello>"
        );
    }

    /// S4: capabilities are trimmed and decoded; comments may stand before.
    #[test]
    fn server_hello_is_parsed() {
        for text in [server(), format!("<!-- user x, class y -->\n{}\n", server())] {
            let hello = ServerHello::parse(&text).expect("a usable hello");
            assert_eq!(hello.session_id, 27700);
            let uris: Vec<_> = hello.capabilities.uris().collect();
            assert_eq!(
                uris,
                ["urn:ietf:params:netconf:base:1.0", "urn:a?module=a&revision=1"]
            );
            assert_eq!(hello.framing(), Framing::EndOfMessage);
        }
        let prefixed = "<nc:hello xmlns:nc=\"urn:ietf:params:xml:ns:netconf:base:1.0\"><nc:capabilities>\
            <nc:capability>urn:ietf:params:netconf:base:1.1</nc:capability></nc:capabilities>\
            <nc:session-id>4294967295</nc:session-id></nc:hello>";
        let hello = ServerHello::parse(prefixed).expect("a usable hello");
        assert_eq!(
            (hello.session_id, hello.framing()),
            (4_294_967_295, Framing::Chunked)
        );
    }

    /// S4: each way in which a hello can be unusable.
    #[test]
    fn unusable_hellos_are_told_apart() {
        let base = "<capabilities><capability>urn:ietf:params:netconf:base:1.0</capability></capabilities>";
        assert_eq!(refused(&hello(base)), HelloError::NoSessionId);
        assert_eq!(
            refused(&hello(&format!("{base}<session-id/>"))),
            HelloError::NoSessionId
        );
        for id in ["0", "-1", "+1", "4294967296", "1.0", "x", "1 2"] {
            let text = hello(&format!("{base}<session-id>{id}</session-id>"));
            assert_eq!(refused(&text), HelloError::BadSessionId(id.into()));
        }
        assert_eq!(
            refused(&hello(&format!(
                "{base}<session-id>1</session-id><session-id>2</session-id>"
            ))),
            HelloError::Repeated("session-id")
        );
        assert_eq!(
            refused(&hello(&format!("{base}{base}<session-id>1</session-id>"))),
            HelloError::Repeated("capabilities")
        );
        assert_eq!(
            refused(&hello("<session-id>1</session-id>")),
            HelloError::NoCapabilities
        );
        assert_eq!(
            refused(&hello(
                "<capabilities><capability> </capability></capabilities><session-id>1</session-id>"
            )),
            HelloError::NoCapabilities
        );
        assert_eq!(
            refused(&hello(
                "<capabilities><capability>urn:a</capability></capabilities><session-id>1</session-id>"
            )),
            HelloError::NoCommonBase
        );
        assert_eq!(
            refused("<rpc-reply><ok/></rpc-reply>"),
            HelloError::NotHello {
                root: "rpc-reply".into()
            }
        );
        assert_eq!(
            refused("<hello xmlns=\"urn:x\"/>"),
            HelloError::NotHello { root: "hello".into() }
        );
        assert!(matches!(
            refused(&format!("{}{}", server(), server())),
            HelloError::Malformed(_)
        ));
        assert!(matches!(refused("<hello>"), HelloError::Malformed(_)));
        assert!(matches!(
            refused("<!DOCTYPE hello><hello/>"),
            HelloError::Malformed(_)
        ));
        assert_eq!(refused(&" ".repeat(MAX_HELLO + 1)), HelloError::TooLong);
    }

    /// S4: errors before the hello, or in its place, are the reason.
    #[test]
    fn refusals_carry_the_errors() {
        let error =
            "<rpc-reply><rpc-error><error-message>too many sessions</error-message></rpc-error></rpc-reply>";
        for text in [error.to_owned(), format!("{error}\n{}", server())] {
            let refused = refused(&text);
            assert_eq!(
                refused.to_string(),
                "the device refused the session: too many sessions"
            );
            assert!(matches!(refused, HelloError::Refused(errors) if errors.len() == 1));
        }
        assert!(matches!(
            read(HelloReader::new(), error.as_bytes(), 7).0,
            Err(HelloError::Refused(_))
        ));
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
