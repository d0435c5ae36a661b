//! Hand-written examples of every shape that replies come in.

mod configurations;
mod fields;

use super::*;
use crate::xml::{Limits, Source, Tokenizer};

const JUNOS: &str = "xmlns=\"urn:ietf:params:xml:ns:netconf:base:1.0\" xmlns:junos=\"http://xml.juniper.net/junos/21.4R1/junos\"";

/// Scans `xml` whole and cut after every byte, which must not make a difference.
fn scanned(xml: &str) -> ReplyScan {
    let source = Source::Memory(xml.as_bytes().to_vec().into());
    let whole = scan(&source, Limits::default()).expect("the example is well-formed");
    let mut scanner = ReplyScanner::new();
    let mut tokenizer = Tokenizer::new(Limits::default());
    for byte in xml.as_bytes().chunks(1) {
        tokenizer
            .push(byte, &mut scanner)
            .expect("the example is well-formed");
    }
    tokenizer
        .finish(&mut scanner)
        .expect("the example is well-formed");
    assert_eq!(scanner.finish(), whole);
    whole
}

fn reply(content: &str) -> ReplyScan {
    scanned(&format!(
        "<rpc-reply {JUNOS} message-id=\"7\">{content}</rpc-reply>"
    ))
}

fn texts(xml: &str) -> Vec<String> {
    let source = Source::Memory(xml.as_bytes().to_vec().into());
    let found = scan(&source, Limits::default()).expect("the example is well-formed");
    let read = |part| {
        let mut reader = TextReader::new(source.clone(), part, Limits::default());
        let mut out = Vec::new();
        while reader.fill(&mut out).expect("the source is in memory") {}
        String::from_utf8(out).expect("text is UTF-8")
    };
    found.texts.iter().map(read).collect()
}

/// M1: an error of one member, in a namespace or in none, and one that inherits a namespace of Juniper's YANG modules.
#[test]
fn errors_without_their_namespace_are_errors() {
    for content in [
        "<multi-routing-engine-results><multi-routing-engine-item><re-name>node1</re-name>\
         <error><message>no route</message></error></multi-routing-engine-item></multi-routing-engine-results>",
        "<multi-routing-engine-results xmlns=\"\"><multi-routing-engine-item><re-name>node1</re-name>\
         <error><message>no route</message></error></multi-routing-engine-item></multi-routing-engine-results>",
    ] {
        let found = reply(content);
        assert_eq!(found.errors.len(), 1, "{content}");
        assert_eq!(found.errors[0].error_message.as_deref(), Some("no route"));
        assert_eq!(found.errors[0].error_severity.as_deref(), Some("error"));
        assert_eq!(found.errors[0].member.as_deref(), Some("node1"));
        assert!(!found.has_payload);
    }
    let warned = reply(
        "<multi-routing-engine-results><multi-routing-engine-item><re-name>node1</re-name><warning><message>w</message>\
         </warning><a/></multi-routing-engine-item></multi-routing-engine-results>",
    );
    assert_eq!((warned.errors.len(), warned.warnings.len()), (0, 1));
    let inherited = reply(
        "<data><configuration xmlns=\"http://yang.juniper.net/junos/conf/root\"><rpc-error><error-message>x</error-message>\
         </rpc-error></configuration></data>",
    );
    assert_eq!(inherited.errors.len(), 1);
    assert_eq!(inherited.errors[0].error_message.as_deref(), Some("x"));
    // Data may have elements of that name.
    for content in [
        "<interface-information><error><message>7</message></error></interface-information>",
        "<error>7</error>",
        "<multi-routing-engine-results><multi-routing-engine-item><error xmlns=\"urn:data\"/></multi-routing-engine-item>\
         </multi-routing-engine-results>",
    ] {
        let found = reply(content);
        assert!(found.errors.is_empty() && found.has_payload, "{content}");
    }
}

/// S15: the classes.
#[test]
fn classes_are_told_apart() {
    for (content, class) in [
        ("", ReplyClass::Empty),
        ("<cli><banner/></cli>", ReplyClass::Empty),
        ("<ok/>", ReplyClass::Ok),
        ("<data/>", ReplyClass::Data),
        ("<data><configuration/></data>", ReplyClass::Data),
        ("<software-information/>", ReplyClass::Data),
        ("<output>x</output>", ReplyClass::Data),
        ("<end-session/>", ReplyClass::EndSession),
        (
            "<load-configuration-results><ok/></load-configuration-results>",
            ReplyClass::LoadConfigurationResults,
        ),
        ("<commit-results/>", ReplyClass::CommitResults),
        (
            "<routing-engine><name>re0</name><commit-check-success/></routing-engine><ok/>",
            ReplyClass::CommitResults,
        ),
        ("<rpc-error/>", ReplyClass::Errors),
        (
            "<rpc-error><error-severity>warning</error-severity></rpc-error><ok/>",
            ReplyClass::Ok,
        ),
    ] {
        assert_eq!(reply(content).class, class, "{content}");
    }
}

