//! Edit sessions: whose they are, who is in the way, and how they end (L1–L5, S22, S23, S26).

use std::time::Duration;

use ncgate::device::EditMode;
use ncgate::emulator::config::Store;
use ncgate::emulator::{Fault, Gate, Rule, RunningEmulator};
use ncgate::error::{Error, ErrorCode, Outcome};
use ncgate::service::Gateway;
use ncgate::service::call::{CallContext, Principal, Role};
use ncgate::service::edit::request::{
    Edit, EditBody, EditFormat, EditRequest, OpenEditSession, ValidateRequest,
};
use ncgate::service::edit::view::{EditSessionView, Planned};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::child::Child;
use crate::support::confirmed::{clock, time_passes_until, while_time_passes};
use crate::support::doors::{DOORS, Door};
use crate::support::events::{all, kinds, of_kind};
use crate::support::{TestGateway, code, eventually, junos, listen, sent};

fn contact(name: &str) -> Value {
    json!({"config": {"snmp": {"contact": name}}})
}

fn id(session: &Value) -> &str {
    session["id"]
        .as_str()
        .unwrap_or_else(|| panic!("no id: {session}"))
}

/// The session that has the lock of the candidate.
fn lock_holder(device: &RunningEmulator) -> Option<u64> {
    let holder = device.device().lock_holder(Store::Candidate);
    holder.map(|holder| u64::from(holder.session))
}

/// A call of this principal.
fn by(who: &str, role: Role) -> CallContext {
    CallContext {
        principal: Principal::new(who, role),
        request_id: "r".to_owned(),
        deadline: None,
        traceparent: None,
        ticket: ncgate::service::operations::Ticket::default(),
    }
}

async fn open(gateway: &Gateway, ctx: &CallContext, wait_seconds: u64) -> Result<EditSessionView, Error> {
    let request = OpenEditSession {
        mode: EditMode::Exclusive,
        wait_seconds,
        ..OpenEditSession::default()
    };
    match gateway.create_edit_session(ctx, "mx1", request).await? {
        Planned::Done(session) => Ok(session),
        Planned::Plan(plan) => panic!("not asked for: {plan:?}"),
    }
}

fn edit() -> EditRequest {
    let body = EditBody::Config("set snmp contact east".to_owned());
    EditRequest {
        edit: Edit::new(EditFormat::Set, body),
        plan: false,
    }
}

/// L1: it is its owner's, and an admin's; others learn whose it is. Everybody who may read may look at it.
#[tokio::test]
async fn only_its_owner_and_admins_use_an_edit_session() {
    let (gateway, device) = TestGateway::with_device(junos()).await;
    let service = gateway.service();
    let (alice, bob) = (by("alice", Role::Configure), by("bob", Role::Configure));
    let session = open(service, &alice, 0).await.unwrap();
    let (device_name, id) = ("mx1", session.id.as_str());
    let refusals = [
        service.apply_edit(&bob, device_name, id, edit()).await.map(drop),
        service
            .validate_edit_session(&bob, device_name, id, ValidateRequest::default())
            .await
            .map(drop),
        service.renew_edit_session(&bob, device_name, id).await.map(drop),
        service.diff_edit_session(&bob, device_name, id).await.map(drop),
        service
            .delete_edit_session(&bob, device_name, id, false)
            .await
            .map(drop),
    ];
    for refused in refusals {
        let error = refused.unwrap_err();
        assert_eq!(
            (error.code(), error.outcome()),
            (ErrorCode::NotOwner, Outcome::NotSent)
        );
        let holder = error.holder().expect("the owner");
        assert_eq!(holder.user.as_deref(), Some("alice"));
        assert_eq!(holder.session_id, Some(session.session_id));
        assert!(error.detail().contains(&session.expires_at), "{}", error.detail());
    }
    let reader = by("carol", Role::Read);
    assert_eq!(
        service
            .get_edit_session(&reader, device_name, id)
            .await
            .unwrap()
            .owner,
        "alice"
    );
    for refused in [
        open(service, &reader, 0).await.map(drop),
        service
            .delete_edit_session(&reader, device_name, id, false)
            .await
            .map(drop),
    ] {
        assert_eq!(refused.unwrap_err().code(), ErrorCode::Forbidden);
    }
    service.apply_edit(&alice, device_name, id, edit()).await.unwrap();
    service
        .delete_edit_session(&by("root", Role::Admin), device_name, id, false)
        .await
        .unwrap();
    assert!(lock_holder(&device).is_none() && !device.device().is_modified());
    let gone = service
        .apply_edit(&alice, device_name, id, edit())
        .await
        .unwrap_err();
    assert_eq!(gone.code(), ErrorCode::EditSessionClosed);
    gateway.stop().await;
}

