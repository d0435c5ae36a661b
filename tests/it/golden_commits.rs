//! S12–S14, S27, S28: what a whole change, each option of its commit, and each call on a whole configuration become on the
//! wire, byte by byte, which is what the plan shows (issue 3).

use ncgate::emulator::{Profile, RunningEmulator};
use serde_json::{Value, json};

use crate::support::commits::{id, to_contact};
use crate::support::doors::{DOORS, Door, good};
use crate::support::planned::{Planned, planned, without_id};
use crate::support::{TestGateway, junos, listen};

/// Plans a change, makes it, and holds the two against each other.
async fn plan_and_make(
    gateway: &TestGateway,
    device: &RunningEmulator,
    door: Door,
    mut body: Value,
) -> (Planned, Value) {
    body["plan"] = json!(true);
    let plan = good(door, gateway.change(door, "mx1", body.clone()).await);
    let plan = planned(device, &plan);
    body["plan"] = json!(false);
    let change = good(door, gateway.change(door, "mx1", body.clone()).await);
    plan.was_sent(device, &body.to_string());
    (plan, change)
}

const COMPARE: &str =
    "<get-configuration database=\"candidate\" compare=\"rollback\" rollback=\"0\" format=\"text\"/>";

/// S31: all steps of a change, in each mode and on each kind of device.
#[tokio::test]
async fn whole_changes() {
    let load = "<load-configuration format=\"xml\"><configuration><snmp><contact>x</contact></snmp></configuration>\
                </load-configuration>";
    let edit = |target: &str| {
        format!(
            "<edit-config><target><{target}/></target><default-operation>merge</default-operation><config>\
             <configuration xmlns=\"urn:example:router\"><snmp><contact>x</contact></snmp></configuration></config>\
             </edit-config>"
        )
    };
    let (candidate, running) = (edit("candidate"), edit("running"));
    let commit = "<commit-configuration><log>[ncgate ID anonymous]</log></commit-configuration>";
    let check = "<commit-configuration><check/></commit-configuration>";
    let history = "<get-commit-information/>";
    let instance = "<get-configuration database=\"candidate\"/>";
    let close = "<close-configuration/>";
    let read_running = "<get-config><source><running/></source></get-config>";
    let read_candidate = "<get-config><source><candidate/></source></get-config>";
    let validate = "<validate><source><candidate/></source></validate>";
    let save = "<copy-config><target><startup/></target><source><running/></source></copy-config>";
    for (profile, mode, rpcs) in [
        (
            Profile::Junos,
            "exclusive",
            vec![
                "<lock><target><candidate/></target></lock>",
                history,
                load,
                check,
                COMPARE,
                commit,
                "<unlock><target><candidate/></target></unlock>",
            ],
        ),
        (
            Profile::Junos,
            "private",
            vec![
                "<open-configuration><private/></open-configuration>",
                load,
                history,
                check,
                COMPARE,
                commit,
                close,
            ],
        ),
        (
            Profile::Junos,
            "ephemeral",
            vec![
                "<open-configuration><ephemeral/></open-configuration>",
                instance,
                load,
                instance,
                "<commit-configuration/>",
                close,
            ],
        ),
        (
            Profile::Junos,
            "shared",
            vec![load, history, check, COMPARE, commit],
        ),
        (
            Profile::Rfc,
            "exclusive",
            vec![
                "<lock><target><candidate/></target></lock>",
                read_running,
                read_candidate,
                &candidate,
                validate,
                read_candidate,
                "<commit/>",
                read_running,
                save,
                "<unlock><target><candidate/></target></unlock>",
            ],
        ),
        (
            Profile::Rfc,
            "shared",
            vec![
                read_running,
                &candidate,
                validate,
                read_candidate,
                "<commit/>",
                read_running,
                save,
            ],
        ),
        (
            Profile::RfcRunning,
            "exclusive",
            vec![
                "<lock><target><running/></target></lock>",
                read_running,
                &running,
                read_running,
                "<unlock><target><running/></target></unlock>",
            ],
        ),
    ] {
        for door in DOORS {
            let (gateway, device) = TestGateway::with_device(junos().profile(profile)).await;
            let body = json!({"mode": mode, "edits": to_contact(profile, "x")});
            let (plan, change) = plan_and_make(&gateway, &device, door, body).await;
            let shown: Vec<String> = plan.rpcs.iter().map(|rpc| without_id(rpc)).collect();
            assert_eq!(shown, rpcs, "{profile:?} {mode}");
            assert_eq!(change["state"], "committed", "{profile:?} {mode}: {change}");
            gateway.stop().await;
            device.stop().await;
        }
    }
}

