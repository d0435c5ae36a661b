//! Changes: the nine steps in one call (S31), through both doors, on a Junos device and on others.

use std::time::Duration;

use ncgate::emulator::config::{Database, Store};
use ncgate::emulator::{Fault, Profile, Rule};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::doors::{DOORS, Door, bad, good};
use crate::support::judged::{as_before, holdings, is_free};
use crate::support::{TestGateway, code, eventually, invariants, junos, sent};

/// The names of the steps that were taken.
fn steps(change: &Value) -> Vec<String> {
    let steps = change["steps"].as_array().expect("steps");
    let name = |step: &Value| {
        let undo = if step["undo"] == true { "undo " } else { "" };
        let result = match step["result"].as_str() {
            Some("done") => String::new(),
            Some(other) => format!(" {other}"),
            None => " ?".to_owned(),
        };
        format!("{undo}{}{result}", step["name"].as_str().expect("a name"))
    };
    steps.iter().map(name).collect()
}

fn set(lines: &str) -> Value {
    json!({"edits": [{"format": "set", "config": lines}]})
}

/// An edit of the RFC profiles.
fn contact(value: &str) -> Value {
    json!({"config": {"example-router:configuration": {"snmp": {"contact": value}}}})
}

/// S31, S27, E3: edits of two formats, a check, a difference, a commit with its comment; all of it found again.
#[tokio::test]
async fn a_change_does_the_nine_steps_on_junos() {
    for door in DOORS {
        let (gateway, device) = TestGateway::with_device(junos()).await;
        let change = gateway
            .change(
                door,
                "mx1",
                json!({
                    "edits": [
                        {"config": {"snmp": {"location": "east"}}},
                        {"format": "set", "config": "set snmp contact \"the night shift\""},
                    ],
                    "commit": {"comment": "moving"},
                }),
            )
            .await;
        let change = good(door, change);
        assert_eq!(
            steps(&change),
            [
                "lock", "check", "edit", "edit", "validate", "diff", "commit", "unlock"
            ]
        );
        assert_eq!(
            (&change["state"], &change["outcome"], &change["changed"]),
            (&json!("committed"), &json!("applied"), &json!(true))
        );
        let diff = change["diff"].as_str().expect("a difference");
        assert!(diff.contains("location east;"), "{diff}");
        assert!(diff.contains("contact \"the night shift\";"), "{diff}");
        assert_eq!(change["diff_sha256"].as_str().map(str::len), Some(64));
        assert!(change.get("undo").is_none(), "{change}");
        let id = change["id"].as_str().expect("an id");
        let newest = device.device().running();
        let marker = format!("moving [ncgate {id} anonymous]");
        assert_eq!(newest.log.as_deref(), Some(marker.as_str()));
        assert_eq!(change["revision"], newest.identifier());
        assert!(is_free(&device));
        // What is shown later is what was answered.
        let again = good(door, gateway.get_change(door, "mx1", id).await);
        assert_eq!(again, change);
        let list = good(door, gateway.list_changes(door, "mx1").await);
        assert_eq!(list, json!([change]));
        // The session holds nothing and serves the next change.
        good(
            door,
            gateway.change(door, "mx1", set("delete snmp contact")).await,
        );
        assert_eq!(device.stats().sessions, 1);
        gateway.stop().await;
        device.stop().await;
    }
}

