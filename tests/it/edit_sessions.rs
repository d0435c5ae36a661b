//! Edit sessions in each mode, from opening to commit, through both doors (S20–S25).

use ncgate::emulator::config::Change;
use ncgate::emulator::{Profile, RunningEmulator};
use serde_json::{Value, json};

use crate::support::doors::{DOORS, Door, good, plain};
use crate::support::{TestGateway, junos, listen, sent};

const CONTACT: &[(&str, &str)] = &[("path", "snmp/contact")];

fn contact(name: &str) -> Value {
    json!({"config": {"snmp": {"contact": name}}})
}

/// The same for a server that knows nothing of Junos.
fn qualified(name: &str) -> Value {
    json!({"config": {"example-router:configuration": {"snmp": {"contact": name}}}})
}

fn id(session: &Value) -> &str {
    session["id"]
        .as_str()
        .unwrap_or_else(|| panic!("no id: {session}"))
}

/// What runs on the device, as set lines.
fn running(device: &RunningEmulator) -> String {
    ncgate::emulator::config::set::render(&device.device().running().tree)
}

/// The session that has the lock of the candidate.
fn lock_holder(device: &RunningEmulator) -> Option<u32> {
    let holder = device
        .device()
        .lock_holder(ncgate::emulator::config::Store::Candidate);
    holder.map(|holder| holder.session)
}

/// S20, S21, S23, S27: lock, edit, look, check, commit, unlock; nothing counts before the commit, and the lock is there
/// from the first answer to the last.
#[tokio::test]
async fn exclusive_session_from_lock_to_unlock() {
    for door in DOORS {
        let (gateway, device) = TestGateway::with_device(junos()).await;
        let opened = gateway
            .open(door, "mx1", json!({"ttl_seconds": 120}))
            .await
            .unwrap();
        assert_eq!(opened["state"], "open", "{opened}");
        assert_eq!(
            (&opened["mode"], &opened["datastore"]),
            (&json!("exclusive"), &json!("candidate"))
        );
        assert_eq!(
            (&opened["ttl_seconds"], &opened["uncommitted"]),
            (&json!(120), &json!(false))
        );
        let holder = lock_holder(&device).expect("the candidate is locked");
        assert_eq!(opened["session_id"], holder);
        let session = id(&opened);

        let edited = gateway.edit(door, "mx1", session, contact("east")).await.unwrap();
        assert_eq!(edited["uncommitted"], true);
        let seen = gateway.edited(door, "mx1", session, CONTACT).await.unwrap();
        let snmp = &seen["data"]["configuration"]["snmp"];
        assert_eq!(snmp["contact"], "east", "{seen}");
        assert_eq!(seen["session_id"], opened["session_id"]);
        assert!(!running(&device).contains("contact east"));
        let diff = gateway.diff(door, "mx1", session).await.unwrap();
        assert_eq!(
            (&diff["changed"], &diff["format"]),
            (&json!(true), &json!("junos"))
        );
        assert!(
            diff["diff"].as_str().unwrap().contains("+  contact east;"),
            "{diff}"
        );
        gateway
            .act(door, "mx1", session, "validate", Value::Null)
            .await
            .unwrap();

        let comment = json!({"comment": "to the east"});
        let done = gateway
            .act(door, "mx1", session, "commit", comment)
            .await
            .unwrap();
        assert_eq!(
            (&done["uncommitted"], &done["state"]),
            (&json!(false), &json!("open"))
        );
        let newest = device.device().running();
        assert_eq!(done["commit"]["revision"], newest.identifier(), "{done}");
        let mark = format!(
            "to the east [ncgate {} anonymous]",
            done["commit"]["id"].as_str().unwrap()
        );
        assert_eq!(newest.log.as_deref(), Some(mark.as_str()));
        assert!(running(&device).contains("contact east"));
        let diff = gateway.diff(door, "mx1", session).await.unwrap();
        assert_eq!((&diff["changed"], &diff["diff"]), (&json!(false), &json!("")));
        assert!(lock_holder(&device).is_some());
        // What an edit session leaves behind nobody could call off.
        let later = gateway
            .act(door, "mx1", session, "commit", json!({"at": "23:15"}))
            .await
            .unwrap_err();
        assert_eq!(
            (later.code.as_str(), &later.fields[..]),
            ("invalid-argument", &["at".to_owned()][..])
        );
        // Whoever else comes stands in the gateway's own queue all the time: the device is not even asked.
        let late = gateway.open(door, "mx1", json!({})).await.unwrap_err();
        assert_eq!(
            (late.code.as_str(), late.outcome.as_str()),
            ("lock-denied", "not_sent")
        );
        assert!(late.detail.contains(session), "{}", late.detail);

        gateway.close(door, "mx1", session).await.unwrap();
        assert!(lock_holder(&device).is_none());
        let ended = gateway.edit_session(door, "mx1", session).await.unwrap();
        assert_eq!(
            (&ended["state"], &ended["reason"]),
            (&json!("closed"), &json!("released"))
        );
        assert!(ended["end_time"].is_string() && ended.get("commit").is_none());
        assert_eq!(
            gateway.list_edit_sessions(door, "mx1").await.unwrap(),
            json!([ended])
        );
        for again in [
            gateway.edit(door, "mx1", session, contact("west")).await,
            gateway.act(door, "mx1", session, "renew", Value::Null).await,
            gateway.diff(door, "mx1", session).await,
            gateway.close(door, "mx1", session).await,
        ] {
            let refused = again.unwrap_err();
            assert_eq!(
                (refused.code.as_str(), refused.outcome.as_str()),
                ("edit-session-closed", "not_sent")
            );
        }
        let unknown = gateway.edit_session(door, "mx1", "01NONE").await.unwrap_err();
        assert_eq!(unknown.code, "not-found");
        gateway.stop().await;
    }
}

