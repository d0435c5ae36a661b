//! Every point at which a change can fail where nothing can be taken back: in mode `shared`, whose edits are in everybody's
//! candidate, and on a device without a candidate, whose edits act at once (issue 3, item 3). What the device holds
//! afterwards is what the answer says. `change_faults` has what is taken back.

use ncgate::emulator::config::Database;
use ncgate::emulator::{Fault, Profile, RunningEmulator};
use serde_json::{Value, json};

use crate::support::commits::to_contact;
use crate::support::doors::{DOORS, Door, bad, good};
use crate::support::judged::{holdings, is_free};
use crate::support::points::{Point, at, faults, refusal};
use crate::support::{TestGateway, eventually, junos};

/// Two edits after each other.
fn body(profile: Profile, mode: &str) -> Value {
    let edits: Vec<Value> = ["x", "y"]
        .iter()
        .flat_map(|contact| {
            to_contact(profile, contact)
                .as_array()
                .cloned()
                .unwrap_or_default()
        })
        .collect();
    json!({"mode": mode, "edits": edits})
}

/// What was there, and what is there when so many of the edits are made.
const CONTACTS: [&str; 3] = ["noc@example.net", "x", "y"];

fn contact(device: &RunningEmulator, database: Database) -> String {
    let tree = device.device().tree(database).expect("a configuration");
    let contact = tree.value(&["snmp", "contact"]).expect("a contact");
    contact.to_owned()
}

/// Whether the device does what it is told before this goes wrong.
fn is_done(fault: &Fault) -> bool {
    !matches!(fault, Fault::Errors(_))
}

/// A point with the number of edits that were made before.
struct Row(Point, usize);

const SHARED_JUNOS: &[Row] = &[
    Row(at("load-configuration", 0, "edit"), 0),
    Row(at("load-configuration", 1, "edit"), 1),
    Row(at("get-commit-information", 0, "check"), 2),
    Row(at("commit-configuration", 0, "validate"), 2),
    Row(at("get-configuration", 0, "diff"), 2),
];

const SHARED_RFC: &[Row] = &[
    Row(at("get-config", 0, "check"), 0),
    Row(at("edit-config", 0, "edit"), 0),
    Row(at("edit-config", 1, "edit"), 1),
    Row(at("validate", 0, "validate"), 2),
    Row(at("get-config", 1, "diff"), 2),
];

/// Clears what a change left in the shared candidate, as an admin does.
async fn clear(gateway: &TestGateway, device: &RunningEmulator) {
    if device.device().is_modified() {
        let none = "0".repeat(64);
        let told = bad(
            Door::Rest,
            gateway.discard_candidate(Door::Rest, "mx1", &none).await,
        );
        let now = told.diff_sha256.expect("the digest of what is there");
        good(
            Door::Rest,
            gateway.discard_candidate(Door::Rest, "mx1", &now).await,
        );
    }
}

/// L2, S20, S31: in mode `shared` a failure commits nothing and discards nothing, because the candidate is everybody's: what
/// was edited stays there, and the answer says so.
#[tokio::test]
async fn what_fails_in_the_shared_candidate_stays_there_and_is_told() {
    for (profile, rows) in [(Profile::Junos, SHARED_JUNOS), (Profile::Rfc, SHARED_RFC)] {
        let (gateway, device) = TestGateway::with_device(junos().profile(profile)).await;
        let before = holdings(&device).without_candidate();
        for (number, Row(point, edits)) in rows.iter().enumerate() {
            for (kind, fault) in faults() {
                let what = format!("{kind} of {} {} at {profile:?}", point.operation, point.after);
                let made = edits + usize::from(point.step == "edit" && is_done(&fault));
                device.faults().clear();
                device.faults().add(point.failing(fault));
                let door = DOORS[number % 2];
                let refusal = bad(door, gateway.change(door, "mx1", body(profile, "shared")).await);
                assert_eq!(refusal.outcome, "not_applied", "{what}: {refusal:?}");
                assert_eq!(refusal.step.as_deref(), Some(point.step), "{what}: {refusal:?}");
                let hint = refusal.hint.unwrap_or_default();
                // What an edit that failed left there nobody can tell.
                let stays = made > 0 || point.step == "edit";
                assert_eq!(
                    hint.contains("stays in the shared candidate"),
                    stays,
                    "{what}: {hint}"
                );
                eventually(&what, async || is_free(&device)).await;
                assert_eq!(contact(&device, Database::Candidate), CONTACTS[made], "{what}");
                assert_eq!(holdings(&device).without_candidate(), before, "{what}");
                let id = refusal.change_id.unwrap_or_else(|| panic!("{what}: no change"));
                let change = good(door, gateway.get_change(door, "mx1", &id).await);
                assert_eq!(
                    (&change["state"], &change["outcome"], &change["undo"]),
                    (&json!("failed"), &json!("not_applied"), &json!("not_guaranteed")),
                    "{what}"
                );
                clear(&gateway, &device).await;
            }
        }
        device.faults().clear();
        let door = DOORS[0];
        let change = good(door, gateway.change(door, "mx1", body(profile, "shared")).await);
        assert_eq!(change["state"], "committed", "{profile:?}");
        gateway.stop().await;
        device.stop().await;
    }
}

