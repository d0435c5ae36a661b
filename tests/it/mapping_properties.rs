//! Properties of the reader and of the mapping, over generated input.

use ncgate::json::{Arrays, Options, Selection, Target, ToXmlOptions, to_json, to_xml};
use ncgate::xml::tree::{Attribute, Element, Node};
use ncgate::xml::{Event, Fragment, Handler, Limits, Sanitizer, Source, Tokenizer, Writer, XmlError};
use proptest::prelude::*;
use serde_json::Value;

/// Events with neighbouring text joined, so that they can be compared.
#[derive(Default, PartialEq, Debug)]
struct Log(Vec<String>);

impl Handler for Log {
    type Error = XmlError;

    fn event(&mut self, event: Event<'_>) -> Result<(), XmlError> {
        let line = match event {
            Event::Start(start) => {
                let mut line = format!("<{} {:?} {}", start.name(), start.ns(), start.self_closing());
                for declaration in start.declarations() {
                    line += &format!(" {declaration:?}");
                }
                for attribute in start.attributes() {
                    line += &format!(" {attribute:?}");
                }
                format!("{line} {}..{}", start.offset(), start.end_offset())
            }
            Event::End { start, offset } => format!("> {start}..{offset}"),
            Event::Comment(text) => format!("!{text}"),
            Event::Text(text) => {
                assert!(!text.is_empty());
                match self.0.last_mut() {
                    Some(last) if last.starts_with('"') => last.push_str(text),
                    _ => self.0.push(format!("\"{text}")),
                }
                return Ok(());
            }
        };
        self.0.push(line);
        Ok(())
    }
}

fn read<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Log, Result<(), XmlError>) {
    let mut log = Log::default();
    let mut tokenizer = Tokenizer::new(Limits::default()).lenient_prefixes();
    let mut result = Ok(());
    for piece in pieces {
        result = result.and_then(|()| tokenizer.push(piece, &mut log));
    }
    result = result.and_then(|()| tokenizer.finish(&mut log));
    (log, result)
}

