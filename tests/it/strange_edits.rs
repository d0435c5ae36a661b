//! Edits that mean something else than they seem to: refused, or sent as what they are (W5, W8, X2, X8, H1).

use ncgate::emulator::Profile;
use serde_json::{Value, json};

use crate::support::doors::{DOORS, Door, bad, good};
use crate::support::{TestGateway, junos, listen};

fn planned(edit: &Value) -> Value {
    json!({"edits": [edit], "plan": true})
}

/// Stands for where a mark of the whole configuration is refused.
const MARKED: &str = "the configuration";

/// W5, W8: what stands beside the statements is about the configuration; that is one, and not left out without a word.
#[tokio::test]
async fn a_configuration_is_one_with_its_metadata() {
    let (gateway, device) = TestGateway::with_device(junos()).await;
    for (config, field) in [
        (
            json!({"@": {"operation": "delete"}, "snmp": {"contact": "x"}}),
            MARKED,
        ),
        (
            json!({"@": {"operation": "replace"}, "snmp": {"contact": "x"}}),
            MARKED,
        ),
        (
            json!({"@": {"operation": "boom"}, "snmp": {"contact": "x"}}),
            "edits.0.config.@.operation",
        ),
        (
            json!({"configuration": [{"snmp": {"contact": "x"}}, {"system": {"host-name": "y"}}]}),
            "edits.0.config.configuration",
        ),
        (json!({"configuration": []}), "edits.0.config.configuration"),
    ] {
        for door in DOORS {
            let body = planned(&json!({"config": config}));
            let refusal = bad(door, gateway.change(door, "mx1", body).await);
            assert_eq!(refusal.verdict(), ("invalid-argument", "not_sent"), "{refusal:?}");
            let field = match (field, door) {
                // The place in the document is told in words, which those of gRPC begin with.
                (MARKED, Door::Rest) => "edits.0.config",
                (MARKED, Door::Grpc) => "edits.0.config.configuration",
                (field, _) => field,
            };
            assert_eq!(refusal.fields, [field], "{refusal:?}");
        }
    }
    for door in DOORS {
        for (config, sent) in [
            (
                json!({"@": {"changed": "yes"}, "snmp": {"contact": "x"}}),
                "<configuration changed=\"yes\"><snmp><contact>x</contact></snmp></configuration>",
            ),
            (
                json!({"configuration": [{"snmp": {"contact": "x"}}]}),
                "<configuration><snmp><contact>x</contact></snmp></configuration>",
            ),
        ] {
            let body = planned(&json!({"config": config}));
            let plan = good(door, gateway.change(door, "mx1", body).await);
            let load = plan["rpcs"][2].as_str().expect("XML");
            assert!(load.contains(sent), "{load}");
        }
    }
    gateway.stop().await;
    device.stop().await;
}

