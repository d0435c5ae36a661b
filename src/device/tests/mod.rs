//! Devices against scripted servers in memory, in virtual time.

mod calls;
mod connecting;
mod editing;
mod holding;
mod jumping;
mod replacing;
mod router;

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::*;
use crate::clock::Clock;
use crate::ids::Ids;
use crate::metrics::Metrics;
use crate::netconf::capability::Capability;
use crate::netconf::rpc::RequestError;
use crate::session::fake::{BASE10, BASE11, FakeDevice, JUNOS, React, Received, reply, rpc, spool};
use crate::session::spool::SpoolLimits;
use crate::session::{self, EndCause, RawReply, SessionError};
use crate::transport::{BoxFuture, Loss as LinkLoss, Phase};

/// Connects to a fake device; before that, fails as scripted.
struct FakeConnector {
    device: FakeDevice,
    failures: Mutex<VecDeque<ConnectError>>,
    connects: Mutex<Vec<Instant>>,
    /// How long a connect takes.
    takes: Duration,
}

impl FakeConnector {
    fn connects(&self) -> Vec<Instant> {
        self.connects
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    async fn open(&self, config: session::Config) -> Result<Opened, ConnectError> {
        self.connects
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(Instant::now());
        tokio::time::sleep(self.takes).await;
        let failure = self
            .failures
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop_front();
        if let Some(failure) = failure {
            return Err(failure);
        }
        let (incoming, outgoing) = self.device.connect();
        let (handle, actor) = session::open(incoming, outgoing, config)
            .await
            .map_err(ConnectError::Hello)?;
        Ok(Opened {
            handle,
            run: Box::pin(actor.run()),
            link: Link::default(),
        })
    }
}

impl Connector for FakeConnector {
    fn connect<'a>(
        &'a self,
        config: session::Config,
        stage: &'a Stage,
    ) -> BoxFuture<'a, Result<Opened, ConnectError>> {
        stage.enter("tcp");
        Box::pin(self.open(config))
    }
}

struct World {
    registry: Arc<Registry>,
    metrics: Arc<Metrics>,
    tracker: TaskTracker,
}

impl World {
    fn new() -> Self {
        Self::paced(ConnectRate::default())
    }

    fn paced(rate: ConnectRate) -> Self {
        let metrics = Arc::new(Metrics::new());
        let tracker = TaskTracker::new();
        let around = Surroundings {
            spool: spool(SpoolLimits::default()),
            metrics: metrics.clone(),
            clock: Clock::system(),
            ids: Ids::seeded(1),
            tracker: tracker.clone(),
            cut: CancellationToken::new(),
        };
        Self {
            registry: Registry::new(around, rate),
            metrics,
            tracker,
        }
    }

    fn add(&self, settings: Settings, device: &FakeDevice) -> (Arc<Device>, Arc<FakeConnector>) {
        self.add_failing(settings, device, Vec::new())
    }

    fn add_failing(
        &self,
        settings: Settings,
        device: &FakeDevice,
        failures: Vec<ConnectError>,
    ) -> (Arc<Device>, Arc<FakeConnector>) {
        let connector = Arc::new(FakeConnector {
            device: device.clone(),
            failures: Mutex::new(failures.into()),
            connects: Mutex::default(),
            takes: Duration::ZERO,
        });
        (self.registry.upsert(settings, connector.clone()), connector)
    }

    fn metric(&self, line: &str) -> bool {
        self.metrics.encode().lines().any(|found| found == line)
    }
}

fn settings() -> Settings {
    named("mx1")
}

/// A device without the pause before the first RPC.
fn named(name: impl Into<String>) -> Settings {
    Settings {
        profile: Profile::Junos,
        ..Settings::new(name)
    }
}

/// Answers every RPC with an element of its name, after as many seconds as the name says behind `wait-`.
fn echo(rpc: &Received) -> Vec<React> {
    if rpc.operation == "close-session" {
        return Vec::new();
    }
    let wait = rpc
        .operation
        .strip_prefix("wait-")
        .map_or(0, |seconds| seconds.parse().unwrap());
    vec![
        React::Wait(Duration::from_secs(wait)),
        React::Reply(format!("<{}/>", rpc.operation)),
    ]
}

fn echo_device() -> FakeDevice {
    FakeDevice::new(&[BASE10, BASE11], echo)
}

fn request(operation: &'static str) -> Request {
    Request::new(move |_| Ok(rpc(operation)))
}

fn within(seconds: u64) -> Instant {
    Instant::now() + Duration::from_secs(seconds)
}

fn text(reply: &RawReply) -> String {
    reply.source.read_to_string(1 << 20).unwrap()
}

fn says(answer: &Answer, operation: &str) -> bool {
    answer
        .as_ref()
        .is_ok_and(|reply| text(reply).contains(&format!("<{operation}/>")))
}

fn refused() -> ConnectError {
    ConnectError::Transport(TransportError::Closed {
        phase: Phase::Tcp,
        loss: LinkLoss::Closed,
    })
}

fn auth() -> ConnectError {
    ConnectError::Transport(TransportError::Auth {
        user: "gw".to_owned(),
        offered: vec!["password".to_owned()],
        tried: Vec::new(),
        partial_success: false,
    })
}
