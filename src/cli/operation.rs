//! `ncgate operation …`: what became of every call that can change a device.

use serde_json::Value;
use ureq::http::Method;

use super::client::{ClientArgs, Request};
use super::device::show;
use super::exit::{Exit, Failure};
use super::output::{self, Columns};
use super::page::PageArgs;

const OPERATIONS: Columns = &[
    ("ID", "/id"),
    ("KIND", "/kind"),
    ("DEVICE", "/device"),
    ("STATE", "/state"),
    ("OUTCOME", "/outcome"),
    ("PHASE", "/metadata/phase"),
    ("OWNER", "/owner"),
    ("CREATED", "/create_time"),
];
/// The longest that one request waits.
const POLL: &str = "60";

/// What became of every call that can change a device.
#[derive(Debug, clap::Subcommand)]
pub enum OperationCommand {
    /// List operations, changes among them, the newest first
    List {
        /// Only those of this device
        #[arg(long, value_name = "NAME")]
        device: Option<String>,
        #[command(flatten)]
        page: PageArgs,
        #[command(flatten)]
        client: ClientArgs,
    },
    /// Show an operation
    Get(IdArgs),
    /// Wait for the end of an operation, however long that takes, and show it
    Wait(IdArgs),
}

/// One operation.
#[derive(Debug, clap::Args)]
pub struct IdArgs {
    /// The operation
    id: String,
    #[command(flatten)]
    client: ClientArgs,
}

impl IdArgs {
    fn request(&self) -> Request {
        Request::new(Method::GET, &["operations", &self.id])
    }

    /// Asks again and again until it has ended.
    fn wait(&self) -> Result<Exit, Failure> {
        loop {
            let answer = self.client.send(self.request().query("wait_seconds", POLL))?;
            let operation = output::parse_answer(answer)?;
            if operation["done"] == Value::Bool(true) {
                output::value(self.client.output, &operation, None)?;
                return Ok(match operation["state"].as_str() {
                    Some("succeeded") => Exit::Ok,
                    Some("unknown") => Exit::OutcomeUnknown,
                    _ => Exit::Failure,
                });
            }
        }
    }
}

impl OperationCommand {
    /// # Errors
    /// [`Failure`]
    pub fn run(&self) -> Result<Exit, Failure> {
        match self {
            Self::List { device, page, client } => {
                let mut request = Request::new(Method::GET, &["operations"]);
                if let Some(device) = device {
                    request = request.query("device", device);
                }
                page.show(client, request, ("operations", OPERATIONS))
            }
            Self::Get(id) => show(&id.client, id.request(), None),
            Self::Wait(id) => id.wait(),
        }
    }
}
