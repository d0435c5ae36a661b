//! One NETCONF session of the device: messages in, steps out. No socket, no task, no clock of its own.
//!
//! ```text
//! Hello ──(client's hello)──> Open ──(close-session)──> Ended
//!   │                          │ └──(Fault::Swallow)──> Silent
//!   └──(anything else)─> Ended └──(no XML at all)─────> Ended
//! ```

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::config::{Actor, Ending};
use super::device::{Device, SessionRecord};
use super::device_error::{DeviceError, Severity};
use super::faults::{Fault, Point};
use super::huge::HugeReply;
use super::markup::Tag;
use super::operations::{Answer, Request, answer};
use super::stats::Open;
use crate::netconf::framing::Framing;
use crate::xml::tree::{Attribute, Element};
use crate::xml::{Limits, NETCONF_BASE_NS, escape_attribute};

/// What is to be done next, in order.
#[derive(Debug)]
pub enum Step {
    /// Send a message in the present framing.
    Message(Outgoing),
    /// Send bytes as they are.
    Raw(Vec<u8>),
    /// Do nothing for a while. Requests that came meanwhile wait.
    Wait(Duration),
    /// From the next message on, both directions are framed like this.
    Framing(Framing),
    /// The session is over, in good order.
    Close,
    /// The connection is lost.
    Drop,
}

/// A message, and how it is to be mistreated.
#[derive(Debug)]
pub struct Outgoing {
    /// The message.
    pub body: Body,
    /// Lose the connection after this many bytes, framing included.
    pub cut_after: Option<u64>,
    /// Frame it wrongly.
    pub bad_frame: bool,
    /// Write so many bytes at a time, and pause between.
    pub trickle: Option<(usize, Duration)>,
}

/// What a message holds.
#[derive(Debug)]
pub enum Body {
    /// All of it.
    Whole(Vec<u8>),
    /// Made piece by piece while it is sent.
    Huge(HugeReply),
}

