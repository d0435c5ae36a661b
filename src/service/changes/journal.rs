//! The account of one running change: what it is now for those who look, and what is stored of it. A commit is sent
//! only when the store says that one may have been (conventions E2). The end of one that the database does not take is
//! stored as soon as it does.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use super::operation;
use super::record::Change;
use super::state::State;
use crate::error::{Diff, Error, ErrorCode, Outcome};
use crate::service::Gateway;
use crate::service::attempts::{Attempts, Few};
use crate::service::confirmed::ConfirmedCommit;
use crate::service::edit::script::StepName;
use crate::service::edit::view::{ChangeStepView, ChangeView};
use crate::service::operations::Ticket;
use crate::store::{ChangeRecord, ConfirmedCommitRecord, STARTING, StoreError};

/// How long a state may be known to this process alone. One that is over sooner is stored, and told, together with the
/// next one.
const SOON: Duration = Duration::from_millis(100);

/// The account. Dropping it forgets what was not stored, unless that is the end.
pub(super) struct Journal {
    gateway: Gateway,
    change: Change,
    /// What is known has not been shown to those who look.
    hidden: bool,
    /// The state is not stored yet.
    untold: bool,
    /// Nor are these, which it went through before.
    passed: Vec<State>,
    /// Its end is still being stored, and shown by whoever does that.
    end_is_due: bool,
}

impl Journal {
    /// Opens the account: the change is in the store from now on, and with it the key of the call that asked for it.
    ///
    /// # Errors
    /// `store-unavailable`; `idempotency-key-in-use`.
    pub async fn open(gateway: Gateway, change: Change, ticket: &Ticket) -> Result<Self, Error> {
        let mut row = change.to_row();
        let key = gateway.new_key(ticket);
        let stored = gateway.inner.store.insert_change(&mut row, key.as_ref()).await;
        stored.map_err(|error| gateway.store_error(error))?;
        Ok(Self::opened(gateway, change, &row, key.is_some(), ticket))
    }

