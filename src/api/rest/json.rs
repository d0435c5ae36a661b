//! Strict reading of JSON bodies: every member is known, stands once and has the right type, or the request is refused
//! with a JSON pointer (RFC 6901) to the place. Members that go to a device stay text, because their order, repeated
//! names and digits are the converter's business.

use std::fmt;

use serde::de::{Deserializer, Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::problem::ApiError;
use crate::json::pointer::child;

/// The members of one object that nobody has taken yet.
pub struct Object<'a> {
    pointer: String,
    members: Vec<(String, &'a RawValue)>,
}

impl<'a> Object<'a> {
    /// Takes the outermost object of a body apart.
    ///
    /// # Errors
    /// Text that is no JSON object, and members that stand twice.
    pub fn parse(text: &'a str) -> Result<Self, ApiError> {
        Self::parse_at(text, String::new())
    }

    /// The same for bodies that may be left out: no text is an empty object.
    pub fn parse_or_empty(text: &'a str) -> Result<Self, ApiError> {
        if text.trim().is_empty() {
            return Ok(Self {
                pointer: String::new(),
                members: Vec::new(),
            });
        }
        Self::parse(text)
    }

    fn parse_at(text: &'a str, pointer: String) -> Result<Self, ApiError> {
        if !text.trim_start().starts_with('{') {
            // Tell text that is no JSON at all from JSON of another type.
            serde_json::from_str::<&RawValue>(text).map_err(|error| not_json(&pointer, &error))?;
            return Err(ApiError::invalid(pointer, "must be a JSON object"));
        }
        let members = serde_json::from_str::<Members<'a>>(text)
            .map_err(|error| not_json(&pointer, &error))?
            .0;
        for (at, (name, _)) in members.iter().enumerate() {
            if members[..at].iter().any(|(earlier, _)| earlier == name) {
                return Err(ApiError::invalid(child(&pointer, name), "stands more than once"));
            }
        }
        Ok(Self { pointer, members })
    }

    /// A place below this object; its own for an empty name.
    pub fn pointer(&self, name: &str) -> String {
        if name.is_empty() {
            return self.pointer.clone();
        }
        child(&self.pointer, name)
    }

    /// Takes a member as the text it was written in.
    pub fn raw(&mut self, name: &str) -> Option<&'a str> {
        let at = self.members.iter().position(|(found, _)| found == name)?;
        Some(self.members.remove(at).1.get())
    }

    /// Looks at a member without taking it.
    pub fn peek(&self, name: &str) -> Option<&'a str> {
        let (_, value) = self.members.iter().find(|(found, _)| found == name)?;
        Some(value.get())
    }

    /// Takes a member that is an object, as text.
    pub fn object_text(&mut self, name: &str) -> Result<Option<&'a str>, ApiError> {
        let pointer = self.pointer(name);
        match self.raw(name) {
            Some(text) if !text.starts_with('{') => Err(ApiError::invalid(pointer, "must be an object")),
            text => Ok(text),
        }
    }

    /// The whole object as text if its only member is none of `reserved`; it is empty afterwards.
    pub fn lone_member(&mut self, reserved: &[&str]) -> Option<String> {
        match self.members.as_slice() {
            [(name, value)] if !reserved.contains(&name.as_str()) => {
                let text = format!("{{{}:{}}}", serde_json::Value::from(name.as_str()), value.get());
                self.members.clear();
                Some(text)
            }
            _ => None,
        }
    }

    pub fn string(&mut self, name: &str) -> Result<Option<String>, ApiError> {
        self.typed(name, "must be a string")
    }

    /// Takes a string that must be there.
    pub fn required_string(&mut self, name: &str) -> Result<String, ApiError> {
        let pointer = self.pointer(name);
        self.string(name)?
            .ok_or_else(|| ApiError::invalid(pointer, "is required"))
    }

    /// Takes a whole number that is not negative.
    pub fn number<T: serde::Deserialize<'a>>(&mut self, name: &str) -> Result<Option<T>, ApiError> {
        self.typed(name, "must be a whole number in range")
    }

    pub fn boolean(&mut self, name: &str) -> Result<Option<bool>, ApiError> {
        self.typed(name, "must be true or false")
    }

    /// Takes an object whose members are strings.
    pub fn strings(&mut self, name: &str) -> Result<Vec<(String, String)>, ApiError> {
        let pointer = self.pointer(name);
        let Some(text) = self.object_text(name)? else {
            return Ok(Vec::new());
        };
        let mut object = Object::parse_at(text, pointer)?;
        let names: Vec<String> = object.members.iter().map(|(name, _)| name.clone()).collect();
        names
            .into_iter()
            .map(|name| {
                let value = object.string(&name)?.unwrap_or_default();
                Ok((name, value))
            })
            .collect()
    }

    /// Takes an object, to be taken apart.
    pub fn object(&mut self, name: &str) -> Result<Option<Object<'a>>, ApiError> {
        let pointer = self.pointer(name);
        self.object_text(name)?
            .map(|text| Object::parse_at(text, pointer))
            .transpose()
    }

    /// Takes a list of objects.
    pub fn objects(&mut self, name: &str) -> Result<Option<Vec<Object<'a>>>, ApiError> {
        let pointer = self.pointer(name);
        let Some(text) = self.raw(name) else {
            return Ok(None);
        };
        let items: Vec<&'a RawValue> = serde_json::from_str(text)
            .map_err(|_| ApiError::invalid(&pointer, "must be a list of objects"))?;
        items
            .into_iter()
            .enumerate()
            .map(|(at, item)| Object::parse_at(item.get(), child(&pointer, &at.to_string())))
            .collect::<Result<_, _>>()
            .map(Some)
    }

    /// Refuses what nobody took.
    pub fn finish(self) -> Result<(), ApiError> {
        self.nothing_left()
    }

    /// The same before something is missed: a member by a wrong name is the likelier fault.
    pub fn nothing_left(&self) -> Result<(), ApiError> {
        match self.members.first() {
            None => Ok(()),
            Some((name, _)) => Err(ApiError::invalid(
                self.pointer(name),
                "is no member of this request",
            )),
        }
    }

    fn typed<T: serde::Deserialize<'a>>(&mut self, name: &str, detail: &str) -> Result<Option<T>, ApiError> {
        let pointer = self.pointer(name);
        self.raw(name)
            .map(|text| serde_json::from_str(text).map_err(|_| ApiError::invalid(pointer, detail)))
            .transpose()
    }
}

