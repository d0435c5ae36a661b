//! What is told of commits whose reply was lost, and of confirmed commits whose session or gateway ended: what the device
//! did, found out by its own records (S29; fault matrix rows 4 to 6, 18, 21 and 24).

use std::time::Duration;

use ncgate::emulator::config::Store;
use ncgate::emulator::{DeviceError, Fault, Profile, Rule, Until};
use serde_json::{Value, json};

use crate::support::commits::{
    change_ends_as, commit_ends_as, commits, device, id, pair, running, start, start_is_known, to_contact,
    unanswered,
};
use crate::support::confirmed::{clock, pass};
use crate::support::doors::{DOORS, Door};
use crate::support::{TestGateway, eventually, sent};

/// Row 4, E4: the device committed, and the reply was lost.
#[tokio::test]
async fn a_lost_reply_is_found_to_be_applied() {
    for door in DOORS {
        for profile in [Profile::Junos, Profile::Rfc] {
            let (gateway, device, edits) = pair(profile, Some(Fault::DropBeforeReply)).await;
            let id = unanswered(&gateway, door, &edits).await;
            let change = change_ends_as(&gateway, door, &id, "committed", "applied").await;
            assert!(change["seen"].is_string(), "{change}");
            assert_eq!(commits(&device), 1);
            let next = gateway
                .change(door, "mx1", json!({"edits": edits}))
                .await
                .unwrap();
            assert_eq!(next["state"], "unchanged");
        }
    }
}

/// Row 5, E4: the commit never reached the device. Without a list of its sessions that is known when no commit
/// takes so long.
#[tokio::test]
async fn a_lost_commit_is_found_to_be_not_applied() {
    for door in DOORS {
        for profile in [Profile::Junos, Profile::Rfc] {
            let (gateway, device, edits) = pair(profile, Some(Fault::DropBeforeOperation)).await;
            let before = running(&device);
            let id = unanswered(&gateway, door, &edits).await;
            pass(Duration::from_secs(301)).await;
            change_ends_as(&gateway, door, &id, "failed", "not_applied").await;
            assert_eq!((commits(&device), running(&device)), (0, before));
        }
    }
}

/// Row 6, E4: the device commits long after the connection was lost, which is never taken for not applied.
#[tokio::test]
async fn a_late_commit_is_waited_for() {
    for door in DOORS {
        let late = Fault::DropThenOperation(Until::Passed(Duration::from_secs(20)));
        let (gateway, device, edits) = pair(Profile::Junos, Some(late)).await;
        let id = unanswered(&gateway, door, &edits).await;
        for _ in 0..3 {
            pass(Duration::from_secs(5)).await;
            let change = gateway.get_change(door, "mx1", &id).await.unwrap();
            assert_eq!(change["outcome"], "unknown", "{change}");
        }
        // Nothing is sent meanwhile that could come between.
        let other = json!({"edits": to_contact(Profile::Junos, "west")});
        let refusal = gateway.change(door, "mx1", other).await.unwrap_err();
        assert_eq!(
            (refusal.verdict(), refusal.reason.as_deref()),
            (("invalid-state", "not_sent"), Some("resolving"))
        );
        pass(Duration::from_secs(10)).await;
        change_ends_as(&gateway, door, &id, "committed", "applied").await;
        assert_eq!(commits(&device), 1);
    }
}

