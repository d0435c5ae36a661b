//! How a device treats confirmed commits, and what sessions and restarts leave behind: the points in which servers
//! differ, each a setting of its own.

use super::Ending;

/// Which end of its session undoes a confirmed commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UndoneBy {
    /// None: the timer goes on whatever becomes of the session.
    Nothing,
    /// Another session killed it, as on Junos.
    Kill,
    /// It was killed, or its connection lost.
    Loss,
    /// Every end, orderly or not (RFC 6241 section 8.4.1).
    AnyEnd,
}

impl UndoneBy {
    /// Whether this end of the session undoes its confirmed commit.
    pub fn covers(self, ending: Ending) -> bool {
        match self {
            Self::Nothing => false,
            Self::Kill => ending == Ending::Killed,
            Self::Loss => ending != Ending::Closed,
            Self::AnyEnd => true,
        }
    }
}

/// What becomes of a confirmed commit that nobody confirmed when the device starts again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restart {
    /// The timer is lost and the commit stays, as on Junos.
    Keeps,
    /// It is undone before anybody can log in (RFC 6241 section 8.4.1).
    Reverts,
    /// It goes on waiting until the same deadline. One that was bound to its session is undone.
    Remembers,
    /// It goes on waiting, but under no token: where a token is needed, nobody can confirm or cancel it any more.
    ForgetsToken,
}

/// The settings of one device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conduct {
    /// Any commit of anybody confirms. Otherwise that of the same session or of who knows the token does, and those
    /// of others are refused meanwhile.
    pub anyone_confirms: bool,
    /// A check confirms as a commit does.
    pub check_confirms: bool,
    /// So does a validation of the candidate.
    pub validate_confirms: bool,
    /// Which end of the session undoes a commit without token.
    pub undone_by: UndoneBy,
    /// A kill of its session undoes a commit even if it has a token.
    pub kill_undoes_persistent: bool,
    /// How long it takes to undo a commit, in seconds. What was committed is running until the end of it.
    pub rollback_seconds: i64,
    /// What a start of the device does to a commit that waits.
    pub restart: Restart,
    /// The device starts with the startup datastore and not with what was running.
    pub starts_with_startup: bool,
    /// A confirmed commit that fails waits to be confirmed all the same.
    pub failed_commits_wait: bool,
    /// A confirmed commit that changes something confirms the one before, and only itself is undone.
    pub later_confirms_earlier: bool,
    /// The time passes and nothing is undone.
    pub never_rolls_back: bool,
    /// A commit under a token that means nothing is a commit.
    pub unknown_tokens_commit: bool,
    /// Private copies take confirmed commits, too.
    pub private_confirmed: bool,
    /// A lock outlives its session.
    pub locks_stay: bool,
    /// What is in the candidate stays there when a lock or a session ends, and is in nobody's way.
    pub candidate_stays: bool,
}

impl Conduct {
    /// What Junos does.
    pub const JUNOS: Self = Self {
        anyone_confirms: true,
        check_confirms: true,
        validate_confirms: false,
        undone_by: UndoneBy::Kill,
        kill_undoes_persistent: true,
        rollback_seconds: 0,
        restart: Restart::Keeps,
        starts_with_startup: false,
        failed_commits_wait: false,
        later_confirms_earlier: false,
        never_rolls_back: false,
        unknown_tokens_commit: false,
        private_confirmed: false,
        locks_stay: false,
        candidate_stays: false,
    };

    /// What RFC 6241 section 8.4 asks for.
    pub const RFC: Self = Self {
        anyone_confirms: false,
        check_confirms: false,
        undone_by: UndoneBy::AnyEnd,
        kill_undoes_persistent: false,
        restart: Restart::Reverts,
        ..Self::JUNOS
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    /// C2: which ends of a session undo what it committed.
    #[test]
    fn ends_of_sessions_undo_as_set() {
        let all = [Ending::Closed, Ending::Lost, Ending::Killed];
        let covered = |by: UndoneBy| all.map(|ending| by.covers(ending));
        assert_eq!(covered(UndoneBy::Nothing), [false, false, false]);
        assert_eq!(covered(UndoneBy::Kill), [false, false, true]);
        assert_eq!(covered(UndoneBy::Loss), [false, true, true]);
        assert_eq!(covered(UndoneBy::AnyEnd), [true, true, true]);
    }
}
