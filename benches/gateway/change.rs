//! The change of one interface in one call, beside the same steps by hand over one open NETCONF session.

use std::borrow::Cow;
use std::time::Instant;

use ncgate::emulator::{Profile, demo_devices};
use russh::{Preferred, cipher};

use crate::bare::Bare;
use crate::child::{Process, until_stdin_ends};
use crate::rest::Http;
use crate::tally::{Samples, cpu, heading, line, micros};
use crate::{Fault, PASSWORD, USER};

const ROUNDS: usize = 15;
const CHANGES: usize = 20;
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

/// Prints one table.
pub async fn run() -> Result<(), Fault> {
    let mut device = Process::start(&["emulator"])?;
    let port: u16 = device.line()?.parse()?;
    let mut gateway = Process::start(&["serve", &port.to_string(), "2"])?;
    let address = gateway.line()?;
    // What the gateway and the emulator agree on.
    let preferred = Preferred {
        cipher: Cow::Borrowed(&[cipher::AES_256_GCM]),
        ..Preferred::default()
    };
    let mut hand = Bare::connect_preferring(preferred, port).await?;
    let mut client = Http::connect(&address).await?;
    let mut number = 0;
    let [mut wall, mut our_wall, mut used, mut our_used] = [(); 4].map(|()| Samples::default());
    for round in 0..=ROUNDS {
        let (mut by_hand, mut ours) = (Samples::default(), Samples::default());
        let before = cpu(None);
        for _ in 0..CHANGES {
            number += 1;
            let start = Instant::now();
            steps(&mut hand, number).await?;
            by_hand.push(micros(start.elapsed()));
        }
        let hand_used = cpu(None).saturating_sub(before);
        let before = cpu(Some(gateway.id()));
        for _ in 0..CHANGES {
            number += 1;
            let start = Instant::now();
            change(&mut client, number).await?;
            ours.push(micros(start.elapsed()));
        }
        let gateway_used = cpu(Some(gateway.id())).saturating_sub(before);
        // The first warms up.
        if round > 0 {
            wall.push(by_hand.median());
            our_wall.push(ours.median());
            used.push(micros(hand_used) / CHANGES as f64);
            our_used.push(micros(gateway_used) / CHANGES as f64);
        }
    }
    heading("A change of one interface in one call against the same steps by hand");
    line("p50 µs", &wall, &our_wall, "≤ 1.3");
    line("CPU µs of loop and of gateway", &used, &our_used, "");
    Ok(())
}

/// What `plan=true` shows of such a change, without the look at the history of commits, which nobody needs who has the
/// candidate to himself and sees every reply; each waits for the reply of the one before.
async fn steps(session: &mut Bare, number: usize) -> Result<(), Fault> {
    let load = format!(
        "<load-configuration format=\"xml\"><configuration><interfaces><interface><name>ge-0/0/1</name>\
         <description>number {number}</description></interface></interfaces></configuration></load-configuration>"
    );
    let operations = [
        "<lock><target><candidate/></target></lock>",
        &load,
        "<commit-configuration><check/></commit-configuration>",
        "<get-configuration database=\"candidate\" compare=\"rollback\" rollback=\"0\" format=\"text\"/>",
        "<commit-configuration><log>bench</log></commit-configuration>",
        "<unlock><target><candidate/></target></unlock>",
    ];
    let mut reply = Vec::new();
    for operation in operations {
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
