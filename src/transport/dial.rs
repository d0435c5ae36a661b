//! Sockets. Everything above asks a [`Dialer`] for a byte stream, so a simulation can put its own network there.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use super::error::{Phase, TransportError};
use super::network::NetworkPolicy;

/// A boxed future that may move between threads; what makes the traits here usable as `dyn`.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A connected byte stream.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// A fresh connection and how long it took.
pub struct Dialed {
    pub stream: Box<dyn Stream>,
    /// The address that was dialled, where there is one.
    pub address: Option<SocketAddr>,
    pub resolve: Duration,
    pub tcp: Duration,
}

/// Opens connections.
pub trait Dialer: Send + Sync + 'static {
    /// Connects to `host` (a name or a literal address), within `limit` for each of resolving and connecting.
    ///
    /// # Errors
    /// `Resolve`, `AddressDenied`, `Refused`, `Unreachable`, `Timeout`.
    fn dial<'a>(
        &'a self,
        host: &'a str,
        port: u16,
        limit: Duration,
    ) -> BoxFuture<'a, Result<Dialed, TransportError>>;
}

/// Turns a name into addresses.
pub trait Resolve: Send + Sync + 'static {
    /// All addresses of `host`, in order of preference.
    fn resolve<'a>(&'a self, host: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>>;
}

/// The resolver of the operating system.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemResolver;

impl Resolve for SystemResolver {
    fn resolve<'a>(&'a self, host: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        Box::pin(async move {
            let found = tokio::net::lookup_host((host, 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        })
    }
}

/// How many addresses of one name are tried.
const MAX_CANDIDATES: usize = 8;
/// With the SSH keepalive (15 s x 3) this finds a dead peer also while data of ours is unacknowledged, when SSH
/// keepalives cannot be sent.
const USER_TIMEOUT: Duration = Duration::from_secs(60);

/// Real TCP, within the allowed networks (X8).
pub struct TcpDialer {
    policy: NetworkPolicy,
    resolver: Arc<dyn Resolve>,
}

impl TcpDialer {
    /// Dials what `policy` allows, resolving names with the operating system.
    pub fn new(policy: NetworkPolicy) -> Self {
        Self::with_resolver(policy, Arc::new(SystemResolver))
    }

    /// The same with another resolver.
    pub fn with_resolver(policy: NetworkPolicy, resolver: Arc<dyn Resolve>) -> Self {
        Self { policy, resolver }
    }

