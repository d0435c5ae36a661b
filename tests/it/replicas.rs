//! What calls go by when a stored device changes: changes through the same gateway count at once, those through
//! another gateway on the same database within the time that the operator allows.

use ncgate::emulator::RunningEmulator;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{TestGateway, answer, code, eventually, junos, listen, sent};

const READ: &str = "/v1/devices/mx1/rpc/get-system-uptime-information";

/// How many reads have reached the device.
fn reads(device: &RunningEmulator) -> usize {
    sent(device, "get-system-uptime-information").len()
}

async fn patch(gateway: &TestGateway, patch: Value) {
    let request = gateway
        .request(Method::PATCH, "/v1/devices/mx1")
        .header("Content-Type", "application/merge-patch+json")
        .body(patch.to_string());
    let (status, body) = answer(request).await;
    assert_eq!(status, StatusCode::OK, "{body}");
}

async fn delete(gateway: &TestGateway) {
    let (status, body) = answer(gateway.request(Method::DELETE, "/v1/devices/mx1")).await;
    assert_eq!(status, StatusCode::NO_CONTENT, "{body}");
}

/// The settings that lead to another device.
fn place(device: &RunningEmulator) -> Value {
    json!({
        "port": device.addr().port(),
        "host_key": {"policy": "pinned", "keys": [device.host_key_fingerprint()]},
    })
}

/// S1, S2: a change or a removal counts for the very next call, however long records may be kept.
#[tokio::test]
async fn own_changes_count_for_the_next_call() {
    let gateway = TestGateway::with(|settings| settings.device_record_seconds = Some("60".to_owned())).await;
    let (first, second) = (listen(junos()).await, listen(junos()).await);
    gateway.add("mx1", &first, json!({})).await;
    for _ in 0..2 {
        gateway.read(READ).await;
    }
    assert_eq!((reads(&first), reads(&second)), (2, 0));

    patch(&gateway, place(&second)).await;
    gateway.read(READ).await;
    assert_eq!((reads(&first), reads(&second)), (2, 1));
    patch(&gateway, json!({"auth": {"password": "another"}})).await;
    let (status, problem) = gateway.get(READ).await;
    assert_eq!(
        (status, code(&problem)),
        (StatusCode::BAD_GATEWAY, "device-auth-failed"),
        "{problem}"
    );

    delete(&gateway).await;
    let (status, problem) = gateway.get(READ).await;
    assert_eq!((status, code(&problem)), (StatusCode::NOT_FOUND, "not-found"));
    gateway.add("mx1", &first, json!({})).await;
    gateway.read(READ).await;
    assert_eq!((reads(&first), reads(&second)), (3, 1));
    gateway.stop().await;
    first.stop().await;
    second.stop().await;
}

/// Two gateways on one database; the device `mx1` is added through the first, and both have read from it.
async fn two_gateways(
    record_seconds: &str,
    device: &RunningEmulator,
) -> (tempfile::TempDir, [TestGateway; 2]) {
    let directory = tempfile::tempdir().expect("a directory");
    let database = format!("sqlite://{}", directory.path().join("ncgate.db").display());
    let start = || {
        TestGateway::with(|settings| {
            settings.database = Some(database.clone());
            settings.device_record_seconds = Some(record_seconds.to_owned());
        })
    };
    let gateways = [start().await, start().await];
    gateways[0].add("mx1", device, json!({})).await;
    for gateway in &gateways {
        gateway.read(READ).await;
    }
    (directory, gateways)
}

/// S1, S2: what one gateway changes, another one on the same database follows within the time that is set: where the
/// device is, and whether there is one at all. Nothing of what it was stays open.
#[tokio::test]
async fn changes_of_another_gateway_are_followed() {
    let (first, second) = (listen(junos()).await, listen(junos()).await);
    let (_directory, [one, other]) = two_gateways("1", &first).await;

    patch(&other, place(&second)).await;
    eventually("reads go to where the device is now", async || {
        one.read(READ).await;
        reads(&second) > 0
    })
    .await;
    eventually("the old sessions end", async || {
        let open = first.stats().open_sessions;
        other.read(READ).await;
        open == 0
    })
    .await;
    let before = reads(&first);
    one.read(READ).await;
    assert_eq!(reads(&first), before);

    delete(&other).await;
    eventually("there is no such device any more", async || {
        one.get(READ).await.0 == StatusCode::NOT_FOUND
    })
    .await;
    eventually("its sessions end", async || second.stats().open_sessions == 0).await;
    one.stop().await;
    other.stop().await;
    first.stop().await;
    second.stop().await;
}

/// S1, S2: with 0, the next call of any gateway sees a change, one back and forth included; a device made anew under
/// the old name is another one.
#[tokio::test]
async fn without_an_age_changes_of_another_gateway_count_for_the_next_call() {
    let (first, second) = (listen(junos()).await, listen(junos()).await);
    let (_directory, [one, other]) = two_gateways("0", &first).await;
    for (device, elsewhere) in [(&second, &first), (&first, &second)] {
        let (here, there) = (reads(device), reads(elsewhere));
        patch(&other, place(device)).await;
        one.read(READ).await;
        assert_eq!((reads(device), reads(elsewhere)), (here + 1, there));
    }
    delete(&other).await;
    other.add("mx1", &second, json!({})).await;
    let here = reads(&second);
    one.read(READ).await;
    assert_eq!(reads(&second), here + 1);
    delete(&one).await;
    let (status, problem) = other.get(READ).await;
    assert_eq!((status, code(&problem)), (StatusCode::NOT_FOUND, "not-found"));
    one.stop().await;
    other.stop().await;
    first.stop().await;
    second.stop().await;
}
