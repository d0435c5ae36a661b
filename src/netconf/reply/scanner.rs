//! The pass over a reply.
//!
//! Only the envelope is followed: `<rpc-reply>`, the wrappers that results and members come in, and the elements that
//! hold text. Below a payload element nothing is looked at but errors, which may stand anywhere (M1).

use crate::netconf::rpc_error::RpcError;
use crate::xml::{Event, Handler, Limits, NETCONF_BASE_NS, Source, Start, XmlError, parse_source};

use super::error_capture::{ErrorCapture, push_bounded};
use super::{MAX_ERRORS, Member, ReplyClass, ReplyScan, Root, TextKind, TextPart};

/// Namespace of Junos errors outside NETCONF.
const XNM_NS: &str = "http://xml.juniper.net/xnm/1.1/xnm";
/// Namespace of get-schema (RFC 6022).
const MONITORING_NS: &str = "urn:ietf:params:xml:ns:yang:ietf-netconf-monitoring";
/// Text payloads, members and prefixes kept of one reply.
const MAX_TEXTS: usize = 1024;
const MAX_MEMBERS: usize = 1024;
const MAX_PREFIXES: usize = 256;

/// Whether an element in this namespace may be part of the envelope: NETCONF's own, Juniper's, or none. An element
/// of the same name in a data model's namespace is data.
pub(super) fn is_known_namespace(ns: Option<&str>) -> bool {
    ns.is_none_or(|ns| ns == NETCONF_BASE_NS || is_juniper(ns))
}

/// Junos has namespaces under two names: that of its own schema, and that of its YANG modules, which an error inherits
/// where it stands inside an element of one.
fn is_juniper(ns: &str) -> bool {
    ["http://xml.juniper.net/", "http://yang.juniper.net/"]
        .iter()
        .any(|prefix| ns.starts_with(prefix))
}

/// Whether an element declares the namespace of errors itself. The statements of a configuration are in the same
/// namespace, and `error` and `warning` are among them (`set system syslog file messages any error`), but they inherit
/// it; an error declares it anew wherever it stands.
fn declares_xnm(start: &Start<'_>) -> bool {
    start.declarations().any(|declaration| declaration.uri == XNM_NS)
}

/// Scans a whole stored reply.
///
/// # Errors
/// Whatever is not well-formed or over the limits.
pub fn scan(source: &Source, limits: Limits) -> Result<ReplyScan, XmlError> {
    let mut scanner = ReplyScanner::new();
    parse_source(source, limits, &mut scanner)?;
    Ok(scanner.finish())
}

/// An element of the envelope that is open.
#[derive(Debug)]
struct Open {
    kind: Kind,
    offset: u64,
    text: TextSeen,
    /// How many errors and warnings there were when it began.
    errors: usize,
    warnings: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Reply,
    /// `<data>` of the base namespace.
    Data,
    /// Only wraps: commit results, the list of members.
    Wrapper,
    /// `<cli>`, which wraps the banner, and the answer to a few commands.
    Cli,
    LoadResults,
    /// `<multi-routing-engine-item>`, or `<routing-engine>` of commit results: its place among the members.
    Member(usize),
    MemberName,
    LoadErrorCount,
    Banner,
    /// Holds text, unless it turns out to hold elements.
    Text(TextKind),
}

/// What is known of the text straight in an element.
#[derive(Debug, Default)]
struct TextSeen {
    any: bool,
    /// Anything but blanks.
    solid: bool,
    /// There were elements, too.
    elements: bool,
    newline_first: bool,
    newline_last: bool,
}

impl TextSeen {
    fn add(&mut self, text: &str) {
        if !self.any {
            self.newline_first = text.starts_with('\n');
        }
        self.newline_last = text.ends_with('\n');
        self.any = true;
        self.solid = self.solid || text.bytes().any(|byte| !byte.is_ascii_whitespace());
    }
}

/// An [`xml::Handler`](crate::xml::Handler) that watches a reply go by. It never fails by itself.
#[derive(Debug)]
pub struct ReplyScanner {
    scan: ReplyScan,
    depth: usize,
    /// The open elements of the envelope, innermost last: the outermost elements of the document.
    open: Vec<Open>,
    /// The error being read, and the depth of its element. Boxed, because it is rare and large.
    capture: Option<Box<(ErrorCapture, usize)>>,
    /// Errors and warnings so far.
    captures: usize,
    /// The depth of the outermost `<configuration>` that is open.
    configuration: Option<usize>,
    /// Text of a member's name, the error count or the banner.
    leaf: String,
    data: bool,
    commit: bool,
    load: bool,
    end_session: bool,
    /// What `<load-error-count>` says, if it is not 0.
    load_errors: Option<u64>,
}

