//! The gateway's settings: flag, else environment, else file, else default. One struct per concern; only `app`
//! reads them and hands others the values they need.
//!
//! A setting has one name in three spellings: `device_networks` in the file, `NCGATE_DEVICE_NETWORKS` in the
//! environment, `--device-networks` on the command line. Unknown names are errors, wherever they stand.

mod args;
mod parse;
mod settings;

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use zeroize::Zeroizing;

#[cfg(feature = "emulator")]
pub use crate::emulator::command::EmulatorArgs;
pub use args::{DemoArgs, ServeArgs, SettingsCommand};
pub use settings::{Environment, Origin, Setting, SettingArgs, Values};

/// Everything that `serve` and `demo` can be told.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    pub server: Server,
    pub database: Database,
    pub devices: Devices,
    pub spool: Spool,
    pub events: Events,
    pub log: Log,
}

/// The door.
#[derive(Debug, Clone, PartialEq)]
pub struct Server {
    /// A loopback address, as long as [`Auth::None`] is all there is.
    pub listen: SocketAddr,
    pub auth: Auth,
    /// Bytes of a request's body, after decompression.
    pub max_body_bytes: u64,
    /// Connections open at a time; further ones wait.
    pub max_connections: u32,
    /// For the head of a request.
    pub header_timeout: Duration,
    /// For what is in flight when the gateway ends (D1).
    pub drain: Duration,
    /// Calls at a time whose callers do not wait for them.
    pub asynchronous_operations: u32,
    /// How long an idempotency key is kept.
    pub idempotency: Duration,
    /// How many of them.
    pub idempotency_keys: u32,
    /// A caller that takes fewer bytes of its answer per second is slow (Q8)…
    pub slow_caller_bytes_per_second: u32,
    /// …and is cut after this time.
    pub slow_caller: Duration,
}

/// Who may call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Auth {
    /// Everybody who can reach the port, as an admin.
    None,
}

/// Where the inventory is, and what seals its credentials.
#[derive(Clone, PartialEq)]
pub struct Database {
    /// `sqlite://PATH`, `sqlite::memory:` or `postgres://…`, which may hold a password.
    pub url: String,
    /// Absent: beside a SQLite file.
    pub key_file: Option<PathBuf>,
    /// The keys themselves, from the environment only. They count more than the file.
    pub key: Option<Zeroizing<String>>,
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Database")
            .field("url", &parse::without_password(&self.url))
            .field("key_file", &self.key_file)
            .field("key", &self.key.as_ref().map(|_| "[redacted]"))
            .finish()
    }
}

/// Which devices may be dialled and how they are treated unless their own settings say.
#[derive(Debug, Clone, PartialEq)]
pub struct Devices {
    /// Absent: everything but loopback and link-local addresses (X8).
    pub networks: Option<Vec<IpNet>>,
    /// Empty: all ports.
    pub ports: Vec<RangeInclusive<u16>>,
    /// The file behind the host key policy `known_hosts`.
    pub known_hosts: Option<PathBuf>,
    /// An idle session is closed after this time.
    pub idle_session: Duration,
    /// Calls go by what was read of a stored device for so long; zero: not at all.
    pub record_age: Duration,
    /// Request tags that count as read-only beside the reviewed ones (Q9).
    pub read_only_rpcs: Vec<String>,
    /// Schemes with hosts that devices may be sent to.
    pub urls: Vec<String>,
    /// For how long edit sessions are told of that have ended.
    pub edit_sessions_kept: Duration,
    /// The least time that may be asked for between a commit and its confirmation.
    pub least_confirm_timeout: Duration,
}

/// Where large replies lie, and how large they may be (Q8). Sizes in bytes.
#[derive(Debug, Clone, PartialEq)]
pub struct Spool {
    pub directory: PathBuf,
    /// One reply in memory; what is larger goes to a file.
    pub memory_per_reply: u64,
    /// One reply, wherever it lies.
    pub max_reply: u64,
    /// All files together.
    pub max_total: u64,
}