/// S22, S23, Q1: two principals race for one lock, 200 times: exactly one gets it each time, and the other learns who.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_two_gets_the_lock_and_the_other_learns_who() {
    let (gateway, device) = TestGateway::with_device(junos()).await;
    let service = gateway.service();
    let mut won = [0; 2];
    for round in 0..200 {
        let contexts = [by("alice", Role::Configure), by("bob", Role::Configure)];
        let tries = contexts.clone().map(|ctx| {
            let service = service.clone();
            tokio::spawn(async move { open(&service, &ctx, 0).await })
        });
        let [first, second] = tries;
        let results = [first.await.unwrap(), second.await.unwrap()];
        let winner = results.iter().position(Result::is_ok).expect("one got it");
        let loser = 1 - winner;
        let session = results[winner].as_ref().unwrap();
        let error = results[loser].as_ref().expect_err("only one has it");
        assert_eq!(
            (error.code(), error.reason()),
            (ErrorCode::LockDenied, Some("held")),
            "round {round}"
        );
        let holder = error.holder().expect("who has it");
        assert_eq!(
            holder.user.as_deref(),
            Some(contexts[winner].principal.id()),
            "round {round}"
        );
        assert_eq!(lock_holder(&device), Some(session.session_id));
        won[winner] += 1;
        service
            .delete_edit_session(&contexts[winner], "mx1", &session.id, false)
            .await
            .unwrap();
        assert_eq!(lock_holder(&device), None, "round {round}");
    }
    assert_eq!(won[0] + won[1], 200);
    assert_eq!(
        (device.stats().count("lock"), device.stats().count("unlock")),
        (200, 200)
    );
    gateway.stop().await;
}

/// Q1, issue 3 item 2: who waits gets the lock when it is free; who waits too short a time is told who has it.
#[tokio::test]
async fn waiting_for_the_lock_ends_with_it_or_on_time() {
    let (gateway, _device) = TestGateway::with_device(junos()).await;
    let service = gateway.service();
    let (alice, bob) = (by("alice", Role::Configure), by("bob", Role::Configure));
    let first = open(service, &alice, 0).await.unwrap();
    let started = tokio::time::Instant::now();
    let refused = open(service, &bob, 1).await.unwrap_err();
    assert!(started.elapsed() >= Duration::from_secs(1));
    assert_eq!(
        (refused.reason(), refused.outcome()),
        (Some("held"), Outcome::NotSent)
    );
    assert_eq!(
        refused.holder().and_then(|holder| holder.user.as_deref()),
        Some("alice")
    );
    let waiting = tokio::spawn({
        let (service, bob) = (service.clone(), bob.clone());
        async move { open(&service, &bob, 30).await }
    });
    eventually("bob waits", async || {
        gateway.read("/v1/devices/mx1").await["connection"]["queued"] == 1
    })
    .await;
    service
        .delete_edit_session(&alice, "mx1", &first.id, false)
        .await
        .unwrap();
    let second = waiting.await.unwrap().unwrap();
    assert_eq!(second.owner, "bob");
    gateway.stop().await;
}

