//! Every point at which a change can fail, one by one (issue 3, item 3): what the device holds afterwards is what it
//! held before, and the answer says so; where that cannot be known, it says that.

use std::time::Duration;

use ncgate::emulator::{DeviceError, Fault, Gate, Profile, Rule};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::commits::{change_ends_as, running, to_contact};
use crate::support::confirmed::{clock, pass, while_time_passes};
use crate::support::doors::{DOORS, Door, bad, good};
use crate::support::judged::{as_before, holdings, is_free};
use crate::support::points::{Point, at, faults};
use crate::support::{TestGateway, answer, eventually, invariants, junos, listen, sent};

const JUNOS: &[Point] = &[
    at("lock", 0, "lock"),
    at("get-commit-information", 0, "check"),
    at("load-configuration", 0, "edit"),
    at("load-configuration", 1, "edit"),
    at("commit-configuration", 0, "validate"),
    at("get-configuration", 0, "diff"),
];

const PRIVATE: &[Point] = &[
    at("open-configuration", 0, "open"),
    at("load-configuration", 0, "edit"),
    at("get-commit-information", 0, "check"),
    at("load-configuration", 1, "edit"),
    at("commit-configuration", 0, "validate"),
    at("get-configuration", 0, "diff"),
];

const EPHEMERAL: &[Point] = &[
    at("open-configuration", 0, "open"),
    at("get-configuration", 0, "check"),
    at("load-configuration", 0, "edit"),
    at("load-configuration", 1, "edit"),
    at("get-configuration", 1, "check"),
];

const RFC: &[Point] = &[
    at("lock", 0, "lock"),
    at("get-config", 0, "check"),
    at("get-config", 1, "check"),
    at("edit-config", 0, "edit"),
    at("edit-config", 1, "edit"),
    at("validate", 0, "validate"),
    at("get-config", 2, "diff"),
];

fn junos_body(mode: &str) -> Value {
    json!({"mode": mode, "edits": [
        {"format": "set", "config": "set snmp location east"},
        {"config": {"snmp": {"contact": "x"}}},
    ]})
}

fn rfc_body() -> Value {
    let edit =
        |value: &str| json!({"config": {"example-router:configuration": {"snmp": {"contact": value}}}});
    json!({"edits": [edit("x"), edit("y")]})
}

/// L4, S31: before the commit every failure leaves the device as it was. `fault_modes` has what others can edit at the same
/// time, and what is edited at once.
#[tokio::test]
async fn what_fails_before_the_commit_leaves_no_trace() {
    for (profile, points, body) in [
        (Profile::Junos, JUNOS, junos_body("exclusive")),
        (Profile::Junos, PRIVATE, junos_body("private")),
        (Profile::Junos, EPHEMERAL, junos_body("ephemeral")),
        (Profile::JunosRfc11, JUNOS, junos_body("exclusive")),
        (Profile::Rfc, RFC, rfc_body()),
    ] {
        let (gateway, device) = TestGateway::with_device(junos().profile(profile)).await;
        let before = holdings(&device);
        for (number, point) in points.iter().enumerate() {
            for (kind, fault) in faults() {
                let what = format!("{kind} of {} at {profile:?}", point.operation);
                device.faults().clear();
                device.faults().add(point.failing(fault));
                let door = DOORS[number % 2];
                let refusal = bad(door, gateway.change(door, "mx1", body.clone()).await);
                assert_eq!(refusal.outcome, "not_applied", "{what}: {refusal:?}");
                assert_eq!(refusal.step.as_deref(), Some(point.step), "{what}: {refusal:?}");
                as_before(&device, &before, &what).await;
                let id = refusal.change_id.unwrap_or_else(|| panic!("{what}: no change"));
                let change = good(door, gateway.get_change(door, "mx1", &id).await);
                assert_eq!(
                    (&change["state"], &change["outcome"], &change["error"]["step"]),
                    (&json!("failed"), &json!("not_applied"), &json!(point.step)),
                    "{what}"
                );
            }
        }
        // And then the same change is made.
        device.faults().clear();
        let change = good(DOORS[0], gateway.change(DOORS[0], "mx1", body).await);
        assert_eq!(change["state"], "committed", "{profile:?}");
        gateway.stop().await;
        device.stop().await;
    }
}

/// S27: a commit that the device refuses keeps every error in order, and is undone.
#[tokio::test]
async fn a_refused_commit_is_undone() {
    for door in DOORS {
        for (profile, operation, after, body) in [
            (Profile::Junos, "commit-configuration", 1, junos_body("exclusive")),
            (Profile::Junos, "commit-configuration", 1, junos_body("private")),
            (Profile::Junos, "commit-configuration", 0, junos_body("ephemeral")),
            (Profile::Rfc, "commit", 0, rfc_body()),
        ] {
            let (gateway, device) = TestGateway::with_device(junos().profile(profile)).await;
            let before = holdings(&device);
            let errors = vec![
                DeviceError::new("mgd: missing mandatory statement").at("[edit interfaces ge-0/0/2]"),
                DeviceError::new("configuration check-out failed"),
            ];
            let rule = Rule::on(operation, Fault::Errors(errors));
            device.faults().add(rule.after(after).once());
            let refusal = bad(door, gateway.change(door, "mx1", body).await);
            assert_eq!(
                refusal.verdict(),
                ("operation-failed", "not_applied"),
                "{refusal:?}"
            );
            assert_eq!(refusal.step.as_deref(), Some("commit"));
            assert_eq!(refusal.rpc_errors.len(), 2, "{refusal:?}");
            as_before(&device, &before, "a refused commit").await;
            gateway.stop().await;
            device.stop().await;
        }
    }
}

