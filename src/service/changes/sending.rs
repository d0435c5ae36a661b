//! Sending the steps of a change, one at a time or several together, and judging their replies: a step that fails says
//! what that means for the device.

use std::future::Future;
use std::time::Duration;

use tokio::time::Instant;

use super::steps::{Fate, Stop, Work};
use crate::device::{self, Asked, DeviceError, Held, HoldError};
use crate::error::{Error, ErrorCode, Outcome};
use crate::netconf::datastore::Datastore;
use crate::pool::Touch;
use crate::service::Gateway;
use crate::service::edit::ground::{Dialect, Ground};
use crate::service::edit::reading;
use crate::service::edit::request::Mode;
use crate::service::edit::script::{Step, StepName, Tells};
use crate::service::edit::view::ChangeStepView;
use crate::service::failure;
use crate::session::RawReply;

/// How many of these steps are sent without waiting for replies in between (Q2): only such as do no harm if one before
/// them fails. A look at the history goes along with a lock, before which nothing is edited. Edits that are all taken back
/// together go along with each other, and so does what looks at them; but a check, which may confirm a commit, only when
/// the history is judged (C3). Nothing goes along with a lock or a copy that an edit needs, nor with a commit.
///
/// Servers other than Junos get one step at a time: what they do with several is not known of each of them.
pub(super) fn together(ground: &Ground, steps: &[Step]) -> usize {
    let all_taken_back = ground.dialect == Dialect::Junos
        && ground.target == Datastore::Candidate
        && matches!(ground.mode, Mode::Exclusive | Mode::Private);
    let Some((first, rest)) = steps.split_first() else {
        return 0;
    };
    let mut unjudged = false;
    let goes_along = |step: &&Step| {
        unjudged |= step.tells == Tells::History;
        match first.name {
            StepName::Lock => step.tells == Tells::History,
            StepName::Edit => match step.name {
                StepName::Edit | StepName::Check | StepName::Diff => true,
                StepName::Validate => !unjudged,
                StepName::Lock
                | StepName::Open
                | StepName::Commit
                | StepName::Verify
                | StepName::Save
                | StepName::Discard
                | StepName::Unlock
                | StepName::Close => false,
            },
            StepName::Validate => step.name == StepName::Diff,
            StepName::Open
            | StepName::Check
            | StepName::Diff
            | StepName::Commit
            | StepName::Verify
            | StepName::Save
            | StepName::Discard
            | StepName::Unlock
            | StepName::Close => false,
        }
    };
    match all_taken_back {
        true => 1 + rest.iter().take_while(goes_along).count(),
        false => 1,
    }
}

/// A step that was sent, or was to be, and what came of it.
pub(super) struct Sent {
    pub name: StepName,
    pub tells: Tells,
    touch: Touch,
    answer: device::Answer,
    took: Duration,
}

/// The lane of the candidate, which is waited for no longer than the gateway does not end (D1).
pub(super) async fn enter_lane(
    held: &mut Held,
    gateway: Gateway,
    wait: Duration,
    deadline: Instant,
) -> Result<(), HoldError> {
    let entered = tokio::select! {
        biased;
        entered = held.enter_candidate(wait, deadline) => Some(entered),
        () = gateway.inner.draining.cancelled() => None,
    };
    match entered {
        Some(entered) => entered,
        None => held.enter_candidate(Duration::ZERO, deadline).await,
    }
}

impl Work {
    /// Sends one step and judges its reply.
    pub async fn send(&mut self, step: Step, undo: bool) -> Result<RawReply, Stop> {
        let name = step.name;
        match self.ask(vec![step], undo).await.pop() {
            Some(sent) => self.judge(sent, undo),
            // There is one for each.
            None => Err(Stop {
                step: name,
                fate: Fate::Undo,
                error: Error::new(ErrorCode::Internal, "nothing was sent"),
            }),
        }
    }

