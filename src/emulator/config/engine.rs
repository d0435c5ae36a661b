//! All configurations of one device, and who may change which.
//!
//! Pure: every call that depends on the time takes it as `now`, in seconds since 1970, and [`Engine::tick`] does what
//! fell due before. Nothing happens between calls.
//!
//! ```text
//!  private copy ──commit──┐                     ┌─> rollback 1, 2, … 49
//!  shared candidate ──commit──> running ────────┤
//!  ephemeral copy ──commit──> instance          └─> rescue, startup
//! ```

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::chronicle::{Chronicle, What};
use super::commit::Scheduled;
use super::conduct::Conduct;
use super::pending::{Confirmed, Undoing};
use super::set::{self, SetError};
use super::{Change, Database, HISTORY, Node, Revision};
use crate::emulator::device_error::DeviceError;

/// A datastore that can be locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Store {
    /// The shared candidate.
    Candidate,
    /// What is running.
    Running,
    /// What the device starts with.
    Startup,
}

/// Who acts: a session of the device, or somebody at its CLI.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    /// Session-id, which is the process id of its server.
    pub session: u32,
    /// Who is logged in.
    pub user: String,
    /// Through what: `netconf`, `cli`.
    pub client: &'static str,
    /// The terminal, where there is one.
    pub terminal: Option<String>,
    /// Since when, in seconds since 1970.
    pub since: i64,
}

/// How a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It was closed in order.
    Closed,
    /// Its connection was lost.
    Lost,
    /// Another session killed it.
    Killed,
}

/// What a session edits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Working {
    /// The shared candidate.
    Shared,
    /// A private copy.
    Private,
    /// A copy of an ephemeral instance.
    Ephemeral,
}

/// What came of a commit.
#[derive(Clone, Debug, PartialEq)]
pub struct Committed {
    /// The revision identifiers before and after, where one was made.
    pub revisions: Option<(String, String)>,
    /// Warnings on the way.
    pub warnings: Vec<DeviceError>,
    /// What the device says about it.
    pub output: Option<String>,
}

/// Under what name the dynamic database is kept; no instance can have it.
const DYNAMIC: &str = " dynamic";

impl Committed {
    /// Nothing was committed, and nothing is to be said.
    pub fn nothing() -> Self {
        Self {
            revisions: None,
            warnings: Vec::new(),
            output: None,
        }
    }
}

/// A copy of a configuration that one session has for itself.
#[derive(Clone, Debug)]
pub(super) struct Copy {
    /// The instance, of an ephemeral copy; the default instance has no name.
    pub instance: Option<String>,
    pub working: Working,
    /// What it was when it was opened.
    pub base: Arc<Node>,
    pub tree: Arc<Node>,
}

/// All configurations of one device.
#[derive(Clone, Debug)]
pub struct Engine {
    /// Newest first, never empty.
    pub(super) history: VecDeque<Revision>,
    pub(super) rescue: Option<Arc<Node>>,
    pub(super) candidate: Arc<Node>,
    pub(super) startup: Arc<Node>,
    pub(super) ephemeral: BTreeMap<String, Arc<Node>>,
    /// Who holds what, and since when.
    pub(super) locks: BTreeMap<Store, (Actor, i64)>,
    pub(super) copies: BTreeMap<u32, Copy>,
    pub(super) scheduled: Option<Scheduled>,
    pub(super) confirmed: Option<Confirmed>,
    pub(super) undoing: Option<Undoing>,
    pub(super) chronicle: Chronicle,
    /// The device is stopped, and time means nothing.
    pub(super) stopped: bool,
    /// In what the device differs from others.
    pub conduct: Conduct,
    /// The session that validated last, until somebody edits or commits.
    validated: Option<u32>,
}

impl Engine {
    /// An engine whose history is the given commits, oldest first. Without any, an empty configuration is running.
    ///
    /// # Errors
    /// The first command that cannot be applied.
    pub fn new(changes: &[Change]) -> Result<Self, SetError> {
        let empty = Arc::new(Node::root());
        let mut engine = Self {
            history: VecDeque::new(),
            rescue: None,
            candidate: empty.clone(),
            startup: empty,
            ephemeral: BTreeMap::new(),
            locks: BTreeMap::new(),
            copies: BTreeMap::new(),
            scheduled: None,
            confirmed: None,
            undoing: None,
            chronicle: Chronicle::default(),
            stopped: false,
            conduct: Conduct::JUNOS,
            validated: None,
        };
        for change in changes {
            engine.commit_change(change)?;
        }
        if engine.history.is_empty() {
            engine.push(Revision {
                tree: Arc::new(Node::root()),
                number: 0,
                user: "root".to_owned(),
                client: "other".to_owned(),
                seconds: 0,
                log: None,
                comment: None,
            });
        }
        engine.startup = engine.running().tree.clone();
        engine.chronicle.clear();
        Ok(engine)
    }

