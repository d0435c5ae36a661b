//! Configurations, whose statements may be named as errors are, in the namespace of errors.

use super::*;

const XNM: &str = "xmlns=\"http://xml.juniper.net/xnm/1.1/xnm\"";
/// As Junos writes `set system syslog file messages any error` and its like.
const SYSLOG: &str = "<system><syslog><file><name>messages</name><contents><name>any</name><error/></contents>\
                      <contents><name>daemon</name><warning/></contents></file></syslog></system>";

/// M1: a statement is no error and no warning, wherever its configuration stands.
#[test]
fn statements_are_no_errors() {
    let bare = format!("<configuration {XNM} junos:changed-seconds=\"1\">{SYSLOG}</configuration>");
    let prefixed = SYSLOG
        .replace("</", "</c:")
        .replace('<', "<c:")
        .replace("<c:/c:", "</c:");
    for content in [
        bare.clone(),
        format!("<data>{bare}</data>"),
        format!(
            "<configuration {XNM}><groups><name>g</name>{SYSLOG}</groups><configuration/>{SYSLOG}</configuration>"
        ),
        format!("<rollback-information><ok/>{bare}</rollback-information>"),
        format!(
            "<multi-routing-engine-results><multi-routing-engine-item><re-name>re0</re-name>{bare}\
             </multi-routing-engine-item></multi-routing-engine-results>"
        ),
        format!("<x:a xmlns:x=\"urn:x\"><x:b>{bare}</x:b></x:a>"),
        format!(
            "<c:configuration xmlns:c=\"http://xml.juniper.net/xnm/1.1/xnm\">{prefixed}</c:configuration>"
        ),
    ] {
        let found = reply(&content);
        assert_eq!((found.errors.len(), found.warnings.len()), (0, 0), "{content}");
        assert_eq!(found.class, ReplyClass::Data, "{content}");
        assert!(found.has_payload && !found.is_error(), "{content}");
    }
}

/// M1: errors are found before, behind and inside a configuration: there they bring their namespace with them.
#[test]
fn errors_beside_statements_are_found() {
    let xnm = |name: &str, words: &str| {
        format!(
            "<xnm:{name} {XNM} xmlns:xnm=\"http://xml.juniper.net/xnm/1.1/xnm\"><message>{words}</message></xnm:{name}>"
        )
    };
    let (before, within, behind) = (
        xnm("error", "before"),
        xnm("error", "within"),
        xnm("warning", "behind"),
    );
    let found = reply(&format!(
        "{before}<configuration {XNM}>{SYSLOG}{within}<rpc-error><error-message>also</error-message></rpc-error>\
         {SYSLOG}</configuration>{behind}<error {XNM}><message>last</message></error>"
    ));
    let words = |list: &[RpcError]| -> Vec<String> {
        list.iter()
            .map(|error| error.error_message.clone().unwrap_or_default())
            .collect()
    };
    assert_eq!(words(&found.errors), ["before", "within", "also", "last"]);
    assert_eq!(words(&found.warnings), ["behind"]);
    assert!(found.is_partial());
    // What inherits the namespace from an envelope around it is an error, too.
    let inherited = scanned(&format!(
        "<rpc-reply {XNM}><configuration>{SYSLOG}</configuration><error><message>x</message></error></rpc-reply>"
    ));
    assert_eq!(words(&inherited.errors), ["x"]);
}

/// M1: operational data has elements of such names in namespaces of its own.
#[test]
fn operational_data_is_no_error() {
    for content in [
        "<a xmlns=\"http://xml.juniper.net/junos/21.4R1/junos-a\"><error>7</error><warning/></a>",
        "<data><s:log xmlns:s=\"urn:s\"><s:error/><s:warning>w</s:warning></s:log></data>",
    ] {
        let found = reply(content);
        assert_eq!((found.errors.len(), found.warnings.len()), (0, 0), "{content}");
        assert!(found.has_payload);
    }
}
