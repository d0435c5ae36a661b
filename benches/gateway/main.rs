//! What the gateway costs, as ratios to a bare russh loop that takes turns with it in one run.
//!
//! `cargo bench --bench gateway -- [session] [rest] [change] [memory] [start]` measures all of these, or those named.
//! `cargo bench --bench gateway -- peers COMMAND…` starts server and gateway, and the command with their addresses.
//! `cargo bench --bench gateway -- hands COMMAND…` starts emulator and gateway, and the command with their addresses.
//! `cargo bench --bench gateway -- clients DIRECTORY` measures the public Rust clients whose programs lie there.
//! The other words are for the processes that this one starts. Nothing is asserted on time; `benches/README.md` has
//! the results and the marks.

mod bare;
mod cable;
mod change;
mod child;
mod clients;
mod fake;
mod grpc;
mod memory;
mod ours;
mod rest;
mod session;
mod side;
mod stack;
mod start;
mod tally;

use std::process::Command;

use child::Process;
use side::Fault;

const NETCONF: &str = "urn:ietf:params:xml:ns:netconf:base:1.0";
const USER: &str = "bench";
const PASSWORD: &str = "bench";
const SMALL: &str = "<gw xmlns=\"urn:example:gw\"><hostname/></gw>";

#[tokio::main(worker_threads = 2)]
async fn main() -> Result<(), Fault> {
    // Cargo adds arguments of its own, such as `--bench`.
    let words: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| word != "--bench")
        .collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["fake"] => return fake::serve().await,
        ["emulator"] => return change::serve().await,
        ["serve", port, sessions, database] => {
            return rest::serve(port.parse()?, sessions.parse()?, database).await;
        }
        ["hands", program, ref arguments @ ..] => return change::beside(program, arguments),
        ["side", side, port] => return clients::obey(side, port.parse()?).await,
        ["idle", side, port] => return memory::idle(side, port.parse()?).await,
        ["growth", side, port, filter] => return memory::growth(side, port.parse()?, filter).await,
        _ => {}
    }
    let mut server = Process::start(&["fake"])?;
    let port: u16 = server.line()?.parse()?;
    if let ["peers", program, arguments @ ..] = &words[..] {
        let mut gateway = Process::start(&["serve", &port.to_string(), "4", rest::IN_MEMORY])?;
        let address = gateway.line()?;
        Command::new(program)
            .args(arguments)
            .env("FAKE_PORT", port.to_string())
            .env("GATEWAY", address)
            .status()?;
        return Ok(());
    }
    if let ["clients", directory] = words[..] {
        return clients::run(port, directory.as_ref());
    }
    let wanted = |part: &str| words.is_empty() || words.contains(&part);
    if wanted("session") {
        session::run(port).await?;
    }
    if wanted("rest") {
        rest::run(port).await?;
    }
    if wanted("change") {
        change::run().await?;
    }
    if wanted("memory") {
        memory::run(port)?;
    }
    if wanted("start") {
        start::run().await?;
    }
    Ok(())
}
