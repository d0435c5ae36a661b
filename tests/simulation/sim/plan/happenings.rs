//! What happens to links and to the gateway.

use super::{Event, Happening, TROUBLE};
use crate::sim::database::TABLES;
use crate::sim::dice::Dice;

pub fn events(seed: u64, devices: usize) -> Vec<Event> {
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
        at += dice.between(200, 30_000) + if polite { 16_000 } else { 0 };
        let reboot = dice.percent(15);
        add(at, Happening::Start { reboot });
        at += dice.between(5_000, 120_000);
    }
    if dice.percent(25) {
        let mut at = dice.between(5_000, TROUBLE - 60_000);
        for _ in 0..dice.between(1, 3) {
            let table = dice.percent(60).then(|| dice.of(TABLES));
            add(at, Happening::StoreFails(table));
            at = TROUBLE.min(at + dice.of(&[200, 2_000, 20_000, 60_000]));
            add(at, Happening::StoreWorks);
            at += dice.between(500, 60_000);
            if at > TROUBLE - 1_000 {
                break;
            }
        }
    }
    events.sort_by_key(|event| event.at);
    events
}
