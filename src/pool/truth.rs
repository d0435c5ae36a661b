//! What a device really keeps for a session, whatever anybody's books say (Q2): the other side of the tests of the books
//! and of the pool.

use super::holds::{Came, Hold, Holds, Touch};
use crate::netconf::datastore::Datastore;

pub(super) const CANDIDATE: Hold = Hold::Lock(Datastore::Candidate);

/// What the device did with an RPC, and whether its reply arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    NotSent,
    Done,
    DoneUnheard,
    /// Its caller had left, so nobody took note.
    DoneUnawaited,
    Refused,
    RefusedUnheard,
}

impl Fate {
    /// What the books are told; `None`: nothing.
    pub(super) fn came(self) -> Option<Came> {
        match self {
            Self::NotSent => Some(Came::NotSent),
            Self::Done => Some(Came::Ok),
            Self::DoneUnawaited => None,
            Self::Refused => Some(Came::Refused),
            Self::DoneUnheard | Self::RefusedUnheard => Some(Came::Nothing),
        }
    }

    fn is_done(self) -> bool {
        match self {
            Self::Done | Self::DoneUnheard | Self::DoneUnawaited => true,
            Self::NotSent | Self::Refused | Self::RefusedUnheard => false,
        }
    }
}

/// What the device has open for one session.
#[derive(Debug, Default)]
pub(super) struct Truth {
    held: Vec<Hold>,
    /// What each edit was made in; `None`: the candidate, unlocked.
    edits: Vec<Option<Hold>>,
    /// A timer runs that the session's end may set off.
    armed: bool,
    unknown: bool,
}

impl Truth {
    pub(super) fn apply(&mut self, touch: Touch, fate: Fate) {
        let done = fate.is_done();
        let seen = fate != Fate::NotSent;
        match touch {
            Touch::Nothing | Touch::Applies => {}
            Touch::Acquires(hold) if done => self.add(hold),
            Touch::Releases(Hold::Edits) if done => self.edits.clear(),
            Touch::Releases(Hold::ConfirmedCommit) if done => self.armed = false,
            Touch::CommitsConfirmed if done => {
                self.edits.clear();
                self.armed = true;
            }
            // There are servers that do so.
            Touch::CommitsConfirmed if seen => self.armed = true,
            Touch::Releases(hold) if done => {
                self.held.retain(|held| *held != hold);
                self.edits.retain(|home| *home != Some(hold));
            }
            Touch::Acquires(_) | Touch::Releases(_) => {}
            // Also what the device refuses may leave a part behind.
            Touch::Edits if seen => {
                let homes = [Hold::Private, Hold::Ephemeral, CANDIDATE];
                let home = homes.into_iter().find(|home| self.held.contains(home));
                self.edits.push(home);
            }
            Touch::Unknown if seen => self.unknown = true,
            Touch::Edits | Touch::CommitsConfirmed | Touch::Unknown => {}
        }
    }

    fn add(&mut self, hold: Hold) {
        if !self.held.contains(&hold) {
            self.held.push(hold);
        }
    }

    /// Whether anybody may have the session.
    pub(super) fn is_nothing(&self) -> bool {
        self.held.is_empty() && self.edits.is_empty() && !self.armed && !self.unknown
    }

    /// What the device has open for the session.
    pub(super) fn all(&self) -> impl Iterator<Item = Hold> {
        let edits = (!self.edits.is_empty()).then_some(Hold::Edits);
        let armed = self.armed.then_some(Hold::ConfirmedCommit);
        self.held.iter().copied().chain(edits).chain(armed)
    }

    /// Something that the device has open and the books do not know of.
    pub(super) fn unbooked(&self, holds: Holds) -> Option<String> {
        let missing = self.all().find(|hold| !holds.contains(*hold));
        let free = holds.is_empty() && !self.is_nothing();
        missing
            .map(|hold| hold.to_string())
            .or_else(|| free.then(|| "what an RPC of unknown effect left".to_owned()))
    }
}
