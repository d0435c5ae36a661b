//! Set commands: what `format="set"` shows, and how configuration data is fed in.

use super::schema::{Kind, Statement, Style};
use super::tree::Node;

/// Why a command was refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum SetError {
    /// The first word is none of `set`, `delete`, `deactivate`, `activate`.
    #[error("unknown command {0:?}")]
    Command(String),
    /// No such statement at this level.
    #[error("syntax error at {word:?} in {line:?}")]
    Syntax {
        /// The word that fits nowhere.
        word: String,
        /// The command it stands in.
        line: String,
    },
    /// A key or a value is missing at the end.
    #[error("missing argument at the end of {0:?}")]
    Missing(String),
    /// What is to be deleted or deactivated is not there.
    #[error("statement not found: {0:?}")]
    NotFound(String),
    /// A quotation mark is never closed.
    #[error("unbalanced quotation marks in {0:?}")]
    Quotes(String),
}

/// One step of a path: a statement and its argument (empty where it takes none). Without an argument, which only the
/// last step may be, it stands for all nodes of the statement.
type Step = (&'static Statement, Option<String>);

/// Whether the node is what the step leads to.
fn leads_to((statement, argument): &Step, node: &Node) -> bool {
    node.statement.name == statement.name
        && argument
            .as_ref()
            .is_none_or(|argument| node.is(statement, argument))
}

/// Applies commands, one per line; empty lines and lines that begin with `#` are passed over.
///
/// # Errors
/// The first command that cannot be applied; those before it stay applied.
pub fn apply(root: &mut Node, commands: &str) -> Result<(), SetError> {
    for line in commands.lines().map(str::trim) {
        if !line.is_empty() && !line.starts_with('#') {
            apply_line(root, line)?;
        }
    }
    Ok(())
}

fn apply_line(root: &mut Node, line: &str) -> Result<(), SetError> {
    let words = words(line)?;
    let Some((command, path)) = words.split_first() else {
        return Ok(());
    };
    match command.as_str() {
        "set" => {
            for steps in paths(root.statement, path, line)? {
                let mut node = &mut *root;
                for (statement, argument) in steps {
                    let argument = argument.ok_or_else(|| SetError::Missing(line.to_owned()))?;
                    node = node.ensure(statement, &argument);
                }
            }
            Ok(())
        }
        "delete" => paths(root.statement, path, line)?
            .into_iter()
            .try_for_each(|steps| {
                if delete(root, &steps) {
                    Ok(())
                } else {
                    Err(not_found(line))
                }
            }),
        "deactivate" | "activate" => {
            let inactive = command == "deactivate";
            let switched = paths(root.statement, path, line)?
                .iter()
                .all(|steps| switch(root, steps, inactive));
            if switched { Ok(()) } else { Err(not_found(line)) }
        }
        other => Err(SetError::Command(other.to_owned())),
    }
}

fn not_found(line: &str) -> SetError {
    SetError::NotFound(line.to_owned())
}

/// The words of a command; quoted ones without their quotes.
pub fn words(line: &str) -> Result<Vec<String>, SetError> {
    let mut words = Vec::new();
    let mut characters = line.chars().peekable();
    while let Some(&next) = characters.peek() {
        if next.is_whitespace() {
            characters.next();
            continue;
        }
        let mut word = String::new();
        if next == '"' {
            characters.next();
            loop {
                match characters.next() {
                    Some('"') => break,
                    Some('\\') => word.extend(characters.next()),
                    Some(other) => word.push(other),
                    None => return Err(SetError::Quotes(line.to_owned())),
                }
            }
        } else {
            while let Some(other) = characters.next_if(|c| !c.is_whitespace()) {
                word.push(other);
            }
        }
        words.push(word);
    }
    Ok(words)
}

/// The paths that a command names: one, or one per value of `[ a b ]`.
fn paths(root: &'static Statement, words: &[String], line: &str) -> Result<Vec<Vec<Step>>, SetError> {
    let mut steps: Vec<Step> = Vec::new();
    let mut statement = root;
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let syntax = || SetError::Syntax {
            word: word.clone(),
            line: line.to_owned(),
        };
        let named = statement
            .child(word)
            .filter(|child| child.style != Style::Unnamed);
        let child = match named {
            Some(child) => child,
            None => {
                let unnamed = statement
                    .children()
                    .iter()
                    .find(|child| child.style == Style::Unnamed);
                let child = unnamed.ok_or_else(syntax)?;
                steps.push((child, Some(word.clone())));
                statement = child;
                continue;
            }
        };
        statement = child;
        if !child.takes_argument() {
            steps.push((child, Some(String::new())));
            continue;
        }
        let Some(argument) = words.next() else {
            steps.push((child, None));
            break;
        };
        if child.kind == Kind::LeafList && argument == "[" {
            let values = words.by_ref().take_while(|word| *word != "]");
            return Ok(values
                .map(|value| {
                    let mut path = steps.clone();
                    path.push((child, Some(value.clone())));
                    path
                })
                .collect());
        }
        steps.push((child, Some(argument.clone())));
    }
    Ok(vec![steps])
}

/// Activates or deactivates what is at the path. Tells whether there was anything.
fn switch(node: &mut Node, steps: &[Step], inactive: bool) -> bool {
    let Some((step, rest)) = steps.split_first() else {
        return false;
    };
    let mut found = false;
    for child in node.children.iter_mut().filter(|child| leads_to(step, child)) {
        found |= rest.is_empty() || switch(child, rest, inactive);
        if rest.is_empty() {
            child.inactive = inactive;
        }
    }
    found
}

