//! A device's host: it serves NETCONF, has its troubles, and is configured by others.

use std::sync::Arc;
use std::time::Duration;

use ncgate::clock::Clock;
use ncgate::emulator::config::{Database, Store, set};
use ncgate::emulator::device::Device;
use ncgate::emulator::{Console, DeviceError, Emulator, Fault, Profile, Rule, Until};
use turmoil::net::TcpListener;

use super::network::End;
use super::plan::{Deed, TROUBLE, Trouble};
use super::world::{DeviceReport, PASSWORD, PORT, START, USER, World, now, until};

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
    let emulator = builder.build()?;
    let device = emulator.device().clone();
    for meddling in plan.meddling.clone() {
        let (world, device) = (world.clone(), device.clone());
        tokio::spawn(async move {
            until(meddling.at).await;
            meddle(&world, number, &device, meddling.what).await;
        });
    }
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

/// Ends all trouble when its time is over, and reports when it is asked to.
async fn calm_down(world: World, number: usize, device: Arc<Device>) {
    until(TROUBLE).await;
    device.faults.clear();
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
        locks: locks.collect(),
        candidate: device
            .tree(Database::Candidate)
            .map(|tree| set::render(&tree))
            .unwrap_or_default(),
        pending: device.is_rollback_pending(),
    }
}

fn word(number: u32) -> String {
    format!("set interfaces xe-9/0/0 description ext-{number:06}")
}

async fn meddle(world: &World, number: usize, device: &Arc<Device>, deed: Deed) {
    let plan = &world.plan().devices[number];
    let say = |what: String| world.trace().line(&plan.name, format!("! {what}"));
    match deed {
        Deed::Power(span) => {
            if !device.is_up() {
                return;
            }
            device.power_off();
            say("is down".to_owned());
            tokio::time::sleep(Duration::from_millis(span)).await;
            device.power_on();
            say("is up".to_owned());
        }
        Deed::Fault(operation, trouble) => {
            say(format!("{trouble:?} at the next {operation}"));
            device.faults.add(Rule::on(operation, fault(trouble)).once());
        }
        Deed::Lock(span) => {
            let console = Console::login(device, "noc");
            say(format!("locks: {:?}", console.configure_exclusive()));
            tokio::time::sleep(Duration::from_millis(span)).await;
            leave(console);
        }
        Deed::Type(number, span) => {
            let console = Console::login(device, "noc");
            let typed = console.edit(&word(number));
            say(format!("types: {typed:?}"));
            tokio::time::sleep(Duration::from_millis(span)).await;
            if typed.is_ok() {
                say(format!("discards: {:?}", console.discard()));
            }
            leave(console);
        }
        Deed::Commit(number) => {
            let console = Console::login(device, "noc");
            if console.configure_exclusive().is_ok() {
                let edited = console.edit(&word(number));
                say(format!("commits: {edited:?} {:?}", console.commit(Some("noc"))));
            }
            leave(console);
        }
        Deed::CommitConfirmed(number, minutes) => {
            let console = Console::login(device, "noc");
            if !device.is_rollback_pending() && console.configure_exclusive().is_ok() {
                let edited = console.edit(&word(number));
                let committed = console.commit_confirmed(minutes, Some("noc"));
                say(format!("commits confirmed: {edited:?} {committed:?}"));
            }
            leave(console);
        }
        Deed::Confirm => {
            let console = Console::login(device, "noc");
            if device.confirmed().is_some() && !device.is_modified() {
                say(format!("confirms: {:?}", console.commit(Some("noc"))));
            }
            leave(console);
        }
        Deed::Kill => {
            let ours = device
                .sessions()
                .iter()
                .find_map(|(id, session)| (session.user == USER).then_some(*id));
            if let Some(id) = ours {
                say(format!("kills {id}: {}", device.kill(id)));
            }
        }
    }
}

fn leave(console: Console) {
    console.leave_configuration();
    console.exit();
}

fn fault(trouble: Trouble) -> Fault {
    let after = |span: u64| Until::Passed(Duration::from_millis(span));
    match trouble {
        Trouble::Delay(span) => Fault::Delay(Duration::from_millis(span)),
        Trouble::Late(span) => Fault::Late(after(span)),
        Trouble::DropBefore => Fault::DropBeforeOperation,
        Trouble::DropThen(span) => Fault::DropThenOperation(after(span)),
        Trouble::DropAfter => Fault::DropBeforeReply,
        Trouble::Never => Fault::NeverReply,
        Trouble::Swallow => Fault::Swallow,
        Trouble::Refuse => Fault::Errors(vec![DeviceError::new("not now")]),
        Trouble::CutShort(bytes) => Fault::DropAfter(bytes),
    }
}

/// An edit that brings a word into the configuration, as JSON.
pub fn edit(profile: Profile, number: u32, word: &str) -> String {
    let interface = format!(
        r#"{{"interfaces": {{"interface": [{{"name": "ge-0/0/{number}", "description": "{word}"}}]}}}}"#
    );
    if profile.junos() {
        interface
    } else {
        format!(r#"{{"example-router:configuration": {interface}}}"#)
    }
}