/// Row 19, S22: a lock that somebody at the CLI holds is refused with all that the device says of him, is listed, and is had once
/// he has left.
#[tokio::test]
async fn holder_outside_the_gateway_is_named() {
    for door in DOORS {
        let (gateway, device) = TestGateway::with_device(junos()).await;
        let console = device.console("noc");
        console.configure_exclusive().unwrap();
        let refused = gateway.open(door, "mx1", json!({})).await.unwrap_err();
        assert_eq!(
            (refused.code.as_str(), refused.reason.as_deref()),
            ("lock-denied", Some("held"))
        );
        assert_eq!(
            (refused.step.as_deref(), refused.outcome.as_str()),
            (Some("lock"), "not_applied")
        );
        let holder = refused.holder.expect("who has it");
        assert_eq!(
            (&holder["user"], &holder["session_id"]),
            (&json!("noc"), &json!(console.pid()))
        );
        assert!(
            console.terminal().ends_with(holder["terminal"].as_str().unwrap()),
            "{holder}"
        );
        let locks = gateway.locks(door, "mx1").await.unwrap();
        assert_eq!(
            (&locks["locks"][0]["ours"], &locks["locks"][0]["holder"]["user"]),
            (&json!(false), &json!("noc"))
        );
        assert_eq!(gateway.list_edit_sessions(door, "mx1").await.unwrap(), json!([]));
        let (opened, ()) = tokio::join!(gateway.open(door, "mx1", json!({"wait_seconds": 20})), async {
            eventually("the lock is tried", async || sent(&device, "lock").len() >= 2).await;
            console.leave_configuration();
        });
        let opened = opened.unwrap();
        let locks = gateway.locks(door, "mx1").await.unwrap();
        let ours = &locks["locks"][0];
        assert_eq!(
            (&ours["ours"], &ours["edit_session"]),
            (&json!(true), &opened["id"]),
            "{locks}"
        );
        assert_eq!(ours["holder"]["session_id"], opened["session_id"]);
        assert_eq!(locks["locks"].as_array().map(Vec::len), Some(1), "{locks}");
        gateway.stop().await;
    }
}

/// Row 20, S22, L4: uncommitted changes of somebody else are shown and left alone.
#[tokio::test]
async fn leftovers_of_others_are_shown_and_stay() {
    for door in DOORS {
        let leftovers = junos().uncommitted("noc", "set snmp contact attic");
        let (gateway, device) = TestGateway::with_device(leftovers).await;
        let refused = gateway
            .open(door, "mx1", json!({"wait_seconds": 5}))
            .await
            .unwrap_err();
        assert_eq!(
            (refused.code.as_str(), refused.reason.as_deref()),
            ("lock-denied", Some("candidate_modified"))
        );
        assert!(
            refused
                .diff
                .as_deref()
                .is_some_and(|diff| diff.contains("contact attic")),
            "{refused:?}"
        );
        assert!(
            refused
                .hint
                .as_deref()
                .is_some_and(|hint| hint.contains("private"))
        );
        assert!(device.device().is_modified());
        // It was not waited for what nobody gives back.
        assert_eq!(sent(&device, "lock").len(), 1);
        gateway.stop().await;
    }
}

/// L2: unused for its time to live it expires, what it did is discarded, and the lock is free; renewal keeps it.
#[tokio::test]
async fn unused_session_expires_and_renewal_keeps_it() {
    for door in DOORS {
        let (gateway, device) = TestGateway::with_device(junos()).await;
        let opened = gateway
            .open(door, "mx1", json!({"ttl_seconds": 2}))
            .await
            .unwrap();
        let session = id(&opened);
        let started = tokio::time::Instant::now();
        eventually("it is older than it lives", async || {
            let renewed = gateway
                .act(door, "mx1", session, "renew", Value::Null)
                .await
                .unwrap();
            assert_eq!(renewed["state"], "open");
            started.elapsed() > Duration::from_secs(3)
        })
        .await;
        gateway.edit(door, "mx1", session, contact("east")).await.unwrap();
        eventually("it has expired", async || {
            gateway.edit_session(door, "mx1", session).await.unwrap()["state"] == "expired"
        })
        .await;
        eventually("the lock is free", async || lock_holder(&device).is_none()).await;
        assert!(!device.device().is_modified());
        let ended = gateway.edit_session(door, "mx1", session).await.unwrap();
        assert_eq!(
            (&ended["reason"], &ended["uncommitted"]),
            (&json!("ttl_expired"), &json!(false))
        );
        let refused = gateway
            .edit(door, "mx1", session, contact("west"))
            .await
            .unwrap_err();
        assert_eq!(
            (refused.code.as_str(), refused.outcome.as_str()),
            ("edit-session-expired", "not_sent")
        );
        gateway.stop().await;
    }
}

