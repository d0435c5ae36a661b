//! The gateway's host: the service layer and all below it, over a database that outlives it, and the callers.

use std::sync::Arc;
use std::time::Duration;

use ncgate::clock::{Clock, Stamp};
use ncgate::device::{ConnectRate, Registry, Surroundings};
use ncgate::error::Error;
use ncgate::ids::Ids;
use ncgate::metrics::Metrics;
use ncgate::service::call::{CallContext, Principal, Role};
use ncgate::service::url_policy::UrlPolicy;
use ncgate::service::{Gateway, Parts};
use ncgate::session::spool::{Spool, SpoolLimits};
use ncgate::store::{KeySource, Store, StoreOptions};
use ncgate::transport::NetworkPolicy;
use serde_json::json;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::network::connectors;
use super::world::{COMMIT_SECONDS, PASSWORD, PORT, START, USER, World, now};
use super::{callers, inventory, watch, witness};

/// The least time that may be asked for between a commit and its confirmation: so that more happens in a run.
const LEAST_CONFIRM: Duration = Duration::from_secs(10);
/// Time for calls that are under way when the gateway is to end, and for the polite end of sessions.
const DRAIN: Duration = Duration::from_secs(8);
const GRACE: Duration = Duration::from_secs(5);
/// After this time a gateway that could not start is started again.
const AGAIN: Duration = Duration::from_secs(3);

/// What a start makes.
struct Started {
    gateway: Gateway,
    store: Store,
    tasks: TaskTracker,
}

/// Adds the devices, before time begins and in a thread of its own. What computes beside all others then takes as long as
/// it takes, and how often the runtime looks for it meanwhile decides who comes first much later.
pub fn prepare(world: &World) {
    let preparing = || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime");
        runtime.block_on(async {
            let stamp = stamp(0, Duration::ZERO);
            let Started {
                gateway,
                store,
                tasks,
            } = open(world, 0, &stamp).await.expect("a gateway");
            for number in 0..world.plan().devices.len() {
                add_device(world, &gateway, number).await.expect("a device");
            }
            gateway.drain();
            gateway.close(GRACE, GRACE).await;
            tasks.close();
            tasks.wait().await;
            store.close().await;
        });
    };
    std::thread::scope(|scope| scope.spawn(preparing).join()).expect("a gateway that starts and ends");
}

fn stamp(boots: u64, booted: Duration) -> Stamp {
    Stamp {
        wall: START + now(),
        boot_id: format!("boot-{boots}"),
        since_boot: Duration::from_secs(100) + now().saturating_sub(booted),
    }
}

async fn open(world: &World, start: u64, stamp: &Stamp) -> Result<Started, Box<dyn std::error::Error>> {
    let clock = Clock::simulated_from(stamp);
    let ids = Ids::seeded(world.plan().seed.wrapping_mul(1000).wrapping_add(start));
    let tasks = TaskTracker::new();
    let directory = world.directory();
    let key = "c2ltdWxhdGVkIHNpbXVsYXRlZCBzaW11bGF0ZWQgc2k=".to_owned();
    let options = StoreOptions::still(directory.join("ncgate.db"), KeySource::Text(key.into()));
    let store = Store::open(options, clock.clone(), ids.clone()).await?;
    let around = Surroundings {
        spool: Spool::open(&directory.join("spool"), SpoolLimits::default())?,
        metrics: Arc::new(Metrics::new()),
        clock: clock.clone(),
        ids,
        tracker: tasks.clone(),
        cut: CancellationToken::new(),
    };
    let gateway = Gateway::open(Parts {
        store: store.clone(),
        devices: Registry::new(around, ConnectRate::default()),
        connectors: connectors(world.network().clone(), world.via_ssh()),
        networks: NetworkPolicy::default(),
        clock,
        known_hosts: directory.join("known_hosts"),
        idle_timeout: Duration::from_secs(60),
        record_age: Duration::from_secs(1),
        read_only_rpcs: Default::default(),
        urls: UrlPolicy::default(),
        edit_sessions_kept: Duration::from_secs(86_400),
        least_confirm_timeout: LEAST_CONFIRM,
        operations: Default::default(),
        events: Default::default(),
        tasks: tasks.clone(),
    })
    .await?;
    Ok(Started {
        gateway,
        store,
        tasks,
    })
}

