//! The pass that translates the marks of a configuration and adds those that a path asks for.

use super::EditError;
use crate::xml::marks::{Marked, Marks, YANG_NS};
use crate::xml::{AttributeList, Change, Event, Fragment, Handler, Limits, NETCONF_BASE_NS, Start, Writer};

/// What the pass saw.
#[derive(Debug, Default)]
pub(super) struct Outline {
    /// Elements that are marked in any way.
    pub(super) marked: usize,
    /// Of these, those that are replaced.
    pub(super) replaced: usize,
    /// The last outermost element without a namespace of its own.
    pub(super) bare_root: Option<String>,
    /// Outermost elements with a namespace.
    pub(super) named_roots: usize,
    roots: usize,
    configuration: bool,
}

impl Outline {
    /// Whether the one outermost element is `<configuration>`.
    pub(super) fn is_configuration(&self) -> bool {
        self.roots == 1 && self.configuration
    }

    /// Whether `<configuration>` is one of several, which cannot stand in another one.
    pub(super) fn is_beside_others(&self) -> bool {
        self.roots > 1 && self.configuration
    }
}

/// An open element.
#[derive(Debug)]
struct Open {
    local: String,
    /// It is replaced or goes, or is inside of one that does: what is in it needs no marks of its own. Other marks say
    /// something of the element alone.
    acts: bool,
    /// One in it is marked.
    holds_mark: bool,
    /// It has child elements.
    parent: bool,
    /// Prefixes that were declared on it by the pass.
    declared: [bool; 2],
}

/// The prefixes that marks are written with, and what they stand for.
const PREFIXES: [(&str, &str); 2] = [("nc", NETCONF_BASE_NS), ("yang", YANG_NS)];

pub(super) struct Marking {
    marks: Marks,
    /// Places, in document order, of the elements that are to be replaced.
    targets: Vec<usize>,
    /// Refuse elements that would do something without being marked.
    only_marked: bool,
    /// How the prefixes are really written: a document may use them for something else.
    prefixes: [String; 2],
    open: Vec<Open>,
    count: usize,
    outline: Outline,
}

impl Marking {
    /// For one fragment; `targets` are ascending.
    pub(super) fn new(elements: &Fragment, marks: Marks, targets: Vec<usize>, only_marked: bool) -> Self {
        Self {
            marks,
            targets,
            only_marked,
            prefixes: PREFIXES.map(|(prefix, ns)| free_prefix(elements.as_str(), prefix, ns)),
            open: Vec::new(),
            count: 0,
            outline: Outline::default(),
        }
    }

    pub(super) fn outline(self) -> Outline {
        self.outline
    }

    fn note_root(&mut self, start: &Start<'_>) {
        self.outline.roots += 1;
        self.outline.configuration |= start.local() == "configuration";
        match start.ns() {
            None | Some("" | NETCONF_BASE_NS) => self.outline.bare_root = Some(start.local().to_owned()),
            Some(_) => self.outline.named_roots += 1,
        }
    }

    /// The attributes of an element as the operation has them, those that are nobody's mark, and what the marks amount
    /// to.
    fn translated(
        &self,
        start: &Start<'_>,
        replace: bool,
    ) -> Result<(AttributeList, AttributeList, Marked), EditError> {
        let mut foreign: AttributeList = Vec::new();
        let mut attributes: AttributeList = Vec::new();
        let mut add = |attribute: (String, String)| {
            if attributes.iter().any(|(known, _)| *known == attribute.0) {
                return Err(self.refused(&format!("{} is there twice", attribute.0)));
            }
            attributes.push(attribute);
            Ok(())
        };
        for attr in start.attributes() {
            let name = match (attr.prefix, attr.ns) {
                (Some(_), Some(NETCONF_BASE_NS)) => format!("nc:{}", attr.local),
                (Some(_), Some(YANG_NS)) => format!("yang:{}", attr.local),
                // Whatever its prefix is called: the namespace decides.
                (Some(prefix), _) => {
                    foreign.push((format!("{prefix}:{}", attr.local), attr.value.to_owned()));
                    continue;
                }
                (None, _) => attr.local.to_owned(),
            };
            if let Some(attribute) = self
                .marks
                .attribute(&name, attr.value)
                .map_err(|why| self.refused(&why))?
            {
                add(attribute)?;
            }
        }
        if replace {
            let (name, value) = self.marks.replace();
            if !attributes
                .iter()
                .any(|(known, there)| known == name && there == value)
            {
                attributes.push((name.to_owned(), value.to_owned()));
            }
        }
        let marked = self.marks.check(&attributes).map_err(|why| self.refused(&why))?;
        Ok((attributes, foreign, marked))
    }

