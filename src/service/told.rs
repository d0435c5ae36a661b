//! Small replies that the gateway reads itself: what a device tells of its sessions, its schemas, its commands.

use super::Gateway;
use super::call::CallContext;
use super::failure::{self, Asked};
use super::reply::unreadable;
use crate::device::{self, Device};
use crate::error::Error;
use crate::netconf::capability::Capabilities;
use crate::netconf::rpc::{RequestError, Rpc};
use crate::xml::Limits;
use crate::xml::tree::Element;

/// A reply as a tree, and where it came.
pub(super) struct Told {
    pub reply: Element,
    pub session_id: u64,
    pub message_id: String,
}

impl Told {
    /// A reply that is not what the operation replies.
    pub fn unreadable(&self, device: &str, detail: &str) -> Error {
        unreadable(device, self.session_id, &self.message_id, detail)
    }
}

/// The text of a child that has one.
pub(super) fn text_of(element: &Element, leaf: &str) -> Option<String> {
    element
        .child(leaf)
        .map(Element::text)
        .filter(|text| !text.is_empty())
}

impl Gateway {
    /// Asks for something of which at most `most` bytes are looked at.
    ///
    /// # Errors
    /// Why there is no session; the device's refusal; a reply that is larger.
    pub(super) async fn told(
        &self,
        ctx: &CallContext,
        name: &str,
        device: &Device,
        most: u64,
        build: impl FnOnce(&Capabilities) -> Result<Rpc, RequestError> + Send + 'static,
    ) -> Result<Told, Error> {
        let request = device::Request {
            selection: None,
            ..device::Request::new(build)
        };
        let raw = device
            .read(ctx.principal.id(), self.deadline(ctx, device), request)
            .await
            .map_err(failure::device)?;
        let (session_id, message_id) = (raw.session_id, raw.message_id);
        if raw.scan.is_error() {
            return Err(failure::refused(name, session_id, raw.scan.errors, Asked::Read)
                .with_message(Some(session_id), Some(message_id)));
        }
        let broken = |detail: String| unreadable(name, session_id, &message_id, &detail);
        let text = raw
            .source
            .read_to_string(most)
            .map_err(|error| broken(error.to_string()))?;
        let reply = Element::parse(&text, &Limits::default()).map_err(|error| broken(error.to_string()))?;
        Ok(Told {
            reply,
            session_id,
            message_id,
        })
    }
}
