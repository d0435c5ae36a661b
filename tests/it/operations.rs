//! Operations (conventions H7): one for every call that can change a device, through either door, told truthfully until
//! its end and after it.

use std::collections::BTreeMap;
use std::time::Duration;

use ncgate::api::grpc::proto;
use ncgate::emulator::{Fault, Gate, Profile, Rule};
use ncgate::service::calls::CALLS;
use proto::change_service_client::ChangeServiceClient;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sqlx::Executor;

use crate::support::child::Child;
use crate::support::database::open;
use crate::support::doors::{DOORS, Door, plain};
use crate::support::{TestGateway, answer, eventually, junos, listen, sent};

const CHANGES: &str = "/v1/devices/mx1/changes";
const SESSIONS: &str = "/v1/devices/mx1/edit-sessions";

fn change(contact: &str) -> Value {
    json!({"edits": [{"config": {"snmp": {"contact": contact}}}]})
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}"))
}

/// Makes every call that can change a device, in an order in which each gets as far as the device. What they answer is no
/// matter here.
async fn everything(gateway: &TestGateway, door: Door) {
    let shell = json!({"request-shell-execute": {"command": "true"}});
    drop(gateway.rpc(door, "mx1", shell.clone(), plain()).await);
    drop(
        gateway
            .named(door, "mx1", "request-shell-execute", Value::Null, plain())
            .await,
    );
    drop(gateway.cli(door, "mx1", "request shell execute", plain()).await);
    let stores = json!({"source": "running", "target": "startup"});
    for (device, action, body) in [
        ("rfc", "copy", stores),
        ("rfc", "delete", json!({"target": "startup"})),
        ("mx1", "validate", json!({"source": "candidate"})),
        ("mx1", "rescue", Value::Null),
    ] {
        drop(gateway.whole(door, device, action, body).await);
    }
    drop(gateway.discard_candidate(door, "mx1", &"0".repeat(64)).await);
    drop(gateway.change(door, "mx1", change("east")).await);

    let id = |thing: &Value| text(&thing["id"]).to_owned();
    let session = id(&gateway.open(door, "mx1", json!({})).await.unwrap());
    let set = json!({"format": "set", "config": "set snmp contact west"});
    drop(gateway.edit(door, "mx1", &session, set).await);
    for action in ["validate", "discard", "commit"] {
        drop(gateway.act(door, "mx1", &session, action, json!({})).await);
    }
    drop(
        gateway
            .edit_session_rpc(door, "mx1", &session, shell, false)
            .await,
    );
    drop(gateway.close(door, "mx1", &session).await);
    let victim = gateway
        .open(door, "mx1", json!({"mode": "private"}))
        .await
        .unwrap();
    let victim = victim["session_id"].as_u64().expect("a session-id");
    drop(gateway.kill(door, "mx1", victim, json!({})).await);

    for (contact, orders) in [("one", &["extend", "confirm"][..]), ("two", &["cancel"])] {
        let mut body = change(contact);
        body["commit"] = json!({"confirm_timeout_seconds": 600});
        let made = gateway.change(door, "mx1", body).await.unwrap();
        for order in orders {
            let body = match *order {
                "extend" => json!({"confirm_timeout_seconds": 900}),
                _ => json!({}),
            };
            let commit = id(&made["confirmed_commit"]);
            gateway.order(door, &commit, order, body).await.unwrap();
        }
    }
    let mut later = change("later");
    later["commit"] = json!({"at": "23:15"});
    let scheduled = gateway.change(door, "mx1", later).await.unwrap();
    gateway.cancel_change(door, "mx1", &id(&scheduled)).await.unwrap();
}

/// H7: a change is its own operation; its response is the change as it is now.
#[tokio::test]
async fn a_change_is_its_operation() {
    let (gateway, _device) = TestGateway::with_device(junos()).await;
    for door in DOORS {
        let made = gateway.change(door, "mx1", change("east")).await.unwrap();
        let id = text(&made["id"]);
        let operation = gateway.operation(door, id, 0).await;
        assert_eq!(operation["id"], id);
        assert_eq!(operation["kind"], "create_change");
        assert_eq!(
            (&operation["state"], &operation["done"]),
            (&json!("succeeded"), &json!(true))
        );
        assert_eq!(operation["metadata"]["phase"], made["state"]);
        assert_eq!(operation["outcome"], made["outcome"]);
        assert_eq!(operation["response"]["id"], id);
        let newest = gateway.newest_operations(door, 1).await;
        assert_eq!(newest[0]["id"], id);
        assert!(newest[0].get("response").is_none(), "{newest:?}");
    }
}

