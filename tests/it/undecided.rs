//! What is told of a confirmed commit while nobody knows whether it still waits: never `pending` unless it is (S29, C2,
//! C5), and what can be done about it meanwhile.

use std::path::Path;
use std::time::Duration;

use ncgate::clock::Clock;
use ncgate::emulator::{DeviceError, Fault, Gate, Profile, Rule, RunningEmulator, Until};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::support::commits::{commit_ends_as, id, pair, quirky, running, start, start_is_known, to_contact};
use crate::support::confirmed::{clock, pass, time_passes_until, while_time_passes};
use crate::support::database::{freeze, open, thaw};
use crate::support::doors::{DOORS, Door};
use crate::support::proxy::{Network, Proxy};
use crate::support::{TestGateway, answer, eventually, junos, listen, sent};

/// A gateway that knows a device as `mx1` through a network that can be cut; its time is the runtime's.
async fn far_away(profile: Profile) -> (TestGateway, RunningEmulator, Proxy) {
    let clock = clock();
    let gateway = TestGateway::at(clock.clone(), |_| {}).await;
    let device = listen(junos().profile(profile).clock(clock)).await;
    let proxy = Proxy::before(device.addr()).await;
    gateway.add("mx1", &device, json!({"port": proxy.port()})).await;
    (gateway, device, proxy)
}

async fn on(file: &Path, clock: &Clock) -> TestGateway {
    let url = format!("sqlite://{}", file.display());
    TestGateway::at(clock.clone(), |settings| settings.database = Some(url)).await
}

/// What the list of confirmed commits in this state holds, and what the change says.
async fn told(gateway: &TestGateway, door: Door, commit: &Value, state: &str) -> (usize, Value) {
    let listed = gateway.list_confirmed_commits(door, "mx1", state).await.unwrap();
    let change = commit["change_id"].as_str().unwrap();
    let change = gateway.get_change(door, "mx1", change).await.unwrap();
    (listed.as_array().unwrap().len(), change["state"].clone())
}

/// Row 21, C2: the session that it depends on is gone, and the device cannot be asked: nobody knows, and nobody says that
/// it waits.
#[tokio::test]
async fn a_lost_session_is_not_pending_while_nobody_can_look() {
    for door in DOORS {
        let (gateway, device, proxy) = far_away(Profile::Rfc10).await;
        let before = running(&device);
        let commit = start(&gateway, door, &to_contact(Profile::Rfc10, "east")).await;
        start_is_known(&gateway, &device).await;
        proxy.set(Network::ResetsNew);
        device.drop_connections();
        commit_ends_as(&gateway, door, &id(&commit), "unknown").await;
        assert_eq!(
            told(&gateway, door, &commit, "unknown").await,
            (1, json!("unknown"))
        );
        assert_eq!(told(&gateway, door, &commit, "pending").await.0, 0);
        let next = json!({"edits": to_contact(Profile::Rfc10, "west")});
        let refusal = gateway.change(door, "mx1", next).await.unwrap_err();
        assert_eq!(refusal.verdict(), ("confirmed-commit-pending", "not_sent"));
        proxy.set(Network::Up);
        // The device answers in real time, which must not be outrun; what fails then is tried again.
        let mut looks = 0;
        let over =
            async || gateway.confirmed_commit(door, &id(&commit)).await.unwrap()["state"] == "rolled_back";
        while looks < 10 && !over().await {
            pass(Duration::from_secs(16)).await;
            tokio::time::sleep(Duration::from_millis(300)).await;
            looks += 1;
        }
        let ended = commit_ends_as(&gateway, door, &id(&commit), "rolled_back").await;
        assert_eq!(ended["reason"], "session_lost", "{ended}");
        assert_eq!(running(&device), before);
    }
}

