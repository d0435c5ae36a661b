//! What the gateway says of a device, held against what the device did.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ncgate::emulator::Quirk;
use ncgate::emulator::config::{Cause, What};
use ncgate::service::edit::view::ChangeView;
use ncgate::service::edit::view::ConfirmedCommitView;

use super::{confirm_of, shares};
use crate::sim::glimpses::Glimpse;
use crate::sim::plan::{Confirm, ConfirmEnd, Deed, DevicePlan, Order, Trouble, Wish};
use crate::sim::witness::Claim;
use crate::sim::world::{DeviceReport, Told, USER};

/// Whoever waits, if it is none of our callers.
const OTHERS: &str = "somebody else";

pub struct Judge<'a> {
    pub plan: &'a DevicePlan,
    pub report: &'a DeviceReport,
    pub confirmed: &'a [ConfirmedCommitView],
    /// What is edited in the candidate without a lock.
    pub shared: &'a [String],
    pub told: &'a [Told],
    pub glimpses: &'a [Glimpse],
    pub claims: &'a [Claim],
    /// The changes whose confirmed commits were told as never made.
    pub never_made: &'a BTreeSet<&'a str>,
    /// When the gateway and the device could not reach each other, or one of them did not know that they could not.
    pub apart: &'a [(Duration, Duration)],
    pub broken: &'a mut Vec<String>,
}

