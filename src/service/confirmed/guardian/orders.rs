//! What callers order: confirming, undoing, and a new deadline (conventions C4, C6, C7).

use std::time::Duration;

use tokio::time::Instant;

use super::session::{Extended, Purpose};
use super::turn::Ordered;
use super::{Due, Guardian, Order, Wanted};
use crate::device::Held;
use crate::error::{Error, ErrorCode, Outcome};
use crate::service::confirmed::looks::{Finding, Looks, Seen};
use crate::service::confirmed::record::{Answer, Extension, Extensions, Orders};
use crate::service::confirmed::state::{By, Reason, State};
use crate::service::confirmed::{check_timeout, script};
use crate::service::edit::commit::marker;
use crate::service::edit::script::StepName;
use crate::service::evidence::{Moment, Running, Standing};
use crate::service::failure;

/// So long before the device may undo it nothing is sent any more that counts on its not having done so (C4).
const MARGIN: Duration = Duration::from_secs(2);
/// Between looks at a device that undoes it: twice as long each time.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// What it goes back to when an order is refused, or cannot be stored.
#[derive(Debug, Clone)]
pub(super) struct Before {
    pub state: State,
    pub orders: Orders,
}

impl Guardian {
    pub(super) async fn serve(&mut self, order: Order) {
        let Order {
            wanted,
            who,
            ticket,
            turn,
            deadline,
            answer,
        } = order;
        let operation_id = ticket.operation_id();
        let Some(ordered) = Ordered::new(turn, ticket, deadline) else {
            return;
        };
        self.order = Some(ordered);
        self.handle.serve(operation_id);
        let deadline = self.while_it_waits(deadline);
        let result = match wanted {
            Wanted::Confirm { accept_candidate } => self.confirm(&who, deadline, accept_candidate).await,
            Wanted::Cancel => self.cancel(&who, deadline).await,
            Wanted::Extend { seconds } => self.extend(&who, deadline, seconds).await,
        };
        self.handle.serve(None);
        self.order = None;
        if !self.is_open() {
            // Who is told that it is over finds the device free.
            self.withdraw().await;
        }
        // Whoever left is told by the record.
        let _ = answer.send(match result {
            Ok(()) => Ok(self.commit.view()),
            Err(error) => Err(self.about(error)),
        });
    }

    /// The confirming commit (C4, C7).
    pub(super) async fn confirm(
        &mut self,
        who: &str,
        deadline: Instant,
        accept_candidate: bool,
    ) -> Result<(), Error> {
        let before = self.confirmable("confirmed").await?;
        let purpose = if accept_candidate {
            Purpose::ConfirmWithCandidate
        } else {
            Purpose::Commit
        };
        self.take_session(deadline, purpose).await?;
        self.stands(deadline).await?;
        self.candidate_is_clean(deadline, accept_candidate).await?;
        let marker = self.answer_marker(who, "confirm");
        let step = self.build(|caps, commit| script::confirm(caps, commit, &marker))?;
        self.order(State::Confirming, marker, &before).await?;
        if let Err(error) = self.in_time("confirmed") {
            return Err(self.refused(error, before).await);
        }
        match self.send_commit(step).await {
            Ok(()) => {}
            Err(error) if error.outcome() == Outcome::Unknown => {
                return Err(self.unanswered(error).await);
            }
            Err(error) => return Err(self.refused(error, before).await),
        }
        // To a token that it does not know a device says no; without one it may have undone the commit before it said ok.
        let is_certain = self.commit.document.persist.is_some()
            || !self.commit.safe_for(&self.gateway.inner.clock).is_zero();
        self.verify_confirmed(accept_candidate, is_certain).await
    }

    /// That whoever gave the order has not given it up. What a probe orders nobody gives up.
    fn is_wanted(&self) -> Result<(), Error> {
        self.order.as_ref().map_or(Ok(()), Ordered::send)
    }

