//! A database that fails at the end of a call (fault 25): whoever looks is told the end all the same, and it is stored as
//! soon as that is possible.

use std::path::Path;
use std::time::Duration;

use ncgate::clock::Clock;
use ncgate::emulator::config::Store;
use ncgate::emulator::{Fault, Gate, Profile, Rule, RunningEmulator};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sqlx::{Executor, SqliteConnection};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::commits::{change_ends_as, commit_ends_as, id, start, to_contact};
use crate::support::confirmed::{clock, pass};
use crate::support::database::{freeze, open, thaw};
use crate::support::doors::Door;
use crate::support::events::{all, kinds, of_kind};
use crate::support::{TestGateway, answer, eventually, junos, listen};

async fn keyed(gateway: &TestGateway, path: &str, body: &Value) -> (StatusCode, Value) {
    answer(
        gateway
            .request(Method::POST, path)
            .header("Idempotency-Key", "the-key")
            .json(body),
    )
    .await
}

/// A gateway, a device `mx1` that it knows, and the gateway's database.
struct Scene {
    gateway: TestGateway,
    device: RunningEmulator,
    database: SqliteConnection,
    directory: TempDir,
}

impl Scene {
    async fn begin() -> Self {
        Self::by(Clock::system()).await
    }

    async fn by(clock: Clock) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("ncgate.db");
        let gateway = gateway_on(&file, clock.clone()).await;
        let device = listen(junos().clock(clock)).await;
        gateway.add("mx1", &device, json!({})).await;
        let database = open(&file).await;
        Self {
            gateway,
            device,
            database,
            directory,
        }
    }
}

async fn gateway_on(file: &Path, clock: Clock) -> TestGateway {
    let url = format!("sqlite://{}", file.display());
    TestGateway::at(clock, |settings| settings.database = Some(url)).await
}

/// Holds the reply to a commit of the device back, the one after so many.
fn hold_commit(device: &RunningEmulator, after: u64) -> Gate {
    let gate = Gate::new();
    let held = Rule::on("commit-configuration", Fault::HoldReply(gate.clone()));
    device.faults().add(held.after(after).once());
    gate
}

/// Freezes the table once the reply is held back, and lets it go.
async fn freeze_behind(gate: &Gate, database: &mut SqliteConnection, table: &'static str) {
    gate.reached().await;
    freeze(database, table).await;
    gate.open();
}

/// E2, H7, H8: the end of a change. Until it is stored nobody is told that the change is at work still, and nothing that
/// was waiting for its end waits for ever.
#[tokio::test]
async fn the_end_of_a_change_is_stored_late() {
    let Scene {
        gateway,
        device,
        mut database,
        directory: _kept,
    } = Scene::begin().await;
    let gate = hold_commit(&device, 1);

    let body = json!({"edits": to_contact(Profile::Junos, "east")});
    let path = "/v1/devices/mx1/changes";
    let changing = keyed(&gateway, path, &body);
    let freezing = freeze_behind(&gate, &mut database, "changes");
    let ((status, change), ()) = tokio::join!(changing, freezing);
    assert_eq!(
        (status, &change["state"]),
        (StatusCode::CREATED, &json!("committed"))
    );
    let id = change["id"].as_str().unwrap();
    // Nothing is stored of it, and it is told all the same.
    for door in [Door::Rest, Door::Grpc] {
        change_ends_as(&gateway, door, id, "committed", "applied").await;
    }
    thaw(&mut database, "changes").await;
    eventually("the end is stored", async || {
        let stored: (String,) = sqlx::query_as("SELECT state FROM changes WHERE id = $1")
            .bind(id)
            .fetch_one(&mut database)
            .await
            .unwrap();
        stored.0 == "committed"
    })
    .await;
    let (_, operation) = gateway.get(&format!("/v1/operations/{id}?wait_seconds=10")).await;
    assert_eq!(
        (&operation["state"], &operation["done"]),
        (&json!("succeeded"), &json!(true))
    );
    let (status, again) = keyed(&gateway, path, &body).await;
    assert_eq!((status, &again["id"]), (StatusCode::CREATED, &json!(id)));
    let (status, body) = answer(gateway.request(Method::DELETE, "/v1/devices/mx1")).await;
    assert_eq!(status, StatusCode::NO_CONTENT, "{body}");
}