    /// The declarations of an element, with those that its marks need, and the marks under prefixes that are declared.
    fn declared(
        &self,
        start: &Start<'_>,
        attributes: AttributeList,
        foreign: AttributeList,
    ) -> (AttributeList, [bool; 2]) {
        let mut all: AttributeList = Vec::new();
        for declaration in start.declarations() {
            let name = declaration
                .prefix
                .map_or_else(|| "xmlns".to_owned(), |prefix| format!("xmlns:{prefix}"));
            all.push((name, declaration.uri.to_owned()));
        }
        let mut declared = [false; 2];
        for (index, (prefix, ns)) in PREFIXES.iter().enumerate() {
            let used = attributes.iter().any(|(name, _)| has_prefix(name, prefix));
            let there = self.open.iter().any(|open| open.declared[index]);
            let name = format!("xmlns:{}", self.prefixes[index]);
            if used && !there && !all.iter().any(|(known, _)| *known == name) {
                all.push((name, (*ns).to_owned()));
                declared[index] = true;
            }
        }
        for (name, value) in attributes {
            let renamed = PREFIXES
                .iter()
                .zip(&self.prefixes)
                .find_map(|((prefix, _), written)| {
                    let local = name.strip_prefix(prefix)?.strip_prefix(':')?;
                    Some(format!("{written}:{local}"))
                });
            all.push((renamed.unwrap_or(name), value));
        }
        all.extend(foreign);
        (all, declared)
    }

    fn refused(&self, detail: &str) -> EditError {
        let mut element = String::new();
        for open in &self.open {
            element.push('/');
            element.push_str(&open.local);
        }
        EditError::Element {
            element,
            detail: detail.to_owned(),
        }
    }
}

impl Change for Marking {
    type Error = EditError;

    fn start(&mut self, start: &Start<'_>, depth: usize) -> Result<Option<AttributeList>, EditError> {
        if depth == 1 {
            self.note_root(start);
        }
        let replace = self.targets.binary_search(&self.count).is_ok();
        self.count += 1;
        let inside = self.open.last_mut().is_some_and(|parent| {
            parent.parent = true;
            parent.acts
        });
        self.open.push(Open {
            local: start.local().to_owned(),
            acts: inside,
            holds_mark: false,
            parent: false,
            declared: [false; 2],
        });
        if start.attributes().next().is_none() && !replace {
            return Ok(None);
        }
        let (attributes, foreign, marked) = self.translated(start, replace)?;
        // Only the action override may replace everything.
        if depth == 1 && start.local() == "configuration" && (marked.replace || marked.delete) {
            return Err(self.refused("is the whole configuration: action override replaces it"));
        }
        self.outline.marked += usize::from(marked.any);
        self.outline.replaced += usize::from(marked.replace);
        let (attributes, declared) = self.declared(start, attributes, foreign);
        if let Some(open) = self.open.last_mut() {
            open.acts |= marked.replace || marked.delete;
            open.holds_mark = marked.any;
            open.declared = declared;
        }
        Ok(Some(attributes))
    }

    fn end(&mut self) -> Result<(), EditError> {
        if self.only_marked
            && let Some(open) = self.open.last()
            && !open.acts
            && !open.holds_mark
            // What names the object that a marked element is in.
            && !(open.local == "name" && !open.parent && self.open.len() > 1)
        {
            return Err(self.refused("is not marked, and load-configuration would merge it"));
        }
        let closed = self.open.pop();
        if let (Some(closed), Some(parent)) = (closed, self.open.last_mut()) {
            parent.holds_mark |= closed.holds_mark;
        }
        Ok(())
    }
}

