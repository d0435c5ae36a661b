//! Commits of edit sessions through both doors: the look before them, their record, and what a refused edit or a crash
//! leaves behind (E1, E2, H3).

use std::time::Duration;

use ncgate::emulator::{DeviceError, Fault, Profile, Rule};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::child::Child;
use crate::support::doors::{DOORS, Door, bad, good};
use crate::support::judged::{as_before, holdings};
use crate::support::{TestGateway, eventually, junos, listen, sent};

fn contact(profile: Profile, name: &str) -> Value {
    let snmp = json!({"snmp": {"contact": name}});
    match profile {
        Profile::Rfc => json!({"config": {"example-router:configuration": snmp}}),
        _ => json!({"config": snmp}),
    }
}

fn id(shown: &Value) -> &str {
    shown["id"].as_str().unwrap_or_else(|| panic!("no id: {shown}"))
}

/// The steps of a record with their results.
fn steps(change: &Value) -> Vec<String> {
    let step = |step: &Value| {
        let word = |name: &str| step[name].as_str().unwrap_or_default().to_owned();
        format!("{} {}", word("name"), word("result"))
    };
    let steps = change["steps"].as_array();
    steps.expect("steps").iter().map(step).collect()
}

/// E1: without a difference nothing is committed, before an edit, after a commit, and after an edit that changes
/// nothing; the answer and the record say `unchanged`.
#[tokio::test]
async fn an_empty_difference_is_not_committed() {
    let one = ["check done", "diff done"];
    let two = ["diff done", "diff done"];
    for (profile, mode, operation, look) in [
        (Profile::Junos, "exclusive", "commit-configuration", &one[..]),
        (Profile::Junos, "private", "commit-configuration", &one[..]),
        (Profile::Junos, "shared", "commit-configuration", &one[..]),
        (Profile::Rfc, "exclusive", "commit", &two[..]),
    ] {
        for door in DOORS {
            let what = format!("{mode} at {profile:?} by {door:?}");
            let (gateway, device) = TestGateway::with_device(junos().profile(profile)).await;
            let before = holdings(&device);
            let opened = good(door, gateway.open(door, "mx1", json!({"mode": mode})).await);
            let session = id(&opened);
            let commit = async || {
                good(
                    door,
                    gateway.act(door, "mx1", session, "commit", Value::Null).await,
                )
            };
            let record =
                async |done: &Value| good(door, gateway.get_change(door, "mx1", id(&done["commit"])).await);

            let done = commit().await;
            assert_eq!(done["commit"]["state"], "unchanged", "{what}: {done}");
            assert!(done["commit"].get("revision").is_none(), "{what}: {done}");
            let found = record(&done).await;
            assert_eq!(
                (
                    &found["state"],
                    &found["outcome"],
                    &found["changed"],
                    &found["diff"]
                ),
                (
                    &json!("unchanged"),
                    &json!("not_applied"),
                    &json!(false),
                    &json!("")
                ),
                "{what}"
            );
            assert_eq!(steps(&found), look, "{what}");
            assert_eq!(device.stats().count(operation), 0, "{what}");
            assert_eq!(holdings(&device), before, "{what}");

            let east = || gateway.edit(door, "mx1", session, contact(profile, "east"));
            good(door, east().await);
            let done = commit().await;
            assert_eq!(done["commit"]["state"], "committed", "{what}: {done}");
            let found = record(&done).await;
            assert_eq!(
                (&found["state"], &found["outcome"], &found["changed"]),
                (&json!("committed"), &json!("applied"), &json!(true)),
                "{what}"
            );
            assert!(
                found["diff"].as_str().is_some_and(|diff| diff.contains("east")),
                "{what}: {found}"
            );
            let taken = steps(&found);
            assert_eq!(taken[..look.len()], *look, "{what}");
            assert_eq!(taken[look.len()], "commit done", "{what}");

            assert_eq!(commit().await["commit"]["state"], "unchanged", "{what}");
            // The same once more makes no difference, and then nothing is left to commit.
            assert_eq!(good(door, east().await)["uncommitted"], true, "{what}");
            let done = commit().await;
            assert_eq!(
                (&done["commit"]["state"], &done["uncommitted"]),
                (&json!("unchanged"), &json!(false)),
                "{what}"
            );
            assert_eq!(device.stats().count(operation), 1, "{what}");
            good(
                door,
                gateway.edit(door, "mx1", session, contact(profile, "west")).await,
            );
            let shown = good(door, gateway.edit_session(door, "mx1", session).await);
            assert_eq!(shown["uncommitted"], true, "{what}");
            gateway.stop().await;
            device.stop().await;
        }
    }
}

