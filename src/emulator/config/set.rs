//! Set commands: what `format="set"` shows, and how configuration data is fed in.

use super::compare::banner;
use super::patch::{self, Act, Manner, Patch, Place};
use super::pattern::Pattern;
use super::schema::{Kind, Statement, Style};
use super::tree::Node;
use crate::emulator::device_error::DeviceError;

/// Why a command was refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum SetError {
    /// The first word is no command.
    #[error("unknown command {0:?}")]
    Command(String),
    /// No such statement at this level.
    #[error("syntax error at {word:?} in {line:?}")]
    Syntax {
        /// The word that fits nowhere.
        word: String,
        /// Words that lead to its level.
        level: Vec<String>,
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
    /// Well-formed, and refused all the same.
    #[error("{0}")]
    Refused(String),
}

impl SetError {
    /// The error as a device reports it.
    pub fn to_device_error(&self) -> DeviceError {
        match self {
            Self::Command(word) => DeviceError::new("unknown command.").element(word.as_str()),
            Self::Syntax { word, level, .. } => DeviceError::syntax(word.as_str()).at(banner(level)),
            Self::Missing(line) => DeviceError::new("missing argument.").element(last_word(line)),
            Self::NotFound(line) => DeviceError::warning("statement not found").element(last_word(line)),
            Self::Quotes(line) => DeviceError::new("missing end quote").element(last_word(line)),
            Self::Refused(message) => DeviceError::new(message.as_str()),
        }
    }
}

fn last_word(line: &str) -> &str {
    line.split_whitespace().next_back().unwrap_or_default()
}

