//! What goes wrong on request: faults with rules for where, when and how often.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::device_error::DeviceError;
use super::gate::{Gate, Until};

/// Something that goes wrong.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// The connection is closed before SSH says anything.
    RefuseConnection,
    /// Every login is refused, whatever is offered.
    RefuseAuthentication,
    /// A login of any kind ends the connection, without an answer.
    HangUpAtLogin,
    /// The subsystem and the `netconf` command are refused.
    RefuseSubsystem,

    /// The hello never comes.
    NoHello,
    /// The hello comes this much later.
    LateHello(Duration),
    /// The session ends before the hello.
    CloseBeforeHello,
    /// The hello is no well-formed XML.
    MalformedHello,
    /// The hello lacks its session-id.
    HelloWithoutSessionId,
    /// An `<rpc-reply>` with an error stands before the hello, in the same message.
    ErrorBeforeHello,
    /// Text stands before the hello.
    BannerBeforeHello(String),
    /// This stands in place of the hello, framed.
    HelloText(String),

    /// The reply comes this much later; requests behind it wait, too.
    Delay(Duration),
    /// The operation is done only then, and answered; requests behind it wait, too. It is done even if the connection
    /// is lost meanwhile: until then the session lives on.
    Late(Until),
    /// The operation is done at once, and its reply waits for the gate; requests behind it wait, too.
    HoldReply(Gate),
    /// The connection is lost before the operation is done.
    DropBeforeOperation,
    /// The connection is lost at once, and the operation is done then all the same. The session lives on until it is,
    /// with all it holds; killing it keeps the operation from being done.
    DropThenOperation(Until),
    /// The operation is done, and the connection lost before its reply.
    DropBeforeReply,
    /// The connection is lost after this many bytes of the framed reply.
    DropAfter(u64),
    /// This request gets no reply; later ones do.
    NeverReply,
    /// Neither this request nor any later one of its session gets a reply, and none is carried out.
    Swallow,
    /// The reply names another message-id.
    WrongMessageId,
    /// The reply names no message-id.
    MissingMessageId,
    /// These bytes stand before the reply, outside any frame.
    GarbageBefore(Vec<u8>),
    /// These bytes stand behind the reply, outside any frame.
    GarbageAfter(Vec<u8>),
    /// The reply is framed with a chunk size that is no number. With `]]>]]>` framing the marker is cut short.
    BadChunk,
    /// An end tag of the reply is missing.
    MalformedXml,
    /// In place of the result, interfaces of at least this many bytes, made while they are sent.
    HugeReply(u64),
    /// In place of the result, elements nested this deep.
    DeepXml(usize),
    /// The reply holds control characters that XML does not allow.
    ControlCharacters,
    /// The reply holds bytes that are no UTF-8.
    BadUtf8,
    /// The reply is written in pieces of this many bytes, with a pause after each.
    Trickle {
        /// Bytes per write.
        bytes: usize,
        /// Pause after each write.
        pause: Duration,
    },
    /// The reply comes twice.
    DuplicateReply,
    /// The operation is refused with these errors, and not done.
    Errors(Vec<DeviceError>),
    /// The reply is `<ok/>`, and the operation is not done.
    Pretend,
    /// The result, and an error behind it.
    ErrorBesideData(DeviceError),
    /// The result, with warnings of these messages before it.
    Warnings(Vec<String>),
    /// The result as that of `re0`, and an error beside it because `re1` cannot be reached.
    OneMemberFails,
    /// In place of the result, this text: the inside of `<rpc-reply>`.
    ReplyWith(String),
    /// In place of the whole message, this text.
    MessageText(String),
}

/// Where a fault strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// When a connection is accepted.
    Connection,
    /// When a client logs in.
    Authentication,
    /// When a client asks for the subsystem or the command.
    Subsystem,
    /// When the hello is due.
    Hello,
    /// When a request is answered.
    Rpc,
}

impl Fault {
    /// Until when the operation has to wait, and whether the connection is lost before.
    pub(super) fn postpones(&self) -> Option<(&Until, bool)> {
        if let Self::Late(until) = self {
            Some((until, false))
        } else if let Self::DropThenOperation(until) = self {
            Some((until, true))
        } else {
            None
        }
    }

    /// Where this fault strikes.
    pub fn point(&self) -> Point {
        match self {
            Self::RefuseConnection => Point::Connection,
            Self::RefuseAuthentication | Self::HangUpAtLogin => Point::Authentication,
            Self::RefuseSubsystem => Point::Subsystem,
            Self::NoHello
            | Self::LateHello(_)
            | Self::CloseBeforeHello
            | Self::MalformedHello
            | Self::HelloWithoutSessionId
            | Self::ErrorBeforeHello
            | Self::BannerBeforeHello(_)
            | Self::HelloText(_) => Point::Hello,
            Self::Delay(_)
            | Self::Late(_)
            | Self::HoldReply(_)
            | Self::DropBeforeOperation
            | Self::DropThenOperation(_)
            | Self::DropBeforeReply
            | Self::DropAfter(_)
            | Self::NeverReply
            | Self::Swallow
            | Self::WrongMessageId
            | Self::MissingMessageId
            | Self::GarbageBefore(_)
            | Self::GarbageAfter(_)
            | Self::BadChunk
            | Self::MalformedXml
            | Self::HugeReply(_)
            | Self::DeepXml(_)
            | Self::ControlCharacters
            | Self::BadUtf8
            | Self::Trickle { .. }
            | Self::DuplicateReply
            | Self::Errors(_)
            | Self::Pretend
            | Self::ErrorBesideData(_)
            | Self::Warnings(_)
            | Self::OneMemberFails
            | Self::ReplyWith(_)
            | Self::MessageText(_) => Point::Rpc,
        }
    }
}

