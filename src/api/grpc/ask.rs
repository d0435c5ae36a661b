//! Calls whose answer is a device's reply. Each has two methods, one that answers in one message and one that streams
//! (G2); what they ask of the service is the same, so it stands here once.

use tonic::{Request, Response, Status};

use super::carried::{self, Answer, Carry};
use super::stream::{self, Messages, Part};
use super::{Services, context, convert, proto};
use crate::error::Error;
use crate::service::Gateway;
use crate::service::call::CallContext;
use crate::service::reply::{Reply, RpcAnswer};
use crate::service::request::{CliRequest, OutputOptions, RpcBody, RpcRequest};
use crate::service::view::Plan;

/// A request message that asks for a reply.
pub trait Ask: Send + 'static {
    /// Does what is asked for.
    fn ask(
        self,
        gateway: &Gateway,
        ctx: &CallContext,
    ) -> impl Future<Output = Result<RpcAnswer, Error>> + Send;
}

/// How each message asks; the fields that both messages of a pair have are called the same.
macro_rules! asks {
    ($($request:ident: |$input:ident, $gateway:ident, $ctx:ident| $work:expr;)*) => {$(
        impl Ask for proto::$request {
            async fn ask(self, $gateway: &Gateway, $ctx: &CallContext) -> Result<RpcAnswer, Error> {
                let $input = self;
                $work
            }
        }
    )*};
}

asks! {
    CallRpcRequest: |it, gateway, ctx| {
        rpc(gateway, ctx, &it.device, convert::rpc("rpc", it.rpc)?, it.output, Way::Any { plan: it.plan }).await
    };
    StreamCallRpcRequest: |it, gateway, ctx| {
        rpc(gateway, ctx, &it.device, convert::rpc("rpc", it.rpc)?, it.output, Way::Any { plan: false }).await
    };
    CallNamedRpcRequest: |it, gateway, ctx| {
        rpc(gateway, ctx, &it.device, convert::named_rpc(it.rpc)?, it.output, Way::Any { plan: it.plan }).await
    };
    StreamCallNamedRpcRequest: |it, gateway, ctx| {
        rpc(gateway, ctx, &it.device, convert::named_rpc(it.rpc)?, it.output, Way::Any { plan: false }).await
    };
    ReadNamedRpcRequest: |it, gateway, ctx| {
        rpc(gateway, ctx, &it.device, convert::named_rpc(it.rpc)?, it.output, Way::ReadOnly).await
    };
    StreamReadNamedRpcRequest: |it, gateway, ctx| {
        rpc(gateway, ctx, &it.device, convert::named_rpc(it.rpc)?, it.output, Way::ReadOnly).await
    };
    RunCliRequest: |it, gateway, ctx| cli(gateway, ctx, &it.device, it.command, it.output, it.plan).await;
    StreamRunCliRequest: |it, gateway, ctx| cli(gateway, ctx, &it.device, it.command, it.output, false).await;
    GetConfigRequest: |it, gateway, ctx| {
        let request = convert::get_config(it.query, it.output)?;
        gateway.get_config(ctx, &it.device, request).await.map(RpcAnswer::Reply)
    };
    StreamGetConfigRequest: |it, gateway, ctx| {
        let request = convert::get_config(it.query, it.output)?;
        gateway.get_config(ctx, &it.device, request).await.map(RpcAnswer::Reply)
    };
    CompareConfigRequest: |it, gateway, ctx| {
        let request = convert::compare(it.from, it.to, it.output)?;
        gateway.compare_config(ctx, &it.device, request).await.map(RpcAnswer::Reply)
    };
    StreamCompareConfigRequest: |it, gateway, ctx| {
        let request = convert::compare(it.from, it.to, it.output)?;
        gateway.compare_config(ctx, &it.device, request).await.map(RpcAnswer::Reply)
    };
    GetSchemaRequest: |it, gateway, ctx| schema(gateway, ctx, &it.device, &it.name, it.version, it.format).await;
    StreamGetSchemaRequest: |it, gateway, ctx| {
        schema(gateway, ctx, &it.device, &it.name, it.version, it.format).await
    };
}

