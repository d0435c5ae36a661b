//! What kind of server is emulated: its capabilities, its framing, and how it writes NETCONF elements.

use std::borrow::Cow;

use super::config::Conduct;
use super::config::modules::{Module, REVISION};

/// Kind of server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Profile {
    /// Junos as it comes: NETCONF 1.0, old and new capability prefixes, default namespace.
    #[default]
    Junos,
    /// Junos that announces its capabilities only with the prefix of RFC 4741's drafts.
    JunosOld,
    /// Junos with `rfc-compliant`: every NETCONF element with the prefix `nc`.
    JunosRfc,
    /// Junos with `rfc-compliant` and `version-1.1`: chunked framing, too.
    JunosRfc11,
    /// A server that speaks RFC 6241 and nothing of Junos, with candidate, confirmed commit 1.1 and startup.
    Rfc,
    /// The same without startup: what runs is what it starts with.
    RfcNoStartup,
    /// A server of RFC 4741's time: NETCONF 1.0, and confirmed commits that end with their session and know no token.
    #[value(name = "rfc-1.0")]
    Rfc10,
    /// A server without candidate: edits go to running at once.
    RfcRunning,
}

/// Namespace of the configuration of a Junos device in rfc-compliant mode.
const YANG_CONFIGURATION: &str = "http://yang.juniper.net/junos/conf/root";

const OLD: &str = "urn:ietf:params:xml:ns:netconf:";
const NEW: &str = "urn:ietf:params:netconf:";

/// What Junos offers, without prefix.
const JUNOS: [&str; 5] = [
    "base:1.0",
    "capability:candidate:1.0",
    "capability:confirmed-commit:1.0",
    "capability:validate:1.0",
    "capability:url:1.0?scheme=http,ftp,file",
];

/// What a server of RFC 6241 offers, without prefix.
const RFC: [&str; 7] = [
    "base:1.0",
    "base:1.1",
    "capability:candidate:1.0",
    "capability:confirmed-commit:1.1",
    "capability:rollback-on-error:1.0",
    "capability:validate:1.1",
    "capability:with-defaults:1.0?basic-mode=explicit&also-supported=report-all,trim",
];

/// What a server of RFC 4741 offers, without prefix.
const RFC_1_0: [&str; 5] = [
    "base:1.0",
    "capability:candidate:1.0",
    "capability:confirmed-commit:1.0",
    "capability:rollback-on-error:1.0",
    "capability:validate:1.0",
];

impl Profile {
    /// Whether NETCONF elements carry the prefix `nc` and the RFC's error fields are all printed.
    pub fn rfc_compliant(self) -> bool {
        match self {
            Self::Junos | Self::JunosOld => false,
            Self::JunosRfc
            | Self::JunosRfc11
            | Self::Rfc
            | Self::RfcNoStartup
            | Self::Rfc10
            | Self::RfcRunning => true,
        }
    }

    /// Whether the server answers Junos requests at all.
    pub fn junos(self) -> bool {
        match self {
            Self::Junos | Self::JunosOld | Self::JunosRfc | Self::JunosRfc11 => true,
            Self::Rfc | Self::RfcNoStartup | Self::Rfc10 | Self::RfcRunning => false,
        }
    }

    /// Whether one of the capabilities holds this text, as in `:startup:`.
    pub fn offers(self, capability: &str) -> bool {
        self.capabilities().iter().any(|uri| uri.contains(capability))
    }

    /// How it treats confirmed commits, where nothing else is set.
    pub fn conduct(self) -> Conduct {
        Conduct {
            starts_with_startup: self.offers(":startup:"),
            ..if self.junos() {
                Conduct::JUNOS
            } else {
                Conduct::RFC
            }
        }
    }

    /// Whether confirmed commits can be given a token, and be cancelled.
    pub fn has_persist(self) -> bool {
        self.offers(":confirmed-commit:1.1")
    }

    /// Whether there is a candidate to commit.
    pub fn has_candidate(self) -> bool {
        self.offers(":candidate:")
    }

    /// Whether NETCONF elements are written with the prefix `nc` (Junos does that in rfc-compliant mode).
    pub fn prefixed(self) -> bool {
        match self {
            Self::JunosRfc | Self::JunosRfc11 => true,
            Self::Junos
            | Self::JunosOld
            | Self::Rfc
            | Self::RfcNoStartup
            | Self::Rfc10
            | Self::RfcRunning => false,
        }
    }