/// C5, E4: a confirmed commit whose reply was lost is pending once it is seen, and can be confirmed where that is possible.
#[tokio::test]
async fn a_lost_reply_of_a_confirmed_commit() {
    for door in DOORS {
        for profile in [Profile::Junos, Profile::Rfc] {
            let (gateway, device, edits) = pair(profile, Some(Fault::DropBeforeReply)).await;
            let body = json!({"edits": edits, "commit": {"confirm_timeout_seconds": 120}});
            let refusal = gateway.change(door, "mx1", body).await.unwrap_err();
            assert_eq!(refusal.outcome, "unknown");
            let change = refusal.change_id.unwrap();
            let seen = change_ends_as(&gateway, door, &change, "pending_confirm", "applied").await;
            let commit = seen["confirmed_commit_id"].as_str().unwrap();
            let confirmed = gateway.order(door, commit, "confirm", Value::Null).await.unwrap();
            assert_eq!(
                (&confirmed["state"], &confirmed["by"]),
                (&json!("confirmed"), &json!("us"))
            );
            change_ends_as(&gateway, door, &change, "confirmed", "applied").await;
            pass(Duration::from_secs(300)).await;
            assert!(running(&device).contains("contact east"));
        }
    }
}

/// Row 18, S29: the session that holds it is killed by an admin who was warned, and the device undoes it.
#[tokio::test]
async fn a_killed_session_rolls_back() {
    for door in DOORS {
        let (gateway, device, edits) = pair(Profile::Junos, None).await;
        let before = running(&device);
        let commit = start(&gateway, door, &edits).await;
        let session = commit["session_id"].as_u64().unwrap();
        let refusal = gateway.kill(door, "mx1", session, json!({})).await.unwrap_err();
        assert_eq!(refusal.reason.as_deref(), Some("confirmed_commit"), "{refusal:?}");
        gateway
            .kill(door, "mx1", session, json!({"force": true}))
            .await
            .unwrap();
        let ended = commit_ends_as(&gateway, door, &id(&commit), "rolled_back").await;
        assert_eq!(ended["reason"], "killed", "{ended}");
        assert_eq!(running(&device), before);
    }
}

/// S29: without a token an RFC server undoes it when its session ends, for whatever reason.
#[tokio::test]
async fn a_lost_session_rolls_back() {
    for door in DOORS {
        let (gateway, device, edits) = pair(Profile::Rfc10, None).await;
        let before = running(&device);
        let commit = start(&gateway, door, &edits).await;
        assert_eq!(commit["persistent"], false);
        start_is_known(&gateway, &device).await;
        device.drop_connections();
        let ended = commit_ends_as(&gateway, door, &id(&commit), "rolled_back").await;
        assert_eq!(ended["reason"], "session_lost", "{ended}");
        assert_eq!(running(&device), before);
    }
}

/// C2, C7: the commit of an edit session moves its NETCONF session, lock and all, to the confirmed commit.
#[tokio::test]
async fn an_edit_session_hands_its_session_over() {
    for door in DOORS {
        let (gateway, device, edits) = pair(Profile::Junos, None).await;
        let opened = gateway.open(door, "mx1", json!({})).await.unwrap();
        let session = id(&opened);
        gateway
            .edit(door, "mx1", &session, edits[0].clone())
            .await
            .unwrap();
        let body = json!({"confirm_timeout_seconds": 120});
        let done = gateway.act(door, "mx1", &session, "commit", body).await.unwrap();
        assert_eq!(
            (&done["state"], &done["reason"]),
            (&json!("closed"), &json!("confirmed_commit")),
            "{done}"
        );
        assert_eq!(done["commit"]["state"], "pending_confirm");
        let commit = &done["commit"]["confirmed_commit"];
        assert_eq!(
            (&commit["state"], &commit["session_id"]),
            (&json!("pending"), &opened["session_id"])
        );
        assert!(device.device().lock_holder(Store::Candidate).is_some());
        let confirmed = gateway
            .order(door, &id(commit), "confirm", Value::Null)
            .await
            .unwrap();
        assert_eq!(confirmed["state"], "confirmed");
        eventually("the lock is free", async || {
            device.device().lock_holder(Store::Candidate).is_none()
        })
        .await;
        change_ends_as(
            &gateway,
            door,
            done["commit"]["id"].as_str().unwrap(),
            "confirmed",
            "applied",
        )
        .await;
    }
}

