//! The streaming twins of gRPC: header first, then the data in pieces, which together are what the unary call gives.

use ncgate::api::grpc::proto;
use ncgate::emulator::Profile;
use proto::config_service_client::ConfigServiceClient;
use proto::device_service_client::DeviceServiceClient;
use proto::rpc_service_client::RpcServiceClient;
use serde_json::{Value, json};

use crate::support::doors::{Door, good, options, plain};
use crate::support::{TestGateway, grpc, junos, listen};

/// What a stream of replies was: its header, the kind of its data, and the data.
type Streamed = (Value, proto::PayloadKind, Vec<u8>);

/// Reads a stream whose messages have the parts `start` and `chunk`.
macro_rules! collect {
    ($answer:expr, $part:path) => {{
        use $part as Part;
        let mut stream = $answer.expect("a stream").into_inner();
        let mut streamed: Option<Streamed> = None;
        while let Some(message) = stream.message().await.expect("a message") {
            match (message.part.expect("a part"), &mut streamed) {
                (Part::Start(start), None) => {
                    let kind = start.kind();
                    let header = grpc::header_members(start.header.expect("a header"));
                    streamed = Some((Value::Object(header), kind, Vec::new()));
                }
                (Part::Chunk(chunk), Some((_, _, data))) => {
                    assert!(
                        !chunk.is_empty() && chunk.len() <= 256 << 10,
                        "G2: {}",
                        chunk.len()
                    );
                    data.extend_from_slice(&chunk);
                }
                (part, _) => panic!("out of order: {part:?}"),
            }
        }
        streamed.expect("a header")
    }};
}

fn as_json((header, kind, data): Streamed) -> Value {
    assert_eq!(kind, proto::PayloadKind::Json);
    assert_eq!(header["complete"], true);
    serde_json::from_slice(&data).expect("JSON")
}

fn as_text((_, kind, data): Streamed) -> String {
    assert_eq!(kind, proto::PayloadKind::Text);
    String::from_utf8(data).expect("UTF-8")
}

fn payload(value: &Value) -> Option<proto::Payload> {
    Some(proto::Payload {
        content: Some(proto::payload::Content::Json(value.to_string())),
    })
}

/// G2, S10: RPCs whole and by name, and CLI text.
#[tokio::test]
async fn rpcs_are_streamed() {
    let (gateway, _device) = TestGateway::with_device(junos()).await;
    let mut client = RpcServiceClient::new(gateway.channel());
    let (device, name) = ("mx1".to_owned(), "get-chassis-inventory");
    let unary = good(
        Door::Grpc,
        gateway.named(Door::Grpc, "mx1", name, Value::Null, plain()).await,
    );
    let mut body = json!({});
    body[name] = Value::Null;
    let whole = proto::StreamCallRpcRequest {
        device: device.clone(),
        rpc: Some(proto::Rpc {
            body: payload(&body),
            attributes: grpc::attributes(&[("ticket", "7")]),
        }),
        output: None,
    };
    let streamed = collect!(
        client.stream_call_rpc(whole).await,
        proto::stream_call_rpc_response::Part
    );
    assert_eq!(streamed.0["attributes"], json!({"ticket": "7"}));
    assert_eq!(streamed.0["mapping"], unary["mapping"]);
    assert_eq!(as_json(streamed), unary["data"]);

    let named = proto::NamedRpc {
        name: name.to_owned(),
        ..proto::NamedRpc::default()
    };
    let request = proto::StreamReadNamedRpcRequest {
        device: device.clone(),
        rpc: Some(named),
        output: None,
    };
    let streamed = collect!(
        client.stream_read_named_rpc(request).await,
        proto::stream_read_named_rpc_response::Part
    );
    assert_eq!(as_json(streamed), unary["data"]);

    let text = [("format", "text")];
    let unary = gateway
        .cli(Door::Grpc, "mx1", "show version", options(&text))
        .await;
    let request = proto::StreamRunCliRequest {
        device,
        command: "show version".to_owned(),
        output: Some(grpc::output(&text)),
    };
    let streamed = collect!(
        client.stream_run_cli(request).await,
        proto::stream_run_cli_response::Part
    );
    assert_eq!(json!(as_text(streamed)), good(Door::Grpc, unary)["data"]);
}