/// S12, S23: what was not committed is discarded with the lock, and by request before; a refused edit says what the
/// device said.
#[tokio::test]
async fn uncommitted_edits_are_taken_back() {
    for door in DOORS {
        let (gateway, device) = TestGateway::with_device(junos()).await;
        let before = running(&device);
        let opened = gateway.open(door, "mx1", json!({})).await.unwrap();
        let session = id(&opened);
        gateway.edit(door, "mx1", session, contact("east")).await.unwrap();
        let bad = json!({"format": "set", "config": "set system no-such-statement x"});
        let refused = gateway.edit(door, "mx1", session, bad).await.unwrap_err();
        assert_eq!(
            (refused.step.as_deref(), refused.outcome.as_str()),
            (Some("edit"), "not_applied")
        );
        assert!(!refused.rpc_errors.is_empty());
        let invalid = json!({"action": "replace", "config": {"system": {}}});
        let refused = gateway.edit(door, "mx1", session, invalid).await.unwrap_err();
        assert_eq!(
            (refused.code.as_str(), refused.outcome.as_str()),
            ("invalid-argument", "not_sent")
        );
        let discarded = gateway
            .act(door, "mx1", session, "discard", Value::Null)
            .await
            .unwrap();
        assert_eq!(discarded["uncommitted"], false);
        assert!(!device.device().is_modified());
        gateway.edit(door, "mx1", session, contact("west")).await.unwrap();
        assert!(device.device().is_modified());
        gateway.close(door, "mx1", session).await.unwrap();
        assert!(!device.device().is_modified());
        assert_eq!(running(&device), before);
        gateway.stop().await;
    }
}

