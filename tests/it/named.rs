//! RPCs by their name, and whose names are known to read.

use ncgate::emulator::{Fault, Rule};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::doors::{DOORS, With, bad, good, options, plain};
use crate::support::{TestGateway, answer, assert_sent, code, junos, sent};

const INTERFACES: &str = "get-interface-information";

/// S8, S10: arguments in XML, alone, several side by side, or inside of the operation; attributes of `<rpc>` beside.
#[tokio::test]
async fn named_rpcs_take_xml_and_attributes() {
    let (gateway, device) = TestGateway::with_device(junos()).await;
    for door in DOORS {
        for (xml, element) in [
            (
                "<interface-name>ge-0/0/0</interface-name>",
                "<get-interface-information><interface-name>ge-0/0/0</interface-name></get-interface-information>",
            ),
            (
                "<interface-name>ge-0/0/0</interface-name><terse/>",
                "<get-interface-information><interface-name>ge-0/0/0</interface-name><terse/></get-interface-information>",
            ),
            (
                "<get-interface-information format=\"xml\"><terse/></get-interface-information>",
                "<get-interface-information format=\"xml\"><terse/></get-interface-information>",
            ),
        ] {
            let with = With {
                attributes: &[("ticket", "CHG & 1")],
                ..plain()
            };
            let reply = good(door, gateway.named_xml(door, "mx1", INTERFACES, xml, with).await);
            assert_eq!(reply["attributes"], json!({"ticket": "CHG & 1"}));
            assert!(reply["data"].get("interface-information").is_some(), "{reply}");
            assert_sent(&device, INTERFACES, element);
        }
        let with = With {
            attributes: &[("mark", "1")],
            ..plain()
        };
        let reply = good(
            door,
            gateway
                .rpc_xml(door, "mx1", "<get-system-uptime-information/>", with)
                .await,
        );
        assert_eq!(reply["attributes"], json!({"mark": "1"}));
        let before = device.stats().requests.len();
        for xml in [
            "</get-interface-information><request-reboot/><get-interface-information>",
            "<terse>",
            "text",
            "<terse/><!DOCTYPE a>",
        ] {
            let refusal = bad(
                door,
                gateway.named_xml(door, "mx1", INTERFACES, xml, plain()).await,
            );
            assert_eq!(refusal.verdict(), ("invalid-argument", "not_sent"), "{xml}");
        }
        let with = With {
            attributes: &[("message-id", "1")],
            ..plain()
        };
        let refusal = bad(
            door,
            gateway.named(door, "mx1", INTERFACES, Value::Null, with).await,
        );
        assert!(refusal.fields[0].ends_with("message-id"), "{refusal:?}");
        assert_eq!(device.stats().requests.len(), before);
    }
    let path = format!("/v1/devices/mx1/rpc/{INTERFACES}?terse&attr.mark=a%20b");
    assert_eq!(gateway.read(&path).await["attributes"], json!({"mark": "a b"}));
}

/// Q9, H15: that a name begins with `get-` says that it reads in NETCONF's and Junos' own namespaces only.
#[tokio::test]
async fn get_of_another_vendor_is_not_taken_for_a_read() {
    let (gateway, device) = TestGateway::with_device(junos()).await;
    device
        .faults()
        .add(Rule::on("get-ready", Fault::ReplyWith("<ok/>".to_owned())));
    for door in DOORS {
        let vendor = json!({"get-ready": {"@": {"xmlns": "urn:example:vendor"}}});
        let batch = gateway
            .batch(door, "mx1", std::slice::from_ref(&vendor), "stop", plain())
            .await;
        let refusal = bad(door, batch);
        assert_eq!(refusal.verdict(), ("invalid-argument", "not_sent"));
        assert_eq!(refusal.fields, ["rpcs.0.rpc"]);
        let planned = With {
            plan: true,
            ..plain()
        };
        // What only reads has no plan.
        let plan = good(door, gateway.rpc(door, "mx1", vendor.clone(), planned).await);
        assert_eq!(plan["rpcs"], json!(["<get-ready xmlns=\"urn:example:vendor\"/>"]));
        let own = json!({"get-ready": null});
        bad(door, gateway.rpc(door, "mx1", own.clone(), planned).await);
        let ran = good(door, gateway.rpc(door, "mx1", vendor, plain()).await);
        assert_eq!(ran["outcome"], "applied");
        let read = good(door, gateway.rpc(door, "mx1", own, plain()).await);
        assert_eq!(read.get("outcome"), None);
    }
}

