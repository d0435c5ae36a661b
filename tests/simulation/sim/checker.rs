//! The judgement: what the gateway says in the end, and what its callers were told, held against what the devices did.
//!
//! It knows nothing of how the gateway finds out. A device is a list of deeds, each with the configuration after it; every
//! order has a word of its own, and has been carried out when its word came into the configuration.

use std::collections::BTreeMap;

use ncgate::emulator::config::{Cause, Deed, What};
use ncgate::service::edit::view::{ChangeView, ConfirmedCommitView};

use super::plan::{Confirm, ConfirmEnd, Order, SessionEnd, Wish};
use super::world::{DeviceReport, Told, USER, World};

/// Everything that is not as it has to be.
pub fn check(world: &World) -> Vec<String> {
    let mut broken = Vec::new();
    let state = world.state();
    let gateway = &state.gateway;
    for (number, report) in &state.devices {
        let name = &world.plan().devices[*number].name;
        let orders: Vec<&Order> = world.plan().callers.iter().flatten().collect();
        let orders: Vec<&Order> = orders
            .into_iter()
            .filter(|order| order.device == *number)
            .collect();
        let changes = gateway.changes.get(*number).map_or(&[][..], Vec::as_slice);
        let judge = Judge {
            name,
            junos: world.plan().devices[*number].profile.junos(),
            report,
            confirmed: &gateway.confirmed,
            broken: &mut broken,
        };
        judge.all(&orders, changes, &state.told);
        for session in gateway.edit_sessions.get(*number).into_iter().flatten() {
            if session.state == "open" {
                broken.push(format!(
                    "{name}: edit session {} of {} is open",
                    session.id, session.owner
                ));
            }
        }
    }
    for commit in &gateway.confirmed {
        if ["pending", "confirming", "cancelling"].contains(&&*commit.state) {
            broken.push(format!(
                "{}: confirmed commit of {} is {}",
                commit.device, commit.owner, commit.state
            ));
        }
    }
    broken
}

/// How many changes have no end that anybody knows.
pub fn unknown(world: &World) -> usize {
    let state = world.state();
    let changes = state.gateway.changes.iter().flatten();
    changes.filter(|change| change.state == "unknown").count()
}

/// How often devices committed for the gateway.
pub fn commits(world: &World) -> usize {
    let state = world.state();
    let deeds = state.devices.values().flat_map(|report| &report.deeds);
    deeds
        .filter(|(deed, _)| deed.user == USER && deed.is_commit())
        .count()
}

/// Adds to the trace what was judged.
pub fn tell(world: &World) {
    let state = world.state();
    for (number, report) in &state.devices {
        let name = &world.plan().devices[*number].name;
        for (deed, text) in &report.deeds {
            let words: Vec<&str> = text
                .split_whitespace()
                .filter(|word| word.starts_with("op-"))
                .collect();
            let Deed {
                at,
                session,
                user,
                log,
                what,
                ..
            } = deed;
            let at = at - super::world::START.unix_timestamp();
            let line = format!("= {at} {what:?} by {user} in {session:?}, {log:?}: {words:?}");
            world.trace().line(name, line);
        }
        for change in state.gateway.changes.get(*number).into_iter().flatten() {
            let seen = change.seen.as_deref().unwrap_or_default();
            let error = change.error.as_ref().map(|error| &error.detail);
            let line = format!(
                "= {} {} of {}: {seen} {error:?}",
                change.state, change.id, change.owner
            );
            world.trace().line(name, line);
        }
    }
    for commit in &state.gateway.confirmed {
        world.trace().line(&commit.device, format!("= {commit:?}"));
    }
}

struct Judge<'a> {
    name: &'a str,
    /// It keeps a history of its commits.
    junos: bool,
    report: &'a DeviceReport,
    confirmed: &'a [ConfirmedCommitView],
    broken: &'a mut Vec<String>,
}

