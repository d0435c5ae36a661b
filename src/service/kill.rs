//! Ending somebody else's NETCONF session (S26, conventions L5).

use super::Gateway;
use super::call::CallContext;
use super::edit::request::KillRequest;
use super::edit::view::{KilledView, Planned};
use crate::error::{Error, ErrorCode};

impl Gateway {
    /// `<kill-session>`. Role `admin`. What the caller demands of the victim is read again just before; an edit
    /// session of the gateway that is killed is `lost: killed` at once.
    ///
    /// # Errors
    /// `precondition-failed`, reason `user` or `idle`, when the victim is not as demanded or the device does not tell;
    /// `access-denied` with a hint at the permission that the device asks for; the device's other refusals.
    pub async fn kill_session(
        &self,
        ctx: &CallContext,
        device: &str,
        session_id: u64,
        request: KillRequest,
    ) -> Result<Planned<KilledView>, Error> {
        let _ = (ctx, device, session_id, request);
        Err(Error::new(ErrorCode::OperationNotSupported, "not yet"))
    }
}
