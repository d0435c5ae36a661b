//! Locks, kills and whole configurations through both doors.

use ncgate::api::grpc::proto;
use proto::config_service_client::ConfigServiceClient;
use proto::device_service_client::DeviceServiceClient;
use reqwest::Method;
use serde_json::{Value, json};

use super::TestGateway;
use super::doors::{Answered, Door, refused};
use super::grpc::{self, given};
use super::write::{flag, holder, planned, rpc_errors, text};

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

impl TestGateway {
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
                    discard_others: flag(&body["discard_others"]),
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
                    discard_others: flag(&body["discard_others"]),
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
                    confirm_others: flag(&body["confirm_others"]),
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
