//! What others see of a session: calls go in, replies come out, and its state can be watched.

use std::borrow::Borrow;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

use super::error::{EndCause, SessionError};
use super::spool::Stored;
use super::state::Traces;
use super::wheel::{Seat, Wheel};
use crate::json::{ConvertError, Index, Selection};
use crate::netconf::capability::Capabilities;
use crate::netconf::framing::{self, Framing};
use crate::netconf::operation::close_session::CloseSession;
use crate::netconf::reply::ReplyScan;
use crate::netconf::rpc::{self, Rpc};
use crate::xml::Source;

/// One RPC to be sent.
#[derive(Debug, Clone)]
pub struct Call {
    pub rpc: Rpc,
    /// Further attributes of `<rpc>`, which come back on the reply (S8).
    pub attributes: Vec<(String, String)>,
    /// When the caller stops waiting. The reply is then read and dropped.
    pub deadline: Instant,
    /// What the RPC may leave behind in the session.
    pub traces: Traces,
    /// What part of the reply will become JSON, so that the first pass can be made as it comes.
    pub selection: Option<Selection>,
}

/// A reply, read whole, and what the first pass over it found.
#[derive(Debug)]
pub struct RawReply {
    pub message_id: String,
    pub session_id: u64,
    /// The `<rpc-reply>` as it came, repaired where that was needed.
    pub source: Source,
    pub scan: ReplyScan,
    /// For the second pass, if a selection was asked for.
    pub index: Option<Result<Index, ConvertError>>,
    /// Characters that XML cannot hold were replaced.
    pub lossy: bool,
    /// Length of the message, framing excluded.
    pub bytes: u64,
    pub sent_at: Instant,
    pub first_byte_at: Instant,
    pub completed_at: Instant,
    /// Keep it as long as `source` is read: it accounts for the disk space.
    pub stored: Stored,
}

impl RawReply {
    /// From sending the request to the end of the reply.
    pub fn took(&self) -> Duration {
        self.completed_at.saturating_duration_since(self.sent_at)
    }
}

/// Where a session stands, for those who watch.
#[derive(Debug, Clone)]
pub struct Status {
    pub session_id: u64,
    /// Why the session ended, once it has.
    pub ended: Option<EndCause>,
    /// RPCs in flight or waiting in the session, those whose caller is gone included.
    pub outstanding: usize,
    /// Whether the session holds nothing, so that anybody may use it next (Q2).
    pub clean: bool,
    /// Since when all this is so.
    pub since: Instant,
}

pub(super) type ReplySender = oneshot::Sender<Result<RawReply, SessionError>>;
type ReplyReceiver = oneshot::Receiver<Result<RawReply, SessionError>>;

/// One RPC on its way to the actor.
pub(super) struct Outbound {
    pub(super) id: u64,
    /// Framed.
    pub(super) message: Bytes,
    pub(super) deadline: Instant,
    pub(super) commits: bool,
    pub(super) selection: Option<Selection>,
    pub(super) reply: ReplySender,
}

pub(super) enum Command {
    Call {
        batch: Vec<Outbound>,
        traces: Traces,
    },
    Endure {
        until: Instant,
    },
    Close {
        id: u64,
        message: Bytes,
        deadline: Instant,
    },
}

/// What is fixed once the hellos are exchanged.
#[derive(Debug)]
pub(super) struct Facts {
    pub(super) session_id: u64,
    pub(super) capabilities: Arc<Capabilities>,
    pub(super) framing: Framing,
    pub(super) opened_at: Instant,
    pub(super) next_id: AtomicU64,
}

impl Facts {
    pub(super) fn next_id(&self) -> u64 {
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }
}

/// A session in the hands of its users. When the last clone is dropped, the session is closed politely.
#[derive(Clone, Debug)]
pub struct SessionHandle {
    pub(super) commands: mpsc::Sender<Command>,
    pub(super) status: watch::Receiver<Status>,
    pub(super) facts: Arc<Facts>,
    pub(super) wheel: Arc<Wheel>,
}