fn has_prefix(name: &str, prefix: &str) -> bool {
    name.split_once(':').is_some_and(|(found, _)| found == prefix)
}

/// The prefix, or another one if the document binds it to something else.
fn free_prefix(document: &str, prefix: &str, ns: &str) -> String {
    let ours = format!("xmlns:{prefix}=\"{ns}\"");
    let any = format!("xmlns:{prefix}=");
    if document.matches(&any).count() == document.matches(&ours).count() {
        return prefix.to_owned();
    }
    let mut number = 0_u64;
    loop {
        let candidate = format!("{prefix}{number}");
        if !document.contains(&format!("xmlns:{candidate}=")) {
            return candidate;
        }
        number += 1;
    }
}

/// The elements inside the one outermost element, if that is NETCONF's own `<config>` or in no namespace. What it
/// declares is declared on each of them.
pub(super) fn inner(fragment: &Fragment, limits: &Limits) -> Result<Option<Fragment>, EditError> {
    let mut unwrap = Unwrap::default();
    fragment.read(limits, &mut unwrap)?;
    if unwrap.foreign {
        return Ok(None);
    }
    if unwrap.text {
        return Err(EditError::invalid("config", "text beside the elements of config"));
    }
    if unwrap.writer.is_empty() {
        return Ok(Some(Fragment::default()));
    }
    Ok(Some(unwrap.writer.finish()?))
}

#[derive(Default)]
struct Unwrap {
    writer: Writer,
    declarations: Vec<(String, String)>,
    depth: usize,
    text: bool,
    /// The outermost element is somebody else's.
    foreign: bool,
}

impl Handler for Unwrap {
    type Error = EditError;

    fn event(&mut self, event: Event<'_>) -> Result<(), EditError> {
        match event {
            Event::Start(start) => {
                self.depth += 1;
                self.start(&start)?;
            }
            Event::Text(text) if self.depth > 2 => {
                self.writer.text(text)?;
            }
            Event::Text(text) => self.text |= !text.trim().is_empty(),
            Event::End { .. } => {
                if self.depth > 2 {
                    self.writer.close()?;
                }
                self.depth -= 1;
            }
            Event::Comment(_) => {}
        }
        Ok(())
    }
}

impl Unwrap {
    fn start(&mut self, start: &Start<'_>) -> Result<(), EditError> {
        let own = start.declarations().map(|declaration| {
            let name = declaration
                .prefix
                .map_or_else(|| "xmlns".to_owned(), |prefix| format!("xmlns:{prefix}"));
            (name, declaration.uri.to_owned())
        });
        match self.depth {
            1 => return Ok(()),
            2 => {
                self.foreign = !matches!(start.ns(), None | Some("" | NETCONF_BASE_NS));
                let mark = |ns: Option<&str>| matches!(ns, None | Some("" | NETCONF_BASE_NS | YANG_NS));
                if !self.foreign && start.attributes().any(|attr| mark(attr.ns)) {
                    // It goes no further, and what it asks for would be left out without a word.
                    return Err(EditError::Element {
                        element: "/config".to_owned(),
                        detail: "is only around the configuration: marks belong on the elements in it"
                            .to_owned(),
                    });
                }
                self.declarations = own.collect();
                // The base namespace of <config> is not that of what is in it.
                self.declarations
                    .retain(|(name, uri)| name != "xmlns" || uri != NETCONF_BASE_NS);
                return Ok(());
            }
            _ => {}
        }
        let own: Vec<(String, String)> = own.collect();
        self.writer.open(start.name())?;
        if self.depth == 3 {
            for (name, uri) in &self.declarations {
                if !own.iter().any(|(known, _)| known == name) {
                    self.writer.attr(name, uri)?;
                }
            }
        }
        for (name, uri) in &own {
            self.writer.attr(name, uri)?;
        }
        for attr in start.attributes() {
            let name = attr.prefix.map_or_else(
                || attr.local.to_owned(),
                |prefix| format!("{prefix}:{}", attr.local),
            );
            self.writer.attr(&name, attr.value)?;
        }
        Ok(())
    }
}
