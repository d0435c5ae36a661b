//! What is shown of operations.

use crate::error::Error;
use crate::service::call::{Principal, Role};

/// How far an operation has come. For a change: how far its call has; what becomes of a commit that has to be confirmed, or
/// is made later, is the phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    Running,
    Succeeded,
    Failed,
    /// Nobody knows; of a change it may still be found out.
    Unknown,
}

impl State {
    pub const ALL: [Self; 4] = [Self::Running, Self::Succeeded, Self::Failed, Self::Unknown];

    /// The name in the API and the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
        }
    }

    /// `None`: no such state.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }
}

/// The steps of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// Those that have ended.
    pub steps: u64,
    /// The last one that was begun.
    pub step: Option<String>,
}

/// An operation as it is now.
#[derive(Debug, Clone)]
pub struct Operation {
    pub id: String,
    /// The name of the service call.
    pub kind: String,
    pub device: String,
    /// The principal.
    pub owner: String,
    pub state: State,
    /// Whether nothing more is to come.
    pub done: bool,
    /// Absent while it runs.
    pub outcome: Option<String>,
    pub create_time: String,
    pub update_time: String,
    /// The state of the change; of other operations their own.
    pub phase: String,
    pub progress: Option<Progress>,
    /// Whether it is a change of the same id.
    pub is_change: bool,
    /// Of the request that it was, if that is known.
    pub request_id: String,
    pub failure: Option<Error>,
    /// What its caller was answered, as JSON text.
    pub response: Option<String>,
    /// Of a response that is too large to be kept.
    pub omitted_bytes: Option<u64>,
    /// The path under which what the call is about can be looked at; of a change, the change.
    pub resource: Option<String>,
}

impl Operation {
    /// As this principal may see it.
    pub(super) fn seen_by(mut self, principal: &Principal) -> Self {
        let own = self.owner == principal.id() || principal.role() >= Role::Admin;
        if !self.is_change && !own {
            self.response = None;
        }
        self
    }
}

/// A page of operations.
#[derive(Debug, Clone)]
pub struct OperationList {
    pub operations: Vec<Operation>,
    /// Absent at the end.
    pub next_page_token: Option<String>,
}

/// Which operations are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListOperations {
    /// 0: as many as usual.
    pub page_size: u32,
    pub page_token: Option<String>,
    /// Only those of this device.
    pub device: Option<String>,
}
