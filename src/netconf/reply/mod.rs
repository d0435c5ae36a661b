//! What a reply is, found in one pass over it while it arrives: its class, its errors and warnings at any depth, the
//! members that answered, and where its text lies (S15, S16, S18, S19, M1).
//!
//! The pass keeps no document: what it finds is bounded, whatever the device sends. Elements are matched by
//! namespace and local name, never by prefix.

mod error_capture;
mod scanner;
mod text;

pub use scanner::{ReplyScanner, scan};
pub use text::{TextError, TextReader};

#[cfg(test)]
mod tests;

use super::rpc_error::RpcError;

/// Errors kept of one reply, and warnings beside them; the rest is counted.
pub const MAX_ERRORS: usize = 1000;

/// What the document is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Root {
    RpcReply,
    Hello,
    Notification,
    /// Anything else; recorded payloads without their envelope are treated as if they stood in one.
    Other,
}

/// The classes of S15.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplyClass {
    /// `<ok/>` and nothing else but errors or warnings.
    Ok,
    /// Nothing at all: success in the Junos XML protocol.
    Empty,
    /// Payload elements or text, or `<data>`, be it empty.
    Data,
    /// Only errors or warnings.
    Errors,
    /// `<commit-results>`, or the routing engines' results of a commit or check without it.
    CommitResults,
    LoadConfigurationResults,
    /// `<end-session/>`: the answer to `<request-end-session/>`.
    EndSession,
}

/// Which element holds a text payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextKind {
    /// `<output>`: CLI text.
    Output,
    /// `<configuration-text>`
    ConfigurationText,
    /// `<configuration-set>`
    ConfigurationSet,
    /// `<configuration-json>`
    ConfigurationJson,
    /// `<configuration-output>`: a comparison, or a stored configuration as text.
    ConfigurationOutput,
    /// `<data>` of get-schema.
    Schema,
    /// Text straight in `<rpc-reply>` or in a member's item: the device's own JSON.
    Bare,
}

/// A text payload. Its text is read with [`TextReader`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextPart {
    pub kind: TextKind,
    /// The member that sent it.
    pub member: Option<String>,
    /// Where the start tag of the element that holds it begins, in bytes from the start of the document.
    pub offset: u64,
    /// Whether the text begins and ends with a newline, which then is not part of it (N3).
    pub wrapped: bool,
}

/// A routing engine or cluster member that took part.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Member {
    /// As the device names it: `re0`, `node1`, `fpc0`.
    pub name: Option<String>,
    /// Whether it reported success in so many words (`<commit-success/>`, `<commit-check-success/>`, `<ok/>`).
    pub succeeded: bool,
    /// Whether it sent data.
    pub has_payload: bool,
    /// Errors that it reported, warnings excluded.
    pub errors: usize,
}

/// What the pass found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplyScan {
    pub root: Root,
    pub message_id: Option<String>,
    /// The other attributes of `<rpc-reply>`, names as written, declarations apart (S8).
    pub attributes: Vec<(String, String)>,
    /// Prefixes and what they stand for: those of `<rpc-reply>`, then those that only inner elements declare, the
    /// first declaration of each.
    pub namespaces: Vec<(String, String)>,
    pub class: ReplyClass,
    /// Whether there is an `<ok/>`, at the top or inside results.
    pub ok: bool,
    /// In document order; severity is not `warning`.
    pub errors: Vec<RpcError>,
    /// In document order.
    pub warnings: Vec<RpcError>,
    /// Errors beyond [`MAX_ERRORS`].
    pub more_errors: u64,
    /// Warnings beyond [`MAX_ERRORS`].
    pub more_warnings: u64,
    /// Whether a field of an error was too long and was cut, or left out if it is XML.
    pub truncated: bool,
    /// What `<cli><banner>` said, unless it was empty.
    pub banner: Option<String>,
    /// Whether anything is there besides results, errors and the banner.
    pub has_payload: bool,
    /// Text payloads in document order.
    pub texts: Vec<TextPart>,
    /// Text payloads that were too many to be kept.
    pub more_texts: u64,
    /// Members in document order; none in the reply of a single routing engine.
    pub members: Vec<Member>,
}

impl ReplyScan {
    /// What is known before the document begins.
    fn nothing() -> Self {
        Self {
            root: Root::Other,
            message_id: None,
            attributes: Vec::new(),
            namespaces: Vec::new(),
            class: ReplyClass::Empty,
            ok: false,
            errors: Vec::new(),
            warnings: Vec::new(),
            more_errors: 0,
            more_warnings: 0,
            truncated: false,
            banner: None,
            has_payload: false,
            texts: Vec::new(),
            more_texts: 0,
            members: Vec::new(),
        }
    }

    /// M1: an error anywhere makes the reply an error, even beside `<ok/>`.
    pub fn is_error(&self) -> bool {
        !self.errors.is_empty()
    }

    /// S19: data came before or beside an error.
    pub fn is_partial(&self) -> bool {
        self.is_error() && self.has_payload
    }

    /// The Junos release that the prefix `junos` stands for, `21.4R1`.
    pub fn junos_release(&self) -> Option<&str> {
        let (_, uri) = self.namespaces.iter().find(|(prefix, _)| prefix == "junos")?;
        uri.strip_prefix("http://xml.juniper.net/junos/")?
            .strip_suffix("/junos")
    }
}
