//! Connections of the simulated network that can be cut, and the two ways in which sessions come over them.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use ncgate::device::{ConnectError, Connector, Connectors, Learned, Link, Opened, OverSsh, Stage};
use ncgate::session::stream::{PlainIncoming, PlainOutgoing};
use ncgate::session::{self};
use ncgate::transport::{BoxFuture, Dialed, Dialer, Phase, SshTarget, TransportError};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use turmoil::net::TcpStream;

use super::trace::Trace;

/// How long a connect may take.
const CONNECT: Duration = Duration::from_secs(10);

/// The open connections of one device, to be broken at either end.
#[derive(Clone, Default)]
pub struct Wires(Arc<Mutex<Tokens>>);

#[derive(Default)]
struct Tokens {
    gateway: CancellationToken,
    device: CancellationToken,
}

/// Who notices that a connection is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Gateway,
    Device,
}

impl Wires {
    fn token(&self, end: End) -> CancellationToken {
        let tokens = self.0.lock().expect("no panic under the lock");
        match end {
            End::Gateway => tokens.gateway.clone(),
            End::Device => tokens.device.clone(),
        }
    }

    /// Breaks the connections that are open now, as this end sees it.
    pub fn cut(&self, end: End) {
        let mut tokens = self.0.lock().expect("no panic under the lock");
        let token = match end {
            End::Gateway => &mut tokens.gateway,
            End::Device => &mut tokens.device,
        };
        std::mem::take(token).cancel();
    }

    /// One end of a connection.
    pub fn stream(&self, stream: TcpStream, end: End, told: Option<Told>) -> Wire {
        Wire {
            stream,
            lost: Box::pin(self.token(end).cancelled_owned()),
            told,
        }
    }
}

/// Who writes down what passes.
#[derive(Clone)]
pub struct Told {
    pub trace: Trace,
    pub device: String,
}

impl Told {
    fn bytes(&self, way: &str, bytes: &[u8]) {
        /// More of a message is nothing that one would read.
        const SHOWN: usize = 400;
        let text = String::from_utf8_lossy(bytes).replace(['\n', '\r'], " ");
        let shown: String = text.chars().take(SHOWN).collect();
        let more = if text.len() > shown.len() { "…" } else { "" };
        let sum = bytes.iter().fold(0u32, |sum, byte| {
            sum.wrapping_mul(31).wrapping_add((*byte).into())
        });
        self.trace.line(
            &self.device,
            format!("{way} {} {sum:08x} {shown}{more}", bytes.len()),
        );
    }
}

/// A stream that breaks when it is told to.
pub struct Wire {
    stream: TcpStream,
    lost: Pin<Box<WaitForCancellationFutureOwned>>,
    told: Option<Told>,
}

impl Wire {
    fn check(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        match self.lost.as_mut().poll(context) {
            Poll::Ready(()) => Err(io::ErrorKind::ConnectionReset.into()),
            Poll::Pending => Ok(()),
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.check(context)?;
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        if let (Poll::Ready(Ok(())), Some(told)) = (&read, &self.told) {
            told.bytes("<", &buffer.filled()[before..]);
        }
        read
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.check(context)?;
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        if let (Poll::Ready(Ok(count)), Some(told)) = (&written, &self.told) {
            told.bytes(">", &bytes[..*count]);
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check(context)?;
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// The network as the gateway sees it: each device's wires by address.
#[derive(Clone)]
pub struct Network {
    pub devices: Arc<Vec<(String, String, Wires)>>,
    pub trace: Trace,
}

impl Network {
    async fn dial(&self, host: &str, port: u16, readable: bool) -> Result<Wire, TransportError> {
        let unreachable = |source| TransportError::Unreachable {
            address: host.to_owned(),
            source,
        };
        let found = self.devices.iter().find(|(_, address, _)| address == host);
        let (name, _, wires) = found.ok_or_else(|| unreachable(io::ErrorKind::NotFound.into()))?;
        // Taken before, so that a cut counts for a connection that is being made.
        let token = wires.token(End::Gateway);
        let connect = TcpStream::connect((host, port));
        let stream = match tokio::time::timeout(CONNECT, connect).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(source)) => return Err(unreachable(source)),
            Err(_) => {
                return Err(TransportError::Timeout {
                    phase: Phase::Tcp,
                    after: CONNECT,
                });
            }
        };
        let told = readable.then(|| Told {
            trace: self.trace.clone(),
            device: name.clone(),
        });
        Ok(Wire {
            stream,
            lost: Box::pin(token.cancelled_owned()),
            told,
        })
    }
}

impl Dialer for Network {
    fn dial<'a>(
        &'a self,
        host: &'a str,
        port: u16,
        _: Duration,
    ) -> BoxFuture<'a, Result<Dialed, TransportError>> {
        Box::pin(async move {
            let stream = Network::dial(self, host, port, false).await?;
            Ok(Dialed {
                stream: Box::new(stream),
                address: None,
                resolve: Duration::ZERO,
                tcp: Duration::ZERO,
            })
        })
    }
}

/// Sessions without SSH.
pub struct Plain(pub Network);

struct PlainConnector {
    network: Network,
    address: String,
    port: u16,
}

impl Connectors for Plain {
    fn connector(&self, target: SshTarget, _: Learned) -> Arc<dyn Connector> {
        Arc::new(PlainConnector {
            network: self.0.clone(),
            address: target.host.address.clone(),
            port: target.host.port,
        })
    }
}

impl Connector for PlainConnector {
    fn connect<'a>(
        &'a self,
        mut config: session::Config,
        stage: &'a Stage,
    ) -> BoxFuture<'a, Result<Opened, ConnectError>> {
        Box::pin(async move {
            stage.enter("tcp");
            let stream = self.network.dial(&self.address, self.port, true).await;
            let stream = stream.map_err(ConnectError::Transport)?;
            let (reader, writer) = tokio::io::split(stream);
            config.hello_timeout = CONNECT;
            stage.enter("hello");
            let opened = session::open(PlainIncoming::new(reader), PlainOutgoing::new(writer), config).await;
            let (handle, actor) = opened.map_err(ConnectError::Hello)?;
            Ok(Opened {
                handle,
                run: Box::pin(actor.run()),
                link: Link::default(),
            })
        })
    }
}

/// How the gateway reaches its devices.
pub fn connectors(network: Network, via_ssh: bool) -> Arc<dyn Connectors> {
    if via_ssh {
        Arc::new(OverSsh(Arc::new(network)))
    } else {
        Arc::new(Plain(network))
    }
}
