//! What callers can get wrong in bodies, options and headers: every request here is refused with the place and the reason,
//! and nothing is sent.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::refused::{is_callers_problem, nothing_was_sent, pointer, post};
use crate::support::{TestGateway, answer, code, junos};

const RPC: &str = "/v1/devices/mx1/rpc";

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
        ("/v1/devices?label==", "?label"),
        ("/v1/devices/mx1/config?xpath=", "?xpath"),
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
