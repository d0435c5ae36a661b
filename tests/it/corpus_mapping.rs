//! The mapping held against a corpus of recorded device replies, which is not part of the repository: the folder is
//! named by `NCGATE_TEST_CORPUS`, or lies at `../shared/corpus`. Without it these tests say so and pass.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use ncgate::json::{
    Arrays, ConvertError, HintTable, Mapping, Options, Target, ToXmlOptions, convert::convert_to_json, to_xml,
};
use ncgate::xml::tree::Element;
use ncgate::xml::{
    Event, Handler, Limits, Sanitizer, Source, Tokenizer, Writer, XmlError, close_routing_engine,
};
use serde_json::Value;

/// The corpus folder, or a loud message.
fn corpus(test: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("NCGATE_TEST_CORPUS")
        .map(PathBuf::from)
        .unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus"));
    if folder.is_dir() {
        return Some(folder);
    }
    eprintln!(
        "note: corpus absent: {test}: nothing at {} (set NCGATE_TEST_CORPUS)",
        folder.display()
    );
    None
}

fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// As `convert` does it: prefixes need no declaration (N8).
fn convert(xml: &[u8], options: &Options) -> Result<String, ConvertError> {
    let mut out = Vec::new();
    convert_to_json(&Source::Memory(xml.to_vec().into()), options, &mut out)?;
    Ok(String::from_utf8(out).unwrap())
}

/// Also in order, which `Value` equality does not look at.
fn assert_same(found: &str, expected: &Value, what: &str) {
    assert_eq!(found, serde_json::to_string(expected).unwrap(), "{what}");
}

/// N1 to N10: the worked examples.
#[test]
fn worked_examples_come_out_exactly() {
    let Some(corpus) = corpus("worked examples") else {
        return;
    };
    for example in lines(&corpus.join("mapping/examples.jsonl")) {
        let xml = example["xml"].as_str().unwrap().to_owned();
        let json = convert(xml.as_bytes(), &Options::convert_default()).unwrap();
        assert_same(&json, &example["json"], &example["title"].to_string());
    }
}

/// N1 to N10 on recorded replies.
#[test]
fn vectors_come_out_exactly() {
    let Some(corpus) = corpus("vectors") else { return };
    let mut failed = Vec::new();
    let vectors = lines(&corpus.join("mapping/vectors.jsonl"));
    for vector in &vectors {
        let file = vector["file"].as_str().unwrap();
        let xml = std::fs::read(corpus.join("replies").join(file)).unwrap();
        match convert(&xml, &Options::convert_default()) {
            Ok(json) if json == serde_json::to_string(&vector["json"]).unwrap() => {}
            other => failed.push(format!("{file}\n  {other:?}\n  {}", vector["json"])),
        }
    }
    assert!(
        failed.is_empty(),
        "{} of {} differ:\n{}",
        failed.len(),
        vectors.len(),
        failed.join("\n")
    );
}

fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path, extension));
        } else if path.extension().is_some_and(|e| e == extension) {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// What two documents have to agree in: names by namespace, attributes by prefixed name, text under the whitespace
/// rules N3 and N4; not the order of attributes, and not which prefix an element has.
#[derive(Debug, PartialEq)]
struct Node {
    ns: String,
    local: String,
    attributes: Vec<(String, String)>,
    content: Vec<Result<Node, String>>,
}

struct Trees(Vec<Node>, Option<Node>);

impl Handler for Trees {
    type Error = XmlError;

    fn event(&mut self, event: Event<'_>) -> Result<(), XmlError> {
        match event {
            Event::Start(start) => {
                let name = |a: &ncgate::xml::Attr<'_>| match a.prefix {
                    Some(prefix) => format!("{prefix}:{}", a.local),
                    None => a.local.to_owned(),
                };
                let mut attributes: Vec<_> = start
                    .attributes()
                    .map(|a| (name(&a), a.value.to_owned()))
                    .collect();
                attributes.sort();
                self.0.push(Node {
                    ns: start.ns().unwrap_or_default().to_owned(),
                    local: start.local().to_owned(),
                    attributes,
                    content: Vec::new(),
                });
            }
            Event::Text(text) => {
                let content = &mut self.0.last_mut().unwrap().content;
                match content.last_mut() {
                    Some(Err(before)) => before.push_str(text),
                    _ => content.push(Err(text.to_owned())),
                }
            }
            Event::End { .. } => {
                let mut node = self.0.pop().unwrap();
                let blank = |text: &str| text.chars().all(|c| matches!(c, ' ' | '\t' | '\n' | '\r'));
                if node.content.iter().any(Result::is_ok) {
                    node.content
                        .retain(|part| !matches!(part, Err(text) if blank(text)));
                } else if let [Err(text)] = &mut node.content[..] {
                    if blank(text) && text.contains('\n') {
                        node.content.clear();
                    } else if text.len() > 1 && text.starts_with('\n') && text.ends_with('\n') {
                        *text = text[1..text.len() - 1].to_owned();
                    }
                }
                match self.0.last_mut() {
                    Some(parent) => parent.content.push(Ok(node)),
                    None => self.1 = Some(node),
                }
            }
            Event::Comment(_) => {}
        }
        Ok(())
    }
}

