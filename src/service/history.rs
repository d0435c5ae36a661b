//! Reading what a device's own records say: its commits, where it keeps a history, and what is running.

use tokio::time::Instant;

use super::check::told_sessions;
use super::edit::ground;
use super::edit::reading;
use super::edit::script::{Step, StepName, Tells};
use super::edit::snapshot::Snapshot;
use super::failure::{self, Asked};
use super::held::send;
use super::reply::unreadable;
use super::schemas::monitored;
use crate::device::{Device, Held, Request};
use crate::error::Error;
use crate::netconf::capability::{Capabilities, Capability};
use crate::netconf::datastore::Datastore;
use crate::netconf::junos::commit_information::{CommitInformation, GetCommitInformation};
use crate::netconf::junos::get_configuration::{Compare, Database};
use crate::netconf::junos::{Format, GetConfiguration};
use crate::netconf::rpc::{RequestError, Rpc};
use crate::pool::Touch;
use crate::session::RawReply;
use crate::store::DeviceRecord;
use crate::xml::XmlError;

/// Bytes of a commit history that are looked at.
const MOST_HISTORY: u64 = 4 << 20;

/// Who committed when, and what is to come. Junos only.
///
/// # Errors
/// As a read; `capability-missing` elsewhere.
pub(super) async fn read(
    record: &DeviceRecord,
    device: &Device,
    who: &str,
    deadline: Instant,
) -> Result<CommitInformation, Error> {
    let build = |caps: &Capabilities| GetCommitInformation { revisions: false }.rpc(caps);
    let raw = ask(record, device, who, deadline, build).await?;
    parse(record.name(), &raw)
}

/// The step that asks for it.
///
/// # Errors
/// No Junos device.
pub(super) fn step(capabilities: &Capabilities, revisions: bool) -> Result<Step, RequestError> {
    let rpc = GetCommitInformation { revisions }.rpc(capabilities)?;
    Ok(Step::new(StepName::Check, rpc, Touch::Nothing).telling(Tells::History))
}

/// The same, in a held session.
///
/// # Errors
/// As [`read`].
pub(super) async fn in_session(
    held: &mut Held,
    device: &str,
    deadline: Instant,
) -> Result<CommitInformation, Error> {
    let step = step(&held.capabilities(), false).map_err(|error| failure::unbuildable(&error))?;
    parse(device, &send(step, held, device, deadline).await?)
}

/// What is running.
///
/// # Errors
/// As a read.
pub(super) async fn running(
    record: &DeviceRecord,
    device: &Device,
    who: &str,
    deadline: Instant,
) -> Result<Snapshot, Error> {
    let raw = ask(record, device, who, deadline, |caps| Ok(whole_running(caps)?.rpc)).await?;
    snapshot(record.name(), raw).await
}

/// The same, in a held session.
///
/// # Errors
/// As [`running`].
pub(super) async fn running_in_session(
    held: &mut Held,
    device: &str,
    deadline: Instant,
) -> Result<Snapshot, Error> {
    let step = whole_running(&held.capabilities()).map_err(|error| failure::unbuildable(&error))?;
    snapshot(device, send(step, held, device, deadline).await?).await
}

/// Whether what runs is the stored configuration of this number. Junos only.
///
/// # Errors
/// As a read; there is no such configuration.
pub(super) async fn runs_stored(
    record: &DeviceRecord,
    device: &Device,
    who: &str,
    deadline: Instant,
    number: u8,
) -> Result<bool, Error> {
    let build = move |caps: &Capabilities| {
        GetConfiguration {
            database: Some(Database::Committed),
            compare: Some(Compare::Rollback(number)),
            format: Format::Text,
            ..GetConfiguration::default()
        }
        .rpc(caps)
    };
    let raw = ask(record, device, who, deadline, build).await?;
    let (session_id, message_id) = (raw.session_id, raw.message_id.clone());
    let diff = reading::difference(&raw)
        .map_err(|detail| unreadable(record.name(), session_id, &message_id, &detail))?;
    Ok(diff.is_empty())
}

/// The ids of the sessions that the device has; `None`: it does not list them (RFC 6022).
///
/// # Errors
/// As a read.
pub(super) async fn sessions(
    record: &DeviceRecord,
    device: &Device,
    who: &str,
    deadline: Instant,
) -> Result<Option<Vec<u64>>, Error> {
    let shown = device.established(who, deadline).await.map_err(failure::device)?;
    if !device.offered(&shown).has(Capability::Monitoring) {
        return Ok(None);
    }
    let raw = ask(record, device, who, deadline, |caps| monitored("sessions", caps)).await?;
    let told = told_sessions(record.name(), &raw)?;
    Ok(Some(told.into_iter().map(|session| session.session_id).collect()))
}

fn whole_running(capabilities: &Capabilities) -> Result<Step, RequestError> {
    ground::read(capabilities, StepName::Verify, Datastore::Running, Tells::Nothing)
}

async fn ask(
    record: &DeviceRecord,
    device: &Device,
    who: &str,
    deadline: Instant,
    build: impl FnOnce(&Capabilities) -> Result<Rpc, RequestError> + Send + 'static,
) -> Result<RawReply, Error> {
    let request = Request {
        selection: None,
        ..Request::new(build)
    };
    let raw = device
        .read(who, deadline, request)
        .await
        .map_err(failure::device)?;
    if raw.scan.is_error() {
        let error = failure::refused(record.name(), raw.session_id, raw.scan.errors, Asked::Read);
        return Err(error.with_message(Some(raw.session_id), Some(raw.message_id)));
    }
    Ok(raw)
}

/// What a reply to the step tells.
///
/// # Errors
/// A reply that cannot be read.
pub(super) fn parse(device: &str, raw: &RawReply) -> Result<CommitInformation, Error> {
    read_by(CommitInformation::parse, device, raw)
}

/// What it tells of the newest commits: enough for who is going to commit.
///
/// # Errors
/// As [`parse`].
pub(super) fn parse_newest(device: &str, raw: &RawReply) -> Result<CommitInformation, Error> {
    read_by(CommitInformation::parse_newest, device, raw)
}

fn read_by(
    parse: impl FnOnce(&str) -> Result<CommitInformation, XmlError>,
    device: &str,
    raw: &RawReply,
) -> Result<CommitInformation, Error> {
    let broken = |detail: String| unreadable(device, raw.session_id, &raw.message_id, &detail);
    let text = raw
        .source
        .read_to_string(MOST_HISTORY)
        .map_err(|error| broken(error.to_string()))?;
    parse(&text).map_err(|error| broken(error.to_string()))
}

async fn snapshot(device: &str, raw: RawReply) -> Result<Snapshot, Error> {
    let (session_id, message_id) = (raw.session_id, raw.message_id.clone());
    let read = Snapshot::read(raw).await;
    read.map_err(|detail| unreadable(device, session_id, &message_id, &detail))
}
