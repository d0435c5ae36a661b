//! What must be as before after every fault (quality section 1): tasks, descriptors, memory, sessions and queue.

use std::time::Duration;

use ncgate::emulator::{Fault, Profile, Rule, RunningEmulator};
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::child::Child;
use crate::support::{TestGateway, answer, eventually, junos, listen};

const UPTIME: &str = "get-system-uptime-information";
const READ: &str = "/v1/devices/mx1/rpc/get-system-uptime-information";

/// One of each kind of harm that a device does to a reply, and the status of the read that suffers it.
fn faults_of_replies() -> Vec<(Rule, u16)> {
    let once = |fault: Fault, status: u16| (Rule::on(UPTIME, fault).once(), status);
    let garbage = || b"%% core dumped\n".to_vec();
    vec![
        once(Fault::DropBeforeReply, 200),
        (Rule::on(UPTIME, Fault::DropBeforeReply).times(3), 502),
        once(Fault::DropAfter(200), 502),
        once(Fault::NeverReply, 504),
        once(Fault::Swallow, 504),
        once(Fault::WrongMessageId, 502),
        once(Fault::GarbageBefore(garbage()), 502),
        once(Fault::GarbageAfter(garbage()), 200),
        once(Fault::DuplicateReply, 200),
        once(Fault::BadChunk, 502),
        once(Fault::MalformedXml, 502),
        once(Fault::DeepXml(100_000), 502),
        once(Fault::HugeReply(2 << 20), 200),
        once(
            Fault::Trickle {
                bytes: 1,
                pause: Duration::from_millis(50),
            },
            504,
        ),
    ]
}

/// One of each way in which a connect fails after TCP.
fn faults_of_connects() -> Vec<Fault> {
    vec![
        Fault::RefuseConnection,
        Fault::HangUpAtLogin,
        Fault::RefuseAuthentication,
        Fault::RefuseSubsystem,
        Fault::NoHello,
        Fault::CloseBeforeHello,
        Fault::MalformedHello,
        Fault::HelloText("<foo/>".to_owned()),
    ]
}

/// Lets `mx1` do all of it, once. `request` makes a request to the gateway.
async fn suffer(request: impl Fn(Method, &str) -> RequestBuilder, device: &RunningEmulator) {
    for (rule, expected) in faults_of_replies() {
        let name = format!("{rule:?}");
        let id = device.faults().add(rule);
        let seconds = if expected == 504 { "1" } else { "20" };
        let (status, body) = answer(request(Method::GET, READ).header("Request-Timeout", seconds)).await;
        assert_eq!(status, expected, "{name}: {:.200}", body.to_string());
        device.faults().remove(id);
        // A session that is to end because of what followed its reply may end during the next read.
        eventually("the device is read again", async || {
            answer(request(Method::GET, READ)).await.0 == StatusCode::OK
        })
        .await;
    }
    for fault in faults_of_connects() {
        let name = format!("{fault:?}");
        device.drop_connections();
        let id = device.faults().add(Rule::always(fault));
        let (status, _) = answer(request(Method::POST, "/v1/devices/mx1/check").json(&json!({}))).await;
        assert!(status.is_server_error(), "{name}: {status}");
        device.faults().remove(id);
        let (status, body) = answer(request(Method::POST, "/v1/devices/mx1/check").json(&json!({}))).await;
        assert_eq!(status, StatusCode::OK, "{name}: {body}");
    }
    // Whoever asks leaves: in the queue, and with the request on its way.
    let id = device
        .faults()
        .add(Rule::on(UPTIME, Fault::Delay(Duration::from_millis(300))));
    let leaving =
        (0..10).map(|_| tokio::time::timeout(Duration::from_millis(100), request(Method::GET, READ).send()));
    let left = futures_util::future::join_all(leaving).await;
    assert!(left.iter().all(Result::is_err));
    device.faults().remove(id);
    eventually("all is quiet", async || {
        let (_, shown) = answer(request(Method::GET, "/v1/devices/mx1")).await;
        let (_, sessions) = answer(request(Method::GET, "/v1/devices/mx1/sessions")).await;
        shown["connection"]["queued"] == 0 && !sessions.to_string().contains("\"busy\"")
    })
    .await;
}

/// Quality section 1: after every fault of the device, each task that it cost has ended.
#[tokio::test]
async fn faults_leave_no_task_behind() {
    let gateway = TestGateway::with(|settings| settings.reply_memory_bytes = Some("1MiB".to_owned())).await;
    let device = listen(junos().profile(Profile::JunosRfc11)).await;
    gateway
        .add(
            "mx1",
            &device,
            json!({"timeouts": {"connect_seconds": 1}, "pool": {"max_sessions": 1}}),
        )
        .await;
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    // A connection of its own for each request, so that none is left over.
    let client = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0);
    let client = client.build().expect("a client");
    let request = |method: Method, path: &str| client.request(method, gateway.url(path));
    suffer(request, &device).await;
    let before = tasks();
    suffer(request, &device).await;
    eventually("every task has ended", async || tasks() <= before).await;
    gateway.stop().await;
    device.stop().await;
}

