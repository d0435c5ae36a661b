//! What a client under measurement can do, and the loop of a process that does it as told, line by line on standard
//! input. So clients that cannot be linked into one program take turns on one server.
//!
//! The crates under `benches/peers/clients` include this file and `stack.rs`, which need nothing but tokio.

use std::time::{Duration, Instant};

use tokio::task::JoinSet;

pub type Fault = Box<dyn std::error::Error + Send + Sync>;

/// A command that takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// A client library, told where the server is.
pub trait Side: Sync {
    type Session: Session;
    type Shared: Shared;

    /// Logs in and exchanges hellos.
    fn connect(&self) -> impl Future<Output = Result<Self::Session, Fault>> + Send;

    /// So many sessions for many callers, in the way that the library has for it.
    fn share(&self, sessions: usize) -> impl Future<Output = Result<Self::Shared, Fault>> + Send;
}

pub trait Session: Send + 'static {
    /// `<get-config>` of running with this subtree filter, by the library's own call; the length of what came.
    fn get(&mut self, filter: &str) -> impl Future<Output = Result<usize, Fault>> + Send;

    /// Ends the session in whatever way the library has.
    fn close(self) -> impl Future<Output = ()> + Send;
}

/// Sessions that callers share.
pub trait Shared: Clone + Send + Sync + 'static {
    /// As that of a session, on any that is free.
    fn get(&self, filter: &str) -> impl Future<Output = Result<usize, Fault>> + Send;
}

/// Until standard input ends. The words of a line stand between tabs. Each line is answered with microseconds and with the length of the last reply:
///
/// * `connect TIMES`: the median time to connect; each session is closed before the next.
/// * `get TIMES FILTER`: the median time of a read, one after the other on one session.
/// * `share SESSIONS CALLERS TIMES FILTER`: the time that all callers together take for so many reads each.
///
/// Session and shared sessions are opened when first used, outside of what is timed, and kept.
pub async fn obey<S: Side>(side: &S) -> Result<(), Fault> {
    let (mut session, mut shared) = (None, None);
    for line in std::io::stdin().lines() {
        let line = line?;
        let words: Vec<&str> = line.split('\t').collect();
        let step = async {
            match words[..] {
                ["connect", times] => Ok((connect(side, times.parse()?).await?, 0)),
                ["get", times, filter] => {
                    let session = match &mut session {
                        Some(session) => session,
                        empty => empty.insert(side.connect().await?),
                    };
                    get(session, times.parse()?, filter).await
                }
                ["share", sessions, callers, times, filter] => {
                    let shared = match &mut shared {
                        Some(shared) => shared,
                        empty => empty.insert(side.share(sessions.parse()?).await?),
                    };
                    many(shared, callers.parse()?, times.parse()?, filter).await
                }
                _ => Err::<_, Fault>(format!("unknown command: {line}").into()),
            }
        };
        let (took, length) = tokio::time::timeout(PATIENCE, step).await??;
        println!("{} {length}", took.as_secs_f64() * 1e6);
    }
    Ok(())
}

async fn connect<S: Side>(side: &S, times: usize) -> Result<Duration, Fault> {
    let mut took = Vec::with_capacity(times);
    for _ in 0..times {
        let start = Instant::now();
        let session = side.connect().await?;
        took.push(start.elapsed());
        session.close().await;
    }
    Ok(median(took))
}

async fn get<S: Session>(session: &mut S, times: usize, filter: &str) -> Result<(Duration, usize), Fault> {
    let (mut took, mut length) = (Vec::with_capacity(times), 0);
    for _ in 0..times {
        let start = Instant::now();
        length = session.get(filter).await?;
        took.push(start.elapsed());
    }
    Ok((median(took), length))
}

async fn many<S: Shared>(
    shared: &S,
    callers: usize,
    times: usize,
    filter: &str,
) -> Result<(Duration, usize), Fault> {
    let (start, mut running, mut length) = (Instant::now(), JoinSet::new(), 0);
    for _ in 0..callers {
        let (shared, filter) = (shared.clone(), filter.to_owned());
        running.spawn(async move {
            let mut length = 0;
            for _ in 0..times {
                length = shared.get(&filter).await?;
            }
            Ok::<_, Fault>(length)
        });
    }
    while let Some(ended) = running.join_next().await {
        length = ended??;
    }
    Ok((start.elapsed(), length))
}

fn median(mut took: Vec<Duration>) -> Duration {
    took.sort();
    took.get(took.len() / 2).copied().unwrap_or_default()
}
