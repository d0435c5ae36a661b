//! The use cases. Front ends translate, this layer decides; it knows no HTTP and no gRPC.
//!
//! Every call takes a [`call::CallContext`] with the principal; [`calls::CALLS`] is the table of them all.

mod attempts;
pub mod call;
pub mod calls;
mod changes;
mod check;
mod cli;
mod config;
mod config_options;
mod confirmed;
mod continuity;
mod datastores;
mod devices;
pub mod edit;
mod edit_sessions;
mod elsewhere;
pub mod events;
mod evidence;
mod failure;
mod held;
mod history;
mod kill;
mod locks;
pub mod operations;
mod output;
mod pace;
mod prepare;
mod records;
pub mod reply;
pub mod request;
pub mod revisions;
mod rpc;
mod schemas;
mod status;
mod target;
mod time;
mod told;
pub mod url_policy;
mod verdict;
pub mod view;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::call::CallContext;
use self::url_policy::UrlPolicy;
use crate::clock::Clock;
use crate::device::{Connectors, Device, Registry};
use crate::error::{Error, ErrorCode};
use crate::store::{DeviceRecord, Store, StoreError};
use crate::transport::NetworkPolicy;

/// No caller waits longer than this (conventions H6: the longest class).
pub const LONGEST_DEADLINE: Duration = Duration::from_secs(3600);

/// What the service layer works with.
pub struct Parts {
    pub store: Store,
    pub devices: Arc<Registry>,
    /// How sessions with devices are opened.
    pub connectors: Arc<dyn Connectors>,
    /// Where devices may be dialled.
    pub networks: NetworkPolicy,
    pub clock: Clock,
    /// The file of the host key policy `known_hosts`.
    pub known_hosts: PathBuf,
    /// An idle session is closed after this time.
    pub idle_timeout: Duration,
    /// How long calls go by a stored device before they read it again (`records`); zero: not at all.
    pub record_age: Duration,
    /// Request tags to treat as read-only beside the reviewed ones.
    pub read_only_rpcs: BTreeSet<String>,
    /// Where devices may be sent for configuration.
    pub urls: UrlPolicy,
    /// For how long edit sessions are told of that have ended.
    pub edit_sessions_kept: Duration,
    /// The least time that may be asked for between a commit and its confirmation.
    pub least_confirm_timeout: Duration,
    /// How many operations and idempotency keys there may be, and for how long.
    pub operations: operations::Bounds,
    pub events: events::EventSettings,
    /// Owns the tasks of the use cases.
    pub tasks: TaskTracker,
}

/// All use cases. Cheap to clone.
#[derive(Clone)]
pub struct Gateway {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    records: Arc<records::Records>,
    devices: Arc<Registry>,
    connectors: Arc<dyn Connectors>,
    networks: NetworkPolicy,
    clock: Clock,
    known_hosts: target::KnownHosts,
    idle_timeout: Duration,
    read_only_rpcs: BTreeSet<String>,
    urls: UrlPolicy,
    edit_sessions_kept: Duration,
    least_confirm_timeout: Duration,
    tasks: TaskTracker,
    started: Instant,
    draining: CancellationToken,
    operations: operations::Operations,
    /// Changes under way.
    changes: changes::Running,
    /// Changes of which it is being found out whether they were committed.
    resolving: changes::Resolving,
    /// Scheduled commits that devices neither have made nor are going to.
    gone: changes::Gone,
    /// Confirmed commits that are looked after.
    confirmed: confirmed::Registry,
    passages: Arc<confirmed::Passages>,
    /// The tasks that look after them.
    guardians: TaskTracker,
    /// How long commits take.
    pace: pace::Pace,
    /// Locks of others that refusals told of.
    seen: locks::Seen,
    revisions: revisions::Revisions,
    /// Ends what runs for as long as the gateway does.
    ending: CancellationToken,
    /// The sessions of all devices have ended: there is nothing more to tell of them.
    ended: CancellationToken,
    /// The newest events, for those who follow them.
    events: Arc<events::Tail>,
    events_kept: Duration,
    /// Looks for commits that were made elsewhere.
    looks: elsewhere::Looks,
    /// Held while the inventory and the devices that are talked to are changed, so that the two never disagree.
    changing: tokio::sync::Mutex<()>,
}

