//! Framing through the whole gateway, and replies with the prefix `nc`.

use std::time::Duration;

use ncgate::emulator::{DeviceError, Fault, Profile, Rule};
use serde_json::{Value, json};

use crate::support::doors::{DOORS, bad, good, options, plain};
use crate::support::{TestGateway, junos, sent};

const NAME: &str = "get-chassis-inventory";
const PROFILES: [(Profile, &str); 6] = [
    (Profile::Junos, "1.0"),
    (Profile::JunosOld, "1.0"),
    (Profile::JunosRfc, "1.0"),
    (Profile::JunosRfc11, "1.1"),
    (Profile::Rfc, "1.1"),
    (Profile::RfcRunning, "1.1"),
];

/// S6: chunks as soon as both hellos say base:1.1, the end-of-message marker otherwise; the data is the same.
#[tokio::test]
async fn both_framings_carry_the_same_data() {
    for (profile, base) in PROFILES {
        let (gateway, device) = TestGateway::with_device(junos().profile(profile)).await;
        for door in DOORS {
            let report = good(door, gateway.check(door, "mx1").await);
            assert_eq!(report["hello"]["base"], base, "{profile:?}");
            assert!(report["hello"]["session_id"].as_u64().is_some_and(|id| id > 0));
            let filter = r#"{"configuration": {"system": {"host-name": null}}}"#;
            let filter = if profile.junos() {
                filter.to_owned()
            } else {
                filter.replace("configuration", "example-router:configuration")
            };
            let read = good(door, gateway.config(door, "mx1", &[("filter", &filter)]).await);
            let system = &read["data"]["configuration"]["system"];
            assert_eq!(*system, json!({"host-name": "mx1"}), "{profile:?}");
        }
        gateway.stop().await;
        device.stop().await;
    }
}

/// S6: `]]>]]>` in a chunk is text. With the marker framing it ends the message, so the session is given up, and the
/// next one serves.
#[tokio::test]
async fn end_marker_inside_a_chunk_is_no_boundary() {
    let reply = "<output mark=\"]]>]]>\">\na\n</output><!-- ]]>]]> --><output>b</output>";
    let (chunked, device) = TestGateway::with_device(junos().profile(Profile::JunosRfc11)).await;
    device
        .faults()
        .add(Rule::on(NAME, Fault::ReplyWith(reply.to_owned())));
    for door in DOORS {
        let read = good(door, chunked.named(door, "mx1", NAME, Value::Null, plain()).await);
        assert_eq!(read["data"]["output"], json!(["a", "b"]));
        assert_eq!(read["data"]["@output"], json!([{"mark": "]]>]]>"}, null]));
    }
    assert_eq!(device.stats().sessions, 1);

    let (marked, device) = TestGateway::with_device(junos()).await;
    for door in DOORS {
        device
            .faults()
            .add(Rule::on(NAME, Fault::ReplyWith(reply.to_owned())).once());
        let refusal = bad(door, marked.named(door, "mx1", NAME, Value::Null, plain()).await);
        assert_eq!(refusal.verdict(), ("device-protocol-error", "not_applied"));
        good(door, marked.named(door, "mx1", NAME, Value::Null, plain()).await);
    }
    assert_eq!(device.stats().sessions, 3);
}

/// S6, X1: what a caller sends can never end a message, whatever the framing.
#[tokio::test]
async fn callers_text_never_ends_a_message() {
    for profile in [Profile::Junos, Profile::JunosRfc11] {
        let (gateway, device) = TestGateway::with_device(junos().profile(profile)).await;
        for door in DOORS {
            let arguments = json!({"interface-name": "]]>]]><rpc/>\n##\n"});
            let refusal = bad(
                door,
                gateway
                    .named(door, "mx1", "get-interface-information", arguments, plain())
                    .await,
            );
            assert_eq!(refusal.origin, "device");
            let requests = sent(&device, "get-interface-information");
            let last = requests.last().expect("it was sent");
            assert!(
                last.contains("<interface-name>]]&gt;]]&gt;&lt;rpc/&gt;\n##\n</interface-name>"),
                "{last}"
            );
            good(door, gateway.named(door, "mx1", NAME, Value::Null, plain()).await);
        }
        assert_eq!(device.stats().sessions, 1, "{profile:?}");
    }
}

