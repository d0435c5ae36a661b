//! Devices as the OpenAPI document describes them. What is read and shown is the business of the inventory's own model.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use crate::device::model::{
    AuthView, Compatibility, DeviceSettings, HostKeySettings, Partial, PoolSettings, Profile, Quirks,
    SshProfile, Timeouts, TransportKind,
};
use crate::service::view::ConnectionView;

/// A device of the inventory: its settings, which credentials are set, and how it is doing.
#[derive(Serialize, ToSchema)]
pub struct Device {
    #[serde(flatten)]
    pub settings: DeviceSettings,
    /// Which ways to log in are set; what they are never comes back.
    pub auth: AuthView,
    pub connection: ConnectionView,
    pub create_time: String,
    pub update_time: String,
    /// Changes with every update and with the connection; the value of the strong `ETag`. A change or removal that
    /// names it looks at the update only.
    pub etag: String,
}

/// A page of the inventory.
#[derive(ToSchema)]
pub struct DevicePage {
    pub devices: Vec<Device>,
    /// Absent at the end.
    pub next_page_token: Option<String>,
}

/// A device to add. Everything but name, address, username and auth has a default.
#[derive(ToSchema)]
#[schema(example = json!({
    "name": "mx9", "address": "192.0.2.9", "username": "automation",
    "auth": {"password": "secret"}, "labels": {"site": "fra1"}
}))]
pub struct DeviceInput {
    /// Unique and fixed.
    #[schema(min_length = 1, max_length = 64, pattern = "^[a-zA-Z0-9._-]+$")]
    pub name: String,
    /// A host name or an IP address.
    pub address: String,
    /// Default 830, or 22 with `ssh_pty`.
    #[schema(minimum = 1)]
    pub port: Option<u16>,
    #[schema(inline)]
    pub transport: Option<TransportKind>,
    #[schema(min_length = 1, max_length = 255)]
    pub username: String,
    pub auth: AuthInput,
    pub host_key: Option<HostKeySettings>,
    #[schema(inline)]
    pub ssh_profile: Option<SshProfile>,
    /// SSH hosts to pass through, nearest to the gateway first.
    #[schema(max_items = 8)]
    pub proxy_jump: Option<Vec<JumpInput>>,
    pub compatibility: Option<Compatibility>,
    pub pool: Option<PoolSettings>,
    #[schema(inline)]
    pub profile: Option<Profile>,
    pub quirks: Option<Quirks>,
    #[schema(inline)]
    pub partial: Option<Partial>,
    /// Devices of one domain share the server that judges their credentials.
    #[schema(min_length = 1, max_length = 64, pattern = "^[a-zA-Z0-9._-]+$")]
    pub credential_domain: Option<String>,
    pub timeouts: Option<Timeouts>,
    pub labels: Option<BTreeMap<String, String>>,
}

/// What to change, as a JSON merge patch: members as in the input of a new device.
#[derive(ToSchema)]
#[schema(example = json!({"labels": {"site": "fra2"}, "timeouts": {"rpc_seconds": 60}}))]
pub struct DevicePatch {
    pub address: Option<String>,
    pub port: Option<u16>,
    #[schema(inline)]
    pub transport: Option<TransportKind>,
    pub username: Option<String>,
    pub auth: Option<AuthInput>,
    pub host_key: Option<HostKeySettings>,
    #[schema(inline)]
    pub ssh_profile: Option<SshProfile>,
    pub proxy_jump: Option<Vec<JumpInput>>,
    pub compatibility: Option<Compatibility>,
    pub pool: Option<PoolSettings>,
    #[schema(inline)]
    pub profile: Option<Profile>,
    pub quirks: Option<Quirks>,
    #[schema(inline)]
    pub partial: Option<Partial>,
    pub credential_domain: Option<String>,
    pub timeouts: Option<Timeouts>,
    /// `null` removes a label.
    pub labels: Option<BTreeMap<String, Option<String>>>,
}

/// Ways to log in, at least one. They never come back.
#[derive(ToSchema)]
pub struct AuthInput {
    /// Also answers a single prompt of keyboard-interactive authentication.
    #[schema(write_only, min_length = 1, max_length = 4096)]
    pub password: Option<String>,
    /// An OpenSSH or PEM private key.
    #[schema(write_only, min_length = 1)]
    pub private_key: Option<String>,
    #[schema(write_only, min_length = 1, max_length = 4096)]
    pub passphrase: Option<String>,
    #[schema(write_only, max_items = 16)]
    pub keyboard_interactive: Option<Vec<PromptAnswerInput>>,
}

/// An answer to a prompt.
#[derive(ToSchema)]
pub struct PromptAnswerInput {
    /// The prompt, or the beginning of it.
    pub prompt: String,
    #[schema(write_only)]
    pub answer: String,
}

/// An SSH host on the way.
#[derive(ToSchema)]
pub struct JumpInput {
    pub address: String,
    /// Default 22.
    #[schema(minimum = 1)]
    pub port: Option<u16>,
    pub username: String,
    pub auth: Option<AuthInput>,
    pub host_key: Option<HostKeySettings>,
}