impl Outgoing {
    fn whole(bytes: impl Into<Vec<u8>>) -> Self {
        Self {
            body: Body::Whole(bytes.into()),
            cut_after: None,
            bad_frame: false,
            trickle: None,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Hello,
    Open,
    Silent,
    Ended,
}

/// One session.
#[derive(Debug)]
pub struct Session {
    device: Arc<Device>,
    caller: Actor,
    killed: CancellationToken,
    phase: Phase,
    _open: Open,
}

impl Drop for Session {
    fn drop(&mut self) {
        self.device.leave(self.caller.session, Ending::Lost);
    }
}

impl Session {
    /// A new session of this user.
    pub fn new(device: Arc<Device>, record: SessionRecord) -> Self {
        let (user, terminal, since) = (record.user.clone(), record.terminal.clone(), record.since);
        let session = device.enter(record);
        let killed = device.end_of(session);
        let open = device.stats.session();
        Self {
            device,
            caller: Actor {
                session,
                user,
                client: "netconf",
                terminal,
                since,
            },
            killed,
            phase: Phase::Hello,
            _open: open,
        }
    }

    /// What tells that another session killed this one: its connection is to be lost then.
    pub fn killed(&self) -> CancellationToken {
        self.killed.clone()
    }

    /// Whether the client's hello is still to come.
    pub fn awaits_hello(&self) -> bool {
        self.phase == Phase::Hello
    }

    /// Whether a line feed follows each end-of-message marker. A server that may change to chunks puts none, for
    /// nothing may stand before a chunk.
    pub fn ends_lines(&self) -> bool {
        !self.device.profile.base_1_1()
    }

    /// What the device says first: its hello, unless a fault says otherwise.
    pub fn open(&mut self) -> Vec<Step> {
        let mut steps = Vec::new();
        let mut text = self.hello(true);
        for fault in self.device.faults.strike(Point::Hello, None) {
            match fault {
                Fault::NoHello => return steps,
                Fault::LateHello(late) => steps.push(Step::Wait(late)),
                Fault::CloseBeforeHello => {
                    self.phase = Phase::Ended;
                    steps.push(Step::Drop);
                    return steps;
                }
                Fault::MalformedHello => {
                    let end = |name| format!("</{}>", self.device.profile.netconf_name(name));
                    text = text.replace(&end("capabilities"), &end("capability"));
                }
                Fault::HelloWithoutSessionId => text = self.hello(false),
                Fault::ErrorBeforeHello => {
                    let error = DeviceError::new("could not start the management daemon");
                    text = format!(
                        "<rpc-reply>\n{}\n</rpc-reply>\n{text}",
                        error.to_tag(self.device.profile).to_xml()
                    );
                }
                Fault::BannerBeforeHello(banner) => steps.push(Step::Raw(banner.into_bytes())),
                Fault::HelloText(other) => text = other,
                // These strike elsewhere, see `Fault::point`.
                Fault::RefuseConnection
                | Fault::RefuseAuthentication
                | Fault::HangUpAtLogin
                | Fault::RefuseSubsystem
                | Fault::Delay(_)
                | Fault::DropBeforeOperation
                | Fault::DropBeforeReply
                | Fault::DropAfter(_)
                | Fault::NeverReply
                | Fault::Swallow
                | Fault::WrongMessageId
                | Fault::MissingMessageId
                | Fault::GarbageBefore(_)
                | Fault::GarbageAfter(_)
                | Fault::BadChunk
                | Fault::MalformedXml
                | Fault::HugeReply(_)
                | Fault::DeepXml(_)
                | Fault::ControlCharacters
                | Fault::BadUtf8
                | Fault::Trickle { .. }
                | Fault::DuplicateReply
                | Fault::Errors(_)
                | Fault::Pretend
                | Fault::ErrorBesideData(_)
                | Fault::Warnings(_)
                | Fault::OneMemberFails
                | Fault::ReplyWith(_)
                | Fault::MessageText(_) => {}
            }
        }
        steps.push(Step::Message(Outgoing::whole(text)));
        steps
    }

    fn hello(&self, with_id: bool) -> String {
        let profile = self.device.profile;
        let capabilities = profile.capabilities();
        let capability = |uri| Tag::leaf(profile.netconf_name("capability"), uri);
        let capabilities = capabilities.into_iter().map(capability).collect();
        let xmlns = if profile.prefixed() { "xmlns:nc" } else { "xmlns" };
        let mut tags = vec![Tag::parent(profile.netconf_name("capabilities"), capabilities)];
        if with_id {
            tags.push(Tag::leaf(
                profile.netconf_name("session-id"),
                self.caller.session.to_string(),
            ));
        }
        let hello = Tag::parent(profile.netconf_name("hello"), tags).with(xmlns, NETCONF_BASE_NS);
        let comments = if profile.junos() && self.device.prolog {
            format!(
                "<!-- No zombies were killed during the creation of this user interface -->\n\
                 <!-- user {}, class j-super-user -->\n",
                self.caller.user.replace('-', "_")
            )
        } else {
            String::new()
        };
        format!("{comments}{}\n", hello.to_xml())
    }

    /// What the device does on a message of the client.
    pub fn message(&mut self, bytes: &[u8]) -> Vec<Step> {
        if self.killed.is_cancelled() {
            self.phase = Phase::Ended;
            return vec![Step::Drop];
        }
        match self.phase {
            Phase::Hello => self.client_hello(bytes),
            Phase::Open => self.request(bytes),
            Phase::Silent | Phase::Ended => Vec::new(),
        }
    }

    /// RFC 6241 section 8.1: the client's hello has a base version in common, and no session-id.
    fn client_hello(&mut self, bytes: &[u8]) -> Vec<Step> {
        let hello = parse(bytes).filter(|root| root.local == "hello" && root.child("session-id").is_none());
        let uris: Vec<String> = hello
            .iter()
            .filter_map(|hello| hello.child("capabilities"))
            .flat_map(|list| list.children_named("capability").map(Element::text))
            .collect();
        let base = |version: &str| {
            uris.iter()
                .any(|uri| uri.ends_with(&format!("netconf:base:{version}")))
        };
        if self.device.profile.base_1_1() && base("1.1") {
            self.phase = Phase::Open;
            vec![Step::Framing(Framing::Chunked)]
        } else if base("1.0") {
            self.phase = Phase::Open;
            Vec::new()
        } else {
            self.phase = Phase::Ended;
            vec![Step::Close]
        }
    }

    fn request(&mut self, bytes: &[u8]) -> Vec<Step> {
        let Some(rpc) = parse(bytes).filter(|root| root.local == "rpc") else {
            let error =
                DeviceError::new("the message is not a well-formed rpc").tagged("rpc", "malformed-message");
            let reply = self.envelope(&[], &tag_bytes(&error.to_tag(self.device.profile)));
            self.phase = Phase::Ended;
            return vec![Step::Message(Outgoing::whole(reply)), Step::Close];
        };
        let operation = rpc.children().next();
        let name = operation.map_or("", |operation| operation.local.as_str());
        self.device.stats.rpc(name);
        self.device.stats.request(bytes);
        let faults = self.device.faults.strike(Point::Rpc, Some(name));
        if faults.contains(&Fault::Swallow) {
            self.phase = Phase::Silent;
            return Vec::new();
        }
        if faults.contains(&Fault::DropBeforeOperation) {
            self.phase = Phase::Ended;
            return vec![Step::Drop];
        }
        let refused = faults
            .iter()
            .any(|fault| matches!(fault, Fault::Errors(_) | Fault::Pretend));
        let outcome = match operation {
            Some(_) if refused => Ok(Answer::Tags(Vec::new())),
            Some(operation) => answer(&Request {
                device: &self.device,
                caller: &self.caller,
                operation,
            }),
            None => Err(DeviceError::new("syntax error, expecting <rpc>").element("rpc")),
        };
        let closes = matches!(outcome, Ok(Answer::Close | Answer::EndSession));
        if closes {
            // Before the answer: whoever reads it may rely on the lock being free.
            self.device.leave(self.caller.session, Ending::Closed);
        }
        let mut steps = self.reply(&rpc, outcome, &faults);
        if closes {
            self.phase = Phase::Ended;
            steps.push(Step::Close);
        }
        steps
    }

    /// The reply to one request, as the faults have it.
    fn reply(&self, rpc: &Element, outcome: Result<Answer, DeviceError>, faults: &[Fault]) -> Vec<Step> {
        let mut inner = self.inner(outcome);
        let mut attributes = rpc.attributes.clone();
        let mut steps = Vec::new();
        let mut behind = Vec::new();
        let mut message = None;
        let mut outgoing = Outgoing::whole(Vec::new());
        let mut malformed = false;
        let error_bytes = |error: &DeviceError| tag_bytes(&error.to_tag(self.device.profile));
        for fault in faults {
            match fault {
                Fault::Delay(late) => steps.push(Step::Wait(*late)),
                Fault::DropBeforeReply => {
                    steps.push(Step::Drop);
                    return steps;
                }
                Fault::DropAfter(bytes) => outgoing.cut_after = Some(*bytes),
                Fault::NeverReply => return steps,
                Fault::WrongMessageId => {
                    for id in attributes
                        .iter_mut()
                        .filter(|attribute| attribute.local == "message-id")
                    {
                        id.value = format!("not-{}", id.value);
                    }
                }
                Fault::MissingMessageId => attributes.retain(|attribute| attribute.local != "message-id"),
                Fault::GarbageBefore(bytes) => steps.push(Step::Raw(bytes.clone())),
                Fault::GarbageAfter(bytes) => behind.push(Step::Raw(bytes.clone())),
                Fault::BadChunk => outgoing.bad_frame = true,
                Fault::MalformedXml => malformed = true,
                Fault::HugeReply(bytes) => {
                    let head = self.start(&attributes);
                    outgoing.body = Body::Huge(HugeReply::new(head, self.end(), &self.device, *bytes));
                }
                Fault::DeepXml(depth) => {
                    inner = [b"<x>".repeat(*depth), b"</x>".repeat(*depth)].concat();
                }
                Fault::ControlCharacters => inner.extend_from_slice(b"<note>a\x01b\x08c</note>\n"),
                Fault::BadUtf8 => inner.extend_from_slice(b"<note>a\xff\xfe\xc3(b</note>\n"),
                Fault::Trickle { bytes, pause } => outgoing.trickle = Some((*bytes, *pause)),
                Fault::DuplicateReply => behind.push(Step::Message(Outgoing::whole(Vec::new()))),
                Fault::Errors(errors) => inner = errors.iter().flat_map(error_bytes).collect(),
                Fault::Pretend => inner = tag_bytes(&Tag::empty(self.device.profile.netconf_name("ok"))),
                Fault::ErrorBesideData(error) => inner.extend(error_bytes(error)),
                Fault::Warnings(texts) => {
                    let warning = |text: &String| error_bytes(&DeviceError::warning(text.clone()));
                    let warnings: Vec<u8> = texts.iter().flat_map(warning).collect();
                    inner = [warnings, inner].concat();
                }
                Fault::OneMemberFails => inner = self.one_member_fails(&inner),
                Fault::ReplyWith(text) => inner = text.clone().into_bytes(),
                Fault::MessageText(text) => message = Some(text.clone().into_bytes()),
                // Seen to before any reply was made; the others strike elsewhere, see `Fault::point`.
                Fault::Swallow
                | Fault::DropBeforeOperation
                | Fault::RefuseConnection
                | Fault::RefuseAuthentication
                | Fault::HangUpAtLogin
                | Fault::RefuseSubsystem
                | Fault::NoHello
                | Fault::LateHello(_)
                | Fault::CloseBeforeHello
                | Fault::MalformedHello
                | Fault::HelloWithoutSessionId
                | Fault::ErrorBeforeHello
                | Fault::BannerBeforeHello(_)
                | Fault::HelloText(_) => {}
            }
        }
        let mut bytes = message.unwrap_or_else(|| self.envelope(&attributes, &inner));
        if malformed {
            let end = self.end();
            bytes.truncate(bytes.len().saturating_sub(end.len()));
            bytes.extend_from_slice(b"<broken>\n");
            bytes.extend_from_slice(end.as_bytes());
        }
        for step in &mut behind {
            if let Step::Message(again) = step {
                again.body = Body::Whole(bytes.clone());
            }
        }
        if let Body::Whole(body) = &mut outgoing.body {
            *body = bytes;
        }
        steps.push(Step::Message(outgoing));
        steps.append(&mut behind);
        steps
    }

    /// What stands inside `<rpc-reply>`.
    fn inner(&self, outcome: Result<Answer, DeviceError>) -> Vec<u8> {
        let profile = self.device.profile;
        match outcome {
            Ok(Answer::Close) => tag_bytes(&Tag::empty(profile.netconf_name("ok"))),
            Ok(Answer::EndSession) => tag_bytes(&Tag::empty("end-session")),
            Ok(Answer::Tags(tags)) => tags.iter().flat_map(tag_bytes).collect(),
            Ok(Answer::Broken(text)) => text.into_bytes(),
            Ok(Answer::Bare(text)) => {
                let mut escaped = String::with_capacity(text.len());
                crate::xml::escape_text(&text, &mut escaped);
                escaped.into_bytes()
            }
            Err(error) => {
                debug_assert_eq!(error.severity, Severity::Error);
                tag_bytes(&error.to_tag(profile))
            }
        }
    }

    /// The result as that of the first of two routing engines, of which the second cannot be reached.
    fn one_member_fails(&self, inner: &[u8]) -> Vec<u8> {
        let error = DeviceError::new("Could not connect to re1 : No route to host");
        let mut out =
            b"<multi-routing-engine-results>\n<multi-routing-engine-item>\n<re-name>re0</re-name>\n".to_vec();
        out.extend_from_slice(inner);
        out.extend_from_slice(b"</multi-routing-engine-item>\n</multi-routing-engine-results>\n");
        out.extend(tag_bytes(&error.to_tag(self.device.profile)));
        out
    }

    fn envelope(&self, attributes: &[Attribute], inner: &[u8]) -> Vec<u8> {
        let mut out = self.start(attributes).into_bytes();
        out.extend_from_slice(inner);
        out.extend_from_slice(self.end().as_bytes());
        out
    }

    /// The start tag, with all attributes of the request (RFC 6241 section 4.2).
    fn start(&self, attributes: &[Attribute]) -> String {
        let profile = self.device.profile;
        let mut out = format!("<{}", profile.netconf_name("rpc-reply"));
        let mut attribute = |name: &str, value: &str| {
            out.push(' ');
            out.push_str(name);
            out.push_str("=\"");
            escape_attribute(value, &mut out);
            out.push('"');
        };
        attribute(
            if profile.prefixed() { "xmlns:nc" } else { "xmlns" },
            NETCONF_BASE_NS,
        );
        let mut declared = vec!["xml".to_owned(), "nc".to_owned()];
        if profile.junos() {
            attribute("xmlns:junos", &self.device.junos_namespace());
            declared.push("junos".to_owned());
        }
        for given in attributes {
            match (&given.prefix, &given.ns) {
                (Some(prefix), Some(namespace)) => {
                    if !declared.contains(prefix) {
                        attribute(&format!("xmlns:{prefix}"), namespace);
                        declared.push(prefix.clone());
                    }
                    attribute(&format!("{prefix}:{}", given.local), &given.value);
                }
                (Some(_), None) | (None, _) => attribute(&given.local, &given.value),
            }
        }
        out.push_str(">\n");
        out
    }

    fn end(&self) -> String {
        format!("</{}>\n", self.device.profile.netconf_name("rpc-reply"))
    }
}

fn parse(bytes: &[u8]) -> Option<Element> {
    let text = std::str::from_utf8(bytes).ok()?;
    // An XML declaration may stand first, and nothing before it: RFC 6242 lets line feeds stand between messages.
    Element::parse(text.trim_start(), &Limits::default()).ok()
}

fn tag_bytes(tag: &Tag) -> Vec<u8> {
    let mut out = tag.to_xml();
    out.push('\n');
    out.into_bytes()
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod write_tests;
