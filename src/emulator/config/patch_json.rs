//! Changes written as JSON: what Junos takes with `format="json"`, turned into the elements that `patch_xml` reads.
//!
//! Both forms are read: the compact one (`"mtu": 1500`, attributes under `@` and `@mtu`) and the verbose one (every
//! element an array, values under `data`, attributes under `attributes`).

use serde_json::{Map, Value};

use super::schema::{Kind, Statement};
use crate::emulator::device_error::DeviceError;
use crate::xml::tree::{Attribute, Element, Node};

/// The element `<configuration>` that a JSON text stands for.
///
/// # Errors
/// Text that is no JSON, or has no `configuration` in it.
pub fn element(root: &'static Statement, text: &str) -> Result<Element, DeviceError> {
    let bad = |element: &str| DeviceError::new("json input syntax error").element(element);
    let value: Value = serde_json::from_str(text).map_err(|_| bad("json"))?;
    let Value::Object(members) = value else {
        return Err(bad("json"));
    };
    let configuration = members
        .get("configuration")
        .map(|value| match value {
            Value::Array(items) => items.first().unwrap_or(&Value::Null),
            other => other,
        })
        .and_then(Value::as_object)
        .ok_or_else(|| bad("configuration"))?;
    let mut element = Element::new("configuration");
    fill(root, configuration, &mut element);
    Ok(element)
}

/// Puts the members of an object into an element, list keys first.
fn fill(statement: &'static Statement, members: &Map<String, Value>, element: &mut Element) {
    let key = statement.key();
    let (keys, others): (Vec<_>, Vec<_>) = members.iter().partition(|(name, _)| Some(name.as_str()) == key);
    for (name, value) in keys.into_iter().chain(others) {
        if name == "@" || name == "attributes" {
            element.attributes.extend(attributes(value));
        } else if !name.starts_with('@') {
            let child = statement.child(name);
            let beside = members.get(&format!("@{name}"));
            for (at, item) in items(child, value).into_iter().enumerate() {
                let mut inner = one(child, name, item);
                let marks = match beside {
                    Some(Value::Array(each)) => each.get(at),
                    other => other,
                };
                inner.attributes.extend(marks.map(attributes).unwrap_or_default());
                element.children.push(Node::Element(inner));
            }
        }
    }
}

/// The elements that a member stands for: the items of an array, save for the `[null]` of a flag.
fn items<'a>(statement: Option<&'static Statement>, value: &'a Value) -> Vec<&'a Value> {
    let empty = matches!(statement, Some(statement) if statement.kind == Kind::Flag);
    match value {
        Value::Array(items) if empty => items.first().into_iter().collect(),
        Value::Array(items) => items.iter().collect(),
        other => vec![other],
    }
}

fn one(statement: Option<&'static Statement>, name: &str, value: &Value) -> Element {
    let mut element = Element::new(name);
    match value {
        Value::Null => {}
        Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            element.children.push(Node::Text(scalar(value)));
        }
        Value::Array(items) => {
            let texts: Vec<String> = items.iter().map(scalar).collect();
            element.children.push(Node::Text(texts.join(" ")));
        }
        Value::Object(members) => match (members.get("data"), statement) {
            (Some(data), _) => {
                element.children.push(Node::Text(scalar(data)));
                let marks = members.get("attributes").map(attributes);
                element.attributes.extend(marks.unwrap_or_default());
            }
            (None, Some(statement)) => fill(statement, members, &mut element),
            // An unknown statement is told by its name; what is in it does not matter.
            (None, None) => {}
        },
    }
    element
}

fn scalar(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}

/// The attributes in an object; `true` stands for the name itself, as in `inactive="inactive"`.
fn attributes(value: &Value) -> Vec<Attribute> {
    let Value::Object(members) = value else {
        return Vec::new();
    };
    let attribute = |(name, value): (&String, &Value)| Attribute {
        prefix: None,
        local: name
            .rsplit_once(':')
            .map_or(name.as_str(), |(_, local)| local)
            .to_owned(),
        ns: None,
        value: match value {
            Value::Bool(true) => name.clone(),
            other => scalar(other),
        },
    };
    members.iter().map(attribute).collect()
}

#[cfg(test)]
mod tests {
    use super::super::patch::{self, Act, Manner};
    use super::super::{Node as Tree, patch_xml, schema, set};
    use super::*;

    fn loaded(before: &str, json: &str) -> String {
        let mut tree = Tree::root();
        set::apply(&mut tree, before).unwrap();
        let configuration = element(schema::root(), json).unwrap();
        let (patches, problems) = patch_xml::patches(schema::root(), &configuration, Act::Merge);
        assert_eq!(problems, []);
        assert_eq!(patch::apply(&mut tree, &patches, Manner::MERGE), []);
        set::render(&tree)
    }

    /// S12: the compact and the verbose form say the same.
    #[test]
    fn both_forms_of_json_are_read() {
        let wanted = "set system host-name mx1\nset system services ssh\n\
             set interfaces ge-0/0/0 mtu 9000\nset interfaces ge-0/0/0 unit 0\n\
             set interfaces ge-0/0/1 disable\n\
             set policy-options community c members 1:1\nset policy-options community c members 1:2\n";
        let compact = r#"{"configuration": {"@": {"junos:changed-seconds": "7"},
            "system": {"host-name": "mx1", "services": {"ssh": {}}},
            "interfaces": {"interface": [{"mtu": 9000, "name": "ge-0/0/0", "unit": [{"name": 0}]},
                {"name": "ge-0/0/1", "disable": [null]}]},
            "policy-options": {"community": [{"name": "c", "members": ["1:1", "1:2"]}]}}}"#;
        assert_eq!(loaded("", compact), wanted);
        let verbose = r#"{"configuration": [{"system": [{"host-name": [{"data": "mx1"}],
            "services": [{"ssh": [{}]}]}],
            "interfaces": [{"interface": [{"name": [{"data": "ge-0/0/0"}], "mtu": [{"data": "9000"}],
                "unit": [{"name": [{"data": "0"}]}]}, {"name": [{"data": "ge-0/0/1"}], "disable": [null]}]}],
            "policy-options": [{"community": [{"name": [{"data": "c"}],
                "members": [{"data": "1:1"}, {"data": "1:2"}]}]}]}]}"#;
        assert_eq!(loaded("", verbose), wanted);
    }

    /// S12: attributes of a leaf stand beside it, those of a container inside.
    #[test]
    fn attributes_are_taken_from_both_places() {
        let json = r#"{"configuration": {"system": {"host-name": "mx1", "@host-name": {"inactive": true},
            "ntp": {"@": {"operation": "delete"}}}}}"#;
        assert_eq!(
            loaded("set system ntp server 192.0.2.1", json),
            "set system host-name mx1\ndeactivate system host-name\n"
        );
    }

    #[test]
    fn what_is_no_configuration_is_refused() {
        for json in ["", "[]", "{\"system\": {}}", "{\"configuration\": 1}"] {
            assert_eq!(
                &*element(schema::root(), json).unwrap_err().message,
                "json input syntax error"
            );
        }
    }
}
