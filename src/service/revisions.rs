//! The revision of each device's configuration (S27), as the device told it last: after connecting, in the history that
//! is read before a commit, and in the answer to a commit. Junos only.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use ::time::OffsetDateTime;
use serde::Serialize;
use utoipa::ToSchema;

use super::time::rfc3339;

/// The revision of a configuration, and when the device told it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct RevisionView {
    /// What `if_revision` takes.
    #[schema(example = "re0-1767312000-42")]
    pub id: String,
    pub seen_at: String,
}

/// By the names of the devices: one for each, until it is removed.
#[derive(Debug, Default)]
pub(super) struct Revisions(Mutex<HashMap<String, RevisionView>>);

impl Revisions {
    /// Keeps what a device told.
    pub fn note(&self, device: &str, revision: &str, at: OffsetDateTime) {
        let told = RevisionView {
            id: revision.to_owned(),
            seen_at: rfc3339(at),
        };
        self.lock().insert(device.to_owned(), told);
    }

    /// `None`: it has told none.
    pub fn of(&self, device: &str) -> Option<RevisionView> {
        self.lock().get(device).cloned()
    }

    /// The device is another one from now on, or none.
    pub fn forget(&self, device: &str) {
        self.lock().remove(device);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, RevisionView>> {
        // Every change under the lock is complete in itself.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
