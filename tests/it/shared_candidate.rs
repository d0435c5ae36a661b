//! Edits of the candidate of everybody beside the gateway's own confirmed commits (C3, Q1, S20).

use ncgate::emulator::{Fault, Gate, Profile, Rule, RunningEmulator, Until};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::commits::{commit_ends_as, id, running, to_contact};
use crate::support::doors::{Answered, DOORS, Door, bad, good};
use crate::support::{TestGateway, eventually, junos, sent};

/// Whoever locks the candidate next hears of it when the gate opens.
fn held_up(device: &RunningEmulator) -> Gate {
    let gate = Gate::new();
    let held = Rule::on("lock", Fault::HoldReply(gate.clone()));
    device.faults().add(held.once());
    gate
}

fn confirmed(profile: Profile) -> Value {
    json!({"edits": to_contact(profile, "east"), "commit": {"confirm_timeout_seconds": 120}})
}

/// Waits until so many calls are under way.
async fn under_way(gateway: &TestGateway, count: usize) {
    eventually("so many are under way", async || {
        let found = gateway.newest_operations(Door::Rest, 100).await;
        found.iter().filter(|found| found["done"] != true).count() == count
    })
    .await;
}

/// Edits without a lock, in one way or the other.
async fn share(gateway: &TestGateway, door: Door, session: Option<&str>) -> Answered {
    let edits = to_contact(Profile::Rfc, "west");
    match session {
        Some(session) => gateway.edit(door, "mx1", session, edits[0].clone()).await,
        None => {
            let body = json!({"mode": "shared", "wait_seconds": 60, "edits": edits});
            gateway.change(door, "mx1", body).await
        }
    }
}

/// C3: who waited for the candidate while a confirmed commit was made does not edit it when that has lost its session: the
/// commit could not be confirmed any more.
#[tokio::test]
async fn what_waited_is_not_edited_under_a_confirmed_commit() {
    for door in DOORS {
        for with_session in [true, false] {
            let (gateway, device) = TestGateway::with_device(junos().profile(Profile::Rfc)).await;
            let session = match with_session {
                true => Some(id(&good(
                    door,
                    gateway.open(door, "mx1", json!({"mode": "shared"})).await,
                ))),
                false => None,
            };
            let gate = held_up(&device);
            let committing = async {
                let change = good(door, gateway.change(door, "mx1", confirmed(Profile::Rfc)).await);
                let commit = change["confirmed_commit"].clone();
                // With it goes its lock, and its turn.
                let held = commit["session_id"].as_u64().expect("a session");
                assert!(device.device().kill(u32::try_from(held).unwrap()), "{change}");
                id(&commit)
            };
            let waiting = async {
                gate.reached().await;
                let sharing = share(&gateway, door, session.as_deref());
                let going = async {
                    under_way(&gateway, 2).await;
                    gate.open();
                };
                tokio::join!(sharing, going).0
            };
            let (commit, shared) = tokio::join!(committing, waiting);
            let refusal = bad(door, shared);
            assert_eq!(
                refusal.verdict(),
                ("confirmed-commit-pending", "not_sent"),
                "{refusal:?}"
            );
            assert_eq!(sent(&device, "edit-config").len(), 1, "{with_session}");
            good(door, gateway.order(door, &commit, "confirm", Value::Null).await);
            commit_ends_as(&gateway, door, &commit, "confirmed").await;
            assert!(running(&device).contains("contact east"));
            gateway.stop().await;
            device.stop().await;
        }
    }
}

/// C3: who waited in vain is told what is pending, not that somebody has the lock.
#[tokio::test]
async fn who_waited_for_a_confirmed_commit_is_told_of_it() {
    let (gateway, device) = TestGateway::with_device(junos()).await;
    let opened = gateway.open(Door::Rest, "mx1", json!({"mode": "shared"})).await;
    let path = format!("/v1/devices/mx1/edit-sessions/{}/edit", id(&opened.unwrap()));
    let gate = held_up(&device);
    let committing = gateway.change(Door::Rest, "mx1", confirmed(Profile::Junos));
    let waiting = async {
        gate.reached().await;
        let edit = to_contact(Profile::Junos, "west")[0].clone();
        let request = gateway.request(Method::POST, &path).json(&edit);
        let sharing = gateway.rest(request.header("request-timeout", "2"));
        let going = async {
            under_way(&gateway, 2).await;
            gate.open();
        };
        tokio::join!(sharing, going).0
    };
    let (committed, shared) = tokio::join!(committing, waiting);
    assert_eq!(committed.unwrap()["state"], "pending_confirm");
    let refusal = shared.unwrap_err();
    assert_eq!(refusal.verdict(), ("confirmed-commit-pending", "not_sent"));
}

