//! The inventory and what a device says of itself, through both doors.

use ncgate::api::grpc::proto;
use proto::device_service_client::DeviceServiceClient;
use reqwest::Method;
use serde_json::Value;
use tonic::transport::Channel;

use super::doors::{Answered, Door, Refusal, refused, with_query};
use super::{TestGateway, grpc};

impl TestGateway {
    fn devices(&self) -> DeviceServiceClient<Channel> {
        DeviceServiceClient::new(self.channel())
    }

    pub async fn check(&self, door: Door, device: &str) -> Answered {
        match door {
            Door::Rest => {
                let path = format!("/v1/devices/{device}/check");
                self.rest(self.request(Method::POST, &path)).await
            }
            Door::Grpc => {
                let request = proto::CheckDeviceRequest {
                    device: device.to_owned(),
                };
                let report = self.devices().check_device(request).await.map_err(refused)?;
                Ok(grpc::check(report.into_inner()))
            }
        }
    }

    pub async fn capabilities(&self, door: Door, device: &str) -> Answered {
        match door {
            Door::Rest => {
                let path = format!("/v1/devices/{device}/capabilities");
                self.rest(self.request(Method::GET, &path)).await
            }
            Door::Grpc => {
                let request = proto::GetCapabilitiesRequest {
                    device: device.to_owned(),
                };
                let answer = self.devices().get_capabilities(request).await.map_err(refused)?;
                Ok(grpc::capabilities(answer.into_inner()))
            }
        }
    }

    pub async fn schemas(&self, door: Door, device: &str) -> Answered {
        match door {
            Door::Rest => {
                let path = format!("/v1/devices/{device}/schemas");
                self.rest(self.request(Method::GET, &path)).await
            }
            Door::Grpc => {
                let request = proto::ListSchemasRequest {
                    device: device.to_owned(),
                };
                let answer = self.devices().list_schemas(request).await.map_err(refused)?;
                Ok(grpc::schemas(answer.into_inner()))
            }
        }
    }

    pub async fn schema(&self, door: Door, device: &str, name: &str, version: &str) -> Answered {
        match door {
            Door::Rest => {
                let path = format!("/v1/devices/{device}/schemas/{name}");
                let path = if version.is_empty() {
                    path
                } else {
                    with_query(&path, &[("version", version)])
                };
                self.rest(self.request(Method::GET, &path)).await
            }
            Door::Grpc => {
                let request = proto::GetSchemaRequest {
                    device: device.to_owned(),
                    name: name.to_owned(),
                    version: version.to_owned(),
                    format: String::new(),
                };
                let answer = self.devices().get_schema(request).await.map_err(refused)?;
                Ok(grpc::envelope(answer.into_inner().reply.expect("a reply")))
            }
        }
    }

    pub async fn sessions(&self, door: Door, device: &str) -> Answered {
        match door {
            Door::Rest => {
                let path = format!("/v1/devices/{device}/sessions");
                self.rest(self.request(Method::GET, &path)).await
            }
            Door::Grpc => {
                let request = proto::ListSessionsRequest {
                    device: device.to_owned(),
                };
                let answer = self.devices().list_sessions(request).await.map_err(refused)?;
                Ok(grpc::sessions(answer.into_inner()))
            }
        }
    }

    /// Adds a device from its JSON document.
    pub async fn create(&self, door: Door, device: &Value) -> Answered {
        match door {
            Door::Rest => {
                self.rest(self.request(Method::POST, "/v1/devices").json(device))
                    .await
            }
            Door::Grpc => {
                let request = proto::CreateDeviceRequest {
                    device: Some(grpc::device_message(device)),
                };
                let answer = self.devices().create_device(request).await.map_err(refused)?;
                Ok(grpc::device(answer.into_inner().device.expect("a device")))
            }
        }
    }

    pub async fn device(&self, door: Door, name: &str) -> Answered {
        match door {
            Door::Rest => {
                self.rest(self.request(Method::GET, &format!("/v1/devices/{name}")))
                    .await
            }
            Door::Grpc => {
                let request = proto::GetDeviceRequest {
                    device: name.to_owned(),
                };
                let answer = self.devices().get_device(request).await.map_err(refused)?;
                Ok(grpc::device(answer.into_inner().device.expect("a device")))
            }
        }
    }

    /// One page of the list; `options` are `page_size`, `page_token` and `label`.
    pub async fn list(&self, door: Door, options: &[(&str, &str)]) -> Answered {
        match door {
            Door::Rest => {
                let path = with_query("/v1/devices", options);
                self.rest(self.request(Method::GET, &path)).await
            }
            Door::Grpc => {
                let mut request = proto::ListDevicesRequest::default();
                for (name, value) in options {
                    match *name {
                        "page_size" => request.page_size = value.parse().expect("a number"),
                        "page_token" => request.page_token = (*value).to_owned(),
                        "label" => {
                            let (key, value) = value.split_once('=').expect("key=value");
                            request.labels.insert(key.to_owned(), value.to_owned());
                        }
                        other => panic!("{other}"),
                    }
                }
                let answer = self.devices().list_devices(request).await.map_err(refused)?;
                Ok(grpc::devices(answer.into_inner()))
            }
        }
    }

    /// Changes a device by a merge patch; in gRPC the mask names what the patch holds.
    pub async fn update(&self, door: Door, name: &str, patch: &Value, etag: &str) -> Answered {
        match door {
            Door::Rest => {
                let request = self
                    .request(Method::PATCH, &format!("/v1/devices/{name}"))
                    .header("Content-Type", "application/merge-patch+json")
                    .body(patch.to_string());
                self.rest(if etag.is_empty() {
                    request
                } else {
                    request.header("If-Match", etag)
                })
                .await
            }
            Door::Grpc => {
                let mut device = grpc::device_message(patch);
                device.name = name.to_owned();
                let request = proto::UpdateDeviceRequest {
                    device: Some(device),
                    update_mask: Some(prost_types::FieldMask {
                        paths: grpc::paths(patch),
                    }),
                    etag: etag.to_owned(),
                };
                let answer = self.devices().update_device(request).await.map_err(refused)?;
                Ok(grpc::device(answer.into_inner().device.expect("a device")))
            }
        }
    }

    pub async fn delete(&self, door: Door, name: &str, etag: &str) -> Result<(), Refusal> {
        match door {
            Door::Rest => {
                let request = self.request(Method::DELETE, &format!("/v1/devices/{name}"));
                let request = if etag.is_empty() {
                    request
                } else {
                    request.header("If-Match", etag)
                };
                self.rest(request).await.map(|_| ())
            }
            Door::Grpc => {
                let request = proto::DeleteDeviceRequest {
                    device: name.to_owned(),
                    etag: etag.to_owned(),
                };
                self.devices().delete_device(request).await.map_err(refused)?;
                Ok(())
            }
        }
    }
}