/// L3, S26: killed through the gateway it is lost at once, with its reason; its lock and its edits are gone.
#[tokio::test]
async fn killed_session_is_lost() {
    for door in DOORS {
        let (gateway, device) = TestGateway::with_device(junos()).await;
        let opened = gateway.open(door, "mx1", json!({})).await.unwrap();
        let session = id(&opened);
        gateway.edit(door, "mx1", session, contact("east")).await.unwrap();
        let victim = opened["session_id"].as_u64().unwrap();
        let killed = gateway.kill(door, "mx1", victim, json!({})).await.unwrap();
        assert_eq!(killed["edit_session"], opened["id"]);
        let lost = gateway.edit_session(door, "mx1", session).await.unwrap();
        assert_eq!(
            (&lost["state"], &lost["reason"]),
            (&json!("lost"), &json!("killed"))
        );
        let refused = gateway
            .edit(door, "mx1", session, contact("west"))
            .await
            .unwrap_err();
        assert_eq!(
            (refused.code.as_str(), refused.reason.as_deref()),
            ("edit-session-lost", Some("killed"))
        );
        assert!(lock_holder(&device).is_none() && !device.device().is_modified());
        let next = gateway.open(door, "mx1", json!({})).await.unwrap();
        assert_ne!(next["session_id"], opened["session_id"]);
        gateway.stop().await;
    }
}

/// L3: a session whose connection is lost is told so; nothing is locked or edited again by itself.
#[tokio::test]
async fn dropped_session_is_lost_and_not_taken_up_again() {
    for door in DOORS {
        let (gateway, device) = TestGateway::with_device(junos()).await;
        let opened = gateway.open(door, "mx1", json!({})).await.unwrap();
        let session = id(&opened);
        gateway.edit(door, "mx1", session, contact("east")).await.unwrap();
        device.drop_connections();
        eventually("it is lost", async || {
            gateway.edit_session(door, "mx1", session).await.unwrap()["state"] == "lost"
        })
        .await;
        let refused = gateway
            .act(door, "mx1", session, "commit", json!({}))
            .await
            .unwrap_err();
        assert_eq!(
            (refused.code.as_str(), refused.reason.as_deref()),
            ("edit-session-lost", Some("session_lost"))
        );
        assert!(sent(&device, "commit-configuration").is_empty());
        assert_eq!(sent(&device, "lock").len(), 1);
        gateway.stop().await;
    }
}

/// What an edit session that has ended says of its edits.
async fn said_of_edits(gateway: &TestGateway, door: Door, session: &str) -> Vec<String> {
    let ended = gateway.edit_session(door, "mx1", session).await.unwrap();
    assert_eq!(ended["uncommitted"], false, "{ended}");
    let warnings = ended["warnings"].as_array().cloned().unwrap_or_default();
    let words = warnings
        .iter()
        .filter_map(|warning| warning["error_message"].as_str());
    words
        .filter(|words| words.contains("did not commit"))
        .map(str::to_owned)
        .collect()
}

/// S23, E4: of what may have been committed nobody says that it was discarded.
#[tokio::test]
async fn what_may_be_committed_is_not_said_to_be_discarded() {
    for door in DOORS {
        for mode in ["exclusive", "private"] {
            let (gateway, device) = TestGateway::with_device(junos()).await;
            let opened = gateway.open(door, "mx1", json!({"mode": mode})).await.unwrap();
            let session = id(&opened);
            gateway.edit(door, "mx1", session, contact("east")).await.unwrap();
            device
                .faults()
                .add(Rule::on("commit-configuration", Fault::DropBeforeReply).once());
            let lost = gateway
                .act(door, "mx1", session, "commit", json!({}))
                .await
                .unwrap_err();
            assert_eq!(lost.outcome, "unknown", "{lost:?}");
            eventually("it has ended", async || {
                gateway.edit_session(door, "mx1", session).await.unwrap()["state"] == "lost"
            })
            .await;
            let told = "the change of its commit tells what became of what this session edited";
            eventually("the change is pointed at", async || {
                let ended = gateway.edit_session(door, "mx1", session).await.unwrap();
                let warnings = ended["warnings"].as_array().unwrap();
                let words = |warning: &Value| warning["error_message"] == told;
                warnings.iter().any(words) && !ended["warnings"].to_string().contains("was discarded")
            })
            .await;
        }
    }
}

