//! Events: what happened is told in order, once, and as the records have it (H11; issue 4, item 9).

use std::time::{Duration, Instant};

use ncgate::emulator::{Fault, Rule, RunningEmulator};
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Row};

use crate::support::child::Child;
use crate::support::doors::{DOORS, Door};
use crate::support::events::{Wanted, all, edits, kinds, of_kind, on};
use crate::support::{TestGateway, answer, eventually, junos, listen};

const READ: &str = "/v1/devices/mx1/rpc/get-system-uptime-information";

/// S28, H11: every state of a confirmed commit and of its change is told, in the order in which they were stored, alike
/// through both doors and afterwards; the last ones are those of the records.
#[tokio::test]
async fn states_of_a_confirmed_commit_are_told_in_order() {
    let (gateway, device) = TestGateway::with_device(junos()).await;
    for door in DOORS {
        let (mut rest, start) = gateway.follow_from_now(Door::Rest, of_kind("")).await;
        let (mut grpc, same) = gateway.follow_from_now(Door::Grpc, of_kind("")).await;
        assert_eq!(start, same);
        let body = json!({"edits": edits(&format!("{door:?}")), "commit": {"confirm_timeout_seconds": 60}});
        let change = gateway.change(door, "mx1", body).await.unwrap();
        let commit = change["confirmed_commit"].clone();
        let id = commit["id"].as_str().expect("an id");
        let confirmed = gateway.order(door, id, "confirm", Value::Null).await.unwrap();
        assert_eq!(confirmed["state"], "confirmed");

        let told = rest.until("confirmed_commit.confirmed").await;
        assert_eq!(grpc.until("confirmed_commit.confirmed").await, told);
        let of_records: Vec<Value> = told
            .iter()
            .filter(|event| event["change_id"] == change["id"])
            .cloned()
            .collect();
        assert_eq!(
            kinds(&of_records),
            [
                "change.preparing",
                "change.editing",
                "change.validated",
                "change.committing",
                "change.pending_confirm",
                "confirmed_commit.pending",
                "confirmed_commit.confirming",
                "change.confirmed",
                "confirmed_commit.confirmed",
            ]
        );
        let ids: Vec<u64> = told
            .iter()
            .map(|event| event["id"].as_str().expect("an id").parse().expect("a number"))
            .collect();
        assert!(ids.is_sorted_by(|one, next| one < next), "{ids:?}");
        assert!(of_records.iter().all(|event| event["device"] == "mx1"));
        assert!(of_records.iter().all(|event| event["owner"] == "anonymous"));
        assert!(of_records.iter().all(|event| event["request_id"].is_string()));
        // H7: a change is its own operation, and tells of it; its confirmed commit is none.
        for event in &of_records {
            let of_change = event["type"]
                .as_str()
                .is_some_and(|kind| kind.starts_with("change."));
            let operation = if of_change { &change["id"] } else { &Value::Null };
            assert_eq!(&event["operation_id"], operation, "{event}");
        }
        let (orders, changes): (Vec<&Value>, Vec<&Value>) = told
            .iter()
            .filter(|event| event["operation_id"].is_string())
            .partition(|event| event.get("change_id").is_none());
        assert!(
            changes
                .iter()
                .all(|event| event["operation_id"] == event["change_id"])
        );
        assert!(
            orders.iter().all(|event| event["type"] == "operation.running"),
            "{orders:?}"
        );
        let pending = &of_records[5];
        assert_eq!(pending["confirmed_commit_id"], commit["id"]);
        assert_eq!(pending["deadline"], commit["deadline"]);
        let last = &of_records[8];
        assert_eq!(
            (&last["state"], &last["by"]),
            (&confirmed["state"], &confirmed["by"])
        );
        assert_eq!(
            (&of_records[7]["outcome"], &of_records[4]["outcome"]),
            (&json!("applied"), &json!("applied"))
        );

        let after: u64 = start.parse().expect("a number");
        for door in DOORS {
            let mut paged = all(&gateway, door, of_kind("")).await;
            paged.retain(|event| {
                event["id"]
                    .as_str()
                    .expect("an id")
                    .parse::<u64>()
                    .expect("a number")
                    > after
            });
            paged.truncate(told.len());
            assert_eq!(paged, told, "{door:?}");
        }
    }
    device.stop().await;
}

