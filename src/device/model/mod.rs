//! What is known of a device before anybody connects: settings that may be shown, and secrets that never are.
//!
//! [`read_device`] turns a caller's JSON into both, [`apply_merge_patch`] changes both, [`document`] is what
//! callers get back. Every fault is reported with its JSON pointer (RFC 6901), all of them at once. It knows no
//! HTTP, no database and no session.

mod json_text;
mod patch;
mod read;
mod reader;
mod secrets;

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

pub use json_text::{parse_json, wipe};
pub use patch::apply_merge_patch;
pub use read::read_device;
pub use secrets::{AuthView, Credentials, DeviceSecrets, KeyFault, PromptAnswer, Secret, decode_private_key};

/// One thing wrong with a document: where (a JSON pointer) and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldFault {
    pub pointer: String,
    pub detail: String,
}

impl FieldFault {
    pub fn new(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self {
            pointer: pointer.into(),
            detail: detail.into(),
        }
    }
}

impl fmt::Display for FieldFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.pointer, self.detail)
    }
}

impl std::error::Error for FieldFault {}

/// Declares an enum whose values are words in JSON.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:tt,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
        pub enum $name { $($(#[$vdoc])* #[serde(rename = $word)] $variant,)* }

        impl $name {
            /// All values with their words, in the order of the documentation.
            pub const WORDS: &'static [(&'static str, Self)] = &[$(($word, Self::$variant),)*];

            /// The word in JSON.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }
        }
    };
}

words! {
    /// How NETCONF is reached over SSH.
    TransportKind {
        /// The `netconf` subsystem (RFC 6242 section 3).
        #[default]
        Ssh = "ssh",
        /// The `netconf` command on a pseudo-terminal, as `ssh -tt host netconf` does (S3).
        SshPty = "ssh_pty",
    }
}

words! {
    /// Whose host key is believed (X7).
    HostKeyPolicy {
        /// Only the keys that the device's settings list.
        #[default]
        Pinned = "pinned",
        /// The gateway's known_hosts file.
        KnownHosts = "known_hosts",
        /// The first key seen is stored, and from then on is the only one.
        Tofu = "tofu",
    }
}

words! {
    /// Which SSH algorithms may be offered to the device.
    SshProfile {
        #[default]
        Modern = "modern",
        /// Also SHA-1 key exchange and MACs.
        Compat = "compat",
        /// Also CBC ciphers, group 1, ssh-rsa signatures.
        Legacy = "legacy",
    }
}

words! {
    /// What to do about capabilities the device lacks (S7).
    CompatibilityPolicy {
        Ignore = "ignore",
        /// Refuse an operation that needs a missing capability, and name it.
        #[default]
        Adapt = "adapt",
        /// End the session with a device that does not meet `require`.
        Refuse = "refuse",
    }
}

words! {
    /// Which family of NETCONF server the device is.
    Profile {
        /// Decided by the capabilities of its hello.
        #[default]
        Auto = "auto",
        Junos = "junos",
        /// Any RFC 6241 server, handled with the most caution.
        Rfc = "rfc",
    }
}

words! {
    /// What happens to data beside an error in a reply, unless the caller says (S19).
    Partial {
        #[default]
        Discard = "discard",
        Keep = "keep",
    }
}

/// A device as callers may see it; credentials live apart in [`DeviceSecrets`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DeviceSettings {
    /// Unique and fixed: `[a-zA-Z0-9._-]`, 1 to 64 characters.
    pub name: String,
    /// IP address or host name.
    pub address: String,
    pub port: u16,
    #[serde(default)]
    pub transport: TransportKind,
    pub username: String,
    #[serde(default)]
    pub host_key: HostKeySettings,
    #[serde(default)]
    pub ssh_profile: SshProfile,
    /// SSH hosts to pass through, nearest to the gateway first.
    #[serde(default)]
    pub proxy_jump: Vec<JumpSettings>,
    #[serde(default)]
    pub compatibility: Compatibility,
    #[serde(default)]
    pub pool: PoolSettings,
    #[serde(default)]
    pub profile: Profile,
    #[serde(default)]
    pub quirks: Quirks,
    #[serde(default)]
    pub partial: Partial,
    /// Devices of one domain share the server that judges their credentials (Q4).
    #[serde(default)]
    pub credential_domain: Option<String>,
    #[serde(default)]
    pub timeouts: Timeouts,
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct HostKeySettings {
    pub policy: HostKeyPolicy,
    /// Public keys as in `known_hosts` (`ssh-ed25519 AAAA…`) or fingerprints (`SHA256:…`).
    pub keys: Vec<String>,
}

