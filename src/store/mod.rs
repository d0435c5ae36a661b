//! What outlives the process: the inventory with sealed credentials, the changes with sealed documents, and the log of
//! events, in SQLite or PostgreSQL.
//!
//! One SQL text serves both databases (`$1` placeholders; BIGINT, TEXT and BLOB columns), through sqlx's `Any`
//! driver; the migrations alone exist twice. It knows no session and no HTTP.

mod changes;
mod confirmed_commits;
mod connection;
mod database;
mod devices;
mod edit_sessions;
mod events;
mod file;
mod idempotency;
mod keys;
mod newest_commits;
mod operations;
mod page;
mod rows;
mod seal;
mod whole;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::broadcast;

use crate::clock::Clock;
use crate::ids::Ids;

use database::Database;
use seal::Keyring;

pub use changes::{ChangeRecord, FAILED};
pub use confirmed_commits::{ConfirmedCommitFilter, ConfirmedCommitRecord, STARTING};
pub use devices::{DeviceRecord, Learned};
pub use edit_sessions::{EditSessionRecord, OPENING};
pub use events::{EventFacts, EventFilter, EventRecord, EventRun, NewEvent};
pub use idempotency::{KeyEnd, KeyRecord, NewKey};
pub use keys::{KeyError, KeySource};
pub use newest_commits::NewestCommit;
pub use operations::{Listed, OperationRecord};
pub use page::Page;
pub use seal::SealError;

/// The database and the keys that open its sealed columns. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    database: Database,
    keys: Arc<Keyring>,
    clock: Clock,
    ids: Ids,
    /// Tells whose row has changed, operations and changes alike.
    changed: broadcast::Sender<Arc<str>>,
    /// The newest event that was added through this store.
    told: Arc<tokio::sync::watch::Sender<i64>>,
    /// How many events are kept, up to a hundred more.
    events_kept: i64,
}

/// What is not heard in time is told as missed.
const CHANGED: usize = 1024;

/// Where the database is and how long to wait for it.
#[derive(Clone, Debug)]
pub struct StoreOptions {
    pub location: Location,
    pub key: KeySource,
    /// How long one statement waits for a lock that another process holds.
    pub busy_timeout: Duration,
    /// How long a call waits for a free connection, and the start for the first one.
    pub acquire_timeout: Duration,
    /// Whether time stands still while the database works, see [`StoreOptions::still`].
    pub still: bool,
    /// How many events are kept, up to a hundred more.
    pub events_kept: u64,
}

impl StoreOptions {
    pub fn new(location: Location, key: KeySource) -> Self {
        Self {
            location,
            key,
            busy_timeout: Duration::from_secs(5),
            acquire_timeout: Duration::from_secs(10),
            still: false,
            events_kept: 100_000,
        }
    }

    /// For a simulation: a file of SQLite, where every call is done at once, so that simulated time stands still
    /// meanwhile and calls come in the same order every time. The thread that asks is held up for as long.
    pub fn still(file: PathBuf, key: KeySource) -> Self {
        Self {
            still: true,
            ..Self::new(Location::File(file), key)
        }
    }
}

/// Which database.
#[derive(Clone, PartialEq, Eq)]
pub enum Location {
    /// A SQLite file, created if need be.
    File(PathBuf),
    /// Gone with the process.
    Memory,
    /// A `postgres://` URL, which may hold a password.
    Postgres(String),
}

impl std::fmt::Debug for Location {
    /// Leaves the URL out: it may hold a password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Memory => f.write_str("Memory"),
            Self::Postgres(_) => f.write_str("Postgres"),
        }
    }
}

/// A database URL that names no database.
#[derive(Debug, thiserror::Error)]
#[error("a database is given as sqlite://PATH, sqlite::memory: or postgres://USER@HOST/NAME")]
pub struct BadLocation;

impl std::str::FromStr for Location {
    type Err = BadLocation;

    fn from_str(url: &str) -> Result<Self, BadLocation> {
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            return Ok(Self::Postgres(url.to_owned()));
        }
        let path = url.strip_prefix("sqlite:").ok_or(BadLocation)?;
        let path = path.strip_prefix("//").unwrap_or(path);
        match path {
            ":memory:" => Ok(Self::Memory),
            "" => Err(BadLocation),
            // The path is taken as it stands: no options, no percent signs to decode.
            path if path.contains('?') || path.contains('\0') => Err(BadLocation),
            path => Ok(Self::File(PathBuf::from(path))),
        }
    }
}

