//! JSON that goes to a device as its caller wrote it. It is looked at and not changed: what two readers would understand
//! differently is refused here, before the device takes it for something else.

use super::parse::{Json, parse};
use super::to_xml::ToXmlError;
use crate::xml::Limits;

/// What the whole configuration is called in the device's own JSON.
const ROOT: &str = "configuration";

/// Looks at configuration in the device's own form: that it is JSON, that no member is there twice (W3), and that nothing
/// marks the whole configuration, which only the action `override` replaces.
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
        Some(_) | None => Ok(()),
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
            (r#"{"configuration": "#, Some("/configuration")),
            ("set snmp", Some("")),
        ] {
            assert_eq!(refused(json).as_deref(), pointer, "{json}");
        }
    }
}