/// S20: `plan` shows the XML of every step and sends nothing.
#[tokio::test]
async fn plans_send_nothing() {
    for door in DOORS {
        let (gateway, device) = TestGateway::with_device(junos()).await;
        let plan = gateway.open(door, "mx1", json!({"plan": true})).await.unwrap();
        assert_eq!(
            plan["rpcs"],
            json!(["<lock><target><candidate/></target></lock>"])
        );
        assert!(lock_holder(&device).is_none());
        let opened = gateway.open(door, "mx1", json!({})).await.unwrap();
        let session = id(&opened);
        let mut edit = contact("east");
        edit["plan"] = json!(true);
        let plan = gateway.edit(door, "mx1", session, edit).await.unwrap();
        assert!(
            plan["rpcs"][0]
                .as_str()
                .unwrap()
                .contains("<contact>east</contact>"),
            "{plan}"
        );
        // A commit is preceded by a look at what it would change.
        for (action, at, element) in [
            ("discard", 0, "<discard-changes/>"),
            ("commit", 0, "<get-commit-information/>"),
            ("commit", 1, "compare=\"rollback\""),
            ("commit", 2, "<log>"),
        ] {
            let plan = gateway
                .act(door, "mx1", session, action, json!({"plan": true}))
                .await
                .unwrap();
            assert!(
                plan["rpcs"][at].as_str().unwrap().contains(element),
                "{action}: {plan}"
            );
        }
        for operation in [
            "load-configuration",
            "get-configuration",
            "commit-configuration",
            "discard-changes",
        ] {
            assert!(sent(&device, operation).is_empty(), "{operation} was sent");
        }
        gateway.stop().await;
    }
}

/// S24, Q1: a private copy is edited beside the lock of another and committed when that is gone; whoever is in the way is
/// told. What the device warns of is no error.
#[tokio::test]
async fn private_copy_works_beside_a_lock() {
    for door in DOORS {
        let (gateway, device) = TestGateway::with_device(junos().warns_of_private_copies()).await;
        let private = gateway
            .open(door, "mx1", json!({"mode": "private"}))
            .await
            .unwrap();
        let warning = private["warnings"][0]["error_message"]
            .as_str()
            .unwrap_or_default();
        assert!(
            warning.contains("uncommitted changes will be discarded on exit"),
            "{private}"
        );
        let exclusive = gateway.open(door, "mx1", json!({})).await.unwrap();
        gateway
            .edit(door, "mx1", id(&private), contact("north"))
            .await
            .unwrap();
        let seen = gateway.edited(door, "mx1", id(&private), CONTACT).await.unwrap();
        assert_eq!(seen["data"]["configuration"]["snmp"]["contact"], "north");
        assert!(!device.device().is_modified());
        let refused = gateway
            .act(door, "mx1", id(&private), "commit", json!({}))
            .await
            .unwrap_err();
        assert_eq!(
            (refused.code.as_str(), refused.reason.as_deref()),
            ("lock-denied", Some("held"))
        );
        let holder = refused.holder.expect("who is in the way");
        assert_eq!(holder["session_id"], exclusive["session_id"]);
        gateway.close(door, "mx1", id(&exclusive)).await.unwrap();
        let done = gateway
            .act(door, "mx1", id(&private), "commit", json!({}))
            .await
            .unwrap();
        assert_eq!(done["uncommitted"], false);
        assert!(running(&device).contains("contact north"));
        gateway
            .edit(door, "mx1", id(&private), contact("south"))
            .await
            .unwrap();
        gateway.close(door, "mx1", id(&private)).await.unwrap();
        assert!(!sent(&device, "close-configuration").is_empty());
        assert!(running(&device).contains("contact north"));
        gateway.stop().await;
    }
}

