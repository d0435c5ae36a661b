//! The operation of a change whose commit is probed (H7, S31): it goes on as long as the probe decides. And the operations
//! that a device's history names (E3).

use std::time::Duration;

use ncgate::emulator::{Fault, Rule, RunningEmulator};
use reqwest::Method;
use serde_json::{Value, json};

use crate::probes::while_time_passes;
use crate::support::confirmed::{clock, pass};
use crate::support::doors::{DOORS, Door, good};
use crate::support::{TestGateway, answer, eventually, junos, listen};

const QUESTION: &str = "get-interface-information";

fn says(state: &str) -> Fault {
    Fault::ReplyWith(format!("<answer><state>{state}</state></answer>"))
}

async fn pair() -> (TestGateway, RunningEmulator) {
    let clock = clock();
    let gateway = TestGateway::at(clock.clone(), |_| {}).await;
    let device = listen(junos().clock(clock)).await;
    gateway.add("mx1", &device, json!({})).await;
    (gateway, device)
}

/// Whoever waits for the operation does not take an unconfirmed change for done, and its key is in use until then.
#[tokio::test]
async fn an_operation_goes_on_with_its_probe() {
    let (gateway, device) = pair().await;
    let down = device.faults().add(Rule::on(QUESTION, says("down")));
    let change = || {
        gateway
            .request(Method::POST, "/v1/devices/mx1/changes")
            .header("Idempotency-Key", "the-key")
            .json(&json!({
                "edits": [{"config": {"snmp": {"contact": "east"}}}],
                "commit": {"confirm_timeout_seconds": 120},
                "probe": {
                    "rpc": {QUESTION: null},
                    "expect": [{"pointer": "/answer/state", "equals": "up"}],
                    "delay_seconds": 0,
                    "interval_seconds": 1,
                    "give_up_seconds": 60,
                },
            }))
    };
    let (status, begun) = answer(change().header("Prefer", "respond-async")).await;
    assert_eq!(status.as_u16(), 202, "{begun}");
    let path = format!("/v1/operations/{}", begun["id"].as_str().unwrap());
    eventually("it is pending", async || {
        gateway.get(&path).await.1["metadata"]["phase"] == "pending_confirm"
    })
    .await;
    let (_, operation) = gateway.get(&path).await;
    assert_eq!(
        (&operation["state"], &operation["done"]),
        (&json!("running"), &json!(false)),
        "{operation}"
    );
    let (status, problem) = answer(change()).await;
    assert_eq!(
        (status.as_u16(), &problem["code"]),
        (409, &json!("idempotency-key-in-use"))
    );

    device.faults().remove(down);
    device.faults().add(Rule::on(QUESTION, says("up")));
    eventually("the probe holds", async || {
        pass(Duration::from_secs(1)).await;
        let (_, operation) = gateway.get(&path).await;
        operation["done"] == true
    })
    .await;
    let (_, operation) = gateway.get(&path).await;
    assert_eq!(
        (&operation["state"], &operation["metadata"]["phase"]),
        (&json!("succeeded"), &json!("confirmed")),
        "{operation}"
    );
}

/// H7, D1: when a person has taken over from the probe the call has ended, and what nobody knows of the commit later does not
/// change that; nor does a start of the gateway.
#[tokio::test]
async fn a_probe_that_was_stopped_decides_nothing_any_more() {
    for restarts in [false, true] {
        let clock = clock();
        let directory = tempfile::tempdir().unwrap();
        let database = format!("sqlite://{}", directory.path().join("ncgate.db").display());
        let started = || {
            let database = database.clone();
            TestGateway::at(clock.clone(), |settings| settings.database = Some(database))
        };
        let mut gateway = started().await;
        let device = listen(junos().clock(clock.clone())).await;
        gateway.add("mx1", &device, json!({})).await;
        device.faults().add(Rule::on(QUESTION, says("down")));
        let change = gateway
            .request(Method::POST, "/v1/devices/mx1/changes")
            .json(&json!({
                "edits": [{"config": {"snmp": {"contact": "east"}}}],
                "commit": {"confirm_timeout_seconds": 120},
                "probe": {
                    "rpc": {QUESTION: null},
                    "expect": [{"pointer": "/answer/state", "equals": "up"}],
                    "delay_seconds": 0,
                    "interval_seconds": 1,
                    "give_up_seconds": 60,
                },
            }));
        let (_, begun) = answer(change.header("Prefer", "respond-async")).await;
        let path = format!("/v1/operations/{}", begun["id"].as_str().unwrap());
        let told = async |gateway: &TestGateway| {
            let (_, operation) = gateway.get(&path).await;
            let phase = operation["metadata"]["phase"].as_str().unwrap().to_owned();
            (phase, operation["state"].clone(), operation["done"].clone())
        };
        let ended = |phase: &str| (phase.to_owned(), json!("succeeded"), json!(true));
        eventually("it is pending", async || {
            told(&gateway).await.0 == "pending_confirm"
        })
        .await;
        let (_, commits) = gateway.get("/v1/confirmed-commits").await;
        let commit = commits["confirmed_commits"][0]["id"].as_str().unwrap().to_owned();
        let longer = json!({"confirm_timeout_seconds": 300});
        good(
            Door::Rest,
            gateway.order(Door::Rest, &commit, "extend", longer).await,
        );
        assert_eq!(told(&gateway).await, ended("pending_confirm"));

        device.stop().await;
        if restarts {
            gateway.stop().await;
            gateway = started().await;
        } else {
            pass(Duration::from_secs(310)).await;
        }
        eventually("nobody knows", async || told(&gateway).await.0 == "unknown").await;
        assert_eq!(told(&gateway).await, ended("unknown"), "{restarts}");
        gateway.stop().await;
    }
}

