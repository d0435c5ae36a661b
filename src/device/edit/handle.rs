//! What others see of an edit session: its facts, where it stands, and the way to have RPCs sent in it.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use time::OffsetDateTime;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

use super::lease::{Effect, Event};
use super::{EditFacts, EditReason, EditState, Lease};
use crate::clock::Clock;
use crate::device::call::{Admit, Answer, Request};
use crate::device::error::DeviceError;
use crate::device::hold::{Held, HoldError};
use crate::netconf::capability::Capabilities;
use crate::netconf::rpc_error::RpcError;
use crate::pool::{Hold, Holds, Touch};

/// Warnings that one edit session keeps; the oldest go first.
const MOST_WARNINGS: usize = 64;

/// Where an edit session stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EditStatus {
    pub state: EditState,
    pub reason: Option<EditReason>,
    /// When it expires if nobody uses it; once ended, when it would have.
    pub expires_at: OffsetDateTime,
    /// What it holds on the device, or did when it ended.
    pub holds: Holds,
    /// What was edited last makes no difference.
    came_to_nothing: bool,
    /// Nobody knows whether what was edited last was committed.
    may_be_committed: bool,
    pub ended_at: Option<OffsetDateTime>,
}

impl EditStatus {
    /// Whether it has edits that are neither committed nor discarded.
    pub fn uncommitted(&self) -> bool {
        self.holds.contains(Hold::Edits) && !self.came_to_nothing
    }

    /// Whether a commit of what was edited last was sent, and not answered in so many words.
    pub fn may_be_committed(&self) -> bool {
        self.may_be_committed
    }
}

/// Names what was edited in an edit session so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edited(u64);

/// RPCs that belong together: nothing else is sent in the session between them. They end with the first that fails.
pub struct Work {
    pub steps: Vec<(Request, Touch)>,
    /// The lane of the shared candidate is needed meanwhile, and is waited for no longer than this.
    pub lane: Option<Duration>,
    /// What is looked at before, when its turn has come.
    pub look: Option<Look>,
    pub start: Start,
    pub counts: Option<Counts>,
    /// Whether it may be sent still when its turn has come, that of the candidate included.
    pub admit: Option<Admit>,
}

/// RPCs that only read, sent under the same turn as the work behind them, that of the candidate included. As long as they
/// are under way the work has not begun.
pub struct Look {
    pub steps: Vec<Request>,
    pub judge: Judge,
}

/// Whether a work is sent, by the answers to its look, up to the one that failed.
pub type Judge = Box<dyn FnOnce(Vec<Answer>) -> Pin<Box<dyn Future<Output = bool> + Send>> + Send>;

/// The RPC of a work that counts on the device when it is done. It is begun by the deadline or not at all; it, and what
/// follows from it, has a time of its own (conventions Q7).
pub struct Counts {
    /// Its number.
    pub step: usize,
    /// How long it may take, and each that follows.
    pub each: Duration,
    pub hand_over: Option<HandOver>,
}

/// Where the session goes that has sent what counts: the edit session ends then, and gives nothing back.
pub struct HandOver {
    pub to: oneshot::Sender<Held>,
    /// Whether it may have been done, by its answer.
    pub may_count: fn(&Answer) -> bool,
}

/// Whether work has begun. It is decided once: by the session when it begins it, or by who takes it back before.
#[derive(Debug, Clone, Default)]
pub struct Start(Arc<OnceLock<bool>>);

impl Start {
    /// False: it was taken back.
    pub(super) fn begin(&self) -> bool {
        *self.0.get_or_init(|| true)
    }

    /// True: it is never sent. False: it has begun, and runs to its end.
    pub fn take_back(&self) -> bool {
        !*self.0.get_or_init(|| false)
    }
}

/// Why no RPC was sent.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// It has ended, perhaps while the call waited for its turn.
    #[error("the edit session has ended")]
    Ended(Box<EditStatus>),
    /// Its turn, or that of the candidate, did not come.
    #[error(transparent)]
    NotHeld(#[from] HoldError),
    /// Its turn came, and it was not admitted, or what was looked at kept it from being sent.
    #[error("it was taken back when its turn came")]
    NotAdmitted,
}

/// What waits in an edit session.
pub(super) struct Command {
    pub(super) work: Work,
    pub(super) deadline: Instant,
    pub(super) answer: oneshot::Sender<Result<Vec<Answer>, RunError>>,
}

/// What the end of an edit session is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// It is open.
    No,
    /// It has ended, and this is to be done.
    Due(Effect),
    /// All of it is done: the device holds nothing of it.
    Done,
}

struct State {
    lease: Lease,
    holds: Holds,
    /// Counts what may have edited.
    edited: u64,
    /// Up to here the edits make no difference.
    nothing_up_to: Option<u64>,
    /// By the id of its change.
    committing: BTreeMap<String, CommitUnderWay>,
    before: Option<String>,
    warnings: Vec<RpcError>,
    /// Calls under way that kill its NETCONF session.
    kills: usize,
    ended: Option<Ended>,
}

