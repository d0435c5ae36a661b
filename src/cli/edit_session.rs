//! `ncgate edit-session …`: a candidate bound to one caller for a time.

use serde::Serialize;
use serde_json::json;
use ureq::http::Method;

use super::client::{ClientArgs, Request};
use super::device::show;
use super::edit::{self, CommitArgs, EditArgs, Probe, ProbeArgs};
use super::exit::{Exit, Failure};
use super::output::{self, Columns};
use super::page::PageArgs;
use super::rpc::{self, ReplyArgs};

const EDIT_SESSIONS: Columns = &[
    ("ID", "/id"),
    ("MODE", "/mode"),
    ("STATE", "/state"),
    ("OWNER", "/owner"),
    ("SESSION-ID", "/session_id"),
    ("EXPIRES", "/expires_at"),
    ("UNCOMMITTED", "/uncommitted"),
    ("REASON", "/reason"),
];

/// Edit a candidate step by step.
#[derive(Debug, clap::Subcommand)]
pub enum EditSessionCommand {
    /// Open an edit session: lock the candidate, or open a copy of it
    Open(OpenArgs),
    /// List the edit sessions of a device
    List {
        /// The device
        device: String,
        #[command(flatten)]
        page: PageArgs,
        #[command(flatten)]
        client: ClientArgs,
    },
    /// Show an edit session
    Get(IdArgs),
    /// End an edit session; what was not committed is discarded
    Close(IdArgs),
    /// Change the candidate
    Edit {
        #[command(flatten)]
        id: IdArgs,
        #[command(flatten)]
        edit: Box<EditArgs>,
    },
    /// Have the device check the candidate
    Validate {
        #[command(flatten)]
        id: IdArgs,
        /// Also when somebody else's confirmed commit is pending, which a check may confirm; admins only
        #[arg(long)]
        confirm_others: bool,
    },
    /// Take back what was not committed
    Discard {
        #[command(flatten)]
        id: IdArgs,
        /// In a shared candidate: also what others did
        #[arg(long)]
        others: bool,
    },
    /// Commit the candidate
    Commit {
        #[command(flatten)]
        id: IdArgs,
        #[command(flatten)]
        commit: Box<CommitArgs>,
        #[command(flatten)]
        probe: Box<ProbeArgs>,
    },
    /// Push the expiry of an edit session
    Renew(IdArgs),
    /// Call an RPC in the session of the edit session
    Rpc {
        #[command(flatten)]
        id: IdArgs,
        /// The request tag, such as get-configuration
        name: String,
        /// Arguments: name=value, or a name alone for an empty element
        #[arg(value_name = "ARGUMENT")]
        arguments: Vec<String>,
        #[command(flatten)]
        reply: Box<ReplyArgs>,
    },
    /// Read what is being edited
    Config {
        #[command(flatten)]
        id: IdArgs,
        /// A level of the hierarchy, such as system/login
        path: Option<String>,
        #[command(flatten)]
        reply: Box<ReplyArgs>,
    },
    /// Show what a commit would change
    Diff(IdArgs),
}

/// A commit as the API takes it.
#[derive(Serialize)]
struct CommitBody<'a> {
    #[serde(flatten)]
    commit: &'a CommitArgs,
    #[serde(skip_serializing_if = "Option::is_none")]
    probe: Option<Probe<'a>>,
}

/// `ncgate edit-session open`
#[derive(Debug, clap::Args)]
pub struct OpenArgs {
    /// The device
    device: String,
    #[command(flatten)]
    how: HowToOpen,
    #[command(flatten)]
    client: ClientArgs,
}

#[derive(Debug, Serialize, clap::Args)]
struct HowToOpen {
    /// exclusive, private, ephemeral or shared
    #[arg(long, default_value = "exclusive")]
    mode: String,
    /// candidate, running or startup: what to lock
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    datastore: Option<String>,
    /// The name of an ephemeral instance
    #[arg(long, value_name = "NAME")]
    #[serde(skip_serializing_if = "Option::is_none")]
    instance: Option<String>,
    /// How long it lives without being used, 1 to 3600
    #[arg(long = "ttl", value_name = "SECONDS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl_seconds: Option<u64>,
    /// How long to wait for a lock that somebody else holds
    #[arg(long = "wait", value_name = "SECONDS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    wait_seconds: Option<u64>,
}

/// One edit session.
#[derive(Debug, clap::Args)]
pub struct IdArgs {
    /// The device
    device: String,
    /// The edit session
    id: String,
    #[command(flatten)]
    client: ClientArgs,
}

impl IdArgs {
    fn request(&self, method: Method, action: Option<&str>) -> Request {
        let mut segments = vec!["devices", &self.device, "edit-sessions", &self.id];
        segments.extend(action);
        Request::new(method, &segments)
    }

    /// An action without a body.
    fn act(&self, action: &str) -> Result<Exit, Failure> {
        show(&self.client, self.request(Method::POST, Some(action)), None)
    }

    /// An action with a body if something else is asked for than usual.
    fn act_if(&self, action: &str, asked: bool, body: &impl Serialize) -> Result<Exit, Failure> {
        if asked {
            self.act_with(action, body)
        } else {
            self.act(action)
        }
    }

    /// An action with one.
    fn act_with(&self, action: &str, body: &impl Serialize) -> Result<Exit, Failure> {
        let request = self.request(Method::POST, Some(action));
        show(
            &self.client,
            request.body("application/json", edit::body(body)?),
            None,
        )
    }
}

impl EditSessionCommand {
    /// # Errors
    /// [`Failure`]
    pub fn run(&self) -> Result<Exit, Failure> {
        match self {
            Self::Open(args) => {
                let request = Request::new(Method::POST, &["devices", &args.device, "edit-sessions"]);
                let body = edit::body(&args.how)?;
                show(&args.client, request.body("application/json", body), None)
            }
            Self::List { device, page, client } => {
                let request = Request::new(Method::GET, &["devices", device, "edit-sessions"]);
                page.show(client, request, ("edit_sessions", EDIT_SESSIONS))
            }
            Self::Get(id) => show(&id.client, id.request(Method::GET, None), None),
            Self::Close(id) => {
                id.client.send(id.request(Method::DELETE, None))?;
                Ok(Exit::Ok)
            }
            Self::Edit { id, edit } => id.act_with("edit", &edit.edit()?),
            Self::Validate { id, confirm_others } => {
                id.act_if("validate", *confirm_others, &json!({"confirm_others": true}))
            }
            Self::Discard { id, others } => id.act_if("discard", *others, &json!({"discard_others": true})),
            Self::Commit { id, commit, probe } => {
                let probe = probe.probe()?;
                id.act_with("commit", &CommitBody { commit, probe })
            }
            Self::Renew(id) => id.act("renew"),
            Self::Rpc {
                id,
                name,
                arguments,
                reply,
            } => {
                let request = reply.apply(id.request(Method::POST, Some("rpc")), None);
                let body = json!({"rpc": {name.as_str(): rpc::arguments(arguments)}});
                let request = request.body("application/json", edit::body(&body)?);
                output::reply(id.client.output, id.client.send(request)?)
            }
            Self::Config { id, path, reply } => {
                let mut request = reply.apply(id.request(Method::GET, Some("config")), None);
                if let Some(path) = path {
                    request = request.query("path", path);
                }
                output::reply(id.client.output, id.client.send(request)?)
            }
            Self::Diff(id) => {
                let answer = output::parse_answer(id.client.send(id.request(Method::GET, Some("diff")))?)?;
                output::diff(id.client.output, &answer)?;
                Ok(Exit::Ok)
            }
        }
    }
}