    /// Stores what is sent next: no row, no send.
    async fn order(&mut self, state: State, marker: String, before: &Before) -> Result<(), Error> {
        self.is_wanted()?;
        self.commit.enter(state)?;
        // What was sent before it and not answered may have been carried out all the same.
        self.commit.set_answer_aside();
        self.commit.document.answer = Some(Answer {
            marker,
            cancels: state == State::Cancelling,
            sent: Some(Moment::now(&self.gateway.inner.clock)),
            operation_id: self.handle.serving(),
        });
        let stored = self.try_store().await;
        if let Err(error) = &stored {
            // Nobody is to take it for one that was sent, nor for one that nobody answered.
            self.commit.put_back(before.orders.clone());
            self.commit.state = before.state;
            self.handle.show(&self.commit);
            self.due = self.due_after(error, Due::Row);
        }
        stored
    }

    /// After a rollback a commit is a new one that answers ok as well: what is running decides (C4). `is_certain`: it cannot
    /// have been undone by then.
    async fn verify_confirmed(&mut self, accepted_more: bool, is_certain: bool) -> Result<(), Error> {
        let wait = Instant::now() + self.times.commit;
        let stays = self.find_here(wait).await.map(|found| match found {
            Seen::History(Standing::Newest { waits: false, .. } | Standing::Followed(_))
            | Seen::OwnCommit {
                above: None,
                running: Running::AsExpected,
            }
            | Seen::Running(Running::AsExpected) => Some(true),
            Seen::OwnCommit {
                above: None,
                running: Running::AsBefore,
            }
            | Seen::Running(Running::AsBefore) => Some(false),
            Seen::History(
                Standing::Newest { waits: true, .. }
                | Standing::OwnCommit { .. }
                | Standing::Overlaid(_)
                | Standing::Absent,
            )
            | Seen::AnotherHistory
            | Seen::OwnCommit { .. } => None,
            // What came into the candidate since is in running as well.
            Seen::Running(Running::Otherwise) => (accepted_more && is_certain).then_some(true),
        });
        match stays {
            Ok(Some(true)) => {
                self.see("the device took the confirming commit, and shows that it stays");
                self.save().await;
                self.conclude(State::Confirmed, Some(By::Us), None).await;
                Ok(())
            }
            Ok(Some(false)) => {
                self.see("the device said ok to the confirming commit, but had undone the commit before");
                self.conclude(State::RolledBack, None, Some(Reason::Timeout))
                    .await;
                let error = self.not_pending();
                if !accepted_more || !self.commit.document.junos {
                    return Err(error.with_outcome(Outcome::NotApplied));
                }
                let (outcome, hint) = match self.newest_changes_nothing().await {
                    Ok(true) => return Err(error.with_outcome(Outcome::NotApplied)),
                    Ok(false) => (
                        Outcome::Applied,
                        "what else was in the candidate is committed, and what was to be confirmed is not there",
                    ),
                    Err(_) => (
                        Outcome::Unknown,
                        "what was to be confirmed is not there; what else was in the candidate may be committed",
                    ),
                };
                Err(error.with_outcome(outcome).with_hint(hint))
            }
            Ok(None) => {
                let words =
                    "the device said ok to the confirming commit, and does not show that it is confirmed";
                let error = Error::new(ErrorCode::OutcomeUnknown, words);
                Err(self.unanswered(error).await)
            }
            Err(error) => Err(self.unanswered(error).await),
        }
    }

    /// Undoes it now (C6).
    pub(super) async fn cancel(&mut self, who: &str, deadline: Instant) -> Result<(), Error> {
        let before = self.is_pending_now().await?;
        let purpose = match self.commit.document.persist {
            Some(_) => Purpose::Undo,
            None => Purpose::Commit,
        };
        self.take_session(deadline, purpose).await?;
        let entries = self.stands(deadline).await?;
        let marker = self.answer_marker(who, "cancel");
        let steps = self.build(|caps, commit| script::cancel(caps, commit, &marker, entries))?;
        if self.commit.document.junos {
            self.candidate_is_clean(deadline, false).await?;
        }
        self.order(State::Cancelling, marker, &before).await?;
        match steps {
            // Only the end of the session undoes it.
            None => self.end_session().await,
            Some(steps) => {
                for step in steps {
                    if step.name == StepName::Commit {
                        self.verify_loaded(entries, &before).await?;
                    }
                    match self.send_commit(step).await {
                        Ok(()) => {}
                        Err(error) if error.outcome() == Outcome::Unknown => {
                            return Err(self.unanswered(error).await);
                        }
                        Err(error) => {
                            self.clear_candidate().await;
                            return Err(self.refused(error, before).await);
                        }
                    }
                }
            }
        }
        self.verify_cancelled().await
    }

