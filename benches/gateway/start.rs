//! From nothing to the first answer: `ncgate demo`, and how large the program is.

use std::process::Command;
use std::time::{Duration, Instant};

use crate::Fault;
use crate::child::Process;
use crate::rest::Http;
use crate::tally::{Samples, micros};

const ROUNDS: usize = 5;
const PROGRAM: &str = env!("CARGO_BIN_EXE_ncgate");

/// Prints a few lines.
pub async fn run() -> Result<(), Fault> {
    println!("\n### Start of the demo\n");
    let size = std::fs::metadata(PROGRAM)?.len() as f64 / 1e6;
    let mut took = Samples::default();
    for _ in 0..ROUNDS {
        let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?.to_string();
        drop(listener);
        let home = tempfile::tempdir()?;
        let start = Instant::now();
        let _demo = Process::command(
            Command::new(PROGRAM)
                .args(["demo", "--listen", &address])
                .current_dir(home.path()),
        )?;
        while first_answer(&address).await.is_err() {
            if start.elapsed() > Duration::from_secs(30) {
                return Err("the demo does not answer".into());
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        took.push(micros(start.elapsed()) / 1e3);
    }
    println!("* binary: {size:.1} MB");
    println!(
        "* `ncgate demo` to the first 200 of a device's data: {:.0} ms ({:.0} to {:.0}, {ROUNDS} starts)",
        took.median(),
        took.quantile(0.0),
        took.quantile(1.0)
    );
    Ok(())
}

async fn first_answer(address: &str) -> Result<(), Fault> {
    let mut client = Http::connect(address).await?;
    client.get("/v1/devices/mx1/rpc/get-software-information").await?;
    Ok(())
}
