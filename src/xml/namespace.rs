//! The prefixes in scope, with namespace names interned: comparing two namespaces is comparing two numbers.

use std::collections::HashMap;

use super::error::XmlErrorKind;

/// A namespace name of one document. Equal ids mean equal names within that document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NamespaceId(u32);

impl NamespaceId {
    /// In no namespace.
    pub const NONE: NamespaceId = NamespaceId(0);
    /// What the prefix `xml` is always bound to.
    pub(crate) const XML: NamespaceId = NamespaceId(1);
}

const XML_NS: &str = "http://www.w3.org/XML/1998/namespace";

/// Prefixes in scope, and the interned names.
#[derive(Debug)]
pub(crate) struct Namespaces {
    names: Vec<Box<str>>,
    ids: HashMap<Box<str>, u32>,
    /// What each prefix stands for here.
    current: HashMap<Box<str>, NamespaceId>,
    /// The prefixes bound so far, and what they stood for before.
    bindings: Vec<(Box<str>, Option<NamespaceId>)>,
    limit: usize,
    lenient: bool,
}

impl Namespaces {
    pub(crate) fn new(limit: usize) -> Self {
        Namespaces {
            names: vec!["".into(), XML_NS.into()],
            ids: HashMap::from([("".into(), 0), (XML_NS.into(), 1)]),
            current: HashMap::new(),
            bindings: Vec::new(),
            limit,
            lenient: false,
        }
    }

    /// From now on a prefix without a declaration gets a name of its own instead of being refused.
    pub(crate) fn set_lenient(&mut self) {
        self.lenient = true;
    }

    /// The namespace name; `None` for no namespace.
    pub(crate) fn name(&self, id: NamespaceId) -> Option<&str> {
        if id == NamespaceId::NONE {
            None
        } else {
            self.names.get(id.0 as usize).map(|name| &**name)
        }
    }

    pub(crate) fn intern(&mut self, name: &str) -> Result<NamespaceId, XmlErrorKind> {
        if let Some(id) = self.ids.get(name) {
            return Ok(NamespaceId(*id));
        }
        // The two built-in names do not count.
        if self.names.len() - 2 >= self.limit {
            return Err(XmlErrorKind::TooManyNamespaces(self.limit));
        }
        let id = self.names.len() as u32;
        self.names.push(name.into());
        self.ids.insert(name.into(), id);
        Ok(NamespaceId(id))
    }

    /// The prefixes in scope and what they stand for, in no order.
    pub(crate) fn bound(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        let bound = self.current.iter();
        bound.map(|(prefix, id)| (&**prefix, self.name(*id).unwrap_or_default()))
    }

    /// How many bindings are in scope, to come back to with [`Namespaces::truncate`].
    pub(crate) fn mark(&self) -> usize {
        self.bindings.len()
    }

    pub(crate) fn truncate(&mut self, mark: usize) {
        if self.bindings.len() > mark {
            for (prefix, before) in self.bindings.drain(mark..).rev() {
                match before {
                    Some(id) => self.current.insert(prefix, id),
                    None => self.current.remove(&prefix),
                };
            }
        }
    }

    /// Binds a prefix (empty: the default namespace) and returns the namespace.
    pub(crate) fn declare(&mut self, prefix: &str, name: &str) -> Result<NamespaceId, XmlErrorKind> {
        // Namespaces in XML 1.0 section 3: `xml` keeps its name, nothing else may have it, `xmlns` is never declared,
        // and only the default namespace can be taken back.
        let legal = match prefix {
            "xml" => name == XML_NS,
            "xmlns" => false,
            "" => name != XML_NS,
            _ => !name.is_empty() && name != XML_NS,
        };
        if !legal || name == "http://www.w3.org/2000/xmlns/" {
            return Err(XmlErrorKind::BadDeclaration);
        }
        let id = self.intern(name)?;
        // The default namespace is nobody's prefix: whoever reads keeps it beside.
        if !prefix.is_empty() {
            let before = self.current.insert(prefix.into(), id);
            self.bindings.push((prefix.into(), before));
        }
        Ok(id)
    }

