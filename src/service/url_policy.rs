//! Which URLs a device may be sent to (conventions X8): scheme and host must be on the operator's list, which is empty
//! unless set.

use url::Url;

use crate::error::Error;

/// The allowed schemes and hosts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UrlPolicy {
    allowed: Vec<(String, String)>,
}

/// An entry of the list that is no scheme with a host.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not of the form scheme://host, or file: for paths on the device itself")]
pub struct BadEntry(String);

impl UrlPolicy {
    /// Entries are `ftp://192.0.2.1`, `https://files.example.net`, or `file:`.
    ///
    /// # Errors
    /// The first entry that is something else.
    pub fn new<S: AsRef<str>>(entries: &[S]) -> Result<Self, BadEntry> {
        let allowed = entries
            .iter()
            .map(|entry| {
                let entry = entry.as_ref().trim();
                let bad = || BadEntry(entry.to_owned());
                if entry == "file:" {
                    return Ok(("file".to_owned(), String::new()));
                }
                let (scheme, host) = split(entry).ok_or_else(bad)?;
                if host.is_empty() || Url::parse(entry).is_ok_and(|url| !matches!(url.path(), "" | "/")) {
                    return Err(bad());
                }
                Ok((scheme, host))
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { allowed })
    }

    /// Whether a device may be sent to this URL. A path without a scheme is a file on the device.
    pub fn allows(&self, url: &str) -> bool {
        // Readers of URLs differ in what these mean, and with that in the host.
        if url.contains(|c: char| c == '\\' || c.is_whitespace() || c.is_control()) {
            return false;
        }
        let (scheme, host) = match split(url) {
            // Other readers take `ftp:/host/path` for a path on a host of the name `ftp`.
            Some((scheme, _)) if scheme != "file" && !has_authority(url, &scheme) => return false,
            Some(parts) => parts,
            // Anything with a scheme that cannot be understood is refused.
            None if url.contains("://") => return false,
            // `user@host:path` goes over SSH, and so does `host:path`.
            None if url.contains('@') && url.contains(':') => return false,
            None if url.split('/').next().is_some_and(|first| first.contains(':')) => return false,
            None => ("file".to_owned(), String::new()),
        };
        self.allowed
            .iter()
            .any(|(allowed_scheme, allowed_host)| *allowed_scheme == scheme && *allowed_host == host)
    }
}

/// Whether a host stands where all readers look for it.
fn has_authority(url: &str, scheme: &str) -> bool {
    let rest = url.get(scheme.len()..).and_then(|rest| rest.strip_prefix("://"));
    rest.is_some_and(|rest| !rest.starts_with('/'))
}

/// Scheme and host, lower case.
fn split(url: &str) -> Option<(String, String)> {
    let parsed = Url::parse(url).ok()?;
    let host = parsed.host_str().unwrap_or_default().to_ascii_lowercase();
    Some((parsed.scheme().to_owned(), host))
}

/// The refusal of a URL that stands at `pointer` in a request.
pub(super) fn refusal(pointer: &str, url: &str) -> Error {
    Error::invalid(
        pointer,
        format!("{} is not a URL that devices may be sent to", redacted(url)),
    )
    .with_hint("the operator names schemes and hosts with --device-urls (NCGATE_DEVICE_URLS)")
}

/// The URL as it may be shown and logged: without credentials (conventions X6).
pub fn redacted(url: &str) -> String {
    match Url::parse(url) {
        // `user:password@host:path` reads like a scheme and something behind it.
        Ok(parsed) if !parsed.has_host() && url.contains('@') => "a remote file".to_owned(),
        Ok(mut parsed) => {
            parsed.set_fragment(None);
            if parsed.query().is_some() {
                parsed.set_query(Some("redacted"));
            }
            if !parsed.username().is_empty() || parsed.password().is_some() {
                // Fails for URLs that cannot have credentials, which then have none to hide.
                let _ = parsed.set_username("redacted");
                let _ = parsed.set_password(None);
            }
            parsed.to_string()
        }
        Err(_) if url.contains(['@', '?', '#']) => "a remote file".to_owned(),
        Err(_) => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// X8: nothing is allowed unless named, and a name allows its scheme and host only.
    #[test]
    fn only_named_schemes_and_hosts_are_allowed() {
        let none = UrlPolicy::default();
        for url in [
            "file:///etc/passwd",
            "/var/tmp/x",
            "ftp://192.0.2.1/x",
            "http://169.254.169.254/",
        ] {
            assert!(!none.allows(url), "{url}");
        }
        let some = UrlPolicy::new(&["ftp://192.0.2.1", "file:"]).expect("a list");
        assert!(some.allows("ftp://user:secret@192.0.2.1/cfg"));
        assert!(some.allows("FTP://192.0.2.1:2121/cfg"));
        assert!(some.allows("/var/tmp/x"));
        assert!(some.allows("file:///var/tmp/x"));
        assert!(some.allows("saved.conf"));
        assert!(some.allows("/var/tmp/at:noon.conf"));
        for url in [
            "ftp://192.0.2.10/x",
            "http://192.0.2.1/x",
            "file://evil/x",
            "ftp://192.0.2.1@evil.example/x",
            "ftp://192.0.2.1\\@evil.example/x",
            "ftp://192.0.2.1 @evil.example/x",
            "ftp://192.0.2.1\t/x",
            "ftp://192.0.2.1/\u{7f}x",
            " file:///var/tmp/x",
            "192.0.2.1:/var/tmp/x",
            "host_1:/var/tmp/x",
            "[2001:db8::1]:/var/tmp/x",
            "user@192.0.2.1:/var/tmp/x",
            "192.0.2.1:x",
            "ftp:/192.0.2.1/x",
            "ftp:192.0.2.1/x",
            "ftp:/192.0.2.1/a://b",
            "ftp:192.0.2.1/x?://",
            "ftp:///192.0.2.1/x",
        ] {
            assert!(!some.allows(url), "{url}");
        }
        assert!(UrlPolicy::new(&["example.net"]).is_err());
        assert!(UrlPolicy::new(&["https://example.net/path"]).is_err());
    }

    /// X6: credentials inside a URL are not shown.
    #[test]
    fn credentials_in_urls_are_not_shown() {
        let shown = redacted("ftp://user:hunter2@192.0.2.1/cfg");
        assert!(!shown.contains("hunter2") && !shown.contains("user"), "{shown}");
        assert!(shown.contains("192.0.2.1/cfg"));
        for url in [
            "user:hunter2@host:/cfg",
            "http://192.0.2.1/cfg?password=hunter2",
            "http://192.0.2.1:99999/cfg?password=hunter2",
            "http://192.0.2.1/cfg#token=hunter2",
            "scp:/user:hunter2@host/cfg",
            "user:hunter2@192.0.2.1:/cfg",
        ] {
            assert!(!redacted(url).contains("hunter2"), "{url}");
        }
    }
}
