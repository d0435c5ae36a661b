//! The NETCONF codec against recorded replies, hellos and errors, where a collection of them is at hand
//! (`NCGATE_TEST_CORPUS`, or `../shared/corpus` beside the project).

use std::fs;
use std::path::{Path, PathBuf};

use ncgate::netconf::framing::{Decoder, Frame, Framing};
use ncgate::netconf::hello::{HelloError, HelloReader, ServerHello};
use ncgate::netconf::junos::SoftwareInformation;
use ncgate::netconf::reply::{ReplyClass, ReplyScan, Root, scan};
use ncgate::netconf::rpc_error::RpcError;
use ncgate::xml::tree::Element;
use ncgate::xml::{Limits, NETCONF_BASE_NS, Sanitizer, Source, XmlErrorKind, close_routing_engine};

const XNM_NS: &str = "http://xml.juniper.net/xnm/1.1/xnm";

/// The collection, or a word on its absence.
fn corpus() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus");
    let path = std::env::var_os("NCGATE_TEST_CORPUS").map_or(beside, PathBuf::from);
    if path.is_dir() {
        return Some(path);
    }
    eprintln!(
        "note: corpus absent: no recorded replies at {} (set NCGATE_TEST_CORPUS)",
        path.display()
    );
    None
}

/// Every recorded XML document that claims to be well-formed, with its name.
fn documents(corpus: &Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for folder in fs::read_dir(corpus.join("replies")).expect("replies are there") {
        let folder = folder.expect("a readable entry").path();
        if folder.ends_with("malformed") {
            continue;
        }
        for file in fs::read_dir(&folder).expect("a readable folder") {
            let file = file.expect("a readable entry").path();
            if file.extension().is_some_and(|extension| extension == "xml") {
                let bytes = fs::read(&file).expect("a readable file");
                found.push((file.display().to_string(), sanitized(&bytes)));
            }
        }
    }
    // Some recordings have the unclosed routing-engine; nothing else may be wrong with any.
    for (name, text) in &mut found {
        if let Err(error) = Element::parse(text, &Limits::default()) {
            *text = close_routing_engine(text).unwrap_or_else(|| panic!("{name}: {error}"));
        }
    }
    assert!(
        found.len() > 300,
        "the collection is not complete: {} documents",
        found.len()
    );
    found
}

fn sanitized(bytes: &[u8]) -> String {
    let (mut sanitizer, mut out) = (Sanitizer::new(), Vec::new());
    sanitizer.push(bytes, &mut out);
    sanitizer.finish(&mut out);
    String::from_utf8(out).expect("the sanitizer gives UTF-8")
}

fn memory(text: &str) -> Source {
    Source::Memory(text.as_bytes().to_vec().into())
}

