//! What the program says about itself: its log, its metrics, and the headers of every answer.

use ncgate::api::grpc::proto;
use ncgate::emulator::{DeviceError, Fault, Rule};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tonic::transport::Endpoint;

use crate::support::child::{Child, device_body};
use crate::support::{PASSWORD, TestGateway, answer, eventually, junos, listen};

const UPTIME: &str = "get-system-uptime-information";
const READ: &str = "/v1/devices/mx1/rpc/get-system-uptime-information";
/// What would be a log line of its own, and the red text that a terminal would show, if it were let through.
const FORGED: &str = "boom\n{\"level\":\"ERROR\",\"message\":\"forged\"}\r\nforged line\u{1b}[31m red";
const CANARY: &str = "canary-7f3a";

async fn read_as(child: &Child, request_id: &str) -> (StatusCode, Value) {
    answer(
        child
            .request(Method::GET, READ)
            .header("X-Request-Id", request_id),
    )
    .await
}

/// The one line of a failed request.
async fn line_of(child: &Child, request_id: &str) -> Value {
    let is_its = |line: &Value| line["request_id"] == request_id;
    eventually("it is logged", async || {
        child.log("request failed").iter().any(is_its)
    })
    .await;
    let failed = child.log("request failed");
    let mut lines: Vec<Value> = failed
        .into_iter()
        .filter(|line| line["request_id"] == request_id)
        .collect();
    assert_eq!(lines.len(), 1, "{request_id}: {lines:?}");
    lines.remove(0)
}

/// Issue 2 item 9: every failure is one line where it is handled, and names what belongs to it.
#[tokio::test]
async fn failure_is_one_line_with_its_names() {
    let child = Child::start(&[]).await;
    let device = listen(junos()).await;
    child.add("mx1", &device, json!({})).await;

    device
        .faults()
        .add(Rule::on(UPTIME, Fault::Errors(vec![DeviceError::new("no license")])).once());
    assert_eq!(read_as(&child, "by-device").await.0, StatusCode::BAD_GATEWAY);
    device.faults().add(Rule::on(UPTIME, Fault::MalformedXml).once());
    assert_eq!(read_as(&child, "by-protocol").await.0, StatusCode::BAD_GATEWAY);
    device
        .faults()
        .add(Rule::on(UPTIME, Fault::DropAfter(200)).once());
    assert_eq!(read_as(&child, "by-loss").await.0, StatusCode::BAD_GATEWAY);
    device.faults().add(Rule::on(UPTIME, Fault::Swallow).once());
    let request = child
        .request(Method::GET, READ)
        .header("X-Request-Id", "by-time")
        .header("Request-Timeout", "1");
    assert_eq!(answer(request).await.0, StatusCode::GATEWAY_TIMEOUT);
    for (request_id, code) in [
        ("by-device", "device-error"),
        ("by-protocol", "device-protocol-error"),
        ("by-loss", "session-lost"),
        ("by-time", "device-timeout"),
    ] {
        let line = line_of(&child, request_id).await;
        assert_eq!(
            (&line["code"], &line["device"]),
            (&json!(code), &json!("mx1")),
            "{line}"
        );
        assert_eq!(line["operation"], "read_named_rpc", "{line}");
        assert_eq!(
            (&line["level"], &line["outcome"]),
            (&json!("WARN"), &json!("not_applied")),
            "{line}"
        );
        assert!(line["session_id"].as_u64().is_some_and(|id| id > 0), "{line}");
        assert!(
            line["message_id"].as_str().is_some_and(|id| !id.is_empty()),
            "{line}"
        );
        assert!(line["duration_ms"].is_u64(), "{line}");
        assert!(line["timestamp"].is_string(), "{line}");
    }

    let unknown = child
        .request(Method::GET, "/v1/devices/nobody")
        .header("X-Request-Id", "by-caller");
    assert_eq!(answer(unknown).await.0, StatusCode::NOT_FOUND);
    let line = line_of(&child, "by-caller").await;
    assert_eq!(
        (&line["level"], &line["outcome"]),
        (&json!("INFO"), &json!("not_sent")),
        "{line}"
    );
    assert_eq!(line.get("session_id"), None, "{line}");
    device.stop().await;
}

