//! The whole system in one process, with seeds and virtual time: the service layer and all below it, emulated devices,
//! callers, and what goes wrong between them. `ARCHITECTURE.md` tells how it hangs together.
//!
//! One process makes one run, because much of what decides the order of things can be fixed for a whole process only
//! (see `dice`). [`children`] starts such processes.

pub mod children;

mod asking;
mod callers;
mod checker;
mod database;
mod device;
mod dice;
mod door;
mod gateway;
mod glimpses;
mod inventory;
mod meddling;
mod network;
mod plan;
mod run;
mod trace;
mod watch;
mod witness;
mod world;

pub use run::Verdict;

/// Makes the run of this seed, once in a process.
pub fn run_once(seed: u64, via_ssh: bool) -> Verdict {
    dice::fix_randomness(seed);
    // A thread of its own, which has not asked for randomness before.
    let run = std::thread::spawn(move || {
        let directory = tempfile::tempdir().expect("a temporary directory");
        run::run(plan::plan(seed), directory.path(), via_ssh)
    });
    run.join().expect("a run that comes to its end")
}
