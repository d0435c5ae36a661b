//! What a confirm would commit beside what was committed before, when it comes too late, and who comes after it (C4, C7;
//! fault matrix row 22).

use std::time::Duration;

use ncgate::emulator::config::{Restart, Store, What};
use ncgate::emulator::{Fault, Gate, Profile, Quirk, Rule, RunningEmulator, Until};
use ncgate::service::call::{CallContext, Principal, Role};
use ncgate::service::edit::request::ConfirmRequest;
use serde_json::{Value, json};

use crate::support::commits::{commit_ends_as, id, pair, quirky, running, start, start_is_known, to_contact};
use crate::support::confirmed::{clock, pass, time_passes_until, while_time_passes};
use crate::support::doors::{DOORS, Door, bad, good};
use crate::support::events::{all, of_kind};
use crate::support::{TestGateway, eventually, junos, listen};

/// Ends the session of a confirmed commit that outlives it, and with it the lock of the candidate.
async fn lose_session(gateway: &TestGateway, device: &RunningEmulator, commit: &str) {
    start_is_known(gateway, device).await;
    device.drop_connections();
    eventually("the loss is noticed, and it waits still", async || {
        let seen = good(Door::Rest, gateway.confirmed_commit(Door::Rest, commit).await);
        let free = device.device().lock_holder(Store::Candidate).is_none();
        free && seen["session_id"].is_null() && seen["state"] == "pending"
    })
    .await;
}

/// C7: a confirm commits the whole candidate. What others left in it while the lock was lost is told with the difference and
/// the time that is left, by an extension as well; an admin may confirm together with it.
#[tokio::test]
async fn what_others_left_in_the_candidate_is_not_confirmed_unseen() {
    for door in DOORS {
        for (profile, quirks) in [
            (Profile::Junos, &[][..]),
            (Profile::Rfc, &[]),
            // There the candidate can be locked all the same.
            (Profile::Rfc, &[Quirk::CandidateStays]),
        ] {
            let what = format!("{door:?} {profile:?} {quirks:?}");
            let (gateway, device, edits) = quirky(profile, quirks).await;
            let commit = id(&start(&gateway, door, &edits).await);
            lose_session(&gateway, &device, &commit).await;
            let bob = device.console("bob");
            bob.edit("set system host-name bobs").unwrap();
            for (order, body) in [
                ("confirm", Value::Null),
                ("extend", json!({"confirm_timeout_seconds": 600})),
            ] {
                let refusal = bad(door, gateway.order(door, &commit, order, body).await);
                assert_eq!(
                    (refusal.verdict(), refusal.reason.as_deref()),
                    (("lock-denied", "not_sent"), Some("candidate_modified")),
                    "{what}: {order}"
                );
                let diff = refusal.diff.as_deref().unwrap_or_default();
                assert!(diff.contains("bobs"), "{what}: {refusal:?}");
                let left = refusal.detail.split_once(" s are left");
                let left = left.and_then(|(before, _)| before.rsplit(' ').next()?.parse::<u64>().ok());
                assert!(
                    left.is_some_and(|left| (1..=120).contains(&left)),
                    "{what}: {refusal:?}"
                );
                let state = good(door, gateway.confirmed_commit(door, &commit).await)["state"].take();
                assert_eq!(state, "pending", "{what}");
            }
            // Where it can be had, the lock is held again: nothing more comes in.
            let locked = device.device().lock_holder(Store::Candidate).is_some();
            assert_eq!(locked, quirks.contains(&Quirk::CandidateStays), "{what}");
            let body = json!({"accept_candidate": true});
            let confirmed = good(door, gateway.order(door, &commit, "confirm", body).await);
            assert_eq!(
                (&confirmed["state"], &confirmed["by"]),
                (&json!("confirmed"), &json!("us")),
                "{what}"
            );
            assert!(running(&device).contains("host-name bobs"), "{what}");
            assert!(running(&device).contains("contact east"), "{what}");
            assert!(device.device().lock_holder(Store::Candidate).is_none(), "{what}");
            pass(Duration::from_secs(600)).await;
            assert!(running(&device).contains("contact east"), "{what}");
        }
    }
}

/// C7: who is no admin does not confirm what others have edited, seen or not.
#[tokio::test]
async fn only_admins_accept_what_others_edited() {
    let (gateway, _device, edits) = pair(Profile::Junos, None).await;
    let commit = id(&start(&gateway, Door::Rest, &edits).await);
    let alice = CallContext {
        principal: Principal::new("alice", Role::Configure),
        request_id: "r".to_owned(),
        deadline: None,
        traceparent: None,
        ticket: ncgate::service::operations::Ticket::default(),
    };
    let request = ConfirmRequest {
        accept_candidate: true,
        plan: false,
    };
    let refused = gateway
        .service()
        .confirm_confirmed_commit(&alice, &commit, request)
        .await;
    assert_eq!(refused.unwrap_err().code().as_str(), "forbidden");
}

/// C7: a lock that was lost is taken again by the first order, and kept: nobody edits what the next one would commit.
#[tokio::test]
async fn a_lost_lock_is_taken_again() {
    for door in DOORS {
        for profile in [Profile::Junos, Profile::Rfc] {
            let (gateway, device, edits) = pair(profile, None).await;
            let commit = id(&start(&gateway, door, &edits).await);
            lose_session(&gateway, &device, &commit).await;
            let body = json!({"confirm_timeout_seconds": 600});
            let extended = good(door, gateway.order(door, &commit, "extend", body).await);
            assert!(extended["session_id"].is_u64(), "{extended}");
            let holder = device
                .device()
                .lock_holder(Store::Candidate)
                .map(|actor| actor.session);
            assert_eq!(
                holder.map(u64::from),
                extended["session_id"].as_u64(),
                "{profile:?}"
            );
            let bob = device.console("bob");
            assert!(bob.edit("set system host-name bobs").is_err(), "{profile:?}");
            good(door, gateway.order(door, &commit, "confirm", Value::Null).await);
            assert!(!running(&device).contains("bobs"));
            assert!(device.device().lock_holder(Store::Candidate).is_none());
        }
    }
}

