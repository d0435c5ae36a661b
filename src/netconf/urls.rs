//! The places that a request tells the device to go to (X8): a caller must not be able to make a device fetch from,
//! or send to, where the gateway's operator did not allow it.

use crate::xml::tree::Element;
use crate::xml::{Fragment, Limits, XmlError};

use super::junos::{OperationClass, classify::classify_command};

/// Every URL in a request, as written, in document order: what stands in `<url>` elements and `url` attributes, with
/// or without a scheme, and any other argument or attribute that is a URL or a remote file (`user@host:path`).
///
/// Filters and configuration data are looked at by nobody but the device's data model, and are left out. CLI text
/// counts word by word, unless it only shows something.
///
/// # Errors
/// A fragment that is deeper or larger than a request may be.
pub fn urls(request: &Fragment) -> Result<Vec<String>, XmlError> {
    let root = Element::parse(request.as_str(), &Limits::default())?;
    let mut found = Vec::new();
    collect(&root, &mut found);
    Ok(found)
}

/// The scheme of a URL; `file` for a path without one, `scp` for `user@host:path`.
pub fn scheme(url: &str) -> String {
    match url.trim().split_once("://") {
        Some((scheme, _)) => scheme.to_ascii_lowercase(),
        None if is_remote_file(url) => "scp".to_owned(),
        None => "file".to_owned(),
    }
}

fn collect(element: &Element, found: &mut Vec<String>) {
    if matches!(element.local.as_str(), "filter" | "config" | "configuration") {
        return;
    }
    for attribute in &element.attributes {
        if attribute.local == "url" || is_remote(&attribute.value) {
            found.push(attribute.value.trim().to_owned());
        }
    }
    let text = element.text();
    if element.local == "command" {
        if classify_command(&text) != OperationClass::ReadOnly {
            let words = text.split_whitespace().map(|word| word.trim_matches(['"', '\'']));
            found.extend(words.filter(|word| is_remote(word)).map(str::to_owned));
        }
    } else if (element.local == "url" && !text.is_empty()) || is_remote(&text) {
        found.push(text);
    }
    for child in element.children() {
        collect(child, found);
    }
}

fn is_remote(text: &str) -> bool {
    is_url(text) || is_remote_file(text)
}

/// `scheme://…` (RFC 3986 section 3.1).
fn is_url(text: &str) -> bool {
    text.trim().split_once("://").is_some_and(|(scheme, _)| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
    })
}

/// `user@host:path`, which the CLI copies over SSH.
fn is_remote_file(text: &str) -> bool {
    let text = text.trim();
    !text.contains(char::is_whitespace)
        && text.split_once(':').is_some_and(|(host, _)| {
            host.split_once('@')
                .is_some_and(|(user, host)| !user.is_empty() && !host.is_empty())
                && !host.contains('/')
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(xml: &str) -> Vec<String> {
        urls(&Fragment::parse_one(xml, &Limits::default()).expect("well-formed")).expect("small")
    }

    /// X8, threat 7: wherever a request can name a place.
    #[test]
    fn urls_are_found() {
        for (xml, expected) in [
            (
                "<get-config><source><url>ftp://h/f</url></source></get-config>",
                vec!["ftp://h/f"],
            ),
            (
                "<get-config><source><url> /var/tmp/f </url></source></get-config>",
                vec!["/var/tmp/f"],
            ),
            (
                "<copy-config><target><url>http://h/f</url></target></copy-config>",
                vec!["http://h/f"],
            ),
            ("<load-configuration url=\"/f\" action=\"merge\"/>", vec!["/f"]),
            (
                "<request-package-add><package-name>https://h/p</package-name></request-package-add>",
                vec!["https://h/p"],
            ),
            (
                "<file-copy><source>/f</source><destination>u@h:/f</destination></file-copy>",
                vec!["u@h:/f"],
            ),
            ("<x a=\"scp://h/f\"/>", vec!["scp://h/f"]),
            (
                "<command>file copy \"http://h/f\" /tmp</command>",
                vec!["http://h/f"],
            ),
            (
                "<command>request system software add ftp://h/p</command>",
                vec!["ftp://h/p"],
            ),
            (
                "<n:x xmlns:n=\"urn:n\"><n:url>file:///f</n:url></n:x>",
                vec!["file:///f"],
            ),
        ] {
            assert_eq!(of(xml), expected, "{xml}");
        }
    }

    /// X8: what only looks like a place, or is never gone to.
    #[test]
    fn other_text_is_no_url() {
        for xml in [
            "<get-interface-information><interface-name>ge-0/0/0</interface-name></get-interface-information>",
            "<get-route-information><destination>2001:db8::1</destination></get-route-information>",
            "<get xmlns:a=\"http://a/b\"><filter><a:url>x</a:url><a:ns>http://a/b</a:ns></filter></get>",
            "<get-config><source><running/></source></get-config>",
            "<edit-config><config><url xmlns=\"urn:x\">http://h</url></config></edit-config>",
            "<command>show configuration | match \"http://h\"</command>",
            "<x><y>a b@c: d</y><z>re0:/var/tmp/f</z><url/></x>",
        ] {
            assert_eq!(of(xml), Vec::<String>::new(), "{xml}");
        }
    }

    /// X8: a path without a scheme counts as `file`.
    #[test]
    fn schemes_are_told() {
        for (url, expected) in [
            ("HTTP://h", "http"),
            ("/f", "file"),
            ("file:///f", "file"),
            ("re0:/f", "file"),
            ("u@h:f", "scp"),
        ] {
            assert_eq!(scheme(url), expected, "{url}");
        }
    }
}
