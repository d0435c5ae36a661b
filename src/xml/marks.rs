//! How a change to one element of a configuration is marked (W5): `nc:operation` of RFC 6241 section 7.2, the
//! attributes of Junos, and `insert` of RFC 7950 section 7.8.6.
//!
//! Callers write the one or the other, in JSON or in XML; devices get what the operation that they are sent has.

/// Namespace of `yang:insert`, `yang:key` and `yang:value`.
pub const YANG_NS: &str = "urn:ietf:params:xml:ns:yang:1";

/// Which attributes an operation has for a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// `edit-config`: `nc:operation`.
    EditConfig,
    /// Junos `load-configuration`: attributes of its own.
    LoadConfiguration,
}

/// The marks that one device takes in one operation.
#[derive(Clone, Copy, Debug)]
pub struct Marks {
    pub dialect: Dialect,
    /// The device is a Junos one, which has marks of its own in either operation.
    pub junos: bool,
}

/// What an element's marks amount to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marked {
    /// There is a mark of any kind.
    pub any: bool,
    /// The element takes the place of the one that is there.
    pub replace: bool,
    /// The element goes.
    pub delete: bool,
}

/// Junos attributes whose value is their own name.
const FLAGS: [&str; 5] = ["inactive", "active", "protect", "unprotect", "rename"];
/// Names that people use for them as if they were operations.
const VERBS: [(&str, &str); 5] = [
    ("activate", "active"),
    ("deactivate", "inactive"),
    ("protect", "protect"),
    ("unprotect", "unprotect"),
    ("rename", "rename"),
];
/// Attributes that cannot stand together.
const EXCLUSIVE: [&[&str]; 3] = [
    &["nc:operation", "delete", "replace"],
    &["inactive", "active"],
    &["protect", "unprotect"],
];

impl Marks {
    /// One attribute as the operation has it; none if it says what the operation does anyway. `name` is without
    /// prefix, or `nc:operation`; other attributes pass as they are.
    ///
    /// # Errors
    /// Why the operation cannot do that on this device.
    pub fn attribute(&self, name: &str, value: &str) -> Result<Option<(String, String)>, String> {
        let pair = |name: &str, value: &str| Ok(Some((name.to_owned(), value.to_owned())));
        match name {
            "operation" | "nc:operation" => self.operation(value),
            "delete" | "replace" => {
                own_name(name, value)?;
                self.operation(name)
            }
            "insert" if !matches!(value, "first" | "last" | "before" | "after") => {
                Err("insert is first, last, before or after".to_owned())
            }
            // RFC 7950 section 7.8.6
            "insert" | "key" | "value" if !self.junos => pair(&format!("yang:{name}"), value),
            name if FLAGS.contains(&name) => {
                own_name(name, value)?;
                self.require_junos(name)?;
                pair(name, name)
            }
            _ => pair(name, value),
        }
    }

    /// Whether the attributes of one element, as [`attribute`](Self::attribute) gave them, go together.
    ///
    /// # Errors
    /// Which do not, or what is missing.
    pub fn check(&self, attributes: &[(String, String)]) -> Result<Marked, String> {
        let value_of = |name: &str| {
            let found = attributes.iter().find(|(known, _)| known == name);
            found.map(|(_, value)| value.as_str())
        };
        for group in EXCLUSIVE {
            let found: Vec<&str> = group
                .iter()
                .copied()
                .filter(|name| value_of(name).is_some())
                .collect();
            if let [first, second, ..] = found[..] {
                return Err(format!("{first} and {second} exclude each other"));
            }
        }
        let relative = |insert: Option<&str>| matches!(insert, Some("before" | "after"));
        if relative(value_of("yang:insert"))
            && value_of("yang:key").is_none()
            && value_of("yang:value").is_none()
        {
            return Err("insert before or after needs key or value of the element that is meant".to_owned());
        }
        let needs_key = relative(value_of("insert")) || value_of("rename").is_some();
        let is_key = |name: &str| {
            !name.contains(':')
                && !matches!(name, "insert" | "delete" | "replace" | "xmlns")
                && !FLAGS.contains(&name)
        };
        if self.junos && needs_key && !attributes.iter().any(|(name, _)| is_key(name)) {
            return Err(match value_of("rename") {
                Some(_) => "rename needs the new key, as in name=\"new\"".to_owned(),
                None => {
                    "insert before or after needs the key of the element that is meant, as in name=\"other\""
                        .to_owned()
                }
            });
        }
        let operation = value_of("nc:operation").is_some_and(|value| value != "merge");
        Ok(Marked {
            any: operation
                || ["delete", "replace", "insert", "yang:insert"]
                    .iter()
                    .chain(&FLAGS)
                    .any(|name| value_of(name).is_some()),
            replace: value_of("replace").is_some() || value_of("nc:operation") == Some("replace"),
            delete: value_of("delete").is_some()
                || matches!(value_of("nc:operation"), Some("delete" | "remove")),
        })
    }

