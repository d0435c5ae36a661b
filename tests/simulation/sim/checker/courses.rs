//! What became of what was committed, by a device's own account: which deed made it, confirmed it, took it back, and when.

use std::time::Duration;

use ncgate::emulator::Quirk;
use ncgate::emulator::config::{Cause, Deed as DeviceDeed, What};

use super::deeds::Judge;
use crate::sim::world::USER;

impl Judge<'_> {
    pub(super) fn deed(&self, deed: usize) -> &DeviceDeed {
        &self.report.deeds[deed].0
    }

    pub(super) fn contains(&self, deed: usize, word: &str) -> bool {
        self.report.deeds[deed].1.contains(word)
    }

    /// The deeds that brought a word into the configuration, rollbacks apart. Where edits outlive their sessions, whoever
    /// commits what is in the candidate commits them: others, and those of ours who share it, which is nothing that the
    /// gateway could help.
    pub(super) fn made(&self, word: &str) -> Vec<usize> {
        let outlived = self.plan.has(Quirk::CandidateStays);
        let of_sharers = |number| self.shared.iter().any(|shared| self.brings(number, shared));
        let deeds = 0..self.report.deeds.len();
        deeds
            .filter(|number| {
                let deed = self.deed(*number);
                deed.is_commit()
                    && self.brings(*number, word)
                    && (!outlived || (deed.user == USER && !of_sharers(*number)))
            })
            .collect()
    }

    fn brings(&self, deed: usize, word: &str) -> bool {
        self.contains(deed, word) && !(deed > 0 && self.contains(deed - 1, word))
    }

    /// The first deed after this one that took the word away.
    pub(super) fn undone(&self, word: &str, made: usize) -> Option<usize> {
        let mut later = made + 1..self.report.deeds.len();
        later.find(|deed| !self.contains(*deed, word))
    }

    /// The first deed after this one that confirmed, unless it was undone before. Where the device has lost its timer, the
    /// next commit is taken for it: in the device's records the two look the same. So is a confirmed commit of somebody
    /// else on top of it. An extension is neither: it starts another timer.
    pub(super) fn confirming(&self, made: usize) -> Option<usize> {
        let mut kept = false;
        for number in made + 1..self.report.deeds.len() {
            let deed = self.deed(number);
            match deed.what {
                What::Commit { confirms: true } | What::Confirmation => return Some(number),
                What::ConfirmedCommit { .. } if deed.log.is_some() && deed.log == self.deed(made).log => {
                    kept = false
                }
                What::Commit { confirms: false } | What::ConfirmedCommit { .. } if kept => {
                    return Some(number);
                }
                What::ConfirmedCommit { .. } if deed.user != USER => return Some(number),
                What::Commit { confirms: false } | What::ConfirmedCommit { .. } => {}
                What::Rollback(_) => return None,
                What::Kept => kept = true,
            }
        }
        None
    }

    /// The first deed after this one by which nothing waits for a confirm of ours any more.
    pub(super) fn ending(&self, made: usize) -> Option<usize> {
        let mut later = made + 1..self.report.deeds.len();
        later.find(|deed| {
            let deed = self.deed(*deed);
            match deed.what {
                What::Commit { confirms } => confirms,
                What::Confirmation | What::Rollback(_) | What::Kept => true,
                What::ConfirmedCommit { .. } => deed.user != USER,
            }
        })
    }

    /// When a deed was seen first.
    pub(super) fn when(&self, deed: usize) -> Duration {
        let before = self
            .glimpses
            .partition_point(|glimpse| glimpse.shape.deeds <= deed);
        self.glimpses
            .get(before)
            .map_or(Duration::MAX, |glimpse| glimpse.at)
    }

    /// When the device began with a deed that is the end of this one: a rollback may take time.
    pub(super) fn begun(&self, made: usize, ending: usize) -> Duration {
        let end = self.when(ending);
        match self.deed(ending).what {
            What::Rollback(Cause::Timeout | Cause::SessionEnded | Cause::Killed) => {
                let made = self.when(made);
                let mut meanwhile = self
                    .glimpses
                    .iter()
                    .filter(|glimpse| glimpse.shape.undoing && glimpse.at >= made && glimpse.at <= end);
                meanwhile.next().map_or(end, |glimpse| glimpse.at)
            }
            What::Rollback(Cause::Cancelled | Cause::Restarted)
            | What::Commit { .. }
            | What::ConfirmedCommit { .. }
            | What::Confirmation
            | What::Kept => end,
        }
    }
}
