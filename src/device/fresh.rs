//! RPCs in a session that is opened for them and closed afterwards: what tells whether a device can be reached still, and
//! what is needed to find out about a commit. It has no turn of the lane, because the place that is kept for confirming
//! and resolving is its own (Q1).

use std::sync::Arc;

use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};

use super::call::{
    Answer, CLOSE_GRACE, Request, Sessions, check_attributes, interrupted, observe, offered, request_error,
};
use super::core::Core;
use super::error::DeviceError;
use super::{Device, errand};
use crate::netconf::capability::Capabilities;
use crate::netconf::rpc::RequestError;
use crate::pool::Touch;
use crate::session::Traces;

/// Makes the RPCs for a device with these capabilities.
type Asks = Box<dyn FnOnce(&Capabilities) -> Result<Vec<(Request, Touch)>, RequestError> + Send>;

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
        let asks = |_: &Capabilities| Ok(vec![(request, Touch::Nothing)]);
        let answer = self.call_afresh(deadline, asks).await?.pop();
        // There is one for each that was sent.
        answer.unwrap_or_else(|| Err(interrupted(&self.core, false)))
    }

    /// RPCs over a new connection, one after the other up to the first that fails, each at most once; the `Touch` says
    /// what it does. An answer for each that was sent, or was to be. What the session holds then goes with it.
    ///
    /// # Errors
    /// As [`Self::read_afresh`]: nothing was sent.
    ///
    /// # Cancel safety
    /// As [`Self::read_afresh`].
    pub async fn call_afresh(
        &self,
        deadline: Instant,
        asks: impl FnOnce(&Capabilities) -> Result<Vec<(Request, Touch)>, RequestError> + Send + 'static,
    ) -> Result<Vec<Answer>, DeviceError> {
        let (answer, receiver) = oneshot::channel();
        let job = Afresh {
            core: self.core.clone(),
            sessions: self.sessions.clone(),
            deadline,
            asks: Box::new(asks),
            answer,
        };
        let answered = errand::run(&self.core.around.tracker, job.run(), receiver).await;
        answered.unwrap_or_else(|| Err(interrupted(&self.core, true)))
    }
}

struct Afresh {
    core: Arc<Core>,
    sessions: Arc<Sessions>,
    deadline: Instant,
    asks: Asks,
    answer: oneshot::Sender<Result<Vec<Answer>, DeviceError>>,
}

impl Afresh {
    async fn run(self) {
        let Self {
            core,
            sessions,
            deadline,
            asks,
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
                let _ = answer.send(Err(core.late()));
                // What is being opened is ended in order.
                if let Ok(fresh) = opening.await {
                    fresh.handle.close(CLOSE_GRACE).await;
                }
                return;
            }
        };
        let capabilities = offered(&core, handle.capabilities());
        let requests = match asks(&capabilities) {
            Ok(requests) => requests,
            Err(error) => {
                let _ = answer.send(Err(request_error(&core, error)));
                handle.close(CLOSE_GRACE).await;
                return;
            }
        };
        let mut answers = Vec::with_capacity(requests.len());
        for (request, touch) in requests {
            let answered = match request.into_call(&capabilities, deadline, Traces::None) {
                Ok(call) => {
                    let result = handle.call(call).await;
                    observe(&core, "fresh", &result);
                    let (session_id, mutates) = (handle.session_id(), touch.mutates());
                    result.map_err(|error| DeviceError::in_session(core.name(), session_id, mutates, error))
                }
                Err(error) => Err(request_error(&core, error)),
            };
            let failed = answered.as_ref().map_or(true, |reply| reply.scan.is_error());
            answers.push(answered);
            if failed || answer.is_closed() {
                break;
            }
        }
        let _ = answer.send(Ok(answers));
        handle.idle().await;
        handle.close(CLOSE_GRACE).await;
    }
}
