//! Reads through both doors: RPCs in every notation, batches, commands, configuration.

use ncgate::api::grpc::proto;
use proto::config_service_client::ConfigServiceClient;
use proto::rpc_service_client::RpcServiceClient;
use reqwest::{Method, StatusCode};
use serde_json::{Map, Value, json};
use tonic::transport::Channel;

use super::TestGateway;
use super::doors::{Answered, Door, Refusal, With, refused, with_query};
use super::grpc;

impl TestGateway {
    fn rpcs(&self) -> RpcServiceClient<Channel> {
        RpcServiceClient::new(self.channel())
    }

    fn configs(&self) -> ConfigServiceClient<Channel> {
        ConfigServiceClient::new(self.channel())
    }

    /// One RPC as JSON.
    pub async fn rpc(&self, door: Door, device: &str, rpc: Value, with: With<'_>) -> Answered {
        self.any_rpc(door, device, Written::Json(rpc), with).await
    }

    /// One RPC as XML. REST takes its attributes in the query.
    pub async fn rpc_xml(&self, door: Door, device: &str, xml: &str, with: With<'_>) -> Answered {
        self.any_rpc(door, device, Written::Xml(xml.to_owned()), with)
            .await
    }

    async fn any_rpc(&self, door: Door, device: &str, rpc: Written, with: With<'_>) -> Answered {
        match door {
            Door::Rest => {
                let path = format!("/v1/devices/{device}/rpc");
                let path = match rpc {
                    Written::Json(_) => with.query(&path),
                    Written::Xml(_) => with.query_with_attributes(&path),
                };
                let request = self.request(Method::POST, &path);
                self.rest(match rpc {
                    Written::Json(rpc) => {
                        let attributes: Map<String, Value> = with
                            .attributes
                            .iter()
                            .map(|(name, value)| ((*name).to_owned(), json!(value)))
                            .collect();
                        request.json(&json!({"rpc": rpc, "attributes": attributes}))
                    }
                    Written::Xml(xml) => request.header("Content-Type", "application/xml").body(xml),
                })
                .await
            }
            Door::Grpc => {
                let request = proto::CallRpcRequest {
                    device: device.to_owned(),
                    rpc: Some(proto::Rpc {
                        body: Some(rpc.payload()),
                        attributes: grpc::attributes(with.attributes),
                    }),
                    output: Some(grpc::output(with.options)),
                    plan: with.plan,
                    ..Default::default()
                };
                let answer = self.rpcs().call_rpc(request).await.map_err(refused)?.into_inner();
                Ok(match answer.result.expect("a reply or a plan") {
                    proto::call_rpc_response::Result::Reply(reply) => grpc::envelope(reply),
                    proto::call_rpc_response::Result::Plan(plan) => grpc::plan(plan),
                    proto::call_rpc_response::Result::Operation(operation) => {
                        panic!("not asked for: {operation:?}")
                    }
                })
            }
        }
    }

    /// An RPC by its name, with arguments as a JSON object.
    pub async fn named(
        &self,
        door: Door,
        device: &str,
        name: &str,
        arguments: Value,
        with: With<'_>,
    ) -> Answered {
        let arguments = (!arguments.is_null()).then_some(Written::Json(arguments));
        self.any_named(door, device, name, arguments, with).await
    }

    /// An RPC by its name, with arguments as XML.
    pub async fn named_xml(
        &self,
        door: Door,
        device: &str,
        name: &str,
        xml: &str,
        with: With<'_>,
    ) -> Answered {
        let arguments = Some(Written::Xml(xml.to_owned()));
        self.any_named(door, device, name, arguments, with).await
    }

    async fn any_named(
        &self,
        door: Door,
        device: &str,
        name: &str,
        arguments: Option<Written>,
        with: With<'_>,
    ) -> Answered {
        match door {
            Door::Rest => {
                let path = with.query_with_attributes(&format!("/v1/devices/{device}/rpc/{name}"));
                let request = self.request(Method::POST, &path);
                self.rest(match arguments {
                    None => request,
                    Some(Written::Json(arguments)) => request.json(&arguments),
                    Some(Written::Xml(xml)) => request.header("Content-Type", "application/xml").body(xml),
                })
                .await
            }
            Door::Grpc => {
                let request = proto::CallNamedRpcRequest {
                    device: device.to_owned(),
                    rpc: Some(proto::NamedRpc {
                        name: name.to_owned(),
                        arguments: arguments.map(Written::payload),
                        attributes: grpc::attributes(with.attributes),
                    }),
                    output: Some(grpc::output(with.options)),
                    plan: with.plan,
                    ..Default::default()
                };
                let answer = self
                    .rpcs()
                    .call_named_rpc(request)
                    .await
                    .map_err(refused)?
                    .into_inner();
                Ok(match answer.result.expect("a reply or a plan") {
                    proto::call_named_rpc_response::Result::Reply(reply) => grpc::envelope(reply),
                    proto::call_named_rpc_response::Result::Plan(plan) => grpc::plan(plan),
                    proto::call_named_rpc_response::Result::Operation(operation) => {
                        panic!("not asked for: {operation:?}")
                    }
                })
            }
        }
    }

