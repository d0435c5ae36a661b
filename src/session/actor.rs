//! The task that owns a NETCONF session: it alone reads and writes the stream, asks [`State`] what is allowed, and
//! does what the answer says. It never waits for a caller; of everything outside it waits only for the disk.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, Sleep};

use super::error::{EndCause, SessionError};
use super::handle::{Command, Facts, Outbound, RawReply, ReplySender, Status, close_message};
use super::inbound::{Inbound, Message, Step, Wanted};
use super::state::{Action, Event, Phase, Refused, State, Submitted};
use super::stream::{Incoming, Outgoing};
use super::wheel::Wheel;
use crate::json::Selection;
use crate::metrics::Metrics;
use crate::netconf::reply::Root;
use crate::transport::Loss;

/// How long the polite end may take when nobody holds the session any more.
const LAST_GRACE: Duration = Duration::from_secs(5);

/// The writing side: one write at a time, in the background of everything else.
struct Writer<O> {
    /// Absent while a write is under way, which holds it.
    idle: Option<O>,
    writing: Option<Writing<O>>,
    queue: Vec<Bytes>,
}

type Writing<O> = Pin<Box<dyn Future<Output = (O, Result<(), Loss>)> + Send>>;

impl<O: Outgoing> Writer<O> {
    fn new(outgoing: O) -> Self {
        Self {
            idle: Some(outgoing),
            writing: None,
            queue: Vec::new(),
        }
    }

    fn send(&mut self, message: Bytes) {
        self.queue.push(message);
        self.start();
    }

    /// Starts the next write: everything that is queued, in one piece if it is more than one message.
    fn start(&mut self) {
        if self.queue.is_empty() {
            return;
        }
        let Some(mut outgoing) = self.idle.take() else {
            return;
        };
        let bytes = match self.queue.len() {
            1 => self.queue.remove(0),
            _ => Bytes::from(std::mem::take(&mut self.queue).concat()),
        };
        self.queue.clear();
        self.writing = Some(Box::pin(async move {
            let result = outgoing.write(bytes).await;
            (outgoing, result)
        }));
    }

    /// Waits for the write under way; for ever if there is none. Cancel safe.
    async fn written(&mut self) -> Result<(), Loss> {
        let Some(writing) = &mut self.writing else {
            return std::future::pending().await;
        };
        let (outgoing, result) = writing.as_mut().await;
        self.writing = None;
        self.idle = Some(outgoing);
        self.start();
        result
    }

    /// Ends the stream in an orderly way, unless a write is stuck in it.
    async fn close(self) {
        if let Some(outgoing) = self.idle {
            outgoing.close().await;
        }
    }
}

/// The actor's one timer. It is set anew only when it would ring too late: almost every deadline is later than the
/// one before it and is never reached, and setting a timer may cost another thread a wake-up.
#[derive(Default)]
struct Alarm {
    timer: Option<Pin<Box<Sleep>>>,
    /// When it rings; `None` once it has.
    at: Option<Instant>,
}

impl Alarm {
    /// Waits until `latest` at most; for ever if there is none. It may ring too early. Cancel safe.
    async fn rings(&mut self, latest: Option<Instant>) {
        let Some(latest) = latest else {
            return std::future::pending().await;
        };
        let timer = self
            .timer
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(latest)));
        if self.at.is_none_or(|at| at > latest) {
            timer.as_mut().reset(latest);
            self.at = Some(latest);
        }
        timer.as_mut().await;
        self.at = None;
    }
}

/// A call from its submission to its reply.
struct Slot {
    /// Until it is sent.
    message: Option<Bytes>,
    reply: ReplySender,
    commits: bool,
    selection: Option<Selection>,
    sent_at: Instant,
}

