//! Hellos, capabilities, the compatibility check, schemas and sessions.

use ncgate::emulator::{Fault, Profile, Rule};
use serde_json::{Value, json};

use crate::support::doors::{DOORS, bad, good, plain};
use crate::support::{TestGateway, assert_sent, junos, listen};

const BASE: &str = "urn:ietf:params:netconf:base:1.0";
const JUNOS: &str = "http://xml.juniper.net/netconf/junos/1.0";

/// A hello with these capabilities, written as they are.
fn hello(capabilities: &[&str]) -> Fault {
    let list: String = capabilities
        .iter()
        .map(|uri| format!("<capability>{uri}</capability>"))
        .collect();
    Fault::HelloText(format!(
        "<hello xmlns=\"urn:ietf:params:xml:ns:netconf:base:1.0\"><capabilities>{list}</capabilities>\
         <session-id>4711</session-id></hello>"
    ))
}

/// S4, S5, S7: the check tells what the hello said, the software, the algorithms and the steps with their times.
#[tokio::test]
async fn check_tells_everything_about_the_connection() {
    let (gateway, device) = TestGateway::with_device(junos()).await;
    for door in DOORS {
        let report = good(door, gateway.check(door, "mx1").await);
        assert_eq!(report["device"], "mx1");
        let uris: Vec<&str> = report["capabilities"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|capability| capability["uri"].as_str())
            .collect();
        assert_eq!(uris, Profile::Junos.capabilities());
        assert_eq!(report["software"][0]["host_name"], "mx1");
        assert_eq!(report["software"][0]["product_model"], "mx240");
        assert_eq!(report["software"][0]["version"], "21.4R3-S5.4");
        assert_eq!(
            report["compatibility"],
            json!({"policy": "adapt", "compatible": true, "missing": []})
        );
        assert_eq!(
            report["ssh"]["host_key_fingerprint"],
            device.host_key_fingerprint()
        );
        assert_eq!(report["ssh"]["host_key_algorithm"], "ssh-ed25519");
        for algorithm in ["kex", "cipher", "mac"] {
            assert!(report["ssh"][algorithm].is_string(), "{algorithm}: {report}");
        }
        let steps: Vec<&str> = report["steps"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|step| step["name"].as_str())
            .collect();
        assert_eq!(
            steps,
            [
                "resolve",
                "tcp",
                "kex",
                "hostkey",
                "auth",
                "subsystem",
                "hello",
                "software"
            ]
        );
    }
    assert_eq!(device.stats().connections, 2, "each check connects anew");
}

