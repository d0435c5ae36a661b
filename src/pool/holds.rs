//! What a session holds on its device, and what each RPC does to that (Q2). Pure bookkeeping: it errs on the side of
//! holding, so that a session without holds may go to anybody.
//!
//! A lock or a private copy counts from the moment its request is sent; only the device's refusal takes it back. It
//! goes when the device says ok to its release, never before, and never by a lost reply.

use std::fmt;

use crate::netconf::datastore::Datastore;

/// One thing that a session can hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Hold {
    /// The lock of a datastore (RFC 6241 section 7.5).
    Lock(Datastore),
    /// A private copy of the candidate (S24).
    Private,
    /// An open ephemeral instance (S25).
    Ephemeral,
    /// Changes that are neither committed nor discarded.
    Edits,
    /// A confirmed commit that is neither confirmed nor cancelled: the end of the session may undo it (C2).
    ConfirmedCommit,
}

impl Hold {
    /// Every hold there is.
    pub const ALL: [Hold; 7] = [
        Self::Lock(Datastore::Running),
        Self::Lock(Datastore::Candidate),
        Self::Lock(Datastore::Startup),
        Self::Private,
        Self::Ephemeral,
        Self::Edits,
        Self::ConfirmedCommit,
    ];

    fn bit(self) -> u8 {
        match self {
            Self::Lock(Datastore::Running) => 1,
            Self::Lock(Datastore::Candidate) => 1 << 1,
            Self::Lock(Datastore::Startup) => 1 << 2,
            Self::Private => 1 << 3,
            Self::Ephemeral => 1 << 4,
            Self::Edits => 1 << 5,
            Self::ConfirmedCommit => 1 << 6,
        }
    }
}

impl fmt::Display for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lock(datastore) => write!(f, "lock of {}", datastore.as_str()),
            Self::Private => f.write_str("private copy"),
            Self::Ephemeral => f.write_str("ephemeral instance"),
            Self::Edits => f.write_str("uncommitted changes"),
            Self::ConfirmedCommit => f.write_str("confirmed commit"),
        }
    }
}

/// What an RPC does to its session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Touch {
    /// It only reads.
    Nothing,
    /// It takes something, unless the device refuses.
    Acquires(Hold),
    /// It gives something back, if the device says ok.
    Releases(Hold),
    /// It changes the configuration that the session works on. A refusal leaves what could be done (Junos keeps the
    /// statements that it understood).
    Edits,
    /// It commits until a deadline, or moves the deadline. A refusal is no proof that nothing is pending: some servers
    /// arm their timer for a commit that fails.
    CommitsConfirmed,
    /// It changes the device at once, and nothing stays with the session: a commit of what was not edited here, an
    /// edit of running, a copy to startup.
    Applies,
    /// Nobody knows: the session is never lent again.
    Unknown,
}

impl Touch {
    /// Whether the RPC can change anything on the device.
    pub fn mutates(self) -> bool {
        match self {
            Self::Nothing => false,
            Self::Acquires(_)
            | Self::Releases(_)
            | Self::Edits
            | Self::CommitsConfirmed
            | Self::Applies
            | Self::Unknown => true,
        }
    }
}

/// What came of an RPC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Came {
    /// It did not leave for the device.
    NotSent,
    /// A reply without errors.
    Ok,
    /// A reply with an error.
    Refused,
    /// No reply, or none that could be kept.
    Nothing,
}

/// An RPC under way; what it may do is in the books already.
#[derive(Debug)]
#[must_use = "without `settle` the RPC counts as never answered"]
pub struct Booking {
    touch: Touch,
    /// What was not held before.
    added: u8,
    /// What is not sure to be held any more.
    doubted: u8,
    spoiled: bool,
}

/// What a session holds, as far as anybody can know.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Holds {
    held: u8,
    /// Of that, what the device said ok to.
    confirmed: u8,
    /// What the edits were made in, all of them: they go with it.
    home: u8,
    /// An RPC of unknown effect was sent.
    spoiled: bool,
}

impl Holds {
    /// Whether the session may go to anybody.
    pub fn is_empty(self) -> bool {
        self.held == 0 && !self.spoiled
    }

    /// Whether the session holds this, or may.
    pub fn contains(self, hold: Hold) -> bool {
        self.held & hold.bit() != 0
    }

