//! Which namespaces are declared where the writer stands.

use std::collections::HashMap;

/// Bindings written so far, innermost last, and the namespace of each open element.
#[derive(Debug)]
pub(super) struct Scope {
    /// What each prefix (empty: default) stands for where the writer stands.
    current: HashMap<String, String>,
    /// The prefixes bound so far, and what they stood for before.
    bindings: Vec<(String, Option<String>)>,
    /// For each open element: bindings outside it, and its namespace. `None` is whatever surrounds the fragment.
    open: Vec<(usize, Option<String>)>,
    /// What a fragment finds outside itself.
    outside: Option<String>,
}

impl Scope {
    /// `outside` is the namespace around the outermost elements; `None` if that is somebody else's business.
    pub(super) fn new(outside: Option<String>) -> Self {
        Scope {
            current: HashMap::new(),
            bindings: Vec::new(),
            open: Vec::new(),
            outside,
        }
    }

    /// The namespace of the innermost open element.
    pub(super) fn ns(&self) -> Option<&str> {
        match self.open.last() {
            Some((_, ns)) => ns.as_deref(),
            None => self.outside.as_deref(),
        }
    }

    /// The namespace that a prefix is bound to; the empty prefix is the default namespace.
    pub(super) fn bound(&self, prefix: &str) -> Option<&str> {
        match self.current.get(prefix) {
            Some(ns) => Some(ns),
            None if prefix.is_empty() => self.outside.as_deref(),
            None => None,
        }
    }

    /// Open elements.
    pub(super) fn depth(&self) -> usize {
        self.open.len()
    }

    pub(super) fn open(&mut self, ns: Option<String>) {
        self.open.push((self.bindings.len(), ns));
    }

    /// Binds a prefix for the element just opened.
    pub(super) fn bind(&mut self, prefix: &str, ns: &str) {
        let before = self.current.insert(prefix.to_owned(), ns.to_owned());
        self.bindings.push((prefix.to_owned(), before));
    }

    /// Bindings of the element just opened.
    pub(super) fn bound_here(&self) -> usize {
        self.open
            .last()
            .map_or(0, |(outside, _)| self.bindings.len() - outside)
    }

    pub(super) fn close(&mut self) {
        let Some((outside, _)) = self.open.pop() else {
            return;
        };
        for (prefix, before) in self.bindings.drain(outside..).rev() {
            match before {
                Some(ns) => self.current.insert(prefix, ns),
                None => self.current.remove(&prefix),
            };
        }
    }
}