/// S23, E4: a commit of an edit session that nobody answered is found in the device's records, while the session is open: it
/// has nothing uncommitted then. One that never came leaves its edits as they were.
#[tokio::test]
async fn an_open_edit_session_learns_what_became_of_its_commit() {
    for door in DOORS {
        for committed in [true, false] {
            let clock = clock();
            let gateway = TestGateway::at(clock.clone(), |_| {}).await;
            let device = listen(junos().clock(clock)).await;
            let timeouts = json!({"timeouts": {"rpc_seconds": 600, "commit_seconds": 10}});
            gateway.add("mx1", &device, timeouts).await;
            let body = json!({"ttl_seconds": 1200});
            let opened = gateway.open(door, "mx1", body).await.unwrap();
            let session = id(&opened);
            gateway.edit(door, "mx1", session, contact("east")).await.unwrap();
            let gate = Gate::new();
            let fault = match committed {
                true => Fault::HoldReply(gate.clone()),
                false => Fault::Swallow,
            };
            device
                .faults()
                .add(Rule::on("commit-configuration", fault).once());
            let committing = gateway.act(door, "mx1", session, "commit", json!({}));
            let lost = while_time_passes(Duration::from_secs(1), committing)
                .await
                .unwrap_err();
            assert_eq!(lost.outcome, "unknown", "{lost:?}");
            let change = lost.change_id.expect("a change");
            let state = if committed { "committed" } else { "failed" };
            time_passes_until(Duration::from_secs(1), state, async || {
                gateway.get_change(door, "mx1", &change).await.unwrap()["state"] == state
            })
            .await;
            eventually("the edit session knows", async || {
                let told = gateway.edit_session(door, "mx1", session).await.unwrap();
                assert_eq!(told["state"], "open", "{told}");
                told["uncommitted"] == !committed
            })
            .await;
            gate.open();
            let closing = gateway.close(door, "mx1", session);
            while_time_passes(Duration::from_secs(1), closing).await.unwrap();
            let said = match committed {
                true => vec![],
                false => vec!["what this session edited and did not commit was discarded"],
            };
            assert_eq!(said_of_edits(&gateway, door, session).await, said);
            gateway.stop().await;
        }
    }
}

/// S23: however an edit session ends, it says that what it had edited and not committed was discarded, where there was
/// something.
#[tokio::test]
async fn an_edit_session_says_that_its_edits_were_discarded() {
    let here = "what this session edited and did not commit was discarded";
    let there =
        "what this session edited and did not commit was discarded by the device with its NETCONF session";
    for door in DOORS {
        for mode in ["exclusive", "private", "ephemeral"] {
            for (end, said) in [
                ("released", here),
                ("ttl_expired", here),
                ("killed", there),
                ("session_lost", there),
            ] {
                for edits in [true, false] {
                    let (gateway, device) = TestGateway::with_device(junos()).await;
                    let ttl = if end == "ttl_expired" { 1 } else { 60 };
                    let body = json!({"mode": mode, "ttl_seconds": ttl});
                    let opened = gateway.open(door, "mx1", body).await.unwrap();
                    let session = id(&opened);
                    if edits {
                        gateway.edit(door, "mx1", session, contact("east")).await.unwrap();
                    }
                    match end {
                        "released" => drop(gateway.close(door, "mx1", session).await.unwrap()),
                        "killed" => {
                            let victim = opened["session_id"].as_u64().unwrap();
                            gateway.kill(door, "mx1", victim, json!({})).await.unwrap();
                        }
                        "session_lost" => device.drop_connections(),
                        _ => {}
                    }
                    eventually("it has ended", async || {
                        gateway.edit_session(door, "mx1", session).await.unwrap()["reason"] == end
                    })
                    .await;
                    let expected = if edits { vec![said] } else { Vec::new() };
                    if end == "released" {
                        // At once, as soon as it is closed.
                        assert_eq!(said_of_edits(&gateway, door, session).await, expected, "{mode}");
                    }
                    eventually(&format!("{mode} {end} says {expected:?}"), async || {
                        said_of_edits(&gateway, door, session).await == expected
                    })
                    .await;
                    let ended = gateway.edit_session(door, "mx1", session).await.unwrap();
                    let listed = gateway.list_edit_sessions(door, "mx1").await.unwrap();
                    assert_eq!(listed, json!([ended]));
                    gateway.stop().await;
                }
            }
        }
    }
}

