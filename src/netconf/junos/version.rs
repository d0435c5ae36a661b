//! Junos release numbers and their order, for the compatibility check (S7).
//!
//! `21.4R1-S2.3` is build 3 of service release 2 of release 1 of 21.4; `15.1X53-D45.3` is build 3 of maintenance
//! release 45 on the special branch 53 of 15.1. Evolved carries the same numbers with `-EVO` behind them.

use std::cmp::Ordering;
use std::fmt;

/// A release number as far as it is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JunosVersion {
    text: String,
    /// Main release, minor release, kind, number, service or D number, build: most significant first. A bound may
    /// have fewer of them than a device's version.
    parts: Vec<u32>,
    evolved: bool,
}

/// A bound that is no release number.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a Junos release such as 21.4, 21.4R1 or 21.4R1-S2.3")]
pub struct VersionError(pub String);

impl JunosVersion {
    /// Reads a release number, whole or not.
    ///
    /// # Errors
    /// Whatever does not begin with two numbers and a dot between, or goes on in an unknown way.
    pub fn parse(text: &str) -> Result<Self, VersionError> {
        let text = text.trim();
        let upper = text.to_ascii_uppercase();
        let (number, evolved) = match upper.strip_suffix("-EVO").or(upper.strip_suffix("-EVOLVED")) {
            Some(number) => (number, true),
            None => (upper.as_str(), false),
        };
        let parts = parts(number).ok_or_else(|| VersionError(text.to_owned()))?;
        Ok(Self {
            text: text.to_owned(),
            parts,
            evolved,
        })
    }

    /// Whether it is Junos OS Evolved.
    pub fn is_evolved(&self) -> bool {
        self.evolved
    }

    /// Compares as far as `bound` says: everything of 21.4 is equal to the bound 21.4.
    fn cmp_to(&self, bound: &Self) -> Ordering {
        for (index, wanted) in bound.parts.iter().enumerate() {
            // What a device's version leaves out is its first: 21.4R1 has no service release.
            let have = self.parts.get(index).copied().unwrap_or(0);
            match have.cmp(wanted) {
                Ordering::Equal => {}
                unequal => return unequal,
            }
        }
        Ordering::Equal
    }
}

impl fmt::Display for JunosVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Cuts the digits off the front.
fn digits(text: &str) -> Option<(u32, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    Some((text[..end].parse().ok()?, &text[end..]))
}

fn parts(text: &str) -> Option<Vec<u32>> {
    let (main, rest) = digits(text)?;
    let (minor, rest) = digits(rest.strip_prefix('.')?)?;
    let mut parts = vec![main, minor];
    let Some(letter) = rest.chars().next() else {
        return Some(parts);
    };
    // Builds before a release and the special branches after it, in the order in which they come to be.
    let kind = match letter {
        // A daily build: 18.4-20180723_dev_common.0
        '-' => {
            parts.push(0);
            return Some(parts);
        }
        'A' | 'B' | 'I' => 0,
        'F' => 1,
        'R' => 2,
        'X' => 3,
        _ => return None,
    };
    let rest = &rest[1..];
    // 25.4I-20250615_dev_common.0: a daily build again, with its kind.
    let dated = rest.strip_prefix('-').filter(|_| kind == 0);
    let (number, mut rest) = digits(dated.unwrap_or(rest))?;
    parts.extend([kind, number]);
    // Of internal builds the number is a date, and what follows it has no order.
    if kind == 0 || rest.is_empty() {
        return Some(parts);
    }
    let mut service = 0;
    if let Some(after) = rest.strip_prefix("-S").or(rest.strip_prefix("-D")) {
        (service, rest) = digits(after)?;
    }
    parts.push(service);
    match rest.strip_prefix('.') {
        Some(build) => {
            let (build, rest) = digits(build)?;
            parts.push(build);
            is_variant(rest).then_some(parts)
        }
        None => is_variant(rest).then_some(parts),
    }
}

/// What may follow the number: nothing, or the name of a variant (`-SECURE`, `-LIMITED`).
fn is_variant(rest: &str) -> bool {
    rest.is_empty() || rest.starts_with(['-', '_', '.', ' '])
}