/// Row 24, D1, C5: the next start takes up what is pending, and it is confirmed from there.
#[tokio::test]
async fn a_restart_takes_up_what_is_pending() {
    for door in DOORS {
        for profile in [Profile::Junos, Profile::Rfc] {
            let directory = tempfile::tempdir().unwrap();
            let database = format!("sqlite://{}", directory.path().join("ncgate.db").display());
            let clock = clock();
            let (device, edits) = device(profile, clock.clone(), None).await;
            let gateway = TestGateway::at(clock.clone(), |settings| {
                settings.database = Some(database.clone())
            })
            .await;
            gateway.add("mx1", &device, json!({})).await;
            let commit = start(&gateway, door, &edits).await;
            gateway.stop().await;
            let gateway = TestGateway::at(clock, |settings| settings.database = Some(database)).await;
            commit_ends_as(&gateway, door, &id(&commit), "pending").await;
            let refusal = gateway
                .change(door, "mx1", json!({"edits": edits}))
                .await
                .unwrap_err();
            assert_eq!(refusal.code, "confirmed-commit-pending");
            let confirmed = gateway
                .order(door, &id(&commit), "confirm", Value::Null)
                .await
                .unwrap();
            assert_eq!(confirmed["state"], "confirmed");
            pass(Duration::from_secs(300)).await;
            assert!(running(&device).contains("contact east"));
            gateway.stop().await;
        }
    }
}

/// C5: a device that has not undone it in time is asked seldom, as some undo nothing while they are asked.
#[tokio::test]
async fn an_overdue_commit_is_looked_at_seldom() {
    for door in DOORS {
        let (gateway, device, edits) = pair(Profile::Junos, None).await;
        let commit = start(&gateway, door, &edits).await;
        device.device().reboot();
        let looks = || sent(&device, "get-commit-information").len();
        let before = looks();
        pass(Duration::from_secs(121)).await;
        commit_ends_as(&gateway, door, &id(&commit), "unknown").await;
        eventually("a first look", async || looks() > before).await;
        for _ in 0..30 {
            pass(Duration::from_secs(1)).await;
            gateway.confirmed_commit(door, &id(&commit)).await.unwrap();
        }
        let asked = looks() - before;
        assert!((2..=5).contains(&asked), "{asked} times in 30 s");
    }
}

/// C2, C7: a server that refuses every lock while a confirmed commit is pending, to whom has the token too, is confirmed
/// without one.
#[tokio::test]
async fn a_token_confirms_without_a_lock() {
    for door in DOORS {
        let (gateway, device, edits) = pair(Profile::Rfc, None).await;
        let commit = start(&gateway, door, &edits).await;
        start_is_known(&gateway, &device).await;
        device.drop_connections();
        let refusal = DeviceError {
            tag: Some(("protocol", "in-use")),
            app_tag: Some("outstanding-confirmed-commit"),
            ..DeviceError::new("not while a confirmed commit is pending")
        };
        let refuses = Rule::on("lock", Fault::Errors(vec![refusal]));
        device.faults().add(refuses);
        eventually("the loss is noticed", async || {
            let seen = gateway.confirmed_commit(door, &id(&commit)).await.unwrap();
            seen["session_id"].is_null() && seen["state"] == "pending"
        })
        .await;
        let confirmed = gateway
            .order(door, &id(&commit), "confirm", Value::Null)
            .await
            .unwrap();
        assert_eq!(confirmed["state"], "confirmed", "{confirmed}");
        pass(Duration::from_secs(300)).await;
        assert!(running(&device).contains("contact east"));
    }
}

