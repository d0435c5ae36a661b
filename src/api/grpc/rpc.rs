//! `RpcService`: RPCs whole or by name, batches and CLI text.

use tonic::{Request, Response, Status};

use super::stream::{self, Messages};
use super::{Services, context, convert, proto};
use crate::error::Error;
use crate::service::call::CallContext;
use crate::service::reply::{Reply, RpcAnswer};
use crate::service::request::{BatchRequest, CliRequest, OutputOptions, RpcBody, RpcRequest};
use crate::service::view::Plan;

/// What one RPC of this service asks for, before it is sent.
struct Asked {
    rpc: (RpcBody, Vec<(String, String)>),
    output: OutputOptions,
    safe_only: bool,
    plan: bool,
}

impl Services {
    async fn ask(&self, ctx: &CallContext, device: &str, asked: Asked) -> Result<RpcAnswer, Error> {
        let Asked { rpc: (rpc, attributes), output, safe_only, plan } = asked;
        let request = RpcRequest { rpc, attributes, output, safe_only, plan };
        self.0.gateway.call_rpc(ctx, device, request).await
    }

    async fn run(
        &self,
        ctx: &CallContext,
        device: &str,
        command: String,
        output: Option<proto::OutputOptions>,
        plan: bool,
    ) -> Result<RpcAnswer, Error> {
        let request = CliRequest { command, output: convert::output(output)?, plan };
        self.0.gateway.run_cli(ctx, device, request).await
    }

    async fn batch(
        &self,
        ctx: &CallContext,
        device: &str,
        rpcs: Vec<proto::Rpc>,
        on_error: i32,
        output: Option<proto::OutputOptions>,
    ) -> Result<Vec<Result<Reply, Error>>, Error> {
        let request = BatchRequest {
            rpcs: convert::batch(rpcs)?,
            on_error: convert::on_error(on_error)?,
            output: convert::output(output)?,
        };
        self.0.gateway.batch_rpcs(ctx, device, request).await
    }
}

/// What was asked for without `plan`.
fn reply(answer: RpcAnswer) -> Result<Reply, Error> {
    match answer {
        RpcAnswer::Reply(reply) => Ok(reply),
        RpcAnswer::Plan(plan) => Err(Error::invalid("/plan", "a plan is no stream").with_device(plan.device)),
    }
}

fn plan(plan: Plan) -> proto::Plan {
    proto::Plan { device: plan.device, rpcs: plan.rpcs }
}

#[tonic::async_trait]
impl proto::rpc_service_server::RpcService for Services {
    async fn call_rpc(
        &self,
        request: Request<proto::CallRpcRequest>,
    ) -> Result<Response<proto::CallRpcResponse>, Status> {
        use proto::call_rpc_response::Result as Answer;
        context::call(&self.0, "RpcService/CallRpc", request, async |ctx, input| {
            let asked = Asked {
                rpc: convert::rpc("/rpc", input.rpc)?,
                output: convert::output(input.output)?,
                safe_only: false,
                plan: input.plan,
            };
            let result = match self.ask(&ctx, &input.device, asked).await? {
                RpcAnswer::Reply(reply) => Answer::Reply(stream::whole(reply, &ctx.request_id).await?),
                RpcAnswer::Plan(planned) => Answer::Plan(plan(planned)),
            };
            Ok(proto::CallRpcResponse { result: Some(result) })
        })
        .await
    }

    type StreamCallRpcStream = Messages<proto::StreamCallRpcResponse>;

    async fn stream_call_rpc(
        &self,
        request: Request<proto::StreamCallRpcRequest>,
    ) -> Result<Response<Self::StreamCallRpcStream>, Status> {
        context::call(&self.0, "RpcService/StreamCallRpc", request, async |ctx, input| {
            let asked = Asked {
                rpc: convert::rpc("/rpc", input.rpc)?,
                output: convert::output(input.output)?,
                safe_only: false,
                plan: false,
            };
            let reply = reply(self.ask(&ctx, &input.device, asked).await?)?;
            Ok(stream::chunks(&self.0, reply, &ctx.request_id))
        })
        .await
    }

    async fn call_named_rpc(
        &self,
        request: Request<proto::CallNamedRpcRequest>,
    ) -> Result<Response<proto::CallNamedRpcResponse>, Status> {
        use proto::call_named_rpc_response::Result as Answer;
        context::call(&self.0, "RpcService/CallNamedRpc", request, async |ctx, input| {
            let asked = Asked {
                rpc: convert::named_rpc(input.rpc)?,
                output: convert::output(input.output)?,
                safe_only: false,
                plan: input.plan,
            };
            let result = match self.ask(&ctx, &input.device, asked).await? {
                RpcAnswer::Reply(reply) => Answer::Reply(stream::whole(reply, &ctx.request_id).await?),
                RpcAnswer::Plan(planned) => Answer::Plan(plan(planned)),
            };
            Ok(proto::CallNamedRpcResponse { result: Some(result) })
        })
        .await
    }

    type StreamCallNamedRpcStream = Messages<proto::StreamCallNamedRpcResponse>;

