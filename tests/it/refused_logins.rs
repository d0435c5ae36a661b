//! Credentials are given to the right device only, and never often enough to lock an account.

use futures_util::future::join_all;
use ncgate::emulator::{Fault, RunningEmulator};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{PASSWORD, TestGateway, answer, code, eventually, junos, listen};

const READ: &str = "/v1/devices/mx1/rpc/get-system-uptime-information";

async fn patch(gateway: &TestGateway, body: Value) {
    let request = gateway.request(Method::PATCH, "/v1/devices/mx1");
    let request = request
        .header("Content-Type", "application/merge-patch+json")
        .body(body.to_string());
    let (status, answer) = answer(request).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
}

async fn state(gateway: &TestGateway) -> Value {
    gateway.read("/v1/devices/mx1").await["connection"]["state"].clone()
}

/// X7, fault 30, threat 18: whoever answers with another key gets no password, and is not asked again by itself.
#[tokio::test]
async fn changed_host_key_gets_no_password() {
    let gateway = TestGateway::start().await;
    let real = listen(junos()).await;
    let other = listen(junos().host_key_seed([7; 32])).await;
    let more = json!({"host_key": {"policy": "pinned", "keys": [real.host_key_fingerprint()]}});
    gateway.add("mx1", &other, more).await;
    for _ in 0..5 {
        let (status, problem) = gateway.get(READ).await;
        assert_eq!(
            (status, code(&problem)),
            (StatusCode::BAD_GATEWAY, "host-key-mismatch")
        );
        assert_eq!(problem["outcome"], "not_sent");
        let detail = problem["detail"].as_str().expect("a detail");
        for fingerprint in [real.host_key_fingerprint(), other.host_key_fingerprint()] {
            assert!(detail.contains(&fingerprint), "{detail}");
        }
    }
    assert_eq!(other.stats().auth_attempts, 0);
    assert_eq!(other.stats().connections, 1, "it waits for a person");
    assert_eq!(state(&gateway).await, "host_key_rejected");

    patch(
        &gateway,
        json!({"host_key": {"keys": [other.host_key_fingerprint()]}}),
    )
    .await;
    gateway.read(READ).await;
    gateway.stop().await;
    real.stop().await;
    other.stop().await;
}

/// X7: a device stored without a key stops before the login, and tells its fingerprint.
#[tokio::test]
async fn unknown_host_key_gets_no_password() {
    let gateway = TestGateway::start().await;
    let device = listen(junos()).await;
    gateway
        .add(
            "mx1",
            &device,
            json!({"host_key": {"policy": "pinned", "keys": []}}),
        )
        .await;
    let (status, problem) = gateway.get(READ).await;
    assert_eq!(
        (status, code(&problem)),
        (StatusCode::BAD_GATEWAY, "host-key-unknown")
    );
    assert!(
        problem["detail"]
            .as_str()
            .expect("text")
            .contains(&device.host_key_fingerprint()),
        "{problem}"
    );
    assert_eq!(device.stats().auth_attempts, 0);
    gateway.stop().await;
    device.stop().await;
}

/// After this the device has refused three times.
async fn refused_three_times(gateway: &TestGateway, device: &RunningEmulator) {
    eventually("three refusals", async || {
        let (status, problem) = gateway.get(READ).await;
        assert_eq!(
            (status, code(&problem)),
            (StatusCode::BAD_GATEWAY, "device-auth-failed"),
            "{problem}"
        );
        assert_eq!(problem["outcome"], "not_sent");
        device.stats().auth_attempts >= 3
    })
    .await;
}

/// Q4, fault 31, threat 6: whatever is asked, a wrong password is tried three times and then left alone.
#[tokio::test]
async fn wrong_password_is_tried_three_times_and_no_more() {
    let gateway = TestGateway::start().await;
    let device = listen(junos()).await;
    gateway
        .add("mx1", &device, json!({"auth": {"password": "wrong"}}))
        .await;
    refused_three_times(&gateway, &device).await;
    for (status, problem) in join_all((0..20).map(|_| gateway.get(READ))).await {
        assert_eq!(
            (status, code(&problem)),
            (StatusCode::BAD_GATEWAY, "device-auth-failed"),
            "{problem}"
        );
        // Nobody is asked to come back for what a person has to mend.
        assert_eq!(problem["retryable"], false);
        assert_eq!(problem.get("retry_after_seconds"), None, "{problem}");
        let hint = problem["hint"].as_str().expect("a hint");
        assert!(
            hint.contains("tries again in ") && hint.contains("/check"),
            "{hint}"
        );
    }
    assert_eq!(device.stats().auth_attempts, 3);
    assert_eq!(state(&gateway).await, "auth_failed");

    // Once by request of a person, and not by anybody else.
    let (status, _) = gateway.post("/v1/devices/mx1/check", &json!({})).await;
    assert_eq!(status, StatusCode::BAD_GATEWAY);
    assert_eq!(device.stats().auth_attempts, 4);
    join_all((0..20).map(|_| gateway.get(READ))).await;
    assert!(
        device.stats().auth_attempts <= 6,
        "{} attempts",
        device.stats().auth_attempts
    );

    patch(&gateway, json!({"auth": {"password": PASSWORD}})).await;
    gateway.read(READ).await;
    gateway.stop().await;
    device.stop().await;
}

/// Q4: 20 callers at once on a device that was never asked before are one login, not 20.
#[tokio::test]
async fn callers_at_once_are_not_a_login_each() {
    let gateway = TestGateway::start().await;
    let device = listen(junos()).await;
    gateway
        .add("mx1", &device, json!({"auth": {"password": "wrong"}}))
        .await;
    for (status, problem) in join_all((0..20).map(|_| gateway.get(READ))).await {
        assert_eq!(
            (status, code(&problem)),
            (StatusCode::BAD_GATEWAY, "device-auth-failed"),
            "{problem}"
        );
    }
    assert!(
        device.stats().auth_attempts <= 3,
        "{} attempts",
        device.stats().auth_attempts
    );
    gateway.stop().await;
    device.stop().await;
}

/// Q4: a check that succeeds ends the waiting.
#[tokio::test]
async fn check_ends_the_waiting_after_refused_credentials() {
    let gateway = TestGateway::start().await;
    let device = listen(junos()).await;
    let refusing = device
        .faults()
        .add(ncgate::emulator::Rule::always(Fault::RefuseAuthentication));
    gateway.add("mx1", &device, json!({})).await;
    refused_three_times(&gateway, &device).await;
    device.faults().remove(refusing);
    let (status, _) = gateway.get(READ).await;
    assert_eq!(status, StatusCode::BAD_GATEWAY, "it still waits");
    let (status, report) = gateway.post("/v1/devices/mx1/check", &json!({})).await;
    assert_eq!(status, StatusCode::OK, "{report}");
    gateway.read(READ).await;
    gateway.stop().await;
    device.stop().await;
}