/// A commit of what was edited last that is at work, or was not answered.
struct CommitUnderWay {
    /// What had been edited when it was sent.
    edited: u64,
    unanswered: bool,
}

/// When it ended, and when it would have expired.
#[derive(Clone, Copy)]
struct Ended {
    at: OffsetDateTime,
    expires_at: OffsetDateTime,
}

/// What handles and task share.
pub(super) struct Shared {
    pub(super) facts: EditFacts,
    session_id: u64,
    capabilities: Arc<Capabilities>,
    clock: Clock,
    state: Mutex<State>,
    ending: watch::Sender<Ending>,
}

impl Shared {
    pub(super) fn new(
        facts: EditFacts,
        session_id: u64,
        capabilities: Arc<Capabilities>,
        clock: Clock,
    ) -> Self {
        let state = State {
            lease: Lease::new(facts.ttl, Instant::now()),
            holds: Holds::default(),
            edited: 0,
            nothing_up_to: None,
            committing: BTreeMap::new(),
            before: None,
            warnings: Vec::new(),
            kills: 0,
            ended: None,
        };
        Self {
            facts,
            session_id,
            capabilities,
            clock,
            state: Mutex::new(state),
            ending: watch::Sender::new(Ending::No),
        }
    }

    /// Takes an event; the task sees what is to be done in [`Shared::ending`].
    pub(super) fn on(&self, event: Event) {
        let mut state = self.lock();
        let now = Instant::now();
        let event = match event {
            // The device may be quicker to end it than to say so.
            Event::SessionEnded if state.kills > 0 => Event::Stop(EditReason::Killed),
            Event::SessionEnded
            | Event::Begins
            | Event::Ends
            | Event::Renew
            | Event::Tick
            | Event::Stop(_) => event,
        };
        let effect = state.lease.on(event, now);
        if effect == Effect::Nothing {
            return;
        }
        let at = self.clock.wall();
        let expires_at = at + state.lease.expires_at(now).saturating_duration_since(now);
        state.ended = Some(Ended { at, expires_at });
        let (ended, reason) = (state.lease.state(), state.lease.reason());
        drop(state);
        tracing::info!(
            edit_session = self.facts.id,
            device = self.facts.device,
            session_id = self.session_id,
            state = ended.as_str(),
            reason = reason.map(EditReason::as_str),
            "edit session ended"
        );
        self.ending.send_replace(Ending::Due(effect));
    }

    /// An RPC is about to be sent; false: the session has ended.
    pub(super) fn begins(&self) -> bool {
        let mut state = self.lock();
        state.lease.on(Event::Begins, Instant::now());
        state.lease.state() == EditState::Open
    }

    pub(super) fn next_tick(&self) -> Option<Instant> {
        self.lock().lease.next_tick()
    }

    /// Something is about to be sent that may edit.
    pub(super) fn edits(&self, touch: Touch) {
        let mut state = self.lock();
        match touch {
            Touch::Releases(_) | Touch::CommitsConfirmed => {
                let edited = state.edited;
                let at_work = state.committing.values_mut().filter(|commit| !commit.unanswered);
                at_work.for_each(|commit| commit.edited = edited);
            }
            Touch::Edits => {
                state.edited += 1;
                // A commit that nobody answered tells nothing of it.
                state.committing.retain(|_, commit| !commit.unanswered);
            }
            Touch::Nothing | Touch::Applies | Touch::Unknown | Touch::Acquires(_) => state.edited += 1,
        }
    }

    pub(super) fn note(&self, holds: Holds) {
        self.lock().holds = holds;
    }

    pub(super) fn ending(&self) -> watch::Receiver<Ending> {
        self.ending.subscribe()
    }

    pub(super) fn done(&self) {
        self.ending.send_replace(Ending::Done);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every change under the lock is complete in itself.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An edit session in the hands of its users. Dropping it ends nothing.
#[derive(Clone)]
pub struct EditHandle {
    shared: Arc<Shared>,
    commands: mpsc::Sender<Command>,
}

impl std::fmt::Debug for EditHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EditHandle")
            .field("facts", self.facts())
            .field("status", &self.status())
            .finish_non_exhaustive()
    }
}

impl EditHandle {
    pub(super) fn new(shared: Arc<Shared>, commands: mpsc::Sender<Command>) -> Self {
        Self { shared, commands }
    }

    pub fn facts(&self) -> &EditFacts {
        &self.shared.facts
    }

    pub fn id(&self) -> &str {
        &self.shared.facts.id
    }

    /// The principal that opened it.
    pub fn who(&self) -> &str {
        &self.shared.facts.who
    }

    /// The session-id of its NETCONF session.
    pub fn session_id(&self) -> u64 {
        self.shared.session_id
    }

    /// What may be asked of the device in it.
    pub fn capabilities(&self) -> &Arc<Capabilities> {
        &self.shared.capabilities
    }

