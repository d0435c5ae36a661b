//! A whole configuration as it was at one moment, to be compared with a later one (U10, E4): exactly by its digest,
//! and for people by its lines. What Junos adds in attributes of its own (`junos:changed-…`, `junos:commit-…`), blank
//! text, prefixes and the order of attributes make no difference.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest, Sha256};

use crate::error::Diff;
use crate::session::RawReply;
use crate::xml::tree::{Attribute, Element, Node};
use crate::xml::{Event, Handler, Limits, Source, Start, XmlError, parse_source};

/// Bytes of a reply up to which its lines are kept; of what is larger only the digest.
const MOST_OF_A_TREE: u64 = 8 << 20;
/// Bytes of a difference that are shown.
pub const MOST_OF_A_DIFF: usize = 1 << 20;
/// Bytes of a reply from which on it is read beside the threads that serve everybody.
const LARGE: u64 = 256 << 10;
/// Bytes of blanks that may stand before a text.
const MOST_BLANKS: usize = 64 << 10;

/// A configuration, read once.
#[derive(Debug, Clone)]
pub struct Snapshot {
    digest: [u8; 32],
    /// Lines in document order; none of a configuration that is too large.
    tree: Option<Element>,
}

impl Snapshot {
    /// Reads the reply to a `<get-config>`.
    ///
    /// # Errors
    /// In words: the stored reply cannot be read back, or is no XML.
    pub async fn read(raw: RawReply) -> Result<Self, String> {
        if raw.bytes < LARGE {
            return Self::of(&raw.source);
        }
        let read = tokio::task::spawn_blocking(move || Self::of(&raw.source));
        read.await
            .unwrap_or_else(|_| Err("reading was cut short".to_owned()))
    }

    fn of(source: &Source) -> Result<Self, String> {
        let mut digester = Digester::default();
        parse_source(source, Limits::default(), &mut digester).map_err(|error| error.to_string())?;
        let tree = if source.len() <= MOST_OF_A_TREE {
            let text = source
                .read_to_string(MOST_OF_A_TREE)
                .map_err(|error| error.to_string())?;
            let reply = Element::parse(&text, &Limits::default()).map_err(|error| error.to_string())?;
            Some(reply.child("data").cloned().unwrap_or_default())
        } else {
            None
        };
        Ok(Self {
            digest: digester.digest.finalize().into(),
            tree,
        })
    }

    /// Whether both are the same configuration.
    pub fn same(&self, other: &Self) -> bool {
        self.digest == other.digest
    }

