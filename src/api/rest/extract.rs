//! Path, query and header parts of a request, with our own problem for what does not fit.

use axum::extract::{FromRequestParts, Path};
use http::request::Parts;
use http::{HeaderMap, HeaderName, header};
use serde::de::DeserializeOwned;

use super::problem::ApiError;
use super::query::Query;
use crate::api::server::Connection;

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
            Err(rejection) => Err(ApiError::invalid("", format!("the path is not valid: {rejection}"))),
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Query {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        Query::parse(parts.uri.query().unwrap_or_default())
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

/// The strong entity tags of `If-Match` or `If-None-Match` (RFC 9110 section 13.1).
#[derive(Debug, PartialEq, Eq)]
pub enum Condition {
    /// `*`
    Any,
    /// The opaque values, quotes taken off. Weak tags never match and are left out.
    Tags(Vec<String>),
}

impl Condition {
    pub fn if_match(headers: &HeaderMap) -> Result<Option<Self>, ApiError> {
        Self::of(headers, header::IF_MATCH)
    }

    pub fn if_none_match(headers: &HeaderMap) -> Result<Option<Self>, ApiError> {
        Self::of(headers, header::IF_NONE_MATCH)
    }

    pub fn matches(&self, etag: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Tags(tags) => tags.iter().any(|tag| tag == etag),
        }
    }

    fn of(headers: &HeaderMap, name: HeaderName) -> Result<Option<Self>, ApiError> {
        let mut tags = Vec::new();
        let mut found = false;
        for value in headers.get_all(&name) {
            found = true;
            let fault = || ApiError::invalid(name.as_str(), "must be * or a list of quoted entity tags");
            let value = value.to_str().map_err(|_| fault())?.trim();
            if value == "*" {
                return Ok(Some(Self::Any));
            }
            for tag in value.split(',').map(str::trim) {
                let (weak, quoted) = match tag.strip_prefix("W/") {
                    Some(quoted) => (true, quoted),
                    None => (false, tag),
                };
                let opaque = quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).ok_or_else(fault)?;
                if !weak {
                    tags.push(opaque.to_owned());
                }
            }
        }
        Ok(found.then_some(Self::Tags(tags)))
    }
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

    /// H9: only strong tags match.
    #[test]
    fn entity_tags_are_read_strictly() {
        assert_eq!(condition("*").ok().flatten(), Some(Condition::Any));
        let tags = condition("\"a\", W/\"b\" , \"c\"").ok().flatten().expect("is there");
        assert_eq!(tags, Condition::Tags(vec!["a".into(), "c".into()]));
        assert!(tags.matches("c") && !tags.matches("b"));
        assert!(condition("a").is_err());
        assert!(condition("\"a").is_err());
        assert_eq!(Condition::if_match(&HeaderMap::new()).ok(), Some(None));
    }
}