/// What an RPC may be.
enum Way {
    ReadOnly,
    Any { plan: bool },
}

async fn rpc(
    gateway: &Gateway,
    ctx: &CallContext,
    device: &str,
    (rpc, attributes): (RpcBody, Vec<(String, String)>),
    output: Option<proto::OutputOptions>,
    way: Way,
) -> Result<RpcAnswer, Error> {
    let (safe_only, plan) = match way {
        Way::ReadOnly => (true, false),
        Way::Any { plan } => (false, plan),
    };
    let request = RpcRequest {
        rpc,
        attributes,
        output: convert::output(output)?,
        safe_only,
        plan,
    };
    gateway.call_rpc(ctx, device, request).await
}

async fn cli(
    gateway: &Gateway,
    ctx: &CallContext,
    device: &str,
    command: String,
    output: Option<proto::OutputOptions>,
    plan: bool,
) -> Result<RpcAnswer, Error> {
    let request = CliRequest {
        command,
        output: convert::output(output)?,
        plan,
    };
    gateway.run_cli(ctx, device, request).await
}

async fn schema(
    gateway: &Gateway,
    ctx: &CallContext,
    device: &str,
    name: &str,
    version: String,
    format: String,
) -> Result<RpcAnswer, Error> {
    let (version, format) = (convert::some(version), convert::some(format));
    let output = OutputOptions::default();
    gateway
        .get_schema(ctx, device, name, version.as_deref(), format.as_deref(), output)
        .await
        .map(RpcAnswer::Reply)
}

/// An answer in one message.
pub enum Whole {
    Reply(proto::Reply),
    Plan(proto::Plan),
}

impl Services {
    /// Answers in one message, which `wrap` makes.
    pub(super) async fn whole<I: Ask + Carry, O: Answer>(
        &self,
        method: &'static str,
        request: Request<I>,
        wrap: impl FnOnce(Whole) -> O + Send + 'static,
    ) -> Result<Response<O>, Status> {
        let gateway = self.0.gateway.clone();
        let work = async move |ctx: CallContext, input: I| {
            let whole = match input.ask(&gateway, &ctx).await? {
                RpcAnswer::Reply(reply) => Whole::Reply(stream::answered(reply, &ctx).await?),
                RpcAnswer::Plan(Plan { device, rpcs }) => Whole::Plan(proto::Plan { device, rpcs }),
            };
            Ok(wrap(whole))
        };
        carried::call(&self.0, method, request, work).await
    }

    /// Answers in one message that has no place for a plan.
    pub(super) async fn reply<I: Ask, O>(
        &self,
        method: &'static str,
        request: Request<I>,
        wrap: impl FnOnce(proto::Reply) -> O + Send,
    ) -> Result<Response<O>, Status> {
        context::call(&self.0, method, request, async |ctx: CallContext, input: I| {
            let reply = unplanned(input.ask(&self.0.gateway, &ctx).await?)?;
            Ok(wrap(stream::whole(reply, &ctx.request_id).await?))
        })
        .await
    }

    /// Answers in pieces.
    pub(super) async fn stream<I: Ask, T: Part>(
        &self,
        method: &'static str,
        request: Request<I>,
    ) -> Result<Response<Messages<T>>, Status> {
        let app = self.0.clone();
        let work = async move |ctx: CallContext, input: I| {
            let reply = unplanned(input.ask(&app.gateway, &ctx).await?)?;
            Ok(stream::chunks(&app, reply, &ctx.request_id))
        };
        carried::stream(&self.0, method, request, work).await
    }
}

/// What was asked for without `plan`.
///
/// # Errors
/// A plan all the same.
pub(super) fn unplanned(answer: RpcAnswer) -> Result<Reply, Error> {
    match answer {
        RpcAnswer::Reply(reply) => Ok(reply),
        RpcAnswer::Plan(plan) => Err(Error::invalid("plan", "a plan is no stream").with_device(plan.device)),
    }
}
