//! One call or batch on a device, from its turn to the moment its session is free again. It runs to its end (`errand`),
//! so that a caller who leaves costs neither the session that is being opened nor the one being read from.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};

use super::core::{Core, Opener};
use super::error::{DeviceError, Failure, Step};
use super::lane::Turn;
use super::settings::Policy;
use crate::json::Selection;
use crate::netconf::capability::Capabilities;
use crate::netconf::rpc::{self, RequestError, Rpc};
use crate::pool::{CheckoutError, Lent, Pinned, Pool, Touch};
use crate::session::{Call, RawReply, SessionError, SessionHandle, Traces};

/// Further tries of a read (Q3).
pub(super) const RETRIES: usize = 2;
/// How long a session may take for its polite end (S30).
pub(super) const CLOSE_GRACE: Duration = Duration::from_secs(5);

/// Builds an RPC for a device that has these capabilities.
pub type Build = Box<dyn FnOnce(&Capabilities) -> Result<Rpc, RequestError> + Send>;

/// Asked when the turn of a call has come, before anything is sent for it: something that lasts until the device owes no
/// reply to it any more. `None`: it is not sent.
pub type Admit = Box<dyn FnOnce() -> Option<Kept> + Send>;

/// Something that lasts as long as a session is at work.
pub type Kept = Box<dyn Send + Sync>;

/// One RPC that a caller wants.
pub struct Request {
    pub build: Build,
    /// Further attributes of `<rpc>`, which come back on the reply (S8).
    pub attributes: Vec<(String, String)>,
    /// What part of the reply will become JSON, so that the first pass over it can be made as it comes.
    pub selection: Option<Selection>,
}

impl Request {
    /// A request without attributes, whose reply becomes JSON without its envelope.
    pub fn new(build: impl FnOnce(&Capabilities) -> Result<Rpc, RequestError> + Send + 'static) -> Self {
        Self {
            build: Box::new(build),
            attributes: Vec::new(),
            selection: Some(Selection::ReplyPayload),
        }
    }

    pub(super) fn into_call(
        self,
        capabilities: &Capabilities,
        deadline: Instant,
        traces: Traces,
    ) -> Result<Call, RequestError> {
        let rpc = (self.build)(capabilities)?;
        Ok(Call {
            rpc,
            attributes: self.attributes,
            deadline,
            traces,
            selection: self.selection,
        })
    }
}

/// What a batch does when one of its RPCs fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnError {
    /// Those behind it are not sent.
    Stop,
    /// They are.
    Continue,
}

/// The result of one RPC.
pub type Answer = Result<RawReply, DeviceError>;

/// The sessions of a device.
pub(super) type Sessions = Pool<Opener>;

/// One RPC of a batch on its way.
enum Item {
    New(Request),
    /// Built, and not sent, or lost in a way that allows another try, with the error of the last one.
    Open(Call, Option<DeviceError>),
    Done(Box<Answer>),
}

impl Item {
    fn failed(&self) -> bool {
        match self {
            Self::New(_) | Self::Open(_, None) => false,
            Self::Open(_, Some(_)) => true,
            Self::Done(answer) => answer
                .as_ref()
                .as_ref()
                .map_or(true, |reply| reply.scan.is_error()),
        }
    }
}

/// A call that got no session, with what it was going to ask, so that it can ask somewhere else. Nothing was sent.
pub(super) struct Unserved<R> {
    pub(super) error: DeviceError,
    pub(super) requests: R,
}

/// Read-only RPCs of one caller.
pub(super) struct Reads {
    pub(super) core: Arc<Core>,
    pub(super) sessions: Arc<Sessions>,
    pub(super) turn: Turn,
    pub(super) deadline: Instant,
    pub(super) requests: Vec<Request>,
    pub(super) on_error: OnError,
    pub(super) answer: oneshot::Sender<Result<Vec<Answer>, Unserved<Vec<Request>>>>,
}

