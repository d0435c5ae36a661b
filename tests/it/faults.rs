//! What a device can do wrong inside SSH, and what callers see of it. After every fault the next request works.

use std::borrow::Cow;
use std::time::Duration;

use ncgate::emulator::{Fault, Profile, Rule, RunningEmulator};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::{TestGateway, code, eventually, junos, listen};

const UPTIME: &str = "get-system-uptime-information";
const READ: &str = "/v1/devices/mx1/rpc/get-system-uptime-information";

async fn metrics(gateway: &TestGateway) -> String {
    let response = gateway
        .http
        .get(gateway.url("/metrics"))
        .send()
        .await
        .expect("an answer");
    response.text().await.expect("text")
}

/// The next read works, whatever happened before.
async fn recovers(gateway: &TestGateway, after: &str) -> Value {
    let (status, body) = gateway.get(READ).await;
    assert_eq!(status, StatusCode::OK, "after {after}: {body}");
    assert!(
        body["data"].get("system-uptime-information").is_some(),
        "after {after}: {body}"
    );
    body
}

/// Row 3, Q3: lost before any byte of the reply came, a read is sent once more, and the caller sees nothing of it.
#[tokio::test]
async fn session_lost_before_the_reply_is_one_transparent_retry() {
    let (gateway, device) = TestGateway::with_device(junos()).await;
    device
        .faults()
        .add(Rule::on(UPTIME, Fault::DropBeforeReply).once());
    recovers(&gateway, "a drop").await;
    assert_eq!(device.stats().count(UPTIME), 2);
    assert_eq!(device.stats().sessions, 2);
    assert!(metrics(&gateway).await.contains("\nncgate_retries_total 1\n"));
    gateway.stop().await;
    device.stop().await;
}

/// Q3, H3: at most two repeats; then it is a bad gateway, because something was sent.
#[tokio::test]
async fn read_is_repeated_twice_at_most() {
    let (gateway, device) = TestGateway::with_device(junos()).await;
    device
        .faults()
        .add(Rule::on(UPTIME, Fault::DropBeforeReply).times(3));
    let (status, problem) = gateway.get(READ).await;
    assert_eq!(
        (status, code(&problem)),
        (StatusCode::BAD_GATEWAY, "session-lost")
    );
    assert_eq!(problem["outcome"], "not_applied");
    assert_eq!(device.stats().count(UPTIME), 3);
    recovers(&gateway, "three drops").await;
    gateway.stop().await;
    device.stop().await;
}

/// Q3, Q9: what is not known to only read is sent once, and its fate is told as it is: unknown.
#[tokio::test]
async fn other_rpc_is_sent_once_and_its_outcome_is_unknown() {
    let (gateway, device) = TestGateway::with_device(junos()).await;
    device
        .faults()
        .add(Rule::on("clear-interfaces-statistics", Fault::DropBeforeReply).once());
    let body = json!({"rpc": {"clear-interfaces-statistics": {"interface-name": "ge-0/0/0"}}});
    let (status, problem) = gateway.post("/v1/devices/mx1/rpc", &body).await;
    assert_eq!(status, StatusCode::BAD_GATEWAY, "{problem}");
    assert_eq!(problem["outcome"], "unknown");
    assert_eq!(problem["retryable"], false);
    assert_eq!(device.stats().count("clear-interfaces-statistics"), 1);
    gateway.stop().await;
    device.stop().await;
}

struct Case {
    name: &'static str,
    fault: Fault,
    profile: Profile,
    code: &'static str,
    /// Sent how often.
    sent: u64,
}

fn broken(name: &'static str, fault: Fault) -> Case {
    Case {
        name,
        fault,
        profile: Profile::Junos,
        code: "device-protocol-error",
        sent: 1,
    }
}

/// `<rpc-reply>` with the id that the first request of a caller has, and this inside.
fn message(prolog: &str, inside: &str) -> Fault {
    let base = "urn:ietf:params:xml:ns:netconf:base:1.0";
    Fault::MessageText(format!(
        "{prolog}<rpc-reply xmlns=\"{base}\" message-id=\"1\">{inside}</rpc-reply>"
    ))
}

