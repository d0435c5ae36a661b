//! How many sessions of a device may be held, and what those are told who come too late (Q1).

use std::time::{Duration, Instant};

use ncgate::emulator::{Fault, Rule};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::doors::{DOORS, Door, Refusal, bad, good};
use crate::support::{TestGateway, code, eventually, junos};

fn private(wait: u64) -> Value {
    json!({"mode": "private", "wait_seconds": wait})
}

fn change(wait: u64) -> Value {
    json!({"mode": "private", "wait_seconds": wait, "edits": [{"config": {"snmp": {"contact": "x"}}}]})
}

fn id(session: &Value) -> &str {
    session["id"]
        .as_str()
        .unwrap_or_else(|| panic!("no id: {session}"))
}

/// That everybody who is in the way is named, with what is known of him.
#[track_caller]
fn names(refusal: &Refusal, sessions: &[&Value]) {
    assert_eq!(refusal.verdict(), ("sessions-held", "not_sent"), "{refusal:?}");
    assert_eq!(refusal.origin, "gateway");
    for session in sessions {
        for member in ["id", "owner", "expires_at"] {
            let known = session[member].as_str().expect("a text");
            assert!(refusal.detail.contains(known), "{member}: {}", refusal.detail);
        }
    }
    let hint = refusal.hint.as_deref().unwrap_or_default();
    assert!(hint.contains("wait_seconds"), "{hint}");
}

/// Q1: with as many sessions held as may be, nobody waits longer than `wait_seconds`, and the refusal names the holders;
/// reads go on. Who waits gets the first that is free.
#[tokio::test]
async fn who_waits_for_no_session_is_told_who_holds_them() {
    for door in DOORS {
        let (gateway, device) = TestGateway::with_device(junos()).await;
        let first = good(door, gateway.open(door, "mx1", private(0)).await);
        let second = good(door, gateway.open(door, "mx1", private(0)).await);
        let started = Instant::now();
        let refusal = bad(door, gateway.open(door, "mx1", private(0)).await);
        names(&refusal, &[&first, &second]);
        let refusal = bad(door, gateway.open(door, "mx1", json!({})).await);
        names(&refusal, &[&first, &second]);
        let refusal = bad(door, gateway.change(door, "mx1", change(0)).await);
        names(&refusal, &[&first, &second]);
        let id_of_change = refusal.change_id.expect("a record");
        let found = good(door, gateway.get_change(door, "mx1", &id_of_change).await);
        assert_eq!(
            (&found["state"], &found["outcome"], &found["error"]["code"]),
            (&json!("failed"), &json!("not_sent"), &json!("sessions-held"))
        );
        assert!(
            started.elapsed() < Duration::from_secs(15),
            "nothing was waited for"
        );
        let started = Instant::now();
        bad(door, gateway.open(door, "mx1", private(1)).await);
        assert!(started.elapsed() >= Duration::from_secs(1));
        gateway.read("/v1/devices/mx1/config?path=snmp").await;

        let (opened, ()) = tokio::join!(gateway.open(door, "mx1", private(20)), async {
            eventually("it waits", async || {
                gateway.read("/v1/devices/mx1").await["connection"]["queued"] == 1
            })
            .await;
            good(door, gateway.close(door, "mx1", id(&first)).await);
        });
        let third = good(door, opened);
        let refusal = bad(door, gateway.open(door, "mx1", private(0)).await);
        names(&refusal, &[&second, &third]);
        gateway.stop().await;
        device.stop().await;
    }
}

/// H6: a change whose turn for the commit does not come by its deadline is undone then, however long it would wait.
#[tokio::test]
async fn a_change_waits_for_the_candidate_no_longer_than_its_deadline() {
    let (gateway, device) = TestGateway::with_device(junos()).await;
    let opened = good(Door::Rest, gateway.open(Door::Rest, "mx1", json!({})).await);
    let mut body = change(60);
    body["validate"] = json!(false);
    let started = Instant::now();
    let request = gateway
        .request(Method::POST, "/v1/devices/mx1/changes")
        .header("Request-Timeout", "2")
        .json(&body);
    let (status, problem) = crate::support::answer(request).await;
    assert!(started.elapsed() < Duration::from_secs(20), "{problem}");
    assert_eq!((status, code(&problem)), (StatusCode::CONFLICT, "lock-denied"));
    assert_eq!(
        (&problem["outcome"], &problem["step"]),
        (&json!("not_applied"), &json!("commit"))
    );
    assert!(problem["detail"].to_string().contains(id(&opened)), "{problem}");
    assert_eq!(device.stats().count("commit-configuration"), 0);
    gateway.stop().await;
    device.stop().await;
}