/// E5: an ephemeral instance cannot be compared, so it is committed in any case.
#[tokio::test]
async fn an_ephemeral_instance_is_committed_without_a_look() {
    for door in DOORS {
        let (gateway, device) = TestGateway::with_device(junos()).await;
        let opened = gateway.open(door, "mx1", json!({"mode": "ephemeral"})).await;
        let opened = good(door, opened);
        let done = gateway.act(door, "mx1", id(&opened), "commit", Value::Null).await;
        assert_eq!(good(door, done)["commit"]["state"], "committed");
        assert_eq!(
            (
                device.stats().count("commit-configuration"),
                device.stats().count("get-configuration")
            ),
            (1, 0)
        );
        gateway.stop().await;
        device.stop().await;
    }
}

/// E1, H3: what cannot be looked at is not committed; the refusal names the look.
#[tokio::test]
async fn a_commit_whose_look_fails_is_not_sent() {
    for door in DOORS {
        let (gateway, device) = TestGateway::with_device(junos()).await;
        let opened = good(door, gateway.open(door, "mx1", json!({})).await);
        let session = id(&opened);
        let edit = contact(Profile::Junos, "east");
        good(door, gateway.edit(door, "mx1", session, edit).await);
        let refused = Fault::Errors(vec![DeviceError::new("no room")]);
        device.faults().add(Rule::on("get-configuration", refused).once());
        let refusal = bad(
            door,
            gateway.act(door, "mx1", session, "commit", Value::Null).await,
        );
        assert_eq!(
            (refusal.step.as_deref(), refusal.outcome.as_str()),
            (Some("diff"), "not_applied")
        );
        let change = refusal.change_id.expect("a record");
        let found = good(door, gateway.get_change(door, "mx1", &change).await);
        assert_eq!(found["state"], "failed", "{found}");
        assert_eq!(steps(&found), ["check done", "diff failed"]);
        assert_eq!(sent(&device, "commit-configuration"), Vec::<String>::new());
        let done = gateway.act(door, "mx1", session, "commit", Value::Null).await;
        assert_eq!(good(door, done)["commit"]["state"], "committed");
        gateway.stop().await;
        device.stop().await;
    }
}

/// H3: a refused edit changes nothing that runs, but the statements before the bad one are in the candidate: the answer
/// says so, the edit session shows it, and discard takes it away.
#[tokio::test]
async fn a_refused_edit_tells_what_it_left_in_the_candidate() {
    for door in DOORS {
        let (gateway, device) = TestGateway::with_device(junos()).await;
        let before = holdings(&device);
        let opened = good(door, gateway.open(door, "mx1", json!({})).await);
        let session = id(&opened);
        let lines = "set snmp contact attic\nset system no-such-statement x";
        let edit = json!({"format": "set", "config": lines});
        let refusal = bad(door, gateway.edit(door, "mx1", session, edit).await);
        assert_eq!(
            (refusal.step.as_deref(), refusal.outcome.as_str()),
            (Some("edit"), "not_applied")
        );
        let hint = refusal.hint.expect("what it left");
        for word in ["in the candidate", "uncommitted", "discard"] {
            assert!(hint.contains(word), "{hint}");
        }
        let shown = good(door, gateway.edit_session(door, "mx1", session).await);
        assert_eq!(shown["uncommitted"], true, "{shown}");
        let diff = good(door, gateway.diff(door, "mx1", session).await);
        assert!(diff.to_string().contains("contact attic"), "{diff}");
        let shown = gateway.act(door, "mx1", session, "discard", Value::Null).await;
        assert_eq!(good(door, shown)["uncommitted"], false);
        good(door, gateway.close(door, "mx1", session).await);
        as_before(&device, &before, "a refused edit").await;
        gateway.stop().await;
        device.stop().await;
    }
}

/// RFC 6241 section 8.5: with rollback-on-error nothing of a refused edit stays, and nothing else is said.
#[tokio::test]
async fn a_refused_edit_that_is_rolled_back_left_nothing() {
    for door in DOORS {
        let (gateway, device) = TestGateway::with_device(junos().profile(Profile::Rfc)).await;
        let opened = good(door, gateway.open(door, "mx1", json!({})).await);
        let session = id(&opened);
        let first = contact(Profile::Rfc, "east");
        good(door, gateway.edit(door, "mx1", session, first).await);
        let refused = Fault::Errors(vec![DeviceError::new("no room")]);
        device.faults().add(Rule::on("edit-config", refused).once());
        let mut edit = contact(Profile::Rfc, "west");
        edit["error_option"] = json!("rollback-on-error");
        let refusal = bad(door, gateway.edit(door, "mx1", session, edit).await);
        assert_eq!(refusal.outcome, "not_applied");
        assert!(
            !refusal.hint.unwrap_or_default().contains("in the candidate"),
            "nothing of it stays"
        );
        gateway.stop().await;
        device.stop().await;
    }
}