/// One step of a path: a statement and its argument (empty where it takes none). Without an argument, which only the
/// last step may be, it stands for all nodes of the statement.
pub(super) type Step = (&'static Statement, Option<String>);

/// What one line asks for.
enum Command {
    Patches(Vec<Patch>),
    DeleteAll,
    Copy { path: Vec<Step>, to: String },
    Pattern(Pattern),
}

/// Applies commands, one per line; empty lines and lines that begin with `#` are passed over.
///
/// # Errors
/// The first command that cannot be applied; those before it stay applied.
pub fn apply(root: &mut Node, commands: &str) -> Result<(), SetError> {
    for line in lines(commands) {
        let problems = run(root, line)?;
        if let Some(problem) = problems.first() {
            return Err(if &*problem.message == "statement not found" {
                SetError::NotFound(line.to_owned())
            } else {
                SetError::Refused(problem.message.to_string())
            });
        }
    }
    Ok(())
}

/// Applies commands as a device loads them: those that it cannot apply are told, and the others stay applied.
pub fn load(root: &mut Node, commands: &str) -> Vec<DeviceError> {
    let mut problems = Vec::new();
    for line in lines(commands) {
        match run(root, line) {
            Ok(told) => problems.extend(told),
            Err(error) => problems.push(error.to_device_error()),
        }
    }
    problems
}

fn lines(commands: &str) -> impl Iterator<Item = &str> {
    let lines = commands.lines().map(str::trim);
    lines.filter(|line| !line.is_empty() && !line.starts_with('#'))
}

fn run(root: &mut Node, line: &str) -> Result<Vec<DeviceError>, SetError> {
    match command(root.statement, line)? {
        Command::Patches(patches) => Ok(patch::apply(root, &patches, Manner::REPLACE)),
        Command::DeleteAll => {
            root.clear();
            Ok(Vec::new())
        }
        Command::Copy { path, to } => Ok(copy(root, &path, &to).into_iter().collect()),
        Command::Pattern(pattern) => Ok(pattern.apply(root)),
    }
}

fn command(root: &'static Statement, line: &str) -> Result<Command, SetError> {
    let words = words(line)?;
    let Some((command, path)) = words.split_first() else {
        return Ok(Command::Patches(Vec::new()));
    };
    let chained = |path: &[String], act: Act, change: &dyn Fn(&mut Patch)| {
        let steps = paths(root, path, line)?;
        Ok(Command::Patches(
            steps
                .into_iter()
                .filter_map(|steps| chain(steps, act, change))
                .collect(),
        ))
    };
    // `insert PATH before KEY`, `rename PATH to KEY`; the name of the statement may stand before the key again.
    let tail = |keywords: &[&str]| {
        let at = path.iter().rposition(|word| keywords.contains(&word.as_str()));
        match at.map(|at| (&path[..at], path[at].as_str(), &path[at + 1..])) {
            Some((path, word, [key] | [_, key])) => Ok((path, word, key.clone())),
            Some(_) | None => Err(SetError::Missing(line.to_owned())),
        }
    };
    match command.as_str() {
        "set" => {
            let steps = paths(root, path, line)?;
            if steps.iter().flatten().any(|(_, argument)| argument.is_none()) {
                return Err(SetError::Missing(line.to_owned()));
            }
            chained(path, Act::Merge, &|_| {})
        }
        "delete" if path.is_empty() => Ok(Command::DeleteAll),
        "delete" => chained(path, Act::Delete, &|_| {}),
        "deactivate" => chained(path, Act::Touch, &|patch| patch.inactive = Some(true)),
        "activate" => chained(path, Act::Touch, &|patch| patch.inactive = Some(false)),
        "protect" => chained(path, Act::Touch, &|patch| patch.protect = Some(true)),
        "unprotect" => chained(path, Act::Touch, &|patch| patch.protect = Some(false)),
        "insert" => {
            let (path, word, key) = match path {
                [path @ .., word] if word == "first" || word == "last" => {
                    (path, word.as_str(), String::new())
                }
                _ => tail(&["before", "after"])?,
            };
            let place = match word {
                "first" => Place::First,
                "last" => Place::Last,
                "before" => Place::Before(key),
                _ => Place::After(key),
            };
            chained(path, Act::Touch, &|patch| patch.place = Some(place.clone()))
        }
        "rename" => {
            let (path, _, key) = tail(&["to"])?;
            chained(path, Act::Touch, &|patch| patch.rename = Some(key.clone()))
        }
        "copy" => {
            let (path, _, to) = tail(&["to"])?;
            let path = paths(root, path, line)?.pop().unwrap_or_default();
            Ok(Command::Copy { path, to })
        }
        "replace" => match path {
            [pattern, old, with, new] if pattern == "pattern" && with == "with" => {
                Pattern::new(old, new, None)
                    .map(Command::Pattern)
                    .map_err(|error| SetError::Refused(error.message.to_string()))
            }
            _ => Err(SetError::Missing(line.to_owned())),
        },
        other => Err(SetError::Command(other.to_owned())),
    }
}

/// The path as patches inside each other; what happens happens at its end.
pub(super) fn chain(steps: Vec<Step>, act: Act, change: &dyn Fn(&mut Patch)) -> Option<Patch> {
    let mut inner: Option<Patch> = None;
    for (statement, argument) in steps.into_iter().rev() {
        let outer_act = match act {
            Act::Merge | Act::Replace | Act::Create => Act::Merge,
            Act::Delete | Act::Remove | Act::Touch => Act::Touch,
        };
        let mut patch = Patch::new(statement, argument, if inner.is_none() { act } else { outer_act });
        match inner.take() {
            Some(below) => patch.children.push(below),
            None => change(&mut patch),
        }
        inner = Some(patch);
    }
    inner
}

/// Puts a copy of the entry at the path beside it, under another key.
fn copy(root: &mut Node, path: &[Step], to: &str) -> Option<DeviceError> {
    let not_found = || Some(DeviceError::warning("statement not found").element(to));
    let Some(((statement, argument), above)) = path.split_last() else {
        return not_found();
    };
    let mut parent = root;
    for (statement, argument) in above {
        let argument = argument.as_deref().unwrap_or_default();
        match parent
            .children
            .iter_mut()
            .find(|child| child.is(statement, argument))
        {
            Some(child) => parent = child,
            None => return not_found(),
        }
    }
    let Some(mut twin) = parent
        .find(statement, argument.as_deref().unwrap_or_default())
        .cloned()
    else {
        return not_found();
    };
    if !statement.repeats() || parent.find(statement, to).is_some() {
        return Some(DeviceError::new(format!("target statement '{to}' already exists")).element(to));
    }
    to.clone_into(&mut twin.argument);
    parent.insert(twin);
    None
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
pub(super) fn paths(
    root: &'static Statement,
    words: &[String],
    line: &str,
) -> Result<Vec<Vec<Step>>, SetError> {
    let mut steps: Vec<Step> = Vec::new();
    let mut statement = root;
    let mut rest = words.iter();
    while let Some(word) = rest.next() {
        let syntax = || SetError::Syntax {
            word: word.clone(),
            level: words[..words.len() - rest.len() - 1].to_vec(),
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
        let Some(argument) = rest.next() else {
            steps.push((child, None));
            break;
        };
        if child.kind == Kind::LeafList && argument == "[" {
            let values = rest.by_ref().take_while(|word| *word != "]");
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
    if node.statement.kind == Kind::LeafList && node.statement.style != Style::Unnamed {
        path.push(' ');
        path.push_str(&quoted(&node.argument));
    }
    if node.inactive {
        push_command(out, "deactivate", &path);
    }
    if node.protected {
        push_command(out, "protect", &path);
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
                level: vec!["system".into()],
                line
            }
        );
        let error = apply(&mut Node::root(), "set system host-name").unwrap_err();
        assert_eq!(error, SetError::Missing("set system host-name".into()));
    }
}
