//! What a reply is, found in one pass over it while it arrives: its class, its errors and warnings at any depth, the
//! members that answered, and where its text lies (S15, S16, S18, S19, M1).
//!
//! The pass keeps no document: what it finds is bounded, whatever the device sends. Elements are matched by
//! namespace and local name, never by prefix.

mod error_capture;
mod fragment;
mod scanner;
mod text;

pub use scanner::{ReplyScanner, scan};
pub use text::{TextError, TextReader};

#[cfg(test)]
mod tests;

use super::rpc_error::RpcError;

/// Errors kept of one reply, and warnings beside them; the rest is counted.
pub const MAX_ERRORS: usize = 1000;

/// Bytes kept of one field of an error.
const MAX_FIELD: usize = 64 << 10;

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
    /// Whether there is payload that is not among the texts.
    pub other_payload: bool,
    /// Text payloads in document order.
    pub texts: Vec<TextPart>,
    /// Text payloads that were too many to be kept.
    pub more_texts: u64,
    /// Members in document order; none in the reply of a single routing engine.
    pub members: Vec<Member>,
}

/// The errors of a reply as they are told: the first of them, and what is not among them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ErrorList {
    /// At most [`MAX_ERRORS`], in document order.
    pub errors: Vec<RpcError>,
    /// How many there were.
    pub total: u64,
    /// Whether errors were left out, or a field was cut.
    pub truncated: bool,
}

/// How many errors and warnings a reply had, where not all that they say was kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Totals {
    pub errors: u64,
    pub warnings: u64,
}

impl From<Vec<RpcError>> for ErrorList {
    /// All there were, whole.
    fn from(errors: Vec<RpcError>) -> Self {
        Self {
            total: errors.len() as u64,
            errors,
            truncated: false,
        }
    }
}

impl ReplyScan {
    /// The errors, and what was not kept of them (S18).
    pub fn into_errors(self) -> ErrorList {
        ErrorList {
            total: self.errors.len() as u64 + self.more_errors,
            truncated: self.truncated || self.more_errors > 0,
            errors: self.errors,
        }
    }

    /// What there was, if errors or warnings were left out, or a field of one was cut.
    pub fn totals_if_cut(&self) -> Option<Totals> {
        let cut = self.truncated || self.more_errors > 0 || self.more_warnings > 0;
        cut.then_some(Totals {
            errors: self.errors.len() as u64 + self.more_errors,
            warnings: self.warnings.len() as u64 + self.more_warnings,
        })
    }

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
            other_payload: false,
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

    /// The text that is all of the data: nothing stands beside it, and there is no question whose it is.
    pub fn sole_text(&self) -> Option<&TextPart> {
        match self.texts.as_slice() {
            [text] if !self.other_payload && self.more_texts == 0 && self.members.len() <= 1 => Some(text),
            _ => None,
        }
    }

    /// The Junos release that the prefix `junos` stands for, `21.4R1`.
    pub fn junos_release(&self) -> Option<&str> {
        let (_, uri) = self.namespaces.iter().find(|(prefix, _)| prefix == "junos")?;
        uri.strip_prefix("http://xml.juniper.net/junos/")?
            .strip_suffix("/junos")
    }
}
