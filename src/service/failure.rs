//! Turns what went wrong below into the one [`Error`] that callers get: code, words, outcome and what to do about it.

use std::time::Duration;

use super::edit::ground::Dialect;
use crate::device::{ConnectError, DeviceError, Failure, Outcome as DeviceOutcome};
use crate::error::{Diff, Error, ErrorCode, Outcome, PendingCommit};
use crate::netconf::capability::MissingCapability;
use crate::netconf::error_class::ErrorClass;
use crate::netconf::hello::HelloError;
use crate::netconf::lock_refusal::{LockReason, LockRefusal};
use crate::netconf::reply::ErrorList;
use crate::netconf::rpc::RequestError;
use crate::netconf::rpc_error::{RpcError, headline};
use crate::session::spool::SpoolError;
use crate::session::{EndCause, SessionError};
use crate::transport::TransportError;

/// What kind of request a device refused: the same rpc-error means different things.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// Something that the gateway wrote itself: a read of configuration, or a CLI command.
    Read,
    /// An RPC that the caller named, from structured arguments.
    Rpc,
    /// XML that the caller wrote.
    RawXml,
    /// An edit, a check or a commit.
    Write,
}

/// The error for a reply that holds rpc-errors (conventions section 2, M1, M2): the status of the first, the words of
/// the one with the most specific path, all of them listed. A write that the device did in part, or could not undo, has
/// the outcome `unknown`.
pub(super) fn refused(device: &str, session_id: u64, errors: impl Into<ErrorList>, asked: Asked) -> Error {
    let list = errors.into();
    let errors = &list.errors;
    let class = errors.first().map(|first| first.class_in_session(session_id));
    let code = class
        .as_ref()
        .map_or(ErrorCode::DeviceError, |class| code_of(class, asked));
    let partly = asked == Asked::Write && is_partly_done(session_id, errors);
    let words = headline(errors)
        .and_then(|error| error.error_message.as_deref())
        .map(str::trim)
        .filter(|message| !message.is_empty())
        .map_or_else(|| code.title().to_lowercase(), str::to_owned);
    let mut error = Error::new(code, words)
        .with_device(device)
        .with_outcome(if partly {
            Outcome::Unknown
        } else {
            Outcome::NotApplied
        });
    if let Some(class) = class {
        if let Some(reason) = class.lock_reason() {
            error = error.with_reason(reason.as_str());
        }
        if let Some(hint) = hint(&class, asked) {
            error = error.with_hint(hint);
        }
        if matches!(class, ErrorClass::ConfirmedCommitPending) {
            // The device does not say whose, nor until when; what the gateway knows of is refused before it is sent (C3).
            error = error.with_pending_commit(PendingCommit {
                id: None,
                by: "other".to_owned(),
                owner: None,
                deadline: None,
            });
        }
        if let ErrorClass::LockHeld { holder } = class {
            error = error.with_holder(holder);
        }
    }
    error.with_rpc_errors(list)
}

/// Whether a device that refused a write did it in part, or could not undo that, by its own words.
pub(super) fn is_partly_done(session_id: u64, errors: &[RpcError]) -> bool {
    errors.iter().any(|error| {
        let class = error.class_in_session(session_id);
        matches!(class, ErrorClass::PartialOperation | ErrorClass::RollbackFailed)
    })
}

/// The error for a lock that the device refused (S22): why, and who has it, as far as it says. What is about something
/// else is as in [`refused`].
pub(super) fn lock_refused(
    device: &str,
    dialect: Dialect,
    session_id: u64,
    errors: impl Into<ErrorList>,
) -> Error {
    let errors = errors.into();
    let refusal = errors
        .errors
        .iter()
        .find_map(|error| error.lock_refusal(session_id));
    let error = refused(device, session_id, errors, Asked::Write);
    match refusal {
        None => error,
        Some(LockRefusal { reason, holder }) => {
            let words = error.detail().to_owned();
            let told = Error::new(ErrorCode::LockDenied, words)
                .with_device(device)
                .with_outcome(Outcome::NotApplied)
                .with_reason(reason.as_str())
                .with_rpc_errors(error.rpc_error_list().clone());
            match reason {
                LockReason::Held => told
                    .with_holder(holder)
                    .with_hint("wait_seconds waits for it; an admin can end the holder's session with kill"),
                LockReason::CandidateModified => told.with_hint(leftovers(dialect)),
                LockReason::SameSession => told,
            }
        }
    }
}

