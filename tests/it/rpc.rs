//! Any RPC, by name or whole, alone or in a batch.

use std::collections::BTreeSet;

use ncgate::emulator::{Fault, Rule};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::doors::{DOORS, Door, With, bad, good, options, plain};
use crate::support::{TestGateway, answer, assert_sent, code, eventually, junos, sent};

/// S8, S10, N3, N5: one request in all the ways in which it can be written is one request on the wire.
#[tokio::test]
async fn rpc_is_the_same_however_it_is_written() {
    let (gateway, device) = TestGateway::with_device(junos()).await;
    const NAME: &str = "get-interface-information";
    const XML: &str = "<get-interface-information><interface-name>ge-0/0/0</interface-name><terse/>\
                       </get-interface-information>";
    let arguments = json!({"interface-name": "ge-0/0/0", "terse": null});
    for door in DOORS {
        let mut rpc = json!({});
        rpc[NAME] = arguments.clone();
        let whole = good(door, gateway.rpc(door, "mx1", rpc, plain()).await);
        assert_sent(&device, NAME, XML);
        let ports = whole["data"]["interface-information"]["physical-interface"]
            .as_array()
            .unwrap_or_else(|| panic!("N6: a list, though of one: {whole}"));
        assert_eq!(ports.len(), 1);
        assert_eq!(
            (&ports[0]["name"], &ports[0]["admin-status"]),
            (&json!("ge-0/0/0"), &json!("up"))
        );

        let pairs = [("interface-name", Some("ge-0/0/0")), ("terse", None)];
        for other in [
            gateway.rpc_xml(door, "mx1", XML, plain()).await,
            gateway.named(door, "mx1", NAME, arguments.clone(), plain()).await,
            gateway.read_rpc(door, "mx1", NAME, &pairs, plain()).await,
        ] {
            assert_eq!(good(door, other)["data"], whole["data"]);
            assert_sent(&device, NAME, XML);
        }
    }
    let requests = sent(&device, NAME);
    assert_eq!(requests.len(), 8);
    let bodies: BTreeSet<&str> = requests
        .iter()
        .map(|request| &request[request.find(XML).expect("the same element")..])
        .collect();
    assert_eq!(bodies.len(), 1, "{bodies:?}");
    gateway.stop().await;
    device.stop().await;
}

/// H15: an argument that has the name of an option is written `arg.<name>` in the query.
#[tokio::test]
async fn argument_named_like_an_option_reaches_the_device() {
    let (gateway, device) = TestGateway::with_device(junos()).await;
    const NAME: &str = "get-rollback-information";
    for door in DOORS {
        let format = match door {
            Door::Rest => "arg.format",
            Door::Grpc => "format",
        };
        let pairs = [("rollback", Some("1")), (format, Some("text"))];
        let read = good(door, gateway.read_rpc(door, "mx1", NAME, &pairs, plain()).await);
        assert_sent(
            &device,
            NAME,
            "<get-rollback-information><rollback>1</rollback><format>text</format></get-rollback-information>",
        );
        let text = &read["data"]["rollback-information"]["configuration-information"]["configuration-output"];
        assert!(
            text.as_str().is_some_and(|text| text.contains("host-name mx1;")),
            "{read}"
        );
    }
}

/// S8: further attributes of `<rpc>` come back; each message-id is used once; the session's own are refused.
#[tokio::test]
async fn attributes_come_back_and_message_ids_are_unique() {
    let (gateway, device) = TestGateway::with_device(junos()).await;
    let mut ids = BTreeSet::new();
    for door in DOORS {
        let with = With {
            attributes: &[("ticket", "CHG 1 <&> \"q\""), ("xml:lang", "de")],
            ..plain()
        };
        let rpc = json!({"get-system-uptime-information": null});
        let reply = good(door, gateway.rpc(door, "mx1", rpc.clone(), with).await);
        assert_eq!(
            reply["attributes"],
            json!({"ticket": "CHG 1 <&> \"q\"", "xml:lang": "de"})
        );
        let id = reply["message_id"].as_str().expect("a message-id").to_owned();
        let wire = sent(&device, "get-system-uptime-information");
        assert!(
            wire.last()
                .is_some_and(|last| last.contains(&format!("message-id=\"{id}\""))),
            "{wire:?}"
        );
        assert!(
            ids.insert((reply["session_id"].clone().to_string(), id)),
            "{reply}"
        );

        let with = With {
            attributes: &[("message-id", "7")],
            ..plain()
        };
        let refusal = bad(door, gateway.rpc(door, "mx1", rpc, with).await);
        assert_eq!(refusal.verdict(), ("invalid-argument", "not_sent"));
        assert_eq!(refusal.fields, ["attributes.message-id"]);
    }
    assert_eq!(device.stats().count("get-system-uptime-information"), 2);
}