    /// That the device had not undone it by itself when it took the configuration of before into the candidate: it counts
    /// from the newest commit, and would have taken this one. What is there now is not touched by a rollback that comes later.
    async fn verify_loaded(&mut self, entries: u8, before: &Before) -> Result<(), Error> {
        let standing = self.standing(Instant::now() + self.times.rpc).await;
        let error = match standing {
            Ok(Standing::Newest { entries: now, .. }) if now == entries => return Ok(()),
            Ok(Standing::Newest { .. }) => {
                let words = "an extension that was not answered came meanwhile, so what was loaded is not what was before";
                let error = Error::new(ErrorCode::InvalidState, words).with_reason("extended");
                Some(error.with_hint("cancel it again"))
            }
            Ok(_) => None,
            Err(error) => Some(error),
        };
        if self.held.as_ref().is_some_and(Held::is_idle) {
            self.clear_candidate().await;
        } else {
            // Behind a reply that is missing that would wait; the device discards with the session.
            self.end_session().await;
        }
        if let Some(error) = error {
            return Err(self.refused(error, before.clone()).await);
        }
        // It is over, and not by what was not sent.
        self.commit.put_back(before.orders.clone());
        self.conclude(State::Unknown, None, None).await;
        self.looks = Looks::now(Reason::Timeout);
        self.look().await;
        Err(self.not_pending().with_outcome(Outcome::NotApplied))
    }

    /// Undoing is a commit of the device's, and may take as long.
    async fn verify_cancelled(&mut self) -> Result<(), Error> {
        let until = Instant::now() + self.times.commit;
        let mut pause = FIRST_PAUSE;
        loop {
            let found = self.find().await;
            let known = self.known();
            match Looks::none().judge(found, &known) {
                Finding::Cancelled(seen) => {
                    self.see(&seen);
                    self.conclude(State::Cancelled, None, None).await;
                    return Ok(());
                }
                Finding::Wait(_) | Finding::Pending(_) if Instant::now() < until => {
                    tokio::time::sleep(pause).await;
                    pause = (2 * pause).min(LONGEST_PAUSE);
                }
                Finding::Confirmed(by, seen) => {
                    self.see(&seen);
                    self.conclude(State::Confirmed, Some(by), None).await;
                    return Err(self.not_pending().with_outcome(Outcome::NotApplied));
                }
                Finding::Wait(seen)
                | Finding::Pending(seen)
                | Finding::RolledBack(_, seen)
                | Finding::Kept(seen)
                | Finding::NeverMade(seen)
                | Finding::AsBefore(seen)
                | Finding::Unknown(seen) => {
                    let words = format!("the device does not show that it is undone: {seen}");
                    return Err(self
                        .unanswered(Error::new(ErrorCode::OutcomeUnknown, words))
                        .await);
                }
            }
        }
    }

