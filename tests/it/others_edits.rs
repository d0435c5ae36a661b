//! What others left uncommitted in the shared candidate is not wiped out unseen (issue 3, item 8; L2, S20): whoever has the
//! role `configure` is shown it first.

use ncgate::emulator::config::{Database, set};
use ncgate::emulator::{Fault, Gate, Profile, Rule, RunningEmulator};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::commits::{id, running, to_contact};
use crate::support::doors::{DOORS, Door, Refusal, bad, good};
use crate::support::{TestGateway, eventually, junos, sent};

const THEIRS: &str = "set snmp contact theirs";

/// A device in whose candidate somebody left something.
async fn with_leftovers(profile: Profile) -> (TestGateway, RunningEmulator) {
    TestGateway::with_device(junos().profile(profile).uncommitted("carol", THEIRS)).await
}

fn staged(device: &RunningEmulator) -> String {
    let tree = device.device().tree(Database::Candidate);
    tree.map(|tree| set::render(&tree)).unwrap_or_default()
}

/// Shown, and still there.
fn is_shown(refusal: &Refusal, device: &RunningEmulator) {
    assert_eq!(refusal.verdict(), ("lock-denied", "not_applied"), "{refusal:?}");
    assert_eq!(refusal.reason.as_deref(), Some("candidate_modified"));
    let diff = refusal.diff.as_deref().unwrap_or_default();
    assert!(diff.contains("theirs"), "{refusal:?}");
    let hint = refusal.hint.as_deref().unwrap_or_default();
    assert!(hint.contains("discard_others"), "{hint}");
    assert!(staged(device).contains("theirs"));
}

/// S13: a copy over the candidate, and its deletion.
#[tokio::test]
async fn whole_configurations_do_not_wipe_them_out() {
    let copy = ("copy", json!({"source": "running", "target": "candidate"}));
    let delete = ("delete", json!({"target": "candidate"}));
    for door in DOORS {
        for (profile, (action, body)) in [
            (Profile::Junos, copy.clone()),
            (Profile::Junos, delete.clone()),
            (Profile::Rfc, copy.clone()),
        ] {
            let (gateway, device) = with_leftovers(profile).await;
            let operation = format!("{action}-config");
            let refusal = bad(door, gateway.whole(door, "mx1", action, body.clone()).await);
            is_shown(&refusal, &device);
            assert_eq!(device.stats().count(&operation), 0);
            // A plan shows the look, too.
            let mut planned = body.clone();
            planned["plan"] = json!(true);
            let plan = good(door, gateway.whole(door, "mx1", action, planned.clone()).await);
            let looks = if profile == Profile::Junos { 1 } else { 2 };
            assert_eq!(plan["rpcs"].as_array().map(Vec::len), Some(looks + 1), "{plan}");
            planned["discard_others"] = json!(true);
            let plan = good(door, gateway.whole(door, "mx1", action, planned).await);
            assert_eq!(plan["rpcs"].as_array().map(Vec::len), Some(1), "{plan}");
            let mut wanted = body;
            wanted["discard_others"] = json!(true);
            good(door, gateway.whole(door, "mx1", action, wanted).await);
            assert!(!staged(&device).contains("theirs"));
            assert_eq!(device.stats().count(&operation), 1);
            gateway.stop().await;
            device.stop().await;
        }
    }
}

/// The edits that take the place of everything.
fn wiping(profile: Profile) -> Vec<Value> {
    let whole = |config: Value| json!({"action": "override", "whole_configuration": true, "config": config});
    match profile {
        Profile::Junos => vec![
            json!({"rollback": 0}),
            json!({"format": "set", "config": "delete\nset snmp contact x", "whole_configuration": true}),
            whole(json!({"snmp": {"contact": "x"}})),
        ],
        _ => vec![whole(
            json!({"example-router:configuration": {"snmp": {"contact": "x"}}}),
        )],
    }
}

/// An edit session in mode `shared`.
#[tokio::test]
async fn shared_edit_sessions_do_not_wipe_them_out() {
    for door in DOORS {
        for profile in [Profile::Junos, Profile::Rfc] {
            for edit in wiping(profile) {
                let (gateway, device) = with_leftovers(profile).await;
                let session = good(door, gateway.open(door, "mx1", json!({"mode": "shared"})).await);
                let session = id(&session);
                let refusal = bad(door, gateway.edit(door, "mx1", &session, edit.clone()).await);
                is_shown(&refusal, &device);
                let mut wanted = edit;
                wanted["discard_others"] = json!(true);
                good(door, gateway.edit(door, "mx1", &session, wanted).await);
                assert!(!staged(&device).contains("theirs"));
                gateway.stop().await;
                device.stop().await;
            }
        }
    }
}

