//! Content negotiation (RFC 9110 section 12.5.1, conventions H4): which of the media types a resource can produce the
//! caller likes best.

use http::{HeaderMap, header};

use super::problem::ApiError;
use crate::error::ErrorCode;

/// What a device's reply can be answered as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// The envelope.
    Json,
    /// The whole `<rpc-reply>`.
    Xml,
}

impl Answer {
    fn media_types(self) -> &'static [&'static str] {
        match self {
            Self::Json => &["application/json"],
            Self::Xml => &["application/xml", "text/xml"],
        }
    }
}

/// JSON or the whole reply; JSON where both are liked equally.
///
/// # Errors
/// `not-acceptable` if neither is.
pub fn answer(headers: &HeaderMap) -> Result<Answer, ApiError> {
    let wanted = Accept::of(headers);
    let json = wanted.best(Answer::Json.media_types());
    let xml = wanted.best(Answer::Xml.media_types());
    if json == 0 && xml == 0 {
        return Err(not_acceptable("application/json or application/xml"));
    }
    Ok(if xml > json { Answer::Xml } else { Answer::Json })
}

/// For resources that exist as `media_type` only. Problems are told as JSON to everybody, whatever they accept.
///
/// # Errors
/// `not-acceptable`.
pub fn only(headers: &HeaderMap, media_type: &str) -> Result<(), ApiError> {
    if Accept::of(headers).best(&[media_type]) == 0 {
        return Err(not_acceptable(media_type));
    }
    Ok(())
}

/// Whether the caller likes the first of two media types at least as much as the second.
///
/// # Errors
/// `not-acceptable` if it takes neither.
pub fn prefers(headers: &HeaderMap, first: &'static str, second: &'static str) -> Result<bool, ApiError> {
    let wanted = Accept::of(headers);
    let (one, other) = (wanted.best(&[first]), wanted.best(&[second]));
    if one == 0 && other == 0 {
        return Err(not_acceptable(&format!("{first} or {second}")));
    }
    Ok(one >= other)
}

fn not_acceptable(produced: &str) -> ApiError {
    ApiError::new(
        ErrorCode::NotAcceptable,
        format!("this resource can be had as {produced}"),
    )
}

/// The ranges of all `Accept` headers.
struct Accept(Vec<Range>);

struct Range {
    kind: String,
    subtype: String,
    /// Thousandths.
    quality: u16,
}

impl Accept {
    fn of(headers: &HeaderMap) -> Self {
        let ranges = headers
            .get_all(header::ACCEPT)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .filter_map(Range::parse)
            .collect();
        Self(ranges)
    }

    /// The quality of the best liked of `media_types` in thousandths; 0 = none is acceptable.
    fn best(&self, media_types: &[&str]) -> u16 {
        media_types
            .iter()
            .map(|media_type| self.quality(media_type))
            .max()
            .unwrap_or(0)
    }

    /// The most specific range that covers a type decides. Without any header everything is liked.
    fn quality(&self, media_type: &str) -> u16 {
        if self.0.is_empty() {
            return 1000;
        }
        self.0
            .iter()
            .filter_map(|range| {
                range
                    .specificity(media_type)
                    .map(|specificity| (specificity, range.quality))
            })
            .max()
            .map_or(0, |(_, quality)| quality)
    }
}

impl Range {
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(';').map(str::trim);
        let (kind, subtype) = parts.next()?.split_once('/')?;
        let quality = parts
            .find_map(|parameter| {
                parameter
                    .strip_prefix("q=")
                    .or_else(|| parameter.strip_prefix("Q="))
            })
            .map_or(Some(1000), parse_quality)?;
        Some(Self {
            kind: kind.to_ascii_lowercase(),
            subtype: subtype.to_ascii_lowercase(),
            quality,
        })
    }

    fn specificity(&self, media_type: &str) -> Option<u8> {
        let (kind, subtype) = media_type.split_once('/')?;
        match (self.kind.as_str(), self.subtype.as_str()) {
            ("*", "*") => Some(0),
            (k, "*") if k == kind => Some(1),
            (k, s) if k == kind && s == subtype => Some(2),
            _ => None,
        }
    }
}

/// `0.8` -> 800. At most three decimals, at most 1.
fn parse_quality(text: &str) -> Option<u16> {
    let quality: f32 = text.parse().ok()?;
    // Written so that a NaN is refused too.
    if !(0.0..=1.0).contains(&quality) {
        return None;
    }
    // In range, because 0 <= quality <= 1.
    Some((quality * 1000.0).round() as u16)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn accept(values: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(
                header::ACCEPT,
                HeaderValue::from_str(value).expect("a header value"),
            );
        }
        headers
    }

    /// H4: q-values and `*/*` work.
    #[test]
    fn the_best_liked_type_wins_and_json_breaks_ties() {
        for (values, expected) in [
            (&[][..], Some(Answer::Json)),
            (&["*/*"], Some(Answer::Json)),
            (&["application/*"], Some(Answer::Json)),
            (&["application/xml"], Some(Answer::Xml)),
            (&["text/xml"], Some(Answer::Xml)),
            (&["application/xml, application/json"], Some(Answer::Json)),
            (
                &["application/xml;q=0.9, application/json;q=0.8"],
                Some(Answer::Xml),
            ),
            (
                &["application/json;q=0.2", "Application/XML;q=0.3"],
                Some(Answer::Xml),
            ),
            (&["application/xml, */*;q=0.1"], Some(Answer::Xml)),
            (&["application/json;q=0, */*"], Some(Answer::Xml)),
            (&["text/html"], None),
            (&["application/json;q=0"], None),
            (&["application/json;q=7"], Some(Answer::Json)),
        ] {
            let found = answer(&accept(values)).ok();
            // A range that is no range is as if it were not there.
            assert_eq!(found, expected, "{values:?}");
        }
    }

    /// H4: who does not say what it likes gets the first.
    #[test]
    fn the_first_of_two_types_breaks_ties() {
        let prefers =
            |values: &[&str]| prefers(&accept(values), "text/event-stream", "application/json").ok();
        assert_eq!(prefers(&[]), Some(true));
        assert_eq!(prefers(&["*/*"]), Some(true));
        assert_eq!(prefers(&["text/event-stream"]), Some(true));
        assert_eq!(prefers(&["application/json"]), Some(false));
        assert_eq!(prefers(&["application/json, */*;q=0.5"]), Some(false));
        assert_eq!(prefers(&["text/html"]), None);
    }

    /// H4
    #[test]
    fn a_single_type_is_refused_only_if_excluded() {
        assert!(only(&accept(&["text/plain", "text/html;q=0.1"]), "text/html").is_ok());
        assert!(only(&accept(&["application/json"]), "text/html").is_err());
        assert!(only(&accept(&["text/*"]), "text/html").is_ok());
    }
}
