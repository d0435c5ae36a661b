//! Accepts connections and owns every task of the device.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use russh::keys::{HashAlg, PrivateKey, PublicKey};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::WaitForCancellationFutureOwned;
use tokio_util::task::TaskTracker;

use super::carrier::{Carriage, carry};
use super::console::Console;
use super::device::{Device, SessionRecord};
use super::faults::{Faults, Point};
use super::session::Session;
use super::ssh::{Connection, Login};
use super::stats::{Open, Snapshot};

/// Connections at a time, at most; more wait in the listener's queue.
const CONNECTIONS: usize = 4096;

/// How the server behaves.
#[derive(Clone, Debug)]
pub(super) struct Options {
    pub message_bytes: usize,
    pub loses_request_with_hello: bool,
    pub stubborn_terminal: bool,
    pub subsystem: bool,
    pub motd: String,
    pub login_banner: Option<String>,
    pub forwards: bool,
}

/// What all connections share.
pub(super) struct Shared {
    pub device: Arc<Device>,
    pub logins: Vec<Login>,
    pub options: Options,
    pub sessions: Arc<Semaphore>,
    pub tasks: TaskTracker,
    pub ssh: Arc<russh::server::Config>,
}

/// A device that may be served over any stream, see [`super::Builder::build`].
#[derive(Clone)]
pub struct Emulator {
    pub(super) shared: Arc<Shared>,
    pub(super) host_key: PrivateKey,
}

impl Emulator {
    /// Serves SSH on one stream until it ends. A device that is down serves nothing.
    pub async fn serve_ssh<S>(&self, stream: S, from: &str)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let device = &self.shared.device;
        let Some(open) = accepted(device) else {
            return;
        };
        let stop = device.lines.connection();
        let handler = Connection::new(self.shared.clone(), stop.clone(), from.to_owned(), open);
        let stream = Guarded {
            stream,
            lost: Box::pin(stop.clone().cancelled_owned()),
        };
        // How a connection ends is the client's business; the statistics tell what matters of it.
        if let Ok(session) = russh::server::run_stream(self.shared.ssh.clone(), stream, handler).await {
            let _ = session.await;
        }
        stop.cancel();
    }

    /// Serves one NETCONF session of this user on a stream without SSH, until it ends. It goes on after the stream has
    /// ended where the device has a request to carry out still, see [`super::Fault::DropThenOperation`]; whoever drops
    /// the future takes that away, too.
    pub async fn serve_netconf<S>(&self, stream: S, user: &str, from: &str)
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let device = self.shared.device.clone();
        let Some(_open) = accepted(&device) else {
            return;
        };
        let Ok(_permit) = self.shared.sessions.try_acquire() else {
            return;
        };
        let record = SessionRecord {
            user: user.to_owned(),
            from: from.to_owned(),
            terminal: None,
            since: device.now(),
        };
        let carriage = Carriage {
            message_bytes: self.shared.options.message_bytes,
            loses_request_with_hello: self.shared.options.loses_request_with_hello,
            terminal: None,
            motd: String::new(),
        };
        let (line, stop) = (device.lines.connection(), device.lines.stop().clone());
        let (_, rest) = carry(stream, Session::new(device, record), carriage, line).await;
        if let Some(rest) = rest {
            rest.carry_out(stop).await;
        }
    }

    /// Listens and serves until [`RunningEmulator::stop`], or until the value is dropped.
    ///
    /// # Errors
    /// The address cannot be had.
    pub async fn listen(self, address: &str) -> io::Result<RunningEmulator> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let emulator = self.clone();
        let connections = Arc::new(Semaphore::new(CONNECTIONS));
        self.shared.tasks.spawn(async move {
            loop {
                let accepted = tokio::select! {
                    () = emulator.device().lines.stop().cancelled() => return,
                    accepted = accept(&listener, &connections) => accepted,
                };
                if let Some((stream, peer, permit)) = accepted {
                    let emulator = emulator.clone();
                    emulator.shared.tasks.clone().spawn(async move {
                        emulator.serve_ssh(stream, &peer.ip().to_string()).await;
                        drop(permit);
                    });
                }
            }
        });
        Ok(RunningEmulator {
            emulator: self,
            address,
        })
    }

    /// The device behind it.
    pub fn device(&self) -> &Arc<Device> {
        &self.shared.device
    }

    /// Somebody logs in at the device's CLI, to configure beside the NETCONF sessions.
    pub fn console(&self, user: &str) -> Console {
        Console::login(self.device(), user)
    }

    /// Ends everything it serves, and waits for the tasks of its own.
    pub async fn stop(&self) {
        self.device().lines.stop().cancel();
        self.shared.tasks.close();
        self.shared.tasks.wait().await;
    }
}

