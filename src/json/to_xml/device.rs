//! The device's own form of JSON (J1 to J6) back to XML.

use super::ToXmlError;
use super::element::{Build, Members, Metadata};
use crate::json::parse::{Json, Place};

impl Build<'_> {
    /// One member, the root.
    pub(super) fn device_root(&mut self, members: &Members<'_>) -> Result<(), ToXmlError> {
        match members {
            [(key, Json::Array(items))] if items.len() != 1 => {
                self.fail_at(key, "exactly one root was expected")
            }
            [(key, value)] => self.device_member(key, value),
            _ => Err(self.error("exactly one root member was expected")),
        }
    }

    fn device_member(&mut self, key: &str, value: &Json<'_>) -> Result<(), ToXmlError> {
        self.path.push(Place::Member(key.to_owned()));
        match value {
            Json::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.path.push(Place::Index(index));
                    self.device_element(key, item)?;
                    self.path.pop();
                }
            }
            item => self.device_element(key, item)?,
        }
        self.path.pop();
        Ok(())
    }

    fn device_element(&mut self, key: &str, value: &Json<'_>) -> Result<(), ToXmlError> {
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
        self.open(key, metadata)?;
        // J5: only `{"data":[null]}` is `<x/>`.
        let mut self_closing = false;
        for (key, value) in members {
            match (&**key, value) {
                ("attributes", Json::Object(_)) | ("comment", Json::String(_)) => {}
                ("data", Json::Array(items)) if matches!(items[..], [Json::Null]) => self_closing = true,
                ("data", Json::Null) => self_closing = true,
                ("data", Json::String(text)) => self.device_text(text)?,
                ("data", Json::Number(digits)) => self.device_text(digits)?,
                (key, value) => self.device_member(key, value)?,
            }
        }
        if !self_closing {
            self.writer.keep_open();
        }
        self.close()
    }

    fn device_text(&mut self, text: &str) -> Result<(), ToXmlError> {
        self.path.push(Place::Member("data".to_owned()));
        self.text(text)?;
        self.path.pop();
        Ok(())
    }
}