/// Bytes that are nearly XML: the pieces that the reader has to tell apart, in any order.
fn nearly_xml() -> impl Strategy<Value = Vec<u8>> {
    let pieces = prop::sample::select(vec![
        "<a>",
        "</a>",
        "<b x='1'>",
        "</b>",
        "<c/>",
        "<p:d q:e=\"&lt;\"/>",
        "<f xmlns='u' xmlns:p='v'/>",
        "text",
        " ",
        "\n",
        "\r\n",
        "\r",
        "&amp;",
        "&#65;",
        "&#x20ac;",
        "&x;",
        "&",
        ";",
        "]]>",
        "]]",
        "<![CDATA[",
        "<![CDATA[<&]]>",
        "<!--",
        "-->",
        "<!-- c -->",
        "--",
        "<?p i?>",
        "<?",
        "?>",
        "<?xml version='1.0'?>",
        "<!DOCTYPE a>",
        "<",
        ">",
        "/",
        "'",
        "\"",
        "=",
        "é",
        "\u{20ac}",
        "\u{fffe}",
        "\u{ffff}",
        "\u{feff}",
        "\u{1}",
        "x='1'",
        "a:b",
    ]);
    let bytes = prop_oneof![
        20 => pieces.prop_map(|piece| piece.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 1..4),
    ];
    (prop::collection::vec(bytes, 0..24), any::<bool>()).prop_map(|(parts, wrapped)| {
        let inner = parts.concat();
        if wrapped {
            [b"<r>".as_slice(), &inner, b"</r>"].concat()
        } else {
            inner
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    /// However the bytes are cut, the events and the refusal are the same.
    #[test]
    fn cuts_change_no_event(bytes in nearly_xml(), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8)) {
        let whole = read([&bytes[..]]);
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        prop_assert_eq!(&read(cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]])), &whole);
        prop_assert_eq!(&read(bytes.chunks(1)), &whole);
    }

    /// What is repaired is text that XML can hold, whatever came, and however it was cut.
    #[test]
    fn repaired_bytes_are_text(bytes in prop::collection::vec(any::<u8>(), 0..64), cut in any::<prop::sample::Index>()) {
        let repair = |pieces: [&[u8]; 2]| {
            let mut sanitizer = Sanitizer::new();
            let mut out = Vec::new();
            for piece in pieces {
                sanitizer.push(piece, &mut out);
            }
            sanitizer.finish(&mut out);
            (out, sanitizer.lossy())
        };
        let cut = cut.index(bytes.len() + 1);
        let (out, lossy) = repair([&bytes[..cut], &bytes[cut..]]);
        prop_assert_eq!(repair([&bytes, &[]]), (out.clone(), lossy));
        let text = String::from_utf8(out).unwrap();
        prop_assert!(text.chars().all(ncgate::xml::name::is_xml_char));
        prop_assert_eq!(lossy, text.as_bytes() != bytes);
    }

    /// A document that this reader accepts, `quick-xml` reads in the same way.
    #[test]
    fn accepted_documents_mean_the_same_elsewhere(bytes in nearly_xml()) {
        let (log, result) = read([&bytes[..]]);
        if result.is_ok() {
            let text = std::str::from_utf8(&bytes).unwrap();
            let mut short: Vec<String> = log.0.iter().filter_map(|line| short_form(line)).collect();
            // A comment between two texts leaves them in two pieces.
            short.dedup_by(|next, before| {
                let joined = next.starts_with('"') && before.starts_with('"');
                if joined {
                    before.push_str(&next[1..]);
                }
                joined
            });
            prop_assert_eq!(short, by_quick_xml(text), "{}", text);
        }
    }

    /// X2: what a caller's XML becomes is well-formed, and means what it meant.
    #[test]
    fn fragments_mean_what_was_written(bytes in nearly_xml()) {
        let Ok(text) = std::str::from_utf8(&bytes) else { return Ok(()) };
        if let Ok(fragment) = Fragment::parse_one(text, &Limits::default()) {
            prop_assert!(!fragment.as_str().contains("]]>"));
            let before = Element::parse(text, &Limits::default()).unwrap();
            let after = Element::parse(fragment.as_str(), &Limits::default()).unwrap();
            prop_assert_eq!(without_form(before), without_form(after));
        }
    }
}

/// `<name`, `>` or text of a line of the log.
fn short_form(line: &str) -> Option<String> {
    match line.as_bytes()[0] {
        b'<' => Some(line.split(' ').next().unwrap().to_owned()),
        b'>' => Some(">".to_owned()),
        b'"' => Some(line.to_owned()),
        _ => None,
    }
}

fn by_quick_xml(text: &str) -> Vec<String> {
    use quick_xml::events::Event;
    let mut lines: Vec<String> = Vec::new();
    let mut reader = quick_xml::Reader::from_str(text);
    let mut depth = 0;
    let add = |lines: &mut Vec<String>, text: &str, depth: usize| match lines.last_mut() {
        _ if depth == 0 || text.is_empty() => {}
        Some(last) if last.starts_with('"') => last.push_str(text),
        _ => lines.push(format!("\"{text}")),
    };
    loop {
        match reader.read_event().unwrap() {
            Event::Start(start) => {
                depth += 1;
                lines.push(format!("<{}", start.name().as_ref()));
            }
            Event::Empty(start) => lines.extend([format!("<{}", start.name().as_ref()), ">".to_owned()]),
            Event::End(_) => {
                depth -= 1;
                lines.push(">".to_owned());
            }
            Event::Text(text) => add(&mut lines, &text.xml10_content(), depth),
            Event::CData(text) => add(&mut lines, &text.xml10_content(), depth),
            Event::GeneralRef(reference) => {
                let c = match reference.resolve_char_ref().unwrap() {
                    Some(c) => c.to_string(),
                    None => quick_xml::escape::resolve_predefined_entity(&reference)
                        .unwrap()
                        .to_owned(),
                };
                add(&mut lines, &c, depth);
            }
            Event::Eof => return lines,
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => {}
        }
    }
}

/// Whether an element was written `<x/>` says nothing about what it means.
fn without_form(mut element: Element) -> Element {
    element.self_closing = false;
    element.children = element
        .children
        .into_iter()
        .map(|node| match node {
            Node::Element(child) => Node::Element(without_form(child)),
            text => text,
        })
        .collect();
    element
}

