//! What a seed means: devices, what callers ask for, what goes wrong and who else is at work. Pure.

use ncgate::emulator::{Profile, Quirk};

use super::dice::Dice;

/// Until then things go wrong; afterwards everything is left to come to its end. Milliseconds.
pub const TROUBLE: u64 = 300_000;

/// A run.
#[derive(Clone, Debug)]
pub struct Plan {
    pub seed: u64,
    pub devices: Vec<DevicePlan>,
    /// Each caller's orders, one after the other.
    pub callers: Vec<Vec<Order>>,
    /// What happens to links and to the gateway, in order of time.
    pub events: Vec<Event>,
}

/// One device.
#[derive(Clone, Debug)]
pub struct DevicePlan {
    pub name: String,
    pub profile: Profile,
    pub quirks: Vec<Quirk>,
    pub meddling: Vec<Meddling>,
}

/// Something that a caller wants: a word that nobody else writes comes into the configuration of a device.
#[derive(Clone, Debug)]
pub struct Order {
    pub number: u32,
    /// Milliseconds since the beginning.
    pub at: u64,
    pub device: usize,
    pub what: Wish,
    /// The caller waits so long and leaves.
    pub patience: Option<u64>,
}

impl Order {
    /// What it writes.
    pub fn word(&self) -> String {
        word(self.number)
    }

    /// Who asks.
    pub fn owner(&self) -> String {
        format!("caller-{:04}", self.number)
    }
}

pub fn word(number: u32) -> String {
    format!("op-{number:04}")
}

#[derive(Clone, Debug)]
pub enum Wish {
    Change {
        mode: Option<&'static str>,
        validate: bool,
        wait_seconds: u64,
        confirm: Option<Confirm>,
    },
    DryRun,
    EditSession {
        mode: &'static str,
        ttl_seconds: u64,
        end: SessionEnd,
    },
}

