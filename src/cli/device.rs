//! `ncgate device …`: the inventory, and what a device says of itself.

use std::path::PathBuf;

use serde_json::{Map, Value};
use ureq::http::Method;
use zeroize::Zeroizing;

use super::client::{ClientArgs, Request};
use super::document::Document;
use super::exit::{Exit, Failure};
use super::output::{self, Columns};
use super::{edit, input, rpc};

const DEVICES: Columns = &[
    ("NAME", "/name"),
    ("ADDRESS", "/address"),
    ("PORT", "/port"),
    ("USER", "/username"),
    ("STATE", "/connection/state"),
    ("SESSIONS", "/connection/sessions"),
    ("QUEUED", "/connection/queued"),
    ("LABELS", "/labels"),
];
const CAPABILITIES: Columns = &[("NAME", "/name"), ("VERSION", "/version"), ("URI", "/uri")];
const SCHEMAS: Columns = &[
    ("IDENTIFIER", "/identifier"),
    ("VERSION", "/version"),
    ("FORMAT", "/format"),
    ("NAMESPACE", "/namespace"),
];
const SESSIONS: Columns = &[
    ("SESSION-ID", "/session_id"),
    ("OURS", "/ours"),
    ("STATE", "/state"),
    ("USER", "/username"),
    ("FROM", "/source_host"),
    ("SINCE", "/login_time"),
];

const LOCKS: Columns = &[
    ("KIND", "/kind"),
    ("DATASTORE", "/datastore"),
    ("OURS", "/ours"),
    ("OWNER", "/owner"),
    ("EDIT-SESSION", "/edit_session"),
    ("SESSION-ID", "/holder/session_id"),
    ("USER", "/holder/user"),
    ("SINCE", "/holder/since"),
    ("EXPIRES", "/expires_at"),
];

/// The inventory, and what a device says of itself.
#[derive(Debug, clap::Subcommand)]
pub enum DeviceCommand {
    /// List the devices
    List {
        /// Only devices with this label; may be given several times
        #[arg(long, value_name = "KEY=VALUE", value_parser = input::pair)]
        label: Vec<(String, String)>,
        #[command(flatten)]
        client: ClientArgs,
    },
    /// Show a device
    Get(NameArgs),
    /// Add a device
    ///
    /// Credentials come from files, standard input or the environment, never from the command line, where every
    /// user of the machine could read them.
    Add {
        /// The name to give it
        name: Option<String>,
        #[command(flatten)]
        settings: Box<SettingsArgs>,
        #[command(flatten)]
        client: ClientArgs,
    },
    /// Change a device: what is given changes, the rest stays
    Update {
        /// Its name
        name: String,
        #[command(flatten)]
        settings: Box<SettingsArgs>,
        /// Take a setting back to its default, or remove a credential, such as auth.password; may be given several
        /// times
        #[arg(long, value_name = "MEMBER")]
        unset: Vec<String>,
        /// Only if this is still its entity tag
        #[arg(long, value_name = "ETAG")]
        if_match: Option<String>,
        #[command(flatten)]
        client: ClientArgs,
    },
    /// Remove a device and its credentials
    Remove {
        /// Its name
        name: String,
        /// Only if this is still its entity tag
        #[arg(long, value_name = "ETAG")]
        if_match: Option<String>,
        #[command(flatten)]
        client: ClientArgs,
    },
    /// Connect to a device now, and tell what was seen
    Check(NameArgs),
    /// List the capabilities of a device
    Capabilities(NameArgs),
    /// List the schemas that a device has
    Schemas(NameArgs),
    /// Print a schema
    Schema {
        /// The device
        device: String,
        /// The identifier of the schema
        schema: String,
        /// Its revision
        #[arg(long, value_name = "VERSION")]
        revision: Option<String>,
        /// yang, yin, xsd or rng; yang unless given
        #[arg(long, value_name = "FORMAT")]
        format: Option<String>,
        #[command(flatten)]
        client: ClientArgs,
    },
    /// List the NETCONF sessions of a device
    Sessions(NameArgs),
    /// End a NETCONF session of a device
    KillSession(KillArgs),
    /// List who holds what on a device
    Locks(NameArgs),
    /// Discard what somebody left in the shared candidate
    DiscardCandidate {
        /// The device
        device: String,
        /// SHA-256 of the difference that you have looked at: diff_sha256 of a refused lock
        #[arg(long, value_name = "HEX")]
        expect: String,
        #[command(flatten)]
        client: ClientArgs,
    },
}