/// C5, D1: after a start nothing is pending before the device was asked, whoever looks, and in every list; with a token
/// that is in time it can be confirmed as soon as the device can be reached.
#[tokio::test]
async fn after_a_start_it_is_unknown_until_it_is_seen() {
    let (directory, clock) = (tempfile::tempdir().unwrap(), clock());
    let file = directory.path().join("ncgate.db");
    let gateway = on(&file, &clock).await;
    let device = listen(junos().profile(Profile::Rfc).clock(clock.clone())).await;
    let proxy = Proxy::before(device.addr()).await;
    gateway.add("mx1", &device, json!({"port": proxy.port()})).await;
    let commit = start(&gateway, Door::Rest, &to_contact(Profile::Rfc, "east")).await;
    gateway.stop().await;
    proxy.set(Network::ResetsNew);

    let gateway = on(&file, &clock).await;
    for door in DOORS {
        let seen = gateway.confirmed_commit(door, &id(&commit)).await.unwrap();
        assert_eq!(seen["state"], "unknown", "{seen}");
        assert_eq!(
            told(&gateway, door, &commit, "unknown").await,
            (1, json!("unknown"))
        );
        assert_eq!(told(&gateway, door, &commit, "pending").await.0, 0);
    }
    // Without its device nobody could find out.
    let removed = gateway.request(Method::DELETE, "/v1/devices/mx1");
    let (status, problem) = answer(removed).await;
    assert_eq!(
        (status, &problem["code"]),
        (StatusCode::CONFLICT, &json!("confirmed-commit-pending"))
    );
    proxy.set(Network::Up);
    // What was begun before fails, and is not sent.
    let mut confirmed = Value::Null;
    eventually("it is confirmed", async || {
        let order = gateway
            .order(Door::Rest, &id(&commit), "confirm", Value::Null)
            .await;
        order.is_ok_and(|done| {
            confirmed = done;
            true
        })
    })
    .await;
    assert_eq!(confirmed["state"], "confirmed", "{confirmed}");
    let (_, change) = told(&gateway, Door::Grpc, &commit, "pending").await;
    assert_eq!(change, "confirmed");
}

/// C5: the device's time counts from its commit, also where its ok was never stored and the gateway was down meanwhile.
#[tokio::test]
async fn the_time_of_what_was_not_stored_is_the_devices() {
    for profile in [Profile::Junos, Profile::Rfc] {
        let (directory, clock) = (tempfile::tempdir().unwrap(), clock());
        let file = directory.path().join("ncgate.db");
        let gateway = on(&file, &clock).await;
        let device = listen(junos().profile(profile).clock(clock.clone())).await;
        gateway.add("mx1", &device, json!({})).await;
        let before = running(&device);
        let (operation, checks) = match profile {
            Profile::Junos => ("commit-configuration", 1),
            _ => ("commit", 0),
        };
        let gate = Gate::new();
        let held = Rule::on(operation, Fault::HoldReply(gate.clone()));
        device.faults().add(held.after(checks).once());
        let mut database = open(&file).await;
        let body = json!({
            "edits": to_contact(profile, "east"),
            "commit": {"confirm_timeout_seconds": 120},
        });
        let changing = gateway.change(Door::Rest, "mx1", body);
        let freezing = async {
            gate.reached().await;
            freeze(&mut database, "confirmed_commits").await;
            gate.open();
        };
        let (change, ()) = tokio::join!(changing, freezing);
        let commit = change.unwrap()["confirmed_commit"].clone();
        gateway.stop().await;
        thaw(&mut database, "confirmed_commits").await;
        pass(Duration::from_secs(60)).await;

        let gateway = on(&file, &clock).await;
        eventually("it is found", async || {
            let found = gateway.confirmed_commit(Door::Rest, &id(&commit)).await;
            found.is_ok_and(|found| found["state"] == "pending")
        })
        .await;
        let found = gateway.confirmed_commit(Door::Rest, &id(&commit)).await.unwrap();
        assert_eq!(found["deadline_earliest"], commit["deadline_earliest"], "{found}");
        assert_ne!(running(&device), before);
        pass(Duration::from_secs(61)).await;
        let ended = commit_ends_as(&gateway, Door::Rest, &id(&commit), "rolled_back").await;
        assert_eq!(ended["reason"], "timeout", "{ended}");
        assert_eq!(running(&device), before);
    }
}

