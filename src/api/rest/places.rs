//! Where the parts of a request stood. The service names what is wrong with an option; only the front end knows whether
//! the caller wrote it into the path, the query or the body.

use super::problem::ApiError;
use super::query::Query;
use crate::error::Error;

/// What the body of a request is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Body {
    None,
    /// An object with a member for each part of the request.
    Members,
    /// The arguments of the RPC that the path names.
    Arguments,
}

/// The places of one request.
#[derive(Debug)]
pub struct Places {
    query: Vec<String>,
    body: Body,
}

impl Places {
    /// Of a query before anything is taken out of it.
    pub fn of(query: &Query, body: Body) -> Self {
        Self {
            query: query.names().map(str::to_owned).collect(),
            body,
        }
    }

    /// The failure with its pointers as the caller knows the places.
    pub fn tell(&self, error: Error) -> ApiError {
        error.with_places(|pointer| self.place(pointer)).into()
    }

    fn place(&self, pointer: &str) -> String {
        if let Some(name) = pointer.strip_prefix("/attributes/")
            && let Some(option) = self.given(&format!("attr.{name}"))
        {
            return option;
        }
        let bare = pointer.trim_start_matches(['?', '/']);
        let is_option = !bare.is_empty() && !bare.contains('/');
        if is_option && let Some(option) = self.given(bare).or_else(|| self.given(&format!("arg.{bare}"))) {
            return option;
        }
        match self.body {
            // The name of an RPC is a part of the path wherever no body holds it.
            Body::None | Body::Arguments if pointer == "/name" => "{name}".to_owned(),
            Body::Arguments => pointer.strip_prefix("/arguments").unwrap_or(pointer).to_owned(),
            Body::None if !bare.is_empty() => format!("?{bare}"),
            Body::Members if is_option => format!("/{bare}"),
            Body::None | Body::Members => pointer.to_owned(),
        }
    }

    /// Whether the query has this option.
    pub fn has_option(&self, name: &str) -> bool {
        self.given(name).is_some()
    }

    fn given(&self, name: &str) -> Option<String> {
        self.query
            .iter()
            .any(|given| given == name)
            .then(|| format!("?{name}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(query: &str, body: Body, pointer: &str) -> String {
        let query = Query::parse(query).unwrap_or_default();
        let error = Error::invalid(pointer, "x");
        let told = Places::of(&query, body).tell(error);
        told.error.fields()[0].pointer.clone()
    }

    /// H2: a place is told as the caller wrote it.
    #[test]
    fn places_are_those_of_the_caller() {
        for (query, body, pointer, expected) in [
            ("format=set", Body::Members, "/format", "?format"),
            ("", Body::Members, "?mapping", "/mapping"),
            ("", Body::Members, "/rpc/get-x/a", "/rpc/get-x/a"),
            ("", Body::Members, "", ""),
            ("", Body::None, "/command", "?command"),
            ("filter=x", Body::None, "/filter", "?filter"),
            ("filter=x", Body::None, "/filter/system/0", "?filter/system/0"),
            ("terse", Body::None, "/name", "{name}"),
            ("arg.format=%01", Body::None, "?format", "?arg.format"),
            ("", Body::Arguments, "/arguments/a/0", "/a/0"),
            ("", Body::Arguments, "/arguments", ""),
            (
                "attr.xmlns=1",
                Body::Arguments,
                "/attributes/xmlns",
                "?attr.xmlns",
            ),
            ("", Body::Members, "/attributes/xmlns", "/attributes/xmlns"),
        ] {
            assert_eq!(place(query, body, pointer), expected, "{pointer} with {query:?}");
        }
    }
}
