//! Entity tags: what changes them, and the conditions that name them (H9, RFC 9110 section 13.1).

use futures_util::future::join_all;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::doors::{DOORS, good, plain};
use crate::support::{TestGateway, answer, code, junos};

async fn status(gateway: &TestGateway, method: Method, name: &str, value: &str) -> StatusCode {
    let request = gateway
        .request(method.clone(), "/v1/devices/mx1")
        .header(name, value);
    let request = if method == Method::PATCH {
        request
            .header("Content-Type", "application/merge-patch+json")
            .body("{}")
    } else {
        request
    };
    request.send().await.expect("an answer").status()
}

/// H9: the tag changes with all that a caller sees, the connection too; a change looks at the version in it only.
#[tokio::test]
async fn tag_changes_with_the_connection_and_still_guards_changes() {
    let (gateway, _device) = TestGateway::with_device(junos()).await;
    for door in DOORS {
        // From here on nothing of the connection is as it was before.
        let patch = json!({"timeouts": {"connect_seconds": if door == DOORS[0] { 11 } else { 12 }}});
        let idle = good(door, gateway.update(door, "mx1", &patch, "").await);
        let before = idle["etag"].as_str().expect("an etag").to_owned();
        good(
            door,
            gateway
                .named(door, "mx1", "get-chassis-inventory", Value::Null, plain())
                .await,
        );
        let connected = good(door, gateway.device(door, "mx1").await);
        assert_ne!(connected["connection"], idle["connection"]);
        assert_ne!(connected["etag"], before);
        // Nobody could lose a change by it.
        let labelled = gateway
            .update(
                door,
                "mx1",
                &json!({"labels": {"door": format!("{door:?}")}}),
                &before,
            )
            .await;
        let labelled = good(door, labelled);
        let request = gateway
            .request(Method::DELETE, "/v1/devices/mx1")
            .header("If-Match", &before);
        let (refused, problem) = answer(request).await;
        assert_eq!(
            (refused, code(&problem)),
            (StatusCode::PRECONDITION_FAILED, "etag-mismatch")
        );
        assert_ne!(labelled["etag"], before);
    }
}

/// RFC 9110 sections 13.1.1 and 13.1.2: lists, `*`, and weak tags, which only `If-None-Match` takes for equal.
#[tokio::test]
async fn conditions_are_lists_and_know_weak_tags() {
    let (gateway, _device) = TestGateway::with_device(junos()).await;
    let shown = gateway.read("/v1/devices/mx1").await;
    let etag = shown["etag"].as_str().expect("an etag");
    let weak = format!("W/{etag}");
    let list = format!("\"a,b\", {etag}");
    let weak_list = format!("\"x\" , {weak}");
    for (value, found) in [
        (etag, true),
        (&weak, true),
        (&list, true),
        (&weak_list, true),
        ("*", true),
        ("\"other\", W/\"another\"", false),
    ] {
        let expected = if found {
            StatusCode::NOT_MODIFIED
        } else {
            StatusCode::OK
        };
        assert_eq!(
            status(&gateway, Method::GET, "If-None-Match", value).await,
            expected,
            "{value}"
        );
    }
    for (value, expected) in [
        (etag, StatusCode::OK),
        (&list, StatusCode::OK),
        ("*", StatusCode::OK),
        (&weak, StatusCode::PRECONDITION_FAILED),
        (&weak_list, StatusCode::PRECONDITION_FAILED),
        ("\"other\"", StatusCode::PRECONDITION_FAILED),
        ("other", StatusCode::BAD_REQUEST),
        ("*, \"other\"", StatusCode::BAD_REQUEST),
    ] {
        assert_eq!(
            status(&gateway, Method::PATCH, "If-Match", value).await,
            expected,
            "{value}"
        );
    }
}

/// H9: changes at once that name no version are made one after the other; none is lost, and none is refused.
#[tokio::test]
async fn changes_at_once_are_all_made() {
    let (gateway, _device) = TestGateway::with_device(junos()).await;
    let changes = (0..8).map(|n| {
        let gateway = &gateway;
        async move {
            let patch = json!({"labels": {format!("n{n}"): "1"}, "timeouts": {"connect_seconds": 10 + n}});
            let request = gateway
                .request(Method::PATCH, "/v1/devices/mx1")
                .header("Content-Type", "application/merge-patch+json")
                .body(patch.to_string());
            answer(request).await
        }
    });
    for (status, body) in join_all(changes).await {
        assert_eq!(status, StatusCode::OK, "{body}");
    }
    for door in DOORS {
        let shown = good(door, gateway.device(door, "mx1").await);
        assert_eq!(
            shown["labels"].as_object().map(serde_json::Map::len),
            Some(8),
            "{shown}"
        );
        good(
            door,
            gateway
                .named(door, "mx1", "get-chassis-inventory", Value::Null, plain())
                .await,
        );
    }
}

/// H10: an empty page token is none.
#[tokio::test]
async fn empty_page_token_begins_the_list() {
    let (gateway, _device) = TestGateway::with_device(junos()).await;
    for door in DOORS {
        let page = good(door, gateway.list(door, &[("page_token", "")]).await);
        assert_eq!(page["devices"][0]["name"], "mx1");
    }
}
