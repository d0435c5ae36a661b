//! What is made of a device's ok to a commit, and of what should follow it: running read again, and saved to startup (E4,
//! E7, H3).

use std::time::Duration;

use ncgate::emulator::config::{Store, set};
use ncgate::emulator::{DeviceError, Fault, Gate, Profile, Quirk, Rule, RunningEmulator, Until};
use serde_json::{Value, json};

use crate::support::commits::{
    self, change_ends_as, commit_ends_as, commits, id, pair, quirky, running, start,
};
use crate::support::confirmed::{clock, pass};
use crate::support::doors::{DOORS, Door, Refusal, bad, good};
use crate::support::{TestGateway, eventually, junos, listen, sent};

const UNKNOWN: &str = "whether running was saved to startup is not known";
const FAILED: &str = "running was not saved to startup";

fn startup(device: &RunningEmulator) -> String {
    let tree = device
        .device()
        .with_engine(|engine| engine.source(0, Store::Startup));
    set::render(&tree)
}

/// An edit session with an edit.
async fn edited(gateway: &TestGateway, door: Door, edits: &Value) -> String {
    let session = id(&good(door, gateway.open(door, "mx1", json!({})).await));
    good(door, gateway.edit(door, "mx1", &session, edits[0].clone()).await);
    session
}

#[track_caller]
fn hints(refusal: &Refusal, words: &str) {
    let hint = refusal.hint.as_deref().unwrap_or_default();
    assert!(hint.contains(words), "{refusal:?}");
}

/// H3, E4: running that is something else than what was committed is no proof that nothing was: what became of the commit
/// is found out.
#[tokio::test]
async fn running_that_others_changed_proves_nothing() {
    let gateway = TestGateway::start().await;
    let device = listen(junos()).await;
    gateway
        .add("mx1", &device, json!({"quirks": {"verify_after_commit": true}}))
        .await;
    let gate = Gate::new();
    let late = Rule::on("get-config", Fault::Late(Until::from(&gate)));
    device.faults().add(late.after(2).once());
    let body = json!({"mode": "shared", "edits": [{"config": {"snmp": {"contact": "east"}}}]});
    let change = gateway.change(Door::Rest, "mx1", body);
    let other = async {
        gate.reached().await;
        let bob = device.console("bob");
        bob.edit("set system host-name bobs").unwrap();
        bob.commit(None).unwrap();
        gate.open();
    };
    let (change, ()) = tokio::join!(change, other);
    let refusal = bad(Door::Rest, change);
    assert_eq!(
        (refusal.verdict(), refusal.step.as_deref()),
        (("partial-operation", "unknown"), Some("verify"))
    );
    let id = refusal.change_id.expect("an id to follow");
    change_ends_as(&gateway, Door::Rest, &id, "committed", "applied").await;
    assert!(running(&device).contains("contact east"));
}

/// H3: a Junos device that says ok and does nothing is told as such where its settings ask for the look.
#[tokio::test]
async fn running_as_before_proves_that_nothing_was_committed() {
    for door in DOORS {
        let gateway = TestGateway::start().await;
        let device = listen(junos()).await;
        gateway
            .add("mx1", &device, json!({"quirks": {"verify_after_commit": true}}))
            .await;
        let pretends = Rule::on("commit-configuration", Fault::Pretend);
        device.faults().add(pretends.after(1).once());
        let body = json!({"edits": [{"config": {"snmp": {"contact": "east"}}}]});
        let refusal = bad(door, gateway.change(door, "mx1", body).await);
        assert_eq!(
            (refusal.verdict(), refusal.step.as_deref()),
            (("operation-failed", "not_applied"), Some("verify")),
            "{refusal:?}"
        );
        assert!(!device.device().is_modified());
    }
}

/// E7: an edit session whose commit cannot be looked at is told so, and saves all the same.
#[tokio::test]
async fn what_cannot_be_looked_at_is_saved() {
    for door in DOORS {
        let (gateway, device, edits) = pair(Profile::Rfc, None).await;
        let session = edited(&gateway, door, &edits).await;
        // Two are compared before the commit.
        let refusal = Fault::Errors(vec![DeviceError::new("not now")]);
        device
            .faults()
            .add(Rule::on("get-config", refusal).after(2).once());
        let done = good(
            door,
            gateway.act(door, "mx1", &session, "commit", Value::Null).await,
        );
        assert_eq!(done["commit"]["state"], "committed", "{done}");
        let warnings = done["warnings"].to_string();
        assert!(
            warnings.contains("running could not be read after the commit"),
            "{done}"
        );
        assert!(startup(&device).contains("contact east"));
        assert_eq!(sent(&device, "copy-config").len(), 1);
    }
}