impl std::fmt::Debug for Command {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Call { batch, .. } => write!(f, "Call of {}", batch.len()),
            Self::Endure { .. } => f.write_str("Endure"),
            Self::Close { .. } => f.write_str("Close"),
        }
    }
}

impl SessionHandle {
    /// The session-id of the server's hello; on Junos its process id.
    pub fn session_id(&self) -> u64 {
        self.facts.session_id
    }

    pub fn capabilities(&self) -> &Arc<Capabilities> {
        &self.facts.capabilities
    }

    pub fn framing(&self) -> Framing {
        self.facts.framing
    }

    pub fn opened_at(&self) -> Instant {
        self.facts.opened_at
    }

    pub fn status(&self) -> Status {
        self.status.borrow().clone()
    }

    /// Watches the session without keeping it open.
    pub fn watch(&self) -> watch::Receiver<Status> {
        self.status.clone()
    }

    /// Whether the session is open and holds nothing (Q2).
    pub fn is_clean(&self) -> bool {
        self.status.borrow().clean
    }

    /// Whether RPCs are in flight or wait, those whose caller is gone included.
    pub fn is_busy(&self) -> bool {
        self.status.borrow().outstanding > 0
    }

    /// For how long nothing has happened in the session.
    pub fn idle_for(&self) -> Duration {
        self.status.borrow().since.elapsed()
    }

    /// Why the session ended, once it has.
    pub fn ended(&self) -> Option<EndCause> {
        self.status.borrow().ended.clone()
    }

    /// Sends an RPC and waits for its reply.
    ///
    /// # Errors
    /// Whether anything was sent is told by [`SessionError::sent`].
    ///
    /// # Cancel safety
    /// Dropping the future never desynchronises the session. What waits in line is not sent any more; what was
    /// sent runs on the device, and its reply is read and dropped (Q7).
    pub async fn call(&self, call: impl Borrow<Call>) -> Result<RawReply, SessionError> {
        let call = call.borrow();
        let (outbound, reply) = self.prepare(call)?;
        let id = outbound.id;
        let seat = self.wheel.seat();
        self.submit(&seat, vec![outbound], call.traces).await?;
        wait(&seat, id, reply).await
    }

    /// Sends several RPCs without waiting for replies in between (pipelining); replies in the order of the calls.
    ///
    /// # Errors
    /// Each call has its own result. One that cannot be written keeps all of them from being sent.
    ///
    /// # Cancel safety
    /// As [`Self::call`].
    pub async fn call_all(
        &self,
        calls: impl AsRef<[Call]>,
    ) -> Result<Vec<Result<RawReply, SessionError>>, SessionError> {
        let mut traces = Traces::None;
        let calls = calls.as_ref();
        let mut batch = Vec::with_capacity(calls.len());
        let mut replies = Vec::with_capacity(calls.len());
        for call in calls {
            if call.traces == Traces::Possible {
                traces = Traces::Possible;
            }
            let (outbound, reply) = self.prepare(call)?;
            replies.push((outbound.id, reply));
            batch.push(outbound);
        }
        let seat = self.wheel.seat();
        self.submit(&seat, batch, traces).await?;
        let mut results = Vec::with_capacity(replies.len());
        for (id, reply) in replies {
            results.push(wait(&seat, id, reply).await);
        }
        Ok(results)
    }

    /// Waits until no RPC is outstanding any more, or the session has ended.
    pub async fn idle(&self) {
        let mut status = self.status.clone();
        // An error means that the actor is gone, which is an end as well.
        let _ = status
            .wait_for(|status| status.outstanding == 0 || status.ended.is_some())
            .await;
    }

    /// Until then the session is not given up because a reply is late (Q7, C2).
    pub async fn endure(&self, until: Instant) {
        // If nobody takes it, the session has ended.
        let _ = self.commands.send(Command::Endure { until }).await;
    }

