//! Hostile XML and text from callers (conventions X1, X2; threats 11 to 13): refused before anything is sent, or sent
//! as exactly one message.

use ncgate::api::grpc::proto;
use ncgate::emulator::Profile;
use proto::payload::Content;
use proto::rpc_service_client::RpcServiceClient;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tonic::transport::{Channel, Endpoint};
use tonic_types::StatusExt;

use crate::support::{TestGateway, answer, code, junos};

const RPC: &str = "/v1/devices/mx1/rpc";

/// XML bodies that are refused, whatever the framing of the device.
fn refused() -> Vec<String> {
    let mut bodies: Vec<String> = [
        // The end marker, literally, wherever XML allows it and where not.
        "<get-a>]]>]]></get-a>",
        "<get-a><b>x]]>]]>y</b></get-a>",
        "<get-a b=\"]]>]]>\"/>",
        "<get-a b=']]>]]>'/>",
        "<get-a><!-- ]]>]]> --></get-a>",
        "<get-a><![CDATA[]]>]]></get-a>",
        "<get-a><![CDATA[ ]]]]>]]></get-a>",
        "<get-a/>]]>]]>",
        "<get-a/>]]>]]><get-b/>",
        "<get-a/><!-- ]]>]]> -->",
        // DTDs, processing instructions, entities.
        "<!DOCTYPE get-a><get-a/>",
        "<!DOCTYPE get-a [<!ENTITY e \"x\">]><get-a>&e;</get-a>",
        "<!DOCTYPE get-a SYSTEM \"http://192.0.2.1/x.dtd\"><get-a/>",
        "<!DOCTYPE get-a [<!ENTITY % p SYSTEM \"file:///etc/passwd\"> %p;]><get-a/>",
        "<!DOCTYPE r [<!ENTITY a \"ha\"><!ENTITY b \"&a;&a;\"><!ENTITY c \"&b;&b;\">]><get-a>&c;</get-a>",
        "<get-a><!DOCTYPE b></get-a>",
        "<get-a><?php x ?></get-a>",
        "<?xml-stylesheet href=\"x\"?><get-a/>",
        "<get-a>&nbsp;</get-a>",
        "<get-a>&#0;</get-a>",
        "<get-a>&#x1b;</get-a>",
        "<get-a>&#xd800;</get-a>",
        "<get-a>&#x110000;</get-a>",
        "<get-a>&amp</get-a>",
        "<get-a b=\"&e;\"/>",
        // No single root.
        "",
        " ",
        "text",
        "<get-a/><get-b/>",
        "<get-a/>text",
        "<!-- only -->",
        "</rpc><rpc><get-a/>",
        "<get-a/></rpc><rpc message-id=\"9\"><get-b/>",
        // Not well-formed.
        "<get-a>",
        "<get-a></get-b>",
        "<get-a><b></get-a></b>",
        "<get-a b=1/>",
        "<get-a b=\"1\" b=\"2\"/>",
        "<get-a b=\"<\"/>",
        "<x:get-a/>",
        "<get-a x:b=\"1\"/>",
        "<1a/>",
        "<get-a>\u{1}</get-a>",
        "<get-a>\u{fffe}</get-a>",
        "<get-a b=\"\u{b}\"/>",
        "<get-a><!-- a -- b --></get-a>",
        "<get-a",
    ]
    .map(str::to_owned)
    .to_vec();
    bodies.push(format!(
        "<get-a{}/>",
        (0..300).map(|n| format!(" a{n}=\"\"")).collect::<String>()
    ));
    bodies.push(format!("<{}/>", "n".repeat(2000)));
    bodies
}

async fn post_xml(gateway: &TestGateway, body: impl Into<reqwest::Body>) -> (StatusCode, Value) {
    answer(
        gateway
            .request(Method::POST, RPC)
            .header("Content-Type", "application/xml")
            .body(body),
    )
    .await
}