impl Default for ReplyScanner {
    fn default() -> Self {
        Self::new()
    }
}

impl ReplyScanner {
    /// For one document.
    pub fn new() -> Self {
        Self {
            scan: ReplyScan::nothing(),
            depth: 0,
            open: Vec::new(),
            capture: None,
            captures: 0,
            configuration: None,
            leaf: String::new(),
            data: false,
            commit: false,
            load: false,
            end_session: false,
            load_errors: None,
        }
    }

    /// The message-id, as soon as the start tag of the root has been seen.
    pub fn message_id(&self) -> Option<&str> {
        self.scan.message_id.as_deref()
    }

    /// What was found. Says nothing about whether the document was complete: the tokenizer does.
    pub fn finish(mut self) -> ReplyScan {
        // Old Junos releases count load errors without describing any.
        if let Some(count) = self.load_errors
            && self.scan.errors.is_empty()
        {
            self.scan.errors.push(RpcError {
                error_severity: Some("error".to_owned()),
                error_info: Some(format!("<load-error-count>{count}</load-error-count>")),
                ..RpcError::default()
            });
        }
        self.scan.class = self.class();
        self.scan
    }

    fn class(&self) -> ReplyClass {
        let scan = &self.scan;
        if self.commit {
            ReplyClass::CommitResults
        } else if self.load {
            ReplyClass::LoadConfigurationResults
        } else if self.end_session {
            ReplyClass::EndSession
        } else if scan.has_payload || self.data {
            ReplyClass::Data
        } else if scan.ok {
            ReplyClass::Ok
        } else if !scan.errors.is_empty() || !scan.warnings.is_empty() {
            ReplyClass::Errors
        } else {
            ReplyClass::Empty
        }
    }

    fn start(&mut self, start: &Start<'_>) {
        self.depth = start.depth();
        if let Some(capture) = &mut self.capture {
            let (capture, depth) = capture.as_mut();
            capture.start(start.depth() - *depth, start);
            return;
        }
        if !start.is_bare() {
            self.declarations(start);
        }
        if let Some(severity) = self.error_element(start) {
            // Whatever there may be of them, not more than can be kept.
            let tells_prefixes = self.captures < 2 * MAX_ERRORS;
            self.captures += 1;
            let capture = ErrorCapture::new(severity, tells_prefixes);
            self.capture = Some(Box::new((capture, start.depth())));
            return;
        }
        let configuration = start.local() == "configuration" && is_known_namespace(start.ns());
        if configuration && self.configuration.is_none() {
            self.configuration = Some(start.depth());
        }
        // Otherwise there is a payload element around this one.
        if start.depth() == self.open.len() + 1 {
            self.envelope(start);
        }
    }

