//! A device's host: it serves NETCONF, has its troubles, and is configured by others.

use std::sync::Arc;
use std::time::Duration;

use ncgate::clock::Clock;
use ncgate::emulator::config::{Database, Store, set};
use ncgate::emulator::device::Device;
use ncgate::emulator::{Console, DeviceError, Emulator, Fault, Profile, Quirk, Rule};
use turmoil::net::TcpListener;

use super::glimpses;
use super::meddling::meddle;
use super::network::End;
use super::plan::TROUBLE;
use super::world::{DeviceReport, PASSWORD, PORT, START, USER, World, now, until};

/// How often somebody clears up at a device that leaves locks and edits behind.
const CLEARED_UP: Duration = Duration::from_secs(45);

/// Runs for ever.
///
/// # Errors
/// When the device cannot be made, which is a fault of the plan.
pub async fn run(world: World, number: usize) -> turmoil::Result {
    let plan = &world.plan().devices[number];
    let clock = Clock::simulated(START + now(), "device");
    let mut builder = Emulator::builder()
        .hostname(plan.name.clone())
        .profile(plan.profile)
        .clock(clock)
        .user(USER)
        .password(PASSWORD);
    for quirk in &plan.quirks {
        builder = builder.quirk(*quirk);
    }
    if plan.warns {
        builder = builder.commit_warning("requires 'bgp' license");
    }
    if plan.warns_of_private_copies {
        builder = builder.warns_of_private_copies();
    }
    let emulator = builder.build()?;
    let device = emulator.device().clone();
    hide_history(&world, number, &device);
    for meddling in plan.meddling.clone() {
        let (world, device) = (world.clone(), device.clone());
        tokio::spawn(async move {
            until(meddling.at).await;
            meddle(&world, number, &device, meddling.what).await;
        });
    }
    if plan.has(Quirk::LocksStay) || plan.has(Quirk::CandidateStays) {
        tokio::spawn(clear_up(device.clone()));
    }
    tokio::spawn(glimpses::keep(world.clone(), number, device.clone()));
    tokio::spawn(calm_down(world.clone(), number, device.clone()));
    let listener = TcpListener::bind(("0.0.0.0", PORT)).await?;
    let wires = world.network().devices[number].2.clone();
    loop {
        let (stream, peer) = listener.accept().await?;
        let stream = wires.stream(stream, End::Device, None);
        let (emulator, from, via_ssh) = (emulator.clone(), peer.ip().to_string(), world.via_ssh());
        tokio::spawn(async move {
            if via_ssh {
                emulator.serve_ssh(stream, &from).await;
            } else {
                emulator.serve_netconf(stream, USER, &from).await;
            }
        });
    }
}

fn hide_history(world: &World, number: usize, device: &Device) {
    if world.plan().devices[number].hides_history {
        let refusal = Fault::Errors(vec![
            DeviceError::new("permission denied").tagged("protocol", "access-denied"),
        ]);
        device.faults.add(Rule::on("get-commit-information", refusal));
    }
}

/// Somebody at the device takes away what ended sessions have left behind, now and then.
async fn clear_up(device: Arc<Device>) {
    loop {
        tokio::time::sleep(CLEARED_UP).await;
        for store in [Store::Candidate, Store::Running] {
            let left = device
                .lock_holder(store)
                .is_some_and(|holder| !device.is_logged_in(holder.session));
            if left && device.is_up() {
                device.clear_lock(store);
            }
        }
        if device.is_modified() && device.lock_holder(Store::Candidate).is_none() {
            let console = Console::login(&device, "noc");
            // Somebody else may be quicker.
            let _ = console.discard();
            console.exit();
        }
    }
}

/// Ends all trouble when its time is over, and reports when it is asked to.
async fn calm_down(world: World, number: usize, device: Arc<Device>) {
    until(TROUBLE).await;
    device.faults.clear();
    hide_history(&world, number, &device);
    world.trace().line(&world.plan().devices[number].name, "is calm");
    loop {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let wanted = world.state().report;
        if wanted {
            let report = report(&device);
            world.state().devices.insert(number, report);
            return;
        }
    }
}

fn report(device: &Device) -> DeviceReport {
    // What is due is done by whoever looks.
    let running = set::render(&device.running().tree);
    let deeds = device.deeds();
    let deeds = deeds.into_iter().map(|deed| {
        let revision = device.revision(&deed.revision);
        let text = revision.map(|revision| set::render(&revision.tree));
        (deed, text.unwrap_or_default())
    });
    let locks = [Store::Candidate, Store::Running]
        .into_iter()
        .filter_map(|store| {
            let holder = device.lock_holder(store)?;
            Some(format!("{store:?} by {} ({})", holder.user, holder.session))
        });
    DeviceReport {
        deeds: deeds.collect(),
        running,
        startup: device.tree(Database::Startup).map(|tree| set::render(&tree)),
        locks: locks.collect(),
        candidate: device
            .tree(Database::Candidate)
            .map(|tree| set::render(&tree))
            .unwrap_or_default(),
        pending: device.is_rollback_pending(),
    }
}

/// An edit that brings a word into the configuration, as JSON; a broken one is refused when it is checked.
pub fn edit(profile: Profile, number: u32, word: &str, broken: bool) -> String {
    let unit = match broken {
        true => {
            r#", "unit": [{"name": "0", "family": {"inet": {"filter": {"input": {"filter-name": "missing"}}}}}]"#
        }
        false => "",
    };
    let interface = format!(
        r#"{{"interfaces": {{"interface": [{{"name": "ge-0/0/{number}", "description": "{word}"{unit}}}]}}}}"#
    );
    if profile.junos() {
        interface
    } else {
        format!(r#"{{"example-router:configuration": {interface}}}"#)
    }
}
