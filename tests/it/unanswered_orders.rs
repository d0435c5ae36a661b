//! Orders for confirmed commits and scheduled ones that nobody answered, or that the gateway was killed in: their operations
//! end as the records do that they are about (H7, D1; issue 4: operation, change, confirmed commit and events agree).

use std::path::Path;
use std::time::Duration;

use ncgate::emulator::config::What;
use ncgate::emulator::{Fault, Gate, Profile, Rule, Until};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, Executor};

use crate::support::child::Child;
use crate::support::commits::{commit_ends_as, id, pair, to_contact};
use crate::support::confirmed::{clock, pass, time_passes_until};
use crate::support::doors::{DOORS, Door};
use crate::support::events::{Wanted, all, kinds};
use crate::support::{TestGateway, eventually, junos, listen};

const CHANGES: &str = "/v1/devices/mx1/changes";

/// What an order is told with.
fn body(order: &str) -> Value {
    match order {
        "extend" => json!({"confirm_timeout_seconds": 2400}),
        _ => json!({}),
    }
}

/// A confirmed commit that waits for long, of a change with these edits.
async fn start(gateway: &TestGateway, edits: &Value) -> Value {
    let body = json!({"edits": edits, "commit": {"confirm_timeout_seconds": 1200}});
    let change = gateway.change(Door::Rest, "mx1", body).await.unwrap();
    change["confirmed_commit"].clone()
}

/// The operation of the only order of this kind.
async fn operation_of(gateway: &TestGateway, kind: &str) -> Value {
    let found = gateway.newest_operations(Door::Rest, 100).await;
    let mut found = found.into_iter().filter(|operation| operation["kind"] == kind);
    found.next().unwrap_or_else(|| panic!("no {kind}"))
}

async fn ends_as(gateway: &TestGateway, door: Door, operation: &str, state: &str, outcome: &str) -> Value {
    let mut found = Value::Null;
    eventually("the operation ends", async || {
        found = gateway.operation(door, operation, 0).await;
        found["done"] == true
    })
    .await;
    assert_eq!(
        (&found["state"], &found["outcome"]),
        (&json!(state), &json!(outcome)),
        "{found}"
    );
    found
}

/// What was told of an operation, in order.
async fn told_of(gateway: &TestGateway, operation: &str) -> Vec<String> {
    let mut events = all(gateway, Door::Rest, Wanted::default()).await;
    events.retain(|event| event["operation_id"] == operation && event.get("change_id").is_none());
    kinds(&events).into_iter().map(str::to_owned).collect()
}

/// A gateway on what one that was killed has left.
async fn after(child: &mut Child) -> TestGateway {
    child.signal("KILL");
    assert_eq!(child.ended().await.code(), None, "it was killed");
    let database = child.directory().join("inventory.db");
    TestGateway::with(|settings| settings.database = Some(format!("sqlite://{}", database.display()))).await
}

/// D1, H7, H8, fault matrix 24: killed when the device has done what was ordered. The next start finds it out: the confirmed
/// commit, its change, the operation, the events, and the answer to the same key all say so, and nothing is sent again.
#[tokio::test]
async fn an_order_outlives_the_gateway() {
    for (order, state, change_state) in [
        ("confirm", "confirmed", "confirmed"),
        ("cancel", "cancelled", "cancelled"),
        ("extend", "pending", "pending_confirm"),
    ] {
        let mut child = Child::start(&[]).await;
        let device = listen(junos().system_time()).await;
        child.add("mx1", &device, json!({})).await;
        let change = json!({
            "edits": to_contact(Profile::Junos, "east"),
            "commit": {"confirm_timeout_seconds": 1200},
        });
        let (_, change) = child.post(CHANGES, &change).await;
        let commit = id(&change["confirmed_commit"]);
        let gate = Gate::new();
        let held = Fault::HoldReply(gate.clone());
        device.faults().add(Rule::on("commit-configuration", held).once());
        let path = format!("/v1/confirmed-commits/{commit}/{order}");
        let request = child
            .request(Method::POST, &path)
            .header("Idempotency-Key", "the-key")
            .json(&body(order));
        tokio::spawn(request.send());
        gate.reached().await;
        let gateway = after(&mut child).await;
        gate.open();

        let operation = operation_of(&gateway, &format!("{order}_confirmed_commit")).await;
        let operation = id(&operation);
        let ended = ends_as(&gateway, Door::Rest, &operation, "succeeded", "applied").await;
        assert_eq!(ended["response"]["state"], state, "{order}: {ended}");
        let record = commit_ends_as(&gateway, Door::Grpc, &commit, state).await;
        let seconds = if order == "extend" { 2400 } else { 1200 };
        assert_eq!(record["timeout_seconds"], seconds, "{order}: {record}");
        let change = gateway.read(&format!("{CHANGES}/{}", id(&change))).await;
        assert_eq!(change["state"], change_state, "{order}: {change}");
        let told = told_of(&gateway, &operation).await;
        assert_eq!(
            told,
            ["operation.running", "operation.unknown", "operation.succeeded"],
            "{order}"
        );
        let sent = device.device().deeds().len();
        let again = gateway.post_keyed(&path, "the-key", &body(order)).await;
        assert!(again.is_replayed(), "{order}: {}", again.text);
        assert_eq!(
            (again.status, &again.json()["state"]),
            (StatusCode::OK, &json!(state))
        );
        assert_eq!(device.device().deeds().len(), sent, "{order}");
        gateway.stop().await;
    }
}

