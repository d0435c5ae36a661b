//! Tags in view: finding the next one, reading it, and writing its metadata.

use super::{Input, Machine};
use crate::json::ConvertError;
use crate::json::options::Mapping;
use crate::json::text::{Inside, string};
use crate::xml::chars::{NAME, NAME_COLON, NAME_END};
use crate::xml::namespace::{NamespaceId, Namespaces};
use crate::xml::tag::{RawValue, Stop, TagReader};

/// Attributes that only tell how to print (N8).
const DISPLAY_HINTS: [&str; 5] = ["style", "format", "indent", "emit", "heading"];

/// A start tag in view.
pub(super) struct Tag<'a> {
    pub(super) name: &'a str,
    pub(super) prefix_len: usize,
    pub(super) self_closing: bool,
    /// Neither attributes nor declarations.
    pub(super) bare: bool,
    /// The tag as written.
    pub(super) text: &'a str,
    pub(super) ns: NamespaceId,
    pub(super) default_ns: NamespaceId,
    /// Bindings outside.
    pub(super) bindings: usize,
}

impl<'a> Tag<'a> {
    pub(super) fn local(&self) -> &'a str {
        if self.prefix_len == 0 {
            self.name
        } else {
            &self.name[self.prefix_len + 1..]
        }
    }
}

impl Machine {
    /// Writes the metadata object of an element into the buffer for it; whether there is any.
    pub(super) fn write_metadata(
        &mut self,
        tag: &Tag<'_>,
        parent_ns: NamespaceId,
    ) -> Result<bool, ConvertError> {
        let Machine {
            metadata: out,
            tags,
            namespaces,
            options,
            comments_of_leaf,
            ..
        } = self;
        out.clear();
        let mut member = |name: &str, value: &str| {
            out.push(if out.is_empty() { b'{' } else { b',' });
            string(name, out);
            out.push(b':');
            string(value, out);
        };
        match options.mapping {
            Mapping::Ncj if options.namespaces && tag.ns != parent_ns => {
                member("xmlns", namespaces.name(tag.ns).unwrap_or_default());
            }
            Mapping::Ncj => {}
            Mapping::Junos => {
                for declaration in tags
                    .declarations
                    .iter()
                    .filter(|declaration| declaration.prefix.is_empty())
                {
                    if !tag.bare {
                        member("xmlns", value(&declaration.value, tag.text, &tags.decoded));
                    }
                }
            }
        }
        if !tag.bare {
            for attribute in &tags.attributes {
                let name = &tag.text[attribute.name.clone()];
                let shown = options.namespaces || options.mapping == Mapping::Junos;
                if shown || !is_display_hint(name, attribute.prefix_len, namespaces)? {
                    member(name, value(&attribute.value, tag.text, &tags.decoded));
                }
            }
        }
        if !comments_of_leaf.is_empty() && options.mapping == Mapping::Ncj {
            out.extend_from_slice(if out.is_empty() {
                b"{\"#comment\":["
            } else {
                b",\"#comment\":["
            });
            out.extend_from_slice(comments_of_leaf);
            out.push(b']');
        }
        if out.is_empty() {
            return Ok(false);
        }
        out.push(b'}');
        Ok(true)
    }
}

fn value<'a>(value: &RawValue, tag: &'a str, decoded: &'a str) -> &'a str {
    match value {
        RawValue::Verbatim(range) => &tag[range.clone()],
        RawValue::Decoded(range) => &decoded[range.clone()],
    }
}

fn is_display_hint(name: &str, prefix_len: usize, namespaces: &mut Namespaces) -> Result<bool, ConvertError> {
    if prefix_len == 0 {
        return Ok(name == "heading");
    }
    if !DISPLAY_HINTS.contains(&&name[prefix_len + 1..]) {
        return Ok(false);
    }
    let prefix = &name[..prefix_len];
    let ns = namespaces.resolve(prefix).ok().and_then(|id| namespaces.name(id));
    Ok(prefix == "junos" || ns.is_some_and(|ns| ns.starts_with("http://xml.juniper.net/junos/")))
}