/// From which release to which one, both included as far as they say: `max: 21.4` lets every 21.4 in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VersionRange {
    pub min: Option<JunosVersion>,
    pub max: Option<JunosVersion>,
}

impl VersionRange {
    /// Whether a device's version is in the range.
    pub fn contains(&self, version: &JunosVersion) -> bool {
        self.min
            .as_ref()
            .is_none_or(|min| version.cmp_to(min) != Ordering::Less)
            && self
                .max
                .as_ref()
                .is_none_or(|max| version.cmp_to(max) != Ordering::Greater)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &str) -> JunosVersion {
        JunosVersion::parse(text).unwrap_or_else(|error| panic!("{error}"))
    }

    /// S7: releases in the order in which they came to be.
    #[test]
    fn releases_have_an_order() {
        let ordered = [
            "8.2-20070112.1",
            "12.1R1.9",
            "12.1X46-D10.2",
            "12.1X46-D15.3",
            "12.1X47-D10.1",
            "12.3R6.6",
            "15.1F5.7",
            "15.1R1.1",
            "15.1X53-D45.3",
            "18.3I20180716_1639",
            "18.3I-20180717_dev_common.0.1639",
            "18.3R1.9",
            "18.4R1.8",
            "18.4R1-S2.4",
            "18.4R1-S10.1",
            "18.4R2.7",
            "21.4R1-S2.3-EVO",
            "21.4R3.15",
            "22.1R1.10",
        ];
        for (index, low) in ordered.iter().enumerate() {
            let low = version(low);
            for high in &ordered[index + 1..] {
                let high = version(high);
                assert_eq!(low.cmp_to(&high), Ordering::Less, "{low} {high}");
                assert_eq!(high.cmp_to(&low), Ordering::Greater, "{high} {low}");
            }
            assert_eq!(low.cmp_to(&low), Ordering::Equal, "{low}");
        }
    }

    /// S7: bounds count as far as they go.
    #[test]
    fn ranges_include_their_ends() {
        for (min, max, device, inside) in [
            ("21.4", "21.4", "21.4R3-S5.4", true),
            ("21.4R1", "21.4R1", "21.4R1-S2.3", true),
            ("21.4R1-S2.3", "21.4R1-S2.3", "21.4R1-S2.3", true),
            ("21.4R1-S2", "22.1", "21.4R1.12", false),
            ("21.4R1.13", "22.1", "21.4R1.12", false),
            ("15.1X53-D40", "15.1X53", "15.1X53-D45.3", true),
            ("15.1", "15.1R7", "15.1X53-D45.3", false),
            ("20.1", "21.3", "21.4R1-EVO", false),
            ("18.4", "18.4", "18.4-20180723_dev_common.0", true),
            ("18.4R1", "18.4", "18.4-20180723_dev_common.0", false),
            ("25.4", "25.4", "25.4I-20250615_dev_common.0.1157", true),
            ("25.2R1", "25.4R1", "25.4I-20250615_dev_common.0.1157-EVO", true),
            ("19.2I-20190228", "19.4", "19.2I-20190228_dev_common.0.2316", true),
            ("19.4I-20191006", "20.1", "19.4I-20191005.0.2307", false),
            ("19.4R1", "20.1", "19.4I-20191005.0.2307", false),
        ] {
            let range = VersionRange {
                min: Some(version(min)),
                max: Some(version(max)),
            };
            assert_eq!(range.contains(&version(device)), inside, "{min} {device} {max}");
        }
        assert!(VersionRange::default().contains(&version("1.0")));
        assert!(version("21.4R1-EVO").is_evolved() && !version("21.4R1").is_evolved());
        assert_eq!(version(" 21.4R1-EVO ").to_string(), "21.4R1-EVO");
    }

    /// S7: what is no release number.
    #[test]
    fn other_text_is_refused() {
        for text in [
            "",
            "21",
            "21.",
            "x",
            "21.4Q1",
            "21.4R",
            "21.4R1-S",
            "21.4R-1",
            "21.4X-1",
            "21.4I--1",
            "21.4I-x",
            "99999999999.1",
            "v21.4R1",
            "21.4R1x",
        ] {
            assert_eq!(
                JunosVersion::parse(text),
                Err(VersionError(text.into())),
                "{text}"
            );
        }
    }
}