/// Issue 2 item 9: a failure inside a batch has its line like any other, though the batch succeeds; through both doors.
#[tokio::test]
async fn failures_inside_a_batch_are_logged() {
    let child = Child::start(&[]).await;
    let device = listen(junos()).await;
    child.add("mx1", &device, json!({})).await;
    let refused = || Rule::on(UPTIME, Fault::Errors(vec![DeviceError::new("no license")])).once();

    device.faults().add(refused());
    let items = [UPTIME, "get-software-information"].map(|name| json!({"rpc": {name: null}}));
    let body = json!({"rpcs": items, "on_error": "continue"});
    let request = child.request(Method::POST, "/v1/devices/mx1/rpc").json(&body);
    let (status, answered) = answer(request.header("X-Request-Id", "batch-rest")).await;
    assert_eq!(status, StatusCode::OK, "{answered}");
    assert_eq!(
        answered["results"].as_array().map(Vec::len),
        Some(2),
        "{answered}"
    );

    device.faults().add(refused());
    let channel = Endpoint::from_shared(child.url(""))
        .expect("an address")
        .connect()
        .await;
    let mut rpcs = proto::rpc_service_client::RpcServiceClient::new(channel.expect("a connection"));
    let item = |name: &str| proto::Rpc {
        body: Some(proto::Payload {
            content: Some(proto::payload::Content::Xml(format!("<{name}/>"))),
        }),
        ..Default::default()
    };
    let mut request = tonic::Request::new(proto::BatchRpcsRequest {
        device: "mx1".to_owned(),
        rpcs: vec![item(UPTIME), item("get-software-information")],
        on_error: proto::OnError::Continue.into(),
        output: None,
    });
    request
        .metadata_mut()
        .insert("x-request-id", "batch-grpc".parse().expect("a value"));
    let answered = rpcs.batch_rpcs(request).await.expect("results").into_inner();
    assert_eq!(answered.results.len(), 2);

    for (request_id, operation) in [
        ("batch-rest", "batch_rpcs"),
        ("batch-grpc", "RpcService/BatchRpcs"),
    ] {
        let line = line_of(&child, request_id).await;
        assert_eq!(
            (&line["code"], &line["device"], &line["operation"]),
            (&json!("device-error"), &json!("mx1"), &json!(operation)),
            "{line}"
        );
    }
    device.stop().await;
}

/// Issue 2 item 9, X9: what a device says at any length is cut in the log, and marked so.
#[tokio::test]
async fn long_words_of_a_device_are_cut_in_the_log() {
    let child = Child::start(&[]).await;
    let device = listen(junos()).await;
    child.add("mx1", &device, json!({})).await;
    let words = "word ".repeat(10_000);
    device
        .faults()
        .add(Rule::on(UPTIME, Fault::Errors(vec![DeviceError::new(words.as_str())])).once());
    let (status, problem) = read_as(&child, "long").await;
    assert_eq!(status, StatusCode::BAD_GATEWAY);
    let detail = problem["detail"].as_str().unwrap_or_default();
    assert!(
        detail.len() > 40_000,
        "the caller has all of it: {} bytes",
        detail.len()
    );
    let line = line_of(&child, "long").await;
    let logged = line["detail"].as_str().unwrap_or_default();
    assert!(logged.contains("word word "), "{logged}");
    assert!(
        logged.contains("cut") && logged.chars().count() < 600,
        "{} characters: {logged}",
        logged.chars().count()
    );
    device.stop().await;
}