    /// What it is known by: SHA-256, hexadecimal.
    pub fn digest(&self) -> String {
        self.digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// What has become different `after` this one: a line for each leaf, by its path. Empty only when nothing has.
    pub fn difference(&self, after: &Self) -> Diff {
        if self.same(after) {
            return Diff::new("");
        }
        let (Some(old), Some(new)) = (&self.tree, &after.tree) else {
            return Diff::new("~ the configurations differ, and are too large to be shown line by line\n");
        };
        let mut lists = BTreeSet::new();
        for tree in [old, new] {
            find_lists(tree, "", &mut lists);
        }
        let (old, new) = (lines(old, &lists), lines(new, &lists));
        let mut changes: Vec<(&str, char)> = Vec::new();
        changes.extend(missing(&old, &new).into_iter().map(|line| (line, '-')));
        changes.extend(missing(&new, &old).into_iter().map(|line| (line, '+')));
        changes.sort_unstable_by_key(|(line, sign)| (*line, *sign == '+'));
        let mut text = String::new();
        for (line, sign) in &changes {
            text.push(*sign);
            text.push(' ');
            text.push_str(line);
            text.push('\n');
        }
        if changes.is_empty() {
            // Only the order of entries: the first one that stands elsewhere.
            let moved = old.iter().zip(&new).find(|(before, now)| before != now);
            let line = moved.map_or("", |(_, now)| now.as_str());
            text = format!("~ {line}: stands in another place\n");
        }
        bounded(text)
    }
}

/// Whether anything has become different in `running` where `after` differs from `before`, or right beside, above or below
/// that, whatever the device has made of it there. `None`: they are too large to be looked at line by line.
pub fn shows(before: &Snapshot, after: &Snapshot, running: &Snapshot) -> Option<bool> {
    let (before, after, running) = (
        before.tree.as_ref()?,
        after.tree.as_ref()?,
        running.tree.as_ref()?,
    );
    let mut lists = BTreeSet::new();
    for tree in [before, after, running] {
        find_lists(tree, "", &mut lists);
    }
    let [before, after, running] = [before, after, running].map(|tree| lines(tree, &lists));
    let places = |one: &[String], other: &[String]| -> BTreeSet<String> {
        let gone = missing(one, other).into_iter();
        let come = missing(other, one).into_iter();
        let place = |line: &str| line.split_once(" = ").map_or(line, |(place, _)| place).to_owned();
        gone.chain(come).map(place).collect()
    };
    let (wanted, seen) = (places(&before, &after), places(&before, &running));
    let is_near = |one: &String| seen.iter().any(|other| are_near(one, other));
    // Nothing but an order was to change.
    Some(wanted.is_empty() || wanted.iter().any(is_near))
}

/// Whether two paths are of one element, or of siblings, or one of them stands in the other.
fn are_near(one: &str, other: &str) -> bool {
    let holds = |outer: &str, inner: &str| {
        inner
            .strip_prefix(outer)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let parent = |path: &str| path.rsplit_once('/').map_or("", |(parent, _)| parent).to_owned();
    holds(one, other) || holds(other, one) || parent(one) == parent(other)
}

/// A difference that is not too large to be kept. Its digest is that of the whole.
pub fn bounded(text: String) -> Diff {
    let Diff { mut text, sha256 } = Diff::new(text);
    if text.len() > MOST_OF_A_DIFF {
        let mut end = MOST_OF_A_DIFF;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        text.push_str("\n… the rest is not shown\n");
    }
    Diff { text, sha256 }
}

/// Attributes that are part of the configuration.
fn counts(ns: Option<&str>) -> bool {
    !ns.is_some_and(|ns| ns.starts_with("http://xml.juniper.net/"))
}

/// Hashes what a `<data>` holds, event by event.
#[derive(Default)]
struct Digester {
    digest: Sha256,
    depth: usize,
    /// Blanks that count only if text follows.
    blanks: String,
    in_text: bool,
}

impl Digester {
    fn part(&mut self, mark: u8, text: &str) {
        self.digest.update([mark]);
        self.digest.update((text.len() as u64).to_be_bytes());
        self.digest.update(text.as_bytes());
    }

    fn start(&mut self, start: &Start<'_>) {
        self.end_text();
        self.depth += 1;
        // The envelope and `<data>` are not of the configuration.
        if self.depth <= 2 {
            return;
        }
        self.part(b'<', start.ns().unwrap_or_default());
        self.part(b':', start.local());
        let mut attributes: Vec<(&str, &str, &str)> = start
            .attributes()
            .filter(|attribute| counts(attribute.ns))
            .map(|attribute| (attribute.ns.unwrap_or_default(), attribute.local, attribute.value))
            .collect();
        attributes.sort_unstable();
        for (ns, local, value) in attributes {
            self.part(b'@', ns);
            self.part(b':', local);
            self.part(b'=', value);
        }
    }

    fn text(&mut self, text: &str) {
        if !self.in_text && self.blanks.len() < MOST_BLANKS && text.trim().is_empty() {
            self.blanks.push_str(text);
            return;
        }
        if !self.in_text {
            self.in_text = true;
            self.digest.update(b"\"");
            let blanks = std::mem::take(&mut self.blanks);
            self.digest.update(blanks.as_bytes());
        }
        self.digest.update(text.as_bytes());
    }

    fn end_text(&mut self) {
        self.blanks.clear();
        if std::mem::take(&mut self.in_text) {
            // A byte that no UTF-8 text holds.
            self.digest.update([0xff]);
        }
    }
}

impl Handler for Digester {
    type Error = XmlError;

    fn event(&mut self, event: Event<'_>) -> Result<(), XmlError> {
        match event {
            Event::Start(start) => self.start(&start),
            Event::Text(text) if self.depth > 2 => self.text(text),
            Event::End { .. } => {
                self.end_text();
                if self.depth > 2 {
                    self.digest.update(b">");
                }
                self.depth = self.depth.saturating_sub(1);
            }
            Event::Text(_) | Event::Comment(_) => {}
        }
        Ok(())
    }
}

/// The paths of elements that occur several times beside each other: entries, which need something to tell them apart.
fn find_lists(element: &Element, path: &str, lists: &mut BTreeSet<String>) {
    let mut seen = BTreeSet::new();
    for child in element.children() {
        let path = format!("{path}/{}", child.local);
        if !seen.insert(child.local.as_str()) {
            lists.insert(path.clone());
        }
        find_lists(child, &path, lists);
    }
}

/// One line for each leaf, empty container and element with attributes.
fn lines(root: &Element, lists: &BTreeSet<String>) -> Vec<String> {
    let mut lines = Vec::new();
    below(root, "", "", lists, &mut lines);
    lines
}

/// `schema`: the path by names alone; `path`: with the keys of entries.
fn below(element: &Element, schema: &str, path: &str, lists: &BTreeSet<String>, out: &mut Vec<String>) {
    let mut position: BTreeMap<&str, usize> = BTreeMap::new();
    for child in element.children() {
        let number = position.entry(&child.local).or_default();
        *number += 1;
        let schema = format!("{schema}/{}", child.local);
        let mut path = format!("{path}/{}", child.local);
        let leaf = child.children().next().is_none();
        if !leaf && lists.contains(&schema) {
            match key(child) {
                Some((name, value)) => path.push_str(&format!("[{name}={value}]")),
                None => path.push_str(&format!("[{number}]")),
            }
        }
        let attributes = attributes(&child.attributes);
        if leaf {
            let text = child.text();
            let value = if text.is_empty() {
                String::new()
            } else {
                // One line, whatever the text holds.
                format!(" = {}", text.replace('\\', "\\\\").replace('\n', "\\n"))
            };
            out.push(format!("{path}{attributes}{value}"));
        } else {
            if !attributes.is_empty() {
                out.push(format!("{path}{attributes}"));
            }
            below(child, &schema, &path, lists, out);
        }
    }
}

/// Keys come first in an entry (RFC 7950 section 7.8.5).
fn key(entry: &Element) -> Option<(&str, String)> {
    let first = entry.children().next()?;
    let is_leaf = !first.children.iter().any(|node| matches!(node, Node::Element(_)));
    is_leaf.then(|| (first.local.as_str(), first.text()))
}

fn attributes(attributes: &[Attribute]) -> String {
    let mut shown: Vec<String> = attributes
        .iter()
        .filter(|attribute| counts(attribute.ns.as_deref()))
        .map(|attribute| format!(" @{}={}", attribute.local, attribute.value))
        .collect();
    shown.sort_unstable();
    shown.concat()
}

/// The lines of `of` that `other` does not have, as often as they are missing.
fn missing<'a>(of: &'a [String], other: &[String]) -> Vec<&'a str> {
    let mut left: BTreeMap<&str, usize> = BTreeMap::new();
    for line in other {
        *left.entry(line).or_default() += 1;
    }
    of.iter()
        .map(String::as_str)
        .filter(|line| match left.get_mut(line) {
            Some(count) if *count > 0 => {
                *count -= 1;
                false
            }
            Some(_) | None => true,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(inside: &str) -> Snapshot {
        let reply = format!(
            "<rpc-reply xmlns=\"urn:ietf:params:xml:ns:netconf:base:1.0\" xmlns:junos=\"http://xml.juniper.net/junos/21.4R1/junos\" \
             message-id=\"7\"><data>{inside}</data></rpc-reply>"
        );
        Snapshot::of(&Source::from(reply)).expect("a reply")
    }

    /// E4: what is no difference.
    #[test]
    fn equal_configurations_are_the_same() {
        let plain = snapshot("<a b=\"1\" c=\"2\"><d>x</d></a>");
        for same in [
            "<a c='2' b='1'>\n  <d>x</d>\n</a>",
            "<a c='2' b='1' junos:changed-seconds=\"7\"><!-- no --><d>x</d></a>",
            "<a c='2' b='1'><d><![CDATA[x]]></d></a>",
        ] {
            let other = snapshot(same);
            assert!(plain.same(&other), "{same}");
            assert!(plain.difference(&other).is_empty(), "{same}");
        }
        for different in [
            "<a c='2'><d>x</d></a>",
            "<a b='1' c='2'><d xmlns='urn:y'>x</d></a>",
            "<a b='1' c='2'><d>x </d></a>",
            "<a b='1' c='2'><d/>x</a>",
        ] {
            assert!(!plain.same(&snapshot(different)), "{different}");
        }
    }

    /// U10: lines of paths; entries of lists by their keys.
    #[test]
    fn difference_names_leaves_by_their_paths() {
        let before = snapshot(
            "<system><name>r1</name><user><name>bob</name><class>op</class></user><user><name>eve</name></user></system>",
        );
        let after =
            snapshot("<system><name>r2</name><user><name>bob</name><class>su</class><ssh/></user></system>");
        assert_eq!(
            before.difference(&after).text,
            "- /system/name = r1\n\
             + /system/name = r2\n\
             - /system/user[name=bob]/class = op\n\
             + /system/user[name=bob]/class = su\n\
             + /system/user[name=bob]/ssh\n\
             - /system/user[name=eve]/name = eve\n"
        );
    }

    #[test]
    fn another_order_is_a_difference() {
        let before = snapshot("<l><v>1</v><v>2</v></l>");
        let after = snapshot("<l><v>2</v><v>1</v></l>");
        assert_eq!(
            before.difference(&after).text,
            "~ /l/v = 2: stands in another place\n"
        );
    }

    /// E4: what somebody else has changed elsewhere is not taken for the change; what the device makes of it is.
    #[test]
    fn a_change_shows_in_its_own_places() {
        let before = snapshot("<i><name>a</name><mtu>1</mtu></i><host>r1</host>");
        let after = snapshot(
            "<i><name>a</name><mtu>1</mtu></i><i><name>b</name><secret>plain</secret></i><host>r1</host>",
        );
        for (running, expected) in [
            ("<host>r1</host>", false),
            ("<i><name>a</name><mtu>1</mtu></i><host>r2</host>", false),
            (
                "<i><name>a</name><mtu>1</mtu></i><i><name>b</name><secret>$9$x</secret></i><host>r1</host>",
                true,
            ),
            ("<i><name>b</name></i><host>r2</host>", true),
            // A secret goes where the device keeps it.
            (
                "<i><name>a</name><mtu>1</mtu></i><i><name>b</name><encrypted>$9$x</encrypted></i><host>r1</host>",
                true,
            ),
        ] {
            assert_eq!(
                shows(&before, &after, &snapshot(running)),
                Some(expected),
                "{running}"
            );
        }
        // What the device fills in below an element that was to come.
        let (bare, presence) = (snapshot("<p><a/></p>"), snapshot("<p><a/><mpls/></p>"));
        let filled = snapshot("<p><a/><mpls><labels>3</labels></mpls></p>");
        assert_eq!(shows(&bare, &presence, &filled), Some(true));
        // What was to go, and is there still.
        assert_eq!(shows(&after, &before, &snapshot("<host>r1</host>")), Some(true));
        let renamed = snapshot("<i><name>b</name><secret>plain</secret></i><host>r1</host>");
        assert_eq!(shows(&after, &before, &renamed), Some(false));
    }

    /// A difference is bounded, its digest is not.
    #[test]
    fn long_difference_is_cut() {
        let (one, two) = ("x".repeat(MOST_OF_A_DIFF + 1), "x".repeat(MOST_OF_A_DIFF + 2));
        let (one, two) = (bounded(one), bounded(two));
        assert_eq!(one.text, two.text);
        assert_ne!(one.sha256, two.sha256);
        assert!(one.text.len() < MOST_OF_A_DIFF + 100);
    }
}
