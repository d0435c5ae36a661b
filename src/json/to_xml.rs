//! JSON to XML, rules W1 to W9.

mod config;
mod device;
mod element;
mod scope;

use std::collections::BTreeMap;

use self::element::Build;
use super::options::Mapping;
use super::parse::{Json, parse};
use crate::xml::{Fragment, Limits};

pub use crate::xml::marks::Dialect as ConfigDialect;

/// Why a JSON text did not become XML.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{detail}, at {pointer:?}")]
pub struct ToXmlError {
    /// JSON pointer (RFC 6901) to what is wrong; empty for the whole.
    pub pointer: String,
    /// What is wrong.
    pub detail: String,
}

/// What the XML is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The inverse of [`Selection::Document`](super::Selection::Document): one member, the root.
    Document,
    /// One member, the operation, as it stands inside `<rpc>`.
    Rpc,
    /// The content of an operation that is named elsewhere: no, one or more elements.
    Arguments,
    /// The content of a subtree filter.
    Filter,
    /// The content of `<config>`.
    Config(ConfigDialect),
}

/// How JSON becomes XML.
#[derive(Clone, Debug)]
pub struct ToXmlOptions {
    /// The form of the JSON.
    pub mapping: Mapping,
    /// Known prefixes and their namespaces, beside `junos`, `nc` and `xml`.
    pub prefixes: BTreeMap<String, String>,
    /// Known YANG modules and their namespaces: `module:name` is an element in that namespace (W4).
    pub modules: BTreeMap<String, String>,
    /// The device is a Junos one: `name` comes first (W6), and configuration has the root `<configuration>` (W8).
    pub junos: bool,
    /// The JSON was made with `text=exact`: wrapped text is not wrapped again (N3).
    pub exact_text: bool,
    /// Bounds of the XML.
    pub limits: Limits,
}

impl Default for ToXmlOptions {
    fn default() -> Self {
        ToXmlOptions {
            mapping: Mapping::Ncj,
            prefixes: BTreeMap::new(),
            modules: BTreeMap::new(),
            junos: false,
            exact_text: false,
            limits: Limits::default(),
        }
    }
}

/// Turns a JSON text into XML.
///
/// # Errors
/// With a pointer to what cannot be XML, or is not a body for `target`.
pub fn to_xml(json: &str, target: Target, options: &ToXmlOptions) -> Result<Fragment, ToXmlError> {
    // An element is at most an array and an object, and metadata one more.
    let value = parse(json, 2 * options.limits.depth + 4)?;
    let Json::Object(members) = value else {
        return Err(ToXmlError {
            pointer: String::new(),
            detail: "an object was expected".to_owned(),
        });
    };
    if members.is_empty() && matches!(target, Target::Arguments | Target::Filter) {
        return Ok(Fragment::default());
    }
    let mut build = Build::new(target, options);
    match (options.mapping, target) {
        (Mapping::Junos, _) => build.device_root(&members)?,
        (Mapping::Ncj, Target::Document | Target::Rpc) => build.single_root(&members)?,
        (Mapping::Ncj, Target::Arguments | Target::Filter) => build.members(&members)?,
        (Mapping::Ncj, Target::Config(_)) => build.config(&members)?,
    }
    let fragment = build.finish()?;
    // With `override` the empty one would take the place of all there is.
    if matches!(target, Target::Config(_)) && fragment.as_str() == "<configuration/>" {
        return Err(ToXmlError {
            pointer: String::new(),
            detail: "no configuration".to_owned(),
        });
    }
    Ok(fragment)
}

#[cfg(test)]
mod tests;
