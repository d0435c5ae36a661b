//! The frame around every call that can change a device: its key, `respond_async`, and the end of its operation
//! (conventions H7, H8). It decides nothing; what a key stands for and what goes on is the service's business.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use prost::Message;
use serde::{Deserialize, Serialize};
use tonic::metadata::MetadataMap;
use tonic::{Code, Request, Response, Status};

use super::context::{self, Told};
use super::stream::Messages;
use super::{edit, fields, operation, proto, status};
use crate::api::{App, kept};
use crate::error::{Error, ErrorCode, Outcome};
use crate::service::call::CallContext;
use crate::service::calls::{self, CALLS};
use crate::service::edit::view::{ChangeView, ConfirmedCommitView, EditSessionView};
use crate::service::operations::{Admitted, Again, Carried, End, Key, Ticket};

const KEY: &str = "idempotency_key";
/// What the streamed twin of a method is called beside it.
const TWIN: &str = "/Stream";

/// A request that may come again, and may be answered by its operation.
pub trait Carry: Message {
    /// Takes out what is no part of the request itself.
    fn take_key(&mut self) -> String;
    fn take_respond_async(&mut self) -> bool;
    /// What it is about, as a path of REST would name it.
    fn resource(&self) -> String;
}

/// The answer to such a request.
pub trait Answer: Message + Default + 'static {
    fn accepted(operation: proto::Operation) -> Self;

    /// Of a change that was made, or called off, before.
    fn of_change(_: ChangeView) -> Option<Self> {
        None
    }

    /// Of a commit that was made before.
    fn of_edit_session(_: EditSessionView) -> Option<Self> {
        None
    }

    /// Of an order that was carried out before.
    fn of_confirmed_commit(_: ConfirmedCommitView) -> Option<Self> {
        None
    }
}

macro_rules! carried {
    ($($request:ident { $($part:ident),* } -> $response:ident in $module:ident $({ $($more:item)* })?;)*) => {$(
        impl Carry for proto::$request {
            fn take_key(&mut self) -> String {
                std::mem::take(&mut self.idempotency_key)
            }

            fn take_respond_async(&mut self) -> bool {
                std::mem::take(&mut self.respond_async)
            }

            fn resource(&self) -> String {
                [$(self.$part.to_string()),*].join("/")
            }
        }

        impl Answer for proto::$response {
            fn accepted(operation: proto::Operation) -> Self {
                Self { result: Some(proto::$module::Result::Operation(operation)) }
            }

            $($($more)*)?
        }
    )*};
}

carried! {
    CallRpcRequest { device } -> CallRpcResponse in call_rpc_response;
    CallNamedRpcRequest { device } -> CallNamedRpcResponse in call_named_rpc_response;
    RunCliRequest { device } -> RunCliResponse in run_cli_response;
    CopyConfigRequest { device } -> CopyConfigResponse in copy_config_response;
    DeleteConfigRequest { device } -> DeleteConfigResponse in delete_config_response;
    ValidateConfigRequest { device } -> ValidateConfigResponse in validate_config_response;
    SaveRescueConfigRequest { device } -> SaveRescueConfigResponse in save_rescue_config_response;
    CreateChangeRequest { device } -> CreateChangeResponse in create_change_response {
        fn of_change(change: ChangeView) -> Option<Self> {
            let result = proto::create_change_response::Result::Change(edit::change_view(change));
            Some(Self { result: Some(result) })
        }
    };
    CancelChangeRequest { device, id } -> CancelChangeResponse in cancel_change_response {
        fn of_change(change: ChangeView) -> Option<Self> {
            let result = proto::cancel_change_response::Result::Change(edit::change_view(change));
            Some(Self { result: Some(result) })
        }
    };
    CreateEditSessionRequest { device } -> CreateEditSessionResponse in create_edit_session_response;
    ApplyEditRequest { device, id } -> ApplyEditResponse in apply_edit_response;
    ValidateEditSessionRequest { device, id } -> ValidateEditSessionResponse in validate_edit_session_response;
    DiscardEditSessionRequest { device, id } -> DiscardEditSessionResponse in discard_edit_session_response;
    CommitEditSessionRequest { device, id } -> CommitEditSessionResponse in commit_edit_session_response {
        fn of_edit_session(session: EditSessionView) -> Option<Self> {
            let result = proto::commit_edit_session_response::Result::EditSession(edit::edit_session(session));
            Some(Self { result: Some(result) })
        }
    };
    CallEditSessionRpcRequest { device, id } -> CallEditSessionRpcResponse in call_edit_session_rpc_response;
    ConfirmConfirmedCommitRequest { id } -> ConfirmConfirmedCommitResponse in confirm_confirmed_commit_response {
        fn of_confirmed_commit(commit: ConfirmedCommitView) -> Option<Self> {
            let commit = edit::confirmed_commit(commit);
            let result = proto::confirm_confirmed_commit_response::Result::ConfirmedCommit(commit);
            Some(Self { result: Some(result) })
        }
    };
    CancelConfirmedCommitRequest { id } -> CancelConfirmedCommitResponse in cancel_confirmed_commit_response {
        fn of_confirmed_commit(commit: ConfirmedCommitView) -> Option<Self> {
            let commit = edit::confirmed_commit(commit);
            let result = proto::cancel_confirmed_commit_response::Result::ConfirmedCommit(commit);
            Some(Self { result: Some(result) })
        }
    };
    ExtendConfirmedCommitRequest { id } -> ExtendConfirmedCommitResponse in extend_confirmed_commit_response {
        fn of_confirmed_commit(commit: ConfirmedCommitView) -> Option<Self> {
            let commit = edit::confirmed_commit(commit);
            let result = proto::extend_confirmed_commit_response::Result::ConfirmedCommit(commit);
            Some(Self { result: Some(result) })
        }
    };
    KillSessionRequest { device, session_id } -> KillSessionResponse in kill_session_response;
    DiscardCandidateRequest { device } -> DiscardCandidateResponse in discard_candidate_response;
}

