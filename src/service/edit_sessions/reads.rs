//! What only looks: configuration as the edit session sees it, what a commit would change, and RPCs of any other kind.

use super::Used;
use crate::device::{Request, Start, Work};
use crate::error::{Error, ErrorCode};
use crate::netconf::datastore::Datastore;
use crate::pool::Touch;
use crate::service::call::{CallContext, Role};
use crate::service::config_options::check_schema;
use crate::service::edit::differing::Differing;
use crate::service::edit::request::Mode;
use crate::service::edit::view::DiffView;
use crate::service::failure::{self, Asked};
use crate::service::operations::{self, Leaving};
use crate::service::output::Output;
use crate::service::reply::{Reply, RpcAnswer};
use crate::service::request::{GetConfigRequest, RpcRequest};
use crate::service::rpc::{self, Runs};
use crate::service::view::Plan;
use crate::service::{Gateway, prepare};

impl Gateway {
    /// One RPC in the session of an edit session (S9): what only reads with the role `read`, other operational RPCs with
    /// `configure`; what edits, locks or commits has its own calls. Its owner or an admin.
    ///
    /// # Errors
    /// As [`Gateway::call_rpc`]; `not-owner`, and the codes of an edit session that has ended.
    ///
    /// # Cancel safety
    /// As [`Gateway::call_rpc`].
    pub async fn call_edit_session_rpc(
        &self,
        ctx: &CallContext,
        device: &str,
        id: &str,
        request: RpcRequest,
    ) -> Result<RpcAnswer, Error> {
        ctx.principal.require(Role::Read)?;
        let used = self.use_edit_session(ctx, device, id).await?;
        let on_device = |error: Error| error.with_device(device);
        let output = Output::new(&request.output, used.record.settings.partial).map_err(on_device)?;
        let prepared = prepare::rpc(&request.rpc, output.format, "/rpc").map_err(on_device)?;
        rpc::check_attributes(&request.attributes, "/attributes").map_err(on_device)?;
        let asked = rpc::asked(&request.rpc);
        let runs = self.judge(&prepared, request.safe_only).map_err(on_device)?;
        let mut ends = false;
        let touch = match runs {
            Runs::Pooled if request.plan => {
                let detail = "the RPC changes nothing, so there is nothing to plan";
                return Err(on_device(Error::invalid("?plan", detail)));
            }
            Runs::Pooled => Touch::Nothing,
            Runs::Alone { ends: asked } => {
                ends = asked;
                ctx.principal.require(Role::Configure)?;
                if request.plan {
                    let built = prepared.build(used.handle.capabilities());
                    let rpc = built.map_err(|error| on_device(failure::unbuildable(&error)))?;
                    return Ok(RpcAnswer::Plan(Plan {
                        device: device.to_owned(),
                        rpcs: vec![rpc.body.as_str().to_owned()],
                    }));
                }
                self.accepting()?;
                self.begin(ctx, &used.record, Leaving::UnlessSent).await?;
                Touch::Unknown
            }
        };
        let request = output.request(move |caps| prepared.build(caps), request.attributes);
        let request = operations::noting(&ctx.ticket, request);
        match used.ask(self, ctx, request, touch, &output, asked).await {
            Ok(reply) => {
                if let Some(outcome) = reply.outcome {
                    ctx.ticket.came_to(outcome);
                }
                Ok(RpcAnswer::Reply(reply))
            }
            Err(error) if ends => Err(failure::ended_as_asked(error)),
            Err(error) => Err(error),
        }
    }

    /// Configuration as the edit session sees it: unless a source is named, what it edits. Role `read`; its owner or an
    /// admin.
    ///
    /// # Errors
    /// As [`Gateway::get_config`]; `not-owner`, and the codes of an edit session that has ended.
    pub async fn get_edit_session_config(
        &self,
        ctx: &CallContext,
        device: &str,
        id: &str,
        request: GetConfigRequest,
    ) -> Result<Reply, Error> {
        ctx.principal.require(Role::Read)?;
        let used = self.use_edit_session(ctx, device, id).await?;
        let on_device = |error: Error| error.with_device(device);
        let output = Output::new(&request.output, used.record.settings.partial).map_err(on_device)?;
        check_schema(&request).map_err(on_device)?;
        let edited = used.handle.facts().datastore.as_str();
        let request = GetConfigRequest {
            source: request.source.or_else(|| Some(edited.to_owned())),
            ..request
        };
        let is_junos = used.handle.capabilities().is_junos();
        let request = self
            .config_request(request, &output, is_junos)
            .map_err(on_device)?;
        used.ask(self, ctx, request, Touch::Nothing, &output, Asked::Read)
            .await
    }

    /// What a commit would change. Role `read`; its owner or an admin.
    ///
    /// # Errors
    /// `invalid-argument` for ephemeral instances, which have no comparison (E5); the device's refusal; `not-owner`, and
    /// the codes of an edit session that has ended.
    pub async fn diff_edit_session(
        &self,
        ctx: &CallContext,
        device: &str,
        id: &str,
    ) -> Result<DiffView, Error> {
        ctx.principal.require(Role::Read)?;
        let used = self.use_edit_session(ctx, device, id).await?;
        let ground = used.ground()?;
        if ground.mode == Mode::Ephemeral {
            let detail = "an ephemeral instance has no comparison";
            return Err(used.on_device(Error::new(ErrorCode::InvalidArgument, detail)));
        }
        if ground.target != Datastore::Candidate {
            return Err(used.at_once("a commit would change nothing"));
        }
        let differing = Differing::new(ground.dialect, used.handle.capabilities())
            .map_err(|error| used.on_device(failure::unbuildable(&error)))?;
        let replies = used.send(self, ctx, differing.steps.clone()).await;
        let replies = replies.map_err(|failed| failed.error)?;
        let diff = differing.read(device, replies).await?;
        Ok(DiffView {
            device: device.to_owned(),
            changed: !diff.is_empty(),
            format: differing.format().to_owned(),
            diff: diff.text,
            diff_sha256: diff.sha256,
        })
    }
}

impl Used {
    /// One RPC whose reply goes to the caller.
    async fn ask(
        &self,
        gateway: &Gateway,
        ctx: &CallContext,
        request: Request,
        touch: Touch,
        output: &Output,
        asked: Asked,
    ) -> Result<Reply, Error> {
        let deadline = gateway.deadline(ctx, &self.device);
        let work = Work {
            start: Start::default(),
            counts: None,
            look: None,
            steps: vec![(request, touch)],
            lane: None,
            admit: None,
        };
        let answers = self
            .handle
            .run(deadline, work)
            .await
            .map_err(|error| self.ended(error))?;
        let answer = answers.into_iter().next();
        let Some(answer) = answer else {
            return Err(self.on_device(Error::new(ErrorCode::Internal, "nothing was sent")));
        };
        let raw = answer.map_err(failure::device)?;
        Reply::new(self.record.name(), raw, output, asked, touch.mutates())
    }
}
