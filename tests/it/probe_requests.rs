//! Asking for a probe: what is refused, what a plan shows, and the ways beside a change through both doors (S31).

use ncgate::emulator::{Profile, Rule};
use serde_json::json;

use crate::probes::{edits, pair, probed, question, running, says, while_time_passes};
use crate::support::doors::{DOORS, bad, good};
use crate::support::sent;

/// H1, C4: what cannot be probed is refused before anything is sent, with its place and the numbers.
#[tokio::test]
async fn what_cannot_be_probed_is_refused() {
    for door in DOORS {
        let (gateway, device, _) = pair(Profile::Junos).await;
        let mut without = probed(Profile::Junos, json!({}));
        without.as_object_mut().unwrap().remove("commit");
        for (body, field) in [
            (without, "probe"),
            (
                probed(Profile::Junos, json!({"rpc": {"clear-arp-table": null}})),
                "probe.rpc",
            ),
            (
                probed(Profile::Junos, json!({"rpc": {"commit-configuration": null}})),
                "probe.rpc",
            ),
            (
                probed(Profile::Junos, json!({"rpc": {"a b": null}})),
                "probe.rpc.a b",
            ),
            (
                probed(
                    Profile::Junos,
                    json!({"expect": [{"pointer": "answer", "equals": 1}]}),
                ),
                "probe.expect.0.pointer",
            ),
            (
                probed(
                    Profile::Junos,
                    json!({"expect": [{"pointer": "/answer/state", "equals": 1}]}),
                ),
                "probe.expect.0.equals",
            ),
            (
                probed(Profile::Junos, json!({"interval_seconds": 0})),
                "probe.interval_seconds",
            ),
            (
                probed(Profile::Junos, json!({"give_up_seconds": 116})),
                "probe.give_up_seconds",
            ),
        ] {
            let refusal = bad(door, gateway.change(door, "mx1", body).await);
            assert_eq!(
                (refusal.outcome.as_str(), &*refusal.fields),
                ("not_sent", &[field.to_owned()][..]),
                "{refusal:?}"
            );
            if field == "probe.give_up_seconds" {
                for number in ["116 s", "5 s", "120 s"] {
                    assert!(refusal.detail.contains(number), "{}", refusal.detail);
                }
            }
        }
        assert_eq!(sent(&device, "lock-configuration"), Vec::<String>::new());
        assert_eq!(sent(&device, "<lock>"), Vec::<String>::new());
        gateway
            .add("small", &device, json!({"pool": {"max_sessions": 1}}))
            .await;
        let refusal = bad(
            door,
            gateway
                .change(door, "small", probed(Profile::Junos, json!({})))
                .await,
        );
        assert_eq!(refusal.fields, ["probe"], "{refusal:?}");
    }
}

/// U9: the plan shows what would be asked.
#[tokio::test]
async fn the_plan_shows_the_question() {
    for door in DOORS {
        let (gateway, _device, _) = pair(Profile::Junos).await;
        let mut body = probed(
            Profile::Junos,
            json!({"rpc": {"get-interface-information": {"terse": null}}}),
        );
        body["plan"] = json!(true);
        let plan = good(door, gateway.change(door, "mx1", body.clone()).await);
        let last = plan["rpcs"].as_array().and_then(|rpcs| rpcs.last()).cloned();
        let asked = json!("<get-interface-information><terse/></get-interface-information>");
        assert_eq!(last, Some(asked.clone()), "{plan}");
        let opened = good(door, gateway.open(door, "mx1", json!({})).await);
        let commit = json!({"confirm_timeout_seconds": 120, "probe": body["probe"], "plan": true});
        let plan = gateway.act(door, "mx1", opened["id"].as_str().unwrap(), "commit", commit);
        let plan = good(door, plan.await);
        assert_eq!(plan["rpcs"].as_array().and_then(|rpcs| rpcs.last()), Some(&asked));
    }
}

/// S28, S31: the commit of an edit session can be probed as well, on a device that may have two sessions.
#[tokio::test]
async fn the_commit_of_an_edit_session_is_probed() {
    for door in DOORS {
        for (told, state) in [("up", "confirmed"), ("down", "cancelled")] {
            let (gateway, device, before) = pair(Profile::Junos).await;
            device
                .faults()
                .add(Rule::on(question(Profile::Junos), says(told)));
            gateway
                .add("small", &device, json!({"pool": {"max_sessions": 2}}))
                .await;
            let opened = good(door, gateway.open(door, "small", json!({})).await);
            let id = opened["id"].as_str().unwrap();
            let edit = edits(Profile::Junos)[0].clone();
            good(door, gateway.edit(door, "small", id, edit).await);
            // The other session lies idle then, and makes room.
            let read = json!({question(Profile::Junos): null});
            good(door, gateway.rpc(door, "small", read, Default::default()).await);
            let probe_of = probed(Profile::Junos, json!({"give_up_seconds": 2}))["probe"].clone();
            let body = json!({"confirm_timeout_seconds": 120, "probe": probe_of});
            let call = gateway.act(door, "small", id, "commit", body);
            let done = good(door, while_time_passes(call).await);
            let commit = &done["commit"];
            assert_eq!(commit["state"], state, "{done}");
            assert_eq!(commit["confirmed_commit"]["state"], state);
            assert_eq!(running(&device) == before, state == "cancelled");
        }
    }
}

/// S31: the command line has it all, and says by its status that a change was made in vain.
#[tokio::test]
async fn the_command_line_probes() {
    let (gateway, device, before) = pair(Profile::Junos).await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("edit.set");
    std::fs::write(&file, "set snmp contact east\n").unwrap();
    let file = file.display().to_string();
    let expects = "/interface-information/physical-interface/0/admin-status=up";
    for (expects, code, state) in [
        (expects.replace("=up", "=down"), 1, "cancelled"),
        (expects.to_owned(), 0, "confirmed"),
    ] {
        let ran = gateway
            .ncgate(&[
                "change",
                "create",
                "mx1",
                &file,
                "--confirm-timeout",
                "60",
                "--probe-rpc",
                "get-interface-information",
                "--probe-argument",
                "interface-name=ge-0/0/0",
                "--probe-argument",
                "terse",
                "--probe-expect",
                &expects,
                "--probe-delay",
                "0",
                "--probe-interval",
                "1",
                "--probe-give-up",
                "1",
            ])
            .await;
        assert_eq!(ran.code, code, "{ran:?}");
        assert!(ran.out.contains(state), "{ran:?}");
        assert_eq!(ran.err.contains("admin-status is \"up\""), code == 1, "{ran:?}");
        assert_eq!(running(&device) == before, code == 1);
    }
}
