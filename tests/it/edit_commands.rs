//! The write path from the command line: the same calls, printed, with exit codes for scripts.

use serde_json::{Value, json};

use crate::support::{TestGateway, junos};

const LINES: &str = "set snmp contact east\n";
const DIFF: &str = "[edit snmp]\n-  contact noc@example.net;\n+  contact east;\n";

/// S12, S21, S27: a change from a file of set lines on standard input: planned, tried, made, found again.
#[tokio::test]
async fn a_change_is_made_from_the_command_line() {
    let (gateway, _device) = TestGateway::with_device(junos()).await;
    let create = ["change", "create", "mx1", "-", "--comment", "to the east"];

    let plan = gateway
        .ncgate_with(&[&create[..], &["--plan"]].concat(), LINES)
        .await;
    assert_eq!(plan.code, 0, "{plan:?}");
    assert!(
        plan.out.contains("<configuration-set>set snmp contact east"),
        "{plan:?}"
    );
    assert!(plan.out.contains("to the east"), "{plan:?}");

    let tried = gateway
        .ncgate_with(&[&create[..], &["--dry-run"]].concat(), LINES)
        .await;
    assert_eq!(tried.code, 0, "{tried:?}");
    assert!(tried.out.starts_with(DIFF), "{tried:?}");
    let untouched = gateway
        .ncgate(&["config", "get", "mx1", "snmp", "--config-format", "set"])
        .await;
    assert!(!untouched.out.contains("east"), "{untouched:?}");

    let made = gateway.ncgate_with(&create, LINES).await;
    assert_eq!(made.code, 0, "{made:?}");
    assert!(made.out.starts_with(DIFF), "{made:?}");
    assert!(made.out.ends_with(" committed (applied)\n"), "{made:?}");

    let again = gateway
        .ncgate_with(&[&create[..], &["-o", "json"]].concat(), LINES)
        .await
        .json();
    assert_eq!(
        (&again["state"], &again["changed"]),
        (&json!("unchanged"), &json!(false))
    );
    let list = gateway
        .ncgate(&["change", "list", "mx1", "-o", "json"])
        .await
        .json();
    let states: Vec<&Value> = list["changes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|change| &change["state"])
        .collect();
    assert!(
        states.contains(&&json!("committed")) && states.contains(&&json!("unchanged")),
        "{list}"
    );
    let id = again["id"].as_str().unwrap();
    let got = gateway
        .ncgate(&["change", "get", "mx1", id, "-o", "json"])
        .await
        .json();
    assert_eq!(got["state"], "unchanged");
    let gone = gateway
        .ncgate(&["change", "get", "mx1", "chg_none", "-o", "json"])
        .await;
    assert_eq!(gone.problem(3)["code"], "not-found");
    let scheduled = gateway
        .ncgate(&["change", "cancel", "mx1", id, "-o", "json"])
        .await;
    assert_eq!(scheduled.problem(4)["outcome"], "not_sent");

    let nothing = gateway.ncgate(&["change", "create", "mx1"]).await;
    assert_eq!(nothing.code, 2, "{nothing:?}");
    let refused = gateway
        .ncgate_with(
            &["change", "create", "mx1", "-", "-o", "json"],
            "set system no-such-statement x",
        )
        .await
        .problem(1);
    assert_eq!(
        (&refused["step"], &refused["outcome"]),
        (&json!("edit"), &json!("not_applied"))
    );
}

/// S20, S22, S23: an edit session by hand, and who holds what meanwhile.
#[tokio::test]
async fn an_edit_session_is_used_from_the_command_line() {
    let (gateway, _device) = TestGateway::with_device(junos()).await;
    let opened = gateway
        .ncgate(&["edit-session", "open", "mx1", "--ttl", "120", "-o", "json"])
        .await
        .json();
    assert_eq!(
        (&opened["state"], &opened["ttl_seconds"]),
        (&json!("open"), &json!(120))
    );
    let id = opened["id"].as_str().unwrap();

    let locks = gateway.ncgate(&["device", "locks", "mx1"]).await;
    assert!(locks.out.contains(id), "{locks:?}");
    let second = gateway
        .ncgate(&["edit-session", "open", "mx1", "-o", "json"])
        .await
        .problem(4);
    assert_eq!(
        (&second["code"], &second["outcome"]),
        (&json!("lock-denied"), &json!("not_sent"))
    );

    let edited = gateway
        .ncgate_with(&["edit-session", "edit", "mx1", id, "-", "-o", "json"], LINES)
        .await
        .json();
    assert_eq!(edited["uncommitted"], true);
    let diff = gateway.ncgate(&["edit-session", "diff", "mx1", id]).await;
    assert_eq!(diff.out, DIFF);
    let read = gateway
        .ncgate(&["edit-session", "config", "mx1", id, "snmp"])
        .await;
    assert!(read.out.contains("\"contact\": \"east\""), "{read:?}");
    assert_eq!(
        gateway
            .ncgate(&["edit-session", "validate", "mx1", id])
            .await
            .code,
        0
    );
    assert_eq!(
        gateway.ncgate(&["edit-session", "discard", "mx1", id]).await.code,
        0
    );
    assert_eq!(gateway.ncgate(&["edit-session", "diff", "mx1", id]).await.out, "");
    gateway
        .ncgate_with(&["edit-session", "edit", "mx1", id, "-"], LINES)
        .await;
    let committed = gateway
        .ncgate(&[
            "edit-session",
            "commit",
            "mx1",
            id,
            "--comment",
            "by hand",
            "-o",
            "json",
        ])
        .await
        .json();
    assert_eq!(committed["uncommitted"], false);
    assert_eq!(
        gateway.ncgate(&["edit-session", "renew", "mx1", id]).await.code,
        0
    );
    assert_eq!(
        gateway.ncgate(&["edit-session", "close", "mx1", id]).await.code,
        0
    );
    let closed = gateway
        .ncgate(&["edit-session", "get", "mx1", id, "-o", "json"])
        .await
        .json();
    assert_eq!(closed["state"], "closed");
    let list = gateway.ncgate(&["edit-session", "list", "mx1"]).await;
    assert!(list.out.contains("closed"), "{list:?}");
    let late = gateway
        .ncgate(&["edit-session", "renew", "mx1", id, "-o", "json"])
        .await;
    assert_eq!(late.problem(1)["code"], "edit-session-closed");
}

/// S14, S26: the rescue configuration, whole configurations, and a kill with a condition.
#[tokio::test]
async fn whole_configurations_and_kills_from_the_command_line() {
    let (gateway, _device) = TestGateway::with_device(junos()).await;
    assert_eq!(gateway.ncgate(&["config", "rescue", "mx1"]).await.code, 0);
    assert_eq!(gateway.ncgate(&["config", "validate", "mx1"]).await.code, 0);
    let copy = gateway
        .ncgate(&[
            "config", "copy", "mx1", "running", "--to", "startup", "-o", "json",
        ])
        .await;
    assert_eq!(copy.problem(1)["code"], "capability-missing");
    let delete = gateway
        .ncgate(&["config", "delete", "mx1", "startup", "-o", "json"])
        .await;
    assert_eq!(delete.problem(1)["code"], "capability-missing");

    let opened = gateway
        .ncgate(&["edit-session", "open", "mx1", "-o", "json"])
        .await
        .json();
    let session = opened["session_id"].to_string();
    let other = [
        "device",
        "kill-session",
        "mx1",
        &session,
        "--if-user",
        "nobody-here",
        "-o",
        "json",
    ];
    assert_eq!(gateway.ncgate(&other).await.problem(4)["outcome"], "not_sent");
    let killed = gateway
        .ncgate(&[
            "device",
            "kill-session",
            "mx1",
            &session,
            "--reason",
            "test",
            "-o",
            "json",
        ])
        .await;
    assert_eq!(killed.code, 0, "{killed:?}");
    let id = opened["id"].as_str().unwrap();
    let lost = gateway
        .ncgate(&["edit-session", "get", "mx1", id, "-o", "json"])
        .await
        .json();
    assert_eq!(
        (&lost["state"], &lost["reason"]),
        (&json!("lost"), &json!("killed"))
    );
}
