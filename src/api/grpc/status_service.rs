//! `StatusService`: the gateway itself.

use tonic::{Request, Response, Status};

use super::{Services, context, proto};

#[tonic::async_trait]
impl proto::status_service_server::StatusService for Services {
    async fn get_status(
        &self,
        request: Request<proto::GetStatusRequest>,
    ) -> Result<Response<proto::GetStatusResponse>, Status> {
        context::call(&self.0, "StatusService/GetStatus", request, async |ctx, _| {
            let status = self.0.gateway.get_status(&ctx).await?;
            Ok(proto::GetStatusResponse {
                name: status.version.name,
                version: status.version.version,
                uptime_seconds: status.uptime_seconds,
                draining: status.draining,
                devices: status.devices,
                sessions: status.sessions,
                queued: status.queued,
                device_states: status.device_states.into_iter().collect(),
            })
        })
        .await
    }

    async fn get_version(
        &self,
        request: Request<proto::GetVersionRequest>,
    ) -> Result<Response<proto::GetVersionResponse>, Status> {
        context::call(&self.0, "StatusService/GetVersion", request, async |ctx, _| {
            let version = self.0.gateway.get_version(&ctx).await?;
            Ok(proto::GetVersionResponse { name: version.name, version: version.version, hints: version.hints })
        })
        .await
    }
}
