//! Commits whose reply was lost and that leave more to be done, or less to go by: of ephemeral instances, of which there is
//! no history (E5), and those that were to be saved to startup (E7).

use std::time::Duration;

use ncgate::emulator::config::{Actor, Store, set};
use ncgate::emulator::{DeviceError, Fault, Profile, Rule, RunningEmulator};
use serde_json::{Value, json};

use crate::support::commits::{change_ends_as, device, id, pair, running, to_contact, unanswered};
use crate::support::confirmed::{clock, pass};
use crate::support::doors::{DOORS, Door, bad, good};
use crate::support::{TestGateway, eventually, sent};

/// Longer than a commit may take.
const LONG: Duration = Duration::from_secs(301);

/// A gateway with a Junos device whose next commit is met by this fault.
async fn junos_pair(fault: Fault) -> (TestGateway, RunningEmulator) {
    let (gateway, device, _) = pair(Profile::Junos, None).await;
    device
        .faults()
        .add(Rule::on("commit-configuration", fault).once());
    (gateway, device)
}

/// A change of the default instance.
fn instance(contact: &str) -> Value {
    json!({"mode": "ephemeral", "edits": to_contact(Profile::Junos, contact)})
}

fn contact(name: &str) -> Value {
    json!({"config": {"snmp": {"contact": name}}})
}

/// What was committed to the default instance.
fn kept(device: &RunningEmulator) -> String {
    set::render(&device.device().ephemeral(""))
}

/// Somebody else commits to the default instance.
fn commit_elsewhere(device: &RunningEmulator, commands: &str) {
    let actor = Actor {
        session: 7,
        user: "carol".to_owned(),
        client: "netconf",
        terminal: None,
        since: 0,
    };
    device.device().with_engine(|engine| {
        engine.open_ephemeral(actor.session, "").expect("it opens");
        let told = engine.edit(&actor, 0, |root| set::load(root, commands));
        assert_eq!(told.expect("it may edit"), []);
        engine
            .commit(&actor, &Default::default(), 0)
            .expect("it is committed");
        engine.close(actor.session);
    });
}

async fn lost(gateway: &TestGateway, door: Door, body: Value) -> String {
    let refusal = bad(door, gateway.change(door, "mx1", body).await);
    assert_eq!(refusal.outcome, "unknown", "{refusal:?}");
    refusal.change_id.expect("an id to follow")
}

/// What is said of it once nobody looks any more.
async fn given_up(gateway: &TestGateway, door: Door, id: &str, words: &str) {
    eventually(words, async || {
        let change = good(door, gateway.get_change(door, "mx1", id).await);
        let seen = change["seen"].as_str().unwrap_or_default().to_owned();
        change["state"] == "unknown" && seen.contains(words)
    })
    .await;
    pass(LONG).await;
    // Nobody is kept out any more.
    eventually("another change is made", async || {
        gateway.change(door, "mx1", instance("north")).await.is_ok()
    })
    .await;
    let change = good(door, gateway.get_change(door, "mx1", id).await);
    assert_eq!(
        (&change["state"], &change["outcome"]),
        (&json!("unknown"), &json!("unknown"))
    );
}

/// E5, E4: the instance is read before the commit and afterwards, and tells that it was made.
#[tokio::test]
async fn a_commit_of_an_instance_is_found_to_be_applied() {
    for door in DOORS {
        let (gateway, device) = junos_pair(Fault::DropBeforeReply).await;
        let id = lost(&gateway, door, instance("east")).await;
        let change = change_ends_as(&gateway, door, &id, "committed", "applied").await;
        assert_eq!(change["seen"], "the instance is as it was to become", "{change}");
        assert!(kept(&device).contains("contact east"));
        assert_eq!(sent(&device, "commit-configuration").len(), 1);
        assert_eq!(
            good(door, gateway.change(door, "mx1", instance("west")).await)["state"],
            "committed"
        );
    }
}

