//! Calls that change at once what is running (conventions E4): edits of devices without a candidate, and copies to running. A
//! lost reply to one leaves as much open as the lost reply to a commit. What is running is read before it is sent, and is
//! looked at afterwards, in a task of its own, until it tells what came of the call, or that nothing will.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::failure::Failure;
use super::following::Followed;
use super::record::Document;
use super::view::State;
use crate::error::{Error, ErrorCode, Outcome};
use crate::service::Gateway;
use crate::service::evidence::{Evidence, Running};
use crate::service::history;
use crate::service::verdict::{Conclusion, FIRST_PAUSE, LONGEST_PAUSE, Sight, compared, conclude};
use crate::store::OperationRecord;

/// What is known of running before the call is sent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(in crate::service) struct AtOnce {
    /// What it was, and what it is to become where that can be told beforehand.
    pub evidence: Evidence,
    /// The session that the call is sent in.
    pub session_id: Option<u64>,
}

impl AtOnce {
    /// By digests of running, hexadecimal.
    pub fn new(before: String, expected: Option<String>) -> Self {
        let evidence = Evidence {
            before: Some(before),
            expected,
            ..Evidence::default()
        };
        Self {
            evidence,
            session_id: None,
        }
    }

    fn sight(&self, running: &str) -> Sight {
        match self.evidence.running(running) {
            // It does not come by itself what it was to become.
            Running::Otherwise if self.evidence.expected.is_some() => {
                Sight::Untold("running is neither as it was before nor as it was to become".to_owned())
            }
            Running::Otherwise => Sight::Untold(
                "running is not as it was before: the call was carried out, at least in part, or somebody else has \
                 changed it"
                    .to_owned(),
            ),
            found => compared("running", found),
        }
    }
}

impl Gateway {
    /// Finds out, in a task of its own, what came of a call whose reply was lost. Until then it is unknown.
    pub(super) fn look_at_running(&self, id: &str, followed: Followed) {
        let (gateway, ending, id) = (self.clone(), self.inner.ending.clone(), id.to_owned());
        self.inner.tasks.spawn(async move {
            tokio::select! {
                () = ending.cancelled() => {}
                () = gateway.look_until_it_tells(&id, &followed) => {}
            }
        });
    }

    async fn look_until_it_tells(&self, id: &str, followed: &Followed) {
        let since = Instant::now();
        let mut pause = FIRST_PAUSE;
        loop {
            match self.look_whether_it_tells(id, followed, since.elapsed()).await {
                Ok(true) => return,
                Ok(false) => {}
                Err(error) => {
                    tracing::error!(operation = id, error = %error, "what came of an operation is not stored yet");
                }
            }
            tokio::time::sleep(pause).await;
            pause = (2 * pause).min(LONGEST_PAUSE);
        }
    }

    /// One look; whether it was the last. `since`: how long ago the call was over.
    async fn look_whether_it_tells(
        &self,
        id: &str,
        followed: &Followed,
        since: Duration,
    ) -> Result<bool, Error> {
        let Some(row) = self.unknown_row(id).await? else {
            self.inner.operations.following.remove(id);
            return Ok(true);
        };
        let document = Document::of(&row.document);
        let Some(at_once) = &document.at_once else {
            self.inner.operations.following.remove(id);
            return Ok(true);
        };
        match self.running_tells(&row, at_once, since).await {
            // Nothing is going to be made later.
            Conclusion::Wait(_) | Conclusion::Scheduled(_) => return Ok(false),
            Conclusion::Applied(_) => {
                let end = (State::Succeeded, Outcome::Applied);
                self.end_followed(id, end, None, None).await?;
            }
            Conclusion::NotApplied(seen) => {
                let end = (State::Failed, Outcome::NotApplied);
                let failure = document.failure.unwrap_or_else(|| lost(&row));
                let failure = failure.found(Outcome::NotApplied, &seen);
                self.end_followed(id, end, Some(failure), None).await?;
            }
            Conclusion::GivenUp(seen) => self.give_up(id, followed, seen).await?,
        }
        Ok(true)
    }

    async fn running_tells(&self, row: &OperationRecord, at_once: &AtOnce, since: Duration) -> Conclusion {
        let (record, live) = match self.device(&row.device).await {
            Ok((record, live)) if record.id == row.device_id => (record, live),
            Ok(_) => {
                return Conclusion::GivenUp(
                    "its device was removed, and another one has its name".to_owned(),
                );
            }
            Err(error) if error.code() == ErrorCode::NotFound => {
                return Conclusion::GivenUp("its device was removed".to_owned());
            }
            Err(error) => return Conclusion::Wait(error.detail().to_owned()),
        };
        let deadline = || Instant::now() + live.settings().rpc_timeout;
        // Before running: what is not there when the session has ended does not come any more.
        let gone = match at_once.session_id {
            None => false,
            Some(session_id) => {
                let listed = history::sessions(&record, &live, &row.owner, deadline()).await;
                matches!(listed, Ok(Some(sessions)) if !sessions.contains(&session_id))
            }
        };
        let running = history::running(&record, &live, &row.owner, deadline()).await;
        let sight = match running {
            Ok(running) => at_once.sight(&running.digest()),
            Err(error) => Sight::Unclear(format!("the device could not be asked: {}", error.detail())),
        };
        let commit_time = Duration::from_secs(record.settings.timeouts.commit_seconds);
        conclude(sight, gone, since, commit_time)
    }
}

/// What the gateway ended in.
fn lost(row: &OperationRecord) -> Failure {
    let error = Error::new(ErrorCode::OutcomeUnknown, "the gateway ended before the call did")
        .with_reason("gateway_restarted")
        .with_device(&row.device);
    Failure::from(&error)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// E4: running tells of a call what it was, and nothing else does.
    #[test]
    fn running_is_judged_by_its_digests() {
        let at_once = |expected: Option<&str>| AtOnce::new("aa".to_owned(), expected.map(str::to_owned));
        for (expected, running, applied, before) in [
            (Some("bb"), "bb", true, false),
            (Some("bb"), "aa", false, true),
            (Some("bb"), "cc", false, false),
            (None, "aa", false, true),
            (None, "bb", false, false),
            // What changes nothing cannot be told from what was not done.
            (Some("aa"), "aa", false, true),
        ] {
            let sight = at_once(expected).sight(running);
            let told = (
                matches!(sight, Sight::Applied(_)),
                matches!(sight, Sight::AsBefore(_)),
            );
            assert_eq!(told, (applied, before), "{expected:?} {running}: {sight:?}");
        }
    }
}
