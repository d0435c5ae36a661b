//! Devices that do something else with a confirmed commit, a lock or a candidate than their protocol says: what is told
//! of them is what they did (S28, S29; one quirk of the emulator each).

use std::time::Duration;

use ncgate::emulator::config::{Restart, Store, UndoneBy};
use ncgate::emulator::{Fault, Profile, Quirk, Rule, RunningEmulator, Until};
use serde_json::{Value, json};

use crate::support::commits::{
    commit_ends_as, commits, id, quirky, running, start, start_is_known, to_contact,
};
use crate::support::confirmed::pass;
use crate::support::doors::{DOORS, Door};
use crate::support::{TestGateway, eventually};

/// Longer than any rollback is waited for.
const PATIENCE: Duration = Duration::from_secs(181);

async fn seconds(seconds: u64) {
    pass(Duration::from_secs(seconds)).await;
}

async fn order(gateway: &TestGateway, commit: &Value, action: &str, body: Value) -> Value {
    gateway
        .order(Door::Rest, &id(commit), action, body)
        .await
        .unwrap()
}

async fn ends(gateway: &TestGateway, commit: &Value, state: &str) -> Value {
    commit_ends_as(gateway, Door::Rest, &id(commit), state).await
}

/// Its session is gone, and the device was seen to go on waiting.
async fn pends_alone(gateway: &TestGateway, commit: &Value) {
    eventually("pending without its session", async || {
        let found = gateway.confirmed_commit(Door::Rest, &id(commit)).await.unwrap();
        let looked = found["seen"]
            .as_str()
            .is_some_and(|words| !words.contains("has ended"));
        found["state"] == "pending" && found["session_id"].is_null() && looked
    })
    .await;
}

fn has_east(device: &RunningEmulator) -> bool {
    running(device).contains("contact east")
}

/// C5: a rollback that takes a minute is no confirm.
#[tokio::test]
async fn a_slow_rollback_is_waited_for() {
    for profile in [Profile::Junos, Profile::Rfc, Profile::Rfc10] {
        let slow = Quirk::SlowRollback(Duration::from_secs(60));
        let (gateway, device, edits) = quirky(profile, &[slow]).await;
        let commit = start(&gateway, Door::Rest, &edits).await;
        seconds(122).await;
        ends(&gateway, &commit, "unknown").await;
        assert!(has_east(&device), "{profile:?}");
        for _ in 0..2 {
            seconds(20).await;
            let seen = gateway.confirmed_commit(Door::Rest, &id(&commit)).await.unwrap();
            assert_eq!(seen["state"], "unknown", "{seen}");
        }
        seconds(30).await;
        let ended = ends(&gateway, &commit, "rolled_back").await;
        assert_eq!(ended["reason"], "timeout", "{ended}");
        assert!(!has_east(&device));
    }
}

/// C2: a lost connection undoes it where it should not.
#[tokio::test]
async fn a_lost_session_may_undo_it() {
    for undone_by in [UndoneBy::Loss, UndoneBy::AnyEnd] {
        let (gateway, device, edits) = quirky(Profile::Junos, &[Quirk::UndoneBy(undone_by)]).await;
        let commit = start(&gateway, Door::Rest, &edits).await;
        device.drop_connections();
        let ended = ends(&gateway, &commit, "rolled_back").await;
        assert_eq!(ended["reason"], "session_lost", "{ended}");
        assert!(!has_east(&device));
    }
}

/// C2: a lost connection, or a kill, does not undo it where it should.
#[tokio::test]
async fn a_lost_session_may_undo_nothing() {
    for profile in [Profile::Junos, Profile::Rfc10] {
        let (gateway, device, edits) = quirky(profile, &[Quirk::UndoneBy(UndoneBy::Nothing)]).await;
        let commit = start(&gateway, Door::Rest, &edits).await;
        let session = u32::try_from(commit["session_id"].as_u64().unwrap()).unwrap();
        start_is_known(&gateway, &device).await;
        assert!(device.device().kill(session));
        eventually("the loss is noticed", async || {
            let seen = gateway.confirmed_commit(Door::Rest, &id(&commit)).await.unwrap();
            seen["session_id"].is_null()
        })
        .await;
        seconds(60).await;
        let seen = gateway.confirmed_commit(Door::Rest, &id(&commit)).await.unwrap();
        assert!(
            ["pending", "unknown"].contains(&seen["state"].as_str().unwrap()),
            "{seen}"
        );
        assert!(has_east(&device));
        seconds(62).await;
        let ended = ends(&gateway, &commit, "rolled_back").await;
        assert_eq!(ended["reason"], "timeout", "{ended}");
        assert!(!has_east(&device));
    }
}

