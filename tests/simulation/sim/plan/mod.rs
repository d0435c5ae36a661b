//! What a seed means: devices, what callers ask for, what goes wrong and who else is at work. Pure.

mod devices;
mod happenings;
mod orders;

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
    /// The login class of the gateway's user hides the commit history.
    pub hides_history: bool,
    /// It warns of something at each commit.
    pub warns: bool,
    /// Private copies are opened with a warning.
    pub warns_of_private_copies: bool,
    pub meddling: Vec<Meddling>,
}

impl DevicePlan {
    pub fn has(&self, quirk: Quirk) -> bool {
        self.quirks.contains(&quirk)
    }

    /// Whether it saves what is committed so that it starts with it.
    pub fn has_startup(&self) -> bool {
        self.profile == Profile::Rfc
    }
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
    /// The next order does not wait for the answer to this one.
    pub beside: bool,
    pub manner: Manner,
}

/// How a caller asks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Manner {
    /// With an idempotency key: the order comes again when the gateway was gone before it answered.
    pub key: bool,
    /// `Prefer: respond-async`: the operation is waited for.
    pub respond_async: bool,
    /// Others who ask for the same with the same key.
    pub others: Others,
}

/// Those who use a key that somebody uses already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Others {
    pub count: u64,
    /// The last of them comes so many milliseconds after the first call.
    pub within: u64,
    /// The last of them asks for something else.
    pub odd: bool,
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
        /// What it writes is refused when the device checks it.
        broken: bool,
        /// Whether running is to be copied to startup; as the device has it unless said.
        save: Option<bool>,
        later: Option<Later>,
        confirm: Option<Confirm>,
    },
    DryRun,
    Kill(Kill),
    /// An admin changes what the gateway knows of the device.
    Patch(Patch),
    /// An admin removes the device, and adds it again so many milliseconds later.
    Remove(u64),
    EditSession {
        mode: &'static str,
        ttl_seconds: u64,
        end: SessionEnd,
    },
}

/// The device commits later.
#[derive(Clone, Copy, Debug)]
pub struct Later {
    /// After so many seconds.
    pub seconds: u64,
    /// It is called off so many milliseconds after the answer.
    pub call_off: Option<u64>,
}

/// An admin ends a session of the device.
#[derive(Clone, Copy, Debug)]
pub struct Kill {
    /// Which of those that are listed.
    pub which: u64,
    pub if_user: Option<&'static str>,
    pub if_idle_seconds: Option<u64>,
    pub force: bool,
}

/// What is changed of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patch {
    /// Its sessions have nothing to do with that.
    Label(u64),
    /// How long it may take for an answer, in seconds: its sessions are opened anew.
    RpcSeconds(u64),
}

/// What decides in the place of the caller whether a commit is good.
#[derive(Clone, Copy, Debug)]
pub struct Probe {
    /// Whether what is expected can ever be seen.
    pub holds: bool,
    pub delay_seconds: u64,
    pub interval_seconds: u64,
    pub give_up_seconds: u64,
}

/// A confirmed commit, and what its caller does with it. Times in milliseconds after the answer.
#[derive(Clone, Debug)]
pub struct Confirm {
    pub seconds: u64,
    pub probe: Option<Probe>,
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
    /// Somebody commits, to be confirmed in so many minutes; also on top of what waits already, or not then.
    CommitConfirmed(u32, u16, bool),
    /// Somebody has the candidate checked, which may confirm.
    Check,
    /// Somebody calls off the commit that is to be made later.
    ClearScheduled,
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
    /// Refused in a way that says that the user may not do it.
    Forbid,
    /// Refused as a request that the device does not know.
    Unheard,
    CutShort(u64),
    /// Carried out; the reply is that of another request, or none that can be read.
    WrongMessageId,
    Garbage,
    MalformedXml,
    Twice,
    Warn,
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
    /// From now on this table of the database takes nothing, or none does.
    StoreFails(Option<&'static str>),
    StoreWorks,
    /// It starts; with `reboot` the machine had been started anew.
    Start {
        reboot: bool,
    },
}

/// What this seed means.
pub fn plan(seed: u64) -> Plan {
    let mut dice = Dice::new(seed, "plan");
    let devices: Vec<DevicePlan> = (0..dice.between(1, 3))
        .map(|number| devices::device(seed, usize::try_from(number).unwrap_or(0)))
        .collect();
    let mut number = 0;
    let callers = (0..dice.between(2, 4))
        .map(|_| {
            let mut at = dice.between(1_000, 20_000);
            let mut orders = Vec::new();
            while at < TROUBLE - 20_000 {
                number += 1;
                let last = orders.last().filter(|order: &&Order| order.beside);
                let device = last.map(|order| order.device);
                let order = orders::order(&mut dice, number, at, &devices, device);
                at += match order.beside {
                    true => dice.between(0, 300),
                    false => dice.between(500, 60_000),
                };
                orders.push(order);
            }
            orders
        })
        .collect();
    Plan {
        seed,
        callers,
        events: happenings::events(seed, devices.len()),
        devices,
    }
}
