//! Makes runs of the whole-system simulation, each in a process of its own:
//! `cargo run --release --example simulate -- --seeds 1000`. Ends with 1 at the first run in which something was not as
//! it has to be; `--seed S` makes that run again and shows its trace. With `--repeat N` each run is made N times, and has
//! to take the same course each time.

#[path = "../tests/simulation/sim/mod.rs"]
mod sim;

use std::process::{Command, ExitCode};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use clap::Parser;
use sim::children::{self, Counts, Found};

/// Lines of a trace that are shown of a run that failed among others.
const TAIL: usize = 120;

#[derive(Parser)]
struct Args {
    /// How many runs, with seeds that follow each other.
    #[arg(long)]
    seeds: Option<u64>,
    /// The first seed; without --seeds, the only one, whose whole trace is shown.
    #[arg(long)]
    seed: Option<u64>,
    /// The sessions run over SSH.
    #[arg(long)]
    via_ssh: bool,
    /// Runs at a time; as many as there are processors unless set.
    #[arg(long)]
    jobs: Option<usize>,
    /// Goes on after a run that failed.
    #[arg(long)]
    keep_going: bool,
    /// Makes each run so often, and shows where their traces part.
    #[arg(long, default_value_t = 1)]
    repeat: u32,
    /// How the program starts itself.
    #[arg(long, hide = true)]
    only: bool,
    /// The same, where traces are compared.
    #[arg(long, hide = true)]
    whole: bool,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let first = args.seed.unwrap_or(1);
    match args.seeds {
        Some(seeds) if !args.only => many(&args, first, seeds),
        None if !args.only && args.repeat > 1 => many(&args, first, 1),
        _ => one(&args, first),
    }
}

/// In this process.
fn one(args: &Args, seed: u64) -> ExitCode {
    let verdict = sim::run_once(seed, args.via_ssh);
    let all = !args.only || args.whole;
    let shown = if all { usize::MAX } else { TAIL };
    if all || !verdict.broken.is_empty() {
        let skipped = verdict.tail.len().saturating_sub(shown);
        for line in verdict.tail.iter().skip(skipped) {
            println!("{line}");
        }
    }
    for broken in &verdict.broken {
        println!("seed {seed}: {broken}");
    }
    println!("{}", children::told(&verdict));
    if verdict.broken.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn many(args: &Args, first: u64, seeds: u64) -> ExitCode {
    let begin = Instant::now();
    let jobs = args
        .jobs
        .unwrap_or_else(|| std::thread::available_parallelism().map_or(2, usize::from));
    let (next, failed) = (AtomicU64::new(first), AtomicU64::new(0));
    let counts = Mutex::new(Counts::default());
    let work = || {
        while failed.load(Ordering::Relaxed) == 0 || args.keep_going {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= first + seeds {
                return;
            }
            let found = child(args, seed);
            *counts.lock().expect("no panic under the lock") += found.counts;
            for _ in 1..args.repeat {
                let again = child(args, seed);
                if again.hash != found.hash {
                    failed.fetch_add(1, Ordering::Relaxed);
                    println!(
                        "seed {seed} takes two courses:\n{}",
                        parting(&found.text, &again.text)
                    );
                    break;
                }
            }
            if !found.held {
                failed.fetch_add(1, Ordering::Relaxed);
                let Found { seed, hash, text, .. } = found;
                println!(
                    "{}\nseed {seed} failed, trace {hash}; again: --seed {seed}{}",
                    tail(&text),
                    via(args)
                );
            }
            let done = seed - first + 1;
            if done.is_multiple_of(50) {
                println!("{done} runs in {} s", begin.elapsed().as_secs());
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(work);
        }
    });
    let failed = failed.load(Ordering::Relaxed);
    let counts = counts.into_inner().expect("no panic under the lock");
    println!(
        "{} runs, {failed} failed; {} orders, {} commits, {} ends that nobody can tell; {} h of virtual time in {} s",
        next.load(Ordering::Relaxed).min(first + seeds) - first,
        counts.orders,
        counts.commits,
        counts.unknown,
        counts.virtual_seconds / 3600,
        begin.elapsed().as_secs()
    );
    if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// The last lines.
fn tail(text: &str) -> &str {
    let mut begins = text.rmatch_indices('\n').map(|(place, _)| place + 1);
    begins.nth(2 * TAIL).map_or(text, |place| &text[place..])
}

/// Where two traces part, with some lines before.
fn parting(one: &str, other: &str) -> String {
    const BEFORE: usize = 6;
    let (one, other): (Vec<&str>, Vec<&str>) = (one.lines().collect(), other.lines().collect());
    let alike = one
        .iter()
        .zip(&other)
        .take_while(|(one, other)| one == other)
        .count();
    let shown = |lines: &[&str]| {
        lines
            .iter()
            .skip(alike)
            .take(3)
            .copied()
            .collect::<Vec<_>>()
            .join("\n  ")
    };
    let before = one[alike.saturating_sub(BEFORE)..alike].join("\n  ");
    format!(
        "  {before}\nthen, in line {alike},\n  {}\nor\n  {}",
        shown(&one),
        shown(&other)
    )
}

fn via(args: &Args) -> &'static str {
    if args.via_ssh { " --via-ssh" } else { "" }
}

fn child(args: &Args, seed: u64) -> Found {
    let program = std::env::current_exe().expect("this program has a path");
    let mut command = Command::new(program);
    command.args(["--only", "--seed", &seed.to_string()]);
    if args.repeat > 1 {
        command.arg("--whole");
    }
    if args.via_ssh {
        command.arg("--via-ssh");
    }
    children::run(seed, &mut command).expect("this program can be started again")
}
