//! What the tokenizer hands out and what it refuses.

use super::*;
use crate::xml::XmlErrorKind as Kind;

/// Events as text, neighbouring pieces of text joined.
#[derive(Default)]
struct Log {
    lines: Vec<String>,
    text: String,
}

impl Log {
    fn flush(&mut self) {
        if !self.text.is_empty() {
            let text = std::mem::take(&mut self.text);
            self.lines.push(format!("text {text:?}"));
        }
    }
}

impl Handler for Log {
    type Error = XmlError;

    fn event(&mut self, event: Event<'_>) -> Result<(), XmlError> {
        if let Event::Text(text) = event {
            assert!(!text.is_empty());
            self.text.push_str(text);
            return Ok(());
        }
        self.flush();
        self.lines.push(match event {
            Event::Start(start) => {
                let mut line = format!(
                    "{} {}",
                    if start.self_closing() { "empty" } else { "start" },
                    start.name()
                );
                if let Some(ns) = start.ns() {
                    line += &format!(" {{{ns}}}");
                }
                for d in start.declarations() {
                    line += &format!(" xmlns:{}={}", d.prefix.unwrap_or_default(), d.uri);
                }
                for a in start.attributes() {
                    line += &format!(" {}:{}={:?}", a.ns.unwrap_or_default(), a.local, a.value);
                }
                format!("{line} {}..{}", start.offset(), start.end_offset())
            }
            Event::End { start, offset } => format!("end {start}..{offset}"),
            Event::Comment(text) => format!("comment {text:?}"),
            Event::Text(_) => String::new(),
        });
        Ok(())
    }
}

fn read(pieces: &[&[u8]], tokenizer: Tokenizer) -> (Vec<String>, Result<(), XmlError>) {
    let mut log = Log::default();
    let mut tokenizer = tokenizer;
    let mut result = Ok(());
    for piece in pieces {
        result = result.and_then(|()| tokenizer.push(piece, &mut log));
    }
    result = result.and_then(|()| tokenizer.finish(&mut log));
    log.flush();
    (log.lines, result)
}

fn events(text: &str) -> Vec<String> {
    let (lines, result) = read(&[text.as_bytes()], Tokenizer::new(Limits::default()));
    assert_eq!(result, Ok(()), "{text}");
    lines
}

fn refusal(text: &[u8]) -> (Kind, u64) {
    refusal_by(text, || Tokenizer::new(Limits::default()))
}

fn refusal_by(text: &[u8], tokenizer: impl Fn() -> Tokenizer) -> (Kind, u64) {
    let whole = read(&[text], tokenizer());
    for cut in 0..=text.len() {
        let cut_up = read(&[&text[..cut], &text[cut..]], tokenizer());
        assert_eq!(
            cut_up,
            whole,
            "cut at {cut} of {:?}",
            String::from_utf8_lossy(text)
        );
    }
    let error = whole.1.expect_err(&String::from_utf8_lossy(text));
    (error.kind, error.offset)
}

#[test]
fn tags_text_and_offsets() {
    assert_eq!(
        events("<a><b x='1'/>t &amp; u<c></c></a>"),
        [
            "start a 0..3",
            "empty b :x=\"1\" 3..13",
            "end 13..13",
            "text \"t & u\"",
            "start c 22..25",
            "end 25..29",
            "end 29..33"
        ]
    );
}

#[test]
fn names_are_resolved_with_declarations_in_scope() {
    assert_eq!(
        events("<a xmlns='urn:a' xmlns:p='urn:p'><p:b p:x='1' y='2'/><c xmlns=''/><d/></a>"),
        [
            "start a {urn:a} xmlns:=urn:a xmlns:p=urn:p 0..33",
            "empty p:b {urn:p} urn:p:x=\"1\" :y=\"2\" 33..53",
            "end 53..53",
            "empty c xmlns:= 53..66",
            "end 66..66",
            "empty d {urn:a} 66..70",
            "end 70..70",
            "end 70..74",
        ]
    );
    assert_eq!(
        events("<a xml:lang='en'/>")[0],
        "empty a http://www.w3.org/XML/1998/namespace:lang=\"en\" 0..18"
    );
}