    async fn stream_call_named_rpc(
        &self,
        request: Request<proto::StreamCallNamedRpcRequest>,
    ) -> Result<Response<Self::StreamCallNamedRpcStream>, Status> {
        context::call(&self.0, "RpcService/StreamCallNamedRpc", request, async |ctx, input| {
            let asked = Asked {
                rpc: convert::named_rpc(input.rpc)?,
                output: convert::output(input.output)?,
                safe_only: false,
                plan: false,
            };
            let reply = reply(self.ask(&ctx, &input.device, asked).await?)?;
            Ok(stream::chunks(&self.0, reply, &ctx.request_id))
        })
        .await
    }

    async fn read_named_rpc(
        &self,
        request: Request<proto::ReadNamedRpcRequest>,
    ) -> Result<Response<proto::ReadNamedRpcResponse>, Status> {
        context::call(&self.0, "RpcService/ReadNamedRpc", request, async |ctx, input| {
            let asked = Asked {
                rpc: convert::named_rpc(input.rpc)?,
                output: convert::output(input.output)?,
                safe_only: true,
                plan: false,
            };
            let reply = reply(self.ask(&ctx, &input.device, asked).await?)?;
            Ok(proto::ReadNamedRpcResponse { reply: Some(stream::whole(reply, &ctx.request_id).await?) })
        })
        .await
    }

    type StreamReadNamedRpcStream = Messages<proto::StreamReadNamedRpcResponse>;

    async fn stream_read_named_rpc(
        &self,
        request: Request<proto::StreamReadNamedRpcRequest>,
    ) -> Result<Response<Self::StreamReadNamedRpcStream>, Status> {
        context::call(&self.0, "RpcService/StreamReadNamedRpc", request, async |ctx, input| {
            let asked = Asked {
                rpc: convert::named_rpc(input.rpc)?,
                output: convert::output(input.output)?,
                safe_only: true,
                plan: false,
            };
            let reply = reply(self.ask(&ctx, &input.device, asked).await?)?;
            Ok(stream::chunks(&self.0, reply, &ctx.request_id))
        })
        .await
    }

    async fn batch_rpcs(
        &self,
        request: Request<proto::BatchRpcsRequest>,
    ) -> Result<Response<proto::BatchRpcsResponse>, Status> {
        context::call(&self.0, "RpcService/BatchRpcs", request, async |ctx, input| {
            let proto::BatchRpcsRequest { device, rpcs, on_error, output } = input;
            let results = self.batch(&ctx, &device, rpcs, on_error, output).await?;
            stream::whole_batch(results, &ctx.request_id).await
        })
        .await
    }

    type StreamBatchRpcsStream = Messages<proto::StreamBatchRpcsResponse>;

    async fn stream_batch_rpcs(
        &self,
        request: Request<proto::StreamBatchRpcsRequest>,
    ) -> Result<Response<Self::StreamBatchRpcsStream>, Status> {
        context::call(&self.0, "RpcService/StreamBatchRpcs", request, async |ctx, input| {
            let proto::StreamBatchRpcsRequest { device, rpcs, on_error, output } = input;
            let results = self.batch(&ctx, &device, rpcs, on_error, output).await?;
            Ok(stream::batch(&self.0, results, &ctx.request_id))
        })
        .await
    }

    async fn run_cli(
        &self,
        request: Request<proto::RunCliRequest>,
    ) -> Result<Response<proto::RunCliResponse>, Status> {
        use proto::run_cli_response::Result as Answer;
        context::call(&self.0, "RpcService/RunCli", request, async |ctx, input| {
            let proto::RunCliRequest { device, command, output, plan: planned } = input;
            let result = match self.run(&ctx, &device, command, output, planned).await? {
                RpcAnswer::Reply(reply) => Answer::Reply(stream::whole(reply, &ctx.request_id).await?),
                RpcAnswer::Plan(planned) => Answer::Plan(plan(planned)),
            };
            Ok(proto::RunCliResponse { result: Some(result) })
        })
        .await
    }

    type StreamRunCliStream = Messages<proto::StreamRunCliResponse>;

    async fn stream_run_cli(
        &self,
        request: Request<proto::StreamRunCliRequest>,
    ) -> Result<Response<Self::StreamRunCliStream>, Status> {
        context::call(&self.0, "RpcService/StreamRunCli", request, async |ctx, input| {
            let reply = reply(self.run(&ctx, &input.device, input.command, input.output, false).await?)?;
            Ok(stream::chunks(&self.0, reply, &ctx.request_id))
        })
        .await
    }

    async fn get_cli_rpc(
        &self,
        request: Request<proto::GetCliRpcRequest>,
    ) -> Result<Response<proto::GetCliRpcResponse>, Status> {
        context::call(&self.0, "RpcService/GetCliRpc", request, async |ctx, input| {
            let found = self.0.gateway.get_cli_rpc(&ctx, &input.device, &input.command).await?;
            Ok(proto::GetCliRpcResponse {
                command: found.command,
                rpc_xml: found.rpc_xml,
                rpc_json: found.rpc.to_string(),
            })
        })
        .await
    }
}
