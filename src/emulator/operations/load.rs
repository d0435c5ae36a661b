//! `<load-configuration>`: every way in which Junos takes configuration data.

use std::sync::Arc;

use super::{Answer, Outcome, Request};
use crate::emulator::config::patch::{self, Act, Manner, Patch};
use crate::emulator::config::{Database, Node, patch_json, patch_text, patch_xml, schema, set};
use crate::emulator::device_error::{DeviceError, Severity};
use crate::emulator::markup::Tag;
use crate::xml::Limits;
use crate::xml::tree::Element;

/// `<load-configuration>`
pub(super) fn load_configuration(request: &Request<'_>) -> Outcome {
    let loaded = body(request)?;
    let mut problems = loaded.problems;
    let edited = request.with_engine(|engine, now| engine.edit(request.caller, now, loaded.change));
    problems.extend(edited?);
    Ok(results(request, problems))
}

/// `<load-configuration-results>` with what was told, and `<ok/>` where nothing of it is an error.
fn results(request: &Request<'_>, problems: Vec<DeviceError>) -> Answer {
    let mut inside = request.problems(&problems);
    let failed = problems
        .iter()
        .filter(|problem| problem.severity == Severity::Error)
        .count();
    if failed == 0 {
        inside.push(request.ok());
    } else if request.device.quirks.load_error_count {
        inside = vec![Tag::leaf("load-error-count", failed.to_string())];
    }
    Answer::Tags(vec![Tag::parent("load-configuration-results", inside)])
}

/// What is done with the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Merge,
    Replace,
    Override,
    Update,
    Set,
    Patch,
}

impl Action {
    fn parse(name: Option<&str>) -> Result<Self, DeviceError> {
        Ok(match name {
            None | Some("merge") => Self::Merge,
            Some("replace") => Self::Replace,
            Some("override") => Self::Override,
            Some("update") => Self::Update,
            Some("set") => Self::Set,
            Some("patch") => Self::Patch,
            Some(other) => return Err(invalid("action", other)),
        })
    }

    /// Whether the data are all of the configuration.
    fn whole(self) -> bool {
        match self {
            Self::Override | Self::Update => true,
            Self::Merge | Self::Replace | Self::Set | Self::Patch => false,
        }
    }

    fn manner(self) -> Manner {
        match self {
            Self::Merge => Manner::MERGE,
            Self::Replace | Self::Override | Self::Update | Self::Set | Self::Patch => Manner::REPLACE,
        }
    }
}

/// A change to a configuration, which tells what went wrong.
type Change = Box<dyn FnOnce(&mut Node) -> Vec<DeviceError>>;

/// What a request asks to be done, as far as it could be read.
struct Loaded {
    problems: Vec<DeviceError>,
    change: Change,
}

fn invalid(name: &str, value: &str) -> DeviceError {
    DeviceError::new(format!("invalid value '{value}' for attribute {name}")).element(name)
}

fn body(request: &Request<'_>) -> Result<Loaded, DeviceError> {
    let operation = request.operation;
    let action = Action::parse(operation.attribute("action"))?;
    let format = operation.attribute("format");
    if let Some(number) = operation.attribute("rollback") {
        let number = super::configuration::rollback_number(number)?;
        return stored(request, Database::Rollback(number))
            .ok_or_else(|| super::configuration::no_rollback(number));
    }
    if operation.attribute("rescue").is_some() {
        return stored(request, Database::Rescue)
            .ok_or_else(|| DeviceError::new("error: No rescue configuration is set."));
    }
    if let Some(url) = operation.attribute("url") {
        let content = file(request, url)?;
        return written(action, format, &content);
    }
    let children: Vec<&Element> = operation.children().collect();
    let [child] = children.as_slice() else {
        return Err(match children.get(1) {
            Some(second) => DeviceError::syntax(second.local.clone()),
            None => super::netconf::missing("configuration"),
        });
    };
    match (child.local.as_str(), action) {
        ("configuration", Action::Set | Action::Patch) => Err(DeviceError::syntax("configuration")),
        ("configuration", _) if matches!(format, None | Some("xml")) => Ok(xml(child, action)),
        ("configuration-set", Action::Set) => Ok(commands(child.text())),
        ("configuration-patch", Action::Patch) => Ok(difference(&child.text())),
        ("configuration-text", _) if format == Some("text") => written(action, format, &child.text()),
        ("configuration-json", _) if format == Some("json") => written(action, format, &child.text()),
        (other, _) => Err(DeviceError::syntax(other)),
    }
}

/// Data that came as a text.
fn written(action: Action, format: Option<&str>, text: &str) -> Result<Loaded, DeviceError> {
    match (action, format) {
        (Action::Set, _) => Ok(commands(text.to_owned())),
        (Action::Patch, _) => Ok(difference(text)),
        (_, Some("json")) => Ok(xml(&patch_json::element(schema::root(), text)?, action)),
        (_, None | Some("xml")) => {
            let unreadable = |_| DeviceError::new("xml input syntax error");
            let root = Element::parse(text, &Limits::default()).map_err(unreadable)?;
            match root.local.as_str() {
                "configuration" => Ok(xml(&root, action)),
                other => Err(DeviceError::syntax(other)),
            }
        }
        (_, Some("text")) => {
            let (patches, problems) = patch_text::patches(schema::root(), text);
            Ok(patched(patches, problems, action))
        }
        (_, Some(other)) => Err(invalid("format", other)),
    }
}

fn commands(commands: String) -> Loaded {
    Loaded {
        problems: Vec::new(),
        change: Box::new(move |root| set::load(root, &commands)),
    }
}

fn difference(text: &str) -> Loaded {
    let (patches, problems) = patch_text::differences(schema::root(), text);
    patched(patches, problems, Action::Patch)
}

/// A configuration of the device itself takes the candidate's place.
fn stored(request: &Request<'_>, database: Database) -> Option<Loaded> {
    let tree: Arc<Node> = request.device.tree(database)?;
    Some(Loaded {
        problems: Vec::new(),
        change: Box::new(move |root| {
            *root = (*tree).clone();
            Vec::new()
        }),
    })
}

fn xml(configuration: &Element, action: Action) -> Loaded {
    let (patches, problems) = patch_xml::patches(schema::root(), configuration, Act::Merge);
    patched(patches, problems, action)
}

/// Patches, applied as the action says.
fn patched(patches: Vec<Patch>, problems: Vec<DeviceError>, action: Action) -> Loaded {
    Loaded {
        problems,
        change: Box::new(move |root| {
            if action.whole() {
                root.clear();
            }
            patch::apply(root, &patches, action.manner())
        }),
    }
}

/// What lies under a URL or path of the device.
pub(super) fn file(request: &Request<'_>, url: &str) -> Result<String, DeviceError> {
    request.device.file(url).ok_or_else(|| no_file(url))
}

pub(super) fn no_file(url: &str) -> DeviceError {
    DeviceError::new(format!("could not open {url}: No such file or directory")).element("url")
}
