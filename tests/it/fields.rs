//! What gRPC tells in its own words: the fields of a request that are wrong, what was not found, and masks (M4).

use ncgate::api::grpc::proto;
use proto::change_service_client::ChangeServiceClient;
use proto::config_service_client::ConfigServiceClient;
use proto::device_service_client::DeviceServiceClient;
use proto::edit_session_service_client::EditSessionServiceClient;
use proto::rpc_service_client::RpcServiceClient;
use serde_json::json;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::support::{TestGateway, junos, listen};

/// The first violation of a refusal: field and description.
fn violation(status: &Status) -> (String, String) {
    assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
    let bad = status.get_details_bad_request().expect("M4");
    let first = bad.field_violations.into_iter().next().expect("a violation");
    (first.field, first.description)
}

fn json_payload(text: &str) -> Option<proto::Payload> {
    Some(proto::Payload {
        content: Some(proto::payload::Content::Json(text.to_owned())),
    })
}

fn rpc(text: &str) -> proto::Rpc {
    proto::Rpc {
        body: json_payload(text),
        attributes: Vec::new(),
    }
}

/// M4: a violation names a field of the message, whatever REST calls it; what lies in the text of the field is told by a
/// JSON pointer.
#[tokio::test]
async fn violations_name_fields_of_the_message() {
    let (gateway, device) = TestGateway::with_device(junos()).await;
    let mx1 = || "mx1".to_owned();
    let mut rpcs = RpcServiceClient::new(gateway.channel());
    let call = |rpc: proto::Rpc, output: proto::OutputOptions| proto::CallRpcRequest {
        device: mx1(),
        rpc: Some(rpc),
        output: Some(output),
        plan: false,
        ..Default::default()
    };
    let hints = proto::OutputOptions {
        hints: "none".to_owned(),
        ..Default::default()
    };
    let attributed = proto::Rpc {
        attributes: vec![proto::Attribute {
            name: "message-id".to_owned(),
            value: "1".to_owned(),
        }],
        ..rpc(r#"{"get-x": null}"#)
    };
    for (request, field, inside) in [
        (
            call(rpc(r#"{"get-x": {"a b": "1"}}"#), Default::default()),
            "rpc.body",
            "/get-x/a b: ",
        ),
        (call(rpc("{"), Default::default()), "rpc.body", ""),
        (
            call(rpc(r#"{"commit": null}"#), Default::default()),
            "rpc.body",
            "",
        ),
        (call(rpc(r#"{"get-x": null}"#), hints), "output.hints", ""),
        (
            call(attributed, Default::default()),
            "rpc.attributes",
            "/message-id: ",
        ),
    ] {
        let (found, description) = violation(&rpcs.call_rpc(request).await.expect_err("is refused"));
        assert_eq!(found, field, "{description}");
        assert!(description.starts_with(inside), "{field}: {description}");
    }
    let batch = proto::BatchRpcsRequest {
        device: mx1(),
        rpcs: vec![rpc(r#"{"get-x": null}"#), rpc(r#"{"request-reboot": null}"#)],
        ..Default::default()
    };
    let refused = rpcs.batch_rpcs(batch).await.expect_err("is refused");
    assert_eq!(violation(&refused).0, "rpcs[1].body");

    let mut configs = ConfigServiceClient::new(gateway.channel());
    let query = |query: proto::ConfigQuery| proto::GetConfigRequest {
        device: mx1(),
        query: Some(query),
        output: None,
    };
    let stored = proto::ConfigQuery {
        source: "rollback:99".to_owned(),
        ..Default::default()
    };
    let scripts = proto::ConfigQuery {
        junos: Some(proto::JunosConfigOptions {
            commit_scripts: Some("some".to_owned()),
            ..Default::default()
        }),
        ..Default::default()
    };
    for (request, field) in [
        (query(stored), "query.source"),
        (query(scripts), "query.junos.commit_scripts"),
    ] {
        let refused = configs.get_config(request).await.expect_err("is refused");
        assert_eq!(violation(&refused).0, field);
    }

    let mut changes = ChangeServiceClient::new(gateway.channel());
    let change = |edit: proto::Edit, commit: proto::CommitOptions| proto::CreateChangeRequest {
        device: mx1(),
        edits: vec![edit],
        commit: Some(commit),
        ..Default::default()
    };
    let content = |text: &str| proto::Edit {
        change: Some(proto::edit::Change::Content(text.to_owned())),
        ..Default::default()
    };
    let late = proto::CommitOptions {
        at: "soon".to_owned(),
        ..Default::default()
    };
    let path = proto::Edit {
        path: "system".to_owned(),
        ..content(r#"{"system": {"host-name": "a"}}"#)
    };
    let unknown = proto::Edit {
        action: 99,
        ..content("{}")
    };
    for (request, field, inside) in [
        (
            change(content(r#"{"system": {"a b": 1}}"#), Default::default()),
            "edits[0].content",
            "/system/a b: ",
        ),
        (change(path, Default::default()), "edits[0].path", ""),
        (change(unknown, Default::default()), "edits[0].action", ""),
        (
            change(content(r#"{"snmp": {"contact": "x"}}"#), late),
            "commit.at",
            "",
        ),
    ] {
        let refused = changes.create_change(request).await.expect_err("is refused");
        let (found, description) = violation(&refused);
        assert_eq!(found, field, "{description}");
        assert!(description.starts_with(inside), "{field}: {description}");
    }

    let mut devices = DeviceServiceClient::new(gateway.channel());
    let bad = proto::Device {
        name: "mx2".to_owned(),
        address: "192.0.2.1".to_owned(),
        username: "admin".to_owned(),
        auth: Some(proto::Auth {
            password: Some("x".to_owned()),
            ..Default::default()
        }),
        timeouts: Some(proto::Timeouts {
            connect_seconds: 100_000,
            ..Default::default()
        }),
        ..Default::default()
    };
    let request = proto::CreateDeviceRequest { device: Some(bad) };
    let refused = devices.create_device(request).await.expect_err("is refused");
    assert_eq!(violation(&refused).0, "device.timeouts.connect_seconds");
    assert_eq!(device.stats().count("get-x"), 0);
    gateway.stop().await;
    device.stop().await;
}

/// M4: NOT_FOUND names what was not found.
#[tokio::test]
async fn what_was_not_found_is_named() {
    let (gateway, device) = TestGateway::with_device(junos()).await;
    let resource = |status: Status| {
        assert_eq!(status.code(), Code::NotFound, "{status:?}");
        let info = status.get_details_resource_info().expect("M4");
        (info.resource_type, info.resource_name)
    };
    let pair = |kind: &str, name: &str| (kind.to_owned(), name.to_owned());
    let mut sessions = EditSessionServiceClient::new(gateway.channel());
    let of = |device: &str| proto::GetEditSessionRequest {
        device: device.to_owned(),
        id: "none".to_owned(),
    };
    let missing = sessions
        .get_edit_session(of("mx1"))
        .await
        .expect_err("is missing");
    assert_eq!(
        resource(missing),
        pair("ncgate.v1.EditSession", "devices/mx1/edit-sessions/none")
    );
    let missing = sessions
        .get_edit_session(of("nowhere"))
        .await
        .expect_err("is missing");
    assert_eq!(resource(missing), pair("ncgate.v1.Device", "devices/nowhere"));
    let request = proto::GetChangeRequest {
        device: "mx1".to_owned(),
        id: "none".to_owned(),
    };
    let mut changes = ChangeServiceClient::new(gateway.channel());
    let missing = changes.get_change(request).await.expect_err("is missing");
    assert_eq!(
        resource(missing),
        pair("ncgate.v1.Change", "devices/mx1/changes/none")
    );
    gateway.stop().await;
    device.stop().await;
}

/// H9: a mask resets a field below a message that the new device does not set.
#[tokio::test]
async fn masks_reset_fields_of_messages_that_are_not_set() {
    let gateway = TestGateway::start().await;
    let device = listen(junos()).await;
    let more = json!({
        "timeouts": {"rpc_seconds": 77, "connect_seconds": 7},
        "pool": {"max_sessions": 6},
        "compatibility": {"policy": "refuse", "require": {"version": {"min": "20.1R1"}}},
    });
    gateway.add("mx1", &device, more).await;
    let mut devices = DeviceServiceClient::new(gateway.channel());
    let paths = [
        "timeouts.rpc_seconds",
        "pool.max_sessions",
        "compatibility.require.version.min",
    ];
    let request = proto::UpdateDeviceRequest {
        device: Some(proto::Device {
            name: "mx1".to_owned(),
            ..Default::default()
        }),
        update_mask: Some(prost_types::FieldMask {
            paths: paths.map(str::to_owned).to_vec(),
        }),
        etag: String::new(),
    };
    let answer = devices.update_device(request).await.expect("an answer");
    let updated = answer.into_inner().device.expect("it");
    let timeouts = updated.timeouts.expect("timeouts");
    assert_eq!((timeouts.rpc_seconds, timeouts.connect_seconds), (30, 7));
    assert_eq!(updated.pool.expect("a pool").max_sessions, 4);
    let compatibility = updated.compatibility.expect("a policy");
    assert_eq!(compatibility.policy(), proto::CompatibilityPolicy::Refuse);
    let version = compatibility.require.and_then(|require| require.version);
    assert_eq!(version.and_then(|version| version.min), None);

    let unknown = proto::UpdateDeviceRequest {
        device: Some(proto::Device {
            name: "mx1".to_owned(),
            ..Default::default()
        }),
        update_mask: Some(prost_types::FieldMask {
            paths: vec!["pool.depth".to_owned()],
        }),
        etag: String::new(),
    };
    let refused = devices.update_device(unknown).await.expect_err("is refused");
    assert_eq!(violation(&refused).0, "update_mask");
    gateway.stop().await;
    device.stop().await;
}
