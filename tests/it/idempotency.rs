//! Idempotency keys (conventions H8): what comes again is answered again and not carried out again.

use ncgate::api::grpc::proto;
use ncgate::emulator::config::What;
use ncgate::emulator::{DeviceError, Fault, Gate, Rule, RunningEmulator};
use proto::change_service_client::ChangeServiceClient;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, Executor};
use tonic::Code;
use tonic_types::StatusExt;

use crate::support::doors::Door;
use crate::support::{TestGateway, code, eventually, junos, listen, sent};

const CHANGES: &str = "/v1/devices/mx1/changes";

fn change(contact: &str) -> Value {
    json!({"edits": [{"config": {"snmp": {"contact": contact}}}]})
}

/// How often the device committed.
fn commits(device: &RunningEmulator) -> usize {
    let deeds = device.device().deeds();
    let commits = deeds
        .iter()
        .filter(|deed| matches!(deed.what, What::Commit { .. }));
    commits.count()
}

/// H8: the same status, body and headers, and one commit; the operation is the change.
#[tokio::test]
async fn a_change_that_comes_again_is_answered_again() {
    let (gateway, device) = TestGateway::with_device(junos()).await;
    let first = gateway.post_keyed(CHANGES, "k1", &change("east")).await;
    assert_eq!(first.status, StatusCode::CREATED, "{}", first.text);
    assert!(!first.is_replayed());
    let again = gateway.post_keyed(CHANGES, "k1", &change("east")).await;
    assert!(again.is_replayed());
    assert_eq!((again.status, &again.text), (first.status, &first.text));
    for name in ["content-type", "location", "cache-control"] {
        assert_eq!(again.header(name), first.header(name), "{name}");
    }
    assert_ne!(again.header("x-request-id"), first.header("x-request-id"));
    assert_eq!(commits(&device), 1);
    // The same JSON in other bytes is another request.
    let other = gateway.post_keyed(CHANGES, "k1", &change("west")).await;
    let problem = other.json();
    assert_eq!(
        (other.status, code(&problem)),
        (StatusCode::UNPROCESSABLE_ENTITY, "idempotency-key-reused")
    );
    assert_eq!(problem["operation_id"], first.json()["id"]);
    // Before any other rule: this one could not be read at all.
    let nonsense = gateway.post_keyed(CHANGES, "k1", &json!([])).await;
    assert_eq!(nonsense.status, StatusCode::UNPROCESSABLE_ENTITY);
    // Another path, another key.
    device.faults().clear();
    gateway.add("mx2", &device, json!({})).await;
    let elsewhere = gateway
        .post_keyed("/v1/devices/mx2/changes", "k1", &change("west"))
        .await;
    assert_eq!(elsewhere.status, StatusCode::CREATED, "{}", elsewhere.text);
    assert!(!elsewhere.is_replayed());
    assert_eq!(commits(&device), 2);
}

/// H8: a failure is the answer as well, byte for byte, and names its operation.
#[tokio::test]
async fn a_failure_that_comes_again_is_answered_again() {
    let (gateway, device) = TestGateway::with_device(junos()).await;
    let body = json!({"edits": [{"format": "set", "config": "set no-such-thing x"}]});
    let first = gateway.post_keyed(CHANGES, "k1", &body).await;
    let problem = first.json();
    assert!(first.status.is_client_error(), "{problem}");
    assert_eq!(problem["operation_id"], problem["change_id"], "{problem}");
    let loads = sent(&device, "load-configuration").len();
    let again = gateway.post_keyed(CHANGES, "k1", &body).await;
    assert!(again.is_replayed());
    assert_eq!((again.status, &again.text), (first.status, &first.text));
    assert_eq!(again.header("content-type"), Some("application/problem+json"));
    assert_eq!(sent(&device, "load-configuration").len(), loads);
}