/// C2, E4, Q7: the reply to what has to be confirmed comes too late for the caller, and long after any other session would have
/// been given up. The session that the commit depends on lives on, and it can be confirmed.
#[tokio::test]
async fn a_late_reply_costs_no_session() {
    let (gateway, device, edits) = quirky(Profile::Rfc10, &[]).await;
    let gate = Gate::new();
    device
        .faults()
        .add(Rule::on("commit", Fault::HoldReply(gate.clone())).once());
    let body = json!({"edits": edits, "commit": {"confirm_timeout_seconds": 3600}});
    let changing = gateway.change(Door::Rest, "mx1", body);
    let late = async {
        gate.reached().await;
        pass(Duration::from_secs(301)).await;
    };
    let (refusal, ()) = tokio::join!(changing, late);
    let refusal = refusal.unwrap_err();
    assert_eq!(refusal.outcome, "unknown", "{refusal:?}");
    let change = refusal.change_id.unwrap();
    // It is looked at while the device owes the reply: in that session nothing is asked before.
    eventually("it is seen", async || {
        let change = gateway.get_change(Door::Rest, "mx1", &change).await;
        change.is_ok_and(|change| change["state"] == "pending_confirm")
    })
    .await;
    let change = gateway.get_change(Door::Rest, "mx1", &change).await.unwrap();
    let commit = change["confirmed_commit_id"].as_str().unwrap();
    pass(Duration::from_secs(600)).await;
    // Behind that reply nothing is sent.
    for (door, order, body) in [
        (Door::Rest, "confirm", Value::Null),
        (Door::Grpc, "extend", json!({"confirm_timeout_seconds": 7200})),
    ] {
        let commits = sent(&device, "commit").len();
        let ordering = gateway.order(door, commit, order, body);
        let refusal = while_time_passes(Duration::from_millis(200), ordering)
            .await
            .unwrap_err();
        assert_eq!(refusal.verdict(), ("invalid-state", "not_sent"), "{refusal:?}");
        assert_eq!(refusal.reason.as_deref(), Some("reply_overdue"), "{refusal:?}");
        assert_eq!(sent(&device, "commit").len(), commits, "{order}");
    }
    gate.open();
    let confirmed = gateway
        .order(Door::Rest, commit, "confirm", Value::Null)
        .await
        .unwrap();
    assert_eq!(confirmed["state"], "confirmed", "{confirmed}");
    assert!(running(&device).contains("contact east"));
}

/// C2, E4: nor does a late reply to an extension.
#[tokio::test]
async fn a_late_extension_costs_no_session() {
    let (gateway, device, edits) = quirky(Profile::Rfc10, &[]).await;
    let body = json!({"edits": edits, "commit": {"confirm_timeout_seconds": 3600}});
    let change = gateway.change(Door::Rest, "mx1", body).await.unwrap();
    let commit = id(&change["confirmed_commit"]);
    let gate = Gate::new();
    device
        .faults()
        .add(Rule::on("commit", Fault::HoldReply(gate.clone())).once());
    let extending = gateway.order(
        Door::Rest,
        &commit,
        "extend",
        json!({"confirm_timeout_seconds": 7200}),
    );
    let late = async {
        gate.reached().await;
        pass(Duration::from_secs(301)).await;
    };
    let (refusal, ()) = tokio::join!(extending, late);
    assert_eq!(refusal.unwrap_err().outcome, "unknown");
    pass(Duration::from_secs(600)).await;
    gate.open();
    commit_ends_as(&gateway, Door::Rest, &commit, "pending").await;
    let confirmed = gateway
        .order(Door::Rest, &commit, "confirm", Value::Null)
        .await
        .unwrap();
    assert_eq!(confirmed["state"], "confirmed", "{confirmed}");
}

/// E2: a server without a history says itself that somebody else's confirmed commit is pending.
#[tokio::test]
async fn others_commits_have_the_same_code_on_every_device() {
    for door in DOORS {
        let (gateway, device, edits) = pair(Profile::Rfc, None).await;
        let bob = device.console("bob");
        bob.edit("set system host-name bobs").unwrap();
        bob.commit_confirmed(5, None).unwrap();
        let refusal = gateway
            .change(door, "mx1", json!({"edits": edits}))
            .await
            .unwrap_err();
        assert_eq!(
            refusal.verdict(),
            ("confirmed-commit-pending", "not_applied"),
            "{refusal:?}"
        );
    }
}

