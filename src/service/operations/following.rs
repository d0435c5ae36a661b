//! Orders about something that has a record of its own (conventions H7, D1): a confirmed commit, or a change that the device
//! is to make later. One that nobody answered, or that the gateway was killed in, is told as unknown, and not as done, until
//! that record tells what came of it; then the operation ends as the record did.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::carrying::kept;
use super::failure::Failure;
use super::record::Document;
use super::view::State;
use crate::error::{Error, ErrorCode, Outcome};
use crate::service::Gateway;
use crate::service::confirmed::{Aim, Came};
use crate::store::{OperationRecord, StoreError};

/// How often the records are looked at, beside when they change.
const LOOK: Duration = Duration::from_secs(1);
/// Operations followed at a time; others stay unknown.
const MOST: usize = 1000;
/// Rows looked at together when the gateway starts.
const SOME: u32 = 100;

/// Whose record tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum About {
    ConfirmedCommit(Aim),
    ScheduledCommit,
}

impl About {
    /// By the name of the service call. `None`: what came of it is nowhere on record.
    pub fn of(kind: &str) -> Option<Self> {
        match kind {
            "confirm_confirmed_commit" => Some(Self::ConfirmedCommit(Aim::Confirm)),
            "cancel_confirmed_commit" => Some(Self::ConfirmedCommit(Aim::Cancel)),
            "extend_confirmed_commit" => Some(Self::ConfirmedCommit(Aim::Extend)),
            "cancel_change" => Some(Self::ScheduledCommit),
            _ => None,
        }
    }
}

/// An operation that waits for what a record tells.
#[derive(Debug, Clone)]
pub(super) struct Followed {
    /// With the id of the record. Absent: what is running tells (`at_once`).
    about: Option<(About, String)>,
    /// The name of its device.
    device: String,
    /// When it was over for its caller, or was found left behind. Absent: that is being stored.
    since: Option<Instant>,
    /// The device was seen, late enough, to be going to do what was called off.
    stays: bool,
}

/// All of them, by their ids.
#[derive(Debug, Default)]
pub(in crate::service) struct Following {
    all: Mutex<BTreeMap<String, Followed>>,
    look: Notify,
}

impl Following {
    /// An operation is about to be stored as unknown: from now on that is not its last word. Others go by.
    pub(super) fn announce(&self, row: &OperationRecord) {
        let unknown = row.state == State::Unknown.as_str();
        if !unknown {
            return;
        }
        let document = Document::of(&row.document);
        let about = About::of(&row.kind).zip(document.about);
        if document.given_up || about.is_none() && document.at_once.is_none() {
            return;
        }
        let mut all = self.lock();
        if all.len() >= MOST {
            tracing::warn!(
                operation = row.id,
                "too many operations are being found out about"
            );
            return;
        }
        let followed = Followed {
            about,
            device: row.device.clone(),
            since: None,
            stays: false,
        };
        all.insert(row.id.clone(), followed);
    }

    /// It is stored as unknown.
    pub(super) fn begin(&self, id: &str) {
        if let Some(followed) = self.lock().get_mut(id) {
            followed.since = Some(Instant::now());
            self.look.notify_one();
        }
    }

    /// One that what is running tells of, if it is that and is stored.
    fn of_running(&self, id: &str) -> Option<Followed> {
        let all = self.lock();
        let followed = all.get(id).filter(|followed| followed.about.is_none());
        followed.filter(|followed| followed.since.is_some()).cloned()
    }

    /// Something may be known of one of them.
    pub fn look(&self) {
        self.look.notify_one();
    }

    /// A scheduled commit was seen to stand still. What was ordered less than `commit_time` ago may come to the device late.
    pub fn stays(&self, change_id: &str, commit_time: Duration) {
        for followed in self.lock().values_mut() {
            let long = followed.since.is_some_and(|since| since.elapsed() >= commit_time);
            let about = followed.about.as_ref();
            let is_it = about.is_some_and(|(about, id)| *about == About::ScheduledCommit && id == change_id);
            if is_it && long {
                followed.stays = true;
                self.look.notify_one();
            }
        }
    }

    pub(super) fn contains(&self, id: &str) -> bool {
        self.lock().contains_key(id)
    }

    pub(super) fn ids(&self) -> BTreeSet<String> {
        self.lock().keys().cloned().collect()
    }

    fn all(&self) -> Vec<(String, Followed)> {
        let all = self.lock();
        all.iter()
            .map(|(id, followed)| (id.clone(), followed.clone()))
            .collect()
    }

