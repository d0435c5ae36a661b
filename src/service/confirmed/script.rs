//! Which RPCs confirm, extend and cancel a confirmed commit (conventions C1, C2, C6).

use std::time::Duration;

use super::record::ConfirmedCommit;
use crate::netconf::capability::{Capabilities, Capability};
use crate::netconf::confirm_timeout::ConfirmTimeout;
use crate::netconf::junos::{CommitConfiguration, LoadConfiguration};
use crate::netconf::operation::{CancelCommit, Commit, Confirmed};
use crate::netconf::rpc::RequestError;
use crate::pool::{Hold, Touch};
use crate::service::edit::script::{Step, StepName, Tells};
use crate::service::edit::view::RpcErrorView;

/// What a device really waits when it is asked for so many seconds: Junos counts minutes (C1).
///
/// # Errors
/// No time at all, or more than the device can count.
pub(super) fn effective(junos: bool, seconds: u64) -> Result<ConfirmTimeout, RequestError> {
    let name = "confirm_timeout_seconds";
    let seconds = u32::try_from(seconds)
        .map_err(|_| RequestError::invalid(name, format!("{seconds} is more than a device can count")))?;
    let timeout = ConfirmTimeout::from_seconds(seconds)?;
    if !junos {
        return Ok(timeout);
    }
    let minutes = u32::from(timeout.junos_minutes()?);
    ConfirmTimeout::from_seconds(60 * minutes)
}

/// How what is warned of the time begins.
const ROUNDED: &str = "the device counts whole minutes";

/// What is warned of when the device waits longer than was asked for, in seconds (C1).
pub(in crate::service) fn rounded(asked: u64, told: Duration) -> Option<String> {
    let told = told.as_secs();
    (told != asked).then(|| format!("{ROUNDED}: {asked} s were rounded up, and it waits {told} s"))
}

/// Puts what is to be warned of the newest time in the place of what was warned of an earlier one.
pub(super) fn warn_of_rounding(warnings: &mut Vec<RpcErrorView>, asked: u64, told: Duration) {
    warnings.retain(|warning| {
        let words = warning.error_message.as_deref();
        !words.is_some_and(|words| words.starts_with(ROUNDED))
    });
    warnings.extend(rounded(asked, told).map(RpcErrorView::warning));
}

/// The commit that has to be confirmed.
///
/// # Errors
/// What the device does not offer.
pub(in crate::service) fn start(
    capabilities: &Capabilities,
    timeout: ConfirmTimeout,
    persist: Option<&str>,
    junos: CommitConfiguration,
) -> Result<Step, RequestError> {
    let rpc = if capabilities.is_junos() {
        CommitConfiguration {
            confirmed: Some(timeout),
            ..junos
        }
        .rpc(capabilities)?
    } else {
        Commit {
            confirmed: Some(Confirmed {
                timeout,
                persist: persist.map(str::to_owned),
            }),
            persist_id: None,
        }
        .rpc(capabilities)?
    };
    Ok(Step::new(StepName::Commit, rpc, Touch::CommitsConfirmed).telling(Tells::Commit))
}

/// Whether the device takes a token by which any session can confirm (C2).
pub(super) fn persists(capabilities: &Capabilities) -> bool {
    !capabilities.is_junos() && capabilities.has(Capability::ConfirmedCommit11)
}

/// The confirming commit.
///
/// # Errors
/// What the device does not offer.
pub(super) fn confirm(
    capabilities: &Capabilities,
    commit: &ConfirmedCommit,
    marker: &str,
) -> Result<Step, RequestError> {
    let rpc = if commit.document.junos {
        plain(commit, marker).rpc(capabilities)?
    } else {
        Commit {
            confirmed: None,
            persist_id: commit.document.persist.clone(),
        }
        .rpc(capabilities)?
    };
    let step = Step::new(StepName::Commit, rpc, Touch::Releases(Hold::ConfirmedCommit));
    Ok(step.telling(Tells::Commit))
}

/// The same commit again, with a new deadline.
///
/// # Errors
/// What the device does not offer.
pub(super) fn extend(
    capabilities: &Capabilities,
    commit: &ConfirmedCommit,
    timeout: Duration,
) -> Result<Step, RequestError> {
    let timeout = effective(commit.document.junos, timeout.as_secs())?;
    let mut step = start(
        capabilities,
        timeout,
        commit.document.persist.as_deref(),
        plain(commit, &commit.document.marker),
    )?;
    if !commit.document.junos && commit.document.persist.is_some() {
        let again = Commit {
            confirmed: Some(Confirmed {
                timeout,
                persist: commit.document.persist.clone(),
            }),
            persist_id: commit.document.persist.clone(),
        };
        step.rpc = again.rpc(capabilities)?;
    }
    Ok(step)
}

/// What undoes it now. `None`: only the end of its session does (RFC 6241 with `:confirmed-commit:1.0`). `entries`: how
/// many commits it is in the history, where the device keeps one.
///
/// # Errors
/// What the device does not offer.
pub(super) fn cancel(
    capabilities: &Capabilities,
    commit: &ConfirmedCommit,
    marker: &str,
    entries: u8,
) -> Result<Option<Vec<Step>>, RequestError> {
    let undone = Touch::Releases(Hold::ConfirmedCommit);
    if commit.document.junos {
        let load = LoadConfiguration::Rollback(entries).rpc(capabilities)?;
        return Ok(Some(vec![
            Step::new(StepName::Edit, load, Touch::Edits),
            Step::new(StepName::Commit, plain(commit, marker).rpc(capabilities)?, undone),
        ]));
    }
    if !capabilities.has(Capability::ConfirmedCommit11) {
        return Ok(None);
    }
    let step = disarm(capabilities, commit.document.persist.as_deref())?;
    Ok(Some(vec![Step {
        touch: undone,
        ..step
    }]))
}

/// What takes back the rollback of [`cancel`] when the device has not committed it; junos.
///
/// # Errors
/// What the device does not offer.
pub(super) fn clear(capabilities: &Capabilities) -> Result<Step, RequestError> {
    let load = LoadConfiguration::Rollback(0).rpc(capabilities)?;
    Ok(Step::new(StepName::Discard, load, Touch::Releases(Hold::Edits)))
}

/// `<cancel-commit>` by the token: it undoes what waits under it, and is an error where nothing does.
///
/// # Errors
/// What the device does not offer.
pub(in crate::service) fn disarm(
    capabilities: &Capabilities,
    persist: Option<&str>,
) -> Result<Step, RequestError> {
    let rpc = CancelCommit {
        persist_id: persist.map(str::to_owned),
    }
    .rpc(capabilities)?;
    Ok(Step::new(StepName::Discard, rpc, Touch::Nothing))
}

fn plain(commit: &ConfirmedCommit, marker: &str) -> CommitConfiguration {
    CommitConfiguration {
        log: Some(marker.to_owned()),
        synchronize: commit.document.synchronize,
        ..CommitConfiguration::default()
    }
}
