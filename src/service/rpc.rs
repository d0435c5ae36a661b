//! Any operational RPC, by name or whole, alone or in a batch (S8, S10; conventions Q9, H15).

use super::call::{CallContext, Role};
use super::failure::{self, Asked};
use super::operations::{self, Leaving};
use super::output::Output;
use super::prepare::{self, Prepared};
use super::reply::{Reply, RpcAnswer};
use super::request::{Arguments, BatchRequest, Content, OnError, RpcBody, RpcRequest};
use super::view::Plan;
use super::{Gateway, LONGEST_DEADLINE, locks, url_policy};
use crate::device::{self, Device};
use crate::error::{Error, ErrorCode};
use crate::json::pointer::child;
use crate::netconf::capability::Capabilities;
use crate::netconf::junos::classify::{OperationClass, classify};
use crate::netconf::rpc::{self, RequestError, Rpc};
use crate::netconf::urls;
use crate::store::DeviceRecord;
use crate::xml::Fragment;

/// The most RPCs of one batch.
const MOST_OF_A_BATCH: usize = 64;

impl Gateway {
    /// Sends one RPC and returns its reply. What is on the reviewed read-only list runs in a pooled session; other
    /// operational RPCs need the role `configure` and run in a session that is closed afterwards.
    ///
    /// # Errors
    /// `use-resource` for what has a resource of its own; `method-not-allowed` when the caller's method is for reads
    /// only; the device's refusal.
    ///
    /// # Cancel safety
    /// A dropped call leaves its reply to be drained; an RPC that was sent may have been done.
    pub async fn call_rpc(
        &self,
        ctx: &CallContext,
        name: &str,
        request: RpcRequest,
    ) -> Result<RpcAnswer, Error> {
        ctx.principal.require(Role::Read)?;
        let (record, device) = self.device(name).await?;
        let on_device = |error: Error| error.with_device(name);
        let output = Output::new(&request.output, record.settings.partial).map_err(on_device)?;
        let prepared = prepare::rpc(&request.rpc, output.format, "/rpc").map_err(on_device)?;
        check_attributes(&request.attributes, "/attributes").map_err(on_device)?;
        let asked = asked(&request.rpc);
        match self.judge(&prepared, request.safe_only).map_err(on_device)? {
            Runs::Pooled if request.plan => Err(on_device(Error::invalid(
                "?plan",
                "the RPC changes nothing, so there is nothing to plan",
            ))),
            Runs::Pooled => {
                let request = output.request(move |caps| prepared.build(caps), request.attributes);
                self.read(ctx, name, &device, request, &output, asked)
                    .await
                    .map(RpcAnswer::Reply)
            }
            Runs::Alone { ends } => {
                ctx.principal.require(Role::Configure)?;
                if request.plan {
                    return self
                        .plan(ctx, name, &device, move |caps| Ok(vec![prepared.build(caps)?]))
                        .await
                        .map(RpcAnswer::Plan);
                }
                let request = output.request(move |caps| prepared.build(caps), request.attributes);
                self.change(ctx, &record, &device, request, &output, asked)
                    .await
                    .map(RpcAnswer::Reply)
                    .map_err(|error| {
                        if ends {
                            failure::ended_as_asked(error)
                        } else {
                            error
                        }
                    })
            }
        }
    }

