//! `<get-commit-information>`: who committed when, what is pending (S27, E2, E4, E6), and
//! `<get-commit-revision-information>`: which revision is active.

use std::time::Duration;

use super::require;
use crate::netconf::capability::Capabilities;
use crate::netconf::rpc::{RequestError, Rpc};
use crate::xml::tree::Element;
use crate::xml::{Limits, Writer, XmlError};

/// The element around all of them.
const HISTORY: &str = "commit-information";
/// The element of one commit.
const ENTRY: &str = "commit-history";
/// How many commits [`CommitInformation::parse_newest`] reads,
const NEWEST: usize = 2;
/// and how many if the device made all of these itself.
const MORE: usize = 8;

/// `<get-commit-information/>`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct GetCommitInformation {
    /// Say the revision of each entry; releases before 20.4R1 do not know how.
    pub revisions: bool,
}

/// `<get-commit-revision-information>`: the revision that is active, and who committed it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct GetCommitRevision;

impl GetCommitInformation {
    /// The request.
    ///
    /// # Errors
    /// No Junos device.
    pub fn rpc(&self, capabilities: &Capabilities) -> Result<Rpc, RequestError> {
        require(capabilities, "get-commit-information")?;
        let mut writer = Writer::new();
        writer.open("get-commit-information")?;
        if self.revisions {
            writer.empty("include-configuration-revision")?;
        }
        writer.close()?;
        Ok(Rpc::new(writer.finish()?))
    }
}

impl GetCommitRevision {
    /// The request.
    ///
    /// # Errors
    /// No Junos device.
    pub fn rpc(&self, capabilities: &Capabilities) -> Result<Rpc, RequestError> {
        require(capabilities, "get-commit-revision-information")?;
        let mut writer = Writer::new();
        writer
            .open("get-commit-revision-information")?
            .leaf("level", "detail")?
            .close()?;
        Ok(Rpc::new(writer.finish()?))
    }
}

/// One `<commit-history>`. What the device does not say is absent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CommitEntry {
    /// 0 is the newest. The rescue configuration has none.
    pub sequence: Option<u32>,
    pub user: Option<String>,
    /// `cli`, `netconf`, `junoscript`, `other`, …
    pub client: Option<String>,
    /// In the device's own words and time.
    pub date_time: Option<String>,
    /// Seconds since 1970.
    pub seconds: Option<i64>,
    /// What the committer wrote; some releases put it here,
    pub log: Option<String>,
    /// others here, beside remarks of the device's own. Both may be there.
    pub comment: Option<String>,
    /// `re0-1365168149-1`
    pub revision: Option<String>,
    /// What `<commit-confirmed>` says, if it is there.
    pub commit_confirmed: Option<String>,
}

impl CommitEntry {
    /// Whether the comment holds this text: a marker that is unique is evidence (E3, E4).
    pub fn mentions(&self, text: &str) -> bool {
        self.words().any(|words| words.contains(text))
    }

    /// Whether this was a confirmed commit, as far as the device says. The history goes on saying so when it has been
    /// confirmed or undone: see [`CommitInformation::pending_confirmed`].
    pub fn was_confirmed_commit(&self) -> bool {
        self.commit_confirmed.is_some() || self.rollback_in().is_some()
    }

    /// After how much time it is undone, counted from the commit: `commit confirmed, rollback in 5mins`.
    pub fn rollback_in(&self) -> Option<Duration> {
        self.words()
            .chain(self.commit_confirmed.as_deref())
            .find_map(|words| {
                let (_, rest) = words.split_once("commit confirmed, rollback in ")?;
                let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
                let minutes: u32 = rest[..digits].parse().ok()?;
                Some(Duration::from_secs(60 * u64::from(minutes)))
            })
    }

    /// Whether the device made this commit by itself, as it does when it undoes a confirmed one: `root via other`.
    pub fn is_by_device(&self) -> bool {
        self.user.as_deref() == Some("root") && self.client.as_deref() == Some("other")
    }

    fn words(&self) -> impl Iterator<Item = &str> {
        [&self.log, &self.comment]
            .into_iter()
            .flatten()
            .map(String::as_str)
    }
}

/// A commit that is to be made later (`commit at`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ScheduledCommit {
    pub user: Option<String>,
    pub client: Option<String>,
    /// In the device's own words: a time, or `reboot`.
    pub at: Option<String>,
}

