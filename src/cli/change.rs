//! `ncgate change …`: the nine steps of a change in one call.

use std::path::PathBuf;

use serde::Serialize;
use serde_json::Value;
use ureq::http::Method;

use super::client::{ClientArgs, Request};
use super::device::show;
use super::edit::{self, CommitArgs, Edit, EditArgs, Probe, ProbeArgs};
use super::exit::{Exit, Failure};
use super::input;
use super::output::{self, Columns};
use super::page::PageArgs;

const CHANGES: Columns = &[
    ("ID", "/id"),
    ("STATE", "/state"),
    ("OUTCOME", "/outcome"),
    ("MODE", "/mode"),
    ("OWNER", "/owner"),
    ("CREATED", "/create_time"),
    ("COMMENT", "/comment"),
];

/// Change a device in one call: lock, edit, validate, diff, commit, unlock.
#[derive(Debug, clap::Subcommand)]
pub enum ChangeCommand {
    /// Make a change; a step that fails undoes what was done
    Create(Box<CreateArgs>),
    /// List the changes of a device
    List {
        /// The device
        device: String,
        #[command(flatten)]
        page: PageArgs,
        #[command(flatten)]
        client: ClientArgs,
    },
    /// Show a change
    Get(IdArgs),
    /// Clear a commit that is scheduled
    Cancel(IdArgs),
}

/// One change.
#[derive(Debug, clap::Args)]
pub struct IdArgs {
    /// The device
    device: String,
    /// The change
    id: String,
    #[command(flatten)]
    client: ClientArgs,
}

/// `ncgate change create`
#[derive(Debug, clap::Args)]
pub struct CreateArgs {
    /// The device
    device: String,
    #[command(flatten)]
    edit: EditArgs,
    /// A file with the whole request as POST …/changes takes it, in place of one edit; '-' for standard input
    #[arg(long, value_name = "FILE", conflicts_with = "file")]
    request: Option<PathBuf>,
    /// exclusive, private, ephemeral or shared
    #[arg(long, conflicts_with = "request")]
    mode: Option<String>,
    /// The name of an ephemeral instance
    #[arg(long, value_name = "NAME", conflicts_with = "request")]
    instance: Option<String>,
    /// Commit without having the device check first
    #[arg(long, conflicts_with = "request")]
    no_validate: bool,
    /// Only if this is still the revision of the configuration
    #[arg(long, value_name = "REVISION", conflicts_with = "request")]
    if_revision: Option<String>,
    /// How long to wait for a lock that somebody else holds
    #[arg(long, value_name = "SECONDS", conflicts_with = "request")]
    wait: Option<u64>,
    /// Show what would change on the device, and leave nothing
    #[arg(long, conflicts_with = "request")]
    dry_run: bool,
    /// Show the XML that would be sent, and send nothing
    #[arg(long)]
    plan: bool,
    #[command(flatten)]
    commit: CommitArgs,
    /// Let the device commit by itself: hh:mm, 'yyyy-mm-dd hh:mm' or reboot, in its own time zone
    #[arg(long, value_name = "TIME", help_heading = "Commit")]
    at: Option<String>,
    #[command(flatten)]
    probe: ProbeArgs,
    #[command(flatten)]
    client: ClientArgs,
}

/// A change as the API takes it.
#[derive(Serialize)]
struct Body<'a> {
    edits: [Edit; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    mode: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    instance: Option<&'a str>,
    validate: bool,
    commit: Commit<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    probe: Option<Probe<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    if_revision: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    wait_seconds: Option<u64>,
    dry_run: bool,
}

/// Its commit, which unlike that of an edit session may be made later.
#[derive(Serialize)]
struct Commit<'a> {
    #[serde(flatten)]
    options: &'a CommitArgs,
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<&'a str>,
}

impl CreateArgs {
    fn request(&self) -> Result<Request, Failure> {
        let mut request = Request::new(Method::POST, &["devices", &self.device, "changes"]);
        if self.plan {
            request = request.query("plan", "true");
        }
        let body = match &self.request {
            Some(path) => input::read(path)?.as_bytes().to_vec(),
            None => edit::body(&Body {
                edits: [self.edit.edit()?],
                mode: self.mode.as_deref(),
                instance: self.instance.as_deref(),
                validate: !self.no_validate,
                commit: Commit {
                    options: &self.commit,
                    at: self.at.as_deref(),
                },
                probe: self.probe.probe()?,
                if_revision: self.if_revision.as_deref(),
                wait_seconds: self.wait,
                dry_run: self.dry_run,
            })?,
        };
        Ok(request.body("application/json", body))
    }
}

impl IdArgs {
    fn request(&self, method: Method, action: Option<&str>) -> Request {
        let mut segments = vec!["devices", &self.device, "changes", &self.id];
        segments.extend(action);
        Request::new(method, &segments)
    }
}

/// A change that a probe has had undone was made in vain.
fn exit(change: &Value) -> Exit {
    match change["state"].as_str() {
        Some("cancelled" | "rolled_back") => Exit::Failure,
        _ => Exit::Ok,
    }
}

impl ChangeCommand {
    /// # Errors
    /// [`Failure`]
    pub fn run(&self) -> Result<Exit, Failure> {
        match self {
            Self::Create(args) => {
                let answer = args.client.send(args.request()?)?;
                if args.plan {
                    return output::reply(args.client.output, answer);
                }
                let change = output::parse_answer(answer)?;
                output::change(args.client.output, &change)?;
                Ok(exit(&change))
            }
            Self::List { device, page, client } => {
                let request = Request::new(Method::GET, &["devices", device, "changes"]);
                page.show(client, request, ("changes", CHANGES))
            }
            Self::Get(id) => show(&id.client, id.request(Method::GET, None), None),
            Self::Cancel(id) => show(&id.client, id.request(Method::POST, Some("cancel")), None),
        }
    }
}