/// H8: whoever comes again while neither the end of a change nor the answer can be stored is told the end as it is known,
/// not as it is stored.
#[tokio::test]
async fn a_change_whose_end_is_not_stored_is_answered_with_it() {
    let Scene {
        gateway,
        device,
        mut database,
        directory: _kept,
    } = Scene::begin().await;
    let gate = hold_commit(&device, 1);
    let body = json!({"edits": to_contact(Profile::Junos, "east")});
    let path = "/v1/devices/mx1/changes";
    let changing = keyed(&gateway, path, &body);
    let freezing = async {
        gate.reached().await;
        freeze(&mut database, "changes").await;
        freeze(&mut database, "idempotency_keys").await;
        gate.open();
    };
    let ((status, change), ()) = tokio::join!(changing, freezing);
    let told = |change: &Value| {
        (
            change["id"].clone(),
            change["state"].clone(),
            change["outcome"].clone(),
        )
    };
    assert_eq!(
        (status, &change["state"]),
        (StatusCode::CREATED, &json!("committed"))
    );
    let (status, again) = keyed(&gateway, path, &body).await;
    assert_eq!(status, StatusCode::CREATED, "{again}");
    assert_eq!(told(&again), told(&change), "{again}");
}

/// E2, H11: a commit that could not be stored is not sent, and nobody is ever told that it was being made.
#[tokio::test]
async fn a_commit_that_was_not_journalled_is_not_told() {
    let Scene {
        gateway,
        device,
        mut database,
        directory: _kept,
    } = Scene::begin().await;
    let gate = Gate::new();
    let held = Rule::on("load-configuration", Fault::HoldReply(gate.clone()));
    device.faults().add(held.once());
    let changing = gateway.change(
        Door::Rest,
        "mx1",
        json!({"edits": to_contact(Profile::Junos, "east")}),
    );
    let freezing = freeze_behind(&gate, &mut database, "changes");
    let (refusal, ()) = tokio::join!(changing, freezing);
    let refusal = refusal.unwrap_err();
    assert_eq!(
        (refusal.code.as_str(), refusal.reason.as_deref()),
        ("internal", Some("store"))
    );
    thaw(&mut database, "changes").await;
    let id = refusal.change_id.unwrap();
    eventually("its end is told", async || {
        let told = all(&gateway, Door::Rest, of_kind("change.failed")).await;
        told.iter().any(|event| event["change_id"] == id.as_str())
    })
    .await;
    let told = all(&gateway, Door::Rest, of_kind("")).await;
    let told: Vec<Value> = told
        .into_iter()
        .filter(|event| event["change_id"] == id.as_str())
        .collect();
    let kinds = kinds(&told);
    assert!(!kinds.contains(&"change.committing"), "{kinds:?}");
    assert_eq!(kinds.last(), Some(&"change.failed"));
}

/// H7, H8: the end of any other call. Its key is in use until the answer can be kept, and then has that answer.
#[tokio::test]
async fn the_end_of_an_operation_is_stored_late() {
    let Scene {
        gateway,
        device: _running,
        mut database,
        directory: _kept,
    } = Scene::begin().await;

    freeze(&mut database, "operations").await;
    let path = "/v1/devices/mx1/edit-sessions";
    let (status, opened) = keyed(&gateway, path, &json!({})).await;
    assert_eq!(status, StatusCode::CREATED, "{opened}");
    let (status, problem) = keyed(&gateway, path, &json!({})).await;
    assert_eq!(
        (status, &problem["code"]),
        (StatusCode::CONFLICT, &json!("idempotency-key-in-use"))
    );
    let id = problem["operation_id"].as_str().unwrap();
    let (_, operation) = gateway.get(&format!("/v1/operations/{id}")).await;
    assert_eq!(operation["state"], "running");

    thaw(&mut database, "operations").await;
    let (_, operation) = gateway.get(&format!("/v1/operations/{id}?wait_seconds=10")).await;
    assert_eq!(
        (&operation["state"], &operation["outcome"]),
        (&json!("succeeded"), &json!("applied"))
    );
    let (status, again) = keyed(&gateway, path, &json!({})).await;
    assert_eq!((status, &again["id"]), (StatusCode::CREATED, &opened["id"]));
}

