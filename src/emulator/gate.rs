//! What a fault waits for: a time that passes, or a gate that a test opens.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

/// Something that waits until a test lets it go. Clones are the same gate; an open one stays open.
#[derive(Clone, Debug)]
pub struct Gate(Arc<watch::Sender<State>>);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct State {
    arrived: u64,
    open: bool,
}

impl Default for Gate {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(State::default())))
    }
}

impl PartialEq for Gate {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Gate {
    /// A closed gate.
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets go whoever waits, and whoever comes later.
    pub fn open(&self) {
        self.0.send_modify(|state| state.open = true);
    }

    /// Waits until something has arrived at the gate, now or before.
    pub async fn reached(&self) {
        self.until(|state| state.arrived > 0).await;
    }

    /// Arrives at the gate, and waits until it is open.
    pub(super) async fn pass(&self) {
        self.0.send_modify(|state| state.arrived += 1);
        self.until(|state| state.open).await;
    }

    async fn until(&self, condition: impl FnMut(&State) -> bool) {
        // The sender is this gate's own, so it is not gone before the wait is.
        let _ = self.0.subscribe().wait_for(condition).await;
    }
}

/// Until when something waits.
#[derive(Clone, Debug, PartialEq)]
pub enum Until {
    /// So much time has passed.
    Passed(Duration),
    /// The gate is open.
    Opened(Gate),
}

impl Until {
    /// What is left of it after so much time.
    pub(super) fn after(self, passed: Duration) -> Self {
        match self {
            Self::Passed(span) => Self::Passed(span.saturating_sub(passed)),
            Self::Opened(gate) => Self::Opened(gate),
        }
    }

    /// Waits.
    pub(super) async fn wait(&self) {
        match self {
            Self::Passed(span) => tokio::time::sleep(*span).await,
            Self::Opened(gate) => gate.pass().await,
        }
    }
}

impl From<Duration> for Until {
    fn from(span: Duration) -> Self {
        Self::Passed(span)
    }
}

impl From<&Gate> for Until {
    fn from(gate: &Gate) -> Self {
        Self::Opened(gate.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whoever arrives is seen, and waits until the gate is open.
    #[tokio::test(start_paused = true)]
    async fn a_gate_holds_until_it_is_open() {
        let gate = Gate::new();
        let until = Until::from(&gate);
        let waits = tokio::spawn(async move { until.wait().await });
        gate.reached().await;
        assert!(!waits.is_finished());
        gate.open();
        waits.await.unwrap();
        gate.pass().await;
        let begin = tokio::time::Instant::now();
        Until::from(Duration::from_secs(5)).wait().await;
        assert_eq!(begin.elapsed(), Duration::from_secs(5));
    }
}