/// C5, E4: the device comes late to an extension whose session is gone: it was seen without it before, and is told with the new
/// deadline as soon as it is seen.
#[tokio::test]
async fn an_extension_that_comes_late_is_found() {
    let clock = clock();
    let gateway = TestGateway::at(clock.clone(), |_| {}).await;
    let device = listen(junos().clock(clock)).await;
    let timeouts = json!({"timeouts": {"rpc_seconds": 600, "commit_seconds": 300}});
    gateway.add("mx1", &device, timeouts).await;
    let commit = id(&start(&gateway, &to_contact(Profile::Junos, "east")).await);
    let gate = Gate::new();
    let late = Fault::DropThenOperation(Until::Opened(gate.clone()));
    device.faults().add(Rule::on("commit-configuration", late).once());
    let lost = gateway.order(Door::Rest, &commit, "extend", body("extend")).await;
    assert_eq!(lost.unwrap_err().outcome, "unknown");
    commit_ends_as(&gateway, Door::Rest, &commit, "pending").await;
    let operation = id(&operation_of(&gateway, "extend_confirmed_commit").await);
    let told = gateway.operation(Door::Rest, &operation, 0).await;
    assert_eq!(
        (&told["state"], &told["done"]),
        (&json!("unknown"), &json!(false))
    );
    gate.open();
    time_passes_until(Duration::from_secs(1), "the extension is found", async || {
        gateway.operation(Door::Rest, &operation, 0).await["done"] == true
    })
    .await;
    for door in DOORS {
        ends_as(&gateway, door, &operation, "succeeded", "applied").await;
        let found = gateway.confirmed_commit(door, &commit).await.unwrap();
        assert_eq!(
            (&found["state"], &found["timeout_seconds"]),
            (&json!("pending"), &json!(2400)),
            "{found}"
        );
    }
}

/// D1, E2: killed before the order was stored with the confirmed commit: it was not sent, which is known at once.
#[tokio::test]
async fn an_order_that_was_not_sent_is_told() {
    let mut child = Child::start(&[]).await;
    let device = listen(junos().system_time()).await;
    child.add("mx1", &device, json!({})).await;
    let change = json!({
        "edits": to_contact(Profile::Junos, "east"),
        "commit": {"confirm_timeout_seconds": 1200},
    });
    let (_, change) = child.post(CHANGES, &change).await;
    let commit = id(&change["confirmed_commit"]);
    let gate = Gate::new();
    let held = Fault::HoldReply(gate.clone());
    // Whether it stands still is looked at first.
    device
        .faults()
        .add(Rule::on("get-commit-information", held).once());
    let path = format!("/v1/confirmed-commits/{commit}/confirm");
    tokio::spawn(child.request(Method::POST, &path).send());
    gate.reached().await;
    let gateway = after(&mut child).await;
    gate.open();
    let operation = id(&operation_of(&gateway, "confirm_confirmed_commit").await);
    ends_as(&gateway, Door::Grpc, &operation, "failed", "not_applied").await;
    commit_ends_as(&gateway, Door::Rest, &commit, "pending").await;
    let deeds = device.device().deeds();
    assert!(!deeds.iter().any(|deed| matches!(deed.what, What::Commit { .. })));
    gateway.stop().await;
}