impl Carry for proto::DeleteEditSessionRequest {
    fn take_key(&mut self) -> String {
        std::mem::take(&mut self.idempotency_key)
    }

    fn take_respond_async(&mut self) -> bool {
        std::mem::take(&mut self.respond_async)
    }

    fn resource(&self) -> String {
        format!("{}/{}", self.device, self.id)
    }
}

impl Answer for proto::DeleteEditSessionResponse {
    fn accepted(operation: proto::Operation) -> Self {
        Self {
            operation: Some(operation),
            plan: None,
        }
    }
}

/// What is kept of an answer beside its bytes: those of the message, or of the details of the status.
#[derive(Serialize, Deserialize)]
struct Head {
    code: i32,
    message: String,
    /// The message was too large.
    #[serde(default)]
    omitted: bool,
}

/// The name of the service call behind a method, or behind its streamed twin, if it can change a device.
fn kind(method: &str) -> Option<&'static str> {
    let named = method.replacen(TWIN, "/", 1);
    let call = CALLS.iter().find(|call| call.grpc == named && call.mutates)?;
    Some(call.name)
}

/// As [`context::call`], for a call that can change a device.
///
/// # Errors
/// As [`context::call`].
pub async fn call<I, O, F>(
    app: &App,
    method: &'static str,
    request: Request<I>,
    work: impl FnOnce(CallContext, I) -> F + Send + 'static,
) -> Result<Response<O>, Status>
where
    I: Carry + 'static,
    O: Answer,
    F: Future<Output = Result<O, Error>> + Send + 'static,
{
    context::frame(
        app,
        method,
        request,
        async |mut ctx: CallContext, mut input: I| {
            let key = input.take_key();
            let respond_async = input.take_respond_async();
            let resource = input.resource();
            let key = if key.is_empty() {
                None
            } else {
                let (principal, body) = (ctx.principal.id(), input.encode_to_vec());
                Some(Key::new(
                    KEY,
                    key.as_bytes(),
                    principal,
                    (method, &resource),
                    &[&body],
                )?)
            };
            let kind = kind(method).unwrap_or(method);
            let arguments: Vec<&str> = resource.split('/').collect();
            let about = calls::looked_at(kind, &arguments);
            ctx.ticket = Ticket::new(kind, key, respond_async).about(about);
            let entered = match app.gateway.admit(&ctx).await? {
                Admitted::Go(entered) => entered,
                Admitted::Again(again) => return replayed(again),
            };
            let ticket = ctx.ticket.clone();
            let work = ended(
                app.clone(),
                method,
                ctx.clone(),
                work(ctx, input),
                |answer: &O| answer.encode_to_vec(),
            );
            match app.gateway.carry_out(ticket, entered, Box::pin(work)).await? {
                Carried::Answer(answer) => answer.map(Told::Answer),
                Carried::Accepted(operation) => Ok(Told::Answer(O::accepted(operation::message(*operation)))),
            }
        },
    )
    .await
}