/// What a session is made of once the hellos are exchanged.
pub(super) struct Parts<I, O> {
    pub(super) wheel: Arc<Wheel>,
    pub(super) incoming: I,
    pub(super) outgoing: O,
    pub(super) state: State,
    pub(super) inbound: Inbound,
    /// What came behind the server's hello.
    pub(super) rest: Bytes,
    pub(super) commands: mpsc::Receiver<Command>,
    pub(super) status: watch::Sender<Status>,
    pub(super) facts: Arc<Facts>,
    pub(super) metrics: Arc<Metrics>,
}

/// Runs one session. Nothing happens in the session unless [`Actor::run`] is polled; dropping it cuts the stream.
pub struct Actor<I, O> {
    wheel: Arc<Wheel>,
    incoming: I,
    writer: Writer<O>,
    alarm: Alarm,
    state: State,
    inbound: Inbound,
    rest: Bytes,
    commands: mpsc::Receiver<Command>,
    /// Whether anybody can still send commands.
    held: bool,
    calls: HashMap<u64, Slot>,
    close_message: Option<Bytes>,
    status: watch::Sender<Status>,
    facts: Arc<Facts>,
    metrics: Arc<Metrics>,
}

/// What woke the actor.
enum Wake {
    Written(Result<(), Loss>),
    Read(Result<Option<Bytes>, Loss>),
    Command(Option<Command>),
    Tick,
}

impl<I: Incoming, O: Outgoing> Actor<I, O> {
    pub(super) fn new(parts: Parts<I, O>) -> Self {
        Self {
            wheel: parts.wheel,
            incoming: parts.incoming,
            writer: Writer::new(parts.outgoing),
            alarm: Alarm::default(),
            state: parts.state,
            inbound: parts.inbound,
            rest: parts.rest,
            commands: parts.commands,
            held: true,
            calls: HashMap::new(),
            close_message: None,
            status: parts.status,
            facts: parts.facts,
            metrics: parts.metrics,
        }
    }

    /// Runs until the session has ended and its stream is closed; tells why it ended. Whoever waits for a reply
    /// takes part in it.
    pub async fn run(self) -> EndCause {
        let wheel = self.wheel.clone();
        wheel.own(self.live()).await
    }

    async fn live(mut self) -> EndCause {
        let rest = std::mem::take(&mut self.rest);
        self.received(&rest).await;
        let cause = loop {
            if let Phase::Closed(cause) = self.state.phase() {
                break cause.clone();
            }
            match self.wake().await {
                Wake::Written(Ok(())) => {}
                Wake::Written(Err(loss)) => self.on(Event::Lost(EndCause::Transport(loss))),
                Wake::Read(Ok(Some(bytes))) => self.received(&bytes).await,
                Wake::Read(Ok(None)) => {
                    let told = self.incoming.last_words().await;
                    self.on(Event::Lost(EndCause::EndOfStream { told }));
                }
                Wake::Read(Err(loss)) => self.on(Event::Lost(EndCause::Transport(loss))),
                Wake::Command(command) => self.command(command),
                Wake::Tick => self.on(Event::Tick),
            }
        };
        // Callers know already; now nobody else gets in.
        self.commands.close();
        while let Some(command) = self.commands.recv().await {
            self.refuse(command);
        }
        // What still comes is nobody's, and the library waits as long as somebody may take it.
        drop(self.incoming);
        self.writer.close().await;
        cause
    }

    async fn wake(&mut self) -> Wake {
        let tick = self.state.next_wake();
        tokio::select! {
            // A device that sends without end must not keep deadlines and calls from being seen; both are few.
            biased;
            result = self.writer.written() => Wake::Written(result),
            () = self.alarm.rings(tick) => Wake::Tick,
            command = self.commands.recv(), if self.held => Wake::Command(command),
            result = self.incoming.next() => Wake::Read(result),
        }
    }

