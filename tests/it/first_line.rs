//! One thin line through all layers: curl's request, answered by the emulated device over SSH.

use reqwest::StatusCode;

use crate::support::{TestGateway, code, junos};

/// S2, S8, S10, S15, S17: a request by name over the netconf subsystem, its reply as JSON in the envelope.
#[tokio::test]
async fn request_by_name_returns_the_reply_as_json() {
    let (gateway, device) = TestGateway::with_device(junos()).await;
    let body = gateway.read("/v1/devices/mx1/rpc/get-software-information").await;
    assert_eq!(body["device"], "mx1");
    assert_eq!(body["data"]["software-information"]["host-name"], "mx1");
    assert_eq!(body["complete"], true);
    assert_eq!(body["warnings"], serde_json::json!([]));
    assert!(body["session_id"].as_u64().is_some_and(|id| id > 0));
    assert_eq!(body["mapping"], "ncj/1;hints=junos-24.4.1");
    gateway.stop().await;
    device.stop().await;
}

/// S18: the device's refusal arrives whole, as a problem.
#[tokio::test]
async fn refusal_of_the_device_is_a_problem_with_its_rpc_error() {
    let (gateway, device) = TestGateway::with_device(junos()).await;
    let (status, problem) = gateway.get("/v1/devices/mx1/rpc/get-no-such-thing").await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_eq!(code(&problem), "unknown-element");
    assert_eq!(problem["origin"], "device");
    assert_eq!(problem["outcome"], "not_applied");
    assert_eq!(problem["rpc_errors"][0]["bad_element"], "get-no-such-thing");
    assert_eq!(
        problem["rpc_errors"][0].get("error_tag"),
        None,
        "Junos sends none"
    );
    gateway.stop().await;
    device.stop().await;
}
