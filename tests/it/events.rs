//! Events: what happened is told in order, once, to everybody who follows, and afterwards (H11; issue 4, item 9).

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use ncgate::clock::Clock;
use ncgate::emulator::{Fault, Rule, RunningEmulator};
use ncgate::ids::Ids;
use ncgate::store::{EventFacts, KeySource, Location, NewEvent, Store, StoreOptions};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Row};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;

use crate::support::child::Child;
use crate::support::confirmed::{clock, pass};
use crate::support::doors::{DOORS, Door};
use crate::support::events::{Told, Wanted, kinds, parse};
use crate::support::program::ncgate;
use crate::support::{TestGateway, answer, code, eventually, junos, listen};

const READ: &str = "/v1/devices/mx1/rpc/get-system-uptime-information";

fn edits(contact: &str) -> Value {
    json!([{"config": {"snmp": {"contact": contact}}}])
}

fn of_kind(kind: &str) -> Wanted<'_> {
    Wanted {
        kind,
        ..Wanted::default()
    }
}

/// A gateway on this database.
async fn on(database: &Path, look_seconds: &str) -> TestGateway {
    TestGateway::with(|settings| {
        settings.database = Some(format!("sqlite://{}", database.display()));
        settings.look_for_changes_seconds = Some(look_seconds.to_owned());
    })
    .await
}

/// The log as pages have it, the oldest first.
async fn all(gateway: &TestGateway, door: Door, wanted: Wanted<'_>) -> Vec<Value> {
    let (mut found, mut token) = (Vec::new(), String::new());
    loop {
        let mut page = gateway.events(door, wanted, 7, &token).await.unwrap();
        found.extend(page["events"].as_array().expect("a list").clone());
        match page["next_page_token"].take() {
            Value::String(next) => token = next,
            _ => break,
        }
    }
    found.reverse();
    found
}

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