/// From one start to its end, polite or not.
///
/// # Errors
/// A gateway that does not start.
pub async fn run(world: World) -> turmoil::Result {
    let (start, boots, booted, stop) = {
        let mut state = world.state();
        state.starts += 1;
        state.stop = CancellationToken::new();
        (state.starts, state.boots, state.booted, state.stop.clone())
    };
    world
        .trace()
        .line("gateway", format!("starts for the {start}. time, boot {boots}"));
    let Started {
        gateway,
        store,
        tasks,
    } = match open(&world, start, &stamp(boots, booted)).await {
        Ok(started) => started,
        Err(error) if world.state().store_fails => {
            world.trace().line("gateway", format!("does not start: {error}"));
            world.state().next_start = Some(now() + AGAIN);
            return Ok(());
        }
        Err(error) => return Err(error),
    };
    world.trace().line("gateway", "serves");
    let served = CancellationToken::new();
    for caller in 0..world.plan().callers.len() {
        let calls = callers::run(world.clone(), gateway.clone(), served.clone(), caller);
        tokio::spawn(served.clone().run_until_cancelled_owned(calls));
    }
    let absent = world.state().absent.clone();
    for device in absent {
        let adding = inventory::add(world.clone(), gateway.clone(), device);
        tokio::spawn(served.clone().run_until_cancelled_owned(adding));
    }
    let closed = CancellationToken::new();
    for follower in 0..2 {
        let following = watch::follow(world.clone(), gateway.clone(), follower);
        tokio::spawn(closed.clone().run_until_cancelled_owned(following));
    }
    let records = witness::of_records(world.clone(), gateway.clone(), start);
    tokio::spawn(closed.clone().run_until_cancelled_owned(records));
    let locks = witness::of_locks(world.clone(), gateway.clone(), start);
    tokio::spawn(closed.clone().run_until_cancelled_owned(locks));
    let report = watch::report(world.clone(), gateway.clone(), store.clone());
    tokio::spawn(closed.clone().run_until_cancelled_owned(report));
    stop.cancelled().await;
    gateway.drain();
    let drained = Instant::now() + DRAIN;
    while world.state().calling > 0 && Instant::now() < drained {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    served.cancel();
    let left = drained.saturating_duration_since(Instant::now());
    gateway.operations_ended(left).await;
    let left = drained.saturating_duration_since(Instant::now());
    let polite = gateway.close(left.max(GRACE), GRACE).await;
    tasks.close();
    tasks.wait().await;
    // Nobody asks a process that has closed its database; a host's tasks live to the end of the step.
    closed.cancel();
    store.close().await;
    world
        .trace()
        .line("gateway", format!("has ended, politely: {polite}"));
    Ok(())
}

/// Somebody who may do everything.
pub fn admin() -> CallContext {
    context("admin", Role::Admin)
}

pub fn context(who: &str, role: Role) -> CallContext {
    CallContext {
        principal: Principal::new(who, role),
        request_id: format!("by-{who}"),
        deadline: None,
        traceparent: None,
        ticket: Default::default(),
    }
}

/// Adds a device as it was in the beginning.
///
/// # Errors
/// As the service call.
pub async fn add_device(world: &World, gateway: &Gateway, number: usize) -> Result<(), Error> {
    let (name, address, _) = &world.network().devices[number];
    let body = json!({
        "name": name,
        "address": address,
        "port": PORT,
        "username": USER,
        "auth": {"password": PASSWORD},
        "host_key": {"policy": "tofu"},
        "timeouts": {"commit_seconds": COMMIT_SECONDS, "rpc_seconds": 20},
    });
    gateway.create_device(&admin(), &body.to_string()).await.map(drop)
}