/// The log of events (H11).
#[derive(Debug, Clone, PartialEq)]
pub struct Events {
    /// At most so many are kept, up to a hundred more…
    pub most: u32,
    /// …and for so long.
    pub kept: Duration,
    /// So many callers may follow them at a time.
    pub streams: u32,
    /// How often, at most, a device that connects is asked whether others have changed it; zero: never.
    pub look_every: Duration,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Log {
    /// A level, or directives such as `info,ncgate=debug`.
    pub filter: String,
    pub format: LogFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object per line.
    Json,
    Text,
}

/// Why the settings cannot be used. The exit code is that of a wrong usage.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("{origin}: {detail}")]
    Unknown { origin: Origin, detail: String },
    #[error("{name} {detail} (from {origin})")]
    Invalid {
        name: &'static str,
        origin: Origin,
        detail: String,
    },
    #[error("cannot read the settings file {}", .path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("the settings file {} is not TOML", .path.display())]
    NotToml {
        path: PathBuf,
        #[source]
        source: Box<toml::de::Error>,
    },
}

impl Config {
    /// The settings of `serve`.
    ///
    /// # Errors
    /// [`ConfigError`], the first one found.
    pub fn for_serve(args: &ServeArgs, environment: &Environment) -> Result<Self, ConfigError> {
        let values = Values::collect(&args.settings, environment, args.file(environment).as_deref())?;
        Self::from_values(&values)
    }

    /// The settings of `demo`: nothing is kept, and loopback devices may be dialled.
    ///
    /// # Errors
    /// [`ConfigError`], the first one found.
    pub fn for_demo(args: &DemoArgs, environment: &Environment) -> Result<Self, ConfigError> {
        let mut values = Values::collect(&args.settings(), environment, None)?;
        values.set("database", "sqlite::memory:", Origin::Demo);
        values.set("device_networks", "127.0.0.0/8,::1/128", Origin::Demo);
        values.set_default("log", "warn", Origin::Demo);
        values.set_default("log_format", "text", Origin::Demo);
        Self::from_values(&values)
    }

    /// Reads every setting out of its text.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`].
    pub fn from_values(values: &Values) -> Result<Self, ConfigError> {
        let server = Server {
            listen: values.read("listen", parse::listen)?,
            auth: values.read("auth", parse::auth)?,
            max_body_bytes: values.read("max_body_bytes", parse::size)?,
            max_connections: values.read("max_connections", parse::count)?,
            header_timeout: values.read("header_timeout_seconds", parse::seconds)?,
            drain: values.read("drain_seconds", parse::seconds)?,
            asynchronous_operations: values.read("asynchronous_operations", parse::count)?,
            idempotency: values.read("idempotency_seconds", parse::seconds)?,
            idempotency_keys: values.read("idempotency_keys", parse::count)?,
            slow_caller_bytes_per_second: values.read("slow_caller_bytes_per_second", parse::count)?,
            slow_caller: values.read("slow_caller_seconds", parse::seconds)?,
        };
        let database = Database {
            url: values.read("database", parse::database)?,
            key_file: values.read("key_file", parse::optional_path)?,
            key: values.key(),
        };
        let devices = Devices {
            networks: values.read("device_networks", parse::networks)?,
            ports: values.read("device_ports", parse::ports)?,
            known_hosts: values.read("known_hosts", parse::optional_path)?,
            idle_session: values.read("idle_session_seconds", parse::seconds)?,
            record_age: values.read("device_record_seconds", parse::up_to_a_minute)?,
            urls: values.read("device_urls", parse::entries)?,
            edit_sessions_kept: values.read("edit_session_history_seconds", parse::seconds)?,
            least_confirm_timeout: values.read("least_confirm_seconds", parse::seconds)?,
            read_only_rpcs: values.read("read_only_rpcs", parse::rpc_names)?,
        };
        let spool = Spool {
            directory: values.read("spool_directory", parse::spool_directory)?,
            memory_per_reply: values.read("reply_memory_bytes", parse::size)?,
            max_reply: values.read("max_reply_bytes", parse::size)?,
            max_total: values.read("max_spool_bytes", parse::size)?,
        };
        let events = Events {
            most: values.read("max_events", parse::count)?,
            kept: values.read("event_history_seconds", parse::long_time)?,
            streams: values.read("max_event_streams", parse::count)?,
            look_every: values.read("look_for_changes_seconds", parse::up_to_a_day)?,
        };
        let log = Log {
            filter: values.read("log", parse::log_filter)?,
            format: values.read("log_format", parse::log_format)?,
        };
        Ok(Self {
            server,
            database,
            devices,
            spool,
            events,
            log,
        })
    }
}

#[cfg(test)]
mod tests;
