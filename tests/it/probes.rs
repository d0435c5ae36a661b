//! Probes: an RPC that only reads is repeated over new sessions, until it shows that a commit is good, which is confirmed
//! then, or is cancelled (design section 6, S31), through both doors. `probe_requests` asks for them in other ways.

use std::pin::pin;
use std::time::Duration;

use ncgate::emulator::config::{Store, set};
use ncgate::emulator::{DeviceError, Fault, Profile, Rule, RunningEmulator};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::confirmed::{clock, pass};
use crate::support::doors::{DOORS, Door, good};
use crate::support::{TestGateway, answer, eventually, junos, listen, sent};

const FAMILIES: [Profile; 2] = [Profile::Junos, Profile::Rfc];

/// What is asked of a device of this kind.
pub(crate) fn question(profile: Profile) -> &'static str {
    match profile {
        Profile::Junos => "get-interface-information",
        _ => "get",
    }
}

/// How many such requests the gateway has of its own: without a history it asks since when the server is at work.
fn others(profile: Profile) -> u64 {
    match profile {
        Profile::Junos => 0,
        _ => 1,
    }
}

pub(crate) fn edits(profile: Profile) -> Value {
    match profile {
        Profile::Junos => json!([{"config": {"snmp": {"contact": "east"}}}]),
        _ => json!([{"config": {"example-router:configuration": {"snmp": {"contact": "east"}}}}]),
    }
}

/// A change that is confirmed when the device answers `up`; `more` is laid over its probe.
pub(crate) fn probed(profile: Profile, more: Value) -> Value {
    let mut probe = json!({
        "rpc": {question(profile): null},
        "expect": [{"pointer": "/answer/state", "equals": "up"}],
        "delay_seconds": 0,
        "interval_seconds": 1,
        "give_up_seconds": 20,
    });
    for (name, value) in more.as_object().expect("an object") {
        probe[name] = value.clone();
    }
    json!({"edits": edits(profile), "commit": {"confirm_timeout_seconds": 120}, "probe": probe})
}

pub(crate) fn says(state: &str) -> Fault {
    Fault::ReplyWith(format!("<answer><state>{state}</state></answer>"))
}

pub(crate) fn running(device: &RunningEmulator) -> String {
    set::render(&device.device().running().tree)
}

/// A gateway and a device of this kind, whose time is the runtime's, and what runs there.
pub(crate) async fn pair(profile: Profile) -> (TestGateway, RunningEmulator, String) {
    let clock = clock();
    let gateway = TestGateway::at(clock.clone(), |_| {}).await;
    let device = listen(junos().profile(profile).clock(clock)).await;
    gateway.add("mx1", &device, json!({})).await;
    let before = running(&device);
    (gateway, device, before)
}

/// Lets a second pass now and then until this is done.
pub(crate) async fn while_time_passes<T>(call: impl Future<Output = T>) -> T {
    let mut call = pin!(call);
    loop {
        tokio::select! {
            done = &mut call => return done,
            () = tokio::time::sleep(Duration::from_millis(50)) => pass(Duration::from_secs(1)).await,
        }
    }
}

fn probe(thing: &Value) -> &Value {
    thing
        .get("confirmed_commit")
        .unwrap_or(thing)
        .get("probe")
        .expect("a probe")
}

/// The only confirmed commit that is open.
async fn open_commit(gateway: &TestGateway, door: Door, state: &str) -> Value {
    let mut found = Value::Null;
    eventually(state, async || {
        let listed = good(door, gateway.list_confirmed_commits(door, "mx1", state).await);
        found = listed[0].clone();
        found.is_object()
    })
    .await;
    found
}

async fn is_free(device: &RunningEmulator) {
    eventually("nothing is held any more", async || {
        device.device().lock_holder(Store::Candidate).is_none() && !device.device().is_modified()
    })
    .await;
}

