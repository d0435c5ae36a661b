//! The port itself: slow, silent and late connections.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;
use crate::api::pace::Pace;
use crate::api::server::Limits;
use crate::emulator::{Fault, Rule};

/// A connection that says nothing is closed, one that has said a part of a head too.
#[tokio::test]
async fn silent_connections_are_closed() {
    let limits = Limits {
        header_timeout: Duration::from_millis(300),
        ..Limits::default()
    };
    let served = Served::with(Settings {
        connections: limits,
        ..Settings::default()
    })
    .await;
    for said in [&b""[..], b"PRI * HT", b"GET /livez HTT"] {
        let mut stream = TcpStream::connect(served.address).await.expect("a connection");
        stream.write_all(said).await.expect("written");
        let mut answer = Vec::new();
        let closed = tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut answer)).await;
        assert!(closed.is_ok(), "still open after {said:?}");
    }
}

/// Q8, quality row 11: a caller that takes nothing is cut, and the session goes on to serve others.
#[tokio::test]
async fn slow_caller_is_cut() {
    let pace = Pace {
        least: 1024,
        patience: Duration::from_millis(500),
    };
    let served = Served::with(Settings {
        pace,
        ..Settings::default()
    })
    .await;
    served
        .device
        .faults()
        .add(Rule::on("get-interface-information", Fault::HugeReply(16 << 20)).once());
    let mut stream = TcpStream::connect(served.address).await.expect("a connection");
    let request = b"GET /v1/devices/r1/rpc/get-interface-information HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";
    stream.write_all(request).await.expect("written");
    let mut head = [0; 12];
    stream.read_exact(&mut head).await.expect("the answer begins");
    assert_eq!(&head, b"HTTP/1.1 200");
    let (status, other) = json(served.get("/v1/devices/r1/rpc/get-software-information")).await;
    assert_eq!(status, 200, "{other:#}");
    // The answer is given up before the rest of it is taken: what was sent until then is all there is.
    let given_up = async {
        while served.tasks.len() > 1 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), given_up)
        .await
        .expect("the answer is given up");
    let mut rest = Vec::new();
    let ended = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut rest))
        .await
        .expect("an end");
    assert!(
        !rest.ends_with(b"0\r\n\r\n"),
        "the answer looks complete: {ended:?}"
    );
}

/// D1, quality row 29: what is in flight ends well, what is new is refused with 503 and not_sent.
#[tokio::test]
async fn drain_lets_requests_end_and_refuses_new_ones() {
    let served = Served::new().await;
    served
        .device
        .faults()
        .add(Rule::on("get-software-information", Fault::Delay(Duration::from_secs(2))).once());
    let slow = tokio::spawn(json(served.get("/v1/devices/r1/rpc/get-software-information")));
    // The request has reached the device once the device has counted it.
    while !served
        .device
        .stats()
        .rpc_counts
        .contains_key("get-software-information")
    {
        tokio::task::yield_now().await;
    }
    served.shutdown.cancel();
    let other = reqwest::Client::builder().no_proxy().build().expect("a client");
    let refused = other.get(served.url("/v1/version"));
    let (status, problem) = json(refused).await;
    assert_eq!(
        (status, problem["code"].as_str()),
        (503, Some("draining")),
        "{problem:#}"
    );
    assert_eq!(problem["outcome"], "not_sent");
    assert_eq!(
        other
            .get(served.url("/readyz"))
            .send()
            .await
            .expect("an answer")
            .status(),
        503
    );
    assert_eq!(
        other
            .get(served.url("/livez"))
            .send()
            .await
            .expect("an answer")
            .status(),
        200
    );
    let (status, answer) = slow.await.expect("no panic");
    assert_eq!(status, 200, "{answer:#}");
    let ended = tokio::time::timeout(Duration::from_secs(10), served.server)
        .await
        .expect("the server ends");
    assert!(ended.expect("no panic").is_ok());
}

/// Issue item 9: the first honest counters.
#[tokio::test]
async fn metrics_count_requests_by_route() {
    let served = Served::new().await;
    json(served.get("/v1/devices/r1")).await;
    json(served.get("/v1/devices/nobody")).await;
    let text = served.metrics.encode();
    for line in [
        "ncgate_http_requests_total{method=\"GET\",route=\"/v1/devices/{device}\",status=\"200\"} 1",
        "ncgate_http_requests_total{method=\"GET\",route=\"/v1/devices/{device}\",status=\"404\"} 1",
    ] {
        assert!(text.contains(line), "{line} is missing in:\n{text}");
    }
}
