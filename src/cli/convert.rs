//! `ncgate convert`: the converter of the gateway on a file or on standard input, whole documents included.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::json::convert::{convert_to_json, convert_to_xml};
use crate::json::{Arrays, ConvertError, HintTable, Mapping, Options, ToXmlError, ToXmlOptions};
use crate::xml::{Sanitizer, Source, close_routing_engine_of_commit};

use super::exit::{Exit, Failure, chain};
use super::stdio;

/// Bytes read at a time.
const PIECE_BYTES: usize = 256 * 1024;
/// A document up to this size stays in memory; a larger one goes to a temporary file. In bytes.
const MEMORY_BYTES: u64 = 8 << 20;
/// JSON is read whole; this is what of it is read at most, in bytes.
const MOST_JSON_BYTES: u64 = 1 << 30;

/// The form to convert to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum To {
    Json,
    Xml,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum MappingName {
    /// The gateway's own: a shape that does not depend on how many siblings there are
    Ncj,
    /// As Junos devices print it
    Junos,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum TextName {
    /// One line break is taken off each end of text
    Trimmed,
    Exact,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Switch {
    Off,
    On,
}

/// `ncgate convert`
#[derive(Debug, Clone, clap::Args)]
pub struct ConvertArgs {
    /// What to make
    #[arg(long, value_enum)]
    to: To,
    /// The rules
    #[arg(long, value_enum, default_value = "ncj")]
    mapping: MappingName,
    /// hints, all, or elements that are always lists, with commas between
    #[arg(long, value_name = "WHICH", default_value = "hints")]
    arrays: String,
    /// The white space at the ends of text
    #[arg(long, value_enum, default_value = "trimmed")]
    text: TextName,
    /// Whether namespaces and display hints are kept; without them the way back is lost
    #[arg(long, value_enum, default_value = "on")]
    ns: Switch,
    /// Whether comments are kept; as Junos devices print it they always are
    #[arg(long, value_enum, default_value = "off")]
    comments: Switch,
    /// The version of the list table; the newest unless given
    #[arg(long, value_name = "VERSION")]
    hints: Option<String>,
    /// The document; standard input unless given
    file: Option<PathBuf>,
}

/// Why a document was not converted.
#[derive(Debug, thiserror::Error)]
pub enum ConversionError {
    #[error("there is no list table '{version}'; there is {}", .known.join(", "))]
    UnknownHints {
        version: String,
        known: &'static [&'static str],
    },
    #[error("cannot read {}", .name.display())]
    Read {
        name: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("cannot keep the document in a temporary file")]
    Spool(#[source] io::Error),
    #[error("the document cannot be converted")]
    ToJson(#[source] ConvertError),
    #[error("the document cannot be converted")]
    ToXml(#[from] ToXmlError),
    #[error("the document is not UTF-8")]
    NotUtf8(#[from] std::string::FromUtf8Error),
    #[error("cannot write the output")]
    Write(#[from] io::Error),
}

impl From<ConvertError> for ConversionError {
    fn from(error: ConvertError) -> Self {
        match error {
            ConvertError::Write(error) => Self::Write(error),
            ConvertError::Xml(_)
            | ConvertError::IndexTooBig { .. }
            | ConvertError::CommentsTooLong { .. }
            | ConvertError::Read(_)
            | ConvertError::Changed { .. } => Self::ToJson(error),
        }
    }
}

impl ConversionError {
    fn exit(&self) -> Exit {
        match self {
            Self::UnknownHints { .. } | Self::Read { .. } => Exit::Usage,
            Self::Spool(_) | Self::ToJson(_) | Self::ToXml(_) | Self::NotUtf8(_) | Self::Write(_) => {
                Exit::Failure
            }
        }
    }
}

/// What was done to a document that was not well-formed.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Repairs {
    /// Bytes that are no text became U+FFFD.
    pub lossy: bool,
    /// A cluster had left `<routing-engine>` open.
    pub routing_engine: bool,
}

impl Repairs {
    fn tell(self) -> io::Result<()> {
        if self.lossy {
            stdio::tell("warning: bytes that are no text were replaced by U+FFFD\n")?;
        }
        if self.routing_engine {
            stdio::tell("warning: <routing-engine> was left open and has been closed\n")?;
        }
        Ok(())
    }
}

impl ConvertArgs {
    /// Converts, writes to standard output, and tells on standard error what went wrong or was repaired.
    pub fn run(&self) -> Exit {
        let mut out = stdio::out();
        let done = match &self.file {
            Some(path) => File::open(path)
                .map_err(|source| ConversionError::Read {
                    name: path.clone(),
                    source,
                })
                .and_then(|mut file| self.convert(path, &mut file, &mut out)),
            None => self.convert(Path::new("standard input"), &mut io::stdin().lock(), &mut out),
        };
        let flushed = done.and_then(|repairs| out.flush().map(|()| repairs).map_err(ConversionError::Write));
        match flushed {
            Ok(repairs) => match repairs.tell() {
                Ok(()) => Exit::Ok,
                Err(error) => Failure::Output(error).report(),
            },
            Err(ConversionError::Write(error)) => Failure::Output(error).report(),
            Err(error) => {
                // Where it cannot be told, the exit code is left to tell.
                let _ = stdio::tell(&format!("error: {}\n", chain(&error)));
                error.exit()
            }
        }
    }

    /// Converts what `input` holds.
    ///
    /// # Errors
    /// A conversion error; part of the output may have been written.
    pub fn convert(
        &self,
        name: &Path,
        input: &mut impl Read,
        out: &mut impl Write,
    ) -> Result<Repairs, ConversionError> {
        match self.to {
            To::Json => self.to_json(name, input, out),
            To::Xml => self.to_xml(name, input, out).map(|()| Repairs::default()),
        }
    }

    fn to_json(
        &self,
        name: &Path,
        input: &mut impl Read,
        out: &mut impl Write,
    ) -> Result<Repairs, ConversionError> {
        let options = self.options()?;
        let (source, lossy) = store(name, input)?;
        let mut repairs = Repairs {
            lossy,
            routing_engine: false,
        };
        if let Err(error) = convert_to_json(&source, &options, out) {
            // The one other repair that is allowed, and only once the strict reading failed, which is before anything
            // is written.
            let text = match &error {
                ConvertError::Xml(_) => source.as_memory(),
                ConvertError::IndexTooBig { .. }
                | ConvertError::CommentsTooLong { .. }
                | ConvertError::Read(_)
                | ConvertError::Write(_)
                | ConvertError::Changed { .. } => None,
            };
            let text = text.and_then(|bytes| std::str::from_utf8(bytes).ok());
            let Some(closed) = text.and_then(close_routing_engine_of_commit) else {
                return Err(error.into());
            };
            repairs.routing_engine = true;
            convert_to_json(&Source::Memory(closed.into()), &options, out)?;
        }
        out.write_all(b"\n")?;
        Ok(repairs)
    }

    fn to_xml(
        &self,
        name: &Path,
        input: &mut impl Read,
        out: &mut impl Write,
    ) -> Result<(), ConversionError> {
        let mut bytes = Vec::new();
        input
            .take(MOST_JSON_BYTES)
            .read_to_end(&mut bytes)
            .map_err(|source| ConversionError::Read {
                name: name.to_owned(),
                source,
            })?;
        let options = ToXmlOptions {
            mapping: self.mapping(),
            exact_text: self.text == TextName::Exact,
            ..ToXmlOptions::default()
        };
        let text = String::from_utf8(bytes)?;
        // Some editors begin a file with this mark; a reader of files may leave it out (RFC 8259 section 8.1).
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
        writeln!(out, "{}", convert_to_xml(text, &options)?)?;
        Ok(())
    }

    fn mapping(&self) -> Mapping {
        match self.mapping {
            MappingName::Ncj => Mapping::Ncj,
            MappingName::Junos => Mapping::Junos,
        }
    }

    fn options(&self) -> Result<Options, ConversionError> {
        let hints = match &self.hints {
            None => HintTable::latest(),
            Some(version) => HintTable::version(version).ok_or_else(|| ConversionError::UnknownHints {
                version: version.clone(),
                known: HintTable::versions(),
            })?,
        };
        let arrays = match self.arrays.as_str() {
            "hints" => Arrays::Hints,
            "all" => Arrays::All,
            names => {
                let names = names.split(',').map(str::trim).filter(|name| !name.is_empty());
                Arrays::Named(names.map(str::to_owned).collect::<BTreeSet<_>>())
            }
        };
        Ok(Options {
            mapping: self.mapping(),
            arrays,
            exact_text: self.text == TextName::Exact,
            namespaces: self.ns == Switch::On,
            comments: self.comments == Switch::On,
            hints,
        })
    }
}

/// Keeps the document where both passes can read it, repaired as replies of devices are; whether anything was.
fn store(name: &Path, input: &mut impl Read) -> Result<(Source, bool), ConversionError> {
    let mut sanitizer = Sanitizer::new();
    let mut memory = Vec::new();
    let mut file: Option<File> = None;
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        let count = match input.read(&mut piece) {
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(source) => {
                return Err(ConversionError::Read {
                    name: name.to_owned(),
                    source,
                });
            }
        };
        match count {
            0 => sanitizer.finish(&mut memory),
            count => sanitizer.push(&piece[..count], &mut memory),
        }
        if file.is_none() && memory.len() as u64 > MEMORY_BYTES {
            file = Some(tempfile::tempfile().map_err(ConversionError::Spool)?);
        }
        if let Some(file) = &mut file {
            file.write_all(&memory).map_err(ConversionError::Spool)?;
            memory.clear();
        }
        if count == 0 {
            break;
        }
    }
    let source = match file {
        None => Source::Memory(memory.into()),
        Some(mut file) => {
            let len = file.seek(SeekFrom::End(0)).map_err(ConversionError::Spool)?;
            Source::File {
                file: Arc::new(file),
                len,
            }
        }
    };
    Ok((source, sanitizer.lossy()))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Flags {
        #[command(flatten)]
        convert: ConvertArgs,
    }

    fn convert(flags: &[&str], input: &[u8]) -> Result<(String, Repairs), ConversionError> {
        let args = Flags::parse_from(std::iter::once("convert").chain(flags.iter().copied())).convert;
        let mut out = Vec::new();
        let repairs = args.convert(Path::new("input"), &mut &*input, &mut out)?;
        Ok((String::from_utf8(out).unwrap(), repairs))
    }

    /// Issue 2, item 5: whole documents, both ways.
    #[test]
    fn a_document_goes_there_and_back() {
        let xml = "<rpc-reply message-id=\"1\" xmlns=\"urn:ietf:params:xml:ns:netconf:base:1.0\"><data><a>1</a><a>2</a>\
                   <b/></data></rpc-reply>";
        let (text, repairs) = convert(&["--to", "json"], xml.as_bytes()).unwrap();
        assert_eq!(repairs, Repairs::default());
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["rpc-reply"]["data"]["a"], serde_json::json!(["1", "2"]));
        let (back, _) = convert(&["--to", "xml"], text.as_bytes()).unwrap();
        let tree =
            |text: &str| crate::xml::tree::Element::parse(text, &crate::xml::Limits::default()).unwrap();
        assert_eq!(
            tree(back.trim()).child("data").unwrap().children.len(),
            3,
            "{back}"
        );
        let (again, _) = convert(&["--to", "json"], back.as_bytes()).unwrap();
        assert_eq!(again, text);
    }

    #[test]
    fn options_reach_the_converter() {
        let (text, _) = convert(
            &["--to", "json", "--arrays", "b,c", "--ns", "off"],
            b"<a xmlns='u'><b>1</b></a>",
        )
        .unwrap();
        assert_eq!(text, "{\"a\":{\"b\":[\"1\"]}}\n");
        let (text, _) = convert(&["--to", "json", "--mapping", "junos"], b"<a><b>1</b></a>").unwrap();
        assert!(text.contains("\"data\""), "{text}");
        let refused = convert(&["--to", "json", "--hints", "junos-1"], b"<a/>").unwrap_err();
        assert_eq!(refused.exit(), Exit::Usage);
    }

    /// N8: nothing that a device sent has to be declared first, and the way back is not lost.
    #[test]
    fn undeclared_prefixes_are_accepted() {
        let xml = b"<a junos:style='brief' x:b='y'><nc:c/></a>";
        let (text, repairs) = convert(&["--to", "json"], xml).unwrap();
        assert_eq!(repairs, Repairs::default());
        assert_eq!(
            text,
            "{\"a\":{\"@\":{\"junos:style\":\"brief\",\"x:b\":\"y\"},\"c\":null,\
             \"@c\":{\"xmlns\":\"urn:ietf:params:xml:ns:netconf:base:1.0\"}}}\n"
        );
        let (back, _) = convert(&["--to", "xml"], text.as_bytes()).unwrap();
        assert_eq!(convert(&["--to", "json"], back.as_bytes()).unwrap().0, text);
    }

    /// J8: as the device prints it, a reply is what stands in it.
    #[test]
    fn the_form_of_the_device_has_no_reply_around_it() {
        let xml = b"<rpc-reply><a><b>1</b></a><cli><banner>{master}</banner></cli></rpc-reply>";
        let (text, _) = convert(&["--to", "json", "--mapping", "junos"], xml).unwrap();
        assert_eq!(text, "{\"a\":[{\"b\":[{\"data\":\"1\"}]}]}\n");
        let (back, _) = convert(&["--to", "xml", "--mapping", "junos"], text.as_bytes()).unwrap();
        assert_eq!(back, "<a><b>1</b></a>\n");
    }

    /// The two repairs that are documented, and no other.
    #[test]
    fn only_documented_repairs_are_made() {
        let (text, repairs) = convert(&["--to", "json"], b"<a>x\xff\x01y</a>").unwrap();
        assert_eq!(
            (text.as_str(), repairs.lossy),
            ("{\"a\":\"x\u{fffd}\u{fffd}y\"}\n", true)
        );
        for broken in [
            "",
            "<a>",
            "<a/><b/>",
            "<a/>]]>]]>",
            "<!DOCTYPE a><a/>",
            "<a>&x;</a>",
            "x",
            "<in\u{1}t/>",
            "<a b\u{1}='1'/>",
            "<?xml version?><a/>",
        ] {
            let refused = convert(&["--to", "json"], broken.as_bytes()).unwrap_err();
            assert_eq!(refused.exit(), Exit::Failure, "{broken}");
        }
        let marked = convert(&["--to", "xml"], "\u{feff}{\"a\":1}".as_bytes()).unwrap();
        assert_eq!(marked.0, "<a>1</a>\n");
        for broken in ["", "[]", "{\"a\":1,\"a\":2}", "{\"a b\":1}", "{\"a\":1,\"b\":2}"] {
            let refused = convert(&["--to", "xml"], broken.as_bytes()).unwrap_err();
            assert_eq!(refused.exit(), Exit::Failure, "{broken}");
        }
    }

    /// junos.md 1.4: what a cluster leaves open in its answer to a commit is closed, with prefixes as it declares them or
    /// not; the same element elsewhere is not.
    #[test]
    fn only_results_of_a_commit_are_closed() {
        let reply = "<rpc-reply><routing-engine junos:style='show-name'><name>node0</name><commit-check-success/><ok/></rpc-reply>";
        let (text, repairs) = convert(&["--to", "json"], reply.as_bytes()).unwrap();
        assert!(repairs.routing_engine);
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["rpc-reply"]["ok"], serde_json::Value::Null);
        let data = "<rpc-reply><software><routing-engine><name>node0</name></software></rpc-reply>";
        let refused = convert(&["--to", "json"], data.as_bytes()).unwrap_err();
        assert_eq!(refused.exit(), Exit::Failure);
    }

    /// J6, J8: with nothing but the mapping named, comments and whole replies come through both ways.
    #[test]
    fn the_form_of_the_device_loses_nothing_by_default() {
        let there = |xml: &str| {
            convert(&["--to", "json", "--mapping", "junos"], xml.as_bytes())
                .unwrap()
                .0
        };
        let back = |json: &str| {
            convert(&["--to", "xml", "--mapping", "junos"], json.as_bytes())
                .unwrap()
                .0
        };
        for (xml, json) in [
            (
                "<rpc-reply><r><!-- keepalive --><a>1<!-- two --></a></r></rpc-reply>",
                r#"{"r":[{"a":[{"data":"1","comment":"two"}],"comment":"keepalive"}]}"#,
            ),
            (
                "<rpc-reply><a/><b>2</b><!-- c --></rpc-reply>",
                r#"{"a":[{"data":[null]}],"b":[{"data":"2"}],"comment":"c"}"#,
            ),
            (
                "<rpc-reply><a>1</a><a>2</a></rpc-reply>",
                r#"{"a":[{"data":"1"},{"data":"2"}]}"#,
            ),
            ("<rpc-reply>\nonly text\n</rpc-reply>", r#"{"data":"only text"}"#),
            ("<rpc-reply/>", "{}"),
            (
                "<rpc-reply><rpc-reply x='1'/></rpc-reply>",
                r#"{"rpc-reply":[{"data":[null],"attributes":{"x":"1"}}]}"#,
            ),
        ] {
            let found = there(xml);
            assert_eq!(found.trim_end(), json);
            assert_eq!(there(&back(&found)), found, "{xml}");
        }
    }

    /// Large documents pass through a file, in bounded memory.
    #[test]
    fn a_large_document_is_converted_from_a_file() {
        let mut xml = "<a>".to_owned();
        while xml.len() as u64 <= MEMORY_BYTES {
            xml.push_str("<b>some text that takes room</b>");
        }
        xml.push_str("</a>");
        let (text, _) = convert(&["--to", "json"], xml.as_bytes()).unwrap();
        assert_eq!(
            text.matches("some text").count(),
            xml.matches("some text").count()
        );
    }
}