/// `ncgate device kill-session`
#[derive(Debug, clap::Args)]
pub struct KillArgs {
    /// The device
    device: String,
    /// The session-id
    session_id: u64,
    /// Why, for the log
    #[arg(long)]
    reason: Option<String>,
    /// Only if the session is this user's
    #[arg(long, value_name = "USER")]
    if_user: Option<String>,
    /// Only if the session was idle for so long
    #[arg(long, value_name = "SECONDS")]
    if_idle: Option<u64>,
    /// Also a session that holds a pending confirmed commit
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    client: ClientArgs,
}

/// A device and nothing else.
#[derive(Debug, clap::Args)]
pub struct NameArgs {
    /// The device
    device: String,
    #[command(flatten)]
    client: ClientArgs,
}

/// The settings of a device.
#[derive(Debug, Default, clap::Args)]
pub struct SettingsArgs {
    /// A JSON document as POST /v1/devices takes it, '-' for standard input; flags count more
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// IP address or host name
    #[arg(long)]
    address: Option<String>,
    /// 830 unless given, or 22 with ssh_pty
    #[arg(long)]
    port: Option<u16>,
    /// ssh or ssh_pty
    #[arg(long, value_name = "HOW")]
    transport: Option<String>,
    /// The user to log in as
    #[arg(long)]
    username: Option<String>,
    /// The file with the password, '-' for standard input; or set NCGATE_DEVICE_PASSWORD
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// Read the password from standard input
    #[arg(long, conflicts_with = "password_file")]
    password_stdin: bool,
    /// The file with the private key
    #[arg(long, value_name = "FILE")]
    private_key_file: Option<PathBuf>,
    /// The file with the key's passphrase; or set NCGATE_DEVICE_PASSPHRASE
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
    /// A public key or fingerprint to believe; may be given several times
    #[arg(long, value_name = "KEY")]
    host_key: Vec<String>,
    /// pinned, known_hosts or tofu
    #[arg(long, value_name = "POLICY")]
    host_key_policy: Option<String>,
    /// modern, compat or legacy
    #[arg(long, value_name = "PROFILE")]
    ssh_profile: Option<String>,
    /// auto, junos or rfc
    #[arg(long)]
    profile: Option<String>,
    /// NETCONF sessions at a time
    #[arg(long, value_name = "N")]
    max_sessions: Option<u32>,
    /// Devices whose logins are checked by one server share a name here
    #[arg(long, value_name = "NAME")]
    credential_domain: Option<String>,
    /// A label; may be given several times
    #[arg(long, value_name = "KEY=VALUE", value_parser = input::pair)]
    label: Vec<(String, String)>,
}