/// H3, E4: a server that swallows the commit, while somebody else's confirmed commit is undone: running has moved, and not where
/// it was to. That is no proof of the commit, nor of the contrary.
#[tokio::test]
async fn what_moved_elsewhere_is_no_proof() {
    for door in DOORS {
        for in_session in [false, true] {
            let clock = clock();
            let gateway = TestGateway::at(clock.clone(), |_| {}).await;
            let (device, edits) = commits::device(Profile::Rfc, clock, None).await;
            let timeouts = json!({"timeouts": {"rpc_seconds": 600, "commit_seconds": 600}});
            gateway.add("mx1", &device, timeouts).await;
            let before = running(&device);
            let bob = device.console("bob");
            bob.edit("set system host-name bobs").expect("an edit");
            bob.commit_confirmed(1, None).expect("a commit");
            assert!(running(&device).contains("bobs"));
            // The last look before the commit; an edit session reads running once more.
            let read = Gate::new();
            let held = Rule::on("get-config", Fault::HoldReply(read.clone()));
            device
                .faults()
                .add(held.after(if in_session { 3 } else { 2 }).once());
            device.faults().add(Rule::on("commit", Fault::Pretend).once());
            let committing = async {
                if in_session {
                    let session = edited(&gateway, door, &edits).await;
                    gateway.act(door, "mx1", &session, "commit", Value::Null).await
                } else {
                    gateway.change(door, "mx1", json!({"edits": edits})).await
                }
            };
            let meanwhile = async {
                read.reached().await;
                pass(Duration::from_secs(70)).await;
                eventually("bob's commit is undone", async || running(&device) == before).await;
                read.open();
            };
            let (told, ()) = tokio::join!(committing, meanwhile);
            let refusal = bad(door, told);
            assert_eq!(
                refusal.verdict(),
                ("partial-operation", "unknown"),
                "{in_session}: {refusal:?}"
            );
            let diff = refusal.diff.as_deref().unwrap_or_default();
            assert!(diff.contains("contact = east"), "{in_session}: {refusal:?}");
        }
    }
}

/// E7, H3: nothing is saved that was not committed.
#[tokio::test]
async fn what_was_not_committed_is_not_saved() {
    for door in DOORS {
        let (gateway, device, edits) = pair(Profile::Rfc, None).await;
        let session = edited(&gateway, door, &edits).await;
        device.faults().add(Rule::on("commit", Fault::Pretend).once());
        let refusal = bad(
            door,
            gateway.act(door, "mx1", &session, "commit", Value::Null).await,
        );
        assert_eq!(refusal.verdict(), ("operation-failed", "not_applied"));
        assert_eq!(sent(&device, "copy-config"), Vec::<String>::new());
    }
}

/// E7, H6: a save without a reply is told as such, by a change and by an edit session, with a commit and without one.
#[tokio::test]
async fn a_save_is_told_by_its_outcome() {
    for (fault, words, result) in [
        (Fault::DropBeforeReply, UNKNOWN, "unknown"),
        (Fault::Errors(vec![DeviceError::new("no room")]), FAILED, "failed"),
    ] {
        for door in DOORS {
            for (outcome, state) in [("applied", "committed"), ("not_applied", "failed")] {
                let (gateway, device, edits) = pair(Profile::Rfc, None).await;
                let save = |save: bool| json!({"edits": edits, "commit": {"save": save}});
                if outcome == "not_applied" {
                    good(door, gateway.change(door, "mx1", save(false)).await);
                }
                let fails = Rule::on("copy-config", fault.clone());
                device.faults().add(fails.clone().once());
                let refusal = bad(door, gateway.change(door, "mx1", save(true)).await);
                assert_eq!(
                    (refusal.step.as_deref(), refusal.outcome.as_str()),
                    (Some("save"), outcome),
                    "{refusal:?}"
                );
                hints(&refusal, words);
                let id = refusal.change_id.expect("a change");
                let change = change_ends_as(&gateway, door, &id, state, outcome).await;
                let steps = change["steps"].as_array().expect("steps").iter();
                let saved = steps.filter(|step| step["name"] == "save");
                let results: Vec<&Value> = saved.map(|step| &step["result"]).collect();
                assert_eq!(results, [result], "{change}");
            }
            let (gateway, device, edits) = pair(Profile::Rfc, None).await;
            let session = edited(&gateway, door, &edits).await;
            device.faults().add(Rule::on("copy-config", fault.clone()).once());
            let refusal = bad(
                door,
                gateway.act(door, "mx1", &session, "commit", Value::Null).await,
            );
            assert_eq!(
                (refusal.step.as_deref(), refusal.outcome.as_str()),
                (Some("save"), "applied"),
                "{refusal:?}"
            );
            hints(&refusal, words);
        }
    }
}

