//! Orders for a confirmed commit that wait: for what the session owes, or behind another order (C2, C5, H6, Q7).

use std::time::Duration;

use ncgate::emulator::{DeviceError, Fault, Gate, Profile, Rule, RunningEmulator};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::support::commits::{commit_ends_as, id, pair, running, start, start_is_known, to_contact};
use crate::support::confirmed::{pass, while_time_passes};
use crate::support::doors::{DOORS, Door, good};
use crate::support::{TestGateway, answer, eventually, sent};

/// A device that owes the gateway what it asks of its own accord after a confirmed commit: since when it is at work.
async fn owing(profile: Profile) -> (TestGateway, RunningEmulator, String, Gate) {
    let (gateway, device, edits) = pair(profile, None).await;
    let gate = Gate::new();
    device
        .faults()
        .add(Rule::on("get", Fault::HoldReply(gate.clone())).once());
    let body = json!({"edits": edits, "commit": {"confirm_timeout_seconds": 1200}});
    let change = good(Door::Rest, gateway.change(Door::Rest, "mx1", body).await);
    gate.reached().await;
    (gateway, device, id(&change["confirmed_commit"]), gate)
}

/// C2: a late reply to what the gateway asked by itself does not cost the session that the commit depends on.
#[tokio::test]
async fn what_is_asked_beside_costs_no_session() {
    let (gateway, device, commit, gate) = owing(Profile::Rfc10).await;
    for _ in 0..4 {
        pass(Duration::from_secs(60)).await;
        let told = good(Door::Rest, gateway.confirmed_commit(Door::Rest, &commit).await);
        assert_eq!(told["state"], "pending", "{told}");
    }
    gate.open();
    let confirmed = good(
        Door::Rest,
        gateway.order(Door::Rest, &commit, "confirm", Value::Null).await,
    );
    assert_eq!(confirmed["state"], "confirmed", "{confirmed}");
    assert!(running(&device).contains("contact east"));
}

/// Q7, C2: when the commit has ended, the session is nobody's: the next one is given up for a late reply as any other.
#[tokio::test]
async fn what_was_kept_for_a_commit_is_not_lent() {
    let (gateway, device, edits) = pair(Profile::Rfc10, None).await;
    let commit = good(
        Door::Rest,
        gateway
            .change(
                Door::Rest,
                "mx1",
                json!({"edits": edits, "commit": {"confirm_timeout_seconds": 1200}}),
            )
            .await,
    );
    let session = commit["confirmed_commit"]["session_id"].as_u64().unwrap();
    start_is_known(&gateway, &device).await;
    good(
        Door::Rest,
        gateway
            .order(
                Door::Rest,
                &id(&commit["confirmed_commit"]),
                "confirm",
                Value::Null,
            )
            .await,
    );
    eventually("it is closed", async || {
        let sessions = device.device().sessions();
        !sessions.iter().any(|(id, _)| u64::from(*id) == session)
    })
    .await;
}

/// C4: the device said ok to an extension, and could not be asked then whether the commit stood. As soon as it is seen to, in
/// time, the new deadline counts.
#[tokio::test]
async fn an_extension_counts_when_the_commit_is_seen_to_stand() {
    for profile in [Profile::Rfc, Profile::Rfc10] {
        let (gateway, device, edits) = pair(profile, None).await;
        let commit = id(&start(&gateway, Door::Rest, &edits).await);
        start_is_known(&gateway, &device).await;
        // What is running, and the candidate, are read before it is sent.
        let refused = Fault::Errors(vec![DeviceError::new("not now")]);
        device
            .faults()
            .add(Rule::on("get-config", refused).after(2).once());
        let refusal = gateway
            .order(Door::Rest, &commit, "extend", extended())
            .await
            .unwrap_err();
        assert_eq!(refusal.outcome, "unknown", "{refusal:?}");
        eventually("it is seen", async || {
            let seen = good(Door::Rest, gateway.confirmed_commit(Door::Rest, &commit).await);
            seen["timeout_seconds"] == 900 && seen["state"] == "pending"
        })
        .await;
        let extension = ended(&gateway, "extend_confirmed_commit").await;
        assert_eq!(
            (&extension["state"], &extension["outcome"]),
            (&json!("succeeded"), &json!("applied")),
            "{extension}"
        );
        // Beyond its first time.
        pass(Duration::from_secs(300)).await;
        good(
            Door::Rest,
            gateway.order(Door::Rest, &commit, "confirm", Value::Null).await,
        );
        assert!(running(&device).contains("contact east"));
    }
}

