//! What the candidate differs in from what is running: which RPCs tell it, and how their replies are read.

use super::ground::{self, Dialect};
use super::reading;
use super::script::{Step, StepName, Tells};
use super::snapshot::Snapshot;
use crate::error::{Diff, Error};
use crate::netconf::capability::Capabilities;
use crate::netconf::datastore::Datastore;
use crate::netconf::rpc::RequestError;
use crate::service::reply::unreadable;
use crate::session::RawReply;

#[derive(Debug, Clone)]
pub(in crate::service) struct Differing {
    dialect: Dialect,
    pub steps: Vec<Step>,
}

impl Differing {
    /// On Junos the device compares, elsewhere the gateway does.
    ///
    /// # Errors
    /// What the device does not offer.
    pub fn new(dialect: Dialect, capabilities: &Capabilities) -> Result<Self, RequestError> {
        let read = |datastore| ground::read(capabilities, StepName::Diff, datastore, Tells::Nothing);
        let steps = match dialect {
            Dialect::Junos => vec![ground::compare(capabilities)?],
            Dialect::Rfc => vec![read(Datastore::Running)?, read(Datastore::Candidate)?],
        };
        Ok(Self { dialect, steps })
    }

    /// Whose comparison it is.
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// The word for the notation of the difference.
    pub fn format(&self) -> &'static str {
        match self.dialect {
            Dialect::Junos => "junos",
            Dialect::Rfc => "paths",
        }
    }

    /// As [`Self::look`], the difference alone.
    ///
    /// # Errors
    /// Replies that cannot be read.
    pub async fn read(&self, device: &str, replies: Vec<RawReply>) -> Result<Diff, Error> {
        self.look(device, replies).await.map(|looked| looked.diff)
    }

    /// Reads the replies to the steps, none of which is an error.
    ///
    /// # Errors
    /// Replies that cannot be read.
    pub async fn look(&self, device: &str, replies: Vec<RawReply>) -> Result<Looked, Error> {
        let mut replies = replies.into_iter();
        match (self.dialect, replies.next(), replies.next()) {
            (Dialect::Junos, Some(raw), _) => match reading::difference(&raw) {
                Ok(diff) => Ok(Looked::only(diff)),
                Err(detail) => Err(unreadable(device, raw.session_id, &raw.message_id, &detail)),
            },
            (Dialect::Rfc, Some(running), Some(candidate)) => {
                let running = snapshot(device, running).await?;
                let candidate = snapshot(device, candidate).await?;
                Ok(Looked {
                    diff: running.difference(&candidate),
                    compared: Some((running, candidate)),
                })
            }
            (Dialect::Junos | Dialect::Rfc, ..) => Ok(Looked::only(Diff::new(""))),
        }
    }
}

/// What a look showed.
#[derive(Debug, Clone)]
pub(in crate::service) struct Looked {
    pub diff: Diff,
    /// Running and the candidate, where the gateway compared them.
    pub compared: Option<(Snapshot, Snapshot)>,
}

impl Looked {
    fn only(diff: Diff) -> Self {
        Self { diff, compared: None }
    }
}

/// A configuration out of the reply to a `<get-config>`.
///
/// # Errors
/// A reply that cannot be read.
pub(in crate::service) async fn snapshot(device: &str, raw: RawReply) -> Result<Snapshot, Error> {
    let (session_id, message_id) = (raw.session_id, raw.message_id.clone());
    let read = Snapshot::read(raw).await;
    read.map_err(|detail| unreadable(device, session_id, &message_id, &detail))
}
