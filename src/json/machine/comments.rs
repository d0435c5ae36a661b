//! Comments (N10, J6): those of a leaf, which go into its metadata, and those among the children of a container.

use super::frame::Frame;
use super::tag::to_tag;
use super::task::{Skim, Task};
use super::{Input, Machine, Step};
use crate::json::ConvertError;
use crate::json::options::Mapping;
use crate::json::text::{Inside, comment};

/// Writes the comments among the children.
#[derive(Debug)]
pub(super) struct Comments {
    resume: u64,
    any: bool,
    inside: Inside,
    skim: Option<Skim>,
}

impl Comments {
    /// For the container whose content comes next; then it goes on at `resume`.
    pub(super) fn new(resume: u64) -> Comments {
        Comments {
            resume,
            any: false,
            inside: Inside::Text,
            skim: None,
        }
    }
}

/// Appends the comments in a leaf's raw content.
pub(super) fn list_comments(mut raw: &[u8], mapping: Mapping, out: &mut Vec<u8>) {
    while let Some(found) = memchr::memchr(b'<', raw) {
        raw = &raw[found..];
        let (begin, end) = match raw {
            [b'<', b'!', b'-', b'-', ..] => (4, &b"-->"[..]),
            [b'<', b'?', ..] => (2, &b"?>"[..]),
            _ => (b"<![CDATA[".len(), &b"]]>"[..]),
        };
        let content = raw.get(begin..).unwrap_or_default();
        let Some(length) = memchr::memmem::find(content, end) else {
            return;
        };
        if begin == 4 {
            list_comment(&content[..length], mapping, out);
        }
        raw = &content[length + end.len()..];
    }
}

/// Appends one comment of a leaf: a JSON string behind a comma, or in the device's form a line of the only string,
/// which lacks its last quote.
pub(super) fn list_comment(raw: &[u8], mapping: Mapping, out: &mut Vec<u8>) {
    match mapping {
        Mapping::Ncj => {
            out.extend_from_slice(if out.is_empty() { b"\"" } else { b",\"" });
            comment(raw, out);
            out.push(b'"');
        }
        Mapping::Junos => {
            out.extend_from_slice(if out.is_empty() { b"\"" } else { b"\\n" });
            comment(raw.trim_ascii(), out);
        }
    }
}

impl Machine {
    pub(super) fn comments_step(
        &mut self,
        mut task: Comments,
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
            self.task = Some(Task::Comments(task));
            return Ok(step);
        }
        // `to_tag` runs over comments, so it is only asked where none begins.
        if task.inside == Inside::Text {
            match memchr::memchr(b'<', &input.bytes[at..]) {
                Some(found) => at += found,
                None => {
                    self.task = Some(Task::Comments(task));
                    return Ok(Step::Wait(input.bytes.len()));
                }
            }
            let rest = &input.bytes[at..];
            if rest.starts_with(b"<!--") {
                let Some(end) = memchr::memmem::find(&rest[4..], b"-->") else {
                    self.task = Some(Task::Comments(task));
                    return Ok(Step::Wait(at));
                };
                let mapping = self.options.mapping;
                let more = std::mem::replace(&mut task.any, true);
                write_comment(self.top()?, &rest[4..4 + end], mapping, more, out);
                self.task = Some(Task::Comments(task));
                return Ok(Step::To(at + end + 7));
            }
            if rest.starts_with(b"<![CDATA[") {
                task.inside = Inside::Cdata;
                at += 9;
            } else if rest.starts_with(b"<?") {
                task.inside = Inside::Instruction;
                at += 2;
            }
        }
        let end = match task.inside {
            Inside::Cdata => &b"]]>"[..],
            Inside::Instruction => &b"?>"[..],
            Inside::Text | Inside::Comment => return self.element_among_comments(task, input, at, out),
        };
        let rest = &input.bytes[at..];
        let step = match memchr::memmem::find(rest, end) {
            Some(found) => {
                task.inside = Inside::Text;
                Step::To(at + found + end.len())
            }
            None => Step::Wait(at + rest.len().saturating_sub(2)),
        };
        self.task = Some(Task::Comments(task));
        Ok(step)
    }

    /// At a tag: that of a child, which is passed over, or that of the end.
    fn element_among_comments(
        &mut self,
        mut task: Comments,
        input: &Input<'_>,
        mut at: usize,
        out: &mut Vec<u8>,
    ) -> Result<Step, ConvertError> {
        let found = to_tag(input, &mut at, &mut task.inside, &mut false);
        let step = if !found {
            Step::Wait(at)
        } else if input.bytes.get(at + 1) == Some(&b'/') {
            if task.any {
                out.extend_from_slice(match self.options.mapping {
                    Mapping::Ncj => b"]".as_slice(),
                    Mapping::Junos => b"\"",
                });
            }
            return Ok(Step::Seek(task.resume));
        } else {
            task.skim = Some(Skim::default());
            Step::To(at)
        };
        self.task = Some(Task::Comments(task));
        Ok(step)
    }
}

fn write_comment(frame: &mut Frame, raw: &[u8], mapping: Mapping, more: bool, out: &mut Vec<u8>) {
    if !more {
        let comma: &[u8] = if std::mem::replace(&mut frame.wrote, true) {
            b","
        } else {
            b""
        };
        out.extend_from_slice(comma);
        out.extend_from_slice(match mapping {
            Mapping::Ncj => b"\"#comment\":[".as_slice(),
            Mapping::Junos if frame.comment_child => b"\"#comment\":\"",
            Mapping::Junos => b"\"comment\":\"",
        });
    }
    match mapping {
        Mapping::Ncj => {
            out.extend_from_slice(if more { b",\"" } else { b"\"" });
            comment(raw, out);
            out.push(b'"');
        }
        Mapping::Junos => {
            out.extend_from_slice(if more { b"\\n" } else { b"" });
            comment(raw.trim_ascii(), out);
        }
    }
}
