//! What was told while things went on, held against what was so at that moment.
//!
//! What has happened was so before it was told. What waits to be confirmed did so when it was told: but for what nobody can
//! know before the device is asked again, each with the time that `docs/outcomes.md` gives it.

use std::time::Duration;

use ncgate::emulator::Quirk;
use ncgate::emulator::config::{Cause, What};

use super::deeds::{Judge, said};
use crate::sim::glimpses::EVERY;
use crate::sim::plan::Order;
use crate::sim::witness::{Deadlines, Said};
use crate::sim::world::USER;

/// What is written down at a device is so old at most, and hosts have their time one after the other.
const STEP: Duration = EVERY.saturating_add(Duration::from_millis(50));
/// Devices count whole seconds: their time may be up so much earlier.
const SECOND: Duration = Duration::from_millis(1_100);
/// Until the end of a session is noticed, with nothing in the way.
const NOTICED: Duration = Duration::from_secs(2);
/// For a look at a device that answers late or not: what an RPC may take, and a new connection.
const LOOK: Duration = Duration::from_secs(28);
/// Between two looks for what was not answered.
const PAUSE: Duration = Duration::from_secs(15);
/// How often the history is looked at for a commit that is made later.
const SCHEDULED: Duration = Duration::from_secs(60);

/// What is told of an order, and when.
struct Telling<'a> {
    what: String,
    asked: Duration,
    told: Duration,
    state: &'a str,
    /// Of a confirmed commit.
    deadlines: Option<Deadlines>,
}

