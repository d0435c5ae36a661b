//! `ConfigService`: configuration, read.

use tonic::{Request, Response, Status};

use super::stream::{self, Messages};
use super::{Services, context, convert, proto};

#[tonic::async_trait]
impl proto::config_service_server::ConfigService for Services {
    async fn get_config(
        &self,
        request: Request<proto::GetConfigRequest>,
    ) -> Result<Response<proto::GetConfigResponse>, Status> {
        context::call(&self.0, "ConfigService/GetConfig", request, async |ctx, input| {
            let request = convert::get_config(input.query, input.output)?;
            let reply = self.0.gateway.get_config(&ctx, &input.device, request).await?;
            Ok(proto::GetConfigResponse { reply: Some(stream::whole(reply, &ctx.request_id).await?) })
        })
        .await
    }

    type StreamGetConfigStream = Messages<proto::StreamGetConfigResponse>;

    async fn stream_get_config(
        &self,
        request: Request<proto::StreamGetConfigRequest>,
    ) -> Result<Response<Self::StreamGetConfigStream>, Status> {
        context::call(&self.0, "ConfigService/StreamGetConfig", request, async |ctx, input| {
            let request = convert::get_config(input.query, input.output)?;
            let reply = self.0.gateway.get_config(&ctx, &input.device, request).await?;
            Ok(stream::chunks(&self.0, reply, &ctx.request_id))
        })
        .await
    }

    async fn compare_config(
        &self,
        request: Request<proto::CompareConfigRequest>,
    ) -> Result<Response<proto::CompareConfigResponse>, Status> {
        context::call(&self.0, "ConfigService/CompareConfig", request, async |ctx, input| {
            let request = convert::compare(input.from, input.to, input.output)?;
            let reply = self.0.gateway.compare_config(&ctx, &input.device, request).await?;
            Ok(proto::CompareConfigResponse { reply: Some(stream::whole(reply, &ctx.request_id).await?) })
        })
        .await
    }

    type StreamCompareConfigStream = Messages<proto::StreamCompareConfigResponse>;

    async fn stream_compare_config(
        &self,
        request: Request<proto::StreamCompareConfigRequest>,
    ) -> Result<Response<Self::StreamCompareConfigStream>, Status> {
        context::call(&self.0, "ConfigService/StreamCompareConfig", request, async |ctx, input| {
            let request = convert::compare(input.from, input.to, input.output)?;
            let reply = self.0.gateway.compare_config(&ctx, &input.device, request).await?;
            Ok(stream::chunks(&self.0, reply, &ctx.request_id))
        })
        .await
    }
}