    /// What is held, locks first.
    pub fn iter(self) -> impl Iterator<Item = Hold> {
        Hold::ALL.into_iter().filter(move |hold| self.contains(*hold))
    }

    /// Books an RPC that is about to be sent.
    pub fn book(&mut self, touch: Touch) -> Booking {
        let before = *self;
        match touch {
            Touch::Nothing | Touch::Applies => {}
            // Perhaps it goes, and nobody waits to hear of it: no edit made from now on is sure to go with it.
            Touch::Releases(hold) => self.confirmed &= !hold.bit(),
            Touch::Acquires(hold) => self.held |= hold.bit(),
            Touch::CommitsConfirmed => self.held |= Hold::ConfirmedCommit.bit(),
            Touch::Edits => {
                let home = self.home_of_an_edit();
                self.home = if self.contains(Hold::Edits) {
                    self.home & home
                } else {
                    home
                };
                self.held |= Hold::Edits.bit();
            }
            Touch::Unknown => self.spoiled = true,
        }
        Booking {
            touch,
            added: self.held & !before.held,
            doubted: before.confirmed & !self.confirmed,
            spoiled: self.spoiled && !before.spoiled,
        }
    }

    /// Takes account of what came of an RPC.
    pub fn settle(&mut self, booking: Booking, came: Came) {
        match (came, booking.touch) {
            (Came::NotSent, _) => {
                self.held &= !booking.added;
                self.confirmed |= booking.doubted;
                if booking.spoiled {
                    self.spoiled = false;
                }
            }
            // What was held before the request stays: the device refuses a lock that the session has already.
            (Came::Refused, Touch::Acquires(_)) => self.held &= !booking.added,
            (Came::Refused, Touch::Releases(_)) => self.confirmed |= booking.doubted,
            (Came::Ok, Touch::Releases(hold)) => {
                self.held &= !hold.bit();
                if self.home & hold.bit() != 0 {
                    self.held &= !Hold::Edits.bit();
                }
            }
            (Came::Ok, Touch::Acquires(hold)) => self.confirmed |= hold.bit(),
            (Came::Ok, Touch::CommitsConfirmed) => self.held &= !Hold::Edits.bit(),
            (Came::Ok, Touch::Nothing | Touch::Edits | Touch::Applies | Touch::Unknown)
            | (
                Came::Refused,
                Touch::Nothing | Touch::Edits | Touch::CommitsConfirmed | Touch::Applies | Touch::Unknown,
            )
            | (Came::Nothing, _) => {}
        }
    }