/// What can be done about uncommitted changes of somebody else.
const LEFTOVERS: &str = "whoever made these changes commits or discards them, or an admin does, with candidate/discard \
     (gRPC: DiscardCandidate)";
/// The same on devices that have private copies.
const JUNOS_LEFTOVERS: &str = "mode private works beside these changes; whoever made them commits or discards \
     them, or an admin does, with candidate/discard (gRPC: DiscardCandidate)";

fn leftovers(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Junos => JUNOS_LEFTOVERS,
        Dialect::Rfc => LEFTOVERS,
    }
}

/// The refusal of the candidate because somebody changed it and did not commit (S22).
pub(super) fn candidate_modified(dialect: Dialect, diff: Diff) -> Error {
    let words = "the candidate holds uncommitted changes of somebody else";
    Error::new(ErrorCode::LockDenied, words)
        .with_outcome(Outcome::NotApplied)
        .with_reason(LockReason::CandidateModified.as_str())
        .with_hint(leftovers(dialect))
        .with_diff(diff)
}

/// The same of what would take the place of all that is there, unless that is wanted.
pub(super) fn others_in_the_way(dialect: Dialect, diff: Diff) -> Error {
    let error = candidate_modified(dialect, diff);
    let hint = error.hint().unwrap_or_default();
    let hint = format!("discard_others: true discards what others left there; {hint}");
    error.with_hint(hint)
}

/// The call that connects at once, as both doors have it.
const CHECK: &str = "POST …/check (gRPC: CheckDevice)";

fn code_of(class: &ErrorClass, asked: Asked) -> ErrorCode {
    match class {
        ErrorClass::InUse => ErrorCode::InUse,
        ErrorClass::ConfirmedCommitPending => ErrorCode::ConfirmedCommitPending,
        ErrorClass::InvalidValue => ErrorCode::DeviceInvalidValue,
        ErrorClass::TooBig => match asked {
            Asked::Write => ErrorCode::RequestTooBig,
            Asked::Read | Asked::Rpc | Asked::RawXml => ErrorCode::ResponseTooBig,
        },
        ErrorClass::MissingAttribute => ErrorCode::DeviceMissingAttribute,
        ErrorClass::BadAttribute => ErrorCode::DeviceBadAttribute,
        ErrorClass::UnknownAttribute => ErrorCode::DeviceUnknownAttribute,
        ErrorClass::MissingElement => ErrorCode::DeviceMissingElement,
        ErrorClass::BadElement => ErrorCode::DeviceBadElement,
        ErrorClass::UnknownElement => ErrorCode::DeviceUnknownElement,
        ErrorClass::UnknownNamespace => ErrorCode::DeviceUnknownNamespace,
        ErrorClass::AccessDenied => ErrorCode::AccessDenied,
        ErrorClass::LockHeld { .. } | ErrorClass::CandidateModified | ErrorClass::SameSession => {
            ErrorCode::LockDenied
        }
        ErrorClass::ResourceDenied => ErrorCode::ResourceDenied,
        ErrorClass::RollbackFailed => ErrorCode::RollbackFailed,
        ErrorClass::DataExists => ErrorCode::DataExists,
        ErrorClass::DataMissing => ErrorCode::DataMissing,
        ErrorClass::OperationNotSupported => ErrorCode::OperationNotSupported,
        ErrorClass::OperationFailed => match asked {
            Asked::Write => ErrorCode::OperationFailed,
            Asked::Read | Asked::Rpc | Asked::RawXml => ErrorCode::DeviceError,
        },
        ErrorClass::PartialOperation => ErrorCode::PartialOperation,
        ErrorClass::MalformedMessage => match asked {
            Asked::RawXml => ErrorCode::DeviceMalformedMessage,
            Asked::Read | Asked::Rpc | Asked::Write => ErrorCode::GatewayMalformedMessage,
        },
    }
}

fn hint(class: &ErrorClass, asked: Asked) -> Option<&'static str> {
    match class {
        ErrorClass::AccessDenied => {
            Some("the device denies this to the user that the gateway logs in as; its login class decides")
        }
        ErrorClass::UnknownElement => match asked {
            Asked::Rpc | Asked::RawXml => Some(
                "check the name of the RPC and of its arguments; `GET …/cli/rpc?command=` (gRPC: GetCliRpc) shows what a CLI \
                 command maps to",
            ),
            Asked::Write => Some(
                "the device does not know a statement of the configuration: error_path and bad_element say which",
            ),
            // The names that the device does not know are those of a path, a filter or a command.
            Asked::Read => None,
        },
        _ => None,
    }
}

