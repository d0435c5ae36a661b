//! Memory, disk, time and descriptors: what is huge, slow or too many has a bound.

use std::time::Duration;

use bytes::Buf;
use futures_util::StreamExt;
use ncgate::emulator::{Fault, Rule};
use reqwest::{Method, StatusCode};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::support::child::Child;
use crate::support::{TestGateway, answer, code, eventually, junos, listen};

const INTERFACES: &str = "get-interface-information";
const READ: &str = "/v1/devices/mx1/rpc/get-interface-information?terse";
const SMALL: &str = "/v1/devices/mx1/rpc/get-system-uptime-information";
const HUGE: u64 = 80 << 20;

/// The interface that the emulated device puts at this place of a huge reply, as its XML and as our JSON.
fn interface(number: u64) -> (String, String) {
    let name = format!("ge-{}/{}/{}", number / 4096, number / 64 % 64, number % 64);
    let status = if number.is_multiple_of(3) { "down" } else { "up" };
    let index = 500 + number;
    let xml = format!(
        "<physical-interface>\n<name>{name}</name>\n<admin-status>up</admin-status>\n\
         <oper-status>{status}</oper-status>\n<snmp-index>{index}</snmp-index>\n</physical-interface>\n"
    );
    let json = format!(
        "{{\"name\":\"{name}\",\"admin-status\":\"up\",\"oper-status\":\"{status}\",\"snmp-index\":\"{index}\"}}"
    );
    (xml, json)
}

/// The JSON of all interfaces of a reply of at least `wanted` bytes, in order.
struct Expected {
    wanted: u64,
    made: u64,
    next: u64,
    pending: Vec<u8>,
}

impl Expected {
    fn of(wanted: u64) -> Self {
        Self {
            wanted,
            made: 0,
            next: 0,
            pending: Vec::new(),
        }
    }

    /// The next `count` bytes, or what is left.
    fn take(&mut self, count: usize) -> Vec<u8> {
        while self.pending.len() < count && self.made < self.wanted {
            let (xml, json) = interface(self.next);
            if self.next > 0 {
                self.pending.push(b',');
            }
            self.pending.extend_from_slice(json.as_bytes());
            self.made += xml.len() as u64;
            self.next += 1;
        }
        let rest = self.pending.split_off(count.min(self.pending.len()));
        std::mem::replace(&mut self.pending, rest)
    }
}

/// Q8, H14, X3, fault 10: a reply ten times larger than what may lie in memory is complete at the caller, memory stays
/// bounded, and nothing stays on the disk.
#[tokio::test]
async fn huge_reply_is_complete_and_memory_is_bounded() {
    let child = Child::start(&[]).await;
    let device = listen(junos()).await;
    child
        .add("mx1", &device, json!({"timeouts": {"rpc_seconds": 120}}))
        .await;
    assert_eq!(child.get(SMALL).await.0, StatusCode::OK);
    let idle = child.memory_kib("VmRSS");

    device
        .faults()
        .add(Rule::on(INTERFACES, Fault::HugeReply(HUGE)).once());
    let response = child.request(Method::GET, READ).send().await.expect("an answer");
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(child.spooled().len(), 1, "the reply lies in a file");
    let mut body = response.bytes_stream();
    let mut expected = Expected::of(HUGE);
    let mut tail = Vec::new();
    let mut began = false;
    while let Some(piece) = body.next().await {
        let mut piece = piece.expect("the answer does not break off");
        if !began {
            let start = piece
                .windows(4)
                .position(|bytes| bytes == b"\":[{")
                .expect("a list begins in the first piece");
            piece.advance(start + 3);
            began = true;
        }
        // Every interface in turn, each with its own values; nothing lost, doubled or swapped.
        let wanted = expected.take(piece.len());
        assert!(
            piece.starts_with(&wanted),
            "not as sent near interface {}",
            expected.next
        );
        tail.extend_from_slice(&piece[wanted.len()..]);
        assert!(tail.len() < 4096, "more came than was sent");
    }
    assert!(
        expected.made >= HUGE && expected.take(1).is_empty(),
        "{} bytes came",
        expected.made
    );
    let tail = String::from_utf8(tail).expect("text");
    assert!(
        tail.starts_with("]}}") && tail.contains("\"complete\":true"),
        "{tail}"
    );

    let grown = child.memory_kib("VmHWM").saturating_sub(idle);
    assert!(
        grown < 64 * 1024,
        "resident memory grew by {grown} KiB over {idle} KiB"
    );
    eventually("the spool is empty", async || child.spooled().is_empty()).await;
    let left = std::fs::read_dir(child.directory().join("spool"))
        .expect("the spool directory")
        .count();
    assert_eq!(left, 0);
    assert_eq!(child.get(SMALL).await.0, StatusCode::OK);
    assert_eq!(device.stats().sessions, 1);
    device.stop().await;
}