/// A Junos device that is given more time for its answers than passes in a test.
async fn patient() -> (TestGateway, RunningEmulator) {
    let clock = clock();
    let gateway = TestGateway::at(clock.clone(), |_| {}).await;
    let device = listen(junos().clock(clock)).await;
    let timeouts = json!({"timeouts": {"rpc_seconds": 600, "commit_seconds": 600}});
    gateway.add("mx1", &device, timeouts).await;
    (gateway, device)
}

/// Row 22, C4: a confirm that the device comes to when it has undone the commit already is a new commit there, to which it says
/// ok, or nothing. Neither is told as confirmed.
#[tokio::test]
async fn row_22_a_confirm_after_the_rollback_is_no_confirm() {
    for door in DOORS {
        let late = || Until::Passed(Duration::from_secs(100));
        for (fault, verdict) in [
            (Fault::Late(late()), ("invalid-state", "not_applied")),
            (Fault::DropThenOperation(late()), ("outcome-unknown", "unknown")),
        ] {
            let (gateway, device) = patient().await;
            let before = running(&device);
            let edits = to_contact(Profile::Junos, "east");
            let commit = id(&start(&gateway, door, &edits).await);
            pass(Duration::from_secs(60)).await;
            device
                .faults()
                .add(Rule::on("commit-configuration", fault).once());
            let ordering = gateway.order(door, &commit, "confirm", Value::Null);
            let step = Duration::from_secs(2);
            let refusal = bad(door, while_time_passes(step, ordering).await);
            assert_eq!(refusal.verdict(), verdict, "{refusal:?}");
            let marker = "[ncgate ";
            time_passes_until(step, "it is over", async || {
                let told = good(door, gateway.confirmed_commit(door, &commit).await);
                told["state"] == "rolled_back" && device.device().commits_with(marker).len() == 2
            })
            .await;

            let ended = commit_ends_as(&gateway, door, &commit, "rolled_back").await;
            assert_eq!(ended["reason"], "timeout", "{ended}");
            let operations = gateway.newest_operations(door, 1).await;
            let operation = gateway.operation(door, &id(&operations[0]), 60).await;
            assert_eq!(
                (&operation["kind"], &operation["state"], &operation["outcome"]),
                (
                    &json!("confirm_confirmed_commit"),
                    &json!("failed"),
                    &json!("not_applied")
                ),
                "{operation}"
            );
            // It was a commit all the same, after the device's own.
            let marker = format!("[ncgate {} ", id(&operation));
            let deeds = device.device().commits_with(&marker);
            let is_new = |what: &What| matches!(what, What::Commit { confirms: false });
            assert!(deeds.len() == 1 && is_new(&deeds[0].what), "{deeds:?}");
            assert_eq!(running(&device), before);
            let confirmed = of_kind("confirmed_commit.confirmed");
            assert_eq!(all(&gateway, door, confirmed).await, Vec::<Value>::new());
        }
    }
}

/// C3, C7: who waits for the device while its confirmed commit ends has it next, and is not told that one is pending.
#[tokio::test]
async fn who_waits_for_the_end_of_it_comes_next() {
    for door in DOORS {
        let (gateway, device, edits) = pair(Profile::Junos, None).await;
        let commit = id(&start(&gateway, door, &edits).await);
        let gate = Gate::new();
        device
            .faults()
            .add(Rule::on("unlock", Fault::HoldReply(gate.clone())).once());
        let confirming = gateway.order(door, &commit, "confirm", Value::Null);
        let next = async {
            gate.reached().await;
            let body = json!({"edits": to_contact(Profile::Junos, "west"), "wait_seconds": 30});
            let changing = gateway.change(door, "mx1", body);
            let opening = async {
                eventually("it waits", async || {
                    let device = good(door, gateway.device(door, "mx1").await);
                    device["connection"]["queued"].as_u64() > Some(0)
                })
                .await;
                gate.open();
            };
            let (changed, ()) = tokio::join!(changing, opening);
            changed
        };
        let (confirmed, changed) = tokio::join!(confirming, next);
        assert_eq!(good(door, confirmed)["state"], "confirmed");
        assert_eq!(good(door, changed)["state"], "committed");
        assert!(running(&device).contains("contact west"));
    }
}

/// C4, C5: a server that has undone it and takes any token says ok to an extension as well, which is a confirmed commit of
/// nothing there. It is told as what it is, and leaves nothing behind that keeps others out.
#[tokio::test]
async fn ok_to_an_extension_of_what_is_undone_is_none() {
    for door in DOORS {
        let (gateway, device, edits) = quirky(Profile::Rfc, &[Quirk::UnknownTokensCommit]).await;
        let before = running(&device);
        let commit = id(&start(&gateway, door, &edits).await);
        device.device().with_engine(|engine| engine.stop());
        device
            .device()
            .with_engine(|engine| engine.start(Restart::Reverts, 0));
        let body = json!({"confirm_timeout_seconds": 600});
        let refusal = bad(door, gateway.order(door, &commit, "extend", body).await);
        assert_eq!(refusal.outcome, "not_applied", "{refusal:?}");
        commit_ends_as(&gateway, door, &commit, "rolled_back").await;
        assert_eq!(running(&device), before);
        assert!(!device.device().is_rollback_pending());
        let next = json!({"edits": to_contact(Profile::Rfc, "west")});
        good(door, gateway.change(door, "mx1", next).await);
    }
}
