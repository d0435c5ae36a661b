//! Bodies made to exhaust a gateway.

use std::io::Write;

use reqwest::{Method, StatusCode};

use crate::support::refused::{is_callers_problem, nothing_was_sent, pointer, post};
use crate::support::{TestGateway, answer, code, junos};

const RPC: &str = "/v1/devices/mx1/rpc";

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

/// N11, X3: what a caller writes may be as deep as the message may be that it stands in, and no deeper.
#[tokio::test]
async fn the_last_level_is_sent_and_the_next_is_not() {
    const DEEPEST: usize = 97;
    let (gateway, device) = TestGateway::with_device(junos()).await;
    let xml = |levels: usize| format!("{}{}", "<a>".repeat(levels), "</a>".repeat(levels));
    let json = |levels: usize| {
        let inside = levels - 1;
        let (open, close) = ("{\"a\":".repeat(inside), "}".repeat(inside));
        format!("{{\"rpc\":{{\"a\":{open}null{close}}}}}")
    };
    for (media_type, beyond) in [
        ("application/xml", xml(DEEPEST + 1)),
        ("application/json", json(DEEPEST + 1)),
    ] {
        let (status, problem) = post(&gateway, RPC, media_type, beyond).await;
        assert_eq!(
            (status, code(&problem)),
            (StatusCode::BAD_REQUEST, "invalid-argument"),
            "{media_type}: {problem}"
        );
    }
    nothing_was_sent(&device);
    for (media_type, deepest) in [
        ("application/xml", xml(DEEPEST)),
        ("application/json", json(DEEPEST)),
    ] {
        let (_, problem) = post(&gateway, RPC, media_type, deepest).await;
        assert_eq!(
            (&problem["origin"], &problem["detail"]),
            (&serde_json::json!("device"), &serde_json::json!("syntax error")),
            "{media_type}: {problem}"
        );
    }
    gateway.stop().await;
    device.stop().await;
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    packer.write_all(bytes).expect("packing into memory");
    packer.finish().expect("packing into memory")
}
