//! The operations of RFC 6241 that change a configuration without committing it.

use super::netconf::{datastore, missing};
use super::{Answer, Outcome, Request};
use crate::emulator::config::patch::{self, Act, Manner};
use crate::emulator::config::{Store, patch_xml, schema};
use crate::emulator::device_error::{DeviceError, Severity};

/// `<edit-config>` (RFC 6241 section 7.2)
pub(super) fn edit_config(request: &Request<'_>) -> Outcome {
    let store = datastore(request, "target")?;
    let config = request
        .operation
        .child("config")
        .ok_or_else(|| missing("config"))?;
    let act = match request.argument("default-operation").as_deref() {
        None | Some("merge") => Act::Merge,
        Some("replace") => Act::Replace,
        Some("none") => Act::Touch,
        Some(other) => return Err(invalid("default-operation", other)),
    };
    let manner = Manner {
        replaces: true,
        lenient: request.device.profile.junos(),
    };
    let mut problems = Vec::new();
    let mut patches = Vec::new();
    for configuration in config.children() {
        if configuration.local != "configuration" {
            return Err(DeviceError::syntax(configuration.local.clone()));
        }
        let (read, wrong) = patch_xml::patches(schema::root(), configuration, act);
        patches.extend(read);
        problems.extend(wrong);
    }
    let change = |root: &mut crate::emulator::config::Node| {
        if act == Act::Replace {
            root.children.clear();
        }
        patch::apply(root, &patches, manner)
    };
    let edited = request.with_engine(|engine, now| match store {
        Store::Candidate => engine.edit(request.caller, now, change),
        Store::Running | Store::Startup => engine.edit_running(request.caller, now, change),
    });
    problems.extend(edited?);
    Ok(told(request, &problems))
}

fn invalid(name: &str, value: &str) -> DeviceError {
    let error = DeviceError::new(format!("invalid value '{value}' for {name}"));
    error.tagged("protocol", "invalid-value").element(name)
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

/// `<copy-config>` (RFC 6241 section 7.3)
pub(super) fn copy_config(_request: &Request<'_>) -> Outcome {
    Err(DeviceError::syntax("copy-config"))
}

/// `<delete-config>` (RFC 6241 section 7.4)
pub(super) fn delete_config(_request: &Request<'_>) -> Outcome {
    Err(DeviceError::syntax("delete-config"))
}

/// `<discard-changes>` (RFC 6241 section 8.3.4.2)
pub(super) fn discard_changes(request: &Request<'_>) -> Outcome {
    request.with_engine(|engine, now| engine.discard(request.caller, now))?;
    Ok(Answer::Tags(vec![request.ok()]))
}

/// `<validate>` (RFC 6241 section 8.6.4.1)
pub(super) fn validate(request: &Request<'_>) -> Outcome {
    let store = datastore(request, "source")?;
    let tree = match store {
        Store::Candidate => request.device.candidate_of(request.caller.session),
        Store::Running | Store::Startup => request.device.running().tree,
    };
    let checked = request.with_engine(|engine, _| engine.validate(&tree));
    Ok(told(request, &checked.unwrap_or_else(|errors| errors)))
}
