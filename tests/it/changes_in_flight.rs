//! Steps of a change that are sent together (conventions Q2): which they are, and that one that fails is told and undone
//! as if it had been alone.

use ncgate::emulator::{DeviceError, Fault, Gate, Profile, Rule, RunningEmulator};
use serde_json::{Value, json};

use crate::support::doors::{DOORS, Door, bad, good};
use crate::support::events::{kinds, of_kind};
use crate::support::judged::{as_before, holdings};
use crate::support::{TestGateway, junos, listen};

fn body(mode: &str) -> Value {
    json!({"mode": mode, "edits": [{"config": {"snmp": {"location": "east"}}}]})
}

/// What the device was asked for since `before` requests had come. Which software it has is asked once, on connecting.
fn asked(device: &RunningEmulator, before: usize) -> Vec<String> {
    let mut asked = device.stats().rpcs.split_off(before);
    asked.retain(|name| name != "get-software-information");
    asked
}

fn refusing() -> Fault {
    Fault::Errors(vec![DeviceError::new("no room")])
}

const LOCK: &str = "lock";
const HISTORY: &str = "get-commit-information";
const LOAD: &str = "load-configuration";
const COMMIT: &str = "commit-configuration";
const COMPARE: &str = "get-configuration";
const UNLOCK: &str = "unlock";

/// S31, Q2: a load that fails while its check and its comparison are in flight is told as the failed load, and undone;
/// with `pipelining: false` they are not even sent.
#[tokio::test]
async fn a_failed_edit_is_told_and_undone_with_more_in_flight() {
    for pipelining in [true, false] {
        let device = listen(junos()).await;
        let gateway = TestGateway::start().await;
        let quirks = json!({"quirks": {"pipelining": pipelining}});
        gateway.add("mx1", &device, quirks).await;
        let held = holdings(&device);
        for door in DOORS {
            let before = device.stats().rpcs.len();
            device.faults().add(Rule::on(LOAD, refusing()).once());
            let refusal = bad(door, gateway.change(door, "mx1", body("exclusive")).await);
            assert_eq!(refusal.outcome, "not_applied", "{refusal:?}");
            assert_eq!(refusal.step.as_deref(), Some("edit"), "{refusal:?}");
            assert_eq!(refusal.rpc_errors[0]["error_message"], "no room", "{refusal:?}");
            as_before(&device, &held, "a failed edit").await;
            let expected: &[&str] = match pipelining {
                true => &[LOCK, HISTORY, LOAD, COMMIT, COMPARE, LOAD, UNLOCK],
                false => &[LOCK, HISTORY, LOAD, LOAD, UNLOCK],
            };
            assert_eq!(asked(&device, before), expected, "{pipelining}");
            // The steps that count are the same.
            let id = refusal.change_id.expect("a change");
            let change = good(door, gateway.get_change(door, "mx1", &id).await);
            let steps = change["steps"].as_array().expect("steps");
            let steps: Vec<_> = steps
                .iter()
                .map(|step| (step["name"].as_str(), step["result"].as_str()))
                .collect();
            assert_eq!(
                steps,
                [
                    (Some("lock"), Some("done")),
                    (Some("check"), Some("done")),
                    (Some("edit"), Some("failed")),
                    (Some("discard"), Some("done")),
                    (Some("unlock"), Some("done")),
                ],
                "{pipelining}"
            );
        }
        let before = device.stats().rpcs.len();
        good(DOORS[0], gateway.change(DOORS[0], "mx1", body("exclusive")).await);
        assert_eq!(
            asked(&device, before),
            [LOCK, HISTORY, LOAD, COMMIT, COMPARE, COMMIT, UNLOCK],
            "{pipelining}"
        );
        gateway.stop().await;
        device.stop().await;
    }
}

/// C3, E2: nothing that edits, checks or commits is sent before the history was judged, be it that of a lock or of a
/// private copy.
#[tokio::test]
async fn nothing_counts_before_the_history_is_judged() {
    for (mode, point, expected) in [
        ("exclusive", HISTORY, &[LOCK, HISTORY, UNLOCK][..]),
        ("exclusive", LOCK, &[LOCK, HISTORY]),
        (
            "private",
            HISTORY,
            &["open-configuration", LOAD, HISTORY, "close-configuration"],
        ),
        ("private", "open-configuration", &["open-configuration"]),
    ] {
        let (gateway, device) = TestGateway::with_device(junos()).await;
        let held = holdings(&device);
        device.faults().add(Rule::on(point, refusing()).once());
        let before = device.stats().rpcs.len();
        let door = DOORS[0];
        let refusal = bad(door, gateway.change(door, "mx1", body(mode)).await);
        assert_eq!(refusal.outcome, "not_applied", "{mode} {point}: {refusal:?}");
        as_before(&device, &held, point).await;
        assert_eq!(asked(&device, before), expected, "{mode} {point}");
        gateway.stop().await;
        device.stop().await;
    }
}

/// What is known of other servers is only that they take one request at a time.
#[tokio::test]
async fn other_servers_get_one_step_at_a_time() {
    let (gateway, device) = TestGateway::with_device(junos().profile(Profile::Rfc)).await;
    let before = device.stats().rpcs.len();
    device.faults().add(Rule::on("edit-config", refusing()).once());
    let edit = json!({"config": {"example-router:configuration": {"snmp": {"contact": "x"}}}});
    let refusal = bad(
        DOORS[0],
        gateway.change(DOORS[0], "mx1", json!({"edits": [edit]})).await,
    );
    assert_eq!(refusal.step.as_deref(), Some("edit"), "{refusal:?}");
    let asked = asked(&device, before);
    assert!(!asked.iter().any(|name| name == "validate"), "{asked:?}");
    gateway.stop().await;
    device.stop().await;
}

/// H11: a state that lasts is told while it lasts, although its record is stored with the next one where that comes soon.
#[tokio::test]
async fn a_state_that_lasts_is_told_at_once() {
    let (gateway, device) = TestGateway::with_device(junos()).await;
    let (mut follower, _) = gateway.follow_from_now(Door::Rest, of_kind("change")).await;
    let gate = Gate::new();
    device
        .faults()
        .add(Rule::on(LOAD, Fault::HoldReply(gate.clone())).once());
    let changing = gateway.change(Door::Rest, "mx1", body("exclusive"));
    let watching = async {
        let told = follower.until("change.editing").await;
        assert_eq!(kinds(&told), ["change.preparing", "change.editing"]);
        gate.open();
        follower.until("change.committed").await
    };
    let (change, told) = tokio::join!(changing, watching);
    assert_eq!(good(Door::Rest, change)["state"], "committed");
    assert_eq!(
        kinds(&told),
        ["change.validated", "change.committing", "change.committed"]
    );
    gateway.stop().await;
    device.stop().await;
}