    /// Whether base:1.1 is announced.
    pub fn base_1_1(self) -> bool {
        match self {
            Self::JunosRfc11 | Self::Rfc | Self::RfcNoStartup | Self::RfcRunning => true,
            Self::Junos | Self::JunosOld | Self::JunosRfc | Self::Rfc10 => false,
        }
    }

    /// The YANG module that the server hands out, where it does.
    pub fn module(self) -> Option<Module> {
        match self {
            Self::Junos | Self::JunosOld | Self::JunosRfc => None,
            Self::JunosRfc11 => Some(Module {
                name: "junos-conf-root",
                namespace: YANG_CONFIGURATION,
            }),
            Self::Rfc | Self::RfcNoStartup | Self::Rfc10 | Self::RfcRunning => Some(Module {
                name: "example-router",
                namespace: "urn:example:router",
            }),
        }
    }

    /// The namespace of `<configuration>` in replies.
    pub fn configuration_namespace(self) -> &'static str {
        match self {
            Self::Junos | Self::JunosOld => "http://xml.juniper.net/xnm/1.1/xnm",
            Self::JunosRfc | Self::JunosRfc11 => YANG_CONFIGURATION,
            Self::Rfc | Self::RfcNoStartup | Self::Rfc10 | Self::RfcRunning => "urn:example:router",
        }
    }

    /// A name of the NETCONF namespace as this server writes it.
    pub fn netconf_name(self, local: &'static str) -> Cow<'static, str> {
        if self.prefixed() {
            Cow::Owned(format!("nc:{local}"))
        } else {
            Cow::Borrowed(local)
        }
    }

    /// The capability URIs of its hello, in order.
    pub fn capabilities(self) -> Vec<String> {
        let prefixed = |prefix: &str, names: &[&str]| -> Vec<String> {
            names.iter().map(|name| format!("{prefix}{name}")).collect()
        };
        let mut all = match self {
            Self::Junos | Self::JunosRfc => {
                let mut all = prefixed(NEW, &JUNOS);
                all.extend(prefixed(OLD, &JUNOS));
                all
            }
            Self::JunosRfc11 => {
                let mut all = prefixed(NEW, &["base:1.0", "base:1.1"]);
                all.extend(prefixed(NEW, &JUNOS[1..]));
                all
            }
            Self::JunosOld => prefixed(OLD, &JUNOS),
            Self::Rfc => {
                let mut all = prefixed(NEW, &RFC);
                all.push(format!("{NEW}capability:startup:1.0"));
                all
            }
            Self::RfcNoStartup => prefixed(NEW, &RFC),
            Self::Rfc10 => prefixed(NEW, &RFC_1_0),
            Self::RfcRunning => prefixed(NEW, &["base:1.0", "base:1.1", "capability:writable-running:1.0"]),
        };
        if self.junos() {
            all.push("http://xml.juniper.net/netconf/junos/1.0".to_owned());
            all.push("http://xml.juniper.net/dmi/system/1.0".to_owned());
        }
        if let Some(module) = self.module() {
            let monitoring = "ietf-netconf-monitoring";
            all.push(format!(
                "urn:ietf:params:xml:ns:yang:{monitoring}?module={monitoring}&revision=2010-10-04"
            ));
            all.push(format!(
                "{}?module={}&revision={REVISION}",
                module.namespace, module.name
            ));
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// S5: both prefixes, the vendor key, DMI.
    #[test]
    fn junos_announces_old_and_new_prefixes_and_its_vendor_keys() {
        let all = Profile::Junos.capabilities();
        assert_eq!(all.len(), 12);
        assert_eq!(all[0], "urn:ietf:params:netconf:base:1.0");
        assert_eq!(
            all[9],
            "urn:ietf:params:xml:ns:netconf:capability:url:1.0?scheme=http,ftp,file"
        );
        assert_eq!(all[11], "http://xml.juniper.net/dmi/system/1.0");
    }

    /// S6: only a device with version-1.1 announces base:1.1.
    #[test]
    fn base_1_1_is_announced_where_the_profile_says_so() {
        for profile in [
            Profile::Junos,
            Profile::JunosOld,
            Profile::JunosRfc,
            Profile::JunosRfc11,
            Profile::Rfc,
            Profile::RfcNoStartup,
            Profile::Rfc10,
            Profile::RfcRunning,
        ] {
            let announced = profile
                .capabilities()
                .iter()
                .any(|uri| uri.ends_with(":base:1.1"));
            assert_eq!(announced, profile.base_1_1(), "{profile:?}");
        }
    }
}
