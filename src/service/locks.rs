//! Who holds what on a device, and clearing what somebody forgot in the candidate.

use super::Gateway;
use super::call::CallContext;
use super::edit::request::DiscardCandidateRequest;
use super::edit::view::{DiscardedView, LockList, Planned};
use crate::error::{Error, ErrorCode};

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
