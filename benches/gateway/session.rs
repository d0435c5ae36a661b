//! The session layer beside the bare loop: connect, small request, many at once, large reply.

use std::time::{Duration, Instant};

use ncgate::json::Selection;
use ncgate::session::spool::SpoolLimits;
use tokio::task::JoinSet;

use crate::bare::Bare;
use crate::fake::{HUGE, LARGE};
use crate::ours::{self, Ours};
use crate::side::Shared;
use crate::stack::Stack;
use crate::tally::{Samples, cpu, heading, line, micros};
use crate::{Fault, SMALL};

const ROUNDS: usize = 15;
const CONNECTS: usize = 4;
const REQUESTS: usize = 1000;
const CALLERS: usize = 16;
const SESSIONS: usize = 4;
const REQUESTS_EACH: usize = 200;

/// Prints one table.
pub async fn run(port: u16) -> Result<(), Fault> {
    let ours = Ours::new(port, SpoolLimits::default())?;
    heading("Session layer against a bare russh loop");
    connects(port, &ours).await?;
    requests(port, &ours).await?;
    many(port, &ours).await?;
    large(port, &ours).await
}

async fn connects(port: u16, ours: &Ours) -> Result<(), Fault> {
    let [mut bare_wall, mut our_wall, mut bare_cpu, mut our_cpu] = [(); 4].map(|()| Samples::default());
    for _ in 0..ROUNDS {
        let (mut wall, before) = (Samples::default(), cpu(None));
        for _ in 0..CONNECTS {
            let start = Instant::now();
            let session = Bare::connect(port).await?;
            wall.push(micros(start.elapsed()));
            drop(session);
        }
        bare_wall.push(wall.median());
        bare_cpu.push(micros(cpu(None) - before) / CONNECTS as f64);
        let (mut wall, before) = (Samples::default(), cpu(None));
        for _ in 0..CONNECTS {
            let start = Instant::now();
            let session = ours.open().await?;
            wall.push(micros(start.elapsed()));
            session.close(Duration::from_secs(2)).await;
        }
        our_wall.push(wall.median());
        our_cpu.push(micros(cpu(None) - before) / CONNECTS as f64);
    }
    line("connect, µs", &bare_wall, &our_wall, "≤ 1.3");
    line("connect and end, CPU µs", &bare_cpu, &our_cpu, "");
    Ok(())
}

async fn requests(port: u16, ours: &Ours) -> Result<(), Fault> {
    let mut bare = Bare::connect(port).await?;
    let session = ours.open().await?;
    let mut reply = Vec::new();
    let [mut bare_wall, mut our_wall, mut bare_cpu, mut our_cpu] = [(); 4].map(|()| Samples::default());
    for round in 0..=ROUNDS {
        let (mut wall, before) = (Samples::default(), cpu(None));
        for _ in 0..REQUESTS {
            let start = Instant::now();
            bare.get(SMALL, &mut reply).await?;
            wall.push(micros(start.elapsed()));
        }
        let bare_used = cpu(None) - before;
        let bare_median = wall.median();
        let (mut wall, before) = (Samples::default(), cpu(None));
        for _ in 0..REQUESTS {
            let start = Instant::now();
            ours::get(&session, SMALL, Some(Selection::ReplyPayload)).await?;
            wall.push(micros(start.elapsed()));
        }
        let our_used = cpu(None) - before;
        // The first round warms up.
        if round > 0 {
            bare_wall.push(bare_median);
            our_wall.push(wall.median());
            bare_cpu.push(micros(bare_used) / REQUESTS as f64);
            our_cpu.push(micros(our_used) / REQUESTS as f64);
        }
    }
    line("small request, p50 µs", &bare_wall, &our_wall, "≤ 1.25");
    line("small request, CPU µs", &bare_cpu, &our_cpu, "≤ 1.4");
    session.close(Duration::from_secs(2)).await;
    Ok(())
}

