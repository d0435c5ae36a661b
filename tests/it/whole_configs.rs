//! Whole configurations: copied, deleted, validated, kept for a rescue (S12–S14), through both doors.

use std::time::Duration;

use ncgate::emulator::config::Database;
use ncgate::emulator::{Fault, Profile, Rule};
use serde_json::{Value, json};

use crate::support::doors::{DOORS, bad, good};
use crate::support::judged::{holdings, is_free};
use crate::support::{TestGateway, assert_sent, junos, listen};

fn warned(reply: &Value) -> bool {
    reply["warnings"].as_array().is_some_and(|warnings| {
        warnings.iter().any(|warning| {
            let words = warning["error_message"].as_str().unwrap_or_default();
            words.contains("nothing is committed")
        })
    })
}

/// S12, S13: what can be copied where, what it leaves, and what it is told to be.
#[tokio::test]
async fn configurations_are_copied() {
    for door in DOORS {
        let (gateway, device) = TestGateway::with_device(junos().profile(Profile::Rfc)).await;
        let tree = |database| device.device().tree(database);
        let config = json!({"example-router:configuration": {"snmp": {"contact": "x"}}});
        let body = json!({"source": {"config": config}, "target": "candidate"});
        let reply = good(door, gateway.whole(door, "mx1", "copy", body).await);
        assert!(warned(&reply), "{reply}");
        assert_sent(
            &device,
            "copy-config",
            "<copy-config><target><candidate/></target><source><config><configuration xmlns=\"urn:example:router\">\
             <snmp><contact>x</contact></snmp></configuration></config></source></copy-config>",
        );
        assert_ne!(tree(Database::Candidate), tree(Database::Committed));
        // What is there now is anybody's.
        let mut body = json!({"source": "running", "target": "candidate"});
        let refusal = bad(door, gateway.whole(door, "mx1", "copy", body.clone()).await);
        assert_eq!(
            refusal.reason.as_deref(),
            Some("candidate_modified"),
            "{refusal:?}"
        );
        body["discard_others"] = json!(true);
        good(door, gateway.whole(door, "mx1", "copy", body).await);
        assert_eq!(tree(Database::Candidate), tree(Database::Committed));
        let body = json!({"source": "running", "target": "startup"});
        let reply = good(door, gateway.whole(door, "mx1", "copy", body.clone()).await);
        assert!(!warned(&reply), "{reply}");
        let mut plan = body;
        plan["plan"] = json!(true);
        let plan = good(door, gateway.whole(door, "mx1", "copy", plan).await);
        assert_eq!(
            plan["rpcs"],
            json!(["<copy-config><target><startup/></target><source><running/></source></copy-config>"])
        );
        assert_eq!(device.stats().count("copy-config"), 3);
        assert!(is_free(&device));
        gateway.stop().await;
        device.stop().await;
    }
}

/// Q1, S13: a call that was answered does not stand in the way of the next one, however long its session takes to close.
#[tokio::test]
async fn configurations_are_copied_one_after_the_other() {
    for door in DOORS {
        let (gateway, device) = TestGateway::with_device(junos().profile(Profile::Rfc)).await;
        let slow = Fault::Delay(Duration::from_millis(300));
        device.faults().add(Rule::on("close-session", slow));
        let body = json!({"source": "running", "target": "candidate"});
        for _ in 0..3 {
            good(door, gateway.whole(door, "mx1", "copy", body.clone()).await);
        }
        gateway.stop().await;
        device.stop().await;
    }
}

/// Issue 3, item 4: what the device does not offer is refused by operation, parameter and capability; X8: so are URLs
/// that nobody allowed. Nothing is sent.
#[tokio::test]
async fn what_cannot_be_done_is_refused_before_anything_is_sent() {
    for door in DOORS {
        let (gateway, device) = TestGateway::with_device(junos().profile(Profile::Rfc)).await;
        let before = device.stats().requests.len();
        for (action, body, missing) in [
            (
                "copy",
                json!({"source": "candidate", "target": "running"}),
                "writable-running",
            ),
            ("delete", json!({"target": {"url": "ftp://192.0.2.1/x"}}), ""),
            ("rescue", Value::Null, "junos"),
        ] {
            let refusal = bad(door, gateway.whole(door, "mx1", action, body).await);
            assert_eq!(refusal.outcome, "not_sent", "{refusal:?}");
            if missing.is_empty() {
                assert_eq!(refusal.code, "invalid-argument");
                assert_eq!(refusal.fields, ["target.url"]);
            } else {
                assert_eq!(refusal.code, "capability-missing", "{refusal:?}");
                assert!(refusal.detail.contains(missing), "{refusal:?}");
            }
        }
        for (action, body, field) in [
            (
                "copy",
                json!({"source": "running", "target": "running"}),
                "target",
            ),
            ("delete", json!({"target": "running"}), "target"),
            (
                "copy",
                json!({"source": {"url": "/etc/passwd"}, "target": "candidate"}),
                "source.url",
            ),
            (
                "validate",
                json!({"source": {"url": "file:///etc/passwd"}}),
                "source.url",
            ),
        ] {
            let refusal = bad(door, gateway.whole(door, "mx1", action, body).await);
            assert_eq!(refusal.verdict(), ("invalid-argument", "not_sent"), "{refusal:?}");
            assert_eq!(refusal.fields, [field], "{refusal:?}");
        }
        assert_eq!(device.stats().requests.len(), before);
        gateway.stop().await;
        device.stop().await;
    }
}

/// X8: a URL that the operator allows is sent, on a device that knows its scheme.
#[tokio::test]
async fn an_allowed_url_is_sent() {
    let gateway =
        TestGateway::with(|settings| settings.device_urls = Some("ftp://192.0.2.1".to_owned())).await;
    let device = listen(junos()).await;
    gateway.add("mx1", &device, json!({})).await;
    for door in DOORS {
        let body = json!({"source": "running", "target": {"url": "ftp://192.0.2.1/backup"}});
        good(door, gateway.whole(door, "mx1", "copy", body).await);
        assert!(device.device().file("ftp://192.0.2.1/backup").is_some());
        assert!(device.device().remove_file("ftp://192.0.2.1/backup"));
        let body = json!({"source": "running", "target": {"url": "ftp://192.0.2.2/backup"}});
        let refusal = bad(door, gateway.whole(door, "mx1", "copy", body).await);
        assert_eq!(refusal.fields, ["target.url"]);
    }
    gateway.stop().await;
    device.stop().await;
}

/// S14, S12: validating, and the rescue configuration.
#[tokio::test]
async fn configurations_are_validated_and_kept() {
    for door in DOORS {
        let (gateway, device) = TestGateway::with_device(junos()).await;
        let before = holdings(&device);
        good(
            door,
            gateway
                .whole(door, "mx1", "validate", json!({"source": "candidate"}))
                .await,
        );
        assert_eq!(holdings(&device), before);
        good(
            door,
            gateway
                .change(
                    door,
                    "mx1",
                    json!({"edits": [{"format": "set", "config": "set snmp contact new"}]}),
                )
                .await,
        );
        let tree = |database| device.device().tree(database);
        assert_ne!(tree(Database::Rescue), tree(Database::Committed));
        good(door, gateway.whole(door, "mx1", "rescue", Value::Null).await);
        assert_eq!(tree(Database::Rescue), tree(Database::Committed));
        assert!(is_free(&device));
        gateway.stop().await;
        device.stop().await;
    }
}
