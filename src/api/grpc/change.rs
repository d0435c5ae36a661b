//! `ChangeService`: the nine steps in one call.

use tonic::{Request, Response, Status};

use super::convert::some;
use super::{Services, carried, context, edit, proto};
use crate::service::edit::request::ListChanges;
use crate::service::edit::view::Planned;

#[tonic::async_trait]
impl proto::change_service_server::ChangeService for Services {
    async fn create_change(
        &self,
        request: Request<proto::CreateChangeRequest>,
    ) -> Result<Response<proto::CreateChangeResponse>, Status> {
        use proto::create_change_response::Result as Answer;
        let this = self.clone();
        carried::call(
            &self.0,
            "ChangeService/CreateChange",
            request,
            async move |ctx, input| {
                let device = input.device.clone();
                let request = edit::change(input)?;
                let result = match this.0.gateway.create_change(&ctx, &device, request).await? {
                    Planned::Done(change) => Answer::Change(edit::change_view(change)),
                    Planned::Plan(plan) => Answer::Plan(edit::plan(plan)),
                };
                Ok(proto::CreateChangeResponse { result: Some(result) })
            },
        )
        .await
    }

    async fn list_changes(
        &self,
        request: Request<proto::ListChangesRequest>,
    ) -> Result<Response<proto::ListChangesResponse>, Status> {
        context::call(
            &self.0,
            "ChangeService/ListChanges",
            request,
            async |ctx, input| {
                let request = ListChanges {
                    page_size: input.page_size,
                    page_token: some(input.page_token),
                    state: some(input.state),
                };
                let page = self.0.gateway.list_changes(&ctx, &input.device, request).await?;
                Ok(proto::ListChangesResponse {
                    changes: page.changes.into_iter().map(edit::change_view).collect(),
                    next_page_token: page.next_page_token.unwrap_or_default(),
                })
            },
        )
        .await
    }

    async fn get_change(
        &self,
        request: Request<proto::GetChangeRequest>,
    ) -> Result<Response<proto::GetChangeResponse>, Status> {
        context::call(&self.0, "ChangeService/GetChange", request, async |ctx, input| {
            let change = self.0.gateway.get_change(&ctx, &input.device, &input.id).await?;
            Ok(proto::GetChangeResponse {
                change: Some(edit::change_view(change)),
            })
        })
        .await
    }

    async fn cancel_change(
        &self,
        request: Request<proto::CancelChangeRequest>,
    ) -> Result<Response<proto::CancelChangeResponse>, Status> {
        use proto::cancel_change_response::Result as Answer;
        let this = self.clone();
        carried::call(
            &self.0,
            "ChangeService/CancelChange",
            request,
            async move |ctx, input| {
                let planned = this
                    .0
                    .gateway
                    .cancel_change(&ctx, &input.device, &input.id, input.plan)
                    .await?;
                let result = match planned {
                    Planned::Done(change) => Answer::Change(edit::change_view(change)),
                    Planned::Plan(plan) => Answer::Plan(edit::plan(plan)),
                };
                Ok(proto::CancelChangeResponse { result: Some(result) })
            },
        )
        .await
    }
}
