//! Finding out what became of a commit whose reply was lost (conventions E4): the device's own records are read, again
//! and again; nothing is sent a second time, and nothing is killed. What was asked to be saved is saved then (`saving`).

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::instance;
use super::read_row;
use super::record::Change;
use super::state::State;
use crate::error::{Error, ErrorCode, Outcome};
use crate::service::Gateway;
use crate::service::continuity;
use crate::service::edit::request::Mode;
use crate::service::edit::view::ScheduledView;
use crate::service::evidence::{self, Standing};
use crate::service::history;
use crate::service::verdict::{BEYOND, Conclusion, FIRST_PAUSE, LONGEST_PAUSE, Sight, compared, conclude};
use crate::store::{ChangeRecord, DeviceRecord, StoreError};

/// Rows looked at together when the gateway starts.
const SOME: u32 = 100;

impl Gateway {
    /// Finds out, in a task of its own, what became of a change whose commit was sent and not answered. Until then its
    /// state is `unknown`.
    pub(in crate::service) fn resolve(&self, device: Arc<DeviceRecord>, change_id: String) {
        let (gateway, ending) = (self.clone(), self.inner.ending.clone());
        self.inner.resolving.put(&change_id, &device.id);
        self.inner.tasks.spawn(async move {
            let id = change_id.clone();
            tokio::select! {
                // The next start goes on with it, so until the end it is not said that nobody does.
                () = ending.cancelled() => {}
                () = gateway.look_until_known(&device, &id) => gateway.inner.resolving.remove(&change_id),
            }
        });
    }

    async fn look_until_known(&self, device: &DeviceRecord, change_id: &str) {
        let mut pause = FIRST_PAUSE;
        let mut save_by = None;
        loop {
            let change = match self.inner.store.get_change(&device.id, change_id).await {
                Ok(row) => read_row(row),
                Err(StoreError::NotFound) => return,
                Err(error) => Err(self.store_error(error)),
            };
            match change {
                // That it is unknown is being stored still.
                Ok(change) if change.state.is_running() => {}
                Ok(change) if change.state != State::Unknown => return,
                Ok(change) => {
                    let conclusion = self.look_at(device, &change).await;
                    match self
                        .conclude_change(device, change, conclusion, &mut save_by)
                        .await
                    {
                        Ok(true) => return,
                        Ok(false) => {}
                        Err(error) => {
                            tracing::error!(change = change_id, error = %error, "what became of a commit could not be stored");
                        }
                    }
                }
                Err(error) => {
                    tracing::error!(change = change_id, error = %error, "a commit whose reply was lost could not be read");
                }
            }
            tokio::time::sleep(pause).await;
            pause = (2 * pause).min(LONGEST_PAUSE);
        }
    }

    async fn look_at(&self, device: &DeviceRecord, change: &Change) -> Conclusion {
        let timeouts = &device.settings.timeouts;
        let commit_time = Duration::from_secs(timeouts.commit_seconds);
        let sent = change.document.evidence.sent.as_ref();
        let sent = sent.map_or(Duration::MAX, |sent| sent.elapsed(&self.inner.clock));
        // Before the evidence: what is not there when the session has ended does not come any more.
        let gone = self.session_is_gone(device, change).await;
        let sight = self.sight(device, change).await.unwrap_or_else(|error| {
            Sight::Unclear(format!("the device could not be asked: {}", error.detail()))
        });
        if change.document.evidence.at.is_some() && matches!(sight, Sight::AsBefore(_)) {
            // The device makes it by itself: that it neither waits for its time nor is in the history may mean that it is
            // being made, whatever became of the session, and however long ago it was asked for.
            let absent = self.inner.gone.time(&change.row.id);
            return conclude(sight, false, absent, commit_time);
        }
        conclude(sight, gone, sent, commit_time)
    }

    async fn sight(&self, device: &DeviceRecord, change: &Change) -> Result<Sight, Error> {
        let (record, live) = self.device(device.name()).await?;
        if record.id != device.id {
            let words = "the device was removed, and another one has its name";
            return Ok(Sight::Unclear(words.to_owned()));
        }
        let deadline = Instant::now() + live.settings().rpc_timeout;
        let owner = &change.row.owner;
        let evidence = &change.document.evidence;
        if change.row.mode == Mode::Ephemeral.as_str() {
            if let Some(why) = instance::untold(evidence) {
                return Ok(Sight::Untold(why.to_owned()));
            }
            let name = change.document.instance.as_deref();
            let found = instance::read(&live, deadline, name).await?;
            return Ok(compared("the instance", evidence.running(&found.digest())));
        }
        if evidence.junos {
            let history = history::read(&record, &live, owner, deadline).await?;
            return Ok(match evidence::standing(&history, &change.document.marker) {
                Standing::Absent if !continuity::goes_on(&history, evidence.newest.as_ref()) => {
                    Sight::Unclear(continuity::ANOTHER.to_owned())
                }
                // There is one at most, and no other was scheduled when this one was sent.
                Standing::Absent if evidence.at.is_some() && history.scheduled.is_some() => {
                    Sight::Scheduled("the device is going to make the commit".to_owned())
                }
                Standing::Absent => {
                    Sight::AsBefore("the device's history does not hold the commit".to_owned())
                }
                Standing::Newest { .. }
                | Standing::OwnCommit { .. }
                | Standing::Followed(_)
                | Standing::Overlaid(_) => Sight::Applied("the device's history holds the commit".to_owned()),
            });
        }
        let running = history::running(&record, &live, owner, deadline).await?;
        Ok(compared("running", evidence.running(&running.digest())))
    }

