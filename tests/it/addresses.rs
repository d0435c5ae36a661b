//! Where the gateway may be sent (conventions X8, threat 7): neither devices nor URLs lead to where the operator did
//! not say.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::child::device_body;
use crate::support::{TestGateway, answer, code, junos, listen};

/// Spellings of loopback, link-local and unspecified addresses, and of none at all.
const DENIED: &[&str] = &[
    "127.0.0.1",
    "127.8.9.10",
    "::1",
    "::ffff:127.0.0.1",
    "::ffff:7f00:1",
    "::127.0.0.1",
    "64:ff9b::127.0.0.1",
    "2002:7f00:1::",
    "169.254.169.254",
    "::ffff:169.254.169.254",
    "fe80::1",
    "0.0.0.0",
    "::",
    "224.0.0.1",
    "255.255.255.255",
];
/// What resolvers may read as an address, and what is none.
const NO_ADDRESS: &[&str] = &[
    "2130706433",
    "0x7f000001",
    "017700000001",
    "127.1",
    "127.0.0.1.",
    "0177.0.0.1",
    "0x7f.0.0.1",
    "[::1]",
    "127.0.0.1:830",
    "admin@127.0.0.1",
    "http://127.0.0.1",
    "a b",
    "a\r\nb",
    "",
    "%31%32%37.0.0.1",
    "fe80::1%lo",
];

async fn strict() -> TestGateway {
    TestGateway::with(|settings| settings.device_networks = None).await
}

fn pointer(problem: &Value) -> &str {
    problem["errors"][0]["pointer"]
        .as_str()
        .unwrap_or_else(|| panic!("no pointer: {problem}"))
}

/// X8: literal addresses are checked when the device is stored, for jump hosts as for devices.
#[tokio::test]
async fn denied_addresses_are_refused_when_they_are_stored() {
    let gateway = strict().await;
    let device = listen(junos()).await;
    for address in DENIED.iter().chain(NO_ADDRESS) {
        let body = device_body("mx1", &device, json!({"address": address}));
        let (status, problem) = gateway.post("/v1/devices", &body).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{address}: {problem}");
        assert_eq!(pointer(&problem), "/address", "{address}: {problem}");
        assert_eq!(problem["outcome"], "not_sent");
        let jump = json!({"address": address, "username": "u", "auth": {"password": "p"}});
        let body = device_body(
            "mx1",
            &device,
            json!({"address": "192.0.2.1", "proxy_jump": [jump]}),
        );
        let (status, problem) = gateway.post("/v1/devices", &body).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{address}: {problem}");
        assert_eq!(pointer(&problem), "/proxy_jump/0/address", "{address}: {problem}");
    }
    assert_eq!(gateway.read("/v1/devices").await["devices"], json!([]));

    // A change is no way around it.
    gateway.add("mx1", &device, json!({"address": "192.0.2.1"})).await;
    let patch = gateway.request(Method::PATCH, "/v1/devices/mx1");
    let patch = patch
        .header("Content-Type", "application/merge-patch+json")
        .body("{\"address\": \"127.0.0.1\"}");
    let (status, problem) = answer(patch).await;
    assert_eq!(
        (status, pointer(&problem)),
        (StatusCode::BAD_REQUEST, "/address"),
        "{problem}"
    );
    assert_eq!(gateway.read("/v1/devices/mx1").await["address"], "192.0.2.1");
    assert_eq!(device.stats().connections, 0);
    gateway.stop().await;
    device.stop().await;
}

/// X8: a name is resolved when it is dialled, and what it stands for is checked then.
#[tokio::test]
async fn name_that_leads_to_loopback_is_not_dialled() {
    let gateway = strict().await;
    let device = listen(junos()).await;
    gateway.add("mx1", &device, json!({"address": "localhost"})).await;
    let (status, problem) = gateway
        .get("/v1/devices/mx1/rpc/get-system-uptime-information")
        .await;
    assert_eq!(
        (status, code(&problem)),
        (StatusCode::BAD_REQUEST, "address-not-allowed"),
        "{problem}"
    );
    assert_eq!(problem["outcome"], "not_sent");
    assert_eq!(device.stats().connections, 0);
    gateway.stop().await;
    device.stop().await;
}

