//! Commits for later: what keeps others out, how they are called off, and how their end is found out.

use std::time::Duration;

use ncgate::emulator::{Fault, Rule};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::confirmed::{clock, pass};
use crate::support::database::open;
use crate::support::doors::{DOORS, Door, bad, good};
use crate::support::judged::{as_before, holdings};
use crate::support::{TestGateway, answer, eventually, junos, listen};

fn set(lines: &str) -> Value {
    json!({"edits": [{"format": "set", "config": lines}]})
}

/// E6: what became of a commit for later is known though nobody asks: made in its time, or called off at the device.
#[tokio::test]
async fn the_end_of_a_scheduled_commit_is_found_out() {
    for (door, cleared) in [(Door::Rest, false), (Door::Grpc, true)] {
        let clock = clock();
        let gateway = TestGateway::at(clock.clone(), |_| {}).await;
        let device = listen(junos().clock(clock)).await;
        gateway
            .add(
                "mx1",
                &device,
                json!({"timeouts": {"commit_seconds": 90, "rpc_seconds": 600, "connect_seconds": 60}}),
            )
            .await;
        let mut body = set("set snmp location east");
        body["commit"] = json!({"at": "03:20"});
        let change = good(door, gateway.change(door, "mx1", body).await);
        assert_eq!(change["state"], "scheduled");
        let expected = if cleared {
            device.device().with_engine(|engine| engine.clear_scheduled());
            ("cancelled", "not_applied")
        } else {
            let at = device.device().scheduled().expect("it waits").at;
            let left = u64::try_from(at - device.device().now()).expect("it is to come");
            pass(Duration::from_secs(left)).await;
            ("committed", "applied")
        };
        let path = format!(
            "/v1/devices/mx1/changes/{}",
            change["id"].as_str().expect("an id")
        );
        let asked = || device.stats().count("get-commit-information");
        let mut seen = Value::Null;
        for _ in 0..10 {
            let before = asked();
            pass(Duration::from_secs(61)).await;
            // The device answers in real time, which must not be outrun.
            eventually("it is looked at", async || {
                (_, seen) = gateway.get(&path).await;
                asked() > before || seen["state"] != "scheduled"
            })
            .await;
            tokio::time::sleep(Duration::from_millis(100)).await;
            (_, seen) = gateway.get(&path).await;
            if seen["state"] != "scheduled" {
                break;
            }
        }
        assert_eq!(
            (&seen["state"], &seen["outcome"]),
            (&json!(expected.0), &json!(expected.1))
        );
        device.stop().await;
    }
}

/// S27, E6: a commit for later keeps others out until it is called off.
#[tokio::test]
async fn a_scheduled_commit_is_called_off() {
    for door in DOORS {
        let (gateway, device) = TestGateway::with_device(junos()).await;
        let before = holdings(&device);
        let mut body = set("set snmp location east");
        body["commit"] = json!({"at": "reboot"});
        let change = good(door, gateway.change(door, "mx1", body).await);
        assert_eq!(
            (&change["state"], &change["scheduled"]["at"]),
            (&json!("scheduled"), &json!("reboot"))
        );
        assert!(device.device().scheduled().is_some());
        let refusal = bad(door, gateway.change(door, "mx1", set("set snmp contact x")).await);
        assert_eq!(refusal.verdict(), ("commit-scheduled", "not_sent"));
        let mut dry = set("set snmp contact x");
        dry["dry_run"] = json!(true);
        let refusal = bad(door, gateway.change(door, "mx1", dry).await);
        assert_eq!(refusal.verdict(), ("commit-scheduled", "not_sent"));
        // Without the device nobody could call it off.
        let removed = gateway.request(Method::DELETE, "/v1/devices/mx1");
        let (status, problem) = answer(removed).await;
        assert_eq!(
            (status.as_u16(), &problem["code"]),
            (409, &json!("invalid-state"))
        );
        let id = change["id"].as_str().expect("an id");
        assert!(
            problem["detail"]
                .as_str()
                .is_some_and(|detail| detail.contains(id)),
            "{problem}"
        );
        let cancelled = good(door, gateway.cancel_change(door, "mx1", id).await);
        assert_eq!(
            (&cancelled["state"], &cancelled["outcome"]),
            (&json!("cancelled"), &json!("not_applied"))
        );
        assert!(device.device().scheduled().is_none());
        as_before(&device, &before, "a commit that was called off").await;
        let refusal = bad(door, gateway.cancel_change(door, "mx1", id).await);
        assert_eq!(refusal.verdict(), ("invalid-state", "not_sent"));
        good(door, gateway.change(door, "mx1", set("set snmp contact x")).await);
        gateway.stop().await;
        device.stop().await;
    }
}

