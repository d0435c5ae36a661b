//! Confirmed commits from their start to each of their ends, through both doors (S28, S29).

use std::time::Duration;

use ncgate::emulator::config::Store;
use ncgate::emulator::config::set;
use ncgate::emulator::{DeviceError, Fault, Profile, Rule, RunningEmulator};
use ncgate::service::call::{CallContext, Principal, Role};
use ncgate::service::edit::request::ValidateRequest;
use serde_json::{Value, json};

use crate::support::commits::start_is_known;
use crate::support::confirmed::{clock, pass};
use crate::support::doors::{DOORS, Door, Refusal};
use crate::support::{TestGateway, assert_sent, eventually, junos, listen, sent};

fn contact(name: &str) -> Value {
    json!([{"config": {"snmp": {"contact": name}}}])
}

/// The same for a server that knows nothing of Junos.
fn qualified(name: &str) -> Value {
    json!([{"config": {"example-router:configuration": {"snmp": {"contact": name}}}}])
}

fn running(device: &RunningEmulator) -> String {
    set::render(&device.device().running().tree)
}

/// A gateway and a Junos device whose time is the runtime's.
async fn junos_pair() -> (TestGateway, RunningEmulator) {
    let clock = clock();
    let gateway = TestGateway::at(clock.clone(), |_| {}).await;
    let device = listen(junos().clock(clock)).await;
    gateway.add("mx1", &device, json!({})).await;
    (gateway, device)
}

/// The same with a server of RFC 6241 alone.
async fn rfc_pair() -> (TestGateway, RunningEmulator) {
    let clock = clock();
    let gateway = TestGateway::at(clock.clone(), |_| {}).await;
    let device = listen(junos().profile(Profile::Rfc).clock(clock)).await;
    gateway.add("mx1", &device, json!({})).await;
    (gateway, device)
}

/// A change that has to be confirmed, and its confirmed commit.
async fn start(gateway: &TestGateway, door: Door, edits: Value, seconds: u64) -> (Value, Value) {
    let body = json!({"edits": edits, "commit": {"confirm_timeout_seconds": seconds}});
    let change = gateway.change(door, "mx1", body).await.unwrap();
    assert_eq!(change["state"], "pending_confirm", "{change}");
    assert_eq!(change["outcome"], "applied");
    let commit = change["confirmed_commit"].clone();
    assert_eq!(commit["state"], "pending", "{commit}");
    (change, commit)
}

fn id(thing: &Value) -> &str {
    thing["id"].as_str().unwrap_or_else(|| panic!("no id: {thing}"))
}

async fn ends_as(gateway: &TestGateway, door: Door, commit: &Value, state: &str) -> Value {
    eventually(state, async || {
        let commit = gateway.confirmed_commit(door, id(commit)).await.unwrap();
        commit["state"] == state
    })
    .await;
    let ended = gateway.confirmed_commit(door, id(commit)).await.unwrap();
    let change = gateway
        .get_change(door, "mx1", ended["change_id"].as_str().unwrap())
        .await
        .unwrap();
    assert_eq!(change["state"], state, "{change}");
    ended
}

fn refused_as_pending(refusal: &Refusal) {
    assert_eq!(
        refusal.verdict(),
        ("confirmed-commit-pending", "not_sent"),
        "{refusal:?}"
    );
}

/// S28, C1, C3, C7: seconds become minutes, rounded up; the candidate stays locked; nothing else gets through; the
/// confirming commit makes it stay.
#[tokio::test]
async fn a_change_is_confirmed() {
    for door in DOORS {
        let (gateway, device) = junos_pair().await;
        let (change, commit) = start(&gateway, door, contact("east"), 90).await;
        assert_sent(
            &device,
            "commit-configuration",
            "<confirmed/><confirm-timeout>2</confirm-timeout>",
        );
        assert_eq!(commit["timeout_seconds"], 120);
        assert_eq!(commit["change_id"], change["id"]);
        assert_eq!(commit["persistent"], false);
        assert_eq!(change["confirmed_commit_id"], commit["id"]);
        let listed = gateway
            .list_confirmed_commits(door, "mx1", "pending")
            .await
            .unwrap();
        assert_eq!(listed[0]["id"], commit["id"]);
        assert!(running(&device).contains("set snmp contact east"));

        let other = json!({"edits": contact("west")});
        refused_as_pending(&gateway.change(door, "mx1", other).await.unwrap_err());
        let dry = json!({"edits": contact("west"), "dry_run": true});
        refused_as_pending(&gateway.change(door, "mx1", dry).await.unwrap_err());
        refused_as_pending(&gateway.open(door, "mx1", json!({})).await.unwrap_err());

        let confirmed = gateway
            .order(door, id(&commit), "confirm", Value::Null)
            .await
            .unwrap();
        assert_eq!(
            (&confirmed["state"], &confirmed["by"]),
            (&json!("confirmed"), &json!("us"))
        );
        let ended = ends_as(&gateway, door, &commit, "confirmed").await;
        assert_eq!(ended["by"], "us");
        pass(Duration::from_secs(600)).await;
        assert!(running(&device).contains("set snmp contact east"));
        let again = gateway
            .order(door, id(&commit), "confirm", Value::Null)
            .await
            .unwrap_err();
        assert_eq!(again.verdict(), ("invalid-state", "not_sent"));
        let next = gateway
            .change(door, "mx1", json!({"edits": contact("west")}))
            .await
            .unwrap();
        assert_eq!(next["state"], "committed");
    }
}

