//! What holds for one way in holds for every other, and refusals help through all of them.

use ncgate::emulator::Profile;
use ncgate::emulator::config::set;
use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::support::doors::{DOORS, bad, good, plain};
use crate::support::judged::holdings;
use crate::support::{TestGateway, answer, junos, listen, sent};

/// Q9: a command is refused as the RPC is that it stands for, however it is written, and whatever carries it.
#[tokio::test]
async fn commands_are_refused_as_their_rpcs() {
    let (gateway, device) = TestGateway::with_device(junos()).await;
    for door in DOORS {
        for (rpc, resource, service, commands) in [
            (
                "clear-system-commit",
                "changes",
                "ChangeService",
                &["clear system commit", "cle sys com | no-more"][..],
            ),
            (
                "request-save-rescue-configuration",
                "config/rescue",
                "ConfigService.SaveRescueConfig",
                &["request system configuration rescue save"],
            ),
            (
                "open-configuration",
                "edit-sessions",
                "EditSessionService",
                &["configure private"],
            ),
        ] {
            let refused = bad(
                door,
                gateway.rpc_xml(door, "mx1", &format!("<{rpc}/>"), plain()).await,
            );
            let hint = refused.hint.clone().expect("a hint");
            assert!(
                hint.contains(resource) && hint.contains(service),
                "{door:?}: {hint}"
            );
            for command in commands {
                let cli = bad(door, gateway.cli(door, "mx1", command, plain()).await);
                let raw = json!({"command": command});
                let raw = bad(door, gateway.rpc(door, "mx1", raw, plain()).await);
                for told in [cli, raw] {
                    assert_eq!(told.verdict(), refused.verdict(), "{door:?} {command}");
                    assert_eq!(told.hint, refused.hint, "{door:?} {command}");
                }
            }
        }
    }
    assert_eq!(device.stats().connections, 0, "something was sent");
    gateway.stop().await;
    device.stop().await;
}

/// S22: a candidate that the gateway itself has given away is refused by the gateway, not by the device.
#[tokio::test]
async fn refusals_of_the_gateway_are_its_own() {
    for door in DOORS {
        let (gateway, device) = TestGateway::with_device(junos()).await;
        good(door, gateway.open(door, "mx1", json!({})).await);
        let refused = bad(door, gateway.open(door, "mx1", json!({})).await);
        assert_eq!(refused.verdict(), ("lock-denied", "not_sent"), "{refused:?}");
        assert_eq!(refused.origin, "gateway", "{refused:?}");
        assert_eq!(device.stats().count("lock"), 1, "the device was asked once");
        gateway.stop().await;
        device.stop().await;

        // And what a device refuses is the device's.
        let (gateway, device) = TestGateway::with_device(junos()).await;
        device.console("carol").configure_exclusive().expect("the lock");
        let refused = bad(door, gateway.open(door, "mx1", json!({})).await);
        assert_eq!(
            (refused.code.as_str(), refused.origin.as_str()),
            ("lock-denied", "device")
        );
        gateway.stop().await;
        device.stop().await;
    }
}

/// E3, E4: what a caller writes into a comment is no evidence.
#[tokio::test]
async fn comments_cannot_forge_markers() {
    for door in DOORS {
        let (gateway, device) = TestGateway::with_device(junos()).await;
        let made = good(
            door,
            gateway
                .change(
                    door,
                    "mx1",
                    json!({
                        "edits": [{"format": "set", "config": "set snmp contact east"}],
                        "commit": {"comment": "as [ncgate 01ARZ3NDEKTSV4RRFFQ69G5FAV carol] did"},
                    }),
                )
                .await,
        );
        let id = made["id"].as_str().expect("an id");
        let commit = sent(&device, "commit-configuration");
        let commit = commit.last().expect("a commit");
        assert_eq!(commit.matches("[ncgate ").count(), 1, "{commit}");
        assert!(
            commit.contains(&format!(" did [ncgate {id} anonymous]</log>")),
            "{commit}"
        );
        gateway.stop().await;
        device.stop().await;
    }
}