impl Reads {
    /// Runs to the end, whatever the caller does. The answer has one entry per request, or, when it stopped, up to
    /// the one that failed. The error: no session, nothing sent.
    pub(super) async fn run(self) {
        let Self {
            core,
            sessions,
            turn,
            deadline,
            requests,
            on_error,
            mut answer,
        } = self;
        let mut items: Vec<Item> = requests.into_iter().map(Item::New).collect();
        let mut tries = 0;
        let lent = loop {
            let freed = core.freed.notified();
            let checkout = sessions.checkout();
            tokio::pin!(checkout);
            let checked_out = tokio::select! {
                // A session that is ready needs no timer.
                biased;
                result = &mut checkout => Some(result),
                () = sleep_until(deadline) => None,
                () = answer.closed() => None,
                // The session that is being opened is of use to nobody any more.
                () = core.replaced(), if tries == 0 => {
                    let _ = answer.send(Err(unserved(core.refuse(Failure::Draining), items)));
                    return;
                }
            };
            let lent = match checked_out {
                Some(Ok(lent)) => lent,
                // What the first try ended with says more than that there was no second one.
                Some(Err(_)) if tries > 0 => break None,
                // The device takes no further session, but has some: one of those will do.
                Some(Err(CheckoutError::Connect(error))) if core.has_sessions() => {
                    tokio::select! {
                        () = freed => continue,
                        () = sleep_until(deadline) => {}
                        () = answer.closed() => {}
                        () = core.replaced() => {}
                    }
                    // Nobody to tell is no harm.
                    let _ = answer.send(Err(unserved(error, items)));
                    return;
                }
                Some(Err(error)) => {
                    // Nobody to tell is no harm.
                    let _ = answer.send(Err(unserved(checkout_error(&core, error), items)));
                    return;
                }
                None => {
                    // As above.
                    let _ = answer.send(Err(unserved(core.late(), items)));
                    // The session that is being opened serves the next caller.
                    drop(checkout.await);
                    return;
                }
            };
            let finished = tokio::select! {
                biased;
                () = attempt(&core, &lent, &mut items, deadline, on_error) => true,
                () = answer.closed() => false,
            };
            if !finished {
                // Q7: what was sent is read and dropped; the session is busy until then.
                lent.idle().await;
                give_back(&core, lent, turn);
                return;
            }
            let lost = items.iter().any(|item| matches!(item, Item::Open(_, Some(_))));
            if !lost || tries == RETRIES || Instant::now() >= deadline {
                break Some(lent);
            }
            tries += 1;
            core.around.metrics.retried();
            drop(lent);
            // Q3: on a new session. Those that lie idle may have died of the same cause.
            drop(sessions.evict(|_| false));
        };
        let Some(lent) = lent else {
            let _ = answer.send(Ok(answers(items)));
            return;
        };
        if !lent.is_busy() {
            // Given back before the answer, so that a caller's next read finds it.
            give_back(&core, lent, turn);
            let _ = answer.send(Ok(answers(items)));
        } else {
            // The reply to an RPC that timed out is still to come: the session is free only after that.
            let _ = answer.send(Ok(answers(items)));
            lent.idle().await;
            give_back(&core, lent, turn);
        }
    }
}

/// Before the first try nothing was built, so all of it can be asked again.
fn unserved(error: DeviceError, items: Vec<Item>) -> Unserved<Vec<Request>> {
    let requests = items.into_iter().filter_map(|item| match item {
        Item::New(request) => Some(request),
        Item::Open(..) | Item::Done(_) => None,
    });
    Unserved {
        error,
        requests: requests.collect(),
    }
}

fn give_back(core: &Core, lent: Lent<Opener>, turn: Turn) {
    drop(lent);
    core.freed.notify_waiters();
    drop(turn);
}

/// What callers get: everything up to the first RPC that was not sent.
fn answers(items: Vec<Item>) -> Vec<Answer> {
    items
        .into_iter()
        .map_while(|item| match item {
            Item::New(_) | Item::Open(_, None) => None,
            Item::Open(_, Some(error)) => Some(Err(error)),
            Item::Done(answer) => Some(*answer),
        })
        .collect()
}

/// Sends what is still to be sent, in one session.
async fn attempt(
    core: &Core,
    session: &SessionHandle,
    items: &mut [Item],
    deadline: Instant,
    on_error: OnError,
) {
    build(core, session, items, deadline, on_error);
    let open = items.iter().filter(|item| matches!(item, Item::Open(..))).count();
    let pipelined = open > 1 && on_error == OnError::Continue && core.settings.pipelining;
    if pipelined {
        send_together(core, session, items).await;
    } else {
        send_in_turn(core, session, items, on_error).await;
    }
}

fn build(core: &Core, session: &SessionHandle, items: &mut [Item], deadline: Instant, on_error: OnError) {
    let capabilities = offered(core, session.capabilities());
    for item in items {
        let Item::New(_) = item else { continue };
        let Item::New(request) = std::mem::replace(item, Item::Done(Box::new(Err(interrupted(core, false)))))
        else {
            continue;
        };
        *item = match request.into_call(&capabilities, deadline, Traces::None) {
            Ok(call) => Item::Open(call, None),
            Err(error) => Item::Done(Box::new(Err(request_error(core, error)))),
        };
        if item.failed() && on_error == OnError::Stop {
            break;
        }
    }
}

async fn send_in_turn(core: &Core, session: &SessionHandle, items: &mut [Item], on_error: OnError) {
    for item in items {
        if let Item::Open(call, _) = item {
            let result = session.call(&*call).await;
            settle(core, session, item, result);
        }
        let lost = matches!(item, Item::Open(_, Some(_)));
        let unsent = matches!(item, Item::New(_));
        if lost || unsent || (on_error == OnError::Stop && item.failed()) {
            return;
        }
    }
}

