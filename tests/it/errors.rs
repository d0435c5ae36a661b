//! What devices answer instead of data, beside it, and around it.

use ncgate::emulator::{DeviceError, Fault, Profile, Rule};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::doors::{Answered, DOORS, Door, With, bad, good, options, plain};
use crate::support::{TestGateway, junos, listen};

const NAME: &str = "get-chassis-inventory";

async fn ask(gateway: &TestGateway, door: Door, with: With<'_>) -> Answered {
    gateway.named(door, "mx1", NAME, Value::Null, with).await
}

const KEEP: With<'static> = With {
    options: &[("partial", "keep")],
    attributes: &[],
    plan: false,
};

fn reply_with(text: impl Into<String>) -> Rule {
    Rule::on(NAME, Fault::ReplyWith(text.into())).once()
}

fn tagged(tag: &str) -> String {
    format!(
        "<rpc-error><error-type>application</error-type><error-tag>{tag}</error-tag>\
         <error-severity>error</error-severity><error-message>{tag} it is</error-message></rpc-error>"
    )
}

/// S15: `<ok/>` and the empty reply are success; wrappers with results are payload.
#[tokio::test]
async fn classes_of_replies_are_recognised() {
    let (gateway, device) = TestGateway::with_device(junos()).await;
    for door in DOORS {
        for (reply, data) in [
            ("<ok/>", json!({})),
            ("", json!({})),
            ("<data/>", json!({})),
            (
                "<commit-results><routing-engine><name>re0</name><commit-success/></routing-engine></commit-results>",
                json!({"commit-results": {"routing-engine": [{"name": "re0", "commit-success": null}]}}),
            ),
            (
                "<load-configuration-results><ok/></load-configuration-results>",
                json!({"load-configuration-results": {"ok": null}}),
            ),
        ] {
            device.faults().add(reply_with(reply));
            let read = good(door, ask(&gateway, door, plain()).await);
            assert_eq!(read["complete"], true, "{reply}");
            assert_eq!(read["warnings"], json!([]), "{reply}");
            if reply.contains("load-configuration-results") {
                assert!(read["data"].get("load-configuration-results").is_some(), "{read}");
            } else {
                assert_eq!(read["data"], data, "{reply}");
            }
        }
    }
    assert_eq!(device.stats().sessions, 1);
}

/// M1, S15, S18: an error is an error wherever it stands in the reply, an `<ok/>` beside it or not.
#[tokio::test]
async fn errors_are_found_at_any_depth() {
    let (gateway, device) = TestGateway::with_device(junos()).await;
    const BARE: &str = "<rpc-error><error-message>\nboom\n</error-message></rpc-error>";
    let cases = [
        (BARE.to_owned(), None),
        (format!("<ok/>{BARE}"), None),
        (
            format!("<load-configuration-results>{BARE}<ok/></load-configuration-results>"),
            None,
        ),
        (
            format!(
                "<commit-results><routing-engine><name>re0</name>{BARE}</routing-engine></commit-results>"
            ),
            Some("re0"),
        ),
        (
            format!(
                "<multi-routing-engine-results><multi-routing-engine-item><re-name>re1</re-name>{BARE}\
                 </multi-routing-engine-item></multi-routing-engine-results>"
            ),
            Some("re1"),
        ),
        (
            "<xnm:error xmlns=\"http://xml.juniper.net/xnm/1.1/xnm\" \
             xmlns:xnm=\"http://xml.juniper.net/xnm/1.1/xnm\"><source-daemon>mgd</source-daemon>\
             <message>boom</message></xnm:error>"
                .to_owned(),
            None,
        ),
    ];
    for door in DOORS {
        for (reply, member) in &cases {
            device.faults().add(reply_with(reply));
            let refusal = bad(door, ask(&gateway, door, plain()).await);
            assert_eq!(refusal.verdict(), ("device-error", "not_applied"), "{reply}");
            assert_eq!(refusal.origin, "device");
            assert_eq!(refusal.detail, "boom", "{reply}");
            assert_eq!(refusal.rpc_errors.len(), 1);
            let message = refusal.rpc_errors[0]["error_message"]
                .as_str()
                .expect("a message");
            assert_eq!(message.trim(), "boom", "{reply}");
            assert_eq!(refusal.rpc_errors[0]["member"].as_str(), *member, "{reply}");
        }
        // Old releases answer a failed load with a number and nothing else.
        let count =
            "<load-configuration-results><load-error-count>2</load-error-count></load-configuration-results>";
        device.faults().add(reply_with(count));
        assert_eq!(
            bad(door, ask(&gateway, door, plain()).await).outcome,
            "not_applied"
        );
    }
    assert_eq!(device.stats().sessions, 1, "the session is none the worse");
}