/// S25: what a device tells of the space that its configuration databases take comes through its RPC and its command. The
/// emulator counts ephemeral instances.
#[tokio::test]
async fn the_space_that_an_instance_takes_is_told() {
    for door in DOORS {
        let (gateway, device) = TestGateway::with_device(junos()).await;
        let usage = async || {
            let reply = gateway
                .named(door, "mx1", "get-database-usage", Value::Null, plain())
                .await;
            let reply = good(door, reply);
            let told = reply["data"]["output"][0]
                .as_str()
                .unwrap_or_else(|| panic!("{reply}"));
            let line = told
                .lines()
                .find(|line| line.starts_with("Actual database usage: "));
            line.unwrap_or_else(|| panic!("{told}")).to_owned()
        };
        let before = usage().await;
        let opened = gateway
            .open(door, "mx1", json!({"mode": "ephemeral"}))
            .await
            .unwrap();
        let session = id(&opened);
        gateway.edit(door, "mx1", session, contact("east")).await.unwrap();
        assert_eq!(usage().await, before, "nothing is committed");
        gateway
            .act(door, "mx1", session, "commit", json!({}))
            .await
            .unwrap();
        let after = usage().await;
        assert_ne!(after, before);
        let command = "show system configuration database usage";
        let said = good(door, gateway.cli(door, "mx1", command, plain()).await);
        assert!(said["data"].to_string().contains(&after), "{said}");
        gateway.stop().await;
        device.stop().await;
    }
}

/// S25, E5: an ephemeral instance has no comparison and no check, is discarded by closing it, and says that it does not
/// last.
#[tokio::test]
async fn ephemeral_instance_is_edited_and_committed() {
    for door in DOORS {
        let blue = junos().commit(Change {
            user: "root".to_owned(),
            client: "cli".to_owned(),
            seconds: 1_768_400_000,
            commands: "set system configuration-database ephemeral instance blue".to_owned(),
            log: None,
        });
        let (gateway, device) = TestGateway::with_device(blue).await;
        let body = json!({"mode": "ephemeral", "instance": "blue"});
        let opened = gateway.open(door, "mx1", body).await.unwrap();
        assert_eq!(opened["instance"], "blue");
        assert!(opened["warnings"].to_string().contains("do not survive a reboot"));
        let session = id(&opened);
        gateway.edit(door, "mx1", session, contact("east")).await.unwrap();
        let discarded = gateway
            .act(door, "mx1", session, "discard", Value::Null)
            .await
            .unwrap();
        assert_eq!(
            (&discarded["uncommitted"], &discarded["state"]),
            (&json!(false), &json!("open"))
        );
        gateway.edit(door, "mx1", session, contact("west")).await.unwrap();
        let refused = gateway.diff(door, "mx1", session).await.unwrap_err();
        assert_eq!(refused.code, "invalid-argument");
        let checked = gateway
            .act(door, "mx1", session, "validate", Value::Null)
            .await
            .unwrap();
        assert!(
            checked["warnings"].to_string().contains("nothing was checked"),
            "{checked}"
        );
        let log = json!({"comment": "x"});
        let refused = gateway
            .act(door, "mx1", session, "commit", log)
            .await
            .unwrap_err();
        assert_eq!(refused.fields, ["comment"]);
        gateway
            .act(door, "mx1", session, "commit", json!({}))
            .await
            .unwrap();
        let instance = ncgate::emulator::config::set::render(&device.device().ephemeral("blue"));
        assert!(
            instance.contains("contact west") && !instance.contains("east"),
            "{instance}"
        );
        gateway.close(door, "mx1", session).await.unwrap();
        let elsewhere = json!({"mode": "exclusive", "instance": "blue"});
        let refused = gateway.open(door, "mx1", elsewhere).await.unwrap_err();
        assert_eq!(refused.fields, ["instance"]);
        gateway.stop().await;
    }
}