/// X9, X6, threat 15: text from devices and callers stays inside one JSON string of one line; bodies and secrets are
/// not logged.
#[tokio::test]
async fn nothing_forges_a_line_and_nothing_secret_is_logged() {
    let child = Child::start(&["--log", "info"]).await;
    let device = listen(junos().motd(FORGED).login_banner(FORGED)).await;
    let forging = device
        .faults()
        .add(Rule::always(Fault::BannerBeforeHello(FORGED.to_owned())));
    let more =
        json!({"auth": {"password": PASSWORD, "keyboard_interactive": [{"prompt": "?", "answer": CANARY}]}});
    child.add("mx1", &device, more).await;

    let (status, body) = read_as(&child, "banner").await;
    assert!(
        status == StatusCode::OK || status == StatusCode::BAD_GATEWAY,
        "{body}"
    );
    device.faults().remove(forging);
    let hello = device
        .faults()
        .add(Rule::always(Fault::HelloText(FORGED.to_owned())));
    child
        .add("mx2", &device, json!({"timeouts": {"connect_seconds": 1}}))
        .await;
    let (status, problem) = child
        .get("/v1/devices/mx2/rpc/get-system-uptime-information")
        .await;
    // Text before a hello is skipped, and then none comes.
    assert_eq!(status, StatusCode::GATEWAY_TIMEOUT, "{problem}");
    device.faults().remove(hello);

    for fault in [
        Fault::Errors(vec![DeviceError::new(FORGED)]),
        Fault::Warnings(vec![FORGED.to_owned()]),
        Fault::ReplyWith(format!(
            "<rpc-error><error-message>{CANARY}<x></error-message></rpc-error>"
        )),
        Fault::MessageText(FORGED.to_owned()),
        Fault::GarbageBefore(FORGED.as_bytes().to_vec()),
        Fault::ReplyWith(format!("<data>{CANARY}</data>")),
    ] {
        device.faults().add(Rule::on(UPTIME, fault).once());
        read_as(&child, "fault").await;
    }
    let body = json!({"rpc": {"get-configuration": {"configuration": {CANARY: CANARY}}}, "attributes": {"a": CANARY}});
    child.post("/v1/devices/mx1/rpc", &body).await;
    child
        .post("/v1/devices/mx1/rpc", &json!({"rpc": {"no such name": CANARY}}))
        .await;
    child
        .get(&format!("/v1/devices/a%0d%0a%7b%22forged%22:1%7d?x={CANARY}"))
        .await;
    let odd = child
        .request(Method::GET, READ)
        .header("X-Request-Id", "x y forged")
        .header("User-Agent", "forged");
    odd.send().await.expect("an answer");

    eventually("the last is logged", async || {
        child.log("request failed").len() >= 6
    })
    .await;
    let lines = child.lines();
    for line in &lines {
        // `log` also held each line to be a JSON object.
        assert!(!line.chars().any(char::is_control), "{line:?}");
        assert!(
            !line.starts_with("forged") && !line.starts_with("{\"level\":\"ERROR\",\"message\":\"forged\"}")
        );
        assert!(!line.contains(PASSWORD), "a password is logged: {line}");
        assert!(!line.contains(CANARY), "a body is logged: {line}");
    }
    assert!(child.log("forged").is_empty());
    assert!(
        lines
            .iter()
            .any(|line| line.contains("\\u001b[31m") || line.contains("boom")),
        "none was logged at all"
    );
    device.stop().await;
}

/// X6, threats 3 and 20: whatever a caller gives as a secret is in no answer, no metric, no log line and no file.
#[tokio::test]
async fn secrets_stand_nowhere() {
    let child = Child::start(&["--log", "debug"]).await;
    let device = listen(junos()).await;
    let secret = |name: &str| format!("{CANARY}-{name}");
    let auth = json!({"password": secret("password"), "keyboard_interactive":
        [{"prompt": "Password:", "answer": secret("answer")}]});
    child.add("mx1", &device, json!({"auth": auth})).await;
    let jump = json!({"address": "127.0.0.1", "port": device.addr().port(), "username": "u",
        "auth": {"password": secret("jump")}, "host_key": {"policy": "pinned", "keys": [device.host_key_fingerprint()]}});
    child.add("mx2", &device, json!({"proxy_jump": [jump]})).await;
    let bad_key = json!({"auth": {"private_key": secret("key"), "passphrase": secret("phrase")}});
    let twice = json!({"auth": {"password": secret("password"), "x": secret("unknown")}});
    let mut texts = Vec::new();
    for (method, path, body) in [
        (Method::GET, "/v1/devices/mx1", None),
        (Method::GET, "/v1/devices", None),
        (Method::GET, READ, None),
        (
            Method::GET,
            "/v1/devices/mx2/rpc/get-system-uptime-information",
            None,
        ),
        (Method::POST, "/v1/devices/mx1/check", None),
        (
            Method::POST,
            "/v1/devices",
            Some(device_body("mx3", &device, bad_key)),
        ),
        (
            Method::POST,
            "/v1/devices",
            Some(device_body("mx1", &device, twice)),
        ),
        (Method::GET, "/metrics", None),
        (Method::GET, "/v1/status", None),
        (Method::GET, "/v1/devices/mx1/sessions", None),
    ] {
        let mut request = child.request(method, path);
        if let Some(body) = body {
            request = request.json(&body);
        }
        texts.push((
            path.to_owned(),
            request
                .send()
                .await
                .expect("an answer")
                .bytes()
                .await
                .expect("a body")
                .to_vec(),
        ));
    }
    texts.push(("the log".to_owned(), child.lines().join("\n").into_bytes()));
    for entry in std::fs::read_dir(child.directory()).expect("the directory") {
        let path = entry.expect("an entry").path();
        if path.is_file() {
            texts.push((
                path.display().to_string(),
                std::fs::read(&path).expect("a readable file"),
            ));
        }
    }
    assert!(
        texts
            .iter()
            .any(|(name, bytes)| name.ends_with(".db") && !bytes.is_empty())
    );
    for (name, bytes) in texts {
        assert!(
            memchr::memmem::find(&bytes, CANARY.as_bytes()).is_none(),
            "a secret stands in {name}"
        );
    }
    device.stop().await;
}

