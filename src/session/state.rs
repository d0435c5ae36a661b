//! The rules of one NETCONF session, as a pure state: which RPC may go out, whose reply this is, when a caller
//! hears that its time is up and when the session is at an end. It does no I/O, reads no clock (`now` is an
//! argument) and knows neither XML nor SSH: the actor turns events into calls of [`State::on`] and does what the
//! actions say.
//!
//! ```text
//!              Hello                 Close
//!  HelloSent ---------> Open ----------------> Closing
//!      |                  |                       | reply to <close-session>, end of stream,
//!      |                  |                       | or the time for it is over
//!      +------------------+-----------------------+------------> Closed(cause)
//!        stream lost, protocol broken, twice a deadline over
//! ```
//!
//! RFC 6241 sections 4.1, 4.2, 7.8 and 8.1; conventions Q2, Q5, Q6 and Q7.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use super::error::EndCause;

/// How many submissions (single RPCs or batches) may wait behind the one that is being answered.
pub const LINE_LENGTH: usize = 64;

/// Where the session stands.
#[derive(Debug, Clone)]
pub enum Phase {
    /// Our hello is out (or on its way), theirs is not read yet.
    HelloSent,
    Open,
    /// `<close-session>` is sent, or will be as soon as the outstanding replies are read.
    Closing,
    Closed(EndCause),
}

/// What an RPC may leave behind in its session (Q2, Q9).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Traces {
    /// A reviewed read-only RPC: the session is as clean afterwards as before.
    None,
    /// Anything else: the session is never pooled again.
    Possible,
}

/// One RPC of a submission: the number that is its message-id (Q6), and when its caller stops waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Submitted {
    pub id: u64,
    pub deadline: Instant,
}

/// What happened.
#[derive(Debug)]
pub enum Event {
    /// The server's hello is read. The first RPC may leave from `ready_at` on.
    Hello { ready_at: Instant },
    /// A caller hands in one RPC, or several to be sent without waiting for replies in between.
    Submit { rpcs: Vec<Submitted>, traces: Traces },
    /// The first byte of a message has come.
    MessageBegins,
    /// A whole message has come. `is_reply` tells whether its root is an rpc-reply.
    Message {
        message_id: Option<String>,
        root: String,
        is_reply: bool,
    },
    /// The caller of this RPC does not wait any longer.
    CallerGone { id: u64 },
    /// Until then no late reply is a reason to give the session up (C2): what it holds is worth more.
    Endure { until: Instant },
    /// Time has passed.
    Tick,
    /// End the session politely (S30). `id` becomes the message-id of `<close-session>`.
    Close { id: u64, deadline: Instant },
    /// The stream ended or broke, or what came on it is not NETCONF.
    Lost(EndCause),
}

/// What to do about it, in this order.
#[derive(Debug)]
pub enum Action {
    /// Write this RPC.
    Send(u64),
    /// Write `<close-session>` with this message-id.
    SendClose(u64),
    /// The message that just came answers this RPC: hand it to its caller.
    Deliver(u64),
    /// The message that just came answers an RPC whose caller is gone: drop it (Q7).
    Discard(u64),
    /// The caller's time is up. `sent` tells whether the RPC left for the device.
    Expire { id: u64, sent: bool },
    /// The session ends before this RPC is answered. `begun`: a byte of its reply had come (Q3).
    Fail { id: u64, sent: bool, begun: bool },
    /// Close the stream, for this cause.
    End(EndCause),
}

/// Why a submission is not taken. Nothing of it is sent.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Refused {
    #[error("the session is closing or closed")]
    NotOpen,
    #[error("too many requests wait in this session")]
    LineFull,
}

#[derive(Debug, Clone)]
struct Pending {
    id: u64,
    deadline: Instant,
    /// Twice the time the caller gave, from sending on: beyond it the session is given up (Q7).
    give_up: Instant,
    /// The caller got its answer already (its time was up) or went away: the reply is only drained.
    abandoned: bool,
    begun: bool,
    is_close: bool,
}

