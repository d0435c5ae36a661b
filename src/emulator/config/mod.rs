//! The configuration of an emulated device: its databases, its history, and every way to show them.
//!
//! Knows neither NETCONF nor SSH. Today it is read only: `candidate` is what is running.

pub mod compare;
pub mod groups;
pub mod modules;
pub mod render;
pub mod schema;
pub mod select;
pub mod set;
pub mod text;
pub mod tree;

use std::collections::VecDeque;
use std::sync::Arc;

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
    /// A configuration committed before: 0 is running.
    Rollback(usize),
    /// The rescue configuration, where one was saved.
    Rescue,
}

/// All configurations of one device.
#[derive(Clone, Debug)]
pub struct Engine {
    /// Newest first, never empty.
    history: VecDeque<Revision>,
    rescue: Option<Arc<Node>>,
}

impl Engine {
    /// An engine whose history is the given commits, oldest first. Without any, an empty configuration is running.
    ///
    /// # Errors
    /// The first command that cannot be applied.
    pub fn new(changes: &[Change]) -> Result<Self, SetError> {
        let mut engine = Self {
            history: VecDeque::new(),
            rescue: None,
        };
        for change in changes {
            engine.commit(change)?;
        }
        if engine.history.is_empty() {
            let user = "root".to_owned();
            engine.push(Node::root(), user, "other".to_owned(), 0, None);
        }
        Ok(engine)
    }

    /// Applies commands to what is running and makes the result the newest revision.
    ///
    /// # Errors
    /// The first command that cannot be applied; nothing has changed then.
    pub fn commit(&mut self, change: &Change) -> Result<(), SetError> {
        let mut tree = self
            .history
            .front()
            .map_or_else(Node::root, |newest| (*newest.tree).clone());
        set::apply(&mut tree, &change.commands)?;
        self.push(
            tree,
            change.user.clone(),
            change.client.clone(),
            change.seconds,
            change.log.clone(),
        );
        Ok(())
    }

    fn push(&mut self, tree: Node, user: String, client: String, seconds: i64, log: Option<String>) {
        let number = self.history.front().map_or(0, |newest| newest.number + 1);
        self.history.push_front(Revision {
            tree: Arc::new(tree),
            number,
            user,
            client,
            seconds,
            log,
        });
        self.history.truncate(HISTORY);
    }

    /// Keeps what is running as the rescue configuration.
    pub fn save_rescue(&mut self) {
        self.rescue = Some(self.running().tree.clone());
    }

    /// The newest commit.
    pub fn running(&self) -> &Revision {
        self.history
            .front()
            .expect("new() puts a revision in and none is ever taken out")
    }

    /// Commits, newest first.
    pub fn history(&self) -> impl Iterator<Item = &Revision> {
        self.history.iter()
    }

    /// The configuration of this database, where there is one.
    pub fn tree(&self, database: Database) -> Option<Arc<Node>> {
        match database {
            Database::Candidate | Database::Committed => Some(self.running().tree.clone()),
            Database::Rollback(number) => self.history.get(number).map(|revision| revision.tree.clone()),
            Database::Rescue => self.rescue.clone(),
        }
    }

    /// The revision with this identifier.
    pub fn revision(&self, identifier: &str) -> Option<&Revision> {
        self.history
            .iter()
            .find(|revision| revision.identifier() == identifier)
    }
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
                .commit(&change("set system host-name b\nset nonsense", 200))
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
                .commit(&change(&format!("set system host-name r{number}"), number))
                .unwrap();
        }
        assert_eq!(engine.history().count(), HISTORY);
        assert_eq!(engine.running().number, 60);
    }
}