/// H7, E4: no reply came, and the gateway lives. The operation is unknown, and not done, until it is found out: what the
/// device did is told as done, and what it did not do after the time of a commit as not done.
#[tokio::test]
async fn an_order_without_a_reply_is_found_out() {
    for door in DOORS {
        for order in ["confirm", "cancel", "extend"] {
            for (fault, state, outcome) in [
                (Fault::DropBeforeReply, "succeeded", "applied"),
                (Fault::DropBeforeOperation, "failed", "not_applied"),
            ] {
                let (gateway, device, edits) = pair(Profile::Junos, None).await;
                let commit = id(&start(&gateway, &edits).await);
                device
                    .faults()
                    .add(Rule::on("commit-configuration", fault).once());
                let refusal = gateway.order(door, &commit, order, body(order)).await;
                assert_eq!(refusal.unwrap_err().outcome, "unknown", "{order}");
                let operation = id(&operation_of(&gateway, &format!("{order}_confirmed_commit")).await);
                if state == "failed" {
                    commit_ends_as(&gateway, door, &commit, "pending").await;
                    pass(Duration::from_secs(200)).await;
                    let early = gateway.operation(door, &operation, 0).await;
                    assert_eq!(
                        (&early["state"], &early["done"]),
                        (&json!("unknown"), &json!(false)),
                        "{order}: {early}"
                    );
                    pass(Duration::from_secs(101)).await;
                }
                ends_as(&gateway, door, &operation, state, outcome).await;
                let record = gateway.confirmed_commit(door, &commit).await.unwrap();
                let expected = match (order, state) {
                    ("confirm", "succeeded") => ("confirmed", 1200),
                    ("cancel", "succeeded") => ("cancelled", 1200),
                    ("extend", "succeeded") => ("pending", 2400),
                    _ => ("pending", 1200),
                };
                assert_eq!(
                    (&record["state"], &record["timeout_seconds"]),
                    (&json!(expected.0), &json!(expected.1)),
                    "{order}: {record}"
                );
            }
        }
    }
}

