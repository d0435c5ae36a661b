//! Where a request is wrong: told in one line, and place by place, as the caller wrote it; and what has a bound.

use std::time::Duration;

use ncgate::api::grpc::proto;
use proto::rpc_service_client::RpcServiceClient;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tonic::Request;
use tonic_types::StatusExt;

use crate::support::doors::{DOORS, Refusal, bad, good};
use crate::support::{PASSWORD, TestGateway, USER, answer, code, junos};

fn pointer(problem: &Value) -> &str {
    problem["errors"][0]["pointer"].as_str().expect("a pointer")
}

/// H2: the detail of a 400 names the first place, and says how many more there are.
#[tokio::test]
async fn detail_names_the_first_place_and_counts_the_others() {
    let gateway = TestGateway::start().await;
    for door in DOORS {
        let document = json!({"name": "r1", "address": "", "username": "", "auth": {"password": "x"}});
        let refusal = bad(door, gateway.create(door, &document).await);
        assert_eq!(refusal.verdict(), ("invalid-argument", "not_sent"));
        let detail = &refusal.detail;
        assert!(detail.contains("address: "), "{detail}");
        assert!(refusal.fields.len() > 1, "{refusal:?}");
        let more = format!(" (and {} more)", refusal.fields.len() - 1);
        assert!(detail.ends_with(&more), "{detail}");
    }
    let (_, problem) = gateway.get("/v1/devices?page_size=1001").await;
    assert_eq!(problem["detail"], "?page_size: 1001 is more than 1000");
}

/// H2: an option is `?name` where it stood in the query, `/name` in the body, `{name}` in the path.
#[tokio::test]
async fn pointers_name_the_place_where_it_stood() {
    let (gateway, _device) = TestGateway::with_device(junos()).await;
    let rpc = "/v1/devices/mx1/rpc";
    let body = |more: Value| {
        let mut body = json!({"rpc": {"get-x": null}});
        for (name, value) in more.as_object().expect("an object") {
            body[name] = value.clone();
        }
        body
    };
    for (path, sent, expected) in [
        (rpc.to_owned(), body(json!({"format": "set"})), "/format"),
        (format!("{rpc}?format=set"), body(json!({})), "?format"),
        (rpc.to_owned(), body(json!({"mapping": "x"})), "/mapping"),
        (format!("{rpc}?mapping=x"), body(json!({})), "?mapping"),
        (
            rpc.to_owned(),
            body(json!({"attributes": {"message-id": "1"}})),
            "/attributes/message-id",
        ),
        (
            format!("{rpc}?attr.message-id=1"),
            body(json!({})),
            "?attr.message-id",
        ),
        (format!("{rpc}/get-x"), json!({"a": {"b c": 1}}), "/a/b c"),
        (format!("{rpc}/get%20x"), json!({}), "{name}"),
        (format!("{rpc}/get-x?plan=true"), json!({"a": 1}), "?plan"),
        (rpc.to_owned(), json!({"rpcs": [{"1bad": null}]}), "/rpcs/0/1bad"),
        (
            rpc.to_owned(),
            json!({"rpcs": [{"get-x": null}, {"get-y": {"b c": 1}}]}),
            "/rpcs/1/get-y/b c",
        ),
        (
            rpc.to_owned(),
            json!({"rpcs": [{"rpc": {"1bad": null}}]}),
            "/rpcs/0/rpc/1bad",
        ),
        (
            format!("{rpc}?plan=true"),
            json!({"rpcs": [{"get-x": null}]}),
            "?plan",
        ),
        (
            rpc.to_owned(),
            json!({"rpcs": [{"get-x": null}], "plan": true}),
            "/plan",
        ),
        (
            format!("{rpc}?format=text"),
            body(json!({"format": "json"})),
            "/format",
        ),
        (
            format!("{rpc}?partial=keep"),
            body(json!({"partial": "discard"})),
            "/partial",
        ),
        (
            "/v1/devices/mx1/cli?format=text".to_owned(),
            json!({"command": "show version", "format": "json"}),
            "/format",
        ),
    ] {
        let (status, problem) = gateway.post(&path, &sent).await;
        assert_eq!(
            (status, code(&problem)),
            (StatusCode::BAD_REQUEST, "invalid-argument"),
            "{path}: {problem}"
        );
        assert_eq!(pointer(&problem), expected, "{path}: {problem}");
        let detail = problem["detail"].as_str().expect("a detail");
        assert!(detail.starts_with(&format!("{expected}: ")), "{detail}");
    }
    for (path, expected) in [
        (format!("{rpc}/get-x?a=%01"), "?a"),
        (format!("{rpc}/get-x?arg.format=%01"), "?arg.format"),
        (format!("{rpc}/get%20x"), "{name}"),
        ("/v1/devices/mx1/cli/rpc?command=%20".to_owned(), "?command"),
        ("/v1/devices/mx1/config?filter=%3Ca".to_owned(), "?filter"),
        (
            "/v1/devices/mx1/config?format=set&protocol=rfc".to_owned(),
            "?protocol",
        ),
    ] {
        let (status, problem) = gateway.get(&path).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{path}: {problem}");
        assert_eq!(pointer(&problem), expected, "{path}: {problem}");
    }
}