/// X2: an attribute is a mark by its namespace, whatever its prefix is called.
#[tokio::test]
async fn a_foreign_attribute_is_no_operation() {
    let foreign = r#"<snmp xmlns:nc="urn:x" nc:operation="delete"/>"#;
    let root = r#"<configuration xmlns="urn:example:router">"#;
    for (profile, config, mark) in [
        (Profile::Junos, foreign.to_owned(), "delete=\"delete\""),
        (
            Profile::Rfc,
            format!("{root}{foreign}</configuration>"),
            "xmlns:nc=\"urn:ietf",
        ),
    ] {
        let (gateway, device) = TestGateway::with_device(junos().profile(profile)).await;
        for door in DOORS {
            let body = planned(&json!({"format": "xml", "config": config}));
            let plan = good(door, gateway.change(door, "mx1", body).await);
            let rpcs = plan["rpcs"].to_string().replace("\\\"", "\"");
            assert!(
                rpcs.contains(r#"<snmp xmlns:nc="urn:x" nc:operation="delete"/>"#),
                "{rpcs}"
            );
            assert!(!rpcs.contains(mark), "{rpcs}");
            // The real one beside it stays what it is.
            let real = config.replace(
                "<snmp ",
                "<snmp xmlns:o=\"urn:ietf:params:xml:ns:netconf:base:1.0\" o:operation=\"delete\" ",
            );
            let body = planned(&json!({"format": "xml", "config": real}));
            let plan = good(door, gateway.change(door, "mx1", body).await);
            let rpcs = plan["rpcs"].to_string().replace("\\\"", "\"");
            assert!(rpcs.contains(r#"nc:operation="delete""#), "{rpcs}");
            match profile {
                Profile::Junos => assert!(rpcs.contains("delete=\"delete\""), "{rpcs}"),
                _ => assert!(rpcs.contains(":operation=\"delete\" nc:operation"), "{rpcs}"),
            }
        }
        gateway.stop().await;
        device.stop().await;
    }
}

/// W3, design section 6: the device's own JSON is sent as it is, unless it would mean different things to different readers, or
/// takes the place of everything without being told so.
#[tokio::test]
async fn json_of_the_device_is_looked_at() {
    let (gateway, device) = TestGateway::with_device(junos()).await;
    for (config, field) in [
        (
            r#"{"configuration": {"snmp": {"contact": "a", "contact": "b"}}}"#,
            "edits.0.config.configuration.snmp.contact",
        ),
        (
            r#"{"configuration": {"@": {"operation": "delete"}, "snmp": {"contact": "a"}}}"#,
            "edits.0.config.configuration.@.operation",
        ),
        // The device would merge it.
        (
            r#"{"configuration": {"snmp": {"@": {"operation": "replace"}, "contact": "a"}}}"#,
            "edits.0.config.configuration.snmp.@.operation",
        ),
        (
            r#"{"configuration": {"snmp": "#,
            "edits.0.config.configuration.snmp",
        ),
    ] {
        for door in DOORS {
            let body = json!({"edits": [{"format": "device_json", "config": config}]});
            let refusal = bad(door, gateway.change(door, "mx1", body).await);
            assert_eq!(refusal.verdict(), ("invalid-argument", "not_sent"), "{refusal:?}");
            assert_eq!(refusal.fields, [field], "{refusal:?}");
        }
    }
    assert!(
        device
            .stats()
            .requests
            .iter()
            .all(|request| !request.contains("load-configuration"))
    );
    gateway.stop().await;
    device.stop().await;
}

/// Design section 6: what of a file is marked nobody here sees, and load-configuration would merge, and commit, what is not.
#[tokio::test]
async fn a_file_of_a_junos_device_is_neither_none_nor_replace() {
    let file = "<configuration><snmp><contact>x</contact></snmp></configuration>";
    let gateway = TestGateway::with(|settings| settings.device_urls = Some("file:".to_owned())).await;
    let device = listen(junos().file("file:///var/tmp/f", file)).await;
    gateway.add("mx1", &device, json!({})).await;
    for door in DOORS {
        for action in ["none", "replace"] {
            for format in ["json", "xml", "text", "device_json", "set"] {
                let edit = json!({"action": action, "format": format, "url": "file:///var/tmp/f"});
                let body = json!({"edits": [edit]});
                let refusal = bad(door, gateway.change(door, "mx1", body).await);
                assert_eq!(refusal.verdict(), ("invalid-argument", "not_sent"), "{refusal:?}");
                assert_eq!(refusal.fields, ["edits.0.action"], "{refusal:?}");
                let opened = good(door, gateway.open(door, "mx1", json!({})).await);
                let session = opened["id"].as_str().expect("an id");
                let refusal = bad(door, gateway.edit(door, "mx1", session, edit).await);
                assert_eq!(refusal.fields, ["action"], "{refusal:?}");
                good(door, gateway.close(door, "mx1", session).await);
            }
        }
    }
    assert_eq!(device.stats().count("load-configuration"), 0);
    gateway.stop().await;
    device.stop().await;
}

/// Design section 6: with `none` a mark that says something of an element alone does not let in what is in it.
#[tokio::test]
async fn none_acts_on_nothing_beside_the_marks() {
    let (gateway, device) = TestGateway::with_device(junos()).await;
    let interface = |marks: &Value, description: Value| {
        let mut interface = json!({"name": "ge-0/0/3", "@": marks});
        for (key, value) in description.as_object().expect("an object") {
            interface[key] = value.clone();
        }
        let config = json!({"interfaces": {"interface": [interface]}});
        planned(&json!({"action": "none", "config": config}))
    };
    let marks = [
        json!({"inactive": true}),
        json!({"active": true}),
        json!({"protect": true}),
        json!({"operation": "unprotect"}),
        json!({"rename": true, "name": "ge-0/0/9"}),
        json!({"insert": "first"}),
    ];
    for door in DOORS {
        for marks in &marks {
            let new = interface(marks, json!({"description": "NEW"}));
            let refusal = bad(door, gateway.change(door, "mx1", new).await);
            assert_eq!(refusal.verdict(), ("invalid-argument", "not_sent"), "{refusal:?}");
            assert!(
                refusal
                    .detail
                    .contains("/interface/description: is not marked, and load-configuration would merge it"),
                "{refusal:?}"
            );
            good(
                door,
                gateway.change(door, "mx1", interface(marks, json!({}))).await,
            );
            let both = json!({"description": null, "@description": {"operation": "delete"}});
            good(door, gateway.change(door, "mx1", interface(marks, both)).await);
        }
        for marks in [
            json!({"operation": "replace"}),
            json!({"replace": true, "inactive": true}),
        ] {
            let new = interface(&marks, json!({"description": "NEW"}));
            good(door, gateway.change(door, "mx1", new).await);
        }
    }
    gateway.stop().await;
    device.stop().await;
}

/// Design section 6: `replace` without a mark that anybody sees; X8: URLs that are read in more than one way.
#[tokio::test]
async fn urls_are_neither_replaced_with_nor_ambiguous() {
    let gateway =
        TestGateway::with(|settings| settings.device_urls = Some("file:,ftp://192.0.2.1".to_owned())).await;
    let device = listen(junos().profile(Profile::Rfc)).await;
    gateway.add("mx1", &device, json!({})).await;
    for door in DOORS {
        let edit = json!({"action": "replace", "format": "xml", "url": "file:///x"});
        let refusal = bad(door, gateway.change(door, "mx1", planned(&edit)).await);
        assert_eq!(refusal.verdict(), ("invalid-argument", "not_sent"), "{refusal:?}");
        assert_eq!(refusal.fields, ["edits.0.action"], "{refusal:?}");
        for url in [
            r"ftp://192.0.2.1\@evil.example/x",
            "ftp://192.0.2.1 @evil.example/x",
            "ftp://192.0.2.1\t/x",
        ] {
            let edit = json!({"format": "xml", "url": url});
            let refusal = bad(door, gateway.change(door, "mx1", planned(&edit)).await);
            assert_eq!(refusal.fields, ["edits.0.url"], "{refusal:?}");
            let body = json!({"source": {"url": url}, "target": "candidate", "plan": true});
            let refusal = bad(door, gateway.whole(door, "mx1", "copy", body).await);
            assert_eq!(refusal.fields, ["source.url"], "{refusal:?}");
        }
    }
    gateway.stop().await;
    device.stop().await;
}

/// W8, W10: what stands beside the configuration, or marks what is only around it, is not sent as something else.
#[tokio::test]
async fn what_is_around_or_beside_the_configuration_is_refused() {
    let (gateway, device) = TestGateway::with_device(junos()).await;
    let marked = r#"<config xmlns:nc="urn:ietf:params:xml:ns:netconf:base:1.0" nc:operation="replace"><snmp/></config>"#;
    for door in DOORS {
        for protocol in ["junos", "rfc"] {
            for (edit, words) in [
                (
                    json!({"format": "xml", "config": "<config><configuration/><snmp/></config>"}),
                    "/configuration: stands beside other roots",
                ),
                (
                    json!({"format": "xml", "config": "<config><snmp/><configuration/></config>"}),
                    "/configuration: stands beside other roots",
                ),
                (
                    json!({"format": "xml", "config": marked}),
                    "/config: is only around the configuration",
                ),
                (
                    json!({"format": "xml", "config": "<config replace=\"replace\"><snmp/></config>"}),
                    "/config: is only around the configuration",
                ),
            ] {
                let mut edit = edit;
                edit["protocol"] = json!(protocol);
                let refusal = bad(door, gateway.change(door, "mx1", planned(&edit)).await);
                assert_eq!(refusal.verdict(), ("invalid-argument", "not_sent"), "{refusal:?}");
                // Over gRPC the words begin with the place in the document.
                assert!(refusal.fields[0].starts_with("edits.0.config"), "{refusal:?}");
                assert!(refusal.detail.contains(words), "{refusal:?}");
            }
        }
        for config in [
            r#"{"configuration": {"system": {"host-name": "y"}}, "snmp": {"contact": "x"}}"#,
            r#"{"snmp": {"contact": "x"}, "configuration": {"system": {"host-name": "y"}}}"#,
        ] {
            let config: Value = serde_json::from_str(config).expect("JSON");
            let refusal = bad(
                door,
                gateway
                    .change(door, "mx1", planned(&json!({"config": config})))
                    .await,
            );
            assert_eq!(refusal.verdict(), ("invalid-argument", "not_sent"), "{refusal:?}");
            assert_eq!(refusal.fields, ["edits.0.config.configuration"], "{refusal:?}");
        }
        // What others note of it says nothing.
        let noted = r#"<config xmlns:x="urn:x" x:by="me"><snmp><contact>x</contact></snmp></config>"#;
        let edit = json!({"format": "xml", "config": noted});
        good(door, gateway.change(door, "mx1", planned(&edit)).await);
        // H1: a format of what has none.
        for edit in [
            json!({"rollback": 1, "format": "json"}),
            json!({"rescue": true, "format": "text"}),
            json!({"replace_pattern": {"pattern": "a", "with": "b"}, "format": "xml"}),
        ] {
            let refusal = bad(door, gateway.change(door, "mx1", planned(&edit)).await);
            assert_eq!(refusal.verdict(), ("invalid-argument", "not_sent"), "{refusal:?}");
            assert_eq!(refusal.fields, ["edits.0.format"], "{refusal:?}");
        }
    }
    gateway.stop().await;
    device.stop().await;
}

/// S7: what only load-configuration can do is refused with its own name where the device has none.
#[tokio::test]
async fn what_needs_load_configuration_is_named() {
    let (gateway, device) = TestGateway::with_device(junos().profile(Profile::Rfc)).await;
    for door in DOORS {
        for (edit, parameter) in [
            (
                json!({"format": "set", "config": "set snmp contact x"}),
                "format set",
            ),
            (
                json!({"format": "text", "config": "snmp { contact x; }"}),
                "format text",
            ),
            (json!({"rollback": 1}), "rollback"),
            (json!({"rescue": true}), "rescue"),
            (
                json!({"action": "update", "whole_configuration": true, "config": {"x:snmp": null}}),
                "action update",
            ),
            (json!({"protocol": "junos", "config": {"snmp": null}}), "protocol"),
        ] {
            let refusal = bad(door, gateway.change(door, "mx1", planned(&edit)).await);
            assert_eq!(
                refusal.verdict(),
                ("capability-missing", "not_sent"),
                "{refusal:?}"
            );
            for named in [
                "load-configuration",
                parameter,
                "http://xml.juniper.net/netconf/junos/1.0",
            ] {
                assert!(refusal.detail.contains(named), "{named}: {refusal:?}");
            }
        }
    }
    gateway.stop().await;
    device.stop().await;
}

/// S12: a list whose entries are written as one group has an order as well, and what is moved in it is a change.
#[tokio::test]
async fn entries_of_a_group_are_moved() {
    for door in DOORS {
        let (gateway, device) = TestGateway::with_device(junos()).await;
        for (insert, diff) in [
            ("before", "[edit system name-server]\n!    192.0.2.54;"),
            ("after", "[edit system name-server]\n!    192.0.2.53;"),
        ] {
            let lines = format!("insert system name-server 192.0.2.54 {insert} name-server 192.0.2.53");
            let body = json!({"edits": [{"format": "set", "config": lines}]});
            let change = good(door, gateway.change(door, "mx1", body.clone()).await);
            assert_eq!(
                (&change["state"], &change["diff"]),
                (&json!("committed"), &json!(diff)),
                "{change}"
            );
            let again = good(door, gateway.change(door, "mx1", body).await);
            assert_eq!(again["state"], "unchanged", "{again}");
        }
        gateway.stop().await;
        device.stop().await;
    }
}