/// Reads the start tag at `at` and takes in its declarations. `None`: it is not wholly in view.
pub(super) fn read_tag<'a>(
    tags: &mut TagReader,
    namespaces: &mut Namespaces,
    input: &Input<'a>,
    at: usize,
    mut default_ns: NamespaceId,
) -> Result<Option<Tag<'a>>, ConvertError> {
    let rest = &input.bytes[at..];
    let bindings = namespaces.mark();
    let mut end = 1;
    let mut prefix_len = 0;
    while let Some(byte) = rest.get(end) {
        match NAME[usize::from(*byte)] {
            NAME_END => break,
            NAME_COLON => prefix_len = end - 1,
            _ => {}
        }
        end += 1;
    }
    let text_of = |len: usize| std::str::from_utf8(&rest[..len]).map_err(|_| input.changed(at));
    if rest.get(end) == Some(&b'>') && end > 1 {
        let text = text_of(end + 1)?;
        let name = &text[1..end];
        let ns = resolved(namespaces, name, prefix_len, default_ns).ok_or_else(|| input.changed(at))?;
        return Ok(Some(Tag {
            name,
            prefix_len,
            self_closing: false,
            bare: true,
            text,
            ns,
            default_ns,
            bindings,
        }));
    }
    let tag = match tags.start_tag(rest, &Machine::limits()) {
        Ok(tag) => tag,
        Err(Stop::Incomplete) if !input.at_end => return Ok(None),
        Err(Stop::Incomplete | Stop::Bad(..)) => return Err(input.changed(at)),
    };
    let text = text_of(tag.len)?;
    for declaration in &tags.declarations {
        let uri = value(&declaration.value, text, &tags.decoded);
        let prefix = &text[declaration.prefix.clone()];
        let id = namespaces.declare(prefix, uri).map_err(|_| input.changed(at))?;
        if prefix.is_empty() {
            default_ns = id;
        }
    }
    let name = &text[1..1 + tag.name_len];
    let ns = resolved(namespaces, name, tag.prefix_len, default_ns).ok_or_else(|| input.changed(at))?;
    Ok(Some(Tag {
        name,
        prefix_len: tag.prefix_len,
        self_closing: tag.self_closing,
        bare: tags.attributes.is_empty() && tags.declarations.is_empty(),
        text,
        ns,
        default_ns,
        bindings,
    }))
}

fn resolved(
    namespaces: &mut Namespaces,
    name: &str,
    prefix_len: usize,
    default_ns: NamespaceId,
) -> Option<NamespaceId> {
    if prefix_len == 0 {
        Some(default_ns)
    } else {
        namespaces.resolve(&name[..prefix_len]).ok()
    }
}

/// Moves `at` to the next tag, over text, comments and CDATA. Whether there is one in view.
pub(super) fn to_tag(input: &Input<'_>, at: &mut usize, inside: &mut Inside, comment: &mut bool) -> bool {
    loop {
        let rest = &input.bytes[*at..];
        let (end, len): (&[u8], usize) = match inside {
            Inside::Text => {
                let near = rest.iter().take(16).position(|b| *b == b'<');
                let Some(found) = near.or_else(|| memchr::memchr(b'<', rest)) else {
                    *at = input.bytes.len();
                    return false;
                };
                *at += found;
                let rest = &rest[found..];
                match rest.get(1) {
                    Some(b'!') if rest.starts_with(b"<!--") => {
                        *inside = Inside::Comment;
                        *comment = true;
                        *at += 4;
                    }
                    Some(b'!') if rest.starts_with(b"<![CDATA[") => {
                        *inside = Inside::Cdata;
                        *at += 9;
                    }
                    Some(b'?') => {
                        *inside = Inside::Instruction;
                        *at += 2;
                    }
                    Some(b'!') | None => return false,
                    Some(_) => return true,
                }
                continue;
            }
            Inside::Comment => (b"-->", 3),
            Inside::Cdata => (b"]]>", 3),
            Inside::Instruction => (b"?>", 2),
        };
        match memchr::memmem::find(rest, end) {
            Some(found) => {
                *inside = Inside::Text;
                *at += found + len;
            }
            None => {
                *at += rest.len().saturating_sub(2);
                return false;
            }
        }
    }
}
