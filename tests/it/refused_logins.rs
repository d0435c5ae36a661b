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

/// Q4: 50 callers at once on a device that was never asked before are not a login each, however many sessions it has.
#[tokio::test]
async fn callers_at_once_are_not_a_login_each() {
    let gateway = TestGateway::start().await;
    let device = listen(junos()).await;
    let settings = json!({"auth": {"password": "wrong"}, "pool": {"max_sessions": 32}});
    gateway.add("mx1", &device, settings).await;
    for (status, problem) in join_all((0..50).map(|_| gateway.get(READ))).await {
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

/// Q4, M3: a device that hangs up on a login has refused it, and is left alone like one that says so.
#[tokio::test]
async fn hanging_up_on_a_login_counts_as_a_refusal() {
    let gateway = TestGateway::start().await;
    let device = listen(junos()).await;
    device
        .faults()
        .add(ncgate::emulator::Rule::always(Fault::HangUpAtLogin));
    gateway.add("mx1", &device, json!({})).await;
    refused_three_times(&gateway, &device).await;
    for (status, problem) in join_all((0..20).map(|_| gateway.get(READ))).await {
        assert_eq!(
            (status, code(&problem)),
            (StatusCode::BAD_GATEWAY, "device-auth-failed"),
            "{problem}"
        );
        let detail = problem["detail"].as_str().expect("a detail");
        assert!(detail.contains("the server closed the connection"), "{detail}");
        let hint = problem["hint"].as_str().expect("a hint");
        assert!(hint.contains("tries again in "), "{hint}");
    }
    assert_eq!(device.stats().auth_attempts, 3);
    assert_eq!(state(&gateway).await, "auth_failed");
    gateway.stop().await;
    device.stop().await;
}

/// Q4: a password goes where it is offered to go, and no failed login is counted on the way.
#[tokio::test]
async fn password_is_not_tried_where_only_questions_are_asked() {
    let gateway = TestGateway::start().await;
    let prompt = ncgate::emulator::Prompt {
        text: "Password: ".to_owned(),
        echo: false,
        answer: PASSWORD.to_owned(),
    };
    let device = junos()
        .user(crate::support::USER)
        .keyboard_interactive(vec![prompt])
        .listen("127.0.0.1:0")
        .await
        .expect("an emulated device");
    gateway.add("mx1", &device, json!({})).await;
    gateway.read(READ).await;
    let stats = device.stats();
    assert_eq!((stats.auth_attempts, stats.auth_successes), (1, 1));
    gateway.stop().await;
    device.stop().await;
}

/// Q4, fault 31: when devices of one credential domain refuse together, the rest of the domain is spared; one of them
/// that lets a person in frees the others.
#[tokio::test]
async fn refusals_of_a_domain_spare_its_other_devices() {
    let gateway = TestGateway::start().await;
    let device = listen(junos()).await;
    // One emulated box under many names: what counts is how often it is asked in all.
    let names = ["mx1", "mx2", "mx3", "mx4", "mx5", "mx6"];
    for name in names {
        let settings = json!({"auth": {"password": "wrong"}, "credential_domain": "tacacs"});
        gateway.add(name, &device, settings).await;
    }
    let read = async |name: &str| {
        let path = format!("/v1/devices/{name}/rpc/get-system-uptime-information");
        gateway.get(&path).await
    };
    for _ in 0..5 {
        for (index, name) in names.into_iter().enumerate() {
            let (status, problem) = read(name).await;
            assert_eq!(problem["outcome"], "not_sent", "{problem}");
            if index < 3 {
                continue;
            }
            assert_eq!(
                (status, code(&problem), problem["reason"].as_str()),
                (
                    StatusCode::SERVICE_UNAVAILABLE,
                    "circuit-open",
                    Some("credential_domain")
                ),
                "{name}: {problem}"
            );
            assert!(problem["retry_after_seconds"].as_u64() > Some(800), "{problem}");
        }
    }
    assert_eq!(device.stats().auth_attempts, 3);
    patch(&gateway, json!({"auth": {"password": PASSWORD}})).await;
    let (status, report) = gateway.post("/v1/devices/mx1/check", &json!({})).await;
    assert_eq!(status, StatusCode::OK, "{report}");
    let (_, problem) = read("mx6").await;
    assert_eq!(
        code(&problem),
        "device-auth-failed",
        "it is tried again: {problem}"
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