/// H7: where the device does not tell, the operation stays unknown, and is done when nobody looks any more.
#[tokio::test]
async fn an_order_that_nothing_tells_of_stays_unknown() {
    for (order, seconds) in [("confirm", 2000), ("extend", 310)] {
        let (gateway, device, edits) = pair(Profile::Rfc, None).await;
        let commit = id(&start(&gateway, &edits).await);
        device
            .faults()
            .add(Rule::on("commit", Fault::DropBeforeReply).once());
        let refusal = gateway.order(Door::Rest, &commit, order, body(order)).await;
        assert_eq!(refusal.unwrap_err().outcome, "unknown", "{order}");
        let operation = id(&operation_of(&gateway, &format!("{order}_confirmed_commit")).await);
        let early = gateway.operation(Door::Rest, &operation, 0).await;
        assert_eq!(
            (&early["state"], &early["done"]),
            (&json!("unknown"), &json!(false))
        );
        for _ in 0..4 {
            pass(Duration::from_secs(seconds / 4)).await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let ended = ends_as(&gateway, Door::Rest, &operation, "unknown", "unknown").await;
        assert_eq!(ended["error"]["code"], "outcome-unknown", "{ended}");
        let told = told_of(&gateway, &operation).await;
        assert_eq!(told, ["operation.running", "operation.unknown"], "{order}");
    }
}

/// C5: a second confirm, which the device refuses because the first one has arrived, does not make the first one forgotten: the
/// commit is not told as kept when it stays, and what the first one came to stays unknown.
#[tokio::test]
async fn a_refused_order_leaves_the_one_before_unanswered() {
    for door in DOORS {
        let (gateway, device, edits) = pair(Profile::Rfc, None).await;
        let commit = id(&start(&gateway, &edits).await);
        device
            .faults()
            .add(Rule::on("commit", Fault::DropBeforeReply).once());
        let lost = gateway.order(door, &commit, "confirm", body("confirm")).await;
        assert_eq!(lost.unwrap_err().outcome, "unknown");
        let first = id(&operation_of(&gateway, "confirm_confirmed_commit").await);
        commit_ends_as(&gateway, door, &commit, "unknown").await;
        let refused = gateway.order(door, &commit, "confirm", body("confirm")).await;
        let refusal = refused.unwrap_err();
        assert_eq!(refusal.outcome, "not_applied", "{refusal:?}");
        let second = id(&operation_of(&gateway, "confirm_confirmed_commit").await);
        assert_ne!(first, second);
        ends_as(&gateway, door, &second, "failed", "not_applied").await;
        for _ in 0..4 {
            pass(Duration::from_secs(500)).await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        ends_as(&gateway, door, &first, "unknown", "unknown").await;
        let record = gateway.confirmed_commit(door, &commit).await.unwrap();
        assert_eq!(record["state"], "unknown", "{record}");
    }
}

/// As a gateway that was killed left it: the operations run still, and no key has its answer.
async fn as_if_killed(database: &Path) {
    let options = SqliteConnectOptions::new().filename(database);
    let mut database = options.connect().await.expect("the database opens");
    for statement in [
        "UPDATE operations SET state = 'running', outcome = NULL",
        "UPDATE idempotency_keys SET answer = NULL",
    ] {
        database.execute(statement).await.expect("an update");
    }
    database.close().await.expect("it closes");
}

/// D1, E6: an order to call a scheduled commit off. The change tells what came of it, also after a restart.
#[tokio::test]
async fn an_order_to_call_a_commit_off_is_found_out() {
    for (fault, state, outcome, change_state) in [
        (Fault::DropBeforeReply, "succeeded", "applied", "cancelled"),
        (Fault::DropBeforeOperation, "failed", "not_applied", "scheduled"),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("ncgate.db");
        let clock = clock();
        let start = async || {
            let database = format!("sqlite://{}", file.display());
            TestGateway::at(clock.clone(), |settings| settings.database = Some(database)).await
        };
        let device = listen(junos().clock(clock.clone())).await;
        let gateway = start().await;
        let timeouts = json!({"commit_seconds": 90, "rpc_seconds": 600, "connect_seconds": 60});
        gateway.add("mx1", &device, json!({"timeouts": timeouts})).await;
        let body = json!({"edits": to_contact(Profile::Junos, "east"), "commit": {"at": "reboot"}});
        let change = gateway.change(Door::Rest, "mx1", body).await.unwrap();
        let change = id(&change);
        device.faults().add(Rule::on("clear-system-commit", fault).once());
        let path = format!("{CHANGES}/{change}/cancel");
        let lost = gateway.post_keyed(&path, "the-key", &json!({})).await;
        assert_eq!(lost.json()["outcome"], "unknown", "{}", lost.text);
        let operation = id(&operation_of(&gateway, "cancel_change").await);
        gateway.stop().await;
        as_if_killed(&file).await;

        let gateway = start().await;
        let early = gateway.operation(Door::Rest, &operation, 0).await;
        assert_eq!(
            (&early["state"], &early["done"]),
            (&json!("unknown"), &json!(false))
        );
        for _ in 0..5 {
            let looks = device.stats().count("get-commit-information");
            pass(Duration::from_secs(61)).await;
            eventually("it is looked at, or over", async || {
                device.stats().count("get-commit-information") > looks
                    || gateway.operation(Door::Rest, &operation, 0).await["done"] == true
            })
            .await;
            // The device answers in real time, which must not be outrun.
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        ends_as(&gateway, Door::Grpc, &operation, state, outcome).await;
        let found = gateway.get_change(Door::Rest, "mx1", &change).await.unwrap();
        assert_eq!(found["state"], change_state, "{found}");
        let again = gateway.post_keyed(&path, "the-key", &json!({})).await;
        assert!(again.is_replayed(), "{}", again.text);
        let expected = match state {
            "succeeded" => (StatusCode::OK, "state", "cancelled"),
            _ => (StatusCode::CONFLICT, "outcome", "not_applied"),
        };
        assert_eq!(
            (again.status, &again.json()[expected.1]),
            (expected.0, &json!(expected.2)),
            "{}",
            again.text
        );
        gateway.stop().await;
    }
}