#[test]
fn text_is_decoded_across_cdata_references_and_line_ends() {
    assert_eq!(
        events("<a>1<![CDATA[<&]]]]><![CDATA[>2]]>&#x33;\r\n\r4]]&gt;</a>")[1],
        "text \"1<&]]>23\\n\\n4]]>\""
    );
    assert_eq!(
        events("<a x='1\t2\n3\r\n4&#10;5&lt;\"'/>")[0],
        "empty a :x=\"1 2 3 4\\n5<\\\"\" 0..28"
    );
}

#[test]
fn prolog_comments_declaration_and_byte_order_mark_are_fine() {
    assert_eq!(
        events("\u{FEFF}<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!-- c -->\n<a/>\n<!-- d -->\n"),
        [
            "comment \" c \"",
            "empty a 53..57",
            "end 57..57",
            "comment \" d \""
        ]
    );
}

/// XML 1.0 section 2.8: version, maybe encoding, maybe standalone, in this order.
#[test]
fn the_xml_declaration_follows_its_grammar() {
    let verdict = |inside: &str| {
        read(
            &[format!("<?xml{inside}?><a/>").as_bytes()],
            Tokenizer::new(Limits::default()),
        )
        .1
    };
    for good in [
        " version='1.0'",
        "\n version = \"1.1\" \t",
        " version=\"1.0\" encoding='UTF-8'",
        " version=\"1.0\" encoding='iso-8859-1' standalone='no' ",
        " version=\"1.0\" standalone=\"yes\"",
    ] {
        assert_eq!(verdict(good), Ok(()), "{good}");
    }
    for bad in [
        "",
        " ",
        " version",
        " version=",
        " version=1.0",
        " version='1.0\"",
        " version='2.0'",
        " version='1.'",
        " version='1.0a'",
        "version='1.0'",
        " encoding='UTF-8'",
        " version='1.0'encoding='UTF-8'",
        " encoding='UTF-8' version='1.0'",
        " version='1.0' encoding=''",
        " version='1.0' encoding='8'",
        " version='1.0' encoding='a b'",
        " version='1.0' standalone='maybe'",
        " version='1.0' standalone='no' encoding='UTF-8'",
        " version='1.0' version='1.0'",
        " version='1.0' bogus='x'",
        " version='1.0' x",
    ] {
        let refused = verdict(bad).expect_err(bad);
        assert_eq!(refused.kind, XmlErrorKind::ProcessingInstruction, "{bad}");
    }
}

/// X3: a byte that was no text is repaired in text, not in a name.
#[test]
fn what_stands_for_bad_bytes_is_no_name() {
    let verdict = |text: &str| read(&[text.as_bytes()], Tokenizer::new(Limits::default())).1;
    assert_eq!(verdict("<a b='\u{FFFD}'>\u{FFFD}</a>"), Ok(()));
    for bad in [
        "<in\u{FFFD}t/>",
        "<a \u{FFFD}b='1'/>",
        "<a></a\u{FFFD}>",
        "<a><?\u{FFFD}?></a>",
    ] {
        assert!(verdict(bad).is_err(), "{bad}");
    }
}

/// Every cut of a document with everything in it gives the same events.
#[test]
fn cuts_change_nothing() {
    let text = "\u{FEFF}<?xml version='1.0'?><!--\u{e9}--><r xmlns:é='u'>\r\n<é:b c='&lt;>\u{20ac}\r\n'  />]]\u{ff0d}&#128512;\
                <![CDATA[]]]\r\u{efff}]]><!-- - --></r \n>\n";
    let bytes = text.as_bytes();
    let whole = read(&[bytes], Tokenizer::new(Limits::default()));
    assert_eq!(whole.1, Ok(()));
    for first in 0..=bytes.len() {
        for second in first..=bytes.len() {
            let pieces = [&bytes[..first], &bytes[first..second], &bytes[second..]];
            assert_eq!(
                read(&pieces, Tokenizer::new(Limits::default())),
                whole,
                "{first} {second}"
            );
        }
    }
    let single: Vec<&[u8]> = bytes.chunks(1).collect();
    assert_eq!(read(&single, Tokenizer::new(Limits::default())), whole);
}

