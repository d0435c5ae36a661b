//! Ending other sessions (S26, L5), through both doors.

use ncgate::emulator::config::Store;
use ncgate::emulator::{DeviceError, Fault, Gate, Profile, Rule};
use serde_json::{Value, json};

use crate::support::commits::to_contact;
use crate::support::doors::{DOORS, bad, good};
use crate::support::judged::is_free;
use crate::support::planned::planned;
use crate::support::{TestGateway, assert_sent, eventually, junos};

/// S26, L5: who holds the lock is killed, if it is who was meant; what is demanded is read again just before.
#[tokio::test]
async fn a_forgotten_lock_is_broken_if_its_holder_is_as_demanded() {
    for door in DOORS {
        let (gateway, device) = TestGateway::with_device(junos()).await;
        let console = device.console("carol");
        console.configure_exclusive().expect("the lock");
        let victim = u64::from(console.pid());
        let refusal = bad(door, gateway.open(door, "mx1", json!({})).await);
        assert_eq!(refusal.code, "lock-denied");
        let locks = good(door, gateway.locks(door, "mx1").await);
        assert_eq!(locks["locks"][0]["ours"], false, "{locks}");
        for (body, reason) in [
            (json!({"if_user": "dave"}), "user"),
            (json!({"if_idle_seconds_at_least": 86_400}), "idle"),
        ] {
            let refusal = bad(door, gateway.kill(door, "mx1", victim, body).await);
            assert_eq!(refusal.code, "precondition-failed", "{refusal:?}");
            assert_eq!(refusal.reason.as_deref(), Some(reason), "{refusal:?}");
        }
        assert_eq!(device.stats().count("kill-session"), 0);
        let body = json!({"if_user": "carol", "reason": "gone home"});
        let killed = good(door, gateway.kill(door, "mx1", victim, body).await);
        assert_eq!(
            (&killed["session_id"], &killed["victim"]["user"]),
            (&json!(victim), &json!("carol"))
        );
        assert!(
            killed["effects"][0]
                .as_str()
                .is_some_and(|words| words.contains("locks"))
        );
        assert_sent(
            &device,
            "kill-session",
            &format!("<kill-session><session-id>{victim}</session-id></kill-session>"),
        );
        assert!(is_free(&device));
        // What was seen of its lock before is over as well.
        let locks = good(door, gateway.locks(door, "mx1").await);
        assert_eq!(locks["locks"], json!([]), "{locks}");
        gateway.stop().await;
        device.stop().await;
    }
}

/// S26, L5, issue 4: a change that comes to its confirmed commit while somebody is about to kill its session: whoever does not
/// insist on that is refused, although nothing waited when he looked.
#[tokio::test]
async fn a_confirmed_commit_that_comes_meanwhile_is_not_undone() {
    for door in DOORS {
        let (gateway, device) = TestGateway::with_device(junos()).await;
        let (compared, looked) = (Gate::new(), Gate::new());
        let compare = Fault::HoldReply(compared.clone());
        device.faults().add(Rule::on("get-configuration", compare).once());
        let body = json!({
            "edits": to_contact(Profile::Junos, "east"),
            "commit": {"confirm_timeout_seconds": 600},
        });
        let changing = gateway.change(door, "mx1", body);
        let killing = async {
            compared.reached().await;
            let look = Fault::HoldReply(looked.clone());
            device
                .faults()
                .add(Rule::on("get-commit-information", look).once());
            let holder = device.device().lock_holder(Store::Candidate).expect("a lock");
            let killing = gateway.kill(door, "mx1", u64::from(holder.session), json!({}));
            let between = async {
                looked.reached().await;
                compared.open();
                eventually("it is committed", async || device.device().is_rollback_pending()).await;
                looked.open();
            };
            tokio::join!(killing, between).0
        };
        let (changed, killed) = tokio::join!(changing, killing);
        let refusal = bad(door, killed);
        assert_eq!(
            (refusal.verdict(), refusal.reason.as_deref()),
            (("precondition-failed", "not_sent"), Some("confirmed_commit")),
            "{refusal:?}"
        );
        assert_eq!(good(door, changed)["state"], "pending_confirm");
        assert_eq!(device.stats().count("kill-session"), 0);
        assert!(device.device().is_rollback_pending());
        gateway.stop().await;
        device.stop().await;
    }
}