    async fn received(&mut self, bytes: &[u8]) {
        let mut input = bytes;
        while !matches!(self.state.phase(), Phase::Closed(_)) {
            self.drop_unwanted();
            let current = self.state.current().and_then(|id| self.calls.get(&id));
            let wanted = match current {
                Some(slot) if !slot.reply.is_closed() => Wanted::Keep {
                    repair: slot.commits,
                    selection: slot.selection,
                },
                Some(_) | None => Wanted::Drop,
            };
            match self.inbound.take(&mut input, wanted).await {
                Ok(Some(Step::Begins)) => self.on(Event::MessageBegins),
                Ok(Some(Step::Complete(message))) => self.completed(*message),
                Ok(None) => break,
                Err(cause) => self.on(Event::Lost(cause)),
            }
        }
    }

    /// Stops keeping what nobody waits for any more.
    fn drop_unwanted(&mut self) {
        let Some(id) = self.state.current().filter(|_| self.inbound.is_inside()) else {
            return;
        };
        if self.calls.get(&id).is_none_or(|slot| slot.reply.is_closed()) {
            self.inbound.forget();
        }
    }

    fn completed(&mut self, message: Message) {
        self.metrics.reply_read(message.bytes);
        let scan = &message.scanned.scan;
        let event = Event::Message {
            message_id: scan.message_id.clone(),
            root: message.scanned.root_name.clone(),
            is_reply: scan.root == Root::RpcReply,
        };
        self.drop_gone_callers();
        let actions = self.decide(event);
        self.act(actions, Some(message));
    }

    /// Callers that left before their RPC was sent: it is not sent any more (Q7).
    fn drop_gone_callers(&mut self) {
        let gone: Vec<u64> = self
            .calls
            .iter()
            .filter(|(_, slot)| slot.message.is_some() && slot.reply.is_closed())
            .map(|(id, _)| *id)
            .collect();
        for id in gone {
            self.calls.remove(&id);
            self.on(Event::CallerGone { id });
        }
    }

    fn command(&mut self, command: Option<Command>) {
        match command {
            Some(Command::Call { batch, traces }) => {
                self.drop_gone_callers();
                let rpcs = batch
                    .iter()
                    .map(|call| Submitted {
                        id: call.id,
                        deadline: call.deadline,
                    })
                    .collect();
                match self.state.on(Event::Submit { rpcs, traces }, Instant::now()) {
                    Ok(actions) => {
                        let now = Instant::now();
                        for call in batch {
                            self.calls.insert(call.id, slot(call, now));
                        }
                        self.act(actions, None);
                    }
                    Err(refused) => {
                        for call in batch {
                            answer(call.reply, Err(self.refusal(&refused)));
                        }
                    }
                }
            }
            Some(Command::Endure { until }) => self.on(Event::Endure { until }),
            Some(Command::Close {
                id,
                message,
                deadline,
            }) => self.begin_close(id, message, deadline),
            None => {
                self.held = false;
                let id = self.facts.next_id();
                let message = close_message(self.facts.framing, id);
                self.begin_close(id, message, Instant::now() + LAST_GRACE);
            }
        }
    }

    fn begin_close(&mut self, id: u64, message: Bytes, deadline: Instant) {
        // A second wish to close keeps the first one's message-id.
        if self.close_message.is_none() {
            self.close_message = Some(message);
        }
        self.on(Event::Close { id, deadline });
    }

    fn refuse(&self, command: Command) {
        match command {
            Command::Call { batch, .. } => {
                for call in batch {
                    answer(call.reply, Err(self.not_open()));
                }
            }
            Command::Endure { .. } | Command::Close { .. } => {}
        }
    }

    fn on(&mut self, event: Event) {
        let actions = self.decide(event);
        self.act(actions, None);
    }

    fn decide(&mut self, event: Event) -> Vec<Action> {
        // Only submissions are ever refused, and they do not come this way.
        self.state.on(event, Instant::now()).unwrap_or_default()
    }

    fn act(&mut self, actions: Vec<Action>, mut message: Option<Message>) {
        // First: a caller who has its reply finds the session as free as it is.
        self.publish();
        for action in actions {
            match action {
                Action::Send(id) => self.send(id),
                Action::SendClose(_) => {
                    if let Some(message) = self.close_message.take() {
                        self.writer.send(message);
                    }
                }
                Action::Deliver(id) => self.deliver(id, message.take()),
                Action::Discard(id) => {
                    self.calls.remove(&id);
                    self.metrics.reply_abandoned();
                }
                Action::Expire { id, sent } => self.expire(id, sent),
                Action::Fail { id, sent, begun } => self.fail(id, sent, begun),
                // The loop sees it.
                Action::End(_) => {}
            }
        }
    }

