//! What must hold after every fault (the head of the fault matrix): each operation was committed once at most and has come
//! to its end, what the gateway says is what the device did, and nothing is held any more.

use ncgate::emulator::config::{Deed, What};
use ncgate::emulator::{Profile, RunningEmulator};
use reqwest::StatusCode;
use serde_json::Value;

use super::TestGateway;
use super::child::Child;
use super::eventually;
use super::judged::is_free;

/// States that nothing follows.
const ENDS: [&str; 8] = [
    "committed",
    "unchanged",
    "discarded",
    "failed",
    "cancelled",
    "confirmed",
    "rolled_back",
    "kept",
];
/// Those of changes that the device has committed, now or for a time.
const COMMITTED: [&str; 4] = ["committed", "confirmed", "rolled_back", "kept"];

/// Whatever answers as the gateway does.
pub trait Told {
    async fn told(&self, path: &str) -> Value;
}

impl Told for TestGateway {
    async fn told(&self, path: &str) -> Value {
        self.read(path).await
    }
}

impl Told for Child {
    async fn told(&self, path: &str) -> Value {
        let (status, body) = self.get(path).await;
        assert_eq!(status, StatusCode::OK, "GET {path}: {body}");
        body
    }
}

/// That the invariants hold after this row, for the device of this name.
pub async fn hold(row: &str, gateway: &impl Told, name: &str, device: &RunningEmulator) {
    let list = async |path: String, of: &str| -> Vec<Value> {
        let mut page = gateway.told(&path).await;
        serde_json::from_value(page[of].take()).expect("a list")
    };
    let changes = async || list(format!("/v1/devices/{name}/changes?page_size=1000"), "changes").await;
    eventually(&format!("{row}: every operation has ended"), async || {
        let changes = changes().await;
        changes
            .iter()
            .all(|change| ENDS.iter().any(|end| change["state"] == *end))
    })
    .await;
    eventually(&format!("{row}: every confirmed commit has ended"), async || {
        let path = format!("/v1/confirmed-commits?device={name}&page_size=1000");
        let commits = list(path, "confirmed_commits").await;
        commits
            .iter()
            .all(|commit| ENDS.iter().any(|end| commit["state"] == *end))
    })
    .await;
    let path = format!("/v1/devices/{name}/edit-sessions?page_size=1000");
    let sessions = list(path, "edit_sessions").await;
    assert!(
        sessions.iter().all(|session| session["state"] != "open"),
        "{row}: {sessions:?}"
    );
    eventually(
        &format!("{row}: nothing is held, and nothing lies in the candidate"),
        async || is_free(device) && !device.device().is_modified(),
    )
    .await;
    let changes = changes().await;
    let committed = |change: &Value| COMMITTED.iter().any(|state| change["state"] == *state);
    if device.device().profile == Profile::Junos {
        for change in &changes {
            let id = change["id"].as_str().expect("an id");
            let commits = device.device().commits_with(&format!("[ncgate {id} ")).len();
            assert!(commits <= 1, "{row}: {commits} commits of {change}");
            // A cancelled one may have been called off before.
            if change["state"] != "cancelled" {
                assert_eq!(
                    commits == 1,
                    committed(change),
                    "{row}: {commits} commits of {change}"
                );
            }
        }
    } else {
        // No comment says whose a commit is; those that confirm or extend another are none of their own.
        let deeds = device.device().deeds();
        let own = |deed: &&Deed| match deed.what {
            What::Commit { confirms } => !confirms,
            What::ConfirmedCommit { extends, .. } => !extends,
            What::Confirmation | What::Rollback(_) | What::Kept => false,
        };
        let commits = deeds.iter().filter(own).count();
        let least = changes.iter().filter(|change| committed(change)).count();
        assert!(
            (least..=changes.len()).contains(&commits),
            "{row}: {commits} commits of {changes:?}"
        );
    }
}