    pub fn status(&self) -> EditStatus {
        let state = self.shared.lock();
        let now = Instant::now();
        let left = state.lease.expires_at(now).saturating_duration_since(now);
        EditStatus {
            state: state.lease.state(),
            reason: state.lease.reason(),
            expires_at: state
                .ended
                .map_or_else(|| self.shared.clock.wall() + left, |ended| ended.expires_at),
            holds: state.holds,
            came_to_nothing: state.nothing_up_to == Some(state.edited),
            may_be_committed: !state.committing.is_empty(),
            ended_at: state.ended.map(|ended| ended.at),
        }
    }

    /// What the device, or the gateway, warned of when it was opened and since.
    pub fn warnings(&self) -> Vec<RpcError> {
        self.shared.lock().warnings.clone()
    }

    /// Keeps warnings with it. One that is there already is not repeated.
    pub fn warn(&self, warnings: impl IntoIterator<Item = RpcError>) {
        let mut state = self.shared.lock();
        for warning in warnings {
            if !state.warnings.contains(&warning) {
                state.warnings.push(warning);
            }
        }
        let surplus = state.warnings.len().saturating_sub(MOST_WARNINGS);
        state.warnings.drain(..surplus);
    }

    /// What was edited so far.
    pub fn edited(&self) -> Edited {
        Edited(self.shared.lock().edited)
    }

    /// What had been edited by then makes no difference to what is committed: the device showed none later. What it
    /// holds for it stays in the books, and is discarded in the end.
    pub fn came_to_nothing(&self, edited: Edited) {
        self.shared.lock().nothing_up_to = Some(edited.0);
    }

    /// What was edited is being committed, by this change.
    pub fn committing(&self, change_id: &str) {
        let mut state = self.shared.lock();
        let commit = CommitUnderWay {
            edited: state.edited,
            unanswered: false,
        };
        state.committing.insert(change_id.to_owned(), commit);
        // What makes a difference now did not come to nothing.
        state.nothing_up_to = None;
    }

    /// Nobody knows whether the commit of this change was made.
    pub fn commit_is_unanswered(&self, change_id: &str) {
        if let Some(commit) = self.shared.lock().committing.get_mut(change_id) {
            commit.unanswered = true;
        }
    }

    /// The commit of this change was answered, or was found not to have been made.
    pub fn commit_is_over(&self, change_id: &str) {
        self.shared.lock().committing.remove(change_id);
    }

    /// The commit of this change was made, though nobody answered.
    pub fn found_committed(&self, change_id: &str) {
        let mut state = self.shared.lock();
        if let Some(commit) = state.committing.remove(change_id) {
            state.nothing_up_to = Some(commit.edited);
        }
    }

    /// Keeps what its edits start from, as a digest that only whoever made it understands.
    pub fn note_before(&self, digest: String) {
        self.shared.lock().before = Some(digest);
    }

    /// What was kept last of what its edits start from.
    pub fn before(&self) -> Option<String> {
        self.shared.lock().before.clone()
    }

    /// Has RPCs sent in the session, after those of earlier calls. One answer each, up to the one that failed; an
    /// rpc-error is a failure that stands in its reply.
    ///
    /// # Errors
    /// [`RunError`], when not even the first was sent for a reason of the gateway's own.
    ///
    /// # Cancel safety
    /// Dropping the future while it waits keeps the RPCs from being sent; later they run to their end.
    pub async fn run(&self, deadline: Instant, work: Work) -> Result<Vec<Answer>, RunError> {
        let (answer, receiver) = oneshot::channel();
        let command = Command {
            work,
            deadline,
            answer,
        };
        let sent = tokio::time::timeout_at(deadline, self.commands.send(command)).await;
        match sent {
            Ok(Ok(())) => receiver.await.unwrap_or_else(|_| Err(self.ended())),
            Ok(Err(_)) => Err(self.ended()),
            Err(_) => {
                let late = DeviceError::deadline_in_queue(&self.facts().device);
                Err(RunError::NotHeld(late.into()))
            }
        }
    }

    /// Pushes the expiry.
    ///
    /// # Errors
    /// [`RunError::Ended`].
    pub fn renew(&self) -> Result<(), RunError> {
        self.shared.on(Event::Renew);
        if self.status().state == EditState::Open {
            Ok(())
        } else {
            Err(self.ended())
        }
    }

    /// Ends it: its state is another one when this returns. What it did is undone after the RPC that it runs.
    pub fn stop(&self, reason: EditReason) {
        self.shared.on(Event::Stop(reason));
    }

    /// A call that kills its NETCONF session begins, or is over.
    pub(super) fn doom(&self, begins: bool) {
        let mut state = self.shared.lock();
        state.kills = if begins {
            state.kills + 1
        } else {
            state.kills.saturating_sub(1)
        };
    }

    /// Whether it has ended and holds nothing on the device any more.
    pub fn is_finished(&self) -> bool {
        *self.shared.ending.borrow() == Ending::Done
    }

    /// Waits until it has ended and holds nothing on the device any more.
    pub async fn finished(&self) {
        let mut ending = self.shared.ending();
        // The sender lives as long as `self`.
        let _ = ending.wait_for(|ending| *ending == Ending::Done).await;
    }

    fn ended(&self) -> RunError {
        RunError::Ended(Box::new(self.status()))
    }
}