    /// A new deadline, counted from now (S28).
    async fn extend(&mut self, who: &str, deadline: Instant, seconds: u64) -> Result<(), Error> {
        let before_it = self.is_pending_now().await?;
        self.in_time("extended")?;
        let least = self.gateway.least_confirm_timeout(&self.commit.row.device);
        check_timeout(seconds, least, "/confirm_timeout_seconds")?;
        let timeout = script::effective(self.commit.document.junos, seconds)
            .map_err(|error| failure::unbuildable(&error))?
            .rfc();
        self.take_session(deadline, Purpose::Commit).await?;
        self.stands(deadline).await?;
        self.candidate_is_clean(deadline, false).await?;
        self.in_time("extended")?;
        let step = self.build(|caps, commit| script::extend(caps, commit, timeout))?;
        self.is_wanted()?;
        let clock = self.gateway.inner.clock.clone();
        // Until the device has answered the earlier deadline counts, whatever happens to the gateway.
        let sent = Moment::now(&clock);
        let extension = Extension {
            operation_id: self.handle.serving(),
            sent: sent.clone(),
            seconds: timeout.as_secs(),
            taken: None,
            not_before: None,
            outlived: false,
            answered: None,
        };
        let work = self.known().work();
        let before = self.commit.extending(&clock, extension, work);
        if let Err(error) = self.try_store().await {
            // Nobody is to take it for one that was sent.
            self.commit.not_extended(&clock, before);
            self.handle.show(&self.commit);
            self.due = self.due_after(&error, Due::Row);
            return Err(error);
        }
        self.keep_session().await;
        let taken = match self.send_extension(step).await {
            Ok(Extended {
                stands: Ok(false), ..
            }) => return Err(self.nothing_to_extend(who, before).await),
            Ok(Extended {
                stands: Err(_),
                answered,
            }) => {
                // It counts, from then on, as soon as the commit is seen to stand.
                if let Some(extension) = self.commit.document.extending.last_mut() {
                    let ago = clock.now().saturating_duration_since(answered);
                    extension.answered = Some(Moment::ago(&clock, ago));
                }
                let words = "the device said ok to the extension, and does not show that the commit stands";
                Err(Error::new(ErrorCode::OutcomeUnknown, words).with_outcome(Outcome::Unknown))
            }
            Ok(Extended {
                stands: Ok(true),
                answered,
            }) => Ok(answered),
            Err(error) => Err(error),
        };
        match taken {
            Ok(answered) => {
                self.commit.extended(&clock, sent, timeout);
                self.commit.armed_at(&clock, answered);
                if let Some(extension) = self.commit.document.extending.last_mut() {
                    extension.taken = Some(true);
                }
                script::warn_of_rounding(&mut self.commit.document.warnings, seconds, timeout);
                self.stop_probe();
                // Where its earlier time was up before the answer came, the device says ok to a commit that it has undone, too.
                let is_late = self.commit.state == State::Unknown;
                self.conclude(State::Pending, None, None).await;
                if is_late {
                    self.looks = Looks::now(Reason::Timeout);
                }
                self.handle.settle();
                Ok(())
            }
            Err(error) if error.outcome() == Outcome::Unknown => {
                self.stop_probe();
                let error = self.unanswered(error).await;
                self.handle.settle();
                Err(error)
            }
            Err(error) => {
                self.commit.not_extended(&clock, before);
                // Its time may be up by now: then it is not as it was before.
                if self.commit.state == State::Unknown {
                    self.store().await;
                    self.looks = Looks::now(Reason::Timeout);
                    return Err(error.with_outcome(Outcome::NotApplied));
                }
                Err(self.refused(error, before_it).await)
            }
        }
    }

    /// The device has undone the commit before it came to the extension, which is a new confirmed commit of nothing: that would
    /// keep everybody out until its time is up.
    async fn nothing_to_extend(&mut self, who: &str, before: Extensions) -> Error {
        self.commit.not_extended(&self.gateway.inner.clock, before);
        self.stop_probe();
        self.see("the device said ok to the extension, but had undone the commit before");
        // It does not wait any more, however long the rest takes.
        self.conclude(State::Unknown, None, None).await;
        if !self.let_go(who).await {
            self.end_session().await;
        }
        self.looks = Looks::now(Reason::Timeout);
        self.look().await;
        self.handle.settle();
        self.not_pending().with_outcome(Outcome::NotApplied)
    }

    /// Ends a confirmed commit of nothing. On Junos by confirming it, if it is, like what it stands on, what was there before:
    /// to undo it would be a commit of the same. Otherwise it is left to its timer.
    async fn let_go(&mut self, who: &str) -> bool {
        let steps = if self.commit.document.junos {
            let seen = self.find_here(Instant::now() + self.times.rpc).await;
            let is_undone = matches!(
                seen,
                Ok(Seen::OwnCommit {
                    above: None,
                    running: Running::AsBefore
                })
            );
            if !is_undone || !self.newest_changes_nothing().await.unwrap_or(false) {
                return false;
            }
            let marker = self.answer_marker(who, "extend");
            let step = self.build(|caps, commit| script::confirm(caps, commit, &marker));
            step.map(|step| vec![step])
        } else {
            let steps = self.build(|caps, commit| script::cancel(caps, commit, "", 1));
            steps.map(Option::unwrap_or_default)
        };
        let mut done = false;
        for step in steps.unwrap_or_default() {
            done = self.send_commit(step).await.is_ok();
        }
        done
    }

    /// Whether the newest commit of a Junos device left everything as it was.
    async fn newest_changes_nothing(&mut self) -> Result<bool, Error> {
        let deadline = Instant::now() + self.times.rpc;
        self.records()?.are_alike(0, 1, deadline).await
    }

