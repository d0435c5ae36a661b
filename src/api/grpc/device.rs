//! `DeviceService`: the inventory, and what a device says of itself.

use serde_json::{Map, Value};
use tonic::{Request, Response, Status};

use super::convert::some;
use super::stream::Messages;
use super::{Services, carried, context, device_json, edit, proto, view};
use crate::error::Error;
use crate::service::edit::request::{DiscardCandidateRequest, KillRequest};
use crate::service::edit::view::Planned;
use crate::service::request::{IfMatch, ListRequest};
use crate::service::view::DeviceView;

/// The names of the labels that a device has.
fn labels(device: &DeviceView) -> impl Iterator<Item = &String> {
    device
        .document
        .get("labels")
        .and_then(Value::as_object)
        .into_iter()
        .flat_map(Map::keys)
}

#[tonic::async_trait]
impl proto::device_service_server::DeviceService for Services {
    async fn create_device(
        &self,
        request: Request<proto::CreateDeviceRequest>,
    ) -> Result<Response<proto::CreateDeviceResponse>, Status> {
        context::call(
            &self.0,
            "DeviceService/CreateDevice",
            request,
            async |ctx, input| {
                let document = device_json::create(input.device)?;
                let device = self.0.gateway.create_device(&ctx, &document).await?;
                Ok(proto::CreateDeviceResponse {
                    device: Some(view::device(device)?),
                })
            },
        )
        .await
    }

    async fn list_devices(
        &self,
        request: Request<proto::ListDevicesRequest>,
    ) -> Result<Response<proto::ListDevicesResponse>, Status> {
        context::call(
            &self.0,
            "DeviceService/ListDevices",
            request,
            async |ctx, input| {
                let request = ListRequest {
                    page_size: input.page_size,
                    page_token: some(input.page_token),
                    labels: input.labels.into_iter().collect(),
                };
                let page = self.0.gateway.list_devices(&ctx, request).await?;
                Ok(proto::ListDevicesResponse {
                    devices: page
                        .devices
                        .into_iter()
                        .map(view::device)
                        .collect::<Result<_, _>>()?,
                    next_page_token: page.next_page_token.unwrap_or_default(),
                })
            },
        )
        .await
    }

    async fn get_device(
        &self,
        request: Request<proto::GetDeviceRequest>,
    ) -> Result<Response<proto::GetDeviceResponse>, Status> {
        context::call(&self.0, "DeviceService/GetDevice", request, async |ctx, input| {
            let device = self.0.gateway.get_device(&ctx, &input.device).await?;
            Ok(proto::GetDeviceResponse {
                device: Some(view::device(device)?),
            })
        })
        .await
    }

    async fn update_device(
        &self,
        request: Request<proto::UpdateDeviceRequest>,
    ) -> Result<Response<proto::UpdateDeviceResponse>, Status> {
        context::call(
            &self.0,
            "DeviceService/UpdateDevice",
            request,
            async |ctx, input| {
                let device = input
                    .device
                    .ok_or_else(|| Error::invalid("device", "is required"))?;
                let old = self.0.gateway.get_device(&ctx, &device.name).await?;
                let patch = device_json::patch(&device, input.update_mask, labels(&old))?;
                // The patch was made from the device as it was just read, so it must not meet another.
                let etag = some(input.etag).unwrap_or(old.etag);
                let device = self
                    .0
                    .gateway
                    .update_device(&ctx, &device.name, &patch, Some(IfMatch::one(&etag)))
                    .await?;
                Ok(proto::UpdateDeviceResponse {
                    device: Some(view::device(device)?),
                })
            },
        )
        .await
    }

    async fn delete_device(
        &self,
        request: Request<proto::DeleteDeviceRequest>,
    ) -> Result<Response<proto::DeleteDeviceResponse>, Status> {
        context::call(
            &self.0,
            "DeviceService/DeleteDevice",
            request,
            async |ctx, input| {
                self.0
                    .gateway
                    .delete_device(
                        &ctx,
                        &input.device,
                        some(input.etag).map(|etag| IfMatch::one(&etag)),
                    )
                    .await?;
                Ok(proto::DeleteDeviceResponse {})
            },
        )
        .await
    }

    async fn check_device(
        &self,
        request: Request<proto::CheckDeviceRequest>,
    ) -> Result<Response<proto::CheckDeviceResponse>, Status> {
        context::call(
            &self.0,
            "DeviceService/CheckDevice",
            request,
            async |ctx, input| {
                Ok(view::check(
                    self.0.gateway.check_device(&ctx, &input.device).await?,
                ))
            },
        )
        .await
    }