/// H7, H8: of a response that is too large to be kept, the operation says where to look instead, and so does the answer to
/// whoever comes again; nothing is sent twice.
#[tokio::test]
async fn a_large_response_leaves_a_reference() {
    const LARGE: &str = "clear-interfaces-statistics";
    let (gateway, device) = TestGateway::with_device(junos()).await;
    let opened = gateway.open(Door::Rest, "mx1", json!({})).await.unwrap();
    let session = format!("{SESSIONS}/{}", text(&opened["id"]));
    device.faults().add(Rule::on(LARGE, Fault::HugeReply(3 << 20)));
    let body = json!({"rpc": {LARGE: null}});
    for (path, resource) in [
        ("/v1/devices/mx1/rpc".to_owned(), "/v1/devices/mx1"),
        (format!("{session}/rpc"), &session),
    ] {
        let sent_before = sent(&device, LARGE).len();
        let first = gateway.post_keyed(&path, "k", &body).await;
        assert_eq!(first.status, StatusCode::OK, "{path}");
        assert!(first.text.len() > 1 << 20, "{path}: {}", first.text.len());
        let again = gateway.post_keyed(&path, "k", &body).await;
        let problem = again.json();
        assert_eq!(
            (again.status, &problem["code"], &problem["outcome"]),
            (
                StatusCode::BAD_REQUEST,
                &json!("response-too-large"),
                &json!("applied")
            ),
            "{path}"
        );
        assert!(text(&problem["hint"]).contains("metadata.resource"), "{problem}");
        assert_eq!(sent(&device, LARGE).len(), sent_before + 1, "{path}");
        for door in DOORS {
            let operation = gateway.operation(door, text(&problem["operation_id"]), 0).await;
            assert_eq!(
                (&operation["state"], &operation["metadata"]["resource"]),
                (&json!("succeeded"), &json!(resource)),
                "{operation}"
            );
            assert!(operation.get("response").is_none(), "{door:?}");
            let omitted = operation["metadata"]["omitted_bytes"].as_u64();
            assert!(omitted.is_some_and(|bytes| bytes > 1 << 20), "{operation}");
        }
        gateway.read(resource).await;
    }
}

/// H7: 202 with the place of the operation, and a wait for its end.
#[tokio::test]
async fn a_call_need_not_be_waited_for() {
    let (gateway, device) = TestGateway::with_device(junos()).await;
    let gate = Gate::new();
    device.faults().add(
        Rule::on("commit-configuration", Fault::HoldReply(gate.clone()))
            .after(1)
            .once(),
    );
    let accepted = gateway
        .post_with(CHANGES, &[("Prefer", "respond-async")], &change("east"))
        .await;
    let operation = accepted.json();
    assert_eq!(accepted.status, StatusCode::ACCEPTED, "{operation}");
    let id = text(&operation["id"]);
    assert_eq!(
        accepted.header("location"),
        Some(format!("/v1/operations/{id}").as_str())
    );
    assert_eq!(accepted.header("preference-applied"), Some("respond-async"));
    assert_eq!(operation["done"], false);
    eventually("it is sent", async || {
        sent(&device, "commit-configuration").len() > 1
    })
    .await;
    // A wait that is over before it says so.
    let waited = gateway.operation(Door::Rest, id, 1).await;
    assert_eq!(
        (&waited["state"], &waited["metadata"]["phase"]),
        (&json!("running"), &json!("committing"))
    );
    let (ended, ()) = tokio::join!(gateway.operation(Door::Grpc, id, 60), async { gate.open() });
    assert_eq!(
        (&ended["state"], &ended["outcome"]),
        (&json!("succeeded"), &json!("applied"))
    );
    assert_eq!(ended["response"]["state"], "committed");
    let change = gateway.read(&format!("{CHANGES}/{id}")).await;
    assert_eq!(change["state"], "committed");
    let too_long = gateway.get(&format!("/v1/operations/{id}?wait_seconds=61")).await;
    assert_eq!(too_long.0, StatusCode::BAD_REQUEST);
}

