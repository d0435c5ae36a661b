//! `<load-configuration>`: every way in which Junos takes configuration data.

use super::{Answer, Outcome, Request};
use crate::emulator::config::patch::{self, Act, Manner, Patch};
use crate::emulator::config::{Database, Node, patch_xml, schema, set};
use crate::emulator::device_error::{DeviceError, Severity};
use crate::emulator::markup::Tag;
use crate::xml::tree::Element;
use std::sync::Arc;

/// `<load-configuration>`
pub(super) fn load_configuration(request: &Request<'_>) -> Outcome {
    let action = request.operation.attribute("action").unwrap_or("merge");
    let loaded = body(request, action)?;
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

/// What a request asks to be done, as far as it could be read.
struct Loaded {
    problems: Vec<DeviceError>,
    change: Box<dyn FnOnce(&mut Node) -> Vec<DeviceError>>,
}

fn body(request: &Request<'_>, action: &str) -> Result<Loaded, DeviceError> {
    let operation = request.operation;
    let invalid = |name: &str, value: &str| {
        DeviceError::new(format!("invalid value '{value}' for attribute {name}")).element(name)
    };
    if !["merge", "replace", "override", "update", "set"].contains(&action) {
        return Err(invalid("action", action));
    }
    if let Some(number) = operation.attribute("rollback") {
        let number = super::configuration::rollback_number(number)?;
        return stored(request, Database::Rollback(number))
            .ok_or_else(|| super::configuration::no_rollback(number));
    }
    if operation.attribute("rescue").is_some() {
        return stored(request, Database::Rescue)
            .ok_or_else(|| DeviceError::new("error: No rescue configuration is set."));
    }
    let child = operation.children().next();
    match child {
        Some(child) if child.local == "configuration" && action != "set" => Ok(xml(child, action)),
        Some(child) if child.local == "configuration-set" => {
            let commands = child.text();
            Ok(Loaded {
                problems: Vec::new(),
                change: Box::new(move |root| set::load(root, &commands)),
            })
        }
        Some(child) => Err(DeviceError::syntax(child.local.clone())),
        None => Err(super::netconf::missing("configuration")),
    }
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

fn xml(configuration: &Element, action: &str) -> Loaded {
    let (patches, problems) = patch_xml::patches(schema::root(), configuration, Act::Merge);
    Loaded {
        problems,
        change: patched(patches, action),
    }
}

/// Patches, applied as the action says.
fn patched(patches: Vec<Patch>, action: &str) -> Box<dyn FnOnce(&mut Node) -> Vec<DeviceError>> {
    let whole = matches!(action, "override" | "update");
    let manner = if action == "merge" {
        Manner::MERGE
    } else {
        Manner::REPLACE
    };
    Box::new(move |root| {
        if whole {
            *root = Node::root();
        }
        patch::apply(root, &patches, manner)
    })
}