async fn metric(gateway: &TestGateway, name: &str) -> f64 {
    let response = gateway
        .http
        .get(gateway.url("/metrics"))
        .send()
        .await
        .expect("an answer");
    let text = response.text().await.expect("text");
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.map_or(0.0, |value| value.parse().expect("a number"))
}

/// Issue 2 item 9: the metrics say what happened, no more and no less.
#[tokio::test]
async fn metrics_are_honest() {
    let (gateway, device) = TestGateway::with_device(junos()).await;
    for _ in 0..3 {
        gateway.read(READ).await;
    }
    device.faults().add(Rule::on(UPTIME, Fault::MalformedXml).once());
    assert_eq!(gateway.get(READ).await.0, StatusCode::BAD_GATEWAY);
    gateway.read(READ).await;
    gateway.get("/v1/devices/mx1/rpc/get-no-such-thing").await;
    gateway.get("/nowhere/at/all").await;
    gateway
        .request(Method::from_bytes(b"BREW").expect("a method"), "/v1/devices")
        .send()
        .await
        .expect("an answer");

    let route = "method=\"GET\",route=\"/v1/devices/{device}/rpc/{name}\"";
    for (labels, count) in [
        (format!("{{{route},status=\"200\"}}"), 4.0),
        (format!("{{{route},status=\"502\"}}"), 1.0),
        (format!("{{{route},status=\"400\"}}"), 1.0),
        (
            "{method=\"GET\",route=\"unmatched\",status=\"404\"}".to_owned(),
            1.0,
        ),
        (
            "{method=\"other\",route=\"/v1/devices\",status=\"405\"}".to_owned(),
            1.0,
        ),
    ] {
        assert_eq!(
            metric(&gateway, &format!("ncgate_http_requests_total{labels}")).await,
            count,
            "{labels}"
        );
    }
    let stats = device.stats();
    assert_eq!(
        metric(&gateway, "ncgate_sessions_open").await,
        stats.open_sessions as f64
    );
    assert_eq!(
        metric(&gateway, "ncgate_connects_total{result=\"ok\"}").await,
        stats.sessions as f64
    );
    assert_eq!(metric(&gateway, "ncgate_queue_depth").await, 0.0);
    assert_eq!(metric(&gateway, "ncgate_retries_total").await, 0.0);
    assert!(metric(&gateway, "ncgate_reply_bytes_total").await > 1000.0);
    device.stop().await;
    eventually("the loss is counted", async || {
        metric(&gateway, "ncgate_sessions_open").await == 0.0
    })
    .await;
    gateway.stop().await;
}

/// H14, threat 8: these headers are on every answer, whatever it is.
#[tokio::test]
async fn every_answer_has_the_security_headers() {
    let (gateway, device) = TestGateway::with_device(junos()).await;
    let expected = [
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-resource-policy", "same-origin"),
    ];
    let paths = [
        (Method::GET, READ, 200),
        (Method::GET, "/v1/devices", 200),
        (Method::GET, "/v1/devices/nobody", 404),
        (Method::GET, "/nowhere", 404),
        (Method::PUT, "/v1/devices", 405),
        (Method::GET, "/livez", 200),
        (Method::GET, "/metrics", 200),
        (Method::GET, "/openapi.json", 200),
        (Method::GET, "/docs", 200),
        (Method::GET, "/problems/queue-full", 200),
    ];
    for (method, path, status) in paths {
        let response = gateway
            .request(method, path)
            .header("X-Request-Id", "abc.1")
            .send()
            .await
            .expect("an answer");
        assert_eq!(response.status().as_u16(), status, "{path}");
        let headers = response.headers();
        for (name, value) in expected {
            assert_eq!(
                headers.get(name).and_then(|value| value.to_str().ok()),
                Some(value),
                "{name} of {path}"
            );
        }
        let policy = headers["content-security-policy"].to_str().expect("text");
        assert!(policy.contains("default-src 'none'"), "{path}: {policy}");
        assert!(policy.contains("frame-ancestors 'none'"), "{path}: {policy}");
        assert!(!policy.contains("unsafe"), "{path}: {policy}");
        assert_eq!(headers["x-request-id"], "abc.1", "{path}");
        for absent in ["server", "access-control-allow-origin", "set-cookie"] {
            assert!(!headers.contains_key(absent), "{absent} of {path}");
        }
        let expects_problem = status >= 400;
        let content_type = headers
            .get("content-type")
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        assert_eq!(
            content_type == "application/problem+json",
            expects_problem,
            "{path}: {content_type}"
        );
        if path.starts_with("/v1/") {
            assert_eq!(headers["cache-control"], "no-store", "{path}");
        }
    }
    gateway.stop().await;
    device.stop().await;
}
