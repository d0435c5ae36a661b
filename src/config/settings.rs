//! The table of settings, and where the value of each comes from.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::ConfigError;
use super::parse::without_password;
use crate::suggest;

/// The name of the variable with the sealing keys, which is no setting: neither file nor flag may hold it.
const KEY_VARIABLE: &str = "NCGATE_KEY";
/// Variables of the command line's client half, and of the settings file itself.
const OTHER_VARIABLES: [&str; 5] = [
    "NCGATE_CONFIG",
    KEY_VARIABLE,
    "NCGATE_SERVER",
    "NCGATE_DEVICE_PASSWORD",
    "NCGATE_DEVICE_PASSPHRASE",
];
/// What begins so is not meant as a setting: tests use the first, and container platforms set the others for a
/// service of this name.
const FOREIGN_PREFIXES: [&str; 3] = ["NCGATE_TEST_", "NCGATE_SERVICE_", "NCGATE_PORT"];

/// One setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setting {
    /// As in the settings file.
    pub name: &'static str,
    pub variable: &'static str,
    pub help: &'static str,
    /// As text; empty where the absence means something of its own.
    pub default: &'static str,
}

/// Declares the settings with their flags, so that none can lack one of its spellings.
macro_rules! settings {
    ($($name:ident $variable:literal $value:literal $default:literal $help:literal)*) => {
        /// The settings as flags.
        #[derive(Debug, Clone, Default, clap::Args)]
        pub struct SettingArgs {
            $(
                #[arg(long, value_name = $value, help = concat!($help, " [env: ", $variable, "]"))]
                pub $name: Option<String>,
            )*
        }

        impl SettingArgs {
            fn given(&self) -> impl Iterator<Item = (&'static str, &str)> {
                let all = [$((stringify!($name), self.$name.as_deref()),)*];
                all.into_iter().filter_map(|(name, value)| Some((name, value?)))
            }
        }

        /// Every setting, in the order of the documentation.
        const SETTINGS: &[Setting] = &[
            $(Setting { name: stringify!($name), variable: $variable, help: $help, default: $default },)*
        ];
    };
}