/// E2: after a crash in the middle of a commit the record names the step that had begun, of a change and of an edit
/// session alike, and says that nobody knows what came of it.
#[tokio::test]
async fn a_crash_in_a_commit_leaves_the_step_on_record() {
    for of_a_session in [false, true] {
        let device = listen(junos()).await;
        device
            .faults()
            .add(Rule::on("commit-configuration", Fault::NeverReply));
        let mut child = Child::start(&[]).await;
        child.add("mx1", &device, json!({})).await;
        let request = if of_a_session {
            let (status, opened) = child.post("/v1/devices/mx1/edit-sessions", &json!({})).await;
            assert_eq!(status, StatusCode::CREATED, "{opened}");
            let path = format!("/v1/devices/mx1/edit-sessions/{}", id(&opened));
            let edit = contact(Profile::Junos, "east");
            let (status, edited) = child.post(&format!("{path}/edit"), &edit).await;
            assert_eq!(status, StatusCode::OK, "{edited}");
            child.request(Method::POST, &format!("{path}/commit"))
        } else {
            let body = json!({"edits": [contact(Profile::Junos, "east")], "validate": false});
            child.request(Method::POST, "/v1/devices/mx1/changes").json(&body)
        };
        let waiting = tokio::spawn(request.send());
        eventually("the commit is with the device", async || {
            sent(&device, "commit-configuration").len() == 1
        })
        .await;
        child.signal("KILL");
        child.ended().await;
        assert!(waiting.await.expect("no panic").is_err());
        // Nobody finds out meanwhile.
        device
            .faults()
            .add(Rule::on("get-commit-information", Fault::NeverReply));
        let database = child.directory().join("inventory.db");
        let again = TestGateway::with(|settings| {
            settings.database = Some(format!("sqlite://{}", database.display()));
        })
        .await;
        for door in DOORS {
            let list = good(door, again.list_changes(door, "mx1").await);
            let change = &list[0];
            assert_eq!(
                (&change["state"], &change["outcome"]),
                (&json!("unknown"), &json!("unknown")),
                "{list}"
            );
            let taken = steps(change);
            assert_eq!(
                taken.last().map(String::as_str),
                Some("commit unknown"),
                "{taken:?}"
            );
            assert_eq!(
                (&change["error"]["step"], &change["error"]["reason"]),
                (&json!("commit"), &json!("gateway_restarted"))
            );
            assert!(taken.contains(&"diff done".to_owned()), "{taken:?}");
        }
        again.stop().await;
    }
}

/// H3, E6: what the device is to commit later has not been applied yet.
#[tokio::test]
async fn a_scheduled_commit_is_not_applied_yet() {
    for door in DOORS {
        let (gateway, device) = TestGateway::with_device(junos()).await;
        let body = json!({
            "edits": [{"format": "set", "config": "set snmp location east"}],
            "commit": {"at": "reboot"},
        });
        let change = good(door, gateway.change(door, "mx1", body).await);
        assert_eq!(
            (&change["state"], &change["outcome"]),
            (&json!("scheduled"), &json!("not_applied"))
        );
        let found = good(door, gateway.get_change(door, "mx1", id(&change)).await);
        assert_eq!(found["outcome"], "not_applied");
        good(door, gateway.cancel_change(door, "mx1", id(&change)).await);
        gateway.stop().await;
        device.stop().await;
    }
}

/// E6: where the history is hidden nobody could tell what becomes of a commit for later, and it would keep all others out
/// for ever; it is refused.
#[tokio::test]
async fn a_commit_for_later_needs_a_history() {
    let (gateway, device) = TestGateway::with_device(junos()).await;
    let refusal = DeviceError::new("permission denied").tagged("protocol", "access-denied");
    let hides = Rule::on("get-commit-information", Fault::Errors(vec![refusal]));
    device.faults().add(hides);
    let body = json!({
        "edits": [{"format": "set", "config": "set snmp location east"}],
        "commit": {"at": "reboot"},
    });
    let refused = bad(Door::Rest, gateway.change(Door::Rest, "mx1", body).await);
    assert_eq!(refused.verdict(), ("access-denied", "not_applied"));
    assert!(device.device().scheduled().is_none());
    // Others are not kept out.
    let plain = json!({"edits": [{"format": "set", "config": "set snmp location east"}]});
    let change = good(Door::Rest, gateway.change(Door::Rest, "mx1", plain).await);
    assert_eq!(change["state"], "committed");
    gateway.stop().await;
    device.stop().await;
}

