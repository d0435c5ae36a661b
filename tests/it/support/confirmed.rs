//! Confirmed commits through both doors, and time that is made to pass.

use std::time::Duration;

use ncgate::api::grpc::proto;
use ncgate::clock::Clock;
use proto::confirmed_commit_service_client::ConfirmedCommitServiceClient;
use reqwest::Method;
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::TestGateway;
use super::doors::{Answered, Door, refused};
use super::grpc::{self, given};
use super::write::{flag, number, rpc_errors};

/// A clock that goes by the runtime's time, for a gateway and its devices alike.
pub fn clock() -> Clock {
    let start = OffsetDateTime::from_unix_timestamp(1_767_323_045).expect("a moment of 2026");
    Clock::simulated(start, "boot")
}

/// Lets time pass at once, for everything in this runtime.
pub async fn pass(time: Duration) {
    /// Also when nobody waits for it any more: time that stands is passed over as soon as nothing else is to be done.
    struct Going;
    impl Drop for Going {
        fn drop(&mut self) {
            tokio::time::resume();
        }
    }
    tokio::time::pause();
    let _going = Going;
    tokio::time::advance(time).await;
}

/// How long a device has for its answers between two steps of time. What is asked of it must be given much more time.
const PAUSE: Duration = Duration::from_millis(20);

/// Lets time pass in such steps until it ends.
pub async fn while_time_passes<T>(step: Duration, ends: impl Future<Output = T>) -> T {
    let mut ends = std::pin::pin!(ends);
    for _ in 0..500 {
        tokio::select! {
            biased;
            end = &mut ends => return end,
            () = tokio::time::sleep(PAUSE) => pass(step).await,
        }
    }
    panic!("it does not end within {:?}", 500 * step);
}

/// Lets time pass in such steps until `check` is true.
pub async fn time_passes_until(step: Duration, what: &str, mut check: impl AsyncFnMut() -> bool) {
    let checking = async {
        while !check().await {
            tokio::time::sleep(PAUSE / 2).await;
        }
    };
    tokio::select! {
        () = checking => {}
        () = while_time_passes(step, std::future::pending()) => panic!("still not: {what}"),
    }
}

pub fn confirmed_commit(commit: proto::ConfirmedCommit) -> Value {
    given(json!({
        "id": commit.id,
        "device": commit.device,
        "change_id": commit.change_id,
        "owner": commit.owner,
        "state": commit.state,
        "by": commit.by,
        "reason": commit.reason,
        "timeout_seconds": commit.timeout_seconds,
        "deadline": commit.deadline,
        "deadline_earliest": commit.deadline_earliest,
        "persistent": commit.persistent,
        "session_id": commit.session_id,
        "seen": commit.seen,
        "warnings": rpc_errors(commit.warnings),
        "probe": commit.probe.map(|probe| {
            given(json!({
                "state": probe.state,
                "attempts": probe.attempts,
                "last_attempt_time": probe.last_attempt_time,
                "last_failure": probe.last_failure.map(|failure| {
                    given(json!({
                        "detail": failure.detail,
                        "pointer": failure.pointer,
                        "expected": failure.expected,
                        "seen": failure.seen,
                    }))
                }),
            }))
        }),
        "create_time": commit.create_time,
        "update_time": commit.update_time,
    }))
}

/// The answer of an order: `$module` is that of its oneof.
macro_rules! ordered {
    ($module:ident, $answer:expr) => {
        match $answer.into_inner().result.expect("a result") {
            proto::$module::Result::ConfirmedCommit(commit) => Ok(confirmed_commit(commit)),
            proto::$module::Result::Plan(plan) => Ok(grpc::plan(plan)),
            proto::$module::Result::Operation(operation) => panic!("not asked for: {operation:?}"),
        }
    };
}

impl TestGateway {
    fn confirmed_commits(&self) -> ConfirmedCommitServiceClient<tonic::transport::Channel> {
        ConfirmedCommitServiceClient::new(self.channel())
    }

    pub async fn confirmed_commit(&self, door: Door, id: &str) -> Answered {
        match door {
            Door::Rest => {
                let path = format!("/v1/confirmed-commits/{id}");
                self.rest(self.request(Method::GET, &path)).await
            }
            Door::Grpc => {
                let request = proto::GetConfirmedCommitRequest { id: id.to_owned() };
                let answer = self.confirmed_commits().get_confirmed_commit(request).await;
                let answer = answer.map_err(refused)?.into_inner();
                Ok(confirmed_commit(
                    answer.confirmed_commit.expect("a confirmed commit"),
                ))
            }
        }
    }

    /// The list of those in this state of this device.
    pub async fn list_confirmed_commits(&self, door: Door, device: &str, state: &str) -> Answered {
        match door {
            Door::Rest => {
                let path = format!("/v1/confirmed-commits?device={device}&state={state}");
                let mut page = self.rest(self.request(Method::GET, &path)).await?;
                Ok(page["confirmed_commits"].take())
            }
            Door::Grpc => {
                let request = proto::ListConfirmedCommitsRequest {
                    device: device.to_owned(),
                    state: state.to_owned(),
                    ..Default::default()
                };
                let answer = self.confirmed_commits().list_confirmed_commits(request).await;
                let commits = answer.map_err(refused)?.into_inner().confirmed_commits;
                Ok(commits.into_iter().map(confirmed_commit).collect())
            }
        }
    }

    /// `confirm`, `cancel` or `extend`.
    pub async fn order(&self, door: Door, id: &str, action: &str, body: Value) -> Answered {
        let (id, plan) = (id.to_owned(), flag(&body["plan"]));
        match (door, action) {
            (Door::Rest, _) => {
                let path = format!("/v1/confirmed-commits/{id}/{action}?plan={plan}");
                let request = self.request(Method::POST, &path);
                self.rest(match body {
                    body if body.is_null() || action == "cancel" => request,
                    mut body => {
                        // It stands in the query.
                        body.as_object_mut().expect("an object").remove("plan");
                        request.json(&body)
                    }
                })
                .await
            }
            (Door::Grpc, "confirm") => {
                let request = proto::ConfirmConfirmedCommitRequest {
                    id,
                    accept_candidate: flag(&body["accept_candidate"]),
                    plan,
                    ..Default::default()
                };
                let mut client = self.confirmed_commits();
                let answer = client.confirm_confirmed_commit(request).await.map_err(refused)?;
                ordered!(confirm_confirmed_commit_response, answer)
            }
            (Door::Grpc, "cancel") => {
                let request = proto::CancelConfirmedCommitRequest {
                    id,
                    plan,
                    ..Default::default()
                };
                let mut client = self.confirmed_commits();
                let answer = client.cancel_confirmed_commit(request).await.map_err(refused)?;
                ordered!(cancel_confirmed_commit_response, answer)
            }
            (Door::Grpc, "extend") => {
                let request = proto::ExtendConfirmedCommitRequest {
                    id,
                    confirm_timeout_seconds: number(&body["confirm_timeout_seconds"]),
                    plan,
                    ..Default::default()
                };
                let mut client = self.confirmed_commits();
                let answer = client.extend_confirmed_commit(request).await.map_err(refused)?;
                ordered!(extend_confirmed_commit_response, answer)
            }
            (Door::Grpc, action) => panic!("there is no {action}"),
        }
    }
}
