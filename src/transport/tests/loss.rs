//! S30 and quality section 1: how connections end, by us, by the server, by nobody; nothing stays behind.

use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf};
use tokio::sync::watch;
use tokio::time::Instant;

use super::server::{OnStart, Plan};
use super::support::{Once, connect_to, read_bytes, target, until};
use crate::transport::{Connected, Loss, TransportError, connect};

/// A server behind a wire that can be frozen: nothing gets through, and nobody is told.
async fn over_wire(plan: &Plan) -> (Connected, watch::Sender<bool>, Plan) {
    let (ours, near) = tokio::io::duplex(64 * 1024);
    let (far, theirs) = tokio::io::duplex(64 * 1024);
    let (frozen, watcher) = watch::channel(false);
    let (near_read, near_write) = tokio::io::split(near);
    let (far_read, far_write) = tokio::io::split(far);
    tokio::spawn(pump(near_read, far_write, watcher.clone()));
    tokio::spawn(pump(far_read, near_write, watcher));
    tokio::spawn(plan.clone().serve(Box::new(theirs)));
    let connected = connect(&target(), &Once(Mutex::new(Some(ours)))).await.unwrap();
    (connected, frozen, plan.clone())
}

async fn pump(
    mut from: ReadHalf<DuplexStream>,
    mut to: WriteHalf<DuplexStream>,
    mut frozen: watch::Receiver<bool>,
) {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        if frozen.wait_for(|frozen| !frozen).await.is_err() {
            return;
        }
        let read = tokio::select! {
            read = from.read(&mut buffer) => read,
            _ = frozen.changed() => continue,
        };
        match read {
            Ok(n @ 1..) if to.write_all(&buffer[..n]).await.is_ok() => {}
            _ => return,
        }
    }
}

/// S30
#[tokio::test]
async fn polite_close_ends_the_server_side() {
    let plan = Plan::default();
    let mut connected = connect_to(&plan, &target()).await.unwrap();
    let start = Instant::now();
    connected.connection.close(Duration::from_secs(5)).await;
    until(&plan, "ended").await;
    assert!(
        start.elapsed() < Duration::from_secs(4),
        "the peer agreed, so the grace was not needed"
    );
    let error = connected.reader.next().await.unwrap_err();
    assert!(matches!(error, TransportError::Lost(Loss::Local)), "{error:?}");
    let error = connected
        .writer
        .write(Bytes::from_static(b"late"))
        .await
        .unwrap_err();
    assert!(matches!(error, TransportError::Lost(_)), "{error:?}");
}

/// Field pains section 1: teardown always frees the socket.
#[tokio::test]
async fn dropping_everything_ends_the_server_side() {
    let plan = Plan::default();
    drop(connect_to(&plan, &target()).await.unwrap());
    until(&plan, "ended").await;
}

/// Field pains section 1: a close that nobody answers ends all the same.
#[tokio::test(start_paused = true)]
async fn close_on_a_dead_wire_is_bounded() {
    let (mut connected, frozen, _) = over_wire(&Plan::default()).await;
    frozen.send(true).unwrap();
    // Fill every buffer on the way, so that even the goodbye cannot be sent.
    let stuck = async { while connected.writer.write(Bytes::from(vec![0; 32768])).await.is_ok() {} };
    assert!(tokio::time::timeout(Duration::from_secs(1), stuck).await.is_err());
    let start = Instant::now();
    connected.connection.close(Duration::from_secs(2)).await;
    assert!(start.elapsed() <= Duration::from_secs(2));
    let error = connected.reader.next().await.unwrap_err();
    assert!(matches!(error, TransportError::Lost(Loss::Local)), "{error:?}");
}

/// Q5, quality section 1 row 8
#[tokio::test(start_paused = true)]
async fn half_open_connection_is_found_by_keepalives() {
    let (mut connected, frozen, _) = over_wire(&Plan::default()).await;
    frozen.send(true).unwrap();
    let start = Instant::now();
    let error = connected.reader.next().await.unwrap_err();
    assert!(
        matches!(error, TransportError::Lost(Loss::Keepalive)),
        "{error:?}"
    );
    assert_eq!(start.elapsed().as_secs(), 60);
    assert_eq!(connected.connection.closed().await, Loss::Keepalive);
    assert!(connected.connection.is_closed());
}

/// Q5
#[tokio::test(start_paused = true)]
async fn idle_connection_with_a_living_peer_stays() {
    let (mut connected, _frozen, _) = over_wire(&Plan::default()).await;
    let quiet = tokio::time::timeout(Duration::from_secs(600), connected.reader.next()).await;
    assert!(quiet.is_err());
    connected
        .writer
        .write(Bytes::from_static(b"still"))
        .await
        .unwrap();
    assert_eq!(read_bytes(&mut connected.reader, 5).await, "still");
}

/// Field pains section 1: the cause of death is known.
#[tokio::test]
async fn disconnect_message_of_the_server_is_kept() {
    let mut connected = connect_to(&Plan::start(OnStart::Disconnect), &target())
        .await
        .unwrap();
    let error = connected.reader.next().await.unwrap_err();
    match error {
        TransportError::Lost(Loss::Disconnected { reason, message }) => {
            assert_eq!(
                (reason.as_str(), message.as_str()),
                ("ByApplication", "going down now")
            );
        }
        other => panic!("{other:?}"),
    }
}

/// A write that waits for window must not outlive the connection.
#[tokio::test(start_paused = true)]
async fn waiting_write_fails_when_the_connection_dies() {
    let (mut connected, frozen, _) = over_wire(&Plan::default()).await;
    frozen.send(true).unwrap();
    let start = Instant::now();
    let error = connected
        .writer
        .write(Bytes::from(vec![0; 8 << 20]))
        .await
        .unwrap_err();
    assert!(
        matches!(error, TransportError::Lost(Loss::Keepalive)),
        "{error:?}"
    );
    assert_eq!(
        start.elapsed().as_secs(),
        60,
        "keepalives go on beside a blocked write"
    );
}

/// What a cancelled write left on the wire is a torso; nothing may follow it.
#[tokio::test(start_paused = true)]
async fn nothing_follows_a_cancelled_write() {
    let (mut connected, frozen, _) = over_wire(&Plan::default()).await;
    frozen.send(true).unwrap();
    let cut_short = connected.writer.write(Bytes::from(vec![0; 8 << 20]));
    assert!(
        tokio::time::timeout(Duration::from_secs(1), cut_short)
            .await
            .is_err()
    );
    frozen.send(false).unwrap();
    let error = connected
        .writer
        .write(Bytes::from_static(b"x"))
        .await
        .unwrap_err();
    assert!(matches!(error, TransportError::Lost(Loss::Local)), "{error:?}");
}

/// Two ends that both have more to say than the wire holds must not wait for each other.
#[tokio::test]
async fn much_data_both_ways_at_once_gets_through() {
    const TOTAL: usize = 6 << 20;
    let mut connected = connect_to(&Plan::default(), &target()).await.unwrap();
    let mut writer = connected.writer;
    let writing = tokio::spawn(async move { writer.write(Bytes::from(vec![b'a'; TOTAL])).await });
    assert_eq!(read_bytes(&mut connected.reader, TOTAL).await.len(), TOTAL);
    writing.await.unwrap().unwrap();
}
