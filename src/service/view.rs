//! What callers get to see, apart from device replies: plain data with the names of the API.
//! Times are RFC 3339 in UTC, durations whole milliseconds or seconds as their names say.

use serde::Serialize;
use utoipa::ToSchema;

use super::revisions::RevisionView;

/// A device of the inventory: its settings, which credentials are set, and how it is doing.
#[derive(Debug, Clone, Serialize)]
pub struct DeviceView {
    /// The settings as [`crate::device::model::document`] shows them: of the credentials, which are set.
    #[serde(flatten)]
    pub document: serde_json::Value,
    pub connection: ConnectionView,
    pub create_time: String,
    pub update_time: String,
    /// Changes with every update and with the connection; the value of the strong `ETag`. A change or removal that
    /// names it looks at the update only.
    pub etag: String,
}

/// The gateway's side of a device, now.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ConnectionView {
    /// `idle` (no session, nothing wrong), `connected`, `unreachable`, `auth_failed`, `host_key_rejected`,
    /// `incompatible` or `circuit_open`.
    pub state: String,
    /// NETCONF sessions open now.
    pub sessions: u64,
    /// Requests that wait for a session.
    pub queued: u64,
    /// Why the last session ended that was not closed by the gateway, or why the last connect failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_loss: Option<LossView>,
    /// Seconds until the gateway tries to connect again by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after_seconds: Option<u64>,
    /// The revision of the configuration, as the device told it last (Junos).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<RevisionView>,
}

impl ConnectionView {
    /// Nobody has connected yet.
    pub(super) fn idle() -> Self {
        Self {
            state: "idle".to_owned(),
            sessions: 0,
            queued: 0,
            last_loss: None,
            retry_after_seconds: None,
            revision: None,
        }
    }
}

/// One loss of a session, or one failed connect.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct LossView {
    /// The code of the error.
    pub code: String,
    pub detail: String,
    pub time: String,
}

#[derive(Debug, Clone, Serialize)]
pub struct DeviceList {
    pub devices: Vec<DeviceView>,
    /// Absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_page_token: Option<String>,
}

/// What a connect made for this purpose showed.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct CheckReport {
    pub device: String,
    pub hello: HelloView,
    pub capabilities: Vec<CapabilityView>,
    /// One entry per routing engine; empty where the device does not tell.
    pub software: Vec<SoftwareView>,
    pub compatibility: CompatibilityView,
    /// Absent where the connection is not SSH.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ssh: Option<SshView>,
    /// In order, each with the time it took.
    pub steps: Vec<StepView>,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct HelloView {
    /// On Junos the process id of the server.
    pub session_id: u64,
    /// `1.0` (`]]>]]>`) or `1.1` (chunked), as both sides agreed.
    pub base: String,
}

/// One capability of the device's hello.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct CapabilityView {
    /// As the device sent it, XML entities decoded.
    pub uri: String,
    /// The short name with its version, as RFC 6241 section 8 writes it without the colon (`candidate:1.0`); absent
    /// for URIs that the gateway knows nothing about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// One YANG module that the hello announces.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ModuleView {
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    pub namespace: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub features: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub deviations: Vec<String>,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct CapabilitiesView {
    pub device: String,
    pub capabilities: Vec<CapabilityView>,
    /// The protocols of `:url`.
    pub url_schemes: Vec<String>,
    pub modules: Vec<ModuleView>,
    pub software: Vec<SoftwareView>,
    pub compatibility: CompatibilityView,
    /// When the hello came.
    pub seen_at: String,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct SoftwareView {
    /// The routing engine or member, where the reply names one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub member: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub product_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub product_model: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub build_date: Option<String>,
}

/// The verdict of the compatibility check (S7).
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct CompatibilityView {
    /// `ignore`, `adapt` or `refuse`.
    pub policy: String,
    pub compatible: bool,
    /// What is required and not there, in words.
    pub missing: Vec<String>,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct SshView {
    pub kex: String,
    pub cipher: String,
    pub mac: String,
    pub host_key_algorithm: String,
    /// `SHA256:…`
    pub host_key_fingerprint: String,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct StepView {
    pub name: String,
    pub duration_ms: u64,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct SchemaView {
    pub identifier: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct SchemaList {
    pub schemas: Vec<SchemaView>,
    /// `monitoring` (RFC 6022) or `hello`.
    pub source: String,
}

/// A NETCONF session on the device.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct SessionView {
    pub session_id: u64,
    /// Whether the gateway holds it.
    pub ours: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_host: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub login_time: Option<String>,
    /// `idle` or `busy`; ours only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct SessionList {
    pub sessions: Vec<SessionView>,
    /// Whether the device told of sessions that are not ours.
    pub device_reports: bool,
}

/// Which RPC a CLI command maps to.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct CliRpc {
    pub command: String,
    pub rpc_xml: String,
    /// The same as the body of `POST …/rpc` takes it.
    #[schema(value_type = Object)]
    pub rpc: serde_json::Value,
}

/// The XML that a call would send (`plan=true`).
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Plan {
    pub device: String,
    pub rpcs: Vec<String>,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct StatusView {
    pub version: VersionView,
    pub uptime_seconds: u64,
    pub draining: bool,
    pub devices: u64,
    pub sessions: u64,
    pub queued: u64,
    /// Devices by connection state.
    pub device_states: std::collections::BTreeMap<String, u64>,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct VersionView {
    pub name: String,
    pub version: String,
    /// The list tables that `hints=` knows, the newest first.
    pub hints: Vec<String>,
}
