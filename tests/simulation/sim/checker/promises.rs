//! What callers were told at the door: the same with the same key, and what the operations say in the end.

use std::collections::{BTreeMap, BTreeSet};

use ncgate::service::operations::{Operation, State as OperationState};

use super::stays;
use crate::sim::plan::{Event, Order};
use crate::sim::world::{State, Told};

pub fn check<'a>(events: &[Event], orders: impl Iterator<Item = &'a Order>, state: &State) -> Vec<String> {
    let mut broken = Vec::new();
    let from_memory = stays::from_memory(events);
    let operations: BTreeMap<&str, &Operation> = state
        .gateway
        .operations
        .iter()
        .map(|operation| (&*operation.id, operation))
        .collect();
    for told in &state.told {
        let Some(id) = &told.operation else { continue };
        match operations.get(&**id) {
            None => broken.push(format!("{told:?}, and there is no such operation")),
            Some(operation) => {
                let is_forgotten = from_memory
                    .iter()
                    .any(|(begin, end)| *begin <= told.at && told.at <= *end);
                kept(told, operation, is_forgotten, &mut broken);
            }
        }
    }
    for order in orders.filter(|order| order.manner.key) {
        one_request(order, state, &mut broken);
        let mut said: BTreeMap<&str, Vec<&Told>> = BTreeMap::new();
        let told = state.told.iter();
        for told in told.filter(|told| told.order == order.number && !told.derived) {
            // What was not sent may be asked for again.
            if told.answer != Err("not_sent".to_owned()) {
                said.entry(told.part).or_default().push(told);
            }
        }
        for (part, told) in said {
            if told.windows(2).any(|two| two[0].answer != two[1].answer) {
                let answers: Vec<_> = told.iter().map(|told| &told.answer).collect();
                broken.push(format!(
                    "{} was told this of its {part}, with one key: {answers:?}",
                    order.owner()
                ));
            }
        }
    }
    broken
}

/// A key is that of one request: nobody else is answered who asks for something else with it.
fn one_request(order: &Order, state: &State, broken: &mut Vec<String>) {
    let told = state.told.iter();
    let mut answered: BTreeMap<&str, BTreeSet<bool>> = BTreeMap::new();
    for told in told.filter(|told| told.order == order.number && told.operation.is_some()) {
        // What was not sent leaves the key to the next one.
        if told.answer != Err("not_sent".to_owned()) {
            answered.entry(told.part).or_default().insert(told.odd);
        }
    }
    for (part, requests) in answered {
        if requests.len() > 1 {
            broken.push(format!(
                "{} had two requests answered with the key of its {part}",
                order.owner()
            ));
        }
    }
}

/// What an operation says in the end is what its caller was told, unless nobody knew then. What was told from memory
/// (`is_forgotten`) went with it: the next start tells what the database holds, which is less, and nothing else.
fn kept(told: &Told, operation: &Operation, is_forgotten: bool, broken: &mut Vec<String>) {
    let state = operation.state;
    let said = told
        .answer
        .as_ref()
        .map(|state| &**state)
        .map_err(|outcome| &**outcome);
    let says_less = match state {
        OperationState::Unknown => true,
        OperationState::Failed => {
            let undone = operation.is_change && operation.outcome.as_deref() == Some("not_applied");
            undone
                && matches!(
                    said,
                    Err("not_sent" | "not_applied") | Ok("unchanged" | "discarded")
                )
        }
        OperationState::Running | OperationState::Succeeded => false,
    };
    if is_forgotten && says_less {
        return;
    }
    let agrees = match said {
        Ok(_) => {
            state == OperationState::Succeeded || (operation.is_change && state == OperationState::Unknown)
        }
        Err("unknown") => true,
        // A change that is committed and not saved.
        Err(outcome) => state == OperationState::Failed && operation.outcome.as_deref() == Some(outcome),
    };
    if !agrees {
        broken.push(format!(
            "{told:?}, and its operation is {} and {:?}",
            state.as_str(),
            operation.outcome
        ));
    }
}
