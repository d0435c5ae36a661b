//! What hurts users of other clients and gateways, on the way of a read: each complaint as a test that it is not ours.

use std::time::{Duration, Instant};

use ncgate::emulator::{Fault, Profile, Rule};
use serde_json::{Value, json};

use crate::support::doors::{DOORS, bad, good, options, plain};
use crate::support::{PASSWORD, TestGateway, USER, eventually, junos, listen};

const UPTIME: &str = "get-system-uptime-information";
const INTERFACES: &str = "get-interface-information";

async fn metric(gateway: &TestGateway, line: &str) -> bool {
    let request = gateway.request(reqwest::Method::GET, "/metrics").send();
    let text = request.await.expect("an answer").text().await.expect("a text");
    text.lines().any(|found| found == line)
}

/// Pain 1: a device that reboots on request never replies. Its caller is not kept until the deadline, and is told that
/// the session ended as it does when the device obeys, which is no proof that it did.
#[tokio::test]
async fn reboot_is_answered_when_the_session_ends() {
    let (gateway, device) = TestGateway::with_device(junos()).await;
    for operation in ["request-reboot", "command"] {
        device.faults().add(Rule::on(operation, Fault::DropBeforeReply));
    }
    for door in DOORS {
        let started = Instant::now();
        let named = gateway
            .named(door, "mx1", "request-reboot", Value::Null, plain())
            .await;
        let cli = gateway.cli(door, "mx1", "request system reboot", plain()).await;
        for refusal in [bad(door, named), bad(door, cli)] {
            assert_eq!(refusal.verdict(), ("outcome-unknown", "unknown"));
            assert_eq!(refusal.reason.as_deref(), Some("session_ended"));
            assert!(refusal.hint.is_some_and(|hint| hint.contains("check")));
        }
        assert!(
            started.elapsed() < Duration::from_secs(20),
            "{:?}",
            started.elapsed()
        );
        // Not every lost session is that.
        device
            .faults()
            .add(Rule::on("clear-x", Fault::DropBeforeReply).once());
        let other = bad(
            door,
            gateway.named(door, "mx1", "clear-x", Value::Null, plain()).await,
        );
        assert_eq!(other.verdict(), ("session-lost", "unknown"));
        good(
            door,
            gateway.named(door, "mx1", UPTIME, Value::Null, plain()).await,
        );
    }
    assert_eq!(device.stats().count("request-reboot"), 2, "sent once each");
}

/// Pain 1: that a session died, and why, is to be seen: in the device, in its metric; and the next call does not care.
#[tokio::test]
async fn death_of_a_session_has_a_cause() {
    let (gateway, device) = TestGateway::with_device(junos()).await;
    for door in DOORS {
        good(
            door,
            gateway.named(door, "mx1", UPTIME, Value::Null, plain()).await,
        );
        device.drop_connections();
        eventually("the loss is told", async || {
            let shown = good(door, gateway.device(door, "mx1").await);
            shown["connection"]["sessions"] == 0 && shown["connection"]["last_loss"]["code"] == "session-lost"
        })
        .await;
    }
    let lost = ["transport", "end_of_stream"];
    let mut counted = false;
    for reason in lost {
        counted |= metric(
            &gateway,
            &format!("ncgate_sessions_lost_total{{reason=\"{reason}\"}} 2"),
        )
        .await;
    }
    assert!(counted, "both losses are counted by their cause");
}

/// Pain 1: a device that never answers `close-session` keeps neither the connection nor anything else of it.
#[tokio::test]
async fn unanswered_close_session_closes_all_the_same() {
    let gateway = TestGateway::start().await;
    let device = listen(junos()).await;
    device.faults().add(Rule::on("close-session", Fault::NeverReply));
    for (door, sent) in DOORS.into_iter().zip([1, 2]) {
        gateway.add("mx1", &device, json!({})).await;
        good(
            door,
            gateway.named(door, "mx1", UPTIME, Value::Null, plain()).await,
        );
        assert_eq!(device.stats().open_connections, 1);
        gateway.delete(door, "mx1", "").await.expect("it is removed");
        eventually("the connection is closed by force", async || {
            device.stats().open_connections == 0
        })
        .await;
        assert_eq!(device.stats().count("close-session"), sent);
    }
}

/// Pain 6: a leading warning hides no error, and a warning beside success is none.
#[tokio::test]
async fn leading_warning_hides_no_error() {
    let (gateway, device) = TestGateway::with_device(junos()).await;
    let error = |severity: &str, message: &str| {
        format!(
            "<rpc-error><error-severity>{severity}</error-severity><error-message>{message}</error-message></rpc-error>"
        )
    };
    let both = error("warning", "mind the gap") + &error("error", "fell into the gap") + "<ok/>";
    for door in DOORS {
        device
            .faults()
            .add(Rule::on(UPTIME, Fault::ReplyWith(both.clone())).once());
        let refusal = bad(
            door,
            gateway.named(door, "mx1", UPTIME, Value::Null, plain()).await,
        );
        assert_eq!(refusal.detail, "fell into the gap");
        let warned = error("warning", "mind the gap") + "<ok/>";
        device
            .faults()
            .add(Rule::on(UPTIME, Fault::ReplyWith(warned)).once());
        let reply = good(
            door,
            gateway.named(door, "mx1", UPTIME, Value::Null, plain()).await,
        );
        assert_eq!(reply["warnings"][0]["error_message"], "mind the gap");
    }
}

