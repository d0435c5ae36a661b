//! Ending other sessions (S26, L5), through both doors.

use ncgate::emulator::{DeviceError, Fault, Rule};
use serde_json::json;

use crate::support::doors::{DOORS, bad, good};
use crate::support::judged::is_free;
use crate::support::{TestGateway, assert_sent, eventually, junos};

/// S26, L5: who holds the lock is killed, if it is who was meant; what is demanded is read again just before.
#[tokio::test]
async fn a_forgotten_lock_is_broken_if_its_holder_is_as_demanded() {
    for door in DOORS {
        let (gateway, device) = TestGateway::with_device(junos()).await;
        let console = device.console("carol");
        console.configure_exclusive().expect("the lock");
        let victim = u64::from(console.pid());
        let refusal = bad(door, gateway.open(door, "mx1", json!({})).await);
        assert_eq!(refusal.code, "lock-denied");
        let locks = good(door, gateway.locks(door, "mx1").await);
        assert_eq!(locks["locks"][0]["ours"], false, "{locks}");
        for (body, reason) in [
            (json!({"if_user": "dave"}), "user"),
            (json!({"if_idle_seconds_at_least": 86_400}), "idle"),
        ] {
            let refusal = bad(door, gateway.kill(door, "mx1", victim, body).await);
            assert_eq!(refusal.code, "precondition-failed", "{refusal:?}");
            assert_eq!(refusal.reason.as_deref(), Some(reason), "{refusal:?}");
        }
        assert_eq!(device.stats().count("kill-session"), 0);
        let body = json!({"if_user": "carol", "reason": "gone home"});
        let killed = good(door, gateway.kill(door, "mx1", victim, body).await);
        assert_eq!(
            (&killed["session_id"], &killed["victim"]["user"]),
            (&json!(victim), &json!("carol"))
        );
        assert!(
            killed["effects"][0]
                .as_str()
                .is_some_and(|words| words.contains("locks"))
        );
        assert_sent(
            &device,
            "kill-session",
            &format!("<kill-session><session-id>{victim}</session-id></kill-session>"),
        );
        assert!(is_free(&device));
        // What was seen of its lock before is over as well.
        let locks = good(door, gateway.locks(door, "mx1").await);
        assert_eq!(locks["locks"], json!([]), "{locks}");
        gateway.stop().await;
        device.stop().await;
    }
}

/// S26: an edit session of the gateway that is killed is lost at once.
#[tokio::test]
async fn a_killed_edit_session_is_lost() {
    for door in DOORS {
        let (gateway, device) = TestGateway::with_device(junos()).await;
        let opened = good(
            door,
            gateway.open(door, "mx1", json!({"mode": "exclusive"})).await,
        );
        let id = opened["id"].as_str().expect("an id");
        let victim = opened["session_id"].as_u64().expect("a session");
        let locks = good(door, gateway.locks(door, "mx1").await);
        let lock = &locks["locks"][0];
        assert_eq!(
            (
                &lock["ours"],
                &lock["kind"],
                &lock["edit_session"],
                &lock["owner"]
            ),
            (&json!(true), &json!("lock"), &json!(id), &json!("anonymous"))
        );
        assert_eq!(lock["holder"]["session_id"], victim);
        assert!(lock["expires_at"].is_string(), "{lock}");
        let killed = good(door, gateway.kill(door, "mx1", victim, json!({})).await);
        assert_eq!(killed["edit_session"], id);
        let now = good(door, gateway.edit_session(door, "mx1", id).await);
        assert_eq!(
            (&now["state"], &now["reason"]),
            (&json!("lost"), &json!("killed"))
        );
        eventually("free", async || is_free(&device)).await;
        gateway.stop().await;
        device.stop().await;
    }
}

/// S26: the device's own permission is hinted at; what the device refuses is its refusal.
#[tokio::test]
async fn a_refused_kill_says_why() {
    for door in DOORS {
        let (gateway, device) = TestGateway::with_device(junos()).await;
        let refusal = bad(door, gateway.kill(door, "mx1", 4_000_000, json!({})).await);
        assert_eq!(refusal.outcome, "not_applied", "{refusal:?}");
        let denied = DeviceError::new("permission denied").element("kill-session");
        device
            .faults()
            .add(Rule::on("kill-session", Fault::Errors(vec![denied])).once());
        let refusal = bad(door, gateway.kill(door, "mx1", 4_000_000, json!({})).await);
        assert_eq!(refusal.code, "access-denied", "{refusal:?}");
        assert!(refusal.hint.is_some_and(|hint| hint.contains("maintenance")));
        gateway.stop().await;
        device.stop().await;
    }
}
