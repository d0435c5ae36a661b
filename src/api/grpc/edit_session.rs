//! `EditSessionService`: a candidate bound to one caller for a time.

use tonic::{Request, Response, Status};

use super::convert::some;
use super::stream::{self, Messages};
use super::{Services, ask, carried, context, convert, edit, proto};
use crate::error::Error;
use crate::service::call::CallContext;
use crate::service::edit::request::{CommitRequest, DiscardRequest, EditRequest, ValidateRequest};
use crate::service::edit::view::{EditSessionView, Planned};
use crate::service::reply::{Reply, RpcAnswer};
use crate::service::request::{ListRequest, RpcRequest};

/// Puts an edit session or a plan into the answer of a call.
macro_rules! answer {
    ($module:ident, $response:ident, $planned:expr) => {{
        use proto::$module::Result as Answer;
        let result = match $planned {
            Planned::Done(session) => Answer::EditSession(edit::edit_session(session)),
            Planned::Plan(plan) => Answer::Plan(edit::plan(plan)),
        };
        Ok(proto::$response { result: Some(result) })
    }};
}

impl Services {
    async fn edit_session_rpc(
        &self,
        ctx: &CallContext,
        (device, id): (&str, &str),
        rpc: Option<proto::Rpc>,
        output: Option<proto::OutputOptions>,
        plan: bool,
    ) -> Result<RpcAnswer, Error> {
        let (rpc, attributes) = convert::rpc("rpc", rpc)?;
        let request = RpcRequest {
            rpc,
            attributes,
            output: convert::output(output)?,
            safe_only: false,
            plan,
        };
        self.0
            .gateway
            .call_edit_session_rpc(ctx, device, id, request)
            .await
    }

    async fn edit_session_config(
        &self,
        ctx: &CallContext,
        (device, id): (&str, &str),
        query: Option<proto::ConfigQuery>,
        output: Option<proto::OutputOptions>,
    ) -> Result<Reply, Error> {
        let request = convert::get_config(query, output)?;
        self.0
            .gateway
            .get_edit_session_config(ctx, device, id, request)
            .await
    }
}

fn shown(session: EditSessionView) -> Option<proto::EditSession> {
    Some(edit::edit_session(session))
}

#[tonic::async_trait]
impl proto::edit_session_service_server::EditSessionService for Services {
    async fn create_edit_session(
        &self,
        request: Request<proto::CreateEditSessionRequest>,
    ) -> Result<Response<proto::CreateEditSessionResponse>, Status> {
        let method = "EditSessionService/CreateEditSession";
        let this = self.clone();
        carried::call(&self.0, method, request, async move |ctx, input| {
            let device = input.device.clone();
            let request = edit::open(input)?;
            answer!(
                create_edit_session_response,
                CreateEditSessionResponse,
                this.0.gateway.create_edit_session(&ctx, &device, request).await?
            )
        })
        .await
    }

    async fn list_edit_sessions(
        &self,
        request: Request<proto::ListEditSessionsRequest>,
    ) -> Result<Response<proto::ListEditSessionsResponse>, Status> {
        let method = "EditSessionService/ListEditSessions";
        context::call(&self.0, method, request, async |ctx, input| {
            let request = ListRequest {
                page_size: input.page_size,
                page_token: some(input.page_token),
                labels: Vec::new(),
            };
            let page = self
                .0
                .gateway
                .list_edit_sessions(&ctx, &input.device, request)
                .await?;
            Ok(proto::ListEditSessionsResponse {
                edit_sessions: page.edit_sessions.into_iter().map(edit::edit_session).collect(),
                next_page_token: page.next_page_token.unwrap_or_default(),
            })
        })
        .await
    }

    async fn get_edit_session(
        &self,
        request: Request<proto::GetEditSessionRequest>,
    ) -> Result<Response<proto::GetEditSessionResponse>, Status> {
        let method = "EditSessionService/GetEditSession";
        context::call(&self.0, method, request, async |ctx, input| {
            let session = self
                .0
                .gateway
                .get_edit_session(&ctx, &input.device, &input.id)
                .await?;
            Ok(proto::GetEditSessionResponse {
                edit_session: shown(session),
            })
        })
        .await
    }

