//! What a web page must not be able to do through its reader's browser, at either front end (conventions X3): cause
//! anything from another origin, or reach the gateway under a name of the page's own.

use std::net::IpAddr;

use http::uri::Authority;
use http::{HeaderMap, Method, Uri, header};

use crate::error::{Error, ErrorCode};

/// Whether a request may come in.
///
/// # Errors
/// `forbidden`.
pub fn admit(method: &Method, uri: &Uri, headers: &HeaderMap) -> Result<(), Error> {
    let named = Named::of(uri, headers);
    named_plainly(&named)?;
    same_origin(method, &named, headers)
}

/// The name that a request calls the gateway by: HTTP/1.1 has it in a header, HTTP/2 may have it in the URI.
struct Named<'a>(Option<&'a str>);

impl<'a> Named<'a> {
    fn of(uri: &'a Uri, headers: &'a HeaderMap) -> Self {
        let host = headers.get(header::HOST);
        // What is no text is no name that can be right.
        let host = host.map(|host| host.to_str().unwrap_or_default());
        Self(host.or_else(|| uri.authority().map(Authority::as_str)))
    }
}

/// A web page of another origin can make a browser send requests here, but not without saying where it comes from.
/// CORS is off, so such a page could not read the answer; it must not be able to cause anything either.
fn same_origin(method: &Method, named: &Named<'_>, headers: &HeaderMap) -> Result<(), Error> {
    if method.is_safe() {
        return Ok(());
    }
    let foreign = match headers.get(header::ORIGIN) {
        None => false,
        Some(origin) => {
            let origin = origin.to_str().unwrap_or_default();
            let authority = origin.split_once("://").map_or("", |(_, authority)| authority);
            named.0.is_none_or(|host| !host.eq_ignore_ascii_case(authority))
        }
    };
    if foreign {
        return Err(Error::new(
            ErrorCode::Forbidden,
            "the request comes from a web page of another origin",
        ));
    }
    Ok(())
}

/// Under `--auth none` whoever reaches the port may do everything, and browsers reach loopback under any name that a web
/// page's own name server gives it (DNS rebinding). So requests must name the gateway by address or as localhost.
fn named_plainly(named: &Named<'_>) -> Result<(), Error> {
    let Some(host) = named.0 else {
        return Ok(());
    };
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    let name = name.trim_end_matches('.');
    if name.parse::<IpAddr>().is_ok() || name.eq_ignore_ascii_case("localhost") {
        return Ok(());
    }
    Err(Error::new(
        ErrorCode::Forbidden,
        "without access control the gateway answers under its address or as localhost only",
    ))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn admits(uri: &'static str, host: Option<&'static str>, origin: Option<&'static str>) -> bool {
        let mut headers = HeaderMap::new();
        for (name, value) in [(header::HOST, host), (header::ORIGIN, origin)] {
            if let Some(value) = value {
                headers.insert(name, HeaderValue::from_static(value));
            }
        }
        admit(&Method::POST, &Uri::from_static(uri), &headers).is_ok()
    }

    /// A name that a web page's own name server leads to loopback opens nothing.
    #[test]
    fn only_addresses_and_localhost_name_the_gateway() {
        for good in [
            "127.0.0.1:8830",
            "127.0.0.1",
            "[::1]:8830",
            "[::1]",
            "localhost:8830",
            "LOCALHOST",
            "localhost.:1",
        ] {
            assert!(named_plainly(&Named(Some(good))).is_ok(), "{good}");
        }
        assert!(named_plainly(&Named(None)).is_ok());
        for bad in [
            "evil.example",
            "evil.example:8830",
            "127.0.0.1.evil.example",
            "localhost.evil.example:1",
            "",
        ] {
            let refused = named_plainly(&Named(Some(bad))).expect_err("is refused");
            assert_eq!(refused.code(), ErrorCode::Forbidden, "{bad}");
        }
    }

    /// Quality 3 row 17
    #[test]
    fn names_and_origins_are_judged_in_both_versions_of_http() {
        const ABSOLUTE: &str = "http://127.0.0.1:8830/a.B/C";
        assert!(admits("/a.B/C", Some("127.0.0.1:8830"), None));
        assert!(admits("/a.B/C", Some("[::1]:8830"), None));
        assert!(admits("/a.B/C", Some("localhost"), Some("http://localhost")));
        assert!(admits(ABSOLUTE, None, None));
        assert!(admits(ABSOLUTE, None, Some("http://127.0.0.1:8830")));
        assert!(!admits(ABSOLUTE, None, Some("https://evil.example")));
        assert!(!admits("http://rebind.evil.example:8830/a.B/C", None, None));
        assert!(!admits("/a.B/C", Some("rebind.evil.example:8830"), None));
        assert!(!admits(
            "/a.B/C",
            Some("127.0.0.1:8830"),
            Some("https://evil.example")
        ));
        assert!(!admits("/a.B/C", Some("127.0.0.1:8830"), Some("null")));
        let mut headers = HeaderMap::new();
        headers.insert(header::ORIGIN, HeaderValue::from_static("https://evil.example"));
        assert!(admit(&Method::GET, &Uri::from_static("/v1/devices"), &headers).is_ok());
    }
}