/// S29, D1: the session that it depends on ends with the gateway, which says so before it is gone.
#[tokio::test]
async fn an_end_of_the_gateway_rolls_back() {
    for door in DOORS {
        let directory = tempfile::tempdir().unwrap();
        let database = format!("sqlite://{}", directory.path().join("ncgate.db").display());
        let clock = clock();
        let (device, edits) = device(Profile::Rfc10, clock.clone(), None).await;
        let before = running(&device);
        let gateway = TestGateway::at(clock.clone(), |settings| {
            settings.database = Some(database.clone())
        })
        .await;
        gateway.add("mx1", &device, json!({})).await;
        let commit = start(&gateway, door, &edits).await;
        gateway.stop().await;
        assert_eq!(running(&device), before);
        // Nobody is left to ask, so what the next start tells was found out before.
        drop(device);
        let gateway = TestGateway::at(clock, |settings| settings.database = Some(database)).await;
        let ended = gateway.confirmed_commit(door, &id(&commit)).await.unwrap();
        assert_eq!(
            (&ended["state"], &ended["reason"]),
            (&json!("rolled_back"), &json!("session_lost")),
            "{ended}"
        );
        gateway.stop().await;
    }
}

/// Row 21, S29: a reboot that loses the timer leaves the commit active, which is told as kept, and not early.
#[tokio::test]
async fn a_lost_timer_is_told_as_kept() {
    for door in DOORS {
        let (gateway, device, edits) = pair(Profile::Junos, None).await;
        let commit = start(&gateway, door, &edits).await;
        device.device().reboot();
        pass(Duration::from_secs(130)).await;
        commit_ends_as(&gateway, door, &id(&commit), "unknown").await;
        pass(Duration::from_secs(160)).await;
        let still = gateway.confirmed_commit(door, &id(&commit)).await.unwrap();
        assert_eq!(still["state"], "unknown", "a rollback may take long: {still}");
        pass(Duration::from_secs(60)).await;
        commit_ends_as(&gateway, door, &id(&commit), "kept").await;
        assert!(running(&device).contains("contact east"));
    }
}

/// C5: a confirm whose reply was lost is never told as pending; on a device that says what waits it is found out.
#[tokio::test]
async fn a_lost_reply_of_a_confirm() {
    for (profile, fault, state) in [
        (Profile::Junos, Fault::DropBeforeReply, "confirmed"),
        (Profile::Junos, Fault::DropBeforeOperation, "pending"),
        (Profile::Rfc, Fault::DropBeforeReply, "unknown"),
    ] {
        let (gateway, device, edits) = pair(profile, None).await;
        let commit = start(&gateway, Door::Rest, &edits).await;
        let operation = if profile == Profile::Junos {
            "commit-configuration"
        } else {
            "commit"
        };
        device.faults().add(Rule::on(operation, fault).once());
        let refusal = gateway
            .order(Door::Rest, &id(&commit), "confirm", Value::Null)
            .await
            .unwrap_err();
        assert_eq!(refusal.outcome, "unknown", "{refusal:?}");
        commit_ends_as(&gateway, Door::Rest, &id(&commit), state).await;
        pass(Duration::from_secs(10)).await;
        let still = gateway.confirmed_commit(Door::Rest, &id(&commit)).await.unwrap();
        assert_eq!(still["state"], state, "{still}");
    }
}

/// C4, C5: an extension that may not have arrived moves no deadline: the device is looked at when the earlier one is up.
#[tokio::test]
async fn a_lost_extension_moves_nothing() {
    for profile in [Profile::Junos, Profile::Rfc] {
        let (gateway, device, edits) = pair(profile, None).await;
        let before = running(&device);
        let commit = start(&gateway, Door::Rest, &edits).await;
        let operation = if profile == Profile::Junos {
            "commit-configuration"
        } else {
            "commit"
        };
        device
            .faults()
            .add(Rule::on(operation, Fault::DropBeforeOperation).once());
        let more = json!({"confirm_timeout_seconds": 3600});
        let refusal = gateway
            .order(Door::Rest, &id(&commit), "extend", more)
            .await
            .unwrap_err();
        assert_eq!(refusal.outcome, "unknown", "{refusal:?}");
        let still = commit_ends_as(&gateway, Door::Rest, &id(&commit), "pending").await;
        assert_eq!(still["timeout_seconds"], 120, "{still}");
        pass(Duration::from_secs(122)).await;
        let ended = commit_ends_as(&gateway, Door::Rest, &id(&commit), "rolled_back").await;
        assert_eq!(ended["reason"], "timeout");
        assert_eq!(running(&device), before);
    }
}