/// S31: what holds at once is confirmed, and its answer says so. The question goes over a connection of its own.
#[tokio::test]
async fn what_holds_is_confirmed() {
    for door in DOORS {
        for profile in FAMILIES {
            let (gateway, device, before) = pair(profile).await;
            device.faults().add(Rule::on(question(profile), says("up")));
            // Sessions that lie idle are of no use for it.
            let read = json!({question(profile): null});
            good(door, gateway.rpc(door, "mx1", read, Default::default()).await);
            let connections = device.stats().connections;
            let change = good(
                door,
                gateway.change(door, "mx1", probed(profile, json!({}))).await,
            );
            assert_eq!(
                (&change["state"], &change["outcome"]),
                (&json!("confirmed"), &json!("applied")),
                "{change}"
            );
            let commit = &change["confirmed_commit"];
            assert_eq!(
                (&commit["state"], &commit["by"]),
                (&json!("confirmed"), &json!("us"))
            );
            assert_eq!(
                (&probe(&change)["state"], &probe(&change)["attempts"]),
                (&json!("held"), &json!(1))
            );
            assert!(
                probe(&change)["last_attempt_time"].is_string() && probe(&change)["last_failure"].is_null()
            );
            assert_eq!(device.stats().connections, connections + 1);
            assert_ne!(running(&device), before);
            is_free(&device).await;
            let stored = good(
                door,
                gateway
                    .get_change(door, "mx1", change["id"].as_str().unwrap())
                    .await,
            );
            assert_eq!(stored["state"], "confirmed");
            pass(Duration::from_secs(300)).await;
            assert_ne!(running(&device), before);
        }
    }
}

/// S31: each attempt asks anew, over a new connection.
#[tokio::test]
async fn what_holds_in_the_end_is_confirmed() {
    for door in DOORS {
        for profile in FAMILIES {
            let (gateway, device, before) = pair(profile).await;
            device
                .faults()
                .add(Rule::on(question(profile), says("down")).times(2 + others(profile)));
            device
                .faults()
                .add(Rule::on(question(profile), says("up")).after(2 + others(profile)));
            let connections = device.stats().connections;
            let call = gateway.change(door, "mx1", probed(profile, json!({})));
            let change = good(door, while_time_passes(call).await);
            assert_eq!(change["state"], "confirmed", "{change}");
            assert_eq!(
                (&probe(&change)["state"], &probe(&change)["attempts"]),
                (&json!("held"), &json!(3))
            );
            // That of the change, and one for each attempt.
            assert_eq!(device.stats().connections, connections + 4);
            assert_ne!(running(&device), before);
        }
    }
}

/// S31, C6: what never holds is cancelled when the time is over, and the answer says what was seen instead.
#[tokio::test]
async fn what_never_holds_is_cancelled() {
    for door in DOORS {
        for profile in FAMILIES {
            let (gateway, device, before) = pair(profile).await;
            device.faults().add(Rule::on(question(profile), says("down")));
            let call = gateway.change(door, "mx1", probed(profile, json!({"give_up_seconds": 5})));
            let change = good(door, while_time_passes(call).await);
            assert_eq!(
                (&change["state"], &change["outcome"]),
                (&json!("cancelled"), &json!("not_applied")),
                "{change}"
            );
            let told = probe(&change);
            assert_eq!(told["state"], "gave_up");
            assert!(
                told["attempts"].as_u64().is_some_and(|attempts| attempts >= 2),
                "{told}"
            );
            assert_eq!(
                told["last_failure"],
                json!({
                    "detail": "/answer/state is \"down\", not \"up\"",
                    "pointer": "/answer/state",
                    "expected": "\"up\"",
                    "seen": "\"down\"",
                })
            );
            assert_eq!(running(&device), before);
            is_free(&device).await;
            pass(Duration::from_secs(200)).await;
            assert_eq!(running(&device), before);
        }
    }
}

/// S31: an RPC that the device refuses does not hold, whatever is expected.
#[tokio::test]
async fn a_refused_question_does_not_hold() {
    for profile in FAMILIES {
        let (gateway, device, before) = pair(profile).await;
        let refusal = Fault::Errors(vec![DeviceError::new("no route to it")]);
        device.faults().add(Rule::on(question(profile), refusal));
        let body = probed(profile, json!({"give_up_seconds": 2, "expect": []}));
        let change = good(
            Door::Rest,
            while_time_passes(gateway.change(Door::Rest, "mx1", body)).await,
        );
        assert_eq!(change["state"], "cancelled", "{change}");
        let failure = &probe(&change)["last_failure"];
        assert!(
            failure["detail"]
                .as_str()
                .is_some_and(|words| words.contains("no route to it")),
            "{failure}"
        );
        assert_eq!(running(&device), before);
    }
}