/// The whole answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CommitInformation {
    /// Newest first, as the device sends them.
    pub entries: Vec<CommitEntry>,
    pub scheduled: Option<ScheduledCommit>,
    /// The reply holds a history, if an empty one: without it nobody can tell who committed.
    pub shown: bool,
}

impl CommitInformation {
    /// Reads a reply, with or without its envelope. Of several members the first that tells of commits counts.
    ///
    /// # Errors
    /// A document that is not well-formed.
    pub fn parse(reply: &str) -> Result<Self, XmlError> {
        let mut found = Self::default();
        found.collect(&Element::parse(reply, &Limits::default())?);
        Ok(found)
    }

    /// The newest commits alone, out of a reply that was found to be well-formed: two of them, or some eight where the
    /// device made those itself. Devices tell of fifty.
    ///
    /// # Errors
    /// As [`Self::parse`], as far as it is read.
    pub fn parse_newest(reply: &str) -> Result<Self, XmlError> {
        let newest = Self::parse_beginning(reply, NEWEST)?;
        let found = match newest.entries.iter().all(CommitEntry::is_by_device) {
            true => Self::parse_beginning(reply, MORE)?,
            false => newest,
        };
        if found.entries.iter().any(|entry| entry.sequence == Some(0)) {
            Ok(found)
        } else {
            // Not in the order that devices are known to have.
            Self::parse(reply)
        }
    }

    fn parse_beginning(reply: &str, most: usize) -> Result<Self, XmlError> {
        let mut found = Self::default();
        found.collect(&Element::parse_beginning(reply, &Limits::default(), ENTRY, most)?);
        // The one behind them may have been cut.
        found.entries.truncate(most);
        Ok(found)
    }

    /// The newest commit.
    pub fn newest(&self) -> Option<&CommitEntry> {
        self.entries
            .iter()
            .find(|entry| entry.sequence == Some(0))
            .or(self.entries.first())
    }

    /// A confirmed commit that may still be in its window. Only the newest commit can be: any later one has confirmed
    /// or undone it. Whether its time has passed is for the caller to tell, by `seconds` and `rollback_in`.
    pub fn pending_confirmed(&self) -> Option<&CommitEntry> {
        self.newest().filter(|entry| entry.was_confirmed_commit())
    }

    fn collect(&mut self, element: &Element) {
        // Of several members the first that tells of commits counts: what came after what is told by one history.
        if element.local == HISTORY && !self.entries.is_empty() {
            return;
        }
        self.shown |= matches!(element.local.as_str(), HISTORY | ENTRY);
        if element.local == ENTRY {
            self.entries.push(entry(element));
            return;
        }
        if self.scheduled.is_none() {
            self.scheduled = scheduled(element);
        }
        for child in element.children() {
            self.collect(child);
        }
    }
}

/// The answer to [`GetCommitRevision`]. What the device does not say is absent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CommitRevision {
    /// `re0-1365168149-1`
    pub revision: Option<String>,
    pub user: Option<String>,
    pub client: Option<String>,
    pub date_time: Option<String>,
    /// Seconds since 1970.
    pub seconds: Option<i64>,
}

impl CommitRevision {
    /// Reads a reply, with or without its envelope. Of several members the first that answers counts.
    ///
    /// # Errors
    /// A document that is not well-formed.
    pub fn parse(reply: &str) -> Result<Self, XmlError> {
        let root = Element::parse(reply, &Limits::default())?;
        let found = root.find("commit-revision-information");
        Ok(found.map_or_else(Self::default, |found| {
            let (date_time, seconds) = when(found);
            Self {
                revision: text(found, "revision"),
                user: text(found, "user"),
                client: text(found, "client"),
                date_time,
                seconds,
            }
        }))
    }
}

fn entry(element: &Element) -> CommitEntry {
    let (date_time, seconds) = when(element);
    CommitEntry {
        sequence: text(element, "sequence-number").and_then(|number| number.parse().ok()),
        user: text(element, "user"),
        client: text(element, "client"),
        date_time,
        seconds,
        log: text(element, "log"),
        comment: text(element, "comment"),
        revision: text(element, "configuration-revision"),
        commit_confirmed: element.child("commit-confirmed").map(Element::text),
    }
}

