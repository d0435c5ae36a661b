//! Capabilities: what a peer said in its hello that it can do (RFC 6241 section 8, S5).
//!
//! Every URI is kept verbatim and in order. Known ones are recognised whatever spelling the device uses: the prefix
//! that Junos writes beside or instead of the registered one, and the misspelt `writeable-running`.

use std::collections::BTreeMap;
use std::fmt;

/// The registered prefix of NETCONF capabilities (RFC 6241 section 10.4).
const PREFIX: &str = "urn:ietf:params:netconf:";
/// What Junos writes beside it, and old releases instead of it.
const OLD_PREFIX: &str = "urn:ietf:params:xml:ns:netconf:";

/// The capabilities whose presence changes what the gateway may send.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Capability {
    Base10,
    Base11,
    Candidate,
    ConfirmedCommit10,
    ConfirmedCommit11,
    Validate10,
    Validate11,
    Url,
    WritableRunning,
    RollbackOnError,
    Startup,
    Xpath,
    Notification,
    Interleave,
    WithDefaults,
    /// ietf-netconf-monitoring (RFC 6022): `get-schema`, the list of sessions.
    Monitoring,
    PartialLock,
    /// RFC 8525 or RFC 7895.
    YangLibrary,
    /// Junos XML API operations and Junos XML protocol operations.
    JunosXml,
    /// Juniper's Device Management Interface.
    Dmi,
}

impl Capability {
    /// All of them, in the order of S5.
    pub const ALL: [Capability; 20] = [
        Self::Base10,
        Self::Base11,
        Self::Candidate,
        Self::ConfirmedCommit10,
        Self::ConfirmedCommit11,
        Self::Validate10,
        Self::Validate11,
        Self::Url,
        Self::WritableRunning,
        Self::RollbackOnError,
        Self::Startup,
        Self::Xpath,
        Self::Notification,
        Self::Interleave,
        Self::WithDefaults,
        Self::Monitoring,
        Self::PartialLock,
        Self::YangLibrary,
        Self::JunosXml,
        Self::Dmi,
    ];