/// Q8: what is larger than a reply may be is refused, and the next request works.
#[tokio::test]
async fn reply_beyond_the_bound_is_refused() {
    let gateway = TestGateway::with(|settings| settings.max_reply_bytes = Some("1MiB".to_owned())).await;
    let device = listen(junos()).await;
    gateway.add("mx1", &device, json!({})).await;
    device
        .faults()
        .add(Rule::on(INTERFACES, Fault::HugeReply(3 << 20)).once());
    let (status, problem) = gateway.get(READ).await;
    assert_eq!(
        (status, code(&problem)),
        (StatusCode::BAD_GATEWAY, "reply-too-large")
    );
    assert_eq!(problem["outcome"], "not_applied");
    gateway.read(SMALL).await;
    gateway.stop().await;
    device.stop().await;
}

/// A caller with a small window, who has asked for a large reply and does not read.
async fn slow_caller(gateway: &TestGateway) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(4096).expect("a socket option");
    let mut stream = socket.connect(gateway.address()).await.expect("a connection");
    let request = format!("GET {READ} HTTP/1.1\r\nHost: {}\r\n\r\n", gateway.address());
    stream.write_all(request.as_bytes()).await.expect("a request");
    stream
}

/// Q8, fault 11: a caller who takes next to nothing is cut; the session was free long before, and the file is gone.
#[tokio::test]
async fn slow_caller_is_cut_and_the_session_is_unharmed() {
    let spool = tempfile::tempdir().expect("a directory");
    let gateway = TestGateway::with(|settings| {
        settings.slow_caller_seconds = Some("1".to_owned());
        settings.reply_memory_bytes = Some("1MiB".to_owned());
        settings.spool_directory = Some(spool.path().display().to_string());
    })
    .await;
    let device = listen(junos()).await;
    gateway
        .add("mx1", &device, json!({"pool": {"max_sessions": 1}}))
        .await;
    let before = gateway.read(SMALL).await;
    device
        .faults()
        .add(Rule::on(INTERFACES, Fault::HugeReply(12 << 20)).once());
    let mut slow = slow_caller(&gateway).await;
    eventually("the reply was asked for", async || {
        device.stats().count(INTERFACES) == 1
    })
    .await;

    let during = gateway.read(SMALL).await;
    assert_eq!(
        during["session_id"], before["session_id"],
        "the one session waits for no caller"
    );

    let mut first = [0; 15];
    slow.read_exact(&mut first).await.expect("the head comes");
    assert_eq!(&first, b"HTTP/1.1 200 OK");
    // The connection is closed by the gateway, long before all was taken.
    tokio::time::sleep(Duration::from_millis(2500)).await;
    let mut rest = Vec::new();
    let ended = tokio::time::timeout(Duration::from_secs(5), slow.read_to_end(&mut rest)).await;
    // Either way of ending will do, but not the whole answer.
    let _ = ended.expect("the connection was cut");
    assert!(rest.len() < 8 << 20, "{} bytes came", rest.len());
    assert!(
        !rest.ends_with(b"0\r\n\r\n"),
        "a cut answer must not look like a whole one"
    );
    let after = gateway.read(SMALL).await;
    assert_eq!(after["session_id"], before["session_id"]);
    gateway.stop().await;
    device.stop().await;
}

