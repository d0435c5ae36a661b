//! Small replies that the gateway reads itself: what a device tells of its sessions, its schemas, its commands.

use super::Gateway;
use super::call::CallContext;
use super::failure::{self, Asked};
use super::reply::unreadable;
use crate::device::{self, Device};
use crate::error::Error;
use crate::netconf::capability::Capabilities;
use crate::netconf::rpc::{RequestError, Rpc};
use crate::session::RawReply;
use crate::xml::Limits;
use crate::xml::tree::Element;

/// A reply as a tree, if it has at most `most` bytes.
///
/// # Errors
/// A reply that is larger, or cannot be read back.
pub(super) fn tree(device: &str, raw: &RawReply, most: u64) -> Result<Element, Error> {
    let broken = |detail: String| unreadable(device, raw.session_id, &raw.message_id, &detail);
    let text = raw
        .source
        .read_to_string(most)
        .map_err(|error| broken(error.to_string()))?;
    Element::parse(&text, &Limits::default()).map_err(|error| broken(error.to_string()))
}

/// The text of a child that has one.
pub(super) fn text_of(element: &Element, leaf: &str) -> Option<String> {
    element
        .child(leaf)
        .map(Element::text)
        .filter(|text| !text.is_empty())
}

impl Gateway {
    /// Asks for something that becomes no JSON.
    ///
    /// # Errors
    /// Why there is no session; the device's refusal.
    pub(super) async fn told(
        &self,
        ctx: &CallContext,
        name: &str,
        device: &Device,
        build: impl FnOnce(&Capabilities) -> Result<Rpc, RequestError> + Send + 'static,
    ) -> Result<RawReply, Error> {
        let request = device::Request {
            selection: None,
            ..device::Request::new(build)
        };
        let raw = device
            .read(ctx.principal.id(), self.deadline(ctx, device), request)
            .await
            .map_err(failure::device)?;
        if raw.scan.is_error() {
            return Err(
                failure::refused(name, raw.session_id, raw.scan.into_errors(), Asked::Read)
                    .with_message(Some(raw.session_id), Some(raw.message_id)),
            );
        }
        Ok(raw)
    }
}
