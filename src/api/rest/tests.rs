//! The contract in `openapi/` held against the router, and the router against the table of service calls.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use super::*;
use crate::service::calls::CALLS;

fn parsed() -> Value {
    serde_json::from_str(&document()).expect("the document is JSON")
}

/// Every operation as `METHOD /path`.
fn operations(document: &Value) -> BTreeSet<String> {
    let paths = document["paths"].as_object().expect("paths");
    paths
        .iter()
        .flat_map(|(path, item)| {
            let methods = item.as_object().expect("operations by method");
            methods
                .keys()
                .map(move |method| format!("{} {path}", method.to_uppercase()))
        })
        .collect()
}

/// The file that is checked in is what the router says. `UPDATE_OPENAPI=1` writes it anew.
#[test]
fn checked_in_document_is_the_generated_one() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi/ncgate.json");
    let generated = document();
    if std::env::var_os("UPDATE_OPENAPI").is_some() {
        std::fs::write(&path, &generated).expect("openapi/ can be written");
    }
    let checked_in = std::fs::read_to_string(&path).expect("openapi/ncgate.json is there");
    assert!(
        checked_in == generated,
        "openapi/ncgate.json is not what the routes say; UPDATE_OPENAPI=1 writes it anew"
    );
}

/// The one table of service calls and the routes name the same operations.
#[test]
fn every_service_call_has_its_route_and_every_route_its_call() {
    let document = parsed();
    let routes: BTreeSet<String> = operations(&document)
        .into_iter()
        .filter(|operation| operation.contains(" /v1/"))
        .collect();
    let calls: BTreeSet<String> = CALLS.iter().map(|call| call.rest.to_owned()).collect();
    assert_eq!(routes, calls);
}

/// Every operation has a name of its own, says what failures look like, and every 4xx and 5xx is a problem (H2).
#[test]
fn every_operation_documents_its_failures() {
    let document = parsed();
    assert_eq!(document["openapi"], "3.1.0");
    let mut names = BTreeSet::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("operations") {
            let place = format!("{method} {path}");
            let name = operation["operationId"]
                .as_str()
                .unwrap_or_else(|| panic!("{place} has no name"));
            assert!(names.insert(name.to_owned()), "{name} stands twice");
            assert!(operation["summary"].is_string(), "{place} has no summary");
            let responses = operation["responses"].as_object().expect("responses");
            for (status, response) in responses {
                let failure = status.starts_with(['4', '5']);
                let problem = &response["content"]["application/problem+json"];
                assert_eq!(failure, problem.is_object(), "{place} {status}");
            }
        }
    }
}

/// H2, M3: no catch-all, which would let any status pass as documented; instead each status that the operation can have.
/// What an operation raises is told in `statuses`; here stands what must come of that, by kinds of operations.
#[test]
fn every_operation_documents_each_status_that_it_can_have() {
    let document = parsed();
    let mut all = BTreeSet::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("operations") {
            let place = format!("{} {path}", method.to_uppercase());
            let responses = operation["responses"].as_object().expect("responses");
            assert!(!responses.contains_key("default"), "{place}");
            let has = |status: &str| responses.contains_key(status);
            let call = CALLS.iter().find(|call| call.rest == place);
            let mutates = CALLS.iter().any(|call| call.rest == place && call.mutates);
            for status in ["400", "406", "500", "503"] {
                assert!(has(status), "{place} {status}");
            }
            assert_eq!(has("404"), call.is_some() || path.contains('{'), "{place}");
            assert_eq!(has("504"), call.is_some(), "{place}");
            for status in ["412", "422", "499", "501", "502"] {
                assert!(!mutates || has(status), "{place} {status}");
            }
            let body = operation.get("requestBody").is_some();
            for status in ["408", "413", "415"] {
                assert!(!body || has(status), "{place} {status}");
            }
            assert_eq!(has("410"), path.contains("/edit-sessions/{id}"), "{place}");
            all.extend(responses.keys().cloned());
        }
    }
    let responses = |path: &str, method: &str| document["paths"][path][method]["responses"].clone();
    // What a device says may have any of these statuses, whatever it was asked.
    let read = responses("/v1/devices/{device}/rpc/{name}", "get");
    for status in [
        "400", "403", "405", "409", "413", "500", "501", "502", "503", "504",
    ] {
        assert!(read[status].is_object(), "{status}: {read}");
    }
    // It is not asked for what the gateway knows.
    let known = responses("/v1/devices/{device}", "get");
    for status in ["409", "412", "501", "502"] {
        assert!(known[status].is_null(), "{status}: {known}");
    }
    // Nobody has to say who he is, or has a quota; the others of the table can come.
    let never = [ErrorCode::Unauthenticated, ErrorCode::RateLimited];
    for code in ErrorCode::ALL.iter().filter(|code| !never.contains(code)) {
        let status = crate::api::status::row(*code).http;
        assert!(all.contains(status.as_str()), "{code}: {status}");
    }
    for code in never {
        let status = crate::api::status::row(code).http;
        assert!(!all.contains(status.as_str()), "{code}: {status}");
    }
}