#[derive(Debug, Clone)]
struct Waiting {
    rpcs: Vec<Submitted>,
}

/// One NETCONF session.
#[derive(Debug, Clone)]
pub struct State {
    phase: Phase,
    ready_at: Option<Instant>,
    /// Sent and not answered, in the order of sending. More than one only for one submission.
    pending: VecDeque<Pending>,
    line: VecDeque<Waiting>,
    close: Option<(u64, Instant)>,
    /// Before it the session is not given up for a late reply.
    endures: Option<Instant>,
    traces: Traces,
    /// What we send may come back to us (S3).
    echo: bool,
}

impl State {
    /// A session whose hello was just sent; theirs must be there by `hello_deadline`.
    pub fn new(hello_deadline: Instant) -> Self {
        Self {
            phase: Phase::HelloSent,
            ready_at: Some(hello_deadline),
            pending: VecDeque::new(),
            line: VecDeque::new(),
            close: None,
            endures: None,
            traces: Traces::None,
            echo: false,
        }
    }

    /// The stream is a terminal that may echo what we send although it was asked not to (S3).
    pub fn with_echo(mut self, echo: bool) -> Self {
        self.echo = echo;
        self
    }

    pub fn phase(&self) -> &Phase {
        &self.phase
    }

    /// How many RPCs are in flight or wait to be sent, abandoned ones included.
    pub fn outstanding(&self) -> usize {
        self.pending.len() + self.line.iter().map(|waiting| waiting.rpcs.len()).sum::<usize>()
    }

    /// Whether the session holds nothing, so that anybody may use it next (Q2).
    pub fn is_clean(&self) -> bool {
        matches!(self.phase, Phase::Open) && self.outstanding() == 0 && self.traces == Traces::None
    }

    /// The RPC whose reply is read now, or is to come next.
    pub fn current(&self) -> Option<u64> {
        self.pending.front().map(|pending| pending.id)
    }

    /// When [`Event::Tick`] is due at the latest.
    pub fn next_wake(&self) -> Option<Instant> {
        let pending = self.pending.iter().map(|p| {
            if p.abandoned {
                self.gives_up(p)
            } else {
                p.deadline.min(self.gives_up(p))
            }
        });
        let waiting = self
            .line
            .iter()
            .flat_map(|w| w.rpcs.iter().map(|rpc| rpc.deadline));
        let pause = self.ready_at.filter(|_| match self.phase {
            Phase::HelloSent => true,
            Phase::Open | Phase::Closing => self.pending.is_empty(),
            Phase::Closed(_) => false,
        });
        let close = self.close.map(|(_, deadline)| deadline);
        pending.chain(waiting).chain(pause).chain(close).min()
    }

    /// Takes an event and says what to do.
    ///
    /// # Errors
    /// Only a submission is ever refused; every other event is legal in every phase.
    pub fn on(&mut self, event: Event, now: Instant) -> Result<Vec<Action>, Refused> {
        let mut actions = Vec::new();
        if matches!(self.phase, Phase::Closed(_)) {
            return match event {
                Event::Submit { .. } => Err(Refused::NotOpen),
                Event::Hello { .. }
                | Event::MessageBegins
                | Event::Message { .. }
                | Event::CallerGone { .. }
                | Event::Endure { .. }
                | Event::Tick
                | Event::Close { .. }
                | Event::Lost(_) => Ok(actions),
            };
        }
        match event {
            Event::Hello { ready_at } => self.hello(ready_at, &mut actions),
            Event::Submit { rpcs, traces } => self.submit(rpcs, traces)?,
            Event::MessageBegins => self.message_begins(&mut actions),
            Event::Message {
                message_id,
                root,
                is_reply,
            } => {
                self.message(message_id, root, is_reply, &mut actions);
            }
            Event::CallerGone { id } => self.caller_gone(id),
            Event::Endure { until } => self.endures = self.endures.max(Some(until)),
            Event::Tick => self.tick(now, &mut actions),
            Event::Close { id, deadline } => self.close(id, deadline, &mut actions),
            Event::Lost(cause) => self.end(cause, &mut actions),
        }
        self.advance(now, &mut actions);
        Ok(actions)
    }