/// G2, S11: configuration, comparisons and schemas.
#[tokio::test]
async fn configuration_and_schemas_are_streamed() {
    let (gateway, _device) = TestGateway::with_device(junos()).await;
    let mut client = ConfigServiceClient::new(gateway.channel());
    let path = [("path", "interfaces"), ("inherit", "inherit")];
    let unary = good(Door::Grpc, gateway.config(Door::Grpc, "mx1", &path).await);
    let request = proto::StreamGetConfigRequest {
        device: "mx1".to_owned(),
        query: Some(grpc::config_query(&path).0),
        output: None,
    };
    let streamed = collect!(
        client.stream_get_config(request).await,
        proto::stream_get_config_response::Part
    );
    assert_eq!(as_json(streamed), unary["data"]);

    let unary = gateway
        .compare(Door::Grpc, "mx1", "rollback:2", "candidate", plain())
        .await;
    let request = proto::StreamCompareConfigRequest {
        device: "mx1".to_owned(),
        from: "rollback:2".to_owned(),
        to: "candidate".to_owned(),
        output: None,
    };
    let streamed = collect!(
        client.stream_compare_config(request).await,
        proto::stream_compare_config_response::Part
    );
    assert_eq!(json!(as_text(streamed)), good(Door::Grpc, unary)["data"]);

    let rfc = listen(junos().profile(Profile::Rfc)).await;
    gateway.add("rfc1", &rfc, json!({})).await;
    let unary = gateway.schema(Door::Grpc, "rfc1", "example-router", "").await;
    let request = proto::StreamGetSchemaRequest {
        device: "rfc1".to_owned(),
        name: "example-router".to_owned(),
        ..proto::StreamGetSchemaRequest::default()
    };
    let answer = DeviceServiceClient::new(gateway.channel())
        .stream_get_schema(request)
        .await;
    let streamed = collect!(answer, proto::stream_get_schema_response::Part);
    assert_eq!(json!(as_text(streamed)), good(Door::Grpc, unary)["data"]);
}

/// G2: the results of a batch, each under its place.
#[tokio::test]
async fn batch_is_streamed() {
    use proto::stream_batch_rpcs_response::Part;
    let (gateway, _device) = TestGateway::with_device(junos()).await;
    let rpc = |name: &str| {
        let mut body = json!({});
        body[name] = Value::Null;
        proto::Rpc {
            body: payload(&body),
            attributes: Vec::new(),
        }
    };
    let request = proto::StreamBatchRpcsRequest {
        device: "mx1".to_owned(),
        rpcs: [
            "get-chassis-inventory",
            "get-no-such-thing",
            "get-software-information",
        ]
        .map(rpc)
        .to_vec(),
        on_error: proto::OnError::Continue.into(),
        output: None,
    };
    let answer = RpcServiceClient::new(gateway.channel())
        .stream_batch_rpcs(request)
        .await;
    let mut stream = answer.expect("a stream").into_inner();
    let mut results: [(Option<Value>, Vec<u8>, Option<String>); 3] = Default::default();
    while let Some(message) = stream.message().await.expect("a message") {
        let place = usize::try_from(message.index).expect("a small number");
        let (header, data, problem) = &mut results[place];
        match message.part.expect("a part") {
            Part::Start(start) => {
                *header = start
                    .header
                    .map(|header| Value::Object(grpc::header_members(header)));
            }
            Part::Chunk(chunk) => {
                assert!(header.is_some(), "the header comes first");
                data.extend_from_slice(&chunk);
            }
            Part::Problem(refused) => *problem = Some(refused.code),
        }
    }
    let [first, second, third] = results;
    let data = |bytes: &[u8]| -> Value { serde_json::from_slice(bytes).expect("JSON") };
    assert_eq!(data(&first.1)["chassis-inventory"]["chassis"]["name"], "Chassis");
    assert_eq!((second.0, second.2.as_deref()), (None, Some("unknown-element")));
    assert_eq!(data(&third.1)["software-information"]["host-name"], "mx1");
}
