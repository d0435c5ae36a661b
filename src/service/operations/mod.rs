//! Operations (conventions H7) and idempotency keys (H8): every call that changes a device has one operation, which
//! outlives its caller and the gateway.
//!
//! A change is its own operation: `changes` derives one from its record, and nothing else is stored for it. Any other call
//! has a row, written before anything is sent. `ticket` is what a call carries with it, `running` knows what is under way
//! in this process, `carrying` brings a call to its end whether or not its caller waits, `following` finds out what came of
//! orders that nobody answered, `at_once` what came of edits of running, `keys` answers calls that come again, `view` is what is shown.

mod at_once;
mod carrying;
mod failure;
mod following;
mod keys;
mod record;
mod running;
mod ticket;
mod view;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::broadcast::error::RecvError;
use tokio::time::Instant;

use self::record::Document;
use super::Gateway;
use super::call::{CallContext, Role};
use super::devices;
use super::time;
use crate::device::Request;
use crate::error::{Error, ErrorCode, Resource};
use crate::store::{DeviceRecord, Listed, NewKey, OperationRecord, StoreError};

pub(super) use at_once::AtOnce;
pub use carrying::{Carried, End, Work};
pub(super) use failure::Failure;
pub(super) use keys::in_use;
pub use keys::{Admitted, Again, Entered};
pub use running::Bounds;
pub(super) use running::Operations;
pub(super) use ticket::Leaving;
pub use ticket::{Key, Ticket};
pub use view::{ListOperations, Operation, OperationList, Progress, State};

/// The longest long-poll, in seconds.
pub const LONGEST_POLL: u64 = 60;
/// A stored response is at most this large (H7).
pub const MOST_RESPONSE: usize = 1 << 20;
/// How long one that has ended is kept, like a change.
const KEPT: ::time::Duration = ::time::Duration::days(7);
/// How often old ones are looked for.
const LOOK: Duration = Duration::from_secs(3600);

impl Gateway {
    /// Stores that the call is under way: from now on it has an operation, and its key is taken. Before anything is sent
    /// for it.
    ///
    /// # Errors
    /// `store-unavailable`; `idempotency-key-in-use`.
    pub(super) async fn begin(
        &self,
        ctx: &CallContext,
        device: &DeviceRecord,
        leaving: Leaving,
    ) -> Result<(), Error> {
        let document = Document {
            request_id: ctx.request_id.clone(),
            ..Document::default()
        };
        self.begin_with(ctx, device, leaving, document).await
    }

    /// As [`Self::begin`], for an order about something that has a record of its own, by the id of that: the record tells
    /// what came of the order if nobody else does.
    ///
    /// # Errors
    /// As [`Self::begin`].
    pub(super) async fn begin_about(
        &self,
        ctx: &CallContext,
        device: &DeviceRecord,
        about: &str,
        leaving: Leaving,
    ) -> Result<(), Error> {
        let document = Document {
            request_id: ctx.request_id.clone(),
            about: Some(about.to_owned()),
            ..Document::default()
        };
        self.begin_with(ctx, device, leaving, document).await
    }

    /// As [`Self::begin`], for a call that changes at once what is running. `None`: the device does not show that, so that
    /// nothing tells what came of the call should its reply be lost.
    ///
    /// # Errors
    /// As [`Self::begin`].
    pub(super) async fn begin_at_once(
        &self,
        ctx: &CallContext,
        device: &DeviceRecord,
        at_once: Option<AtOnce>,
    ) -> Result<(), Error> {
        let document = Document {
            request_id: ctx.request_id.clone(),
            at_once,
            ..Document::default()
        };
        self.begin_with(ctx, device, Leaving::UnlessSent, document).await
    }

