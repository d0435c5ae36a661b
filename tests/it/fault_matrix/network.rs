//! A network that carries nothing any more.

use ncgate::emulator::config::Store;
use serde_json::{Value, json};

use crate::support::doors::{DOORS, bad, good};
use crate::support::proxy::{Network, Proxy};
use crate::support::{TestGateway, eventually, invariants, junos, listen};

/// Row 8: packets are dropped while an edit session has the lock. Keepalives notice, and the lock is told as lost; the
/// device gives it up with the connection.
#[tokio::test]
async fn row_08_a_silent_link_loses_the_lock() {
    for door in DOORS {
        let gateway = TestGateway::start().await;
        let device = listen(junos()).await;
        let proxy = Proxy::before(device.addr()).await;
        // Three times one second in place of three times fifteen.
        let more = json!({"port": proxy.port(), "timeouts": {"connect_seconds": 1, "keepalive_seconds": 1}});
        gateway.add("mx1", &device, more).await;
        let opened = good(door, gateway.open(door, "mx1", json!({"ttl_seconds": 600})).await);
        let id = opened["id"].as_str().unwrap();
        let edit = json!({"config": {"snmp": {"contact": "east"}}});
        good(door, gateway.edit(door, "mx1", id, edit).await);
        assert!(device.device().lock_holder(Store::Candidate).is_some());
        proxy.set(Network::Swallows);
        eventually("it is lost", async || {
            good(door, gateway.edit_session(door, "mx1", id).await)["state"] == "lost"
        })
        .await;
        let refusal = bad(door, gateway.act(door, "mx1", id, "commit", Value::Null).await);
        assert_eq!(
            refusal.verdict(),
            ("edit-session-lost", "not_sent"),
            "{refusal:?}"
        );
        proxy.set(Network::Up);
        invariants::hold("row 8", &gateway, "mx1", &device).await;
        assert_eq!(device.device().deeds().len(), 0);
        gateway.stop().await;
    }
}