/// X8: ports can be restricted, too.
#[tokio::test]
async fn ports_beyond_the_list_are_refused() {
    let gateway = TestGateway::with(|settings| settings.device_ports = Some("830".to_owned())).await;
    let device = listen(junos()).await;
    let (status, problem) = gateway
        .post("/v1/devices", &device_body("mx1", &device, json!({})))
        .await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{problem}");
    assert_eq!(pointer(&problem), "/port", "{problem}");
    assert_eq!(device.stats().connections, 0);
    gateway.stop().await;
    device.stop().await;
}

/// X8, threat 7: a device is not sent anywhere either, in whatever clothes the URL comes, and nothing is connected.
#[tokio::test]
async fn urls_for_the_device_are_refused_unless_listed() {
    let (gateway, device) = TestGateway::with_device(junos()).await;
    for url in [
        "file:///etc/passwd",
        "ftp://192.0.2.1/x",
        "http://169.254.169.254/",
        "scp://u:p@192.0.2.1/x",
        "/var/tmp/x",
    ] {
        let path = format!(
            "/v1/devices/mx1/config?source={}",
            urlencode(&format!("url:{url}"))
        );
        let (status, problem) = gateway.get(&path).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{url}: {problem}");
        assert_eq!(problem["outcome"], "not_sent");
        assert!(
            !problem.to_string().contains("u:p@"),
            "credentials are told: {problem}"
        );

        for body in [
            json!({"rpc": {"request-package-add": {"package-name": url, "no-validate": null}}}),
            json!({"rpc": {"file-copy": {"source": "a", "destination": url}}}),
            json!({"rpc": {"get-software-information": {"url": url}}}),
            json!({"rpc": {"get-software-information": {"@": {"url": url}}}}),
            json!({"rpcs": [{"rpc": {"get-software-information": {"url": url}}}]}),
        ] {
            if url.starts_with('/') && !body.to_string().contains("\"url\"") {
                // A path on the device itself is an argument like any other.
                continue;
            }
            let (status, problem) = gateway.post("/v1/devices/mx1/rpc", &body).await;
            assert_eq!(status, StatusCode::BAD_REQUEST, "{body}: {problem}");
            assert!(pointer(&problem).starts_with("/rpc"), "{body}: {problem}");
            assert_eq!(problem["outcome"], "not_sent");
        }
    }
    let command = json!({"command": "file copy /config/juniper.conf ftp://192.0.2.1/"});
    let (status, problem) = gateway.post("/v1/devices/mx1/cli", &command).await;
    assert_eq!(
        (status, pointer(&problem)),
        (StatusCode::BAD_REQUEST, "/command"),
        "{problem}"
    );
    assert_eq!(problem["outcome"], "not_sent");
    assert_eq!(device.stats().connections, 0);
    gateway.stop().await;
    device.stop().await;
}

fn urlencode(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02x}")).collect()
}

/// Quality 3 row 17: what a web page can make a browser send reaches no gRPC method either, health and reflection
/// included.
#[tokio::test]
async fn web_pages_call_no_grpc_method() {
    let gateway = TestGateway::start().await;
    for path in [
        "/ncgate.v1.DeviceService/ListDevices",
        "/grpc.health.v1.Health/Check",
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    ] {
        let call = |headers: &[(&str, &str)]| {
            let mut request = gateway.request(Method::POST, path).body(vec![0u8; 5]);
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            request.send()
        };
        const GRPC: (&str, &str) = ("Content-Type", "application/grpc");
        for media in [
            "text/plain",
            "application/json",
            "application/grpcfoo",
            "application/grpc-web",
        ] {
            let refused = call(&[("Content-Type", media)]).await.expect("an answer");
            assert_eq!(
                refused.status(),
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "{path} {media}"
            );
        }
        for foreign in [
            ("Origin", "https://evil.example"),
            ("Host", "rebind.evil.example"),
        ] {
            let refused = call(&[GRPC, foreign]).await.expect("an answer");
            // PERMISSION_DENIED
            assert_eq!(refused.headers()["grpc-status"], "7", "{path} {foreign:?}");
        }
        let own = call(&[GRPC]).await.expect("an answer");
        assert_ne!(
            own.headers().get("grpc-status").map(|code| code.as_bytes()),
            Some(&b"7"[..]),
            "{path}"
        );
    }
}