/// One SSH host on the way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct JumpSettings {
    pub address: String,
    pub port: u16,
    pub username: String,
    /// Which credentials are set; only shown, never taken.
    #[serde(default)]
    pub auth: AuthView,
    #[serde(default)]
    pub host_key: HostKeySettings,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Compatibility {
    pub policy: CompatibilityPolicy,
    pub require: Requirements,
}

/// What a device must offer under [`CompatibilityPolicy::Refuse`].
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Requirements {
    /// URIs, or short names such as `candidate` or `validate:1.1`.
    pub capabilities: Vec<String>,
    pub version: VersionRange,
}

/// Software versions, both ends included.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct VersionRange {
    pub min: Option<String>,
    pub max: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PoolSettings {
    /// NETCONF sessions open to the device at once, pinned ones included.
    pub max_sessions: u32,
    /// Requests that may wait for the device (Q1).
    pub queue_length: u32,
}

impl Default for PoolSettings {
    fn default() -> Self {
        Self {
            max_sessions: 4,
            queue_length: 64,
        }
    }
}

/// Where the device differs from its profile.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Quirks {
    /// Several RPCs of one batch or one change may be in flight at once (Q2).
    pub pipelining: bool,
    /// Changes have the device validate before the commit. Some servers make no commit after that and say ok to it.
    pub validate: bool,
    /// After a commit running is read and compared with what the candidate was, on any device. If it is off: on a device
    /// without a history of commits running must be another than before, on one with a history nothing is compared.
    pub verify_after_commit: bool,
}

impl Default for Quirks {
    fn default() -> Self {
        Self {
            pipelining: true,
            validate: true,
            verify_after_commit: false,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Timeouts {
    /// For each phase of connecting: TCP, SSH handshake, login, hello.
    #[schema(minimum = 1, maximum = 300)]
    pub connect_seconds: u64,
    /// Of a read, when the caller names no deadline.
    #[schema(minimum = 1, maximum = 3600)]
    pub rpc_seconds: u64,
    /// Of a load, a validation or a commit, when the caller names no deadline.
    #[schema(minimum = 1, maximum = 3600)]
    pub commit_seconds: u64,
    /// Between SSH keepalives; three in a row unanswered end the session (Q5).
    #[schema(minimum = 1, maximum = 3600)]
    pub keepalive_seconds: u64,
    /// Between tries once the device has refused the credentials three times (Q4).
    #[schema(minimum = 1, maximum = 86400)]
    pub auth_retry_seconds: u64,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect_seconds: 10,
            rpc_seconds: 30,
            commit_seconds: 300,
            keepalive_seconds: 15,
            auth_retry_seconds: 900,
        }
    }
}

/// The device as an answer shows it: all settings, and under `auth` (of the device and of each jump host) which
/// ways of logging in are set: `{"password": true, "private_key": false, "passphrase": false,
/// "keyboard_interactive": false}`. Never what they are (X6).
pub fn document(settings: &DeviceSettings, secrets: &DeviceSecrets) -> Value {
    let mut shown = serde_json::Map::new();
    let Value::Object(members) = settings_value(settings) else {
        return Value::Null;
    };
    for (name, value) in members {
        let after_username = name == "username";
        shown.insert(name, value);
        if after_username {
            shown.insert("auth".to_owned(), secrets.auth.view().to_value());
        }
    }
    Value::Object(shown)
}

/// The settings as JSON, every member present.
fn settings_value(settings: &DeviceSettings) -> Value {
    serde_json::to_value(settings).expect("settings have string keys only, so they are always JSON")
}

#[cfg(test)]
mod tests;
