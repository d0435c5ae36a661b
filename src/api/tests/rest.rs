//! Through REST.

use std::io::Write;

use super::*;
use crate::emulator::{Fault, Rule};

/// Issue item 2, H9: the inventory through its whole life.
#[tokio::test]
async fn device_is_added_changed_and_removed() {
    let served = Served::new().await;
    let created = served
        .post("/v1/devices")
        .json(&served.document("r2"))
        .send()
        .await
        .expect("an answer");
    assert_eq!(created.status(), 201);
    assert_eq!(created.headers()["location"], "/v1/devices/r2");
    assert_eq!(created.headers()["cache-control"], "no-store");
    let etag = created.headers()["etag"].to_str().expect("text").to_owned();
    let text = created.text().await.expect("a body");
    assert!(!text.contains("lab123"), "credentials came back: {text}");

    let (status, again) = json(served.post("/v1/devices").json(&served.document("r2"))).await;
    assert_eq!((status, again["code"].as_str()), (409, Some("already-exists")));

    let unchanged = served
        .get("/v1/devices/r2")
        .header("if-none-match", &etag)
        .send()
        .await
        .expect("an answer");
    assert_eq!(unchanged.status(), 304);
    assert_eq!(unchanged.headers()["etag"], etag.as_str());

    let patch = |etag: &str, body: &'static str| {
        let request = served
            .client
            .patch(served.url("/v1/devices/r2"))
            .header("if-match", etag);
        request
            .header("content-type", "application/merge-patch+json")
            .body(body)
    };
    let (status, changed) = json(patch(&etag, r#"{"labels": {"role": "pe"}}"#)).await;
    assert_eq!(
        (status, &changed["labels"]),
        (200, &json!({"role": "pe", "site": "lab"}))
    );
    let (status, stale) = json(patch(&etag, r#"{"labels": {"role": "p"}}"#)).await;
    assert_eq!((status, stale["code"].as_str()), (412, Some("etag-mismatch")));
    let (status, wrong) = json(patch("*", r#"{"timeouts": {"rpc_seconds": "soon"}}"#)).await;
    assert_eq!(
        (status, wrong["errors"][0]["pointer"].as_str()),
        (400, Some("/timeouts/rpc_seconds"))
    );

    let (_, page) = json(served.get("/v1/devices?page_size=1")).await;
    assert_eq!(page["devices"][0]["name"], "r1");
    let token = page["next_page_token"].as_str().expect("there is more");
    let (_, page) = json(served.get(&format!("/v1/devices?page_size=1&page_token={token}"))).await;
    assert_eq!(
        (page["devices"][0]["name"].as_str(), page.get("next_page_token")),
        (Some("r2"), None)
    );
    let (_, page) = json(served.get("/v1/devices?label=role=pe")).await;
    assert_eq!(page["devices"].as_array().map(Vec::len), Some(1));

    let gone = served
        .client
        .delete(served.url("/v1/devices/r2"))
        .send()
        .await
        .expect("an answer");
    assert_eq!(gone.status(), 204);
    let (status, problem) = json(served.get("/v1/devices/r2")).await;
    assert_eq!((status, problem["code"].as_str()), (404, Some("not-found")));
}

/// Design section 4: the envelope, by name, as a body, as XML, and the mapping that it names.
#[tokio::test]
async fn rpc_is_answered_with_the_envelope() {
    let served = Served::new().await;
    let (status, answer) = json(served.get("/v1/devices/r1/rpc/get-interface-information?terse")).await;
    assert_eq!(status, 200, "{answer:#}");
    assert!(
        answer["data"]["interface-information"]["physical-interface"].is_array(),
        "{answer:#}"
    );
    let members: Vec<&str> = answer
        .as_object()
        .expect("an object")
        .keys()
        .map(String::as_str)
        .collect();
    let expected = [
        "device",
        "session_id",
        "message_id",
        "attributes",
        "banner",
        "data",
        "warnings",
        "complete",
        "lossy",
        "mapping",
        "namespaces",
        "request_id",
    ];
    assert_eq!(members, expected);
    assert_eq!(
        (answer["device"].as_str(), &answer["complete"]),
        (Some("r1"), &json!(true))
    );
    assert!(
        answer["mapping"]
            .as_str()
            .is_some_and(|mapping| mapping.starts_with("ncj/1")),
        "{answer:#}"
    );

    let body = json!({"rpc": {"get-interface-information": {"terse": null}}, "attributes": {"trace": "a<b"}});
    let (status, whole) = json(served.post("/v1/devices/r1/rpc").json(&body)).await;
    assert_eq!(status, 200, "{whole:#}");
    assert_eq!(whole["data"], answer["data"]);
    // S8
    assert_eq!(whole["attributes"], json!({"trace": "a<b"}));

    let xml = served
        .post("/v1/devices/r1/rpc")
        .header("content-type", "application/xml");
    let (status, xml) =
        json(xml.body("<get-interface-information><terse/></get-interface-information>")).await;
    assert_eq!((status, &xml["data"]), (200, &answer["data"]));

    let named = served
        .post("/v1/devices/r1/rpc/get-interface-information")
        .json(&json!({"terse": null}));
    assert_eq!(json(named).await.1["data"], answer["data"]);

    // H4: the device's whole reply.
    let reply = served
        .get("/v1/devices/r1/rpc/get-interface-information?terse")
        .header("accept", "application/xml");
    let reply = reply.send().await.expect("an answer");
    assert_eq!(reply.headers()["content-type"], "application/xml");
    let text = reply.text().await.expect("a body");
    assert!(
        text.trim_start().starts_with("<rpc-reply") && text.trim_end().ends_with("</rpc-reply>"),
        "{text}"
    );
}

/// S10: CLI text, and text as data.
#[tokio::test]
async fn cli_text_is_a_string() {
    let served = Served::new().await;
    let body = json!({"command": "show version", "format": "text"});
    let (status, answer) = json(served.post("/v1/devices/r1/cli").json(&body)).await;
    assert_eq!(status, 200, "{answer:#}");
    assert!(
        answer["data"].as_str().is_some_and(|text| text.contains("Junos")),
        "{answer:#}"
    );
    assert_eq!(answer["mapping"], Value::Null);
    let (status, rpc) = json(served.get("/v1/devices/r1/cli/rpc?command=show%20version")).await;
    assert_eq!(status, 200, "{rpc:#}");
    assert_eq!(rpc["rpc"], json!({"get-software-information": null}));
}

/// Design section 4: a batch is 200 whatever becomes of its RPCs, each of which has its envelope or its problem.
#[tokio::test]
async fn batch_answers_with_envelopes_and_problems() {
    let served = Served::new().await;
    let body = json!({
        "rpcs": [
            {"rpc": {"get-software-information": null}},
            {"rpc": {"get-interface-information": {"interface-name": "no such interface"}}},
            {"rpc": {"get-system-uptime-information": null}},
        ],
        "on_error": "continue",
    });
    let (status, answer) = json(served.post("/v1/devices/r1/rpc").json(&body)).await;
    assert_eq!(status, 200, "{answer:#}");
    let results = answer["results"].as_array().expect("a list");
    assert_eq!(results.len(), 3, "{answer:#}");
    assert!(
        results[0]["data"]["software-information"].is_object(),
        "{answer:#}"
    );
    assert!(
        results[2]["data"]["system-uptime-information"].is_object(),
        "{answer:#}"
    );
}

/// S11 (reads) and `config/compare`.
#[tokio::test]
async fn configuration_is_read_and_compared() {
    let served = Served::new().await;
    let (status, answer) = json(served.get("/v1/devices/r1/config?path=system")).await;
    assert_eq!(status, 200, "{answer:#}");
    assert!(
        answer["data"]["configuration"]["system"].is_object(),
        "{answer:#}"
    );
    let (status, set) = json(served.get("/v1/devices/r1/config?format=set")).await;
    assert_eq!(status, 200, "{set:#}");
    assert!(
        set["data"]
            .as_str()
            .is_some_and(|text| text.contains("set system")),
        "{set:#}"
    );
    let (status, compared) = json(served.get("/v1/devices/r1/config/compare")).await;
    assert_eq!(status, 200, "{compared:#}");
    let (status, wrong) = json(served.get("/v1/devices/r1/config?source=yesterday")).await;
    assert_eq!(
        (status, wrong["errors"][0]["pointer"].as_str()),
        (400, Some("?source")),
        "{wrong:#}"
    );
}

#[tokio::test]
async fn check_capabilities_and_sessions_tell_of_the_device() {
    let served = Served::new().await;
    let (status, check) = json(served.post("/v1/devices/r1/check")).await;
    assert_eq!(status, 200, "{check:#}");
    assert_eq!(
        check["ssh"]["host_key_fingerprint"],
        served.device.host_key_fingerprint()
    );
    assert_eq!(check["software"][0]["host_name"], "r1");
    let (status, found) = json(served.get("/v1/devices/r1/capabilities")).await;
    assert_eq!(status, 200);
    let uris: Vec<&str> = found["capabilities"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|c| c["uri"].as_str())
        .collect();
    assert!(
        uris.contains(&"http://xml.juniper.net/netconf/junos/1.0"),
        "{uris:?}"
    );
    let (status, sessions) = json(served.get("/v1/devices/r1/sessions")).await;
    assert_eq!(status, 200, "{sessions:#}");
    json(served.get("/v1/devices/r1/rpc/get-software-information")).await;
    assert_eq!(
        json(served.get("/v1/devices/r1")).await.1["connection"]["state"],
        "connected"
    );
}

/// H5, H14: names of requests, packed answers and packed requests.
#[tokio::test]
async fn requests_are_named_and_answers_packed() {
    let served = Served::new().await;
    let named = served
        .get("/v1/version")
        .header("x-request-id", "my-request.1")
        .send()
        .await
        .expect("an answer");
    assert_eq!(named.headers()["x-request-id"], "my-request.1");
    assert!(named.headers().get("content-encoding").is_none());

    for packing in ["gzip", "zstd"] {
        let packed = served
            .get("/openapi.json")
            .header("accept-encoding", packing)
            .send()
            .await
            .expect("an answer");
        assert_eq!(packed.headers()["content-encoding"], packing);
        let small = served
            .get("/v1/version")
            .header("accept-encoding", packing)
            .send()
            .await
            .expect("an answer");
        assert!(small.headers().get("content-encoding").is_none());
    }

    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(br#"{"command": "show version"}"#)
        .expect("packing into memory");
    let request = served
        .post("/v1/devices/r1/cli")
        .header("content-type", "application/json");
    let request = request
        .header("content-encoding", "gzip")
        .body(gzip.finish().expect("packing into memory"));
    let (status, answer) = json(request).await;
    assert_eq!(status, 200, "{answer:#}");
}

/// H13 and the pages: all there, none with anything from elsewhere or inline.
#[tokio::test]
async fn pages_and_probes_are_served() {
    let served = Served::new().await;
    for path in [
        "/livez",
        "/readyz",
        "/metrics",
        "/openapi.json",
        "/docs",
        "/docs/docs.js",
        "/docs/docs.css",
        "/problems/queue-full",
    ] {
        let answer = served.get(path).send().await.expect("an answer");
        assert_eq!(answer.status(), 200, "{path}");
        let policy = answer.headers()["content-security-policy"]
            .to_str()
            .expect("text")
            .to_owned();
        assert!(!policy.contains("unsafe"), "{path}: {policy}");
        let text = answer.text().await.expect("a body");
        if path.starts_with("/docs") || path.starts_with("/problems") {
            assert!(
                !text.contains("https://") && !text.contains("style=") && !text.contains("onclick"),
                "{path}"
            );
        }
    }
    let metrics = served
        .get("/metrics")
        .send()
        .await
        .expect("an answer")
        .text()
        .await
        .expect("a body");
    assert!(
        metrics.contains("ncgate_http_requests_total{method=\"GET\",route=\"/livez\",status=\"200\"} 1"),
        "{metrics}"
    );
    assert_eq!(json(served.get("/problems/nothing")).await.0, 404);
}

/// Q8, issue "large replies": a reply of many megabytes arrives whole, and is JSON.
#[tokio::test]
async fn huge_reply_is_streamed_whole() {
    let served = Served::new().await;
    served
        .device
        .faults()
        .add(Rule::on("get-interface-information", Fault::HugeReply(3 << 20)).once());
    let (status, answer) = json(served.get("/v1/devices/r1/rpc/get-interface-information")).await;
    assert_eq!(status, 200);
    let interfaces = answer["data"]["interface-information"]["physical-interface"]
        .as_array()
        .map(Vec::len);
    assert!(interfaces.is_some_and(|count| count > 1000), "{interfaces:?}");
    assert_eq!(answer["request_id"].as_str().map(str::len), Some(26));
}

/// H6: the deadline of the caller counts.
#[tokio::test]
async fn request_timeout_ends_a_request() {
    let served = Served::new().await;
    json(served.get("/v1/devices/r1/rpc/get-system-uptime-information")).await;
    served
        .device
        .faults()
        .add(Rule::on("get-software-information", Fault::Delay(Duration::from_secs(60))).once());
    let request = served
        .get("/v1/devices/r1/rpc/get-software-information")
        .header("request-timeout", "1");
    let (status, problem) = json(request).await;
    assert_eq!(
        (status, problem["code"].as_str()),
        (504, Some("device-timeout")),
        "{problem:#}"
    );
    assert_eq!(problem["outcome"], "not_applied");
}
