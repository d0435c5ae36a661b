//! Commits: now, later, and until somebody confirms.

use std::sync::Arc;

use super::check::check;
use super::engine::{Actor, Committed, Ending, Engine, Store, Working};
use super::merge::merge;
use super::{Node, Revision};
use crate::emulator::device_error::{DeviceError, Severity};
use crate::emulator::when::date_time;

/// How to commit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Only look whether it could be done.
    pub check: bool,
    /// The comment.
    pub log: Option<String>,
    /// Do it then, in seconds since 1970.
    pub at: Option<i64>,
    /// Undo it unless it is confirmed.
    pub confirmed: Option<Confirm>,
    /// Which commit this confirms, for a client that says so (RFC 6241 section 8.4).
    pub persist_id: Option<String>,
}

/// When a commit is made that waits for the next start of the device: at no time.
pub const AT_REBOOT: i64 = i64::MAX;

/// A commit that is undone unless it is confirmed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confirm {
    /// How long to wait, in seconds.
    pub timeout: i64,
    /// What the device says about it in the history.
    pub comment: String,
    /// The token that lets other sessions confirm (RFC 6241 section 8.4).
    pub persist: Option<String>,
    /// Whether it is undone as soon as its session ends, however that ends.
    pub dies_with_session: bool,
}

/// A commit that waits for its time.
#[derive(Clone, Debug, PartialEq)]
pub struct Scheduled {
    /// Who asked for it.
    pub actor: Actor,
    /// When, in seconds since 1970.
    pub at: i64,
    /// The comment.
    pub log: Option<String>,
    tree: Arc<Node>,
}

/// A commit that waits to be confirmed.
#[derive(Clone, Debug)]
pub struct Confirmed {
    /// The session that committed.
    pub session: u32,
    /// When it is undone, in seconds since 1970.
    pub deadline: i64,
    /// The token that lets other sessions confirm.
    pub persist: Option<String>,
    dies_with_session: bool,
    before: Arc<Node>,
}

/// What the errors before a failed commit end with.
const FAILED: &str = "configuration check-out failed";

impl Engine {
    /// Whether something fell due until `now`.
    pub fn is_due(&self, now: i64) -> bool {
        let scheduled = self.scheduled.as_ref().map(|scheduled| scheduled.at);
        let confirmed = self.confirmed.as_ref().map(|confirmed| confirmed.deadline);
        scheduled.into_iter().chain(confirmed).any(|due| due <= now)
    }

    /// Does what fell due until `now`.
    pub fn tick(&mut self, now: i64) {
        let due = self.scheduled.take_if(|scheduled| scheduled.at <= now);
        if let Some(scheduled) = due {
            let before = self.running().tree.clone();
            self.carry_over(&before, &scheduled.tree);
            let mut revision = self.revision_of(&scheduled.actor, scheduled.tree, scheduled.at);
            revision.log = scheduled.log;
            self.push(revision);
        }
        let overdue = self.confirmed.take_if(|confirmed| confirmed.deadline <= now);
        if let Some(confirmed) = overdue {
            self.roll_back(confirmed.before, confirmed.deadline);
        }
    }

    /// Commits what this session edits.
    ///
    /// # Errors
    /// All reasons, in order, the summary last. Nothing has changed then.
    pub fn commit(
        &mut self,
        actor: &Actor,
        options: &Options,
        now: i64,
    ) -> Result<Committed, Vec<DeviceError>> {
        if let Some(copy) = self.copies.get(&actor.session) {
            match copy.working {
                Working::Ephemeral => return self.commit_ephemeral(actor.session, options),
                Working::Private if options.confirmed.is_some() => {
                    let message = "commit confirmed not supported for private configuration";
                    return Err(vec![DeviceError::new(message)]);
                }
                Working::Private | Working::Shared => {}
            }
        }
        self.may_write(Store::Candidate, actor, now)
            .map_err(|error| vec![error])?;
        self.may_write(Store::Running, actor, now)
            .map_err(|error| vec![error])?;
        if let Some(scheduled) = &self.scheduled {
            let message = format!(
                "commit of {} is scheduled at {}; use 'clear system commit' to clear it",
                scheduled.actor.user,
                at_words(scheduled.at)
            );
            return Err(vec![DeviceError::new(message)]);
        }
        let token = self
            .confirmed
            .as_ref()
            .and_then(|pending| pending.persist.as_deref());
        if token != options.persist_id.as_deref() && (token.is_some() || options.persist_id.is_some()) {
            let error = DeviceError::new("no confirmed commit is pending under this persist-id");
            return Err(vec![
                error.tagged("protocol", "invalid-value").element("persist-id"),
            ]);
        }
        let before = self.running().tree.clone();
        let private = self.copies.get(&actor.session);
        let tree = match private {
            Some(copy) if copy.tree == copy.base => before.clone(),
            Some(copy) => Arc::new(merge(&copy.base, &copy.tree, &before)),
            None => self.candidate.clone(),
        };
        let untouched = private.is_some() && tree == before;
        let warnings = checked(&tree)?;
        if options.check {
            // As on Junos, where a check is enough.
            self.confirmed = None;
            return Ok(Committed {
                warnings,
                ..Committed::nothing()
            });
        }
        if let Some(at) = options.at {
            return Ok(self.schedule(actor, options, at, tree, warnings));
        }
        if untouched {
            self.confirmed = None;
            return Ok(Committed {
                warnings,
                ..Committed::nothing()
            });
        }
        Ok(self.make_running(actor, options, tree, warnings, now))
    }

