//! A witness: asks the gateway now and then what it says of commits, operations, locks and edit sessions, and keeps what he
//! is told with the moment, to be held against what was so then.

use std::time::Duration;

use ncgate::service::Gateway;
use ncgate::service::edit::request::ListConfirmedCommits;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::dice::Dice;
use super::gateway::admin;
use super::plan::TROUBLE;
use super::watch;
use super::world::{START, World, now};

/// What was said, between the question and the answer.
#[derive(Clone, Debug)]
pub struct Claim {
    pub asked: Duration,
    pub told: Duration,
    pub device: String,
    pub said: Said,
}

/// What the gateway says of one thing.
#[derive(Clone, Debug)]
pub enum Said {
    Change {
        id: String,
        owner: String,
        state: String,
        outcome: Option<String>,
    },
    ConfirmedCommit {
        id: String,
        owner: String,
        state: String,
        by: Option<String>,
        /// Between these times the device begins to undo it.
        deadlines: Deadlines,
    },
    Operation {
        id: String,
        kind: String,
        owner: String,
        /// It is a change, in this state.
        change: Option<String>,
        state: &'static str,
        outcome: Option<String>,
        done: bool,
    },
    EditSession {
        id: String,
        state: String,
        session_id: u64,
    },
    /// One that the gateway holds.
    Lock {
        kind: String,
        datastore: String,
        session_id: u64,
    },
}

/// Since the beginning of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadlines {
    pub earliest: Duration,
    pub latest: Duration,
}

/// Asks for records, from one start of the gateway to its end. Sometimes again at once: what is untrue may be so for a
/// moment only.
pub async fn of_records(world: World, gateway: Gateway, start: u64) {
    let mut dice = Dice::new(world.plan().seed, &format!("witness {start}"));
    loop {
        let calm = now() > Duration::from_millis(TROUBLE);
        let most = if calm {
            60_000
        } else {
            dice.of(&[300, 10_000, 24_000])
        };
        tokio::time::sleep(Duration::from_millis(dice.between(20, most))).await;
        records(&world, &gateway).await;
    }
}

/// The same for locks. A device that does not answer keeps him waiting.
pub async fn of_locks(world: World, gateway: Gateway, start: u64) {
    let mut dice = Dice::new(world.plan().seed, &format!("witness of locks {start}"));
    loop {
        tokio::time::sleep(Duration::from_millis(dice.between(500, 20_000))).await;
        let devices = &world.network().devices;
        let (device, _, _) = dice.of(devices);
        let Ok(list) = gateway.list_locks(&admin(), &device).await else {
            continue;
        };
        // Those of the gateway are listed when the device has answered.
        let asked = now();
        for lock in list.locks.into_iter().filter(|lock| lock.ours) {
            let Some(session_id) = lock.holder.session_id else {
                continue;
            };
            let said = Said::Lock {
                kind: lock.kind,
                datastore: lock.datastore,
                session_id,
            };
            keep(&world, asked, &device, said);
        }
    }
}

fn keep(world: &World, asked: Duration, device: &str, said: Said) {
    world.state().claims.push(Claim {
        asked,
        told: now(),
        device: device.to_owned(),
        said,
    });
}

/// What is refused, because the device is removed for example, is not said.
async fn records(world: &World, gateway: &Gateway) {
    let asked = now();
    let list = ListConfirmedCommits {
        page_size: watch::PAGE,
        ..ListConfirmedCommits::default()
    };
    if let Ok(list) = gateway.list_confirmed_commits(&admin(), list).await {
        for commit in list.confirmed_commits {
            let deadlines = Deadlines {
                earliest: since_start(&commit.deadline_earliest),
                latest: since_start(&commit.deadline),
            };
            let said = Said::ConfirmedCommit {
                id: commit.id,
                owner: commit.owner,
                state: commit.state,
                by: commit.by,
                deadlines,
            };
            keep(world, asked, &commit.device, said);
        }
    }
    for (name, _, _) in world.network().devices.iter() {
        let asked = now();
        let Ok(listed) = watch::of_device(gateway, name).await else {
            continue;
        };
        for change in listed.changes {
            let said = Said::Change {
                id: change.id,
                owner: change.owner,
                state: change.state,
                outcome: change.outcome,
            };
            keep(world, asked, name, said);
        }
        for session in listed.edit_sessions {
            let said = Said::EditSession {
                id: session.id,
                state: session.state,
                session_id: session.session_id,
            };
            keep(world, asked, name, said);
        }
    }
    let asked = now();
    let Ok(operations) = watch::operations(gateway).await else {
        return;
    };
    for operation in operations {
        let said = Said::Operation {
            id: operation.id,
            kind: operation.kind,
            owner: operation.owner,
            change: operation.is_change.then_some(operation.phase),
            state: operation.state.as_str(),
            outcome: operation.outcome,
            done: operation.done,
        };
        keep(world, asked, &operation.device, said);
    }
}

/// A time of the gateway, since the beginning of the run.
pub fn since_start(text: &str) -> Duration {
    let at = OffsetDateTime::parse(text, &Rfc3339).expect("times of the gateway are RFC 3339");
    Duration::try_from(at - START).unwrap_or_default()
}