/// H8: two at once with one key are one call; the second hears that the first is under way.
#[tokio::test]
async fn two_at_once_are_one() {
    let (gateway, device) = TestGateway::with_device(junos()).await;
    let gate = Gate::new();
    device.faults().add(
        Rule::on("commit-configuration", Fault::HoldReply(gate.clone()))
            .after(1)
            .once(),
    );
    let (body, other) = (change("east"), change("west"));
    let first = gateway.post_keyed(CHANGES, "k1", &body);
    let others = async {
        eventually("it is sent", async || {
            sent(&device, "commit-configuration").len() > 1
        })
        .await;
        let second = gateway.post_keyed(CHANGES, "k1", &body).await;
        let problem = second.json();
        assert_eq!(
            (second.status, code(&problem)),
            (StatusCode::CONFLICT, "idempotency-key-in-use")
        );
        let seconds = second
            .header("retry-after")
            .and_then(|text| text.parse::<u64>().ok());
        assert!(seconds.is_some_and(|seconds| seconds >= 1), "{problem}");
        let id = problem["operation_id"].as_str().expect("an operation").to_owned();
        assert_eq!(gateway.operation(Door::Grpc, &id, 0).await["state"], "running");
        let reused = gateway.post_keyed(CHANGES, "k1", &other).await;
        assert_eq!(reused.status, StatusCode::UNPROCESSABLE_ENTITY);
        gate.open();
        id
    };
    let (first, id) = tokio::join!(first, others);
    assert_eq!(first.status, StatusCode::CREATED, "{}", first.text);
    assert_eq!(first.json()["id"], id.as_str());
    assert_eq!(commits(&device), 1);
}

/// H8, H12: what says that nothing was sent and may be tried again leaves the key free; so does what is refused before
/// there is an operation.
#[tokio::test]
async fn what_was_not_sent_leaves_the_key_free() {
    let gateway = TestGateway::start().await;
    let device = listen(junos()).await;
    gateway.add("mx1", &device, json!({})).await;
    let wrong = gateway.post_keyed(CHANGES, "k1", &json!({"edits": []})).await;
    assert_eq!(wrong.status, StatusCode::BAD_REQUEST);
    let plan = format!("{CHANGES}?plan=true");
    let planned = gateway.post_keyed(&plan, "k1", &change("east")).await;
    assert_eq!(planned.status, StatusCode::OK, "{}", planned.text);
    assert!(
        !gateway
            .post_keyed(&plan, "k1", &change("east"))
            .await
            .is_replayed()
    );
    // The candidate is held: nothing is sent for the second change.
    let session = gateway.post("/v1/devices/mx1/edit-sessions", &json!({})).await.1;
    let held = gateway.post_keyed(CHANGES, "k1", &change("east")).await;
    let problem = held.json();
    assert_eq!(
        (code(&problem), &problem["outcome"]),
        ("lock-denied", &json!("not_sent"))
    );
    let id = problem["operation_id"].as_str().expect("an operation");
    assert_eq!(gateway.operation(Door::Rest, id, 0).await["state"], "failed");
    let path = format!(
        "/v1/devices/mx1/edit-sessions/{}",
        session["id"].as_str().expect("an id")
    );
    let ended = gateway
        .request(Method::DELETE, &path)
        .send()
        .await
        .expect("an answer");
    assert_eq!(ended.status(), StatusCode::NO_CONTENT);
    let done = gateway.post_keyed(CHANGES, "k1", &change("east")).await;
    assert_eq!(done.status, StatusCode::CREATED, "{}", done.text);
    assert!(!done.is_replayed());
    assert_eq!(commits(&device), 1);
}

