//! Why there is no session: every cause has its own code and words, through both doors, and nothing was sent.

use std::borrow::Cow;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::Duration;

use ncgate::emulator::{Builder, Fault, Prompt, RunningEmulator};
use reqwest::Method;
use russh::{Preferred, kex};
use serde_json::{Value, json};

use crate::support::doors::{DOORS, Door, Refusal, bad, good, plain};
use crate::support::{PASSWORD, TestGateway, USER, junos, listen};

fn at(port: u16, more: Value) -> Value {
    let mut document = json!({
        "name": "r1",
        "address": "127.0.0.1",
        "port": port,
        "username": USER,
        "auth": {"password": PASSWORD},
        "host_key": {"policy": "tofu"},
    });
    for (key, value) in more.as_object().expect("an object") {
        document[key] = value.clone();
    }
    document
}

/// Adds the device, reads from it, which must fail, checks it, which must fail in the same way, and removes it.
async fn refused(gateway: &TestGateway, door: Door, document: &Value) -> Refusal {
    good(door, gateway.create(door, document).await);
    let name = "get-chassis-inventory";
    let refusal = bad(door, gateway.named(door, "r1", name, Value::Null, plain()).await);
    assert_eq!(refusal.outcome, "not_sent", "{refusal:?}");
    let shown = good(door, gateway.device(door, "r1").await);
    assert_eq!(shown["connection"]["last_loss"]["code"], refusal.code, "{shown}");
    let again = bad(door, gateway.check(door, "r1").await);
    assert_eq!(again.verdict(), refusal.verdict(), "{again:?}");
    gateway.delete(door, "r1", "").await.expect("it is removed");
    refusal
}

async fn refused_by(
    gateway: &TestGateway,
    door: Door,
    builder: Builder,
    more: Value,
) -> (Refusal, RunningEmulator) {
    let device = listen(builder).await;
    let refusal = refused(gateway, door, &at(device.addr().port(), more)).await;
    (refusal, device)
}

/// Issue item 7: nobody listens on the port.
#[tokio::test]
async fn closed_port_refuses_the_connection() {
    let gateway = TestGateway::start().await;
    let port = {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        listener.local_addr().expect("its address").port()
    };
    for door in DOORS {
        let refusal = refused(&gateway, door, &at(port, json!({}))).await;
        assert_eq!(refusal.code, "connection-refused");
        assert!(
            refusal.detail.contains(&format!("127.0.0.1:{port}")),
            "{}",
            refusal.detail
        );
        assert!(
            refusal.retry_after_seconds.is_some_and(|seconds| seconds >= 1),
            "H12: {refusal:?}"
        );
    }
}

/// Issue item 7: something else than SSH, or nothing at all, answers on the port.
#[tokio::test]
async fn port_without_ssh_is_told() {
    let gateway = TestGateway::start().await;
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("its address").port();
    // It ends with the process: `accept` knows no other end.
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            std::thread::spawn(move || {
                let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n");
                let _ = stream.read(&mut [0; 64]);
            });
        }
    });
    for door in DOORS {
        let refusal = refused(&gateway, door, &at(port, json!({}))).await;
        assert!(
            ["ssh-negotiation-failed", "device-unreachable"].contains(&refusal.code.as_str()),
            "{refusal:?}"
        );
        assert!(refusal.reason.is_some(), "{refusal:?}");
    }
    let silent = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = silent.local_addr().expect("its address").port();
    for door in DOORS {
        let quick = json!({"timeouts": {"connect_seconds": 1}});
        let refusal = refused(&gateway, door, &at(port, quick)).await;
        assert_eq!(refusal.code, "device-unreachable");
        assert_eq!(refusal.reason.as_deref(), Some("timeout_kex"));
    }
}

/// Issue item 7, X7: an unknown host key stops the connect before any credential is tried.
#[tokio::test]
async fn unknown_host_key_stops_before_authentication() {
    let gateway = TestGateway::start().await;
    for door in DOORS {
        let pinned = json!({"host_key": {"policy": "pinned", "keys": []}});
        let (refusal, device) = refused_by(&gateway, door, junos(), pinned).await;
        assert_eq!(refusal.code, "host-key-unknown");
        assert!(
            refusal.detail.contains(&device.host_key_fingerprint()),
            "{}",
            refusal.detail
        );
        let key = device.host_public_key().to_openssh().expect("its line");
        let key = key.split(' ').nth(1).expect("the key itself").to_owned();
        assert!(
            refusal.hint.as_deref().is_some_and(|hint| hint.contains(&key)),
            "{refusal:?}"
        );
        assert_eq!(device.stats().auth_attempts, 0);
        assert!(device.stats().connections >= 1);
    }
}