/// S8, N3: blanks inside elements stay as they are, on the way there and back.
#[tokio::test]
async fn whitespace_is_preserved() {
    let (gateway, device) = TestGateway::with_device(junos()).await;
    const OUTPUT: &str = "<output>\n  Index\n\n    1\ta &lt; b  \n</output>";
    device
        .faults()
        .add(Rule::on("get-syslog-events", Fault::ReplyWith(OUTPUT.to_owned())));
    for door in DOORS {
        let arguments = json!({"match": "  a  b\n\tc  "});
        let reply = good(
            door,
            gateway
                .named(door, "mx1", "get-syslog-events", arguments.clone(), plain())
                .await,
        );
        assert_sent(&device, "get-syslog-events", "<match>  a  b\n\tc  </match>");
        assert_eq!(reply["data"], json!({"output": ["  Index\n\n    1\ta < b  "]}));
        let exact = gateway
            .named(
                door,
                "mx1",
                "get-syslog-events",
                arguments,
                options(&[("text", "exact")]),
            )
            .await;
        assert_eq!(
            good(door, exact)["data"]["output"][0],
            "\n  Index\n\n    1\ta < b  \n"
        );
    }
}

/// S9: operational and configuration requests share one session.
#[tokio::test]
async fn classes_of_requests_mix_in_one_session() {
    let (gateway, device) = TestGateway::with_device(junos()).await;
    let mut sessions = BTreeSet::new();
    for door in DOORS {
        let replies = [
            gateway
                .named(door, "mx1", "get-system-uptime-information", Value::Null, plain())
                .await,
            gateway.config(door, "mx1", &[("path", "system")]).await,
            gateway.rpc(door, "mx1", json!({"get": null}), plain()).await,
            gateway.cli(door, "mx1", "show version", plain()).await,
            gateway
                .compare(door, "mx1", "rollback:1", "candidate", plain())
                .await,
        ];
        for reply in replies {
            sessions.insert(good(door, reply)["session_id"].as_u64());
        }
    }
    assert_eq!(sessions.len(), 1, "{sessions:?}");
    assert_eq!(device.stats().sessions, 1);
}

/// S10, S17: formatted text, XML and the device's own JSON on request.
#[tokio::test]
async fn output_comes_in_the_format_asked_for() {
    let (gateway, device) = TestGateway::with_device(junos()).await;
    const NAME: &str = "get-software-information";
    for door in DOORS {
        let ask = async |format| {
            let with = [("format", format)];
            gateway
                .named(door, "mx1", NAME, Value::Null, options(&with))
                .await
        };
        let text = good(door, ask("text").await);
        assert_sent(&device, NAME, "<get-software-information format=\"text\"/>");
        let words = text["data"].as_str().expect("a string");
        assert!(words.starts_with("Hostname: mx1\nModel: mx240\n"), "{words:?}");
        assert_eq!(text["mapping"], Value::Null);

        let xml = good(door, ask("xml").await);
        assert_sent(&device, NAME, "<get-software-information/>");
        let words = xml["data"].as_str().expect("a string");
        assert!(words.contains("<host-name>mx1</host-name>"), "{words}");
        assert_eq!(xml["complete"], true);

        let own = good(door, ask("device_json").await);
        assert_sent(&device, NAME, "<get-software-information format=\"json\"/>");
        let made: Value =
            serde_json::from_str(own["data"].as_str().expect("an opaque string")).expect("JSON");
        assert_eq!(made["software-information"][0]["host-name"][0]["data"], "mx1");

        let refusal = bad(door, ask("set").await);
        assert_eq!(refusal.verdict(), ("invalid-argument", "not_sent"));
        assert!(refusal.fields[0].ends_with("format"), "{refusal:?}");
    }
}