    async fn get_capabilities(
        &self,
        request: Request<proto::GetCapabilitiesRequest>,
    ) -> Result<Response<proto::GetCapabilitiesResponse>, Status> {
        context::call(
            &self.0,
            "DeviceService/GetCapabilities",
            request,
            async |ctx, input| {
                Ok(view::capabilities(
                    self.0.gateway.get_capabilities(&ctx, &input.device).await?,
                ))
            },
        )
        .await
    }

    async fn list_schemas(
        &self,
        request: Request<proto::ListSchemasRequest>,
    ) -> Result<Response<proto::ListSchemasResponse>, Status> {
        context::call(
            &self.0,
            "DeviceService/ListSchemas",
            request,
            async |ctx, input| {
                Ok(view::schemas(
                    self.0.gateway.list_schemas(&ctx, &input.device).await?,
                ))
            },
        )
        .await
    }

    async fn get_schema(
        &self,
        request: Request<proto::GetSchemaRequest>,
    ) -> Result<Response<proto::GetSchemaResponse>, Status> {
        self.reply("DeviceService/GetSchema", request, |reply| {
            proto::GetSchemaResponse { reply: Some(reply) }
        })
        .await
    }

    type StreamGetSchemaStream = Messages<proto::StreamGetSchemaResponse>;

    async fn stream_get_schema(
        &self,
        request: Request<proto::StreamGetSchemaRequest>,
    ) -> Result<Response<Self::StreamGetSchemaStream>, Status> {
        self.stream("DeviceService/StreamGetSchema", request).await
    }

    async fn list_sessions(
        &self,
        request: Request<proto::ListSessionsRequest>,
    ) -> Result<Response<proto::ListSessionsResponse>, Status> {
        context::call(
            &self.0,
            "DeviceService/ListSessions",
            request,
            async |ctx, input| {
                Ok(view::sessions(
                    self.0.gateway.list_sessions(&ctx, &input.device).await?,
                ))
            },
        )
        .await
    }

    async fn kill_session(
        &self,
        request: Request<proto::KillSessionRequest>,
    ) -> Result<Response<proto::KillSessionResponse>, Status> {
        use proto::kill_session_response::Result as Answer;
        let this = self.clone();
        carried::call(
            &self.0,
            "DeviceService/KillSession",
            request,
            async move |ctx, input| {
                let request = KillRequest {
                    reason: some(input.reason),
                    if_user: some(input.if_user),
                    if_idle_seconds_at_least: input.if_idle_seconds_at_least,
                    force: input.force,
                    plan: input.plan,
                };
                let planned = this
                    .0
                    .gateway
                    .kill_session(&ctx, &input.device, input.session_id, request)
                    .await?;
                let result = match planned {
                    Planned::Done(killed) => Answer::Killed(edit::killed(killed)),
                    Planned::Plan(plan) => Answer::Plan(edit::plan(plan)),
                };
                Ok(proto::KillSessionResponse { result: Some(result) })
            },
        )
        .await
    }

    async fn list_locks(
        &self,
        request: Request<proto::ListLocksRequest>,
    ) -> Result<Response<proto::ListLocksResponse>, Status> {
        context::call(&self.0, "DeviceService/ListLocks", request, async |ctx, input| {
            let list = self.0.gateway.list_locks(&ctx, &input.device).await?;
            Ok(proto::ListLocksResponse {
                locks: list.locks.into_iter().map(edit::lock).collect(),
                device_reports: list.device_reports,
            })
        })
        .await
    }

    async fn discard_candidate(
        &self,
        request: Request<proto::DiscardCandidateRequest>,
    ) -> Result<Response<proto::DiscardCandidateResponse>, Status> {
        use proto::discard_candidate_response::Result as Answer;
        let this = self.clone();
        carried::call(
            &self.0,
            "DeviceService/DiscardCandidate",
            request,
            async move |ctx, input| {
                let request = DiscardCandidateRequest {
                    expect_diff_sha256: input.expect_diff_sha256,
                    plan: input.plan,
                };
                let planned = this
                    .0
                    .gateway
                    .discard_candidate(&ctx, &input.device, request)
                    .await?;
                let result = match planned {
                    Planned::Done(discarded) => Answer::Candidate(edit::discarded(discarded)),
                    Planned::Plan(plan) => Answer::Plan(edit::plan(plan)),
                };
                Ok(proto::DiscardCandidateResponse { result: Some(result) })
            },
        )
        .await
    }
}
