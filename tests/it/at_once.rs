//! Calls that change at once what is running, and nobody answered (E4, issue 4): what is running tells what came of them.

use std::time::Duration;

use ncgate::emulator::{DeviceError, Fault, Gate, Profile, Rule};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::child::Child;
use crate::support::commits::{change_ends_as, id, running, to_contact};
use crate::support::confirmed::{clock, pass};
use crate::support::doors::{DOORS, Door};
use crate::support::events::{Wanted, all, kinds};
use crate::support::{TestGateway, eventually, junos, listen, sent};

const CHANGED: &str = "running is not as it was before: the call was carried out, at least in part, or somebody else has \
                       changed it";

/// A device that has no candidate, and what it does to such an operation.
async fn pair(operation: &str, fault: Fault) -> (TestGateway, ncgate::emulator::RunningEmulator) {
    let clock = clock();
    let gateway = TestGateway::at(clock.clone(), |_| {}).await;
    let device = listen(junos().profile(Profile::RfcRunning).clock(clock)).await;
    device.faults().add(Rule::on(operation, fault).once());
    gateway.add("mx1", &device, json!({})).await;
    (gateway, device)
}

fn edit() -> Value {
    to_contact(Profile::RfcRunning, "east")[0].clone()
}

fn whole() -> Value {
    json!({"source": {"config": edit()["config"]}, "target": "running"})
}

/// The only operation of this kind.
async fn operation(gateway: &TestGateway, kind: &str) -> String {
    let found = gateway.newest_operations(Door::Rest, 100).await;
    let found = found.iter().find(|operation| operation["kind"] == kind);
    id(found.unwrap_or_else(|| panic!("no {kind}")))
}

async fn ends(gateway: &TestGateway, door: Door, operation: &str) -> Value {
    eventually("the operation ends", async || {
        gateway.operation(door, operation, 0).await["done"] == true
    })
    .await;
    gateway.operation(door, operation, 0).await
}

/// E4, H7: an edit of running whose reply is lost is unknown until it is looked at. That running is as it was, when the
/// session has ended, says that nothing was done; that it is another one is said, and not guessed about.
#[tokio::test]
async fn an_edit_without_a_reply_is_looked_after() {
    for door in DOORS {
        for (fault, state, outcome, seen) in [
            (Fault::DropBeforeReply, "unknown", "unknown", CHANGED),
            (
                Fault::DropBeforeOperation,
                "failed",
                "not_applied",
                "running is as it was before, and the session that sent it has ended",
            ),
        ] {
            let (gateway, device) = pair("edit-config", fault).await;
            let opened = gateway
                .open(door, "mx1", json!({"datastore": "running"}))
                .await
                .unwrap();
            let refusal = gateway.edit(door, "mx1", &id(&opened), edit()).await.unwrap_err();
            assert_eq!(refusal.outcome, "unknown", "{refusal:?}");
            let operation = operation(&gateway, "apply_edit").await;
            // Without a list of its sessions that is known when no edit takes so long.
            pass(Duration::from_secs(301)).await;
            let ended = ends(&gateway, door, &operation).await;
            assert_eq!(
                (&ended["state"], &ended["outcome"]),
                (&json!(state), &json!(outcome)),
                "{ended}"
            );
            let whole = gateway.read(&format!("/v1/operations/{operation}")).await;
            assert_eq!(whole["error"]["hint"], seen, "{whole}");
            assert_eq!(running(&device).contains("contact east"), state == "unknown");
            assert_eq!(sent(&device, "edit-config").len(), 1);
            let mut events = all(&gateway, door, Wanted::default()).await;
            events.retain(|event| event["operation_id"] == operation.as_str());
            let told = kinds(&events);
            assert_eq!(told[..2], ["operation.running", "operation.unknown"]);
            assert_eq!(
                told.get(2).copied(),
                (state == "failed").then_some("operation.failed")
            );
        }
    }
}

/// E4: so it is with a configuration that is copied to running.
#[tokio::test]
async fn a_copy_to_running_without_a_reply_is_looked_after() {
    for door in DOORS {
        for (fault, state, outcome) in [
            (Fault::DropBeforeReply, "unknown", "unknown"),
            (Fault::DropBeforeOperation, "failed", "not_applied"),
        ] {
            let (gateway, device) = pair("copy-config", fault).await;
            let refusal = gateway.whole(door, "mx1", "copy", whole()).await.unwrap_err();
            assert_eq!(refusal.outcome, "unknown", "{refusal:?}");
            let operation = operation(&gateway, "copy_config").await;
            pass(Duration::from_secs(301)).await;
            let ended = ends(&gateway, door, &operation).await;
            assert_eq!(
                (&ended["state"], &ended["outcome"]),
                (&json!(state), &json!(outcome)),
                "{ended}"
            );
            assert_eq!(running(&device).contains("contact east"), state == "unknown");
            assert_eq!(sent(&device, "copy-config").len(), 1);
        }
    }
}

