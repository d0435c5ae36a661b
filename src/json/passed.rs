//! JSON that goes to a device as its caller wrote it. It is looked at and not changed: what two readers would understand
//! differently is refused here, before the device takes it for something else.

use super::parse::{Json, Place, parse, pointer};
use super::to_xml::ToXmlError;
use crate::xml::Limits;

/// What the whole configuration is called in the device's own JSON.
const ROOT: &str = "configuration";

/// Looks at configuration in the device's own form: that it is JSON, that no member is there twice (W3), that nothing
/// marks the whole configuration, which only the action `override` replaces, and that nothing is marked to be replaced: the
/// device knows no replacing in its own JSON, and would merge it.
///
/// # Errors
/// With a pointer to what is wrong.
pub fn check_device_json(json: &str, limits: &Limits) -> Result<(), ToXmlError> {
    // As deep as what becomes XML here.
    let value = parse(json, 2 * limits.depth + 4)?;
    let root = member(&value, ROOT).and_then(|root| member(root, "@"));
    match root.and_then(|metadata| member(metadata, "operation")) {
        Some(Json::String(operation)) if operation != "merge" => Err(ToXmlError {
            pointer: format!("/{ROOT}/@/operation"),
            detail: "is the whole configuration: action override replaces it".to_owned(),
        }),
        Some(_) | None => match replaced(&value, &mut Vec::new()) {
            Some(pointer) => Err(ToXmlError {
                pointer,
                detail: "the device cannot replace with its own json: delete and add, or use another format"
                    .to_owned(),
            }),
            None => Ok(()),
        },
    }
}

/// Where the first element is that is marked to be replaced.
fn replaced(value: &Json<'_>, path: &mut Vec<Place>) -> Option<String> {
    match value {
        Json::Object(members) => members.iter().find_map(|(name, value)| {
            path.push(Place::Member(name.to_string()));
            let found = match name.starts_with('@') {
                true => replacing(value, path),
                false => replaced(value, path),
            };
            path.pop();
            found
        }),
        Json::Array(items) => items.iter().enumerate().find_map(|(index, item)| {
            path.push(Place::Index(index));
            let found = replaced(item, path);
            path.pop();
            found
        }),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => None,
    }
}

/// The same of metadata: those of one element, or of each entry of a list.
fn replacing(metadata: &Json<'_>, path: &mut Vec<Place>) -> Option<String> {
    match metadata {
        Json::Array(items) => items.iter().enumerate().find_map(|(index, item)| {
            path.push(Place::Index(index));
            let found = replacing(item, path);
            path.pop();
            found
        }),
        Json::Object(_) | Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {
            match member(metadata, "operation") {
                Some(Json::String(operation)) if operation == "replace" => {
                    path.push(Place::Member("operation".to_owned()));
                    let found = pointer(path);
                    path.pop();
                    Some(found)
                }
                Some(_) | None => None,
            }
        }
    }
}

fn member<'v, 'a>(value: &'v Json<'a>, name: &str) -> Option<&'v Json<'a>> {
    match value {
        Json::Object(members) => members
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) | Json::Array(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(json: &str) -> Option<String> {
        check_device_json(json, &Limits::default())
            .err()
            .map(|error| error.pointer)
    }

    /// W3, design section 6: what would mean different things to different readers has its place told.
    #[test]
    fn what_is_ambiguous_is_refused_by_place() {
        for (json, pointer) in [
            (
                r#"{"configuration": {"snmp": {"contact": "a", "location": "b"}}}"#,
                None,
            ),
            (
                r#"{"configuration": {"@": {"junos:changed-seconds": "1"}, "snmp": {}}}"#,
                None,
            ),
            (
                r#"{"configuration": {"snmp": {"contact": "a", "contact": "b"}}}"#,
                Some("/configuration/snmp/contact"),
            ),
            (
                r#"{"configuration": {"a": [{}, {"b": 1, "\u0062": 2}]}}"#,
                Some("/configuration/a/1/b"),
            ),
            (
                r#"{"configuration": {"@": {"operation": "delete"}}}"#,
                Some("/configuration/@/operation"),
            ),
            (
                r#"{"configuration": {"snmp": {"@": {"operation": "delete"}}}}"#,
                None,
            ),
            (
                r#"{"configuration": {"system": {"login": {"user": [{"name": "a"}, {"@": {"operation": "replace"}}]}}}}"#,
                Some("/configuration/system/login/user/1/@/operation"),
            ),
            (
                r#"{"configuration": {"snmp": {"contact": "a", "@contact": {"operation": "replace"}}}}"#,
                Some("/configuration/snmp/@contact/operation"),
            ),
            (
                r#"{"configuration": {"a": {"b": ["x", "y"], "@b": [null, {"operation": "replace"}]}}}"#,
                Some("/configuration/a/@b/1/operation"),
            ),
            (
                r#"{"configuration": {"snmp": {"operation": "replace", "@": {"inactive": true}}}}"#,
                None,
            ),
            (r#"{"configuration": "#, Some("/configuration")),
            ("set snmp", Some("")),
        ] {
            assert_eq!(refused(json).as_deref(), pointer, "{json}");
        }
    }
}
