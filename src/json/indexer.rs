//! Builds the index while the document is read, or while it arrives.

mod open;

use std::collections::{HashMap, HashSet};

use self::open::{Open, Part, TextSeen};
use super::ConvertError;
use super::hints::HintTable;
use super::index::{
    Content, Distant, Index, Inner, LOOKAHEAD, MAX_COMMENT_BYTES, Repeated, Run, Selection, Shuffled, TEXT,
    Top, is_banner, is_cli, is_left_out, is_left_out_of_wrapper, is_payload_wrapper, local,
};
use crate::xml::{Event, Handler, NamespaceId, Start};

/// Memory that an index may take.
const MAX_BYTES: usize = 32 << 20;

/// Builds an [`Index`] from the events of a document.
#[derive(Debug)]
pub struct Indexer {
    selection: Selection,
    hints: HintTable,
    top: Top,
    /// Members of the payload that are not the `<data>` element.
    beside_data: bool,
    /// Open elements; slots are reused, `depth` of them are in use.
    open: Vec<Open>,
    depth: usize,
    serial: u32,
    ids: HashMap<Box<str>, u32>,
    names: Vec<Box<str>>,
    /// Last name seen for a few hash values: saves most look-ups.
    recent: Box<[u32; 256]>,
    /// For each depth and name: the parent in which it was seen last, and with what namespace.
    stamps: Vec<Vec<(u32, NamespaceId)>>,
    repeated: Vec<Repeated>,
    shuffled: Vec<Shuffled>,
    runs: Vec<Run>,
    distant: Vec<Distant>,
    /// Where each `cli` begins that holds more than a banner.
    clis: Vec<u64>,
    /// Comments of distant leaves.
    comments: Vec<Box<str>>,
    /// Bytes of all comments that are kept.
    comment_bytes: usize,
    bytes: usize,
}

impl Indexer {
    /// For one document.
    pub fn new(selection: Selection) -> Self {
        Indexer {
            selection,
            hints: HintTable::latest(),
            top: Top::Root,
            beside_data: false,
            open: Vec::new(),
            depth: 0,
            serial: 0,
            ids: HashMap::new(),
            names: Vec::new(),
            recent: Box::new([u32::MAX; 256]),
            stamps: Vec::new(),
            repeated: Vec::new(),
            shuffled: Vec::new(),
            runs: Vec::new(),
            distant: Vec::new(),
            clis: Vec::new(),
            comments: Vec::new(),
            comment_bytes: 0,
            bytes: 0,
        }
    }

    /// The index, after the whole document was seen.
    pub fn finish(mut self) -> Index {
        self.repeated
            .sort_unstable_by_key(|repeated| (repeated.parent, repeated.group));
        self.shuffled.sort_unstable_by_key(|shuffled| shuffled.parent);
        self.distant.sort_unstable_by_key(|distant| distant.element);
        let mut wrapper = None;
        if let Top::Data(offset) = self.top
            && self.beside_data
        {
            self.top = Top::RootChildren;
            wrapper = Some(offset);
        }
        Index::new(Inner {
            top: self.top,
            selection: self.selection,
            repeated: self.repeated,
            shuffled: self.shuffled,
            runs: self.runs,
            distant: self.distant,
            wrapper,
            clis: self.clis,
            comments: self.comments,
            names: self.names,
        })
    }

