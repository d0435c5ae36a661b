//! Events: what happened, from the log that the store keeps, as pages and as they come (conventions H11).
//!
//! Whatever has a record tells of its states in the transaction that stores them (`store::events`). What has none, the
//! sessions with devices, comes through a bounded queue of `device` and is stored by a task (`recorder`).

mod following;
pub mod kinds;
mod recorder;
mod tail;
mod view;

use std::time::Duration;

use self::following::Last;
use super::Gateway;
use super::call::{CallContext, Role};
use crate::error::Error;
use crate::store::EventFilter;

pub use self::following::{Following, Told};
pub use self::view::{EventList, EventView, FollowEvents, ListEvents};

pub(super) use self::tail::Tail;

/// How often events are looked for that are too old to be kept.
const LOOK: Duration = Duration::from_secs(600);

/// Bounds of events.
#[derive(Debug, Clone, Copy)]
pub struct EventSettings {
    /// How long they are kept.
    pub kept: Duration,
    /// How many callers may follow them at a time.
    pub followers: usize,
    /// How often, at most, a device that connects is asked whether others have changed it; zero: never.
    pub look_every: Duration,
}

impl Default for EventSettings {
    fn default() -> Self {
        Self {
            kept: Duration::from_secs(7 * 86_400),
            followers: 256,
            look_every: Duration::ZERO,
        }
    }
}

impl Gateway {
    /// Events that are kept, the newest first. Role `read`.
    ///
    /// # Errors
    /// `not-found` for a device that is not there; `invalid-argument` for a type that is none, and for a page token of
    /// another list.
    pub async fn list_events(&self, ctx: &CallContext, request: ListEvents) -> Result<EventList, Error> {
        let filter = self.event_filter(ctx, request.device, request.kind).await?;
        let size = super::devices::page_size(request.page_size)?;
        let page = self
            .inner
            .store
            .list_events(&filter, size, request.page_token.as_deref())
            .await
            .map_err(|error| self.store_error(error))?;
        Ok(EventList {
            events: page.items.iter().map(EventView::from).collect(),
            next_page_token: page.next_page_token,
        })
    }

    /// Events as they come, after those that were missed. Role `read`.
    ///
    /// # Errors
    /// `streams-full` when as many follow as may; as [`Self::list_events`].
    pub async fn follow_events(&self, ctx: &CallContext, request: FollowEvents) -> Result<Following, Error> {
        let filter = self.event_filter(ctx, request.device, request.kind).await?;
        let place = self.inner.events.enter()?;
        let asked = request.last_event_id.as_deref();
        let last = asked.map(|text| text.parse::<i64>().ok().filter(|id| *id >= 0));
        let store = &self.inner.store;
        let run = store
            .events_after(last.flatten().unwrap_or(i64::MAX), &EventFilter::default(), 1)
            .await
            .map_err(|error| self.store_error(error))?;
        let last = match last {
            None => Last::Now,
            Some(Some(id)) if !run.gap => Last::Event(id),
            // An id that never was one is as good as one that is gone: its caller learns to look anew.
            Some(_) => Last::Gone,
        };
        Ok(Following::new(self.clone(), place, filter, last, run.last))
    }

    /// What a caller may see of what it asks for.
    async fn event_filter(
        &self,
        ctx: &CallContext,
        device: Option<String>,
        kind: Option<String>,
    ) -> Result<EventFilter, Error> {
        ctx.principal.require(Role::Read)?;
        if let Some(kind) = &kind
            && !kinds::is_known(kind)
        {
            let all = kinds::all();
            let mut families: Vec<&str> = all.iter().filter_map(|kind| kind.split('.').next()).collect();
            families.sort_unstable();
            families.dedup();
            let detail = format!(
                "{kind:?} is no type of event; they begin with {}",
                families.join(", ")
            );
            return Err(Error::invalid("?type", detail));
        }
        if let Some(device) = &device {
            self.record(device).await?;
        }
        Ok(EventFilter { device, kind })
    }

    /// Begins what stores and hands on events. Both end with the gateway.
    pub(super) fn start_events(&self) {
        let (tasks, inner) = (&self.inner.tasks, &self.inner);
        tasks.spawn(
            inner
                .events
                .clone()
                .run(inner.store.clone(), inner.ending.clone()),
        );
        if let Some(news) = inner.devices.news() {
            tasks.spawn(recorder::run(self.clone(), news));
        }
        tasks.spawn(self.clone().forget_old_events());
    }

    /// Forgets events that are too old, now and then, until the gateway ends.
    async fn forget_old_events(self) {
        loop {
            let before = self.inner.clock.wall() - self.inner.events_kept;
            match self.inner.store.delete_events_before(before).await {
                Ok(0) => {}
                Ok(forgotten) => tracing::info!(forgotten, "old events are forgotten"),
                Err(error) => tracing::warn!(error = %error, "old events could not be forgotten"),
            }
            tokio::select! {
                () = self.inner.ending.cancelled() => return,
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }
}