    async fn delete_edit_session(
        &self,
        request: Request<proto::DeleteEditSessionRequest>,
    ) -> Result<Response<proto::DeleteEditSessionResponse>, Status> {
        let method = "EditSessionService/DeleteEditSession";
        let this = self.clone();
        carried::call(&self.0, method, request, async move |ctx, input| {
            let gateway = &this.0.gateway;
            let ended = gateway.delete_edit_session(&ctx, &input.device, &input.id, input.plan);
            let plan = match ended.await? {
                Planned::Done(()) => None,
                Planned::Plan(plan) => Some(edit::plan(plan)),
            };
            Ok(proto::DeleteEditSessionResponse {
                plan,
                operation: None,
            })
        })
        .await
    }

    async fn apply_edit(
        &self,
        request: Request<proto::ApplyEditRequest>,
    ) -> Result<Response<proto::ApplyEditResponse>, Status> {
        let method = "EditSessionService/ApplyEdit";
        let this = self.clone();
        carried::call(&self.0, method, request, async move |ctx, input| {
            let request = EditRequest {
                edit: edit::edit("edit", input.edit)?,
                plan: input.plan,
            };
            answer!(
                apply_edit_response,
                ApplyEditResponse,
                this.0
                    .gateway
                    .apply_edit(&ctx, &input.device, &input.id, request)
                    .await?
            )
        })
        .await
    }

    async fn validate_edit_session(
        &self,
        request: Request<proto::ValidateEditSessionRequest>,
    ) -> Result<Response<proto::ValidateEditSessionResponse>, Status> {
        let method = "EditSessionService/ValidateEditSession";
        let this = self.clone();
        carried::call(&self.0, method, request, async move |ctx, input| {
            let request = ValidateRequest {
                confirm_others: input.confirm_others,
                plan: input.plan,
            };
            answer!(
                validate_edit_session_response,
                ValidateEditSessionResponse,
                this.0
                    .gateway
                    .validate_edit_session(&ctx, &input.device, &input.id, request)
                    .await?
            )
        })
        .await
    }

    async fn discard_edit_session(
        &self,
        request: Request<proto::DiscardEditSessionRequest>,
    ) -> Result<Response<proto::DiscardEditSessionResponse>, Status> {
        let method = "EditSessionService/DiscardEditSession";
        let this = self.clone();
        carried::call(&self.0, method, request, async move |ctx, input| {
            let request = DiscardRequest {
                discard_others: input.discard_others,
                plan: input.plan,
            };
            answer!(
                discard_edit_session_response,
                DiscardEditSessionResponse,
                this.0
                    .gateway
                    .discard_edit_session(&ctx, &input.device, &input.id, request)
                    .await?
            )
        })
        .await
    }

    async fn commit_edit_session(
        &self,
        request: Request<proto::CommitEditSessionRequest>,
    ) -> Result<Response<proto::CommitEditSessionResponse>, Status> {
        let method = "EditSessionService/CommitEditSession";
        let this = self.clone();
        carried::call(&self.0, method, request, async move |ctx, input| {
            let request = CommitRequest {
                options: edit::commit(input.options),
                probe: edit::probe(input.probe)?,
                plan: input.plan,
            };
            answer!(
                commit_edit_session_response,
                CommitEditSessionResponse,
                this.0
                    .gateway
                    .commit_edit_session(&ctx, &input.device, &input.id, request)
                    .await?
            )
        })
        .await
    }

    async fn renew_edit_session(
        &self,
        request: Request<proto::RenewEditSessionRequest>,
    ) -> Result<Response<proto::RenewEditSessionResponse>, Status> {
        let method = "EditSessionService/RenewEditSession";
        context::call(&self.0, method, request, async |ctx, input| {
            let session = self
                .0
                .gateway
                .renew_edit_session(&ctx, &input.device, &input.id)
                .await?;
            Ok(proto::RenewEditSessionResponse {
                edit_session: shown(session),
            })
        })
        .await
    }

