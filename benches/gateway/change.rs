//! The change of one interface in one call, beside the same steps by hand over one open NETCONF session.

use std::borrow::Cow;
use std::process::Command;
use std::time::{Duration, Instant};

use ncgate::emulator::{Profile, demo_devices};
use russh::{Preferred, cipher};

use crate::bare::Bare;
use crate::cable;
use crate::child::{Process, until_stdin_ends};
use crate::rest::{Http, IN_MEMORY};
use crate::tally::{Samples, cpu, heading, line, micros};
use crate::{Fault, PASSWORD, USER};

const ROUNDS: usize = 15;
const CHANGES: usize = 20;
/// Over a distance, where each takes long and differs little.
const FAR_CHANGES: usize = 5;
const PATH: &str = "/v1/devices/fake/changes";

/// The child: an emulated Junos device with chunked framing. Prints its port.
pub async fn serve() -> Result<(), Fault> {
    let [device, _] = demo_devices();
    let running = device
        .profile(Profile::JunosRfc11)
        .user(USER)
        .password(PASSWORD)
        .listen("127.0.0.1:0")
        .await?;
    println!("{}", running.addr().port());
    until_stdin_ends().await;
    running.stop().await;
    Ok(())
}

/// What is sent by hand.
#[derive(Clone, Copy)]
enum Hand {
    /// What the gateway sends, as `plan=true` shows it.
    Same,
    /// The same without the look at the history of commits: nobody needs it who knows that no other has a confirmed
    /// commit in its window, and sees every reply.
    WithoutHistory,
}

/// How far away the device is: what a round trip to it takes, in milliseconds.
const ROUND_TRIPS: [u64; 3] = [0, 2, 20];

/// Prints a table for each kind of database and each distance.
pub async fn run() -> Result<(), Fault> {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    for round_trip in ROUND_TRIPS {
        measure("in memory", IN_MEMORY, round_trip).await?;
        let file = directory.path().join(format!("{round_trip}.db"));
        measure("in a file", &format!("sqlite://{}", file.display()), round_trip).await?;
    }
    Ok(())
}

/// Starts emulator and gateway, and a command with their addresses.
pub fn beside(program: &str, arguments: &[&str]) -> Result<(), Fault> {
    let mut device = Process::start(&["emulator"])?;
    let port = device.line()?;
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let file = directory.path().join("ncgate.db");
    let mut gateway = Process::start(&["serve", &port, "2", &format!("sqlite://{}", file.display())])?;
    let address = gateway.line()?;
    Command::new(program)
        .args(arguments)
        .env("EMULATOR_PORT", port)
        .env("GATEWAY", address)
        .status()?;
    Ok(())
}

async fn measure(place: &str, database: &str, round_trip: u64) -> Result<(), Fault> {
    let mut device = Process::start(&["emulator"])?;
    let port: u16 = device.line()?.parse()?;
    let port = match round_trip {
        0 => port,
        _ => cable::lay(port, Duration::from_millis(round_trip)).await?,
    };
    let mut gateway = Process::start(&["serve", &port.to_string(), "2", database])?;
    let address = gateway.line()?;
    // What the gateway and the emulator agree on.
    let preferred = Preferred {
        cipher: Cow::Borrowed(&[cipher::AES_256_GCM]),
        ..Preferred::default()
    };
    let mut hand = Bare::connect_preferring(preferred, port).await?;
    let mut client = Http::connect(&address).await?;
    let changes = if round_trip == 0 { CHANGES } else { FAR_CHANGES };
    let mut number = 0;
    let hands = [Hand::Same, Hand::WithoutHistory];
    let (mut walls, mut cpus) = (
        hands.map(|_| Samples::default()),
        hands.map(|_| Samples::default()),
    );
    let (mut our_wall, mut our_cpu) = (Samples::default(), Samples::default());
    // The first one warms up.
    for round in 0..=ROUNDS {
        for (at, steps) in hands.into_iter().enumerate() {
            let mut by_hand = Samples::default();
            let before = cpu(None);
            for _ in 0..changes {
                number += 1;
                let start = Instant::now();
                by_steps(&mut hand, steps, number).await?;
                by_hand.push(micros(start.elapsed()));
            }
            let used = cpu(None).saturating_sub(before);
            if round > 0 {
                walls[at].push(by_hand.median());
                cpus[at].push(micros(used) / changes as f64);
            }
        }
        let mut ours = Samples::default();
        let before = cpu(Some(gateway.id()));
        for _ in 0..changes {
            number += 1;
            let start = Instant::now();
            change(&mut client, number).await?;
            ours.push(micros(start.elapsed()));
        }
        let used = cpu(Some(gateway.id())).saturating_sub(before);
        if round > 0 {
            our_wall.push(ours.median());
            our_cpu.push(micros(used) / changes as f64);
        }
    }
    heading(&format!(
        "A change of one interface in one call against the same steps by hand; database {place}; round trip {round_trip} ms"
    ));
    let [same, without] = &walls;
    line("p50 µs", same, &our_wall, "≤ 1.3");
    line("p50 µs; no history by hand", without, &our_wall, "");
    if round_trip == 0 {
        let [same, without] = &cpus;
        line("CPU µs of loop and of gateway", same, &our_cpu, "");
        line("CPU µs; no history by hand", without, &our_cpu, "");
    }
    Ok(())
}

/// Each waits for the reply of the one before.
async fn by_steps(session: &mut Bare, hand: Hand, number: usize) -> Result<(), Fault> {
    let load = format!(
        "<load-configuration format=\"xml\"><configuration><interfaces><interface><name>ge-0/0/1</name>\
         <description>number {number}</description></interface></interfaces></configuration></load-configuration>"
    );
    let lock = "<lock><target><candidate/></target></lock>";
    let history = match hand {
        Hand::Same => Some("<get-commit-information/>"),
        Hand::WithoutHistory => None,
    };
    let rest = [
        &load,
        "<commit-configuration><check/></commit-configuration>",
        "<get-configuration database=\"candidate\" compare=\"rollback\" rollback=\"0\" format=\"text\"/>",
        "<commit-configuration><log>bench</log></commit-configuration>",
        "<unlock><target><candidate/></target></unlock>",
    ];
    let mut reply = Vec::new();
    for operation in [lock].into_iter().chain(history).chain(rest) {
        session.call(operation, &mut reply).await?;
        if memchr::memmem::find(&reply, b"rpc-error").is_some() {
            return Err(String::from_utf8_lossy(&reply).into());
        }
    }
    Ok(())
}

async fn change(client: &mut Http, number: usize) -> Result<(), Fault> {
    let body = format!(
        "{{\"edits\": [{{\"config\": {{\"interfaces\": {{\"interface\": [{{\"name\": \"ge-0/0/1\", \
         \"description\": \"number {number}\"}}]}}}}}}], \"commit\": {{\"comment\": \"bench\"}}}}"
    );
    let answer = client.post(PATH, &body).await?;
    if memchr::memmem::find(answer, b"\"committed\"").is_none() {
        return Err(String::from_utf8_lossy(answer).into());
    }
    Ok(())
}
