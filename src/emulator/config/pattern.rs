//! `replace pattern`: a regular expression over the words of a configuration.

use regex::{Regex, RegexBuilder};

use super::tree::Node;
use crate::emulator::device_error::DeviceError;

/// Largest compiled size of an expression, in bytes.
const EXPRESSION_BYTES: usize = 1 << 18;

/// What is looked for, and what takes its place.
#[derive(Clone, Debug)]
pub struct Pattern {
    expression: Regex,
    with: String,
    upto: Option<usize>,
}

impl Pattern {
    /// A pattern; `upto` is how many occurrences of each word it replaces, all if there is none.
    ///
    /// # Errors
    /// What the device says to an expression that is none.
    pub fn new(expression: &str, with: &str, upto: Option<usize>) -> Result<Self, DeviceError> {
        let expression = RegexBuilder::new(expression)
            .size_limit(EXPRESSION_BYTES)
            .build()
            .map_err(|_| DeviceError::new("invalid regular expression").element(expression))?;
        // `\1` is how the CLI writes what `${1}` is to us.
        let mut template = String::new();
        let mut characters = with.chars();
        while let Some(c) = characters.next() {
            match c {
                '$' => template.push_str("$$"),
                '\\' => match characters.next() {
                    Some(digit) if digit.is_ascii_digit() => template.push_str(&format!("${{{digit}}}")),
                    Some(other) => template.push(other),
                    None => {}
                },
                other => template.push(other),
            }
        }
        Ok(Self {
            expression,
            with: template,
            upto,
        })
    }

    /// Replaces in every key and value below `node`. What is protected is told and left alone.
    pub fn apply(&self, node: &mut Node) -> Vec<DeviceError> {
        let mut problems = Vec::new();
        for child in &mut node.children {
            problems.extend(self.replace(child, &mut Vec::new()));
        }
        problems
    }

    /// The same for a node and what is below; `path` leads to its level.
    pub fn replace(&self, node: &mut Node, path: &mut Vec<String>) -> Vec<DeviceError> {
        let depth = path.len();
        path.extend(node.words().into_iter().map(str::to_owned));
        let mut problems = Vec::new();
        if node.protected && self.touches(node) {
            let message = format!(
                "[{}] is protected, its pattern cannot be replaced",
                path.join(" ")
            );
            problems.push(DeviceError::warning(message));
        } else {
            let limit = self.upto.unwrap_or(0);
            let argument = self
                .expression
                .replacen(&node.argument, limit, self.with.as_str());
            node.argument = argument.into_owned();
            for child in &mut node.children {
                problems.extend(self.replace(child, path));
            }
        }
        path.truncate(depth);
        problems
    }

    fn touches(&self, node: &Node) -> bool {
        self.expression.is_match(&node.argument) || node.children.iter().any(|child| self.touches(child))
    }
}

#[cfg(test)]
mod tests {
    use super::super::set;
    use super::*;

    fn replaced(commands: &str, pattern: &Pattern) -> String {
        let mut root = Node::root();
        set::apply(&mut root, commands).unwrap();
        pattern.apply(&mut root);
        set::render(&root)
    }

    /// S12: keys and values alike, with groups of the expression, as often as it says.
    #[test]
    fn keys_and_values_are_replaced() {
        let commands = "set interfaces ge-0/0/0 unit 0\nset protocols ospf area 0.0.0.0 interface ge-0/0/0.0";
        let pattern = Pattern::new("ge-(\\d)/0/0", r"xe-\1/1/1", None).unwrap();
        assert_eq!(
            replaced(commands, &pattern),
            "set interfaces xe-0/1/1 unit 0\nset protocols ospf area 0.0.0.0 interface xe-0/1/1.0\n"
        );
        let once = Pattern::new("a", "$", Some(1)).unwrap();
        assert_eq!(
            replaced("set system domain-name aaa", &once),
            "set system domain-name \"$aa\"\n"
        );
        assert!(Pattern::new("(", "", None).is_err());
    }

    /// S12: what is protected is told and left alone; what is beside it is replaced.
    #[test]
    fn protected_statements_are_passed_over() {
        let mut root = Node::root();
        set::apply(
            &mut root,
            "set snmp contact a\nset system host-name a\nprotect system",
        )
        .unwrap();
        let told = Pattern::new("a", "b", None).unwrap().apply(&mut root);
        assert_eq!(told.len(), 1);
        assert_eq!(
            &*told[0].message,
            "[system] is protected, its pattern cannot be replaced"
        );
        assert_eq!(
            set::render(&root),
            "set system host-name a\nprotect system\nset snmp contact b\n"
        );
    }
}
