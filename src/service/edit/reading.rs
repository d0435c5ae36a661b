//! What replies of the write path tell: differences, results of commits, what is to be warned of.

use super::snapshot::bounded;
use super::view::RpcErrorView;
use crate::error::{Diff, MemberResult, Outcome};
use crate::netconf::junos::commit_results::CommitResults;
use crate::netconf::reply::{ReplyScan, TextReader};
use crate::session::RawReply;
use crate::xml::Limits;

/// Bytes of a difference that are read at all.
const MOST_OF_A_TEXT: usize = 64 << 20;
/// Bytes of a commit's reply that are looked at.
const MOST_OF_RESULTS: u64 = 4 << 20;
/// Warnings kept of one write.
pub const MOST_WARNINGS: usize = 200;

/// The difference in the device's own words. Of several members those that have one follow each other.
///
/// # Errors
/// In words: the stored reply cannot be read back, or is far too large.
pub fn difference(raw: &RawReply) -> Result<Diff, String> {
    let mut text = Vec::new();
    for part in &raw.scan.texts {
        let mut reader = TextReader::new(raw.source.clone(), part, Limits::default());
        while reader.fill(&mut text).map_err(|error| error.to_string())? {
            if text.len() > MOST_OF_A_TEXT {
                return Err("the difference is too large".to_owned());
            }
        }
    }
    let text = String::from_utf8_lossy(&text).into_owned();
    // Without changes Junos sends a blank line, or nothing.
    if text.trim().is_empty() {
        return Ok(Diff::new(""));
    }
    Ok(bounded(text))
}

/// What a reply to a commit tells beside ok.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Committed {
    pub members: Vec<MemberResult>,
    /// The revision that is active now.
    pub revision: Option<String>,
    /// The time zone of a commit that is made later.
    pub time_zone: Option<String>,
}

/// Reads the reply to a commit. What cannot be read is absent: the scan has judged the reply already.
pub fn committed(raw: &RawReply) -> Committed {
    let results = raw
        .source
        .read_to_string(MOST_OF_RESULTS)
        .ok()
        .and_then(|text| CommitResults::parse(&text).ok())
        .unwrap_or_default();
    Committed {
        members: members(&raw.scan),
        revision: results.revision().and_then(|revision| revision.new.clone()),
        time_zone: results.scheduled_at().and_then(time_zone),
    }
}

/// What each member said (M1).
pub fn members(scan: &ReplyScan) -> Vec<MemberResult> {
    let of = |member: &crate::netconf::reply::Member| {
        let name = member.name.clone()?;
        let errors = scan
            .errors
            .iter()
            .filter(|error| error.member.as_deref() == Some(&name));
        Some(MemberResult {
            succeeded: member.succeeded,
            errors: errors.cloned().collect(),
            name,
        })
    };
    scan.members.iter().filter_map(of).collect()
}

/// The last word of `2026-01-02 23:15:00 UTC`.
fn time_zone(at: &str) -> Option<String> {
    let (_, zone) = at.trim().rsplit_once(' ')?;
    zone.starts_with(|c: char| c.is_ascii_alphabetic())
        .then(|| zone.to_owned())
}

/// What became of startup when running could not be copied to it with this outcome.
pub fn unsaved(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Unknown => "whether running was saved to startup is not known",
        Outcome::NotSent | Outcome::NotApplied | Outcome::Applied => "running was not saved to startup",
    }
}

/// Adds a reply's warnings to those of a write, and says so when there are too many.
pub fn warn(warnings: &mut Vec<RpcErrorView>, scan: &ReplyScan) {
    for warning in &scan.warnings {
        if warnings.len() >= MOST_WARNINGS {
            return;
        }
        warnings.push(RpcErrorView::from(warning));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_zone_is_the_last_word() {
        assert_eq!(time_zone("2026-01-02 23:15:00 UTC").as_deref(), Some("UTC"));
        assert_eq!(time_zone("2026-01-02 23:15:00"), None);
        assert_eq!(time_zone("reboot"), None);
    }
}
