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

impl Seen {
    /// Whether the device has made the commit, whatever has become of it.
    pub fn shows_it(&self) -> bool {
        match self {
            Self::History(Standing::Absent) | Self::AnotherHistory => false,
            Self::History(
                Standing::Newest { .. }
                | Standing::OwnCommit { .. }
                | Standing::Followed(_)
                | Standing::Overlaid(_),
            )
            | Self::OwnCommit { .. } => true,
            Self::Running(running) => *running == Running::AsExpected,
        }
    }
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
    /// The device is as it was before: it has undone it, or never made it, and nothing tells which.
    AsBefore(String),
    /// Nothing will show any more what became of it.
    Unknown(String),
}

/// What is known when the device is looked at.
#[derive(Debug, Clone)]
pub(super) struct Known {
    /// How long ago the device's time was up; `None`: it is not.
    pub overdue: Option<Duration>,
    /// It is not, unless an extension that was not answered has shortened it.
    pub perhaps_over: bool,
    /// How long ago the commit was sent.
    pub sent: Duration,
    /// The device said ok to it, or was seen to have made it.
    pub made: bool,
    /// The session has ended that it depended on, so the device undoes it whatever its time.
    pub doomed: bool,
    /// Nothing of ours keeps others from committing, and the device's history tells when they did (junos).
    pub unguarded: bool,
    /// What was sent to confirm or cancel it, and not answered.
    pub answer: Option<Answer>,
    /// What was sent before that, and not answered either.
    pub earlier: Vec<Answer>,
    /// How long ago the newest of all these was sent.
    pub unanswered: Option<Duration>,
    /// The device was started anew, and undid it because of that.
    pub restarted: bool,
    /// Its time may be up by the device's clock, which counts whole seconds.
    pub due: bool,
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
    pub fn work(&self) -> Duration {
        self.commit_time.max(3 * self.slowest)
    }

    /// For how long a rollback is waited for after its time, at least.
    pub fn undoing(&self) -> Duration {
        BOUND.max(3 * self.slowest)
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
    /// It was seen to stand since then.
    stood: bool,
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
            stood: false,
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

    /// Why the device would undo it before its time.
    pub fn cause(&self) -> Reason {
        self.cause
    }

    /// Whether there is no use in looking any more.
    pub fn is_over(&self) -> bool {
        self.over
    }

    /// Whether it was undone with its session, which was lost before its time, for all that is known.
    fn is_by_its_session(&self, known: &Known) -> bool {
        self.cause == Reason::SessionLost && known.doomed && !self.stood
    }

    /// What a look means; `Err` says why the device could not be asked.
    pub fn judge(&mut self, seen: Result<Seen, String>, known: &Known) -> Finding {
        self.stood |= seen.as_ref().is_ok_and(Seen::shows_it);
        let finding = match judge(seen, known, self.cause, self.since.elapsed()) {
            // The device is seen too late to tell by its time.
            Finding::RolledBack(Reason::Timeout, seen) if self.is_by_its_session(known) => {
                Finding::RolledBack(Reason::SessionLost, seen)
            }
            finding => finding,
        };
        match &finding {
            Finding::Wait(_) => {
                self.next = Some(Instant::now() + self.pause);
                self.pause = (2 * self.pause).min(LONGEST_PAUSE);
            }
            // What nobody answered may be carried out yet, as long as the device may be at work on it; after that it is looked
            // at once more.
            Finding::Pending(_)
                if known
                    .unanswered
                    .is_some_and(|ago| ago < known.work() + LONGEST_PAUSE) =>
            {
                self.next = Some(Instant::now() + self.pause);
                self.pause = (2 * self.pause).min(LONGEST_PAUSE);
            }
            Finding::Pending(_) => {
                *self = Self::none();
                // Somebody may commit on top of it long before its time is up.
                self.next = known.unguarded.then(|| Instant::now() + LONGEST_PAUSE);
            }
            Finding::Confirmed(..)
            | Finding::Cancelled(_)
            | Finding::RolledBack(..)
            | Finding::Kept(_)
            | Finding::NeverMade(_)
            | Finding::AsBefore(_)
            | Finding::Unknown(_) => self.over = true,
        }
        finding
    }
}

/// `since`: how long ago the cause came up.
fn judge(seen: Result<Seen, String>, known: &Known, cause: Reason, since: Duration) -> Finding {
    let patience = known.undoing() + known.perhaps_later;
    let is_late = known.overdue.is_some_and(|overdue| overdue >= patience);
    // A device that did not answer just now may do so in a moment.
    let is_hopeless = known.overdue.is_some_and(|overdue| overdue >= 2 * patience);
    let reason = match cause {
        Reason::Killed => Reason::Killed,
        Reason::SessionLost | Reason::Timeout | Reason::Reboot if known.restarted => Reason::Reboot,
        Reason::SessionLost | Reason::Timeout | Reason::Reboot if known.overdue.is_some() || known.due => {
            Reason::Timeout
        }
        Reason::SessionLost | Reason::Timeout | Reason::Reboot => cause,
    };
    let cancels = |answers: &[Answer]| answers.iter().any(|answer| answer.cancels);
    // Before its time, and unless the device did it by itself or because its session was killed, it can only be what was
    // sent late.
    let came_late = |by_itself: bool| {
        let caused = by_itself || known.restarted || cause == Reason::Killed;
        !caused && known.overdue.is_none() && !known.due && cancels(&known.earlier)
    };
    let undone = |words: &str, by_itself: bool| match &known.answer {
        Some(answer) if answer.cancels => Finding::Cancelled(words.to_owned()),
        Some(_) | None if came_late(by_itself) => Finding::Cancelled(words.to_owned()),
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
        None if known.perhaps_over => Finding::Wait(format!(
            "{words}, though an extension that was not answered may have shortened its time; a rollback takes time"
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
        Ok(Seen::History(Standing::Newest { waits: true, .. }))
            if known.overdue.is_none() && !known.perhaps_over && !lost =>
        {
            Finding::Pending("the device says that it waits to be confirmed".to_owned())
        }
        Ok(Seen::History(Standing::Newest { waits: true, .. })) if known.overdue.is_some() && !lost => {
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
                (Running::AsBefore, _) => undone(&format!("{words}, which undid it"), true),
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
                Running::AsBefore => undone(&format!("{words}, and the device undid both"), true),
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
        // Without a history it may have been made, and undone by itself since.
        Ok(Seen::Running(Running::AsBefore))
            if !known.made && (lost || known.due || known.overdue.is_some()) =>
        {
            match not_there("running is as it was before it") {
                Finding::NeverMade(words) => {
                    Finding::AsBefore(format!("{words}: the device has undone it, or never made it"))
                }
                finding => finding,
            }
        }
        Ok(Seen::Running(Running::AsBefore)) if !known.made => not_there("running is as it was before it"),
        Ok(Seen::Running(Running::AsBefore)) => undone("running is as it was before it", false),
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
mod tests;