    pub(super) fn remove(&self, id: &str) {
        self.lock().remove(id);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Followed>> {
        // Every change under the lock is complete in itself.
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What came of one, with the answer that its caller would have had.
type End = Came<Vec<u8>>;

impl Gateway {
    /// Takes up what an earlier process left behind.
    ///
    /// # Errors
    /// When the store cannot be used.
    pub(super) async fn follow_left_behind(&self) -> Result<(), Error> {
        let following = &self.inner.operations.following;
        let mut after = String::new();
        loop {
            let rows = self
                .inner
                .store
                .operations_in(State::Unknown.as_str(), &after, SOME)
                .await;
            let rows = rows.map_err(|error| self.store_error(error))?;
            let Some(last) = rows.last() else { return Ok(()) };
            after.clone_from(&last.id);
            for row in &rows {
                following.announce(row);
                self.follow_from_now(&row.id);
            }
        }
    }

    /// It is stored how the call ended; if it is unknown what came of it, that is found out from now on.
    pub(super) fn follow_from_now(&self, id: &str) {
        let following = &self.inner.operations.following;
        following.begin(id);
        if let Some(followed) = following.of_running(id) {
            self.look_at_running(id, followed);
        }
    }

    /// Ends operations as the records do that they are about, until the gateway ends.
    pub(in crate::service) async fn follow_operations(self) {
        let following = &self.inner.operations.following;
        loop {
            let all = following.all();
            for (id, followed) in &all {
                if let Err(error) = self.follow(id, followed).await {
                    tracing::warn!(operation = id, error = %error, "what came of an operation is not stored yet");
                }
            }
            let again = async {
                match all.is_empty() {
                    true => std::future::pending().await,
                    false => tokio::time::sleep(LOOK).await,
                }
            };
            tokio::select! {
                () = self.inner.ending.cancelled() => return,
                () = following.look.notified() => {}
                () = again => {}
            }
        }
    }

    async fn follow(&self, id: &str, followed: &Followed) -> Result<(), Error> {
        // What running tells of has a task of its own, as a device takes its time.
        let Some((since, (about, record))) = followed.since.zip(followed.about.as_ref()) else {
            return Ok(());
        };
        let since = since.elapsed();
        let end = match about {
            About::ConfirmedCommit(aim) => {
                let came = self.came_of_order(*aim, record, id, since).await?;
                told(came)
            }
            About::ScheduledCommit => {
                let came = self.came_of_cancelling(record, followed.stays, since);
                told(came.await?)
            }
        };
        match end {
            Came::Wait => Ok(()),
            Came::Done(response) => {
                let end = (State::Succeeded, Outcome::Applied);
                self.end_followed(id, end, None, Some(response)).await
            }
            Came::Not(words) => {
                let end = (State::Failed, Outcome::NotApplied);
                let error = Error::new(ErrorCode::InvalidState, words)
                    .with_outcome(Outcome::NotApplied)
                    .with_device(&followed.device);
                self.end_followed(id, end, Some(Failure::from(&error)), None)
                    .await
            }
            Came::Untold(words) => self.give_up(id, followed, words).await,
        }
    }

    /// It is known what came of it.
    ///
    /// # Errors
    /// `store-unavailable`: it is followed still.
    pub(super) async fn end_followed(
        &self,
        id: &str,
        (state, outcome): (State, Outcome),
        failure: Option<Failure>,
        response: Option<Vec<u8>>,
    ) -> Result<(), Error> {
        let following = &self.inner.operations.following;
        let Some(mut row) = self.unknown_row(id).await? else {
            following.remove(id);
            return Ok(());
        };
        let (response, omitted_bytes) = kept(response);
        let document = Document {
            failure,
            omitted_bytes,
            ..Document::of(&row.document)
        };
        row.document = document.to_bytes();
        state.as_str().clone_into(&mut row.state);
        row.outcome = Some(outcome.as_str().to_owned());
        let store = &self.inner.store;
        match store.end_operation(&mut row, response.as_deref(), None).await {
            Ok(()) | Err(StoreError::NotFound) => {
                following.remove(id);
                Ok(())
            }
            Err(error) => Err(self.store_error(error)),
        }
    }

    /// It stays unknown, and that is its last word.
    ///
    /// # Errors
    /// `store-unavailable`: it is followed still.
    pub(super) async fn give_up(&self, id: &str, followed: &Followed, words: String) -> Result<(), Error> {
        let following = &self.inner.operations.following;
        let Some(row) = self.unknown_row(id).await? else {
            following.remove(id);
            return Ok(());
        };
        let mut document = Document::of(&row.document);
        document.given_up = true;
        if document.failure.is_none() {
            let words = format!("the gateway ended before the call did, and {words}");
            let error = Error::new(ErrorCode::OutcomeUnknown, words)
                .with_outcome(Outcome::Unknown)
                .with_reason("gateway_restarted")
                .with_device(&row.device)
                .with_hint("look at the device; it is not sent again");
            document.failure = Some(Failure::from(&error));
        } else if followed.about.is_none() {
            let failure = document.failure.take();
            document.failure = failure.map(|failure| failure.found(Outcome::Unknown, &words));
        }
        match self.inner.store.note_operation(id, &document.to_bytes()).await {
            Ok(()) | Err(StoreError::NotFound) => {
                following.remove(id);
                Ok(())
            }
            Err(error) => Err(self.store_error(error)),
        }
    }

    /// Its row, if that has no end yet.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub(super) async fn unknown_row(&self, id: &str) -> Result<Option<OperationRecord>, Error> {
        match self.inner.store.get_operation(id).await {
            Ok((row, _)) if row.state == State::Unknown.as_str() => Ok(Some(row)),
            Ok(_) | Err(StoreError::NotFound) => Ok(None),
            Err(error) => Err(self.store_error(error)),
        }
    }
}

/// The view as JSON text.
fn told(came: Came<Box<impl serde::Serialize>>) -> End {
    match came {
        Came::Wait => Came::Wait,
        Came::Done(view) => Came::Done(serde_json::to_vec(&view).unwrap_or_default()),
        Came::Not(words) => Came::Not(words),
        Came::Untold(words) => Came::Untold(words),
    }
}