    async fn call_edit_session_rpc(
        &self,
        request: Request<proto::CallEditSessionRpcRequest>,
    ) -> Result<Response<proto::CallEditSessionRpcResponse>, Status> {
        let method = "EditSessionService/CallEditSessionRpc";
        let this = self.clone();
        carried::call(&self.0, method, request, async move |ctx, input| {
            use proto::call_edit_session_rpc_response::Result as Answer;
            let target = (input.device.as_str(), input.id.as_str());
            let answer = this
                .edit_session_rpc(&ctx, target, input.rpc, input.output, input.plan)
                .await?;
            let result = match answer {
                RpcAnswer::Reply(reply) => Answer::Reply(stream::answered(reply, &ctx).await?),
                RpcAnswer::Plan(plan) => Answer::Plan(edit::plan(plan)),
            };
            Ok(proto::CallEditSessionRpcResponse { result: Some(result) })
        })
        .await
    }

    type StreamCallEditSessionRpcStream = Messages<proto::StreamCallEditSessionRpcResponse>;

    async fn stream_call_edit_session_rpc(
        &self,
        request: Request<proto::StreamCallEditSessionRpcRequest>,
    ) -> Result<Response<Self::StreamCallEditSessionRpcStream>, Status> {
        let method = "EditSessionService/StreamCallEditSessionRpc";
        let this = self.clone();
        carried::stream(
            &self.0,
            method,
            request,
            async move |ctx: CallContext, input: proto::StreamCallEditSessionRpcRequest| {
                let target = (input.device.as_str(), input.id.as_str());
                let answer = this
                    .edit_session_rpc(&ctx, target, input.rpc, input.output, false)
                    .await?;
                Ok(stream::chunks(&this.0, ask::unplanned(answer)?, &ctx.request_id))
            },
        )
        .await
    }

    async fn get_edit_session_config(
        &self,
        request: Request<proto::GetEditSessionConfigRequest>,
    ) -> Result<Response<proto::GetEditSessionConfigResponse>, Status> {
        let method = "EditSessionService/GetEditSessionConfig";
        context::call(&self.0, method, request, async |ctx, input| {
            let target = (input.device.as_str(), input.id.as_str());
            let reply = self
                .edit_session_config(&ctx, target, input.query, input.output)
                .await?;
            Ok(proto::GetEditSessionConfigResponse {
                reply: Some(stream::whole(reply, &ctx.request_id).await?),
            })
        })
        .await
    }

    type StreamGetEditSessionConfigStream = Messages<proto::StreamGetEditSessionConfigResponse>;

    async fn stream_get_edit_session_config(
        &self,
        request: Request<proto::StreamGetEditSessionConfigRequest>,
    ) -> Result<Response<Self::StreamGetEditSessionConfigStream>, Status> {
        let method = "EditSessionService/StreamGetEditSessionConfig";
        context::call(&self.0, method, request, async |ctx, input| {
            let target = (input.device.as_str(), input.id.as_str());
            let reply = self
                .edit_session_config(&ctx, target, input.query, input.output)
                .await?;
            Ok(stream::chunks(&self.0, reply, &ctx.request_id))
        })
        .await
    }

    async fn diff_edit_session(
        &self,
        request: Request<proto::DiffEditSessionRequest>,
    ) -> Result<Response<proto::DiffEditSessionResponse>, Status> {
        let method = "EditSessionService/DiffEditSession";
        context::call(&self.0, method, request, async |ctx, input| {
            let found = self
                .0
                .gateway
                .diff_edit_session(&ctx, &input.device, &input.id)
                .await?;
            Ok(proto::DiffEditSessionResponse {
                changed: found.changed,
                format: found.format,
                diff: found.diff,
                diff_sha256: found.diff_sha256,
            })
        })
        .await
    }
}
