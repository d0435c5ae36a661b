//! Runs in processes of their own: this program again, told to make one run.

use std::io;
use std::ops::AddAssign;
use std::process::{Command, Output};

use super::Verdict;

/// What a process found out.
#[derive(Debug)]
pub struct Found {
    pub seed: u64,
    pub hash: String,
    pub counts: Counts,
    /// Whether every invariant held.
    pub held: bool,
    /// All that it printed.
    pub text: String,
}

/// What happened in one run or in several.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    pub orders: u64,
    /// What devices committed for the gateway.
    pub commits: u64,
    /// Changes with an end that nobody can tell.
    pub unknown: u64,
    pub virtual_seconds: u64,
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.orders += other.orders;
        self.commits += other.commits;
        self.unknown += other.unknown;
        self.virtual_seconds += other.virtual_seconds;
    }
}

/// Begins the line by which a process tells its parent.
const MARK: &str = "simulation-verdict";

/// What a process prints that made a run, for [`read`].
pub fn told(verdict: &Verdict) -> String {
    let Verdict {
        hash,
        orders,
        commits,
        unknown,
        virtual_seconds,
        ..
    } = verdict;
    let held = verdict.broken.is_empty();
    format!("{MARK} {hash} {orders} {commits} {unknown} {virtual_seconds} {held}")
}

/// Runs a command that makes the run of a seed and prints [`told`].
///
/// # Errors
/// It cannot be started.
pub fn run(seed: u64, command: &mut Command) -> io::Result<Found> {
    Ok(read(seed, &command.output()?))
}

fn read(seed: u64, output: &Output) -> Found {
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    let line = text.lines().find_map(|line| line.split_once(MARK));
    let words: Vec<&str> = line.map_or("", |(_, words)| words).split_whitespace().collect();
    let number = |place: usize| words.get(place).and_then(|word| word.parse().ok()).unwrap_or(0);
    Found {
        seed,
        hash: words.first().map_or_else(String::new, |hash| (*hash).to_owned()),
        counts: Counts {
            orders: number(1),
            commits: number(2),
            unknown: number(3),
            virtual_seconds: number(4),
        },
        held: output.status.success() && words.get(5) == Some(&"true"),
        text,
    }
}
