//! Confirmed commits of edit sessions whose reply, or whose verification, does not come as it should: the session goes to
//! whoever looks after the commit all the same, so that it can be confirmed (C2, S28, E4).

use std::time::Duration;

use ncgate::emulator::{DeviceError, Fault, Gate, Profile, Rule, RunningEmulator};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::support::commits::{id, quirky, running, to_contact};
use crate::support::confirmed::{clock, pass};
use crate::support::doors::{DOORS, Door, bad, good};
use crate::support::{TestGateway, answer, eventually, junos, listen, sent};

/// Longer than a commit may take.
const LONG: Duration = Duration::from_secs(301);

/// Of devices that undo a commit with its session, and of those that give a token.
const BOTH: [Profile; 2] = [Profile::Rfc10, Profile::Rfc];

fn confirmed() -> Value {
    json!({"confirm_timeout_seconds": 3600})
}

/// An edit session with an edit.
async fn edited(gateway: &TestGateway, door: Door, edits: &Value) -> String {
    let session = id(&good(door, gateway.open(door, "mx1", json!({})).await));
    good(door, gateway.edit(door, "mx1", &session, edits[0].clone()).await);
    session
}

/// Its session has moved, and is not closed if the commit depends on it.
async fn has_moved(gateway: &TestGateway, door: Door, session: &str) {
    eventually("it is closed", async || {
        let session = good(door, gateway.edit_session(door, "mx1", session).await);
        (&session["state"], &session["reason"]) == (&json!("closed"), &json!("confirmed_commit"))
    })
    .await;
}

/// The confirmed commit of this change, as soon as it is seen to wait.
async fn pending(gateway: &TestGateway, door: Door, change: &str) -> Value {
    let mut found = Value::Null;
    eventually("it is seen", async || {
        found = good(door, gateway.get_change(door, "mx1", change).await);
        found["state"] == "pending_confirm"
    })
    .await;
    let commit = found["confirmed_commit_id"].as_str().expect("an id");
    good(door, gateway.confirmed_commit(door, commit).await)
}

async fn can_be_confirmed(gateway: &TestGateway, door: Door, commit: &Value, device: &RunningEmulator) {
    let confirmed = good(
        door,
        gateway.order(door, &id(commit), "confirm", Value::Null).await,
    );
    assert_eq!(
        (&confirmed["state"], &confirmed["by"]),
        (&json!("confirmed"), &json!("us")),
        "{confirmed}"
    );
    assert_eq!(
        sent(device, "commit").len(),
        2,
        "that of the edit session, and the confirm"
    );
    assert!(running(device).contains("contact east"));
}

fn at(text: &Value) -> OffsetDateTime {
    OffsetDateTime::parse(text.as_str().expect("a text"), &Rfc3339).expect("a time")
}

/// C2, S28, E4: the commit is made, and running cannot be read after it. That is a warning, and the commit can be confirmed.
#[tokio::test]
async fn a_read_that_is_refused_keeps_no_session() {
    for door in DOORS {
        for profile in BOTH {
            let (gateway, device, edits) = quirky(profile, &[]).await;
            let session = edited(&gateway, door, &edits).await;
            let refused = Fault::Errors(vec![DeviceError::new("not now")]);
            // The two of the look come first.
            device
                .faults()
                .add(Rule::on("get-config", refused).after(2).once());
            let done = good(
                door,
                gateway.act(door, "mx1", &session, "commit", confirmed()).await,
            );
            assert_eq!(
                (&done["state"], &done["reason"]),
                (&json!("closed"), &json!("confirmed_commit")),
                "{done}"
            );
            assert!(done["warnings"].to_string().contains("not now"), "{done}");
            let commit = &done["commit"]["confirmed_commit"];
            assert_eq!(commit["state"], "pending");
            can_be_confirmed(&gateway, door, commit, &device).await;
            gateway.stop().await;
        }
    }
}

/// The same when that read is not answered in time. The deadline is counted from the device's ok to the commit.
#[tokio::test]
async fn a_read_that_is_late_keeps_no_session() {
    for door in DOORS {
        for profile in BOTH {
            let (gateway, device, edits) = quirky(profile, &[]).await;
            let session = edited(&gateway, door, &edits).await;
            let gate = Gate::new();
            let held = Fault::HoldReply(gate.clone());
            device.faults().add(Rule::on("get-config", held).after(2).once());
            let committing = gateway.act(door, "mx1", &session, "commit", confirmed());
            let late = async {
                gate.reached().await;
                pass(LONG).await;
            };
            let (done, ()) = tokio::join!(committing, late);
            let done = good(door, done);
            assert_eq!(done["state"], "closed", "{done}");
            let commit = &done["commit"]["confirmed_commit"];
            let doubt = at(&commit["deadline"]) - at(&commit["deadline_earliest"]);
            assert!(doubt.whole_seconds() < 60, "{commit}");
            gate.open();
            can_be_confirmed(&gateway, door, commit, &device).await;
            gateway.stop().await;
        }
    }
}