/// S6: a reply that comes byte by byte, with markers and chunk headers cut anywhere, is the same reply.
#[tokio::test]
async fn reply_in_single_bytes_is_the_same_reply() {
    for profile in [Profile::Junos, Profile::JunosRfc11] {
        let (gateway, device) = TestGateway::with_device(junos().profile(profile)).await;
        for door in DOORS {
            let whole = good(door, gateway.named(door, "mx1", NAME, Value::Null, plain()).await);
            let trickle = Fault::Trickle {
                bytes: 1,
                pause: Duration::ZERO,
            };
            device.faults().add(Rule::on(NAME, trickle).once());
            let pieces = good(door, gateway.named(door, "mx1", NAME, Value::Null, plain()).await);
            assert_eq!(pieces["data"], whole["data"], "{profile:?}");
        }
    }
}

/// S15, S16: with the prefix `nc` everything is recognised as without it: data, ok, errors, warnings.
#[tokio::test]
async fn prefixed_replies_are_recognised() {
    for profile in [Profile::JunosRfc, Profile::JunosRfc11] {
        let (gateway, device) = TestGateway::with_device(junos().profile(profile)).await;
        for door in DOORS {
            let read = good(door, gateway.named(door, "mx1", NAME, Value::Null, plain()).await);
            assert_eq!(read["data"]["chassis-inventory"]["chassis"]["name"], "Chassis");
            let rfc = [("protocol", "rfc"), ("path", "system/host-name")];
            let config = good(door, gateway.config(door, "mx1", &rfc).await);
            assert_eq!(
                config["data"]["configuration"]["system"],
                json!({"host-name": "mx1"})
            );
            assert_eq!(
                config["data"].as_object().map(serde_json::Map::len),
                Some(1),
                "{config}"
            );

            let refusal = bad(
                door,
                gateway
                    .named(door, "mx1", "get-no-such-thing", Value::Null, plain())
                    .await,
            );
            assert_eq!(refusal.origin, "device");
            let error = &refusal.rpc_errors[0];
            assert_eq!(error["error_type"], "protocol");
            assert_eq!(error["error_tag"], "operation-failed");
            assert_eq!(error["bad_element"], "get-no-such-thing");

            for fault in [
                Fault::ReplyWith("<nc:ok/>".to_owned()),
                Fault::Warnings(vec!["mind the gap".to_owned()]),
                Fault::ErrorBesideData(DeviceError::new("half of it").from_daemon("dcd")),
            ] {
                device.faults().clear();
                device.faults().add(Rule::on(NAME, fault.clone()));
                let keep = options(&[("partial", "keep")]);
                let reply = good(door, gateway.named(door, "mx1", NAME, Value::Null, keep).await);
                match fault {
                    Fault::ReplyWith(_) => {
                        assert_eq!((&reply["data"], &reply["complete"]), (&json!({}), &json!(true)))
                    }
                    Fault::Warnings(_) => {
                        assert_eq!(reply["warnings"][0]["error_message"], "mind the gap");
                        assert_eq!(reply["complete"], true);
                        assert_eq!(reply["data"], read["data"]);
                    }
                    _ => {
                        assert_eq!(reply["complete"], false);
                        assert_eq!(reply["errors"][0]["error_message"], "half of it");
                        assert_eq!(reply["errors"][0]["source_daemon"], "dcd");
                        assert_eq!(reply["data"], read["data"]);
                    }
                }
            }
            device.faults().clear();
        }
    }
}
