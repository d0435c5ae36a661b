//! Which comes first: that an order is sent, or that whoever gave it has left or waited long enough (conventions H6, Q7).

use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::Instant;

use crate::error::{Error, ErrorCode, Outcome};
use crate::service::operations::Ticket;

/// How far an order has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Waits,
    /// What can be given up still is done for it.
    Served,
    Sent,
    GivenUp,
}

/// The turn of one order. Clones are the same.
#[derive(Debug, Clone)]
pub(in crate::service::confirmed) struct Turn(Arc<Mutex<Place>>);

impl Turn {
    pub fn new() -> Self {
        Self(Arc::new(Mutex::new(Place::Waits)))
    }

    /// Its turn has come. `false`: it was given up.
    fn serve(&self) -> bool {
        self.goes_on(&[Place::Waits], Place::Served)
    }

    /// It is sent. `false`: it was given up.
    fn send(&self) -> bool {
        self.goes_on(&[Place::Served], Place::Sent)
    }

    /// It is given up unless its turn has come.
    pub fn give_up(&self) -> bool {
        self.goes_on(&[Place::Waits], Place::GivenUp)
    }

    /// What waits for an order. When that is dropped before it is sent, the order is given up.
    pub fn waiting(&self) -> Waiting {
        Waiting(self.clone())
    }

    fn goes_on(&self, from: &[Place], to: Place) -> bool {
        // Every change under the lock is complete in itself.
        let mut place = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let goes = from.contains(&place);
        if goes {
            *place = to;
        }
        goes
    }
}

/// See [`Turn::waiting`].
pub(in crate::service::confirmed) struct Waiting(Turn);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.goes_on(&[Place::Waits, Place::Served], Place::GivenUp);
    }
}

/// The order that is being carried out.
#[derive(Debug)]
pub(super) struct Ordered {
    turn: Turn,
    ticket: Ticket,
    deadline: Instant,
}

impl Ordered {
    /// `None`: it was given up meanwhile.
    pub fn new(turn: Turn, ticket: Ticket, deadline: Instant) -> Option<Self> {
        turn.serve().then_some(Self {
            turn,
            ticket,
            deadline,
        })
    }

    /// It is sent now.
    ///
    /// # Errors
    /// `deadline-in-queue`, `cancelled`: it is not to be sent any more.
    pub fn send(&self) -> Result<(), Error> {
        if self.deadline <= Instant::now() {
            return Err(too_late());
        }
        // First: who leaves at this moment is told what came of it, not that it was not sent.
        self.ticket.sent();
        if self.turn.send() {
            Ok(())
        } else {
            Err(Error::new(ErrorCode::Cancelled, "the caller left").with_outcome(Outcome::NotSent))
        }
    }
}

pub(in crate::service::confirmed) fn too_late() -> Error {
    let detail = "the deadline passed before the order could be sent";
    Error::new(ErrorCode::DeadlineInQueue, detail).with_outcome(Outcome::NotSent)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(60)
    }

    /// H6: what is given up while it waits is not carried out; what is carried out is not given up for lateness.
    #[test]
    fn an_order_is_given_up_or_carried_out() {
        let turn = Turn::new();
        assert!(turn.give_up());
        assert!(Ordered::new(turn, Ticket::default(), soon()).is_none());

        let turn = Turn::new();
        let ordered = Ordered::new(turn.clone(), Ticket::default(), soon()).unwrap();
        assert!(!turn.give_up());
        assert!(ordered.send().is_ok());
    }

    /// Q7: whoever leaves takes back what was not sent, and nothing else.
    #[test]
    fn who_leaves_takes_back_what_was_not_sent() {
        let turn = Turn::new();
        let waiting = turn.waiting();
        let ordered = Ordered::new(turn, Ticket::default(), soon()).unwrap();
        drop(waiting);
        assert_eq!(ordered.send().unwrap_err().code(), ErrorCode::Cancelled);

        let turn = Turn::new();
        let waiting = turn.waiting();
        let ordered = Ordered::new(turn.clone(), Ticket::default(), soon()).unwrap();
        assert!(ordered.send().is_ok());
        drop(waiting);
        assert_eq!(*turn.0.lock().unwrap(), Place::Sent);
    }

    /// H6: after its deadline nothing is sent.
    #[test]
    fn nothing_is_sent_after_its_deadline() {
        let ordered = Ordered::new(Turn::new(), Ticket::default(), Instant::now()).unwrap();
        assert_eq!(ordered.send().unwrap_err().code(), ErrorCode::DeadlineInQueue);
    }
}
