//! What a frame does beside writing its children: long text, skipping, and the members that come after the children.

use super::comments::Comments;
use super::element::{Found, TAKEN};
use super::frame::{Group, Kind, Tail};
use super::tag::{read_tag, to_tag};
use super::{Input, Machine, Step};
use crate::json::ConvertError;
use crate::json::index::NO_RUN;
use crate::json::options::Mapping;
use crate::json::text::{Inside, Newlines, Streamed, decode};
use crate::xml::tag::TagEnd;

/// Bytes of text decoded in one step.
const PIECE: usize = 64 << 10;
/// Entries of `#order` written in one step.
const ENTRIES: u32 = 1024;

/// Something to finish before the innermost frame goes on.
#[derive(Debug)]
pub(super) enum Task {
    /// Moves behind the `>` of an end tag.
    EndTag,
    /// Moves behind an element.
    Skip(Skim),
    /// Writes the text of a leaf.
    Long(Long),
    /// Writes the metadata of an array's members.
    Metadata(Metadata),
    /// Writes the texts of mixed content.
    Texts(Texts),
    /// Writes the comments among the children.
    Comments(Comments),
    /// Writes the keys in document order.
    Order { run: u32, left: u32 },
}

#[derive(Debug)]
pub(super) struct Long {
    end: u64,
    /// Whether it is to be written, or is nothing but blanks.
    write: bool,
    inside: Inside,
    text: Streamed,
    after: Vec<u8>,
}

#[derive(Debug)]
pub(super) struct Metadata {
    run: u32,
    left: u64,
    resume: u64,
    first: bool,
    skim: Option<Skim>,
}

#[derive(Debug)]
pub(super) struct Texts {
    run: u32,
    resume: u64,
    inside: Inside,
    text: Streamed,
    /// Whether the opening quote is written.
    open: bool,
}

/// How far moving over an element has come.
#[derive(Debug, Default)]
pub(super) struct Skim {
    depth: u32,
    inside: Inside,
}

impl Task {
    pub(super) fn skip() -> Task {
        Task::Skip(Skim::default())
    }

    pub(super) fn long(end: u64, write: bool, newlines: Newlines, after: Vec<u8>) -> Task {
        Task::Long(Long {
            end,
            write,
            inside: Inside::Text,
            text: Streamed::new(newlines),
            after,
        })
    }

    pub(super) fn metadata(group: &Group, first_run: u64, resume: u64) -> Task {
        let left = if group.run == NO_RUN {
            group.members
        } else {
            first_run
        };
        Task::Metadata(Metadata {
            run: group.run,
            left,
            resume,
            first: true,
            skim: None,
        })
    }
}

impl Skim {
    /// Moves on from `at`. `Ok`: behind the element; `Err`: more input is needed from there on.
    pub(super) fn step(&mut self, input: &Input<'_>, mut at: usize) -> Result<usize, usize> {
        loop {
            if !to_tag(input, &mut at, &mut self.inside, &mut false) {
                return Err(at);
            }
            let rest = &input.bytes[at..];
            let mut end = TagEnd::default();
            if !end.found(rest) {
                return Err(at);
            }
            let len = end.len();
            if rest.get(1) == Some(&b'/') {
                self.depth = self.depth.saturating_sub(1);
            } else if rest[len - 2] != b'/' {
                self.depth += 1;
            }
            at += len;
            if self.depth == 0 {
                return Ok(at);
            }
        }
    }
}

impl Machine {
    /// One step of the task at hand.
    pub(super) fn task_step(
        &mut self,
        input: &Input<'_>,
        at: usize,
        out: &mut Vec<u8>,
    ) -> Result<Step, ConvertError> {
        match self.task.take() {
            None => Ok(Step::To(at)),
            Some(Task::EndTag) => Ok(match memchr::memchr(b'>', &input.bytes[at..]) {
                Some(found) => Step::To(at + found + 1),
                None => {
                    self.task = Some(Task::EndTag);
                    Step::Wait(input.bytes.len())
                }
            }),
            Some(Task::Skip(mut skim)) => Ok(match skim.step(input, at) {
                Ok(next) => Step::To(next),
                Err(next) => {
                    self.task = Some(Task::Skip(skim));
                    Step::Wait(next)
                }
            }),
            Some(Task::Long(long)) => self.long_step(long, input, at, out),
            Some(Task::Metadata(task)) => self.metadata_step(task, input, at, out),
            Some(Task::Texts(texts)) => self.texts_step(texts, input, at, out),
            Some(Task::Comments(comments)) => self.comments_step(comments, input, at, out),
            Some(Task::Order { run, left }) => self.order_step(run, left, at, out),
        }
    }