/// C3, C5: a confirmed commit whose beginning could not be stored at once is there to be confirmed as soon as it is.
#[tokio::test]
async fn a_confirmed_commit_is_stored_late() {
    let Scene {
        gateway,
        device,
        mut database,
        directory: _kept,
    } = Scene::begin().await;
    let gate = hold_commit(&device, 1);

    let body = json!({
        "edits": to_contact(Profile::Junos, "east"),
        "commit": {"confirm_timeout_seconds": 120},
    });
    let changing = gateway.change(Door::Rest, "mx1", body);
    let freezing = freeze_behind(&gate, &mut database, "confirmed_commits");
    let (change, ()) = tokio::join!(changing, freezing);
    let change = change.unwrap();
    assert_eq!(change["state"], "pending_confirm", "{change}");
    thaw(&mut database, "confirmed_commits").await;
    let id = change["confirmed_commit_id"].as_str().unwrap();
    eventually("it can be seen", async || {
        gateway.confirmed_commit(Door::Rest, id).await.is_ok()
    })
    .await;
    let confirmed = gateway
        .order(Door::Rest, id, "confirm", Value::Null)
        .await
        .unwrap();
    assert_eq!(confirmed["state"], "confirmed");
    let change = change["id"].as_str().unwrap();
    change_ends_as(&gateway, Door::Rest, change, "confirmed", "applied").await;
}

/// E2, S29: the end of a confirmed commit. It is told while it is not stored, the device stays in its hands until it is,
/// and then the change has ended as well.
#[tokio::test]
async fn the_end_of_a_confirmed_commit_is_stored_late() {
    let Scene {
        gateway,
        device,
        mut database,
        directory: _kept,
    } = Scene::begin().await;
    let commit = start(&gateway, Door::Rest, &to_contact(Profile::Junos, "east")).await;
    let gate = hold_commit(&device, 0);

    let confirming = gateway.order(Door::Rest, commit["id"].as_str().unwrap(), "confirm", Value::Null);
    let freezing = freeze_behind(&gate, &mut database, "confirmed_commits");
    let (confirmed, ()) = tokio::join!(confirming, freezing);
    assert_eq!(confirmed.unwrap()["state"], "confirmed");
    let id = commit["id"].as_str().unwrap();
    for door in [Door::Rest, Door::Grpc] {
        let told = gateway.confirmed_commit(door, id).await.unwrap();
        assert_eq!((&told["state"], &told["by"]), (&json!("confirmed"), &json!("us")));
        let change = commit["change_id"].as_str().unwrap();
        change_ends_as(&gateway, door, change, "confirmed", "applied").await;
    }
    thaw(&mut database, "confirmed_commits").await;
    let change = commit["change_id"].as_str().unwrap();
    change_ends_as(&gateway, Door::Rest, change, "confirmed", "applied").await;
    let next = json!({"edits": to_contact(Profile::Junos, "west")});
    eventually("the device is free", async || {
        let next = gateway.change(Door::Rest, "mx1", next.clone()).await;
        next.is_ok_and(|next| next["state"] == "committed")
    })
    .await;
}

/// E6, H3: a scheduled commit that the device has called off is told as called off, though that cannot be stored at once.
#[tokio::test]
async fn the_end_of_a_scheduled_commit_is_stored_late() {
    let Scene {
        gateway,
        device: _running,
        mut database,
        directory: _kept,
    } = Scene::begin().await;
    let body = json!({"edits": to_contact(Profile::Junos, "east"), "commit": {"at": "reboot"}});
    let scheduled = gateway.change(Door::Rest, "mx1", body).await.unwrap();
    assert_eq!(scheduled["state"], "scheduled", "{scheduled}");
    let id = scheduled["id"].as_str().unwrap();

    freeze(&mut database, "changes").await;
    let path = format!("/v1/devices/mx1/changes/{id}/cancel");
    let (status, cancelled) = answer(gateway.request(Method::POST, &path)).await;
    assert_eq!(
        (status, &cancelled["state"]),
        (StatusCode::OK, &json!("cancelled")),
        "{cancelled}"
    );
    change_ends_as(&gateway, Door::Grpc, id, "cancelled", "not_applied").await;
    thaw(&mut database, "changes").await;
    eventually("the end is stored", async || {
        let stored: (String,) = sqlx::query_as("SELECT state FROM changes WHERE id = $1")
            .bind(id)
            .fetch_one(&mut database)
            .await
            .unwrap();
        stored.0 == "cancelled"
    })
    .await;
}