    /// The addresses to dial. The name is resolved once; what is returned was checked and is dialled as it is, so
    /// a name that changes its mind between check and use gains nothing.
    async fn candidates(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, TransportError> {
        let literal = host
            .trim_start_matches('[')
            .trim_end_matches(']')
            .parse::<IpAddr>();
        let addresses = match literal {
            Ok(address) => vec![address],
            // Decimal and octal spellings of an address are names to us: the resolver may take them, and what it
            // makes of them is checked like any other answer.
            Err(_) => self
                .resolver
                .resolve(host)
                .await
                .map_err(|source| TransportError::Resolve {
                    host: host.to_owned(),
                    source,
                })?,
        };
        if addresses.is_empty() {
            let source = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
            return Err(TransportError::Resolve {
                host: host.to_owned(),
                source,
            });
        }
        let mut allowed: Vec<SocketAddr> = Vec::new();
        for address in addresses
            .iter()
            .filter(|address| self.policy.allows(**address, port))
        {
            let address = SocketAddr::new(*address, port);
            if !allowed.contains(&address) && allowed.len() < MAX_CANDIDATES {
                allowed.push(address);
            }
        }
        if allowed.is_empty() {
            return Err(TransportError::AddressDenied {
                host: host.to_owned(),
                addresses,
                port,
            });
        }
        Ok(allowed)
    }

    async fn connect_any(
        candidates: &[SocketAddr],
        limit: Duration,
    ) -> Result<(TcpStream, SocketAddr), TransportError> {
        let end = Instant::now() + limit;
        let mut last = TransportError::Timeout {
            phase: Phase::Tcp,
            after: limit,
        };
        for (tried, address) in candidates.iter().enumerate() {
            // What is left is shared by the addresses that are left, so that a dead first one does not use it up.
            let left = end.saturating_duration_since(Instant::now());
            let share = left / u32::try_from(candidates.len() - tried).unwrap_or(u32::MAX);
            last = match timeout(share, TcpStream::connect(*address)).await {
                Ok(Ok(stream)) => return Ok((stream, *address)),
                Ok(Err(source)) if source.kind() == io::ErrorKind::ConnectionRefused => {
                    TransportError::Refused {
                        address: *address,
                        source,
                    }
                }
                Ok(Err(source)) => TransportError::Unreachable {
                    address: address.to_string(),
                    source,
                },
                Err(_) => TransportError::Timeout {
                    phase: Phase::Tcp,
                    after: limit,
                },
            };
        }
        Err(last)
    }
}

impl Dialer for TcpDialer {
    fn dial<'a>(
        &'a self,
        host: &'a str,
        port: u16,
        limit: Duration,
    ) -> BoxFuture<'a, Result<Dialed, TransportError>> {
        Box::pin(async move {
            let start = Instant::now();
            let candidates = timeout(limit, self.candidates(host, port)).await.map_err(|_| {
                TransportError::Timeout {
                    phase: Phase::Resolve,
                    after: limit,
                }
            })??;
            let resolve = start.elapsed();
            let start = Instant::now();
            let (stream, address) = Self::connect_any(&candidates, limit).await?;
            tune(&stream).map_err(|source| TransportError::Unreachable {
                address: address.to_string(),
                source,
            })?;
            Ok(Dialed {
                stream: Box::new(stream),
                address: Some(address),
                resolve,
                tcp: start.elapsed(),
            })
        })
    }
}

/// Nagle's algorithm off (left on it costs 40 ms per connect), keepalive on.
fn tune(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let socket = SockRef::from(stream);
    let keepalive = TcpKeepalive::new()
        .with_time(USER_TIMEOUT)
        .with_interval(Duration::from_secs(15));
    socket.set_tcp_keepalive(&keepalive)?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(USER_TIMEOUT))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    /// Nagle's algorithm left on costs 40 ms per connect.
    #[tokio::test]
    async fn sockets_have_no_delay_and_keepalives() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        assert!(!stream.nodelay().unwrap());
        tune(&stream).unwrap();
        assert!(stream.nodelay().unwrap());
        let socket = SockRef::from(&stream);
        assert!(socket.keepalive().unwrap());
        assert_eq!(socket.tcp_keepalive_interval().unwrap(), Duration::from_secs(15));
        #[cfg(target_os = "linux")]
        assert_eq!(socket.tcp_user_timeout().unwrap(), Some(USER_TIMEOUT));
    }

    /// Quality section 1 row 2: a listener whose queue is full drops what comes, as a black hole does.
    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn black_hole_times_out_and_leaves_time_for_the_next_address() {
        let full = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        full.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
        full.listen(0).unwrap();
        let hole = full.local_addr().unwrap().as_socket().unwrap();
        let limit = Duration::from_millis(300);
        let mut filling = Vec::new();
        let error = loop {
            match TcpDialer::connect_any(&[hole], limit).await {
                Ok(connected) => filling.push(connected),
                Err(error) => break error,
            }
        };
        match error {
            TransportError::Timeout {
                phase: Phase::Tcp,
                after,
            } => assert_eq!(after, limit),
            other => panic!("{other:?}"),
        }
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let alive = listener.local_addr().unwrap();
        let (_, address) = TcpDialer::connect_any(&[hole, alive], Duration::from_secs(2))
            .await
            .unwrap();
        assert_eq!(address, alive);
    }
}