/// S18, M2: all errors in order with every field; the status of the first, the words of the most specific.
#[tokio::test]
async fn several_errors_arrive_complete_and_in_order() {
    let (gateway, device) = TestGateway::with_device(junos()).await;
    let reply = "<rpc-error><error-type>application</error-type><error-tag>invalid-value</error-tag>\
                 <error-severity>error</error-severity><error-app-tag>too-large</error-app-tag>\
                 <error-message xml:lang=\"en\">first</error-message>\
                 <error-info><bad-element>mtu</bad-element><x:limit xmlns:x=\"urn:x\">9192</x:limit></error-info>\
                 </rpc-error>\
                 <rpc-error><error-severity>error</error-severity><source-daemon>dcd</source-daemon>\
                 <error-path>[edit interfaces ge-0/0/2]</error-path><error-message>\nsecond\n</error-message>\
                 </rpc-error>\
                 <rpc-error><error-severity>warning</error-severity><error-message>a warning</error-message></rpc-error>\
                 <rpc-error><error-message>third</error-message></rpc-error>";
    for door in DOORS {
        device.faults().add(reply_with(reply));
        let refusal = bad(door, ask(&gateway, door, plain()).await);
        assert_eq!(refusal.verdict(), ("invalid-value", "not_applied"));
        assert_eq!(refusal.detail, "second");
        let [first, second, third] = refusal.rpc_errors.as_slice() else {
            panic!("{refusal:?}")
        };
        assert_eq!(first["error_type"], "application");
        assert_eq!(first["error_tag"], "invalid-value");
        assert_eq!(first["error_severity"], "error");
        assert_eq!(first["error_app_tag"], "too-large");
        assert_eq!(first["error_message"], "first");
        assert_eq!(first["bad_element"], "mtu");
        let info = first["error_info"].as_str().expect("the content as XML");
        assert!(
            info.contains("<bad-element>mtu</bad-element>") && info.contains("9192"),
            "{info}"
        );
        assert_eq!(first.get("error_path"), None, "absent stays absent");
        assert_eq!(second["error_path"], "[edit interfaces ge-0/0/2]");
        assert_eq!(second["source_daemon"], "dcd");
        assert_eq!(second.get("error_tag"), None, "Junos sent none");
        assert_eq!(third["error_message"], "third");
    }
}

/// Conventions section 2: every error-tag has its code, and by the one table its statuses through both doors.
#[tokio::test]
async fn every_error_tag_has_its_code() {
    let (gateway, device) = TestGateway::with_device(junos()).await;
    let tags = [
        ("in-use", "in-use"),
        ("lock-denied", "lock-denied"),
        ("resource-denied", "resource-denied"),
        ("data-exists", "data-exists"),
        ("data-missing", "data-missing"),
        ("invalid-value", "invalid-value"),
        ("missing-attribute", "missing-attribute"),
        ("bad-attribute", "bad-attribute"),
        ("unknown-attribute", "unknown-attribute"),
        ("missing-element", "missing-element"),
        ("bad-element", "bad-element"),
        ("unknown-element", "unknown-element"),
        ("unknown-namespace", "unknown-namespace"),
        ("malformed-message", "malformed-request"),
        ("too-big", "response-too-big"),
        ("access-denied", "access-denied"),
        ("operation-not-supported", "operation-not-supported"),
        ("operation-failed", "device-error"),
        ("partial-operation", "partial-operation"),
        ("rollback-failed", "rollback-failed"),
        ("made-up", "device-error"),
    ];
    for door in DOORS {
        for (tag, code) in tags {
            device.faults().add(reply_with(tagged(tag)));
            let refusal = bad(door, ask(&gateway, door, plain()).await);
            assert_eq!(refusal.code, code, "{tag}");
            assert_eq!(refusal.rpc_errors[0]["error_tag"], tag);
        }
        // What the caller wrote as XML is the caller's to mend.
        device.faults().add(reply_with(tagged("malformed-message")));
        let xml = "<get-chassis-inventory/>";
        let refusal = bad(door, gateway.rpc_xml(door, "mx1", xml, plain()).await);
        assert_eq!(refusal.code, "malformed-message");
    }
}

