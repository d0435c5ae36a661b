//! Whole requests through both doors, over loopback, to an emulated device and back.

mod codes;
mod doors;
mod failures;
mod grpc;
mod panics;
mod rest;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::Settings;
use crate::clock::Clock;
use crate::device::{ConnectRate, OverSsh, Registry, Surroundings};
use crate::emulator::{Emulator, RunningEmulator};
use crate::ids::Ids;
use crate::metrics::Metrics;
use crate::service::{Gateway, Parts};
use crate::session::spool::{Spool, SpoolLimits};
use crate::store::{KeySource, Location, Store, StoreOptions};
use crate::transport::{NetworkPolicy, TcpDialer};

/// A gateway that listens on loopback, and the device `r1` in its inventory.
struct Served {
    address: SocketAddr,
    device: RunningEmulator,
    shutdown: CancellationToken,
    server: tokio::task::JoinHandle<std::io::Result<()>>,
    gateway: Gateway,
    metrics: Arc<Metrics>,
    /// The tasks of the front ends: one for health, and one per answer that is being handed on.
    tasks: TaskTracker,
    client: reqwest::Client,
    _spool: tempfile::TempDir,
}

impl Served {
    async fn new() -> Self {
        Self::with(Settings::default()).await
    }

    async fn with(settings: Settings) -> Self {
        let device = Emulator::builder()
            .hostname("r1")
            .user("lab")
            .password("lab123")
            .listen("127.0.0.1:0");
        let device = device.await.expect("an emulated device");
        let (clock, ids, metrics) = (Clock::system(), Ids::from_entropy(), Arc::new(Metrics::new()));
        let (tracker, cut) = (TaskTracker::new(), CancellationToken::new());
        let spool = tempfile::tempdir().expect("a directory for the spool");
        let options = StoreOptions::new(Location::Memory, KeySource::Ephemeral);
        let store = Store::open(options, clock.clone(), ids.clone())
            .await
            .expect("a database in memory");
        let around = Surroundings {
            spool: Spool::open(spool.path(), SpoolLimits::default()).expect("a spool"),
            metrics: metrics.clone(),
            clock: clock.clone(),
            ids: ids.clone(),
            tracker: tracker.clone(),
            cut,
        };
        let loopback = ["127.0.0.0/8".parse().expect("a network")];
        let networks = NetworkPolicy::new(loopback.to_vec(), Vec::new());
        let gateway = Gateway::open(Parts {
            store,
            devices: Registry::new(around, ConnectRate::default()),
            connectors: Arc::new(OverSsh(Arc::new(TcpDialer::new(networks.clone())))),
            networks,
            urls: Default::default(),
            clock,
            known_hosts: spool.path().join("known_hosts"),
            idle_timeout: Duration::from_secs(60),
            record_age: Duration::from_secs(1),
            read_only_rpcs: Default::default(),
            edit_sessions_kept: Duration::from_secs(60),
            least_confirm_timeout: Duration::from_secs(60),
            operations: crate::service::operations::Bounds::default(),
            events: Default::default(),
            tasks: tracker.clone(),
        });
        let gateway = gateway.await.expect("a gateway");
        let shared = gateway.clone();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let shutdown = CancellationToken::new();
        let tasks = TaskTracker::new();
        let serving = super::serve(
            listener,
            gateway,
            metrics.clone(),
            ids,
            settings,
            shutdown.clone(),
            tasks.clone(),
        );
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        let served = Self {
            address,
            device,
            shutdown,
            server: tokio::spawn(serving),
            gateway: shared,
            metrics,
            tasks,
            client,
            _spool: spool,
        };
        let created = served
            .post("/v1/devices")
            .json(&served.document("r1"))
            .send()
            .await
            .expect("an answer");
        assert_eq!(created.status(), 201, "{:?}", created.text().await);
        served
    }

    /// The document of the emulated device under another name.
    fn document(&self, name: &str) -> Value {
        json!({
            "name": name, "address": "127.0.0.1", "port": self.device.addr().port(), "username": "lab",
            "auth": {"password": "lab123"}, "labels": {"site": "lab"},
            "host_key": {"keys": [self.device.host_key_fingerprint()]},
        })
    }

    /// What the handlers share.
    fn app(&self) -> super::App {
        super::App {
            gateway: self.gateway.clone(),
            settings: Arc::new(Settings::default()),
            request_ids: super::RequestIds::new(Ids::from_entropy()),
            metrics: self.metrics.clone(),
            tasks: self.tasks.clone(),
            shutdown: self.shutdown.clone(),
        }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    fn get(&self, path: &str) -> reqwest::RequestBuilder {
        self.client.get(self.url(path))
    }

    fn post(&self, path: &str) -> reqwest::RequestBuilder {
        self.client.post(self.url(path))
    }

    async fn channel(&self) -> tonic::transport::Channel {
        let endpoint = tonic::transport::Endpoint::from_shared(self.url("")).expect("a URI");
        endpoint.connect().await.expect("a connection")
    }
}

/// Sends, and takes the answer for JSON.
async fn json(request: reqwest::RequestBuilder) -> (u16, Value) {
    let response = request.send().await.expect("an answer");
    let status = response.status().as_u16();
    let text = response.text().await.expect("a body");
    let value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{status}: no JSON: {text}"));
    (status, value)
}