/// E5, E4: and that it was not, once it cannot come any more. A named instance is found again by the next start.
#[tokio::test]
async fn a_commit_of_an_instance_is_found_to_be_not_applied() {
    let directory = tempfile::tempdir().unwrap();
    let database = format!("sqlite://{}", directory.path().join("ncgate.db").display());
    let clock = clock();
    let (device, _) = device(Profile::Junos, clock.clone(), None).await;
    let named = async || {
        TestGateway::at(clock.clone(), |settings| {
            settings.database = Some(database.clone());
        })
        .await
    };
    let gateway = named().await;
    gateway.add("mx1", &device, json!({})).await;
    let blue = "set system configuration-database ephemeral instance blue\n";
    let configured = json!({"edits": [{"format": "set", "config": blue}]});
    good(Door::Rest, gateway.change(Door::Rest, "mx1", configured).await);
    let of_blue = |contact: &str| {
        let mut body = instance(contact);
        body["instance"] = json!("blue");
        body
    };
    good(
        Door::Rest,
        gateway.change(Door::Rest, "mx1", of_blue("north")).await,
    );
    let before = device.device().ephemeral("blue");
    let fault = Fault::DropBeforeOperation;
    device
        .faults()
        .add(Rule::on("commit-configuration", fault).once());
    let id = lost(&gateway, Door::Rest, of_blue("east")).await;
    gateway.stop().await;
    let gateway = named().await;
    eventually("the instance is looked at", async || {
        let change = good(Door::Rest, gateway.get_change(Door::Rest, "mx1", &id).await);
        change["seen"] == "the instance is as it was before" && change["outcome"] == "unknown"
    })
    .await;
    pass(LONG).await;
    change_ends_as(&gateway, Door::Rest, &id, "failed", "not_applied").await;
    assert_eq!(device.device().ephemeral("blue"), before);
    gateway.stop().await;
}

/// E4, E5: what somebody else did to the instance meanwhile leaves it unknown, and the reason is told.
#[tokio::test]
async fn an_instance_that_others_change_tells_nothing() {
    let (gateway, device) = junos_pair(Fault::DropBeforeOperation).await;
    let body = instance("east");
    let rule = Rule::on("open-configuration", Fault::Delay(Duration::from_secs(3600)));
    let id = {
        // The resolver does not get at the instance before the other one has.
        device.faults().add(rule.after(1).once());
        lost(&gateway, Door::Rest, body).await
    };
    commit_elsewhere(&device, "set snmp location west");
    device.faults().clear();
    pass(Duration::from_secs(31)).await;
    eventually("it is neither", async || {
        let change = good(Door::Rest, gateway.get_change(Door::Rest, "mx1", &id).await);
        let seen = change["seen"].as_str().unwrap_or_default().to_owned();
        seen.contains("neither as it was before nor as it was to become")
    })
    .await;
    let change = good(Door::Rest, gateway.get_change(Door::Rest, "mx1", &id).await);
    assert_eq!(change["outcome"], "unknown");
}

/// E4, E5: a commit that changes nothing in the instance is not told as made or not made, for nobody can see it.
#[tokio::test]
async fn a_commit_that_changes_nothing_tells_nothing() {
    for door in DOORS {
        let (gateway, device) = junos_pair(Fault::DropBeforeReply).await;
        commit_elsewhere(&device, "set snmp contact east");
        let id = lost(&gateway, door, instance("east")).await;
        given_up(&gateway, door, &id, "changes nothing in the ephemeral instance").await;
    }
}

/// E5: an instance that the device does not show is committed all the same, with a warning; a lost reply stays unknown.
#[tokio::test]
async fn an_instance_that_is_not_shown_tells_nothing() {
    for door in DOORS {
        let (gateway, device) = junos_pair(Fault::DropBeforeReply).await;
        let denied = DeviceError {
            tag: Some(("protocol", "access-denied")),
            ..DeviceError::new("permission denied")
        };
        let hidden = Rule::on("get-configuration", Fault::Errors(vec![denied]));
        device.faults().add(hidden);
        let id = lost(&gateway, door, instance("east")).await;
        let change = good(door, gateway.get_change(door, "mx1", &id).await);
        assert!(
            change["warnings"]
                .to_string()
                .contains("does not show the ephemeral instance"),
            "{change}"
        );
        given_up(&gateway, door, &id, "could not be read before its commit").await;
        assert!(kept(&device).contains("contact"));
    }
}

