//! What callers can get wrong: every request here is refused with the place and the reason, and nothing is sent.

use std::io::Write;

use ncgate::emulator::RunningEmulator;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{TestGateway, answer, code, junos};

const RPC: &str = "/v1/devices/mx1/rpc";

/// The pointer of the first fault. Every refusal has one, with a reason.
fn pointer<'a>(problem: &'a Value, of: &str) -> &'a str {
    let fault = &problem["errors"][0];
    assert!(
        fault["detail"].as_str().is_some_and(|detail| !detail.is_empty()),
        "{of}: {problem}"
    );
    fault["pointer"]
        .as_str()
        .unwrap_or_else(|| panic!("{of}: {problem}"))
}

/// Members that every problem has (H2, H3).
fn is_callers_problem(status: StatusCode, problem: &Value, of: &str) {
    assert_eq!(problem["status"], status.as_u16(), "{of}: {problem}");
    assert_eq!(
        (&problem["origin"], &problem["outcome"]),
        (&json!("caller"), &json!("not_sent")),
        "{of}: {problem}"
    );
    assert_eq!(problem["retryable"], false, "{of}: {problem}");
    assert_eq!(problem["type"], format!("/problems/{}", code(problem)), "{of}");
    for member in ["title", "detail", "instance", "request_id"] {
        assert!(
            problem[member].as_str().is_some_and(|text| !text.is_empty()),
            "{of}: no {member}: {problem}"
        );
    }
}

async fn post(
    gateway: &TestGateway,
    path: &str,
    media_type: &str,
    body: impl Into<reqwest::Body>,
) -> (StatusCode, Value) {
    answer(
        gateway
            .request(Method::POST, path)
            .header("Content-Type", media_type)
            .body(body),
    )
    .await
}

/// Nobody was connected to, so nothing can have been sent.
fn nothing_was_sent(device: &RunningEmulator) {
    let stats = device.stats();
    assert_eq!((stats.connections, stats.rpcs.len()), (0, 0));
}

