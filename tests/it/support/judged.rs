//! What an emulated device holds, to be compared before and after.

use std::sync::Arc;

use ncgate::emulator::RunningEmulator;
use ncgate::emulator::config::{Database, Node, Store, Working};

use super::eventually;

/// Every configuration of a device.
#[derive(Debug, PartialEq)]
pub struct Holdings {
    running: Option<Arc<Node>>,
    candidate: Option<Arc<Node>>,
    startup: Option<Arc<Node>>,
    rescue: Option<Arc<Node>>,
    /// The default ephemeral instance.
    ephemeral: Arc<Node>,
    commits: usize,
}

pub fn holdings(device: &RunningEmulator) -> Holdings {
    let device = device.device();
    Holdings {
        running: device.tree(Database::Committed),
        candidate: device.tree(Database::Candidate),
        startup: device.tree(Database::Startup),
        rescue: device.tree(Database::Rescue),
        ephemeral: device.ephemeral(""),
        commits: device.history().len(),
    }
}

impl Holdings {
    /// The same, whatever is in the shared candidate.
    pub fn without_candidate(self) -> Self {
        Self {
            candidate: None,
            ..self
        }
    }
}

/// Whether nobody holds a lock or a copy.
pub fn is_free(device: &RunningEmulator) -> bool {
    let device = device.device();
    let stores = [Store::Candidate, Store::Running, Store::Startup];
    let sessions: Vec<u32> = device.sessions().keys().copied().collect();
    stores.iter().all(|store| device.lock_holder(*store).is_none())
        && sessions
            .iter()
            .all(|session| device.working(*session) == Working::Shared)
}

/// That the device holds what it held, and nobody holds anything on it.
pub async fn as_before(device: &RunningEmulator, before: &Holdings, what: &str) {
    eventually(&format!("free after {what}"), async || is_free(device)).await;
    assert_eq!(&holdings(device), before, "after {what}");
}