/// S17, N1-N8, J1-J4: the mapping and its options.
#[tokio::test]
async fn json_follows_the_options_of_the_mapping() {
    let (gateway, _device) = TestGateway::with_device(junos()).await;
    const NAME: &str = "get-software-information";
    for door in DOORS {
        let ask =
            async |with: &[(&str, &str)]| gateway.named(door, "mx1", NAME, Value::Null, options(with)).await;
        let usual = good(door, ask(&[]).await);
        assert_eq!(usual["mapping"], "ncj/1;hints=junos-24.4.1");
        let software = &usual["data"]["software-information"];
        assert_eq!(software["host-name"], "mx1");
        assert!(software["package-information"].is_array());
        assert!(software.get("@").is_none(), "ns=off leaves xmlns out: {software}");
        let release = usual["namespaces"]["junos"]
            .as_str()
            .expect("the prefix of Junos");
        assert!(
            release.starts_with("http://xml.juniper.net/junos/21.4R3"),
            "{release}"
        );

        let junos = good(door, ask(&[("mapping", "junos")]).await);
        assert_eq!(
            junos["data"]["software-information"][0]["host-name"][0]["data"],
            "mx1"
        );
        assert!(
            junos["mapping"]
                .as_str()
                .is_some_and(|label| label.starts_with("junos")),
            "{junos}"
        );

        let all = good(door, ask(&[("arrays", "all")]).await);
        assert_eq!(all["data"]["software-information"][0]["host-name"][0], "mx1");
        let named = good(door, ask(&[("arrays", "host-name,product-model")]).await);
        assert_eq!(named["data"]["software-information"]["host-name"], json!(["mx1"]));
        assert_eq!(named["data"]["software-information"]["product-name"], "mx240");

        let terse = async |with: &[(&str, &str)]| {
            let name = "get-interface-information";
            let arguments = json!({"terse": null});
            let reply = gateway.named(door, "mx1", name, arguments, options(with)).await;
            good(door, reply)["data"]["interface-information"].clone()
        };
        assert_eq!(terse(&[]).await.get("@"), None, "display hints are left out");
        let lossless = terse(&[("ns", "on")]).await;
        assert_eq!(lossless["@"]["junos:style"], "terse");
        let xmlns = lossless["@"]["xmlns"].as_str().expect("a namespace");
        assert!(
            xmlns.starts_with("http://xml.juniper.net/junos/21.4R3"),
            "{xmlns}"
        );
        assert_eq!(
            good(door, ask(&[("hints", "junos-24.4.1")]).await)["data"],
            usual["data"]
        );
        let refusal = bad(door, ask(&[("hints", "junos-1.0.0")]).await);
        assert_eq!(refusal.verdict(), ("invalid-argument", "not_sent"));
        assert!(refusal.fields[0].ends_with("hints"), "{refusal:?}");
    }
}

/// Q9, H15: what may change a device is no read; with `plan` it is shown and not sent; sent, it has a session of its
/// own that is closed afterwards.
#[tokio::test]
async fn changing_rpc_is_planned_refused_as_a_read_and_run_alone() {
    let (gateway, device) = TestGateway::with_device(junos()).await;
    const NAME: &str = "clear-arp-table";
    device
        .faults()
        .add(Rule::on(NAME, Fault::ReplyWith("<ok/>".to_owned())));
    let planning = With {
        plan: true,
        ..plain()
    };
    for door in DOORS {
        // A plan needs to know the device, so the gateway gets to know it first.
        good(door, gateway.capabilities(door, "mx1").await);
        let before = device.stats();
        let arguments = json!({"hostname": "192.0.2.7", "all": null});
        const XML: &str = "<clear-arp-table><hostname>192.0.2.7</hostname><all/></clear-arp-table>";
        for plan in [
            gateway
                .named(door, "mx1", NAME, arguments.clone(), planning)
                .await,
            gateway
                .rpc(door, "mx1", json!({"clear-arp-table": arguments}), planning)
                .await,
            gateway.rpc_xml(door, "mx1", XML, planning).await,
        ] {
            assert_eq!(good(door, plan), json!({"device": "mx1", "rpcs": [XML]}));
        }
        let plan = gateway.cli(door, "mx1", "clear arp", planning).await;
        assert_eq!(
            good(door, plan)["rpcs"],
            json!(["<command format=\"xml\">clear arp</command>"])
        );
        let refusal = bad(door, gateway.read_rpc(door, "mx1", NAME, &[], plain()).await);
        assert_eq!(refusal.verdict(), ("method-not-allowed", "not_sent"));
        assert_eq!(device.stats().rpcs, before.rpcs, "nothing was sent");

        let done = good(door, gateway.named(door, "mx1", NAME, arguments, plain()).await);
        assert_sent(&device, NAME, XML);
        assert_eq!(done["outcome"], "applied");
        let next = good(
            door,
            gateway
                .named(door, "mx1", "get-system-uptime-information", Value::Null, plain())
                .await,
        );
        assert_ne!(
            next["session_id"], done["session_id"],
            "it is used for nothing else"
        );
        eventually("it is closed politely", async || {
            device.stats().open_sessions == 1
                && device.stats().count("close-session") > before.count("close-session")
        })
        .await;
    }
    let response = gateway
        .request(Method::GET, "/v1/devices/mx1/rpc/clear-arp-table")
        .send()
        .await
        .expect("an answer");
    assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(response.headers()["allow"], "POST");
}