    fn start(&mut self, start: &Start<'_>) -> Result<(), ConvertError> {
        let name = self.intern(start.name())?;
        let mut part = Part::Kept;
        if self.depth == 0 {
            if start.local() == "rpc-reply" && self.selection != Selection::Document {
                self.top = Top::RootChildren;
            }
        } else {
            part = self.part_of(start);
            if self.open[self.depth - 1].part != Part::LeftOut {
                self.end_text()?;
            }
            self.forget_comments();
            let parent = &mut self.open[self.depth - 1];
            if !parent.has_children {
                parent.has_children = true;
                parent.first_child = start.offset();
            }
            if part == Part::Kept {
                if parent.part == Part::BareCli {
                    self.keep_cli()?;
                }
                self.child(start, name)?;
                if self.top == Top::Data(start.offset()) {
                    part = Part::Wrapper;
                }
            }
        }
        if self.open.len() == self.depth {
            self.open.push(Open::default());
            self.stamps.push(Vec::new());
            self.charge(size_of::<Open>())?;
        }
        self.serial = self.serial.wrapping_add(1);
        let open = &mut self.open[self.depth];
        open.name = name;
        open.ns = Some(start.ns_id());
        open.offset = start.offset();
        open.content = start.end_offset();
        open.serial = self.serial;
        open.runs.clear();
        open.run_ns.clear();
        open.unusual = false;
        open.has_children = false;
        open.part = part;
        open.text = TextSeen::default();
        open.text_from = start.end_offset();
        open.mixed = false;
        open.comments_lost = false;
        self.depth += 1;
        Ok(())
    }

    /// Whether the element that begins inside the innermost open one is part of what is converted.
    fn part_of(&self, start: &Start<'_>) -> Part {
        let (selection, local, ns) = (self.selection, start.local(), start.ns());
        let at_top = self.depth == 1 && self.top != Top::Root;
        match self.open[self.depth - 1].part {
            Part::LeftOut => Part::LeftOut,
            Part::BareCli | Part::Cli if is_banner(selection, local, ns) => Part::LeftOut,
            Part::Wrapper if is_left_out_of_wrapper(selection, local, ns) => Part::LeftOut,
            Part::Kept if at_top && is_left_out(selection, local, ns) => Part::LeftOut,
            Part::Kept if at_top && is_cli(selection, local, ns) => Part::BareCli,
            Part::Kept | Part::BareCli | Part::Cli | Part::Wrapper => Part::Kept,
        }
    }

    /// Notes a child of the innermost open element.
    fn child(&mut self, start: &Start<'_>, name: u32) -> Result<(), ConvertError> {
        let at_top = self.depth == 1 && self.top != Top::Root;
        if at_top {
            self.note_payload_member(start);
        }
        let local_id = match start.prefix() {
            None => name,
            Some(_) => self.intern(start.local())?,
        };
        self.note_child(self.depth - 1, start.offset(), name, local_id, start.ns_id())
    }

    /// The innermost open element is a `cli`, and more than a banner was found in it: it is a member after all. Nothing
    /// was noted of its parent since it began.
    fn keep_cli(&mut self) -> Result<(), ConvertError> {
        let depth = self.depth - 1;
        self.charge(size_of::<u64>())?;
        let open = &mut self.open[depth];
        open.part = Part::Cli;
        let (offset, name, ns) = (open.offset, open.name, open.ns.unwrap_or(NamespaceId::NONE));
        self.clis.push(offset);
        self.beside_data = true;
        let local_id = self.intern("cli")?;
        self.note_child(depth - 1, offset, name, local_id, ns)
    }

    /// Notes that a child begins at `offset`, in the open element at this depth.
    fn note_child(
        &mut self,
        depth: usize,
        offset: u64,
        name: u32,
        local_id: u32,
        ns: NamespaceId,
    ) -> Result<(), ConvertError> {
        let parent = &mut self.open[depth];
        if let (Some(last), Some(last_ns)) = (parent.runs.last_mut(), parent.run_ns.last())
            && last.key == name
            && *last_ns == ns
            && last.grow(1)
        {
            return Ok(());
        }
        let known = self.stamps[depth].len();
        if known <= local_id as usize {
            let more = local_id as usize + 1 - known;
            self.charge(more * size_of::<(u32, NamespaceId)>())?;
            self.stamps[depth].resize(local_id as usize + 1, (0, NamespaceId::NONE));
        }
        let stamps = &mut self.stamps[depth];
        let parent = &mut self.open[depth];
        if stamps[local_id as usize].0 == parent.serial {
            parent.unusual = true;
        } else {
            stamps[local_id as usize] = (parent.serial, ns);
        }
        self.push_run(depth, Run::new(offset, name), ns)
    }

