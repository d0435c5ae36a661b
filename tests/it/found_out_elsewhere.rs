//! Devices at whose place another one is found, or that are to be moved or removed, while it is being found out what became
//! of a commit (E4): what another device says is no evidence.

use std::net::SocketAddr;
use std::time::Duration;

use ncgate::emulator::{Fault, Gate, Profile, Rule, RunningEmulator, Until};
use serde_json::json;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::support::commits::{change_ends_as, commits, device, pair, to_contact, unanswered};
use crate::support::confirmed::{clock, pass};
use crate::support::doors::DOORS;
use crate::support::{TestGateway, eventually, junos, listen};

/// The place of a device in the network, where another one can be put: what was connected before is cut.
struct Place {
    port: u16,
    device: watch::Sender<SocketAddr>,
    accepting: JoinHandle<()>,
}

impl Place {
    async fn of(device: &RunningEmulator) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (sender, device) = watch::channel(device.addr());
        let accepting = tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                tokio::spawn(carry(near, device.clone()));
            }
        });
        Self {
            port,
            device: sender,
            accepting,
        }
    }

    fn put(&self, device: &RunningEmulator) {
        self.device.send_replace(device.addr());
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn carry(mut near: TcpStream, mut device: watch::Receiver<SocketAddr>) {
    let address = *device.borrow_and_update();
    let Ok(mut far) = TcpStream::connect(address).await else {
        return;
    };
    tokio::select! {
        _ = copy_bidirectional(&mut near, &mut far) => {}
        _ = device.changed() => {}
    }
}

/// E4: at the device's place there is another one, whose history does not hold the commit, nor what came before it. That is
/// not taken for the end of it, and once the device is asked itself its end is known.
#[tokio::test]
async fn the_history_of_another_device_says_nothing() {
    for door in DOORS {
        let clock = clock();
        let gateway = TestGateway::at(clock.clone(), |_| {}).await;
        let (device, edits) = device(Profile::Junos, clock.clone(), None).await;
        let place = Place::of(&device).await;
        gateway.add("mx1", &device, json!({"port": place.port})).await;
        let first = json!({"edits": to_contact(Profile::Junos, "north")});
        gateway.change(door, "mx1", first).await.unwrap();
        let late = Fault::DropThenOperation(Until::Passed(Duration::from_secs(400)));
        device
            .faults()
            .add(Rule::on("commit-configuration", late).after(1).once());
        let id = unanswered(&gateway, door, &edits).await;

        let other = listen(junos().clock(clock)).await;
        place.put(&other);
        pass(Duration::from_secs(305)).await;
        eventually("the other device was asked", async || {
            let change = gateway.get_change(door, "mx1", &id).await.unwrap();
            assert_eq!(
                (&change["state"], &change["outcome"]),
                (&json!("unknown"), &json!("unknown"))
            );
            change["seen"]
                .as_str()
                .is_some_and(|seen| seen.contains("another device"))
        })
        .await;

        place.put(&device);
        pass(Duration::from_secs(100)).await;
        change_ends_as(&gateway, door, &id, "committed", "applied").await;
        assert_eq!(commits(&device), 2);
    }
}

/// Design 4: a device whose commit is being found out is not removed, for its record would go with it.
#[tokio::test]
async fn a_device_is_not_removed_before_its_commit_is_found_out() {
    for door in DOORS {
        let late = Fault::DropThenOperation(Until::Passed(Duration::from_secs(20)));
        let (gateway, _device, edits) = pair(Profile::Junos, Some(late)).await;
        let id = unanswered(&gateway, door, &edits).await;
        let refusal = gateway.delete(door, "mx1", "").await.unwrap_err();
        assert_eq!(
            (refusal.verdict(), refusal.reason.as_deref()),
            (("invalid-state", "not_sent"), Some("resolving"))
        );
        assert_eq!(refusal.change_id.as_deref(), Some(id.as_str()));
        // At another place another device would be asked what became of it.
        let refusal = gateway
            .update(door, "mx1", &json!({"port": 1}), "")
            .await
            .unwrap_err();
        assert_eq!(
            (refusal.verdict(), refusal.reason.as_deref()),
            (("invalid-state", "not_sent"), Some("resolving"))
        );
        pass(Duration::from_secs(25)).await;
        change_ends_as(&gateway, door, &id, "committed", "applied").await;
        eventually("it can be removed", async || {
            gateway.delete(door, "mx1", "").await.is_ok()
        })
        .await;
    }
}

/// Design 4: the same holds for a confirmed commit. Who looks after it would find another device, or none, under its name.
#[tokio::test]
async fn a_device_is_not_removed_before_its_confirmed_commit_is_found_out() {
    for door in DOORS {
        let never = Fault::DropBeforeOperation;
        let (gateway, _device, edits) = pair(Profile::Junos, Some(never)).await;
        let body = json!({"edits": edits, "commit": {"confirm_timeout_seconds": 120}});
        let lost = gateway.change(door, "mx1", body).await.unwrap_err();
        assert_eq!(lost.verdict(), ("outcome-unknown", "unknown"), "{lost:?}");
        let id = lost.change_id.expect("a change");
        let refusal = gateway.delete(door, "mx1", "").await.unwrap_err();
        assert_eq!(
            refusal.verdict(),
            ("confirmed-commit-pending", "not_sent"),
            "{refusal:?}"
        );
        pass(Duration::from_secs(305)).await;
        change_ends_as(&gateway, door, &id, "failed", "not_applied").await;
        eventually("it can be removed", async || {
            gateway.delete(door, "mx1", "").await.is_ok()
        })
        .await;
    }
}

/// E4, L3: what is held stays with the device where it was opened, so a device does not move to another place under an open
/// edit session or a change that is at work; anything else of it may be changed.
#[tokio::test]
async fn a_device_does_not_move_under_what_is_at_work() {
    for door in DOORS {
        let (gateway, device, edits) = pair(Profile::Junos, None).await;
        let elsewhere = json!({"port": device.addr().port() ^ 1});
        let timeouts = json!({"timeouts": {"rpc_seconds": 29}});
        let refused = async |reason: &str| {
            let refusal = gateway.update(door, "mx1", &elsewhere, "").await.unwrap_err();
            assert_eq!(refusal.verdict(), ("invalid-state", "not_sent"), "{refusal:?}");
            assert!(refusal.detail.contains(reason), "{refusal:?}");
        };

        let session = gateway.open(door, "mx1", json!({})).await.unwrap();
        refused(session["id"].as_str().unwrap()).await;
        gateway.update(door, "mx1", &timeouts, "").await.unwrap();
        // The session that it holds is told all the same.
        let told = gateway.sessions(door, "mx1").await.unwrap();
        let ours = told["sessions"].as_array().unwrap().iter();
        let ours = ours.filter(|one| one["session_id"] == session["session_id"] && one["ours"] == true);
        assert_eq!(ours.count(), 1, "{told}");
        gateway
            .close(door, "mx1", session["id"].as_str().unwrap())
            .await
            .unwrap();

        let gate = Gate::new();
        let held = Rule::on("load-configuration", Fault::HoldReply(gate.clone()));
        device.faults().add(held.once());
        let changing = gateway.change(door, "mx1", json!({"edits": edits}));
        let moving = async {
            gate.reached().await;
            refused("is editing").await;
            gate.open();
        };
        let (change, ()) = tokio::join!(changing, moving);
        assert_eq!(change.unwrap()["state"], "committed");
        gateway.update(door, "mx1", &elsewhere, "").await.unwrap();
    }
}

/// E6: that another device is not going to make a scheduled commit does not say that it was called off.
#[tokio::test]
async fn a_scheduled_commit_is_not_called_off_by_another_device() {
    for door in DOORS {
        let (gateway, _device, edits) = pair(Profile::Junos, None).await;
        let first = json!({"edits": to_contact(Profile::Junos, "north")});
        gateway.change(door, "mx1", first).await.unwrap();
        let later = json!({"edits": edits, "commit": {"at": "reboot"}});
        let scheduled = gateway.change(door, "mx1", later).await.unwrap();
        assert_eq!(scheduled["state"], "scheduled", "{scheduled}");

        let other = listen(junos().clock(clock())).await;
        let there = json!({"port": other.addr().port()});
        gateway.update(door, "mx1", &there, "").await.unwrap();
        let next = json!({"edits": to_contact(Profile::Junos, "west")});
        gateway.change(door, "mx1", next).await.unwrap();
        let id = scheduled["id"].as_str().unwrap();
        let change = change_ends_as(&gateway, door, id, "unknown", "unknown").await;
        assert!(
            change["seen"]
                .as_str()
                .is_some_and(|seen| seen.contains("another device")),
            "{change}"
        );
    }
}
