//! Strict reading of JSON bodies: every member is known, stands once and has the right type, or the request is refused
//! with a JSON pointer (RFC 6901) to the place. Members that go to a device stay text, because their order, repeated
//! names and digits are the converter's business.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::problem::ApiError;

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

    /// Whether a member is there and not yet taken.
    pub fn has(&self, name: &str) -> bool {
        self.members.iter().any(|(found, _)| found == name)
    }

    /// A place below this object.
    pub fn pointer(&self, name: &str) -> String {
        child(&self.pointer, name)
    }

    /// Takes a member as the text it was written in.
    pub fn raw(&mut self, name: &str) -> Option<&'a str> {
        let at = self.members.iter().position(|(found, _)| found == name)?;
        Some(self.members.remove(at).1.get())
    }

    /// Takes a member that is an object, as text.
    pub fn object_text(&mut self, name: &str) -> Result<Option<&'a str>, ApiError> {
        let pointer = self.pointer(name);
        match self.raw(name) {
            Some(text) if !text.starts_with('{') => Err(ApiError::invalid(pointer, "must be an object")),
            text => Ok(text),
        }
    }

    pub fn string(&mut self, name: &str) -> Result<Option<String>, ApiError> {
        self.typed(name, "must be a string")
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

/// Reads a whole body into a tree, for requests that are settings and no device data.
///
/// # Errors
/// Text that is no JSON object, members that stand twice at any depth, and more than 128 levels.
pub fn tree(text: &str) -> Result<Value, ApiError> {
    // The outermost level first, for its better messages.
    Object::parse(text)?;
    let mut input = serde_json::Deserializer::from_str(text);
    let mut repeated = None;
    let read = Tree {
        pointer: String::new(),
        repeated: &mut repeated,
    }
    .deserialize(&mut input);
    if let Some(pointer) = repeated {
        return Err(ApiError::invalid(pointer, "stands more than once"));
    }
    read.map_err(|error| not_json("", &error))
}

fn not_json(pointer: &str, error: &serde_json::Error) -> ApiError {
    ApiError::invalid(pointer, format!("not valid JSON: {error}"))
}

/// RFC 6901 section 3: `~` and `/` are escaped.
fn child(pointer: &str, name: &str) -> String {
    format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"))
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

/// Builds a `Value` and remembers the first member that stood twice.
struct Tree<'a> {
    pointer: String,
    repeated: &'a mut Option<String>,
}

impl<'de> DeserializeSeed<'de> for Tree<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Tree<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        loop {
            let seed = Tree {
                pointer: child(&self.pointer, &items.len().to_string()),
                repeated: &mut *self.repeated,
            };
            match seq.next_element_seed(seed)? {
                Some(item) => items.push(item),
                None => return Ok(Value::Array(items)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut members = Map::new();
        while let Some(name) = map.next_key::<String>()? {
            let pointer = child(&self.pointer, &name);
            if members.contains_key(&name) {
                *self.repeated = Some(pointer);
                return Err(A::Error::custom("a member stands more than once"));
            }
            let value = map.next_value_seed(Tree {
                pointer,
                repeated: &mut *self.repeated,
            })?;
            members.insert(name, value);
        }
        Ok(Value::Object(members))
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

    /// W3 for settings: a repeated member is found at any depth.
    #[test]
    fn tree_refuses_repeated_members_and_great_depth() {
        let value = tree(r#"{"a": [1, -2, 1.5, true, null, {"b": "x"}]}"#);
        assert_eq!(
            value.ok(),
            Some(serde_json::json!({"a": [1, -2, 1.5, true, null, {"b": "x"}]}))
        );
        assert_eq!(pointer(tree(r#"{"a": [{"b": 1, "b": 2}]}"#)), "/a/0/b");
        assert_eq!(
            pointer(tree(&format!(r#"{{"a": {}}}"#, "[".repeat(1_000_000)))),
            ""
        );
        let deep = format!(r#"{{"a": {}{}}}"#, "[".repeat(1000), "]".repeat(1000));
        assert_eq!(pointer(tree(&deep)), "");
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
