//! What is concluded from looking at the device, and when to look again (conventions C5, E4). Pure but for the time of
//! the next look.
//!
//! A rollback is a commit, and takes as long: what is not to be seen yet is waited for. Unchanged running alone is never
//! taken for a confirm.

use std::time::Duration;

use tokio::time::Instant;

use super::record::Answer;
use super::state::{By, Reason};
use crate::service::continuity;
use crate::service::evidence::{Follower, Running, Standing};

/// For how long, at least, a rollback is waited for after its time.
const BOUND: Duration = Duration::from_secs(180);
/// For how long, at least, a rollback is waited for after its session has ended.
const UNDOING: Duration = Duration::from_secs(30);
/// Between looks: twice as long each time. Some servers run their timers only when they are left alone for a second.
const FIRST_PAUSE: Duration = Duration::from_secs(2);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

/// What a look at the device shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Seen {
    History(Standing),
    Running(Running),
    /// It holds neither the commit nor what was there before it.
    AnotherHistory,
    /// The device made a commit of its own after it, and after a confirmed one that somebody had made on top of it, if so;
    /// it is this configuration.
    OwnCommit {
        above: Option<Follower>,
        running: Running,
    },
}

/// What is concluded. The words are for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Finding {
    /// Nothing yet: look again.
    Wait(String),
    /// It is active, and its time is not up.
    Pending(String),
    Confirmed(By, String),
    Cancelled(String),
    RolledBack(Reason, String),
    /// Active long after its time: nobody confirmed it, and the device does not undo it.
    Kept(String),
    /// The device never made it.
    NeverMade(String),
    /// Nothing will show any more what became of it.
    Unknown(String),
}

/// What is known when the device is looked at.
#[derive(Debug, Clone)]
pub(super) struct Known {
    /// How long ago the device's time was up; `None`: it is not.
    pub overdue: Option<Duration>,
    /// How long ago the commit was sent.
    pub sent: Duration,
    /// The device said ok to it, or was seen to have made it.
    pub made: bool,
    /// The session has ended that it depended on, so the device undoes it whatever its time.
    pub doomed: bool,
    /// What was sent to confirm or cancel it, and not answered.
    pub answer: Option<Answer>,
    /// What was sent before that, and not answered either.
    pub earlier: Vec<Answer>,
    /// How long ago the newest of all these was sent.
    pub unanswered: Option<Duration>,
    /// The device was started anew, and undid it because of that.
    pub restarted: bool,
    /// By how much later the device's time may be up: an extension was not answered.
    pub perhaps_later: Duration,
    /// How long a commit may take.
    pub commit_time: Duration,
    /// How long the slowest one took.
    pub slowest: Duration,
    /// Seconds since 1970.
    pub now: i64,
}

impl Known {
    /// How long the device may be at work on what it was sent.
    fn work(&self) -> Duration {
        self.commit_time.max(3 * self.slowest)
    }

    /// What was sent with the comment that this commit has.
    fn answered_by(&self, commit: &Follower) -> Option<&Answer> {
        let mut all = self.answer.iter().chain(&self.earlier);
        all.find(|answer| commit.mentions(&answer.marker))
    }
}

/// When and why the device is looked at.
#[derive(Debug)]
pub(super) struct Looks {
    next: Option<Instant>,
    pause: Duration,
    /// Why the device would undo it before its time, and since when.
    cause: Reason,
    since: Instant,
    over: bool,
}

impl Looks {
    /// Nothing to find out until the time is up.
    pub fn none() -> Self {
        Self {
            next: None,
            pause: FIRST_PAUSE,
            cause: Reason::Timeout,
            since: Instant::now(),
            over: false,
        }
    }

    /// The device is to be looked at now.
    pub fn now(cause: Reason) -> Self {
        Self {
            next: Some(Instant::now()),
            cause,
            ..Self::none()
        }
    }

    pub fn next(&self) -> Option<Instant> {
        self.next
    }

    /// Whether there is no use in looking any more.
    pub fn is_over(&self) -> bool {
        self.over
    }