/// Design section 6: a dry run whose mode nobody chose shows what a change would do that has to be confirmed; what such a
/// change would be refused is refused all the same.
#[tokio::test]
async fn a_dry_run_of_a_confirmed_change_shows_the_difference() {
    let (gateway, device) = TestGateway::with_device(junos()).await;
    let edits = json!([{"config": {"snmp": {"location": "east"}}}]);
    for door in DOORS {
        let confirmed = json!({"confirm_timeout_seconds": 600});
        let mut body = json!({"edits": edits, "dry_run": true, "commit": confirmed});
        let change = good(door, gateway.change(door, "mx1", body.clone()).await);
        assert_eq!(
            (&change["state"], &change["mode"], &change["changed"]),
            (&json!("discarded"), &json!("private"), &json!(true))
        );
        assert!(
            change["diff"]
                .as_str()
                .is_some_and(|diff| diff.contains("location east;"))
        );
        assert!(
            change.get("confirmed_commit").is_none_or(Value::is_null),
            "{change}"
        );
        body["mode"] = json!("private");
        let refusal = bad(door, gateway.change(door, "mx1", body.clone()).await);
        assert_eq!(refusal.fields, ["commit.confirm_timeout_seconds"], "{refusal:?}");
        body["mode"] = Value::Null;
        body["commit"]["at"] = json!("23:00");
        let mut body = body.clone();
        body.as_object_mut().expect("an object").remove("mode");
        let refusal = bad(door, gateway.change(door, "mx1", body).await);
        assert_eq!(refusal.fields, ["commit.confirm_timeout_seconds"], "{refusal:?}");
    }
    assert!(
        sent(&device, "commit-configuration")
            .iter()
            .all(|commit| commit.contains("<check/>"))
    );
    assert!(sent(&device, "lock").is_empty() && is_free(&device));
    gateway.stop().await;
    device.stop().await;
}

/// S31, E7: an RFC 6241 server: the difference is our own, startup is saved, and read back it is the change.
#[tokio::test]
async fn a_change_does_the_nine_steps_on_an_rfc_server() {
    for door in DOORS {
        let (gateway, device) = TestGateway::with_device(junos().profile(Profile::Rfc)).await;
        let body = json!({"edits": [contact("the night shift")]});
        let change = good(door, gateway.change(door, "mx1", body.clone()).await);
        assert_eq!(
            steps(&change),
            [
                "lock", "check", "check", "edit", "validate", "diff", "commit", "verify", "save", "unlock"
            ]
        );
        assert_eq!(change["state"], "committed", "{change}");
        let diff = change["diff"].as_str().expect("a difference");
        assert!(
            diff.contains("+ /configuration/snmp/contact = the night shift\n"),
            "{diff}"
        );
        let device_now = device.device();
        assert_eq!(
            device_now.tree(Database::Startup),
            device_now.tree(Database::Committed)
        );
        assert!(is_free(&device));
        let same = good(door, gateway.change(door, "mx1", body).await);
        assert_eq!(
            (&same["state"], &same["outcome"], &same["diff"]),
            (&json!("unchanged"), &json!("not_applied"), &json!(""))
        );
        assert_eq!(device.stats().count("commit"), 1);
        assert!(is_free(&device));
        gateway.stop().await;
        device.stop().await;
    }
}

/// Design section 6: without a candidate the same call works, and says what it cannot promise.
#[tokio::test]
async fn a_change_works_without_a_candidate() {
    for door in DOORS {
        let (gateway, device) = TestGateway::with_device(junos().profile(Profile::RfcRunning)).await;
        let body = json!({"edits": [contact("a")]});
        let change = good(door, gateway.change(door, "mx1", body.clone()).await);
        assert_eq!(steps(&change), ["lock", "check", "edit", "diff", "unlock"]);
        assert_eq!(
            (&change["state"], &change["outcome"], &change["undo"]),
            (&json!("committed"), &json!("applied"), &json!("not_guaranteed"))
        );
        let same = good(door, gateway.change(door, "mx1", body).await);
        assert_eq!(same["state"], "unchanged");
        let mut dry = json!({"edits": [contact("b")], "dry_run": true});
        let refusal = bad(door, gateway.change(door, "mx1", dry.take()).await);
        assert_eq!(refusal.verdict(), ("capability-missing", "not_sent"));
        // The second edit is refused: the first is in running, and the answer says so.
        let two = json!({"edits": [contact("c"), contact("d")]});
        let error = ncgate::emulator::DeviceError::new("no room");
        device.faults().add(
            Rule::on("edit-config", Fault::Errors(vec![error]))
                .after(1)
                .once(),
        );
        let refusal = bad(door, gateway.change(door, "mx1", two).await);
        assert_eq!(refusal.verdict(), ("operation-failed", "unknown"), "{refusal:?}");
        let id = refusal.change_id.expect("a change");
        let change = good(door, gateway.get_change(door, "mx1", &id).await);
        let diff = change["diff"].as_str().expect("what is there now");
        assert!(diff.contains("contact = c"), "{diff}");
        assert!(is_free(&device));
        gateway.stop().await;
        device.stop().await;
    }
}

