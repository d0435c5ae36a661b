//! Changes to a configuration, whatever they were written in: XML, curly text, JSON and set commands all become
//! patches, and one function applies them.

use super::compare::banner;
use super::pattern::Pattern;
use super::schema::{Kind, Statement};
use super::tree::Node;
use crate::emulator::device_error::{DeviceError, Severity};

/// What is to happen to the statement that a patch names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Act {
    /// It is there afterwards, and what is below is added to what was.
    #[default]
    Merge,
    /// It is there afterwards with what is below and nothing else.
    Replace,
    /// As merge, but an error where it was there before.
    Create,
    /// It is gone; worth a word where it was not there.
    Delete,
    /// It is gone, whether it was there or not.
    Remove,
    /// Nothing: only what is below may act, and the switches.
    Touch,
}

/// Where an entry is put among the others of its list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Before all others.
    First,
    /// Behind all others.
    Last,
    /// Before the entry with this key.
    Before(String),
    /// Behind the entry with this key.
    After(String),
}

/// A change to one statement and to those below.
#[derive(Clone, Debug)]
pub struct Patch {
    /// The statement.
    pub statement: &'static Statement,
    /// Key or value; without one, all nodes of the statement are meant.
    pub argument: Option<String>,
    /// What happens to it.
    pub act: Act,
    /// Deactivated or activated.
    pub inactive: Option<bool>,
    /// Protected or not any more.
    pub protect: Option<bool>,
    /// Moved.
    pub place: Option<Place>,
    /// Its new key.
    pub rename: Option<String>,
    /// What is replaced in its words, and in those of all below.
    pub pattern: Option<Pattern>,
    /// Changes below.
    pub children: Vec<Patch>,
}

/// How patches are applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Manner {
    /// Whether [`Act::Replace`] means what it says; `load merge` takes it for merge.
    pub replaces: bool,
    /// Whether it is a warning and no error to delete what is not there.
    pub lenient: bool,
    /// Whether what stands behind the first error is left alone.
    pub stops: bool,
}

impl Manner {
    /// As Junos loads with action merge.
    pub const MERGE: Self = Self {
        replaces: false,
        lenient: true,
        stops: false,
    };
    /// As Junos loads with any action that replaces.
    pub const REPLACE: Self = Self {
        replaces: true,
        lenient: true,
        stops: false,
    };
}

impl Patch {
    /// A patch that does nothing but hold others.
    pub fn new(statement: &'static Statement, argument: Option<String>, act: Act) -> Self {
        Self {
            statement,
            argument,
            act,
            inactive: None,
            protect: None,
            place: None,
            rename: None,
            pattern: None,
            children: Vec::new(),
        }
    }

    /// Whether the node is what this patch names.
    fn names(&self, node: &Node) -> bool {
        node.statement.name == self.statement.name
            && self
                .argument
                .as_ref()
                .is_none_or(|argument| node.is(self.statement, argument))
    }

    /// Whether it changes the node itself, and not only what is below it.
    fn changes_node(&self) -> bool {
        let acts = match self.act {
            Act::Replace | Act::Create | Act::Delete | Act::Remove => true,
            Act::Merge => self.children.is_empty(),
            Act::Touch => false,
        };
        acts || self.inactive.is_some() || self.place.is_some() || self.rename.is_some()
    }

    /// The words that name it.
    fn words(&self) -> String {
        let argument = self.argument.as_deref().unwrap_or_default();
        let node = Node::new(self.statement, argument);
        let words = node.full_words().join(" ");
        words.trim_end().to_owned()
    }
}

/// Applies patches to what is below `root`, and tells what went wrong, in order. What went well stays.
pub fn apply(root: &mut Node, patches: &[Patch], manner: Manner) -> Vec<DeviceError> {
    let mut applying = Applying {
        manner,
        path: Vec::new(),
        problems: Vec::new(),
    };
    applying.all(root, patches);
    applying.problems
}

struct Applying {
    manner: Manner,
    /// Words that lead to the present level.
    path: Vec<String>,
    problems: Vec<DeviceError>,
}