/// H8: 1 to 255 printable ASCII characters, once.
#[tokio::test]
async fn malformed_keys_are_refused() {
    let (gateway, device) = TestGateway::with_device(junos()).await;
    let long = "x".repeat(256);
    for headers in [
        &[("Idempotency-Key", "")][..],
        &[("Idempotency-Key", long.as_str())],
        &[("Idempotency-Key", "a"), ("Idempotency-Key", "b")],
    ] {
        let refused = gateway.post_with(CHANGES, headers, &change("east")).await;
        let problem = refused.json();
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{problem}");
        assert_eq!(problem["errors"][0]["pointer"], "Idempotency-Key");
    }
    assert_eq!(commits(&device), 0);
}

/// Fault matrix 13: the caller goes, the commit does not, and the same call again tells what came of it.
#[tokio::test]
async fn a_caller_who_left_finds_the_answer() {
    let (gateway, device) = TestGateway::with_device(junos()).await;
    // While it is committed, and while nothing counts yet.
    for (held, after, key) in [("commit-configuration", 1, "k1"), ("lock", 0, "k2")] {
        let gate = Gate::new();
        device
            .faults()
            .add(Rule::on(held, Fault::HoldReply(gate.clone())).after(after).once());
        let before = sent(&device, held).len();
        let body = change(key);
        let left = async {
            let most = before + usize::try_from(after).expect("a small number");
            eventually("it is sent", async || sent(&device, held).len() > most).await;
        };
        let call = gateway.post_keyed(CHANGES, key, &body);
        tokio::select! {
            answer = call => panic!("answered: {answer:?}"),
            () = left => {}
        }
        gate.open();
        let mut last = None;
        eventually("the first call is over", async || {
            let again = gateway.post_keyed(CHANGES, key, &body).await;
            let over = again.status == StatusCode::CREATED;
            assert!(over || again.status == StatusCode::CONFLICT, "{}", again.text);
            last = Some(again);
            over
        })
        .await;
        let again = last.expect("an answer");
        assert!(again.is_replayed());
        assert_eq!(again.json()["state"], "committed");
    }
    assert_eq!(commits(&device), 2);
}

/// H8 through gRPC: the message, and the status with its details.
#[tokio::test]
async fn grpc_calls_that_come_again_are_answered_again() {
    let (gateway, device) = TestGateway::with_device(junos()).await;
    let mut client = ChangeServiceClient::new(gateway.channel());
    let edit = |text: &str| proto::Edit {
        format: proto::EditFormat::Set.into(),
        change: Some(proto::edit::Change::Content(text.to_owned())),
        ..Default::default()
    };
    let request = |key: &str, text: &str| proto::CreateChangeRequest {
        device: "mx1".to_owned(),
        edits: vec![edit(text)],
        idempotency_key: key.to_owned(),
        ..Default::default()
    };
    let contact = "set snmp contact east";
    let first = client
        .create_change(request("k1", contact))
        .await
        .expect("a change");
    let again = client
        .create_change(request("k1", contact))
        .await
        .expect("a change");
    assert!(first.metadata().get("idempotency-replayed").is_none());
    assert_eq!(
        again.metadata().get("idempotency-replayed").expect("told"),
        "true"
    );
    assert_eq!(first.into_inner(), again.into_inner());
    assert_eq!(commits(&device), 1);
    let reused = client.create_change(request("k1", "set snmp contact west")).await;
    let reused = reused.expect_err("another request");
    assert_eq!(reused.code(), Code::InvalidArgument);
    let info = reused.get_details_error_info().expect("details");
    assert_eq!(info.reason, "IDEMPOTENCY_KEY_REUSED");
    assert!(info.metadata.contains_key("operation_id"));
    let wrong = client.create_change(request("k2", "set no-such-thing x")).await;
    let wrong = wrong.expect_err("a refusal");
    let info = wrong.get_details_error_info().expect("details");
    assert!(info.metadata.contains_key("operation_id"), "{info:?}");
    let again = client.create_change(request("k2", "set no-such-thing x")).await;
    let again = again.expect_err("a refusal");
    assert_eq!(
        again.metadata().get("idempotency-replayed").expect("told"),
        "true"
    );
    assert_eq!((again.code(), again.message()), (wrong.code(), wrong.message()));
    // Its members stand in no order.
    let told = again.get_details_error_info().expect("details");
    assert_eq!((told.reason, told.metadata), (info.reason, info.metadata));
    assert_eq!(again.details().len(), wrong.details().len());
    let malformed = client.create_change(request("\u{7f}", contact)).await;
    let malformed = malformed.expect_err("no key");
    let fields = malformed.get_details_bad_request().expect("details");
    assert_eq!(fields.field_violations[0].field, "idempotency_key");
}

