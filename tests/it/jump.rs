//! Devices behind a jump host, through both doors: its own login and its own host key, and each failure names the host
//! on which it happened.

use ncgate::emulator::{Emulator, RunningEmulator};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::doors::{DOORS, Door, Refusal, bad, good, plain};
use crate::support::keys::{ed25519, public};
use crate::support::{PASSWORD, TestGateway, USER, answer, junos, listen};

const NAME: &str = "get-chassis-inventory";

/// A jump host with a login that no device has.
async fn gate() -> RunningEmulator {
    Emulator::builder()
        .hostname("gate")
        .user("porter")
        .password("open sesame")
        .jump_host()
        .listen("127.0.0.1:0")
        .await
        .expect("an emulated jump host")
}

fn hop(gate: &RunningEmulator) -> Value {
    json!({
        "address": "127.0.0.1",
        "port": gate.addr().port(),
        "username": "porter",
        "auth": {"password": "open sesame"},
        "host_key": {"policy": "pinned", "keys": [gate.host_key_fingerprint()]},
    })
}

fn behind(hops: &[Value], port: u16, keys: &[String]) -> Value {
    json!({
        "name": "r1",
        "address": "127.0.0.1",
        "port": port,
        "username": USER,
        "auth": {"password": PASSWORD},
        "host_key": {"policy": "pinned", "keys": keys},
        "proxy_jump": hops,
    })
}

/// S1: a device behind a jump host is added, checked and read; the steps of the check name the hop.
#[tokio::test]
async fn device_behind_a_jump_host_is_checked_and_read() {
    let gateway = TestGateway::start().await;
    let (gate, device) = (gate().await, listen(junos()).await);
    for door in DOORS {
        let document = behind(
            &[hop(&gate)],
            device.addr().port(),
            &[device.host_key_fingerprint()],
        );
        let shown = good(door, gateway.create(door, &document).await);
        let text = shown.to_string();
        assert!(!text.contains("sesame"), "credentials are write-only: {text}");
        let report = good(door, gateway.check(door, "r1").await);
        let steps: Vec<&str> = report["steps"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|step| step["name"].as_str())
            .collect();
        assert_eq!(
            steps,
            [
                "jump0.resolve",
                "jump0.tcp",
                "jump0.kex",
                "jump0.hostkey",
                "jump0.auth",
                "tcp",
                "kex",
                "hostkey",
                "auth",
                "subsystem",
                "hello",
                "software"
            ]
        );
        assert_eq!(
            report["ssh"]["host_key_fingerprint"],
            device.host_key_fingerprint()
        );
        let reply = good(door, gateway.named(door, "r1", NAME, Value::Null, plain()).await);
        assert!(reply["data"].get("chassis-inventory").is_some(), "{reply}");
        gateway.delete(door, "r1", "").await.expect("it is removed");
    }
    assert_eq!(gate.stats().auth_attempts, gate.stats().auth_successes);
    assert_eq!(gate.stats().sessions, 0, "the jump host is asked for no NETCONF");
    gateway.stop().await;
}

/// S1: two jump hosts, one behind the other.
#[tokio::test]
async fn jump_hosts_stand_in_a_row() {
    let gateway = TestGateway::start().await;
    let (first, device) = (gate().await, listen(junos()).await);
    let second = listen(junos().host_key_seed([9; 32]).jump_host()).await;
    let mut inner = hop(&second);
    inner["username"] = json!(USER);
    inner["auth"] = json!({"password": PASSWORD});
    for door in DOORS {
        let key = [device.host_key_fingerprint()];
        let document = behind(&[hop(&first), inner.clone()], device.addr().port(), &key);
        good(door, gateway.create(door, &document).await);
        good(door, gateway.named(door, "r1", NAME, Value::Null, plain()).await);
        gateway.delete(door, "r1", "").await.expect("it is removed");
    }
    assert_eq!(
        (first.stats().auth_successes, second.stats().auth_successes),
        (2, 2)
    );

    // What goes wrong on the second names the second.
    inner["host_key"] = json!({"policy": "pinned", "keys": [first.host_key_fingerprint()]});
    for door in DOORS {
        let key = [device.host_key_fingerprint()];
        let document = behind(&[hop(&first), inner.clone()], device.addr().port(), &key);
        let refusal = refused(&gateway, door, &document).await;
        assert_eq!(verdict(&refusal), ("host-key-mismatch", Some("jump_host")));
        assert!(
            refusal.detail.contains("jump host 1 (127.0.0.1)"),
            "{}",
            refusal.detail
        );
    }
    gateway.stop().await;
}

