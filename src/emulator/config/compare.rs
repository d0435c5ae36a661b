//! What differs between two configurations, in the patch form that `show | compare` prints.

use super::schema::{Kind, Style};
use super::set::quoted;
use super::text::render_statement;
use super::tree::Node;

/// The changes that lead from `old` to `new`; empty where there are none.
pub fn compare(old: &Node, new: &Node) -> String {
    let mut out = String::new();
    level(old, new, &mut Vec::new(), &mut out);
    out
}

/// A statement as a difference names it: `family inet` is one, though the table has two for it.
#[derive(Clone, Copy)]
struct Item<'a> {
    prefix: Option<&'a Node>,
    node: &'a Node,
}

impl Item<'_> {
    fn is(&self, other: &Item<'_>) -> bool {
        let family = |item: &Item<'_>| item.prefix.map(|prefix| prefix.statement.name);
        family(self) == family(other) && self.node.is(other.node.statement, &other.node.argument)
    }

    fn words(&self) -> Vec<String> {
        let prefix = self.prefix.map(Node::words).unwrap_or_default();
        let words = prefix.into_iter().chain(self.node.words());
        words.map(str::to_owned).collect()
    }

    /// `unit 0`, `host-name mx1`
    fn brief(&self) -> String {
        let prefix = self.prefix.map(Node::words).unwrap_or_default();
        let words = prefix.into_iter().chain(self.node.full_words());
        words.map(quoted).collect::<Vec<_>>().join(" ")
    }

    /// `unit 0 { ... }`, `host-name mx1;`
    fn shortened(&self) -> String {
        let inside = if self.node.children.is_empty() {
            ";"
        } else {
            " { ... }"
        };
        self.brief() + inside
    }

    fn text(&self) -> String {
        match self.prefix {
            Some(prefix) => {
                let mut around = prefix.shallow();
                around.children.push(self.node.clone());
                render_statement(&around)
            }
            None => render_statement(self.node),
        }
    }

    /// Whether its entries have a level of their own in a difference: `[edit system name-server]`.
    fn grouped(&self) -> bool {
        self.node.statement.style == Style::Grouped
    }
}

fn items(parent: &Node) -> Vec<Item<'_>> {
    let mut items = Vec::with_capacity(parent.children.len());
    for node in &parent.children {
        if node.statement.style == Style::Prefix {
            let prefix = Some(node);
            items.extend(node.children.iter().map(|node| Item { prefix, node }));
        } else {
            items.push(Item { prefix: None, node });
        }
    }
    items
}

/// The item that is the same statement; `near` is where it most likely stands.
fn find<'a>(items: &[Item<'a>], wanted: &Item<'_>, near: usize) -> Option<Item<'a>> {
    let likely = items.get(near).filter(|item| item.is(wanted));
    likely
        .or_else(|| items.iter().find(|item| item.is(wanted)))
        .copied()
}

fn level(old: &Node, new: &Node, path: &mut Vec<String>, out: &mut String) {
    let (before, after) = (items(old), items(new));
    let mut lines = String::new();
    let mut groups: Vec<&str> = Vec::new();
    for (at, item) in before.iter().enumerate() {
        if item.node.statement.kind == Kind::LeafList {
            if first_of_its_name(&before, at) {
                values(old, new, item.node.statement.name, &mut lines);
            }
            continue;
        }
        let name = item.node.statement.name;
        if item.grouped() && new.child(name).is_some() {
            if first_of_its_name(&before, at) {
                groups.push(name);
            }
            continue;
        }
        match find(&after, item, at) {
            None => signed("-   ", &item.text(), &mut lines),
            Some(now) => changed(item, &now, &mut lines),
        }
    }
    for (at, item) in after.iter().enumerate() {
        let name = item.node.statement.name;
        let leaf_list = item.node.statement.kind == Kind::LeafList;
        if (leaf_list || item.grouped()) && old.child(name).is_some() {
            continue;
        }
        if leaf_list {
            if first_of_its_name(&after, at) {
                values(old, new, name, &mut lines);
            }
        } else if find(&before, item, at).is_none() {
            signed("+   ", &item.text(), &mut lines);
        }
    }
    moved(&before, &after, None, &mut lines);
    section(path, &lines, out);
    for name in groups {
        let (before, after): (Vec<_>, Vec<_>) = (named(&before, name), named(&after, name));
        let mut lines = String::new();
        for (at, item) in before.iter().enumerate() {
            match find(&after, item, at) {
                None => signed("-   ", &entry_text(item), &mut lines),
                Some(now) => changed(item, &now, &mut lines),
            }
        }
        for (at, item) in after.iter().enumerate() {
            if find(&before, item, at).is_none() {
                signed("+   ", &entry_text(item), &mut lines);
            }
        }
        moved(&before, &after, Some(name), &mut lines);
        path.push(name.to_owned());
        section(path, &lines, out);
        path.pop();
    }
    for (at, item) in before.iter().enumerate() {
        if item.node.statement.holds_statements()
            && let Some(now) = find(&after, item, at)
        {
            let depth = path.len();
            path.extend(item.words());
            level(item.node, now.node, path, out);
            path.truncate(depth);
        }
    }
}