/// E7: the same after a confirm, as a warning.
#[tokio::test]
async fn a_save_after_a_confirm_is_told_by_its_outcome() {
    let (gateway, device, edits) = pair(Profile::Rfc, None).await;
    let commit = start(&gateway, Door::Rest, &edits).await;
    device
        .faults()
        .add(Rule::on("copy-config", Fault::DropBeforeReply).once());
    // Its caller is told in any case; what is known is in the record.
    let _ = gateway
        .order(Door::Rest, &id(&commit), "confirm", Value::Null)
        .await;
    let ended = commit_ends_as(&gateway, Door::Rest, &id(&commit), "confirmed").await;
    assert!(ended["warnings"].to_string().contains(UNKNOWN), "{ended}");
}

/// H6: saving has the time of a commit, also when there was nothing to commit.
#[tokio::test]
async fn a_save_alone_has_the_time_of_a_commit() {
    let (gateway, device, edits) = pair(Profile::Rfc, None).await;
    let door = Door::Rest;
    let session = edited(&gateway, door, &edits).await;
    let commit = |save: bool| gateway.act(door, "mx1", &session, "commit", json!({"save": save}));
    good(door, commit(false).await);
    let slow = Fault::Delay(Duration::from_secs(60));
    device.faults().add(Rule::on("copy-config", slow).once());
    let passes = async {
        eventually("it is being saved", async || {
            !sent(&device, "copy-config").is_empty()
        })
        .await;
        // The time of a read is over by then.
        pass(Duration::from_secs(40)).await;
        pass(Duration::from_secs(21)).await;
    };
    let (saved, ()) = tokio::join!(commit(true), passes);
    let saved = good(door, saved);
    assert_eq!(saved["commit"]["state"], "unchanged", "{saved}");
    assert_eq!(saved["uncommitted"], false, "{saved}");
    assert!(startup(&device).contains("contact east"));
}

/// L4, design section 6: what a device said ok to and did not do is taken out of the candidate again, so that it is in
/// nobody's way.
#[tokio::test]
async fn what_was_ignored_does_not_stay_in_the_candidate() {
    for door in DOORS {
        for options in [json!({}), json!({"confirm_timeout_seconds": 120})] {
            let (gateway, device, edits) = quirky(Profile::Rfc, &[Quirk::CandidateStays]).await;
            device.faults().add(Rule::on("commit", Fault::Pretend).once());
            let body = json!({"edits": edits, "commit": options});
            let refusal = bad(door, gateway.change(door, "mx1", body).await);
            assert_eq!(refusal.verdict(), ("operation-failed", "not_applied"));
            hints(&refusal, "what was edited is discarded");
            eventually("the candidate is clean", async || !device.device().is_modified()).await;

            let session = edited(&gateway, door, &edits).await;
            device.faults().add(Rule::on("commit", Fault::Pretend).once());
            let commit = gateway.act(door, "mx1", &session, "commit", options.clone());
            let refusal = bad(door, commit.await);
            assert_eq!(refusal.verdict(), ("operation-failed", "not_applied"));
            eventually("the candidate is clean", async || !device.device().is_modified()).await;
            if options["confirm_timeout_seconds"].is_null() {
                hints(&refusal, "what was edited is discarded");
                good(door, gateway.close(door, "mx1", &session).await);
            }
            assert_eq!(commits(&device), 0);
            eventually("the device is free", async || {
                let again = gateway.change(door, "mx1", json!({"edits": edits, "wait_seconds": 5}));
                again.await.is_ok_and(|change| change["state"] == "committed")
            })
            .await;
        }
    }
}
