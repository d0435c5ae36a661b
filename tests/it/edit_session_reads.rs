//! What is read in an edit session, and RPCs planned in it, through both doors.

use ncgate::emulator::RunningEmulator;
use serde_json::{Value, json};

use crate::support::doors::{DOORS, Door, bad, good};
use crate::support::{TestGateway, junos};

fn id(session: &Value) -> &str {
    session["id"].as_str().expect("an id")
}

/// With a rescue configuration on the device.
async fn opened(door: Door) -> (TestGateway, RunningEmulator, Value) {
    let (gateway, device) = TestGateway::with_device(junos()).await;
    good(door, gateway.whole(door, "mx1", "rescue", Value::Null).await);
    let opened = good(door, gateway.open(door, "mx1", json!({})).await);
    (gateway, device, opened)
}

/// S11: wherever the configuration was kept, it stands in the same place, in an edit session as outside of it; without a
/// source it is what the edit session edits.
#[tokio::test]
async fn every_source_is_the_configuration() {
    for door in DOORS {
        let (gateway, device, session) = opened(door).await;
        let edit = json!({"format": "set", "config": "set snmp contact east"});
        good(door, gateway.edit(door, "mx1", id(&session), edit).await);
        for (options, contact) in [
            (&[][..], "east"),
            (&[("source", "candidate")], "east"),
            (&[("source", "running")], "noc@example.net"),
            (&[("source", "rollback:0")], "noc@example.net"),
            (&[("source", "rescue")], "noc@example.net"),
        ] {
            let seen = good(door, gateway.edited(door, "mx1", id(&session), options).await);
            let found = &seen["data"]["configuration"]["snmp"]["contact"];
            assert_eq!(found, contact, "{door:?} {options:?}: {}", seen["data"]);
            assert_eq!(seen["session_id"], session["session_id"], "{options:?}");
        }
        let wrong = [("source", "rollback:50")];
        let refusal = bad(door, gateway.edited(door, "mx1", id(&session), &wrong).await);
        assert_eq!(refusal.fields, ["source"], "{refusal:?}");
        gateway.stop().await;
        device.stop().await;
    }
}

/// S9, H1: an RPC in an edit session can be planned, and is not sent then.
#[tokio::test]
async fn rpcs_are_planned() {
    for door in DOORS {
        let (gateway, device, session) = opened(door).await;
        let rpc = json!({"request-message": {"message": "hello"}});
        let plan = gateway.edit_session_rpc(door, "mx1", id(&session), rpc, true);
        assert_eq!(
            good(door, plan.await),
            json!({
                "device": "mx1",
                "rpcs": ["<request-message><message>hello</message></request-message>"],
            })
        );
        assert_eq!(device.stats().count("request-message"), 0);
        let read = json!({"get-system-uptime-information": null});
        let refusal = gateway.edit_session_rpc(door, "mx1", id(&session), read, true);
        let refusal = bad(door, refusal.await);
        assert_eq!(refusal.fields, ["plan"], "{refusal:?}");
        gateway.stop().await;
        device.stop().await;
    }
}
