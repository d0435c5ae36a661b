//! Steps in a held session, and their replies judged.

use tokio::time::Instant;

use super::edit::differing::Differing;
use super::edit::script::Step;
use super::failure::{self, Asked};
use crate::device::{Answer, Held, Request};
use crate::error::{Diff, Error};
use crate::pool::Touch;
use crate::session::RawReply;

/// A step as a session is asked for it.
pub(super) fn asked(step: Step) -> (Request, Touch) {
    let Step { rpc, touch, .. } = step;
    let request = Request {
        build: Box::new(move |_| Ok(rpc)),
        attributes: Vec::new(),
        selection: None,
    };
    (request, touch)
}

/// Sends a step, at most once.
///
/// # Errors
/// As [`judge`].
pub(super) async fn send(
    step: Step,
    held: &mut Held,
    device: &str,
    deadline: Instant,
) -> Result<RawReply, Error> {
    let (request, touch) = asked(step);
    judge(device, held.call(deadline, request, touch).await)
}

/// What came of a step.
///
/// # Errors
/// What the device refuses, outcome `not_applied`; a reply that did not come, outcome `unknown` if the step may have
/// changed something.
pub(super) fn judge(device: &str, answer: Answer) -> Result<RawReply, Error> {
    let raw = answer.map_err(failure::device)?;
    if raw.scan.is_error() {
        let error = failure::refused(device, raw.session_id, raw.scan.into_errors(), Asked::Write);
        return Err(error.with_message(Some(raw.session_id), Some(raw.message_id)));
    }
    Ok(raw)
}

/// What the candidate differs in from what is running.
///
/// # Errors
/// As [`send`]; replies that cannot be read.
pub(super) async fn look(
    differing: &Differing,
    held: &mut Held,
    device: &str,
    deadline: Instant,
) -> Result<Diff, Error> {
    let mut replies = Vec::new();
    for step in &differing.steps {
        replies.push(send(step.clone(), held, device, deadline).await?);
    }
    differing.read(device, replies).await
}
