//! The XML and JSON forms of a configuration.

use super::schema::Kind;
use super::tree::Node;
use crate::emulator::markup::{Tag, string};

/// How the XML form is to look.
#[derive(Clone, Copy, Debug, Default)]
pub struct XmlOptions {
    /// Mark key leaves with `junos:key="key"`.
    pub keys: bool,
}

/// The statements below `root` as elements.
pub fn tags(root: &Node, options: XmlOptions) -> Vec<Tag> {
    root.children.iter().map(|child| tag(child, options)).collect()
}

fn tag(node: &Node, options: XmlOptions) -> Tag {
    let mut tag = match node.statement.kind {
        Kind::Leaf | Kind::LeafList => Tag::leaf(node.statement.name, &*node.argument),
        Kind::Flag => Tag::empty(node.statement.name),
        Kind::Container | Kind::Presence => Tag::parent(node.statement.name, tags(node, options)),
        Kind::List { key } => {
            let mut leaf = Tag::leaf(key, &*node.argument);
            if options.keys {
                leaf = leaf.with("junos:key", "key");
            }
            let mut inside = vec![leaf];
            inside.extend(tags(node, options));
            Tag::parent(node.statement.name, inside)
        }
    };
    if node.inactive {
        tag = tag.with("inactive", "inactive");
    }
    if node.protected {
        tag = tag.with("protect", "protect");
    }
    for (name, value) in &node.marks {
        tag = tag.with(*name, value.clone());
    }
    tag
}

