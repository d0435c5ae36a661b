//! Reads and RPCs in edit sessions, through both doors.

use ncgate::api::grpc::proto;
use reqwest::Method;
use serde_json::{Value, json};

use super::TestGateway;
use super::doors::{Answered, Door, refused, with_query};
use super::grpc;

impl TestGateway {
    /// Configuration as an edit session sees it; `options` are those of the query, output options included.
    pub async fn edited(&self, door: Door, device: &str, id: &str, options: &[(&str, &str)]) -> Answered {
        match door {
            Door::Rest => {
                let path = with_query(&format!("{device}/edit-sessions/{id}/config"), options);
                self.call(Method::GET, &path, None).await
            }
            Door::Grpc => {
                let (query, output) = grpc::config_query(options);
                let request = proto::GetEditSessionConfigRequest {
                    device: device.to_owned(),
                    id: id.to_owned(),
                    query: Some(query),
                    output: Some(output),
                };
                let answer = self
                    .edit_sessions()
                    .get_edit_session_config(request)
                    .await
                    .map_err(refused)?;
                Ok(grpc::envelope(answer.into_inner().reply.expect("a reply")))
            }
        }
    }

    /// An RPC in the session of an edit session, or the plan of it.
    pub async fn edit_session_rpc(
        &self,
        door: Door,
        device: &str,
        id: &str,
        rpc: Value,
        plan: bool,
    ) -> Answered {
        match door {
            Door::Rest => {
                let path = format!("{device}/edit-sessions/{id}/rpc");
                let path = if plan { format!("{path}?plan") } else { path };
                self.call(Method::POST, &path, Some(&json!({"rpc": rpc}))).await
            }
            Door::Grpc => {
                use proto::call_edit_session_rpc_response::Result as Answer;
                let content = Some(proto::payload::Content::Json(rpc.to_string()));
                let request = proto::CallEditSessionRpcRequest {
                    device: device.to_owned(),
                    id: id.to_owned(),
                    rpc: Some(proto::Rpc {
                        body: Some(proto::Payload { content }),
                        attributes: Vec::new(),
                    }),
                    output: None,
                    plan,
                    ..Default::default()
                };
                let answer = self
                    .edit_sessions()
                    .call_edit_session_rpc(request)
                    .await
                    .map_err(refused)?;
                Ok(match answer.into_inner().result.expect("a reply or a plan") {
                    Answer::Reply(reply) => grpc::envelope(reply),
                    Answer::Plan(plan) => grpc::plan(plan),
                    Answer::Operation(operation) => panic!("not asked for: {operation:?}"),
                })
            }
        }
    }
}
