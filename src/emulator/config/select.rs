//! Which part of a configuration a request asks for: hierarchy filters with the attributes `recurse`, `count`,
//! `start` and `matching`.

use regex::{Regex, RegexBuilder};

use super::schema::{Kind, Statement};
use super::tree::Node;
use crate::xml::tree::Element;

/// Why a filter was refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum SelectError {
    /// The filter names a statement that the level does not have.
    #[error("unknown statement {0:?}")]
    Unknown(String),
    /// `count`, `start` or `matching` holds what it may not.
    #[error("invalid value {0:?}")]
    Value(String),
}

/// Largest compiled size of a `matching` expression, in bytes.
const EXPRESSION_BYTES: usize = 1 << 18;

/// The part of `root` that `filter` (the `<configuration>` element of the request) asks for.
///
/// # Errors
/// A statement that the table does not know, or an attribute with an impossible value.
pub fn select(root: &Node, filter: &Element) -> Result<Node, SelectError> {
    check(root.statement, filter)?;
    Ok(inside(root, filter)?.unwrap_or_else(Node::root))
}

fn check(statement: &'static Statement, filter: &Element) -> Result<(), SelectError> {
    for wanted in filter.children() {
        if statement.key() == Some(&wanted.local) {
            continue;
        }
        let child = statement
            .child(&wanted.local)
            .ok_or_else(|| SelectError::Unknown(wanted.local.clone()))?;
        check(child, wanted)?;
    }
    Ok(())
}

/// What the filter's content leaves of this node; nothing where a value it names is another.
fn inside(node: &Node, filter: &Element) -> Result<Option<Node>, SelectError> {
    if let Some(expression) = filter.attribute("matching") {
        return matching(node, expression, recurses(filter));
    }
    let mut wanted: Vec<&Element> = Vec::new();
    for child in filter.children() {
        let value = child.text();
        let is_key = node.statement.key() == Some(&child.local);
        if is_key {
            if !value.is_empty() && value != node.argument {
                return Ok(None);
            }
            if value.is_empty() {
                wanted.push(child);
            }
        } else if !value.is_empty() && child.children().next().is_none() {
            let holds = node
                .children_named(&child.local)
                .any(|leaf| leaf.argument == value);
            if !holds {
                return Ok(None);
            }
        } else {
            wanted.push(child);
        }
    }
    if wanted.is_empty() {
        return Ok(Some(if recurses(filter) {
            node.clone()
        } else {
            identifiers(node)
        }));
    }
    let mut found = node.shallow();
    let mut any = false;
    for child in wanted {
        if node.statement.key() == Some(&child.local) {
            any = true;
            continue;
        }
        let nodes: Vec<&Node> = node.children_named(&child.local).collect();
        let total = nodes.len();
        let (start, count) = range(child)?;
        let ranged = child.attribute("start").is_some() || child.attribute("count").is_some();
        for (position, candidate) in nodes.into_iter().enumerate().skip(start - 1).take(count) {
            if let Some(mut part) = inside(candidate, child)? {
                if ranged {
                    part.marks.push(("junos:position", (position + 1).to_string()));
                    part.marks.push(("junos:total", total.to_string()));
                }
                any = true;
                put(&mut found, part);
            }
        }
    }
    Ok(any.then_some(found))
}

/// Adds a part; where another filter element already brought the same statement, both are shown as one.
fn put(to: &mut Node, part: Node) {
    match to
        .children
        .iter_mut()
        .find(|other| other.is(part.statement, &part.argument))
    {
        Some(other) => {
            for child in part.children {
                put(other, child);
            }
        }
        None => {
            to.insert(part);
        }
    }
}

fn recurses(filter: &Element) -> bool {
    filter.attribute("recurse") != Some("false")
}

fn range(filter: &Element) -> Result<(usize, usize), SelectError> {
    let number = |name: &str, default: usize| match filter.attribute(name) {
        None => Ok(default),
        Some(value) => match value.trim().parse::<usize>() {
            Ok(number) if number > 0 => Ok(number),
            Ok(_) | Err(_) => Err(SelectError::Value(value.to_owned())),
        },
    };
    Ok((number("start", 1)?, number("count", usize::MAX)?))
}

/// `recurse="false"`: the entry with its key alone.
fn identifiers(node: &Node) -> Node {
    match node.statement.kind {
        Kind::List { .. } => node.shallow(),
        Kind::Container | Kind::Presence => {
            let mut short = node.shallow();
            short.children = node.children.iter().map(identifiers).collect();
            short
        }
        Kind::Leaf | Kind::LeafList | Kind::Flag => node.clone(),
    }
}

/// `matching="interface[name='ge-.*']"`: the objects below this level whose key fits, by a path of names and keys.
fn matching(node: &Node, expression: &str, recurse: bool) -> Result<Option<Node>, SelectError> {
    let bad = || SelectError::Value(expression.to_owned());
    let mut steps = Vec::new();
    for step in split_path(expression) {
        let (name, key) = match step.split_once('[') {
            None => (step, None),
            Some((name, rest)) => {
                let condition = rest.strip_suffix(']').ok_or_else(bad)?;
                let (_, value) = condition.split_once('=').ok_or_else(bad)?;
                (name, Some(value.trim().trim_matches(['\'', '"'])))
            }
        };
        let regex = |text: &str| {
            let built = RegexBuilder::new(text)
                .case_insensitive(true)
                .size_limit(EXPRESSION_BYTES)
                .build();
            built.map_err(|_| bad())
        };
        steps.push((regex(&format!("^(?:{name})$"))?, key.map(regex).transpose()?));
    }
    if steps.is_empty() {
        return Err(bad());
    }
    Ok(follow(node, &steps, recurse))
}

