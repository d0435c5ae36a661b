//! A cable between two ends: what goes into it comes out later, in the same order.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::Fault;

/// Listens, and leads each connection to this port of the loopback. Each way takes half of the round trip. Gives the port.
pub async fn lay(port: u16, round_trip: Duration) -> Result<u16, Fault> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let own = listener.local_addr()?.port();
    tokio::spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            let Ok(far) = TcpStream::connect(("127.0.0.1", port)).await else {
                continue;
            };
            if near.set_nodelay(true).and(far.set_nodelay(true)).is_err() {
                continue;
            }
            let ((from_near, to_near), (from_far, to_far)) = (near.into_split(), far.into_split());
            tokio::spawn(carry(from_near, to_far, round_trip / 2));
            tokio::spawn(carry(from_far, to_near, round_trip / 2));
        }
    });
    Ok(own)
}

/// Until one end is gone.
async fn carry(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, delay: Duration) {
    let (put, mut take) = mpsc::channel::<(Instant, Vec<u8>)>(1024);
    let reading = async move {
        let mut piece = vec![0; 65536];
        while let Ok(bytes @ 1..) = from.read(&mut piece).await {
            if put
                .send((Instant::now() + delay, piece[..bytes].to_vec()))
                .await
                .is_err()
            {
                return;
            }
        }
    };
    let writing = async move {
        while let Some((due, bytes)) = take.recv().await {
            tokio::time::sleep_until(due).await;
            if to.write_all(&bytes).await.is_err() {
                return;
            }
        }
    };
    tokio::join!(reading, writing);
}
