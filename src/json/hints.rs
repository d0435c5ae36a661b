//! Which children are lists although only one is there (N6): the versioned hint table.
//!
//! The facts are those of the Junos 24.4R1 YANG modules, and of the NETCONF and Junos envelopes that no module
//! describes. A table, once served, stays served, because it decides the shape of answers that scripts rely on.
//!
//! `hints/*.txt` has a line for each parent: its name and the children that are always arrays. A `+` before the name
//! stands for the three `apply-` statements that nearly every configuration container can hold.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::LazyLock;

const JUNOS_24_4_1: &str = "junos-24.4.1";
const APPLY: [&str; 3] = ["apply-groups", "apply-groups-except", "apply-macro"];

static JUNOS_24_4_1_TABLE: LazyLock<Table> =
    LazyLock::new(|| Table::read(include_str!("hints/junos-24.4.1.txt")));

/// One version of the table. Cheap to copy.
#[derive(Clone, Copy, Debug)]
pub struct HintTable {
    version: &'static str,
    table: &'static LazyLock<Table>,
}

impl HintTable {
    /// The newest table.
    pub fn latest() -> Self {
        HintTable {
            version: JUNOS_24_4_1,
            table: &JUNOS_24_4_1_TABLE,
        }
    }

    /// The table of this version, as named by `hints=` and in the label of a mapping.
    pub fn version(version: &str) -> Option<Self> {
        (version == JUNOS_24_4_1).then(HintTable::latest)
    }

    /// Versions that are served, newest first.
    pub fn versions() -> &'static [&'static str] {
        &[JUNOS_24_4_1]
    }

    /// The name of this version.
    pub fn label(&self) -> &'static str {
        self.version
    }

    /// Whether `child` of `parent` is always an array; both are local names.
    pub fn is_list(&self, parent: &str, child: &str) -> bool {
        self.children(parent)
            .is_some_and(|children| children.contains(child))
    }

    /// What is known about the children of `parent`.
    pub(crate) fn children(&self, parent: &str) -> Option<&'static ListChildren> {
        self.table.parents.get(parent)
    }

    /// Every pair of the table, for tests of its contents.
    #[cfg(test)]
    pub(crate) fn pairs(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        self.table.parents.iter().flat_map(|(parent, children)| {
            let apply = if children.apply { &APPLY[..] } else { &[] };
            children
                .names
                .iter()
                .chain(apply)
                .map(move |child| (*parent, *child))
        })
    }
}

impl PartialEq for HintTable {
    fn eq(&self, other: &Self) -> bool {
        self.version == other.version
    }
}

impl Eq for HintTable {}

/// The list children of one parent.
#[derive(Debug)]
pub(crate) struct ListChildren {
    /// A bit for each length and first letter that occurs: most names are told apart by this alone.
    filter: u64,
    apply: bool,
    /// Sorted.
    names: Box<[&'static str]>,
}

impl ListChildren {
    pub(crate) fn contains(&self, child: &str) -> bool {
        self.filter & bit(child) != 0
            && (self.names.binary_search(&child).is_ok() || (self.apply && APPLY.contains(&child)))
    }
}

fn bit(name: &str) -> u64 {
    let first = name.as_bytes().first().copied().unwrap_or_default();
    1 << ((usize::from(first) * 7 + name.len()) & 63)
}

#[derive(Debug)]
struct Table {
    parents: HashMap<&'static str, ListChildren, BuildHasherDefault<NameHasher>>,
}

impl Table {
    fn read(text: &'static str) -> Table {
        let parents = text.lines().filter_map(|line| {
            let mut words = line.split(' ');
            let parent = words.next()?;
            let (parent, apply) = parent
                .strip_prefix('+')
                .map_or((parent, false), |parent| (parent, true));
            let names: Box<[&str]> = words.collect();
            let known = names.iter().chain(if apply { &APPLY[..] } else { &[] });
            let filter = known.fold(0, |filter, name| filter | bit(name));
            Some((parent, ListChildren { filter, apply, names }))
        });
        Table {
            parents: parents.collect(),
        }
    }
}

/// A quick hash for looking names up in a table whose keys are fixed: no input can make it slow.
#[derive(Default)]
struct NameHasher(u64);

impl Hasher for NameHasher {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.0 = (self.0.rotate_left(5) ^ u64::from_le_bytes(word)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        }
    }

    fn finish(&self) -> u64 {
        self.0 ^ (self.0 >> 32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// N6
    #[test]
    fn lists_of_configuration_operational_data_and_envelopes_are_known() {
        let table = HintTable::latest();
        for (parent, child) in [
            ("interface-information", "physical-interface"),
            ("interfaces", "interface"),
            ("interfaces", "apply-groups"),
            ("rpc-reply", "rpc-error"),
            ("rpc-reply", "output"),
            ("multi-routing-engine-results", "multi-routing-engine-item"),
            ("commit-results", "routing-engine"),
        ] {
            assert!(table.is_list(parent, child), "{parent} {child}");
        }
        for (parent, child) in [
            ("physical-interface", "name"),
            ("nothing", "interface"),
            ("interface-information", ""),
        ] {
            assert!(!table.is_list(parent, child), "{parent} {child}");
        }
    }

    /// N6: the version is part of the contract, and so is what it holds.
    #[test]
    fn a_served_table_never_changes() {
        assert_eq!(HintTable::latest().label(), "junos-24.4.1");
        assert_eq!(HintTable::version("junos-24.4.1"), Some(HintTable::latest()));
        assert_eq!(HintTable::version("junos-1"), None);
        let pairs: Vec<_> = HintTable::latest().pairs().collect();
        assert_eq!(pairs.len(), 17_971);
        assert!(
            pairs
                .iter()
                .all(|(parent, child)| HintTable::latest().is_list(parent, child))
        );
    }
}