    /// The mark of an element that takes the place of the one that is there.
    pub fn replace(&self) -> (&'static str, &'static str) {
        match self.dialect {
            Dialect::EditConfig => ("nc:operation", "replace"),
            Dialect::LoadConfiguration => ("replace", "replace"),
        }
    }

    fn operation(&self, value: &str) -> Result<Option<(String, String)>, String> {
        let pair = |name: &str, value: &str| Ok(Some((name.to_owned(), value.to_owned())));
        if let Some((verb, flag)) = VERBS.iter().find(|(verb, _)| *verb == value) {
            self.require_junos(verb)?;
            return pair(flag, flag);
        }
        match (self.dialect, value) {
            (Dialect::EditConfig, "merge" | "replace" | "create" | "delete" | "remove") => {
                pair("nc:operation", value)
            }
            // What load-configuration does anyway.
            (Dialect::LoadConfiguration, "merge") => Ok(None),
            // That what is deleted is not there is a warning, and the load goes on: the same as remove.
            (Dialect::LoadConfiguration, "delete" | "remove") => pair("delete", "delete"),
            (Dialect::LoadConfiguration, "replace") => pair("replace", "replace"),
            (Dialect::LoadConfiguration, "create") => Err(
                "load-configuration cannot tell create from merge: send this edit with edit-config (protocol rfc)"
                    .to_owned(),
            ),
            _ if self.junos => Err(
                "operation is merge, replace, create, delete, remove, activate, deactivate, protect, unprotect or rename"
                    .to_owned(),
            ),
            _ => Err("operation is merge, replace, create, delete or remove".to_owned()),
        }
    }

    fn require_junos(&self, name: &str) -> Result<(), String> {
        if self.junos {
            Ok(())
        } else {
            Err(format!("only Junos devices know {name}"))
        }
    }
}

