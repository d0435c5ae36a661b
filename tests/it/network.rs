//! What a network can do wrong, by a proxy between gateway and device.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use ncgate::emulator::{Fault, Rule, RunningEmulator};
use reqwest::{Method, StatusCode};
use serde_json::json;
use socket2::{Domain, Socket, Type};

use crate::support::proxy::{Network, Proxy};
use crate::support::{TestGateway, answer, code, eventually, invariants, junos, listen};

const UPTIME: &str = "get-system-uptime-information";
const READ: &str = "/v1/devices/mx1/rpc/get-system-uptime-information";

/// A device behind a proxy, with short times.
async fn behind_proxy() -> (TestGateway, RunningEmulator, Proxy) {
    let gateway = TestGateway::start().await;
    let device = listen(junos()).await;
    let proxy = Proxy::before(device.addr()).await;
    let more = json!({"port": proxy.port(), "timeouts": {"connect_seconds": 1, "keepalive_seconds": 1}});
    gateway.add("mx1", &device, more).await;
    (gateway, device, proxy)
}

/// Fault 1: said at once, nothing sent, and safe to try again.
#[tokio::test]
async fn closed_port_is_refused_at_once() {
    let gateway = TestGateway::start().await;
    let device = listen(junos()).await;
    gateway.add("mx1", &device, json!({})).await;
    device.stop().await;
    let started = Instant::now();
    let (status, problem) = gateway.get(READ).await;
    assert!(
        started.elapsed() < Duration::from_secs(1),
        "{:?}",
        started.elapsed()
    );
    assert_eq!(
        (status, code(&problem)),
        (StatusCode::SERVICE_UNAVAILABLE, "connection-refused")
    );
    assert_eq!(problem["outcome"], "not_sent");
    assert!(
        problem["retry_after_seconds"]
            .as_u64()
            .is_some_and(|seconds| seconds >= 1),
        "{problem}"
    );
    let connection = gateway.read("/v1/devices/mx1").await["connection"].clone();
    assert_eq!(connection["state"], "unreachable");
    gateway.stop().await;
}

/// Row 3, Q3: reset after the request left and before any byte of the reply.
#[tokio::test]
async fn reset_before_the_reply_is_one_transparent_retry() {
    let (gateway, device, proxy) = behind_proxy().await;
    gateway.read(READ).await;
    device
        .faults()
        .add(Rule::on(UPTIME, Fault::Delay(Duration::from_millis(200))).once());
    let read = gateway.get(READ);
    let cut = async {
        eventually("it was sent", async || device.stats().count(UPTIME) == 2).await;
        proxy.set(Network::ResetsNextReply);
    };
    let ((status, body), ()) = tokio::join!(read, cut);
    assert_eq!(status, StatusCode::OK, "{body}");
    assert_eq!((proxy.accepted(), device.stats().count(UPTIME)), (2, 3));
    let metrics = gateway
        .request(Method::GET, "/metrics")
        .send()
        .await
        .expect("an answer");
    let metrics = metrics.text().await.expect("text");
    assert!(metrics.contains("\nncgate_retries_total 1\n"), "{metrics}");
    invariants::hold("row 3", &gateway, "mx1", &device).await;
    gateway.stop().await;
    device.stop().await;
}

/// Row 8, H3: a link that carries nothing any more is noticed by keepalive. The request was sent, so whatever the
/// new connect says, the answer is no 503.
#[tokio::test]
async fn silent_link_is_noticed_and_is_no_503_once_something_was_sent() {
    let (gateway, device, proxy) = behind_proxy().await;
    gateway.read(READ).await;
    proxy.set(Network::Swallows);
    let (status, problem) = answer(gateway.request(Method::GET, READ).header("Request-Timeout", "20")).await;
    assert_eq!(status, StatusCode::BAD_GATEWAY, "{problem}");
    assert_eq!(problem["outcome"], "not_applied", "{problem}");
    proxy.set(Network::Up);
    eventually("the device answers again", async || {
        gateway.get(READ).await.0 == StatusCode::OK
    })
    .await;
    gateway.stop().await;
    device.stop().await;
}