impl Judge<'_> {
    /// What was told of an order. `made`: the deed that did it; `in_vain`: changes of its that were not sent.
    pub(super) fn moments(&mut self, order: &Order, made: Option<usize>, in_vain: &[&str]) {
        let (owner, word) = (order.owner(), order.word());
        let mut deadlines: Option<Deadlines> = None;
        let mut is_ordered = false;
        let claims = self.claims;
        for claim in claims {
            let (state, about) = match &claim.said {
                Said::Change {
                    id, owner: of, state, ..
                } if *of == owner && !in_vain.contains(&&**id) => (&**state, "its change"),
                Said::ConfirmedCommit {
                    owner: of,
                    state,
                    deadlines: now,
                    ..
                } if *of == owner => {
                    deadlines = Some(*now);
                    is_ordered = state == "confirming" || state == "cancelling";
                    (&**state, "its confirmed commit")
                }
                Said::Operation {
                    id,
                    kind,
                    owner: of,
                    change,
                    state: "succeeded",
                    ..
                } if *of == owner && !in_vain.contains(&&**id) => match change {
                    Some(state) => (&**state, "its operation"),
                    None => (kind_is(kind), "the operation of an order about it"),
                },
                Said::Change { .. }
                | Said::ConfirmedCommit { .. }
                | Said::Operation { .. }
                | Said::EditSession { .. }
                | Said::Lock { .. } => continue,
            };
            // A change has no word for an order that is being sent.
            if is_ordered && state == "pending_confirm" {
                continue;
            }
            self.telling(
                &Telling {
                    what: format!("{owner}: {about} was told as {state} at {:?}", claim.told),
                    asked: claim.asked,
                    told: claim.told,
                    state,
                    deadlines,
                },
                &word,
                made,
            );
        }
        let told = self.told.iter().filter(|told| told.order == order.number);
        for told in told {
            // The same answer may be given again long afterwards: only what has happened is so still.
            let state = match (told.part, said(told)) {
                ("change" | "commit", Ok("pending_confirm") | Err("applied")) => "made",
                ("change" | "commit", Ok("scheduled")) => continue,
                ("change" | "commit", Ok(state)) => state,
                ("confirm", Ok("confirmed")) => "confirmed",
                ("cancel", Ok("cancelled")) => "cancelled",
                ("extend", Ok(_)) => "extended",
                _ => continue,
            };
            self.telling(
                &Telling {
                    what: format!(
                        "{owner} was told {:?} of its {} at {:?}",
                        told.answer, told.part, told.at
                    ),
                    asked: told.at,
                    told: told.at,
                    state,
                    deadlines: None,
                },
                &word,
                made,
            );
        }
    }

    fn telling(&mut self, telling: &Telling, word: &str, made: Option<usize>) {
        let Telling {
            what, told, state, ..
        } = telling;
        let happened = [
            "made",
            "extended",
            "committed",
            "pending",
            "pending_confirm",
            "confirmed",
            "rolled_back",
            "kept",
        ];
        let is_scheduled = *state == "scheduled";
        if !happened.contains(state) && !is_scheduled && *state != "cancelled" {
            return;
        }
        let Some(made) = made else {
            // What was called off was never made; of ends the rest of the judgement knows.
            if ["pending", "pending_confirm", "made", "extended"].contains(state) {
                self.say(format!("{what}, and was never made"));
            }
            return;
        };
        let made_at = self.when(made);
        let by_then = |at: Duration| at <= *told + STEP;
        if is_scheduled {
            if telling.asked > made_at + SCHEDULED + LOOK && !self.is_apart(made_at, *told) {
                self.say(format!("{what}, and was made at {made_at:?}"));
            }
            return;
        }
        if !by_then(made_at) {
            return self.say(format!("{what}, and was made at {made_at:?} only"));
        }
        let since = match *state {
            "pending" | "pending_confirm" => return self.waits(telling, made),
            "confirmed" => self.confirming(made),
            "rolled_back" | "cancelled" => self.undone(word, made),
            "kept" => self.ending(made),
            "extended" => self.extension(word, made),
            _ => return,
        };
        match since.map(|deed| self.when(deed)) {
            Some(at) if by_then(at) => {}
            at => self.say(format!("{what}, and it was so at {at:?}")),
        }
    }

    /// The first extension of ours after this deed, as long as what it brought is there: nothing extends what is undone. To a
    /// device that has lost its timer an extension is a confirmed commit of its own.
    fn extension(&self, word: &str, made: usize) -> Option<usize> {
        let owner = format!(" {}]", word.replace("op-", "caller-"));
        let mut is_kept = false;
        for number in made + 1..self.report.deeds.len() {
            if !self.contains(number, word) {
                return None;
            }
            let deed = self.deed(number);
            match deed.what {
                What::Kept => is_kept = true,
                What::ConfirmedCommit { extends, .. } if deed.user == USER => {
                    let is_his = deed.log.is_none() || deed.says(&owner);
                    if extends || is_kept && is_his {
                        return Some(number);
                    }
                }
                What::ConfirmedCommit { .. }
                | What::Commit { .. }
                | What::Confirmation
                | What::Rollback(_) => {}
            }
        }
        None
    }

    /// Whether the session of the newest commit of ours had ended while the device was up: then there is none to tell that
    /// the device starts again.
    fn was_alone(&self, made: usize, ending: usize, over: Duration) -> bool {
        let is_ours = |number: &usize| {
            let deed = self.deed(*number);
            deed.user == USER && matches!(deed.what, What::ConfirmedCommit { .. })
        };
        let newest = (made..ending).rev().find(is_ours).unwrap_or(made);
        let Some(session) = self.deed(newest).session else {
            return false;
        };
        let since = self
            .glimpses
            .partition_point(|glimpse| glimpse.shape.deeds <= newest);
        let mut until = self.glimpses[since..]
            .iter()
            .take_while(|glimpse| glimpse.at <= over);
        let gone = until.find(|glimpse| !glimpse.shape.sessions.contains(&session));
        gone.is_some_and(|glimpse| glimpse.shape.up)
    }

    fn waits(&mut self, telling: &Telling, made: usize) {
        let Telling {
            what,
            asked,
            told,
            deadlines,
            ..
        } = telling;
        if let Some(deadlines) = deadlines
            && *asked > deadlines.latest + SECOND
        {
            self.say(format!("{what}, after its time, {deadlines:?}"));
        }
        let Some(ending) = self.ending(made) else { return };
        let says_so = self.plan.profile.junos() && !self.plan.has(Quirk::HidesPending);
        let over = match says_so {
            // Until it has taken it back the device itself says that it waits.
            true => self.when(ending),
            false => self.begun(made, ending),
        };
        if *asked <= over + STEP {
            return;
        }
        let deed = self.deed(ending).clone();
        let late = *asked - over;
        let is_excused = match deed.what {
            // Nothing tells the gateway what others do before it looks: at the deadline.
            What::Commit { .. } | What::Confirmation | What::ConfirmedCommit { .. } if deed.user != USER => {
                true
            }
            // Nor that a device has lost its timer.
            What::Kept => true,
            What::Rollback(Cause::Timeout) => {
                deadlines.is_none_or(|deadlines| *asked + SECOND + STEP >= deadlines.earliest)
            }
            What::Rollback(Cause::SessionEnded | Cause::Killed | Cause::Restarted) => {
                let most = if self.plan.profile.junos() {
                    NOTICED + LOOK
                } else {
                    NOTICED
                };
                let is_alone =
                    deed.what == What::Rollback(Cause::Restarted) && self.was_alone(made, ending, over);
                late <= most || is_alone || self.is_apart(over, *told)
            }
            What::Rollback(Cause::Cancelled)
            | What::Commit { .. }
            | What::Confirmation
            | What::ConfirmedCommit { .. } => late <= NOTICED + PAUSE + LOOK,
        };
        if !is_excused {
            self.say(format!(
                "{what}, {deadlines:?}, and it was over at {over:?}: {deed:?}"
            ));
        }
    }

    /// Whether device and gateway were parted at some time in between.
    fn is_apart(&self, from: Duration, to: Duration) -> bool {
        let mut apart = self.apart.iter();
        apart.any(|(begin, end)| *begin <= to && end.saturating_add(NOTICED) >= from)
    }

    /// Edit sessions and locks that the gateway said it has: the device has their sessions, or lost them so short a time
    /// ago that nobody can have noticed.
    pub(super) fn held(&mut self) {
        let claims = self.claims;
        for claim in claims {
            let (what, id) = match &claim.said {
                Said::EditSession {
                    id,
                    state,
                    session_id,
                } if state == "open" => (format!("the edit session {id}"), *session_id),
                Said::Lock {
                    kind,
                    datastore,
                    session_id,
                } => (format!("the {kind} of {datastore}"), *session_id),
                Said::EditSession { .. }
                | Said::Change { .. }
                | Said::ConfirmedCommit { .. }
                | Said::Operation { .. } => continue,
            };
            let from = claim.asked.saturating_sub(NOTICED);
            let first = self.glimpses.partition_point(|glimpse| glimpse.at <= from);
            let mut seen = self.glimpses[first.saturating_sub(1)..]
                .iter()
                .take_while(|glimpse| glimpse.at <= claim.told + STEP);
            let is_there = seen.any(|glimpse| {
                let mut sessions = glimpse.shape.sessions.iter();
                sessions.any(|session| u64::from(*session) == id)
            });
            if !is_there && !self.is_apart(from, claim.told) {
                let told = claim.told;
                self.say(format!(
                    "{what} in session {id} was told at {told:?}, and it is not there"
                ));
            }
        }
    }
}

/// What is so when an order of this kind has succeeded.
fn kind_is(kind: &str) -> &'static str {
    match kind {
        "confirm_confirmed_commit" => "confirmed",
        "cancel_confirmed_commit" => "cancelled",
        "extend_confirmed_commit" => "extended",
        _ => "done",
    }
}
