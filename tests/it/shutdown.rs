//! The end of the real program: signals, what is in flight, and the politeness towards devices.

use std::time::Duration;

use futures_util::future::join_all;
use ncgate::api::grpc::proto;
use ncgate::emulator::{Fault, Profile, Quirk, Rule};
use proto::change_service_client::ChangeServiceClient;
use reqwest::{Method, StatusCode};
use serde_json::json;
use sqlx::Connection;

use crate::support::child::Child;
use crate::support::commits::{commit_ends_as, running, to_contact};
use crate::support::database::open;
use crate::support::doors::{Door, Refusal};
use crate::support::{TestGateway, code, eventually, invariants, junos, listen};

const UPTIME: &str = "get-system-uptime-information";
const READ: &str = "/v1/devices/mx1/rpc/get-system-uptime-information";

async fn status(child: &Child, path: &str) -> StatusCode {
    child
        .request(Method::GET, path)
        .send()
        .await
        .expect("an answer")
        .status()
}

/// Whether it says that it is ending. A connection that the end met before its request was read is closed without an
/// answer, and says nothing.
async fn is_ending(child: &Child) -> bool {
    let answer = child.request(Method::GET, "/readyz").send().await;
    answer.is_ok_and(|answer| answer.status() == StatusCode::SERVICE_UNAVAILABLE)
}

