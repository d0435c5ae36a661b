//! What is concluded from looking at a device after the reply to a commit was lost (conventions E4), or to an edit that acts
//! at once. Pure: the callers look, and tell how long ago it was sent.

use std::time::Duration;

use super::evidence::Running;

/// Between looks: twice as long each time.
pub(super) const FIRST_PAUSE: Duration = Duration::from_secs(1);
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(15);
/// How much longer than a commit may take the device is looked at.
pub(super) const BEYOND: Duration = Duration::from_secs(180);

/// What a look at the device shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Sight {
    Applied(String),
    /// The device has taken it on, for later (E6).
    Scheduled(String),
    /// As it was before; the commit may come still.
    AsBefore(String),
    /// Neither.
    Unclear(String),
    /// Nothing that the device shows will ever tell.
    Untold(String),
}

/// What is concluded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Conclusion {
    Applied(String),
    Scheduled(String),
    NotApplied(String),
    /// Look again.
    Wait(String),
    /// It stays unknown.
    GivenUp(String),
}

/// `gone`: the session that sent it had ended on the device before the look. `sent`: how long ago it was sent.
pub(super) fn conclude(sight: Sight, gone: bool, sent: Duration, commit_time: Duration) -> Conclusion {
    let over = sent >= commit_time;
    match sight {
        Sight::Applied(seen) => Conclusion::Applied(seen),
        Sight::Scheduled(seen) => Conclusion::Scheduled(seen),
        Sight::AsBefore(seen) if gone => {
            Conclusion::NotApplied(format!("{seen}, and the session that sent it has ended"))
        }
        Sight::AsBefore(seen) if over => {
            Conclusion::NotApplied(format!("{seen}, after the longest time that a commit may take"))
        }
        Sight::AsBefore(seen) => Conclusion::Wait(seen),
        Sight::Unclear(seen) if sent >= commit_time + BEYOND => Conclusion::GivenUp(seen),
        Sight::Unclear(seen) => Conclusion::Wait(seen),
        // Until then it keeps others out, for it may come still.
        Sight::Untold(seen) if gone || over => Conclusion::GivenUp(seen),
        Sight::Untold(seen) => Conclusion::Wait(seen),
    }
}

/// What a configuration tells that was compared with what was known of it.
pub(super) fn compared(what: &str, found: Running) -> Sight {
    match found {
        Running::AsBefore => Sight::AsBefore(format!("{what} is as it was before")),
        Running::AsExpected => Sight::Applied(format!("{what} is as it was to become")),
        Running::Otherwise => Sight::Unclear(format!(
            "{what} is neither as it was before nor as it was to become"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMIT_TIME: Duration = Duration::from_secs(300);

    fn before() -> Sight {
        Sight::AsBefore("as before".to_owned())
    }

    /// E4, fault matrix 6: what is not there yet may come as long as the device may be at work on it.
    #[test]
    fn not_applied_is_never_said_early() {
        for seconds in [0, 20, 299] {
            let conclusion = conclude(before(), false, Duration::from_secs(seconds), COMMIT_TIME);
            assert!(
                matches!(conclusion, Conclusion::Wait(_)),
                "{seconds}: {conclusion:?}"
            );
        }
        let late = conclude(before(), false, COMMIT_TIME, COMMIT_TIME);
        assert!(matches!(late, Conclusion::NotApplied(_)));
        let gone = conclude(before(), true, Duration::ZERO, COMMIT_TIME);
        assert!(matches!(gone, Conclusion::NotApplied(_)));
    }

    /// E4: what is neither one nor the other is never guessed.
    #[test]
    fn the_unclear_stays_unknown() {
        let unclear = || Sight::Unclear("otherwise".to_owned());
        let soon = conclude(unclear(), true, COMMIT_TIME, COMMIT_TIME);
        assert!(matches!(soon, Conclusion::Wait(_)));
        let late = conclude(unclear(), true, COMMIT_TIME + BEYOND, COMMIT_TIME);
        assert!(matches!(late, Conclusion::GivenUp(_)));
        let untold = || Sight::Untold("never".to_owned());
        let soon = conclude(untold(), false, Duration::ZERO, COMMIT_TIME);
        assert!(matches!(soon, Conclusion::Wait(_)));
        for (gone, sent) in [(true, Duration::ZERO), (false, COMMIT_TIME)] {
            let end = conclude(untold(), gone, sent, COMMIT_TIME);
            assert!(matches!(end, Conclusion::GivenUp(_)), "{end:?}");
        }
        let applied = conclude(
            Sight::Applied("there".to_owned()),
            false,
            Duration::ZERO,
            COMMIT_TIME,
        );
        assert!(matches!(applied, Conclusion::Applied(_)));
    }
}
