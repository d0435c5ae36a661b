//! The write path through both doors. Bodies are those of REST; for gRPC they become messages, and what comes back
//! becomes what REST answers. `stores` has locks, kills and whole configurations.

use ncgate::api::grpc::proto;
use proto::change_service_client::ChangeServiceClient;
use proto::edit_session_service_client::EditSessionServiceClient;
use reqwest::Method;
use serde_json::{Value, json};

use super::TestGateway;
use super::doors::{Answered, Door, refused};
use super::grpc::{self, given, member};

pub fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

pub fn flag(value: &Value) -> bool {
    value.as_bool().unwrap_or_default()
}

pub fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_default()
}

fn word<E: Into<i32>>(value: &Value, of: impl Fn(&str) -> Option<E>, prefix: &str) -> i32 {
    value.as_str().map_or(0, |word| member(of, prefix, word).into())
}

fn edit(body: &Value) -> proto::Edit {
    use proto::edit::Change;
    let change = if let Some(config) = body.get("config") {
        let content = config.as_str().map_or_else(|| config.to_string(), str::to_owned);
        Some(Change::Content(content))
    } else if let Some(url) = body.get("url") {
        Some(Change::Url(text(url)))
    } else if let Some(rollback) = body["rollback"].as_u64() {
        Some(Change::Rollback(u32::try_from(rollback).expect("a small number")))
    } else if let Some(rescue) = body["rescue"].as_bool() {
        Some(Change::Rescue(rescue))
    } else {
        body.get("replace_pattern").map(|pattern| {
            Change::ReplacePattern(proto::ReplacePattern {
                pattern: text(&pattern["pattern"]),
                with: text(&pattern["with"]),
                path: text(&pattern["path"]),
            })
        })
    };
    proto::Edit {
        action: word(&body["action"], proto::EditAction::from_str_name, "EDIT_ACTION"),
        format: word(&body["format"], proto::EditFormat::from_str_name, "EDIT_FORMAT"),
        path: text(&body["path"]),
        change,
        whole_configuration: flag(&body["whole_configuration"]),
        discard_others: flag(&body["discard_others"]),
        error_option: word(
            &body["error_option"],
            proto::ErrorOption::from_str_name,
            "ERROR_OPTION",
        ),
        test_option: word(
            &body["test_option"],
            proto::TestOption::from_str_name,
            "TEST_OPTION",
        ),
        protocol: word(
            &body["protocol"],
            proto::EditProtocol::from_str_name,
            "EDIT_PROTOCOL",
        ),
    }
}

fn commit(body: &Value) -> proto::CommitOptions {
    proto::CommitOptions {
        comment: text(&body["comment"]),
        at: text(&body["at"]),
        synchronize: flag(&body["synchronize"]),
        force_synchronize: flag(&body["force_synchronize"]),
        full: flag(&body["full"]),
        save: body["save"].as_bool(),
        confirm_timeout_seconds: body["confirm_timeout_seconds"].as_u64(),
        confirm_others: flag(&body["confirm_others"]),
    }
}

fn probe(body: &Value) -> Option<proto::Probe> {
    let probe = body.get("probe")?;
    let expect = probe["expect"].as_array().into_iter().flatten();
    Some(proto::Probe {
        rpc: probe.get("rpc").map(|rpc| proto::Payload {
            content: Some(proto::payload::Content::Json(rpc.to_string())),
        }),
        expect: expect
            .map(|expect| proto::ProbeExpectation {
                pointer: text(&expect["pointer"]),
                equals: expect["equals"].to_string(),
            })
            .collect(),
        delay_seconds: probe["delay_seconds"].as_u64(),
        interval_seconds: probe["interval_seconds"].as_u64(),
        give_up_seconds: probe["give_up_seconds"].as_u64(),
    })
}

pub fn rpc_errors(errors: Vec<proto::RpcError>) -> Vec<Value> {
    errors.into_iter().map(grpc::rpc_error).collect()
}

pub fn holder(holder: proto::LockHolder) -> Value {
    given(json!({
        "session_id": holder.session_id,
        "user": holder.user,
        "terminal": holder.terminal,
        "since": holder.since,
        "idle": holder.idle,
    }))
}

fn scheduled(commit: proto::ScheduledCommit) -> Value {
    given(json!({"at": commit.at, "time_zone": commit.time_zone}))
}

