//! What REST says when something is wrong.

use super::*;

/// H2: whatever goes wrong is a problem, with its pointer where there is a place to point at; nothing is sent.
#[tokio::test]
async fn every_failure_is_a_problem() {
    let served = Served::new().await;
    let before = served.device.stats();
    let raw = |method: &str, path: &str, content_type: &str, body: Vec<u8>| {
        let method = method.parse().expect("a method");
        served
            .client
            .request(method, served.url(path))
            .header("content-type", content_type)
            .body(body)
    };
    const JSON: &str = "application/json";
    let rpc = "/v1/devices/r1/rpc";
    let deep = format!(
        "{{\"rpc\": {{\"a\": {}{}}}}}",
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    let deep_names = format!(
        "{{\"rpc\": {}1{}}}",
        "{\"a\":".repeat(100_000),
        "}".repeat(100_000)
    );
    let broad: String = (0..100_000).map(|n| format!("\"k{n}\":1,")).collect();
    let cases: Vec<(&str, reqwest::RequestBuilder, u16, &str, Option<&str>)> = vec![
        ("unknown route", served.get("/v1/nothing"), 404, "not-found", None),
        ("no route at all", served.get("/v2/../x"), 404, "not-found", None),
        (
            "unknown device",
            served.get("/v1/devices/nobody/capabilities"),
            404,
            "not-found",
            None,
        ),
        (
            "wrong method",
            raw("PUT", "/v1/devices/r1", JSON, vec![]),
            405,
            "method-not-allowed",
            None,
        ),
        (
            "not acceptable",
            served.get("/v1/version").header("accept", "text/html"),
            406,
            "not-acceptable",
            None,
        ),
        (
            "unknown option",
            served.get("/v1/version?verbose"),
            400,
            "invalid-argument",
            Some("?verbose"),
        ),
        (
            "bad escape",
            served.get("/v1/devices?label=%25f%zz"),
            400,
            "invalid-argument",
            Some("?label"),
        ),
        (
            "huge page",
            served.get("/v1/devices?page_size=99999999999"),
            400,
            "invalid-argument",
            Some("?page_size"),
        ),
        (
            "bad token",
            served.get("/v1/devices?page_token=x"),
            400,
            "invalid-argument",
            Some("?page_token"),
        ),
        (
            "media type",
            raw("POST", rpc, "text/plain", b"{}".to_vec()),
            415,
            "unsupported-media-type",
            None,
        ),
        (
            "merge patch",
            raw("PATCH", "/v1/devices/r1", JSON, b"{}".to_vec()),
            415,
            "unsupported-media-type",
            None,
        ),
        (
            "too large",
            raw("POST", rpc, JSON, vec![b' '; 5 << 20]),
            413,
            "payload-too-large",
            None,
        ),
        (
            "no JSON",
            raw("POST", rpc, JSON, b"{\"rpc\":".to_vec()),
            400,
            "invalid-argument",
            Some(""),
        ),
        (
            "no object",
            raw("POST", rpc, JSON, b"[]".to_vec()),
            400,
            "invalid-argument",
            Some(""),
        ),
        (
            "no rpc",
            raw("POST", rpc, JSON, b"{}".to_vec()),
            400,
            "invalid-argument",
            Some("/rpc"),
        ),
        (
            "unknown member",
            raw("POST", rpc, JSON, br#"{"rpc":{"a":1},"x":1}"#.to_vec()),
            400,
            "invalid-argument",
            Some("/x"),
        ),
        (
            "twice",
            raw("POST", rpc, JSON, br#"{"rpc":{"a":1},"rpc":{"a":1}}"#.to_vec()),
            400,
            "invalid-argument",
            Some("/rpc"),
        ),
        (
            "twice below",
            raw("POST", rpc, JSON, br#"{"rpc":{"a":{"b":1,"b":2}}}"#.to_vec()),
            400,
            "invalid-argument",
            Some("/rpc/a/b"),
        ),
        (
            "wrong type",
            raw("POST", rpc, JSON, br#"{"rpc":"a"}"#.to_vec()),
            400,
            "invalid-argument",
            Some("/rpc"),
        ),
        (
            "no name",
            raw("POST", rpc, JSON, br#"{"rpc":{"a b":1}}"#.to_vec()),
            400,
            "invalid-argument",
            Some("/rpc/a b"),
        ),
        (
            "control",
            raw("POST", rpc, JSON, br#"{"rpc":{"a":"\u0001"}}"#.to_vec()),
            400,
            "invalid-argument",
            Some("/rpc/a"),
        ),
        (
            "deep lists",
            raw("POST", rpc, JSON, deep.into_bytes()),
            400,
            "invalid-argument",
            None,
        ),
        (
            "deep objects",
            raw("POST", rpc, JSON, deep_names.into_bytes()),
            400,
            "invalid-argument",
            None,
        ),
        (
            "broad",
            raw(
                "POST",
                "/v1/devices",
                JSON,
                format!("{{{broad}\"a\":1}}").into_bytes(),
            ),
            400,
            "invalid-argument",
            None,
        ),
        (
            "end marker",
            raw("POST", rpc, "application/xml", b"<a>]]>]]></a>".to_vec()),
            400,
            "invalid-argument",
            Some("/rpc"),
        ),
        (
            "doctype",
            raw("POST", rpc, "application/xml", b"<!DOCTYPE a><a/>".to_vec()),
            400,
            "invalid-argument",
            Some("/rpc"),
        ),
        (
            "own resource",
            raw("POST", rpc, JSON, br#"{"rpc":{"commit":null}}"#.to_vec()),
            400,
            "use-resource",
            None,
        ),
        (
            "timeout",
            served.get("/v1/version").header("request-timeout", "never"),
            400,
            "invalid-argument",
            Some("Request-Timeout"),
        ),
        (
            "etag",
            raw("DELETE", "/v1/devices/r1", JSON, vec![]).header("if-match", "5"),
            400,
            "invalid-argument",
            Some("if-match"),
        ),
        (
            "packing",
            raw("POST", rpc, JSON, vec![]).header("content-encoding", "br"),
            415,
            "unsupported-media-type",
            None,
        ),
        (
            "origin",
            raw("POST", rpc, JSON, b"{}".to_vec()).header("origin", "https://example.net"),
            403,
            "forbidden",
            None,
        ),
    ];
    for (what, request, status, code, pointer) in cases {
        let response = request
            .send()
            .await
            .unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(
            response.headers()["content-type"],
            "application/problem+json",
            "{what}"
        );
        assert_eq!(response.headers()["x-content-type-options"], "nosniff", "{what}");
        let request_id = response.headers()["x-request-id"]
            .to_str()
            .expect("text")
            .to_owned();
        if status == 405 {
            assert!(
                response.headers()["allow"]
                    .to_str()
                    .is_ok_and(|allow| allow.contains("PATCH")),
                "{what}"
            );
        }
        let found = response.status().as_u16();
        let problem: Value = response
            .json()
            .await
            .unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(
            (found, problem["code"].as_str()),
            (status, Some(code)),
            "{what}: {problem:#}"
        );
        assert_eq!(problem["status"], status, "{what}");
        assert_eq!(problem["type"], format!("/problems/{code}"), "{what}");
        assert_eq!(problem["request_id"], request_id, "{what}");
        assert_eq!(problem["outcome"], "not_sent", "{what}");
        if pointer.is_some() {
            assert_eq!(
                problem["errors"][0]["pointer"].as_str(),
                pointer,
                "{what}: {problem:#}"
            );
        }
    }
    assert_eq!(served.device.stats(), before, "something reached the device");
}

/// H15: GET reads only.
#[tokio::test]
async fn get_refuses_what_may_change_something() {
    let served = Served::new().await;
    let refused = served
        .get("/v1/devices/r1/rpc/request-reboot")
        .send()
        .await
        .expect("an answer");
    assert_eq!(
        (refused.status().as_u16(), &refused.headers()["allow"]),
        (405, &"POST".parse().expect("a header"))
    );
    let head = served
        .client
        .head(served.url("/v1/devices/r1/rpc/get-software-information"));
    let head = head.send().await.expect("an answer");
    assert_eq!(head.status(), 200);
    assert!(head.text().await.expect("no body").is_empty());
}

/// S18, conventions section 2: what the device says reaches the caller, with the status of its error.
#[tokio::test]
async fn device_errors_arrive_whole() {
    let served = Served::new().await;
    let (status, problem) = json(served.get("/v1/devices/r1/rpc/get-nothing-at-all")).await;
    assert!(status == 405 || status == 400, "{problem:#}");
    let (status, problem) =
        json(served.post("/v1/devices/r1/rpc/get-interface-information?frobnicate")).await;
    assert_eq!(
        (status, problem["origin"].as_str()),
        (400, Some("device")),
        "{problem:#}"
    );
    assert_eq!(problem["outcome"], "not_applied");
    assert!(
        problem["rpc_errors"][0]["error_message"].is_string(),
        "{problem:#}"
    );
    assert_eq!(problem["device"], "r1");
}
