//! The judgement: what the gateway says in the end, and what its callers were told, held against what the devices did.
//!
//! It knows nothing of how the gateway finds out. A device is a list of deeds, each with the configuration after it; every
//! order has a word of its own, and has been carried out when its word came into the configuration.

mod courses;
mod deeds;
mod moments;
mod promises;
mod records;
mod stays;

use std::collections::BTreeSet;
use std::time::Duration;

use ncgate::emulator::config::Deed;

use self::deeds::Judge;
use super::plan::{Confirm, Event, Happening, Order, SessionEnd, Wish};
use super::witness::Claim;
use super::world::{USER, World};

/// Everything that is not as it has to be.
pub fn check(world: &World) -> Vec<String> {
    let mut broken = Vec::new();
    let state = world.state();
    let gateway = &state.gateway;
    let never_made = gateway.events.iter();
    let never_made = never_made.filter(|event| event.kind == "confirmed_commit.never_made");
    let never_made: BTreeSet<&str> = never_made
        .filter_map(|event| event.change_id.as_deref())
        .collect();
    for (number, report) in &state.devices {
        let name = &world.plan().devices[*number].name;
        let orders: Vec<&Order> = world.plan().callers.iter().flatten().collect();
        let orders: Vec<&Order> = orders
            .into_iter()
            .filter(|order| order.device == *number)
            .collect();
        let changes = gateway.changes.get(*number).map_or(&[][..], Vec::as_slice);
        let claims = state.claims.iter().filter(|claim| claim.device == *name);
        let claims: Vec<Claim> = claims.cloned().collect();
        let shared = orders.iter().filter(|order| shares(order));
        let shared: Vec<String> = shared.map(|order| order.word()).collect();
        let judge = Judge {
            plan: &world.plan().devices[*number],
            report,
            confirmed: &gateway.confirmed,
            shared: &shared,
            told: &state.told,
            glimpses: state.glimpses.get(number).map_or(&[][..], Vec::as_slice),
            claims: &claims,
            never_made: &never_made,
            apart: &apart(&world.plan().events, *number),
            broken: &mut broken,
        };
        judge.all(&orders, changes);
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
    broken.extend(gateway.left_open.iter().cloned());
    broken.extend(records::check(&state));
    broken.extend(stays::check(&world.plan().events, &state));
    let orders = world.plan().callers.iter().flatten();
    broken.extend(promises::check(&world.plan().events, orders, &state));
    broken
}

/// When the gateway and a device were parted, each time from the beginning until both know, or can.
fn apart(events: &[Event], device: usize) -> Vec<(Duration, Duration)> {
    let after = |at: u64, what: Happening| {
        let mut later = events.iter().filter(|event| event.at >= at && event.what == what);
        later.next().map_or(u64::MAX, |event| event.at)
    };
    let spans = events.iter().filter_map(|event| {
        let end = match event.what {
            Happening::Hold(held) if held == device => after(event.at, Happening::Release(device)),
            // What is dropped never comes: the connections of before are of no use any more.
            Happening::Partition(parted) if parted == device => {
                after(event.at, Happening::Repair(device)).max(after(event.at, Happening::CutGateway(device)))
            }
            _ => return None,
        };
        Some((Duration::from_millis(event.at), Duration::from_millis(end)))
    });
    spans.collect()
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
        Wish::EditSession { .. } | Wish::DryRun | Wish::Kill(_) | Wish::Patch(_) | Wish::Remove(_) => None,
    }
}