/// E4, E6: a device that neither has made a scheduled commit nor is going to may be making it just then. Nobody who looks
/// concludes that it was called off before that has been so for as long as a commit may take; until then it stays scheduled.
#[tokio::test]
async fn a_scheduled_commit_that_may_be_at_work_is_not_told_as_called_off() {
    for door in DOORS {
        let clock = clock();
        let gateway = TestGateway::at(clock.clone(), |_| {}).await;
        let device = listen(junos().clock(clock)).await;
        let timeouts = json!({"timeouts": {"commit_seconds": 90, "rpc_seconds": 600, "connect_seconds": 60}});
        gateway.add("mx1", &device, timeouts).await;
        let mut body = set("set snmp location east");
        body["commit"] = json!({"at": "03:20"});
        let change = good(door, gateway.change(door, "mx1", body).await);
        assert_eq!(change["state"], "scheduled");
        let id = change["id"].as_str().expect("an id");
        device.device().with_engine(|engine| engine.clear_scheduled());

        let next = || set("set snmp contact x");
        let still = async || {
            let (_, seen) = gateway.get(&format!("/v1/devices/mx1/changes/{id}")).await;
            assert_eq!(seen["state"], "scheduled", "{seen}");
        };
        let refusal = bad(door, gateway.change(door, "mx1", next()).await);
        assert_eq!(refusal.verdict(), ("commit-scheduled", "not_sent"));
        still().await;
        let refusal = bad(door, gateway.cancel_change(door, "mx1", id).await);
        assert_eq!(refusal.verdict(), ("outcome-unknown", "unknown"));
        still().await;

        pass(Duration::from_secs(91)).await;
        good(door, gateway.change(door, "mx1", next()).await);
        let (_, seen) = gateway.get(&format!("/v1/devices/mx1/changes/{id}")).await;
        assert_eq!(
            (&seen["state"], &seen["outcome"]),
            (&json!("cancelled"), &json!("not_applied"))
        );
        gateway.stop().await;
        device.stop().await;
    }
}

/// E6: however many scheduled commits wait, each of them is looked at.
#[tokio::test]
async fn no_scheduled_commit_is_too_far_behind_to_be_looked_at() {
    /// As many as are looked at together.
    const OTHERS: u64 = 100;
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("ncgate.db");
    let clock = clock();
    let gateway = TestGateway::at(clock.clone(), |settings| {
        settings.database = Some(format!("sqlite://{}", file.display()));
    })
    .await;
    let timeouts = json!({"timeouts": {"commit_seconds": 3600, "rpc_seconds": 600, "connect_seconds": 60}});
    let first = listen(junos().clock(clock.clone())).await;
    gateway.add("mx1", &first, timeouts.clone()).await;
    for _ in 0..OTHERS {
        let mut dry = set("set snmp contact x");
        dry["dry_run"] = json!(true);
        good(Door::Rest, gateway.change(Door::Rest, "mx1", dry).await);
    }
    // What they wait for never comes, and for an hour it is not known that it does not.
    let mut database = open(&file).await;
    let scheduled = sqlx::query("UPDATE changes SET state = 'scheduled'")
        .execute(&mut database)
        .await;
    assert_eq!(scheduled.expect("an update").rows_affected(), OTHERS);

    let second = listen(junos().clock(clock)).await;
    gateway.add("mx2", &second, timeouts).await;
    let mut body = set("set snmp location east");
    body["commit"] = json!({"at": "03:20"});
    let change = good(Door::Rest, gateway.change(Door::Rest, "mx2", body).await);
    assert_eq!(change["state"], "scheduled", "{change}");
    let at = second.device().scheduled().expect("it waits").at;
    let left = u64::try_from(at - second.device().now()).expect("it is to come");
    pass(Duration::from_secs(left)).await;
    let path = format!(
        "/v1/devices/mx2/changes/{}",
        change["id"].as_str().expect("an id")
    );
    for _ in 0..3 {
        let before = second.stats().count("get-commit-information");
        pass(Duration::from_secs(61)).await;
        eventually("it is looked at", async || {
            second.stats().count("get-commit-information") > before
                || gateway.get(&path).await.1["state"] != "scheduled"
        })
        .await;
    }
    eventually("its end is known", async || {
        gateway.get(&path).await.1["state"] == "committed"
    })
    .await;
}

/// H3, H8: a look at what was scheduled before that fails is not the change itself, of which nothing was sent.
#[tokio::test]
async fn a_look_that_fails_sends_nothing_of_the_change() {
    for door in DOORS {
        let (gateway, device) = TestGateway::with_device(junos()).await;
        let mut later = set("set snmp location east");
        later["commit"] = json!({"at": "reboot"});
        good(door, gateway.change(door, "mx1", later).await);
        let lost = Rule::on("get-commit-information", Fault::WrongMessageId);
        device.faults().add(lost.once());
        let changed = gateway.change(door, "mx1", set("set snmp contact west")).await;
        let refusal = bad(door, changed);
        assert_eq!(
            refusal.verdict(),
            ("device-protocol-error", "not_sent"),
            "{refusal:?}"
        );
        assert!(refusal.change_id.is_none(), "{refusal:?}");
        gateway.stop().await;
        device.stop().await;
    }
}