impl Judge<'_> {
    pub(super) fn say(&mut self, what: String) {
        self.broken.push(format!("{}: {what}", self.plan.name));
    }

    pub fn all(mut self, orders: &[&Order], changes: &[ChangeView]) {
        let by_owner: BTreeMap<&str, Vec<&ChangeView>> =
            changes.iter().fold(BTreeMap::new(), |mut all, change| {
                all.entry(&*change.owner).or_insert_with(Vec::new).push(change);
                all
            });
        for order in orders {
            let owner = order.owner();
            let changes = by_owner.get(&*owner).map_or(&[][..], Vec::as_slice);
            // Where nothing was sent, a call with a key may come again as a new one.
            let in_vain = |change: &&ChangeView| {
                order.manner.key && change.state == "failed" && change.outcome.as_deref() == Some("not_sent")
            };
            let in_vain_ids: Vec<&str> = changes
                .iter()
                .filter(|change| in_vain(change))
                .map(|change| &*change.id)
                .collect();
            let counting: Vec<&ChangeView> = changes
                .iter()
                .copied()
                .filter(|change| !in_vain(change))
                .collect();
            if counting.len() > 1 {
                self.say(format!("{owner} has {} changes", counting.len()));
            }
            let change = counting.first().or(changes.first()).copied();
            let made = self.made(&order.word());
            if made.len() > 1 {
                self.say(format!("{owner} was committed {} times", made.len()));
            }
            if shares(order) {
                // What is in the shared candidate stays there, and whoever commits commits it.
                continue;
            }
            self.moments(order, made.first().copied(), &in_vain_ids);
            match change {
                None if made.is_empty() => {}
                None => self.say(format!("{owner} was committed, and there is no change")),
                Some(change) => self.change(order, change, made.first().copied()),
            }
            for told in self.told.iter().filter(|told| told.order == order.number) {
                self.told(order, told, made.first().copied(), change);
            }
        }
        self.confirms(orders);
        self.held();
        self.leftovers(orders);
    }

    fn change(&mut self, order: &Order, change: &ChangeView, made: Option<usize>) {
        let (owner, word) = (order.owner(), order.word());
        let outcome = change.outcome.as_deref().unwrap_or("absent");
        let what = format!("{owner} is {} ({outcome})", change.state);
        let commits = self.report.deeds.iter();
        // What its probe orders says that it does.
        let marker = format!("[ncgate {} ", change.id);
        let sent = commits
            .filter(|(deed, _)| deed.is_commit() && deed.says(&marker))
            .count();
        // An extension is the same commit again.
        let extensions = usize::from(confirm_of(order).is_some_and(|confirm| confirm.extend.is_some()));
        if sent > 1 + extensions {
            self.say(format!("{what}, and its commit was made {sent} times"));
        }
        let expected = match &*change.state {
            "committed" | "confirmed" | "kept" => "applied",
            "unchanged" | "discarded" | "cancelled" | "rolled_back" => "not_applied",
            "failed" if outcome == "not_sent" => "not_sent",
            "failed" => "not_applied",
            "unknown" => "unknown",
            _ => "an end",
        };
        if outcome != expected {
            self.say(format!("{what}, which should be {expected}"));
        }
        let later = matches!(order.what, Wish::Change { later: Some(_), .. });
        let Some(made) = made else {
            let never = ["failed", "unchanged", "discarded", "unknown"].contains(&&*change.state)
                || (later && change.state == "cancelled");
            if !never {
                self.say(format!("{what}, and was never committed"));
            }
            return;
        };
        if self.never_made.contains(&*change.id) {
            self.say(format!("{what}, was told as never made, and was"));
        }
        if self.plan.hides_history && confirm_of(order).is_some() {
            self.say(format!(
                "{what}, and was to be confirmed, where nobody sees whether it is"
            ));
        }
        let undone = self.undone(&word, made).map(|deed| self.deed(deed));
        let rolled_back = undone.is_some_and(|deed| matches!(deed.what, What::Rollback(_)));
        let restarted = undone.is_some_and(|deed| deed.what == What::Rollback(Cause::Restarted));
        match &*change.state {
            // Without a history a commit that was undone again looks as if it had not been made.
            "failed" if !self.plan.profile.junos() && rolled_back => {}
            "failed" | "unchanged" | "discarded" => self.say(format!("{what}, and was committed")),
            // What was not saved to startup is gone when the device starts again, and was committed all the same.
            "committed" if restarted => {}
            "committed" if rolled_back => self.say(format!("{what}, and was rolled back")),
            "rolled_back" if !rolled_back => self.say(format!("{what}, and was not: {undone:?}")),
            "cancelled" if later => self.say(format!("{what}, and was committed")),
            "cancelled" if undone.is_none() => self.say(format!("{what}, and is still there")),
            "kept" if rolled_back => self.say(format!("{what}, and was rolled back")),
            "kept" if self.ending(made).is_none() => self.say(format!("{what}, and waits still")),
            "confirmed" => self.confirmed(order, change, made, &what),
            _ => {}
        }
    }

    fn confirmed(&mut self, order: &Order, change: &ChangeView, made: usize, what: &str) {
        let by = self.confirmed.iter().find(|commit| commit.change_id == change.id);
        let by = by.and_then(|commit| commit.by.clone()).unwrap_or_default();
        let ours = by == "us";
        match self.confirming(made).map(|deed| self.deed(deed)) {
            None => self.say(format!("{what} by {by}, and nobody confirmed it")),
            Some(deed) if (deed.user == USER) != ours => {
                let deed = format!("{deed:?}");
                self.say(format!("{what} by {by}, and it was {deed}"));
            }
            Some(_) => {}
        }
        let Some(confirm) = confirm_of(order).filter(|_| ours) else {
            return;
        };
        let asked = matches!(confirm.end, ConfirmEnd::Confirm(_));
        let orders = self.told.iter();
        let mut orders = orders
            .filter(|told| told.order == order.number && told.part == "confirm")
            .peekable();
        let refused = orders.peek().is_some()
            && orders.all(|told| matches!(said(told), Err("not_sent" | "not_applied")));
        match confirm.probe {
            Some(probe) if probe.holds => {}
            Some(_) if !asked => self.say(format!("{what}, and its probe cannot have held")),
            Some(_) | None if !asked => self.say(format!("{what} by us, and nobody asked for that")),
            Some(_) | None if refused => {
                self.say(format!("{what} by us, which was refused to whoever asked"))
            }
            Some(_) | None => {}
        }
    }

    fn told(&mut self, order: &Order, told: &Told, made: Option<usize>, change: Option<&ChangeView>) {
        let owner = order.owner();
        let what = format!("{owner} was told {:?} of its {}", told.answer, told.part);
        let end = change.map_or("", |change| &*change.state);
        let answer = said(told);
        match told.part {
            "change" | "commit" => {}
            "dry run" if made.is_some() => self.say(format!("{what}, and it was committed")),
            "confirm" if answer == Ok("confirmed") && end != "confirmed" => {
                self.say(format!("{what}, and it is {end}"));
            }
            "cancel" | "call off" if answer == Ok("cancelled") && end != "cancelled" => {
                self.say(format!("{what}, and it is {end}"));
            }
            _ => {}
        }
        if !["change", "commit"].contains(&told.part) {
            return;
        }
        let there = ["committed", "pending_confirm", "confirmed", "rolled_back", "kept"];
        // What was taken back again is not there: found out late, or where nobody sees that it ever was.
        let undone = made.and_then(|made| self.undone(&order.word(), made));
        let is_gone =
            undone.is_some() && answer == Err("not_applied") && (told.derived || !self.plan.profile.junos());
        match answer {
            Ok(state) if there.contains(&state) && made.is_none() => {
                self.say(format!("{what}, and it was never committed"));
            }
            Err("applied") if made.is_none() => self.say(format!("{what}, and it was never committed")),
            // What was not sent may come again with the same key.
            Err("not_sent") if order.manner.key => return,
            Ok("unchanged") | Err("not_sent" | "not_applied") if made.is_some() && !is_gone => {
                self.say(format!("{what}, and it was committed"));
            }
            _ => {}
        }
        let ends: &[&str] = match answer {
            Ok("pending_confirm") => &["confirmed", "rolled_back", "kept", "cancelled", "unknown"],
            Ok("scheduled") => &["committed", "cancelled", "unknown"],
            Ok(other) => &[other],
            Err("applied") => &["committed"],
            Err("not_applied") if is_gone => &["failed", "cancelled", "rolled_back"],
            Err("not_sent" | "not_applied") => &["", "failed"],
            Err(_) => return,
        };
        if !ends.contains(&end) {
            self.say(format!("{what}, and in the end it is {end}"));
        }
        self.saved(order, told, made, change);
    }

    /// What was told as done is what the device starts with.
    fn saved(&mut self, order: &Order, told: &Told, made: Option<usize>, change: Option<&ChangeView>) {
        let wanted = !matches!(
            order.what,
            Wish::Change {
                save: Some(false),
                ..
            }
        );
        // Its rollback takes what was committed since with it.
        let spoilt = self.plan.has(Quirk::FailedCommitsWait);
        let (Some(_), Some(change), true) = (made, change, wanted && !spoilt && self.plan.has_startup())
        else {
            return;
        };
        let Some(startup) = &self.report.startup else {
            return;
        };
        let promised = said(told) == Ok("committed") && !told.derived;
        let warned = change.warnings.iter().any(|warning| {
            warning
                .error_message
                .as_deref()
                .is_some_and(|words| words.contains("startup"))
        });
        if promised && !warned && !startup.contains(&order.word()) {
            self.say(format!(
                "{} was told that it is saved, and it is not",
                order.owner()
            ));
        }
    }

    /// Nobody else's confirmed commit is confirmed by us, nor ours by accident.
    fn confirms(&mut self, orders: &[&Order]) {
        let mut waiting: Option<String> = None;
        // What came too late to be an extension has nothing in it, and is got rid of.
        let mut is_empty = false;
        for (index, (deed, _)) in self.report.deeds.iter().enumerate() {
            let ours = deed.user == USER;
            match deed.what {
                What::ConfirmedCommit { extends: false, .. } => {
                    let order = orders.iter().find(|order| {
                        self.made(&order.word()).first() == Some(&index)
                            || deed.says(&format!(" {}]", order.owner()))
                    });
                    is_empty = order.is_some_and(|order| {
                        let extended = confirm_of(order).is_some_and(|confirm| confirm.extend.is_some());
                        extended && self.made(&order.word()).first() != Some(&index)
                    });
                    waiting = Some(match order {
                        Some(order) if ours => order.owner(),
                        _ => OTHERS.to_owned(),
                    });
                }
                What::ConfirmedCommit { extends: true, .. }
                | What::Commit { confirms: true }
                | What::Confirmation
                    if ours =>
                {
                    let order = orders.iter().find(|order| Some(order.owner()) == waiting);
                    let meant = order
                        .and_then(|order| confirm_of(order))
                        .is_some_and(|confirm| is_empty || is_meant(confirm, deed.what));
                    if !meant && !blinds(self.plan) {
                        let said = format!("{deed:?} was not meant for what waited, of {waiting:?}");
                        self.broken.push(format!("{}: {said}", self.plan.name));
                    }
                    if !matches!(deed.what, What::ConfirmedCommit { .. }) {
                        waiting = None;
                    }
                }
                What::ConfirmedCommit { extends: true, .. } => waiting = Some(OTHERS.to_owned()),
                What::Commit { confirms: false } => {}
                What::Rollback(Cause::Killed) => {
                    if waiting.as_deref().is_some_and(|owner| owner != OTHERS) && !self.may_kill(orders) {
                        let said = format!("{deed:?} of {waiting:?}, and nobody may have killed its session");
                        self.broken.push(format!("{}: {said}", self.plan.name));
                    }
                    waiting = None;
                }
                What::Commit { confirms: true } | What::Confirmation | What::Rollback(_) | What::Kept => {
                    waiting = None;
                }
            }
        }
    }

    /// Whether somebody at the device kills sessions, or a caller who insists.
    fn may_kill(&self, orders: &[&Order]) -> bool {
        let beside = self.plan.meddling.iter().any(|deed| deed.what == Deed::Kill);
        beside
            || orders
                .iter()
                .any(|order| matches!(&order.what, Wish::Kill(kill) if kill.force))
    }

    fn leftovers(&mut self, orders: &[&Order]) {
        let report = self.report;
        for lock in report
            .locks
            .iter()
            .filter(|lock| lock.contains(&format!("by {USER} ")))
        {
            self.say(format!("{lock} is locked in the end"));
        }
        for order in orders.iter().filter(|order| !shares(order)) {
            let word = order.word();
            if report.candidate.contains(&word) && !report.running.contains(&word) {
                self.say(format!("{word} is left in the candidate"));
            }
        }
        if report.pending {
            self.say("a confirmed commit waits in the end".to_owned());
        }
    }
}

fn is_meant(confirm: &Confirm, what: What) -> bool {
    match what {
        What::ConfirmedCommit { .. } => confirm.extend.is_some(),
        What::Commit { .. } | What::Confirmation | What::Rollback(_) | What::Kept => {
            confirm.end != ConfirmEnd::Nothing || confirm.probe.is_some()
        }
    }
}

/// Whether the device hides, or once hid, from the gateway's user what waits; then it is told in a warning.
fn blinds(plan: &DevicePlan) -> bool {
    const HISTORY: &str = "get-commit-information";
    let mut deeds = plan.meddling.iter().map(|meddling| &meddling.what);
    plan.hides_history
        || deeds.any(|deed| matches!(deed, Deed::Fault(HISTORY, Trouble::Forbid | Trouble::Unheard)))
}

pub(super) fn said(told: &Told) -> Result<&str, &str> {
    let answer = told.answer.as_ref();
    answer.map(|state| &**state).map_err(|outcome| &**outcome)
}
