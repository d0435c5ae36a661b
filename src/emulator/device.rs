//! One emulated device: what it is, what it is configured to do, and who is logged in.
//!
//! Shared by all its sessions; knows no transport.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::config::commit::Scheduled;
use super::config::pending::Confirmed;
use super::config::{Actor, Database, Deed, Ending, Engine, Node, Revision, Store, Working};
use super::faults::Faults;
use super::lines::Lines;
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
    /// When the device was started first, in seconds since 1970; see [`Device::booted`].
    pub booted: i64,
    /// First three octets of its MAC addresses and a fourth that tells devices apart.
    pub mac: [u8; 4],
}

/// In what a device differs from others of its kind. Each is turned on by the builder's method of that meaning.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Quirks {
    /// Opening a private copy is answered with a warning, as before Junos 18.2.
    pub private_warning: bool,
    /// A failed load is answered with the number of its errors alone, as by old releases.
    pub load_error_count: bool,
    /// `<routing-engine>` is never closed in the answer to a check, as by some clusters: no well-formed XML.
    pub unclosed_members: bool,
    /// Private copies are neither opened nor committed while somebody has changed the shared candidate.
    pub private_wants_clean: bool,
    /// What the device warns of at every commit that succeeds, and at every check.
    pub commit_warnings: Vec<String>,
    /// A commit after a successful validate says that it went well and does nothing.
    pub validate_loses_edits: bool,
    /// The history does not say that a commit waits to be confirmed, as in old releases.
    pub hides_pending: bool,
    /// `<commit>` takes `<persist>` and `<persist-id>`, and `<cancel-commit>` the latter, though no capability says so.
    pub takes_persist: bool,
    /// What is running cannot be locked.
    pub no_running_lock: bool,
    /// The members that report on a commit; `re0` alone if there are none.
    pub members: Vec<Member>,
}

/// A routing engine or a node of a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// `re1`, `node0`
    pub name: String,
    /// What it says instead of committing. The others commit all the same.
    pub error: Option<String>,
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
    /// In what it differs from others.
    pub quirks: Quirks,
    /// What goes wrong.
    pub faults: Faults,
    /// What happened.
    pub stats: Stats,
    engine: RwLock<Engine>,
    sessions: Mutex<BTreeMap<u32, SessionRecord>>,
    /// What tells the sessions of this device that they were killed.
    ends: Mutex<BTreeMap<u32, CancellationToken>>,
    pub(super) next_pid: AtomicU32,
    /// When the device was started last, in seconds since 1970.
    pub(super) booted: AtomicI64,
    /// Its connections, of whatever kind.
    pub(super) lines: Lines,
    /// What lies where the device can load from and store to, by URL.
    files: Mutex<BTreeMap<String, String>>,
}

/// First session-id, and how far apart two are: they look like the process ids that they are on a device.
pub(super) const FIRST_PID: u32 = 18_233;
const PID_STEP: u32 = 7;