/// Q9: what has a resource of its own is not sent raw; the hint names the resource.
#[tokio::test]
async fn raw_configuration_and_session_rpcs_are_sent_to_their_resource() {
    let (gateway, device) = TestGateway::with_device(junos()).await;
    let cases = [
        ("lock", "edit-sessions"),
        ("unlock", "edit-sessions"),
        ("lock-configuration", "edit-sessions"),
        ("unlock-configuration", "edit-sessions"),
        ("open-configuration", "edit-sessions"),
        ("close-configuration", "edit-sessions"),
        ("discard-changes", "edit-sessions"),
        ("edit-config", "changes"),
        ("load-configuration", "changes"),
        ("commit", "changes"),
        ("commit-configuration", "changes"),
        ("cancel-commit", "confirmed-commits"),
        ("copy-config", "config/copy"),
        ("delete-config", "config/delete"),
        ("validate", "config/validate"),
        ("request-save-rescue-configuration", "config/rescue"),
        ("kill-session", "sessions"),
        ("close-session", "sessions"),
    ];
    for door in DOORS {
        for (name, resource) in cases {
            let mut rpc = json!({});
            rpc[name] = Value::Null;
            for refusal in [
                bad(door, gateway.rpc(door, "mx1", rpc.clone(), plain()).await),
                bad(
                    door,
                    gateway.rpc_xml(door, "mx1", &format!("<{name}/>"), plain()).await,
                ),
                bad(door, gateway.named(door, "mx1", name, Value::Null, plain()).await),
                bad(door, gateway.batch(door, "mx1", &[rpc], "stop", plain()).await),
            ] {
                assert_eq!(refusal.verdict(), ("use-resource", "not_sent"), "{name}");
                assert!(
                    refusal
                        .hint
                        .as_deref()
                        .is_some_and(|hint| hint.contains(resource)),
                    "{refusal:?}"
                );
            }
        }
        for command in ["configure", "conf exclusive", "edit"] {
            let refusal = bad(door, gateway.cli(door, "mx1", command, plain()).await);
            assert_eq!(refusal.verdict(), ("use-resource", "not_sent"), "{command}");
        }
    }
    assert_eq!(device.stats().connections, 0, "nothing was sent");
}