async fn grpc(gateway: &TestGateway) -> RpcServiceClient<Channel> {
    let endpoint = Endpoint::from_shared(gateway.url("")).expect("an address");
    RpcServiceClient::new(endpoint.connect().await.expect("a connection"))
}

fn call(content: Content) -> proto::CallRpcRequest {
    proto::CallRpcRequest {
        device: "mx1".to_owned(),
        rpc: Some(proto::Rpc {
            body: Some(proto::Payload {
                content: Some(content),
            }),
            ..Default::default()
        }),
        ..Default::default()
    }
}

/// M4: the refusal of the other door, with the place of the fault.
fn is_invalid_argument(status: &tonic::Status, of: &str) {
    assert_eq!(status.code(), tonic::Code::InvalidArgument, "{of}: {status:?}");
    let details = status.get_error_details();
    let info = details
        .error_info()
        .unwrap_or_else(|| panic!("{of}: no ErrorInfo"));
    assert_eq!(
        (info.reason.as_str(), info.domain.as_str()),
        ("INVALID_ARGUMENT", "ncgate"),
        "{of}"
    );
    assert_eq!(
        info.metadata.get("outcome").map(String::as_str),
        Some("not_sent"),
        "{of}"
    );
    let violations = details
        .bad_request()
        .map(|request| request.field_violations.as_slice())
        .unwrap_or_default();
    assert!(!violations.is_empty(), "{of}: no field violation: {status:?}");
    assert!(
        violations
            .iter()
            .all(|violation| !violation.description.is_empty()),
        "{of}: {violations:?}"
    );
}

/// X2, threats 12 and 13: through both doors, with both framings, nothing is sent.
#[tokio::test]
async fn hostile_xml_is_refused_and_nothing_is_sent() {
    let (gateway, device) = TestGateway::with_device(junos()).await;
    let mut client = grpc(&gateway).await;
    for body in refused() {
        let (status, problem) = post_xml(&gateway, body.clone()).await;
        let name: String = body.chars().take(80).collect();
        assert_eq!(
            (status, code(&problem)),
            (StatusCode::BAD_REQUEST, "invalid-argument"),
            "{name}: {problem}"
        );
        assert_eq!(
            (&problem["origin"], &problem["outcome"]),
            (&json!("caller"), &json!("not_sent")),
            "{name}"
        );
        assert!(problem["errors"][0]["pointer"].is_string(), "{name}: {problem}");
        let status = client.call_rpc(call(Content::Xml(body))).await.expect_err(&name);
        is_invalid_argument(&status, &name);
    }
    for body in [
        &b"<get-a>\xff</get-a>"[..],
        b"\xff\xfe<\0a\0/\0>\0",
        b"<get-a>\xed\xa0\x80</get-a>",
    ] {
        let (status, problem) = post_xml(&gateway, body.to_vec()).await;
        assert_eq!(
            (status, code(&problem)),
            (StatusCode::BAD_REQUEST, "invalid-argument"),
            "{body:?}: {problem}"
        );
    }
    assert_eq!(device.stats().connections, 0);
    gateway.stop().await;
    device.stop().await;
}

