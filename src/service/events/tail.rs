//! The newest events, read once for all who follow them. It reads when this process has told something, and now and
//! then, because another one on the same database may have.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};
use tokio_util::sync::CancellationToken;

use crate::error::{Error, ErrorCode};
use crate::store::{EventFilter, EventRecord, EventRun, Store};

/// Events that are kept in memory; who is further behind reads the database.
const MOST: usize = 1000;
/// How soon what another process told is seen.
const LOOK: Duration = Duration::from_secs(1);

/// The newest events. Shared by all who follow them.
#[derive(Debug)]
pub(in crate::service) struct Tail {
    ring: Mutex<Ring>,
    newest: watch::Sender<i64>,
    /// Somebody began to follow.
    wanted: Notify,
    places: Arc<Semaphore>,
}

#[derive(Debug, Default)]
struct Ring {
    /// Without gaps, up to `newest`.
    events: VecDeque<Arc<EventRecord>>,
    newest: i64,
}

impl Tail {
    /// `followers`: how many may follow at a time.
    pub fn new(followers: usize) -> Self {
        Self {
            ring: Mutex::default(),
            newest: watch::Sender::new(0),
            wanted: Notify::new(),
            places: Arc::new(Semaphore::new(followers.min(Semaphore::MAX_PERMITS))),
        }
    }

    /// A place among those who follow.
    ///
    /// # Errors
    /// `streams-full`.
    pub fn enter(&self) -> Result<OwnedSemaphorePermit, Error> {
        self.places.clone().try_acquire_owned().map_err(|_| {
            Error::new(ErrorCode::StreamsFull, "as many callers follow events as may")
                .with_retry_after(10)
                .with_hint("the setting max_event_streams allows more; pages of events can be had meanwhile")
        })
    }

    /// The id of the newest event, as it grows. As long as somebody holds one, events are read.
    pub fn follow(&self) -> watch::Receiver<i64> {
        let newest = self.newest.subscribe();
        self.wanted.notify_one();
        newest
    }

    /// The wanted events after this one, and through which one that is. `None`: they are not in memory.
    pub fn after(&self, id: i64, filter: &EventFilter) -> Option<(Vec<Arc<EventRecord>>, i64)> {
        let ring = self.ring();
        let known = match ring.events.front() {
            Some(oldest) => id >= oldest.id - 1,
            None => id >= ring.newest,
        };
        let wanted = |event: &&Arc<EventRecord>| event.id > id && filter.takes(&event.event);
        known.then(|| {
            let events = ring.events.iter().filter(wanted).cloned().collect();
            (events, ring.newest.max(id))
        })
    }

    /// Takes what was read after `self`'s newest one.
    pub(super) fn put(&self, run: EventRun) {
        let mut ring = self.ring();
        if run.gap {
            ring.events.clear();
            ring.newest = run.last;
        } else {
            ring.newest = run.through;
            ring.events.extend(run.events.into_iter().map(Arc::new));
            let surplus = ring.events.len().saturating_sub(MOST);
            ring.events.drain(..surplus);
        }
        self.newest.send_replace(ring.newest);
    }

    fn newest(&self) -> i64 {
        self.ring().newest
    }

    /// Reads what is told until the gateway ends, while somebody follows.
    pub async fn run(self: Arc<Self>, store: Store, ending: CancellationToken) {
        let mut told = store.watch_events();
        let mut failing = false;
        loop {
            if self.newest.receiver_count() == 0 {
                tokio::select! {
                    () = ending.cancelled() => return,
                    () = self.wanted.notified() => continue,
                }
            }
            // What comes while this is read is told again.
            told.mark_unchanged();
            match self.read(&store).await {
                Ok(()) => failing = false,
                Err(error) if !failing => {
                    failing = true;
                    tracing::error!(error = %error, "events cannot be read");
                }
                Err(_) => {}
            }
            tokio::select! {
                () = ending.cancelled() => return,
                () = self.wanted.notified() => {}
                // `self` holds the store, and with it the sender.
                Ok(()) = told.changed() => {}
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }

    async fn read(&self, store: &Store) -> Result<(), crate::store::StoreError> {
        let most = MOST as u32;
        loop {
            let mut run = store
                .events_after(self.newest(), &EventFilter::default(), most)
                .await?;
            let end = run.through == run.last;
            // There are more than could be kept: who wants them reads them.
            run.gap |= !end;
            self.put(run);
            if end {
                return Ok(());
            }
        }
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        // Every change under the lock is complete in itself.
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
