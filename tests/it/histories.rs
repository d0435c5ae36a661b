//! What a device tells of its commits: the revision that callers can ask for (S27), and replies that hold no history,
//! which say nothing of what others wait for (E2).

use ncgate::emulator::{Fault, Profile, Rule};
use serde_json::{Value, json};

use crate::support::commits::{id, to_contact};
use crate::support::doors::{DOORS, bad, good};
use crate::support::{TestGateway, junos};

/// S27: the revision is shown with the device once it was told, and a change may demand it.
#[tokio::test]
async fn the_revision_of_a_device_can_be_asked_for() {
    for door in DOORS {
        let (gateway, device) = TestGateway::with_device(junos()).await;
        let shown = async || good(door, gateway.device(door, "mx1").await)["connection"]["revision"].clone();
        assert_eq!(shown().await, Value::Null, "nobody told it yet");
        let body = json!({"edits": to_contact(Profile::Junos, "east")});
        let change = good(door, gateway.change(door, "mx1", body).await);
        let revision = shown().await;
        assert_eq!(revision["id"], change["revision"], "{change}");
        assert!(revision["seen_at"].as_str().is_some_and(|at| at.ends_with('Z')));
        let demanding = |revision: &Value, contact: &str| json!({"edits": to_contact(Profile::Junos, contact), "if_revision": revision});
        let change = good(
            door,
            gateway
                .change(door, "mx1", demanding(&revision["id"], "west"))
                .await,
        );
        assert_eq!(change["state"], "committed");
        // It has moved on, and so has what is shown.
        let refusal = bad(
            door,
            gateway
                .change(door, "mx1", demanding(&revision["id"], "south"))
                .await,
        );
        assert_eq!(refusal.reason.as_deref(), Some("revision"), "{refusal:?}");
        assert_ne!(shown().await["id"], revision["id"]);
        // And that of an edit session.
        let session = good(door, gateway.open(door, "mx1", json!({})).await);
        let session = id(&session);
        let edit = to_contact(Profile::Junos, "north")[0].take();
        good(door, gateway.edit(door, "mx1", &session, edit).await);
        let done = gateway.act(door, "mx1", &session, "commit", Value::Null).await;
        assert_eq!(good(door, done)["commit"]["revision"], shown().await["id"]);
        gateway.stop().await;
        device.stop().await;
    }
}

const HISTORY: &str = "get-commit-information";

fn telling(text: &str) -> Rule {
    Rule::on(HISTORY, Fault::ReplyWith(text.to_owned()))
}

/// Replies without a history: text, as some releases send it, and none at all.
const NO_HISTORIES: [&str; 2] = [
    "<output>0   2026-01-02 03:04:05 UTC by bob via cli commit confirmed, rollback in 10mins</output>",
    "<ok/>",
];

/// E2: such a reply is told; what must know refuses.
#[tokio::test]
async fn a_reply_without_a_history_is_no_empty_history() {
    for (door, text) in DOORS.into_iter().zip(NO_HISTORIES) {
        let (gateway, device) = TestGateway::with_device(junos()).await;
        device.faults().add(telling(text));
        let mut body = json!({"edits": to_contact(Profile::Junos, "east")});
        let change = good(door, gateway.change(door, "mx1", body.clone()).await);
        let warned = |value: &Value| {
            let warnings = value["warnings"].as_array().expect("warnings").iter();
            warnings
                .filter_map(|warning| warning["error_message"].as_str())
                .any(|words| words.contains("does not show its commits"))
        };
        assert!(warned(&change), "{change}");
        // An edit session likewise.
        let session = good(door, gateway.open(door, "mx1", json!({})).await);
        let session = id(&session);
        let edit = to_contact(Profile::Junos, "west")[0].take();
        good(door, gateway.edit(door, "mx1", &session, edit).await);
        let checked = gateway.act(door, "mx1", &session, "validate", Value::Null).await;
        assert!(warned(&good(door, checked)));
        let done = gateway.act(door, "mx1", &session, "commit", Value::Null).await;
        assert_eq!(good(door, done)["commit"]["state"], "committed");
        good(door, gateway.close(door, "mx1", &session).await);
        // A commit that has to be confirmed could not be found again.
        body["commit"] = json!({"confirm_timeout_seconds": 60});
        let refusal = bad(door, gateway.change(door, "mx1", body).await);
        assert_eq!(refusal.outcome, "not_applied", "{refusal:?}");
        assert_eq!(refusal.reason.as_deref(), Some("no_history"));
        gateway.stop().await;
        device.stop().await;
    }
}

/// E2: a history without an entry is one.
#[tokio::test]
async fn an_empty_history_is_one() {
    for door in DOORS {
        let (gateway, device) = TestGateway::with_device(junos()).await;
        device
            .faults()
            .add(telling("<commit-information></commit-information>"));
        let body = json!({"edits": to_contact(Profile::Junos, "east")});
        let change = good(door, gateway.change(door, "mx1", body).await);
        assert_eq!(change["warnings"], json!([]), "{change}");
        gateway.stop().await;
        device.stop().await;
    }
}
