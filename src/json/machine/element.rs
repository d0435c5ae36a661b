//! One step of a frame: a child, or the end.

use super::comments::{list_comment, list_comments};
use super::frame::{Frame, Group, Kind, Tail};
use super::tag::{Tag, read_tag, to_tag};
use super::task::Task;
use super::{AHEAD, Input, Machine, Step};
use crate::json::ConvertError;
use crate::json::index::{Content, LOOKAHEAD, NO_RUN, local};
use crate::json::options::{Arrays, Mapping};
use crate::json::text::{Inside, Newlines, decode, escape};
use crate::xml::chars::{PLAIN, TEXT};
use crate::xml::namespace::NamespaceId;

/// Stands before a key of the device's form that would be there twice, because a child is called as one of the members
/// that are no elements: `#attributes`, `#data`, `#comment`. No element has such a name.
pub(super) const TAKEN: u8 = b'#';

/// What was found behind a start tag.
pub(super) enum Found {
    /// A leaf, whose raw text ends here, and holds nothing that has to be decoded or escaped.
    Plain(usize),
    /// A leaf, whose text was decoded into the scratch buffer; its end tag begins here.
    Decoded(usize),
    /// A leaf whose text is long and ends at this offset.
    Long(u64, Content),
    /// A container.
    Container,
}

impl Machine {
    /// Writes children until something else has to be done first.
    pub(super) fn frame_step(
        &mut self,
        input: &Input<'_>,
        mut at: usize,
        target: usize,
        out: &mut Vec<u8>,
    ) -> Result<Step, ConvertError> {
        loop {
            if out.len() >= target || (!input.at_end && input.bytes.len() - at < AHEAD) {
                return Ok(Step::To(at));
            }
            let depth = self.frames.len();
            let frame = self.top()?;
            if frame.tail != Tail::Children {
                return self.tail_step(input, at, out);
            }
            if frame.shuffled.is_some() && frame.run_left == 0 {
                return self.next_run(input.offset(at), out);
            }
            let mut comment = false;
            let found = to_tag(input, &mut at, &mut self.inside, &mut comment);
            let frame = self.top()?;
            frame.comments |= comment;
            if !found {
                if input.at_end && frame.kind == Kind::Document {
                    return self.end_children(input, at, out);
                }
                return Ok(Step::Wait(at));
            }
            if input.bytes.get(at + 1) == Some(&b'/') {
                return self.end_children(input, at, out);
            }
            match self.child(input, at, out)? {
                Step::To(next) if self.task.is_none() && self.frames.len() == depth => at = next,
                other => return Ok(other),
            }
        }
    }

