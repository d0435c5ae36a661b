//! Who calls, and with what deadline: every service call takes a [`CallContext`].

use std::time::Duration;

use super::operations::Ticket;
use crate::error::{Error, ErrorCode};

/// What a principal may do; each role includes the ones before it (conventions X5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    Read,
    Operate,
    Configure,
    Admin,
}

impl Role {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Operate => "operate",
            Self::Configure => "configure",
            Self::Admin => "admin",
        }
    }
}

/// A caller of the API. The id is what queues are fair by, what owns things, and what logs name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    id: String,
    role: Role,
}

impl Principal {
    pub fn new(id: impl Into<String>, role: Role) -> Self {
        Self { id: id.into(), role }
    }

    /// The caller under `--auth none`, which exists on loopback only.
    pub fn anonymous_admin() -> Self {
        Self::new("anonymous", Role::Admin)
    }

    pub fn id(&self) -> &str {
        &self.id
    }

    pub fn role(&self) -> Role {
        self.role
    }

    /// Refuses a principal whose role is below `needed`.
    pub fn require(&self, needed: Role) -> Result<(), Error> {
        if self.role >= needed {
            return Ok(());
        }
        Err(Error::new(
            ErrorCode::Forbidden,
            format!(
                "{} has the role {}, this needs {}",
                self.id,
                self.role.as_str(),
                needed.as_str()
            ),
        ))
    }
}

/// What comes with a call beside its arguments.
#[derive(Debug, Clone)]
pub struct CallContext {
    pub principal: Principal,
    /// Echoed in the answer and in every log line of the call (conventions H5).
    pub request_id: String,
    /// How long the caller is ready to wait, queue and device time together (conventions H6).
    /// Without it the device's own setting for the class of the call counts.
    pub deadline: Option<Duration>,
    /// The W3C trace context of the caller, passed on as it came.
    pub traceparent: Option<String>,
    /// How the caller wants the call to be run, and its operation.
    pub ticket: Ticket,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn role_includes_those_below_it() {
        let operator = Principal::new("op", Role::Operate);
        assert!(operator.require(Role::Read).is_ok());
        assert!(operator.require(Role::Operate).is_ok());
        let refused = operator.require(Role::Configure).unwrap_err();
        assert_eq!(refused.code(), ErrorCode::Forbidden);
        assert_eq!(refused.detail(), "op has the role operate, this needs configure");
    }
}