    /// While the children of rpc-reply come: is there just one, and is it the `<data>` to take off?
    fn note_payload_member(&mut self, start: &Start<'_>) {
        let is_data = is_payload_wrapper(self.selection, start.local(), start.ns());
        if is_data && self.top == Top::RootChildren && !self.beside_data {
            self.top = Top::Data(start.offset());
        } else {
            self.beside_data = true;
        }
    }

    fn push_run(&mut self, depth: usize, run: Run, ns: NamespaceId) -> Result<(), ConvertError> {
        let open = &mut self.open[depth];
        if open.runs.len() == open.runs.capacity() {
            let more = open.runs.capacity().max(4);
            open.runs.reserve_exact(more);
            open.run_ns.reserve_exact(more);
            self.charge(more * (size_of::<Run>() + size_of::<NamespaceId>()))?;
        }
        let open = &mut self.open[depth];
        open.runs.push(run);
        open.run_ns.push(ns);
        Ok(())
    }

    /// The text since the last child is over, because a child or the end tag comes.
    fn end_text(&mut self) -> Result<(), ConvertError> {
        let depth = self.depth - 1;
        let open = &mut self.open[depth];
        let text = std::mem::take(&mut open.text);
        if !text.not_blank {
            return Ok(());
        }
        open.mixed = true;
        let run = Run::new(open.text_from, TEXT);
        self.push_run(depth, run, NamespaceId::NONE)
    }

    fn end(&mut self, start: u64, offset: u64) -> Result<(), ConvertError> {
        let depth = self.depth - 1;
        // The text of a bare reply has nowhere to go but `#text`.
        let is_bare_reply = depth == 0 && self.top != Top::Root;
        let open = &self.open[depth];
        if open.part == Part::BareCli && (open.mixed || open.text.not_blank) {
            self.keep_cli()?;
        }
        let open = &self.open[depth];
        let (from, element) = (open.content, open.offset);
        if matches!(open.part, Part::LeftOut | Part::BareCli) {
            // The second pass does not look into it.
        } else if open.has_children || is_bare_reply {
            let first_child = open.first_child;
            if open.has_children && first_child - from > LOOKAHEAD {
                self.note_distant(Distant {
                    element,
                    end: start,
                    kind: Content::Container,
                    comments: Some((0, 0)),
                })?;
            }
            self.end_text()?;
            self.close_container(start)?;
        } else if start > from && start - from > LOOKAHEAD {
            let kind = open.text.content();
            let comments = self.keep_comments();
            self.note_distant(Distant {
                element,
                end: start,
                kind,
                comments,
            })?;
        }
        self.forget_comments();
        if depth == 1 && self.top == Top::Data(element) && !self.open[depth].has_children {
            // Text in `<data>` is a value of its own, not a wrapper.
            self.beside_data |= self.open[depth].text.content() != Content::Null;
        }
        // Text beside `<data>` would be lost with its parent.
        self.beside_data |= is_bare_reply && self.open[depth].mixed;
        self.depth -= 1;
        if let Some(parent) = self.open[..self.depth].last_mut() {
            parent.text_from = offset;
        }
        Ok(())
    }

    /// A comment in the innermost open element.
    fn comment(&mut self, text: &str) {
        let Some(open) = self.open[..self.depth].last_mut() else {
            return;
        };
        if open.has_children || open.part == Part::LeftOut {
            return;
        }
        let bytes = comment_bytes(text);
        if self.comment_bytes + bytes > MAX_COMMENT_BYTES {
            open.comments_lost = true;
        } else {
            self.comment_bytes += bytes;
            open.comments.push(text.into());
        }
    }