/// H8: not changes alone. An edit session is opened once, and its edit is made once.
#[tokio::test]
async fn other_calls_that_come_again_are_answered_again() {
    let (gateway, device) = TestGateway::with_device(junos()).await;
    let sessions = "/v1/devices/mx1/edit-sessions";
    let first = gateway.post_keyed(sessions, "k1", &json!({})).await;
    let again = gateway.post_keyed(sessions, "k1", &json!({})).await;
    assert_eq!(first.status, StatusCode::CREATED, "{}", first.text);
    assert_eq!((again.status, &again.text), (first.status, &first.text));
    let path = format!("{sessions}/{}/edit", first.json()["id"].as_str().expect("an id"));
    let edit = json!({"format": "set", "config": "set snmp contact east"});
    let first = gateway.post_keyed(&path, "k1", &edit).await;
    let again = gateway.post_keyed(&path, "k1", &edit).await;
    assert_eq!(first.status, StatusCode::OK, "{}", first.text);
    assert!(again.is_replayed());
    assert_eq!(again.text, first.text);
    assert_eq!(sent(&device, "load-configuration").len(), 1);
    // What changes nothing has no operation, and its key means nothing.
    let read = "/v1/devices/mx1/rpc/get-chassis-inventory";
    for _ in 0..2 {
        assert!(!gateway.post_keyed(read, "k1", &json!({})).await.is_replayed());
    }
    assert_eq!(sent(&device, "get-chassis-inventory").len(), 2);
}

/// D1, H7, H8, fault matrix 24: a gateway that was killed when the end of a change was stored, and its answer not yet, comes
/// back with the true end, for the operation and for the key, of changes that were made, came to nothing or failed, and of
/// commits of edit sessions.
#[tokio::test]
async fn an_answer_that_was_not_stored_is_made_from_the_change() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ncgate.db");
    let device = listen(junos()).await;
    let start = async || {
        let database = format!("sqlite://{}", path.display());
        TestGateway::with(|settings| settings.database = Some(database)).await
    };
    let gateway = start().await;
    gateway.add("mx1", &device, json!({})).await;
    let mut calls = Vec::new();
    for (key, contact) in [("made", "east"), ("nothing", "east"), ("failed", "west")] {
        if key == "failed" {
            let refusal = Fault::Errors(vec![DeviceError::new("no room")]);
            let rule = Rule::on("commit-configuration", refusal);
            device.faults().add(rule.after(1).once());
        }
        let body = change(contact);
        let first = gateway.post_keyed(CHANGES, key, &body).await;
        calls.push((CHANGES.to_owned(), key, body, first));
    }
    let opened = gateway
        .open(Door::Rest, "mx1", json!({}))
        .await
        .expect("it opens");
    let session = opened["id"].as_str().expect("an id");
    let edit = json!({"config": {"snmp": {"contact": "north"}}});
    gateway
        .edit(Door::Rest, "mx1", session, edit)
        .await
        .expect("an edit");
    let commit = format!("/v1/devices/mx1/edit-sessions/{session}/commit");
    let first = gateway.post_keyed(&commit, "session", &json!({})).await;
    calls.push((commit, "session", json!({}), first));
    gateway.stop().await;

    let options = SqliteConnectOptions::new().filename(&path);
    let mut database = options.connect().await.expect("the database opens");
    let forgotten = database
        .execute("UPDATE idempotency_keys SET answer = NULL")
        .await;
    assert_eq!(forgotten.expect("an update").rows_affected(), 4);
    database.close().await.expect("it closes");

    let gateway = start().await;
    for (path, key, body, first) in calls {
        let again = gateway.post_keyed(&path, key, &body).await;
        assert!(again.is_replayed(), "{key}: {}", again.text);
        assert_eq!(again.status, first.status, "{key}: {}", again.text);
        let (again, first) = (again.json(), first.json());
        let told = |answer: &Value| {
            let commit = &answer["commit"];
            let place = if commit.is_null() { answer } else { commit };
            ["id", "change_id", "state", "outcome", "code", "step"].map(|name| place[name].clone())
        };
        assert_eq!(told(&again), told(&first), "{key}: {again}");
        let id = told(&again).into_iter().find(Value::is_string).expect("an id");
        let id = id.as_str().expect("an id");
        let (_, operation) = gateway.get(&format!("/v1/operations/{id}")).await;
        let state = if key == "failed" { "failed" } else { "succeeded" };
        assert_eq!(
            (&operation["state"], &operation["done"]),
            (&json!(state), &json!(true)),
            "{key}: {operation}"
        );
    }
    assert_eq!(commits(&device), 2);
    gateway.stop().await;
}