/// Issue item 6: errors in words alone are classified, and free-text lock messages have their reason.
#[tokio::test]
async fn errors_in_words_are_classified() {
    let (gateway, device) = TestGateway::with_device(junos()).await;
    let held = "configuration database locked by:\n  alice terminal p0 (pid 4711) on since 2026-01-02 10:00:00 UTC, \
                idle 00:03:10\n      exclusive [edit]";
    let cases = [
        (DeviceError::new(held), "lock-denied", Some("held")),
        (
            DeviceError::new("configuration database modified"),
            "lock-denied",
            Some("candidate_modified"),
        ),
        (
            DeviceError::new("Configuration database is already open"),
            "lock-denied",
            Some("same_session"),
        ),
        (
            DeviceError::new("permission denied").element(NAME),
            "access-denied",
            None,
        ),
        (DeviceError::syntax("get-it"), "unknown-element", None),
        (DeviceError::new("statement not found"), "data-missing", None),
        (DeviceError::new("the dog ate it"), "device-error", None),
    ];
    for door in DOORS {
        for (error, code, reason) in &cases {
            let fault = Fault::Errors(vec![error.clone()]);
            device.faults().add(Rule::on(NAME, fault).once());
            let refusal = bad(door, ask(&gateway, door, plain()).await);
            assert_eq!(refusal.code, *code, "{}", error.message);
            assert_eq!(refusal.reason.as_deref(), *reason, "{}", error.message);
            assert_eq!(refusal.outcome, "not_applied");
        }
    }
}

/// S19: data beside an error is discarded unless the caller keeps it; then it is marked incomplete, with the errors.
#[tokio::test]
async fn data_beside_an_error_is_discarded_or_kept() {
    let (gateway, device) = TestGateway::with_device(junos()).await;
    let error = DeviceError::new("fpc 1 does not answer").from_daemon("chassisd");
    device.faults().add(Rule::on(NAME, Fault::ErrorBesideData(error)));
    for door in DOORS {
        for with in [plain(), options(&[("partial", "discard")])] {
            let refusal = bad(door, ask(&gateway, door, with).await);
            assert_eq!(refusal.verdict(), ("device-error", "not_applied"));
            assert_eq!(refusal.detail, "fpc 1 does not answer");
        }
        let kept = good(door, ask(&gateway, door, KEEP).await);
        assert_eq!(kept["complete"], false);
        assert_eq!(
            kept["data"]["chassis-inventory"]["chassis"]["serial-number"],
            "JN1269A5BAFC"
        );
        assert_eq!(kept["errors"].as_array().map(Vec::len), Some(1));
        assert_eq!(kept["errors"][0]["source_daemon"], "chassisd");
        assert_eq!(kept["warnings"], json!([]));

        // The device's own default, which a request may overrule.
        good(
            door,
            gateway.update(door, "mx1", &json!({"partial": "keep"}), "").await,
        );
        assert_eq!(good(door, ask(&gateway, door, plain()).await)["complete"], false);
        let refusal = bad(
            door,
            ask(&gateway, door, options(&[("partial", "discard")])).await,
        );
        assert_eq!(refusal.code, "device-error");
        good(
            door,
            gateway.update(door, "mx1", &json!({"partial": null}), "").await,
        );
    }
    // Nothing to keep is an error all the same.
    device.faults().clear();
    for door in DOORS {
        device.faults().add(reply_with(tagged("access-denied")));
        assert_eq!(bad(door, ask(&gateway, door, KEEP).await).code, "access-denied");
    }
}