    /// Sends several read-only RPCs in one session; each has its own result. With `stop`, those behind a failure are
    /// not sent and have no result.
    ///
    /// # Errors
    /// For what is wrong with the batch itself; the RPCs' own failures stand in the results.
    pub async fn batch_rpcs(
        &self,
        ctx: &CallContext,
        name: &str,
        request: BatchRequest,
    ) -> Result<Vec<Result<Reply, Error>>, Error> {
        ctx.principal.require(Role::Read)?;
        let (record, device) = self.device(name).await?;
        let on_device = |error: Error| error.with_device(name);
        let output = Output::new(&request.output, record.settings.partial).map_err(on_device)?;
        if request.rpcs.is_empty() || request.rpcs.len() > MOST_OF_A_BATCH {
            let detail = format!(
                "a batch has 1 to {MOST_OF_A_BATCH} RPCs, this has {}",
                request.rpcs.len()
            );
            return Err(on_device(Error::invalid("/rpcs", detail)));
        }
        let mut requests = Vec::with_capacity(request.rpcs.len());
        let mut asked_of = Vec::with_capacity(request.rpcs.len());
        for (index, item) in request.rpcs.into_iter().enumerate() {
            let pointer = match item.bare {
                true => format!("/rpcs/{index}"),
                false => format!("/rpcs/{index}/rpc"),
            };
            let prepared = prepare::rpc(&item.rpc, output.format, &pointer).map_err(on_device)?;
            check_attributes(&item.attributes, &format!("/rpcs/{index}/attributes")).map_err(on_device)?;
            if let Runs::Alone { .. } = self.judge(&prepared, false).map_err(on_device)? {
                let detail = format!("{} is not a read-only RPC", prepared.operation);
                return Err(on_device(Error::invalid(prepared.place, detail))
                    .with_hint("a batch holds read-only RPCs; send this one alone"));
            }
            asked_of.push(asked(&item.rpc));
            requests.push(output.request(move |caps| prepared.build(caps), item.attributes));
        }
        let on_error = match request.on_error {
            OnError::Stop => device::OnError::Stop,
            OnError::Continue => device::OnError::Continue,
        };
        let results = device
            .batch(
                ctx.principal.id(),
                self.deadline(ctx, &device),
                requests,
                on_error,
            )
            .await
            .map_err(failure::device)?;
        let mut answers = Vec::with_capacity(results.len());
        for (result, asked) in results.into_iter().zip(asked_of) {
            let answer = match result {
                Ok(raw) => Reply::new(name, raw, &output, asked, false),
                Err(error) => Err(failure::device(error)),
            };
            let failed = answer.is_err();
            answers.push(answer);
            if failed && request.on_error == OnError::Stop {
                break;
            }
        }
        Ok(answers)
    }

    /// A read-only RPC in a pooled session.
    pub(super) async fn read(
        &self,
        ctx: &CallContext,
        name: &str,
        device: &Device,
        request: device::Request,
        output: &Output,
        asked: Asked,
    ) -> Result<Reply, Error> {
        let raw = device
            .read(ctx.principal.id(), self.deadline(ctx, device), request)
            .await;
        Reply::new(name, raw.map_err(failure::device)?, output, asked, false)
    }

    /// An RPC that may change the device, in a session that is closed afterwards. Sent at most once.
    pub(super) async fn change(
        &self,
        ctx: &CallContext,
        record: &DeviceRecord,
        device: &Device,
        request: device::Request,
        output: &Output,
        asked: Asked,
    ) -> Result<Reply, Error> {
        self.accepting()?;
        self.begin(ctx, record, Leaving::UnlessSent).await?;
        let request = operations::noting(&ctx.ticket, request);
        let deadline = match ctx.deadline {
            // H6: what takes long is asked for without waiting for it.
            None if ctx.ticket.responds_async() => self.inner.clock.now() + LONGEST_DEADLINE,
            Some(_) | None => self.deadline(ctx, device),
        };
        let raw = device.single_use(ctx.principal.id(), deadline, request).await;
        let raw = raw.map_err(|error| locks::not_served(device, error))?;
        let reply = Reply::new(record.name(), raw, output, asked, true)?;
        if let Some(outcome) = reply.outcome {
            ctx.ticket.came_to(outcome);
        }
        Ok(reply)
    }

    /// The XML that a call would send, without the `<rpc>` around it.
    pub(super) async fn plan(
        &self,
        ctx: &CallContext,
        name: &str,
        device: &Device,
        build: impl FnOnce(&Capabilities) -> Result<Vec<Rpc>, RequestError>,
    ) -> Result<Plan, Error> {
        let shown = device
            .established(ctx.principal.id(), self.deadline(ctx, device))
            .await
            .map_err(failure::device)?;
        let rpcs =
            build(&shown.capabilities).map_err(|error| failure::unbuildable(&error).with_device(name))?;
        Ok(Plan {
            device: name.to_owned(),
            rpcs: rpcs.iter().map(|rpc| rpc.body.as_str().to_owned()).collect(),
        })
    }