    /// The URI, without parameters.
    pub fn uri(self) -> &'static str {
        match self {
            Self::Base10 => "urn:ietf:params:netconf:base:1.0",
            Self::Base11 => "urn:ietf:params:netconf:base:1.1",
            Self::Candidate => "urn:ietf:params:netconf:capability:candidate:1.0",
            Self::ConfirmedCommit10 => "urn:ietf:params:netconf:capability:confirmed-commit:1.0",
            Self::ConfirmedCommit11 => "urn:ietf:params:netconf:capability:confirmed-commit:1.1",
            Self::Validate10 => "urn:ietf:params:netconf:capability:validate:1.0",
            Self::Validate11 => "urn:ietf:params:netconf:capability:validate:1.1",
            Self::Url => "urn:ietf:params:netconf:capability:url:1.0",
            Self::WritableRunning => "urn:ietf:params:netconf:capability:writable-running:1.0",
            Self::RollbackOnError => "urn:ietf:params:netconf:capability:rollback-on-error:1.0",
            Self::Startup => "urn:ietf:params:netconf:capability:startup:1.0",
            Self::Xpath => "urn:ietf:params:netconf:capability:xpath:1.0",
            Self::Notification => "urn:ietf:params:netconf:capability:notification:1.0",
            Self::Interleave => "urn:ietf:params:netconf:capability:interleave:1.0",
            Self::WithDefaults => "urn:ietf:params:netconf:capability:with-defaults:1.0",
            Self::Monitoring => "urn:ietf:params:xml:ns:yang:ietf-netconf-monitoring",
            Self::PartialLock => "urn:ietf:params:netconf:capability:partial-lock:1.0",
            Self::YangLibrary => "urn:ietf:params:netconf:capability:yang-library:1.0",
            Self::JunosXml => "http://xml.juniper.net/netconf/junos/1.0",
            Self::Dmi => "http://xml.juniper.net/dmi/system/1.0",
        }
    }

    /// The capability that a URI names, parameters and all.
    pub fn of_uri(uri: &str) -> Option<Self> {
        let (base, parameters) = split(uri.trim());
        Self::recognise(base, parameters)
    }

    /// The short name with its version, as RFC 6241 section 8 writes it without the colon: `candidate:1.0`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Monitoring => "ietf-netconf-monitoring",
            Self::JunosXml => "junos:1.0",
            Self::Dmi => "dmi-system:1.0",
            known => {
                let uri = known.uri();
                let name = uri.strip_prefix(PREFIX).unwrap_or(uri);
                name.strip_prefix("capability:").unwrap_or(name)
            }
        }
    }

    /// The capabilities that a short name means, as people write it: `candidate`, `:candidate`, `validate:1.1`.
    /// Without a version it means any.
    pub fn of_name(name: &str) -> impl Iterator<Item = Self> {
        let wanted = name.trim().trim_start_matches(':');
        Self::ALL.into_iter().filter(move |known| {
            let name = known.name();
            name == wanted || name.split(':').next() == Some(wanted)
        })
    }

    /// Whether a text has the shape of a short name, known or not: a word, perhaps with a version.
    pub fn is_short_name(text: &str) -> bool {
        let text = text.trim();
        let bare = text.strip_prefix(':').unwrap_or(text);
        let (word, version) = bare
            .split_once(':')
            .map_or((bare, None), |(word, version)| (word, Some(version)));
        let numbers = |version: &str| version.bytes().all(|b| b.is_ascii_digit() || b == b'.');
        !word.is_empty()
            && word
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            && version.is_none_or(|version| !version.is_empty() && numbers(version))
    }

    /// Which capability a URI without its parameters names, in any spelling seen in the field.
    fn recognise(base: &str, parameters: &str) -> Option<Self> {
        let by_uri = |uri: &str| Self::ALL.into_iter().find(|known| known.uri() == uri);
        if let Some(known) = by_uri(base) {
            return Some(known);
        }
        // A YANG module may have the old prefix as its namespace: `…:base:1.0?module=ietf-netconf`.
        if parameter(parameters, "module").is_some() {
            return None;
        }
        match base.strip_prefix(OLD_PREFIX) {
            // Chunked framing is taken up only on the registered name: a wrong guess ends the session.
            Some("base:1.1") => None,
            Some(rest) => by_uri(&format!("{PREFIX}{rest}")),
            None => match base.strip_prefix(PREFIX) {
                Some("capability:writeable-running:1.0") => Some(Self::WritableRunning),
                Some("capability:yang-library:1.1") => Some(Self::YangLibrary),
                Some(_) | None => None,
            },
        }
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.uri())
    }
}

/// The value of a URI parameter. Devices separate with `&`, and some with `;` or a doubly escaped `&amp;`.
fn parameter<'a>(parameters: &'a str, name: &str) -> Option<&'a str> {
    parameters
        .split(['&', ';'])
        .map(|pair| pair.strip_prefix("amp;").unwrap_or(pair))
        .find_map(|pair| {
            let (key, value) = pair.split_once('=')?;
            (key == name).then_some(value)
        })
}

/// A comma-separated parameter. Empty when absent.
fn list(parameters: &str, name: &str) -> Vec<String> {
    let value = parameter(parameters, name).unwrap_or_default();
    value
        .split(',')
        .map(str::trim)
        .filter(|item| !item.is_empty())
        .map(str::to_owned)
        .collect()
}

fn split(uri: &str) -> (&str, &str) {
    uri.split_once('?').unwrap_or((uri, ""))
}

/// A YANG module that the device implements (RFC 6020 section 5.6.4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct YangModule {
    pub name: String,
    pub revision: Option<String>,
    pub namespace: String,
    pub features: Vec<String>,
    pub deviations: Vec<String>,
}

/// How the device treats default values (RFC 6243 section 4.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WithDefaultsSupport {
    pub basic_mode: Option<String>,
    pub also_supported: Vec<String>,
}

