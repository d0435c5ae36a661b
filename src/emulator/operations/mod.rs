//! What the device can be asked: a table of operations, and the forms of their answers.

mod chassis;
mod cli;
mod commit;
mod configuration;
mod edit;
mod files;
mod interfaces;
mod load;
mod locks;
mod netconf;
mod schemas;
mod software;
mod system;

use std::sync::Arc;

use super::config::{Actor, Database, Engine, Node};
use super::device::Device;
use super::device_error::{DeviceError, Severity};
use super::markup::{Tag, device_json};
use crate::xml::tree::Element;

/// One request: an operation to a device from a session.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// Whom it was sent to.
    pub device: &'a Device,
    /// Who sent it.
    pub caller: &'a Actor,
    /// The operation with its arguments.
    pub operation: &'a Element,
}

impl Request<'_> {
    /// Whether the flag or argument of this name is there.
    fn has(&self, name: &str) -> bool {
        self.operation.child(name).is_some()
    }

    /// The value of this argument, where it is there and not empty.
    fn argument(&self, name: &str) -> Option<String> {
        self.operation
            .child(name)
            .map(Element::text)
            .filter(|value| !value.is_empty())
    }

    /// Changes the device's configuration, at the time that it is there.
    fn with_engine<T>(&self, change: impl FnOnce(&mut Engine, i64) -> T) -> T {
        let now = self.device.now();
        self.device.with_engine(|engine| change(engine, now))
    }

    /// A configuration as this session sees it: its candidate may be a copy of its own.
    fn seen(&self, database: Database) -> Option<Arc<Node>> {
        match database {
            Database::Candidate => Some(self.device.candidate_of(self.caller.session)),
            Database::Committed | Database::Startup | Database::Rollback(_) | Database::Rescue => {
                self.device.tree(database)
            }
        }
    }

    /// `<ok/>` as this device writes it.
    fn ok(&self) -> Tag {
        Tag::empty(self.device.profile.netconf_name("ok"))
    }

    /// An error about an element as this kind of device words it: plain servers name the tags of RFC 6241
    /// appendix A and know no banners.
    fn wording(&self, mut error: DeviceError) -> DeviceError {
        if self.device.profile.junos() {
            return error;
        }
        error.path = None;
        match (error.tag, &*error.message) {
            (None, "syntax error") => error.tagged("application", "unknown-element"),
            (None, "missing argument") => error.tagged("application", "missing-element"),
            (None, _) | (Some(_), _) => error,
        }
    }

    /// What was told about a request, each as an `<rpc-error>`.
    fn problems(&self, problems: &[DeviceError]) -> Vec<Tag> {
        let profile = self.device.profile;
        problems.iter().map(|problem| problem.to_tag(profile)).collect()
    }
}

/// What is to be put into the `<rpc-reply>`.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// Elements.
    Tags(Vec<Tag>),
    /// Bare text between the tags of the reply: what a device makes of `format="json"`.
    Bare(String),
    /// Text as it stands, which is no well-formed XML: what some devices make of some answers.
    Broken(String),
    /// `<ok/>`, and the session ends.
    Close,
    /// `<end-session/>`, and the session ends.
    EndSession,
}

/// An answer or the errors in its place.
pub type Outcome = Result<Answer, DeviceError>;

/// How a client wants the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Elements.
    Xml,
    /// What the CLI prints.
    Text,
    /// The device's own JSON.
    Json,
}

impl Format {
    /// The value of a `format` attribute.
    pub fn parse(value: Option<&str>) -> Result<Self, DeviceError> {
        match value {
            None | Some("xml" | "xml-minified") => Ok(Self::Xml),
            Some("text" | "ascii") => Ok(Self::Text),
            Some("json" | "json-minified") => Ok(Self::Json),
            Some(other) => Err(DeviceError::new(format!(
                "invalid value '{other}' for attribute format"
            ))),
        }
    }
}

/// An operation that yields data.
struct Show {
    name: &'static str,
    /// The arguments that it takes; anything else is a syntax error.
    arguments: &'static [&'static str],
    run: fn(&Request<'_>) -> Result<Vec<Tag>, DeviceError>,
    /// What the CLI prints of the result.
    text: fn(&[Tag]) -> String,
}