    /// The innermost open element is no leaf, or one that is looked at whole.
    fn forget_comments(&mut self) {
        for text in self.open[self.depth - 1].comments.drain(..) {
            self.comment_bytes -= comment_bytes(&text);
        }
    }

    /// The innermost open element is a distant leaf: the numbers of its comments.
    fn keep_comments(&mut self) -> Option<(u32, u32)> {
        let open = &mut self.open[self.depth - 1];
        let from = self.comments.len() as u32;
        if !open.comments_lost {
            self.comments.append(&mut open.comments);
        }
        (!open.comments_lost).then_some((from, self.comments.len() as u32))
    }

    fn note_distant(&mut self, distant: Distant) -> Result<(), ConvertError> {
        self.charge(size_of::<Distant>())?;
        self.distant.push(distant);
        Ok(())
    }

    /// Keeps what is unusual about a container whose end tag begins at `end`.
    fn close_container(&mut self, end: u64) -> Result<(), ConvertError> {
        let depth = self.depth - 1;
        if self.open[depth].unusual || self.open[depth].mixed {
            return self.close_unusual(end);
        }
        let mut hints = None;
        for group in 0..self.open[depth].runs.len() {
            let run = self.open[depth].runs[group];
            if run.count() < 2 {
                continue;
            }
            let parent = local(&self.names[self.open[depth].name as usize]);
            let hints = *hints.get_or_insert_with(|| self.hints.children(parent));
            let child = local(&self.names[run.key as usize]);
            if hints.is_none_or(|hints| !hints.contains(child)) {
                self.charge(size_of::<Repeated>())?;
                self.repeated.push(Repeated {
                    parent: self.open[depth].offset,
                    group: group as u32,
                });
            }
        }
        Ok(())
    }

    /// Gives every run its key, joins what belongs together, and keeps the runs.
    fn close_unusual(&mut self, end: u64) -> Result<(), ConvertError> {
        let depth = self.depth - 1;
        let parent = self.open[depth].offset;
        let mut runs = std::mem::take(&mut self.open[depth].runs);
        let run_ns = std::mem::take(&mut self.open[depth].run_ns);
        self.charge(runs.len() * size_of::<Run>())?;
        let clashing = self.clashing_names(&runs, &run_ns);
        let own = self.open[depth].ns.unwrap_or(NamespaceId::NONE);
        let first = self.runs.len() as u32;
        // Clashing elements without a prefix get one for each namespace.
        let mut invented = self.invented_prefixes(&runs);
        // Key -> its last run so far, and the same for local names.
        let mut last_of: HashMap<u32, u32> = HashMap::new();
        let mut last_of_local: HashMap<u32, u32> = HashMap::new();
        let mut tells_order = self.open[depth].mixed && runs.iter().any(|run| !run.is_text());
        for (run, ns) in runs.iter_mut().zip(&run_ns) {
            let mut local_key = TEXT;
            if !run.is_text() {
                let name = self.names[run.key as usize].clone();
                local_key = match name.split_once(':') {
                    None => run.key,
                    Some((_, local)) => self.intern(local)?,
                };
                if *ns == own || !clashing.contains(local(&name)) {
                    run.key = local_key;
                } else if !name.contains(':') {
                    let number = invented.number(*ns);
                    run.key = self.intern(&format!("ns{number}:{name}"))?;
                }
            }
            let this = self.runs.len() as u32;
            if let Some(last) = self.runs[first as usize..].last_mut()
                && last.key == run.key
                && !run.is_text()
                && last.grow(run.count())
            {
                continue;
            }
            if let Some(last) = last_of.insert(run.key, this) {
                self.runs[last as usize].next = this;
                run.set_not_first();
                tells_order |= !run.is_text();
            }
            if let Some(last) = last_of_local.insert(local_key, this) {
                self.runs[last as usize].next_local = this;
                run.set_not_first_local();
            }
            self.runs.push(*run);
        }
        let count = self.runs.len() as u32 - first;
        self.charge(size_of::<Shuffled>())?;
        self.shuffled.push(Shuffled {
            parent,
            end,
            first,
            count,
            tells_order,
        });
        // The buffers go back, so that the next parent at this depth can use them.
        runs.clear();
        self.open[depth].runs = runs;
        self.open[depth].run_ns = run_ns;
        self.open[depth].run_ns.clear();
        Ok(())
    }