/// Fault 12: a caller who leaves in the middle of a large answer takes nothing along.
#[tokio::test]
async fn caller_who_leaves_a_large_answer_harms_nobody() {
    let child = Child::start(&["--reply-memory-bytes", "1MiB"]).await;
    let device = listen(junos()).await;
    child
        .add("mx1", &device, json!({"pool": {"max_sessions": 1}}))
        .await;
    device
        .faults()
        .add(Rule::on(INTERFACES, Fault::HugeReply(12 << 20)).once());
    let mut response = child.request(Method::GET, READ).send().await.expect("an answer");
    assert!(response.chunk().await.expect("a piece").is_some());
    assert_eq!(child.spooled().len(), 1);
    drop(response);
    eventually("the spool is empty", async || child.spooled().is_empty()).await;
    let (status, body) = child.get(SMALL).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    assert_eq!(device.stats().sessions, 1);
    device.stop().await;
}

/// Fault 34: without descriptors accepting pauses, nothing crashes, and it recovers.
#[tokio::test]
async fn exhausted_descriptors_are_survived() {
    let child = Child::start_by("ulimit -n 30", &[]).await;
    let mut crowd = Vec::new();
    for _ in 0..80 {
        crowd.push(
            TcpStream::connect(child.address())
                .await
                .expect("the backlog takes it"),
        );
    }
    eventually("the gateway has noticed", async || {
        !child.log("cannot accept a connection").is_empty()
    })
    .await;
    drop(crowd);
    eventually("it answers again", async || {
        let request = child
            .request(Method::GET, "/livez")
            .timeout(Duration::from_secs(1))
            .send()
            .await;
        request.is_ok_and(|response| response.status() == StatusCode::OK)
    })
    .await;
}

/// Fault 34: however many callers come, descriptors are left for devices and the database.
#[tokio::test]
async fn a_crowd_of_callers_leaves_descriptors_for_devices() {
    let child = Child::start_by("ulimit -n 128", &[]).await;
    let device = listen(junos()).await;
    child.add("mx1", &device, json!({})).await;
    let before = child.descriptors();
    let mut crowd = Vec::new();
    for _ in 0..150 {
        crowd.push(
            TcpStream::connect(child.address())
                .await
                .expect("the backlog takes it"),
        );
    }
    eventually("as many are in as may be", async || {
        child.descriptors() >= before + 60
    })
    .await;
    // Over the connection that there was before.
    let read = child.get("/v1/devices/mx1/rpc/get-system-uptime-information");
    let (status, body) = read.await;
    assert_eq!(status, StatusCode::OK, "{body}");
    assert!(child.log("cannot accept a connection").is_empty());
    drop(crowd);
    device.stop().await;
}

/// X3: a connection that says nothing, or only half a head, is closed in time.
#[tokio::test]
async fn silent_connections_are_closed() {
    let gateway = TestGateway::with(|settings| settings.header_timeout_seconds = Some("1".to_owned())).await;
    for said in ["", "GET /livez HTTP/1.1\r\nHost: a\r\n", "PRI * HTTP/2.0\r\n"] {
        let mut stream = TcpStream::connect(gateway.address()).await.expect("a connection");
        stream.write_all(said.as_bytes()).await.expect("it is taken");
        let mut rest = Vec::new();
        let ended = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut rest)).await;
        assert!(ended.is_ok(), "still open after {said:?}");
    }
    let (status, _) = answer(gateway.request(Method::GET, "/v1/version")).await;
    assert_eq!(status, StatusCode::OK);
    gateway.stop().await;
}
