//! What a device needs to know about itself to be talked to, as plain values. The stored shape is another matter
//! (`device::model`); the service turns one into the other.

use std::time::Duration;

use super::jump::JumpHost;

/// How sessions with one device are run. Secrets and addresses are not here: they belong to the connector.
#[derive(Debug, Clone)]
pub struct Settings {
    pub name: String,
    /// All NETCONF sessions at once, whatever they are used for (Q1).
    pub max_sessions: usize,
    /// How many requests may wait for the device.
    pub queue_length: usize,
    pub profile: Profile,
    /// Whether several RPCs of one batch or one change may be in flight at once (Q2).
    pub pipelining: bool,
    pub compatibility: Compatibility,
    /// How long a read may take when the caller does not say (H6).
    pub rpc_timeout: Duration,
    /// An idle session is ended after this time.
    pub idle_timeout: Duration,
    /// After three refusals, how long to wait before the credentials are tried again (Q4).
    pub auth_retry: Duration,
    /// Devices whose logins are checked by the same server (TACACS, RADIUS) share a name here.
    pub credential_domain: Option<String>,
    /// In the order of dialling. In a credential domain their refusals are the domain's.
    pub jump_hosts: Vec<JumpHost>,
}

impl Settings {
    /// The defaults of a device of this name.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            max_sessions: 4,
            queue_length: 64,
            profile: Profile::Auto,
            pipelining: true,
            compatibility: Compatibility::default(),
            rpc_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(300),
            auth_retry: Duration::from_secs(900),
            credential_domain: None,
            jump_hosts: Vec::new(),
        }
    }
}

/// What kind of server is expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Profile {
    /// As its hello says.
    #[default]
    Auto,
    Junos,
    /// Any RFC 6241 server.
    Rfc,
}

/// What is asked of a device, and what happens when it does not have it (S7).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Compatibility {
    pub policy: Policy,
    /// Capability URIs, with or without parameters.
    pub capabilities: Vec<String>,
    /// The oldest and the newest software version that will do; a bound holds for all releases that begin with it.
    pub min_version: Option<String>,
    pub max_version: Option<String>,
}

/// The three ways to treat a device that differs from what is expected (S7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Policy {
    /// Differences are not looked at.
    Ignore,
    /// What the device cannot do is not sent to it; the refusal names the missing capability.
    #[default]
    Adapt,
    /// A device that lacks what is required is not used at all.
    Refuse,
}

impl Policy {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ignore => "ignore",
            Self::Adapt => "adapt",
            Self::Refuse => "refuse",
        }
    }
}