impl Judge<'_> {
    fn say(&mut self, what: String) {
        self.broken.push(format!("{}: {what}", self.name));
    }

    fn all(mut self, orders: &[&Order], changes: &[ChangeView], told: &[Told]) {
        let by_owner: BTreeMap<&str, Vec<&ChangeView>> =
            changes.iter().fold(BTreeMap::new(), |mut all, change| {
                all.entry(&*change.owner).or_insert_with(Vec::new).push(change);
                all
            });
        for order in orders {
            let owner = order.owner();
            let changes = by_owner.get(&*owner).map_or(&[][..], Vec::as_slice);
            if changes.len() > 1 {
                self.say(format!("{owner} has {} changes", changes.len()));
            }
            let made = self.made(&order.word());
            if made.len() > 1 {
                self.say(format!("{owner} was committed {} times", made.len()));
            }
            if shares(order) {
                // What is in the shared candidate stays there, and whoever commits commits it.
                continue;
            }
            match changes.first() {
                None if made.is_empty() => {}
                None => self.say(format!("{owner} was committed, and there is no change")),
                Some(change) => self.change(order, change, made.first().copied()),
            }
            for told in told.iter().filter(|told| told.order == order.number) {
                self.told(&owner, told, made.first().copied(), changes.first().copied());
            }
        }
        self.confirms(orders);
        self.leftovers(orders);
    }

    fn contains(&self, deed: usize, word: &str) -> bool {
        self.report.deeds[deed].1.contains(word)
    }

    /// The deeds that brought a word into the configuration, rollbacks apart.
    fn made(&self, word: &str) -> Vec<usize> {
        let deeds = 0..self.report.deeds.len();
        deeds
            .filter(|deed| {
                self.report.deeds[*deed].0.is_commit()
                    && self.contains(*deed, word)
                    && !(*deed > 0 && self.contains(*deed - 1, word))
            })
            .collect()
    }

    /// The first deed after this one that took the word away.
    fn undone(&self, word: &str, made: usize) -> Option<(usize, &Deed)> {
        let later = made + 1..self.report.deeds.len();
        let mut gone = later.filter(|deed| !self.contains(*deed, word));
        gone.next().map(|deed| (deed, &self.report.deeds[deed].0))
    }

    /// The first deed after this one that confirmed, unless it was undone before. Where the device has lost its timer, the
    /// next commit is taken for it: in the device's records the two look the same.
    fn confirming(&self, made: usize) -> Option<&Deed> {
        let mut kept = false;
        for (deed, _) in self.report.deeds.iter().skip(made + 1) {
            match deed.what {
                What::Commit { confirms: true } | What::Confirmation => return Some(deed),
                What::Commit { confirms: false } | What::ConfirmedCommit { .. } if kept => return Some(deed),
                What::Commit { confirms: false } | What::ConfirmedCommit { .. } => {}
                What::Rollback(_) => return None,
                What::Kept => kept = true,
            }
        }
        None
    }

    fn change(&mut self, order: &Order, change: &ChangeView, made: Option<usize>) {
        let (owner, word) = (order.owner(), order.word());
        let outcome = change.outcome.as_deref().unwrap_or("absent");
        let what = format!("{owner} is {} ({outcome})", change.state);
        let ids = self.report.deeds.iter().filter(|(deed, _)| {
            let extends = matches!(deed.what, What::ConfirmedCommit { extends: true, .. });
            deed.is_commit() && !extends && deed.says(&change.id)
        });
        let sent = ids.count();
        if sent > 1 {
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
        let Some(made) = made else {
            if !["failed", "unchanged", "discarded", "unknown"].contains(&&*change.state) {
                self.say(format!("{what}, and was never committed"));
            }
            return;
        };
        let undone = self.undone(&word, made);
        let rolled_back = undone.is_some_and(|(_, deed)| matches!(deed.what, What::Rollback(_)));
        let restarted = undone.is_some_and(|(_, deed)| deed.what == What::Rollback(Cause::Restarted));
        match &*change.state {
            // Without a history a commit that was undone again looks as if it had not been made.
            "failed" if !self.junos && rolled_back => {}
            "failed" | "unchanged" | "discarded" => self.say(format!("{what}, and was committed")),
            // What was not saved to startup is gone when the device starts again, and was committed all the same.
            "committed" if restarted => {}
            "committed" if rolled_back => self.say(format!("{what}, and was rolled back")),
            "rolled_back" if !rolled_back => self.say(format!("{what}, and was not: {undone:?}")),
            "cancelled" if undone.is_none() => self.say(format!("{what}, and is still there")),
            "kept" if rolled_back => self.say(format!("{what}, and was rolled back")),
            "confirmed" => {
                let by = self.confirmed.iter().find(|commit| commit.change_id == change.id);
                let by = by.and_then(|commit| commit.by.clone()).unwrap_or_default();
                match self.confirming(made) {
                    None => self.say(format!("{what} by {by}, and nobody confirmed it")),
                    Some(deed) if (deed.user == USER) != (by == "us") => {
                        let deed = format!("{deed:?}");
                        self.say(format!("{what} by {by}, and it was {deed}"));
                    }
                    Some(_) => {}
                }
            }
            _ => {}
        }
    }

    fn told(&mut self, owner: &str, told: &Told, made: Option<usize>, change: Option<&ChangeView>) {
        let what = format!("{owner} was told {:?} of its {}", told.answer, told.part);
        let end = change.map_or("", |change| &*change.state);
        match (told.part, told.answer.as_deref().map_err(String::as_str)) {
            ("change" | "commit", Ok("committed" | "pending_confirm") | Err("applied")) if made.is_none() => {
                self.say(format!("{what}, and it was never committed"));
            }
            ("change" | "commit", Ok("unchanged"))
            | ("dry run", _)
            | ("change" | "commit", Err("not_sent" | "not_applied"))
                if made.is_some() =>
            {
                self.say(format!("{what}, and it was committed"));
            }
            ("confirm", Ok("confirmed")) if end != "confirmed" => {
                self.say(format!("{what}, and it is {end}"))
            }
            ("cancel", Ok("cancelled")) if end != "cancelled" => self.say(format!("{what}, and it is {end}")),
            _ => {}
        }
    }

    /// Nobody else's confirmed commit is confirmed by us, nor ours by accident.
    fn confirms(&mut self, orders: &[&Order]) {
        let mut waiting: Option<String> = None;
        for (index, (deed, _)) in self.report.deeds.iter().enumerate() {
            let ours = deed.user == USER;
            match deed.what {
                What::ConfirmedCommit { extends: false, .. } => {
                    let order = orders
                        .iter()
                        .find(|order| self.made(&order.word()).first() == Some(&index));
                    waiting = Some(match order {
                        Some(order) if ours => order.owner(),
                        _ => "somebody else".to_owned(),
                    });
                }
                What::ConfirmedCommit { extends: true, .. }
                | What::Commit { confirms: true }
                | What::Confirmation
                    if ours =>
                {
                    let order = orders.iter().find(|order| Some(order.owner()) == waiting);
                    let meant =
                        order
                            .and_then(|order| confirm_of(order))
                            .is_some_and(|confirm| match deed.what {
                                What::ConfirmedCommit { .. } => confirm.extend.is_some(),
                                _ => confirm.end != ConfirmEnd::Nothing,
                            });
                    if !meant {
                        let said = format!("{deed:?} was not meant for what waited, of {waiting:?}");
                        self.broken.push(format!("{}: {said}", self.name));
                    }
                    if !matches!(deed.what, What::ConfirmedCommit { .. }) {
                        waiting = None;
                    }
                }
                What::ConfirmedCommit { extends: true, .. } | What::Commit { confirms: false } => {}
                What::Commit { confirms: true } | What::Confirmation | What::Rollback(_) | What::Kept => {
                    waiting = None;
                }
            }
        }
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

/// Whether it edits the candidate without a lock.
fn shares(order: &Order) -> bool {
    matches!(order.what, Wish::EditSession { mode: "shared", .. })
}

fn confirm_of(order: &Order) -> Option<&Confirm> {
    match &order.what {
        Wish::Change { confirm, .. } => confirm.as_ref(),
        Wish::EditSession {
            end: SessionEnd::Commit(confirm),
            ..
        } => confirm.as_ref(),
        Wish::EditSession { .. } | Wish::DryRun => None,
    }
}