/// Design section 6: a dry run shows the difference and leaves nothing, not even in the shared candidate.
#[tokio::test]
async fn a_dry_run_leaves_nothing() {
    for (profile, body, taken) in [
        (
            Profile::Junos,
            set("set snmp location east"),
            &["open", "edit", "check", "validate", "diff", "close"][..],
        ),
        (
            Profile::Rfc,
            json!({"edits": [contact("x")]}),
            &[
                "lock", "check", "check", "edit", "validate", "diff", "discard", "unlock",
            ][..],
        ),
    ] {
        let (gateway, device) = TestGateway::with_device(junos().profile(profile)).await;
        for door in DOORS {
            let before = holdings(&device);
            let mut body = body.clone();
            body["dry_run"] = json!(true);
            let change = good(door, gateway.change(door, "mx1", body).await);
            assert_eq!(steps(&change), taken, "{profile:?}");
            assert_eq!(
                (&change["state"], &change["outcome"], &change["changed"]),
                (&json!("discarded"), &json!("not_applied"), &json!(true))
            );
            as_before(&device, &before, "a dry run").await;
        }
        gateway.stop().await;
        device.stop().await;
    }
}

/// Row 20, L4, S22: leftovers of somebody stop an exclusive change, with their difference; they stay, and a private copy works
/// beside them. An admin clears what was looked at, and nothing else.
#[tokio::test]
async fn leftovers_stop_a_change_and_are_left_alone() {
    for profile in [Profile::Junos, Profile::Rfc] {
        for door in DOORS {
            let builder = junos()
                .profile(profile)
                .uncommitted("carol", "set snmp contact carol");
            let (gateway, device) = TestGateway::with_device(builder).await;
            let before = holdings(&device);
            let body = match profile {
                Profile::Rfc => json!({"edits": [contact("x")]}),
                _ => set("set snmp location east"),
            };
            let refusal = bad(door, gateway.change(door, "mx1", body.clone()).await);
            assert_eq!(refusal.verdict(), ("lock-denied", "not_applied"));
            assert_eq!(refusal.reason.as_deref(), Some("candidate_modified"));
            assert_eq!(refusal.step.as_deref(), Some("lock"));
            let diff = refusal.diff.expect("what is in the way");
            assert!(diff.contains("contact"), "{diff}");
            as_before(&device, &before, "a refused change").await;
            if profile == Profile::Junos {
                let mut private = body.clone();
                private["mode"] = json!("private");
                let change = good(door, gateway.change(door, "mx1", private).await);
                assert_eq!(
                    steps(&change),
                    ["open", "edit", "check", "validate", "diff", "commit", "close"]
                );
                assert!(device.device().is_modified(), "the leftovers are still there");
            }
            let refusal = bad(
                door,
                gateway.discard_candidate(door, "mx1", &"0".repeat(64)).await,
            );
            assert_eq!(refusal.verdict(), ("precondition-failed", "not_applied"));
            assert_eq!(refusal.reason.as_deref(), Some("diff"));
            assert!(device.device().is_modified());
            let now = refusal.diff_sha256.expect("the digest");
            let gone = good(door, gateway.discard_candidate(door, "mx1", &now).await);
            assert_eq!(
                (&gone["discarded"], &gone["diff_sha256"]),
                (&json!(true), &json!(now))
            );
            assert!(!device.device().is_modified());
            let gone = good(door, gateway.discard_candidate(door, "mx1", &now).await);
            assert_eq!(gone["discarded"], false);
            invariants::hold("row 20", &gateway, "mx1", &device).await;
            gateway.stop().await;
            device.stop().await;
        }
    }
}