/// C5: a start of the device undoes it where it should keep it.
#[tokio::test]
async fn a_restart_of_the_device_may_undo_it() {
    for profile in [Profile::Junos, Profile::Rfc] {
        let (gateway, device, edits) = quirky(profile, &[Quirk::OnRestart(Restart::Reverts)]).await;
        let commit = start(&gateway, Door::Rest, &edits).await;
        start_is_known(&gateway, &device).await;
        seconds(5).await;
        device.device().reboot();
        let ended = ends(&gateway, &commit, "rolled_back").await;
        assert_eq!(ended["reason"], "reboot", "{profile:?}: {ended}");
        assert!(!has_east(&device));
    }
}

/// C5: a Junos device that was started anew keeps what waited, and takes an extension for a confirmed commit on top of it:
/// undoing that one does not undo the first.
#[tokio::test]
async fn what_was_extended_after_a_restart_is_kept() {
    let (gateway, device, edits) = quirky(Profile::Junos, &[Quirk::OnRestart(Restart::Keeps)]).await;
    let commit = start(&gateway, Door::Rest, &edits).await;
    device.device().reboot();
    pends_alone(&gateway, &commit).await;
    let extended = order(
        &gateway,
        &commit,
        "extend",
        json!({"confirm_timeout_seconds": 120}),
    )
    .await;
    assert_eq!(extended["state"], "pending", "{extended}");
    seconds(121).await;
    ends(&gateway, &commit, "unknown").await;
    eventually("the device was seen to have undone something else", async || {
        let seen = gateway.confirmed_commit(Door::Rest, &id(&commit)).await.unwrap();
        seen["seen"]
            .as_str()
            .is_some_and(|words| words.contains("did not undo it"))
    })
    .await;
    for _ in 0..12 {
        seconds(16).await;
    }
    ends(&gateway, &commit, "kept").await;
    assert!(has_east(&device));
}

/// Gives an order whose connection is lost, and which the device comes to twenty seconds later, long before the time of
/// the commit is up.
async fn orders_late(gateway: &TestGateway, device: &RunningEmulator, commit: &Value, action: &str) {
    let late = Fault::DropThenOperation(Until::Passed(Duration::from_secs(20)));
    device.faults().add(Rule::on("commit-configuration", late).once());
    let refusal = gateway
        .order(Door::Rest, &id(commit), action, Value::Null)
        .await
        .unwrap_err();
    assert_eq!(refusal.outcome, "unknown", "{refusal:?}");
    pends_alone(gateway, commit).await;
    for _ in 0..3 {
        seconds(16).await;
    }
}

/// C5, C6: a cancel that the device comes to long after its connection was lost has cancelled it.
#[tokio::test]
async fn a_late_cancel_is_told() {
    let (gateway, device, edits) = quirky(Profile::Junos, &[]).await;
    let commit = start(&gateway, Door::Rest, &edits).await;
    orders_late(&gateway, &device, &commit, "cancel").await;
    ends(&gateway, &commit, "cancelled").await;
    assert!(!has_east(&device));
}

/// C5: a confirming commit that the device comes to long after its connection was lost is still ours.
#[tokio::test]
async fn a_late_confirm_is_ours() {
    let (gateway, device, edits) = quirky(Profile::Junos, &[]).await;
    let commit = start(&gateway, Door::Rest, &edits).await;
    orders_late(&gateway, &device, &commit, "confirm").await;
    let ended = ends(&gateway, &commit, "confirmed").await;
    assert_eq!(ended["by"], "us", "{ended}");
    seconds(120).await;
    assert!(has_east(&device));
}

/// C2, C5: the commit goes on waiting over a start of the device, and its token is as good as before.
#[tokio::test]
async fn a_restart_of_the_device_may_remember_it() {
    let (gateway, device, edits) =
        quirky(Profile::RfcNoStartup, &[Quirk::OnRestart(Restart::Remembers)]).await;
    let commit = start(&gateway, Door::Rest, &edits).await;
    start_is_known(&gateway, &device).await;
    device.device().reboot();
    pends_alone(&gateway, &commit).await;
    let confirmed = order(&gateway, &commit, "confirm", Value::Null).await;
    assert_eq!(confirmed["state"], "confirmed", "{confirmed}");
    seconds(300).await;
    assert!(has_east(&device));
}