/// C4, H7: a second order, which the device refuses because it has carried out the first, does not make that first one
/// forgotten: nobody is told that it was not sent, nor that the commit waits, nor that nobody confirmed it.
#[tokio::test]
async fn a_second_order_leaves_the_first_on_record() {
    for door in DOORS {
        let (gateway, device, edits) = pair(Profile::Rfc, None).await;
        let commit = id(&start(&gateway, door, &edits).await);
        device
            .faults()
            .add(Rule::on("commit", Fault::DropBeforeReply).once());
        let lost = gateway
            .order(door, &commit, "confirm", Value::Null)
            .await
            .unwrap_err();
        assert_eq!(lost.outcome, "unknown", "{lost:?}");
        let operations = gateway.newest_operations(Door::Rest, 10).await;
        let first = operations
            .iter()
            .find(|operation| operation["kind"] == "confirm_confirmed_commit");
        let first = id(first.unwrap());
        let refused = gateway
            .order(door, &commit, "confirm", Value::Null)
            .await
            .unwrap_err();
        assert_eq!(refused.outcome, "not_applied", "{refused:?}");
        let is_unknown = async || {
            let state = commit_ends_as(&gateway, door, &commit, "unknown").await;
            let operation = gateway.operation(door, &first, 0).await;
            assert_eq!(operation["state"], "unknown", "{state}: {operation}");
        };
        is_unknown().await;
        for _ in 0..4 {
            pass(Duration::from_secs(120)).await;
            is_unknown().await;
        }
        assert!(running(&device).contains("contact east"));
    }
}

/// C6, C7: what a cancel put into the candidate of a Junos device goes again when the device refuses to commit it.
#[tokio::test]
async fn a_refused_cancel_leaves_nothing_in_the_candidate() {
    for door in DOORS {
        let (gateway, device, edits) = pair(Profile::Junos, None).await;
        let commit = id(&start(&gateway, door, &edits).await);
        let busy = DeviceError::new("commit script failure");
        device
            .faults()
            .add(Rule::on("commit-configuration", Fault::Errors(vec![busy])).once());
        let refused = gateway
            .order(door, &commit, "cancel", Value::Null)
            .await
            .unwrap_err();
        assert_eq!(refused.outcome, "not_applied", "{refused:?}");
        let confirmed = gateway
            .order(door, &commit, "confirm", Value::Null)
            .await
            .unwrap();
        assert_eq!(confirmed["state"], "confirmed", "{confirmed}");
        assert!(running(&device).contains("contact east"));
        assert!(!device.device().is_rollback_pending());
    }
}

/// A gateway with a device that is at work on a commit for ten seconds at most, and a confirmed commit that waits for long.
async fn to_be_extended(profile: Profile, door: Door) -> (TestGateway, RunningEmulator, Value) {
    let clock = clock();
    let gateway = TestGateway::at(clock.clone(), |_| {}).await;
    let device = listen(junos().profile(profile).clock(clock)).await;
    let timeouts = json!({"timeouts": {"rpc_seconds": 600, "commit_seconds": 10}});
    gateway.add("mx1", &device, timeouts).await;
    let edits = to_contact(profile, "east");
    let body = json!({"edits": edits, "commit": {"confirm_timeout_seconds": 1200}});
    let change = gateway.change(door, "mx1", body).await.unwrap();
    if profile == Profile::Rfc {
        start_is_known(&gateway, &device).await;
    }
    (gateway, device, change["confirmed_commit"].clone())
}

