//! Who holds what on a device, and clearing what somebody forgot in the candidate.

use super::Gateway;
use super::call::CallContext;
use super::edit::request::DiscardCandidateRequest;
use super::edit::view::{DiscardedView, LockList, Planned};
use super::time::rfc3339;
use crate::device::{Holder, Occupant};
use crate::error::{Error, ErrorCode};
use crate::netconf::lock_refusal::LockHolder;

/// The refusal of the candidate because another edit session or change of the gateway has it. `holders`: who holds
/// sessions of the device, if that is known.
pub(super) fn held_here(device: &str, occupant: Option<&Occupant>, holders: &[Holder]) -> Error {
    let holding = occupant.and_then(|occupant| holders.iter().find(|holder| holder.id == occupant.id));
    let holder = LockHolder {
        session_id: holding.map(|holder| holder.session_id),
        user: occupant.map(|occupant| occupant.who.clone()),
        since: holding.map(|holder| rfc3339(holder.since)),
        ..LockHolder::default()
    };
    let who = occupant.map_or_else(
        || "another edit session or change of the gateway".to_owned(),
        |occupant| match &occupant.id {
            Some(id) => format!("{} of {}", id, occupant.who),
            None => occupant.who.clone(),
        },
    );
    Error::new(
        ErrorCode::LockDenied,
        format!("the candidate is in the hands of {who}"),
    )
    .with_device(device)
    .with_reason("held")
    .with_holder(holder)
    .with_hint("wait_seconds waits for it; mode private works beside it")
}

impl Gateway {
    /// The locks and private copies on a device: ours exactly, others' as far as the device told lately. Role `read`.
    /// Never tries a lock to find out (L4).
    ///
    /// # Errors
    /// `not-found`. A device that cannot be reached is no error: what is known without it is listed.
    pub async fn list_locks(&self, ctx: &CallContext, device: &str) -> Result<LockList, Error> {
        let _ = (ctx, device);
        Err(Error::new(ErrorCode::OperationNotSupported, "not yet"))
    }

    /// Discards the uncommitted changes that somebody left in the shared candidate, if they are still what the caller
    /// looked at. Role `admin`.
    ///
    /// # Errors
    /// `precondition-failed`, reason `diff`, with the difference as it is now; `lock-denied` when somebody holds the
    /// lock; `capability-missing` without a candidate.
    pub async fn discard_candidate(
        &self,
        ctx: &CallContext,
        device: &str,
        request: DiscardCandidateRequest,
    ) -> Result<Planned<DiscardedView>, Error> {
        let _ = (ctx, device, request);
        Err(Error::new(ErrorCode::OperationNotSupported, "not yet"))
    }
}
