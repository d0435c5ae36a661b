//! W5, S12: what each mark of an element becomes on the wire, byte by byte, which is what its plan shows (issue 3): rename,
//! insert, activate and deactivate, protect and unprotect, and the operations of RFC 6241 section 7.2.

use ncgate::emulator::Profile;
use serde_json::{Value, json};

use crate::support::golden::{Golden, NC, YANG, edited, golden, hold, loaded};

/// An interface of the demonstration with these marks, and a description where there is one.
fn spare(marks: Value, description: Option<&str>) -> Value {
    let mut interface = json!({"@": marks, "name": "ge-0/0/3"});
    if let Some(description) = description {
        interface["description"] = json!(description);
    }
    json!({"interfaces": {"interface": [interface]}})
}

fn spare_xml(attributes: &str, more: &str) -> String {
    format!("<interfaces><interface {attributes}><name>ge-0/0/3</name>{more}</interface></interfaces>")
}

/// A term of a policy of the demonstration, which has the terms `bogons` and `default` in this order.
fn term(marks: Value, name: &str) -> Value {
    let term = json!({"@": marks, "name": name});
    json!({"policy-options": {"policy-statement": [{"name": "from-transit", "term": [term]}]}})
}

fn term_xml(attributes: &str, name: &str) -> String {
    format!(
        "<policy-options><policy-statement><name>from-transit</name><term {attributes}><name>{name}</name></term>\
         </policy-statement></policy-options>"
    )
}

/// A neighbor that is inactive.
fn neighbor(marks: Value) -> Value {
    let neighbor = json!({"@": marks, "name": "198.51.100.13"});
    json!({"protocols": {"bgp": {"group": [{"name": "transit", "neighbor": [neighbor]}]}}})
}

const NEIGHBOR: &str = "<protocols><bgp><group><name>transit</name><neighbor active=\"active\">\
                        <name>198.51.100.13</name></neighbor></group></bgp></protocols>";

fn config(config: Value) -> Value {
    json!({"config": config})
}

/// Marks that Junos alone has, as operations and as its own attributes, which mean the same.
#[tokio::test]
async fn junos_marks_in_load_configuration() {
    let mut rows = Vec::new();
    for marks in [
        json!({"operation": "rename", "name": "ge-0/0/9"}),
        json!({"rename": true, "name": "ge-0/0/9"}),
        json!({"rename": "rename", "name": "ge-0/0/9"}),
    ] {
        rows.push(golden(
            config(spare(marks, None)),
            loaded("", &spare_xml("rename=\"rename\" name=\"ge-0/0/9\"", "")),
        ));
    }
    for (insert, referent) in [("first", None), ("before", Some("bogons"))] {
        let mut marks = json!({"insert": insert});
        let mut attributes = format!("insert=\"{insert}\"");
        if let Some(referent) = referent {
            marks["name"] = json!(referent);
            attributes += &format!(" name=\"{referent}\"");
        }
        rows.push(golden(
            config(term(marks, "default")),
            loaded("", &term_xml(&attributes, "default")),
        ));
    }
    rows.push(golden(
        config(term(json!({"insert": "last"}), "bogons")),
        loaded("", &term_xml("insert=\"last\"", "bogons")),
    ));
    rows.push(golden(
        config(term(json!({"insert": "after", "name": "default"}), "bogons")),
        loaded("", &term_xml("insert=\"after\" name=\"default\"", "bogons")),
    ));
    for (marks, attributes) in [
        (json!({"operation": "deactivate"}), "inactive=\"inactive\""),
        (json!({"inactive": true}), "inactive=\"inactive\""),
        (json!({"operation": "protect"}), "protect=\"protect\""),
        (json!({"protect": true}), "protect=\"protect\""),
    ] {
        rows.push(golden(
            config(spare(marks, None)),
            loaded("", &spare_xml(attributes, "")),
        ));
    }
    for marks in [json!({"operation": "activate"}), json!({"active": true})] {
        rows.push(golden(config(neighbor(marks)), loaded("", NEIGHBOR)));
    }
    let protected = || config(spare(json!({"protect": true}), None));
    for marks in [json!({"operation": "unprotect"}), json!({"unprotect": true})] {
        let unprotect = golden(
            config(spare(marks, None)),
            loaded("", &spare_xml("unprotect=\"unprotect\"", "")),
        );
        rows.push(unprotect.after(protected()));
    }
    // Together with another change.
    rows.push(golden(
        config(spare(json!({"inactive": true}), Some("out of order"))),
        loaded(
            "",
            &spare_xml("inactive=\"inactive\"", "<description>out of order</description>"),
        ),
    ));
    hold(Profile::Junos, rows).await;
}