/// S8: message-id and the caller's attributes; S15: prefixes and the release.
#[test]
fn envelope_is_read() {
    let scan = scanned(
        "<nc:rpc-reply xmlns:nc=\"urn:ietf:params:xml:ns:netconf:base:1.0\" \
         xmlns:junos=\"http://xml.juniper.net/junos/21.4R1/junos\" message-id=\"7\" tag=\"a&lt;b\" junos:x=\"1\">\
         <x xmlns:y=\"urn:y\" xmlns:nc=\"urn:other\"/><nc:ok/></nc:rpc-reply>",
    );
    assert_eq!(
        (scan.root, scan.message_id.as_deref(), scan.ok),
        (Root::RpcReply, Some("7"), true)
    );
    assert_eq!(
        scan.attributes,
        [("tag".into(), "a<b".into()), ("junos:x".into(), "1".into())]
    );
    assert_eq!(
        scan.namespaces,
        [
            ("nc".into(), "urn:ietf:params:xml:ns:netconf:base:1.0".into()),
            ("junos".into(), "http://xml.juniper.net/junos/21.4R1/junos".into()),
            ("y".into(), "urn:y".into()),
        ]
    );
    assert_eq!(scan.junos_release(), Some("21.4R1"));
    assert_eq!(scanned("<rpc-reply><ok/></rpc-reply>").message_id, None);
    assert_eq!(scanned("<hello><capabilities/></hello>").root, Root::Hello);
    assert_eq!(
        scanned("<notification xmlns=\"urn:n\"><eventTime/></notification>").root,
        Root::Notification
    );
}

/// S18: xnm errors, in both ways of writing them; the name gives the severity.
#[test]
fn xnm_errors_are_read() {
    let scan = reply(
        "<commit-results><xnm:error xmlns=\"http://xml.juniper.net/xnm/1.1/xnm\" \
         xmlns:xnm=\"http://xml.juniper.net/xnm/1.1/xnm\"><parse/><source-daemon>dcd</source-daemon>\
         <edit-path>[edit interfaces ge-0/0/1]</edit-path><statement>unit 2</statement>\
         <message>Only unit 0 is valid</message><reason>because</reason></xnm:error></commit-results>\
         <warning xmlns=\"http://xml.juniper.net/xnm/1.1/xnm\"><message>\ncareful\n</message></warning>",
    );
    assert_eq!(
        scan.errors,
        [RpcError {
            error_severity: Some("error".into()),
            error_path: Some("[edit interfaces ge-0/0/1]".into()),
            error_message: Some("Only unit 0 is valid".into()),
            error_info: Some("<parse/><statement>unit 2</statement><reason>because</reason>".into()),
            bad_element: Some("unit 2".into()),
            source_daemon: Some("dcd".into()),
            ..RpcError::default()
        }]
    );
    assert_eq!(scan.warnings.len(), 1);
    assert_eq!(scan.warnings[0].error_message.as_deref(), Some("careful"));
}

/// S18: source-daemon in either place, bad-element without error-info, words in error-info.
#[test]
fn variants_of_junos_errors_are_read() {
    let scan = reply(
        "<rpc-error><source-daemon>mgd</source-daemon><bad-element>x</bad-element></rpc-error>\
         <rpc-error><error-info><source-daemon>rpd</source-daemon></error-info></rpc-error>\
         <rpc-error><error-info>session-id: 42</error-info></rpc-error><rpc-error/>",
    );
    let daemons: Vec<_> = scan
        .errors
        .iter()
        .map(|error| error.source_daemon.as_deref())
        .collect();
    assert_eq!(daemons, [Some("mgd"), Some("rpd"), None, None]);
    assert_eq!(scan.errors[0].bad_element.as_deref(), Some("x"));
    assert_eq!(scan.errors[2].error_info.as_deref(), Some("session-id: 42"));
    assert_eq!(scan.errors[3], RpcError::default());
}