fn text() -> impl Strategy<Value = String> {
    let pieces = prop::sample::select(vec![
        "a",
        "1",
        " ",
        "\n",
        "\t",
        "\r",
        "<",
        "&",
        ">",
        "\"",
        "\\",
        "]]>]]>",
        "é",
        "\u{1f600}",
        "true",
    ]);
    prop::collection::vec(pieces, 0..5).prop_map(|pieces| pieces.concat())
}

fn ns(index: usize) -> Option<String> {
    [None, Some("urn:a"), Some("urn:b")][index].map(str::to_owned)
}

/// Trees in which names, namespaces, attributes and text mix freely.
fn tree() -> impl Strategy<Value = Element> {
    let name = || {
        (
            prop::sample::select(vec!["a", "b", "name", "interface", "interfaces", "ieee-802.3ad"]),
            0..3usize,
            any::<bool>(),
        )
    };
    let attributes = || {
        let attribute = (
            prop::sample::select(vec!["x", "y", "operation"]),
            any::<bool>(),
            text(),
        );
        prop::collection::vec(attribute, 0..3).prop_map(|attributes| {
            let mut kept: Vec<Attribute> = Vec::new();
            for (local, prefixed, value) in attributes {
                if kept.iter().all(|known| known.local != local) {
                    kept.push(Attribute {
                        prefix: prefixed.then(|| "p2".to_owned()),
                        local: local.to_owned(),
                        ns: prefixed.then(|| "urn:b".to_owned()),
                        value,
                    });
                }
            }
            kept
        })
    };
    let make = |((local, space, prefixed), attributes, children): (_, Vec<Attribute>, Vec<Node>)| {
        let (local, space, prefixed): (&str, usize, bool) = (local, space, prefixed);
        let mut element = Element::new(local);
        element.ns = ns(space);
        element.prefix = (prefixed && space > 0).then(|| format!("p{space}"));
        element.attributes = attributes;
        for child in children {
            match (child, element.children.last_mut()) {
                (Node::Text(text), Some(Node::Text(before))) => before.push_str(&text),
                (Node::Text(text), _) if text.is_empty() => {}
                (child, _) => element.children.push(child),
            }
        }
        element
    };
    let leaf = (name(), attributes(), text())
        .prop_map(move |(name, attributes, text)| make((name, attributes, vec![Node::Text(text)])));
    leaf.prop_recursive(4, 40, 6, move |inner| {
        let node = prop_oneof![4 => inner.prop_map(Node::Element), 1 => text().prop_map(Node::Text)];
        (name(), attributes(), prop::collection::vec(node, 0..6)).prop_map(make)
    })
}

