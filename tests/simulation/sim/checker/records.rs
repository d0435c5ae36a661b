//! What the gateway keeps of what happened: operations and events agree with the things that they tell of.

use std::collections::{BTreeMap, BTreeSet};

use ncgate::service::edit::view::ChangeView;
use ncgate::service::events::EventView;
use ncgate::service::operations::{Operation, State as OperationState};

use crate::sim::world::{GatewayReport, State};

/// Of whatever has states: which one was told when, in order.
type Courses<'a> = BTreeMap<&'a str, Vec<&'a str>>;

pub fn check(state: &State) -> Vec<String> {
    let report = &state.gateway;
    let mut broken = state.missed.clone();
    let unlisted = unlisted(state);
    operations(report, &unlisted, &mut broken);
    if report.settled {
        events(report, &unlisted, &mut broken);
        followed(state, &mut broken);
    } else {
        broken.push("something goes on for ever".to_owned());
    }
    broken
}

/// Changes that were asked for just when their device was removed, and for which nothing was sent: no list has them.
fn unlisted(state: &State) -> BTreeSet<&str> {
    let operations = state.gateway.operations.iter();
    let in_vain = operations.filter(|operation| {
        operation.is_change
            && operation.state == OperationState::Failed
            && operation.outcome.as_deref() == Some("not_sent")
            && state
                .former
                .values()
                .any(|former| former.name == operation.device)
    });
    in_vain.map(|operation| &*operation.id).collect()
}

fn operations(report: &GatewayReport, unlisted: &BTreeSet<&str>, broken: &mut Vec<String>) {
    let changes: BTreeMap<&str, &ChangeView> = report
        .changes
        .iter()
        .flatten()
        .map(|change| (&*change.id, change))
        .collect();
    let mut seen = BTreeSet::new();
    for operation in &report.operations {
        let Operation {
            id,
            kind,
            owner,
            state,
            ..
        } = operation;
        let what = format!("the operation {id}, {kind} of {owner}, is {}", state.as_str());
        if !operation.done || *state == OperationState::Running {
            broken.push(format!("{what}, and has no end"));
        }
        if operation.outcome.is_none() {
            broken.push(format!("{what}, and has no outcome"));
        }
        if !operation.is_change {
            continue;
        }
        seen.insert(&**id);
        match changes.get(&**id) {
            None if unlisted.contains(&**id) => {}
            None => broken.push(format!("{what}, and its change is not there")),
            Some(change) if change.state != operation.phase || change.outcome != operation.outcome => {
                broken.push(format!(
                    "{what}, {} and {:?}, and its change is {} and {:?}",
                    operation.phase, operation.outcome, change.state, change.outcome
                ));
            }
            Some(_) => {}
        }
    }
    for id in changes.keys().filter(|id| !seen.contains(*id)) {
        broken.push(format!("the change {id} has no operation"));
    }
}

fn events(report: &GatewayReport, unlisted: &BTreeSet<&str>, broken: &mut Vec<String>) {
    let ids: Vec<u64> = report
        .events
        .iter()
        .map(|event| event.id.parse().unwrap_or(0))
        .collect();
    if ids.windows(2).any(|two| two[1] != two[0] + 1) {
        broken.push("the ids of events have gaps".to_owned());
    }
    let courses = courses(&report.events, "change.", |event| event.change_id.as_deref());
    let ends = report.changes.iter().flatten();
    let ends = ends
        .map(|change| (&*change.id, &*change.state))
        .chain(unlisted.iter().map(|id| (*id, "failed")));
    let goes_on =
        |so_far: &[&str], next: &str| change_goes_on(so_far.last().copied().unwrap_or_default(), next);
    compare("change", &courses, &ends.collect(), goes_on, broken);

    let courses = self::courses(&report.events, "confirmed_commit.", |event| {
        event.confirmed_commit_id.as_deref()
    });
    let ends = report.confirmed.iter();
    let ends = ends.map(|commit| (&*commit.id, &*commit.state));
    compare(
        "confirmed commit",
        &courses,
        &ends.collect(),
        commit_goes_on,
        broken,
    );

    let courses = self::courses(&report.events, "edit_session.", |event| {
        event.edit_session_id.as_deref()
    });
    // One that was being opened just when its device was removed is in no list either.
    let removed = report.events.iter().filter(|event| {
        event.kind == "edit_session.lost" && event.reason.as_deref() == Some("device_removed")
    });
    let removed = removed.filter_map(|event| Some((event.edit_session_id.as_deref()?, "lost")));
    let ends = report.edit_sessions.iter().flatten();
    let ends = ends.map(|session| (&*session.id, &*session.state)).chain(removed);
    let opened_once = |so_far: &[&str], next: &str| so_far.last() == Some(&"opened") && next != "opened";
    compare("edit session", &courses, &ends.collect(), opened_once, broken);

    let courses = self::courses(&report.events, "operation.", |event| {
        event.operation_id.as_deref()
    });
    let ends = report.operations.iter().filter(|operation| !operation.is_change);
    let ends = ends.map(|operation| (&*operation.id, operation.state.as_str()));
    // What nobody knew may be found out.
    let goes_on = |so_far: &[&str], next: &str| match so_far.last() {
        Some(&"running") => next != "running",
        Some(&"unknown") => ["succeeded", "failed"].contains(&next),
        _ => false,
    };
    compare("operation", &courses, &ends.collect(), goes_on, broken);
}

