//! Each rule of the mapping by example, and what is too large for one look.

mod comments;
mod device;
mod envelope;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::Arc;

use super::*;
use crate::xml::XmlErrorKind;

fn with(xml: &str, selection: Selection, options: &Options) -> String {
    to_json(&Source::from(xml.to_owned()), selection, options)
        .unwrap_or_else(|error| panic!("{xml}: {error}"))
}

/// `ns=on`, as `convert` has it.
fn ncj(xml: &str) -> String {
    with(xml, Selection::Document, &Options::convert_default())
}

fn payload(xml: &str) -> String {
    with(xml, Selection::ReplyPayload, &Options::api_default())
}

fn junos(xml: &str) -> String {
    with(
        xml,
        Selection::JunosReply,
        &Options {
            mapping: Mapping::Junos,
            ..Options::convert_default()
        },
    )
}

/// N1: the root names the only member; for a reply its payload lies side by side.
#[test]
fn root_and_payload() {
    assert_eq!(
        ncj("<system><host-name>r1</host-name></system>"),
        r#"{"system":{"host-name":"r1"}}"#
    );
    assert_eq!(ncj("<name>r1</name>"), r#"{"name":"r1"}"#);
    assert_eq!(
        payload("<rpc-reply><a>1</a><b/></rpc-reply>"),
        r#"{"a":"1","b":null}"#
    );
    // What the envelope tells is not told again.
    assert_eq!(
        payload(
            "<rpc-reply xmlns:x='http://xml.juniper.net/xnm/1.1/xnm'><rpc-error/><x:warning/><a>1</a>\
             <cli><banner>{master}</banner></cli><ok/><warning/></rpc-reply>"
        ),
        r#"{"a":"1","warning":[null]}"#
    );
    assert_eq!(payload("<rpc-reply><ok/></rpc-reply>"), "{}");
    assert_eq!(payload("<rpc-reply/>"), "{}");
    assert_eq!(payload("<rpc-reply>text</rpc-reply>"), r##"{"#text":["text"]}"##);
    assert_eq!(payload("<other><ok/></other>"), r#"{"other":{"ok":null}}"#);
}

/// N1: the `<data>` of get, get-config and get-data is taken off, that of get-schema is not; `convert` keeps it.
#[test]
fn the_wrapper_of_data_is_taken_off() {
    let reply =
        |data: &str| format!("<rpc-reply xmlns='urn:ietf:params:xml:ns:netconf:base:1.0'>{data}</rpc-reply>");
    assert_eq!(
        payload(&reply("<data><top xmlns='urn:t'><a>1</a></top></data>")),
        r#"{"top":{"a":"1"}}"#
    );
    assert_eq!(payload(&reply("<data/>")), "{}");
    assert_eq!(payload(&reply("<data>\n</data>")), "{}");
    assert_eq!(
        payload(&reply(
            "<data xmlns='urn:ietf:params:xml:ns:yang:ietf-netconf-nmda'><a>1</a><b>2</b><a>3</a></data>"
        )),
        r##"{"a":["1","3"],"b":"2","#order":["a","b","a"]}"##
    );
    assert_eq!(
        payload(&reply(
            "<data xmlns='urn:ietf:params:xml:ns:yang:ietf-netconf-monitoring'>module x {}</data>"
        )),
        r#"{"data":"module x {}"}"#
    );
    assert_eq!(
        payload(&reply("<data><a/></data><b/>")),
        r#"{"data":{"a":null},"b":null}"#
    );
    // What has the name of something else in another namespace, or stands inside `<data>`, is data.
    assert_eq!(
        payload(&reply("<data><cli>1</cli><ok/><a/></data>")),
        r#"{"cli":"1","ok":null,"a":null}"#
    );
    assert_eq!(
        payload(&reply(
            "<cli xmlns='urn:vendor'>1</cli><ok xmlns='urn:vendor'/><cli/>"
        )),
        r#"{"cli":"1","ok":null}"#
    );
    // What Junos wraps around a stored configuration comes off, the mark of success with it.
    for (wrapped, unwrapped) in [
        (
            "<rollback-information><ok/><configuration><a/></configuration></rollback-information><cli/>",
            r#"{"configuration":{"a":null}}"#,
        ),
        (
            "<rescue-information><configuration/></rescue-information>",
            r#"{"configuration":null}"#,
        ),
        ("<data><configuration/></data>", r#"{"configuration":null}"#),
        ("<configuration/>", r#"{"configuration":null}"#),
    ] {
        let stored = with(
            &reply(wrapped),
            Selection::StoredConfiguration,
            &Options::api_default(),
        );
        assert_eq!(stored, unwrapped, "{wrapped}");
    }
    assert_eq!(
        ncj("<rpc-reply><data><a/></data></rpc-reply>"),
        r#"{"rpc-reply":{"data":{"a":null}}}"#
    );
    // Namespaces count from the element that was taken off.
    let on = Options::convert_default();
    assert_eq!(
        with(
            &reply("<data><a/><b xmlns='urn:b'/></data>"),
            Selection::ReplyPayload,
            &on
        ),
        r#"{"a":null,"b":null,"@b":{"xmlns":"urn:b"}}"#
    );
}

/// N8: what stood on the `<data>` that is taken off is not lost where nothing is.
#[test]
fn attributes_of_the_wrapper_are_metadata() {
    let reply = |data: &str| {
        format!(
            "<rpc-reply xmlns:j='http://xml.juniper.net/junos/1/junos' j:t='0' message-id='1'>{data}</rpc-reply>"
        )
    };
    for (data, on, off) in [
        (
            "<data j:x='1' y='2'><x>1</x></data>",
            r#"{"@":{"j:x":"1","y":"2"},"x":"1"}"#,
            r#"{"x":"1"}"#,
        ),
        ("<data y='2'/>", r#"{"@":{"y":"2"}}"#, "{}"),
        ("<data y='2'></data>", r#"{"@":{"y":"2"}}"#, "{}"),
        ("<data xmlns=''><x>1</x></data>", r#"{"x":"1"}"#, r#"{"x":"1"}"#),
        (
            "<data y='2'><x>1</x></data><z/>",
            r#"{"data":{"@":{"y":"2"},"x":"1"},"z":null}"#,
            r#"{"data":{"@":{"y":"2"},"x":"1"},"z":null}"#,
        ),
        (
            "<x y='2'/>",
            r#"{"x":null,"@x":{"y":"2"}}"#,
            r#"{"x":null,"@x":{"y":"2"}}"#,
        ),
    ] {
        let xml = reply(data);
        assert_eq!(
            with(&xml, Selection::ReplyPayload, &Options::convert_default()),
            on,
            "{data}"
        );
        assert_eq!(
            with(&xml, Selection::ReplyPayload, &Options::api_default()),
            off,
            "{data}"
        );
    }
}

/// N2: the local name is the key, unless siblings of two namespaces share it.
#[test]
fn keys_are_local_names() {
    assert_eq!(
        ncj("<p:a xmlns:p='urn:p'><p:b/></p:a>"),
        r#"{"a":{"@":{"xmlns":"urn:p"},"b":null}}"#
    );
    assert_eq!(
        ncj("<a xmlns:p='urn:p'><x>1</x><p:x>2</p:x><p:x>3</p:x></a>"),
        r#"{"a":{"x":"1","p:x":["2","3"],"@p:x":[{"xmlns":"urn:p"},{"xmlns":"urn:p"}]}}"#
    );
    // A prefix is needed and there is none: one is made up.
    assert_eq!(
        ncj("<a><x>1</x><x xmlns='urn:b'>2</x><x xmlns='urn:c'>3</x></a>"),
        r#"{"a":{"x":"1","ns0:x":"2","@ns0:x":{"xmlns":"urn:b"},"ns1:x":"3","@ns1:x":{"xmlns":"urn:c"}}}"#
    );
    // Two prefixes of one namespace are one name.
    assert_eq!(
        ncj("<a xmlns:p='urn:p' xmlns:q='urn:p'><p:x>1</p:x><q:x>2</q:x></a>"),
        r#"{"a":{"x":["1","2"],"@x":[{"xmlns":"urn:p"},{"xmlns":"urn:p"}]}}"#
    );
}

/// N2: a prefix that is made up is nobody's.
#[test]
fn invented_prefixes_are_new() {
    assert_eq!(
        payload(
            r#"<r xmlns:ns0="v" xmlns:ns2="x"><ns0:a>1</ns0:a><a xmlns="w">2</a><ns2:a/><a xmlns="u">3</a></r>"#
        ),
        r#"{"r":{"ns0:a":"1","ns1:a":"2","ns2:a":null,"ns3:a":"3"}}"#
    );
}

/// N3: text is a string; one newline goes at each end if there is one at both.
#[test]
fn text_is_a_string() {
    assert_eq!(ncj("<a>\nx\n</a>"), r#"{"a":"x"}"#);
    assert_eq!(ncj("<a>\n\n x \n\n</a>"), r#"{"a":"\n x \n"}"#);
    assert_eq!(ncj("<a>\nx</a>"), r#"{"a":"\nx"}"#);
    assert_eq!(ncj("<a>x\n</a>"), r#"{"a":"x\n"}"#);
    assert_eq!(ncj("<a> x </a>"), r#"{"a":" x "}"#);
    assert_eq!(ncj("<a>  </a>"), r#"{"a":"  "}"#);
    assert_eq!(ncj("<a>12</a>"), r#"{"a":"12"}"#);
    assert_eq!(ncj("<a>false</a>"), r#"{"a":"false"}"#);
    assert_eq!(
        ncj("<a>&lt;&quot;\\<![CDATA[<&>]]>\t&#13;é</a>"),
        r#"{"a":"<\"\\<&>\t\ré"}"#
    );
    assert_eq!(ncj("<a><![CDATA[\n]]>x&#10;</a>"), r#"{"a":"x"}"#);
    assert_eq!(ncj("<a>x<!-- c -->y<?p i?>z</a>"), r#"{"a":"xyz"}"#);
    assert_eq!(ncj("<a>1\r\n2\r3</a>"), r#"{"a":"1\n2\n3"}"#);
    let exact = Options {
        exact_text: true,
        ..Options::convert_default()
    };
    assert_eq!(
        with("<a>\nx\n</a>", Selection::Document, &exact),
        r#"{"a":"\nx\n"}"#
    );
}

/// N4: present but empty is null, whatever it might have held.
#[test]
fn empty_is_null() {
    for xml in [
        "<r><a/></r>",
        "<r><a></a></r>",
        "<r><a>\n</a></r>",
        "<r><a> \n\t </a></r>",
        "<r><a><!--c--></a></r>",
    ] {
        assert_eq!(ncj(xml), r#"{"r":{"a":null}}"#, "{xml}");
    }
    assert_eq!(ncj("<a x='1'/>"), r#"{"a":null,"@a":{"x":"1"}}"#);
}

/// N5: keys come in the order of their first appearance.
#[test]
fn members_keep_their_order() {
    assert_eq!(
        ncj("<r>\n <z>1</z>\n <a>2</a>\n <m>3</m>\n</r>"),
        r#"{"r":{"z":"1","a":"2","m":"3"}}"#
    );
}

/// N6: arrays by repetition, by the table, by name, or all.
#[test]
fn arrays() {
    assert_eq!(
        ncj("<r><a>1</a><a>2</a><b/></r>"),
        r#"{"r":{"a":["1","2"],"b":null}}"#
    );
    let one = "<interface-information><physical-interface><name>x</name></physical-interface></interface-information>";
    assert_eq!(
        ncj(one),
        r#"{"interface-information":{"physical-interface":[{"name":"x"}]}}"#
    );
    let all = Options {
        arrays: Arrays::All,
        ..Options::convert_default()
    };
    assert_eq!(
        with("<r><a><b/></a></r>", Selection::Document, &all),
        r#"{"r":{"a":[{"b":[null]}]}}"#
    );
    let names = BTreeSet::from(["b".to_owned()]);
    let named = Options {
        arrays: Arrays::Named(names),
        ..Options::convert_default()
    };
    assert_eq!(
        with("<r><a><b/></a></r>", Selection::Document, &named),
        r#"{"r":{"a":{"b":[null]}}}"#
    );
    assert_eq!(
        with(one, Selection::Document, &named),
        r#"{"interface-information":{"physical-interface":[{"name":"x"}]}}"#
    );
}

/// N7: metadata stands beside a leaf and inside a container, so that it never changes the shape of the value.
#[test]
fn metadata() {
    assert_eq!(
        ncj("<r><a x='1'>t</a><b/></r>"),
        r#"{"r":{"a":"t","@a":{"x":"1"},"b":null}}"#
    );
    assert_eq!(ncj("<r x='1'><a/></r>"), r#"{"r":{"@":{"x":"1"},"a":null}}"#);
    assert_eq!(
        ncj("<r><a/><a x='1'>t</a><a y='2'><b/></a><a z='&lt;3&#10;'/></r>"),
        r#"{"r":{"a":[null,"t",{"@":{"y":"2"},"b":null},null],"@a":[null,{"x":"1"},null,{"z":"<3\n"}]}}"#
    );
    assert_eq!(
        ncj("<a xml:lang='en'>t</a>"),
        r#"{"a":"t","@a":{"xml:lang":"en"}}"#
    );
}

/// N8: namespaces where they change; `ns=off` leaves out only them and how to print.
#[test]
fn namespaces() {
    let xml = "<r xmlns='urn:r' xmlns:junos='http://xml.juniper.net/junos/24.4R1/junos' junos:style='brief' \
               junos:changed='yes'><a junos:format='x' junos:seconds='5' style='s'>1</a><b xmlns='urn:b' heading='h'>\
               <c/></b><d xmlns=''/></r>";
    assert_eq!(
        ncj(xml),
        r#"{"r":{"@":{"xmlns":"urn:r","junos:style":"brief","junos:changed":"yes"},"a":"1","@a":{"junos:format":"x","junos:seconds":"5","style":"s"},"b":{"@":{"xmlns":"urn:b","heading":"h"},"c":null},"d":null,"@d":{"xmlns":""}}}"#
    );
    assert_eq!(
        with(xml, Selection::Document, &Options::api_default()),
        r#"{"r":{"@":{"junos:changed":"yes"},"a":"1","@a":{"junos:seconds":"5","style":"s"},"b":{"c":null},"d":null}}"#
    );
}

/// N9: the order is told where grouping would lose it.
#[test]
fn order() {
    assert_eq!(
        ncj("<r><a>1</a><b>2</b><a x='3'>4</a><c/><b/></r>"),
        r##"{"r":{"a":["1","4"],"@a":[null,{"x":"3"}],"b":["2",null],"c":null,"#order":["a","b","a","c","b"]}}"##
    );
    assert_eq!(
        ncj("<r>one<a/>\n<b/>two &amp; <![CDATA[three]]><!-- c --> four</r>"),
        r##"{"r":{"a":null,"b":null,"#text":["one","two & three four"],"#order":["#text","a","b","#text"]}}"##
    );
    // Whole objects move too, with what is in them.
    assert_eq!(
        ncj("<r><a><x>1</x><y/><x>2</x></a><b/><a><z/></a></r>"),
        r##"{"r":{"a":[{"x":["1","2"],"y":null,"#order":["x","y","x"]},{"z":null}],"b":null,"#order":["a","b","a"]}}"##
    );
}

/// N11, X3: over a limit is an error.
#[test]
fn limits() {
    let deep = format!("{}{}", "<a>".repeat(101), "</a>".repeat(101));
    let error = to_json(&Source::from(deep), Selection::Document, &Options::api_default()).unwrap_err();
    assert!(matches!(error, ConvertError::Xml(error) if error.kind == XmlErrorKind::TooDeep(100)));
    // Thousands of parents, each with repeated children that no table knows: too irregular to be indexed.
    let mut irregular = String::from("<r>");
    for _ in 0..350_000 {
        irregular.push_str("<p><a/><b/><a/></p>");
    }
    irregular.push_str("</r>");
    let error = to_json(
        &Source::from(irregular),
        Selection::Document,
        &Options::api_default(),
    )
    .unwrap_err();
    assert!(matches!(error, ConvertError::IndexTooBig { limit: 33_554_432 }));
}

/// X3: what is interleaved 480 000 times still has its index within the bound.
#[test]
fn the_index_of_an_interleaved_document_is_small() {
    let xml = format!("<r>{}</r>", "<a/><b/>".repeat(240_000));
    let source = Source::from(xml);
    let index = index(&source, Selection::Document).expect("an index of 24 bytes a run");
    let mut converter = Converter::new(source, index, Options::api_default());
    let mut out = Vec::new();
    while converter.fill(&mut out).unwrap() {}
    assert!(out.starts_with(br#"{"r":{"a":[null,null,"#) && out.ends_with(br#","a","b"]}}"#));
}

/// Nor can many names at many depths make the index large.
#[test]
fn names_times_depth_are_bounded() {
    let mut many = String::from("<r>");
    for n in 0..200_000 {
        let _ = write!(many, "<n{n}/>");
    }
    many.push_str(&"<n199999>".repeat(90));
    many.push_str(&"</n199999>".repeat(90));
    many.push_str("</r>");
    let error = index(&Source::from(many), Selection::Document).unwrap_err();
    assert!(matches!(error, ConvertError::IndexTooBig { .. }));
}

/// J1 to J4: every child an array of objects; attributes behind the data of a leaf, before the children of a container.
#[test]
fn the_form_of_the_device() {
    assert_eq!(
        junos(
            "<rpc-reply xmlns:junos='urn:j'><r xmlns='urn:r' junos:style='brief'><a junos:format='x'>1</a><b>2</b>\
             <b>3</b><c junos:n='4'><d>5</d></c></r></rpc-reply>"
        ),
        r#"{"r":[{"attributes":{"xmlns":"urn:r","junos:style":"brief"},"a":[{"data":"1","attributes":{"junos:format":"x"}}],"b":[{"data":"2"},{"data":"3"}],"c":[{"attributes":{"junos:n":"4"},"d":[{"data":"5"}]}]}]}"#
    );
}

/// J5: an empty element is not a pair of tags.
#[test]
fn the_device_tells_empty_elements_from_empty_pairs() {
    assert_eq!(
        junos("<r><a/><b></b><c>\n</c><d x='1'/><e x='1'></e></r>"),
        r#"{"r":[{"a":[{"data":[null]}],"b":[{}],"c":[{}],"d":[{"data":[null],"attributes":{"x":"1"}}],"e":[{"attributes":{"x":"1"}}]}]}"#
    );
}

/// J7: newlines go at the ends, blanks stay.
#[test]
fn the_device_keeps_blanks() {
    assert_eq!(
        junos("<r><a>\n\n  x \n</a></r>"),
        r#"{"r":[{"a":[{"data":"  x "}]}]}"#
    );
    assert_eq!(junos("<r><a>\nx</a></r>"), r#"{"r":[{"a":[{"data":"x"}]}]}"#);
}

/// J8, J9: the reply and a `cli` with its banner go, the wrapper of several routing engines stays.
#[test]
fn the_device_takes_off_the_reply() {
    assert_eq!(
        junos(
            "<rpc-reply><multi-routing-engine-results><multi-routing-engine-item><re-name>node0</re-name>\
             </multi-routing-engine-item></multi-routing-engine-results><cli><banner/></cli></rpc-reply>"
        ),
        r#"{"multi-routing-engine-results":[{"multi-routing-engine-item":[{"re-name":[{"data":"node0"}]}]}]}"#
    );
}

/// J10: where the device would repeat a key, there is one array.
#[test]
fn the_form_of_the_device_is_valid_json() {
    assert_eq!(
        junos("<r><a>1</a><b>2</b><a>3</a></r>"),
        r#"{"r":[{"a":[{"data":"1"},{"data":"3"}],"b":[{"data":"2"}]}]}"#
    );
}

/// A document in a file, larger than every window, with all that needs looking ahead, jumping or streaming.
fn large() -> String {
    let mut xml = String::from("<!-- head --><r xmlns='urn:r' xmlns:p='urn:p'>\n");
    for n in 0..3000 {
        let _ = write!(
            xml,
            "<a x='{n}'>{n}</a><b><c>{n}</c><d/><c>&lt;</c></b><p:a>ns</p:a>\n<!-- c{n} -->"
        );
    }
    let long = "0123456789\n<![CDATA[<&]]>&amp;\r\n<?p i?>".repeat(8_000);
    let _ = write!(
        xml,
        "<long x='1'>\n{long}\n</long><late>{}<e/></late>",
        " \n".repeat(100_000)
    );
    let _ = write!(
        xml,
        "<late><!--{}--><e/></late><blank y='2'>{}</blank>",
        "c".repeat(300_000),
        "\n".repeat(200_000)
    );
    let _ = write!(
        xml,
        "<mixed>{long}<m/>{long}<n/></mixed><big z='{}'/></r>",
        "v".repeat(300_000)
    );
    xml
}

fn spooled(xml: &str) -> Source {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(xml.as_bytes()).unwrap();
    Source::File {
        file: Arc::new(file),
        len: xml.len() as u64,
    }
}

/// The answer is the same from a file and from memory, in slices of bounded size.
#[test]
fn large_documents_come_in_slices() {
    let xml = large();
    for mapping in [Mapping::Ncj, Mapping::Junos] {
        for comments in [false, true] {
            let options = Options {
                mapping,
                comments,
                ..Options::convert_default()
            };
            let from_memory = with(&xml, Selection::Document, &options);
            let source = spooled(&xml);
            let mut converter = Converter::new(
                source.clone(),
                index(&source, Selection::Document).unwrap(),
                options.clone(),
            );
            let mut whole = Vec::new();
            let mut slice = Vec::new();
            loop {
                let more = converter.fill(&mut slice).unwrap();
                assert!(slice.len() < 1 << 20, "{}", slice.len());
                whole.append(&mut slice);
                if !more {
                    break;
                }
            }
            assert!(whole == from_memory.as_bytes());
            let value: serde_json::Value = serde_json::from_slice(&whole).unwrap();
            match mapping {
                Mapping::Ncj => check_large(&value["r"], comments),
                Mapping::Junos => {
                    assert_eq!(
                        value["r"][0]["blank"],
                        serde_json::json!([{"attributes": {"y": "2"}}])
                    );
                    // `a` and `p:a`: keys are local names.
                    assert_eq!(value["r"][0]["a"].as_array().unwrap().len(), 6000);
                }
            }
        }
    }
}

fn check_large(r: &serde_json::Value, comments: bool) {
    let text = "0123456789\n<&&\n".repeat(8_000);
    assert_eq!(r["a"].as_array().unwrap().len(), 3000);
    assert_eq!(r["@a"][2999]["x"], "2999");
    assert_eq!(r["p:a"].as_array().unwrap().len(), 3000);
    assert_eq!(r["b"][7]["c"], serde_json::json!(["7", "<"]));
    assert_eq!(r["long"], text);
    assert_eq!(r["@long"]["x"], "1");
    assert_eq!(
        r["late"],
        serde_json::json!([{"e": null}, {"e": null}])
            .as_array()
            .map(|late| {
                // The comment of the second one is shown with it.
                let mut late = late.clone();
                if comments {
                    late[1]["#comment"] = serde_json::json!(["c".repeat(300_000)]);
                }
                serde_json::Value::Array(late)
            })
            .unwrap()
    );
    assert_eq!(r["blank"], serde_json::Value::Null);
    assert_eq!(r["mixed"]["#text"], serde_json::json!([text, text]));
    assert_eq!(
        r["mixed"]["#order"],
        serde_json::json!(["#text", "m", "#text", "n"])
    );
    assert_eq!(r["@big"]["z"].as_str().unwrap().len(), 300_000);
    assert_eq!(r["#order"].as_array().unwrap().len(), 3000 * 3 + 6);
    assert_eq!(r["#comment"].as_array().map(Vec::len), comments.then_some(3000));
}

/// Bytes that are not those of the index are an error, never a panic.
#[test]
fn a_changed_source_is_noticed_or_survived() {
    let xml = "<r><a>1</a><b><c/></b><a x='2'>3</a><d>t</d><d>u</d></r>";
    let index = index(&Source::from(xml.to_owned()), Selection::Document).unwrap();
    for at in 0..xml.len() {
        for byte in *b"<>/x \"&!" {
            let mut changed = xml.as_bytes().to_vec();
            changed[at] = byte;
            let options = Options {
                comments: true,
                ..Options::convert_default()
            };
            let mut converter = Converter::new(Source::Memory(changed.into()), index.clone(), options);
            let mut out = Vec::new();
            for _ in 0..100 {
                match converter.fill(&mut out) {
                    Ok(true) => {}
                    Ok(false) | Err(_) => break,
                }
            }
        }
    }
}
