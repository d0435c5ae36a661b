//! X6: secrets go in and never come out: not through any answer, problem or metric, not into the log of the whole
//! program at its most talkative, not into the database file.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use ncgate::emulator::{Emulator, Prompt};
use serde_json::{Value, json};

use crate::support::keys::{ENCRYPTED_KEY, PASSPHRASE};
use crate::support::{eventually, junos, listen};

const CANARIES: [&str; 5] = [
    "canary-password-4f1c",
    "canary-answer-9a2e",
    "canary-jump-77d0",
    "canary-patched-1b3b",
    PASSPHRASE,
];

/// `ncgate serve` as a process of its own. What it logs in each of its lives lies in one file.
struct Served {
    child: Child,
    url: String,
}

impl Served {
    /// Its `life`th start, counted from 0, on a port that the system chooses.
    async fn start(directory: &Path, life: usize) -> Self {
        let log = directory.join("log");
        let file = File::options()
            .create(true)
            .append(true)
            .open(&log)
            .expect("a file for the log");
        let mut command = Command::new(env!("CARGO_BIN_EXE_ncgate"));
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("NCGATE_")) {
            command.env_remove(name);
        }
        let child = command
            .args(["serve", "--listen", "127.0.0.1:0"])
            .arg("--database")
            .arg(format!("sqlite://{}", directory.join("ncgate.db").display()))
            .args(["--device-networks", "127.0.0.0/8", "--log", "trace"])
            .stdin(Stdio::null())
            .stdout(file.try_clone().expect("a second handle"))
            .stderr(file)
            .spawn()
            .expect("the program starts");
        let mut address = None;
        eventually("the gateway serves", async || {
            address = address_of_life(&log, life);
            address.is_some()
        })
        .await;
        Self {
            child,
            url: format!("http://{}", address.expect("it serves")),
        }
    }

    /// Asks it to end, and waits.
    fn terminate(mut self) -> i32 {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args(["-TERM", &pid]).status().expect("kill");
        assert!(sent.success());
        self.child.wait().expect("it ends").code().expect("no signal")
    }
}

/// The address that the `life`th start logged, once it has.
fn address_of_life(log: &Path, life: usize) -> Option<String> {
    let text = std::fs::read_to_string(log).ok()?;
    let lines = text
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut served = lines.filter(|line| line["message"] == "serving");
    served.nth(life)?["address"].as_str().map(str::to_owned)
}

/// Everything that may not be found anywhere, also as JSON or base64 would write it.
fn assert_clean(place: &str, bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let key_line = ENCRYPTED_KEY.lines().nth(2).expect("a line of the key");
    for canary in CANARIES.iter().copied().chain([key_line]) {
        if let Some(at) = text.find(canary) {
            let from = text[..at]
                .char_indices()
                .rev()
                .nth(200)
                .map_or(0, |(from, _)| from);
            panic!("{canary:?} stands in {place}: {}", &text[from..at + canary.len()]);
        }
    }
}

