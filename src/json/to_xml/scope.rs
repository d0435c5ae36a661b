//! Which namespaces are declared where the writer stands.

/// Bindings written so far, innermost last, and the namespace of each open element.
#[derive(Debug)]
pub(super) struct Scope {
    /// Prefix (empty: default) and namespace.
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
        let found = self.bindings.iter().rev().find(|(bound, _)| bound == prefix);
        match found {
            Some((_, ns)) => ns.as_deref(),
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
        self.bindings.push((prefix.to_owned(), Some(ns.to_owned())));
    }

    /// Bindings of the element just opened.
    pub(super) fn bound_here(&self) -> usize {
        self.open
            .last()
            .map_or(0, |(outside, _)| self.bindings.len() - outside)
    }

    pub(super) fn close(&mut self) {
        if let Some((bindings, _)) = self.open.pop() {
            self.bindings.truncate(bindings);
        }
    }
}