    fn hello(&mut self, ready_at: Instant, actions: &mut Vec<Action>) {
        match self.phase {
            Phase::HelloSent => {
                self.phase = Phase::Open;
                self.ready_at = Some(ready_at);
            }
            // RFC 6241 section 8.1: exactly one hello.
            Phase::Open | Phase::Closing => {
                self.end(
                    EndCause::UnexpectedMessage {
                        root: "hello".to_owned(),
                    },
                    actions,
                );
            }
            Phase::Closed(_) => {}
        }
    }

    fn submit(&mut self, rpcs: Vec<Submitted>, traces: Traces) -> Result<(), Refused> {
        if !matches!(self.phase, Phase::Open) {
            return Err(Refused::NotOpen);
        }
        if self.line.len() >= LINE_LENGTH {
            return Err(Refused::LineFull);
        }
        if traces == Traces::Possible {
            self.traces = Traces::Possible;
        }
        self.line.push_back(Waiting { rpcs });
        Ok(())
    }

    fn message_begins(&mut self, actions: &mut Vec<Action>) {
        match (&self.phase, self.pending.front_mut()) {
            (_, Some(first)) => first.begun = true,
            (Phase::HelloSent, None) => {}
            // Our hello, late.
            (_, None) if self.echo => {}
            // Nobody asked: whatever it is, it cannot be told from the next caller's reply.
            (_, None) => self.end(EndCause::Unsolicited, actions),
        }
    }

    fn message(
        &mut self,
        message_id: Option<String>,
        root: String,
        is_reply: bool,
        actions: &mut Vec<Action>,
    ) {
        if self.echo && !is_reply && (root == "rpc" || root == "hello") {
            // Our own words. The reply is still to come.
            if let Some(first) = self.pending.front_mut() {
                first.begun = false;
            }
            return;
        }
        if !is_reply {
            return self.end(EndCause::UnexpectedMessage { root }, actions);
        }
        let position = match &message_id {
            Some(text) => self
                .pending
                .iter()
                .position(|pending| pending.id.to_string() == *text),
            // Some servers leave it out; harmless while there is only one it can belong to (Q5).
            None if self.pending.len() == 1 => Some(0),
            None => return self.end(EndCause::MissingMessageId, actions),
        };
        let Some(pending) = position.and_then(|position| self.pending.remove(position)) else {
            // It may be the reply that another caller waits for, or none at all: never guess.
            return self.end(
                EndCause::UnknownMessageId {
                    got: message_id.unwrap_or_default(),
                },
                actions,
            );
        };
        if pending.is_close {
            return self.end(EndCause::Closed, actions);
        }
        actions.push(if pending.abandoned {
            Action::Discard(pending.id)
        } else {
            Action::Deliver(pending.id)
        });
    }

    fn caller_gone(&mut self, id: u64) {
        if let Some(pending) = self.pending.iter_mut().find(|pending| pending.id == id) {
            pending.abandoned = true;
            return;
        }
        for waiting in &mut self.line {
            waiting.rpcs.retain(|rpc| rpc.id != id);
        }
        self.line.retain(|waiting| !waiting.rpcs.is_empty());
    }

    fn tick(&mut self, now: Instant, actions: &mut Vec<Action>) {
        match self.phase {
            Phase::HelloSent if self.ready_at.is_some_and(|deadline| deadline <= now) => {
                return self.end(EndCause::HelloTimeout, actions);
            }
            Phase::HelloSent | Phase::Open | Phase::Closing | Phase::Closed(_) => {}
        }
        for waiting in &mut self.line {
            waiting.rpcs.retain(|rpc| {
                let over = rpc.deadline <= now;
                if over {
                    actions.push(Action::Expire {
                        id: rpc.id,
                        sent: false,
                    });
                }
                !over
            });
        }
        self.line.retain(|waiting| !waiting.rpcs.is_empty());
        for pending in &mut self.pending {
            if !pending.abandoned && pending.deadline <= now {
                pending.abandoned = true;
                if !pending.is_close {
                    actions.push(Action::Expire {
                        id: pending.id,
                        sent: true,
                    });
                }
            }
        }
        let late = |pending: &&Pending| self.gives_up(pending) <= now && !pending.is_close;
        if let Some(late) = self.pending.iter().find(late) {
            let id = late.id;
            return self.end(
                EndCause::ReplyOverdue {
                    message_id: id.to_string(),
                },
                actions,
            );
        }
        if self.close.is_some_and(|(_, deadline)| deadline <= now) {
            self.end(EndCause::CloseUnanswered, actions);
        }
    }

