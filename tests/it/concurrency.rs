//! Many callers on one device: each gets its own reply, queues are bounded, deadlines hold, and whoever leaves harms
//! nobody.

use std::time::Duration;

use futures_util::future::join_all;
use futures_util::stream::{FuturesUnordered, StreamExt};
use ncgate::api::grpc::proto;
use ncgate::emulator::{Fault, Rule, RunningEmulator};
use prost::Message;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tonic::Code;

use crate::support::{TestGateway, answer, code, eventually, invariants, junos, listen};

const UPTIME: &str = "get-system-uptime-information";
const INTERFACES: &str = "get-interface-information";

async fn with_pool(max_sessions: u32) -> (TestGateway, RunningEmulator) {
    let gateway = TestGateway::start().await;
    let device = listen(junos()).await;
    gateway
        .add("mx1", &device, json!({"pool": {"max_sessions": max_sessions}}))
        .await;
    (gateway, device)
}

/// A request whose reply can be told from all others: the attribute comes back from the device (S8).
async fn marked(gateway: &TestGateway, operation: &str, mark: &str) -> (StatusCode, Value) {
    let body = json!({"rpc": {operation: null}, "attributes": {"mark": mark}});
    gateway.post("/v1/devices/mx1/rpc", &body).await
}

/// Until the device has been asked for `operation` this often.
async fn asked(device: &RunningEmulator, operation: &str, times: u64) {
    eventually("the device was asked", async || {
        device.stats().count(operation) == times
    })
    .await;
}

/// S8, Q2: over two sessions, over one, and with a queue in between, a reply goes to whoever asked.
#[tokio::test]
async fn callers_at_once_with_different_delays_each_get_their_own_reply() {
    for sessions in [1, 2] {
        let (gateway, device) = with_pool(sessions).await;
        device
            .faults()
            .add(Rule::on(INTERFACES, Fault::Delay(Duration::from_millis(300))));
        device
            .faults()
            .add(Rule::on(UPTIME, Fault::Delay(Duration::from_millis(20))));
        let calls = (0..12).map(|n| {
            let (gateway, operation) = (&gateway, if n % 4 == 0 { INTERFACES } else { UPTIME });
            async move {
                (
                    n,
                    operation,
                    marked(gateway, operation, &format!("caller-{n}")).await,
                )
            }
        });
        for (n, operation, (status, body)) in join_all(calls).await {
            assert_eq!(status, StatusCode::OK, "{body}");
            assert_eq!(body["attributes"]["mark"], format!("caller-{n}"));
            let element = operation.strip_prefix("get-").expect("a get");
            assert!(
                body["data"].get(element).is_some(),
                "{operation} over {sessions} sessions: {body}"
            );
        }
        assert!(device.stats().sessions <= u64::from(sessions));
        gateway.stop().await;
        device.stop().await;
    }
}

/// Row 12, Q7: the reply is read and dropped, and the next request on the same session gets its own.
#[tokio::test]
async fn caller_who_hangs_up_leaves_the_session_usable() {
    let (gateway, device) = with_pool(1).await;
    let (_, first) = marked(&gateway, UPTIME, "first").await;
    let drip = Fault::Trickle {
        bytes: 256,
        pause: Duration::from_millis(20),
    };
    for (round, fault) in [Fault::Delay(Duration::from_millis(300)), drip]
        .into_iter()
        .enumerate()
    {
        device.faults().add(Rule::on(INTERFACES, fault).once());
        let leaving = marked(&gateway, INTERFACES, "leaving");
        tokio::select! {
            _ = leaving => panic!("the reply came before the caller could leave"),
            () = asked(&device, INTERFACES, round as u64 + 1) => {}
        }
        let (status, next) = marked(&gateway, UPTIME, "next").await;
        assert_eq!(status, StatusCode::OK, "{next}");
        assert_eq!(next["attributes"]["mark"], "next");
        assert_eq!(next["session_id"], first["session_id"]);
    }
    assert_eq!(device.stats().sessions, 1);
    let metrics = gateway
        .http
        .get(gateway.url("/metrics"))
        .send()
        .await
        .expect("an answer")
        .text()
        .await
        .expect("text");
    assert!(
        metrics.contains("\nncgate_replies_abandoned_total 2\n"),
        "{metrics}"
    );
    invariants::hold("row 12", &gateway, "mx1", &device).await;
    gateway.stop().await;
    device.stop().await;
}