fn courses<'a>(
    events: &'a [EventView],
    family: &str,
    id: impl Fn(&'a EventView) -> Option<&'a str>,
) -> Courses<'a> {
    let mut courses = Courses::new();
    for event in events {
        let word = event.kind.strip_prefix(family);
        // A deadline that was moved is no state.
        if let Some(word) = word.filter(|word| *word != "extended")
            && let Some(id) = id(event)
        {
            courses.entry(id).or_default().push(word);
        }
    }
    courses
}

/// Each thing was told as it went, and in the end as it is. `leads`: whether one word may come right after another.
fn compare(
    what: &str,
    courses: &Courses,
    ends: &BTreeMap<&str, &str>,
    leads: impl Fn(&[&str], &str) -> bool,
    broken: &mut Vec<String>,
) {
    for (id, course) in courses {
        for next in 1..course.len() {
            if !leads(&course[..next], course[next]) {
                let (before, next) = (course[next - 1], course[next]);
                broken.push(format!("the {what} {id} was told as {next} after {before}"));
            }
        }
        let last = course.last().copied().unwrap_or_default();
        match ends.get(id) {
            Some(end) if *end != last => {
                broken.push(format!("the {what} {id} is {end}, and was told as {course:?}"));
            }
            None if last != "never_made" => broken.push(format!("the {what} {id} is gone, and was {last}")),
            Some(_) | None => {}
        }
    }
    for (id, end) in ends.iter().filter(|(id, _)| !courses.contains_key(*id)) {
        broken.push(format!("the {what} {id} is {end}, and no event tells of it"));
    }
}

/// Conventions E1.
fn change_goes_on(before: &str, next: &str) -> bool {
    const CONFIRMED: [&str; 5] = ["confirmed", "rolled_back", "kept", "cancelled", "unknown"];
    match before {
        "preparing" => [
            "editing",
            "validated",
            "committing",
            "unchanged",
            "discarded",
            "failed",
        ]
        .contains(&next),
        "editing" => ["validated", "committing", "unchanged", "discarded", "failed"].contains(&next),
        "validated" => ["committing", "unchanged", "discarded", "failed"].contains(&next),
        "committing" => [
            "committed",
            "unchanged",
            "scheduled",
            "pending_confirm",
            "failed",
            "unknown",
        ]
        .contains(&next),
        "scheduled" => ["committed", "cancelled", "unknown"].contains(&next),
        "pending_confirm" => CONFIRMED.contains(&next),
        "unknown" => {
            CONFIRMED[..4].contains(&next)
                || ["committed", "scheduled", "pending_confirm", "failed"].contains(&next)
        }
        _ => false,
    }
}

/// Design section 7. A cancel that nobody answered may be carried out late.
fn commit_goes_on(so_far: &[&str], next: &str) -> bool {
    const ENDS: [&str; 3] = ["confirmed", "rolled_back", "kept"];
    let ended = ENDS.contains(&next);
    match so_far.last().copied().unwrap_or_default() {
        "pending" => {
            ended
                || ["confirming", "cancelling", "unknown"].contains(&next)
                || next == "cancelled" && so_far.contains(&"cancelling")
        }
        "confirming" => ended || ["pending", "unknown"].contains(&next),
        "cancelling" => ended || ["pending", "cancelled", "unknown"].contains(&next),
        "unknown" => ended || ["pending", "cancelled", "never_made"].contains(&next),
        _ => false,
    }
}

/// Whoever follows events is told each once, in order, also across restarts of the gateway and his own absences.
fn followed(state: &State, broken: &mut Vec<String>) {
    for follower in &state.followers {
        let Some(first) = follower.told.first() else {
            // One device may have had nothing to tell of.
            if follower.device.is_none() {
                broken.push("nobody was told of anything".to_owned());
            }
            continue;
        };
        let stored = state.gateway.events.iter();
        let meant = stored
            .filter(|event| follower.device.is_none() || event.device == follower.device)
            .skip_while(|event| event.id != first.id);
        let mut told = follower.told.iter();
        // What came since the gateway was asked last is not looked at.
        for stored in meant {
            match told.next() {
                Some(told) if told == stored => {}
                Some(told) => {
                    broken.push(format!("the event {stored:?} was told as {told:?}"));
                    break;
                }
                None => {
                    broken.push(format!("the event {stored:?} was not told"));
                    break;
                }
            }
        }
    }
}
