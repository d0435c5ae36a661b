//! Sessions without a stream, for tests that need RPCs by the hundred thousand: the rules are those of `state`, and what
//! the device does about an RPC is asked of the test. Nothing is parsed, and no framing is undone.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::actor::sleep_until;
use super::error::{EndCause, SessionError};
use super::handle::{Command, Facts, Outbound, RawReply, SessionHandle, Status};
use super::spool::Stored;
use super::state::{Action, Event, Phase, State, Submitted};
use super::wheel::Wheel;
use crate::netconf::capability::Capabilities;
use crate::netconf::framing::Framing;
use crate::netconf::reply::{ReplyScan, ReplyScanner};
use crate::xml::{Limits, Source, Tokenizer};

/// What the device does about an RPC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Does {
    Ok,
    Refuses,
    /// It ends the session instead of replying.
    HangsUp,
}

/// How the polite end is waited for.
const GRACE: Duration = Duration::from_secs(5);

/// A session that runs until its last handle is gone, or the cord is pulled, as by somebody who kills it. `serve` is given
/// the name of each operation when it is sent, `close-session` included, and says how long after that the reply comes.
pub(crate) fn open(
    session_id: u64,
    cord: CancellationToken,
    serve: impl FnMut(&str) -> (Does, Duration) + Send + 'static,
) -> SessionHandle {
    let now = Instant::now();
    let mut state = State::new(now + GRACE);
    // Only submissions are ever refused.
    let _ = state.on(Event::Hello { ready_at: now }, now);
    let (commands, receiver) = mpsc::channel(16);
    let (status, watched) = watch::channel(Status {
        session_id,
        ended: None,
        outstanding: 0,
        clean: state.is_clean(),
        since: now,
    });
    let facts = Arc::new(Facts {
        session_id,
        capabilities: Arc::new(Capabilities::default()),
        framing: Framing::EndOfMessage,
        opened_at: now,
        next_id: AtomicU64::new(1),
    });
    let session = Quick {
        state,
        calls: HashMap::new(),
        due: VecDeque::new(),
        serve,
        status,
        facts: facts.clone(),
    };
    tokio::spawn(session.run(receiver, cord));
    SessionHandle {
        commands,
        status: watched,
        facts,
        wheel: Wheel::new(),
    }
}

static OK: LazyLock<ReplyScan> = LazyLock::new(|| scan("<ok/>"));
static REFUSED: LazyLock<ReplyScan> = LazyLock::new(|| {
    scan(
        "<rpc-error><error-type>protocol</error-type><error-tag>operation-failed</error-tag>\
         <error-severity>error</error-severity></rpc-error>",
    )
});

fn scan(content: &str) -> ReplyScan {
    let mut scanner = ReplyScanner::new();
    let mut tokenizer = Tokenizer::new(Limits::default());
    let reply = super::fake::reply("1", content);
    tokenizer.push(reply.as_bytes(), &mut scanner).unwrap();
    tokenizer.finish(&mut scanner).unwrap();
    scanner.finish()
}

/// A reply on its way.
struct Due {
    at: Instant,
    id: u64,
    does: Does,
}

struct Quick<S> {
    state: State,
    calls: HashMap<u64, Outbound>,
    /// In the order of sending.
    due: VecDeque<Due>,
    serve: S,
    status: watch::Sender<Status>,
    facts: Arc<Facts>,
}