/// Q7: a caller who leaves while still in the queue takes the request along; it is never sent.
#[tokio::test]
async fn caller_who_leaves_the_queue_sends_nothing() {
    let (gateway, device) = with_pool(1).await;
    device
        .faults()
        .add(Rule::on(UPTIME, Fault::Delay(Duration::from_millis(500))));
    let slow = marked(&gateway, UPTIME, "slow");
    let queued = async {
        asked(&device, UPTIME, 1).await;
        let leaving = marked(&gateway, INTERFACES, "leaving");
        let waits = eventually("it waits", async || {
            gateway.read("/v1/devices/mx1").await["connection"]["queued"] == 1
        });
        tokio::select! {
            _ = leaving => panic!("it was answered"),
            () = waits => {}
        }
        eventually("it is gone", async || {
            gateway.read("/v1/devices/mx1").await["connection"]["queued"] == 0
        })
        .await;
    };
    let ((status, _), ()) = tokio::join!(slow, queued);
    assert_eq!(status, StatusCode::OK);
    assert_eq!(marked(&gateway, UPTIME, "after").await.0, StatusCode::OK);
    assert_eq!(device.stats().count(INTERFACES), 0);
    gateway.stop().await;
    device.stop().await;
}

/// Q1: more callers than sessions, but not more than may wait.
#[tokio::test]
async fn sixty_reads_over_two_sessions_all_succeed() {
    let (gateway, device) = with_pool(2).await;
    device
        .faults()
        .add(Rule::always(Fault::Delay(Duration::from_millis(5))));
    let calls = (0..60).map(|n| {
        let gateway = &gateway;
        async move { (n, marked(gateway, UPTIME, &n.to_string()).await) }
    });
    for (n, (status, body)) in join_all(calls).await {
        assert_eq!(status, StatusCode::OK, "{body}");
        assert_eq!(body["attributes"]["mark"], n.to_string());
    }
    let stats = device.stats();
    assert!(stats.sessions <= 2, "{} sessions", stats.sessions);
    assert_eq!(stats.count(UPTIME), 60);
    gateway.stop().await;
    device.stop().await;
}

/// Q1, H3, H12: two run, 64 wait, and the other 134 of 200 are told so before anybody else has an answer.
#[tokio::test]
async fn of_two_hundred_those_beyond_the_bound_are_refused_at_once() {
    let (gateway, device) = with_pool(2).await;
    device
        .faults()
        .add(Rule::on(INTERFACES, Fault::Delay(Duration::from_millis(100))));
    // Both sessions are there, so that nothing waits for a connect.
    join_all((0..2).map(|_| marked(&gateway, INTERFACES, "warm"))).await;
    device
        .faults()
        .add(Rule::on(UPTIME, Fault::Delay(Duration::from_secs(4))).times(2));
    let mut calls: FuturesUnordered<_> = (0..200)
        .map(|_| {
            let gateway = &gateway;
            async move {
                let response =
                    gateway.request(Method::GET, "/v1/devices/mx1/rpc/get-system-uptime-information");
                let response = response.send().await.expect("an answer");
                let (status, headers) = (response.status(), response.headers().clone());
                (status, headers, response.json::<Value>().await.expect("JSON"))
            }
        })
        .collect();
    for _ in 0..134 {
        let (status, headers, problem) = calls.next().await.expect("200 answers");
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{problem}");
        assert_eq!(code(&problem), "queue-full");
        assert_eq!(problem["outcome"], "not_sent");
        assert_eq!(problem["retryable"], true);
        let seconds: u64 = headers["retry-after"]
            .to_str()
            .expect("text")
            .parse()
            .expect("whole seconds");
        assert!((1..=10).contains(&seconds), "{seconds}");
        assert_eq!(problem["retry_after_seconds"], seconds);
    }
    // G3: the other door says the same.
    assert_eq!(
        grpc_read(&gateway, Duration::from_secs(30)).await,
        Code::Unavailable
    );
    while let Some((status, _, body)) = calls.next().await {
        assert_eq!(status, StatusCode::OK, "{body}");
    }
    drop(calls);
    assert_eq!(device.stats().count(UPTIME), 66);
    gateway.stop().await;
    device.stop().await;
}

/// The status of a read through the other door. Written by hand, because gRPC clients answer in the gateway's place when
/// a deadline passes.
async fn grpc_read(gateway: &TestGateway, within: Duration) -> Code {
    let message = proto::ReadNamedRpcRequest {
        device: "mx1".to_owned(),
        rpc: Some(proto::NamedRpc {
            name: UPTIME.to_owned(),
            ..Default::default()
        }),
        output: None,
    }
    .encode_to_vec();
    // Not packed, and this long.
    let length = u32::try_from(message.len())
        .expect("a short message")
        .to_be_bytes();
    let framed = [&[0], &length[..], &message].concat();
    let client = reqwest::Client::builder()
        .no_proxy()
        .http2_prior_knowledge()
        .build()
        .expect("a client");
    let request = client
        .post(gateway.url("/ncgate.v1.RpcService/ReadNamedRpc"))
        .body(framed);
    let request = request
        .header("Content-Type", "application/grpc")
        .header("TE", "trailers");
    let response = request
        .header("grpc-timeout", format!("{}m", within.as_millis()))
        .send()
        .await
        .expect("an answer");
    // A failure without a message has its status in the head; a success has it in the trailer.
    response
        .headers()
        .get("grpc-status")
        .map_or(Code::Ok, |status| Code::from_bytes(status.as_bytes()))
}