/// Orders an extension by one minute, and the device does this to it.
async fn shortened(
    gateway: &TestGateway,
    device: &RunningEmulator,
    door: Door,
    profile: Profile,
    commit: &str,
    fault: Fault,
) -> String {
    let operation = match profile {
        Profile::Junos => "commit-configuration",
        _ => "commit",
    };
    device.faults().add(Rule::on(operation, fault).once());
    let body = json!({"confirm_timeout_seconds": 60});
    let refusal = gateway.order(door, commit, "extend", body).await.unwrap_err();
    assert_eq!(refusal.outcome, "unknown", "{refusal:?}");
    let newest = gateway.newest_operations(door, 100).await;
    let extension = newest.iter().find(|one| one["kind"] == "extend_confirmed_commit");
    id(extension.unwrap_or_else(|| panic!("no extension: {newest:?}")))
}

async fn is_over(gateway: &TestGateway, door: Door, operation: &str) -> Value {
    let mut told = Value::Null;
    eventually("the operation is over", async || {
        told = gateway.operation(door, operation, 0).await;
        told["done"] == true
    })
    .await;
    told
}

fn seconds(time: &Value) -> i64 {
    let time = time.as_str().expect("a time");
    OffsetDateTime::parse(time, &Rfc3339)
        .expect("RFC 3339")
        .unix_timestamp()
}

/// C4, C5, S29: a new deadline that is sooner than the one before, and no reply to it: it counts from then on that the device
/// may have taken it, and when it has, that is seen.
#[tokio::test]
async fn an_extension_without_a_reply_may_have_shortened_its_time() {
    for door in DOORS {
        for profile in [Profile::Junos, Profile::Rfc] {
            let (gateway, device, commit) = to_be_extended(profile, door).await;
            let id = id(&commit);
            let extension = shortened(&gateway, &device, door, profile, &id, Fault::DropBeforeReply).await;
            let told = commit_ends_as(&gateway, door, &id, "pending").await;
            let sooner = seconds(&commit["deadline_earliest"]) - seconds(&told["deadline_earliest"]);
            assert!((1130..=1141).contains(&sooner), "{told}");
            // Nothing tells on a server without a history of commits whether it was taken.
            let later = seconds(&told["deadline"]) - seconds(&told["deadline_earliest"]);
            match profile {
                Profile::Junos => assert!(later <= 2, "{told}"),
                _ => assert!(later >= 1130, "{told}"),
            }
            pass(Duration::from_secs(40)).await;
            commit_ends_as(&gateway, door, &id, "pending").await;
            pass(Duration::from_secs(21)).await;
            let mut passed = 0;
            while gateway.confirmed_commit(door, &id).await.unwrap()["state"] != "rolled_back" {
                let told = gateway.confirmed_commit(door, &id).await.unwrap();
                assert_ne!(told["state"], "pending", "{profile:?}: {told}");
                assert!(passed < 60, "{profile:?}: {told}");
                passed += 2;
                pass(Duration::from_secs(2)).await;
            }
            let ended = gateway.confirmed_commit(door, &id).await.unwrap();
            assert_eq!(ended["reason"], "timeout", "{ended}");
            assert!(!running(&device).contains("contact east"));
            let told = is_over(&gateway, door, &extension).await;
            let expected = match profile {
                Profile::Junos => ("succeeded", "applied"),
                _ => ("unknown", "unknown"),
            };
            assert_eq!(
                (&told["state"], &told["outcome"]),
                (&json!(expected.0), &json!(expected.1)),
                "{told}"
            );
            gateway.stop().await;
        }
    }
}