fn section(path: &[String], lines: &str, out: &mut String) {
    if !lines.is_empty() {
        out.push_str(&banner(path));
        out.push('\n');
        out.push_str(lines);
    }
}

fn named<'a>(items: &[Item<'a>], name: &str) -> Vec<Item<'a>> {
    let same = items.iter().filter(|item| item.node.statement.name == name);
    same.copied().collect()
}

fn first_of_its_name(items: &[Item<'_>], at: usize) -> bool {
    at == 0 || items[at - 1].node.statement.name != items[at].node.statement.name
}

/// One statement that is in both: another value, or switched.
fn changed(before: &Item<'_>, now: &Item<'_>, lines: &mut String) {
    if before.node.statement.kind == Kind::Leaf && before.node.argument != now.node.argument {
        signed("-  ", &before.text(), lines);
        signed("+  ", &now.text(), lines);
        return;
    }
    let mut switch = |word: &str| lines.push_str(&format!("!   {word}: {};\n", now.brief()));
    if before.node.inactive != now.node.inactive {
        switch(if now.node.inactive { "inactive" } else { "active" });
    }
    if before.node.protected != now.node.protected {
        switch(if now.node.protected {
            "protect"
        } else {
            "unprotect"
        });
    }
}

/// The values of one leaf-list, which are shown together.
fn values(old: &Node, new: &Node, name: &str, lines: &mut String) {
    let text = |node: &Node| {
        let mut parent = node.shallow();
        parent.children = node.children_named(name).cloned().collect();
        super::text::render(&parent)
    };
    let (before, after) = (text(old), text(new));
    if before != after {
        let both = !before.is_empty() && !after.is_empty();
        signed(if both { "-  " } else { "-   " }, &before, lines);
        signed(if both { "+  " } else { "+   " }, &after, lines);
    }
}

/// An entry of a list whose name stands in the banner.
fn entry_text(item: &Item<'_>) -> String {
    let text = item.text();
    let inner: Vec<_> = text.lines().collect();
    let inner = inner.get(1..inner.len().saturating_sub(1)).unwrap_or_default();
    inner
        .iter()
        .map(|line| format!("{}\n", line.strip_prefix("    ").unwrap_or(line)))
        .collect()
}

/// Entries that stand elsewhere among those that both have, each below the one that it follows now. `group`: of the
/// grouped list of this name, which stands in the banner; else of all others.
fn moved(before: &[Item<'_>], after: &[Item<'_>], group: Option<&str>, lines: &mut String) {
    let entry = |item: &&Item<'_>| {
        matches!(item.node.statement.kind, Kind::List { .. }) && item.grouped() == group.is_some()
    };
    let shown = |item: &Item<'_>| {
        let text = item.shortened();
        let own = group.and_then(|name| text.strip_prefix(name));
        own.map_or(text.clone(), |own| own.trim_start().to_owned())
    };
    let old: Vec<_> = before.iter().filter(entry).collect();
    let new: Vec<_> = after.iter().filter(entry).collect();
    let both = |items: &[&Item<'_>], others: &[&Item<'_>]| -> Vec<usize> {
        let stays = |(at, item): (usize, &&Item<'_>)| {
            let near = others.get(at).is_some_and(|other| other.is(item));
            (near || others.iter().any(|other| other.is(item))).then_some(at)
        };
        items.iter().enumerate().filter_map(stays).collect()
    };
    let (olds, news) = (both(&old, &new), both(&new, &old));
    // Where the entries, in their new order, stood before.
    let places: Vec<usize> = news
        .iter()
        .enumerate()
        .map(|(at, &index)| {
            let near = olds.get(at).is_some_and(|&o| old[o].is(new[index]));
            let place = olds.iter().position(|&o| old[o].is(new[index]));
            if near { at } else { place.unwrap_or(at) }
        })
        .collect();
    if places.is_sorted() {
        return;
    }
    let stay = rising(&places);
    for (at, &index) in news.iter().enumerate() {
        if stay.contains(&at) {
            continue;
        }
        let same = |item: &&&Item<'_>| item.node.statement.name == new[index].node.statement.name;
        if let Some(above) = index.checked_sub(1).and_then(|above| new.get(above)).filter(same) {
            lines.push_str(&format!("     {}\n", shown(above)));
        }
        lines.push_str(&format!("!    {}\n", shown(new[index])));
    }
}

/// Positions of a longest rising part of `places`: what need not be moved.
fn rising(places: &[usize]) -> Vec<usize> {
    // `ends[n]` is the position of the smallest value that ends a rising part of n + 1.
    let mut ends: Vec<usize> = Vec::new();
    let mut before: Vec<Option<usize>> = Vec::with_capacity(places.len());
    for (at, &place) in places.iter().enumerate() {
        let length = ends.partition_point(|&end| places[end] < place);
        before.push(length.checked_sub(1).map(|shorter| ends[shorter]));
        if length == ends.len() {
            ends.push(at);
        } else {
            ends[length] = at;
        }
    }
    let last = ends.last().copied();
    std::iter::successors(last, |&at| before[at]).collect()
}