    /// An RPC by its name, by the method that is for reads only. Arguments without a value are empty elements.
    pub async fn read_rpc(
        &self,
        door: Door,
        device: &str,
        name: &str,
        arguments: &[(&str, Option<&str>)],
        with: With<'_>,
    ) -> Answered {
        match door {
            Door::Rest => {
                let pairs: Vec<String> = arguments
                    .iter()
                    .map(|(name, value)| match value {
                        None => (*name).to_owned(),
                        Some(value) => format!("{name}={}", value.replace('/', "%2F").replace('&', "%26")),
                    })
                    .chain(with.options.iter().map(|(name, value)| format!("{name}={value}")))
                    .collect();
                let path = format!("/v1/devices/{device}/rpc/{name}?{}", pairs.join("&"));
                self.rest(self.request(Method::GET, &path)).await
            }
            Door::Grpc => {
                let arguments: Map<String, Value> = arguments
                    .iter()
                    .map(|(name, value)| ((*name).to_owned(), json!(value)))
                    .collect();
                let request = proto::ReadNamedRpcRequest {
                    device: device.to_owned(),
                    rpc: Some(named(name, Value::Object(arguments))),
                    output: Some(grpc::output(with.options)),
                };
                let answer = self.rpcs().read_named_rpc(request).await.map_err(refused)?;
                Ok(grpc::envelope(answer.into_inner().reply.expect("a reply")))
            }
        }
    }

