//! Commits: now, later, and until somebody confirms.

use std::sync::Arc;

use super::Node;
use super::check::{check, nothing_left};
use super::chronicle::What;
use super::engine::{Actor, Committed, Engine, Store, Working};
use super::merge::merge;
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
}

impl Confirm {
    /// A wait of so many seconds, which the history tells in minutes.
    pub fn for_seconds(seconds: i64) -> Self {
        Self {
            timeout: seconds,
            comment: format!("commit confirmed, rollback in {}mins", seconds / 60),
            persist: None,
        }
    }
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

/// What falls due.
#[derive(Clone, Copy, Debug)]
enum Due {
    /// A scheduled commit.
    Scheduled,
    /// The time of a commit that nobody confirmed.
    ConfirmTimeout,
    /// The end of undoing one.
    Undone,
}

/// What the errors before a failed commit end with.
const FAILED: &str = "configuration check-out failed";

impl Engine {
    /// Whether something fell due until `now`.
    pub fn is_due(&self, now: i64) -> bool {
        !self.stopped && self.next_due().is_some_and(|(due, _)| due <= now)
    }

    /// Does what fell due until `now`, in order.
    pub fn tick(&mut self, now: i64) {
        while !self.stopped
            && let Some((due, what)) = self.next_due()
            && due <= now
        {
            match what {
                Due::Scheduled => self.run_scheduled(due),
                Due::ConfirmTimeout => self.confirm_timeout(),
                Due::Undone => self.finish_undoing(),
            }
        }
    }

    /// What falls due first, and when.
    fn next_due(&self) -> Option<(i64, Due)> {
        let scheduled = self.scheduled.as_ref().map(|scheduled| scheduled.at);
        let confirmed = self.confirmed.as_ref().map(|confirmed| confirmed.deadline);
        let all = [
            self.undoing_until().map(|at| (at, Due::Undone)),
            confirmed.map(|at| (at, Due::ConfirmTimeout)),
            scheduled.map(|at| (at, Due::Scheduled)),
        ];
        all.into_iter().flatten().min_by_key(|(at, _)| *at)
    }

    /// Makes the commit that waited for its time.
    pub(super) fn run_scheduled(&mut self, now: i64) {
        if let Some(scheduled) = self.scheduled.take() {
            let before = self.running().tree.clone();
            self.carry_over(&before, &scheduled.tree);
            let mut revision = self.revision_of(&scheduled.actor, scheduled.tree, now);
            revision.log.clone_from(&scheduled.log);
            self.push(revision);
            let confirms = self.conduct.anyone_confirms && self.confirm();
            let what = What::Commit { confirms };
            self.note(now, Some(&scheduled.actor), scheduled.log.as_deref(), what);
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
        if self.stopped || self.undoing.is_some() {
            // Sessions are made to wait, see `Session::carry_out`; nobody else commits while the device does.
            return Err(vec![DeviceError::new(
                "the device is busy with a commit of its own",
            )]);
        }
        if let Some(copy) = self.copies.get(&actor.session) {
            match copy.working {
                Working::Ephemeral => return self.commit_ephemeral(actor.session, options),
                Working::Private if options.confirmed.is_some() && !self.conduct.private_confirmed => {
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
        self.may_commit(actor, options.persist_id.as_deref())
            .map_err(|error| vec![error])?;
        let before = self.running().tree.clone();
        let private = self.copies.get(&actor.session);
        let tree = match private {
            Some(copy) if copy.tree == copy.base => before.clone(),
            Some(copy) => Arc::new(merge(&copy.base, &copy.tree, &before)),
            None => self.candidate.clone(),
        };
        let untouched = private.is_some() && tree == before;
        let warnings = match checked(&tree, &before) {
            Ok(warnings) => warnings,
            Err(errors) => {
                if let Some(confirm) = options
                    .confirmed
                    .as_ref()
                    .filter(|_| self.conduct.failed_commits_wait)
                {
                    self.arm(actor, confirm, &before, false, now);
                }
                return Err(errors);
            }
        };
        if options.check {
            if self.conduct.check_confirms && self.confirm() {
                self.note(now, Some(actor), None, What::Confirmation);
            }
            return Ok(Committed {
                warnings,
                ..Committed::nothing()
            });
        }
        if let Some(at) = options.at {
            return Ok(self.schedule(actor, options, at, tree, warnings));
        }
        if untouched && options.confirmed.is_none() {
            if self.confirm() {
                self.note(now, Some(actor), None, What::Confirmation);
            }
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
        let changes = before.tree != tree;
        let what = match &options.confirmed {
            Some(confirm) => What::ConfirmedCommit {
                extends: self.arm(actor, confirm, &before.tree, changes, now),
                deadline: now + confirm.timeout,
            },
            None => What::Commit {
                confirms: self.confirm(),
            },
        };
        match self.copies.get_mut(&actor.session) {
            Some(copy) => {
                copy.base = tree.clone();
                copy.tree = tree.clone();
                self.carry_over(&before.tree, &tree);
            }
            None => self.candidate = tree,
        }
        self.push(revision);
        self.note(now, Some(actor), options.log.as_deref(), what);
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
        checked(tree, &self.running().tree)
    }

    /// The commit that waits for its time.
    pub fn scheduled(&self) -> Option<&Scheduled> {
        self.scheduled.as_ref()
    }

    /// Forgets the commit that waits for its time, and tells whether there was one.
    pub fn clear_scheduled(&mut self) -> bool {
        self.scheduled.take().is_some()
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
/// `running`: a device that was set up is not emptied.
fn checked(tree: &Node, running: &Node) -> Result<Vec<DeviceError>, Vec<DeviceError>> {
    let mut found = check(tree);
    if tree.children.is_empty() && !running.children.is_empty() {
        found.insert(0, nothing_left());
    }
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