settings! {
    listen "NCGATE_LISTEN" "ADDRESS" "127.0.0.1:8830"
        "Where REST, gRPC and the documentation are served; 127.0.0.1:8830 unless given"
    auth "NCGATE_AUTH" "HOW" "none"
        "Who may call: 'none' is everybody who can reach the port, which must be on loopback"
    database "NCGATE_DATABASE" "URL" "sqlite://ncgate.db"
        "sqlite://PATH (made if need be), sqlite::memory: or postgres://…; sqlite://ncgate.db unless given"
    key_file "NCGATE_KEY_FILE" "FILE" ""
        "The key that seals credentials; unless given, beside the SQLite file, and made if need be"
    device_networks "NCGATE_DEVICE_NETWORKS" "CIDR,…" ""
        "Networks in which devices may be dialled; unless given, all but loopback and link-local"
    device_ports "NCGATE_DEVICE_PORTS" "PORTS" ""
        "Ports on which devices may be dialled, such as 22,830,4000-4100; all unless given"
    device_urls "NCGATE_DEVICE_URLS" "URL,…" ""
        "Where devices may be sent for configuration: scheme://host, or file: for their own files; nowhere unless given"
    known_hosts "NCGATE_KNOWN_HOSTS" "FILE" ""
        "The known_hosts file for devices with that host key policy"
    idle_session_seconds "NCGATE_IDLE_SESSION_SECONDS" "N" "300"
        "An idle NETCONF session is closed after this time; 300 unless given"
    edit_session_history_seconds "NCGATE_EDIT_SESSION_HISTORY_SECONDS" "N" "86400"
        "How long edit sessions that have ended are told of; 86400, a day, unless given"
    least_confirm_seconds "NCGATE_LEAST_CONFIRM_SECONDS" "N" "60"
        "The shortest time to confirm a commit in that may be asked for; 60 unless given"
    device_record_seconds "NCGATE_DEVICE_RECORD_SECONDS" "N" "1"
        "How soon calls follow what another gateway changes in a shared database; 0 asks it each time; 1 unless given"
    read_only_rpcs "NCGATE_READ_ONLY_RPCS" "NAME,…" ""
        "Request tags to treat as read-only beside the reviewed ones"
    spool_directory "NCGATE_SPOOL_DIRECTORY" "DIR" ""
        "Where large replies lie while they are answered; a directory for temporary files unless given"
    reply_memory_bytes "NCGATE_REPLY_MEMORY_BYTES" "SIZE" "8MiB"
        "A reply larger than this is spooled; 8MiB unless given"
    max_reply_bytes "NCGATE_MAX_REPLY_BYTES" "SIZE" "1GiB"
        "A reply larger than this is refused; 1GiB unless given"
    max_spool_bytes "NCGATE_MAX_SPOOL_BYTES" "SIZE" "8GiB"
        "All spooled replies together; 8GiB unless given"
    look_for_changes_seconds "NCGATE_LOOK_FOR_CHANGES_SECONDS" "N" "60"
        "How often at most a Junos device that connects is asked whether others changed it; 0 never; 60 unless given"
    max_events "NCGATE_MAX_EVENTS" "N" "100000"
        "How many events are kept; 100000 unless given"
    event_history_seconds "NCGATE_EVENT_HISTORY_SECONDS" "N" "604800"
        "How long events are kept; 604800, a week, unless given"
    max_event_streams "NCGATE_MAX_EVENT_STREAMS" "N" "256"
        "Callers who may follow events at a time; 256 unless given"
    max_body_bytes "NCGATE_MAX_BODY_BYTES" "SIZE" "4MiB"
        "A request body larger than this is refused; 4MiB unless given"
    max_connections "NCGATE_MAX_CONNECTIONS" "N" "4096"
        "Connections of callers at a time; 4096 unless given, or three quarters of the limit on open files if that is less"
    header_timeout_seconds "NCGATE_HEADER_TIMEOUT_SECONDS" "N" "30"
        "For the head of a request; 30 unless given"
    drain_seconds "NCGATE_DRAIN_SECONDS" "N" "30"
        "How long requests in flight may take when the gateway ends; 30 unless given"
    asynchronous_operations "NCGATE_ASYNCHRONOUS_OPERATIONS" "N" "256"
        "Calls at a time whose callers do not wait for them (Prefer: respond-async); 256 unless given"
    idempotency_seconds "NCGATE_IDEMPOTENCY_SECONDS" "N" "86400"
        "How long an Idempotency-Key is kept; 86400, a day, unless given"
    idempotency_keys "NCGATE_IDEMPOTENCY_KEYS" "N" "100000"
        "How many of them are kept; 100000 unless given"
    slow_caller_bytes_per_second "NCGATE_SLOW_CALLER_BYTES_PER_SECOND" "N" "1024"
        "A caller that takes its answer more slowly than this is cut in the end; 1024 unless given"
    slow_caller_seconds "NCGATE_SLOW_CALLER_SECONDS" "N" "30"
        "How long a caller may be that slow; 30 unless given"
    log "NCGATE_LOG" "FILTER" "info"
        "What is logged: error, warn, info, debug or trace, or directives; info unless given"
    log_format "NCGATE_LOG_FORMAT" "FORMAT" "json"
        "json or text; json unless given"
}

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    Default,
    File(PathBuf),
    Variable(String),
    Flag(String),
    /// Fixed by `demo`.
    Demo,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("the default"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Variable(name) => f.write_str(name),
            Self::Flag(name) => write!(f, "--{}", name.replace('_', "-")),
            Self::Demo => f.write_str("demo"),
        }
    }
}

/// The variables that are meant for this program, `NCGATE_…`.
#[derive(Clone, Default)]
pub struct Environment(BTreeMap<String, Zeroizing<String>>);

impl Environment {
    /// Those of the process.
    pub fn of_process() -> Self {
        std::env::vars().collect()
    }

    /// An empty variable counts as none, because it cannot be unset everywhere.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0
            .get(name)
            .map(|value| value.as_str())
            .filter(|value| !value.is_empty())
    }
}

impl FromIterator<(String, String)> for Environment {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(variables: I) -> Self {
        let ours = variables
            .into_iter()
            .filter(|(name, _)| name.starts_with("NCGATE_"));
        Self(ours.map(|(name, value)| (name, Zeroizing::new(value))).collect())
    }
}

impl fmt::Debug for Environment {
    /// Names only: one of the values is a key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// The text of every setting with its origin.
#[derive(Clone)]
pub struct Values {
    values: Vec<(Setting, String, Origin)>,
    key: Option<Zeroizing<String>>,
}

impl fmt::Debug for Values {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.shown()).finish()
    }
}