/// Batch: in order, over one session; with `stop` nothing behind a failure is sent, with `continue` all are.
#[tokio::test]
async fn batch_stops_or_continues() {
    let (gateway, device) = TestGateway::with_device(junos()).await;
    let rpcs = [
        json!({"get-software-information": {"brief": null}}),
        json!({"get-no-such-thing": null}),
        json!({"get-chassis-inventory": null}),
    ];
    for door in DOORS {
        let before = device.stats().count("get-chassis-inventory");
        let stopped = gateway
            .batch(door, "mx1", &rpcs, "stop", plain())
            .await
            .expect("results");
        assert_eq!(stopped.len(), 2);
        assert_eq!(device.stats().count("get-chassis-inventory"), before);
        let all = gateway
            .batch(door, "mx1", &rpcs, "continue", plain())
            .await
            .expect("results");
        assert_eq!(all.len(), 3);
        assert_eq!(device.stats().count("get-chassis-inventory"), before + 1);
        let mut all = all.into_iter();
        let first = good(door, all.next().expect("a first"));
        assert_eq!(first["data"]["software-information"]["host-name"], "mx1");
        let second = bad(door, all.next().expect("a second"));
        assert_eq!(second.verdict(), ("unknown-element", "not_applied"));
        assert_eq!(second.rpc_errors[0]["bad_element"], "get-no-such-thing");
        let third = good(door, all.next().expect("a third"));
        assert_eq!(
            third["data"]["chassis-inventory"]["chassis"]["serial-number"],
            "JN1269A5BAFC"
        );
        assert_eq!(third["session_id"], first["session_id"]);
        assert_ne!(third["message_id"], first["message_id"]);

        let changing = [rpcs[0].clone(), json!({"clear-arp-table": null})];
        let sent_before = device.stats().rpcs.len();
        let refusal = bad(door, gateway.batch(door, "mx1", &changing, "stop", plain()).await);
        assert_eq!(refusal.verdict(), ("invalid-argument", "not_sent"));
        assert_eq!(refusal.fields, ["rpcs.1.rpc"]);
        assert_eq!(device.stats().rpcs.len(), sent_before, "nothing was sent");
    }
}

/// H4: under `Accept: application/xml` the body is the device's whole reply.
#[tokio::test]
async fn whole_reply_is_passed_through_as_xml() {
    let (gateway, _device) = TestGateway::with_device(junos()).await;
    let response = gateway
        .request(Method::GET, "/v1/devices/mx1/rpc/get-software-information?brief")
        .header("Accept", "application/xml")
        .send()
        .await
        .expect("an answer");
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()["content-type"], "application/xml");
    let xml = response.text().await.expect("a body");
    assert!(
        xml.starts_with("<rpc-reply ") && xml.trim_end().ends_with("</rpc-reply>"),
        "{xml}"
    );
    assert!(xml.contains("<host-name>mx1</host-name>"), "{xml}");
}

/// X1, X2, W3, W4: what cannot be sent is refused with its place, and nothing is sent.
#[tokio::test]
async fn bad_requests_are_refused_before_anything_is_sent() {
    let (gateway, device) = TestGateway::with_device(junos()).await;
    for door in DOORS {
        for (rpc, field) in [
            (json!({"get-x<y": null}), "rpc.get-x<y"),
            (json!({"get-x": {"a b": "1"}}), "rpc.get-x.a b"),
            (json!({"get-x": {"a": "\u{1}"}}), "rpc.get-x.a"),
            (json!({"get-x": {"a": [["nested"]]}}), "rpc.get-x.a.0"),
        ] {
            let refusal = bad(door, gateway.rpc(door, "mx1", rpc.clone(), plain()).await);
            assert_eq!(refusal.verdict(), ("invalid-argument", "not_sent"), "{rpc}");
            assert_eq!(refusal.fields, [field], "{rpc}");
        }
        for xml in [
            "<get-x>",
            "<get-x/><get-y/>",
            "<!DOCTYPE get-x><get-x/>",
            "<get-x><?pi?></get-x>",
            "<get-x>&undefined;</get-x>",
            "<get-x a=\"]]>]]>\"/>",
            "<rpc><get-x/></rpc>",
        ] {
            let refusal = bad(door, gateway.rpc_xml(door, "mx1", xml, plain()).await);
            assert_eq!(refusal.verdict(), ("invalid-argument", "not_sent"), "{xml}");
            assert!(refusal.fields[0].starts_with("rpc"), "{xml}: {refusal:?}");
        }
        let refusal = bad(
            door,
            gateway
                .named(door, "nowhere", "get-x", Value::Null, plain())
                .await,
        );
        assert_eq!(refusal.verdict(), ("not-found", "not_sent"));
    }
    let body = r#"{"rpc": {"get-x": {"a": "1", "a": "2"}}}"#;
    let request = gateway
        .request(Method::POST, "/v1/devices/mx1/rpc")
        .header("Content-Type", "application/json")
        .body(body);
    let (status, problem) = answer(request).await;
    assert_eq!(
        (status, code(&problem)),
        (StatusCode::BAD_REQUEST, "invalid-argument")
    );
    assert_eq!(problem["errors"][0]["pointer"], "/rpc/get-x/a");
    assert_eq!(device.stats().connections, 0);
}
