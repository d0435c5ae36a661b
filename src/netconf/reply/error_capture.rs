//! Reads one `<rpc-error>`, `<xnm:error>` or `<xnm:warning>` from events.

use crate::netconf::rpc_error::RpcError;
use crate::xml::{Start, escape_attribute, escape_text};

use super::scanner::is_known_namespace;

/// Bytes kept of one field.
const MAX_FIELD: usize = 64 << 10;

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
    truncated: bool,
}

impl ErrorCapture {
    /// `severity`: what the element's name says already.
    pub(super) fn new(severity: Option<&str>) -> Self {
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
        if self.field.is_some() && level == self.field_level {
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
        let info = self.info.out.trim();
        self.error.error_info = (!info.is_empty()).then(|| info.to_owned());
        (self.error, self.truncated || self.info.overflown)
    }

    fn begin(&mut self, field: Field, level: usize) {
        self.field = Some(field);
        self.field_level = level;
        self.text.clear();
    }

    fn store(&mut self, field: Field) {
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
        if !text.is_empty() {
            *target = Some(text.to_owned());
        }
    }
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

/// Writes events as XML again, as long as it is not too long: half an element is of no use.
#[derive(Debug, Default)]
struct BoundedXml {
    out: String,
    open: Vec<String>,
    /// The last start tag lacks its `>`.
    in_tag: bool,
    overflown: bool,
}

impl BoundedXml {
    fn start(&mut self, start: &Start<'_>) {
        self.end_tag();
        self.out.push('<');
        self.out.push_str(start.name());
        for declaration in start.declarations() {
            match declaration.prefix {
                None => self.attribute("xmlns", None, declaration.uri),
                Some(prefix) => self.attribute(prefix, Some("xmlns"), declaration.uri),
            }
        }
        for attr in start.attributes() {
            self.attribute(attr.local, attr.prefix, attr.value);
        }
        self.in_tag = true;
        self.open.push(start.name().to_owned());
        self.bound();
    }

    fn attribute(&mut self, local: &str, prefix: Option<&str>, value: &str) {
        self.out.push(' ');
        if let Some(prefix) = prefix {
            self.out.push_str(prefix);
            self.out.push(':');
        }
        self.out.push_str(local);
        self.out.push_str("=\"");
        escape_attribute(value, &mut self.out);
        self.out.push('"');
    }

    fn text(&mut self, text: &str) {
        if self.overflown {
            return;
        }
        self.end_tag();
        escape_text(text, &mut self.out);
        self.bound();
    }

    fn end(&mut self) {
        let Some(name) = self.open.pop() else { return };
        if self.in_tag {
            self.out.push_str("/>");
        } else {
            self.out.push_str("</");
            self.out.push_str(&name);
            self.out.push('>');
        }
        self.in_tag = false;
        self.bound();
    }

    fn end_tag(&mut self) {
        if self.in_tag {
            self.out.push('>');
            self.in_tag = false;
        }
    }

    fn bound(&mut self) {
        self.overflown |= self.out.len() > MAX_FIELD;
        if self.overflown {
            self.out.clear();
        }
    }
}