/// M1: an error anywhere in the tree, even beside ok; a warning is none; an unknown severity is one.
#[test]
fn errors_are_found_at_any_depth() {
    for (content, errors, warnings) in [
        (
            "<ok/><rpc-error><error-severity>error</error-severity></rpc-error>",
            1,
            0,
        ),
        (
            "<rpc-error><error-severity>warning</error-severity></rpc-error><ok/>",
            0,
            1,
        ),
        (
            "<rpc-error><error-severity>\nwarning\n</error-severity></rpc-error>",
            0,
            1,
        ),
        (
            "<rpc-error><error-severity>notice</error-severity></rpc-error>",
            1,
            0,
        ),
        (
            "<load-configuration-results><rpc-error/><ok/></load-configuration-results>",
            1,
            0,
        ),
        (
            "<a xmlns=\"http://xml.juniper.net/junos/21.4R1/junos-x\"><b><c><rpc-error/></c></b></a>",
            1,
            0,
        ),
        ("<a xmlns=\"\"><b><rpc-error/></b><rpc-error/></a>", 2, 0),
        ("<a xmlns=\"urn:vendor\"><rpc-error/></a>", 0, 0),
        ("<v:rpc-error xmlns:v=\"urn:vendor\"/>", 0, 0),
        ("<error>not Junos's</error>", 0, 0),
    ] {
        let scan = reply(content);
        assert_eq!(
            (scan.errors.len(), scan.warnings.len()),
            (errors, warnings),
            "{content}"
        );
        assert_eq!(scan.is_error(), errors > 0);
    }
    let other = reply("<rpc-error xmlns:v=\"urn:v\"><v:error-tag>x</v:error-tag></rpc-error>");
    assert_eq!(
        other.errors[0].error_tag, None,
        "a child of another namespace is no field"
    );
}

/// S15: old releases only count load errors.
#[test]
fn counted_load_errors_are_errors() {
    let counted = reply(
        "<load-configuration-results><load-error-count>3</load-error-count></load-configuration-results>",
    );
    assert!(counted.is_error());
    assert_eq!(
        counted.errors[0].error_info.as_deref(),
        Some("<load-error-count>3</load-error-count>")
    );
    let none = "<load-configuration-results><load-success/><load-error-count>0</load-error-count></load-configuration-results>";
    assert!(!reply(none).is_error());
    let described = "<load-configuration-results><load-error-count>1</load-error-count><rpc-error/></load-configuration-results>";
    assert_eq!(reply(described).errors, [RpcError::default()]);
}

/// S18, S19: members are judged one by one; one that could not be reached is named in words only.
#[test]
fn members_are_told_apart() {
    let scan = reply(
        "<rpc-error><error-message>\nCould not connect to re0 : No route to host\n</error-message></rpc-error>\
         <multi-routing-engine-results><multi-routing-engine-item><re-name>re1</re-name>\
         <software-information xmlns=\"http://xml.juniper.net/junos/21.4R1/junos\"><x/></software-information>\
         </multi-routing-engine-item><multi-routing-engine-item><rpc-error/><re-name>re2</re-name><rpc-error/>\
         </multi-routing-engine-item></multi-routing-engine-results>",
    );
    let names: Vec<_> = scan.errors.iter().map(|error| error.member.as_deref()).collect();
    assert_eq!(names, [Some("re0"), Some("re2"), Some("re2")]);
    assert!(scan.is_partial());
    assert_eq!(
        scan.members,
        [
            Member {
                name: Some("re1".into()),
                succeeded: false,
                has_payload: true,
                errors: 0
            },
            Member {
                name: Some("re2".into()),
                succeeded: false,
                has_payload: false,
                errors: 2
            },
        ]
    );
}

/// M1: commit results by routing engine, with their errors and success.
#[test]
fn commit_results_are_read() {
    let scan = reply(
        "<commit-results><rpc-error><error-severity>warning</error-severity></rpc-error>\
         <routing-engine junos:style=\"normal\"><name>node0</name><commit-success/></routing-engine>\
         <routing-engine><name>node1</name><rpc-error><error-message>no</error-message></rpc-error></routing-engine>\
         </commit-results>",
    );
    assert_eq!(scan.class, ReplyClass::CommitResults);
    assert_eq!(scan.errors[0].member.as_deref(), Some("node1"));
    assert_eq!(scan.warnings[0].member, None);
    let members: Vec<_> = scan
        .members
        .iter()
        .map(|m| (m.name.as_deref(), m.succeeded, m.errors))
        .collect();
    assert_eq!(members, [(Some("node0"), true, 0), (Some("node1"), false, 1)]);
    assert!(!scan.has_payload);
    let data = reply(
        "<configuration><chassis><routing-engine><name>x</name></routing-engine></chassis></configuration>",
    );
    assert_eq!((data.class, data.members.len()), (ReplyClass::Data, 0));
}

