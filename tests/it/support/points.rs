//! The points at which a write can fail, and the kinds of failure.

use ncgate::emulator::{DeviceError, Fault, Rule};

/// Where a change is made to fail: the operation, how many of it pass before, and the step that is named.
#[derive(Debug, Clone, Copy)]
pub struct Point {
    pub operation: &'static str,
    pub after: u64,
    pub step: &'static str,
}

pub const fn at(operation: &'static str, after: u64, step: &'static str) -> Point {
    Point {
        operation,
        after,
        step,
    }
}

impl Point {
    /// Makes the change fail here, once.
    pub fn failing(&self, fault: Fault) -> Rule {
        Rule::on(self.operation, fault).after(self.after).once()
    }
}

/// The device refuses it, and does nothing.
pub fn refusal() -> Fault {
    Fault::Errors(vec![DeviceError::new("no room")])
}

/// The kinds of failure: the device refuses; or it does what it is told, and the session is lost with the reply.
pub fn faults() -> [(&'static str, Fault); 4] {
    [
        ("a refusal", refusal()),
        ("a lost session", Fault::DropBeforeReply),
        ("a broken reply", Fault::MalformedXml),
        ("a reply cut short", Fault::DropAfter(20)),
    ]
}
