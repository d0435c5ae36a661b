//! What outlives the hosts of a run: the plan, how far the callers are, and what is reported in the end.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use ncgate::emulator::config::Deed;
use ncgate::service::edit::view::{ChangeView, ConfirmedCommitView, EditSessionView};
use ncgate::service::events::EventView;
use ncgate::service::operations::Operation;
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;

use super::glimpses::Glimpse;
use super::network::Network;
use super::plan::Plan;
use super::trace::Trace;
use super::witness::Claim;

/// 2026-01-02 03:04:05 UTC.
pub const START: OffsetDateTime = match OffsetDateTime::from_unix_timestamp(1_767_323_045) {
    Ok(start) => start,
    Err(_) => OffsetDateTime::UNIX_EPOCH,
};
/// Where devices listen.
pub const PORT: u16 = 830;
/// The login of the gateway on all devices.
pub const USER: &str = "gateway";
pub const PASSWORD: &str = "correct horse";
/// Setting of all devices, in seconds.
pub const COMMIT_SECONDS: u64 = 40;

/// Shared by all hosts and the runner.
#[derive(Clone)]
pub struct World(Arc<Inner>);

struct Inner {
    plan: Plan,
    trace: Trace,
    network: Network,
    directory: PathBuf,
    via_ssh: bool,
    state: Mutex<State>,
}

/// What changes.
#[derive(Default)]
pub struct State {
    /// How often the gateway was started.
    pub starts: u64,
    /// How often the machine was, and when last.
    pub boots: u64,
    pub booted: Duration,
    /// Asks the gateway that runs to end politely.
    pub stop: CancellationToken,
    /// The next order of each caller.
    pub next: Vec<usize>,
    /// How often each was asked for.
    pub tries: BTreeMap<u32, u32>,
    /// Orders that are not over, and calls that are not answered.
    pub asking: usize,
    pub calling: usize,
    /// Whether the database takes nothing, or not everything.
    pub store_fails: bool,
    /// When a gateway that could not start is started again.
    pub next_start: Option<Duration>,
    /// Devices that are removed at the moment.
    pub absent: BTreeSet<usize>,
    /// What lists told of devices that were removed since.
    pub former: BTreeMap<usize, Former>,
    pub followers: Vec<Follower>,
    /// What was wrong with what followers were told.
    pub missed: Vec<String>,
    /// What callers were told, in order.
    pub told: Vec<Told>,
    /// What the gateway said when it was asked, in order.
    pub claims: Vec<Claim>,
    /// What devices were meanwhile, each in order.
    pub glimpses: BTreeMap<usize, Vec<Glimpse>>,
    /// What the gateway says, newest.
    pub gateway: GatewayReport,
    /// Devices are to report.
    pub report: bool,
    pub devices: BTreeMap<usize, DeviceReport>,
}

/// Of a device that was removed.
#[derive(Clone, Debug, Default)]
pub struct Former {
    pub name: String,
    pub changes: Vec<ChangeView>,
    pub edit_sessions: Vec<EditSessionView>,
}

/// Somebody who follows events, and goes on where he was when the gateway was gone, or when he was.
#[derive(Clone, Debug, Default)]
pub struct Follower {
    /// Follows those of this device only.
    pub device: Option<String>,
    /// What he was told.
    pub told: Vec<EventView>,
    /// Where he goes on.
    pub at: Option<String>,
}

/// The answer to an order, or to a part of it.
#[derive(Clone, Debug)]
pub struct Told {
    pub at: Duration,
    pub order: u32,
    /// Who asked for something else with the same key.
    pub odd: bool,
    /// `change`, `commit`, `confirm`, `cancel`, `extend`, …
    pub part: &'static str,
    /// The state in which the thing was, or the outcome of the error.
    pub answer: Result<String, String>,
    /// Not as it was said first, but as it was found out.
    pub derived: bool,
    pub operation: Option<String>,
}

/// One of those that [`State`] counts, for as long as it is there.
pub struct Counted(World, fn(&mut State) -> &mut usize);

impl Drop for Counted {
    fn drop(&mut self) {
        *self.1(&mut self.0.state()) -= 1;
    }
}

#[derive(Clone, Debug, Default)]
pub struct GatewayReport {
    /// Since when nothing goes on, if so.
    pub settled: bool,
    /// By device.
    pub changes: Vec<Vec<ChangeView>>,
    pub edit_sessions: Vec<Vec<EditSessionView>>,
    pub confirmed: Vec<ConfirmedCommitView>,
    pub operations: Vec<Operation>,
    /// Oldest first; of a gateway that is settled.
    pub events: Vec<EventView>,
    /// Rows that somebody should have looked after, in words.
    pub left_open: Vec<String>,
}

/// A device in the end.
#[derive(Clone, Debug)]
pub struct DeviceReport {
    /// Every deed, and the configuration since then as set commands.
    pub deeds: Vec<(Deed, String)>,
    pub running: String,
    /// What it starts with, where that is something of its own.
    pub startup: Option<String>,
    /// Who holds the candidate or running.
    pub locks: Vec<String>,
    pub candidate: String,
    pub pending: bool,
}

impl World {
    pub fn new(plan: Plan, trace: Trace, network: Network, directory: PathBuf, via_ssh: bool) -> Self {
        let first = plan.devices.first().map(|device| device.name.clone());
        let of_one = Follower {
            device: first,
            ..Follower::default()
        };
        let state = State {
            next: vec![0; plan.callers.len()],
            followers: vec![Follower::default(), of_one],
            ..State::default()
        };
        Self(Arc::new(Inner {
            plan,
            trace,
            network,
            directory,
            via_ssh,
            state: Mutex::new(state),
        }))
    }

    pub fn plan(&self) -> &Plan {
        &self.0.plan
    }

    pub fn trace(&self) -> &Trace {
        &self.0.trace
    }

    pub fn network(&self) -> &Network {
        &self.0.network
    }

    pub fn directory(&self) -> &std::path::Path {
        &self.0.directory
    }

    pub fn via_ssh(&self) -> bool {
        self.0.via_ssh
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().expect("no panic under the lock")
    }

    pub fn count(&self, which: fn(&mut State) -> &mut usize) -> Counted {
        *which(&mut self.state()) += 1;
        Counted(self.clone(), which)
    }

    pub fn told(&self, told: Told) {
        let Told {
            order, part, answer, ..
        } = &told;
        self.trace()
            .line("caller", format!("{order:04} {part}: {answer:?}"));
        self.state().told.push(told);
    }
}

/// Virtual time since the beginning.
pub fn now() -> Duration {
    turmoil::sim_elapsed().unwrap_or_default()
}

/// Waits until so many milliseconds have passed since the beginning.
pub async fn until(at: u64) {
    tokio::time::sleep(Duration::from_millis(at).saturating_sub(now())).await;
}