impl DeviceCommand {
    /// # Errors
    /// [`Failure`]
    pub fn run(&self) -> Result<Exit, Failure> {
        match self {
            Self::List { label, client } => list(label, client),
            Self::Get(NameArgs { device, client }) => {
                show(client, Request::new(Method::GET, &["devices", device]), None)
            }
            Self::Add {
                name,
                settings,
                client,
            } => {
                let document = settings.document(name.as_deref(), &Secrets::of_process())?;
                let request = Request::new(Method::POST, &["devices"]);
                let body = edit::body(&document)?;
                show(client, request.body("application/json", body), None)
            }
            Self::Update {
                name,
                settings,
                unset,
                if_match,
                client,
            } => {
                let mut patch = settings.document(None, &Secrets::of_process())?;
                for member in unset {
                    set(&mut patch, member, &Value::Null)?;
                }
                let request = Request::new(Method::PATCH, &["devices", name])
                    .body("application/merge-patch+json", edit::body(&patch)?);
                show(client, guarded(request, if_match), None)
            }
            Self::Remove {
                name,
                if_match,
                client,
            } => {
                client.send(guarded(
                    Request::new(Method::DELETE, &["devices", name]),
                    if_match,
                ))?;
                Ok(Exit::Ok)
            }
            Self::Check(NameArgs { device, client }) => show(
                client,
                Request::new(Method::POST, &["devices", device, "check"]),
                None,
            ),
            Self::Capabilities(NameArgs { device, client }) => {
                let request = Request::new(Method::GET, &["devices", device, "capabilities"]);
                show(client, request, Some(("capabilities", CAPABILITIES)))
            }
            Self::Schemas(NameArgs { device, client }) => {
                let request = Request::new(Method::GET, &["devices", device, "schemas"]);
                show(client, request, Some(("schemas", SCHEMAS)))
            }
            Self::Schema {
                device,
                schema,
                revision,
                format,
                client,
            } => {
                let mut request = Request::new(Method::GET, &["devices", device, "schemas", schema]);
                for (name, value) in [("version", revision), ("format", format)] {
                    if let Some(value) = value {
                        request = request.query(name, value);
                    }
                }
                output::reply(client.output, client.send(request)?)
            }
            Self::Sessions(NameArgs { device, client }) => {
                let request = Request::new(Method::GET, &["devices", device, "sessions"]);
                show(client, request, Some(("sessions", SESSIONS)))
            }
            Self::KillSession(args) => show(&args.client, args.request(), None),
            Self::Locks(NameArgs { device, client }) => {
                let request = Request::new(Method::GET, &["devices", device, "locks"]);
                show(client, request, Some(("locks", LOCKS)))
            }
            Self::DiscardCandidate {
                device,
                expect,
                client,
            } => {
                let request = Request::new(Method::POST, &["devices", device, "candidate", "discard"]);
                let body = serde_json::json!({"expect_diff_sha256": expect});
                show(
                    client,
                    request.body("application/json", body.to_string().into_bytes()),
                    None,
                )
            }
        }
    }
}

impl KillArgs {
    fn request(&self) -> Request {
        let id = self.session_id.to_string();
        let mut body = Map::new();
        if let Some(reason) = &self.reason {
            body.insert("reason".to_owned(), Value::from(reason.as_str()));
        }
        if let Some(user) = &self.if_user {
            body.insert("if_user".to_owned(), Value::from(user.as_str()));
        }
        if let Some(seconds) = self.if_idle {
            body.insert("if_idle_seconds_at_least".to_owned(), Value::from(seconds));
        }
        if self.force {
            body.insert("force".to_owned(), Value::from(true));
        }
        Request::new(Method::POST, &["devices", &self.device, "sessions", &id, "kill"])
            .body("application/json", Value::Object(body).to_string().into_bytes())
    }
}

/// Asks and prints.
pub(super) fn show(
    client: &ClientArgs,
    request: Request,
    table: Option<(&str, Columns)>,
) -> Result<Exit, Failure> {
    let answer = output::parse_answer(client.send(request)?)?;
    output::value(client.output, &answer, table)?;
    Ok(Exit::Ok)
}

/// All pages as one list.
fn list(labels: &[(String, String)], client: &ClientArgs) -> Result<Exit, Failure> {
    let mut devices = Vec::new();
    let mut token: Option<String> = None;
    loop {
        let mut request = Request::new(Method::GET, &["devices"]).query("page_size", "1000");
        for (key, value) in labels {
            request = request.query("label", format!("{key}={value}"));
        }
        if let Some(token) = token {
            request = request.query("page_token", token);
        }
        let mut page = output::parse_answer(client.send(request)?)?;
        if let Some(Value::Array(items)) = page.get_mut("devices").map(Value::take) {
            devices.extend(items);
        }
        token = page
            .get("next_page_token")
            .and_then(Value::as_str)
            .map(str::to_owned);
        if token.is_none() {
            break;
        }
    }
    let all = Value::Object(Map::from_iter([("devices".to_owned(), Value::Array(devices))]));
    output::value(client.output, &all, Some(("devices", DEVICES)))?;
    Ok(Exit::Ok)
}