/// H1, X1, W3, W4: JSON bodies of `…/rpc`.
#[tokio::test]
async fn bad_json_of_an_rpc_is_refused_with_its_place() {
    let (gateway, device) = TestGateway::with_device(junos()).await;
    let read = "get-system-uptime-information";
    let cases: Vec<(String, &str)> = vec![
        // Not JSON, or no object.
        ("".into(), ""),
        ("{".into(), ""),
        ("{\"rpc\": {}} {}".into(), ""),
        ("{'rpc': {}}".into(), ""),
        ("[]".into(), ""),
        ("null".into(), ""),
        ("\"get\"".into(), ""),
        ("{\"rpc\": NaN}".into(), ""),
        ("{\"rpc\": {\"a\": 01}}".into(), ""),
        ("{\"rpc\": {\"a\": +1}}".into(), ""),
        ("\u{feff}{}".into(), ""),
        // Unknown, missing, doubled.
        ("{}".into(), "/rpc"),
        (
            format!("{{\"rpc\": {{\"{read}\": null}}, \"fromat\": \"xml\"}}"),
            "/fromat",
        ),
        (
            format!("{{\"rpc\": {{\"{read}\": null}}, \"rpc\": {{\"{read}\": null}}}}"),
            "/rpc",
        ),
        (
            format!("{{\"rpc\": {{\"{read}\": null}}, \"rpcs\": []}}"),
            "/rpcs",
        ),
        // Wrong types.
        ("{\"rpc\": null}".into(), "/rpc"),
        ("{\"rpc\": \"get\"}".into(), "/rpc"),
        ("{\"rpc\": [{\"get\": null}]}".into(), "/rpc"),
        ("{\"rpc\": 5}".into(), "/rpc"),
        (
            format!("{{\"rpc\": {{\"{read}\": null}}, \"format\": 1}}"),
            "/format",
        ),
        (
            format!("{{\"rpc\": {{\"{read}\": null}}, \"format\": \"yaml\"}}"),
            "/format",
        ),
        (
            format!("{{\"rpc\": {{\"{read}\": null}}, \"plan\": \"yes\"}}"),
            "/plan",
        ),
        (
            format!("{{\"rpc\": {{\"{read}\": null}}, \"partial\": \"some\"}}"),
            "/partial",
        ),
        (
            format!("{{\"rpc\": {{\"{read}\": null}}, \"attributes\": []}}"),
            "/attributes",
        ),
        (
            format!("{{\"rpc\": {{\"{read}\": null}}, \"attributes\": {{\"a\": 1}}}}"),
            "/attributes/a",
        ),
        (
            format!("{{\"rpcs\": {{\"rpc\": {{\"{read}\": null}}}}}}"),
            "/rpcs",
        ),
        ("{\"rpcs\": []}".into(), "/rpcs"),
        ("{\"rpcs\": [5]}".into(), "/rpcs/0"),
        (
            format!("{{\"rpcs\": [{{\"rpc\": {{\"{read}\": null}}}}, {{}}]}}"),
            "/rpcs/1/rpc",
        ),
        (
            format!("{{\"rpcs\": [{{\"rpc\": {{\"{read}\": null}}, \"x\": 1}}]}}"),
            "/rpcs/0/x",
        ),
        (
            format!("{{\"rpcs\": [{{\"rpc\": {{\"{read}\": null}}}}], \"on_error\": \"go\"}}"),
            "/on_error",
        ),
        // One root, and its arguments.
        ("{\"rpc\": {}}".into(), "/rpc"),
        ("{\"rpc\": {\"get-a\": null, \"get-b\": null}}".into(), "/rpc"),
        (
            "{\"rpc\": {\"get-a\": {\"b\": 1, \"c\": 2, \"b\": 3}}}".into(),
            "/rpc/get-a/b",
        ),
        (
            "{\"rpc\": {\"get-a\": {\"b\": 1, \"\\u0062\": 3}}}".into(),
            "/rpc/get-a/b",
        ),
        ("{\"rpc\": {\"get-a\": {\"b\": [[1]]}}}".into(), "/rpc/get-a/b/0"),
        // Names that are none.
        ("{\"rpc\": {\"\": null}}".into(), "/rpc/"),
        ("{\"rpc\": {\"1a\": null}}".into(), "/rpc/1a"),
        ("{\"rpc\": {\"a b\": null}}".into(), "/rpc/a b"),
        ("{\"rpc\": {\"a><b\": null}}".into(), "/rpc/a><b"),
        (
            "{\"rpc\": {\"get-a\": {\"a/b\": null}}}".into(),
            "/rpc/get-a/a~1b",
        ),
        (
            "{\"rpc\": {\"get-a\": {\"x y\": {\"z\": 1}}}}".into(),
            "/rpc/get-a/x y",
        ),
        ("{\"rpc\": {\"a\\u0000\": null}}".into(), "/rpc/a\0"),
        ("{\"rpc\": {\"-a\": null}}".into(), "/rpc/-a"),
        // Text that XML cannot hold.
        (
            "{\"rpc\": {\"get-a\": {\"b\": \"\\u0000\"}}}".into(),
            "/rpc/get-a/b",
        ),
        (
            "{\"rpc\": {\"get-a\": {\"b\": \"\\u001b[31m\"}}}".into(),
            "/rpc/get-a/b",
        ),
        (
            "{\"rpc\": {\"get-a\": {\"b\": \"\\ufffe\"}}}".into(),
            "/rpc/get-a/b",
        ),
        (
            "{\"rpc\": {\"get-a\": {\"b\": [\"x\", \"\\u0001\"]}}}".into(),
            "/rpc/get-a/b/1",
        ),
        // Attributes of <rpc>.
        (
            format!("{{\"rpc\": {{\"{read}\": null}}, \"attributes\": {{\"message-id\": \"1\"}}}}"),
            "/attributes/message-id",
        ),
        (
            format!("{{\"rpc\": {{\"{read}\": null}}, \"attributes\": {{\"xmlns\": \"x\"}}}}"),
            "/attributes/xmlns",
        ),
        (
            format!("{{\"rpc\": {{\"{read}\": null}}, \"attributes\": {{\"a b\": \"x\"}}}}"),
            "/attributes/a b",
        ),
        (
            format!("{{\"rpc\": {{\"{read}\": null}}, \"attributes\": {{\"a\": \"\\u0001\"}}}}"),
            "/attributes/a",
        ),
        (
            format!("{{\"rpc\": {{\"{read}\": null}}, \"attributes\": {{\"a\": \"1\", \"a\": \"2\"}}}}"),
            "/attributes/a",
        ),
    ];
    for (body, expected) in cases {
        let (status, problem) = post(&gateway, RPC, "application/json", body.clone()).await;
        assert_eq!(
            (status, code(&problem)),
            (StatusCode::BAD_REQUEST, "invalid-argument"),
            "{body}: {problem}"
        );
        assert_eq!(pointer(&problem, &body), expected, "{body}: {problem}");
        is_callers_problem(status, &problem, &body);
    }
    // Lone surrogates, wherever they stand: 400, but no JSON reader is bound to say where.
    for body in [
        "{\"rpc\": {\"get-a\": {\"b\": \"\\ud800\"}}}",
        "{\"rpc\": {\"get-a\": {\"b\": \"\\udc00x\"}}}",
        "{\"rpc\": {\"get-\\ud83d\": null}}",
        "{\"rpc\": {\"get-a\": null}, \"attributes\": {\"a\": \"\\ud800\"}}",
        "{\"rpc\": {\"get-a\": null}, \"\\ud800\": 1}",
    ] {
        let (status, problem) = post(&gateway, RPC, "application/json", body).await;
        assert_eq!(
            (status, code(&problem)),
            (StatusCode::BAD_REQUEST, "invalid-argument"),
            "{body}: {problem}"
        );
        pointer(&problem, body);
    }
    let (status, problem) = post(
        &gateway,
        RPC,
        "application/json",
        b"{\"rpc\": {\"a\": \"\xff\"}}".to_vec(),
    )
    .await;
    assert_eq!(
        (status, code(&problem)),
        (StatusCode::BAD_REQUEST, "invalid-argument"),
        "{problem}"
    );
    nothing_was_sent(&device);
    gateway.stop().await;
    device.stop().await;
}