    /// The same, unless the store holds a change of this device that is scheduled: the other change comes back then, and
    /// nothing is stored.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub async fn open_unless_scheduled(
        gateway: Gateway,
        change: Change,
        ticket: &Ticket,
    ) -> Result<Result<Self, Box<Change>>, Error> {
        let mut row = change.to_row();
        let key = gateway.new_key(ticket);
        let store = &gateway.inner.store;
        let scheduled = State::Scheduled.as_str();
        let stored = store
            .insert_change_unless(&mut row, key.as_ref(), scheduled)
            .await;
        Ok(match stored.map_err(|error| gateway.store_error(error))? {
            true => Ok(Self::opened(gateway, change, &row, key.is_some(), ticket)),
            false => Err(Box::new(change)),
        })
    }

    fn opened(
        gateway: Gateway,
        mut change: Change,
        row: &ChangeRecord,
        with_key: bool,
        ticket: &Ticket,
    ) -> Self {
        if with_key {
            gateway.inner.operations.key_stored();
        }
        (change.row.created_at, change.row.updated_at) = (row.created_at, row.updated_at);
        gateway.inner.changes.put(&change);
        ticket.begun_as_change(operation::begun(&change));
        Self {
            gateway,
            change,
            hidden: false,
            untold: false,
            passed: Vec::new(),
            end_is_due: false,
        }
    }

    pub fn gateway(&self) -> &Gateway {
        &self.gateway
    }

    pub fn change(&self) -> &Change {
        &self.change
    }

    /// Changes what is known of it. Those who look see it when it is shown, or with the next state.
    pub fn note(&mut self, change: impl FnOnce(&mut Change)) {
        change(&mut self.change);
        self.hidden = true;
    }

    /// Shows what is known to those who look now.
    pub fn show(&mut self) {
        if std::mem::take(&mut self.hidden) {
            self.gateway.inner.changes.put(&self.change);
        }
    }

    /// What came of a step, which stands where its beginning stood.
    pub fn step(&mut self, step: ChangeStepView) {
        self.note(|change| {
            change.document.steps.pop_if(|last| last.is_begun());
            change.document.steps.push(step);
        });
    }

    /// What it changes.
    pub fn differs(&mut self, diff: Diff) {
        self.note(|change| {
            change.document.changed = Some(!diff.is_empty());
            change.document.diff = Some(diff.text);
            change.document.diff_sha256 = Some(diff.sha256);
        });
    }

    /// The next state, before anything counts. Whoever looks sees it at once; it is stored, and with that told, with what
    /// is stored next, or when it has lasted for a while ([`Self::waiting`]).
    ///
    /// # Errors
    /// `invalid-state`.
    pub fn enter(&mut self, next: State) -> Result<(), Error> {
        let before = self.change.state;
        self.change.enter(next)?;
        if std::mem::replace(&mut self.untold, true) {
            self.passed.push(before);
        }
        self.hidden = true;
        self.show();
        Ok(())
    }

    /// Waits for what is done in this state. If that takes long, the state is told meanwhile.
    ///
    /// # Cancel safety
    /// As what is waited for.
    pub async fn waiting<T>(&mut self, work: impl Future<Output = T>) -> T {
        if !self.untold {
            return work.await;
        }
        let mut work = pin!(work);
        tokio::select! {
            biased;
            done = &mut work => return done,
            () = tokio::time::sleep(SOON) => {}
        }
        let tell = async {
            // What cannot be stored now is stored with what comes next.
            if let Err(error) = self.store().await {
                let (id, state) = (&self.change.row.id, self.change.state.as_str());
                tracing::warn!(change = id, state, error = %error, "a state of a change was not stored");
            }
        };
        let (done, ()) = tokio::join!(work, tell);
        done
    }

    /// Stores that what is sent next counts, once, and which step that is; `confirmed`: and that it has to be confirmed.
    /// No row, no send.
    ///
    /// # Errors
    /// `internal` when it cannot be stored; then it must not be sent.
    pub async fn committing(
        &mut self,
        step: StepName,
        confirmed: Option<&mut ConfirmedCommit>,
    ) -> Result<(), Error> {
        self.step(ChangeStepView::begun(step));
        if let Some(commit) = &confirmed {
            self.change.document.probed = commit.document.probe.is_some();
        }
        let (before, untold, passed) = (self.change.state, self.untold, self.passed.len());
        self.enter(State::Committing)?;
        let mut row = self.row();
        let store = &self.gateway.inner.store;
        let stored = match confirmed {
            None => store.journal_commit(&mut row).await,
            Some(commit) => {
                let mut confirmed = commit.to_row();
                confirmed.state = STARTING.to_owned();
                let stored = store.journal_confirmed_commit(&mut row, &mut confirmed).await;
                (commit.row.created_at, commit.row.updated_at) = (confirmed.created_at, confirmed.updated_at);
                stored
            }
        };
        if let Err(error) = stored {
            // It never came to that state, so nobody is told that it did.
            (self.change.state, self.untold) = (before, untold);
            self.passed.truncate(passed);
            self.hidden = true;
            self.show();
            let error = self.gateway.store_error(error);
            // Not 503: something was sent for this change (H3).
            return Err(Error::new(ErrorCode::Internal, error.detail().to_owned()).with_reason("store"));
        }
        self.stored(&row);
        Ok(())
    }

    /// The device has made a commit that has to be confirmed, or may have: what is stored of both says so.
    pub async fn hand_over(
        &mut self,
        state: State,
        outcome: Outcome,
        commit: &mut ConfirmedCommit,
    ) -> ChangeView {
        self.change.set_outcome(outcome);
        if let Err(error) = self.enter(state) {
            tracing::error!(change = self.change.row.id, error = %error, "a change went on in a way that it cannot");
        }
        let (mut row, mut confirmed) = (self.row(), commit.to_row());
        let mut few = Few::new();
        loop {
            let store = &self.gateway.inner.store;
            match store
                .update_confirmed_commit(&mut confirmed, Some(&mut row))
                .await
            {
                Ok(()) => {
                    self.stored(&row);
                    commit.row.updated_at = confirmed.updated_at;
                    break;
                }
                Err(_) if few.again().await => {}
                Err(error) => {
                    let id = &self.change.row.id;
                    tracing::error!(change = id, error = %error, "a confirmed commit is not stored yet");
                    self.hand_over_later(row, confirmed);
                    break;
                }
            }
        }
        self.change.view()
    }

    /// Goes on trying, in a task of its own, until the confirmed commit can be seen by those who are to confirm it.
    fn hand_over_later(&self, mut row: ChangeRecord, mut confirmed: ConfirmedCommitRecord) {
        let gateway = self.gateway.clone();
        self.gateway.inner.tasks.spawn(async move {
            let store = &gateway.inner.store;
            let mut attempts = Attempts::new(&gateway);
            while attempts.again().await {
                match store.begin_confirmed_commit(&mut confirmed, &mut row).await {
                    // There is none: it turned out never to have been made.
                    Ok(()) | Err(StoreError::NotFound) => return,
                    Err(error) => tracing::debug!(change = row.id, error = %error, "not yet"),
                }
            }
        });
    }

    /// The end of the change, as its caller and the store are told.
    pub async fn end(&mut self, state: State, outcome: Outcome) -> ChangeView {
        self.change.set_outcome(outcome);
        self.change.end_begun(outcome);
        if state == State::Failed {
            // Nothing has to be confirmed of it; what was stored for that goes with its end.
            self.change.document.confirmed_commit_id = None;
        }
        if let Err(error) = self.enter(state) {
            tracing::error!(change = self.change.row.id, error = %error, "a change ended in a way that it cannot");
        }
        let mut few = Few::new();
        loop {
            match self.store().await {
                Ok(()) => break,
                Err(_) if few.again().await => {}
                Err(error) => {
                    let (id, state) = (&self.change.row.id, self.change.state.as_str());
                    tracing::error!(change = id, state, error = %error, "the end of a change is not stored yet");
                    self.end_is_due = true;
                    store_later(&self.gateway, &self.change, self.row(), State::is_running);
                    break;
                }
            }
        }
        self.change.view()
    }

    async fn store(&mut self) -> Result<(), Error> {
        let mut row = self.row();
        self.gateway
            .inner
            .store
            .update_change(&mut row)
            .await
            .map_err(|error| self.gateway.store_error(error))?;
        self.stored(&row);
        Ok(())
    }

    fn row(&self) -> ChangeRecord {
        let passed = self.passed.iter().map(|state| state.as_str().to_owned());
        ChangeRecord {
            passed: passed.collect(),
            ..self.change.to_row()
        }
    }

    /// It is stored like this.
    fn stored(&mut self, row: &ChangeRecord) {
        self.change.row.updated_at = row.updated_at;
        self.untold = false;
        self.passed.clear();
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        if !self.end_is_due {
            self.gateway.inner.changes.remove(&self.change.row.id);
        }
    }
}

/// Goes on trying to store what a change has come to, in a task of its own, over what is stored in a state like these. Until
/// then those who look are told what is known here.
pub(super) fn store_later(gateway: &Gateway, change: &Change, row: ChangeRecord, over: fn(State) -> bool) {
    gateway.inner.changes.put(change);
    let gateway = gateway.clone();
    let tasks = gateway.inner.tasks.clone();
    tasks.spawn(async move {
        let mut attempts = Attempts::new(&gateway);
        while attempts.again().await {
            match store_over(&gateway, &row, over).await {
                Ok(()) | Err(StoreError::NotFound) => break,
                Err(error) => tracing::debug!(change = row.id, error = %error, "not yet"),
            }
        }
        gateway.inner.changes.remove(&row.id);
    });
}

/// Stores it, unless somebody has stored what came of it since.
async fn store_over(
    gateway: &Gateway,
    row: &ChangeRecord,
    over: fn(State) -> bool,
) -> Result<(), StoreError> {
    let store = &gateway.inner.store;
    let stored = store.find_change(&row.id).await?;
    if !State::parse(&stored.state).is_none_or(over) {
        return Ok(());
    }
    store.update_change(&mut row.clone()).await
}
