//! What differs between two configurations, in the patch form that `show | compare` prints.

use super::schema::Kind;
use super::text::render_statement;
use super::tree::Node;

/// The changes that lead from `old` to `new`; empty where there are none.
pub fn compare(old: &Node, new: &Node) -> String {
    let mut out = String::new();
    level(old, new, &mut Vec::new(), &mut out);
    out
}

fn level(old: &Node, new: &Node, path: &mut Vec<String>, out: &mut String) {
    let mut lines = String::new();
    for before in &old.children {
        match new.find(before.statement, &before.argument) {
            None => signed("-   ", &render_statement(before), &mut lines),
            Some(after) if before.inactive != after.inactive => {
                let turned = if after.inactive { "inactive" } else { "active" };
                let mut words = before.words().join(" ");
                if matches!(before.statement.kind, Kind::Leaf | Kind::LeafList) {
                    words = format!("{words} {}", before.argument);
                }
                lines.push_str(&format!("!   {turned}: {words};\n"));
            }
            Some(after) if before.statement.kind == Kind::Leaf && before.argument != after.argument => {
                signed("-  ", &render_statement(before), &mut lines);
                signed("+  ", &render_statement(after), &mut lines);
            }
            Some(_) => {}
        }
    }
    for after in &new.children {
        if old.find(after.statement, &after.argument).is_none() {
            signed("+   ", &render_statement(after), &mut lines);
        }
    }
    if !lines.is_empty() {
        out.push_str(&banner(path));
        out.push('\n');
        out.push_str(&lines);
    }
    for before in &old.children {
        if let Some(after) = new.find(before.statement, &before.argument) {
            let words = before.words().into_iter().map(str::to_owned);
            let depth = path.len();
            path.extend(words);
            level(before, after, path, out);
            path.truncate(depth);
        }
    }
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
}
