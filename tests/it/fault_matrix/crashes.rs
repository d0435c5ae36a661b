//! Row 24: the program itself is killed with SIGKILL, before a commit is sent, after, after the device said ok, and while a
//! confirmed commit is pending. The next start finds out what became of it, and nothing is committed twice.

use ncgate::emulator::config::{Deed, What};
use ncgate::emulator::{Fault, Gate, Profile, Rule, RunningEmulator};
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Executor};

use super::change;
use crate::support::child::Child;
use crate::support::doors::Door;
use crate::support::proxy::{Network, Proxy};
use crate::support::{TestGateway, eventually, invariants, junos, listen};

const CHANGES: &str = "/v1/devices/mx1/changes";

/// The program with a device; `more` is laid over the device's settings.
async fn pair(more: Value) -> (Child, RunningEmulator) {
    let child = Child::start(&[]).await;
    let device = listen(junos().system_time()).await;
    child.add("mx1", &device, more).await;
    (child, device)
}

/// Sends the change from a task of its own; nobody hears the answer.
fn ask(child: &Child, body: &Value) {
    let request: RequestBuilder = child.request(Method::POST, CHANGES).json(body);
    tokio::spawn(request.send());
}

/// Kills the program and starts another one on its database. The old one's directory is kept.
async fn restart(child: &mut Child) -> TestGateway {
    child.signal("KILL");
    assert_eq!(child.ended().await.code(), None, "it was killed");
    after(child).await
}

/// Another gateway on the database of one that has ended.
async fn after(child: &Child) -> TestGateway {
    let database = child.directory().join("inventory.db");
    TestGateway::with(|settings| settings.database = Some(format!("sqlite://{}", database.display()))).await
}

/// The only change, when it says this.
async fn ends_as(gateway: &TestGateway, state: &str, outcome: &str) -> Value {
    let mut found = Value::Null;
    eventually(state, async || {
        found = gateway.read(CHANGES).await["changes"][0].take();
        (&found["state"], &found["outcome"]) == (&json!(state), &json!(outcome))
    })
    .await;
    found
}

/// What the database says of the only change.
async fn stored(child: &Child) -> String {
    let path = child.directory().join("inventory.db");
    let mut database = SqliteConnectOptions::new()
        .filename(path)
        .connect()
        .await
        .expect("the database opens");
    let row = sqlx::query_scalar("SELECT state FROM changes")
        .fetch_one(&mut database)
        .await;
    row.expect("one change")
}

/// Row 24, before anything of the commit is stored: it has failed, and is as it was before.
#[tokio::test]
async fn row_24_killed_before_the_row() {
    let (mut child, device) = pair(json!({})).await;
    let gate = Gate::new();
    // The difference is looked at last.
    device
        .faults()
        .add(Rule::on("get-configuration", Fault::HoldReply(gate.clone())));
    ask(&child, &change());
    gate.reached().await;
    let gateway = restart(&mut child).await;
    gate.open();
    let change = ends_as(&gateway, "failed", "not_applied").await;
    assert_eq!(change["error"]["reason"], "gateway_restarted", "{change}");
    invariants::hold("row 24", &gateway, "mx1", &device).await;
    assert_eq!(device.device().commits_with("").len(), 0);
    gateway.stop().await;
}

/// Row 24, before send: the row says that the commit may be sent, and the device never sees it. That is known when a commit
/// cannot take any longer.
#[tokio::test]
async fn row_24_killed_before_the_commit_arrives() {
    let mut child = Child::start(&[]).await;
    let device = listen(junos().system_time()).await;
    let proxy = Proxy::before(device.addr()).await;
    let more = json!({"port": proxy.port(), "timeouts": {"commit_seconds": 2}});
    child.add("mx1", &device, more).await;
    let gate = Gate::new();
    device
        .faults()
        .add(Rule::on("get-configuration", Fault::HoldReply(gate.clone())));
    ask(&child, &change());
    gate.reached().await;
    // The device's word arrives still; nothing that the gateway says does.
    proxy.set(Network::SwallowsRequests);
    gate.open();
    eventually("the row is there", async || stored(&child).await == "committing").await;
    assert_eq!(device.stats().count("commit-configuration"), 1, "the check alone");
    child.signal("KILL");
    child.ended().await;
    proxy.set(Network::Up);
    let gateway = after(&child).await;
    ends_as(&gateway, "failed", "not_applied").await;
    invariants::hold("row 24", &gateway, "mx1", &device).await;
    assert_eq!(device.device().commits_with("").len(), 0);
    gateway.stop().await;
}

