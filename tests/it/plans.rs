//! Design section 4: `plan=true` shows what is sent then, in order, and sends nothing: of edit sessions, of whole
//! configurations and of scheduled commits. `changes` has the same of changes.

use ncgate::emulator::Profile;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::commits::{id, to_contact};
use crate::support::doors::{DOORS, Door, good};
use crate::support::planned::planned;
use crate::support::{TestGateway, junos};

const PLAN: fn() -> Value = || json!({"plan": true});

/// U9: every step of an edit session, its end as well.
#[tokio::test]
async fn edit_sessions_do_what_was_planned() {
    for door in DOORS {
        for profile in [Profile::Junos, Profile::Rfc] {
            let (gateway, device) = TestGateway::with_device(junos().profile(profile)).await;
            let plan = good(door, gateway.open(door, "mx1", PLAN()).await);
            let plan = planned(&device, &plan);
            let session = good(door, gateway.open(door, "mx1", json!({})).await);
            plan.was_sent(&device, "open");
            let session = id(&session);
            let mut edit = to_contact(profile, "east")[0].take();
            edit["plan"] = json!(true);
            let plan = good(door, gateway.edit(door, "mx1", &session, edit.clone()).await);
            let plan = planned(&device, &plan);
            edit["plan"] = json!(false);
            good(door, gateway.edit(door, "mx1", &session, edit.clone()).await);
            plan.was_sent(&device, "edit");
            if door == Door::Grpc {
                let plan = good(door, gateway.act(door, "mx1", &session, "validate", PLAN()).await);
                let plan = planned(&device, &plan);
                good(
                    door,
                    gateway.act(door, "mx1", &session, "validate", Value::Null).await,
                );
                plan.was_sent(&device, "validate");
            }
            let plan = good(door, gateway.plan_close(door, "mx1", &session).await);
            let plan = planned(&device, &plan);
            assert!(plan.rpcs.len() >= 2, "a discard and an unlock: {:?}", plan.rpcs);
            good(door, gateway.close(door, "mx1", &session).await);
            plan.was_sent(&device, "close");
            gateway.stop().await;
            device.stop().await;
        }
    }
}

/// U9: a check of a whole configuration, which on Junos is preceded by a look whether it would confirm a commit.
#[tokio::test]
async fn checks_do_what_was_planned() {
    for door in DOORS {
        for profile in [Profile::JunosRfc11, Profile::Rfc] {
            let (gateway, device) = TestGateway::with_device(junos().profile(profile)).await;
            let source = json!({"source": "candidate"});
            let mut body = source.clone();
            body["plan"] = json!(true);
            let plan = good(door, gateway.whole(door, "mx1", "validate", body).await);
            let plan = planned(&device, &plan);
            good(door, gateway.whole(door, "mx1", "validate", source).await);
            plan.was_sent(&device, "validate");
            gateway.stop().await;
            device.stop().await;
        }
    }
}

/// E6, U9: calling a scheduled commit off, with the looks whether the device made it.
#[tokio::test]
async fn calling_off_does_what_was_planned() {
    let (gateway, device) = TestGateway::with_device(junos()).await;
    let body = json!({"edits": to_contact(Profile::Junos, "east"), "commit": {"at": "23:59"}});
    let change = good(Door::Rest, gateway.change(Door::Rest, "mx1", body).await);
    assert_eq!(change["state"], "scheduled", "{change}");
    let path = format!("/v1/devices/mx1/changes/{}/cancel?plan=true", id(&change));
    let plan = good(
        Door::Rest,
        gateway.rest(gateway.request(Method::POST, &path)).await,
    );
    let plan = planned(&device, &plan);
    good(
        Door::Rest,
        gateway.cancel_change(Door::Rest, "mx1", &id(&change)).await,
    );
    plan.was_sent(&device, "cancel");
    gateway.stop().await;
    device.stop().await;
}