fn protocol_faults() -> Vec<Case> {
    let attributes: String = (0..300).map(|n| format!(" a{n}=\"\"")).collect();
    let laughs = "<!DOCTYPE r [<!ENTITY a \"ha\"><!ENTITY b \"&a;&a;&a;&a;\">]>";
    let external = "<!DOCTYPE r [<!ENTITY e SYSTEM \"file:///etc/passwd\">]>";
    let mut cases = vec![
        Case {
            code: "session-lost",
            ..broken("connection lost within a frame", Fault::DropAfter(200))
        },
        Case {
            code: "session-lost",
            profile: Profile::JunosRfc11,
            ..broken("connection lost within a chunk", Fault::DropAfter(200))
        },
        broken("wrong message-id", Fault::WrongMessageId),
        broken(
            "garbage before the reply",
            Fault::GarbageBefore(b"%% license expired\r\n".to_vec()),
        ),
        broken(
            "binary before the reply",
            Fault::GarbageBefore(vec![0, 1, 2, 255, 254]),
        ),
        Case {
            profile: Profile::JunosRfc11,
            ..broken("bad chunk size", Fault::BadChunk)
        },
        broken("end tag missing", Fault::MalformedXml),
        broken("elements 101 deep", Fault::DeepXml(101)),
        broken("elements 100,000 deep", Fault::DeepXml(100_000)),
        broken(
            "entity that is not declared",
            Fault::ReplyWith("<a>&nope;</a>".into()),
        ),
        broken(
            "character reference to NUL",
            Fault::ReplyWith("<a>&#0;</a>".into()),
        ),
        broken("prefix that is not declared", Fault::ReplyWith("<x:a/>".into())),
        broken(
            "two attributes of one name",
            Fault::ReplyWith("<a b=\"1\" b=\"2\"/>".into()),
        ),
        broken("300 attributes", Fault::ReplyWith(format!("<a{attributes}/>"))),
        broken(
            "name of 2 KiB",
            Fault::ReplyWith(format!("<{}/>", "n".repeat(2048))),
        ),
        broken("DOCTYPE inside", Fault::ReplyWith("<!DOCTYPE a><a/>".into())),
        broken("DOCTYPE", message("<!DOCTYPE rpc-reply>", "")),
        broken("billion laughs", message(laughs, "<a>&b;</a>")),
        broken("external entity", message(external, "<a>&e;</a>")),
        broken(
            "two documents in one message",
            message("", "</rpc-reply><rpc-reply>"),
        ),
        broken("no reply at all", Fault::MessageText("<notification/>".into())),
        broken(
            "text only",
            Fault::MessageText("syntax error, expecting <rpc>".into()),
        ),
    ];
    for header in [
        "#0\n",
        "#01\n",
        "#-1\n",
        "#+1\n",
        "#4294967296\n",
        "#99999999999999999999\n",
        "#12",
        "#\n",
        "x\n",
    ] {
        let bytes = [b"\n", header.as_bytes(), b"aaaa\n##\n"].concat();
        let fault = Fault::GarbageBefore(bytes);
        cases.push(Case {
            profile: Profile::JunosRfc11,
            ..broken("chunk header", fault)
        });
    }
    cases
}

/// Rows 14 to 16, X3, Q5, threats 13 and 14: whatever a device sends that is no reply in good order is a 502 of its
/// own kind; the session is given up, never resynchronised, and the gateway goes on.
#[tokio::test]
async fn hostile_replies_are_protocol_errors_and_nothing_else_happens() {
    for profile in [Profile::Junos, Profile::JunosRfc11] {
        let (gateway, device) = TestGateway::with_device(junos().profile(profile)).await;
        recovers(&gateway, "nothing").await;
        for case in protocol_faults()
            .into_iter()
            .filter(|case| case.profile == profile)
        {
            let name = format!("{} ({:.60?})", case.name, case.fault);
            let (asked, sessions) = (device.stats().count(UPTIME), device.stats().sessions);
            device.faults().add(Rule::on(UPTIME, case.fault).once());
            let (status, problem) = gateway.get(READ).await;
            assert_eq!(
                (status, code(&problem)),
                (StatusCode::BAD_GATEWAY, case.code),
                "{name}: {problem}"
            );
            assert_eq!(problem["outcome"], "not_applied", "{name}");
            assert_eq!(problem["origin"], "device", "{name}");
            assert_eq!(device.stats().count(UPTIME), asked + case.sent, "{name}");
            recovers(&gateway, &name).await;
            assert_eq!(
                device.stats().sessions,
                sessions + 1,
                "{name}: the session was used again"
            );
        }
        gateway.stop().await;
        device.stop().await;
    }
}

