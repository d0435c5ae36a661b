//! S12, S13: what each action, format and option of an edit becomes on the wire, byte by byte, which is what its plan shows
//! (issue 3). `golden_marks` has the marks of elements, `golden_commits` the commits and whole configurations.

use ncgate::emulator::Profile;
use serde_json::{Value, json};

use crate::support::golden::{Golden, edited, golden, hold, loaded};

/// An interface of the demonstration, and more of it.
fn spare(more: Value) -> Value {
    let mut interface = json!({"name": "ge-0/0/3"});
    for (key, value) in more.as_object().expect("an object") {
        interface[key] = value.clone();
    }
    json!({"interfaces": {"interface": [interface]}})
}

/// The same as XML.
fn spare_xml(attributes: &str, more: &str) -> String {
    format!("<interfaces><interface{attributes}><name>ge-0/0/3</name>{more}</interface></interfaces>")
}

/// Design section 6: the table of actions, on Junos.
#[tokio::test]
async fn actions_on_junos() {
    let only = json!({"system": {"host-name": "only"}});
    let only_xml = "<system><host-name>only</host-name></system>";
    hold(
        Profile::Junos,
        vec![
            // W6: the key comes first, wherever the caller wrote it.
            golden(
                json!({"config": {"interfaces": {"interface": [{"mtu": 9000, "name": "ge-0/0/3"}]}}}),
                loaded("", &spare_xml("", "<mtu>9000</mtu>")),
            ),
            golden(
                json!({"action": "merge", "config": {"configuration": spare(json!({"mtu": "9000"}))}}),
                loaded("", &spare_xml("", "<mtu>9000</mtu>")),
            ),
            golden(
                json!({"action": "replace", "path": "interfaces/interface[name='ge-0/0/3']",
                       "config": spare(json!({"description": "new"}))}),
                loaded(
                    "replace",
                    &spare_xml(" replace=\"replace\"", "<description>new</description>"),
                ),
            ),
            golden(
                json!({"action": "override", "config": only, "whole_configuration": true}),
                loaded("override", only_xml),
            ),
            golden(
                json!({"action": "update", "config": only, "whole_configuration": true}),
                loaded("update", only_xml),
            ),
            golden(
                json!({"action": "none",
                       "config": spare(json!({"description": null, "@description": {"operation": "delete"}}))}),
                loaded("", &spare_xml("", "<description delete=\"delete\"/>")),
            ),
        ],
    )
    .await;
}

/// S12, W9: every format, from the body and from a file of the device.
#[tokio::test]
async fn formats_on_junos() {
    let text = |action: &str, text: &str| {
        format!(
            "<load-configuration {action}format=\"text\"><configuration-text>{text}</configuration-text>\
             </load-configuration>"
        )
    };
    let mut rows = vec![
        golden(
            json!({"format": "xml", "config": "<snmp><contact>a &amp; b</contact></snmp>"}),
            loaded("", "<snmp><contact>a &amp; b</contact></snmp>"),
        ),
        golden(
            json!({"format": "text", "config": "snmp {\n    contact \"a & <b>\";\n}\n"}),
            text("", "snmp {\n    contact \"a &amp; &lt;b&gt;\";\n}\n"),
        ),
        golden(
            json!({"format": "text", "action": "replace", "config": "replace: snmp { contact x; }"}),
            text("action=\"replace\" ", "replace: snmp { contact x; }"),
        ),
        golden(
            json!({"format": "text", "action": "override", "whole_configuration": true,
                   "config": "system { host-name only; }"}),
            text("action=\"override\" ", "system { host-name only; }"),
        ),
        golden(
            json!({"format": "set", "config": "set snmp contact \"]]>]]>\"\ndelete snmp location"}),
            "<load-configuration action=\"set\" format=\"text\"><configuration-set>set snmp contact \"]]&gt;]]&gt;\"\n\
             delete snmp location</configuration-set></load-configuration>",
        ),
        golden(
            json!({"format": "device_json", "config": "{\"configuration\":{\"snmp\":{\"contact\":\"x\"}}}"}),
            "<load-configuration format=\"json\"><configuration-json>{\"configuration\":{\"snmp\":{\"contact\":\"x\"}}}\
             </configuration-json></load-configuration>",
        ),
    ];
    for (url, format, attributes) in [
        ("/var/tmp/f.xml", "xml", "format=\"xml\""),
        ("/var/tmp/f.text", "text", "format=\"text\""),
        ("/var/tmp/f.set", "set", "action=\"set\" format=\"text\""),
        ("/var/tmp/f.json", "device_json", "format=\"json\""),
    ] {
        rows.push(golden(
            json!({"url": url, "format": format}),
            format!("<load-configuration url=\"{url}\" {attributes}/>"),
        ));
    }
    for (url, format, action) in [
        ("/var/tmp/f.xml", "xml", "override"),
        ("/var/tmp/f.xml", "xml", "update"),
        ("/var/tmp/f.text", "text", "override"),
        ("/var/tmp/f.json", "device_json", "update"),
    ] {
        let device_format = format.trim_start_matches("device_");
        rows.push(golden(
            json!({"url": url, "format": format, "action": action, "whole_configuration": true}),
            format!("<load-configuration url=\"{url}\" action=\"{action}\" format=\"{device_format}\"/>"),
        ));
    }
    rows.push(golden(
        json!({"url": "/var/tmp/f.xml", "format": "xml", "action": "merge"}),
        "<load-configuration url=\"/var/tmp/f.xml\" format=\"xml\"/>",
    ));
    rows.push(golden(
        json!({"url": "/var/tmp/f.set", "format": "set", "action": "set"}),
        "<load-configuration url=\"/var/tmp/f.set\" action=\"set\" format=\"text\"/>",
    ));
    hold(Profile::Junos, rows).await;
}