/// C2, C5: a device that forgot the token lets nobody confirm; the caller is told, and how it ends.
#[tokio::test]
async fn a_restart_of_the_device_may_forget_the_token() {
    let forgets = Quirk::OnRestart(Restart::ForgetsToken);
    let (gateway, device, edits) = quirky(Profile::RfcNoStartup, &[forgets]).await;
    let commit = start(&gateway, Door::Rest, &edits).await;
    start_is_known(&gateway, &device).await;
    device.device().reboot();
    pends_alone(&gateway, &commit).await;
    for action in ["confirm", "cancel"] {
        let refusal = gateway
            .order(Door::Rest, &id(&commit), action, Value::Null)
            .await
            .unwrap_err();
        assert_eq!(
            (refusal.origin.as_str(), refusal.outcome.as_str()),
            ("device", "not_applied"),
            "{refusal:?}"
        );
        let seen = ends(&gateway, &commit, "pending").await;
        assert!(has_east(&device), "{seen}");
    }
    seconds(122).await;
    let ended = ends(&gateway, &commit, "rolled_back").await;
    assert_eq!(ended["reason"], "timeout", "{ended}");
    assert!(!has_east(&device));
}

/// C3, C5: somebody's check confirms it, which leaves no trace: it is kept, and nobody is said to have confirmed it.
#[tokio::test]
async fn a_check_of_another_leaves_it_kept() {
    let (gateway, device, edits) = quirky(Profile::Junos, &[]).await;
    let commit = start(&gateway, Door::Rest, &edits).await;
    device.drop_connections();
    pends_alone(&gateway, &commit).await;
    device.console("bob").commit_check().unwrap();
    assert!(!device.device().is_rollback_pending());
    seconds(125).await;
    ends(&gateway, &commit, "unknown").await;
    pass(PATIENCE).await;
    ends(&gateway, &commit, "kept").await;
    assert!(has_east(&device));
}

/// C5: where a check confirms nothing, it is undone as ever.
#[tokio::test]
async fn a_check_of_another_may_confirm_nothing() {
    let (gateway, device, edits) = quirky(Profile::Junos, &[Quirk::CheckDoesNotConfirm]).await;
    let commit = start(&gateway, Door::Rest, &edits).await;
    device.drop_connections();
    pends_alone(&gateway, &commit).await;
    device.console("bob").commit_check().unwrap();
    seconds(122).await;
    ends(&gateway, &commit, "rolled_back").await;
    assert!(!has_east(&device));
}

/// C3: a server whose `<validate>` confirms gets none while a commit is pending.
#[tokio::test]
async fn nothing_is_validated_meanwhile() {
    for door in DOORS {
        let (gateway, device, edits) = quirky(Profile::Rfc, &[Quirk::ValidateConfirms]).await;
        let commit = start(&gateway, door, &edits).await;
        let whole = gateway
            .whole(door, "mx1", "validate", json!({"source": "candidate"}))
            .await;
        assert_eq!(whole.unwrap_err().code, "confirmed-commit-pending");
        assert!(device.device().is_rollback_pending());
        seconds(122).await;
        commit_ends_as(&gateway, door, &id(&commit), "rolled_back").await;
        assert!(!has_east(&device));
    }
}

/// C5: a confirmed commit that failed and is armed all the same undoes nothing that is committed after it.
#[tokio::test]
async fn a_failed_commit_that_waits_is_disarmed() {
    for profile in [Profile::Rfc, Profile::Rfc10] {
        let (gateway, device, _) = quirky(profile, &[Quirk::FailedCommitsWait]).await;
        let bad = json!([{"config": {"example-router:configuration": {
            "system": {"login": {"user": [{"name": "bob"}]}}}}}]);
        let body = json!({"edits": bad, "validate": false, "commit": {"confirm_timeout_seconds": 120}});
        let refusal = gateway.change(Door::Rest, "mx1", body).await.unwrap_err();
        assert_eq!(refusal.outcome, "not_applied", "{refusal:?}");
        let next = json!({"edits": to_contact(profile, "east")});
        let done = gateway.change(Door::Rest, "mx1", next).await.unwrap();
        assert_eq!(done["state"], "committed");
        seconds(300).await;
        assert!(
            has_east(&device),
            "{profile:?}: what was committed since was undone"
        );
    }
}