/// A failure of the device layer, as callers are told of it.
pub(super) fn device(error: DeviceError) -> Error {
    let DeviceError {
        device,
        step,
        outcome,
        session_id,
        message_id,
        ..
    } = &error;
    let told = match &error.failure {
        Failure::QueueFull { limit } => {
            Error::new(ErrorCode::QueueFull, format!("{limit} requests wait for the device already"))
                .with_retry_after(1)
        }
        Failure::DeadlineInQueue => {
            Error::new(ErrorCode::DeadlineInQueue, "the deadline passed before the request could be sent")
        }
        Failure::DeadlineConnecting { phase } => Error::new(
            ErrorCode::DeadlineInQueue,
            format!("the deadline passed before a session with the device was open: {phase} was under way"),
        )
        .with_reason(format!("connecting_{phase}")),
        Failure::Draining => {
            Error::new(ErrorCode::Draining, "the device is being removed, or the gateway shuts down")
                .with_retry_after(1)
        }
        Failure::NotAdmitted => {
            Error::new(ErrorCode::InvalidState, "the request was taken back when its turn came")
        }
        Failure::Connect { error, retry_after } => waiting(connect(error), *retry_after),
        Failure::CircuitOpen { failures, retry_after, last } => waiting(
            Error::new(
                ErrorCode::CircuitOpen,
                format!("{failures} connects failed in a row, the last one: {}", connect(last).detail()),
            )
            .with_hint(format!("{CHECK} tries again at once")),
            Some(*retry_after),
        ),
        Failure::DomainSuspended { domain, refused, retry_after } => waiting(
            Error::new(
                ErrorCode::CircuitOpen,
                format!("{refused} devices of the credential domain {domain} refused their credentials; one of them is tried for all"),
            )
            .with_reason("credential_domain"),
            Some(*retry_after),
        ),
        Failure::JumpSuspended { host, refused, retry_after } => waiting(
            Error::new(
                ErrorCode::CircuitOpen,
                format!("the jump host {host} refused {refused} logins with these credentials; one device tries for all behind it"),
            )
            .with_reason("jump_host")
            .with_hint("new credentials for the jump host are tried at once, and so are the old ones with POST …/check"),
            Some(*retry_after),
        ),
        Failure::Request(error) => unbuildable(error),
        Failure::Attribute(error) => {
            let place = match error.name() {
                Some(name) => format!("/attributes/{name}"),
                None => "/attributes".to_owned(),
            };
            Error::invalid(place, error.to_string())
        }
        Failure::Session(error) => session(error),
        Failure::Interrupted => interrupted(*outcome),
    };
    let outcome = match outcome {
        DeviceOutcome::NotSent => Outcome::NotSent,
        DeviceOutcome::NotApplied => Outcome::NotApplied,
        DeviceOutcome::Unknown => Outcome::Unknown,
    };
    told.with_device(device)
        .with_step(step.as_str())
        .with_outcome(outcome)
        .with_message(*session_id, message_id.clone())
}

/// A lost session is what comes of an RPC that ends it when it succeeds (H6): not a failure of the session, and no
/// success before the device is back.
pub(super) fn ended_as_asked(error: Error) -> Error {
    if error.code() != ErrorCode::SessionLost || error.outcome() != Outcome::Unknown {
        return error;
    }
    let words = "the device ended the session, as it does when it obeys";
    Error::new(ErrorCode::OutcomeUnknown, words)
        .with_device(error.device().unwrap_or_default())
        .with_step(error.step().unwrap_or_default())
        .with_outcome(Outcome::Unknown)
        .with_message(error.session_id(), error.message_id().map(str::to_owned))
        .with_reason("session_ended")
        .with_hint(format!(
            "{CHECK} tells when the device is back, get-system-uptime-information since when"
        ))
}

