//! Members become elements (W1 to W4, W7).

use std::collections::{BTreeMap, HashMap, HashSet};

use super::scope::Scope;
use super::{Target, ToXmlError, ToXmlOptions};
use crate::json::options::Mapping;
use crate::json::parse::{Json, Place, pointer};
use crate::xml::marks::YANG_NS;
use crate::xml::name::{is_ncname, is_xml_char};
use crate::xml::{Fragment, JUNOS_NS, NETCONF_BASE_NS, Writer};

pub(super) type Members<'a> = [(std::borrow::Cow<'a, str>, Json<'a>)];

/// Namespaces that may not be declared (Namespaces in XML 1.0 section 3).
const RESERVED: [&str; 2] = [
    "http://www.w3.org/XML/1998/namespace",
    "http://www.w3.org/2000/xmlns/",
];

/// Attributes of an element, in order, and the namespace that its metadata names.
#[derive(Debug, Default)]
pub(super) struct Metadata {
    pub(super) xmlns: Option<String>,
    pub(super) attributes: Vec<(String, String)>,
}

/// Writes XML and knows where in the JSON it stands.
pub(super) struct Build<'o> {
    pub(super) target: Target,
    pub(super) options: &'o ToXmlOptions,
    pub(super) writer: Writer,
    pub(super) path: Vec<Place>,
    pub(super) scope: Scope,
}

impl<'o> Build<'o> {
    pub(super) fn new(target: Target, options: &'o ToXmlOptions) -> Self {
        let outside = (target == Target::Document).then(String::new);
        Build {
            target,
            options,
            writer: Writer::new(),
            path: Vec::new(),
            scope: Scope::new(outside),
        }
    }

    pub(super) fn finish(self) -> Result<Fragment, ToXmlError> {
        if self.writer.is_empty() && matches!(self.target, Target::Arguments | Target::Filter) {
            return Ok(Fragment::default());
        }
        if self.writer.is_empty() {
            return Err(self.error("there is no element in it"));
        }
        let refused = |error: crate::xml::WriteError| ToXmlError {
            pointer: String::new(),
            detail: error.to_string(),
        };
        self.writer.finish().map_err(refused)
    }

    /// A body with one member, the root, and maybe its metadata.
    pub(super) fn single_root(&mut self, members: &Members<'_>) -> Result<(), ToXmlError> {
        let mut roots = members.iter().filter(|(key, _)| !key.starts_with(['@', '#']));
        let (Some((key, value)), None) = (roots.next(), roots.next()) else {
            return Err(self.error("exactly one root member was expected"));
        };
        // `[null]` is another way to write an empty element (W2), not a list.
        let is_empty = matches!(value, Json::Array(items) if matches!(items.as_slice(), [Json::Null]));
        if !is_empty && matches!(value, Json::Array(_) | Json::Bool(false)) {
            self.path.push(Place::Member(key.to_string()));
            return Err(self.error("the root cannot be an array, nor false"));
        }
        self.members(members)
    }

    /// The members of an object, as children of the innermost open element.
    pub(super) fn members(&mut self, members: &Members<'_>) -> Result<(), ToXmlError> {
        let content = self.sorted(members)?;
        match content.order {
            Some(order) => self.in_order(&content, order),
            None => {
                // W6: the key of nearly every list in Junos.
                let is_config = matches!(self.target, Target::Config(_));
                let name_first = is_config && self.is_junos();
                for first in [true, false] {
                    for child in &content.children {
                        let goes_first =
                            name_first && child.key == "name" && !matches!(child.value, Json::Object(_));
                        if goes_first == first {
                            self.member(child)?;
                        }
                    }
                }
                self.unordered_text(&content)
            }
        }
    }

    /// `#text` without `#order`: there can only be one place for it.
    fn unordered_text(&mut self, content: &Content<'_, '_>) -> Result<(), ToXmlError> {
        match (content.texts, content.children.is_empty()) {
            (None, _) => Ok(()),
            (Some(texts), true) => texts.iter().try_for_each(|text| self.text_entry(text)),
            (Some(_), false) => self.fail_at("#text", "\"#text\" beside other members needs \"#order\""),
        }
    }