impl WithDefaultsSupport {
    /// Whether `<with-defaults>` may ask for this mode.
    pub fn offers(&self, mode: &str) -> bool {
        self.basic_mode.as_deref() == Some(mode) || self.also_supported.iter().any(|offered| offered == mode)
    }
}

/// What a request needs and the device does not offer (S7, policy `adapt`).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{} needs capability {capability}, which the device does not offer", self.what())]
pub struct MissingCapability {
    /// The operation that was refused.
    pub operation: String,
    /// The parameter that needs the capability; the operation's own name when it is the operation itself.
    pub parameter: String,
    /// URI of the capability, with the parameter value that is missing if it is only that.
    pub capability: String,
}

impl MissingCapability {
    fn what(&self) -> String {
        if self.operation == self.parameter {
            return self.operation.clone();
        }
        format!("{} with {}", self.operation, self.parameter)
    }
}

/// The capabilities of one hello.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Capabilities {
    uris: Vec<String>,
    known: Vec<Capability>,
    /// The guards let everything pass.
    unchecked: bool,
}

impl Capabilities {
    /// Takes the URIs in the order of the hello, references decoded. Blanks around them are dropped, and so are
    /// empty ones.
    pub fn new<I>(uris: I) -> Self
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        let mut capabilities = Self::default();
        for uri in uris {
            let uri = uri.as_ref().trim();
            if uri.is_empty() {
                continue;
            }
            let (base, parameters) = split(uri);
            if let Some(known) = Capability::recognise(base, parameters)
                && !capabilities.known.contains(&known)
            {
                capabilities.known.push(known);
            }
            capabilities.uris.push(uri.to_owned());
        }
        capabilities
    }

    /// The same capabilities with guards that let everything pass: the policy `ignore` (S7), under which the device
    /// judges for itself.
    pub fn unchecked(mut self) -> Self {
        self.unchecked = true;
        self
    }

    /// Every URI, verbatim, in the order of the hello.
    pub fn uris(&self) -> impl Iterator<Item = &str> {
        self.uris.iter().map(String::as_str)
    }

    /// The known ones, in the order of their first appearance.
    pub fn known(&self) -> &[Capability] {
        &self.known
    }

    /// Whether the device offers it.
    pub fn has(&self, capability: Capability) -> bool {
        self.known.contains(&capability)
    }

    /// Whether a URI is offered: a known capability in any spelling or by its short name, anything else with or
    /// without its parameters. For lists of required capabilities that people write.
    pub fn has_uri(&self, uri: &str) -> bool {
        if Capability::is_short_name(uri) {
            return Capability::of_name(uri).any(|known| self.has(known));
        }
        let (base, parameters) = split(uri.trim());
        if parameters.is_empty()
            && let Some(known) = Capability::recognise(base, parameters)
        {
            return self.has(known);
        }
        self.uris
            .iter()
            .any(|offered| offered == uri.trim() || (parameters.is_empty() && split(offered).0 == base))
    }

    /// The guard before anything is sent.
    ///
    /// # Errors
    /// Names operation, parameter and capability when the device does not offer it.
    pub fn require(
        &self,
        capability: Capability,
        operation: &str,
        parameter: &str,
    ) -> Result<(), MissingCapability> {
        self.require_any(&[capability], operation, parameter)
    }

    /// As `require`, satisfied by any of `alternatives`; the first one is named when none is there.
    ///
    /// # Errors
    /// As `require`.
    pub fn require_any(
        &self,
        alternatives: &[Capability],
        operation: &str,
        parameter: &str,
    ) -> Result<(), MissingCapability> {
        if self.unchecked
            || alternatives.is_empty()
            || alternatives.iter().any(|capability| self.has(*capability))
        {
            return Ok(());
        }
        Err(MissingCapability {
            operation: operation.to_owned(),
            parameter: parameter.to_owned(),
            capability: alternatives[0].uri().to_owned(),
        })
    }

    /// The guard before a URL is sent: `:url` must be there, and list the URL's scheme. A device that lists none
    /// is left to judge by itself; a path without a scheme counts as `file` (X8).
    ///
    /// # Errors
    /// As `require`; the capability then carries the missing scheme.
    pub fn require_url(&self, url: &str, operation: &str, parameter: &str) -> Result<(), MissingCapability> {
        self.require(Capability::Url, operation, parameter)?;
        let scheme = match url.split_once("://") {
            Some((scheme, _)) => scheme.to_ascii_lowercase(),
            None => "file".to_owned(),
        };
        let offered = self.url_schemes();
        if self.unchecked || offered.is_empty() || offered.contains(&scheme) {
            return Ok(());
        }
        Err(MissingCapability {
            operation: operation.to_owned(),
            parameter: parameter.to_owned(),
            capability: format!("{}?scheme={scheme}", Capability::Url.uri()),
        })
    }

    /// The guard before `<with-defaults>` is sent: the mode must be among those that the device lists.
    ///
    /// # Errors
    /// As `require`; the capability then carries the missing mode.
    pub fn require_with_defaults(
        &self,
        mode: &str,
        operation: &str,
        parameter: &str,
    ) -> Result<(), MissingCapability> {
        self.require(Capability::WithDefaults, operation, parameter)?;
        if self.unchecked || self.with_defaults().is_some_and(|support| support.offers(mode)) {
            return Ok(());
        }
        Err(MissingCapability {
            operation: operation.to_owned(),
            parameter: parameter.to_owned(),
            capability: format!("{}?also-supported={mode}", Capability::WithDefaults.uri()),
        })
    }

    /// The schemes of `:url`, from `scheme=` (RFC 6241 section 8.8.3) or `protocol=` (Junos), lower case, each once.
    pub fn url_schemes(&self) -> Vec<String> {
        let mut schemes = Vec::new();
        for parameters in self.parameters_of(Capability::Url) {
            for scheme in [list(parameters, "scheme"), list(parameters, "protocol")].concat() {
                let scheme = scheme.to_ascii_lowercase();
                if !schemes.contains(&scheme) {
                    schemes.push(scheme);
                }
            }
        }
        schemes
    }

    /// The parameters of `:with-defaults`.
    pub fn with_defaults(&self) -> Option<WithDefaultsSupport> {
        let parameters = self.parameters_of(Capability::WithDefaults).next()?;
        Some(WithDefaultsSupport {
            basic_mode: parameter(parameters, "basic-mode").map(str::to_owned),
            also_supported: list(parameters, "also-supported"),
        })
    }

    /// YANG modules, in the order of the hello.
    pub fn modules(&self) -> impl Iterator<Item = YangModule> {
        self.uris.iter().filter_map(|uri| {
            let (namespace, parameters) = uri.split_once('?')?;
            let name = parameter(parameters, "module")?;
            Some(YangModule {
                name: name.to_owned(),
                revision: parameter(parameters, "revision").map(str::to_owned),
                namespace: namespace.to_owned(),
                features: list(parameters, "features"),
                deviations: list(parameters, "deviations"),
            })
        })
    }

    /// The namespace of each YANG module by its name, for callers who write `module:name`.
    pub fn namespaces(&self) -> BTreeMap<String, String> {
        self.modules()
            .map(|module| (module.name, module.namespace))
            .collect()
    }

    /// The URIs that are neither a known capability nor a YANG module, verbatim.
    pub fn unknown(&self) -> impl Iterator<Item = &str> {
        self.uris().filter(|uri| {
            let (base, parameters) = split(uri);
            Capability::recognise(base, parameters).is_none() && parameter(parameters, "module").is_none()
        })
    }

    /// Whether it offers `<get-configuration>`, `<command>` and their like.
    pub fn is_junos(&self) -> bool {
        self.has(Capability::JunosXml)
    }

    fn parameters_of(&self, wanted: Capability) -> impl Iterator<Item = &str> {
        self.uris.iter().filter_map(move |uri| {
            let (base, parameters) = split(uri);
            (Capability::recognise(base, parameters) == Some(wanted)).then_some(parameters)
        })
    }
}

#[cfg(test)]
mod tests;