/// Why the store cannot be opened. Each says what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("the database's directory {} does not exist", .0.display())]
    NoDirectory(PathBuf),
    #[error("cannot create the database file {}", .path.display())]
    Create {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error(
        "{} is damaged or is no database ({found}); move it away, or restore it from a backup",
        .path.display()
    )]
    Corrupt { path: PathBuf, found: String },
    #[error("the database was written by a newer or different release of ncgate")]
    Migration(#[source] sqlx::migrate::MigrateError),
    #[error("cannot open the database")]
    Connect(#[source] sqlx::Error),
    /// `server` is where the PostgreSQL server was looked for, without user and password.
    #[error("cannot connect to the PostgreSQL server at {server}")]
    Unreachable {
        server: String,
        #[source]
        source: sqlx::Error,
    },
    #[error("the encryption key cannot be used")]
    Key(#[from] KeyError),
    #[error(
        "the database holds credentials sealed with key {key_id}, which is not among the keys given; give that \
         key (it may follow the new one)"
    )]
    KeyMissing { key_id: String },
    #[error(
        "the credentials of device {device} cannot be opened with their key; the key or the database is damaged"
    )]
    Sealed {
        device: String,
        #[source]
        source: SealError,
    },
    #[error("cannot read or update the database")]
    Store(#[from] StoreError),
}

/// Why an operation on the store failed. Nothing was changed, whichever it is.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("a device named {name} exists already")]
    AlreadyExists { name: String },
    #[error("there is no such device")]
    NotFound,
    #[error("the device has changed since it was read: version {current} is stored now")]
    VersionMismatch { current: i64 },
    #[error("the page token belongs to another list or filter")]
    BadPageToken,
    #[error("the idempotency key has begun another operation")]
    KeyTaken,
    /// Locked, read-only, full, gone: may be over at the next try.
    #[error("the database cannot be used while {doing}")]
    Unavailable {
        doing: &'static str,
        #[source]
        source: sqlx::Error,
    },
    #[error("a stored row of device {device} is damaged: {what}")]
    Damaged { device: String, what: String },
    #[error("the credentials of device {device} cannot be opened")]
    Sealed {
        device: String,
        #[source]
        source: SealError,
    },
    #[error("what is stored of an idempotency key cannot be opened")]
    SealedKey {
        #[source]
        source: SealError,
    },
}

impl Store {
    /// Opens the database, creating and migrating it as needed, finds or makes the key, and seals anew whatever
    /// an older key had sealed.
    ///
    /// # Errors
    /// [`OpenError`]; nothing is created when the key is at fault.
    pub async fn open(options: StoreOptions, clock: Clock, ids: Ids) -> Result<Self, OpenError> {
        let database = Database::open(&options, &ids).await?;
        let sealed = database.sealing_keys().await?;
        let beside = match &options.location {
            Location::File(path) => Some(key_path_beside(path)),
            Location::Memory | Location::Postgres(_) => None,
        };
        let keys = keys::load(&options.key, beside.as_deref(), !sealed.is_empty(), &ids)?;
        if let Some(key_id) = sealed.into_iter().find(|key_id| !keys.knows(key_id)) {
            return Err(OpenError::KeyMissing { key_id });
        }
        let store = Self {
            database,
            keys: Arc::new(keys),
            clock,
            ids,
            changed: broadcast::Sender::new(CHANGED),
            told: Arc::new(tokio::sync::watch::Sender::new(0)),
            events_kept: i64::try_from(options.events_kept).unwrap_or(i64::MAX),
        };
        store.seal_anew().await?;
        store.seal_changes_anew().await?;
        store.seal_confirmed_commits_anew().await?;
        store.seal_operations_anew().await?;
        store.seal_keys_anew().await?;
        store.begin_events().await?;
        Ok(store)
    }

    /// A name for something that is made now; those of one process order it by creation.
    pub fn new_id(&self) -> String {
        self.ids.ulid(self.clock.wall())
    }

    /// Hears the id of every operation and change whose stored row has changed, from now on.
    pub fn listen(&self) -> broadcast::Receiver<Arc<str>> {
        self.changed.subscribe()
    }

    /// That nobody listens is no harm.
    fn tell(&self, id: &str) {
        let _ = self.changed.send(Arc::from(id));
    }

    /// 128 random bits, hexadecimal.
    pub fn new_token(&self) -> String {
        format!("{:032x}", u128::from_ne_bytes(self.ids.bytes()))
    }

    /// Evenly spread between nothing and `most`, for waiting times.
    pub fn jitter(&self, most: Duration) -> Duration {
        self.ids.jitter(most)
    }

    /// Whether the database answers and has the tables of this release.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn check_health(&self) -> Result<(), StoreError> {
        self.database.check_health().await
    }

    /// Ends all connections in good order.
    pub async fn close(&self) {
        self.database.close().await;
    }
}

/// The default place of the key: beside the database file, with `.key` appended.
fn key_path_beside(database: &Path) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(".key");
    PathBuf::from(name)
}
