//! One emulated device: what it is, what it is configured to do, and who is logged in.
//!
//! Shared by all its sessions; knows no transport.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use super::config::{Database, Engine, Node, Revision};
use super::faults::Faults;
use super::profile::Profile;
use super::stats::Stats;
use super::when::DeviceTime;

/// What does not change while a device runs.
#[derive(Clone, Debug)]
pub struct Facts {
    /// Product model in lower case, as in `mx240`.
    pub model: String,
    /// Junos version, as in `21.4R3-S5.4`.
    pub version: String,
    /// Chassis serial number.
    pub serial: String,
    /// When the device was started, in seconds since 1970.
    pub booted: i64,
    /// First three octets of its MAC addresses and a fourth that tells devices apart.
    pub mac: [u8; 4],
}

/// A session as the device knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionRecord {
    /// Who is logged in.
    pub user: String,
    /// From where.
    pub from: String,
    /// The terminal, for sessions that have one.
    pub terminal: Option<String>,
    /// Since when, in seconds since 1970.
    pub since: i64,
}

/// One emulated device.
#[derive(Debug)]
pub struct Device {
    /// What it is.
    pub facts: Facts,
    /// What kind of server it is.
    pub profile: Profile,
    /// What time it is there.
    pub time: DeviceTime,
    /// Whether comments stand before the hello.
    pub prolog: bool,
    /// What goes wrong.
    pub faults: Faults,
    /// What happened.
    pub stats: Stats,
    engine: RwLock<Engine>,
    sessions: Mutex<BTreeMap<u32, SessionRecord>>,
    next_pid: AtomicU32,
}

/// First session-id, and how far apart two are: they look like the process ids that they are on a device.
const FIRST_PID: u32 = 18_233;
const PID_STEP: u32 = 7;

impl Device {
    /// A device with this configuration.
    pub fn new(facts: Facts, profile: Profile, time: DeviceTime, engine: Engine) -> Self {
        Self {
            facts,
            profile,
            time,
            prolog: true,
            faults: Faults::default(),
            stats: Stats::default(),
            engine: RwLock::new(engine),
            sessions: Mutex::default(),
            next_pid: AtomicU32::new(FIRST_PID),
        }
    }

    /// Seconds since 1970 on the device.
    pub fn now(&self) -> i64 {
        self.time.now()
    }

    /// The configured host name.
    pub fn hostname(&self) -> String {
        self.tree(Database::Committed)
            .and_then(|tree| tree.value(&["system", "host-name"]).map(str::to_owned))
            .unwrap_or_else(|| "Amnesiac".to_owned())
    }

    /// The configuration of this database, where there is one.
    pub fn tree(&self, database: Database) -> Option<Arc<Node>> {
        self.read(|engine| engine.tree(database))
    }

    /// All commits, newest first.
    pub fn history(&self) -> Vec<Revision> {
        self.read(|engine| engine.history().cloned().collect())
    }

    /// The newest commit.
    pub fn running(&self) -> Revision {
        self.read(|engine| engine.running().clone())
    }

    /// The configuration with this revision identifier.
    pub fn revision(&self, identifier: &str) -> Option<Revision> {
        self.read(|engine| engine.revision(identifier).cloned())
    }

    /// Changes the configuration as somebody else would: behind the back of every session.
    pub fn with_engine<T>(&self, change: impl FnOnce(&mut Engine) -> T) -> T {
        // The engine is whole whenever the lock is free: a failed commit leaves it as it was.
        change(&mut self.engine.write().unwrap_or_else(PoisonError::into_inner))
    }

    fn read<T>(&self, look: impl FnOnce(&Engine) -> T) -> T {
        look(&self.engine.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Enters a session, and gives it its session-id.
    pub fn enter(&self, record: SessionRecord) -> u32 {
        let pid = self.next_pid.fetch_add(PID_STEP, Ordering::Relaxed);
        self.sessions().insert(pid, record);
        pid
    }

    /// Forgets a session.
    pub fn leave(&self, id: u32) {
        self.sessions().remove(&id);
    }

    /// The first terminal that no session has, as in `pts/0`.
    pub fn free_terminal(&self) -> String {
        let sessions = self.sessions();
        let taken = |name: &str| {
            sessions
                .values()
                .any(|session| session.terminal.as_deref() == Some(name))
        };
        let mut names = (0..=sessions.len()).map(|number| format!("pts/{number}"));
        // Of one name more than there are sessions, one is free.
        names.find(|name| !taken(name)).unwrap_or_default()
    }

    /// Who is logged in, by session-id.
    pub fn sessions(&self) -> MutexGuard<'_, BTreeMap<u32, SessionRecord>> {
        // Entries are inserted and removed whole.
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The version without its last number, as it stands in namespaces: `21.4R3-S5`.
    pub fn release(&self) -> &str {
        self.facts
            .version
            .rsplit_once('.')
            .map_or(&self.facts.version, |(release, _)| release)
    }

    /// What the prefix `junos` stands for in replies.
    pub fn junos_namespace(&self) -> String {
        format!("http://xml.juniper.net/junos/{}/junos", self.release())
    }

    /// The namespace of a family of operational replies, as in `junos-interface`.
    pub fn namespace(&self, family: &str) -> String {
        format!("{}-{family}", self.junos_namespace())
    }
}
