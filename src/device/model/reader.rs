//! Reads objects out of a JSON tree and collects what is wrong with them, instead of stopping at the first fault.

use serde_json::{Map, Value};

use super::FieldFault;
use crate::json::pointer::child;
use crate::suggest;

/// More faults than this help nobody.
const MOST_FAULTS: usize = 64;

/// The faults found so far.
#[derive(Default)]
pub(super) struct Faults(Vec<FieldFault>);

impl Faults {
    pub(super) fn add(&mut self, pointer: impl Into<String>, detail: impl Into<String>) {
        if self.0.len() < MOST_FAULTS {
            self.0.push(FieldFault::new(pointer, detail));
        }
    }

    /// `value` if nothing was wrong.
    pub(super) fn into_result<T>(self, value: Option<T>) -> Result<T, Vec<FieldFault>> {
        match value {
            Some(value) if self.0.is_empty() => Ok(value),
            _ => Err(self.0),
        }
    }
}

/// One object being read. Members that nobody asked for are faults when it is finished.
pub(super) struct Object<'a> {
    members: Option<&'a Map<String, Value>>,
    pointer: String,
    known: Vec<&'static str>,
}

impl<'a> Object<'a> {
    /// An absent or null value reads as an object without members.
    pub(super) fn open(value: Option<&'a Value>, pointer: &str, faults: &mut Faults) -> Self {
        let members = match value {
            Some(Value::Object(members)) => Some(members),
            None | Some(Value::Null) => None,
            Some(other) => {
                faults.add(pointer, format!("must be an object, not {}", kind(other)));
                None
            }
        };
        Self {
            members,
            pointer: pointer.to_owned(),
            known: Vec::new(),
        }
    }

    pub(super) fn pointer(&self, name: &str) -> String {
        child(&self.pointer, name)
    }

    /// The member, unless it is absent or null.
    pub(super) fn get(&mut self, name: &'static str) -> Option<&'a Value> {
        self.known.push(name);
        self.members?.get(name).filter(|value| !value.is_null())
    }

    pub(super) fn object(&mut self, name: &'static str, faults: &mut Faults) -> Object<'a> {
        let value = self.get(name);
        Object::open(value, &self.pointer(name), faults)
    }

    pub(super) fn string(&mut self, name: &'static str, faults: &mut Faults) -> Option<&'a str> {
        match self.get(name)? {
            Value::String(text) => Some(text),
            other => {
                faults.add(
                    self.pointer(name),
                    format!("must be a string, not {}", kind(other)),
                );
                None
            }
        }
    }

    /// A string that must be there.
    pub(super) fn required(&mut self, name: &'static str, faults: &mut Faults) -> Option<&'a str> {
        if self.get(name).is_none() {
            faults.add(self.pointer(name), "is required");
            return None;
        }
        self.string(name, faults)
    }

    pub(super) fn boolean(&mut self, name: &'static str, default: bool, faults: &mut Faults) -> bool {
        match self.get(name) {
            None => default,
            Some(Value::Bool(value)) => *value,
            Some(other) => {
                faults.add(
                    self.pointer(name),
                    format!("must be true or false, not {}", kind(other)),
                );
                default
            }
        }
    }

    /// A whole number within `range`.
    pub(super) fn integer(
        &mut self,
        name: &'static str,
        default: u64,
        range: std::ops::RangeInclusive<u64>,
        faults: &mut Faults,
    ) -> u64 {
        let Some(value) = self.get(name) else {
            return default;
        };
        match value.as_u64().filter(|number| range.contains(number)) {
            Some(number) => number,
            None => {
                let (from, to) = (range.start(), range.end());
                faults.add(
                    self.pointer(name),
                    format!("must be a whole number from {from} to {to}"),
                );
                default
            }
        }
    }

    /// One of the given words.
    pub(super) fn word<T: Copy + Default>(
        &mut self,
        name: &'static str,
        words: &[(&'static str, T)],
        faults: &mut Faults,
    ) -> T {
        let Some(text) = self.string(name, faults) else {
            return T::default();
        };
        match words.iter().find(|(word, _)| *word == text) {
            Some((_, value)) => *value,
            None => {
                let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
                faults.add(self.pointer(name), format!("must be one of {}", known.join(", ")));
                T::default()
            }
        }
    }

    /// The items of an array of at most `most`, each with its pointer. Absent reads as empty.
    pub(super) fn array(
        &mut self,
        name: &'static str,
        most: usize,
        faults: &mut Faults,
    ) -> Vec<(String, &'a Value)> {
        let pointer = self.pointer(name);
        match self.get(name) {
            None => Vec::new(),
            Some(Value::Array(items)) if items.len() > most => {
                faults.add(pointer, format!("must not have more than {most} items"));
                Vec::new()
            }
            Some(Value::Array(items)) => {
                let at = |(index, item)| (child(&pointer, &format!("{index}")), item);
                items.iter().enumerate().map(at).collect()
            }
            Some(other) => {
                faults.add(pointer, format!("must be an array, not {}", kind(other)));
                Vec::new()
            }
        }
    }

    /// An array of strings.
    pub(super) fn strings(
        &mut self,
        name: &'static str,
        most: usize,
        faults: &mut Faults,
    ) -> Vec<(String, &'a str)> {
        let mut found = Vec::new();
        for (pointer, item) in self.array(name, most, faults) {
            match item {
                Value::String(text) => found.push((pointer, text.as_str())),
                other => faults.add(pointer, format!("must be a string, not {}", kind(other))),
            }
        }
        found
    }

    /// Ends reading: what nobody asked for is unknown.
    pub(super) fn finish(self, faults: &mut Faults) {
        for name in self.members.into_iter().flat_map(Map::keys) {
            if !self.known.contains(&name.as_str()) {
                let detail = suggest::unknown("member", name, self.known.iter().copied());
                faults.add(child(&self.pointer, name), detail);
            }
        }
    }
}

/// The JSON type of a value, for people.
pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}