/// H6, Q7: a deadline that passes in the queue means that nothing was sent; once sent, the reply is read and dropped,
/// and the session lives on.
#[tokio::test]
async fn deadline_passes_in_the_queue_or_after_sending() {
    let (gateway, device) = with_pool(1).await;
    let (_, before) = marked(&gateway, INTERFACES, "before").await;
    device
        .faults()
        .add(Rule::on(UPTIME, Fault::Delay(Duration::from_millis(1800))).times(1));
    let in_time = |operation: &str, seconds: &str| {
        let path = format!("/v1/devices/mx1/rpc/{operation}");
        answer(
            gateway
                .request(Method::GET, &path)
                .header("Request-Timeout", seconds),
        )
    };
    let sent = in_time(UPTIME, "1");
    let queued = async {
        asked(&device, UPTIME, 1).await;
        let queued = in_time("get-chassis-inventory", "1");
        let by_grpc = grpc_read(&gateway, Duration::from_millis(500));
        tokio::join!(queued, by_grpc)
    };
    let ((status, problem), (queued, by_grpc)) = tokio::join!(sent, queued);
    assert_eq!(
        (status, code(&problem)),
        (StatusCode::GATEWAY_TIMEOUT, "device-timeout")
    );
    assert_eq!(problem["outcome"], "not_applied");

    let (status, problem) = queued;
    assert_eq!(
        (status, code(&problem)),
        (StatusCode::GATEWAY_TIMEOUT, "deadline-in-queue")
    );
    assert_eq!(problem["outcome"], "not_sent");
    assert_eq!(device.stats().count("get-chassis-inventory"), 0);
    assert_eq!(by_grpc, Code::DeadlineExceeded);

    let (status, after) = marked(&gateway, INTERFACES, "after").await;
    assert_eq!(status, StatusCode::OK, "{after}");
    assert_eq!(after["attributes"]["mark"], "after");
    assert_eq!(
        after["session_id"], before["session_id"],
        "a late reply costs no session"
    );
    assert_eq!(device.stats().sessions, 1);
    gateway.stop().await;
    device.stop().await;
}

/// Row 7, Q7: a reply that is overdue by twice its time costs the session, and only that.
#[tokio::test]
async fn reply_that_never_comes_costs_the_session_at_twice_the_deadline() {
    let (gateway, device) = with_pool(1).await;
    device.faults().add(Rule::on(UPTIME, Fault::Swallow).once());
    let request = gateway.request(Method::GET, "/v1/devices/mx1/rpc/get-system-uptime-information");
    let (status, problem) = answer(request.header("Request-Timeout", "1")).await;
    assert_eq!(
        (status, code(&problem)),
        (StatusCode::GATEWAY_TIMEOUT, "device-timeout")
    );
    assert_eq!(device.stats().open_sessions, 1, "the reply may still come");
    let (status, body) = marked(&gateway, UPTIME, "next").await;
    assert_eq!(status, StatusCode::OK, "{body}");
    assert_eq!(device.stats().sessions, 2);
    let connection = gateway.read("/v1/devices/mx1").await["connection"].clone();
    assert_eq!(connection["last_loss"]["code"], "session-lost", "{connection}");
    let detail = connection["last_loss"]["detail"].as_str().expect("a detail");
    assert!(detail.contains("twice its time"), "{detail}");
    invariants::hold("row 7", &gateway, "mx1", &device).await;
    gateway.stop().await;
    device.stop().await;
}

/// G3, fault 35: a gRPC caller who cancels leaves the queue, and the session in good order.
#[tokio::test]
async fn grpc_caller_who_cancels_leaves_the_session_usable() {
    let (gateway, device) = with_pool(1).await;
    device
        .faults()
        .add(Rule::on(UPTIME, Fault::Delay(Duration::from_millis(300))).once());
    tokio::select! {
        _ = grpc_read(&gateway, Duration::from_secs(30)) => panic!("the reply came before the caller could leave"),
        () = asked(&device, UPTIME, 1) => {}
    }
    let (status, body) = marked(&gateway, INTERFACES, "next").await;
    assert_eq!(
        (status, &body["attributes"]["mark"]),
        (StatusCode::OK, &json!("next")),
        "{body}"
    );
    assert_eq!(device.stats().sessions, 1);
    gateway.stop().await;
    device.stop().await;
}
