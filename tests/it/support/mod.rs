//! The harness: a gateway in this process on a free port of loopback, with an inventory in memory, and what tests say
//! to it.

mod asking;
pub mod child;
pub mod commits;
pub mod confirmed;
pub mod database;
pub mod doors;
pub mod events;
pub mod following;
pub mod golden;
pub mod grpc;
pub mod invariants;
mod inventory;
pub mod judged;
pub mod keys;
pub mod planned;
pub mod points;
pub mod program;
pub mod proxy;
pub mod refused;
mod session_reads;
mod stores;
pub mod write;
pub mod written;

use std::net::SocketAddr;
use std::time::Duration;

use ncgate::app::Running;
use ncgate::clock::Clock;
use ncgate::config::{Config, Environment, SettingArgs, Values};
use ncgate::emulator::{Builder, RunningEmulator};
use reqwest::{Client, Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};

/// The login of emulated devices in tests.
pub const USER: &str = "admin";
pub const PASSWORD: &str = "correct horse";

/// A running gateway and a client for it.
pub struct TestGateway {
    running: Running,
    pub http: Client,
}

impl TestGateway {
    /// With the settings of `serve`, everything in memory, loopback devices allowed.
    pub async fn start() -> Self {
        Self::with(|_| {}).await
    }

    /// As [`Self::start`], with settings changed.
    pub async fn with(change: impl FnOnce(&mut SettingArgs)) -> Self {
        Self::begin(Clock::system(), Client::builder(), change).await
    }

    /// As [`Self::with`], by this clock. No connection is kept, because time may pass at once.
    pub async fn at(clock: Clock, change: impl FnOnce(&mut SettingArgs)) -> Self {
        Self::begin(clock, Client::builder().pool_max_idle_per_host(0), change).await
    }

    async fn begin(
        clock: Clock,
        http: reqwest::ClientBuilder,
        change: impl FnOnce(&mut SettingArgs),
    ) -> Self {
        let mut settings = SettingArgs {
            listen: Some("127.0.0.1:0".to_owned()),
            database: Some("sqlite::memory:".to_owned()),
            device_networks: Some("127.0.0.0/8".to_owned()),
            // Tests count what a device is sent.
            look_for_changes_seconds: Some("0".to_owned()),
            ..SettingArgs::default()
        };
        change(&mut settings);
        let values =
            Values::collect(&settings, &Environment::default(), None).expect("settings that are known");
        let config = Config::from_values(&values).expect("settings that are valid");
        let running = Running::start_at(&config, clock).await.expect("a gateway");
        Self {
            running,
            http: http.no_proxy().build().expect("a client"),
        }
    }

    /// A gateway and one emulated device in its inventory, named `mx1`.
    pub async fn with_device(builder: Builder) -> (Self, RunningEmulator) {
        let gateway = Self::start().await;
        let device = listen(builder).await;
        gateway.add("mx1", &device, json!({})).await;
        (gateway, device)
    }

    pub fn address(&self) -> SocketAddr {
        self.running.address()
    }

    /// The use cases themselves, for calls of several principals: the doors know one as long as there is no login.
    pub fn service(&self) -> &ncgate::service::Gateway {
        self.running.gateway()
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address())
    }

    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, self.url(path))
    }

    /// Adds an emulated device; `more` is laid over its settings.
    pub async fn add(&self, name: &str, device: &RunningEmulator, more: Value) -> Value {
        let mut body = json!({
            "name": name,
            "address": "127.0.0.1",
            "port": device.addr().port(),
            "username": USER,
            "auth": {"password": PASSWORD},
            "host_key": {"policy": "pinned", "keys": [device.host_key_fingerprint()]},
        });
        for (key, value) in more.as_object().expect("an object") {
            body[key] = value.clone();
        }
        let (status, answer) = self.post("/v1/devices", &body).await;
        assert_eq!(status, StatusCode::CREATED, "{answer}");
        answer
    }

    /// Status and JSON body.
    pub async fn get(&self, path: &str) -> (StatusCode, Value) {
        answer(self.request(Method::GET, path)).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> (StatusCode, Value) {
        answer(self.request(Method::POST, path).json(body)).await
    }

    /// A GET that must succeed.
    pub async fn read(&self, path: &str) -> Value {
        let (status, body) = self.get(path).await;
        assert_eq!(status, StatusCode::OK, "GET {path}: {body}");
        body
    }

    pub async fn stop(self) {
        self.running.stop().await.expect("a polite end");
    }
}

/// Sends a request; the body is JSON, or null where there is none.
pub async fn answer(request: RequestBuilder) -> (StatusCode, Value) {
    let response = request.send().await.expect("an answer");
    let status = response.status();
    let text = response.text().await.expect("a whole answer");
    let body = if text.is_empty() {
        Value::Null
    } else {
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{status} with {error}: {text}"))
    };
    (status, body)
}

/// What the gateway sent to a device of an operation, each as it came, envelope included.
pub fn sent(device: &RunningEmulator, operation: &str) -> Vec<String> {
    let begins = format!("<{operation}");
    let requests = device.stats().requests;
    requests
        .into_iter()
        .filter(|request| request.contains(&begins))
        .collect()
}

/// That the last request of this operation held exactly this element.
#[track_caller]
pub fn assert_sent(device: &RunningEmulator, operation: &str, element: &str) {
    let sent = sent(device, operation);
    let last = sent.last().unwrap_or_else(|| panic!("no {operation} was sent"));
    assert!(last.contains(element), "{last} holds no {element}");
}

/// An emulated device with the tests' login, on a free port of loopback.
pub async fn listen(builder: Builder) -> RunningEmulator {
    builder
        .user(USER)
        .password(PASSWORD)
        .listen("127.0.0.1:0")
        .await
        .expect("an emulated device")
}

/// The emulated device of most tests, with its configuration.
pub fn junos() -> Builder {
    let [mx1, _] = ncgate::emulator::demo_devices();
    mx1
}

/// The code of a problem.
pub fn code(problem: &Value) -> &str {
    problem["code"]
        .as_str()
        .unwrap_or_else(|| panic!("no problem: {problem}"))
}

/// Waits until `check` is true; fails loudly after ten seconds.
pub async fn eventually(what: &str, mut check: impl AsyncFnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    while !check().await {
        assert!(tokio::time::Instant::now() < deadline, "still not: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
