//! What a device's own records say about a commit, before and after it (conventions E2, E4, C5). It judges; reading is
//! the callers'. Junos keeps a history in which the marker of a commit is found again; elsewhere there is only what is
//! running, which is compared with what it was before and with what it was to become.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::time::rfc3339;
use crate::clock::{Clock, Stamp};
use crate::error::{Error, ErrorCode};
use crate::netconf::junos::commit_information::{CommitEntry, CommitInformation};

/// What is stored of a commit before it is sent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Evidence {
    /// Whether the device keeps a history of its commits.
    pub junos: bool,
    /// The device was to commit then, not at once.
    pub at: Option<String>,
    /// Just before it was sent.
    pub sent: Option<Moment>,
    /// The newest commit then, where the device keeps a history.
    pub newest: Option<Newest>,
    /// Digest of running then, hexadecimal.
    pub before: Option<String>,
    /// Digest of what running is to become.
    pub expected: Option<String>,
    /// Running was to be copied to startup afterwards.
    pub saves: bool,
}

/// A [`Stamp`] as stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Moment {
    /// Microseconds since 1970.
    wall: i64,
    boot_id: String,
    since_boot_ms: u64,
}

impl Moment {
    pub fn now(clock: &Clock) -> Self {
        Self::ago(clock, Duration::ZERO)
    }

    /// The moment that is so long ago.
    pub fn ago(clock: &Clock, ago: Duration) -> Self {
        let Stamp {
            wall,
            boot_id,
            since_boot,
        } = clock.stamp();
        let wall = wall.saturating_sub(time::Duration::try_from(ago).unwrap_or(time::Duration::MAX));
        let since_boot = since_boot.saturating_sub(ago);
        Self {
            wall: i64::try_from(wall.unix_timestamp_nanos() / 1000).unwrap_or(i64::MAX),
            boot_id,
            since_boot_ms: u64::try_from(since_boot.as_millis()).unwrap_or(u64::MAX),
        }
    }

    pub fn wall(&self) -> OffsetDateTime {
        let nanos = i128::from(self.wall).saturating_mul(1000);
        OffsetDateTime::from_unix_timestamp_nanos(nanos).unwrap_or(OffsetDateTime::UNIX_EPOCH)
    }

    /// Time since then.
    pub fn elapsed(&self, clock: &Clock) -> Duration {
        clock.elapsed_since(&Stamp {
            wall: self.wall(),
            boot_id: self.boot_id.clone(),
            since_boot: Duration::from_millis(self.since_boot_ms),
        })
    }
}

/// An entry of a history, as far as it tells it from others.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Newest {
    pub user: Option<String>,
    pub client: Option<String>,
    pub seconds: Option<i64>,
    pub date_time: Option<String>,
    pub revision: Option<String>,
}

impl From<&CommitEntry> for Newest {
    fn from(entry: &CommitEntry) -> Self {
        Self {
            user: entry.user.clone(),
            client: entry.client.clone(),
            seconds: entry.seconds,
            date_time: entry.date_time.clone(),
            revision: entry.revision.clone(),
        }
    }
}

/// What is warned of where the history cannot be read.
pub(super) const HIDDEN: &str = "the device does not show its commits, so nobody can tell whether a confirmed commit of \
                                 somebody else is pending, nor what became of this one should its reply be lost";

/// What is warned of where an ephemeral instance can be edited, and not read.
pub(super) const UNREAD: &str = "the device does not show the ephemeral instance, so nobody can tell what became of the \
                                 commit should its reply be lost";

/// What is warned of where running can be changed, and not read.
pub(super) const UNSEEN: &str = "the device does not show what is running, so nobody can tell what became of the call \
                                 should its reply be lost";

/// The reason of a reply that should hold a history, and holds something else.
pub(super) const NO_HISTORY: &str = "no_history";

