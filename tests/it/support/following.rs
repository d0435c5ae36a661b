//! Calls with keys, calls that are not waited for, and the operations of both.

use ncgate::api::grpc::proto;
use proto::operation_service_client::OperationServiceClient;
use reqwest::header::HeaderMap;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::TestGateway;
use super::doors::{Door, refused};
use super::grpc::given;

/// An answer with everything that is said of it.
#[derive(Debug)]
pub struct Whole {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
}

impl Whole {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Whether it is the answer of a call that was made before.
    pub fn is_replayed(&self) -> bool {
        self.header("idempotency-replayed") == Some("true")
    }
}

impl TestGateway {
    /// A POST with these headers.
    pub async fn post_with(&self, path: &str, headers: &[(&str, &str)], body: &Value) -> Whole {
        let mut request = self.request(Method::POST, path).json(body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.send().await.expect("an answer");
        Whole {
            status: response.status(),
            headers: response.headers().clone(),
            text: response.text().await.expect("a whole answer"),
        }
    }

    /// A POST with this key.
    pub async fn post_keyed(&self, path: &str, key: &str, body: &Value) -> Whole {
        self.post_with(path, &[("Idempotency-Key", key)], body).await
    }

    fn operations(&self) -> OperationServiceClient<tonic::transport::Channel> {
        OperationServiceClient::new(self.channel())
    }

    /// An operation, waited for as long as may be.
    pub async fn operation(&self, door: Door, id: &str, wait_seconds: u64) -> Value {
        match door {
            Door::Rest => {
                self.read(&format!("/v1/operations/{id}?wait_seconds={wait_seconds}"))
                    .await
            }
            Door::Grpc => {
                let request = proto::GetOperationRequest {
                    id: id.to_owned(),
                    wait_seconds,
                };
                let answer = self.operations().get_operation(request).await.map_err(refused);
                operation(answer.unwrap().into_inner().operation.expect("an operation"))
            }
        }
    }

    /// The newest operations.
    pub async fn newest_operations(&self, door: Door, page_size: u32) -> Vec<Value> {
        match door {
            Door::Rest => {
                let page = self.read(&format!("/v1/operations?page_size={page_size}")).await;
                page["operations"].as_array().expect("a list").clone()
            }
            Door::Grpc => {
                let request = proto::ListOperationsRequest {
                    page_size,
                    ..Default::default()
                };
                let page = self.operations().list_operations(request).await.map_err(refused);
                let operations = page.unwrap().into_inner().operations;
                operations.into_iter().map(operation).collect()
            }
        }
    }
}

/// An operation as REST shows it, its error by code and outcome.
pub fn operation(operation: proto::Operation) -> Value {
    let metadata = operation.metadata.expect("metadata");
    given(json!({
        "id": operation.id,
        "kind": operation.kind,
        "device": operation.device,
        "owner": operation.owner,
        "state": operation.state,
        "done": operation.done,
        "outcome": operation.outcome,
        "metadata": given(json!({
            "phase": metadata.phase,
            "omitted_bytes": metadata.omitted_bytes,
            "resource": metadata.resource,
        })),
        "error": operation.error.map(|error| json!({
            "code": error.code, "outcome": error.outcome, "reason": error.reason,
        })),
        "response": operation.response_json.map(|json| {
            serde_json::from_str::<Value>(&json).expect("JSON")
        }),
    }))
}
