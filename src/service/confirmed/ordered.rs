//! What came of an order whose caller was told that nobody knows, or was told nothing because the gateway ended: the
//! record of the confirmed commit says it, and the operation of the order follows it (conventions H7, D1).

use std::time::Duration;

use super::guardian::Times;
use super::record::{ConfirmedCommit, MOST_EARLIER};
use super::state::{By, State};
use crate::error::Error;
use crate::service::Gateway;
use crate::service::edit::view::ConfirmedCommitView;
use crate::store::StoreError;

/// What was ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::service) enum Aim {
    Confirm,
    Cancel,
    Extend,
}

/// What came of something. The words are for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::service) enum Came<T> {
    /// That is being found out.
    Wait,
    /// What was ordered is the case.
    Done(T),
    /// It is not, and will not be by this order.
    Not(String),
    /// Nothing will tell any more.
    Untold(String),
}

/// What is known beside the record.
#[derive(Debug, Clone, Copy)]
struct Known {
    /// Somebody finds out more about it.
    looked_after: bool,
    /// The order is being carried out.
    serving: bool,
    /// The device has had as much time for what it was sent as it may need.
    over: bool,
}

impl Gateway {
    /// What came of an order about a confirmed commit. `since`: how long ago the order was over for its caller.
    ///
    /// # Errors
    /// When the store cannot be used.
    pub(in crate::service) async fn came_of_order(
        &self,
        aim: Aim,
        commit_id: &str,
        operation_id: &str,
        since: Duration,
    ) -> Result<Came<Box<ConfirmedCommitView>>, Error> {
        // What is looked after is further than what is stored; whoever does that stores the end before he leaves.
        let handle = self.inner.confirmed.get(commit_id);
        let commit = match &handle {
            Some(handle) => handle.commit(),
            None => match self.inner.store.get_confirmed_commit(commit_id).await {
                Ok(row) => ConfirmedCommit::of(row)?,
                Err(StoreError::NotFound) => {
                    return Ok(Came::Untold(
                        "the confirmed commit is not on record any more".to_owned(),
                    ));
                }
                Err(error) => return Err(self.store_error(error)),
            },
        };
        let device = &commit.row.device;
        // A device that is gone has nothing pending.
        let commit_time = match self.device(device).await {
            Ok((record, _)) => Times::of(&record).commit,
            Err(_) => Duration::ZERO,
        };
        let known = Known {
            looked_after: handle.is_some(),
            serving: handle.is_some_and(|handle| handle.serving().as_deref() == Some(operation_id)),
            over: since >= commit_time.max(3 * self.inner.pace.slowest(device)),
        };
        Ok(match came_of(&commit, aim, operation_id, known) {
            Came::Wait => Came::Wait,
            Came::Done(()) => Came::Done(Box::new(commit.view())),
            Came::Not(words) => Came::Not(words),
            Came::Untold(words) => Came::Untold(words),
        })
    }
}

fn came_of(commit: &ConfirmedCommit, aim: Aim, operation_id: &str, known: Known) -> Came<()> {
    if known.serving {
        return Came::Wait;
    }
    let document = &commit.document;
    let is_it = |id: &Option<String>| id.as_deref() == Some(operation_id);
    let seen = document.seen.as_deref();
    let seen = seen.map_or_else(String::new, |seen| format!(" ({seen})"));
    let is = format!("the confirmed commit is {}{seen}", commit.state.as_str());
    let not_taken = || Came::Not(format!("the device has not carried out the order; {is}"));
    // What is not on record any more makes room for what is newer.
    let never_sent = |remembered: usize| match remembered {
        MOST_EARLIER.. => Came::Untold(format!("too many orders were not answered; {is}")),
        _ => Came::Not(format!("the order was not sent, or was refused; {is}")),
    };
    if aim == Aim::Extend {
        let extension = document.extending.iter().find(|one| is_it(&one.operation_id));
        let Some(extension) = extension else {
            return never_sent(document.extending.len());
        };
        return match extension.taken {
            Some(true) => Came::Done(()),
            Some(false) => not_taken(),
            None if commit.state.is_open()
                && !commit.is_settled()
                && known.looked_after
                && (document.junos || !known.over) =>
            {
                Came::Wait
            }
            None => Came::Untold(format!(
                "the device does not tell whether it has taken the new deadline; {is}"
            )),
        };
    }
    let mut sent = document.answer.iter().chain(&document.earlier);
    if !sent.any(|answer| is_it(&answer.operation_id)) {
        return never_sent(document.earlier.len());
    }
    match commit.state {
        State::Confirmed if aim == Aim::Confirm && commit.row.by.as_deref() == Some(By::Us.as_str()) => {
            Came::Done(())
        }
        State::Cancelled if aim == Aim::Cancel => Came::Done(()),
        State::Confirmed | State::Cancelled | State::RolledBack | State::Kept => Came::Not(is),
        // It stands among the earlier ones: the device was looked at, and does not show it.
        State::Pending if known.over && document.answer.is_none() => not_taken(),
        State::Pending | State::Confirming | State::Cancelling | State::Unknown
            if known.looked_after && !commit.is_settled() =>
        {
            Came::Wait
        }
        State::Pending | State::Confirming | State::Cancelling | State::Unknown => Came::Untold(is),
    }
}

#[cfg(test)]
mod tests {
    use super::super::record::{Answer, Document, Extension};
    use super::*;
    use crate::clock::Clock;
    use crate::service::evidence::Moment;
    use crate::service::time;
    use crate::store::ConfirmedCommitRecord;