fn edit_session(session: proto::EditSession) -> Value {
    given(json!({
        "id": session.id,
        "device": session.device,
        "mode": session.mode,
        "datastore": session.datastore,
        "instance": session.instance,
        "session_id": session.session_id,
        "owner": session.owner,
        "ttl_seconds": session.ttl_seconds,
        "expires_at": session.expires_at,
        "state": session.state,
        "reason": session.reason,
        "uncommitted": session.uncommitted,
        "warnings": rpc_errors(session.warnings),
        "create_time": session.create_time,
        "end_time": session.end_time,
        "commit": session.commit.map(|commit| {
            let members: Vec<Value> = commit.members.into_iter().map(member_result).collect();
            given(json!({
                "id": commit.id,
                "state": commit.state,
                "members": (!members.is_empty()).then_some(members),
                "revision": commit.revision,
                "confirmed_commit": commit.confirmed_commit.map(super::confirmed::confirmed_commit),
            }))
        }),
    }))
}

pub fn member_result(member: proto::CommitMember) -> Value {
    json!({"name": member.name, "result": member.result, "errors": rpc_errors(member.errors)})
}

fn change(change: proto::Change) -> Value {
    let steps: Vec<Value> = change
        .steps
        .into_iter()
        .map(|step| json!({"name": step.name, "result": step.result, "undo": step.undo, "duration_ms": step.duration_ms}))
        .collect();
    let members: Vec<Value> = change.members.into_iter().map(member_result).collect();
    let error = change.error.map(|error| {
        given(json!({
            "code": error.code,
            "detail": error.detail,
            "step": error.step,
            "reason": error.reason,
            "holder": error.holder.map(holder),
            "rpc_errors": rpc_errors(error.rpc_errors),
        }))
    });
    given(json!({
        "id": change.id,
        "device": change.device,
        "owner": change.owner,
        "mode": change.mode,
        "state": change.state,
        "outcome": change.outcome,
        "dry_run": change.dry_run,
        "changed": change.changed,
        "diff": change.diff,
        "diff_sha256": change.diff_sha256,
        "steps": steps,
        "warnings": rpc_errors(change.warnings),
        "members": members,
        "undo": change.undo,
        "scheduled": change.scheduled.map(scheduled),
        "session_id": change.session_id,
        "revision": change.revision,
        "error": error,
        "create_time": change.create_time,
        "update_time": change.update_time,
        "confirmed_commit_id": change.confirmed_commit_id,
        "seen": change.seen,
        "confirmed_commit": change.confirmed_commit.map(super::confirmed::confirmed_commit),
    }))
}

/// The answer of a method that can be planned: `$part` is the member of the oneof that is no plan.
macro_rules! planned {
    ($module:ident, $part:ident, $answer:expr, $shape:expr) => {
        match $answer.into_inner().result.expect("a result") {
            proto::$module::Result::$part(value) => Ok($shape(value)),
            proto::$module::Result::Plan(plan) => Ok(grpc::plan(plan)),
            proto::$module::Result::Operation(operation) => panic!("not asked for: {operation:?}"),
        }
    };
}
pub(super) use planned;

impl TestGateway {
    pub(super) async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Answered {
        let request = self.request(method, &format!("/v1/devices/{path}"));
        self.rest(match body {
            None => request,
            Some(body) => request.json(body),
        })
        .await
    }

    fn changes(&self) -> ChangeServiceClient<tonic::transport::Channel> {
        ChangeServiceClient::new(self.channel())
    }

    pub(super) fn edit_sessions(&self) -> EditSessionServiceClient<tonic::transport::Channel> {
        EditSessionServiceClient::new(self.channel())
    }

    /// A change in one call; `body` as `POST …/changes` takes it.
    pub async fn change(&self, door: Door, device: &str, body: Value) -> Answered {
        match door {
            Door::Rest => {
                self.call(Method::POST, &format!("{device}/changes"), Some(&body))
                    .await
            }
            Door::Grpc => {
                let request = proto::CreateChangeRequest {
                    device: device.to_owned(),
                    mode: word(&body["mode"], proto::EditMode::from_str_name, "EDIT_MODE"),
                    instance: text(&body["instance"]),
                    edits: body["edits"].as_array().into_iter().flatten().map(edit).collect(),
                    validate: body["validate"].as_bool(),
                    commit: body.get("commit").map(commit),
                    probe: probe(&body),
                    if_revision: text(&body["if_revision"]),
                    wait_seconds: number(&body["wait_seconds"]),
                    dry_run: flag(&body["dry_run"]),
                    plan: flag(&body["plan"]),
                    ..Default::default()
                };
                let answer = self.changes().create_change(request).await.map_err(refused)?;
                planned!(create_change_response, Change, answer, change)
            }
        }
    }

