//! What capabilities of real hellos are taken for.

use super::*;

/// What a Junos device sends by default: everything twice, under both prefixes.
fn junos() -> Capabilities {
    Capabilities::new([
        "urn:ietf:params:netconf:base:1.0",
        "urn:ietf:params:netconf:capability:candidate:1.0",
        "urn:ietf:params:netconf:capability:confirmed-commit:1.0",
        "urn:ietf:params:netconf:capability:validate:1.0",
        "urn:ietf:params:netconf:capability:url:1.0?scheme=http,ftp,file",
        "urn:ietf:params:xml:ns:netconf:base:1.0",
        "urn:ietf:params:xml:ns:netconf:capability:candidate:1.0",
        "urn:ietf:params:xml:ns:netconf:capability:url:1.0?protocol=http,ftp,file,SCP",
        "http://xml.juniper.net/netconf/junos/1.0",
        "http://xml.juniper.net/dmi/system/1.0",
    ])
}

/// S5: the Junos table.
#[test]
fn junos_capabilities_are_recognised_once() {
    let found = junos();
    assert_eq!(
        found.known(),
        [
            Capability::Base10,
            Capability::Candidate,
            Capability::ConfirmedCommit10,
            Capability::Validate10,
            Capability::Url,
            Capability::JunosXml,
            Capability::Dmi,
        ]
    );
    assert!(found.is_junos());
    assert_eq!(found.url_schemes(), ["http", "ftp", "file", "scp"]);
    assert_eq!(found.uris().count(), 10);
    assert_eq!(
        found.uris().nth(7),
        Some("urn:ietf:params:xml:ns:netconf:capability:url:1.0?protocol=http,ftp,file,SCP")
    );
}

/// S5: a device that knows only the old prefix.
#[test]
fn old_prefix_counts() {
    let found = Capabilities::new([
        "urn:ietf:params:xml:ns:netconf:base:1.0",
        "urn:ietf:params:xml:ns:netconf:capability:confirmed-commit:1.0",
        "urn:ietf:params:xml:ns:netconf:base:1.1",
    ]);
    assert_eq!(found.known(), [Capability::Base10, Capability::ConfirmedCommit10]);
}

/// S5: a YANG module whose namespace has the old prefix is no capability.
#[test]
fn yang_modules_are_parsed() {
    let found = Capabilities::new([
        " urn:ietf:params:xml:ns:netconf:base:1.0?module=ietf-netconf&revision=2011-06-01&features=candidate,url ",
        "urn:example:a?module=a",
        "http://example.net/b?revision=2020-01-02&module=b&deviations=c,d",
        "urn:ietf:params:xml:ns:yang:ietf-netconf-monitoring?module=ietf-netconf-monitoring&amp;revision=2010-10-04",
        "urn:example:unknown",
    ]);
    assert_eq!(found.known(), [Capability::Monitoring]);
    let modules: Vec<_> = found.modules().collect();
    assert_eq!(modules.len(), 4);
    assert_eq!(
        modules[0],
        YangModule {
            name: "ietf-netconf".into(),
            revision: Some("2011-06-01".into()),
            namespace: "urn:ietf:params:xml:ns:netconf:base:1.0".into(),
            features: vec!["candidate".into(), "url".into()],
            deviations: vec![],
        }
    );
    assert_eq!((modules[1].name.as_str(), &modules[1].revision), ("a", &None));
    assert_eq!(
        (modules[2].namespace.as_str(), modules[2].deviations.as_slice()),
        ("http://example.net/b", &["c".to_owned(), "d".to_owned()][..])
    );
    assert_eq!(modules[3].revision.as_deref(), Some("2010-10-04"));
    assert_eq!(found.unknown().collect::<Vec<_>>(), ["urn:example:unknown"]);
}

/// S5: every capability of the table by its registered name, and the misspelling.
#[test]
fn registered_names_are_recognised() {
    for capability in Capability::ALL {
        let found = Capabilities::new([capability.uri()]);
        assert_eq!(found.known(), [capability]);
        assert!(found.has_uri(capability.uri()));
    }
    let misspelt = Capabilities::new(["urn:ietf:params:netconf:capability:writeable-running:1.0"]);
    assert!(misspelt.has(Capability::WritableRunning));
    assert!(
        Capabilities::new([
            "urn:ietf:params:netconf:capability:yang-library:1.1?revision=2019-01-04&content-id=1"
        ])
        .has(Capability::YangLibrary)
    );
    assert_eq!(Capabilities::new([" ", ""]).uris().count(), 0);
}

