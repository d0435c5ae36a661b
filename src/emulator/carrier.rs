//! Carries one session over a byte stream: framing, pacing, and the faults that concern bytes.

use std::collections::VecDeque;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::gate::Until;
use super::pty::Terminal;
use super::session::{Body, Outgoing, Session, Step, Work};
use crate::netconf::framing::{Decoder, Frame, Framing, MARKER};

/// Bytes read at once, at most.
const READ: usize = 4096;
/// Bytes of a chunk, at most.
const CHUNK: usize = 16 * 1024;
/// Bytes that may wait while a reply is delayed.
const BACKLOG: usize = 1 << 20;

/// How the carrier behaves.
#[derive(Clone, Debug)]
pub struct Carriage {
    /// Largest message of a client, in bytes.
    pub message_bytes: usize,
    /// Lose what came in the same read as the client's hello.
    pub loses_request_with_hello: bool,
    /// The terminal, where there is one.
    pub terminal: Option<Terminal>,
    /// What is shown before the hello.
    pub motd: String,
}

/// How a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// In good order, or the peer went away: close the channel.
    Closed,
    /// The connection is to be lost.
    Dropped,
}

/// What a session still has to do when its connection is gone.
#[must_use = "the device does it all the same"]
pub struct Rest {
    session: Session,
    until: Until,
    work: Work,
}

impl Rest {
    /// Does it, unless the session is killed or the device ends.
    pub async fn carry_out(self, stop: CancellationToken) {
        let Self {
            mut session,
            mut until,
            mut work,
        } = self;
        let killed = session.killed();
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = killed.cancelled() => return,
                () = until.wait() => {}
            }
            let mut steps = session.carry_out(work).into_iter();
            let again = steps.find_map(|step| {
                if let Step::Work { until, work, .. } = step {
                    Some((until, work))
                } else {
                    None
                }
            });
            match again {
                Some(again) => (until, work) = again,
                // The reply has nowhere to go.
                None => return,
            }
        }
    }
}

/// Carries the session until its connection ends, and hands back what it has to do still.
pub async fn carry<S>(
    stream: S,
    session: Session,
    carriage: Carriage,
    stop: CancellationToken,
) -> (End, Option<Rest>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut carrier = Carrier {
        stream,
        killed: session.killed(),
        session,
        carriage,
        stop,
        decoder: Decoder::new(),
        framing: Framing::EndOfMessage,
        message: Vec::new(),
        pending: Vec::new(),
        ended: false,
    };
    let (end, rest) = match carrier.run().await {
        Ok(()) | Err(Stop::Ended(End::Closed)) => (End::Closed, None),
        Err(Stop::Ended(End::Dropped)) => (End::Dropped, None),
        Err(Stop::Left(end, until, work)) => (end, Some((until, work))),
    };
    if end == End::Closed {
        // A peer that is gone already cannot be told.
        let _ = carrier.stream.shutdown().await;
    }
    let session = carrier.session;
    let rest = rest.map(|(until, work)| Rest { session, until, work });
    (end, rest)
}

/// Why the carrier stops.
enum Stop {
    Ended(End),
    /// The connection ends like this, and there is something left to do.
    Left(End, Until, Work),
}

impl Stop {
    const CLOSED: Self = Self::Ended(End::Closed);
    const DROPPED: Self = Self::Ended(End::Dropped);
}

/// Why a wait was cut short.
enum Cut {
    /// The connection is gone, one way or the other.
    Disconnected,
    /// Somebody killed the session.
    Killed,
}