/// S5: the table of capabilities, verbatim and understood: both prefixes, parameters, modules, unknown ones.
#[tokio::test]
async fn capabilities_are_verbatim_and_understood() {
    let (gateway, device) = TestGateway::with_device(junos()).await;
    let uris = [
        BASE,
        "urn:ietf:params:xml:ns:netconf:capability:candidate:1.0",
        "urn:ietf:params:netconf:capability:confirmed-commit:1.1",
        "urn:ietf:params:netconf:capability:validate:1.1",
        "urn:ietf:params:netconf:capability:writable-running:1.0",
        "urn:ietf:params:netconf:capability:rollback-on-error:1.0",
        "urn:ietf:params:netconf:capability:startup:1.0",
        "urn:ietf:params:netconf:capability:xpath:1.0",
        "urn:ietf:params:netconf:capability:notification:1.0",
        "urn:ietf:params:netconf:capability:interleave:1.0",
        "urn:ietf:params:netconf:capability:with-defaults:1.0?basic-mode=explicit&amp;also-supported=report-all",
        "urn:ietf:params:xml:ns:netconf:capability:url:1.0?protocol=http,ftp,file",
        JUNOS,
        "http://xml.juniper.net/dmi/system/1.0",
        "urn:example:m?module=example-m&amp;revision=2024-01-02&amp;features=a,b&amp;deviations=example-dev",
        "urn:example:unknown:9",
    ];
    device.faults().add(Rule::always(hello(&uris)));
    for door in DOORS {
        let table = good(door, gateway.capabilities(door, "mx1").await);
        let shown = table["capabilities"].as_array().expect("a list");
        let seen: Vec<String> = shown
            .iter()
            .map(|capability| capability["uri"].as_str().expect("a URI").replace('&', "&amp;"))
            .collect();
        assert_eq!(seen, uris);
        let names: Vec<Option<&str>> = shown
            .iter()
            .map(|capability| capability["name"].as_str())
            .collect();
        assert_eq!(
            names[..12],
            [
                Some("base:1.0"),
                Some("candidate:1.0"),
                Some("confirmed-commit:1.1"),
                Some("validate:1.1"),
                Some("writable-running:1.0"),
                Some("rollback-on-error:1.0"),
                Some("startup:1.0"),
                Some("xpath:1.0"),
                Some("notification:1.0"),
                Some("interleave:1.0"),
                Some("with-defaults:1.0"),
                Some("url:1.0"),
            ]
        );
        assert!(names[12].is_some() && names[13].is_some(), "{names:?}");
        assert_eq!(names[15], None);
        assert_eq!(table["url_schemes"], json!(["http", "ftp", "file"]));
        assert_eq!(
            table["modules"],
            json!([{"name": "example-m", "revision": "2024-01-02", "namespace": "urn:example:m",
                    "features": ["a", "b"], "deviations": ["example-dev"]}])
        );
        assert_eq!(table["software"][0]["version"], "21.4R3-S5.4");

        // Without monitoring the list of schemas is that of the hello.
        let schemas = good(door, gateway.schemas(door, "mx1").await);
        assert_eq!(schemas["source"], "hello");
        assert_eq!(
            schemas["schemas"],
            json!([{"identifier": "example-m", "version": "2024-01-02", "format": "yang",
                    "namespace": "urn:example:m"}])
        );
    }
}

/// S7: software of several routing engines is told member by member.
#[tokio::test]
async fn software_of_several_routing_engines_is_understood() {
    let (gateway, device) = TestGateway::with_device(junos()).await;
    let item = |name: &str, version: &str| {
        format!(
            "<multi-routing-engine-item><re-name>{name}</re-name><software-information><host-name>mx1-{name}\
             </host-name><product-model>mx960</product-model><product-name>mx960</product-name><junos-version>\
             {version}</junos-version></software-information></multi-routing-engine-item>"
        )
    };
    let reply = format!(
        "<multi-routing-engine-results>{}{}</multi-routing-engine-results>",
        item("re0", "22.4R3.25"),
        item("re1", "21.4R1.1")
    );
    device
        .faults()
        .add(Rule::on("get-software-information", Fault::ReplyWith(reply)));
    for door in DOORS {
        let report = good(door, gateway.check(door, "mx1").await);
        let members: Vec<(&str, &str)> = report["software"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|member| {
                (
                    member["member"].as_str().unwrap_or_default(),
                    member["version"].as_str().unwrap_or_default(),
                )
            })
            .collect();
        assert_eq!(members, [("re0", "22.4R3.25"), ("re1", "21.4R1.1")]);
        // All members must be in the range.
        let require = json!({"compatibility": {"policy": "refuse", "require": {"version": {"min": "22.2"}}}});
        good(door, gateway.update(door, "mx1", &require, "").await);
        let report = good(door, gateway.check(door, "mx1").await);
        assert_eq!(
            report["compatibility"],
            json!({"policy": "refuse", "compatible": false,
                   "missing": ["version 22.2 or newer (it runs 21.4R1.1)"]})
        );
        let refusal = bad(door, gateway.config(door, "mx1", &[]).await);
        assert_eq!(refusal.verdict(), ("incompatible", "not_sent"));
        assert!(
            refusal.detail.contains("21.4R1.1") && !refusal.detail.contains("22.4R3"),
            "{}",
            refusal.detail
        );
        good(
            door,
            gateway
                .update(door, "mx1", &json!({"compatibility": null}), "")
                .await,
        );
    }
}