impl<S: FnMut(&str) -> (Does, Duration) + Send + 'static> Quick<S> {
    async fn run(mut self, mut commands: mpsc::Receiver<Command>, cord: CancellationToken) {
        let mut held = true;
        while !matches!(self.state.phase(), Phase::Closed(_)) {
            if let Some(reply) = self.due.pop_front_if(|reply| reply.at <= Instant::now()) {
                self.reply(&reply);
                continue;
            }
            let next = match self.due.front() {
                Some(reply) => Some(self.state.next_wake().map_or(reply.at, |wake| wake.min(reply.at))),
                // Nothing is outstanding, so nothing can be too late.
                None => None,
            };
            tokio::select! {
                biased;
                () = cord.cancelled() => self.on(Event::Lost(hung_up())),
                command = commands.recv(), if held => match command {
                    Some(command) => self.command(command),
                    None => {
                        held = false;
                        self.on(Event::Close { id: self.facts.next_id(), deadline: Instant::now() + GRACE });
                    }
                },
                () = sleep_until(next) => self.on(Event::Tick),
            }
        }
        commands.close();
        while let Some(command) = commands.recv().await {
            if let Command::Call { batch, .. } = command {
                for call in batch {
                    answer(call, Err(SessionError::NotOpen { cause: None }));
                }
            }
        }
    }

    fn command(&mut self, command: Command) {
        match command {
            Command::Call { batch, traces } => {
                let rpcs = batch.iter().map(|call| Submitted {
                    id: call.id,
                    deadline: call.deadline,
                });
                let submit = Event::Submit {
                    rpcs: rpcs.collect(),
                    traces,
                };
                match self.state.on(submit, Instant::now()) {
                    Ok(actions) => {
                        self.calls.extend(batch.into_iter().map(|call| (call.id, call)));
                        self.act(actions);
                    }
                    Err(_) => {
                        for call in batch {
                            answer(call, Err(SessionError::NotOpen { cause: None }));
                        }
                    }
                }
            }
            Command::Endure { until } => self.on(Event::Endure { until }),
            Command::Close { id, deadline, .. } => self.on(Event::Close { id, deadline }),
        }
    }

    fn reply(&mut self, reply: &Due) {
        if reply.does == Does::HangsUp {
            return self.on(Event::Lost(hung_up()));
        }
        let message = Event::Message {
            message_id: Some(reply.id.to_string()),
            root: "rpc-reply".to_owned(),
            is_reply: true,
        };
        let actions = self.state.on(message, Instant::now()).unwrap();
        // Who asked finds the session as free as it is.
        self.publish();
        for action in &actions {
            if let Action::Deliver(id) = action
                && let Some(call) = self.calls.remove(id)
            {
                let reply = self.raw(reply);
                answer(call, Ok(reply));
            }
        }
        self.act(actions);
    }

    fn raw(&self, reply: &Due) -> RawReply {
        let now = Instant::now();
        RawReply {
            message_id: reply.id.to_string(),
            session_id: self.facts.session_id,
            source: Source::Memory(Bytes::new()),
            scan: match reply.does {
                Does::Refuses => REFUSED.clone(),
                Does::Ok | Does::HangsUp => OK.clone(),
            },
            index: None,
            lossy: false,
            bytes: 0,
            sent_at: now,
            first_byte_at: now,
            completed_at: now,
            stored: Stored::default(),
        }
    }

    fn on(&mut self, event: Event) {
        let actions = self.state.on(event, Instant::now()).unwrap();
        self.act(actions);
    }

    fn act(&mut self, actions: Vec<Action>) {
        self.publish();
        for action in actions {
            match action {
                Action::Send(id) => {
                    let message = self.calls.get(&id).map(|call| call.message.clone());
                    self.send(id, &operation(&message.unwrap_or_default()));
                }
                Action::SendClose(id) => self.send(id, "close-session"),
                Action::Expire { id, sent } => {
                    let message_id = id.to_string();
                    let error = match sent {
                        true => SessionError::Timeout { message_id },
                        false => SessionError::DeadlineBeforeSending,
                    };
                    if let Some(call) = self.calls.remove(&id) {
                        answer(call, Err(error));
                    }
                }
                Action::Fail { id, sent, begun } => {
                    let error = match sent {
                        true => SessionError::Lost {
                            message_id: id.to_string(),
                            cause: hung_up(),
                            reply_begun: begun,
                        },
                        false => SessionError::NotOpen { cause: None },
                    };
                    if let Some(call) = self.calls.remove(&id) {
                        answer(call, Err(error));
                    }
                }
                // The loop, or who took the reply, has seen to it.
                Action::Deliver(_) | Action::Discard(_) | Action::End(_) => {}
            }
        }
    }

    fn send(&mut self, id: u64, operation: &str) {
        let (does, after) = (self.serve)(operation);
        let at = Instant::now() + after;
        self.due.push_back(Due { at, id, does });
    }

    fn publish(&self) {
        let ended = match self.state.phase() {
            Phase::Closed(cause) => Some(cause.clone()),
            Phase::HelloSent | Phase::Open | Phase::Closing => None,
        };
        self.status.send_modify(|status| {
            status.ended = ended;
            status.outstanding = self.state.outstanding();
            status.clean = self.state.is_clean();
        });
    }
}

fn hung_up() -> EndCause {
    EndCause::EndOfStream { told: String::new() }
}

/// Nobody may listen any more.
fn answer(call: Outbound, result: Result<RawReply, SessionError>) {
    let _ = call.reply.send(result);
}

/// The name of the element inside `<rpc>`.
fn operation(message: &Bytes) -> String {
    let text = std::str::from_utf8(message).unwrap();
    let inside = text.split('<').nth(2).unwrap_or_default();
    let end = inside.find(['/', '>', ' ']).unwrap_or_default();
    inside[..end].to_owned()
}
