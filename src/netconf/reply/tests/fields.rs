//! What the fields of an error hold.

use super::*;

/// S18: every field of RFC 6241 section 4.3, in an nc: prefixed reply too (S16).
#[test]
fn rfc_errors_are_read_whole() {
    let scan = scanned(
        "<nc:rpc-reply xmlns:nc=\"urn:ietf:params:xml:ns:netconf:base:1.0\" message-id=\"1\"><nc:rpc-error>\
         <nc:error-type>protocol</nc:error-type><nc:error-tag>bad-element</nc:error-tag>\
         <nc:error-severity>error</nc:error-severity><nc:error-app-tag>tag</nc:error-app-tag>\
         <nc:error-path xmlns:e=\"urn:e\">/e:a[e:b='1']</nc:error-path>\
         <nc:error-message xml:lang=\"en\">\n&lt;a> is <![CDATA[b & c]]>\n</nc:error-message>\
         <nc:error-info><nc:bad-element>a</nc:bad-element>\
         <x:y xmlns:x=\"urn:x\" x:z=\"&lt;\"><x:empty/>t&amp;u</x:y></nc:error-info>\
         </nc:rpc-error></nc:rpc-reply>",
    );
    assert_eq!(
        scan.errors,
        [RpcError {
            error_type: Some("protocol".into()),
            error_tag: Some("bad-element".into()),
            error_severity: Some("error".into()),
            error_app_tag: Some("tag".into()),
            error_path: Some("/e:a[e:b='1']".into()),
            error_path_namespaces: vec![("e".into(), "urn:e".into())],
            error_message: Some("<a> is b & c".into()),
            error_info: Some(
                "<nc:bad-element xmlns:nc=\"urn:ietf:params:xml:ns:netconf:base:1.0\">a</nc:bad-element><x:y xmlns:x=\"urn:x\" x:z=\"&lt;\"><x:empty/>t&amp;u</x:y>".into()
            ),
            bad_element: Some("a".into()),
            source_daemon: None,
            member: None,
        }]
    );
    assert!(scan.is_error() && !scan.truncated);
}

/// S18: nothing of a message is lost, whether it is said twice or marked up.
#[test]
fn messages_are_whole() {
    let message = |content: &str| {
        let scan = reply(&format!("<rpc-error>{content}</rpc-error>"));
        scan.errors[0].error_message.clone().unwrap_or_default()
    };
    assert_eq!(
        message("<error-message>one</error-message><error-message xml:lang=\"de\">zwei</error-message>"),
        "one\nzwei"
    );
    assert_eq!(message("<error-message>a<b>c</b>d</error-message>"), "acd");
    assert_eq!(message("<error-message>a</error-message><error-message/>"), "a");
}

/// S18: the content of error-info can be read by itself, and the prefixes of a path are told.
#[test]
fn prefixes_of_errors_are_told() {
    for (error, info) in [
        (
            "<error-info><x:foo x:a=\"1\"><x:b/></x:foo><x:c/></error-info>",
            "<x:foo xmlns:x=\"urn:x\" x:a=\"1\"><x:b/></x:foo><x:c xmlns:x=\"urn:x\"/>",
        ),
        (
            "<error-info xmlns:y=\"urn:y\"><y:foo/></error-info>",
            "<y:foo xmlns:y=\"urn:y\"/>",
        ),
        (
            "<error-info><a y:b=\"1\" xmlns:y=\"urn:y\" xml:lang=\"en\"/><x:a xmlns:x=\"urn:other\"/></error-info>",
            "<a xmlns:y=\"urn:y\" y:b=\"1\" xml:lang=\"en\"/><x:a xmlns:x=\"urn:other\"/>",
        ),
        (
            "<error-info><f xmlns=\"urn:f\"><g/></f><bad-element>h</bad-element></error-info>",
            "<f xmlns=\"urn:f\"><g/></f><bad-element>h</bad-element>",
        ),
        (
            "<x:error-info xmlns:x=\"urn:ietf:params:xml:ns:netconf:base:1.0\" xmlns=\"urn:f\"><f><g/></f></x:error-info>",
            "<f xmlns=\"urn:f\"><g/></f>",
        ),
    ] {
        let xml = format!("<rpc-reply {JUNOS} xmlns:x=\"urn:x\"><rpc-error>{error}</rpc-error></rpc-reply>");
        let scan = scanned(&xml);
        assert_eq!(scan.errors[0].error_info.as_deref(), Some(info), "{error}");
        crate::xml::tree::Element::parse(&format!("<r>{info}</r>"), &Limits::default())
            .expect("it stands alone");
    }
    let path = |error: &str| {
        let xml = format!("<rpc-reply {JUNOS} xmlns:x=\"urn:x\" xmlns:z=\"urn:z\">{error}</rpc-reply>");
        let error = scanned(&xml).errors[0].clone();
        let pairs = error.error_path_namespaces.into_iter();
        pairs
            .map(|(prefix, uri)| format!("{prefix}={uri}"))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        path(
            "<rpc-error><error-path xmlns:ns1=\"urn:1\" xmlns:x=\"urn:inner\">ns1:a/x:b[ns1:k='junos:1']/child::z/c:d\
             </error-path></rpc-error>"
        ),
        [
            "ns1=urn:1",
            "x=urn:inner",
            "junos=http://xml.juniper.net/junos/21.4R1/junos"
        ]
    );
    assert!(path("<rpc-error><error-path>[edit interfaces ge-0/0/0]</error-path></rpc-error>").is_empty());
    assert!(path("<rpc-error><error-message>x:a</error-message></rpc-error>").is_empty());
}
