//! A change from its session to its end: the steps, and what happens when one fails. A caller who leaves before anything
//! is edited ends it, later nobody does.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::journal::Journal;
use super::patience::Patience;
use super::state::State;
use super::steps::{Fate, Stop, Work};
use crate::device::{Device, Held, HoldError, Occupant, Way};
use crate::error::{Error, ErrorCode, Outcome};
use crate::netconf::capability::Capabilities;
use crate::netconf::datastore::Datastore;
use crate::pool::Hold;
use crate::service::confirmed::{self, Announced, ConfirmedCommit, Probe};
use crate::service::edit::ground;
use crate::service::edit::reading;
use crate::service::edit::request::{ChangeRequest, Mode};
use crate::service::edit::script::{Script, StepName, Tells};
use crate::service::edit::snapshot::Snapshot;
use crate::service::edit::view::ChangeView;
use crate::service::{held, locks};
use crate::store::DeviceRecord;

/// How long the end of a session is waited for. It goes on by itself.
const GOODBYE: Duration = Duration::from_secs(10);

/// What the caller of a change gets.
pub(super) type Answer = Result<ChangeView, Error>;

/// Writes the script for a session with these capabilities.
pub(super) type Write = Box<dyn FnOnce(&Capabilities) -> Result<Script, Error> + Send + Sync>;

/// A change that is about to begin.
pub(super) struct Procedure {
    pub device: Arc<Device>,
    pub record: Arc<DeviceRecord>,
    pub request: Arc<ChangeRequest>,
    pub probe: Option<Probe>,
    pub script: Script,
    /// What the script was written for.
    pub capabilities: Arc<Capabilities>,
    /// For a session that turns out to have others.
    pub again: Write,
    pub journal: Journal,
    pub patience: Patience,
}

impl Procedure {
    /// Runs to the end of the change.
    pub async fn run(mut self, mut answer: oneshot::Sender<Answer>) {
        let held = tokio::select! {
            held = self.hold() => held,
            // Q7: nothing was sent yet.
            () = answer.closed() => {
                let words = "the caller left before the change had its turn";
                Err(Error::new(ErrorCode::Cancelled, words))
            }
        };
        let result = match held {
            Ok(held) => {
                let left = CancellationToken::new();
                let mut work = pin!(self.work(held, left.clone()));
                tokio::select! {
                    result = &mut work => result,
                    // What was begun goes on without him.
                    () = answer.closed() => {
                        left.cancel();
                        work.await
                    }
                }
            }
            Err(error) => Err(fail(&mut self.journal, error, None, State::Failed, Outcome::NotSent).await),
        };
        // A caller who left is told nothing; the record says it.
        let _ = answer.send(result);
    }

    async fn hold(&self) -> Result<Held, Error> {
        let change = self.journal.change();
        let claim = Occupant {
            id: Some(change.row.id.clone()),
            who: change.row.owner.clone(),
        };
        let ground = &self.script.ground;
        let way = match ground.mode {
            Mode::Exclusive => Way::Candidate,
            // From the first look to the last step nobody else of ours is in between.
            Mode::Shared if ground.target == Datastore::Candidate => Way::Candidate,
            Mode::Private | Mode::Ephemeral | Mode::Shared => Way::Beside,
        };
        let Patience {
            deadline, rpc, wait, ..
        } = self.patience;
        let deadline = deadline.unwrap_or_else(|| Instant::now() + wait + rpc);
        let holding = self.device.hold_as(claim, wait, deadline, way);
        let held = self.journal.gateway().until_draining(holding).await?;
        held.map_err(|error| {
            let in_the_way = matches!(error, HoldError::HeldHere(_));
            let error = locks::not_held(&self.device, error);
            // C3: never as a lock that is held.
            if let Err(pending) = self.journal.gateway().no_confirmed_commit(&change.row.device_id) {
                return pending;
            }
            if in_the_way {
                error.with_step(StepName::Lock.as_str())
            } else {
                error
            }
        })
    }

    async fn work(self, held: Held, left: CancellationToken) -> Answer {
        let Self {
            record,
            request,
            probe,
            mut script,
            capabilities,
            again,
            mut journal,
            patience,
            ..
        } = self;
        journal.note(|change| change.document.session_id = Some(held.session_id()));
        let offered = held.capabilities();
        if offered != capabilities {
            // The device says something else than when it was asked before.
            script = match again(&offered) {
                Ok(script) => script,
                Err(error) => {
                    held.finish().await;
                    return Err(fail(&mut journal, error, None, State::Failed, Outcome::NotSent).await);
                }
            };
        }
        let mut work = Work::new(held, script.ground, journal, patience, request, record, left);
        work.probe = probe;
        match work.go(script.steps).await {
            Ok(()) => Ok(complete(work).await),
            // What is rare must not make every change larger.
            Err(stop) => Err(Box::pin(stopped(work, stop)).await),
        }
    }
}

