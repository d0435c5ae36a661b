//! The devices of a run: of which kind they are, in what they differ from it, and what happens to them.

use std::time::Duration;

use ncgate::emulator::config::{Restart, UndoneBy};
use ncgate::emulator::{Profile, Quirk};

use super::{Deed, DevicePlan, Meddling, TROUBLE, Trouble};
use crate::sim::dice::Dice;

const JUNOS: &[Quirk] = &[
    Quirk::UndoneBy(UndoneBy::Nothing),
    Quirk::UndoneBy(UndoneBy::Loss),
    Quirk::UndoneBy(UndoneBy::AnyEnd),
    Quirk::OnRestart(Restart::Reverts),
    Quirk::OnRestart(Restart::Remembers),
    Quirk::CheckDoesNotConfirm,
    Quirk::ValidateConfirms,
    Quirk::LaterConfirmsEarlier,
    Quirk::NeverRollsBack,
    Quirk::HidesPending,
    Quirk::PrivateConfirmed,
    Quirk::LocksStay,
];

const OTHERS: &[Quirk] = &[
    Quirk::UndoneBy(UndoneBy::Nothing),
    Quirk::UndoneBy(UndoneBy::Kill),
    Quirk::UndoneBy(UndoneBy::Loss),
    Quirk::OnRestart(Restart::Keeps),
    Quirk::OnRestart(Restart::Remembers),
    Quirk::OnRestart(Restart::ForgetsToken),
    Quirk::ValidateConfirms,
    Quirk::FailedCommitsWait,
    Quirk::LaterConfirmsEarlier,
    Quirk::NeverRollsBack,
    Quirk::UnknownTokensCommit,
    Quirk::NoRunningLock,
    Quirk::LocksStay,
    Quirk::CandidateStays,
];

/// Where edits go to running at once.
const WITHOUT_CANDIDATE: &[Quirk] = &[Quirk::NoRunningLock, Quirk::LocksStay];

/// What goes wrong goes wrong with one of these.
const OPERATIONS_OF_JUNOS: &[&str] = &[
    "commit-configuration",
    "commit-configuration",
    "load-configuration",
    "lock",
    "get-configuration",
    "get-commit-information",
    "unlock",
    "get-interface-information",
];

const OPERATIONS: &[&str] = &[
    "commit",
    "commit",
    "commit",
    "edit-config",
    "lock",
    "get-config",
    "get",
    "validate",
    "unlock",
    "discard-changes",
    "cancel-commit",
    "copy-config",
];

pub fn device(seed: u64, number: usize) -> DevicePlan {
    let name = format!("mx{number}");
    let mut dice = Dice::new(seed, &name);
    let profile = dice.of(&[
        Profile::Junos,
        Profile::Junos,
        Profile::JunosRfc11,
        Profile::Rfc,
        Profile::RfcNoStartup,
        Profile::Rfc10,
        Profile::Rfc10,
        Profile::RfcRunning,
    ]);
    let quirks = quirks(&mut dice, profile);
    let mut meddling = Vec::new();
    let most = dice.of(&[0, 3, 6, 14]);
    for _ in 0..dice.between(0, most) {
        let at = dice.between(1_000, TROUBLE - 60_000);
        let what = deed(&mut dice, profile);
        meddling.push(Meddling { at, what });
    }
    meddling.sort_by_key(|meddling| meddling.at);
    DevicePlan {
        name,
        profile,
        quirks,
        hides_history: profile.junos() && dice.percent(4),
        warns: profile.junos() && dice.percent(8),
        warns_of_private_copies: profile.junos() && dice.percent(15),
        meddling,
    }
}

fn quirks(dice: &mut Dice, profile: Profile) -> Vec<Quirk> {
    let mut quirks = Vec::new();
    if dice.percent(25) {
        let span = Duration::from_secs(dice.between(3, 40));
        quirks.push(Quirk::SlowRollback(span));
    }
    let known = match profile {
        Profile::RfcRunning => WITHOUT_CANDIDATE,
        profile if profile.junos() => JUNOS,
        _ => OTHERS,
    };
    for often in [40, 15] {
        let quirk = dice.of(known);
        if dice.percent(often) && !quirks.contains(&quirk) {
            quirks.push(quirk);
        }
    }
    quirks
}

fn deed(dice: &mut Dice, profile: Profile) -> Deed {
    match dice.between(0, 99) {
        0..=6 => Deed::Power(dice.between(1_000, 50_000)),
        7..=58 => {
            let operations = if profile.junos() {
                OPERATIONS_OF_JUNOS
            } else {
                OPERATIONS
            };
            let operation = dice.of(operations);
            Deed::Fault(operation, trouble(dice))
        }
        59..=65 => Deed::Lock(dice.between(1_000, 40_000)),
        66..=73 => Deed::Type(number_of(dice), dice.between(1_000, 40_000)),
        74..=80 => Deed::Commit(number_of(dice)),
        // Whoever edits running at once cannot know that it is to be undone.
        81..=91 if !profile.has_candidate() => Deed::Commit(number_of(dice)),
        81..=86 => Deed::CommitConfirmed(number_of(dice), 1, dice.percent(40)),
        87..=91 => Deed::Confirm,
        92 => Deed::Check,
        93 => Deed::ClearScheduled,
        _ => Deed::Kill,
    }
}

fn trouble(dice: &mut Dice) -> Trouble {
    match dice.between(0, 15) {
        0 => Trouble::Delay(dice.between(500, 45_000)),
        1 => Trouble::Late(dice.between(500, 25_000)),
        2 => Trouble::DropBefore,
        3 => Trouble::DropThen(dice.between(500, 25_000)),
        4 | 5 => Trouble::DropAfter,
        6 => Trouble::Never,
        7 => Trouble::Swallow,
        8 => Trouble::Refuse,
        9 => Trouble::Forbid,
        10 => Trouble::Unheard,
        11 => Trouble::WrongMessageId,
        12 => Trouble::Garbage,
        13 => Trouble::MalformedXml,
        14 if dice.percent(50) => Trouble::Twice,
        14 => Trouble::Warn,
        _ => Trouble::CutShort(dice.between(1, 200)),
    }
}

/// Names a word of somebody else's.
fn number_of(dice: &mut Dice) -> u32 {
    u32::try_from(dice.between(0, 999_999)).unwrap_or(0)
}
