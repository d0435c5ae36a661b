//! What JSON of a configuration means, by the words of W1 to W8, written down as a tree: without a writer, a scope or any
//! check that says more than that something has no meaning.

use ncgate::json::{ConfigDialect, Target, ToXmlOptions};
use ncgate::xml::tree::{Attribute, Element, Node};
use ncgate::xml::{JUNOS_NS, NETCONF_BASE_NS};

use crate::support::written::Written;

/// The module that the device names, and its namespace.
pub const MODULE: (&str, &str) = ("m", "urn:m");
const YANG_NS: &str = "urn:ietf:params:xml:ns:yang:1";

type Members = [(String, Written)];

/// For whom the configuration is.
#[derive(Debug, Clone, Copy)]
pub struct Peer {
    pub dialect: ConfigDialect,
    pub junos: bool,
}

pub const PEERS: [Peer; 3] = [
    Peer {
        dialect: ConfigDialect::LoadConfiguration,
        junos: true,
    },
    Peer {
        dialect: ConfigDialect::EditConfig,
        junos: true,
    },
    Peer {
        dialect: ConfigDialect::EditConfig,
        junos: false,
    },
];

impl Peer {
    pub fn target(self) -> Target {
        Target::Config(self.dialect)
    }

    pub fn options(self) -> ToXmlOptions {
        let mut options = ToXmlOptions {
            junos: self.junos,
            ..ToXmlOptions::default()
        };
        options.modules.insert(MODULE.0.to_owned(), MODULE.1.to_owned());
        options
    }

    /// What stands inside `<config>`. `None`: it means nothing.
    pub fn meaning(self, json: &Written) -> Option<Vec<Node>> {
        self.said(json).filter(|said| !is_empty(said))
    }

    /// Whether it amounts to a configuration without a statement or a mark (W8).
    pub fn says_nothing(self, json: &Written) -> bool {
        self.said(json).is_some_and(|said| is_empty(&said))
    }

    fn said(self, json: &Written) -> Option<Vec<Node>> {
        let Written::Object(members) = json else {
            return None;
        };
        let roots: Vec<_> = members
            .iter()
            .filter(|(name, _)| !name.starts_with(['@', '#']))
            .collect();
        let bare =
            |name: &str, value: &Written| !name.contains(':') && !names_namespace(members, name, value);
        let any_bare = roots.iter().any(|(name, value)| bare(name, value));
        let is_root = matches!(roots[..], [(name, _)] if name == "configuration");
        match (any_bare, self.junos) {
            (true, false) => None,
            // W8
            (true, true) if !is_root => {
                let own = members.iter().find(|(name, _)| name == "@").map(|(_, own)| own);
                let around = self.element(
                    "configuration",
                    &Written::Object(members.to_vec()),
                    own,
                    &Scope::default(),
                )?;
                Some(vec![Node::Element(around)])
            }
            (true, true) | (false, _) => self.content(members, &Scope::default()),
        }
    }

    /// The children of an element, in the order that they have.
    fn content(self, members: &Members, scope: &Scope) -> Option<Vec<Node>> {
        let list = |wanted: &str| match members.iter().find(|(name, _)| name == wanted) {
            Some((_, Written::List(items))) => Some(items.clone()),
            Some(_) | None => None,
        };
        let (order, texts) = (list("#order"), list("#text").unwrap_or_default());
        let mut children: Vec<(&str, Vec<Element>)> = Vec::new();
        for (name, value) in members.iter().filter(|(name, _)| !name.starts_with(['@', '#'])) {
            let beside = members
                .iter()
                .find(|(other, _)| other.strip_prefix('@') == Some(name));
            children.push((
                name,
                self.elements(name, value, beside.map(|(_, own)| own), scope)?,
            ));
        }
        let text = |text: &Written| match text {
            Written::Text(text) => Some(Node::Text(text.clone())),
            _ => None,
        };
        let Some(order) = order else {
            // W6
            let is_key = |(name, _): &&(String, Written)| name == "name";
            let key = members
                .iter()
                .find(is_key)
                .is_some_and(|(_, value)| !matches!(value, Written::Object(_)));
            children.sort_by_key(|(name, _)| !(self.junos && key && *name == "name"));
            let elements = children.into_iter().flat_map(|(_, elements)| elements);
            let texts: Option<Vec<Node>> = texts.iter().map(text).collect();
            return Some(texts?.into_iter().chain(elements.map(Node::Element)).collect());
        };
        // W7: each name stands for its next value.
        let mut content = Vec::new();
        let mut texts = texts.iter();
        let mut values: Vec<_> = children
            .into_iter()
            .map(|(name, elements)| (name, elements.into_iter()))
            .collect();
        for entry in order {
            let Written::Text(entry) = entry else { return None };
            if entry == "#text" {
                content.push(text(texts.next()?)?);
                continue;
            }
            let (_, values) = values.iter_mut().find(|(name, _)| *name == entry)?;
            content.push(Node::Element(values.next()?));
        }
        let left = values.iter().any(|(_, values)| values.len() > 0) || texts.len() > 0;
        (!left).then_some(content)
    }

