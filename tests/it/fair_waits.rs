//! Q1, issue 3, item 2: who waits for the candidate with `wait_seconds` gets it in turns of the principals, each of which is
//! served in the order in which it came, however many of its calls wait. And what those are told who do not wait.

use std::sync::{Arc, Mutex};

use ncgate::device::EditMode;
use ncgate::emulator::Profile;
use ncgate::service::Gateway;
use ncgate::service::call::{CallContext, Principal, Role};
use ncgate::service::edit::request::{ChangeRequest, Edit, EditBody, EditFormat, OpenEditSession};
use ncgate::service::edit::view::{EditSessionView, Planned};
use ncgate::service::operations::Ticket;
use serde_json::json;

use crate::support::commits::id;
use crate::support::doors::{DOORS, bad, good};
use crate::support::{TestGateway, eventually, junos};

/// Those who wait, in the order in which they came: one has three calls, and the others come later.
const CAME: [(&str, u8); 6] = [
    ("bob", 1),
    ("bob", 2),
    ("bob", 3),
    ("carol", 1),
    ("carol", 2),
    ("dave", 1),
];

/// The order in which they get it.
const SERVED: [(&str, u8); 6] = [
    ("bob", 1),
    ("carol", 1),
    ("dave", 1),
    ("bob", 2),
    ("carol", 2),
    ("bob", 3),
];

/// A call of this principal.
fn by(who: &str) -> CallContext {
    CallContext {
        principal: Principal::new(who, Role::Configure),
        request_id: "r".to_owned(),
        deadline: None,
        traceparent: None,
        ticket: Ticket::default(),
    }
}

async fn open(service: &Gateway, who: &str, wait_seconds: u64) -> EditSessionView {
    let request = OpenEditSession {
        mode: EditMode::Exclusive,
        wait_seconds,
        ..OpenEditSession::default()
    };
    match service
        .create_edit_session(&by(who), "mx1", request)
        .await
        .unwrap()
    {
        Planned::Done(session) => session,
        Planned::Plan(plan) => panic!("not asked for: {plan:?}"),
    }
}

async fn close(service: &Gateway, session: &EditSessionView) {
    let closed = service
        .delete_edit_session(&by(&session.owner), "mx1", &session.id, false)
        .await;
    closed.unwrap();
}

/// Waits until so many calls wait for the device.
async fn queued(gateway: &TestGateway, count: usize) {
    eventually(&format!("{count} wait"), async || {
        gateway.read("/v1/devices/mx1").await["connection"]["queued"] == count
    })
    .await;
}

/// Edit sessions: each is closed by the one who got it, and then the next one is served.
#[tokio::test]
async fn edit_sessions_are_opened_in_turns() {
    let (gateway, device) = TestGateway::with_device(junos()).await;
    let service = gateway.service();
    let first = open(service, "alice", 0).await;
    let served = Arc::new(Mutex::new(Vec::new()));
    let mut waiting = Vec::new();
    for (count, (who, number)) in CAME.into_iter().enumerate() {
        let (service, served) = (service.clone(), served.clone());
        waiting.push(tokio::spawn(async move {
            let session = open(&service, who, 60).await;
            served.lock().unwrap().push((who, number));
            close(&service, &session).await;
        }));
        queued(&gateway, count + 1).await;
    }
    close(service, &first).await;
    for task in waiting {
        task.await.unwrap();
    }
    assert_eq!(*served.lock().unwrap(), SERVED);
    gateway.stop().await;
    device.stop().await;
}

/// Changes: the device's own history says in which order they were made.
#[tokio::test]
async fn changes_are_made_in_turns() {
    let (gateway, device) = TestGateway::with_device(junos()).await;
    let service = gateway.service();
    let first = open(service, "alice", 0).await;
    let mut waiting = Vec::new();
    for (count, (who, number)) in CAME.into_iter().enumerate() {
        let service = service.clone();
        waiting.push(tokio::spawn(async move {
            let lines = format!("set snmp contact {who}-{number}");
            let request = ChangeRequest {
                edits: vec![Edit::new(EditFormat::Set, EditBody::Config(lines))],
                wait_seconds: 60,
                ..ChangeRequest::default()
            };
            service.create_change(&by(who), "mx1", request).await.unwrap();
        }));
        queued(&gateway, count + 1).await;
    }
    close(service, &first).await;
    for task in waiting {
        task.await.unwrap();
    }
    let mut made: Vec<String> = device
        .device()
        .history()
        .iter()
        .take(SERVED.len())
        .map(|revision| {
            revision
                .tree
                .value(&["snmp", "contact"])
                .unwrap_or_default()
                .to_owned()
        })
        .collect();
    made.reverse();
    let served = SERVED.map(|(who, number)| format!("{who}-{number}"));
    assert_eq!(made, served);
    gateway.stop().await;
    device.stop().await;
}

/// S22: who does not wait is told what is held, by its name, and of other ways only where the device has them.
#[tokio::test]
async fn a_refusal_names_what_is_held_and_ways_that_there_are() {
    for (profile, datastore, what, private) in [
        (
            Profile::Junos,
            "candidate",
            "the candidate is in the hands of",
            true,
        ),
        (
            Profile::Rfc,
            "candidate",
            "the candidate is in the hands of",
            false,
        ),
        (
            Profile::RfcRunning,
            "running",
            "running is in the hands of",
            false,
        ),
    ] {
        for door in DOORS {
            let (gateway, device) = TestGateway::with_device(junos().profile(profile)).await;
            let body = json!({"datastore": datastore});
            let first = good(door, gateway.open(door, "mx1", body.clone()).await);
            let refusal = bad(door, gateway.open(door, "mx1", body).await);
            assert_eq!(refusal.verdict(), ("lock-denied", "not_sent"), "{refusal:?}");
            assert!(
                refusal.detail.starts_with(what) && refusal.detail.contains(&id(&first)),
                "{}",
                refusal.detail
            );
            let hint = refusal.hint.unwrap_or_default();
            assert_eq!(hint.contains("private"), private, "{profile:?}: {hint}");
            assert!(hint.contains("wait_seconds"), "{hint}");
            gateway.stop().await;
            device.stop().await;
        }
    }
}
