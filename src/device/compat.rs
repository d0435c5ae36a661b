//! Whether a device is what was expected: required capabilities and a range of software versions (S7). Pure.

use std::cmp::Ordering;

use super::settings::{Compatibility, Policy};
use crate::netconf::capability::Capabilities;

/// The result of the compatibility check, kept with the device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    pub policy: Policy,
    /// What is required and not there, in words. Empty under [`Policy::Ignore`], which does not look.
    pub missing: Vec<String>,
}

impl Verdict {
    pub fn is_compatible(&self) -> bool {
        self.missing.is_empty()
    }

    /// Whether the session must not be used.
    pub fn refuses(&self) -> bool {
        self.policy == Policy::Refuse && !self.is_compatible()
    }
}

/// Judges a device by its hello and the version of its software, where known. All members must be in the range.
pub fn judge(required: &Compatibility, capabilities: &Capabilities, versions: &[&str]) -> Verdict {
    let mut missing = Vec::new();
    match required.policy {
        Policy::Ignore => return Verdict { policy: required.policy, missing },
        Policy::Adapt | Policy::Refuse => {}
    }
    for uri in &required.capabilities {
        if !capabilities.has_uri(uri) {
            missing.push(format!("capability {uri}"));
        }
    }
    if required.min_version.is_some() || required.max_version.is_some() {
        if versions.is_empty() {
            missing.push("a known software version".to_owned());
        }
        for version in versions {
            if let Some(min) = required.min_version.as_deref().filter(|min| compare(version, min).is_lt()) {
                missing.push(format!("version {min} or newer (it runs {version})"));
            }
            if let Some(max) = required.max_version.as_deref().filter(|max| compare(version, max).is_gt()) {
                missing.push(format!("version {max} or older (it runs {version})"));
            }
        }
    }
    Verdict { policy: required.policy, missing }
}

/// A run of digits or of letters; what stands between them only separates. Letters come after digits, so that a
/// service release (`22.4R3-S2`) is newer than a build of the release (`22.4R3.10`).
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Number(u64),
    Letters(String),
}

fn parts(version: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut rest = version;
    while let Some(first) = rest.chars().next() {
        let same = |c: char| match first {
            '0'..='9' => c.is_ascii_digit(),
            _ if first.is_alphabetic() => c.is_alphabetic(),
            _ => !c.is_alphanumeric(),
        };
        let end = rest.find(|c| !same(c)).unwrap_or(rest.len()).max(first.len_utf8());
        let (run, after) = rest.split_at(end);
        if first.is_ascii_digit() {
            parts.push(Part::Number(run.parse().unwrap_or(u64::MAX)));
        } else if first.is_alphabetic() {
            parts.push(Part::Letters(run.to_ascii_uppercase()));
        }
        rest = after;
    }
    parts
}

/// Compares a version with a bound, as far as the bound goes: every `24.4…` equals the bound `24.4`.
fn compare(version: &str, bound: &str) -> Ordering {
    let bound = parts(bound);
    let mut version = parts(version);
    version.truncate(bound.len());
    version.cmp(&bound)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn capabilities() -> Capabilities {
        Capabilities::new([
            "urn:ietf:params:netconf:base:1.0",
            "urn:ietf:params:netconf:capability:candidate:1.0",
            "http://xml.juniper.net/netconf/junos/1.0",
        ])
    }

    fn required(policy: Policy) -> Compatibility {
        Compatibility {
            policy,
            capabilities: vec![
                "urn:ietf:params:netconf:capability:candidate:1.0".to_owned(),
                "urn:ietf:params:netconf:capability:startup:1.0".to_owned(),
            ],
            min_version: Some("22.2".to_owned()),
            max_version: Some("24.4R1".to_owned()),
        }
    }

    #[test]
    fn versions_are_compared_by_their_parts() {
        for (version, bound, expected) in [
            ("24.4R1.9", "24.4", Ordering::Equal),
            ("24.4R1.9", "24.4R1", Ordering::Equal),
            ("24.4R1.9", "24.4R2", Ordering::Less),
            ("9.6R1", "10.0", Ordering::Less),
            ("22.4R3-S2.11", "22.4R3.10", Ordering::Greater),
            ("22.4R3-S2.11", "22.4R3-S2", Ordering::Equal),
            ("22.4R10.1", "22.4R9", Ordering::Greater),
            ("21.2r3", "21.2R3", Ordering::Equal),
            ("20.4R3.8-EVO", "20.4R3.8", Ordering::Equal),
            ("20", "20.4", Ordering::Less),
            ("", "1", Ordering::Less),
            ("99999999999999999999999.1", "1", Ordering::Greater),
            ("€.1²", "1", Ordering::Equal),
        ] {
            assert_eq!(compare(version, bound), expected, "{version} against {bound}");
        }
    }

    /// S7: what is missing is named, each on its own.
    #[test]
    fn verdict_names_what_is_missing() {
        let verdict = judge(&required(Policy::Refuse), &capabilities(), &["21.4R3", "25.1R1"]);
        assert_eq!(
            verdict.missing,
            [
                "capability urn:ietf:params:netconf:capability:startup:1.0",
                "version 22.2 or newer (it runs 21.4R3)",
                "version 24.4R1 or older (it runs 25.1R1)",
            ]
        );
        assert!(verdict.refuses());
        let unknown = judge(&required(Policy::Adapt), &capabilities(), &[]);
        assert_eq!(unknown.missing[1], "a known software version");
        assert!(!unknown.refuses());
    }

    /// S7: `ignore` does not look.
    #[test]
    fn ignore_finds_nothing_missing() {
        let verdict = judge(&required(Policy::Ignore), &capabilities(), &[]);
        assert!(verdict.is_compatible() && !verdict.refuses());
    }
}
