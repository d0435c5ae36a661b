//! Samples, their medians, and ratios of two sides that took turns.

use std::time::Duration;

/// What one side took, round by round, in whatever unit.
#[derive(Default)]
pub struct Samples(Vec<f64>);

impl Samples {
    pub fn push(&mut self, value: f64) {
        self.0.push(value);
    }

    /// The value below which this part of the samples lies.
    pub fn quantile(&self, part: f64) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let at = (sorted.len() as f64 * part) as usize;
        sorted
            .get(at.min(sorted.len().saturating_sub(1)))
            .copied()
            .unwrap_or(f64::NAN)
    }

    pub fn median(&self) -> f64 {
        self.quantile(0.5)
    }

    /// Round by round, this over that.
    pub fn over(&self, other: &Self) -> Self {
        Self(self.0.iter().zip(&other.0).map(|(a, b)| a / b).collect())
    }
}

pub fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

pub fn heading(title: &str) {
    println!("\n### {title}\n");
    println!("| figure | yardstick | ncgate | ratio: median | min | max | mark |");
    println!("| --- | --- | --- | --- | --- | --- | --- |");
}

/// One line: medians of both, and of the ratio of each round.
pub fn line(figure: &str, yardstick: &Samples, ours: &Samples, mark: &str) {
    let ratio = ours.over(yardstick);
    println!(
        "| {figure} | {:.1} | {:.1} | {:.2} | {:.2} | {:.2} | {mark} |",
        yardstick.median(),
        ours.median(),
        ratio.median(),
        ratio.quantile(0.0),
        ratio.quantile(1.0),
    );
}

/// CPU time that a process has used, all living threads together; `None` is this process.
pub fn cpu(process: Option<u32>) -> Duration {
    let process = process.map_or_else(|| "self".to_owned(), |id| id.to_string());
    let Ok(threads) = std::fs::read_dir(format!("/proc/{process}/task")) else {
        return Duration::ZERO;
    };
    let nanos = threads
        .flatten()
        .filter_map(|thread| std::fs::read_to_string(thread.path().join("schedstat")).ok())
        .filter_map(|line| line.split_whitespace().next()?.parse::<u64>().ok())
        .sum();
    Duration::from_nanos(nanos)
}

/// A line of `/proc/self/status`, in KiB.
pub fn memory(key: &str) -> f64 {
    std::fs::read_to_string("/proc/self/status")
        .ok()
        .and_then(|status| {
            let line = status.lines().find(|line| line.starts_with(key))?;
            line.split_whitespace().nth(1)?.parse().ok()
        })
        .unwrap_or(f64::NAN)
}