    /// The child whose start tag begins at `at`.
    fn child(&mut self, input: &Input<'_>, at: usize, out: &mut Vec<u8>) -> Result<Step, ConvertError> {
        let frame = self.frames.last().ok_or_else(|| input.changed(at))?;
        let (parent_ns, parent_default) = (frame.ns, frame.default_ns);
        let Some(tag) = read_tag(&mut self.tags, &mut self.namespaces, input, at, parent_default)? else {
            return Ok(Step::Wait(at));
        };
        let offset = input.offset(at);
        if self.leaves_out(&tag, offset) {
            self.namespaces.truncate(tag.bindings);
            self.task = Some(Task::skip());
            return Ok(Step::To(at));
        }
        if let Some(step) = self.leave_group(tag.name, offset, out)? {
            self.namespaces.truncate(tag.bindings);
            return Ok(step);
        }
        let content = at + tag.text.len();
        self.comments_of_leaf.clear();
        let found = if tag.self_closing {
            self.scratch.clear();
            Found::Decoded(content)
        } else {
            match self.look(input, content, offset)? {
                Some(found) => found,
                None => {
                    self.namespaces.truncate(tag.bindings);
                    return Ok(Step::Wait(at));
                }
            }
        };
        self.metadata.clear();
        let nothing = tag.bare && tag.ns == parent_ns && self.comments_of_leaf.is_empty();
        let has_metadata = !nothing && self.write_metadata(&tag, parent_ns)?;
        self.open_member(&tag, offset, out)?;
        let outside = tag.bindings;
        let next = match found {
            Found::Container => {
                let frame = self.frame_of(&tag, self.kind_at(offset), offset);
                self.frames.push(frame);
                self.open_object(has_metadata, out);
                return Ok(Step::To(content));
            }
            Found::Long(end, kind) => {
                let is_text = matches!(kind, Content::Text { .. });
                let mut after = if is_text { vec![b'"'] } else { Vec::new() };
                self.after_leaf(has_metadata, !is_text, &mut after);
                let newlines = match (self.options.mapping, kind) {
                    _ if self.options.exact_text => Newlines::Keep,
                    (Mapping::Junos, _) => Newlines::Strip,
                    (Mapping::Ncj, Content::Text { wrapped: true }) => Newlines::Unwrap,
                    (Mapping::Ncj, _) => Newlines::Keep,
                };
                self.namespaces.truncate(outside);
                self.open_long(is_text, end, newlines, after, out);
                return Ok(Step::To(content));
            }
            Found::Plain(end) => {
                let text = &input.bytes[content..end];
                self.leaf(text, true, tag.self_closing, has_metadata, out);
                end + 3 + tag.name.len()
            }
            Found::Decoded(end) => {
                let scratch = std::mem::take(&mut self.scratch);
                self.leaf(&scratch, false, tag.self_closing, has_metadata, out);
                self.scratch = scratch;
                if tag.self_closing {
                    end
                } else {
                    end + 3 + tag.name.len()
                }
            }
        };
        self.namespaces.truncate(outside);
        if tag.self_closing || input.bytes.get(next - 1) == Some(&b'>') {
            return Ok(Step::To(next));
        }
        // Blanks before the `>` of the end tag, or the end tag is not in view.
        match input
            .bytes
            .get(next - 1..)
            .and_then(|rest| memchr::memchr(b'>', rest))
        {
            Some(found) => Ok(Step::To(next + found)),
            None => {
                self.task = Some(Task::EndTag);
                Ok(Step::To(next.min(input.bytes.len())))
            }
        }
    }

    /// Looks behind the start tag of the element at `offset`, from `content` on. `None`: more input is needed.
    pub(super) fn look(
        &mut self,
        input: &Input<'_>,
        content: usize,
        offset: u64,
    ) -> Result<Option<Found>, ConvertError> {
        let limit = LOOKAHEAD as usize;
        let bytes = &input.bytes[content.min(input.bytes.len())..];
        if bytes.len() < limit + 16 && !input.at_end {
            return Ok(None);
        }
        let bytes = &bytes[..bytes.len().min(limit + 2)];
        let mut end = 0;
        let mut plain = true;
        loop {
            while end < bytes.len() && TEXT[usize::from(bytes[end])] == PLAIN {
                plain &= !matches!(bytes[end], b'"' | b'\\' | b'\n' | b'\t');
                end += 1;
            }
            match bytes.get(end) {
                Some(b'<') => break,
                // The upper half of UTF-8 and `]` are no concern here.
                Some(0xEF | b']') => {}
                Some(_) => plain = false,
                None => return self.look_far(input, content, offset).map(Some),
            }
            end += 1;
        }
        match bytes.get(end + 1) {
            None => self.look_far(input, content, offset).map(Some),
            Some(b'/') if plain => Ok(Some(Found::Plain(content + end))),
            Some(b'/') => {
                self.scratch.clear();
                decode(&bytes[..end], &mut Inside::default(), true, &mut self.scratch);
                Ok(Some(Found::Decoded(content + end)))
            }
            Some(b'!' | b'?') => {
                self.scratch.clear();
                let used = decode(bytes, &mut Inside::default(), false, &mut self.scratch);
                match bytes.get(used..used + 2) {
                    Some(b"</") => {
                        if self.options.shows_comments() {
                            list_comments(&bytes[..used], self.options.mapping, &mut self.comments_of_leaf);
                        }
                        Ok(Some(Found::Decoded(content + used)))
                    }
                    Some([b'<', second]) if !matches!(second, b'!' | b'?') => Ok(Some(Found::Container)),
                    Some(_) | None => self.look_far(input, content, offset).map(Some),
                }
            }
            Some(_) => Ok(Some(Found::Container)),
        }
    }