/// Row 24, after send: the device has the commit, and makes it only when another gateway is looking.
#[tokio::test]
async fn row_24_killed_while_the_device_commits() {
    let (mut child, device) = pair(json!({})).await;
    let gate = Gate::new();
    let late = Rule::on("commit-configuration", Fault::Late((&gate).into()));
    device.faults().add(late.after(1).once());
    ask(&child, &change());
    gate.reached().await;
    let gateway = restart(&mut child).await;
    let unknown = ends_as(&gateway, "unknown", "unknown").await;
    eventually("it was looked for", async || {
        device.stats().count("get-commit-information") >= 2
    })
    .await;
    let id = unknown["id"].as_str().unwrap();
    assert_eq!(gateway.read(&format!("{CHANGES}/{id}")).await["state"], "unknown");
    gate.open();
    ends_as(&gateway, "committed", "applied").await;
    invariants::hold("row 24", &gateway, "mx1", &device).await;
    assert_eq!(device.device().commits_with("").len(), 1);
    gateway.stop().await;
}

/// Row 24, after ok: the gateway has the device's ok and has told nobody: its database is locked.
#[tokio::test]
async fn row_24_killed_after_the_device_said_ok() {
    let (mut child, device) = pair(json!({})).await;
    let gate = Gate::new();
    let held = Rule::on("commit-configuration", Fault::HoldReply(gate.clone()));
    device.faults().add(held.after(1).once());
    ask(&child, &change());
    gate.reached().await;
    let path = child.directory().join("inventory.db");
    let mut other = SqliteConnectOptions::new()
        .filename(path)
        .connect()
        .await
        .expect("the database opens");
    other.execute("BEGIN IMMEDIATE").await.expect("the lock is free");
    let id = child.get(CHANGES).await.1["changes"][0]["id"]
        .as_str()
        .expect("one change")
        .to_owned();
    gate.open();
    // What runs is further than what is stored.
    eventually("the gateway knows", async || {
        let (status, change) = child.get(&format!("{CHANGES}/{id}")).await;
        status == StatusCode::OK && change["state"] == "committed"
    })
    .await;
    assert_eq!(stored(&child).await, "committing");
    child.signal("KILL");
    child.ended().await;
    other.execute("ROLLBACK").await.expect("the lock is given back");
    assert_eq!(stored(&child).await, "committing");
    let gateway = after(&child).await;
    ends_as(&gateway, "committed", "applied").await;
    invariants::hold("row 24", &gateway, "mx1", &device).await;
    assert_eq!(device.device().commits_with("").len(), 1);
    gateway.stop().await;
}

/// Row 24, pending: the next start takes it up, and it is confirmed from there; where the device binds it to its session it
/// is undone, which is told.
#[tokio::test]
async fn row_24_killed_while_a_commit_is_pending() {
    for profile in [Profile::Junos, Profile::Rfc, Profile::Rfc10] {
        let mut child = Child::start(&[]).await;
        let device = listen(junos().profile(profile).system_time()).await;
        child.add("mx1", &device, json!({})).await;
        let before = device.device().running().tree;
        let mut body = match profile {
            Profile::Junos => change(),
            _ => {
                json!({"edits": [{"config": {"example-router:configuration": {"snmp": {"contact": "east"}}}}]})
            }
        };
        body["commit"] = json!({"confirm_timeout_seconds": 600});
        let (status, made) = child.post(CHANGES, &body).await;
        assert_eq!(status, StatusCode::CREATED, "{made}");
        let gateway = restart(&mut child).await;
        if profile == Profile::Rfc10 {
            ends_as(&gateway, "rolled_back", "not_applied").await;
            assert_eq!(device.device().running().tree, before);
        } else {
            ends_as(&gateway, "pending_confirm", "applied").await;
            let id = made["confirmed_commit_id"].as_str().unwrap();
            let confirmed = gateway
                .order(Door::Rest, id, "confirm", Value::Null)
                .await
                .unwrap();
            assert_eq!(
                (&confirmed["state"], &confirmed["by"]),
                (&json!("confirmed"), &json!("us"))
            );
            assert_ne!(device.device().running().tree, before);
        }
        invariants::hold("row 24", &gateway, "mx1", &device).await;
        let deeds = device.device().deeds();
        let made = |deed: &&Deed| matches!(deed.what, What::ConfirmedCommit { .. });
        assert_eq!(deeds.iter().filter(made).count(), 1, "{deeds:?}");
        gateway.stop().await;
    }
}