/// C1: what a device that counts minutes rounds up is warned of in the answers of changes, edit sessions and extensions,
/// and stands in the record; a whole number of minutes, and a device that counts seconds, gives no warning.
#[tokio::test]
async fn rounded_seconds_are_warned_of() {
    const WORDS: &str = "were rounded up, and it waits";
    let told = |answer: &Value| answer["warnings"].to_string().matches(WORDS).count();
    for door in DOORS {
        for (pair, edits, seconds, rounds) in [
            (junos_pair().await, contact("east"), 90, 1),
            (junos_pair().await, contact("east"), 120, 0),
            (rfc_pair().await, qualified("east"), 90, 0),
        ] {
            let (gateway, _device) = pair;
            let what = format!("{seconds} s by {door:?}");
            let (change, commit) = start(&gateway, door, edits.clone(), seconds).await;
            assert_eq!(
                (told(&change), told(&commit)),
                (rounds, rounds),
                "{what}: {change}"
            );
            let body = json!({"confirm_timeout_seconds": seconds + 60});
            let extended = gateway.order(door, id(&commit), "extend", body).await.unwrap();
            assert_eq!(told(&extended), rounds, "{what}: {extended}");
            let words = format!(
                "{} s {WORDS} {} s",
                seconds + 60,
                seconds.next_multiple_of(60) + 60
            );
            assert_eq!(
                extended["warnings"].to_string().contains(&words),
                rounds == 1,
                "{extended}"
            );
            let whole = json!({"confirm_timeout_seconds": 240});
            let extended = gateway.order(door, id(&commit), "extend", whole).await.unwrap();
            assert_eq!(told(&extended), 0, "{what}: {extended}");
            gateway
                .order(door, id(&commit), "cancel", Value::Null)
                .await
                .unwrap();

            let opened = gateway.open(door, "mx1", json!({})).await.unwrap();
            gateway
                .edit(door, "mx1", id(&opened), edits[0].clone())
                .await
                .unwrap();
            let body = json!({"confirm_timeout_seconds": seconds});
            let done = gateway
                .act(door, "mx1", id(&opened), "commit", body)
                .await
                .unwrap();
            assert_eq!(told(&done), rounds, "{what}: {done}");
            assert_eq!(
                told(&done["commit"]["confirmed_commit"]),
                rounds,
                "{what}: {done}"
            );
        }
    }
}

/// C1: the command line tells it on standard error.
#[tokio::test]
async fn rounded_seconds_are_warned_of_at_the_command_line() {
    let (gateway, _device) = junos_pair().await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("edit.set");
    std::fs::write(&file, "set snmp contact east\n").unwrap();
    let file = file.display().to_string();
    let made = gateway
        .ncgate(&["change", "create", "mx1", &file, "--confirm-timeout", "90"])
        .await;
    assert_eq!(made.code, 0, "{made:?}");
    assert!(
        made.err.contains("90 s were rounded up, and it waits 120 s"),
        "{made:?}"
    );
    let pending = gateway
        .list_confirmed_commits(Door::Rest, "mx1", "pending")
        .await
        .unwrap();
    let extended = gateway
        .ncgate(&["confirmed-commit", "extend", id(&pending[0]), "150"])
        .await;
    assert_eq!(extended.code, 0, "{extended:?}");
    assert!(
        extended.out.contains("150 s were rounded up, and it waits 180 s"),
        "{extended:?}"
    );
}

