//! Replies that never come, or that are nobody's.

use std::time::Duration;

use ncgate::emulator::{Fault, Profile, Rule};
use reqwest::StatusCode;
use serde_json::json;

use super::change;
use crate::support::confirmed::{clock, pass};
use crate::support::doors::{DOORS, bad, good};
use crate::support::{TestGateway, code, eventually, invariants, junos, listen};

const UPTIME: &str = "get-system-uptime-information";
const INTERFACES: &str = "get-interface-information";

/// Row 7: the reply to a commit never comes. The caller is told at the deadline that it is unknown; what became of it is
/// found out; the session is closed when twice the time is over, and not before.
#[tokio::test]
async fn row_07_a_commit_is_never_answered() {
    for door in DOORS {
        let clock = clock();
        let gateway = TestGateway::at(clock.clone(), |_| {}).await;
        let device = listen(junos().clock(clock)).await;
        gateway.add("mx1", &device, json!({})).await;
        let silent = Rule::on("commit-configuration", Fault::NeverReply)
            .after(1)
            .once();
        device.faults().add(silent);
        let late = async {
            eventually("it is sent", async || {
                device.stats().count("commit-configuration") == 2
            })
            .await;
            let session = *device.device().sessions().keys().next().expect("a session");
            // `commit_seconds`
            pass(Duration::from_secs(301)).await;
            session
        };
        let (answered, session) = tokio::join!(gateway.change(door, "mx1", change()), late);
        let refusal = bad(door, answered);
        assert_eq!(refusal.verdict(), ("device-timeout", "unknown"), "{refusal:?}");
        let id = refusal.change_id.expect("an id to follow");
        assert!(device.device().is_logged_in(session), "the reply may still come");
        eventually("it is found out", async || {
            let change = good(door, gateway.get_change(door, "mx1", &id).await);
            change["state"] == "committed" && change["outcome"] == "applied"
        })
        .await;
        pass(Duration::from_secs(301)).await;
        eventually("its session is closed", async || {
            !device.device().is_logged_in(session)
        })
        .await;
        assert_eq!(device.device().commits_with("").len(), 1);
        invariants::hold("row 7", &gateway, "mx1", &device).await;
        gateway.stop().await;
    }
}

/// Row 14: a reply with an id that nobody waits for costs its session, and reaches neither its own caller nor the one who
/// asks in another session at the same time.
#[tokio::test]
async fn row_14_a_wrong_message_id_reaches_nobody() {
    let (gateway, device) = TestGateway::with_device(junos()).await;
    let wrong = Rule::on(INTERFACES, Fault::WrongMessageId).once();
    device.faults().add(wrong);
    device
        .faults()
        .add(Rule::on(INTERFACES, Fault::Delay(Duration::from_millis(200))).once());
    let mine = format!("/v1/devices/mx1/rpc/{INTERFACES}?attr.mark=mine");
    let theirs = format!("/v1/devices/mx1/rpc/{UPTIME}?attr.mark=theirs");
    let (mine, theirs) = tokio::join!(gateway.get(&mine), gateway.get(&theirs));
    assert_eq!(
        (mine.0, code(&mine.1)),
        (StatusCode::BAD_GATEWAY, "device-protocol-error"),
        "{}",
        mine.1
    );
    assert_eq!(mine.1["outcome"], "not_applied");
    assert_eq!(
        (theirs.0, &theirs.1["attributes"]["mark"]),
        (StatusCode::OK, &json!("theirs"))
    );
    assert!(
        theirs.1["data"].get("system-uptime-information").is_some(),
        "{}",
        theirs.1
    );
    let next = gateway
        .read(&format!("/v1/devices/mx1/rpc/{INTERFACES}?attr.mark=next"))
        .await;
    assert_eq!(next["attributes"]["mark"], "next");
    let loss = gateway.read("/v1/devices/mx1").await["connection"]["last_loss"].clone();
    assert_eq!(loss["code"], "device-protocol-error", "{loss}");
    invariants::hold("row 14", &gateway, "mx1", &device).await;
    gateway.stop().await;
}

/// Row 14: without an id nobody knows whose a reply is while several are awaited: none of them gets it.
#[tokio::test]
async fn row_14_no_message_id_while_several_are_outstanding() {
    for profile in [Profile::Junos, Profile::JunosRfc11] {
        let (gateway, device) = TestGateway::with_device(junos().profile(profile)).await;
        let gate = ncgate::emulator::Gate::new();
        device
            .faults()
            .add(Rule::on(UPTIME, Fault::MissingMessageId).once());
        // Nothing is answered before both are sent.
        device
            .faults()
            .add(Rule::on(UPTIME, Fault::HoldReply(gate.clone())).once());
        let body =
            json!({"rpcs": [{"rpc": {UPTIME: null}}, {"rpc": {INTERFACES: null}}], "on_error": "continue"});
        let sent = async {
            gate.reached().await;
            // The second one has left as well, or is about to: the device reads it when it is let.
            gate.open();
        };
        let ((status, answer), ()) = tokio::join!(gateway.post("/v1/devices/mx1/rpc", &body), sent);
        assert_eq!(status, StatusCode::OK, "{answer}");
        for result in answer["results"].as_array().expect("results") {
            assert_eq!(result["code"], "device-protocol-error", "{profile:?}: {answer}");
            assert_eq!(result["outcome"], "not_applied");
        }
        let read = gateway.read(&format!("/v1/devices/mx1/rpc/{UPTIME}")).await;
        assert!(read["data"].get("system-uptime-information").is_some(), "{read}");
        invariants::hold("row 14", &gateway, "mx1", &device).await;
        gateway.stop().await;
    }
}