/// Every step went well.
async fn complete(mut work: Work) -> ChangeView {
    if let Some((commit, announced)) = work.confirmed.take() {
        return pending(work, commit, announced).await;
    }
    let scheduled = work.journal.change().document.scheduled.is_some();
    let (state, outcome) = if work.request.dry_run {
        (State::Discarded, Outcome::NotApplied)
    } else if work.unchanged() {
        (State::Unchanged, Outcome::NotApplied)
    } else if scheduled {
        // The device has taken it on; what it runs has not changed yet (H3).
        (State::Scheduled, Outcome::NotApplied)
    } else {
        (State::Committed, Outcome::Applied)
    };
    if let Err(stop) = give_back(&mut work, false).await {
        work.warn(format!(
            "{} failed ({}), so the session was closed, which gives back what it held",
            stop.step.as_str(),
            stop.error.detail()
        ));
    }
    let Work {
        held, mut journal, ..
    } = work;
    goodbye(held).await;
    journal.end(state, outcome).await
}

/// The commit was made, and has to be confirmed: its session goes to the one who looks after it.
async fn pending(work: Work, mut commit: ConfirmedCommit, announced: Announced) -> ChangeView {
    let Work {
        held,
        mut journal,
        record,
        ..
    } = work;
    commit.state = confirmed::State::Pending;
    let mut view = journal
        .hand_over(State::PendingConfirm, Outcome::Applied, &mut commit)
        .await;
    view.confirmed_commit = Some(commit.view());
    journal.gateway().guard(announced, commit, Some(held), &record);
    view
}

/// A step failed: undoes what was done, in reverse, and tells what that means.
async fn stopped(mut work: Work, stop: Stop) -> Error {
    let Stop { step, fate, error } = stop;
    let (state, outcome, said) = match fate {
        Fate::Unknown => {
            // Whatever is sent now waits behind it, or meets a device that nobody knows the state of: the end of the
            // session gives back what it held.
            let said = "whether it counts is not known yet; it is not sent again";
            (State::Unknown, Outcome::Unknown, said)
        }
        Fate::Applied => {
            // The session's end gives back what this leaves.
            let _ = give_back(&mut work, false).await;
            let said = "the change is committed; only what follows a commit failed";
            (State::Committed, Outcome::Applied, said)
        }
        Fate::Undo | Fate::Ignored => undo(&mut work, fate).await,
    };
    // Until others see that it is being found out what became of it.
    let said = if step == StepName::Save {
        let done = match fate {
            Fate::Applied => "the change is committed",
            Fate::Undo | Fate::Ignored | Fate::Unknown => "there was nothing to commit",
        };
        format!("{done}; {}", reading::unsaved(error.outcome()))
    } else {
        said.to_owned()
    };
    let passage = work.passage.take().map(Arc::new);
    if let Some(passage) = passage.clone() {
        // And until the device owes no reply to what could confirm.
        work.held.keep_until_over(Box::new(passage));
    }
    let confirmed = work.confirmed.take();
    let is_open = state == State::Unknown && !work.journal.change().document.given_up;
    if is_open && confirmed.is_none() {
        // Before anybody else has the device, and before anybody can take it for the last word.
        let row = &work.journal.change().row;
        work.journal
            .gateway()
            .inner
            .resolving
            .put(&row.id, &row.device_id);
    }
    if let Some((commit, _)) = confirmed.as_ref().filter(|_| fate != Fate::Unknown) {
        disarm(&mut work, commit).await;
    }
    let Work {
        held,
        mut journal,
        record,
        ..
    } = work;
    let kept = if fate == Fate::Unknown && confirmed.is_some() {
        Some(held)
    } else if fate == Fate::Unknown || confirmed.is_some() {
        // The device may be at work for long; or it waits for the end of this session.
        drop(held);
        None
    } else if matches!(fate, Fate::Undo | Fate::Ignored) && !held.is_idle() {
        // Nothing was committed in it, so its end takes back what it holds still. A reply that may not come is not waited
        // for.
        let _ = timeout(GOODBYE, held.end()).await;
        None
    } else {
        goodbye(held).await;
        None
    };
    let confirmed = confirmed.filter(|_| fate == Fate::Unknown);
    let error = match error.hint() {
        Some(hint) => {
            let hint = format!("{hint}; {said}");
            error.with_hint(hint)
        }
        None => error.with_hint(said),
    };
    let error = fail(&mut journal, error, Some(step), state, outcome).await;
    if is_open {
        let gateway = journal.gateway().clone();
        let change_id = journal.change().row.id.clone();
        // From now on the store alone says what is known.
        drop(journal);
        match confirmed {
            Some((commit, announced)) => gateway.guard_unanswered(announced, commit, kept, &record),
            None => gateway.resolve(record, change_id),
        }
    }
    error
}