const SHOWS: &[Show] = &[
    software::SOFTWARE,
    system::UPTIME,
    system::USERS,
    system::COMMITS,
    system::COMMIT_REVISION,
    system::DATABASE_USAGE,
    interfaces::INTERFACES,
    chassis::INVENTORY,
    chassis::ROUTE_ENGINES,
    chassis::VIRTUAL_CHASSIS,
    chassis::CLUSTER,
    files::SHOW,
    files::LIST,
    files::SHELL,
    configuration::ROLLBACK,
    configuration::REVISION,
    configuration::RESCUE,
    schemas::XNM,
];

/// Answers one operation.
///
/// # Errors
/// What the device would put into `<rpc-error>`.
pub fn answer(request: &Request<'_>) -> Outcome {
    let operation = request.operation;
    match operation.local.as_str() {
        "get-config" => netconf::get_config(request),
        "get" => netconf::get(request),
        "get-schema" => schemas::get_schema(request),
        "close-session" => Ok(Answer::Close),
        "kill-session" => locks::kill_session(request),
        "lock" => locks::lock(request),
        "unlock" => locks::unlock(request),
        "edit-config" => edit::edit_config(request),
        "copy-config" => edit::copy_config(request),
        "delete-config" => edit::delete_config(request),
        "discard-changes" => edit::discard_changes(request),
        "validate" => edit::validate(request),
        "commit" => commit::commit(request),
        "cancel-commit" => commit::cancel_commit(request),
        other if !request.device.profile.junos() => {
            let error = DeviceError::new(format!("operation {other} is not supported"));
            Err(error.tagged("protocol", "operation-not-supported").element(other))
        }
        "get-configuration" => configuration::get_configuration(request),
        "lock-configuration" => locks::lock_configuration(request),
        "unlock-configuration" => locks::unlock_configuration(request),
        "open-configuration" => locks::open_configuration(request),
        "close-configuration" => locks::close_configuration(request),
        "load-configuration" => load::load_configuration(request),
        "commit-configuration" => commit::commit_configuration(request),
        "clear-system-commit" => commit::clear_system_commit(request),
        "request-save-rescue-configuration" => commit::save_rescue(request),
        "request-delete-rescue-configuration" => commit::delete_rescue(request),
        "command" => cli::command(request),
        "request-end-session" => Ok(Answer::EndSession),
        name => match SHOWS.iter().find(|show| show.name == name) {
            Some(show) => {
                let format = Format::parse(operation.attribute("format"))?;
                Ok(present(show, run(show, request)?, format))
            }
            None => Err(DeviceError::syntax(name)),
        },
    }
}

/// What was told, and `<ok/>` where nothing of it is an error.
fn told(request: &Request<'_>, problems: &[DeviceError]) -> Answer {
    let mut tags = request.problems(problems);
    if problems
        .iter()
        .all(|problem| problem.severity == Severity::Warning)
    {
        tags.push(request.ok());
    }
    Answer::Tags(tags)
}

fn run(show: &Show, request: &Request<'_>) -> Result<Vec<Tag>, DeviceError> {
    let unknown = request
        .operation
        .children()
        .find(|child| !show.arguments.contains(&child.local.as_str()));
    match unknown {
        Some(argument) => Err(DeviceError::syntax(argument.local.clone())),
        None => (show.run)(request),
    }
}

fn present(show: &Show, tags: Vec<Tag>, format: Format) -> Answer {
    match format {
        Format::Xml => Answer::Tags(tags),
        Format::Text => Answer::Tags(vec![output((show.text)(&tags))]),
        Format::Json => Answer::Bare(format!("\n{}", device_json(&tags))),
    }
}

/// Text as a device wraps it.
fn output(text: String) -> Tag {
    Tag::leaf("output", format!("\n{text}"))
}

/// The CLI form of replies that have none of their own: indented names and values.
fn plain_text(tags: &[Tag]) -> String {
    fn lines(tags: &[Tag], level: usize, out: &mut String) {
        for tag in tags {
            out.extend(std::iter::repeat_n("  ", level));
            out.push_str(tag.local());
            if !tag.text().is_empty() {
                out.push_str(": ");
                out.push_str(tag.text());
            }
            out.push('\n');
            lines(tag.tags(), level + 1, out);
        }
    }
    let mut out = String::new();
    lines(tags, 0, &mut out);
    out
}
