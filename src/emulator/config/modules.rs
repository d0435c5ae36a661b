//! The table of statements as schemas for others to read: a YANG module (RFC 7950) and an XML schema.

use super::schema::{APPLY_GROUPS, Kind, Statement, root};
use crate::emulator::markup::Tag;

/// Revision of the module, and of the table.
pub const REVISION: &str = "2026-01-01";

/// Names of a YANG module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Module {
    /// Name of the module.
    pub name: &'static str,
    /// Its namespace, which is that of the configuration.
    pub namespace: &'static str,
}

/// The module as YANG text.
pub fn yang(module: Module) -> String {
    let mut out = format!(
        "module {} {{\n  yang-version 1.1;\n  namespace \"{}\";\n  prefix r;\n\n  revision {REVISION} {{\n    \
         description \"The statements that this device knows.\";\n  }}\n\n",
        module.name, module.namespace
    );
    node(root(), 1, &mut out);
    out.push_str("}\n");
    out
}

fn node(statement: &'static Statement, level: usize, out: &mut String) {
    let keyword = match statement.kind {
        Kind::Container | Kind::Presence => "container",
        Kind::List { .. } => "list",
        Kind::Leaf | Kind::Flag => "leaf",
        Kind::LeafList => "leaf-list",
    };
    line(level, &format!("{keyword} {} {{", statement.name), out);
    match statement.kind {
        Kind::Container => {}
        Kind::Presence => line(
            level + 1,
            "presence \"the statement alone means something\";",
            out,
        ),
        Kind::List { key } => {
            line(level + 1, &format!("key \"{key}\";"), out);
            line(level + 1, "ordered-by user;", out);
            line(level + 1, &format!("leaf {key} {{ type string; }}"), out);
        }
        Kind::Leaf => line(level + 1, "type string;", out),
        Kind::Flag => line(level + 1, "type empty;", out),
        Kind::LeafList => {
            line(level + 1, "ordered-by user;", out);
            line(level + 1, "type string;", out);
        }
    }
    if recurs(statement) {
        line(level + 1, "anydata contents;", out);
    } else {
        for child in statement.children() {
            node(child, level + 1, out);
        }
        if statement.holds_statements() && statement.name != root().name {
            line(
                level + 1,
                &format!("leaf-list {APPLY_GROUPS} {{ ordered-by user; type string; }}"),
                out,
            );
        }
    }
    line(level, "}", out);
}

/// Whether the statement holds the whole hierarchy again, which no finite text can spell out.
fn recurs(statement: &'static Statement) -> bool {
    std::ptr::eq(statement.children(), root().children()) && statement.name != root().name
}

fn line(level: usize, text: &str, out: &mut String) {
    out.extend(std::iter::repeat_n("  ", level));
    out.push_str(text);
    out.push('\n');
}

/// The hierarchy as an XML schema.
pub fn xsd() -> Tag {
    Tag::parent("xsd:schema", vec![element(root())])
        .with("xmlns:xsd", "http://www.w3.org/2001/XMLSchema")
        .with("elementFormDefault", "qualified")
}

fn element(statement: &'static Statement) -> Tag {
    let kind = match statement.kind {
        Kind::Leaf | Kind::LeafList => {
            return bounded(
                Tag::empty("xsd:element")
                    .with("name", statement.name)
                    .with("type", "xsd:string"),
                statement,
            );
        }
        Kind::Flag => Tag::empty("xsd:complexType"),
        Kind::Container | Kind::Presence | Kind::List { .. } => {
            let mut inside = Vec::new();
            if let Some(key) = statement.key() {
                inside.push(
                    Tag::empty("xsd:element")
                        .with("name", key)
                        .with("type", "xsd:string"),
                );
            }
            if recurs(statement) {
                inside.push(Tag::empty("xsd:any").with("processContents", "skip"));
            } else {
                inside.extend(statement.children().iter().map(element));
            }
            let choice = Tag::parent("xsd:choice", inside)
                .with("minOccurs", "0")
                .with("maxOccurs", "unbounded");
            Tag::parent("xsd:complexType", vec![choice])
        }
    };
    bounded(
        Tag::parent("xsd:element", vec![kind]).with("name", statement.name),
        statement,
    )
}

fn bounded(tag: Tag, statement: &Statement) -> Tag {
    let tag = tag.with("minOccurs", "0");
    if statement.repeats() {
        tag.with("maxOccurs", "unbounded")
    } else {
        tag
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// S11: both schemas name every statement of the table and end.
    #[test]
    fn schemas_say_what_every_statement_is() {
        let yang = yang(Module {
            name: "example-router",
            namespace: "urn:example:router",
        });
        assert!(yang.starts_with(
            "module example-router {\n  yang-version 1.1;\n  namespace \"urn:example:router\";"
        ));
        assert!(
            yang.contains("    container system {\n      leaf host-name {\n        type string;\n      }\n"),
            "{yang}"
        );
        assert!(
            yang.contains("      list interface {\n        key \"name\";\n"),
            "{yang}"
        );
        assert_eq!(yang.matches('{').count(), yang.matches('}').count());
        let xsd = xsd().to_xml();
        assert!(
            xsd.contains("<xsd:element name=\"host-name\" type=\"xsd:string\" minOccurs=\"0\"/>"),
            "{xsd}"
        );
        assert_eq!(xsd.matches("processContents").count(), 1);
    }
}
