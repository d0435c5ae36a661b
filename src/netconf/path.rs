//! A path to a place in a configuration, as callers write it, and the elements that select it:
//! `interfaces/interface[name='ge-0/0/0']/unit`.

use std::collections::BTreeMap;

use crate::xml::{Fragment, WriteError, Writer, name};

/// Steps of one path. More would be deeper than any reply may be (X3).
const MAX_STEPS: usize = 90;

/// Why a path cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    #[error("the path is empty")]
    Empty,
    #[error("{0:?} is not the name of an element")]
    BadName(String),
    #[error("{0:?} is not a key of the form [name=value] or [name='value']")]
    BadKey(String),
    #[error("the path has more than {MAX_STEPS} steps")]
    TooLong,
    /// Without a namespace such a device would select nothing, or everything.
    #[error("the device needs namespaces: write the first step as module:{0}")]
    Unqualified(String),
    #[error("the device's hello names no module {0:?}")]
    UnknownModule(String),
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// A path from the root of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigPath {
    steps: Vec<Step>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Step {
    name: String,
    keys: Vec<(String, String)>,
}

impl ConfigPath {
    /// Reads `step/step[key=value]/…`. A value with `/` or `]` stands in quotes; slashes at the ends are ignored.
    ///
    /// # Errors
    /// Names that are no element names (X1), keys that are not of the form above, no step at all.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        let mut steps = Vec::new();
        let mut rest = text.trim().trim_start_matches('/');
        while !rest.is_empty() {
            let end = rest.find(['/', '[']).unwrap_or(rest.len());
            let name = rest[..end].trim();
            if !name::is_qname(name) {
                return Err(PathError::BadName(name.to_owned()));
            }
            let mut step = Step {
                name: name.to_owned(),
                keys: Vec::new(),
            };
            rest = &rest[end..];
            while let Some(key) = rest.strip_prefix('[') {
                let (pair, after) = parse_key(key).ok_or_else(|| PathError::BadKey(quoted(rest)))?;
                step.keys.push(pair);
                rest = after;
            }
            if steps.len() == MAX_STEPS {
                return Err(PathError::TooLong);
            }
            steps.push(step);
            match rest.strip_prefix('/') {
                Some(after) => rest = after.trim_start_matches('/'),
                None if rest.is_empty() => {}
                None => return Err(PathError::BadKey(quoted(rest))),
            }
        }
        if steps.is_empty() {
            Err(PathError::Empty)
        } else {
            Ok(Self { steps })
        }
    }

    /// The steps: a name as written, and keys with their values.
    pub(super) fn steps(&self) -> impl Iterator<Item = (&str, &[(String, String)])> {
        self.steps
            .iter()
            .map(|step| (step.name.as_str(), step.keys.as_slice()))
    }

    /// The elements of the path, nested, `attributes` on the innermost one.
    ///
    /// # Errors
    /// When a value or an attribute holds what XML cannot.
    pub fn fragment(&self, attributes: &[(&str, String)]) -> Result<Fragment, WriteError> {
        let mut writer = Writer::new();
        for (index, step) in self.steps.iter().enumerate() {
            writer.open(&step.name)?;
            if index + 1 == self.steps.len() {
                for (name, value) in attributes {
                    writer.attr(name, value)?;
                }
            }
            for (key, value) in &step.keys {
                writer.leaf(key, value)?;
            }
        }
        for _ in &self.steps {
            writer.close()?;
        }
        writer.finish()
    }

    /// As `fragment`, with the prefixes taken for names of YANG modules and written as their namespaces; a step
    /// without prefix is in the namespace of the step before it.
    ///
    /// # Errors
    /// A first step without a module, a module that `namespaces` does not hold.
    pub fn qualified_fragment(&self, namespaces: &BTreeMap<String, String>) -> Result<Fragment, PathError> {
        let mut writer = Writer::new();
        for (index, step) in self.steps.iter().enumerate() {
            match step.name.split_once(':') {
                Some((module, local)) => {
                    let namespace = namespaces
                        .get(module)
                        .ok_or_else(|| PathError::UnknownModule(module.to_owned()))?;
                    writer.open(local)?.attr("xmlns", namespace)?;
                }
                None if index == 0 => return Err(PathError::Unqualified(step.name.clone())),
                None => {
                    writer.open(&step.name)?;
                }
            }
            for (key, value) in &step.keys {
                writer.leaf(key.rsplit(':').next().unwrap_or(key), value)?;
            }
        }
        for _ in &self.steps {
            writer.close()?;
        }
        Ok(writer.finish()?)
    }
}

