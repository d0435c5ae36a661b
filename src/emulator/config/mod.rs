//! The configuration of an emulated device: its databases, its history, and every way to show them.
//!
//! Knows neither NETCONF nor SSH: [`Engine`] takes edits, commits and the present time, and nothing else.

pub mod check;
pub mod chronicle;
pub mod commit;
pub mod compare;
pub mod conduct;
pub mod difference;
pub mod engine;
pub mod groups;
pub mod locks;
pub mod merge;
pub mod modules;
pub mod patch;
pub mod patch_json;
pub mod patch_text;
pub mod patch_xml;
pub mod pattern;
pub mod pending;
pub mod render;
pub mod schema;
pub mod select;
pub mod set;
pub mod text;
pub mod tree;

use std::sync::Arc;

pub use chronicle::{Cause, Deed, What};
pub use conduct::{Conduct, Restart, UndoneBy};
pub use engine::{Actor, Committed, Ending, Engine, Store, Working};
pub use set::SetError;
pub use tree::Node;

/// A device keeps the running configuration and 49 before it.
pub const HISTORY: usize = 50;

/// A committed configuration and who committed it.
#[derive(Clone, Debug)]
pub struct Revision {
    /// What was committed.
    pub tree: Arc<Node>,
    /// Number of the commit since the device was installed; part of the revision identifier.
    pub number: u64,
    /// Who committed.
    pub user: String,
    /// Through what: `cli`, `netconf`, `other`.
    pub client: String,
    /// When, in seconds since 1970.
    pub seconds: i64,
    /// The commit comment.
    pub log: Option<String>,
    /// What the device itself says about the commit: `commit confirmed, rollback in 10mins`.
    pub comment: Option<String>,
}

impl Revision {
    /// The configuration revision identifier, as in `re0-1767261600-7`.
    pub fn identifier(&self) -> String {
        format!("re0-{}-{}", self.seconds, self.number)
    }
}

/// What to commit on top of what is running: set, delete and deactivate commands, and their author.
#[derive(Clone, Debug)]
pub struct Change {
    /// Commands, one per line.
    pub commands: String,
    /// Who committed.
    pub user: String,
    /// Through what.
    pub client: String,
    /// When, in seconds since 1970.
    pub seconds: i64,
    /// The commit comment.
    pub log: Option<String>,
}

/// Which configuration is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Database {
    /// The shared candidate.
    Candidate,
    /// What is running, which is also rollback 0.
    Committed,
    /// What the device starts with.
    Startup,
    /// A configuration committed before: 0 is running.
    Rollback(usize),
    /// The rescue configuration, where one was saved.
    Rescue,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(commands: &str, seconds: i64) -> Change {
        let (user, client) = ("admin".to_owned(), "cli".to_owned());
        Change {
            commands: commands.to_owned(),
            user,
            client,
            seconds,
            log: None,
        }
    }

    /// S11: rollback 0 is running, rollback 1 what was before.
    #[test]
    fn every_commit_pushes_the_one_before_down_the_history() {
        let changes = [
            change("set system host-name a", 100),
            change("set system host-name b", 200),
        ];
        let engine = Engine::new(&changes).unwrap();
        let name = |database| {
            let tree: Arc<Node> = engine.tree(database)?;
            tree.value(&["system", "host-name"]).map(str::to_owned)
        };
        assert_eq!(name(Database::Committed).as_deref(), Some("b"));
        assert_eq!(name(Database::Candidate).as_deref(), Some("b"));
        assert_eq!(name(Database::Rollback(0)).as_deref(), Some("b"));
        assert_eq!(name(Database::Rollback(1)).as_deref(), Some("a"));
        assert_eq!(name(Database::Rollback(2)), None);
        assert_eq!(name(Database::Rescue), None);
        assert_eq!(engine.running().identifier(), "re0-200-1");
    }

    #[test]
    fn a_commit_that_cannot_be_applied_changes_nothing() {
        let mut engine = Engine::new(&[change("set system host-name a", 100)]).unwrap();
        assert!(
            engine
                .commit_change(&change("set system host-name b\nset nonsense", 200))
                .is_err()
        );
        assert_eq!(engine.history().count(), 1);
        assert_eq!(engine.running().tree.value(&["system", "host-name"]), Some("a"));
    }

    #[test]
    fn the_history_holds_fifty_revisions() {
        let mut engine = Engine::new(&[]).unwrap();
        for number in 0..60 {
            engine
                .commit_change(&change(&format!("set system host-name r{number}"), number))
                .unwrap();
        }
        assert_eq!(engine.history().count(), HISTORY);
        assert_eq!(engine.running().number, 60);
    }
}