/// The same for a streamed twin, which takes no key and is waited for.
///
/// # Errors
/// As [`context::call`].
pub async fn stream<I, T, F>(
    app: &App,
    method: &'static str,
    request: Request<I>,
    work: impl FnOnce(CallContext, I) -> F + Send + 'static,
) -> Result<Response<Messages<T>>, Status>
where
    I: Send + 'static,
    T: Send + 'static,
    F: Future<Output = Result<Messages<T>, Error>> + Send + 'static,
{
    context::call(app, method, request, async |mut ctx: CallContext, input: I| {
        let Some(kind) = kind(method) else {
            return work(ctx, input).await;
        };
        ctx.ticket = Ticket::new(kind, None, false);
        let ticket = ctx.ticket.clone();
        let Admitted::Go(entered) = app.gateway.admit(&ctx).await? else {
            return Err(unasked());
        };
        // What is streamed is kept by nobody.
        let work = ended(app.clone(), method, ctx.clone(), work(ctx, input), |_| Vec::new());
        match app.gateway.carry_out(ticket, entered, Box::pin(work)).await? {
            Carried::Answer(answer) => answer,
            Carried::Accepted(_) => Err(unasked()),
        }
    })
    .await
}

fn unasked() -> Error {
    Error::new(ErrorCode::Internal, "a stream was answered as nobody asked for")
}

/// Runs the work of a call and stores how it ended.
async fn ended<O: Send>(
    app: App,
    method: &'static str,
    ctx: CallContext,
    work: impl Future<Output = Result<O, Error>> + Send,
    encode: impl FnOnce(&O) -> Vec<u8> + Send,
) -> Result<O, Error> {
    // What panicked is dropped, so nobody sees it as the panic left it.
    let (answer, panic) = match AssertUnwindSafe(work).catch_unwind().await {
        Ok(answer) => (answer, None),
        Err(panic) => {
            let words = "the gateway made a mistake; its log names it under this request_id";
            let error = Error::new(ErrorCode::Internal, words).with_outcome(Outcome::Unknown);
            (Err(error), Some(panic))
        }
    };
    let Some(operation_id) = ctx.ticket.operation_id() else {
        return match panic {
            Some(panic) => std::panic::resume_unwind(panic),
            None => answer,
        };
    };
    let answer = answer.map_err(|error| error.with_operation_id(&operation_id));
    let mut end = End::default();
    match &answer {
        Ok(message) if ctx.ticket.key().is_some() => end.answer = kept_message(&encode(message)),
        Ok(_) => {}
        Err(error) => {
            end.failure = Some(error.clone());
            end.answer = kept_status(method, error, &ctx.request_id);
        }
    }
    app.gateway.end_operation(&ctx.ticket, end).await;
    match panic {
        Some(panic) => std::panic::resume_unwind(panic),
        None => answer,
    }
}

fn kept_message(bytes: &[u8]) -> Option<Vec<u8>> {
    let head = |omitted| Head {
        code: i32::from(Code::Ok),
        message: String::new(),
        omitted,
    };
    kept::join(&head(false), bytes).or_else(|| kept::join(&head(true), &[]))
}

fn kept_status(method: &str, error: &Error, request_id: &str) -> Option<Vec<u8>> {
    let status = status::of(&fields::told(method, error.clone()), request_id);
    let head = Head {
        code: i32::from(status.code()),
        message: status.message().to_owned(),
        omitted: false,
    };
    kept::join(&head, status.details())
}

/// The answer to a call that was made before.
fn replayed<O: Answer>(again: Again) -> Result<Told<O>, Error> {
    let lost =
        || Error::new(ErrorCode::Internal, "the kept answer is damaged").with_outcome(Outcome::Unknown);
    match again {
        Again::Answer { answer, operation_id } => {
            let lost = || lost().with_operation_id(&operation_id);
            let (head, bytes) = kept::split::<Head>(&answer).ok_or_else(lost)?;
            if head.omitted {
                return Err(kept::omitted(&operation_id));
            }
            let code = Code::from_i32(head.code);
            if code == Code::Ok {
                return O::decode(bytes).map(Told::Replayed).map_err(|_| lost());
            }
            let details = bytes.to_vec().into();
            let metadata = MetadataMap::new();
            Ok(Told::ReplayedStatus(Status::with_details_and_metadata(
                code,
                head.message,
                details,
                metadata,
            )))
        }
        Again::Change(change) | Again::Cancelled(change) => {
            O::of_change(*change).map(Told::Replayed).ok_or_else(lost)
        }
        Again::EditSession(session) => O::of_edit_session(*session).map(Told::Replayed).ok_or_else(lost),
        Again::ConfirmedCommit(commit) => O::of_confirmed_commit(*commit)
            .map(Told::Replayed)
            .ok_or_else(lost),
        Again::Failed(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every call that can change a device is found by its method, and so is its streamed twin.
    #[test]
    fn kinds_are_those_of_the_table() {
        for call in CALLS {
            assert_eq!(
                kind(call.grpc),
                call.mutates.then_some(call.name),
                "{}",
                call.grpc
            );
        }
        assert_eq!(kind("RpcService/StreamCallRpc"), Some("call_rpc"));
        assert_eq!(kind("ConfigService/StreamGetConfig"), None);
    }
}
