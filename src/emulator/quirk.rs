//! Ways in which devices in the field differ from what their protocol says, where commits and locks are concerned.

use std::time::Duration;

use super::config::{Conduct, Restart, UndoneBy};
use super::device::Quirks;

/// One way, to be given to [`super::Builder::quirk`]. Each can be combined with the others and with any profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quirk {
    /// Undoing a commit takes this long, to the second: it is a commit, too. Until the end what was committed is
    /// running, and other commits wait. Means nothing where the device's time stands still.
    SlowRollback(Duration),
    /// Another end of the session undoes its confirmed commit than by the profile: a kill on Junos, every end
    /// elsewhere.
    UndoneBy(UndoneBy),
    /// A start does something else with a commit that waits than by the profile: Junos keeps it, others revert it.
    OnRestart(Restart),
    /// A check does not confirm.
    CheckDoesNotConfirm,
    /// A `<validate>` of the candidate confirms, whoever asks for it.
    ValidateConfirms,
    /// A confirmed commit that fails waits to be confirmed all the same, and what ran before comes back in the end
    /// over whatever was committed since.
    FailedCommitsWait,
    /// A confirmed commit on top of another confirms that: only the later one is undone.
    LaterConfirmsEarlier,
    /// The time passes and nothing is undone.
    NeverRollsBack,
    /// A commit under a token that means nothing, such as that of a commit that was undone, is a commit and answers ok.
    UnknownTokensCommit,
    /// Private copies take confirmed commits.
    PrivateConfirmed,
    /// `<commit>` takes `<persist>` and `<persist-id>` though only confirmed-commit:1.0 is announced, and there is
    /// `<cancel-commit>`, which wants the id. A kill of the session undoes the commit all the same.
    TakesPersist,
    /// The history does not say that a commit waits, as in old releases: only that it was to be undone in so many
    /// minutes, and that for good.
    HidesPending,
    /// A lock outlives its session, until somebody at the device clears it ([`super::device::Device::clear_lock`]).
    LocksStay,
    /// What is in the candidate stays there when a lock or a session ends, and is in nobody's way: whoever commits
    /// commits it.
    CandidateStays,
    /// What is running cannot be locked, though the candidate can.
    NoRunningLock,
}

impl Quirk {
    pub(super) fn apply(self, conduct: &mut Conduct, quirks: &mut Quirks) {
        match self {
            Self::SlowRollback(span) => {
                conduct.rollback_seconds = i64::try_from(span.as_secs()).unwrap_or(i64::from(u32::MAX));
            }
            Self::UndoneBy(by) => conduct.undone_by = by,
            Self::OnRestart(restart) => conduct.restart = restart,
            Self::CheckDoesNotConfirm => conduct.check_confirms = false,
            Self::ValidateConfirms => conduct.validate_confirms = true,
            Self::FailedCommitsWait => conduct.failed_commits_wait = true,
            Self::LaterConfirmsEarlier => conduct.later_confirms_earlier = true,
            Self::NeverRollsBack => conduct.never_rolls_back = true,
            Self::UnknownTokensCommit => conduct.unknown_tokens_commit = true,
            Self::PrivateConfirmed => conduct.private_confirmed = true,
            Self::LocksStay => conduct.locks_stay = true,
            Self::CandidateStays => conduct.candidate_stays = true,
            Self::TakesPersist => quirks.takes_persist = true,
            Self::HidesPending => quirks.hides_pending = true,
            Self::NoRunningLock => quirks.no_running_lock = true,
        }
    }
}