/// Whether this is how a device refuses its history to a user who may not see it, or knows of none: it may fail for other
/// reasons, too, which say nothing of what it holds.
pub(super) fn is_hidden(refused: &Error) -> bool {
    refused.reason() == Some(NO_HISTORY)
        || !refused.rpc_errors().is_empty()
            && matches!(
                refused.code(),
                ErrorCode::AccessDenied
                    | ErrorCode::OperationNotSupported
                    | ErrorCode::DeviceUnknownElement
                    | ErrorCode::DeviceBadElement
            )
}

/// Where a commit stands in a history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Standing {
    /// It is not there.
    Absent,
    /// It is the last word. `waits`: the device says that it is going to undo it; one that does not say so may all the
    /// same. `entries`: in so many commits, as an extension is another one.
    Newest { waits: bool, entries: u8 },
    /// The device itself made a commit after it, as it does when it undoes one, and also when it starts: only its
    /// configuration tells which. `above`: a confirmed commit of somebody else that stands between the two, and that may
    /// have been undone with this one or alone.
    OwnCommit { above: Option<Follower>, at: Places },
    /// Somebody committed after it.
    Followed(Follower),
    /// Somebody made a confirmed commit after it, which may be undone yet, alone or together with it.
    Overlaid(Follower),
}

/// Which stored configurations are to be compared, by their numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Places {
    /// That of the device's own commit.
    pub own: u8,
    /// That of the commit in question,
    pub ours: u8,
    /// and that of before.
    pub before: u8,
}

/// The commit after another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Follower {
    /// In words.
    pub who: String,
    entry: CommitEntry,
}

impl Follower {
    fn of(entry: &CommitEntry) -> Self {
        Self {
            who: who(entry),
            entry: entry.clone(),
        }
    }

    /// Whether it carries this marker.
    pub fn mentions(&self, marker: &str) -> bool {
        self.entry.mentions(marker)
    }

    /// Whether it is certain at `now`, seconds since 1970, that the device does not undo it any more: `patience` after its
    /// time. `None`: the device does not tell its time.
    pub fn has_stayed(&self, now: i64, patience: Duration) -> Option<bool> {
        let seconds = |time: Duration| i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
        let until = self
            .entry
            .seconds?
            .saturating_add(seconds(self.entry.rollback_in()?));
        Some(until.saturating_add(seconds(patience)) < now)
    }
}

/// Where the commit with this marker stands. Its extensions carry the marker as well, and are part of it as long as they
/// follow it at once: to one that comes after anything else, such as the device's rollback, a device says ok too, and it is
/// a commit of its own. So what came first decides.
pub(super) fn standing(history: &CommitInformation, marker: &str) -> Standing {
    let entries = &history.entries;
    let Some(oldest) = entries.iter().rposition(|entry| entry.mentions(marker)) else {
        return Standing::Absent;
    };
    // Newest first: what came after it stands before it.
    let mine = entries[..=oldest].iter().rev();
    let count = mine.take_while(|entry| entry.mentions(marker)).count();
    let place = (oldest + 1).saturating_sub(count);
    let later = &entries[..place];
    let mut above = None;
    for (own, next) in later.iter().enumerate().rev() {
        if next.is_by_device() {
            return Standing::OwnCommit {
                above: above.map(Follower::of),
                at: Places {
                    own: number(own),
                    ours: number(place),
                    before: number(place.saturating_add(count)),
                },
            };
        }
        if !next.was_confirmed_commit() {
            return Standing::Followed(Follower::of(next));
        }
        above = above.or(Some(next));
    }
    match above {
        Some(follower) => Standing::Overlaid(Follower::of(follower)),
        None => Standing::Newest {
            waits: entries[place]
                .commit_confirmed
                .as_deref()
                .is_some_and(|words| words.contains("pending")),
            entries: number(count),
        },
    }
}

/// Whether the device made its own commit because it had been started, `booted` seconds since 1970 by its own clock: after
/// the commit in question, and before the time of that was up.
pub(super) fn undone_by_start(history: &CommitInformation, at: Places, booted: i64) -> bool {
    let entry = |place: u8| history.entries.get(usize::from(place));
    let (Some(own), Some(ours)) = (entry(at.own), entry(at.ours)) else {
        return false;
    };
    let (Some(undone), Some(made)) = (own.seconds, ours.seconds) else {
        return false;
    };
    let window = ours.rollback_in().map_or(i64::MAX, |window| {
        i64::try_from(window.as_secs()).unwrap_or(i64::MAX)
    });
    made < booted && booted <= undone && undone < made.saturating_add(window)
}

