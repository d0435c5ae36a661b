//! The configuration tree: nodes of known statements, kept in the order in which a device shows them.

use super::schema::{self, Kind, Statement};

/// One statement as configured.
///
/// `argument` is the key of a list entry, the value of a leaf or of one leaf-list entry, and empty otherwise.
#[derive(Clone, Debug)]
pub struct Node {
    /// What this is a node of.
    pub statement: &'static Statement,
    /// Key or value.
    pub argument: String,
    /// Statements below.
    pub children: Vec<Node>,
    /// `inactive:` in text; kept, shown and not applied.
    pub inactive: bool,
    /// `protect:` in text; nothing at or below it may be changed until it is unprotected.
    pub protected: bool,
    /// Attributes that one answer carries (`junos:position`, `junos:group`, …); never stored.
    pub marks: Vec<(&'static str, String)>,
}

/// Equal in what is configured; marks do not count.
impl PartialEq for Node {
    fn eq(&self, other: &Self) -> bool {
        self.same(other)
            && self.inactive == other.inactive
            && self.protected == other.protected
            && self.children == other.children
    }
}

/// An empty configuration.
impl Default for Node {
    fn default() -> Self {
        Self::root()
    }
}

impl Node {
    /// A node without children.
    pub fn new(statement: &'static Statement, argument: impl Into<String>) -> Self {
        Self {
            statement,
            argument: argument.into(),
            children: Vec::new(),
            inactive: false,
            protected: false,
            marks: Vec::new(),
        }
    }

    /// An empty configuration.
    pub fn root() -> Self {
        Self::new(schema::root(), "")
    }

    /// A copy without the children.
    pub fn shallow(&self) -> Self {
        Self {
            statement: self.statement,
            argument: self.argument.clone(),
            children: Vec::new(),
            inactive: self.inactive,
            protected: self.protected,
            marks: self.marks.clone(),
        }
    }

    /// Whether both are the same statement of the hierarchy: same name, and same key where there may be several.
    /// Two leaves are the same whatever their values.
    pub fn is(&self, statement: &Statement, argument: &str) -> bool {
        self.statement.name == statement.name && (!statement.repeats() || self.argument == argument)
    }

    /// Same statement and same argument.
    fn same(&self, other: &Node) -> bool {
        self.statement.name == other.statement.name && self.argument == other.argument
    }

    /// The child that is this statement, see [`Node::is`].
    pub fn find(&self, statement: &Statement, argument: &str) -> Option<&Node> {
        self.children.iter().find(|child| child.is(statement, argument))
    }

    /// The only child of this name, or the first.
    pub fn child(&self, name: &str) -> Option<&Node> {
        self.children.iter().find(|child| child.statement.name == name)
    }

    /// All children of this name.
    pub fn children_named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Node> {
        self.children
            .iter()
            .filter(move |child| child.statement.name == name)
    }

    /// The value of the leaf at this path of containers and leaves.
    pub fn value(&self, path: &[&str]) -> Option<&str> {
        let mut node = self;
        for name in path {
            node = node.child(name)?;
        }
        Some(&node.argument)
    }

    /// The words that name this node, with the value of a leaf: `unit 0`, `host-name mx1`, `ge-0/0/0`.
    pub fn full_words(&self) -> Vec<&str> {
        let mut words = self.words();
        let valued = matches!(self.statement.kind, Kind::Leaf | Kind::LeafList);
        if valued && self.statement.style != schema::Style::Unnamed {
            words.push(&self.argument);
        }
        words
    }

    /// Where the child stands that is this statement; it is made where it is missing. A leaf takes the new value.
    pub fn ensure(&mut self, statement: &'static Statement, argument: &str) -> usize {
        let at = match self
            .children
            .iter()
            .position(|child| child.is(statement, argument))
        {
            Some(at) => at,
            None => self.insert(Node::new(statement, argument)),
        };
        let child = &mut self.children[at];
        if statement.kind == Kind::Leaf && child.argument != argument {
            child.argument = argument.to_owned();
        }
        at
    }

    /// Puts a node behind the last one that a device shows before it, and tells where.
    pub fn insert(&mut self, node: Node) -> usize {
        let order = node.statement.order;
        let at = self
            .children
            .iter()
            .rposition(|child| child.statement.order <= order)
            .map_or(0, |at| at + 1);
        self.children.insert(at, node);
        at
    }

    /// Takes everything out that is not protected, and tells whether something was, which stays.
    pub fn clear(&mut self) -> bool {
        self.children.retain_mut(|child| child.protected || child.clear());
        !self.children.is_empty()
    }

    /// The words that name this node inside its parent: `unit 0`, `host-name`, `ge-0/0/0`.
    pub fn words(&self) -> Vec<&str> {
        let mut words = Vec::with_capacity(2);
        if self.statement.style != schema::Style::Unnamed {
            words.push(self.statement.name);
        }
        if self.statement.key().is_some() || self.statement.style == schema::Style::Unnamed {
            words.push(&self.argument);
        }
        words
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn children_stand_in_the_order_of_the_table_and_entries_in_the_order_they_came() {
        let system = schema::root().child("system").unwrap();
        let mut node = Node::new(system, "");
        node.ensure(system.child("name-server").unwrap(), "192.0.2.9");
        node.ensure(system.child("host-name").unwrap(), "mx1");
        node.ensure(system.child("name-server").unwrap(), "192.0.2.1");
        let shown: Vec<_> = node
            .children
            .iter()
            .map(|child| child.argument.as_str())
            .collect();
        assert_eq!(shown, ["mx1", "192.0.2.9", "192.0.2.1"]);
    }

    #[test]
    fn a_leaf_is_set_again_and_not_doubled() {
        let system = schema::root().child("system").unwrap();
        let mut node = Node::new(system, "");
        node.ensure(system.child("host-name").unwrap(), "old");
        node.ensure(system.child("host-name").unwrap(), "new");
        assert_eq!(node.value(&["host-name"]), Some("new"));
        assert_eq!(node.children.len(), 1);
    }
}
