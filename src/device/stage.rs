//! How far the connects of a device have come that are under way: what a caller is told whose deadline passes meanwhile.

use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The phase that a connect is in.
#[derive(Debug)]
pub struct Stage(Mutex<&'static str>);

impl Stage {
    /// The phase begins; its name is that of its [`super::LinkStep`].
    pub fn enter(&self, phase: &'static str) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = phase;
    }

    fn phase(&self) -> &'static str {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The connects of one device, in the order in which they began.
#[derive(Debug, Default)]
pub(super) struct Stages(Mutex<Vec<Arc<Stage>>>);

impl Stages {
    /// A connect begins, and waits for a place. It is over when this is dropped.
    pub(super) fn begin(&self) -> UnderWay<'_> {
        let stage = Arc::new(Stage(Mutex::new("room")));
        self.list().push(stage.clone());
        UnderWay { stages: self, stage }
    }

    /// The phase of the one that is under way for the longest time: further ones wait for it to prove the credentials.
    pub(super) fn longest(&self) -> Option<&'static str> {
        self.list().first().map(|stage| stage.phase())
    }

    fn list(&self) -> MutexGuard<'_, Vec<Arc<Stage>>> {
        // Every change under the lock is complete in itself.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connect under way.
#[derive(Debug)]
pub(super) struct UnderWay<'a> {
    stages: &'a Stages,
    stage: Arc<Stage>,
}

impl Deref for UnderWay<'_> {
    type Target = Stage;

    fn deref(&self) -> &Stage {
        &self.stage
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.stages
            .list()
            .retain(|stage| !Arc::ptr_eq(stage, &self.stage));
    }
}