    /// Applies commands to what is running and makes the result the newest revision, as somebody else's commit from
    /// a private copy would: without a look at locks, and beside what others have in the candidate. Where anybody's
    /// commit confirms, so does this.
    ///
    /// # Errors
    /// The first command that cannot be applied; nothing has changed then.
    pub fn commit_change(&mut self, change: &Change) -> Result<(), SetError> {
        let running = self
            .history
            .front()
            .map(|newest| newest.tree.clone())
            .unwrap_or_default();
        let mut tree = (*running).clone();
        set::apply(&mut tree, &change.commands)?;
        let tree = Arc::new(tree);
        self.carry_over(&running, &tree);
        self.push(Revision {
            tree,
            number: 0,
            user: change.user.clone(),
            client: change.client.clone(),
            seconds: change.seconds,
            log: change.log.clone(),
            comment: None,
        });
        let confirms = self.conduct.anyone_confirms && self.confirm();
        self.note(
            change.seconds,
            None,
            change.log.as_deref(),
            What::Commit { confirms },
        );
        Ok(())
    }

    /// Makes this the newest revision; its number follows from the one before.
    pub(super) fn push(&mut self, mut revision: Revision) {
        revision.number = self.history.front().map_or(0, |newest| newest.number + 1);
        self.history.push_front(revision);
        self.history.truncate(HISTORY);
    }

    /// Brings the shared candidate what a commit from elsewhere changed.
    pub(super) fn carry_over(&mut self, before: &Arc<Node>, after: &Arc<Node>) {
        self.candidate = if self.candidate == *before {
            after.clone()
        } else {
            Arc::new(super::merge::merge(before, after, &self.candidate))
        };
    }

    /// Keeps what is running as the rescue configuration.
    pub fn save_rescue(&mut self) {
        self.rescue = Some(self.running().tree.clone());
    }