/// S12: `replace:` in a comment or a string of Junos text marks nothing, and without a mark nothing would be replaced.
#[tokio::test]
async fn marks_in_comments_are_none() {
    for door in DOORS {
        let (gateway, device) = TestGateway::with_device(junos()).await;
        let before = holdings(&device);
        for text in [
            "/* replace: all */ snmp { contact east; }",
            "snmp { contact \"replace: east\"; }",
        ] {
            let edit = json!({"action": "replace", "format": "text", "config": text});
            let refused = bad(door, gateway.change(door, "mx1", json!({"edits": [edit]})).await);
            assert_eq!(refused.verdict(), ("invalid-argument", "not_sent"), "{text}");
            assert_eq!(refused.fields, ["edits.0.action"], "{text}");
        }
        assert_eq!(holdings(&device), before);
        let text = "/* all */ replace: snmp { contact east; }";
        let edit = json!({"action": "replace", "format": "text", "config": text});
        good(door, gateway.change(door, "mx1", json!({"edits": [edit]})).await);
        let running = set::render(&device.device().running().tree);
        assert!(running.contains("set snmp contact east"), "{running}");
        gateway.stop().await;
        device.stop().await;
    }
}

/// S12: a byte order mark before set lines or text is none of their characters.
#[tokio::test]
async fn byte_order_marks_are_no_configuration() {
    for door in DOORS {
        let (gateway, device) = TestGateway::with_device(junos()).await;
        for (format, text) in [
            ("set", "\u{feff}set snmp contact east"),
            ("text", "\u{feff}snmp { contact west; }"),
        ] {
            let body = json!({"edits": [{"format": format, "config": text}]});
            let made = good(door, gateway.change(door, "mx1", body).await);
            assert_eq!(made["state"], "committed", "{made}");
        }
        let sent = sent(&device, "load-configuration");
        assert!(sent.iter().all(|rpc| !rpc.contains('\u{feff}')), "{sent:?}");
        gateway.stop().await;
        device.stop().await;
    }
    let (gateway, device) = TestGateway::with_device(junos()).await;
    let opened = gateway.open(DOORS[0], "mx1", json!({})).await.expect("is open");
    let path = format!(
        "/v1/devices/mx1/edit-sessions/{}/edit",
        opened["id"].as_str().expect("an id")
    );
    let request = gateway
        .request(Method::POST, &path)
        .header("Content-Type", "text/plain")
        .body("\u{feff}set snmp contact east");
    let (status, edited) = answer(request).await;
    assert_eq!((status, &edited["uncommitted"]), (StatusCode::OK, &json!(true)));
    gateway.stop().await;
    device.stop().await;
}

/// H2: a refusal says what to do, in the words of both doors.
#[tokio::test]
async fn refusals_say_what_to_do() {
    for door in DOORS {
        let (gateway, device) = TestGateway::with_device(junos()).await;
        let opened = good(door, gateway.open(door, "mx1", json!({})).await);
        let id = opened["id"].as_str().expect("an id");
        gateway.close(door, "mx1", id).await.expect("it ends");
        let gone = bad(door, gateway.edited(door, "mx1", id, &[]).await);
        assert_eq!(gone.code, "edit-session-closed");
        assert!(gone.hint.is_some_and(|hint| hint.contains("open another one")));

        let unknown = bad(door, gateway.device(door, "nowhere").await);
        let hint = unknown.hint.expect("a hint");
        assert!(
            hint.contains("GET /v1/devices") && hint.contains("ListDevices"),
            "{hint}"
        );

        let other = listen(junos()).await;
        gateway
            .add("mx2", &other, json!({"auth": {"password": "wrong"}}))
            .await;
        let denied = bad(door, gateway.check(door, "mx2").await);
        assert_eq!(denied.code, "device-auth-failed");
        let hint = denied.hint.expect("a hint");
        assert!(hint.contains("username and auth of the device"), "{hint}");

        gateway.stop().await;
        device.stop().await;
        other.stop().await;
    }
}

/// S7: an operation that a device cannot do is named once.
#[tokio::test]
async fn what_a_device_lacks_is_named_once() {
    let gateway = TestGateway::start().await;
    let device = listen(junos().profile(Profile::RfcRunning)).await;
    gateway.add("rfc1", &device, json!({})).await;
    for door in DOORS {
        let refused = bad(door, gateway.cli(door, "rfc1", "show version", plain()).await);
        assert_eq!(refused.verdict(), ("capability-missing", "not_sent"));
        assert!(
            refused.detail.starts_with("command needs capability "),
            "{}",
            refused.detail
        );
    }
    gateway.stop().await;
    device.stop().await;
}