/// What the comments of the device's commits name, the oldest first: an id, and what follows it.
fn named(device: &RunningEmulator) -> Vec<(String, String)> {
    let deeds = device.device().deeds();
    let logs = deeds.iter().filter_map(|deed| deed.log.as_deref());
    logs.filter_map(|log| {
        let (_, marker) = log.split_once("[ncgate ")?;
        let at = marker.find([' ', '/'])?;
        Some((marker[..at].to_owned(), marker[at..].to_owned()))
    })
    .collect()
}

/// E3: what confirms or cancels names its operation in the device's history, and what a probe confirms or cancels names the
/// change, whose operation the probe is a part of; each id can be looked up. What is extended is the same commit again.
#[tokio::test]
async fn a_history_names_operations() {
    for door in DOORS {
        let (gateway, device) = pair().await;
        for orders in [&["extend", "confirm"][..], &["cancel"]] {
            let body = json!({
                "edits": [{"config": {"snmp": {"contact": orders[0]}}}],
                "commit": {"confirm_timeout_seconds": 120},
            });
            let change = good(door, gateway.change(door, "mx1", body).await);
            let commit = change["confirmed_commit_id"].as_str().unwrap();
            for order in orders {
                let body = match *order {
                    "extend" => json!({"confirm_timeout_seconds": 300}),
                    _ => Value::Null,
                };
                good(door, gateway.order(door, commit, order, body).await);
            }
        }
        for state in ["up", "down"] {
            let answers = device.faults().add(Rule::on(QUESTION, says(state)));
            let probed = json!({
                "edits": [{"config": {"snmp": {"contact": state}}}],
                "commit": {"confirm_timeout_seconds": 120},
                "probe": {
                    "rpc": {QUESTION: null},
                    "expect": [{"pointer": "/answer/state", "equals": "up"}],
                    "delay_seconds": 0,
                    "interval_seconds": 1,
                    "give_up_seconds": 1,
                },
            });
            good(door, while_time_passes(gateway.change(door, "mx1", probed)).await);
            device.faults().remove(answers);
        }
        let named = named(&device);
        let mut kinds = Vec::new();
        for (id, rest) in &named {
            let operation = gateway.operation(door, id, 0).await;
            assert_eq!(&operation["id"], id, "{operation}");
            kinds.push((operation["kind"].as_str().unwrap().to_owned(), rest.clone()));
        }
        let kinds: Vec<(&str, &str)> = kinds
            .iter()
            .map(|(kind, rest)| (kind.as_str(), rest.as_str()))
            .collect();
        assert_eq!(
            kinds,
            [
                ("create_change", " anonymous]"),
                ("create_change", " anonymous]"),
                ("confirm_confirmed_commit", " anonymous]"),
                ("create_change", " anonymous]"),
                ("cancel_confirmed_commit", " anonymous]"),
                ("create_change", " anonymous]"),
                ("create_change", "/confirm anonymous]"),
                ("create_change", " anonymous]"),
                ("create_change", "/cancel anonymous]"),
            ],
            "{door:?}"
        );
        assert_eq!(named[0].0, named[1].0, "an extension is the same commit");
        assert_eq!(named[5].0, named[6].0, "a probe is a part of its change");
    }
}
