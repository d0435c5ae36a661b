//! Orders that a device comes to when it has undone the commit by itself, and commits that nobody saw before it did (C4, C5,
//! C6; fault matrix row 22).

use std::time::Duration;

use ncgate::emulator::{Fault, Profile, Rule, RunningEmulator, Until};
use serde_json::{Value, json};

use crate::support::commits::{self, change_ends_as, commit_ends_as, id, running, start, to_contact};
use crate::support::confirmed::{clock, pass, time_passes_until, while_time_passes};
use crate::support::doors::{DOORS, Door, bad, good};
use crate::support::events::{all, of_kind};
use crate::support::{TestGateway, eventually, sent};

const STEP: Duration = Duration::from_secs(2);

/// A device that is given more time for its answers than passes in a test.
async fn patient(profile: Profile) -> (TestGateway, RunningEmulator, Value) {
    let clock = clock();
    let gateway = TestGateway::at(clock.clone(), |_| {}).await;
    let (device, edits) = commits::device(profile, clock, None).await;
    let timeouts = json!({"timeouts": {"rpc_seconds": 600, "commit_seconds": 600}});
    gateway.add("mx1", &device, timeouts).await;
    (gateway, device, edits)
}

/// The device does this so much later than it is asked to.
fn late(device: &RunningEmulator, operation: &str, seconds: u64) {
    let late = Fault::Late(Until::Passed(Duration::from_secs(seconds)));
    device.faults().add(Rule::on(operation, late).once());
}

/// Nothing is left that would keep others from committing.
async fn others_can_commit(gateway: &TestGateway, door: Door, profile: Profile) {
    let next = json!({"edits": to_contact(profile, "west")});
    let next = good(door, gateway.change(door, "mx1", next).await);
    assert_eq!(next["state"], "committed", "{next}");
}

/// C6: Junos counts the commits to go back from the newest. Where it has made its own by then, what it loads is the commit that
/// was to be undone, and that is not committed; where it makes it afterwards, it is undone all the same.
#[tokio::test]
async fn a_cancel_beside_the_rollback_brings_nothing_back() {
    for door in DOORS {
        for (operation, verdict) in [
            ("load-configuration", Err(("invalid-state", "not_applied"))),
            ("commit-configuration", Ok("cancelled")),
        ] {
            let (gateway, device, edits) = patient(Profile::Junos).await;
            let before = running(&device);
            let commit = id(&start(&gateway, door, &edits).await);
            pass(Duration::from_secs(60)).await;
            late(&device, operation, 100);
            let ordering = gateway.order(door, &commit, "cancel", Value::Null);
            let told = while_time_passes(STEP, ordering).await;
            let state = match verdict {
                Ok(state) => {
                    assert_eq!(good(door, told)["state"], state);
                    state
                }
                Err(verdict) => {
                    let refusal = bad(door, told);
                    assert_eq!(refusal.verdict(), verdict, "{refusal:?}");
                    "rolled_back"
                }
            };
            let ended = commit_ends_as(&gateway, door, &commit, state).await;
            assert_eq!(running(&device), before, "{operation}: {ended}");
            let change = ended["change_id"].as_str().expect("a change").to_owned();
            change_ends_as(&gateway, door, &change, state, "not_applied").await;
            others_can_commit(&gateway, door, Profile::Junos).await;
            assert!(!running(&device).contains("contact east"), "{operation}");
        }
    }
}

/// C4, C5: an extension that the device comes to when it has undone the commit is a commit of its own, of nothing. It is not
/// told as pending, keeps nobody out, and cannot be confirmed.
#[tokio::test]
async fn an_extension_after_the_rollback_is_none() {
    for door in DOORS {
        for profile in [Profile::Junos, Profile::Rfc10] {
            let (gateway, device, edits) = patient(profile).await;
            let before = running(&device);
            let commit = id(&start(&gateway, door, &edits).await);
            pass(Duration::from_secs(60)).await;
            let operation = match profile {
                Profile::Junos => "commit-configuration",
                _ => "commit",
            };
            late(&device, operation, 100);
            let body = json!({"confirm_timeout_seconds": 600});
            let ordering = gateway.order(door, &commit, "extend", body);
            let refusal = bad(door, while_time_passes(STEP, ordering).await);
            assert_eq!(
                refusal.verdict(),
                ("invalid-state", "not_applied"),
                "{profile:?}: {refusal:?}"
            );
            commit_ends_as(&gateway, door, &commit, "rolled_back").await;
            assert_eq!(running(&device), before, "{profile:?}");
            let confirming = gateway.order(door, &commit, "confirm", Value::Null).await;
            assert_eq!(bad(door, confirming).code, "invalid-state", "{profile:?}");
            eventually("nothing waits on the device", async || {
                !device.device().is_rollback_pending()
            })
            .await;
            others_can_commit(&gateway, door, profile).await;
        }
    }
}