    fn long_step(
        &mut self,
        mut long: Long,
        input: &Input<'_>,
        at: usize,
        out: &mut Vec<u8>,
    ) -> Result<Step, ConvertError> {
        let left = usize::try_from(long.end.saturating_sub(input.offset(at))).unwrap_or(usize::MAX);
        let rest = &input.bytes[at..];
        let piece = &rest[..rest.len().min(left).min(PIECE)];
        let last = piece.len() == left;
        self.scratch.clear();
        let used = decode(piece, &mut long.inside, last, &mut self.scratch);
        if long.write {
            long.text.piece(&self.scratch, out);
        }
        if used == left {
            long.text.end();
            out.extend_from_slice(&long.after);
            self.task = Some(Task::EndTag);
            return Ok(Step::To(at + used));
        }
        self.task = Some(Task::Long(long));
        // A whole piece is in view and nothing of it could be used: these are not the bytes that were indexed.
        if used == 0 {
            Err(input.changed(at))
        } else {
            Ok(Step::To(at + used))
        }
    }

    fn metadata_step(
        &mut self,
        mut task: Metadata,
        input: &Input<'_>,
        mut at: usize,
        out: &mut Vec<u8>,
    ) -> Result<Step, ConvertError> {
        if let Some(mut skim) = task.skim.take() {
            let step = match skim.step(input, at) {
                Ok(next) => Step::To(next),
                Err(next) => {
                    task.skim = Some(skim);
                    Step::Wait(next)
                }
            };
            self.task = Some(Task::Metadata(task));
            return Ok(step);
        }
        if task.left == 0 {
            let next = if task.run == NO_RUN {
                NO_RUN
            } else {
                self.index.run(task.run).next
            };
            if next == NO_RUN {
                out.push(b']');
                return Ok(Step::Seek(task.resume));
            }
            let run = self.index.run(next);
            task.run = next;
            task.left = u64::from(run.count());
            self.task = Some(Task::Metadata(task));
            return Ok(Step::Seek(run.start));
        }
        let mut inside = self.inside;
        let found = to_tag(input, &mut at, &mut inside, &mut false);
        self.inside = inside;
        if !found {
            self.task = Some(Task::Metadata(task));
            return Ok(Step::Wait(at));
        }
        let frame = self.top()?;
        let (parent_ns, default_ns) = (frame.ns, frame.default_ns);
        let Some(tag) = read_tag(&mut self.tags, &mut self.namespaces, input, at, default_ns)? else {
            self.task = Some(Task::Metadata(task));
            return Ok(Step::Wait(at));
        };
        if !self.leaves_out(&tag, input.offset(at)) {
            self.comments_of_leaf.clear();
            let is_leaf = tag.self_closing
                || match self.look(input, at + tag.text.len(), input.offset(at))? {
                    Some(Found::Container) => false,
                    Some(Found::Plain(_) | Found::Decoded(_) | Found::Long(..)) => true,
                    None => {
                        self.namespaces.truncate(tag.bindings);
                        self.task = Some(Task::Metadata(task));
                        return Ok(Step::Wait(at));
                    }
                };
            let written = is_leaf && self.write_metadata(&tag, parent_ns)?;
            if !std::mem::take(&mut task.first) {
                out.push(b',');
            }
            out.extend_from_slice(if written { &self.metadata } else { b"null" });
            task.left -= 1;
        }
        self.namespaces.truncate(tag.bindings);
        task.skim = Some(Skim::default());
        self.task = Some(Task::Metadata(task));
        Ok(Step::To(at))
    }

    /// All children are written: ends their group, and goes on with what comes behind them.
    pub(super) fn end_children(
        &mut self,
        input: &Input<'_>,
        at: usize,
        out: &mut Vec<u8>,
    ) -> Result<Step, ConvertError> {
        if let Some(step) = self.close_group(input.offset(at), out) {
            return Ok(step);
        }
        let frame = self.top()?;
        frame.tail = if frame.comments {
            Tail::Comments
        } else {
            Tail::Brace
        };
        Ok(Step::To(at))
    }

