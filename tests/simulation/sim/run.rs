//! One run: the hosts, what happens to them, and the judgement.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::checker;
use super::network::{End, Network, Wires};
use super::plan::{Happening, Plan, TROUBLE};
use super::trace::Trace;
use super::world::{COMMIT_SECONDS, World};
use super::{database, device, gateway};

/// By how much time goes on at once; messages between hosts come at such moments only.
const TICK: Duration = Duration::from_millis(40);
const GATEWAY: &str = "gateway";
/// Within this time after the trouble everything is over or known to be unknown: what a commit may take, the longest
/// confirmed commit, and the time until one is given up.
const SETTLED: Duration = Duration::from_secs(COMMIT_SECONDS + 180 + 240 + 360 + 60);
/// For the longest edit session and five seconds more; and for devices to report.
const REST: Duration = Duration::from_secs(66);

/// What a run showed.
#[derive(Debug)]
pub struct Verdict {
    pub hash: String,
    pub virtual_seconds: u64,
    pub orders: usize,
    /// What devices committed for the gateway.
    pub commits: usize,
    /// Changes and confirmed commits whose end nobody can tell.
    pub unknown: usize,
    /// Broken invariants, in words.
    pub broken: Vec<String>,
    /// The end of the trace.
    pub tail: Vec<String>,
}

/// Runs a plan to its end, with its files in `directory`.
pub fn run(plan: Plan, directory: &Path, via_ssh: bool) -> Verdict {
    let trace = Trace::default();
    let mut sim = turmoil::Builder::new()
        .rng_seed(plan.seed)
        .tick_duration(TICK)
        .min_message_latency(Duration::from_millis(1))
        .max_message_latency(Duration::from_millis(60))
        .simulation_duration(Duration::from_secs(86_400))
        .tcp_capacity(65_536)
        .build();
    let devices = plan
        .devices
        .iter()
        .map(|device| {
            let address = sim.lookup(&*device.name).to_string();
            (device.name.clone(), address, Wires::default())
        })
        .collect();
    let network = Network {
        devices: Arc::new(devices),
        trace: trace.clone(),
    };
    for device in &plan.devices {
        let (profile, quirks) = (device.profile, &device.quirks);
        let hides = if device.hides_history { ", no history" } else { "" };
        trace.line(&device.name, format!("{profile:?} {quirks:?}{hides}"));
    }
    let orders = plan.callers.iter().map(Vec::len).sum();
    let world = World::new(plan, trace.clone(), network, directory.to_owned(), via_ssh);
    gateway::prepare(&world);
    for number in 0..world.plan().devices.len() {
        let (name, world) = (world.plan().devices[number].name.clone(), world.clone());
        sim.host(name, move || device::run(world.clone(), number));
    }
    {
        let world = world.clone();
        sim.host(GATEWAY, move || gateway::run(world.clone()));
    }
    let mut runner = Runner { sim, world, next: 0 };
    let broken = match runner.go() {
        Ok(()) => checker::check(&runner.world),
        Err(failed) => vec![failed],
    };
    let elapsed = runner.sim.elapsed();
    let hash = trace.hash();
    if !broken.is_empty() {
        checker::tell(&runner.world);
    }
    Verdict {
        hash,
        virtual_seconds: elapsed.as_secs(),
        orders,
        commits: checker::commits(&runner.world),
        unknown: checker::unknown(&runner.world),
        broken,
        tail: trace.tail(usize::MAX),
    }
}

struct Runner<'a> {
    sim: turmoil::Sim<'a>,
    world: World,
    /// Of the events.
    next: usize,
}

impl Runner<'_> {
    /// # Errors
    /// In words: it does not come to its end.
    fn go(&mut self) -> Result<(), String> {
        let trouble = Duration::from_millis(TROUBLE);
        let mut rest = None;
        loop {
            self.sim
                .step()
                .map_err(|error| format!("a host failed: {error}"))?;
            let now = self.sim.elapsed();
            self.world.trace().at(now);
            self.happen(now);
            if now < trouble {
                continue;
            }
            if self.world.state().devices.len() == self.world.plan().devices.len() {
                return Ok(());
            }
            let settled = self.world.state().gateway.settled;
            let begin = match rest {
                Some(begin) => begin,
                None if settled || now > trouble + SETTLED => *rest.insert(now),
                None => continue,
            };
            if now > begin + REST {
                self.world.state().report = true;
            }
            if now > begin + 2 * REST {
                return Err("the devices do not report".to_owned());
            }
        }
    }

    /// What is due.
    fn happen(&mut self, now: Duration) {
        let next_start = self.world.state().next_start;
        if next_start.is_some_and(|at| at <= now) {
            self.world.state().next_start = None;
            self.sim.bounce(GATEWAY);
        }
        while let Some(event) = self.world.plan().events.get(self.next).cloned() {
            if Duration::from_millis(event.at) > now {
                return;
            }
            self.next += 1;
            let world = self.world.clone();
            world.trace().line("runner", format!("{:?}", event.what));
            let name = |device: usize| world.plan().devices[device].name.clone();
            let cut = |device: usize, end: End| world.network().devices[device].2.cut(end);
            match event.what {
                Happening::Hold(device) => self.sim.hold(GATEWAY, name(device)),
                Happening::Release(device) => self.sim.release(GATEWAY, name(device)),
                Happening::Partition(device) => self.sim.partition(GATEWAY, name(device)),
                Happening::Repair(device) => self.sim.repair(GATEWAY, name(device)),
                Happening::Cut(device) => {
                    cut(device, End::Gateway);
                    cut(device, End::Device);
                }
                Happening::CutGateway(device) => cut(device, End::Gateway),
                Happening::CutDevice(device) => cut(device, End::Device),
                Happening::Kill => {
                    world.state().next_start = None;
                    if self.sim.is_host_running(GATEWAY) {
                        self.sim.crash(GATEWAY);
                    }
                }
                Happening::Stop => {
                    let mut state = world.state();
                    state.next_start = None;
                    state.stop.cancel();
                }
                Happening::StoreFails(table) => {
                    world.state().store_fails = true;
                    database::fail(world.directory(), table);
                }
                Happening::StoreWorks => {
                    world.state().store_fails = false;
                    database::mend(world.directory());
                }
                Happening::Start { reboot } => {
                    if reboot {
                        let mut state = world.state();
                        state.boots += 1;
                        state.booted = now;
                    }
                    world.state().next_start = None;
                    // A polite end that takes too long is cut short.
                    self.sim.bounce(GATEWAY);
                }
            }
        }
    }
}