impl Applying {
    fn all(&mut self, parent: &mut Node, patches: &[Patch]) {
        for patch in patches {
            if self.manner.stops && self.problems.iter().any(|told| told.severity == Severity::Error) {
                return;
            }
            self.one(parent, patch);
        }
    }

    fn one(&mut self, parent: &mut Node, patch: &Patch) {
        if self.refused(parent, patch) {
            return;
        }
        match patch.act {
            Act::Delete | Act::Remove => self.delete(parent, patch),
            Act::Touch => self.touch(parent, patch),
            Act::Create if parent.children.iter().any(|child| patch.names(child)) => {
                let error = self.problem("statement already exists", &patch.words());
                self.problems.push(error.tagged("application", "data-exists"));
            }
            Act::Merge | Act::Replace | Act::Create => self.put(parent, patch),
        }
    }

    /// Whether a protected statement is in the way, which then is told.
    fn refused(&mut self, parent: &Node, patch: &Patch) -> bool {
        let guarded = parent
            .children
            .iter()
            .find(|child| child.protected && patch.names(child));
        let Some(guarded) = guarded.filter(|_| patch.protect != Some(false)) else {
            return false;
        };
        let mut path = self.path.clone();
        path.extend(guarded.words().into_iter().map(str::to_owned));
        let mut tell = |words: String, verb: &str| {
            let message = format!("[{}] is protected, '{words}' cannot be {verb}", path.join(" "));
            let error = DeviceError::new(message).at(banner(&self.path)).element(words);
            self.problems.push(if self.manner.lenient {
                error.into_warning()
            } else {
                error.tagged("protocol", "access-denied")
            });
        };
        if patch.changes_node() && (patch.act != Act::Merge || !guarded.statement.holds_statements()) {
            let verb = match patch.act {
                Act::Delete | Act::Remove => "deleted",
                Act::Merge | Act::Replace | Act::Create | Act::Touch => "changed",
            };
            tell(patch.words(), verb);
        }
        for below in &patch.children {
            let there = guarded.children.iter().any(|child| below.names(child));
            let verb = match below.act {
                Act::Delete | Act::Remove => "deleted",
                Act::Merge | Act::Replace | Act::Create | Act::Touch if there => "changed",
                Act::Merge | Act::Replace | Act::Create | Act::Touch => "created",
            };
            tell(below.words(), verb);
        }
        true
    }

    /// Deletes what the patch names. What is protected below it stays, and so does all that leads there.
    fn delete(&mut self, parent: &mut Node, patch: &Patch) {
        let mut found = false;
        parent.children.retain_mut(|child| {
            let named = patch.names(child);
            found |= named;
            !named || child.clear()
        });
        if !found && patch.act == Act::Delete {
            self.not_found(&patch.words());
        }
    }

    fn touch(&mut self, parent: &mut Node, patch: &Patch) {
        let mut found = false;
        let mut at = 0;
        while at < parent.children.len() {
            if !patch.names(&parent.children[at]) {
                at += 1;
                continue;
            }
            found = true;
            let emptied = self.below(&mut parent.children[at], patch);
            self.switch(parent, at, patch);
            if emptied && !parent.children[at].protected {
                parent.children.remove(at);
            } else {
                at += 1;
            }
        }
        if found || only_removes(patch) || patch.protect == Some(false) {
            return;
        }
        if protects(patch) {
            // What is to be protected and is not there is made first.
            self.put(parent, patch);
        } else {
            self.not_found(&patch.words());
        }
    }

    fn put(&mut self, parent: &mut Node, patch: &Patch) {
        let argument = match &patch.argument {
            Some(argument) => argument.as_str(),
            None if patch.statement.takes_argument() => {
                let error = self.problem("missing argument", patch.statement.name);
                self.problems.push(error);
                return;
            }
            None => "",
        };
        let before = parent.children.len();
        let at = parent.ensure(patch.statement, argument);
        let there = parent.children.len() == before;
        let child = &mut parent.children[at];
        if patch.act == Act::Replace && self.manner.replaces {
            child.clear();
            child.inactive = false;
        }
        let emptied = self.below(child, patch);
        // A container whose statements were all refused stays away, as one that was never named.
        let refused = !there && !patch.children.is_empty() && parent.children[at].children.is_empty();
        let hollow = emptied || (refused && patch.statement.kind == Kind::Container);
        self.switch(parent, at, patch);
        if hollow && !parent.children[at].protected {
            parent.children.remove(at);
        }
    }