/// X3, threat 4: deep, broad and large bodies cost neither stack nor memory.
#[tokio::test]
async fn bombs_are_refused() {
    let (gateway, device) = TestGateway::with_device(junos()).await;
    let million = 1_000_000;
    let in_arrays = format!(
        "{{\"rpc\": {{\"get-a\": {}{}}}}}",
        "[".repeat(million),
        "]".repeat(million)
    );
    let levels = 600_000;
    let in_objects = format!(
        "{{\"rpc\": {{\"get-a\": {}1{}}}}}",
        "{\"a\":".repeat(levels),
        "}".repeat(levels)
    );
    let open_only = "[".repeat(million);
    let broad: String = (0..100_000).map(|n| format!("\"k{n}\": 1, ")).collect();
    for (name, body, path) in [
        ("arrays", in_arrays.clone(), RPC),
        ("objects", in_objects.clone(), RPC),
        ("open brackets", open_only.clone(), RPC),
        ("open braces", "{\"rpc\":".repeat(500_000), RPC),
        ("100,000 members", format!("{{{broad}\"z\": 1}}"), RPC),
        (
            "arrays as arguments",
            format!("{{\"a\": {}{}}}", "[".repeat(million), "]".repeat(million)),
            "/v1/devices/mx1/rpc/get-a",
        ),
        (
            "a device of arrays",
            format!("{{\"name\": {}{}}}", "[".repeat(million), "]".repeat(million)),
            "/v1/devices",
        ),
        ("a device of open brackets", open_only, "/v1/devices"),
        (
            "a command of arrays",
            format!("{{\"command\": {}{}}}", "[".repeat(million), "]".repeat(million)),
            "/v1/devices/mx1/cli",
        ),
    ] {
        let (status, problem) = post(&gateway, path, "application/json", body).await;
        assert_eq!(
            (status, code(&problem)),
            (StatusCode::BAD_REQUEST, "invalid-argument"),
            "{name}: {problem}"
        );
        pointer(&problem, name);
        assert!(
            problem.to_string().len() < 4096,
            "{name}: the problem repeats the bomb"
        );
    }
    for (name, open, close) in [
        ("elements", "<a>", "</a>"),
        ("elements with attributes", "<a b=\"1\">", "</a>"),
    ] {
        let body = format!("{}{}", open.repeat(100_000), close.repeat(100_000));
        let (status, problem) = post(&gateway, RPC, "application/xml", body).await;
        assert_eq!(
            (status, code(&problem)),
            (StatusCode::BAD_REQUEST, "invalid-argument"),
            "{name}: {problem}"
        );
    }

    // Beyond the limit, plain, packed, and without saying how long it will be.
    let large = vec![b' '; (4 << 20) + 1];
    let (status, problem) = post(&gateway, RPC, "application/json", large.clone()).await;
    assert_eq!(
        (status, code(&problem)),
        (StatusCode::PAYLOAD_TOO_LARGE, "payload-too-large"),
        "{problem}"
    );
    is_callers_problem(status, &problem, "a large body");
    let pieces = large
        .chunks(64 * 1024)
        .map(|piece| Ok::<_, std::io::Error>(piece.to_vec()))
        .collect::<Vec<_>>();
    let stream = reqwest::Body::wrap_stream(futures_util::stream::iter(pieces));
    let (status, problem) = post(&gateway, RPC, "application/json", stream).await;
    assert_eq!(
        (status, code(&problem)),
        (StatusCode::PAYLOAD_TOO_LARGE, "payload-too-large"),
        "{problem}"
    );
    let bomb = gzip(&vec![b' '; 200 << 20]);
    assert!(bomb.len() < 1 << 20);
    let packed = |body: Vec<u8>| {
        let request = gateway
            .request(Method::POST, RPC)
            .header("Content-Type", "application/json");
        answer(request.header("Content-Encoding", "gzip").body(body))
    };
    let (status, problem) = packed(bomb).await;
    assert_eq!(
        (status, code(&problem)),
        (StatusCode::PAYLOAD_TOO_LARGE, "payload-too-large"),
        "{problem}"
    );
    for (name, body) in [
        ("no gzip", b"{}".to_vec()),
        ("half a gzip", gzip(b"{\"rpc\": {}}")[..12].to_vec()),
    ] {
        let (status, problem) = packed(body).await;
        assert_eq!(
            (status, code(&problem)),
            (StatusCode::BAD_REQUEST, "invalid-argument"),
            "{name}: {problem}"
        );
    }
    let brotli = gateway
        .request(Method::POST, RPC)
        .header("Content-Encoding", "br")
        .body("x");
    assert_eq!(answer(brotli).await.0, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    nothing_was_sent(&device);

    // What is packed and good is taken (H14).
    let (status, body) = packed(gzip(b"{\"rpc\": {\"get-system-uptime-information\": null}}")).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    gateway.stop().await;
    device.stop().await;
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    packer.write_all(bytes).expect("packing into memory");
    packer.finish().expect("packing into memory")
}

/// H1: devices in their JSON; every fault is told at once.
#[tokio::test]
async fn bad_devices_are_refused_with_every_fault() {
    let gateway = TestGateway::start().await;
    let good = json!({"name": "mx9", "address": "127.0.0.1", "username": "u", "auth": {"password": "p"}});
    let with = |pointer: &str, value: Value| {
        let mut body = good.clone();
        body[pointer] = value;
        body
    };
    let cases = [
        (with("nmae", json!("x")), "/nmae"),
        (with("name", json!("a/b")), "/name"),
        (with("name", json!("..")), "/name"),
        (with("name", json!("")), "/name"),
        (with("name", json!("x".repeat(65))), "/name"),
        (with("name", json!("a\r\nb")), "/name"),
        (with("name", json!(7)), "/name"),
        (with("port", json!("830")), "/port"),
        (with("port", json!(0)), "/port"),
        (with("port", json!(65536)), "/port"),
        (with("port", json!(830.5)), "/port"),
        (with("port", json!(-1)), "/port"),
        (with("transport", json!("telnet")), "/transport"),
        (with("username", json!("a\u{0}b")), "/username"),
        (with("auth", json!({})), "/auth"),
        (with("auth", json!("p")), "/auth"),
        (with("auth", json!({"password": ""})), "/auth/password"),
        (with("auth", json!({"pasword": "p"})), "/auth"),
        (
            with("auth", json!({"private_key": "no key"})),
            "/auth/private_key",
        ),
        (with("host_key", json!({"policy": "any"})), "/host_key/policy"),
        (with("host_key", json!({"keys": ["x"]})), "/host_key/keys/0"),
        (with("pool", json!({"max_sessions": 0})), "/pool/max_sessions"),
        (with("pool", json!({"max_sessions": 1e308})), "/pool/max_sessions"),
        (
            with("timeouts", json!({"rpc_seconds": -1})),
            "/timeouts/rpc_seconds",
        ),
        (with("timeouts", json!({"rpc": 1})), "/timeouts/rpc"),
        (with("labels", json!({"a": 1})), "/labels/a"),
        (with("labels", json!(["a"])), "/labels"),
        (
            with("compatibility", json!({"policy": "maybe"})),
            "/compatibility/policy",
        ),
        (with("proxy_jump", json!({})), "/proxy_jump"),
        (
            with("proxy_jump", json!([{"address": "h"}])),
            "/proxy_jump/0/username",
        ),
        (with("ssh_profile", json!("ancient")), "/ssh_profile"),
        (with("partial", json!(true)), "/partial"),
    ];
    for (body, expected) in cases {
        let (status, problem) = gateway.post("/v1/devices", &body).await;
        assert_eq!(
            (status, code(&problem)),
            (StatusCode::BAD_REQUEST, "invalid-argument"),
            "{body}: {problem}"
        );
        assert_eq!(
            pointer(&problem, &body.to_string()),
            expected,
            "{body}: {problem}"
        );
    }
    let (_, problem) = gateway
        .post("/v1/devices", &json!({"name": "", "port": 0, "x": 1}))
        .await;
    let pointers: Vec<_> = problem["errors"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|fault| &fault["pointer"])
        .collect();
    for expected in ["/name", "/port", "/x", "/address", "/username", "/auth"] {
        assert!(
            pointers.contains(&&json!(expected)),
            "{expected} is missing in {pointers:?}"
        );
    }
    let twice =
        r#"{"name": "a", "name": "b", "address": "127.0.0.1", "username": "u", "auth": {"password": "p"}}"#;
    let (status, problem) = post(&gateway, "/v1/devices", "application/json", twice).await;
    assert_eq!(
        (status, pointer(&problem, twice)),
        (StatusCode::BAD_REQUEST, "/name"),
        "{problem}"
    );
    let deeper = r#"{"name": "a", "address": "127.0.0.1", "username": "u", "auth": {"password": "p", "password": "q"}}"#;
    let (status, problem) = post(&gateway, "/v1/devices", "application/json", deeper).await;
    assert_eq!(
        (status, pointer(&problem, deeper)),
        (StatusCode::BAD_REQUEST, "/auth/password"),
        "{problem}"
    );
    assert_eq!(gateway.read("/v1/devices").await["devices"], json!([]));
    gateway.stop().await;
}

/// H1, H6, H10, H15: query options and headers.
#[tokio::test]
async fn bad_options_are_refused_with_their_name() {
    let (gateway, device) = TestGateway::with_device(junos()).await;
    for (path, expected) in [
        ("/v1/devices?page_sise=3", "?page_sise"),
        ("/v1/devices?page_size=-1", "?page_size"),
        ("/v1/devices?page_size=1001", "?page_size"),
        ("/v1/devices?page_size=99999999999999999999", "?page_size"),
        ("/v1/devices?page_size=1&page_size=2", "?page_size"),
        ("/v1/devices?page_token=x", "?page_token"),
        ("/v1/devices?label=a", "?label"),
        ("/v1/devices?label", "?label"),
        ("/v1/devices?label=a=1&label=a=2", "?label"),
        ("/v1/devices/mx1?x", "?x"),
        ("/v1/devices/mx1/capabilities?x=1", "?x"),
        ("/v1/devices/mx1/sessions?x=1", "?x"),
        ("/v1/devices/mx1/schemas?x=1", "?x"),
        ("/v1/devices/mx1/schemas/s?x=1", "?x"),
        ("/v1/devices/mx1/config?sources=running", "?sources"),
        ("/v1/devices/mx1/config?source=nowhere", "?source"),
        ("/v1/devices/mx1/config?format=yaml", "?format"),
        ("/v1/devices/mx1/config?mapping=x", "?mapping"),
        ("/v1/devices/mx1/config?ns=maybe", "?ns"),
        ("/v1/devices/mx1/config?hints=junos-0", "?hints"),
        ("/v1/devices/mx1/config?count=-1", "?count"),
        ("/v1/devices/mx1/config?path=a&path=b", "?path"),
        ("/v1/devices/mx1/config?with_defaults=x", "?with_defaults"),
        ("/v1/devices/mx1/config?protocol=x", "?protocol"),
        ("/v1/devices/mx1/config/compare?from=rollback:x", "?from"),
        ("/v1/devices/mx1/config/compare?with=x", "?with"),
        ("/v1/devices/mx1/cli/rpc", "?command"),
        ("/v1/devices/mx1/cli/rpc?command=show%20version&x=1", "?x"),
        ("/v1/devices/mx1/rpc/get-a?a%zz=1", "?"),
        ("/v1/devices/mx1/rpc/get-a?b=%ff", "?b"),
        ("/v1/devices/mx1/rpc/get-a?plan=perhaps", "?plan"),
        ("/v1/status?x=1", "?x"),
        ("/v1/version?x=1", "?x"),
    ] {
        let (status, problem) = gateway.get(path).await;
        assert_eq!(
            (status, code(&problem)),
            (StatusCode::BAD_REQUEST, "invalid-argument"),
            "{path}: {problem}"
        );
        assert_eq!(pointer(&problem, path), expected, "{path}: {problem}");
        is_callers_problem(status, &problem, path);
    }
    // Arguments of an RPC in the query are names, too.
    for path in [
        "/v1/devices/mx1/rpc/get-a?b%20c=1",
        "/v1/devices/mx1/rpc/get-a?b=%01",
        "/v1/devices/mx1/rpc/get-a?%3Cb%3E",
        "/v1/devices/mx1/rpc/get%20a",
        "/v1/devices/mx1/rpc/1a",
        "/v1/devices/mx1/rpc/%3Cget%2F%3E",
        "/v1/devices/mx1/rpc/a:b",
    ] {
        let (status, problem) = gateway.get(path).await;
        assert_eq!(
            (status, code(&problem)),
            (StatusCode::BAD_REQUEST, "invalid-argument"),
            "{path}: {problem}"
        );
        pointer(&problem, path);
    }
    for bad in ["0", "-1", "1.5", "soon", "86401", ""] {
        let request = gateway
            .request(Method::GET, "/v1/devices/mx1/rpc/get-a")
            .header("Request-Timeout", bad);
        let (status, problem) = answer(request).await;
        assert_eq!(
            (status, pointer(&problem, bad)),
            (StatusCode::BAD_REQUEST, "Request-Timeout"),
            "{problem}"
        );
    }
    nothing_was_sent(&device);
    gateway.stop().await;
    device.stop().await;
}

/// H10: a page token belongs to its filter.
#[tokio::test]
async fn page_token_of_another_filter_is_refused() {
    let gateway = TestGateway::start().await;
    for name in ["a", "b", "c"] {
        let body = json!({"name": name, "address": "127.0.0.1", "username": "u", "auth": {"password": "p"},
            "labels": {"k": "v"}});
        assert_eq!(gateway.post("/v1/devices", &body).await.0, StatusCode::CREATED);
    }
    let page = gateway.read("/v1/devices?page_size=1&label=k=v").await;
    let token = page["next_page_token"].as_str().expect("there is more");
    let next = gateway
        .read(&format!("/v1/devices?page_size=1&label=k=v&page_token={token}"))
        .await;
    assert_eq!(next["devices"][0]["name"], "b");
    let mut spoiled = token.to_owned();
    spoiled.pop();
    for path in [
        format!("/v1/devices?page_size=1&page_token={token}"),
        format!("/v1/devices?page_size=1&label=k=w&page_token={token}"),
        format!("/v1/devices?page_size=1&label=k=v&page_token={spoiled}"),
    ] {
        let (status, problem) = gateway.get(&path).await;
        assert_eq!(
            (status, pointer(&problem, &path)),
            (StatusCode::BAD_REQUEST, "?page_token"),
            "{path}: {problem}"
        );
    }
    gateway.stop().await;
}

/// H2: unknown things are 404, whatever is asked of them.
#[tokio::test]
async fn unknown_devices_and_paths_are_not_found() {
    let gateway = TestGateway::start().await;
    let body = Some(json!({}));
    let rpc = Some(json!({"rpc": {"get-a": null}}));
    let command = Some(json!({"command": "show version"}));
    for (method, path, body) in [
        (Method::GET, "/v1/devices/mx1", None),
        (Method::PATCH, "/v1/devices/mx1", body.clone()),
        (Method::DELETE, "/v1/devices/mx1", None),
        (Method::POST, "/v1/devices/mx1/check", body.clone()),
        (Method::GET, "/v1/devices/mx1/capabilities", None),
        (Method::GET, "/v1/devices/mx1/schemas", None),
        (Method::GET, "/v1/devices/mx1/schemas/s", None),
        (Method::GET, "/v1/devices/mx1/sessions", None),
        (Method::POST, "/v1/devices/mx1/rpc", rpc),
        (Method::GET, "/v1/devices/mx1/rpc/get-a", None),
        (Method::POST, "/v1/devices/mx1/rpc/get-a", body),
        (Method::POST, "/v1/devices/mx1/cli", command),
        (
            Method::GET,
            "/v1/devices/mx1/cli/rpc?command=show%20version",
            None,
        ),
        (Method::GET, "/v1/devices/mx1/config", None),
        (Method::GET, "/v1/devices/mx1/config/compare", None),
        (Method::GET, "/v1/devices/a%2fb", None),
        (Method::GET, "/v1/devices/%00", None),
        (Method::GET, "/v1/devices/", None),
        (Method::GET, "/v1/devices/mx1/nothing", None),
        (Method::GET, "/v2/devices", None),
        (Method::GET, "/v1", None),
        (Method::GET, "/problems/no-such-code", None),
    ] {
        let mut request = gateway.request(method.clone(), path);
        if let Some(body) = &body {
            let media_type = if method == Method::PATCH {
                "application/merge-patch+json"
            } else {
                "application/json"
            };
            request = request.header("Content-Type", media_type).body(body.to_string());
        }
        let (status, problem) = answer(request).await;
        assert_eq!(
            (status, code(&problem)),
            (StatusCode::NOT_FOUND, "not-found"),
            "{method} {path}: {problem}"
        );
        is_callers_problem(status, &problem, path);
    }
    gateway.stop().await;
}

/// H2, H15: 405 names what works.
#[tokio::test]
async fn wrong_methods_are_told_the_right_ones() {
    let (gateway, device) = TestGateway::with_device(junos()).await;
    for (method, path, allow) in [
        (Method::PUT, "/v1/devices", &["GET", "HEAD", "POST"][..]),
        (Method::DELETE, "/v1/devices", &["GET", "HEAD", "POST"]),
        (
            Method::POST,
            "/v1/devices/mx1",
            &["GET", "HEAD", "PATCH", "DELETE"],
        ),
        (
            Method::PUT,
            "/v1/devices/mx1",
            &["GET", "HEAD", "PATCH", "DELETE"],
        ),
        (Method::GET, "/v1/devices/mx1/check", &["POST"]),
        (Method::POST, "/v1/devices/mx1/capabilities", &["GET", "HEAD"]),
        (Method::GET, "/v1/devices/mx1/rpc", &["POST"]),
        (Method::PUT, "/v1/devices/mx1/rpc/get-a", &["GET", "HEAD", "POST"]),
        (Method::GET, "/v1/devices/mx1/cli", &["POST"]),
        (Method::POST, "/v1/devices/mx1/config", &["GET", "HEAD"]),
        (Method::POST, "/livez", &["GET", "HEAD"]),
        (
            Method::from_bytes(b"BREW").expect("a method"),
            "/v1/devices",
            &["GET", "HEAD", "POST"],
        ),
        // What is not known to only read needs POST.
        (
            Method::GET,
            "/v1/devices/mx1/rpc/request-system-reboot",
            &["POST"],
        ),
        (Method::GET, "/v1/devices/mx1/rpc/clear-arp-table", &["POST"]),
    ] {
        let response = gateway
            .request(method.clone(), path)
            .send()
            .await
            .expect("an answer");
        let place = format!("{method} {path}");
        assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED, "{place}");
        let allowed = response
            .headers()
            .get("allow")
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        let mut names: Vec<&str> = allowed.split(',').map(str::trim).collect();
        names.sort_unstable();
        let mut expected = allow.to_vec();
        expected.sort_unstable();
        assert_eq!(names, expected, "{place}");
        let problem: Value = response.json().await.expect("a problem");
        is_callers_problem(StatusCode::METHOD_NOT_ALLOWED, &problem, &place);
    }
    nothing_was_sent(&device);
    gateway.stop().await;
    device.stop().await;
}

