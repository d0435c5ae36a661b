//! What differs between two configurations, as a tree of its own: what `show | compare | display xml` shows.

use super::schema::Kind;
use super::tree::Node;

/// What leads from `old` to `new`: the statements that differ, marked with `operation`, and those around them; without
/// children where nothing differs. Statements that were only moved do not count.
pub fn difference(old: &Node, new: &Node) -> Node {
    let mut shown = new.shallow();
    for before in &old.children {
        match new.find(before.statement, &before.argument) {
            None => shown.children.push(marked(before.shallow(), "delete")),
            Some(now) if now.statement.kind == Kind::Leaf && now.argument != before.argument => {
                shown.children.push(marked(before.shallow(), "delete"));
                shown.children.push(marked(now.clone(), "create"));
            }
            Some(now) => {
                let mut inside = difference(before, now);
                if before.inactive && !now.inactive {
                    inside.marks.push(("active", "active".to_owned()));
                }
                if before.protected && !now.protected {
                    inside.marks.push(("unprotect", "unprotect".to_owned()));
                }
                let switched = (before.inactive, before.protected) != (now.inactive, now.protected);
                if switched || !inside.children.is_empty() {
                    shown.children.push(inside);
                }
            }
        }
    }
    for now in &new.children {
        if old.find(now.statement, &now.argument).is_none() {
            shown.children.push(marked(now.clone(), "create"));
        }
    }
    shown
}

fn marked(mut node: Node, operation: &str) -> Node {
    node.marks.push(("operation", operation.to_owned()));
    node
}

#[cfg(test)]
mod tests {
    use super::super::render::{XmlOptions, tags};
    use super::super::set;
    use super::*;
    use crate::emulator::markup::Tag;

    fn configured(commands: &str) -> Node {
        let mut root = Node::root();
        set::apply(&mut root, commands).unwrap();
        root
    }

    /// S11: what was added, deleted, changed and switched, with the statements around it and nothing else.
    #[test]
    fn statements_that_differ_are_marked() {
        let old = configured(
            "set system host-name old
             set system domain-name example.net
             set interfaces ge-0/0/0 disable
             set interfaces ge-0/0/1 mtu 1600
             deactivate interfaces ge-0/0/1",
        );
        let new = configured(
            "set system host-name new
             set system domain-name example.net
             set system ntp server 192.0.2.1
             set interfaces ge-0/0/1 mtu 1600",
        );
        let shown = tags(&difference(&old, &new), XmlOptions { keys: false });
        let xml: String = shown.iter().map(Tag::to_xml).collect();
        assert_eq!(
            xml.replace('\n', ""),
            "<system><host-name operation=\"delete\">old</host-name>\
             <host-name operation=\"create\">new</host-name>\
             <ntp operation=\"create\"><server><name>192.0.2.1</name></server></ntp></system>\
             <interfaces><interface operation=\"delete\"><name>ge-0/0/0</name></interface>\
             <interface active=\"active\"><name>ge-0/0/1</name></interface></interfaces>"
        );
        assert!(difference(&new, &new).children.is_empty());
    }
}