/// S1, X7: each host has a login and a policy of its own: a key at the gate, whose host key is learned on first use, and
/// a password at the device, whose key is pinned. The learned one is required from then on.
#[tokio::test]
async fn each_host_has_its_own_login_and_policy() {
    let gateway = TestGateway::start().await;
    let device = listen(junos()).await;
    let key = ed25519();
    let with_seed = |seed: [u8; 32], port: u16| {
        let builder = Emulator::builder().hostname("gate").host_key_seed(seed);
        let builder = builder.user("porter").authorized_key(public(&key, None));
        let address = format!("127.0.0.1:{port}");
        async move { builder.jump_host().listen(&address).await.expect("a jump host") }
    };
    for door in DOORS {
        let gate = with_seed([3; 32], 0).await;
        let mut hop = hop(&gate);
        hop["auth"] = json!({"private_key": key});
        hop["host_key"] = json!({"policy": "tofu"});
        let document = behind(&[hop], device.addr().port(), &[device.host_key_fingerprint()]);
        good(door, gateway.create(door, &document).await);
        good(door, gateway.named(door, "r1", NAME, Value::Null, plain()).await);
        assert_eq!((gate.stats().auth_attempts, gate.stats().auth_successes), (1, 1));
        let (port, learned) = (gate.addr().port(), gate.host_key_fingerprint());
        gate.stop().await;

        // Another one answers in its place.
        let imposter = with_seed([4; 32], port).await;
        let logins = device.stats().auth_attempts;
        let refusal = bad(door, gateway.check(door, "r1").await);
        assert_eq!(verdict(&refusal), ("host-key-mismatch", Some("jump_host")));
        for words in ["jump host 0", &learned, &imposter.host_key_fingerprint()] {
            assert!(refusal.detail.contains(words), "{}", refusal.detail);
        }
        assert_eq!(
            (imposter.stats().auth_attempts, device.stats().auth_attempts),
            (0, logins)
        );
        gateway.delete(door, "r1", "").await.expect("it is removed");
        imposter.stop().await;
    }
    gateway.stop().await;
}

fn verdict(refusal: &Refusal) -> (&str, Option<&str>) {
    (&refusal.code, refusal.reason.as_deref())
}

/// Adds the device, reads from it, which must fail, checks it, which must fail in the same way, and removes it.
async fn refused(gateway: &TestGateway, door: Door, document: &Value) -> Refusal {
    good(door, gateway.create(door, document).await);
    let refusal = bad(door, gateway.named(door, "r1", NAME, Value::Null, plain()).await);
    assert_eq!(refusal.outcome, "not_sent", "{refusal:?}");
    let again = bad(door, gateway.check(door, "r1").await);
    assert_eq!(
        (again.verdict(), &again.detail),
        (refusal.verdict(), &refusal.detail)
    );
    gateway.delete(door, "r1", "").await.expect("it is removed");
    refusal
}