/// S7: `refuse` ends the session and says what is missing, `adapt` tells and goes on, `ignore` does not look.
#[tokio::test]
async fn policies_refuse_adapt_and_ignore() {
    let gateway = TestGateway::start().await;
    let device = listen(junos()).await;
    let startup = "urn:ietf:params:netconf:capability:startup:1.0";
    let settings = |policy: &str| {
        let require = json!({
            "capabilities": [startup, BASE],
            "version": {"min": "22.2", "max": "23.4"},
        });
        json!({"compatibility": {"policy": policy, "require": require}})
    };
    for policy in ["refuse", "adapt", "ignore"] {
        gateway.add(policy, &device, settings(policy)).await;
    }
    let missing = [
        format!("capability {startup}"),
        "version 22.2 or newer (it runs 21.4R3-S5.4)".to_owned(),
    ];
    for door in DOORS {
        let refusal = bad(
            door,
            gateway
                .named(door, "refuse", "get-chassis-inventory", Value::Null, plain())
                .await,
        );
        assert_eq!(refusal.verdict(), ("incompatible", "not_sent"));
        for words in &missing {
            assert!(refusal.detail.contains(words), "{words}: {}", refusal.detail);
        }
        let shown = good(door, gateway.device(door, "refuse").await);
        assert_eq!(shown["connection"]["state"], "incompatible");

        let report = good(door, gateway.check(door, "adapt").await);
        assert_eq!(
            report["compatibility"],
            json!({"policy": "adapt", "compatible": false, "missing": missing})
        );
        let refusal = bad(
            door,
            gateway.config(door, "adapt", &[("source", "startup")]).await,
        );
        assert_eq!(refusal.verdict(), ("capability-missing", "not_sent"));
        assert!(
            refusal.detail.contains("startup") && refusal.detail.contains("get-config"),
            "{}",
            refusal.detail
        );

        let before = device.stats().count("get-config");
        let report = good(door, gateway.check(door, "ignore").await);
        assert_eq!(
            report["compatibility"],
            json!({"policy": "ignore", "compatible": true, "missing": []})
        );
        let refusal = bad(
            door,
            gateway.config(door, "ignore", &[("source", "startup")]).await,
        );
        assert_eq!(
            (refusal.origin.as_str(), refusal.outcome.as_str()),
            ("device", "not_applied")
        );
        assert_sent(&device, "get-config", "<source><startup/></source>");
        assert_eq!(
            device.stats().count("get-config"),
            before + 1,
            "the device itself was asked"
        );
    }
    assert_eq!(device.stats().count("get-chassis-inventory"), 0);
}

/// S5: schemas that the device hands out.
#[tokio::test]
async fn schemas_are_listed_and_fetched() {
    for (profile, name, namespace) in [
        (Profile::Rfc, "example-router", "urn:example:router"),
        (
            Profile::JunosRfc11,
            "junos-conf-root",
            "http://yang.juniper.net/junos/conf/root",
        ),
    ] {
        let (gateway, device) = TestGateway::with_device(junos().profile(profile)).await;
        for door in DOORS {
            let list = good(door, gateway.schemas(door, "mx1").await);
            assert_eq!(list["source"], "monitoring");
            let listed = list["schemas"].as_array().expect("a list");
            let own = listed
                .iter()
                .find(|schema| schema["identifier"] == name)
                .unwrap_or_else(|| panic!("{list}"));
            assert_eq!(
                (&own["namespace"], &own["format"]),
                (&json!(namespace), &json!("yang"))
            );
            let version = own["version"].as_str().expect("a revision");
            for version in ["", version] {
                let schema = good(door, gateway.schema(door, "mx1", name, version).await);
                let text = schema["data"].as_str().expect("a text");
                assert!(text.starts_with(&format!("module {name} {{")), "{text}");
            }
            assert_sent(&device, "get-schema", &format!("<identifier>{name}</identifier>"));
            assert_sent(&device, "get-schema", &format!("<version>{version}</version>"));
            let refusal = bad(door, gateway.schema(door, "mx1", name, "1999-01-01").await);
            assert_eq!(refusal.verdict(), ("invalid-value", "not_applied"));
        }
    }
    let (gateway, device) = TestGateway::with_device(junos()).await;
    for door in DOORS {
        let refusal = bad(door, gateway.schema(door, "mx1", "junos-conf-root", "").await);
        assert_eq!(refusal.verdict(), ("capability-missing", "not_sent"));
    }
    assert_eq!(device.stats().count("get-schema"), 0);
}

