//! Commits that wait to be confirmed: who may commit meanwhile, what confirms them, and what undoes them.
//!
//! ```text
//!  nothing ──confirmed commit──> Confirmed ──commit, check──> nothing (it stays)
//!     ^                           │  ^  └─confirmed commit─┐
//!     │                           │  └─────────────────────┘ (a new deadline)
//!     │                  deadline, cancel, end of the session
//!     └──(the tree of before is running)── Undoing <┘
//! ```

use std::sync::Arc;

use super::chronicle::{Cause, What};
use super::commit::{AT_REBOOT, Confirm};
use super::engine::{Actor, Ending, Engine};
use super::{Node, Restart, Revision, UndoneBy};
use crate::emulator::device_error::DeviceError;

/// A commit that waits to be confirmed.
#[derive(Clone, Debug)]
pub struct Confirmed {
    /// The session that committed.
    pub session: u32,
    /// When it is undone, in seconds since 1970.
    pub deadline: i64,
    /// The token that lets other sessions confirm.
    pub persist: Option<String>,
    before: Arc<Node>,
}

/// A commit that is being undone.
#[derive(Clone, Debug)]
pub(super) struct Undoing {
    /// When that is done, in seconds since 1970.
    pub until: i64,
    before: Arc<Node>,
    cause: Cause,
}

impl Engine {
    /// The commit that waits to be confirmed.
    pub fn confirmed(&self) -> Option<&Confirmed> {
        self.confirmed.as_ref()
    }

    /// Until when a commit is being undone, in seconds since 1970, where one is.
    pub fn undoing_until(&self) -> Option<i64> {
        self.undoing.as_ref().map(|undoing| undoing.until)
    }

    /// Fails where a commit of this actor has to wait until another one is confirmed, or where its token means
    /// nothing.
    pub(super) fn may_commit(&self, actor: &Actor, token: Option<&str>) -> Result<(), DeviceError> {
        let unknown = || {
            let error = DeviceError::new("no confirmed commit is pending under this persist-id");
            Err(error.tagged("protocol", "invalid-value").element("persist-id"))
        };
        let Some(pending) = &self.confirmed else {
            return match token {
                Some(_) if !self.conduct.unknown_tokens_commit => unknown(),
                Some(_) | None => Ok(()),
            };
        };
        match (&pending.persist, token) {
            (Some(persist), Some(token)) if persist == token => Ok(()),
            (Some(_) | None, Some(_)) => unknown(),
            (Some(_) | None, None) if self.conduct.anyone_confirms => Ok(()),
            (None, None) if pending.session == actor.session => Ok(()),
            (Some(_) | None, None) => Err(outstanding()),
        }
    }

    /// Fails where a confirmed commit of another session keeps this actor from locking what is running (RFC 6241
    /// section 7.5).
    pub(super) fn may_lock_running(&self, actor: &Actor) -> Result<(), DeviceError> {
        let others = |pending: &Confirmed| pending.session != actor.session;
        if !self.conduct.anyone_confirms && self.confirmed.as_ref().is_some_and(others) {
            return Err(outstanding());
        }
        Ok(())
    }

    /// Lets a commit wait to be confirmed, on top of `before`. If one waits already, it is undone together with
    /// this one, and goes by its token unless there is a new one. Tells whether one waited.
    pub(super) fn arm(
        &mut self,
        actor: &Actor,
        confirm: &Confirm,
        before: &Arc<Node>,
        changes: bool,
        now: i64,
    ) -> bool {
        let pending = self.confirmed.take();
        let extends = pending.is_some();
        let (earlier, token) =
            pending.map_or((None, None), |pending| (Some(pending.before), pending.persist));
        let apart = changes && self.conduct.later_confirms_earlier;
        self.confirmed = Some(Confirmed {
            session: actor.session,
            deadline: now + confirm.timeout,
            persist: confirm.persist.clone().or(token),
            before: earlier.filter(|_| !apart).unwrap_or_else(|| before.clone()),
        });
        extends
    }

    /// Makes the commit that waits stay, and tells whether one waited.
    pub(super) fn confirm(&mut self) -> bool {
        self.confirmed.take().is_some()
    }

    /// Undoes the commit that waits, for its session or for who knows its token; tells whether there was one.
    pub fn cancel(&mut self, actor: &Actor, token: Option<&str>, now: i64) -> bool {
        let fits = self.confirmed.as_ref().is_some_and(|pending| {
            pending.persist.as_deref() == token && (token.is_some() || pending.session == actor.session)
        });
        if fits && let Some(confirmed) = self.confirmed.take() {
            // Whoever asked waits for the answer, and so for the end of it.
            self.restore(confirmed.before, Cause::Cancelled, Some(actor), now);
        }
        fits
    }

