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
use super::device_error::DeviceError;
use super::faults::{Fault, Point};
use super::gate::Until;
use super::huge::HugeReply;
use super::markup::Tag;
use super::operations::{Answer, Request, answer};
use super::stats::Open;
use crate::netconf::framing::Framing;
use crate::xml::tree::Element;
use crate::xml::{Limits, NETCONF_BASE_NS};

/// What is to be done next, in order.
#[derive(Debug)]
pub enum Step {
    /// Send a message in the present framing.
    Message(Outgoing),
    /// Send bytes as they are.
    Raw(Vec<u8>),
    /// Do nothing for a while. Requests that came meanwhile wait.
    Wait(Until),
    /// Wait, and carry this out whatever becomes of the connection meanwhile.
    Work {
        /// What to wait for.
        until: Until,
        /// Lose the connection before.
        drops: bool,
        /// What to carry out, by [`Session::carry_out`].
        work: Work,
    },
    /// From the next message on, both directions are framed like this.
    Framing(Framing),
    /// The session is over, in good order.
    Close,
    /// The connection is lost.
    Drop,
}

/// A request that waits to be carried out.
#[derive(Debug)]
pub struct Work {
    rpc: Element,
    faults: Vec<Fault>,
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
        // Whoever was killed is gone already, and the device may have given the session-id to somebody else.
        if !self.killed.is_cancelled() {
            self.device.leave(self.caller.session, Ending::Lost);
        }
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
                Fault::LateHello(late) => steps.push(Step::Wait(Until::Passed(late))),
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
                | Fault::Late(_)
                | Fault::HoldReply(_)
                | Fault::DropBeforeOperation
                | Fault::DropThenOperation(_)
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
        let name = rpc
            .children()
            .next()
            .map_or("", |operation| operation.local.as_str());
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
        let postponed = faults.iter().find_map(Fault::postpones);
        let postponed = postponed.map(|(until, drops)| (until.clone(), drops));
        let work = Work { rpc, faults };
        match postponed {
            Some((until, drops)) => vec![Step::Work { until, drops, work }],
            None => self.carry_out(work),
        }
    }

    /// Carries out a request that did not wait, or no longer waits.
    pub fn carry_out(&mut self, work: Work) -> Vec<Step> {
        if self.killed.is_cancelled() || !self.device.is_up() {
            self.phase = Phase::Ended;
            return vec![Step::Drop];
        }
        let operation = work.rpc.children().next();
        if operation.is_some_and(commits)
            && let Some(left) = self.device.undoing_for()
        {
            // One commit at a time: this one has to wait until the device has undone another.
            let (until, drops) = (Until::Passed(left), false);
            return vec![Step::Work { until, drops, work }];
        }
        let Work { rpc, faults } = &work;
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
        let mut steps = self.reply(rpc, outcome, faults);
        if closes {
            self.phase = Phase::Ended;
            steps.push(Step::Close);
        }
        steps
    }
}

/// Whether this operation changes what is running, and so waits for another one that does.
fn commits(operation: &Element) -> bool {
    ["commit", "commit-configuration", "cancel-commit"].contains(&operation.local.as_str())
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

mod reply;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod write_tests;
