//! `ConfigService`: configuration, read.

use tonic::{Request, Response, Status};

use super::stream::Messages;
use super::{Services, proto};

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
}
