//! A TCP proxy in front of an emulated device, for the faults of a network. Faults inside SSH are the emulator's.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What the network does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Network {
    /// Everything arrives.
    Up,
    /// New connections are reset at once; those that are open stay as they are.
    ResetsNew,
    /// The next bytes that the device sends never arrive, their connection is reset, and all is well again.
    ResetsNextReply,
    /// Nothing arrives any more on any connection, and nobody is told.
    Swallows,
    /// What the gateway sends does not arrive any more; what the device sends does.
    SwallowsRequests,
    /// What the device sends arrives byte by byte, with this pause after each.
    Drips(Duration),
}

/// A running proxy. Dropping it ends everything it does.
pub struct Proxy {
    address: SocketAddr,
    network: watch::Sender<Network>,
    accepted: Arc<AtomicU64>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    /// In front of `device`, on a free port of loopback.
    pub async fn before(device: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let network = watch::Sender::new(Network::Up);
        let accepted = Arc::new(AtomicU64::new(0));
        let (of_task, count) = (network.clone(), Arc::clone(&accepted));
        let accepting = tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(carry(near, device, of_task.clone()));
            }
        });
        Self {
            address,
            network,
            accepted,
            accepting,
        }
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// From now on.
    pub fn set(&self, network: Network) {
        self.network.send_replace(network);
    }

    /// Connections accepted so far.
    pub fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn carry(near: TcpStream, device: SocketAddr, network: watch::Sender<Network>) {
    if *network.borrow() == Network::ResetsNew {
        return reset(&near);
    }
    let Ok(far) = TcpStream::connect(device).await else {
        return;
    };
    for stream in [&near, &far] {
        stream.set_nodelay(true).expect("a socket option");
    }
    // Reset by whoever drops it last, unless it ends by itself.
    let (near_read, near_write) = near.into_split();
    let (far_read, far_write) = far.into_split();
    tokio::select! {
        () = up(near_read, far_write, &network) => {}
        near_write = down(far_read, near_write, &network) => reset(near_write.as_ref()),
    }
}

/// Closing sends RST in place of FIN.
fn reset(stream: &TcpStream) {
    socket2::SockRef::from(stream)
        .set_linger(Some(Duration::ZERO))
        .expect("a socket option");
}

/// From the gateway to the device.
async fn up(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, network: &watch::Sender<Network>) {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let Ok(read @ 1..) = from.read(&mut buffer).await else {
            return;
        };
        if matches!(*network.borrow(), Network::Swallows | Network::SwallowsRequests) {
            continue;
        }
        if to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}

/// From the device to the gateway. Returns when the connection is to be reset.
async fn down(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    network: &watch::Sender<Network>,
) -> OwnedWriteHalf {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let Ok(read @ 1..) = from.read(&mut buffer).await else {
            // An end in good order is handed on as one.
            let _ = to.shutdown().await;
            return std::future::pending().await;
        };
        let now = *network.borrow();
        let written = match now {
            Network::Up | Network::ResetsNew | Network::SwallowsRequests => {
                to.write_all(&buffer[..read]).await
            }
            Network::ResetsNextReply => {
                network.send_replace(Network::Up);
                return to;
            }
            Network::Swallows => Ok(()),
            Network::Drips(pause) => drip(&buffer[..read], &mut to, pause, network).await,
        };
        if written.is_err() {
            return to;
        }
    }
}

async fn drip(
    bytes: &[u8],
    to: &mut OwnedWriteHalf,
    pause: Duration,
    network: &watch::Sender<Network>,
) -> std::io::Result<()> {
    for at in 0..bytes.len() {
        if *network.borrow() == Network::Up {
            return to.write_all(&bytes[at..]).await;
        }
        to.write_all(&bytes[at..=at]).await?;
        tokio::time::sleep(pause).await;
    }
    Ok(())
}