    /// Applies what is below a node, and tells whether it thereby became a container of nothing.
    fn below(&mut self, node: &mut Node, patch: &Patch) -> bool {
        let depth = self.path.len();
        self.path.extend(node.words().into_iter().map(str::to_owned));
        self.all(node, &patch.children);
        self.path.truncate(depth);
        node.statement.kind == Kind::Container && node.children.is_empty()
    }

    /// Everything but adding and taking away. `at` is where the node stands.
    fn switch(&mut self, parent: &mut Node, at: usize, patch: &Patch) {
        let node = &mut parent.children[at];
        if let Some(pattern) = &patch.pattern {
            let mut path = self.path.clone();
            self.problems.extend(pattern.replace(node, &mut path));
        }
        node.inactive = patch.inactive.unwrap_or(node.inactive);
        node.protected = patch.protect.unwrap_or(node.protected);
        if let Some(name) = &patch.rename {
            self.rename(parent, at, name);
        }
        if let Some(place) = &patch.place {
            self.move_to(parent, at, place);
        }
    }

    fn rename(&mut self, parent: &mut Node, at: usize, name: &str) {
        let statement = parent.children[at].statement;
        if !statement.takes_argument() {
            let error = self.problem("statement cannot be renamed", statement.name);
            self.problems.push(error);
        } else if parent.find(statement, name).is_some() && statement.repeats() {
            let error = self.problem(format!("target statement '{name}' already exists"), name);
            self.problems.push(error);
        } else {
            name.clone_into(&mut parent.children[at].argument);
        }
    }

    fn move_to(&mut self, parent: &mut Node, at: usize, place: &Place) {
        let node = parent.children.remove(at);
        let same = |other: &Node| other.statement.name == node.statement.name;
        let first = parent.children.iter().position(same);
        let last = parent.children.iter().rposition(same);
        let referent = |key: &String| parent.children.iter().position(|o| same(o) && o.argument == *key);
        let target = match place {
            Place::First => Some(first.unwrap_or(at)),
            Place::Last => Some(last.map_or(at, |last| last + 1)),
            Place::Before(key) => referent(key),
            Place::After(key) => referent(key).map(|found| found + 1),
        };
        parent.children.insert(target.unwrap_or(at), node);
        if target.is_none()
            && let Place::Before(key) | Place::After(key) = place
        {
            self.not_found(key);
        }
    }

    fn not_found(&mut self, words: &str) {
        let error = self.problem("statement not found", words);
        self.problems.push(if self.manner.lenient {
            error.into_warning()
        } else {
            error.tagged("application", "data-missing")
        });
    }

    fn problem(&self, message: impl Into<Box<str>>, bad_element: &str) -> DeviceError {
        DeviceError::new(message)
            .at(banner(&self.path))
            .element(bad_element)
    }
}

/// Whether something in it is to be protected.
fn protects(patch: &Patch) -> bool {
    patch.protect == Some(true) || patch.children.iter().any(protects)
}

/// Whether all that the patch does is done where nothing is.
fn only_removes(patch: &Patch) -> bool {
    if patch.pattern.is_some() {
        return true;
    }
    let switches = patch.inactive.is_some() || patch.protect.is_some();
    let moves = patch.place.is_some() || patch.rename.is_some();
    !switches
        && !moves
        && !patch.children.is_empty()
        && patch.children.iter().all(|child| match child.act {
            Act::Remove => true,
            Act::Touch => only_removes(child),
            Act::Merge | Act::Replace | Act::Create | Act::Delete => false,
        })
}

#[cfg(test)]
mod tests;