/// D1, E4: the gateway was killed before there was a reply; the next one finds it out.
#[tokio::test]
async fn an_edit_is_looked_after_by_the_next_gateway() {
    let mut child = Child::start(&[]).await;
    let device = listen(junos().profile(Profile::RfcRunning).system_time()).await;
    child.add("mx1", &device, json!({})).await;
    let sessions = "/v1/devices/mx1/edit-sessions";
    let (_, opened) = child.post(sessions, &json!({"datastore": "running"})).await;
    let gate = Gate::new();
    device
        .faults()
        .add(Rule::on("edit-config", Fault::HoldReply(gate.clone())).once());
    let path = format!("{sessions}/{}/edit", id(&opened));
    tokio::spawn(child.request(Method::POST, &path).json(&edit()).send());
    gate.reached().await;
    child.signal("KILL");
    assert_eq!(child.ended().await.code(), None, "it was killed");
    let database = child.directory().join("inventory.db");
    let gateway =
        TestGateway::with(|settings| settings.database = Some(format!("sqlite://{}", database.display())))
            .await;
    gate.open();
    let operation = operation(&gateway, "apply_edit").await;
    let ended = ends(&gateway, Door::Rest, &operation).await;
    assert_eq!(
        (&ended["state"], &ended["outcome"]),
        (&json!("unknown"), &json!("unknown"))
    );
    let whole = gateway.read(&format!("/v1/operations/{operation}")).await;
    let detail = whole["error"]["detail"].as_str().unwrap_or_default();
    assert!(detail.ends_with(CHANGED), "{whole}");
    assert_eq!(sent(&device, "edit-config").len(), 1);
}

fn refused() -> Fault {
    Fault::Errors(vec![DeviceError::new("no room")])
}

/// E4, H3, H7: the device refuses the edit of a change, and running cannot be read after that: what is there is found out
/// later, and until then nobody is told that it never will be.
#[tokio::test]
async fn a_refused_edit_is_looked_after_where_running_cannot_be_read() {
    for door in DOORS {
        let (gateway, device) = pair("edit-config", refused()).await;
        let rule = Rule::on("get-config", Fault::DropBeforeReply).after(1);
        device.faults().add(rule.once());
        let body = json!({"edits": [edit()]});
        let refusal = gateway.change(door, "mx1", body.clone()).await.unwrap_err();
        assert_eq!(refusal.verdict(), ("operation-failed", "unknown"), "{refusal:?}");
        let change = refusal.change_id.expect("a change");
        let operation = gateway.operation(door, &change, 0).await;
        assert_eq!(
            (&operation["state"], &operation["done"]),
            (&json!("unknown"), &json!(false)),
            "{operation}"
        );
        let early = gateway.change(door, "mx1", body.clone()).await.unwrap_err();
        assert_eq!(early.reason.as_deref(), Some("resolving"), "{early:?}");
        // Without a list of its sessions that is known when no edit takes so long.
        pass(Duration::from_secs(301)).await;
        let ended = change_ends_as(&gateway, door, &change, "failed", "not_applied").await;
        assert_eq!(
            ended["error"]["rpc_errors"][0]["error_message"], "no room",
            "{ended}"
        );
        let ended = ends(&gateway, door, &change).await;
        assert_eq!(
            (&ended["state"], &ended["outcome"]),
            (&json!("failed"), &json!("not_applied")),
            "{ended}"
        );
        let next = gateway.change(door, "mx1", body).await.unwrap();
        assert_eq!(next["state"], "committed", "{next}");
    }
}

/// H3, D1: a part of a change is in running, which was read after the failure: that is its last word, whatever becomes of
/// running later, and keeps nobody out, after a start of the gateway either.
#[tokio::test]
async fn a_part_that_was_seen_is_the_last_word() {
    for door in DOORS {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", directory.path().join("ncgate.db").display());
        let on = || TestGateway::with(|settings| settings.database = Some(url.clone()));
        let gateway = on().await;
        let device = listen(junos().profile(Profile::RfcRunning)).await;
        gateway.add("mx1", &device, json!({})).await;
        device
            .faults()
            .add(Rule::on("edit-config", refused()).after(1).once());
        let second = to_contact(Profile::RfcRunning, "west")[0].clone();
        let body = json!({"edits": [edit(), second]});
        let refusal = gateway.change(door, "mx1", body).await.unwrap_err();
        assert_eq!(refusal.verdict(), ("operation-failed", "unknown"), "{refusal:?}");
        let change = refusal.change_id.expect("a change");
        gateway.stop().await;
        let console = device.console("carol");
        console.edit("delete snmp contact").unwrap();
        console.commit(None).unwrap();

        let gateway = on().await;
        let told = gateway.get_change(door, "mx1", &change).await.unwrap();
        assert_eq!(
            (&told["state"], &told["outcome"], &told["seen"]),
            (
                &json!("unknown"),
                &json!("unknown"),
                &json!("running was read after the failure, and differs from before")
            ),
            "{told}"
        );
        assert_eq!(gateway.operation(door, &change, 0).await["done"], true);
        let next = json!({"edits": to_contact(Profile::RfcRunning, "north")});
        let next = gateway.change(door, "mx1", next).await.unwrap();
        assert_eq!(next["state"], "committed", "{next}");
        let told = gateway.get_change(door, "mx1", &change).await.unwrap();
        assert_eq!(told["state"], "unknown", "{told}");
        gateway.stop().await;
        device.stop().await;
    }
}