/// S28, S31: the command line says until when the commit waits and what confirms it, which does so as it stands there; who
/// comes between is told who may confirm it.
#[tokio::test]
async fn what_is_pending_is_told_at_the_command_line() {
    let (gateway, _device) = junos_pair().await;
    let create = ["change", "create", "mx1", "-", "--confirm-timeout", "120"];
    let made = gateway.ncgate_with(&create, "set snmp contact east\n").await;
    assert_eq!(made.code, 0, "{made:?}");
    let pending = gateway
        .list_confirmed_commits(Door::Rest, "mx1", "pending")
        .await
        .unwrap();
    let (commit, deadline) = (id(&pending[0]), pending[0]["deadline"].as_str().unwrap());
    let hint = format!("ncgate confirmed-commit confirm {commit}");
    let line = format!("undone at {deadline} unless confirmed: {hint}");
    assert_eq!(made.out.lines().last(), Some(line.as_str()), "{made:?}");
    let told = made.out.lines().rev().nth(1).unwrap();
    assert!(told.ends_with(" pending_confirm (applied)"), "{made:?}");

    let between = gateway
        .ncgate_with(&["change", "create", "mx1", "-"], "set snmp contact west\n")
        .await;
    assert_eq!((between.code, between.out.as_str()), (4, ""), "{between:?}");
    for line in [
        "error: confirmed-commit-pending: ".to_owned(),
        format!("\n  confirmed commit: {commit}\n"),
        "\n  hint: its owner or an admin confirms, extends or cancels it\n".to_owned(),
    ] {
        assert!(between.err.contains(&line), "{line:?} in {between:?}");
    }

    let words: Vec<&str> = hint.split(' ').skip(1).collect();
    let confirmed = gateway.ncgate(&words).await;
    assert_eq!(confirmed.code, 0, "{confirmed:?}");
    ends_as(&gateway, Door::Rest, &pending[0], "confirmed").await;
    let again = gateway.ncgate(&words).await;
    assert_eq!(again.code, 4, "{again:?}");
    assert!(
        again.err.contains("the confirmed commit is confirmed"),
        "{again:?}"
    );
}

/// S29, C5: when the time is up the device undoes it, which is told once it is seen.
#[tokio::test]
async fn a_timeout_is_told_as_a_rollback() {
    for door in DOORS {
        for (pair, edits) in [
            (junos_pair().await, contact("east")),
            (rfc_pair().await, qualified("east")),
        ] {
            let (gateway, device) = pair;
            let before = running(&device);
            let (_, commit) = start(&gateway, door, edits, 60).await;
            assert_ne!(running(&device), before);
            pass(Duration::from_secs(61)).await;
            let ended = ends_as(&gateway, door, &commit, "rolled_back").await;
            assert_eq!(ended["reason"], "timeout", "{ended}");
            assert_eq!(running(&device), before);
            eventually("nothing is held any more", async || {
                device.device().lock_holder(Store::Candidate).is_none()
            })
            .await;
        }
    }
}

/// S28, C6: undone on request, at once.
#[tokio::test]
async fn a_confirmed_commit_is_cancelled() {
    for door in DOORS {
        for (pair, edits) in [
            (junos_pair().await, contact("east")),
            (rfc_pair().await, qualified("east")),
        ] {
            let (gateway, device) = pair;
            let before = running(&device);
            let (_, commit) = start(&gateway, door, edits, 120).await;
            let cancelled = gateway
                .order(door, id(&commit), "cancel", Value::Null)
                .await
                .unwrap();
            assert_eq!(cancelled["state"], "cancelled", "{cancelled}");
            ends_as(&gateway, door, &commit, "cancelled").await;
            assert_eq!(running(&device), before);
            pass(Duration::from_secs(200)).await;
            assert_eq!(running(&device), before);
        }
    }
}

/// S28, C1: a new deadline counts from now; less than the device needs is refused with what it needs.
#[tokio::test]
async fn a_deadline_is_moved() {
    for door in DOORS {
        for (pair, edits) in [
            (junos_pair().await, contact("east")),
            (rfc_pair().await, qualified("east")),
        ] {
            let (gateway, device) = pair;
            let (_, commit) = start(&gateway, door, edits, 60).await;
            pass(Duration::from_secs(40)).await;
            let short = json!({"confirm_timeout_seconds": 59});
            let refusal = gateway
                .order(door, id(&commit), "extend", short)
                .await
                .unwrap_err();
            assert_eq!(refusal.fields, ["confirm_timeout_seconds"], "{refusal:?}");
            let more = json!({"confirm_timeout_seconds": 180});
            let extended = gateway.order(door, id(&commit), "extend", more).await.unwrap();
            assert_eq!(
                (&extended["state"], &extended["timeout_seconds"]),
                (&json!("pending"), &json!(180))
            );
            pass(Duration::from_secs(150)).await;
            assert!(running(&device).contains("contact east"), "{}", running(&device));
            pass(Duration::from_secs(31)).await;
            ends_as(&gateway, door, &commit, "rolled_back").await;
        }
    }
}