/// A fault, and when it strikes.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// Name of the operation; any if there is none. Means nothing for faults that strike before the first request.
    pub operation: Option<String>,
    /// How many matching occasions pass unharmed first.
    pub skip: u64,
    /// How often it strikes then; always if there is none.
    pub times: Option<u64>,
    /// What happens.
    pub fault: Fault,
}

impl Rule {
    /// Strikes every time.
    pub fn always(fault: Fault) -> Self {
        Self {
            operation: None,
            skip: 0,
            times: None,
            fault,
        }
    }

    /// Strikes every time this operation is asked for.
    pub fn on(operation: impl Into<String>, fault: Fault) -> Self {
        Self {
            operation: Some(operation.into()),
            ..Self::always(fault)
        }
    }

    /// Lets this many occasions pass first.
    #[must_use]
    pub fn after(mut self, skip: u64) -> Self {
        self.skip = skip;
        self
    }

    /// Strikes this often and no more.
    #[must_use]
    pub fn times(mut self, times: u64) -> Self {
        self.times = Some(times);
        self
    }

    /// Strikes once.
    #[must_use]
    pub fn once(self) -> Self {
        self.times(1)
    }
}

/// The rules of a running device. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    inner: Arc<Mutex<Rules>>,
}

#[derive(Debug, Default)]
struct Rules {
    next: u64,
    rules: BTreeMap<u64, Rule>,
}

/// Names a rule that was added, to take it back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RuleId(u64);

impl Faults {
    /// Adds a rule. Several may strike at once, in the order in which they were added.
    pub fn add(&self, rule: Rule) -> RuleId {
        let mut rules = self.lock();
        let id = rules.next;
        rules.next += 1;
        rules.rules.insert(id, rule);
        RuleId(id)
    }

    /// Answers this operation with this text inside `<rpc-reply>`, from now on.
    pub fn reply_with(&self, operation: impl Into<String>, inside: impl Into<String>) -> RuleId {
        self.add(Rule::on(operation, Fault::ReplyWith(inside.into())))
    }

    /// Takes a rule back.
    pub fn remove(&self, id: RuleId) {
        self.lock().rules.remove(&id.0);
    }

    /// Takes all rules back.
    pub fn clear(&self) {
        self.lock().rules.clear();
    }

    /// The faults that strike now. Counts the occasion.
    pub(super) fn strike(&self, point: Point, operation: Option<&str>) -> Vec<Fault> {
        let mut struck = Vec::new();
        let mut rules = self.lock();
        rules.rules.retain(|_, rule| {
            let fits = rule.fault.point() == point
                && (point != Point::Rpc
                    || rule.operation.is_none()
                    || rule.operation.as_deref() == operation);
            if !fits {
                return true;
            }
            if rule.skip > 0 {
                rule.skip -= 1;
                return true;
            }
            struck.push(rule.fault.clone());
            match &mut rule.times {
                None => true,
                Some(times) => {
                    *times = times.saturating_sub(1);
                    *times > 0
                }
            }
        });
        struck
    }

    fn lock(&self) -> MutexGuard<'_, Rules> {
        // Rules are whole at every moment the lock is free, so a panic elsewhere does not spoil them.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_strikes_its_operation_after_and_as_often_as_it_says() {
        let faults = Faults::default();
        faults.add(Rule::on("get-config", Fault::NeverReply).after(1).times(2));
        let struck: Vec<usize> = ["get-config", "get", "get-config", "get-config", "get-config"]
            .iter()
            .map(|operation| faults.strike(Point::Rpc, Some(operation)).len())
            .collect();
        assert_eq!(struck, [0, 0, 1, 1, 0]);
    }

    #[test]
    fn several_rules_strike_together_until_they_are_taken_back() {
        let faults = Faults::default();
        let id = faults.reply_with("get", "<mine/>");
        faults.add(Rule::always(Fault::WrongMessageId));
        faults.add(Rule::always(Fault::NoHello));
        assert_eq!(
            faults.strike(Point::Rpc, Some("get")),
            [Fault::ReplyWith("<mine/>".into()), Fault::WrongMessageId]
        );
        faults.remove(id);
        assert_eq!(faults.strike(Point::Rpc, None), [Fault::WrongMessageId]);
        assert_eq!(faults.strike(Point::Hello, None), [Fault::NoHello]);
        faults.clear();
        assert_eq!(faults.strike(Point::Hello, None), []);
    }
}
