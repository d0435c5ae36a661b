//! Callers who go away.

use std::process::Stdio;

use ncgate::emulator::{Fault, Gate, Rule};

use crate::support::program::ncgate;
use crate::support::{TestGateway, eventually, invariants, junos};

/// Row 13: the caller's process is killed while the device commits. The commit is made once, and its record says so.
#[tokio::test]
async fn row_13_a_caller_is_killed_in_the_middle_of_a_commit() {
    let (gateway, device) = TestGateway::with_device(junos()).await;
    let gate = Gate::new();
    let commit = Rule::on("commit-configuration", Fault::Late((&gate).into()));
    // After the check.
    device.faults().add(commit.after(1).once());
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("edit.set");
    std::fs::write(&file, "set snmp contact east\n").unwrap();
    let mut caller = ncgate()
        .args(["change", "create", "mx1"])
        .arg(&file)
        .args(["--server", &gateway.url("")])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program starts");
    gate.reached().await;
    caller.kill().expect("it runs still");
    caller.wait().expect("it has ended");
    gate.open();
    eventually("the change is committed", async || {
        let list = gateway.read("/v1/devices/mx1/changes").await;
        list["changes"][0]["state"] == "committed" && list["changes"][0]["outcome"] == "applied"
    })
    .await;
    assert_eq!(device.device().commits_with("").len(), 1);
    invariants::hold("row 13", &gateway, "mx1", &device).await;
    gateway.stop().await;
}
