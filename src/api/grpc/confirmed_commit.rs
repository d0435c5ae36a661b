//! `ConfirmedCommitService`: commits that a device undoes unless they are confirmed.

use tonic::{Request, Response, Status};

use super::convert::some;
use super::{Services, carried, context, edit, proto};
use crate::service::edit::request::{ConfirmRequest, ExtendRequest, ListConfirmedCommits};
use crate::service::edit::view::Planned;

#[tonic::async_trait]
impl proto::confirmed_commit_service_server::ConfirmedCommitService for Services {
    async fn list_confirmed_commits(
        &self,
        request: Request<proto::ListConfirmedCommitsRequest>,
    ) -> Result<Response<proto::ListConfirmedCommitsResponse>, Status> {
        let name = "ConfirmedCommitService/ListConfirmedCommits";
        context::call(&self.0, name, request, async |ctx, input| {
            let request = ListConfirmedCommits {
                page_size: input.page_size,
                page_token: some(input.page_token),
                device: some(input.device),
                state: some(input.state),
            };
            let page = self.0.gateway.list_confirmed_commits(&ctx, request).await?;
            let commits = page.confirmed_commits.into_iter().map(edit::confirmed_commit);
            Ok(proto::ListConfirmedCommitsResponse {
                confirmed_commits: commits.collect(),
                next_page_token: page.next_page_token.unwrap_or_default(),
            })
        })
        .await
    }

    async fn get_confirmed_commit(
        &self,
        request: Request<proto::GetConfirmedCommitRequest>,
    ) -> Result<Response<proto::GetConfirmedCommitResponse>, Status> {
        let name = "ConfirmedCommitService/GetConfirmedCommit";
        context::call(&self.0, name, request, async |ctx, input| {
            let commit = self.0.gateway.get_confirmed_commit(&ctx, &input.id).await?;
            Ok(proto::GetConfirmedCommitResponse {
                confirmed_commit: Some(edit::confirmed_commit(commit)),
            })
        })
        .await
    }

    async fn confirm_confirmed_commit(
        &self,
        request: Request<proto::ConfirmConfirmedCommitRequest>,
    ) -> Result<Response<proto::ConfirmConfirmedCommitResponse>, Status> {
        use proto::confirm_confirmed_commit_response::Result as Answer;
        let name = "ConfirmedCommitService/ConfirmConfirmedCommit";
        let this = self.clone();
        carried::call(&self.0, name, request, async move |ctx, input| {
            let request = ConfirmRequest {
                accept_candidate: input.accept_candidate,
                plan: input.plan,
            };
            let gateway = &this.0.gateway;
            let result = match gateway.confirm_confirmed_commit(&ctx, &input.id, request).await? {
                Planned::Done(commit) => Answer::ConfirmedCommit(edit::confirmed_commit(commit)),
                Planned::Plan(plan) => Answer::Plan(edit::plan(plan)),
            };
            Ok(proto::ConfirmConfirmedCommitResponse { result: Some(result) })
        })
        .await
    }

    async fn cancel_confirmed_commit(
        &self,
        request: Request<proto::CancelConfirmedCommitRequest>,
    ) -> Result<Response<proto::CancelConfirmedCommitResponse>, Status> {
        use proto::cancel_confirmed_commit_response::Result as Answer;
        let name = "ConfirmedCommitService/CancelConfirmedCommit";
        let this = self.clone();
        carried::call(&self.0, name, request, async move |ctx, input| {
            let gateway = &this.0.gateway;
            let result = match gateway
                .cancel_confirmed_commit(&ctx, &input.id, input.plan)
                .await?
            {
                Planned::Done(commit) => Answer::ConfirmedCommit(edit::confirmed_commit(commit)),
                Planned::Plan(plan) => Answer::Plan(edit::plan(plan)),
            };
            Ok(proto::CancelConfirmedCommitResponse { result: Some(result) })
        })
        .await
    }

    async fn extend_confirmed_commit(
        &self,
        request: Request<proto::ExtendConfirmedCommitRequest>,
    ) -> Result<Response<proto::ExtendConfirmedCommitResponse>, Status> {
        use proto::extend_confirmed_commit_response::Result as Answer;
        let name = "ConfirmedCommitService/ExtendConfirmedCommit";
        let this = self.clone();
        carried::call(&self.0, name, request, async move |ctx, input| {
            let request = ExtendRequest {
                confirm_timeout_seconds: input.confirm_timeout_seconds,
                plan: input.plan,
            };
            let gateway = &this.0.gateway;
            let result = match gateway.extend_confirmed_commit(&ctx, &input.id, request).await? {
                Planned::Done(commit) => Answer::ConfirmedCommit(edit::confirmed_commit(commit)),
                Planned::Plan(plan) => Answer::Plan(edit::plan(plan)),
            };
            Ok(proto::ExtendConfirmedCommitResponse { result: Some(result) })
        })
        .await
    }
}