fn own_name(name: &str, value: &str) -> Result<(), String> {
    if name == value {
        Ok(())
    } else {
        Err(format!("the value of {name} can only be {name:?}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EDIT: Marks = Marks {
        dialect: Dialect::EditConfig,
        junos: false,
    };
    const JUNOS_EDIT: Marks = Marks { junos: true, ..EDIT };
    const LOAD: Marks = Marks {
        dialect: Dialect::LoadConfiguration,
        junos: true,
    };

    /// `name=value` as it is written, `-` for nothing, `!` for a refusal.
    fn of(marks: Marks, name: &str, value: &str) -> String {
        match marks.attribute(name, value) {
            Ok(Some((name, value))) => format!("{name}={value}"),
            Ok(None) => "-".to_owned(),
            Err(_) => "!".to_owned(),
        }
    }

    /// W5: every mark in every operation.
    #[test]
    fn marks_are_translated() {
        for (name, value, edit, junos_edit, load) in [
            (
                "operation",
                "merge",
                "nc:operation=merge",
                "nc:operation=merge",
                "-",
            ),
            (
                "nc:operation",
                "delete",
                "nc:operation=delete",
                "nc:operation=delete",
                "delete=delete",
            ),
            (
                "operation",
                "remove",
                "nc:operation=remove",
                "nc:operation=remove",
                "delete=delete",
            ),
            (
                "operation",
                "replace",
                "nc:operation=replace",
                "nc:operation=replace",
                "replace=replace",
            ),
            (
                "operation",
                "create",
                "nc:operation=create",
                "nc:operation=create",
                "!",
            ),
            ("operation", "destroy", "!", "!", "!"),
            ("operation", "activate", "!", "active=active", "active=active"),
            (
                "operation",
                "deactivate",
                "!",
                "inactive=inactive",
                "inactive=inactive",
            ),
            ("operation", "protect", "!", "protect=protect", "protect=protect"),
            (
                "operation",
                "unprotect",
                "!",
                "unprotect=unprotect",
                "unprotect=unprotect",
            ),
            ("operation", "rename", "!", "rename=rename", "rename=rename"),
            (
                "delete",
                "delete",
                "nc:operation=delete",
                "nc:operation=delete",
                "delete=delete",
            ),
            (
                "replace",
                "replace",
                "nc:operation=replace",
                "nc:operation=replace",
                "replace=replace",
            ),
            ("replace", "yes", "!", "!", "!"),
            (
                "inactive",
                "inactive",
                "!",
                "inactive=inactive",
                "inactive=inactive",
            ),
            ("active", "active", "!", "active=active", "active=active"),
            ("inactive", "1", "!", "!", "!"),
            (
                "insert",
                "first",
                "yang:insert=first",
                "insert=first",
                "insert=first",
            ),
            ("insert", "beside", "!", "!", "!"),
            ("key", "[a='b']", "yang:key=[a='b']", "key=[a='b']", "key=[a='b']"),
            ("name", "x", "name=x", "name=x", "name=x"),
            (
                "junos:changed",
                "changed",
                "junos:changed=changed",
                "junos:changed=changed",
                "junos:changed=changed",
            ),
        ] {
            assert_eq!(of(EDIT, name, value), edit, "{name} {value}");
            assert_eq!(of(JUNOS_EDIT, name, value), junos_edit, "{name} {value}");
            assert_eq!(of(LOAD, name, value), load, "{name} {value}");
        }
    }

    /// W5: what cannot stand together, and what needs a key.
    #[test]
    fn marks_are_checked_together() {
        let check = |marks: Marks, list: &[(&str, &str)]| {
            let owned: Vec<_> = list
                .iter()
                .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))
                .collect();
            marks.check(&owned)
        };
        let marked = |any, replace| {
            Ok(Marked {
                any,
                replace,
                delete: false,
            })
        };
        assert_eq!(check(LOAD, &[]), marked(false, false));
        assert_eq!(check(LOAD, &[("junos:changed", "changed")]), marked(false, false));
        assert_eq!(check(EDIT, &[("nc:operation", "merge")]), marked(false, false));
        assert_eq!(check(EDIT, &[("nc:operation", "replace")]), marked(true, true));
        assert_eq!(
            check(LOAD, &[("replace", "replace"), ("inactive", "inactive")]),
            marked(true, true)
        );
        assert_eq!(
            check(LOAD, &[("insert", "before"), ("name", "x")]),
            marked(true, false)
        );
        assert_eq!(check(LOAD, &[("insert", "first")]), marked(true, false));
        assert_eq!(
            check(LOAD, &[("rename", "rename"), ("name", "x"), ("active", "active")]),
            marked(true, false)
        );
        assert_eq!(
            check(EDIT, &[("yang:insert", "after"), ("yang:key", "[a='b']")]),
            marked(true, false)
        );
        for (marks, list) in [
            (LOAD, vec![("delete", "delete"), ("replace", "replace")]),
            (LOAD, vec![("inactive", "inactive"), ("active", "active")]),
            (LOAD, vec![("protect", "protect"), ("unprotect", "unprotect")]),
            (LOAD, vec![("insert", "before")]),
            (
                LOAD,
                vec![("insert", "before"), ("junos:x", "y"), ("inactive", "inactive")],
            ),
            (LOAD, vec![("rename", "rename")]),
            (EDIT, vec![("yang:insert", "before")]),
            (
                JUNOS_EDIT,
                vec![("nc:operation", "delete"), ("replace", "replace")],
            ),
        ] {
            assert!(check(marks, &list).is_err(), "{list:?}");
        }
    }
}