    /// One step behind the children; `at` is the end tag.
    pub(super) fn tail_step(
        &mut self,
        input: &Input<'_>,
        at: usize,
        out: &mut Vec<u8>,
    ) -> Result<Step, ConvertError> {
        let resume = input.offset(at);
        let comments = self.options.shows_comments();
        let mapping = self.options.mapping;
        let frame = self.frames.last_mut().ok_or_else(|| input.changed(at))?;
        let shuffled = frame.shuffled.clone();
        match frame.tail {
            Tail::Children => Ok(Step::To(at)),
            Tail::Texts => {
                frame.tail = Tail::Comments;
                let runs = shuffled.map_or(0..0, |shuffled| shuffled.runs());
                let Some(run) = runs.clone().find(|run| self.index.run(*run).is_text()) else {
                    return Ok(Step::To(at));
                };
                if frame.wrote {
                    out.push(b',');
                }
                frame.wrote = true;
                let newlines = match mapping {
                    Mapping::Ncj => {
                        out.extend_from_slice(b"\"#text\":[");
                        Newlines::Keep
                    }
                    Mapping::Junos => {
                        out.push(b'"');
                        if frame.data_child {
                            out.push(TAKEN);
                        }
                        out.extend_from_slice(b"data\":");
                        match self.options.exact_text {
                            true => Newlines::Keep,
                            false => Newlines::Strip,
                        }
                    }
                };
                self.task = Some(Task::Texts(Texts {
                    run,
                    resume,
                    inside: Inside::Text,
                    text: Streamed::new(newlines),
                    open: false,
                }));
                Ok(Step::Seek(self.index.run(run).start))
            }
            Tail::Comments => {
                frame.tail = Tail::Order;
                if !comments || frame.kind == Kind::Document {
                    return Ok(Step::To(at));
                }
                let content = frame.content;
                self.task = Some(Task::Comments(Comments::new(resume)));
                Ok(Step::Seek(content))
            }
            Tail::Order => {
                frame.tail = Tail::Brace;
                match shuffled {
                    Some(shuffled) if shuffled.tells_order && mapping == Mapping::Ncj => {
                        out.extend_from_slice(b",\"#order\":[");
                        let run = shuffled.runs().start;
                        self.task = Some(Task::Order {
                            run,
                            left: self.index.run(run).count(),
                        });
                    }
                    Some(_) | None => {}
                }
                Ok(Step::To(at))
            }
            Tail::Brace => {
                out.push(b'}');
                let (kind, keys, bindings) = (frame.kind, frame.keys, frame.bindings);
                self.keys.truncate(keys);
                self.namespaces.truncate(bindings);
                match kind {
                    Kind::Document | Kind::Payload => Ok(Step::Done),
                    Kind::Cli | Kind::Wrapper | Kind::Element => {
                        self.frames.pop();
                        self.task = Some(Task::EndTag);
                        Ok(Step::To(at))
                    }
                }
            }
        }
    }

    fn texts_step(
        &mut self,
        mut texts: Texts,
        input: &Input<'_>,
        at: usize,
        out: &mut Vec<u8>,
    ) -> Result<Step, ConvertError> {
        if !std::mem::replace(&mut texts.open, true) {
            out.push(b'"');
        }
        let rest = &input.bytes[at..];
        let piece = &rest[..rest.len().min(PIECE)];
        self.scratch.clear();
        let used = decode(piece, &mut texts.inside, false, &mut self.scratch);
        texts.text.piece(&self.scratch, out);
        let behind = &rest[used..];
        let at_tag = behind.first() == Some(&b'<')
            && texts.inside == Inside::Text
            && behind.get(1) != Some(&b'?')
            && !b"<!--".starts_with(&behind[..behind.len().min(4)])
            && !b"<![CDATA[".starts_with(&behind[..behind.len().min(9)]);
        if !at_tag {
            self.task = Some(Task::Texts(texts));
            return if used == 0 {
                Ok(Step::Wait(at))
            } else {
                Ok(Step::To(at + used))
            };
        }
        let mapping = self.options.mapping;
        let frame = self.top()?;
        let end = frame.shuffled.as_ref().map_or(0, |shuffled| shuffled.runs().end);
        match (texts.run + 1..end).find(|run| self.index.run(*run).is_text()) {
            Some(run) => {
                texts.run = run;
                match mapping {
                    Mapping::Ncj => {
                        out.extend_from_slice(b"\",");
                        texts.open = false;
                        texts.text = Streamed::new(Newlines::Keep);
                    }
                    // The device's form has one string for all of them.
                    Mapping::Junos => {}
                }
                self.task = Some(Task::Texts(texts));
                Ok(Step::Seek(self.index.run(run).start))
            }
            None => {
                out.extend_from_slice(match mapping {
                    Mapping::Ncj => b"\"]".as_slice(),
                    Mapping::Junos => b"\"",
                });
                Ok(Step::Seek(texts.resume))
            }
        }
    }

    fn order_step(
        &mut self,
        mut run: u32,
        mut left: u32,
        at: usize,
        out: &mut Vec<u8>,
    ) -> Result<Step, ConvertError> {
        let frame = self.top()?;
        let runs = frame.shuffled.as_ref().map_or(0..0, |shuffled| shuffled.runs());
        let mut first = run == runs.start && left == self.index.run(run).count();
        for _ in 0..ENTRIES {
            if left == 0 {
                run += 1;
                if run >= runs.end {
                    out.push(b']');
                    return Ok(Step::To(at));
                }
                left = self.index.run(run).count();
            }
            out.extend_from_slice(if std::mem::take(&mut first) { b"\"" } else { b",\"" });
            out.extend_from_slice(self.index.key(run).as_bytes());
            out.push(b'"');
            left -= 1;
        }
        self.task = Some(Task::Order { run, left });
        Ok(Step::To(at))
    }
}