/// S27: a commit of the shared candidate that the device refuses leaves the edits there.
#[tokio::test]
async fn a_refused_commit_of_the_shared_candidate_leaves_it_as_it_is() {
    for (profile, commit) in [
        (Profile::Junos, at("commit-configuration", 1, "commit")),
        (Profile::Rfc, at("commit", 0, "commit")),
    ] {
        for door in DOORS {
            let (gateway, device) = TestGateway::with_device(junos().profile(profile)).await;
            let before = holdings(&device).without_candidate();
            device.faults().add(commit.failing(refusal()));
            let refusal = bad(door, gateway.change(door, "mx1", body(profile, "shared")).await);
            assert_eq!(
                (refusal.outcome.as_str(), refusal.step.as_deref()),
                ("not_applied", Some("commit")),
                "{refusal:?}"
            );
            assert_eq!(holdings(&device).without_candidate(), before, "{profile:?}");
            assert_eq!(contact(&device, Database::Candidate), "y", "{profile:?}");
            gateway.stop().await;
            device.stop().await;
        }
    }
}

const RUNNING: &[Row] = &[
    Row(at("lock", 0, "lock"), 0),
    Row(at("get-config", 0, "check"), 0),
    Row(at("edit-config", 0, "edit"), 0),
    Row(at("edit-config", 1, "edit"), 1),
    Row(at("get-config", 1, "diff"), 2),
];

/// S31, H3: without a candidate an edit acts at once. What came of it is said only where it was read again, and that is what
/// the device holds; everything else is unknown.
#[tokio::test]
async fn what_fails_on_running_is_told_as_it_is() {
    let profile = Profile::RfcRunning;
    for (number, Row(point, edits)) in RUNNING.iter().enumerate() {
        for (kind, fault) in faults() {
            let what = format!("{kind} of {} {}", point.operation, point.after);
            let (gateway, device) = TestGateway::with_device(junos().profile(profile)).await;
            let lost = is_done(&fault);
            let made = edits + usize::from(point.step == "edit" && lost);
            let begun = made > 0;
            device.faults().add(point.failing(fault));
            let door = DOORS[number % 2];
            let refusal = bad(
                door,
                gateway.change(door, "mx1", body(profile, "exclusive")).await,
            );
            let outcome = if begun { "unknown" } else { "not_applied" };
            assert_eq!(refusal.outcome, outcome, "{what}: {refusal:?}");
            assert_eq!(refusal.step.as_deref(), Some(point.step), "{what}: {refusal:?}");
            eventually(&what, async || is_free(&device)).await;
            assert_eq!(contact(&device, Database::Committed), CONTACTS[made], "{what}");
            let id = refusal.change_id.unwrap_or_else(|| panic!("{what}: no change"));
            let change = good(door, gateway.get_change(door, "mx1", &id).await);
            let state = if begun { "unknown" } else { "failed" };
            assert_eq!(
                (&change["state"], &change["outcome"], &change["undo"]),
                (&json!(state), &json!(outcome), &json!("not_guaranteed")),
                "{what}"
            );
            let hint = refusal.hint.unwrap_or_default();
            if point.step == "edit" && !lost {
                // The session is there still, so running was read again.
                let diff = change["diff"].as_str().unwrap_or_default();
                match made {
                    0 => assert!(hint.contains("running is as it was before"), "{what}: {hint}"),
                    _ => assert!(diff.contains("contact = x"), "{what}: {diff}"),
                }
            }
            gateway.stop().await;
            device.stop().await;
        }
    }
}

/// S30, S31: what fails at the very end is warned of: the change counts, and nothing is held any more.
#[tokio::test]
async fn what_fails_at_the_end_is_a_warning() {
    for (profile, mode, last) in [
        (Profile::Junos, "exclusive", at("unlock", 0, "unlock")),
        (Profile::Junos, "private", at("close-configuration", 0, "close")),
        (Profile::Junos, "ephemeral", at("close-configuration", 0, "close")),
        (Profile::Rfc, "exclusive", at("unlock", 0, "unlock")),
        (Profile::RfcRunning, "exclusive", at("unlock", 0, "unlock")),
    ] {
        let (gateway, device) = TestGateway::with_device(junos().profile(profile)).await;
        for (number, (kind, fault)) in faults().into_iter().enumerate() {
            let what = format!("{kind} of {} in mode {mode} at {profile:?}", last.operation);
            device.faults().clear();
            device.faults().add(last.failing(fault));
            let door = DOORS[number % 2];
            let edits = to_contact(profile, kind);
            let asked = json!({"mode": mode, "edits": edits});
            let change = good(door, gateway.change(door, "mx1", asked).await);
            assert_eq!(
                (&change["state"], &change["outcome"]),
                (&json!("committed"), &json!("applied")),
                "{what}"
            );
            let warned = format!("{} failed", last.step);
            let warnings = change["warnings"].as_array().into_iter().flatten();
            let told = |warning: &Value| warning["error_message"].to_string().contains(&warned);
            assert!(warnings.clone().any(told), "{what}: {}", change["warnings"]);
            eventually(&what, async || is_free(&device)).await;
            let there = match mode {
                "ephemeral" => device
                    .device()
                    .ephemeral("")
                    .value(&["snmp", "contact"])
                    .map(str::to_owned),
                _ => Some(contact(&device, Database::Committed)),
            };
            assert_eq!(there.as_deref(), Some(kind), "{what}");
        }
        gateway.stop().await;
        device.stop().await;
    }
}