/// E5, E4: the commit of an edit session likewise: what its edits start from is read before the first of them, and anew
/// after a commit and after a discard.
#[tokio::test]
async fn an_edit_session_of_an_instance_is_found_out() {
    for door in DOORS {
        for (fault, state, outcome) in [
            (Fault::DropBeforeReply, "committed", "applied"),
            (Fault::DropBeforeOperation, "failed", "not_applied"),
        ] {
            let (gateway, device, _) = pair(Profile::Junos, None).await;
            let opened = good(
                door,
                gateway.open(door, "mx1", json!({"mode": "ephemeral"})).await,
            );
            let session = id(&opened);
            let edit = async |name: &str| {
                good(door, gateway.edit(door, "mx1", &session, contact(name)).await);
            };
            let act = async |action: &str| gateway.act(door, "mx1", &session, action, Value::Null).await;
            edit("north").await;
            edit("south").await;
            assert_eq!(sent(&device, "get-configuration").len(), 1);
            let done = good(door, act("commit").await);
            assert_eq!(done["commit"]["state"], "committed", "{done}");
            edit("west").await;
            good(door, act("discard").await);
            commit_elsewhere(&device, "set snmp location lab");
            good(door, act("discard").await);
            edit("east").await;
            device
                .faults()
                .add(Rule::on("commit-configuration", fault).once());
            let refusal = bad(door, act("commit").await);
            assert_eq!(
                (refusal.outcome.as_str(), refusal.step.as_deref()),
                ("unknown", Some("commit"))
            );
            let change = refusal.change_id.expect("an id to follow");
            pass(LONG).await;
            change_ends_as(&gateway, door, &change, state, outcome).await;
            assert_eq!(kept(&device).contains("contact east"), outcome == "applied");
            assert!(kept(&device).contains("location lab"));
        }
    }
}

/// Q1: it is found out in the place that is kept for that, also when all others are held.
#[tokio::test]
async fn an_instance_is_read_in_the_place_that_is_kept() {
    let (gateway, device) = junos_pair(Fault::DropBeforeReply).await;
    // The first look is no good, so that the places can be taken before the second.
    let slow = Rule::on("open-configuration", Fault::Delay(Duration::from_secs(3600)));
    device.faults().add(slow.after(1).once());
    let id = lost(&gateway, Door::Rest, instance("east")).await;
    eventually("a first look", async || {
        sent(&device, "open-configuration").len() == 2
    })
    .await;
    for _ in 0..2 {
        let private = json!({"mode": "private"});
        good(Door::Rest, gateway.open(Door::Rest, "mx1", private).await);
    }
    for _ in 0..3 {
        pass(Duration::from_secs(31)).await;
        gateway.get_change(Door::Rest, "mx1", &id).await.unwrap();
    }
    let change = change_ends_as(&gateway, Door::Rest, &id, "committed", "applied").await;
    assert_eq!(change["seen"], "the instance is as it was to become", "{change}");
}

/// S27, E5: the plan of an edit shows that the instance is read before it, and only before the first.
#[tokio::test]
async fn the_plan_of_an_edit_shows_what_is_read() {
    for door in DOORS {
        let (gateway, _device, _) = pair(Profile::Junos, None).await;
        let opened = good(
            door,
            gateway.open(door, "mx1", json!({"mode": "ephemeral"})).await,
        );
        let session = id(&opened);
        let plan = async || {
            let mut body = contact("east");
            body["plan"] = json!(true);
            let plan = match door {
                Door::Rest => {
                    body.as_object_mut().unwrap().remove("plan");
                    let path = format!("/v1/devices/mx1/edit-sessions/{session}/edit?plan=true");
                    gateway.post(&path, &body).await.1
                }
                Door::Grpc => good(door, gateway.edit(door, "mx1", &session, body).await),
            };
            plan["rpcs"].as_array().expect("RPCs").len()
        };
        assert_eq!(plan().await, 2);
        good(door, gateway.edit(door, "mx1", &session, contact("east")).await);
        assert_eq!(plan().await, 1);
    }
}

/// What would run after a restart of the device.
fn startup(device: &RunningEmulator) -> String {
    set::render(
        &device
            .device()
            .with_engine(|engine| engine.source(0, Store::Startup)),
    )
}