    fn send(&mut self, id: u64) {
        let Some(slot) = self.calls.get_mut(&id) else {
            return;
        };
        slot.sent_at = Instant::now();
        if let Some(message) = slot.message.take() {
            self.writer.send(message);
        }
    }

    fn deliver(&mut self, id: u64, message: Option<Message>) {
        let (Some(slot), Some(message)) = (self.calls.remove(&id), message) else {
            return;
        };
        let message_id = id.to_string();
        let result = match message.kept {
            Some(Ok((source, stored))) => {
                if source.as_memory().is_none() {
                    self.metrics.reply_spooled();
                }
                Ok(RawReply {
                    message_id,
                    session_id: self.facts.session_id,
                    source,
                    scan: message.scanned.scan,
                    index: message.scanned.index,
                    lossy: message.lossy,
                    bytes: message.bytes,
                    sent_at: slot.sent_at,
                    first_byte_at: message.first_byte_at,
                    completed_at: Instant::now(),
                    stored,
                })
            }
            Some(Err(source)) => Err(SessionError::Storage { message_id, source }),
            // Its caller left while it came.
            None => {
                self.metrics.reply_abandoned();
                return;
            }
        };
        if !answer(slot.reply, result) {
            self.metrics.reply_abandoned();
        }
    }

    fn expire(&mut self, id: u64, sent: bool) {
        if let Some(slot) = self.calls.remove(&id) {
            let error = if sent {
                SessionError::Timeout {
                    message_id: id.to_string(),
                }
            } else {
                SessionError::DeadlineBeforeSending
            };
            answer(slot.reply, Err(error));
        }
    }

    fn fail(&mut self, id: u64, sent: bool, begun: bool) {
        let Some(slot) = self.calls.remove(&id) else {
            return;
        };
        let error = match self.state.phase() {
            Phase::Closed(cause) if sent => SessionError::Lost {
                message_id: id.to_string(),
                cause: cause.clone(),
                reply_begun: begun,
            },
            Phase::HelloSent | Phase::Open | Phase::Closing | Phase::Closed(_) => self.not_open(),
        };
        answer(slot.reply, Err(error));
    }

    fn not_open(&self) -> SessionError {
        SessionError::NotOpen { cause: self.ended() }
    }

    fn refusal(&self, refused: &Refused) -> SessionError {
        match refused {
            Refused::NotOpen => self.not_open(),
            Refused::LineFull => SessionError::LineFull,
        }
    }

    fn ended(&self) -> Option<EndCause> {
        match self.state.phase() {
            Phase::Closed(cause) => Some(cause.clone()),
            Phase::HelloSent | Phase::Open | Phase::Closing => None,
        }
    }

    fn publish(&self) {
        let ended = self.ended();
        let (outstanding, clean) = (self.state.outstanding(), self.state.is_clean());
        self.status.send_if_modified(|status| {
            let changed = status.outstanding != outstanding
                || status.clean != clean
                || status.ended.is_some() != ended.is_some();
            if changed {
                let session_id = status.session_id;
                *status = Status {
                    session_id,
                    ended,
                    outstanding,
                    clean,
                    since: Instant::now(),
                };
            }
            changed
        });
    }
}

fn slot(call: Outbound, now: Instant) -> Slot {
    Slot {
        message: Some(call.message),
        reply: call.reply,
        commits: call.commits,
        selection: call.selection,
        sent_at: now,
    }
}

/// Answers a caller; tells whether it still listened.
fn answer(reply: ReplySender, result: Result<RawReply, SessionError>) -> bool {
    reply.send(result).is_ok()
}

pub(super) async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