/// Q5: none of these is the answer's fault; the caller gets it, and the session goes if it must.
#[tokio::test]
async fn faults_around_a_good_reply_do_not_spoil_it() {
    let (gateway, device) = TestGateway::with_device(junos()).await;
    for (name, fault, session_lives) in [
        (
            "no message-id while one is outstanding",
            Fault::MissingMessageId,
            true,
        ),
        ("the reply comes twice", Fault::DuplicateReply, false),
        (
            "garbage behind the reply",
            Fault::GarbageAfter(b"%% done\r\n]]>]]>".to_vec()),
            false,
        ),
    ] {
        let id = device.faults().add(Rule::on(UPTIME, fault).once());
        let first = recovers(&gateway, name).await;
        device.faults().remove(id);
        if !session_lives {
            eventually("the session is given up", async || {
                gateway.read("/v1/devices/mx1").await["connection"]["sessions"] == 0
            })
            .await;
        }
        let second = recovers(&gateway, name).await;
        assert_eq!(
            first["session_id"] == second["session_id"],
            session_lives,
            "{name}"
        );
    }
    gateway.stop().await;
    device.stop().await;
}

/// X3, S17: characters that XML cannot hold become U+FFFD, the answer says so, and the session lives.
#[tokio::test]
async fn characters_that_are_none_are_replaced_and_flagged() {
    for profile in [Profile::Junos, Profile::JunosRfc11] {
        let (gateway, device) = TestGateway::with_device(junos().profile(profile)).await;
        let clean = recovers(&gateway, "nothing").await;
        assert_eq!(clean["lossy"], false);
        for fault in [Fault::ControlCharacters, Fault::BadUtf8] {
            device.faults().add(Rule::on(UPTIME, fault.clone()).once());
            let (status, body) = gateway.get(READ).await;
            assert_eq!(status, StatusCode::OK, "{fault:?}: {body}");
            assert_eq!(body["lossy"], true, "{fault:?}");
            assert!(body["data"].to_string().contains('\u{fffd}'), "{fault:?}: {body}");
            let after = recovers(&gateway, "lossy text").await;
            assert_eq!(
                (&after["lossy"], &after["session_id"]),
                (&json!(false), &clean["session_id"]),
                "{fault:?}"
            );
        }
        gateway.stop().await;
        device.stop().await;
    }
}

/// S4, field pains 1: every way in which a connect can fail has its own code, and none of them hangs.
#[tokio::test]
async fn failed_connects_are_told_apart() {
    let gateway = TestGateway::start().await;
    let hello = |text: &str| Fault::HelloText(text.to_owned());
    let cases = [
        (Fault::RefuseConnection, 503, "device-unreachable", "not_sent"),
        (Fault::RefuseAuthentication, 502, "device-auth-failed", "not_sent"),
        (Fault::RefuseSubsystem, 502, "no-netconf-subsystem", "not_sent"),
        (Fault::NoHello, 504, "hello-timeout", "not_sent"),
        (Fault::CloseBeforeHello, 502, "bad-hello", "not_sent"),
        (Fault::MalformedHello, 502, "bad-hello", "not_sent"),
        (Fault::HelloWithoutSessionId, 502, "bad-hello", "not_sent"),
        (Fault::ErrorBeforeHello, 502, "bad-hello", "not_sent"),
        (hello("<hello/>"), 502, "bad-hello", "not_sent"),
        (hello(&"<a>".repeat(100_000)), 502, "bad-hello", "not_sent"),
        (hello("<!DOCTYPE hello><hello/>"), 502, "bad-hello", "not_sent"),
        (
            hello(&format!("<hello><!--{}--></hello>", "x".repeat(2 << 20))),
            502,
            "bad-hello",
            "not_sent",
        ),
    ];
    for (n, (fault, status, expected, outcome)) in cases.into_iter().enumerate() {
        let device = listen(junos().fault(fault.clone())).await;
        let name = format!("mx-{n}");
        gateway
            .add(&name, &device, json!({"timeouts": {"connect_seconds": 1}}))
            .await;
        let path = format!("/v1/devices/{name}/rpc/get-system-uptime-information");
        let (found, problem) = gateway.get(&path).await;
        assert_eq!(
            (found.as_u16(), code(&problem)),
            (status, expected),
            "{fault:.60?}: {problem}"
        );
        assert_eq!(problem["outcome"], outcome, "{fault:.60?}");
        assert_eq!(problem["device"], name, "{fault:.60?}");
        nothing_stays_open(&device).await;
        device.stop().await;
    }
    gateway.stop().await;
}