    fn look_far(&mut self, input: &Input<'_>, content: usize, offset: u64) -> Result<Found, ConvertError> {
        let distant = self.index.distant(offset).ok_or_else(|| input.changed(content))?;
        Ok(match distant.kind {
            Content::Container => Found::Container,
            kind @ (Content::Null | Content::Text { .. }) => {
                if self.options.shows_comments() {
                    for comment in self.index.comments(&distant)? {
                        list_comment(
                            comment.as_bytes(),
                            self.options.mapping,
                            &mut self.comments_of_leaf,
                        );
                    }
                }
                Found::Long(distant.end, kind)
            }
        })
    }

    /// Ends the open group if the child that comes next does not belong to it. A step means that something has to be
    /// written first, and that the child comes again.
    fn leave_group(
        &mut self,
        name: &str,
        offset: u64,
        out: &mut Vec<u8>,
    ) -> Result<Option<Step>, ConvertError> {
        let frame = self.frames.last().ok_or(ConvertError::Changed { offset })?;
        // In a shuffled parent the runs tell where a group ends.
        if frame.shuffled.is_some() {
            return Ok(None);
        }
        match &frame.group {
            Some(group) if self.keys[group.key.clone()] != *name => Ok(self.close_group(offset, out)),
            Some(_) | None => Ok(None),
        }
    }

    /// Ends the open group. With metadata to write, the members are read once more, then it goes on at `resume`.
    pub(super) fn close_group(&mut self, resume: u64, out: &mut Vec<u8>) -> Option<Step> {
        let frame = self.frames.last_mut()?;
        let group = frame.group.take()?;
        if group.array {
            out.push(b']');
        }
        let mark = group.key.start;
        let mut step = None;
        if group.array && group.metadata {
            out.extend_from_slice(b",\"@");
            out.extend_from_slice(self.index_key(&self.keys[group.key.clone()]).as_bytes());
            out.extend_from_slice(b"\":[");
            let first_run = if group.run == NO_RUN {
                0
            } else {
                u64::from(self.index.run(group.run).count())
            };
            self.task = Some(Task::metadata(&group, first_run, resume));
            step = Some(Step::Seek(group.start));
        }
        self.keys.truncate(mark);
        step
    }