    /// When the session is given up if this is not answered. Whoever closes it waits for nothing but the end.
    fn gives_up(&self, pending: &Pending) -> Instant {
        match self.endures {
            Some(until) if matches!(self.phase, Phase::Open) => pending.give_up.max(until),
            Some(_) | None => pending.give_up,
        }
    }

    fn close(&mut self, id: u64, deadline: Instant, actions: &mut Vec<Action>) {
        match self.phase {
            Phase::HelloSent => self.end(EndCause::Closed, actions),
            Phase::Open => {
                self.phase = Phase::Closing;
                self.close = Some((id, deadline));
                for rpc in self.line.drain(..).flat_map(|waiting| waiting.rpcs) {
                    actions.push(Action::Fail {
                        id: rpc.id,
                        sent: false,
                        begun: false,
                    });
                }
            }
            // A second wish to close can only make it end sooner.
            Phase::Closing => {
                if let Some((_, current)) = &mut self.close {
                    *current = (*current).min(deadline);
                }
            }
            Phase::Closed(_) => {}
        }
    }

    /// Ends the session: every caller that still waits is told, then the stream is closed.
    fn end(&mut self, cause: EndCause, actions: &mut Vec<Action>) {
        // Once we asked for the end, the end of the stream is the answer.
        let asked = self.pending.iter().any(|pending| pending.is_close);
        let cause = match cause {
            EndCause::EndOfStream { .. } | EndCause::Transport(_) if asked => EndCause::Closed,
            other => other,
        };
        for pending in self.pending.drain(..) {
            if !pending.abandoned && !pending.is_close {
                actions.push(Action::Fail {
                    id: pending.id,
                    sent: true,
                    begun: pending.begun,
                });
            }
        }
        for rpc in self.line.drain(..).flat_map(|waiting| waiting.rpcs) {
            actions.push(Action::Fail {
                id: rpc.id,
                sent: false,
                begun: false,
            });
        }
        self.close = None;
        self.ready_at = None;
        self.phase = Phase::Closed(cause.clone());
        actions.push(Action::End(cause));
    }

    /// Sends what may be sent now: the next submission once the one before is answered, or `<close-session>`.
    fn advance(&mut self, now: Instant, actions: &mut Vec<Action>) {
        if !self.pending.is_empty() || self.ready_at.is_some_and(|ready_at| ready_at > now) {
            return;
        }
        match self.phase {
            Phase::HelloSent | Phase::Closed(_) => {}
            Phase::Open => {
                self.ready_at = None;
                let Some(next) = self.line.pop_front() else { return };
                for rpc in next.rpcs {
                    actions.push(Action::Send(rpc.id));
                    self.pending.push_back(Pending {
                        id: rpc.id,
                        deadline: rpc.deadline,
                        give_up: rpc.deadline + rpc.deadline.saturating_duration_since(now),
                        abandoned: false,
                        begun: false,
                        is_close: false,
                    });
                }
            }
            Phase::Closing => {
                self.ready_at = None;
                let Some((id, deadline)) = self.close else { return };
                actions.push(Action::SendClose(id));
                self.pending.push_back(Pending {
                    id,
                    deadline,
                    give_up: deadline + Duration::from_secs(1),
                    abandoned: false,
                    begun: false,
                    is_close: true,
                });
            }
        }
    }
}

#[cfg(test)]
#[path = "state_tests.rs"]
mod tests;