/// Row 19, S22, L4: who holds the lock is told, remembered for the list of locks, and waited for when asked to.
#[tokio::test]
async fn a_held_lock_names_its_holder_and_is_waited_for() {
    for door in DOORS {
        let (gateway, device) = TestGateway::with_device(junos()).await;
        let console = device.console("carol");
        console.configure_exclusive().expect("the lock");
        let refusal = bad(door, gateway.change(door, "mx1", set("delete snmp")).await);
        assert_eq!(refusal.verdict(), ("lock-denied", "not_applied"));
        assert_eq!(refusal.reason.as_deref(), Some("held"));
        let holder = refusal.holder.expect("the holder");
        assert_eq!(
            (&holder["user"], &holder["session_id"], &holder["terminal"]),
            (&json!("carol"), &json!(console.pid()), &json!(console.terminal()))
        );
        let locks = good(door, gateway.locks(door, "mx1").await);
        let lock = &locks["locks"][0];
        assert_eq!(
            (&lock["ours"], &lock["datastore"], &lock["holder"]["user"]),
            (&json!(false), &json!("candidate"), &json!("carol"))
        );
        assert_eq!(locks["device_reports"], false);
        let mut patient = set("set snmp location east");
        patient["wait_seconds"] = json!(20);
        let (change, ()) = tokio::join!(gateway.change(door, "mx1", patient), async {
            eventually("another try", async || device.stats().count("lock") >= 2).await;
            console.leave_configuration();
        });
        assert_eq!(good(door, change)["state"], "committed");
        let locks = good(door, gateway.locks(door, "mx1").await);
        assert_eq!(locks["locks"], json!([]));
        invariants::hold("row 19", &gateway, "mx1", &device).await;
        gateway.stop().await;
        device.stop().await;
    }
}

/// Q1: one change at a time has the candidate; another is told whose it is, or waits its turn.
#[tokio::test]
async fn changes_of_one_device_follow_each_other() {
    let (gateway, device) = TestGateway::with_device(junos()).await;
    let slow = Fault::Delay(Duration::from_millis(1500));
    device.faults().add(Rule::on("load-configuration", slow).once());
    let first = gateway.change(Door::Rest, "mx1", set("set snmp location east"));
    let others = async {
        eventually("the first is under way", async || {
            device.stats().count("load-configuration") == 1
        })
        .await;
        let refusal = bad(
            Door::Grpc,
            gateway.change(Door::Grpc, "mx1", set("set snmp contact x")).await,
        );
        assert_eq!(refusal.verdict(), ("lock-denied", "not_sent"));
        assert_eq!(refusal.reason.as_deref(), Some("held"));
        assert_eq!(refusal.holder.expect("the holder")["user"], "anonymous");
        let mut patient = set("set snmp contact y");
        patient["wait_seconds"] = json!(30);
        good(Door::Grpc, gateway.change(Door::Grpc, "mx1", patient).await)
    };
    let (first, second) = tokio::join!(first, others);
    assert_eq!(good(Door::Rest, first)["state"], "committed");
    assert_eq!(second["state"], "committed");
    assert!(is_free(&device));
    gateway.stop().await;
    device.stop().await;
}