/// H2, M4, Q9: what is wrong with the operation is told at its name; what is wrong with an attribute at the attribute,
/// also when its name looks like a number.
#[tokio::test]
async fn names_are_places() {
    let (gateway, _device) = TestGateway::with_device(junos()).await;
    let commit = "/v1/devices/mx1/rpc/commit";
    for (method, place) in [(Method::GET, "{name}"), (Method::POST, "{name}")] {
        let (status, problem) = answer(gateway.request(method, commit)).await;
        assert_eq!(
            (status, code(&problem)),
            (StatusCode::BAD_REQUEST, "use-resource")
        );
        assert_eq!(pointer(&problem), place, "{problem}");
    }
    let attribute = |name: &str| proto::Attribute {
        name: name.to_owned(),
        value: "1".to_owned(),
    };
    let call = |name: &str, attributes: &[&str]| proto::CallNamedRpcRequest {
        device: "mx1".to_owned(),
        rpc: Some(proto::NamedRpc {
            name: name.to_owned(),
            attributes: attributes.iter().copied().map(attribute).collect(),
            ..Default::default()
        }),
        ..Default::default()
    };
    for (request, place) in [
        (call("commit", &[]), "rpc.name"),
        (call("get-x", &["ok", "0"]), "rpc.attributes"),
    ] {
        let mut client = RpcServiceClient::new(gateway.channel());
        let status = client.call_named_rpc(request).await.expect_err("it is refused");
        let details = status.get_error_details();
        let violation = &details.bad_request().expect("a place").field_violations[0];
        assert_eq!(violation.field, place, "{violation:?}");
    }
    let nowhere = proto::CallNamedRpcRequest {
        device: String::new(),
        ..call("get-x", &[])
    };
    let mut client = RpcServiceClient::new(gateway.channel());
    let status = client.call_named_rpc(nowhere).await.expect_err("it is refused");
    let refusal = Refusal::of_status(&status);
    assert_eq!(refusal.verdict(), ("invalid-argument", "not_sent"));
    assert_eq!(refusal.fields, ["device"]);
}

/// H6: what is longer than anybody waits is refused, not cut.
#[tokio::test]
async fn times_beyond_their_bound_are_refused() {
    let (gateway, device) = TestGateway::with_device(junos()).await;
    let name = "get-system-uptime-information";
    for (seconds, good) in [("3600", true), ("3601", false), ("0", false), ("1e3", false)] {
        let request = gateway
            .request(Method::GET, &format!("/v1/devices/mx1/rpc/{name}"))
            .header("Request-Timeout", seconds);
        let (status, body) = answer(request).await;
        if good {
            assert_eq!(status, StatusCode::OK, "{body}");
        } else {
            assert_eq!(
                (status, pointer(&body)),
                (StatusCode::BAD_REQUEST, "Request-Timeout"),
                "{seconds}"
            );
        }
    }
    for (seconds, good) in [(3600, true), (3601, false)] {
        let mut request = Request::new(proto::ReadNamedRpcRequest {
            device: "mx1".to_owned(),
            rpc: Some(proto::NamedRpc {
                name: name.to_owned(),
                ..Default::default()
            }),
            output: None,
        });
        request.set_timeout(Duration::from_secs(seconds));
        let answer = RpcServiceClient::new(gateway.channel())
            .read_named_rpc(request)
            .await;
        match answer {
            Ok(_) => assert!(good, "{seconds}"),
            Err(status) => {
                assert!(!good, "{status:?}");
                assert_eq!(Refusal::of_status(&status).fields, ["grpc-timeout"]);
            }
        }
    }
    assert_eq!(device.stats().count(name), 2);
    for door in DOORS {
        for (name, most) in [
            ("connect_seconds", 300),
            ("rpc_seconds", 3600),
            ("commit_seconds", 3600),
            ("keepalive_seconds", 3600),
            ("auth_retry_seconds", 86_400),
        ] {
            let beyond = json!({"timeouts": {name: most + 1}});
            let refusal = bad(door, gateway.update(door, "mx1", &beyond, "").await);
            assert_eq!(refusal.verdict(), ("invalid-argument", "not_sent"), "{name}");
            assert!(
                refusal.fields[0].ends_with(&format!("timeouts.{name}")),
                "{refusal:?}"
            );
        }
    }
}

/// S7: required capabilities may be given by their short names; one that nobody knows would refuse every device.
#[tokio::test]
async fn required_capabilities_have_short_names() {
    let gateway = TestGateway::start().await;
    let device = crate::support::listen(junos()).await;
    let requiring = |capability: &str| {
        json!({
            "name": "r1", "address": "127.0.0.1", "port": device.addr().port(), "username": USER,
            "auth": {"password": PASSWORD},
            "host_key": {"policy": "pinned", "keys": [device.host_key_fingerprint()]},
            "compatibility": {"policy": "refuse", "require": {"capabilities": [capability]}},
        })
    };
    for door in DOORS {
        for (capability, met) in [
            ("candidate", true),
            (":candidate", true),
            ("candidate:1.0", true),
            ("urn:ietf:params:netconf:capability:candidate:1.0", true),
            (":startup", false),
            ("candidate:1.7", false),
        ] {
            let created = gateway.create(door, &requiring(capability)).await;
            if capability == "candidate:1.7" {
                let refusal = bad(door, created);
                assert!(
                    refusal.fields[0].ends_with("compatibility.require.capabilities.0"),
                    "{refusal:?}"
                );
                continue;
            }
            good(door, created);
            let report = good(door, gateway.check(door, "r1").await);
            assert_eq!(
                report["compatibility"]["compatible"], met,
                "{capability}: {report}"
            );
            gateway.delete(door, "r1", "").await.expect("it is removed");
        }
        for unknown in ["candidat", ":nonsense", "", "a b"] {
            let refusal = bad(door, gateway.create(door, &requiring(unknown)).await);
            assert_eq!(refusal.verdict(), ("invalid-argument", "not_sent"), "{unknown:?}");
            assert!(
                refusal.fields[0].ends_with("compatibility.require.capabilities.0"),
                "{refusal:?}"
            );
        }
        let refusal = bad(door, gateway.create(door, &requiring("candidat")).await);
        assert!(
            refusal.detail.contains("did you mean 'candidate'?"),
            "{}",
            refusal.detail
        );
    }
}