/// Splits at slashes outside brackets: keys hold slashes of their own.
fn split_path(path: &str) -> Vec<&str> {
    let mut depth = 0usize;
    let parts = path.split(move |c: char| {
        match c {
            '[' => depth += 1,
            ']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == '/' && depth == 0
    });
    parts.filter(|part| !part.is_empty()).collect()
}

fn follow(node: &Node, steps: &[(Regex, Option<Regex>)], recurse: bool) -> Option<Node> {
    let Some(((name, key), rest)) = steps.split_first() else {
        return Some(if recurse { node.clone() } else { identifiers(node) });
    };
    let mut found = node.shallow();
    for child in &node.children {
        let fits = name.is_match(child.statement.name)
            && key
                .as_ref()
                .is_none_or(|key| child.statement.key().is_some() && key.is_match(&child.argument));
        if fits {
            found.children.extend(follow(child, rest, recurse));
        }
    }
    (!found.children.is_empty()).then_some(found)
}

#[cfg(test)]
mod tests {
    use super::super::set;
    use super::*;
    use crate::xml::Limits;

    fn configured() -> Node {
        let mut root = Node::root();
        set::apply(
            &mut root,
            "set system host-name mx1
             set system login user admin class super-user
             set system login user barbara class operator
             set system login user bob class operator
             set interfaces ge-0/0/0 description a
             set interfaces ge-0/0/1 description b
             set interfaces xe-1/0/0 description c",
        )
        .unwrap();
        root
    }

    fn selected(filter: &str) -> String {
        let filter = Element::parse(filter, &Limits::default()).unwrap();
        set::render(&select(&configured(), &filter).unwrap())
    }

    /// S11: a hierarchy, a single object, all objects of a type, several elements at once.
    #[test]
    fn a_filter_selects_hierarchies_and_objects() {
        assert_eq!(
            selected("<configuration><system><host-name/></system></configuration>"),
            "set system host-name mx1\n"
        );
        assert_eq!(
            selected(
                "<configuration><interfaces><interface><name>ge-0/0/1</name></interface></interfaces></configuration>"
            ),
            "set interfaces ge-0/0/1 description b\n"
        );
        assert_eq!(
            selected(
                "<configuration><system><login><user/></login></system>\
                 <interfaces><interface><name>xe-1/0/0</name></interface></interfaces></configuration>"
            ),
            "set system login user admin class super-user\nset system login user barbara class operator\n\
             set system login user bob class operator\nset interfaces xe-1/0/0 description c\n"
        );
        assert_eq!(selected("<configuration><snmp/></configuration>"), "");
    }

    /// S11: identifiers only, count and start.
    #[test]
    fn attributes_narrow_the_objects_of_a_type() {
        assert_eq!(
            selected(
                "<configuration><interfaces><interface recurse=\"false\"/></interfaces></configuration>"
            ),
            "set interfaces ge-0/0/0\nset interfaces ge-0/0/1\nset interfaces xe-1/0/0\n"
        );
        let filter =
            "<configuration><interfaces><interface start=\"2\" count=\"1\"/></interfaces></configuration>";
        let filter = Element::parse(filter, &Limits::default()).unwrap();
        let part = select(&configured(), &filter).unwrap();
        let interface = &part.child("interfaces").unwrap().children;
        assert_eq!(interface.len(), 1);
        assert_eq!(interface[0].argument, "ge-0/0/1");
        assert_eq!(
            interface[0].marks,
            [
                ("junos:position", "2".to_owned()),
                ("junos:total", "3".to_owned())
            ]
        );
    }

    /// S11: regular expressions over names and keys; keys may hold slashes.
    #[test]
    fn matching_takes_an_expression_for_names_and_keys() {
        assert_eq!(
            selected(
                "<configuration><interfaces matching=\"interface[name='^ge-0/0/.$']\"/></configuration>"
            ),
            "set interfaces ge-0/0/0 description a\nset interfaces ge-0/0/1 description b\n"
        );
        assert_eq!(
            selected("<configuration matching=\"system/login/user[name='b.*']\"/>"),
            "set system login user barbara class operator\nset system login user bob class operator\n"
        );
    }

    #[test]
    fn unknown_statements_and_impossible_values_are_refused() {
        let refused = |filter: &str| {
            let filter = Element::parse(filter, &Limits::default()).unwrap();
            select(&configured(), &filter).unwrap_err()
        };
        assert_eq!(
            refused("<configuration><sistem/></configuration>"),
            SelectError::Unknown("sistem".to_owned())
        );
        assert_eq!(
            refused("<configuration><interfaces><interface count=\"0\"/></interfaces></configuration>"),
            SelectError::Value("0".to_owned())
        );
        assert_eq!(
            refused("<configuration matching=\"a[name='(']\"/>"),
            SelectError::Value("a[name='(']".to_owned())
        );
    }
}
