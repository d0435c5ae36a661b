//! Runs of the whole-system simulation (issue 4, "How it is shown"). `examples/simulate.rs` makes as many as one likes.

mod sim;

use std::process::Command;

use sim::children::{self, Found};

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

/// The same seed takes the same course, to the byte and the millisecond.
#[test]
fn the_same_seed_gives_the_same_trace() {
    for seed in [1, 2] {
        let (first, second) = (child(seed, false), child(seed, false));
        held(&first);
        assert_eq!(first.hash, second.hash, "seed {seed}");
        assert_ne!(first.hash, child(seed + 100, false).hash);
    }
}