    /// Whether an element is an error, and if so the severity that its name gives.
    fn error_element(&self, start: &Start<'_>) -> Option<Option<&'static str>> {
        let severity = match start.local() {
            "rpc-error" if is_known_namespace(start.ns()) => return Some(None),
            "error" => "error",
            "warning" => "warning",
            _ => return None,
        };
        // Some members report an error without the namespace that tells it from data; straight in a member's item there
        // is no data of that name.
        let in_item = || {
            start.depth() == self.open.len() + 1
                && matches!(self.open.last(), Some(open) if matches!(open.kind, Kind::Member(_)))
                && is_known_namespace(start.ns())
        };
        let xnm = || start.ns() == Some(XNM_NS) && (self.configuration.is_none() || declares_xnm(start));
        (xnm() || in_item()).then_some(Some(severity))
    }

    fn declarations(&mut self, start: &Start<'_>) {
        for declaration in start.declarations() {
            let Some(prefix) = declaration.prefix else {
                continue;
            };
            let known = self.scan.namespaces.iter().any(|(known, _)| known == prefix);
            if !known && self.scan.namespaces.len() < MAX_PREFIXES {
                self.scan
                    .namespaces
                    .push((prefix.to_owned(), declaration.uri.to_owned()));
            }
        }
    }

    /// An element whose ancestors are all of the envelope.
    fn envelope(&mut self, start: &Start<'_>) {
        let parent = self.open.last_mut().map(|open| {
            open.text.elements = true;
            open.kind
        });
        let kind = match parent {
            None if self.is_root(start) => return,
            // What holds text, and what holds a word, has no envelope inside.
            Some(Kind::Text(_) | Kind::MemberName | Kind::LoadErrorCount | Kind::Banner) => return,
            None => self.kind(start, Kind::Reply),
            Some(parent) => self.kind(start, parent),
        };
        if let Some(kind) = kind {
            self.push(kind, start);
        }
    }

    fn push(&mut self, kind: Kind, start: &Start<'_>) {
        self.leaf.clear();
        self.open.push(Open {
            kind,
            offset: start.offset(),
            text: TextSeen::default(),
            errors: self.scan.errors.len(),
            warnings: self.scan.warnings.len(),
        });
    }

    /// Takes the root, if it is one that is known.
    fn is_root(&mut self, start: &Start<'_>) -> bool {
        self.scan.root = match start.local() {
            "rpc-reply" if is_known_namespace(start.ns()) => Root::RpcReply,
            "hello" if is_known_namespace(start.ns()) => Root::Hello,
            "notification" => Root::Notification,
            _ => return false,
        };
        if self.scan.root == Root::RpcReply {
            for attr in start.attributes() {
                if attr.local == "message-id" && is_known_namespace(attr.ns) {
                    self.scan.message_id = Some(attr.value.to_owned());
                } else {
                    let name = attr
                        .prefix
                        .map_or_else(String::new, |prefix| format!("{prefix}:"));
                    self.scan
                        .attributes
                        .push((name + attr.local, attr.value.to_owned()));
                }
            }
            self.push(Kind::Reply, start);
        }
        true
    }

    /// What an element of the envelope is. `None`: it need not be followed; if it is payload, that is noted.
    fn kind(&mut self, start: &Start<'_>, parent: Kind) -> Option<Kind> {
        let local = start.local();
        if !is_known_namespace(start.ns()) {
            if local == "data" && start.ns() == Some(MONITORING_NS) {
                return Some(Kind::Text(TextKind::Schema));
            }
            self.other_payload();
            return None;
        }
        let in_member = matches!(parent, Kind::Member(_));
        match local {
            "ok" | "load-success" => self.succeeded(),
            "commit-success" | "commit-check-success" => {
                self.commit = true;
                self.succeeded();
            }
            "end-session" if parent == Kind::Reply => self.end_session = true,
            "data" if parent == Kind::Reply => {
                self.data = true;
                return Some(Kind::Data);
            }
            "commit-results" => {
                self.commit = true;
                return Some(Kind::Wrapper);
            }
            "load-configuration-results" => {
                self.load = true;
                return Some(Kind::LoadResults);
            }
            "load-error-count" if parent == Kind::LoadResults => return Some(Kind::LoadErrorCount),
            "multi-routing-engine-results"
            | "rollback-information"
            | "rescue-information"
            | "configuration-information" => return Some(Kind::Wrapper),
            "cli" => return Some(Kind::Cli),
            "multi-routing-engine-item" => return self.member(),
            // Data may have an element of this name; results stand straight in the reply or in commit-results.
            "routing-engine" if self.commit || parent == Kind::Reply => {
                self.commit = true;
                return self.member();
            }
            "re-name" if in_member => return Some(Kind::MemberName),
            "name" if in_member && self.commit => return Some(Kind::MemberName),
            "banner" if parent == Kind::Cli => return Some(Kind::Banner),
            "output" => return Some(Kind::Text(TextKind::Output)),
            "configuration-text" => return Some(Kind::Text(TextKind::ConfigurationText)),
            "configuration-set" => return Some(Kind::Text(TextKind::ConfigurationSet)),
            "configuration-json" => return Some(Kind::Text(TextKind::ConfigurationJson)),
            "configuration-output" => return Some(Kind::Text(TextKind::ConfigurationOutput)),
            _ => self.other_payload(),
        }
        if local == "ok" {
            self.scan.ok = true;
        }
        None
    }

    fn member(&mut self) -> Option<Kind> {
        if self.scan.members.len() == MAX_MEMBERS {
            self.other_payload();
            return None;
        }
        self.scan.members.push(Member::default());
        Some(Kind::Member(self.scan.members.len() - 1))
    }

    /// The member that the innermost open element belongs to.
    fn current_member(&mut self) -> Option<&mut Member> {
        let index = self.open.iter().rev().find_map(|open| match open.kind {
            Kind::Member(index) => Some(index),
            _ => None,
        })?;
        self.scan.members.get_mut(index)
    }

    fn succeeded(&mut self) {
        if let Some(member) = self.current_member() {
            member.succeeded = true;
        }
    }

    fn payload(&mut self) {
        self.scan.has_payload = true;
        if let Some(member) = self.current_member() {
            member.has_payload = true;
        }
    }

    /// Payload that is not told by a text.
    fn other_payload(&mut self) {
        self.scan.other_payload = true;
        self.payload();
    }

    fn text(&mut self, text: &str) {
        if let Some(capture) = &mut self.capture {
            let (capture, depth) = capture.as_mut();
            capture.text(self.depth - *depth, text);
            return;
        }
        if self.depth != self.open.len() {
            return;
        }
        let Some(open) = self.open.last_mut() else { return };
        open.text.add(text);
        match open.kind {
            Kind::MemberName | Kind::LoadErrorCount | Kind::Banner => {
                self.scan.truncated |= !push_bounded(&mut self.leaf, text);
            }
            Kind::Reply
            | Kind::Data
            | Kind::Wrapper
            | Kind::Cli
            | Kind::LoadResults
            | Kind::Member(_)
            | Kind::Text(_) => {}
        }
    }

    fn end(&mut self) {
        let depth = self.depth;
        self.depth = depth.saturating_sub(1);
        if self.configuration == Some(depth) {
            self.configuration = None;
        }
        if let Some(capture) = &mut self.capture
            && capture.1 < depth
        {
            let (capture, at) = capture.as_mut();
            capture.end(depth - *at);
        } else if let Some(capture) = self.capture.take() {
            let (error, truncated) = capture.0.finish();
            self.scan.truncated |= truncated;
            self.error(error);
        } else if depth == self.open.len()
            && let Some(open) = self.open.pop()
        {
            self.close(&open);
        }
    }

    fn close(&mut self, open: &Open) {
        match open.kind {
            Kind::MemberName => self.name_member(),
            Kind::LoadErrorCount => {
                self.load_errors = self
                    .leaf
                    .trim()
                    .parse()
                    .ok()
                    .filter(|count| *count > 0)
                    .or(self.load_errors);
            }
            Kind::Banner => {
                let banner = self.leaf.trim();
                if !banner.is_empty() && self.scan.banner.is_none() {
                    self.scan.banner = Some(banner.to_owned());
                }
            }
            Kind::Text(kind) => self.text_part(open, (!open.text.elements).then_some(kind)),
            Kind::Reply | Kind::Member(_) if open.text.solid => self.text_part(open, Some(TextKind::Bare)),
            Kind::Data if open.text.solid => self.text_part(open, Some(TextKind::Schema)),
            Kind::Cli if open.text.solid => self.other_payload(),
            Kind::Reply | Kind::Member(_) | Kind::Data | Kind::Wrapper | Kind::Cli | Kind::LoadResults => {}
        }
    }

    fn text_part(&mut self, open: &Open, kind: Option<TextKind>) {
        // A member is closed already when its own text is looked at.
        if let Kind::Member(index) = open.kind
            && let Some(member) = self.scan.members.get_mut(index)
        {
            member.has_payload = true;
        }
        let Some(kind) = kind else {
            return self.other_payload();
        };
        self.payload();
        if self.scan.texts.len() == MAX_TEXTS {
            self.scan.more_texts += 1;
            return;
        }
        let member = match open.kind {
            Kind::Member(index) => self
                .scan
                .members
                .get(index)
                .and_then(|member| member.name.clone()),
            _ => self.current_member().and_then(|member| member.name.clone()),
        };
        self.scan.texts.push(TextPart {
            kind,
            member,
            offset: open.offset,
            wrapped: open.text.newline_first && open.text.newline_last,
        });
    }

    /// The name of the innermost member has come. Errors that it reported before are its own as well.
    fn name_member(&mut self) {
        let name = self.leaf.trim().to_owned();
        let Some(open) = self.open.last() else { return };
        let (errors, warnings) = (open.errors, open.warnings);
        for error in self
            .scan
            .errors
            .iter_mut()
            .skip(errors)
            .chain(self.scan.warnings.iter_mut().skip(warnings))
        {
            error.member.get_or_insert_with(|| name.clone());
        }
        if let Some(member) = self.current_member() {
            member.name = Some(name);
        }
    }

    fn error(&mut self, mut error: RpcError) {
        let warning = error.is_warning();
        if let Some(member) = self.current_member() {
            member.errors += usize::from(!warning);
            error.member.clone_from(&member.name);
        } else {
            error.member = unreachable_member(&error);
        }
        let (list, more) = if warning {
            (&mut self.scan.warnings, &mut self.scan.more_warnings)
        } else {
            (&mut self.scan.errors, &mut self.scan.more_errors)
        };
        if list.len() < MAX_ERRORS {
            list.push(error);
        } else {
            *more += 1;
        }
    }
}

impl Handler for ReplyScanner {
    type Error = XmlError;

    fn event(&mut self, event: Event<'_>) -> Result<(), XmlError> {
        match event {
            Event::Start(start) => self.start(&start),
            Event::Text(text) => self.text(text),
            Event::End { .. } => self.end(),
            Event::Comment(_) => {}
        }
        Ok(())
    }
}

/// A member that did not answer is named only in words, outside of any item.
fn unreachable_member(error: &RpcError) -> Option<String> {
    let message = error.error_message.as_deref()?;
    let (_, rest) = message.split_once("ould not connect to ")?;
    let name = rest.split([' ', ':']).next().unwrap_or_default();
    (!name.is_empty()).then(|| name.to_owned())
}