/// Issue item 7, X7: another host key than before is refused with both fingerprints and no credential tried, whether
/// it was pinned or learned at the first connect.
#[tokio::test]
async fn changed_host_key_stops_before_authentication() {
    let gateway = TestGateway::start().await;
    for door in DOORS {
        let other = listen(junos().host_key_seed([3; 32]))
            .await
            .host_key_fingerprint();
        let pinned = json!({"host_key": {"policy": "pinned", "keys": [other]}});
        let (refusal, device) = refused_by(&gateway, door, junos(), pinned).await;
        assert_eq!(refusal.code, "host-key-mismatch");
        for fingerprint in [&other, &device.host_key_fingerprint()] {
            assert!(refusal.detail.contains(fingerprint), "{}", refusal.detail);
        }
        assert_eq!(device.stats().auth_attempts, 0);

        let port = device.addr().port();
        let learned = device.host_key_fingerprint();
        good(door, gateway.create(door, &at(port, json!({}))).await);
        good(door, gateway.check(door, "r1").await);
        device.stop().await;
        let imposter = junos().user(USER).password(PASSWORD).host_key_seed([4; 32]);
        let imposter = imposter
            .listen(&format!("127.0.0.1:{port}"))
            .await
            .expect("the same port");
        let refusal = bad(door, gateway.check(door, "r1").await);
        assert_eq!(refusal.verdict(), ("host-key-mismatch", "not_sent"));
        for fingerprint in [&learned, &imposter.host_key_fingerprint()] {
            assert!(refusal.detail.contains(fingerprint), "{}", refusal.detail);
        }
        assert_eq!(imposter.stats().auth_attempts, 0);
        gateway.delete(door, "r1", "").await.expect("it is removed");
    }
}

/// X7: the policy `known_hosts` believes the file of the gateway, and nothing else.
#[tokio::test]
async fn known_hosts_decide_where_they_are_asked() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("known_hosts");
    let gateway = TestGateway::with(|settings| settings.known_hosts = Some(file.display().to_string())).await;
    let settings = json!({"host_key": {"policy": "known_hosts"}});
    for door in DOORS {
        std::fs::write(&file, "").expect("the file can be written");
        let (refusal, device) = refused_by(&gateway, door, junos(), settings.clone()).await;
        assert_eq!(refusal.code, "host-key-unknown");
        assert_eq!(device.stats().auth_attempts, 0);

        let port = device.addr().port();
        let key = device.host_public_key().to_openssh().expect("its line");
        std::fs::write(&file, format!("[127.0.0.1]:{port} {key}\n")).expect("the file can be written");
        good(door, gateway.create(door, &at(port, settings.clone())).await);
        good(door, gateway.check(door, "r1").await);
        gateway.delete(door, "r1", "").await.expect("it is removed");

        let other = listen(junos().host_key_seed([5; 32])).await;
        let other = other.host_public_key().to_openssh().expect("its line");
        std::fs::write(&file, format!("[127.0.0.1]:{port} {other}\n")).expect("the file can be written");
        let refusal = refused(&gateway, door, &at(port, settings.clone())).await;
        assert_eq!(refusal.code, "host-key-mismatch");
    }
}

/// Issue item 7: refused credentials, with the methods that the server offers.
#[tokio::test]
async fn refused_credentials_name_the_methods_offered() {
    let gateway = TestGateway::start().await;
    for door in DOORS {
        let prompts = vec![Prompt {
            text: "Token:".to_owned(),
            echo: false,
            answer: "1".to_owned(),
        }];
        let builder = junos().user("other").keyboard_interactive(prompts);
        let wrong = json!({"auth": {"password": "canary-wrong"}});
        let (refusal, device) = refused_by(&gateway, door, builder, wrong).await;
        assert_eq!(refusal.code, "device-auth-failed");
        for words in ["keyboard-interactive", "password (refused)"] {
            assert!(refusal.detail.contains(words), "{}", refusal.detail);
        }
        assert!(!refusal.detail.contains("canary"));
        assert_eq!(device.stats().auth_successes, 0);
    }
}

