//! Calls that come again (conventions H8): the same request with the same key gets the first answer, whatever became of
//! its caller and of the gateway.
//!
//! A key is taken together with the operation, before anything is sent; whatever is refused before that leaves it free.
//! So does an answer that says that nothing was sent and that the call may be repeated: it would be the answer for a day.

use super::following::About;
use super::record::Document;
use super::view::{Operation, State};
use crate::error::{Error, ErrorCode, Outcome};
use crate::service::Gateway;
use crate::service::call::CallContext;
use crate::service::edit::view::{ChangeView, ConfirmedCommitView, EditSessionView};
use crate::store::KeyEnd;

/// A call that may go on.
#[derive(Debug)]
pub enum Admitted {
    Go(Entered),
    /// It is one that was made before.
    Again(Again),
}

/// What a call gets that was made before.
#[derive(Debug)]
pub enum Again {
    /// What the door kept as the answer.
    Answer {
        answer: Vec<u8>,
        operation_id: String,
    },
    /// The gateway ended before there was an answer; this is what came of the call.
    Change(Box<ChangeView>),
    EditSession(Box<EditSessionView>),
    ConfirmedCommit(Box<ConfirmedCommitView>),
    /// A change that was called off.
    Cancelled(Box<ChangeView>),
    Failed(Error),
}

/// The key of a call, while that is under way. Dropping it lets the next one look at what was stored.
#[derive(Debug)]
pub struct Entered(Option<(Gateway, String)>);

impl Drop for Entered {
    fn drop(&mut self) {
        if let Some((gateway, scope)) = self.0.take() {
            gateway.inner.operations.leave(&scope);
        }
    }
}

impl std::fmt::Debug for Gateway {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gateway").finish_non_exhaustive()
    }
}

impl Gateway {
    /// Looks whether a call was made before with its key. Before any other rule.
    ///
    /// # Errors
    /// `idempotency-key-reused` for another request; `idempotency-key-in-use` while the first one is under way;
    /// `queue-full` when there are too many keys.
    pub async fn admit(&self, ctx: &CallContext) -> Result<Admitted, Error> {
        let Some(key) = ctx.ticket.key() else {
            return Ok(Admitted::Go(Entered(None)));
        };
        if let Err(other) = self.inner.operations.enter(key.scope(), &ctx.ticket) {
            return Err(match other.key() == Some(key) {
                true => in_use(other.operation_id().as_deref()),
                false => reused(other.operation_id().as_deref()),
            });
        }
        let entered = Entered(Some((self.clone(), key.scope().to_owned())));
        let found = self.inner.store.find_key(key.scope(), self.keys_since()).await;
        let Some(found) = found.map_err(|error| self.store_error(error))? else {
            self.room_for_a_key().await?;
            return Ok(Admitted::Go(entered));
        };
        if found.request != key.request() {
            return Err(reused(Some(&found.operation_id)));
        }
        if let Some(answer) = found.answer {
            return Ok(Admitted::Again(Again::Answer {
                answer,
                operation_id: found.operation_id,
            }));
        }
        let operation = self.operation(&found.operation_id).await?;
        if !operation.done {
            return Err(in_use(Some(&found.operation_id)));
        }
        match self.end_of(ctx, operation).await? {
            Again::Failed(error) if frees(&error) => {
                let end = KeyEnd {
                    scope: key.scope().to_owned(),
                    operation_id: found.operation_id,
                    answer: None,
                };
                let freed = self.inner.store.end_key(&end).await;
                freed.map_err(|error| self.store_error(error))?;
                Ok(Admitted::Go(entered))
            }
            again => Ok(Admitted::Again(again)),
        }
    }