/// S19: what came before an error is payload; results, errors and the banner are not.
#[test]
fn payload_is_noticed() {
    for (content, payload) in [
        ("<ok/>", false),
        ("<cli><banner>[edit]</banner></cli>", false),
        ("<cli>\n<banner/>\n</cli>", false),
        ("<cli><working-directory>/var/tmp</working-directory></cli>", true),
        ("<cli><banner/>text</cli>", true),
        ("<rpc-error><error-info><x/></error-info></rpc-error>", false),
        ("<multi-routing-engine-results/>", false),
        ("<data/>", false),
        ("<data><x xmlns=\"urn:x\"/></data>", true),
        ("<x/>", true),
        ("<output/>", true),
        ("{}", true),
    ] {
        assert_eq!(reply(content).has_payload, payload, "{content}");
    }
    assert_eq!(
        reply("<x/><cli><banner>\n[edit]\n</banner></cli>")
            .banner
            .as_deref(),
        Some("[edit]")
    );
    assert_eq!(reply("<x/><cli><banner></banner></cli>").banner, None);
}

/// S17: where the text of a reply lies, and what it is.
#[test]
fn text_payloads_are_located_and_read() {
    for (content, kind, text) in [
        (
            "<output>\n  Index\n    1   a &lt; b\n</output>",
            TextKind::Output,
            "  Index\n    1   a < b",
        ),
        (
            "<output>a<![CDATA[<b>]]>&#10;c</output>",
            TextKind::Output,
            "a<b>\nc",
        ),
        ("<output/>", TextKind::Output, ""),
        ("<output>\n</output>", TextKind::Output, ""),
        ("<output>\n\n\n</output>", TextKind::Output, "\n"),
        (
            "<configuration-text>\nsystem {\n}\n</configuration-text>",
            TextKind::ConfigurationText,
            "system {\n}",
        ),
        (
            "<configuration-set>\nset a &amp; b\n</configuration-set>",
            TextKind::ConfigurationSet,
            "set a & b",
        ),
        (
            "<configuration-json>{\"a\":\"\\n\"}</configuration-json>",
            TextKind::ConfigurationJson,
            "{\"a\":\"\\n\"}",
        ),
        (
            "<configuration-information><configuration-output>\n[edit]\n+ a;\n</configuration-output></configuration-information>",
            TextKind::ConfigurationOutput,
            "[edit]\n+ a;",
        ),
        (
            "<rollback-information><ok/><configuration-information><configuration-output>x</configuration-output>\
             </configuration-information></rollback-information>",
            TextKind::ConfigurationOutput,
            "x",
        ),
        (
            "<data xmlns=\"urn:ietf:params:xml:ns:yang:ietf-netconf-monitoring\">module a { }</data>",
            TextKind::Schema,
            "module a { }",
        ),
        ("\n{\n \"a\" : 1\n}\n", TextKind::Bare, "{\n \"a\" : 1\n}"),
    ] {
        let xml = format!("<rpc-reply {JUNOS}>{content}</rpc-reply>");
        let scan = scanned(&xml);
        assert_eq!(scan.texts.len(), 1, "{content}");
        assert_eq!(scan.texts[0].kind, kind, "{content}");
        assert_eq!(texts(&xml), [text], "{content}");
        assert_eq!(scan.class, ReplyClass::Data, "{content}");
    }
    assert_eq!(reply("<output>a<b/></output>").texts, []);
    assert_eq!(reply("<x>text</x>").texts, []);
}

/// S17: each member's text, with its name.
#[test]
fn texts_of_members_are_told_apart() {
    let xml = "<rpc-reply><multi-routing-engine-results><multi-routing-engine-item><re-name>node0</re-name>\
        <output>\none\n</output></multi-routing-engine-item><multi-routing-engine-item><re-name>node1</re-name>\
        {\"two\":2}</multi-routing-engine-item></multi-routing-engine-results></rpc-reply>";
    let scan = scanned(xml);
    let parts: Vec<_> = scan
        .texts
        .iter()
        .map(|part| (part.kind, part.member.as_deref()))
        .collect();
    assert_eq!(
        parts,
        [(TextKind::Output, Some("node0")), (TextKind::Bare, Some("node1"))]
    );
    assert_eq!(texts(xml), ["one", "{\"two\":2}"]);
    assert!(scan.members.iter().all(|member| member.has_payload));
}