    async fn begin_with(
        &self,
        ctx: &CallContext,
        device: &DeviceRecord,
        leaving: Leaving,
        mut document: Document,
    ) -> Result<(), Error> {
        let Some(kind) = ctx.ticket.kind() else {
            return Ok(());
        };
        let resource = ctx.ticket.resource().map(str::to_owned);
        document.resource = Some(resource.unwrap_or_else(|| format!("/v1/devices/{}", device.name())));
        let mut row = OperationRecord {
            id: self.inner.store.new_id(),
            kind: kind.to_owned(),
            device_id: device.id.clone(),
            device: device.name().to_owned(),
            owner: ctx.principal.id().to_owned(),
            state: State::Running.as_str().to_owned(),
            outcome: None,
            created_at: time::EPOCH,
            updated_at: time::EPOCH,
            document: document.to_bytes(),
        };
        let key = self.new_key(&ctx.ticket);
        self.inner
            .store
            .insert_operation(&mut row, key.as_ref())
            .await
            .map_err(|error| self.store_error(error).with_device(device.name()))?;
        self.inner.operations.begun(&row.id, key.is_some());
        let first = record::begun(&row, document);
        ctx.ticket.begun_as(row, first, leaving);
        Ok(())
    }

    /// The key of a call as it is stored with its operation.
    pub(super) fn new_key(&self, ticket: &Ticket) -> Option<NewKey> {
        let expired = self.keys_since();
        ticket.key().map(|key| NewKey {
            scope: key.scope().to_owned(),
            request: key.request().to_vec(),
            expired,
        })
    }

    /// Operations of all devices, the newest first, without their responses. Role `read`.
    ///
    /// # Errors
    /// `not-found` for the device; `invalid-argument` for a page token of another list.
    pub async fn list_operations(
        &self,
        ctx: &CallContext,
        request: ListOperations,
    ) -> Result<OperationList, Error> {
        ctx.principal.require(Role::Read)?;
        let size = devices::page_size(request.page_size)?;
        let device = match &request.device {
            None => None,
            Some(name) => Some(self.record(name).await?),
        };
        let device_id = device.as_ref().map(|record| record.id.as_str());
        let followed = self.inner.operations.following.ids();
        let page = self
            .inner
            .store
            .list_operations(device_id, size, request.page_token.as_deref())
            .await
            .map_err(|error| self.store_error(error))?;
        let mut operations = Vec::with_capacity(page.items.len());
        for listed in page.items {
            let mut operation = match listed {
                Listed::Operation(row) => {
                    let waits = followed.contains(&row.id);
                    self.operation_of(row, None, waits)?
                }
                Listed::Change(row) => self.operation_of_change(row).await?,
            };
            operation.response = None;
            operations.push(operation);
        }
        Ok(OperationList {
            operations,
            next_page_token: page.next_page_token,
        })
    }

    /// One operation, at once or when it has ended, whichever is later, but after `wait_seconds` at the latest. Role
    /// `read`, as for changes, for what was done to a device is everybody's business; the answer of a call that is no
    /// change is for its owner and for admins, as it may hold what the device tells those only who ask.
    ///
    /// # Errors
    /// `not-found`; `invalid-argument` for a wait of more than a minute.
    pub async fn get_operation(
        &self,
        ctx: &CallContext,
        id: &str,
        wait_seconds: u64,
    ) -> Result<Operation, Error> {
        ctx.principal.require(Role::Read)?;
        if wait_seconds > LONGEST_POLL {
            let detail = format!("{wait_seconds} is more than {LONGEST_POLL}");
            return Err(Error::invalid("?wait_seconds", detail));
        }
        let wait = Duration::from_secs(wait_seconds);
        let until = Instant::now() + ctx.deadline.map_or(wait, |deadline| deadline.min(wait));
        // Before it is looked at: what happens in between is heard.
        let mut told = self.inner.store.listen();
        loop {
            let operation = self.operation(id).await?;
            if operation.done || wait_seconds == 0 {
                return Ok(operation.seen_by(&ctx.principal));
            }
            tokio::select! {
                () = heard(&mut told, id) => {}
                () = self.inner.draining.cancelled() => return Ok(operation.seen_by(&ctx.principal)),
                () = tokio::time::sleep_until(until) => {
                    return Ok(self.operation(id).await?.seen_by(&ctx.principal));
                }
            }
        }
    }