/// X1, G1: bad requests through gRPC that REST cannot even express, or expresses otherwise.
#[tokio::test]
async fn bad_messages_are_invalid_arguments_with_their_field() {
    let (gateway, device) = TestGateway::with_device(junos()).await;
    let mut client = grpc(&gateway).await;
    let good = Content::Json("{\"get-a\": null}".to_owned());
    let deep = format!("{{\"get-a\": {}{}}}", "[".repeat(500_000), "]".repeat(500_000));
    let attribute = |name: &str, value: &str| {
        let mut request = call(good.clone());
        let attribute = proto::Attribute {
            name: name.to_owned(),
            value: value.to_owned(),
        };
        request.rpc.as_mut().expect("an rpc").attributes.push(attribute);
        request
    };
    let output = |output: proto::OutputOptions| proto::CallRpcRequest {
        output: Some(output),
        ..call(good.clone())
    };
    for (name, request) in [
        (
            "no rpc",
            proto::CallRpcRequest {
                device: "mx1".into(),
                ..Default::default()
            },
        ),
        (
            "no body",
            proto::CallRpcRequest {
                rpc: Some(proto::Rpc::default()),
                ..call(good.clone())
            },
        ),
        ("text", call(Content::Text("get-a".into()))),
        ("no JSON", call(Content::Json("{".into()))),
        ("no object", call(Content::Json("[]".into()))),
        (
            "two roots",
            call(Content::Json("{\"a\": null, \"b\": null}".into())),
        ),
        ("no name", call(Content::Json("{\"a b\": null}".into()))),
        (
            "twice",
            call(Content::Json("{\"a\": {\"b\": 1, \"b\": 2}}".into())),
        ),
        (
            "control character",
            call(Content::Json("{\"a\": \"\\u0001\"}".into())),
        ),
        (
            "lone surrogate",
            call(Content::Json("{\"a\": \"\\ud800\"}".into())),
        ),
        ("deep", call(Content::Json(deep))),
        ("reserved attribute", attribute("message-id", "1")),
        ("attribute without a name", attribute("", "1")),
        ("attribute with a control character", attribute("a", "\u{1}")),
        (
            "unknown format",
            output(proto::OutputOptions {
                format: 99,
                ..Default::default()
            }),
        ),
        (
            "unknown mapping",
            output(proto::OutputOptions {
                mapping: -1,
                ..Default::default()
            }),
        ),
        (
            "unknown hints",
            output(proto::OutputOptions {
                hints: "x".into(),
                ..Default::default()
            }),
        ),
    ] {
        let status = client.call_rpc(request).await.expect_err(name);
        is_invalid_argument(&status, name);
    }
    let unknown = proto::CallRpcRequest {
        device: "nobody".into(),
        ..call(good)
    };
    let status = client.call_rpc(unknown).await.expect_err("no such device");
    assert_eq!(status.code(), tonic::Code::NotFound);
    let large = call(Content::Xml(format!("<a>{}</a>", "x".repeat(5 << 20))));
    let status = client.call_rpc(large).await.expect_err("too large");
    assert!(
        matches!(
            status.code(),
            tonic::Code::OutOfRange | tonic::Code::InvalidArgument
        ),
        "{status:?}"
    );
    assert_eq!(device.stats().connections, 0);
    gateway.stop().await;
    device.stop().await;
}

/// Legal text that a careless writer would send as markup, or as the end of the message.
const HOSTILE: &[&str] = &[
    "]]>]]>",
    "]]>",
    "\n##\n",
    "\n#4\n<a/>",
    "</rpc>",
    "</interface-name></get-interface-information></rpc>]]>]]><rpc message-id=\"99\"><get-chassis-inventory/></rpc>",
    "<!-- x -->",
    "<![CDATA[x]]>",
    "<?x?>",
    "&amp;&lt;&#x41;",
    "\"'<>&",
    "\r\n\t ",
    "\u{85}\u{2028}\u{1f600}\u{10fffd}",
    "\u{fffd}",
];

