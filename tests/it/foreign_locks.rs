//! Waiting for a lock that somebody outside the gateway holds (S22, Q7, H6), and what those are told whose time is up first.

use std::time::{Duration, Instant};

use ncgate::emulator::Profile;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::commits::{commits, to_contact};
use crate::support::doors::{DOORS, Door, bad, good};
use crate::support::judged::is_free;
use crate::support::{TestGateway, eventually, junos, sent};

fn change(wait: u64) -> Value {
    json!({"wait_seconds": wait, "edits": to_contact(Profile::Junos, "east")})
}

/// Q7: who leaves while his change waits for the lock takes it back: nothing is edited when the lock is free, however long it
/// would have waited.
#[tokio::test]
async fn who_leaves_while_his_change_waits_takes_it_back() {
    for door in DOORS {
        let (gateway, device) = TestGateway::with_device(junos()).await;
        let console = device.console("carol");
        console.configure_exclusive().expect("the lock");
        tokio::select! {
            changed = gateway.change(door, "mx1", change(3600)) => panic!("{changed:?}"),
            () = eventually("it was refused", async || !sent(&device, "lock").is_empty()) => {}
        }
        let (_, listed) = gateway.get("/v1/devices/mx1/changes").await;
        let id = listed["changes"][0]["id"].as_str().expect("a change").to_owned();
        let mut ended = Value::Null;
        eventually("it has ended", async || {
            ended = good(door, gateway.get_change(door, "mx1", &id).await);
            ended["state"] != "preparing"
        })
        .await;
        assert_eq!(
            (&ended["state"], &ended["outcome"], &ended["error"]["code"]),
            (&json!("failed"), &json!("not_sent"), &json!("cancelled")),
            "{ended}"
        );
        console.exit();
        assert_eq!(sent(&device, "load-configuration").len(), 0);
        let next = good(door, gateway.change(door, "mx1", change(5)).await);
        assert_eq!(next["state"], "committed", "{next}");
        assert_eq!(commits(&device), 1);
        gateway.stop().await;
        device.stop().await;
    }
}

/// S22, H6: whose deadline comes before his patience ends is told who holds the lock, not that the device is silent.
#[tokio::test]
async fn a_deadline_tells_who_holds_the_lock() {
    let (gateway, device) = TestGateway::with_device(junos()).await;
    let console = device.console("carol");
    console.configure_exclusive().expect("the lock");
    for (path, body) in [
        ("changes", change(60)),
        ("edit-sessions", json!({"wait_seconds": 60})),
    ] {
        let started = Instant::now();
        let request = gateway.request(Method::POST, &format!("/v1/devices/mx1/{path}"));
        let refused = gateway
            .rest(request.header("request-timeout", "2").json(&body))
            .await;
        let refusal = bad(Door::Rest, refused);
        assert_eq!(
            (refusal.code.as_str(), refusal.reason.as_deref()),
            ("lock-denied", Some("held")),
            "{path}: {refusal:?}"
        );
        let holder = refusal.holder.expect("a holder");
        assert_eq!(
            (&holder["user"], &holder["session_id"]),
            (&json!("carol"), &json!(console.pid()))
        );
        // As long as there was time it was tried again.
        assert!(started.elapsed() > Duration::from_secs(1), "{path}");
    }
    assert!(sent(&device, "lock").len() >= 4);
    console.exit();
    assert!(is_free(&device));
    gateway.stop().await;
    device.stop().await;
}
