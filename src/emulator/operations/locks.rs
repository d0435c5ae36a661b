//! The operations that say who edits what: locks, private copies, ephemeral instances, and ending other sessions.

use super::netconf::{datastore, missing};
use super::{Answer, Outcome, Request};
use crate::emulator::config::Store;
use crate::emulator::device_error::DeviceError;

/// `<ok/>` where it went well.
fn done(request: &Request<'_>, result: Result<(), DeviceError>) -> Outcome {
    result.map(|()| Answer::Tags(vec![request.ok()]))
}

/// `<lock>` (RFC 6241 section 7.5)
pub(super) fn lock(request: &Request<'_>) -> Outcome {
    let store = datastore(request, "target")?;
    if store == Store::Running && request.device.quirks.no_running_lock {
        let error = DeviceError::new("operation lock is not supported on running");
        return Err(error
            .tagged("protocol", "operation-not-supported")
            .element("running"));
    }
    done(
        request,
        request.with_engine(|engine, now| engine.lock(store, request.caller, now)),
    )
}

/// `<unlock>` (RFC 6241 section 7.6)
pub(super) fn unlock(request: &Request<'_>) -> Outcome {
    let store = datastore(request, "target")?;
    done(
        request,
        request.with_engine(|engine, now| engine.unlock(store, request.caller, now)),
    )
}

/// `<lock-configuration/>`
pub(super) fn lock_configuration(request: &Request<'_>) -> Outcome {
    let locked = request.with_engine(|engine, now| engine.lock(Store::Candidate, request.caller, now));
    done(request, locked)
}

/// `<unlock-configuration/>`
pub(super) fn unlock_configuration(request: &Request<'_>) -> Outcome {
    let unlocked = request.with_engine(|engine, now| engine.unlock(Store::Candidate, request.caller, now));
    done(request, unlocked)
}

/// `<open-configuration>` of a private copy or of an ephemeral instance.
pub(super) fn open_configuration(request: &Request<'_>) -> Outcome {
    let session = request.caller.session;
    let opened = match request
        .operation
        .children()
        .next()
        .map(|child| child.local.as_str())
    {
        Some("private") => request.with_engine(|engine, _| {
            if request.device.quirks.private_wants_clean && engine.is_modified() {
                return Err(super::commit::shared_modified());
            }
            engine.open_private(session)
        }),
        // The batch database is a private copy whose commits may wait; here none does. The dynamic one is kept apart
        // from what is configured statically, as an instance is.
        Some("batch") => request.with_engine(|engine, _| engine.open_private(session)),
        Some("dynamic") => request.with_engine(|engine, _| engine.open_dynamic(session)),
        Some("ephemeral") => request.with_engine(|engine, _| engine.open_ephemeral(session, "")),
        Some("ephemeral-instance") => {
            let name = request.argument("ephemeral-instance");
            let name = name.ok_or_else(|| missing("ephemeral-instance"))?;
            request.with_engine(|engine, _| engine.open_ephemeral(session, &name))
        }
        Some(other) => Err(DeviceError::syntax(other)),
        None => Err(missing("private")),
    };
    opened?;
    let mut tags = Vec::new();
    if request.has("private") && request.device.quirks.private_warning {
        let warning = DeviceError::warning("uncommitted changes will be discarded on exit");
        tags.extend(request.problems(&[warning]));
    }
    tags.push(request.ok());
    Ok(Answer::Tags(tags))
}

/// `<close-configuration/>`: what was not committed is gone.
pub(super) fn close_configuration(request: &Request<'_>) -> Outcome {
    let closed = request.with_engine(|engine, _| engine.close(request.caller.session));
    match closed {
        Some(_) => done(request, Ok(())),
        None => Err(DeviceError::new("Configuration database is not open")),
    }
}

/// `<kill-session>` (RFC 6241 section 7.9)
pub(super) fn kill_session(request: &Request<'_>) -> Outcome {
    let given = request
        .argument("session-id")
        .ok_or_else(|| missing("session-id"))?;
    let invalid = |message: &str| {
        let error = DeviceError::new(message).tagged("protocol", "invalid-value");
        Err(error.element("session-id"))
    };
    match given.parse::<u32>() {
        Ok(id) if id == request.caller.session => invalid("cannot kill own session"),
        Ok(id) if request.device.kill(id) => done(request, Ok(())),
        Ok(_) | Err(_) => invalid(&format!("session {given} not found")),
    }
}