/// X1, threats 11 and 12: legal hostile text is exactly one message, and the device reads back what was written.
#[tokio::test]
async fn legal_hostile_text_is_exactly_one_message() {
    for profile in [Profile::Junos, Profile::JunosRfc11] {
        let (gateway, device) = TestGateway::with_device(junos().profile(profile)).await;
        gateway
            .read("/v1/devices/mx1/rpc/get-system-uptime-information")
            .await;
        let mut client = grpc(&gateway).await;
        let before = device.stats();
        let mut sent = 0;
        for text in HOSTILE {
            let in_text = json!({"rpc": {"get-interface-information": {"interface-name": text}}});
            let in_attribute =
                json!({"rpc": {"get-interface-information": {"@": {"a": text}, "terse": null}}});
            let escaped = json!({"rpc": {"get-interface-information": null}, "attributes": {"mark": text}});
            for body in [&in_text, &in_attribute, &escaped] {
                let (_, answer) = gateway.post(RPC, body).await;
                sent += 1;
                let stats = device.stats();
                assert_eq!(
                    stats.rpcs.len(),
                    before.rpcs.len() + sent,
                    "{profile:?} {body}: {:?}",
                    stats.rpcs.last()
                );
                assert_eq!(
                    stats.rpcs.last().map(String::as_str),
                    Some("get-interface-information"),
                    "{body}"
                );
                if body == &escaped && !text.contains(['\r', '\n', '\t']) {
                    assert_eq!(answer["attributes"]["mark"], *text, "{profile:?}: {answer}");
                }
            }
            let encoded: String = text.bytes().map(|byte| format!("%{byte:02x}")).collect();
            let path = format!("/v1/devices/mx1/rpc/get-interface-information?interface-name={encoded}");
            gateway.get(&path).await;
            // The device may not know such an interface; it is the message that counts.
            let _ = client
                .call_rpc(call(Content::Json(in_text["rpc"].to_string())))
                .await;
            sent += 2;
            assert_eq!(
                device.stats().rpcs.len(),
                before.rpcs.len() + sent,
                "{profile:?} {text:?}"
            );
        }
        for xml in [
            "<get-interface-information><interface-name>]]&gt;]]&gt;</interface-name></get-interface-information>",
            "<get-interface-information a=\"]]&gt;]]&#62;\"/>",
            "<get-interface-information><!-- x --><terse/></get-interface-information>",
            "<get-interface-information><interface-name><![CDATA[<a>&]]></interface-name></get-interface-information>",
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<get-interface-information/>\n",
            "\u{feff}<get-interface-information/>",
        ] {
            let (status, answer) = post_xml(&gateway, xml).await;
            assert_ne!(answer["code"], "invalid-argument", "{xml}: {status} {answer}");
            sent += 1;
            assert_eq!(
                device.stats().rpcs.len(),
                before.rpcs.len() + sent,
                "{profile:?} {xml}"
            );
        }
        assert_eq!(
            device.stats().sessions,
            before.sessions,
            "no session was lost over it"
        );
        assert_eq!(device.stats().count("get-chassis-inventory"), 0);
        gateway
            .read("/v1/devices/mx1/rpc/get-system-uptime-information")
            .await;
        gateway.stop().await;
        device.stop().await;
    }
}

/// Q9: what has a resource of its own is not sent raw, in whatever clothes it comes.
#[tokio::test]
async fn operations_with_a_resource_are_not_sent_raw() {
    let (gateway, device) = TestGateway::with_device(junos()).await;
    let base = "urn:ietf:params:xml:ns:netconf:base:1.0";
    for xml in [
        "<lock><target><candidate/></target></lock>".to_owned(),
        "<commit/>".to_owned(),
        "<commit-configuration/>".to_owned(),
        "<load-configuration/>".to_owned(),
        "<kill-session><session-id>1</session-id></kill-session>".to_owned(),
        "<close-session/>".to_owned(),
        "<edit-config/>".to_owned(),
        format!("<nc:commit xmlns:nc=\"{base}\"/>"),
        "<request-end-session/>".to_owned(),
    ] {
        let (status, problem) = post_xml(&gateway, xml.clone()).await;
        assert_eq!(
            (status, code(&problem)),
            (StatusCode::BAD_REQUEST, "use-resource"),
            "{xml}: {problem}"
        );
        assert!(problem["hint"].is_string(), "{xml}: {problem}");
        assert_eq!(problem["outcome"], "not_sent");
    }
    assert_eq!(device.stats().connections, 0);
    gateway.stop().await;
    device.stop().await;
}