    /// An operation as it is now.
    ///
    /// # Errors
    /// `not-found`.
    pub(super) async fn operation(&self, id: &str) -> Result<Operation, Error> {
        let followed = self.inner.operations.following.contains(id);
        match self.inner.store.get_operation(id).await {
            Ok((row, response)) => return self.operation_of(row, response, followed),
            Err(StoreError::NotFound) => {}
            Err(error) => return Err(self.store_error(error)),
        }
        match self.inner.store.find_change(id).await {
            Ok(row) => self.operation_of_change(row).await,
            Err(StoreError::NotFound) => Err(no_such(id)),
            Err(error) => Err(self.store_error(error)),
        }
    }

    /// `followed`: it was being found out what came of it before the row was read.
    fn operation_of(
        &self,
        row: OperationRecord,
        response: Option<Vec<u8>>,
        followed: bool,
    ) -> Result<Operation, Error> {
        let operations = &self.inner.operations;
        // One that nobody runs has lost its end.
        let lost = !operations.runs(&row.id);
        let followed = followed || operations.following.contains(&row.id);
        record::operation(row, response, lost, followed)
    }

    /// What an earlier process left behind is told as it is: nobody knows what came of it (conventions D1). Of orders
    /// about something that has a record it is found out, as it is of changes by others.
    ///
    /// # Errors
    /// When the store cannot be used.
    pub(super) async fn settle_operations(&self) -> Result<(), Error> {
        let (running, unknown) = (State::Running.as_str(), State::Unknown.as_str());
        let settled = self
            .inner
            .store
            .settle_operations(running, unknown, unknown)
            .await;
        let settled = settled.map_err(|error| self.store_error(error))?;
        if settled > 0 {
            tracing::warn!(settled, "operations were under way when the gateway ended");
        }
        self.follow_left_behind().await?;
        self.count_keys().await
    }

    /// Waits for the calls that go on without their callers, at most so long (D1).
    pub async fn operations_ended(&self, most: Duration) {
        let tasks = &self.inner.operations.tasks;
        tasks.close();
        if tokio::time::timeout(most, tasks.wait()).await.is_err() {
            tracing::warn!(
                left = tasks.len(),
                "operations are cut, because they take too long"
            );
        }
    }

    /// Forgets operations and keys of long ago, now and then, until the gateway ends.
    pub(super) async fn forget_old_operations(self) {
        let look = LOOK.min(self.inner.operations.bounds.keys_kept);
        loop {
            let before = self.inner.clock.wall() - KEPT;
            let store = &self.inner.store;
            match store
                .delete_operations_before(before, State::Running.as_str())
                .await
            {
                Ok(0) => {}
                Ok(forgotten) => tracing::info!(forgotten, "old operations are forgotten"),
                Err(error) => tracing::warn!(error = %error, "old operations could not be forgotten"),
            }
            if let Err(error) = self.forget_keys().await {
                tracing::warn!(error = %error, "old idempotency keys could not be forgotten");
            }
            tokio::select! {
                () = self.inner.ending.cancelled() => return,
                () = tokio::time::sleep(look) => {}
            }
        }
    }
}

/// The request of a call, which notes when it is sent.
pub(super) fn noting(ticket: &Ticket, request: Request) -> Request {
    let (ticket, build) = (ticket.clone(), request.build);
    Request {
        build: Box::new(move |capabilities| {
            let rpc = build(capabilities)?;
            ticket.sent();
            Ok(rpc)
        }),
        ..request
    }
}

/// Until something was stored about this operation, or may have been.
async fn heard(told: &mut tokio::sync::broadcast::Receiver<Arc<str>>, id: &str) {
    loop {
        match told.recv().await {
            Ok(changed) if *changed == *id => return,
            Ok(_) => {}
            Err(RecvError::Lagged(_)) => return,
            // The store is gone, and with it whatever could be told.
            Err(RecvError::Closed) => std::future::pending().await,
        }
    }
}

fn no_such(id: &str) -> Error {
    Error::new(ErrorCode::NotFound, format!("there is no operation {id:?}"))
        .with_resource(Resource::Operation(id.to_owned()))
}
