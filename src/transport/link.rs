//! The stream below SSH. It adds three things that the SSH library's task, which owns the stream, cannot do by
//! itself:
//!
//! - A switch. The task outlives a cancelled connect and may wait on the peer for ever; with the switch, dropping
//!   our side always ends the task and frees the socket.
//! - Writing that does not stop reading. The task does not read while the socket takes no bytes, so two ends that
//!   both have much to say would wait for each other, and no keepalive would find it. What the socket does not
//!   take is kept here, up to a bound, and goes out as the task goes on reading.
//! - Reading ahead. The task reads a packet's length and then the packet, and asks once more before it waits: three
//!   system calls for a short reply, of which one is enough.

use std::collections::VecDeque;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::dial::Stream;

/// Bytes kept for a socket that takes none. Above the windows that servers give (2 MiB is common), which bound
/// what can be under way; a server that gives more gets it at the pace at which it reads.
const MAX_UNSENT: usize = 4 << 20;

/// Bytes asked of the stream at least.
const READ_AHEAD: usize = 16 << 10;

type Cut = Pin<Box<WaitForCancellationFutureOwned>>;

/// A stream that fails with `ConnectionAborted` once the token is cancelled, in both directions and at once.
pub(super) struct Link {
    inner: Box<dyn Stream>,
    token: CancellationToken,
    // One for each direction: a future remembers only the task that polled it last.
    read_cut: Cut,
    write_cut: Cut,
    unsent: VecDeque<u8>,
    /// What was read and not yet asked for; all of it goes out before the stream is read again.
    ahead: Vec<u8>,
    /// How much of `ahead` went out already.
    taken: usize,
}

impl Link {
    pub(super) fn new(inner: Box<dyn Stream>, token: &CancellationToken) -> Self {
        let cut = || Box::pin(token.clone().cancelled_owned());
        Self {
            inner,
            token: token.clone(),
            read_cut: cut(),
            write_cut: cut(),
            unsent: VecDeque::new(),
            ahead: Vec::new(),
            taken: 0,
        }
    }

    /// Reads from the stream, more than fits into `buf` if that is little.
    fn read_ahead(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if buf.remaining() >= READ_AHEAD || buf.remaining() == 0 {
            return Pin::new(&mut self.inner).poll_read(cx, buf);
        }
        let mut space = [MaybeUninit::uninit(); READ_AHEAD];
        let mut read = ReadBuf::uninit(&mut space);
        ready!(Pin::new(&mut self.inner).poll_read(cx, &mut read))?;
        let (now, later) = read.filled().split_at(read.filled().len().min(buf.remaining()));
        buf.put_slice(now);
        self.ahead.extend_from_slice(later);
        Poll::Ready(Ok(()))
    }

    /// Takes of what was read ahead as much as fits into `buf`.
    fn take_ahead(&mut self, buf: &mut ReadBuf<'_>) {
        let left = &self.ahead[self.taken..];
        let now = &left[..left.len().min(buf.remaining())];
        buf.put_slice(now);
        self.taken += now.len();
        if self.taken == self.ahead.len() {
            // A connection is idle most of its life; nothing is kept for that time.
            self.ahead = Vec::new();
            self.taken = 0;
        }
    }

    /// Sends of what is kept as much as the socket takes. Ready when nothing is left.
    fn send_kept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.unsent.is_empty() {
            let (front, _) = self.unsent.as_slices();
            let sent = ready!(Pin::new(&mut self.inner).poll_write(cx, front))?;
            if sent == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.unsent.drain(..sent);
            if self.unsent.is_empty() {
                // A connection is idle most of its life; the room is for the rare moment.
                self.unsent = VecDeque::new();
                ready!(Pin::new(&mut self.inner).poll_flush(cx))?;
            }
        }
        Poll::Ready(Ok(()))
    }
}

fn aborted<T>() -> Poll<io::Result<T>> {
    Poll::Ready(Err(io::Error::new(
        io::ErrorKind::ConnectionAborted,
        "the connection was dropped on this side",
    )))
}

impl AsyncRead for Link {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        // Asked first as well, or a peer that never stops sending would keep the task alive.
        if this.token.is_cancelled() {
            return aborted();
        }
        if let Poll::Ready(Err(error)) = this.send_kept(cx) {
            return Poll::Ready(Err(error));
        }
        if !this.ahead.is_empty() {
            this.take_ahead(buf);
            return Poll::Ready(Ok(()));
        }
        if let Poll::Ready(done) = this.read_ahead(cx, buf) {
            return Poll::Ready(done);
        }
        ready!(this.read_cut.as_mut().poll(cx));
        aborted()
    }
}

