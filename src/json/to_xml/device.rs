//! The device's own form of JSON (J1 to J8) back to XML.
//!
//! Three members of an object are no elements: `attributes`, `data` and `comment`. Where a child has the name of one of
//! them, a `#` tells the two apart, which no element's name has: before the child beside real attributes, before the
//! text or the comment otherwise.

use super::element::{Build, Members, Metadata};
use super::{Target, ToXmlError};
use crate::json::parse::{Json, Place};
use crate::xml::NETCONF_BASE_NS;

/// What a member of an object in this form is.
enum Part<'v> {
    /// The element's own attributes.
    Attributes,
    /// `{"data":[null]}`: the element is `<x/>` (J5).
    SelfClosing,
    Text(&'v str),
    Comment(&'v str),
    /// One or more elements of this name.
    Elements(&'v str),
}

fn part<'v>(key: &'v str, value: &'v Json<'_>) -> Part<'v> {
    match (key, value) {
        ("attributes", Json::Object(_)) => Part::Attributes,
        ("data", Json::Array(items)) if matches!(items[..], [Json::Null]) => Part::SelfClosing,
        ("data", Json::Null) => Part::SelfClosing,
        ("data" | "#data", Json::String(text)) => Part::Text(text),
        ("data" | "#data", Json::Number(digits)) => Part::Text(digits),
        ("comment" | "#comment", Json::String(text)) => Part::Comment(text),
        ("#attributes", Json::Array(_)) => Part::Elements("attributes"),
        (key, _) => Part::Elements(key),
    }
}

impl Build<'_> {
    /// One member with one element, the root. Anything else was the content of an rpc-reply, which a device does not
    /// show (J8), and which a document needs again.
    pub(super) fn device_root(&mut self, members: &Members<'_>) -> Result<(), ToXmlError> {
        match members {
            [(key, Json::Array(items))] if items.is_empty() => {
                self.fail_at(key, "exactly one root was expected")
            }
            // An rpc-reply inside a reply is the only one that is shown.
            [(key, value)]
                if key != "rpc-reply"
                    && matches!(part(key, value), Part::Elements(..))
                    && !is_list(value) =>
            {
                self.device_member(key, value)
            }
            _ if self.target == Target::Document => {
                let of_an_element = |part: Part<'_>| matches!(part, Part::Attributes | Part::SelfClosing);
                if let Some((key, _)) = members
                    .iter()
                    .find(|(key, value)| of_an_element(part(key, value)))
                {
                    return self.fail_at(key, "this belongs to an element");
                }
                let reply = Metadata {
                    xmlns: Some(NETCONF_BASE_NS.to_owned()),
                    ..Metadata::default()
                };
                self.open("rpc-reply", reply)?;
                self.device_content(members)?;
                self.close()
            }
            _ => Err(self.error("exactly one root member was expected")),
        }
    }

    fn device_member(&mut self, key: &str, value: &Json<'_>) -> Result<(), ToXmlError> {
        self.path.push(Place::Member(key.to_owned()));
        let name = match part(key, value) {
            Part::Elements(name) => name,
            Part::Attributes | Part::SelfClosing | Part::Text(_) | Part::Comment(_) => key,
        };
        match value {
            Json::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.path.push(Place::Index(index));
                    self.device_element(name, item)?;
                    self.path.pop();
                }
            }
            item => self.device_element(name, item)?,
        }
        self.path.pop();
        Ok(())
    }

    fn device_element(&mut self, name: &str, value: &Json<'_>) -> Result<(), ToXmlError> {
        let Json::Object(members) = value else {
            return Err(self.error("an object was expected"));
        };
        let metadata = match members
            .iter()
            .find(|(key, value)| key == "attributes" && matches!(value, Json::Object(_)))
        {
            Some((_, attributes)) => {
                self.path.push(Place::Member("attributes".to_owned()));
                let metadata = self.metadata_object(attributes)?;
                self.path.pop();
                metadata
            }
            None => Metadata::default(),
        };
        self.open(name, metadata)?;
        if !self.device_content(members)? {
            self.writer.keep_open();
        }
        self.close()
    }

    /// What stands in an element. Whether it is to be written `<x/>` if that is nothing.
    fn device_content(&mut self, members: &Members<'_>) -> Result<bool, ToXmlError> {
        let mut self_closing = false;
        for (key, value) in members {
            match part(key, value) {
                Part::Attributes => {}
                Part::SelfClosing => self_closing = true,
                Part::Text(text) => {
                    self.path.push(Place::Member(key.to_string()));
                    self.text(text)?;
                    self.path.pop();
                }
                Part::Comment(text) => self.device_comment(key, text)?,
                Part::Elements(..) => self.device_member(key, value)?,
            }
        }
        Ok(self_closing)
    }

    /// J6. What is sent to a device has no comments.
    fn device_comment(&mut self, key: &str, text: &str) -> Result<(), ToXmlError> {
        if self.target != Target::Document {
            return Ok(());
        }
        self.path.push(Place::Member(key.to_owned()));
        self.write(|writer| writer.comment(text).map(drop))?;
        self.path.pop();
        Ok(())
    }
}

/// Whether a member stands for another number of elements than one.
fn is_list(value: &Json<'_>) -> bool {
    matches!(value, Json::Array(items) if items.len() != 1)
}
