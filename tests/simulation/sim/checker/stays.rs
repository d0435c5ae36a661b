//! What has ended stays as it was told: no end is followed by another.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::sim::plan::{Event, Happening};
use crate::sim::witness::Said;
use crate::sim::world::State;

/// So long after the database takes everything again, what it did not take is stored at the latest.
const STORED: u64 = 17_000;

/// Ends of changes and of confirmed commits.
const ENDS: [&str; 8] = [
    "committed",
    "unchanged",
    "discarded",
    "failed",
    "cancelled",
    "confirmed",
    "rolled_back",
    "kept",
];

pub fn check(events: &[Event], state: &State) -> Vec<String> {
    let mut broken = Vec::new();
    let mut ends: BTreeMap<(&str, &str), String> = BTreeMap::new();
    let from_memory = from_memory(events);
    let claims = state.claims.iter().map(|claim| {
        let (id, word, ended) = word(&claim.said);
        let is_lost = |(begin, end): &(Duration, Duration)| *begin <= claim.told && claim.told <= *end;
        (id, word, ended && !from_memory.iter().any(is_lost))
    });
    let report = &state.gateway;
    let changes = report.changes.iter().flatten();
    let changes = changes.map(|change| {
        let end = of_change(&change.state, change.outcome.as_deref());
        (("change", &*change.id), end, ENDS.contains(&&*change.state))
    });
    let commits = report.confirmed.iter().map(|commit| {
        let end = format!("{} {:?}", commit.state, commit.by);
        (
            ("confirmed commit", &*commit.id),
            end,
            ENDS.contains(&&*commit.state),
        )
    });
    let operations = report.operations.iter().map(|operation| {
        let change = operation.is_change.then_some(&*operation.phase);
        let end = of_operation(operation.state.as_str(), operation.outcome.as_deref(), change);
        (("operation", &*operation.id), end, operation.done)
    });
    for (id, word, ended) in claims.chain(changes).chain(commits).chain(operations) {
        match ends.get(&id) {
            Some(end) if *end != word => {
                broken.push(format!("the {} {} was {end}, and then {word}", id.0, id.1));
            }
            Some(_) => {}
            None if ended => {
                ends.insert(id, word);
            }
            None => {}
        }
    }
    broken
}

/// When ends were told that the gateway alone knew, and forgot when it ended before the database took them.
pub(super) fn from_memory(events: &[Event]) -> Vec<(Duration, Duration)> {
    let first = |at: u64, is_meant: &dyn Fn(&Happening) -> bool| {
        let mut later = events
            .iter()
            .filter(|event| event.at >= at && is_meant(&event.what));
        later.next().map_or(u64::MAX, |event| event.at)
    };
    let spans = events.iter().filter_map(|event| {
        let Happening::StoreFails(_) = event.what else {
            return None;
        };
        let works = first(event.at, &|what| *what == Happening::StoreWorks);
        let fails = event.at..works.saturating_add(STORED);
        let mut ends = events.iter().filter(|event| {
            let ends = matches!(event.what, Happening::Kill | Happening::Stop);
            ends && fails.contains(&event.at)
        });
        // It may end more than once meanwhile.
        let starts = first(ends.next_back()?.at, &|what| {
            matches!(what, Happening::Start { .. })
        });
        Some((Duration::from_millis(event.at), Duration::from_millis(starts)))
    });
    spans.collect()
}

/// What one thing is, and whether it stays so.
fn word(said: &Said) -> ((&str, &str), String, bool) {
    match said {
        Said::Change {
            id, state, outcome, ..
        } => {
            let end = of_change(state, outcome.as_deref());
            (("change", id), end, ENDS.contains(&&**state))
        }
        Said::ConfirmedCommit { id, state, by, .. } => {
            let end = format!("{state} {by:?}");
            (("confirmed commit", id), end, ENDS.contains(&&**state))
        }
        Said::Operation {
            id,
            change,
            state,
            outcome,
            done,
            ..
        } => {
            let end = of_operation(state, outcome.as_deref(), change.as_deref());
            (("operation", id), end, *done)
        }
        // One whose end is under way when the gateway is killed is lost with it.
        Said::EditSession { id, state, .. } => (("edit session", id), state.clone(), false),
        Said::Lock { .. } => (("lock", ""), String::new(), false),
    }
}

fn of_change(state: &str, outcome: Option<&str>) -> String {
    format!("{state} ({})", outcome.unwrap_or("no outcome"))
}

/// What becomes of a commit after its call is told beside the state of the operation.
fn of_operation(state: &str, outcome: Option<&str>, change: Option<&str>) -> String {
    match change {
        Some(_) => state.to_owned(),
        None => of_change(state, outcome),
    }
}
