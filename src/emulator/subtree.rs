//! Subtree filters (RFC 6241 section 6) over what a device is about to print.
//!
//! Like Junos, and unlike the RFC, it does not compare namespaces: names decide.

use super::markup::Tag;
use crate::xml::tree::Element;

/// What `filter` (the `<filter>` element) lets pass. An empty filter lets nothing pass (section 6.4.2).
pub fn filter(tags: &[Tag], filter: &Element) -> Vec<Tag> {
    let wanted: Vec<&Element> = filter.children().collect();
    below(tags, &wanted)
}

fn below(tags: &[Tag], wanted: &[&Element]) -> Vec<Tag> {
    let pass = |tag: &Tag| {
        let mine: Vec<&Element> = wanted.iter().copied().filter(|node| names(node, tag)).collect();
        one(tag, &mine)
    };
    tags.iter().filter_map(pass).collect()
}

/// Name and attribute match expressions (sections 6.2.1 and 6.2.2).
fn names(node: &Element, tag: &Tag) -> bool {
    let has = |local: &str, value: &str| {
        tag.attributes
            .iter()
            .any(|(name, own)| name.rsplit(':').next() == Some(local) && own == value)
    };
    node.local == tag.local()
        && node
            .attributes
            .iter()
            .all(|attribute| has(&attribute.local, &attribute.value))
}

fn is_match(node: &Element) -> bool {
    node.children().next().is_none() && !node.text().is_empty()
}

/// The part of one element that filter nodes of its name select.
fn one(tag: &Tag, nodes: &[&Element]) -> Option<Tag> {
    let mut selected: Vec<&Element> = Vec::new();
    for node in nodes {
        if node.children().next().is_none() {
            // A selection node (6.2.4), or a content match (6.2.5) against the element itself.
            let text = node.text();
            if text.is_empty() || text == tag.text() {
                return Some(tag.clone());
            }
            continue;
        }
        let (matches, others): (Vec<&Element>, Vec<&Element>) =
            node.children().partition(|child| is_match(child));
        let fits = matches.iter().all(|wanted| {
            tag.tags()
                .iter()
                .any(|child| names(wanted, child) && child.text() == wanted.text())
        });
        if !fits {
            continue;
        }
        if others.is_empty() {
            return Some(tag.clone());
        }
        selected.extend(matches);
        selected.extend(others);
    }
    let inside = below(tag.tags(), &selected);
    let only_matches = selected.iter().all(|node| is_match(node));
    if inside.is_empty() || only_matches {
        return None;
    }
    let mut part = Tag::parent(tag.name.clone(), inside);
    part.attributes = tag.attributes.clone();
    Some(part)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::Limits;

    fn users() -> Vec<Tag> {
        let user = |name: &'static str, class: &'static str| {
            Tag::parent(
                "user",
                vec![
                    Tag::leaf("name", name),
                    Tag::leaf("class", class),
                    Tag::leaf("uid", "2000"),
                ],
            )
        };
        let login = Tag::parent(
            "login",
            vec![user("fred", "super-user"), user("barney", "operator")],
        );
        let system = Tag::parent("system", vec![Tag::leaf("host-name", "mx1"), login]);
        vec![Tag::parent(
            "configuration",
            vec![system, Tag::parent("snmp", vec![Tag::leaf("location", "here")])],
        )]
    }

    fn filtered(inside: &str) -> String {
        let element = Element::parse(&format!("<filter>{inside}</filter>"), &Limits::default()).unwrap();
        filter(&users(), &element)
            .iter()
            .map(Tag::to_xml)
            .collect::<String>()
            .replace('\n', "")
    }

    /// S11: no filter node, no data; a selection node, the whole subtree.
    #[test]
    fn selection_nodes_select_whole_subtrees() {
        assert_eq!(filtered(""), "");
        assert_eq!(
            filtered("<configuration><snmp/></configuration>"),
            "<configuration><snmp><location>here</location></snmp></configuration>"
        );
        assert_eq!(filtered("<configuration><nothing/></configuration>"), "");
    }

    /// S11: content match nodes choose entries; alone they select the whole entry, with others only those.
    #[test]
    fn content_match_nodes_choose_entries() {
        assert_eq!(
            filtered(
                "<configuration><system><login><user><name>fred</name></user></login></system></configuration>"
            ),
            "<configuration><system><login><user><name>fred</name><class>super-user</class><uid>2000</uid></user>\
             </login></system></configuration>"
        );
        assert_eq!(
            filtered(
                "<configuration><system><login><user><name>fred</name><class/></user>\
                 <user><name>barney</name><uid/></user></login></system></configuration>"
            ),
            "<configuration><system><login><user><name>fred</name><class>super-user</class></user>\
             <user><name>barney</name><uid>2000</uid></user></login></system></configuration>"
        );
        assert_eq!(
            filtered(
                "<configuration><system><login><user><name>wilma</name></user></login></system></configuration>"
            ),
            ""
        );
    }
}
