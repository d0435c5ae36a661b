//! A check that a device comes to after a confirmed commit would confirm it: the confirmed commit waits until checks and
//! commits that are under way are over (C3).

use std::time::Duration;

use ncgate::emulator::config::Store;
use ncgate::emulator::{Fault, Gate, Rule, RunningEmulator, Until};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::commits::{commit_ends_as, commits, id};
use crate::support::confirmed::{clock, pass};
use crate::support::doors::{Answered, Door};
use crate::support::{TestGateway, eventually, junos, listen};

/// What is under way, and the operation that the device comes to late.
const CHECKS: [(&str, &str); 3] = [
    ("change", "commit-configuration"),
    ("edit session", "commit-configuration"),
    ("datastore", "validate"),
];

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
