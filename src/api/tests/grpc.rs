//! Through gRPC.

use tonic::{Code, Request};
use tonic_types::StatusExt;

use super::*;
use crate::api::grpc::proto::config_service_client::ConfigServiceClient;
use crate::api::grpc::proto::device_service_client::DeviceServiceClient;
use crate::api::grpc::proto::rpc_service_client::RpcServiceClient;
use crate::api::grpc::proto::status_service_client::StatusServiceClient;
use crate::api::grpc::proto::{self, payload::Content};
use crate::emulator::{Fault, Rule};

fn payload(json: &str) -> Option<proto::Payload> {
    Some(proto::Payload {
        content: Some(Content::Json(json.to_owned())),
    })
}

fn json_of(reply: Option<proto::Reply>) -> Value {
    match reply.and_then(|reply| reply.data).and_then(|data| data.content) {
        Some(Content::Json(text)) => serde_json::from_str(&text).expect("JSON"),
        other => panic!("no JSON: {other:?}"),
    }
}

/// Issue item 3: the same calls, the same data.
#[tokio::test]
async fn both_doors_give_the_same_data() {
    let served = Served::new().await;
    let mut rpc = RpcServiceClient::new(served.channel().await);
    let rest = json(served.get("/v1/devices/r1/rpc/get-software-information"))
        .await
        .1;

    let body = proto::Rpc {
        body: payload(r#"{"get-software-information": null}"#),
        attributes: vec![],
    };
    let request = proto::CallRpcRequest {
        device: "r1".into(),
        rpc: Some(body),
        ..Default::default()
    };
    let mut request = Request::new(request);
    request
        .metadata_mut()
        .insert("x-request-id", "grpc-1".parse().expect("metadata"));
    let answer = rpc.call_rpc(request).await.expect("an answer");
    assert_eq!(
        answer.metadata().get("x-request-id").map(|id| id.as_bytes()),
        Some(&b"grpc-1"[..])
    );
    let Some(proto::call_rpc_response::Result::Reply(reply)) = answer.into_inner().result else {
        panic!("a reply")
    };
    let header = reply.header.clone().expect("a header");
    assert_eq!(
        (
            header.device.as_str(),
            header.request_id.as_str(),
            header.complete
        ),
        ("r1", "grpc-1", true)
    );
    assert_eq!(header.mapping.as_deref(), rest["mapping"].as_str());
    assert_eq!(json_of(Some(reply)), rest["data"]);

    let named = proto::NamedRpc {
        name: "get-software-information".into(),
        ..Default::default()
    };
    let request = proto::ReadNamedRpcRequest {
        device: "r1".into(),
        rpc: Some(named),
        output: None,
    };
    let answer = rpc.read_named_rpc(request).await.expect("an answer").into_inner();
    assert_eq!(json_of(answer.reply), rest["data"]);

    let mut config = ConfigServiceClient::new(served.channel().await);
    let query = proto::ConfigQuery {
        path: "system".into(),
        ..Default::default()
    };
    let request = proto::GetConfigRequest {
        device: "r1".into(),
        query: Some(query),
        output: None,
    };
    let answer = config.get_config(request).await.expect("an answer").into_inner();
    let rest = json(served.get("/v1/devices/r1/config?path=system")).await.1;
    assert_eq!(json_of(answer.reply), rest["data"]);

    let mut status = StatusServiceClient::new(served.channel().await);
    let version = status
        .get_version(proto::GetVersionRequest {})
        .await
        .expect("an answer")
        .into_inner();
    assert_eq!(version.version, env!("CARGO_PKG_VERSION"));
    let counts = status
        .get_status(proto::GetStatusRequest {})
        .await
        .expect("an answer")
        .into_inner();
    assert_eq!((counts.devices, counts.draining), (1, false));
}

/// H9 through gRPC: typed devices, masks and etags.
#[tokio::test]
async fn device_is_added_changed_and_removed() {
    let served = Served::new().await;
    let mut devices = DeviceServiceClient::new(served.channel().await);
    let device = proto::Device {
        name: "r3".into(),
        address: "127.0.0.1".into(),
        port: served.device.addr().port().into(),
        username: "lab".into(),
        auth: Some(proto::Auth {
            password: Some("lab123".into()),
            ..Default::default()
        }),
        host_key: Some(proto::HostKey {
            policy: 0,
            keys: vec![served.device.host_key_fingerprint()],
        }),
        ..Default::default()
    };
    let request = proto::CreateDeviceRequest {
        device: Some(device.clone()),
    };
    let created = devices
        .create_device(request.clone())
        .await
        .expect("an answer")
        .into_inner()
        .device
        .expect("it");
    assert!(created.auth.is_none());
    assert_eq!(
        created.auth_set.map(|set| (set.password, set.private_key)),
        Some((true, false))
    );
    assert_eq!(created.pool.map(|pool| pool.max_sessions), Some(4));
    let again = devices.create_device(request).await.expect_err("is there");
    assert_eq!(again.code(), Code::AlreadyExists);

    let check = proto::CheckDeviceRequest { device: "r3".into() };
    let check = devices.check_device(check).await.expect("an answer").into_inner();
    assert_eq!(check.software[0].host_name.as_deref(), Some("r1"));

    let changed = proto::Device {
        timeouts: Some(proto::Timeouts {
            rpc_seconds: 7,
            ..Default::default()
        }),
        ..device
    };
    let update = |etag: &str, path: &str| proto::UpdateDeviceRequest {
        device: Some(changed.clone()),
        update_mask: Some(prost_types::FieldMask {
            paths: vec![path.to_owned()],
        }),
        etag: etag.to_owned(),
    };
    let answer = devices
        .update_device(update(&created.etag, "timeouts.rpc_seconds"))
        .await
        .expect("an answer");
    let updated = answer.into_inner().device.expect("it");
    assert_eq!(
        updated.timeouts.map(|t| (t.rpc_seconds, t.connect_seconds)),
        Some((7, 10))
    );
    let stale = devices
        .update_device(update(&created.etag, "timeouts.rpc_seconds"))
        .await
        .expect_err("is stale");
    assert_eq!(stale.code(), Code::Aborted);
    let wrong = devices
        .update_device(update("", "secrets"))
        .await
        .expect_err("no such path");
    assert_eq!(wrong.code(), Code::InvalidArgument);

    devices
        .delete_device(proto::DeleteDeviceRequest {
            device: "r3".into(),
            etag: updated.etag,
        })
        .await
        .expect("gone");
    let gone = devices
        .get_device(proto::GetDeviceRequest { device: "r3".into() })
        .await
        .expect_err("is gone");
    assert_eq!(gone.code(), Code::NotFound);
    let info = gone.get_details_error_info().expect("M4");
    assert_eq!(
        (info.reason.as_str(), info.metadata["outcome"].as_str()),
        ("NOT_FOUND", "not_sent")
    );
}

/// Issue "bad input": INVALID_ARGUMENT with field violations, and nothing sent.
#[tokio::test]
async fn bad_input_is_refused_by_field() {
    let served = Served::new().await;
    let before = served.device.stats();
    let mut rpc = RpcServiceClient::new(served.channel().await);
    let call = |json: &str, format: i32| proto::CallRpcRequest {
        device: "r1".into(),
        rpc: Some(proto::Rpc {
            body: payload(json),
            attributes: vec![],
        }),
        output: Some(proto::OutputOptions {
            format,
            ..Default::default()
        }),
        plan: false,
        ..Default::default()
    };
    for (request, field) in [
        (call(r#"{"a": 1}"#, 99), "output.format"),
        (call(r#"{"a b": 1}"#, 0), "rpc.body"),
        (call("{", 0), "rpc.body"),
        (
            proto::CallRpcRequest {
                device: "r1".into(),
                ..Default::default()
            },
            "rpc",
        ),
    ] {
        let refused = rpc.call_rpc(request).await.expect_err("is refused");
        assert_eq!(refused.code(), Code::InvalidArgument, "{refused:?}");
        let bad = refused.get_details_bad_request().expect("M4");
        assert_eq!(bad.field_violations[0].field, field);
    }
    assert_eq!(served.device.stats(), before, "something reached the device");
}

/// M4: the device's errors travel in the details.
#[tokio::test]
async fn device_errors_travel_in_the_details() {
    let served = Served::new().await;
    let mut rpc = RpcServiceClient::new(served.channel().await);
    let body = proto::Rpc {
        body: payload(r#"{"get-interface-information": {"frobnicate": null}}"#),
        attributes: vec![],
    };
    let request = proto::CallRpcRequest {
        device: "r1".into(),
        rpc: Some(body),
        ..Default::default()
    };
    let refused = rpc.call_rpc(request).await.expect_err("is refused");
    assert_eq!(refused.code(), Code::InvalidArgument, "{refused:?}");
    let info = refused.get_details_error_info().expect("M4");
    assert_eq!(
        (info.metadata["origin"].as_str(), info.metadata["device"].as_str()),
        ("device", "r1")
    );
    let details = String::from_utf8_lossy(refused.details()).into_owned();
    assert!(details.contains("ncgate.v1.RpcErrors"), "{details}");
}

/// G2: too much for one message fails with a hint, and the streaming twin brings it in chunks.
#[tokio::test]
async fn large_replies_are_for_the_streaming_twin() {
    let served = Served::new().await;
    let huge = Rule::on("get-interface-information", Fault::HugeReply(6 << 20)).times(2);
    served.device.faults().add(huge);
    let mut rpc = RpcServiceClient::new(served.channel().await);
    let named = proto::NamedRpc {
        name: "get-interface-information".into(),
        ..Default::default()
    };
    let request = proto::ReadNamedRpcRequest {
        device: "r1".into(),
        rpc: Some(named.clone()),
        output: None,
    };
    let refused = rpc
        .read_named_rpc(request)
        .await
        .map(drop)
        .expect_err("is too large");
    assert_eq!(refused.code(), Code::OutOfRange, "{refused:?}");
    assert!(refused.get_details_error_info().expect("M4").metadata["hint"].contains("streaming twin"));

    let request = proto::StreamReadNamedRpcRequest {
        device: "r1".into(),
        rpc: Some(named),
        output: None,
    };
    let mut stream = rpc
        .stream_read_named_rpc(request)
        .await
        .expect("an answer")
        .into_inner();
    let mut kind = None;
    let mut data = Vec::new();
    while let Some(message) = stream.message().await.expect("no failure") {
        match message.part.expect("a part") {
            proto::stream_read_named_rpc_response::Part::Start(start) => {
                assert!(
                    kind.is_none() && data.is_empty(),
                    "the start is the first message"
                );
                kind = Some(start.kind());
            }
            proto::stream_read_named_rpc_response::Part::Chunk(chunk) => {
                assert!(chunk.len() <= 256 << 10, "{} bytes", chunk.len());
                data.extend_from_slice(&chunk);
            }
        }
    }
    assert_eq!(kind, Some(proto::PayloadKind::Json));
    let data: Value = serde_json::from_slice(&data).expect("JSON, put together");
    assert!(data["interface-information"]["physical-interface"].is_array());
}

/// A batch, in one message and as a stream.
#[tokio::test]
async fn batch_gives_results_in_order() {
    let served = Served::new().await;
    let mut rpc = RpcServiceClient::new(served.channel().await);
    let item = |json: &str| proto::Rpc {
        body: payload(json),
        attributes: vec![],
    };
    let rpcs = vec![
        item(r#"{"get-software-information": null}"#),
        item(r#"{"get-interface-information": {"frobnicate": null}}"#),
        item(r#"{"get-system-uptime-information": null}"#),
    ];
    let on_error = i32::from(proto::OnError::Continue);
    let request = proto::BatchRpcsRequest {
        device: "r1".into(),
        rpcs: rpcs.clone(),
        on_error,
        output: None,
    };
    let results = rpc
        .batch_rpcs(request)
        .await
        .expect("an answer")
        .into_inner()
        .results;
    use proto::batch_result::Result as One;
    let kinds: Vec<bool> = results
        .iter()
        .map(|one| matches!(one.result, Some(One::Reply(_))))
        .collect();
    assert_eq!(kinds, [true, false, true], "{results:?}");

    let request = proto::StreamBatchRpcsRequest {
        device: "r1".into(),
        rpcs,
        on_error,
        output: None,
    };
    let mut stream = rpc
        .stream_batch_rpcs(request)
        .await
        .expect("an answer")
        .into_inner();
    let mut seen = Vec::new();
    while let Some(message) = stream.message().await.expect("no failure") {
        use proto::stream_batch_rpcs_response::Part;
        let kind = match message.part.expect("a part") {
            Part::Problem(problem) => problem.origin,
            Part::Start(_) => "start".to_owned(),
            Part::Chunk(_) => "chunk".to_owned(),
        };
        seen.push((message.index, kind));
    }
    seen.dedup();
    let expected = [
        (0, "start"),
        (0, "chunk"),
        (1, "device"),
        (2, "start"),
        (2, "chunk"),
    ];
    assert_eq!(seen, expected.map(|(index, kind)| (index, kind.to_owned())));
}

/// G3, H6: `grpc-timeout` is the deadline.
#[tokio::test]
async fn grpc_timeout_ends_a_call() {
    let served = Served::new().await;
    served
        .device
        .faults()
        .add(Rule::on("get-software-information", Fault::Delay(Duration::from_secs(20))).once());
    let mut rpc = RpcServiceClient::new(served.channel().await);
    let named = proto::NamedRpc {
        name: "get-software-information".into(),
        ..Default::default()
    };
    let request = proto::ReadNamedRpcRequest {
        device: "r1".into(),
        rpc: Some(named),
        output: None,
    };
    let mut request = Request::new(request);
    request
        .metadata_mut()
        .insert("grpc-timeout", "700m".parse().expect("metadata"));
    let late = rpc.read_named_rpc(request).await.expect_err("is late");
    assert!(
        matches!(late.code(), Code::DeadlineExceeded | Code::Cancelled),
        "{late:?}"
    );
}

/// G2
#[tokio::test]
async fn health_and_both_reflections_answer() {
    use tonic_health::pb::health_client::HealthClient;
    use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus};
    let served = Served::new().await;
    let mut health = HealthClient::new(served.channel().await);
    for service in ["", "ncgate.v1.DeviceService", "ncgate.v1.ConfigService"] {
        let request = HealthCheckRequest {
            service: service.to_owned(),
        };
        let answer = health.check(request).await.expect("an answer").into_inner();
        assert_eq!(answer.status(), ServingStatus::Serving, "{service}");
    }
    // Only that they are there: their messages are the tools' business.
    for path in [
        "/grpc.reflection.v1.ServerReflection/X",
        "/grpc.reflection.v1alpha.ServerReflection/X",
        "/no.Such/Method",
    ] {
        let request = served.post(path).header("content-type", "application/grpc");
        let client = reqwest::Client::builder()
            .no_proxy()
            .http2_prior_knowledge()
            .build()
            .expect("a client");
        let answer = client
            .execute(request.build().expect("a request"))
            .await
            .expect("an answer");
        assert_eq!(
            (answer.status().as_u16(), &answer.headers()["grpc-status"]),
            (200, &"12".parse().expect("a header"))
        );
    }
}
