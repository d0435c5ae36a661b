//! The write path through both doors. Bodies are those of REST; for gRPC they become messages, and what comes back
//! becomes what REST answers.

use ncgate::api::grpc::proto;
use proto::change_service_client::ChangeServiceClient;
use proto::config_service_client::ConfigServiceClient;
use proto::device_service_client::DeviceServiceClient;
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

fn endpoint(value: &Value) -> Option<proto::ConfigEndpoint> {
    use proto::config_endpoint::Endpoint;
    let endpoint = if let Some(name) = value.as_str() {
        Endpoint::Datastore(name.to_owned())
    } else if let Some(url) = value.get("url") {
        Endpoint::Url(text(url))
    } else {
        let config = value.get("config")?;
        let content = match config.as_str() {
            Some(xml) => proto::payload::Content::Xml(xml.to_owned()),
            None => proto::payload::Content::Json(config.to_string()),
        };
        Endpoint::Config(proto::Payload {
            content: Some(content),
        })
    };
    Some(proto::ConfigEndpoint {
        endpoint: Some(endpoint),
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

    pub async fn locks(&self, door: Door, device: &str) -> Answered {
        match door {
            Door::Rest => self.call(Method::GET, &format!("{device}/locks"), None).await,
            Door::Grpc => {
                let request = proto::ListLocksRequest {
                    device: device.to_owned(),
                };
                let answer = DeviceServiceClient::new(self.channel())
                    .list_locks(request)
                    .await
                    .map_err(refused)?
                    .into_inner();
                let lock = |lock: proto::Lock| {
                    given(json!({
                        "kind": lock.kind,
                        "datastore": lock.datastore,
                        "ours": lock.ours,
                        "edit_session": lock.edit_session,
                        "owner": lock.owner,
                        "holder": lock.holder.map(holder),
                        "expires_at": lock.expires_at,
                        "seen_at": lock.seen_at,
                    }))
                };
                let locks: Vec<Value> = answer.locks.into_iter().map(lock).collect();
                Ok(json!({"locks": locks, "device_reports": answer.device_reports}))
            }
        }
    }

    /// Ends another session; `body` as `POST …/kill` takes it.
    pub async fn kill(&self, door: Door, device: &str, session_id: u64, body: Value) -> Answered {
        match door {
            Door::Rest => {
                let path = format!("{device}/sessions/{session_id}/kill");
                self.call(Method::POST, &path, Some(&body)).await
            }
            Door::Grpc => {
                let request = proto::KillSessionRequest {
                    device: device.to_owned(),
                    session_id,
                    reason: text(&body["reason"]),
                    if_user: text(&body["if_user"]),
                    if_idle_seconds_at_least: body["if_idle_seconds_at_least"].as_u64(),
                    force: flag(&body["force"]),
                    plan: flag(&body["plan"]),
                    ..Default::default()
                };
                let answer = DeviceServiceClient::new(self.channel())
                    .kill_session(request)
                    .await
                    .map_err(refused)?;
                let shape = |killed: proto::KilledSession| {
                    given(json!({
                        "device": device,
                        "session_id": killed.session_id,
                        "victim": killed.victim.map(holder),
                        "edit_session": killed.edit_session,
                        "effects": killed.effects,
                        "warnings": rpc_errors(killed.warnings),
                    }))
                };
                planned!(kill_session_response, Killed, answer, shape)
            }
        }
    }

    /// Discards what somebody left in the candidate.
    pub async fn discard_candidate(&self, door: Door, device: &str, expect: &str) -> Answered {
        match door {
            Door::Rest => {
                let body = json!({"expect_diff_sha256": expect});
                self.call(Method::POST, &format!("{device}/candidate/discard"), Some(&body))
                    .await
            }
            Door::Grpc => {
                let request = proto::DiscardCandidateRequest {
                    device: device.to_owned(),
                    expect_diff_sha256: expect.to_owned(),
                    plan: false,
                    ..Default::default()
                };
                let answer = DeviceServiceClient::new(self.channel())
                    .discard_candidate(request)
                    .await
                    .map_err(refused)?;
                let shape = |discarded: proto::DiscardedCandidate| {
                    json!({
                        "device": device,
                        "discarded": discarded.discarded,
                        "diff": discarded.diff,
                        "diff_sha256": discarded.diff_sha256,
                        "warnings": rpc_errors(discarded.warnings),
                    })
                };
                planned!(discard_candidate_response, Candidate, answer, shape)
            }
        }
    }

    /// `copy`, `delete`, `validate` or `rescue` of whole configurations.
    pub async fn whole(&self, door: Door, device: &str, action: &str, body: Value) -> Answered {
        if door == Door::Rest {
            let body = Some(&body).filter(|body| !body.is_null());
            return self
                .call(Method::POST, &format!("{device}/config/{action}"), body)
                .await;
        }
        let mut client = ConfigServiceClient::new(self.channel());
        let (device, plan, output) = (device.to_owned(), flag(&body["plan"]), None);
        let (source, target) = (endpoint(&body["source"]), endpoint(&body["target"]));
        match action {
            "copy" => {
                let request = proto::CopyConfigRequest {
                    device,
                    source,
                    target,
                    output,
                    plan,
                    ..Default::default()
                };
                let answer = client.copy_config(request).await.map_err(refused)?;
                planned!(copy_config_response, Reply, answer, grpc::envelope)
            }
            "delete" => {
                let request = proto::DeleteConfigRequest {
                    device,
                    target,
                    output,
                    plan,
                    ..Default::default()
                };
                let answer = client.delete_config(request).await.map_err(refused)?;
                planned!(delete_config_response, Reply, answer, grpc::envelope)
            }
            "validate" => {
                let request = proto::ValidateConfigRequest {
                    device,
                    source,
                    output,
                    plan,
                    ..Default::default()
                };
                let answer = client.validate_config(request).await.map_err(refused)?;
                planned!(validate_config_response, Reply, answer, grpc::envelope)
            }
            "rescue" => {
                let request = proto::SaveRescueConfigRequest {
                    device,
                    output,
                    plan,
                    ..Default::default()
                };
                let answer = client.save_rescue_config(request).await.map_err(refused)?;
                planned!(save_rescue_config_response, Reply, answer, grpc::envelope)
            }
            other => panic!("no action {other}"),
        }
    }
}