/// S23: a step that nobody answers, though the device is there: the session is not kept for a reply that may not come, and
/// with it goes what it held.
#[tokio::test]
async fn a_lock_is_not_kept_for_a_reply_that_does_not_come() {
    for door in DOORS {
        let clock = clock();
        let gateway = TestGateway::at(clock.clone(), |_| {}).await;
        let device = listen(junos().clock(clock.clone())).await;
        let timeouts = json!({"timeouts": {"rpc_seconds": 600, "commit_seconds": 600}});
        gateway.add("mx1", &device, timeouts).await;
        // Connecting takes time of its own.
        gateway.read("/v1/devices/mx1/sessions").await;
        let before = running(&device);
        device
            .faults()
            .add(Rule::on("get-configuration", Fault::Swallow).once());
        let body = json!({"edits": to_contact(Profile::Junos, "east")});
        let began = clock.now();
        let changing = gateway.change(door, "mx1", body);
        let refusal = bad(door, while_time_passes(Duration::from_secs(10), changing).await);
        assert_eq!(
            refusal.verdict(),
            ("device-timeout", "not_applied"),
            "{refusal:?}"
        );
        // Load, check and comparison were sent together, and have 600 seconds each; nothing is sent behind the reply that is
        // missing.
        let took = clock.now().duration_since(began);
        assert!(took < Duration::from_secs(1900), "{took:?}");
        eventually("the lock is free", async || is_free(&device)).await;
        assert_eq!(running(&device), before);
        let next = json!({"edits": to_contact(Profile::Junos, "west")});
        assert_eq!(
            good(door, gateway.change(door, "mx1", next).await)["state"],
            "committed"
        );
    }
}

/// E4: a commit without a reply may count. It is told so at once, and never sent again.
#[tokio::test]
async fn a_commit_without_a_reply_is_unknown_and_not_sent_again() {
    for door in DOORS {
        for (profile, operation, after, body) in [
            (Profile::Junos, "commit-configuration", 1, junos_body("exclusive")),
            (Profile::Rfc, "commit", 0, rfc_body()),
        ] {
            let (gateway, device) = TestGateway::with_device(junos().profile(profile)).await;
            device
                .faults()
                .add(Rule::on(operation, Fault::DropBeforeReply).after(after).once());
            let refusal = bad(door, gateway.change(door, "mx1", body).await);
            assert_eq!(refusal.verdict(), ("outcome-unknown", "unknown"), "{refusal:?}");
            assert_eq!(refusal.step.as_deref(), Some("commit"));
            let id = refusal.change_id.expect("a change");
            let change = good(door, gateway.get_change(door, "mx1", &id).await);
            assert_eq!(
                (&change["state"], &change["outcome"]),
                (&json!("unknown"), &json!("unknown"))
            );
            assert_eq!(device.stats().count(operation), after + 1);
            eventually("free", async || is_free(&device)).await;
            gateway.stop().await;
            device.stop().await;
        }
    }
}

/// What follows a commit does not take it back: the answer says that the change counts.
#[tokio::test]
async fn what_fails_after_the_commit_does_not_hide_it() {
    for door in DOORS {
        let (gateway, device) = TestGateway::with_device(junos().profile(Profile::Rfc)).await;
        let error = || Fault::Errors(vec![DeviceError::new("no room")]);
        device.faults().add(Rule::on("copy-config", error()).once());
        let refusal = bad(door, gateway.change(door, "mx1", rfc_body()).await);
        assert_eq!(refusal.outcome, "applied", "{refusal:?}");
        assert_eq!(refusal.step.as_deref(), Some("save"));
        let id = refusal.change_id.expect("a change");
        let change = good(door, gateway.get_change(door, "mx1", &id).await);
        assert_eq!(change["state"], "committed");
        assert!(is_free(&device));
        // An unlock that fails is a warning; the end of the session unlocks.
        device.faults().add(Rule::on("unlock", error()).once());
        let body =
            json!({"edits": [{"config": {"example-router:configuration": {"snmp": {"contact": "z"}}}}]});
        let change = good(door, gateway.change(door, "mx1", body).await);
        assert_eq!(change["state"], "committed");
        let warning = change["warnings"][0]["error_message"]
            .as_str()
            .expect("a warning");
        assert!(warning.contains("unlock"), "{warning}");
        eventually("free", async || is_free(&device)).await;
        gateway.stop().await;
        device.stop().await;
    }
}