/// Removes what is at the path, and every plain container that thereby became empty. Tells whether there was anything.
fn delete(node: &mut Node, steps: &[Step]) -> bool {
    let Some((step, rest)) = steps.split_first() else {
        node.children.clear();
        return true;
    };
    let mut found = false;
    node.children.retain_mut(|child| {
        if !leads_to(step, child) {
            return true;
        }
        if rest.is_empty() {
            found = true;
            return false;
        }
        let deleted = delete(child, rest);
        found |= deleted;
        !(deleted && child.children.is_empty() && child.statement.kind == Kind::Container)
    });
    found
}

/// The configuration as set commands, one per line, each ended by a newline.
pub fn render(root: &Node) -> String {
    let mut out = String::new();
    for child in &root.children {
        commands(child, "", &mut out);
    }
    out
}

fn commands(node: &Node, path: &str, out: &mut String) {
    let mut path = path.to_owned();
    for word in node.words() {
        path.push(' ');
        path.push_str(&quoted(word));
    }
    let before = out.len();
    match node.statement.kind {
        Kind::Leaf | Kind::LeafList => {
            out.push_str("set");
            out.push_str(&path);
            if node.statement.style != Style::Unnamed {
                out.push(' ');
                out.push_str(&quoted(&node.argument));
            }
            out.push('\n');
        }
        Kind::Flag => push_command(out, "set", &path),
        Kind::Container | Kind::Presence | Kind::List { .. } => {
            for child in &node.children {
                commands(child, &path, out);
            }
            if out.len() == before {
                push_command(out, "set", &path);
            }
        }
    }
    if node.inactive {
        push_command(out, "deactivate", &path);
    }
}

fn push_command(out: &mut String, command: &str, path: &str) {
    out.push_str(command);
    out.push_str(path);
    out.push('\n');
}

/// A word as a device prints it: quoted where it holds blanks, quotes or other characters of the grammar.
pub fn quoted(word: &str) -> String {
    let plain = !word.is_empty()
        && word
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "-_./:*+@%,<>=^".contains(c));
    if plain {
        return word.to_owned();
    }
    let mut out = String::with_capacity(word.len() + 2);
    out.push('"');
    for c in word.chars() {
        if c == '"' || c == '\\' {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn configured(commands: &str) -> Node {
        let mut root = Node::root();
        apply(&mut root, commands).unwrap();
        root
    }

    /// S11: what goes in as set commands comes out as the same commands, in the device's order.
    #[test]
    fn set_commands_survive_a_round_trip() {
        let commands = "set version 21.4R3-S5.4\n\
            set system host-name mx1\n\
            set system name-server 192.0.2.53\n\
            set system login user admin class super-user\n\
            set system services ssh\n\
            set system services netconf ssh port 830\n\
            set system syslog file messages any notice\n\
            set interfaces ge-0/0/0 description \"to mx2, port 0\"\n\
            set interfaces ge-0/0/0 unit 0 family inet address 198.51.100.1/31\n\
            set interfaces ge-0/0/1 disable\n\
            deactivate interfaces ge-0/0/1\n\
            set routing-options autonomous-system 65001\n\
            set routing-options static route 0.0.0.0/0 next-hop 192.0.2.1\n\
            set policy-options policy-statement out term 1 from route-filter 10.0.0.0/8 exact\n\
            set policy-options policy-statement out term 1 then accept\n\
            set policy-options community blue members 65001:1\n\
            set policy-options community blue members 65001:2\n";
        assert_eq!(render(&configured(commands)), commands);
    }

    #[test]
    fn brackets_set_several_values_at_once() {
        let root = configured("set policy-options community blue members [ 65001:1 65001:2 ]");
        assert_eq!(
            render(&root),
            "set policy-options community blue members 65001:1\n\
             set policy-options community blue members 65001:2\n"
        );
    }

    #[test]
    fn deleting_the_last_statement_of_a_container_deletes_the_container() {
        let mut root = configured("set system host-name mx1\nset interfaces ge-0/0/0 unit 0 description x");
        apply(&mut root, "delete interfaces ge-0/0/0").unwrap();
        assert_eq!(render(&root), "set system host-name mx1\n");
        assert_eq!(
            apply(&mut root, "delete snmp"),
            Err(SetError::NotFound("delete snmp".into()))
        );
    }

    #[test]
    fn a_statement_without_its_value_stands_for_all_of_them() {
        let mut root = configured(
            "set system name-server 192.0.2.1\nset system name-server 192.0.2.2\nset snmp contact me",
        );
        apply(&mut root, "deactivate system name-server").unwrap();
        assert!(
            root.child("system")
                .unwrap()
                .children
                .iter()
                .all(|child| child.inactive)
        );
        apply(&mut root, "delete system name-server\ndelete snmp contact").unwrap();
        assert_eq!(render(&root), "");
    }

    #[test]
    fn an_unknown_statement_is_a_syntax_error_that_names_the_word() {
        let error = apply(&mut Node::root(), "set system hostname mx1").unwrap_err();
        let line = "set system hostname mx1".to_owned();
        assert_eq!(
            error,
            SetError::Syntax {
                word: "hostname".into(),
                line
            }
        );
        let error = apply(&mut Node::root(), "set system host-name").unwrap_err();
        assert_eq!(error, SetError::Missing("set system host-name".into()));
    }
}