/// L5, issue 4: no confirmed commit is sent in a session that is being killed, which would undo it.
#[tokio::test]
async fn a_confirmed_commit_does_not_cross_a_kill() {
    for door in DOORS {
        let (gateway, device) = TestGateway::with_device(junos()).await;
        let (compared, killed) = (Gate::new(), Gate::new());
        let compare = Fault::HoldReply(compared.clone());
        device.faults().add(Rule::on("get-configuration", compare).once());
        let kill = Fault::Late((&killed).into());
        device.faults().add(Rule::on("kill-session", kill).once());
        let edits = to_contact(Profile::Junos, "east");
        let body = json!({"edits": edits, "commit": {"confirm_timeout_seconds": 600}});
        let changing = gateway.change(door, "mx1", body);
        let killing = async {
            compared.reached().await;
            let holder = device.device().lock_holder(Store::Candidate).expect("a lock");
            let killing = gateway.kill(door, "mx1", u64::from(holder.session), json!({}));
            let between = async {
                killed.reached().await;
                compared.open();
                eventually("it is announced, and not sent", async || {
                    let other = gateway.change(door, "mx1", json!({"edits": edits})).await;
                    other.is_err_and(|refusal| refusal.code == "confirmed-commit-pending")
                })
                .await;
                // Whatever else it waits for is over when the device has answered others so often.
                for _ in 0..20 {
                    gateway.read("/v1/devices/mx1/rpc/get-commit-information").await;
                }
                killed.open();
            };
            tokio::join!(killing, between).0
        };
        let (changed, killed) = tokio::join!(changing, killing);
        good(door, killed);
        let refusal = bad(door, changed);
        assert_eq!(refusal.outcome, "not_applied", "{refusal:?}");
        assert_eq!(
            device.device().commits_with("").len(),
            0,
            "{:?}",
            device.device().deeds()
        );
        gateway.stop().await;
        device.stop().await;
    }
}

/// S26: an edit session of the gateway that is killed is lost at once.
#[tokio::test]
async fn a_killed_edit_session_is_lost() {
    for door in DOORS {
        let (gateway, device) = TestGateway::with_device(junos()).await;
        let opened = good(
            door,
            gateway.open(door, "mx1", json!({"mode": "exclusive"})).await,
        );
        let id = opened["id"].as_str().expect("an id");
        let victim = opened["session_id"].as_u64().expect("a session");
        let locks = good(door, gateway.locks(door, "mx1").await);
        let lock = &locks["locks"][0];
        assert_eq!(
            (
                &lock["ours"],
                &lock["kind"],
                &lock["edit_session"],
                &lock["owner"]
            ),
            (&json!(true), &json!("lock"), &json!(id), &json!("anonymous"))
        );
        assert_eq!(lock["holder"]["session_id"], victim);
        assert!(lock["expires_at"].is_string(), "{lock}");
        let killed = good(door, gateway.kill(door, "mx1", victim, json!({})).await);
        assert_eq!(killed["edit_session"], id);
        let now = good(door, gateway.edit_session(door, "mx1", id).await);
        assert_eq!(
            (&now["state"], &now["reason"]),
            (&json!("lost"), &json!("killed"))
        );
        eventually("free", async || is_free(&device)).await;
        gateway.stop().await;
        device.stop().await;
    }
}

/// S26, Q1: with as many sessions held as may be, one of them can be killed at once, also by who demands whose it is.
#[tokio::test]
async fn one_of_those_who_hold_all_sessions_can_be_killed() {
    for door in DOORS {
        let (gateway, device) = TestGateway::with_device(junos()).await;
        let mut victims = Vec::new();
        for mode in ["exclusive", "private"] {
            let opened = gateway.open(door, "mx1", json!({"mode": mode})).await;
            victims.push(good(door, opened)["session_id"].as_u64().expect("a session"));
        }
        let demands = [json!({}), json!({"if_user": "admin"})];
        for (victim, demand) in victims.into_iter().zip(demands) {
            let killed = good(door, gateway.kill(door, "mx1", victim, demand).await);
            assert_eq!(killed["victim"]["session_id"], victim, "{killed}");
        }
        eventually("free", async || is_free(&device)).await;
        gateway.stop().await;
        device.stop().await;
    }
}

/// S26: the device's own permission is hinted at; what the device refuses is its refusal.
#[tokio::test]
async fn a_refused_kill_says_why() {
    for door in DOORS {
        let (gateway, device) = TestGateway::with_device(junos()).await;
        let refusal = bad(door, gateway.kill(door, "mx1", 4_000_000, json!({})).await);
        assert_eq!(refusal.outcome, "not_applied", "{refusal:?}");
        let denied = DeviceError::new("permission denied").element("kill-session");
        device
            .faults()
            .add(Rule::on("kill-session", Fault::Errors(vec![denied])).once());
        let refusal = bad(door, gateway.kill(door, "mx1", 4_000_000, json!({})).await);
        assert_eq!(refusal.code, "access-denied", "{refusal:?}");
        assert!(refusal.hint.is_some_and(|hint| hint.contains("maintenance")));
        gateway.stop().await;
        device.stop().await;
    }
}