/// Issue item 7: no algorithm in common, with those of both sides; an old device needs its profile.
#[tokio::test]
async fn failed_negotiation_tells_the_algorithms_of_both_sides() {
    let gateway = TestGateway::start().await;
    for door in DOORS {
        let old = Preferred {
            kex: Cow::Owned(vec![kex::DH_G14_SHA1]),
            ..Preferred::default()
        };
        let (refusal, device) = refused_by(&gateway, door, junos().algorithms(old), json!({})).await;
        assert_eq!(refusal.code, "ssh-negotiation-failed");
        for algorithm in ["curve25519-sha256", "diffie-hellman-group14-sha1"] {
            assert!(refusal.detail.contains(algorithm), "{}", refusal.detail);
        }
        assert!(
            refusal
                .hint
                .as_deref()
                .is_some_and(|hint| hint.contains("legacy")),
            "{refusal:?}"
        );
        let legacy = at(device.addr().port(), json!({"ssh_profile": "legacy"}));
        good(door, gateway.create(door, &legacy).await);
        let report = good(door, gateway.check(door, "r1").await);
        assert_eq!(report["ssh"]["kex"], "diffie-hellman-group14-sha1");
        gateway.delete(door, "r1", "").await.expect("it is removed");
    }
}

/// Issue item 7: the login is fine, and there is no NETCONF.
#[tokio::test]
async fn missing_subsystem_is_told() {
    let gateway = TestGateway::start().await;
    for door in DOORS {
        for builder in [junos().without_subsystem(), junos().fault(Fault::RefuseSubsystem)] {
            let (refusal, device) = refused_by(&gateway, door, builder, json!({})).await;
            assert_eq!(refusal.code, "no-netconf-subsystem");
            assert!(refusal.hint.is_some());
            assert!(device.stats().auth_successes >= 1);
            assert_eq!(device.stats().sessions, 0);
        }
    }
}

/// S4, issue item 7: no hello, and every kind of hello that is none.
#[tokio::test]
async fn bad_hellos_are_told_apart() {
    let gateway = TestGateway::start().await;
    let capabilities = |list: &str| {
        Fault::HelloText(format!(
            "<hello xmlns=\"urn:ietf:params:xml:ns:netconf:base:1.0\"><capabilities>{list}</capabilities>\
             <session-id>7</session-id></hello>"
        ))
    };
    for door in DOORS {
        for (fault, code, words) in [
            (Fault::NoHello, "hello-timeout", "no hello"),
            (
                Fault::LateHello(Duration::from_secs(60)),
                "hello-timeout",
                "no hello",
            ),
            (Fault::MalformedHello, "bad-hello", "not well-formed"),
            (Fault::HelloWithoutSessionId, "bad-hello", "no session-id"),
            (Fault::CloseBeforeHello, "bad-hello", ""),
            (
                Fault::ErrorBeforeHello,
                "bad-hello",
                "could not start the management daemon",
            ),
            (
                Fault::HelloText("<hullo/>".to_owned()),
                "bad-hello",
                "<hullo> came instead of a hello",
            ),
            (
                Fault::HelloText("<rpc-reply><data><secret/></data></rpc-reply>".to_owned()),
                "bad-hello",
                "<rpc-reply> with <data> came instead of a hello",
            ),
            (
                capabilities("<capability>urn:example:base:2.0</capability>"),
                "bad-hello",
                "base version",
            ),
            (capabilities(""), "bad-hello", "capabilities"),
        ] {
            let settings = if code == "hello-timeout" {
                json!({"timeouts": {"connect_seconds": 1}})
            } else {
                json!({})
            };
            let builder = junos().fault(fault.clone());
            let (refusal, device) = refused_by(&gateway, door, builder, settings).await;
            assert_eq!(refusal.code, code, "{fault:?}: {refusal:?}");
            assert!(refusal.detail.contains(words), "{fault:?}: {}", refusal.detail);
            assert_eq!(
                refusal.rpc_errors.len(),
                usize::from(fault == Fault::ErrorBeforeHello),
                "{refusal:?}"
            );
            assert_eq!(
                device.stats().rpcs,
                Vec::<String>::new(),
                "{fault:?}: no request was sent"
            );
        }
    }
}

