//! One read-only RPC in a session that is opened for it and closed afterwards: what tells whether a device can be reached
//! still. It has no turn of the lane, because the place that is kept for confirming and resolving is its own (Q1).

use std::sync::Arc;

use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};

use super::call::{
    Answer, CLOSE_GRACE, Request, Sessions, check_attributes, interrupted, observe, offered, request_error,
};
use super::core::Core;
use super::error::{DeviceError, Failure};
use super::{Device, errand};
use crate::session::Traces;

impl Device {
    /// One read-only RPC over a new connection, never over one that is there already. It is tried once, if the device may
    /// be dialled at all (Q4).
    ///
    /// # Errors
    /// As [`Device::read`]; the step is [`super::Step::Connect`] when no session could be opened.
    ///
    /// # Cancel safety
    /// Safe: what was begun ends by itself.
    pub async fn read_afresh(&self, deadline: Instant, request: Request) -> Answer {
        check_attributes(&self.core, &request)?;
        let (answer, receiver) = oneshot::channel();
        let job = Afresh {
            core: self.core.clone(),
            sessions: self.sessions.clone(),
            deadline,
            request,
            answer,
        };
        let answered = errand::run(&self.core.around.tracker, job.run(), receiver).await;
        answered.unwrap_or_else(|| Err(interrupted(&self.core, false)))
    }
}

struct Afresh {
    core: Arc<Core>,
    sessions: Arc<Sessions>,
    deadline: Instant,
    request: Request,
    answer: oneshot::Sender<Answer>,
}

impl Afresh {
    async fn run(self) {
        let Self {
            core,
            sessions,
            deadline,
            request,
            mut answer,
        } = self;
        if !core.has_place() {
            // One that lies idle makes room.
            let mut left = 1;
            drop(sessions.evict(|_| {
                let keep = left == 0;
                left = 0;
                keep
            }));
        }
        let opening = core.open(false);
        tokio::pin!(opening);
        let opened = tokio::select! {
            opened = &mut opening => Some(opened),
            () = sleep_until(deadline) => None,
            () = answer.closed() => None,
        };
        let handle = match opened {
            Some(Ok(fresh)) => fresh.handle,
            Some(Err(error)) => {
                // Nobody to tell is no harm, here and below.
                let _ = answer.send(Err(error));
                return;
            }
            None => {
                let _ = answer.send(Err(core.refuse(Failure::DeadlineInQueue)));
                // What is being opened is ended in order.
                if let Ok(fresh) = opening.await {
                    fresh.handle.close(CLOSE_GRACE).await;
                }
                return;
            }
        };
        let capabilities = offered(&core, handle.capabilities());
        let result = match request.into_call(&capabilities, deadline, Traces::None) {
            Ok(call) => {
                let result = handle.call(call).await;
                observe(&core, "fresh", &result);
                let session_id = handle.session_id();
                result.map_err(|error| DeviceError::in_session(core.name(), session_id, false, error))
            }
            Err(error) => Err(request_error(&core, error)),
        };
        let _ = answer.send(result);
        handle.idle().await;
        handle.close(CLOSE_GRACE).await;
    }
}
