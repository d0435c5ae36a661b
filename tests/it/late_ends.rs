//! A database that fails at the end of a call (fault 25): whoever looks is told the end all the same, and it is stored as
//! soon as that is possible.

use std::path::Path;

use ncgate::emulator::{Fault, Gate, Profile, Rule};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Executor, SqliteConnection};

use crate::support::commits::{change_ends_as, start, to_contact};
use crate::support::doors::Door;
use crate::support::{TestGateway, answer, eventually, junos, listen};

async fn open(database: &Path) -> SqliteConnection {
    SqliteConnectOptions::new()
        .filename(database)
        .connect()
        .await
        .expect("the database opens")
}

/// From now on nothing of this table is changed in the database.
async fn freeze(database: &mut SqliteConnection, table: &'static str) {
    let trigger = format!(
        "CREATE TRIGGER frozen_{table} BEFORE UPDATE ON {table} BEGIN SELECT RAISE(ABORT, 'frozen'); END"
    );
    database
        .execute(sqlx::AssertSqlSafe(trigger))
        .await
        .expect("it is frozen");
}

async fn thaw(database: &mut SqliteConnection, table: &'static str) {
    let trigger = format!("DROP TRIGGER frozen_{table}");
    database
        .execute(sqlx::AssertSqlSafe(trigger))
        .await
        .expect("it is thawed");
}

async fn keyed(gateway: &TestGateway, path: &str, body: &Value) -> (StatusCode, Value) {
    answer(
        gateway
            .request(Method::POST, path)
            .header("Idempotency-Key", "the-key")
            .json(body),
    )
    .await
}

async fn gateway_with(database: &Path) -> TestGateway {
    let url = format!("sqlite://{}", database.display());
    TestGateway::with(|settings| settings.database = Some(url)).await
}

/// E2, H7, H8: the end of a change. Until it is stored nobody is told that the change is at work still, and nothing that
/// was waiting for its end waits for ever.
#[tokio::test]
async fn the_end_of_a_change_is_stored_late() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("ncgate.db");
    let gateway = gateway_with(&file).await;
    let device = listen(junos()).await;
    gateway.add("mx1", &device, json!({})).await;
    let gate = Gate::new();
    let held = Rule::on("commit-configuration", Fault::HoldReply(gate.clone()));
    device.faults().add(held.after(1).once());
    let mut database = open(&file).await;

    let body = json!({"edits": to_contact(Profile::Junos, "east")});
    let path = "/v1/devices/mx1/changes";
    let changing = keyed(&gateway, path, &body);
    let freezing = async {
        gate.reached().await;
        freeze(&mut database, "changes").await;
        gate.open();
    };
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

/// H7, H8: the end of any other call. Its key is in use until the answer can be kept, and then has that answer.
#[tokio::test]
async fn the_end_of_an_operation_is_stored_late() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("ncgate.db");
    let gateway = gateway_with(&file).await;
    let device = listen(junos()).await;
    gateway.add("mx1", &device, json!({})).await;
    let mut database = open(&file).await;

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
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("ncgate.db");
    let gateway = gateway_with(&file).await;
    let device = listen(junos()).await;
    gateway.add("mx1", &device, json!({})).await;
    let gate = Gate::new();
    let held = Rule::on("commit-configuration", Fault::HoldReply(gate.clone()));
    device.faults().add(held.after(1).once());
    let mut database = open(&file).await;

    let body = json!({
        "edits": to_contact(Profile::Junos, "east"),
        "commit": {"confirm_timeout_seconds": 120},
    });
    let changing = gateway.change(Door::Rest, "mx1", body);
    let freezing = async {
        gate.reached().await;
        freeze(&mut database, "confirmed_commits").await;
        gate.open();
    };
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
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("ncgate.db");
    let gateway = gateway_with(&file).await;
    let device = listen(junos()).await;
    gateway.add("mx1", &device, json!({})).await;
    let commit = start(&gateway, Door::Rest, &to_contact(Profile::Junos, "east")).await;
    let gate = Gate::new();
    let held = Rule::on("commit-configuration", Fault::HoldReply(gate.clone()));
    device.faults().add(held.once());
    let mut database = open(&file).await;

    let confirming = gateway.order(Door::Rest, commit["id"].as_str().unwrap(), "confirm", Value::Null);
    let freezing = async {
        gate.reached().await;
        freeze(&mut database, "confirmed_commits").await;
        gate.open();
    };
    let (confirmed, ()) = tokio::join!(confirming, freezing);
    assert_eq!(confirmed.unwrap()["state"], "confirmed");
    let id = commit["id"].as_str().unwrap();
    for door in [Door::Rest, Door::Grpc] {
        let told = gateway.confirmed_commit(door, id).await.unwrap();
        assert_eq!((&told["state"], &told["by"]), (&json!("confirmed"), &json!("us")));
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
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("ncgate.db");
    let gateway = gateway_with(&file).await;
    let device = listen(junos()).await;
    gateway.add("mx1", &device, json!({})).await;
    let mut database = open(&file).await;
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
