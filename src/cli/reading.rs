//! `ncgate config`, `ncgate status` and `ncgate version`.

use std::path::PathBuf;

use serde_json::json;
use ureq::http::Method;

use super::client::{ClientArgs, Request};
use super::device::show;
use super::exit::{Exit, Failure};
use super::rpc::ReplyArgs;
use super::{datastore, input, output};

/// Configuration.
#[derive(Debug, clap::Subcommand)]
pub enum ConfigCommand {
    /// Read configuration
    Get(Box<GetArgs>),
    /// Compare two configurations
    Compare(Box<CompareArgs>),
    /// Copy a whole configuration over another
    Copy(datastore::CopyArgs),
    /// Delete a whole configuration
    Delete(datastore::DeleteArgs),
    /// Have the device check a whole configuration
    Validate(datastore::ValidateArgs),
    /// Keep the committed configuration for a rescue
    Rescue(datastore::RescueArgs),
}

/// `ncgate config get`
#[derive(Debug, clap::Args)]
pub struct GetArgs {
    /// The device
    device: String,
    /// A level of the hierarchy, such as system/login
    path: Option<String>,
    /// running, candidate, startup, rollback:N, rescue or url:…; running unless given
    #[arg(long)]
    source: Option<String>,
    /// A file with a subtree filter, as JSON or XML; '-' for standard input
    #[arg(long, value_name = "FILE")]
    filter: Option<PathBuf>,
    /// An XPath filter
    #[arg(long, value_name = "EXPRESSION")]
    xpath: Option<String>,
    /// A prefix that the XPath uses; may be given several times
    #[arg(long, value_name = "PREFIX=URI", value_parser = input::pair)]
    xpath_namespace: Vec<(String, String)>,
    /// report-all, report-all-tagged, trim or explicit
    #[arg(long, value_name = "MODE")]
    with_defaults: Option<String>,
    /// junos or rfc: which operation reads
    #[arg(long)]
    protocol: Option<String>,
    #[command(flatten)]
    junos: JunosArgs,
    #[command(flatten)]
    reply: ReplyArgs,
    #[command(flatten)]
    client: ClientArgs,
}

/// The options that Junos knows (S11).
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Junos")]
struct JunosArgs {
    /// inherit or defaults: expand groups into what inherits from them
    #[arg(long, value_name = "HOW")]
    inherit: Option<String>,
    /// Say which group an element comes from
    #[arg(long)]
    groups: bool,
    /// Expand interface ranges
    #[arg(long)]
    interface_ranges: bool,
    /// Mark what differs between candidate and running
    #[arg(long)]
    changed: bool,
    /// apply, apply-no-transients or view
    #[arg(long, value_name = "STYLE")]
    commit_scripts: Option<String>,
    /// Mark the identifiers of list entries
    #[arg(long)]
    key: bool,
    /// Identifiers only
    #[arg(long)]
    no_recurse: bool,
    /// At most this many entries of a list
    #[arg(long, value_name = "N")]
    count: Option<u64>,
    /// The first entry of a list to return
    #[arg(long, value_name = "N")]
    start: Option<u64>,
    /// A regular expression over configuration statements
    #[arg(long, value_name = "REGEX")]
    matching: Option<String>,
    /// The XML schema of the hierarchy instead of the data
    #[arg(long)]
    schema: bool,
}

/// `ncgate config compare`
#[derive(Debug, clap::Args)]
pub struct CompareArgs {
    /// The device
    device: String,
    /// rollback:N; rollback:0 unless given
    #[arg(long)]
    from: Option<String>,
    /// candidate, running or rollback:N; candidate unless given
    #[arg(long)]
    to: Option<String>,
    #[command(flatten)]
    reply: ReplyArgs,
    #[command(flatten)]
    client: ClientArgs,
}

impl ConfigCommand {
    /// # Errors
    /// [`Failure`]
    pub fn run(&self) -> Result<Exit, Failure> {
        let (request, client) = match self {
            Self::Get(args) => (args.request()?, &args.client),
            Self::Compare(args) => (args.request(), &args.client),
            Self::Copy(args) => (args.request()?, &args.client),
            Self::Delete(args) => (args.request()?, &args.client),
            Self::Validate(args) => (args.request()?, &args.client),
            Self::Rescue(args) => (args.request(), &args.client),
        };
        output::reply(client.output, client.send(request)?)
    }
}

impl GetArgs {
    fn request(&self) -> Result<Request, Failure> {
        let filter = self.filter.as_deref().map(input::read).transpose()?;
        let junos = &self.junos;
        let number = |value: Option<u64>| value.map(|number| number.to_string());
        let switch = |on: bool| on.then(|| "true".to_owned());
        let options = [
            ("source", self.source.clone()),
            ("path", self.path.clone()),
            ("filter", filter.map(|text| text.trim().to_owned())),
            ("xpath", self.xpath.clone()),
            ("with_defaults", self.with_defaults.clone()),
            ("protocol", self.protocol.clone()),
            ("inherit", junos.inherit.clone()),
            ("groups", switch(junos.groups)),
            ("interface_ranges", switch(junos.interface_ranges)),
            ("changed", switch(junos.changed)),
            ("commit_scripts", junos.commit_scripts.clone()),
            ("key", switch(junos.key)),
            ("recurse", junos.no_recurse.then(|| "false".to_owned())),
            ("count", number(junos.count)),
            ("start", number(junos.start)),
            ("matching", junos.matching.clone()),
            ("schema", switch(junos.schema)),
        ];
        let mut request = Request::new(Method::GET, &["devices", &self.device, "config"]);
        for (name, value) in options {
            if let Some(value) = value {
                request = request.query(name, value);
            }
        }
        for (prefix, uri) in &self.xpath_namespace {
            request = request.query("xpath_namespace", format!("{prefix}={uri}"));
        }
        Ok(self.reply.apply(request, None))
    }
}

impl CompareArgs {
    fn request(&self) -> Request {
        let mut request = Request::new(Method::GET, &["devices", &self.device, "config", "compare"]);
        for (name, value) in [("from", &self.from), ("to", &self.to)] {
            if let Some(value) = value {
                request = request.query(name, value);
            }
        }
        self.reply.apply(request, Some("text"))
    }
}

/// `ncgate status`
#[derive(Debug, clap::Args)]
pub struct StatusArgs {
    #[command(flatten)]
    client: ClientArgs,
}

impl StatusArgs {
    /// # Errors
    /// [`Failure`]
    pub fn run(&self) -> Result<Exit, Failure> {
        show(&self.client, Request::new(Method::GET, &["status"]), None)
    }
}

/// `ncgate version`
#[derive(Debug, clap::Args)]
pub struct VersionArgs {
    #[command(flatten)]
    client: ClientArgs,
}

impl VersionArgs {
    /// This program's version is printed even when no gateway answers.
    ///
    /// # Errors
    /// [`Failure`]
    pub fn run(&self) -> Result<Exit, Failure> {
        let asked = self
            .client
            .send(Request::new(Method::GET, &["version"]))
            .and_then(output::parse_answer);
        let (gateway, failure) = match asked {
            Ok(version) => (version, None),
            Err(failure) => (serde_json::Value::Null, Some(failure)),
        };
        let both =
            json!({"client": {"name": "ncgate", "version": env!("CARGO_PKG_VERSION")}, "gateway": gateway});
        output::value(self.client.output, &both, None)?;
        failure.map_or(Ok(Exit::Ok), Err)
    }
}
