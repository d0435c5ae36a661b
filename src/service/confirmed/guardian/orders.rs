//! What callers order: confirming, undoing, and a new deadline (conventions C4, C6, C7).

use std::time::Duration;

use tokio::time::Instant;

use super::{Guardian, Order, Wanted};
use crate::error::{Error, ErrorCode, Outcome};
use crate::service::confirmed::looks::{Finding, Looks, Seen};
use crate::service::confirmed::record::Answer;
use crate::service::confirmed::state::{By, Reason, State};
use crate::service::confirmed::{check_timeout, script};
use crate::service::edit::ground;
use crate::service::evidence::{Moment, Running, Standing};
use crate::service::failure;

/// So long before the device may undo it nothing is sent any more that counts on its not having done so (C4).
const MARGIN: Duration = Duration::from_secs(2);
/// Between looks at a device that undoes it: twice as long each time.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

impl Guardian {
    pub(super) async fn serve(&mut self, order: Order) {
        let Order {
            wanted,
            who,
            deadline,
            answer,
        } = order;
        if answer.is_closed() {
            return;
        }
        let result = match wanted {
            Wanted::Confirm { accept_candidate } => self.confirm(&who, deadline, accept_candidate).await,
            Wanted::Cancel => self.cancel(&who, deadline).await,
            Wanted::Extend { seconds } => self.extend(deadline, seconds).await,
        };
        if !self.is_open() {
            // Who is told that it is over finds the device free.
            self.give_back().await;
            if self.is_stored() {
                self.gateway.inner.confirmed.remove(&self.commit.row.id);
            }
            self.handle.settle();
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
        self.in_time("confirmed")?;
        self.take_session(deadline, accept_candidate).await?;
        self.stands(deadline).await?;
        self.candidate_is_clean(deadline, accept_candidate).await?;
        let marker = self.answer_marker(who);
        let step = self.build(|caps, commit| script::confirm(caps, commit, &marker))?;
        self.commit.document.answer = Some(Answer {
            marker,
            cancels: false,
            sent: Some(Moment::now(&self.gateway.inner.clock)),
        });
        self.commit.enter(State::Confirming)?;
        self.store_or_stop().await?;
        self.in_time("confirmed")?;
        match self.send_commit(step).await {
            Ok(()) => {}
            Err(error) if error.outcome() == Outcome::Unknown => {
                return Err(self.unanswered(error).await);
            }
            Err(error) => return Err(self.refused(error).await),
        }
        self.verify_confirmed(accept_candidate).await
    }

    /// After a rollback a commit is a new one that answers ok as well: what is running decides (C4).
    async fn verify_confirmed(&mut self, accepted_more: bool) -> Result<(), Error> {
        let wait = Instant::now() + self.times.commit;
        let stays = if accepted_more && !self.commit.document.junos {
            Ok(Some(true))
        } else {
            self.find_here(wait).await.map(|found| match found {
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
                | Seen::OwnCommit { .. }
                | Seen::Running(Running::Otherwise) => None,
            })
        };
        match stays {
            Ok(Some(true)) => {
                self.save().await;
                self.conclude(State::Confirmed, Some(By::Us), None).await;
                Ok(())
            }
            Ok(Some(false)) => {
                self.see("the device said ok to the confirming commit, but had undone the commit before");
                self.conclude(State::RolledBack, None, Some(Reason::Timeout))
                    .await;
                Err(self.not_pending().with_outcome(Outcome::NotApplied))
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
        self.is_pending()?;
        self.take_session(deadline, false).await?;
        let entries = self.stands(deadline).await?;
        let marker = self.answer_marker(who);
        let steps = self.build(|caps, commit| script::cancel(caps, commit, &marker, entries))?;
        if self.commit.document.junos {
            self.candidate_is_clean(deadline, false).await?;
        }
        self.commit.document.answer = Some(Answer {
            marker,
            cancels: true,
            sent: Some(Moment::now(&self.gateway.inner.clock)),
        });
        self.commit.enter(State::Cancelling)?;
        self.store_or_stop().await?;
        match steps {
            // Only the end of the session undoes it.
            None => self.end_session().await,
            Some(steps) => {
                for step in steps {
                    match self.send_commit(step).await {
                        Ok(()) => {}
                        Err(error) if error.outcome() == Outcome::Unknown => {
                            return Err(self.unanswered(error).await);
                        }
                        Err(error) => return Err(self.refused(error).await),
                    }
                }
            }
        }
        self.verify_cancelled().await
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
                    return Err(self.not_pending());
                }
                Finding::Wait(seen)
                | Finding::Pending(seen)
                | Finding::RolledBack(_, seen)
                | Finding::Kept(seen)
                | Finding::NeverMade(seen)
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
    async fn extend(&mut self, deadline: Instant, seconds: u64) -> Result<(), Error> {
        self.in_time("extended")?;
        let least = self.gateway.least_confirm_timeout(&self.commit.row.device);
        check_timeout(seconds, least, "/confirm_timeout_seconds")?;
        let timeout = script::effective(self.commit.document.junos, seconds)
            .map_err(|error| failure::unbuildable(&error))?
            .rfc();
        self.take_session(deadline, false).await?;
        self.stands(deadline).await?;
        self.candidate_is_clean(deadline, false).await?;
        let step = self.build(|caps, commit| script::extend(caps, commit, timeout))?;
        let clock = self.gateway.inner.clock.clone();
        // Until the device has answered the earlier deadline counts, whatever happens to the gateway.
        let before = self.commit.document.perhaps_later;
        self.commit.document.perhaps_later = self.commit.later_by(&clock, timeout).as_secs();
        if let Err(error) = self.try_store().await {
            self.commit.document.perhaps_later = before;
            return Err(error);
        }
        let sent = Moment::now(&clock);
        match self.send_commit(step).await {
            Ok(()) => {
                self.commit.extended(&clock, sent, timeout);
                script::warn_of_rounding(&mut self.commit.document.warnings, seconds, timeout);
                self.stop_probe();
                self.store().await;
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
                self.commit.document.perhaps_later = before;
                Err(self.refused(error).await)
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

    /// The device said no: it is as pending as before, unless it is over.
    async fn refused(&mut self, error: Error) -> Error {
        // Stored with the rest: a later start must not take it for one that nobody answered.
        self.commit.document.answer = None;
        if self.commit.state != State::Pending {
            self.conclude(State::Pending, None, None).await;
        } else {
            self.store().await;
        }
        self.looks = Looks::now(Reason::Timeout);
        error.with_outcome(Outcome::NotApplied)
    }

    /// No reply: evidence decides.
    async fn unanswered(&mut self, error: Error) -> Error {
        self.see("no reply came; what the device has done is being found out");
        self.conclude(State::Unknown, None, None).await;
        self.session = None;
        self.held = None;
        self.commit.document.session_id = None;
        self.looks = Looks::now(Reason::SessionLost);
        Error::new(ErrorCode::OutcomeUnknown, error.detail().to_owned())
            .with_message(error.session_id(), error.message_id().map(str::to_owned))
            .with_outcome(Outcome::Unknown)
            .with_hint("its record tells what came of it; it is not sent again")
    }

    fn answer_marker(&self, who: &str) -> String {
        ground::marker(&self.gateway.inner.store.new_id(), who)
    }

    pub(super) fn about(&self, error: Error) -> Error {
        error
            .with_device(&self.commit.row.device)
            .with_change_id(&self.commit.row.change_id)
    }
}
