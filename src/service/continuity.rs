//! Whether a commit history is the one that was seen before (conventions E4). That a commit is missing says something only
//! of a history that reaches back to before it: the device keeps so many entries, and behind an address that was changed
//! there may be another device.

use super::evidence::Newest;
use crate::netconf::junos::commit_information::{CommitEntry, CommitInformation};

/// What is seen of a history that is not the one before.
pub(super) const ANOTHER: &str = "the device's history holds neither the commit nor the one that was the newest before it: it \
                                  is too short, or the history of another device";

/// Whether the history has the entry that was its newest before; without one it must be as empty as it was.
pub(super) fn goes_on(history: &CommitInformation, newest: Option<&Newest>) -> bool {
    match newest {
        Some(newest) => history.entries.iter().any(|entry| is(entry, newest)),
        None => history.entries.is_empty(),
    }
}

/// Revisions are not asked for every time, and a time in words follows the time zone, which a commit may change.
fn is(entry: &CommitEntry, seen: &Newest) -> bool {
    let now = Newest::from(entry);
    let same_time = match (now.seconds, seen.seconds) {
        (Some(now), Some(seen)) => now == seen,
        (Some(_), None) | (None, Some(_) | None) => now.date_time == seen.date_time,
    };
    same_time && now.user == seen.user && now.client == seen.client
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(user: &str, seconds: i64) -> CommitEntry {
        CommitEntry {
            user: Some(user.to_owned()),
            client: Some("cli".to_owned()),
            seconds: Some(seconds),
            date_time: Some(format!("at {seconds}")),
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

    /// E4: a history without the entry from before says nothing of what is missing in it.
    #[test]
    fn only_a_history_with_the_entry_from_before_goes_on() {
        let seen = Newest::from(&entry("alice", 7));
        let goes_on = |entries| goes_on(&history(entries), Some(&seen));
        assert!(goes_on(vec![entry("alice", 7)]));
        assert!(goes_on(vec![entry("bob", 9), entry("alice", 7), entry("bob", 1)]));
        assert!(!goes_on(vec![entry("bob", 9), entry("alice", 8)]));
        assert!(!goes_on(vec![entry("bob", 7)]));
        assert!(!goes_on(Vec::new()));
    }

    /// E4: the time zone and what else is asked for make no other entry.
    #[test]
    fn an_entry_is_known_by_who_made_it_and_when() {
        let told_otherwise = CommitEntry {
            date_time: Some("in another time zone".to_owned()),
            revision: Some("re0-1-2".to_owned()),
            ..entry("alice", 7)
        };
        let seen = Newest::from(&entry("alice", 7));
        assert!(goes_on(&history(vec![told_otherwise]), Some(&seen)));
    }

    /// E4: where nobody had committed anything, anything else is a history that was not seen.
    #[test]
    fn an_empty_history_goes_on_empty() {
        assert!(goes_on(&history(Vec::new()), None));
        assert!(!goes_on(&history(vec![entry("alice", 7)]), None));
    }
}