/// S19, M1: warnings fail nothing; they travel beside the data and beside `<ok/>`.
#[tokio::test]
async fn warnings_travel_beside_the_result() {
    let (gateway, device) = TestGateway::with_device(junos()).await;
    let texts = ["requires 'bgp' license", "statement not found"].map(str::to_owned);
    for door in DOORS {
        device
            .faults()
            .add(Rule::on(NAME, Fault::Warnings(texts.to_vec())).once());
        let read = good(door, ask(&gateway, door, plain()).await);
        assert_eq!(read["complete"], true);
        let messages: Vec<&str> = read["warnings"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|warning| warning["error_message"].as_str().expect("a message").trim())
            .collect();
        assert_eq!(messages, texts);
        assert_eq!(read["warnings"][0]["error_severity"], "warning");
        assert_eq!(read["data"]["chassis-inventory"]["chassis"]["name"], "Chassis");
        assert_eq!(read["data"].get("rpc-error"), None);
        assert_eq!(read.get("errors"), None);

        let ok = "<rpc-error><error-severity>warning</error-severity><error-message>mind</error-message></rpc-error><ok/>";
        device.faults().add(reply_with(ok));
        let read = good(door, ask(&gateway, door, plain()).await);
        assert_eq!((&read["data"], &read["complete"]), (&json!({}), &json!(true)));
        assert_eq!(read["warnings"][0]["error_message"], "mind");

        let xnm = "<xnm:warning xmlns=\"http://xml.juniper.net/xnm/1.1/xnm\" \
                   xmlns:xnm=\"http://xml.juniper.net/xnm/1.1/xnm\"><message>mind</message></xnm:warning>";
        device.faults().add(reply_with(xnm));
        let read = good(door, ask(&gateway, door, plain()).await);
        assert_eq!(read["warnings"][0]["error_message"], "mind");
    }
}

/// S18: of very many errors and warnings the first 1000 are told, and how many there were.
#[tokio::test]
async fn errors_left_out_of_an_answer_are_counted() {
    let (gateway, device) = TestGateway::with_device(junos()).await;
    let warning = "<rpc-error><error-severity>warning</error-severity></rpc-error>";
    for door in DOORS {
        let kept = format!(
            "<data><x xmlns=\"urn:x\">1</x></data>{}",
            tagged("bad-element").repeat(1500)
        );
        device.faults().add(reply_with(kept));
        let read = good(door, ask(&gateway, door, KEEP).await);
        assert_eq!(read["errors"].as_array().map(Vec::len), Some(1000));
        assert_eq!(
            (&read["errors_total"], &read["warnings_total"]),
            (&json!(1500), &json!(0))
        );
        assert_eq!(read["errors_truncated"], true);

        device
            .faults()
            .add(reply_with(format!("<a/>{}", warning.repeat(1500))));
        let read = good(door, ask(&gateway, door, plain()).await);
        assert_eq!(read["warnings"].as_array().map(Vec::len), Some(1000));
        assert_eq!(
            (&read["errors_total"], &read["warnings_total"]),
            (&json!(0), &json!(1500))
        );

        let long = tagged(&"x".repeat(70_000));
        device.faults().add(reply_with(format!("<a/>{long}")));
        let read = good(door, ask(&gateway, door, KEEP).await);
        assert_eq!(
            (&read["errors_truncated"], &read["errors_total"]),
            (&json!(true), &json!(1))
        );

        device.faults().add(reply_with(format!("<a/>{warning}")));
        let read = good(door, ask(&gateway, door, plain()).await);
        assert_eq!(read["warnings"].as_array().map(Vec::len), Some(1));
        for absent in ["errors_truncated", "errors_total", "warnings_total"] {
            assert_eq!(read.get(absent), None);
        }
    }
}

