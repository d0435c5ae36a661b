//! What is told as pending is so, and no longer than its time, whatever the gateway waits for just then (issue 4, C5).

use std::time::Duration;

use ncgate::emulator::{DeviceError, Fault, Gate, Profile, Rule, RunningEmulator};
use serde_json::{Value, json};

use crate::support::commits::{change_ends_as, commit_ends_as, id, start, to_contact};
use crate::support::confirmed::{clock, pass};
use crate::support::doors::Door;
use crate::support::{TestGateway, junos, listen};

/// The device's time is up 120 s after its commit, and an RPC may take longer than that.
async fn waiting() -> (TestGateway, RunningEmulator, Value) {
    let clock = clock();
    let gateway = TestGateway::at(clock.clone(), |_| {}).await;
    let device = listen(junos().clock(clock)).await;
    let patient = json!({"timeouts": {"rpc_seconds": 600, "commit_seconds": 600}});
    gateway.add("mx1", &device, patient).await;
    let commit = start(&gateway, Door::Rest, &to_contact(Profile::Junos, "east")).await;
    assert_eq!(commit["state"], "pending", "{commit}");
    (gateway, device, commit)
}

/// Nobody knows; the call that made the commit has ended all the same, as it was told.
async fn nobody_knows(gateway: &TestGateway, commit: &Value) {
    for door in [Door::Rest, Door::Grpc] {
        commit_ends_as(gateway, door, &id(commit), "unknown").await;
        let change = commit["change_id"].as_str().unwrap();
        change_ends_as(gateway, door, change, "unknown", "unknown").await;
        let (_, operation) = gateway.get(&format!("/v1/operations/{change}")).await;
        assert_eq!(
            (&operation["state"], &operation["done"]),
            (&json!("succeeded"), &json!(true)),
            "{operation}"
        );
        assert_eq!(operation["metadata"]["phase"], "unknown", "{operation}");
    }
}

/// C4, C5: the reply to an extension comes after the earlier time is up. Nobody knows until then.
#[tokio::test]
async fn an_extension_under_way_keeps_nothing_pending() {
    let (gateway, device, commit) = waiting().await;
    let gate = Gate::new();
    let held = Rule::on("commit-configuration", Fault::HoldReply(gate.clone()));
    device.faults().add(held.once());
    let commit_id = id(&commit);
    let extending = gateway.order(
        Door::Rest,
        &commit_id,
        "extend",
        json!({"confirm_timeout_seconds": 240}),
    );
    let meanwhile = async {
        gate.reached().await;
        pass(Duration::from_secs(122)).await;
        nobody_knows(&gateway, &commit).await;
        gate.open();
    };
    let (extended, ()) = tokio::join!(extending, meanwhile);
    let extended = extended.unwrap();
    assert_eq!(extended["state"], "pending", "{extended}");
    let change = commit["change_id"].as_str().unwrap();
    change_ends_as(&gateway, Door::Rest, change, "pending_confirm", "applied").await;
}

/// C5: a look that is not answered in time.
#[tokio::test]
async fn a_look_under_way_keeps_nothing_pending() {
    let (gateway, device, commit) = waiting().await;
    pass(Duration::from_secs(90)).await;
    let refused = Fault::Errors(vec![DeviceError::new("not now")]);
    device
        .faults()
        .add(Rule::on("commit-configuration", refused).once());
    let gate = Gate::new();
    let held = Rule::on("get-commit-information", Fault::HoldReply(gate.clone()));
    // The order itself looks first.
    device.faults().add(held.after(1));
    let refusal = gateway
        .order(Door::Rest, &id(&commit), "confirm", Value::Null)
        .await
        .unwrap_err();
    assert_eq!(refusal.outcome, "not_applied", "{refusal:?}");
    gate.reached().await;
    let pending = gateway.confirmed_commit(Door::Rest, &id(&commit)).await.unwrap();
    assert_eq!(pending["state"], "pending", "{pending}");
    pass(Duration::from_secs(32)).await;
    nobody_knows(&gateway, &commit).await;
    gate.open();
}
