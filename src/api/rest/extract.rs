//! Path, query and header parts of a request, with our own problem for what does not fit.

use axum::extract::{FromRequestParts, Path};
use http::request::Parts;
use http::{HeaderMap, HeaderName, header};
use serde::de::DeserializeOwned;

use super::negotiate;
use super::problem::ApiError;
use super::query::Query;
use crate::api::server::Connection;
use crate::service::request::IfMatch;

/// The parameters of the path.
pub struct PathArgs<T>(pub T);

impl<T, S> FromRequestParts<S> for PathArgs<T>
where
    T: DeserializeOwned + Send,
    S: Send + Sync,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        match Path::<T>::from_request_parts(parts, state).await {
            Ok(Path(arguments)) => Ok(Self(arguments)),
            Err(rejection) => Err(ApiError::invalid(
                "",
                format!("the path is not valid: {rejection}"),
            )),
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Query {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        Query::parse(parts.uri.query().unwrap_or_default())
    }
}

/// For resources that take no query options and answer in JSON only: both are held against the request.
pub struct PlainJson;

impl<S: Sync> FromRequestParts<S> for PlainJson {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        negotiate::only(&parts.headers, "application/json")?;
        Query::parse(parts.uri.query().unwrap_or_default())?.finish()?;
        Ok(Self)
    }
}

/// The connection of the request; absent where the router is called without one.
pub struct OfConnection(pub Option<Connection>);

impl<S: Sync> FromRequestParts<S> for OfConnection {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(Self(parts.extensions.get::<Connection>().cloned()))
    }
}

/// What `If-Match` or `If-None-Match` says (RFC 9110 section 13.1).
#[derive(Debug, PartialEq, Eq)]
pub enum Condition {
    /// `*`
    Any,
    Tags(Vec<EntityTag>),
}

/// An entity tag (RFC 9110 section 8.8.3).
#[derive(Debug, PartialEq, Eq)]
pub struct EntityTag {
    weak: bool,
    /// Without its quotes.
    opaque: String,
}

impl Condition {
    pub fn if_match(headers: &HeaderMap) -> Result<Option<Self>, ApiError> {
        Self::of(headers, header::IF_MATCH)
    }

    pub fn if_none_match(headers: &HeaderMap) -> Result<Option<Self>, ApiError> {
        Self::of(headers, header::IF_NONE_MATCH)
    }

    /// The comparison of `If-None-Match`: that a tag is weak makes no difference (RFC 9110 section 13.1.2).
    pub fn matches_weakly(&self, etag: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Tags(tags) => tags.iter().any(|tag| tag.opaque == etag),
        }
    }

    /// For the comparison of `If-Match`, in which weak tags match nothing (RFC 9110 section 13.1.1).
    pub fn strong(self) -> IfMatch {
        match self {
            Self::Any => IfMatch::Any,
            Self::Tags(tags) => {
                let strong = tags.into_iter().filter(|tag| !tag.weak);
                IfMatch::OneOf(strong.map(|tag| tag.opaque).collect())
            }
        }
    }

    fn of(headers: &HeaderMap, name: HeaderName) -> Result<Option<Self>, ApiError> {
        let fault = || ApiError::invalid(name.as_str(), "must be * or a list of quoted entity tags");
        let mut values = headers.get_all(&name).iter();
        let Some(first) = values.next() else {
            return Ok(None);
        };
        if values.next().is_none() && first.as_bytes().trim_ascii() == b"*" {
            return Ok(Some(Self::Any));
        }
        let mut tags = Vec::new();
        for value in headers.get_all(&name) {
            tags.extend(entity_tags(value.as_bytes()).ok_or_else(fault)?);
        }
        if tags.is_empty() {
            return Err(fault());
        }
        Ok(Some(Self::Tags(tags)))
    }
}

/// The members of a list of entity tags; empty members do not count (RFC 9110 section 5.6.1).
fn entity_tags(value: &[u8]) -> Option<Vec<EntityTag>> {
    let mut tags = Vec::new();
    let mut rest = value.trim_ascii();
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix(b",") {
            rest = after.trim_ascii_start();
            continue;
        }
        let (weak, quoted) = match rest.strip_prefix(b"W/") {
            Some(quoted) => (true, quoted),
            None => (false, rest),
        };
        let inner = quoted.strip_prefix(b"\"")?;
        let end = inner.iter().position(|byte| *byte == b'"')?;
        // etagc: no blanks, no control characters.
        if inner[..end].iter().any(|byte| *byte <= b' ' || *byte == 0x7f) {
            return None;
        }
        let opaque = String::from_utf8_lossy(&inner[..end]).into_owned();
        tags.push(EntityTag { weak, opaque });
        rest = inner[end + 1..].trim_ascii_start();
        if !rest.is_empty() && !rest.starts_with(b",") {
            return None;
        }
    }
    Some(tags)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn condition(value: &'static str) -> Result<Option<Condition>, ApiError> {
        let mut headers = HeaderMap::new();
        headers.insert(header::IF_MATCH, HeaderValue::from_static(value));
        Condition::if_match(&headers)
    }

    /// H9, RFC 9110 section 13.1: lists, weak tags, commas inside of tags; only strong ones satisfy `If-Match`.
    #[test]
    fn entity_tags_are_read_strictly() {
        assert_eq!(condition(" * ").ok().flatten(), Some(Condition::Any));
        let tags = condition("\"a\", W/\"b\" ,, \"c,d\",\"\"")
            .ok()
            .flatten()
            .expect("is there");
        for tag in ["a", "b", "c,d", ""] {
            assert!(tags.matches_weakly(tag), "{tag}");
        }
        assert!(!tags.matches_weakly("c"));
        assert_eq!(
            tags.strong(),
            IfMatch::OneOf(vec!["a".into(), "c,d".into(), String::new()])
        );
        for bad in [
            "a",
            "\"a",
            "\"a\" \"b\"",
            "\"a b\"",
            "w/\"a\"",
            "*, \"a\"",
            "",
            ",",
        ] {
            assert!(condition(bad).is_err(), "{bad}");
        }
        assert_eq!(Condition::if_match(&HeaderMap::new()).ok(), Some(None));
    }
}
