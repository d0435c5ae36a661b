//! `ConfigService`: configuration, read; and whole configurations.

use tonic::{Request, Response, Status};

use super::stream::{self, Messages};
use super::{Services, carried, convert, edit, proto};
use crate::netconf::datastore::Datastore;
use crate::service::edit::request::{
    CopyConfigRequest, DeleteConfigRequest, Endpoint, SaveRescueRequest, ValidateConfigRequest,
};
use crate::service::reply::RpcAnswer;

#[tonic::async_trait]
impl proto::config_service_server::ConfigService for Services {
    async fn get_config(
        &self,
        request: Request<proto::GetConfigRequest>,
    ) -> Result<Response<proto::GetConfigResponse>, Status> {
        self.reply("ConfigService/GetConfig", request, |reply| {
            proto::GetConfigResponse { reply: Some(reply) }
        })
        .await
    }

    type StreamGetConfigStream = Messages<proto::StreamGetConfigResponse>;

    async fn stream_get_config(
        &self,
        request: Request<proto::StreamGetConfigRequest>,
    ) -> Result<Response<Self::StreamGetConfigStream>, Status> {
        self.stream("ConfigService/StreamGetConfig", request).await
    }

    async fn compare_config(
        &self,
        request: Request<proto::CompareConfigRequest>,
    ) -> Result<Response<proto::CompareConfigResponse>, Status> {
        self.reply("ConfigService/CompareConfig", request, |reply| {
            proto::CompareConfigResponse { reply: Some(reply) }
        })
        .await
    }

    type StreamCompareConfigStream = Messages<proto::StreamCompareConfigResponse>;

    async fn stream_compare_config(
        &self,
        request: Request<proto::StreamCompareConfigRequest>,
    ) -> Result<Response<Self::StreamCompareConfigStream>, Status> {
        self.stream("ConfigService/StreamCompareConfig", request).await
    }

    async fn copy_config(
        &self,
        request: Request<proto::CopyConfigRequest>,
    ) -> Result<Response<proto::CopyConfigResponse>, Status> {
        use proto::copy_config_response::Result as Answer;
        let this = self.clone();
        carried::call(
            &self.0,
            "ConfigService/CopyConfig",
            request,
            async move |ctx, input| {
                let request = CopyConfigRequest {
                    source: edit::required_endpoint("source", input.source)?,
                    target: edit::required_endpoint("target", input.target)?,
                    discard_others: input.discard_others,
                    output: convert::output(input.output)?,
                    plan: input.plan,
                };
                let result = match this.0.gateway.copy_config(&ctx, &input.device, request).await? {
                    RpcAnswer::Reply(reply) => Answer::Reply(stream::answered(reply, &ctx).await?),
                    RpcAnswer::Plan(plan) => Answer::Plan(edit::plan(plan)),
                };
                Ok(proto::CopyConfigResponse { result: Some(result) })
            },
        )
        .await
    }

    async fn delete_config(
        &self,
        request: Request<proto::DeleteConfigRequest>,
    ) -> Result<Response<proto::DeleteConfigResponse>, Status> {
        use proto::delete_config_response::Result as Answer;
        let this = self.clone();
        carried::call(
            &self.0,
            "ConfigService/DeleteConfig",
            request,
            async move |ctx, input| {
                let request = DeleteConfigRequest {
                    target: edit::required_endpoint("target", input.target)?,
                    discard_others: input.discard_others,
                    output: convert::output(input.output)?,
                    plan: input.plan,
                };
                let result = match this.0.gateway.delete_config(&ctx, &input.device, request).await? {
                    RpcAnswer::Reply(reply) => Answer::Reply(stream::answered(reply, &ctx).await?),
                    RpcAnswer::Plan(plan) => Answer::Plan(edit::plan(plan)),
                };
                Ok(proto::DeleteConfigResponse { result: Some(result) })
            },
        )
        .await
    }

    async fn validate_config(
        &self,
        request: Request<proto::ValidateConfigRequest>,
    ) -> Result<Response<proto::ValidateConfigResponse>, Status> {
        use proto::validate_config_response::Result as Answer;
        let this = self.clone();
        carried::call(
            &self.0,
            "ConfigService/ValidateConfig",
            request,
            async move |ctx, input| {
                let request = ValidateConfigRequest {
                    source: edit::endpoint("source", input.source)?
                        .unwrap_or(Endpoint::Datastore(Datastore::Candidate)),
                    confirm_others: input.confirm_others,
                    output: convert::output(input.output)?,
                    plan: input.plan,
                };
                let result = match this
                    .0
                    .gateway
                    .validate_config(&ctx, &input.device, request)
                    .await?
                {
                    RpcAnswer::Reply(reply) => Answer::Reply(stream::answered(reply, &ctx).await?),
                    RpcAnswer::Plan(plan) => Answer::Plan(edit::plan(plan)),
                };
                Ok(proto::ValidateConfigResponse { result: Some(result) })
            },
        )
        .await
    }

    async fn save_rescue_config(
        &self,
        request: Request<proto::SaveRescueConfigRequest>,
    ) -> Result<Response<proto::SaveRescueConfigResponse>, Status> {
        use proto::save_rescue_config_response::Result as Answer;
        let this = self.clone();
        carried::call(
            &self.0,
            "ConfigService/SaveRescueConfig",
            request,
            async move |ctx, input| {
                let request = SaveRescueRequest {
                    output: convert::output(input.output)?,
                    plan: input.plan,
                };
                let result = match this
                    .0
                    .gateway
                    .save_rescue_config(&ctx, &input.device, request)
                    .await?
                {
                    RpcAnswer::Reply(reply) => Answer::Reply(stream::answered(reply, &ctx).await?),
                    RpcAnswer::Plan(plan) => Answer::Plan(edit::plan(plan)),
                };
                Ok(proto::SaveRescueConfigResponse { result: Some(result) })
            },
        )
        .await
    }
}
