//! The gateway's own layers, wired as the gateway wires them.

use std::sync::Arc;
use std::time::Duration;

use ncgate::clock::Clock;
use ncgate::device::{ConnectRate, Device, Registry, Request, Settings, SshConnector, Surroundings};
use ncgate::ids::Ids;
use ncgate::json::Selection;
use ncgate::metrics::Metrics;
use ncgate::netconf::datastore::Datastore;
use ncgate::netconf::operation::Filter;
use ncgate::netconf::operation::get_config::GetConfig;
use ncgate::session::spool::{Spool, SpoolLimits};
use ncgate::session::stream::SshOutgoing;
use ncgate::session::{self, Call, FirstRpc, RawReply, SessionHandle, Traces};
use ncgate::transport::{
    Credentials, HostKeyPolicy, NetworkPolicy, SshHost, SshProfile, SshTarget, TcpDialer, connect,
};
use ncgate::xml::{Fragment, Limits};
use tempfile::TempDir;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::side::Shared;
use crate::{Fault, PASSWORD, USER};

const DEADLINE: Duration = Duration::from_secs(60);

/// What all sessions share.
pub struct Ours {
    spool: Arc<Spool>,
    metrics: Arc<Metrics>,
    dialer: Arc<TcpDialer>,
    /// One for all, as a device has: what was enough to log in is known the next time.
    target: SshTarget,
    _dir: TempDir,
}

impl Ours {
    pub fn new(port: u16, limits: SpoolLimits) -> Result<Self, Fault> {
        let dir = tempfile::tempdir()?;
        let loopback = NetworkPolicy::new(vec!["127.0.0.0/8".parse()?], Vec::new());
        Ok(Self {
            spool: Spool::open(dir.path(), limits)?,
            metrics: Arc::new(Metrics::new()),
            dialer: Arc::new(TcpDialer::new(loopback)),
            target: SshTarget::new(SshHost {
                address: "127.0.0.1".to_owned(),
                port,
                username: USER.to_owned(),
                auth: Credentials::password(PASSWORD),
                host_key: HostKeyPolicy::Tofu { learned: Vec::new() },
                profile: SshProfile::Modern,
            }),
            _dir: dir,
        })
    }

    /// Connects and exchanges hellos.
    pub async fn open(&self) -> Result<SessionHandle, Fault> {
        let connected = connect(&self.target, &*self.dialer).await?;
        let config = session::Config {
            spool: self.spool.clone(),
            metrics: self.metrics.clone(),
            hello_timeout: DEADLINE,
            first_rpc: FirstRpc::AtOnce,
            echo: false,
        };
        let outgoing = SshOutgoing::new(connected.writer, connected.connection);
        let (handle, actor) = session::open(connected.reader, outgoing, config).await?;
        tokio::spawn(actor.run());
        Ok(handle)
    }

    /// A registry without a brake on connects.
    pub fn registry(&self) -> Arc<Registry> {
        let around = Surroundings {
            spool: self.spool.clone(),
            metrics: self.metrics.clone(),
            clock: Clock::system(),
            ids: Ids::from_entropy(),
            tracker: TaskTracker::new(),
            cut: CancellationToken::new(),
        };
        let rate = ConnectRate {
            per_second: 1_000_000,
            burst: 1_000_000,
        };
        Registry::new(around, rate)
    }

    /// A device with so many places for sessions.
    pub fn pooled(&self, places: usize) -> Pooled {
        let registry = self.registry();
        let settings = Settings {
            max_sessions: places,
            ..Settings::new("bench")
        };
        let device = self.device_of(&registry, settings);
        Pooled { device, registry }
    }

    /// A device of this name on the server.
    pub fn device(&self, registry: &Registry, name: &str) -> Arc<Device> {
        self.device_of(registry, Settings::new(name))
    }

    /// A device with these settings.
    pub fn device_of(&self, registry: &Registry, settings: Settings) -> Arc<Device> {
        let connector = SshConnector::new(self.target.clone(), self.dialer.clone(), None);
        registry.upsert(settings, Arc::new(connector))
    }
}

/// A device with its queue and its pool.
#[derive(Clone)]
pub struct Pooled {
    device: Arc<Device>,
    registry: Arc<Registry>,
}

impl Pooled {
    pub async fn end(self) {
        self.registry.shutdown(Duration::from_secs(2)).await;
    }
}

impl Shared for Pooled {
    async fn get(&self, filter: &str) -> Result<usize, Fault> {
        let reply = read(&self.device, filter).await?;
        Ok(usize::try_from(reply.bytes)?)
    }
}

fn get_config(filter: &str) -> Result<GetConfig, Fault> {
    Ok(GetConfig {
        filter: Some(Filter::Subtree(Fragment::parse_one(filter, &Limits::default())?)),
        ..GetConfig::of(Datastore::Running)
    })
}

/// `<get-config>` with this filter on one session.
pub async fn get(
    session: &SessionHandle,
    filter: &str,
    selection: Option<Selection>,
) -> Result<RawReply, Fault> {
    let call = Call {
        rpc: get_config(filter)?.rpc(session.capabilities())?,
        attributes: Vec::new(),
        deadline: Instant::now() + DEADLINE,
        traces: Traces::None,
        selection,
    };
    let reply = session.call(call).await?;
    if reply.scan.is_error() {
        return Err("the server refused".into());
    }
    Ok(reply)
}

/// The same through queue and pool of a device.
pub async fn read(device: &Device, filter: &str) -> Result<RawReply, Fault> {
    let get_config = get_config(filter)?;
    let request = Request::new(move |capabilities| get_config.rpc(capabilities));
    Ok(device.read("bench", Instant::now() + DEADLINE, request).await?)
}
