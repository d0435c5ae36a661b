//! Sends the steps of a call in its edit session, as one piece of work, and judges the replies.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::Used;
use crate::device::{
    self, Answer, Counts, DeviceError, EditMode, HandOver, Held, Look, Request, RunError, Start, Work,
};
use crate::error::{Error, ErrorCode, MemberResult, Outcome};
use crate::netconf::datastore::Datastore;
use crate::pool::Touch;
use crate::service::Gateway;
use crate::service::call::CallContext;
use crate::service::confirmed::Passing;
use crate::service::edit::reading;
use crate::service::edit::script::{Step, StepName};
use crate::service::failure::{self, Asked};
use crate::service::operations::{self, Ticket};
use crate::session::RawReply;

/// Where a piece of work stopped.
pub(super) struct Failed {
    pub step: StepName,
    pub error: Error,
    /// The replies to the steps before.
    pub before: Vec<RawReply>,
    /// What came of the step itself; `None`: it was not sent.
    pub sent: Option<Stopped>,
}

/// In what manner steps are sent.
#[derive(Default)]
pub(super) struct Manner<'a> {
    /// Where the session goes if their commit may count.
    pub hand_over: Option<oneshot::Sender<Held>>,
    /// What could confirm, which passes when its turn has come.
    pub passing: Option<&'a Passing>,
    /// What is looked at then.
    pub look: Option<Looking>,
}

/// A look before something is sent, and why it kept that from being sent.
pub(super) struct Looking {
    pub look: Look,
    pub refused: Arc<OnceLock<Error>>,
}

/// A step that was sent and did not go well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stopped {
    /// Refused, after so long.
    Refused(Duration),
    /// No reply.
    Lost,
}

impl Failed {
    /// Nothing was sent.
    fn first(steps: &[(StepName, Touch)], error: Error) -> Self {
        Self {
            step: steps.first().map_or(StepName::Check, |(name, _)| *name),
            error,
            before: Vec::new(),
            sent: None,
        }
    }
}

impl Used {
    /// Sends steps in the session, as one piece of work. All replies, none of them an error; their warnings stay with the
    /// edit session.
    pub async fn send(
        &self,
        gateway: &Gateway,
        ctx: &CallContext,
        steps: Vec<Step>,
    ) -> Result<Vec<RawReply>, Failed> {
        let by = ctx.deadline.map(|_| gateway.deadline(ctx, &self.device));
        let manner = Manner::default();
        self.send_by(by, steps, Start::default(), &ctx.ticket, manner)
            .await
    }

    /// As [`Self::send`], unless it is taken back before. `by`: when the caller wants it to be over, but for a commit, which
    /// has its own time once it is begun; `ticket`: of the call that is to know when something is sent.
    pub async fn send_by(
        &self,
        by: Option<Instant>,
        steps: Vec<Step>,
        start: Start,
        ticket: &Ticket,
        manner: Manner<'_>,
    ) -> Result<Vec<RawReply>, Failed> {
        let Manner {
            hand_over,
            passing,
            look,
        } = manner;
        let names: Vec<(StepName, Touch)> = steps.iter().map(|step| (step.name, step.touch)).collect();
        let commit = names.iter().position(|(name, _)| *name == StepName::Commit);
        let reads = names.iter().all(|(_, touch)| *touch == Touch::Nothing);
        let saves = names.iter().all(|(name, _)| *name == StepName::Save);
        let checks = names.iter().any(|(name, _)| *name == StepName::Validate);
        let facts = self.handle.facts();
        let deadline = by.unwrap_or_else(|| {
            let own = if reads && !checks {
                self.device.settings().rpc_timeout
            } else {
                self.commit_time()
            };
            Instant::now() + own
        });
        // Commits of private copies, and whatever is done to the candidate without its lock, take its lane.
        let in_lane = match facts.mode {
            EditMode::Exclusive | EditMode::Ephemeral => false,
            EditMode::Private => commit.is_some(),
            EditMode::Shared => !reads && !saves && facts.datastore == Datastore::Candidate,
        };
        let requests = steps.into_iter().map(|step| {
            let Step { rpc, touch, .. } = step;
            let request = Request {
                build: Box::new(move |_| Ok(rpc)),
                attributes: Vec::new(),
                selection: None,
            };
            (operations::noting(ticket, request), touch)
        });
        let (look, kept_from) = look.map_or((None, None), |Looking { look, refused }| {
            (Some(look), Some(refused))
        });
        let work = Work {
            steps: requests.collect(),
            look,
            lane: in_lane.then(|| self.patience(deadline)),
            start,
            counts: commit.map(|step| Counts {
                step,
                each: self.commit_time(),
                hand_over: hand_over.map(|to| HandOver { to, may_count }),
            }),
            admit: passing.map(Passing::admit),
        };
        let answers = match self.handle.run(deadline, work).await {
            Ok(answers) => answers,
            Err(error) => {
                let turned = matches!(error, RunError::NotHeld(_) | RunError::NotAdmitted);
                let in_the_way = passing.filter(|_| turned).and_then(Passing::in_the_way);
                let in_the_way = in_the_way.or_else(|| kept_from?.get().cloned());
                let error = in_the_way.map_or_else(|| self.ended(error), |error| self.on_device(error));
                return Err(Failed::first(&names, error));
            }
        };
        let mut replies = Vec::with_capacity(answers.len());
        for (answer, (step, _)) in answers.into_iter().zip(names) {
            let raw = match answer {
                Ok(raw) => raw,
                Err(error) => {
                    let sent = error.outcome != device::Outcome::NotSent;
                    return Err(Failed {
                        step,
                        error: lost(step, error),
                        before: replies,
                        sent: sent.then_some(Stopped::Lost),
                    });
                }
            };
            self.handle.warn(raw.scan.warnings.iter().cloned());
            if raw.scan.is_error() {
                return Err(Failed {
                    step,
                    sent: Some(Stopped::Refused(raw.took())),
                    error: self.refused(step, raw),
                    before: replies,
                });
            }
            replies.push(raw);
        }
        Ok(replies)
    }

