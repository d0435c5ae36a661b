//! Those who follow events: they miss nothing, also across a restart, and hold nothing up (H11; fault matrix row 36).

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use ncgate::clock::Clock;
use ncgate::ids::Ids;
use ncgate::store::{EventFacts, KeySource, Location, NewEvent, Store, StoreOptions};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;

use crate::support::confirmed::{clock, pass};
use crate::support::doors::{DOORS, Door};
use crate::support::events::{Told, Wanted, all, edits, kinds, of_kind, on, parse};
use crate::support::program::ncgate;
use crate::support::{TestGateway, answer, code, eventually, junos, listen};

const READ: &str = "/v1/devices/mx1/rpc/get-system-uptime-information";

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