/// The well-formedness rules that a tolerant reader lets pass; each must be seen under every cut.
#[test]
fn what_is_not_well_formed_is_refused() {
    for (text, kind, offset) in [
        ("", Kind::NoRoot, 0),
        ("  \n", Kind::NoRoot, 3),
        ("<a>", Kind::Unclosed("a".into()), 3),
        ("<a><b></b>", Kind::Unclosed("a".into()), 10),
        ("<a", Kind::UnexpectedEnd, 2),
        ("<a>text", Kind::Unclosed("a".into()), 7),
        ("<a/><b/>", Kind::SecondRoot, 4),
        ("<a/>x", Kind::TextOutsideRoot, 4),
        ("x<a/>", Kind::TextOutsideRoot, 0),
        ("<a/>]]>]]>", Kind::TextOutsideRoot, 4),
        ("<a/>&#32;", Kind::TextOutsideRoot, 4),
        ("<a/><![CDATA[ ]]>", Kind::TextOutsideRoot, 4),
        (
            "<a></b>",
            Kind::MismatchedEnd {
                expected: "a".into(),
                found: "b".into(),
            },
            3,
        ),
        (
            "<a></ab>",
            Kind::MismatchedEnd {
                expected: "a".into(),
                found: "ab".into(),
            },
            3,
        ),
        ("</a>", Kind::UnopenedEnd("a".into()), 0),
        ("<a/></a>", Kind::UnopenedEnd("a".into()), 4),
        ("<1a/>", Kind::BadName, 1),
        ("< a/>", Kind::BadName, 1),
        ("<a:b:c/>", Kind::BadName, 4),
        ("<a 1='x'/>", Kind::BadName, 3),
        ("<\u{d7}/>", Kind::BadName, 1),
        ("<a b/>", Kind::BadTag, 4),
        ("<a b=c/>", Kind::BadTag, 5),
        ("<a b='1'c='2'/>", Kind::BadTag, 8),
        ("<a b='<'/>", Kind::BadTag, 6),
        ("<a / >", Kind::BadTag, 3),
        ("<a></a b='1'>", Kind::BadTag, 7),
        ("<a b='1' b='1'/>", Kind::DuplicateAttribute("b".into()), 9),
        (
            "<a xmlns='u' xmlns='u'/>",
            Kind::DuplicateAttribute("xmlns".into()),
            13,
        ),
        (
            "<a xmlns:p='u' xmlns:q='u' p:x='1' q:x='1'/>",
            Kind::DuplicateAttribute("q:x".into()),
            0,
        ),
        ("<a:b/>", Kind::UndeclaredPrefix("a".into()), 0),
        ("<b a:c='1'/>", Kind::UndeclaredPrefix("a".into()), 0),
        (
            "<a><p:b xmlns:p='u'/><p:c/></a>",
            Kind::UndeclaredPrefix("p".into()),
            21,
        ),
        ("<a xmlns:p=''/>", Kind::BadDeclaration, 0),
        ("<a>&nbsp;</a>", Kind::BadReference, 3),
        ("<a>&</a>", Kind::BadReference, 3),
        ("<a>&#0;</a>", Kind::BadReference, 3),
        ("<a b='&x;'/>", Kind::BadReference, 6),
        ("<!DOCTYPE a><a/>", Kind::Doctype, 0),
        ("<!DOCTYPE a [<!ENTITY b \"c\">]><a>&b;</a>", Kind::Doctype, 0),
        ("<a><!ELEMENT b></a>", Kind::BadComment, 3),
        ("<a><?xml version='1.0'?></a>", Kind::ProcessingInstruction, 3),
        ("<a><?XML c?></a>", Kind::ProcessingInstruction, 3),
        ("<a><? c?></a>", Kind::ProcessingInstruction, 3),
        ("<a><?c \u{1}?></a>", Kind::BadCharacter, 7),
        ("<a><?c ></a>", Kind::UnexpectedEnd, 12),
        (" <?xml version='1.0'?><a/>", Kind::ProcessingInstruction, 1),
        ("<?xml encoding='x'?><a/>", Kind::ProcessingInstruction, 0),
        ("<a>]]></a>", Kind::CdataEndInText, 3),
        ("<a><!-- -- --></a>", Kind::BadComment, 8),
        ("<a><!-- ---></a>", Kind::BadComment, 8),
        ("<a>\u{1}</a>", Kind::BadCharacter, 3),
        ("<a>x\u{1b}[0m</a>", Kind::BadCharacter, 4),
        ("<a>\u{ffff}</a>", Kind::BadCharacter, 3),
        ("<a b='\u{2}'/>", Kind::BadCharacter, 6),
        ("<a><!--\u{3}--></a>", Kind::BadCharacter, 7),
        ("<a><![CDATA[\u{fffe}]]></a>", Kind::BadCharacter, 12),
        ("<a><![CDATA[x</a>", Kind::UnexpectedEnd, 17),
        ("<a><!-- x</a>", Kind::UnexpectedEnd, 13),
        ("<a>&am", Kind::UnexpectedEnd, 6),
    ] {
        assert_eq!(refusal(text.as_bytes()), (kind, offset), "{text}");
    }
    assert_eq!(refusal(b"<a>\xff</a>"), (Kind::InvalidUtf8, 3));
    assert_eq!(refusal(b"<a>\xe2\x82</a>"), (Kind::InvalidUtf8, 3));
    assert_eq!(refusal(b"<a b='\xff'/>"), (Kind::InvalidUtf8, 6));
    assert_eq!(refusal(b"<a><!--\xff--></a>"), (Kind::InvalidUtf8, 7));
    assert_eq!(refusal(b"<a><![CDATA[\xc3]]></a>"), (Kind::InvalidUtf8, 12));
}