/// Row 29, D1, S30: reads in flight and in the queue finish, what is new is refused and was not sent, every session
/// is closed with `<close-session>`, and the exit code is 0.
#[tokio::test]
async fn sigterm_under_load_ends_politely() {
    let mut child = Child::start(&[]).await;
    let device = listen(junos()).await;
    child
        .add("mx1", &device, json!({"pool": {"max_sessions": 2}}))
        .await;
    device
        .faults()
        .add(Rule::on(UPTIME, Fault::Delay(Duration::from_millis(900))));
    let reads = join_all((0..6).map(|_| child.get(READ)));
    let end = async {
        eventually("two are sent, four wait", async || {
            let (_, device) = child.get("/v1/devices/mx1").await;
            device["connection"]["queued"] == 4 && device["connection"]["sessions"] == 2
        })
        .await;
        child.signal("TERM");
        eventually("it says that it ends", async || is_ending(&child).await).await;
        assert_eq!(status(&child, "/readyz").await, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(status(&child, "/livez").await, StatusCode::OK);
        let (status, problem) = child.get(READ).await;
        assert_eq!(
            (status, code(&problem)),
            (StatusCode::SERVICE_UNAVAILABLE, "draining")
        );
        assert_eq!(problem["outcome"], "not_sent");
        assert!(
            problem["retry_after_seconds"]
                .as_u64()
                .is_some_and(|seconds| seconds >= 1),
            "{problem}"
        );
        let (status, problem) = child.post("/v1/devices", &json!({})).await;
        assert_eq!(
            (status, code(&problem)),
            (StatusCode::SERVICE_UNAVAILABLE, "draining")
        );
    };
    let (answers, ()) = tokio::join!(reads, end);
    for (status, body) in answers {
        assert_eq!(status, StatusCode::OK, "a read in flight was given up: {body}");
    }
    let status = child.ended().await;
    assert_eq!(status.code(), Some(0), "{status}: {:?}", child.lines());
    assert_eq!(device.stats().count("close-session"), device.stats().sessions);
    eventually("no connection is left", async || {
        device.stats().open_connections == 0
    })
    .await;
    assert_eq!(child.log("session lost").len(), 0);
    let database = child.directory().join("inventory.db");
    let next =
        TestGateway::with(|settings| settings.database = Some(format!("sqlite://{}", database.display())))
            .await;
    invariants::hold("row 29", &next, "mx1", &device).await;
    next.stop().await;
    // Who probes it, and who comes late, is told; the log is not full of it.
    assert_eq!(child.log("request failed").len(), 0, "{:?}", child.lines());
    device.stop().await;
}

/// D1: who watches the health of the gateway is told that it ends, and is not waited for.
#[tokio::test]
async fn health_watchers_are_told_and_not_waited_for() {
    let mut child = Child::start(&[]).await;
    let channel = tonic::transport::Endpoint::from_shared(child.url(""))
        .expect("an address")
        .connect()
        .await
        .expect("a connection");
    let mut health = tonic_health::pb::health_client::HealthClient::new(channel);
    let request = tonic_health::pb::HealthCheckRequest::default();
    let mut watched = health.watch(request).await.expect("a stream").into_inner();
    let first = watched.message().await.expect("a message").expect("one");
    assert_eq!(first.status, 1, "SERVING");
    child.signal("TERM");
    let last = watched.message().await.expect("a message").expect("one");
    assert_eq!(last.status, 2, "NOT_SERVING");
    let end = watched.message().await.expect_err("it is over");
    assert_eq!(end.code(), tonic::Code::Unavailable);
    assert_eq!(child.ended().await.code(), Some(0), "{:?}", child.lines());
    assert_eq!(child.log("did not end in time").len(), 0);
}

/// D1: SIGINT is as polite, and an idle gateway ends at once.
#[tokio::test]
async fn sigint_ends_an_idle_gateway() {
    let mut child = Child::start(&[]).await;
    let device = listen(junos()).await;
    child.add("mx1", &device, json!({})).await;
    assert_eq!(child.get(READ).await.0, StatusCode::OK);
    child.signal("INT");
    assert_eq!(child.ended().await.code(), Some(0), "{:?}", child.lines());
    assert_eq!(device.stats().count("close-session"), 1);
    device.stop().await;
}

/// D1: the second signal does not wait.
#[tokio::test]
async fn second_signal_ends_at_once() {
    let mut child = Child::start(&[]).await;
    let device = listen(junos()).await;
    child.add("mx1", &device, json!({})).await;
    device.faults().add(Rule::on(UPTIME, Fault::Swallow));
    let read = tokio::spawn(child.request(Method::GET, READ).send());
    eventually("it was sent", async || device.stats().count(UPTIME) == 1).await;
    child.signal("TERM");
    eventually("it is ending", async || {
        child.log("ending: what is in flight may finish").len() == 1
    })
    .await;
    child.signal("TERM");
    child.ended().await;
    assert_eq!(child.log("ending at once, at the second signal").len(), 1);
    assert!(read.await.expect("no panic").is_err(), "nobody could answer");
    device.stop().await;
}

/// D1: what does not end in time is cut, not waited for without bound.
#[tokio::test]
async fn drain_has_a_bound() {
    let mut child = Child::start(&["--drain-seconds", "1"]).await;
    let device = listen(junos()).await;
    child.add("mx1", &device, json!({})).await;
    device.faults().add(Rule::on(UPTIME, Fault::Swallow));
    let read = tokio::spawn(child.request(Method::GET, READ).send());
    eventually("it was sent", async || device.stats().count(UPTIME) == 1).await;
    child.signal("TERM");
    assert_eq!(child.ended().await.code(), Some(0), "{:?}", child.lines());
    assert!(read.await.expect("no panic").is_err(), "nobody could answer");
    device.stop().await;
}

/// D1, S29: a commit that depends on its session is undone when the gateway ends, which takes the device a while. That is
/// waited for within the drain time, stored and logged; what takes longer is unknown, and found out by the next start.
#[tokio::test]
async fn a_rollback_that_takes_time_is_waited_for() {
    for (drain, takes, state, change_state) in [
        ("30", 2, "rolled_back", "rolled_back"),
        ("1", 5, "unknown", "unknown"),
    ] {
        let mut child = Child::start(&["--drain-seconds", drain]).await;
        let slow = Quirk::SlowRollback(Duration::from_secs(takes));
        let device = junos().profile(Profile::Rfc10).quirk(slow).system_time();
        let device = listen(device).await;
        child.add("mx1", &device, json!({})).await;
        let before = running(&device);
        let body = json!({
            "edits": to_contact(Profile::Rfc10, "east"),
            "commit": {"confirm_timeout_seconds": 600},
        });
        let (status, change) = child.post("/v1/devices/mx1/changes", &body).await;
        assert_eq!(status, StatusCode::CREATED, "{change}");

        child.signal("TERM");
        let ended = child.ended().await;
        assert_eq!(ended.code(), Some(0), "{:?}", child.lines());
        let words = "the gateway ends, and a confirmed commit is undone by that";
        assert_eq!(child.log(words).len(), 1, "{:?}", child.lines());
        let file = child.directory().join("inventory.db");
        let mut database = open(&file).await;
        let (stored, of_change): (String, String) =
            sqlx::query_as("SELECT confirmed_commits.state, changes.state FROM confirmed_commits, changes")
                .fetch_one(&mut database)
                .await
                .expect("one of each");
        assert_eq!((stored.as_str(), of_change.as_str()), (state, change_state));
        database.close().await.expect("it closes");
        if state == "rolled_back" {
            assert_eq!(running(&device), before, "it was not told before it was so");
        }

        let database = format!("sqlite://{}", file.display());
        let next = TestGateway::with(|settings| settings.database = Some(database)).await;
        let commit = change["confirmed_commit_id"].as_str().expect("an id");
        let ended = commit_ends_as(&next, Door::Rest, commit, "rolled_back").await;
        assert_eq!(ended["reason"], "session_lost", "{ended}");
        assert_eq!(running(&device), before);
        invariants::hold("D1", &next, "mx1", &device).await;
        next.stop().await;
    }
}

/// A change over gRPC that waits for the lock as long as `wait` says.
async fn change_by_grpc(url: String, wait_seconds: u64) -> Refusal {
    let channel = tonic::transport::Endpoint::from_shared(url).expect("an address");
    let request = proto::CreateChangeRequest {
        device: "mx1".to_owned(),
        edits: vec![proto::Edit {
            change: Some(proto::edit::Change::Content(
                r#"{"snmp":{"contact":"grpc"}}"#.to_owned(),
            )),
            ..Default::default()
        }],
        wait_seconds,
        ..Default::default()
    };
    let channel = channel.connect().await.expect("a connection");
    let answer = ChangeServiceClient::new(channel).create_change(request).await;
    Refusal::of_status(&answer.expect_err("the gateway ends"))
}

/// D1, H2, H3: who waits for what another has, in the gateway or on the device, is told at once that the gateway ends; what
/// becomes free by its end is not taken, and nothing that had not begun is done.
#[tokio::test]
async fn who_waits_for_a_lock_is_told_that_the_gateway_ends() {
    for elsewhere in [true, false] {
        let mut child = Child::start(&[]).await;
        let device = listen(junos()).await;
        child.add("mx1", &device, json!({})).await;
        let console = device.console("noc");
        if elsewhere {
            console.configure_exclusive().expect("the lock");
        } else {
            let (status, opened) = child.post("/v1/devices/mx1/edit-sessions", &json!({})).await;
            assert_eq!(status, StatusCode::CREATED, "{opened}");
        }
        let edits = json!([{"config": {"snmp": {"contact": "rest"}}}]);
        let change = json!({"edits": edits, "wait_seconds": 300});
        let open_session = json!({"wait_seconds": 300});
        let waiting = async {
            tokio::join!(
                child.post("/v1/devices/mx1/changes", &change),
                child.post("/v1/devices/mx1/edit-sessions", &open_session),
                change_by_grpc(child.url(""), 300),
            )
        };
        let end = async {
            eventually(
                "one waits for the device or for a turn, and the others for it",
                async || {
                    let tried = device.stats().count("lock") > 1 || !elsewhere;
                    let (_, shown) = child.get("/v1/devices/mx1").await;
                    let queued = shown["connection"]["queued"].as_u64();
                    tried && queued >= Some(if elsewhere { 2 } else { 3 })
                },
            )
            .await;
            child.signal("TERM");
            tokio::time::Instant::now()
        };
        let ((change, opened, by_grpc), signalled) = tokio::join!(waiting, end);
        let took = signalled.elapsed();
        assert!(took < Duration::from_secs(15), "{took:?}");
        for (status, problem) in [change, opened] {
            let refusal = Refusal::of_problem(status, &problem);
            assert_eq!(refusal.verdict(), ("draining", "not_sent"), "{problem}");
            assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        }
        assert_eq!(by_grpc.verdict(), ("draining", "not_sent"), "{by_grpc:?}");
        assert_eq!(child.ended().await.code(), Some(0), "{:?}", child.lines());
        assert_eq!(device.stats().count("load-configuration"), 0);
        console.leave_configuration();

        let next = child.again(&[]).await;
        let (_, recorded) = next.get("/v1/devices/mx1/changes").await;
        let changes = recorded["changes"].as_array().expect("a list");
        assert_eq!(changes.len(), 2, "{recorded}");
        for change in changes {
            assert_eq!(
                (&change["state"], &change["outcome"], &change["error"]["code"]),
                (&json!("failed"), &json!("not_sent"), &json!("draining")),
                "{change}"
            );
        }
        drop(next);
        device.stop().await;
    }
}
