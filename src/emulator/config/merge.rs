//! Three configurations into one: what somebody changed between two, done to a third.

use super::schema::Kind;
use super::tree::Node;

/// What leads from `base` to `mine`, done to `theirs`. Where both changed the same value, `mine` wins.
pub fn merge(base: &Node, mine: &Node, theirs: &Node) -> Node {
    let mut merged = theirs.clone();
    level(base, mine, &mut merged);
    merged
}

fn level(base: &Node, mine: &Node, merged: &mut Node) {
    if base.inactive != mine.inactive {
        merged.inactive = mine.inactive;
    }
    if base.protected != mine.protected {
        merged.protected = mine.protected;
    }
    for before in &base.children {
        if mine.find(before.statement, &before.argument).is_none() {
            merged
                .children
                .retain(|child| !child.is(before.statement, &before.argument));
        }
    }
    for after in &mine.children {
        let before = base.find(after.statement, &after.argument);
        if before == Some(after) {
            continue;
        }
        let there = merged
            .children
            .iter()
            .position(|child| child.is(after.statement, &after.argument));
        match there {
            None => {
                let mut child = after.clone();
                if let Some(before) = before {
                    // They took it away: of what was in it nothing comes back but what was changed.
                    child = after_nothing(after);
                    level(before, after, &mut child);
                    let marked = before.inactive != after.inactive || before.protected != after.protected;
                    if child.children.is_empty() && !marked && before.argument == after.argument {
                        continue;
                    }
                }
                merged.insert(child);
            }
            Some(at) => {
                let child = &mut merged.children[at];
                if before.is_none_or(|before| before.argument != after.argument) {
                    child.argument.clone_from(&after.argument);
                }
                let empty = after_nothing(after);
                level(before.unwrap_or(&empty), after, child);
            }
        }
    }
    if order(&base.children) != order(&mine.children) {
        reorder(mine, merged);
    }
    let empty = |child: &Node| child.statement.kind == Kind::Container && child.children.is_empty();
    merged.children.retain(|child| child.protected || !empty(child));
}

fn after_nothing(node: &Node) -> Node {
    let mut empty = node.shallow();
    empty.children.clear();
    empty
}

/// Names of the entries, in order.
fn order(nodes: &[Node]) -> Vec<(&str, &str)> {
    nodes
        .iter()
        .filter(|node| node.statement.repeats())
        .map(|node| (node.statement.name, node.argument.as_str()))
        .collect()
}

/// Puts the entries that `mine` knows into its order; others stay behind those of their statement.
fn reorder(mine: &Node, merged: &mut Node) {
    let place = |node: &Node| {
        let known = mine
            .children
            .iter()
            .position(|other| other.is(node.statement, &node.argument));
        (node.statement.order, known.unwrap_or(usize::MAX))
    };
    merged.children.sort_by_key(place);
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

    /// S24: what a private copy changed is done beside what others did; what it left alone stays theirs.
    #[test]
    fn only_what_was_changed_is_carried_over() {
        let base = "set system host-name a\nset system domain-name example.net\nset snmp contact me";
        let mine = configured(&format!(
            "{base}\nset system host-name b\ndelete snmp\nset protocols lldp interface all"
        ));
        let theirs = configured(&format!(
            "{base}\nset system domain-name example.org\nset system time-zone UTC"
        ));
        assert_eq!(
            set::render(&merge(&configured(base), &mine, &theirs)),
            "set system host-name b\nset system domain-name example.org\nset system time-zone UTC\n\
             set protocols lldp interface all\n"
        );
    }

    /// S24: what others took away does not come back with a copy in which it is still there.
    #[test]
    fn what_others_took_away_stays_away() {
        let base = "set interfaces ge-0/0/20 description theirs";
        let mine = configured(&format!("{base}\nset interfaces ge-0/0/10 description mine"));
        let merged = merge(&configured(base), &mine, &Node::root());
        assert_eq!(
            set::render(&merged),
            "set interfaces ge-0/0/10 description mine\n"
        );
        // Nor does an entry come back of which only something was taken away.
        let base = format!("{base}\nset interfaces ge-0/0/20 mtu 1500");
        let mine = configured("set interfaces ge-0/0/20 description theirs");
        assert_eq!(set::render(&merge(&configured(&base), &mine, &Node::root())), "");
    }
}