/// As the number of a stored configuration. Beyond those that there can be none is kept.
fn number(place: usize) -> u8 {
    u8::try_from(place).unwrap_or(u8::MAX)
}

/// Somebody else's confirmed commit that may still be undone at `now`, seconds since 1970 (E2). The devices' clock is not
/// ours: within `doubt` seconds of its end it still counts.
pub(super) fn pending_of_another(history: &CommitInformation, now: i64, doubt: i64) -> Option<&CommitEntry> {
    let entry = history.pending_confirmed()?;
    let Some((committed, window)) = entry.seconds.zip(entry.rollback_in()) else {
        return Some(entry);
    };
    let window = i64::try_from(window.as_secs()).unwrap_or(i64::MAX);
    (committed.saturating_add(window).saturating_add(doubt) > now).then_some(entry)
}

/// Until when a confirmed commit waits, by the device's clock; RFC 3339 in UTC.
pub(super) fn deadline(entry: &CommitEntry) -> Option<String> {
    let window = i64::try_from(entry.rollback_in()?.as_secs()).ok()?;
    let at = entry.seconds?.checked_add(window)?;
    Some(rfc3339(OffsetDateTime::from_unix_timestamp(at).ok()?))
}

/// Who made a commit, for people.
pub(super) fn who(entry: &CommitEntry) -> String {
    let word = |word: &Option<String>| word.clone().unwrap_or_else(|| "unknown".to_owned());
    let when = entry
        .date_time
        .as_deref()
        .map_or_else(String::new, |at| format!(" at {at}"));
    format!("{} via {}{when}", word(&entry.user), word(&entry.client))
}

/// What running is by its digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Running {
    AsBefore,
    AsExpected,
    /// Neither, or nobody knows what it was.
    Otherwise,
}