/// Fault 9: a reply that drips does not outlast the deadline, and frees its session soon after.
#[tokio::test]
async fn dripping_reply_ends_at_the_deadline() {
    let (gateway, device, proxy) = behind_proxy().await;
    gateway.read(READ).await;
    proxy.set(Network::Drips(Duration::from_millis(200)));
    let started = Instant::now();
    let (status, problem) = answer(gateway.request(Method::GET, READ).header("Request-Timeout", "1")).await;
    assert_eq!(
        (status, code(&problem)),
        (StatusCode::GATEWAY_TIMEOUT, "device-timeout")
    );
    assert_eq!(problem["outcome"], "not_applied");
    assert!(
        started.elapsed() < Duration::from_secs(3),
        "{:?}",
        started.elapsed()
    );
    eventually("the session is given up", async || {
        gateway.read("/v1/devices/mx1").await["connection"]["sessions"] == 0
    })
    .await;
    proxy.set(Network::Up);
    eventually("the device answers again", async || {
        gateway.get(READ).await.0 == StatusCode::OK
    })
    .await;
    gateway.stop().await;
    device.stop().await;
}

/// A port that swallows SYNs: its queue of connections is full and nobody accepts.
fn blackhole() -> (Socket, u16, Vec<Socket>) {
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    let any = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
    listener.bind(&any.into()).expect("a free port");
    listener.listen(0).expect("a backlog");
    let address = listener.local_addr().expect("an address");
    let port = address.as_socket_ipv4().expect("IPv4").port();
    let filling = (0..8).map(|_| {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        socket.set_nonblocking(true).expect("a socket option");
        // Most of them never get through; that is what they are for.
        let _ = socket.connect(&address);
        socket
    });
    let filling = filling.collect();
    (listener, port, filling)
}

/// Fault 2, field pains 9: the connect has a timeout of its own, and nobody else waits for it.
#[tokio::test]
async fn swallowed_connect_times_out_while_others_go_on() {
    let (gateway, device) = TestGateway::with_device(junos()).await;
    let (_listener, port, _filling) = blackhole();
    gateway
        .add(
            "hole",
            &device,
            json!({"port": port, "timeouts": {"connect_seconds": 1}}),
        )
        .await;
    let started = Instant::now();
    let hole = gateway.get("/v1/devices/hole/rpc/get-system-uptime-information");
    let others = async {
        for _ in 0..10 {
            gateway.read(READ).await;
        }
        started.elapsed()
    };
    let ((status, problem), others) = tokio::join!(hole, others);
    assert_eq!(
        (status, code(&problem)),
        (StatusCode::SERVICE_UNAVAILABLE, "device-unreachable"),
        "{problem}"
    );
    assert_eq!(problem["outcome"], "not_sent");
    assert_eq!(problem["reason"], "timeout_tcp", "{problem}");
    assert!(
        started.elapsed() >= Duration::from_millis(900),
        "it was no blackhole"
    );
    assert!(others <= started.elapsed());
    gateway.stop().await;
    device.stop().await;
}

/// Q4: five failed connects in a row open the circuit, then nothing is dialled; one probe finds out that all is well.
#[tokio::test]
async fn circuit_opens_and_half_opens_with_one_probe() {
    let (gateway, device, proxy) = behind_proxy().await;
    proxy.set(Network::ResetsNew);
    for _ in 0..5 {
        // A check tries at once, and its failures count.
        let (status, problem) = gateway.post("/v1/devices/mx1/check", &json!({})).await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{problem}");
    }
    assert_eq!(proxy.accepted(), 5);
    for (status, problem) in join_all((0..20).map(|_| gateway.get(READ))).await {
        assert_eq!(
            (status, code(&problem)),
            (StatusCode::SERVICE_UNAVAILABLE, "circuit-open"),
            "{problem}"
        );
        assert_eq!(problem["outcome"], "not_sent");
        assert!(
            problem["retry_after_seconds"]
                .as_u64()
                .is_some_and(|seconds| seconds >= 1)
        );
    }
    assert_eq!(proxy.accepted(), 5, "an open circuit dials nothing");
    assert_eq!(
        gateway.read("/v1/devices/mx1").await["connection"]["state"],
        "circuit_open"
    );

    // The probe fails: one connect, whoever asks.
    eventually("the circuit half-opens", async || {
        join_all((0..10).map(|_| gateway.get(READ))).await;
        proxy.accepted() > 5
    })
    .await;
    assert_eq!(proxy.accepted(), 6, "one probe only");
    proxy.set(Network::Up);
    let (status, report) = gateway.post("/v1/devices/mx1/check", &json!({})).await;
    assert_eq!(status, StatusCode::OK, "{report}");
    gateway.read(READ).await;
    gateway.stop().await;
    device.stop().await;
}