/// C5: somebody's confirmed commit on top of ours decides nothing until it is decided itself: undone, it takes ours with
/// it on one device and leaves it on another; both are told as they are.
#[tokio::test]
async fn a_confirmed_commit_on_top_decides_later() {
    for (quirks, state, by, active) in [
        (vec![], "rolled_back", Value::Null, false),
        (
            vec![Quirk::LaterConfirmsEarlier],
            "confirmed",
            json!("other"),
            true,
        ),
    ] {
        let (gateway, device, edits) = quirky(Profile::Junos, &quirks).await;
        let commit = start(&gateway, Door::Rest, &edits).await;
        device.drop_connections();
        pends_alone(&gateway, &commit).await;
        let bob = device.console("bob");
        bob.edit("set system host-name bobs").unwrap();
        bob.commit_confirmed(4, None).unwrap();
        seconds(125).await;
        let seen = ends(&gateway, &commit, "unknown").await;
        eventually("it is seen", async || {
            let seen = gateway.confirmed_commit(Door::Rest, &id(&commit)).await.unwrap();
            seen["seen"].as_str().is_some_and(|words| words.contains("bob"))
        })
        .await;
        assert!(has_east(&device), "{seen}");
        seconds(120).await;
        let ended = ends(&gateway, &commit, state).await;
        assert_eq!((&ended["by"], has_east(&device)), (&by, active), "{ended}");
    }
}

/// C5: and when it stays, ours was confirmed by it.
#[tokio::test]
async fn a_confirmed_commit_on_top_may_stay() {
    let (gateway, device, edits) = quirky(Profile::Junos, &[]).await;
    let commit = start(&gateway, Door::Rest, &edits).await;
    device.drop_connections();
    pends_alone(&gateway, &commit).await;
    let bob = device.console("bob");
    bob.edit("set system host-name bobs").unwrap();
    bob.commit_confirmed(4, None).unwrap();
    bob.commit_check().unwrap();
    seconds(600).await;
    let ended = ends(&gateway, &commit, "confirmed").await;
    assert_eq!(ended["by"], "other", "{ended}");
    assert!(has_east(&device));
}

/// C5: any commit of anybody confirms, also one of a private copy, and this is told although its time is not up.
#[tokio::test]
async fn a_private_commit_of_another_confirms() {
    let (gateway, device, edits) = quirky(Profile::Junos, &[]).await;
    let commit = start(&gateway, Door::Rest, &edits).await;
    device.drop_connections();
    pends_alone(&gateway, &commit).await;
    let bob = device.console("bob");
    bob.configure_private().unwrap();
    bob.edit("set system host-name bobs").unwrap();
    bob.commit(None).unwrap();
    seconds(16).await;
    let ended = ends(&gateway, &commit, "confirmed").await;
    assert_eq!(ended["by"], "other", "{ended}");
    assert!(has_east(&device));
}

/// S28, C6: an extension is a commit of its own in the history of a Junos device, so what is undone lies further back;
/// cancelled after extensions, it is undone whole, on any device.
#[tokio::test]
async fn what_was_extended_is_cancelled_whole() {
    for door in DOORS {
        for profile in [Profile::Junos, Profile::Rfc, Profile::Rfc10] {
            let (gateway, device, edits) = quirky(profile, &[]).await;
            let before = running(&device);
            let commit = start(&gateway, door, &edits).await;
            let order = async |action: &str, body: Value| {
                let answer = gateway.order(door, &id(&commit), action, body).await;
                answer.unwrap_or_else(|refusal| panic!("{action} at {profile:?}: {refusal:?}"))
            };
            for longer in [240, 360] {
                let extended = order("extend", json!({"confirm_timeout_seconds": longer})).await;
                assert_eq!(extended["state"], "pending", "{profile:?}: {extended}");
            }
            let cancelled = order("cancel", Value::Null).await;
            assert_eq!(cancelled["state"], "cancelled", "{profile:?}: {cancelled}");
            assert_eq!(running(&device), before, "{profile:?}");
        }
    }
}