impl Values {
    /// Flags before environment before file before defaults.
    ///
    /// # Errors
    /// A file that cannot be read, and names that nobody knows.
    pub fn collect(
        flags: &SettingArgs,
        environment: &Environment,
        file: Option<&Path>,
    ) -> Result<Self, ConfigError> {
        refuse_unknown_variables(environment)?;
        let of_default = |setting: &Setting| (*setting, setting.default.to_owned(), Origin::Default);
        let mut values = Self {
            values: SETTINGS.iter().map(of_default).collect(),
            key: None,
        };
        if let Some(path) = file {
            for (name, value) in read_file(path)? {
                values.set(name, &value, Origin::File(path.to_owned()));
            }
        }
        for setting in SETTINGS {
            if let Some(value) = environment.get(setting.variable) {
                values.set(setting.name, value, Origin::Variable(setting.variable.to_owned()));
            }
        }
        for (name, value) in flags.given() {
            values.set(name, value, Origin::Flag(name.to_owned()));
        }
        values.key = environment
            .get(KEY_VARIABLE)
            .map(|key| Zeroizing::new(key.to_owned()));
        Ok(values)
    }

    /// Each setting's name, value and origin, passwords left out.
    pub fn shown(&self) -> impl Iterator<Item = (&'static str, String, &Origin)> {
        self.values
            .iter()
            .map(|(setting, value, origin)| (setting.name, without_password(value), origin))
    }

    pub(super) fn set(&mut self, name: &str, value: &str, origin: Origin) {
        if let Some(entry) = self
            .values
            .iter_mut()
            .find(|(setting, _, _)| setting.name == name)
        {
            (entry.1, entry.2) = (value.to_owned(), origin);
        }
    }

    /// Takes the place of the default, and of nothing else.
    pub(super) fn set_default(&mut self, name: &str, value: &str, origin: Origin) {
        let at_default = |(setting, _, origin): &(Setting, String, Origin)| {
            setting.name == name && *origin == Origin::Default
        };
        if self.values.iter().any(at_default) {
            self.set(name, value, origin);
        }
    }

    pub(super) fn key(&self) -> Option<Zeroizing<String>> {
        self.key.clone()
    }

    /// The value of a setting, understood by `parse`, which says what is wrong with it.
    pub(super) fn read<T>(
        &self,
        name: &'static str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<T, ConfigError> {
        let (_, value, origin) = self
            .values
            .iter()
            .find(|(setting, _, _)| setting.name == name)
            .expect("only names of the table are read, and all of them have a value");
        parse(value.trim()).map_err(|detail| ConfigError::Invalid {
            name,
            origin: origin.clone(),
            detail,
        })
    }
}

fn refuse_unknown_variables(environment: &Environment) -> Result<(), ConfigError> {
    let known = || {
        SETTINGS
            .iter()
            .map(|setting| setting.variable)
            .chain(OTHER_VARIABLES)
    };
    let is_known = |name: &str| known().any(|known| known == name);
    let is_foreign = |name: &str| FOREIGN_PREFIXES.iter().any(|prefix| name.starts_with(prefix));
    let unknown = environment
        .0
        .keys()
        .find(|name| !is_known(name) && !is_foreign(name));
    match unknown {
        None => Ok(()),
        Some(name) => Err(ConfigError::Unknown {
            origin: Origin::Variable("the environment".to_owned()),
            detail: suggest::unknown("variable", name, known()),
        }),
    }
}

/// The settings in a TOML file, each as the text that a variable would hold.
fn read_file(path: &Path) -> Result<Vec<(&'static str, String)>, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read {
        path: path.to_owned(),
        source,
    })?;
    let table: toml::Table = text.parse().map_err(|source| ConfigError::NotToml {
        path: path.to_owned(),
        source: Box::new(source),
    })?;
    let mut found = Vec::new();
    for (name, value) in &table {
        let Some(setting) = SETTINGS.iter().find(|setting| setting.name == name) else {
            let known = SETTINGS.iter().map(|setting| setting.name);
            let detail = suggest::unknown("setting", name, known);
            return Err(ConfigError::Unknown {
                origin: Origin::File(path.to_owned()),
                detail,
            });
        };
        let value = text_of(value).ok_or_else(|| ConfigError::Invalid {
            name: setting.name,
            origin: Origin::File(path.to_owned()),
            detail: "must be a string, a whole number or an array of strings".to_owned(),
        })?;
        found.push((setting.name, value));
    }
    Ok(found)
}

/// A string, a number, or a flat array, as the text that a variable would hold.
fn text_of(value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text.clone()),
        toml::Value::Integer(number) => Some(number.to_string()),
        toml::Value::Array(items) => {
            let scalar = |item: &toml::Value| if item.is_array() { None } else { text_of(item) };
            items
                .iter()
                .map(scalar)
                .collect::<Option<Vec<_>>>()
                .map(|items| items.join(","))
        }
        toml::Value::Float(_)
        | toml::Value::Boolean(_)
        | toml::Value::Datetime(_)
        | toml::Value::Table(_) => None,
    }
}
