//! The hellos (RFC 6241 section 8.1, S3, S4): ours, the server's, and what a terminal puts before it.

mod reader;

pub use self::reader::HelloReader;

use crate::xml::tree::Element;
use crate::xml::{Limits, NETCONF_BASE_NS, Sanitizer, Tokenizer, WriteError, Writer, XmlError};

use super::capability::{Capabilities, Capability};
use super::framing::{Framing, FramingError};
use super::reply::{ReplyScanner, Root};
use super::root_watch::{Outline, Progress, RootWatch};
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
    /// Another element where the hello must stand: its name, and those of its first children.
    #[error("<{root}>{} came instead of a hello", with(.children))]
    NotHello { root: String, children: Vec<String> },
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

impl HelloError {
    /// What it means that `message`, one element that is whole, stands in place of the hello: the device refuses, or it
    /// is another element of which only names are told.
    pub(super) fn instead(message: &[u8], outline: Outline) -> Self {
        refusal(&sanitized(message)).unwrap_or_else(|| Self::not_hello(outline))
    }

    fn not_hello(outline: Outline) -> Self {
        let Outline { root, children } = outline;
        Self::NotHello { root, children }
    }
}

/// X3: bytes that are not UTF-8 cost a character, not the session.
fn sanitized(bytes: &[u8]) -> String {
    let mut sanitizer = Sanitizer::new();
    let mut out = Vec::with_capacity(bytes.len());
    sanitizer.push(bytes, &mut out);
    sanitizer.finish(&mut out);
    String::from_utf8_lossy(&out).into_owned()
}

fn with(children: &[String]) -> String {
    if children.is_empty() {
        String::new()
    } else {
        format!(" with <{}>", children.join(">, <"))
    }
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
            return Err(refusal(text).unwrap_or_else(|| foreign(text)));
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

/// The errors of a reply, or one by itself (`<xnm:error>`), where the hello must stand, even if something follows it.
fn refusal(text: &str) -> Option<HelloError> {
    let mut scanner = ReplyScanner::new();
    let mut tokenizer = Tokenizer::new(Limits::default());
    // A second root ends the scan, and is expected here; the errors before it are what counts.
    let _ = tokenizer.push(text.as_bytes(), &mut scanner);
    let scan = scanner.finish();
    let is_message = matches!(scan.root, Root::RpcReply | Root::Other);
    (is_message && scan.is_error()).then_some(HelloError::Refused(scan.errors))
}

/// The names of a well-formed document that is no hello.
fn foreign(text: &str) -> HelloError {
    let outline = match RootWatch::new().push(text.as_bytes()) {
        Progress::Complete(outline) => outline,
        Progress::Open | Progress::Nonsense => Outline::default(),
    };
    HelloError::not_hello(outline)
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

#[cfg(test)]
mod tests {
    use super::*;

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
                root: "rpc-reply".into(),
                children: vec!["ok".into()],
            }
        );
        assert_eq!(
            refused("<hello xmlns=\"urn:x\"/>"),
            HelloError::NotHello {
                root: "hello".into(),
                children: Vec::new(),
            }
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
        let bare = "<xnm:error xmlns:xnm=\"http://xml.juniper.net/xnm/1.1/xnm\" \
                    xmlns=\"http://xml.juniper.net/xnm/1.1/xnm\"><message>max connections</message></xnm:error>";
        assert_eq!(
            refused(bare).to_string(),
            "the device refused the session: max connections"
        );
        let data = "<error xmlns=\"urn:x\"><message>secret</message></error>";
        assert!(matches!(refused(data), HelloError::NotHello { .. }));
    }
}