    /// Forgets the rescue configuration.
    pub fn delete_rescue(&mut self) {
        self.rescue = None;
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
            Database::Candidate => Some(self.candidate.clone()),
            Database::Committed => Some(self.running().tree.clone()),
            Database::Startup => Some(self.startup.clone()),
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

    /// Whether the shared candidate differs from what is running.
    pub fn is_modified(&self) -> bool {
        !Arc::ptr_eq(&self.candidate, &self.running().tree) && self.candidate != self.running().tree
    }

    /// What this session edits.
    pub fn working(&self, session: u32) -> Working {
        self.copies
            .get(&session)
            .map_or(Working::Shared, |copy| copy.working)
    }

    /// The configuration that is the candidate to this session: its own copy, or the shared one.
    pub fn candidate_of(&self, session: u32) -> Arc<Node> {
        self.copies
            .get(&session)
            .map_or(&self.candidate, |copy| &copy.tree)
            .clone()
    }

    /// What the session's candidate is compared with: what is running, or was committed to its instance.
    pub fn committed_of(&self, session: u32) -> Arc<Node> {
        let instance = self.copies.get(&session).and_then(|copy| copy.instance.as_ref());
        match instance {
            Some(instance) => self.ephemeral(instance),
            None => self.running().tree.clone(),
        }
    }

    /// How many bytes of text all that is committed makes, ephemeral instances included.
    pub fn bytes(&self) -> usize {
        let trees = self
            .ephemeral
            .values()
            .chain(std::iter::once(&self.running().tree));
        trees.map(|tree| set::render(tree).len()).sum()
    }

    /// What was committed to an ephemeral instance; the default instance has the empty name.
    pub fn ephemeral(&self, instance: &str) -> Arc<Node> {
        self.ephemeral.get(instance).cloned().unwrap_or_default()
    }

    /// What a datastore holds for this session.
    pub fn source(&self, session: u32, store: Store) -> Arc<Node> {
        match store {
            Store::Candidate => self.candidate_of(session),
            Store::Running => self.running().tree.clone(),
            Store::Startup => self.startup.clone(),
        }
    }

    /// Keeps in mind that this session validated something, and all was well. Where that confirms a commit that waits,
    /// it does.
    pub fn note_validated(&mut self, actor: &Actor, store: Option<Store>, now: i64) {
        self.validated = Some(actor.session);
        if store == Some(Store::Candidate) && self.conduct.validate_confirms && self.confirm() {
            self.note(now, Some(actor), None, What::Confirmation);
        }
    }

    /// Whether this session validated since the last edit.
    pub fn was_validated(&self, session: u32) -> bool {
        self.validated == Some(session)
    }

    /// Changes what this session edits.
    ///
    /// # Errors
    /// Somebody else has locked it, or works on a private copy of it.
    pub fn edit<T>(
        &mut self,
        actor: &Actor,
        now: i64,
        change: impl FnOnce(&mut Node) -> T,
    ) -> Result<T, DeviceError> {
        self.validated = None;
        if let Some(copy) = self.copies.get_mut(&actor.session) {
            return Ok(change(Arc::make_mut(&mut copy.tree)));
        }
        self.may_write(Store::Candidate, actor, now)?;
        let private = self.copies.values().any(|copy| copy.working == Working::Private);
        if private && !self.locks.contains_key(&Store::Candidate) {
            return Err(DeviceError::new(
                "error: private edits in use. Try 'configure private' or 'configure exclusive'",
            ));
        }
        Ok(change(Arc::make_mut(&mut self.candidate)))
    }

    /// Changes what is running at once, as servers with `:writable-running` do.
    ///
    /// # Errors
    /// Somebody else has locked it.
    pub fn edit_running<T>(
        &mut self,
        actor: &Actor,
        now: i64,
        change: impl FnOnce(&mut Node) -> T,
    ) -> Result<T, DeviceError> {
        self.may_write(Store::Running, actor, now)?;
        let before = self.running().tree.clone();
        let mut after = (*before).clone();
        let result = change(&mut after);
        if after != *before {
            let after = Arc::new(after);
            self.carry_over(&before, &after);
            self.push(self.revision_of(actor, after, now));
            let confirms = false;
            self.note(now, Some(actor), None, What::Commit { confirms });
        }
        Ok(result)
    }

    /// Changes what the device starts with.
    ///
    /// # Errors
    /// Somebody else has locked it.
    pub fn set_startup(&mut self, actor: &Actor, now: i64, tree: Arc<Node>) -> Result<(), DeviceError> {
        self.may_write(Store::Startup, actor, now)?;
        self.startup = tree;
        Ok(())
    }

    /// A commit of this actor, not numbered yet.
    pub(super) fn revision_of(&self, actor: &Actor, tree: Arc<Node>, now: i64) -> Revision {
        Revision {
            tree,
            number: 0,
            user: actor.user.clone(),
            client: actor.client.to_owned(),
            seconds: now,
            log: None,
            comment: None,
        }
    }

    /// Gives up what was edited and not committed.
    ///
    /// # Errors
    /// Somebody else has locked the candidate.
    pub fn discard(&mut self, actor: &Actor, now: i64) -> Result<(), DeviceError> {
        let committed = self.committed_of(actor.session);
        if let Some(copy) = self.copies.get_mut(&actor.session) {
            copy.base = committed.clone();
            copy.tree = committed;
            return Ok(());
        }
        self.may_write(Store::Candidate, actor, now)?;
        self.candidate = committed;
        Ok(())
    }

    /// Opens a private copy.
    ///
    /// # Errors
    /// The session has something open, or holds the lock.
    pub fn open_private(&mut self, session: u32) -> Result<(), DeviceError> {
        let base = self.running().tree.clone();
        self.open(session, Working::Private, None, base)
    }

    /// Opens an ephemeral instance; the default one has the empty name.
    ///
    /// # Errors
    /// The session has something open or holds the lock, or no such instance is configured.
    pub fn open_ephemeral(&mut self, session: u32, instance: &str) -> Result<(), DeviceError> {
        let running = self.running().tree.clone();
        let mut configured = ["system", "configuration-database", "ephemeral"]
            .iter()
            .try_fold(&*running, |node, name| node.child(name))
            .into_iter()
            .flat_map(|ephemeral| ephemeral.children_named("instance"));
        if !instance.is_empty() && !configured.any(|node| node.argument == instance && !node.inactive) {
            let message = format!("ephemeral instance '{instance}' is not configured");
            return Err(DeviceError::new(message).element("ephemeral-instance"));
        }
        let base = self.ephemeral(instance);
        self.open(session, Working::Ephemeral, Some(instance.to_owned()), base)
    }

    /// Opens the dynamic database.
    ///
    /// # Errors
    /// The session has something open or holds the lock.
    pub fn open_dynamic(&mut self, session: u32) -> Result<(), DeviceError> {
        let base = self.ephemeral(DYNAMIC);
        self.open(session, Working::Ephemeral, Some(DYNAMIC.to_owned()), base)
    }

    fn open(
        &mut self,
        session: u32,
        working: Working,
        instance: Option<String>,
        base: Arc<Node>,
    ) -> Result<(), DeviceError> {
        let locked = self
            .locks
            .get(&Store::Candidate)
            .is_some_and(|(holder, _)| holder.session == session);
        if locked || self.copies.contains_key(&session) {
            return Err(super::locks::already_open());
        }
        let tree = base.clone();
        self.copies.insert(
            session,
            Copy {
                instance,
                working,
                base,
                tree,
            },
        );
        Ok(())
    }

    /// Closes the session's copy, and tells whether there was one and whether something in it was lost.
    pub fn close(&mut self, session: u32) -> Option<bool> {
        let copy = self.copies.remove(&session)?;
        Some(copy.tree != copy.base)
    }

    /// Ends a session: its locks are gone, and with them what it had not committed, unless the device leaves them; so
    /// is its copy.
    pub fn end_session(&mut self, session: u32, ending: Ending, now: i64) {
        self.close(session);
        let held: Vec<Store> = self
            .locks
            .iter()
            .filter(|(_, (holder, _))| holder.session == session)
            .map(|(store, _)| *store)
            .collect();
        for store in held {
            if !self.conduct.locks_stay {
                self.release(store);
            }
        }
        self.confirmer_ended(session, ending, now);
    }
}