/// M1: one member that committed makes a failed commit one of unknown outcome, with what each member said.
#[tokio::test]
async fn a_commit_of_one_member_is_never_called_undone() {
    for door in DOORS {
        let builder = junos()
            .member("re0")
            .failing_member("re1", "could not connect to re1");
        let (gateway, device) = TestGateway::with_device(builder).await;
        let mut body = junos_body("exclusive");
        body["validate"] = json!(false);
        body["commit"] = json!({"synchronize": true});
        let refusal = bad(door, gateway.change(door, "mx1", body).await);
        assert_eq!(refusal.outcome, "unknown", "{refusal:?}");
        assert_eq!(refusal.members.len(), 2, "{refusal:?}");
        gateway.stop().await;
        device.stop().await;
    }
}

/// Row 19, S22, L4: on a server of RFC 6241 alone, a lock that no NETCONF session has (session-id 0) is one of somebody
/// whom nobody can kill.
#[tokio::test]
async fn a_lock_that_is_no_sessions_is_told_as_such() {
    for door in DOORS {
        for profile in [Profile::Rfc, Profile::RfcRunning] {
            let (gateway, device) = TestGateway::with_device(junos().profile(profile)).await;
            let before = holdings(&device);
            let held = DeviceError::new("the lock is already held").held_by(0);
            let rule = Rule::on("lock", Fault::Errors(vec![held]));
            device.faults().add(rule.clone());
            let body = rfc_body();
            let refusal = bad(door, gateway.change(door, "mx1", body.clone()).await);
            assert_eq!(refusal.verdict(), ("lock-denied", "not_applied"), "{refusal:?}");
            assert_eq!(
                (refusal.reason.as_deref(), refusal.step.as_deref()),
                (Some("held"), Some("lock"))
            );
            // Nobody that `kill` could end; what the device said is there all the same.
            let holder = refusal.holder.unwrap_or_default();
            assert!(
                holder["session_id"].is_null() && holder["user"].is_null(),
                "{holder}"
            );
            let told = &refusal.rpc_errors[0];
            assert_eq!(told["error_tag"], "lock-denied", "{told}");
            assert!(told["error_info"].to_string().contains("session-id>0<"), "{told}");
            as_before(&device, &before, "a lock that is held").await;
            assert!(sent(&device, "kill-session").is_empty());
            // The next try finds it free.
            device.faults().clear();
            device.faults().add(rule.once());
            let mut patient = body;
            patient["wait_seconds"] = json!(20);
            let change = good(door, gateway.change(door, "mx1", patient).await);
            assert_eq!(change["state"], "committed", "{change}");
            invariants::hold("row 19", &gateway, "mx1", &device).await;
            gateway.stop().await;
            device.stop().await;
        }
    }
}

/// H6: a caller whose deadline has passed waits 15 seconds more for the undoing of what was done. If that takes longer he is
/// told that nothing of it counts, and its record tells the end.
#[tokio::test]
async fn an_undoing_that_takes_long_is_not_waited_for() {
    for (profile, operation, body) in [
        (Profile::Junos, "commit-configuration", junos_body("exclusive")),
        (Profile::Rfc, "validate", rfc_body()),
    ] {
        let clock = clock();
        let gateway = TestGateway::at(clock.clone(), |_| {}).await;
        let device = listen(junos().profile(profile).clock(clock)).await;
        gateway.add("mx1", &device, json!({})).await;
        let before = holdings(&device);
        let refused = Fault::Errors(vec![DeviceError::new("no room")]);
        device.faults().add(Rule::on(operation, refused).once());
        let gate = Gate::new();
        let slow = Rule::on("discard-changes", Fault::Late((&gate).into()));
        device.faults().add(slow.once());
        let request = gateway.request(Method::POST, "/v1/devices/mx1/changes");
        let asked = tokio::spawn(answer(request.header("Request-Timeout", "5").json(&body)));
        gate.reached().await;
        let mut passed = 0;
        while !asked.is_finished() {
            assert!(passed < 29, "the device's own time is not over yet");
            pass(Duration::from_secs(1)).await;
            passed += 1;
        }
        assert!(passed >= 15, "{passed} s");
        let (status, problem) = asked.await.expect("an answer");
        assert_eq!(
            (status, &problem["code"], &problem["outcome"]),
            (
                StatusCode::GATEWAY_TIMEOUT,
                &json!("device-timeout"),
                &json!("not_applied")
            ),
            "{problem}"
        );
        let id = problem["change_id"].as_str().expect("a change");
        let change = good(Door::Rest, gateway.get_change(Door::Rest, "mx1", id).await);
        assert!(change["outcome"].is_null(), "{change}");
        gate.open();
        change_ends_as(&gateway, Door::Rest, id, "failed", "not_applied").await;
        as_before(&device, &before, "a slow undoing").await;
        gateway.stop().await;
        device.stop().await;
    }
}