    fn make_running(
        &mut self,
        actor: &Actor,
        options: &Options,
        tree: Arc<Node>,
        warnings: Vec<DeviceError>,
        now: i64,
    ) -> Committed {
        let before = self.running().clone();
        let mut revision = self.revision_of(actor, tree.clone(), now);
        revision.log.clone_from(&options.log);
        revision.comment = options.confirmed.as_ref().map(|confirm| confirm.comment.clone());
        // A confirmed commit on top of another extends it: what is restored stays what was before the first.
        let pending = self.confirmed.take();
        self.confirmed = options.confirmed.as_ref().map(|confirm| Confirmed {
            session: actor.session,
            deadline: now + confirm.timeout,
            persist: confirm.persist.clone(),
            dies_with_session: confirm.dies_with_session,
            before: pending.map_or_else(|| before.tree.clone(), |pending| pending.before),
        });
        match self.copies.get_mut(&actor.session) {
            Some(copy) => {
                copy.base = tree.clone();
                copy.tree = tree.clone();
                self.carry_over(&before.tree, &tree);
            }
            None => self.candidate = tree,
        }
        self.push(revision);
        Committed {
            revisions: Some((before.identifier(), self.running().identifier())),
            warnings,
            output: None,
        }
    }

    fn schedule(
        &mut self,
        actor: &Actor,
        options: &Options,
        at: i64,
        tree: Arc<Node>,
        warnings: Vec<DeviceError>,
    ) -> Committed {
        self.scheduled = Some(Scheduled {
            actor: actor.clone(),
            at,
            log: options.log.clone(),
            tree,
        });
        Committed {
            revisions: None,
            warnings,
            output: Some(format!("commit at will be executed at {}", at_words(at))),
        }
    }

    /// An instance is not checked, and has no history.
    fn commit_ephemeral(&mut self, session: u32, options: &Options) -> Result<Committed, Vec<DeviceError>> {
        let refused = |what: &str| {
            let message = format!("{what} is not supported for the ephemeral database");
            Err(vec![DeviceError::new(message)])
        };
        if options.check {
            return refused("commit check");
        }
        if options.confirmed.is_some() {
            return refused("commit confirmed");
        }
        if options.at.is_some() {
            return refused("commit at");
        }
        if options.log.is_some() {
            return refused("commit comment");
        }
        if let Some(copy) = self.copies.get_mut(&session) {
            let instance = copy.instance.clone().unwrap_or_default();
            let committed = self.ephemeral.get(&instance).cloned().unwrap_or_default();
            let merged = Arc::new(merge(&copy.base, &copy.tree, &committed));
            copy.base = merged.clone();
            copy.tree = merged.clone();
            self.ephemeral.insert(instance, merged);
        }
        Ok(Committed::nothing())
    }

    /// Looks whether this configuration could be committed.
    ///
    /// # Errors
    /// All reasons, in order, the summary last.
    pub fn validate(&self, tree: &Node) -> Result<Vec<DeviceError>, Vec<DeviceError>> {
        checked(tree)
    }

    /// The commit that waits for its time.
    pub fn scheduled(&self) -> Option<&Scheduled> {
        self.scheduled.as_ref()
    }

    /// Forgets the commit that waits for its time, and tells whether there was one.
    pub fn clear_scheduled(&mut self) -> bool {
        self.scheduled.take().is_some()
    }

    /// The commit that waits to be confirmed.
    pub fn confirmed(&self) -> Option<&Confirmed> {
        self.confirmed.as_ref()
    }

    /// Undoes the commit that waits to be confirmed, and tells whether there was one.
    pub fn cancel_confirmed(&mut self, now: i64) -> bool {
        let pending = self.confirmed.take();
        let any = pending.is_some();
        if let Some(confirmed) = pending {
            self.roll_back(confirmed.before, now);
        }
        any
    }

    /// Junos undoes a commit whose session was killed and leaves the timer running otherwise; RFC 6241 section 8.4.1
    /// undoes it at any end of the session.
    pub(super) fn confirmer_ended(&mut self, session: u32, ending: Ending, now: i64) {
        let dies = |confirmed: &mut Confirmed| {
            confirmed.session == session
                && confirmed.persist.is_none()
                && (confirmed.dies_with_session || ending == Ending::Killed)
        };
        if let Some(confirmed) = self.confirmed.take_if(dies) {
            self.roll_back(confirmed.before, now);
        }
    }

    /// Restores a configuration as a commit of the device itself.
    fn roll_back(&mut self, tree: Arc<Node>, seconds: i64) {
        let before = self.running().tree.clone();
        self.carry_over(&before, &tree);
        self.push(Revision {
            tree,
            number: 0,
            user: "root".to_owned(),
            client: "other".to_owned(),
            seconds,
            log: None,
            comment: None,
        });
    }
}

/// A time as it stands in what the device says of a commit that waits for it.
pub fn at_words(at: i64) -> String {
    if at == AT_REBOOT {
        "reboot".to_owned()
    } else {
        date_time(at)
    }
}

/// The warnings about a configuration, or the errors and what a device says at their end.
fn checked(tree: &Node) -> Result<Vec<DeviceError>, Vec<DeviceError>> {
    let mut found = check(tree);
    if found.iter().all(|problem| problem.severity == Severity::Warning) {
        return Ok(found);
    }
    let missing = found
        .iter()
        .any(|problem| problem.message.contains("Missing mandatory statement"));
    let summary = if missing {
        format!("{FAILED}: (missing mandatory statements)")
    } else {
        FAILED.to_owned()
    };
    found.push(DeviceError::new(summary).tagged("protocol", "operation-failed"));
    Err(found)
}