/// S20, L2: without a lock it is allowed, with a warning; nothing of the shared candidate is discarded by itself, and
/// for the changes of others it must be said.
#[tokio::test]
async fn shared_session_never_discards_by_itself() {
    for door in DOORS {
        let (gateway, device) = TestGateway::with_device(junos()).await;
        let shared = json!({"mode": "shared"});
        let opened = gateway.open(door, "mx1", shared.clone()).await.unwrap();
        assert!(opened["warnings"].to_string().contains("not locked"), "{opened}");
        let session = id(&opened);
        gateway.edit(door, "mx1", session, contact("east")).await.unwrap();
        let refused = gateway
            .act(door, "mx1", session, "discard", Value::Null)
            .await
            .unwrap_err();
        assert_eq!(
            (refused.code.as_str(), &refused.fields[..]),
            ("invalid-argument", &["discard_others".to_owned()][..])
        );
        gateway.close(door, "mx1", session).await.unwrap();
        assert!(device.device().is_modified());
        let ended = gateway.edit_session(door, "mx1", session).await.unwrap();
        assert!(
            ended["warnings"]
                .to_string()
                .contains("stays in the shared candidate"),
            "{ended}"
        );
        let denied = gateway.open(door, "mx1", json!({})).await.unwrap_err();
        assert_eq!(denied.reason.as_deref(), Some("candidate_modified"));
        let opened = gateway.open(door, "mx1", shared).await.unwrap();
        let all = json!({"discard_others": true});
        gateway
            .act(door, "mx1", id(&opened), "discard", all)
            .await
            .unwrap();
        assert!(!device.device().is_modified());
        gateway.stop().await;
    }
}

/// S9, Q9: RPCs of other kinds go through the same session; what edits, locks or commits has its own calls.
#[tokio::test]
async fn other_rpcs_run_in_the_session() {
    for door in DOORS {
        let (gateway, device) = TestGateway::with_device(junos()).await;
        let opened = gateway.open(door, "mx1", json!({})).await.unwrap();
        let session = id(&opened);
        let rpc = json!({"get-system-uptime-information": null});
        let reply = gateway
            .edit_session_rpc(door, "mx1", session, rpc, false)
            .await
            .unwrap();
        assert_eq!(reply["session_id"], opened["session_id"]);
        assert!(reply["data"]["system-uptime-information"].is_object(), "{reply}");
        let commit = json!({"commit-configuration": null});
        let refused = gateway
            .edit_session_rpc(door, "mx1", session, commit, false)
            .await
            .unwrap_err();
        assert_eq!(refused.code, "use-resource");
        assert!(sent(&device, "commit-configuration").is_empty());
        gateway.stop().await;
    }
}

/// M1, S27: every member's word stands in the answer; with one member's success the commit is not "not applied".
#[tokio::test]
async fn members_of_a_commit_are_told_one_by_one() {
    for door in DOORS {
        for (builder, failing) in [
            (junos().member("re0").member("re1"), false),
            (junos().member("re0").failing_member("re1", "no disk space"), true),
        ] {
            let (gateway, _device) = TestGateway::with_device(builder).await;
            let opened = gateway.open(door, "mx1", json!({})).await.unwrap();
            gateway
                .edit(door, "mx1", id(&opened), contact("east"))
                .await
                .unwrap();
            let done = gateway
                .act(door, "mx1", id(&opened), "commit", json!({"synchronize": true}))
                .await;
            let results = |members: &[Value]| -> Vec<(Value, Value)> {
                let of = |member: &Value| (member["name"].clone(), member["result"].clone());
                members.iter().map(of).collect()
            };
            let word = |name: &str, result: &str| (json!(name), json!(result));
            if failing {
                let refused = done.unwrap_err();
                assert_eq!(refused.outcome, "unknown");
                assert_eq!(
                    results(&refused.members),
                    [word("re0", "success"), word("re1", "error")]
                );
            } else {
                let commit = done.unwrap()["commit"].take();
                let members = commit["members"].as_array().unwrap();
                assert_eq!(results(members), [word("re0", "success"), word("re1", "success")]);
            }
            gateway.stop().await;
        }
    }
}