/// E7: the revision that a change demands.
#[tokio::test]
async fn a_change_may_demand_a_revision() {
    for door in DOORS {
        let (gateway, device) = TestGateway::with_device(junos()).await;
        let revision = device.device().running().identifier();
        let mut body = set("set snmp location east");
        body["if_revision"] = json!("re0-1-1");
        let before = holdings(&device);
        let refusal = bad(door, gateway.change(door, "mx1", body.clone()).await);
        assert_eq!(refusal.verdict(), ("precondition-failed", "not_applied"));
        assert_eq!(refusal.reason.as_deref(), Some("revision"));
        as_before(&device, &before, "another revision").await;
        body["if_revision"] = json!(revision);
        assert_eq!(
            good(door, gateway.change(door, "mx1", body).await)["state"],
            "committed"
        );
        gateway.stop().await;
        device.stop().await;
    }
}

/// S12: nothing but override and update replaces the whole configuration, and these and a bare delete only when told so.
#[tokio::test]
async fn the_whole_configuration_goes_only_when_told_so() {
    for door in DOORS {
        let (gateway, device) = TestGateway::with_device(junos()).await;
        let before = holdings(&device);
        let config = json!({"system": {"host-name": "only"}});
        for edit in [
            json!({"action": "override", "config": config}),
            json!({"action": "update", "config": config}),
            json!({"format": "set", "config": "set snmp location x\n delete "}),
        ] {
            let refusal = bad(door, gateway.change(door, "mx1", json!({"edits": [edit]})).await);
            assert_eq!(refusal.verdict(), ("invalid-argument", "not_sent"), "{edit}");
            assert_eq!(refusal.fields, ["edits.0.whole_configuration"], "{edit}");
        }
        as_before(&device, &before, "what was not told so").await;
        let told = json!({"edits": [{"action": "update", "config": config, "whole_configuration": true}], "dry_run": true});
        let change = good(door, gateway.change(door, "mx1", told).await);
        assert_eq!(change["changed"], true);
        gateway.stop().await;
        device.stop().await;
    }
}

/// Issue 3, item 10: a device that says ok to a commit and drops the edit is caught where its profile asks for it.
#[tokio::test]
async fn a_commit_that_did_nothing_is_told_as_such() {
    for door in DOORS {
        let builder = junos().profile(Profile::Rfc).validate_loses_edits();
        let gateway = TestGateway::start().await;
        let device = crate::support::listen(builder).await;
        gateway
            .add("mx1", &device, json!({"quirks": {"verify_after_commit": true}}))
            .await;
        let before = holdings(&device);
        let body = json!({"edits": [contact("x")]});
        let refusal = bad(door, gateway.change(door, "mx1", body.clone()).await);
        assert_eq!(refusal.verdict(), ("operation-failed", "not_applied"));
        assert_eq!(refusal.step.as_deref(), Some("verify"));
        as_before(&device, &before, "a commit that did nothing").await;
        gateway
            .add(
                "mx2",
                &device,
                json!({"quirks": {"verify_after_commit": true, "validate": false}}),
            )
            .await;
        let change = good(door, gateway.change(door, "mx2", body).await);
        assert_eq!(change["state"], "committed");
        gateway.stop().await;
        device.stop().await;
    }
}

/// Design section 4: `plan=true` shows exactly the bytes that are sent then, and sends nothing.
#[tokio::test]
async fn a_plan_is_what_is_sent() {
    for (profile, edit) in [
        (Profile::Junos, json!({"config": {"snmp": {"location": "east"}}})),
        (Profile::Rfc, contact("x")),
        (Profile::RfcRunning, contact("x")),
    ] {
        let (gateway, device) = TestGateway::with_device(junos().profile(profile)).await;
        let mut body = json!({"edits": [edit], "plan": true});
        let plan = good(Door::Rest, gateway.change(Door::Rest, "mx1", body.clone()).await);
        let rpcs = plan["rpcs"].as_array().expect("RPCs").clone();
        assert!(is_free(&device) && sent(&device, "lock").is_empty());
        let earlier = device.stats().requests.len();
        body["plan"] = json!(false);
        let change = good(Door::Rest, gateway.change(Door::Rest, "mx1", body).await);
        let id = change["id"].as_str().expect("an id");
        let requests = device.stats().requests.split_off(earlier);
        assert_eq!(requests.len(), rpcs.len(), "{requests:?}");
        for (request, rpc) in requests.iter().zip(&rpcs) {
            let rpc = rpc.as_str().expect("XML");
            // The id of the change is the one thing that a plan cannot know.
            let planned = match rpc.split_once("[ncgate ") {
                None => rpc.to_owned(),
                Some((before, after)) => {
                    let after = after.split_once(' ').expect("the principal").1;
                    format!("{before}[ncgate {id} {after}")
                }
            };
            assert!(request.contains(&planned), "{request} holds no {planned}");
        }
        gateway.stop().await;
        device.stop().await;
    }
}

