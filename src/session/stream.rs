//! The two ends of an authenticated byte stream, as a session needs them. An SSH channel of the transport is one;
//! any `AsyncRead` and `AsyncWrite` is another, which is what in-memory tests use.

use std::future::Future;
use std::io;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::transport::{Connection, Loss, NetconfReader, NetconfWriter, TransportError};

/// How much is read at once from a plain stream, in bytes.
const READ_SIZE: usize = 32 * 1024;
/// How long the server may take to say why it ended a channel, and to agree to the end of the connection.
const LAST_WORDS: Duration = Duration::from_millis(200);
const CLOSE_GRACE: Duration = Duration::from_secs(2);

/// What comes from the device.
pub trait Incoming: Send + 'static {
    /// The next bytes; `None` at the end of the stream.
    ///
    /// # Cancel safety
    /// Safe: nothing is lost when the future is dropped.
    fn next(&mut self) -> impl Future<Output = Result<Option<Bytes>, Loss>> + Send;

    /// After the end: what the server said of it. Bounded in time and size; empty if nothing.
    fn last_words(&mut self) -> impl Future<Output = String> + Send;
}

/// What goes to the device.
pub trait Outgoing: Send + 'static {
    /// Writes everything. Must run to its end.
    fn write(&mut self, bytes: Bytes) -> impl Future<Output = Result<(), Loss>> + Send;

    /// Ends channel and connection in an orderly way, in bounded time.
    fn close(self) -> impl Future<Output = ()> + Send;
}

impl Incoming for NetconfReader {
    async fn next(&mut self) -> Result<Option<Bytes>, Loss> {
        NetconfReader::next(self).await.map_err(loss)
    }

    async fn last_words(&mut self) -> String {
        let ending = self.ending(LAST_WORDS).await;
        let mut words = Vec::new();
        if let Some(status) = ending.exit_status.filter(|status| *status != 0) {
            words.push(format!("exit status {status}"));
        }
        if let Some(signal) = ending.exit_signal {
            words.push(format!("signal {signal}"));
        }
        if !ending.stderr.is_empty() {
            words.push(ending.stderr);
        }
        words.join(", ")
    }
}

/// The writing end of an SSH channel, with the connection that carries it.
pub struct SshOutgoing {
    writer: NetconfWriter,
    connection: Connection,
}

impl SshOutgoing {
    pub fn new(writer: NetconfWriter, connection: Connection) -> Self {
        Self { writer, connection }
    }
}

impl Outgoing for SshOutgoing {
    async fn write(&mut self, bytes: Bytes) -> Result<(), Loss> {
        self.writer.write(bytes).await.map_err(loss)
    }

    async fn close(self) {
        self.connection.close(CLOSE_GRACE).await;
    }
}

fn loss(error: TransportError) -> Loss {
    match error {
        TransportError::Lost(loss) | TransportError::Closed { loss, .. } => loss,
        other => Loss::Protocol { detail: other.to_string() },
    }
}

/// Reads any byte stream.
#[derive(Debug)]
pub struct PlainIncoming<R> {
    stream: R,
    buffer: BytesMut,
}

impl<R> PlainIncoming<R> {
    pub fn new(stream: R) -> Self {
        Self { stream, buffer: BytesMut::new() }
    }
}

impl<R: AsyncRead + Unpin + Send + 'static> Incoming for PlainIncoming<R> {
    async fn next(&mut self) -> Result<Option<Bytes>, Loss> {
        self.buffer.reserve(READ_SIZE);
        let count = self.stream.read_buf(&mut self.buffer).await.map_err(io_loss)?;
        Ok((count > 0).then(|| self.buffer.split().freeze()))
    }

    async fn last_words(&mut self) -> String {
        String::new()
    }
}

/// Writes any byte stream.
#[derive(Debug)]
pub struct PlainOutgoing<W> {
    stream: W,
}

impl<W> PlainOutgoing<W> {
    pub fn new(stream: W) -> Self {
        Self { stream }
    }
}

impl<W: AsyncWrite + Unpin + Send + 'static> Outgoing for PlainOutgoing<W> {
    async fn write(&mut self, bytes: Bytes) -> Result<(), Loss> {
        self.stream.write_all(&bytes).await.map_err(io_loss)?;
        self.stream.flush().await.map_err(io_loss)
    }

    async fn close(mut self) {
        // A stream that cannot be shut down is closed already.
        let _ = tokio::time::timeout(CLOSE_GRACE, self.stream.shutdown()).await;
    }
}

fn io_loss(error: io::Error) -> Loss {
    Loss::Io { kind: error.kind(), detail: error.to_string() }
}
