//! A check that a device comes to after a confirmed commit would confirm it: the confirmed commit waits until checks and
//! commits that are under way are over (C3).

use std::time::Duration;

use ncgate::emulator::config::Store;
use ncgate::emulator::{Fault, Gate, Profile, Quirk, Rule, RunningEmulator, Until};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::commits::{commit_ends_as, commits, id, quirky};
use crate::support::confirmed::{clock, pass};
use crate::support::doors::{Answered, Door};
use crate::support::{TestGateway, eventually, junos, listen};

/// What is under way, and the operation that the device comes to late.
const CHECKS: [(&str, &str); 3] = [
    ("change", "commit-configuration"),
    ("edit session", "commit-configuration"),
    ("datastore", "validate"),
];

/// Longer than anything takes that waits for nobody, and shorter than a deadline.
const SOON: Duration = Duration::from_secs(20);

fn contact(name: &str) -> Value {
    json!([{"config": {"snmp": {"contact": name}}}])
}

async fn pair() -> (TestGateway, RunningEmulator) {
    let clock = clock();
    let gateway = TestGateway::at(clock.clone(), |_| {}).await;
    let device = listen(junos().clock(clock)).await;
    gateway.add("mx1", &device, json!({})).await;
    (gateway, device)
}

/// Checks something beside the candidate's lane; what the caller is told.
async fn check(gateway: &TestGateway, kind: &str) -> Answered {
    let door = Door::Rest;
    match kind {
        "change" => {
            let body = json!({"mode": "private", "edits": contact("west")});
            gateway.change(door, "mx1", body).await
        }
        "edit session" => {
            let opened = gateway
                .open(door, "mx1", json!({"mode": "private"}))
                .await
                .unwrap();
            let session = opened["id"].as_str().unwrap();
            gateway
                .edit(door, "mx1", session, contact("west")[0].clone())
                .await
                .unwrap();
            gateway.act(door, "mx1", session, "validate", Value::Null).await
        }
        _ => {
            gateway
                .whole(door, "mx1", "validate", json!({"source": "candidate"}))
                .await
        }
    }
}

/// C3: the confirmed commit is sent when the check is over, and is undone by its timer like any other.
#[tokio::test]
async fn a_check_under_way_confirms_nothing() {
    for (kind, operation) in CHECKS {
        let (gateway, device) = pair().await;
        let gate = Gate::new();
        device
            .faults()
            .add(Rule::on(operation, Fault::Late(Until::from(&gate))).once());
        let checking = check(&gateway, kind);
        let confirmed = async {
            gate.reached().await;
            let body = json!({"edits": contact("east"), "commit": {"confirm_timeout_seconds": 60}});
            let mut change = std::pin::pin!(gateway.change(Door::Rest, "mx1", body));
            let early = tokio::time::timeout(Duration::from_secs(1), &mut change).await;
            assert!(early.is_err(), "{kind}: {early:?}");
            assert_eq!(commits(&device), 0, "{kind}");
            gate.open();
            change.await.unwrap()
        };
        let (checked, change) = tokio::join!(checking, confirmed);
        if kind == "datastore" {
            checked.unwrap();
        } else {
            // By then the candidate is locked.
            assert_eq!(checked.unwrap_err().code, "lock-denied", "{kind}");
        }
        assert_eq!(change["state"], "pending_confirm", "{kind}: {change}");
        assert!(device.device().is_rollback_pending(), "{kind}");
        pass(Duration::from_secs(61)).await;
        let commit = id(&change["confirmed_commit"]);
        commit_ends_as(&gateway, Door::Rest, &commit, "rolled_back").await;
    }
}