/// S23: what was committed, discarded or came to nothing was not lost.
#[tokio::test]
async fn an_edit_session_without_uncommitted_edits_says_nothing_of_them() {
    for door in DOORS {
        let (gateway, _device) = TestGateway::with_device(junos()).await;
        for (action, body) in [("commit", json!({})), ("discard", Value::Null)] {
            let opened = gateway.open(door, "mx1", json!({})).await.unwrap();
            let session = id(&opened);
            gateway.edit(door, "mx1", session, contact(action)).await.unwrap();
            gateway.act(door, "mx1", session, action, body).await.unwrap();
            gateway.close(door, "mx1", session).await.unwrap();
            assert_eq!(said_of_edits(&gateway, door, session).await, [""; 0], "{action}");
        }
        gateway.stop().await;
    }
}

/// Design section 4: a device is removed, and another one added under its name, while an edit session is being opened: there
/// is none then, and nothing stays on the device.
#[tokio::test]
async fn an_edit_session_is_not_opened_on_a_device_that_is_gone() {
    for door in DOORS {
        let (gateway, device) = TestGateway::with_device(junos()).await;
        let gate = Gate::new();
        let held = Fault::HoldReply(gate.clone());
        device.faults().add(Rule::on("open-configuration", held).once());
        let opening = gateway.open(door, "mx1", json!({"mode": "private"}));
        let meanwhile = async {
            gate.reached().await;
            gateway.delete(door, "mx1", "").await.unwrap();
            gateway.add("mx1", &device, json!({})).await;
            gate.open();
        };
        let (opened, ()) = tokio::join!(opening, meanwhile);
        let refusal = opened.unwrap_err();
        assert_eq!(refusal.verdict(), ("not-found", "not_applied"), "{refusal:?}");
        assert_eq!(gateway.list_edit_sessions(door, "mx1").await.unwrap(), json!([]));
        eventually("the session is closed", async || {
            device.device().sessions().is_empty()
        })
        .await;
        // Who follows the events is not left with one that never ends.
        eventually("its end is told", async || {
            let told = all(&gateway, door, of_kind("")).await;
            let mut kinds = kinds(&told);
            kinds.retain(|kind| kind.starts_with("edit_session."));
            kinds == ["edit_session.opened", "edit_session.lost"]
        })
        .await;
        gateway.stop().await;
        device.stop().await;
    }
}

/// Design section 4: a device is not removed under an edit session.
#[tokio::test]
async fn device_with_an_open_edit_session_is_not_removed() {
    let (gateway, _device) = TestGateway::with_device(junos()).await;
    let opened = gateway.open(Door::Rest, "mx1", json!({})).await.unwrap();
    let remove = || crate::support::answer(gateway.request(Method::DELETE, "/v1/devices/mx1"));
    let (status, problem) = remove().await;
    assert_eq!((status, code(&problem)), (StatusCode::CONFLICT, "invalid-state"));
    gateway.close(Door::Rest, "mx1", id(&opened)).await.unwrap();
    assert_eq!(remove().await.0, StatusCode::NO_CONTENT);
    gateway.stop().await;
}

