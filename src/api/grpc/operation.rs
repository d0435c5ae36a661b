//! `OperationService`: what became of every call that can change a device.

use tonic::{Request, Response, Status};

use super::convert::some;
use super::{Services, context, fields, proto};
use crate::api::status;
use crate::error::Error;
use crate::service::edit::view::RpcErrorView;
use crate::service::operations::{ListOperations, Operation};

/// An operation as a message.
pub fn message(operation: Operation) -> proto::Operation {
    let progress = operation.progress.as_ref();
    proto::Operation {
        metadata: Some(proto::OperationMetadata {
            phase: operation.phase,
            steps: progress.map(|progress| progress.steps),
            step: progress.and_then(|progress| progress.step.clone()),
            is_change: operation.is_change,
            omitted_bytes: operation.omitted_bytes,
            resource: operation.resource,
        }),
        id: operation.id,
        kind: operation.kind,
        device: operation.device,
        owner: operation.owner,
        state: operation.state.as_str().to_owned(),
        done: operation.done,
        outcome: operation.outcome,
        create_time: operation.create_time,
        update_time: operation.update_time,
        error: operation.failure.as_ref().map(failure),
        response_json: operation.response,
    }
}

fn failure(error: &Error) -> proto::OperationError {
    let rpc_errors = error.rpc_errors().iter();
    let json = |error| serde_json::to_string(&RpcErrorView::from(error)).unwrap_or_default();
    proto::OperationError {
        status: i32::from(status::of(error).grpc),
        code: error.code().as_str().to_owned(),
        detail: error.headline(fields::words).into_owned(),
        outcome: error.outcome().as_str().to_owned(),
        retryable: error.retryable(),
        step: error.step().map(str::to_owned),
        reason: error.reason().map(str::to_owned),
        hint: error.hint().map(str::to_owned),
        rpc_errors_json: rpc_errors.map(json).collect(),
    }
}

#[tonic::async_trait]
impl proto::operation_service_server::OperationService for Services {
    async fn list_operations(
        &self,
        request: Request<proto::ListOperationsRequest>,
    ) -> Result<Response<proto::ListOperationsResponse>, Status> {
        let method = "OperationService/ListOperations";
        context::call(&self.0, method, request, async |ctx, input| {
            let request = ListOperations {
                page_size: input.page_size,
                page_token: some(input.page_token),
                device: some(input.device),
            };
            let page = self.0.gateway.list_operations(&ctx, request).await?;
            Ok(proto::ListOperationsResponse {
                operations: page.operations.into_iter().map(message).collect(),
                next_page_token: page.next_page_token.unwrap_or_default(),
            })
        })
        .await
    }

    async fn get_operation(
        &self,
        request: Request<proto::GetOperationRequest>,
    ) -> Result<Response<proto::GetOperationResponse>, Status> {
        let method = "OperationService/GetOperation";
        context::call(&self.0, method, request, async |ctx, input| {
            let gateway = &self.0.gateway;
            let operation = gateway.get_operation(&ctx, &input.id, input.wait_seconds).await?;
            Ok(proto::GetOperationResponse {
                operation: Some(message(operation)),
            })
        })
        .await
    }
}