/// C5, H3: an order that could not be stored was not sent, and nothing that happens later is taken for its work.
#[tokio::test]
async fn an_order_that_was_not_stored_is_forgotten() {
    let Scene {
        gateway,
        device: _running,
        mut database,
        directory: _kept,
    } = Scene::by(clock()).await;
    let commit = start(&gateway, Door::Rest, &to_contact(Profile::Junos, "east")).await;
    freeze(&mut database, "confirmed_commits").await;
    let refusal = gateway
        .order(Door::Rest, &id(&commit), "cancel", Value::Null)
        .await
        .unwrap_err();
    assert_eq!(refusal.verdict(), ("store-unavailable", "not_sent"));
    thaw(&mut database, "confirmed_commits").await;
    pass(Duration::from_secs(125)).await;
    let ended = commit_ends_as(&gateway, Door::Rest, &id(&commit), "rolled_back").await;
    assert_eq!(ended["reason"], "timeout", "{ended}");
}

/// L2: an edit session that is open, though this is not stored yet, does not stay open when its caller leaves before he
/// hears of it.
#[tokio::test]
async fn an_edit_session_whose_caller_leaves_as_it_is_stored_ends() {
    let Scene {
        gateway,
        device,
        mut database,
        directory: _kept,
    } = Scene::begin().await;
    let gate = Gate::new();
    let held = Rule::on("lock", Fault::HoldReply(gate.clone()));
    device.faults().add(held.once());
    let mut caller = TcpStream::connect(gateway.address()).await.unwrap();
    let call = "POST /v1/devices/mx1/edit-sessions HTTP/1.1\r\nHost: localhost\r\n\
                Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}";
    caller.write_all(call.as_bytes()).await.unwrap();
    gate.reached().await;
    // Nobody else writes until the caller has left.
    database.execute("BEGIN IMMEDIATE").await.unwrap();
    gate.open();
    let mut id = None;
    eventually("it is open", async || {
        let (_, locks) = gateway.get("/v1/devices/mx1/locks").await;
        id = locks["locks"][0]["edit_session"].as_str().map(str::to_owned);
        id.is_some()
    })
    .await;
    caller.shutdown().await.unwrap();
    let mut rest = Vec::new();
    caller.read_to_end(&mut rest).await.unwrap();
    assert_eq!(String::from_utf8_lossy(&rest), "", "he has heard of it");
    database.execute("ROLLBACK").await.unwrap();
    eventually("the lock is free", async || {
        device.device().lock_holder(Store::Candidate).is_none()
    })
    .await;
    let path = format!("/v1/devices/mx1/edit-sessions/{}", id.unwrap());
    eventually("it is closed", async || {
        let (_, session) = gateway.get(&path).await;
        session["state"] == "closed"
    })
    .await;
}

/// C3, D1: what an earlier process left behind of a change that has ended keeps nobody out for longer than a look takes.
#[tokio::test]
async fn what_is_left_of_a_failed_change_keeps_nobody_out() {
    let Scene {
        gateway,
        device: _running,
        mut database,
        directory,
    } = Scene::begin().await;
    let commit = start(&gateway, Door::Rest, &to_contact(Profile::Junos, "east")).await;
    let cancelled = gateway
        .order(Door::Rest, &id(&commit), "cancel", Value::Null)
        .await;
    assert_eq!(cancelled.unwrap()["state"], "cancelled");
    gateway.stop().await;
    for statement in [
        "UPDATE confirmed_commits SET state = 'starting'",
        "UPDATE changes SET state = 'failed', outcome = 'not_applied'",
    ] {
        database.execute(statement).await.unwrap();
    }
    let gateway = gateway_on(&directory.path().join("ncgate.db"), Clock::system()).await;
    let next = json!({"edits": to_contact(Profile::Junos, "west")});
    eventually("the device is free", async || {
        let next = gateway.change(Door::Rest, "mx1", next.clone()).await;
        next.is_ok_and(|next| next["state"] == "committed")
    })
    .await;
    commit_ends_as(&gateway, Door::Rest, &id(&commit), "cancelled").await;
    let change = commit["change_id"].as_str().unwrap();
    change_ends_as(&gateway, Door::Rest, change, "failed", "not_applied").await;
}