/// C4, C5: the same, and the device never came to it: a history of commits says so; without one it is not told as pending
/// while it may be over, can be confirmed by its token all the same, and is pending again once it would have been undone.
#[tokio::test]
async fn an_extension_that_never_came_shortens_nothing() {
    for door in DOORS {
        for profile in [Profile::Junos, Profile::Rfc] {
            let (gateway, device, commit) = to_be_extended(profile, door).await;
            let id = id(&commit);
            let extension =
                shortened(&gateway, &device, door, profile, &id, Fault::DropBeforeOperation).await;
            commit_ends_as(&gateway, door, &id, "pending").await;
            pass(Duration::from_secs(61)).await;
            if profile == Profile::Rfc {
                let told = commit_ends_as(&gateway, door, &id, "unknown").await;
                let seen = told["seen"].as_str().unwrap_or_default();
                assert!(seen.contains("may have shortened its time"), "{told}");
                let held = gateway.change(door, "mx1", json!({"edits": to_contact(profile, "west")}));
                assert_eq!(
                    held.await.unwrap_err().verdict(),
                    ("confirmed-commit-pending", "not_sent")
                );
            }
            time_passes_until(Duration::from_secs(2), "it is pending", async || {
                let told = gateway.confirmed_commit(door, &id).await.unwrap();
                told["state"] == "pending" && told["deadline_earliest"] == commit["deadline_earliest"]
            })
            .await;
            let told = is_over(&gateway, door, &extension).await;
            let expected = match profile {
                Profile::Junos => ("failed", "not_applied"),
                _ => ("unknown", "unknown"),
            };
            assert_eq!(
                (&told["state"], &told["outcome"]),
                (&json!(expected.0), &json!(expected.1)),
                "{told}"
            );
            let confirmed = gateway.order(door, &id, "confirm", Value::Null).await.unwrap();
            assert_eq!(confirmed["state"], "confirmed", "{confirmed}");
            assert!(running(&device).contains("contact east"));
            gateway.stop().await;
        }
    }
}

/// C4: with its token it can be confirmed while it may be over: the device itself knows.
#[tokio::test]
async fn what_may_be_over_is_confirmed_by_its_token() {
    for door in DOORS {
        let (gateway, device, commit) = to_be_extended(Profile::Rfc, door).await;
        let id = id(&commit);
        shortened(
            &gateway,
            &device,
            door,
            Profile::Rfc,
            &id,
            Fault::DropBeforeOperation,
        )
        .await;
        pass(Duration::from_secs(61)).await;
        commit_ends_as(&gateway, door, &id, "unknown").await;
        let confirmed = gateway.order(door, &id, "confirm", Value::Null).await.unwrap();
        assert_eq!(confirmed["state"], "confirmed", "{confirmed}");
        assert!(running(&device).contains("contact east"));
        gateway.stop().await;
    }
}

/// E4, H7: the device comes to an extension after it was looked at, and cannot be reached then: that is no sign that it never
/// came.
#[tokio::test]
async fn a_look_that_fails_tells_nothing_of_an_extension() {
    for door in DOORS {
        let clock = clock();
        let gateway = TestGateway::at(clock.clone(), |_| {}).await;
        let device = listen(junos().clock(clock)).await;
        let proxy = Proxy::before(device.addr()).await;
        let reached = json!({"port": proxy.port(), "timeouts": {"rpc_seconds": 600, "commit_seconds": 10}});
        gateway.add("mx1", &device, reached).await;
        let edits = to_contact(Profile::Junos, "east");
        let body = json!({"edits": edits, "commit": {"confirm_timeout_seconds": 1200}});
        let change = gateway.change(door, "mx1", body).await.unwrap();
        let commit = id(&change["confirmed_commit"]);
        let late = Fault::DropThenOperation(Until::Passed(Duration::from_secs(1)));
        let extension = shortened(&gateway, &device, door, Profile::Junos, &commit, late).await;
        commit_ends_as(&gateway, door, &commit, "pending").await;
        proxy.set(Network::ResetsNew);
        device.drop_connections();
        time_passes_until(Duration::from_secs(1), "the device has come to it", async || {
            device.device().commits_with("[ncgate ").len() == 2
        })
        .await;
        for _ in 0..10 {
            pass(Duration::from_secs(4)).await;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let told = gateway.operation(door, &extension, 0).await;
        assert_eq!(
            (&told["state"], &told["done"]),
            (&json!("unknown"), &json!(false)),
            "{told}"
        );
        proxy.set(Network::Up);
        let mut told = Value::Null;
        time_passes_until(Duration::from_secs(2), "it is found", async || {
            told = gateway.operation(door, &extension, 0).await;
            told["done"] == true
        })
        .await;
        assert_eq!(
            (&told["state"], &told["outcome"]),
            (&json!("succeeded"), &json!("applied")),
            "{told}"
        );
        gateway.stop().await;
    }
}