/// S12: what the device itself keeps, and texts that are replaced wherever they stand.
#[tokio::test]
async fn stored_configurations_and_patterns_on_junos() {
    hold(
        Profile::Junos,
        vec![
            golden(json!({"rollback": 1}), "<load-configuration rollback=\"1\"/>"),
            golden(json!({"rescue": true}), "<load-configuration rescue=\"rescue\"/>"),
            golden(
                json!({"replace_pattern": {"pattern": "customer", "with": "a & b"}}),
                "<load-configuration format=\"xml\"><configuration replace-pattern=\"customer\" with=\"a &amp; b\"/>\
                 </load-configuration>",
            ),
            golden(
                json!({"replace_pattern": {"pattern": "customer", "with": "client",
                                           "path": "interfaces/interface[name=ge-0/0/1]"}}),
                loaded(
                    "",
                    "<interfaces><interface replace-pattern=\"customer\" with=\"client\"><name>ge-0/0/1</name></interface>\
                     </interfaces>",
                ),
            ),
        ],
    )
    .await;
}

/// Rows of options that only `<edit-config>` has.
fn options(config: &Value, config_xml: &str, protocol: Value) -> Vec<Golden> {
    let row = |more: Value, default_operation: &str, options: &str| {
        let mut edit = json!({"config": config});
        for from in [&protocol, &more] {
            for (key, value) in from.as_object().into_iter().flatten() {
                edit[key] = value.clone();
            }
        }
        golden(
            edit,
            edited(
                default_operation,
                &format!("{options}<config>{config_xml}</config>"),
            ),
        )
    };
    let error = |word: &str| format!("<error-option>{word}</error-option>");
    vec![
        row(json!({}), "merge", ""),
        row(
            json!({"action": "override", "whole_configuration": true}),
            "replace",
            "",
        ),
        row(
            json!({"error_option": "stop-on-error"}),
            "merge",
            &error("stop-on-error"),
        ),
        row(
            json!({"error_option": "continue-on-error"}),
            "merge",
            &error("continue-on-error"),
        ),
        row(
            json!({"test_option": "set"}),
            "merge",
            "<test-option>set</test-option>",
        ),
        row(
            json!({"test_option": "test-then-set", "error_option": "stop-on-error"}),
            "merge",
            &format!(
                "<test-option>test-then-set</test-option>{}",
                error("stop-on-error")
            ),
        ),
    ]
}

/// S12, S13: `<edit-config>` on Junos, where it is asked for.
#[tokio::test]
async fn edit_config_on_junos() {
    let config = json!({"system": {"host-name": "only"}});
    let config_xml = "<configuration><system><host-name>only</host-name></system></configuration>";
    let mut rows = options(&config, config_xml, json!({"protocol": "rfc"}));
    rows.push(golden(
        json!({"url": "/var/tmp/f.xml", "format": "xml", "protocol": "rfc"}),
        edited("merge", "<url>/var/tmp/f.xml</url>"),
    ));
    rows.push(golden(
        json!({"url": "/var/tmp/f.xml", "format": "xml", "protocol": "rfc", "action": "override",
               "whole_configuration": true}),
        edited("replace", "<url>/var/tmp/f.xml</url>"),
    ));
    // What of the file is not marked, the server leaves alone.
    rows.push(golden(
        json!({"url": "/var/tmp/f.xml", "format": "xml", "protocol": "rfc", "action": "none"}),
        edited("none", "<url>/var/tmp/f.xml</url>"),
    ));
    hold(Profile::Junos, rows).await;
}

/// S12, S13: `<edit-config>` of RFC 6241, with what else this server offers.
#[tokio::test]
async fn edit_config_on_an_rfc_server() {
    let config = json!({"example-router:configuration": {"system": {"host-name": "only"}}});
    let config_xml = "<configuration xmlns=\"urn:example:router\"><system><host-name>only</host-name></system></configuration>";
    let mut rows = options(&config, config_xml, json!({}));
    rows.push(golden(
        json!({"config": config, "error_option": "rollback-on-error", "test_option": "test-only"}),
        edited(
            "merge",
            &format!(
                "<test-option>test-only</test-option><error-option>rollback-on-error</error-option>\
                 <config>{config_xml}</config>"
            ),
        ),
    ));
    rows.push(golden(
        json!({"format": "xml", "config": format!("<config>{config_xml}</config>")}),
        edited("merge", &format!("<config>{config_xml}</config>")),
    ));
    hold(Profile::Rfc, rows).await;
}