/// D1, L3: SIGTERM discards and unlocks before it closes; the next process tells that the session was lost. So it does
/// after a crash, which leaves the unlocking to the device.
#[tokio::test]
async fn end_of_the_gateway_ends_its_edit_sessions() {
    for signal in ["TERM", "KILL"] {
        let device = listen(junos()).await;
        let mut child = Child::start(&[]).await;
        child.add("mx1", &device, json!({})).await;
        let (status, opened) = child.post("/v1/devices/mx1/edit-sessions", &json!({})).await;
        assert_eq!(status, StatusCode::CREATED, "{opened}");
        let path = format!("/v1/devices/mx1/edit-sessions/{}", id(&opened));
        let (status, edited) = child.post(&format!("{path}/edit"), &contact("east")).await;
        assert_eq!((status, &edited["uncommitted"]), (StatusCode::OK, &json!(true)));
        child.signal(signal);
        let status = child.ended().await;
        eventually("the lock is free", async || lock_holder(&device).is_none()).await;
        assert!(!device.device().is_modified());
        let polite = signal == "TERM";
        assert_eq!(status.code() == Some(0), polite);
        assert_eq!(sent(&device, "unlock").len(), usize::from(polite));
        let database = child.directory().join("inventory.db");
        let again = TestGateway::with(|settings| {
            settings.database = Some(format!("sqlite://{}", database.display()));
        })
        .await;
        let lost = again.read(&path).await;
        assert_eq!(
            (&lost["state"], &lost["reason"]),
            (&json!("lost"), &json!("gateway_restarted"))
        );
        assert!(lost["end_time"].is_string());
        // After a crash nobody knows whether there was something to discard.
        let said = lost["warnings"]
            .to_string()
            .contains("did not commit was discarded");
        assert_eq!(said, polite, "{lost}");
        let refused = again
            .edit(Door::Grpc, "mx1", id(&opened), contact("west"))
            .await
            .unwrap_err();
        assert_eq!(
            (refused.code.as_str(), refused.outcome.as_str()),
            ("edit-session-lost", "not_sent")
        );
        again.stop().await;
    }
}

/// L2, L3: after a crash, too, it is said that edits may have stayed where everybody can commit them.
#[tokio::test]
async fn a_crash_does_not_hide_what_may_stay_in_the_shared_candidate() {
    let device = listen(junos()).await;
    let mut child = Child::start(&[]).await;
    child.add("mx1", &device, json!({})).await;
    let (_, opened) = child
        .post("/v1/devices/mx1/edit-sessions", &json!({"mode": "shared"}))
        .await;
    let path = format!("/v1/devices/mx1/edit-sessions/{}", id(&opened));
    let (status, _) = child.post(&format!("{path}/edit"), &contact("east")).await;
    assert_eq!(status, StatusCode::OK);
    let gate = Gate::new();
    let held = Rule::on("load-configuration", Fault::HoldReply(gate.clone()));
    device.faults().add(held.once());
    let change = json!({"mode": "shared", "edits": [contact("west")]});
    tokio::select! {
        _ = child.post("/v1/devices/mx1/changes", &change) => panic!("it is held up"),
        () = gate.reached() => {}
    }
    child.signal("KILL");
    child.ended().await;
    assert!(device.device().is_modified());
    let database = child.directory().join("inventory.db");
    let again = TestGateway::with(|settings| {
        settings.database = Some(format!("sqlite://{}", database.display()));
    })
    .await;
    let changes = again.read("/v1/devices/mx1/changes").await;
    for told in [&again.read(&path).await, &changes["changes"][0]] {
        let warnings = told["warnings"].to_string();
        assert!(
            warnings.contains("if anything, stays in the shared candidate"),
            "{told}"
        );
    }
    assert_eq!(changes["changes"][0]["outcome"], "not_applied");
    again.stop().await;
}

/// L2: those that have ended are forgotten after a time that can be set.
#[tokio::test]
async fn ended_sessions_are_forgotten_in_time() {
    let gateway = TestGateway::with(|settings| {
        settings.edit_session_history_seconds = Some("1".to_owned());
    })
    .await;
    let device = listen(junos()).await;
    gateway.add("mx1", &device, json!({})).await;
    let opened = gateway.open(Door::Rest, "mx1", json!({})).await.unwrap();
    gateway.close(Door::Rest, "mx1", id(&opened)).await.unwrap();
    eventually("it is forgotten", async || {
        let found = gateway.edit_session(Door::Rest, "mx1", id(&opened)).await;
        found.is_err_and(|refused| refused.code == "not-found")
    })
    .await;
    gateway.stop().await;
}