    /// Ends the session politely (S30): outstanding replies are read, `<close-session>` is sent, its answer awaited,
    /// all within `grace`; then channel and connection are closed. Returns why the session ended.
    pub async fn close(&self, grace: Duration) -> EndCause {
        let id = self.facts.next_id();
        let command = Command::Close {
            id,
            message: self.close_message(id),
            deadline: Instant::now() + grace,
        };
        // If nobody takes it, the session has ended.
        let _ = self.commands.send(command).await;
        self.closed().await
    }

    /// Waits for the end of the session and tells why.
    pub async fn closed(&self) -> EndCause {
        let mut status = self.status.clone();
        match status.wait_for(|status| status.ended.is_some()).await {
            Ok(status) => status.ended.clone().unwrap_or(EndCause::Closed),
            // The actor was dropped, which only happens when its runtime ends.
            Err(_) => EndCause::Closed,
        }
    }

    fn prepare(&self, call: &Call) -> Result<(Outbound, ReplyReceiver), SessionError> {
        let id = self.facts.next_id();
        let text =
            rpc::envelope(&id.to_string(), &call.attributes, &call.rpc).map_err(SessionError::Write)?;
        let (reply, receiver) = oneshot::channel();
        let outbound = Outbound {
            id,
            message: frame(self.facts.framing, &text),
            deadline: call.deadline,
            commits: call.rpc.commits,
            selection: call.selection,
            reply,
        };
        Ok((outbound, receiver))
    }

    /// Hands the calls to the session, which sends them at once if it can.
    async fn submit(&self, seat: &Seat, batch: Vec<Outbound>, traces: Traces) -> Result<(), SessionError> {
        let mut command = Some(Command::Call { batch, traces });
        let sent = poll_fn(|cx| {
            let send = || {
                command
                    .take()
                    .map_or(Ok(()), |command| self.commands.try_send(command))
            };
            Poll::Ready(seat.begin(cx, send).unwrap_or(Ok(())))
        })
        .await;
        match sent {
            Ok(()) => {}
            Err(TrySendError::Full(unsent)) => command = Some(unsent),
            Err(TrySendError::Closed(_)) => return Err(self.not_open()),
        }
        match command {
            Some(command) => self.commands.send(command).await.map_err(|_| self.not_open()),
            None => Ok(()),
        }
    }

    fn not_open(&self) -> SessionError {
        SessionError::NotOpen { cause: self.ended() }
    }

    fn close_message(&self, id: u64) -> Bytes {
        close_message(self.facts.framing, id)
    }
}

/// Waits for a reply, and moves the session along meanwhile.
async fn wait(seat: &Seat, id: u64, mut reply: ReplyReceiver) -> Result<RawReply, SessionError> {
    let received = poll_fn(|cx| {
        if seat.attend(cx) {
            // Who has the wheel is woken by it. Asking in the usual way would wake this task for the reply that it
            // just took in itself.
            match reply.try_recv() {
                Ok(received) => Poll::Ready(Ok(received)),
                Err(oneshot::error::TryRecvError::Empty) => Poll::Pending,
                Err(oneshot::error::TryRecvError::Closed) => Poll::Ready(Err(())),
            }
        } else {
            Pin::new(&mut reply).poll(cx).map_err(|_| ())
        }
    })
    .await;
    // The session was cut in the middle of its work: the request may have left.
    received.unwrap_or(Err(SessionError::Lost {
        message_id: id.to_string(),
        cause: EndCause::Closed,
        reply_begun: true,
    }))
}

/// `<close-session>`, framed.
pub(super) fn close_message(framing: Framing, id: u64) -> Bytes {
    let rpc = CloseSession.rpc().expect("a fixed element can be written");
    let text = rpc::envelope(&id.to_string(), &[], &rpc).expect("a number can be written as message-id");
    frame(framing, &text)
}

fn frame(framing: Framing, text: &str) -> Bytes {
    let mut framed = Vec::with_capacity(text.len() + 32);
    framing::encode(framing, text, &mut framed);
    framed.into()
}
