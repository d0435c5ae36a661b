//! Commits that somebody else decides about, and what the gateway and the device say of them.

use ncgate::clock::Clock;
use ncgate::emulator::config::{What, set};
use ncgate::emulator::{Builder, Fault, Profile, Quirk, Rule, RunningEmulator};
use serde_json::{Value, json};

use super::confirmed::clock;
use super::doors::Door;
use super::{TestGateway, eventually, junos, listen, sent};

fn junos_edits(name: &str) -> Value {
    json!([{"config": {"snmp": {"contact": name}}}])
}

fn rfc_edits(name: &str) -> Value {
    json!([{"config": {"example-router:configuration": {"snmp": {"contact": name}}}}])
}

pub fn running(device: &RunningEmulator) -> String {
    set::render(&device.device().running().tree)
}

/// How often the device committed.
pub fn commits(device: &RunningEmulator) -> usize {
    let deeds = device.device().deeds();
    let commits = deeds
        .iter()
        .filter(|deed| matches!(deed.what, What::Commit { .. } | What::ConfirmedCommit { .. }));
    commits.count()
}

/// A device of this kind, with the edits that it understands and the fault of its commit.
pub async fn device(profile: Profile, clock: Clock, fault: Option<Fault>) -> (RunningEmulator, Value) {
    let device = listen(junos().profile(profile).clock(clock)).await;
    let (operation, checks) = match profile {
        Profile::Junos => ("commit-configuration", 1),
        _ => ("commit", 0),
    };
    if let Some(fault) = fault {
        device
            .faults()
            .add(Rule::on(operation, fault).after(checks).once());
    }
    (device, to_contact(profile, "east"))
}

/// The edits by which a device of this kind gets another contact.
pub fn to_contact(profile: Profile, contact: &str) -> Value {
    match profile {
        Profile::Junos => junos_edits(contact),
        _ => rfc_edits(contact),
    }
}

/// A gateway with one device that has these quirks, and the edits that it understands.
pub async fn quirky(profile: Profile, quirks: &[Quirk]) -> (TestGateway, RunningEmulator, Value) {
    let clock = clock();
    let gateway = TestGateway::at(clock.clone(), |_| {}).await;
    let device = quirks.iter().cloned().fold(junos(), Builder::quirk);
    let device = listen(device.profile(profile).clock(clock)).await;
    gateway.add("mx1", &device, json!({})).await;
    (gateway, device, to_contact(profile, "east"))
}

pub async fn pair(profile: Profile, fault: Option<Fault>) -> (TestGateway, RunningEmulator, Value) {
    let clock = clock();
    let gateway = TestGateway::at(clock.clone(), |_| {}).await;
    let (device, edits) = device(profile, clock, fault).await;
    gateway.add("mx1", &device, json!({})).await;
    (gateway, device, edits)
}

/// A change whose commit is not answered; its id.
pub async fn unanswered(gateway: &TestGateway, door: Door, edits: &Value) -> String {
    let refusal = gateway
        .change(door, "mx1", json!({"edits": edits}))
        .await
        .unwrap_err();
    assert_eq!(refusal.outcome, "unknown", "{refusal:?}");
    refusal.change_id.expect("an id to follow")
}

/// Waits until the gateway has asked, in the session of a confirmed commit, since when the server is at work, so that no
/// other request is under way. A Junos device is not asked.
pub async fn start_is_known(gateway: &TestGateway, device: &RunningEmulator) {
    if !sent(device, "commit-configuration").is_empty() {
        return;
    }
    eventually("it is asked for its start", async || {
        !sent(device, "statistics").is_empty()
    })
    .await;
    // It is answered before this is, which goes by another session.
    gateway.read("/v1/devices/mx1/sessions").await;
}

pub async fn change_ends_as(
    gateway: &TestGateway,
    door: Door,
    id: &str,
    state: &str,
    outcome: &str,
) -> Value {
    eventually(state, async || {
        let change = gateway.get_change(door, "mx1", id).await.unwrap();
        (&change["state"], &change["outcome"]) == (&json!(state), &json!(outcome))
    })
    .await;
    gateway.get_change(door, "mx1", id).await.unwrap()
}

pub async fn commit_ends_as(gateway: &TestGateway, door: Door, id: &str, state: &str) -> Value {
    eventually(state, async || {
        gateway.confirmed_commit(door, id).await.unwrap()["state"] == state
    })
    .await;
    gateway.confirmed_commit(door, id).await.unwrap()
}

pub async fn start(gateway: &TestGateway, door: Door, edits: &Value) -> Value {
    let body = json!({"edits": edits, "commit": {"confirm_timeout_seconds": 120}});
    gateway.change(door, "mx1", body).await.unwrap()["confirmed_commit"].clone()
}

pub fn id(thing: &Value) -> String {
    thing["id"]
        .as_str()
        .unwrap_or_else(|| panic!("no id: {thing}"))
        .to_owned()
}
