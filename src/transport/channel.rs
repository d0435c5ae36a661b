//! The session channel: starting NETCONF on it, and its two directions as bytes.
//!
//! The library's own stream type is not used: it swallows the answer to the subsystem request, standard error and
//! the exit status, all of which an error needs.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use russh::client::{Handle, Msg};
use russh::{ChannelMsg, ChannelReadHalf, ChannelWriteHalf, Pty};
use tokio::time::timeout;

use super::error::{ChannelRequest, Loss, Phase, TransportError, peer_text};
use super::handler::{Client, Shared, loss_of};
use super::target::ChannelKind;

/// Standard error that is kept, in bytes.
const MAX_STDERR: usize = 4096;
/// Data that a server may send before it has answered the request for the subsystem, in bytes.
const MAX_EARLY: usize = 1 << 20;

/// A terminal that changes no byte in either direction: no echo, no line editing (which would also cut lines at
/// 4 KiB), no translation of line ends (which would break chunk sizes), no signals or flow control characters.
const RAW_MODES: &[(Pty, u32)] = &[
    (Pty::ECHO, 0),
    (Pty::ECHOE, 0),
    (Pty::ECHOK, 0),
    (Pty::ECHONL, 0),
    (Pty::ICANON, 0),
    (Pty::ISIG, 0),
    (Pty::IEXTEN, 0),
    (Pty::ICRNL, 0),
    (Pty::INLCR, 0),
    (Pty::IGNCR, 0),
    (Pty::ISTRIP, 0),
    (Pty::IXON, 0),
    (Pty::IXOFF, 0),
    (Pty::OPOST, 0),
    (Pty::ONLCR, 0),
    (Pty::CS8, 1),
    (Pty::TTY_OP_ISPEED, 38400),
    (Pty::TTY_OP_OSPEED, 38400),
];

/// How the server's side of the channel ended. Texts are the server's, bounded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ending {
    pub exit_status: Option<u32>,
    pub exit_signal: Option<String>,
    pub stderr: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    /// The server sends no more data.
    Eof,
    /// The channel is closed, or the connection is gone.
    Closed,
}

/// The bytes from the server. It must be read without waiting for anybody: the library stops reading the
/// connection, keepalives included, while some packets (half a megabyte at most) lie here unread.
pub struct NetconfReader {
    early: VecDeque<Bytes>,
    half: ChannelReadHalf,
    shared: Arc<Shared>,
    state: State,
    stderr: Vec<u8>,
    ending: Ending,
}

impl NetconfReader {
    /// The next bytes, or `None` at the end of the server's data. The end without a `<close-session>` of ours is
    /// the loss of the session.
    ///
    /// # Errors
    /// `Lost` if the connection broke.
    ///
    /// # Cancel safety
    /// Safe: no bytes are lost.
    pub async fn next(&mut self) -> Result<Option<Bytes>, TransportError> {
        if let Some(data) = self.early.pop_front() {
            return Ok(Some(data));
        }
        while self.state == State::Open {
            match self.half.wait().await {
                Some(ChannelMsg::Data { data }) if data.is_empty() => {}
                Some(ChannelMsg::Data { data }) => return Ok(Some(data)),
                Some(other) => self.note(other),
                None => {
                    self.state = State::Closed;
                    let loss = self.shared.facts().loss.clone();
                    return loss.map_or(Ok(None), |loss| Err(TransportError::Lost(loss)));
                }
            }
        }
        Ok(None)
    }

    /// After the end: waits at most `within` for what the server still says of it, and returns that.
    pub async fn ending(&mut self, within: Duration) -> Ending {
        let rest = async {
            while self.state != State::Closed {
                match self.half.wait().await {
                    Some(other) => self.note(other),
                    None => self.state = State::Closed,
                }
            }
        };
        // What has come by then is what there is.
        let _ = timeout(within, rest).await;
        self.told()
    }

    fn told(&self) -> Ending {
        let stderr = peer_text(&String::from_utf8_lossy(&self.stderr), MAX_STDERR);
        Ending {
            stderr,
            ..self.ending.clone()
        }
    }

    /// Everything that is not data.
    fn note(&mut self, message: ChannelMsg) {
        match message {
            ChannelMsg::ExtendedData { data, .. } => {
                let room = MAX_STDERR - self.stderr.len();
                self.stderr.extend_from_slice(&data[..data.len().min(room)]);
            }
            ChannelMsg::ExitStatus { exit_status } => self.ending.exit_status = Some(exit_status),
            ChannelMsg::ExitSignal { signal_name, .. } => {
                self.ending.exit_signal = Some(peer_text(&format!("{signal_name:?}"), 64));
            }
            ChannelMsg::Eof if self.state == State::Open => self.state = State::Eof,
            ChannelMsg::Close => self.state = State::Closed,
            // Window adjustments are handled by the library; the rest is addressed to servers.
            _ => {}
        }
    }

