//! Commands of a device's own CLI.

use ncgate::emulator::{Fault, Rule};
use serde_json::{Value, json};

use crate::support::doors::{DOORS, bad, good, options, plain};
use crate::support::{TestGateway, assert_sent, junos};

/// S10: CLI text, its formats, its banner, and the request that a command stands for.
#[tokio::test]
async fn cli_text_is_run_and_mapped() {
    let (gateway, device) = TestGateway::with_device(junos()).await;
    for door in DOORS {
        let ask = async |format| {
            let with = [("format", format)];
            good(
                door,
                gateway.cli(door, "mx1", "show version", options(&with)).await,
            )
        };
        let text = ask("text").await;
        assert_sent(
            &device,
            "command",
            "<command format=\"text\">show version</command>",
        );
        assert!(
            text["data"]
                .as_str()
                .is_some_and(|text| text.starts_with("Hostname: mx1\n")),
            "{text}"
        );
        let json = ask("json").await;
        assert_sent(
            &device,
            "command",
            "<command format=\"xml\">show version</command>",
        );
        assert_eq!(json["data"]["software-information"]["product-model"], "mx240");
        assert_eq!(json["data"].get("cli"), None, "the banner is no payload: {json}");
        let xml = ask("xml").await;
        assert!(
            xml["data"]
                .as_str()
                .is_some_and(|xml| xml.contains("<product-model>mx240</product-model>"))
        );
        let own = ask("device_json").await;
        let made: Value = serde_json::from_str(own["data"].as_str().expect("a string")).expect("JSON");
        assert_eq!(
            made["software-information"][0]["product-model"][0]["data"],
            "mx240"
        );

        let mapped = good(
            door,
            gateway
                .cli_rpc(door, "mx1", "show interfaces ge-0/0/0 terse")
                .await,
        );
        assert_eq!(
            mapped["rpc"],
            json!({"get-interface-information": {"interface-name": "ge-0/0/0", "terse": null}})
        );
        let ran = good(
            door,
            gateway.rpc(door, "mx1", mapped["rpc"].clone(), plain()).await,
        );
        assert_eq!(
            ran["data"]["interface-information"]["physical-interface"][0]["name"],
            "ge-0/0/0"
        );
        let same = gateway
            .rpc_xml(door, "mx1", mapped["rpc_xml"].as_str().expect("XML"), plain())
            .await;
        assert_eq!(good(door, same)["data"], ran["data"]);

        let refusal = bad(door, gateway.cli(door, "mx1", "show nonsense", plain()).await);
        assert_eq!(
            (refusal.origin.as_str(), refusal.outcome.as_str()),
            ("device", "not_applied")
        );
        assert_eq!(refusal.rpc_errors[0]["bad_element"], "nonsense");
        let refusal = bad(door, gateway.cli_rpc(door, "mx1", "show version | count").await);
        assert_eq!(refusal.verdict(), ("invalid-argument", "not_sent"));
        assert_eq!(refusal.fields, ["command"]);
    }
    let banner = "<output>\nx\n</output><cli><banner>{master}</banner></cli>";
    device
        .faults()
        .add(Rule::on("command", Fault::ReplyWith(banner.to_owned())));
    for door in DOORS {
        let reply = good(
            door,
            gateway.cli(door, "mx1", "show system uptime", plain()).await,
        );
        assert_eq!(
            (&reply["banner"], &reply["data"]),
            (&json!("{master}"), &json!({"output": ["x"]}))
        );
    }
}