/// Row 22, C4: without a token no confirm is sent when the device may undo it any moment.
#[tokio::test]
async fn a_late_confirm_is_not_sent() {
    for door in DOORS {
        let (gateway, device) = junos_pair().await;
        let (_, commit) = start(&gateway, door, contact("east"), 60).await;
        let commits = sent(&device, "commit-configuration").len();
        pass(Duration::from_millis(58_500)).await;
        let refusal = gateway
            .order(door, id(&commit), "confirm", Value::Null)
            .await
            .unwrap_err();
        assert_eq!(refusal.verdict(), ("invalid-state", "not_sent"));
        assert_eq!(refusal.reason.as_deref(), Some("too_late"));
        assert_eq!(sent(&device, "commit-configuration").len(), commits);
    }
}

/// C2: with a token the loss of the session is no loss: another session confirms.
#[tokio::test]
async fn a_token_outlives_its_session() {
    for door in DOORS {
        let (gateway, device) = rfc_pair().await;
        let (change, commit) = start(&gateway, door, qualified("east"), 120).await;
        assert_eq!(commit["persistent"], true);
        let shown = format!("{change}{commit}");
        let wire = sent(&device, "commit").pop().unwrap();
        let token = wire.split("<persist>").nth(1).unwrap().split('<').next().unwrap();
        assert!(
            token.len() > 30 && !shown.contains(token),
            "the token is told to nobody"
        );
        start_is_known(&gateway, &device).await;
        device.drop_connections();
        eventually("the loss is noticed", async || {
            let commit = gateway.confirmed_commit(door, id(&commit)).await.unwrap();
            commit["session_id"].is_null() && commit["state"] == "pending"
        })
        .await;
        let confirmed = gateway
            .order(door, id(&commit), "confirm", Value::Null)
            .await
            .unwrap();
        assert_eq!(
            (&confirmed["state"], &confirmed["by"]),
            (&json!("confirmed"), &json!("us"))
        );
        assert_sent(&device, "commit", &format!("<persist-id>{token}</persist-id>"));
        pass(Duration::from_secs(300)).await;
        assert!(running(&device).contains("contact east"));
    }
}

/// Row 23, S29, C5: a commit of somebody else confirms it on Junos, which is told as such.
#[tokio::test]
async fn others_confirm_it_too() {
    for door in DOORS {
        let (gateway, device) = junos_pair().await;
        let (_, commit) = start(&gateway, door, contact("east"), 60).await;
        device.drop_connections();
        eventually("the lock is free", async || {
            device.device().lock_holder(Store::Candidate).is_none()
        })
        .await;
        let bob = device.console("bob");
        bob.edit("set system host-name bobs").unwrap();
        bob.commit(None).unwrap();
        let ended = ends_as(&gateway, door, &commit, "confirmed").await;
        assert_eq!(ended["by"], "other", "{ended}");
    }
}

/// E2: somebody else's confirmed commit keeps changes out, unless an admin says that it is to be confirmed.
#[tokio::test]
async fn confirmed_commits_of_others_are_respected() {
    for door in DOORS {
        let (gateway, device) = junos_pair().await;
        let bob = device.console("bob");
        bob.edit("set system host-name bobs").unwrap();
        bob.commit_confirmed(5, None).unwrap();
        let body = json!({"edits": contact("east")});
        let refusal = gateway.change(door, "mx1", body).await.unwrap_err();
        assert_eq!(
            refusal.verdict(),
            ("confirmed-commit-pending", "not_applied"),
            "{refusal:?}"
        );
        assert_eq!(sent(&device, "commit-configuration"), Vec::<String>::new());
        let body = json!({"edits": contact("east"), "commit": {"confirm_others": true}});
        let done = gateway.change(door, "mx1", body).await.unwrap();
        assert_eq!(done["state"], "committed");
    }
}

/// E2: nor is it confirmed by a check in an edit session.
#[tokio::test]
async fn a_check_confirms_nobody_elses_commit() {
    for door in DOORS {
        for mode in ["exclusive", "private"] {
            let (gateway, device) = junos_pair().await;
            let bob = device.console("bob");
            bob.edit("set system host-name bobs").unwrap();
            bob.commit_confirmed(5, None).unwrap();
            bob.leave_configuration();
            let opened = gateway.open(door, "mx1", json!({"mode": mode})).await.unwrap();
            let edit = contact("east")[0].clone();
            gateway.edit(door, "mx1", id(&opened), edit).await.unwrap();
            for action in ["validate", "commit"] {
                let refusal = gateway
                    .act(door, "mx1", id(&opened), action, Value::Null)
                    .await
                    .unwrap_err();
                assert_eq!(refusal.code, "confirmed-commit-pending", "{action}: {refusal:?}");
            }
            let whole = gateway
                .whole(door, "mx1", "validate", json!({"source": "candidate"}))
                .await;
            assert_eq!(whole.unwrap_err().code, "confirmed-commit-pending");
            assert!(device.device().is_rollback_pending());
        }
    }
}