/// Q7: who leaves while the device is asked for the difference takes the commit back; something was sent by then.
#[tokio::test]
async fn a_commit_whose_caller_leaves_during_the_look_is_not_sent() {
    let (gateway, device) = TestGateway::with_device(junos()).await;
    let opened = good(Door::Rest, gateway.open(Door::Rest, "mx1", json!({})).await);
    let session = id(&opened);
    let edit = contact(Profile::Junos, "east");
    good(Door::Rest, gateway.edit(Door::Rest, "mx1", session, edit).await);
    let slow = Fault::Delay(Duration::from_secs(2));
    device.faults().add(Rule::on("get-configuration", slow).once());
    let path = format!("/v1/devices/mx1/edit-sessions/{session}/commit");
    let commit = tokio::spawn(gateway.request(Method::POST, &path).send());
    eventually("the look is with the device", async || {
        sent(&device, "get-configuration").len() == 1
    })
    .await;
    commit.abort();
    eventually("the record says that nothing was committed", async || {
        let list = good(Door::Rest, gateway.list_changes(Door::Rest, "mx1").await);
        (&list[0]["state"], &list[0]["outcome"]) == (&json!("failed"), &json!("not_applied"))
    })
    .await;
    // The session serves the next call once the reply is there.
    let diff = good(Door::Rest, gateway.diff(Door::Rest, "mx1", session).await);
    assert_eq!(diff["changed"], true);
    assert_eq!(sent(&device, "commit-configuration"), Vec::<String>::new());
    gateway.stop().await;
}

/// E2, Q7: what became of a commit is found under its id, whatever its caller heard of it.
#[tokio::test]
async fn a_commit_has_a_record() {
    for door in DOORS {
        let (gateway, device) = TestGateway::with_device(junos()).await;
        let opened = gateway.open(door, "mx1", json!({})).await.unwrap();
        let session = id(&opened);
        gateway
            .edit(door, "mx1", session, contact(Profile::Junos, "east"))
            .await
            .unwrap();
        let done = gateway
            .act(door, "mx1", session, "commit", Value::Null)
            .await
            .unwrap();
        let found = gateway
            .get_change(door, "mx1", done["commit"]["id"].as_str().unwrap())
            .await
            .unwrap();
        assert_eq!(
            (&found["state"], &found["outcome"]),
            (&json!("committed"), &json!("applied"))
        );
        assert_eq!(found["revision"], done["commit"]["revision"]);
        assert_eq!(found["session_id"], opened["session_id"]);

        gateway
            .edit(door, "mx1", session, contact(Profile::Junos, "west"))
            .await
            .unwrap();
        device
            .faults()
            .add(Rule::on("commit-configuration", Fault::DropBeforeReply));
        let lost = gateway
            .act(door, "mx1", session, "commit", Value::Null)
            .await
            .unwrap_err();
        assert_eq!(lost.outcome, "unknown");
        let found = gateway
            .get_change(door, "mx1", &lost.change_id.expect("an id"))
            .await
            .unwrap();
        assert_eq!(
            (&found["state"], &found["outcome"]),
            (&json!("unknown"), &json!("unknown"))
        );
        assert_eq!(found["error"]["code"], lost.code);
    }
}

/// Q7: whoever leaves while a commit waits for its turn takes it back: nothing is sent, and the record says so.
#[tokio::test]
async fn a_commit_that_nobody_waits_for_is_not_sent() {
    let (gateway, device) = TestGateway::with_device(junos()).await;
    let opened = gateway.open(Door::Rest, "mx1", json!({})).await.unwrap();
    let session = id(&opened);
    gateway
        .edit(Door::Rest, "mx1", session, contact(Profile::Junos, "east"))
        .await
        .unwrap();
    device.faults().add(Rule::on(
        "get-system-uptime-information",
        Fault::Delay(Duration::from_secs(2)),
    ));
    let path = format!("/v1/devices/mx1/edit-sessions/{session}");
    let slow = gateway.request(Method::POST, &format!("{path}/rpc"));
    let slow = tokio::spawn(
        slow.json(&json!({"rpc": {"get-system-uptime-information": {}}}))
            .send(),
    );
    eventually("the slow read is with the device", async || {
        sent(&device, "get-system-uptime-information").len() == 1
    })
    .await;
    let commit = tokio::spawn(gateway.request(Method::POST, &format!("{path}/commit")).send());
    let changes = || gateway.list_changes(Door::Rest, "mx1");
    eventually("the commit has a record", async || {
        changes().await.unwrap().as_array().unwrap().len() == 1
    })
    .await;
    commit.abort();
    eventually("the record says that nothing was sent", async || {
        let listed = changes().await.unwrap();
        let change = &listed[0];
        (&change["state"], &change["outcome"]) == (&json!("failed"), &json!("not_sent"))
    })
    .await;
    slow.await.unwrap().unwrap();
    assert_eq!(sent(&device, "commit-configuration"), Vec::<String>::new());
    let status = gateway.edit_session(Door::Rest, "mx1", session).await.unwrap();
    assert_eq!(
        (&status["state"], &status["uncommitted"]),
        (&json!("open"), &json!(true))
    );
}