/// Pain 7: a single text far beyond the 10 MB at which XML libraries give up arrives whole.
#[tokio::test]
async fn text_of_twenty_megabytes_is_no_limit() {
    let (gateway, device) = TestGateway::with_device(junos()).await;
    let line = "0123456789abcde\n";
    let text = line.repeat((20 << 20) / line.len());
    let reply = format!("<output>\n{text}</output>");
    device.faults().add(Rule::on("get-log", Fault::ReplyWith(reply)));
    let whole = gateway.read("/v1/devices/mx1/rpc/get-log").await;
    let output = whole["data"]["output"][0].as_str().expect("a string");
    assert!(output.trim_end() == text.trim_end());
    let (_, data, _) = gateway.stream_named("mx1", "get-log").await;
    assert!(data["output"][0].as_str() == Some(output));
}

/// Pain 8: one entry of a list and several have the same shape, with and without a table of lists.
#[tokio::test]
async fn one_entry_has_the_shape_of_many() {
    let (gateway, device) = TestGateway::with_device(junos()).await;
    let interface = |name: &str| format!("<physical-interface><name>{name}</name></physical-interface>");
    let reply = |inner: String| format!("<interface-information>{inner}</interface-information>");
    for door in DOORS {
        for with in [plain(), options(&[("arrays", "all")])] {
            for names in [&["ge-0/0/0"][..], &["ge-0/0/0", "ge-0/0/1"][..]] {
                let inner: String = names.iter().copied().map(interface).collect();
                device
                    .faults()
                    .add(Rule::on(INTERFACES, Fault::ReplyWith(reply(inner))).once());
                let shown = good(
                    door,
                    gateway.named(door, "mx1", INTERFACES, Value::Null, with).await,
                );
                let data = &shown["data"]["interface-information"];
                let data = if data.is_array() { &data[0] } else { data };
                let list = data["physical-interface"].as_array().expect("a list");
                assert_eq!(list.len(), names.len());
            }
        }
    }
}

/// Pain 8: the device's own JSON, which may repeat a key, is passed on as it is instead of losing half of it.
#[tokio::test]
async fn repeated_keys_of_the_devices_json_are_kept() {
    let (gateway, device) = TestGateway::with_device(junos()).await;
    const OWN: &str = r#"{"a": [{"b": 1, "b": 2}]}"#;
    for door in DOORS {
        device
            .faults()
            .add(Rule::on(UPTIME, Fault::ReplyWith(format!("\n{OWN}\n"))).once());
        let reply = gateway
            .named(
                door,
                "mx1",
                UPTIME,
                Value::Null,
                options(&[("format", "device_json")]),
            )
            .await;
        let data = good(door, reply)["data"].clone();
        assert_eq!(data.as_str().map(str::trim), Some(OWN), "{data}");
    }
}

/// Pain 9: a deadline names who can change it, and what is known of the device.
#[tokio::test]
async fn timeout_says_how_to_wait_longer() {
    let (gateway, device) = TestGateway::with_device(junos()).await;
    for door in DOORS {
        let patch = json!({"timeouts": {"rpc_seconds": 1}});
        good(door, gateway.update(door, "mx1", &patch, "").await);
        let slow = Fault::Delay(Duration::from_millis(1400));
        device.faults().add(Rule::on(UPTIME, slow).once());
        let refusal = bad(
            door,
            gateway.named(door, "mx1", UPTIME, Value::Null, plain()).await,
        );
        assert_eq!(refusal.verdict(), ("device-timeout", "not_applied"));
        let hint = refusal.hint.expect("a hint");
        assert!(
            hint.contains("Request-Timeout") && hint.contains("still be at work"),
            "{hint}"
        );
        good(
            door,
            gateway.named(door, "mx1", UPTIME, Value::Null, plain()).await,
        );
    }
}

/// Pain 11: a device is usable as soon as it is added, and nobody asks it for its schemas.
#[tokio::test]
async fn added_device_is_usable_at_once_and_without_schemas() {
    let gateway = TestGateway::start().await;
    let device = listen(junos().profile(Profile::Rfc)).await;
    for door in DOORS {
        let document = json!({
            "name": "r1", "address": "127.0.0.1", "port": device.addr().port(), "username": USER,
            "auth": {"password": PASSWORD},
            "host_key": {"policy": "pinned", "keys": [device.host_key_fingerprint()]},
        });
        let started = Instant::now();
        good(door, gateway.create(door, &document).await);
        good(door, gateway.config(door, "r1", &[]).await);
        assert!(
            started.elapsed() < Duration::from_secs(5),
            "{:?}",
            started.elapsed()
        );
        gateway.delete(door, "r1", "").await.expect("it is removed");
    }
    assert_eq!(device.stats().count("get-schema"), 0);
}
