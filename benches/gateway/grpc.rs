//! The same read through gRPC.

use ncgate::api::grpc::proto::config_service_client::ConfigServiceClient;
use ncgate::api::grpc::proto::{ConfigProtocol, ConfigQuery, GetConfigRequest, Payload, payload::Content};
use tonic::transport::{Channel, Endpoint};

use crate::Fault;
use crate::rest::{FILTER, Reader};

/// One connection, one call at a time, with the generated client.
pub struct Grpc {
    client: ConfigServiceClient<Channel>,
    request: GetConfigRequest,
}

impl Grpc {
    pub async fn connect(address: &str) -> Result<Self, Fault> {
        let channel = Endpoint::from_shared(format!("http://{address}"))?
            .connect()
            .await?;
        let filter = Payload {
            content: Some(Content::Xml(FILTER.to_owned())),
        };
        let query = ConfigQuery {
            filter: Some(filter),
            protocol: ConfigProtocol::Rfc.into(),
            ..ConfigQuery::default()
        };
        Ok(Self {
            client: ConfigServiceClient::new(channel),
            request: GetConfigRequest {
                device: "fake".to_owned(),
                query: Some(query),
                output: None,
            },
        })
    }
}

impl Reader for Grpc {
    async fn read(&mut self) -> Result<(), Fault> {
        let response = self.client.get_config(self.request.clone()).await?.into_inner();
        let data = response.reply.and_then(|reply| reply.data);
        match data.and_then(|data| data.content) {
            Some(Content::Json(json)) if json.contains("host-name") => Ok(()),
            other => Err(format!("not the configuration as JSON: {other:?}").into()),
        }
    }
}