fn tree(xml: &[u8]) -> Result<Node, XmlError> {
    let mut trees = Trees(Vec::new(), None);
    let mut tokenizer = Tokenizer::new(Limits::default()).lenient_prefixes();
    tokenizer.push(xml, &mut trees)?;
    tokenizer.finish(&mut trees)?;
    Ok(trees.1.unwrap())
}

/// N1 to N10, W1 to W7: nothing is lost on the way through JSON.
#[test]
fn every_well_formed_reply_survives_the_way_there_and_back() {
    let Some(corpus) = corpus("round trips") else {
        return;
    };
    let mut survived = 0;
    let mut refused = 0;
    let mut lost = Vec::new();
    for file in files(&corpus.join("replies"), "xml") {
        let xml = std::fs::read(&file).unwrap();
        let Ok(before) = tree(&xml) else {
            refused += 1;
            continue;
        };
        for arrays in [Arrays::Hints, Arrays::All] {
            let options = Options {
                arrays,
                ..Options::convert_default()
            };
            let json = convert(&xml, &options).unwrap();
            match to_xml(&json, Target::Document, &ToXmlOptions::default()) {
                Ok(back) if tree(back.as_str().as_bytes()).as_ref() == Ok(&before) => survived += 1,
                Ok(_) => lost.push(format!("{}: differs", file.display())),
                Err(error) => lost.push(format!("{}: {error}", file.display())),
            }
        }
    }
    eprintln!("{survived} round trips, {refused} documents refused");
    assert!(lost.is_empty(), "{} lost:\n{}", lost.len(), lost.join("\n"));
    assert!(survived > 1000 && refused < 20, "{survived} {refused}");
}

/// J1 to J10: the device's own JSON, both ways.
#[test]
fn the_form_of_the_device_is_met_both_ways() {
    let Some(corpus) = corpus("pairs of XML and display json") else {
        return;
    };
    let folder = corpus.join("replies/junos-json-pairs");
    let value = |bytes: &[u8]| -> Value { serde_json::from_slice(bytes).unwrap() };
    let pairs = files(&folder, "json");
    assert!(pairs.len() > 20);
    for json in pairs {
        let expected = value(&std::fs::read(&json).unwrap());
        let there = by_the_program("json", &json.with_extension("xml"));
        assert_eq!(value(&there), expected, "{}", json.display());
        // And from the device's own file.
        let mut xml = tempfile::NamedTempFile::new().unwrap();
        xml.write_all(&by_the_program("xml", &json)).unwrap();
        let again = by_the_program("json", xml.path());
        assert_eq!(value(&again), expected, "{}", json.display());
    }
}

/// What `ncgate convert` makes of a file with nothing but the mapping named.
fn by_the_program(to: &str, file: &Path) -> Vec<u8> {
    let done = Command::new(env!("CARGO_BIN_EXE_ncgate"))
        .args(["convert", "--to", to, "--mapping", "junos"])
        .arg(file)
        .output()
        .unwrap();
    assert!(
        done.status.success() && done.stderr.is_empty(),
        "{}: {done:?}",
        file.display()
    );
    done.stdout
}

/// J1 to J10: whatever a reply looks like, no key is there twice, and the way back is taken.
#[test]
fn every_reply_survives_the_form_of_the_device() {
    let Some(corpus) = corpus("round trips in the form of the device") else {
        return;
    };
    let options = Options {
        mapping: Mapping::Junos,
        ..Options::convert_default()
    };
    let back = ToXmlOptions {
        mapping: Mapping::Junos,
        ..ToXmlOptions::default()
    };
    let mut survived = 0;
    for file in files(&corpus.join("replies"), "xml") {
        let Ok(json) = convert(&std::fs::read(&file).unwrap(), &options) else {
            continue;
        };
        // The way back refuses a key that is there twice.
        let xml = to_xml(&json, Target::Document, &back)
            .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let again = convert(xml.as_str().as_bytes(), &options).unwrap();
        let value = |text: &str| -> Value { serde_json::from_str(text).unwrap() };
        assert_eq!(value(&again), value(&json), "{}", file.display());
        survived += 1;
    }
    assert!(survived > 500, "{survived}");
}