/// S31, C5: a device that takes no new connection is left to its timer, though the session of the commit lives; that it has
/// undone it is said when that is seen.
#[tokio::test]
async fn a_device_that_takes_no_session_undoes_it_by_itself() {
    for door in DOORS {
        for profile in FAMILIES {
            let (gateway, device, before) = pair(profile).await;
            let read = json!({question(profile): null});
            good(door, gateway.rpc(door, "mx1", read, Default::default()).await);
            device.faults().add(Rule::always(Fault::RefuseConnection));
            let orders = sent(&device, "discard-changes").len();
            let call = gateway.change(door, "mx1", probed(profile, json!({"give_up_seconds": 5})));
            let watch = async {
                let pending = open_commit(&gateway, door, "pending").await;
                let id = pending["id"].as_str().unwrap();
                eventually("the probe has ended", async || {
                    pass(Duration::from_millis(200)).await;
                    let commit = gateway.confirmed_commit(door, id).await.unwrap();
                    probe(&commit)["state"] == "unreachable"
                })
                .await;
                pass(Duration::from_secs(110)).await;
            };
            let mut call = pin!(call);
            tokio::select! {
                answered = &mut call => panic!("too early: {answered:?}"),
                () = watch => {}
            }
            let change = good(door, while_time_passes(call).await);
            assert_eq!(change["state"], "rolled_back", "{change}");
            assert_eq!(change["outcome"], "not_applied");
            assert_eq!(change["confirmed_commit"]["reason"], "timeout");
            assert_eq!(probe(&change)["state"], "unreachable");
            assert_eq!(running(&device), before);
            // Nothing was sent that would undo it.
            assert_eq!(sent(&device, "cancel-commit"), Vec::<String>::new());
            assert_eq!(sent(&device, "rollback=\"1\"").len(), 0);
            assert_eq!(sent(&device, "discard-changes").len(), orders);
            assert!(commits_are(&device, 1), "{:?}", device.device().deeds());
        }
    }
}

/// How often the gateway committed.
fn commits_are(device: &RunningEmulator, count: usize) -> bool {
    device.device().commits_with("").len() == count
}

/// S31, C5: of a device that cannot be reached at all nobody says that it has undone anything before it was seen.
#[tokio::test]
async fn a_dead_device_is_not_told_as_rolled_back() {
    for door in DOORS {
        for profile in FAMILIES {
            let (gateway, device, before) = pair(profile).await;
            let service = &gateway;
            let call = async move {
                let body = probed(profile, json!({"delay_seconds": 3, "give_up_seconds": 5}));
                service.change(door, "mx1", body).await
            };
            let watch = async {
                let pending = open_commit(&gateway, door, "pending").await;
                let id = pending["id"].as_str().unwrap();
                device.faults().add(Rule::always(Fault::RefuseConnection));
                device.drop_connections();
                pass(Duration::from_secs(60)).await;
                eventually("the probe has ended", async || {
                    let commit = gateway.confirmed_commit(door, id).await.unwrap();
                    probe(&commit)["state"] == "unreachable"
                })
                .await;
                pass(Duration::from_secs(70)).await;
                // The device has undone it by now, and nobody has seen that.
                assert_eq!(running(&device), before);
                let unknown = open_commit(&gateway, door, "unknown").await;
                device.faults().clear();
                unknown["id"].as_str().unwrap().to_owned()
            };
            let (called, id) = tokio::join!(call, watch);
            let ended = eventually_ends(&gateway, door, &id).await;
            assert_eq!(
                (&ended["state"], &ended["reason"]),
                (&json!("rolled_back"), &json!("timeout")),
                "{ended}"
            );
            let change = good(door, called);
            assert_eq!(change["state"], "rolled_back", "{change}");
        }
    }
}