    /// What is not known at the moment, as after a start of the gateway, may be known by one look.
    async fn is_pending_now(&mut self) -> Result<Before, Error> {
        if self.commit.state == State::Unknown && !self.is_overdue() {
            self.look().await;
        }
        self.is_pending()?;
        Ok(self.before())
    }

    fn before(&self) -> Before {
        Before {
            state: self.commit.state,
            orders: self.commit.orders(),
        }
    }

    /// C5: with a token that is in time the device itself says whether there is anything to confirm, whatever running looks
    /// like.
    async fn confirmable(&mut self, done: &str) -> Result<Before, Error> {
        let pending = self.is_pending_now().await;
        let by_token = self.commit.document.persist.is_some() && !self.is_overdue();
        match pending {
            Err(_) if by_token && self.commit.state == State::Unknown && self.is_open() => Ok(self.before()),
            Err(error) => Err(error),
            Ok(before) => {
                self.in_time(done)?;
                Ok(before)
            }
        }
    }

    fn is_pending(&self) -> Result<(), Error> {
        if self.commit.state == State::Pending {
            return Ok(());
        }
        Err(self.not_pending())
    }

    fn in_time(&self, done: &str) -> Result<(), Error> {
        if self.commit.state != State::Confirming {
            self.is_pending()?;
        }
        let left = self.commit.safe_for(&self.gateway.inner.clock);
        // With a token the device itself says whether it is too late.
        if self.commit.document.persist.is_some() || left > MARGIN {
            return Ok(());
        }
        let detail = format!(
            "it is too late for it to be {done}: the device undoes it at {}, or has done so",
            self.commit.view().deadline_earliest
        );
        Err(Error::new(ErrorCode::InvalidState, detail).with_reason("too_late"))
    }

    /// Junos makes the commit of before out of the candidate, which is ours; it must not stay there for whoever commits
    /// next. The end of the session clears it as well; why it ended is told elsewhere.
    async fn clear_candidate(&mut self) {
        let lives = |held: &Option<Held>| held.as_ref().is_some_and(Held::is_open);
        if !self.commit.document.junos || !lives(&self.held) {
            return;
        }
        let cleared = match self.build(|caps, _| script::clear(caps)) {
            Ok(step) => self.send_commit(step).await,
            Err(error) => Err(error),
        };
        if let Err(error) = cleared {
            let id = &self.commit.row.id;
            tracing::warn!(confirmed_commit = id, error = %error, "a refused rollback is left in the candidate");
            if lives(&self.held) {
                // The device discards with the session what that has not committed.
                self.end_session().await;
            }
        }
    }

    /// The device said no: it is as it was before, unless it is over.
    async fn refused(&mut self, error: Error, before: Before) -> Error {
        // Stored with the rest: a later start must not take it for one that nobody answered.
        self.commit.put_back(before.orders);
        if self.commit.state != before.state {
            self.conclude(before.state, None, None).await;
        } else {
            self.store().await;
        }
        self.looks = Looks::now(self.looks.cause());
        error.with_outcome(Outcome::NotApplied)
    }

    /// No reply: evidence decides.
    async fn unanswered(&mut self, error: Error) -> Error {
        self.see("no reply came; what the device has done is being found out");
        self.conclude(State::Unknown, None, None).await;
        if !self.keeps_session() {
            self.session = None;
            self.held = None;
            self.commit.document.session_id = None;
        }
        self.looks = Looks::now(Reason::SessionLost);
        Error::new(ErrorCode::OutcomeUnknown, error.detail().to_owned())
            .with_message(error.session_id(), error.message_id().map(str::to_owned))
            .with_outcome(Outcome::Unknown)
            .with_hint("its record tells what came of it; it is not sent again")
    }

    /// What names an order in the device's history: its operation (E3); what a probe orders is part of the change, and no
    /// second commit of it.
    fn answer_marker(&self, who: &str, wanted: &str) -> String {
        let id = self.handle.serving();
        let id = id.unwrap_or_else(|| format!("{}/{wanted}", self.commit.row.change_id));
        marker(&id, who)
    }

    pub(super) fn about(&self, error: Error) -> Error {
        error
            .with_device(&self.commit.row.device)
            .with_change_id(&self.commit.row.change_id)
    }
}
