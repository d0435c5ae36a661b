//! What running says of a commit that the device said ok to: there are devices that say so and do nothing, or something
//! else (`Verify`).

use super::ground::Verify;
use super::script::StepName;
use crate::error::{Error, ErrorCode, Outcome};

/// Holds running after a commit against what it was before and what was committed, all of them by their digests. What is
/// not known is `None`, and then nothing is concluded from it. `shows`: whether running has become different where it was
/// to; it is asked when nothing else decides.
///
/// # Errors
/// `operation-failed`, outcome `not_applied`: running is as it was before. `partial-operation`, outcome `unknown`: it is
/// something else than what was committed.
pub(in crate::service) fn after_commit(
    verify: Verify,
    before: Option<&str>,
    after: Option<&str>,
    running: &str,
    shows: impl FnOnce() -> Option<bool>,
) -> Result<(), Error> {
    let Some(after) = after else { return Ok(()) };
    if verify == Verify::Nothing || after == running {
        return Ok(());
    }
    let moved = before.is_some_and(|before| before != running);
    // What the device makes of it beside that is the device's. But what moved may be somebody else's, such as a rollback.
    if verify == Verify::Moved && moved && shows() != Some(false) {
        return Ok(());
    }
    let (code, outcome, detail) = if before == Some(running) {
        (
            ErrorCode::OperationFailed,
            Outcome::NotApplied,
            "the device said ok to the commit, and running is as it was before",
        )
    } else {
        (
            ErrorCode::PartialOperation,
            Outcome::Unknown,
            "the device said ok to the commit, and running is not what was committed",
        )
    };
    Err(Error::new(code, detail)
        .with_step(StepName::Verify.as_str())
        .with_outcome(outcome))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// H3, E4: that nothing was done is said only of what is known to be as it was before.
    #[test]
    fn nothing_is_guessed() {
        let told = |verify, before, after, running| {
            let told = after_commit(verify, before, after, running, || None);
            told.map_or_else(|error| Some(error.outcome()), |()| None)
        };
        let (whole, moved) = (Verify::Whole, Verify::Moved);
        for verify in [whole, moved] {
            assert_eq!(told(verify, Some("a"), Some("b"), "b"), None);
            assert_eq!(told(verify, None, Some("b"), "b"), None);
            assert_eq!(told(verify, Some("a"), Some("b"), "a"), Some(Outcome::NotApplied));
            assert_eq!(told(verify, None, Some("b"), "c"), Some(Outcome::Unknown));
            // A commit that changes nothing cannot be told from one that was not made.
            assert_eq!(told(verify, Some("a"), Some("a"), "a"), None);
        }
        assert_eq!(told(whole, Some("a"), Some("b"), "c"), Some(Outcome::Unknown));
        assert_eq!(told(moved, Some("a"), Some("b"), "c"), None);
        assert_eq!(told(Verify::Nothing, Some("a"), Some("b"), "a"), None);
        for (shows, expected) in [
            (Some(true), None),
            (None, None),
            (Some(false), Some(Outcome::Unknown)),
        ] {
            let told = after_commit(moved, Some("a"), Some("b"), "c", || shows);
            assert_eq!(told.err().map(|error| error.outcome()), expected, "{shows:?}");
        }
    }
}