/// S17, S19: a text is the data if it is all there is, and one member's at most.
#[test]
fn text_is_all_of_the_data_or_one_part_of_it() {
    let item = |name: &str, content: &str| {
        format!("<multi-routing-engine-item><re-name>{name}</re-name>{content}</multi-routing-engine-item>")
    };
    let members =
        |items: &str| format!("<multi-routing-engine-results>{items}</multi-routing-engine-results>");
    for (content, sole) in [
        ("<output>a</output>".to_owned(), true),
        (
            "<ok/><output>a</output><cli><banner>{master}</banner></cli>".to_owned(),
            true,
        ),
        (
            "<output>a</output><rpc-error><error-message>b</error-message></rpc-error>".to_owned(),
            true,
        ),
        (members(&item("a", "<output>1</output>")), true),
        ("<output>a</output><x>1</x>".to_owned(), false),
        ("<v:x xmlns:v=\"urn:v\"/><output>a</output>".to_owned(), false),
        ("text<a>1</a>more".to_owned(), false),
        ("<output>a</output><output>b<c/></output>".to_owned(), false),
        ("<output>a</output><output>b</output>".to_owned(), false),
        ("<output>a<b/></output>".to_owned(), false),
        (
            members(&(item("a", "<output>1</output>") + &item("b", "<x>2</x>"))),
            false,
        ),
        (
            members(&(item("a", "<output>1</output>") + &item("b", "<rpc-error/>"))),
            false,
        ),
        (String::new(), false),
    ] {
        assert_eq!(reply(&content).sole_text().is_some(), sole, "{content}");
    }
}

/// S17: a long text comes in slices.
#[test]
fn long_texts_come_in_slices() {
    let line = "set interfaces ge-0/0/0 description \"ü &amp; more\"\n";
    let xml = format!(
        "<rpc-reply><configuration-set>\n{}</configuration-set></rpc-reply>",
        line.repeat(20_000)
    );
    let source = Source::Memory(xml.clone().into_bytes().into());
    let part = &scan(&source, Limits::default()).expect("well-formed").texts[0].clone();
    let mut reader = TextReader::new(source, part, Limits::default());
    let (mut all, mut slices) = (Vec::new(), 0);
    loop {
        let mut slice = Vec::new();
        let more = reader.fill(&mut slice).expect("the source is in memory");
        slices += 1;
        assert!(slice.len() < 256 << 10 && std::str::from_utf8(&slice).is_ok());
        all.extend_from_slice(&slice);
        if !more {
            break;
        }
    }
    assert!(slices > 5);
    let expected = line.replace("&amp;", "&").repeat(20_000);
    assert_eq!(all, expected.trim_end_matches('\n').as_bytes());
}

/// X3: errors are bounded in number and in size.
#[test]
fn errors_are_bounded() {
    let scan = reply(&"<rpc-error><error-tag>x</error-tag></rpc-error>".repeat(MAX_ERRORS + 5));
    assert_eq!((scan.errors.len(), scan.more_errors), (MAX_ERRORS, 5));
    let totals = Totals {
        errors: 1005,
        warnings: 0,
    };
    assert_eq!(scan.totals_if_cut(), Some(totals));
    assert_eq!(reply("<rpc-error/>").totals_if_cut(), None);
    let long = "é".repeat(100_000);
    let source = format!(
        "<rpc-reply><rpc-error><error-message>{long}</error-message><error-info><a>{long}</a></error-info></rpc-error></rpc-reply>"
    );
    let source = Source::Memory(source.into_bytes().into());
    let scan = super::scan(&source, Limits::default()).expect("well-formed");
    assert!(scan.truncated && scan.totals_if_cut().is_some());
    assert_eq!(
        scan.errors[0].error_message.as_ref().map(String::len),
        Some(65_536)
    );
    assert_eq!(scan.errors[0].error_info, None, "half an element is of no use");
}

/// Recorded payloads without their envelope.
#[test]
fn bare_documents_are_scanned() {
    let scan = scanned("<rpc-error><error-message>permission denied</error-message></rpc-error>");
    assert_eq!(
        (scan.root, scan.errors.len(), scan.class),
        (Root::Other, 1, ReplyClass::Errors)
    );
    let scan = scanned("<software-information><host-name>r1</host-name></software-information>");
    assert_eq!((scan.root, scan.class), (Root::Other, ReplyClass::Data));
    assert_eq!(scanned("<multi-routing-engine-results><multi-routing-engine-item><re-name>a</re-name><x/></multi-routing-engine-item></multi-routing-engine-results>").members.len(), 1);
}