/// Q1, E6, H3: a commit that is to be made later can be called off, whoever holds all sessions.
#[tokio::test]
async fn a_scheduled_commit_is_called_off_past_all_holders() {
    for door in DOORS {
        let (gateway, device) = TestGateway::with_device(junos()).await;
        let body = json!({"edits": [{"config": {"snmp": {"contact": "x"}}}], "commit": {"at": "reboot"}});
        let scheduled = good(door, gateway.change(door, "mx1", body).await);
        for _ in 0..2 {
            good(door, gateway.open(door, "mx1", private(0)).await);
        }
        let cancelled = gateway.cancel_change(door, "mx1", id(&scheduled)).await;
        assert_eq!(good(door, cancelled)["state"], "cancelled");
        gateway.stop().await;
        device.stop().await;
    }
}

/// Q1, H6: what waited in vain for a session of its own is told who holds them.
#[tokio::test]
async fn a_deadline_in_the_queue_names_the_holders() {
    let (gateway, device) = TestGateway::with_device(junos()).await;
    let mut held = Vec::new();
    for _ in 0..2 {
        held.push(good(
            Door::Rest,
            gateway.open(Door::Rest, "mx1", private(0)).await,
        ));
    }
    for path in ["config/validate", "rpc/clear-interfaces-statistics"] {
        let request = gateway.request(Method::POST, &format!("/v1/devices/mx1/{path}"));
        let refused = gateway
            .rest(request.header("Request-Timeout", "1").json(&json!({})))
            .await;
        let refusal = bad(Door::Rest, refused);
        assert_eq!(
            refusal.verdict(),
            ("deadline-in-queue", "not_sent"),
            "{path}: {refusal:?}"
        );
        let hint = refusal.hint.expect("a hint");
        assert!(held.iter().all(|session| hint.contains(id(session))), "{hint}");
    }
    gateway.stop().await;
    device.stop().await;
}

/// C3, Q1: a confirmed commit that waits is not what keeps another copy from being opened.
#[tokio::test]
async fn a_copy_is_refused_for_what_is_in_its_way() {
    for door in DOORS {
        let (gateway, device) = TestGateway::with_device(junos()).await;
        let body = json!({
            "edits": [{"config": {"snmp": {"contact": "x"}}}],
            "commit": {"confirm_timeout_seconds": 120},
        });
        good(door, gateway.change(door, "mx1", body).await);
        let first = good(door, gateway.open(door, "mx1", private(0)).await);
        let refusal = bad(door, gateway.open(door, "mx1", private(0)).await);
        names(&refusal, &[&first]);
        let refusal = bad(door, gateway.open(door, "mx1", json!({})).await);
        assert_eq!(refusal.code, "confirmed-commit-pending", "{refusal:?}");
        gateway.stop().await;
        device.stop().await;
    }
}

/// Q1: a change that is at work is named, too.
#[tokio::test]
async fn a_change_that_has_a_session_is_named() {
    for door in DOORS {
        let (gateway, device) = TestGateway::with_device(junos()).await;
        good(door, gateway.open(door, "mx1", private(0)).await);
        device
            .faults()
            .add(Rule::on("load-configuration", Fault::Delay(Duration::from_secs(3))).once());
        let (done, refusal) = tokio::join!(gateway.change(door, "mx1", change(0)), async {
            eventually("the change is at work", async || {
                device.stats().count("load-configuration") == 1
            })
            .await;
            bad(door, gateway.open(door, "mx1", private(0)).await)
        });
        let done = good(door, done);
        assert_eq!(refusal.code, "sessions-held", "{refusal:?}");
        assert!(refusal.detail.contains(id(&done)), "{}", refusal.detail);
        gateway.stop().await;
        device.stop().await;
    }
}