/// Issue 4, item 3: of a commit whose reply was lost, events end in the state of its record; nothing that the gateway did
/// not know was told.
#[tokio::test]
async fn states_of_a_lost_reply_are_told_in_order() {
    let (gateway, device) = TestGateway::with_device(junos()).await;
    let (mut follower, _) = gateway.follow_from_now(Door::Rest, of_kind("change")).await;
    let lost = Rule::on("commit-configuration", Fault::DropBeforeReply);
    device.faults().add(lost.after(1).once());
    let body = json!({"edits": edits("east")});
    let refusal = gateway.change(Door::Rest, "mx1", body).await.unwrap_err();
    assert_eq!(refusal.outcome, "unknown", "{refusal:?}");
    let told = follower.until("change.committed").await;
    assert_eq!(
        kinds(&told),
        [
            "change.preparing",
            "change.editing",
            "change.validated",
            "change.committing",
            "change.unknown",
            "change.committed",
        ]
    );
    assert_eq!(told[4]["outcome"], "unknown");
    assert!(told[4]["reason"].is_string(), "{}", told[4]);
    assert_eq!(
        (&told[5]["outcome"], told[5].get("reason")),
        (&json!("applied"), None)
    );
    let id = refusal.change_id.expect("an id");
    let record = gateway.get_change(Door::Rest, "mx1", &id).await.unwrap();
    assert_eq!(
        (&record["state"], &record["outcome"]),
        (&told[5]["state"], &told[5]["outcome"])
    );

    // What a refused change failed with.
    let wrong = json!({"edits": [{"config": {"snmp": {"contcat": "x"}}}]});
    let refusal = gateway.change(Door::Rest, "mx1", wrong).await.unwrap_err();
    let failed = follower.until("change.failed").await;
    let failed = failed.last().expect("an event");
    assert_eq!(failed["reason"], refusal.code);
    assert_eq!(failed["outcome"], "not_applied");
    device.stop().await;
}

/// Fault matrix 18, L3: the session of an edit session is killed by another manager, which is told within a second.
#[tokio::test]
async fn a_killed_session_is_told_within_a_second() {
    for door in DOORS {
        let (gateway, device) = TestGateway::with_device(junos()).await;
        let (mut follower, _) = gateway.follow_from_now(door, of_kind("")).await;
        let opened = gateway.open(door, "mx1", json!({})).await.unwrap();
        let told = follower.until("edit_session.opened").await;
        let last = told.last().expect("an event");
        assert_eq!(last["edit_session_id"], opened["id"]);
        assert_eq!(
            (&last["state"], &last["session_id"]),
            (&json!("open"), &opened["session_id"])
        );
        assert_eq!(told[0]["type"], "session.up");

        let victim = opened["session_id"].as_u64().expect("a session");
        let victim = u32::try_from(victim).expect("a process of the device");
        let killed = Instant::now();
        assert!(device.console("carol").logout(victim));
        let told = follower.until("edit_session.lost").await;
        assert!(
            killed.elapsed() < Duration::from_secs(1),
            "{:?}",
            killed.elapsed()
        );
        let lost = told.last().expect("an event");
        assert_eq!(lost["edit_session_id"], opened["id"]);
        assert_eq!(lost["reason"], "session_lost");
        let id = opened["id"].as_str().expect("an id");
        let record = gateway.edit_session(door, "mx1", id).await.unwrap();
        assert_eq!(
            (&record["state"], &record["reason"]),
            (&lost["state"], &lost["reason"])
        );
        // The session itself is told beside it.
        let mut downs = told;
        if !kinds(&downs).contains(&"session.down") {
            downs = follower.until("session.down").await;
        }
        let down = downs.iter().find(|event| event["type"] == "session.down");
        let down = down.expect("the end of the session");
        assert_eq!(down["session_id"], opened["session_id"]);
        // The stream ends, or the connection is torn down with it.
        assert_ne!(down["reason"], "closed", "{down}");
        device.stop().await;
    }
}

/// H1, H4, H10: what cannot be asked for is refused, through both doors.
#[tokio::test]
async fn wrong_questions_are_refused() {
    let gateway = TestGateway::start().await;
    for door in DOORS {
        for (wanted, size, token, code) in [
            (of_kind("chnge"), 1, "", "invalid-argument"),
            (of_kind("change."), 1, "", "invalid-argument"),
            (of_kind(""), 1, "AAAA", "invalid-argument"),
            (of_kind(""), 1001, "", "invalid-argument"),
            (
                Wanted {
                    device: "nobody",
                    ..of_kind("")
                },
                1,
                "",
                "not-found",
            ),
        ] {
            let refusal = gateway.events(door, wanted, size, token).await.unwrap_err();
            assert_eq!(refusal.verdict(), (code, "not_sent"), "{door:?} {wanted:?}");
        }
    }
    for (path, accept, status) in [
        ("/v1/events?page_size=1", "text/event-stream", 400),
        ("/v1/events?last_event_id=1", "application/json", 400),
        ("/v1/events", "text/html", 406),
    ] {
        let request = gateway.request(Method::GET, path).header("Accept", accept);
        let (found, problem) = answer(request).await;
        assert_eq!(found.as_u16(), status, "{path}: {problem}");
    }
}

