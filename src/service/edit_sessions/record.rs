//! An edit session as it is stored and shown, and the task that stores its end.

use std::sync::Arc;
use std::time::Duration;

use crate::device::{Device, EditHandle, EditMode, EditReason, EditState, EditStatus};
use crate::netconf::datastore::Datastore;
use crate::netconf::rpc_error::RpcError;
use crate::service::Gateway;
use crate::service::edit::view::{EditSessionView, RpcErrorView};
use crate::service::time::rfc3339;
use crate::store::{EditSessionRecord, StoreError};

/// How long to wait before the end of an edit session is stored again that could not be.
const AGAIN: Duration = Duration::from_secs(5);

/// A warning of the gateway's own.
pub(super) fn warning(words: impl Into<String>) -> RpcError {
    RpcError::from(&RpcErrorView::warning(words))
}

/// What is stored of it, brought up to date.
pub(super) fn update(row: &mut EditSessionRecord, handle: &EditHandle) {
    let status = handle.status();
    row.session_id = handle.session_id();
    row.state = status.state.as_str().to_owned();
    row.reason = status.reason.map(|reason| reason.as_str().to_owned());
    row.expires_at = status.expires_at;
    row.ended_at = status.ended_at;
    let mut warnings: Vec<RpcErrorView> = handle.warnings().iter().map(RpcErrorView::from).collect();
    // Before, a commit of it may still run.
    if handle.is_finished() {
        let left = unfinished(handle.facts().mode, &handle.status());
        warnings.extend(left.map(RpcErrorView::warning));
    }
    // Strings in a struct are always JSON.
    row.warnings = serde_json::to_string(&warnings).unwrap_or_else(|_| "[]".to_owned());
}

/// What became of what was edited and not committed, once it has ended (S23, L2). `None`: there was nothing.
fn unfinished(mode: EditMode, status: &EditStatus) -> Option<&'static str> {
    if !status.uncommitted() {
        return None;
    }
    match (mode, status.reason?) {
        // It went on with its session.
        (_, EditReason::ConfirmedCommit) => None,
        _ if status.may_be_committed() => {
            Some("the change of its commit tells what became of what this session edited")
        }
        (EditMode::Shared, _) => Some(
            "what this session edited and did not commit stays in the shared candidate, for everybody to commit or \
             discard",
        ),
        (
            EditMode::Exclusive | EditMode::Private | EditMode::Ephemeral,
            EditReason::Killed | EditReason::SessionLost,
        ) => Some(
            "what this session edited and did not commit was discarded by the device with its NETCONF session",
        ),
        (
            EditMode::Exclusive | EditMode::Private | EditMode::Ephemeral,
            EditReason::Released
            | EditReason::TtlExpired
            | EditReason::GatewayRestarted
            | EditReason::DeviceRemoved,
        ) => Some("what this session edited and did not commit was discarded"),
    }
}

/// What was edited in one whose gateway is gone without a word nobody knows any more.
pub(super) fn warn_of_lost(row: &mut EditSessionRecord) {
    if row.mode != EditMode::Shared.as_str() || row.datastore != Datastore::Candidate.as_str() {
        return;
    }
    let mut warnings: Vec<RpcErrorView> = serde_json::from_str(&row.warnings).unwrap_or_default();
    warnings.push(RpcErrorView::warning(
        "what this session edited and did not commit, if anything, stays in the shared candidate, for everybody to \
         commit or discard",
    ));
    row.warnings = serde_json::to_string(&warnings).unwrap_or_else(|_| "[]".to_owned());
}

/// As callers see it. `live`: what runs knows more than what is stored.
pub(super) fn view(mut row: EditSessionRecord, live: Option<&EditHandle>) -> EditSessionView {
    if let Some(handle) = live {
        update(&mut row, handle);
    }
    let uncommitted = live.is_some_and(|handle| {
        let status = handle.status();
        status.state == EditState::Open && status.uncommitted()
    });
    EditSessionView {
        id: row.id,
        device: row.device,
        mode: row.mode,
        datastore: row.datastore,
        instance: row.instance,
        session_id: row.session_id,
        owner: row.owner,
        ttl_seconds: row.ttl_seconds,
        expires_at: rfc3339(row.expires_at),
        state: row.state,
        reason: row.reason,
        uncommitted,
        warnings: serde_json::from_str(&row.warnings).unwrap_or_default(),
        commit: None,
        create_time: rfc3339(row.created_at),
        end_time: row.ended_at.map(rfc3339),
    }
}

/// Waits for the end of an edit session and stores it.
pub(super) async fn keep_record(
    gateway: Gateway,
    device: Arc<Device>,
    handle: EditHandle,
    mut row: EditSessionRecord,
) {
    handle.finished().await;
    update(&mut row, &handle);
    loop {
        match gateway.inner.store.update_edit_session(&row).await {
            Ok(()) | Err(StoreError::NotFound) => break,
            Err(error) => {
                tracing::error!(edit_session = row.id, error = %error, "the end of an edit session was not stored");
            }
        }
        tokio::select! {
            // Until then it is told as it is known here.
            () = gateway.inner.ending.cancelled() => return,
            () = tokio::time::sleep(AGAIN) => {}
        }
    }
    device.forget_edit_session(handle.id());
}