/// S12, E7: the same on a server that knows nothing of Junos: the difference is the gateway's own, and what was
/// committed is saved.
#[tokio::test]
async fn rfc_server_is_edited_by_its_own_operations() {
    for door in DOORS {
        let (gateway, device) = TestGateway::with_device(junos().profile(Profile::Rfc)).await;
        let refused = gateway
            .open(door, "mx1", json!({"mode": "private"}))
            .await
            .unwrap_err();
        assert_eq!(
            (refused.code.as_str(), refused.outcome.as_str()),
            ("capability-missing", "not_sent")
        );
        let opened = gateway.open(door, "mx1", json!({})).await.unwrap();
        let session = id(&opened);
        gateway
            .edit(door, "mx1", session, qualified("east"))
            .await
            .unwrap();
        let diff = gateway.diff(door, "mx1", session).await.unwrap();
        assert_eq!(diff["format"], "paths");
        assert!(
            diff["diff"].as_str().unwrap().contains("/snmp/contact = east"),
            "{diff}"
        );
        gateway
            .act(door, "mx1", session, "validate", Value::Null)
            .await
            .unwrap();
        let done = gateway
            .act(door, "mx1", session, "commit", json!({}))
            .await
            .unwrap();
        assert_eq!(done["uncommitted"], false);
        assert!(running(&device).contains("contact east"));
        assert_eq!(sent(&device, "copy-config").len(), 1);
        assert_eq!(
            gateway.diff(door, "mx1", session).await.unwrap()["changed"],
            false
        );
        gateway.close(door, "mx1", session).await.unwrap();
        assert!(lock_holder(&device).is_none());
        gateway.stop().await;
    }
}

/// S21: a device without a candidate has running locked; edits act at once, so there is nothing to commit.
#[tokio::test]
async fn running_is_locked_where_there_is_no_candidate() {
    for door in DOORS {
        let (gateway, device) = TestGateway::with_device(junos().profile(Profile::RfcRunning)).await;
        let refused = gateway.open(door, "mx1", json!({})).await.unwrap_err();
        assert_eq!(
            (refused.code.as_str(), refused.outcome.as_str()),
            ("capability-missing", "not_sent")
        );
        let opened = gateway
            .open(door, "mx1", json!({"datastore": "running"}))
            .await
            .unwrap();
        let edited = gateway
            .edit(door, "mx1", id(&opened), qualified("east"))
            .await
            .unwrap();
        assert_eq!(edited["uncommitted"], false);
        assert!(running(&device).contains("contact east"));
        for action in ["commit", "discard"] {
            let refused = gateway
                .act(door, "mx1", id(&opened), action, json!({}))
                .await
                .unwrap_err();
            assert_eq!(
                (refused.code.as_str(), refused.outcome.as_str()),
                ("invalid-state", "not_sent")
            );
        }
        gateway.close(door, "mx1", id(&opened)).await.unwrap();
        assert_eq!(sent(&device, "unlock").len(), 1);
        gateway.stop().await;
    }
}

/// H1: what cannot be is refused with its place, before anything is sent.
#[tokio::test]
async fn faults_of_the_request_are_named() {
    let (gateway, device) = TestGateway::with_device(junos()).await;
    for door in DOORS {
        for (body, field) in [
            (json!({"ttl_seconds": 3601}), "ttl_seconds"),
            (json!({"wait_seconds": 3601}), "wait_seconds"),
            (json!({"mode": "private", "datastore": "running"}), "datastore"),
        ] {
            let refused = gateway.open(door, "mx1", body).await.unwrap_err();
            assert_eq!(
                (refused.code.as_str(), &refused.fields[..]),
                ("invalid-argument", &[field.to_owned()][..])
            );
        }
        let refused = gateway.open(door, "mx9", json!({})).await.unwrap_err();
        assert_eq!(refused.code, "not-found");
    }
    assert!(sent(&device, "lock").is_empty());
    assert_eq!(
        gateway.list_edit_sessions(Door::Rest, "mx1").await.unwrap(),
        json!([])
    );
    let other = listen(junos()).await;
    gateway.add("mx2", &other, json!({})).await;
    let opened = gateway.open(Door::Rest, "mx1", json!({})).await.unwrap();
    // It belongs to one device.
    let refused = gateway
        .edit_session(Door::Grpc, "mx2", id(&opened))
        .await
        .unwrap_err();
    assert_eq!(refused.code, "not-found");
    gateway.stop().await;
}