/// The beginning of what could not be read.
fn quoted(text: &str) -> String {
    text.chars().take(60).collect()
}

/// `name=value]` or `name='value']`, and what follows.
fn parse_key(text: &str) -> Option<((String, String), &str)> {
    let (name, rest) = text.split_once('=')?;
    let name = name.trim();
    if !name::is_qname(name) {
        return None;
    }
    let rest = rest.trim_start();
    let quote = rest.chars().next().filter(|c| matches!(c, '\'' | '"'));
    let (value, rest) = match quote {
        Some(quote) => {
            let (value, rest) = rest[1..].split_once(quote)?;
            (value, rest.trim_start().strip_prefix(']')?)
        }
        None => {
            let (value, rest) = rest.split_once(']')?;
            (value.trim(), rest)
        }
    };
    Some(((name.to_owned(), value.to_owned()), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(path: &str) -> Result<String, PathError> {
        Ok(ConfigPath::parse(path)?
            .fragment(&[])
            .expect("it can be written")
            .as_str()
            .to_owned())
    }

    /// S11: a level, an object, something in an object.
    #[test]
    fn paths_become_elements() {
        for (path, xml) in [
            ("system", "<system/>"),
            ("/system/login/", "<system><login/></system>"),
            (
                "interfaces/interface[name='ge-0/0/0']/unit[name=0]",
                "<interfaces><interface><name>ge-0/0/0</name><unit><name>0</name></unit></interface></interfaces>",
            ),
            ("a/b[x=1][y=\"]<'\"]", "<a><b><x>1</x><y>]&lt;'</y></b></a>"),
            ("chassis/ieee-802.3ad", "<chassis><ieee-802.3ad/></chassis>"),
        ] {
            assert_eq!(written(path).as_deref(), Ok(xml), "{path}");
        }
        let path = ConfigPath::parse("interfaces/interface").expect("a path");
        let fragment = path
            .fragment(&[("recurse", "false".into())])
            .expect("it can be written");
        assert_eq!(
            fragment.as_str(),
            "<interfaces><interface recurse=\"false\"/></interfaces>"
        );
    }

    /// X1: nothing but names and values gets through.
    #[test]
    fn bad_paths_are_refused() {
        assert_eq!(written(" / "), Err(PathError::Empty));
        assert_eq!(written("a/1b"), Err(PathError::BadName("1b".into())));
        assert_eq!(written("a/<b/>"), Err(PathError::BadName("<b".into())));
        assert_eq!(written("a b"), Err(PathError::BadName("a b".into())));
        assert_eq!(written("a[b]"), Err(PathError::BadKey("[b]".into())));
        assert_eq!(written("a[b='c]"), Err(PathError::BadKey("[b='c]".into())));
        assert_eq!(written("a[b=c]d"), Err(PathError::BadKey("d".into())));
        assert_eq!(written("a[b c=d]"), Err(PathError::BadKey("[b c=d]".into())));
        assert_eq!(written(&"a/".repeat(91)), Err(PathError::TooLong));
        assert!(
            ConfigPath::parse("a[b='\u{1}']")
                .expect("a path")
                .fragment(&[])
                .is_err()
        );
    }

    /// S11: a device with YANG modules is asked in their namespaces, and a path without one is refused, because it would
    /// select the wrong thing silently.
    #[test]
    fn modules_become_namespaces() {
        let namespaces = BTreeMap::from([("ietf-interfaces".to_owned(), "urn:if".to_owned())]);
        let path = ConfigPath::parse("ietf-interfaces:interfaces/interface[name=eth0]").expect("a path");
        assert_eq!(
            path.qualified_fragment(&namespaces)
                .expect("it can be written")
                .as_str(),
            "<interfaces xmlns=\"urn:if\"><interface><name>eth0</name></interface></interfaces>"
        );
        let refused = |path: &str| {
            ConfigPath::parse(path)
                .expect("a path")
                .qualified_fragment(&namespaces)
        };
        assert_eq!(
            refused("interfaces"),
            Err(PathError::Unqualified("interfaces".into()))
        );
        assert_eq!(refused("x:interfaces"), Err(PathError::UnknownModule("x".into())));
    }
}
