//! Configuration groups: what `inherit="inherit"` adds, and where it came from.

use super::schema::APPLY_GROUPS;
use super::tree::Node;

/// The configuration with all groups applied: values of a level's own win, what comes from a group is marked with
/// `junos:group` if `mark` says so, and the `groups` hierarchy itself is left out.
pub fn inherit(root: &Node, mark: bool) -> Node {
    let mut whole = root.clone();
    let groups: Vec<Node> = root
        .children_named("groups")
        .filter(|group| !group.inactive)
        .cloned()
        .collect();
    whole.children.retain(|child| child.statement.name != "groups");
    apply_level(&mut whole, &groups, &mut Vec::new(), mark);
    whole
}

/// Applies the groups that `node` names, then goes on below. `path` leads from the root to `node`.
fn apply_level(node: &mut Node, groups: &[Node], path: &mut Vec<Node>, mark: bool) {
    let named: Vec<String> = node
        .children_named(APPLY_GROUPS)
        .map(|child| child.argument.clone())
        .collect();
    node.children.retain(|child| child.statement.name != APPLY_GROUPS);
    for name in named {
        let Some(group) = groups.iter().find(|group| group.argument == name) else {
            continue;
        };
        let mut levels = vec![group];
        for step in path.iter() {
            levels = levels
                .into_iter()
                .flat_map(|level| matching(level, step))
                .collect();
        }
        for level in levels {
            merge(node, level, mark.then_some(name.as_str()));
        }
    }
    for child in &mut node.children {
        path.push(child.shallow());
        apply_level(child, groups, path, mark);
        path.pop();
    }
}

/// The children of a group's level that stand for this node: the same statement, or a `<ge-*>` that fits its key.
fn matching<'a>(level: &'a Node, step: &Node) -> Vec<&'a Node> {
    let fits = |child: &&Node| {
        child.statement.name == step.statement.name
            && (!child.statement.repeats()
                || child.argument == step.argument
                || wildcard(&child.argument).is_some_and(|pattern| glob(pattern, &step.argument)))
    };
    level.children.iter().filter(fits).collect()
}

/// Adds what `from` holds and `to` does not.
fn merge(to: &mut Node, from: &Node, group: Option<&str>) {
    for child in &from.children {
        if let Some(pattern) = wildcard(&child.argument) {
            let same = |other: &&mut Node| {
                other.statement.name == child.statement.name && glob(pattern, &other.argument)
            };
            for entry in to.children.iter_mut().filter(same) {
                merge(entry, child, group);
            }
            continue;
        }
        match to
            .children
            .iter_mut()
            .find(|other| other.is(child.statement, &child.argument))
        {
            Some(other) => merge(other, child, group),
            None => {
                let mut copy = child.clone();
                if let Some(group) = group {
                    mark_all(&mut copy, group);
                }
                to.insert(copy);
            }
        }
    }
}

fn mark_all(node: &mut Node, group: &str) {
    node.marks.push(("junos:group", group.to_owned()));
    for child in &mut node.children {
        mark_all(child, group);
    }
}

/// The pattern inside `<…>`.
fn wildcard(argument: &str) -> Option<&str> {
    argument.strip_prefix('<')?.strip_suffix('>')
}

/// Whether the name fits a pattern of literal characters and `*`.
fn glob(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((before, after)) => name.strip_prefix(before).is_some_and(|rest| {
            let cuts = rest.char_indices().map(|(at, _)| at).chain([rest.len()]);
            let mut tails = cuts.map(|at| &rest[at..]);
            tails.any(|tail| glob(after, tail))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::super::set;
    use super::*;

    fn configured(commands: &str) -> Node {
        let mut root = Node::root();
        set::apply(&mut root, commands).unwrap();
        root
    }

    /// S11: group inheritance: own values win, wildcards fill every entry that fits, the groups are gone.
    #[test]
    fn inherited_statements_take_their_place() {
        let root = configured(
            "set groups common system domain-name example.net
             set groups common system host-name generic
             set groups common interfaces <ge-*> mtu 9192
             set apply-groups common
             set system host-name mx1
             set interfaces ge-0/0/0 description a
             set interfaces ge-0/0/1 mtu 1514
             set interfaces lo0 description loop",
        );
        assert_eq!(
            set::render(&inherit(&root, false)),
            "set system host-name mx1
set system domain-name example.net
set interfaces ge-0/0/0 description a
set interfaces ge-0/0/0 mtu 9192
set interfaces ge-0/0/1 mtu 1514
set interfaces lo0 description loop
"
        );
    }

    #[test]
    fn the_source_group_is_marked_on_request() {
        let root = configured("set groups common system domain-name example.net\nset apply-groups common");
        let whole = inherit(&root, true);
        let domain = whole.child("system").unwrap().child("domain-name").unwrap();
        assert_eq!(domain.marks, [("junos:group", "common".to_owned())]);
    }

    #[test]
    fn groups_apply_at_the_level_that_names_them() {
        let root = configured(
            "set groups edge interfaces <*> unit 0 family inet mtu 1400
             set interfaces ge-0/0/0 apply-groups edge
             set interfaces ge-0/0/0 unit 0 family inet
             set interfaces ge-0/0/1 unit 0 family inet",
        );
        let text = set::render(&inherit(&root, false));
        assert!(
            text.contains("set interfaces ge-0/0/0 unit 0 family inet mtu 1400\n"),
            "{text}"
        );
        assert!(
            text.contains("set interfaces ge-0/0/1 unit 0 family inet\n"),
            "{text}"
        );
    }

    #[test]
    fn a_star_stands_for_any_characters() {
        assert!(glob("ge-*", "ge-0/0/0"));
        assert!(glob("*", ""));
        assert!(glob("*/0", "ge-0/0/0"));
        assert!(!glob("xe-*", "ge-0/0/0"));
    }
}