/// C3: who waits in vain is told why, and nothing is committed.
#[tokio::test]
async fn a_check_that_is_not_over_in_time_is_told() {
    let (gateway, device) = pair().await;
    let gate = Gate::new();
    let late = Fault::Late(Until::from(&gate));
    device.faults().add(Rule::on("commit-configuration", late).once());
    let confirmed = async {
        gate.reached().await;
        let body = json!({"edits": contact("east"), "commit": {"confirm_timeout_seconds": 60}});
        let request = gateway.request(Method::POST, "/v1/devices/mx1/changes");
        let refusal = gateway
            .rest(request.header("request-timeout", "2").json(&body))
            .await;
        let refusal = refusal.unwrap_err();
        gate.open();
        refusal
    };
    let (checked, refusal) = tokio::join!(check(&gateway, "edit session"), confirmed);
    checked.unwrap();
    assert_eq!(refusal.verdict(), ("in-use", "not_applied"), "{refusal:?}");
    assert_eq!(refusal.reason.as_deref(), Some("under_way"));
    eventually("the device is as it was", async || {
        commits(&device) == 0 && device.device().lock_held(Store::Candidate).is_none()
    })
    .await;
}

/// C3: a check that nobody answered, and that the device comes to when its session is gone, confirms nothing either: the
/// confirmed commit waits for as long as the device may take to come to it.
#[tokio::test]
async fn a_lost_check_confirms_nothing() {
    for (kind, operation) in CHECKS {
        let (gateway, device) = pair().await;
        let gate = Gate::new();
        let lost = Fault::DropThenOperation(Until::from(&gate));
        device.faults().add(Rule::on(operation, lost).once());
        check(&gateway, kind).await.unwrap_err();
        let body = json!({"edits": contact("east"), "commit": {"confirm_timeout_seconds": 60}});
        let mut change = std::pin::pin!(gateway.change(Door::Rest, "mx1", body));
        let early = tokio::time::timeout(Duration::from_secs(1), &mut change).await;
        assert!(early.is_err(), "{kind}: {early:?}");
        assert_eq!(commits(&device), 0, "{kind}");
        gate.open();
        // The second has passed already.
        let (change, ()) = tokio::join!(change, pass(Duration::from_secs(299)));
        let change = change.unwrap();
        assert_eq!(change["state"], "pending_confirm", "{kind}: {change}");
        assert!(device.device().is_rollback_pending(), "{kind}");
        pass(Duration::from_secs(61)).await;
        let commit = id(&change["confirmed_commit"]);
        commit_ends_as(&gateway, Door::Rest, &commit, "rolled_back").await;
    }
}

/// C3, Q1: a commit that waits for the candidate has not passed yet: who has the candidate sends a confirmed commit
/// without waiting for it.
#[tokio::test]
async fn a_commit_that_waits_for_its_turn_is_not_waited_for() {
    let (gateway, device) = pair().await;
    let door = Door::Rest;
    let private = json!({"mode": "private"});
    let session = id(&gateway.open(door, "mx1", private).await.unwrap());
    let edit = json!({"config": {"snmp": {"location": "west"}}});
    gateway.edit(door, "mx1", &session, edit).await.unwrap();
    let gate = Gate::new();
    let late = Fault::Late(Until::from(&gate));
    device.faults().add(Rule::on("load-configuration", late).once());
    let goes_first = async {
        let body = json!({"edits": contact("east"), "commit": {"confirm_timeout_seconds": 600}});
        let change = tokio::time::timeout(SOON, gateway.change(door, "mx1", body)).await;
        let change = change.expect("nobody is waited for").unwrap();
        assert_eq!(change["state"], "pending_confirm", "{change}");
        assert!(device.device().is_rollback_pending());
        assert_eq!(commits(&device), 1);
        let commit = id(&change["confirmed_commit"]);
        gateway
            .order(door, &commit, "confirm", Value::Null)
            .await
            .unwrap();
    };
    let waits = async {
        gate.reached().await;
        gateway.act(door, "mx1", &session, "commit", Value::Null).await
    };
    let lets_go = async {
        gate.reached().await;
        eventually("the commit waits for the candidate", async || {
            let changes = gateway.list_changes(door, "mx1").await.unwrap();
            let mut changes = changes.as_array().unwrap().iter();
            changes.any(|change| change["state"] == "committing")
        })
        .await;
        gate.open();
    };
    let ((), waited, ()) = tokio::join!(goes_first, waits, lets_go);
    // The candidate is given back just before everybody sees that nothing waits any more.
    match waited {
        Ok(done) => assert_eq!(done["commit"]["state"], "committed", "{done}"),
        Err(refusal) => assert_eq!(
            refusal.verdict(),
            ("confirmed-commit-pending", "not_applied"),
            "{refusal:?}"
        ),
    }
}