/// `[edit interfaces ge-0/0/0]`
pub fn banner(path: &[String]) -> String {
    let mut words = vec!["edit".to_owned()];
    words.extend_from_slice(path);
    format!("[{}]", words.join(" "))
}

fn signed(sign: &str, text: &str, out: &mut String) {
    for line in text.lines() {
        out.push_str(sign);
        out.push_str(line);
        out.push('\n');
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

    /// S11: added, deleted, changed and deactivated statements, each below the banner of its level.
    #[test]
    fn differences_are_printed_as_a_patch() {
        let old = configured(
            "set system host-name old
             set system domain-name example.net
             set interfaces ge-0/0/0 unit 0 description here
             set interfaces ge-0/0/1 disable",
        );
        let new = configured(
            "set system host-name new
             set system ntp server 192.0.2.1
             set interfaces ge-0/0/0 unit 0 description there
             set interfaces ge-0/0/1 disable
             deactivate interfaces ge-0/0/1
             set interfaces ae11 unit 0 description Test",
        );
        assert_eq!(
            compare(&old, &new),
            "[edit system]
-  host-name old;
+  host-name new;
-   domain-name example.net;
+   ntp {
+       server 192.0.2.1;
+   }
[edit interfaces]
!   inactive: ge-0/0/1;
+   ae11 {
+       unit 0 {
+           description Test;
+       }
+   }
[edit interfaces ge-0/0/0 unit 0]
-  description here;
+  description there;
"
        );
        assert_eq!(compare(&new, &new), "");
    }

    /// S11: values of one statement are shown together, entries of a grouped list at a level of their own, families
    /// by their whole name.
    #[test]
    fn lists_are_shown_as_a_device_shows_them() {
        let old = configured(
            "set system name-server 192.0.2.1
             set policy-options community c members [ 1:1 1:2 ]
             set interfaces ge-0/0/0 unit 0 family inet mtu 1500",
        );
        let new = configured(
            "set system name-server 192.0.2.1
             set system name-server 192.0.2.2
             protect system name-server 192.0.2.1
             set policy-options community c members [ 1:1 1:3 ]
             set interfaces ge-0/0/0 unit 0 family inet mtu 1400
             set interfaces ge-0/0/0 unit 0 family inet6",
        );
        assert_eq!(
            compare(&old, &new),
            "[edit system name-server]
!   protect: name-server 192.0.2.1;
+   192.0.2.2;
[edit interfaces ge-0/0/0 unit 0]
+   family inet6;
[edit interfaces ge-0/0/0 unit 0 family inet]
-  mtu 1500;
+  mtu 1400;
[edit policy-options community c]
-  members [ 1:1 1:2 ];
+  members [ 1:1 1:3 ];
"
        );
    }

    /// S11: an entry that was moved is named below the one that it follows now.
    #[test]
    fn moved_entries_are_named() {
        let term = |names: &str| -> String {
            let lines = names
                .chars()
                .map(|name| format!("set policy-options policy-statement p term {name} then accept"));
            lines.collect::<Vec<_>>().join("\n")
        };
        let (old, new) = (configured(&term("abcd")), configured(&term("bcad")));
        assert_eq!(
            compare(&old, &new),
            "[edit policy-options policy-statement p]\n     term c { ... }\n!    term a { ... }\n"
        );
        let new = configured(&term("dabc"));
        assert_eq!(
            compare(&old, &new),
            "[edit policy-options policy-statement p]\n!    term d { ... }\n"
        );
    }

    /// S11, S12: entries of a grouped list have an order as well, and values of one statement.
    #[test]
    fn moved_entries_of_a_group_are_named() {
        let servers = |lasts: &str| -> Node {
            let lines = lasts
                .chars()
                .map(|last| format!("set system name-server 192.0.2.{last}"));
            configured(&lines.collect::<Vec<_>>().join("\n"))
        };
        let old = servers("1234");
        assert_eq!(
            compare(&old, &servers("2314")),
            "[edit system name-server]\n     192.0.2.3;\n!    192.0.2.1;\n"
        );
        assert_eq!(
            compare(&old, &servers("4123")),
            "[edit system name-server]\n!    192.0.2.4;\n"
        );
        assert_eq!(
            compare(&old, &servers("5214")),
            "[edit system name-server]\n-   192.0.2.3;\n+   192.0.2.5;\n     192.0.2.5;\n!    192.0.2.2;\n"
        );
        assert_eq!(compare(&old, &servers("1234")), "");
        let members =
            |values: &str| configured(&format!("set policy-options community c members [ {values} ]"));
        assert_eq!(
            compare(&members("1:1 1:2"), &members("1:2 1:1")),
            "[edit policy-options community c]\n-  members [ 1:1 1:2 ];\n+  members [ 1:2 1:1 ];\n"
        );
    }
}