/// H11: who comes again with `Last-Event-ID` gets all that it missed, once, also across a restart of the gateway; an end
/// of the gateway ends streams at once (D1).
#[tokio::test]
async fn a_follower_resumes_across_a_restart() {
    let directory = tempfile::tempdir().expect("a directory");
    let database = directory.path().join("ncgate.db");
    let device = listen(junos()).await;
    let gateway = on(&database, "0").await;
    gateway.add("mx1", &device, json!({})).await;
    let (mut rest, _) = gateway.follow_from_now(Door::Rest, of_kind("")).await;
    let (mut grpc, _) = gateway.follow_from_now(Door::Grpc, of_kind("")).await;
    gateway.open(Door::Rest, "mx1", json!({})).await.unwrap();
    let seen = rest.until("edit_session.opened").await;
    assert_eq!(grpc.until("edit_session.opened").await, seen);
    let last = seen.last().expect("an event")["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    let stopped = tokio::time::timeout(Duration::from_secs(5), gateway.stop());
    stopped.await.expect("nobody waits for those who follow");
    while rest.next().await.is_some() {}
    while grpc.next().await.is_some() {}

    let gateway = on(&database, "0").await;
    gateway.read(READ).await;
    for door in DOORS {
        let wanted = Wanted {
            last: &last,
            ..Wanted::default()
        };
        let mut again = gateway.follow(door, wanted).await;
        assert_eq!(again.next().await, Some(Told::Position(last.clone())), "{door:?}");
        let missed = again.until("session.up").await;
        let types = kinds(&missed);
        assert!(types.contains(&"edit_session.lost"), "{types:?}");
        assert!(types.contains(&"session.down"), "{types:?}");
        let lost = missed.iter().find(|event| event["type"] == "edit_session.lost");
        assert_eq!(lost.expect("an event")["reason"], "gateway_restarted");
        let whole: Vec<Value> = seen.iter().chain(&missed).cloned().collect();
        assert_eq!(all(&gateway, door, of_kind("")).await, whole, "{door:?}");
    }
    gateway.stop().await;
    device.stop().await;
}

/// H11: whoever asks for what is gone, or never was, is told so first, and then what comes.
#[tokio::test]
async fn what_is_gone_is_told_by_a_reset() {
    let gateway = TestGateway::start().await;
    let device = listen(junos()).await;
    gateway.add("mx1", &device, json!({})).await;
    gateway.read(READ).await;
    eventually("a session is told", async || {
        !all(&gateway, Door::Rest, of_kind("session.up")).await.is_empty()
    })
    .await;
    for door in DOORS {
        for last in ["5", "99999999999999999", "no-id", "-1"] {
            let wanted = Wanted {
                last,
                ..of_kind("edit_session.opened")
            };
            let mut follower = gateway.follow(door, wanted).await;
            let Some(Told::Position(start)) = follower.next().await else {
                panic!("{door:?} {last}: no position");
            };
            assert_eq!(follower.next().await, Some(Told::Reset(start)), "{door:?} {last}");
            let opened = gateway.open(door, "mx1", json!({})).await.unwrap();
            let event = follower.event().await;
            assert_eq!(event["edit_session_id"], opened["id"]);
            let id = opened["id"].as_str().expect("an id");
            gateway.close(door, "mx1", id).await.unwrap();
        }
    }
    device.stop().await;
}

/// H11: a comment every fifteen seconds, with where the follower stands, so that it does not fall behind by what it does
/// not want.
#[tokio::test]
async fn silence_is_broken_by_heartbeats() {
    for door in DOORS {
        let clock = clock();
        let gateway = TestGateway::at(clock.clone(), |_| {}).await;
        let device = listen(junos().clock(clock)).await;
        gateway.add("mx1", &device, json!({})).await;
        let (mut follower, start) = gateway.follow_from_now(door, of_kind("change")).await;
        let (mut sessions, _) = gateway.follow_from_now(door, of_kind("session")).await;
        gateway.read(READ).await;
        let up = sessions.until("session.up").await;
        let id = up[0]["id"].as_str().expect("an id");
        assert_ne!(id, start);
        pass(Duration::from_secs(15)).await;
        assert_eq!(
            follower.next().await,
            Some(Told::Position(id.to_owned())),
            "{door:?}"
        );
        pass(Duration::from_secs(15)).await;
        assert!(
            matches!(follower.next().await, Some(Told::Position(_))),
            "{door:?}"
        );
    }
}

/// The database of a gateway, as another process has it.
async fn beside(database: &Path) -> Store {
    let options = StoreOptions::new(Location::File(database.to_owned()), KeySource::BesideDatabase);
    Store::open(options, Clock::system(), Ids::from_entropy())
        .await
        .expect("the database")
}

/// Events of some length.
fn long(count: usize) -> Vec<NewEvent> {
    let event = |place: usize| NewEvent {
        kind: "session.failed".to_owned(),
        device_id: None,
        device: None,
        facts: EventFacts {
            reason: Some(format!("{place:04}{}", "x".repeat(4000))),
            ..EventFacts::default()
        },
    };
    (0..count).map(event).collect()
}

/// Fault matrix 36: a follower who takes nothing is cut when a thousand events wait for it, and nothing of the gateway
/// stays with it; it goes on where it was. What another process on the same database tells is told, too.
#[tokio::test]
async fn a_stalled_follower_is_cut_and_resumes() {
    let directory = tempfile::tempdir().expect("a directory");
    let database = directory.path().join("ncgate.db");
    let gateway = on(&database, "0").await;
    let other = beside(&database).await;
    let (mut quick, start) = gateway.follow_from_now(Door::Grpc, of_kind("")).await;

    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(4096).expect("a small buffer");
    let mut stalled = socket.connect(gateway.address()).await.expect("a connection");
    stalled
        .write_all(b"GET /v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        .await
        .expect("a request");
    let mut first = [0; 12];
    stalled.read_exact(&mut first).await.expect("an answer");
    assert_eq!(&first, b"HTTP/1.1 200");

    let mut count = 0;
    for some in long(4000).chunks(200) {
        other.insert_events(some).await.expect("events are stored");
        for _ in some {
            quick.event().await;
            count += 1;
        }
    }
    assert_eq!(count, 4000);
    // What had left before is still read; then the connection ends, in the middle of the answer.
    let mut text = Vec::new();
    let ended = tokio::time::timeout(Duration::from_secs(20), stalled.read_to_end(&mut text)).await;
    let ended = ended.expect("the connection ends");
    assert!(!text.ends_with(b"0\r\n\r\n"), "the answer looks whole: {ended:?}");
    let body = dechunked(&text);
    let (whole, _) = body.rsplit_once("\n\n").expect("whole blocks");
    let told: Vec<Told> = whole.split("\n\n").map(parse).collect();
    let ids: Vec<i64> = told.iter().map(number).collect();
    let start: i64 = start.parse().expect("a number");
    assert!(ids.len() < 3000, "it was cut: {}", ids.len());
    assert_eq!(ids[0], start);
    let expected: Vec<i64> = (start..start + ids.len() as i64).collect();
    assert_eq!(ids, expected, "no event is left out or comes twice");

    let last = ids.last().expect("an id").to_string();
    let wanted = Wanted {
        last: &last,
        ..Wanted::default()
    };
    let mut again = gateway.follow(Door::Rest, wanted).await;
    assert!(matches!(again.next().await, Some(Told::Position(_))));
    for id in ids.last().expect("an id") + 1..=start + 4000 {
        assert_eq!(again.event().await["id"], id.to_string());
    }
    gateway.stop().await;
}

fn number(told: &Told) -> i64 {
    let id = match told {
        Told::Event(event) => event["id"].as_str().expect("an id"),
        Told::Reset(id) | Told::Position(id) => id,
    };
    id.parse().expect("a number")
}

/// The body of a chunked answer, as far as it came.
fn dechunked(answer: &[u8]) -> String {
    let at = answer
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .expect("a head")
        + 4;
    let (mut rest, mut body) = (&answer[at..], Vec::new());
    while let Some(end) = rest.windows(2).position(|window| window == b"\r\n") {
        let size = std::str::from_utf8(&rest[..end]).expect("a size");
        let size = usize::from_str_radix(size, 16).expect("a size");
        let Some(chunk) = rest.get(end + 2..end + 2 + size) else {
            break;
        };
        body.extend_from_slice(chunk);
        rest = rest.get(end + 4 + size..).unwrap_or_default();
    }
    String::from_utf8(body).expect("text")
}

/// H12: as many may follow as the operator allows; who leaves makes room.
#[tokio::test]
async fn followers_are_counted() {
    let gateway = TestGateway::with(|settings| settings.max_event_streams = Some("1".to_owned())).await;
    let (first, _) = gateway.follow_from_now(Door::Rest, of_kind("")).await;
    let (status, problem) = answer(gateway.request(Method::GET, "/v1/events")).await;
    assert_eq!(
        (status, code(&problem), &problem["outcome"]),
        (
            StatusCode::SERVICE_UNAVAILABLE,
            "streams-full",
            &json!("not_sent")
        )
    );
    assert!(
        problem["retry_after_seconds"]
            .as_u64()
            .is_some_and(|seconds| seconds >= 1)
    );
    drop(first);
    eventually("there is room", async || {
        let request = gateway.request(Method::GET, "/v1/events");
        request.send().await.expect("an answer").status() == 200
    })
    .await;
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

/// U2: the command follows, too, one event on a line.
#[tokio::test]
async fn a_command_follows() {
    let (gateway, device) = TestGateway::with_device(junos()).await;
    let (_, start) = gateway.follow_from_now(Door::Rest, of_kind("")).await;
    let body = json!({"edits": edits("east")});
    gateway.change(Door::Rest, "mx1", body).await.unwrap();
    let mut command = ncgate();
    command.args([
        "event", "list", "--follow", "--type", "change", "--after", &start, "-o", "json",
    ]);
    command
        .args(["--server", &gateway.url("")])
        .stdout(Stdio::piped());
    let lines = tokio::task::spawn_blocking(move || {
        let mut child = command.spawn().expect("the program starts");
        let out = BufReader::new(child.stdout.take().expect("piped"));
        let lines: Vec<String> = out.lines().take(5).map(|line| line.expect("text")).collect();
        child.kill().expect("it runs on");
        child.wait().expect("it ends");
        lines
    });
    let lines = lines.await.expect("no panic");
    let told: Vec<Value> = lines
        .iter()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert_eq!(told, all(&gateway, Door::Rest, of_kind("change")).await);
    assert_eq!(told[4]["type"], "change.committed");
    device.stop().await;
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
