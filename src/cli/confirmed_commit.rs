//! `ncgate confirmed-commit …`: commits that a device undoes unless they are confirmed.

use serde_json::json;
use ureq::http::Method;

use super::client::{ClientArgs, Request};
use super::device::show;
use super::edit;
use super::exit::{Exit, Failure};
use super::output::Columns;
use super::page::PageArgs;

const CONFIRMED_COMMITS: Columns = &[
    ("ID", "/id"),
    ("DEVICE", "/device"),
    ("STATE", "/state"),
    ("BY", "/by"),
    ("REASON", "/reason"),
    ("DEADLINE", "/deadline"),
    ("OWNER", "/owner"),
];

/// Commits that a device undoes unless they are confirmed.
#[derive(Debug, clap::Subcommand)]
pub enum ConfirmedCommitCommand {
    /// List confirmed commits, pending ones and those that have ended lately
    List {
        /// Only those of this device
        #[arg(long, value_name = "NAME")]
        device: Option<String>,
        /// Only those in this state, such as pending
        #[arg(long, value_name = "STATE")]
        state: Option<String>,
        #[command(flatten)]
        page: PageArgs,
        #[command(flatten)]
        client: ClientArgs,
    },
    /// Show a confirmed commit
    Get(IdArgs),
    /// Confirm: what was committed stays
    Confirm {
        #[command(flatten)]
        id: IdArgs,
        /// Commit whatever has come into the candidate since as well
        #[arg(long)]
        accept_candidate: bool,
        /// Show the XML that would be sent, and send nothing
        #[arg(long)]
        plan: bool,
    },
    /// Undo it now
    Cancel {
        #[command(flatten)]
        id: IdArgs,
        /// Show the XML that would be sent, and send nothing
        #[arg(long)]
        plan: bool,
    },
    /// Give it a new deadline, counted from now
    Extend {
        #[command(flatten)]
        id: IdArgs,
        /// How long from now on
        seconds: u64,
        /// Show the XML that would be sent, and send nothing
        #[arg(long)]
        plan: bool,
    },
}

/// One confirmed commit.
#[derive(Debug, clap::Args)]
pub struct IdArgs {
    /// The confirmed commit
    id: String,
    #[command(flatten)]
    client: ClientArgs,
}

impl IdArgs {
    fn act(&self, action: &str, body: &serde_json::Value) -> Result<Exit, Failure> {
        let request = Request::new(Method::POST, &["confirmed-commits", &self.id, action]);
        show(
            &self.client,
            request.body("application/json", edit::body(body)?),
            None,
        )
    }
}

impl ConfirmedCommitCommand {
    /// # Errors
    /// [`Failure`]
    pub fn run(&self) -> Result<Exit, Failure> {
        match self {
            Self::List {
                device,
                state,
                page,
                client,
            } => {
                let mut request = Request::new(Method::GET, &["confirmed-commits"]);
                for (name, value) in [("device", device), ("state", state)] {
                    if let Some(value) = value {
                        request = request.query(name, value);
                    }
                }
                page.show(client, request, ("confirmed_commits", CONFIRMED_COMMITS))
            }
            Self::Get(id) => {
                let request = Request::new(Method::GET, &["confirmed-commits", &id.id]);
                show(&id.client, request, None)
            }
            Self::Confirm {
                id,
                accept_candidate,
                plan,
            } => id.act(
                "confirm",
                &json!({"accept_candidate": accept_candidate, "plan": plan}),
            ),
            Self::Cancel { id, plan } => {
                let mut request = Request::new(Method::POST, &["confirmed-commits", &id.id, "cancel"]);
                if *plan {
                    request = request.query("plan", "true");
                }
                show(&id.client, request, None)
            }
            Self::Extend { id, seconds, plan } => id.act(
                "extend",
                &json!({"confirm_timeout_seconds": seconds, "plan": plan}),
            ),
        }
    }
}