/// C5: the same, and no answer comes: the device's records tell, once there is a connection.
#[tokio::test]
async fn an_unanswered_extension_after_the_rollback_is_none() {
    for door in DOORS {
        let (gateway, device, edits) = patient(Profile::Junos).await;
        let before = running(&device);
        let commit = id(&start(&gateway, door, &edits).await);
        pass(Duration::from_secs(60)).await;
        let lost = Fault::DropThenOperation(Until::Passed(Duration::from_secs(100)));
        device.faults().add(Rule::on("commit-configuration", lost).once());
        let body = json!({"confirm_timeout_seconds": 6000});
        let refusal = bad(door, gateway.order(door, &commit, "extend", body).await);
        assert_eq!(refusal.verdict(), ("outcome-unknown", "unknown"), "{refusal:?}");
        time_passes_until(STEP, "the device has come to it", async || {
            device.device().commits_with("[ncgate ").len() == 2
        })
        .await;
        time_passes_until(STEP, "it is told as undone", async || {
            let told = good(door, gateway.confirmed_commit(door, &commit).await);
            assert_ne!(told["state"], "confirmed", "{told}");
            told["state"] == "rolled_back"
        })
        .await;
        assert_eq!(running(&device), before);
    }
}

/// C7: who confirms together with what others left in the candidate, too late, has committed that, if there was anything.
#[tokio::test]
async fn a_late_confirm_tells_what_else_it_committed() {
    for door in DOORS {
        for (left, outcome) in [(true, "applied"), (false, "not_applied")] {
            let (gateway, device, edits) = patient(Profile::Junos).await;
            let commit = id(&start(&gateway, door, &edits).await);
            device.drop_connections();
            eventually("the lock is free", async || {
                let seen = good(door, gateway.confirmed_commit(door, &commit).await);
                seen["session_id"].is_null() && seen["state"] == "pending"
            })
            .await;
            if left {
                device.console("bob").edit("set system host-name bobs").unwrap();
            }
            late(&device, "commit-configuration", 150);
            let body = json!({"accept_candidate": true});
            let before = sent(&device, "commit-configuration").len();
            let mut ordering = std::pin::pin!(gateway.order(door, &commit, "confirm", body));
            // Connecting takes time of its own.
            tokio::select! {
                told = &mut ordering => panic!("it is not sent: {told:?}"),
                () = eventually("it is sent", async || sent(&device, "commit-configuration").len() > before) => {}
            }
            let refusal = bad(door, while_time_passes(STEP, ordering).await);
            let bobs = running(&device).contains("host-name bobs");
            assert_eq!(
                (refusal.verdict(), bobs),
                (("invalid-state", outcome), left),
                "{refusal:?}"
            );
            assert!(!running(&device).contains("contact east"));
            let hint = refusal.hint.as_deref().unwrap_or_default();
            assert_eq!(hint.contains("is committed"), left, "{refusal:?}");
            commit_ends_as(&gateway, door, &commit, "rolled_back").await;
        }
    }
}

/// C5, issue 4: a server that keeps no history is seen again when its time is up, and nobody knows whether it made the commit.
/// It is not told as never made: its record stays, and the change has left the device as it was.
#[tokio::test]
async fn what_nobody_saw_is_not_told_as_never_made() {
    for door in DOORS {
        for fault in [Fault::DropBeforeReply, Fault::DropBeforeOperation] {
            let clock = clock();
            let gateway = TestGateway::at(clock.clone(), |_| {}).await;
            let (device, edits) = commits::device(Profile::Rfc, clock, None).await;
            let timeouts = json!({"timeouts": {"commit_seconds": 100}});
            gateway.add("mx1", &device, timeouts).await;
            let before = running(&device);
            let made = usize::from(matches!(fault, Fault::DropBeforeReply));
            device.faults().add(Rule::on("commit", fault).once());
            let body = json!({"edits": edits, "commit": {"confirm_timeout_seconds": 600}});
            // The session that is open serves the change; there is no other one afterwards.
            gateway.read("/v1/devices/mx1/sessions").await;
            device.faults().add(Rule::always(Fault::RefuseConnection));
            let lost = gateway.change(door, "mx1", body).await;
            let lost = bad(door, lost);
            assert_eq!(lost.verdict(), ("outcome-unknown", "unknown"), "{lost:?}");
            assert_eq!(device.device().commits_with("").len(), made);
            pass(Duration::from_secs(700)).await;
            eventually("it is undone", async || running(&device) == before).await;
            device.faults().clear();
            let change = lost.change_id.expect("a change");
            time_passes_until(STEP, "it has ended", async || {
                let change = good(door, gateway.get_change(door, "mx1", &change).await);
                change["state"] != "unknown"
            })
            .await;
            let change = change_ends_as(&gateway, door, &change, "failed", "not_applied").await;
            let commit = change["confirmed_commit_id"]
                .as_str()
                .expect("its record is kept");
            let record = good(door, gateway.confirmed_commit(door, commit).await);
            let seen = record["seen"].as_str().unwrap_or_default();
            assert!(
                record["state"] == "unknown" && seen.contains("undone it, or never made it"),
                "{record}"
            );
            let never = of_kind("confirmed_commit.never_made");
            assert_eq!(all(&gateway, door, never).await, Vec::<Value>::new());
            others_can_commit(&gateway, door, Profile::Rfc).await;
        }
    }
}
