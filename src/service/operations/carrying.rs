//! Brings a call to its end. It runs in its caller's own task; what has to go on when the caller leaves, or does not wait,
//! goes on in a task of its own.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::MOST_RESPONSE;
use super::failure::Failure;
use super::keys::{Entered, frees};
use super::record::Document;
use super::ticket::{OnLeaving, Ticket};
use super::view::{Operation, State};
use crate::error::{Error, ErrorCode, Outcome};
use crate::service::Gateway;
use crate::service::attempts::{Attempts, Few};
use crate::store::{KeyEnd, OperationRecord, StoreError};

/// A call as a door runs it.
pub type Work<A> = Pin<Box<dyn Future<Output = A> + Send>>;

/// How a call ended, as the door that it came through tells it.
#[derive(Debug, Default)]
pub struct End {
    pub failure: Option<Error>,
    /// What was answered, as JSON text, unless the service has noted it.
    pub response: Option<Vec<u8>>,
    /// Of a response that is too large to be kept.
    pub omitted_bytes: Option<u64>,
    /// What whoever comes again with the same key gets, in the words of the door.
    pub answer: Option<Vec<u8>>,
}

/// What a caller gets.
#[derive(Debug)]
pub enum Carried<A> {
    Answer(A),
    /// It goes on (`Prefer: respond-async`).
    Accepted(Box<Operation>),
}

/// A call under way. Dropping it is its caller's leaving.
struct Underway<A: 'static> {
    /// Absent once it is over.
    work: Option<Work<A>>,
    gateway: Gateway,
    ticket: Ticket,
    /// The caller may be dropped where there is no runtime to ask for.
    runtime: Handle,
}

impl<A: 'static> Future for Underway<A> {
    type Output = A;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<A> {
        let Some(work) = &mut self.work else {
            return Poll::Pending;
        };
        let answer = std::task::ready!(work.as_mut().poll(cx));
        self.work = None;
        Poll::Ready(answer)
    }
}

impl<A: 'static> Drop for Underway<A> {
    fn drop(&mut self) {
        // What panicked is over.
        let Some(work) = self.work.take().filter(|_| !std::thread::panicking()) else {
            return;
        };
        let gateway = self.gateway.clone();
        match self.ticket.on_leaving() {
            OnLeaving::Ends => drop(work),
            OnLeaving::GoesOn => gateway.go_on(&self.runtime, Box::pin(async move { drop(work.await) })),
            OnLeaving::EndsWith(_) => {
                drop(work);
                // What another task sends for it may have left just before.
                let outcome = match self.ticket.on_leaving() {
                    OnLeaving::EndsWith(outcome) => outcome,
                    OnLeaving::GoesOn | OnLeaving::Ends => Outcome::Unknown,
                };
                let ticket = self.ticket.clone();
                let error = Error::new(ErrorCode::Cancelled, "the caller left").with_outcome(outcome);
                let end = End {
                    failure: Some(error),
                    ..End::default()
                };
                let ending = gateway.clone();
                let ended = async move { ending.end_operation(&ticket, end).await };
                gateway.go_on(&self.runtime, Box::pin(ended));
            }
        }
    }
}

