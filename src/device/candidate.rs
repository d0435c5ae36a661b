//! The lane of the shared candidate: one holder at a time, fair among principals, bounded (Q1). Lock, edits and commit
//! of one holder happen in one turn, and commits of private copies take a turn too.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::lane::{Lane, NoTurn, Purpose, Turn};
use crate::metrics::Metrics;

/// How often, and for how long, who wants no wait looks for the name of the one who got the lane this moment.
const NAMELESS_TRIES: usize = 100;
const NAMELESS_PAUSE: Duration = Duration::from_millis(1);

/// Who has the lane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Occupant {
    /// Of the edit session or change, where there is one.
    pub id: Option<String>,
    /// The principal.
    pub who: String,
}

/// The lane. Cheap to clone.
#[derive(Clone)]
pub struct CandidateLane {
    lane: Lane,
    occupant: Arc<Mutex<Option<Occupant>>>,
    /// How many that have a session already wait for the lane.
    wanted: Arc<watch::Sender<usize>>,
}

impl CandidateLane {
    pub fn new(queue_length: usize, metrics: Arc<Metrics>) -> Self {
        Self {
            lane: Lane::new(1, queue_length, metrics),
            occupant: Arc::default(),
            wanted: Arc::new(watch::Sender::new(0)),
        }
    }

    /// Who has it now; `None`: nobody, or somebody who got it this moment.
    pub fn occupant(&self) -> Option<Occupant> {
        self.lock().clone()
    }

    /// How many wait for it.
    pub fn queued(&self) -> usize {
        self.lane.queued()
    }

    /// The lane if it is free, else a wait for it until `deadline`; `None`: no wait.
    ///
    /// # Errors
    /// As [`Lane::enter`]; without a wait [`NoTurn::Deadline`].
    pub async fn enter(&self, claim: Occupant, deadline: Option<Instant>) -> Result<CandidateTurn, NoTurn> {
        if let Some(turn) = self.try_enter(&claim) {
            return Ok(turn);
        }
        if let Some(deadline) = deadline {
            let turn = self.lane.enter(&claim.who, Purpose::Exclusive, deadline).await?;
            *self.lock() = Some(claim);
            return Ok(self.turn(turn));
        }
        // Who is refused is told by whom. A turn that is just being passed on has no name yet.
        for _ in 0..NAMELESS_TRIES {
            if self.occupant().is_some() {
                break;
            }
            tokio::time::sleep(NAMELESS_PAUSE).await;
            if let Some(turn) = self.try_enter(&claim) {
                return Ok(turn);
            }
        }
        Err(self.lane.refuse())
    }

    fn try_enter(&self, claim: &Occupant) -> Option<CandidateTurn> {
        let mut occupant = self.lock();
        let turn = self.lane.try_enter(Purpose::Exclusive)?;
        *occupant = Some(claim.clone());
        drop(occupant);
        Some(self.turn(turn))
    }

    fn turn(&self, turn: Turn) -> CandidateTurn {
        CandidateTurn {
            lane: self.clone(),
            _turn: turn.unpaced(),
        }
    }

    /// As [`Self::enter`], for who has a session already: whoever has the lane and still waits for a session steps
    /// back. Otherwise each could wait for what the other has.
    pub async fn enter_with_session(
        &self,
        claim: Occupant,
        deadline: Option<Instant>,
    ) -> Result<CandidateTurn, NoTurn> {
        self.wanted.send_modify(|count| *count += 1);
        let _wanted = Wanted(self.wanted.clone());
        self.enter(claim, deadline).await
    }

    /// Waits until somebody wants the lane who has a session already.
    pub async fn wanted(&self) {
        let mut wanted = self.wanted.subscribe();
        // The sender lives as long as `self`.
        let _ = wanted.wait_for(|count| *count > 0).await;
    }

    /// Refuses everybody from now on.
    pub fn drain(&self) {
        self.lane.drain();
    }

    fn lock(&self) -> MutexGuard<'_, Option<Occupant>> {
        // A whole value is put in its place.
        self.occupant.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Wanted(Arc<watch::Sender<usize>>);

impl Drop for Wanted {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

/// The right to work on the shared candidate.
pub struct CandidateTurn {
    lane: CandidateLane,
    /// Given back after the occupant is forgotten.
    _turn: Turn,
}

impl Drop for CandidateTurn {
    fn drop(&mut self) {
        *self.lane.lock() = None;
    }
}
