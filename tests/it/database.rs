//! An inventory that cannot be written: changes are refused without effect, reads go on, and it recovers by itself.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::json;
use sqlx::Executor;

use crate::support::child::{Child, device_body};
use crate::support::confirmed::{clock, pass};
use crate::support::database::open;
use crate::support::program::run;
use crate::support::{TestGateway, answer, code, junos, listen};

const READ: &str = "/v1/devices/mx1/rpc/get-system-uptime-information";

/// Fault 25, X12: a lock that somebody else holds on the database.
#[tokio::test]
async fn locked_database_refuses_changes_and_serves_reads() {
    let child = Child::start(&[]).await;
    let device = listen(junos()).await;
    child.add("mx1", &device, json!({})).await;
    let mut other = open(&child.directory().join("inventory.db")).await;
    other.execute("BEGIN IMMEDIATE").await.expect("the lock is free");

    let second = device_body("mx2", &device, json!({}));
    let created = child.post("/v1/devices", &second);
    let patched = child.request(Method::PATCH, "/v1/devices/mx1");
    let patched = patched
        .header("Content-Type", "application/merge-patch+json")
        .body("{\"labels\": {\"a\": \"b\"}}");
    let removed = child.request(Method::DELETE, "/v1/devices/mx1");
    let reads = async {
        for path in [READ, "/v1/devices", "/v1/devices/mx1"] {
            let (status, body) = child.get(path).await;
            assert_eq!(status, StatusCode::OK, "GET {path}: {body}");
        }
    };
    let (created, patched, removed, ()) = tokio::join!(created, answer(patched), answer(removed), reads);
    for (status, problem) in [created, patched, removed] {
        assert_eq!(
            (status, code(&problem)),
            (StatusCode::SERVICE_UNAVAILABLE, "store-unavailable"),
            "{problem}"
        );
        assert_eq!(problem["outcome"], "not_sent");
        assert_eq!(problem["retryable"], true);
        assert!(
            problem["retry_after_seconds"]
                .as_u64()
                .is_some_and(|seconds| seconds >= 1),
            "{problem}"
        );
    }

    other.execute("ROLLBACK").await.expect("the lock is given back");
    child.add("mx2", &device, json!({})).await;
    let (_, devices) = child.get("/v1/devices").await;
    let names: Vec<_> = devices["devices"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|one| one["name"].clone())
        .collect();
    assert_eq!(names, ["mx1", "mx2"], "nothing was done in part");
    device.stop().await;
}

/// Fault 25: a disk that takes nothing more. The limit on file sizes stands in for it: growing the database or its
/// log fails as it does on a full disk.
#[tokio::test]
async fn full_disk_refuses_changes_and_serves_reads() {
    let child = Child::start_by("trap '' XFSZ; ulimit -f 1024", &[]).await;
    let device = listen(junos()).await;
    child.add("mx1", &device, json!({})).await;
    let padding = "x".repeat(60_000);
    let mut refused = None;
    for n in 0..40 {
        let key = json!({"auth": {"password": "p".repeat(4000), "keyboard_interactive":
            (0..16).map(|m| json!({"prompt": format!("{m}"), "answer": &padding[..4000]})).collect::<Vec<_>>()}});
        let (status, body) = child
            .post("/v1/devices", &device_body(&format!("big-{n}"), &device, key))
            .await;
        if status != StatusCode::CREATED {
            refused = Some((status, body));
            break;
        }
    }
    let (status, problem) = refused.expect("40 devices of 64 KiB do not fit into 512 KiB");
    assert_eq!(
        (status, code(&problem)),
        (StatusCode::SERVICE_UNAVAILABLE, "store-unavailable"),
        "{problem}"
    );
    assert_eq!(problem["outcome"], "not_sent");
    for path in [READ, "/v1/devices/mx1", "/v1/devices"] {
        let (status, body) = child.get(path).await;
        assert_eq!(status, StatusCode::OK, "GET {path}: {body}");
    }
    device.stop().await;
}

/// Fault 25: a file that is taken away under a running gateway. What would be written is not kept, so it is refused.
#[tokio::test]
async fn deleted_database_refuses_changes_and_serves_reads() {
    let child = Child::start(&[]).await;
    let device = listen(junos()).await;
    child.add("mx1", &device, json!({})).await;
    for name in ["inventory.db", "inventory.db-wal", "inventory.db-shm"] {
        std::fs::remove_file(child.directory().join(name)).expect("it is there");
    }
    let (status, problem) = child
        .post("/v1/devices", &device_body("mx2", &device, json!({})))
        .await;
    assert_eq!(
        (status, code(&problem)),
        (StatusCode::SERVICE_UNAVAILABLE, "store-unavailable"),
        "{problem}"
    );
    assert_eq!(problem["outcome"], "not_sent");
    for path in [READ, "/v1/devices/mx1", "/v1/devices"] {
        let (status, body) = child.get(path).await;
        assert_eq!(status, StatusCode::OK, "GET {path}: {body}");
    }
    let readiness = child.request(Method::GET, "/readyz");
    let readiness = readiness.send().await.expect("an answer");
    assert_eq!(readiness.status(), StatusCode::SERVICE_UNAVAILABLE);
    device.stop().await;
}

/// X12: a database in which the device cannot be looked up. It is read as it was known last, and nothing is changed on it.
#[tokio::test]
async fn unreadable_database_refuses_changes_and_serves_reads() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("inventory.db");
    let url = format!("sqlite://{}", file.display());
    let clock = clock();
    let gateway = TestGateway::at(clock.clone(), |settings| settings.database = Some(url)).await;
    let device = listen(junos().clock(clock)).await;
    gateway.add("mx1", &device, json!({})).await;
    gateway.read(READ).await;
    let mut other = open(&file).await;
    other.execute("PRAGMA legacy_alter_table = ON").await.unwrap();
    other
        .execute("ALTER TABLE devices RENAME TO hidden")
        .await
        .unwrap();
    // What was read a moment ago does not count any more by itself.
    pass(Duration::from_secs(5)).await;
    let (status, body) = gateway.get(READ).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    let edit = json!({"edits": [{"format": "set", "config": "set snmp contact east"}]});
    other
        .execute("CREATE TRIGGER frozen BEFORE INSERT ON changes BEGIN SELECT RAISE(ABORT, 'frozen'); END")
        .await
        .unwrap();
    let (status, problem) = gateway.post("/v1/devices/mx1/changes", &edit).await;
    assert_eq!(
        (status, code(&problem)),
        (StatusCode::SERVICE_UNAVAILABLE, "store-unavailable"),
        "{problem}"
    );
    assert_eq!(problem["outcome"], "not_sent");
}

/// A PostgreSQL server that is not there is told at once, with its place and without the password.
#[tokio::test]
async fn unreachable_postgresql_is_told_at_once() {
    // Reserved and never listened on, so that a connect is refused.
    let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
    socket.bind(([127, 0, 0, 1], 0).into()).expect("a free port");
    let server = socket.local_addr().expect("an address");
    let url = format!("postgres://ncgate:canary@{server}/ncgate");
    let started = std::time::Instant::now();
    let ran = run(&["serve", "--listen", "127.0.0.1:0", "--database", &url], "").await;
    assert!(started.elapsed() < Duration::from_secs(8), "{ran:?}");
    assert_eq!(ran.code, 1, "{ran:?}");
    let told = format!("ncgate: cannot connect to the PostgreSQL server at {server}: ");
    assert!(ran.err.contains(&told), "{ran:?}");
    assert!(ran.err.contains("refused"), "{ran:?}");
    assert!(!ran.err.contains("canary"), "{ran:?}");
}