/// L5, S26: how long a session of the gateway was idle the gateway itself knows; no lock is tried for it.
#[tokio::test]
async fn the_gateway_knows_how_long_its_own_sessions_were_idle() {
    for door in DOORS {
        let (gateway, device) = TestGateway::with_device(junos()).await;
        let opened = good(door, gateway.open(door, "mx1", json!({})).await);
        let victim = opened["session_id"].as_u64().expect("a session");
        let long = json!({"if_idle_seconds_at_least": 86_400});
        let refusal = bad(door, gateway.kill(door, "mx1", victim, long).await);
        assert_eq!(
            (refusal.code.as_str(), refusal.reason.as_deref()),
            ("precondition-failed", Some("idle"))
        );
        assert!(
            refusal.detail.starts_with("the session was idle for "),
            "{refusal:?}"
        );
        let short = json!({"if_idle_seconds_at_least": 1});
        eventually("it was idle for a second", async || {
            let killed = gateway.kill(door, "mx1", victim, short.clone()).await;
            killed.is_ok_and(|killed| killed["edit_session"] == opened["id"])
        })
        .await;
        assert_eq!(device.stats().count("lock"), 1);
        gateway.stop().await;
        device.stop().await;
    }
}

/// L5, design section 4: a plan shows what is looked at before as well, the lock that is tried for what nothing else tells
/// included.
#[tokio::test]
async fn a_planned_kill_shows_what_is_looked_at() {
    for door in DOORS {
        for profile in [Profile::Junos, Profile::Rfc] {
            let (gateway, device) = TestGateway::with_device(junos().profile(profile)).await;
            let opened = good(door, gateway.open(door, "mx1", json!({})).await);
            let ours = opened["session_id"].as_u64().expect("a session");
            let idle = json!({"if_idle_seconds_at_least": 60, "plan": true});
            let own = names(&good(door, gateway.kill(door, "mx1", ours, idle.clone()).await));
            let others = names(&good(door, gateway.kill(door, "mx1", 4_000_000, idle).await));
            let plain = names(&good(
                door,
                gateway.kill(door, "mx1", 4_000_000, json!({"plan": true})).await,
            ));
            let (history, lists): (&[&str], &[&str]) = match profile {
                Profile::Junos => (&["get-commit-information"], &[]),
                _ => (&[], &["get"]),
            };
            let kill: &[&str] = &["kill-session"];
            assert_eq!(own, [history, kill].concat(), "{profile:?}");
            assert_eq!(plain, [lists, history, kill].concat(), "{profile:?}");
            let locks = others.iter().filter(|name| name.ends_with("lock")).count();
            assert_eq!(others.len(), plain.len() + locks, "{others:?}");
            assert!(locks >= 2 && locks % 2 == 0, "{others:?}");
            gateway
                .close(door, "mx1", opened["id"].as_str().expect("an id"))
                .await
                .unwrap();
            gateway.stop().await;
            device.stop().await;
        }
    }
}

/// The operations of a plan.
fn names(plan: &Value) -> Vec<String> {
    let rpcs = plan["rpcs"].as_array().expect("a plan").iter();
    let name = |rpc: &str| {
        let name = rpc.trim_start_matches('<').split([' ', '>', '/']).next();
        name.unwrap_or_default().to_owned()
    };
    rpcs.map(|rpc| name(rpc.as_str().expect("XML"))).collect()
}

/// L5: what a plan shows is what is sent, but that a lock that was refused is not given back.
#[tokio::test]
async fn a_kill_sends_what_its_plan_showed() {
    let (gateway, device) = TestGateway::with_device(junos()).await;
    for door in DOORS {
        let console = device.console("carol");
        console.configure_exclusive().expect("the lock");
        let victim = u64::from(console.pid());
        let mut body = json!({"if_user": "carol", "if_idle_seconds_at_least": 0, "plan": true});
        let plan = good(door, gateway.kill(door, "mx1", victim, body.clone()).await);
        let mut plan = planned(&device, &plan);
        body["plan"] = json!(false);
        good(door, gateway.kill(door, "mx1", victim, body).await);
        plan.rpcs.retain(|rpc| !rpc.starts_with("<unlock"));
        plan.was_sent(&device, "a kill");
    }
    gateway.stop().await;
    device.stop().await;
}