async fn send_together(core: &Core, session: &SessionHandle, items: &mut [Item]) {
    let calls: Vec<Call> = items
        .iter()
        .filter_map(|item| match item {
            Item::Open(call, _) => Some(call.clone()),
            Item::New(_) | Item::Done(_) => None,
        })
        .collect();
    let results = match session.call_all(calls).await {
        Ok(results) => results,
        // Not one of them was sent. The next one of the same kind says the same, so one by one each gets its error.
        Err(_) => return send_in_turn(core, session, items, OnError::Continue).await,
    };
    let sent = items.iter_mut().filter(|item| matches!(item, Item::Open(..)));
    for (item, result) in sent.zip(results) {
        settle(core, session, item, result);
    }
}

/// What one result means for its RPC: done, or to be tried again.
fn settle(core: &Core, session: &SessionHandle, item: &mut Item, result: Result<RawReply, SessionError>) {
    observe(core, "read", &result);
    let again = result.as_ref().is_err_and(SessionError::allows_another_try);
    let answer =
        result.map_err(|error| DeviceError::in_session(core.name(), session.session_id(), false, error));
    match answer {
        Err(error) if again => {
            if let Item::Open(_, last) = item {
                *last = Some(error);
            }
        }
        answer => *item = Item::Done(Box::new(answer)),
    }
}

/// A request, and who is asked first whether it may be sent.
type Single = (Request, Option<Admit>);

/// One RPC that is not on the read-only list, in a session of its own (Q9).
pub(super) struct SingleUse {
    pub(super) core: Arc<Core>,
    pub(super) sessions: Arc<Sessions>,
    pub(super) turn: Turn,
    pub(super) deadline: Instant,
    pub(super) request: Single,
    pub(super) answer: oneshot::Sender<Result<Answer, Unserved<Single>>>,
}

impl SingleUse {
    /// Runs to the end, whatever the caller does once the RPC is sent.
    pub(super) async fn run(self) {
        let Self {
            core,
            sessions,
            turn,
            deadline,
            request,
            mut answer,
        } = self;
        let mut request = Some(request);
        let (mut call, mut kept) = (None, None);
        let mut not_open = None;
        for _ in 0..=RETRIES {
            let checkout = Own::get(&core, &sessions);
            tokio::pin!(checkout);
            let checked_out = tokio::select! {
                // A session that is ready needs no timer.
                biased;
                result = &mut checkout => Some(result),
                () = sleep_until(deadline) => None,
                () = answer.closed() => None,
                // The session that is being opened is of use to nobody any more.
                () = core.replaced(), if request.is_some() => {
                    let _ = answer.send(nowhere(core.refuse(Failure::Draining), request));
                    return;
                }
            };
            let mut own = match checked_out {
                Some(Ok(own)) => own,
                Some(Err(error)) => {
                    // Nobody to tell is no harm.
                    let _ = answer.send(nowhere(checkout_error(&core, error), request));
                    return;
                }
                None => {
                    let _ = answer.send(nowhere(core.late(), request));
                    drop(checkout.await);
                    return;
                }
            };
            if let Some((request, admit)) = request.take() {
                if let Some(admit) = admit {
                    kept = admit();
                    if kept.is_none() {
                        own.unused();
                        let refused = DeviceError::not_sent(core.name(), Step::Queue, Failure::NotAdmitted);
                        let _ = answer.send(Ok(Err(refused)));
                        return;
                    }
                }
                match request.into_call(&offered(&core, own.capabilities()), deadline, Traces::Possible) {
                    Ok(built) => call = Some(built),
                    Err(error) => {
                        // Nothing was sent: the session is as clean as before.
                        own.unused();
                        let _ = answer.send(Ok(Err(request_error(&core, error))));
                        return;
                    }
                }
            }
            let Some(call) = call.clone().filter(|_| !answer.is_closed()) else {
                // Not sent at all for a caller who is gone.
                own.unused();
                return;
            };
            let result = own.call(call).await;
            // A session that died in the pool took nothing. Whatever was sent is sent once (Q3).
            if let Err(SessionError::NotOpen { cause }) = result {
                not_open = cause;
                continue;
            }
            observe(&core, "single_use", &result);
            let session_id = own.session_id();
            let result =
                result.map_err(|error| DeviceError::in_session(core.name(), session_id, true, error));
            let _ = answer.send(Ok(result));
            own.end().await;
            drop((kept, turn));
            return;
        }
        let error = DeviceError::not_sent(
            core.name(),
            Step::Reply,
            Failure::Session(SessionError::NotOpen { cause: not_open }),
        );
        let _ = answer.send(Ok(Err(error)));
    }
}

