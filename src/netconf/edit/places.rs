//! Where in a configuration a path leads to.

use super::EditError;
use crate::netconf::path::ConfigPath;
use crate::xml::{Event, Fragment, Handler, Limits, Start};

/// Bytes of a key's value that are kept to compare it.
const KEY_BYTES: usize = 64 * 1024;

/// The elements that a path leads to: their places in document order, counted from 0 over all elements. Prefixes of the
/// path are not looked at; `configuration` at its beginning may be left out.
pub(super) fn at(elements: &Fragment, path: &ConfigPath, limits: &Limits) -> Result<Vec<usize>, EditError> {
    let mut steps: Vec<Step<'_>> = path
        .steps()
        .map(|(name, keys)| Step {
            name: local(name),
            keys,
        })
        .collect();
    let from_root = steps.first().is_some_and(|step| step.name == "configuration");
    if elements.root_name() == "configuration" && !from_root {
        steps.insert(
            0,
            Step {
                name: "configuration",
                keys: &[],
            },
        );
    } else if from_root && elements.root_name() != "configuration" {
        steps.remove(0);
    }
    let mut finder = Finder {
        steps,
        open: Vec::new(),
        depth: 0,
        count: 0,
        leaf: None,
        found: Vec::new(),
    };
    elements.read(limits, &mut finder)?;
    finder.found.sort_unstable();
    Ok(finder.found)
}

struct Step<'p> {
    name: &'p str,
    keys: &'p [(String, String)],
}

/// An open element whose ancestors and name fit the path.
struct Candidate {
    /// Which keys of its step have been seen with their value.
    fits: Vec<bool>,
    /// Elements in it, or itself, that the path leads to if its keys fit.
    found: Vec<usize>,
}

/// A child of the innermost candidate that may be one of its keys.
struct Leaf {
    name: String,
    text: String,
}

struct Finder<'p> {
    steps: Vec<Step<'p>>,
    /// The candidates; one at depth `n` is for step `n`.
    open: Vec<Candidate>,
    /// Open elements, the one around the fragment left out.
    depth: usize,
    count: usize,
    leaf: Option<Leaf>,
    found: Vec<usize>,
}

impl Finder<'_> {
    fn start(&mut self, start: &Start<'_>) {
        let place = self.count;
        self.count += 1;
        self.depth += 1;
        self.leaf = None;
        // All the ancestors are candidates.
        if self.depth != self.open.len() + 1 {
            return;
        }
        let is_key = self.open.last().is_some() && {
            let keys = self.steps[self.open.len() - 1].keys;
            keys.iter().any(|(name, _)| local(name) == start.local())
        };
        if is_key {
            self.leaf = Some(Leaf {
                name: start.local().to_owned(),
                text: String::new(),
            });
        }
        if let Some(step) = self.steps.get(self.open.len())
            && step.name == start.local()
        {
            let last = self.open.len() + 1 == self.steps.len();
            self.open.push(Candidate {
                fits: vec![false; step.keys.len()],
                found: if last { vec![place] } else { Vec::new() },
            });
        }
    }

    fn end(&mut self) {
        self.depth -= 1;
        if let Some(leaf) = self.leaf.take() {
            self.key(&leaf);
        }
        // The element that ends is the innermost candidate.
        if self.depth + 1 == self.open.len()
            && let Some(candidate) = self.open.pop()
            && candidate.fits.iter().all(|fits| *fits)
        {
            match self.open.last_mut() {
                Some(parent) => parent.found.extend(candidate.found),
                None => self.found.extend(candidate.found),
            }
        }
    }

    /// A key has been read: the candidate that it belongs to is the innermost one whose element is still open.
    fn key(&mut self, leaf: &Leaf) {
        let owner = self.depth.checked_sub(1);
        let Some((candidate, step)) =
            owner.and_then(|owner| Some((self.open.get_mut(owner)?, self.steps.get(owner)?)))
        else {
            return;
        };
        for (fits, (name, value)) in candidate.fits.iter_mut().zip(step.keys) {
            *fits |= local(name) == leaf.name && leaf.text.trim() == value.trim();
        }
    }
}

impl Handler for Finder<'_> {
    type Error = EditError;

    fn event(&mut self, event: Event<'_>) -> Result<(), EditError> {
        match event {
            // The element around the fragment.
            Event::Start(start) if start.depth() == 1 => {}
            Event::Start(start) => self.start(&start),
            Event::Text(text) => {
                // A longer text is no key that anybody wrote in a path.
                match &mut self.leaf {
                    Some(leaf) if leaf.text.len() + text.len() <= KEY_BYTES => leaf.text.push_str(text),
                    Some(_) => self.leaf = None,
                    None => {}
                }
            }
            Event::End { .. } if self.depth == 0 => {}
            Event::End { .. } => self.end(),
            Event::Comment(_) => {}
        }
        Ok(())
    }
}

/// A name without its prefix.
fn local(name: &str) -> &str {
    name.rsplit(':').next().unwrap_or(name)
}
