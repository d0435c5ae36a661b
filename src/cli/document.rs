//! A JSON object of the caller's that flags are laid over. What they do not touch stays as it was written, digits and
//! repeated names included: the gateway judges it, and would not see what was lost here.

use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};

/// The members of an object, in order.
#[derive(Debug, Default)]
pub struct Document(Vec<(String, Box<RawValue>)>);

impl Document {
    /// Sets the member at this path, which names the objects around it first; what is in the way is no object and
    /// becomes one. Of a name that stands twice the first one is set.
    pub fn set(&mut self, path: &[&str], value: &Value) -> Result<(), serde_json::Error> {
        let [name, below @ ..] = path else { return Ok(()) };
        let place = self.0.iter_mut().find(|(member, _)| member == name);
        let value = if below.is_empty() {
            to_raw_value(value)?
        } else {
            let before = place.as_ref().map(|(_, before)| before.get());
            let mut inner = before.map_or_else(Self::default, |before| {
                serde_json::from_str(before).unwrap_or_default()
            });
            inner.set(below, value)?;
            to_raw_value(&inner)?
        };
        match place {
            Some((_, before)) => *before = value,
            None => self.0.push(((*name).to_owned(), value)),
        }
        Ok(())
    }
}

impl Serialize for Document {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

impl<'de> Deserialize<'de> for Document {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Document;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Document, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Document(members))
            }
        }
        deserializer.deserialize_map(Members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn laid_over(text: &str, flags: &[(&[&str], Value)]) -> String {
        let mut document: Document = serde_json::from_str(text).unwrap();
        for (path, value) in flags {
            document.set(path, value).unwrap();
        }
        serde_json::to_string(&document).unwrap()
    }

    /// W1, W2: order, digits and repeated names stay.
    #[test]
    fn what_no_flag_touches_stays_as_written() {
        let text = r#"{"b": 1.50, "a": {"x": 18446744073709551616, "x": 2}, "b": 3}"#;
        let flags: [(&[&str], Value); 2] = [(&["a", "y"], json!(true)), (&["c", "d"], json!("e"))];
        assert_eq!(
            laid_over(text, &flags),
            r#"{"b":1.50,"a":{"x":18446744073709551616,"x":2,"y":true},"b":3,"c":{"d":"e"}}"#
        );
    }

    #[test]
    fn flags_count_more() {
        let flags: [(&[&str], Value); 3] = [
            (&["a"], json!(2)),
            (&["auth", "password"], Value::Null),
            (&["labels", "a.b"], json!("c")),
        ];
        assert_eq!(
            laid_over(r#"{"a": 1, "auth": {"private_key": "x"}, "labels": []}"#, &flags),
            r#"{"a":2,"auth":{"private_key":"x","password":null},"labels":{"a.b":"c"}}"#
        );
        assert!(serde_json::from_str::<Document>("[]").is_err());
    }
}
