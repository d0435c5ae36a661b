//! What every refusal of a bad request has.

use ncgate::emulator::RunningEmulator;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{TestGateway, answer, code};

/// The pointer of the first fault. Every refusal has one, with a reason.
#[track_caller]
pub fn pointer<'a>(problem: &'a Value, of: &str) -> &'a str {
    let fault = &problem["errors"][0];
    assert!(
        fault["detail"].as_str().is_some_and(|detail| !detail.is_empty()),
        "{of}: {problem}"
    );
    fault["pointer"]
        .as_str()
        .unwrap_or_else(|| panic!("{of}: {problem}"))
}

/// Members that every problem has (H2, H3).
#[track_caller]
pub fn is_callers_problem(status: StatusCode, problem: &Value, of: &str) {
    assert_eq!(problem["status"], status.as_u16(), "{of}: {problem}");
    assert_eq!(
        (&problem["origin"], &problem["outcome"]),
        (&json!("caller"), &json!("not_sent")),
        "{of}: {problem}"
    );
    assert_eq!(problem["retryable"], false, "{of}: {problem}");
    assert_eq!(problem["type"], format!("/problems/{}", code(problem)), "{of}");
    for member in ["title", "detail", "instance", "request_id"] {
        assert!(
            problem[member].as_str().is_some_and(|text| !text.is_empty()),
            "{of}: no {member}: {problem}"
        );
    }
}

/// A request with a body as it stands.
pub async fn post(
    gateway: &TestGateway,
    path: &str,
    media_type: &str,
    body: impl Into<reqwest::Body>,
) -> (StatusCode, Value) {
    answer(
        gateway
            .request(Method::POST, path)
            .header("Content-Type", media_type)
            .body(body),
    )
    .await
}

/// Nobody was connected to, so nothing can have been sent.
#[track_caller]
pub fn nothing_was_sent(device: &RunningEmulator) {
    let stats = device.stats();
    assert_eq!((stats.connections, stats.rpcs.len()), (0, 0));
}