/// The task that served the call ended early. 503 is for what was not sent (H3).
fn interrupted(outcome: DeviceOutcome) -> Error {
    match outcome {
        DeviceOutcome::NotSent => {
            Error::new(ErrorCode::Draining, "the gateway shuts down").with_retry_after(5)
        }
        DeviceOutcome::NotApplied => Error::new(ErrorCode::SessionLost, "the gateway ended the session"),
        DeviceOutcome::Unknown => Error::new(
            ErrorCode::OutcomeUnknown,
            "the gateway ended the session before the device replied",
        ),
    }
}

/// Tells when the gateway connects again by itself. For what a person has to mend that is no time to come back at.
fn waiting(error: Error, retry_after: Option<Duration>) -> Error {
    let Some(wait) = retry_after else { return error };
    let seconds = (wait.as_secs_f64().ceil() as u64).max(1);
    let error = error.with_retry_after(seconds);
    if error.retryable() {
        return error;
    }
    let again = format!("the gateway tries again in {seconds} s, {CHECK} does at once");
    let hint = match error.hint() {
        Some(hint) => format!("{hint}; {again}"),
        None => again,
    };
    error.with_hint(hint)
}

/// Why there is no session: every cause has its own code (M3).
pub(super) fn connect(error: &ConnectError) -> Error {
    match error {
        ConnectError::Transport(error) => transport(error),
        ConnectError::Hello(cause) => hello(cause),
        ConnectError::Software(error) => session(error).with_step("software"),
        ConnectError::Incompatible(verdict) => Error::new(
            ErrorCode::Incompatible,
            format!(
                "the device does not meet what is required of it: {}",
                verdict.missing.join(", ")
            ),
        )
        .with_hint("see \"compatibility\" in the device's settings"),
        ConnectError::NoRoom(after) => Error::new(
            ErrorCode::DeadlineInQueue,
            format!("no session could be opened within {} s", after.as_secs_f32()),
        ),
    }
}

/// No connection. What happened on a jump host has the reason `jump_host`; which one and how, the words say.
fn transport(error: &TransportError) -> Error {
    let jump = match error {
        TransportError::Jump { index, .. } => Some(*index),
        _ => None,
    };
    let words = chain(error);
    let keys = match jump {
        None => "host_key.keys",
        Some(_) => "host_key.keys of the jump host",
    };
    let told = match error.innermost() {
        TransportError::Prerequisite { field, .. } => {
            let host = jump
                .map(|index| format!("/proxy_jump/{index}"))
                .unwrap_or_default();
            let pointer = format!("{host}/{}", field.replace('.', "/"));
            Error::new(ErrorCode::InvalidArgument, words).with_field(pointer, "is needed to connect")
        }
        TransportError::KnownHosts { .. } => Error::new(ErrorCode::Internal, words)
            .with_reason("known_hosts")
            .with_hint("the operator names the file with --known-hosts (NCGATE_KNOWN_HOSTS); or store the key in host_key.keys with another policy"),
        TransportError::Resolve { .. } => {
            Error::new(ErrorCode::DeviceUnreachable, words).with_reason("resolve")
        }
        TransportError::AddressDenied { .. } => Error::new(ErrorCode::AddressNotAllowed, words)
            .with_hint("the operator names the networks with --device-networks (NCGATE_DEVICE_NETWORKS)"),
        TransportError::Refused { .. } => {
            Error::new(ErrorCode::ConnectionRefused, words).with_hint(match jump {
                None => "is NETCONF switched on, and is this its port?",
                Some(_) => "is this the SSH port of the jump host?",
            })
        }
        TransportError::Unreachable { .. } => {
            Error::new(ErrorCode::DeviceUnreachable, words).with_reason("unreachable")
        }
        TransportError::Timeout { phase, .. } => {
            Error::new(ErrorCode::DeviceUnreachable, words).with_reason(format!("timeout_{phase}"))
        }
        TransportError::Negotiation { .. } => Error::new(ErrorCode::SshNegotiationFailed, words)
            .with_hint("an old device may need \"ssh_profile\": \"compat\" or \"legacy\""),
        TransportError::Handshake { .. } => {
            Error::new(ErrorCode::SshNegotiationFailed, words).with_reason("handshake")
        }
        TransportError::HostKeyUnknown { public_key, .. } => Error::new(ErrorCode::HostKeyUnknown, words)
            .with_hint(format!(
                "compare the fingerprint with the host's console; then store the key in {keys}: {public_key}"
            )),
        TransportError::HostKeyChanged { .. } => Error::new(ErrorCode::HostKeyMismatch, words).with_hint(
            format!("nobody has logged in; if the key was changed on purpose, store the new one in {keys}"),
        ),
        TransportError::Auth { .. } => Error::new(ErrorCode::DeviceAuthFailed, words).with_hint(match jump {
            None => "compare username and auth of the device with what it accepts",
            Some(_) => "compare username and auth of the jump host with what it accepts",
        }),
        TransportError::NoSubsystem { .. } => Error::new(ErrorCode::NoNetconfSubsystem, words)
            .with_hint("on Junos: set system services netconf ssh"),
        TransportError::Forward { .. } => {
            Error::new(ErrorCode::DeviceUnreachable, words).with_reason("jump_host")
        }
        TransportError::Closed { .. } | TransportError::Lost(_) => {
            Error::new(ErrorCode::DeviceUnreachable, words).with_reason("closed")
        }
        // The innermost failure is never wrapped.
        TransportError::Jump { .. } => Error::new(ErrorCode::DeviceUnreachable, words),
    };
    match jump {
        Some(_) => told.with_reason("jump_host"),
        None => told,
    }
}

