//! Reads one `<rpc-error>`, `<xnm:error>` or `<xnm:warning>` from events.

use std::collections::HashMap;

use crate::netconf::rpc_error::RpcError;
use crate::xml::Start;
use crate::xml::name::is_ncname;

use super::MAX_FIELD;
use super::fragment::BoundedXml;
use super::scanner::is_known_namespace;

/// An error path tells its prefixes only where there are no more than these in scope.
const MAX_IN_SCOPE: usize = 256;

/// Which field an element's text goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Type,
    Tag,
    Severity,
    AppTag,
    Path,
    Message,
    BadElement,
    SourceDaemon,
}

/// One error being read. Levels count from the error's own element: its children are at level 1.
#[derive(Debug)]
pub(super) struct ErrorCapture {
    error: RpcError,
    field: Option<Field>,
    field_level: usize,
    text: String,
    /// From which level on the present child is kept as XML: 2 for the content of `<error-info>`, 1 for a child
    /// that has no field of its own.
    info_from: Option<usize>,
    info: BoundedXml,
    /// Whether the prefixes of a path are looked for, and those that may be among them.
    tells_prefixes: bool,
    in_scope: HashMap<String, String>,
    truncated: bool,
}

impl ErrorCapture {
    /// `severity`: what the element's name says already. `tells_prefixes`: whether what the prefixes of a path stand for
    /// is kept, which costs something for each prefix in scope.
    pub(super) fn new(severity: Option<&str>, tells_prefixes: bool) -> Self {
        Self {
            error: RpcError {
                error_severity: severity.map(str::to_owned),
                ..RpcError::default()
            },
            field: None,
            field_level: 0,
            text: String::new(),
            info_from: None,
            info: BoundedXml::default(),
            tells_prefixes,
            in_scope: HashMap::new(),
            truncated: false,
        }
    }

    pub(super) fn start(&mut self, level: usize, start: &Start<'_>) {
        let known = is_known_namespace(start.ns());
        if level == 1 {
            self.info_from = match start.local() {
                "error-info" if known => Some(2),
                local => match field(local).filter(|_| known) {
                    Some(field) => {
                        self.begin(field, level);
                        if field == Field::Path && self.tells_prefixes {
                            self.note_scope(start);
                        }
                        // What the CLI calls the statement is the bad element; the word is kept beside it.
                        (local == "statement").then_some(1)
                    }
                    None => Some(1),
                },
            };
        } else if level == 2 && self.info_from == Some(2) && known {
            // In rfc-compliant mode source-daemon stands here from Junos 21.2R1 on.
            match start.local() {
                "bad-element" if self.error.bad_element.is_none() => self.begin(Field::BadElement, level),
                "source-daemon" if self.error.source_daemon.is_none() => {
                    self.begin(Field::SourceDaemon, level)
                }
                _ => {}
            }
        }
        if self.info_from.is_some_and(|from| level >= from) {
            self.info.start(start);
        }
    }

    /// `level`: of the element that holds the text.
    pub(super) fn text(&mut self, level: usize, text: &str) {
        let in_field = match self.field {
            // What is marked up in a message is part of it.
            Some(Field::Message) => level >= self.field_level,
            Some(_) => level == self.field_level,
            None => false,
        };
        if in_field {
            self.truncated |= !push_bounded(&mut self.text, text);
        }
        // Words straight in error-info are kept too.
        if self.info_from.is_some() && level >= 1 {
            self.info.text(text);
        }
    }

    /// `level`: of the element that ends.
    pub(super) fn end(&mut self, level: usize) {
        if level == self.field_level
            && let Some(field) = self.field.take()
        {
            self.store(field);
        }
        if self.info_from.is_some_and(|from| level >= from) {
            self.info.end();
        }
        if level == 1 {
            self.info_from = None;
        }
    }

    /// The error, and whether something of it had to be cut or left out.
    pub(super) fn finish(mut self) -> (RpcError, bool) {
        let (info, whole) = self.info.finish();
        let info = info.trim();
        self.error.error_info = (!info.is_empty()).then(|| info.to_owned());
        (self.error, self.truncated || !whole)
    }

    fn begin(&mut self, field: Field, level: usize) {
        self.field = Some(field);
        self.field_level = level;
        self.text.clear();
    }

    fn note_scope(&mut self, start: &Start<'_>) {
        let prefixes = start.prefixes();
        self.in_scope.clear();
        if prefixes.len() <= MAX_IN_SCOPE {
            let owned = prefixes.map(|(prefix, uri)| (prefix.to_owned(), uri.to_owned()));
            self.in_scope.extend(owned);
        }
    }

    fn store(&mut self, field: Field) {
        if field == Field::Path && !self.text.trim().is_empty() {
            self.error.error_path_namespaces = prefixes_of(&self.text, &mut self.in_scope);
        }
        let target = match field {
            Field::Type => &mut self.error.error_type,
            Field::Tag => &mut self.error.error_tag,
            Field::Severity => &mut self.error.error_severity,
            Field::AppTag => &mut self.error.error_app_tag,
            Field::Path => &mut self.error.error_path,
            Field::Message => &mut self.error.error_message,
            Field::BadElement => &mut self.error.bad_element,
            Field::SourceDaemon => &mut self.error.source_daemon,
        };
        let text = self.text.trim();
        match target {
            _ if text.is_empty() => {}
            // Said twice, perhaps in two languages.
            Some(before) if field == Field::Message => {
                self.truncated |= !push_bounded(before, "\n") || !push_bounded(before, text);
            }
            Some(_) | None => *target = Some(text.to_owned()),
        }
    }
}

/// The prefixes of a path that are in scope, in the order of their first use; they are taken out of `in_scope`.
fn prefixes_of(path: &str, in_scope: &mut HashMap<String, String>) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut pieces = path.split(':').peekable();
    while let Some(piece) = pieces.next() {
        // Two colons stand behind an axis.
        if pieces.peek().is_none_or(|next| next.is_empty()) {
            continue;
        }
        let in_name = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
        let prefix = piece.rsplit(|c| !in_name(c)).next().unwrap_or_default();
        if is_ncname(prefix) {
            found.extend(in_scope.remove_entry(prefix));
        }
    }
    found
}

/// The field of a child element, in either vocabulary.
fn field(local: &str) -> Option<Field> {
    match local {
        "error-type" => Some(Field::Type),
        "error-tag" => Some(Field::Tag),
        "error-severity" => Some(Field::Severity),
        "error-app-tag" => Some(Field::AppTag),
        "error-path" | "edit-path" => Some(Field::Path),
        "error-message" | "message" => Some(Field::Message),
        "bad-element" | "statement" => Some(Field::BadElement),
        "source-daemon" => Some(Field::SourceDaemon),
        _ => None,
    }
}

/// Appends what still fits, whole characters only. False: something did not.
pub(super) fn push_bounded(target: &mut String, text: &str) -> bool {
    let room = MAX_FIELD.saturating_sub(target.len());
    if text.len() <= room {
        target.push_str(text);
        return true;
    }
    target.push_str(&text[..text.floor_char_boundary(room)]);
    false
}
