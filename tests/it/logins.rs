//! Ways in and logins: the subsystem and the pseudo-terminal, each with every kind of credential.

use ncgate::emulator::{Builder, Emulator, Prompt, RunningEmulator};
use serde_json::{Value, json};

use crate::support::doors::{DOORS, Door, bad, good, plain};
use crate::support::keys::{ENCRYPTED_KEY, PASSPHRASE, RSA_KEY, ed25519, public};
use crate::support::{TestGateway, eventually};

const UPTIME: &str = "get-system-uptime-information";

fn device() -> Builder {
    Emulator::builder().hostname("mx1").user("gw")
}

async fn listen(builder: Builder) -> RunningEmulator {
    builder.listen("127.0.0.1:0").await.expect("an emulated device")
}

fn prompt(text: &str, answer: &str) -> Prompt {
    Prompt {
        text: text.to_owned(),
        echo: false,
        answer: answer.to_owned(),
    }
}

/// Adds the device, asks it something, and removes it.
async fn log_in(
    gateway: &TestGateway,
    door: Door,
    device: &RunningEmulator,
    transport: &str,
    auth: &Value,
) -> Value {
    let document = json!({
        "name": "r1",
        "address": "127.0.0.1",
        "port": device.addr().port(),
        "transport": transport,
        "username": "gw",
        "auth": auth,
        "host_key": {"policy": "pinned", "keys": [device.host_key_fingerprint()]},
    });
    good(door, gateway.create(door, &document).await);
    let reply = good(
        door,
        gateway.named(door, "r1", UPTIME, Value::Null, plain()).await,
    );
    assert!(reply["data"]["system-uptime-information"].is_object(), "{reply}");
    gateway.delete(door, "r1", "").await.expect("it is removed");
    reply
}

/// S1, S2, S3: every login works over both ways in, without tries that are in vain.
#[tokio::test]
async fn every_login_works_over_both_ways_in() {
    let gateway = TestGateway::start().await;
    let key = ed25519();
    let dialogue = vec![prompt("Token:", "123456"), prompt("Realm:", "core")];
    let logins = [
        (
            "password",
            device().password("s3cret"),
            json!({"password": "s3cret"}),
        ),
        (
            "ed25519 key",
            device().authorized_key(public(&key, None)),
            json!({"private_key": key}),
        ),
        (
            "RSA key",
            device().authorized_key(public(RSA_KEY, None)),
            json!({"private_key": RSA_KEY}),
        ),
        (
            "key with passphrase",
            device().authorized_key(public(ENCRYPTED_KEY, Some(PASSPHRASE))),
            json!({"private_key": ENCRYPTED_KEY, "passphrase": PASSPHRASE}),
        ),
        (
            "keyboard-interactive",
            device()
                .keyboard_interactive(dialogue)
                .keyboard_interactive(vec![prompt("Again:", "yes")]),
            json!({"keyboard_interactive": [
                {"prompt": "Realm", "answer": "core"},
                {"prompt": "Token", "answer": "123456"},
                {"prompt": "Again", "answer": "yes"},
            ]}),
        ),
        (
            "password for a single prompt",
            device().keyboard_interactive(vec![prompt("Password:", "s3cret")]),
            json!({"password": "s3cret"}),
        ),
    ];
    for (name, builder, auth) in logins {
        let device = listen(builder.motd("Only for those who may.\r\n\r\n")).await;
        for door in DOORS {
            for transport in ["ssh", "ssh_pty"] {
                let before = device.stats();
                log_in(&gateway, door, &device, transport, &auth).await;
                let after = device.stats();
                assert_eq!(
                    after.auth_successes,
                    before.auth_successes + 1,
                    "{name} over {transport}"
                );
                assert_eq!(
                    after.auth_attempts,
                    before.auth_attempts + 1,
                    "{name} over {transport}: nothing is tried in vain"
                );
            }
        }
        device.stop().await;
    }
    gateway.stop().await;
}

/// S3: with a pseudo-terminal the session shows among the system's users; banner, motd and echo do no harm.
#[tokio::test]
async fn session_with_a_terminal_shows_among_the_users() {
    let gateway = TestGateway::start().await;
    let builder = device()
        .password("s3cret")
        .login_banner("Be nice.\r\n")
        .motd("Hello! <b>This is no XML & never was\r\nLast login: today\r\n")
        .stubborn_terminal();
    let device = listen(builder).await;
    for door in DOORS {
        for (transport, users) in [("ssh_pty", 1), ("ssh", 0)] {
            let document = json!({
                "name": "r1",
                "address": "127.0.0.1",
                "port": device.addr().port(),
                "transport": transport,
                "username": "gw",
                "auth": {"password": "s3cret"},
                "host_key": {"policy": "pinned", "keys": [device.host_key_fingerprint()]},
            });
            good(door, gateway.create(door, &document).await);
            let name = "get-system-users-information";
            let reply = good(door, gateway.named(door, "r1", name, Value::Null, plain()).await);
            let table = &reply["data"]["system-users-information"]["uptime-information"]["user-table"];
            let entries = table["user-entry"].as_array().cloned().unwrap_or_default();
            assert_eq!(entries.len(), users, "{transport}: {reply}");
            if let Some(entry) = entries.first() {
                assert_eq!(entry["user"], "gw");
                assert!(
                    entry["tty"].as_str().is_some_and(|tty| !tty.is_empty()),
                    "{entry}"
                );
            }
            gateway.delete(door, "r1", "").await.expect("it is removed");
            eventually("the session is over", async || device.stats().open_sessions == 0).await;
        }
    }
}