/// S1, X7, M3: whatever stops a connect on the way, the error has its own code and names the host, and no credentials
/// went further than they may.
#[tokio::test]
async fn failure_on_the_way_names_its_host() {
    let gateway = TestGateway::start().await;
    let device = listen(junos()).await;
    let closed = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        listener.local_addr().expect("its address").port()
    };
    let port = device.addr().port();
    let key = [device.host_key_fingerprint()];
    for door in DOORS {
        let gate = gate().await;
        let with = |name: &str, value: Value| {
            let mut hop = hop(&gate);
            hop[name] = value;
            [hop]
        };

        let unknown = with("host_key", json!({"policy": "pinned", "keys": []}));
        let refusal = refused(&gateway, door, &behind(&unknown, port, &key)).await;
        assert_eq!(verdict(&refusal), ("host-key-unknown", Some("jump_host")));
        for words in ["jump host 0 (127.0.0.1)", &gate.host_key_fingerprint()] {
            assert!(refusal.detail.contains(words), "{}", refusal.detail);
        }
        assert!(refusal.hint.is_some_and(|hint| hint.contains("of the jump host")));
        assert_eq!(gate.stats().auth_attempts, 0, "the key comes first");

        let wrong = with("auth", json!({"password": "canary-wrong"}));
        let refusal = refused(&gateway, door, &behind(&wrong, port, &key)).await;
        assert_eq!(verdict(&refusal), ("device-auth-failed", Some("jump_host")));
        for words in ["jump host 0 (127.0.0.1)", "porter", "password (refused)"] {
            assert!(refusal.detail.contains(words), "{}", refusal.detail);
        }
        assert!(!refusal.detail.contains("canary"));

        let nowhere = with("port", json!(closed));
        let refusal = refused(&gateway, door, &behind(&nowhere, port, &key)).await;
        assert_eq!(verdict(&refusal), ("connection-refused", Some("jump_host")));
        assert!(refusal.detail.contains("jump host 0"), "{}", refusal.detail);

        let refusal = refused(&gateway, door, &behind(&[hop(&gate)], closed, &key)).await;
        assert_eq!(verdict(&refusal), ("device-unreachable", Some("jump_host")));
        let words = format!("jump host cannot connect to 127.0.0.1 port {closed}");
        assert!(refusal.detail.contains(&words), "{}", refusal.detail);

        // Behind a jump host that works, the device's own failures are not blamed on it.
        let refusal = refused(&gateway, door, &behind(&[hop(&gate)], port, &[])).await;
        assert_eq!(verdict(&refusal), ("host-key-unknown", None));
        assert!(
            refusal.detail.contains(&device.host_key_fingerprint()) && !refusal.detail.contains("jump host"),
            "{}",
            refusal.detail
        );

        // A host that forwards nothing is no jump host.
        let mut forbidding = hop(&device);
        forbidding["username"] = json!(USER);
        forbidding["auth"] = json!({"password": PASSWORD});
        let refusal = refused(&gateway, door, &behind(&[forbidding], port, &key)).await;
        assert_eq!(verdict(&refusal), ("device-unreachable", Some("jump_host")));
        assert!(refusal.detail.contains("Prohibited"), "{}", refusal.detail);
    }
    gateway.stop().await;
}

/// Q4: what the jump host refuses is counted for all devices behind it; with the right password one is let in at once.
#[tokio::test]
async fn refusals_of_a_jump_host_spare_the_other_devices_behind_it() {
    let gateway = TestGateway::start().await;
    let (gate, device) = (gate().await, listen(junos()).await);
    let (port, keys) = (device.addr().port(), [device.host_key_fingerprint()]);
    let mut wrong = hop(&gate);
    wrong["auth"] = json!({"password": "canary"});
    let names = ["mx1", "mx2", "mx3", "mx4", "mx5"];
    for name in names {
        let mut document = behind(std::slice::from_ref(&wrong), port, &keys);
        document["name"] = json!(name);
        let (status, problem) = gateway.post("/v1/devices", &document).await;
        assert_eq!(status, 201, "{problem}");
    }
    let read = async |name: &str| gateway.get(&format!("/v1/devices/{name}/rpc/{NAME}")).await;
    for name in &names[..3] {
        let (_, problem) = read(name).await;
        assert_eq!(problem["code"], "device-auth-failed", "{problem}");
    }
    for name in &names[3..] {
        let (status, problem) = read(name).await;
        assert_eq!(
            (status.as_u16(), &problem["code"]),
            (503, &json!("circuit-open")),
            "{problem}"
        );
        assert_eq!(
            (&problem["reason"], &problem["outcome"]),
            (&json!("jump_host"), &json!("not_sent"))
        );
        let host = format!("porter@{}", gate.addr());
        assert!(
            problem["detail"]
                .as_str()
                .is_some_and(|detail| detail.contains(&host)),
            "{problem}"
        );
        assert!(!problem.to_string().contains("canary"));
    }
    assert_eq!(gate.stats().auth_attempts, 3);
    let right = json!({"proxy_jump": [hop(&gate)]});
    let patch = gateway.request(Method::PATCH, "/v1/devices/mx4");
    let patch = patch.header("Content-Type", "application/merge-patch+json");
    let (status, problem) = answer(patch.body(right.to_string())).await;
    assert_eq!(status, 200, "{problem}");
    let (status, problem) = read("mx4").await;
    assert_eq!(status, 200, "{problem}");
    let (_, problem) = read("mx5").await;
    assert_eq!(problem["reason"], "jump_host", "{problem}");
    assert_eq!(gate.stats().auth_attempts, 4);
    gateway.stop().await;
    device.stop().await;
}
