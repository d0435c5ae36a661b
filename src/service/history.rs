//! Reading what a device's own records say: its commits, where it keeps a history, and what is running.

use tokio::time::Instant;

use super::check::{told_sessions, told_start};
use super::edit::ground;
use super::edit::reading;
use super::edit::script::{Step, StepName, Tells};
use super::edit::snapshot::Snapshot;
use super::evidence;
use super::failure::{self, Asked};
use super::held::send;
use super::reply::unreadable;
use super::schemas::monitored;
use crate::device::{Device, Held, Request};
use crate::error::Error;
use crate::netconf::capability::{Capabilities, Capability};
use crate::netconf::datastore::Datastore;
use crate::netconf::junos::commit_information::{CommitInformation, GetCommitInformation};
use crate::netconf::junos::{CommitRevision, CompareRollbacks, GetCommitRevision, uptime};
use crate::netconf::rpc::{RequestError, Rpc};
use crate::pool::Touch;
use crate::session::RawReply;
use crate::store::DeviceRecord;
use crate::xml::XmlError;

/// Bytes of a commit history that are looked at.
const MOST_HISTORY: u64 = 4 << 20;
/// Bytes of what a device says of its times.
const MOST_OF_TIMES: u64 = 1 << 20;

/// A device's own records, and the session through which they are read.
pub(super) enum Records<'a> {
    /// Any session of the pool.
    Pooled {
        record: &'a DeviceRecord,
        device: &'a Device,
        who: &'a str,
    },
    /// One that is held already.
    Held { held: &'a mut Held, device: &'a str },
}

impl Records<'_> {
    /// Who committed when, and what is to come. Junos only.
    ///
    /// # Errors
    /// As a read; `capability-missing` elsewhere.
    pub async fn commits(&mut self, deadline: Instant) -> Result<CommitInformation, Error> {
        let build = |caps: &Capabilities| GetCommitInformation { revisions: false }.rpc(caps);
        let raw = self.ask(deadline, build).await?;
        parse(self.device(), &raw)
    }

    /// What is running.
    ///
    /// # Errors
    /// As a read.
    pub async fn running(&mut self, deadline: Instant) -> Result<Snapshot, Error> {
        self.datastore(Datastore::Running, deadline).await
    }

    /// What a datastore holds.
    ///
    /// # Errors
    /// As a read.
    pub async fn datastore(&mut self, datastore: Datastore, deadline: Instant) -> Result<Snapshot, Error> {
        let build = move |caps: &Capabilities| Ok(whole(caps, datastore)?.rpc);
        let raw = self.ask(deadline, build).await?;
        let (session_id, message_id) = (raw.session_id, raw.message_id.clone());
        let read = Snapshot::read(raw).await;
        read.map_err(|detail| unreadable(self.device(), session_id, &message_id, &detail))
    }

    /// Whether two stored configurations are the same, by their numbers; 0 is what runs. Junos only.
    ///
    /// # Errors
    /// As a read; there is no such configuration.
    pub async fn are_alike(&mut self, one: u8, other: u8, deadline: Instant) -> Result<bool, Error> {
        let compare = CompareRollbacks {
            rollback: one,
            compare: other,
        };
        let raw = self.ask(deadline, move |caps| compare.rpc(caps)).await?;
        let diff = reading::difference(&raw)
            .map_err(|detail| unreadable(self.device(), raw.session_id, &raw.message_id, &detail))?;
        Ok(diff.is_empty())
    }

    /// When a Junos device was started, in seconds since 1970 by its own clock; `None`: it does not say.
    ///
    /// # Errors
    /// As a read.
    pub async fn booted(&mut self, deadline: Instant) -> Result<Option<i64>, Error> {
        let raw = self.ask(deadline, uptime::rpc).await?;
        let broken =
            |device: &str, detail: String| unreadable(device, raw.session_id, &raw.message_id, &detail);
        let text = raw
            .source
            .read_to_string(MOST_OF_TIMES)
            .map_err(|error| broken(self.device(), error.to_string()))?;
        uptime::booted(&text).map_err(|error| broken(self.device(), error.to_string()))
    }

    /// Since when a NETCONF server is at work, in its own words (RFC 6022 section 2.1.5); `None`: it does not say.
    ///
    /// # Errors
    /// As a read; `capability-missing`.
    pub async fn server_start(&mut self, deadline: Instant) -> Result<Option<String>, Error> {
        let build = |caps: &Capabilities| {
            caps.require(Capability::Monitoring, "get", "netconf-state")?;
            monitored("statistics", caps)
        };
        let raw = self.ask(deadline, build).await?;
        told_start(self.device(), &raw)
    }

    fn device(&self) -> &str {
        match self {
            Self::Pooled { record, .. } => record.name(),
            Self::Held { device, .. } => device,
        }
    }

    async fn ask(
        &mut self,
        deadline: Instant,
        build: impl FnOnce(&Capabilities) -> Result<Rpc, RequestError> + Send + 'static,
    ) -> Result<RawReply, Error> {
        match self {
            Self::Pooled { record, device, who } => ask(record, device, who, deadline, build).await,
            Self::Held { held, device } => {
                let rpc = build(&held.capabilities()).map_err(|error| failure::unbuildable(&error))?;
                send(
                    Step::new(StepName::Verify, rpc, Touch::Nothing),
                    held,
                    device,
                    deadline,
                )
                .await
            }
        }
    }
}