impl Gateway {
    /// The gateway over an opened store; devices are made ready, none is connected.
    ///
    /// # Errors
    /// When the inventory cannot be read.
    pub async fn open(parts: Parts) -> Result<Self, Error> {
        let started = parts.clock.now();
        let gateway = Self {
            inner: Arc::new(Inner {
                store: parts.store,
                records: Arc::new(records::Records::new(parts.record_age)),
                devices: parts.devices,
                connectors: parts.connectors,
                networks: parts.networks,
                clock: parts.clock,
                known_hosts: target::KnownHosts(parts.known_hosts),
                idle_timeout: parts.idle_timeout,
                read_only_rpcs: parts.read_only_rpcs,
                urls: parts.urls,
                edit_sessions_kept: parts.edit_sessions_kept,
                least_confirm_timeout: parts.least_confirm_timeout,
                tasks: parts.tasks,
                started,
                draining: CancellationToken::new(),
                operations: operations::Operations::new(parts.operations),
                changes: changes::Running::default(),
                resolving: changes::Resolving::default(),
                gone: changes::Gone::default(),
                confirmed: confirmed::Registry::default(),
                passages: Arc::default(),
                guardians: TaskTracker::new(),
                pace: pace::Pace::default(),
                seen: locks::Seen::default(),
                revisions: revisions::Revisions::default(),
                ending: CancellationToken::new(),
                ended: CancellationToken::new(),
                events: Arc::new(events::Tail::new(parts.events.followers)),
                events_kept: parts.events.kept,
                looks: elsewhere::Looks::new(parts.events.look_every),
                changing: tokio::sync::Mutex::default(),
            }),
        };
        gateway.settle_edit_sessions().await?;
        gateway.settle_changes().await?;
        gateway.settle_operations().await?;
        gateway.install_all().await?;
        gateway.take_up_confirmed_commits().await?;
        gateway.resolve_left_behind().await?;
        let tasks = gateway.inner.tasks.clone();
        tasks.spawn(gateway.clone().forget_old_edit_sessions());
        tasks.spawn(gateway.clone().forget_old_changes());
        tasks.spawn(gateway.clone().forget_old_confirmed_commits());
        tasks.spawn(gateway.clone().forget_old_operations());
        tasks.spawn(gateway.clone().look_after_scheduled_commits());
        tasks.spawn(gateway.clone().follow_operations());
        gateway.start_events();
        Ok(gateway)
    }

    /// From now on nothing new that changes a device, and nothing in the inventory, is accepted. Edit sessions end, each
    /// after the RPC that it runs (D1).
    pub fn drain(&self) {
        self.inner.draining.cancel();
        self.inner.devices.stop_edit_sessions();
    }

    /// Ends all sessions politely; what is not done within `grace` is cut. Confirmed commits that are undone by that are
    /// looked after before, for `patience` at most (D1).
    pub async fn close(&self, patience: Duration, grace: Duration) -> bool {
        self.drain();
        // Who looks after a confirmed commit ends its session, and asks the device what came of that. Nobody else would
        // end it.
        self.inner.ending.cancel();
        self.inner.guardians.close();
        let left = tokio::time::timeout(patience, self.inner.guardians.wait()).await;
        let polite = self.inner.devices.shutdown(grace).await;
        self.inner.ended.cancel();
        polite && left.is_ok()
    }

    /// Seconds since 1970, for what devices say about themselves.
    fn now_seconds(&self) -> i64 {
        self.inner.clock.wall().unix_timestamp()
    }

    fn draining(&self) -> bool {
        self.inner.draining.is_cancelled()
    }

    fn accepting(&self) -> Result<(), Error> {
        if self.draining() {
            return Err(ends());
        }
        Ok(())
    }

    /// Waits for what others have, for work that has not begun: not any longer than the gateway accepts what is new, and
    /// not for what becomes free by its end (D1).
    async fn until_draining<T>(&self, waiting: impl Future<Output = T>) -> Result<T, Error> {
        tokio::select! {
            biased;
            () = self.inner.draining.cancelled() => Err(ends()),
            done = waiting => Ok(done),
        }
    }

    async fn install_all(&self) -> Result<(), Error> {
        let none = std::collections::BTreeMap::new();
        let mut token: Option<String> = None;
        loop {
            let page = self
                .inner
                .store
                .list_devices(&none, 1000, token.as_deref())
                .await
                .map_err(|error| self.store_error(error))?;
            for record in &page.items {
                if let Err(error) = self.install(record) {
                    // One device that cannot be used must not keep the others from being served.
                    tracing::error!(device = record.name(), error = %error, "a stored device cannot be used");
                }
            }
            match page.next_page_token {
                Some(next) => token = Some(next),
                None => return Ok(()),
            }
        }
    }