/// Row 13, Q7: a caller who leaves does not stop a commit; the change says what came of it.
#[tokio::test]
async fn a_caller_who_leaves_does_not_stop_the_commit() {
    let (gateway, device) = TestGateway::with_device(junos()).await;
    let slow = Fault::Delay(Duration::from_secs(1));
    device
        .faults()
        .add(Rule::on("commit-configuration", slow).after(1).once());
    let caller = gateway.change(Door::Rest, "mx1", set("set snmp location east"));
    tokio::select! {
        answered = caller => panic!("too early: {answered:?}"),
        () = eventually("the commit is sent", async || device.stats().count("commit-configuration") == 2) => {}
    }
    eventually("the change is over", async || {
        let list = good(Door::Rest, gateway.list_changes(Door::Rest, "mx1").await);
        list[0]["state"] == "committed"
    })
    .await;
    assert!(is_free(&device));
    gateway.stop().await;
    device.stop().await;
}

/// H6, Q7: a deadline that passes while the device commits: unknown, with the id that tells later.
#[tokio::test]
async fn a_deadline_during_the_commit_leaves_the_outcome_open() {
    let (gateway, device) = TestGateway::with_device(junos()).await;
    let slow = Fault::Delay(Duration::from_secs(3));
    device
        .faults()
        .add(Rule::on("commit-configuration", slow).after(1).once());
    let request = gateway
        .request(Method::POST, "/v1/devices/mx1/changes")
        .header("Request-Timeout", "1")
        .json(&set("set snmp location east"));
    let (status, problem) = crate::support::answer(request).await;
    assert_eq!(
        (status.as_u16(), code(&problem)),
        (504, "device-timeout"),
        "{problem}"
    );
    assert_eq!(problem["outcome"], "unknown");
    let id = problem["change_id"].as_str().expect("a change");
    eventually("the change is over", async || {
        let change = good(Door::Rest, gateway.get_change(Door::Rest, "mx1", id).await);
        change["state"] == "committed"
    })
    .await;
    assert_eq!(device.stats().count("commit-configuration"), 2);
    gateway.stop().await;
    device.stop().await;
}

/// Q7: a deadline that passes before anything counts: what was done is undone.
#[tokio::test]
async fn a_deadline_before_the_commit_undoes_what_was_done() {
    let (gateway, device) = TestGateway::with_device(junos()).await;
    let before = holdings(&device);
    let slow = Fault::Delay(Duration::from_secs(2));
    device.faults().add(Rule::on("load-configuration", slow).once());
    let request = gateway
        .request(Method::POST, "/v1/devices/mx1/changes")
        .header("Request-Timeout", "1")
        .json(&set("set snmp location east"));
    let (status, problem) = crate::support::answer(request).await;
    assert_eq!(
        (status.as_u16(), code(&problem)),
        (504, "device-timeout"),
        "{problem}"
    );
    assert_eq!(
        (&problem["outcome"], &problem["step"]),
        (&json!("not_applied"), &json!("edit"))
    );
    as_before(&device, &before, "a deadline").await;
    assert!(device.device().lock_holder(Store::Candidate).is_none());
    gateway.stop().await;
    device.stop().await;
}