/// C2, S28, E4, Q7: the reply to the commit itself is late. It is looked for at once, while the device owes the reply, and its
/// session lives on.
#[tokio::test]
async fn a_commit_that_is_answered_late_keeps_no_session() {
    for door in DOORS {
        let (gateway, device, edits) = quirky(Profile::Rfc10, &[]).await;
        let session = edited(&gateway, door, &edits).await;
        let opened = good(door, gateway.edit_session(door, "mx1", &session).await);
        let gate = Gate::new();
        let held = Fault::HoldReply(gate.clone());
        device.faults().add(Rule::on("commit", held).once());
        let committing = gateway.act(door, "mx1", &session, "commit", confirmed());
        let late = async {
            gate.reached().await;
            pass(LONG).await;
        };
        let (refusal, ()) = tokio::join!(committing, late);
        let refusal = bad(door, refusal);
        assert_eq!(refusal.outcome, "unknown", "{refusal:?}");
        has_moved(&gateway, door, &session).await;
        let commit = pending(&gateway, door, &refusal.change_id.expect("a record")).await;
        assert_eq!(commit["session_id"], opened["session_id"], "{commit}");
        gate.open();
        assert_eq!(sent(&device, "close-session").len(), 0, "the session lives");
        can_be_confirmed(&gateway, door, &commit, &device).await;
        gateway.stop().await;
    }
}

/// C2, S28, E4: running is shown as something else than what was committed. Nobody knows, it is looked for, and found.
#[tokio::test]
async fn a_commit_that_is_not_as_it_was_to_be_keeps_no_session() {
    for door in DOORS {
        for profile in BOTH {
            let clock = clock();
            let gateway = TestGateway::at(clock.clone(), |_| {}).await;
            let device = listen(junos().profile(profile).clock(clock)).await;
            gateway
                .add("mx1", &device, json!({"quirks": {"verify_after_commit": true}}))
                .await;
            let session = edited(&gateway, door, &to_contact(profile, "east")).await;
            let other = Fault::ReplyWith("<data><other xmlns=\"urn:example:other\"/></data>".to_owned());
            // The two of the look come first, and two just before the commit.
            device.faults().add(Rule::on("get-config", other).after(4).once());
            let refusal = bad(
                door,
                gateway.act(door, "mx1", &session, "commit", confirmed()).await,
            );
            assert_eq!(
                (refusal.verdict(), refusal.step.as_deref()),
                (("partial-operation", "unknown"), Some("verify")),
                "{refusal:?}"
            );
            has_moved(&gateway, door, &session).await;
            let commit = pending(&gateway, door, &refusal.change_id.expect("a record")).await;
            can_be_confirmed(&gateway, door, &commit, &device).await;
            gateway.stop().await;
        }
    }
}

/// H6, Q7: a commit has the time of a commit, whatever is left of its caller's: its session is not closed over that.
#[tokio::test]
async fn a_commit_has_its_own_time() {
    let (gateway, device, edits) = quirky(Profile::Rfc10, &[]).await;
    let session = edited(&gateway, Door::Rest, &edits).await;
    let gate = Gate::new();
    let held = Fault::HoldReply(gate.clone());
    device.faults().add(Rule::on("commit", held).once());
    let path = format!("/v1/devices/mx1/edit-sessions/{session}/commit");
    let request = gateway
        .request(Method::POST, &path)
        .header("Request-Timeout", "20")
        .json(&confirmed());
    let slow = async {
        gate.reached().await;
        pass(Duration::from_secs(60)).await;
        gate.open();
    };
    let ((status, done), ()) = tokio::join!(answer(request), slow);
    assert_eq!(status, StatusCode::OK, "{done}");
    let commit = &done["commit"]["confirmed_commit"];
    assert_eq!(commit["state"], "pending", "{done}");
    can_be_confirmed(&gateway, Door::Rest, commit, &device).await;
    gateway.stop().await;
}