    /// Sends these steps, without waiting for replies in between. If none of them could be sent, the first one alone says
    /// so. What comes of them is kept when it is judged.
    pub async fn ask(&mut self, steps: Vec<Step>, undo: bool) -> Vec<Sent> {
        self.journal.show();
        let started = Instant::now();
        let (mut sent, mut asked) = (Vec::with_capacity(steps.len()), Vec::with_capacity(steps.len()));
        // The device begins with each when it is done with those before.
        let mut by = started;
        for step in steps {
            let Step {
                name,
                rpc,
                touch,
                tells,
                edit: _,
            } = step;
            by += self.patience.of(name);
            asked.push(Asked {
                deadline: self.patience.by(name, undo, by),
                request: device::Request {
                    build: Box::new(move |_| Ok(rpc)),
                    attributes: Vec::new(),
                    selection: None,
                },
                touch,
            });
            sent.push((name, tells, touch));
        }
        let noting = self.noting();
        let answers = self.journal.waiting(self.held.call_all(asked));
        let answers = match noting {
            Some(noting) => {
                let (answers, noted) = tokio::join!(answers, noting);
                self.noted = noted;
                answers
            }
            None => answers.await,
        };
        let answers = answers.unwrap_or_else(|error| vec![Err(error)]);
        let mut since = started;
        let sent = sent
            .into_iter()
            .zip(answers)
            .map(|((name, tells, touch), answer)| {
                let over = answer
                    .as_ref()
                    .map_or_else(|_| Instant::now(), |raw| raw.completed_at);
                let took = over.saturating_duration_since(since);
                since = over.max(since);
                Sent {
                    name,
                    tells,
                    touch,
                    answer,
                    took,
                }
            });
        let sent: Vec<Sent> = sent.collect();
        let left =
            |sent: &Sent| !matches!(&sent.answer, Err(error) if error.outcome == device::Outcome::NotSent);
        self.sent |= sent.iter().any(left);
        // Also one that nobody asks for any more, because of what came before it.
        let lost = |sent: &Sent| sent.name == StepName::Validate && sent.answer.is_err() && left(sent);
        if self.ground.dialect == Dialect::Junos && sent.iter().any(lost) {
            self.journal.gateway().check_was_lost(&self.record);
        }
        sent
    }

    /// Looks in the history whether others committed, and tells of it (E7). It is done beside what is sent next,
    /// whose replies are judged when both are over. Where the newest commit is the last one that was made here, nobody has
    /// to look.
    pub fn noting(&mut self) -> Option<impl Future<Output = bool> + use<>> {
        let history = self.history.take()?;
        let (gateway, record) = (self.journal.gateway().clone(), self.record.clone());
        if gateway.inner.looks.ends_with_ours(&record.id, &history) {
            self.noted = true;
            return None;
        }
        Some(async move { gateway.note_history(&record.id, record.name(), &history).await })
    }

    /// What came of a step, which is told from now on.
    pub fn judge(&mut self, sent: Sent, undo: bool) -> Result<RawReply, Stop> {
        let Sent {
            name,
            tells: _,
            touch,
            answer,
            took,
        } = sent;
        let result = match &answer {
            Ok(raw) if raw.scan.is_error() => "failed",
            Ok(_) => "done",
            Err(error) if error.outcome == device::Outcome::Unknown => "unknown",
            Err(_) => "failed",
        };
        self.journal.step(ChangeStepView {
            undo,
            ..ChangeStepView::new(name, result, took)
        });
        let raw = answer.map_err(|error| self.lost(name, error))?;
        if name == StepName::Commit {
            let pace = &self.journal.gateway().inner.pace;
            pace.took(self.device(), took);
        }
        self.journal
            .note(|change| reading::warn(&mut change.document.warnings, &raw.scan));
        if raw.scan.is_error() {
            return Err(self.refused(name, touch, raw));
        }
        Ok(raw)
    }

    /// No reply.
    fn lost(&self, step: StepName, error: DeviceError) -> Stop {
        let sent = error.outcome != device::Outcome::NotSent;
        let error = failure::device(error);
        let fate = self.fate(step, sent);
        let error = if fate == Fate::Unknown && error.code() == ErrorCode::SessionLost {
            Error::new(ErrorCode::OutcomeUnknown, error.detail().to_owned())
                .with_message(error.session_id(), error.message_id().map(str::to_owned))
        } else {
            error
        };
        Stop { step, fate, error }
    }

    /// What it means that this step failed.
    pub fn fate(&self, step: StepName, sent: bool) -> Fate {
        match step {
            StepName::Commit if sent => Fate::Unknown,
            // Nothing says that the device did what it said.
            StepName::Verify if self.committed => Fate::Unknown,
            StepName::Save if self.unchanged() => Fate::Undo,
            StepName::Save => Fate::Applied,
            // An edit of running that nobody answered for.
            StepName::Edit if sent && self.ground.target != Datastore::Candidate => Fate::Unknown,
            StepName::Diff if self.ground.target != Datastore::Candidate => Fate::Unknown,
            StepName::Lock
            | StepName::Open
            | StepName::Check
            | StepName::Edit
            | StepName::Validate
            | StepName::Diff
            | StepName::Commit
            | StepName::Verify
            | StepName::Discard
            | StepName::Unlock
            | StepName::Close => Fate::Undo,
        }
    }