/// The configuration as compact JSON as a device prints it: containers as objects, lists as arrays, flags as
/// `[null]`, every value a string; attributes of a member `m` under `@m` (or `@` inside an object).
pub fn json(root: &Node, attributes: &[(&'static str, String)]) -> String {
    let mut out = String::from("{\n");
    indent(1, &mut out);
    out.push_str("\"configuration\" : {\n");
    let mut first = true;
    if !attributes.is_empty() {
        start("@", 2, &mut first, &mut out);
        object_of(attributes, 2, &mut out);
    }
    members(root, 2, &mut first, &mut out);
    out.push('\n');
    indent(1, &mut out);
    out.push_str("}\n}\n");
    out
}

fn members(node: &Node, level: usize, first: &mut bool, out: &mut String) {
    let mut rest = node.children.as_slice();
    while let Some(head) = rest.first() {
        let run = rest
            .iter()
            .take_while(|other| other.statement.name == head.statement.name)
            .count();
        let (together, others) = rest.split_at(run);
        member(head, together, level, first, out);
        rest = others;
    }
}

fn member(head: &Node, together: &[Node], level: usize, first: &mut bool, out: &mut String) {
    start(head.statement.name, level, first, out);
    match head.statement.kind {
        Kind::Leaf => string(&head.argument, out),
        Kind::Flag => out.push_str("[null]"),
        Kind::LeafList => {
            out.push('[');
            for (at, node) in together.iter().enumerate() {
                out.push_str(if at > 0 { ", " } else { "" });
                string(&node.argument, out);
            }
            out.push(']');
        }
        Kind::Container | Kind::Presence => object(head, level, out),
        Kind::List { .. } => {
            out.push_str("[\n");
            for (at, node) in together.iter().enumerate() {
                out.push_str(if at > 0 { ",\n" } else { "" });
                indent(level, out);
                object(node, level, out);
            }
            out.push('\n');
            indent(level, out);
            out.push(']');
        }
    }
    if !head.statement.holds_statements() && together.iter().any(|node| !attributes(node).is_empty()) {
        start(&format!("@{}", head.statement.name), level, first, out);
        if head.statement.kind == Kind::LeafList {
            out.push('[');
            for (at, node) in together.iter().enumerate() {
                out.push_str(if at > 0 { ", " } else { "" });
                object_of(&attributes(node), level, out);
            }
            out.push(']');
        } else {
            object_of(&attributes(head), level, out);
        }
    }
}

/// A container or list entry: its attributes, its key, its statements.
fn object(node: &Node, level: usize, out: &mut String) {
    out.push_str("{\n");
    let mut first = true;
    let attributes = attributes(node);
    if !attributes.is_empty() {
        start("@", level + 1, &mut first, out);
        object_of(&attributes, level + 1, out);
    }
    if let Some(key) = node.statement.key() {
        start(key, level + 1, &mut first, out);
        string(&node.argument, out);
    }
    members(node, level + 1, &mut first, out);
    if !first {
        out.push('\n');
    }
    indent(level, out);
    out.push('}');
}

fn attributes(node: &Node) -> Vec<(&'static str, String)> {
    let flag = |set: bool, name: &'static str| set.then(|| (name, "true".to_owned()));
    let flags = [flag(node.inactive, "inactive"), flag(node.protected, "protect")];
    let flags = flags.into_iter().flatten();
    flags.chain(node.marks.iter().cloned()).collect()
}

fn object_of(pairs: &[(&'static str, String)], level: usize, out: &mut String) {
    out.push_str("{\n");
    for (at, (name, value)) in pairs.iter().enumerate() {
        out.push_str(if at > 0 { ",\n" } else { "" });
        indent(level + 1, out);
        string(name, out);
        out.push_str(" : ");
        // The device prints `"inactive" : true`, and every other attribute as a string.
        if matches!(*name, "inactive" | "protect") {
            out.push_str(value);
        } else {
            string(value, out);
        }
    }
    out.push('\n');
    indent(level, out);
    out.push('}');
}

fn start(name: &str, level: usize, first: &mut bool, out: &mut String) {
    if !std::mem::take(first) {
        out.push_str(",\n");
    }
    indent(level, out);
    string(name, out);
    out.push_str(" : ");
}

fn indent(level: usize, out: &mut String) {
    out.extend(std::iter::repeat_n("    ", level));
}

#[cfg(test)]
mod tests {
    use super::super::set;
    use super::*;

    fn configured() -> Node {
        let mut root = Node::root();
        set::apply(
            &mut root,
            "set system host-name mx1
             set system services ssh
             set interfaces ge-0/0/0 unit 0 family inet address 198.51.100.1/31 primary
             set interfaces ge-0/0/1 disable
             deactivate interfaces ge-0/0/1
             deactivate system host-name
             set policy-options community c members [ 1:1 1:2 ]",
        )
        .unwrap();
        root
    }

    /// S11: XML with key indicators; inactive statements are marked.
    #[test]
    fn xml_has_the_key_first_and_marks_what_is_inactive() {
        let xml: String = tags(&configured(), XmlOptions { keys: true })
            .iter()
            .map(Tag::to_xml)
            .collect();
        assert_eq!(
            xml.replace('\n', ""),
            "<system><host-name inactive=\"inactive\">mx1</host-name><services><ssh/></services></system>\
             <interfaces><interface><name junos:key=\"key\">ge-0/0/0</name><unit><name junos:key=\"key\">0</name>\
             <family><inet><address><name junos:key=\"key\">198.51.100.1/31</name><primary/></address></inet>\
             </family></unit></interface><interface inactive=\"inactive\">\
             <name junos:key=\"key\">ge-0/0/1</name><disable/></interface></interfaces>\
             <policy-options><community><name junos:key=\"key\">c</name><members>1:1</members>\
             <members>1:2</members></community></policy-options>"
        );
    }

    /// S11: the device's JSON of a configuration.
    #[test]
    fn json_has_arrays_for_lists_and_null_for_flags() {
        let text = json(&configured(), &[("junos:changed-seconds", "7".to_owned())]);
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            value,
            serde_json::json!({"configuration": {
                "@": {"junos:changed-seconds": "7"},
                "system": {"host-name": "mx1", "@host-name": {"inactive": true}, "services": {"ssh": {}}},
                "interfaces": {"interface": [
                    {"name": "ge-0/0/0", "unit": [{"name": "0", "family": {"inet": {"address": [
                        {"name": "198.51.100.1/31", "primary": [null]}]}}}]},
                    {"@": {"inactive": true}, "name": "ge-0/0/1", "disable": [null]},
                ]},
                "policy-options": {"community": [{"name": "c", "members": ["1:1", "1:2"]}]},
            }})
        );
    }
}
