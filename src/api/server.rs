//! The accept loop: REST and gRPC on one port, HTTP/1.1 and h2c told apart by their first bytes. Every connection is
//! counted, has a bound on how long it may say nothing, and ends politely when the gateway does (conventions D1).

use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use http::Request;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

/// The bytes with which an HTTP/2 connection begins; until they are there, its protocol is not known.
const PREFACE_BYTES: usize = 24;
/// Bytes that wait in a socket to be sent at most, so that a slow caller is noticed.
const UNSENT_BYTES: u32 = 128 * 1024;
const WRITE_BUFFER_BYTES: usize = 64 * 1024;
/// How long accepting pauses after the system refused a connection (no descriptors left).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Bounds of connections.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Connections open at a time; further ones wait in the backlog.
    pub connections: usize,
    /// For the head of a request, and for the first bytes of a connection.
    pub header_timeout: Duration,
    /// Requests in flight on one HTTP/2 connection.
    pub streams: u32,
    /// For what is in flight when the gateway ends.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 4096,
            header_timeout: Duration::from_secs(30),
            streams: 256,
            drain: Duration::from_secs(30),
        }
    }
}

/// The connection that a request came over, as handlers see it.
#[derive(Debug, Clone)]
pub struct Connection {
    pub peer: SocketAddr,
    /// Closes the connection at once.
    pub cut: CancellationToken,
}

/// Accepts until `shutdown`, then lets what is in flight end. While it drains, new connections are still answered
/// (by 503, which is the router's business), so that callers hear why. Returns when all connections are closed.
///
/// # Errors
/// None of a single connection ends the loop; only a listener that cannot be asked for its address is an error.
pub async fn run(
    listener: TcpListener,
    router: Router,
    limits: Limits,
    shutdown: CancellationToken,
) -> io::Result<()> {
    let address = listener.local_addr()?;
    tracing::info!(%address, "listening");
    let server = Server {
        builder: builder(&limits),
        router,
        slots: Arc::new(Semaphore::new(limits.connections)),
        limits,
        kill: CancellationToken::new(),
    };

    let in_flight = TaskTracker::new();
    tokio::select! {
        never = server.accept(&listener, &in_flight, Some(&shutdown)) => match never {},
        () = shutdown.cancelled() => {}
    }
    in_flight.close();

    let late = TaskTracker::new();
    tokio::select! {
        never = server.accept(&listener, &late, None) => match never {},
        () = in_flight.wait() => {}
        () = tokio::time::sleep(server.limits.drain) => {
            tracing::warn!(connections = in_flight.len(), "connections did not end in time and are cut");
        }
    }
    server.kill.cancel();
    late.close();
    in_flight.wait().await;
    late.wait().await;
    Ok(())
}

struct Server {
    builder: auto::Builder<TokioExecutor>,
    router: Router,
    slots: Arc<Semaphore>,
    limits: Limits,
    /// Ends all connections, whatever they do.
    kill: CancellationToken,
}

fn builder(limits: &Limits) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_buf_size(WRITE_BUFFER_BYTES);
    builder
        .http2()
        .timer(TokioTimer::new())
        // G2
        .keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(Duration::from_secs(10))
        .max_concurrent_streams(limits.streams)
        .max_send_buf_size(WRITE_BUFFER_BYTES)
        .max_header_list_size(32 * 1024);
    builder
}

impl Server {
    /// Accepts for ever. Connections close politely when `polite` is cancelled.
    async fn accept(
        &self,
        listener: &TcpListener,
        connections: &TaskTracker,
        polite: Option<&CancellationToken>,
    ) -> std::convert::Infallible {
        loop {
            let slot = Arc::clone(&self.slots).acquire_owned().await;
            let slot = slot.expect("the semaphore of connections is never closed");
            let (stream, peer) = match listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let task = self.connection(stream, peer, polite.cloned());
            connections.spawn(async move {
                task.await;
                drop(slot);
            });
        }
    }

    fn connection(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
        polite: Option<CancellationToken>,
    ) -> impl Future<Output = ()> + Send + 'static {
        let (builder, router) = (self.builder.clone(), self.router.clone());
        let (kill, header_timeout) = (self.kill.clone(), self.limits.header_timeout);
        async move {
            prepare(&stream);
            let progress = Arc::new(Progress::default());
            let cut = CancellationToken::new();
            let connection = Connection {
                peer,
                cut: cut.clone(),
            };
            let seen = Arc::clone(&progress);
            let service = router.map_request(move |mut request: Request<Incoming>| {
                seen.request.store(true, Ordering::Relaxed);
                request.extensions_mut().insert(connection.clone());
                request
            });
            let io = TokioIo::new(Counted {
                stream,
                progress: Arc::clone(&progress),
            });
            let mut served = pin!(builder.serve_connection(io, TowerToHyperService::new(service)));
            let mut first_bytes = pin!(tokio::time::sleep(header_timeout));
            let mut first_bytes_due = true;
            let mut polite = polite;
            loop {
                tokio::select! {
                    ended = served.as_mut() => {
                        if let Err(error) = ended {
                            tracing::debug!(%peer, %error, "a connection ended early");
                        }
                        return;
                    }
                    () = cancelled(polite.as_ref()) => {
                        served.as_mut().graceful_shutdown();
                        polite = None;
                    }
                    () = kill.cancelled() => return,
                    () = cut.cancelled() => return,
                    () = first_bytes.as_mut(), if first_bytes_due => {
                        first_bytes_due = false;
                        if progress.undecided() {
                            tracing::debug!(%peer, "a connection said nothing in time");
                            return;
                        }
                    }
                }
            }
        }
    }
}

/// Ready when the token is cancelled; never without one.
async fn cancelled(token: Option<&CancellationToken>) {
    match token {
        Some(token) => token.cancelled().await,
        None => std::future::pending().await,
    }
}

/// Small answers leave at once, and little waits unsent. Both only make things faster or fairer, so failure is no
/// reason to refuse the connection.
fn prepare(stream: &TcpStream) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "cannot set TCP_NODELAY");
    }
    #[cfg(target_os = "linux")]
    if let Err(error) = socket2::SockRef::from(stream).set_tcp_notsent_lowat(UNSENT_BYTES) {
        tracing::debug!(%error, "cannot set TCP_NOTSENT_LOWAT");
    }
}

/// How far a connection has come.
#[derive(Debug, Default)]
struct Progress {
    bytes_read: AtomicUsize,
    request: AtomicBool,
}

impl Progress {
    /// Whether it is not even known which protocol is spoken. hyper has a timeout for everything after that.
    fn undecided(&self) -> bool {
        !self.request.load(Ordering::Relaxed) && self.bytes_read.load(Ordering::Relaxed) < PREFACE_BYTES
    }
}

/// Counts the bytes that come in.
struct Counted {
    stream: TcpStream,
    progress: Arc<Progress>,
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        self.progress
            .bytes_read
            .fetch_add(buffer.filled().len() - before, Ordering::Relaxed);
        polled
    }
}

impl AsyncWrite for Counted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }
}