    /// How long to wait for the candidate: not at all for an edit session that has it, which may keep it for an hour.
    fn patience(&self, deadline: Instant) -> Duration {
        let occupant = self.device.candidate_occupant().and_then(|occupant| occupant.id);
        match occupant.and_then(|id| self.device.edit_session(&id)) {
            Some(_) => Duration::ZERO,
            None => deadline.saturating_duration_since(Instant::now()),
        }
    }

    /// The device said no.
    fn refused(&self, step: StepName, raw: RawReply) -> Error {
        let (session_id, message_id) = (raw.session_id, raw.message_id);
        let members = reading::members(&raw.scan);
        let asked = match step {
            StepName::Edit | StepName::Validate | StepName::Commit | StepName::Save => Asked::Write,
            StepName::Lock
            | StepName::Open
            | StepName::Check
            | StepName::Diff
            | StepName::Verify
            | StepName::Discard
            | StepName::Unlock
            | StepName::Close => Asked::Read,
        };
        let errors = raw.scan.into_errors();
        let error = failure::refused(self.record.name(), session_id, errors, asked)
            .with_step(step.as_str())
            .with_message(Some(session_id), Some(message_id));
        // What the device runs is as it was, whatever became of the candidate (H3).
        let beside = match step {
            StepName::Edit => self.handle.facts().datastore == Datastore::Candidate,
            StepName::Validate => true,
            StepName::Lock
            | StepName::Open
            | StepName::Check
            | StepName::Diff
            | StepName::Commit
            | StepName::Verify
            | StepName::Save
            | StepName::Discard
            | StepName::Unlock
            | StepName::Close => false,
        };
        if beside {
            return error.with_outcome(Outcome::NotApplied);
        }
        if step != StepName::Commit {
            return error;
        }
        // M1: with one member's success it is not as it was.
        let error = if is_done_by_one(&members) {
            error.with_outcome(Outcome::Unknown)
        } else {
            error
        };
        error.with_members(members)
    }
}

/// Whether a commit may count, by its answer.
fn may_count(answer: &Answer) -> bool {
    match answer {
        Ok(raw) => {
            !raw.scan.is_error()
                || is_done_by_one(&reading::members(&raw.scan))
                || failure::is_partly_done(raw.session_id, &raw.scan.errors)
        }
        Err(error) => error.outcome != device::Outcome::NotSent,
    }
}

fn is_done_by_one(members: &[MemberResult]) -> bool {
    members.iter().any(|member| member.succeeded)
}

/// No reply.
fn lost(step: StepName, error: DeviceError) -> Error {
    let unknown = error.outcome == device::Outcome::Unknown;
    let error = failure::device(error).with_step(step.as_str());
    if step == StepName::Commit && unknown && error.code() == ErrorCode::SessionLost {
        return Error::new(ErrorCode::OutcomeUnknown, error.detail().to_owned())
            .with_device(error.device().unwrap_or_default())
            .with_step(step.as_str())
            .with_outcome(Outcome::Unknown)
            .with_message(error.session_id(), error.message_id().map(str::to_owned));
    }
    error
}