    /// What takes an edit along that is made now: the device discards uncommitted changes with the private copy or the
    /// instance that they were made in (S23), else with the lock of the candidate (RFC 6241 section 8.3.5.2).
    fn home_of_an_edit(self) -> u8 {
        let copies = self.held & (Hold::Private.bit() | Hold::Ephemeral.bit());
        match copies.count_ones() {
            0 => self.confirmed & Hold::Lock(Datastore::Candidate).bit(),
            1 => self.confirmed & copies,
            // In one of them: nothing is known to take it along.
            _ => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::truth::{CANDIDATE, Fate, Truth};
    use super::*;

    fn after(steps: &[(Touch, Came)]) -> Holds {
        let mut holds = Holds::default();
        for (touch, came) in steps {
            let booking = holds.book(*touch);
            holds.settle(booking, *came);
        }
        holds
    }

    fn held(steps: &[(Touch, Came)]) -> Vec<Hold> {
        after(steps).iter().collect()
    }

    /// Q2: a lock counts from the moment of sending; only a refusal or not having been sent takes it back.
    #[test]
    fn lock_counts_until_the_device_says_otherwise() {
        let lock = Touch::Acquires(CANDIDATE);
        let mut holds = Holds::default();
        let booking = holds.book(lock);
        assert!(holds.contains(CANDIDATE) && !holds.is_empty());
        holds.settle(booking, Came::Refused);
        assert!(holds.is_empty());
        assert_eq!(held(&[(lock, Came::NotSent)]), []);
        assert_eq!(held(&[(lock, Came::Nothing)]), [CANDIDATE]);
        assert_eq!(held(&[(lock, Came::Ok)]), [CANDIDATE]);
        // The device refuses the second one, because this session has the lock.
        assert_eq!(held(&[(lock, Came::Ok), (lock, Came::Refused)]), [CANDIDATE]);
        assert_eq!(held(&[(lock, Came::Nothing), (lock, Came::Refused)]), [CANDIDATE]);
    }

    /// Q2, S23: a release counts when the device says ok, and takes the changes made under it along.
    #[test]
    fn release_needs_an_ok_and_takes_edits_along() {
        let lock = (Touch::Acquires(CANDIDATE), Came::Ok);
        let edit = (Touch::Edits, Came::Refused);
        let unlock = Touch::Releases(CANDIDATE);
        assert_eq!(held(&[lock, edit]), [CANDIDATE, Hold::Edits]);
        assert_eq!(held(&[lock, edit, (unlock, Came::Ok)]), []);
        assert_eq!(
            held(&[lock, edit, (unlock, Came::Refused)]),
            [CANDIDATE, Hold::Edits]
        );
        assert_eq!(
            held(&[lock, edit, (unlock, Came::Nothing)]),
            [CANDIDATE, Hold::Edits]
        );
        assert_eq!(
            held(&[lock, edit, (Touch::Releases(Hold::Edits), Came::Ok)]),
            [CANDIDATE]
        );
        let running = Hold::Lock(Datastore::Running);
        assert_eq!(
            held(&[
                (Touch::Acquires(running), Came::Ok),
                edit,
                (Touch::Releases(running), Came::Ok)
            ]),
            [Hold::Edits]
        );
        for copy in [Hold::Private, Hold::Ephemeral] {
            let open = (Touch::Acquires(copy), Came::Ok);
            assert_eq!(held(&[open, edit, (Touch::Releases(copy), Came::Ok)]), []);
        }
    }

    /// Q2: an RPC of unknown effect spoils the session for good, unless it never left.
    #[test]
    fn unknown_effect_spoils_the_session() {
        assert!(after(&[(Touch::Unknown, Came::NotSent)]).is_empty());
        for came in [Came::Ok, Came::Refused, Came::Nothing] {
            assert!(!after(&[(Touch::Unknown, came)]).is_empty());
        }
        assert!(!after(&[(Touch::Unknown, Came::Ok), (Touch::Unknown, Came::NotSent)]).is_empty());
        assert!(after(&[(Touch::Nothing, Came::Nothing), (Touch::Applies, Came::Nothing)]).is_empty());
    }

    fn touch() -> impl Strategy<Value = Touch> {
        let hold = || proptest::sample::select(Hold::ALL.to_vec());
        let thing = || proptest::sample::select(Hold::ALL[..5].to_vec());
        prop_oneof![
            2 => Just(Touch::Nothing),
            1 => Just(Touch::Applies),
            6 => thing().prop_map(Touch::Acquires),
            8 => hold().prop_map(Touch::Releases),
            4 => Just(Touch::Edits),
            2 => Just(Touch::CommitsConfirmed),
            1 => Just(Touch::Unknown),
        ]
    }

    fn fate() -> impl Strategy<Value = Fate> {
        prop_oneof![
            1 => Just(Fate::NotSent),
            6 => Just(Fate::Done),
            1 => Just(Fate::DoneUnheard),
            1 => Just(Fate::DoneUnawaited),
            2 => Just(Fate::Refused),
            1 => Just(Fate::RefusedUnheard),
        ]
    }

    proptest! {
        // The pool runs as many schedules again with sessions (`schedules`), faster.
        #![proptest_config(ProptestConfig::with_cases(10_000))]

        /// Q2: over random schedules the books never lack what the device holds, so a session that they call free is free.
        #[test]
        fn books_never_lack_what_the_device_holds(
            schedule in proptest::collection::vec((touch(), fate()), 1..12)
        ) {
            let mut holds = Holds::default();
            let mut truth = Truth::default();
            for (touch, fate) in schedule {
                let booking = holds.book(touch);
                truth.apply(touch, fate);
                match fate.came() {
                    Some(came) => holds.settle(booking, came),
                    None => drop(booking),
                }
                prop_assert_eq!(truth.unbooked(holds), None, "{:?} after {:?}: {:?}", holds, touch, truth);
            }
        }
    }
}
