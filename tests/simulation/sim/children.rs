//! Runs in processes of their own: this program again, told to make one run.

use std::io;
use std::process::{Command, Output};

use super::Verdict;

/// What a process found out.
#[derive(Debug)]
pub struct Found {
    pub seed: u64,
    pub hash: String,
    pub orders: usize,
    pub unknown: usize,
    pub virtual_seconds: u64,
    /// Whether every invariant held.
    pub held: bool,
    /// All that it printed.
    pub text: String,
}

/// Begins the line by which a process tells its parent.
const MARK: &str = "simulation-verdict";

/// What a process prints that made a run, for [`read`].
pub fn told(verdict: &Verdict) -> String {
    let Verdict {
        hash,
        orders,
        unknown,
        virtual_seconds,
        ..
    } = verdict;
    let held = verdict.broken.is_empty();
    format!("{MARK} {hash} {orders} {unknown} {virtual_seconds} {held}")
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
        orders: usize::try_from(number(1)).unwrap_or(0),
        unknown: usize::try_from(number(2)).unwrap_or(0),
        virtual_seconds: number(3),
        held: output.status.success() && words.get(4) == Some(&"true"),
        text,
    }
}