/// The operations of RFC 6241 in load-configuration; `create` has no form there.
#[tokio::test]
async fn operations_in_load_configuration() {
    let leaf = |operation: &str| {
        json!({"interfaces": {"interface": [
            {"name": "ge-0/0/3", "description": null, "@description": {"operation": operation}},
        ]}})
    };
    let gone = "<interfaces><interface><name>ge-0/0/3</name><description delete=\"delete\"/></interface></interfaces>";
    let replaced = spare_xml("replace=\"replace\"", "<description>new</description>");
    let of_arrays = json!({"system": {"login": {"class": [{
        "name": "watcher",
        "permissions": ["network", "clear"],
        "@permissions": [{"operation": "delete"}, null],
    }]}}});
    let raw = "<snmp xmlns:o=\"urn:ietf:params:xml:ns:netconf:base:1.0\"><contact o:operation=\"remove\"/>\
               <location>x</location></snmp>";
    hold(
        Profile::Junos,
        vec![
            golden(config(leaf("delete")), loaded("", gone)),
            golden(config(leaf("remove")), loaded("", gone)),
            golden(
                config(spare(json!({"delete": true}), None)),
                loaded("", &spare_xml("delete=\"delete\"", "")),
            ),
            golden(
                config(spare(json!({"operation": "replace"}), Some("new"))),
                loaded("replace", &replaced),
            ),
            golden(
                json!({"action": "replace", "config": spare(json!({"replace": true}), Some("new"))}),
                loaded("replace", &replaced),
            ),
            // What it does anyway.
            golden(
                config(spare(json!({"operation": "merge"}), Some("new"))),
                loaded("", &spare_xml("", "<description>new</description>").replace("interface >", "interface>")),
            ),
            golden(
                config(of_arrays),
                loaded(
                    "",
                    "<system><login><class><name>watcher</name><permissions delete=\"delete\">network</permissions>\
                     <permissions>clear</permissions></class></login></system>",
                ),
            ),
            golden(
                json!({"format": "xml", "config": raw}),
                loaded("", &raw.replace("o:operation=\"remove\"", "delete=\"delete\"")),
            ),
        ],
    )
    .await;
}

/// Each operation at an element of a configuration, by the bytes of the element.
fn operations(wrap: impl Fn(Value) -> Value, wrapped: impl Fn(&str) -> String) -> Vec<Golden> {
    let snmp = |snmp: Value| wrap(json!({"snmp": snmp}));
    let row = |json: Value, xml: String| {
        let content = wrapped(&format!("<snmp>{xml}</snmp>"));
        golden(json, edited("merge", &format!("<config>{content}</config>")))
    };
    let leaf = |operation: &str| snmp(json!({"contact": "x", "@contact": {"operation": operation}}));
    let leaf_xml = |operation: &str| format!("<contact {NC} nc:operation=\"{operation}\">x</contact>");
    let entry =
        |operation: &str| snmp(json!({"community": [{"@": {"operation": operation}, "name": "new"}]}));
    let entry_xml = |operation: &str| {
        format!("<community {NC} nc:operation=\"{operation}\"><name>new</name></community>")
    };
    let empty = |operation: &str| snmp(json!({"contact": null, "@contact": {"nc:operation": operation}}));
    let empty_xml = |operation: &str| format!("<contact {NC} nc:operation=\"{operation}\"/>");
    vec![
        row(leaf("merge"), leaf_xml("merge")),
        row(leaf("replace"), leaf_xml("replace")),
        row(entry("create"), entry_xml("create")),
        row(empty("delete"), empty_xml("delete")),
        row(empty("remove"), empty_xml("remove")),
        row(entry("remove"), entry_xml("remove")),
    ]
}