/// E7: what was committed without a reply is saved as soon as that is known, once.
#[tokio::test]
async fn what_is_found_committed_is_saved() {
    for door in DOORS {
        let (gateway, device, edits) = pair(Profile::Rfc, Some(Fault::DropBeforeReply)).await;
        let id = unanswered(&gateway, door, &edits).await;
        let change = change_ends_as(&gateway, door, &id, "committed", "applied").await;
        assert_eq!(startup(&device), running(&device));
        assert!(startup(&device).contains("contact east"));
        let last = change["steps"].as_array().and_then(|steps| steps.last());
        let last = last.expect("steps");
        assert_eq!((&last["name"], &last["result"]), (&json!("save"), &json!("done")));
        assert_eq!(sent(&device, "copy-config").len(), 1);
        assert!(!change["warnings"].to_string().contains("startup"), "{change}");
    }
}

/// E7: a save that fails, or whose reply is lost as well, is a warning: the commit is made, and nothing is sent twice.
#[tokio::test]
async fn a_save_that_fails_is_a_warning() {
    for (fault, result, words) in [
        (
            Fault::Errors(vec![DeviceError::new("no room")]),
            "failed",
            "running was not saved to startup",
        ),
        (
            Fault::DropBeforeReply,
            "unknown",
            "whether running was saved to startup is not known",
        ),
    ] {
        let (gateway, device, edits) = pair(Profile::Rfc, Some(Fault::DropBeforeReply)).await;
        device.faults().add(Rule::on("copy-config", fault));
        let id = unanswered(&gateway, Door::Rest, &edits).await;
        let change = change_ends_as(&gateway, Door::Rest, &id, "committed", "applied").await;
        let last = change["steps"].as_array().and_then(|steps| steps.last());
        assert_eq!(last.expect("steps")["result"], result, "{change}");
        assert!(change["warnings"].to_string().contains(words), "{change}");
        assert_eq!(sent(&device, "copy-config").len(), 1);
    }
}

/// E7: a gateway that ended while it saved does not do it again, and the next one says that it does not know.
#[tokio::test]
async fn a_save_is_sent_once() {
    let directory = tempfile::tempdir().unwrap();
    let database = format!("sqlite://{}", directory.path().join("ncgate.db").display());
    let clock = clock();
    let (device, edits) = device(Profile::Rfc, clock.clone(), Some(Fault::DropBeforeReply)).await;
    let started = async || {
        TestGateway::at(clock.clone(), |settings| {
            settings.database = Some(database.clone());
        })
        .await
    };
    let gateway = started().await;
    gateway.add("mx1", &device, json!({})).await;
    device
        .faults()
        .add(Rule::on("copy-config", Fault::NeverReply).once());
    let id = unanswered(&gateway, Door::Rest, &edits).await;
    eventually("it is being saved", async || {
        !sent(&device, "copy-config").is_empty()
    })
    .await;
    gateway.stop().await;
    let gateway = started().await;
    let change = change_ends_as(&gateway, Door::Rest, &id, "committed", "applied").await;
    assert!(
        change["warnings"]
            .to_string()
            .contains("whether running was saved to startup is not known"),
        "{change}"
    );
    assert_eq!(sent(&device, "copy-config").len(), 1);
    gateway.stop().await;
}

/// E7, E1: with nothing to commit running is saved when that is asked for in so many words, and not otherwise.
#[tokio::test]
async fn what_is_unchanged_is_saved_on_request() {
    for door in DOORS {
        let (gateway, device, edits) = pair(Profile::Rfc, None).await;
        let with = |save: Value| json!({"edits": edits, "commit": {"save": save}});
        let change = async |save: Value| good(door, gateway.change(door, "mx1", with(save)).await);
        assert_eq!(change(json!(false)).await["state"], "committed");
        assert!(!startup(&device).contains("contact east"));
        let unasked = good(door, gateway.change(door, "mx1", json!({"edits": edits})).await);
        assert_eq!(unasked["state"], "unchanged");
        assert!(!startup(&device).contains("contact east"));
        let asked = change(json!(true)).await;
        assert_eq!(
            (&asked["state"], &asked["outcome"]),
            (&json!("unchanged"), &json!("not_applied"))
        );
        assert!(startup(&device).contains("contact east"));
        assert_eq!(device.stats().count("commit"), 1);

        let refusal = Fault::Errors(vec![DeviceError::new("no room")]);
        device.faults().add(Rule::on("copy-config", refusal));
        let refused = bad(door, gateway.change(door, "mx1", with(json!(true))).await);
        assert_eq!(
            (refused.step.as_deref(), refused.outcome.as_str()),
            (Some("save"), "not_applied")
        );
        let id = refused.change_id.expect("a change");
        change_ends_as(&gateway, door, &id, "failed", "not_applied").await;
    }
}

