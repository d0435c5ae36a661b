//! JSON as it is written: with members that are there twice, and numbers that no machine holds.

use std::fmt::Write;

/// A JSON value with the spelling of its numbers, and all members in order.
#[derive(Debug, Clone, PartialEq)]
pub enum Written {
    Null,
    Bool(bool),
    /// The digits.
    Number(String),
    Text(String),
    List(Vec<Written>),
    Object(Vec<(String, Written)>),
}

impl Written {
    /// The JSON text. A name that is there again is written with an escape, which does not make it another name.
    pub fn text(&self) -> String {
        let mut out = String::new();
        self.write(&mut out);
        out
    }

    fn write(&self, out: &mut String) {
        match self {
            Self::Null => out.push_str("null"),
            Self::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
            Self::Number(digits) => out.push_str(digits),
            Self::Text(text) => out.push_str(&quoted(text)),
            Self::List(items) => {
                out.push('[');
                for (index, item) in items.iter().enumerate() {
                    out.push_str(if index > 0 { "," } else { "" });
                    item.write(out);
                }
                out.push(']');
            }
            Self::Object(members) => {
                out.push('{');
                for (index, (name, value)) in members.iter().enumerate() {
                    out.push_str(if index > 0 { ",\n" } else { "" });
                    let known = members[..index].iter().any(|(known, _)| known == name);
                    match (known, name.chars().next()) {
                        (true, Some(first)) if first.is_ascii() => {
                            let rest = quoted(&name[1..]);
                            write!(out, "\"\\u{:04x}{}", u32::from(first), &rest[1..]).expect("a string");
                        }
                        _ => out.push_str(&quoted(name)),
                    }
                    out.push_str(": ");
                    value.write(out);
                }
                out.push('}');
            }
        }
    }

    /// Where a JSON pointer (RFC 6901) leads to; to the first of several members of the same name.
    pub fn pointer(&self, pointer: &str) -> Option<&Self> {
        let mut value = self;
        for step in pointer.split('/').skip(1) {
            let step = step.replace("~1", "/").replace("~0", "~");
            value = match value {
                Self::Object(members) => &members.iter().find(|(name, _)| *name == step)?.1,
                Self::List(items) => items.get(step.parse::<usize>().ok()?)?,
                Self::Null | Self::Bool(_) | Self::Number(_) | Self::Text(_) => return None,
            };
        }
        Some(value)
    }

    /// The pointer of the first member, in the order of the text, that was there before.
    pub fn twice(&self) -> Option<String> {
        let escaped = |name: &str| name.replace('~', "~0").replace('/', "~1");
        match self {
            Self::Object(members) => members.iter().enumerate().find_map(|(index, (name, value))| {
                let here = format!("/{}", escaped(name));
                if members[..index].iter().any(|(known, _)| known == name) {
                    return Some(here);
                }
                value.twice().map(|below| here + &below)
            }),
            Self::List(items) => {
                let mut items = items.iter().enumerate();
                items.find_map(|(index, item)| item.twice().map(|below| format!("/{index}{below}")))
            }
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::Text(_) => None,
        }
    }

    /// The value at this place in a walk through all of it, to be changed.
    pub fn nth(&mut self, place: &mut usize) -> Option<&mut Self> {
        if *place == 0 {
            return Some(self);
        }
        *place -= 1;
        match self {
            Self::Object(members) => members.iter_mut().find_map(|(_, value)| value.nth(place)),
            Self::List(items) => items.iter_mut().find_map(|item| item.nth(place)),
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::Text(_) => None,
        }
    }
}

fn quoted(text: &str) -> String {
    serde_json::to_string(text).expect("a string can be written")
}