/// A read over REST with a deadline, in seconds; it fails.
async fn refused_within(gateway: &TestGateway, seconds: &str) -> Refusal {
    let request = gateway.request(Method::POST, "/v1/devices/r1/rpc/get-chassis-inventory");
    bad(
        Door::Rest,
        gateway.rest(request.header("Request-Timeout", seconds)).await,
    )
}

/// S4, M3: the wait for the hello is a phase like the others, with its own bound and its own error long before the
/// deadline; a deadline that is shorter still names the phase that was under way.
#[tokio::test]
async fn each_phase_is_told_before_the_deadline_or_named_by_it() {
    let gateway = TestGateway::start().await;
    let silent = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let silent = silent.local_addr().map(|address| (silent, address.port()));
    let (_silent, port) = silent.expect("its address");
    let device = listen(junos().fault(Fault::NoHello)).await;
    for (port, code, reason, phase) in [
        (port, "device-unreachable", Some("timeout_kex"), "kex"),
        (device.addr().port(), "hello-timeout", None, "hello"),
    ] {
        for (phase_seconds, deadline) in [(2, "5"), (9, "1")] {
            let settings = json!({"timeouts": {"connect_seconds": phase_seconds}});
            good(Door::Rest, gateway.create(Door::Rest, &at(port, settings)).await);
            let refusal = refused_within(&gateway, deadline).await;
            assert_eq!(refusal.outcome, "not_sent", "{refusal:?}");
            if phase_seconds == 2 {
                assert_eq!(
                    (refusal.code.as_str(), refusal.reason.as_deref()),
                    (code, reason),
                    "{refusal:?}"
                );
            } else {
                let named = format!("connecting_{phase}");
                assert_eq!(refusal.code, "deadline-in-queue", "{refusal:?}");
                assert_eq!(refusal.reason, Some(named), "{refusal:?}");
                assert_eq!(refusal.step.as_deref(), Some("connect"), "{refusal:?}");
                assert!(refusal.detail.contains(phase), "{}", refusal.detail);
            }
            gateway.delete(Door::Rest, "r1", "").await.expect("it is removed");
        }
    }
}

/// S3, S4: text before the hello is skipped with the subsystem, too; a slow hello in time is no failure.
#[tokio::test]
async fn what_precedes_the_hello_is_skipped() {
    let gateway = TestGateway::start().await;
    for door in DOORS {
        for fault in [
            Fault::BannerBeforeHello("Welcome.\r\n<motd>\r\n".to_owned()),
            Fault::LateHello(Duration::from_millis(100)),
        ] {
            let device = listen(junos().fault(fault)).await;
            good(
                door,
                gateway.create(door, &at(device.addr().port(), json!({}))).await,
            );
            let report = good(door, gateway.check(door, "r1").await);
            assert_eq!(report["software"][0]["host_name"], "mx1");
            gateway.delete(door, "r1", "").await.expect("it is removed");
        }
    }
}

/// Q4, H12: after five failures in a row the device is left alone for a while; a check tries all the same.
#[tokio::test]
async fn circuit_opens_and_a_check_closes_it() {
    let gateway = TestGateway::start().await;
    for door in DOORS {
        let device = listen(junos().fault(Fault::RefuseSubsystem)).await;
        good(
            door,
            gateway.create(door, &at(device.addr().port(), json!({}))).await,
        );
        for _ in 0..5 {
            assert_eq!(
                bad(door, gateway.check(door, "r1").await).code,
                "no-netconf-subsystem"
            );
        }
        let ask = async || {
            let connections = device.stats().connections;
            let name = "get-chassis-inventory";
            let refusal = bad(door, gateway.named(door, "r1", name, Value::Null, plain()).await);
            (connections, refusal)
        };
        // The time to wait is drawn from nothing on, and may be over between two calls: then the next attempt is the
        // probe, and the next wait longer.
        let mut attempts = 0;
        let refusal = loop {
            let (connections, refusal) = ask().await;
            if refusal.code == "circuit-open" {
                assert_eq!(device.stats().connections, connections, "nothing was dialled");
                let shown = good(door, gateway.device(door, "r1").await);
                if shown["connection"]["state"] == "circuit_open" {
                    break refusal;
                }
            }
            attempts += 1;
            assert!(attempts < 10, "it stays closed: {refusal:?}");
        };
        assert_eq!(refusal.verdict(), ("circuit-open", "not_sent"));
        assert!(
            refusal.retry_after_seconds.is_some_and(|seconds| seconds >= 1),
            "{refusal:?}"
        );
        device.faults().clear();
        good(door, gateway.check(door, "r1").await);
        good(
            door,
            gateway
                .named(door, "r1", "get-chassis-inventory", Value::Null, plain())
                .await,
        );
        gateway.delete(door, "r1", "").await.expect("it is removed");
    }
}

