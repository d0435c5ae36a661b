//! A probe (design section 6): what tells whether a commit that has to be confirmed is good, how far that came, and what
//! its replies mean. Pure; `guardian::probing` asks the device, `probe_request` judges what callers want.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::service::edit::view::{ProbeFailureView, ProbeView};

/// Characters that are shown of a value.
const SHOWN: usize = 200;

/// What is asked, and how it went. Stored with its confirmed commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::service) struct Probe {
    /// The RPC as XML, judged to be one that only reads.
    pub rpc: String,
    pub expect: Vec<Expectation>,
    /// From the commit to the first attempt.
    pub delay_seconds: u64,
    /// From the end of an attempt to the next one.
    pub interval_seconds: u64,
    /// From the first attempt to the last.
    pub give_up_seconds: u64,
    pub state: ProbeState,
    pub attempts: u64,
    pub last: Option<Attempt>,
}

/// What a place of the reply's data has to hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::service) struct Expectation {
    /// RFC 6901.
    pub pointer: String,
    pub equals: Value,
}

/// One question to the device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::service) struct Attempt {
    /// When it ended, RFC 3339.
    pub at: String,
    /// `None`: every expectation held.
    pub failure: Option<ProbeFailureView>,
}

/// How far a probe came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::service) enum ProbeState {
    /// The device is asked, or will be.
    Running,
    /// It held, and the commit is confirmed.
    Held,
    /// It did not hold in time, and the commit was to be cancelled.
    GaveUp,
    /// In the end no session could be opened: nothing is sent any more, and the device undoes the commit by its timer. An
    /// order that arrived after that would undo something else.
    Unreachable,
    /// There was no time left to confirm or cancel it.
    TooLate,
    /// A person has taken the matter over, or the commit came to its end for another reason.
    Stopped,
}

impl ProbeState {
    fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Held => "held",
            Self::GaveUp => "gave_up",
            Self::Unreachable => "unreachable",
            Self::TooLate => "too_late",
            Self::Stopped => "stopped",
        }
    }
}

impl Probe {
    pub fn delay(&self) -> Duration {
        Duration::from_secs(self.delay_seconds)
    }

    pub fn interval(&self) -> Duration {
        Duration::from_secs(self.interval_seconds)
    }

    /// From the commit to the last attempt.
    pub fn longest(&self) -> Duration {
        self.delay() + Duration::from_secs(self.give_up_seconds)
    }

    pub fn is_running(&self) -> bool {
        self.state == ProbeState::Running
    }

    /// An attempt has ended.
    pub fn tried(&mut self, at: String, failure: Option<ProbeFailureView>) {
        self.attempts += 1;
        self.last = Some(Attempt { at, failure });
    }

    /// It held, but something else stood in the way of the confirm.
    pub fn held_in_vain(&mut self, why: &str) {
        if let Some(last) = &mut self.last {
            let detail = format!("it holds, and the commit could not be confirmed: {why}");
            last.failure = Some(failure(detail));
        }
    }

    /// The commit is over.
    pub fn close(&mut self) {
        let held = self.last.as_ref().is_some_and(|last| last.failure.is_none());
        self.state = match self.state {
            ProbeState::Running if held => ProbeState::Held,
            ProbeState::Running => ProbeState::Stopped,
            ended @ (ProbeState::Held
            | ProbeState::GaveUp
            | ProbeState::Unreachable
            | ProbeState::TooLate
            | ProbeState::Stopped) => ended,
        };
    }

    pub fn view(&self) -> ProbeView {
        ProbeView {
            state: self.state.as_str().to_owned(),
            attempts: self.attempts,
            last_attempt_time: self.last.as_ref().map(|last| last.at.clone()),
            last_failure: self.last.as_ref().and_then(|last| last.failure.clone()),
        }
    }
}

/// A failure with nothing to point at.
pub(super) fn failure(detail: impl Into<String>) -> ProbeFailureView {
    ProbeFailureView {
        detail: detail.into(),
        pointer: None,
        expected: None,
        seen: None,
    }
}

/// Whether the data is as expected.
///
/// # Errors
/// The first expectation that does not hold.
pub(super) fn judge(expect: &[Expectation], data: &Value) -> Result<(), ProbeFailureView> {
    let wrong = expect
        .iter()
        .find(|expected| data.pointer(&expected.pointer) != Some(&expected.equals));
    let Some(Expectation { pointer, equals }) = wrong else {
        return Ok(());
    };
    let seen = data.pointer(pointer).map(shown);
    let detail = match &seen {
        Some(seen) => format!("{pointer} is {seen}, not {}", shown(equals)),
        None => format!("there is nothing at {pointer}, and not {}", shown(equals)),
    };
    Err(ProbeFailureView {
        detail,
        pointer: Some(pointer.clone()),
        expected: Some(shown(equals)),
        seen,
    })
}

/// A value as JSON, cut where it is long.
fn shown(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(SHOWN) {
        None => text,
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn expect(pointer: &str, equals: Value) -> Vec<Expectation> {
        let pointer = pointer.to_owned();
        vec![Expectation { pointer, equals }]
    }

    /// S31: every expectation has to hold; the first that does not is told with what is there instead.
    #[test]
    fn expectations_are_held_against_the_data() {
        let data = json!({"a": {"b/c": [{"state": "up"}, {"state": "down"}], "n": null}});
        for good in [
            expect("/a/b~1c/0/state", json!("up")),
            expect("/a/n", Value::Null),
            expect("", data.clone()),
            Vec::new(),
        ] {
            assert_eq!(judge(&good, &data), Ok(()), "{good:?}");
        }
        let other = judge(&expect("/a/b~1c/1/state", json!("up")), &data).unwrap_err();
        assert_eq!(
            (other.expected.as_deref(), other.seen.as_deref()),
            (Some("\"up\""), Some("\"down\""))
        );
        // Nothing is something else than null, and a text is no number.
        let absent = judge(&expect("/a/b~1c/2/state", Value::Null), &data).unwrap_err();
        assert_eq!((absent.expected.as_deref(), absent.seen), (Some("null"), None));
        assert!(judge(&expect("/x", json!(1)), &json!({"x": "1"})).is_err());
    }

    /// What is stored and shown is bounded.
    #[test]
    fn long_values_are_cut() {
        let data = json!({"x": "ä".repeat(100_000)});
        let failure = judge(&expect("/x", json!("y")), &data).unwrap_err();
        assert_eq!(failure.seen.unwrap().chars().count(), SHOWN + 1);
        assert!(failure.detail.chars().count() < 2 * SHOWN);
    }

    /// How it ended is what was seen last, and stays.
    #[test]
    fn the_end_of_the_commit_ends_the_probe() {
        let fresh = Probe {
            rpc: "<get/>".to_owned(),
            expect: Vec::new(),
            delay_seconds: 0,
            interval_seconds: 1,
            give_up_seconds: 1,
            state: ProbeState::Running,
            attempts: 0,
            last: None,
        };
        let ended = |change: fn(&mut Probe)| {
            let mut probe = fresh.clone();
            change(&mut probe);
            probe.close();
            probe.state
        };
        assert_eq!(ended(|_| {}), ProbeState::Stopped);
        assert_eq!(
            ended(|probe| probe.tried("now".to_owned(), None)),
            ProbeState::Held
        );
        let in_vain = |probe: &mut Probe| {
            probe.tried("now".to_owned(), None);
            probe.held_in_vain("locked");
        };
        assert_eq!(ended(in_vain), ProbeState::Stopped);
        assert_eq!(
            ended(|probe| probe.state = ProbeState::GaveUp),
            ProbeState::GaveUp
        );
    }
}