/// C5: its new time counts from the device's ok, however long it took to see that the commit stands.
#[tokio::test]
async fn the_time_of_an_extension_counts_from_its_ok() {
    let (gateway, device, edits) = pair(Profile::Rfc, None).await;
    let body = json!({"edits": edits, "commit": {"confirm_timeout_seconds": 1200}});
    let change = good(Door::Rest, gateway.change(Door::Rest, "mx1", body).await);
    let commit = id(&change["confirmed_commit"]);
    start_is_known(&gateway, &device).await;
    let gate = Gate::new();
    let held = Rule::on("get-config", Fault::HoldReply(gate.clone()));
    // The candidate and what is running are read before it is sent.
    device.faults().add(held.after(2).once());
    let longer = json!({"confirm_timeout_seconds": 2400});
    let extending = gateway.order(Door::Rest, &commit, "extend", longer);
    let late = async {
        gate.reached().await;
        pass(Duration::from_secs(301)).await;
    };
    let (refusal, ()) = tokio::join!(extending, late);
    assert_eq!(refusal.unwrap_err().outcome, "unknown");
    let mut seen = Value::Null;
    eventually("it is seen to stand", async || {
        seen = good(Door::Rest, gateway.confirmed_commit(Door::Rest, &commit).await);
        seen["timeout_seconds"] == 2400 && seen["state"] == "pending"
    })
    .await;
    let at = |name: &str| {
        let text = seen[name].as_str().unwrap();
        OffsetDateTime::parse(text, &Rfc3339).unwrap()
    };
    let between = at("deadline") - at("deadline_earliest");
    assert!(between < time::Duration::seconds(60), "{seen}");
    gate.open();
}

/// C5: with a token any session will do, so an order does not wait for long for one that owes a reply.
#[tokio::test]
async fn with_a_token_another_session_is_taken() {
    for (door, order, state) in [
        (Door::Rest, "confirm", "confirmed"),
        (Door::Grpc, "cancel", "cancelled"),
    ] {
        let (gateway, _device, commit, gate) = owing(Profile::Rfc).await;
        let ordering = gateway.order(door, &commit, order, Value::Null);
        // Another session is opened meanwhile, in real time.
        let ended = while_time_passes(Duration::from_millis(100), ordering).await;
        assert_eq!(good(door, ended)["state"], state);
        gate.open();
    }
}

/// An extension that the device does not answer for now, and what is ordered behind it.
async fn busy(door: Door) -> (TestGateway, RunningEmulator, String, Gate) {
    let (gateway, device, edits) = pair(Profile::Rfc, None).await;
    let commit = id(&start(&gateway, door, &edits).await);
    start_is_known(&gateway, &device).await;
    let gate = Gate::new();
    device
        .faults()
        .add(Rule::on("commit", Fault::HoldReply(gate.clone())).once());
    (gateway, device, commit, gate)
}

fn extended() -> Value {
    json!({"confirm_timeout_seconds": 900})
}

/// The newest operation of this kind, when it has ended.
async fn ended(gateway: &TestGateway, kind: &str) -> Value {
    let mut found = Value::Null;
    eventually("the operation ends", async || {
        let operations = gateway.newest_operations(Door::Rest, 10).await;
        let newest = operations.into_iter().find(|operation| operation["kind"] == kind);
        found = newest.unwrap_or_default();
        found["done"] == true
    })
    .await;
    found
}

/// H6: whoever gave an order so much time is told when that is over that it was not sent, and it never is.
#[tokio::test]
async fn an_order_waits_no_longer_than_it_may() {
    let (gateway, device, commit, gate) = busy(Door::Rest).await;
    let extending = gateway.order(Door::Rest, &commit, "extend", extended());
    let late = async {
        gate.reached().await;
        let path = format!("/v1/confirmed-commits/{commit}/cancel");
        let cancel = gateway
            .request(Method::POST, &path)
            .header("Request-Timeout", "1");
        let (status, problem) = answer(cancel).await;
        assert_eq!(status, StatusCode::GATEWAY_TIMEOUT, "{problem}");
        assert_eq!(
            (&problem["code"], &problem["outcome"]),
            (&json!("deadline-in-queue"), &json!("not_sent"))
        );
        gate.open();
    };
    let (extension, ()) = tokio::join!(extending, late);
    assert_eq!(good(Door::Rest, extension)["timeout_seconds"], 900);
    let cancel = ended(&gateway, "cancel_confirmed_commit").await;
    assert_eq!(
        (&cancel["state"], &cancel["outcome"]),
        (&json!("failed"), &json!("not_sent")),
        "{cancel}"
    );
    // What was ordered behind it finds the commit as it was.
    let confirmed = good(
        Door::Rest,
        gateway.order(Door::Rest, &commit, "confirm", Value::Null).await,
    );
    assert_eq!(confirmed["state"], "confirmed", "{confirmed}");
    assert_eq!(sent(&device, "cancel-commit").len(), 0);
}

