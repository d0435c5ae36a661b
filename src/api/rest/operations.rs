//! Operations (conventions H7): what became of every call that can change a device.

use axum::extract::State;
use axum::response::Response;
use http::HeaderMap;
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::context::Context;
use super::envelope;
use super::extract::PathArgs;
use super::negotiate;
use super::openapi::Problems;
use super::problem::{ApiError, Problem};
use super::query::Query;
use crate::api::App;
use crate::service::operations::{ListOperations, Operation};

const JSON: &str = "application/json";

/// A call that can change a device, and what became of it.
#[derive(Serialize, ToSchema)]
pub struct OperationView {
    /// Of a change and of the commit of an edit session: the id of the change.
    pub id: String,
    /// The call, for example `create_change`.
    pub kind: String,
    pub device: String,
    /// Who called.
    pub owner: String,
    /// `running`, `succeeded`, `failed` or `unknown`.
    pub state: String,
    /// Whether nothing more is to come. A commit whose reply was lost is `unknown` and not done until it is found out.
    pub done: bool,
    /// What it did to the device: `not_sent`, `not_applied`, `applied` or `unknown`. Absent while it runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    pub create_time: String,
    pub update_time: String,
    pub metadata: OperationMetadata,
    /// Why it failed, or why nobody knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Problem>,
    /// What its caller was answered; of a change, the change as it is now. Absent in lists, and but for changes for all
    /// who are neither its owner nor an admin.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub response: Option<Box<RawValue>>,
}

/// How far an operation has come.
#[derive(Serialize, ToSchema)]
pub struct OperationMetadata {
    /// Of a change its state, otherwise that of the operation.
    pub phase: String,
    /// Of a change: its steps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress: Option<OperationProgress>,
    /// The change of the same id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub change: Option<String>,
    /// The path under which what the call was about can be looked at, as it is now.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "/v1/devices/mx1")]
    pub resource: Option<String>,
    /// The least size of a response that was too large to be kept, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub omitted_bytes: Option<u64>,
}

/// The steps of a change.
#[derive(Serialize, ToSchema)]
pub struct OperationProgress {
    /// Those that have ended.
    pub steps: u64,
    /// The last one that was begun.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
}

/// A page of operations.
#[derive(Serialize, ToSchema)]
pub struct OperationListView {
    pub operations: Vec<OperationView>,
    /// Absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_page_token: Option<String>,
}

impl From<Operation> for OperationView {
    fn from(operation: Operation) -> Self {
        let instance = format!("/v1/operations/{}", operation.id);
        let error = operation.failure.as_ref();
        Self {
            error: error.map(|error| Problem::new(error, &operation.request_id, &instance)),
            metadata: OperationMetadata {
                phase: operation.phase,
                progress: operation.progress.map(|progress| OperationProgress {
                    steps: progress.steps,
                    step: progress.step,
                }),
                change: operation.resource.clone().filter(|_| operation.is_change),
                resource: operation.resource,
                omitted_bytes: operation.omitted_bytes,
            },
            id: operation.id,
            kind: operation.kind,
            device: operation.device,
            owner: operation.owner,
            state: operation.state.as_str().to_owned(),
            done: operation.done,
            outcome: operation.outcome,
            create_time: operation.create_time,
            update_time: operation.update_time,
            response: operation
                .response
                .and_then(|json| RawValue::from_string(json).ok()),
        }
    }
}

/// List operations.
///
/// Every call that can change a device has one, changes among them; the newest first.
#[utoipa::path(get, path = "/v1/operations", operation_id = "listOperations", tag = "operations",
    params(("page_size" = Option<u32>, Query, description = "At most this many", maximum = 1000),
        ("page_token" = Option<String>, Query, description = "Where the last page ended"),
        ("device" = Option<String>, Query, description = "Only those of this device", example = "mx1")),
    responses((status = 200, description = "A page", body = OperationListView), Problems))]
pub async fn list(
    State(app): State<App>,
    Context(context): Context,
    mut query: Query,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    negotiate::only(&headers, JSON)?;
    let request = ListOperations {
        page_size: query.number("page_size")?.unwrap_or(0),
        page_token: query.value("page_token")?,
        device: query.value("device")?,
    };
    query.finish()?;
    let page = app.gateway.list_operations(&context, request).await?;
    Ok(envelope::json(&OperationListView {
        operations: page.operations.into_iter().map(OperationView::from).collect(),
        next_page_token: page.next_page_token,
    }))
}

/// Look at an operation.
///
/// `wait_seconds` answers when it has ended, or after so long as it is then.
#[utoipa::path(get, path = "/v1/operations/{id}", operation_id = "getOperation", tag = "operations",
    params(("id" = String, Path, description = "The operation"),
        ("wait_seconds" = Option<u64>, Query, description = "How long to wait for its end", maximum = 60)),
    responses((status = 200, description = "The operation", body = OperationView), Problems))]
pub async fn get(
    State(app): State<App>,
    Context(context): Context,
    PathArgs(id): PathArgs<String>,
    mut query: Query,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    negotiate::only(&headers, JSON)?;
    let wait_seconds = query.number("wait_seconds")?.unwrap_or(0);
    query.finish()?;
    let operation = app.gateway.get_operation(&context, &id, wait_seconds).await?;
    Ok(envelope::json(&OperationView::from(operation)))
}
