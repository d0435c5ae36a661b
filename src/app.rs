//! Builds and wires everything, and knows the order of start and stop.

#[cfg(feature = "emulator")]
pub mod demo;
mod descriptors;

use std::io::{self, IsTerminal};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use zeroize::Zeroizing;

use crate::api;
use crate::clock::Clock;
use crate::config::{Config, LogFormat};
use crate::device::{ConnectRate, OverSsh, Registry, Surroundings};
use crate::error::Error;
use crate::ids::Ids;
use crate::metrics::Metrics;
use crate::service::events::EventSettings;
use crate::service::operations::Bounds;
use crate::service::url_policy::{BadEntry, UrlPolicy};
use crate::service::{Gateway, Parts};
use crate::session::spool::{Spool, SpoolLimits};
use crate::store::{BadLocation, KeySource, Location, OpenError, Store, StoreOptions};
use crate::transport::{NetworkPolicy, TcpDialer};

/// How long sessions may take for their polite end once nothing is in flight any more.
const CLOSE_GRACE: Duration = Duration::from_secs(5);

/// Why the gateway does not start, or did not run to its end.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    #[error(
        "cannot listen on {address}: the port is in use; choose another one with --listen (NCGATE_LISTEN)"
    )]
    PortInUse { address: SocketAddr },
    #[error("cannot listen on {address}")]
    Listen {
        address: SocketAddr,
        #[source]
        source: io::Error,
    },
    #[error("the database setting names no database")]
    Location(#[from] BadLocation),
    #[error(transparent)]
    Store(#[from] OpenError),
    #[error("cannot use the spool directory {}", .directory.display())]
    Spool {
        directory: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the setting device_urls cannot be used")]
    Urls(#[from] BadEntry),
    #[error("cannot start")]
    Gateway(#[from] Error),
    #[cfg(feature = "emulator")]
    #[error("cannot start an emulated device")]
    Emulator(#[from] crate::emulator::BuildError),
    #[error("cannot serve")]
    Serve(#[source] io::Error),
    #[error("cannot wait for signals")]
    Signals(#[source] io::Error),
    #[cfg(feature = "emulator")]
    #[error("cannot write to standard output")]
    Output(#[source] io::Error),
    #[error("the log filter {filter:?} cannot be read")]
    LogFilter {
        filter: String,
        #[source]
        source: tracing_subscriber::filter::ParseError,
    },
}

/// A gateway that serves.
pub struct Running {
    address: SocketAddr,
    gateway: Gateway,
    store: Store,
    shutdown: CancellationToken,
    tasks: TaskTracker,
    /// For what is in flight when it ends.
    drain: Duration,
    serving: tokio::task::JoinHandle<io::Result<()>>,
}

impl Running {
    /// Starts everything; returns when connections are accepted.
    ///
    /// # Errors
    /// [`AppError`]; whatever was started has ended then.
    pub fn start(config: &Config) -> impl Future<Output = Result<Self, AppError>> {
        Self::start_at(config, Clock::system())
    }

    /// As [`Self::start`], by another clock than the machine's.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn start_at(config: &Config, clock: Clock) -> impl Future<Output = Result<Self, AppError>> {
        // Boxed as a trait object, so that all of the gateway is compiled here, and not again in whatever program
        // starts one.
        let started: Pin<Box<dyn Future<Output = _>>> =
            Box::pin(Self::start_with(config, clock, Ids::from_entropy()));
        started
    }

    async fn start_with(config: &Config, clock: Clock, ids: Ids) -> Result<Self, AppError> {
        let address = config.server.listen;
        // Before the database is touched: a second gateway by mistake must not.
        let listener = TcpListener::bind(address)
            .await
            .map_err(|source| match source.kind() {
                io::ErrorKind::AddrInUse => AppError::PortInUse { address },
                _ => AppError::Listen { address, source },
            })?;
        let address = listener
            .local_addr()
            .map_err(|source| AppError::Listen { address, source })?;
        let store = Store::open(store_options(config)?, clock.clone(), ids.clone()).await?;
        let metrics = Arc::new(Metrics::new());
        let tasks = TaskTracker::new();
        let cut = CancellationToken::new();
        let devices = Registry::new(
            Surroundings {
                spool: open_spool(config).await?,
                metrics: metrics.clone(),
                clock: clock.clone(),
                ids: ids.clone(),
                tracker: tasks.clone(),
                cut: cut.clone(),
            },
            ConnectRate::default(),
        );
        let networks = networks(config);
        let gateway = Gateway::open(Parts {
            store: store.clone(),
            devices,
            connectors: Arc::new(OverSsh(Arc::new(TcpDialer::new(networks.clone())))),
            networks,
            clock,
            known_hosts: config.devices.known_hosts.clone().unwrap_or_default(),
            idle_timeout: config.devices.idle_session,
            record_age: config.devices.record_age,
            read_only_rpcs: config.devices.read_only_rpcs.iter().cloned().collect(),
            urls: UrlPolicy::new(&config.devices.urls)?,
            edit_sessions_kept: config.devices.edit_sessions_kept,
            least_confirm_timeout: config.devices.least_confirm_timeout,
            operations: Bounds {
                asynchronous: config.server.asynchronous_operations,
                keys_kept: config.server.idempotency,
                keys: u64::from(config.server.idempotency_keys),
            },
            events: EventSettings {
                kept: config.events.kept,
                followers: config.events.streams as usize,
                look_every: config.events.look_every,
            },
            tasks: tasks.clone(),
        })
        .await?;
        let shutdown = CancellationToken::new();
        let serving = tokio::spawn(api::serve(
            listener,
            gateway.clone(),
            metrics,
            ids,
            api_settings(config),
            shutdown.clone(),
            tasks.clone(),
        ));
        Ok(Self {
            address,
            gateway,
            store,
            shutdown,
            tasks,
            drain: config.server.drain,
            serving,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The use cases, for whoever runs in the same process.
    pub fn gateway(&self) -> &Gateway {
        &self.gateway
    }

    /// Ends politely (conventions D1): refuses what is new, lets what is in flight finish, closes every session with
    /// `<close-session>`, then the database.
    ///
    /// # Errors
    /// What ended the serving.
    pub async fn stop(self) -> Result<(), AppError> {
        let drained = tokio::time::Instant::now() + self.drain;
        self.gateway.drain();
        self.shutdown.cancel();
        let served = self
            .serving
            .await
            .map_err(|error| AppError::Serve(io::Error::other(error)))?;
        // Calls whose callers have gone, or never waited.
        let left = drained.saturating_duration_since(tokio::time::Instant::now());
        self.gateway.operations_ended(left).await;
        let left = drained.saturating_duration_since(tokio::time::Instant::now());
        if !self.gateway.close(left.max(CLOSE_GRACE), CLOSE_GRACE).await {
            tracing::warn!("some sessions were cut, because their devices did not answer close-session");
        }
        self.tasks.close();
        self.tasks.wait().await;
        self.store.close().await;
        served.map_err(AppError::Serve)
    }
}

/// Runs the gateway until SIGTERM or SIGINT.
///
/// # Errors
/// [`AppError`].
pub async fn serve(config: &Config) -> Result<(), AppError> {
    let running = Running::start(config).await?;
    tracing::info!(address = %running.address(), version = env!("CARGO_PKG_VERSION"), "serving");
    wait_for_signal().await?;
    finish(running).await
}

/// Starts the log. Call once, first.
///
/// # Errors
/// A filter that cannot be read.
pub fn start_log(config: &Config) -> Result<(), AppError> {
    let filter = &config.log.filter;
    let parsed = tracing_subscriber::EnvFilter::try_new(filter).map_err(|source| AppError::LogFilter {
        filter: filter.clone(),
        source,
    })?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(parsed)
        // The log that cannot be written is no reason to stop serving, and where would it be told?
        .log_internal_errors(false)
        .with_writer(io::stderr);
    match config.log.format {
        // X9: one JSON object per line, so that nothing a peer sends can forge a second one.
        LogFormat::Json => builder.json().flatten_event(true).init(),
        LogFormat::Text => builder.with_ansi(shows_colours()).init(),
    }
    Ok(())
}

/// Whether colours are for people here: not in a file or a pipe, and not where `NO_COLOR` is set.
fn shows_colours() -> bool {
    io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// The first signal asks for the polite end.
async fn wait_for_signal() -> Result<(), AppError> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate()).map_err(AppError::Signals)?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted.map_err(AppError::Signals),
        _ = terminate.recv() => Ok(()),
    }
}

/// Ends politely, unless a second signal does not want to wait.
async fn finish(running: Running) -> Result<(), AppError> {
    tracing::info!("ending: what is in flight may finish");
    tokio::select! {
        stopped = running.stop() => stopped,
        signalled = wait_for_signal() => {
            tracing::warn!("ending at once, at the second signal");
            signalled
        }
    }
}

fn store_options(config: &Config) -> Result<StoreOptions, AppError> {
    let location: Location = config.database.url.parse()?;
    let key = match (&config.database.key, &config.database.key_file, &location) {
        (Some(key), _, _) => KeySource::Text(Zeroizing::new(key.to_string())),
        (None, Some(file), _) => KeySource::File(file.clone()),
        (None, None, Location::Memory) => KeySource::Ephemeral,
        (None, None, Location::File(_) | Location::Postgres(_)) => KeySource::BesideDatabase,
    };
    Ok(StoreOptions {
        events_kept: u64::from(config.events.most),
        ..StoreOptions::new(location, key)
    })
}

/// Cleans up what a crash left, so it reads a directory.
async fn open_spool(config: &Config) -> Result<Arc<Spool>, AppError> {
    let directory = config.spool.directory.clone();
    let limits = SpoolLimits {
        memory_per_reply: config.spool.memory_per_reply,
        reply: config.spool.max_reply,
        files_total: config.spool.max_total,
        ..SpoolLimits::default()
    };
    let failed = |directory: &Path, source| AppError::Spool {
        directory: directory.to_owned(),
        source,
    };
    let opened = {
        let directory = directory.clone();
        tokio::task::spawn_blocking(move || Spool::open(&directory, limits)).await
    };
    match opened {
        Ok(Ok(spool)) => Ok(spool),
        Ok(Err(source)) => Err(failed(&directory, source)),
        Err(panicked) => Err(failed(&directory, io::Error::other(panicked))),
    }
}

fn networks(config: &Config) -> NetworkPolicy {
    match &config.devices.networks {
        Some(networks) => NetworkPolicy::new(networks.clone(), config.devices.ports.clone()),
        None => NetworkPolicy::with_ports(config.devices.ports.clone()),
    }
}

fn api_settings(config: &Config) -> api::Settings {
    let mut settings = api::Settings::default();
    settings.connections.connections = descriptors::connections(config.server.max_connections as usize);
    settings.connections.header_timeout = config.server.header_timeout;
    settings.connections.drain = config.server.drain;
    settings.pace = api::pace::Pace {
        least: config.server.slow_caller_bytes_per_second,
        patience: config.server.slow_caller,
    };
    settings.max_body_bytes = usize::try_from(config.server.max_body_bytes).unwrap_or(usize::MAX);
    settings
}