    /// The device said no.
    fn refused(&mut self, step: StepName, touch: Touch, raw: RawReply) -> Stop {
        let (device, session_id, message_id) = (self.device().to_owned(), raw.session_id, raw.message_id);
        let members = reading::members(&raw.scan);
        let errors = raw.scan.into_errors();
        let error = match (step, touch) {
            (_, Touch::Acquires(_)) => {
                failure::lock_refused(&device, self.ground.dialect, session_id, errors)
            }
            (StepName::Edit | StepName::Validate | StepName::Commit, _) => {
                failure::refused(&device, session_id, errors, failure::Asked::Write)
            }
            _ => failure::refused(&device, session_id, errors, failure::Asked::Read),
        };
        let error = error.with_message(Some(session_id), Some(message_id));
        match step {
            StepName::Commit => {
                self.journal.note(|change| change.set_members(&members));
                // M1: with one member's success it is not as it was, nor where the device itself says that it did a part.
                let partly = error.outcome() == Outcome::Unknown;
                let fate = if partly || members.iter().any(|member| member.succeeded) {
                    Fate::Unknown
                } else {
                    Fate::Undo
                };
                let error = error.with_members(members);
                Stop { step, fate, error }
            }
            StepName::Edit => Stop {
                step,
                fate: Fate::Undo,
                error,
            },
            _ => Stop {
                step,
                fate: self.fate(step, true),
                error,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netconf::rpc::Rpc;
    use crate::service::edit::ground::{Confirm, Verify};
    use crate::xml::Fragment;

    fn ground(dialect: Dialect, mode: Mode) -> Ground {
        Ground {
            dialect,
            mode,
            target: Datastore::Candidate,
            instance: None,
            skip_validate: false,
            verify: Verify::Nothing,
            confirm: None::<Confirm>,
        }
    }

    fn step(name: StepName) -> Step {
        Step::new(name, Rpc::new(Fragment::default()), Touch::Nothing)
    }

    fn history() -> Step {
        step(StepName::Check).telling(Tells::History)
    }

    /// How the steps go: so many together, then so many.
    fn groups(dialect: Dialect, mode: Mode, steps: Vec<Step>) -> Vec<usize> {
        let (ground, mut rest, mut counts) = (ground(dialect, mode), &steps[..], Vec::new());
        while !rest.is_empty() {
            let count = together(&ground, rest);
            counts.push(count);
            rest = &rest[count..];
        }
        counts
    }

    /// Q2, C3: nothing goes along with what it needs, no check with a history that nobody has judged, nothing with a
    /// commit.
    #[test]
    fn only_the_harmless_goes_along() {
        use StepName::*;
        let exclusive = || {
            let mut steps = vec![step(Lock), history()];
            steps.extend([Edit, Edit, Validate, Diff, Commit, Unlock].map(step));
            steps
        };
        assert_eq!(groups(Dialect::Junos, Mode::Exclusive, exclusive()), [2, 4, 1, 1]);
        assert_eq!(groups(Dialect::Rfc, Mode::Exclusive, exclusive()), [1; 8]);
        assert_eq!(groups(Dialect::Junos, Mode::Shared, exclusive()), [1; 8]);
        let private = || {
            let mut steps = [Open, Edit, Edit].map(step).to_vec();
            steps.push(history());
            steps.extend([Validate, Diff, Commit, Close].map(step));
            steps
        };
        assert_eq!(groups(Dialect::Junos, Mode::Private, private()), [1, 3, 2, 1, 1]);
        assert_eq!(groups(Dialect::Junos, Mode::Ephemeral, private()), [1; 8]);
        // Without a check.
        let mut unchecked = private();
        unchecked.remove(4);
        assert_eq!(groups(Dialect::Junos, Mode::Private, unchecked), [1, 4, 1, 1]);
        // Another look before the edits, and what is read behind them.
        let verified = [Lock, Lock, Check, Check, Edit, Diff, Verify, Commit, Verify].map(step);
        assert_eq!(
            groups(Dialect::Junos, Mode::Exclusive, verified.to_vec()),
            [1, 1, 1, 1, 2, 1, 1, 1]
        );
    }
}
