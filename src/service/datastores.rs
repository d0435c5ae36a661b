//! Operations on whole configurations: copy, delete, validate, and the rescue configuration (S12–S14).

use super::Gateway;
use super::call::CallContext;
use super::edit::request::{
    CopyConfigRequest, DeleteConfigRequest, SaveRescueRequest, ValidateConfigRequest,
};
use super::reply::RpcAnswer;
use crate::error::{Error, ErrorCode};

impl Gateway {
    /// `<copy-config>`: one whole configuration over another. Role `configure`. What becomes of the candidate stays
    /// there uncommitted, for everybody: a warning says so. The answer is the device's reply, as of any RPC.
    ///
    /// # Errors
    /// `invalid-argument` (`/source`, `/target`), `capability-missing`, the device's refusal.
    ///
    /// # Cancel safety
    /// Dropping the future before the RPC is sent keeps it from being sent; afterwards it runs to its end.
    pub async fn copy_config(
        &self,
        ctx: &CallContext,
        device: &str,
        request: CopyConfigRequest,
    ) -> Result<RpcAnswer, Error> {
        let _ = (ctx, device, request);
        Err(Error::new(ErrorCode::OperationNotSupported, "not yet"))
    }

    /// `<delete-config>`: a whole configuration goes. Role `configure`.
    ///
    /// # Errors
    /// As [`Self::copy_config`].
    ///
    /// # Cancel safety
    /// As [`Self::copy_config`].
    pub async fn delete_config(
        &self,
        ctx: &CallContext,
        device: &str,
        request: DeleteConfigRequest,
    ) -> Result<RpcAnswer, Error> {
        let _ = (ctx, device, request);
        Err(Error::new(ErrorCode::OperationNotSupported, "not yet"))
    }

    /// `<validate>`: whether a configuration would be accepted. Role `configure`, because on some devices a check has
    /// effects (junos: it may confirm a pending commit).
    ///
    /// # Errors
    /// As [`Self::copy_config`]; what is wrong with the configuration is the device's refusal.
    ///
    /// # Cancel safety
    /// As [`Self::copy_config`].
    pub async fn validate_config(
        &self,
        ctx: &CallContext,
        device: &str,
        request: ValidateConfigRequest,
    ) -> Result<RpcAnswer, Error> {
        let _ = (ctx, device, request);
        Err(Error::new(ErrorCode::OperationNotSupported, "not yet"))
    }

    /// What is committed now becomes the rescue configuration; Junos only. Role `configure`.
    ///
    /// # Errors
    /// As [`Self::copy_config`].
    ///
    /// # Cancel safety
    /// As [`Self::copy_config`].
    pub async fn save_rescue_config(
        &self,
        ctx: &CallContext,
        device: &str,
        request: SaveRescueRequest,
    ) -> Result<RpcAnswer, Error> {
        let _ = (ctx, device, request);
        Err(Error::new(ErrorCode::OperationNotSupported, "not yet"))
    }
}