/// X3: every broken document is refused with a reason, or repaired in one of the two documented ways.
#[test]
fn malformed_replies_are_refused_or_repaired() {
    let Some(corpus) = corpus("malformed replies") else {
        return;
    };
    let options = Options::convert_default();
    for file in files(&corpus.join("replies/malformed"), "xml") {
        let name = file.file_name().unwrap().to_str().unwrap().to_owned();
        let xml = std::fs::read_to_string(&file).unwrap();
        let refused = convert(xml.as_bytes(), &options).unwrap_err();
        assert!(matches!(refused, ConvertError::Xml(_)), "{name}: {refused}");
        let repaired = close_routing_engine(&xml);
        assert_eq!(
            repaired.is_some(),
            name.starts_with("routing-engine-unclosed"),
            "{name}"
        );
        if let Some(repaired) = repaired {
            let json = convert(repaired.as_bytes(), &options).unwrap();
            assert_eq!(
                json.contains("rpc-error"),
                name.contains("error"),
                "{name}: {json}"
            );
        }
    }
    let bytes = std::fs::read(corpus.join("replies/malformed/latin1-bytes-in-description.txt")).unwrap();
    assert!(convert(&bytes, &options).is_err());
    let mut sanitizer = Sanitizer::new();
    let mut repaired = Vec::new();
    sanitizer.push(&bytes, &mut repaired);
    sanitizer.finish(&mut repaired);
    assert!(sanitizer.lossy());
    assert!(convert(&repaired, &options).unwrap().contains('\u{FFFD}'));
}

/// N6: what a hinted list looks like does not depend on how many entries there happen to be.
#[test]
fn hinted_lists_keep_their_shape_with_one_entry() {
    let Some(corpus) = corpus("shape stability") else {
        return;
    };
    let hints = HintTable::latest();
    let mut checked = 0;
    for file in files(&corpus.join("replies"), "xml") {
        let Ok(text) = std::fs::read_to_string(&file) else {
            continue;
        };
        let Ok(mut element) = Element::parse(&text, &Limits::default()) else {
            continue;
        };
        let before: Value = serde_json::from_str(&json_of(&element)).unwrap();
        checked += keep_one(&mut element, &hints);
        let after: Value = serde_json::from_str(&json_of(&element)).unwrap();
        assert_shape(&after, &before, &file.display().to_string());
    }
    eprintln!("{checked} entries dropped");
    assert!(checked > 500, "{checked}");
}

fn json_of(element: &Element) -> String {
    let mut writer = Writer::new();
    element.write(&mut writer).unwrap();
    let xml = writer.finish().unwrap();
    convert(xml.as_str().as_bytes(), &Options::api_default()).unwrap()
}

/// Drops all but the first of each hinted child; how many that were.
fn keep_one(element: &mut Element, hints: &HintTable) -> usize {
    let mut seen = std::collections::HashSet::new();
    let before = element.children.len();
    let parent = element.local.clone();
    element.children.retain(|node| match node {
        ncgate::xml::tree::Node::Element(child) if hints.is_list(&parent, &child.local) => {
            seen.insert(child.local.clone())
        }
        _ => true,
    });
    let mut dropped = before - element.children.len();
    for node in &mut element.children {
        if let ncgate::xml::tree::Node::Element(child) = node {
            dropped += keep_one(child, hints);
        }
    }
    dropped
}

/// Every member of `after` has the type that it has in `before`.
fn assert_shape(after: &Value, before: &Value, what: &str) {
    match (after, before) {
        (Value::Object(after), Value::Object(before)) => {
            for (key, value) in after {
                if let Some(other) = before.get(key) {
                    assert_shape(value, other, &format!("{what} {key}"));
                }
            }
        }
        (Value::Array(after), Value::Array(before)) => {
            for (value, other) in after.iter().zip(before) {
                assert_shape(value, other, what);
            }
        }
        _ => assert_eq!(
            std::mem::discriminant(after),
            std::mem::discriminant(before),
            "{what}"
        ),
    }
}