/// D1, H8, S28: of a commit that has to be confirmed the answer that is made again says what the first one said: which
/// confirmed commit, and until when; for changes through both doors and for commits of edit sessions.
#[tokio::test]
async fn an_answer_that_is_made_again_has_its_confirmed_commit() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ncgate.db");
    let start = async || {
        let database = format!("sqlite://{}", path.display());
        TestGateway::with(|settings| settings.database = Some(database)).await
    };
    let gateway = start().await;
    let mut devices = Vec::new();
    for name in ["mx1", "mx2", "mx3"] {
        let device = listen(junos().system_time()).await;
        gateway.add(name, &device, json!({})).await;
        devices.push(device);
    }
    let mut body = change("east");
    body["commit"] = json!({"confirm_timeout_seconds": 600});
    let first = gateway.post_keyed(CHANGES, "k", &body).await;
    let mut calls = vec![(CHANGES.to_owned(), body, first)];

    let opened = gateway
        .open(Door::Rest, "mx2", json!({}))
        .await
        .expect("it opens");
    let session = opened["id"].as_str().expect("an id");
    let edit = json!({"config": {"snmp": {"contact": "north"}}});
    gateway
        .edit(Door::Rest, "mx2", session, edit)
        .await
        .expect("an edit");
    let commit = format!("/v1/devices/mx2/edit-sessions/{session}/commit");
    let body = json!({"confirm_timeout_seconds": 600});
    let first = gateway.post_keyed(&commit, "k", &body).await;
    calls.push((commit, body, first));

    let request = proto::CreateChangeRequest {
        device: "mx3".to_owned(),
        edits: vec![proto::Edit {
            format: proto::EditFormat::Set.into(),
            change: Some(proto::edit::Change::Content("set snmp contact east".to_owned())),
            ..Default::default()
        }],
        commit: Some(proto::CommitOptions {
            confirm_timeout_seconds: Some(600),
            ..Default::default()
        }),
        idempotency_key: "k".to_owned(),
        ..Default::default()
    };
    let by_grpc = async |gateway: &TestGateway| {
        let answer = ChangeServiceClient::new(gateway.channel())
            .create_change(request.clone())
            .await
            .ok()?;
        match answer.into_inner().result {
            Some(proto::create_change_response::Result::Change(change)) => change.confirmed_commit,
            other => panic!("no change: {other:?}"),
        }
    };
    let first_by_grpc = by_grpc(&gateway).await.expect("a confirmed commit");
    gateway.stop().await;

    let options = SqliteConnectOptions::new().filename(&path);
    let mut database = options.connect().await.expect("the database opens");
    let forgotten = database
        .execute("UPDATE idempotency_keys SET answer = NULL")
        .await;
    assert_eq!(forgotten.expect("an update").rows_affected(), 3);
    database.close().await.expect("it closes");

    let gateway = start().await;
    eventually("it is known that they wait", async || {
        let waiting = gateway.read("/v1/confirmed-commits?state=pending").await;
        waiting["confirmed_commits"].as_array().map(Vec::len) == Some(3)
    })
    .await;
    for (path, body, first) in calls {
        // Until the device was asked nobody knows.
        eventually("it is known again", async || {
            let again = gateway.post_keyed(&path, "k", &body).await;
            again.status != StatusCode::CONFLICT
        })
        .await;
        let again = gateway.post_keyed(&path, "k", &body).await;
        assert!(again.is_replayed(), "{}", again.text);
        assert_eq!(again.status, first.status, "{}", again.text);
        let told = |answer: Value| {
            let place = if answer["commit"].is_null() {
                &answer
            } else {
                &answer["commit"]
            };
            let commit = &place["confirmed_commit"];
            assert!(commit["deadline"].is_string(), "{answer}");
            let names = ["id", "change_id", "state", "timeout_seconds", "deadline"];
            names.map(|name| commit[name].clone())
        };
        assert_eq!(told(again.json()), told(first.json()), "{path}");
    }
    let mut again = None;
    eventually("it is known again", async || {
        again = by_grpc(&gateway).await;
        again.is_some()
    })
    .await;
    let again = again.expect("a confirmed commit");
    assert_eq!(
        (&again.id, &again.state, &again.deadline),
        (&first_by_grpc.id, &first_by_grpc.state, &first_by_grpc.deadline)
    );
    for device in devices {
        assert_eq!(device.device().commits_with("").len(), 1, "nothing is sent again");
    }
    gateway.stop().await;
}

