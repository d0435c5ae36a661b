//! Each rule of JSON to XML by example.

use super::*;

fn write(json: &str, target: Target) -> Result<String, (String, String)> {
    write_with(json, target, &ToXmlOptions::default())
}

fn write_with(json: &str, target: Target, options: &ToXmlOptions) -> Result<String, (String, String)> {
    match to_xml(json, target, options) {
        Ok(fragment) => Ok(fragment.as_str().to_owned()),
        Err(error) => Err((error.pointer, error.detail)),
    }
}

fn document(json: &str) -> String {
    write(json, Target::Document).unwrap_or_else(|error| panic!("{json}: {error:?}"))
}

fn pointer_of(json: &str, target: Target) -> String {
    write(json, target).expect_err(json).0
}

const EDIT: Target = Target::Config(ConfigDialect::EditConfig);
const LOAD: Target = Target::Config(ConfigDialect::LoadConfiguration);

fn junos() -> ToXmlOptions {
    ToXmlOptions {
        junos: true,
        ..ToXmlOptions::default()
    }
}

/// W1
#[test]
fn elements_come_in_the_order_of_members() {
    assert_eq!(
        document(r#"{"r":{"z":"1","a":"2","m":{"q":"3","b":"4"}}}"#),
        "<r><z>1</z><a>2</a><m><q>3</q><b>4</b></m></r>"
    );
}

/// W2
#[test]
fn values_become_text_and_empty_elements() {
    assert_eq!(
        document(r#"{"r":{"a":"x<>&\"\r","b":1e308,"c":18446744073709551616,"d":-0.50}}"#),
        "<r><a>x&lt;&gt;&amp;\"&#13;</a><b>1e308</b><c>18446744073709551616</c><d>-0.50</d></r>"
    );
    assert_eq!(
        document(r#"{"r":{"a":null,"b":true,"c":[null],"d":"","e":{}}}"#),
        "<r><a/><b/><c/><d/><e/></r>"
    );
    assert_eq!(
        document(r#"{"r":{"a":["1",2,null,{"b":"3"}],"c":[]}}"#),
        "<r><a>1</a><a>2</a><a/><a><b>3</b></a></r>"
    );
    assert_eq!(pointer_of(r#"{"r":{"a":[["1"]]}}"#, Target::Document), "/r/a/0");
    assert_eq!(pointer_of(r#"{"r":[{"a":1},{"a":2}]}"#, Target::Document), "/r");
    assert_eq!(pointer_of(r#"{"r":[null,null]}"#, Target::Document), "/r");
    assert_eq!(document(r#"{"r":[null]}"#), "<r/>");
}

/// W2: false is an argument that is not given, and refused in configuration.
#[test]
fn false_depends_on_the_target() {
    assert_eq!(
        write(r#"{"get-x":{"terse":false,"detail":true}}"#, Target::Rpc).unwrap(),
        "<get-x><detail/></get-x>"
    );
    assert_eq!(write(r#"{"terse":false}"#, Target::Arguments).unwrap(), "");
    assert_eq!(
        write_with(r#"{"system":{"x":[false]}}"#, EDIT, &junos())
            .unwrap_err()
            .0,
        "/system/x/0"
    );
    assert_eq!(pointer_of(r#"{"r":{"a":false}}"#, Target::Document), "/r/a");
}

/// W3
#[test]
fn members_twice_are_refused() {
    assert_eq!(
        pointer_of(r#"{"r":{"a":[{"x":1},{"y":1,"y":2}]}}"#, Target::Document),
        "/r/a/1/y"
    );
}

/// W4, X1: names, and what a text cannot hold.
#[test]
fn names_and_characters_are_checked() {
    for name in [
        "", "1a", "a b", "a:b:c", ":a", "a:", "xmlns:a", "xml:a", "a<b", "a/><b", "#order2", "\u{d7}",
    ] {
        let json = serde_json::json!({"r": {name: "x"}}).to_string();
        let pointer = format!("/r/{}", name.replace('/', "~1"));
        assert_eq!(pointer_of(&json, Target::Document), pointer, "{name}");
    }
    assert_eq!(pointer_of(r#"{"r":{"a":"x\u0001"}}"#, Target::Document), "/r/a");
    assert_eq!(
        pointer_of(r#"{"r":{"a":["\uffff"]}}"#, Target::Document),
        "/r/a/0"
    );
    assert_eq!(
        pointer_of(r#"{"r":{"a":"x","@a":{"b":"\u001b"}}}"#, Target::Document),
        "/r/@a/b"
    );
    assert_eq!(
        pointer_of(r#"{"r":{"a":"x","@a":{"b c":"1"}}}"#, Target::Document),
        "/r/@a/b c"
    );
    // The end-of-message marker is only text.
    assert_eq!(
        document(r#"{"r":{"a":"]]>]]>","@a":{"b":"]]>]]>"}}}"#),
        r#"<r><a b="]]&gt;]]&gt;">]]&gt;]]&gt;</a></r>"#
    );
}

/// W4: known prefixes and modules; anything else only in `convert`.
#[test]
fn prefixes_and_modules_have_to_be_known() {
    let mut options = ToXmlOptions::default();
    options.prefixes.insert("p".to_owned(), "urn:p".to_owned());
    options.modules.insert("oc-if".to_owned(), "urn:oc-if".to_owned());
    let rpc = |json: &str| write_with(json, Target::Rpc, &options);
    assert_eq!(
        rpc(r#"{"p:r":{"a":"1","p:b":"2"}}"#).unwrap(),
        r#"<p:r xmlns:p="urn:p"><a xmlns="urn:p">1</a><p:b>2</p:b></p:r>"#
    );
    assert_eq!(
        rpc(r#"{"get":{"oc-if:interfaces":{"interface":{"name":"x"}},"other":null}}"#).unwrap(),
        r#"<get><interfaces xmlns="urn:oc-if"><interface><name>x</name></interface></interfaces><other/></get>"#
    );
    assert_eq!(rpc(r#"{"get":{"q:a":"1"}}"#).unwrap_err().0, "/get/q:a");
    assert_eq!(
        rpc(r#"{"get":{"a":"1","@a":{"q:x":"1"}}}"#).unwrap_err().0,
        "/get/a"
    );
    assert_eq!(
        rpc(r#"{"get":{"a":"1","@a":{"junos:x":"1","nc:y":true}}}"#).unwrap(),
        "<get><a xmlns:junos=\"http://xml.juniper.net/junos/*/junos\" \
         xmlns:nc=\"urn:ietf:params:xml:ns:netconf:base:1.0\" junos:x=\"1\" nc:y=\"y\">1</a></get>"
    );
    assert_eq!(
        document(r#"{"q:a":null}"#),
        r#"<q:a xmlns:q="urn:ncgate:prefix:q"/>"#
    );
}

/// N8 backwards: a namespace holds for the children too.
#[test]
fn namespaces_are_declared_where_they_change() {
    assert_eq!(
        document(
            r#"{"r":{"@":{"xmlns":"urn:r"},"a":"1","b":"2","@b":{"xmlns":"urn:b"},"c":{"@":{"xmlns":""},"d":null}}}"#
        ),
        r#"<r xmlns="urn:r"><a>1</a><b xmlns="urn:b">2</b><c xmlns=""><d/></c></r>"#
    );
    assert_eq!(
        document(r#"{"r":{"p:x":{"@":{"xmlns":"urn:p"},"y":"1"},"x":"2"}}"#),
        r#"<r><p:x xmlns:p="urn:p"><y xmlns="urn:p">1</y></p:x><x>2</x></r>"#
    );
    for reserved in [
        "http://www.w3.org/XML/1998/namespace",
        "http://www.w3.org/2000/xmlns/",
    ] {
        let json = format!(r#"{{"r":{{"@":{{"xmlns":"{reserved}"}}}}}}"#);
        assert_eq!(pointer_of(&json, Target::Document), "/r/@/xmlns");
    }
}

/// W5: metadata becomes attributes.
#[test]
fn metadata_becomes_attributes() {
    assert_eq!(
        document(
            r#"{"r":{"@":{"x":"1","y":2,"flag":true,"no":false},"a":["1",null],"@a":[null,{"z":"3"}]}}"#
        ),
        r#"<r x="1" y="2" flag="flag"><a>1</a><a z="3"/></r>"#
    );
    assert_eq!(document(r#"{"r":"t","@r":{"x":"1"}}"#), r#"<r x="1">t</r>"#);
    for (json, pointer) in [
        (r#"{"r":{"@a":{"x":"1"}}}"#, "/r/@a"),
        (r#"{"r":{"a":{"b":1},"@a":{"x":"1"}}}"#, "/r/a"),
        (r#"{"r":{"a":["1"],"@a":[null,{"x":"1"}]}}"#, "/r/a"),
        (r#"{"r":{"a":["1"],"@a":{"x":"1"}}}"#, "/r/a"),
        (r#"{"r":{"a":[],"@a":{"x":"1"}}}"#, "/r/a"),
        (
            r##"{"r":{"a":["1"],"@a":[null,{"x":"1"}],"#order":["a"]}}"##,
            "/r/a",
        ),
        (r#"{"r":{"a":"1","@a":"x"}}"#, "/r/@a"),
        (r#"{"r":{"a":"1","@a":{"x":null}}}"#, "/r/@a/x"),
        (r#"{"r":{"@":{"nc:x":"1","p:x":"2"}}}"#, ""),
        (r#"{"@":{"x":"1"},"r":null}"#, "/@"),
    ] {
        match write(json, Target::Document) {
            Err((found, _)) => assert_eq!(found, pointer, "{json}"),
            Ok(xml) => assert_eq!(pointer, "", "{json}: {xml}"),
        }
    }
    // Two prefixes of one namespace cannot both carry the name.
    let mut options = ToXmlOptions::default();
    options
        .prefixes
        .insert("base".to_owned(), crate::xml::NETCONF_BASE_NS.to_owned());
    let twice = write_with(r#"{"r":{"@":{"nc:x":"1","base:x":"2"}}}"#, Target::Rpc, &options);
    assert_eq!(twice.unwrap_err().0, "/r");
}

/// W5: `operation` gets the base namespace inside edit-config.
#[test]
fn operation_in_edit_config() {
    let json = r#"{"system":{"@":{"operation":"replace"},"host-name":"x","@host-name":{"operation":"delete"},"a":{"@":{"inactive":true}}}}"#;
    assert_eq!(
        write_with(json, EDIT, &junos()).unwrap(),
        "<configuration><system xmlns:nc=\"urn:ietf:params:xml:ns:netconf:base:1.0\" nc:operation=\"replace\">\
         <host-name nc:operation=\"delete\">x</host-name><a inactive=\"inactive\"/></system></configuration>"
    );
    let bad = write_with(r#"{"system":{"@":{"operation":"destroy"}}}"#, EDIT, &junos());
    assert_eq!(bad.unwrap_err().0, "/system/@/operation");
}

/// W2, W5: in configuration false is no mark, as it is no element: what was meant would not happen.
#[test]
fn false_is_no_mark_in_configuration() {
    for (json, pointer) in [
        (r#"{"system":{"@":{"active":false}}}"#, "/system/@/active"),
        (r#"{"a":{"@":{"operation":false}}}"#, "/a/@/operation"),
        (r#"{"@":{"operation":false},"a":1}"#, "/@/operation"),
        (r#"{"a":{"@":{"protect":false}}}"#, "/a/@/protect"),
        (r#"{"a":1,"@a":{"inactive":false}}"#, "/@a/inactive"),
        (r#"{"a":[1,2],"@a":[null,{"delete":false}]}"#, "/@a/1/delete"),
    ] {
        for target in [EDIT, LOAD] {
            let (found, why) = write_with(json, target, &junos()).unwrap_err();
            assert_eq!(found, pointer, "{json}");
            assert!(why.starts_with("false marks nothing"), "{why}");
        }
    }
    assert_eq!(
        write_with(r#"{"a":{"@":{"x":false}}}"#, Target::Arguments, &junos()).unwrap(),
        "<a/>"
    );
}

/// W5: load-configuration has attributes of its own.
#[test]
fn operation_in_load_configuration() {
    let json = r#"{"a":{"@":{"operation":"delete"}},"b":{"@":{"operation":"replace"}},"c":{"@":{"operation":"merge"}},
        "d":{"@":{"inactive":true}},"e":{"@":{"insert":"before","name":"x"}},"f":{"@":{"protect":"protect"}}}"#;
    assert_eq!(
        write_with(json, LOAD, &junos()).unwrap(),
        "<configuration><a delete=\"delete\"/><b replace=\"replace\"/><c/><d inactive=\"inactive\"/>\
         <e insert=\"before\" name=\"x\"/><f protect=\"protect\"/></configuration>"
    );
    let bad = write_with(r#"{"a":{"@":{"operation":"create"}}}"#, LOAD, &junos());
    assert_eq!(bad.unwrap_err().0, "/a/@/operation");
}

/// W6: `name` first, on Junos, in configuration.
#[test]
fn list_keys_come_first() {
    let json = r#"{"interfaces":{"interface":[{"mtu":9000,"name":"a"},{"description":"d","name":"b","x":{"name":"c"}}]}}"#;
    assert_eq!(
        write_with(json, EDIT, &junos()).unwrap(),
        "<configuration><interfaces><interface><name>a</name><mtu>9000</mtu></interface>\
         <interface><name>b</name><description>d</description><x><name>c</name></x></interface></interfaces></configuration>"
    );
    assert_eq!(
        write_with(
            r#"{"interface":{"mtu":9000,"name":"a"}}"#,
            Target::Filter,
            &junos()
        )
        .unwrap(),
        "<interface><mtu>9000</mtu><name>a</name></interface>"
    );
}

/// W7
#[test]
fn order_is_honoured_and_has_to_be_right() {
    assert_eq!(
        document(
            r##"{"r":{"a":["1",{"x":"2"}],"b":"3","@b":{"y":"4"},"#text":["t","u"],"#order":["#text","a","b","a","#text"]}}"##
        ),
        r#"<r>t<a>1</a><b y="4">3</b><a><x>2</x></a>u</r>"#
    );
    assert_eq!(document(r##"{"r":{"#text":["only"]}}"##), "<r>only</r>");
    assert_eq!(
        document(r##"{"r":{"a":null,"#comment":["dropped"]}}"##),
        "<r><a/></r>"
    );
    for (json, pointer) in [
        (r##"{"r":{"a":["1","2"],"#order":["a"]}}"##, "/r/#order"),
        (r##"{"r":{"a":["1"],"#order":["a","a"]}}"##, "/r/#order/1"),
        (r##"{"r":{"a":"1","#order":["a","a"]}}"##, "/r/#order/1"),
        (r##"{"r":{"a":"1","#order":["b"]}}"##, "/r/#order/0"),
        (r##"{"r":{"a":"1","b":"2","#order":["a"]}}"##, "/r/#order"),
        (r##"{"r":{"a":"1","#order":[1]}}"##, "/r/#order/0"),
        (r##"{"r":{"a":"1","#order":"a"}}"##, "/r/#order"),
        (r##"{"r":{"a":"1","#text":["x"],"#order":["a"]}}"##, "/r/#order"),
        (r##"{"r":{"a":"1","#text":["x"]}}"##, "/r/#text"),
        (r##"{"r":{"#text":[1],"#order":["#text"]}}"##, "/r/#text"),
    ] {
        assert_eq!(pointer_of(json, Target::Document), pointer, "{json}");
    }
}

/// W8
#[test]
fn configuration_is_wrapped_on_junos() {
    let edit = |json: &str| write_with(json, EDIT, &junos());
    assert_eq!(
        edit(r#"{"configuration":{"a":null}}"#).unwrap(),
        "<configuration><a/></configuration>"
    );
    assert_eq!(
        edit(r#"{"a":null,"b":null}"#).unwrap(),
        "<configuration><a/><b/></configuration>"
    );
    assert_eq!(
        edit(r#"{"a":{"@":{"xmlns":"urn:a"}}}"#).unwrap(),
        r#"<a xmlns="urn:a"/>"#
    );
    assert_eq!(
        edit(r#"{"a":"1","@a":{"xmlns":"urn:a"}}"#).unwrap(),
        r#"<a xmlns="urn:a">1</a>"#
    );
    assert_eq!(
        edit(r#"{"a":{"@":{"xmlns":"urn:a"}},"b":null}"#).unwrap_err().0,
        "/b"
    );
    assert_eq!(edit("{}").unwrap_err().0, "");
    // Elsewhere a root without a namespace means nothing.
    assert_eq!(pointer_of(r#"{"interfaces":null}"#, EDIT), "/interfaces");
}

/// W8: what holds no statement and no mark is no configuration, however it is written.
#[test]
fn empty_configuration_is_refused() {
    for json in [
        "{}",
        r#"{"configuration":null}"#,
        r#"{"configuration":""}"#,
        r#"{"configuration":true}"#,
        r#"{"configuration":{}}"#,
        r#"{"configuration":[{}]}"#,
        r#"{"a":[]}"#,
    ] {
        for target in [EDIT, LOAD] {
            let (pointer, why) = write_with(json, target, &junos()).unwrap_err();
            assert_eq!(
                (pointer.as_str(), why.as_str()),
                ("", "no configuration"),
                "{json}"
            );
        }
    }
    assert_eq!(
        write_with(r#"{"configuration":{"@":{"delete":"delete"}}}"#, LOAD, &junos()).unwrap(),
        r#"<configuration delete="delete"/>"#
    );
}

/// W9: set commands and CLI text are only text.
#[test]
fn command_text_is_escaped() {
    let json = r#"{"load-configuration":{"@":{"action":"set","format":"text"},"configuration-set":"set system login message \"a & b <c>\""}}"#;
    assert_eq!(
        write(json, Target::Rpc).unwrap(),
        "<load-configuration action=\"set\" format=\"text\"><configuration-set>set system login message \
         \"a &amp; b &lt;c&gt;\"</configuration-set></load-configuration>"
    );
}

/// N3 backwards: what was unwrapped is wrapped again, unless the JSON is exact.
#[test]
fn inner_newlines_are_wrapped_again() {
    assert_eq!(document(r#"{"a":"\nx\n"}"#), "<a>\n\nx\n\n</a>");
    let exact = ToXmlOptions {
        exact_text: true,
        ..ToXmlOptions::default()
    };
    assert_eq!(
        write_with(r#"{"a":"\nx\n"}"#, Target::Document, &exact).unwrap(),
        "<a>\nx\n</a>"
    );
    assert_eq!(
        write(r#"{"a":"\nx\n"}"#, Target::Arguments).unwrap(),
        "<a>\nx\n</a>"
    );
}

/// What each target takes.
#[test]
fn targets() {
    assert_eq!(
        write(r#"{"get-system-uptime-information":{}}"#, Target::Rpc).unwrap(),
        "<get-system-uptime-information/>"
    );
    assert_eq!(
        write(
            r#"{"command":"show version","@command":{"format":"text"}}"#,
            Target::Rpc
        )
        .unwrap(),
        r#"<command format="text">show version</command>"#
    );
    assert_eq!(
        write(r#"{"a":"1","b":["2","3"]}"#, Target::Arguments).unwrap(),
        "<a>1</a><b>2</b><b>3</b>"
    );
    assert_eq!(write("{}", Target::Arguments).unwrap(), "");
    assert_eq!(
        write(r#"{"configuration":{"system":null}}"#, Target::Filter).unwrap(),
        "<configuration><system/></configuration>"
    );
    for json in ["{}", r#"{"a":1,"b":2}"#, "[]", "1", r#"{"a":1}x"#, ""] {
        assert_eq!(pointer_of(json, Target::Rpc), "", "{json}");
    }
}

/// N11: also in this direction.
#[test]
fn depth_is_limited() {
    let deep = |depth: usize| format!("{}null{}", "{\"a\":".repeat(depth), "}".repeat(depth));
    assert!(write(&deep(100), Target::Document).is_ok());
    assert_eq!(pointer_of(&deep(101), Target::Document), "/a".repeat(101));
    assert_eq!(
        write(&deep(1_000_000), Target::Document)
            .unwrap_err()
            .1
            .split(" (")
            .next(),
        Some("nested too deeply")
    );
}

/// N11: what is written can be read under the same limits.
#[test]
fn names_and_attributes_are_limited() {
    let attributes = |count: usize| {
        let list: Vec<String> = (0..count).map(|n| format!("\"x{n}\":1")).collect();
        format!("{{\"r\":{{\"@\":{{\"xmlns\":\"urn:r\",{}}}}}}}", list.join(","))
    };
    assert!(write(&attributes(255), Target::Document).is_ok());
    assert_eq!(pointer_of(&attributes(256), Target::Document), "/r");
    let long = "n".repeat(1025);
    assert_eq!(
        pointer_of(&format!("{{\"{long}\":null}}"), Target::Document),
        format!("/{long}")
    );
    assert_eq!(
        pointer_of(&format!("{{\"r\":{{\"@\":{{\"{long}\":1}}}}}}"), Target::Document),
        format!("/r/@/{long}")
    );
}

/// W7: however many entries there are, each is found by its name.
#[test]
fn a_long_order_is_written() {
    let names: Vec<String> = (0..60_000).map(|n| format!("n{n}")).collect();
    let members: Vec<String> = names.iter().map(|name| format!("\"{name}\":null")).collect();
    let order: Vec<String> = names.iter().rev().map(|name| format!("\"{name}\"")).collect();
    let json = format!(
        "{{\"r\":{{{},\"#order\":[{}]}}}}",
        members.join(","),
        order.join(",")
    );
    let xml = document(&json);
    assert!(xml.starts_with("<r><n59999/><n59998/>") && xml.ends_with("<n1/><n0/></r>"));
}

/// N11: attributes are counted while they are read, not when all are.
#[test]
fn very_many_attributes_are_refused_as_soon_as_there_are_too_many() {
    let list: Vec<String> = (0..200_000).map(|n| format!("\"x{n}\":1")).collect();
    let json = format!("{{\"r\":{{\"@\":{{{}}}}}}}", list.join(","));
    assert_eq!(
        write(&json, Target::Document).unwrap_err(),
        ("/r/@".to_owned(), "too many attributes".to_owned())
    );
}

/// W8: however many roots there are, the metadata of each is found by its name.
#[test]
fn many_roots_with_a_namespace_beside_them() {
    let list: Vec<String> = (0..30_000)
        .map(|n| format!("\"n{n}\":\"1\",\"@n{n}\":{{\"xmlns\":\"urn:a\"}}"))
        .collect();
    let xml = write_with(&format!("{{{}}}", list.join(",")), EDIT, &junos()).unwrap();
    assert!(
        xml.starts_with("<n0 xmlns=\"urn:a\">1</n0>") && xml.ends_with("<n29999 xmlns=\"urn:a\">1</n29999>")
    );
}

/// J1 to J6 backwards.
#[test]
fn the_form_of_the_device() {
    let options = ToXmlOptions {
        mapping: Mapping::Junos,
        ..ToXmlOptions::default()
    };
    let json = r#"{"r":[{"attributes":{"xmlns":"urn:r","junos:style":"brief"},"a":[{"data":"1","attributes":{"x":"2"}},{"data":[null]},{}],"comment":"c","b":{"data":3}}]}"#;
    assert_eq!(
        write_with(json, Target::Document, &options).unwrap(),
        "<r xmlns=\"urn:r\" xmlns:junos=\"http://xml.juniper.net/junos/*/junos\" junos:style=\"brief\">\
         <a x=\"2\">1</a><a/><a></a><!-- c --><b>3</b></r>"
    );
    for (json, pointer) in [
        (r#"{"r":[]}"#, "/r"),
        (r#"{"r":["x"]}"#, "/r/0"),
        (r#"{"r":[{"a":[{"data":true}]}]}"#, "/r/0/a/0/data"),
        (r#"{"r":[{"data":"\u0002"}]}"#, "/r/0/data"),
        (r#"{"r":[{"a":[{}],"comment":"a -- b"}]}"#, "/r/0/comment"),
        (r#"{"attributes":{"x":"1"}}"#, "/attributes"),
        (r#"{"r":[{}],"data":[null]}"#, "/data"),
    ] {
        assert_eq!(
            write_with(json, Target::Document, &options).unwrap_err().0,
            pointer,
            "{json}"
        );
    }
}
