//! The two ends of an authenticated byte stream, as the session needs them. The transport's SSH channel is one;
//! any `AsyncRead` and `AsyncWrite` is another, which is what in-memory tests use.

use std::future::Future;
use std::io;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// How much is read at once from a plain stream, in bytes.
const READ_SIZE: usize = 32 * 1024;

/// What comes from the device.
pub trait Incoming: Send + 'static {
    /// The next bytes; `None` at the end of the stream. Cancel safe: nothing is lost when the future is dropped.
    fn next(&mut self) -> impl Future<Output = io::Result<Option<Bytes>>> + Send;
}

/// What goes to the device.
pub trait Outgoing: Send + 'static {
    /// Writes everything and flushes it.
    fn write(&mut self, bytes: Bytes) -> impl Future<Output = io::Result<()>> + Send;

    /// Says that nothing more comes and closes the channel and its connection.
    fn close(&mut self) -> impl Future<Output = io::Result<()>> + Send;
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
    async fn next(&mut self) -> io::Result<Option<Bytes>> {
        self.buffer.reserve(READ_SIZE);
        let count = self.stream.read_buf(&mut self.buffer).await?;
        Ok((count > 0).then(|| self.buffer.split().freeze()))
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
    async fn write(&mut self, bytes: Bytes) -> io::Result<()> {
        self.stream.write_all(&bytes).await?;
        self.stream.flush().await
    }

    async fn close(&mut self) -> io::Result<()> {
        self.stream.shutdown().await
    }
}