    pub async fn get_change(&self, door: Door, device: &str, id: &str) -> Answered {
        match door {
            Door::Rest => {
                self.call(Method::GET, &format!("{device}/changes/{id}"), None)
                    .await
            }
            Door::Grpc => {
                let (device, id) = (device.to_owned(), id.to_owned());
                let request = proto::GetChangeRequest { device, id };
                let answer = self.changes().get_change(request).await.map_err(refused)?;
                Ok(change(answer.into_inner().change.expect("a change")))
            }
        }
    }

    /// The changes of a device, without their paging.
    pub async fn list_changes(&self, door: Door, device: &str) -> Answered {
        match door {
            Door::Rest => {
                let mut page = self.call(Method::GET, &format!("{device}/changes"), None).await?;
                Ok(page["changes"].take())
            }
            Door::Grpc => {
                let request = proto::ListChangesRequest {
                    device: device.to_owned(),
                    ..Default::default()
                };
                let answer = self.changes().list_changes(request).await.map_err(refused)?;
                Ok(answer.into_inner().changes.into_iter().map(change).collect())
            }
        }
    }

    pub async fn cancel_change(&self, door: Door, device: &str, id: &str) -> Answered {
        match door {
            Door::Rest => {
                self.call(Method::POST, &format!("{device}/changes/{id}/cancel"), None)
                    .await
            }
            Door::Grpc => {
                let request = proto::CancelChangeRequest {
                    device: device.to_owned(),
                    id: id.to_owned(),
                    plan: false,
                    ..Default::default()
                };
                let answer = self.changes().cancel_change(request).await.map_err(refused)?;
                planned!(cancel_change_response, Change, answer, change)
            }
        }
    }

    /// Opens an edit session; `body` as `POST …/edit-sessions` takes it.
    pub async fn open(&self, door: Door, device: &str, body: Value) -> Answered {
        match door {
            Door::Rest => {
                self.call(Method::POST, &format!("{device}/edit-sessions"), Some(&body))
                    .await
            }
            Door::Grpc => {
                let request = proto::CreateEditSessionRequest {
                    device: device.to_owned(),
                    mode: word(&body["mode"], proto::EditMode::from_str_name, "EDIT_MODE"),
                    datastore: text(&body["datastore"]),
                    instance: text(&body["instance"]),
                    ttl_seconds: number(&body["ttl_seconds"]),
                    wait_seconds: number(&body["wait_seconds"]),
                    plan: flag(&body["plan"]),
                    ..Default::default()
                };
                let answer = self
                    .edit_sessions()
                    .create_edit_session(request)
                    .await
                    .map_err(refused)?;
                planned!(create_edit_session_response, EditSession, answer, edit_session)
            }
        }
    }

    pub async fn edit_session(&self, door: Door, device: &str, id: &str) -> Answered {
        match door {
            Door::Rest => {
                self.call(Method::GET, &format!("{device}/edit-sessions/{id}"), None)
                    .await
            }
            Door::Grpc => {
                let (device, id) = (device.to_owned(), id.to_owned());
                let request = proto::GetEditSessionRequest { device, id };
                let answer = self
                    .edit_sessions()
                    .get_edit_session(request)
                    .await
                    .map_err(refused)?;
                Ok(edit_session(answer.into_inner().edit_session.expect("one")))
            }
        }
    }

    /// The edit sessions of a device, without their paging.
    pub async fn list_edit_sessions(&self, door: Door, device: &str) -> Answered {
        match door {
            Door::Rest => {
                let mut page = self
                    .call(Method::GET, &format!("{device}/edit-sessions"), None)
                    .await?;
                Ok(page["edit_sessions"].take())
            }
            Door::Grpc => {
                let request = proto::ListEditSessionsRequest {
                    device: device.to_owned(),
                    ..Default::default()
                };
                let answer = self
                    .edit_sessions()
                    .list_edit_sessions(request)
                    .await
                    .map_err(refused)?;
                let sessions = answer.into_inner().edit_sessions;
                Ok(sessions.into_iter().map(edit_session).collect())
            }
        }
    }

    /// Ends an edit session.
    pub async fn close(&self, door: Door, device: &str, id: &str) -> Answered {
        match door {
            Door::Rest => {
                self.call(Method::DELETE, &format!("{device}/edit-sessions/{id}"), None)
                    .await
            }
            Door::Grpc => {
                let (device, id) = (device.to_owned(), id.to_owned());
                let request = proto::DeleteEditSessionRequest {
                    device,
                    id,
                    ..Default::default()
                };
                let answer = self.edit_sessions().delete_edit_session(request).await;
                answer.map(|_| Value::Null).map_err(refused)
            }
        }
    }