    /// The namespace that a prefix stands for here.
    pub(crate) fn resolve(&mut self, prefix: &str) -> Result<NamespaceId, XmlErrorKind> {
        // However many prefixes a hostile document binds, finding one takes one look.
        if let Some(id) = self.current.get(prefix) {
            return Ok(*id);
        }
        match prefix {
            "xml" => Ok(NamespaceId::XML),
            "xmlns" => Err(XmlErrorKind::UndeclaredPrefix(prefix.to_owned())),
            "junos" if self.lenient => self.intern(super::JUNOS_NS),
            "nc" if self.lenient => self.intern(super::NETCONF_BASE_NS),
            _ if self.lenient => self.intern(&format!("urn:ncgate:prefix:{prefix}")),
            _ => Err(XmlErrorKind::UndeclaredPrefix(prefix.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_innermost_binding_wins_and_goes_with_its_element() {
        let mut map = Namespaces::new(10);
        let outer = map.declare("p", "urn:a").unwrap();
        let mark = map.mark();
        let inner = map.declare("p", "urn:b").unwrap();
        assert_ne!(outer, inner);
        assert_eq!(map.resolve("p"), Ok(inner));
        map.truncate(mark);
        assert_eq!(map.resolve("p"), Ok(outer));
        assert_eq!(map.name(outer), Some("urn:a"));
    }

    /// X3: the innermost of many, and each of them once the inner ones are gone.
    #[test]
    fn many_bindings_are_found_at_once() {
        let mut map = Namespaces::new(10);
        let (a, b) = (map.intern("urn:a").unwrap(), map.intern("urn:b").unwrap());
        for n in 0..25_000 {
            map.declare(&format!("p{n}"), "urn:a").unwrap();
        }
        let mark = map.mark();
        for n in 0..25_000 {
            map.declare(&format!("p{n}"), "urn:b").unwrap();
            map.declare(&format!("p{n}"), "urn:b").unwrap();
        }
        // With a search through the bindings, this alone would be some ten billion steps.
        for _ in 0..10 {
            for n in 0..25_000 {
                assert_eq!(map.resolve(&format!("p{n}")), Ok(b));
            }
        }
        map.truncate(mark);
        assert_eq!(map.resolve("p7"), Ok(a));
        map.truncate(0);
        assert!(map.resolve("p7").is_err());
    }

    #[test]
    fn names_are_bounded() {
        let mut map = Namespaces::new(1);
        map.declare("a", "urn:a").unwrap();
        map.declare("b", "urn:a").unwrap();
        assert_eq!(map.declare("c", "urn:c"), Err(XmlErrorKind::TooManyNamespaces(1)));
    }

    #[test]
    fn undeclared_prefixes_get_a_name_only_when_lenient() {
        let mut map = Namespaces::new(10);
        assert_eq!(
            map.resolve("nc"),
            Err(XmlErrorKind::UndeclaredPrefix("nc".into()))
        );
        map.set_lenient();
        let id = map.resolve("nc").unwrap();
        assert_eq!(map.name(id), Some(crate::xml::NETCONF_BASE_NS));
        let id = map.resolve("foo").unwrap();
        assert_eq!(map.name(id), Some("urn:ncgate:prefix:foo"));
    }

    #[test]
    fn reserved_prefixes_keep_their_meaning() {
        let mut map = Namespaces::new(10);
        assert_eq!(map.resolve("xml"), Ok(NamespaceId::XML));
        assert_eq!(map.declare("xml", "urn:a"), Err(XmlErrorKind::BadDeclaration));
        assert_eq!(map.declare("p", XML_NS), Err(XmlErrorKind::BadDeclaration));
        assert_eq!(map.declare("p", ""), Err(XmlErrorKind::BadDeclaration));
        assert!(map.declare("", "").is_ok());
    }
}
