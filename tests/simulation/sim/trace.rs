//! What happened in a run, line by line. Its hash is the run's fingerprint.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sha2::{Digest, Sha256};

/// Lines kept to be shown: more than a run has.
const KEPT: usize = 100_000;

/// Clones are the same trace.
#[derive(Clone, Default)]
pub struct Trace(Arc<Mutex<Lines>>);

#[derive(Default)]
struct Lines {
    digest: Sha256,
    last: VecDeque<String>,
    /// Of the runner, which has no host.
    now: Duration,
}

impl Trace {
    /// What the runner's time is.
    pub fn at(&self, now: Duration) {
        self.0.lock().expect("no panic under the lock").now = now;
    }

    pub fn line(&self, who: &str, what: impl AsRef<str>) {
        let mut lines = self.0.lock().expect("no panic under the lock");
        let now = turmoil::sim_elapsed().unwrap_or(lines.now);
        let line = format!("{:>9.3} {who:<8} {}", now.as_secs_f64(), what.as_ref());
        lines.digest.update(line.as_bytes());
        lines.digest.update([b'\n']);
        if lines.last.len() == KEPT {
            lines.last.pop_front();
        }
        lines.last.push_back(line);
    }

    /// Of all lines.
    pub fn hash(&self) -> String {
        let lines = self.0.lock().expect("no panic under the lock");
        let digest = lines.digest.clone().finalize();
        digest[..12].iter().map(|byte| format!("{byte:02x}")).collect()
    }

    pub fn tail(&self, most: usize) -> Vec<String> {
        let lines = self.0.lock().expect("no panic under the lock");
        let skipped = lines.last.len().saturating_sub(most);
        lines.last.iter().skip(skipped).cloned().collect()
    }
}
