//! Configuration: what marks a change (W5), and the element around it (W8).

use std::collections::HashMap;

use super::element::{Build, Members, Metadata};
use super::{ConfigDialect, Target, ToXmlError};
use crate::json::parse::{Json, Place};
use crate::xml::marks::Marks;

/// Around all configuration of a Junos device.
const ROOT: &str = "configuration";

impl Build<'_> {
    /// The content of `<config>`.
    pub(super) fn config(&mut self, members: &Members<'_>) -> Result<(), ToXmlError> {
        let metadata: HashMap<&str, &Json<'_>> = members
            .iter()
            .filter_map(|(key, value)| Some((key.strip_prefix('@')?, value)))
            .collect();
        let mut named = 0;
        let mut bare = None;
        let mut roots = 0;
        for (key, value) in members.iter().filter(|(key, _)| !key.starts_with(['@', '#'])) {
            roots += 1;
            if has_namespace(key, value, metadata.get(&**key).copied()) {
                named += 1;
            } else if bare.is_none_or(|bare| bare != ROOT) {
                bare = Some(key);
            }
        }
        let Some(bare) = bare else {
            return if named > 0 {
                self.members(members)
            } else {
                Err(self.error("no configuration"))
            };
        };
        if !self.is_junos() {
            return self.fail_at(
                bare,
                "a root needs a namespace: module:name, or \"xmlns\" in its metadata",
            );
        }
        let several = |value: &Json<'_>| matches!(value, Json::Array(items) if items.len() != 1);
        if bare == ROOT && roots == 1 {
            if members.iter().any(|(key, value)| key == bare && several(value)) {
                return self.fail_at(bare, "there is exactly one configuration");
            }
            return self.members(members);
        }
        if named > 0 || bare == ROOT {
            return self.fail_at(
                bare,
                "roots with and without a namespace, or beside configuration",
            );
        }
        // What stands beside the statements is about the configuration that they are.
        let metadata = match members.iter().find(|(key, _)| key == "@") {
            Some((_, value)) => {
                self.path.push(Place::Member("@".to_owned()));
                let metadata = self.metadata_object(value)?;
                self.path.pop();
                metadata
            }
            None => Metadata::default(),
        };
        self.open(ROOT, metadata)?;
        self.members(members)?;
        self.close()
    }

    /// Takes one attribute, translated for the target (W5).
    pub(super) fn attribute(
        &self,
        name: &str,
        value: &str,
        attributes: &mut Vec<(String, String)>,
    ) -> Result<(), ToXmlError> {
        let (name, value) = match self.marks() {
            Some(marks) => match marks.attribute(name, value).map_err(|why| self.error(&why))? {
                Some(attribute) => attribute,
                None => return Ok(()),
            },
            None => (name.to_owned(), value.to_owned()),
        };
        if attributes.iter().any(|(known, _)| *known == name) {
            return Err(self.error(&format!("{name} is there twice")));
        }
        attributes.push((name, value));
        Ok(())
    }

    /// Whether the marks among the attributes of one element go together.
    pub(super) fn check_marks(&self, attributes: &[(String, String)]) -> Result<(), ToXmlError> {
        match self.marks() {
            Some(marks) => match marks.check(attributes) {
                Ok(_) => Ok(()),
                Err(why) => Err(self.error(&why)),
            },
            None => Ok(()),
        }
    }

    /// Only Junos devices have load-configuration.
    pub(super) fn is_junos(&self) -> bool {
        self.options.junos || self.target == Target::Config(ConfigDialect::LoadConfiguration)
    }

    fn marks(&self) -> Option<Marks> {
        match self.target {
            Target::Config(dialect) => Some(Marks {
                dialect,
                junos: self.is_junos(),
            }),
            Target::Document | Target::Rpc | Target::Arguments | Target::Filter => None,
        }
    }
}

/// Whether a root is told apart from configuration by a namespace: in its name, in each of its values, or in the
/// metadata beside it.
fn has_namespace(key: &str, value: &Json<'_>, beside: Option<&Json<'_>>) -> bool {
    let in_object = |value: &Json<'_>| match value {
        Json::Object(members) => members.iter().any(|(key, _)| key == "xmlns"),
        _ => false,
    };
    let inside = |value: &Json<'_>| match value {
        Json::Object(members) => members.iter().any(|(key, value)| key == "@" && in_object(value)),
        _ => false,
    };
    key.contains(':')
        || match value {
            Json::Array(items) => !items.is_empty() && items.iter().all(inside),
            value => inside(value),
        }
        || beside.is_some_and(in_object)
}