/// H3, H7: once a call has begun it is accepted, whatever the database does then: nobody is told to try again what is carried
/// out all the same.
#[tokio::test]
async fn what_has_begun_is_accepted() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("ncgate.db");
    let url = format!("sqlite://{}", file.display());
    let gateway = TestGateway::with(|settings| settings.database = Some(url)).await;
    let device = listen(junos()).await;
    gateway.add("mx1", &device, json!({})).await;
    // Rows that cannot be read before they are written again.
    let mut database = open(&file).await;
    let damage = "CREATE TRIGGER damage AFTER INSERT ON operations BEGIN \
                  UPDATE operations SET document = x'00' WHERE id = NEW.id; END";
    database.execute(damage).await.unwrap();
    let path = "/v1/devices/mx1/rpc/request-shell-execute";
    let prefer = [("Prefer", "respond-async")];
    let gate = Gate::new();
    let held = Rule::on("request-shell-execute", Fault::HoldReply(gate.clone()));
    device.faults().add(held.once());
    let accepted = gateway.post_with(path, &prefer, &json!({})).await;
    assert_eq!(accepted.status, StatusCode::ACCEPTED, "{}", accepted.text);
    let operation = accepted.json();
    assert_eq!(
        (&operation["state"], &operation["done"], &operation["kind"]),
        (&json!("running"), &json!(false), &json!("call_named_rpc"))
    );
    gate.reached().await;
    gate.open();
    eventually("it has ended", async || {
        let (status, operation) = gateway
            .get(&format!("/v1/operations/{}", text(&operation["id"])))
            .await;
        status == StatusCode::OK && operation["done"] == true
    })
    .await;
}

/// H7: reads ignore the preference; what is refused before there is an operation is refused as ever.
#[tokio::test]
async fn reads_are_answered_at_once() {
    let (gateway, _device) = TestGateway::with_device(junos()).await;
    let prefer = [("Prefer", "respond-async")];
    let read = "/v1/devices/mx1/rpc/get-chassis-inventory";
    let answered = gateway.post_with(read, &prefer, &json!({})).await;
    assert_eq!(answered.status, StatusCode::OK, "{}", answered.text);
    assert_eq!(answered.header("preference-applied"), None);
    let wrong = gateway.post_with(CHANGES, &prefer, &json!({"edits": []})).await;
    assert_eq!(wrong.status, StatusCode::BAD_REQUEST);
    let nobody = gateway
        .post_with("/v1/devices/none/changes", &prefer, &change("east"))
        .await;
    assert_eq!(nobody.status, StatusCode::NOT_FOUND);
    assert!(gateway.newest_operations(Door::Rest, 10).await.is_empty());
}

/// H7 through gRPC: `respond_async` answers with the operation.
#[tokio::test]
async fn grpc_calls_need_not_be_waited_for() {
    let (gateway, _device) = TestGateway::with_device(junos()).await;
    let mut client = ChangeServiceClient::new(gateway.channel());
    let edit = proto::Edit {
        format: proto::EditFormat::Set.into(),
        change: Some(proto::edit::Change::Content("set snmp contact east".to_owned())),
        ..Default::default()
    };
    let request = proto::CreateChangeRequest {
        device: "mx1".to_owned(),
        edits: vec![edit],
        respond_async: true,
        ..Default::default()
    };
    let answer = client
        .create_change(request)
        .await
        .expect("an operation")
        .into_inner();
    let Some(proto::create_change_response::Result::Operation(operation)) = answer.result else {
        panic!("no operation: {answer:?}");
    };
    let ended = gateway.operation(Door::Grpc, &operation.id, 60).await;
    assert_eq!(ended["response"]["state"], "committed", "{ended}");
}

/// H7: every call of the table that can change a device has an operation that ends, through both doors. A call that is new
/// in the table needs to be made here.
#[tokio::test]
async fn every_call_that_changes_something_has_an_operation() {
    for door in DOORS {
        let (gateway, _device) = TestGateway::with_device(junos()).await;
        let rfc = listen(junos().profile(Profile::Rfc)).await;
        gateway.add("rfc", &rfc, json!({})).await;
        everything(&gateway, door).await;
        let mut seen: BTreeMap<String, usize> = BTreeMap::new();
        for operation in gateway.newest_operations(door, 100).await {
            assert_eq!(operation["done"], true, "{operation}");
            assert!(operation["outcome"].is_string(), "{operation}");
            assert_ne!(operation["state"], "unknown", "{operation}");
            *seen.entry(text(&operation["kind"]).to_owned()).or_default() += 1;
        }
        for call in CALLS {
            assert_eq!(
                seen.contains_key(call.name),
                call.mutates,
                "{door:?}: {}: {seen:?}",
                call.name
            );
        }
        // Four changes, two edit sessions, and each of the other calls once.
        for (kind, times) in seen {
            let expected = match kind.as_str() {
                "create_change" => 4,
                "create_edit_session" => 2,
                _ => 1,
            };
            assert_eq!(times, expected, "{door:?}: {kind}");
        }
    }
}

