//! A fault of ours in a handler ends one request and nothing else.

use axum::routing::{any, get};
use axum::{Router, body};
use http::{Request, StatusCode};
use tokio::sync::oneshot;
use tower::ServiceExt;

use super::*;
use crate::api::{App, grpc, rest};

fn of(path: &str) -> Request<body::Body> {
    Request::get(path).body(body::Body::empty()).expect("a request")
}

async fn fault() {
    panic!("the handler's own words")
}

/// Quality row 38: a panic becomes a problem without its words, with the request's id, and is counted; what was under
/// way stays so, and what comes after works.
#[tokio::test]
async fn panic_ends_one_request_only() {
    let served = Served::new().await;
    let (go_on, waiting) = oneshot::channel::<()>();
    let waiting = Arc::new(tokio::sync::Mutex::new(Some(waiting)));
    let waits = move || {
        let waiting = waiting.clone();
        async move {
            if let Some(waiting) = waiting.lock().await.take() {
                waiting.await.expect("to be told");
            }
            "done"
        }
    };
    let routes: Router<App> = Router::new()
        .route("/panics", get(fault))
        .route("/waits", get(waits));
    let router = rest::around(routes, served.app());
    let under_way = tokio::spawn(router.clone().oneshot(of("/waits")));

    for count in 1..=2 {
        let answer = router.clone().oneshot(of("/panics")).await.expect("an answer");
        assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(answer.headers()["content-type"], "application/problem+json");
        let request_id = answer.headers()["x-request-id"]
            .to_str()
            .expect("text")
            .to_owned();
        let bytes = body::to_bytes(answer.into_body(), 1 << 16).await.expect("a body");
        let problem: Value = serde_json::from_slice(&bytes).expect("JSON");
        assert_eq!(problem["code"], "internal");
        assert_eq!(problem["request_id"], request_id.as_str());
        assert!(!problem.to_string().contains("own words"), "{problem}");
        let counted = format!("ncgate_panics_total {count}\n");
        assert!(served.metrics.encode().contains(&counted));
    }
    assert!(!under_way.is_finished());
    go_on.send(()).expect("it still waits");
    let answer = under_way.await.expect("no panic").expect("an answer");
    assert_eq!(answer.status(), StatusCode::OK);
    let answer = router.oneshot(of("/waits")).await.expect("an answer");
    assert_eq!(answer.status(), StatusCode::OK);
}

/// Quality row 38: so it is with a gRPC method, whose caller gets a status.
#[tokio::test]
async fn panic_ends_one_call_only() {
    let served = Served::new().await;
    let methods = Router::new()
        .route("/x.Y/Panics", any(fault))
        .route("/x.Y/Works", any(async || "done"));
    let router = grpc::around(methods, served.metrics.clone());
    let answer = router
        .clone()
        .oneshot(of("/x.Y/Panics"))
        .await
        .expect("an answer");
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.headers()["grpc-status"], "13");
    assert!(served.metrics.encode().contains("ncgate_panics_total 1\n"));
    let answer = router.oneshot(of("/x.Y/Works")).await.expect("an answer");
    assert_eq!(answer.status(), StatusCode::OK);
}