/// A change in mode `shared`: refused before its first edit. One that adds something is made beside them.
#[tokio::test]
async fn shared_changes_do_not_wipe_them_out() {
    for door in DOORS {
        for profile in [Profile::Junos, Profile::Rfc] {
            let (gateway, device) = with_leftovers(profile).await;
            let wipe = wiping(profile)[0].clone();
            let mut edits = to_contact(profile, "east");
            edits.as_array_mut().expect("a list").insert(0, wipe);
            let mut body = json!({"mode": "shared", "edits": edits});
            let refusal = bad(door, gateway.change(door, "mx1", body.clone()).await);
            is_shown(&refusal, &device);
            assert_eq!(refusal.step.as_deref(), Some("check"));
            body["edits"][0]["discard_others"] = json!(true);
            let change = good(door, gateway.change(door, "mx1", body).await);
            assert_eq!(change["state"], "committed", "{change}");
            assert!(running(&device).contains("east") && !staged(&device).contains("theirs"));
            gateway.stop().await;
            device.stop().await;
        }
    }
}

/// S13: a device does not commit an empty configuration, and its own words come through.
#[tokio::test]
async fn an_empty_candidate_is_not_committed() {
    for door in DOORS {
        let (gateway, device) = TestGateway::with_device(junos()).await;
        let before = running(&device);
        good(
            door,
            gateway
                .whole(door, "mx1", "delete", json!({"target": "candidate"}))
                .await,
        );
        let session = good(door, gateway.open(door, "mx1", json!({"mode": "shared"})).await);
        let refusal = bad(
            door,
            gateway
                .act(door, "mx1", &id(&session), "commit", Value::Null)
                .await,
        );
        assert_eq!(refusal.outcome, "not_applied", "{refusal:?}");
        assert_eq!(refusal.step.as_deref(), Some("commit"));
        let words: Vec<&str> = refusal
            .rpc_errors
            .iter()
            .filter_map(|error| error["error_message"].as_str())
            .collect();
        assert!(words[0].contains("Missing mandatory statement"), "{words:?}");
        assert!(
            words[words.len() - 1].contains("check-out failed: (missing mandatory statements)"),
            "{words:?}"
        );
        assert_eq!(running(&device), before);
        gateway.stop().await;
        device.stop().await;
    }
}

fn edit_of(profile: Profile) -> &'static str {
    match profile {
        Profile::Junos => "load-configuration",
        _ => "edit-config",
    }
}

/// An edit session in mode `shared` of a device that holds the reply to a copy over the candidate back, and so the turn of
/// that.
async fn behind_a_copy(gateway: &TestGateway, door: Door, device: &RunningEmulator) -> (String, Gate) {
    let session = good(door, gateway.open(door, "mx1", json!({"mode": "shared"})).await);
    let gate = Gate::new();
    let held = Fault::HoldReply(gate.clone());
    device.faults().add(Rule::on("copy-config", held).once());
    (id(&session), gate)
}

fn copy() -> Value {
    json!({"source": "running", "target": "candidate"})
}

async fn under_way(gateway: &TestGateway, count: usize) {
    eventually("so many are under way", async || {
        let found = gateway.newest_operations(Door::Rest, 100).await;
        found.iter().filter(|found| found["done"] != true).count() == count
    })
    .await;
}

/// L2, S20: what others do while it waits for its turn is seen, too.
#[tokio::test]
async fn what_others_edit_meanwhile_is_not_wiped_out() {
    for door in DOORS {
        for profile in [Profile::Junos, Profile::Rfc] {
            let (gateway, device) = TestGateway::with_device(junos().profile(profile)).await;
            let (session, gate) = behind_a_copy(&gateway, door, &device).await;
            let wipes = wiping(profile).pop().expect("an edit");
            let editing = async {
                gate.reached().await;
                gateway.edit(door, "mx1", &session, wipes).await
            };
            let meanwhile = async {
                under_way(&gateway, 2).await;
                device.console("carol").edit(THEIRS).unwrap();
                gate.open();
            };
            let (copied, refused, ()) =
                tokio::join!(gateway.whole(door, "mx1", "copy", copy()), editing, meanwhile);
            good(door, copied);
            is_shown(&bad(door, refused), &device);
            assert_eq!(sent(&device, edit_of(profile)).len(), 0);
            gateway.stop().await;
            device.stop().await;
        }
    }
}

/// Q7: whoever leaves while his edit waits takes it back, though the candidate is looked at before it.
#[tokio::test]
async fn an_edit_whose_caller_leaves_is_not_sent() {
    for profile in [Profile::Junos, Profile::Rfc] {
        let (gateway, device) = TestGateway::with_device(junos().profile(profile)).await;
        let (session, gate) = behind_a_copy(&gateway, Door::Rest, &device).await;
        let leaving = async {
            gate.reached().await;
            let path = format!("/v1/devices/mx1/edit-sessions/{session}/edit");
            let wipes = wiping(profile).pop().expect("an edit");
            let call = tokio::spawn(gateway.request(Method::POST, &path).json(&wipes).send());
            under_way(&gateway, 2).await;
            call.abort();
            under_way(&gateway, 1).await;
            gate.open();
        };
        let (copied, ()) = tokio::join!(gateway.whole(Door::Rest, "mx1", "copy", copy()), leaving);
        good(Door::Rest, copied);
        assert_eq!(sent(&device, edit_of(profile)).len(), 0);
        gateway.stop().await;
        device.stop().await;
    }
}