/// D1, H8: what says that nothing was sent and may be tried again frees its key also when the gateway was killed before that
/// was stored: the next start takes the call as a new one.
#[tokio::test]
async fn what_was_not_sent_leaves_the_key_free_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ncgate.db");
    let device = listen(junos()).await;
    let start = async || {
        let database = format!("sqlite://{}", path.display());
        TestGateway::with(|settings| settings.database = Some(database)).await
    };
    let statement = async |statement: &'static str| {
        let options = SqliteConnectOptions::new().filename(&path);
        let mut database = options.connect().await.expect("the database opens");
        database.execute(statement).await.expect("it is done");
        database.close().await.expect("it closes");
    };
    let gateway = start().await;
    gateway.add("mx1", &device, json!({})).await;
    statement("CREATE TRIGGER kept BEFORE DELETE ON idempotency_keys BEGIN SELECT RAISE(IGNORE); END").await;
    // The candidate is held: nothing is sent for the change.
    gateway
        .open(Door::Rest, "mx1", json!({}))
        .await
        .expect("it opens");
    let held = gateway.post_keyed(CHANGES, "k1", &change("east")).await;
    let first = held.json();
    assert_eq!(
        (code(&first), &first["outcome"], &first["retryable"]),
        ("lock-denied", &json!("not_sent"), &json!(true))
    );
    gateway.stop().await;
    statement("DROP TRIGGER kept").await;

    let gateway = start().await;
    let other = gateway.post_keyed(CHANGES, "k1", &change("west")).await;
    assert_eq!(other.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", other.text);
    let done = gateway.post_keyed(CHANGES, "k1", &change("east")).await;
    assert_eq!(done.status, StatusCode::CREATED, "{}", done.text);
    assert!(!done.is_replayed());
    assert_ne!(done.json()["id"], first["change_id"]);
    let again = gateway.post_keyed(CHANGES, "k1", &change("east")).await;
    assert!(again.is_replayed());
    assert_eq!(again.text, done.text);
    assert_eq!(commits(&device), 1);
    gateway.stop().await;
}