fn scanned(text: &str) -> ReplyScan {
    scan(&memory(text), Limits::default()).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// Whether an element is NETCONF's own, Juniper's, or in no namespace.
fn known(element: &Element) -> bool {
    element
        .ns
        .as_deref()
        .is_none_or(|ns| ns == NETCONF_BASE_NS || ns.starts_with("http://xml.juniper.net/"))
}

/// The text of the first child of one of these names.
fn text_of(element: &Element, names: &[&str]) -> Option<String> {
    let child = |name: &&str| {
        element
            .children()
            .find(|child| child.local == *name && known(child))
    };
    names
        .iter()
        .find_map(child)
        .map(Element::text)
        .filter(|text| !text.is_empty())
}

/// The errors of a document by a second way: its tree, in document order.
fn errors_of(element: &Element, found: &mut Vec<RpcError>) {
    let xnm = element.ns.as_deref() == Some(XNM_NS) && matches!(element.local.as_str(), "error" | "warning");
    if xnm || (known(element) && element.local == "rpc-error") {
        let text = |names: &[&str]| text_of(element, names);
        let inside = |name| text_of(element.child("error-info")?, &[name]);
        found.push(RpcError {
            error_type: text(&["error-type"]),
            error_tag: text(&["error-tag"]),
            error_severity: text(&["error-severity"]).or_else(|| xnm.then(|| element.local.clone())),
            error_app_tag: text(&["error-app-tag"]),
            error_path: text(&["error-path", "edit-path"]),
            error_message: text(&["error-message", "message"]),
            bad_element: text(&["bad-element", "statement"]).or_else(|| inside("bad-element")),
            source_daemon: text(&["source-daemon"]).or_else(|| inside("source-daemon")),
            ..RpcError::default()
        });
        return;
    }
    for child in element.children() {
        errors_of(child, found);
    }
}

/// S18, M1: every error of every recorded reply is found with its fields, and nothing else is one.
#[test]
fn errors_of_recorded_replies_are_found() {
    let Some(corpus) = corpus() else { return };
    let (mut errors, mut warnings, mut replies) = (0, 0, 0);
    for (name, text) in documents(&corpus) {
        let scan = scanned(&text);
        let tree = Element::parse(&text, &Limits::default()).expect("it was scanned");
        let mut expected = Vec::new();
        errors_of(&tree, &mut expected);
        let (expected_warnings, mut expected_errors): (Vec<_>, Vec<_>) = expected
            .into_iter()
            .partition(|error| error.error_severity.as_deref() == Some("warning"));
        // What only this test's second way does not look at.
        let plain = |list: &[RpcError]| -> Vec<RpcError> {
            list.iter()
                .map(|error| RpcError {
                    error_info: None,
                    member: None,
                    error_path_namespaces: Vec::new(),
                    ..error.clone()
                })
                .collect()
        };
        let counted = expected_errors.is_empty() && scan.class == ReplyClass::LoadConfigurationResults;
        if counted && scan.is_error() {
            expected_errors.push(RpcError {
                error_severity: Some("error".into()),
                ..RpcError::default()
            });
        }
        assert_eq!(plain(&scan.errors), expected_errors, "{name}");
        assert_eq!(plain(&scan.warnings), expected_warnings, "{name}");
        assert_eq!(scan.is_error(), !scan.errors.is_empty(), "{name}");
        errors += scan.errors.len();
        warnings += scan.warnings.len();
        replies += usize::from(scan.root == Root::RpcReply);
        for error in &scan.errors {
            if let Some(info) = &error.error_info
                && !info.contains(':')
            {
                let wrapped = format!("<error-info>{info}</error-info>");
                assert!(
                    Element::parse(&wrapped, &Limits::default()).is_ok(),
                    "{name}: {info}"
                );
            }
        }
    }
    assert!(
        errors > 60 && warnings > 8 && replies > 250,
        "{errors} errors, {warnings} warnings, {replies} replies"
    );
}

/// S15, S17: a reply has payload exactly when something is in it besides results, errors and the banner.
#[test]
fn payload_of_recorded_replies_is_noticed() {
    let Some(corpus) = corpus() else { return };
    for (name, text) in documents(&corpus) {
        let scan = scanned(&text);
        if scan.root != Root::RpcReply {
            continue;
        }
        let tree = Element::parse(&text, &Limits::default()).expect("it was scanned");
        let inside = if tree.children().count() == 1 {
            tree.child("data").unwrap_or(&tree)
        } else {
            &tree
        };
        let left_out = |child: &Element| {
            let local = child.local.as_str();
            let words = ["ok", "rpc-error", "data", "end-session", "routing-engine"];
            let banner = local == "cli" && child.children().all(|inner| inner.local == "banner");
            let xnm = child.ns.as_deref() == Some(XNM_NS);
            known(child) && (banner || xnm || words.contains(&local) || local.ends_with("-results"))
        };
        let elements = inside.children().any(|child| !left_out(child));
        if elements {
            assert!(scan.has_payload, "{name}");
        } else if inside.text().is_empty() && !text.contains("-results") && inside.child("data").is_none() {
            assert!(!scan.has_payload, "{name}");
        }
        if scan.has_payload && scan.texts.is_empty() {
            assert!(
                matches!(scan.class, ReplyClass::Data | ReplyClass::CommitResults),
                "{name}: {:?}",
                scan.class
            );
        }
    }
}

/// S4, S5: every recorded hello of a server parses; those of clients lack their session-id.
#[test]
fn recorded_hellos_parse() {
    let Some(corpus) = corpus() else { return };
    let mut parsed = 0;
    for (name, text) in documents(&corpus) {
        if scanned(&text).root != Root::Hello {
            continue;
        }
        match ServerHello::parse(&text) {
            Ok(hello) => {
                parsed += 1;
                assert!(hello.session_id > 0, "{name}");
                let listed = text.matches("capability>").count() / 2;
                assert_eq!(hello.capabilities.uris().count(), listed, "{name}");
                assert!(
                    !hello.capabilities.uris().any(|uri| uri.contains("&amp;")),
                    "{name}"
                );
            }
            Err(error) => {
                assert_eq!(error, HelloError::NoSessionId, "{name}");
                assert!(!text.contains("session-id"), "{name}");
            }
        }
    }
    assert!(parsed >= 3, "{parsed} hellos");
}

/// S7: every recorded answer to get-software-information that names a release is understood.
#[test]
fn recorded_software_is_understood() {
    let Some(corpus) = corpus() else { return };
    let (mut understood, mut named) = (0, 0);
    for (name, text) in documents(&corpus) {
        if !text.contains("<software-information") || !name.contains("/junos/") {
            continue;
        }
        let software = SoftwareInformation::parse(&text).expect("it is well-formed");
        let primary = software.primary().unwrap_or_else(|| panic!("{name}: no member"));
        assert!(
            primary.host_name.is_some() || primary.product_model.is_some(),
            "{name}: {primary:?}"
        );
        named += usize::from(primary.version.is_some());
        understood += usize::from(primary.junos_version().is_some());
        if primary.version.is_none() {
            eprintln!("no release in {name}");
        }
    }
    assert_eq!(understood, named);
    assert!(named > 10, "{named} releases");
}

fn malformed(corpus: &Path, name: &str) -> Vec<u8> {
    fs::read(corpus.join("replies/malformed").join(name)).expect("the example is there")
}

fn refused(text: &str) -> XmlErrorKind {
    scan(&memory(text), Limits::default())
        .expect_err("it is not well-formed")
        .kind
}

/// X3: every broken example gives a typed error or the documented repair, never quiet success.
#[test]
fn malformed_examples_are_refused_or_repaired() {
    let Some(corpus) = corpus() else { return };
    let text = |name: &str| sanitized(&malformed(&corpus, name));

    assert!(matches!(
        refused(&text("duplicate-attribute.xml")),
        XmlErrorKind::DuplicateAttribute(_)
    ));
    assert!(matches!(
        refused(&text("truncated.xml")),
        XmlErrorKind::UnexpectedEnd | XmlErrorKind::Unclosed(_)
    ));

    for (name, members, errors) in [
        ("routing-engine-unclosed-single.xml", 1, 0),
        ("routing-engine-unclosed-two-nodes.xml", 2, 0),
        ("routing-engine-unclosed-with-error.xml", 1, 1),
    ] {
        let broken = text(name);
        assert!(
            matches!(refused(&broken), XmlErrorKind::MismatchedEnd { .. }),
            "{name}"
        );
        let repaired = close_routing_engine(&broken).unwrap_or_else(|| panic!("{name} can be repaired"));
        let scan = scanned(&repaired);
        assert_eq!(
            (scan.members.len(), scan.errors.len()),
            (members, errors),
            "{name}"
        );
        assert_eq!(scan.class, ReplyClass::CommitResults, "{name}");
        assert!(
            scan.members
                .iter()
                .all(|member| member.succeeded == (errors == 0)),
            "{name}"
        );
        assert!(
            scan.errors
                .iter()
                .all(|error| error.member.as_deref() == Some("node0")),
            "{name}"
        );
    }

    let latin1 = malformed(&corpus, "latin1-bytes-in-description.txt");
    let (mut sanitizer, mut out) = (Sanitizer::new(), Vec::new());
    sanitizer.push(&latin1, &mut out);
    sanitizer.finish(&mut out);
    assert!(sanitizer.lossy());
    assert!(scanned(&String::from_utf8(out).expect("repaired")).has_payload);

    let stream = malformed(&corpus, "error-before-hello.xml");
    let refused = HelloReader::new().push(&mut stream.as_slice());
    assert!(matches!(refused, Err(HelloError::Refused(errors)) if errors.len() == 1));

    let stream = malformed(&corpus, "hello-after-banner-comments.xml");
    let hello = HelloReader::new()
        .push(&mut stream.as_slice())
        .expect("a hello")
        .expect("whole");
    assert_eq!(
        (hello.session_id, hello.framing()),
        (27700, Framing::EndOfMessage)
    );
    assert!(hello.capabilities.is_junos());

    let known = 8;
    let there = fs::read_dir(corpus.join("replies/malformed"))
        .expect("a readable folder")
        .count();
    assert_eq!(there, known, "an example that this test does not look at");
}

/// S22: the lock refusals that Juniper documents.
#[test]
fn documented_lock_refusals_are_understood() {
    let Some(corpus) = corpus() else { return };
    let error = |name: &str| {
        let text =
            fs::read_to_string(corpus.join("replies/doc-derived").join(name)).expect("the example is there");
        scanned(&text).errors.remove(0)
    };
    let holder = error("lock-held-netconf.xml").lock_holder().expect("it is held");
    assert_eq!((holder.pid, holder.terminal.as_deref()), (Some(4681), Some("p0")));
    assert_eq!(error("lock-database-modified.xml").lock_holder(), None);
}

/// S6: every recorded document passes both framings unchanged, cut at odd places.
#[test]
fn recorded_replies_pass_both_framings() {
    let Some(corpus) = corpus() else { return };
    for (name, text) in documents(&corpus) {
        if text.contains("]]>]]>") {
            continue;
        }
        let text = text.trim_start();
        for framing in [Framing::EndOfMessage, Framing::Chunked] {
            let mut stream = Vec::new();
            ncgate::netconf::framing::encode(framing, text, &mut stream);
            let mut decoder = Decoder::new();
            decoder.set_framing(framing);
            let (mut message, mut ends) = (Vec::new(), 0);
            for mut piece in stream.chunks(1021) {
                while let Some(frame) = decoder.decode(&mut piece).expect("it was framed here") {
                    match frame {
                        Frame::Data(data) => message.extend_from_slice(data),
                        Frame::End => ends += 1,
                    }
                }
            }
            assert_eq!((ends, message == text.as_bytes()), (1, true), "{name}");
        }
    }
}

/// S18: the replies of a real server: tags, paths and app-tags kept; the sloppy one is refused.
#[test]
fn replies_of_a_real_server_are_read() {
    let Some(corpus) = corpus() else { return };
    let path = corpus.join("../netconfd/rpc-errors.jsonl");
    let Ok(lines) = fs::read_to_string(&path) else {
        eprintln!("note: corpus absent: no recorded errors at {}", path.display());
        return;
    };
    let (mut errors, mut refused) = (0, Vec::new());
    for line in lines.lines() {
        let pair: serde_json::Value = serde_json::from_str(line).expect("a line of JSON");
        let text = |key: &str| pair[key].as_str().unwrap_or_default().to_owned();
        let (name, reply) = (text("name"), text("reply"));
        if name == "hello" {
            assert_eq!(
                ServerHello::parse(&reply).expect("a hello").framing(),
                Framing::Chunked
            );
            continue;
        }
        if reply.is_empty() {
            continue;
        }
        let scan = match scan(&memory(&reply), Limits::default()) {
            Ok(scan) => scan,
            Err(error) => {
                assert!(
                    matches!(error.kind, XmlErrorKind::DuplicateAttribute(_)),
                    "{name}: {error}"
                );
                refused.push(name);
                continue;
            }
        };
        let count = |what: &str| reply.matches(what).count();
        assert_eq!(scan.errors.len(), count("<rpc-error"), "{name}");
        let kept = |field: fn(&RpcError) -> &Option<String>| {
            scan.errors.iter().filter(|e| field(e).is_some()).count()
        };
        assert_eq!(kept(|error| &error.error_tag), count("<error-tag>"), "{name}");
        assert_eq!(
            kept(|error| &error.error_app_tag),
            count("<error-app-tag>"),
            "{name}"
        );
        assert_eq!(kept(|error| &error.error_path), count("<error-path"), "{name}");
        assert_eq!(kept(|error| &error.error_info), count("<error-info"), "{name}");
        assert_eq!(scan.is_error(), reply.contains("<rpc-error"), "{name}");
        errors += scan.errors.len();
    }
    assert!(errors > 35, "{errors} errors");
    assert!(refused.len() < 4, "{refused:?}");
}