    /// Tells children, their metadata, and the members with `#` apart.
    fn sorted<'v, 'a>(&mut self, members: &'v Members<'a>) -> Result<Content<'v, 'a>, ToXmlError> {
        let mut content = Content {
            children: Vec::new(),
            order: None,
            texts: None,
        };
        let mut metadata: BTreeMap<&str, &'v Json<'a>> = BTreeMap::new();
        for (key, value) in members {
            match (&**key, value) {
                // The element's own attributes were taken when its tag was written.
                ("@", Json::Object(_)) if self.scope.depth() > 0 => {}
                ("@", _) => {
                    return self.fail_at("@", "metadata is an object inside the element it belongs to");
                }
                ("#order", Json::Array(order)) => content.order = Some(order),
                ("#text", Json::Array(texts)) => content.texts = Some(texts),
                ("#comment", Json::Array(_)) => {}
                ("#order" | "#text" | "#comment", _) => return self.fail_at(key, "an array was expected"),
                (key, value) => match key.strip_prefix('@') {
                    Some(name) => {
                        metadata.insert(name, value);
                    }
                    None => content.children.push(Child {
                        key,
                        value,
                        metadata: None,
                    }),
                },
            }
        }
        for child in &mut content.children {
            child.metadata = metadata.remove(child.key);
        }
        match metadata.keys().next() {
            Some(name) => self.fail_at(&format!("@{name}"), "metadata without the member it belongs to"),
            None => Ok(content),
        }
    }