/// C5: a timer that never fires leaves it active, and that is told.
#[tokio::test]
async fn a_timer_that_never_fires_is_told_as_kept() {
    for profile in [Profile::Junos, Profile::Rfc, Profile::Rfc10] {
        let (gateway, device, edits) = quirky(profile, &[Quirk::NeverRollsBack]).await;
        let commit = start(&gateway, Door::Rest, &edits).await;
        seconds(125).await;
        ends(&gateway, &commit, "unknown").await;
        pass(PATIENCE).await;
        ends(&gateway, &commit, "kept").await;
        assert!(has_east(&device));
    }
}

/// C4: a server that says ok to the token of a commit that it has undone is not believed.
#[tokio::test]
async fn ok_to_a_token_that_means_nothing_is_no_confirm() {
    let (gateway, device, edits) = quirky(Profile::Rfc, &[Quirk::UnknownTokensCommit]).await;
    let commit = start(&gateway, Door::Rest, &edits).await;
    device.device().with_engine(|engine| engine.stop());
    device
        .device()
        .with_engine(|engine| engine.start(Restart::Reverts, 0));
    let refusal = gateway
        .order(Door::Rest, &id(&commit), "confirm", Value::Null)
        .await
        .unwrap_err();
    assert_eq!(refusal.outcome, "not_applied", "{refusal:?}");
    ends(&gateway, &commit, "rolled_back").await;
    assert!(!has_east(&device));
}

/// E2: a device whose private copies take confirmed commits: that of another is not confirmed by accident.
#[tokio::test]
async fn private_copies_may_take_confirmed_commits() {
    for mode in ["exclusive", "private"] {
        let (gateway, device, edits) = quirky(Profile::Junos, &[Quirk::PrivateConfirmed]).await;
        let bob = device.console("bob");
        bob.configure_private().unwrap();
        bob.edit("set system host-name bobs").unwrap();
        bob.commit_confirmed(4, None).unwrap();
        let refusal = gateway
            .change(Door::Rest, "mx1", json!({"mode": mode, "edits": edits}))
            .await
            .unwrap_err();
        assert_eq!(
            (refusal.code.as_str(), refusal.outcome.as_str()),
            ("confirmed-commit-pending", "not_applied"),
            "{refusal:?}"
        );
        assert!(device.device().is_rollback_pending() && !has_east(&device));
    }
}

/// C2: what a server takes though it does not announce it is not relied upon.
#[tokio::test]
async fn tokens_that_are_not_announced_are_not_used() {
    for profile in [Profile::Junos, Profile::Rfc10] {
        let (gateway, device, edits) = quirky(profile, &[Quirk::TakesPersist]).await;
        let commit = start(&gateway, Door::Rest, &edits).await;
        assert_eq!(commit["persistent"], false);
        let confirmed = order(&gateway, &commit, "confirm", Value::Null).await;
        assert_eq!(confirmed["state"], "confirmed", "{confirmed}");
        seconds(300).await;
        assert!(has_east(&device));
    }
}

/// E2, C5: an old release whose history does not say what waits: nobody's commit is confirmed by accident, ours is told
/// as it is, and after its time nobody is kept out.
#[tokio::test]
async fn a_history_may_not_say_what_waits() {
    let (gateway, device, edits) = quirky(Profile::Junos, &[Quirk::HidesPending]).await;
    let bob = device.console("bob");
    bob.edit("set system host-name bobs").unwrap();
    bob.commit_confirmed(2, None).unwrap();
    bob.leave_configuration();
    let refusal = gateway
        .change(Door::Rest, "mx1", json!({"edits": edits}))
        .await
        .unwrap_err();
    assert_eq!(refusal.code, "confirmed-commit-pending", "{refusal:?}");
    assert!(device.device().is_rollback_pending());
    bob.commit_check().unwrap();
    // The devices' clocks are not ours.
    seconds(300).await;
    let commit = start(&gateway, Door::Rest, &edits).await;
    device.drop_connections();
    pends_alone(&gateway, &commit).await;
    seconds(122).await;
    ends(&gateway, &commit, "rolled_back").await;
    assert!(!has_east(&device));
}

