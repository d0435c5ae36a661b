//! How a confirmed commit comes into the hands of its guardian: announced before it is sent, so that nobody comes between,
//! and handed over with its session when it was.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::guardian::{Guardian, Times};
use super::record::ConfirmedCommit;
use super::registry::{Announced, Handle, MOST_ORDERS};
use crate::device::Held;
use crate::service::Gateway;
use crate::store::DeviceRecord;

const UNANSWERED: &str = "no reply came; what the device has done is being found out";
const UNVERIFIED: &str =
    "the device said ok to it, and it was not verified; what it has done is being found out";

impl Gateway {
    /// Looks after a confirmed commit from now on, in a task of its own. `held` is the session that it was made in.
    pub(in crate::service) fn guard(
        &self,
        announced: Announced,
        commit: ConfirmedCommit,
        held: Option<Held>,
        record: &DeviceRecord,
    ) {
        let (handle, orders) = announced.take();
        handle.show(&commit);
        let guardian = Guardian::new(self.clone(), handle, commit, held, orders, Times::of(record));
        self.inner
            .tasks
            .spawn(self.inner.guardians.track_future(guardian.run()));
    }

    /// Keeps everybody else out from now on: the commit is about to be sent (C3).
    pub(in crate::service) fn announce(&self, commit: &ConfirmedCommit) -> Announced {
        let (orders, incoming) = mpsc::channel(MOST_ORDERS);
        let handle = Arc::new(Handle::new(commit.clone(), orders));
        self.inner.confirmed.put(&commit.row.id, handle.clone());
        Announced::new(self.clone(), handle, incoming)
    }

    /// The same of one that the device did not answer, or that it does not show as it was to be. Its session is kept if its
    /// end would undo what may have been committed (C2, E4). Any other is closed: the device may be at work for long, or
    /// wait for that.
    pub(in crate::service) fn guard_unanswered(
        &self,
        announced: Announced,
        mut commit: ConfirmedCommit,
        held: Option<Held>,
        record: &DeviceRecord,
    ) {
        let held = held.filter(|held| commit.needs_session() && held.is_open());
        commit.document.session_id = held.as_ref().map(Held::session_id);
        let seen = if commit.is_made() { UNVERIFIED } else { UNANSWERED };
        commit.document.seen = Some(seen.to_owned());
        self.guard(announced, commit, held, record);
    }
}
