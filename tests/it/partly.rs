//! What a device does in part, or without a lock: nothing of it is told as undone, and nothing of others is taken back.

use ncgate::emulator::{DeviceError, Fault, Gate, Profile, Rule, RunningEmulator};
use serde_json::{Value, json};

use crate::support::commits::{id, running, to_contact};
use crate::support::doors::{DOORS, bad, good};
use crate::support::{TestGateway, junos};

/// The tags by which a device says that it did a part, or could not undo one.
const PARTLY: [&str; 2] = ["partial-operation", "rollback-failed"];

fn refusing(operation: &str, tag: &'static str) -> Rule {
    let error = DeviceError::new("not all of it was done").tagged("application", tag);
    Rule::on(operation, Fault::Errors(vec![error]))
}

/// The operation that commits, and how many of it come before.
fn commit_of(profile: Profile) -> (&'static str, u64) {
    match profile {
        Profile::Junos => ("commit-configuration", 1),
        _ => ("commit", 0),
    }
}

/// Conventions section 2, last row: what a commit that was done in part means is not known yet, through both doors.
#[tokio::test]
async fn a_commit_in_part_is_never_called_undone() {
    for (door, tag) in DOORS.into_iter().zip(PARTLY) {
        for profile in [Profile::Junos, Profile::Rfc] {
            let (gateway, device) = TestGateway::with_device(junos().profile(profile)).await;
            let (operation, after) = commit_of(profile);
            device.faults().add(refusing(operation, tag).after(after).once());
            let body = json!({"edits": to_contact(profile, "east")});
            let refusal = bad(door, gateway.change(door, "mx1", body).await);
            assert_eq!(refusal.verdict(), (tag, "unknown"), "{refusal:?}");
            assert_eq!(refusal.step.as_deref(), Some("commit"));
            assert_eq!(refusal.rpc_errors[0]["error_tag"], tag, "{refusal:?}");
            let change = refusal.change_id.expect("a change");
            let change = good(door, gateway.get_change(door, "mx1", &change).await);
            assert_eq!(change["state"], "unknown", "{change}");
            // Nothing is taken back before it is known.
            assert_eq!(device.stats().count("discard-changes"), 0);
            gateway.stop().await;
            device.stop().await;
        }
    }
}

/// The same of the commit of an edit session, and of an edit in the candidate, which does not touch what runs (H3).
#[tokio::test]
async fn an_edit_session_tells_a_commit_in_part() {
    for (door, tag) in DOORS.into_iter().zip(PARTLY) {
        for profile in [Profile::Junos, Profile::Rfc] {
            let (gateway, device) = TestGateway::with_device(junos().profile(profile)).await;
            let session = good(door, gateway.open(door, "mx1", json!({})).await);
            let session = id(&session);
            let edit = to_contact(profile, "east")[0].take();
            let load = match profile {
                Profile::Junos => "load-configuration",
                _ => "edit-config",
            };
            device.faults().add(refusing(load, tag).once());
            let refusal = bad(door, gateway.edit(door, "mx1", &session, edit.clone()).await);
            assert_eq!(refusal.verdict(), (tag, "not_applied"), "{refusal:?}");
            good(door, gateway.edit(door, "mx1", &session, edit).await);
            device.faults().add(refusing(commit_of(profile).0, tag).once());
            let refusal = bad(
                door,
                gateway.act(door, "mx1", &session, "commit", Value::Null).await,
            );
            assert_eq!(refusal.verdict(), (tag, "unknown"), "{refusal:?}");
            gateway.stop().await;
            device.stop().await;
        }
    }
}

/// The same of whole configurations.
#[tokio::test]
async fn a_copy_in_part_is_unknown() {
    for (door, tag) in DOORS.into_iter().zip(PARTLY) {
        let (gateway, device) = TestGateway::with_device(junos().profile(Profile::Rfc)).await;
        for (action, body) in [
            ("copy", json!({"source": "running", "target": "startup"})),
            ("delete", json!({"target": "startup"})),
        ] {
            device
                .faults()
                .add(refusing(&format!("{action}-config"), tag).once());
            let refusal = bad(door, gateway.whole(door, "mx1", action, body).await);
            assert_eq!(refusal.verdict(), (tag, "unknown"), "{refusal:?}");
        }
        gateway.stop().await;
        device.stop().await;
    }
}

/// Whose statements the candidate holds, beside what runs.
fn staged(device: &RunningEmulator) -> String {
    use ncgate::emulator::config::{Database, set};
    let tree = device.device().tree(Database::Candidate);
    tree.map(|tree| set::render(&tree)).unwrap_or_default()
}

/// L2, L4: what was not locked is not discarded, since others may have edited it meanwhile; the answer says what stays.
#[tokio::test]
async fn without_its_own_lock_a_change_discards_nothing() {
    for door in DOORS {
        for profile in [Profile::Junos, Profile::Rfc] {
            let (gateway, device) = TestGateway::with_device(junos().profile(profile)).await;
            let load = match profile {
                Profile::Junos => "load-configuration",
                _ => "edit-config",
            };
            device.faults().add(refusing("lock", "operation-not-supported"));
            let gate = Gate::new();
            device
                .faults()
                .add(Rule::on(load, Fault::HoldReply(gate.clone())).once());
            let refused = Fault::Errors(vec![DeviceError::new("no room")]);
            device.faults().add(Rule::on(load, refused).after(1).once());
            let mut edits = to_contact(profile, "east");
            let more = to_contact(profile, "west")[0].take();
            edits.as_array_mut().expect("a list").push(more);
            let meanwhile = async {
                gate.reached().await;
                device.console("carol").edit("set snmp location carols").unwrap();
                gate.open();
            };
            let body = json!({"edits": edits});
            let (answered, ()) = tokio::join!(gateway.change(door, "mx1", body), meanwhile);
            let refusal = bad(door, answered);
            assert_eq!(refusal.outcome, "not_applied", "{refusal:?}");
            assert_eq!(refusal.step.as_deref(), Some("edit"));
            let hint = refusal.hint.expect("what stays");
            assert!(hint.contains("stays in the shared candidate"), "{hint}");
            assert_eq!(device.stats().count("discard-changes"), 0);
            assert!(staged(&device).contains("carols"), "{profile:?}");
            assert!(!running(&device).contains("carols"), "{profile:?}");
            gateway.stop().await;
            device.stop().await;
        }
    }
}

/// L4, design section 6: of a change without a lock that ended before its first edit nothing stays anywhere.
#[tokio::test]
async fn what_was_not_edited_does_not_stay() {
    for door in DOORS {
        let leftovers = junos().uncommitted("noc", "set snmp contact attic");
        let (gateway, device) = TestGateway::with_device(leftovers).await;
        let edit = json!({"rollback": 0});
        let body = json!({"mode": "shared", "edits": [edit]});
        let refusal = bad(door, gateway.change(door, "mx1", body).await);
        assert_eq!(refusal.step.as_deref(), Some("check"), "{refusal:?}");
        assert_eq!(refusal.outcome, "not_applied");
        assert_eq!(device.stats().count("load-configuration"), 0);
        let hint = refusal.hint.expect("what the device is left with");
        assert!(!hint.contains("what was edited"), "{hint}");
        assert!(staged(&device).contains("attic"));
        gateway.stop().await;
        device.stop().await;
    }
}