/// N10: a device's processing instructions are dropped. X2: a caller's are refused.
#[test]
fn processing_instructions_are_dropped_or_refused() {
    let text = "<?xml version='1.0'?><?p?><a>1<?q > <b>?>2</a><?r s?>";
    let lines = events(text);
    assert_eq!(lines, ["start a 26..29", "text \"12\"", "end 42..46"]);
    let strict = || Tokenizer::new(Limits::default()).refuse_instructions();
    assert_eq!(
        refusal_by(text.as_bytes(), strict),
        (Kind::ProcessingInstruction, 21)
    );
    assert_eq!(refusal_by(b"<?p?><a/>", strict), (Kind::ProcessingInstruction, 0));
    assert_eq!(read(&[b"<?xml version='1.0'?><a/>"], strict()).1, Ok(()));
}

/// N8: what `convert` accepts.
#[test]
fn undeclared_prefixes_can_be_accepted() {
    let (lines, result) = read(
        &[b"<a junos:b='1' x:c='2'/>"],
        Tokenizer::new(Limits::default()).lenient_prefixes(),
    );
    assert_eq!(result, Ok(()));
    assert_eq!(
        lines[0],
        "empty a http://xml.juniper.net/junos/*/junos:b=\"1\" urn:ncgate:prefix:x:c=\"2\" 0..24"
    );
}

fn limited(text: &str, limits: Limits) -> Result<(), Kind> {
    let whole = read(&[text.as_bytes()], Tokenizer::new(limits));
    let single: Vec<&[u8]> = text.as_bytes().chunks(1).collect();
    assert_eq!(read(&single, Tokenizer::new(limits)).1, whole.1);
    whole.1.map_err(|error| error.kind)
}

