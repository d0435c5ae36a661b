//! The stream below SSH, with a switch that ends it. The SSH library runs its connection in a task of its own that
//! outlives a cancelled connect and may wait on the peer for ever; with the switch, dropping our side always ends
//! that task and frees the socket.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::dial::Stream;

type Cut = Pin<Box<WaitForCancellationFutureOwned>>;

/// A stream that fails with `ConnectionAborted` once the token is cancelled, in both directions and at once.
pub(super) struct Link {
    inner: Box<dyn Stream>,
    token: CancellationToken,
    // One for each direction: a future remembers only the task that polled it last.
    read_cut: Cut,
    write_cut: Cut,
}

impl Link {
    pub(super) fn new(inner: Box<dyn Stream>, token: &CancellationToken) -> Self {
        let cut = || Box::pin(token.clone().cancelled_owned());
        Self {
            inner,
            token: token.clone(),
            read_cut: cut(),
            write_cut: cut(),
        }
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
        if let Poll::Ready(done) = Pin::new(&mut this.inner).poll_read(cx, buf) {
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
        if let Poll::Ready(done) = Pin::new(&mut this.inner).poll_write(cx, buf) {
            return Poll::Ready(done);
        }
        ready!(this.write_cut.as_mut().poll(cx));
        aborted()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if let Poll::Ready(done) = Pin::new(&mut this.inner).poll_flush(cx) {
            return Poll::Ready(done);
        }
        ready!(this.write_cut.as_mut().poll(cx));
        aborted()
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        // A failed shutdown of a dead socket must not hide from the library why the connection ended, so it
        // counts as done.
        if this.token.is_cancelled() || Pin::new(&mut this.inner).poll_shutdown(cx).is_ready() {
            return Poll::Ready(Ok(()));
        }
        ready!(this.write_cut.as_mut().poll(cx));
        Poll::Ready(Ok(()))
    }
}