    /// The key that a name is written under: in an ordinary parent the local name, in a shuffled one what the index
    /// says, which is what was put among the keys.
    fn index_key<'k>(&self, key: &'k str) -> &'k str {
        match self.frames.last() {
            Some(frame) if frame.shuffled.is_some() => key,
            Some(_) | None => local(key),
        }
    }

    /// The next run of a shuffled parent.
    fn next_run(&mut self, offset: u64, out: &mut Vec<u8>) -> Result<Step, ConvertError> {
        let frame = self.top()?;
        if frame.run != NO_RUN {
            let mapping = self.options.mapping;
            let run = self.frames.last().map_or(NO_RUN, |frame| frame.run);
            let next = self.index.run(run).next(mapping);
            let frame = self.top()?;
            frame.run = next;
            if next != NO_RUN {
                let run = self.index.run(next);
                self.top()?.run_left = run.count();
                return Ok(Step::Seek(run.start));
            }
            if let Some(step) = self.close_group(offset, out) {
                return Ok(step);
            }
        }
        let frame = self.frames.last_mut().ok_or(ConvertError::Changed { offset })?;
        let Some(shuffled) = &frame.shuffled else {
            return Err(ConvertError::Changed { offset });
        };
        let end = shuffled.end;
        let runs = shuffled.runs();
        for run in runs.start + frame.next_run..runs.end {
            frame.next_run = run - runs.start + 1;
            let found = self.index.run(run);
            if found.is_first(self.options.mapping) && !found.is_text() {
                frame.run = run;
                frame.run_left = found.count();
                return Ok(Step::Seek(found.start));
            }
        }
        frame.tail = Tail::Texts;
        Ok(Step::Seek(end))
    }

    /// Writes what comes before a member's value.
    fn open_member(&mut self, tag: &Tag<'_>, offset: u64, out: &mut Vec<u8>) -> Result<(), ConvertError> {
        let all_arrays = self.all_arrays();
        let frame = self.frames.last_mut().ok_or(ConvertError::Changed { offset })?;
        frame.run_left = frame.run_left.saturating_sub(1);
        if let Some(group) = &mut frame.group {
            if !group.array {
                return Err(ConvertError::Changed { offset });
            }
            group.members += 1;
            out.push(b',');
            return Ok(());
        }
        let local = tag.local();
        let (key, repeated) = if frame.shuffled.is_some() {
            let run = self.index.run(frame.run);
            (self.index.key(frame.run), run.count() > 1 || run.next != NO_RUN)
        } else {
            let repeated = frame.repeats
                && self
                    .index
                    .is_repeated(frame.offset, frame.groups, &mut self.repeated_hint);
            (local, repeated)
        };
        let array = match frame.kind {
            // The root is no child of anything; only the device's form wraps it (N1, J1).
            Kind::Document => self.options.mapping == Mapping::Junos,
            Kind::Payload | Kind::Cli | Kind::Wrapper | Kind::Element => {
                repeated
                    || all_arrays
                    || frame.hints.is_some_and(|hints| hints.contains(local))
                    || matches!(&self.options.arrays, Arrays::Named(names) if names.contains(local))
            }
        };
        out.extend_from_slice(if frame.wrote { b",\"" } else { b"\"" });
        match self.options.mapping {
            Mapping::Ncj => out.extend_from_slice(key.as_bytes()),
            Mapping::Junos => {
                if frame.has_attributes && local == "attributes" {
                    out.push(TAKEN);
                }
                out.extend_from_slice(local.as_bytes());
            }
        }
        out.extend_from_slice(if array { b"\":[" } else { b"\":" });
        frame.wrote = true;
        frame.groups += 1;
        frame.data_child |= local == "data";
        frame.comment_child |= local == "comment";
        let from = self.keys.len();
        self.keys
            .push_str(if frame.shuffled.is_some() { key } else { tag.name });
        frame.group = Some(Group {
            key: from..self.keys.len(),
            array,
            members: 1,
            start: offset,
            metadata: false,
            run: frame.run,
        });
        Ok(())
    }

    /// Writes the value of a leaf and its metadata.
    fn leaf(&mut self, text: &[u8], plain: bool, self_closing: bool, has_metadata: bool, out: &mut Vec<u8>) {
        match self.options.mapping {
            Mapping::Ncj => {
                if is_null(text) {
                    out.extend_from_slice(b"null");
                } else if plain {
                    out.push(b'"');
                    out.extend_from_slice(text);
                    out.push(b'"');
                } else {
                    let text = match text {
                        [b'\n', inner @ .., b'\n'] if !self.options.exact_text => inner,
                        _ => text,
                    };
                    out.push(b'"');
                    escape(text, out);
                    out.push(b'"');
                }
            }
            Mapping::Junos => {
                if self_closing {
                    out.extend_from_slice(b"{\"data\":[null]");
                } else if is_null(text) {
                    out.push(b'{');
                } else {
                    out.extend_from_slice(b"{\"data\":\"");
                    escape(
                        if self.options.exact_text {
                            text
                        } else {
                            without_newlines(text)
                        },
                        out,
                    );
                    out.push(b'"');
                }
            }
        }
        if has_metadata || self.options.mapping == Mapping::Junos {
            let is_first = !self_closing && is_null(text);
            self.after_leaf(has_metadata, is_first, out);
        }
    }

    /// Writes what comes behind a leaf's text and its quote; in the device's form, `is_first` means that there is no
    /// text.
    fn after_leaf(&mut self, has_metadata: bool, is_first: bool, out: &mut Vec<u8>) {
        match self.options.mapping {
            Mapping::Junos => {
                if has_metadata {
                    out.extend_from_slice(if is_first {
                        b"\"attributes\":".as_slice()
                    } else {
                        b",\"attributes\":"
                    });
                    out.extend_from_slice(&self.metadata);
                }
                if !self.comments_of_leaf.is_empty() {
                    out.extend_from_slice(if is_first && !has_metadata {
                        b"\"comment\":".as_slice()
                    } else {
                        b",\"comment\":"
                    });
                    out.extend_from_slice(&self.comments_of_leaf);
                    out.push(b'"');
                }
                out.push(b'}');
            }
            Mapping::Ncj if has_metadata => {
                let group = self.frames.last_mut().and_then(|frame| frame.group.as_mut());
                if let Some(group) = group {
                    group.metadata = true;
                    if !group.array {
                        let key = group.key.clone();
                        out.extend_from_slice(b",\"@");
                        out.extend_from_slice(self.index_key(&self.keys[key]).as_bytes());
                        out.extend_from_slice(b"\":");
                        out.extend_from_slice(&self.metadata);
                    }
                }
            }
            Mapping::Ncj => {}
        }
    }

    /// Begins the text of a long leaf.
    fn open_long(&mut self, is_text: bool, end: u64, newlines: Newlines, after: Vec<u8>, out: &mut Vec<u8>) {
        out.extend_from_slice(match (self.options.mapping, is_text) {
            (Mapping::Ncj, true) => b"\"".as_slice(),
            (Mapping::Ncj, false) => b"null",
            (Mapping::Junos, true) => b"{\"data\":\"",
            (Mapping::Junos, false) => b"{",
        });
        self.task = Some(Task::long(end, is_text, newlines, after));
    }

    /// Writes the brace of a container and its metadata.
    pub(super) fn open_object(&mut self, has_metadata: bool, out: &mut Vec<u8>) {
        out.push(b'{');
        if has_metadata {
            out.extend_from_slice(match self.options.mapping {
                Mapping::Ncj => b"\"@\":".as_slice(),
                Mapping::Junos => b"\"attributes\":",
            });
            out.extend_from_slice(&self.metadata);
            if let Some(frame) = self.frames.last_mut() {
                frame.wrote = true;
                frame.has_attributes = true;
            }
        }
    }

    pub(super) fn frame_of(&mut self, tag: &Tag<'_>, kind: Kind, offset: u64) -> Frame {
        Frame {
            kind,
            offset,
            content: offset + tag.text.len() as u64,
            self_closing: tag.self_closing,
            ns: tag.ns,
            default_ns: tag.default_ns,
            bindings: tag.bindings,
            keys: self.keys.len(),
            hints: self.options.hints.children(tag.local()),
            repeats: self.index.has_repeated(offset, &mut self.repeated_hint),
            shuffled: self.index.shuffled(offset, &mut self.shuffled_hint).cloned(),
            ..Frame::document()
        }
    }

    /// Reads the tag of the element whose children are the payload. With `ns=on`, which loses nothing, its attributes
    /// are the metadata (N8); its namespace is told by the children that have another than the envelope's.
    pub(super) fn read_payload_tag(
        &mut self,
        input: &Input<'_>,
        mut at: usize,
        default_ns: NamespaceId,
    ) -> Result<Option<(Frame, usize)>, ConvertError> {
        if !to_tag(input, &mut at, &mut self.inside, &mut false) {
            return Ok(None);
        }
        let Some(tag) = read_tag(&mut self.tags, &mut self.namespaces, input, at, default_ns)? else {
            return Ok(None);
        };
        self.metadata.clear();
        if self.options.namespaces && self.options.mapping == Mapping::Ncj {
            self.write_metadata(&tag, tag.ns)?;
        }
        let frame = self.frame_of(&tag, Kind::Payload, input.offset(at));
        Ok(Some((frame, at + tag.text.len())))
    }
}

/// N4: nothing, or blanks with a newline among them.
fn is_null(text: &[u8]) -> bool {
    match text.first() {
        None => true,
        Some(b' ' | b'\n' | b'\t' | b'\r') => {
            text.contains(&b'\n') && text.iter().all(|b| matches!(b, b' ' | b'\n' | b'\t' | b'\r'))
        }
        Some(_) => false,
    }
}

/// J7
fn without_newlines(text: &[u8]) -> &[u8] {
    let from = text.iter().position(|b| *b != b'\n').unwrap_or(text.len());
    let to = text
        .iter()
        .rposition(|b| *b != b'\n')
        .map_or(from, |last| last + 1);
    &text[from..to]
}