impl Gateway {
    /// Runs a call, which ends its operation by itself ([`Gateway::end_operation`]). A caller who leaves lets it go on if it
    /// has a key or was sent; one who does not wait gets its operation as soon as there is one.
    ///
    /// # Errors
    /// `queue-full`: as many run without their callers as may.
    pub async fn carry_out<A: Send + 'static>(
        &self,
        ticket: Ticket,
        entered: Entered,
        work: Work<A>,
    ) -> Result<Carried<A>, Error> {
        let work: Work<A> = Box::pin(async move {
            let answer = work.await;
            drop(entered);
            answer
        });
        let begun = ticket.watch().filter(|_| ticket.responds_async());
        let Some(mut begun) = begun else {
            let underway = Underway {
                work: Some(work),
                gateway: self.clone(),
                ticket,
                runtime: Handle::current(),
            };
            return Ok(Carried::Answer(underway.await));
        };
        let permit = self.inner.operations.asynchronous.clone().try_acquire_owned();
        let permit = permit.map_err(|_| {
            let most = self.inner.operations.bounds.asynchronous;
            let detail = format!("{most} calls run already whose callers do not wait for them");
            Error::new(ErrorCode::QueueFull, detail).with_reason("operations")
        })?;
        let (sender, answered) = oneshot::channel();
        let work = async move {
            let answer = work.await;
            drop(permit);
            // Whoever was told of the operation does not wait.
            let _ = sender.send(answer);
        };
        self.go_on(&Handle::current(), Box::pin(work));
        let begun = async {
            let found = begun.wait_for(Option::is_some).await;
            found
                .ok()
                .and_then(|begun| begun.as_ref().map(|begun| begun.first.clone()))
        };
        let answer = tokio::select! {
            biased;
            // Nothing can fail from here on: whoever was refused would call again, and it would be carried out twice.
            Some(first) = begun => {
                return Ok(Carried::Accepted(Box::new(Arc::unwrap_or_clone(first))));
            }
            answer = answered => answer,
        };
        answer.map(Carried::Answer).map_err(|_| {
            let words = "the gateway made a mistake; its log names it";
            Error::new(ErrorCode::Internal, words).with_outcome(Outcome::Unknown)
        })
    }

    fn go_on(&self, runtime: &Handle, work: Work<()>) {
        let tracked = self.inner.operations.tasks.track_future(work);
        self.inner.tasks.spawn_on(tracked, runtime);
    }

    /// Stores how a call ended: its operation, and the answer for its key. A change has its end stored already.
    pub async fn end_operation(&self, ticket: &Ticket, end: End) {
        let Some(begun) = ticket.begun() else { return };
        let free = end.failure.as_ref().is_some_and(frees);
        let key = ticket
            .key()
            .filter(|_| free || end.answer.is_some())
            .map(|key| KeyEnd {
                scope: key.scope().to_owned(),
                operation_id: begun.id.clone(),
                answer: end.answer.clone().filter(|_| !free),
            });
        let mut ended = begun.row.map(|row| ended(ticket, &row, end));
        if let Some((_, row)) = &ended {
            self.inner.operations.following.announce(row);
        }
        let mut few = Few::new();
        loop {
            match self.store_end(ended.as_mut(), key.as_ref()).await {
                Ok(()) => break,
                Err(_) if few.again().await => {}
                Err(error) => {
                    tracing::error!(operation = begun.id, error = %error, "the end of an operation is not stored yet");
                    return self.store_end_later(begun.id, ended, key);
                }
            }
        }
        self.inner.operations.ended(&begun.id);
        self.follow_from_now(&begun.id);
    }

    /// Goes on trying, in a task of its own. Until then the operation is told as running, and its key as in use; a change
    /// tells its own end, so its key may be freed and taken again meanwhile, and is another's then.
    fn store_end_later(
        &self,
        id: String,
        mut ended: Option<(Option<Vec<u8>>, OperationRecord)>,
        key: Option<KeyEnd>,
    ) {
        let gateway = self.clone();
        self.inner.tasks.spawn(async move {
            let mut attempts = Attempts::new(&gateway);
            while attempts.again().await {
                match gateway.store_end(ended.as_mut(), key.as_ref()).await {
                    Ok(()) | Err(StoreError::NotFound) => break,
                    Err(error) => tracing::debug!(operation = id, error = %error, "not yet"),
                }
            }
            gateway.inner.operations.ended(&id);
            gateway.follow_from_now(&id);
        });
    }

    async fn store_end(
        &self,
        ended: Option<&mut (Option<Vec<u8>>, OperationRecord)>,
        key: Option<&KeyEnd>,
    ) -> Result<(), StoreError> {
        let store = &self.inner.store;
        match (ended, key) {
            (Some((response, row)), key) => store.end_operation(row, response.as_deref(), key).await,
            (None, Some(key)) => store.end_key(key).await,
            (None, None) => Ok(()),
        }
    }
}

/// The response and the row as they are stored.
fn ended(ticket: &Ticket, begun: &OperationRecord, end: End) -> (Option<Vec<u8>>, OperationRecord) {
    let (noted, came_to) = ticket.take_noted();
    let (state, outcome) = match &end.failure {
        None => (State::Succeeded, came_to.unwrap_or(Outcome::Applied)),
        Some(error) if error.outcome() == Outcome::Unknown => (State::Unknown, Outcome::Unknown),
        Some(error) => (State::Failed, error.outcome()),
    };
    let response = noted.or(end.response).filter(|_| end.failure.is_none());
    let (response, large) = kept(response);
    let omitted = large.or(end.omitted_bytes);
    let mut document = Document::of(&begun.document);
    document.failure = end.failure.as_ref().map(Failure::from);
    document.omitted_bytes = omitted;
    if let Some(at_once) = &mut document.at_once {
        let session_id = end.failure.as_ref().and_then(Error::session_id);
        at_once.session_id = session_id.or(at_once.session_id);
    }
    let row = OperationRecord {
        state: state.as_str().to_owned(),
        outcome: Some(outcome.as_str().to_owned()),
        document: document.to_bytes(),
        ..begun.clone()
    };
    (response.filter(|_| omitted.is_none()), row)
}

/// What is kept of a response (H7); else how long it is.
pub(super) fn kept(response: Option<Vec<u8>>) -> (Option<Vec<u8>>, Option<u64>) {
    match response {
        Some(response) if response.len() > MOST_RESPONSE => (None, Some(response.len() as u64)),
        response => (response, None),
    }
}
