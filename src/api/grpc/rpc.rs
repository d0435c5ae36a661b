//! `RpcService`: RPCs whole or by name, batches and CLI text.

use std::time::Instant;

use tonic::{Request, Response, Status};

use super::ask::Whole;
use super::stream::{self, Messages};
use super::{Services, context, convert, proto};
use crate::api::edge;
use crate::error::Error;
use crate::service::call::CallContext;
use crate::service::reply::Reply;
use crate::service::request::BatchRequest;

impl Services {
    /// What the two batch methods have in common: the call, and the log lines of what failed in it.
    async fn batch(
        &self,
        method: &str,
        ctx: &CallContext,
        it: proto::BatchRpcsRequest,
    ) -> Result<Vec<Result<Reply, Error>>, Error> {
        let started = Instant::now();
        let request = BatchRequest {
            rpcs: convert::batch(it.rpcs)?,
            on_error: convert::on_error(it.on_error)?,
            output: convert::output(it.output)?,
        };
        let results = self.0.gateway.batch_rpcs(ctx, &it.device, request).await?;
        edge::log_failures(&ctx.request_id, method, started.elapsed(), &results);
        Ok(results)
    }
}

#[tonic::async_trait]
impl proto::rpc_service_server::RpcService for Services {
    async fn call_rpc(
        &self,
        request: Request<proto::CallRpcRequest>,
    ) -> Result<Response<proto::CallRpcResponse>, Status> {
        use proto::call_rpc_response::Result as Answer;
        self.whole("RpcService/CallRpc", request, |whole| {
            let result = match whole {
                Whole::Reply(reply) => Answer::Reply(reply),
                Whole::Plan(plan) => Answer::Plan(plan),
            };
            proto::CallRpcResponse { result: Some(result) }
        })
        .await
    }

    type StreamCallRpcStream = Messages<proto::StreamCallRpcResponse>;

    async fn stream_call_rpc(
        &self,
        request: Request<proto::StreamCallRpcRequest>,
    ) -> Result<Response<Self::StreamCallRpcStream>, Status> {
        self.stream("RpcService/StreamCallRpc", request).await
    }

    async fn call_named_rpc(
        &self,
        request: Request<proto::CallNamedRpcRequest>,
    ) -> Result<Response<proto::CallNamedRpcResponse>, Status> {
        use proto::call_named_rpc_response::Result as Answer;
        self.whole("RpcService/CallNamedRpc", request, |whole| {
            let result = match whole {
                Whole::Reply(reply) => Answer::Reply(reply),
                Whole::Plan(plan) => Answer::Plan(plan),
            };
            proto::CallNamedRpcResponse { result: Some(result) }
        })
        .await
    }

    type StreamCallNamedRpcStream = Messages<proto::StreamCallNamedRpcResponse>;

    async fn stream_call_named_rpc(
        &self,
        request: Request<proto::StreamCallNamedRpcRequest>,
    ) -> Result<Response<Self::StreamCallNamedRpcStream>, Status> {
        self.stream("RpcService/StreamCallNamedRpc", request).await
    }

    async fn read_named_rpc(
        &self,
        request: Request<proto::ReadNamedRpcRequest>,
    ) -> Result<Response<proto::ReadNamedRpcResponse>, Status> {
        self.reply("RpcService/ReadNamedRpc", request, |reply| {
            proto::ReadNamedRpcResponse { reply: Some(reply) }
        })
        .await
    }

    type StreamReadNamedRpcStream = Messages<proto::StreamReadNamedRpcResponse>;

    async fn stream_read_named_rpc(
        &self,
        request: Request<proto::StreamReadNamedRpcRequest>,
    ) -> Result<Response<Self::StreamReadNamedRpcStream>, Status> {
        self.stream("RpcService/StreamReadNamedRpc", request).await
    }

    async fn batch_rpcs(
        &self,
        request: Request<proto::BatchRpcsRequest>,
    ) -> Result<Response<proto::BatchRpcsResponse>, Status> {
        const METHOD: &str = "RpcService/BatchRpcs";
        context::call(&self.0, METHOD, request, async |ctx, it| {
            let results = self.batch(METHOD, &ctx, it).await?;
            stream::whole_batch(results, &ctx.request_id).await
        })
        .await
    }

    type StreamBatchRpcsStream = Messages<proto::StreamBatchRpcsResponse>;

    async fn stream_batch_rpcs(
        &self,
        request: Request<proto::StreamBatchRpcsRequest>,
    ) -> Result<Response<Self::StreamBatchRpcsStream>, Status> {
        const METHOD: &str = "RpcService/StreamBatchRpcs";
        context::call(&self.0, METHOD, request, async |ctx, it| {
            let whole = proto::BatchRpcsRequest {
                device: it.device,
                rpcs: it.rpcs,
                on_error: it.on_error,
                output: it.output,
            };
            let results = self.batch(METHOD, &ctx, whole).await?;
            Ok(stream::batch(&self.0, results, &ctx.request_id))
        })
        .await
    }

    async fn run_cli(
        &self,
        request: Request<proto::RunCliRequest>,
    ) -> Result<Response<proto::RunCliResponse>, Status> {
        use proto::run_cli_response::Result as Answer;
        self.whole("RpcService/RunCli", request, |whole| {
            let result = match whole {
                Whole::Reply(reply) => Answer::Reply(reply),
                Whole::Plan(plan) => Answer::Plan(plan),
            };
            proto::RunCliResponse { result: Some(result) }
        })
        .await
    }

    type StreamRunCliStream = Messages<proto::StreamRunCliResponse>;

    async fn stream_run_cli(
        &self,
        request: Request<proto::StreamRunCliRequest>,
    ) -> Result<Response<Self::StreamRunCliStream>, Status> {
        self.stream("RpcService/StreamRunCli", request).await
    }

    async fn get_cli_rpc(
        &self,
        request: Request<proto::GetCliRpcRequest>,
    ) -> Result<Response<proto::GetCliRpcResponse>, Status> {
        context::call(&self.0, "RpcService/GetCliRpc", request, async |ctx, input| {
            let found = self
                .0
                .gateway
                .get_cli_rpc(&ctx, &input.device, &input.command)
                .await?;
            Ok(proto::GetCliRpcResponse {
                command: found.command,
                rpc_xml: found.rpc_xml,
                rpc_json: found.rpc.to_string(),
            })
        })
        .await
    }
}