/// Q7: whoever leaves without a key takes back what was not sent yet; with a key it goes on.
#[tokio::test]
async fn who_leaves_takes_the_order_back() {
    for (key, state) in [(None, "confirmed"), (Some("a key"), "cancelled")] {
        let (gateway, device, commit, gate) = busy(Door::Rest).await;
        let extending = gateway.order(Door::Rest, &commit, "extend", extended());
        let leaving = async {
            gate.reached().await;
            let path = format!("/v1/confirmed-commits/{commit}/cancel");
            let mut cancel = gateway.request(Method::POST, &path);
            if let Some(key) = key {
                cancel = cancel.header("Idempotency-Key", key);
            }
            let gone = tokio::spawn(cancel.send());
            let waits = async || {
                let operations = gateway.newest_operations(Door::Rest, 1).await;
                operations[0]["kind"] == "cancel_confirmed_commit"
            };
            eventually("it waits", waits).await;
            gone.abort();
            if key.is_none() {
                let cancel = ended(&gateway, "cancel_confirmed_commit").await;
                assert_eq!(
                    (&cancel["state"], &cancel["outcome"]),
                    (&json!("failed"), &json!("not_sent")),
                    "{cancel}"
                );
            }
            gate.open();
        };
        let (extension, ()) = tokio::join!(extending, leaving);
        assert_eq!(good(Door::Rest, extension)["timeout_seconds"], 900);
        if key.is_none() {
            good(
                Door::Rest,
                gateway.order(Door::Rest, &commit, "confirm", Value::Null).await,
            );
        }
        commit_ends_as(&gateway, Door::Grpc, &commit, state).await;
        let cancels = sent(&device, "cancel-commit").len();
        assert_eq!(cancels, usize::from(key.is_some()), "{key:?}");
    }
}

/// Q1, H12: more orders than may wait are told to come again, and a key is free for that.
#[tokio::test]
async fn only_so_many_orders_wait() {
    for door in DOORS {
        let (gateway, _device, commit, gate) = busy(door).await;
        let extending = gateway.order(door, &commit, "extend", extended());
        let crowd = async {
            gate.reached().await;
            let path = format!("/v1/confirmed-commits/{commit}/confirm");
            let asked = (0..16).map(|_| gateway.order(Door::Rest, &commit, "confirm", Value::Null));
            let asked = futures_util::future::join_all(asked);
            let last = async {
                let all = async || {
                    let operations = gateway.newest_operations(Door::Rest, 100).await;
                    let kind = |operation: &&Value| operation["kind"] == "confirm_confirmed_commit";
                    operations.iter().filter(kind).count() == 16
                };
                eventually("all wait", all).await;
                let refused = gateway
                    .order(door, &commit, "cancel", Value::Null)
                    .await
                    .unwrap_err();
                assert_eq!(refused.verdict(), ("queue-full", "not_sent"), "{refused:?}");
                assert!(refused.retry_after_seconds.is_some(), "{refused:?}");
                let keyed = gateway.post_keyed(&path, "the-key", &json!({})).await;
                assert_eq!(keyed.status, StatusCode::SERVICE_UNAVAILABLE, "{}", keyed.text);
                gate.open();
                let again = gateway.post_keyed(&path, "the-key", &json!({})).await;
                assert!(!again.is_replayed(), "{}", again.text);
            };
            tokio::join!(asked, last).0
        };
        let (extension, confirmed) = tokio::join!(extending, crowd);
        assert_eq!(good(door, extension)["timeout_seconds"], 900);
        assert_eq!(confirmed.iter().filter(|answer| answer.is_ok()).count(), 1);
        commit_ends_as(&gateway, door, &commit, "confirmed").await;
    }
}

/// C5, S29: the session that a commit depends on is lost before its time, and the device is seen only after it.
#[tokio::test]
async fn a_lost_session_is_the_reason_however_late_it_is_seen() {
    let (gateway, device, _) = pair(Profile::Rfc10, None).await;
    let commit = id(&start(&gateway, Door::Rest, &to_contact(Profile::Rfc10, "east")).await);
    start_is_known(&gateway, &device).await;
    let gate = Gate::new();
    device
        .faults()
        .add(Rule::on("get-config", Fault::HoldReply(gate.clone())));
    device.drop_connections();
    commit_ends_as(&gateway, Door::Rest, &commit, "unknown").await;
    pass(Duration::from_secs(121)).await;
    device.faults().clear();
    gate.open();
    let ended = commit_ends_as(&gateway, Door::Rest, &commit, "rolled_back").await;
    assert_eq!(ended["reason"], "session_lost", "{ended}");
}