/// Counts a connection, unless the device is down or a fault refuses it.
fn accepted(device: &Device) -> Option<Open> {
    let open = device.stats.connection();
    let refused = !device.is_up() || !device.faults.strike(Point::Connection, None).is_empty();
    (!refused).then_some(open)
}

/// The next connection, as soon as there is room for one.
async fn accept(
    listener: &TcpListener,
    connections: &Arc<Semaphore>,
) -> Option<(
    tokio::net::TcpStream,
    SocketAddr,
    tokio::sync::OwnedSemaphorePermit,
)> {
    let permit = connections.clone().acquire_owned().await.ok()?;
    // A connection that breaks before it is accepted is no reason to stop.
    let (stream, peer) = listener.accept().await.ok()?;
    stream.set_nodelay(true).ok()?;
    Some((stream, peer, permit))
}

/// A device that listens. Dropping it ends everything it does; [`RunningEmulator::stop`] also waits for that.
pub struct RunningEmulator {
    emulator: Emulator,
    address: SocketAddr,
}

impl RunningEmulator {
    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.address
    }

    /// The host key as `SHA256:…`.
    pub fn host_key_fingerprint(&self) -> String {
        self.emulator
            .host_key
            .public_key()
            .fingerprint(HashAlg::Sha256)
            .to_string()
    }

    /// The host key, in its OpenSSH form (`ssh-ed25519 AAAA…`) by `to_openssh`.
    pub fn host_public_key(&self) -> &PublicKey {
        self.emulator.host_key.public_key()
    }

    /// What goes wrong; rules may be added and taken back at any time.
    pub fn faults(&self) -> &Faults {
        &self.emulator.shared.device.faults
    }

    /// What has happened.
    pub fn stats(&self) -> Snapshot {
        self.emulator.shared.device.stats.snapshot()
    }

    /// What serves it, to serve it over streams as well.
    pub fn emulator(&self) -> &Emulator {
        &self.emulator
    }

    /// The device, to change its configuration behind the clients' back, to take it down and to bring it up.
    pub fn device(&self) -> &Arc<Device> {
        &self.emulator.shared.device
    }

    /// Somebody logs in at the device's CLI, to configure beside the NETCONF sessions.
    pub fn console(&self, user: &str) -> Console {
        self.emulator.console(user)
    }

    /// Loses all connections that are open now, as if a cable were pulled. New ones are accepted.
    pub fn drop_connections(&self) {
        self.device().lines.drop_all();
    }

    /// Ends everything, and waits until it has ended.
    pub async fn stop(self) {
        self.emulator.stop().await;
    }
}

impl Drop for RunningEmulator {
    fn drop(&mut self) {
        self.device().lines.stop().cancel();
    }
}

/// A stream that breaks when it is told to, because the SSH library's task has no other end from outside.
struct Guarded<S> {
    stream: S,
    lost: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl<S> Guarded<S> {
    fn check(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        match self.lost.as_mut().poll(context) {
            Poll::Ready(()) => Err(io::ErrorKind::ConnectionReset.into()),
            Poll::Pending => Ok(()),
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Guarded<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.check(context)?;
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Guarded<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.check(context)?;
        Pin::new(&mut self.stream).poll_write(context, buffer)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check(context)?;
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests;