    /// What the end of the session does to a commit of its own that waits.
    pub(super) fn confirmer_ended(&mut self, session: u32, ending: Ending, now: i64) {
        let conduct = &self.conduct;
        let killed = ending == Ending::Killed;
        let dies = |confirmed: &mut Confirmed| {
            confirmed.session == session
                && match confirmed.persist {
                    Some(_) => killed && conduct.kill_undoes_persistent,
                    None => conduct.undone_by.covers(ending),
                }
        };
        let dying = self.confirmed.take_if(dies);
        if let Some(confirmed) = dying {
            let cause = if killed {
                Cause::Killed
            } else {
                Cause::SessionEnded
            };
            self.undo(confirmed.before, cause, now);
        }
    }

    /// What the end of the time does to the commit that waits.
    pub(super) fn confirm_timeout(&mut self) {
        if let Some(confirmed) = self.confirmed.take() {
            if self.conduct.never_rolls_back {
                self.note(confirmed.deadline, None, None, What::Kept);
            } else {
                self.undo(confirmed.before, Cause::Timeout, confirmed.deadline);
            }
        }
    }

    /// Begins to undo a commit, and is done with it at once if it takes no time.
    fn undo(&mut self, before: Arc<Node>, cause: Cause, now: i64) {
        let until = now + self.conduct.rollback_seconds;
        self.undoing = Some(Undoing { until, before, cause });
        if until <= now {
            self.finish_undoing();
        }
    }

    /// Is done with undoing a commit.
    pub(super) fn finish_undoing(&mut self) {
        if let Some(undoing) = self.undoing.take() {
            self.restore(undoing.before, undoing.cause, None, undoing.until);
        }
    }

    /// Restores a configuration, as a commit of the device itself.
    fn restore(&mut self, tree: Arc<Node>, cause: Cause, actor: Option<&Actor>, seconds: i64) {
        let before = self.running().tree.clone();
        self.carry_over(&before, &tree);
        self.push_own(tree, seconds);
        self.note(seconds, actor, None, What::Rollback(cause));
    }

    /// Makes this the newest revision, in the name of the device itself: without a comment.
    fn push_own(&mut self, tree: Arc<Node>, seconds: i64) {
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

    /// The device stops: locks, copies, instances and the candidate are gone. Nothing happens until [`Engine::start`].
    pub fn stop(&mut self) {
        self.stopped = true;
        self.forget();
    }

    fn forget(&mut self) {
        self.locks.clear();
        self.copies.clear();
        self.ephemeral.clear();
        self.candidate = self.running().tree.clone();
    }

    /// Whether the device is stopped.
    pub fn is_stopped(&self) -> bool {
        self.stopped
    }

    /// The device starts again. What became of a commit that waited is for `restart` to say; with a startup
    /// datastore, that is what runs, and nothing waits any more.
    pub fn start(&mut self, restart: Restart, now: i64) {
        self.stopped = false;
        self.finish_undoing();
        let pending = self.confirmed.take();
        if self.conduct.starts_with_startup {
            if self.startup != self.running().tree {
                self.push_own(self.startup.clone(), now);
                self.note(now, None, None, What::Rollback(Cause::Restarted));
            } else if pending.is_some() {
                self.note(now, None, None, What::Kept);
            }
        } else if let Some(pending) = pending {
            self.resume(pending, restart, now);
        }
        // Also what a request did that was under way when the device stopped.
        self.forget();
        if self
            .scheduled
            .as_ref()
            .is_some_and(|scheduled| scheduled.at == AT_REBOOT)
        {
            self.run_scheduled(now);
        }
        self.tick(now);
    }

    /// What a start makes of a commit that waited.
    fn resume(&mut self, mut pending: Confirmed, restart: Restart, now: i64) {
        let bound = pending.persist.is_none() && self.conduct.undone_by == UndoneBy::AnyEnd;
        match restart {
            Restart::Keeps => self.note(now, None, None, What::Kept),
            Restart::Remembers | Restart::ForgetsToken if !bound => {
                if restart == Restart::ForgetsToken {
                    pending.persist = None;
                }
                // No session has this id: whoever committed is gone.
                pending.session = 0;
                pending.deadline = pending.deadline.max(now);
                self.confirmed = Some(pending);
            }
            Restart::Reverts | Restart::Remembers | Restart::ForgetsToken => {
                self.restore(pending.before, Cause::Restarted, None, now);
            }
        }
    }
}

/// What a server says while a confirmed commit of somebody else waits.
fn outstanding() -> DeviceError {
    DeviceError::new("cannot perform the operation with confirmed-commit pending")
        .tagged("protocol", "in-use")
        .app_tag("outstanding-confirmed-commit")
}