    /// Waits for the answer to a request, keeping data that comes before it.
    async fn answer(&mut self, request: ChannelRequest) -> Result<(), TransportError> {
        let mut early = 0;
        while self.state == State::Open {
            match self.half.wait().await {
                Some(ChannelMsg::Success) => return Ok(()),
                // The exit status and standard error of a refusal come, if at all, right behind it; they are not
                // worth waiting for.
                Some(ChannelMsg::Failure) => return Err(self.refusal(request)),
                Some(ChannelMsg::Data { data }) => {
                    early += data.len();
                    if early > MAX_EARLY {
                        let detail = format!("more than {MAX_EARLY} bytes before the answer for {request}");
                        return Err(TransportError::Handshake { detail });
                    }
                    self.early.push_back(data);
                }
                Some(other) => self.note(other),
                None => {
                    let loss = self.shared.loss();
                    return Err(TransportError::Closed {
                        phase: Phase::Subsystem,
                        loss,
                    });
                }
            }
        }
        Err(self.refusal(request))
    }

    fn refusal(&self, request: ChannelRequest) -> TransportError {
        let told = self.told();
        TransportError::NoSubsystem {
            request,
            exit_status: told.exit_status,
            message: told.stderr,
        }
    }
}

/// The bytes to the server.
pub struct NetconfWriter {
    half: Arc<ChannelWriteHalf<Msg>>,
    shared: Arc<Shared>,
    /// A write began and did not end, so what the server has is a torso.
    torn: bool,
}

impl NetconfWriter {
    /// Hands all bytes to the connection, waiting for window and socket as needed.
    ///
    /// # Errors
    /// `Lost` if the connection is gone or an earlier write was cancelled.
    ///
    /// # Cancel safety
    /// Not safe: a cancelled write may have sent a part. Every later write fails then.
    pub async fn write(&mut self, bytes: Bytes) -> Result<(), TransportError> {
        if std::mem::replace(&mut self.torn, true) {
            return Err(TransportError::Lost(Loss::Local));
        }
        tokio::select! {
            sent = self.half.data_bytes(bytes) => {
                if sent.is_err() {
                    self.shared.gone.cancelled().await;
                    return Err(TransportError::Lost(self.shared.loss()));
                }
            }
            // Waiting for window would otherwise outlive the connection.
            () = self.shared.gone.cancelled() => return Err(TransportError::Lost(self.shared.loss())),
        }
        self.torn = false;
        Ok(())
    }
}

/// The channel with NETCONF running on it.
pub(super) struct Opened {
    pub(super) reader: NetconfReader,
    pub(super) writer: NetconfWriter,
    pub(super) half: Arc<ChannelWriteHalf<Msg>>,
}

/// Opens a session channel and starts the subsystem (RFC 6242 section 3) or the command.
///
/// # Errors
/// `NoSubsystem`, `Closed`.
pub(super) async fn open(
    handle: &Handle<Client>,
    kind: ChannelKind,
    shared: &Arc<Shared>,
) -> Result<Opened, TransportError> {
    let channel = match handle.channel_open_session().await {
        Ok(channel) => channel,
        Err(russh::Error::ChannelOpenFailure(reason)) => {
            let message = format!("{reason:?}");
            return Err(TransportError::NoSubsystem {
                request: ChannelRequest::Open,
                exit_status: None,
                message,
            });
        }
        Err(error) => return Err(closed(shared, &error).await),
    };
    let (read_half, write_half) = channel.split();
    let half = Arc::new(write_half);
    let mut reader = NetconfReader {
        early: VecDeque::new(),
        half: read_half,
        shared: shared.clone(),
        state: State::Open,
        stderr: Vec::new(),
        ending: Ending::default(),
    };
    let started = match kind {
        ChannelKind::Subsystem => half.request_subsystem(true, "netconf").await,
        ChannelKind::Pty => {
            if let Err(error) = half.request_pty(true, "vt100", 80, 24, 0, 0, RAW_MODES).await {
                return Err(closed(shared, &error).await);
            }
            reader.answer(ChannelRequest::Pty).await?;
            half.exec(true, "netconf").await
        }
    };
    if let Err(error) = started {
        return Err(closed(shared, &error).await);
    }
    reader
        .answer(match kind {
            ChannelKind::Subsystem => ChannelRequest::Subsystem,
            ChannelKind::Pty => ChannelRequest::Exec,
        })
        .await?;
    let writer = NetconfWriter {
        half: half.clone(),
        shared: shared.clone(),
        torn: false,
    };
    Ok(Opened { reader, writer, half })
}

/// A call into the library failed, which means that its task has ended or is ending.
pub(super) async fn closed(shared: &Shared, error: &russh::Error) -> TransportError {
    shared.gone.cancelled().await;
    let loss = shared.facts().loss.clone().unwrap_or_else(|| loss_of(error));
    TransportError::Closed {
        phase: Phase::Subsystem,
        loss,
    }
}