    /// Prefixes that none of these elements has.
    fn invented_prefixes(&self, runs: &[Run]) -> Invented {
        let names = runs.iter().filter_map(|run| self.names.get(run.key as usize));
        let numbers = names.filter_map(|name| {
            let (prefix, _) = name.split_once(':')?;
            prefix.strip_prefix("ns")?.parse().ok()
        });
        Invented {
            taken: numbers.collect(),
            next: 0,
            numbers: HashMap::new(),
        }
    }

    /// Local names that occur with more than one namespace among these runs.
    fn clashing_names(&self, runs: &[Run], run_ns: &[NamespaceId]) -> HashSet<Box<str>> {
        let mut first: HashMap<&str, NamespaceId> = HashMap::new();
        let mut clashing = HashSet::new();
        for (run, ns) in runs.iter().zip(run_ns).filter(|(run, _)| !run.is_text()) {
            let name = local(&self.names[run.key as usize]);
            if *first.entry(name).or_insert(*ns) != *ns {
                clashing.insert(name.into());
            }
        }
        clashing
    }

    fn intern(&mut self, name: &str) -> Result<u32, ConvertError> {
        let bytes = name.as_bytes();
        let (first, last) = match bytes {
            [first, .., last] => (*first, *last),
            [only] => (*only, *only),
            [] => (0, 0),
        };
        let slot =
            usize::from(first.wrapping_mul(31) ^ last.wrapping_mul(7) ^ (bytes.len() as u8).wrapping_mul(13));
        let recent = self.recent[slot];
        if self
            .names
            .get(recent as usize)
            .is_some_and(|known| **known == *name)
        {
            return Ok(recent);
        }
        let id = match self.ids.get(name) {
            Some(id) => *id,
            None => {
                // Twice the text, and what two entries cost beside it.
                self.charge(2 * name.len() + 96)?;
                let id = self.names.len() as u32;
                self.names.push(name.into());
                self.ids.insert(name.into(), id);
                id
            }
        };
        self.recent[slot] = id;
        Ok(id)
    }

    fn charge(&mut self, bytes: usize) -> Result<(), ConvertError> {
        self.bytes += bytes;
        if self.bytes > MAX_BYTES {
            Err(ConvertError::IndexTooBig { limit: MAX_BYTES })
        } else {
            Ok(())
        }
    }
}

/// Prefixes `ns0`, `ns1` and so on, one for each namespace.
struct Invented {
    /// Numbers of real prefixes that look like them.
    taken: HashSet<usize>,
    next: usize,
    numbers: HashMap<NamespaceId, usize>,
}

impl Invented {
    fn number(&mut self, ns: NamespaceId) -> usize {
        *self.numbers.entry(ns).or_insert_with(|| {
            while self.taken.contains(&self.next) {
                self.next += 1;
            }
            self.next += 1;
            self.next - 1
        })
    }
}

/// What a comment that is kept costs.
fn comment_bytes(text: &str) -> usize {
    text.len() + size_of::<Box<str>>()
}

impl Handler for Indexer {
    type Error = ConvertError;

    fn event(&mut self, event: Event<'_>) -> Result<(), ConvertError> {
        match event {
            Event::Start(start) => self.start(&start),
            Event::End { start, offset } => self.end(start, offset),
            Event::Text(text) => {
                if let Some(open) = self.open[..self.depth].last_mut() {
                    open.text.add(text);
                }
                Ok(())
            }
            Event::Comment(text) => {
                self.comment(text);
                Ok(())
            }
        }
    }
}