/// E6, E4: a commit for later whose reply was lost is found where the device keeps it, and is not told as not applied.
#[tokio::test]
async fn a_lost_reply_of_a_scheduled_commit() {
    for door in DOORS {
        let (gateway, _device, edits) = pair(Profile::Junos, Some(Fault::DropBeforeReply)).await;
        let body = json!({"edits": edits, "commit": {"at": "23:15"}});
        let refusal = gateway.change(door, "mx1", body).await.unwrap_err();
        assert_eq!(refusal.outcome, "unknown", "{refusal:?}");
        let id = refusal.change_id.unwrap();
        let change = change_ends_as(&gateway, door, &id, "scheduled", "not_applied").await;
        assert_eq!(change["scheduled"]["at"], "23:15", "{change}");
        let cancelled = gateway.cancel_change(door, "mx1", &id).await.unwrap();
        assert_eq!(cancelled["state"], "cancelled");
    }
}

/// C5: a confirm that the device refused is not taken for an unanswered one by the next start.
#[tokio::test]
async fn a_refused_confirm_leaves_it_pending() {
    let directory = tempfile::tempdir().unwrap();
    let database = format!("sqlite://{}", directory.path().join("ncgate.db").display());
    let clock = clock();
    let (device, edits) = device(Profile::Rfc, clock.clone(), None).await;
    let gateway = TestGateway::at(clock.clone(), |settings| {
        settings.database = Some(database.clone());
    })
    .await;
    gateway.add("mx1", &device, json!({})).await;
    let commit = start(&gateway, Door::Rest, &edits).await;
    let refusal = Fault::Errors(vec![ncgate::emulator::DeviceError::new("no room")]);
    device.faults().add(Rule::on("commit", refusal).once());
    let refused = gateway
        .order(Door::Rest, &id(&commit), "confirm", Value::Null)
        .await;
    assert_eq!(refused.unwrap_err().outcome, "not_applied");
    gateway.stop().await;
    let gateway = TestGateway::at(clock, |settings| settings.database = Some(database)).await;
    commit_ends_as(&gateway, Door::Rest, &id(&commit), "pending").await;
    let confirmed = gateway
        .order(Door::Rest, &id(&commit), "confirm", Value::Null)
        .await
        .unwrap();
    assert_eq!(confirmed["state"], "confirmed");
    gateway.stop().await;
}

/// E2: a history that the user may not see is done without; one that could not be read just now keeps everything out, for
/// a confirmed commit of somebody else may stand in it.
#[tokio::test]
async fn a_history_that_fails_is_not_one_that_is_hidden() {
    for (tag, state) in [
        (None, "failed"),
        (Some(("protocol", "access-denied")), "committed"),
    ] {
        let (gateway, device, edits) = pair(Profile::Junos, None).await;
        let refusal = DeviceError {
            tag,
            ..DeviceError::new("management daemon is busy")
        };
        let refuses = Rule::on("get-commit-information", Fault::Errors(vec![refusal]));
        device.faults().add(refuses);
        let answer = gateway.change(Door::Rest, "mx1", json!({"edits": edits})).await;
        match answer {
            Ok(change) => {
                assert_eq!(change["state"], state, "{change}");
                let words = change["warnings"][0]["error_message"].as_str().unwrap();
                assert!(words.contains("does not show its commits"), "{change}");
            }
            Err(refusal) => {
                assert_eq!(("failed", refusal.outcome.as_str()), (state, "not_applied"));
                assert_eq!(commits(&device), 0);
                assert!(device.device().lock_holder(Store::Candidate).is_none());
            }
        }
    }
}