/// X7, M3: a device is not stored with a policy that the gateway has no file for; one that was stored before is no fault of
/// who reads it.
#[tokio::test]
async fn known_hosts_need_a_file() {
    let directory = tempfile::tempdir().expect("a directory");
    let database = format!("sqlite://{}", directory.path().join("ncgate.db").display());
    let absent = directory.path().join("absent");
    let start = async |known_hosts: Option<&std::path::Path>| {
        TestGateway::with(|settings| {
            settings.database = Some(database.clone());
            settings.known_hosts = known_hosts.map(|path| path.display().to_string());
        })
        .await
    };
    let asking = json!({"host_key": {"policy": "known_hosts"}});

    let gateway = start(None).await;
    for door in DOORS {
        let refusal = bad(door, gateway.create(door, &at(830, asking.clone())).await);
        assert_eq!(refusal.verdict(), ("invalid-argument", "not_sent"));
        assert!(refusal.fields[0].ends_with("host_key.policy"), "{refusal:?}");
        assert!(refusal.detail.contains("--known-hosts"), "{}", refusal.detail);
        let jump = json!({"address": "127.0.0.1", "username": "u", "auth": {"password": "p"},
            "host_key": {"policy": "known_hosts"}});
        let behind = at(830, json!({"proxy_jump": [jump]}));
        let refusal = bad(door, gateway.create(door, &behind).await);
        assert!(refusal.fields[0].contains("proxy_jump"), "{refusal:?}");
        good(door, gateway.create(door, &at(830, json!({}))).await);
        let refusal = bad(door, gateway.update(door, "r1", &asking, "").await);
        assert!(refusal.fields[0].ends_with("host_key.policy"), "{refusal:?}");
        gateway.delete(door, "r1", "").await.expect("it is removed");
    }
    gateway.stop().await;

    // A file that is named and cannot be read.
    let gateway = start(Some(&absent)).await;
    let device = listen(junos()).await;
    for door in DOORS {
        let refusal = refused(&gateway, door, &at(device.addr().port(), asking.clone())).await;
        assert_eq!(
            (refusal.code.as_str(), refusal.origin.as_str()),
            ("internal", "gateway")
        );
        assert_eq!(refusal.reason.as_deref(), Some("known_hosts"));
        assert!(refusal.detail.contains("absent"), "{}", refusal.detail);
    }
    let port = device.addr().port();
    good(DOORS[0], gateway.create(DOORS[0], &at(port, asking)).await);
    gateway.stop().await;

    // The same device in a gateway to which none is named any more.
    let gateway = start(None).await;
    for door in DOORS {
        let name = "get-chassis-inventory";
        let refusal = bad(door, gateway.named(door, "r1", name, Value::Null, plain()).await);
        assert_eq!(refusal.verdict(), ("internal", "not_sent"), "{refusal:?}");
        assert!(refusal.hint.is_some_and(|hint| hint.contains("--known-hosts")));
        let label = json!({"labels": {"door": format!("{door:?}")}});
        good(door, gateway.update(door, "r1", &label, "").await);
        // A second host that asks for it is no setting of before.
        let jump = json!({"address": "127.0.0.1", "username": "u", "auth": {"password": "p"},
            "host_key": {"policy": "known_hosts"}});
        let behind = json!({"proxy_jump": [jump]});
        let refusal = bad(door, gateway.update(door, "r1", &behind, "").await);
        assert_eq!(refusal.verdict(), ("invalid-argument", "not_sent"));
        assert!(refusal.fields[0].contains("proxy_jump"), "{refusal:?}");
    }
    assert_eq!(device.stats().auth_attempts, 0);
    gateway.stop().await;
}