/// E2: a check goes on where an admin says that what somebody else waits for is to be confirmed, which Junos does then; nobody
/// else may say that.
#[tokio::test]
async fn admins_check_and_confirm_others() {
    let others = json!({"confirm_others": true});
    for door in DOORS {
        let (gateway, device) = junos_pair().await;
        let bob = device.console("bob");
        bob.edit("set system host-name bobs").unwrap();
        bob.commit_confirmed(5, None).unwrap();
        bob.leave_configuration();
        let body = json!({"source": "candidate", "confirm_others": true});
        gateway.whole(door, "mx1", "validate", body).await.unwrap();
        let opened = gateway.open(door, "mx1", json!({})).await.unwrap();
        let checked = gateway
            .act(door, "mx1", id(&opened), "validate", others.clone())
            .await
            .unwrap();
        assert_eq!(checked["state"], "open", "{checked}");
        assert!(!device.device().is_rollback_pending());
        gateway.close(door, "mx1", id(&opened)).await.unwrap();
    }
    let (gateway, device) = junos_pair().await;
    let bob = device.console("bob");
    bob.edit("set system host-name bobs").unwrap();
    bob.commit_confirmed(5, None).unwrap();
    bob.leave_configuration();
    let opened = gateway.open(Door::Rest, "mx1", json!({})).await.unwrap();
    let verbs: [&[&str]; 2] = [
        &["config", "validate", "mx1"],
        &["edit-session", "validate", "mx1", id(&opened)],
    ];
    for verb in verbs {
        let refused = gateway.ncgate(verb).await;
        assert!(refused.err.contains("confirmed-commit-pending"), "{refused:?}");
        assert!(device.device().is_rollback_pending());
    }
    for verb in verbs {
        let checked = gateway.ncgate(&[verb, &["--confirm-others"]].concat()).await;
        assert_eq!(checked.code, 0, "{checked:?}");
    }

    let ctx = CallContext {
        principal: Principal::new("alice", Role::Configure),
        request_id: "r".to_owned(),
        deadline: None,
        traceparent: None,
        ticket: ncgate::service::operations::Ticket::default(),
    };
    let request = ValidateRequest {
        confirm_others: true,
        plan: false,
    };
    let refused = gateway
        .service()
        .validate_edit_session(&ctx, "mx1", id(&opened), request)
        .await;
    assert_eq!(refused.unwrap_err().code().as_str(), "forbidden");
}

/// C7: the device is free when the answer to a confirm is there.
#[tokio::test]
async fn whoever_confirms_may_go_on() {
    for door in DOORS {
        let (gateway, device) = junos_pair().await;
        let (_, commit) = start(&gateway, door, contact("east"), 60).await;
        device
            .faults()
            .add(Rule::on("unlock", Fault::Delay(Duration::from_millis(200))));
        gateway
            .order(door, id(&commit), "confirm", Value::Null)
            .await
            .unwrap();
        assert!(device.device().lock_holder(Store::Candidate).is_none());
        let next = gateway
            .change(door, "mx1", json!({"edits": contact("west")}))
            .await
            .unwrap();
        assert_eq!(next["state"], "committed");
    }
}

/// A refused commit leaves nothing pending.
#[tokio::test]
async fn a_refused_commit_is_not_pending() {
    for door in DOORS {
        let (gateway, device) = junos_pair().await;
        device.faults().add(
            Rule::on(
                "commit-configuration",
                Fault::Errors(vec![DeviceError::new("no room")]),
            )
            .after(1)
            .once(),
        );
        let body = json!({"edits": contact("east"), "commit": {"confirm_timeout_seconds": 60}});
        let refusal = gateway.change(door, "mx1", body).await.unwrap_err();
        assert_eq!(refusal.outcome, "not_applied", "{refusal:?}");
        for state in ["pending", "unknown"] {
            let listed = gateway.list_confirmed_commits(door, "mx1", state).await.unwrap();
            assert_eq!(listed, json!([]));
        }
        let next = gateway
            .change(door, "mx1", json!({"edits": contact("west")}))
            .await
            .unwrap();
        assert_eq!(next["state"], "committed");
    }
}