/// S5: our sessions, and where the device tells, those of others.
#[tokio::test]
async fn sessions_are_ours_and_others() {
    let device = listen(junos().profile(Profile::Rfc)).await;
    let (other, ours) = (TestGateway::start().await, TestGateway::start().await);
    for gateway in [&other, &ours] {
        gateway.add("mx1", &device, json!({})).await;
    }
    for door in DOORS {
        let theirs = good(door, other.config(door, "mx1", &[]).await)["session_id"].clone();
        let mine = good(door, ours.config(door, "mx1", &[]).await)["session_id"].clone();
        let list = good(door, ours.sessions(door, "mx1").await);
        assert_eq!(list["device_reports"], true);
        let find = |id: &Value| {
            let mut sessions = list["sessions"].as_array().into_iter().flatten();
            sessions.find(|session| session["session_id"] == *id).cloned()
        };
        let mine = find(&mine).expect("ours is listed");
        assert_eq!(
            (&mine["ours"], &mine["username"]),
            (&json!(true), &json!("admin"))
        );
        assert!(["idle", "busy"].contains(&mine["state"].as_str().expect("a state")));
        let theirs = find(&theirs).expect("the device tells of it");
        assert_eq!(
            (&theirs["ours"], &theirs["username"]),
            (&json!(false), &json!("admin"))
        );
        assert_eq!(theirs["source_host"], "127.0.0.1");
    }

    let (junos, _device) = TestGateway::with_device(junos()).await;
    for door in DOORS {
        let id = good(door, junos.config(door, "mx1", &[]).await)["session_id"].clone();
        let list = good(door, junos.sessions(door, "mx1").await);
        assert_eq!(list["device_reports"], false);
        assert_eq!(list["sessions"].as_array().map(Vec::len), Some(1));
        assert_eq!(
            (&list["sessions"][0]["session_id"], &list["sessions"][0]["ours"]),
            (&id, &json!(true))
        );
    }
}

/// S30: sessions end with `close-session`, at removal and at shutdown.
#[tokio::test]
async fn sessions_end_politely() {
    for door in DOORS {
        let (gateway, device) = TestGateway::with_device(junos()).await;
        gateway.add("again", &device, json!({})).await;
        for name in ["mx1", "again"] {
            good(
                door,
                gateway
                    .named(door, name, "get-chassis-inventory", Value::Null, plain())
                    .await,
            );
        }
        gateway.delete(door, "again", "").await.expect("it is removed");
        crate::support::eventually("the removed device's session is closed", async || {
            device.stats().count("close-session") == 1 && device.stats().open_sessions == 1
        })
        .await;
        gateway.stop().await;
        let stats = device.stats();
        assert_eq!((stats.count("close-session"), stats.open_sessions), (2, 0));
        assert_eq!(stats.rpcs.last().map(String::as_str), Some("close-session"));
        crate::support::eventually("the connection is closed", async || {
            device.stats().open_connections == 0
        })
        .await;
    }
}

/// S15, Q5, M3: a device that sends its hello twice breaks the protocol, and that is what every call is told.
#[tokio::test]
async fn second_hello_is_named_as_the_cause() {
    for door in DOORS {
        let (gateway, device) = TestGateway::with_device(junos()).await;
        let capabilities = Profile::Junos.capabilities();
        let capabilities: Vec<&str> = capabilities.iter().map(String::as_str).collect();
        let Fault::HelloText(one) = hello(&capabilities) else {
            panic!("a hello");
        };
        let twice = format!("{one}]]>]]>{one}");
        device.faults().add(Rule::always(Fault::HelloText(twice)));
        for _ in 0..2 {
            let read = gateway
                .named(door, "mx1", "get-chassis-inventory", Value::Null, plain())
                .await;
            let refusal = bad(door, read);
            assert_eq!(refusal.code, "device-protocol-error", "{refusal:?}");
            let names_it = ["nobody asked for", "<hello>"]
                .iter()
                .any(|words| refusal.detail.contains(words));
            assert!(names_it, "{}", refusal.detail);
        }
        gateway.stop().await;
        device.stop().await;
    }
}