    /// Where an RPC may run, if anywhere.
    pub(super) fn judge(&self, prepared: &Prepared, safe_only: bool) -> Result<Runs, Error> {
        self.check_urls(&prepared.body, &prepared.inside)?;
        // The operator's list is for operational RPCs: it opens no way around the resources, nor for CLI text.
        if self.inner.read_only_rpcs.contains(&prepared.operation)
            && prepared.operation != "command"
            && classify(&Rpc::new(prepared.body.clone())) == OperationClass::Operational
        {
            return Ok(Runs::Pooled);
        }
        judge(prepared, safe_only)
    }
}

impl Gateway {
    /// A device goes where it is sent, with the gateway's authority, so it is sent only where the operator says
    /// (conventions X8).
    pub(super) fn check_urls(&self, body: &Fragment, pointer: &str) -> Result<(), Error> {
        let urls = urls::urls(body).map_err(|error| Error::invalid(pointer, error.to_string()))?;
        match urls.iter().find(|url| !self.inner.urls.allows(url)) {
            None => Ok(()),
            Some(url) => Err(url_policy::refusal(pointer, url)),
        }
    }
}

/// Where an RPC may run (conventions Q9).
pub(super) enum Runs {
    Pooled,
    Alone {
        /// The session ends when the device obeys (H6).
        ends: bool,
    },
}

fn judge(prepared: &Prepared, safe_only: bool) -> Result<Runs, Error> {
    match classify(&Rpc::new(prepared.body.clone())) {
        OperationClass::ReadOnly => Ok(Runs::Pooled),
        OperationClass::Operational | OperationClass::EndsSession if safe_only => Err(Error::new(
            ErrorCode::MethodNotAllowed,
            format!("{} is not on the list of RPCs that only read", prepared.operation),
        )
        .with_hint("send it with POST (gRPC: CallNamedRpc)")),
        OperationClass::Operational => Ok(Runs::Alone { ends: false }),
        OperationClass::EndsSession => Ok(Runs::Alone { ends: true }),
        OperationClass::Configuration { resource } | OperationClass::Session { resource } => {
            Err(use_resource(&prepared.operation, resource, &prepared.place))
        }
    }
}

/// The refusal of what is done through a resource only, with the names that both doors have for it.
pub(super) fn use_resource(what: &str, resource: &str, pointer: &str) -> Error {
    let service = match resource {
        "edit-sessions" => Some("EditSessionService"),
        "changes" => Some("ChangeService"),
        "sessions" => Some("DeviceService.KillSession"),
        "config/copy" => Some("ConfigService.CopyConfig"),
        "config/delete" => Some("ConfigService.DeleteConfig"),
        "config/validate" => Some("ConfigService.ValidateConfig"),
        "config/rescue" => Some("ConfigService.SaveRescueConfig"),
        _ => None,
    };
    let hint = match service {
        Some(service) => format!("use {resource} (gRPC: {service})"),
        None => format!("use {resource}"),
    };
    let words = format!("{what} is not sent raw, because the gateway keeps track of what it does");
    Error::new(ErrorCode::UseResource, words)
        .with_field(pointer, "has a resource of its own")
        .with_hint(hint)
}

pub(super) fn asked(body: &RpcBody) -> Asked {
    match body {
        RpcBody::Whole(Content::Xml(_))
        | RpcBody::Named {
            arguments: Arguments::Content(Content::Xml(_)),
            ..
        } => Asked::RawXml,
        RpcBody::Whole(Content::Json(_)) | RpcBody::Named { .. } => Asked::Rpc,
    }
}

pub(super) fn check_attributes(attributes: &[(String, String)], pointer: &str) -> Result<(), Error> {
    rpc::check_attributes(attributes).map_err(|error| {
        let place = match error.name() {
            Some(name) => child(pointer, name),
            None => pointer.to_owned(),
        };
        Error::invalid(place, error.to_string())
    })
}