impl Evidence {
    pub fn running(&self, digest: &str) -> Running {
        if self.before.as_deref() == Some(digest) {
            Running::AsBefore
        } else if self.expected.as_deref() == Some(digest) {
            Running::AsExpected
        } else {
            Running::Otherwise
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEWEST: Standing = Standing::Newest {
        waits: false,
        entries: 1,
    };

    fn entry(user: &str, client: &str, log: &str) -> CommitEntry {
        CommitEntry {
            user: Some(user.to_owned()),
            client: Some(client.to_owned()),
            log: Some(log.to_owned()),
            seconds: Some(1_000),
            ..CommitEntry::default()
        }
    }

    fn history(entries: Vec<CommitEntry>) -> CommitInformation {
        CommitInformation {
            entries,
            scheduled: None,
            shown: true,
        }
    }

    /// E4: the marker is found again, and what follows it decides.
    #[test]
    fn what_follows_a_commit_decides() {
        let ours = || entry("lab", "netconf", "window 7 [ncgate 01 alice]");
        let standing = |entries| standing(&history(entries), "[ncgate 01 alice]");
        assert_eq!(standing(vec![entry("lab", "cli", "other")]), Standing::Absent);
        assert_eq!(standing(vec![ours(), entry("lab", "cli", "before")]), NEWEST);
        assert_eq!(
            standing(vec![
                entry("bob", "cli", ""),
                entry("root", "other", ""),
                ours(),
                ours()
            ]),
            Standing::OwnCommit {
                above: None,
                at: Places {
                    own: 1,
                    ours: 2,
                    before: 4
                }
            }
        );
        let Standing::Followed(follower) = standing(vec![entry("bob", "cli", "[ncgate 02 bob]"), ours()])
        else {
            panic!("somebody committed after it");
        };
        assert_eq!(follower.who, "bob via cli");
        assert!(follower.mentions("[ncgate 02 bob]"));
        // An extension carries the marker again.
        assert_eq!(
            standing(vec![ours(), ours(), entry("lab", "cli", "before")]),
            Standing::Newest {
                waits: false,
                entries: 2
            }
        );
    }

    /// S28, S29: an extension that the device comes to after its rollback, or after somebody else's commit, is a commit of
    /// its own: what came right after the first one decides.
    #[test]
    fn an_extension_that_came_too_late_is_no_part_of_it() {
        let ours = || entry("lab", "netconf", "[ncgate 01 alice]");
        let standing = |entries| standing(&history(entries), "[ncgate 01 alice]");
        let root = || entry("root", "other", "");
        let undone = |own| Standing::OwnCommit {
            above: None,
            at: Places {
                own,
                ours: own + 1,
                before: own + 3,
            },
        };
        assert_eq!(
            standing(vec![ours(), root(), ours(), ours(), root()]),
            undone(1),
            "extended late"
        );
        let confirming = entry("lab", "netconf", "[ncgate 02 alice]");
        assert_eq!(
            standing(vec![confirming, ours(), root(), ours(), ours()]),
            undone(2),
            "and confirmed"
        );
        let followed = standing(vec![ours(), entry("bob", "cli", ""), ours()]);
        assert!(matches!(followed, Standing::Followed(next) if next.who == "bob via cli"));
    }

    /// C5: a confirmed commit of another on top may be undone, and this one with it.
    #[test]
    fn a_confirmed_commit_on_top_decides_nothing_yet() {
        let ours = || entry("lab", "netconf", "[ncgate 01 alice]");
        let bobs = || CommitEntry {
            comment: Some("commit confirmed, rollback in 5mins".to_owned()),
            ..entry("bob", "cli", "")
        };
        let standing = |entries| standing(&history(entries), "[ncgate 01 alice]");
        let Standing::Overlaid(follower) = standing(vec![bobs(), ours()]) else {
            panic!("it may be undone yet");
        };
        let at = |now| follower.has_stayed(now, Duration::from_secs(30));
        assert_eq!((at(1_330), at(1_331)), (Some(false), Some(true)));
        assert_eq!(
            standing(vec![
                entry("root", "other", ""),
                bobs(),
                ours(),
                ours(),
                entry("lab", "cli", "")
            ]),
            Standing::OwnCommit {
                above: Some(follower),
                at: Places {
                    own: 0,
                    ours: 2,
                    before: 4
                }
            }
        );
        let confirmed = standing(vec![entry("carol", "cli", ""), bobs(), ours()]);
        assert!(matches!(confirmed, Standing::Followed(next) if next.who == "carol via cli"));
    }

    /// E2: a confirmed commit of somebody else counts for its window, and while clocks may differ.
    #[test]
    fn others_confirmed_commits_count_for_their_window() {
        let confirmed = || CommitEntry {
            comment: Some("commit confirmed, rollback in 5mins".to_owned()),
            ..entry("bob", "cli", "")
        };
        let at = |now| pending_of_another(&history(vec![confirmed()]), now, 30).is_some();
        assert!(at(1_000) && at(1_000 + 329));
        assert!(!at(1_000 + 330));
        let followed = history(vec![entry("bob", "cli", "confirms it"), confirmed()]);
        assert_eq!(pending_of_another(&followed, 1_000, 30), None);
        let timeless = CommitEntry {
            seconds: None,
            ..confirmed()
        };
        assert!(pending_of_another(&history(vec![timeless]), i64::MAX, 30).is_some());
    }

    /// E4: running is judged by the two digests, and by nothing else.
    #[test]
    fn running_is_judged_by_its_digest() {
        let evidence = Evidence {
            before: Some("aa".to_owned()),
            expected: Some("bb".to_owned()),
            ..Evidence::default()
        };
        assert_eq!(evidence.running("aa"), Running::AsBefore);
        assert_eq!(evidence.running("bb"), Running::AsExpected);
        assert_eq!(evidence.running("cc"), Running::Otherwise);
        assert_eq!(Evidence::default().running("aa"), Running::Otherwise);
    }
}