/// H7, L1: what a caller was answered stands with the operation, through whichever door the call came.
#[tokio::test]
async fn the_response_is_what_rest_answers() {
    for door in DOORS {
        let (gateway, _device) = TestGateway::with_device(junos()).await;
        let opened = gateway.open(door, "mx1", json!({})).await.unwrap();
        let newest = gateway.newest_operations(Door::Rest, 1).await;
        let operation = gateway.operation(Door::Rest, text(&newest[0]["id"]), 0).await;
        assert_eq!(operation["kind"], "create_edit_session");
        assert_eq!(operation["response"]["id"], opened["id"], "{operation}");
        assert_eq!(operation["response"]["mode"], "exclusive");
    }
}

/// D1, S29, fault matrix 24: a killed gateway comes back with its operations and keys; what it cannot know is unknown, and
/// what it can find out is found out.
#[tokio::test]
async fn operations_and_keys_outlive_the_gateway() {
    let device = listen(junos()).await;
    let mut child = Child::start(&[]).await;
    child.add("mx1", &device, json!({})).await;
    let keyed = |child: &Child, path: &str, key: &str, body: &Value| {
        child
            .request(Method::POST, path)
            .header("Idempotency-Key", key)
            .json(body)
    };
    let (status, done) = answer(keyed(&child, CHANGES, "done", &change("east"))).await;
    assert_eq!(status, StatusCode::CREATED, "{done}");
    // A change whose commit is done and never answered, and a call of another kind.
    let gate = Gate::new();
    device.faults().add(
        Rule::on("commit-configuration", Fault::HoldReply(gate.clone()))
            .after(1)
            .once(),
    );
    device
        .faults()
        .add(Rule::on("request-shell-execute", Fault::HoldReply(gate.clone())).once());
    let commits = sent(&device, "commit-configuration").len();
    let body = change("west");
    let cleanup = "/v1/devices/mx1/rpc/request-shell-execute";
    let lost = tokio::spawn(keyed(&child, CHANGES, "lost", &body).send());
    let other = tokio::spawn(keyed(&child, cleanup, "other", &json!({})).send());
    eventually("both are sent", async || {
        sent(&device, "commit-configuration").len() > commits + 1
            && !sent(&device, "request-shell-execute").is_empty()
    })
    .await;
    child.signal("KILL");
    child.ended().await;
    gate.open();
    drop((lost.await, other.await));
    let child = child.again(&[]).await;
    let again = keyed(&child, CHANGES, "done", &change("east"))
        .send()
        .await
        .expect("an answer");
    assert_eq!(again.headers()["idempotency-replayed"], "true");
    assert_eq!(again.json::<Value>().await.expect("JSON"), done);
    let (_, problem) = answer(keyed(&child, cleanup, "other", &json!({}))).await;
    assert_eq!(
        (&problem["code"], &problem["outcome"]),
        (&json!("outcome-unknown"), &json!("unknown")),
        "{problem}"
    );
    let id = text(&problem["operation_id"]);
    let (_, operation) = child.get(&format!("/v1/operations/{id}")).await;
    assert_eq!(
        (&operation["state"], &operation["done"]),
        (&json!("unknown"), &json!(true))
    );
    let mut found = Value::Null;
    eventually("the lost change is found out", async || {
        let (status, answer) = answer(keyed(&child, CHANGES, "lost", &body)).await;
        assert!(
            status == StatusCode::CREATED || status == StatusCode::CONFLICT,
            "{status}: {answer}"
        );
        found = answer;
        status == StatusCode::CREATED
    })
    .await;
    assert_eq!(found["state"], "committed", "{found}");
    let (_, operation) = child
        .get(&format!("/v1/operations/{}?wait_seconds=60", text(&found["id"])))
        .await;
    assert_eq!(
        (&operation["state"], &operation["outcome"]),
        (&json!("succeeded"), &json!("applied"))
    );
    assert_eq!(sent(&device, "request-shell-execute").len(), 1);
    assert_eq!(
        sent(&device, "commit-configuration").len(),
        commits + 2,
        "check and commit, once"
    );
}