    const KNOWN: Known = Known {
        looked_after: true,
        serving: false,
        over: false,
    };
    const OVER: Known = Known { over: true, ..KNOWN };

    fn commit(state: State, by: Option<By>) -> ConfirmedCommit {
        ConfirmedCommit {
            row: ConfirmedCommitRecord {
                id: "cc1".to_owned(),
                device_id: "d1".to_owned(),
                device: "mx1".to_owned(),
                owner: "alice".to_owned(),
                change_id: "c1".to_owned(),
                state: state.as_str().to_owned(),
                by: by.map(|by| by.as_str().to_owned()),
                reason: None,
                request_id: None,
                timeout_seconds: 60,
                deadline_earliest: time::EPOCH,
                deadline: time::EPOCH,
                created_at: time::EPOCH,
                updated_at: time::EPOCH,
                document: Vec::new(),
            },
            state,
            document: Document {
                junos: true,
                ..Document::default()
            },
        }
    }

    fn answer(cancels: bool) -> Answer {
        Answer {
            marker: "[ncgate 02 alice]".to_owned(),
            cancels,
            sent: None,
            operation_id: Some("o1".to_owned()),
        }
    }

    fn word(came: Came<()>) -> &'static str {
        match came {
            Came::Wait => "wait",
            Came::Done(()) => "done",
            Came::Not(_) => "not",
            Came::Untold(_) => "untold",
        }
    }

    /// H7, D1: the end of an order is that of the record; while that has none, the operation has none.
    #[test]
    fn an_order_ends_as_its_record() {
        use Aim::{Cancel, Confirm};
        for (aim, state, by, known, expected) in [
            (Confirm, State::Confirmed, Some(By::Us), KNOWN, "done"),
            (Confirm, State::Confirmed, Some(By::Other), KNOWN, "not"),
            (Confirm, State::RolledBack, None, KNOWN, "not"),
            (Confirm, State::Kept, None, KNOWN, "not"),
            (Confirm, State::Unknown, None, OVER, "wait"),
            (Confirm, State::Pending, None, KNOWN, "wait"),
            (Confirm, State::Pending, None, OVER, "not"),
            (Cancel, State::Cancelled, None, KNOWN, "done"),
            (Cancel, State::RolledBack, None, KNOWN, "not"),
            (Cancel, State::Confirmed, Some(By::Other), KNOWN, "not"),
        ] {
            let mut commit = commit(state, by);
            commit.document.earlier = vec![answer(aim == Cancel)];
            let came = came_of(&commit, aim, "o1", known);
            assert_eq!(word(came), expected, "{aim:?} {state:?} {by:?}");
            let serving = Known {
                serving: true,
                ..known
            };
            assert_eq!(word(came_of(&commit, aim, "o1", serving)), "wait");
        }
        let mut given_up = commit(State::Unknown, None);
        given_up.document.answer = Some(answer(false));
        let nobody = Known {
            looked_after: false,
            ..KNOWN
        };
        assert_eq!(word(came_of(&given_up, Confirm, "o1", nobody)), "untold");
        given_up.document.given_up = true;
        assert_eq!(word(came_of(&given_up, Confirm, "o1", KNOWN)), "untold");
    }

    /// H7, E2: no row, no send: what the record does not name was not sent.
    #[test]
    fn an_order_without_a_row_was_not_sent() {
        for aim in [Aim::Confirm, Aim::Cancel, Aim::Extend] {
            let came = came_of(&commit(State::Pending, None), aim, "o1", KNOWN);
            assert_eq!(word(came), "not", "{aim:?}");
        }
        let mut full = commit(State::Pending, None);
        full.document.earlier = vec![answer(false); MOST_EARLIER];
        assert_eq!(word(came_of(&full, Aim::Confirm, "o2", KNOWN)), "untold");
    }

    /// C4, H7: a history shows whether an extension was taken; elsewhere nothing does.
    #[test]
    fn an_extension_is_found_in_the_history() {
        let clock = Clock::system();
        let extension = || Extension {
            operation_id: Some("o1".to_owned()),
            sent: Moment::now(&clock),
            seconds: 600,
            taken: None,
            not_before: None,
            outlived: false,
            answered: None,
        };
        let mut pending = commit(State::Pending, None);
        let work = Duration::from_secs(300);
        pending.extending(&clock, extension(), work);
        let came = |commit: &ConfirmedCommit, known| word(came_of(commit, Aim::Extend, "o1", known));
        assert_eq!((came(&pending, KNOWN), came(&pending, OVER)), ("wait", "wait"));
        pending.document.junos = false;
        assert_eq!(came(&pending, OVER), "untold");
        let asked = Moment::now(&clock);
        pending.found_entries(&clock, 1, &asked, work);
        assert_eq!(pending.row.timeout_seconds, 60);
        assert_eq!(word(came_of(&pending, Aim::Extend, "o1", KNOWN)), "wait");
        pending.found_entries(&clock, 2, &asked, work);
        assert_eq!(
            (pending.row.timeout_seconds, pending.document.extensions),
            (600, 1)
        );
        assert_eq!(came(&pending, KNOWN), "done");
        let mut over = commit(State::RolledBack, None);
        over.extending(&clock, extension(), work);
        assert_eq!(came(&over, KNOWN), "untold");
        over.ended_with(1);
        assert_eq!(came(&over, KNOWN), "not");
        // What is not there when no device is at work on it any more does not come.
        let mut late = commit(State::Pending, None);
        late.extending(&clock, extension(), work);
        late.found_entries(&clock, 1, &asked, Duration::ZERO);
        assert_eq!(came(&late, KNOWN), "not");
    }
}