/// Threat 19, issue 2 item 7: a server that offers nothing but old algorithms is refused by default, with the
/// algorithms of both sides; the profile `legacy` opts in for one device.
#[tokio::test]
async fn old_algorithms_need_the_legacy_profile() {
    let gateway = TestGateway::start().await;
    let old = russh::Preferred {
        kex: Cow::Borrowed(&[russh::kex::DH_G1_SHA1]),
        ..russh::Preferred::default()
    };
    let device = listen(junos().algorithms(old)).await;
    gateway.add("mx1", &device, json!({})).await;
    let (status, problem) = gateway.get(READ).await;
    assert_eq!(
        (status, code(&problem)),
        (StatusCode::BAD_GATEWAY, "ssh-negotiation-failed"),
        "{problem}"
    );
    assert_eq!(problem["outcome"], "not_sent");
    let detail = problem["detail"].as_str().expect("a detail");
    for algorithm in ["diffie-hellman-group1-sha1", "curve25519-sha256"] {
        assert!(detail.contains(algorithm), "{detail}");
    }
    assert!(
        problem["hint"]
            .as_str()
            .is_some_and(|hint| hint.contains("legacy")),
        "{problem}"
    );
    assert_eq!(device.stats().auth_attempts, 0);
    gateway
        .add("mx2", &device, json!({"ssh_profile": "legacy"}))
        .await;
    gateway
        .read("/v1/devices/mx2/rpc/get-system-uptime-information")
        .await;
    gateway.stop().await;
    device.stop().await;
}

/// Field pains 1: a failed login or hello leaves no connection behind.
async fn nothing_stays_open(device: &RunningEmulator) {
    eventually("the connection is closed", async || {
        device.stats().open_connections == 0
    })
    .await;
}

/// Field pains 1, Q2: a session that the device drops while idle is replaced without anybody noticing.
#[tokio::test]
async fn idle_session_that_was_dropped_is_replaced() {
    let (gateway, device) = TestGateway::with_device(junos()).await;
    let first = recovers(&gateway, "nothing").await;
    device.drop_connections();
    eventually("the loss is known", async || {
        gateway.read("/v1/devices/mx1").await["connection"]["sessions"] == 0
    })
    .await;
    let second = recovers(&gateway, "a lost session").await;
    assert_ne!(first["session_id"], second["session_id"]);
    let loss = gateway.read("/v1/devices/mx1").await["connection"]["last_loss"].clone();
    assert!(loss["code"].is_string() && loss["time"].is_string(), "{loss}");
    gateway.stop().await;
    device.stop().await;
}

/// Field pains 1, 9: while one device keeps its callers waiting, another answers at once.
#[tokio::test]
async fn slow_device_does_not_slow_another() {
    let (gateway, slow) = TestGateway::with_device(junos()).await;
    let quick = listen(junos().hostname("mx2")).await;
    gateway.add("mx2", &quick, json!({})).await;
    slow.faults()
        .add(Rule::always(Fault::Delay(Duration::from_secs(3))).times(1));
    let quick_reads = async {
        for _ in 0..20 {
            gateway
                .read("/v1/devices/mx2/rpc/get-system-uptime-information")
                .await;
        }
    };
    tokio::select! {
        biased;
        () = quick_reads => {}
        _ = gateway.get(READ) => panic!("twenty reads of another device took longer than three seconds"),
    }
    gateway.stop().await;
    slow.stop().await;
    quick.stop().await;
}
