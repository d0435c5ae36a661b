//! What a device did to its running configuration, in order: what a test holds the gateway's word against.
//!
//! The history of commits is what the device tells, and ends after fifty; this tells the truth, whatever the device
//! says, and knows which session it was.

use std::collections::VecDeque;

use super::engine::{Actor, Engine};

/// Deeds kept, oldest given up first.
const DEEDS: usize = 10_000;

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// A commit that stays. It may have confirmed the one that waited.
    Commit {
        /// Whether one waited.
        confirms: bool,
    },
    /// A commit that waits to be confirmed, or goes on waiting.
    ConfirmedCommit {
        /// When it is undone, in seconds since 1970.
        deadline: i64,
        /// Whether one waited already.
        extends: bool,
    },
    /// The commit that waited stays, because of a check or of a commit that changed nothing.
    Confirmation,
    /// The device undid a commit that nobody confirmed.
    Rollback(Cause),
    /// The device forgot that a commit was to be undone: it stays, and nobody confirmed it.
    Kept,
}

/// Why a commit was undone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Nobody confirmed it in time.
    Timeout,
    /// Its session ended.
    SessionEnded,
    /// Its session was killed.
    Killed,
    /// Somebody cancelled it.
    Cancelled,
    /// The device was started anew.
    Restarted,
}

/// One deed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deed {
    /// When, in seconds since 1970.
    pub at: i64,
    /// The session that asked for it; none where the device acts by itself.
    pub session: Option<u32>,
    /// Who asked for it; `root` for the device itself.
    pub user: String,
    /// Through what: `netconf`, `cli`, `other`.
    pub client: String,
    /// The comment of the commit.
    pub log: Option<String>,
    /// What was done.
    pub what: What,
    /// The identifier of what is running since.
    pub revision: String,
}

impl Deed {
    /// Whether the comment of the commit holds this text.
    pub fn says(&self, text: &str) -> bool {
        self.log.as_deref().is_some_and(|log| log.contains(text))
    }

    /// Whether somebody committed: neither the device itself, nor a check.
    pub fn is_commit(&self) -> bool {
        match self.what {
            What::Commit { .. } | What::ConfirmedCommit { .. } => true,
            What::Confirmation | What::Rollback(_) | What::Kept => false,
        }
    }
}

/// The deeds of one device, oldest first.
#[derive(Clone, Debug, Default)]
pub(super) struct Chronicle(VecDeque<Deed>);

impl Chronicle {
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

impl Engine {
    /// What was done since the device was made, oldest first; the last ten thousand deeds.
    pub fn deeds(&self) -> impl Iterator<Item = &Deed> {
        self.chronicle.0.iter()
    }

    /// Writes down what an actor did, or the device itself, after it was done.
    pub(super) fn note(&mut self, at: i64, actor: Option<&Actor>, log: Option<&str>, what: What) {
        let revision = self.running().identifier();
        if self.chronicle.0.len() == DEEDS {
            self.chronicle.0.pop_front();
        }
        self.chronicle.0.push_back(Deed {
            at,
            session: actor.map(|actor| actor.session),
            user: actor.map_or_else(|| "root".to_owned(), |actor| actor.user.clone()),
            client: actor.map_or("other", |actor| actor.client).to_owned(),
            log: log.map(str::to_owned),
            what,
            revision,
        });
    }
}