fn not_json(pointer: &str, error: &serde_json::Error) -> ApiError {
    ApiError::invalid(pointer, format!("not valid JSON: {error}"))
}

/// The members of an object in order, repeated ones included.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de> serde::Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                /// A request has few members; device data lies below them.
                const MAX_MEMBERS: usize = 1000;
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    if members.len() == MAX_MEMBERS {
                        return Err(A::Error::custom(format!("more than {MAX_MEMBERS} members")));
                    }
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Collect)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pointer(result: Result<impl Sized, ApiError>) -> String {
        match result {
            Ok(_) => panic!("must be refused"),
            Err(error) => error.error.fields()[0].pointer.clone(),
        }
    }

    fn object(text: &str) -> Object<'_> {
        match Object::parse(text) {
            Ok(object) => object,
            Err(error) => panic!("{}", error.error),
        }
    }

    /// W1, W3: what goes to a device stays as it was written.
    #[test]
    fn device_data_stays_text() {
        let mut body = object(r#" {"rpc": {"b": 1.50, "a": 2, "b": 3}, "attributes": {"x:y": "1"}} "#);
        assert_eq!(
            body.object_text("rpc").ok().flatten(),
            Some(r#"{"b": 1.50, "a": 2, "b": 3}"#)
        );
        assert_eq!(
            body.strings("attributes").ok(),
            Some(vec![("x:y".to_owned(), "1".to_owned())])
        );
        assert!(body.finish().is_ok());
    }

    /// H1: where and why.
    #[test]
    fn faults_are_pointed_at() {
        assert_eq!(pointer(Object::parse("[1]")), "");
        assert_eq!(pointer(Object::parse("{\"a\": }")), "");
        assert_eq!(pointer(Object::parse("")), "");
        assert_eq!(pointer(Object::parse(r#"{"a":1,"b":2,"a":3}"#)), "/a");
        assert_eq!(pointer(object(r#"{"a/b~c":1}"#).finish()), "/a~1b~0c");
        assert_eq!(pointer(object(r#"{"a":null}"#).string("a")), "/a");
        assert_eq!(pointer(object(r#"{"a":"true"}"#).boolean("a")), "/a");
        assert_eq!(pointer(object(r#"{"a":[]}"#).object_text("a")), "/a");
        assert_eq!(pointer(object(r#"{"a":{"b":1}}"#).strings("a")), "/a/b");
        assert_eq!(pointer(object(r#"{"a":{"b":"1","b":"2"}}"#).strings("a")), "/a/b");
        assert_eq!(pointer(object(r#"{"a":[{},3]}"#).objects("a")), "/a/1");
        assert_eq!(pointer(object(r#"{"a":{}}"#).objects("a")), "/a");
    }

    /// Quality 3 row 4: a million levels are walked without recursion.
    #[test]
    fn depth_of_device_data_does_not_reach_the_stack() {
        let deep = format!(
            r#"{{"rpc": {{"a": {}{}}}}}"#,
            "[".repeat(1_000_000),
            "]".repeat(1_000_000)
        );
        assert!(object(&deep).object_text("rpc").is_ok());
        let broad: String = (0..100_000).map(|n| format!("\"k{n}\":1,")).collect();
        assert_eq!(pointer(Object::parse(&format!("{{{broad}\"z\":1}}"))), "");
    }
}