    /// Whether the device says that the session which sent the commit has ended. A device that does not list its
    /// sessions says nothing.
    async fn session_is_gone(&self, device: &DeviceRecord, change: &Change) -> bool {
        let Some(session_id) = change.document.session_id else {
            return false;
        };
        let Ok((record, live)) = self.device(device.name()).await else {
            return false;
        };
        let deadline = Instant::now() + live.settings().rpc_timeout;
        let listed = history::sessions(&record, &live, &change.row.owner, deadline).await;
        matches!(listed, Ok(Some(sessions)) if !sessions.contains(&session_id))
    }

    /// Stores a conclusion; whether it is the last one. `save_by`: until when it is tried to save what is found to be made,
    /// from the first time on.
    async fn conclude_change(
        &self,
        device: &DeviceRecord,
        mut change: Change,
        conclusion: Conclusion,
        save_by: &mut Option<Instant>,
    ) -> Result<bool, Error> {
        let (last, seen) = match conclusion {
            Conclusion::Applied(seen) => {
                if change.document.evidence.saves {
                    let commit_time = Duration::from_secs(device.settings.timeouts.commit_seconds);
                    let by = *save_by.get_or_insert_with(|| Instant::now() + commit_time + BEYOND);
                    if !self.save_what_was_found(device, &mut change, by).await? {
                        return Ok(false);
                    }
                }
                change.enter(State::Committed)?;
                change.set_outcome(Outcome::Applied);
                (true, seen)
            }
            Conclusion::Scheduled(seen) => {
                change.enter(State::Scheduled)?;
                change.set_outcome(Outcome::NotApplied);
                let at = change.document.evidence.at.clone();
                change.document.scheduled = at.map(|at| ScheduledView { at, time_zone: None });
                (true, seen)
            }
            Conclusion::NotApplied(seen) => {
                change.enter(State::Failed)?;
                change.set_outcome(Outcome::NotApplied);
                (true, seen)
            }
            Conclusion::GivenUp(seen) => {
                change.document.given_up = true;
                (true, seen)
            }
            Conclusion::Wait(seen) => (false, seen),
        };
        if !last && change.document.seen.as_deref() == Some(&seen) {
            return Ok(false);
        }
        change.document.seen = Some(seen);
        let mut row = change.to_row();
        let stored = self.inner.store.update_change(&mut row).await;
        stored.map_err(|error| self.store_error(error))?;
        self.tell_edit_session(&change).await;
        Ok(last)
    }

    /// The edit session that it was a commit of, where that goes on, learns what was found out.
    async fn tell_edit_session(&self, change: &Change) {
        let Some(id) = change.document.edit_session_id.as_deref() else {
            return;
        };
        // The ids of edit sessions are used once, whatever the device is called by now.
        if let Ok((_, live)) = self.device(&change.row.device).await
            && let Some(handle) = live.edit_session(id)
        {
            if change.state == State::Committed {
                handle.found_committed(&change.row.id);
            } else if change.state == State::Failed {
                handle.commit_is_over(&change.row.id);
            }
        }
    }

    /// Takes up what an earlier process left behind (D1).
    ///
    /// # Errors
    /// When the store cannot be used.
    pub(in crate::service) async fn resolve_left_behind(&self) -> Result<(), Error> {
        let unknown = State::Unknown.as_str();
        let mut after = String::new();
        loop {
            let rows = self.inner.store.changes_in(unknown, &after, SOME).await;
            let rows = rows.map_err(|error| self.store_error(error))?;
            let Some(last) = rows.last() else { return Ok(()) };
            after.clone_from(&last.id);
            for row in rows {
                let id = row.id.clone();
                if let Err(error) = self.take_up_change(row).await {
                    tracing::error!(change = id, error = %error, "a commit whose reply was lost cannot be taken up");
                }
            }
        }
    }

    async fn take_up_change(&self, row: ChangeRecord) -> Result<(), Error> {
        let change = read_row(row)?;
        // Confirmed commits have a record of their own, and somebody who looks after it.
        if change.document.given_up || change.document.confirmed_commit_id.is_some() {
            return Ok(());
        }
        let record = self.record(&change.row.device).await?;
        if record.id == change.row.device_id {
            self.resolve(Arc::new(record), change.row.id);
        }
        Ok(())
    }

    /// Refuses while it is not known what became of an earlier commit (D1, E2).
    ///
    /// # Errors
    /// `invalid-state`, reason `resolving`.
    pub(in crate::service) fn nothing_to_resolve(&self, device_id: &str) -> Result<(), Error> {
        let Some(change_id) = self.inner.resolving.of_device(device_id) else {
            return Ok(());
        };
        let detail = format!("whether the commit of the change {change_id} was made is being found out");
        Err(Error::new(ErrorCode::InvalidState, detail)
            .with_reason("resolving")
            .with_change_id(&change_id)
            .with_hint("its record tells when that is known; then try again"))
    }
}