/// A confirmed commit, and what its caller does with it. Times in milliseconds after the answer.
#[derive(Clone, Debug)]
pub struct Confirm {
    pub seconds: u64,
    pub extend: Option<(u64, u64)>,
    pub end: ConfirmEnd,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfirmEnd {
    Confirm(u64),
    Cancel(u64),
    /// Left to its timer.
    Nothing,
}

#[derive(Clone, Debug)]
pub enum SessionEnd {
    Commit(Option<Confirm>),
    Discard,
    Delete,
    /// Left to expire.
    Nothing,
}

/// Something that happens at a device, or that somebody does there.
#[derive(Clone, Debug)]
pub struct Meddling {
    pub at: u64,
    pub what: Deed,
}

/// Durations in milliseconds.
#[derive(Clone, Debug, PartialEq)]
pub enum Deed {
    /// It is down for so long.
    Power(u64),
    /// A fault, at the next operation of this name.
    Fault(&'static str, Trouble),
    /// Somebody locks the candidate for so long.
    Lock(u64),
    /// Somebody edits the candidate, and takes it back after so long.
    Type(u32, u64),
    /// Somebody commits a word of his own.
    Commit(u32),
    /// Somebody commits, to be confirmed in so many minutes.
    CommitConfirmed(u32, u16),
    /// Somebody commits what is there, which may confirm.
    Confirm,
    /// Somebody ends a session of the gateway's.
    Kill,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Trouble {
    /// Carried out at once, answered later.
    Delay(u64),
    /// Carried out later, though the connection is gone.
    Late(u64),
    DropBefore,
    DropThen(u64),
    DropAfter,
    Never,
    Swallow,
    Refuse,
    CutShort(u64),
}

/// Something that happens to a link or to the gateway.
#[derive(Clone, Debug)]
pub struct Event {
    pub at: u64,
    pub what: Happening,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Happening {
    Hold(usize),
    Release(usize),
    Partition(usize),
    Repair(usize),
    /// The connections break, and both ends notice.
    Cut(usize),
    /// One end does; the other is left with what it has.
    CutGateway(usize),
    CutDevice(usize),
    /// The gateway is gone at once, and with it all it had in memory.
    Kill,
    /// It ends politely.
    Stop,
    /// It starts; with `reboot` the machine had been started anew.
    Start {
        reboot: bool,
    },
}

/// What this seed means.
pub fn plan(seed: u64) -> Plan {
    let mut dice = Dice::new(seed, "plan");
    let devices: Vec<DevicePlan> = (0..dice.between(1, 3))
        .map(|number| device(seed, usize::try_from(number).unwrap_or(0)))
        .collect();
    let mut number = 0;
    let callers = (0..dice.between(2, 4))
        .map(|_| {
            let mut at = dice.between(1_000, 20_000);
            let mut orders = Vec::new();
            while at < TROUBLE - 20_000 {
                number += 1;
                orders.push(order(&mut dice, number, at, &devices));
                at += dice.between(500, 60_000);
            }
            orders
        })
        .collect();
    Plan {
        seed,
        callers,
        events: events(seed, devices.len()),
        devices,
    }
}

fn device(seed: u64, number: usize) -> DevicePlan {
    let name = format!("mx{number}");
    let mut dice = Dice::new(seed, &name);
    let profile = dice.of(&[
        Profile::Junos,
        Profile::Junos,
        Profile::JunosRfc11,
        Profile::Rfc,
        Profile::RfcNoStartup,
        Profile::Rfc10,
    ]);
    let mut quirks = Vec::new();
    if dice.percent(25) {
        quirks.push(Quirk::SlowRollback(std::time::Duration::from_secs(
            dice.between(3, 40),
        )));
    }
    let operations: &[&'static str] = if profile.junos() {
        &[
            "commit-configuration",
            "commit-configuration",
            "load-configuration",
            "lock",
            "get-configuration",
            "get-commit-information",
            "unlock",
        ]
    } else {
        &[
            "commit",
            "commit",
            "commit",
            "edit-config",
            "lock",
            "get-config",
            "validate",
            "unlock",
            "discard-changes",
        ]
    };
    let mut meddling = Vec::new();
    let most = dice.of(&[0, 3, 6, 14]);
    for _ in 0..dice.between(0, most) {
        let at = dice.between(1_000, TROUBLE - 60_000);
        let what = match dice.between(0, 99) {
            0..=6 => Deed::Power(dice.between(1_000, 50_000)),
            7..=59 => {
                let trouble = match dice.between(0, 9) {
                    0 => Trouble::Delay(dice.between(500, 45_000)),
                    1 => Trouble::Late(dice.between(500, 25_000)),
                    2 => Trouble::DropBefore,
                    3 => Trouble::DropThen(dice.between(500, 25_000)),
                    4 | 5 => Trouble::DropAfter,
                    6 => Trouble::Never,
                    7 => Trouble::Swallow,
                    8 => Trouble::Refuse,
                    _ => Trouble::CutShort(dice.between(1, 200)),
                };
                match (dice.of(operations), trouble) {
                    // Where the history is refused, the gateway says so in a warning and goes on without it, whoever
                    // waits for a confirm: a known limit (docs/outcomes.md, "What cannot be known").
                    (operation @ "get-commit-information", Trouble::Refuse) => {
                        Deed::Fault(operation, Trouble::DropAfter)
                    }
                    (operation, trouble) => Deed::Fault(operation, trouble),
                }
            }
            60..=66 => Deed::Lock(dice.between(1_000, 40_000)),
            67..=75 => Deed::Type(number_of(&mut dice), dice.between(1_000, 40_000)),
            76..=82 => Deed::Commit(number_of(&mut dice)),
            83..=87 => Deed::CommitConfirmed(number_of(&mut dice), 1),
            88..=93 => Deed::Confirm,
            _ => Deed::Kill,
        };
        meddling.push(Meddling { at, what });
    }
    meddling.sort_by_key(|meddling| meddling.at);
    DevicePlan {
        name,
        profile,
        quirks,
        meddling,
    }
}

/// Names a word of somebody else's.
fn number_of(dice: &mut Dice) -> u32 {
    u32::try_from(dice.between(0, 999_999)).unwrap_or(0)
}

fn order(dice: &mut Dice, number: u32, at: u64, devices: &[DevicePlan]) -> Order {
    let device = usize::try_from(dice.between(0, devices.len() as u64 - 1)).unwrap_or(0);
    let junos = devices[device].profile.junos();
    let what = match dice.between(0, 99) {
        0..=4 => Wish::DryRun,
        5..=34 => Wish::Change {
            mode: (junos && dice.percent(25)).then_some("private"),
            validate: dice.percent(80),
            wait_seconds: if dice.percent(40) { dice.between(1, 40) } else { 0 },
            confirm: None,
        },
        35..=69 => Wish::Change {
            mode: None,
            validate: dice.percent(80),
            wait_seconds: if dice.percent(40) { dice.between(1, 40) } else { 0 },
            confirm: Some(confirm(dice)),
        },
        _ => {
            let mode = if junos && dice.percent(30) {
                "private"
            } else if dice.percent(10) {
                "shared"
            } else {
                "exclusive"
            };
            let end = match dice.between(0, 9) {
                0..=3 => SessionEnd::Commit(None),
                4..=6 if mode == "exclusive" => SessionEnd::Commit(Some(confirm(dice))),
                4..=6 => SessionEnd::Commit(None),
                7 => SessionEnd::Discard,
                8 => SessionEnd::Delete,
                _ => SessionEnd::Nothing,
            };
            Wish::EditSession {
                mode,
                ttl_seconds: dice.between(5, 60),
                end,
            }
        }
    };
    Order {
        number,
        at,
        device,
        what,
        patience: dice.percent(15).then(|| dice.between(50, 20_000)),
    }
}

fn confirm(dice: &mut Dice) -> Confirm {
    let seconds = dice.between(20, 120);
    let early = seconds * 1000;
    Confirm {
        seconds,
        extend: dice
            .percent(25)
            .then(|| (dice.between(500, early), dice.between(20, 120))),
        end: match dice.between(0, 9) {
            // Some of them just at the deadline, some too late.
            0..=4 => ConfirmEnd::Confirm(dice.between(200, early + 2_000)),
            5..=6 => ConfirmEnd::Cancel(dice.between(200, early)),
            _ => ConfirmEnd::Nothing,
        },
    }
}

fn events(seed: u64, devices: usize) -> Vec<Event> {
    let mut dice = Dice::new(seed, "events");
    let mut events = Vec::new();
    let mut add = |at: u64, what: Happening| events.push(Event { at, what });
    for device in 0..devices {
        let most = dice.of(&[0, 1, 4]);
        for _ in 0..dice.between(0, most) {
            let at = dice.between(2_000, TROUBLE - 120_000);
            match dice.between(0, 2) {
                0 if dice.percent(50) => add(at, Happening::Cut(device)),
                0 => {
                    add(at, Happening::CutGateway(device));
                    add(at + dice.between(1_000, 60_000), Happening::CutDevice(device));
                }
                kind => {
                    let (begin, end) = match kind {
                        1 => (Happening::Hold(device), Happening::Release(device)),
                        _ => (Happening::Partition(device), Happening::Repair(device)),
                    };
                    let span = dice.between(500, 100_000);
                    add(at, begin);
                    // Keepalives give up after a minute; segments that were dropped never come.
                    if span > 60_000 || kind == 2 {
                        let noticed = at + dice.between(1_000, 60_000);
                        add(noticed, Happening::CutGateway(device));
                        add(
                            at + dice.between(1_000, 60_000).max(span),
                            Happening::CutDevice(device),
                        );
                    }
                    add(at + span, end);
                }
            }
        }
    }
    let mut at = dice.between(5_000, TROUBLE);
    for _ in 0..dice.between(0, 3) {
        if at > TROUBLE - 30_000 {
            break;
        }
        let polite = dice.percent(30);
        add(at, if polite { Happening::Stop } else { Happening::Kill });
        at += dice.between(200, 30_000) + if polite { 10_000 } else { 0 };
        let reboot = dice.percent(15);
        add(at, Happening::Start { reboot });
        at += dice.between(5_000, 120_000);
    }
    events.sort_by_key(|event| event.at);
    events
}
