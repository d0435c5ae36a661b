//! Whether a device is what was expected: required capabilities and a range of software versions (S7). Pure.

use super::settings::{Compatibility, Policy};
use crate::netconf::capability::Capabilities;
use crate::netconf::junos::{JunosVersion, VersionRange};

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
        Policy::Ignore => {
            return Verdict {
                policy: required.policy,
                missing,
            };
        }
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
            missing.extend(outside(version, required));
        }
    }
    Verdict {
        policy: required.policy,
        missing,
    }
}

/// What the version of one member lacks. A version or a bound that cannot be read is never in the range: a device is
/// not trusted on a guess.
fn outside(version: &str, required: &Compatibility) -> Vec<String> {
    let Ok(runs) = JunosVersion::parse(version) else {
        return vec![format!("a version that can be compared (it runs {version})")];
    };
    let within = |min: Option<&String>, max: Option<&String>| {
        let bound = |text: Option<&String>| text.map(|text| JunosVersion::parse(text)).transpose();
        match (bound(min), bound(max)) {
            (Ok(min), Ok(max)) => VersionRange { min, max }.contains(&runs),
            (Err(_), _) | (_, Err(_)) => false,
        }
    };
    let mut missing = Vec::new();
    if let Some(min) = &required.min_version
        && !within(Some(min), None)
    {
        missing.push(format!("version {min} or newer (it runs {version})"));
    }
    if let Some(max) = &required.max_version
        && !within(None, Some(max))
    {
        missing.push(format!("version {max} or older (it runs {version})"));
    }
    missing
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
