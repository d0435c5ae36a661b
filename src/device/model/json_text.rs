//! JSON text to a tree, stricter than RFC 8259 asks: a member given twice is an error with its pointer, where
//! most parsers quietly let one of the two win.

use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use zeroize::Zeroize;

use super::FieldFault;
use crate::json::pointer::child;

/// Parses one JSON document. Depth is bounded by the parser (128 levels).
///
/// # Errors
/// A fault at the duplicate member, or at the root with line and column of the syntax error.
pub fn parse_json(text: &[u8]) -> Result<Value, FieldFault> {
    let mut duplicate = None;
    let mut parser = serde_json::Deserializer::from_slice(text);
    let seed = Strict {
        pointer: String::new(),
        duplicate: &mut duplicate,
    };
    let parsed = seed
        .deserialize(&mut parser)
        .and_then(|value| parser.end().map(|()| value));
    match (parsed, duplicate) {
        (_, Some(pointer)) => Err(FieldFault::new(pointer, "this member is given twice")),
        (Ok(value), None) => Ok(value),
        (Err(error), None) => Err(FieldFault::new("", format!("not JSON: {error}"))),
    }
}

/// Overwrites every string of a document that may have held secrets.
pub fn wipe(value: &mut Value) {
    match value {
        Value::String(text) => text.zeroize(),
        Value::Array(items) => items.iter_mut().for_each(wipe),
        Value::Object(members) => members.values_mut().for_each(wipe),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

struct Strict<'a> {
    pointer: String,
    duplicate: &'a mut Option<String>,
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut array = Vec::new();
        loop {
            let pointer = child(&self.pointer, &array.len().to_string());
            let seed = Strict {
                pointer,
                duplicate: &mut *self.duplicate,
            };
            match items.next_element_seed(seed)? {
                Some(item) => array.push(item),
                None => return Ok(Value::Array(array)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        let mut seen = HashSet::new();
        while let Some(name) = members.next_key::<String>()? {
            let pointer = child(&self.pointer, &name);
            if !seen.insert(name.clone()) {
                *self.duplicate = Some(pointer);
                return Err(A::Error::custom("duplicate member"));
            }
            let value = members.next_value_seed(Strict {
                pointer,
                duplicate: &mut *self.duplicate,
            })?;
            object.insert(name, value);
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// Issue 2, bad input: duplicate members say where.
    #[test]
    fn duplicate_member_is_refused_with_its_pointer() {
        let fault = parse_json(br#"{"a": [{"b/c": 1, "b/c": 2}]}"#).unwrap_err();
        assert_eq!(fault, FieldFault::new("/a/0/b~1c", "this member is given twice"));
    }

    #[test]
    fn ordinary_documents_come_out_as_they_are() {
        let text = br#" {"n": null, "t": true, "i": -7, "u": 18446744073709551615, "f": 1.5, "s": "x", "a": [1, {}]} "#;
        let expected =
            json!({"n": null, "t": true, "i": -7, "u": u64::MAX, "f": 1.5, "s": "x", "a": [1, {}]});
        assert_eq!(parse_json(text).unwrap(), expected);
    }

    /// X3: depth is bounded, and what follows the document is not ignored.
    #[test]
    fn deep_and_broken_documents_are_errors() {
        let deep = "[".repeat(1_000_000);
        assert_eq!(parse_json(deep.as_bytes()).unwrap_err().pointer, "");
        for text in ["", "{", "{}x", "{\"a\": 01}", "\u{feff}{}"] {
            assert!(
                parse_json(text.as_bytes())
                    .unwrap_err()
                    .detail
                    .starts_with("not JSON: "),
                "{text}"
            );
        }
    }

    #[test]
    fn wipe_empties_every_string() {
        let mut value = json!({"a": "x", "b": ["y", {"c": "z"}], "n": 1});
        wipe(&mut value);
        assert_eq!(value, json!({"a": "", "b": ["", {"c": ""}], "n": 1}));
    }
}
