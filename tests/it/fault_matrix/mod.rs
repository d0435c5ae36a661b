//! Rows of the fault matrix that have no better place, each named after its row; the invariants hold after each of them.
//! The other rows stand with their topics, by the same names (`Row 3`).

mod callers;
mod crashes;
mod network;
mod orders;
mod replies;

use serde_json::{Value, json};

/// A change of a Junos device.
fn change() -> Value {
    json!({"edits": [{"config": {"snmp": {"contact": "east"}}}]})
}