    /// Makes a stored device ready to be talked to; one of the same name ends politely.
    fn install(&self, record: &DeviceRecord) -> Result<Arc<Device>, Error> {
        let target = target::ssh_target(record, &self.inner.known_hosts)?;
        let settings = target::run_settings(record, self.inner.idle_timeout);
        let learn = self.learn_host_keys(record);
        let connector = self.inner.connectors.connector(target, learn);
        let device = self.inner.devices.upsert(settings, connector);
        self.inner.records.installed(Arc::new(record.clone()));
        Ok(device)
    }

    /// The stored device and the one that is talked to. The store decides what exists.
    async fn device(&self, name: &str) -> Result<(Arc<DeviceRecord>, Arc<Device>), Error> {
        let record = self.current(name).await?;
        if let Some(device) = self.inner.devices.get(name) {
            return Ok((record, device));
        }
        let _changing = self.inner.changing.lock().await;
        // It may have been changed, removed or made ready while this call waited.
        let record = self.current(name).await?;
        let device = match self.inner.devices.get(name) {
            Some(device) => device,
            None => self.install(&record)?,
        };
        Ok((record, device))
    }

    /// The stored device, read anew unless that was a moment ago.
    async fn current(&self, name: &str) -> Result<Arc<DeviceRecord>, Error> {
        let now = self.inner.clock.now();
        match self.inner.records.get(name, now) {
            Ok(record) => Ok(record),
            Err(reading) => self.read_record(name, reading, now).await,
        }
    }

    /// Reads the stored device; what another process has changed or removed is changed or removed here as well. While the
    /// store does not answer, what it said last counts.
    async fn read_record(
        &self,
        name: &str,
        reading: records::Reading,
        now: Instant,
    ) -> Result<Arc<DeviceRecord>, Error> {
        let records = &self.inner.records;
        let record = match self.record(name).await {
            Ok(record) => record,
            Err(error) if error.code() == ErrorCode::StoreUnavailable => {
                // X12: reads go on; what changes anything is stored first, and refused there.
                let now = self.inner.clock.now();
                return records.last(reading, name, now).ok_or(error);
            }
            Err(error) => {
                if error.code() == ErrorCode::NotFound && records.gone(reading, name) {
                    self.inner.devices.remove(name);
                }
                return Err(error);
            }
        };
        let found = records.found(reading, record, now, devices::make_the_same_sessions);
        if found.changed
            && let Err(error) = self.install(&found.record)
        {
            // Nothing of what it was before may be used.
            self.uninstall(name);
            return Err(error);
        }
        Ok(found.record)
    }

    fn uninstall(&self, name: &str) {
        self.inner.records.removed(name);
        self.inner.devices.remove(name);
    }

    /// When the call must be over: as the caller says, or as the device's settings do for a read (conventions H6).
    fn deadline(&self, ctx: &CallContext, device: &Device) -> Instant {
        let wanted = ctx.deadline.unwrap_or(device.settings().rpc_timeout);
        self.inner.clock.now() + wanted.min(LONGEST_DEADLINE)
    }

    /// Stores host keys that were accepted on first use, beside the connect that saw them.
    fn learn_host_keys(&self, record: &DeviceRecord) -> crate::device::Learned {
        let (store, records) = (self.inner.store.clone(), self.inner.records.clone());
        let id = record.id.clone();
        let name = record.settings.name.clone();
        let device = target::endpoint(&record.settings.address, record.settings.port);
        let jumps: Vec<String> = record
            .settings
            .proxy_jump
            .iter()
            .map(|jump| target::endpoint(&jump.address, jump.port))
            .collect();
        let tracker = self.inner.tasks.clone();
        Box::new(move |keys| {
            let keys: Vec<(String, String)> = keys
                .iter()
                .filter_map(|(jump, line)| {
                    let endpoint = match jump {
                        None => device.clone(),
                        Some(index) => jumps.get(*index)?.clone(),
                    };
                    Some((endpoint, line.clone()))
                })
                .collect();
            let (store, records) = (store.clone(), records.clone());
            let (id, name) = (id.clone(), name.clone());
            tracker.spawn(async move {
                let _changing = records.changing(&name);
                for (endpoint, line) in keys {
                    match store.learn_host_key(&id, &endpoint, &line).await {
                        Ok(_) | Err(StoreError::NotFound) => {}
                        Err(error) => {
                            tracing::error!(device = name, endpoint, error = %error, "a learned host key was not stored");
                        }
                    }
                }
            });
        })
    }
}

/// What is refused because the gateway ends.
fn ends() -> Error {
    Error::new(ErrorCode::Draining, "the gateway is shutting down").with_retry_after(5)
}