/// X6, X9, D1, S30
#[tokio::test]
async fn secrets_are_found_nowhere() {
    let directory = tempfile::tempdir().expect("a directory");
    let device = listen(junos()).await;
    let dialogue = vec![Prompt {
        text: "Token:".to_owned(),
        echo: false,
        answer: "something else".to_owned(),
    }];
    let strict = Emulator::builder()
        .user("gw")
        .keyboard_interactive(dialogue)
        .listen("127.0.0.1:0")
        .await
        .expect("an emulated device");
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let mut answers = String::new();
    for round in 0..2 {
        let served = Served::start(directory.path(), round).await;
        let url = served.url.clone();
        let mut ask = async |method: &str, path: &str, body: Option<Value>| {
            let mut request = client.request(method.parse().expect("a method"), format!("{url}{path}"));
            if let Some(body) = body {
                let media = if method == "PATCH" {
                    "application/merge-patch+json"
                } else {
                    "application/json"
                };
                request = request.header("Content-Type", media).body(body.to_string());
            }
            let answer = request.send().await.expect("an answer");
            let status = answer.status();
            let text = answer.text().await.expect("a body");
            answers.push_str(&format!("{method} {path}: {status} {text}\n"));
            status.as_u16()
        };
        if round == 0 {
            let keys = [device.host_key_fingerprint()];
            let wrong = json!({
                "name": "r1", "address": "127.0.0.1", "port": device.addr().port(), "username": "admin",
                "auth": {"password": CANARIES[0], "private_key": ENCRYPTED_KEY, "passphrase": PASSPHRASE},
                "host_key": {"policy": "pinned", "keys": keys},
            });
            assert_eq!(ask("POST", "/v1/devices", Some(wrong.clone())).await, 201);
            assert_eq!(ask("POST", "/v1/devices", Some(wrong)).await, 409);
            let answering = json!({
                "name": "r2", "address": "127.0.0.1", "port": strict.addr().port(), "username": "gw",
                "auth": {"keyboard_interactive": [{"prompt": "Token", "answer": CANARIES[1]}]},
                "host_key": {"policy": "tofu"},
            });
            assert_eq!(ask("POST", "/v1/devices", Some(answering)).await, 201);
            let jumping = json!({
                "name": "r3", "address": "127.0.0.1", "username": "gw", "auth": {"password": CANARIES[0]},
                "proxy_jump": [{"address": "127.0.0.1", "port": device.addr().port(), "username": "gw",
                                "auth": {"password": CANARIES[2]}, "host_key": {"policy": "tofu"}}],
            });
            assert_eq!(ask("POST", "/v1/devices", Some(jumping)).await, 201);
            let broken = json!({
                "name": "r4", "address": "127.0.0.1", "username": "gw", "unknown": 1,
                "auth": {"password": {"nested": CANARIES[0]}, "private_key": CANARIES[1], "pin": CANARIES[2]},
            });
            assert_eq!(ask("POST", "/v1/devices", Some(broken)).await, 400);
        }
        for name in ["r1", "r2", "r3"] {
            assert_eq!(ask("GET", &format!("/v1/devices/{name}"), None).await, 200);
            assert_ne!(ask("POST", &format!("/v1/devices/{name}/check"), None).await, 200);
            assert_ne!(
                ask(
                    "GET",
                    &format!("/v1/devices/{name}/rpc/get-chassis-inventory"),
                    None
                )
                .await,
                200
            );
        }
        assert_eq!(ask("GET", "/v1/devices", None).await, 200);
        let patch = json!({"auth": {"password": CANARIES[3], "private_key": null, "passphrase": null}});
        assert_eq!(ask("PATCH", "/v1/devices/r1", Some(patch)).await, 200);
        let again = json!({"auth": {"private_key": ENCRYPTED_KEY, "passphrase": PASSPHRASE}});
        assert_eq!(ask("PATCH", "/v1/devices/r1", Some(again)).await, 200);
        assert_ne!(ask("POST", "/v1/devices/r1/check", None).await, 200);
        assert_eq!(ask("GET", "/metrics", None).await, 200);
        assert_eq!(ask("GET", "/v1/status", None).await, 200);
        assert_eq!(served.terminate(), 0);
    }
    assert_clean("an answer", answers.as_bytes());
    assert!(
        answers.contains("\"password\":true"),
        "which credentials are set is told"
    );
    assert!(
        device.stats().auth_attempts > 0 && strict.stats().auth_attempts > 0,
        "they were used"
    );
    let mut files = 0;
    for entry in std::fs::read_dir(directory.path()).expect("the directory") {
        let path = entry.expect("an entry").path();
        let mut bytes = Vec::new();
        File::open(&path)
            .and_then(|mut file| file.read_to_end(&mut bytes))
            .expect("a readable file");
        assert_clean(&path.display().to_string(), &bytes);
        files += 1;
    }
    assert!(files >= 3, "database, key and log");
    let log = std::fs::read_to_string(directory.path().join("log")).expect("the log");
    assert!(log.contains("device-auth-failed"), "failures are logged");
    // Time for nothing else than to let the emulators end before the directory goes.
    tokio::time::timeout(Duration::from_secs(10), async {
        device.stop().await;
        strict.stop().await;
    })
    .await
    .expect("the devices end");
}