/// Quality section 1: neither descriptors nor memory grow with the faults that were survived.
#[tokio::test]
async fn faults_leave_no_descriptor_and_no_memory_behind() {
    let child = Child::start(&["--reply-memory-bytes", "1MiB"]).await;
    let device = listen(junos().profile(Profile::JunosRfc11)).await;
    let settings = json!({"timeouts": {"connect_seconds": 1}, "pool": {"max_sessions": 1}});
    child.add("mx1", &device, settings).await;
    let request = |method: Method, path: &str| child.request(method, path);
    suffer(request, &device).await;
    let (descriptors, memory) = (child.descriptors(), child.memory_kib("VmRSS"));
    for _ in 0..2 {
        suffer(request, &device).await;
    }
    eventually("every descriptor is closed", async || {
        child.descriptors() <= descriptors
    })
    .await;
    assert!(child.spooled().is_empty());
    let grown = child.memory_kib("VmRSS").saturating_sub(memory);
    assert!(grown < 16 << 10, "{grown} KiB more than after the first round");
    device.stop().await;
}

/// A frame of HTTP/2 (RFC 9113 section 4.1).
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a short frame").to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A header whose name has this index in the static table of HPACK, not to be remembered (RFC 7541 section 6.2.2).
fn header(index: u8, value: &str) -> Vec<u8> {
    // Four bits hold the index; what is more follows.
    let name = if index < 15 {
        vec![index]
    } else {
        vec![15, index - 15]
    };
    let length = u8::try_from(value.len()).expect("a short value");
    [&name[..], &[length], value.as_bytes()].concat()
}

/// Opens streams, so many at once, waits for what `begun` waits for, and resets them; again and again, until the gateway
/// has had enough. Whether it has said so.
async fn reset_flood(
    gateway: &TestGateway,
    (flags, head): (u8, &[u8]),
    at_once: u32,
    begun: impl AsyncFn(),
) -> bool {
    const ROUNDS: u32 = 100;
    let stream = TcpStream::connect(gateway.address()).await.expect("a connection");
    let (mut reader, mut writer) = stream.into_split();
    let reading = tokio::spawn(async move {
        let mut taken = Vec::new();
        // However it ends, it ends.
        let _ = reader.read_to_end(&mut taken).await;
        memchr::memmem::find(&taken, b"too_many_resets").is_some()
    });
    let preface = [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), frame(4, 0, 0, &[])];
    writer.write_all(&preface.concat()).await.expect("it is taken");
    for round in 0..ROUNDS {
        let streams = (0..at_once).map(|number| 2 * (round * at_once + number) + 1);
        let heads: Vec<u8> = streams
            .clone()
            .flat_map(|stream| frame(1, flags, stream, head))
            .collect();
        // CANCEL
        let resets: Vec<u8> = streams
            .flat_map(|stream| frame(3, 0, stream, &8_u32.to_be_bytes()))
            .collect();
        if writer.write_all(&heads).await.is_err() {
            break;
        }
        begun().await;
        if writer.write_all(&resets).await.is_err() {
            break;
        }
    }
    drop(writer);
    reading.await.expect("no panic")
}

/// Quality row 35: streams that are opened and reset without end, through both doors, cost nothing that lasts; other
/// callers are served meanwhile.
#[tokio::test]
async fn reset_floods_leave_nothing_behind() {
    let gateway = TestGateway::start().await;
    let device = listen(junos()).await;
    let settings = json!({"pool": {"max_sessions": 1}});
    gateway.add("mx1", &device, settings).await;
    let other = listen(junos()).await;
    gateway.add("mx2", &other, json!({})).await;
    let calm = "/v1/devices/mx2/rpc/get-system-uptime-information";
    gateway.read(READ).await;
    gateway.read(calm).await;
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let authority = gateway.address().to_string();
    let rest = [vec![0x82, 0x86], header(4, READ), header(1, &authority)].concat();
    let method = "/ncgate.v1.RpcService/ReadNamedRpc";
    let content_type = header(31, "application/grpc");
    let grpc = [
        vec![0x83, 0x86],
        header(4, method),
        header(1, &authority),
        content_type,
    ]
    .concat();
    let before = tasks();
    // The gateway may begin with some; that it does is certain once the device was asked.
    let some_turns = async || {
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
    };
    let asked_once = async || {
        eventually("the device is asked", async || device.stats().count(UPTIME) > 1).await;
        some_turns().await;
    };
    // END_HEADERS, and END_STREAM where no message follows.
    let (rest, grpc) = ((0x5, &rest[..]), (0x4, &grpc[..]));
    let flood = async {
        for what in [rest, grpc] {
            assert!(
                reset_flood(&gateway, what, 100, async || {}).await,
                "it takes them all"
            );
        }
        reset_flood(&gateway, rest, 10, asked_once).await;
        reset_flood(&gateway, grpc, 10, some_turns).await;
    };
    let others = async {
        for _ in 0..40 {
            gateway.read(calm).await;
        }
    };
    tokio::join!(flood, others);
    eventually("every task has ended", async || tasks() <= before).await;
    let shown = gateway.read("/v1/devices/mx1").await;
    assert_eq!(shown["connection"]["queued"], 0, "{shown}");
    gateway.read(READ).await;
    let metrics = gateway
        .http
        .get(gateway.url("/metrics"))
        .send()
        .await
        .expect("an answer");
    let metrics = metrics.text().await.expect("text");
    assert!(metrics.contains("\nncgate_panics_total 0\n"), "{metrics}");
    gateway.stop().await;
}
