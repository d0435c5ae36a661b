//! The reply to a request: what stands in it, and how the faults mistreat it.

use super::{Body, Outgoing, Session, Step, tag_bytes};
use crate::emulator::device_error::{DeviceError, Severity};
use crate::emulator::faults::Fault;
use crate::emulator::gate::Until;
use crate::emulator::huge::HugeReply;
use crate::emulator::markup::Tag;
use crate::emulator::operations::Answer;
use crate::xml::tree::{Attribute, Element};
use crate::xml::{NETCONF_BASE_NS, escape_attribute};

impl Session {
    /// The reply to one request, as the faults have it.
    pub(super) fn reply(
        &self,
        rpc: &Element,
        outcome: Result<Answer, DeviceError>,
        faults: &[Fault],
    ) -> Vec<Step> {
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
                Fault::Delay(late) => steps.push(Step::Wait(Until::Passed(*late))),
                Fault::HoldReply(gate) => steps.push(Step::Wait(gate.into())),
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
                | Fault::Late(_)
                | Fault::DropBeforeOperation
                | Fault::DropThenOperation(_)
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

    pub(super) fn envelope(&self, attributes: &[Attribute], inner: &[u8]) -> Vec<u8> {
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
