//! An error as the device reports it: what an `<rpc-error>` holds (RFC 6241 section 4.3), and what Junos leaves out.

use super::markup::Tag;
use super::profile::Profile;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The request failed.
    Error,
    /// The request succeeded all the same.
    Warning,
}

/// One `<rpc-error>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceError {
    /// Error or warning.
    pub severity: Severity,
    /// `error-type` and `error-tag`. Junos prints them only in rfc-compliant mode, see [`DeviceError::to_tag`].
    pub tag: Option<(&'static str, &'static str)>,
    /// `error-app-tag`.
    pub app_tag: Option<&'static str>,
    /// `error-message`.
    pub message: Box<str>,
    /// `error-path`; on Junos an edit banner and no XPath.
    pub path: Option<Box<str>>,
    /// `bad-element` inside `error-info`.
    pub bad_element: Option<Box<str>>,
    /// `source-daemon`.
    pub source_daemon: Option<Box<str>>,
    /// Which session holds a lock that was refused.
    pub session_id: Option<u32>,
}

impl DeviceError {
    /// An error with a message alone.
    pub fn new(message: impl Into<Box<str>>) -> Self {
        Self {
            severity: Severity::Error,
            tag: None,
            app_tag: None,
            message: message.into(),
            path: None,
            bad_element: None,
            source_daemon: None,
            session_id: None,
        }
    }

    /// A warning with a message alone.
    pub fn warning(message: impl Into<Box<str>>) -> Self {
        Self {
            severity: Severity::Warning,
            ..Self::new(message)
        }
    }

    /// What Junos says to a request tag, argument or command that it does not know.
    pub fn syntax(bad_element: impl Into<Box<str>>) -> Self {
        Self {
            bad_element: Some(bad_element.into()),
            ..Self::new("syntax error")
        }
    }

    /// What Junos says where a command was expected and something else came.
    pub fn expecting_command(bad_element: impl Into<Box<str>>) -> Self {
        Self {
            bad_element: Some(bad_element.into()),
            ..Self::new("syntax error, expecting <command>")
        }
    }

    /// With `error-type` and `error-tag`, printed always.
    #[must_use]
    pub fn tagged(mut self, error_type: &'static str, error_tag: &'static str) -> Self {
        self.tag = Some((error_type, error_tag));
        self
    }

    /// With an `error-app-tag`.
    #[must_use]
    pub fn app_tag(mut self, app_tag: &'static str) -> Self {
        self.app_tag = Some(app_tag);
        self
    }

    /// The same as a warning.
    #[must_use]
    pub fn into_warning(mut self) -> Self {
        self.severity = Severity::Warning;
        self
    }

    /// As a refused lock, with the session that holds it (0 where it is none). Junos has the text alone; other
    /// servers print `lock-denied` and the session (RFC 6241 section 7.5).
    #[must_use]
    pub fn held_by(mut self, session_id: u32) -> Self {
        self.session_id = Some(session_id);
        self
    }

    /// With an `error-path`.
    #[must_use]
    pub fn at(mut self, path: impl Into<Box<str>>) -> Self {
        self.path = Some(path.into());
        self
    }

    /// With a `bad-element`.
    #[must_use]
    pub fn element(mut self, bad_element: impl Into<Box<str>>) -> Self {
        self.bad_element = Some(bad_element.into());
        self
    }

    /// With a `source-daemon`.
    #[must_use]
    pub fn from_daemon(mut self, daemon: impl Into<Box<str>>) -> Self {
        self.source_daemon = Some(daemon.into());
        self
    }

    /// The error as this kind of device prints it: plain Junos without type and tag unless the error has its own,
    /// and with `source-daemon` beside `error-info`; in rfc-compliant mode with all of them and the daemon inside.
    pub fn to_tag(&self, profile: Profile) -> Tag {
        let name = |local: &'static str| profile.netconf_name(local);
        let strict = profile.rfc_compliant();
        let mut tag = Tag::parent(name("rpc-error"), Vec::new());
        let denied = self.session_id.filter(|_| !profile.junos());
        let kind = self
            .tag
            .or(denied.map(|_| ("protocol", "lock-denied")))
            .or(strict.then_some(("protocol", "operation-failed")));
        if let Some((error_type, error_tag)) = kind {
            tag.push(Tag::leaf(name("error-type"), error_type));
            tag.push(Tag::leaf(name("error-tag"), error_tag));
        }
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        tag.push(Tag::leaf(name("error-severity"), severity));
        if let Some(app_tag) = self.app_tag {
            tag.push(Tag::leaf(name("error-app-tag"), app_tag));
        }
        if let Some(daemon) = self.source_daemon.as_ref().filter(|_| !strict) {
            tag.push(Tag::leaf("source-daemon", &**daemon));
        }
        if let Some(path) = &self.path {
            tag.push(Tag::leaf(name("error-path"), &**path));
        }
        let message = if strict {
            self.message.to_string()
        } else {
            format!("\n{}\n", self.message)
        };
        tag.push(Tag::leaf(name("error-message"), message));
        let mut info = Vec::new();
        info.extend(
            self.bad_element
                .as_ref()
                .map(|bad| Tag::leaf(name("bad-element"), &**bad)),
        );
        let daemon = self.source_daemon.as_ref().filter(|_| strict);
        info.extend(daemon.map(|daemon| Tag::leaf("source-daemon", &**daemon)));
        info.extend(denied.map(|id| Tag::leaf(name("session-id"), id.to_string())));
        if !info.is_empty() {
            tag.push(Tag::parent(name("error-info"), info));
        }
        tag
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// S18: plain Junos leaves type and tag out, and wraps the message in line feeds.
    #[test]
    fn junos_prints_neither_type_nor_tag() {
        assert_eq!(
            DeviceError::expecting_command("bridge")
                .to_tag(Profile::Junos)
                .to_xml()
                .replace('\n', ""),
            "<rpc-error><error-severity>error</error-severity>\
             <error-message>syntax error, expecting &lt;command&gt;</error-message>\
             <error-info><bad-element>bridge</bad-element></error-info></rpc-error>"
        );
    }

    /// S16: in rfc-compliant mode all names carry the prefix, and the daemon moves into `error-info`.
    #[test]
    fn rfc_compliant_mode_prints_everything_prefixed() {
        let error = DeviceError::new("no").at("[edit]").from_daemon("dcd");
        assert_eq!(
            error.to_tag(Profile::JunosRfc).to_xml().replace('\n', ""),
            "<nc:rpc-error><nc:error-type>protocol</nc:error-type><nc:error-tag>operation-failed</nc:error-tag>\
             <nc:error-severity>error</nc:error-severity><nc:error-path>[edit]</nc:error-path>\
             <nc:error-message>no</nc:error-message>\
             <nc:error-info><source-daemon>dcd</source-daemon></nc:error-info></nc:rpc-error>"
        );
    }
}