/// Lets time pass until it has ended.
async fn eventually_ends(gateway: &TestGateway, door: Door, id: &str) -> Value {
    for _ in 0..200 {
        let commit = gateway.confirmed_commit(door, id).await.unwrap();
        let state = commit["state"].as_str();
        if !matches!(state, Some("pending" | "unknown" | "confirming" | "cancelling")) {
            return commit;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        pass(Duration::from_secs(1)).await;
    }
    panic!("{id} does not end")
}

/// H6: who cannot wait so long is told that it is pending, and the record goes on. D1: so does the probe, in the next
/// gateway, which asks once at a time.
#[tokio::test]
async fn a_restart_goes_on_with_the_probe() {
    for profile in FAMILIES {
        let directory = tempfile::tempdir().unwrap();
        let database = format!("sqlite://{}", directory.path().join("ncgate.db").display());
        let clock = clock();
        let device = listen(junos().profile(profile).clock(clock.clone())).await;
        device.faults().add(Rule::on(question(profile), says("down")));
        let start = async || {
            TestGateway::at(clock.clone(), |settings| {
                settings.database = Some(database.clone());
            })
            .await
        };
        let gateway = start().await;
        gateway.add("mx1", &device, json!({})).await;
        let body = probed(profile, json!({"interval_seconds": 5, "give_up_seconds": 60}));
        let request = gateway
            .request(Method::POST, "/v1/devices/mx1/changes")
            .json(&body);
        let (status, change) = answer(request.header("Request-Timeout", "2")).await;
        assert_eq!(
            (status.as_u16(), &change["state"]),
            (201, &json!("pending_confirm")),
            "{change}"
        );
        let commit = &change["confirmed_commit"];
        assert_eq!(
            (&commit["state"], &probe(commit)["state"]),
            (&json!("pending"), &json!("running"))
        );
        let id = commit["id"].as_str().unwrap();
        let asked = || {
            device
                .stats()
                .count(question(profile))
                .saturating_sub(others(profile))
        };
        eventually("it was asked", async || asked() >= 1).await;
        gateway.stop().await;
        let before = asked();
        let gateway = start().await;
        // The probe had tried before, and goes on counting.
        eventually("it is asked again", async || {
            pass(Duration::from_millis(100)).await;
            let commit = gateway.confirmed_commit(Door::Rest, id).await.unwrap();
            probe(&commit)["attempts"].as_u64() > Some(before)
        })
        .await;
        device.faults().clear();
        device.faults().add(Rule::on(question(profile), says("up")));
        let ended = eventually_ends(&gateway, Door::Rest, id).await;
        assert_eq!(
            (&ended["state"], &ended["by"]),
            (&json!("confirmed"), &json!("us")),
            "{ended}"
        );
        assert_eq!(probe(&ended)["state"], "held");
        assert_eq!(
            asked(),
            probe(&ended)["attempts"].as_u64().unwrap(),
            "nothing was asked twice at once"
        );
        let change = gateway
            .get_change(Door::Rest, "mx1", change["id"].as_str().unwrap())
            .await
            .unwrap();
        assert_eq!(change["state"], "confirmed");
        gateway.stop().await;
    }
}

/// S31: a person's order comes first. A cancel ends the commit; who extends it has taken over, and the caller is told.
#[tokio::test]
async fn an_order_of_a_person_comes_first() {
    for door in DOORS {
        for (action, body, state) in [
            ("cancel", Value::Null, "cancelled"),
            ("confirm", Value::Null, "confirmed"),
            ("extend", json!({"confirm_timeout_seconds": 600}), "pending"),
        ] {
            let (gateway, device, _) = pair(Profile::Junos).await;
            let operation = question(Profile::Junos);
            device.faults().add(Rule::on(operation, says("down")));
            let call = gateway.change(
                door,
                "mx1",
                probed(Profile::Junos, json!({"give_up_seconds": 60})),
            );
            let order = async {
                let commit = open_commit(&gateway, door, "pending").await;
                let id = commit["id"].as_str().unwrap();
                good(door, gateway.order(door, id, action, body).await)
            };
            let (called, ordered) = tokio::join!(call, order);
            assert_eq!(ordered["state"], state, "{ordered}");
            let change = good(door, called);
            let commit = &change["confirmed_commit"];
            assert_eq!(
                (&commit["state"], &probe(commit)["state"]),
                (&json!(state), &json!("stopped"))
            );
            let asked = device.stats().count(operation);
            pass(Duration::from_secs(100)).await;
            let still = gateway
                .confirmed_commit(door, commit["id"].as_str().unwrap())
                .await
                .unwrap();
            assert_eq!(still["state"], state, "{still}");
            assert!(
                device.stats().count(operation) <= asked + 1,
                "one may have been under way"
            );
        }
    }
}

/// C7: what stands in the way of the confirm may pass; the probe goes on until then.
#[tokio::test]
async fn a_refused_confirm_is_tried_again() {
    for profile in FAMILIES {
        let (gateway, device, before) = pair(profile).await;
        let (commit, checks) = match profile {
            Profile::Junos => ("commit-configuration", 2),
            _ => ("commit", 1),
        };
        let refusal = Fault::Errors(vec![DeviceError::new("not now")]);
        device
            .faults()
            .add(Rule::on(commit, refusal).after(checks).once());
        device.faults().add(Rule::on(question(profile), says("up")));
        let call = gateway.change(Door::Rest, "mx1", probed(profile, json!({})));
        let change = good(Door::Rest, while_time_passes(call).await);
        assert_eq!(change["state"], "confirmed", "{change}");
        assert_eq!(
            (&probe(&change)["state"], &probe(&change)["attempts"]),
            (&json!("held"), &json!(2))
        );
        assert_ne!(running(&device), before);
    }
}