/// H4: media types of bodies and of answers.
#[tokio::test]
async fn wrong_media_types_are_refused_and_quality_counts() {
    let (gateway, device) = TestGateway::with_device(junos()).await;
    let json_body = "{\"rpc\": {\"get-system-uptime-information\": null}}";
    for (path, media_type) in [
        (RPC, "text/plain"),
        (RPC, "application/x-www-form-urlencoded"),
        (RPC, "application/json; charset=latin1"),
        (RPC, "application/merge-patch+json"),
        (RPC, "json"),
        (RPC, ""),
        ("/v1/devices", "application/xml"),
        ("/v1/devices/mx1/cli", "text/plain"),
        ("/v1/devices/mx1/rpc/get-a", "text/plain"),
        ("/v1/devices/mx1/check", "text/plain"),
    ] {
        let (status, problem) = post(&gateway, path, media_type, json_body).await;
        let place = format!("{path} as {media_type}");
        assert_eq!(
            (status, code(&problem)),
            (StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type"),
            "{place}: {problem}"
        );
        is_callers_problem(status, &problem, &place);
    }
    let patch = gateway
        .request(Method::PATCH, "/v1/devices/mx1")
        .header("Content-Type", "application/json")
        .body("{}");
    assert_eq!(answer(patch).await.0, StatusCode::UNSUPPORTED_MEDIA_TYPE);

    let read = "/v1/devices/mx1/rpc/get-system-uptime-information";
    for (path, accept) in [
        (read, "text/html"),
        (read, "application/json;q=0, application/xml;q=0"),
        (read, "image/*"),
        ("/v1/devices", "application/xml"),
        ("/v1/devices", "application/json;q=0"),
        ("/v1/devices", "*/*;q=0"),
        ("/v1/status", "text/plain"),
    ] {
        let (status, problem) = answer(gateway.request(Method::GET, path).header("Accept", accept)).await;
        assert_eq!(
            (status, code(&problem)),
            (StatusCode::NOT_ACCEPTABLE, "not-acceptable"),
            "{path} as {accept}: {problem}"
        );
    }
    nothing_was_sent(&device);

    for (accept, media_type) in [
        ("*/*", "application/json"),
        ("application/*", "application/json"),
        ("application/xml", "application/xml"),
        ("application/xml;q=0.9, application/json;q=0.8", "application/xml"),
        ("application/xml;q=0.1, */*;q=0.2", "application/json"),
        ("text/html, application/xml;q=0.9, */*;q=0.8", "application/xml"),
        ("application/json;q=0, */*", "application/xml"),
        ("APPLICATION/XML", "application/xml"),
    ] {
        let response = gateway
            .request(Method::GET, read)
            .header("Accept", accept)
            .send()
            .await
            .expect("an answer");
        assert_eq!(response.status(), StatusCode::OK, "{accept}");
        let found = response.headers()["content-type"]
            .to_str()
            .expect("text")
            .to_owned();
        assert!(found.starts_with(media_type), "{accept}: {found}");
        let body = response.text().await.expect("text");
        assert_eq!(
            body.starts_with('<'),
            media_type == "application/xml",
            "{accept}: {body}"
        );
    }
    gateway.stop().await;
    device.stop().await;
}