/// M1, S19: an error of one routing engine beside the data of another is a partial answer that names the member.
#[tokio::test]
async fn error_of_one_member_leaves_the_others_data() {
    let (gateway, device) = TestGateway::with_device(junos()).await;
    for door in DOORS {
        device
            .faults()
            .add(Rule::on(NAME, Fault::OneMemberFails).times(2));
        let refusal = bad(door, ask(&gateway, door, plain()).await);
        assert_eq!(refusal.outcome, "not_applied");
        assert!(refusal.detail.contains("Could not connect to re1"), "{refusal:?}");
        let kept = good(door, ask(&gateway, door, KEEP).await);
        assert_eq!(kept["complete"], false);
        let item = &kept["data"]["multi-routing-engine-results"]["multi-routing-engine-item"][0];
        assert_eq!(item["re-name"], "re0");
        assert_eq!(item["chassis-inventory"]["chassis"]["name"], "Chassis");
        let message = kept["errors"][0]["error_message"].as_str().expect("a message");
        assert!(message.contains("No route to host"), "{message}");

        let both = "<multi-routing-engine-results>\
                    <multi-routing-engine-item><re-name>node0</re-name><output>fine</output></multi-routing-engine-item>\
                    <multi-routing-engine-item><re-name>node1</re-name><rpc-error><error-message>not so</error-message>\
                    </rpc-error></multi-routing-engine-item></multi-routing-engine-results>";
        device.faults().add(reply_with(both));
        let kept = good(door, ask(&gateway, door, KEEP).await);
        assert_eq!(kept["errors"][0]["member"], "node1");
        assert_eq!(
            kept["data"]["multi-routing-engine-results"]["multi-routing-engine-item"][0]["output"],
            "fine"
        );
    }
}

/// S17, S19: text beside other data is told with it, and the text of one member with its name.
#[tokio::test]
async fn data_beside_a_text_is_kept() {
    let (gateway, device) = TestGateway::with_device(junos()).await;
    let text = With {
        options: &[("format", "text")],
        attributes: &[],
        plan: false,
    };
    for door in DOORS {
        for (reply, data) in [
            ("<output>a</output>", json!("a")),
            ("<output>a</output><x>1</x>", json!({"output": ["a"], "x": "1"})),
            (
                "text<a>1</a>more",
                json!({"a": "1", "#text": ["\ntext", "more"], "#order": ["#text", "a", "#text"]}),
            ),
            (
                "<multi-routing-engine-results><multi-routing-engine-item><re-name>a</re-name><output>1</output>\
                 </multi-routing-engine-item><multi-routing-engine-item><re-name>b</re-name><x>2</x>\
                 </multi-routing-engine-item></multi-routing-engine-results>",
                json!({"multi-routing-engine-results": {"multi-routing-engine-item": [
                    {"re-name": "a", "output": "1"}, {"re-name": "b", "x": "2"}
                ]}}),
            ),
        ] {
            device.faults().add(reply_with(reply));
            let read = good(door, ask(&gateway, door, text).await);
            assert_eq!(read["data"], data, "{reply}");
        }
    }
}

/// S8, Q5: a reply that breaks the protocol ends its session and is told as such; the next call has a new session.
#[tokio::test]
async fn broken_replies_end_the_session_and_not_the_service() {
    for (profile, fault) in [
        (Profile::Junos, Fault::WrongMessageId),
        (Profile::Junos, Fault::MalformedXml),
        (Profile::Junos, Fault::GarbageBefore(b"lorem ipsum".to_vec())),
        (Profile::Junos, Fault::DeepXml(1000)),
        (
            Profile::Junos,
            Fault::MessageText("<!DOCTYPE rpc-reply><rpc-reply/>".to_owned()),
        ),
        (Profile::JunosRfc11, Fault::BadChunk),
        (Profile::JunosRfc11, Fault::GarbageBefore(b"lorem ipsum".to_vec())),
    ] {
        let (gateway, device) = TestGateway::with_device(junos().profile(profile)).await;
        for door in DOORS {
            device.faults().add(Rule::on(NAME, fault.clone()).once());
            let refusal = bad(door, ask(&gateway, door, plain()).await);
            assert_eq!(
                refusal.verdict(),
                ("device-protocol-error", "not_applied"),
                "{fault:?}"
            );
            let shown = good(door, gateway.device(door, "mx1").await);
            assert_eq!(shown["connection"]["last_loss"]["code"], "device-protocol-error");
            good(door, ask(&gateway, door, plain()).await);
        }
        assert_eq!(
            device.stats().count(NAME),
            4,
            "{fault:?}: a broken reply is not asked for again"
        );
    }
}