/// The same for the commit of an edit session.
#[tokio::test]
async fn an_unchanged_edit_session_is_saved_on_request() {
    for door in DOORS {
        let (gateway, device, edits) = pair(Profile::Rfc, None).await;
        let opened = good(door, gateway.open(door, "mx1", json!({})).await);
        let session = id(&opened);
        good(door, gateway.edit(door, "mx1", &session, edits[0].clone()).await);
        let commit = async |body: Value| gateway.act(door, "mx1", &session, "commit", body).await;
        let done = good(door, commit(json!({"save": false})).await);
        assert_eq!(done["commit"]["state"], "committed");
        let unasked = good(door, commit(json!({})).await);
        assert_eq!(unasked["commit"]["state"], "unchanged");
        assert!(!startup(&device).contains("contact east"));
        let asked = good(door, commit(json!({"save": true})).await);
        assert_eq!(asked["commit"]["state"], "unchanged");
        assert!(startup(&device).contains("contact east"));

        device
            .faults()
            .add(Rule::on("copy-config", Fault::DropBeforeReply));
        let refused = bad(door, commit(json!({"save": true})).await);
        assert_eq!(
            (refused.step.as_deref(), refused.outcome.as_str()),
            (Some("save"), "not_applied")
        );
        let id = refused.change_id.expect("a change");
        change_ends_as(&gateway, door, &id, "failed", "not_applied").await;
    }
}

/// E7, E1: what has to be confirmed is saved when it is; with nothing to commit nobody confirms it, so what was asked to be
/// saved is saved at once, by a change and by the commit of an edit session.
#[tokio::test]
async fn what_is_unchanged_is_saved_without_a_confirmation() {
    for door in DOORS {
        let (gateway, device, edits) = pair(Profile::Rfc, None).await;
        let first = json!({"edits": edits, "commit": {"save": false}});
        good(door, gateway.change(door, "mx1", first).await);
        let waiting = |save: bool| json!({"confirm_timeout_seconds": 120, "save": save});
        let change = async |save: bool| {
            let body = json!({"edits": edits, "commit": waiting(save)});
            good(door, gateway.change(door, "mx1", body).await)
        };
        assert_eq!(change(false).await["state"], "unchanged");
        assert!(!startup(&device).contains("contact east"));
        let saved = change(true).await;
        assert_eq!(saved["state"], "unchanged", "{saved}");
        assert!(saved.get("confirmed_commit").is_none(), "{saved}");
        assert!(startup(&device).contains("contact east"));
        assert_eq!(sent(&device, "copy-config").len(), 1);

        let session = id(&good(door, gateway.open(door, "mx1", json!({})).await));
        good(door, gateway.edit(door, "mx1", &session, edits[0].clone()).await);
        let done = gateway.act(door, "mx1", &session, "commit", waiting(true)).await;
        assert_eq!(good(door, done)["commit"]["state"], "unchanged");
        assert_eq!(sent(&device, "copy-config").len(), 2);
        good(door, gateway.close(door, "mx1", &session).await);

        // With something to commit not before it is confirmed.
        let west = json!({"edits": to_contact(Profile::Rfc, "west"), "commit": waiting(true)});
        let pending = good(door, gateway.change(door, "mx1", west).await);
        assert_eq!(pending["state"], "pending_confirm", "{pending}");
        assert_eq!(sent(&device, "copy-config").len(), 2);
        let commit = id(&pending["confirmed_commit"]);
        good(door, gateway.order(door, &commit, "confirm", Value::Null).await);
        assert!(startup(&device).contains("contact west"));
    }
}

/// S7, E7: what cannot be saved is refused before anything is sent, also when it would be saved after a confirmation.
#[tokio::test]
async fn what_cannot_be_saved_is_not_committed() {
    let (gateway, device, edits) = pair(Profile::Junos, None).await;
    let body = json!({"edits": edits, "commit": {"confirm_timeout_seconds": 120, "save": true}});
    let refused = bad(Door::Rest, gateway.change(Door::Rest, "mx1", body).await);
    assert_eq!(
        refused.verdict(),
        ("capability-missing", "not_sent"),
        "{refused:?}"
    );
    assert!(sent(&device, "load-configuration").is_empty());
}