/// S27, S28, C1, E3: every option of a commit on Junos.
#[tokio::test]
async fn options_of_a_commit_on_junos() {
    let (gateway, device) = TestGateway::with_device(junos()).await;
    for (number, (options, inside)) in [
        (
            json!({"comment": "a & <b>"}),
            "<log>a &amp; &lt;b&gt; [ncgate ID anonymous]</log>",
        ),
        (
            json!({"synchronize": true}),
            "<synchronize/><log>[ncgate ID anonymous]</log>",
        ),
        (
            json!({"force_synchronize": true}),
            "<synchronize/><force-synchronize/><log>[ncgate ID anonymous]</log>",
        ),
        (json!({"full": true}), "<full/><log>[ncgate ID anonymous]</log>"),
        (
            json!({"confirm_timeout_seconds": 61}),
            "<confirmed/><confirm-timeout>2</confirm-timeout><log>[ncgate ID anonymous]</log>",
        ),
        (
            json!({"at": "23:59", "comment": "tonight"}),
            "<at-time>23:59</at-time><log>tonight [ncgate ID anonymous]</log>",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let door = DOORS[number % 2];
        let edits = to_contact(Profile::Junos, &format!("x{number}"));
        let body = json!({"edits": edits, "commit": options});
        let (plan, change) = plan_and_make(&gateway, &device, door, body).await;
        let commit = format!("<commit-configuration>{inside}</commit-configuration>");
        assert!(
            plan.rpcs.iter().any(|rpc| without_id(rpc) == commit),
            "{options}: {:?}",
            plan.rpcs
        );
        // The next one finds nothing open.
        match change["state"].as_str() {
            Some("pending_confirm") => {
                let pending = id(&change["confirmed_commit"]);
                good(door, gateway.order(door, &pending, "confirm", json!({})).await);
            }
            Some("scheduled") => {
                good(door, gateway.cancel_change(door, "mx1", &id(&change)).await);
            }
            state => assert_eq!(state, Some("committed"), "{options}: {change}"),
        }
    }
    gateway.stop().await;
    device.stop().await;
}

/// S12–S14: calls on whole configurations.
#[tokio::test]
async fn whole_configurations() {
    let gateway = TestGateway::with(|settings| settings.device_urls = Some("file:".to_owned())).await;
    let rfc = listen(junos().profile(Profile::Rfc)).await;
    let file = "<configuration><snmp><contact>x</contact></snmp></configuration>";
    let mx = listen(junos().file("/var/tmp/f.xml", file)).await;
    gateway.add("rfc", &rfc, json!({})).await;
    gateway.add("mx", &mx, json!({})).await;
    let inline = json!({"config": {"example-router:configuration": {"snmp": {"contact": "x"}}}});
    let inline_xml = "<config><configuration xmlns=\"urn:example:router\"><snmp><contact>x</contact></snmp></configuration></config>";
    let url = json!({"url": "/var/tmp/f.xml"});
    for (number, (name, action, body, rpc)) in [
        (
            "rfc",
            "copy",
            json!({"source": "running", "target": "startup"}),
            "<copy-config><target><startup/></target><source><running/></source></copy-config>".to_owned(),
        ),
        (
            "rfc",
            "copy",
            json!({"source": inline, "target": "candidate"}),
            format!("<copy-config><target><candidate/></target><source>{inline_xml}</source></copy-config>"),
        ),
        (
            "rfc",
            "copy",
            json!({"source": "running", "target": "candidate", "discard_others": true}),
            "<copy-config><target><candidate/></target><source><running/></source></copy-config>".to_owned(),
        ),
        (
            "rfc",
            "validate",
            json!({"source": inline}),
            format!("<validate><source>{inline_xml}</source></validate>"),
        ),
        (
            "rfc",
            "validate",
            json!({"source": "candidate"}),
            "<validate><source><candidate/></source></validate>".to_owned(),
        ),
        (
            "rfc",
            "delete",
            json!({"target": "startup"}),
            "<delete-config><target><startup/></target></delete-config>".to_owned(),
        ),
        (
            "mx",
            "copy",
            json!({"source": "running", "target": {"url": "/var/tmp/g.xml"}}),
            "<copy-config><target><url>/var/tmp/g.xml</url></target><source><running/></source></copy-config>"
                .to_owned(),
        ),
        (
            "mx",
            "validate",
            json!({"source": url}),
            "<validate><source><url>/var/tmp/f.xml</url></source></validate>".to_owned(),
        ),
        (
            "mx",
            "copy",
            json!({"source": url, "target": "candidate"}),
            "<copy-config><target><candidate/></target><source><url>/var/tmp/f.xml</url></source></copy-config>"
                .to_owned(),
        ),
        (
            "mx",
            "delete",
            json!({"target": {"url": "/var/tmp/g.xml"}}),
            "<delete-config><target><url>/var/tmp/g.xml</url></target></delete-config>".to_owned(),
        ),
        (
            "mx",
            "delete",
            json!({"target": "candidate", "discard_others": true}),
            "<delete-config><target><candidate/></target></delete-config>".to_owned(),
        ),
        (
            "mx",
            "rescue",
            json!({}),
            "<request-save-rescue-configuration/>".to_owned(),
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let (door, device) = (DOORS[number % 2], if name == "mx" { &mx } else { &rfc });
        let mut plan = body.clone();
        plan["plan"] = json!(true);
        let plan = good(door, gateway.whole(door, name, action, plan).await);
        let plan = planned(device, &plan);
        assert!(plan.rpcs.contains(&rpc), "{rpc}: {:?}", plan.rpcs);
        good(door, gateway.whole(door, name, action, body).await);
        plan.was_sent(device, &rpc);
    }
    gateway.stop().await;
    for device in [rfc, mx] {
        device.stop().await;
    }
}
