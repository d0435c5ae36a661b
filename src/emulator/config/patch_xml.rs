//! Changes written as XML: the body of `<load-configuration>` and of `<edit-config>`, with the attributes of both.

use super::compare::banner;
use super::patch::{Act, Patch, Place};
use super::pattern::Pattern;
use super::schema::{Kind, Statement};
use crate::emulator::device_error::DeviceError;
use crate::xml::tree::{Attribute, Element};

/// The patches below `element`, which stands for `statement`, and what was wrong with it. `act` is what happens to
/// elements that carry no operation of their own (`default-operation` of RFC 6241 section 7.2).
pub fn patches(statement: &'static Statement, element: &Element, act: Act) -> (Vec<Patch>, Vec<DeviceError>) {
    let mut reading = Reading {
        path: Vec::new(),
        problems: Vec::new(),
    };
    let act = operation(element).unwrap_or(act);
    let mut patches = reading.below(statement, element, act);
    if let Some(pattern) = reading.pattern(element) {
        // At the root it is looked for in all there is.
        patches.extend(statement.children().iter().map(|child| {
            let mut patch = Patch::new(child, None, Act::Touch);
            patch.pattern = Some(pattern.clone());
            patch
        }));
    }
    (patches, reading.problems)
}

struct Reading {
    path: Vec<String>,
    problems: Vec<DeviceError>,
}

impl Reading {
    fn below(&mut self, statement: &'static Statement, element: &Element, act: Act) -> Vec<Patch> {
        // What is replaced or created as a whole needs no word for each part.
        let act = match act {
            Act::Touch => Act::Touch,
            Act::Merge | Act::Replace | Act::Create | Act::Delete | Act::Remove => Act::Merge,
        };
        let inside = element
            .children()
            .filter(|child| statement.key() != Some(&child.local));
        inside
            .filter_map(|child| self.one(statement, child, act))
            .collect()
    }

    fn one(&mut self, parent: &'static Statement, element: &Element, act: Act) -> Option<Patch> {
        let Some(statement) = parent.child(&element.local) else {
            self.wrong("syntax error", &element.local);
            return None;
        };
        if let Some(word) = unknown_operation(element) {
            let message = format!("invalid value '{word}' for attribute operation");
            self.wrong(&message, &element.local);
            return None;
        }
        let pattern = self.pattern(element);
        let act = match (operation(element), &pattern) {
            (Some(act), _) => act,
            // Nothing is added where something is replaced.
            (None, Some(_)) => Act::Touch,
            (None, None) => act,
        };
        let argument = match statement.kind {
            Kind::List { key } => element.child(key).map(Element::text),
            Kind::Leaf | Kind::LeafList => Some(element.text()),
            Kind::Container | Kind::Presence | Kind::Flag => Some(String::new()),
        };
        let argument = argument.filter(|argument| !argument.is_empty() || !statement.takes_argument());
        let deletes = matches!(act, Act::Delete | Act::Remove);
        if argument.is_none() && !deletes && act != Act::Touch {
            self.wrong("missing argument", statement.key().unwrap_or(statement.name));
            return None;
        }
        let mut patch = Patch::new(statement, argument, act);
        patch.pattern = pattern;
        for attribute in &element.attributes {
            self.attribute(&mut patch, element, attribute);
        }
        if !deletes && statement.holds_statements() {
            let depth = self.path.len();
            let mut words = vec![statement.name.to_owned()];
            words.extend(patch.argument.clone().filter(|argument| !argument.is_empty()));
            if statement.style == super::schema::Style::Unnamed {
                words.remove(0);
            }
            self.path.append(&mut words);
            patch.children = self.below(statement, element, act);
            self.path.truncate(depth);
        }
        Some(patch)
    }

    /// What `replace-pattern`, `with` and `upto` ask for.
    fn pattern(&mut self, element: &Element) -> Option<Pattern> {
        let expression = element.attribute("replace-pattern")?;
        let with = element.attribute("with").unwrap_or_default();
        let upto = element.attribute("upto").map(str::parse::<usize>);
        if let Some(Err(_)) = upto {
            self.wrong("invalid value for attribute upto", &element.local);
            return None;
        }
        match Pattern::new(expression, with, upto.and_then(Result::ok)) {
            Ok(pattern) => Some(pattern),
            Err(error) => {
                self.problems.push(error);
                None
            }
        }
    }

    fn attribute(&mut self, patch: &mut Patch, element: &Element, attribute: &Attribute) {
        let key = patch.statement.key().unwrap_or("name");
        match attribute.local.as_str() {
            "inactive" => patch.inactive = Some(attribute.value != "false"),
            "active" => patch.inactive = Some(attribute.value == "false"),
            "protect" => patch.protect = Some(true),
            "unprotect" => patch.protect = Some(false),
            "rename" => patch.rename = element.attribute(key).map(str::to_owned),
            "insert" => {
                let referent = || referent(element, key);
                patch.place = match attribute.value.as_str() {
                    "first" => Some(Place::First),
                    "last" => Some(Place::Last),
                    "before" => Some(Place::Before(referent())),
                    "after" => Some(Place::After(referent())),
                    other => {
                        let message = format!("invalid value '{other}' for attribute insert");
                        self.wrong(&message, &element.local);
                        None
                    }
                };
            }
            // Seen to elsewhere, or without a meaning for what is configured.
            _ => {}
        }
    }

    fn wrong(&mut self, message: &str, bad_element: &str) {
        self.problems.push(
            DeviceError::new(message)
                .at(banner(&self.path))
                .element(bad_element),
        );
    }
}

/// The entry that `insert` names: by its key as Junos has it, or by `key` or `value` of RFC 7950 section 7.8.6.
fn referent(element: &Element, key: &str) -> String {
    let quoted = |text: &str| text.split(['\'', '"']).nth(1).map(str::to_owned);
    let by_key = || element.attribute("key").and_then(quoted);
    let by_value = || element.attribute("value").map(str::to_owned);
    let own = element.attribute(key).map(str::to_owned);
    own.or_else(by_key).or_else(by_value).unwrap_or_default()
}

/// Values of the attribute `operation`, and what they ask for (RFC 6241 section 7.2).
const OPERATIONS: &[(&str, Act)] = &[
    ("merge", Act::Merge),
    ("replace", Act::Replace),
    ("create", Act::Create),
    ("delete", Act::Delete),
    ("remove", Act::Remove),
    ("none", Act::Touch),
];

fn unknown_operation(element: &Element) -> Option<&str> {
    let given = element.attribute("operation")?;
    let known = OPERATIONS.iter().any(|(name, _)| *name == given);
    (!known).then_some(given)
}

/// What the attributes `operation` of RFC 6241, `delete`, `replace` and the like of Junos ask for.
fn operation(element: &Element) -> Option<Act> {
    let named = |name: &str| {
        let mut attributes = element.attributes.iter();
        attributes
            .find(|attribute| attribute.local == name)
            .map(|attribute| attribute.value.as_str())
    };
    if let Some(given) = named("operation")
        && let Some((_, act)) = OPERATIONS.iter().find(|(name, _)| *name == given)
    {
        return Some(*act);
    }
    if named("delete") == Some("delete") {
        Some(Act::Delete)
    } else if named("replace") == Some("replace") {
        Some(Act::Replace)
    } else if named("rename").is_some() {
        Some(Act::Touch)
    } else {
        None
    }
}