fn guarded(request: Request, if_match: &Option<String>) -> Request {
    match if_match {
        Some(etag) if etag.starts_with('"') || etag == "*" => request.header("If-Match", etag),
        Some(etag) => request.header("If-Match", format!("\"{etag}\"")),
        None => request,
    }
}

/// Sets a member below the root; `path` has dots between names.
fn set(document: &mut Document, path: &str, value: &Value) -> Result<(), Failure> {
    let path: Vec<&str> = path.split('.').collect();
    laid(document.set(&path, value))
}

/// What was read is JSON, and so is what is laid over it.
fn laid(result: Result<(), serde_json::Error>) -> Result<(), Failure> {
    result.map_err(|error| Failure::Usage(error.to_string()))
}

/// Secrets that the environment holds.
#[derive(Default)]
pub(super) struct Secrets {
    pub password: Option<Zeroizing<String>>,
    pub passphrase: Option<Zeroizing<String>>,
}

impl Secrets {
    fn of_process() -> Self {
        let variable = |name| {
            std::env::var(name)
                .ok()
                .filter(|value| !value.is_empty())
                .map(Zeroizing::new)
        };
        Self {
            password: variable("NCGATE_DEVICE_PASSWORD"),
            passphrase: variable("NCGATE_DEVICE_PASSPHRASE"),
        }
    }
}

impl SettingsArgs {
    /// The JSON document that says what the flags say.
    pub(super) fn document(&self, name: Option<&str>, secrets: &Secrets) -> Result<Document, Failure> {
        let stdin = PathBuf::from("-");
        let password_file = if self.password_stdin {
            Some(&stdin)
        } else {
            self.password_file.as_ref()
        };
        let files = [
            self.file.as_ref(),
            password_file,
            self.private_key_file.as_ref(),
            self.passphrase_file.as_ref(),
        ];
        if files.iter().filter(|file| **file == Some(&stdin)).count() > 1 {
            return Err(Failure::Usage(
                "standard input can be read for one thing only".to_owned(),
            ));
        }
        let mut document = match &self.file {
            Some(path) => {
                let written = rpc::as_written(&input::read(path)?, path)?;
                serde_json::from_str(written.get())
                    .map_err(|_| Failure::Usage("--file must hold a JSON object".to_owned()))?
            }
            None => Document::default(),
        };
        let texts = [
            ("name", name),
            ("address", self.address.as_deref()),
            ("transport", self.transport.as_deref()),
            ("username", self.username.as_deref()),
            ("host_key.policy", self.host_key_policy.as_deref()),
            ("ssh_profile", self.ssh_profile.as_deref()),
            ("profile", self.profile.as_deref()),
            ("credential_domain", self.credential_domain.as_deref()),
        ];
        for (member, text) in texts {
            if let Some(text) = text {
                set(&mut document, member, &Value::from(text))?;
            }
        }
        if let Some(port) = self.port {
            set(&mut document, "port", &Value::from(port))?;
        }
        if let Some(max_sessions) = self.max_sessions {
            set(&mut document, "pool.max_sessions", &Value::from(max_sessions))?;
        }
        if !self.host_key.is_empty() {
            set(
                &mut document,
                "host_key.keys",
                &Value::from(self.host_key.clone()),
            )?;
        }
        for (key, value) in &self.label {
            laid(document.set(&["labels", key], &Value::from(value.as_str())))?;
        }
        let password = match password_file {
            Some(path) => Some(input::read_secret(path)?),
            None => secrets.password.clone(),
        };
        let passphrase = match &self.passphrase_file {
            Some(path) => Some(input::read_secret(path)?),
            None => secrets.passphrase.clone(),
        };
        let private_key = self.private_key_file.as_deref().map(input::read).transpose()?;
        for (member, secret) in [
            ("auth.password", password),
            ("auth.private_key", private_key),
            ("auth.passphrase", passphrase),
        ] {
            if let Some(secret) = secret {
                set(&mut document, member, &Value::from(secret.as_str()))?;
            }
        }
        Ok(document)
    }
}

#[cfg(test)]
mod tests;