impl Device {
    /// A device with this configuration.
    pub fn new(facts: Facts, profile: Profile, time: DeviceTime, engine: Engine) -> Self {
        Self {
            booted: AtomicI64::new(facts.booted),
            lines: Lines::default(),
            facts,
            profile,
            time,
            prolog: true,
            quirks: Quirks::default(),
            faults: Faults::default(),
            stats: Stats::default(),
            engine: RwLock::new(engine),
            sessions: Mutex::default(),
            ends: Mutex::default(),
            next_pid: AtomicU32::new(FIRST_PID),
            files: Mutex::default(),
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
        self.look(|engine| engine.tree(database))
    }

    /// The configuration that is the candidate to this session.
    pub fn candidate_of(&self, session: u32) -> Arc<Node> {
        self.look(|engine| engine.candidate_of(session))
    }

    /// What was committed to an ephemeral instance; the default instance has the empty name.
    pub fn ephemeral(&self, instance: &str) -> Arc<Node> {
        self.look(|engine| engine.ephemeral(instance))
    }

    /// How many bytes of text all that is committed makes, ephemeral instances included.
    pub fn database_bytes(&self) -> usize {
        self.look(Engine::bytes)
    }

    /// Whether somebody left something in the shared candidate.
    pub fn is_modified(&self) -> bool {
        self.look(Engine::is_modified)
    }

    /// What lies under this URL or path.
    pub fn file(&self, url: &str) -> Option<String> {
        self.files().get(url).cloned()
    }

    /// Puts a text where the device can load it from.
    pub fn put_file(&self, url: impl Into<String>, text: impl Into<String>) {
        self.files().insert(url.into(), text.into());
    }

    /// Takes a file away, and tells whether there was one.
    pub fn remove_file(&self, url: &str) -> bool {
        self.files().remove(url).is_some()
    }

    fn files(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        // Entries are inserted and removed whole.
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The commit that waits for its time.
    pub fn scheduled(&self) -> Option<Scheduled> {
        self.look(|engine| engine.scheduled().cloned())
    }

    /// The commit that waits to be confirmed.
    pub fn confirmed(&self) -> Option<Confirmed> {
        self.look(|engine| engine.confirmed().cloned())
    }

    /// Whether a commit waits to be confirmed, or is being undone.
    pub fn is_rollback_pending(&self) -> bool {
        self.look(|engine| engine.confirmed().is_some() || engine.undoing_until().is_some())
    }

    /// How much longer the device is busy with undoing a commit, at least a second.
    pub fn undoing_for(&self) -> Option<Duration> {
        let now = self.now();
        let until = self.look(Engine::undoing_until)?;
        Some(Duration::from_secs(
            u64::try_from(until - now).unwrap_or(0).max(1),
        ))
    }

    /// What was done to the running configuration since the device was made, and by whom; oldest first.
    pub fn deeds(&self) -> Vec<Deed> {
        self.look(|engine| engine.deeds().cloned().collect())
    }

    /// The commits of sessions with this text in their comment; an empty one stands in all.
    pub fn commits_with(&self, text: &str) -> Vec<Deed> {
        let mut deeds = self.deeds();
        deeds.retain(|deed| deed.is_commit() && (text.is_empty() || deed.says(text)));
        deeds
    }

    /// What this session edits.
    pub fn working(&self, session: u32) -> Working {
        self.look(|engine| engine.working(session))
    }

    /// Who holds this datastore.
    pub fn lock_holder(&self, store: Store) -> Option<Actor> {
        self.lock_held(store).map(|(holder, _)| holder)
    }

    /// Who holds this datastore, and since when, in seconds since 1970.
    pub fn lock_held(&self, store: Store) -> Option<(Actor, i64)> {
        self.look(|engine| engine.held(store).map(|(holder, since)| (holder.clone(), since)))
    }

    /// All commits, newest first.
    pub fn history(&self) -> Vec<Revision> {
        self.look(|engine| engine.history().cloned().collect())
    }

    /// The newest commit.
    pub fn running(&self) -> Revision {
        self.look(|engine| engine.running().clone())
    }

    /// The configuration with this revision identifier.
    pub fn revision(&self, identifier: &str) -> Option<Revision> {
        self.look(|engine| engine.revision(identifier).cloned())
    }

    /// Changes the configuration as somebody else would: behind the back of every session.
    pub fn with_engine<T>(&self, change: impl FnOnce(&mut Engine) -> T) -> T {
        // The engine is whole whenever the lock is free: a failed commit leaves it as it was.
        let mut engine = self.engine.write().unwrap_or_else(PoisonError::into_inner);
        engine.tick(self.now());
        change(&mut engine)
    }

    /// Looks at the configuration as it is now.
    pub(super) fn look<T>(&self, look: impl FnOnce(&Engine) -> T) -> T {
        let engine = self.engine.read().unwrap_or_else(PoisonError::into_inner);
        if !engine.is_due(self.now()) {
            return look(&engine);
        }
        drop(engine);
        self.with_engine(|engine| look(engine))
    }

    /// Enters a session, and gives it its session-id.
    pub fn enter(&self, record: SessionRecord) -> u32 {
        let mut sessions = self.sessions();
        loop {
            let pid = self.next_pid.fetch_add(PID_STEP, Ordering::Relaxed);
            if let Entry::Vacant(free) = sessions.entry(pid) {
                free.insert(record);
                return pid;
            }
        }
    }

    /// Forgets a session, and gives up what it held.
    pub fn leave(&self, id: u32, ending: Ending) {
        let known = self.sessions().remove(&id).is_some();
        self.ends().remove(&id);
        if known {
            let now = self.now();
            self.with_engine(|engine| engine.end_session(id, ending, now));
        }
    }

    /// What tells a session that it was killed.
    pub fn end_of(&self, id: u32) -> CancellationToken {
        self.ends().entry(id).or_default().clone()
    }

    /// Ends a session from outside: what it held is given up at once, and its connection is lost. Tells whether
    /// there was such a session.
    pub fn kill(&self, id: u32) -> bool {
        let end = self.ends().get(&id).cloned();
        let known = self.sessions().contains_key(&id);
        self.leave(id, Ending::Killed);
        if let Some(end) = end {
            end.cancel();
        }
        known
    }

    pub(super) fn ends(&self) -> MutexGuard<'_, BTreeMap<u32, CancellationToken>> {
        // Entries are inserted and removed whole.
        self.ends.lock().unwrap_or_else(PoisonError::into_inner)
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

    /// Whether this session is logged in.
    pub fn is_logged_in(&self, id: u32) -> bool {
        self.sessions().contains_key(&id)
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
