//! Curly text: what `show configuration` and `format="text"` print.

use super::schema::{Kind, Style};
use super::set::quoted;
use super::tree::Node;

/// Columns per level.
const INDENT: usize = 4;

/// The statements below `root` as curly text, each line ended by a newline.
pub fn render(root: &Node) -> String {
    let mut out = String::new();
    statements(&root.children, 0, &mut out);
    out
}

/// One statement as curly text, beginning at column 0.
pub fn render_statement(node: &Node) -> String {
    let mut out = String::new();
    statements(std::slice::from_ref(node), 0, &mut out);
    out
}

fn statements(nodes: &[Node], level: usize, out: &mut String) {
    let mut rest = nodes;
    while let Some(first) = rest.first() {
        // Values of one leaf-list, and entries of one grouped list, stand together.
        let valued = first.statement.kind == Kind::LeafList;
        let run = rest
            .iter()
            .take_while(|node| node.statement.name == first.statement.name)
            .take_while(|node| !valued || flags(node) == flags(first))
            .count();
        let (together, others) = rest.split_at(run);
        match (first.statement.kind, first.statement.style) {
            (Kind::LeafList, _) => values(together, level, out),
            (Kind::List { .. }, Style::Grouped) => {
                line(level, first.statement.name, " {", out);
                for node in together {
                    block(node, &entry_head(node), level + 1, out);
                }
                line(level, "}", "", out);
            }
            (_, Style::Prefix) => {
                for (node, child) in together
                    .iter()
                    .flat_map(|n| n.children.iter().map(move |child| (n, child)))
                {
                    let flags = merged_flags(node, child);
                    let head = format!("{flags}{} {}", bare_head(node), bare_head(child));
                    block(child, &head, level, out);
                }
            }
            _ => {
                for node in together {
                    statement(node, level, out);
                }
            }
        }
        rest = others;
    }
}

/// `members a;`, or `members [ a b ];`.
fn values(nodes: &[Node], level: usize, out: &mut String) {
    let Some(first) = nodes.first() else { return };
    let all: Vec<_> = nodes.iter().map(|node| quoted(&node.argument)).collect();
    let shown = if all.len() == 1 {
        all.concat()
    } else {
        format!("[ {} ]", all.join(" "))
    };
    line(
        level,
        &format!("{}{} {shown}", flags(first), first.statement.name),
        ";",
        out,
    );
}

fn statement(node: &Node, level: usize, out: &mut String) {
    match node.statement.kind {
        Kind::Leaf | Kind::LeafList | Kind::Flag => line(level, &inline(node), ";", out),
        Kind::Container | Kind::Presence | Kind::List { .. } => block(node, &head(node), level, out),
    }
}

/// A statement that holds others: `head;` when it is empty, `head child;` when it may stand on one line, or a block.
fn block(node: &Node, head: &str, level: usize, out: &mut String) {
    match one_line(node) {
        Some(rest) => line(level, &format!("{head} {rest}"), ";", out),
        None if node.children.is_empty() => line(level, head, ";", out),
        None => {
            line(level, head, " {", out);
            statements(&node.children, level + 1, out);
            line(level, "}", "", out);
        }
    }
}

/// The single value of a one-line statement, where it has exactly one.
fn one_line(node: &Node) -> Option<String> {
    let contents = node.statement.style == Style::Unnamed
        && node
            .statement
            .children()
            .iter()
            .all(|child| child.kind == Kind::Flag)
        && !node.statement.children().is_empty();
    if node.statement.style != Style::OneLine && !contents {
        return None;
    }
    match node.children.as_slice() {
        [only] if !only.statement.holds_statements() && !only.inactive => Some(inline(only)),
        _ => None,
    }
}

/// A statement without statements below: `mtu 9000`, `disable`, `65001`.
fn inline(node: &Node) -> String {
    let mut text = head(node);
    let valued = matches!(node.statement.kind, Kind::Leaf | Kind::LeafList);
    if valued && node.statement.style != Style::Unnamed {
        text.push(' ');
        text.push_str(&quoted(&node.argument));
    }
    text
}

fn head(node: &Node) -> String {
    format!("{}{}", flags(node), bare_head(node))
}

fn bare_head(node: &Node) -> String {
    let words: Vec<_> = node.words().into_iter().map(quoted).collect();
    words.join(" ")
}

fn entry_head(node: &Node) -> String {
    format!("{}{}", flags(node), quoted(&node.argument))
}

/// The words in front of a statement.
fn flags(node: &Node) -> &'static str {
    written(node.protected, node.inactive)
}

/// Those of a statement that is written as one with the prefix before it.
fn merged_flags(prefix: &Node, node: &Node) -> &'static str {
    written(
        prefix.protected || node.protected,
        prefix.inactive || node.inactive,
    )
}

fn written(protected: bool, inactive: bool) -> &'static str {
    match (protected, inactive) {
        (false, false) => "",
        (false, true) => "inactive: ",
        (true, false) => "protect: ",
        (true, true) => "protect: inactive: ",
    }
}

fn line(level: usize, text: &str, end: &str, out: &mut String) {
    out.extend(std::iter::repeat_n(' ', level * INDENT));
    out.push_str(text);
    out.push_str(end);
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use super::super::set;
    use super::*;

    /// S11: the curly form of every style of statement.
    #[test]
    fn every_style_of_statement_has_its_curly_form() {
        let mut root = Node::root();
        set::apply(
            &mut root,
            "set version 21.4R3-S5.4
             set system host-name mx1
             set system name-server 192.0.2.53
             set system name-server 192.0.2.54
             set system services ssh
             set system services netconf ssh port 830
             set system syslog file messages any notice
             set system syslog file messages daemon info
             set interfaces ge-0/0/0 description \"to mx2\"
             set interfaces ge-0/0/0 unit 0 family inet address 198.51.100.1/31
             set interfaces ge-0/0/1 disable
             deactivate interfaces ge-0/0/1
             set routing-options autonomous-system 65001
             set routing-options static route 0.0.0.0/0 next-hop 192.0.2.1
             set policy-options prefix-list own 203.0.113.0/24
             set policy-options policy-statement out term 1 from protocol [ static direct ]
             set policy-options policy-statement out term 1 from route-filter 10.0.0.0/8 exact
             set policy-options policy-statement out term 1 then accept",
        )
        .unwrap();
        assert_eq!(
            render(&root),
            "version 21.4R3-S5.4;
system {
    host-name mx1;
    name-server {
        192.0.2.53;
        192.0.2.54;
    }
    services {
        ssh;
        netconf {
            ssh {
                port 830;
            }
        }
    }
    syslog {
        file messages {
            any notice;
            daemon info;
        }
    }
}
interfaces {
    ge-0/0/0 {
        description \"to mx2\";
        unit 0 {
            family inet {
                address 198.51.100.1/31;
            }
        }
    }
    inactive: ge-0/0/1 {
        disable;
    }
}
routing-options {
    autonomous-system 65001;
    static {
        route 0.0.0.0/0 next-hop 192.0.2.1;
    }
}
policy-options {
    prefix-list own {
        203.0.113.0/24;
    }
    policy-statement out {
        term 1 {
            from {
                protocol [ static direct ];
                route-filter 10.0.0.0/8 exact;
            }
            then accept;
        }
    }
}
"
        );
    }
}