/// RFC 6241 section 7.2, with `none` for what is not marked, and RFC 7950 section 7.8.6.
#[tokio::test]
async fn marks_in_edit_config_of_an_rfc_server() {
    let of = |config: Value| json!({"config": {"example-router:configuration": config}});
    let xml =
        |content: &str| format!("<configuration xmlns=\"urn:example:router\">{content}</configuration>");
    let mut rows = operations(of, xml);
    rows.push(golden(
        json!({"action": "none", "config": {"example-router:configuration": {
            "snmp": {"contact": null, "@contact": {"operation": "delete"}},
        }}}),
        edited(
            "none",
            &format!(
                "<config>{}</config>",
                xml(&format!("<snmp><contact {NC} nc:operation=\"delete\"/></snmp>"))
            ),
        ),
    ));
    rows.push(golden(
        json!({"action": "replace", "path": "configuration/snmp",
               "config": {"example-router:configuration": {"snmp": {"contact": "x"}}}}),
        edited(
            "merge",
            &format!(
                "<config>{}</config>",
                xml(&format!(
                    "<snmp {NC} nc:operation=\"replace\"><contact>x</contact></snmp>"
                ))
            ),
        ),
    ));
    for (marks, attributes, name) in [
        (json!({"insert": "first"}), "yang:insert=\"first\"", "default"),
        (json!({"insert": "last"}), "yang:insert=\"last\"", "bogons"),
        (
            json!({"insert": "before", "key": "[name='bogons']"}),
            "yang:insert=\"before\" yang:key=\"[name='bogons']\"",
            "default",
        ),
        (
            json!({"yang:insert": "after", "yang:key": "[name='default']"}),
            "yang:insert=\"after\" yang:key=\"[name='default']\"",
            "bogons",
        ),
    ] {
        let content = xml(&term_xml(&format!("{YANG} {attributes}"), name));
        rows.push(golden(
            of(term(marks, name)),
            edited("merge", &format!("<config>{content}</config>")),
        ));
    }
    // The entry of a leaf-list is named by its value.
    let inserted = json!({"system": {"login": {"class": [{
        "name": "watcher",
        "permissions": ["clear"],
        "@permissions": [{"insert": "after", "value": "network"}],
    }]}}});
    let content = xml(&format!(
        "<system><login><class><name>watcher</name><permissions {YANG} yang:insert=\"after\" yang:value=\"network\">\
         clear</permissions></class></login></system>"
    ));
    rows.push(golden(
        of(inserted),
        edited("merge", &format!("<config>{content}</config>")),
    ));
    hold(Profile::Rfc, rows).await;
}

/// On Junos `<edit-config>` takes the operations of the RFC, and beside them the marks of Junos.
#[tokio::test]
async fn marks_in_edit_config_on_junos() {
    let of = |config: Value| json!({"protocol": "rfc", "config": config});
    let xml = |content: &str| format!("<configuration>{content}</configuration>");
    let mut rows = operations(of, xml);
    for (config, content) in [
        (
            term(json!({"insert": "before", "name": "bogons"}), "default"),
            term_xml("insert=\"before\" name=\"bogons\"", "default"),
        ),
        (
            spare(json!({"operation": "deactivate"}), None),
            spare_xml("inactive=\"inactive\"", ""),
        ),
        (
            spare(json!({"operation": "protect"}), None),
            spare_xml("protect=\"protect\"", ""),
        ),
        (
            spare(json!({"operation": "rename", "name": "ge-0/0/9"}), None),
            spare_xml("rename=\"rename\" name=\"ge-0/0/9\"", ""),
        ),
        (neighbor(json!({"operation": "activate"})), NEIGHBOR.to_owned()),
    ] {
        rows.push(golden(
            of(config),
            edited("merge", &format!("<config>{}</config>", xml(&content))),
        ));
    }
    hold(Profile::Junos, rows).await;
}
