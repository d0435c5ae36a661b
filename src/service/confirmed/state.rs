//! How a confirmed commit goes on (design section 7, conventions C1–C7). Pure.
//!
//! ```text
//! pending ─┬─> confirming ─> confirmed          confirming, cancelling ─> pending: the device said no
//!          ├─> cancelling ─> cancelled
//!          └─> confirmed by others, rolled_back, kept
//! unknown: whatever it was, evidence is being looked for; leads to any of the others but cancelling
//! ```

use serde::{Deserialize, Serialize};

/// The states of design section 7.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// The device undoes it at its deadline.
    Pending,
    /// A confirming commit is being sent.
    Confirming,
    /// It is being undone on request.
    Cancelling,
    Confirmed,
    Cancelled,
    /// The device has undone it, which was verified.
    RolledBack,
    /// Active, though nobody confirmed it: the device has lost its timer.
    Kept,
    /// Being resolved.
    Unknown,
}

/// Who confirmed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    Us,
    Other,
}

/// Why the device has undone it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    Timeout,
    SessionLost,
    Killed,
    Reboot,
}

impl State {
    pub const ALL: [Self; 8] = [
        Self::Pending,
        Self::Confirming,
        Self::Cancelling,
        Self::Confirmed,
        Self::Cancelled,
        Self::RolledBack,
        Self::Kept,
        Self::Unknown,
    ];

    /// The name in the API and the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Confirming => "confirming",
            Self::Cancelling => "cancelling",
            Self::Confirmed => "confirmed",
            Self::Cancelled => "cancelled",
            Self::RolledBack => "rolled_back",
            Self::Kept => "kept",
            Self::Unknown => "unknown",
        }
    }

    /// `None`: no such state.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }

    /// Whether the device may still undo it, or nobody knows: until then it keeps everybody else out (C3).
    pub fn is_open(self) -> bool {
        match self {
            Self::Pending | Self::Confirming | Self::Cancelling | Self::Unknown => true,
            Self::Confirmed | Self::Cancelled | Self::RolledBack | Self::Kept => false,
        }
    }

    /// Whether this may come right after `self`.
    pub fn leads_to(self, next: Self) -> bool {
        match self {
            // Also cancelled: an order that nobody answered may be carried out late.
            Self::Pending => true,
            Self::Confirming => matches!(
                next,
                Self::Pending | Self::Confirmed | Self::RolledBack | Self::Kept | Self::Unknown
            ),
            Self::Cancelling => matches!(
                next,
                Self::Pending
                    | Self::Confirmed
                    | Self::Cancelled
                    | Self::RolledBack
                    | Self::Kept
                    | Self::Unknown
            ),
            // Confirming: by a token, which the device knows or does not.
            Self::Unknown => next != Self::Cancelling,
            Self::Confirmed | Self::Cancelled | Self::RolledBack | Self::Kept => false,
        }
    }
}

impl By {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Us => "us",
            Self::Other => "other",
        }
    }
}

impl Reason {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::SessionLost => "session_lost",
            Self::Killed => "killed",
            Self::Reboot => "reboot",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// S29: what has ended does not go on, and only what is open keeps others out.
    #[test]
    fn what_has_ended_leads_nowhere() {
        for state in State::ALL {
            assert_eq!(State::parse(state.as_str()), Some(state));
            let leads = State::ALL.iter().any(|next| state.leads_to(*next));
            assert_eq!(leads, state.is_open(), "{state:?}");
        }
        assert!(
            State::Pending.leads_to(State::Cancelled),
            "by an order that came late"
        );
        assert!(
            !State::Unknown.leads_to(State::Cancelling),
            "before it is known to be pending"
        );
    }
}