/// N11, X3: over a limit is an error, at it is not.
#[test]
fn limits_hold() {
    let limits = Limits::default();
    let nested = |depth: usize| format!("{}{}", "<a>".repeat(depth), "</a>".repeat(depth));
    assert_eq!(limited(&nested(100), limits), Ok(()));
    assert_eq!(limited(&nested(101), limits), Err(Kind::TooDeep(100)));

    let attributes = |count: usize| {
        format!(
            "<a{}/>",
            (0..count).map(|n| format!(" x{n}=''")).collect::<String>()
        )
    };
    assert_eq!(limited(&attributes(256), limits), Ok(()));
    assert_eq!(
        limited(&attributes(257), limits),
        Err(Kind::TooManyAttributes(256))
    );

    assert_eq!(limited(&format!("<{}/>", "n".repeat(1024)), limits), Ok(()));
    assert_eq!(
        limited(&format!("<{}/>", "n".repeat(1025)), limits),
        Err(Kind::NameTooLong(1024))
    );

    let small = Limits {
        token_bytes: 20,
        namespaces: 1,
        ..limits
    };
    assert_eq!(limited("<a x='67890123456'/>", small), Ok(()));
    assert_eq!(
        limited("<a x='678901234567'/>", small),
        Err(Kind::TokenTooLong(20))
    );
    assert_eq!(limited("<a><!--5678901234567--></a>", small), Ok(()));
    assert_eq!(
        limited("<a><!--56789012345678--></a>", small),
        Err(Kind::TokenTooLong(20))
    );
    assert_eq!(limited(&format!("<a>{}</a>", "t".repeat(100)), small), Ok(()));
    assert_eq!(
        limited(&format!("<a><![CDATA[{}]]></a>", "t".repeat(100)), small),
        Ok(())
    );
    assert_eq!(limited("<a><b xmlns='u'/></a>", small), Ok(()));
    assert_eq!(
        limited("<a><b xmlns='u'/><b xmlns='v'/></a>", small),
        Err(Kind::TooManyNamespaces(1))
    );
}

/// Q8: a long text costs no memory; only an incomplete token is kept.
#[test]
fn text_is_not_collected() {
    struct Count(usize);
    impl Handler for Count {
        type Error = XmlError;
        fn event(&mut self, event: Event<'_>) -> Result<(), XmlError> {
            if let Event::Text(text) = event {
                self.0 += text.len();
            }
            Ok(())
        }
    }
    let mut count = Count(0);
    let mut tokenizer = Tokenizer::new(Limits::default());
    tokenizer.push(b"<a>", &mut count).unwrap();
    for _ in 0..1000 {
        tokenizer.push(&[b'x'; 1000], &mut count).unwrap();
        assert_eq!(tokenizer.rest.len(), 0);
    }
    tokenizer.push(b"<![CDATA[", &mut count).unwrap();
    for _ in 0..1000 {
        tokenizer.push(&[b']'; 1000], &mut count).unwrap();
        assert!(tokenizer.rest.len() <= 2 && tokenizer.rest.capacity() < 10_000);
    }
    tokenizer.push(b"]]></a>", &mut count).unwrap();
    tokenizer.finish(&mut count).unwrap();
    assert_eq!(count.0, 2_000_000);
}

#[test]
fn a_refusal_is_final() {
    let mut log = Log::default();
    let mut tokenizer = Tokenizer::new(Limits::default());
    let first = tokenizer.push(b"<a>&x;", &mut log).unwrap_err();
    assert_eq!(tokenizer.push(b"</a>", &mut log), Err(first.clone()));
    assert_eq!(tokenizer.finish(&mut log), Err(first));
}

#[test]
fn a_stored_file_reads_like_memory() {
    use std::io::Write;
    let text = format!("<a>{}</a>", "<b>x</b>".repeat(100_000));
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    let spooled = Source::File {
        file: std::sync::Arc::new(file),
        len: text.len() as u64,
    };
    let mut logs = [Log::default(), Log::default()];
    parse_source(&spooled, Limits::default(), &mut logs[0]).unwrap();
    parse_source(&Source::from(text), Limits::default(), &mut logs[1]).unwrap();
    assert_eq!(logs[0].lines, logs[1].lines);
    assert_eq!(logs[0].lines.len(), 300_002);
}