/// [`Records::commits`] through the pool.
///
/// # Errors
/// As there.
pub(super) async fn read(
    record: &DeviceRecord,
    device: &Device,
    who: &str,
    deadline: Instant,
) -> Result<CommitInformation, Error> {
    Records::Pooled { record, device, who }.commits(deadline).await
}

/// [`Records::running`] through the pool.
///
/// # Errors
/// As there.
pub(super) async fn running(
    record: &DeviceRecord,
    device: &Device,
    who: &str,
    deadline: Instant,
) -> Result<Snapshot, Error> {
    Records::Pooled { record, device, who }.running(deadline).await
}

/// Which revision is active; `None`: the device does not say. Junos only.
///
/// # Errors
/// As a read.
pub(super) async fn revision(
    record: &DeviceRecord,
    device: &Device,
    who: &str,
    deadline: Instant,
) -> Result<Option<String>, Error> {
    let raw = ask(record, device, who, deadline, |caps| GetCommitRevision.rpc(caps)).await?;
    let told = read_by(CommitRevision::parse, record.name(), &raw)?;
    Ok(told.revision)
}

/// The step that asks for the history.
///
/// # Errors
/// No Junos device.
pub(super) fn step(capabilities: &Capabilities, revisions: bool) -> Result<Step, RequestError> {
    let rpc = GetCommitInformation { revisions }.rpc(capabilities)?;
    Ok(Step::new(StepName::Check, rpc, Touch::Nothing).telling(Tells::History))
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

/// The step that reads a datastore.
///
/// # Errors
/// What the device does not offer.
pub(super) fn whole(capabilities: &Capabilities, datastore: Datastore) -> Result<Step, RequestError> {
    ground::read(capabilities, StepName::Verify, datastore, Tells::Nothing)
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
        let error = failure::refused(record.name(), raw.session_id, raw.scan.into_errors(), Asked::Read);
        return Err(error.with_message(Some(raw.session_id), Some(raw.message_id)));
    }
    Ok(raw)
}

/// What a reply to the step tells.
///
/// # Errors
/// A reply that cannot be read, or that holds no history ([`evidence::is_hidden`]).
pub(super) fn parse(device: &str, raw: &RawReply) -> Result<CommitInformation, Error> {
    shown(read_by(CommitInformation::parse, device, raw)?, device, raw)
}

/// What it tells of the newest commits: enough for who is going to commit.
///
/// # Errors
/// As [`parse`].
pub(super) fn parse_newest(device: &str, raw: &RawReply) -> Result<CommitInformation, Error> {
    shown(
        read_by(CommitInformation::parse_newest, device, raw)?,
        device,
        raw,
    )
}

fn shown(told: CommitInformation, device: &str, raw: &RawReply) -> Result<CommitInformation, Error> {
    if told.shown {
        return Ok(told);
    }
    // That nobody ever committed is said in other words.
    let detail = "it holds no history of commits";
    let error = unreadable(device, raw.session_id, &raw.message_id, detail);
    Err(error.with_reason(evidence::NO_HISTORY))
}

fn read_by<T>(
    parse: impl FnOnce(&str) -> Result<T, XmlError>,
    device: &str,
    raw: &RawReply,
) -> Result<T, Error> {
    let broken = |detail: String| unreadable(device, raw.session_id, &raw.message_id, &detail);
    let text = raw
        .source
        .read_to_string(MOST_HISTORY)
        .map_err(|error| broken(error.to_string()))?;
    parse(&text).map_err(|error| broken(error.to_string()))
}