/// Takes back what was done, and says what the device is left with.
async fn undo(work: &mut Work, fate: Fate) -> (State, Outcome, &'static str) {
    let at_once =
        work.ground.target != Datastore::Candidate && work.journal.change().state == State::Committing;
    let running = if at_once && work.held.is_idle() {
        now_running(work).await
    } else {
        None
    };
    // Behind a reply that is missing everything would wait. What is held still goes with the session, and what was edited
    // with it.
    let given_back = work.held.is_idle()
        && match fate {
            Fate::Ignored => discard_ignored(work).await.is_ok() && give_back(work, true).await.is_ok(),
            Fate::Undo | Fate::Applied | Fate::Unknown => give_back(work, true).await.is_ok(),
        };
    let edits_stay = match work.ground.mode {
        Mode::Shared => work.held.holds().contains(Hold::Edits),
        // What was not locked may hold edits of others by now, so nothing was discarded.
        Mode::Exclusive => {
            let holds = work.held.holds();
            holds.contains(Hold::Edits) && !holds.contains(Hold::Lock(work.ground.target))
        }
        Mode::Private | Mode::Ephemeral => false,
    };
    match running {
        Some(true) => {
            return (
                State::Failed,
                Outcome::NotApplied,
                "running is as it was before, which was read after the failure",
            );
        }
        Some(false) => {
            // Looking again would tell no more.
            work.journal.note(|change| {
                change.document.given_up = true;
                change.document.seen =
                    Some("running was read after the failure, and differs from before".to_owned());
            });
            return (
                State::Unknown,
                Outcome::Unknown,
                "the device has no candidate, so a part of the change is in running: diff shows it",
            );
        }
        None if at_once => {
            return (
                State::Unknown,
                Outcome::Unknown,
                "the device has no candidate, and running could not be read again",
            );
        }
        None => {}
    }
    let said = if edits_stay {
        "nothing is committed; what was edited stays in the shared candidate, for everybody to commit or discard"
    } else if fate == Fate::Ignored && given_back {
        "running is as it was before, and what was edited is discarded"
    } else if !work.sent {
        "nothing was done on the device"
    } else if given_back {
        "what was done is undone, and the device is as it was before"
    } else {
        "nothing is committed; the session is closed, with which the device discards what was edited in it"
    };
    (State::Failed, work.nothing_done(), said)
}

/// What was edited is in the candidate still, though by the books it was committed.
async fn discard_ignored(work: &mut Work) -> Result<(), Stop> {
    let held: Vec<Hold> = work.held.holds().iter().collect();
    let discard = work.ground.discard_ignored(&work.held.capabilities(), &held);
    for step in discard.unwrap_or_default() {
        work.send(step, true).await?;
    }
    Ok(())
}

/// Whether running is still as it was before the edits; shows the difference if not. `None`: nobody can tell.
async fn now_running(work: &mut Work) -> Option<bool> {
    let before = work.before.clone()?;
    let capabilities = work.held.capabilities();
    let step = ground::read(
        &capabilities,
        StepName::Verify,
        Datastore::Running,
        Tells::Nothing,
    )
    .ok()?;
    let raw = work.send(step, true).await.ok()?;
    let running = Snapshot::read(raw).await.ok()?;
    let diff = before.difference(&running);
    if diff.is_empty() {
        return Some(true);
    }
    work.journal.differs(diff);
    Some(false)
}

/// Sends what gives back everything that the session holds by its books, last taken first, up to the first that fails.
async fn give_back(work: &mut Work, undo: bool) -> Result<(), Stop> {
    let held: Vec<_> = work.held.holds().iter().collect();
    let capabilities = work.held.capabilities();
    let steps = work.ground.release(&capabilities, &held);
    for step in steps.unwrap_or_default() {
        work.send(step, undo).await?;
    }
    Ok(())
}

/// There are servers on which a confirmed commit that failed waits all the same, and undoes in the end what was committed
/// since. Where it was bound to its session, the session's end is enough.
async fn disarm(work: &mut Work, commit: &ConfirmedCommit) {
    let Some(persist) = commit.document.persist.as_deref() else {
        return;
    };
    let Ok(step) = confirmed::disarm(&work.held.capabilities(), Some(persist)) else {
        return;
    };
    let device = work.device().to_owned();
    // Servers that do it right refuse it, because nothing waits under this token.
    let _ = held::send(step, &mut work.held, &device, Instant::now() + work.patience.rpc).await;
}

async fn goodbye(held: Held) {
    // It goes on in a task of its own when this stops waiting.
    let _ = timeout(GOODBYE, held.finish()).await;
}

/// Ends a change that failed: what its caller is told is what the record says.
async fn fail(
    journal: &mut Journal,
    error: Error,
    step: Option<StepName>,
    state: State,
    outcome: Outcome,
) -> Error {
    let row = &journal.change().row;
    let error = error
        .with_device(&row.device)
        .with_change_id(&row.id)
        .with_outcome(outcome);
    let error = match step {
        Some(step) => error.with_step(step.as_str()),
        None => error,
    };
    journal.note(|change| change.set_error(&error));
    journal.end(state, outcome).await;
    error
}