/// S7: a refused operation names what is missing.
#[test]
fn missing_capabilities_are_named() {
    let found = junos();
    assert_eq!(
        found.require(Capability::Candidate, "get-config", "source candidate"),
        Ok(())
    );
    let missing = found
        .require(Capability::Xpath, "get-config", "xpath")
        .expect_err("xpath is not offered");
    assert_eq!(
        missing.to_string(),
        "get-config with xpath needs capability urn:ietf:params:netconf:capability:xpath:1.0, which the device does not offer"
    );
    let missing = Capabilities::default().require(Capability::JunosXml, "command", "command");
    let words = missing.expect_err("is not offered").to_string();
    assert!(words.starts_with("command needs capability "), "{words}");
    assert_eq!(
        found.require_any(
            &[Capability::Validate11, Capability::Validate10],
            "validate",
            "source"
        ),
        Ok(())
    );
    assert!(
        found
            .require_any(&[Capability::Startup], "get-config", "source")
            .is_err()
    );
}

/// S5, S7: the scheme of a URL must be one that the device lists.
#[test]
fn url_schemes_are_checked() {
    let found = junos();
    assert_eq!(found.require_url("FTP://h/f", "get-config", "url"), Ok(()));
    assert_eq!(found.require_url("/var/tmp/f", "get-config", "url"), Ok(()));
    let missing = found
        .require_url("https://h/f", "get-config", "url")
        .expect_err("https is not listed");
    assert_eq!(
        missing.capability,
        "urn:ietf:params:netconf:capability:url:1.0?scheme=https"
    );
    assert_eq!(
        Capabilities::new([Capability::Url.uri()]).require_url("https://h/f", "get-config", "url"),
        Ok(())
    );
    assert!(
        Capabilities::default()
            .require_url("https://h/f", "get-config", "url")
            .is_err()
    );
}

/// S5: basic mode and further modes of with-defaults.
#[test]
fn with_defaults_modes_are_parsed() {
    let found = Capabilities::new([
        "urn:ietf:params:netconf:capability:with-defaults:1.0?basic-mode=explicit&also-supported=trim,report-all",
    ]);
    let support = found.with_defaults().expect("the capability is there");
    assert_eq!(support.basic_mode.as_deref(), Some("explicit"));
    assert!(support.offers("explicit") && support.offers("trim") && support.offers("report-all"));
    assert!(!support.offers("report-all-tagged"));
    assert_eq!(junos().with_defaults(), None);
}

/// S7: under the policy `ignore` the device judges for itself.
#[test]
fn unchecked_capabilities_let_everything_pass() {
    let found = junos().unchecked();
    assert_eq!(
        found.require(Capability::Startup, "get-config", "source startup"),
        Ok(())
    );
    assert_eq!(
        found.require_url("https://h/f", "get-config", "source url"),
        Ok(())
    );
    assert_eq!(
        found.require_with_defaults("trim", "get", "with_defaults"),
        Ok(())
    );
    assert!(
        !found.has(Capability::Startup),
        "what the device said stays what it is"
    );
}

/// S7: required capabilities as people write them.
#[test]
fn required_uris_match_any_spelling() {
    let found = Capabilities::new([
        "urn:ietf:params:xml:ns:netconf:capability:candidate:1.0",
        "urn:example:a?module=a&revision=1",
    ]);
    assert!(found.has_uri("urn:ietf:params:netconf:capability:candidate:1.0"));
    assert!(found.has_uri("urn:example:a") && found.has_uri("urn:example:a?module=a&revision=1"));
    assert!(!found.has_uri("urn:example:a?module=a&revision=2") && !found.has_uri("urn:example"));
    for name in ["candidate", ":candidate", "candidate:1.0", " :candidate:1.0 "] {
        assert!(found.has_uri(name), "{name}");
    }
    for name in ["candidate:1.1", "startup", ":", "", "base:1.1"] {
        assert!(!found.has_uri(name), "{name}");
    }
    assert!(
        Capability::of_name("confirmed-commit")
            .eq([Capability::ConfirmedCommit10, Capability::ConfirmedCommit11])
    );
    assert!(Capability::is_short_name("nonsense") && !Capability::is_short_name("urn:example:a"));
}