/// Sixteen callers over four sessions: the loop's and ours from a stack under a semaphore, and ours through queue and
/// pool of a device. A device keeps one of its places from readers, so one with four serves three at a time, and one
/// with five serves four.
async fn many(port: u16, ours: &Ours) -> Result<(), Fault> {
    let (mut bare, mut sessions) = (Vec::new(), Vec::new());
    for _ in 0..SESSIONS {
        bare.push(Bare::connect(port).await?);
        sessions.push(ours.open().await?);
    }
    let (bare, stack) = (Stack::of(bare), Stack::of(sessions.clone()));
    let [tight, roomy] = [SESSIONS, SESSIONS + 1].map(|places| ours.pooled(places));
    let mut rates: [Samples; 4] = Default::default();
    let mut cpus: [Samples; 4] = Default::default();
    for round in 0..=ROUNDS {
        let took = [
            callers(&bare).await?,
            callers(&stack).await?,
            callers(&tight).await?,
            callers(&roomy).await?,
        ];
        if round > 0 {
            let total = (CALLERS * REQUESTS_EACH) as f64;
            for (number, (wall, used)) in took.into_iter().enumerate() {
                rates[number].push(total / wall.as_secs_f64());
                cpus[number].push(micros(used) / total);
            }
        }
    }
    for (kind, [bare, stack, tight, roomy], mark) in [
        ("requests/s", &rates, "≥ 0.75"),
        ("CPU µs per request", &cpus, ""),
    ] {
        line(&format!("16 callers, 4 sessions, {kind}"), bare, stack, mark);
        line(
            &format!("16 callers, a device with 4 places, {kind}"),
            bare,
            tight,
            "",
        );
        line(
            &format!("16 callers, a device with 5 places, {kind}"),
            bare,
            roomy,
            "",
        );
    }
    for session in sessions {
        session.close(Duration::from_secs(2)).await;
    }
    for device in [tight, roomy] {
        device.end().await;
    }
    Ok(())
}

/// Wall and CPU time of all requests.
async fn callers(shared: &impl Shared) -> Result<(Duration, Duration), Fault> {
    let (start, before) = (Instant::now(), cpu(None));
    let mut callers = JoinSet::new();
    for _ in 0..CALLERS {
        let shared = shared.clone();
        callers.spawn(async move {
            for _ in 0..REQUESTS_EACH {
                shared.get(SMALL).await?;
            }
            Ok(())
        });
    }
    finish(callers).await?;
    Ok((start.elapsed(), cpu(None) - before))
}

async fn finish(mut callers: JoinSet<Result<(), Fault>>) -> Result<(), Fault> {
    while let Some(ended) = callers.join_next().await {
        ended??;
    }
    Ok(())
}

/// Replies of 5.3 MB and four times that. The bare loop only keeps the bytes; ours has read them as XML when the call
/// returns, and, with a selection, has made the first of the two passes to JSON.
async fn large(port: u16, ours: &Ours) -> Result<(), Fault> {
    let mut bare = Bare::connect(port).await?;
    let session = ours.open().await?;
    let mut reply = Vec::new();
    let mut wall: [Samples; 6] = Default::default();
    let mut used: [Samples; 6] = Default::default();
    for round in 0..=ROUNDS {
        for (number, filter) in [LARGE, HUGE].into_iter().enumerate() {
            let mut took = [(Duration::ZERO, Duration::ZERO); 3];
            for (step, took) in took.iter_mut().enumerate() {
                let (start, before) = (Instant::now(), cpu(None));
                match step {
                    0 => bare.get(filter, &mut reply).await?,
                    1 => drop(ours::get(&session, filter, None).await?),
                    _ => drop(ours::get(&session, filter, Some(Selection::ReplyPayload)).await?),
                }
                *took = (start.elapsed(), cpu(None) - before);
            }
            if round > 0 {
                for (step, took) in took.into_iter().enumerate() {
                    wall[3 * number + step].push(micros(took.0) / 1e3);
                    used[3 * number + step].push(micros(took.1) / 1e3);
                }
            }
        }
    }
    line("5.3 MB reply, ms", &wall[0], &wall[1], "≤ 1.3");
    line("5.3 MB reply, CPU ms", &used[0], &used[1], "");
    line("5.3 MB reply and first pass to JSON, ms", &wall[0], &wall[2], "");
    line("21 MB reply, ms", &wall[3], &wall[4], "");
    line("21 MB reply, CPU ms", &used[3], &used[4], "");
    line(
        "21 MB reply beside 5.3 MB, both ncgate, ms",
        &wall[1],
        &wall[4],
        "≤ 5",
    );
    line(
        "21 MB reply beside 5.3 MB, both ncgate, CPU ms",
        &used[1],
        &used[4],
        "≤ 5",
    );
    session.close(Duration::from_secs(2)).await;
    Ok(())
}