/// X5, S2: only what is asked for is told: of a device, and of types by their first words.
#[tokio::test]
async fn events_are_told_by_device_and_type() {
    let (one, two) = (listen(junos()).await, listen(junos()).await);
    let gateway = TestGateway::start().await;
    gateway.add("mx1", &one, json!({})).await;
    gateway.add("mx2", &two, json!({})).await;
    for door in DOORS {
        let wanted = Wanted {
            device: "mx2",
            ..of_kind("change")
        };
        let (mut follower, _) = gateway.follow_from_now(door, wanted).await;
        for name in ["mx1", "mx2"] {
            let body = json!({"edits": edits(&format!("{door:?}"))});
            gateway.change(door, name, body).await.unwrap();
        }
        let told = follower.until("change.committed").await;
        assert!(told.iter().all(|event| event["device"] == "mx2"), "{told:?}");
        assert_eq!(told.len(), 5, "{told:?}");
        assert!(all(&gateway, door, wanted).await.ends_with(&told));
    }
    let ran = gateway
        .ncgate(&["event", "list", "--device", "mx1", "--type", "change.committed"])
        .await;
    assert_eq!(ran.code, 0, "{}", ran.err);
    let lines: Vec<&str> = ran.out.lines().collect();
    assert_eq!(lines.len(), 3, "{}", ran.out);
    assert!(lines[0].starts_with("TIME"), "{}", ran.out);
    assert!(
        lines[1].contains("change.committed  mx1     applied"),
        "{}",
        ran.out
    );
}

/// E2, issue 4, item 9: whenever the gateway is killed, the last event of each change tells the state that is stored.
#[tokio::test]
async fn records_and_events_agree_after_a_kill() {
    let mut child = Child::start(&[]).await;
    let device = listen(junos()).await;
    child.add("mx1", &device, json!({})).await;
    let changing = async {
        loop {
            for contact in ["one", "two"] {
                let body = json!({"edits": edits(contact)});
                let path = child.url("/v1/devices/mx1/changes");
                // It fails when the gateway is killed.
                let _ = child.http.post(path).json(&body).send().await;
            }
        }
    };
    let killing = eventually("some changes are made", async || {
        device.stats().count("commit-configuration") > 9
    });
    tokio::select! {
        () = killing => child.signal("KILL"),
        () = changing => {}
    }
    child.ended().await;
    let mut database = SqliteConnectOptions::new()
        .filename(child.directory().join("inventory.db"))
        .connect()
        .await
        .expect("the database opens");
    let rows = sqlx::query(
        "SELECT c.state, (SELECT json_extract(e.facts, '$.state') FROM events e WHERE \
         json_extract(e.facts, '$.change_id') = c.id ORDER BY e.id DESC LIMIT 1) FROM changes c",
    );
    let rows = rows.fetch_all(&mut database).await.expect("changes");
    assert!(rows.len() > 4, "{}", rows.len());
    for row in rows {
        let (state, told): (String, Option<String>) = (row.get(0), row.get(1));
        assert_eq!(told.as_deref(), Some(state.as_str()));
    }
    device.stop().await;
}

fn commit_elsewhere(device: &RunningEmulator, contact: &str) {
    let console = device.console("carol");
    let wrong = console
        .edit(&format!("set snmp contact {contact}"))
        .expect("the candidate");
    assert!(wrong.is_empty(), "{wrong:?}");
    console.commit(None).expect("a commit");
    console.exit();
}

/// E7: what others commit is told once, at the next commit or connect; the gateway's own commits are not, nor is what was
/// there before it looked for the first time.
#[tokio::test]
async fn commits_of_others_are_told() {
    let directory = tempfile::tempdir().expect("a directory");
    let database = directory.path().join("ncgate.db");
    let device = listen(junos()).await;
    let gateway = on(&database, "0").await;
    gateway.add("mx1", &device, json!({})).await;
    let wanted = of_kind("config.changed_elsewhere");
    let elsewhere = async |gateway: &TestGateway| all(gateway, Door::Rest, wanted).await;
    commit_elsewhere(&device, "before");
    for contact in ["one", "two"] {
        let body = json!({"edits": edits(contact)});
        gateway.change(Door::Rest, "mx1", body).await.unwrap();
    }
    // A confirmed commit is two commits of ours.
    let body = json!({"edits": edits("three"), "commit": {"confirm_timeout_seconds": 60}});
    let change = gateway.change(Door::Rest, "mx1", body).await.unwrap();
    let id = change["confirmed_commit_id"].as_str().expect("an id");
    gateway
        .order(Door::Rest, id, "confirm", Value::Null)
        .await
        .unwrap();
    let body = json!({"edits": edits("four")});
    gateway.change(Door::Rest, "mx1", body).await.unwrap();
    assert_eq!(elsewhere(&gateway).await, Vec::<Value>::new());

    commit_elsewhere(&device, "carols");
    let body = json!({"edits": edits("five")});
    gateway.change(Door::Rest, "mx1", body).await.unwrap();
    let told = elsewhere(&gateway).await;
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0]["device"], "mx1");
    assert!(
        told[0]["by"]
            .as_str()
            .is_some_and(|who| who.starts_with("carol via cli")),
        "{told:?}"
    );
    gateway.stop().await;

    commit_elsewhere(&device, "again");
    for _ in 0..2 {
        let gateway = on(&database, "60").await;
        gateway.read(READ).await;
        eventually("it is told after connecting", async || {
            elsewhere(&gateway).await.len() == 2
        })
        .await;
        gateway.stop().await;
    }
    let gateway = on(&database, "0").await;
    assert_eq!(elsewhere(&gateway).await.len(), 2);
    gateway.stop().await;
    device.stop().await;
}
