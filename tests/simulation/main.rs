//! Runs of the whole-system simulation (issue 4, "How it is shown"). `examples/simulate.rs` makes as many as one likes.

mod sim;

use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use sim::children::{self, Counts, Found};

/// The first seed of many, and how many there are at least.
const FIRST: u64 = 10;
const LEAST: u64 = 4;
/// After this time no further run is begun.
const TIME: Duration = Duration::from_secs(25);

/// Names the seed of the run that a process is to make.
const SEED: &str = "NCGATE_TEST_SIMULATION_SEED";
/// Set where its sessions run over SSH.
const VIA_SSH: &str = "NCGATE_TEST_SIMULATION_SSH";

/// Made by the other tests, each time in a process of its own.
#[test]
#[ignore = "the other tests start it"]
fn one_run() {
    let seed = std::env::var(SEED).expect("a seed").parse().expect("a number");
    let verdict = sim::run_once(seed, std::env::var(VIA_SSH).is_ok());
    for line in verdict.tail.iter().rev().take(100).rev() {
        println!("{line}");
    }
    println!("{}", children::told(&verdict));
    assert!(verdict.broken.is_empty(), "seed {seed}: {:#?}", verdict.broken);
}

fn child(seed: u64, via_ssh: bool) -> Found {
    let program = std::env::current_exe().expect("this test has a path");
    let mut command = Command::new(program);
    command.args(["--exact", "one_run", "--ignored", "--nocapture"]);
    command.env(SEED, seed.to_string());
    if via_ssh {
        command.env(VIA_SSH, "yes");
    }
    children::run(seed, &mut command).expect("this test can be started again")
}

#[track_caller]
fn held(found: &Found) {
    assert!(
        found.held,
        "seed {} failed; its trace ends so:\n{}",
        found.seed, found.text
    );
}

/// The same seed takes the same course, to the byte and the millisecond; another one another.
#[test]
fn the_same_seed_gives_the_same_trace() {
    let twice = [1, 2].map(|seed| (child(seed, false), child(seed, false)));
    for (first, second) in &twice {
        held(first);
        assert_eq!(first.hash, second.hash, "seed {}", first.seed);
    }
    assert_ne!(twice[0].0.hash, twice[1].0.hash);
}

/// Quality section 1, after every run: no commit twice, what the gateway says is what the devices did, nothing of ours is
/// left on them, everything comes to an end.
#[test]
fn whatever_happens_the_gateway_says_what_the_devices_did() {
    let begin = Instant::now();
    let next = AtomicU64::new(FIRST);
    let counts = Mutex::new(Counts::default());
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= FIRST + LEAST && begin.elapsed() > TIME {
                return;
            }
            let found = child(seed, false);
            held(&found);
            *counts.lock().expect("no panic under the lock") += found.counts;
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(work);
        scope.spawn(work);
    });
    let counts = counts.into_inner().expect("no panic under the lock");
    println!("{counts:?}");
    // A run in which nothing was committed would show nothing.
    assert!(counts.commits > LEAST, "{counts:?}");
    // Where the evidence cannot tell; few of many.
    assert!(counts.unknown * 20 <= counts.orders, "{counts:?}");
}

/// The same with the gateway's own SSH between.
#[test]
fn so_it_does_over_ssh() {
    held(&child(1, true));
    held(&child(3, true));
}