/// What the mapping promises to keep: see N3, N4 and N8.
fn kept(element: &Element) -> String {
    let blank = |text: &str| text.chars().all(|c| matches!(c, ' ' | '\t' | '\n' | '\r'));
    let mut attributes: Vec<String> = element
        .attributes
        .iter()
        .map(|a| {
            format!(
                "{}:{}={:?}",
                a.prefix.as_deref().unwrap_or_default(),
                a.local,
                a.value
            )
        })
        .collect();
    attributes.sort();
    let has_children = element.children().next().is_some();
    let content: Vec<String> = element
        .children
        .iter()
        .filter_map(|node| match node {
            Node::Element(child) => Some(kept(child)),
            Node::Text(text) if has_children => (!blank(text)).then(|| format!("{text:?}")),
            Node::Text(text) if blank(text) && text.contains('\n') => None,
            Node::Text(text) if text.len() > 1 && text.starts_with('\n') && text.ends_with('\n') => {
                Some(format!("{:?}", &text[1..text.len() - 1]))
            }
            Node::Text(text) => Some(format!("{text:?}")),
        })
        .collect();
    let ns = element.ns.as_deref().unwrap_or_default();
    format!(
        "<{{{ns}}}{} {}|{}>",
        element.local,
        attributes.join(" "),
        content.join(",")
    )
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::from),
        text().prop_map(Value::String),
        prop::sample::select(vec!["\u{0}", "\u{1b}", "\u{ffff}"])
            .prop_map(|text| Value::String(text.to_owned())),
    ];
    let key = prop_oneof![
        10 => prop::sample::select(vec!["a", "b", "name", "ieee-802.3ad", "junos:x"]).prop_map(str::to_owned),
        1 => prop::sample::select(vec!["", "@", "@a", "#text", "#order", "1", "a b", "a><b", "q:r", "]]>"]).prop_map(str::to_owned),
    ];
    leaf.prop_recursive(4, 30, 5, move |inner| {
        prop_oneof![
            1 => prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            3 => prop::collection::vec((key.clone(), inner), 0..5)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// What plain JSON, without metadata and order, has to become.
fn expected(key: &str, value: &Value, out: &mut Vec<Element>) {
    let mut element = Element::new(key.split(':').next_back().unwrap());
    match value {
        Value::Bool(false) => return,
        Value::Null | Value::Bool(true) => {}
        Value::Number(number) => element.children.push(Node::Text(number.to_string())),
        Value::String(text) if text.is_empty() => {}
        Value::String(text) => element.children.push(Node::Text(text.clone())),
        Value::Array(items) => return items.iter().for_each(|item| expected(key, item, out)),
        Value::Object(members) => {
            let mut children = Vec::new();
            for (key, value) in members {
                expected(key, value, &mut children);
            }
            element.children = children.into_iter().map(Node::Element).collect();
        }
    }
    out.push(element);
}

/// Names and text only.
fn bare(element: &Element) -> Element {
    let mut copy = Element::new(&element.local);
    copy.children = element
        .children
        .iter()
        .map(|node| match node {
            Node::Element(child) => Node::Element(bare(child)),
            Node::Text(text) => Node::Text(text.clone()),
        })
        .collect();
    copy
}

fn has_special_keys(value: &Value) -> bool {
    match value {
        Value::Object(members) => members
            .iter()
            .any(|(k, v)| k.starts_with(['@', '#']) || has_special_keys(v)),
        Value::Array(items) => items.iter().any(has_special_keys),
        _ => false,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    /// XML -> JSON -> XML keeps everything that N3 and N4 do not take.
    #[test]
    fn trees_survive_the_way_there_and_back(tree in tree(), all in any::<bool>()) {
        let mut writer = Writer::new();
        tree.write(&mut writer).unwrap();
        let xml = writer.finish().unwrap().as_str().to_owned();
        let arrays = if all { Arrays::All } else { Arrays::Hints };
        let options = Options { arrays, ..Options::convert_default() };
        let json = to_json(&Source::from(xml.clone()), Selection::Document, &options).unwrap();
        let _: Value = serde_json::from_str(&json).unwrap();
        let mut back = ToXmlOptions::default();
        back.prefixes.insert("p2".to_owned(), "urn:b".to_owned());
        let again = to_xml(&json, Target::Document, &back).unwrap_or_else(|error| panic!("{xml}\n{json}\n{error}"));
        let again = Element::parse(again.as_str(), &Limits::default()).unwrap();
        prop_assert_eq!(kept(&again), kept(&tree), "{}\n{}", xml, json);
    }

    /// X1: JSON either becomes the XML that it says, or is refused with a pointer to something that is there.
    #[test]
    fn json_becomes_what_it_says_or_is_refused(value in any_json()) {
        let json = value.to_string();
        match to_xml(&json, Target::Arguments, &ToXmlOptions::default()) {
            Ok(fragment) => {
                let document = format!("<r>{}</r>", fragment.as_str());
                let found = Element::parse(&document, &Limits::default()).unwrap();
                if !has_special_keys(&value) {
                    let mut wanted = Vec::new();
                    expected("r", &value, &mut wanted);
                    prop_assert_eq!(bare(&found), wanted.remove(0), "{}", json);
                }
            }
            Err(error) => {
                let parent = error.pointer.rsplit_once('/').map_or("", |(parent, _)| parent);
                let there = value.pointer(&error.pointer).is_some() || value.pointer(parent).is_some();
                prop_assert!(there, "{} in {}", error.pointer, json);
            }
        }
    }
}
