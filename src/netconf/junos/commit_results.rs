//! What a Junos device answers to a commit or a check: which member did what, the revision that came out of it, and
//! what it says about later (S27, M1, E6).

use std::time::Duration;

use crate::xml::tree::Element;
use crate::xml::{Limits, XmlError};

/// What became of the commit on one member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemberResult {
    /// `<commit-success/>`
    Committed,
    /// `<commit-check-success/>`: nothing is committed, or nothing yet.
    Checked,
    /// An error, and no word of success.
    Failed,
    /// Neither.
    Silent,
}

impl MemberResult {
    /// The name in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Committed => "committed",
            Self::Checked => "checked",
            Self::Failed => "failed",
            Self::Silent => "silent",
        }
    }
}

/// The identifiers of the configuration before and after the commit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RevisionChange {
    pub old: Option<String>,
    pub new: Option<String>,
}

/// One `<routing-engine>`. Its errors are among those of the reply's scan, under its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitMember {
    /// `re0`, `fpc0`, `node1`; some devices name none.
    pub name: Option<String>,
    pub result: MemberResult,
    pub revision: Option<RevisionChange>,
}

/// The whole answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CommitResults {
    /// In document order; none when the device only says `<ok/>`, or there was nothing to commit.
    pub members: Vec<CommitMember>,
    /// `<output>` lines, wherever they stand.
    pub output: Vec<String>,
}

impl CommitResults {
    /// Reads a reply, with or without its envelope.
    ///
    /// # Errors
    /// A document that is not well-formed: repair it first.
    pub fn parse(reply: &str) -> Result<Self, XmlError> {
        let mut results = Self::default();
        results.collect(&Element::parse(reply, &Limits::default())?);
        Ok(results)
    }

    /// The revision that is active now: of the first member that says it.
    pub fn revision(&self) -> Option<&RevisionChange> {
        self.members.iter().find_map(|member| member.revision.as_ref())
    }

    /// M1: whether any member committed. Then the commit as a whole is never "not applied".
    pub fn any_committed(&self) -> bool {
        self.members
            .iter()
            .any(|member| member.result == MemberResult::Committed)
    }

    /// When a scheduled commit will be made, in the device's own words and time zone: `commit at will be executed at …`.
    pub fn scheduled_at(&self) -> Option<&str> {
        self.output.iter().find_map(|line| {
            let (_, at) = line.split_once("will be executed at ")?;
            Some(at.trim())
        })
    }

    /// After how much time a confirmed commit is undone: `commit confirmed will be automatically rolled back in 10
    /// minutes unless confirmed`.
    pub fn rollback_in(&self) -> Option<Duration> {
        self.output.iter().find_map(|line| {
            let (_, rest) = line.split_once("rolled back in ")?;
            let mut words = rest.split_whitespace();
            let count: u32 = words.next()?.parse().ok()?;
            let unit = match words.next()? {
                word if word.starts_with("min") => 60,
                word if word.starts_with("sec") => 1,
                word if word.starts_with("hour") => 3600,
                _ => return None,
            };
            Some(Duration::from_secs(u64::from(count) * unit))
        })
    }

    fn collect(&mut self, element: &Element) {
        match element.local.as_str() {
            "routing-engine" => self.members.push(member(element)),
            "output" => self.output.extend(lines(element)),
            // What happened before belongs to the errors, not to the results.
            "rpc-error" | "error" | "warning" => return,
            _ => {}
        }
        for child in element.children() {
            self.collect(child);
        }
    }
}

fn lines(element: &Element) -> Vec<String> {
    let text = element.text();
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.map(str::to_owned).collect()
}

fn member(element: &Element) -> CommitMember {
    let has = |name: &str| element.child(name).is_some();
    let result = if has("commit-success") {
        MemberResult::Committed
    } else if has("commit-check-success") {
        MemberResult::Checked
    } else if element.children().any(is_error) {
        MemberResult::Failed
    } else {
        MemberResult::Silent
    };
    let text = |element: &Element, name: &str| {
        element
            .child(name)
            .map(Element::text)
            .filter(|text| !text.is_empty())
    };
    CommitMember {
        name: text(element, "name"),
        result,
        revision: element
            .child("commit-revision-information")
            .map(|revision| RevisionChange {
                old: text(revision, "old-db-revision"),
                new: text(revision, "new-db-revision"),
            }),
    }
}

/// M1: anything that does not call itself a warning is an error.
fn is_error(element: &Element) -> bool {
    match element.local.as_str() {
        "error" => true,
        "rpc-error" => element
            .child("error-severity")
            .is_none_or(|severity| !severity.text().eq_ignore_ascii_case("warning")),
        _ => false,
    }
}