    /// W7
    fn in_order(&mut self, content: &Content<'_, '_>, order: &[Json<'_>]) -> Result<(), ToXmlError> {
        let children: HashMap<&str, &Child<'_, '_>> =
            content.children.iter().map(|child| (child.key, child)).collect();
        for child in &content.children {
            if let Json::Array(items) = child.value {
                self.path.push(Place::Member(child.key.to_owned()));
                self.check_metadata(child, items)?;
                self.path.pop();
            }
        }
        // How many values of each key were written.
        let mut taken: HashMap<&str, usize> = HashMap::new();
        for (place, entry) in order.iter().enumerate() {
            let at_entry = |build: &mut Self, detail: &str| {
                build.path.push(Place::Member("#order".to_owned()));
                build.path.push(Place::Index(place));
                Err(build.error(detail))
            };
            let Json::String(key) = entry else {
                return at_entry(self, "a member name was expected");
            };
            let count = taken.entry(key).or_default();
            let index = *count;
            *count += 1;
            if key == "#text" {
                match content.texts.and_then(|texts| texts.get(index)) {
                    Some(text) => self.text_entry(text)?,
                    None => return at_entry(self, "more entries than texts"),
                }
                continue;
            }
            let Some(&child) = children.get(&**key) else {
                return at_entry(self, "no such member");
            };
            match child.value {
                Json::Array(items) if index < items.len() => {
                    self.path.push(Place::Member(key.to_string()));
                    self.item(child, items, index)?;
                    self.path.pop();
                }
                Json::Array(_) => return at_entry(self, "more entries than values"),
                _ if index == 0 => self.member(child)?,
                _ => return at_entry(self, "more entries than values"),
            }
        }
        let texts = content.texts.map_or(0, |texts| texts.len());
        let values = content.children.iter().map(|child| match child.value {
            Json::Array(items) => (child.key, items.len()),
            _ => (child.key, 1),
        });
        for (key, count) in values.chain([("#text", texts)]) {
            if taken.get(key).copied().unwrap_or_default() != count {
                return self.fail_at("#order", &format!("not every value of {key:?} is in \"#order\""));
            }
        }
        Ok(())
    }

    fn text_entry(&mut self, text: &Json<'_>) -> Result<(), ToXmlError> {
        match text {
            Json::String(text) if self.scope.depth() > 0 => self.text(text),
            Json::String(_) => self.fail_at("#text", "text outside an element"),
            _ => self.fail_at("#text", "strings were expected"),
        }
    }

    /// A member with all its values.
    pub(super) fn member(&mut self, child: &Child<'_, '_>) -> Result<(), ToXmlError> {
        self.path.push(Place::Member(child.key.to_owned()));
        match child.value {
            Json::Array(items) => {
                self.check_metadata(child, items)?;
                for index in 0..items.len() {
                    self.item(child, items, index)?;
                }
            }
            value => {
                let metadata = match child.metadata {
                    None => Metadata::default(),
                    Some(Json::Object(_)) if matches!(value, Json::Object(_)) => {
                        return Err(self.error("metadata of a container goes inside it, as \"@\""));
                    }
                    Some(metadata) => self.metadata(child.key, metadata)?,
                };
                self.element(child.key, value, metadata)?;
            }
        }
        self.path.pop();
        Ok(())
    }

    /// Whether what stands beside an array is about its values, each of it about one; the path ends with the member.
    fn check_metadata(&self, child: &Child<'_, '_>, items: &[Json<'_>]) -> Result<(), ToXmlError> {
        match child.metadata {
            Some(Json::Array(metadata)) if metadata.len() > items.len() => {
                Err(self.error("more metadata than values"))
            }
            Some(Json::Array(_)) | None => Ok(()),
            Some(_) => Err(self.error("metadata of an array is an array")),
        }
    }

    /// One value of an array; the path ends with the member.
    fn item(&mut self, child: &Child<'_, '_>, items: &[Json<'_>], index: usize) -> Result<(), ToXmlError> {
        self.path.push(Place::Index(index));
        let metadata = match child.metadata {
            None => Metadata::default(),
            Some(Json::Array(all)) => match all.get(index) {
                None | Some(Json::Null) => Metadata::default(),
                Some(_) if matches!(items[index], Json::Object(_)) => {
                    return Err(self.error("metadata of a container goes inside it, as \"@\""));
                }
                Some(metadata) => self.metadata(child.key, metadata)?,
            },
            // As was checked.
            Some(_) => return Err(self.error("metadata of an array is an array")),
        };
        if matches!(items[index], Json::Array(_)) {
            return Err(self.error("an array inside an array cannot be XML"));
        }
        self.element(child.key, &items[index], metadata)?;
        self.path.pop();
        Ok(())
    }

    /// One element (W2).
    fn element(&mut self, key: &str, value: &Json<'_>, metadata: Metadata) -> Result<(), ToXmlError> {
        match value {
            Json::Bool(false) => match self.target {
                // An argument that is false is one that is not given.
                Target::Rpc | Target::Arguments | Target::Filter if metadata.attributes.is_empty() => Ok(()),
                _ => {
                    Err(self.error("false has no form in XML here: write \"false\", or leave the member out"))
                }
            },
            Json::Null | Json::Bool(true) => self.leaf(key, "", metadata),
            Json::Number(digits) => self.leaf(key, digits, metadata),
            Json::String(text) => {
                // What N3 took off an inner pair of newlines has to come back.
                let wrapped = self.target == Target::Document
                    && !self.options.exact_text
                    && text.len() > 1
                    && text.starts_with('\n')
                    && text.ends_with('\n');
                if wrapped {
                    self.leaf(key, &format!("\n{text}\n"), metadata)
                } else {
                    self.leaf(key, text, metadata)
                }
            }
            Json::Object(members) => {
                let own = match members.iter().find(|(key, _)| key == "@") {
                    Some((_, own)) => {
                        self.path.push(Place::Member("@".to_owned()));
                        let own = self.metadata_object(own)?;
                        self.path.pop();
                        own
                    }
                    None => metadata,
                };
                self.open(key, own)?;
                self.members(members)?;
                self.close()
            }
            Json::Array(_) => Err(self.error("an array inside an array cannot be XML")),
        }
    }

    fn leaf(&mut self, key: &str, text: &str, metadata: Metadata) -> Result<(), ToXmlError> {
        self.open(key, metadata)?;
        self.text(text)?;
        self.close()
    }

    pub(super) fn text(&mut self, text: &str) -> Result<(), ToXmlError> {
        match text.chars().find(|c| !is_xml_char(*c)) {
            Some(c) => Err(self.error(&format!("U+{:04X} cannot be in XML", c as u32))),
            None => self
                .writer
                .text(text)
                .map(drop)
                .map_err(|error| self.error(&error.to_string())),
        }
    }

    /// Opens the element that `key` names (W4), declaring what has to be declared.
    pub(super) fn open(&mut self, key: &str, metadata: Metadata) -> Result<(), ToXmlError> {
        if self.scope.depth() >= self.options.limits.depth {
            return Err(self.error("nested too deeply"));
        }
        // A device tells a declaration that repeats the one outside (J4).
        let repeated = metadata.xmlns.is_some() && self.options.mapping == Mapping::Junos;
        let name = self.element_name(key, metadata.xmlns)?;
        let written = match name.prefix {
            Some(prefix) => format!("{prefix}:{}", name.local),
            None => name.local.to_owned(),
        };
        if written.len() > self.options.limits.name_bytes {
            return Err(self.error("the name is too long"));
        }
        self.write(|writer| writer.open(&written).map(drop))?;
        self.scope.open(name.ns.clone());
        if let Some(ns) = name.ns
            && (repeated || self.scope.bound(name.prefix.unwrap_or_default()) != Some(&ns))
        {
            self.declare(name.prefix.unwrap_or_default(), &ns)?;
        }
        for (attribute, _) in &metadata.attributes {
            if let Some((prefix, _)) = attribute.split_once(':')
                && prefix != "xml"
                && self.scope.bound(prefix).is_none()
            {
                let ns = self
                    .known_prefix(prefix)
                    .ok_or_else(|| self.unknown_prefix(prefix))?;
                self.declare(prefix, &ns)?;
            }
        }
        // What is declared here counts as attributes where it is read.
        if metadata.attributes.len() + self.scope.bound_here() > self.options.limits.attributes {
            return Err(self.error("too many attributes"));
        }
        self.refuse_same_attribute(&metadata.attributes)?;
        for (attribute, value) in &metadata.attributes {
            self.write(|writer| writer.attr(attribute, value).map(drop))?;
        }
        Ok(())
    }

    /// Two prefixes may stand for one namespace, but then not before the same name.
    fn refuse_same_attribute(&self, attributes: &[(String, String)]) -> Result<(), ToXmlError> {
        let mut seen = HashSet::new();
        for (name, _) in attributes {
            let Some((prefix, local)) = name.split_once(':') else {
                continue;
            };
            let Some(ns) = self.scope.bound(prefix) else {
                continue;
            };
            if !seen.insert((ns, local)) {
                return Err(self.error(&format!("{name} is there twice, under another prefix")));
            }
        }
        Ok(())
    }

    pub(super) fn close(&mut self) -> Result<(), ToXmlError> {
        self.scope.close();
        self.write(|writer| writer.close().map(drop))
    }

    fn declare(&mut self, prefix: &str, ns: &str) -> Result<(), ToXmlError> {
        let name = if prefix.is_empty() {
            "xmlns".to_owned()
        } else {
            format!("xmlns:{prefix}")
        };
        if name.len() > self.options.limits.name_bytes {
            return Err(self.error("the prefix is too long"));
        }
        self.write(|writer| writer.attr(&name, ns).map(drop))?;
        self.scope.bind(prefix, ns);
        Ok(())
    }

    /// W4
    fn element_name<'k>(&self, key: &'k str, xmlns: Option<String>) -> Result<Name<'k>, ToXmlError> {
        let (prefix, local) = match key.split_once(':') {
            Some((prefix, local)) => (Some(prefix), local),
            None => (None, key),
        };
        if !is_ncname(local) || prefix.is_some_and(|prefix| !is_ncname(prefix) || prefix == "xmlns") {
            return Err(self.error(&format!("{key:?} cannot be an element name")));
        }
        let inherited = || self.scope.ns().map(str::to_owned);
        let Some(prefix) = prefix else {
            return Ok(Name {
                prefix: None,
                local,
                ns: xmlns.or_else(inherited),
            });
        };
        if prefix == "xml" {
            return Err(self.error(&format!("{key:?} cannot be an element name")));
        }
        // No prefix stands for no namespace: this one only told siblings apart (N2).
        if xmlns.as_deref() == Some("") {
            return Ok(Name {
                prefix: None,
                local,
                ns: xmlns,
            });
        }
        if xmlns.is_some() {
            return Ok(Name {
                prefix: Some(prefix),
                local,
                ns: xmlns,
            });
        }
        // A module name is no prefix: the element is written in the default namespace.
        if let Some(ns) = self.options.modules.get(prefix) {
            return Ok(Name {
                prefix: None,
                local,
                ns: Some(ns.clone()),
            });
        }
        let ns = self
            .scope
            .bound(prefix)
            .map(str::to_owned)
            .or_else(|| self.known_prefix(prefix));
        match ns {
            Some(ns) => Ok(Name {
                prefix: Some(prefix),
                local,
                ns: Some(ns),
            }),
            None => Err(self.unknown_prefix(prefix)),
        }
    }

    pub(super) fn known_prefix(&self, prefix: &str) -> Option<String> {
        if let Some(ns) = self.options.prefixes.get(prefix) {
            return Some(ns.clone());
        }
        match prefix {
            "nc" => Some(NETCONF_BASE_NS.to_owned()),
            "junos" => Some(JUNOS_NS.to_owned()),
            "yang" if matches!(self.target, Target::Config(_)) => Some(YANG_NS.to_owned()),
            // N8
            _ if self.target == Target::Document => Some(format!("urn:ncgate:prefix:{prefix}")),
            _ => None,
        }
    }

    fn unknown_prefix(&self, prefix: &str) -> ToXmlError {
        self.error(&format!(
            "{prefix:?} is neither a known prefix nor a known module"
        ))
    }

    /// The metadata of a leaf, found at `@key` beside it; the path ends with the member.
    fn metadata(&mut self, key: &str, value: &Json<'_>) -> Result<Metadata, ToXmlError> {
        let Some(member) = self
            .path
            .iter()
            .rposition(|place| matches!(place, Place::Member(name) if name == key))
        else {
            return self.metadata_object(value);
        };
        let written = std::mem::replace(&mut self.path[member], Place::Member(format!("@{key}")));
        let metadata = self.metadata_object(value)?;
        self.path[member] = written;
        Ok(metadata)
    }

    /// W5
    pub(super) fn metadata_object(&mut self, value: &Json<'_>) -> Result<Metadata, ToXmlError> {
        let Json::Object(members) = value else {
            return Err(self.error("metadata is an object"));
        };
        let mut metadata = Metadata::default();
        for (name, value) in members {
            if name == "#comment" {
                continue;
            }
            // Here already: what follows would be held against all that came before.
            if metadata.attributes.len() > self.options.limits.attributes {
                return Err(self.error("too many attributes"));
            }
            self.path.push(Place::Member(name.to_string()));
            let text = match value {
                Json::String(text) => text.as_ref(),
                Json::Number(digits) => digits,
                // The attribute's own name is its value, as Junos writes flags.
                Json::Bool(true) => name.rsplit(':').next().unwrap_or_default(),
                // Whoever writes `"active": false` wants something, and would not get it.
                Json::Bool(false) if matches!(self.target, Target::Config(_)) => {
                    return Err(self.error(
                        "false marks nothing: write the mark that is meant, or leave the member out",
                    ));
                }
                Json::Bool(false) => {
                    self.path.pop();
                    continue;
                }
                Json::Null | Json::Array(_) | Json::Object(_) => {
                    return Err(self.error("an attribute is a string, a number or a boolean"));
                }
            };
            if let Some(c) = text.chars().find(|c| !is_xml_char(*c)) {
                return Err(self.error(&format!("U+{:04X} cannot be in XML", c as u32)));
            }
            if name == "xmlns" {
                if RESERVED.contains(&text) {
                    return Err(self.error("no element can be in this namespace"));
                }
                metadata.xmlns = Some(text.to_owned());
            } else {
                self.check_attribute_name(name)?;
                self.attribute(name, text, &mut metadata.attributes)?;
            }
            self.path.pop();
        }
        self.check_marks(&metadata.attributes)?;
        Ok(metadata)
    }

    fn check_attribute_name(&self, name: &str) -> Result<(), ToXmlError> {
        let good = match name.split_once(':') {
            Some((prefix, local)) => is_ncname(prefix) && prefix != "xmlns" && is_ncname(local),
            None => is_ncname(name),
        };
        match good {
            true if name.len() > self.options.limits.name_bytes => Err(self.error("the name is too long")),
            true => Ok(()),
            false => Err(self.error(&format!("{name:?} cannot be an attribute name"))),
        }
    }

    /// The path never holds anything that the writer refuses, but what it says is passed on.
    pub(super) fn write(
        &mut self,
        write: impl FnOnce(&mut Writer) -> Result<(), crate::xml::WriteError>,
    ) -> Result<(), ToXmlError> {
        write(&mut self.writer).map_err(|error| self.error(&error.to_string()))
    }

    pub(super) fn error(&self, detail: &str) -> ToXmlError {
        ToXmlError {
            pointer: pointer(&self.path),
            detail: detail.to_owned(),
        }
    }

    pub(super) fn fail_at<T>(&mut self, key: &str, detail: &str) -> Result<T, ToXmlError> {
        self.path.push(Place::Member(key.to_owned()));
        Err(self.error(detail))
    }
}

/// The members of an object, told apart.
struct Content<'v, 'a> {
    children: Vec<Child<'v, 'a>>,
    order: Option<&'v [Json<'a>]>,
    texts: Option<&'v [Json<'a>]>,
}

/// A member that becomes one or more elements.
pub(super) struct Child<'v, 'a> {
    pub(super) key: &'v str,
    pub(super) value: &'v Json<'a>,
    pub(super) metadata: Option<&'v Json<'a>>,
}

struct Name<'k> {
    prefix: Option<&'k str>,
    local: &'k str,
    ns: Option<String>,
}