    /// What a look means; `Err` says why the device could not be asked.
    pub fn judge(&mut self, seen: Result<Seen, String>, known: &Known) -> Finding {
        let finding = judge(seen, known, self.cause, self.since.elapsed());
        match &finding {
            Finding::Wait(_) => {
                self.next = Some(Instant::now() + self.pause);
                self.pause = (2 * self.pause).min(LONGEST_PAUSE);
            }
            // What nobody answered may be carried out yet, as long as the device may be at work on it.
            Finding::Pending(_) if known.unanswered.is_some_and(|ago| ago < known.work()) => {
                self.next = Some(Instant::now() + self.pause);
                self.pause = (2 * self.pause).min(LONGEST_PAUSE);
            }
            Finding::Pending(_) => *self = Self::none(),
            Finding::Confirmed(..)
            | Finding::Cancelled(_)
            | Finding::RolledBack(..)
            | Finding::Kept(_)
            | Finding::NeverMade(_)
            | Finding::Unknown(_) => self.over = true,
        }
        finding
    }
}

/// `since`: how long ago the cause came up.
fn judge(seen: Result<Seen, String>, known: &Known, cause: Reason, since: Duration) -> Finding {
    let patience = BOUND.max(3 * known.slowest) + known.perhaps_later;
    let is_late = known.overdue.is_some_and(|overdue| overdue >= patience);
    // A device that did not answer just now may do so in a moment.
    let is_hopeless = known.overdue.is_some_and(|overdue| overdue >= 2 * patience);
    let reason = match cause {
        Reason::Killed => Reason::Killed,
        Reason::SessionLost | Reason::Timeout | Reason::Reboot if known.restarted => Reason::Reboot,
        Reason::SessionLost | Reason::Timeout | Reason::Reboot if known.overdue.is_some() => Reason::Timeout,
        Reason::SessionLost | Reason::Timeout | Reason::Reboot => cause,
    };
    let cancels = |answers: &[Answer]| answers.iter().any(|answer| answer.cancels);
    let undone = |words: &str| match &known.answer {
        Some(answer) if answer.cancels => Finding::Cancelled(words.to_owned()),
        // Before its time it can only be what was sent late.
        None if known.overdue.is_none() && !known.restarted && cancels(&known.earlier) => {
            Finding::Cancelled(words.to_owned())
        }
        Some(_) | None => Finding::RolledBack(reason, words.to_owned()),
    };
    // E4: what is not there yet may come as long as the device may be at work on it.
    let not_there = |words: &str| {
        if known.sent >= known.work() {
            Finding::NeverMade(words.to_owned())
        } else {
            Finding::Wait(format!("{words}; it may be at work on it still"))
        }
    };
    let lost = match cause {
        Reason::Killed => true,
        Reason::SessionLost | Reason::Timeout | Reason::Reboot => known.doomed,
    };
    let active = |words: &str| match known.overdue {
        None if known.doomed || (lost && since < UNDOING.max(3 * known.slowest)) => Finding::Wait(format!(
            "{words}, though its session has ended; a rollback takes time"
        )),
        None => match &known.answer {
            Some(answer) if !answer.cancels => {
                Finding::Wait(format!("{words}; a confirming commit was sent and not answered"))
            }
            Some(_) | None => Finding::Pending(words.to_owned()),
        },
        Some(_) if !is_late => {
            Finding::Wait(format!("{words}, though its time is up; a rollback takes time"))
        }
        Some(_) => match &known.answer {
            Some(answer) if !answer.cancels => Finding::Unknown(format!(
                "{words} long after its time: either the confirming commit arrived, or the device lost its timer"
            )),
            Some(_) | None => Finding::Kept(format!("{words} long after its time")),
        },
    };
    match seen {
        Err(words) if is_hopeless => Finding::Unknown(words),
        Err(words) => Finding::Wait(words),
        Ok(Seen::History(Standing::Newest { waits: true, .. })) if known.overdue.is_none() && !lost => {
            Finding::Pending("the device says that it waits to be confirmed".to_owned())
        }
        Ok(Seen::History(Standing::Newest { waits: true, .. })) if !lost => {
            Finding::Wait("its time is up, and the device says that it is going to undo it".to_owned())
        }
        Ok(Seen::History(Standing::Newest { .. })) => active("it is the newest commit of the device"),
        Ok(Seen::History(Standing::Followed(next))) => match known.answered_by(&next) {
            Some(answer) if answer.cancels => {
                Finding::Cancelled(format!("{} undid it, for the gateway", next.who))
            }
            Some(_) => Finding::Confirmed(
                By::Us,
                format!("{} committed after it, for the gateway", next.who),
            ),
            None => Finding::Confirmed(By::Other, format!("{} committed after it", next.who)),
        },
        // Its own time means nothing any more.
        Ok(Seen::History(Standing::Overlaid(above))) => {
            let words = format!("{} made a confirmed commit after it", above.who);
            match above.has_stayed(known.now, patience) {
                Some(true) => Finding::Confirmed(By::Other, format!("{words}, which stayed")),
                None if is_hopeless => Finding::Unknown(words),
                Some(false) | None => {
                    Finding::Wait(format!("{words}, which may be undone, together with it or alone"))
                }
            }
        }
        // Only its configuration tells, which was not looked at.
        Ok(Seen::History(Standing::OwnCommit { .. })) => {
            Finding::Wait("the device made a commit of its own after it".to_owned())
        }
        Ok(Seen::OwnCommit { above: None, running }) => {
            let words = "the device made a commit of its own after it";
            match (running, &known.answer) {
                (Running::AsBefore, _) => undone(&format!("{words}, which undid it")),
                (Running::AsExpected | Running::Otherwise, _) if !is_late => {
                    Finding::Wait(format!("{words}, which did not undo it"))
                }
                (Running::AsExpected, Some(answer)) if !answer.cancels => Finding::Unknown(format!(
                    "{words}, which did not undo it, and a confirming commit was sent and not answered"
                )),
                (Running::AsExpected, _) => {
                    Finding::Kept(format!("{words}, which did not undo it, and its time is long up"))
                }
                (Running::Otherwise, _) => Finding::Unknown(format!(
                    "{words}, which is neither the configuration of before nor this one"
                )),
            }
        }
        Ok(Seen::OwnCommit {
            above: Some(above),
            running,
        }) => {
            let words = format!("{} made a confirmed commit after it", above.who);
            match running {
                Running::AsBefore => undone(&format!("{words}, and the device undid both")),
                Running::AsExpected => {
                    Finding::Confirmed(By::Other, format!("{words}, which the device undid alone"))
                }
                Running::Otherwise => Finding::Unknown(format!(
                    "{words}, which the device undid, and running is as it was after neither"
                )),
            }
        }
        Ok(Seen::AnotherHistory) if is_hopeless => Finding::Unknown(continuity::ANOTHER.to_owned()),
        Ok(Seen::AnotherHistory) => Finding::Wait(continuity::ANOTHER.to_owned()),
        Ok(Seen::History(Standing::Absent)) if !known.made => {
            not_there("the device's history does not hold it")
        }
        Ok(Seen::History(Standing::Absent)) => {
            Finding::Unknown("the device's history does not hold it any more".to_owned())
        }
        Ok(Seen::Running(Running::AsBefore)) if !known.made => not_there("running is as it was before it"),
        Ok(Seen::Running(Running::AsBefore)) => undone("running is as it was before it"),
        Ok(Seen::Running(Running::AsExpected)) => active("running is as it was committed"),
        Ok(Seen::Running(Running::Otherwise)) if is_late => {
            Finding::Unknown("running is neither as it was before nor as it was committed".to_owned())
        }
        Ok(Seen::Running(Running::Otherwise)) => {
            Finding::Wait("running is neither as it was before nor as it was committed".to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netconf::junos::{CommitEntry, CommitInformation};
    use crate::service::evidence::standing;

    fn known() -> Known {
        Known {
            overdue: None,
            sent: Duration::from_secs(10),
            made: true,
            doomed: false,
            answer: None,
            earlier: Vec::new(),
            unanswered: None,
            restarted: false,
            perhaps_later: Duration::ZERO,
            commit_time: Duration::from_secs(300),
            slowest: Duration::from_secs(2),
            now: 2_000,
        }
    }

    fn overdue(seconds: u64) -> Known {
        Known {
            overdue: Some(Duration::from_secs(seconds)),
            ..known()
        }
    }

    fn conclude(seen: Seen, known: &Known) -> Finding {
        judge(Ok(seen), known, Reason::SessionLost, Duration::ZERO)
    }

    const NEWEST: Seen = Seen::History(Standing::Newest {
        waits: false,
        entries: 1,
    });
    const UNDONE: Seen = Seen::OwnCommit {
        above: None,
        running: Running::AsBefore,
    };
    const LEFT: Seen = Seen::OwnCommit {
        above: None,
        running: Running::AsExpected,
    };
    const EXPECTED: Seen = Seen::Running(Running::AsExpected);
    const BEFORE: Seen = Seen::Running(Running::AsBefore);

    /// C5: a rollback that takes its time is waited for, and only what stays active long after is kept.
    #[test]
    fn active_after_its_time_is_not_confirmed() {
        for seen in [NEWEST, EXPECTED] {
            assert!(matches!(conclude(seen.clone(), &known()), Finding::Pending(_)));
            for seconds in [0, 60, 179] {
                let finding = conclude(seen.clone(), &overdue(seconds));
                assert!(matches!(finding, Finding::Wait(_)), "{seconds}: {finding:?}");
            }
            assert!(matches!(conclude(seen.clone(), &overdue(180)), Finding::Kept(_)));
            let slow = Known {
                slowest: Duration::from_secs(100),
                ..overdue(299)
            };
            assert!(matches!(conclude(seen, &slow), Finding::Wait(_)));
        }
    }

    /// S29: why the device undid it: its timer, unless it was before that.
    #[test]
    fn a_rollback_has_its_reason() {
        for seen in [UNDONE, BEFORE] {
            let before = conclude(seen.clone(), &known());
            assert!(matches!(before, Finding::RolledBack(Reason::SessionLost, _)));
            let after = conclude(seen.clone(), &overdue(1));
            assert!(matches!(after, Finding::RolledBack(Reason::Timeout, _)));
            let killed = judge(Ok(seen), &overdue(1), Reason::Killed, Duration::ZERO);
            assert!(matches!(killed, Finding::RolledBack(Reason::Killed, _)));
        }
    }

    /// S29: a device that was started anew undid it because of that, also where its time is up by now.
    #[test]
    fn a_restart_is_a_reason() {
        for known in [known(), overdue(60)] {
            let restarted = Known {
                restarted: true,
                ..known
            };
            assert!(matches!(
                conclude(UNDONE, &restarted),
                Finding::RolledBack(Reason::Reboot, _)
            ));
        }
    }

    /// C5: a commit of the device's own that left it in place has not undone it.
    #[test]
    fn what_the_device_left_is_kept() {
        for seconds in [0, 179] {
            assert!(matches!(conclude(LEFT, &overdue(seconds)), Finding::Wait(_)));
        }
        assert!(matches!(conclude(LEFT, &known()), Finding::Wait(_)));
        assert!(matches!(conclude(LEFT, &overdue(180)), Finding::Kept(_)));
    }

    /// C5: what was sent, not answered and carried out late is ours all the same, and is looked for meanwhile.
    #[tokio::test(start_paused = true)]
    async fn a_late_confirm_is_ours() {
        let sent = |cancels| Answer {
            marker: "[ncgate 02 alice]".to_owned(),
            cancels,
            sent: None,
        };
        let late = |cancels| Known {
            earlier: vec![sent(cancels)],
            unanswered: Some(Duration::from_secs(20)),
            ..known()
        };
        let entry = |marker: &str| CommitEntry {
            log: Some(marker.to_owned()),
            ..CommitEntry::default()
        };
        let history = CommitInformation {
            entries: vec![entry("[ncgate 02 alice]"), entry("[ncgate 01 alice]")],
            scheduled: None,
        };
        let followed = || Seen::History(standing(&history, "[ncgate 01 alice]"));
        let by_us = conclude(followed(), &late(false));
        assert!(matches!(by_us, Finding::Confirmed(By::Us, _)));
        assert!(matches!(conclude(followed(), &late(true)), Finding::Cancelled(_)));
        assert!(matches!(conclude(BEFORE, &late(true)), Finding::Cancelled(_)));
        let by_another = conclude(followed(), &known());
        assert!(matches!(by_another, Finding::Confirmed(By::Other, _)));

        let mut looks = Looks::now(Reason::SessionLost);
        looks.judge(Ok(NEWEST), &late(false));
        assert!(looks.next().is_some(), "it may come yet");
        let over = Known {
            unanswered: Some(Duration::from_secs(300)),
            ..late(false)
        };
        looks.judge(Ok(NEWEST), &over);
        assert!(looks.next().is_none());
    }

    /// C2: what depended on a session that has ended is not pending, and is undone for that reason.
    #[test]
    fn without_its_session_it_is_not_pending() {
        let doomed = Known {
            doomed: true,
            ..known()
        };
        assert!(matches!(conclude(EXPECTED, &doomed), Finding::Wait(_)));
        assert!(matches!(
            conclude(BEFORE, &doomed),
            Finding::RolledBack(Reason::SessionLost, _)
        ));
    }

    /// C5, C6: with a confirm or a cancel that nobody answered the same sight means something else.
    #[test]
    fn an_unanswered_order_is_taken_into_account() {
        let confirm = Answer {
            marker: "[ncgate 02 alice]".to_owned(),
            cancels: false,
            sent: None,
        };
        let cancel = Answer {
            cancels: true,
            ..confirm.clone()
        };
        let after = |answer: &Answer, seen: &Seen| {
            let known = Known {
                answer: Some(Answer::clone(answer)),
                ..overdue(200)
            };
            conclude(seen.clone(), &known)
        };
        assert!(
            matches!(after(&confirm, &NEWEST), Finding::Unknown(_)),
            "perhaps it arrived"
        );
        assert!(matches!(
            after(&confirm, &BEFORE),
            Finding::RolledBack(Reason::Timeout, _)
        ));
        assert!(matches!(after(&cancel, &BEFORE), Finding::Cancelled(_)));
        assert!(matches!(after(&cancel, &EXPECTED), Finding::Kept(_)));
    }

    /// S29: what a kill undoes may be undone a moment later.
    #[test]
    fn a_kill_is_given_time() {
        let at = |seconds| {
            judge(
                Ok(EXPECTED),
                &known(),
                Reason::Killed,
                Duration::from_secs(seconds),
            )
        };
        assert!(matches!(at(29), Finding::Wait(_)));
        assert!(matches!(at(30), Finding::Pending(_)));
    }

    /// C5: a confirm that nobody answered may have arrived, unless the device says that it waits still.
    #[test]
    fn an_unanswered_confirm_is_not_pending() {
        let sent = Known {
            answer: Some(Answer {
                marker: "[ncgate 02 alice]".to_owned(),
                cancels: false,
                sent: None,
            }),
            ..known()
        };
        for seen in [NEWEST, EXPECTED] {
            assert!(matches!(conclude(seen, &sent), Finding::Wait(_)));
        }
        let waits = Seen::History(Standing::Newest {
            waits: true,
            entries: 1,
        });
        assert!(matches!(conclude(waits, &sent), Finding::Pending(_)));
    }

    /// E4: what was never seen is not taken for gone before the device has had its time.
    #[test]
    fn a_commit_that_is_not_there_yet_may_come() {
        let fresh = |seconds| Known {
            made: false,
            sent: Duration::from_secs(seconds),
            ..known()
        };
        for seen in [Seen::History(Standing::Absent), BEFORE] {
            assert!(matches!(conclude(seen.clone(), &fresh(299)), Finding::Wait(_)));
            assert!(matches!(conclude(seen, &fresh(300)), Finding::NeverMade(_)));
        }
        assert!(matches!(conclude(NEWEST, &fresh(5)), Finding::Pending(_)));
    }

    /// E4: what another history does not hold says nothing.
    #[test]
    fn another_history_tells_nothing() {
        for made in [true, false] {
            for (seconds, is_over) in [(1, false), (359, false), (360, true)] {
                let known = Known {
                    made,
                    sent: Duration::from_secs(600),
                    ..overdue(seconds)
                };
                let finding = conclude(Seen::AnotherHistory, &known);
                let ended = matches!(finding, Finding::Unknown(_));
                assert_eq!(ended, is_over, "{made}, {seconds}: {finding:?}");
            }
        }
    }

    /// C5: a device that cannot be asked is asked again, but not for ever.
    #[test]
    fn a_silent_device_is_given_up_in_the_end() {
        let silent = |known: &Known| {
            judge(
                Err("no answer".to_owned()),
                known,
                Reason::Timeout,
                Duration::ZERO,
            )
        };
        assert_eq!(silent(&known()), Finding::Wait("no answer".to_owned()));
        assert_eq!(silent(&overdue(359)), Finding::Wait("no answer".to_owned()));
        assert_eq!(silent(&overdue(360)), Finding::Unknown("no answer".to_owned()));
    }
}