struct Carrier<S> {
    stream: S,
    session: Session,
    carriage: Carriage,
    stop: CancellationToken,
    killed: CancellationToken,
    decoder: Decoder,
    framing: Framing,
    /// What came of the present message.
    message: Vec<u8>,
    /// What was read and not looked at.
    pending: Vec<u8>,
    /// The peer sends nothing more.
    ended: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Carrier<S> {
    async fn run(&mut self) -> Result<(), Stop> {
        let motd = std::mem::take(&mut self.carriage.motd);
        self.write(motd.as_bytes()).await?;
        let steps = self.session.open();
        self.perform(steps).await?;
        loop {
            let input = std::mem::take(&mut self.pending);
            self.take(&input).await?;
            if self.pending.is_empty() {
                if self.ended {
                    return Ok(());
                }
                self.read().await?;
            }
        }
    }

    /// Reads once.
    async fn read(&mut self) -> Result<(), Stop> {
        let mut buffer = [0; READ];
        let read = tokio::select! {
            () = self.stop.cancelled() => return Err(Stop::CLOSED),
            () = self.killed.cancelled() => return Err(Stop::DROPPED),
            read = self.stream.read(&mut buffer) => read,
        };
        match read {
            Ok(0) | Err(_) => self.ended = true,
            Ok(count) => self.typed(&buffer[..count]).await?,
        }
        Ok(())
    }

    /// Takes bytes that came, through the terminal where there is one.
    async fn typed(&mut self, bytes: &[u8]) -> Result<(), Stop> {
        match &mut self.carriage.terminal {
            None => self.pending.extend_from_slice(bytes),
            Some(terminal) => {
                let typed = terminal.input(bytes);
                self.pending.extend_from_slice(&typed.input);
                self.ended |= typed.end;
                self.write_through(&typed.echo).await?;
            }
        }
        Ok(())
    }

    /// Handles what one read brought.
    async fn take(&mut self, mut input: &[u8]) -> Result<(), Stop> {
        while let Some(frame) = self.decoder.decode(&mut input).map_err(|_| Stop::CLOSED)? {
            match frame {
                Frame::Data(data) => {
                    if self.message.len() + data.len() > self.carriage.message_bytes {
                        return Err(Stop::CLOSED);
                    }
                    self.message.extend_from_slice(data);
                }
                Frame::End => {
                    let message = std::mem::take(&mut self.message);
                    let hello = self.session.awaits_hello();
                    let steps = self.session.message(&message);
                    self.perform(steps).await?;
                    if hello && self.carriage.loses_request_with_hello {
                        return Ok(());
                    }
                }
            }
        }
        Ok(())
    }

    async fn perform(&mut self, steps: Vec<Step>) -> Result<(), Stop> {
        let mut steps = VecDeque::from(steps);
        while let Some(step) = steps.pop_front() {
            match step {
                Step::Message(outgoing) => self.send(outgoing).await?,
                Step::Raw(bytes) => self.write(&bytes).await?,
                Step::Wait(until) => self.pause(&until).await?,
                Step::Work { until, drops, work } => {
                    if drops {
                        return Err(Stop::Left(End::Dropped, until, work));
                    }
                    let begin = Instant::now();
                    match self.wait(&until).await {
                        Ok(()) => {}
                        Err(Cut::Disconnected) => {
                            return Err(Stop::Left(End::Closed, until.after(begin.elapsed()), work));
                        }
                        Err(Cut::Killed) => return Err(Stop::DROPPED),
                    }
                    for next in self.session.carry_out(work).into_iter().rev() {
                        steps.push_front(next);
                    }
                }
                Step::Framing(framing) => {
                    self.framing = framing;
                    self.decoder.set_framing(framing);
                }
                Step::Close => return Err(Stop::CLOSED),
                Step::Drop => return Err(Stop::DROPPED),
            }
        }
        Ok(())
    }

    /// Does nothing for a while; a connection that is lost meanwhile is the end.
    async fn pause(&mut self, until: &Until) -> Result<(), Stop> {
        self.wait(until).await.map_err(|cut| match cut {
            Cut::Disconnected => Stop::CLOSED,
            Cut::Killed => Stop::DROPPED,
        })
    }

    /// Does nothing for a while, but sees the peer go away.
    async fn wait(&mut self, until: &Until) -> Result<(), Cut> {
        let waiting = until.wait();
        tokio::pin!(waiting);
        let mut buffer = [0; READ];
        loop {
            let listen = !self.ended && self.pending.len() < BACKLOG;
            let read = tokio::select! {
                () = self.stop.cancelled() => return Err(Cut::Disconnected),
                () = self.killed.cancelled() => return Err(Cut::Killed),
                () = &mut waiting => return Ok(()),
                read = self.stream.read(&mut buffer), if listen => read,
            };
            match read {
                Ok(0) | Err(_) => return Err(Cut::Disconnected),
                Ok(count) => {
                    if self.typed(&buffer[..count]).await.is_err() {
                        return Err(Cut::Disconnected);
                    }
                }
            }
        }
    }

    async fn send(&mut self, mut outgoing: Outgoing) -> Result<(), Stop> {
        let mut sent = 0;
        let mut body = std::mem::replace(&mut outgoing.body, Body::Whole(Vec::new()));
        match &mut body {
            Body::Whole(bytes) => {
                for piece in bytes.chunks(CHUNK) {
                    self.send_piece(piece, &outgoing, &mut sent).await?;
                }
            }
            Body::Huge(huge) => {
                while let Some(piece) = huge.piece() {
                    self.send_piece(&piece, &outgoing, &mut sent).await?;
                }
            }
        }
        let end: &[u8] = match (self.framing, outgoing.bad_frame) {
            // A server with one framing for ever ends its lines; before chunks nothing may stand.
            (Framing::EndOfMessage, false) if self.session.ends_lines() => b"]]>]]>\n",
            (Framing::EndOfMessage, false) => MARKER,
            (Framing::EndOfMessage, true) => b"]]>]]",
            (Framing::Chunked, _) => b"\n##\n",
        };
        self.send_bytes(end, &outgoing, &mut sent).await?;
        self.stream.flush().await.map_err(|_| Stop::CLOSED)
    }

    async fn send_piece(&mut self, piece: &[u8], outgoing: &Outgoing, sent: &mut u64) -> Result<(), Stop> {
        if self.framing == Framing::Chunked {
            let size = if outgoing.bad_frame {
                "x".to_owned()
            } else {
                piece.len().to_string()
            };
            self.send_bytes(format!("\n#{size}\n").as_bytes(), outgoing, sent)
                .await?;
        }
        self.send_bytes(piece, outgoing, sent).await
    }

    /// Sends part of a message, as slowly and as far as it is to go.
    async fn send_bytes(&mut self, bytes: &[u8], outgoing: &Outgoing, sent: &mut u64) -> Result<(), Stop> {
        let left = outgoing
            .cut_after
            .map_or(u64::MAX, |limit| limit.saturating_sub(*sent));
        let bytes = &bytes[..bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX))];
        match outgoing.trickle {
            None => self.write(bytes).await?,
            Some((size, pause)) => {
                for piece in bytes.chunks(size.max(1)) {
                    self.write(piece).await?;
                    self.stream.flush().await.map_err(|_| Stop::CLOSED)?;
                    self.pause(&Until::Passed(pause)).await?;
                }
            }
        }
        *sent += bytes.len() as u64;
        if outgoing.cut_after.is_some_and(|limit| *sent >= limit) {
            // What was written must arrive before the connection is lost.
            self.stream.flush().await.map_err(|_| Stop::CLOSED)?;
            return Err(Stop::DROPPED);
        }
        Ok(())
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), Stop> {
        match &self.carriage.terminal {
            None => self.write_through(bytes).await,
            Some(terminal) => {
                let shown = terminal.output(bytes);
                self.write_through(&shown).await
            }
        }
    }

    async fn write_through(&mut self, bytes: &[u8]) -> Result<(), Stop> {
        if bytes.is_empty() {
            return Ok(());
        }
        tokio::select! {
            () = self.stop.cancelled() => Err(Stop::CLOSED),
            () = self.killed.cancelled() => Err(Stop::DROPPED),
            written = self.stream.write_all(bytes) => written.map_err(|_| Stop::CLOSED),
        }
    }
}

#[cfg(test)]
mod tests;