/// L1, L5, C7: a lock that outlives its session keeps everybody out, which is told with its holder, and nobody is killed
/// for it; once it is cleared, what is ours is confirmed.
#[tokio::test]
async fn a_lock_may_be_stuck() {
    let (gateway, device, edits) = quirky(Profile::Rfc, &[Quirk::LocksStay]).await;
    let commit = start(&gateway, Door::Rest, &edits).await;
    device.drop_connections();
    pends_alone(&gateway, &commit).await;
    let refusal = gateway
        .order(Door::Rest, &id(&commit), "confirm", Value::Null)
        .await
        .unwrap_err();
    assert_eq!(
        (refusal.code.as_str(), refusal.reason.as_deref()),
        ("lock-denied", Some("held")),
        "{refusal:?}"
    );
    assert_eq!(refusal.outcome, "not_applied");
    assert_eq!(refusal.holder.unwrap()["session_id"], commit["session_id"]);
    assert_eq!(device.stats().count("kill-session"), 0);
    ends(&gateway, &commit, "pending").await;
    assert!(device.device().clear_lock(Store::Candidate));
    let confirmed = order(&gateway, &commit, "confirm", Value::Null).await;
    assert_eq!(confirmed["state"], "confirmed", "{confirmed}");
    seconds(300).await;
    assert!(has_east(&device));
}

/// L4: what somebody staged in a candidate that outlives locks does not ride along.
#[tokio::test]
async fn what_was_staged_does_not_ride_along() {
    for door in DOORS {
        let (gateway, device, edits) = quirky(Profile::Rfc, &[Quirk::CandidateStays]).await;
        let bob = device.console("bob");
        bob.edit("set system host-name bobs").unwrap();
        let refusal = gateway
            .change(door, "mx1", json!({"edits": edits}))
            .await
            .unwrap_err();
        assert_eq!(
            (refusal.code.as_str(), refusal.reason.as_deref()),
            ("lock-denied", Some("candidate_modified")),
            "{refusal:?}"
        );
        assert!(
            refusal.diff.as_ref().is_some_and(|diff| diff.contains("bobs")),
            "{refusal:?}"
        );
        assert!(device.device().is_modified());
        assert_eq!(commits(&device), 0);
    }
}

/// L4, S20: what is running cannot be locked where edits go there at once: the change is made, and does not promise what
/// it cannot.
#[tokio::test]
async fn what_is_running_may_have_no_lock() {
    for door in DOORS {
        let (gateway, device, edits) = quirky(Profile::RfcRunning, &[Quirk::NoRunningLock]).await;
        let change = gateway
            .change(door, "mx1", json!({"edits": edits}))
            .await
            .unwrap();
        assert_eq!(
            (&change["state"], &change["undo"]),
            (&json!("committed"), &json!("not_guaranteed")),
            "{change}"
        );
        assert!(
            change["warnings"][0]["error_message"]
                .as_str()
                .is_some_and(|words| words.contains("lock")),
            "{change}"
        );
        assert!(has_east(&device));
    }
}

/// E2: a server that says ok to a commit and does nothing is not believed, whatever its settings say.
#[tokio::test]
async fn ok_to_a_commit_that_does_nothing_is_no_commit() {
    for door in DOORS {
        for commit in [json!({}), json!({"confirm_timeout_seconds": 120})] {
            let (gateway, device, edits) = quirky(Profile::Rfc, &[]).await;
            device.faults().add(Rule::on("commit", Fault::Pretend).times(2));
            let body = json!({"edits": edits, "commit": commit});
            let refusal = gateway.change(door, "mx1", body).await.unwrap_err();
            assert_eq!(
                (refusal.verdict(), refusal.step.as_deref()),
                (("operation-failed", "not_applied"), Some("verify")),
                "{refusal:?}"
            );
            let opened = gateway.open(door, "mx1", json!({})).await.unwrap();
            let session = id(&opened);
            let confirmed = !commit["confirm_timeout_seconds"].is_null();
            gateway
                .edit(door, "mx1", &session, edits[0].clone())
                .await
                .unwrap();
            let refusal = gateway
                .act(door, "mx1", &session, "commit", commit.clone())
                .await
                .unwrap_err();
            assert_eq!(
                (refusal.verdict(), refusal.step.as_deref()),
                (("operation-failed", "not_applied"), Some("verify")),
                "{refusal:?}"
            );
            assert_eq!(commits(&device), 0);
            if !confirmed {
                let kept = gateway.act(door, "mx1", &session, "discard", Value::Null).await;
                assert_eq!(kept.unwrap()["state"], "open");
                gateway.close(door, "mx1", &session).await.unwrap();
            }
            eventually("the device is free", async || {
                let again = gateway.change(door, "mx1", json!({"edits": edits, "wait_seconds": 5}));
                again.await.is_ok_and(|change| change["state"] == "committed")
            })
            .await;
            assert!(has_east(&device));
        }
    }
}