/// Pending commits come as a sentence, `commit requested by USER via CLIENT at TIME`, or with a field for each of
/// these beside the history.
fn scheduled(element: &Element) -> Option<ScheduledCommit> {
    if let Some(sentence) = scheduled_sentence(&element.text()) {
        return Some(sentence);
    }
    let pending = element.local.starts_with("commit-at") || element.local.contains("pending");
    (pending && element.children().next().is_some()).then(|| ScheduledCommit {
        user: text(element, "user"),
        client: text(element, "client"),
        at: text(element, "at-time").or_else(|| when(element).0),
    })
}

fn scheduled_sentence(text: &str) -> Option<ScheduledCommit> {
    let (_, rest) = text.split_once("commit requested by ")?;
    let line = rest.lines().next().unwrap_or_default();
    let (who, at) = line.split_once(" at ")?;
    let (user, client) = match who.split_once(" via ") {
        Some((user, client)) => (user, Some(client.trim().to_owned())),
        None => (who, None),
    };
    Some(ScheduledCommit {
        user: Some(user.trim().to_owned()),
        client,
        at: Some(at.trim().to_owned()),
    })
}

fn when(element: &Element) -> (Option<String>, Option<i64>) {
    let seconds = element
        .child("date-time")
        .and_then(|date| date.attribute("seconds"))
        .and_then(|seconds| seconds.trim().parse().ok());
    (text(element, "date-time"), seconds)
}

fn text(element: &Element, name: &str) -> Option<String> {
    element
        .child(name)
        .map(Element::text)
        .filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(numbers: impl Iterator<Item = u32>) -> String {
        let entries = numbers.map(|number| {
            format!(
                "<commit-history><sequence-number>{number}</sequence-number><user>u{number}</user>\
                 <log>{}</log></commit-history>",
                "long ".repeat(99)
            )
        });
        format!(
            "<rpc-reply><commit-information>{}</commit-information></rpc-reply>",
            entries.collect::<String>()
        )
    }

    /// M1, E4: each member has a history of its own, and what came after a commit is told by one of them.
    #[test]
    fn one_history_of_several_counts() {
        let history = |numbers: std::ops::Range<u32>| {
            let reply = reply(numbers);
            let inside = reply
                .trim_start_matches("<rpc-reply>")
                .trim_end_matches("</rpc-reply>");
            format!("<multi-routing-engine-item><re-name>r</re-name>{inside}</multi-routing-engine-item>")
        };
        for (first, second, expected) in [(0..3, 0..3, 3), (0..1, 0..4, 1), (0..0, 0..4, 4)] {
            let members = history(first) + &history(second);
            let reply = format!(
                "<rpc-reply><multi-routing-engine-results>{members}</multi-routing-engine-results></rpc-reply>"
            );
            let all = CommitInformation::parse(&reply).unwrap();
            let numbers: Vec<u32> = all.entries.iter().filter_map(|entry| entry.sequence).collect();
            assert_eq!(numbers, (0..expected).collect::<Vec<u32>>());
            let newest = CommitInformation::parse_newest(&reply).unwrap();
            assert_eq!(newest.newest(), all.newest());
        }
    }

    /// E2: the newest are the same, be they read alone or with all the others.
    #[test]
    fn the_newest_are_read_alone() {
        for count in [1, 7, 8, 9, 50] {
            let reply = reply(0..count);
            let (all, newest) = (
                CommitInformation::parse(&reply).unwrap(),
                CommitInformation::parse_newest(&reply).unwrap(),
            );
            assert_eq!(newest.entries, all.entries[..all.entries.len().min(NEWEST)]);
            assert_eq!(newest.newest(), all.newest());
        }
        // A commit of somebody's is among them where there is one.
        for by_device in [1, 2, 7, 20] {
            let reply = reply(0..50);
            let own = (0..by_device).fold(reply, |reply, number| {
                let by = "<user>root</user><client>other</client>";
                reply.replace(&format!("<user>u{number}</user>"), by)
            });
            let newest = CommitInformation::parse_newest(&own).unwrap();
            let expected = if by_device < NEWEST { NEWEST } else { MORE };
            assert_eq!(newest.entries.len(), expected);
            let all = CommitInformation::parse(&own).unwrap();
            assert_eq!(newest.entries, all.entries[..expected]);
        }
        let backwards = CommitInformation::parse_newest(&reply((0..50).rev())).unwrap();
        assert_eq!(
            backwards.newest().and_then(|newest| newest.user.as_deref()),
            Some("u0")
        );
    }
}
