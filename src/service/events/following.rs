//! One caller's way through the log: what was missed first, then what comes, at the caller's own pace.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::Instant;

use super::view::EventView;
use crate::error::Error;
use crate::service::Gateway;
use crate::store::{EventFilter, EventRecord};

/// A caller for whom so many newer events wait is let go (H11).
const MOST_BEHIND: i64 = 1000;
/// Events read from the database at a time.
const PAGE: u32 = 100;
/// How long nothing may be said (H11).
const HEARTBEAT: Duration = Duration::from_secs(15);

/// What a caller is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    Event(Box<EventView>),
    /// Events were missed that are not there any more. What follows comes after this one.
    Reset {
        id: String,
    },
    /// Nothing happened that is wanted, up to this event.
    Heartbeat {
        id: String,
    },
}

/// A caller who follows events. Dropping it leaves a place for another one.
pub struct Following {
    gateway: Gateway,
    newest: watch::Receiver<i64>,
    filter: EventFilter,
    /// Read so far.
    at: i64,
    /// Told so far.
    told: i64,
    /// The newest event when it began: until there the caller may take its time.
    start: i64,
    /// Read and not told yet.
    ready: VecDeque<Arc<EventRecord>>,
    /// To be told first: the caller has missed events.
    missed: bool,
    beat: Instant,
    _place: OwnedSemaphorePermit,
}

impl Following {
    /// `last`: what the caller saw last. `start`: the newest event.
    pub(super) fn new(
        gateway: Gateway,
        place: OwnedSemaphorePermit,
        filter: EventFilter,
        last: Last,
        start: i64,
    ) -> Self {
        let (at, missed) = match last {
            Last::Event(id) => (id, false),
            Last::Now => (start, false),
            Last::Gone => (start, true),
        };
        Self {
            newest: gateway.inner.events.follow(),
            gateway,
            filter,
            at,
            told: at,
            start,
            ready: VecDeque::new(),
            missed,
            beat: Instant::now() + HEARTBEAT,
            _place: place,
        }
    }

    /// Up to which event all was told: where to go on later.
    pub fn position(&self) -> String {
        self.told.to_string()
    }

    /// What is to be told next; waits for it, at most until the next heartbeat.
    ///
    /// # Errors
    /// The database cannot be read.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn next(&mut self) -> Result<Told, Error> {
        loop {
            if std::mem::take(&mut self.missed) {
                return Ok(self.tell(Told::Reset { id: self.position() }));
            }
            if let Some(event) = self.ready.pop_front() {
                self.told = event.id;
                return Ok(self.tell(Told::Event(Box::new(EventView::from(&*event)))));
            }
            self.told = self.at;
            if *self.newest.borrow_and_update() > self.at {
                self.read().await?;
                continue;
            }
            tokio::select! {
                // The gateway holds the sender.
                Ok(()) = self.newest.changed() => {}
                () = tokio::time::sleep_until(self.beat) => {
                    return Ok(self.tell(Told::Heartbeat { id: self.position() }));
                }
            }
        }
    }

    fn tell(&mut self, told: Told) -> Told {
        self.beat = Instant::now() + HEARTBEAT;
        told
    }

    async fn read(&mut self) -> Result<(), Error> {
        let inner = &self.gateway.inner;
        if let Some((events, through)) = inner.events.after(self.at, &self.filter) {
            self.ready.extend(events);
            self.at = through;
            return Ok(());
        }
        let run = inner.store.events_after(self.at, &self.filter, PAGE).await;
        let run = run.map_err(|error| self.gateway.store_error(error))?;
        if run.gap {
            self.missed = true;
            self.at = run.last;
            self.told = run.last;
        } else {
            self.ready.extend(run.events.into_iter().map(Arc::new));
            self.at = run.through;
        }
        Ok(())
    }

    /// Waits until too many newer events wait for a caller who does not take what it is told.
    pub fn overrun(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut newest = self.newest.clone();
        let least = self.told.max(self.start);
        async move {
            if newest
                .wait_for(|newest| newest - least > MOST_BEHIND)
                .await
                .is_err()
            {
                // Nobody reads events any more, so none can wait.
                std::future::pending::<()>().await;
            }
        }
    }
}

/// What a caller saw last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Last {
    Event(i64),
    /// Nothing, and it wants nothing that was.
    Now,
    /// Something that is not there any more.
    Gone,
}