/// H2: who asked for a path of configuration or a CLI command is not told to check the name of an RPC.
#[tokio::test]
async fn hints_are_about_what_was_asked() {
    let (gateway, device) = TestGateway::with_device(junos()).await;
    let unknown = "<rpc-error><error-type>protocol</error-type><error-tag>unknown-element</error-tag>\
                   <error-severity>error</error-severity><error-message>syntax error</error-message></rpc-error>";
    for operation in ["get-configuration", "command", "get-nonsense"] {
        device
            .faults()
            .add(Rule::on(operation, Fault::ReplyWith(unknown.to_owned())));
    }
    for door in DOORS {
        let config = bad(door, gateway.config(door, "mx1", &[("path", "sytem")]).await);
        let cli = bad(door, gateway.cli(door, "mx1", "show nonsense", plain()).await);
        let rpc = bad(
            door,
            gateway
                .named(door, "mx1", "get-nonsense", Value::Null, plain())
                .await,
        );
        assert_eq!([&config.code, &cli.code, &rpc.code], ["unknown-element"; 3]);
        assert_eq!((config.hint, cli.hint), (None, None));
        assert!(rpc.hint.is_some_and(|hint| hint.contains("name of the RPC")));
    }
}

/// S10: a pipe of the CLI that names the form of the output is the format of the answer, or is told to be too much.
#[tokio::test]
async fn display_pipes_are_formats() {
    let (gateway, device) = TestGateway::with_device(junos()).await;
    for door in DOORS {
        let shown = good(
            door,
            gateway
                .cli(door, "mx1", "show version | display json", plain())
                .await,
        );
        let text = shown["data"].as_str().expect("the device's own JSON is a string");
        let own: Value = serde_json::from_str(text).expect("JSON");
        assert!(own.get("software-information").is_some(), "{own}");
        assert_sent(
            &device,
            "command",
            "<command format=\"json\">show version</command>",
        );
        let same = gateway
            .cli(
                door,
                "mx1",
                "show version | display json | no-more",
                options(&[("format", "device_json")]),
            )
            .await;
        assert_eq!(good(door, same)["data"], shown["data"]);
        let xml = good(
            door,
            gateway
                .cli(door, "mx1", "show version | display xml", plain())
                .await,
        );
        assert!(xml["data"].get("software-information").is_some(), "{xml}");
        assert_sent(
            &device,
            "command",
            "<command format=\"xml\">show version</command>",
        );
        let before = sent(&device, "command").len();
        for (command, with) in [
            ("show version | display json", options(&[("format", "text")])),
            ("show version | display xml | match x", plain()),
        ] {
            let refusal = bad(door, gateway.cli(door, "mx1", command, with).await);
            assert_eq!(refusal.verdict(), ("invalid-argument", "not_sent"), "{command}");
            assert_eq!(refusal.fields, ["command"], "{command}");
            assert!(refusal.hint.is_some());
        }
        assert_eq!(sent(&device, "command").len(), before);
    }
}

/// H4: an XML body of another type than its header says.
#[tokio::test]
async fn bodies_of_named_rpcs_have_a_type() {
    let (gateway, _device) = TestGateway::with_device(junos()).await;
    let request = gateway
        .request(Method::POST, &format!("/v1/devices/mx1/rpc/{INTERFACES}"))
        .header("Content-Type", "text/plain")
        .body("<terse/>");
    let (status, problem) = answer(request).await;
    assert_eq!(
        (status, code(&problem)),
        (StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type")
    );
}