    /// The elements of one member.
    fn elements(
        self,
        name: &str,
        value: &Written,
        own: Option<&Written>,
        scope: &Scope,
    ) -> Option<Vec<Element>> {
        let Written::List(items) = value else {
            return Some(vec![self.element(name, value, own, scope)?]);
        };
        let owns: &[Written] = match own {
            Some(Written::List(owns)) if owns.len() <= items.len() => owns,
            None => &[],
            Some(_) => return None,
        };
        let element = |(index, item): (usize, &Written)| {
            let own = owns.get(index).filter(|own| **own != Written::Null);
            self.element(name, item, own, scope)
        };
        items.iter().enumerate().map(element).collect()
    }

    fn element(
        self,
        name: &str,
        value: &Written,
        beside: Option<&Written>,
        scope: &Scope,
    ) -> Option<Element> {
        let inside = match value {
            Written::Object(members) => members.iter().find(|(name, _)| name == "@").map(|(_, own)| own),
            _ => None,
        };
        let own = match inside.or(beside) {
            Some(Written::Object(own)) => own.as_slice(),
            None => &[],
            Some(_) => return None,
        };
        let (prefix, local) = name
            .split_once(':')
            .map_or((None, name), |(prefix, local)| (Some(prefix), local));
        let named = match own.iter().find(|(name, _)| name == "xmlns") {
            Some((_, ns)) => Some(scalar("xmlns", ns)?),
            None => None,
        };
        let mut scope = scope.clone();
        if let (Some(ns), Some(prefix)) = (&named, prefix) {
            scope.prefixes.push((prefix.to_owned(), ns.clone()));
        }
        let mut element = Element::new(local);
        element.ns = match (named, prefix) {
            (Some(named), _) => Some(named),
            (None, Some(prefix)) => Some(scope.namespace(prefix)?),
            (None, None) => scope.ns.clone(),
        };
        scope.ns.clone_from(&element.ns);
        element.attributes = self.attributes(own)?;
        element.children = match value {
            Written::Null | Written::Bool(true) => Vec::new(),
            Written::Bool(false) | Written::List(_) => return None,
            Written::Number(digits) => vec![Node::Text(digits.clone())],
            Written::Text(text) => vec![Node::Text(text.clone())],
            Written::Object(members) => self.content(members, &scope)?,
        };
        Some(element)
    }

    /// W5
    fn attributes(self, own: &Members) -> Option<Vec<Attribute>> {
        let mut attributes = Vec::new();
        for (name, value) in own
            .iter()
            .filter(|(name, _)| name != "xmlns" && name != "#comment")
        {
            let value = scalar(name, value)?;
            let Some((name, value)) = self.mark(name, &value)? else {
                continue;
            };
            let (prefix, local) = name
                .split_once(':')
                .map_or((None, &*name), |(prefix, local)| (Some(prefix), local));
            attributes.push(Attribute {
                prefix: prefix.map(str::to_owned),
                local: local.to_owned(),
                ns: None,
                value,
            });
        }
        Some(attributes)
    }