    /// What is answered for an operation that has ended, when nobody kept the answer.
    async fn end_of(&self, ctx: &CallContext, operation: Operation) -> Result<Again, Error> {
        // Nobody is told that it is done while it is being found out what became of it.
        let found_out = operation.outcome.as_deref() != Some(Outcome::Unknown.as_str());
        if operation.state == State::Succeeded && operation.is_change && found_out {
            let row = self.inner.store.find_change(&operation.id).await;
            let row = row.map_err(|error| self.store_error(error))?;
            let (mut change, edit_session) = self.change_for_its_caller(row)?;
            change.confirmed_commit = self.confirmed_of(&change).await?;
            let Some(id) = edit_session else {
                return Ok(Again::Change(Box::new(change)));
            };
            let mut session = self.get_edit_session(ctx, &operation.device, &id).await?;
            session.commit = Some(change.into());
            return Ok(Again::EditSession(Box::new(session)));
        }
        if operation.state == State::Succeeded
            && !operation.is_change
            && let Some(again) = self.again_about(ctx, &operation).await?
        {
            return Ok(again);
        }
        let unknown = || {
            let words = "the answer to the first call is lost; its operation tells what came of it";
            Error::new(ErrorCode::OutcomeUnknown, words)
                .with_outcome(Outcome::Unknown)
                .with_device(&operation.device)
                .with_operation_id(&operation.id)
        };
        Ok(Again::Failed(operation.failure.clone().unwrap_or_else(unknown)))
    }

    /// What was ordered about, as it is now.
    async fn again_about(&self, ctx: &CallContext, operation: &Operation) -> Result<Option<Again>, Error> {
        let row = self.inner.store.get_operation(&operation.id).await;
        let (row, _) = row.map_err(|error| self.store_error(error))?;
        let (Some(about), Some(id)) = (About::of(&row.kind), Document::of(&row.document).about) else {
            return Ok(None);
        };
        Ok(Some(match about {
            About::ConfirmedCommit(_) => {
                Again::ConfirmedCommit(Box::new(self.get_confirmed_commit(ctx, &id).await?))
            }
            About::ScheduledCommit => {
                let change = self.get_change(ctx, &operation.device, &id).await?;
                Again::Cancelled(Box::new(change))
            }
        }))
    }

    /// Older keys do not count any more.
    pub(super) fn keys_since(&self) -> ::time::OffsetDateTime {
        let kept = ::time::Duration::try_from(self.inner.operations.bounds.keys_kept);
        let now = self.inner.clock.wall();
        let since = kept.ok().and_then(|kept| now.checked_sub(kept));
        since.unwrap_or(::time::OffsetDateTime::UNIX_EPOCH)
    }

    async fn room_for_a_key(&self) -> Result<(), Error> {
        let operations = &self.inner.operations;
        if operations.keys() < operations.bounds.keys {
            return Ok(());
        }
        self.forget_keys().await?;
        if operations.keys() < operations.bounds.keys {
            return Ok(());
        }
        let detail = format!("{} idempotency keys are kept already", operations.bounds.keys);
        Err(Error::new(ErrorCode::QueueFull, detail)
            .with_reason("idempotency_keys")
            .with_retry_after(60)
            .with_hint("without a key the call can be made now"))
    }

    pub(super) async fn count_keys(&self) -> Result<(), Error> {
        let count = self.inner.store.count_keys().await;
        let count = count.map_err(|error| self.store_error(error))?;
        self.inner.operations.set_keys(count);
        Ok(())
    }

    /// Deletes keys that do not count any more.
    pub(super) async fn forget_keys(&self) -> Result<(), Error> {
        let deleted = self.inner.store.delete_keys_before(self.keys_since()).await;
        deleted.map_err(|error| self.store_error(error))?;
        self.count_keys().await
    }
}

/// H8: an answer that says "nothing was done, come again" must not be the answer for a day.
pub(super) fn frees(error: &Error) -> bool {
    error.outcome() == Outcome::NotSent && error.retryable()
}

/// The first call with the key is under way.
pub(in crate::service) fn in_use(operation_id: Option<&str>) -> Error {
    let words = "the call that was made first with this idempotency key is still under way";
    let error = Error::new(ErrorCode::IdempotencyKeyInUse, words).with_retry_after(1);
    match operation_id {
        Some(id) => error.with_operation_id(id),
        None => error,
    }
}

fn reused(operation_id: Option<&str>) -> Error {
    let words = "the idempotency key was used for another request";
    let error = Error::new(ErrorCode::IdempotencyKeyReused, words)
        .with_hint("a new request needs a new key; the same one must be repeated as it was");
    match operation_id {
        Some(id) => error.with_operation_id(id),
        None => error,
    }
}
