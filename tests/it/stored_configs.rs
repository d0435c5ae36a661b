//! Stored configurations, read and compared (S11).

use serde_json::{Value, json};

use crate::support::doors::{DOORS, bad, good, options, plain};
use crate::support::{TestGateway, assert_sent, junos};

/// S11: stored configurations and the rescue configuration.
#[tokio::test]
async fn rollbacks_and_rescue_are_read() {
    let (gateway, device) = TestGateway::with_device(junos()).await;
    for door in DOORS {
        let location = async |source| {
            let reply = good(door, gateway.config(door, "mx1", &[("source", source)]).await);
            // As for running: nothing of what Junos wraps around it is left.
            let members: Vec<&String> = reply["data"].as_object().expect("an object").keys().collect();
            assert_eq!(members, ["configuration"], "{source}");
            reply["data"]["configuration"]["snmp"]["location"].clone()
        };
        assert_eq!(location("rollback:0").await, "rack 5, room 12");
        assert_eq!(location("rollback:1").await, "rack 5, room 12");
        assert_eq!(location("rollback:2").await, "rack 4, room 12");
        assert_sent(
            &device,
            "get-rollback-information",
            "<get-rollback-information><rollback>2</rollback></get-rollback-information>",
        );
        assert_eq!(location("rescue").await, "rack 5, room 12");
        let text = gateway
            .config(door, "mx1", &[("source", "rollback:2"), ("format", "text")])
            .await;
        let text = good(door, text)["data"].as_str().expect("a string").to_owned();
        assert!(text.contains("location \"rack 4, room 12\";"), "{text}");

        let missing = bad(
            door,
            gateway.config(door, "mx1", &[("source", "rollback:40")]).await,
        );
        assert_eq!(
            (missing.origin.as_str(), missing.outcome.as_str()),
            ("device", "not_applied")
        );
        assert!(missing.detail.contains("rollback 40 not found"), "{missing:?}");
        let beyond = bad(
            door,
            gateway.config(door, "mx1", &[("source", "rollback:50")]).await,
        );
        assert_eq!(beyond.verdict(), ("invalid-argument", "not_sent"));
        assert!(beyond.fields[0].ends_with("source"), "{beyond:?}");
    }
}

/// S11: the candidate against a stored configuration, and two stored ones, from the first to the second.
#[tokio::test]
async fn configurations_are_compared() {
    let (gateway, device) = TestGateway::with_device(junos()).await;
    for door in DOORS {
        let compare = async |from, to| {
            let reply = good(door, gateway.compare(door, "mx1", from, to, plain()).await);
            reply["data"].as_str().expect("a text").to_owned()
        };
        let candidate = compare("rollback:1", "candidate").await;
        assert_sent(
            &device,
            "get-configuration",
            "<get-configuration database=\"candidate\" compare=\"rollback\" rollback=\"1\" format=\"text\"/>",
        );
        assert_eq!(
            candidate.trim_end(),
            "[edit protocols bgp group transit]\n!   inactive: neighbor 198.51.100.13;"
        );
        assert_eq!(compare("rollback:0", "candidate").await.trim(), "");
        let running = compare("rollback:1", "running").await;
        assert_sent(
            &device,
            "get-configuration",
            "<get-configuration database=\"committed\" compare=",
        );
        assert_eq!(running, candidate);

        let stored = compare("rollback:2", "rollback:1").await;
        assert_sent(
            &device,
            "get-rollback-information",
            "<rollback>2</rollback><compare>1</compare>",
        );
        assert!(
            stored.contains("[edit interfaces ge-0/0/2]\n-   mtu 1600;\n"),
            "{stored}"
        );
        assert!(stored.contains("+  location \"rack 5, room 12\";"), "{stored}");

        for (from, to, field) in [
            ("candidate", "rollback:1", "from"),
            ("rollback:x", "candidate", "from"),
            ("rollback:1", "startup", "to"),
        ] {
            let refusal = bad(door, gateway.compare(door, "mx1", from, to, plain()).await);
            assert_eq!(refusal.verdict(), ("invalid-argument", "not_sent"));
            assert_eq!(refusal.fields, [field]);
        }
    }
}

/// S11, S17: a comparison comes in the format asked for, as a text where none is; what it does not come in is refused.
#[tokio::test]
async fn comparison_comes_in_the_format_asked_for() {
    let (gateway, device) = TestGateway::with_device(junos()).await;
    for door in DOORS {
        let compare = async |format, from, to| {
            let with = [("format", format)];
            gateway.compare(door, "mx1", from, to, options(&with)).await
        };
        let json = good(door, compare("json", "rollback:1", "candidate").await);
        assert_sent(
            &device,
            "get-configuration",
            "<get-configuration database=\"candidate\" compare=\"rollback\" rollback=\"1\" format=\"xml\"/>",
        );
        let neighbor = json!({"@": {"inactive": "inactive"}, "name": "198.51.100.13"});
        assert_eq!(
            json["data"]["configuration"]["protocols"]["bgp"]["group"],
            json!([{"name": "transit", "neighbor": [neighbor]}]),
            "{json}"
        );
        let json = good(door, compare("json", "rollback:2", "running").await);
        assert_eq!(
            json["data"]["configuration"]["snmp"],
            json!({
                "location": ["rack 4, room 12", "rack 5, room 12"],
                "@location": [{"operation": "delete"}, {"operation": "create"}],
            }),
            "{json}"
        );
        let xml = good(door, compare("xml", "rollback:2", "running").await);
        let xml = xml["data"].as_str().expect("XML");
        assert!(
            xml.contains("<location operation=\"create\">rack 5, room 12</location>"),
            "{xml}"
        );
        let own = good(door, compare("device_json", "rollback:1", "candidate").await);
        let own: Value = serde_json::from_str(own["data"].as_str().expect("a text")).expect("JSON");
        let neighbor = &own["configuration"]["protocols"]["bgp"]["group"][0]["neighbor"][0];
        assert_eq!(neighbor["name"], "198.51.100.13", "{own}");
        let text = good(door, compare("text", "rollback:1", "candidate").await);
        assert!(
            text["data"]
                .as_str()
                .is_some_and(|text| text.contains("!   inactive: ")),
            "{text}"
        );
        for (format, to) in [
            ("set", "candidate"),
            ("json", "rollback:1"),
            ("xml", "rollback:1"),
        ] {
            let refusal = bad(door, compare(format, "rollback:2", to).await);
            assert_eq!(refusal.verdict(), ("invalid-argument", "not_sent"), "{format}");
            assert!(refusal.fields[0].ends_with("format"), "{refusal:?}");
        }
    }
}
