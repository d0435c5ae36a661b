//! Commits and what belongs to them.

use super::{Answer, Outcome, Request};
use crate::emulator::config::Committed;
use crate::emulator::config::commit::Options;
use crate::emulator::device_error::DeviceError;
use crate::emulator::markup::Tag;

/// `<commit-configuration>`
pub(super) fn commit_configuration(request: &Request<'_>) -> Outcome {
    let options = Options {
        check: request.has("check"),
        log: request.argument("log"),
        at: None,
        confirmed: None,
    };
    let outcome = request.with_engine(|engine, now| engine.commit(request.caller, &options, now));
    Ok(results(request, outcome, options.check))
}

/// `<commit>` (RFC 6241 section 8.3.4.1)
pub(super) fn commit(request: &Request<'_>) -> Outcome {
    let options = Options::default();
    let outcome = request.with_engine(|engine, now| engine.commit(request.caller, &options, now));
    Ok(results(request, outcome, false))
}

fn results(request: &Request<'_>, outcome: Result<Committed, Vec<DeviceError>>, _check: bool) -> Answer {
    match outcome {
        Ok(_) => Answer::Tags(vec![request.ok()]),
        Err(errors) => Answer::Tags(vec![Tag::parent("commit-results", request.problems(&errors))]),
    }
}

/// `<cancel-commit>` (RFC 6241 section 8.4.4.1)
pub(super) fn cancel_commit(_request: &Request<'_>) -> Outcome {
    Err(DeviceError::syntax("cancel-commit"))
}

/// `<clear-system-commit/>`
pub(super) fn clear_system_commit(request: &Request<'_>) -> Outcome {
    let cleared = request.with_engine(|engine, _| engine.clear_scheduled());
    let text = if cleared {
        "Pending commit cleared."
    } else {
        "No commit scheduled."
    };
    Ok(Answer::Tags(vec![super::output(format!("{text}\n"))]))
}

/// `<request-save-rescue-configuration/>`
pub(super) fn save_rescue(request: &Request<'_>) -> Outcome {
    request.with_engine(|engine, _| engine.save_rescue());
    Ok(Answer::Tags(vec![Tag::parent(
        "rescue-management-results",
        vec![Tag::parent(
            "routing-engine",
            vec![Tag::leaf("name", "re0"), Tag::empty("success")],
        )],
    )]))
}

/// `<request-delete-rescue-configuration/>`
pub(super) fn delete_rescue(request: &Request<'_>) -> Outcome {
    request.with_engine(|engine, _| engine.delete_rescue());
    Ok(Answer::Tags(vec![Tag::parent(
        "rescue-management-results",
        vec![Tag::parent(
            "routing-engine",
            vec![Tag::leaf("name", "re0"), Tag::empty("success")],
        )],
    )]))
}