/// Why the exchange of hellos failed (S4).
fn hello(cause: &EndCause) -> Error {
    let words = chain(cause);
    match cause {
        EndCause::HelloTimeout => Error::new(ErrorCode::HelloTimeout, words),
        EndCause::Hello(error) => match &**error {
            HelloError::Refused(errors) => {
                Error::new(ErrorCode::BadHello, words).with_rpc_errors(errors.clone())
            }
            _ => Error::new(ErrorCode::BadHello, words),
        },
        EndCause::EndOfStream { .. } | EndCause::Transport(_) => {
            Error::new(ErrorCode::BadHello, words).with_reason("closed")
        }
        _ => Error::new(ErrorCode::BadHello, words),
    }
}

/// A call that failed in a session.
fn session(error: &SessionError) -> Error {
    let words = chain(error);
    match error {
        SessionError::NotOpen { cause: Some(cause) } if cause.is_protocol_error() => {
            Error::new(ErrorCode::DeviceProtocolError, words)
        }
        SessionError::NotOpen { .. } | SessionError::LineFull => Error::new(ErrorCode::SessionLost, words),
        SessionError::Write(_) => Error::new(ErrorCode::InvalidArgument, words),
        SessionError::DeadlineBeforeSending => Error::new(ErrorCode::DeadlineInQueue, words),
        SessionError::Timeout { .. } => Error::new(ErrorCode::DeviceTimeout, words)
            .with_hint("the device may still be at work; a longer deadline (Request-Timeout, grpc-timeout) or the device's timeouts allow more"),
        SessionError::Lost { cause, .. } if cause.is_protocol_error() => {
            Error::new(ErrorCode::DeviceProtocolError, words)
        }
        SessionError::Lost { .. } => Error::new(ErrorCode::SessionLost, words),
        SessionError::Storage { source, .. } => storage(source, words),
    }
}

/// A reply that could not be kept: too large, or the gateway has no room for it.
fn storage(error: &SpoolError, words: String) -> Error {
    match error {
        SpoolError::TooLarge { .. } => Error::new(ErrorCode::ReplyTooLarge, words)
            .with_hint("ask for a part: a filter, a name, or count and start"),
        SpoolError::Full { .. } | SpoolError::Io(_) => {
            Error::new(ErrorCode::Internal, words).with_reason("spool")
        }
    }
}

/// The words of an error with those of its causes.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !words.contains(&more) {
            words.push_str(": ");
            words.push_str(&more);
        }
        cause = error.source();
    }
    words
}

/// A request that could not be built: nothing was sent.
pub(super) fn unbuildable(error: &RequestError) -> Error {
    match error {
        RequestError::MissingCapability(missing) => capability_missing(missing),
        RequestError::Invalid { parameter, detail } => {
            Error::invalid(format!("/{parameter}"), detail.clone())
        }
        RequestError::Write(error) => Error::invalid("", error.to_string()),
    }
}

/// The operation needs what the device does not offer (S7, policy `adapt`).
pub(super) fn capability_missing(missing: &MissingCapability) -> Error {
    Error::new(ErrorCode::CapabilityMissing, missing.to_string())
        .with_hint(format!("the device's hello does not list {}", missing.capability))
}

#[cfg(test)]
mod tests;