/// No session for this request, which can be asked somewhere else unless it was built already.
fn nowhere<R>(error: DeviceError, request: Option<R>) -> Result<Answer, Unserved<R>> {
    match request {
        Some(requests) => Err(Unserved { error, requests }),
        None => Ok(Err(error)),
    }
}

/// A session for one RPC, which nobody uses afterwards.
enum Own {
    Fresh(SessionHandle),
    /// Taken out of the pool, because the device may have no further one.
    Pooled(Pinned<Opener>),
}

impl Own {
    /// Leaves those in the pool to the reads that they wait for, as long as there is room for one more.
    async fn get(core: &Arc<Core>, sessions: &Sessions) -> Result<Self, CheckoutError<DeviceError>> {
        match core.open_beside().await {
            Some(Ok(fresh)) => Ok(Self::Fresh(fresh.handle)),
            Some(Err(error)) if !core.has_sessions() => Err(CheckoutError::Connect(error)),
            // The device takes no further session, but has some: one of those will do.
            Some(Err(_)) | None => Ok(Self::Pooled(sessions.checkout().await?.pin())),
        }
    }

    async fn call(&mut self, call: Call) -> Result<RawReply, SessionError> {
        match self {
            Self::Fresh(handle) => handle.call(call).await,
            Self::Pooled(pinned) => pinned.call(call, Touch::Unknown).await,
        }
    }

    fn capabilities(&self) -> &Arc<Capabilities> {
        match self {
            Self::Fresh(handle) => handle.capabilities(),
            Self::Pooled(pinned) => pinned.capabilities(),
        }
    }

    fn session_id(&self) -> u64 {
        match self {
            Self::Fresh(handle) => handle.session_id(),
            Self::Pooled(pinned) => pinned.session_id(),
        }
    }

    /// Waits for a reply that is still to come, and closes the session politely.
    async fn end(self) {
        match self {
            Self::Fresh(handle) => {
                handle.idle().await;
                handle.close(CLOSE_GRACE).await;
            }
            Self::Pooled(pinned) => {
                pinned.idle().await;
                pinned.close(CLOSE_GRACE).await;
            }
        }
    }

    /// Nothing was sent: a session of the pool goes back there, another one ends politely.
    fn unused(self) {
        match self {
            Self::Fresh(handle) => drop(handle),
            Self::Pooled(pinned) => drop(pinned.release()),
        }
    }
}

/// What may be asked of the device: under `ignore` everything (S7).
pub(super) fn offered(core: &Core, capabilities: &Arc<Capabilities>) -> Arc<Capabilities> {
    match core.settings.compatibility.policy {
        Policy::Ignore => Arc::new(Capabilities::clone(capabilities).unchecked()),
        Policy::Adapt | Policy::Refuse => capabilities.clone(),
    }
}

/// Refuses attributes that cannot stand on `<rpc>`, before anything is queued.
pub(super) fn check_attributes(core: &Core, request: &Request) -> Result<(), DeviceError> {
    rpc::check_attributes(&request.attributes)
        .map_err(|error| DeviceError::not_sent(core.name(), Step::Request, Failure::Attribute(error)))
}

pub(super) fn checkout_error(core: &Core, error: CheckoutError<DeviceError>) -> DeviceError {
    match error {
        CheckoutError::Connect(error) => error,
        CheckoutError::Closed => DeviceError::not_sent(core.name(), Step::Connect, Failure::Draining),
    }
}

pub(super) fn request_error(core: &Core, error: RequestError) -> DeviceError {
    DeviceError::not_sent(core.name(), Step::Request, Failure::Request(error))
}

/// A call ended without an answer: its task was cut, or it panicked.
pub(super) fn interrupted(core: &Core, mutates: bool) -> DeviceError {
    DeviceError::interrupted(core.name(), mutates)
}

pub(super) fn observe(core: &Core, class: &'static str, result: &Result<RawReply, SessionError>) {
    let metrics = &core.around.metrics;
    match result {
        Ok(reply) => {
            let outcome = if reply.scan.is_error() { "rpc_error" } else { "ok" };
            metrics.rpc(class, outcome, reply.took());
        }
        Err(SessionError::Timeout { .. }) => metrics.rpc(class, "timeout", core.settings.rpc_timeout),
        Err(SessionError::Lost { .. }) => metrics.rpc(class, "lost", Duration::ZERO),
        Err(SessionError::Storage { .. }) => metrics.rpc(class, "storage", Duration::ZERO),
        // Nothing was sent.
        Err(
            SessionError::NotOpen { .. }
            | SessionError::LineFull
            | SessionError::Write(_)
            | SessionError::DeadlineBeforeSending,
        ) => {}
    }
}