/// C3, Q1: nor has a check that waits for a session; when its turn comes, it is refused.
#[tokio::test]
async fn a_check_that_waits_for_its_turn_is_not_waited_for() {
    let (gateway, device) = pair().await;
    let door = Door::Rest;
    let private = json!({"mode": "private"});
    let session = id(&gateway.open(door, "mx1", private).await.unwrap());
    let gate = Gate::new();
    let late = Fault::Late(Until::from(&gate));
    device.faults().add(Rule::on("load-configuration", late).once());
    let goes_first = async {
        let body = json!({"edits": contact("east"), "commit": {"confirm_timeout_seconds": 600}});
        let change = tokio::time::timeout(SOON, gateway.change(door, "mx1", body)).await;
        let change = change.expect("nobody is waited for").unwrap();
        assert_eq!(change["state"], "pending_confirm", "{change}");
        gateway.close(door, "mx1", &session).await.unwrap();
    };
    let waits = async {
        gate.reached().await;
        let source = json!({"source": "candidate"});
        gateway.whole(door, "mx1", "validate", source).await
    };
    let lets_go = async {
        gate.reached().await;
        eventually("the check waits for a session", async || {
            gateway.get("/v1/status").await.1["queued"] == 1
        })
        .await;
        gate.open();
    };
    let ((), waited, ()) = tokio::join!(goes_first, waits, lets_go);
    let refusal = waited.unwrap_err();
    assert_eq!(
        refusal.verdict(),
        ("confirmed-commit-pending", "not_sent"),
        "{refusal:?}"
    );
    assert!(device.device().is_rollback_pending());
    assert_eq!(device.stats().count("validate"), 0);
}

/// C3: a check that its caller gave up is waited for until the device is done with it.
#[tokio::test]
async fn a_check_that_was_given_up_confirms_nothing() {
    let (gateway, device, edits) = quirky(Profile::Rfc, &[Quirk::ValidateConfirms]).await;
    let gate = Gate::new();
    let late = Fault::Late(Until::from(&gate));
    device.faults().add(Rule::on("validate", late).once());
    let request = gateway.request(Method::POST, "/v1/devices/mx1/config/validate");
    let request = request.header("request-timeout", "20");
    let given_up = gateway.rest(request.json(&json!({"source": "candidate"})));
    let passes = async {
        gate.reached().await;
        pass(Duration::from_secs(21)).await;
    };
    let (given_up, ()) = tokio::join!(given_up, passes);
    given_up.unwrap_err();
    let body = json!({"edits": edits, "commit": {"confirm_timeout_seconds": 60}});
    let mut change = std::pin::pin!(gateway.change(Door::Rest, "mx1", body));
    let early = tokio::time::timeout(Duration::from_secs(1), &mut change).await;
    assert!(early.is_err(), "{early:?}");
    assert_eq!(commits(&device), 0);
    gate.open();
    let change = change.await.unwrap();
    assert_eq!(change["state"], "pending_confirm", "{change}");
    assert!(device.device().is_rollback_pending());
    pass(Duration::from_secs(61)).await;
    let commit = id(&change["confirmed_commit"]);
    commit_ends_as(&gateway, Door::Rest, &commit, "rolled_back").await;
}