    /// An attribute as the operation has it; `None` inside: it needs none.
    fn mark(self, name: &str, value: &str) -> Option<Option<(String, String)>> {
        let is = |name: &str, value: &str| Some(Some((name.to_owned(), value.to_owned())));
        let load = self.dialect == ConfigDialect::LoadConfiguration;
        let flag = |flag: &str| if self.junos { is(flag, flag) } else { None };
        match (name, value) {
            ("operation" | "nc:operation", "activate") => flag("active"),
            ("operation" | "nc:operation", "deactivate") => flag("inactive"),
            ("operation" | "nc:operation", "protect" | "unprotect" | "rename") => flag(value),
            ("operation" | "nc:operation", "merge") if load => Some(None),
            ("operation" | "nc:operation", "delete" | "remove") if load => is("delete", "delete"),
            ("operation" | "nc:operation", "replace") if load => is("replace", "replace"),
            ("operation" | "nc:operation", "merge" | "delete" | "remove" | "replace" | "create") if !load => {
                is("nc:operation", value)
            }
            ("operation" | "nc:operation", _) => None,
            ("delete" | "replace", _) if name == value => self.mark("operation", name),
            ("inactive" | "active" | "protect" | "unprotect" | "rename", _) if name == value => flag(name),
            ("delete" | "replace" | "inactive" | "active" | "protect" | "unprotect" | "rename", _) => None,
            ("insert", "first" | "last" | "before" | "after") if !self.junos => is("yang:insert", value),
            ("insert", "first" | "last" | "before" | "after") => is(name, value),
            ("insert", _) => None,
            ("key" | "value", _) if !self.junos => is(&format!("yang:{name}"), value),
            _ => is(name, value),
        }
    }
}

/// Whether the metadata of a root name its namespace.
fn names_namespace(members: &Members, name: &str, value: &Written) -> bool {
    let names = |own: Option<&(String, Written)>| match own {
        Some((_, Written::Object(own))) => own.iter().any(|(name, _)| name == "xmlns"),
        Some(_) | None => false,
    };
    let inside = |value: &Written| match value {
        Written::Object(members) => names(members.iter().find(|(name, _)| name == "@")),
        _ => false,
    };
    let of_values = match value {
        Written::List(items) => !items.is_empty() && items.iter().all(inside),
        value => inside(value),
    };
    of_values
        || names(
            members
                .iter()
                .find(|(other, _)| other.strip_prefix('@') == Some(name)),
        )
}

/// What a value of metadata says.
fn scalar(name: &str, value: &Written) -> Option<String> {
    match value {
        Written::Text(text) => Some(text.clone()),
        Written::Number(digits) => Some(digits.clone()),
        Written::Bool(true) => name.rsplit(':').next().map(str::to_owned),
        Written::Bool(false) | Written::Null | Written::List(_) | Written::Object(_) => None,
    }
}

fn is_empty(said: &[Node]) -> bool {
    match said {
        [Node::Element(only)] => {
            let plain = only.local == "configuration" && only.ns.is_none() && only.attributes.is_empty();
            let silent = |node: &Node| matches!(node, Node::Text(text) if text.is_empty());
            plain && only.children.iter().all(silent)
        }
        _ => false,
    }
}

/// What names mean where an element stands.
#[derive(Debug, Clone, Default)]
struct Scope {
    ns: Option<String>,
    /// Of the elements around it, the innermost last.
    prefixes: Vec<(String, String)>,
}

impl Scope {
    fn namespace(&self, prefix: &str) -> Option<String> {
        let known = match prefix {
            "junos" => Some(JUNOS_NS),
            "nc" => Some(NETCONF_BASE_NS),
            "yang" => Some(YANG_NS),
            _ => None,
        };
        let bound = self.prefixes.iter().rev().find(|(name, _)| name == prefix);
        match bound.map(|(_, ns)| ns.as_str()).or(known) {
            _ if prefix == MODULE.0 => Some(MODULE.1.to_owned()),
            found => found.map(str::to_owned),
        }
    }
}

/// A tree as text, to be compared: how a prefix is called outside attributes, the order of attributes, and where one text
/// ends and the next begins say nothing.
pub fn canonical(nodes: &[Node]) -> String {
    let mut out = String::new();
    let mut text = String::new();
    for node in nodes {
        match node {
            Node::Text(more) => text.push_str(more),
            Node::Element(element) => {
                flush(&mut text, &mut out);
                let name = |attribute: &Attribute| {
                    let prefix = attribute.prefix.as_deref().unwrap_or_default();
                    format!(" {prefix}:{}={:?}", attribute.local, attribute.value)
                };
                let mut attributes: Vec<String> = element.attributes.iter().map(name).collect();
                attributes.sort();
                let ns = element.ns.as_deref().unwrap_or_default();
                let inside = canonical(&element.children);
                out += &format!("<{{{ns}}}{}{}|{inside}>", element.local, attributes.concat());
            }
        }
    }
    flush(&mut text, &mut out);
    out
}

fn flush(text: &mut String, out: &mut String) {
    if !text.is_empty() {
        *out += &format!("{text:?}");
        text.clear();
    }
}