    /// What the end of an edit session would send.
    pub async fn plan_close(&self, door: Door, device: &str, id: &str) -> Answered {
        match door {
            Door::Rest => {
                let path = format!("{device}/edit-sessions/{id}?plan=true");
                self.call(Method::DELETE, &path, None).await
            }
            Door::Grpc => {
                let request = proto::DeleteEditSessionRequest {
                    device: device.to_owned(),
                    id: id.to_owned(),
                    plan: true,
                    ..Default::default()
                };
                let answer = self.edit_sessions().delete_edit_session(request).await;
                let answer = answer.map_err(refused)?.into_inner();
                Ok(grpc::plan(answer.plan.expect("a plan")))
            }
        }
    }

    /// An edit in an edit session; `body` as `POST …/edit` takes it.
    pub async fn edit(&self, door: Door, device: &str, id: &str, body: Value) -> Answered {
        match door {
            Door::Rest => {
                let path = format!("{device}/edit-sessions/{id}/edit");
                self.call(Method::POST, &path, Some(&body)).await
            }
            Door::Grpc => {
                let request = proto::ApplyEditRequest {
                    device: device.to_owned(),
                    id: id.to_owned(),
                    edit: Some(edit(&body)),
                    plan: flag(&body["plan"]),
                    ..Default::default()
                };
                let answer = self.edit_sessions().apply_edit(request).await.map_err(refused)?;
                planned!(apply_edit_response, EditSession, answer, edit_session)
            }
        }
    }

    /// `validate`, `discard`, `commit` or `renew`, with what the action takes.
    pub async fn act(&self, door: Door, device: &str, id: &str, action: &str, body: Value) -> Answered {
        if door == Door::Rest {
            let path = format!("{device}/edit-sessions/{id}/{action}");
            let body = Some(&body).filter(|body| !body.is_null());
            return self.call(Method::POST, &path, body).await;
        }
        let mut client = self.edit_sessions();
        let (device, id, plan) = (device.to_owned(), id.to_owned(), flag(&body["plan"]));
        match action {
            "validate" => {
                let request = proto::ValidateEditSessionRequest {
                    device,
                    id,
                    plan,
                    confirm_others: flag(&body["confirm_others"]),
                    ..Default::default()
                };
                let answer = client.validate_edit_session(request).await.map_err(refused)?;
                planned!(validate_edit_session_response, EditSession, answer, edit_session)
            }
            "discard" => {
                let request = proto::DiscardEditSessionRequest {
                    device,
                    id,
                    discard_others: flag(&body["discard_others"]),
                    plan,
                    ..Default::default()
                };
                let answer = client.discard_edit_session(request).await.map_err(refused)?;
                planned!(discard_edit_session_response, EditSession, answer, edit_session)
            }
            "commit" => {
                let request = proto::CommitEditSessionRequest {
                    device,
                    id,
                    options: Some(commit(&body)),
                    probe: probe(&body),
                    plan,
                    ..Default::default()
                };
                let answer = client.commit_edit_session(request).await.map_err(refused)?;
                planned!(commit_edit_session_response, EditSession, answer, edit_session)
            }
            "renew" => {
                let request = proto::RenewEditSessionRequest { device, id };
                let answer = client.renew_edit_session(request).await.map_err(refused)?;
                Ok(edit_session(answer.into_inner().edit_session.expect("one")))
            }
            other => panic!("no action {other}"),
        }
    }

    /// What a commit would change.
    pub async fn diff(&self, door: Door, device: &str, id: &str) -> Answered {
        match door {
            Door::Rest => {
                self.call(Method::GET, &format!("{device}/edit-sessions/{id}/diff"), None)
                    .await
            }
            Door::Grpc => {
                let request = proto::DiffEditSessionRequest {
                    device: device.to_owned(),
                    id: id.to_owned(),
                };
                let answer = self
                    .edit_sessions()
                    .diff_edit_session(request)
                    .await
                    .map_err(refused)?
                    .into_inner();
                Ok(json!({
                    "device": device,
                    "changed": answer.changed,
                    "format": answer.format,
                    "diff": answer.diff,
                    "diff_sha256": answer.diff_sha256,
                }))
            }
        }
    }
}