    /// A batch: the results, or why there are none.
    #[expect(
        clippy::result_large_err,
        reason = "a refusal is looked at once, and is what it is about"
    )]
    pub async fn batch(
        &self,
        door: Door,
        device: &str,
        rpcs: &[Value],
        on_error: &str,
        with: With<'_>,
    ) -> Result<Vec<Answered>, Refusal> {
        match door {
            Door::Rest => {
                let items: Vec<Value> = rpcs.iter().map(|rpc| json!({"rpc": rpc})).collect();
                let path = with.query(&format!("/v1/devices/{device}/rpc"));
                let request = self.request(Method::POST, &path);
                let body = json!({"rpcs": items, "on_error": on_error});
                let mut answer = self.rest(request.json(&body)).await?;
                let Value::Array(results) = answer["results"].take() else {
                    panic!("no results: {answer}")
                };
                Ok(results
                    .into_iter()
                    .map(|result| match result.get("code") {
                        None => Ok(result),
                        Some(_) => {
                            let status = result["status"]
                                .as_u64()
                                .and_then(|status| u16::try_from(status).ok());
                            let status = StatusCode::from_u16(status.expect("a status")).expect("a status");
                            Err(Refusal::of_problem(status, &result))
                        }
                    })
                    .collect())
            }
            Door::Grpc => {
                let on_error = match on_error {
                    "stop" => proto::OnError::Stop,
                    "continue" => proto::OnError::Continue,
                    other => panic!("{other}"),
                };
                let rpc = |rpc: &Value| proto::Rpc {
                    body: Some(Written::Json(rpc.clone()).payload()),
                    attributes: Vec::new(),
                };
                let request = proto::BatchRpcsRequest {
                    device: device.to_owned(),
                    rpcs: rpcs.iter().map(rpc).collect(),
                    on_error: on_error.into(),
                    output: Some(grpc::output(with.options)),
                };
                let answer = self
                    .rpcs()
                    .batch_rpcs(request)
                    .await
                    .map_err(refused)?
                    .into_inner();
                Ok(answer
                    .results
                    .into_iter()
                    .map(|result| match result.result.expect("a result") {
                        proto::batch_result::Result::Reply(reply) => Ok(grpc::envelope(reply)),
                        proto::batch_result::Result::Problem(problem) => {
                            Err(Refusal::of_batch_problem(problem))
                        }
                    })
                    .collect())
            }
        }
    }

    pub async fn cli(&self, door: Door, device: &str, command: &str, with: With<'_>) -> Answered {
        match door {
            Door::Rest => {
                let path = with.query(&format!("/v1/devices/{device}/cli"));
                let request = self.request(Method::POST, &path);
                self.rest(request.json(&json!({"command": command}))).await
            }
            Door::Grpc => {
                let request = proto::RunCliRequest {
                    device: device.to_owned(),
                    command: command.to_owned(),
                    output: Some(grpc::output(with.options)),
                    plan: with.plan,
                    ..Default::default()
                };
                let answer = self.rpcs().run_cli(request).await.map_err(refused)?.into_inner();
                Ok(match answer.result.expect("a reply or a plan") {
                    proto::run_cli_response::Result::Reply(reply) => grpc::envelope(reply),
                    proto::run_cli_response::Result::Plan(plan) => grpc::plan(plan),
                    proto::run_cli_response::Result::Operation(operation) => {
                        panic!("not asked for: {operation:?}")
                    }
                })
            }
        }
    }

    pub async fn cli_rpc(&self, door: Door, device: &str, command: &str) -> Answered {
        match door {
            Door::Rest => {
                let path = format!("/v1/devices/{device}/cli/rpc");
                let path = with_query(&path, &[("command", command)]);
                self.rest(self.request(Method::GET, &path)).await
            }
            Door::Grpc => {
                let request = proto::GetCliRpcRequest {
                    device: device.to_owned(),
                    command: command.to_owned(),
                };
                let answer = self
                    .rpcs()
                    .get_cli_rpc(request)
                    .await
                    .map_err(refused)?
                    .into_inner();
                let rpc: Value = serde_json::from_str(&answer.rpc_json).expect("JSON");
                Ok(json!({"command": answer.command, "rpc_xml": answer.rpc_xml, "rpc": rpc}))
            }
        }
    }

    /// Configuration; `options` are those of the query, output options included.
    pub async fn config(&self, door: Door, device: &str, options: &[(&str, &str)]) -> Answered {
        match door {
            Door::Rest => {
                let path = with_query(&format!("/v1/devices/{device}/config"), options);
                self.rest(self.request(Method::GET, &path)).await
            }
            Door::Grpc => {
                let (query, output) = grpc::config_query(options);
                let request = proto::GetConfigRequest {
                    device: device.to_owned(),
                    query: Some(query),
                    output: Some(output),
                };
                let answer = self.configs().get_config(request).await.map_err(refused)?;
                Ok(grpc::envelope(answer.into_inner().reply.expect("a reply")))
            }
        }
    }

    pub async fn compare(&self, door: Door, device: &str, from: &str, to: &str, with: With<'_>) -> Answered {
        match door {
            Door::Rest => {
                let path = format!("/v1/devices/{device}/config/compare");
                let path = with_query(&path, &[&[("from", from), ("to", to)], with.options].concat());
                self.rest(self.request(Method::GET, &path)).await
            }
            Door::Grpc => {
                let request = proto::CompareConfigRequest {
                    device: device.to_owned(),
                    from: from.to_owned(),
                    to: to.to_owned(),
                    output: Some(grpc::output(with.options)),
                };
                let answer = self.configs().compare_config(request).await.map_err(refused)?;
                Ok(grpc::envelope(answer.into_inner().reply.expect("a reply")))
            }
        }
    }
}

/// The streaming twin of [`TestGateway::named`], which REST has no need of.
impl TestGateway {
    /// Header, data put together, and the length of the longest chunk.
    pub async fn stream_named(&self, device: &str, name: &str) -> (Value, Value, usize) {
        use proto::stream_call_named_rpc_response::Part;
        let request = proto::StreamCallNamedRpcRequest {
            device: device.to_owned(),
            rpc: Some(named(name, Value::Null)),
            output: None,
        };
        let answer = self.rpcs().stream_call_named_rpc(request).await;
        let mut stream = answer.expect("a stream").into_inner();
        let mut header = None;
        let (mut data, mut largest) = (Vec::new(), 0);
        while let Some(message) = stream.message().await.expect("a message") {
            match message.part.expect("a part") {
                Part::Start(start) => {
                    assert_eq!(start.kind(), proto::PayloadKind::Json);
                    header = start.header.map(grpc::header_members);
                }
                Part::Chunk(chunk) => {
                    largest = largest.max(chunk.len());
                    data.extend_from_slice(&chunk);
                }
            }
        }
        let data = serde_json::from_slice(&data).expect("JSON");
        (Value::Object(header.expect("it comes first")), data, largest)
    }
}

enum Written {
    Json(Value),
    Xml(String),
}

impl Written {
    fn payload(self) -> proto::Payload {
        let content = match self {
            Self::Json(value) => proto::payload::Content::Json(value.to_string()),
            Self::Xml(xml) => proto::payload::Content::Xml(xml),
        };
        proto::Payload {
            content: Some(content),
        }
    }
}

fn named(name: &str, arguments: Value) -> proto::NamedRpc {
    proto::NamedRpc {
        name: name.to_owned(),
        arguments: (!arguments.is_null()).then(|| Written::Json(arguments).payload()),
        attributes: Vec::new(),
    }
}