/// X6: neither answers nor requests can be read in the database.
#[tokio::test]
async fn what_is_kept_is_sealed() {
    const CANARY: &str = "canary-contact-4711";
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("sealed.db");
    let url = format!("sqlite://{}", path.display());
    let gateway = TestGateway::with(|settings| settings.database = Some(url)).await;
    let device = listen(junos()).await;
    gateway.add("mx1", &device, json!({})).await;
    let made = gateway.post_keyed(CHANGES, "k1", &change(CANARY)).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
    assert!(made.text.contains(CANARY));
    let opened = gateway.post_keyed(SESSIONS, "k2", &json!({})).await;
    let edit = format!("{SESSIONS}/{}/edit", text(&opened.json()["id"]));
    let wrong = json!({"format": "set", "config": format!("set snmp {CANARY} x")});
    let refused = gateway.post_keyed(&edit, "k3", &wrong).await;
    assert!(refused.text.contains("operation_id"), "{}", refused.text);
    gateway.stop().await;
    for entry in std::fs::read_dir(directory.path()).expect("a directory") {
        let bytes = std::fs::read(entry.expect("an entry").path()).expect("a file");
        let found = memchr::memmem::find(&bytes, CANARY.as_bytes());
        assert_eq!(found, None);
    }
}

/// D1: what nobody waits for is finished all the same when the gateway ends.
#[tokio::test]
async fn sigterm_waits_for_what_nobody_waits_for() {
    let device = listen(junos()).await;
    let mut child = Child::start(&[]).await;
    child.add("mx1", &device, json!({})).await;
    let slow = Fault::Delay(Duration::from_millis(900));
    device
        .faults()
        .add(Rule::on("commit-configuration", slow).after(1).once());
    let request = child.request(Method::POST, CHANGES).json(&change("east"));
    let (status, operation) = answer(request.header("Prefer", "respond-async")).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{operation}");
    eventually("it is sent", async || {
        sent(&device, "commit-configuration").len() > 1
    })
    .await;
    child.signal("TERM");
    assert_eq!(child.ended().await.code(), Some(0), "{:?}", child.lines());
    let child = child.again(&[]).await;
    let path = format!("/v1/operations/{}", text(&operation["id"]));
    let (_, operation) = child.get(&path).await;
    assert_eq!(
        (&operation["state"], &operation["outcome"]),
        (&json!("succeeded"), &json!("applied"))
    );
}

/// H7, H8: there is a bound for calls that nobody waits for, and one for keys; beyond it nothing is sent.
#[tokio::test]
async fn there_are_only_so_many() {
    let gateway = TestGateway::with(|settings| {
        settings.asynchronous_operations = Some("1".to_owned());
        settings.idempotency_keys = Some("1".to_owned());
    })
    .await;
    let device = listen(junos()).await;
    gateway.add("mx1", &device, json!({})).await;
    let gate = Gate::new();
    device
        .faults()
        .add(Rule::on("lock", Fault::HoldReply(gate.clone())).once());
    let prefer = ("Prefer", "respond-async");
    let headers = [prefer, ("Idempotency-Key", "k1")];
    let first = gateway.post_with(CHANGES, &headers, &change("east")).await;
    assert_eq!(first.status, StatusCode::ACCEPTED, "{}", first.text);
    for (headers, reason) in [
        (&[prefer][..], "operations"),
        (&[("Idempotency-Key", "k2")], "idempotency_keys"),
    ] {
        let refused = gateway.post_with(CHANGES, headers, &change("west")).await;
        let problem = refused.json();
        assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE, "{problem}");
        assert_eq!(
            (&problem["reason"], &problem["outcome"]),
            (&json!(reason), &json!("not_sent"))
        );
        assert!(refused.header("retry-after").is_some());
    }
    gate.open();
    let ended = gateway.operation(Door::Rest, text(&first.json()["id"]), 60).await;
    assert_eq!(ended["state"], "succeeded");
    assert_eq!(gateway.newest_operations(Door::Rest, 10).await.len(), 1);
}