/// S8: a reply without message-id belongs to the one request that is outstanding.
#[tokio::test]
async fn reply_without_message_id_is_accepted_when_only_one_is_outstanding() {
    let (gateway, device) = TestGateway::with_device(junos()).await;
    device.faults().add(Rule::on(NAME, Fault::MissingMessageId));
    for door in DOORS {
        let read = good(door, ask(&gateway, door, plain()).await);
        assert_eq!(read["data"]["chassis-inventory"]["chassis"]["name"], "Chassis");
    }
    assert_eq!(device.stats().sessions, 1);
}

/// X3: what XML cannot hold is replaced and told, and the session lives.
#[tokio::test]
async fn characters_that_are_none_are_replaced() {
    let (gateway, device) = TestGateway::with_device(junos()).await;
    for door in DOORS {
        for (fault, note) in [
            (Fault::ControlCharacters, "a\u{fffd}b\u{fffd}c"),
            (Fault::BadUtf8, "a\u{fffd}\u{fffd}\u{fffd}(b"),
        ] {
            device.faults().add(Rule::on(NAME, fault).once());
            let read = good(door, ask(&gateway, door, plain()).await);
            assert_eq!(
                (&read["lossy"], &read["data"]["note"]),
                (&json!(true), &json!(note))
            );
        }
        assert_eq!(good(door, ask(&gateway, door, plain()).await)["lossy"], false);
    }
    assert_eq!(device.stats().sessions, 1);
}

/// H6, Q7: a device that does not answer is a timeout, not sent again; a connection that breaks is told as lost.
#[tokio::test]
async fn silence_and_loss_are_told_apart() {
    let gateway = TestGateway::start().await;
    let device = listen(junos()).await;
    gateway
        .add("mx1", &device, json!({"timeouts": {"rpc_seconds": 1}}))
        .await;
    for door in DOORS {
        let before = device.stats().count(NAME);
        good(door, ask(&gateway, door, plain()).await);
        device.faults().add(Rule::on(NAME, Fault::NeverReply).once());
        let refusal = bad(door, ask(&gateway, door, plain()).await);
        assert_eq!(refusal.verdict(), ("device-timeout", "not_applied"));
        assert_eq!(device.stats().count(NAME), before + 2);
        device.faults().add(Rule::on(NAME, Fault::DropAfter(200)).once());
        let refusal = bad(door, ask(&gateway, door, plain()).await);
        assert_eq!(refusal.verdict(), ("session-lost", "not_applied"));
        good(door, ask(&gateway, door, plain()).await);
    }
}

/// S17: a reply far beyond memory is streamed; what one gRPC message cannot hold is refused with the way out.
#[tokio::test]
async fn large_reply_is_streamed() {
    let (gateway, device) = TestGateway::with_device(junos()).await;
    device
        .faults()
        .add(Rule::on("get-interface-information", Fault::HugeReply(12 << 20)));
    let path = "/v1/devices/mx1/rpc/get-interface-information";
    let body = gateway.read(path).await;
    let ports = body["data"]["interface-information"]["physical-interface"]
        .as_array()
        .expect("a list")
        .len();
    assert!(ports > 1000, "{ports}");
    let xml = gateway
        .request(Method::GET, &format!("{path}?format=xml"))
        .send()
        .await
        .expect("an answer")
        .text()
        .await
        .expect("a whole body");
    assert!(xml.len() > 12 << 20, "{}", xml.len());

    let name = "get-interface-information";
    let refusal = bad(
        Door::Grpc,
        gateway.named(Door::Grpc, "mx1", name, Value::Null, plain()).await,
    );
    assert_eq!(refusal.code, "response-too-large");
    assert!(
        refusal
            .hint
            .as_deref()
            .is_some_and(|hint| hint.to_lowercase().contains("stream")),
        "{refusal:?}"
    );
    let (header, data, largest) = gateway.stream_named("mx1", name).await;
    assert_eq!(header["complete"], true);
    assert!(largest <= 256 << 10, "{largest}");
    assert_eq!(
        data["interface-information"]["physical-interface"]
            .as_array()
            .map(Vec::len),
        Some(ports)
    );
}
