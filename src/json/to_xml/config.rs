//! Configuration: what marks a change (W5), and the element around it (W8).

use super::element::{Build, Members};
use super::{ConfigDialect, Target, ToXmlError};
use crate::json::parse::Json;

impl Build<'_> {
    /// The content of `<config>`.
    pub(super) fn config(&mut self, members: &Members<'_>) -> Result<(), ToXmlError> {
        let mut named = 0;
        let mut bare = None;
        let mut roots = 0;
        for (key, value) in members.iter().filter(|(key, _)| !key.starts_with(['@', '#'])) {
            roots += 1;
            if self.has_namespace(key, value, members) {
                named += 1;
            } else {
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
        if !self.options.junos {
            return self.fail_at(
                bare,
                "a root needs a namespace: module:name, or \"xmlns\" in its metadata",
            );
        }
        if bare == "configuration" && roots == 1 {
            return self.members(members);
        }
        if named > 0 || bare == "configuration" {
            return self.fail_at(
                bare,
                "roots with and without a namespace, or beside configuration",
            );
        }
        self.open("configuration", Default::default())?;
        self.members(members)?;
        self.close()
    }

    fn has_namespace(&self, key: &str, value: &Json<'_>, members: &Members<'_>) -> bool {
        let in_object = |value: &Json<'_>| match value {
            Json::Object(members) => members.iter().any(|(key, _)| key == "xmlns"),
            _ => false,
        };
        let inside = |value: &Json<'_>| match value {
            Json::Object(members) => members.iter().any(|(key, value)| key == "@" && in_object(value)),
            _ => false,
        };
        let beside = members
            .iter()
            .find(|(other, _)| other.strip_prefix('@') == Some(key));
        key.contains(':')
            || match value {
                Json::Array(items) => !items.is_empty() && items.iter().all(inside),
                value => inside(value),
            }
            || beside.is_some_and(|(_, value)| in_object(value))
    }

    /// Takes one attribute, translated for the target (W5).
    pub(super) fn attribute(
        &self,
        key: &str,
        name: &str,
        value: &str,
        attributes: &mut Vec<(String, String)>,
    ) -> Result<(), ToXmlError> {
        let (name, value) = match (self.target, name) {
            (Target::Config(ConfigDialect::EditConfig), "operation" | "nc:operation") => {
                if !matches!(value, "merge" | "replace" | "create" | "delete" | "remove") {
                    return Err(self.error("operation is merge, replace, create, delete or remove"));
                }
                ("nc:operation", value)
            }
            (Target::Config(ConfigDialect::LoadConfiguration), "operation" | "nc:operation") => match value {
                // What load-configuration does anyway.
                "merge" => return Ok(()),
                "delete" => ("delete", "delete"),
                "replace" => ("replace", "replace"),
                "create" | "remove" => {
                    return Err(self.error(&format!(
                        "load-configuration cannot {value} {key}: use delete or replace"
                    )));
                }
                _ => return Err(self.error("operation is merge, replace, create, delete or remove")),
            },
            _ => (name, value),
        };
        if attributes.iter().any(|(known, _)| known == name) {
            return Err(self.error(&format!("{name} is there twice")));
        }
        attributes.push((name.to_owned(), value.to_owned()));
        Ok(())
    }
}
