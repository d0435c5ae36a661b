//! How fast a large configuration in JSON becomes XML, beside `serde_json`'s parse of the same text.
//!
//! `cargo bench --no-default-features --bench edit -- [megabytes]` prints, for each step, the best of several rounds and
//! its ratio to the parse. All steps take turns in one run, so that a busy machine slows all alike.

use std::fmt::Write;
use std::hint::black_box;
use std::time::{Duration, Instant};

use ncgate::json::{ConfigDialect, Target, ToXmlOptions, to_xml};

const ROUNDS: usize = 7;

fn main() {
    // Cargo adds arguments of its own, such as `--bench`.
    let megabytes = std::env::args()
        .skip(1)
        .find_map(|argument| argument.parse().ok())
        .unwrap_or(20);
    let text = configuration(megabytes << 20);
    let options = ToXmlOptions {
        junos: true,
        ..ToXmlOptions::default()
    };
    let steps: [(&str, &dyn Fn()); 3] = [
        ("serde_json, to a value", &|| parse(&text)),
        ("to load-configuration", &|| {
            convert(&text, ConfigDialect::LoadConfiguration, &options)
        }),
        ("to edit-config", &|| {
            convert(&text, ConfigDialect::EditConfig, &options)
        }),
    ];
    let mut best = [Duration::MAX; 3];
    for _ in 0..ROUNDS {
        for (number, (_, step)) in steps.iter().enumerate() {
            let start = Instant::now();
            step();
            best[number] = best[number].min(start.elapsed());
        }
    }
    let size = text.len() as f64 / 1e6;
    println!("{size:.1} MB of configuration, best of {ROUNDS} rounds");
    println!("{:<28} {:>8} {:>7}", "step", "MB/s", "ratio");
    for ((name, _), took) in steps.iter().zip(best) {
        let ratio = best[0].as_secs_f64() / took.as_secs_f64();
        println!("{name:<28} {:>8.0} {ratio:>7.2}", size / took.as_secs_f64());
    }
}

fn parse(text: &str) {
    match serde_json::from_str::<serde_json::Value>(text) {
        Ok(value) => drop(black_box(value)),
        Err(error) => panic!("{error}"),
    }
}

fn convert(text: &str, dialect: ConfigDialect, options: &ToXmlOptions) {
    match to_xml(text, Target::Config(dialect), options) {
        Ok(fragment) => drop(black_box(fragment)),
        Err(error) => panic!("{error}"),
    }
}

/// Interfaces with units and addresses, until it is so long.
fn configuration(bytes: usize) -> String {
    let mut text = String::with_capacity(bytes + 4096);
    text.push_str("{\"configuration\": {\"interfaces\": {\"interface\": [");
    let mut number = 0u32;
    while text.len() < bytes {
        let (high, low) = (number / 256 % 256, number % 256);
        let comma = if number == 0 { "" } else { ", " };
        // Nothing can fail when a string is written to.
        let _ = write!(
            text,
            "{comma}{{\"name\": \"xe-{high}/{low}/0\", \"description\": \"to the \\\"north\\\" & beyond {number}\", \
             \"mtu\": 9192, \"vlan-tagging\": [null], \"unit\": [{{\"name\": {low}, \"vlan-id\": {low}, \
             \"family\": {{\"inet\": {{\"filter\": {{\"input\": {{\"filter-name\": \"edge-in\"}}}}, \
             \"address\": [{{\"name\": \"10.{high}.{low}.1/30\", \"primary\": [null]}}]}}, \
             \"inet6\": {{\"address\": [{{\"name\": \"2001:db8:{high:x}:{low:x}::1/64\"}}]}}}}}}]}}"
        );
        number += 1;
    }
    text.push_str("]}}}");
    text
}
