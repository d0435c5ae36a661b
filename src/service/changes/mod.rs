//! Changes: the nine steps of one write in one call (design section 6, S31).

use super::Gateway;
use super::call::CallContext;
use super::edit::request::{ChangeRequest, ListChanges};
use super::edit::view::{ChangeList, ChangeView, Planned};
use crate::error::{Error, ErrorCode};

impl Gateway {
    /// Makes a change: session, lock or open, edits, validate, difference, commit, save, unlock or close. Role
    /// `configure`. Runs in a task of its own to its end, whether or not the caller waits; `Done` is the finished
    /// change (201 with `Location`), in state `committed`, `unchanged`, `scheduled`, or, after a dry run, `discarded`.
    ///
    /// # Errors
    /// What failed, with `change_id`, `step`, `outcome`, the device's rpc-errors and, for a refused lock, `reason`,
    /// `holder` and the difference that is in the way; whatever had been done is undone then, unless the outcome is
    /// `unknown`. `invalid-argument` with pointers into the body, and `capability-missing`, before anything is sent;
    /// these have no change.
    ///
    /// # Cancel safety
    /// A dropped call leaves the change running; its record tells what came of it.
    pub async fn create_change(
        &self,
        ctx: &CallContext,
        device: &str,
        request: ChangeRequest,
    ) -> Result<Planned<ChangeView>, Error> {
        let _ = (ctx, device, request);
        Err(Error::new(ErrorCode::OperationNotSupported, "not yet"))
    }

    /// The changes of a device, the newest first. Role `read`.
    ///
    /// # Errors
    /// `not-found` for the device; `invalid-argument` for a state that does not exist and for a page token of another
    /// list.
    pub async fn list_changes(
        &self,
        ctx: &CallContext,
        device: &str,
        request: ListChanges,
    ) -> Result<ChangeList, Error> {
        let _ = (ctx, device, request);
        Err(Error::new(ErrorCode::OperationNotSupported, "not yet"))
    }

    /// One change as it is now, running or finished. Role `read`.
    ///
    /// # Errors
    /// `not-found`.
    pub async fn get_change(&self, ctx: &CallContext, device: &str, id: &str) -> Result<ChangeView, Error> {
        let _ = (ctx, device, id);
        Err(Error::new(ErrorCode::OperationNotSupported, "not yet"))
    }

    /// Calls a scheduled commit off (conventions E6). Role `configure`; its owner or an admin. Gives the change, then
    /// in state `cancelled`.
    ///
    /// # Errors
    /// `not-found`, `not-owner`; `invalid-state` for a change that is not scheduled (any more); the device's refusal.
    pub async fn cancel_change(
        &self,
        ctx: &CallContext,
        device: &str,
        id: &str,
        plan: bool,
    ) -> Result<Planned<ChangeView>, Error> {
        let _ = (ctx, device, id, plan);
        Err(Error::new(ErrorCode::OperationNotSupported, "not yet"))
    }
}
