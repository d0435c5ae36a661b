//! Requests that no resource takes: a page token of another list, unknown paths, wrong methods and media types.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::refused::{is_callers_problem, nothing_was_sent, pointer, post};
use crate::support::{TestGateway, answer, code, junos};

const RPC: &str = "/v1/devices/mx1/rpc";

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