impl AsyncWrite for Link {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.token.is_cancelled() {
            return aborted();
        }
        if this.send_kept(cx)?.is_ready()
            && let Poll::Ready(done) = Pin::new(&mut this.inner).poll_write(cx, buf)
        {
            return Poll::Ready(done);
        }
        let room = MAX_UNSENT - this.unsent.len();
        if room > 0 {
            let taken = buf.len().min(room);
            this.unsent.extend(&buf[..taken]);
            return Poll::Ready(Ok(taken));
        }
        ready!(this.write_cut.as_mut().poll(cx));
        aborted()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.token.is_cancelled() {
            return aborted();
        }
        // What is kept goes out with the reads: waiting for it here is what must not happen.
        if this.send_kept(cx)?.is_ready() {
            // A socket has nothing to flush; a stream that has goes on with the next call.
            let _ = Pin::new(&mut this.inner).poll_flush(cx)?;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.token.is_cancelled() {
            return Poll::Ready(Ok(()));
        }
        // One try: who ends a connection to a dead peer must not wait for it to read. A failed shutdown of a dead
        // socket counts as done, as it must not hide from the library why the connection ended.
        let kept = this.send_kept(cx);
        if matches!(kept, Poll::Ready(Err(_))) || Pin::new(&mut this.inner).poll_shutdown(cx).is_ready() {
            return Poll::Ready(Ok(()));
        }
        ready!(this.write_cut.as_mut().poll(cx));
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex, split};
    use tokio::time::timeout;

    use super::*;

    fn link(buffer: usize) -> (Link, DuplexStream, CancellationToken) {
        let (ours, theirs) = duplex(buffer);
        let token = CancellationToken::new();
        (Link::new(Box::new(ours), &token), theirs, token)
    }

    /// A peer that reads nothing holds up nobody until the bound, and gets everything in order when it reads.
    #[tokio::test(start_paused = true)]
    async fn unsent_bytes_go_out_with_the_reads() {
        let (link, mut peer, _token) = link(1000);
        let (mut reader, mut writer) = split(link);
        let bytes: Vec<u8> = (0..200_000u32).map(|i| i as u8).collect();
        writer.write_all(&bytes).await.unwrap();
        writer.flush().await.unwrap();
        let reading = tokio::spawn(async move { reader.read_u8().await });
        let mut got = vec![0; bytes.len()];
        peer.read_exact(&mut got).await.unwrap();
        assert!(got == bytes);
        peer.write_u8(7).await.unwrap();
        assert_eq!(reading.await.unwrap().unwrap(), 7);
    }

    /// However little is asked for at once, bytes come in order, none twice, and the end comes behind the last.
    #[tokio::test]
    async fn bytes_read_ahead_come_in_order() {
        let (mut link, mut peer, _token) = link(1 << 20);
        let bytes: Vec<u8> = (0..100_000u32).map(|i| (i * 7 % 251) as u8).collect();
        peer.write_all(&bytes).await.unwrap();
        drop(peer);
        let mut got = Vec::new();
        for size in [4, 1, 30_000, 16, READ_AHEAD, 5, 40_000].into_iter().cycle() {
            let mut piece = vec![0; size];
            let count = link.read(&mut piece).await.unwrap();
            got.extend_from_slice(&piece[..count]);
            if count == 0 {
                break;
            }
        }
        assert!(got == bytes);
    }

    #[tokio::test(start_paused = true)]
    async fn unsent_bytes_are_bounded() {
        let (link, _peer, token) = link(1000);
        let (_reader, mut writer) = split(link);
        let mut written = 0;
        let chunk = vec![0; 64 << 10];
        while let Ok(done) = timeout(Duration::from_secs(1), writer.write(&chunk)).await {
            written += done.unwrap();
        }
        assert_eq!(written, MAX_UNSENT + 1000);
        token.cancel();
        assert_eq!(
            writer.write(&chunk).await.unwrap_err().kind(),
            io::ErrorKind::ConnectionAborted
        );
    }

    #[tokio::test(start_paused = true)]
    async fn switch_wakes_a_waiting_reader_and_writer() {
        let (link, _peer, token) = link(10);
        let (mut reader, mut writer) = split(link);
        let reading = tokio::spawn(async move { reader.read_u8().await });
        let writing = tokio::spawn(async move { writer.write_all(&vec![0; 2 * MAX_UNSENT]).await });
        // Both tasks run until they wait before the timer of a paused clock can fire.
        tokio::time::advance(Duration::from_secs(1)).await;
        token.cancel();
        assert_eq!(
            reading.await.unwrap().unwrap_err().kind(),
            io::ErrorKind::ConnectionAborted
        );
        assert_eq!(
            writing.await.unwrap().unwrap_err().kind(),
            io::ErrorKind::ConnectionAborted
        );
    }
}
