//! Resident memory: of idle sessions, and of a large reply that is read. Each figure comes from a process of its own.

use ncgate::session::spool::SpoolLimits;
use std::sync::Arc;

use tokio::task::JoinSet;

use crate::bare::Bare;
use crate::child::{Process, until_stdin_ends};
use crate::fake::{HUGE, LARGE};
use crate::ours::{self, Ours};
use crate::tally::{Samples, heading, line, memory};
use crate::{Fault, SMALL};

const ROUNDS: usize = 3;
const SESSIONS: usize = 500;
const AT_ONCE: usize = 8;

/// Prints one table.
pub fn run(port: u16) -> Result<(), Fault> {
    heading("Resident memory");
    let mut sides: [Samples; 3] = Default::default();
    for _ in 0..ROUNDS {
        for (side, samples) in ["bare", "session", "device"].into_iter().zip(&mut sides) {
            samples.push(figure(&["idle", side, &port.to_string()])?);
        }
    }
    let [bare, session, device] = sides;
    line("idle session, KiB each of 500", &bare, &session, "≤ 1.3");
    line(
        "idle device with one session, KiB each of 500",
        &bare,
        &device,
        "≤ 1.3",
    );
    for (filter, name) in [(LARGE, "5.3 MB"), (HUGE, "21 MB")] {
        let mut sides: [Samples; 3] = Default::default();
        for _ in 0..ROUNDS {
            for (side, samples) in ["bare", "memory", "file"].into_iter().zip(&mut sides) {
                samples.push(figure(&["growth", side, &port.to_string(), filter])?);
            }
        }
        let [bare, memory, file] = sides;
        line(&format!("growth by a {name} reply, KiB"), &bare, &memory, "");
        line(
            &format!("growth by a {name} reply, spooled beyond 64 KiB, KiB"),
            &bare,
            &file,
            "≤ 2048 KiB",
        );
    }
    Ok(())
}

fn figure(arguments: &[&str]) -> Result<f64, Fault> {
    Ok(Process::start(arguments)?.line()?.parse()?)
}

/// The child: opens sessions, prints what each added.
pub async fn idle(side: &str, port: u16) -> Result<(), Fault> {
    let ours = Arc::new(Ours::new(port, SpoolLimits::default())?);
    let registry = ours.registry();
    let mut before = f64::NAN;
    let (mut bare, mut sessions) = (Vec::new(), Vec::new());
    // A first batch pays for what is paid once.
    for opened in 0..(SESSIONS / AT_ONCE + 2) {
        if opened == 2 {
            before = memory("VmRSS");
        }
        let mut openings = JoinSet::new();
        for number in 0..AT_ONCE {
            let (side, ours, registry) = (side.to_owned(), ours.clone(), registry.clone());
            openings.spawn(async move {
                let (mut one, mut other) = (None, None);
                match side.as_str() {
                    "bare" => {
                        let mut session = Bare::connect(port).await?;
                        session.get(SMALL, &mut Vec::new()).await?;
                        one = Some(session);
                    }
                    "session" => {
                        let session = ours.open().await?;
                        ours::get(&session, SMALL, None).await?;
                        other = Some(session);
                    }
                    _ => {
                        let device = ours.device(&registry, &format!("device-{opened}-{number}"));
                        ours::read(&device, SMALL).await?;
                    }
                }
                Ok::<_, Fault>((one, other))
            });
        }
        while let Some(opened) = openings.join_next().await {
            let (one, other) = opened??;
            bare.extend(one);
            sessions.extend(other);
        }
    }
    let count = (SESSIONS / AT_ONCE * AT_ONCE) as f64;
    println!("{}", (memory("VmRSS") - before) / count);
    until_stdin_ends().await;
    Ok(())
}

/// The child: reads a large reply three times, prints by how much its memory grew at most.
pub async fn growth(side: &str, port: u16, filter: &str) -> Result<(), Fault> {
    let limits = match side {
        "file" => SpoolLimits {
            memory_per_reply: 64 << 10,
            ..SpoolLimits::default()
        },
        _ => SpoolLimits::default(),
    };
    let ours = Ours::new(port, limits)?;
    let mut bare = Bare::connect(port).await?;
    let session = ours.open().await?;
    let mut reply = Vec::new();
    bare.get(SMALL, &mut reply).await?;
    ours::get(&session, SMALL, None).await?;
    let before = memory("VmRSS");
    for _ in 0..3 {
        match side {
            "bare" => bare.get(filter, &mut reply).await?,
            _ => drop(ours::get(&session, filter, None).await?),
        }
    }
    println!("{}", memory("VmHWM") - before);
    until_stdin_ends().await;
    Ok(())
}
