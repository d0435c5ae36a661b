//! Hostile configuration (threats 11 to 13): whatever a body holds, it becomes one message on the wire, or it is
//! refused before anything is sent.

use serde_json::{Value, json};

use crate::support::doors::{DOORS, Door};
use crate::support::judged::{holdings, is_free};
use crate::support::{TestGateway, junos};

const END: &str = "]]>]]>";

/// Bodies that must be refused.
fn refused() -> Vec<(&'static str, Value)> {
    let xml = |text: &str| json!({"edits": [{"format": "xml", "config": text}]});
    let json_edit = |config: Value| json!({"edits": [{"config": config}]});
    vec![
        ("a name with markup", json_edit(json!({"system": {"a><b": "x"}}))),
        (
            "a name with a blank",
            json_edit(json!({"system": {"a b=\"c\"": "x"}})),
        ),
        ("a NUL", json_edit(json!({"system": {"host-name": "a\u{0}b"}}))),
        (
            "an escape",
            json_edit(json!({"system": {"host-name": "a\u{1b}b"}})),
        ),
        (
            "a NUL in set lines",
            json!({"edits": [{"format": "set", "config": "set a \u{0}"}]}),
        ),
        (
            "a document type",
            xml("<!DOCTYPE x [<!ENTITY e 'v'>]><system>&e;</system>"),
        ),
        (
            "an external entity",
            xml("<!DOCTYPE x SYSTEM 'file:///etc/passwd'><system/>"),
        ),
        ("an undefined entity", xml("<system>&e;</system>")),
        ("a character that is none", xml("<system>&#0;</system>")),
        ("an instruction", xml("<?php x?><system/>")),
        ("another XML", xml("<?xml version=\"1.1\"?><system/>")),
        (
            "another encoding",
            xml("<?xml version=\"1.0\" encoding=\"utf-16\"?><system/>"),
        ),
        (
            "a member twice in the device's own JSON",
            json!({"edits": [{
                "format": "device_json",
                "config": "{\"configuration\":{\"snmp\":{\"contact\":\"a\",\"contact\":\"b\"}}}",
            }]}),
        ),
        ("two roots", xml("<system/><snmp/>")),
        ("an open element", xml("<system><host-name>x</system>")),
        (
            "an end of message in a comment",
            xml("<system><!-- ]]>]]> --></system>"),
        ),
        ("an end of message in an attribute", xml("<system a=\"]]>]]>\"/>")),
        ("an end of message in text", xml("<system>]]>]]></system>")),
        ("an undeclared prefix", xml("<a:system/>")),
        (
            "a comment with a NUL",
            json!({
                "edits": [{"format": "set", "config": "set snmp contact x"}], "commit": {"comment": "a\u{0}"}
            }),
        ),
    ]
}

/// Bodies that hold ends of messages and markup as plain text: they are carried, escaped.
fn carried() -> Vec<(&'static str, Value)> {
    let hostile = format!("x {END}<rpc message-id=\"9\"><kill-session/></rpc>{END} & \"'");
    vec![
        (
            "JSON text",
            json!({"edits": [{"config": {"snmp": {"contact": hostile}}}]}),
        ),
        (
            "JSON attribute",
            json!({"edits": [{"config": {"snmp": {"@": {"x": hostile}, "contact": "x"}}}]}),
        ),
        (
            "set lines",
            json!({"edits": [{"format": "set", "config": format!("set snmp contact \"{END}\"")}]}),
        ),
        (
            "configuration text",
            json!({"edits": [{"format": "text", "config": format!("snmp {{ contact \"{END}\"; }}")}]}),
        ),
        (
            "a comment",
            json!({
                "edits": [{"format": "set", "config": "set snmp location y"}], "commit": {"comment": hostile}
            }),
        ),
        (
            "CDATA",
            json!({"edits": [{"format": "xml", "config": "<snmp><contact><![CDATA[a ]]]]><![CDATA[> <b>]]></contact></snmp>"}]}),
        ),
    ]
}

/// Threats 11, 13, X1, X2: what cannot be sent as it is meant is refused, and nothing is sent.
#[tokio::test]
async fn hostile_configuration_is_refused() {
    let (gateway, device) = TestGateway::with_device(junos()).await;
    let before = holdings(&device);
    for door in DOORS {
        for (what, body) in refused() {
            let refusal = match gateway.change(door, "mx1", body).await {
                Err(refusal) => refusal,
                Ok(change) => panic!("{door:?}: {what}: {change}"),
            };
            assert_eq!(
                refusal.verdict(),
                ("invalid-argument", "not_sent"),
                "{door:?}: {what}: {refusal:?}"
            );
            assert!(!refusal.fields.is_empty(), "{what}");
        }
    }
    assert_eq!(device.stats().count("load-configuration"), 0);
    assert_eq!(device.stats().count("lock"), 0);
    assert_eq!(holdings(&device), before);
    gateway.stop().await;
    device.stop().await;
}

/// Threat 12, X1: an end of message inside a body is text; each RPC stays one message.
#[tokio::test]
async fn hostile_text_stays_text() {
    for door in [Door::Rest, Door::Grpc] {
        for (what, body) in carried() {
            let (gateway, device) = TestGateway::with_device(junos()).await;
            let mut dry = body.clone();
            dry["validate"] = json!(false);
            // Whether the device likes it is its matter.
            let answered = gateway.change(door, "mx1", dry).await;
            let stats = device.stats();
            assert_eq!(stats.count("kill-session"), 0, "{what}");
            for request in &stats.requests {
                assert_eq!(request.matches("<rpc ").count(), 1, "{what}: {request}");
                assert!(!request.contains(END), "{what}: {request}");
            }
            let refused = answered
                .as_ref()
                .is_err_and(|refusal| refusal.verdict() == ("invalid-argument", "not_sent"));
            let sent = u64::from(!refused);
            assert_eq!(stats.count("load-configuration"), sent, "{what}: {answered:?}");
            assert!(is_free(&device), "{what}");
            gateway.stop().await;
            device.stop().await;
        }
    }
}