/// S1: a credential that is refused is told with what was tried and what is offered, and is tried once.
#[tokio::test]
async fn refused_login_names_what_was_tried_and_what_is_offered() {
    let gateway = TestGateway::start().await;
    let builder = device()
        .password("s3cret")
        .authorized_key(public(RSA_KEY, None))
        .keyboard_interactive(vec![prompt("Token:", "123456")]);
    let device = listen(builder).await;
    for door in DOORS {
        for (auth, tried) in [
            (json!({"password": "canary-password"}), "password (refused)"),
            (json!({"private_key": ed25519()}), "publickey"),
            (
                json!({"keyboard_interactive": [{"prompt": "Token", "answer": "canary-answer"}]}),
                "keyboard-interactive",
            ),
        ] {
            let document = json!({
                "name": "r1",
                "address": "127.0.0.1",
                "port": device.addr().port(),
                "username": "gw",
                "auth": auth,
                "host_key": {"policy": "pinned", "keys": [device.host_key_fingerprint()]},
            });
            good(door, gateway.create(door, &document).await);
            let sessions = device.stats().sessions;
            let refusal = bad(
                door,
                gateway.named(door, "r1", UPTIME, Value::Null, plain()).await,
            );
            assert_eq!(
                refusal.verdict(),
                ("device-auth-failed", "not_sent"),
                "{refusal:?}"
            );
            for words in ["gw", "offered publickey, keyboard-interactive, password", tried] {
                assert!(refusal.detail.contains(words), "{words}: {}", refusal.detail);
            }
            assert!(!refusal.detail.contains("canary"), "{}", refusal.detail);
            assert_eq!(device.stats().sessions, sessions);
            let shown = good(door, gateway.device(door, "r1").await);
            assert_eq!(shown["connection"]["state"], "auth_failed");
            assert_eq!(shown["connection"]["last_loss"]["code"], "device-auth-failed");
            gateway.delete(door, "r1", "").await.expect("it is removed");
        }
    }
}

/// S1: where a server offers one method only, nothing else is tried, and whoever lacks it is told what is offered and
/// what was left out.
#[tokio::test]
async fn servers_with_one_method_say_which() {
    let gateway = TestGateway::start().await;
    let question = || vec![prompt("Token:", "123456")];
    let servers = [
        ("password", device().password("s3cret")),
        ("publickey", device().authorized_key(public(RSA_KEY, None))),
        ("keyboard-interactive", device().keyboard_interactive(question())),
    ];
    let wrong = [
        ("password", json!({"password": "canary-password"})),
        ("publickey", json!({"private_key": ed25519()})),
        (
            "keyboard-interactive",
            json!({"keyboard_interactive": [{"prompt": "Token", "answer": "canary-answer"}]}),
        ),
    ];
    for (offered, builder) in servers {
        let device = listen(builder).await;
        for (door, (method, auth)) in DOORS
            .into_iter()
            .flat_map(|door| wrong.iter().map(move |way| (door, way)))
        {
            let document = json!({
                "name": "r1",
                "address": "127.0.0.1",
                "port": device.addr().port(),
                "username": "gw",
                "auth": auth,
                "host_key": {"policy": "pinned", "keys": [device.host_key_fingerprint()]},
            });
            good(door, gateway.create(door, &document).await);
            let before = device.stats().auth_attempts;
            let refusal = bad(door, gateway.check(door, "r1").await);
            assert_eq!(refusal.verdict(), ("device-auth-failed", "not_sent"));
            let outcome = match (*method == offered, *method, offered) {
                // A password may answer a single question.
                (true, ..) | (_, "password", "keyboard-interactive") => format!("{offered} (refused)"),
                (false, ..) => format!("{method} (not offered)"),
            };
            for words in [format!("offered {offered}, tried"), outcome.clone()] {
                assert!(refusal.detail.contains(&words), "{words}: {}", refusal.detail);
            }
            assert!(!refusal.detail.contains("canary"), "{}", refusal.detail);
            // The server is asked whether it knows a key before anything is signed with it, which is no attempt.
            let judged = outcome.ends_with("(refused)") && offered != "publickey";
            assert_eq!(
                device.stats().auth_attempts,
                before + u64::from(judged),
                "{outcome}"
            );
            gateway.delete(door, "r1", "").await.expect("it is removed");
        }
        device.stop().await;
    }
    gateway.stop().await;
}

/// S1: a passphrase that does not open its key, or is missing, is refused when the device is added.
#[tokio::test]
async fn passphrase_is_checked_when_it_is_given() {
    let gateway = TestGateway::start().await;
    for door in DOORS {
        for auth in [
            json!({"private_key": ENCRYPTED_KEY, "passphrase": "canary"}),
            json!({"private_key": ENCRYPTED_KEY}),
        ] {
            let document = json!({"name": "r1", "address": "127.0.0.1", "username": "gw", "auth": auth});
            let refusal = bad(door, gateway.create(door, &document).await);
            assert_eq!(refusal.verdict(), ("invalid-argument", "not_sent"));
            assert!(refusal.fields[0].ends_with("auth.passphrase"), "{refusal:?}");
            assert!(!refusal.detail.contains("canary"), "{}", refusal.detail);
        }
    }
}