/// S23, Q7: a commit whose caller took it back is none: what was edited counts as discarded in the end.
#[tokio::test]
async fn a_commit_that_was_taken_back_leaves_its_edit_session_as_it_was() {
    let (gateway, device) = TestGateway::with_device(junos()).await;
    let opened = gateway.open(Door::Rest, "mx1", json!({"mode": "private"})).await;
    let session = id(&opened.unwrap());
    let edit = to_contact(Profile::Junos, "west")[0].clone();
    good(Door::Rest, gateway.edit(Door::Rest, "mx1", &session, edit).await);
    let gate = held_up(&device);
    let body = json!({"edits": to_contact(Profile::Junos, "east")});
    let changing = gateway.change(Door::Rest, "mx1", body);
    let path = format!("/v1/devices/mx1/edit-sessions/{session}");
    let leaving = async {
        gate.reached().await;
        let commit = gateway.request(Method::POST, &format!("{path}/commit"));
        let call = tokio::spawn(commit.json(&json!({})).send());
        under_way(&gateway, 2).await;
        // It has looked what there is to commit, and waits for the candidate.
        eventually("it has looked", async || {
            !sent(&device, "get-configuration").is_empty()
                && !sent(&device, "get-commit-information").is_empty()
        })
        .await;
        under_way(&gateway, 2).await;
        call.abort();
        under_way(&gateway, 1).await;
        gate.open();
    };
    let (changed, ()) = tokio::join!(changing, leaving);
    assert_eq!(changed.unwrap()["state"], "committed");
    good(Door::Rest, gateway.close(Door::Rest, "mx1", &session).await);
    eventually("what was edited is told as discarded", async || {
        let (_, ended) = gateway.get(&path).await;
        ended["warnings"][0]["error_message"] == "what this session edited and did not commit was discarded"
    })
    .await;
}

/// Q7: who leaves while his shared change waits for the candidate takes it back at once, however long it would have waited.
#[tokio::test]
async fn who_leaves_while_his_shared_change_waits_takes_it_back() {
    for door in DOORS {
        let (gateway, device) = TestGateway::with_device(junos()).await;
        let holder = id(&good(door, gateway.open(door, "mx1", json!({})).await));
        let body =
            json!({"mode": "shared", "wait_seconds": 3600, "edits": to_contact(Profile::Junos, "west")});
        tokio::select! {
            changed = gateway.change(door, "mx1", body) => panic!("{changed:?}"),
            () = under_way(&gateway, 1) => {}
        }
        under_way(&gateway, 0).await;
        let (_, listed) = gateway.get("/v1/devices/mx1/changes").await;
        let ended = &listed["changes"][0];
        assert_eq!(
            (&ended["state"], &ended["outcome"], &ended["error"]["code"]),
            (&json!("failed"), &json!("not_sent"), &json!("cancelled")),
            "{ended}"
        );
        good(door, gateway.close(door, "mx1", &holder).await);
        assert_eq!(sent(&device, "load-configuration").len(), 0);
        gateway.stop().await;
        device.stop().await;
    }
}

/// L2, S20: what others of ours edit while a shared change waits for its turn is not wiped out: it looks when that has come.
#[tokio::test]
async fn what_is_edited_while_a_shared_change_waits_is_seen() {
    for door in DOORS {
        let (gateway, device) = TestGateway::with_device(junos()).await;
        let session = id(&good(
            door,
            gateway.open(door, "mx1", json!({"mode": "shared"})).await,
        ));
        let gate = Gate::new();
        let late = Fault::Late(Until::from(&gate));
        device.faults().add(Rule::on("load-configuration", late).once());
        let edit = to_contact(Profile::Junos, "west")[0].clone();
        let editing = gateway.edit(door, "mx1", &session, edit);
        let changing = async {
            gate.reached().await;
            let body = json!({"mode": "shared", "wait_seconds": 60, "edits": [{"rollback": 0}]});
            let changing = gateway.change(door, "mx1", body);
            let going = async {
                under_way(&gateway, 2).await;
                gate.open();
            };
            tokio::join!(changing, going).0
        };
        let (edited, changed) = tokio::join!(editing, changing);
        good(door, edited);
        let refusal = bad(door, changed);
        assert_eq!(
            refusal.reason.as_deref(),
            Some("candidate_modified"),
            "{refusal:?}"
        );
        assert!(refusal.diff.is_some_and(|diff| diff.contains("contact west")));
        assert!(device.device().is_modified());
        gateway.stop().await;
        device.stop().await;
    }
}
