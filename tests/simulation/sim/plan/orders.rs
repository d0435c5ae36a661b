//! What callers want.

use super::{
    Confirm, ConfirmEnd, DevicePlan, Kill, Later, Manner, Order, Others, Patch, Probe, SessionEnd, Wish,
};
use crate::sim::dice::Dice;

/// The device is anyone unless one is given.
pub fn order(dice: &mut Dice, number: u32, at: u64, devices: &[DevicePlan], device: Option<usize>) -> Order {
    let any = usize::try_from(dice.between(0, devices.len() as u64 - 1)).unwrap_or(0);
    let device = device.unwrap_or(any);
    let junos = devices[device].profile.junos();
    let what = match dice.between(0, 99) {
        0..=3 => Wish::DryRun,
        4..=6 => Wish::Kill(kill(dice)),
        7..=10 => Wish::Patch(patch(dice)),
        11..=12 => Wish::Remove(dice.between(0, 3_000)),
        13..=37 => plain(dice, junos),
        // Without a candidate there is nothing to confirm, and an edit session changes running with every edit.
        _ if !devices[device].profile.has_candidate() => plain(dice, false),
        38..=70 => Wish::Change {
            mode: None,
            validate: dice.percent(80),
            wait_seconds: wait(dice),
            broken: dice.percent(4),
            save: save(dice),
            later: None,
            confirm: Some(confirm(dice)),
        },
        _ => edit_session(dice, junos),
    };
    Order {
        number,
        at,
        device,
        what,
        patience: dice.percent(15).then(|| dice.between(50, 20_000)),
        beside: dice.percent(12),
        manner: manner(dice),
    }
}

fn manner(dice: &mut Dice) -> Manner {
    let key = dice.percent(35);
    let others = Others {
        count: dice.between(1, 3),
        within: dice.of(&[0, 0, 300, 4_000, 30_000]),
        odd: dice.percent(30),
    };
    Manner {
        key,
        respond_async: dice.percent(20),
        others: if key && dice.percent(30) {
            others
        } else {
            Others::default()
        },
    }
}

fn patch(dice: &mut Dice) -> Patch {
    match dice.between(0, 2) {
        0 => Patch::Label(dice.between(0, 3)),
        _ => Patch::RpcSeconds(dice.between(15, 25)),
    }
}

fn wait(dice: &mut Dice) -> u64 {
    if dice.percent(40) { dice.between(1, 40) } else { 0 }
}

fn save(dice: &mut Dice) -> Option<bool> {
    dice.percent(20).then_some(false)
}

fn plain(dice: &mut Dice, junos: bool) -> Wish {
    let private = junos && dice.percent(25);
    let later = (junos && !private && dice.percent(12)).then(|| Later {
        seconds: dice.between(2, 60),
        call_off: dice.percent(40).then(|| dice.between(200, 60_000)),
    });
    Wish::Change {
        mode: private.then_some("private"),
        validate: dice.percent(80),
        wait_seconds: wait(dice),
        broken: dice.percent(6),
        save: save(dice),
        later,
        confirm: None,
    }
}

fn kill(dice: &mut Dice) -> Kill {
    Kill {
        which: dice.between(0, 5),
        if_user: dice.percent(40).then(|| dice.of(&["gateway", "noc"])),
        if_idle_seconds: dice.percent(15).then(|| dice.between(1, 20)),
        force: dice.percent(35),
    }
}

fn edit_session(dice: &mut Dice, junos: bool) -> Wish {
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

fn confirm(dice: &mut Dice) -> Confirm {
    // While it waits little else goes on at the device; and a Junos device waits for whole minutes.
    let most = dice.of(&[60, 60, 60, 120]);
    let seconds = if dice.percent(40) {
        most
    } else {
        dice.between(15, most)
    };
    let early = seconds * 1000;
    // Some of them just at the deadline, some too late.
    let when = |dice: &mut Dice| {
        let from = if dice.percent(30) { early - 3_000 } else { 200 };
        dice.between(from, early + 2_000)
    };
    Confirm {
        seconds,
        probe: dice.percent(25).then(|| probe(dice, seconds)),
        extend: dice.percent(25).then(|| (when(dice), dice.between(20, 120))),
        end: match dice.between(0, 9) {
            0..=4 => ConfirmEnd::Confirm(when(dice)),
            5..=6 => ConfirmEnd::Cancel(when(dice)),
            _ => ConfirmEnd::Nothing,
        },
    }
}

fn probe(dice: &mut Dice, seconds: u64) -> Probe {
    let delay_seconds = dice.between(0, 5);
    // The gateway wants some seconds beside.
    let most = seconds.saturating_sub(delay_seconds + 8).max(1);
    Probe {
        holds: dice.percent(65),
        delay_seconds,
        interval_seconds: dice.between(1, 6),
        give_up_seconds: dice.between(1, most),
    }
}
