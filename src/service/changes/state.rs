//! How far a change has come (conventions E1). Pure.
//!
//! ```text
//! preparing ─> editing ─> validated ─> committing ─┬─> committed
//!     │           │           │            │       ├─> scheduled ───────> committed, cancelled, unknown
//!     │           │           │            │       └─> pending_confirm ─> confirmed, rolled_back, kept, cancelled
//!     │           │           ├─> unchanged, discarded (a dry run)
//!     └───────────┴───────────┴────────────┴─> failed;  from committing also unknown, until evidence settles it
//! ```

use crate::store::FAILED;

/// The states of E1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// Waiting for a session, a lock or a copy.
    Preparing,
    /// Edits are being made where they can be taken back.
    Editing,
    /// The device has checked them, and the difference is known.
    Validated,
    /// What is sent now counts.
    Committing,
    Committed,
    /// There was nothing to change.
    Unchanged,
    /// The device commits later (E6).
    Scheduled,
    /// Committed until a deadline.
    PendingConfirm,
    Confirmed,
    RolledBack,
    /// Active, though nobody confirmed it.
    Kept,
    /// Taken back before it counted.
    Cancelled,
    /// A dry run is over.
    Discarded,
    Failed,
    /// Whether it counts is not known yet.
    Unknown,
}

impl State {
    pub const ALL: [Self; 15] = [
        Self::Preparing,
        Self::Editing,
        Self::Validated,
        Self::Committing,
        Self::Committed,
        Self::Unchanged,
        Self::Scheduled,
        Self::PendingConfirm,
        Self::Confirmed,
        Self::RolledBack,
        Self::Kept,
        Self::Cancelled,
        Self::Discarded,
        Self::Failed,
        Self::Unknown,
    ];

    /// The name in the API and the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Preparing => "preparing",
            Self::Editing => "editing",
            Self::Validated => "validated",
            Self::Committing => "committing",
            Self::Committed => "committed",
            Self::Unchanged => "unchanged",
            Self::Scheduled => "scheduled",
            Self::PendingConfirm => "pending_confirm",
            Self::Confirmed => "confirmed",
            Self::RolledBack => "rolled_back",
            Self::Kept => "kept",
            Self::Cancelled => "cancelled",
            Self::Discarded => "discarded",
            Self::Failed => FAILED,
            Self::Unknown => "unknown",
        }
    }

    /// `None`: no such state.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }

    /// Whether a task of the gateway is at work on a change in this state.
    pub fn is_running(self) -> bool {
        self.left_behind().is_some()
    }

    /// Whether this may come right after `self`.
    pub fn leads_to(self, next: Self) -> bool {
        match self {
            Self::Preparing => matches!(next, Self::Editing | Self::Failed),
            // Without a check and a comparison, or where an edit counts at once, the commit comes straight away.
            Self::Editing => matches!(next, Self::Validated | Self::Committing | Self::Failed),
            Self::Validated => matches!(
                next,
                Self::Committing | Self::Unchanged | Self::Discarded | Self::Failed
            ),
            Self::Committing => matches!(
                next,
                Self::Committed
                    | Self::Unchanged
                    | Self::Scheduled
                    | Self::PendingConfirm
                    | Self::Failed
                    | Self::Unknown
            ),
            Self::Scheduled => matches!(next, Self::Committed | Self::Cancelled | Self::Unknown),
            Self::PendingConfirm => matches!(
                next,
                Self::Confirmed | Self::RolledBack | Self::Kept | Self::Cancelled | Self::Unknown
            ),
            Self::Unknown => matches!(
                next,
                Self::Committed
                    | Self::Scheduled
                    | Self::PendingConfirm
                    | Self::Confirmed
                    | Self::RolledBack
                    | Self::Kept
                    | Self::Cancelled
                    | Self::Failed
            ),
            Self::Committed
            | Self::Unchanged
            | Self::Confirmed
            | Self::RolledBack
            | Self::Kept
            | Self::Cancelled
            | Self::Discarded
            | Self::Failed => false,
        }
    }

    /// What a change was that a gateway left behind in this state when it ended; `None`: what it was already. The
    /// session ended with the gateway, and took along what was not committed.
    pub fn left_behind(self) -> Option<Self> {
        match self {
            Self::Preparing | Self::Editing | Self::Validated => Some(Self::Failed),
            Self::Committing => Some(Self::Unknown),
            Self::Committed
            | Self::Unchanged
            | Self::Scheduled
            | Self::PendingConfirm
            | Self::Confirmed
            | Self::RolledBack
            | Self::Kept
            | Self::Cancelled
            | Self::Discarded
            | Self::Failed
            | Self::Unknown => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::State::*;
    use super::*;

    /// E1: every legal transition, and no other.
    #[test]
    fn transitions_are_those_of_the_table() {
        let table: [(State, &[State]); 15] = [
            (Preparing, &[Editing, Failed]),
            (Editing, &[Validated, Committing, Failed]),
            (Validated, &[Committing, Unchanged, Discarded, Failed]),
            (
                Committing,
                &[Committed, Unchanged, Scheduled, PendingConfirm, Failed, Unknown],
            ),
            (Committed, &[]),
            (Unchanged, &[]),
            (Scheduled, &[Committed, Cancelled, Unknown]),
            (PendingConfirm, &[Confirmed, RolledBack, Kept, Cancelled, Unknown]),
            (Confirmed, &[]),
            (RolledBack, &[]),
            (Kept, &[]),
            (Cancelled, &[]),
            (Discarded, &[]),
            (Failed, &[]),
            (
                Unknown,
                &[
                    Committed,
                    Scheduled,
                    PendingConfirm,
                    Confirmed,
                    RolledBack,
                    Kept,
                    Cancelled,
                    Failed,
                ],
            ),
        ];
        for (from, legal) in table {
            for to in State::ALL {
                assert_eq!(from.leads_to(to), legal.contains(&to), "{from:?} to {to:?}");
            }
        }
    }

    /// E2: a commit that may have been sent when the gateway ended is never called failed.
    #[test]
    fn what_is_left_behind_is_told_truthfully() {
        for state in State::ALL {
            let then = state.left_behind();
            let legal = then.is_none_or(|then| state.leads_to(then));
            assert!(legal, "{state:?} to {then:?}");
            assert_eq!(State::parse(state.as_str()), Some(state));
        }
        assert_eq!(Committing.left_behind(), Some(Unknown));
        assert_eq!(Validated.left_behind(), Some(Failed));
        assert_eq!(State::parse("done"), None);
    }
}
