//! The operation of a change whose commit is probed (H7, S31): it goes on as long as the probe decides.

use std::time::Duration;

use ncgate::emulator::{Fault, Rule};
use reqwest::Method;
use serde_json::json;

use crate::support::confirmed::{clock, pass};
use crate::support::{TestGateway, answer, eventually, junos, listen};

const QUESTION: &str = "get-interface-information";

fn says(state: &str) -> Fault {
    Fault::ReplyWith(format!("<answer><state>{state}</state></answer>"))
}

/// Whoever waits for the operation does not take an unconfirmed change for done, and its key is in use until then.
#[tokio::test]
async fn an_operation_goes_on_with_its_probe() {
    let clock = clock();
    let gateway = TestGateway::at(clock.clone(), |_| {}).await;
    let device = listen(junos().clock(clock)).await;
    gateway.add("mx1", &device, json!({})).await;
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
